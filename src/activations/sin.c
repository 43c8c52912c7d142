/* SPDX-License-Identifier: MIT
 *
 * Sin: f(x) = a sin(b x + c); Cos is Sin(c + pi / 2), Rbf(gamma) is sqrt(2) sin(sqrt(2 gamma) x +
 * pi / 4), the random features of a Gaussian kernel (Rahimi and Recht 2007).
 *
 * With x = b^2 k, h = b^2 (q + q') / 2 >= |x|:
 *     F = a^2     e^-h (sin^2(c) cosh x + cos^2(c) sinh x)
 *     D = a^2 b^2 e^-h (sin^2(c) sinh x + cos^2(c) cosh x)
 * Written with exp(|x| - h) and expm1(-2 |x|) the hyperbolic functions neither overflow nor cancel.
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "activations/dual.h"

/* side: b^2 q / 2; par: b^2, a^2 sin^2 c, a^2 cos^2 c */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V x = par[0] * k, size = vabs(x);
    const V m = vexpm1(-2 * size), half = (real)0.5 * vexp(vmin(size - (a[0] + b[0]), splat(0)));
    const V even = half * (2 + m), odd = vsign(half * m, x);

    *f = par[1] * even + par[2] * odd;
    *d = par[0] * (par[1] * odd + par[2] * even);
}
NTK_DUAL(sin, 1, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* sqrt(S1 S2) - S of sinh(z) = z S(z^2), S1 at q1, S2 at q2, S at sqrt(q1 q2), none above 1. */
NTK_INLINE V near_sinh(V q1, V q2, V dq)
{
    static const real c[] = {1.0,          1.0 / 6,           1.0 / 120,           1.0 / 5040,
                             1.0 / 362880, 1.0 / 39916800.0, 1.0 / 6227020800.0, 1.0 / 1307674368000.0};
    const V v1 = q1 * q1, v2 = q2 * q2, v = q1 * q2;
    V s = splat(0), slope1 = splat(0), slope2 = splat(0); /* divided differences between v and v1, v2 */

    NTK_UNROLL
    for (int i = NTK_COUNT(c) - 1; i >= 0; i--) {
        slope1 = slope1 * v1 + s;
        slope2 = slope2 * v2 + s;
        s = s * v + c[i];
    }
    const V s1 = q1 * dq * slope1, s2 = -q2 * dq * slope2;
    return (s * (s1 + s2) + s1 * s2) / (vsqrt((s + s1) * (s + s2)) + s);
}

/* With A, B = a^2 (sin^2 c +- cos^2 c) / 2, p, m = b^2 (d^2 / 2 + minus or plus), r = exp(-b^2 q):
 *     F = A e^-p + B e^-m,   s'^2 = A + B r^2,   r r' = e^(-p - m)
 *     s1' s2' - F = (1 - e^-p) (A - B e^-m) + (s1' s2' - A - B r r')
 * where the last bracket is A B (r - r')^2 / (s1' s2' + A + B r r'), and A - B = a^2 cos^2 c. Of a sine
 * without phase, homogeneous at small variances, it cancels the first part of 1 - e^-p; there
 *     s1' s2' - F = a^2 e^-h (s1 s2 (sqrt(S1 S2) - S) + sinh(b^2 s1 s2) - sinh(b^2 k)) */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const V square = (real)0.5 * x->d * x->d, q1 = par[0] * x->s1 * x->s1, q2 = par[0] * x->s2 * x->s2;
    const V p = vexpm1(-par[0] * (square + x->minus)), m = vexpm1(-par[0] * (square + x->plus));
    const V r1 = vexp(-q1), r2 = vexp(-q2), dq = par[0] * vabs(x->d) * (x->s1 + x->s2);
    const V step = vsign(vexpm1(-dq), x->d) * vmax(r1, r2); /* r' - r */
    const real a = (par[1] + par[2]) / 2, b = (par[1] - par[2]) / 2;
    const V more = vratio(a * b * step * step, y->s1 * y->s2 + par[1] + b * vexpm1(-q1 - q2));
    const V minus = more - p * (par[2] - b * m), plus = more + (2 + p) * (par[1] + b * m);

    /* the smaller one, in units of b^-2 */
    const V gap = par[0] * vmin(x->minus, x->plus), whole = vsqrt(q1) * vsqrt(q2);
    const V half = vexpm1((real)0.5 * gap), rise = half + half / (1 + half); /* 2 sinh(gap / 2) */
    const V at = vexpm1(whole - (real)0.5 * gap), twice_cosh = 2 + at * at / (1 + at);
    const V less = par[2] * vexp((real)-0.5 * (q1 + q2)) *
                   (whole * near_sinh(q1, q2, vsign(dq, x->d)) + (real)0.5 * rise * twice_cosh);
    const V far = 2 * y->s1 * y->s2 - less;
    const V k = par[0] * near_value(x), e = vexpm1(-2 * vabs(k)); /* F, if norms are very different */
    const V scale = (real)0.5 * vexp(vmin(vabs(k) - (real)0.5 * (q1 + q2), splat(0)));
    const V f = scale * (par[1] * (2 + e) - vsign(par[2] * e, -k));
    const M steep = vmax(q1, q2) >= 1, small = ~steep & (splat(par[1]) <= (real)0x1p-60 * par[2]);
    const M opposite = x->plus < x->minus;

    const M apart = steep & (4 * vabs(x->d) > x->s1 + x->s2);

    y->minus = pick(apart, y->s1 * y->s2 - f, pick(small, pick(opposite, far, less), minus));
    y->plus = pick(apart, y->s1 * y->s2 + f, pick(small, pick(opposite, less, far), plus));
    y->d = vratio(-b * step * (r1 + r2), y->s1 + y->s2);
    *dot = par[0] * (a * (1 + p) - b * (1 + m));
}
NTK_NEAR(sin, near_point)

#endif

#else

#include <math.h>

struct sine {
    double a, b, c;
    double gamma;      /* Rbf's only parameter */
    double sin2, cos2; /* a^2 sin^2 c and a^2 cos^2 c, exact where they are 0 */
};

#define WAVE_PARAMS                                  \
    {                                                \
        {"a",                                        \
         NTK_TYPE_NUMBER,                            \
         offsetof(struct sine, a),                   \
         "1.0",                                      \
         -1e6,                                       \
         1e6,                                        \
         false,                                      \
         NULL,                                       \
         "factor of the function, -1e6 to 1e6"},     \
            {"b",                                    \
             NTK_TYPE_NUMBER,                        \
             offsetof(struct sine, b),               \
             "1.0",                                  \
             -1e6,                                   \
             1e6,                                    \
             false,                                  \
             NULL,                                   \
             "factor of its argument, -1e6 to 1e6"}, \
            {"c",                                    \
             NTK_TYPE_NUMBER,                        \
             offsetof(struct sine, c),               \
             "0.0",                                  \
             -1e6,                                   \
             1e6,                                    \
             false,                                  \
             NULL,                                   \
             "phase in radians, -1e6 to 1e6"},       \
            {0},                                     \
    }
static const struct ntk_param wave_params[] = WAVE_PARAMS;
static const struct ntk_param rbf_params[] = {
    {"gamma", NTK_TYPE_NUMBER, offsetof(struct sine, gamma), "1.0", 0, 1e6, false, NULL,
     "E[f f] = exp(-gamma (q + q' - 2 k)), 0 to 1e6"},
    {0},
};

static ntk_status set_sin(void *self, const struct ntk_where *at)
{
    struct sine *p = self;

    (void)at;
    p->sin2 = p->a * p->a * sin(p->c) * sin(p->c);
    p->cos2 = p->a * p->a * cos(p->c) * cos(p->c);
    return NTK_OK;
}

static ntk_status set_cos(void *self, const struct ntk_where *at)
{
    struct sine *p = self;

    (void)at;
    p->sin2 = p->a * p->a * cos(p->c) * cos(p->c);
    p->cos2 = p->a * p->a * sin(p->c) * sin(p->c);
    return NTK_OK;
}

static ntk_status set_rbf(void *self, const struct ntk_where *at)
{
    struct sine *p = self;

    (void)at;
    p->a = M_SQRT2;
    p->b = sqrt(2 * p->gamma);
    p->c = M_PI_4;
    p->sin2 = p->cos2 = 1;
    return NTK_OK;
}

static double f(const void *self, double x)
{
    const struct sine *p = self;
    return p->a * sin(p->b * x + p->c);
}

static double df(const void *self, double x)
{
    const struct sine *p = self;
    return p->a * p->b * cos(p->b * x + p->c);
}

static double f_cos(const void *self, double x)
{
    const struct sine *p = self;
    return p->a * cos(p->b * x + p->c);
}

static double df_cos(const void *self, double x)
{
    const struct sine *p = self;
    return -p->a * p->b * sin(p->b * x + p->c);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct sine *p = self;

    ntk_near_from(dual, range, ntk_near_steep(range) / (p->b * p->b));
    dual->sides = 1;
    dual->par[0] = p->b * p->b;
    dual->par[1] = p->sin2;
    dual->par[2] = p->cos2;
    return ntk_dual_largest(at, range, p->b * p->b * range->q_max, dual);
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self;
    s[0] = dual->par[0] * q / 2;
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const double b2 = dual->par[0], m = expm1(-2 * b2 * q), even = (2 + m) / 2, odd = -m / 2;

    (void)self;
    *ff = dual->par[1] * even + dual->par[2] * odd;
    *dd = b2 * (dual->par[1] * odd + dual->par[2] * even);
}

#define SINE(name_, summary_, params_, check_, f_, df_, formula_, source_)      \
    {                                                                           \
        .base = {.kind = NTK_CLASS_ACTIVATION,                                  \
                 .name = name_,                                                 \
                 .summary = summary_,                                           \
                 .formula = formula_,                                           \
                 .source = source_,                                             \
                 .params = params_,                                             \
                 .size = sizeof(struct sine),                                   \
                 .check = check_},                                              \
        .f = f_, .df = df_, .dual = NTK_DUAL_sin, .setup = setup, .side = side, \
        .moments = moments,                                                     \
    }

static const struct ntk_activation sin_ =
    SINE("Sin", "a sin(b x + c)", wave_params, set_sin, f, df,
         "E[f f] = a^2 e^(-b^2 (q+q')/2) (sin(c)^2 cosh(b^2 k) + cos(c)^2 sinh(b^2 k));  "
         "E[f' f'] = b^2 times the same with sinh and cosh exchanged",
         "Pearce et al. 2019");
static const struct ntk_activation cos_ =
    SINE("Cos", "a cos(b x + c)", wave_params, set_cos, f_cos, df_cos,
         "E[f f] = a^2 e^(-b^2 (q+q')/2) (cos(c)^2 cosh(b^2 k) + sin(c)^2 sinh(b^2 k));  "
         "E[f' f'] = b^2 times the same with sinh and cosh exchanged",
         "Pearce et al. 2019");
static const struct ntk_activation rbf = SINE(
    "Rbf", "sqrt(2) sin(sqrt(2 gamma) x + pi/4): its covariance is a Gaussian kernel", rbf_params,
    set_rbf, f, df, "E[f f] = exp(-gamma (q + q' - 2 k));  E[f' f'] = 2 gamma E[f f]",
    "Rahimi and Recht 2007");

const struct ntk_activation *const ntk_activations_sin[] = {&sin_, &cos_, &rbf, NULL};

#endif
