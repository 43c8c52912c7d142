/* SPDX-License-Identifier: MIT
 *
 * mixed.c - solver: Cholesky in float32, in half of float64's memory and time, and solutions refined to float64's digits
 * by conjugate gradients on K as it is, whose preconditioner the factor is. Plain refinement (Higham 2002, 12) falls as
 * fast where it falls, and does not where the condition is above 1e7. Where a matrix has no factor in float32, that of
 * K + R + shift is as good. Products are those of K in memory, where there is room for it, else the operator's.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "solve/pcg.h"
#include "solve/ritz.h"
#include "solve/single.h"
#include "solve/solver.h"

#define SHIFT   (4 * (double)FLT_EPSILON) /* the first, of the largest eigenvalue */
#define LARGEST 1e30 /* of a diagonal that float32 can square, and its inverse */

struct mixed {
    struct ntk_solver base;
    struct ntk_strips l; /* K in float32 unless it is kept, then the factor */
    struct ntk_strips k; /* of the operator's type; a NULL: not kept */
    size_t held;         /* bytes of k */
    double *diagonal;    /* [n] of K */
    double shift, largest;
    bool said;           /* how a solution went */
};

static struct mixed *own(struct ntk_solver *s) { return (struct mixed *)s; }

static size_t bytes(int64_t n) { return ntk_strips_bytes(n, NTK_ENTRIES_F32) + ntk_bytes((double)n * sizeof(double)); }

static size_t peak(int64_t n)
{
    const double each = NTK_PCG_VECTORS * sizeof(double) + sizeof(float);

    return bytes(n) + ntk_bytes(NTK_PCG_COLUMNS * each * (double)n) + ntk_strips_work(n, NTK_PCG_COLUMNS);
}

#define REFINED 5 /* steps, usually: 3 to 10 */
#define LOOKED  20 /* of Lanczos, for the largest eigenvalue */

/* A step is a product with K, of what is kept or by the operator, and a solution, two passes over the factor. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n, l = 2 * n * n, k = n * n / 2 * (double)t->dtype;
    const double products = REFINED * (double)((t->outputs + NTK_PCG_COLUMNS - 1) / NTK_PCG_COLUMNS);
    const bool is_kept = (double)peak(t->n) + k <= (double)t->room;

    *c = (struct ntk_cost){.f32 = n * n * n / 3,
                           .moved = products * (2 * l + (is_kept ? k : 0)),
                           .streamed = LOOKED * l,
                           .passes = is_kept ? 1 : 1 + products,
                           .kept = is_kept ? k : 0,
                           .steps = REFINED,
                           .assumed = "5 steps of refinement"};
}

static void close(struct ntk_solver *s)
{
    ntk_ctx_release(s->ctx, own(s)->held);
    ntk_strips_free(&own(s)->k);
    ntk_strips_free(&own(s)->l);
    free(own(s)->diagonal);
    free(s);
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    const size_t kept = ntk_strips_bytes(k->n, ntk_entries_of(k->dtype));
    struct mixed *x;
    size_t scratch;
    ntk_status status;

    NTK_TRY(ntk_operator_scratch(k, &scratch));
    x = ntk_alloc_zero(ctx, 1, sizeof *x);
    if (!x)
        return NTK_ENOMEM;
    x->base.ctx = ctx;
    x->diagonal = ntk_alloc(ctx, (size_t)k->n, sizeof *x->diagonal);
    status = x->diagonal ? ntk_strips_new(ctx, k->n, NTK_ENTRIES_F32, NULL, &x->l) : NTK_ENOMEM;
    if (status == NTK_OK && !k->class->resident && ntk_spare(ctx, peak(k->n) + kept + beside + scratch)) {
        status = ntk_strips_new(ctx, k->n, ntk_entries_of(k->dtype), NULL, &x->k);
        if (status == NTK_OK)
            ntk_ctx_keep(ctx, kept, &x->held);
    }
    if (status != NTK_OK) {
        close(&x->base);
        return status;
    }
    *s = &x->base;
    return NTK_OK;
}

static void put(void *s, const ntk_block *block, ntk_dtype dtype)
{
    struct mixed *x = s;

    ntk_strips_put(x->k.a ? &x->k : &x->l, block, dtype);
    ntk_block_diagonal(block, dtype, x->diagonal);
}

static void read_diagonal(struct ntk_solver *s, double *diagonal)
{
    memcpy(diagonal, own(s)->diagonal, (size_t)s->n * sizeof *diagonal);
}

/* ---- the factor */

/* K + R + shift in float32. */
static ntk_status fill(struct ntk_solver *s, bool there, double shift)
{
    struct mixed *x = own(s);

    if (x->k.a) {
        const int64_t elements = (int64_t)(ntk_strips_bytes(s->n, NTK_ENTRIES_F32) / sizeof(float));
        float *to = x->l.a;

        for (int64_t i = 0; i < elements; i++)
            to[i] = (float)ntk_number(x->k.a, s->k->dtype, (size_t)i);
    } else if (!there) {
        NTK_TRY(ntk_operator_read_one(s->k, s->which, (struct ntk_taker){put, s}, bytes(s->n),
                                      "a kernel matrix of this many samples"));
    }
    for (int64_t i = 0; i < s->n; i++) {
        const struct ntk_strips *l = &x->l;
        const int64_t k = i / NTK_STRIP, first = k * NTK_STRIP;
        float *square = ntk_strip_at(l, k);

        square[(i - first) * (s->n - first + 1)] = (float)(x->diagonal[i] + s->ridge[i] + shift);
    }
    return NTK_OK;
}

struct filled {
    struct ntk_solver *s;
    double *product; /* [n] */
};

static ntk_status apply_filled(double *v, void *user)
{
    const struct filled *f = user;

    NTK_TRY(ntk_strips_multiply(f->s->ctx, &own(f->s)->l, 1, v, f->product));
    memcpy(v, f->product, (size_t)f->s->n * sizeof *v);
    return ntk_poll(f->s->ctx);
}

static ntk_status find_largest(struct ntk_solver *s, double *largest)
{
    struct filled f = {s, ntk_alloc(s->ctx, (size_t)s->n, sizeof *f.product)};
    const ntk_status status = f.product ? ntk_lanczos_largest(s->ctx, s->n, apply_filled, &f, largest) : NTK_ENOMEM;

    free(f.product);
    return status;
}

static ntk_status check_range(struct ntk_solver *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        const double d = fabs(own(s)->diagonal[i] + s->ridge[i]);

        if (d > LARGEST || (d > 0 && d < 1 / LARGEST))
            return ntk_fail(s->ctx, NTK_ENUMERIC,
                            "the diagonal has %g at sample %lld: the solver 'mixed' factors in float32, which takes %g to "
                            "%g; use 'cholesky'",
                            d, (long long)i, 1 / LARGEST, LARGEST);
    }
    return NTK_OK;
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x);

/* Whether a pivot is what rounding errors of float32 make of one. */
static bool is_doubtful(const struct mixed *x)
{
    for (int64_t i = 0; i < x->l.n; i++) {
        const double pivot = ntk_strips_entry(&x->l, i, i);

        if (!(pivot * pivot > SHIFT * x->largest))
            return true;
    }
    return false;
}

/* A matrix that has no factor in float32, or hardly, may have none at all. Then a solution of no structure does not exist, or is as
 * long as rounding errors make it. */
static ntk_status check_definite(struct ntk_solver *s, char *how, size_t size)
{
    double *x = ntk_alloc(s->ctx, (size_t)s->n, sizeof *x), length;
    ntk_status status;

    if (!x)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < s->n; i++)
        x[i] = ((uint64_t)i * 0x9e3779b97f4a7c15u >> 63 ? 1 : -1) / sqrt((double)s->n);
    own(s)->said = true; /* it is no solution that was asked for */
    status = solve(s, 1, x);
    own(s)->said = false;
    length = status == NTK_OK ? ntk_sums_norm(s->n, x) : (double)INFINITY;
    free(x);
    if (status != NTK_OK && status != NTK_ENUMERIC)
        return status;
    if (length * own(s)->largest * (double)s->n * DBL_EPSILON >= 1)
        ntk_format(how, size, "its least eigenvalue is not above rounding error (%.1e)",
                   (double)s->n * DBL_EPSILON * own(s)->largest);
    else if (own(s)->shift > 0)
        ntk_log(s->ctx, 0, "mixed: the matrix has no factor in float32; solutions are refined with that of the matrix and "
                "%.2e on its diagonal", own(s)->shift);
    return NTK_OK;
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    struct mixed *x = own(s);
    bool there = s->there;
    int minor = 1;

    x->said = false;
    x->shift = 0;
    NTK_TRY(ntk_progress(s->ctx, "factorisations", 0, 1));
    NTK_TRY(check_range(s));
    s->there = x->k.a != NULL;
    for (;;) {
        NTK_TRY(fill(s, there, x->shift));
        if (x->shift == 0)
            NTK_TRY(find_largest(s, &x->largest));
        there = false;
        NTK_TRY(ntk_single_factor(s->ctx, &x->l, &minor));
        if (minor == 0 || !(x->shift < x->largest))
            break;
        x->shift = x->shift > 0 ? 10 * x->shift : SHIFT * x->largest;
    }
    if (minor)
        ntk_format(how, size, "its leading minor of order %d is not positive", minor);
    else if (x->shift > 0 || is_doubtful(x))
        NTK_TRY(check_definite(s, how, size));
    return *how ? NTK_OK : ntk_progress(s->ctx, "factorisations", 1, 1);
}

/* ---- solutions */

struct solving {
    struct ntk_solver *s;
    float *narrow; /* [ntk_pcg_columns][n] */
};

static ntk_status apply(void *user, int64_t m, const double *v, double *out)
{
    struct ntk_solver *s = ((struct solving *)user)->s;

    return ntk_solver_shifted(s, &own(s)->k, m, v, out);
}

/* Of residuals, each divided by its largest number, as float32 has few exponents. */
static ntk_status precondition(void *user, int64_t m, const double *r, double *z)
{
    struct solving *o = user;
    const int64_t n = o->s->n;

    for (int64_t c = 0; c < m; c++) {
        const double scale = ntk_sums_norm(n, r + c * n);

        for (int64_t i = 0; i < n; i++)
            o->narrow[c * n + i] = scale > 0 ? (float)(r[c * n + i] / scale) : 0;
    }
    NTK_TRY(ntk_single_solve(o->s->ctx, &own(o->s)->l, m, o->narrow));
    for (int64_t c = 0; c < m; c++) {
        const double scale = ntk_sums_norm(n, r + c * n);

        for (int64_t i = 0; i < n; i++)
            z[c * n + i] = scale * (double)o->narrow[c * n + i];
    }
    return NTK_OK;
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x)
{
    const int64_t most = ntk_pcg_columns(s->ctx, s->n, m);
    struct solving o = {s, ntk_alloc(s->ctx, (size_t)(most * s->n), sizeof *o.narrow)};
    struct ntk_pcg p = {.ctx = s->ctx,
                        .n = s->n,
                        .apply = apply,
                        .precondition = precondition,
                        .user = &o,
                        .columns = most,
                        .precision = NTK_F64,
                        .largest = own(s)->largest};
    const ntk_status status = o.narrow ? ntk_pcg_solve(&p, m, x, NULL) : NTK_ENOMEM;

    free(o.narrow);
    if (status == NTK_OK && !own(s)->said)
        ntk_log(s->ctx, 0, "mixed: %lld steps of refinement, residual %.1e", (long long)p.steps, p.residual);
    own(s)->said = true;
    if (status == NTK_OK)
        ntk_solver_solved(s, p.steps, p.residual);
    return status;
}

/* ---- eigenvalues */

static ntk_status apply_inverse(double *v, void *user)
{
    return solve(((const struct ntk_shifted *)user)->s, 1, v);
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    struct ntk_shifted p = {s, &own(s)->k, ntk_alloc(s->ctx, (size_t)s->n, sizeof *p.out)};
    double inverse = 0;
    ntk_status status = p.out ? ntk_lanczos_largest(s->ctx, s->n, ntk_shifted_in_place, &p, largest) : NTK_ENOMEM;

    if (status == NTK_OK)
        status = ntk_lanczos_largest(s->ctx, s->n, apply_inverse, &p, &inverse);
    free(p.out);
    *least = 1 / inverse;
    return status;
}

const struct ntk_solver_class ntk_solver_class_mixed = {
    .name = "mixed",
    .bytes = bytes,
    .peak = peak,
    .cost = cost,
    .open = open,
    .put = put,
    .read_diagonal = read_diagonal,
    .factor = factor,
    .solve = solve,
    .extremes = extremes,
    .close = close,
};
