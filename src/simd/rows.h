/* SPDX-License-Identifier: MIT
 *
 * rows.h - name of the loop in rows.c, one for each instruction set and element type.
 */
#ifndef NTK_ROWS_H
#define NTK_ROWS_H

#include "simd/simd.h"
#include "simd/vmath.h"

void NTK_CAT4(ntk_add_rows, NTK_SUFFIX, , )(const struct ntk_rows_args *args);

#endif
