/* SPDX-License-Identifier: MIT
 *
 * Gaussian: f(x) = a exp(b x^2), b usually negative.
 *
 * With i = 1 / sqrt(1 - 2 b q), w = i i', x = 2 |b| k w, y = 1 - x^2 (Gaussian integrals):
 *     F = a^2 w / sqrt(y)
 *     D = a^2 2 |b| x w^2 / y^(3/2)
 * |k| <= s s' bounds y from below by i^2 + i'^2 - w^2. For b > 0 the moments exist while 4 b q < 1.
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "activations/dual.h"

/* side: i; par: 2 |b|, a^2, b */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V w = a[0] * b[0], x = par[0] * (k * a[0] * b[0]);
    const V y = vmax((1 - x) * (1 + x), a[0] * a[0] + b[0] * b[0] - w * w);

    *f = par[1] * w / vsqrt(y);
    *d = *f * (par[0] * w) * (x / y);
}
NTK_DUAL(gaussian, 1, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* With m = 1 - 4 b q: F = a^2 / sqrt(M), s'^2 = a^2 / sqrt(m), where
 *     M = e (1 + g),  e = 1 - 2 b (q + q'),  g = 4 b^2 minus plus / e,
 *     M^2 - m m' = 4 b^2 (q - q')^2 + e^2 g (2 + g)
 * M may be no number, but its root is. */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const real b = par[2], c = par[0];
    const V q1 = x->s1 * x->s1, q2 = x->s2 * x->s2, dq = x->d * (x->s1 + x->s2);
    const V m1 = vsqrt(1 - 4 * b * q1), m2 = vsqrt(1 - 4 * b * q2), n = m1 * m2;
    const V e = 1 - 2 * b * (q1 + q2), root_e = vsqrt(e), step = c * dq / e;
    const V g = (c * x->minus / root_e) * (c * x->plus / root_e), sum = 1 + g + n / e;
    const V more = step * (step / (1 + g) / sum) + g / (1 + g) * ((2 + g) / sum); /* (M - n) / M */
    const V root_m = root_e * vsqrt(1 + g), root_n = vsqrt(n), f = par[1] / root_m;

    y->minus = par[1] * more * (root_m / (root_m + root_n)) / root_n;
    y->plus = y->s1 * y->s2 + f;
    y->d = vratio(par[1] * (4 * b) * (dq / n / (m1 + m2)), y->s1 + y->s2);
    *dot = f * (c * near_value(x) / root_m) * (c / root_m);
}
NTK_NEAR(gaussian, near_point)

#endif

#else

#include <math.h>

struct gaussian {
    double a, b;
};

static const struct ntk_param params[] = {
    {"a", NTK_TYPE_NUMBER, offsetof(struct gaussian, a), "1.0", -1e6, 1e6, false, NULL,
     "factor of the function, -1e6 to 1e6"},
    {"b", NTK_TYPE_NUMBER, offsetof(struct gaussian, b), "-1.0", -1e6, 1e6, false, NULL,
     "factor of x^2, -1e6 to 1e6; if positive, variances must stay below 1/(4 b)"},
    {0},
};

static double f(const void *self, double x)
{
    const struct gaussian *p = self;
    return p->a * exp(p->b * x * x);
}

static double df(const void *self, double x)
{
    const struct gaussian *p = self;
    return 2 * p->a * p->b * x * exp(p->b * x * x);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct gaussian *p = self;
    const double n = ntk_near_steep(range) / 6;

    if (4 * p->b * range->q_max >= 1)
        return ntk_fail_at(at, NTK_ENUMERIC,
                           "exp(%g x^2) has no second moment at variance %g: it must stay below %g",
                           p->b, range->q_max, 1 / (4 * p->b));
    dual->takes = p->b > 0 ? range->q_max : dual->takes;
    dual->sides = 1;
    dual->par[0] = 2 * fabs(p->b);
    dual->par[1] = p->a * p->a;
    dual->par[2] = p->b;
    /* 12 (b q)^2 / (1 - 4 b q) is that steep */
    ntk_near_from(dual, range, (sqrt(n * n + n / 2) - (p->b < 0 ? -n : n)) / fabs(p->b));
    return ntk_dual_largest(at, range, -2 * p->b * range->q_max, dual);
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    const struct gaussian *p = self;

    (void)dual;
    s[0] = 1 / sqrt(1 - 2 * p->b * q);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct gaussian *p = self;
    const double y = 1 - 4 * p->b * q;

    *ff = dual->par[1] / sqrt(y);
    *dd = *ff * (4 * p->b * p->b) * (q / y);
}

static const struct ntk_activation gaussian = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Gaussian",
             .summary = "a exp(b x^2)",
             .formula = "E[f f] = a^2/sqrt(m), m = (1 - 2 b q)(1 - 2 b q') - 4 b^2 k^2;  "
                        "E[f' f'] = 4 a^2 b^2 k/m^(3/2)",
             .source = "Williams 1997, section 3.2",
             .params = params,
             .size = sizeof(struct gaussian)},
    .f = f,
    .df = df,
    .dual = NTK_DUAL_gaussian,
    .setup = setup,
    .side = side,
    .moments = moments,
};

const struct ntk_activation *const ntk_activations_gaussian[] = {&gaussian, NULL};

#endif
