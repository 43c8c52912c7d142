/* SPDX-License-Identifier: MIT
 *
 * of_arrays.c - matrices that a program has: whole arrays, or rows that a function writes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "store/operator.h"

/* ---- arrays */

#define ASYMMETRY 1e-12 /* of the largest entry */

struct of_arrays {
    struct ntk_operator base;
    const double *k[];
};

#define TILE 64 /* rows and columns that fit into the first cache, in which one of two mirrored tiles is read by columns */

static ntk_status check_tile(ntk_ctx *ctx, const char *name, int64_t n, const double *k, int64_t i0, int64_t j0,
                             double most)
{
    for (int64_t i = i0; i < i0 + TILE && i < n; i++)
        for (int64_t j = j0; j < j0 + TILE && j < i; j++)
            if (!(fabs(k[i * n + j] - k[j * n + i]) <= most))
                return ntk_fail(ctx, NTK_EINVAL,
                                "%s must be symmetric, to %g of its largest entry: entry [%lld][%lld] is %.17g, "
                                "[%lld][%lld] is %.17g",
                                name, ASYMMETRY, (long long)i, (long long)j, k[i * n + j], (long long)j, (long long)i,
                                k[j * n + i]);
    return NTK_OK;
}

static ntk_status check_array(ntk_ctx *ctx, const char *name, int64_t n, const double *k)
{
    double largest = 0;

    for (int64_t i = 0; i < n; i++) {
        NTK_TRY(i % TILE ? NTK_OK : ntk_poll(ctx));
        for (int64_t j = 0; j < n; j++) {
            const double x = k[i * n + j];

            if (!isfinite(x))
                return ntk_fail(ctx, NTK_EINVAL, "entry [%lld][%lld] of %s is %g: all must be finite", (long long)i,
                                (long long)j, name, x);
            largest = fmax(largest, fabs(x));
        }
    }
    for (int64_t i = 0; i < n; i += TILE) {
        NTK_TRY(ntk_poll(ctx));
        for (int64_t j = 0; j <= i; j += TILE)
            NTK_TRY(check_tile(ctx, name, n, k, i, j, ASYMMETRY * largest));
    }
    return NTK_OK;
}

#define AT_ONCE 256 /* rows: between them the work can be cancelled */

static ntk_status stream_arrays(struct ntk_operator *o, const struct ntk_reading *r)
{
    const struct of_arrays *a = (const struct of_arrays *)o;

    NTK_TRY(ntk_ctx_check_memory(o->ctx, r->held, r->what));
    for (int64_t i = r->i0; i < r->i0 + r->ni; i += AT_ONCE) {
        const int64_t left = r->i0 + r->ni - i;

        NTK_TRY(ntk_poll(o->ctx));
        for (size_t k = 0; k < o->count; k++) {
            const ntk_block b = {.output = k,
                                 .i0 = i,
                                 .ni = left < AT_ONCE ? left : AT_ONCE,
                                 .j0 = i,
                                 .nj = o->n - i,
                                 .k = a->k[k] + i * o->n + i,
                                 .ld = o->n};

            if (r->sink(&b, r->user))
                return ntk_fail(o->ctx, NTK_ECANCEL, "cancelled by the reader of a matrix");
        }
    }
    return NTK_OK;
}

/* Of upper triangles, which are what is read, but for squares on the diagonal. */
static ntk_status apply_array(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    const double *a = ((const struct of_arrays *)o)->k[k];
    const int threads = o->ctx->threads;

    memset(out, 0, (size_t)(m * o->n) * sizeof *out);
    for (int64_t i = 0; i < o->n; i += AT_ONCE) {
        const int64_t ni = o->n - i < AT_ONCE ? o->n - i : AT_ONCE, width = o->n - i;

        NTK_TRY(ntk_poll(o->ctx));
        for (int64_t c = 0; c < m; c++)
            ntk_sums_symmetric(threads, ni, width, a + i * o->n + i, o->n, x + c * o->n + i, out + c * o->n + i);
    }
    return NTK_OK;
}

static void close(struct ntk_operator *o) { free(o); }

static const struct ntk_operator_class of_arrays = {
    .name = "a given matrix", .stream = stream_arrays, .apply = apply_array, .resident = true, .close = close};

ntk_status ntk_operator_of_arrays(ntk_ctx *ctx, int64_t n, size_t count, const double *const *k,
                                  const char *const *names, ntk_dtype precision, struct ntk_operator **o)
{
    struct of_arrays *own;

    for (size_t i = 0; i < count; i++)
        NTK_TRY(check_array(ctx, names[i], n, k[i]));
    own = ntk_alloc_zero(ctx, 1, sizeof *own + count * sizeof *own->k);
    if (!own)
        return NTK_ENOMEM;
    own->base = (struct ntk_operator){
        .class = &of_arrays, .ctx = ctx, .n = n, .count = count, .dtype = NTK_F64, .precision = precision};
    for (size_t i = 0; i < count; i++)
        own->k[i] = k[i];
    *o = &own->base;
    return NTK_OK;
}

/* ---- rows */

struct of_rows {
    struct ntk_operator base;
    int64_t block;
    ntk_rows_fn *rows;
    void *user;
};

/* What is read decides the precision: float64 entries that all are float32 numbers were computed so. */
static ntk_status check_block(struct ntk_operator *o, const ntk_block *b, bool *single)
{
    *single = *single && (o->dtype == NTK_F32 || ntk_all_single(b->k, b->ni * b->ld));
    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++) {
            const double x = ntk_number(b->k, o->dtype, (size_t)(i * b->ld + j));

            if (!isfinite(x))
                return ntk_fail(o->ctx, NTK_EINVAL, "the kernel's entry [%lld][%lld] is %g",
                                (long long)(b->i0 + i), (long long)(b->j0 + j), x);
        }
    return NTK_OK;
}

static ntk_status stream_rows(struct ntk_operator *o, const struct ntk_reading *r)
{
    const struct of_rows *f = (const struct of_rows *)o;
    bool single = true;
    void *rows;
    ntk_status status;

    if (r->ni != o->n)
        return ntk_fail(o->ctx, NTK_ENOTSUP, "rows that a function writes can be read as a whole only");
    NTK_TRY(ntk_ctx_check_memory(o->ctx, r->held, r->what)); /* a block's rows are in the reader's count */
    rows = ntk_alloc(o->ctx, (size_t)(f->block * o->n), o->dtype);
    status = rows ? NTK_OK : NTK_ENOMEM;
    for (int64_t i = 0; i < o->n && status == NTK_OK; i += f->block) {
        const int64_t ni = o->n - i < f->block ? o->n - i : f->block, nj = o->n - i;
        const ntk_block b = {.i0 = i, .ni = ni, .j0 = i, .nj = nj, .k = rows, .ld = nj};

        if (f->rows(i, ni, rows, f->user)) {
            status = ntk_fail(o->ctx, NTK_ECANCEL, "cancelled by the source of the kernel's rows");
            break;
        }
        status = check_block(o, &b, &single);
        if (status == NTK_OK && r->sink(&b, r->user))
            status = ntk_fail(o->ctx, NTK_ECANCEL, "cancelled by the reader of a matrix");
    }
    free(rows);
    o->precision = single ? NTK_F32 : NTK_F64;
    return status;
}

/* ---- products with rows, as they come */

struct product {
    const struct ntk_operator *o;
    int64_t m;
    const double *x;
    double *row, *out; /* [n], [m][n] */
};

static int multiply_block(const ntk_block *b, void *user)
{
    const struct product *p = user;

    for (int64_t i = 0; i < b->ni; i++) {
        const int64_t n = p->o->n, row = b->i0 + i;

        for (int64_t j = i; j < b->nj; j++)
            p->row[j - i] = ntk_number(b->k, p->o->dtype, (size_t)(i * b->ld + j));
        for (int64_t c = 0; c < p->m; c++)
            ntk_sums_symmetric(p->o->ctx->threads, 1, n - row, p->row, n, p->x + c * n + row, p->out + c * n + row);
    }
    return 0;
}

/* They cannot be read again from where a part of them begins, as products by entries would. */
static ntk_status apply_rows(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    struct product p = {.o = o, .m = m, .x = x, .out = out, .row = ntk_alloc(o->ctx, (size_t)o->n, sizeof *p.row)};
    const struct ntk_reading r = {.ni = o->n, .what = "rows of a kernel matrix", .sink = multiply_block, .user = &p};
    ntk_status status;

    (void)k;
    memset(out, 0, (size_t)(m * o->n) * sizeof *out);
    status = p.row ? stream_rows(o, &r) : NTK_ENOMEM;
    free(p.row);
    return status;
}

static const struct ntk_operator_class of_rows = {
    .name = "rows of a matrix", .stream = stream_rows, .apply = apply_rows, .whole = true, .close = close};

ntk_status ntk_operator_of_rows(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, int64_t block, ntk_rows_fn *rows, void *user,
                                struct ntk_operator **o)
{
    struct of_rows *own = ntk_alloc(ctx, 1, sizeof *own);

    if (!own)
        return NTK_ENOMEM;
    *own = (struct of_rows){
        .base = {.class = &of_rows, .ctx = ctx, .n = n, .count = 1, .dtype = dtype, .precision = dtype},
        .block = block,
        .rows = rows,
        .user = user};
    *o = &own->base;
    return NTK_OK;
}
