/* SPDX-License-Identifier: MIT
 *
 * ridge.c - ridge regression on features by normal equations (solve/normal.h), rows in pieces of one size, so that sums do not
 * depend on batches; then a Cholesky factor for each ridge, which is cheaper than eigenvalues for 25 of them.
 */
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"
#include "features/features.h"
#include "solve/normal.h"
#include "solve/ridge.h"

#define PIECE   512 /* rows that are added at once */

/* Of the samples that are fitted to (part 0), or of those held out. */
struct sums {
    int64_t n, filled;   /* rows: added, and waiting */
    double *phi, *y;     /* [PIECE][count], [outputs][PIECE] */
    struct ntk_normal e; /* of those that do not wait */
};

struct ntk_feature_ridge {
    const ntk_feature_map *map;
    ntk_ctx *ctx;
    int64_t count, outputs, n;
    int parts;
    struct sums part[2];
    size_t held;
};

/* ---- making */

static ntk_status sums_new(struct ntk_feature_ridge *r, struct sums *s)
{
    const size_t count = (size_t)r->count, outputs = (size_t)r->outputs;

    s->phi = ntk_alloc(r->ctx, PIECE * count, sizeof *s->phi);
    s->y = ntk_alloc(r->ctx, PIECE * outputs, sizeof *s->y);
    s->e = (struct ntk_normal){.m = r->count,
                               .outputs = r->outputs,
                               .gram = ntk_large_new(r->ctx, count * count, sizeof *s->e.gram),
                               .right = ntk_alloc_zero(r->ctx, count * outputs, sizeof *s->e.right)};
    if (!s->phi || !s->y || !s->e.right || !s->e.gram)
        return NTK_ENOMEM;
    memset(s->e.gram, 0, count * count * sizeof *s->e.gram);
    return NTK_OK;
}

static size_t sums_bytes(int64_t count, int64_t outputs)
{
    return ntk_bytes(8.0 * ((double)count * (double)count + (double)(PIECE + count) * (double)outputs +
                            (double)PIECE * (double)count));
}

ntk_status ntk_feature_ridge_new(const ntk_feature_map *map, int64_t outputs, int hold_out, ntk_feature_ridge **ridge)
{
    const int parts = hold_out ? 2 : 1;
    const size_t bytes = ntk_bytes((double)parts * (double)sums_bytes(map->count, outputs));
    ntk_feature_ridge *r;
    ntk_status status = NTK_OK;

    if (outputs < 1 || outputs > 1000000)
        return ntk_fail(map->ctx, NTK_EINVAL, "the number of outputs must be 1 to 1000000, got %lld", (long long)outputs);
    NTK_TRY(ntk_ctx_check_memory(map->ctx, bytes, "normal equations of features"));
    r = ntk_alloc_zero(map->ctx, 1, sizeof *r);
    if (!r)
        return NTK_ENOMEM;
    *r = (ntk_feature_ridge){.map = map, .ctx = map->ctx, .count = map->count, .outputs = outputs, .parts = parts};
    for (int k = 0; k < parts && status == NTK_OK; k++)
        status = sums_new(r, &r->part[k]);
    ntk_ctx_keep(r->ctx, bytes, &r->held);
    if (status == NTK_OK)
        *ridge = r;
    else
        ntk_feature_ridge_free(r);
    return status;
}

void ntk_feature_ridge_free(ntk_feature_ridge *r)
{
    if (!r)
        return;
    for (int k = 0; k < r->parts; k++) {
        free(r->part[k].phi);
        free(r->part[k].y);
        free(r->part[k].e.right);
        ntk_large_free(r->part[k].e.gram, (size_t)r->count * (size_t)r->count, sizeof(double));
    }
    ntk_ctx_release(r->ctx, r->held);
    free(r);
}

int64_t ntk_feature_ridge_n(const ntk_feature_ridge *r) { return r->n; }

/* ---- adding */

/* The rows that wait, to the sums: all of them, whoever would cancel meanwhile, for others may be added later. */
static ntk_status flush(const struct ntk_feature_ridge *r, struct sums *s)
{
    ntk_progress_fn *const progress = r->ctx->progress;
    const struct ntk_blas before = ntk_blas_begin(1);
    ntk_status status;

    r->ctx->progress = NULL;
    status = ntk_normal_add(r->ctx, &s->e, s->filled, s->phi, s->y, PIECE);
    r->ctx->progress = progress;
    ntk_blas_end(before);
    s->filled = 0;
    return status;
}

static ntk_status put_row(struct ntk_feature_ridge *r, const float *phi, const double *y)
{
    const bool held = r->parts == 2 && ntk_held_out(r->n);
    struct sums *s = &r->part[held];

    for (int64_t k = 0; k < r->count; k++)
        s->phi[s->filled * r->count + k] = (double)phi[k];
    for (int64_t k = 0; k < r->outputs; k++)
        s->y[k * PIECE + s->filled] = y[k];
    s->n++;
    r->n++;
    return ++s->filled == PIECE ? flush(r, s) : NTK_OK;
}

/* Features of PIECE samples at a time, in several threads. */
static ntk_status add(struct ntk_feature_ridge *r, const ntk_data *x, const double *y, struct ntk_feature_work *work,
                      int threads, float *phi)
{
    for (int64_t first = 0; first < x->n; first += PIECE) {
        const int64_t n = ntk_least(PIECE, x->n - first), blocks = (n + NTK_FEATURE_ROWS - 1) / NTK_FEATURE_ROWS;
        const struct ntk_blas before = ntk_blas_begin(1);

#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t at = b * NTK_FEATURE_ROWS;

            ntk_feature_block(r->map, &work[omp_get_thread_num()], x, first + at, ntk_least(NTK_FEATURE_ROWS, n - at),
                              phi + at * r->count);
        }
        ntk_blas_end(before);
        for (int64_t i = 0; i < n; i++)
            NTK_TRY(put_row(r, phi + i * r->count, y + (first + i) * r->outputs));
        NTK_TRY(ntk_progress(r->ctx, "rows", (double)(first + n), (double)x->n));
    }
    return NTK_OK;
}

ntk_status ntk_feature_ridge_add(ntk_feature_ridge *r, const ntk_data *x, const double *y)
{
    const int threads = ntk_threads_for(r->ctx, PIECE / NTK_FEATURE_ROWS);
    struct ntk_feature_work *work;
    float *phi;
    ntk_status status;

    NTK_TRY(ntk_check_given(r->ctx, "y", y, x->n * r->outputs));
    NTK_TRY(ntk_feature_map_takes(r->map, x));
    NTK_TRY(ntk_ctx_check_memory(r->ctx, ntk_feature_work_bytes(r->map, threads) + PIECE * (size_t)r->count * sizeof *phi,
                                 "features of samples"));
    work = ntk_feature_work_new(r->map, threads);
    phi = ntk_alloc(r->ctx, PIECE * (size_t)r->count, sizeof *phi);
    status = work && phi ? add(r, x, y, work, threads, phi) : NTK_ENOMEM;
    ntk_feature_work_free(work, threads);
    free(phi);
    return status;
}

/* ---- solving */

/* The mean of |Phi(x)|^2, of samples that are fitted to or of all. */
static double mean_diagonal(const struct ntk_feature_ridge *r, int parts)
{
    double sum = 0;
    int64_t n = 0;

    for (int k = 0; k < parts; k++) {
        n += r->part[k].n;
        for (int64_t i = 0; i < r->count; i++)
            sum += r->part[k].e.gram[i * (r->count + 1)];
    }
    return sum / (double)n;
}

static ntk_status check_ready(ntk_feature_ridge *r, bool hold_out)
{
    for (int k = 0; k < r->parts; k++)
        NTK_TRY(flush(r, &r->part[k]));
    if (r->part[0].n == 0)
        return ntk_fail(r->ctx, NTK_EINVAL, "no samples were added");
    if (hold_out && r->parts == 1)
        return ntk_fail(r->ctx, NTK_EINVAL, "no samples are held out: make the ridge regression with hold_out");
    if (hold_out && r->part[1].n == 0)
        return ntk_fail(r->ctx, NTK_EINVAL, "of ten samples one is held out to choose a ridge: got n_samples = %lld",
                        (long long)r->n);
    return NTK_OK;
}

static ntk_status check_ridge(ntk_ctx *ctx, double diag_reg)
{
    return diag_reg >= 0 && isfinite(diag_reg) ? NTK_OK
                                               : ntk_fail(ctx, NTK_EINVAL, "diag_reg must be finite and >= 0, got %g", diag_reg);
}

ntk_status ntk_feature_ridge_hold_out(ntk_feature_ridge *r, size_t n, const double *diag_reg, int absolute, double *mse)
{
    struct ntk_blas before;
    double *ridges, mean;
    ntk_status status;

    for (size_t k = 0; k < n; k++)
        NTK_TRY(check_ridge(r->ctx, diag_reg[k]));
    NTK_TRY(check_ready(r, true));
    NTK_TRY(ntk_ctx_check_memory(r->ctx, ntk_normal_bytes(r->count, r->outputs), "a factor of normal equations"));
    ridges = ntk_alloc(r->ctx, n, sizeof *ridges);
    if (!ridges)
        return NTK_ENOMEM;
    mean = absolute ? 1 : mean_diagonal(r, 1);
    for (size_t k = 0; k < n; k++)
        ridges[k] = diag_reg[k] * mean;
    before = ntk_blas_begin(1);
    status = ntk_normal_hold_out(r->ctx, &r->part[0].e, &r->part[1].e, n, ridges, mse);
    ntk_blas_end(before);
    for (size_t k = 0; k < n && status == NTK_OK; k++)
        mse[k] /= (double)(r->part[1].n * r->outputs);
    free(ridges);
    return status;
}

static ntk_status choose(ntk_feature_ridge *r, double *diag_reg)
{
    double grid[NTK_RIDGES], mse[NTK_RIDGES];
    size_t best;

    ntk_ridge_grid(grid);
    NTK_TRY(ntk_feature_ridge_hold_out(r, NTK_RIDGES, grid, 0, mse));
    best = ntk_ridge_best(NTK_RIDGES, mse);
    *diag_reg = grid[best];
    return isfinite(mse[best]) ? NTK_OK
                               : ntk_fail(r->ctx, NTK_ENUMERIC, "no ridge makes the normal equations positive definite");
}

/* e: sums of all samples, which become a factor and the solutions. */
static ntk_status solve(const struct ntk_feature_ridge *r, double ridge, struct ntk_normal *e)
{
    const struct ntk_blas before = ntk_blas_begin(1);
    int64_t minor = 0;
    ntk_status status = ntk_normal_factor(r->ctx, e, ridge, e->gram, &minor);

    if (status == NTK_OK && minor == 0)
        status = ntk_normal_solve(r->ctx, e->m, e->gram, e->outputs, e->right);
    ntk_blas_end(before);
    if (status == NTK_OK && minor != 0)
        return ntk_fail(r->ctx, NTK_ENUMERIC,
                        "Phi' Phi of %lld samples, with %g on its diagonal, is not positive definite: %lld features need a "
                        "ridge, such as 1e-6 times the mean of |Phi(x)|^2",
                        (long long)r->n, ridge, (long long)r->count);
    return status;
}

/* The sums of all samples, held out or not, to e. */
static void gather(const struct ntk_feature_ridge *r, struct ntk_normal *e)
{
    const struct ntk_normal *first = &r->part[0].e;

    memcpy(e->gram, first->gram, (size_t)(r->count * r->count) * sizeof *e->gram);
    memcpy(e->right, first->right, (size_t)(r->outputs * r->count) * sizeof *e->right);
    for (int k = 1; k < r->parts; k++)
        ntk_normal_unite(e, &r->part[k].e);
}

ntk_status ntk_feature_ridge_solve(ntk_feature_ridge *r, double diag_reg, int absolute, double *coef, double *used)
{
    const bool automatic = diag_reg == NTK_DIAG_REG_AUTO;
    const size_t square = (size_t)r->count * (size_t)r->count;
    struct ntk_normal e = {.m = r->count, .outputs = r->outputs};
    ntk_status status;

    if (automatic)
        NTK_TRY(choose(r, &diag_reg));
    NTK_TRY(check_ridge(r->ctx, diag_reg));
    NTK_TRY(check_ready(r, false));
    NTK_TRY(ntk_ctx_check_memory(r->ctx, ntk_normal_bytes(r->count, r->outputs), "a factor of normal equations"));
    e.gram = ntk_large_new(r->ctx, square, sizeof *e.gram);
    e.right = ntk_alloc(r->ctx, (size_t)(r->outputs * r->count), sizeof *e.right);
    status = e.gram && e.right ? NTK_OK : NTK_ENOMEM;
    if (status == NTK_OK) {
        gather(r, &e);
        status = solve(r, diag_reg * (absolute && !automatic ? 1 : mean_diagonal(r, r->parts)), &e);
    }
    for (int64_t i = 0; i < r->count && status == NTK_OK; i++)
        for (int64_t c = 0; c < r->outputs; c++)
            coef[i * r->outputs + c] = e.right[c * r->count + i];
    if (status == NTK_OK)
        status = ntk_check_finite(r->ctx, "coefficients of features", coef, r->count, r->outputs);
    if (status == NTK_OK && used)
        *used = diag_reg;
    ntk_large_free(e.gram, square, sizeof *e.gram);
    free(e.right);
    return status;
}

/* ---- predictions */

/* f [rows][outputs] of a block's features, in float64. */
static void multiply(const ntk_feature_map *map, int64_t rows, const float *phi, double *wide, int64_t outputs,
                     const double *coef, double *f)
{
    for (int64_t k = 0; k < rows * map->count; k++)
        wide[k] = (double)phi[k];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)outputs, (int)map->count, 1, wide, (int)map->count,
                coef, (int)outputs, 0, f, (int)outputs);
}

static ntk_status predict(const ntk_feature_map *map, const ntk_data *x, int64_t outputs, const double *coef, int threads,
                          struct ntk_feature_work *work, float *phi, double *wide, double *f)
{
    const int64_t rows = NTK_FEATURE_ROWS, blocks = (x->n + rows - 1) / rows;
    const struct ntk_blas before = ntk_blas_begin(1);
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = b * rows, n = ntk_least(rows, x->n - first), own = omp_get_thread_num() * rows * map->count;

        if (!ntk_go_on(map->ctx, &status, NTK_OK))
            continue;
        ntk_feature_block(map, &work[omp_get_thread_num()], x, first, n, phi + own);
        multiply(map, n, phi + own, wide + own, outputs, coef, f + first * outputs);
    }
    ntk_blas_end(before);
    return status;
}

ntk_status ntk_feature_map_predict(const ntk_feature_map *map, const ntk_data *x, int64_t outputs, const double *coef,
                                   double *f)
{
    const int threads = ntk_threads_for(map->ctx, (x->n + NTK_FEATURE_ROWS - 1) / NTK_FEATURE_ROWS);
    const size_t block = (size_t)threads * NTK_FEATURE_ROWS * (size_t)map->count;
    struct ntk_feature_work *work;
    double *wide;
    float *phi;
    ntk_status status;

    if (outputs < 1)
        return ntk_fail(map->ctx, NTK_EINVAL, "the number of outputs must be at least 1, got %lld", (long long)outputs);
    NTK_TRY(ntk_feature_map_takes(map, x));
    NTK_TRY(ntk_ctx_check_memory(map->ctx, ntk_feature_work_bytes(map, threads) + 12 * block, "features of samples"));
    work = ntk_feature_work_new(map, threads);
    phi = ntk_alloc(map->ctx, block, sizeof *phi);
    wide = ntk_alloc(map->ctx, block, sizeof *wide);
    status = work && phi && wide ? predict(map, x, outputs, coef, threads, work, phi, wide, f) : NTK_ENOMEM;
    ntk_feature_work_free(work, threads);
    free(phi);
    free(wide);
    return status == NTK_OK ? ntk_check_finite(map->ctx, "predictions", f, x->n, outputs) : status;
}
