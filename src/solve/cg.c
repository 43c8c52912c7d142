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

#include "base/ranks.h"
#include "base/sums.h"
#include "solve/checkpoint.h"
#include "solve/pcg.h"
#include "solve/pivoted.h"
#include "solve/quadrature.h"
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
    const int64_t rank = n >= 50000 ? 2000 : 1000;

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

#define TOLERANCE 1e-3
#define DECADE    10 /* steps that make residuals ten times smaller, about */

/* Bytes of half a matrix in the operator's type, or else in float32 or 16 bits, if there is room; else 0. */
static double kept_of(const struct ntk_cost_task *t)
{
    const double need = (double)peak(t->n), half = (double)t->n * (double)t->n / 2;
    const double each[] = {(double)t->dtype, NTK_ENTRIES_F32, NTK_ENTRIES_FIXED};

    for (size_t k = 0; k < sizeof each / sizeof *each; k++)
        if (need + half * each[k] <= (double)t->room)
            return half * each[k];
    return 0;
}

/* A step is a product with all right-hand sides and two passes over F. F's rows are read before, a few more than there are
 * pivots, and F F' and F' F made of them. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n, rank = (double)(t->rank ? ntk_least(t->rank, t->n) : usual_rank(t->n));
    const double kept = kept_of(t), tolerance = t->tolerance > 0 ? t->tolerance : TOLERANCE;
    const double steps = ceil(-DECADE * log10(tolerance));
    const double groups = (double)((t->outputs + NTK_PCG_COLUMNS - 1) / NTK_PCG_COLUMNS);
    const double pass = kept > 0 ? fmax(kept, n * n / 2 * NTK_F32) : 0; /* 16 bits take as long as float32 */

    *c = (struct ntk_cost){.f32 = 4 * n * rank * rank,
                           .f64 = rank * rank * rank / 3,
                           .moved = groups * steps * (pass + 2 * 4 * n * rank),
                           .passes = kept > 0 ? 1 : groups * (steps + 1) + 4 * rank / n,
                           .kept = kept,
                           .steps = (int64_t)steps,
                           .assumed = "10 steps for each decade of the tolerance"};
}

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

static ntk_status read_triangle(struct ntk_solver *s, enum ntk_entries entries)
{
    struct cg *g = own(s);
    const size_t more = ntk_strips_bytes(s->n, entries);
    double mean;

    NTK_TRY(ntk_solver_mean_diagonal(s, &mean));
    NTK_TRY(ntk_strips_new(s->ctx, s->n, entries, s->diagonal, &g->k));
    NTK_TRY(ntk_operator_read_one(s->k, s->which, (struct ntk_taker){put, &g->k}, bytes(s->n) + more,
                                  "a kernel matrix of this many samples"));
    ntk_ctx_keep(s->ctx, more, &g->held);
    if (g->k.beyond)
        return ntk_fail(s->ctx, NTK_ENUMERIC,
                        "%s has entries that are larger than those of its diagonal: it is not positive semidefinite",
                        s->k->class->name);
    return NTK_OK;
}

/* Of the memory that is left, what nobody counts: the program and its libraries, whose threads have buffers. */
static double uncounted(const ntk_ctx *ctx, double left)
{
    return fmin(0.06 * left, (128 + 16.0 * ntk_ctx_threads(ctx)) * 0x1p20);
}

/* Whether there is room for a triangle beside all that solutions and predictions need. */
static ntk_status find_room(struct ntk_solver *s, double *room)
{
    const size_t bound = ntk_ctx_memory(s->ctx), held = s->ctx->memory ? s->ctx->held : 0;
    const double left = (double)bound - (double)held, panel = (double)ntk_panel_rows(s->n) * (double)s->n * sizeof(double);
    size_t scratch;

    NTK_TRY(ntk_operator_scratch(s->k, &scratch));
    *room = left - uncounted(s->ctx, left) - (double)s->beside - (double)bytes(s->n) - (double)scratch -
            fmax((double)work_bytes(s->n, wanted_rank(s)), panel);
    return NTK_OK;
}

/* The best that there is room for. */
static ntk_status choose_entries(struct ntk_solver *s, enum ntk_entries *entries)
{
    static const enum ntk_entries all[] = {NTK_ENTRIES_F64, NTK_ENTRIES_F32, NTK_ENTRIES_FIXED};
    double room;

    *entries = NTK_ENTRIES_NONE;
    NTK_TRY(find_room(s, &room));
    for (size_t k = 0; k < sizeof all / sizeof *all && *entries == NTK_ENTRIES_NONE; k++)
        if (all[k] <= ntk_entries_of(s->k->dtype) && (double)ntk_strips_bytes(s->n, all[k]) <= room)
            *entries = all[k];
    return NTK_OK;
}

static ntk_status say_entries(struct ntk_solver *s, enum ntk_entries entries)
{
    double mean, largest = 0;

    NTK_TRY(ntk_solver_mean_diagonal(s, &mean));
    for (int64_t i = 0; i < s->n; i++)
        largest = fmax(largest, s->diagonal[i]);
    if (entries == NTK_ENTRIES_NONE)
        ntk_log(s->ctx, 0, "cg: %s: each step takes its entries from %s",
                s->triangle ? "the kernel matrix is not kept" : "memory does not hold the kernel matrix", s->k->class->name);
    else if (entries == NTK_ENTRIES_FIXED)
        ntk_log(s->ctx, 0, "cg: memory holds the kernel matrix in 16 bits: its entries are off by at most %.1e of its mean "
                "diagonal, and what is solved is that matrix", 0.5 / NTK_FIXED_ONE * largest / mean);
    else if (entries < ntk_entries_of(s->k->dtype))
        ntk_log(s->ctx, 0, "cg: memory holds the kernel matrix in float32: its entries have 7 digits, and what is solved is "
                "that matrix");
    return NTK_OK;
}

/* Where products come from. */
static ntk_status take_matrix(struct ntk_solver *s)
{
    enum ntk_entries entries;

    if (!s->k->class->stream || s->k->class->resident)
        return NTK_OK;
    if (s->triangle)
        NTK_TRY(ntk_entries_find(s->ctx, s->triangle, s->k->dtype, &entries));
    else
        NTK_TRY(choose_entries(s, &entries));
    NTK_TRY(say_entries(s, entries));
    return entries == NTK_ENTRIES_NONE ? NTK_OK : read_triangle(s, entries);
}

/* Whether the matrix is kept as is asked for. */
static bool is_triangle(const struct ntk_solver *s)
{
    const struct ntk_strips *k = &((const struct cg *)s)->k;

    return !s->triangle || s->k->class->resident || !s->k->class->stream ||
           strcmp(s->triangle, ntk_entries_name(k->a ? k->entries : NTK_ENTRIES_NONE)) == 0;
}

static ntk_status diagonal_of(struct ntk_solver *s, double *d)
{
    const struct ntk_strips *k = &own(s)->k;

    double mean;

    NTK_TRY(ntk_solver_mean_diagonal(s, &mean));
    memcpy(d, s->diagonal, (size_t)s->n * sizeof *d);
    for (int64_t i = 0; i < s->n && k->a; i++)
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
    if (own(s)->prepared && (own(s)->f.most != wanted_rank(s) || !is_triangle(s)))
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

/* Solutions so far, of all right-hand sides, in a file. */
struct keeping {
    struct ntk_solver *s;
    struct ntk_problem problem;
    double *x; /* [m][n]; NULL: there is no file */
    bool failed;
};

/* A disk that is full is no reason to give up the work. */
static ntk_status keep(void *user, int64_t first, int64_t count, const double *x)
{
    struct keeping *k = user;
    struct ntk_solver *s = k->s;

    memcpy(k->x + first * s->n, x, (size_t)(count * s->n) * sizeof *x);
    if (!k->failed && ntk_checkpoint_save(s->ctx, &s->checkpoint, &k->problem, k->x) != NTK_OK) {
        k->failed = true;
        ntk_log(s->ctx, 1, "%s: solutions are not kept on the way", ntk_errmsg(s->ctx));
    }
    return NTK_OK;
}

/* The file is that of the first rank (base/ranks.h), what it has all have. */
static ntk_status load(struct keeping *k, size_t size, bool *there)
{
    struct ntk_solver *s = k->s;
    ntk_status status = k->x ? NTK_OK : NTK_ENOMEM;

    *there = false;
    if (status == NTK_OK && ntk_rank(s->ctx) == 0)
        status = ntk_checkpoint_load(s->ctx, &s->checkpoint, &k->problem, k->x, there);
    NTK_TRY(ntk_ranks_agree(s->ctx, status));
    ntk_ranks_broadcast(s->ctx, there, sizeof *there);
    if (*there)
        ntk_ranks_broadcast(s->ctx, k->x, size);
    return NTK_OK;
}

/* *start: solutions from the file, or as it was. */
static ntk_status begin_keeping(struct ntk_solver *s, int64_t m, const double *y, struct keeping *k, const double **start)
{
    const size_t size = (size_t)(m * s->n) * sizeof *k->x;
    bool there;

    *k = (struct keeping){.s = s};
    if (!s->again || !s->checkpoint.path)
        return NTK_OK;
    k->problem = ntk_problem_of(s->n, m, s->ridge, y);
    k->x = ntk_alloc(s->ctx, size, 1);
    NTK_TRY(load(k, size, &there));
    if (there)
        *start = k->x;
    else if (*start)
        memcpy(k->x, *start, size);
    else
        memset(k->x, 0, size);
    return NTK_OK;
}

static void remember(struct ntk_solver *s, int64_t m, const double *x)
{
    struct cg *g = own(s);

    if (!s->again || m > KEPT)
        return;
    memcpy(g->last, x, (size_t)(m * s->n) * sizeof *x);
    g->columns = m;
}

/* A model's targets are few, and others that come after, or another ridge, are near. */
static ntk_status solve(struct ntk_solver *s, int64_t m, double *x)
{
    struct cg *g = own(s);
    const double *start = s->again && g->columns == m ? g->last : NULL;
    struct keeping k;
    struct ntk_pcg p = {.ctx = s->ctx,
                        .n = s->n,
                        .apply = apply,
                        .precondition = precondition,
                        .user = s,
                        .tolerance = s->tolerance,
                        .precision = s->k->precision};
    char how[1];
    ntk_status status;

    if (!g->prepared) /* it came back without */
        NTK_TRY(factor(s, how, sizeof how));
    p.columns = ntk_pcg_columns(s->ctx, s->n, m); /* which each rank's memory has a part in */
    if (m > NTK_PCG_COLUMNS)
        ntk_ranks_broadcast(s->ctx, &p.columns, sizeof p.columns);
    status = begin_keeping(s, m, x, &k, &start);
    if (k.x && ntk_rank(s->ctx) == 0) {
        p.keep = keep;
        p.keep_user = &k;
    }
    if (status == NTK_OK)
        status = ntk_pcg_solve(&p, m, x, start);
    free(k.x);
    NTK_TRY(status);
    if (p.keep)
        ntk_checkpoint_drop(&s->checkpoint);
    remember(s, m, x);
    if (!g->said)
        ntk_log(s->ctx, 0, "cg: %lld steps, residual %.1e, preconditioner of rank %lld", (long long)p.steps, p.residual,
                (long long)g->f.rank);
    g->said = true;
    ntk_solver_solved(s, p.steps, p.residual);
    return NTK_OK;
}

static void sample(void *user, int64_t m, const double *g, const double *h, double *z)
{
    ntk_pivoted_sample(&own(user)->f, m, g, h, z);
}

static ntk_status log_determinant(struct ntk_solver *s, double *value)
{
    const struct ntk_pivoted *f = &own(s)->f;
    struct ntk_quadrature q = {.ctx = s->ctx,
                               .n = s->n,
                               .apply = apply,
                               .precondition = precondition,
                               .sample = sample,
                               .user = s};
    char how[1];

    if (!own(s)->prepared)
        NTK_TRY(factor(s, how, sizeof how));
    q.extra = f->rank;
    q.known = ntk_pivoted_log_determinant(f);
    NTK_TRY(ntk_quadrature_log_determinant(&q, value));
    s->last.log_determinant_error = q.error;
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
    .triangles = true,
    .checkpoints = true,
    .estimates = true,
    .cost = cost,
    .tolerance = TOLERANCE,
    .open = open,
    .factor = factor,
    .solve = solve,
    .log_determinant = log_determinant,
    .extremes = extremes,
    .close = close,
};
