/* SPDX-License-Identifier: MIT
 *
 * packed.c - see packed.h.
 */
#include "store/packed.h"

#include <stdlib.h>

struct packed {
    struct ntk_operator base;
    struct ntk_rfp k[];
};

static const struct ntk_rfp *matrix(const struct ntk_operator *o, size_t k)
{
    return &((const struct packed *)o)->k[k];
}

/* Blocks of so many numbers, which BLAS's rows of a packed matrix are copied to. */
#define ROWS 64

static void copy_rows(const struct ntk_rfp *k, int64_t i0, int64_t ni, double *rows)
{
    const int64_t width = k->n - i0;

    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = 0; j < width; j++)
            rows[i * width + j] = *ntk_rfp_at(k, i0 + (i > j ? i : j), i0 + (i > j ? j : i));
}

static ntk_status stream(struct ntk_operator *o, const struct ntk_reading *r)
{
    const size_t bytes = (size_t)(ROWS * o->n) * sizeof(double);
    double *rows;
    ntk_status status;

    NTK_TRY(ntk_ctx_check_memory(o->ctx, r->held + bytes, r->what));
    rows = ntk_alloc(o->ctx, bytes, 1);
    status = rows ? NTK_OK : NTK_ENOMEM;

    for (int64_t i = r->i0; i < r->i0 + r->ni && status == NTK_OK; i += ROWS) {
        const int64_t left = r->i0 + r->ni - i, ni = left < ROWS ? left : ROWS;

        for (size_t k = 0; k < o->count && status == NTK_OK; k++) {
            const ntk_block b = {.output = k, .i0 = i, .ni = ni, .j0 = i, .nj = o->n - i, .k = rows, .ld = o->n - i};

            copy_rows(matrix(o, k), i, ni, rows);
            status = r->sink(&b, r->user) ? ntk_fail(o->ctx, NTK_ECANCEL, "cancelled") : ntk_poll(o->ctx);
        }
    }
    free(rows);
    return status;
}

static ntk_status apply(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    return ntk_rfp_multiply(o->ctx, matrix(o, k), m, x, out);
}

static void close(struct ntk_operator *o)
{
    struct packed *p = (struct packed *)o;

    for (size_t k = 0; k < o->count; k++)
        ntk_rfp_free(&p->k[k]);
    free(p);
}

static const struct ntk_operator_class class = {
    .name = "a matrix in memory", .stream = stream, .apply = apply, .close = close};

ntk_status ntk_operator_of_packed(ntk_ctx *ctx, int64_t n, size_t count, ntk_dtype precision,
                                  struct ntk_operator **o)
{
    struct packed *p = ntk_alloc_zero(ctx, 1, sizeof *p + count * sizeof *p->k);

    if (!p)
        return NTK_ENOMEM;
    p->base = (struct ntk_operator){
        .class = &class, .ctx = ctx, .n = n, .count = count, .dtype = NTK_F64, .precision = precision};
    for (size_t k = 0; k < count; k++)
        if (ntk_rfp_new(ctx, n, &p->k[k]) != NTK_OK) {
            close(&p->base);
            return NTK_ENOMEM;
        }
    *o = &p->base;
    return NTK_OK;
}

struct ntk_rfp *ntk_packed_matrix(struct ntk_operator *packed, size_t k) { return &((struct packed *)packed)->k[k]; }

static void put(void *to, const ntk_block *block, ntk_dtype dtype) { ntk_rfp_store(to, block, dtype); }

struct ntk_taker ntk_packed_taker(struct ntk_operator *packed, size_t k)
{
    return (struct ntk_taker){put, ntk_packed_matrix(packed, k)};
}
