/* SPDX-License-Identifier: MIT
 *
 * lanes.c - samples into lanes and out of them: blocks of LANES x LANES are transposed in registers. See simd.h.
 */
#include "simd/lanes.h"

/* Lane l of the result: of a where bit s of l is 0, else of b at l - s; and of a at l + s, else of b. */
NTK_INLINE void exchange(V *a, V *b, size_t s)
{
    V lower, upper;
#ifdef __clang__
    NTK_UNROLL
    for (size_t l = 0; l < LANES; l++) {
        lower[l] = l & s ? (*b)[l - s] : (*a)[l];
        upper[l] = l & s ? (*b)[l] : (*a)[l + s];
    }
#else
    M at;

    NTK_UNROLL
    for (size_t l = 0; l < LANES; l++)
        at[l] = (__typeof__(at[0]))(l & s ? LANES + l - s : l);
    lower = __builtin_shuffle(*a, *b, at);
    upper = __builtin_shuffle(*a, *b, at + (__typeof__(at[0]))s);
#endif
    *a = lower;
    *b = upper;
}

NTK_INLINE void stage(V *row, size_t s)
{
    NTK_UNROLL
    for (size_t i = 0; i < LANES; i++)
        if (!(i & s))
            exchange(&row[i], &row[i + s], s);
}

NTK_INLINE void transpose(V *row)
{
    stage(row, 1);
    if (LANES > 2)
        stage(row, 2);
    if (LANES > 4)
        stage(row, 4);
    if (LANES > 8)
        stage(row, 8);
}

void NTK_LANES_OP(interleave)(size_t n, const void *const *row, double factor, void *to)
{
    const V f = splat((real)factor);
    size_t k = 0;

    for (; k + LANES <= n; k += LANES) {
        V x[LANES];

        NTK_UNROLL
        for (size_t l = 0; l < LANES; l++)
            x[l] = load((const real *)row[l] + k) * f;
        transpose(x);
        NTK_UNROLL
        for (size_t l = 0; l < LANES; l++)
            store((real *)to + (k + l) * LANES, x[l]);
    }
    for (; k < n; k++)
        for (size_t l = 0; l < LANES; l++)
            ((real *)to)[k * LANES + l] = ((const real *)row[l])[k] * (real)factor;
}

/* One number of a row, rounded. */
NTK_INLINE void put(void *row, ntk_dtype dtype, size_t k, real x)
{
    if (dtype == NTK_F32)
        ((float *)row)[k] = (float)x;
    else
        ((double *)row)[k] = (double)x;
}

void NTK_LANES_OP(separate)(size_t n, const void *from, ntk_dtype dtype, size_t lanes, void *const *row)
{
    size_t k = 0;

    for (; k + LANES <= n; k += LANES) {
        V x[LANES];

        NTK_UNROLL
        for (size_t l = 0; l < LANES; l++)
            x[l] = load((const real *)from + (k + l) * LANES);
        transpose(x);
        for (size_t l = 0; l < lanes; l++)
            for (size_t i = 0; i < LANES; i++)
                put(row[l], dtype, k + i, x[l][i]);
    }
    for (; k < n; k++)
        for (size_t l = 0; l < lanes; l++)
            put(row[l], dtype, k, ((const real *)from)[k * LANES + l]);
}
