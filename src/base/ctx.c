/* SPDX-License-Identifier: MIT
 *
 * ctx.c - the context: its settings, its last error, log and progress.
 */
#define _GNU_SOURCE /* sched_getaffinity */

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/ranks.h"

#define THREADS_MAX 1024

/* OpenMP's number if one was asked for, else that of the processors this process may use. */
static int default_threads(void)
{
    cpu_set_t set;

    if (getenv("OMP_NUM_THREADS"))
        return omp_get_max_threads() < THREADS_MAX ? omp_get_max_threads() : THREADS_MAX;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

ntk_status ntk_ctx_new(ntk_ctx **ctx)
{
    ntk_ctx *c;

    if (!ctx)
        return NTK_EINVAL;
    c = calloc(1, sizeof *c);
    if (!c)
        return NTK_ENOMEM;
    pthread_mutex_init(&c->lock, NULL);
    c->threads = default_threads();
    *ctx = c;
    return NTK_OK;
}

void ntk_ctx_free(ntk_ctx *ctx)
{
    if (!ctx)
        return;
    (void)ntk_ranks_leave(ctx);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx);
}

ntk_status ntk_ctx_set_threads(ntk_ctx *ctx, int threads)
{
    if (threads < 0 || threads > THREADS_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "threads must be 0 (all) to %d, got %d", THREADS_MAX, threads);
    ctx->threads = threads ? threads : default_threads();
    ctx->threads_asked = threads > 0;
    return NTK_OK;
}

int ntk_ctx_threads(const ntk_ctx *ctx) { return ctx->threads; }

void ntk_ctx_set_memory(ntk_ctx *ctx, size_t bytes)
{
    ctx->memory = bytes;
    if (bytes)
        ntk_scratch_drop();
}

void ntk_ctx_set_log(ntk_ctx *ctx, ntk_log_fn *fn, void *user)
{
    ctx->log = fn;
    ctx->log_user = user;
}

void ntk_ctx_set_progress(ntk_ctx *ctx, ntk_progress_fn *fn, void *user)
{
    ctx->told.what = NULL;
    ctx->progress = fn;
    ctx->progress_user = user;
}

const char *ntk_errmsg(const ntk_ctx *ctx) { return ctx ? ctx->message : ""; }

const char *ntk_strstatus(ntk_status status)
{
    switch (status) {
#define NTK_X(name, value, text) \
    case name:                   \
        return text;
        NTK_STATUS_LIST(NTK_X)
#undef NTK_X
    }
    return "unknown status";
}

ntk_status ntk_fail(ntk_ctx *ctx, ntk_status status, const char *fmt, ...)
{
    va_list ap;

    if (ctx) {
        ctx->told.what = NULL; /* the work that it was about ends */
        if (ctx->ranks)
            ctx->ranks->agreed = false;
        va_start(ap, fmt);
        ntk_vformat(ctx->message, sizeof ctx->message, fmt, ap);
        va_end(ap);
    }
    return status;
}

ntk_status ntk_fail_in(ntk_ctx *ctx, ntk_status status, const char *fmt, ...)
{
    char old[sizeof ctx->message];
    va_list ap;
    int n;

    if (!ctx)
        return status;
    memcpy(old, ctx->message, sizeof old);
    va_start(ap, fmt);
    n = ntk_vformat(ctx->message, sizeof ctx->message, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof ctx->message)
        snprintf(ctx->message + n, sizeof ctx->message - (size_t)n, ": %.*s",
                 (int)(sizeof ctx->message - (size_t)n), old);
    return status;
}

ntk_status ntk_fail_write(ntk_ctx *ctx, const char *path, int error)
{
    return ntk_fail(ctx, error == ENOMEM ? NTK_ENOMEM : NTK_EIO, "cannot write %s: %s",
                    strcmp(path, "-") == 0 ? "standard output" : path, strerror(error));
}

ntk_status ntk_check_given(ntk_ctx *ctx, const char *name, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n && x; i++)
        if (!isfinite(x[i]))
            return ntk_fail(ctx, NTK_EINVAL, "number %lld of %s is %g", (long long)i, name, x[i]);
    return NTK_OK;
}

static ntk_status check_of_samples(ntk_ctx *ctx, const char *name, const double *x, int64_t n, double *largest)
{
    *largest = 0;
    for (int64_t i = 0; x && i < n; i++) {
        if (!(x[i] >= 0) || isinf(x[i]))
            return ntk_fail(ctx, NTK_EINVAL, "%s must be finite and >= 0, that of sample %lld is %g", name, (long long)i,
                            x[i]);
        *largest = fmax(*largest, x[i]);
    }
    return NTK_OK;
}

ntk_status ntk_check_noise(ntk_ctx *ctx, const double *x, int64_t n)
{
    double largest;

    return check_of_samples(ctx, "noise", x, n, &largest);
}

ntk_status ntk_check_weights(ntk_ctx *ctx, const double *x, int64_t n, double *largest)
{
    NTK_TRY(check_of_samples(ctx, "weights", x, n, largest));
    return x && *largest == 0 ? ntk_fail(ctx, NTK_EINVAL, "weights must not all be 0") : NTK_OK;
}

void ntk_log(ntk_ctx *ctx, int level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (!ctx || !ctx->log)
        return;
    va_start(ap, fmt);
    ntk_vformat(line, sizeof line, fmt, ap);
    va_end(ap);
    ctx->log(level, line, ctx->log_user);
}

void ntk_lock(ntk_ctx *ctx) { pthread_mutex_lock(&ctx->lock); }

void ntk_unlock(ntk_ctx *ctx) { pthread_mutex_unlock(&ctx->lock); }

static bool is_cancelled(ntk_ctx *ctx, const char *what, double done, double total)
{
    ctx->told.at = ntk_seconds();
    return ctx->progress(what, done, total, ctx->progress_user) != 0;
}

ntk_status ntk_poll(ntk_ctx *ctx)
{
    if (!ctx->progress || ntk_seconds() - ctx->told.at < 0.05)
        return NTK_OK;
    if (ctx->told.what)
        return ntk_progress(ctx, ctx->told.what, ctx->told.done, ctx->told.total);
    return is_cancelled(ctx, "preparations", 0, 1) ? ntk_fail(ctx, NTK_ECANCEL, "cancelled") : NTK_OK;
}

bool ntk_go_on(ntk_ctx *ctx, ntk_status *status, ntk_status this)
{
    bool go;

    ntk_lock(ctx);
    if (*status == NTK_OK)
        *status = this;
    if (*status == NTK_OK)
        *status = ntk_poll(ctx);
    go = *status == NTK_OK;
    ntk_unlock(ctx);
    return go;
}

ntk_status ntk_progress(ntk_ctx *ctx, const char *what, double done, double total)
{
    if (!ctx->progress)
        return NTK_OK;
    ctx->told.what = done < total ? what : NULL; /* what comes after the end is other work */
    ctx->told.done = done;
    ctx->told.total = total;
    if (is_cancelled(ctx, what, done, total))
        return ntk_fail(ctx, NTK_ECANCEL, "cancelled after %.0f of %.0f %s", done, total, what);
    return NTK_OK;
}
