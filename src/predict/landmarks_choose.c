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
#include "solve/pivoted.h"
#include "solve/tiled.h"

#define MOST      5000   /* landmarks, unless more are asked for */
#define FEWEST    1000   /* that are taken though their kernel is not kept */
#define SAMPLE    100000 /* rows that they are chosen from, at most, */
#define TIMES     5      /* or so many times as many */
#define SMALL     10000  /* but no less */
#define QUICK     2e12   /* operations of whitened normal equations, which then are used in float64 */

/* ---- the plan */

static double square(int64_t m) { return (double)m * (double)m * sizeof(double); }

/* C, landmarks, coefficients, a panel. */
static double common(int64_t n, int64_t m, int64_t features, int64_t outputs)
{
    return square(m) + (double)m * ((double)features + 3 * (double)outputs) * sizeof(double) +
           (double)ntk_landmark_rows(n) * (double)m * sizeof(double);
}

static bool compares(const ntk_fit_opts *o) { return o->diag_reg == NTK_DIAG_REG_AUTO; }

static size_t streamed(const ntk_fit_opts *o, int64_t n, int64_t m, int64_t features, int64_t outputs)
{
    const int squares = compares(o) ? 3 : o->keep ? 2 : 1;

    return ntk_bytes(common(n, m, features, outputs) + squares * square(m) +
                     (compares(o) ? 2.0 * NTK_RIDGES * (double)outputs * (double)m * sizeof(double) : 0));
}

static size_t kept(int64_t n, int64_t m, int64_t features, int64_t outputs, int bytes)
{
    return ntk_bytes(common(n, m, features, outputs)) + ntk_rectangle_bytes(n, m, bytes) + ntk_falkon_bytes(n, m, outputs);
}

static size_t choosing(int64_t sample, int64_t m, int64_t features)
{
    return ntk_bytes((double)sample * (double)features * sizeof(double)) + ntk_pivoted_bytes(sample, m) +
           ntk_pivoted_work(sample, m);
}

/* Rows that may be landmarks. */
static int64_t candidates(const ntk_fit_opts *o, int64_t n)
{
    int64_t count = 0;

    if (!compares(o))
        return n;
    for (int64_t i = 0; i < n; i++)
        count += !ntk_held_out(i);
    return count;
}

static size_t left_of(const ntk_ctx *ctx)
{
    const size_t all = ntk_ctx_memory(ctx), held = ctx->memory ? ctx->held : 0;

    return all > held ? all - held : 0;
}

static size_t least(const ntk_fit_opts *o, int64_t n, int64_t m, int64_t features, int64_t outputs)
{
    const size_t fit = streamed(o, n, m, features, outputs), choose = m < n ? choosing(ntk_least(n, 2 * m), m, features) : 0;

    return fit > choose ? fit : choose;
}

static int64_t usual(const ntk_fit_opts *o, int64_t n, int64_t features, int64_t outputs, size_t left, const char **why)
{
    int64_t most = ntk_least(candidates(o, n), MOST), m = most;

    *why = m < MOST ? "as many as there are samples for" : "as many as are taken unless others are asked for";
    while (m > FEWEST && kept(n, m, features, outputs, 2) > left / 4 * 3)
        m = ntk_most(FEWEST, m - m / 16);
    if (m < most)
        *why = "of so many the kernel matrix fits into memory at 2 bytes an entry";
    if (m == FEWEST && kept(n, m, features, outputs, 2) > left / 4 * 3)
        m = ntk_least(most, MOST / 2); /* streamed, then */
    while (m > 16 && least(o, n, m, features, outputs) > left) {
        m -= m / 8;
        *why = "memory holds no more";
    }
    return m;
}

ntk_status ntk_landmark_plan(ntk_ctx *ctx, const ntk_fit_opts *o, int64_t n, int64_t features, int64_t outputs, size_t scratch,
                             struct ntk_landmark_plan *p)
{
    const size_t all = left_of(ctx), left = all > scratch ? all - scratch : 0, most = ctx->memory ? left : left / 4 * 3;
    const bool direct = compares(o) || o->keep;
    size_t choose;

    *p = (struct ntk_landmark_plan){.left = left};
    p->m = o->landmarks ? ntk_least(o->landmarks, candidates(o, n)) : usual(o, n, features, outputs, left, &p->why);
    NTK_TRY(ntk_ctx_check_memory(ctx, least(o, n, p->m, features, outputs) + scratch, "a fit by this many landmarks"));
    if (!direct && (o->dtype == NTK_F32 || 2.0 * (double)n * (double)p->m * (double)p->m > QUICK))
        p->kept = kept(n, p->m, features, outputs, 4) <= most ? 4 : kept(n, p->m, features, outputs, 2) <= most ? 2 : 0;
    p->bytes = p->kept ? kept(n, p->m, features, outputs, p->kept) : streamed(o, n, p->m, features, outputs);
    p->sample = ntk_least(ntk_least(candidates(o, n), SAMPLE), ntk_most(SMALL, TIMES * p->m));
    while (p->sample > 2 * p->m && choosing(p->sample, p->m, features) > left)
        p->sample = ntk_most(2 * p->m, p->sample / 2);
    choose = p->m < candidates(o, n) ? choosing(p->sample, p->m, features) : 0;
    p->bytes = choose > p->bytes ? choose : p->bytes;
    return NTK_OK;
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
    const int64_t all = candidates(&model->opts, model->n), count = plan->m < all ? plan->sample : all;
    ntk_data *sample = NULL;
    ntk_status status = NTK_OK;

    land->m = plan->m;
    land->apart = apart;
    land->rows = ntk_alloc(model->ctx, (size_t)count, sizeof *land->rows);
    if (!land->rows)
        return NTK_ENOMEM;
    draw(model->n, apart, all, count, land->rows);
    if (plan->m < all) {
        status = ntk_data_select(model->x, land->rows, count, &sample);
        if (status == NTK_OK)
            status = pivots(model, sample, land->rows, &land->m);
        ntk_data_free(sample);
    }
    return status == NTK_OK ? ntk_data_select(model->x, land->rows, land->m, &land->x) : status;
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
    status = ntk_kernel_compute_for(kernel, model->land->x, NULL, 0, "the kernel of the landmarks", out);
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
    NTK_TRY(status);
    return minor == 0 ? NTK_OK
                      : ntk_fail(model->ctx, NTK_ENUMERIC,
                                 "the %lld x %lld kernel matrix of the landmarks is not positive definite: its minor of order "
                                 "%lld",
                                 (long long)m, (long long)m, (long long)minor);
}
