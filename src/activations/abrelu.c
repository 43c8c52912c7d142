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

/* A fold (make_fold below): with t = sqrt(1 - rho^2) and r = |rho| - t, which is sqrt(2) times the sine of an angle of at
 * most pi / 4, and |rho| + t sqrt(2) times its cosine,
 *     h = quarter + r E(|rho| + t),    d = middle + sign(rho) h,    f = k d + s s' t. */
enum { FOLD_MIDDLE, FOLD_QUARTER, FOLD_TOP, FOLD_E };

#ifdef NTK_REAL

#include "activations/sweep.h"

#define TURNED(x) (IS_F32 ? vpoly_f64(x, arcsine_turned_f32, ARCSINE_TURNED_F32 + 1)  \
                          : vpoly_f64(x, arcsine_turned_f64, ARCSINE_TURNED_F64 + 1))

/* D = (a + b)^2 / 4 + (b - a)^2 / (2 pi) asin(rho) and F = k D + (b - a)^2 / (2 pi) s s' t, as in a fold.
 * sides: s, 1 / s (0 where s is 0, which makes rho 0); par: (b - a)^2, a b, (b - a)^2 / (2 pi), (a + b)^2 / 4 */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V rho = k * (a[1] * b[1]), m = vabs(rho), t = vsqrt(vmax(1 - rho * rho, splat(0)));
    const V angle = vflip((m - t) * TURNED(m + t) + (real)0.78539816339744830962, rho);

    *d = angle * par[2] + par[3];
    *f = k * *d + par[2] * (a[0] * b[0]) * t;
}
NTK_DUAL(abrelu, 2, point)

NTK_SWEEP_POINT(abrelu, 2, point)

NTK_INLINE void fold_begin(int n, size_t j, const struct sweep_sides *s, struct sweep_half *h)
{
    SWEEP_EACH(m, n) {
        h->x[m] = h->k[m] * sweep_sides_product(s, 1, j + (size_t)m);
        h->t[m] = vsqrt(vmax(1 - h->x[m] * h->x[m], splat(0)));
    }
}
NTK_INLINE void fold_end(int n, size_t j, const struct sweep_sides *s, const real *c, const struct sweep_half *h,
                         bool any_sign, V *f, V *d)
{
    V r[SWEEP_BLOCK], y[SWEEP_BLOCK], e[SWEEP_BLOCK];

    SWEEP_EACH(m, n) {
        const V a = any_sign ? vabs(h->x[m]) : h->x[m];

        r[m] = a - h->t[m];
        y[m] = a + h->t[m];
    }
    sweep_polynomial(n, y, c + FOLD_E, IS_F32 ? ARCSINE_TURNED_F32 : ARCSINE_TURNED_F64, e);
    SWEEP_EACH(m, n)
        d[m] = any_sign ? c[FOLD_MIDDLE] + vflip(c[FOLD_QUARTER] + r[m] * e[m], h->x[m]) : c[FOLD_TOP] + r[m] * e[m];
    SWEEP_EACH(m, n)
        f[m] = h->k[m] * d[m] + sweep_sides_product(s, 0, j + (size_t)m) * h->t[m];
}

#define FOLD_HALVES(name, any_sign)                                                                                    \
    NTK_INLINE void name##_begin(int n, size_t j, const struct sweep_sides *s, const real *c, struct sweep_half *h)    \
    {                                                                                                                  \
        (void)c;                                                                                                       \
        fold_begin(n, j, s, h);                                                                                        \
    }                                                                                                                  \
    NTK_INLINE void name##_end(int n, size_t j, const struct sweep_sides *s, const real *c,                            \
                               const struct sweep_half *h, V *f, V *d)                                                 \
    {                                                                                                                  \
        fold_end(n, j, s, c, h, any_sign, f, d);                                                                       \
    }
FOLD_HALVES(positive, false)
FOLD_HALVES(signed, true)
NTK_SWEEP_LOOPS(positive)
NTK_SWEEP_PLAIN(positive)
NTK_SWEEP_TAIL(positive)
NTK_SWEEP_LOOPS(signed)
NTK_SWEEP_PLAIN(signed)
NTK_SWEEP_ANY(signed)
NTK_SWEEP_TAIL(signed)

ntk_sweep_fn NTK_SWEEP_SYMBOL(abrelu);
void NTK_SWEEP_SYMBOL(abrelu)(const struct ntk_sweep_args *x)
{
    if (!x->in.fold)
        abrelu_sweep(x, x->in.par);
    else if (!sweep_is_plain(x))
        signed_sweep(x, x->in.fold);
    else if (x->in.any_sign)
        signed_plain(x, x->in.fold);
    else
        positive_plain(x, x->in.fold);
}

ntk_tail_fn NTK_TAIL_SYMBOL(abrelu);
void NTK_TAIL_SYMBOL(abrelu)(const struct ntk_tail_args *x)
{
    if (!x->in.fold)
        abrelu_tail(x, x->in.par, 1);
    else if (x->in.any_sign)
        signed_tail(x, x->in.fold, 1 / x->in.fold_factor);
    else
        positive_tail(x, x->in.fold, 1 / x->in.fold_factor);
}

#ifdef NTK_IS_F64

/* Of setup's par; a^2 + b^2 = (b - a)^2 + 2 a b. */
ntk_many_fn NTK_MANY_SYMBOL(abrelu);
void NTK_MANY_SYMBOL(abrelu)(size_t n, const double *par, const double *q, double *side, double *ff, double *dd)
{
    const double mean = par[0] / 2 + par[1], none = par[0] / 4 + par[1];

    for (size_t i = 0; i < n; i += LANES) {
        const V x = load(q + i), root = vsqrt(x);
        const M normal = x >= DBL_MIN;

        store(side + i, root);
        store(side + n + i, pick(normal, 1 / root, splat(0)));
        store(ff + i, mean * x);
        store(dd + i, pick(normal, splat(mean), splat(none)));
    }
}

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

#include "simd/polynomials.h"

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
    dual->par[2] = dual->par[0] * M_1_PI / 2;
    dual->par[3] = (p->a + p->b) * (p->a + p->b) / 4;
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self, (void)dual;
    s[0] = sqrt(q);
    s[1] = ntk_inverse_root(q);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct abrelu *p = self;
    const double mean = (p->a * p->a + p->b * p->b) / 2;

    *ff = mean * q;
    *dd = q >= DBL_MIN ? mean : dual->par[0] / 4 + dual->par[1]; /* rho counts as 0 */
}

/* f >= 0 where a <= 0 <= b. Else F and D grow from 2 pi F = (b - a)^2 s s' and 4 D = (a + b)^2 at rho = 0. */
static bool positive(const void *self, int moment, bool any)
{
    const struct abrelu *p = self;

    return (moment == 0 ? p->a <= 0 && p->b >= 0 : p->a * p->b >= 0) || !any;
}

/* ---- folds. With t = sqrt(1 - rho^2),
 *     D = (a + b)^2 / 4 + (b - a)^2 / (2 pi) asin(rho),   F = k D + (b - a)^2 / (2 pi) s s' t;
 * a factor goes into the polynomial of asin and the second samples' s. */

static bool make_fold(const void *self, ntk_dtype dtype, double factor, struct ntk_fold *fold)
{
    const struct abrelu *p = self;
    const double big = factor * (p->b - p->a) * (p->b - p->a), turn = big * M_1_PI / 2;

    if (!(big > 0x1p-60 && big < 0x1p60))
        return false;
    *fold = (struct ntk_fold){.factor = factor, .side = {turn, 1}};
    fold->par[FOLD_MIDDLE] = factor * (p->a + p->b) * (p->a + p->b) / 4;
    fold->par[FOLD_QUARTER] = big / 8;
    fold->par[FOLD_TOP] = fold->par[FOLD_MIDDLE] + fold->par[FOLD_QUARTER];
    for (int j = 0; j <= (dtype == NTK_F32 ? ARCSINE_TURNED_F32 : ARCSINE_TURNED_F64); j++)
        fold->par[FOLD_E + j] = turn * (dtype == NTK_F32 ? arcsine_turned_f32 : arcsine_turned_f64)[j];
    return true;
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
        .positive = positive, .fold = make_fold,                                            \
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
