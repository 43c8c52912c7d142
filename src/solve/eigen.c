/* SPDX-License-Identifier: MIT
 *
 * eigen.c - K = V diag(l) V', from which any ridge is had, the same for all samples: (K + r)^-1 = V diag(1/w) V' with the
 * weights w of spectral.h. Null directions, whose weight is 0, do not move: they are left out of the inverse.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pieces.h"
#include "solve/solver.h"
#include "solve/spectral.h"

struct eigen {
    struct ntk_solver base;
    struct ntk_eigen e; /* vectors: K, until it is decomposed */
    double *weights;    /* [n] */
    bool decomposed;
};

static struct eigen *own(struct ntk_solver *s) { return (struct eigen *)s; }

static size_t bytes(int64_t n) { return ntk_bytes(((double)n + 2) * (double)n * sizeof(double)); }

/* dsyevd has two more matrices of its own. */
static size_t peak(int64_t n) { return ntk_bytes((3 * (double)n + 2) * (double)n * sizeof(double)); }

static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    ntk_eigen_cost(t->n, c);
    c->passes = 1;
}

static void close(struct ntk_solver *s)
{
    free(own(s)->e.vectors);
    free(own(s)->e.values);
    free(own(s)->weights);
    free(s);
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    const int64_t n = k->n;
    struct eigen *g = ntk_alloc_zero(ctx, 1, sizeof *g);

    (void)beside;
    if (!g)
        return NTK_ENOMEM;
    g->e.vectors = ntk_alloc(ctx, (size_t)n * (size_t)n, sizeof *g->e.vectors);
    g->e.values = ntk_alloc(ctx, (size_t)n, sizeof *g->e.values);
    g->weights = ntk_alloc(ctx, (size_t)n, sizeof *g->weights);
    if (!g->e.vectors || !g->e.values || !g->weights) {
        close(&g->base);
        return NTK_ENOMEM;
    }
    *s = &g->base;
    return NTK_OK;
}

static void put(void *s, const ntk_block *block, ntk_dtype dtype)
{
    struct ntk_square square = {own(s)->base.n, own(s)->e.vectors};

    ntk_square_put(&square, block, dtype);
}

static void read_diagonal(struct ntk_solver *s, double *diagonal)
{
    for (int64_t i = 0; i < s->n; i++)
        diagonal[i] = own(s)->e.vectors[i * s->n + i];
    own(s)->decomposed = false;
}

static ntk_status eigen(struct ntk_solver *s, const struct ntk_eigen **e)
{
    struct eigen *g = own(s);

    if (!g->decomposed) {
        s->there = false; /* if it fails */
        NTK_TRY(ntk_spectral_eigen(s->ctx, s->n, s->precision, g->e.vectors, g->e.values));
        s->there = g->decomposed = true;
    }
    *e = &g->e;
    return NTK_OK;
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    const struct ntk_eigen *e;

    (void)how, (void)size;
    if (!s->constant)
        return ntk_fail(s->ctx, NTK_EINVAL,
                        "an eigen-decomposition takes one ridge for all samples: weights and noise need the solver "
                        "'cholesky', and have no finite times");
    NTK_TRY(eigen(s, &e));
    memcpy(own(s)->weights, e->values, (size_t)s->n * sizeof *e->values);
    (void)ntk_spectral_weights(s->ctx, s->n, s->precision, s->ridge[0], own(s)->weights);
    return NTK_OK;
}

static ntk_status restored(struct ntk_solver *s)
{
    own(s)->decomposed = s->there = true;
    memcpy(own(s)->weights, own(s)->e.values, (size_t)s->n * sizeof *own(s)->weights);
    (void)ntk_spectral_weights(NULL, s->n, s->precision, s->ridge[0], own(s)->weights); /* it was said */
    return NTK_OK;
}

/* to [m][n] = V' from, or V from. */
static ntk_status turn(struct ntk_solver *s, bool back, int64_t m, const double *from, double *to)
{
    struct ntk_pieces p = ntk_pieces_of(s->ctx, NULL, 0);
    const int n = (int)s->n;

    memset(to, 0, (size_t)(m * s->n) * sizeof *to);
    ntk_pieces_gemm(&p, back ? CblasNoTrans : CblasTrans, CblasNoTrans, n, (int)m, n, 1, own(s)->e.vectors, n, from, n,
                    to, n);
    return p.status;
}

/* x = V diag(1/w) V' x, or its root's half, diag(w^-1/2) V' x. */
static ntk_status invert(struct ntk_solver *s, bool half, int64_t m, double *x)
{
    const double *w = own(s)->weights;
    double *p = ntk_alloc(s->ctx, (size_t)(m * s->n), sizeof *p);
    ntk_status status = p ? turn(s, false, m, x, p) : NTK_ENOMEM;

    for (int64_t k = 0; status == NTK_OK && k < s->n; k++) {
        const double g = ntk_spectral(NTK_GAIN, w[k], (double)INFINITY), scale = half ? sqrt(g) : g;

        for (int64_t i = 0; i < m; i++)
            p[i * s->n + k] *= scale;
    }
    if (status == NTK_OK && half)
        memcpy(x, p, (size_t)(m * s->n) * sizeof *x);
    else if (status == NTK_OK)
        status = turn(s, true, m, p, x);
    free(p);
    return status;
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x) { return invert(s, false, m, x); }
static ntk_status half(struct ntk_solver *s, int64_t m, double *x) { return invert(s, true, m, x); }

static ntk_status check_regular(struct ntk_solver *s)
{
    int64_t nulls = 0;

    while (nulls < s->n && own(s)->weights[nulls] == 0)
        nulls++;
    return nulls == 0 ? NTK_OK
                      : ntk_fail(s->ctx, NTK_ENUMERIC,
                                 "the matrix is singular: %lld of its %lld eigenvalues are not above rounding error",
                                 (long long)nulls, (long long)s->n);
}

static ntk_status log_determinant(struct ntk_solver *s, double *value)
{
    NTK_TRY(check_regular(s));
    *value = 0;
    for (int64_t k = 0; k < s->n; k++)
        *value += log(own(s)->weights[k]);
    return NTK_OK;
}

static ntk_status inverse_diagonal(struct ntk_solver *s, double *d)
{
    NTK_TRY(check_regular(s));
    memset(d, 0, (size_t)s->n * sizeof *d);
    for (int64_t k = 0; k < s->n; k++) {
        const double *v = own(s)->e.vectors + k * s->n, w = own(s)->weights[k];

        for (int64_t i = 0; i < s->n; i++)
            d[i] += v[i] * v[i] / w;
    }
    return NTK_OK;
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    *least = own(s)->e.values[0] + s->ridge[0];
    *largest = own(s)->e.values[s->n - 1] + s->ridge[0];
    return NTK_OK;
}

static bool part(struct ntk_solver *s, size_t k, struct ntk_solver_part *p)
{
    *p = k == 0 ? (struct ntk_solver_part){"vectors", s->n, s->n, own(s)->e.vectors}
                : (struct ntk_solver_part){"values", s->n, 1, own(s)->e.values};
    return k < 2;
}

const struct ntk_solver_class ntk_solver_class_eigen = {
    .name = "eigen",
    .bytes = bytes,
    .peak = peak,
    .cost = cost,
    .open = open,
    .put = put,
    .read_diagonal = read_diagonal,
    .factor = factor,
    .solve = solve,
    .half = half,
    .log_determinant = log_determinant,
    .inverse_diagonal = inverse_diagonal,
    .extremes = extremes,
    .eigen = eigen,
    .part = part,
    .restored = restored,
    .close = close,
};
