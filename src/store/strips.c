/* SPDX-License-Identifier: MIT
 *
 * strips.c - see strips.h.
 */
#include "store/strips.h"

#include <stdlib.h>
#include <string.h>

#include "simd/simd.h"

/* Elements before strip k. */
static size_t before(int64_t n, int64_t k)
{
    return (size_t)(NTK_STRIP * (k * n - NTK_STRIP * (k * (k - 1) / 2)));
}

size_t ntk_strips_bytes(int64_t n, ntk_dtype dtype)
{
    const double whole = (double)(n / NTK_STRIP), rest = (double)(n % NTK_STRIP);
    const double elements = NTK_STRIP * (whole * (double)n - NTK_STRIP * (whole * (whole - 1) / 2)) + rest * rest;

    return ntk_bytes(elements * (double)dtype);
}

ntk_status ntk_strips_new(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, struct ntk_strips *s)
{
    *s = (struct ntk_strips){n, dtype, ntk_large_new(ctx, ntk_strips_bytes(n, dtype), 1)};
    return s->a ? NTK_OK : NTK_ENOMEM;
}

void ntk_strips_free(struct ntk_strips *s)
{
    if (s->a)
        ntk_large_free(s->a, ntk_strips_bytes(s->n, s->dtype), 1);
    *s = (struct ntk_strips){0};
}

int64_t ntk_strip_rows(const struct ntk_strips *s, int64_t k)
{
    const int64_t left = s->n - k * NTK_STRIP;

    return left < NTK_STRIP ? left : NTK_STRIP;
}

void *ntk_strip_at(const struct ntk_strips *s, int64_t k)
{
    return (char *)s->a + before(s->n, k) * s->dtype;
}

/* Element of row i and column 0, were it there: column j >= k NTK_STRIP, of i's strip k, is j elements further. */
static size_t row_of(int64_t n, int64_t i)
{
    const int64_t k = i / NTK_STRIP, first = k * NTK_STRIP;

    return before(n, k) + (size_t)((i - first) * (n - first) - first);
}

double ntk_strips_entry(const struct ntk_strips *s, int64_t i, int64_t j)
{
    return ntk_number(s->a, s->dtype, row_of(s->n, i) + (size_t)j);
}

void ntk_strips_put(struct ntk_strips *s, const ntk_block *b, ntk_dtype dtype)
{
    for (int64_t i = b->i0; i < b->i0 + b->ni; i++) {
        const int64_t first = b->j0 < i ? i : b->j0, end = b->j0 + b->nj, square = (i / NTK_STRIP + 1) * NTK_STRIP;
        const size_t from = (size_t)((i - b->i0) * b->ld - b->j0), to = row_of(s->n, i);

        if (dtype == s->dtype && first < end)
            memcpy((char *)s->a + (to + (size_t)first) * dtype, (const char *)b->k + (from + (size_t)first) * dtype,
                   (size_t)(end - first) * dtype);
        for (int64_t j = first; j < end && dtype != s->dtype; j++)
            ntk_store(s->a, s->dtype, to + (size_t)j, ntk_number(b->k, dtype, from + (size_t)j));
        for (int64_t j = first; j < end && j < square; j++)
            ntk_store(s->a, s->dtype, row_of(s->n, j) + (size_t)i, ntk_number(b->k, dtype, from + (size_t)j));
    }
}

void ntk_strips_row(const struct ntk_strips *s, int64_t i, double *row)
{
    const int64_t first = i / NTK_STRIP * NTK_STRIP;

    for (int64_t j = 0; j < first; j++)
        row[j] = ntk_strips_entry(s, j, i);
    for (int64_t j = first; j < s->n; j++)
        row[j] = ntk_strips_entry(s, i, j);
}

/* ---- products: strips fall into parts, whose number and bounds follow from n alone. Each part's sums are one thread's, and
 * are added up in the order of parts. */

#define PARTS   32
#define VECTORS 12 /* at once: more take another pass, and no more memory */

struct parts {
    int n;
    int64_t strip[PARTS + 1]; /* where they begin, and the end */
    size_t sums[PARTS + 1];   /* the same in the numbers of one vector's sums */
};

static struct parts parts_of(int64_t n)
{
    const int64_t strips = ntk_strips_count(n);
    const size_t all = before(n, strips);
    struct parts p = {.n = strips < PARTS ? (int)strips : PARTS};

    for (int k = 0; k < p.n; k++) {
        int64_t at = p.strip[k];

        p.sums[k + 1] = p.sums[k] + (size_t)(n - at * NTK_STRIP);
        for (at++; at < strips - (p.n - k - 1) && before(n, at) < all / (size_t)p.n * (size_t)(k + 1); at++)
            ;
        p.strip[k + 1] = k + 1 < p.n ? at : strips;
    }
    return p;
}

size_t ntk_strips_work(int64_t n, int64_t m)
{
    const struct parts p = parts_of(n);

    return ntk_bytes((double)(m < VECTORS ? m : VECTORS) * (double)p.sums[p.n] * sizeof(double));
}

/* out [m][n - first] of a part's strips, `first` its first column. */
static void multiply_part(const struct ntk_strips *s, const struct ntk_simd *simd, int64_t begin, int64_t end, int64_t m,
                          const double *x, double *out)
{
    const int64_t first = begin * NTK_STRIP, width = s->n - first;

    memset(out, 0, (size_t)(m * width) * sizeof *out);
    for (int64_t k = begin; k < end; k++) {
        const int64_t i = k * NTK_STRIP, rows = ntk_strip_rows(s, k);
        const char *a = ntk_strip_at(s, k);
        struct ntk_products_args p = {.rows = (size_t)rows,
                                      .n = (size_t)rows,
                                      .ld = (size_t)(s->n - i),
                                      .m = (size_t)m,
                                      .x_stride = (size_t)s->n,
                                      .out_stride = (size_t)width,
                                      .a = a,
                                      .x = x + i,
                                      .x_rows = x + i,
                                      .out_rows = out + i - first};

        simd->products(&p); /* the square, which is whole */
        p.n = (size_t)(s->n - i - rows);
        p.a = a + rows * (int64_t)s->dtype;
        p.x = x + i + rows;
        p.out = out + i + rows - first;
        simd->products(&p);
    }
}

static void add_up(int threads, const struct parts *p, int64_t n, int64_t m, const double *sums, double *out)
{
    const int64_t jobs = ntk_strips_count(n);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t job = 0; job < jobs; job++) {
        const int64_t begin = job * NTK_STRIP, end = n - begin < NTK_STRIP ? n : begin + NTK_STRIP;

        for (int64_t c = 0; c < m; c++) {
            memset(out + c * n + begin, 0, (size_t)(end - begin) * sizeof *out);
            for (int k = 0; k < p->n && p->strip[k] <= job; k++) {
                const int64_t first = p->strip[k] * NTK_STRIP;
                const double *from = sums + (size_t)m * p->sums[k] + c * (n - first) - first;

                for (int64_t j = begin; j < end; j++)
                    out[c * n + j] += from[j];
            }
        }
    }
}

static ntk_status multiply(ntk_ctx *ctx, const struct ntk_strips *s, const struct parts *p, int64_t m, const double *x,
                           double *sums, double *out)
{
    const struct ntk_simd *simd = ntk_simd_of(ctx->isa, s->dtype);
    const int threads = ntk_threads_for(ctx, p->n);
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int k = 0; k < p->n; k++)
        if (ntk_go_on(ctx, &status, NTK_OK))
            multiply_part(s, simd, p->strip[k], p->strip[k + 1], m, x, sums + (size_t)m * p->sums[k]);
    if (status == NTK_OK)
        add_up(threads, p, s->n, m, sums, out);
    return status;
}

ntk_status ntk_strips_multiply(ntk_ctx *ctx, const struct ntk_strips *s, int64_t m, const double *x, double *out)
{
    const struct parts p = parts_of(s->n);
    const int64_t most = m < VECTORS ? m : VECTORS;
    double *sums;
    ntk_status status;

    NTK_TRY(ntk_isa_resolve(ctx));
    sums = ntk_scratch_new(ctx, (size_t)most * p.sums[p.n], sizeof *sums);
    status = sums ? NTK_OK : NTK_ENOMEM;
    for (int64_t c = 0; c < m && status == NTK_OK; c += most)
        status = multiply(ctx, s, &p, m - c < most ? m - c : most, x + c * s->n, sums, out + c * s->n);
    ntk_scratch_free(ctx, sums);
    return status;
}
