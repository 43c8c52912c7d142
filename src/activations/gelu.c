/* SPDX-License-Identifier: MIT
 *
 * Gelu: f(x) = x Phi(x).
 *
 * With i = 1 / sqrt(1 + q), w = i i', x = k w, c = sqrt(1 - x^2) (Tsuchida et al. 2021):
 *     F = (w x^2 / c + (q i)(q' i') c + k asin(x)) / (2 pi) + k / 4
 *     D = ((w^2 / c^2 + i^2 + i'^2) x / c + asin(x)) / (2 pi) + 1 / 4
 * |k| <= s s' bounds c^2 from below by i^2 + i'^2 - w^2.
 *
 * Its approximation by tanh is another function, 5e-4 away; its dual is a Hermite series.
 */
#include "activations/series.h"

/* A fold, of the closed form: P is the polynomial of asin(x) / x over 2 pi. */
enum { FOLD_HALF_PI_INVERSE, FOLD_QUARTER, FOLD_P };

#ifdef NTK_REAL

#include "activations/sweep.h"

#define HALF_PI_INVERSE ((real)0.15915494309189533577) /* 1 / (2 pi) */

/* sides: i, q i; par: 1 if the sides are those of the series */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V w = a[0] * b[0], i2 = a[0] * a[0] + b[0] * b[0], x = k * w;
    const V c = vsqrt(vmax((1 - x) * (1 + x), i2 - w * w));
    const V w_c = w / c, x_c = k * w_c;
    const V quarter = HALF_PI_INVERSE * vangle(x, c) + (real)0.25;

    (void)par;
    *f = k * quarter + HALF_PI_INVERSE * (x * x_c * w + a[1] * b[1] * c);
    *d = quarter + HALF_PI_INVERSE * x_c * (w_c * w_c + i2);
}
NTK_DUAL_LOOPS(gelu, 2, point)

ntk_dual_fn NTK_DUAL_SYMBOL(gelu), NTK_DUAL_SYMBOL(series);
void NTK_DUAL_SYMBOL(gelu)(const struct ntk_dual_args *p)
{
    if (*(const real *)p->par > 0)
        NTK_DUAL_SYMBOL(series)(p);
    else
        gelu_loops(p);
}

NTK_SWEEP_POINT(gelu, 2, point)

NTK_INLINE void fold_begin(int n, size_t j, const struct sweep_sides *s, const real *c, struct sweep_half *h)
{
    SWEEP_EACH(m, n) {
        const V a = sweep_side1(s, 0, j + (size_t)m), b = sweep_side2(s, 0, j + (size_t)m), w = a * b, x = h->k[m] * w;
        const V i2 = a * a + b * b, cosine = vsqrt(vmax(1 - x * x, i2 - w * w));

        h->x[m] = x;
        h->t[m] = cosine;
        h->u[m] = 1 / cosine;
        h->w[m] = w;
        h->i[m] = i2;
    }
    (void)c;
}
NTK_INLINE void fold_end(int n, size_t j, const struct sweep_sides *s, const real *c, const struct sweep_half *h, V *f, V *d)
{
    V p[SWEEP_BLOCK];

    sweep_polynomial(n, h->t, c + FOLD_P, IS_F32 ? ARCSINE_COSINE_F32 : ARCSINE_COSINE_F64, p);
    SWEEP_EACH(m, n) {
        const V x = h->x[m], w = h->w[m], w_c = w * h->u[m], x_c = c[FOLD_HALF_PI_INVERSE] * (x * h->u[m]);
        const V quarter = x * p[m] + c[FOLD_QUARTER];

        d[m] = quarter + x_c * (w_c * w_c + h->i[m]);
        f[m] = h->k[m] * quarter + ((x * w) * x_c + sweep_sides_product(s, 1, j + (size_t)m) * h->t[m]);
    }
}
NTK_SWEEP_LOOPS(fold)
NTK_SWEEP(gelu, fold)

#ifdef NTK_IS_F64

#include "activations/near_arcsine.h"

/* T = asin(x) / (2 pi) + 1 / 4, given the first term */
NTK_INLINE struct near turn(const struct near_arcsine *t)
{
    const V a1 = HALF_PI_INVERSE * t->a1, a2 = HALF_PI_INVERSE * t->a2, half = splat((real)0.5);
    const V difference = HALF_PI_INVERSE * t->difference;
    const V a[] = {vsqrt(a1), half}, b[] = {vsqrt(a2), half};
    const V e[] = {vratio(difference, a[0] + b[0]), splat(0)};
    struct near y = {.s1 = vsqrt(a1 + (real)0.25),
                     .s2 = vsqrt(a2 + (real)0.25),
                     .minus = HALF_PI_INVERSE * t->minus,
                     .plus = HALF_PI_INVERSE * t->plus + (real)0.5};

    y.d = difference / (y.s1 + y.s2);
    near_join(2, a, b, e, &y);
    return y;
}

/* With R = c / w, R^2 = (1 + q)(1 + q') - k^2, F has three parts,
 *     k T,   w^2 k^2 / (2 pi R),   w^2 q q' R / (2 pi)
 * which for a sample with itself are squares of s T^(1/2), g / r and g r (the last two over sqrt(2
 * pi)), r = (1 + 2 q)^(1/4), g = q / (1 + q). R - r r' follows from R^4 - (r r')^4 as in
 * gaussian.c. Powers of variances, which may be no numbers, are divided first. */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const M opposite = x->plus < x->minus;
    const struct near m = {.s1 = x->s1, /* the same of the mirrored sample */
                           .s2 = x->s2,
                           .d = x->d,
                           .minus = vmin(x->minus, x->plus),
                           .plus = vmax(x->minus, x->plus)};
    const struct near_arcsine arcsine = near_arcsine(&m, 1);
    const struct near t = turn(&arcsine);
    const V q1 = m.s1 * m.s1, q2 = m.s2 * m.s2, dq = m.d * (m.s1 + m.s2), k = near_value(&m);
    const V i1 = 1 / (1 + q1), i2 = 1 / (1 + q2), w = vsqrt(i1) * vsqrt(i2), kw = k * w;
    const V g1 = q1 * i1, g2 = q2 * i2, dg = dq * i1 * i2;
    const V square1 = vsqrt(1 + 2 * q1), square2 = vsqrt(1 + 2 * q2);
    const V r1 = vsqrt(square1), r2 = vsqrt(square2), r = r1 * r2, big = arcsine.root;
    const V dr = 2 * dq / ((square1 + square2) * (r1 + r2));
    const V less = (m.minus / big) * (m.plus / big); /* (q q' - k^2) / R^2 */
    const V more = ((dq / big) * (dq / big / (big + r)) +
                    less * ((1 + q1 + q2) / (big + r) + big * (big / (big + r)))) /
                   (1 + (square1 / big) * (square2 / big)); /* R - r r' */
    const real c = (real)0.39894228040143267794;            /* 1 / sqrt(2 pi) */
    const V a[] = {m.s1 * t.s1, c * g1 / r1, c * g1 * r1};
    const V b[] = {m.s2 * t.s2, c * g2 / r2, c * g2 * r2};
    V e[] = {(real)0.5 * (m.d * (t.s1 + t.s2) + t.d * (m.s1 + m.s2)),
             (real)0.5 * c * (dg * (r1 + r2) - dr * (g1 + g2)) / r,
             (real)0.5 * c * (dg * (r1 + r2) + dr * (g1 + g2))};
    const M apart = 4 * vabs(m.d) > m.s1 + m.s2; /* e is a - b, by formulas where that cancels */
    struct near z = {.s1 = y->s1, .s2 = y->s2};
    V difference = splat(0);

    (void)par;
    for (int i = 0; i < 3; i++) {
        e[i] = pick(apart, a[i] - b[i], e[i]);
        difference += e[i] * (a[i] + b[i]);
    }
    z.minus = (real)0.5 * (m.minus * t.plus + m.plus * t.minus) +
              HALF_PI_INVERSE * (((m.minus * w) * (m.plus * w) + kw * kw * (more / big)) / r -
                                 g1 * g2 * more);
    near_join(3, a, b, e, &z);
    /* F is k / 4 and an even function */
    const V even = HALF_PI_INVERSE * (k * arcsine.a + (kw * kw / big + g1 * g2 * big));
    const V odd = HALF_PI_INVERSE * (arcsine.a + (k / big) * (1 / (big * big) + i1 + i2));

    y->d = vratio(difference, y->s1 + y->s2);
    y->minus = pick(opposite, z.minus + (real)0.5 * k, z.minus);
    y->plus = pick(opposite, z.minus + 2 * even, y->s1 * y->s2 + (even + (real)0.25 * k));
    *dot = (real)0.25 + pick(opposite, -odd, odd);
}

NTK_NEAR_LOOPS(gelu, near_point)

ntk_near_fn NTK_NEAR_SYMBOL(gelu), NTK_NEAR_SYMBOL(series);
void NTK_NEAR_SYMBOL(gelu)(const struct ntk_near_args *p)
{
    if (*p->par > 0)
        NTK_NEAR_SYMBOL(series)(p);
    else
        gelu_near_loops(p);
}

#endif

#else

#include <math.h>

#include "simd/polynomials.h"

struct gelu {
    bool approximate;
};

static const struct ntk_param params[] = {
    {"approximate", NTK_TYPE_BOOL, offsetof(struct gelu, approximate), "False", 0, 0, false, NULL,
     "True: the approximation x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2"},
    {0},
};

static ntk_status set_tanh(void *self, const struct ntk_where *at)
{
    struct gelu *p = self;

    (void)at;
    p->approximate = true;
    return NTK_OK;
}

static double f(const void *self, double x)
{
    const struct gelu *p = self;

    if (p->approximate)
        return 0.5 * x * (1 + tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
    return 0.5 * x * erfc(-x * M_SQRT1_2);
}

static double df(const void *self, double x)
{
    const struct gelu *p = self;

    if (p->approximate) {
        const double t = tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x));
        const double slope = M_2_SQRTPI * M_SQRT1_2 * (1 + 3 * 0.044715 * x * x);
        return 0.5 * (1 + t) + 0.5 * x * slope * (1 - t) * (1 + t);
    }
    return 0.5 * erfc(-x * M_SQRT1_2) + 0.5 * x * M_2_SQRTPI * M_SQRT1_2 * exp(-0.5 * x * x);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct gelu *p = self;

    dual->sides = 2;
    dual->par[0] = p->approximate;
    if (p->approximate)
        return ntk_series_setup(f, df, self, at, range, dual);
    ntk_near_from(dual, range, pow(ntk_near_steep(range) / 0.4, 2));
    return ntk_dual_largest(at, range, range->q_max, dual);
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    const struct gelu *p = self;

    if (p->approximate) {
        ntk_series_side(self, dual, q, s);
        return;
    }
    s[0] = 1 / sqrt(1 + q);
    s[1] = q * s[0];
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct gelu *p = self;
    const double r2 = 1 + 2 * q, r = sqrt(r2), angle = atan2(q, r);

    if (p->approximate) {
        ntk_series_moments(self, dual, q, ff, dd);
        return;
    }
    *ff = q * ((q / ((1 + q) * r) + angle / 2) * M_1_PI + 0.25);
    *dd = ((1 / r2 + 2 / (1 + q)) * q / r + angle) * M_1_PI / 2 + 0.25;
}

static bool swept(const void *self) { return !((const struct gelu *)self)->approximate; }

static bool make_fold(const void *self, ntk_dtype dtype, double factor, struct ntk_fold *fold)
{
    const double scale = factor * M_1_PI / 2;

    (void)self;
    if (!(scale > 0x1p-40 && scale < 0x1p40))
        return false;
    *fold = (struct ntk_fold){.factor = factor, .side = {1, scale}};
    fold->par[FOLD_HALF_PI_INVERSE] = scale;
    fold->par[FOLD_QUARTER] = factor / 4;
    for (int k = 0; k <= (dtype == NTK_F32 ? ARCSINE_COSINE_F32 : ARCSINE_COSINE_F64); k++)
        fold->par[FOLD_P + k] = scale * (dtype == NTK_F32 ? arcsine_cosine_f32 : arcsine_cosine_f64)[k];
    return true;
}

static const struct ntk_activation gelu = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Gelu",
             .summary = "x Phi(x), Phi the distribution function of N(0, 1)",
             .formula = "E[f f] = ((k^2 + q q' r^2)/(m r) + k t)/(2 pi) + k/4, "
                        "m = (1 + q)(1 + q'), r = sqrt(m - k^2), t = atan2(k, r)",
             .source = "Tsuchida et al. 2021, Proposition 3",
             .cost = "approximate=True: 10 to 200 terms of a Hermite series",
             .params = params,
             .size = sizeof(struct gelu)},
    .f = f,
    .df = df,
    .dual = NTK_DUAL_gelu,
    .setup = setup,
    .side = side,
    .moments = moments,
    .near_side = ntk_series_near_side,
    .swept = swept,
    .fold = make_fold,
    .finish = ntk_series_finish,
};

static const struct ntk_activation gelu_tanh = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Gelu_tanh",
             .summary = "Gelu(approximate=True)",
             .formula = NTK_SERIES_FORMULA,
             .source = NTK_SERIES_SOURCE,
             .cost = NTK_SERIES_COST,
             .size = sizeof(struct gelu),
             .check = set_tanh},
    .f = f,
    .df = df,
    .dual = NTK_DUAL_gelu,
    .setup = setup,
    .side = side,
    .moments = moments,
    .near_side = ntk_series_near_side,
    .swept = swept,
    .fold = make_fold,
    .finish = ntk_series_finish,
};

const struct ntk_activation *const ntk_activations_gelu[] = {&gelu, &gelu_tanh, NULL};

#endif
