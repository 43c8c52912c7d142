/* SPDX-License-Identifier: MIT
 *
 * sweep.h - for an activation's file: the fused loop "dual, product with Theta, sums over 3 x 3
 * neighbours" (struct ntk_sweep_args), which takes the nets of images most of their time, and that at the end of a
 * net, "dual, product with Theta, sums over all positions" (struct ntk_tail_args).
 *
 *     NTK_SWEEP_POINT(erf, 1, point)     from the function of NTK_DUAL (dual.h)
 *     NTK_SWEEP_LOOPS(fold)              from fold_begin and fold_end, which read the constants of a fold (activation.h)
 *     NTK_SWEEP(erf, fold)
 *
 * The activation has a line SWEEP(name) in activations/sweeps.def. A root takes a fifth of all time and then others wait for
 * it: so a block of SWEEP_BLOCK vectors of pairs goes through fold_begin, which ends with roots and divisions, before the
 * block ahead of it goes through fold_end. For m < n, from column j of a row on,
 *
 *     NTK_INLINE void fold_begin(int n, size_t j, const struct sweep_sides *s, const real *c, struct sweep_half *h)
 *
 * makes members of h of h->k[m], and
 *
 *     NTK_INLINE void fold_end(int n, size_t j, const struct sweep_sides *s, const real *c, const struct sweep_half *h, V *f, V *d)
 *
 * f[m] and d[m] of those, times the fold's factor. sweep_side1 and sweep_side2 read sides.
 *
 * Sums over rows are left to the reader: then nothing has to be kept of a row but what lies in the planes themselves.
 */
#ifndef NTK_SWEEP_H
#define NTK_SWEEP_H

#include "activations/dual.h"

#define NTK_SWEEP_SYMBOL(name) NTK_CAT4(ntk_sweep_, name, NTK_SUFFIX, )
#define NTK_TAIL_SYMBOL(name)  NTK_CAT4(ntk_tail_, name, NTK_SUFFIX, )

#define SWEEP_BLOCK 2
/* for m < n <= SWEEP_BLOCK; n is a constant where it is inlined, which for some compilers comes after loops are unrolled */
#define SWEEP_EACH(m, n) NTK_UNROLL for (int m = 0; m < SWEEP_BLOCK; m++) if (m < (n))

/* Sides at a row's first position. */
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
NTK_INLINE V sweep_side1(const struct sweep_sides *s, size_t side, size_t j)
{
    const real *at = s->a + side * s->stride1;

    return s->per_lane ? load(at + j * LANES) : splat(at[j]);
}
NTK_INLINE V sweep_side2(const struct sweep_sides *s, size_t side, size_t j)
{
    return load(s->b + side * s->stride2 + j * LANES);
}
NTK_INLINE V sweep_sides_product(const struct sweep_sides *s, size_t side, size_t j)
{
    const V b = sweep_side2(s, side, j);

    return s->per_lane ? sweep_side1(s, side, j) * b : vtimes(b, s->a + side * s->stride1 + j);
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

/* What the first half of a block leaves to the second: covariances, and whatever the activation likes; unused ones cost
 * nothing. */
struct sweep_half {
    V k[SWEEP_BLOCK], x[SWEEP_BLOCK], t[SWEEP_BLOCK], u[SWEEP_BLOCK], w[SWEEP_BLOCK], i[SWEEP_BLOCK];
};
/* What a row reads. */
struct sweep_line {
    struct sweep_sides s;
    struct sweep_in in[NTK_SWEEP_OUTPUTS];
};
NTK_INLINE struct sweep_line sweep_line(const struct ntk_swept *x, size_t r, bool per_lane, int thetas)
{
    struct sweep_line l = {.s = sweep_sides(x, r, per_lane)};

    l.in[0] = sweep_row(&x->k, &x->rect, r, x->zeros);
    for (int i = 1; i <= thetas; i++)
        l.in[i] = sweep_row(&x->theta[i - 1], &x->rect, r, x->zeros);
    return l;
}

/* y[m] = a polynomial of degree n in x[m] */
NTK_INLINE void sweep_polynomial(int n, const V *x, const real *c, int degree, V *y)
{
    SWEEP_EACH(m, n)
        y[m] = splat(c[degree]);
    NTK_UNROLL
    for (int i = degree - 1; i >= 0; i--) {
        SWEEP_EACH(m, n)
            y[m] = y[m] * x[m] + c[i];
    }
}

/* plain: all factors and mixes are 1, nothing is added to what was read. */
#define NTK_SWEEP_LOOPS(name)                                                                                        \
    NTK_INLINE void name##_ahead(int n, size_t j, const real *par, const struct sweep_line *l, struct sweep_half *h, \
                                 bool plain)                                                                         \
    {                                                                                                                \
        SWEEP_EACH(m, n)                                                                                             \
            h->k[m] = sweep_value(&l->in[0], j + (size_t)m, plain);                                                  \
        name##_begin(n, j, &l->s, par, h);                                                                           \
    }                                                                                                                \
    NTK_INLINE void name##_columns(int n, size_t j, const struct ntk_sweep_args *x, const real *par,                 \
                                   const struct sweep_line *l, struct sweep_out *o,                                  \
                                   const struct sweep_half *h, int thetas, bool plain)                               \
    {                                                                                                                \
        V f[SWEEP_BLOCK], d[SWEEP_BLOCK];                                                                            \
        name##_end(n, j, &l->s, par, h, f, d);                                                                       \
        SWEEP_EACH(m, n) {                                                                                           \
            if (plain || o[0].row)                                                                                   \
                sweep_put(&o[0], plain ? f[m] : f[m] * o[0].factor, j + (size_t)m, x->spare);                        \
            for (int i = 1; i <= thetas; i++) {                                                                      \
                const V theta = sweep_value(&l->in[i], j + (size_t)m, plain);                                        \
                const V sum = plain ? f[m] + d[m] * theta : (f[m] * o[i].mix + d[m] * theta) * o[i].factor;          \
                sweep_put(&o[i], sum, j + (size_t)m, x->spare);                                                      \
            }                                                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    NTK_INLINE void name##_sweep_run(const struct ntk_sweep_args *x, const real *par, bool plain, bool per_lane,     \
                               int thetas)                                                                           \
    {                                                                                                                \
        const size_t columns = x->in.rect.columns, rows = x->in.rect.rows;                                           \
        struct sweep_half h = {0};                                                                                   \
        struct sweep_line line = sweep_line(&x->in, 0, per_lane, thetas);                                            \
        if (columns >= SWEEP_BLOCK)                                                                                  \
            name##_ahead(SWEEP_BLOCK, 0, par, &line, &h, plain);                                                     \
        for (size_t r = 0; r < rows; r++) {                                                                          \
            const struct sweep_line below = sweep_line(&x->in, r + 1 < rows ? r + 1 : r, per_lane, thetas);          \
            struct sweep_half next;                                                                                  \
            struct sweep_out o[NTK_SWEEP_OUTPUTS];                                                                   \
            size_t j = 0;                                                                                            \
            for (int i = 0; i <= thetas; i++) {                                                                      \
                real *out = x->out[i];                                                                               \
                o[i] = (struct sweep_out){.row = out ? out + r * x->in.rect.pitch * LANES : NULL,                    \
                                          .factor = (real)(x->factor[i] / x->in.fold_factor),                        \
                                          .mix = (real)x->mix[i]};                                                   \
            }                                                                                                        \
            for (; j + 2 * SWEEP_BLOCK <= columns; j += SWEEP_BLOCK) {                                               \
                name##_ahead(SWEEP_BLOCK, j + SWEEP_BLOCK, par, &line, &next, plain);                                \
                name##_columns(SWEEP_BLOCK, j, x, par, &line, o, &h, thetas, plain);                                 \
                h = next;                                                                                            \
            }                                                                                                        \
            if (columns >= SWEEP_BLOCK) {                                                                            \
                name##_ahead(SWEEP_BLOCK, 0, par, &below, &next, plain);                                             \
                name##_columns(SWEEP_BLOCK, j, x, par, &line, o, &h, thetas, plain);                                 \
                h = next;                                                                                            \
                j += SWEEP_BLOCK;                                                                                    \
            }                                                                                                        \
            for (; j < columns; j++) {                                                                               \
                name##_ahead(1, j, par, &line, &next, plain);                                                        \
                name##_columns(1, j, x, par, &line, o, &next, thetas, plain);                                        \
            }                                                                                                        \
            for (int i = 0; i <= thetas; i++)                                                                        \
                if (o[i].row)                                                                                        \
                    store(o[i].row + (columns - 1) * LANES, o[i].pair);                                              \
            line = below;                                                                                            \
        }                                                                                                            \
    }                                                                                                                \
    NTK_INLINE void name##_tail_columns(int n, size_t j, const real *par, const struct sweep_line *l,                \
                                        V *sum, int thetas)                                                          \
    {                                                                                                                \
        V f[SWEEP_BLOCK], d[SWEEP_BLOCK];                                                                            \
        struct sweep_half h;                                                                                         \
        name##_ahead(n, j, par, l, &h, false);                                                                       \
        name##_end(n, j, &l->s, par, &h, f, d);                                                                      \
        SWEEP_EACH(m, n) {                                                                                           \
            sum[0] += f[m];                                                                                          \
            for (int i = 1; i <= thetas; i++)                                                                        \
                sum[i] += d[m] * sweep_value(&l->in[i], j + (size_t)m, false);                                       \
        }                                                                                                            \
    }                                                                                                                \
    /* A row's sums in the plane's type, theirs in float64. */                                                       \
    NTK_INLINE void name##_tail_run(const struct ntk_tail_args *x, const real *par, double factor,                   \
                                    bool per_lane, int thetas)                                                       \
    {                                                                                                                \
        for (size_t r = 0; r < x->in.rect.rows; r++) {                                                               \
            const struct sweep_line line = sweep_line(&x->in, r, per_lane, thetas);                                  \
            V sum[NTK_SWEEP_OUTPUTS] = {{0}};                                                                        \
            size_t j = 0;                                                                                            \
            for (; j + SWEEP_BLOCK <= x->in.rect.columns; j += SWEEP_BLOCK)                                          \
                name##_tail_columns(SWEEP_BLOCK, j, par, &line, sum, thetas);                                        \
            for (; j < x->in.rect.columns; j++)                                                                      \
                name##_tail_columns(1, j, par, &line, sum, thetas);                                                  \
            for (int i = 0; i <= thetas; i++)                                                                        \
                for (size_t l = 0; l < LANES; l++)                                                                   \
                    x->sum[i][l] += factor * (double)sum[i][l];                                                      \
        }                                                                                                            \
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

/* Of `point`: all in the second half. */
#define NTK_SWEEP_POINT(name, n_sides, point)                                                                         \
    NTK_INLINE void name##_begin(int n, size_t j, const struct sweep_sides *s, const real *par, struct sweep_half *h) \
    {                                                                                                                 \
        (void)n, (void)j, (void)s, (void)par, (void)h;                                                                \
    }                                                                                                                 \
    NTK_INLINE void name##_end(int n, size_t j, const struct sweep_sides *s, const real *par,                         \
                               const struct sweep_half *h, V *f, V *d)                                                \
    {                                                                                                                 \
        SWEEP_EACH(m, n) {                                                                                            \
            V a[n_sides], b[n_sides];                                                                                 \
            NTK_UNROLL                                                                                                \
            for (size_t i = 0; i < (n_sides); i++) {                                                                  \
                a[i] = sweep_side1(s, i, j + (size_t)m);                                                              \
                b[i] = sweep_side2(s, i, j + (size_t)m);                                                              \
            }                                                                                                         \
            point(h->k[m], a, b, par, &f[m], &d[m]);                                                                  \
        }                                                                                                             \
    }                                                                                                                 \
    NTK_SWEEP_LOOPS(name)                                                                                             \
    NTK_SWEEP_ANY(name)                                                                                               \
    NTK_SWEEP_TAIL(name)

/* The functions of the table: `fold`, of a block whose loops are NTK_SWEEP_LOOPS(fold), where there are its constants. */
#define NTK_SWEEP(name, fold_)                                  \
    NTK_SWEEP_ANY(fold_)                                        \
    NTK_SWEEP_PLAIN(fold_)                                      \
    NTK_SWEEP_TAIL(fold_)                                       \
    ntk_sweep_fn NTK_SWEEP_SYMBOL(name);                        \
    void NTK_SWEEP_SYMBOL(name)(const struct ntk_sweep_args *x) \
    {                                                           \
        if (!x->in.fold)                                        \
            name##_sweep(x, x->in.par);                         \
        else if (sweep_is_plain(x))                             \
            fold_##_plain(x, x->in.fold);                       \
        else                                                    \
            fold_##_sweep(x, x->in.fold);                       \
    }                                                           \
    ntk_tail_fn NTK_TAIL_SYMBOL(name);                          \
    void NTK_TAIL_SYMBOL(name)(const struct ntk_tail_args *x)   \
    {                                                           \
        if (x->in.fold)                                         \
            fold_##_tail(x, x->in.fold, 1 / x->in.fold_factor); \
        else                                                    \
            name##_tail(x, x->in.par, 1);                       \
    }

#endif
