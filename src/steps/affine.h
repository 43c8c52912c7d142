/* SPDX-License-Identifier: MIT
 *
 * affine.h - private to the affine step: what its passes (affine.c) and its share of the tangent
 * kernel (affine_share.c) have in common. Its struct is that of its windows.
 */
#ifndef NTK_AFFINE_H
#define NTK_AFFINE_H

#include "steps/step.h"

enum {
    AFFINE_W, /* [places c_in][c_out] */
    AFFINE_B
};

static inline const struct ntk_places *affine_places(const struct ntk_tape_step *s)
{
    return s->self;
}
/* Not one position, the same: inputs are gathered. */
static inline bool affine_windowed(const struct ntk_tape_step *s)
{
    return affine_places(s)->position != NULL;
}
static inline int64_t affine_inputs(const struct ntk_tape_step *s)
{
    return affine_places(s)->n * s->in_shape->c;
}
static inline int64_t affine_windows(const struct ntk_tape_step *s)
{
    return ntk_positions(s->out_shape);
}
static inline bool affine_biased(const struct ntk_tape_step *s)
{
    return !s->arrays[AFFINE_B].absent;
}
static inline double affine_scale(const struct ntk_tape_step *s)
{
    return s->arrays[AFFINE_W].multiplier;
}
static inline double affine_bias_scale(const struct ntk_tape_step *s)
{
    return s->arrays[AFFINE_B].multiplier;
}

#ifdef NTK_REAL

#include "steps/typed.h"

#define AFFINE_ROWS 256 /* windows that are gathered at a time */

/* out [n][places c_in]: the inputs of n windows from number `row` on, counted over all samples of
 * x. */
void NTK_TYPED(ntk_affine_gather)(const struct ntk_tape_step *s, const real *x, int64_t row,
                                  int64_t n, real *out);

/* See struct ntk_step_loops. */
void NTK_TYPED(ntk_affine_differentiate)(const struct ntk_run *r, const void *const *x,
                                         const void *y, const void *g, int64_t per_sample,
                                         int64_t per_copy, void *out);
void NTK_TYPED(ntk_affine_share)(const struct ntk_share *s);
size_t NTK_TYPED(ntk_affine_share_scratch)(const struct ntk_share *s);
bool NTK_TYPED(ntk_affine_derivatives_are_cheaper)(const struct ntk_share *s);

#endif
#endif
