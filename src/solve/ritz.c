/* SPDX-License-Identifier: MIT
 *
 * ritz.c - see ritz.h.
 */
#include "solve/ritz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "base/sums.h"

void ntk_basis_free(struct ntk_basis *b)
{
    ntk_ctx_release(b->ctx, b->bytes);
    free(b->v);
}

size_t ntk_basis_bytes(int64_t n, int64_t most)
{
    return ntk_bytes(((double)(most + 1) * (double)n + 5 * (double)most) * sizeof(double));
}

ntk_status ntk_basis_new(ntk_ctx *ctx, int64_t n, int64_t most, ntk_operator_fn *apply, void *user, struct ntk_basis *b)
{
    *b = (struct ntk_basis){
        .ctx = ctx, .n = n, .most = (int)most, .apply = apply, .user = user, .bytes = ntk_basis_bytes(n, most)};
    NTK_TRY(ntk_ctx_hold(ctx, b->bytes, "Lanczos' basis"));
    b->v = ntk_alloc(ctx, b->bytes, 1);
    if (!b->v) {
        ntk_basis_free(b);
        return NTK_ENOMEM;
    }
    b->w = b->v + most * n;
    b->h = b->w + n;
    b->diagonal = b->h + most;
    b->off = b->diagonal + most;
    b->ritz = b->off + most;
    b->work = b->ritz + most;
    return NTK_OK;
}

/* No structure, but the same each time (splitmix64). */
static void randomise(int64_t n, double *x)
{
    uint64_t state = 1;

    for (int64_t i = 0; i < n; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        x[i] = (double)(z >> 11) / 9007199254740992.0 - 0.5;
    }
}

void ntk_basis_start(struct ntk_basis *b, const double *x, double length)
{
    if (!x) {
        randomise(b->n, b->v);
        x = b->v;
        length = ntk_sums_norm(b->n, x);
    }
    for (int64_t i = 0; i < b->n; i++)
        b->v[i] = x[i] / length;
    b->steps = 0;
}

ntk_status ntk_basis_step(struct ntk_basis *b)
{
    const int k = b->steps++, threads = b->ctx->threads;
    const double *vk = b->v + k * b->n;

    memcpy(b->w, vk, (size_t)b->n * sizeof *b->w);
    NTK_TRY(b->apply(b->w, b->user));
    b->diagonal[k] = ntk_sums_dot(b->n, b->w, vk);
    for (int pass = 0; pass < 2; pass++) { /* twice is enough (Parlett 1998, 6.9) */
        memset(b->h, 0, (size_t)b->steps * sizeof *b->h);
        ntk_sums_rows(threads, b->steps, b->n, b->v, b->n, b->w, b->h);
        ntk_sums_columns(threads, b->steps, b->n, b->v, b->n, -1, b->h, b->w);
    }
    b->off[k] = ntk_sums_norm(b->n, b->w);
    return NTK_OK;
}

void ntk_basis_extend(struct ntk_basis *b)
{
    double *next = b->v + b->steps * b->n;

    for (int64_t i = 0; i < b->n; i++)
        next[i] = b->w[i] / b->off[b->steps - 1];
}

void ntk_basis_ritz(struct ntk_basis *b)
{
    int info;

    memcpy(b->ritz, b->diagonal, (size_t)b->steps * sizeof *b->ritz);
    memcpy(b->work, b->off, (size_t)b->steps * sizeof *b->work);
    dsterf_(&b->steps, b->ritz, b->work, &info);
}

/* ---- the largest eigenvalue */

#define STEPS_MAX 100
#define SETTLED   1e-6

static ntk_status largest(struct ntk_basis *b, double *lambda)
{
    double last = 0, now = 0;

    ntk_basis_start(b, NULL, 1);
    for (;;) {
        NTK_TRY(ntk_basis_step(b));
        NTK_TRY(ntk_progress(b->ctx, "Lanczos steps", b->steps, b->most));
        ntk_basis_ritz(b);
        last = now;
        now = b->ritz[b->steps - 1];
        if (b->steps == b->most || b->off[b->steps - 1] <= 1e-14 * fabs(now) ||
            (b->steps > 8 && fabs(now - last) <= SETTLED * fabs(now)))
            break;
        ntk_basis_extend(b);
    }
    *lambda = now;
    return NTK_OK;
}

ntk_status ntk_lanczos_largest(ntk_ctx *ctx, int64_t n, ntk_operator_fn *apply, void *user,
                               double *lambda)
{
    struct ntk_basis b;
    ntk_status status;

    NTK_TRY(ntk_basis_new(ctx, n, n < STEPS_MAX ? n : STEPS_MAX, apply, user, &b));
    status = largest(&b, lambda);
    ntk_basis_free(&b);
    return status;
}

/* ---- both ends of the spectrum */

#define BETWEEN 16   /* steps, after which Ritz values are looked at */
#define STILL   1e-5 /* relative change meanwhile at which both count as settled */

static bool are_settled(struct ntk_basis *b, double *least, double *most)
{
    const double l = *least, m = *most;

    ntk_basis_ritz(b);
    *least = b->ritz[0];
    *most = b->ritz[b->steps - 1];
    return fabs(*least - l) <= STILL * fabs(*least) && fabs(*most - m) <= STILL * fabs(*most);
}

static ntk_status find_extremes(struct ntk_basis *b, double *least, double *most)
{
    bool settled = false;

    *least = *most = 0;
    ntk_basis_start(b, NULL, 1);
    while (!settled) {
        NTK_TRY(ntk_basis_step(b));
        NTK_TRY(ntk_progress(b->ctx, "Lanczos steps", b->steps, b->most));
        if (b->steps % BETWEEN == 0 || b->steps == b->most)
            settled = are_settled(b, least, most);
        if (b->steps == b->most || b->off[b->steps - 1] <= 1e-14 * fabs(b->diagonal[0]))
            break;
        ntk_basis_extend(b);
    }
    (void)are_settled(b, least, most);
    if (!settled && b->steps < b->n && b->steps == b->most)
        ntk_log(b->ctx, 1, "the least eigenvalue has not settled in %d steps of Lanczos: it may be below %.3g", b->steps,
                *least);
    return NTK_OK;
}

ntk_status ntk_lanczos_extremes(ntk_ctx *ctx, int64_t n, int64_t most_steps, ntk_operator_fn *apply, void *user,
                                double *least, double *most)
{
    struct ntk_basis b;
    ntk_status status;

    NTK_TRY(ntk_basis_new(ctx, n, most_steps, apply, user, &b));
    status = find_extremes(&b, least, most);
    ntk_basis_free(&b);
    return status;
}

/* ---- of an operator */

struct matrix {
    struct ntk_operator *o;
    size_t k;
    double *product; /* [n] */
};

static ntk_status apply_matrix(double *x, void *user)
{
    const struct matrix *m = user;

    NTK_TRY(ntk_operator_apply(m->o, m->k, 1, x, m->product));
    memcpy(x, m->product, (size_t)m->o->n * sizeof *x);
    return NTK_OK;
}

ntk_status ntk_operator_largest(struct ntk_operator *o, size_t k, double *lambda)
{
    struct matrix m = {o, k, ntk_alloc(o->ctx, (size_t)o->n, sizeof *m.product)};
    const ntk_status status = m.product ? ntk_lanczos_largest(o->ctx, o->n, apply_matrix, &m, lambda) : NTK_ENOMEM;

    free(m.product);
    return status;
}
