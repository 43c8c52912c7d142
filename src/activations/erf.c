/* SPDX-License-Identifier: MIT
 *
 * Erf: f(x) = a erf(b x) + c, and Sigmoid_like, the one closest to the logistic function.
 *
 * With g = 2 b^2 q, i = 1 / sqrt(1 + g) and x = 2 b^2 k i i' (Williams 1997):
 *     F = (2 a^2 / pi) asin(x) + c^2
 *     D = (4 a^2 b^2 / pi) i i' / sqrt(1 - x^2)
 * |k| <= s s' bounds 1 - x^2 from below by i^2 + i'^2 - i^2 i'^2, which keeps it off zero where
 * rounding would not.
 */
#include "activations/activation.h"

/* A fold: F is x P(c), P the polynomial of asin(x) / x, and D a multiple of w / c. As 1 - x^2 >= i^2 + i'^2 - w^2 >= w, the
 * bound is w. */
enum { FOLD_BOUND, FOLD_SLOPE, FOLD_CONSTANT, FOLD_P };

#ifdef NTK_REAL

#include "activations/sweep.h"

/* side: i; par: 2 b^2, 2 a^2 / pi, c^2, 4 a^2 b^2 / pi */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V w = a[0] * b[0], x = par[0] * (k * a[0] * b[0]);
    const V c = vsqrt(vmax((1 - x) * (1 + x), a[0] * a[0] + b[0] * b[0] - w * w));

    *f = par[1] * vangle(x, c) + par[2];
    *d = par[3] * w / c;
}
NTK_DUAL(erf, 1, point)
NTK_SWEEP_POINT(erf, 1, point)

/* With 2 b^2 in w. */
NTK_INLINE void fold_begin(int n, size_t j, const struct sweep_sides *s, const real *c, struct sweep_half *h)
{
    SWEEP_EACH(m, n) {
        const V w = sweep_sides_product(s, 0, j + (size_t)m), x = h->k[m] * w, v = c[FOLD_BOUND] * w;

        h->x[m] = x;
        h->t[m] = vsqrt(vmax(1 - x * x, v * (2 - v)));
        h->u[m] = c[FOLD_SLOPE] * w / h->t[m];
    }
}
NTK_INLINE void fold_end(int n, size_t j, const struct sweep_sides *s, const real *c, const struct sweep_half *h, V *f, V *d)
{
    V p[SWEEP_BLOCK];

    (void)j, (void)s;
    sweep_polynomial(n, h->t, c + FOLD_P, IS_F32 ? ARCSINE_COSINE_F32 : ARCSINE_COSINE_F64, p);
    SWEEP_EACH(m, n) {
        f[m] = h->x[m] * p[m] + c[FOLD_CONSTANT];
        d[m] = h->u[m];
    }
}
NTK_SWEEP_LOOPS(fold)
NTK_SWEEP(erf, fold)

#ifdef NTK_IS_F64

#include "activations/near_arcsine.h"

NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const struct near_arcsine r = near_arcsine(x, par[0]);
    const real root = __builtin_sqrt(par[1]), c = __builtin_sqrt(par[2]);
    const V a[] = {root * vsqrt(r.a1), splat(c)}, b[] = {root * vsqrt(r.a2), splat(c)};
    const V e[] = {vratio(par[1] * r.difference, a[0] + b[0]), splat(0)};

    y->minus = par[1] * r.minus;
    y->plus = par[1] * r.plus + 2 * par[2];
    near_join(2, a, b, e, y);
    y->d = vratio(par[1] * r.difference, y->s1 + y->s2);
    *dot = par[3] / r.root;
}
NTK_NEAR(erf, near_point)

#endif

#else

#include <math.h>

#include "simd/polynomials.h"

struct erf {
    double a, b, c;
};

static const struct ntk_param erf_params[] = {
    {"a", NTK_TYPE_NUMBER, offsetof(struct erf, a), "1.0", -1e6, 1e6, false, NULL,
     "factor of the function, -1e6 to 1e6"},
    {"b", NTK_TYPE_NUMBER, offsetof(struct erf, b), "1.0", -1e6, 1e6, false, NULL,
     "factor of its argument, -1e6 to 1e6"},
    {"c", NTK_TYPE_NUMBER, offsetof(struct erf, c), "0.0", -1e6, 1e6, false, NULL,
     "constant added to it, -1e6 to 1e6"},
    {0},
};

static ntk_status set_sigmoid_like(void *self, const struct ntk_where *at)
{
    struct erf *p = self;

    (void)at;
    p->a = 0.5;
    p->b = 1 / 2.4020563531719796; /* neural-tangents' fit to the logistic function */
    p->c = 0.5;
    return NTK_OK;
}

static double f(const void *self, double x)
{
    const struct erf *p = self;
    return p->a * erf(p->b * x) + p->c;
}

static double df(const void *self, double x)
{
    const struct erf *p = self;
    return p->a * p->b * M_2_SQRTPI * exp(-p->b * p->b * x * x);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct erf *p = self;
    const double a2 = p->a * p->a, b2 = p->b * p->b;

    ntk_near_from(dual, range, ntk_near_steep(range) / b2);
    dual->sides = 1;
    dual->par[0] = 2 * b2;
    dual->par[1] = a2 * M_2_PI;
    dual->par[2] = p->c * p->c;
    dual->par[3] = 2 * a2 * b2 * M_2_PI;
    return ntk_dual_largest(at, range, 2 * b2 * range->q_max, dual);
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self;
    s[0] = 1 / sqrt(1 + dual->par[0] * q);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const double g = dual->par[0] * q, r = sqrt(1 + 2 * g);

    (void)self;
    *ff = dual->par[1] * atan2(g, r) + dual->par[2];
    *dd = dual->par[3] / r;
}

static bool make_fold(const void *self, ntk_dtype dtype, double factor, struct ntk_fold *fold)
{
    const struct erf *p = self;
    const double two = 2 * p->b * p->b, scale = factor * p->a * p->a * M_2_PI;

    if (!(two > 0x1p-40 && two < 0x1p40 && scale > 0x1p-40 && scale < 0x1p40))
        return false;
    *fold = (struct ntk_fold){.factor = factor, .side = {two}};
    fold->par[FOLD_BOUND] = 1 / two;
    fold->par[FOLD_SLOPE] = scale;
    fold->par[FOLD_CONSTANT] = factor * p->c * p->c;
    for (int k = 0; k <= (dtype == NTK_F32 ? ARCSINE_COSINE_F32 : ARCSINE_COSINE_F64); k++)
        fold->par[FOLD_P + k] = scale * (dtype == NTK_F32 ? arcsine_cosine_f32 : arcsine_cosine_f64)[k];
    return true;
}

#define ERF(name_, summary_, where_, params_, check_)                                              \
    {                                                                                              \
        .base = {.kind = NTK_CLASS_ACTIVATION,                                                     \
                 .name = name_,                                                                    \
                 .summary = summary_,                                                              \
                 .formula = "E[f f] = (2 a^2/pi) asin(2 b^2 k/sqrt((1 + 2 b^2 q)(1 + 2 b^2 q'))) " \
                            "+ c^2;  E[f' f'] = (4 a^2 b^2/pi)/sqrt((1 + 2 b^2 q)"                 \
                            "(1 + 2 b^2 q') - 4 b^4 k^2)" where_,                                  \
                 .source = "Williams 1997, eq. 11",                                                \
                 .params = params_,                                                                \
                 .size = sizeof(struct erf),                                                       \
                 .check = check_},                                                                 \
        .f = f, .df = df, .dual = NTK_DUAL_erf, .setup = setup, .side = side, .moments = moments,  \
        .fold = make_fold,                                                                         \
    }

static const struct ntk_activation erf_ = ERF("Erf", "a erf(b x) + c", "", erf_params, NULL);
static const struct ntk_activation sigmoid_like =
    ERF("Sigmoid_like", "erf(x / 2.402) / 2 + 1/2, close to the logistic function",
        ";  a = c = 1/2, b = 1/2.402", NULL, set_sigmoid_like);

const struct ntk_activation *const ntk_activations_erf[] = {&erf_, &sigmoid_like, NULL};

#endif
