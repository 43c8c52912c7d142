/* SPDX-License-Identifier: MIT
 *
 * sweep.h - for an activation's file: the fused loop "dual, product with Theta, sums over 3 x 3
 * neighbours" (struct ntk_sweep_args), which takes the nets of images most of their time, and that at the end of a
 * net, "dual, product with Theta, sums over all positions" (struct ntk_tail_args).
 *
 *     NTK_SWEEP_POINT(erf, 1, point)     from the function of NTK_DUAL (dual.h)
 *     NTK_SWEEP(erf)
 *
 * The activation has a line SWEEP(name) in activations/sweeps.def. Some vectors of pairs at a time go through all
 * steps side by side, since each alone is a chain in which every number waits for the one before; an activation may
 * write that itself, as name_block:
 *
 *     NTK_INLINE void erf_block(int n, const V *k, const struct sweep_sides *s, const real *par, V *f, V *d)
 *
 * makes f[m], d[m] of k[m], m < n <= SWEEP_BLOCK; sweep_side1 and sweep_side2 read sides. NTK_SWEEP_LOOPS(erf) and what
 * follows it make the loops.
 *
 * Sums over rows are left to the reader: then nothing has to be kept of a row but what lies in the planes themselves.
 */
#ifndef NTK_SWEEP_H
#define NTK_SWEEP_H

#include "activations/dual.h"

#define NTK_SWEEP_SYMBOL(name) NTK_CAT4(ntk_sweep_, name, NTK_SUFFIX, )
#define NTK_TAIL_SYMBOL(name)  NTK_CAT4(ntk_tail_, name, NTK_SUFFIX, )

#define SWEEP_BLOCK 4
/* for m < n <= SWEEP_BLOCK; n is a constant where it is inlined, which for some compilers comes after loops are unrolled */
#define SWEEP_EACH(m, n) NTK_UNROLL for (int m = 0; m < SWEEP_BLOCK; m++) if (m < (n))

/* Sides at the block's first position. */
struct sweep_sides {
    const real *a, *b;
    size_t stride1, stride2;
    bool per_lane;
};
NTK_INLINE struct sweep_sides sweep_sides(const struct ntk_swept *x, size_t r, bool per_lane)
{
    return (struct sweep_sides){.a = (const real *)x->side1 + r * x->rect.row1,
                                .b = (const real *)x->side2 + r * x->rect.row2,
                                .stride1 = x->stride1,
                                .stride2 = x->stride2,
                                .per_lane = per_lane};
}
NTK_INLINE void sweep_advance(struct sweep_sides *s, size_t columns)
{
    s->a += columns * (s->per_lane ? LANES : 1);
    s->b += columns * LANES;
}
NTK_INLINE V sweep_side1(const struct sweep_sides *s, size_t side, int m)
{
    const real *at = s->a + side * s->stride1;

    return s->per_lane ? load(at + (size_t)m * LANES) : splat(at[m]);
}
NTK_INLINE V sweep_side2(const struct sweep_sides *s, size_t side, int m)
{
    return load(s->b + side * s->stride2 + (size_t)m * LANES);
}
NTK_INLINE V sweep_sides_product(const struct sweep_sides *s, size_t side, int m)
{
    const V b = sweep_side2(s, side, m);

    return s->per_lane ? sweep_side1(s, side, m) * b : vtimes(b, s->a + side * s->stride1 + m);
}

/* A row of a plane that is read. */
struct sweep_in {
    const real *above, *row, *below; /* those of a plane that is not open have zeros around them */
    real add;
};
NTK_INLINE struct sweep_in sweep_row(const struct ntk_plane_in *p, const struct ntk_rect_args *rect, size_t r,
                                     const real *zeros)
{
    const real *row = (const real *)p->at + r * rect->pitch * LANES;

    return (struct sweep_in){.above = p->open && r > 0 ? row - rect->pitch * LANES : zeros,
                             .row = row,
                             .below = p->open && r + 1 < rect->rows ? row + rect->pitch * LANES : zeros,
                             .add = (real)p->add};
}
NTK_INLINE V sweep_value(const struct sweep_in *in, size_t j, bool plain)
{
    const V sum = (load(in->row + j * LANES) + load(in->below + j * LANES)) + load(in->above + j * LANES);

    return plain ? sum : sum + in->add;
}

/* A row of sums over three columns on its way. */
struct sweep_out {
    real *row;
    V pair, last; /* the sum of the last two values; the last */
    real factor, mix;
};
/* The value at column j; the sum at column j - 1, which for j = 0 goes to `spare`. */
NTK_INLINE void sweep_put(struct sweep_out *o, V value, size_t j, real *spare)
{
    store(j ? o->row + (j - 1) * LANES : spare, o->pair + value);
    o->pair = o->last + value;
    o->last = value;
}

/* plain: all factors and mixes are 1, nothing is added to what was read. */
#define NTK_SWEEP_LOOPS(name)                                                                                    \
    NTK_INLINE void name##_columns(int n, size_t j, const struct ntk_sweep_args *x, const real *par,             \
                                   const struct sweep_sides *s, const struct sweep_in *in, struct sweep_out *o,  \
                                   int thetas, bool plain)                                                       \
    {                                                                                                            \
        V k[SWEEP_BLOCK], f[SWEEP_BLOCK], d[SWEEP_BLOCK];                                                        \
        SWEEP_EACH(m, n)                                                                                         \
            k[m] = sweep_value(&in[0], j + (size_t)m, plain);                                                    \
        name##_block(n, k, s, par, f, d);                                                                        \
        SWEEP_EACH(m, n) {                                                                                       \
            if (plain || o[0].row)                                                                               \
                sweep_put(&o[0], plain ? f[m] : f[m] * o[0].factor, j + (size_t)m, x->spare);                    \
            for (int i = 1; i <= thetas; i++) {                                                                  \
                const V theta = sweep_value(&in[i], j + (size_t)m, plain);                                       \
                const V sum = plain ? f[m] + d[m] * theta : (f[m] * o[i].mix + d[m] * theta) * o[i].factor;      \
                sweep_put(&o[i], sum, j + (size_t)m, x->spare);                                                  \
            }                                                                                                    \
        }                                                                                                        \
    }                                                                                                            \
    NTK_INLINE void name##_sweep_run(const struct ntk_sweep_args *x, const real *par, bool plain, bool per_lane, \
                               int thetas)                                                                       \
    {                                                                                                            \
        const size_t columns = x->in.rect.columns;                                                               \
        for (size_t r = 0; r < x->in.rect.rows; r++) {                                                           \
            struct sweep_sides s = sweep_sides(&x->in, r, per_lane);                                             \
            struct sweep_in in[NTK_SWEEP_OUTPUTS];                                                               \
            struct sweep_out o[NTK_SWEEP_OUTPUTS];                                                               \
            size_t j = 0;                                                                                        \
            in[0] = sweep_row(&x->in.k, &x->in.rect, r, x->in.zeros);                                            \
            for (int i = 0; i <= thetas; i++) {                                                                  \
                real *out = x->out[i];                                                                           \
                if (i > 0)                                                                                       \
                    in[i] = sweep_row(&x->in.theta[i - 1], &x->in.rect, r, x->in.zeros);                         \
                o[i] = (struct sweep_out){.row = out ? out + r * x->in.rect.pitch * LANES : NULL,                \
                                          .factor = (real)(x->factor[i] / x->in.fold_factor),                    \
                                          .mix = (real)x->mix[i]};                                               \
            }                                                                                                    \
            for (; j + SWEEP_BLOCK <= columns; j += SWEEP_BLOCK) {                                               \
                name##_columns(SWEEP_BLOCK, j, x, par, &s, in, o, thetas, plain);                                \
                sweep_advance(&s, SWEEP_BLOCK);                                                                  \
            }                                                                                                    \
            for (; j < columns; j++) {                                                                           \
                name##_columns(1, j, x, par, &s, in, o, thetas, plain);                                          \
                sweep_advance(&s, 1);                                                                            \
            }                                                                                                    \
            for (int i = 0; i <= thetas; i++)                                                                    \
                if (o[i].row)                                                                                    \
                    store(o[i].row + (columns - 1) * LANES, o[i].pair);                                          \
        }                                                                                                        \
    }                                                                                                            \
    NTK_INLINE void name##_tail_columns(int n, size_t j, const real *par, const struct sweep_sides *s,           \
                                        const struct sweep_in *in, V *sum, int thetas)                           \
    {                                                                                                            \
        V k[SWEEP_BLOCK], f[SWEEP_BLOCK], d[SWEEP_BLOCK];                                                        \
        SWEEP_EACH(m, n)                                                                                         \
            k[m] = sweep_value(&in[0], j + (size_t)m, false);                                                    \
        name##_block(n, k, s, par, f, d);                                                                        \
        SWEEP_EACH(m, n) {                                                                                       \
            sum[0] += f[m];                                                                                      \
            for (int i = 1; i <= thetas; i++)                                                                    \
                sum[i] += d[m] * sweep_value(&in[i], j + (size_t)m, false);                                      \
        }                                                                                                        \
    }                                                                                                            \
    /* A row's sums in the plane's type, theirs in float64. */                                                   \
    NTK_INLINE void name##_tail_run(const struct ntk_tail_args *x, const real *par, double factor,               \
                                    bool per_lane, int thetas)                                                   \
    {                                                                                                            \
        for (size_t r = 0; r < x->in.rect.rows; r++) {                                                           \
            struct sweep_sides s = sweep_sides(&x->in, r, per_lane);                                             \
            struct sweep_in in[NTK_SWEEP_OUTPUTS];                                                               \
            V sum[NTK_SWEEP_OUTPUTS] = {{0}};                                                                    \
            size_t j = 0;                                                                                        \
            in[0] = sweep_row(&x->in.k, &x->in.rect, r, x->in.zeros);                                            \
            for (int i = 1; i <= thetas; i++)                                                                    \
                in[i] = sweep_row(&x->in.theta[i - 1], &x->in.rect, r, x->in.zeros);                             \
            for (; j + SWEEP_BLOCK <= x->in.rect.columns; j += SWEEP_BLOCK) {                                    \
                name##_tail_columns(SWEEP_BLOCK, j, par, &s, in, sum, thetas);                                   \
                sweep_advance(&s, SWEEP_BLOCK);                                                                  \
            }                                                                                                    \
            for (; j < x->in.rect.columns; j++) {                                                                \
                name##_tail_columns(1, j, par, &s, in, sum, thetas);                                             \
                sweep_advance(&s, 1);                                                                            \
            }                                                                                                    \
            for (int i = 0; i <= thetas; i++)                                                                    \
                for (size_t l = 0; l < LANES; l++)                                                               \
                    x->sum[i][l] += factor * (double)sum[i][l];                                                  \
        }                                                                                                        \
    }

/* Functions of a block whose loops are there: name_sweep(x, par), name_tail(x, par, factor of the sums), and name_plain(x,
 * par) for sweeps of which sweep_is_plain. */
#define NTK_SWEEP_CASE(name, function, is_plain)                          \
    static void function(const struct ntk_sweep_args *x, const real *par) \
    {                                                                     \
        const int thetas = x->out[2] ? 2 : x->out[1] ? 1 : 0;             \
        if (x->in.rect.step1 == 1)                                        \
            NTK_BY_THETAS(name##_sweep_run, x, par, is_plain, false)      \
        else                                                              \
            NTK_BY_THETAS(name##_sweep_run, x, par, is_plain, true)       \
    }
#define NTK_SWEEP_ANY(name)   NTK_SWEEP_CASE(name, name##_sweep, false)
#define NTK_SWEEP_PLAIN(name) NTK_SWEEP_CASE(name, name##_plain, true)
#define NTK_SWEEP_TAIL(name)                                                               \
    static void name##_tail(const struct ntk_tail_args *x, const real *par, double factor) \
    {                                                                                      \
        const int thetas = x->sum[2] ? 2 : x->sum[1] ? 1 : 0;                              \
        if (x->in.rect.step1 == 1)                                                         \
            NTK_BY_THETAS(name##_tail_run, x, par, factor, false)                          \
        else                                                                               \
            NTK_BY_THETAS(name##_tail_run, x, par, factor, true)                           \
    }

NTK_INLINE bool sweep_is_plain(const struct ntk_sweep_args *x)
{
    bool plain = x->out[0] && x->factor[0] == x->in.fold_factor && x->in.k.add == 0;

    for (int i = 1; i < NTK_SWEEP_OUTPUTS && x->out[i]; i++)
        plain = plain && x->factor[i] == x->in.fold_factor && x->mix[i] == 1 && x->in.theta[i - 1].add == 0;
    return plain;
}

/* run(..., thetas), each case a copy of its own. */
#define NTK_BY_THETAS(run, ...)  \
    {                            \
        if (thetas == 0)         \
            run(__VA_ARGS__, 0); \
        else if (thetas == 1)    \
            run(__VA_ARGS__, 1); \
        else                     \
            run(__VA_ARGS__, 2); \
    }

/* name_block by `point`, one after the other. */
#define NTK_SWEEP_POINT(name, n_sides, point)                                                                 \
    NTK_INLINE void name##_block(int n, const V *k, const struct sweep_sides *s, const real *par, V *f, V *d) \
    {                                                                                                         \
        SWEEP_EACH(m, n) {                                                                                    \
            V a[n_sides], b[n_sides];                                                                         \
            NTK_UNROLL                                                                                        \
            for (size_t i = 0; i < (n_sides); i++) {                                                          \
                a[i] = sweep_side1(s, i, m);                                                                  \
                b[i] = sweep_side2(s, i, m);                                                                  \
            }                                                                                                 \
            point(k[m], a, b, par, &f[m], &d[m]);                                                             \
        }                                                                                                     \
    }                                                                                                         \
    NTK_SWEEP_LOOPS(name)                                                                                     \
    NTK_SWEEP_ANY(name)                                                                                       \
    NTK_SWEEP_TAIL(name)

/* The functions of the table. */
#define NTK_SWEEP(name)                                         \
    ntk_sweep_fn NTK_SWEEP_SYMBOL(name);                        \
    void NTK_SWEEP_SYMBOL(name)(const struct ntk_sweep_args *x) \
    {                                                           \
        name##_sweep(x, x->in.par);                             \
    }                                                           \
    ntk_tail_fn NTK_TAIL_SYMBOL(name);                          \
    void NTK_TAIL_SYMBOL(name)(const struct ntk_tail_args *x)   \
    {                                                           \
        name##_tail(x, x->in.par, 1);                           \
    }

#endif
