/* SPDX-License-Identifier: MIT
 *
 * products.h - names of the loops in products.c, one for each instruction set and element type, and products_fixed.c.
 */
#ifndef NTK_PRODUCTS_H
#define NTK_PRODUCTS_H

#include "simd/simd.h"
#include "simd/vmath.h"

void NTK_CAT4(ntk_products, NTK_SUFFIX, , )(const struct ntk_products_args *args);
void NTK_CAT4(ntk_products_fixed, NTK_SUFFIX, , )(const struct ntk_products_args *args);

#endif
