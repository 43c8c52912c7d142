/* SPDX-License-Identifier: MIT
 *
 * cholesky.c - K + R = L L', packed, in place.
 */
#include <math.h>
#include <stdlib.h>

#include "solve/ritz.h"
#include "solve/ridge.h"
#include "solve/solver.h"

struct cholesky {
    struct ntk_solver base;
    struct ntk_rfp l; /* K, then L */
};

static struct ntk_rfp *factor_of(struct ntk_solver *s) { return &((struct cholesky *)s)->l; }

static size_t bytes(int64_t n) { return ntk_rfp_size(n) * sizeof(double); }

/* A solution passes over the factor twice. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n;

    *c = (struct ntk_cost){.f64 = n * n * n / 3, .streamed = 2 * 4 * n * n, .passes = 1};
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    const int64_t n = k->n;
    struct cholesky *c = ntk_alloc_zero(ctx, 1, sizeof *c);
    ntk_status status = c ? ntk_rfp_new(ctx, n, &c->l) : NTK_ENOMEM;

    (void)beside;
    if (status != NTK_OK) {
        free(c);
        return status;
    }
    *s = &c->base;
    return NTK_OK;
}

static void put(void *s, const ntk_block *block, ntk_dtype dtype) { ntk_rfp_store(factor_of(s), block, dtype); }

static void read_diagonal(struct ntk_solver *s, double *diagonal)
{
    for (int64_t i = 0; i < s->n; i++)
        diagonal[i] = *ntk_rfp_at(factor_of(s), i, i);
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    NTK_TRY(ntk_progress(s->ctx, "factorisations", 0, 1));
    s->there = false;
    NTK_TRY(ntk_ridge_factor(s->ctx, factor_of(s), s->precision, s->ridge, how, size));
    return *how ? NTK_OK : ntk_progress(s->ctx, "factorisations", 1, 1);
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x) { return ntk_rfp_solve(s->ctx, factor_of(s), m, x); }

static ntk_status half(struct ntk_solver *s, int64_t m, double *x)
{
    return ntk_rfp_solve_half(s->ctx, factor_of(s), m, x);
}

static ntk_status log_determinant(struct ntk_solver *s, double *value)
{
    *value = 0;
    for (int64_t i = 0; i < s->n; i++)
        *value += 2 * log(*ntk_rfp_at(factor_of(s), i, i));
    return NTK_OK;
}

static ntk_status half_from(struct ntk_solver *s, int64_t first, int64_t m, double *x)
{
    return ntk_rfp_solve_half_from(s->ctx, factor_of(s), first, m, x);
}

static ntk_status inverse_diagonal(struct ntk_solver *s, double *d)
{
    return ntk_inverse_by_half(s, ntk_panel_rows(s->n), 0, half_from, d);
}

/* ---- eigenvalues, by Lanczos on L L' and its inverse */

struct operands {
    struct ntk_solver *s;
    double *work;
};

static ntk_status apply_matrix(double *x, void *user)
{
    const struct operands *o = user;

    ntk_rfp_restore(factor_of(o->s), x, o->work);
    return NTK_OK;
}

static ntk_status apply_inverse(double *x, void *user)
{
    const struct operands *o = user;

    return solve(o->s, 1, x);
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    struct operands o = {.s = s, .work = ntk_alloc(s->ctx, (size_t)s->n, sizeof *o.work)};
    double inverse = 0;
    ntk_status status;

    if (!o.work)
        return NTK_ENOMEM;
    status = ntk_lanczos_largest(s->ctx, s->n, apply_matrix, &o, largest);
    if (status == NTK_OK)
        status = ntk_lanczos_largest(s->ctx, s->n, apply_inverse, &o, &inverse);
    free(o.work);
    *least = 1 / inverse;
    return status;
}

static bool part(struct ntk_solver *s, size_t k, struct ntk_solver_part *p)
{
    *p = (struct ntk_solver_part){"factor", (int64_t)ntk_rfp_size(s->n), 1, factor_of(s)->a};
    return k == 0;
}

static void close(struct ntk_solver *s)
{
    ntk_rfp_free(factor_of(s));
    free(s);
}

const struct ntk_solver_class ntk_solver_class_cholesky = {
    .name = "cholesky",
    .bytes = bytes,
    .peak = bytes,
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
    .part = part,
    .close = close,
};
