/* SPDX-License-Identifier: MIT
 *
 * products_loops.h - the loops of products.c and products_fixed.c, which differ in how an entry becomes a float64 number:
 * before it is included come NTK_ENTRY, their type, and NTK_WIDEN, a vector of them in float64.
 */
#ifndef NTK_PRODUCTS_LOOPS_H
#define NTK_PRODUCTS_LOOPS_H

#include "simd/products.h"

#define CHUNK 512 /* columns: their part of the vectors stays in the first cache, that of all rows' entries in the second */
#define MOST  5 /* vectors at once */
#define ROWS  4 /* of a tile: with its vectors what the registers hold */
#if NTK_VBYTES == 64
#define VECTORS MOST
#else
#define VECTORS 2
#endif
#define DOUBLES (NTK_VBYTES / sizeof(double))

typedef double D __attribute__((vector_size(NTK_VBYTES)));
typedef double DU __attribute__((vector_size(NTK_VBYTES), aligned(sizeof(double)), may_alias));
typedef NTK_ENTRY EU __attribute__((vector_size(DOUBLES * sizeof(NTK_ENTRY)), aligned(sizeof(NTK_ENTRY)), may_alias));

NTK_INLINE double sum_of(D x)
{
    double sum = 0;

    for (size_t l = 0; l < DOUBLES; l++)
        sum += x[l];
    return sum;
}

/* Rows i ... and vectors c ..., of columns [j, end): how many, and which products, are constants in every call. */
NTK_INLINE void tile(const struct ntk_products_args *p, size_t i, size_t j, size_t end, size_t c, size_t rows,
                     size_t vectors, bool direct, bool mirror)
{
    const NTK_ENTRY *a = (const NTK_ENTRY *)p->a + i * p->ld;
    const double *x = p->x + c * p->x_stride, *x_rows = p->x_rows + c * p->x_stride + i;
    double *out = mirror ? p->out + c * p->out_stride : NULL;
    double *out_rows = direct ? p->out_rows + c * p->out_stride + i : NULL;
    D sum[ROWS][MOST] = {{{0}}};

    for (; j + DOUBLES <= end; j += DOUBLES) {
        D k[ROWS];

        NTK_UNROLL
        for (size_t r = 0; r < rows; r++)
            k[r] = NTK_WIDEN(*(const EU *)(a + r * p->ld + j));
        NTK_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            D along = {0}, down = {0};

            if (direct)
                along = *(const DU *)(x + v * p->x_stride + j);
            if (mirror)
                down = *(const DU *)(out + v * p->out_stride + j);
            NTK_UNROLL
            for (size_t r = 0; r < rows; r++) {
                if (direct)
                    sum[r][v] += k[r] * along;
                if (mirror)
                    down += k[r] * x_rows[v * p->x_stride + r];
            }
            if (mirror)
                *(DU *)(out + v * p->out_stride + j) = down;
        }
    }
    for (size_t v = 0; v < vectors; v++)
        for (size_t r = 0; r < rows; r++) {
            double rest = 0;

            for (size_t l = j; l < end; l++) {
                const double entry = (double)a[r * p->ld + l];

                if (direct)
                    rest += entry * x[v * p->x_stride + l];
                if (mirror)
                    out[v * p->out_stride + l] += entry * x_rows[v * p->x_stride + r];
            }
            if (direct)
                out_rows[v * p->out_stride + r] += sum_of(sum[r][v]) + rest;
        }
}

NTK_INLINE void chunk(const struct ntk_products_args *p, size_t j, size_t end, size_t c, size_t vectors, bool direct,
                      bool mirror)
{
    size_t i = 0;

    for (; i + ROWS <= p->rows; i += ROWS)
        tile(p, i, j, end, c, ROWS, vectors, direct, mirror);
    for (; i < p->rows; i++)
        tile(p, i, j, end, c, 1, vectors, direct, mirror);
}

NTK_INLINE void multiply(const struct ntk_products_args *p, bool direct, bool mirror)
{
    for (size_t j = 0; j < p->n; j += CHUNK) {
        const size_t end = p->n - j < CHUNK ? p->n : j + CHUNK;
        size_t c = 0;

        for (; c + VECTORS <= p->m; c += VECTORS)
            chunk(p, j, end, c, VECTORS, direct, mirror);
        switch (p->m - c) { /* fewer than VECTORS */
        case 4:
            chunk(p, j, end, c, 4, direct, mirror);
            break;
        case 3:
            chunk(p, j, end, c, 3, direct, mirror);
            break;
        case 2:
            chunk(p, j, end, c, 2, direct, mirror);
            break;
        case 1:
            chunk(p, j, end, c, 1, direct, mirror);
            break;
        }
    }
}

NTK_INLINE void multiply_all(const struct ntk_products_args *p)
{
    if (p->out && p->out_rows)
        multiply(p, true, true);
    else if (p->out)
        multiply(p, false, true);
    else
        multiply(p, true, false);
}

#endif
