/* SPDX-License-Identifier: MIT
 *
 * planes.h - names of the loops in planes.c, one set for each instruction set and element type.
 */
#ifndef NTK_PLANES_H
#define NTK_PLANES_H

#include "simd/simd.h"
#include "simd/vmath.h"

#define NTK_PLANES(name) NTK_CAT4(ntk_planes_, name, NTK_SUFFIX, )

void NTK_PLANES(first)(const struct ntk_rect_args *rect, size_t channels, const void *x1,
                       const void *x2, double scale, bool open, void *out);
void NTK_PLANES(box)(const struct ntk_box_args *args);
void NTK_PLANES(open)(size_t rows, size_t columns, size_t pitch, double scale, const void *in, void *out);
void NTK_PLANES(close)(size_t rows, size_t columns, size_t pitch, double constant, void *x, void *lines);
void NTK_PLANES(spread)(const struct ntk_link_group *rows, const struct ntk_link_group *columns,
                        double scale, const void *in, size_t in_pitch, void *out, size_t out_pitch);
void NTK_PLANES(sum)(size_t rows, size_t columns, size_t pitch, const void *in,
                     const double *weight1, const double *weight2, double *sum);

#endif
