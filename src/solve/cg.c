/* SPDX-License-Identifier: MIT
 *
 * cg.c - solver: conjugate gradients for all right-hand sides at once (pcg.h), preconditioned by a partial Cholesky factor
 * (pivoted.h). No factor of K: an iteration is one pass over its entries, and takes as long as memory needs for them. They
 * are kept in half a matrix of the operator's type; where there is no room for that, of a float64 kernel in float32, which is
 * said; else the operator multiplies, which reads a store or computes the kernel each time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "solve/pcg.h"
#include "solve/pivoted.h"
#include "solve/ritz.h"
#include "solve/solver.h"
#include "store/strips.h"

#define EXTREMES 1000 /* steps of Lanczos */
#define KEPT     16   /* right-hand sides whose solutions are where the next begin, if there are no more */

struct cg {
    struct ntk_solver base;
    struct ntk_strips k; /* a NULL: the operator multiplies */
    struct ntk_pivoted f;
    bool prepared;       /* k and f are made */
    size_t held;         /* bytes, beyond class->bytes */
    double *last;        /* [columns][n], the solutions of the last right-hand sides */
    int64_t columns;     /* 0: none */
    bool said;           /* how a solution went */
};

static struct cg *own(struct ntk_solver *s) { return (struct cg *)s; }

/* A tenth of the samples at most: more take longer than they save, and few samples need none. */
static int64_t usual_rank(int64_t n)
{
    const int64_t rank = n > 60000 ? 2000 : 1000;

    return n < 100 ? 0 : n / 10 < rank ? n / 10 : rank;
}

/* Of products alone there are no rows. */
static int64_t wanted_rank(const struct ntk_solver *s)
{
    if (!s->k->class->stream && !s->k->class->rows)
        return 0;
    return s->rank == 0 ? usual_rank(s->n) : s->rank < s->n ? s->rank : s->n;
}

static size_t bytes(int64_t n)
{
    return ntk_pivoted_bytes(n, usual_rank(n)) + ntk_bytes((KEPT + 1) * (double)n * sizeof(double));
}

/* Vectors of a solution and what products with them need; it is more than the pivots need. */
static size_t work_bytes(int64_t n, int64_t rank)
{
    const size_t vectors = ntk_bytes(NTK_PCG_COLUMNS * (NTK_PCG_VECTORS * (double)n + (double)rank) * sizeof(double));
    const size_t solving = vectors + ntk_strips_work(n, NTK_PCG_COLUMNS), pivoting = ntk_pivoted_work(n, rank);

    return solving > pivoting ? solving : pivoting;
}

static size_t peak(int64_t n) { return bytes(n) + work_bytes(n, usual_rank(n)); }

static void forget(struct cg *g)
{
    ntk_pivoted_free(&g->f);
    ntk_strips_free(&g->k);
    ntk_ctx_release(g->base.ctx, g->held);
    g->held = 0;
    g->prepared = false;
}

static void close(struct ntk_solver *s)
{
    forget(own(s));
    free(own(s)->last);
    free(s);
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    struct cg *g = ntk_alloc_zero(ctx, 1, sizeof *g);

    (void)beside;
    if (!g)
        return NTK_ENOMEM;
    g->base.ctx = ctx;
    g->last = ntk_alloc(ctx, (size_t)(KEPT * k->n), sizeof *g->last);
    if (!g->last) {
        free(g);
        return NTK_ENOMEM;
    }
    *s = &g->base;
    return NTK_OK;
}

/* ---- the matrix */

static void put(void *to, const ntk_block *block, ntk_dtype dtype) { ntk_strips_put(to, block, dtype); }

static ntk_status read_triangle(struct ntk_solver *s, ntk_dtype dtype)
{
    struct cg *g = own(s);
    const size_t more = ntk_strips_bytes(s->n, dtype);

    NTK_TRY(ntk_strips_new(s->ctx, s->n, dtype, &g->k));
    NTK_TRY(ntk_operator_read_one(s->k, s->which, (struct ntk_taker){put, &g->k}, bytes(s->n) + more,
                                  "a kernel matrix of this many samples"));
    ntk_ctx_keep(s->ctx, more, &g->held);
    return NTK_OK;
}

/* Where products come from. */
static ntk_status take_matrix(struct ntk_solver *s)
{
    size_t need = s->beside + bytes(s->n) + work_bytes(s->n, wanted_rank(s)), scratch;

    if (!s->k->class->stream || s->k->class->resident)
        return NTK_OK;
    NTK_TRY(ntk_operator_scratch(s->k, &scratch));
    need += scratch;
    if (ntk_spare(s->ctx, need + ntk_strips_bytes(s->n, s->k->dtype)))
        return read_triangle(s, s->k->dtype);
    if (s->k->dtype == NTK_F64 && ntk_spare(s->ctx, need + ntk_strips_bytes(s->n, NTK_F32))) {
        ntk_log(s->ctx, 0, "cg: memory holds the kernel matrix in float32: its entries have 7 digits, and what is solved is "
                "that matrix");
        return read_triangle(s, NTK_F32);
    }
    ntk_log(s->ctx, 0, "cg: memory does not hold the kernel matrix: each step takes its entries from %s", s->k->class->name);
    return NTK_OK;
}

static ntk_status diagonal_of(struct ntk_solver *s, double *d)
{
    const struct ntk_strips *k = &own(s)->k;

    if (!k->a)
        return ntk_operator_diagonal(s->k, s->which, d);
    for (int64_t i = 0; i < s->n; i++)
        d[i] = ntk_strips_entry(k, i, i);
    return NTK_OK;
}

static ntk_status rows(void *user, int64_t count, const int64_t *which, double *to)
{
    struct ntk_solver *s = user;
    const struct ntk_strips *k = &own(s)->k;

    NTK_TRY(ntk_poll(s->ctx));
    if (!k->a)
        return ntk_solver_rows(s, count, which, to);
#pragma omp parallel for num_threads(ntk_threads_for(s->ctx, count)) schedule(dynamic)
    for (int64_t c = 0; c < count; c++)
        ntk_strips_row(k, which[c], to + c * s->n);
    return NTK_OK;
}

static ntk_status prepare(struct ntk_solver *s)
{
    struct cg *g = own(s);
    const int64_t rank = wanted_rank(s);
    const size_t usual = ntk_pivoted_bytes(s->n, usual_rank(s->n)), asked = ntk_pivoted_bytes(s->n, rank);
    double *d;
    ntk_status status;

    if (asked > usual) {
        NTK_TRY(ntk_ctx_hold(s->ctx, asked - usual, "a preconditioner of this rank"));
        g->held += asked - usual;
    }
    NTK_TRY(take_matrix(s));
    d = ntk_alloc_zero(s->ctx, (size_t)s->n, sizeof *d);
    status = d ? NTK_OK : NTK_ENOMEM;
    if (status == NTK_OK && rank > 0)
        status = diagonal_of(s, d);
    if (status == NTK_OK)
        status = ntk_pivoted_new(s->ctx, s->n, rank, d, rows, s, &g->f);
    free(d);
    if (status == NTK_OK && rank == 0)
        g->f.mu = 1;
    g->prepared = status == NTK_OK;
    return status;
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    (void)how, (void)size;
    own(s)->said = false;
    if (own(s)->prepared && own(s)->f.most != wanted_rank(s))
        forget(own(s));
    if (!own(s)->prepared) {
        const ntk_status status = prepare(s);

        if (status != NTK_OK) {
            forget(own(s));
            return status;
        }
    }
    return ntk_pivoted_ridge(&own(s)->f, s->ridge);
}

/* ---- solutions */

static ntk_status apply(void *user, int64_t m, const double *x, double *out)
{
    struct ntk_solver *s = user;

    return ntk_solver_shifted(s, &own(s)->k, m, x, out);
}

static ntk_status precondition(void *user, int64_t m, const double *r, double *z)
{
    return ntk_pivoted_solve(&own(user)->f, m, r, z);
}

/* A model's targets are few, and others that come after, or another ridge, are near. */
static ntk_status solve(struct ntk_solver *s, int64_t m, double *x)
{
    struct cg *g = own(s);
    struct ntk_pcg p = {.ctx = s->ctx,
                        .n = s->n,
                        .apply = apply,
                        .precondition = precondition,
                        .user = s,
                        .tolerance = s->tolerance,
                        .precision = s->k->precision};
    char how[1];

    if (!g->prepared) /* it came back without */
        NTK_TRY(factor(s, how, sizeof how));
    NTK_TRY(ntk_pcg_solve(&p, m, x, s->again && g->columns == m ? g->last : NULL));
    if (s->again && m <= KEPT) {
        memcpy(g->last, x, (size_t)(m * s->n) * sizeof *x);
        g->columns = m;
    }
    if (!g->said)
        ntk_log(s->ctx, 0, "cg: %lld steps, residual %.1e, preconditioner of rank %lld", (long long)p.steps, p.residual,
                (long long)g->f.rank);
    g->said = true;
    return NTK_OK;
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    struct ntk_shifted p = {s, &own(s)->k, ntk_alloc(s->ctx, (size_t)s->n, sizeof *p.out)};
    const int64_t most = s->n < EXTREMES ? s->n : EXTREMES;
    const ntk_status status =
        p.out ? ntk_lanczos_extremes(s->ctx, s->n, most, ntk_shifted_in_place, &p, least, largest) : NTK_ENOMEM;

    free(p.out);
    return status;
}

const struct ntk_solver_class ntk_solver_class_cg = {
    .name = "cg",
    .bytes = bytes,
    .peak = peak,
    .tolerance = 1e-3,
    .open = open,
    .factor = factor,
    .solve = solve,
    .extremes = extremes,
    .close = close,
};
