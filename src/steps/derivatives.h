/* SPDX-License-Identifier: MIT
 *
 * derivatives.h - a step's share of the tangent kernel from explicit derivatives.
 */
#ifndef NTK_DERIVATIVES_H
#define NTK_DERIVATIVES_H

#include "steps/typed.h"

/* Where samples i and j meet. */
static inline real *share_entry(const struct ntk_share *s, int64_t i, int64_t j)
{
    return (real *)s->k + (i * s->ld + j) * s->stride;
}

/* Adds the products of derivatives a and b, [n of a side][copies][size]: of all parameters, or of
 * some of them. products: ntk_contract_scratch bytes. */
void NTK_TYPED(ntk_contract)(const struct ntk_share *s, int64_t size, const real *a, const real *b,
                             real *products);
size_t NTK_TYPED(ntk_contract_scratch)(const struct ntk_share *s);
/* As ntk_step_loops.differentiate, for any step. */
void NTK_TYPED(ntk_differentiate)(const struct ntk_run *r, const void *const *x, const void *y,
                                  const void *g, int64_t per_sample, int64_t per_copy, void *out);

#endif
