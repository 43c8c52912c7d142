/* SPDX-License-Identifier: MIT
 *
 * products_fixed.c - products.c for entries that are integers of 16 bits; see simd.h.
 */
#include "simd/products.h"

#ifdef NTK_IS_F64
typedef int32_t I __attribute__((vector_size(NTK_VBYTES / sizeof(double) * sizeof(int32_t))));

#define NTK_ENTRY int16_t
/* By integers of 32 bits: each step is one instruction. */
#define NTK_WIDEN(k) __builtin_convertvector(__builtin_convertvector(k, I), D)
#include "simd/products_loops.h"

void NTK_CAT4(ntk_products_fixed, NTK_SUFFIX, , )(const struct ntk_products_args *p)
{
    multiply_all(p);
}
#endif
