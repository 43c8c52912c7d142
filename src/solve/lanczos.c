/* SPDX-License-Identifier: MIT
 *
 * lanczos.c - solver: (K + R)^-1 b by products with K alone. Lanczos from b with full reorthogonalisation, which makes
 * K + R a tridiagonal matrix T that is solved (Golub and Van Loan 2013, 11.3.4); in exact arithmetic these are the
 * solutions of conjugate gradients. It needs memory for its steps, and none for K.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "solve/ritz.h"
#include "solve/solver.h"
#include "solve/spectral.h"

#define STEPS_MAX 1000
#define ROUNDED   1e-4  /* what it may be where rounding errors allow no less */

struct lanczos {
    struct ntk_solver base;
    double *product; /* [n] */
};

static struct lanczos *own(struct ntk_solver *s) { return (struct lanczos *)s; }

static int64_t most_steps(int64_t n) { return n < STEPS_MAX ? n : STEPS_MAX; }

static size_t bytes(int64_t n) { return (size_t)n * sizeof(double); }

/* The basis, and three vectors of a solution. */
static size_t peak(int64_t n)
{
    return ntk_basis_bytes(n, most_steps(n)) + 4 * bytes(n);
}

#define STEPS_USUAL 100 /* of a right-hand side, where the condition is not known */

/* A product each, for which the operator's entries are read again; two passes over the basis, each twice. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n, steps = fmin(STEPS_USUAL, n);

    *c = (struct ntk_cost){.streamed = (double)t->outputs * 16 * n * steps * steps,
                           .passes = (double)t->outputs * (steps + 1),
                           .steps = (int64_t)steps,
                           .assumed = "100 steps a right-hand side, none kept of the kernel"};
}

static void close(struct ntk_solver *s)
{
    free(own(s)->product);
    free(s);
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    struct lanczos *l = ntk_alloc_zero(ctx, 1, sizeof *l);

    (void)beside;
    if (!l)
        return NTK_ENOMEM;
    l->product = ntk_alloc(ctx, (size_t)k->n, sizeof *l->product);
    if (!l->product) {
        free(l);
        return NTK_ENOMEM;
    }
    *s = &l->base;
    return NTK_OK;
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    (void)s, (void)how, (void)size;
    return NTK_OK;
}

static ntk_status apply(double *x, void *user)
{
    struct ntk_solver *s = user;

    return ntk_shifted_in_place(x, &(struct ntk_shifted){s, NULL, own(s)->product});
}

/* One right-hand side. */
struct solution {
    struct ntk_solver *s;
    struct ntk_basis b;
    const double *rhs;
    double *x, *next, *r; /* [n]: the solution so far, the next one, its residual */
    double scale;         /* |rhs| */
    double largest;       /* of K + R, about: a bound of the largest T's eigenvalues */
    int steps;            /* in all */
    int most_steps;       /* of all right-hand sides, and the largest residual, by its right-hand side */
    double residual;
    bool singular;        /* to rounding error, where the right-hand side leads */
};

/* T = L D L' row by row: D in b->ritz, what T y = e_1 leaves in b->work. *left: the residual that x = V y would have. */
static bool eliminate(struct solution *s, double *left)
{
    struct ntk_basis *b = &s->b;
    const int k = b->steps - 1;
    const double before = k > 0 ? b->off[k - 1] : 0, l = k > 0 ? before / b->ritz[k - 1] : 0;

    s->largest = fmax(s->largest, fabs(b->diagonal[k]) + before + b->off[k]);
    b->ritz[k] = b->diagonal[k] - l * before;
    b->work[k] = k > 0 ? -l * b->work[k - 1] : 1;
    *left = b->off[k] * fabs(b->work[k] / b->ritz[k]);
    return b->ritz[k] > (double)b->n * DBL_EPSILON * s->largest;
}

/* next = x + length * V y */
static void add_correction(struct solution *s, double length)
{
    struct ntk_basis *b = &s->b;
    double *y = b->h;

    for (int k = b->steps - 1; k >= 0; k--) {
        y[k] = b->work[k] / b->ritz[k];
        if (k + 1 < b->steps)
            y[k] -= b->off[k] / b->ritz[k] * y[k + 1];
    }
    memcpy(s->next, s->x, (size_t)b->n * sizeof *s->next);
    ntk_sums_columns(b->ctx->threads, b->steps, b->n, b->v, b->n, length, y, s->next);
}

/* Steps from the residual r, of that length, until it should have fallen to `wanted`, or falls no more. */
static ntk_status correct(struct solution *s, double length, double wanted)
{
    struct ntk_basis *b = &s->b;
    double left;

    ntk_basis_start(b, s->r, length);
    for (;;) {
        NTK_TRY(ntk_basis_step(b));
        s->steps++;
        if (!eliminate(s, &left)) {
            s->singular = true;
            b->steps--;
            break;
        }
        if (left * length <= wanted || b->steps == b->most || b->off[b->steps - 1] <= 1e-15 * s->largest)
            break;
        ntk_basis_extend(b);
    }
    add_correction(s, length);
    return NTK_OK;
}

/* r = rhs - (K + R) next */
static ntk_status find_residual(struct solution *s, double *length)
{
    memcpy(s->r, s->next, (size_t)s->b.n * sizeof *s->r);
    NTK_TRY(apply(s->r, s->s));
    for (int64_t i = 0; i < s->b.n; i++)
        s->r[i] = s->rhs[i] - s->r[i];
    *length = ntk_sums_norm(s->b.n, s->r);
    return NTK_OK;
}

/* What rounding errors of K leave of a solution that is one: without the bound, numbers so large that they are rounding
 * error themselves, along null directions, would be. */
static bool is_rounding(const struct solution *s, double length)
{
    const double rounding = ntk_spectral_rounding(s->b.n, s->s->k->precision, s->largest);

    return length <= ROUNDED * s->scale && length <= rounding * ntk_sums_norm(s->b.n, s->x);
}

static ntk_status solve_one(struct solution *s)
{
    const size_t size = (size_t)s->b.n * sizeof *s->x;
    const double tolerance = s->s->tolerance;
    double length = s->scale, now;
    bool falls = true;

    memset(s->x, 0, size);
    memcpy(s->r, s->rhs, size);
    while (length > tolerance * s->scale && falls) {
        NTK_TRY(correct(s, length, tolerance / 2 * s->scale));
        NTK_TRY(find_residual(s, &now));
        falls = now < length / 2;
        if (now < length) {
            memcpy(s->x, s->next, size);
            length = now;
        }
    }
    if (length <= tolerance * s->scale || is_rounding(s, length)) {
        s->most_steps = s->steps > s->most_steps ? s->steps : s->most_steps;
        s->residual = fmax(s->residual, s->scale > 0 ? length / s->scale : 0);
        return NTK_OK;
    }
    return ntk_fail(s->s->ctx, NTK_ENUMERIC,
                    "after %d steps of Lanczos the residual is %.1e of the right-hand side, not %g, and falls no more: "
                    "the matrix is %s; add more to its diagonal, or use the solver 'eigen'",
                    s->steps, length / s->scale, tolerance,
                    s->singular ? "singular to rounding error" : "too ill-conditioned for this many steps");
}

static ntk_status solve_columns(struct solution *s, int64_t m, double *x)
{
    for (int64_t c = 0; c < m; c++) {
        double *column = x + c * s->b.n;

        NTK_TRY(ntk_progress(s->s->ctx, "right-hand sides", (double)c, (double)m));
        s->rhs = column;
        s->scale = ntk_sums_norm(s->b.n, column);
        s->largest = 0;
        s->steps = 0;
        s->singular = false;
        NTK_TRY(solve_one(s));
        memcpy(column, s->x, (size_t)s->b.n * sizeof *column);
    }
    return ntk_progress(s->s->ctx, "right-hand sides", (double)m, (double)m);
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x)
{
    struct solution o = {.s = s};
    ntk_status status;

    NTK_TRY(ntk_basis_new(s->ctx, s->n, most_steps(s->n), apply, s, &o.b));
    o.x = ntk_alloc(s->ctx, 3 * (size_t)s->n, sizeof *o.x);
    status = o.x ? NTK_OK : NTK_ENOMEM;
    if (o.x) {
        o.next = o.x + s->n;
        o.r = o.next + s->n;
        status = solve_columns(&o, m, x);
    }
    free(o.x);
    ntk_basis_free(&o.b);
    if (status == NTK_OK)
        ntk_solver_solved(s, o.most_steps, o.residual);
    return status;
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *most)
{
    return ntk_lanczos_extremes(s->ctx, s->n, most_steps(s->n), apply, s, least, most);
}

const struct ntk_solver_class ntk_solver_class_lanczos = {
    .name = "lanczos",
    .bytes = bytes,
    .peak = peak,
    .cost = cost,
    .tolerance = NTK_TOLERANCE,
    .open = open,
    .factor = factor,
    .solve = solve,
    .extremes = extremes,
    .close = close,
};
