/* SPDX-License-Identifier: MIT
 *
 * rows.c - sums of listed rows; see simd.h.
 */
#include "simd/rows.h"

#define SUMS    5 /* a tile's: with two vectors each they fit 16 registers beside a row's */
#define VECTORS 2

/* `sums` sums from number c on, `vectors` vectors from number i on: constants in every call. */
NTK_INLINE void tile(const struct ntk_rows_args *a, size_t c, size_t i, size_t sums, size_t vectors)
{
    const real *rows = (const real *)a->rows + i, *coef = (const real *)a->coef + c;
    real *out = (real *)a->out + c * a->out_stride + i;
    V sum[SUMS][VECTORS];

    NTK_UNROLL
    for (size_t k = 0; k < sums; k++)
        for (size_t v = 0; v < vectors; v++)
            sum[k][v] = load(out + k * a->out_stride + v * LANES);
    for (size_t j = 0; j < a->m; j++, coef += a->sums) {
        const real *row = rows + (size_t)a->list[j] * a->stride;

        NTK_UNROLL
        for (size_t k = 0; k < sums; k++)
            for (size_t v = 0; v < vectors; v++)
                sum[k][v] += load(row + v * LANES) * coef[k];
    }
    NTK_UNROLL
    for (size_t k = 0; k < sums; k++)
        for (size_t v = 0; v < vectors; v++)
            store(out + k * a->out_stride + v * LANES, sum[k][v]);
}

/* Numbers from i on, less than a vector. */
NTK_INLINE void rest(const struct ntk_rows_args *a, size_t c, size_t i, size_t sums)
{
    for (size_t k = c; k < c + sums; k++)
        for (size_t l = i; l < a->n; l++) {
            real *out = (real *)a->out + k * a->out_stride + l;

            for (size_t j = 0; j < a->m; j++)
                *out += ((const real *)a->rows)[(size_t)a->list[j] * a->stride + l] *
                        ((const real *)a->coef)[j * a->sums + k];
        }
}

NTK_INLINE void strip(const struct ntk_rows_args *a, size_t c, size_t sums)
{
    size_t i = 0;

    for (; i + VECTORS * LANES <= a->n; i += VECTORS * LANES)
        tile(a, c, i, sums, VECTORS);
    for (; i + LANES <= a->n; i += LANES)
        tile(a, c, i, sums, 1);
    rest(a, c, i, sums);
}

void NTK_CAT4(ntk_add_rows, NTK_SUFFIX, , )(const struct ntk_rows_args *a)
{
    size_t c = 0;

    for (; c + SUMS <= a->sums; c += SUMS)
        strip(a, c, SUMS);
    switch (a->sums - c) {
    case 4:
        strip(a, c, 4);
        break;
    case 3:
        strip(a, c, 3);
        break;
    case 2:
        strip(a, c, 2);
        break;
    case 1:
        strip(a, c, 1);
        break;
    }
}
