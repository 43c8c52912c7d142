/* SPDX-License-Identifier: MIT
 *
 * lanes.h - names of the loops in lanes.c, one set for each instruction set and element type.
 */
#ifndef NTK_LANES_H
#define NTK_LANES_H

#include "simd/simd.h"
#include "simd/vmath.h"

#define NTK_LANES_OP(name) NTK_CAT4(ntk_, name, NTK_SUFFIX, )

void NTK_LANES_OP(interleave)(size_t n, const void *const *row, double factor, void *to);
void NTK_LANES_OP(separate)(size_t n, const void *from, ntk_dtype dtype, size_t lanes, void *const *row);

#endif
