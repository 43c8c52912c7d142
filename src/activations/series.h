/* SPDX-License-Identifier: MIT
 *
 * series.h - duals of smooth functions without a closed form, by their Hermite expansion.
 *
 * With h_m the normalised Hermite polynomials, z ~ N(0, 1), s = sqrt(q) and
 *     a(q) = E[f(s z)],   e_m(q) = E[f'(s z) h_m(z)] / sqrt(m + 1)   (s e_m = E[f(s z) h_{m+1}(z)])
 * Mehler's formula gives
 *     F = a a' + k sum_m e_m e'_m rho^m,     D = sum_m (m + 1) e_m e'_m rho^m
 * Starting from f' rather than f avoids a division by s: q = 0 needs no care.
 *
 * Sides are 1 / s (0 at q = 0), a, e_0, e_1, ... in this order; par[0] is 1, or 2 where odd e_m are 0
 * and left out. An activation whose a and e_m have
 * a closed form fills them in itself (polynomial.c); the others use the functions below, which
 * integrate by the trapezoidal rule and then interpolate in log q, so that a sample costs some
 * thousand multiplications.
 */
#ifndef NTK_SERIES_H
#define NTK_SERIES_H

#include "activations/activation.h"

typedef double ntk_series_fn(const void *self, double x);

/* Fills in dual; self must live until ntk_series_finish. */
ntk_status ntk_series_setup(ntk_series_fn *f, ntk_series_fn *df, const void *self,
                            const struct ntk_where *at, const struct ntk_dual_range *range,
                            struct ntk_dual *dual);
void ntk_series_side(const void *self, const struct ntk_dual *dual, double q, double *side);
void ntk_series_near_side(const void *self, const struct ntk_dual *dual, double q, double *side);
void ntk_series_moments(const void *self, const struct ntk_dual *dual, double q, double *ff,
                        double *dd);
void ntk_series_finish(struct ntk_dual *dual);

/* Members of a struct ntk_activation besides base, f, df and setup. */
#define NTK_SERIES_MEMBERS                                                   \
    .dual = NTK_DUAL_series, .side = ntk_series_side, .moments = ntk_series_moments, \
    .near_side = ntk_series_near_side, .finish = ntk_series_finish

#define NTK_SERIES_FORMULA                                                                \
    "E[f f] = a a' + k sum_m e_m e'_m r^m,  E[f' f'] = sum_m (m+1) e_m e'_m r^m,  "        \
    "a = E[f(s z)],  e_m = E[f'(s z) h_m(z)]/sqrt(m+1),  r = k/sqrt(q q')"
#define NTK_SERIES_COST \
    "grows with the variance: 10 to 200 terms of the series (at most 1500), two multiply-adds each"
#define NTK_SERIES_SOURCE "Mehler 1866; Daniely et al. 2016, Lemma 11"

/* All of a file that has one activation without parameters, after its f and df. */
#define NTK_SERIES_ACTIVATION(file, word, sentence)                                      \
    static ntk_status setup(const void *self, const struct ntk_where *at,                \
                            const struct ntk_dual_range *range, struct ntk_dual *dual)   \
    {                                                                                    \
        return ntk_series_setup(f, df, self, at, range, dual);                           \
    }                                                                                    \
    static const struct ntk_activation activation = {                                    \
        .base = {.kind = NTK_CLASS_ACTIVATION,                                           \
                 .name = word,                                                           \
                 .summary = sentence,                                                    \
                 .formula = NTK_SERIES_FORMULA,                                          \
                 .source = NTK_SERIES_SOURCE,                                            \
                 .cost = NTK_SERIES_COST},                                               \
        .f = f,                                                                          \
        .df = df,                                                                        \
        .setup = setup,                                                                  \
        NTK_SERIES_MEMBERS,                                                              \
    };                                                                                   \
    const struct ntk_activation *const ntk_activations_##file[] = {&activation, NULL}

#endif
