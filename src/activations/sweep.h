/* SPDX-License-Identifier: MIT
 *
 * sweep.h - for an activation's file: the fused loop "dual, product with Theta, sums over 3 x 3
 * neighbours" (struct ntk_sweep_args), which takes the nets of images most of their time.
 *
 *     NTK_INLINE void bare(V k, const V *a, const V *b, const real *par, V *f, V *d)
 *     NTK_SWEEP(abrelu, 2, point, bare, condition, scale)
 *
 * point is that of NTK_DUAL (dual.h). Where condition (of par) holds, bare is used instead, which
 * leaves out a common factor `scale` of f and d. The activation has a line SWEEP(name) in
 * activations/sweeps.def.
 *
 * NTK_SWEEP also makes the loop at the end of a net, "dual, product with Theta, sums over all
 * positions" (struct ntk_tail_args).
 */
#ifndef NTK_SWEEP_H
#define NTK_SWEEP_H

#include "activations/dual.h"
#include "simd/lines.h"

#define NTK_SWEEP_SYMBOL(name) NTK_CAT4(ntk_sweep_, name, NTK_SUFFIX, )
#define NTK_TAIL_SYMBOL(name)  NTK_CAT4(ntk_tail_, name, NTK_SUFFIX, )

#define NTK_SWEEP_LOOPS(name, n_sides, point)                                                      \
    NTK_INLINE void name##_sweep_row(const struct ntk_sweep_args *x, struct sweep_line *s,         \
                                     const real *k, const real *const *theta, const real *s1,      \
                                     const real *s2, bool per_lane, bool sigma, int thetas,        \
                                     bool store_out)                                               \
    {                                                                                              \
        const size_t columns = x->rect.columns;                                                    \
        for (size_t j = 0; j < columns; j++) {                                                     \
            V a[n_sides], b[n_sides], f, d;                                                        \
            for (size_t i = 0; i < (n_sides); i++) {                                               \
                const real *at = s1 + i * x->stride1;                                              \
                a[i] = per_lane ? load(at) : splat(*at);                                           \
                b[i] = load(s2 + i * x->stride2);                                                  \
            }                                                                                      \
            s1 += per_lane ? LANES : 1;                                                            \
            s2 += LANES;                                                                           \
            point(load(k + j * LANES), a, b, x->par, &f, &d);                                      \
            if (sigma)                                                                             \
                sweep_put(&s[0], f, j, store_out);                                                 \
            for (int i = 1; i <= thetas; i++)                                                      \
                sweep_put(&s[i], f * s[i].mix + d * load(theta[i] + j * LANES), j, store_out);     \
        }                                                                                          \
        if (sigma)                                                                                 \
            sweep_put(&s[0], (V){0}, columns, store_out);                                          \
        for (int i = 1; i <= thetas; i++)                                                          \
            sweep_put(&s[i], (V){0}, columns, store_out);                                          \
    }                                                                                              \
    NTK_INLINE void name##_sweep_run(const struct ntk_sweep_args *x, real scale, bool per_lane,    \
                                     bool sigma, int thetas)                                       \
    {                                                                                              \
        const size_t row = x->rect.pitch * LANES;                                                  \
        const real *k = x->k, *s1 = x->side1, *s2 = x->side2;                                      \
        const real *theta[NTK_SWEEP_OUTPUTS] = {0};                                                \
        struct sweep_line s[NTK_SWEEP_OUTPUTS];                                                    \
        for (int i = sigma ? 0 : 1; i <= thetas; i++) {                                            \
            sweep_start(&s[i], (real *)x->lines + (size_t)(3 * i) * x->rect.columns * LANES,       \
                        x->rect.columns, x->out[i], x->rect.pitch, x->a[i] * (double)scale, x->b[i]); \
            s[i].mix = (real)x->mix[i];                                                            \
            theta[i] = x->theta[i];                                                                \
        }                                                                                          \
        for (size_t r = 0; r < x->rect.rows; r++) {                                                \
            name##_sweep_row(x, s, k, theta, s1, s2, per_lane, sigma, thetas, r > 0);              \
            k += row;                                                                              \
            s1 += x->rect.row1;                                                                    \
            s2 += x->rect.row2;                                                                    \
            for (int i = 1; i <= thetas; i++)                                                      \
                theta[i] += row;                                                                   \
            for (int i = sigma ? 0 : 1; i <= thetas; i++)                                          \
                sweep_next_row(&s[i], x->rect.pitch);                                              \
        }                                                                                          \
        for (int i = sigma ? 0 : 1; i <= thetas; i++)                                              \
            sweep_finish(&s[i], x->rect.columns);                                                  \
    }                                                                                              \
    static void name##_sweep(const struct ntk_sweep_args *x, real scale)                           \
    {                                                                                              \
        const int thetas = x->out[2] ? 2 : x->out[1] ? 1 : 0;                                      \
        if (x->rect.step1 == 1)                                                                    \
            NTK_SWEEP_CASES(name##_sweep_run, x, scale, false)                                     \
        else                                                                                       \
            NTK_SWEEP_CASES(name##_sweep_run, x, scale, true)                                      \
    }

/* Each case a copy of its own. */
#define NTK_SWEEP_CASES(run, x, scale, per_lane)       \
    {                                                  \
        if (!x->out[0] && thetas == 1)                 \
            run(x, scale, per_lane, false, 1);         \
        else if (!x->out[0])                           \
            run(x, scale, per_lane, false, 2);         \
        else if (thetas == 0)                          \
            run(x, scale, per_lane, true, 0);          \
        else if (thetas == 1)                          \
            run(x, scale, per_lane, true, 1);          \
        else                                           \
            run(x, scale, per_lane, true, 2);          \
    }

/* Sums over a rectangle: a row's in the plane's type, theirs in float64. */
#define NTK_TAIL_LOOPS(name, n_sides, point)                                                       \
    NTK_INLINE void name##_tail_run(const struct ntk_tail_args *x, real scale, bool per_lane,      \
                                    int thetas)                                                    \
    {                                                                                              \
        const size_t row = x->rect.pitch * LANES;                                                  \
        const real *k = x->k, *t1 = x->theta[0], *t2 = x->theta[1];                                \
        const real *s1 = x->side1, *s2 = x->side2;                                                 \
        for (size_t r = 0; r < x->rect.rows; r++) {                                                \
            V sum = {0}, sum1 = {0}, sum2 = {0};                                                   \
            for (size_t j = 0; j < x->rect.columns; j++) {                                         \
                V a[n_sides], b[n_sides], f, d;                                                    \
                for (size_t i = 0; i < (n_sides); i++) {                                           \
                    const real *at = s1 + i * x->stride1 + j * (per_lane ? LANES : 1);             \
                    a[i] = per_lane ? load(at) : splat(*at);                                       \
                    b[i] = load(s2 + i * x->stride2 + j * LANES);                                  \
                }                                                                                  \
                point(load(k + j * LANES), a, b, x->par, &f, &d);                                  \
                sum += f;                                                                          \
                if (thetas > 0)                                                                    \
                    sum1 += d * load(t1 + j * LANES);                                              \
                if (thetas > 1)                                                                    \
                    sum2 += d * load(t2 + j * LANES);                                              \
            }                                                                                      \
            for (size_t l = 0; l < LANES; l++) {                                                   \
                x->sum[0][l] += (double)scale * (double)sum[l];                                    \
                if (thetas > 0)                                                                    \
                    x->sum[1][l] += (double)scale * (double)sum1[l];                               \
                if (thetas > 1)                                                                    \
                    x->sum[2][l] += (double)scale * (double)sum2[l];                               \
            }                                                                                      \
            k += row;                                                                              \
            t1 += thetas > 0 ? row : 0;                                                            \
            t2 += thetas > 1 ? row : 0;                                                            \
            s1 += x->rect.row1;                                                                    \
            s2 += x->rect.row2;                                                                    \
        }                                                                                          \
    }                                                                                              \
    static void name##_tail(const struct ntk_tail_args *x, real scale)                             \
    {                                                                                              \
        const bool per_lane = x->rect.step1 != 1;                                                  \
        if (x->theta[1] && per_lane)                                                               \
            name##_tail_run(x, scale, true, 2);                                                    \
        else if (x->theta[1])                                                                      \
            name##_tail_run(x, scale, false, 2);                                                   \
        else if (x->theta[0] && per_lane)                                                          \
            name##_tail_run(x, scale, true, 1);                                                    \
        else if (x->theta[0])                                                                      \
            name##_tail_run(x, scale, false, 1);                                                   \
        else if (per_lane)                                                                         \
            name##_tail_run(x, scale, true, 0);                                                    \
        else                                                                                       \
            name##_tail_run(x, scale, false, 0);                                                   \
    }

#define NTK_SWEEP(name, n_sides, point, bare, condition, factor) \
    NTK_SWEEP_LOOPS(name##_##point, n_sides, point)              \
    NTK_SWEEP_LOOPS(name##_##bare, n_sides, bare)                \
    NTK_TAIL_LOOPS(name##_##point, n_sides, point)               \
    NTK_TAIL_LOOPS(name##_##bare, n_sides, bare)                 \
    ntk_sweep_fn NTK_SWEEP_SYMBOL(name);                         \
    void NTK_SWEEP_SYMBOL(name)(const struct ntk_sweep_args *x)  \
    {                                                            \
        const real *par = x->par;                                \
        if (condition)                                           \
            name##_##bare##_sweep(x, factor);                    \
        else                                                     \
            name##_##point##_sweep(x, 1);                        \
    }                                                            \
    ntk_tail_fn NTK_TAIL_SYMBOL(name);                           \
    void NTK_TAIL_SYMBOL(name)(const struct ntk_tail_args *x)    \
    {                                                            \
        const real *par = x->par;                                \
        if (condition)                                           \
            name##_##bare##_tail(x, factor);                     \
        else                                                     \
            name##_##point##_tail(x, 1);                         \
    }

#endif
