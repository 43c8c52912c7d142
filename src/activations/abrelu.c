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

NTK_SWEEP_POINT(abrelu, 2, point)

/* A fold (make_fold below): with x = c rho, T = sqrt(c^2 - x^2) and the polynomial q,
 *     rho >= 0:  d = top - T q(x)    else    d = bottom + T q(-x),    f = k d + s s' T. */
enum { FOLD_SQUARE, FOLD_TOP, FOLD_BOTTOM, FOLD_Q };

/* q of x[m]: in float32 degree 8 in 5 multiplications (Knuth, TAOCP 4.6.4), in float64 by Horner's rule. */
NTK_INLINE void fold_polynomial(int n, const V *x, const real *c, V *q)
{
    if (IS_F32) {
        V z[SWEEP_BLOCK], w[SWEEP_BLOCK];

        SWEEP_EACH(m, n)
            z[m] = (x[m] + c[0]) * x[m] + c[1];
        SWEEP_EACH(m, n)
            w[m] = (x[m] + c[2]) * z[m] + c[3];
        SWEEP_EACH(m, n)
            q[m] = (w[m] - z[m] + c[4]) * w[m] + c[5];
        SWEEP_EACH(m, n)
            q[m] = q[m] * x[m] + c[6];
        SWEEP_EACH(m, n)
            q[m] = q[m] * x[m] + c[7];
        return;
    }
    SWEEP_EACH(m, n)
        q[m] = splat(c[ARCCOS_Q_F64]);
    NTK_UNROLL
    for (int i = ARCCOS_Q_F64 - 1; i >= 0; i--) {
        SWEEP_EACH(m, n)
            q[m] = q[m] * x[m] + c[i];
    }
}

NTK_INLINE void fold_block(int n, const V *k, const struct sweep_sides *s, const real *c, bool any_sign, V *f, V *d)
{
    V x[SWEEP_BLOCK], y[SWEEP_BLOCK], t[SWEEP_BLOCK], q[SWEEP_BLOCK];

    SWEEP_EACH(m, n)
        x[m] = k[m] * sweep_sides_product(s, 1, m);
    SWEEP_EACH(m, n)
        t[m] = vsqrt(vmax(c[FOLD_SQUARE] - x[m] * x[m], splat(0)));
    SWEEP_EACH(m, n)
        y[m] = any_sign ? vabs(x[m]) : x[m];
    fold_polynomial(n, y, c + FOLD_Q, q);
    SWEEP_EACH(m, n)
        d[m] = any_sign ? vwhere(x[m], c[FOLD_TOP] - t[m] * q[m], c[FOLD_BOTTOM] + t[m] * q[m])
                        : c[FOLD_TOP] - t[m] * q[m];
    SWEEP_EACH(m, n)
        f[m] = k[m] * d[m] + sweep_sides_product(s, 0, m) * t[m];
}

NTK_INLINE void positive_block(int n, const V *k, const struct sweep_sides *s, const real *c, V *f, V *d)
{
    fold_block(n, k, s, c, false, f, d);
}
NTK_INLINE void signed_block(int n, const V *k, const struct sweep_sides *s, const real *c, V *f, V *d)
{
    fold_block(n, k, s, c, true, f, d);
}
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
#include <string.h>

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

/* ---- folds. With T = sqrt(1 - rho^2) and Q = acos(rho) / (pi T),
 *     D = (a^2 + b^2) / 2 - (b - a)^2 / 2 T Q,   F = k D + (b - a)^2 / (2 pi) s s' T   for rho >= 0:
 * one polynomial. A factor goes into its coefficients, and one of the second samples' 1 / s makes it monic, which in
 * float32 saves a multiplication. */

/* Chebyshev's polynomial on [0, 1], degree 8: what changes least if the leading coefficient does. */
static const double chebyshev[] = {1, -128, 2688, -21504, 84480, -180224, 212992, -131072, 32768};

/* A root of x^3 c[3] + ... + c[0], c[3] > 0. */
static double cubic_root(const double *c)
{
    double lo = -1, hi = 1;

#define CUBIC(x) (((c[3] * (x) + c[2]) * (x) + c[1]) * (x) + c[0])
    while (CUBIC(lo) > 0 && lo > -1e300)
        lo *= 2;
    while (CUBIC(hi) < 0 && hi < 1e300)
        hi *= 2;
    for (int k = 0; k < 200; k++) {
        const double mid = lo + (hi - lo) / 2;

        *(CUBIC(mid) < 0 ? &lo : &hi) = mid;
    }
#undef CUBIC
    return lo;
}

/* u = x^6 + u[5] x^5 + ... + u[0] as (w - z + c[4]) w + c[5] with z = (x + c[0]) x + c[1], w = (x + c[2]) z + c[3] (Knuth, TAOCP
 * 4.6.4). With w = x^3 + B x^2 + C x + D and w - z + c[4] = x^3 + (B - 1) x^2 + C' x + E comparing coefficients gives B,
 * and the others as polynomials in C, of which x^1 leaves a cubic one. */
static void precondition(const double *u, double *c)
{
    const double B = (u[5] + 1) / 2, c1 = u[4] - B * (B - 1);           /* C' = c1 - C */
    const double s0 = u[3] - B * c1, s1 = 1;                            /* D + E = s0 + s1 C */
    const double e0 = u[2] - (B - 1) * s0, e1 = -c1 - (B - 1) * s1;     /* E = e0 + e1 C + C^2 */
    const double d0 = s0 - e0, d1 = s1 - e1;                            /* D = d0 + d1 C - C^2 */
    const double cubic[] = {c1 * d0 - u[1], e0 + c1 * d1 - d0, e1 - c1 - d1, 2};
    const double C = cubic_root(cubic), D = d0 + (d1 - C) * C, E = e0 + (e1 + C) * C;

    c[0] = C - (c1 - C);
    c[2] = B - c[0];
    c[1] = C - c[0] * c[2];
    c[3] = D - c[1] * c[2];
    c[4] = E - D + c[1];
    c[5] = u[0] - D * E;
}

#define DEGREE     ARCCOS_Q_F32
#define CANDIDATES 64
#define POINTS     96
#define GOOD_UNITS 3 /* of float32 */

/* Coefficients of big T Q in x = c rho. */
static void coefficients(double big, double c, double *par)
{
    const double shift = pow(c, DEGREE + 1) / big - arccos_q_f32[DEGREE];
    double p[DEGREE + 1], power = big / c;

    for (int j = 0; j <= DEGREE; j++, power /= c)
        p[j] = power * (arccos_q_f32[j] + shift * chebyshev[j] / chebyshev[DEGREE]);
    precondition(p + 2, par);
    par[6] = p[1];
    par[7] = p[0];
}

static double rounded(double x) { return (double)(float)x; }

/* Their largest error as fold_polynomial computes, relative to big: what their own rounding does is most of it. */
static double rounding_error(double big, double c, const double *par, double (*exact)[2])
{
    double worst = 0, q[8];

    for (int j = 0; j < 8; j++)
        q[j] = rounded(par[j]);
    for (int i = 0; i < POINTS; i++) {
        const double rho = exact[i][0], x = rounded(c * rho), z = rounded(rounded(x + q[0]) * x + q[1]);
        const double w = rounded(rounded(x + q[2]) * z + q[3]), u = rounded(rounded(rounded(w - z) + q[4]) * w + q[5]);
        const double y = rounded(rounded(u * x + q[6]) * x + q[7]);

        worst = fmax(worst, fabs(y * c / big - exact[i][1]) * sqrt(1 - rho * rho));
    }
    return worst;
}

/* c by the leading coefficient, give or take: of numbers of 12 bits, whose squares are floats, that for which the
 * coefficients round best. */
static bool fold_f32(double big, struct ntk_fold *fold)
{
    double best = GOOD_UNITS * 0x1p-23, par[8], exact[POINTS][2];
    int exponent;
    const double middle = rint(ldexp(frexp(pow(big * arccos_q_f32[DEGREE], 1.0 / (DEGREE + 1)), &exponent), 12));

    for (int i = 0; i < POINTS; i++) {
        const double t = 1.5707963267948966 * (POINTS - i) / POINTS;

        exact[i][0] = cos(t);
        exact[i][1] = t / (3.14159265358979323846 * sin(t));
    }
    for (int k = 0; k < CANDIDATES; k++) {
        const double c = ldexp(middle + k - CANDIDATES / 2, exponent - 12);
        double error;

        coefficients(big, c, par);
        error = rounding_error(big, c, par, exact);
        if (error >= best)
            continue;
        best = error;
        memcpy(fold->par + 3, par, sizeof par);
        fold->par[0] = c * c;
        fold->side[0] = big / (3.14159265358979323846 * c);
        fold->side[1] = c;
    }
    return best < GOOD_UNITS * 0x1p-23;
}

static bool fold_f64(double big, struct ntk_fold *fold)
{
    fold->side[0] = big / 3.14159265358979323846;
    fold->side[1] = 1;
    fold->par[0] = 1;
    for (int j = 0; j <= ARCCOS_Q_F64; j++)
        fold->par[3 + j] = big * arccos_q_f64[j];
    return true;
}

static bool make_fold(const void *self, ntk_dtype dtype, double factor, struct ntk_fold *fold)
{
    const struct abrelu *p = self;
    const double big = factor * (p->b - p->a) * (p->b - p->a) / 2;

    if (!(big > 0x1p-60 && big < 0x1p60))
        return false;
    *fold = (struct ntk_fold){.factor = factor};
    fold->par[1] = factor * (p->a * p->a + p->b * p->b) / 2;
    fold->par[2] = factor * p->a * p->b;
    return dtype == NTK_F32 ? fold_f32(big, fold) : fold_f64(big, fold);
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
