/* SPDX-License-Identifier: MIT
 *
 * apply.c - features of samples, a block of them at a time: products with the directions by BLAS, then a polynomial of each
 * by its table. A sample's numbers depend on nothing else.
 */
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/outfile.h"
#include "data/data.h"
#include "data/npy.h"
#include "features/features.h"

#define ROWS    NTK_FEATURE_ROWS
#define GRID    NTK_FEATURE_GRID
#define DEGREE  NTK_FEATURE_DEGREE
#define TERMS   (DEGREE / 2 + 1) /* of one parity */
#define AT_ONCE ((size_t)64 << 20) /* bytes that go to a file together */

/* ---- room */

static int64_t most_directions(const struct ntk_feature_map *map)
{
    int64_t m = 0;

    for (int r = 0; r < map->n_groups; r++)
        m = ntk_most(m, map->group[r].m);
    return m;
}

static size_t numbers(const struct ntk_feature_map *map)
{
    const size_t tables = map->n == 1 ? 0 : ROWS * (2 * TERMS + 2 * GRID);

    return ROWS * (size_t)(map->shape.c + most_directions(map)) + tables;
}

static size_t coefficients(const struct ntk_feature_map *map) { return (size_t)map->n_groups * (DEGREE + 1); }

size_t ntk_feature_work_bytes(const struct ntk_feature_map *map, int threads)
{
    return (size_t)threads * (numbers(map) * sizeof(float) + ROWS * (1 + coefficients(map)) * sizeof(double));
}

struct ntk_feature_work *ntk_feature_work_new(const struct ntk_feature_map *map, int threads)
{
    struct ntk_feature_work *work = ntk_alloc_zero(map->ctx, (size_t)threads, sizeof *work);
    bool ok = work;

    for (int t = 0; ok && t < threads; t++) {
        float *x = ntk_alloc_zero(map->ctx, numbers(map), sizeof *x);
        double *q = ntk_alloc_zero(map->ctx, ROWS * (1 + coefficients(map)), sizeof *q);

        ok = x && q;
        work[t] = (struct ntk_feature_work){.x = x, .q = q};
        if (!ok)
            break;
        work[t].z = x + ROWS * map->shape.c;
        work[t].coef = work[t].z + ROWS * most_directions(map);
        work[t].tables = work[t].coef + ROWS * 2 * TERMS;
        work[t].b = q + ROWS;
    }
    if (!ok) {
        ntk_feature_work_free(work, threads);
        return NULL;
    }
    return work;
}

void ntk_feature_work_free(struct ntk_feature_work *work, int threads)
{
    for (int t = 0; work && t < threads; t++) {
        free(work[t].x);
        free(work[t].q);
    }
    free(work);
}

/* ---- samples */

/* x / |x|, and the mean square; zeros where the sample is 0. */
static double load_row(const struct ntk_feature_map *map, const ntk_data *x, int64_t i, float *to)
{
    const int64_t c = map->shape.c;
    double sum = 0, inverse;

    for (int64_t k = 0; k < c; k++) {
        const double value = ntk_data_get(x, (size_t)(i * c + k));

        sum += value * value;
    }
    inverse = sum > 0 ? 1 / sqrt(sum) : 0;
    for (int64_t k = 0; k < c; k++)
        to[k] = (float)(inverse * ntk_data_get(x, (size_t)(i * c + k)));
    return sum / (double)c;
}

/* B_jr at mean square q, all groups, interpolated in log q. */
static void interpolate(const struct ntk_feature_map *map, double q, double *b)
{
    const int n = map->n - 1;
    double weight[64], sum = 0;
    int at = q == 0 ? n : -1;

    for (int k = 0; at < 0 && k < n; k++) {
        const double apart = log(q / map->q[k]);

        if (apart == 0)
            at = k;
        else
            sum += weight[k] = map->weight[k] / apart;
    }
    for (int r = 0; r < map->n_groups; r++)
        for (int j = 0; j <= DEGREE; j++) {
            const double *of = map->group[r].b + j;
            double x = at < 0 ? 0 : of[at * (DEGREE + 1)];

            for (int k = 0; at < 0 && k < n; k++)
                x += weight[k] / sum * of[k * (DEGREE + 1)];
            b[r * (DEGREE + 1) + j] = x;
        }
}

/* Of a homogeneous net all are those of mean square 1, times a power of q. */
static void set_coefficients(const struct ntk_feature_map *map, double q, double *b)
{
    const double factor = q > 0 ? pow(q, map->degree / 2.0) : 0;

    if (map->n > 1)
        interpolate(map, q, b);
    for (int j = 0; map->n == 1 && j <= DEGREE; j++)
        b[j] = factor * map->group[0].b[j];
}

/* ---- polynomials */

/* sum_j b_j s_j h_j at the points of the grid for all rows, by parity: work->tables. */
static void make_tables(const struct ntk_feature_map *map, struct ntk_feature_work *work, int r)
{
    for (int parity = 0; parity < 2; parity++) {
        float *coef = work->coef + parity * ROWS * TERMS;

        for (int64_t i = 0; i < ROWS; i++)
            for (int t = 0; t < TERMS; t++) {
                const int j = 2 * t + parity;
                const double *b = work->b + (i * map->n_groups + r) * (DEGREE + 1);

                coef[i * TERMS + t] = j >= map->group[r].from && j <= DEGREE ? (float)b[j] : 0;
            }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ROWS, GRID, TERMS, 1, coef, TERMS, map->hermite[parity], GRID,
                    0, work->tables + parity * ROWS * GRID, GRID);
    }
}

/* Even or odd values of a table, of m arguments, times scale: cubic interpolation. */
static void look_up(const float *table, bool odd, const float *z, int64_t m, float scale, float *out)
{
    for (int64_t k = 0; k < m; k++) {
        const float size = fabsf(z[k]), x = (size < NTK_FEATURE_END ? size : (float)NTK_FEATURE_END) * NTK_FEATURE_STEP;
        const int at = (int)x;
        const float t = x - (float)at, *f = table + at;
        const float d = (f[3] - 3 * f[2] + 3 * f[1] - f[0]) / 6, c = (f[0] - 2 * f[1] + f[2]) / 2, b = f[2] - f[1] - c - d;
        const float value = ((d * t + c) * t + b) * t + f[1];

        out[k] = scale * (odd && z[k] < 0 ? -value : value);
    }
}

static void group_features(const struct ntk_feature_map *map, struct ntk_feature_work *work, int r, int64_t rows, float *phi)
{
    const struct ntk_feature_group *g = &map->group[r];

    if (!g->m)
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ROWS, (int)g->m, (int)map->shape.c, 1, work->x,
                (int)map->shape.c, g->w, (int)g->m, 0, work->z, (int)g->m);
    if (!g->table)
        make_tables(map, work, r);
    for (int64_t i = 0; i < rows; i++)
        for (int parity = 0; parity < 2; parity++) {
            const float *table = g->table ? g->table + parity * GRID : work->tables + (parity * ROWS + i) * GRID;
            const double factor = g->table ? (work->q[i] > 0 ? pow(work->q[i], map->degree / 2.0) : 0) : 1;
            const double scale = factor / sqrt((double)g->columns[parity]);

            if (g->columns[parity])
                look_up(table, parity, work->z + i * g->m, g->columns[parity], (float)scale,
                        phi + i * map->count + (parity ? g->columns[0] : 0));
        }
}

/* Degrees 0 to 2 of one sample. */
static void monomials(const struct ntk_feature_map *map, const float *x, const double *b, float *phi)
{
    const int64_t c = map->shape.c;

    for (int r = 0; map->constant && r < map->n_groups; r++)
        *phi++ = (float)b[r * (DEGREE + 1)];
    for (int64_t k = 0; map->exact > 0 && k < c; k++)
        *phi++ = (float)b[1] * x[k];
    for (int64_t k = 0; map->exact > 1 && k < c; k++) {
        *phi++ = (float)b[2] * x[k] * x[k];
        for (int64_t l = 0; l < k; l++)
            *phi++ = (float)(M_SQRT2 * b[2]) * x[k] * x[l];
    }
}

void ntk_feature_block(const struct ntk_feature_map *map, struct ntk_feature_work *work, const ntk_data *x, int64_t first,
                       int64_t rows, float *phi)
{
    int64_t column = ntk_feature_monomials(map);

    for (int64_t i = 0; i < rows; i++) {
        float *own = work->x + i * map->shape.c;
        double *b = work->b + i * (int64_t)coefficients(map);

        work->q[i] = load_row(map, x, first + i, own);
        set_coefficients(map, work->q[i], b);
        monomials(map, own, b, phi + i * map->count);
    }
    for (int r = 0; r < map->n_groups; r++) {
        group_features(map, work, r, rows, phi + column);
        column += map->group[r].columns[0] + map->group[r].columns[1];
    }
}

/* ---- many samples */

/* Samples first ... first + n - 1 to phi [n][count]. */
static ntk_status apply(const ntk_feature_map *map, struct ntk_feature_work *work, int threads, const ntk_data *x,
                        int64_t first, int64_t n, float *phi)
{
    const int64_t blocks = (n + ROWS - 1) / ROWS;
    const struct ntk_blas before = ntk_blas_begin(1);
    ntk_status status = NTK_OK;
    int64_t done = first;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t rows = ntk_least(ROWS, n - b * ROWS);

        if (!ntk_go_on(map->ctx, &status, NTK_OK))
            continue;
        ntk_feature_block(map, &work[omp_get_thread_num()], x, first + b * ROWS, rows, phi + b * ROWS * map->count);
        ntk_lock(map->ctx);
        done += rows;
        if (status == NTK_OK)
            status = ntk_progress(map->ctx, "rows", (double)done, (double)x->n);
        ntk_unlock(map->ctx);
    }
    ntk_blas_end(before);
    return status;
}

ntk_status ntk_feature_map_apply(const ntk_feature_map *map, const ntk_data *x, float *phi)
{
    const int threads = ntk_threads_for(map->ctx, (x->n + ROWS - 1) / ROWS);
    struct ntk_feature_work *work;
    ntk_status status;

    NTK_TRY(ntk_feature_map_takes(map, x));
    NTK_TRY(ntk_ctx_check_memory(map->ctx, ntk_feature_work_bytes(map, threads), "features of samples"));
    work = ntk_feature_work_new(map, threads);
    if (!work)
        return NTK_ENOMEM;
    status = apply(map, work, threads, x, 0, x->n, phi);
    ntk_feature_work_free(work, threads);
    return status;
}

/* ---- to a file */

static ntk_status write_rows(const ntk_feature_map *map, const ntk_data *x, int64_t at_once, float *phi,
                             struct ntk_feature_work *work, int threads, FILE *f)
{
    const ntk_array all = {.name = "phi", .dtype = NTK_F32, .ndim = 2, .shape = {x->n, map->count}};
    char header[NTK_NPY_HEADER];

    (void)!fwrite(header, 1, ntk_npy_header(&all, header), f); /* commit says whether it was written, as all that follows */
    for (int64_t first = 0; first < x->n; first += at_once) {
        const int64_t n = ntk_least(at_once, x->n - first);

        NTK_TRY(apply(map, work, threads, x, first, n, phi));
        (void)!fwrite(phi, sizeof *phi, (size_t)(n * map->count), f);
    }
    return NTK_OK;
}

static ntk_status write_file(const ntk_feature_map *map, const ntk_data *x, const char *path, int64_t at_once, float *phi,
                             struct ntk_feature_work *work, int threads)
{
    struct ntk_outfile out;
    int error = ntk_outfile_open(path, &out);
    ntk_status status;

    if (error)
        return ntk_fail_write(map->ctx, path, error);
    status = write_rows(map, x, at_once, phi, work, threads, out.f);
    if (status != NTK_OK) {
        ntk_outfile_abort(&out);
        return status;
    }
    error = ntk_outfile_commit(&out);
    return error ? ntk_fail_write(map->ctx, path, error) : NTK_OK;
}

ntk_status ntk_feature_map_write(const ntk_feature_map *map, const ntk_data *x, const char *path)
{
    const size_t row = (size_t)map->count * sizeof(float);
    const int64_t at_once = ntk_least(x->n, ROWS * ntk_most(1, (int64_t)(AT_ONCE / row) / ROWS));
    const int threads = ntk_threads_for(map->ctx, (at_once + ROWS - 1) / ROWS);
    struct ntk_feature_work *work;
    float *phi;
    ntk_status status;

    if (!path || !(strcmp(path, "-") == 0 || ntk_ends_with(path, ".npy")))
        return ntk_fail(map->ctx, NTK_EINVAL, "%s: features go to a name that ends with .npy, or to -, standard output",
                        path ? path : "path is NULL");
    NTK_TRY(ntk_feature_map_takes(map, x));
    NTK_TRY(ntk_ctx_check_memory(map->ctx, (size_t)at_once * row + ntk_feature_work_bytes(map, threads), "features of samples"));
    work = ntk_feature_work_new(map, threads);
    phi = ntk_alloc(map->ctx, (size_t)(at_once * map->count), sizeof *phi);
    status = work && phi ? write_file(map, x, path, at_once, phi, work, threads) : NTK_ENOMEM;
    ntk_feature_work_free(work, threads);
    free(phi);
    return status;
}
