/* SPDX-License-Identifier: MIT
 *
 * Elu: f(x) = lambda x for x > 0, lambda alpha (exp(x) - 1) for x < 0; Selu has the constants of
 * Klambauer et al. 2017.
 *
 * The dual needs L(a, b) = E[exp(a u + b v); u, v < 0] for a, b in {0, 1}. Exponential tilting
 * makes them bivariate normal probabilities far out in a tail, times large factors (Tsuchida et al.
 * 2021). In polar coordinates of the whitened plane they are instead integrals of a smooth, bounded
 * function over the quadrant's angle w = pi - acos(rho):
 *     L(a, b) = 1/(2 pi) int_0^w G(a p1 + b p2) dt,  p1 = s sin t,  p2 = s' sin(w - t),
 *     G(p) = int_0^inf r exp(-r^2 / 2 - r p) dr = 1 - p M(p),  M(p) = Phi(-p) / phi(p)
 * and K(p) = G(p) - 1 + M(0) p = O(p^2) is what is integrated (Gauss-Legendre; linear parts are
 * known), so that nothing cancels at small variances. With J1, J2, J12 the integrals of K(p1),
 * K(p2), K(p1 + p2), m = M(s) / sqrt(2 pi) = E[exp(u); u < 0], c = sqrt(1 - rho^2), and Stein's
 * lemma for the mixed quadrants,
 *     E[u+ (exp(v) - 1); v < 0] = s (M(s' c) - M(0)) / (2 pi) + k (m' - L(0, 1))
 *     F = lambda^2 (E[u+ v+] + alpha (this + the other one) + alpha^2 (J12 - J1 - J2) / (2 pi))
 *     D = lambda^2 (P + alpha (m - L(1, 0) + m' - L(0, 1)) + alpha^2 L(1, 1)),  P = P(u, v > 0)
 * Errors are a few units in the last place, times s in D.
 */
#include "activations/activation.h"

/* par: lambda^2, alpha, number of pairs of nodes, then the nodes below 1/2 and their weights */
enum {
    PAR_LAMBDA2,
    PAR_ALPHA,
    PAR_PAIRS,
    PAR_NODES
};
#define PAIRS_MAX 28
#define Q_MAX     1000 /* the error of 2 PAIRS_MAX nodes is still below 1e-10 */

#define MILLS_0 1.25331413731550025121 /* M(0) = sqrt(pi / 2) */

#ifdef NTK_REAL

#include "activations/dual.h"

#define PI             ((real)3.14159265358979323846)
#define TWO_PI_INVERSE ((real)0.15915494309189533577)

/* p >= 0 as y = 1 / (1 + p / 2) and v = 2 y - 1: (M(0) - M(p)) / p = y P(v), P of polynomials.h */
struct arg {
    V p, y, v;
};
NTK_INLINE struct arg arg(V p)
{
    const V y = 2 / (2 + p);
    return (struct arg){p, y, 2 * y - 1};
}

NTK_INLINE V drop(V p)
{
    const struct arg x = arg(p);
    return x.y * VPOLY(x.v, mills_drop);
}

/* P at x, and *slope, its divided difference between x and z, which does not cancel where they are
 * close. */
NTK_INLINE V divided(struct arg x, struct arg z, V *slope)
{
    const int n = IS_F32 ? NTK_COUNT(mills_drop_f32) : NTK_COUNT(mills_drop_f64);
    V value = splat(0);

    *slope = splat(0);
    NTK_UNROLL
    for (int i = n - 1; i >= 0; i--) {
        *slope = *slope * z.v + value;
        value = value * x.v + (IS_F32 ? (real)mills_drop_f32[i] : (real)mills_drop_f64[i]);
    }
    return value;
}

/* Adds weight * K(p1), K(p2) and K(p1 + p2) - K(p1) - K(p2). With P12 = P(v12), d1 = P[v12, v1] the
 * last is p1 p2 y12 (2 P12 - p1 y1 (P12 / 2 + y1 d1) - p2 y2 (P12 / 2 + y2 d2)). */
NTK_INLINE void add(real weight, V p1, V p2, V *k1, V *k2, V *cross)
{
    const struct arg x = arg(p1), z = arg(p2), both = arg(p1 + p2);
    V d1, d2;
    const V x_value = divided(x, both, &d1), z_value = divided(z, both, &d2);
    const V value = x_value - both.y * x.y * p2 * d1; /* P12 */
    const V u = p1 * x.y, w = p2 * z.y;

    *k1 += weight * (p1 * u * x_value);
    *k2 += weight * (p2 * w * z_value);
    *cross += weight * (p1 * p2 * both.y) *
              (2 * value - u * ((real)0.5 * value + x.y * d1) - w * ((real)0.5 * value + z.y * d2));
}

/* sin x, 0 <= x <= pi */
NTK_INLINE V vsine(V x)
{
    const V y = vmin(x, PI - x), z = y * y;
    return y * VPOLY(z, sine);
}

/* What rho is read as: r = E[u+ v+] and p = P(u, v > 0) for unit variances, 1 + rho, c. */
struct orthant {
    V relu, p, above, c;
};

/* F and D; m and n are the two samples' side m. */
NTK_INLINE void moments_at(V k, V s, V t, V m, V n, const struct orthant *o, const real *par, V *f,
                           V *d)
{
    const real *x = par + PAR_NODES, *weight = x + PAIRS_MAX;
    const int pairs = (int)par[PAR_PAIRS];
    const V p = o->p, angle = 2 * PI * p;
    V j1 = splat(0), j2 = splat(0), cross = splat(0);

    for (int i = 0; i < pairs; i++) {
        const V u = vsine(angle * x[i]), v = vsine(angle * (1 - x[i]));
        add(weight[i], s * u, t * v, &j1, &j2, &cross);
        add(weight[i], s * v, t * u, &j1, &j2, &cross);
    }
    j1 *= p, j2 *= p, cross *= p; /* the interval's length over 2 pi */

    const V linear = o->above * ((real)MILLS_0 * TWO_PI_INVERSE);
    const V mixed1 = m - (p - linear * s + j1), mixed2 = n - (p - linear * t + j2);
    const V c = o->c, st = s * t;
    const V edge = TWO_PI_INVERSE * c * st * (drop(s * c) + drop(t * c));
    const real alpha = par[PAR_ALPHA];

    *f = par[PAR_LAMBDA2] *
         (st * o->relu + alpha * (k * (mixed1 + mixed2) - edge) + alpha * alpha * cross);
    *d = par[PAR_LAMBDA2] *
         (p + alpha * (mixed1 + mixed2) + alpha * alpha * (p - linear * (s + t) + j1 + j2 + cross));
}

/* sides: 1 / s (0 if s is 0), s, m */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V r = k * (a[0] * b[0]), rho = vsign(vmin(vabs(r), splat(1)), r);
    struct orthant o = {.above = 1 + rho, .c = vsqrt((1 - rho) * (1 + rho))};

    vorthant(rho, &o.relu, &o.p);
    moments_at(k, a[1], b[1], a[2], b[2], &o, par, f, d);
}
NTK_DUAL(elu, 3, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* M is MILLS_0 - 2 (1 - y) P(2 y - 1) in y = 2 / (2 + p): *first = M[y1, y2] and *second =
 * M[y0, y1, y2], divided differences. */
NTK_INLINE void mills_divided(V y0, V y1, V y2, V *first, V *second)
{
    const V v0 = 2 * y0 - 1, v1 = 2 * y1 - 1, v2 = 2 * y2 - 1;
    V value = splat(0), value2 = splat(0), p01 = splat(0), p12 = splat(0), p012 = splat(0);

    /* the polynomial's values at v0 and v1, and divided differences, by Horner's rule */
    NTK_UNROLL
    for (int i = NTK_COUNT(mills_drop_f64) - 1; i >= 0; i--) {
        p012 = p012 * v2 + p01;
        p01 = p01 * v1 + value;
        p12 = p12 * v2 + value2;
        value = value * v0 + mills_drop_f64[i];
        value2 = value2 * v1 + mills_drop_f64[i];
    }
    const V at_v2 = value2 + p12 * (v2 - v1);

    *first = 2 * at_v2 - 4 * (1 - y1) * p12;
    *second = 4 * p12 - 8 * (1 - y0) * p012;
}

/* The second divided difference of M, at p0, p1 and p2. */
NTK_INLINE V mills_curve(V p0, V p1, V p2)
{
    const V y0 = 2 / (2 + p0), y1 = 2 / (2 + p1), y2 = 2 / (2 + p2);
    V first, second;

    mills_divided(y0, y1, y2, &first, &second);
    return (real)0.25 * y0 * y1 * y2 * (y0 * second + first);
}

/* M(x) - 2 M(x + h) + M(x + 2 h) */
NTK_INLINE V mills_second(V x, V h)
{
    return 2 * h * h * mills_curve(x, x + h, x + 2 * h);
}

/* M(x + u + v) - M(x + u) - M(x + v) + M(x), where v may be a difference */
NTK_INLINE V mills_mixed(V x, V u, V v)
{
    return u * v * (mills_curve(x, x + u, x + v) + mills_curve(x + u, x + v, x + u + v));
}

#define NEAR_NODES 4

/* s1' s2' - F, from two parts: what is left at rho = 1, where f's two branches are orthogonal, with
 * squares s^2 / 2 and alpha^2 Q, Q(s, s') = m(s + s') - m(s) - m(s') + m(0), m = M / sqrt(2 pi);
 * and the integral of D over k from rho = 1, dk = -s1 s2 sin t dt. For angles where F is constant
 * but for a slope and a curvature, beyond which the plain difference is as good. */
NTK_INLINE V near_minus(const struct near *x, V angle, V m, V n, const real *par, struct near *y)
{
    static const real node[] = {0.06943184420297371239, 0.33000947820757186760,
                                0.66999052179242813240, 0.93056815579702628761};
    static const real weight[] = {0.17392742256872692869, 0.32607257743127307131,
                                  0.32607257743127307131, 0.17392742256872692869};
    const real norm = TWO_PI_INVERSE * 2 * (real)MILLS_0,
               alpha = par[PAR_ALPHA]; /* 1 / sqrt(2 pi) */
    const real root_half = (real)0.70710678118654752440;
    const V q1 = norm * mills_second(splat(0), x->s1), q2 = norm * mills_second(splat(0), x->s2);
    const V apart = norm * mills_second(2 * x->s1, -x->d);
    /* Q(s1, s1) - Q(s1, s2) + Q(s1, s2) - Q(s2, s2) */
    const V dq = norm * (mills_mixed(x->s2, x->s1, x->d) + mills_mixed(x->s2, x->s2, x->d));
    const V root1 = vsqrt(q1), root2 = vsqrt(q2);
    const V dr = vratio(dq, root1 + root2);
    V integral = splat(0);
    const V a[] = {root_half * x->s1, alpha * root1}, b[] = {root_half * x->s2, alpha * root2};
    const V e[] = {root_half * x->d, alpha * dr};
    const real lambda = __builtin_sqrt(par[PAR_LAMBDA2]);
    struct near z = {.s1 = y->s1 / lambda,
                     .s2 = y->s2 / lambda,
                     .minus = (real)0.5 * alpha * alpha * (apart - dr * dr)};

    z.plus = z.minus;
    near_join(2, a, b, e, &z);
    y->d = par[PAR_LAMBDA2] *
           vratio((real)0.5 * x->d * (x->s1 + x->s2) + alpha * alpha * dq, y->s1 + y->s2);
    for (int i = 0; i < NEAR_NODES; i++) {
        const V t = angle * node[i], half = vsine((real)0.5 * t), sine = vsine(t);
        const struct orthant o = {
            .p = (PI - t) * TWO_PI_INVERSE, .above = 2 - 2 * half * half, .c = sine};
        V f, d;

        moments_at(splat(0), x->s1, x->s2, m, n, &o, par, &f, &d);
        integral += weight[i] * sine * d;
    }
    return par[PAR_LAMBDA2] * z.minus + x->s1 * x->s2 * angle * integral;
}

NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const struct near_angle t = near_angle(x);
    const real norm = TWO_PI_INVERSE * 2 * (real)MILLS_0;
    const V m = (real)0.5 - norm * (x->s1 * drop(x->s1)),
            n = (real)0.5 - norm * (x->s2 * drop(x->s2));
    const struct orthant o = {.relu = TWO_PI_INVERSE *
                                      near_arc(t.rest, t.sine, (real)0.5 * (t.minus - t.plus)),
                              .p = t.rest * TWO_PI_INVERSE,
                              .above = t.plus,
                              .c = t.sine};
    const V close = vmin(t.t, splat((real)0.05)); /* keeps the integral's angles in range */
    V f;

    moments_at(near_value(x), x->s1, x->s2, m, n, &o, par, &f, dot);
    const V direct = y->s1 * y->s2 - f, minus = near_minus(x, close, m, n, par, y);

    y->minus = pick(t.t * (1 + vmax(x->s1, x->s2)) < (real)0.05, minus, direct);
    y->plus = y->s1 * y->s2 + f;
}
NTK_NEAR(elu, near_point)

#endif

#else

#include <math.h>

struct elu {
    double alpha, lambda;
};

static const struct ntk_param params[] = {
    {"alpha", NTK_TYPE_NUMBER, offsetof(struct elu, alpha), "1.0", 0, 1e6, false, NULL,
     "minus the limit for x to minus infinity, 0 to 1e6"},
    {0},
};

static ntk_status set_elu(void *self, const struct ntk_where *at)
{
    struct elu *p = self;

    (void)at;
    p->lambda = 1;
    return NTK_OK;
}

static ntk_status set_selu(void *self, const struct ntk_where *at)
{
    struct elu *p = self;

    (void)at;
    p->lambda = 1.0507009873554804934;
    p->alpha = 1.6732632423543772848;
    return NTK_OK;
}

static double f(const void *self, double x)
{
    const struct elu *p = self;
    return p->lambda * (x > 0 ? x : p->alpha * expm1(x));
}

static double df(const void *self, double x)
{
    const struct elu *p = self;
    return p->lambda * (x > 0 ? 1 : p->alpha * exp(x));
}

static int kinks(const void *self, double at[4])
{
    (void)self;
    at[0] = 0;
    return 1;
}

/* M(p), p >= 0 */
static double mills(double p)
{
    if (p < 4)
        return MILLS_0 * exp(p * p / 2) * erfc(p * M_SQRT1_2);
    double fraction = p;
    for (int i = 60; i > 0; i--)
        fraction = p + i / fraction;
    return 1 / fraction;
}

/* M(2 s) - 2 M(s) + M(0): Taylor's series where the difference would cancel (M' = p M - 1) */
static double second_difference(double s)
{
    if (s > 0.5)
        return mills(2 * s) - 2 * mills(s) + MILLS_0;
    double even = MILLS_0, odd = -1, power = s, two = 2, sum = 0;
    for (int n = 2; n < 60; n += 2) {
        even /= n;
        odd /= n + 1;
        power *= s;
        two *= 2;
        sum += even * power * (two - 2);
        power *= s;
        two *= 2;
        sum += odd * power * (two - 2);
    }
    return sum;
}

/* Nodes x < 1/2 and weights of the Gauss-Legendre rule with 2 pairs nodes on [0, 1], by Newton. */
static void gauss_legendre(int pairs, double *x, double *weight)
{
    const int n = 2 * pairs;

    for (int i = 0; i < pairs; i++) {
        double t = cos(M_PI * (i + 0.75) / (n + 0.5)), derivative = 1;
        for (int step = 0; step < 8; step++) {
            double older = 1, p = t;
            for (int m = 2; m <= n; m++) {
                const double next = ((2 * m - 1) * t * p - (m - 1) * older) / m;
                older = p;
                p = next;
            }
            derivative = n * (older - t * p) / (1 - t * t);
            t -= p / derivative;
        }
        x[i] = (1 - t) / 2;
        weight[i] = 1 / ((1 - t * t) * derivative * derivative);
    }
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct elu *p = self;
    const double s = sqrt(range->q_max);
    /* what brings the rule to rounding, found by trial over q, q' and rho */
    const double wanted = range->dtype == NTK_F32 ? 3.5 + 0.9 * s : 6.5 + 1.5 * s;
    const int pairs = wanted < PAIRS_MAX ? (int)ceil(wanted) : PAIRS_MAX;

    if (range->q_max > Q_MAX)
        return ntk_fail_at(at, NTK_ENUMERIC,
                           "the variance %g is above %g, where the quadrature loses accuracy: "
                           "standardise the data, or use a smaller W_std, b_std or a LayerNorm",
                           range->q_max, (double)Q_MAX);
    ntk_near_from(dual, range, p->alpha == 1 ? pow(ntk_near_steep(range), 2) : 0);
    dual->takes = range->q_max;
    dual->sides = 3;
    dual->par[PAR_LAMBDA2] = p->lambda * p->lambda;
    dual->par[PAR_ALPHA] = p->alpha;
    dual->par[PAR_PAIRS] = pairs;
    gauss_legendre(pairs, dual->par + PAR_NODES, dual->par + PAR_NODES + PAIRS_MAX);
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self, (void)dual;
    s[1] = sqrt(q);
    s[0] = ntk_inverse_root(q);
    s[2] = mills(s[1]) / (2 * MILLS_0);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct elu *p = self;
    const double lambda2 = dual->par[PAR_LAMBDA2], alpha2 = p->alpha * p->alpha, s = sqrt(q);

    *ff = lambda2 * (q / 2 + alpha2 * second_difference(s) / (2 * MILLS_0));
    *dd = lambda2 * (q >= DBL_MIN ? 0.5 + alpha2 * mills(2 * s) / (2 * MILLS_0)
                           : (1 + p->alpha) * (1 + p->alpha) / 4); /* rho counts as 0 */
}

#define ELU(name_, summary_, params_, check_)                                                      \
    {                                                                                              \
        .base = {.kind = NTK_CLASS_ACTIVATION,                                                     \
                 .name = name_,                                                                    \
                 .summary = summary_,                                                              \
                 .formula = "exponentially tilted Gaussian orthants, E[exp(a u + b v); u, v < 0] " \
                            "with a, b in {0, 1}",                                                 \
                 .source = "Tsuchida et al. 2021, Proposition 6",                                  \
                 .cost = "some 30 (float32) to 60 (float64) times a Relu",                         \
                 .params = params_,                                                                \
                 .size = sizeof(struct elu),                                                       \
                 .check = check_},                                                                 \
        .f = f, .df = df, .kinks = kinks, .dual = NTK_DUAL_elu, .setup = setup, .side = side,      \
        .moments = moments,                                                                        \
    }

static const struct ntk_activation elu =
    ELU("Elu", "x for x > 0, alpha (exp(x) - 1) for x < 0", params, set_elu);
static const struct ntk_activation selu =
    ELU("Selu", "1.0507 x for x > 0, 1.7581 (exp(x) - 1) for x < 0", NULL, set_selu);

const struct ntk_activation *const ntk_activations_elu[] = {&elu, &selu, NULL};

#endif
