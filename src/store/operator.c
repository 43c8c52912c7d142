/* SPDX-License-Identifier: MIT
 *
 * operator.c - see operator.h: reading, multiplying, the diagonal, by what an operator has.
 */
#include "store/operator.h"

#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "base/views.h"

void ntk_operator_free(struct ntk_operator *o)
{
    if (o)
        o->class->close(o);
}

static ntk_status lacks_entries(const struct ntk_operator *o)
{
    return ntk_fail(o->ctx, NTK_ENOTSUP, "%s has no entries, only products with vectors", o->class->name);
}

/* ---- reading */

struct route {
    const struct ntk_taker *takers;
    ntk_dtype dtype;
};

static int hand_on(const ntk_block *b, void *user)
{
    const struct route *r = user;
    const struct ntk_taker *t = &r->takers[b->output];

    if (t->put)
        t->put(t->to, b, r->dtype);
    return 0;
}

ntk_status ntk_operator_read(struct ntk_operator *o, const struct ntk_taker *takers, size_t held, const char *what)
{
    struct route route = {takers, o->dtype};
    const struct ntk_reading reading = {
        .i0 = 0, .ni = o->n, .held = held, .what = what, .sink = hand_on, .user = &route};

    if (!o->class->stream)
        return lacks_entries(o);
    return o->class->stream(o, &reading);
}

/* ---- rows of one matrix, from the diagonal on */

struct rows {
    size_t k;
    int64_t i0, width;
    ntk_dtype dtype;
    double *to; /* [ni][width] */
};

static int put_rows(const ntk_block *b, void *user)
{
    const struct rows *r = user;

    for (int64_t i = 0; b->output == r->k && i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++)
            r->to[(b->i0 + i - r->i0) * r->width + b->j0 + j - r->i0] =
                ntk_number(b->k, r->dtype, (size_t)(i * b->ld + j));
    return 0;
}

/* Rows [i0, i0 + ni), columns i0 ...: what is below the diagonal is copied from above it. */
static ntk_status read_rows(struct ntk_operator *o, size_t k, int64_t i0, int64_t ni, double *to)
{
    struct rows r = {.k = k, .i0 = i0, .width = o->n - i0, .dtype = o->dtype, .to = to};
    const struct ntk_reading reading = {.i0 = i0,
                                        .ni = ni,
                                        .held = (size_t)(ni * r.width) * sizeof *to,
                                        .what = "rows of a kernel matrix",
                                        .sink = put_rows,
                                        .user = &r};

    NTK_TRY(o->class->stream(o, &reading));
    for (int64_t i = 1; i < ni; i++)
        for (int64_t j = 0; j < i; j++)
            to[i * r.width + j] = to[j * r.width + i];
    return NTK_OK;
}

#define ROWS_BYTES ((size_t)64 << 20)

static int64_t rows_at_once(const struct ntk_operator *o)
{
    const int64_t rows = (int64_t)(ROWS_BYTES / sizeof(double)) / o->n;

    return rows < 1 ? 1 : rows < o->n ? rows : o->n;
}

static ntk_status apply_by_entries(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    const int64_t most = rows_at_once(o);
    double *rows = ntk_alloc(o->ctx, (size_t)(most * o->n), sizeof *rows);
    ntk_status status = rows ? NTK_OK : NTK_ENOMEM;

    memset(out, 0, (size_t)(m * o->n) * sizeof *out);
    for (int64_t i = 0; i < o->n && status == NTK_OK; i += most) {
        const int64_t ni = o->n - i < most ? o->n - i : most;

        status = read_rows(o, k, i, ni, rows);
        for (int64_t c = 0; c < m && status == NTK_OK; c++)
            ntk_sums_symmetric(o->ctx->threads, ni, o->n - i, rows, o->n - i, x + c * o->n + i, out + c * o->n + i);
    }
    free(rows);
    return status;
}

ntk_status ntk_operator_apply(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    if (o->class->apply)
        return o->class->apply(o, k, m, x, out);
    return o->class->stream ? apply_by_entries(o, k, m, x, out) : lacks_entries(o);
}

/* ---- the diagonal */

struct diagonal {
    double *d;
};

static void put_diagonal(void *to, const ntk_block *b, ntk_dtype dtype)
{
    const struct diagonal *d = to;

    for (int64_t i = 0; i < b->ni; i++) {
        const int64_t j = b->i0 + i - b->j0;

        if (j >= 0 && j < b->nj)
            d->d[b->i0 + i] = ntk_number(b->k, dtype, (size_t)(i * b->ld + j));
    }
}

ntk_status ntk_operator_diagonal(struct ntk_operator *o, size_t k, double *d)
{
    struct diagonal to = {d};
    struct ntk_taker *takers;
    ntk_status status;

    if (o->class->diagonal)
        return o->class->diagonal(o, k, d);
    takers = ntk_alloc_zero(o->ctx, o->count, sizeof *takers);
    if (!takers)
        return NTK_ENOMEM;
    takers[k] = (struct ntk_taker){put_diagonal, &to};
    status = ntk_operator_read(o, takers, 0, "the diagonal of a kernel matrix");
    free(takers);
    return status;
}

void ntk_square_put(void *square, const ntk_block *b, ntk_dtype dtype)
{
    const struct ntk_square *s = square;
    const struct ntk_view from = ntk_view_of(b, dtype), to = {s->a, NTK_F64, s->n};

    ntk_copy(b->ni, b->nj, from, ntk_view_at(to, b->i0, b->j0));
    if (b->i0 != b->j0 || b->ni != b->nj)
        ntk_transpose(b->ni, b->nj, from, ntk_view_at(to, b->j0, b->i0));
}
