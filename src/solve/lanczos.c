/* SPDX-License-Identifier: MIT
 *
 * lanczos.c - (K + R)^-1 b from products with K alone: Lanczos from b with full reorthogonalisation, K + R on its basis
 * is a tridiagonal matrix that is solved (Golub and Van Loan 2013, 11.3.4). It needs memory for its steps, not for K.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "solve/ritz.h"
#include "solve/solver.h"

#define STEPS_MAX 1000
#define SOLVED    1e-12 /* residual, of the right-hand side */
#define ACCEPTED  1e-10 /* residual, of what rounding errors are relative to: |A| |x| + |b| */
#define EVERY     8     /* steps between looks at the residual */

static int steps_of(int64_t n) { return n < STEPS_MAX ? (int)n : STEPS_MAX; }

static size_t bytes(int64_t n) { return ntk_bytes(((double)steps_of(n) + 4) * (double)n * sizeof(double)); }

static ntk_status open(ntk_ctx *ctx, int64_t n, struct ntk_solver **s)
{
    (void)n;
    *s = ntk_alloc_zero(ctx, 1, sizeof **s);
    return *s ? NTK_OK : NTK_ENOMEM;
}

static void close(struct ntk_solver *s) { free(s); }

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    (void)s, (void)how, (void)size;
    return NTK_OK;
}

/* out = (K + R) x */
static ntk_status multiply(struct ntk_solver *s, const double *x, double *out)
{
    NTK_TRY(ntk_operator_apply(s->k, s->which, 1, x, out));
    for (int64_t i = 0; i < s->n; i++)
        out[i] += s->ridge[i] * x[i];
    return NTK_OK;
}

struct steps {
    struct ntk_solver *s;
    int most, n_steps;
    double *v;                /* [most][n] the basis */
    double *w;                /* [n] */
    double *h;                /* [most] */
    double *diagonal, *off;   /* [most] of the tridiagonal matrix */
    double *d, *e, *y;        /* [most] a copy that is solved; the solution on the basis */
    double largest;           /* a bound of K + R's eigenvalues, by the rows of the tridiagonal matrix */
};

/* Twice is enough (Parlett 1998, 6.9). */
static void orthogonalise(const struct steps *l, int k)
{
    const int n = (int)l->s->n;

    for (int pass = 0; pass < 2; pass++) {
        cblas_dgemv(CblasColMajor, CblasTrans, n, k, 1, l->v, n, l->w, 1, 0, l->h, 1);
        cblas_dgemv(CblasColMajor, CblasNoTrans, n, k, -1, l->v, n, l->h, 1, 1, l->w, 1);
    }
}

/* Solves on the first k vectors; the residual in units of the right-hand side, INFINITY: not positive definite there. */
static double solve_on_basis(const struct steps *l, int k)
{
    const int one = 1;
    int info;

    memcpy(l->d, l->diagonal, (size_t)k * sizeof *l->d);
    memcpy(l->e, l->off, (size_t)k * sizeof *l->e);
    memset(l->y, 0, (size_t)k * sizeof *l->y);
    l->y[0] = 1;
    dptsv_(&k, &one, l->d, l->e, l->y, &k, &info);
    return info == 0 ? l->off[k - 1] * fabs(l->y[k - 1]) : (double)INFINITY;
}

/* From the unit vector v[0] until its residual is small or nothing is left. */
static ntk_status run(struct steps *l)
{
    const size_t n = (size_t)l->s->n;

    l->largest = 0;
    for (int k = 0; k < l->most; k++) {
        double *vk = l->v + (size_t)k * n;

        NTK_TRY(multiply(l->s, vk, l->w));
        NTK_TRY(ntk_progress(l->s->ctx, "Lanczos steps", k + 1, l->most));
        l->diagonal[k] = cblas_ddot((int)n, l->w, 1, vk, 1);
        orthogonalise(l, k + 1);
        l->off[k] = cblas_dnrm2((int)n, l->w, 1);
        l->largest = fmax(l->largest, fabs(l->diagonal[k]) + l->off[k] + (k ? l->off[k - 1] : 0));
        l->n_steps = k + 1;
        if (k + 1 == l->most || l->off[k] <= 1e-14 * l->largest ||
            (k % EVERY == EVERY - 1 && solve_on_basis(l, k + 1) <= SOLVED))
            return NTK_OK;
        for (size_t i = 0; i < n; i++)
            vk[n + i] = l->w[i] / l->off[k];
    }
    return NTK_OK;
}

/* The residual that there really is, relative to rounding errors of products. */
static ntk_status check(const struct steps *l, const double *b, double norm, const double *x)
{
    const int n = (int)l->s->n;
    double residual;

    NTK_TRY(multiply(l->s, x, l->w));
    cblas_daxpy(n, -1, b, 1, l->w, 1);
    residual = cblas_dnrm2(n, l->w, 1) / (l->largest * cblas_dnrm2(n, x, 1) + norm);
    if (residual <= ACCEPTED)
        return NTK_OK;
    return ntk_fail(l->s->ctx, NTK_ENUMERIC,
                    "Lanczos has not solved the %lld x %lld matrix in %d steps: a residual of %.1e is left, relative to "
                    "the matrix and the solution; it is singular or ill-conditioned: add more to the diagonal, or use "
                    "the solver 'cholesky'",
                    (long long)l->s->n, (long long)l->s->n, l->n_steps, residual);
}

static ntk_status solve_one(struct steps *l, double *b, double *x)
{
    const int n = (int)l->s->n;
    const double norm = cblas_dnrm2(n, b, 1);

    if (norm == 0)
        return NTK_OK;
    for (int i = 0; i < n; i++)
        l->v[i] = b[i] / norm;
    NTK_TRY(run(l));
    if (isinf(solve_on_basis(l, l->n_steps)))
        memset(l->y, 0, (size_t)l->n_steps * sizeof *l->y);
    cblas_dgemv(CblasColMajor, CblasNoTrans, n, l->n_steps, norm, l->v, n, l->y, 1, 0, x, 1);
    NTK_TRY(check(l, b, norm, x));
    memcpy(b, x, (size_t)n * sizeof *b);
    return NTK_OK;
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x)
{
    const int most = steps_of(s->n);
    const size_t n = (size_t)s->n, small = (size_t)most;
    struct steps l = {.s = s, .most = most};
    double *solution, *all;
    ntk_status status;

    NTK_TRY(ntk_ctx_hold(s->ctx, bytes(s->n), "Lanczos' basis"));
    all = ntk_alloc(s->ctx, small * n + 2 * n + 6 * small, sizeof *all);
    status = all ? NTK_OK : NTK_ENOMEM;
    if (all) {
        l.v = all;
        l.w = l.v + small * n;
        solution = l.w + n;
        l.h = solution + n;
        l.diagonal = l.h + small;
        l.off = l.diagonal + small;
        l.d = l.off + small;
        l.e = l.d + small;
        l.y = l.e + small;
        for (int64_t i = 0; i < m && status == NTK_OK; i++)
            status = solve_one(&l, x + (size_t)i * n, solution);
    }
    ntk_ctx_release(s->ctx, bytes(s->n));
    free(all);
    return status;
}

/* ---- eigenvalues: the least to 1e-6 of the largest */

struct shifted {
    struct ntk_solver *s;
    double shift, *work; /* shift I - (K + R); 0: K + R */
};

static ntk_status apply_shifted(double *x, void *user)
{
    const struct shifted *o = user;

    NTK_TRY(multiply(o->s, x, o->work));
    for (int64_t i = 0; i < o->s->n; i++)
        x[i] = o->shift > 0 ? o->shift * x[i] - o->work[i] : o->work[i];
    return NTK_OK;
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    struct shifted o = {.s = s, .work = ntk_alloc(s->ctx, (size_t)s->n, sizeof *o.work)};
    ntk_status status = o.work ? ntk_lanczos_largest(s->ctx, s->n, apply_shifted, &o, largest) : NTK_ENOMEM;

    o.shift = *largest;
    if (status == NTK_OK)
        status = ntk_lanczos_largest(s->ctx, s->n, apply_shifted, &o, least);
    *least = o.shift - *least;
    free(o.work);
    return status;
}

const struct ntk_solver_class ntk_solver_class_lanczos = {
    .name = "lanczos",
    .bytes = bytes,
    .peak = bytes,
    .open = open,
    .factor = factor,
    .solve = solve,
    .extremes = extremes,
    .close = close,
};
