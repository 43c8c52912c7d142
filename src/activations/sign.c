/* SPDX-License-Identifier: MIT
 *
 * Sign: f(x) = -1, 0, 1.  F = (2 / pi) asin(rho); D = 0, as f' is 0 almost everywhere (dF/dk is
 * something else, because f jumps).
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "activations/dual.h"

/* side: 1 / sqrt(q), 0 if q is 0 */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V rho = k * (a[0] * b[0]), x = vsign(vmin(vabs(rho), splat(1)), rho);

    (void)par;
    *f = (real)0.63661977236758134308 * vangle(x, vsqrt((1 - x) * (1 + x)));
    *d = splat(0);
}
NTK_DUAL(sign, 1, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const struct near_angle t = near_angle(x);
    const V p = y->s1 * y->s2 * (2 / NTK_PI); /* 0 where a variance is 0 */

    (void)par;
    y->minus = p * t.t;
    y->plus = p * t.rest;
    y->d = y->s1 - y->s2;
    *dot = splat(0);
}
NTK_NEAR(sign, near_point)

#endif

#else

#include <math.h>

static double f(const void *self, double x)
{
    (void)self;
    return (x > 0) - (x < 0);
}

static double df(const void *self, double x)
{
    (void)self, (void)x;
    return 0;
}

static int kinks(const void *self, double at[4])
{
    (void)self;
    at[0] = 0;
    return 1;
}

static int degree(const void *self)
{
    (void)self;
    return 0;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    (void)self, (void)at;
    ntk_near_all(dual, range, HUGE_VAL);
    dual->sides = 1;
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self, (void)dual;
    s[0] = ntk_inverse_root(q);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    (void)self, (void)dual;
    *ff = q >= DBL_MIN;
    *dd = 0;
}

static const struct ntk_activation sign = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Sign",
             .summary = "-1, 0 or 1",
             .formula = "E[f f] = (2/pi) asin(k/sqrt(q q'));  E[f' f'] = 0",
             .source = "Cho and Saul 2009, eq. 6"},
    .f = f,
    .df = df,
    .degree = degree,
    .kinks = kinks,
    .dual = NTK_DUAL_sign,
    .setup = setup,
    .side = side,
    .moments = moments,
};

const struct ntk_activation *const ntk_activations_sign[] = {&sign, NULL};

#endif
