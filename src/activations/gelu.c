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

#ifdef NTK_REAL

#include "simd/dual.h"

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

#else

#include <math.h>

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
    return p->approximate ? ntk_series_setup(f, df, self, at, range, dual) : NTK_OK;
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
    .finish = ntk_series_finish,
};

const struct ntk_activation *const ntk_activations_gelu[] = {&gelu, &gelu_tanh, NULL};

#endif
