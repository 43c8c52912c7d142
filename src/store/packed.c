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

#define ROWS 64 /* of a block */

/* On the diagonal, whole. */
static void copy_corner(const struct ntk_rfp *k, int64_t i0, int64_t ni, double *rows)
{
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = 0; j <= i; j++)
            rows[i * ni + j] = rows[j * ni + i] = *ntk_rfp_at(k, i0 + i, i0 + j);
}

static int hand_on(const struct ntk_reading *r, size_t k, int64_t i0, int64_t ni, int64_t j0, int64_t nj,
                   const double *rows)
{
    const ntk_block b = {.output = k, .i0 = i0, .ni = ni, .j0 = j0, .nj = nj, .k = rows, .ld = nj};

    return nj > 0 && r->sink(&b, r->user);
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
            const int64_t after = i + ni;
            int cancelled;

            copy_corner(matrix(o, k), i, ni, rows);
            cancelled = hand_on(r, k, i, ni, i, ni, rows);
            ntk_rfp_rows(matrix(o, k), i, ni, after, o->n - after, rows);
            cancelled = cancelled || hand_on(r, k, i, ni, after, o->n - after, rows);
            status = cancelled ? ntk_fail(o->ctx, NTK_ECANCEL, "cancelled by the reader of a matrix") : ntk_poll(o->ctx);
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
    .name = "a matrix in memory", .stream = stream, .apply = apply, .resident = true, .close = close};

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
