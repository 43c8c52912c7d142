/* SPDX-License-Identifier: MIT
 *
 * ridge.c - ridge regression on features: Phi' Phi and Phi' y added up in float64, rows in pieces of one size, so that sums
 * do not depend on batches; then a Cholesky factor for each ridge, which is cheaper than eigenvalues for 25 of them.
 */
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "data/data.h"
#include "features/features.h"

#define PIECE   512 /* rows that are added at once */
#define TILE    256 /* columns of a part of the matrix that one thread adds to */
#define HELD_OF 10  /* one sample of every so many is held out, by a hash */

/* Of the samples that are fitted to (part 0), or of those held out. */
struct sums {
    int64_t n, filled;  /* rows: added, and waiting */
    double *phi, *y;    /* [PIECE][count], [PIECE][outputs] */
    double *gram;       /* [count][count], the lower half in tiles: Phi' Phi */
    double *cross;      /* [count][outputs]: Phi' y */
    double squares;     /* of y */
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
    s->cross = ntk_alloc_zero(r->ctx, count * outputs, sizeof *s->cross);
    s->gram = ntk_large_new(r->ctx, count * count, sizeof *s->gram);
    if (!s->phi || !s->y || !s->cross || !s->gram)
        return NTK_ENOMEM;
    memset(s->gram, 0, count * count * sizeof *s->gram);
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
        free(r->part[k].cross);
        ntk_large_free(r->part[k].gram, (size_t)r->count * (size_t)r->count, sizeof(double));
    }
    ntk_ctx_release(r->ctx, r->held);
    free(r);
}

int64_t ntk_feature_ridge_n(const ntk_feature_ridge *r) { return r->n; }

/* ---- adding */

/* The rows that wait, to the sums. Each entry is a thread's alone, and its sum in one order. */
static void flush(const struct ntk_feature_ridge *r, struct sums *s)
{
    const int64_t m = r->count, tiles = (m + TILE - 1) / TILE, rows = s->filled;
    const struct ntk_blas before = ntk_blas_begin(1);

#pragma omp parallel for num_threads(ntk_threads_for(r->ctx, tiles)) schedule(dynamic)
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t row = tiles - 1 - t, i = row * TILE, ni = ntk_least(TILE, m - i); /* the longest first */

        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)ni, (int)(i + ni), (int)rows, 1, s->phi + i, (int)m, s->phi,
                    (int)m, 1, s->gram + i * m, (int)m);
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)ni, (int)r->outputs, (int)rows, 1, s->phi + i, (int)m, s->y,
                    (int)r->outputs, 1, s->cross + i * r->outputs, (int)r->outputs);
    }
    ntk_blas_end(before);
    for (int64_t k = 0; k < rows * r->outputs; k++)
        s->squares += s->y[k] * s->y[k];
    s->filled = 0;
}

static void put_row(struct ntk_feature_ridge *r, const float *phi, const double *y)
{
    const uint64_t n = (uint64_t)r->n;
    const bool held = r->parts == 2 && n % HELD_OF == ntk_mix64(n / HELD_OF + 1) % HELD_OF;
    struct sums *s = &r->part[held];

    for (int64_t k = 0; k < r->count; k++)
        s->phi[s->filled * r->count + k] = (double)phi[k];
    memcpy(s->y + s->filled * r->outputs, y, (size_t)r->outputs * sizeof *y);
    s->n++;
    r->n++;
    if (++s->filled == PIECE)
        flush(r, s);
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
            put_row(r, phi + i * r->count, y + (first + i) * r->outputs);
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

/* Which samples a fit is to. */
enum which { FITTED, ALL };

static double mean_diagonal(const struct ntk_feature_ridge *r, enum which which)
{
    double sum = 0;
    int64_t n = 0;

    for (int k = 0; k < (which == ALL ? r->parts : 1); k++) {
        n += r->part[k].n;
        for (int64_t i = 0; i < r->count; i++)
            sum += r->part[k].gram[i * r->count + i];
    }
    return sum / (double)n;
}

/* Sums of both parts, or of the first. */
static void set_up(const struct ntk_feature_ridge *r, enum which which, double ridge, double *gram, double *coef)
{
    const size_t m = (size_t)r->count, outputs = (size_t)r->outputs;

    memcpy(gram, r->part[0].gram, m * m * sizeof *gram);
    memcpy(coef, r->part[0].cross, m * outputs * sizeof *coef);
    if (which == ALL && r->parts == 2) {
        for (size_t k = 0; k < m * m; k++)
            gram[k] += r->part[1].gram[k];
        for (size_t k = 0; k < m * outputs; k++)
            coef[k] += r->part[1].cross[k];
    }
    for (size_t i = 0; i < m; i++)
        gram[i * m + i] += ridge;
}

/* coef = (Phi' Phi + ridge)^-1 Phi' y. gram: room for [count][count]. */
static ntk_status solve(const struct ntk_feature_ridge *r, enum which which, double ridge, double *gram, double *coef)
{
    const int m = (int)r->count, outputs = (int)r->outputs;
    struct ntk_blas before;
    int info;

    set_up(r, which, ridge, gram, coef);
    NTK_TRY(ntk_poll(r->ctx));
    before = ntk_blas_begin(r->ctx->threads);
    dpotrf_("U", &m, gram, &m, &info, 1); /* the lower half of rows is the upper one of columns */
    if (info == 0) {
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, m, outputs, 1, gram, m, coef, outputs);
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, m, outputs, 1, gram, m, coef, outputs);
    }
    ntk_blas_end(before);
    if (info != 0)
        return ntk_fail(r->ctx, NTK_ENUMERIC,
                        "Phi' Phi of %lld samples, with %g on its diagonal, is not positive definite: %lld features need a "
                        "ridge, such as 1e-6 times the mean of |Phi(x)|^2",
                        (long long)r->n, ridge, (long long)r->count);
    return ntk_check_finite(r->ctx, "coefficients of features", coef, r->count, r->outputs);
}

/* Mean squared error of coef on the samples held out, from their sums. */
static double error_of(const struct ntk_feature_ridge *r, const double *coef, double *product)
{
    const struct sums *s = &r->part[1];
    const int m = (int)r->count, outputs = (int)r->outputs;
    const struct ntk_blas before = ntk_blas_begin(r->ctx->threads);
    double sum = s->squares;

    cblas_dsymm(CblasRowMajor, CblasLeft, CblasLower, m, outputs, 1, s->gram, m, coef, outputs, 0, product, outputs);
    ntk_blas_end(before);
    for (int64_t k = 0; k < r->count * r->outputs; k++)
        sum += coef[k] * (product[k] - 2 * s->cross[k]);
    return fmax(sum, 0) / (double)(s->n * r->outputs);
}

static ntk_status check_ready(ntk_feature_ridge *r, bool hold_out)
{
    for (int k = 0; k < r->parts; k++)
        flush(r, &r->part[k]);
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

static double absolute_ridge(const ntk_feature_ridge *r, enum which which, double diag_reg, bool absolute)
{
    return absolute ? diag_reg : diag_reg * mean_diagonal(r, which);
}

/* Room for a factor, and two tables of coefficients. */
static ntk_status room(const ntk_feature_ridge *r, double **gram, double **coef)
{
    const size_t m = (size_t)r->count, outputs = (size_t)r->outputs;

    NTK_TRY(ntk_ctx_check_memory(r->ctx, ntk_bytes(8.0 * ((double)m * (double)m + 2.0 * (double)m * (double)outputs)),
                                 "a factor of normal equations"));
    *gram = ntk_large_new(r->ctx, m * m, sizeof **gram);
    *coef = ntk_alloc(r->ctx, 2 * m * outputs, sizeof **coef);
    return *gram && *coef ? NTK_OK : NTK_ENOMEM;
}

/* A ridge with which there is no factor has an infinite error. */
static ntk_status hold_out(const ntk_feature_ridge *r, size_t n, const double *diag_reg, bool absolute, double *gram,
                           double *coef, double *mse)
{
    for (size_t k = 0; k < n; k++) {
        const double ridge = absolute_ridge(r, FITTED, diag_reg[k], absolute);
        const ntk_status status = solve(r, FITTED, ridge, gram, coef);

        if (status != NTK_OK && status != NTK_ENUMERIC)
            return status;
        mse[k] = status == NTK_OK ? error_of(r, coef, coef + r->count * r->outputs) : (double)INFINITY;
        NTK_TRY(ntk_progress(r->ctx, "ridges", (double)(k + 1), (double)n));
    }
    return NTK_OK;
}

ntk_status ntk_feature_ridge_hold_out(ntk_feature_ridge *r, size_t n, const double *diag_reg, int absolute, double *mse)
{
    double *gram = NULL, *coef = NULL;
    ntk_status status;

    for (size_t k = 0; k < n; k++)
        NTK_TRY(check_ridge(r->ctx, diag_reg[k]));
    NTK_TRY(check_ready(r, true));
    status = room(r, &gram, &coef);
    if (status == NTK_OK)
        status = hold_out(r, n, diag_reg, absolute, gram, coef, mse);
    ntk_large_free(gram, (size_t)r->count * (size_t)r->count, sizeof *gram);
    free(coef);
    return status;
}

static ntk_status choose(ntk_feature_ridge *r, double *diag_reg)
{
    double grid[NTK_RIDGES], mse[NTK_RIDGES], best = HUGE_VAL;

    ntk_ridge_grid(grid);
    NTK_TRY(ntk_feature_ridge_hold_out(r, NTK_RIDGES, grid, 0, mse));
    for (int k = 0; k < NTK_RIDGES; k++)
        best = fmin(best, mse[k]);
    for (int k = 0; k < NTK_RIDGES; k++)
        if (mse[k] <= best * (1 + 1e-10))
            *diag_reg = grid[k];
    return isfinite(best) ? NTK_OK : ntk_fail(r->ctx, NTK_ENUMERIC, "no ridge makes the normal equations positive definite");
}

ntk_status ntk_feature_ridge_solve(ntk_feature_ridge *r, double diag_reg, int absolute, double *coef, double *used)
{
    const bool automatic = diag_reg == NTK_DIAG_REG_AUTO;
    double *gram = NULL, *own = NULL;
    ntk_status status;

    if (automatic)
        NTK_TRY(choose(r, &diag_reg));
    NTK_TRY(check_ridge(r->ctx, diag_reg));
    NTK_TRY(check_ready(r, false));
    status = room(r, &gram, &own);
    if (status == NTK_OK)
        status = solve(r, ALL, absolute_ridge(r, ALL, diag_reg, absolute && !automatic), gram, own);
    if (status == NTK_OK) {
        memcpy(coef, own, (size_t)(r->count * r->outputs) * sizeof *coef);
        if (used)
            *used = diag_reg;
    }
    ntk_large_free(gram, (size_t)r->count * (size_t)r->count, sizeof *gram);
    free(own);
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
