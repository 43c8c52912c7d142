/* SPDX-License-Identifier: MIT
 *
 * ABRelu: f(x) = a min(x, 0) + b max(x, 0), and its special cases Relu, LeakyRelu, Abs.
 *
 * f(x) = (b - a) max(x, 0) + a x, and E[max(u, 0) v] = k / 2. With rho = k / (s s'), s = sqrt(q),
 * and the arc-cosine kernels R = E[u+ v+], P = P(u > 0, v > 0) of unit variances (Cho, Saul 2009):
 *     F = ((b - a)^2 R(rho) + a b rho) s s'
 *     D =  (b - a)^2 P(rho) + a b
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "activations/sweep.h"

/* sides: s, 1 / s (0 where s is 0, which makes rho 0); par: (b - a)^2, a b */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V rho = k * (a[1] * b[1]);
    V r, p;

    vorthant(rho, &r, &p);
    *f = (par[0] * r + par[1] * rho) * (a[0] * b[0]);
    *d = par[0] * p + par[1];
}
NTK_DUAL(abrelu, 2, point)

/* a b = 0 (Relu): without the factor (b - a)^2 / 2 */
NTK_INLINE void bare(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    (void)par;
    vorthant2(k * (a[1] * b[1]), f, d);
    *f *= a[0] * b[0];
}
NTK_SWEEP(abrelu, 2, point, bare, par[1] == 0, par[0] / 2)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* 2 pi R = sin t + (pi - t) cos t = pi cos t + arc(t) = arc(pi - t), arc(t) = sin t - t cos t: the
 * first for small t, the second for small pi - t, where Abs has minus near 0 again */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const struct near_angle t = near_angle(x);
    const V p = x->s1 * x->s2, half = splat(par[0] / 2), cosine = (real)0.5 * (t.plus - t.minus);
    const V arc = near_arc(t.t, t.sine, cosine), rest = near_arc(t.rest, t.sine, -cosine);

    const V close = half * (t.minus - arc / NTK_PI) + par[1] * t.minus;
    const V opposite = (half + 2 * par[1]) - par[1] * t.plus - half * (rest / NTK_PI);

    y->minus = p * pick(t.minus < t.plus, close, opposite);
    y->plus = p * (half * (1 + rest / NTK_PI) + par[1] * t.plus);
    y->d = x->d * __builtin_sqrt(par[0] / 2 + par[1]);
    *dot = par[0] * (t.rest / (2 * NTK_PI)) + par[1];
}
NTK_NEAR(abrelu, near_point)

#endif

#else

#include <math.h>

struct abrelu {
    double a, b; /* slopes below and above 0 */
    bool do_stabilize;
};

#define STABILIZE                                                                            \
    {                                                                                        \
        "do_stabilize", NTK_TYPE_BOOL, offsetof(struct abrelu, do_stabilize), "False", 0, 0, \
            false, NULL,                                                                     \
            "accepted for neural-tangents' sake; the computation is stable without it"       \
    }
#define SLOPE(name, field, doc)                                                                  \
    {                                                                                            \
        name, NTK_TYPE_NUMBER, offsetof(struct abrelu, field), NULL, -1e6, 1e6, false, NULL, doc \
    }

static const struct ntk_param abrelu_params[] = {
    SLOPE("a", a, "slope for x < 0, -1e6 to 1e6"),
    SLOPE("b", b, "slope for x > 0, -1e6 to 1e6"),
    STABILIZE,
    {0},
};
static const struct ntk_param leaky_params[] = {
    SLOPE("alpha", a, "slope for x < 0, -1e6 to 1e6"),
    STABILIZE,
    {0},
};
static const struct ntk_param relu_params[] = {STABILIZE, {0}};

static ntk_status set_relu(void *self, const struct ntk_where *at)
{
    struct abrelu *p = self;

    (void)at;
    p->a = 0;
    p->b = 1;
    return NTK_OK;
}

static ntk_status set_leaky(void *self, const struct ntk_where *at)
{
    struct abrelu *p = self;

    (void)at;
    p->b = 1;
    return NTK_OK;
}

static ntk_status set_abs(void *self, const struct ntk_where *at)
{
    struct abrelu *p = self;

    (void)at;
    p->a = -1;
    p->b = 1;
    return NTK_OK;
}

static double f(const void *self, double x)
{
    const struct abrelu *p = self;
    return (x < 0 ? p->a : p->b) * x;
}

static double df(const void *self, double x)
{
    const struct abrelu *p = self;
    return x < 0   ? p->a
           : x > 0 ? p->b
                   : (p->a + p->b) / 2; /* at 0: so that E[f' f'] agrees there */
}

static void slopes(const void *self, double *below, double *above)
{
    const struct abrelu *p = self;

    *below = p->a;
    *above = p->b;
}

static int degree(const void *self)
{
    (void)self;
    return 1;
}

static int kinks(const void *self, double at[4])
{
    (void)self;
    at[0] = 0;
    return 1;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct abrelu *p = self;

    (void)at;
    ntk_near_all(dual, range, p->a == p->b ? 0 : HUGE_VAL);
    dual->sides = 2;
    dual->par[0] = (p->b - p->a) * (p->b - p->a);
    dual->par[1] = p->a * p->b;
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self, (void)dual;
    s[0] = sqrt(q);
    s[1] = ntk_inverse_root(q);
}

static void many(const void *self, const struct ntk_dual *dual, size_t n, const double *q,
                 double *s, double *ff, double *dd)
{
    const struct abrelu *p = self;
    const double mean = (p->a * p->a + p->b * p->b) / 2, none = dual->par[0] / 4 + dual->par[1];

    for (size_t i = 0; i < n; i++) {
        const double root = sqrt(q[i]);

        s[i] = root;
        s[n + i] = q[i] >= DBL_MIN ? 1 / root : 0;
        ff[i] = mean * q[i];
        dd[i] = q[i] >= DBL_MIN ? mean : none;
    }
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct abrelu *p = self;
    const double mean = (p->a * p->a + p->b * p->b) / 2;

    *ff = mean * q;
    *dd = q >= DBL_MIN ? mean : dual->par[0] / 4 + dual->par[1]; /* rho counts as 0 */
}

#define ABRELU(name_, summary_, where_, params_, check_)                                    \
    {                                                                                       \
        .base = {.kind = NTK_CLASS_ACTIVATION,                                              \
                 .name = name_,                                                             \
                 .summary = summary_,                                                       \
                 .formula = "E[f f] = ((b-a)^2 (sin t + (pi-t) cos t)/(2 pi) + a b cos t) " \
                            "sqrt(q q');  E[f' f'] = (b-a)^2 (pi-t)/(2 pi) + a b;  "        \
                            "cos t = k/sqrt(q q')" where_,                                  \
                 .source = "Cho and Saul 2009, eq. 6, 7",                                   \
                 .params = params_,                                                         \
                 .size = sizeof(struct abrelu),                                             \
                 .check = check_},                                                          \
        .f = f, .df = df, .slopes = slopes, .kinks = kinks, .degree = degree,               \
        .dual = NTK_DUAL_abrelu, .setup = setup, .side = side, .moments = moments,          \
        .many = many,                                                                       \
    }

static const struct ntk_activation relu =
    ABRELU("Relu", "max(x, 0)", ";  a = 0, b = 1", relu_params, set_relu);
static const struct ntk_activation leaky = ABRELU("LeakyRelu", "x for x > 0, alpha x for x < 0",
                                                  ";  a = alpha, b = 1", leaky_params, set_leaky);
static const struct ntk_activation abs_value =
    ABRELU("Abs", "|x|", ";  a = -1, b = 1", relu_params, set_abs);
static const struct ntk_activation abrelu =
    ABRELU("ABRelu", "b x for x > 0, a x for x < 0", "", abrelu_params, NULL);

const struct ntk_activation *const ntk_activations_abrelu[] = {&relu, &leaky, &abs_value, &abrelu,
                                                               NULL};

#endif
