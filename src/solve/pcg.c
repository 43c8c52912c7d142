/* SPDX-License-Identifier: MIT
 *
 * pcg.c - see pcg.h.
 */
#include "solve/pcg.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sums.h"
#include "solve/checkpoint.h"
#include "solve/solver.h"
#include "solve/spectral.h"

#define ROUNDED   1e-4 /* what a residual may be where rounding errors allow no less */
#define STEPS_MAX 5000 /* without a look at the residual */

/* A right-hand side, divided by its length. */
struct column {
    int64_t number; /* among those given */
    double scale, length; /* |b|; |residual| of the solution so far, by it */
    double rz, pq, step;
    int64_t steps;
    bool stuck; /* no positive curvature: nothing more to gain */
};

struct work {
    struct ntk_pcg *p;
    int64_t n, m, first; /* columns, of which the first is this one of the right-hand sides */
    struct telling *telling;
    struct ntk_pace pace; /* of keeping solutions */
    struct column *columns;
    double *b;                      /* [m][n] each, as all that follow: right-hand sides, */
    double *x, *d, *r, *dir, *z, *q; /* solutions, what is added to them, residuals, directions, M^-1 r, A times directions */
};

static void swap_numbers(int64_t n, double *a, double *b)
{
    for (int64_t i = 0; i < n; i++) {
        const double kept = a[i];

        a[i] = b[i];
        b[i] = kept;
    }
}

/* Those that are worked on are the first. */
static void swap_columns(struct work *w, int64_t a, int64_t b)
{
    const struct column kept = w->columns[a];
    double *const all[] = {w->b, w->x, w->d, w->r, w->dir, w->z, w->q};

    if (a == b)
        return;
    w->columns[a] = w->columns[b];
    w->columns[b] = kept;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        swap_numbers(w->n, all[k] + a * w->n, all[k] + b * w->n);
}

static double norm(int64_t n, const double *x) { return sqrt(ntk_sums_dot(n, x, x)); }

/* What a residual has to come to, for a solution of that length: not so large that any solution would do. */
static double wanted(const struct ntk_pcg *p, double length)
{
    return fmax(p->tolerance, fmin(4 * DBL_EPSILON * p->largest * length, ROUNDED));
}

static ntk_status apply(struct work *w, int64_t m, const double *x, double *out)
{
    w->p->products++;
    return w->p->apply(w->p->user, m, x, out);
}

/* ---- progress: digits of the worst residual, of those asked for, from which who shows it finds the time left; with steps
 * and the residual in words. What the operator tells of a product that takes long is a part of the step. */

struct telling {
    ntk_ctx *ctx;
    ntk_progress_fn *progress; /* the user's */
    void *user;
    int64_t step;
    double done, shown, all; /* digits: so far, shown at most, wanted */
    char what[80];
};

static int tell(const char *what, double done, double total, void *user)
{
    struct telling *t = user;
    const double digits = t->step > 0 ? t->done / (double)t->step : t->all / 100, share = total > 0 ? done / total : 0;

    t->shown = fmin(fmax(t->shown, t->done + (what == t->what ? 0 : share * digits)), 0.99 * t->all);
    return t->progress(t->what, t->shown, t->all, t->user);
}

static void begin_telling(struct ntk_pcg *p, struct telling *t)
{
    *t = (struct telling){.ctx = p->ctx, .progress = p->ctx->progress, .user = p->ctx->progress_user};
    t->all = -log10(fmax(p->tolerance, 1e-15));
    if (t->progress)
        ntk_ctx_set_progress(p->ctx, tell, t);
}

static void end_telling(const struct telling *t) { ntk_ctx_set_progress(t->ctx, t->progress, t->user); }

static ntk_status tell_residual(const struct work *w, double residual)
{
    struct telling *t = w->telling;

    t->done = fmax(t->done, residual > 0 ? -log10(residual) : t->all);
    snprintf(t->what, sizeof t->what, "digits of the solution, step %lld, residual %.1e", (long long)t->step, residual);
    return ntk_progress(w->p->ctx, t->what, t->done, t->all);
}

/* ---- solutions so far */

/* x + d of all columns, in the order that they were given; z is free between steps. */
static ntk_status keep(struct work *w)
{
    const double start = ntk_seconds();
    ntk_status status;

    for (int64_t c = 0; c < w->m; c++) {
        const struct column *k = &w->columns[c];

        for (int64_t i = 0; i < w->n; i++)
            w->z[k->number * w->n + i] = k->scale * (w->x[c * w->n + i] + w->d[c * w->n + i]);
    }
    status = w->p->keep(w->p->keep_user, w->first, w->m, w->z);
    ntk_pace_wrote(&w->pace, start);
    return status;
}

static ntk_status keep_sometimes(struct work *w)
{
    return w->p->keep && ntk_pace_due(&w->pace) ? keep(w) : NTK_OK;
}

/* ---- steps */

static void begin(struct work *w, int64_t m)
{
    memset(w->d, 0, (size_t)(m * w->n) * sizeof *w->d);
    memset(w->dir, 0, (size_t)(m * w->n) * sizeof *w->dir);
    for (int64_t c = 0; c < m; c++) {
        w->columns[c].stuck = false;
        w->columns[c].rz = 0;
    }
}

/* z to the next direction: beta = z' (r - r before) / (z' r before), and r - r before = -step q. */
static void turn(struct work *w, int64_t c)
{
    struct column *k = &w->columns[c];
    const int64_t n = w->n, at = c * n;
    const double rz = ntk_sums_dot(n, w->r + at, w->z + at);
    const double beta = k->rz > 0 ? -k->step * ntk_sums_dot(n, w->z + at, w->q + at) / k->rz : 0;

    for (int64_t i = 0; i < n; i++)
        w->dir[at + i] = w->z[at + i] + beta * w->dir[at + i];
    k->rz = rz;
}

static void go(struct work *w, int64_t c, double *ratio)
{
    struct column *k = &w->columns[c];
    const int64_t n = w->n, at = c * n;
    const double square = ntk_sums_dot(n, w->dir + at, w->dir + at), pr = ntk_sums_dot(n, w->dir + at, w->r + at);

    k->pq = ntk_sums_dot(n, w->dir + at, w->q + at);
    *ratio = square > 0 ? norm(n, w->q + at) / sqrt(square) : 0;
    k->stuck = !(k->pq > 0) || !isfinite(pr / k->pq);
    k->step = k->stuck ? 0 : pr / k->pq;
    for (int64_t i = 0; i < n && !k->stuck; i++) {
        w->d[at + i] += k->step * w->dir[at + i];
        w->r[at + i] -= k->step * w->q[at + i];
    }
    k->steps++;
}

static bool is_there(const struct work *w, int64_t c)
{
    const int64_t n = w->n, at = c * n;

    return norm(n, w->r + at) <= 0.9 * wanted(w->p, fmax(norm(n, w->x + at), norm(n, w->d + at)));
}

static double worst_of(const struct work *w, int64_t m)
{
    double worst = 0;

    for (int64_t c = 0; c < m; c++)
        worst = fmax(worst, norm(w->n, w->r + c * w->n));
    return worst;
}

static bool worth_threads(const struct work *w, int64_t m) { return (double)m * (double)w->n > 1e5; }

/* From residuals of the first m, which solve A d = r, until each is small enough or can't be. */
static ntk_status steps(struct work *w, int64_t m)
{
    double ratio[NTK_PCG_MOST];
    int64_t running = m;

    begin(w, m);
    for (int64_t step = 0; step < STEPS_MAX && running > 0; step++) {
        NTK_TRY(keep_sometimes(w));
        NTK_TRY(tell_residual(w, worst_of(w, m)));
        w->telling->step++;
        NTK_TRY(w->p->precondition(w->p->user, running, w->r, w->z));
#pragma omp parallel for num_threads(ntk_threads_for(w->p->ctx, running)) schedule(static) if (worth_threads(w, running))
        for (int64_t c = 0; c < running; c++)
            turn(w, c);
        NTK_TRY(apply(w, running, w->dir, w->q));
#pragma omp parallel for num_threads(ntk_threads_for(w->p->ctx, running)) schedule(static) if (worth_threads(w, running))
        for (int64_t c = 0; c < running; c++)
            go(w, c, &ratio[c]);
        for (int64_t c = 0; c < running; c++)
            w->p->largest = fmax(w->p->largest, ratio[c]);
        for (int64_t c = running - 1; c >= 0; c--)
            if (w->columns[c].stuck || is_there(w, c))
                swap_columns(w, c, --running);
    }
    return NTK_OK;
}

/* ---- residuals as they are */

/* r = b - A x for the first m. */
static ntk_status find_residuals(struct work *w, int64_t m, const double *x)
{
    NTK_TRY(apply(w, m, x, w->q));
    for (int64_t i = 0; i < m * w->n; i++)
        w->r[i] = w->b[i] - w->q[i];
    return NTK_OK;
}

/* x + d for the first m, where its residual is smaller. How many go on. */
static ntk_status correct(struct work *w, int64_t *m)
{
    const int64_t n = w->n;

    for (int64_t i = 0; i < *m * n; i++)
        w->z[i] = w->x[i] + w->d[i];
    NTK_TRY(find_residuals(w, *m, w->z));
    for (int64_t c = *m - 1; c >= 0; c--) {
        struct column *k = &w->columns[c];
        const double now = norm(n, w->r + c * n);
        const bool falls = now < k->length / 2;

        if (now < k->length) {
            memcpy(w->x + c * n, w->z + c * n, (size_t)n * sizeof *w->x);
            k->length = now;
        }
        if (!falls || k->length <= wanted(w->p, norm(n, w->x + c * n)))
            swap_columns(w, c, --*m);
    }
    return NTK_OK;
}

static ntk_status start_from(struct work *w, const double *start)
{
    const int64_t n = w->n;

    memset(w->x, 0, (size_t)(w->m * n) * sizeof *w->x);
    memcpy(w->r, w->b, (size_t)(w->m * n) * sizeof *w->r);
    if (!start)
        return NTK_OK;
    for (int64_t c = 0; c < w->m; c++)
        for (int64_t i = 0; i < n && w->columns[c].scale > 0; i++)
            w->x[c * n + i] = start[c * n + i] / w->columns[c].scale;
    NTK_TRY(find_residuals(w, w->m, w->x));
    for (int64_t c = 0; c < w->m; c++) {
        w->columns[c].length = norm(n, w->r + c * n);
        if (!(w->columns[c].length < 1)) { /* of b */
            memset(w->x + c * n, 0, (size_t)n * sizeof *w->x);
            memcpy(w->r + c * n, w->b + c * n, (size_t)n * sizeof *w->r);
            w->columns[c].length = 1;
        }
    }
    return NTK_OK;
}

static ntk_status check(const struct work *w, int64_t c)
{
    const struct ntk_pcg *p = w->p;
    const struct column *k = &w->columns[c];
    const double length = norm(w->n, w->x + c * w->n);
    const double rounding = ntk_spectral_rounding(w->n, p->precision, p->largest);

    if (k->length <= wanted(p, length) || (k->length <= ROUNDED && k->length <= rounding * length))
        return NTK_OK;
    return ntk_fail(p->ctx, NTK_ENUMERIC,
                    "after %lld steps of conjugate gradients the residual is %.1e of the right-hand side, not %g, and falls "
                    "no more: the matrix is %s; add more to its diagonal",
                    (long long)k->steps, k->length, fmax(p->tolerance, DBL_EPSILON),
                    k->stuck ? "not positive definite, to rounding error" : "too ill-conditioned");
}

/* Steps that were cancelled leave a solution so far. */
static ntk_status kept_if_cancelled(struct work *w, ntk_status status)
{
    return status == NTK_ECANCEL && w->p->keep && keep(w) != NTK_OK ? NTK_EIO : status;
}

static ntk_status run(struct work *w, double *x, const double *start)
{
    const int64_t n = w->n;
    int64_t left = w->m;

    for (int64_t c = 0; c < w->m; c++) {
        const double scale = ntk_sums_norm(n, x + c * n);

        w->columns[c] = (struct column){.number = c, .scale = scale, .length = scale > 0};
        for (int64_t i = 0; i < n; i++)
            w->b[c * n + i] = scale > 0 ? x[c * n + i] / scale : 0;
    }
    NTK_TRY(start_from(w, start));
    for (int64_t c = left - 1; c >= 0; c--)
        if (w->columns[c].length <= wanted(w->p, norm(n, w->x + c * n)))
            swap_columns(w, c, --left);
    while (left > 0) {
        NTK_TRY(kept_if_cancelled(w, steps(w, left)));
        NTK_TRY(correct(w, &left));
    }
    for (int64_t c = 0; c < w->m; c++) {
        const struct column *k = &w->columns[c];

        NTK_TRY(check(w, c));
        w->p->steps = k->steps > w->p->steps ? k->steps : w->p->steps;
        w->p->residual = fmax(w->p->residual, k->length);
        for (int64_t i = 0; i < n; i++)
            x[k->number * n + i] = w->x[c * n + i] * k->scale;
    }
    return NTK_OK;
}

int64_t ntk_pcg_columns(const ntk_ctx *ctx, int64_t n, int64_t m)
{
    const double bytes = (double)NTK_PCG_MOST * NTK_PCG_VECTORS * (double)n * sizeof(double);
    const int64_t most = m > NTK_PCG_COLUMNS && ntk_spare(ctx, ntk_bytes(bytes)) ? NTK_PCG_MOST : NTK_PCG_COLUMNS;

    return m < most ? m : most;
}

ntk_status ntk_pcg_solve(struct ntk_pcg *p, int64_t m, double *x, const double *start)
{
    const int64_t most = p->columns ? p->columns : ntk_pcg_columns(p->ctx, p->n, m), size = most * p->n;
    struct column columns[NTK_PCG_MOST];
    struct telling telling;
    struct work w = {.p = p, .n = p->n, .columns = columns, .telling = &telling};
    ntk_status status = NTK_OK;

    ntk_pace_begin(&w.pace, (double)m * (double)p->n * sizeof *x);
    w.b = ntk_alloc(p->ctx, (size_t)size, NTK_PCG_VECTORS * sizeof *w.b);
    if (!w.b)
        return NTK_ENOMEM;
    w.x = w.b + size;
    w.d = w.x + size;
    w.r = w.d + size;
    w.dir = w.r + size;
    w.z = w.dir + size;
    w.q = w.z + size;
    begin_telling(p, &telling);
    for (int64_t c = 0; c < m && status == NTK_OK; c += most) {
        w.first = c;
        w.m = m - c < most ? m - c : most;
        telling.step = 0;
        telling.done = telling.shown = 0;
        status = run(&w, x + c * p->n, start ? start + c * p->n : NULL);
    }
    end_telling(&telling);
    free(w.b);
    return status == NTK_OK ? ntk_progress(p->ctx, "digits of the solution", 1, 1) : status;
}
