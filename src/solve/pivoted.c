/* SPDX-License-Identifier: MIT
 *
 * pivoted.c - see pivoted.h.
 */
#include "solve/pivoted.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "simd/simd.h"

#define PROPOSALS 64   /* at once */
#define COLUMNS   1024 /* of a job */
#define LEAST     1e-8 /* of the diagonal's mean: what mu is at least, and pivots, beside float32's rounding errors of F */

size_t ntk_pivoted_bytes(int64_t n, int64_t most)
{
    const double rank = (double)most;

    return ntk_bytes((double)n * rank * sizeof(float) + ((double)n + rank * rank) * sizeof(double));
}

size_t ntk_pivoted_work(int64_t n, int64_t most)
{
    return ntk_bytes(((double)n * (PROPOSALS + 1) + (double)most * PROPOSALS) * sizeof(double));
}

void ntk_pivoted_free(struct ntk_pivoted *p)
{
    free(p->f);
    free(p->pivots);
    free(p->d);
    free(p->c);
    *p = (struct ntk_pivoted){0};
}

/* ---- products with rows of F, in jobs that each have their own results */

/* out [m][n] += x' F for x [m][rank]. */
static void add_combinations(const struct ntk_pivoted *p, int64_t m, const double *x, double *out)
{
#pragma omp parallel for num_threads(ntk_threads_for(p->ctx, p->n / COLUMNS + 1)) schedule(static)
    for (int64_t j = 0; j < p->n; j += COLUMNS) {
        const struct ntk_products_args args = {.rows = (size_t)p->rank,
                                               .n = (size_t)(p->n - j < COLUMNS ? p->n - j : COLUMNS),
                                               .ld = (size_t)p->n,
                                               .m = (size_t)m,
                                               .x_stride = (size_t)p->rank,
                                               .out_stride = (size_t)p->n,
                                               .a = p->f + j,
                                               .x_rows = x,
                                               .out = out + j};

        p->ctx->isa->f32->products(&args);
    }
}

#define ROWS 16 /* of a job */

/* out [m][rank] = F' x for x [m][n]. */
static void project(const struct ntk_pivoted *p, int64_t m, const double *x, double *out)
{
    memset(out, 0, (size_t)(m * p->rank) * sizeof *out);
#pragma omp parallel for num_threads(ntk_threads_for(p->ctx, p->rank / ROWS + 1)) schedule(static)
    for (int64_t i = 0; i < p->rank; i += ROWS) {
        const struct ntk_products_args args = {.rows = (size_t)(p->rank - i < ROWS ? p->rank - i : ROWS),
                                               .n = (size_t)p->n,
                                               .ld = (size_t)p->n,
                                               .m = (size_t)m,
                                               .x_stride = (size_t)p->n,
                                               .out_stride = (size_t)p->rank,
                                               .a = p->f + i * p->n,
                                               .x = x,
                                               .out_rows = out + i};

        p->ctx->isa->f32->products(&args);
    }
}

/* ---- pivots */

struct pivoting {
    struct ntk_pivoted *p;
    double *left; /* [n]: the diagonal of what is left of K */
    double floor; /* no pivot is below it */
    uint64_t seed;
    double *rows; /* [PROPOSALS][n] */
};

/* splitmix64, between 0 and 1. */
static double uniform(uint64_t *seed)
{
    return (double)(ntk_mix64(*seed += 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Samples by what is left of them, each once, in an order of chance. */
static int64_t propose(struct pivoting *w, int64_t most, int64_t *which)
{
    double at[PROPOSALS], all = 0, sum = 0;
    int64_t count = 0, i = 0;

    for (int64_t k = 0; k < w->p->n; k++)
        all += w->left[k];
    for (int64_t k = 0; k < most; k++)
        at[k] = all * uniform(&w->seed);
    qsort(at, (size_t)most, sizeof *at, ascending);
    for (int64_t k = 0; k < most; k++) {
        while (i + 1 < w->p->n && sum + w->left[i] <= at[k])
            sum += w->left[i++];
        if (count == 0 || which[count - 1] != i)
            which[count++] = i;
    }
    for (int64_t k = count - 1; k > 0; k--) {
        const int64_t other = (int64_t)(uniform(&w->seed) * (double)(k + 1)), kept = which[k];

        which[k] = which[other];
        which[other] = kept;
    }
    return count;
}

/* rows -= F F' of them: what is left of K there. */
static void subtract(struct pivoting *w, int64_t count, const int64_t *which)
{
    struct ntk_pivoted *p = w->p;
    double *x = w->rows + PROPOSALS * p->n; /* [count][rank] */

    for (int64_t c = 0; c < count; c++)
        for (int64_t k = 0; k < p->rank; k++)
            x[c * p->rank + k] = -(double)p->f[k * p->n + which[c]];
    if (p->rank > 0)
        add_combinations(p, count, x, w->rows);
}

/* Eliminates in h, [count][count], what is left between proposals; those accepted: their numbers, and rows of the factor
 * [accepted][accepted] in l. A proposal is accepted by what those before it have left of it. */
static int64_t accept(struct pivoting *w, int64_t count, double *h, int64_t *accepted, double *l)
{
    int64_t n = 0;

    for (int64_t t = 0; t < count; t++) {
        const double proposed = h[t * count + t];
        double row[PROPOSALS], now = proposed;

        for (int64_t a = 0; a < n; a++) { /* forward elimination */
            row[a] = h[t * count + accepted[a]];
            for (int64_t b = 0; b < a; b++)
                row[a] -= row[b] * l[a * PROPOSALS + b];
            row[a] /= l[a * PROPOSALS + a];
            now -= row[a] * row[a];
        }
        if (!(now > w->floor) || uniform(&w->seed) * proposed > now)
            continue;
        row[n] = sqrt(now);
        memcpy(l + n * PROPOSALS, row, (size_t)(n + 1) * sizeof *row);
        accepted[n++] = t;
    }
    return n;
}

/* New rows of F: l^-1 of the accepted proposals' rows; and what they leave of the diagonal. */
static void eliminate(struct pivoting *w, int64_t n, const int64_t *accepted, const double *l)
{
    struct ntk_pivoted *p = w->p;

#pragma omp parallel for num_threads(ntk_threads_for(p->ctx, p->n / COLUMNS + 1)) schedule(static)
    for (int64_t first = 0; first < p->n; first += COLUMNS) {
        const int64_t end = p->n - first < COLUMNS ? p->n : first + COLUMNS;

        for (int64_t a = 0; a < n; a++) {
            double *row = w->rows + accepted[a] * p->n;
            float *to = p->f + (p->rank + a) * p->n;

            for (int64_t b = 0; b < a; b++) {
                const double *other = w->rows + accepted[b] * p->n, factor = l[a * PROPOSALS + b];

                for (int64_t j = first; j < end; j++)
                    row[j] -= factor * other[j];
            }
            for (int64_t j = first; j < end; j++) {
                row[j] /= l[a * PROPOSALS + a];
                to[j] = (float)row[j];
                w->left[j] = fmax(w->left[j] - row[j] * row[j], 0);
            }
        }
    }
    p->rank += n;
}

static ntk_status pivot(struct pivoting *w, ntk_pivoted_rows_fn *rows, void *user, bool *more)
{
    struct ntk_pivoted *p = w->p;
    const int64_t room = p->most - p->rank, most = room < PROPOSALS ? room : PROPOSALS;
    int64_t which[PROPOSALS], accepted[PROPOSALS], count = propose(w, most, which), n;
    double h[PROPOSALS * PROPOSALS], l[PROPOSALS * PROPOSALS];

    NTK_TRY(rows(user, count, which, w->rows));
    subtract(w, count, which);
    for (int64_t a = 0; a < count; a++)
        for (int64_t b = 0; b < count; b++)
            h[a * count + b] = w->rows[a * p->n + which[b]];
    n = accept(w, count, h, accepted, l);
    for (int64_t a = 0; a < n; a++)
        p->pivots[p->rank + a] = which[accepted[a]];
    eliminate(w, n, accepted, l);
    *more = n > 0;
    return NTK_OK;
}

static double sum_of(int64_t n, const double *x)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static ntk_status find_pivots(struct ntk_pivoted *p, const double *diagonal, ntk_pivoted_rows_fn *rows, void *user)
{
    const double all = sum_of(p->n, diagonal), least = LEAST * all / (double)p->n;
    struct pivoting w = {.p = p, .floor = least, .seed = 1};
    bool more = p->most > 0 && all > 0;
    ntk_status status;

    w.rows = ntk_alloc(p->ctx, (size_t)(PROPOSALS * (p->n + p->most) + p->n), sizeof *w.rows);
    if (!w.rows)
        return NTK_ENOMEM;
    w.left = w.rows + PROPOSALS * (p->n + p->most);
    memcpy(w.left, diagonal, (size_t)p->n * sizeof *diagonal);
    status = ntk_progress(p->ctx, "pivots", 0, (double)p->most + 1);
    while (status == NTK_OK && more && p->rank < p->most && sum_of(p->n, w.left) > least * (double)p->n) {
        status = pivot(&w, rows, user, &more);
        if (status == NTK_OK)
            status = ntk_progress(p->ctx, "pivots", (double)p->rank, (double)p->most + 1);
    }
    p->mu = fmax(sum_of(p->n, w.left) / (double)p->n, least);
    free(w.rows);
    return status;
}

ntk_status ntk_pivoted_new(ntk_ctx *ctx, int64_t n, int64_t most, const double *diagonal, ntk_pivoted_rows_fn *rows,
                           void *user, struct ntk_pivoted *p)
{
    ntk_status status = ntk_isa_resolve(ctx);

    *p = (struct ntk_pivoted){.ctx = ctx, .n = n, .most = most};
    NTK_TRY(status);
    p->f = ntk_alloc(ctx, (size_t)(most * n), sizeof *p->f);
    p->pivots = ntk_alloc(ctx, (size_t)most, sizeof *p->pivots);
    p->d = ntk_alloc(ctx, (size_t)n, sizeof *p->d);
    p->c = ntk_alloc(ctx, (size_t)(most * most), sizeof *p->c);
    status = p->f && p->pivots && p->d && p->c ? find_pivots(p, diagonal, rows, user) : NTK_ENOMEM;
    if (status != NTK_OK)
        ntk_pivoted_free(p);
    return status;
}

/* ---- with a ridge */

#define SIDE 32 /* of a tile of C */

/* Rows j ... of F, divided by D: [SIDE][COLUMNS], of columns `first` ... */
static void scale(const struct ntk_pivoted *p, int64_t j, int64_t rows, int64_t first, int64_t columns, double *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            to[r * COLUMNS + c] = (double)p->f[(j + r) * p->n + first + c] / p->d[first + c];
}

/* C [j ...][i ...] = F' D^-1 F, by one thread. */
static void gram_tile(const struct ntk_pivoted *p, int64_t i, int64_t j)
{
    const int64_t ni = p->rank - i < SIDE ? p->rank - i : SIDE, nj = p->rank - j < SIDE ? p->rank - j : SIDE;
    double x[SIDE * COLUMNS], sum[SIDE * SIDE] = {0};

    for (int64_t first = 0; first < p->n; first += COLUMNS) {
        const int64_t columns = p->n - first < COLUMNS ? p->n - first : COLUMNS;
        const struct ntk_products_args args = {.rows = (size_t)ni,
                                               .n = (size_t)columns,
                                               .ld = (size_t)p->n,
                                               .m = (size_t)nj,
                                               .x_stride = COLUMNS,
                                               .out_stride = SIDE,
                                               .a = p->f + i * p->n + first,
                                               .x = x,
                                               .out_rows = sum};

        scale(p, j, nj, first, columns, x);
        p->ctx->isa->f32->products(&args);
    }
    for (int64_t c = 0; c < nj; c++)
        for (int64_t r = 0; r < ni; r++)
            p->c[(j + c) * p->rank + i + r] = sum[c * SIDE + r];
}

static ntk_status gram(const struct ntk_pivoted *p)
{
    const int64_t side = (p->rank + SIDE - 1) / SIDE;
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(p->ctx, side * side)) schedule(dynamic)
    for (int64_t k = 0; k < side * side; k++)
        if (k / side <= k % side && ntk_go_on(p->ctx, &status, NTK_OK))
            gram_tile(p, k % side * SIDE, k / side * SIDE); /* column-major: rows i >= columns j */
    return status;
}

ntk_status ntk_pivoted_ridge(struct ntk_pivoted *p, const double *ridge)
{
    const int n = (int)p->rank;
    struct ntk_blas blas;
    int info = 0;

    for (int64_t i = 0; i < p->n; i++)
        p->d[i] = ridge[i] + p->mu;
    if (n == 0)
        return NTK_OK;
    NTK_TRY(gram(p));
    for (int64_t i = 0; i < n; i++)
        p->c[i * (n + 1)] += 1;
    blas = ntk_blas_begin(1); /* of which the bits do not follow the number of threads */
    dpotrf_("L", &n, p->c, &n, &info, 1);
    ntk_blas_end(blas);
    return info == 0 ? NTK_OK
                     : ntk_fail(p->ctx, NTK_ENUMERIC, "the preconditioner is not positive definite: its minor of order %d",
                                info);
}

ntk_status ntk_pivoted_solve(const struct ntk_pivoted *p, int64_t m, const double *r, double *z)
{
    const int n = (int)p->rank, columns = (int)m;
    double *t = ntk_alloc(p->ctx, (size_t)(m * p->rank), sizeof *t);
    struct ntk_blas blas;

    if (!t)
        return NTK_ENOMEM;
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < p->n; i++)
            z[c * p->n + i] = r[c * p->n + i] / p->d[i];
    if (n > 0) {
        project(p, m, z, t);
        blas = ntk_blas_begin(1);
        cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, n, columns, -1, p->c, n, t, n);
        cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, n, columns, 1, p->c, n, t, n);
        ntk_blas_end(blas);
        /* z = D^-1 (r - F C^-1 F' D^-1 r) */
        memcpy(z, r, (size_t)(m * p->n) * sizeof *z);
        add_combinations(p, m, t, z);
        for (int64_t c = 0; c < m; c++)
            for (int64_t i = 0; i < p->n; i++)
                z[c * p->n + i] /= p->d[i];
    }
    free(t);
    return NTK_OK;
}

double ntk_pivoted_log_determinant(const struct ntk_pivoted *p)
{
    double sum = 0;

    for (int64_t i = 0; i < p->n; i++)
        sum += log(p->d[i]);
    for (int64_t k = 0; k < p->rank; k++)
        sum += 2 * log(p->c[k * (p->rank + 1)]);
    return sum;
}

void ntk_pivoted_sample(const struct ntk_pivoted *p, int64_t m, const double *g, const double *h, double *z)
{
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < p->n; i++)
            z[c * p->n + i] = sqrt(p->d[i]) * g[c * p->n + i];
    if (p->rank > 0)
        add_combinations(p, m, h, z);
}
