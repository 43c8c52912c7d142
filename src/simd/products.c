/* SPDX-License-Identifier: MIT
 *
 * products.c - a matrix and its mirror times several vectors in one pass; see simd.h. Entries become float64 when they
 * are loaded. The order of sums follows from sizes alone.
 */
#define NTK_ENTRY real
#ifdef NTK_IS_F64
#define NTK_WIDEN(k) (k)
#else
#define NTK_WIDEN(k) __builtin_convertvector(k, D)
#endif
#include "simd/products_loops.h"

void NTK_CAT4(ntk_products, NTK_SUFFIX, , )(const struct ntk_products_args *p)
{
    multiply_all(p);
}
