/* SPDX-License-Identifier: MIT
 *
 * strips.c - see strips.h.
 */
#include "store/strips.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/simd.h"

static const struct {
    const char *name;
    enum ntk_entries entries;
} kinds[] = {{"none", NTK_ENTRIES_NONE}, {"int16", NTK_ENTRIES_FIXED}, {"float32", NTK_ENTRIES_F32}, {"float64", NTK_ENTRIES_F64}};

const char *ntk_entries_name(enum ntk_entries entries)
{
    size_t k = 0;

    while (kinds[k].entries != entries)
        k++;
    return kinds[k].name;
}

ntk_status ntk_entries_find(ntk_ctx *ctx, const char *name, ntk_dtype dtype, enum ntk_entries *entries)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strcmp(kinds[k].name, name) == 0) {
            *entries = kinds[k].entries;
            if (*entries <= ntk_entries_of(dtype))
                return NTK_OK;
            return ntk_fail(ctx, NTK_EINVAL, "the triangle cannot be float64: the kernel's entries are float32");
        }
    return ntk_fail(ctx, NTK_EINVAL, "the triangle must be float64, float32, int16 or none, got '%s'", name);
}

/* Elements before strip k. */
static size_t before(int64_t n, int64_t k)
{
    return (size_t)(NTK_STRIP * (k * n - NTK_STRIP * (k * (k - 1) / 2)));
}

static double elements_of(int64_t n)
{
    const double whole = (double)(n / NTK_STRIP), rest = (double)(n % NTK_STRIP);

    return NTK_STRIP * (whole * (double)n - NTK_STRIP * (whole * (whole - 1) / 2)) + rest * rest;
}

/* Bytes of entries alone. */
static size_t size_of(int64_t n, enum ntk_entries entries) { return ntk_bytes(elements_of(n) * (double)entries); }

size_t ntk_strips_bytes(int64_t n, enum ntk_entries entries)
{
    return ntk_bytes(elements_of(n) * (double)entries + (entries == NTK_ENTRIES_FIXED ? 3 * (double)n * sizeof(double) : 0));
}

static ntk_status keep_diagonal(ntk_ctx *ctx, const double *diagonal, struct ntk_strips *s)
{
    s->diagonal = ntk_alloc(ctx, (size_t)s->n, sizeof *s->diagonal);
    s->root = ntk_alloc(ctx, (size_t)s->n, sizeof *s->root);
    s->inverse = ntk_alloc(ctx, (size_t)s->n, sizeof *s->inverse);
    if (!s->diagonal || !s->root || !s->inverse)
        return NTK_ENOMEM;
    memcpy(s->diagonal, diagonal, (size_t)s->n * sizeof *diagonal);
    for (int64_t i = 0; i < s->n; i++) {
        s->root[i] = diagonal[i] > 0 ? sqrt(diagonal[i] / NTK_FIXED_ONE) : 0;
        s->inverse[i] = s->root[i] > 0 ? 1 / s->root[i] : 0;
    }
    return NTK_OK;
}

ntk_status ntk_strips_new(ntk_ctx *ctx, int64_t n, enum ntk_entries entries, const double *diagonal, struct ntk_strips *s)
{
    ntk_status status;

    *s = (struct ntk_strips){.n = n, .entries = entries, .a = ntk_large_new(ctx, size_of(n, entries), 1)};
    status = s->a ? NTK_OK : NTK_ENOMEM;
    if (status == NTK_OK && entries == NTK_ENTRIES_FIXED)
        status = keep_diagonal(ctx, diagonal, s);
    if (status != NTK_OK)
        ntk_strips_free(s);
    return status;
}

void ntk_strips_free(struct ntk_strips *s)
{
    if (s->a)
        ntk_large_free(s->a, size_of(s->n, s->entries), 1);
    free(s->diagonal);
    free(s->root);
    free(s->inverse);
    *s = (struct ntk_strips){0};
}

int64_t ntk_strip_rows(const struct ntk_strips *s, int64_t k)
{
    const int64_t left = s->n - k * NTK_STRIP;

    return left < NTK_STRIP ? left : NTK_STRIP;
}

void *ntk_strip_at(const struct ntk_strips *s, int64_t k)
{
    return (char *)s->a + before(s->n, k) * s->entries;
}

/* Element of row i and column 0, were it there: column j >= k NTK_STRIP, of i's strip k, is j elements further. */
static size_t row_of(int64_t n, int64_t i)
{
    const int64_t k = i / NTK_STRIP, first = k * NTK_STRIP;

    return before(n, k) + (size_t)((i - first) * (n - first) - first);
}

double ntk_strips_entry(const struct ntk_strips *s, int64_t i, int64_t j)
{
    const size_t at = row_of(s->n, i) + (size_t)j;

    if (s->entries == NTK_ENTRIES_FIXED)
        return i == j ? s->diagonal[i] : ((const int16_t *)s->a)[at] * s->root[i] * s->root[j];
    return ntk_number(s->a, (ntk_dtype)s->entries, at);
}

/* Columns [first, end) of row i, from a row of a block whose first column is j0, and their mirror in the square on the
 * diagonal, where other rows of the block are put as well: none is written twice. */
static void put_row(struct ntk_strips *s, const ntk_block *b, ntk_dtype dtype, int64_t i, int64_t first, int64_t end)
{
    const ntk_dtype to_type = (ntk_dtype)s->entries;
    const int64_t square = (i / NTK_STRIP + 1) * NTK_STRIP;
    const size_t from = (size_t)((i - b->i0) * b->ld - b->j0), to = row_of(s->n, i);

    if (dtype == to_type && first < end)
        memcpy((char *)s->a + (to + (size_t)first) * dtype, (const char *)b->k + (from + (size_t)first) * dtype,
               (size_t)(end - first) * dtype);
    for (int64_t j = first; j < end && dtype != to_type; j++)
        ntk_store(s->a, to_type, to + (size_t)j, ntk_number(b->k, dtype, from + (size_t)j));
    for (int64_t j = first; j < end && j < square; j++)
        ntk_store(s->a, to_type, row_of(s->n, j) + (size_t)i, ntk_number(b->k, dtype, from + (size_t)j));
}

#define ROUNDED 1.001 /* what rounding errors of a kernel may make of an entry, by those of its diagonal */

/* The same in 16 bits; on the diagonal is 0, which products add nothing by. */
static void put_fixed(struct ntk_strips *s, const ntk_block *b, ntk_dtype dtype, int64_t i, int64_t first, int64_t end)
{
    const int64_t square = (i / NTK_STRIP + 1) * NTK_STRIP;
    const size_t from = (size_t)((i - b->i0) * b->ld - b->j0);
    const double one = NTK_FIXED_ONE, inverse = s->inverse[i];
    int16_t *a = s->a, *to = a + row_of(s->n, i);
    double most = 0;

    for (int64_t j = first; j < end; j++) {
        const double k = j == i ? 0 : ntk_number(b->k, dtype, from + (size_t)j) * inverse * s->inverse[j];
        const double fixed = k > one ? one : k < -one ? -one : k;

        most = k > most ? k : -k > most ? -k : most;
        to[j] = (int16_t)(int32_t)(fixed + (fixed < 0 ? -0.5 : 0.5));
    }
    if (most > ROUNDED * one)
        s->beyond = true;
    for (int64_t j = first; j < end && j < square; j++)
        a[row_of(s->n, j) + (size_t)i] = to[j];
}

void ntk_strips_put(struct ntk_strips *s, const ntk_block *b, ntk_dtype dtype)
{
    for (int64_t i = b->i0; i < b->i0 + b->ni; i++) {
        const int64_t first = b->j0 < i ? i : b->j0, end = b->j0 + b->nj;

        if (s->entries == NTK_ENTRIES_FIXED)
            put_fixed(s, b, dtype, i, first, end);
        else
            put_row(s, b, dtype, i, first, end);
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

    return ntk_bytes((double)(m < VECTORS ? m : VECTORS) * ((double)p.sums[p.n] + (double)n) * sizeof(double));
}

typedef void products_fn(const struct ntk_products_args *args);

/* out [m][n - first] of a part's strips, `first` its first column. */
static void multiply_part(const struct ntk_strips *s, products_fn *products, int64_t begin, int64_t end, int64_t m,
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

        products(&p); /* the square, which is whole */
        p.n = (size_t)(s->n - i - rows);
        p.a = a + rows * (int64_t)s->entries;
        p.x = x + i + rows;
        p.out = out + i + rows - first;
        products(&p);
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

/* Of entries as they are stored. */
static ntk_status multiply(ntk_ctx *ctx, const struct ntk_strips *s, const struct parts *p, int64_t m, const double *x,
                           double *sums, double *out)
{
    products_fn *products = s->entries == NTK_ENTRIES_FIXED ? ctx->isa->f64->products_fixed
                                                      : ntk_simd_of(ctx->isa, (ntk_dtype)s->entries)->products;
    const int threads = ntk_threads_for(ctx, p->n);
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int k = 0; k < p->n; k++)
        if (ntk_go_on(ctx, &status, NTK_OK))
            multiply_part(s, products, p->strip[k], p->strip[k + 1], m, x, sums + (size_t)m * p->sums[k]);
    if (status == NTK_OK)
        add_up(threads, p, s->n, m, sums, out);
    return status;
}

/* K = S A S + D: S roots, A integers, 0 on the diagonal, D the diagonal. scaled: [m][n] to work in. */
static ntk_status multiply_fixed(ntk_ctx *ctx, const struct ntk_strips *s, const struct parts *p, int64_t m, const double *x,
                                 double *sums, double *scaled, double *out)
{
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < s->n; i++)
            scaled[c * s->n + i] = s->root[i] * x[c * s->n + i];
    NTK_TRY(multiply(ctx, s, p, m, scaled, sums, out));
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < s->n; i++)
            out[c * s->n + i] = s->root[i] * out[c * s->n + i] + s->diagonal[i] * x[c * s->n + i];
    return NTK_OK;
}

ntk_status ntk_strips_multiply(ntk_ctx *ctx, const struct ntk_strips *s, int64_t m, const double *x, double *out)
{
    const struct parts p = parts_of(s->n);
    const int64_t most = m < VECTORS ? m : VECTORS;
    const size_t size = (size_t)most * p.sums[p.n];
    double *sums;
    ntk_status status;

    NTK_TRY(ntk_isa_resolve(ctx));
    sums = ntk_scratch_new(ctx, size + (size_t)(most * s->n), sizeof *sums);
    status = sums ? NTK_OK : NTK_ENOMEM;
    for (int64_t c = 0; c < m && status == NTK_OK; c += most) {
        const int64_t now = m - c < most ? m - c : most;

        status = s->entries == NTK_ENTRIES_FIXED
                     ? multiply_fixed(ctx, s, &p, now, x + c * s->n, sums, sums + size, out + c * s->n)
                     : multiply(ctx, s, &p, now, x + c * s->n, sums, out + c * s->n);
    }
    ntk_scratch_free(ctx, sums);
    return status;
}
