/* SPDX-License-Identifier: MIT
 *
 * affine.h - what an affine step's passes and its share of the tangent kernel have in common.
 */
#ifndef NTK_AFFINE_H
#define NTK_AFFINE_H

#include "steps/typed.h"

#define AFFINE_ROWS 256 /* windows that are gathered at a time */

static inline int64_t affine_inputs(const struct ntk_tape_step *s)
{
    return s->places * s->in_shape->c;
}
static inline int64_t affine_windows(const struct ntk_tape_step *s)
{
    return ntk_positions(s->out_shape);
}

/* out [n][places c_in]: the inputs of n windows from number `row` on, counted over all samples of
 * x. */
void NTK_TYPED(ntk_affine_gather)(const struct ntk_tape_step *s, const real *x, int64_t row,
                                  int64_t n, real *out);

/* See struct ntk_finite. */
bool NTK_TYPED(ntk_share_derivatives_are_cheaper)(const struct ntk_share *s);
void NTK_TYPED(ntk_share_differentiate)(const struct ntk_share *s, int64_t per_sample,
                                        int64_t per_copy, void *out);
size_t NTK_TYPED(ntk_share_scratch)(const struct ntk_share *s);
void NTK_TYPED(ntk_share_add)(const struct ntk_share *s);

#endif
