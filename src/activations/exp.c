/* SPDX-License-Identifier: MIT
 *
 * Exp: f(x) = a exp(b x).  F = a^2 exp(b^2 (q + q') / 2 + b^2 k),  D = b^2 F.
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "activations/dual.h"

/* side: |a| exp(b^2 q / 2); par: b^2 */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    *f = a[0] * vexp(par[0] * k) * b[0];
    *d = par[0] * *f;
}
NTK_DUAL(exp, 1, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* F = s1' s2' exp(-b^2 (d^2 / 2 + minus)) */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const V p = y->s1 * y->s2, less = vexpm1(-par[0] * ((real)0.5 * x->d * x->d + x->minus));
    const V step =
        vexpm1(-par[0] * vabs(x->d) * (x->s1 + x->s2)); /* |s1' - s2'| / the larger, times -1 */

    y->minus = -p * less;
    y->plus = p * (2 + less);
    y->d = vsign(step, x->d) * vmax(y->s1, y->s2);
    *dot = par[0] * (p * (1 + less));
}
NTK_NEAR(exp, near_point)

#endif

#else

#include <float.h>
#include <math.h>

struct exponential {
    double a, b;
};

static const struct ntk_param params[] = {
    {"a", NTK_TYPE_NUMBER, offsetof(struct exponential, a), "1.0", -1e6, 1e6, false, NULL,
     "factor of the function, -1e6 to 1e6"},
    {"b", NTK_TYPE_NUMBER, offsetof(struct exponential, b), "1.0", -1e6, 1e6, false, NULL,
     "factor of its argument, -1e6 to 1e6"},
    {0},
};

static double f(const void *self, double x)
{
    const struct exponential *p = self;
    return p->a * exp(p->b * x);
}

static double df(const void *self, double x)
{
    const struct exponential *p = self;
    return p->a * p->b * exp(p->b * x);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct exponential *p = self;

    (void)dual;
    *ff = p->a * p->a * exp(2 * p->b * p->b * q);
    *dd = p->b * p->b * *ff;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct exponential *p = self;
    double ff, dd;

    moments(self, dual, range->q_max, &ff, &dd);
    if (!(ff < DBL_MAX && dd < DBL_MAX))
        return ntk_fail_at(at, NTK_ENUMERIC, "E[(%g exp(%g u))^2] overflows float64 at variance %g",
                           p->a, p->b, range->q_max);
    ntk_near_from(dual, range, ntk_near_steep(range) / (p->b * p->b));
    dual->takes = range->q_max;
    dual->sides = 1;
    dual->par[0] = p->b * p->b;
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    const struct exponential *p = self;

    s[0] = fabs(p->a) * exp(dual->par[0] * q / 2);
}

static const struct ntk_activation exponential = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Exp",
             .summary = "a exp(b x)",
             .formula = "E[f f] = a^2 exp(b^2 ((q+q')/2 + k));  E[f' f'] = b^2 E[f f]",
             .source = "moment generating function of a Gaussian",
             .params = params,
             .size = sizeof(struct exponential)},
    .f = f,
    .df = df,
    .dual = NTK_DUAL_exp,
    .setup = setup,
    .side = side,
    .moments = moments,
};

const struct ntk_activation *const ntk_activations_exp[] = {&exponential, NULL};

#endif
