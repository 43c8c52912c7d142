/* SPDX-License-Identifier: MIT
 *
 * landmarks_choose.c - how many landmarks, and what memory their fit takes; which; the factor of their kernel matrix.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "predict/landmarks.h"
#include "solve/falkon.h"
#include "solve/normal.h"
#include "solve/pivoted.h"
#include "solve/tiled.h"

#define MOST      5000   /* landmarks, unless more are asked for */
#define FEWEST    1000   /* that are taken though their kernel is not kept */
#define SAMPLE    100000 /* rows that they are chosen from, at most, */
#define TIMES     5      /* or so many times as many */
#define SMALL     20000  /* but no less */
#define QUICK     2e12   /* operations of whitened normal equations, which then are used in float64 */

/* ---- the plan */

/* What a fit is of, and what computing its kernel takes: of two panels, and for each more sample on one side. */
struct task {
    const ntk_fit_opts *o;
    int64_t n, features, outputs, candidates;
    double panels, sample;
    size_t left; /* bytes that there are */
};

static double square(int64_t m) { return (double)m * (double)m * sizeof(double); }

static bool compares(const ntk_fit_opts *o) { return o->diag_reg == NTK_DIAG_REG_AUTO; }

static double scratch(const struct task *t, int64_t columns)
{
    return t->panels + t->sample * (double)ntk_most(0, columns - ntk_landmark_rows(t->n));
}

/* C, landmarks, coefficients, a panel. */
static double common(const struct task *t, int64_t m)
{
    return square(m) + (double)m * ((double)t->features + 3 * (double)t->outputs) * sizeof(double) +
           (double)ntk_landmark_rows(t->n) * (double)(m + t->outputs) * sizeof(double);
}

static size_t streamed(const struct task *t, int64_t m)
{
    const int squares = compares(t->o) || t->o->keep ? 2 : 1;
    const double rows = compares(t->o) ? (double)ntk_landmark_rows(t->n) : 0;

    return ntk_bytes(common(t, m) + squares * square(m) + rows * (double)m * sizeof(double)) +
           (compares(t->o) ? ntk_normal_bytes(m, t->outputs) : 0);
}

static size_t kept(const struct task *t, int64_t m, int bytes)
{
    return ntk_bytes(common(t, m) + (double)t->n * sizeof(double)) + ntk_rectangle_bytes(t->n, m, bytes) +
           ntk_falkon_bytes(t->n, m, t->outputs);
}

/* Among more than that there is no choice. */
static bool by_chance(int64_t candidates, int64_t m) { return m >= ntk_least(candidates, SAMPLE); }

static size_t choosing(const struct task *t, int64_t sample, int64_t m)
{
    if (by_chance(t->candidates, m))
        return 0;
    return ntk_bytes((double)sample * (double)t->features * sizeof(double)) + ntk_pivoted_bytes(sample, m) +
           ntk_pivoted_work(sample, m);
}

/* With the kernel's computation, which counts rows of proposals once more. */
static size_t whole_choosing(const struct task *t, int64_t sample, int64_t m)
{
    const size_t own = choosing(t, sample, m);

    return own ? own + ntk_bytes(scratch(t, sample) + 64.0 * (double)sample * sizeof(double)) : 0;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Their own kernel matrix, in float64. */
static size_t factoring(const struct task *t, int64_t m)
{
    return ntk_bytes(square(m) + (t->o->dtype == NTK_F32 ? 2 : 1) * scratch(t, m));
}

static size_t least(const struct task *t, int64_t m)
{
    return larger(larger(streamed(t, m) + ntk_bytes(scratch(t, m)), factoring(t, m)),
                  whole_choosing(t, ntk_least(t->candidates, 2 * m), m));
}

/* A quarter of a machine's memory is left to others. */
static size_t most(const ntk_ctx *ctx, const struct task *t) { return ctx->memory ? t->left : t->left / 4 * 3; }

static bool fits(const ntk_ctx *ctx, const struct task *t, int64_t m, int bytes)
{
    return kept(t, m, bytes) + ntk_bytes(scratch(t, m)) <= most(ctx, t);
}

static int64_t usual(const ntk_ctx *ctx, const struct task *t, const char **why)
{
    const int64_t all = ntk_least(t->candidates, MOST);
    int64_t m = all;

    *why = m < MOST ? "as many as there are samples for" : "as many as are taken unless others are asked for";
    while (m > FEWEST && !fits(ctx, t, m, 2))
        m = ntk_most(FEWEST, m - m / 16);
    if (m < all)
        *why = "of so many the kernel matrix fits into memory at 2 bytes an entry";
    if (m == FEWEST && !fits(ctx, t, m, 2)) {
        m = ntk_least(all, MOST / 2);
        *why = "whose kernel matrix memory does not hold: it is streamed";
    }
    while (m > 16 && least(t, m) > t->left) {
        m -= m / 8;
        *why = "memory holds no more";
    }
    return m;
}

/* Rows that may be landmarks. */
static int64_t candidates(const ntk_fit_opts *o, int64_t n)
{
    int64_t count = n / 10 * 9;

    if (!compares(o))
        return n;
    for (int64_t i = n / 10 * 10; i < n; i++)
        count += !ntk_held_out(i);
    return count;
}

static ntk_status scratch_of(const ntk_kernel *kernel, const ntk_data *x, int64_t rows, int64_t columns, double *bytes)
{
    ntk_data *a = NULL, *b = NULL;
    size_t scratch_bytes = 0;
    ntk_status status = ntk_data_slice(x, 0, rows, &a);

    if (status == NTK_OK)
        status = ntk_data_slice(x, 0, columns, &b);
    if (status == NTK_OK)
        status = ntk_kernel_scratch(kernel, a, b, &scratch_bytes);
    ntk_data_free(a);
    ntk_data_free(b);
    *bytes = (double)scratch_bytes;
    return status;
}

static ntk_status task_of(const ntk_kernel *kernel, const ntk_data *x, int64_t n, size_t left, const ntk_fit_opts *o,
                          int64_t outputs, struct task *t)
{
    const int64_t rows = ntk_least(x->n, ntk_landmark_rows(n)), half = (rows + 1) / 2;
    double less;

    *t = (struct task){.o = o, .n = n, .features = ntk_features_of(x->shape), .outputs = outputs, .left = left};
    t->candidates = ntk_most(1, candidates(o, n));
    NTK_TRY(scratch_of(kernel, x, rows, rows, &t->panels));
    NTK_TRY(scratch_of(kernel, x, rows, half, &less));
    t->sample = rows > half ? fmax(t->panels - less, 0) / (double)(rows - half) : 0;
    t->panels += 2 * t->sample * (double)(ntk_landmark_rows(n) - rows); /* where x is only like them, and fewer */
    return NTK_OK;
}

ntk_status ntk_landmark_plan_like(const ntk_kernel *kernel, const ntk_data *x, int64_t n, size_t left, const ntk_fit_opts *o,
                                  int64_t outputs, bool is_streamed, struct ntk_landmark_plan *p)
{
    ntk_ctx *ctx = x->ctx;
    struct task t;

    *p = (struct ntk_landmark_plan){.m = 0};
    NTK_TRY(task_of(kernel, x, n, left, o, outputs, &t));
    p->m = o->landmarks ? ntk_least(o->landmarks, t.candidates) : usual(ctx, &t, &p->why);
    p->least = least(&t, p->m);
    if (!is_streamed && !compares(o) && !o->keep &&
        (o->dtype == NTK_F32 || 2.0 * (double)t.n * (double)p->m * (double)p->m > QUICK))
        p->kept = fits(ctx, &t, p->m, 4) ? 4 : fits(ctx, &t, p->m, 2) ? 2 : 0;
    p->sample = ntk_most(p->m, ntk_least(ntk_least(t.candidates, SAMPLE), ntk_most(SMALL, TIMES * p->m)));
    while (p->sample > 2 * p->m && whole_choosing(&t, p->sample, p->m) > t.left)
        p->sample = ntk_most(2 * p->m, p->sample / 2);
    p->choosing = choosing(&t, p->sample, p->m);
    p->fitting = p->kept ? kept(&t, p->m, p->kept) : streamed(&t, p->m);
    p->peak = larger(whole_choosing(&t, p->sample, p->m), p->fitting + ntk_bytes(scratch(&t, p->m)));
    p->peak = larger(p->peak, factoring(&t, p->m));
    return NTK_OK;
}

ntk_status ntk_landmark_plan(const ntk_kernel *kernel, const ntk_data *x, const ntk_fit_opts *o, int64_t outputs,
                             bool is_streamed, struct ntk_landmark_plan *p)
{
    const ntk_ctx *ctx = x->ctx;
    const size_t all = ntk_ctx_memory(ctx), held = ctx->memory ? ctx->held : 0;

    NTK_TRY(ntk_landmark_plan_like(kernel, x, x->n, all > held ? all - held : 0, o, outputs, is_streamed, p));
    return ntk_ctx_check_memory(x->ctx, p->least, "a fit by this many landmarks");
}

#define STEPS 50 /* of conjugate gradients, about, to the usual tolerance */

void ntk_landmarks_cost(const struct ntk_landmark_plan *p, int64_t n, struct ntk_cost *c)
{
    const double m = (double)p->m, rows = (double)n, own = m * m * m / 3;
    const double choosing = p->choosing ? 2 * (double)p->sample * m * m : 0;

    *c = (struct ntk_cost){.f32 = choosing, .f64 = own, .passes = rows * m + m * m / 2 + (p->choosing ? (double)p->sample * m : 0)};
    if (p->kept) {
        c->f64 += m * m * m + own;
        c->kept = (double)p->kept * rows * m;
        c->steps = STEPS;
        c->moved = STEPS * NTK_F32 * rows * m; /* 16 bits take as long */
        c->assumed = "50 steps of conjugate gradients";
    } else {
        c->f64 += 2 * rows * m * m + own;
        c->assumed = "whitened normal equations";
    }
    c->passes /= rows * (rows + 1) / 2;
}

/* ---- which */

static double uniform(uint64_t *seed)
{
    return (double)(ntk_mix64(*seed += 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}

/* `count` of the candidates by chance, ascending (Knuth 1997, algorithm 3.4.2 S). */
static void draw(int64_t n, bool apart, int64_t candidates_left, int64_t count, int64_t *rows)
{
    uint64_t seed = 1;
    int64_t taken = 0;

    for (int64_t i = 0; i < n && taken < count; i++) {
        if (apart && ntk_held_out(i))
            continue;
        if (uniform(&seed) * (double)candidates_left-- < (double)(count - taken))
            rows[taken++] = i;
    }
}

static ntk_status rows_of(void *user, int64_t count, const int64_t *which, double *rows)
{
    return ntk_operator_rows(user, 0, count, which, rows);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* The pivots of x among rows [x->n], which become the first *m of it. */
static ntk_status pivots(const ntk_model *model, const ntk_data *x, int64_t *rows, int64_t *m)
{
    struct ntk_operator *k;
    struct ntk_pivoted p = {0};
    double *diagonal = ntk_alloc(model->ctx, (size_t)x->n, sizeof *diagonal);
    ntk_status status = diagonal ? ntk_operator_of_kernel(model->mean, x, &k) : NTK_ENOMEM;

    if (status == NTK_OK) {
        status = ntk_operator_diagonal(k, 0, diagonal);
        if (status == NTK_OK)
            status = ntk_pivoted_new(model->ctx, x->n, *m, diagonal, rows_of, k, &p);
        ntk_operator_free(k);
    }
    free(diagonal);
    NTK_TRY(status);
    if (p.rank < *m)
        ntk_log(model->ctx, 0, "%lld landmarks say all that the kernel has of %lld samples, to 1e-8: no more are taken",
                (long long)p.rank, (long long)x->n);
    *m = ntk_most(p.rank, 1);
    qsort(p.pivots, (size_t)p.rank, sizeof *p.pivots, ascending);
    for (int64_t i = 0; i < p.rank; i++)
        rows[i] = rows[p.pivots[i]];
    ntk_pivoted_free(&p);
    return NTK_OK;
}

ntk_status ntk_landmarks_choose(const ntk_model *model, const struct ntk_landmark_plan *plan, bool apart)
{
    struct ntk_landmarks *land = model->land;
    const int64_t all = ntk_most(1, candidates(&model->opts, model->n));
    const bool chance = by_chance(all, plan->m);
    const int64_t count = chance ? plan->m : plan->sample;
    ntk_data *sample = NULL;
    ntk_status status = NTK_OK;

    land->rows = ntk_alloc(model->ctx, (size_t)count, sizeof *land->rows);
    if (!land->rows)
        return NTK_ENOMEM;
    land->m = plan->m;
    land->apart = apart;
    draw(model->n, apart, all, count, land->rows);
    if (!chance) {
        status = ntk_data_select(model->x, land->rows, count, &sample);
        if (status == NTK_OK)
            status = pivots(model, sample, land->rows, &land->m);
        ntk_data_free(sample);
    }
    if (status == NTK_OK)
        status = ntk_data_select(model->x, land->rows, land->m, &land->x);
    if (status != NTK_OK) { /* the next fit begins with them */
        free(land->rows);
        land->rows = NULL;
        land->m = 0;
    }
    return status;
}

/* ---- the factor of K_MM */

/* K_MM in float64, whatever the kernel's type: its small eigenvalues count. */
static ntk_status matrix_of(const ntk_model *model, double *k)
{
    const ntk_net *net = model->net;
    const unsigned want = model->opts.posterior == NTK_POSTERIOR_NNGP ? NTK_NNGP : NTK_NTK;
    void *out[] = {k};
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(model->ctx, &net, 1, want, NTK_F64, model->land->x->shape, &kernel));
    status = ntk_kernel_compute_for(kernel, model->land->x, NULL, ntk_bytes(square(model->land->m)),
                                    "the kernel of the landmarks", out);
    ntk_kernel_free(kernel);
    return status;
}

/* The factor overwrites the lower triangle, and the other one is what it is of. */
static void restore(int64_t m, double *c, const double *diagonal, double more)
{
    for (int64_t j = 0; j < m; j++) {
        c[j * (m + 1)] = diagonal[j] + more;
        for (int64_t i = j + 1; i < m; i++)
            c[j * m + i] = c[i * m + j];
    }
}

#define JITTER_FIRST 1e-15 /* of the diagonal's mean, after none, then tenfold, */
#define JITTER_MOST  1e-4

ntk_status ntk_landmarks_factor(const ntk_model *model, double jitter)
{
    struct ntk_landmarks *land = model->land;
    const int64_t m = land->m;
    double *diagonal = ntk_alloc(model->ctx, (size_t)m, sizeof *diagonal), mean = 0;
    int64_t minor = 1;
    ntk_status status;

    land->c = ntk_alloc(model->ctx, (size_t)m * (size_t)m, sizeof *land->c);
    status = diagonal && land->c ? matrix_of(model, land->c) : NTK_ENOMEM;
    for (int64_t j = 0; j < m && status == NTK_OK; j++) {
        diagonal[j] = land->c[j * (m + 1)];
        mean += diagonal[j] / (double)m;
    }
    for (double now = jitter; status == NTK_OK && minor != 0 && now <= JITTER_MOST; now = fmax(10 * now, JITTER_FIRST)) {
        restore(m, land->c, diagonal, now * mean);
        status = ntk_tiled_factor(model->ctx, m, land->c, &minor);
    }
    free(diagonal);
    if (status == NTK_OK && minor != 0)
        status = ntk_fail(model->ctx, NTK_ENUMERIC,
                          "the %lld x %lld kernel matrix of the landmarks is not positive definite: its minor of order %lld",
                          (long long)m, (long long)m, (long long)minor);
    if (status != NTK_OK) {
        free(land->c);
        land->c = NULL;
    }
    return status;
}
