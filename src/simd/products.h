/* SPDX-License-Identifier: MIT
 *
 * products.h - name of the loop in products.c, one for each instruction set and element type.
 */
#ifndef NTK_PRODUCTS_H
#define NTK_PRODUCTS_H

#include "simd/simd.h"
#include "simd/vmath.h"

void NTK_CAT4(ntk_products, NTK_SUFFIX, , )(const struct ntk_products_args *args);

#endif
