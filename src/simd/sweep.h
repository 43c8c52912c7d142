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
 * A row of positions goes through the dual once; its sums over three neighbours are kept for three
 * rows, and every row's completes the row above it.
 */
#ifndef NTK_SWEEP_H
#define NTK_SWEEP_H

#include <string.h>

#include "simd/dual.h"

/* Sums of one output. */
struct sweep_line {
    real *now, *above, *before; /* of this row and the two above it: [columns] vectors */
    real *out;                  /* the row above */
    V last, pair;               /* the value to the left; the sum of the last two */
    real a, b, mix;
};

NTK_INLINE void sweep_start(struct sweep_line *s, const struct ntk_sweep_args *x, int i)
{
    real *lines = (real *)x->lines + (size_t)(3 * i) * x->rect.columns * LANES;

    *s = (struct sweep_line){.now = lines,
                             .above = lines + x->rect.columns * LANES,
                             .before = lines + 2 * x->rect.columns * LANES,
                             .out = (real *)x->out[i] - x->rect.pitch * LANES,
                             .a = (real)x->a[i],
                             .b = (real)x->b[i],
                             .mix = (real)x->mix[i]};
    memset(lines, 0, 3 * x->rect.columns * sizeof(V));
}

/* The value at column j of this row; completes column j - 1 of the row above. */
NTK_INLINE void sweep_put(struct sweep_line *s, V value, size_t j, bool store_out)
{
    const V sum = s->pair + value;

    s->pair = s->last + value;
    s->last = value;
    if (j == 0)
        return;
    store(s->now + (j - 1) * LANES, sum);
    if (store_out) {
        const V box = (load(s->above + (j - 1) * LANES) + load(s->before + (j - 1) * LANES)) + sum;

        store(s->out + (j - 1) * LANES, box * s->a + s->b);
    }
}

NTK_INLINE void sweep_next_row(struct sweep_line *s, size_t pitch)
{
    real *oldest = s->before;

    s->before = s->above;
    s->above = s->now;
    s->now = oldest;
    s->out += pitch * LANES;
    s->last = s->pair = (V){0};
}

/* The last row has none below it. */
NTK_INLINE void sweep_finish(struct sweep_line *s, size_t columns)
{
    for (size_t j = 0; j < columns; j++) {
        const V box = load(s->above + j * LANES) + load(s->before + j * LANES);

        store(s->out + j * LANES, box * s->a + s->b);
    }
}

#define NTK_SWEEP_SYMBOL(name) NTK_CAT4(ntk_sweep_, name, NTK_SUFFIX, )

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
            sweep_start(&s[i], x, i);                                                              \
            s[i].a *= scale;                                                                       \
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

#define NTK_SWEEP(name, n_sides, point, bare, condition, factor) \
    NTK_SWEEP_LOOPS(name##_##point, n_sides, point)              \
    NTK_SWEEP_LOOPS(name##_##bare, n_sides, bare)                \
    ntk_sweep_fn NTK_SWEEP_SYMBOL(name);                         \
    void NTK_SWEEP_SYMBOL(name)(const struct ntk_sweep_args *x)  \
    {                                                            \
        const real *par = x->par;                                \
        if (condition)                                           \
            name##_##bare##_sweep(x, factor);                    \
        else                                                     \
            name##_##point##_sweep(x, 1);                        \
    }

#endif
