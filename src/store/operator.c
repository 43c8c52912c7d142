/* SPDX-License-Identifier: MIT
 *
 * operator.c - see operator.h: reading, multiplying, the diagonal, by what an operator has.
 */
#include "store/operator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/views.h"
#include "simd/simd.h"

void ntk_operator_free(struct ntk_operator *o)
{
    if (!o)
        return;
    free(o->largest);
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

ntk_status ntk_operator_read_one(struct ntk_operator *o, size_t k, struct ntk_taker taker, size_t held, const char *what)
{
    struct ntk_taker *takers = ntk_alloc_zero(o->ctx, o->count, sizeof *takers);
    ntk_status status;

    if (!takers)
        return NTK_ENOMEM;
    takers[k] = taker;
    status = ntk_operator_read(o, takers, held, what);
    free(takers);
    return status;
}

/* ---- products by entries: one reading for all vectors. Blocks come in no fixed order, so that sums are of fixed-point
 * numbers, whose order does not matter: 2^62 is what no sum of absolute values reaches, as no entry of a positive
 * semidefinite matrix is larger than the largest of the diagonal. */

#define BITS 62

struct product {
    struct ntk_operator *o;
    size_t k;
    int64_t m;
    const double *x;
    const struct ntk_simd *simd;
    double largest; /* of entries, twice */
    int *exponent;  /* [m]: sums are multiples of 2^(exponent - BITS) */
    int64_t *sums;  /* [m][n] */
    _Atomic ntk_status status;
};

static double sum_of_magnitudes(int64_t n, const double *x)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += fabs(x[i]);
    return sum;
}

/* What a block has added to vector c from row `first` on, n numbers; x: what they are sums of, `others` numbers. */
static bool add(struct product *p, int64_t c, int64_t first, int64_t n, const double *from, int64_t others, const double *x)
{
    const double most = p->largest * sum_of_magnitudes(others, x);
    int64_t *sums = p->sums + c * p->o->n + first;

    for (int64_t i = 0; i < n; i++) {
        if (!(fabs(from[i]) <= most))
            return false;
        __atomic_fetch_add(&sums[i], (int64_t)llrint(ldexp(from[i], BITS - p->exponent[c])), __ATOMIC_RELAXED);
    }
    return true;
}

/* Rows i ... by columns j ... of the matrix, at a: and their mirror, unless they are a square on the diagonal. */
static ntk_status multiply_rectangle(struct product *p, int64_t i, int64_t ni, int64_t j, int64_t nj, const void *a,
                                     int64_t ld)
{
    const int64_t n = p->o->n, width = ni + nj;
    const size_t numbers = (size_t)(p->m * width);
    double *out = ntk_scratch_new(NULL, numbers, sizeof *out);
    const struct ntk_products_args args = {.rows = (size_t)ni,
                                           .n = (size_t)nj,
                                           .ld = (size_t)ld,
                                           .m = (size_t)p->m,
                                           .x_stride = (size_t)n,
                                           .out_stride = (size_t)width,
                                           .a = a,
                                           .x = p->x + j,
                                           .x_rows = p->x + i,
                                           .out = i == j ? NULL : out + ni,
                                           .out_rows = out};
    bool fits = true;

    if (!out)
        return NTK_ENOMEM;
    memset(out, 0, numbers * sizeof *out);
    p->simd->products(&args);
    for (int64_t c = 0; c < p->m && fits; c++) {
        const double *x = p->x + c * n;

        fits = add(p, c, i, ni, out + c * width, nj, x + j);
        if (i != j)
            fits = fits && add(p, c, j, nj, out + c * width + ni, ni, x + i);
    }
    ntk_scratch_free(p->o->ctx, out);
    return fits ? NTK_OK : NTK_ENUMERIC;
}

static int multiply_block(const ntk_block *b, void *user)
{
    struct product *p = user;
    const char *a = b->k;
    const int64_t size = p->o->dtype, square = b->i0 == b->j0 ? b->ni : 0;
    ntk_status status = NTK_OK;

    if (b->output != p->k)
        return 0;
    if (square > 0)
        status = multiply_rectangle(p, b->i0, square, b->j0, square, a, b->ld);
    if (status == NTK_OK && b->nj > square)
        status = multiply_rectangle(p, b->i0, b->ni, b->j0 + square, b->nj - square, a + square * size, b->ld);
    if (status != NTK_OK)
        p->status = status;
    return status != NTK_OK;
}

static ntk_status largest_of_diagonal(struct ntk_operator *o, size_t k, double *largest)
{
    double *d = ntk_alloc(o->ctx, (size_t)o->n, sizeof *d);
    ntk_status status = d ? ntk_operator_diagonal(o, k, d) : NTK_ENOMEM;

    *largest = 0;
    for (int64_t i = 0; i < o->n && status == NTK_OK; i++)
        *largest = fmax(*largest, d[i]);
    free(d);
    return status;
}

/* It is asked for once. */
static ntk_status find_largest(struct ntk_operator *o, size_t k, double *largest)
{
    if (!o->largest) {
        o->largest = ntk_alloc(o->ctx, o->count, sizeof *o->largest);
        for (size_t i = 0; o->largest && i < o->count; i++)
            o->largest[i] = -1;
    }
    if (!o->largest)
        return NTK_ENOMEM;
    if (o->largest[k] < 0)
        NTK_TRY(largest_of_diagonal(o, k, &o->largest[k]));
    *largest = o->largest[k];
    return NTK_OK;
}

static int exponent_of(double x)
{
    int e;

    (void)frexp(x, &e); /* x < 2^e */
    return e;
}

static ntk_status multiply_by_entries(struct product *p, double *out)
{
    struct ntk_operator *o = p->o;
    const struct ntk_reading r = {.ni = o->n,
                                  .held = (size_t)(p->m * o->n) * sizeof *p->sums,
                                  .what = "a product with a kernel matrix",
                                  .sink = multiply_block,
                                  .user = p};
    ntk_status status;

    for (int64_t c = 0; c < p->m; c++)
        p->exponent[c] = exponent_of(p->largest) + exponent_of(sum_of_magnitudes(o->n, p->x + c * o->n));
    status = o->class->stream(o, &r);
    if (p->status == NTK_ENUMERIC)
        return ntk_fail(o->ctx, NTK_ENUMERIC,
                        "%s has entries that are larger than those of its diagonal: it is not positive semidefinite",
                        o->class->name);
    if (p->status != NTK_OK)
        return ntk_fail(o->ctx, p->status, "no memory for products with a block of %s", o->class->name);
    for (int64_t i = 0; i < p->m * o->n && status == NTK_OK; i++)
        out[i] = ldexp((double)p->sums[i], p->exponent[i / o->n] - BITS);
    return status;
}

static ntk_status apply_by_entries(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    struct product p = {.o = o, .k = k, .m = m, .x = x};
    ntk_status status;

    NTK_TRY(ntk_isa_resolve(o->ctx));
    NTK_TRY(find_largest(o, k, &p.largest));
    p.largest *= 2;
    p.simd = ntk_simd_of(o->ctx->isa, o->dtype);
    p.exponent = ntk_alloc(o->ctx, (size_t)m, sizeof *p.exponent);
    p.sums = ntk_alloc_zero(o->ctx, (size_t)(m * o->n), sizeof *p.sums);
    status = p.exponent && p.sums ? multiply_by_entries(&p, out) : NTK_ENOMEM;
    free(p.exponent);
    free(p.sums);
    return status;
}

ntk_status ntk_operator_apply(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    if (o->class->apply)
        return o->class->apply(o, k, m, x, out);
    return o->class->stream ? apply_by_entries(o, k, m, x, out) : lacks_entries(o);
}

/* ---- the diagonal */

void ntk_block_diagonal(const ntk_block *b, ntk_dtype dtype, double *d)
{
    for (int64_t i = 0; i < b->ni; i++) {
        const int64_t j = b->i0 + i - b->j0;

        if (j >= 0 && j < b->nj)
            d[b->i0 + i] = ntk_number(b->k, dtype, (size_t)(i * b->ld + j));
    }
}

static void put_diagonal(void *to, const ntk_block *b, ntk_dtype dtype) { ntk_block_diagonal(b, dtype, to); }

ntk_status ntk_operator_diagonal(struct ntk_operator *o, size_t k, double *d)
{
    if (o->class->diagonal)
        return o->class->diagonal(o, k, d);
    return ntk_operator_read_one(o, k, (struct ntk_taker){put_diagonal, d}, 0, "the diagonal of a kernel matrix");
}

ntk_status ntk_operator_scratch(const struct ntk_operator *o, size_t *bytes)
{
    *bytes = 0;
    return o->class->scratch ? o->class->scratch(o, bytes) : NTK_OK;
}

/* ---- some rows */

struct some_rows {
    size_t k;
    ntk_dtype dtype;
    int64_t n;
    const int64_t *place; /* [n]: which of the rows one is, or -1 */
    double *rows;
};

static int pick_rows(const ntk_block *b, void *user)
{
    const struct some_rows *s = user;

    for (int64_t i = 0; b->output == s->k && i < b->ni; i++) {
        const int64_t row = s->place[b->i0 + i];

        for (int64_t j = 0; j < b->nj; j++) {
            const int64_t mirrored = s->place[b->j0 + j];
            const double value = ntk_number(b->k, s->dtype, (size_t)(i * b->ld + j));

            if (row >= 0)
                s->rows[row * s->n + b->j0 + j] = value;
            if (mirrored >= 0)
                s->rows[mirrored * s->n + b->i0 + i] = value;
        }
    }
    return 0;
}

ntk_status ntk_operator_rows(struct ntk_operator *o, size_t k, int64_t count, const int64_t *which, double *rows)
{
    struct some_rows s = {.k = k, .dtype = o->dtype, .n = o->n, .rows = rows};
    const struct ntk_reading r = {.ni = o->n, .what = "a part of a kernel matrix", .sink = pick_rows, .user = &s};
    int64_t *place;
    ntk_status status;

    if (o->class->rows)
        return o->class->rows(o, k, count, which, rows);
    if (!o->class->stream)
        return lacks_entries(o);
    place = ntk_alloc(o->ctx, (size_t)o->n, sizeof *place);
    if (!place)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < o->n; i++)
        place[i] = -1;
    for (int64_t i = 0; i < count; i++)
        place[which[i]] = i;
    s.place = place;
    status = o->class->stream(o, &r);
    free(place);
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
