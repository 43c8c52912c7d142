/* SPDX-License-Identifier: MIT
 *
 * ops.c - the loops that have no file of their own, and the table of all loops, for one instruction set and
 * element type.
 */
#include "simd/near.h"
#include "simd/planes.h"
#include "simd/lanes.h"
#include "simd/products.h"
#include "simd/rows.h"
#include "simd/simd.h"
#include "simd/vmath.h"

static void mix1(size_t n, const real *x, real a, real constant, real *out)
{
    for (size_t i = 0; i < n; i += LANES)
        store(out + i, load(x + i) * a + constant);
}

static void mix2(size_t n, const real *x, const real *y, real a, real b, real constant, real *out)
{
    for (size_t i = 0; i < n; i += LANES)
        store(out + i, load(x + i) * a + (load(y + i) * b + constant));
}

static void mix(size_t n, int m, const void *const *x, const double *coef, double constant,
                void *out)
{
    if (m == 1) {
        mix1(n, x[0], (real)coef[0], (real)constant, out);
    } else if (m == 2) {
        mix2(n, x[0], x[1], (real)coef[0], (real)coef[1], (real)constant, out);
    } else {
        for (size_t i = 0; i < n; i += LANES) {
            V sum = splat((real)constant);

            for (int j = 0; j < m; j++)
                sum += load((const real *)x[j] + i) * (real)coef[j];
            store((real *)out + i, sum);
        }
    }
}

static void product(size_t n, int m, const void *const *x, void *out)
{
    for (size_t i = 0; i < n; i += LANES) {
        V p = load((const real *)x[0] + i);

        for (int j = 1; j < m; j++)
            p *= load((const real *)x[j] + i);
        store((real *)out + i, p);
    }
}

static void scale(size_t n, const void *x, const void *a1, size_t step1, const void *a2, void *out)
{
    const real *px = x, *p1 = a1, *p2 = a2;
    real *po = out;

    for (size_t i = 0; i < n; i += LANES, p1 += step1)
        store(po + i, load(px + i) * (step1 == LANES ? load(p1) : splat(*p1)) * load(p2 + i));
}

static bool all_finite(size_t n, const void *x)
{
    const real *p = x;
    V sum[CHAINS] = {{0}}; /* of zeros, else not a number */
    real rest = 0;
    size_t i = 0;

    for (; i + CHAINS * LANES <= n; i += CHAINS * LANES) {
        NTK_UNROLL
        for (size_t c = 0; c < CHAINS; c++)
            sum[c] += load(p + i + c * LANES) - load(p + i + c * LANES);
    }
    for (; i + LANES <= n; i += LANES)
        sum[0] += load(p + i) - load(p + i);
    for (; i < n; i++)
        rest += p[i] - p[i];
    sum[0] += sum[1] + (sum[2] + sum[3]);
    return !vany(sum[0] != 0) && rest == 0;
}

static double peak(size_t rounds)
{
    volatile real factor = (real)0.999, term = (real)1e-3; /* unknown to the compiler */
    const V a = splat(factor), b = splat(term);
    V x[NTK_PEAK_CHAINS], sum = {0};

    for (size_t k = 0; k < NTK_PEAK_CHAINS; k++)
        x[k] = splat((real)k);
    for (size_t r = 0; r < rounds; r++) {
        NTK_UNROLL
        for (size_t k = 0; k < NTK_PEAK_CHAINS; k++)
            x[k] = x[k] * a + b;
    }
    for (size_t k = 0; k < NTK_PEAK_CHAINS; k++)
        sum += x[k];
    return (double)sum[0];
}

extern const struct ntk_simd NTK_CAT4(ntk_simd, NTK_SUFFIX, , );

const struct ntk_simd NTK_CAT4(ntk_simd, NTK_SUFFIX, , ) = {
    .lanes = LANES,
    .mix = mix,
    .product = product,
    .scale = scale,
    .all_finite = all_finite,
    .peak = peak,
    .interleave = NTK_LANES_OP(interleave),
    .separate = NTK_LANES_OP(separate),
    .first = NTK_PLANES(first),
    .box = NTK_PLANES(box),
    .open = NTK_PLANES(open),
    .close = NTK_PLANES(close),
    .spread = NTK_PLANES(spread),
    .sum = NTK_PLANES(sum),
    .add_rows = NTK_CAT4(ntk_add_rows, NTK_SUFFIX, , ),
    .products = NTK_CAT4(ntk_products, NTK_SUFFIX, , ),
    .mark = NTK_NEAR_OP(mark),
    .square_difference = NTK_NEAR_OP(square_difference),
    .rejection = NTK_NEAR_OP(rejection),
#ifdef NTK_IS_F64
    .near_mix = NTK_NEAR_OP(mix),
    .near_product = NTK_NEAR_OP(product),
    .near_normalise = NTK_NEAR_OP(normalise),
    .near_self = NTK_NEAR_OP(self),
    .products_fixed = NTK_CAT4(ntk_products_fixed, NTK_SUFFIX, , ),
#endif
};
