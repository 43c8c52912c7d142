/* SPDX-License-Identifier: MIT
 *
 * loops.h - loops of finite networks that are not a step's, in one element type.
 */
#ifndef NTK_LOOPS_H
#define NTK_LOOPS_H

#include "steps/step.h"

struct ntk_finite {
    /* Derivatives of any step with parameters, as ntk_step_loops.differentiate. */
    void (*differentiate)(const struct ntk_run *r, const void *const *x, const void *y,
                          const void *g, int64_t per_sample, int64_t per_copy, void *out);
    /* Its share of the tangent kernel from those; bytes of scratch of it. */
    void (*contract)(const struct ntk_share *s);
    size_t (*contract_scratch)(const struct ntk_share *s);
    /* y = a x + b y for n numbers; y is not read if b is 0 */
    void (*combine)(int threads, int64_t n, double a, const void *x, double b, void *y);
    bool (*all_finite)(int64_t n, const void *x);
    /* out = x of either type */
    void (*convert)(int64_t n, const void *x, ntk_dtype from, void *out);
    /* k[n1][n2] = sum over c of a[n1][c] b[n2][c], times factor */
    void (*inner)(int threads, int64_t n1, int64_t n2, int64_t c, double factor, const void *a,
                  const void *b, void *k);
};
extern const struct ntk_finite ntk_finite_f32, ntk_finite_f64;

static inline const struct ntk_finite *ntk_finite_of(ntk_dtype dtype)
{
    return dtype == NTK_F32 ? &ntk_finite_f32 : &ntk_finite_f64;
}

#endif
