/* SPDX-License-Identifier: MIT
 *
 * RectifiedMonomial: f(x) = max(x, 0)^n, the arc-cosine kernels (Cho and Saul 2009).
 *
 * For unit variances and cos t = rho
 *     M_n(rho) = E[u+^n v+^n] = (A_n(rho) sin t + B_n(rho) (pi - t)) / (2 pi)
 * with polynomials A_n and B_n; B_n is E[u^n v^n]. From dM_n / drho = n^2 M_{n-1} follows
 *     (1 - rho^2) A_n' - rho A_n + B_n = n^2 (1 - rho^2) A_{n-1}
 * which gives A_n's coefficients from the highest down. With s = sqrt(q):
 *     F = (s s')^n M_n,     D = n^2 (s s')^(n-1) M_{n-1}
 */
#include "activations/activation.h"

#define DEGREE_MAX 12
#define ROW        (DEGREE_MAX + 1) /* coefficients of one polynomial, in par[1 + j ROW] */
enum {
    B_F,
    A_F,
    B_D,
    A_D
};

#ifdef NTK_REAL

#include "activations/dual.h"

NTK_INLINE V horner(V x, const real *coef, int degree)
{
    V y = splat(coef[degree]);
    for (int i = degree - 1; i >= 0; i--)
        y = y * x + coef[i];
    return y;
}

/* sides: 1 / s (0 if s is 0), s; par: n, coefficients of B_n, A_n, B_{n-1}, A_{n-1}. Powers are those of
 * s s': of a small s alone they may be no number. */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V r = k * (a[0] * b[0]), rho = vsign(vmin(vabs(r), splat(1)), r);
    const V sine = vsqrt((1 - rho) * (1 + rho));
    const V angle = vangle(rho, sine) + (real)1.57079632679489661923; /* pi - t */
    const int n = (int)par[0];
    const real *coef = par + 1;
    const V scale = a[1] * b[1];
    V power = splat(1); /* scale^(n-1) */

    for (int i = 1; i < n; i++)
        power *= scale;
    *f = (n > 0 ? power * scale : power) *
         (horner(rho, coef + B_F * ROW, n) * angle + horner(rho, coef + A_F * ROW, n) * sine);
    *d = power *
         (horner(rho, coef + B_D * ROW, n) * angle + horner(rho, coef + A_D * ROW, n) * sine);
}
NTK_DUAL(rectified_monomial, 2, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* (B(1) - B(rho)) / (1 - rho) */
NTK_INLINE V quotient(V x, const real *coef, int degree)
{
    real carry = degree > 0 ? coef[degree] : 0;
    V y = splat(carry);

    for (int i = degree - 1; i >= 1; i--) {
        carry += coef[i];
        y = y * x + carry;
    }
    return y;
}

/* 2 pi (M_n(1) - M_n) = pi (B_n(1) - B_n) + B_n t - A_n sin t */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const struct near_angle t = near_angle(x);
    const V rho = (real)0.5 * (t.plus - t.minus), p = x->s1 * x->s2;
    const int n = (int)par[0];
    const real *coef = par + 1;
    const V b = horner(rho, coef + B_F * ROW, n), a = horner(rho, coef + A_F * ROW, n) * t.sine;
    const V less = NTK_PI * t.minus * quotient(rho, coef + B_F * ROW, n) + (b * t.t - a);
    const real one = NTK_PI * horner(splat(1), coef + B_F * ROW, n)[0];
    V size = splat(1), sum = splat(0), power1 = splat(1); /* p^(n - 1), sum as in monomial.c */

    for (int i = 1; i < n; i++)
        size *= p;
    for (int i = 0; i < n; i++) {
        sum = sum * x->s2 + power1;
        power1 *= x->s1;
    }
    const V whole = n > 0 ? size * p : size, f = whole * (b * t.rest + a), q = y->s1 * y->s2;

    y->minus = pick(p > 0, whole * less, q - f);
    y->plus = q + f;
    y->d = n > 0 ? x->d * sum * __builtin_sqrt(one) : y->s1 - y->s2;
    *dot = size *
           (horner(rho, coef + B_D * ROW, n) * t.rest + horner(rho, coef + A_D * ROW, n) * t.sine);
}
NTK_NEAR(rectified_monomial, near_point)

#endif

#else

#include <math.h>

struct rectified {
    int64_t degree;
};

static const struct ntk_param params[] = {
    {"degree", NTK_TYPE_INTEGER, offsetof(struct rectified, degree), NULL, 0, DEGREE_MAX, false,
     NULL, "the power, 0 to 12"},
    {0},
};

static double f(const void *self, double x)
{
    const struct rectified *p = self;
    return x > 0 ? pow(x, (double)p->degree) : 0;
}

static double df(const void *self, double x)
{
    const struct rectified *p = self;
    return x > 0 && p->degree ? (double)p->degree * pow(x, (double)p->degree - 1) : 0;
}

static int kinks(const void *self, double at[4])
{
    (void)self;
    at[0] = 0;
    return 1;
}

/* Coefficients of A_n and B_n from those of A_{n-1}; all have ROW entries. */
static void next(int n, const double *older, double *a, double *b)
{
    double c = 1;

    for (int i = 0; i < ROW; i++)
        a[i] = b[i] = 0;
    for (int i = 2; i <= n; i++)
        c *= i;
    for (int l = n; l >= 0; l -= 2) { /* as in monomial.c */
        b[l] = c;
        c *= (double)l * (l - 1) / ((n - l + 2.0) * (n - l + 2.0));
    }
    for (int i = n; i >= 1; i -= 2) {
        const double above = i < n ? (i + 1) * a[i + 1] : 0;
        a[i - 1] = (above + b[i] - n * n * (older[i] - (i > 1 ? older[i - 2] : 0))) / i;
    }
}

static int degree(const void *self)
{
    return (int)((const struct rectified *)self)->degree;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct rectified *p = self;
    const int n = (int)p->degree;
    double a[ROW], b[ROW], older_a[ROW] = {0}, older_b[ROW] = {0};

    (void)at;
    ntk_near_all(dual, range, n < 2 ? HUGE_VAL : n / 2.0);
    next(0, older_a, a, b);
    for (int m = 1; m <= n; m++) {
        for (int i = 0; i < ROW; i++) {
            older_a[i] = a[i];
            older_b[i] = b[i];
        }
        next(m, older_a, a, b);
    }
    dual->sides = 2;
    dual->par[0] = n;
    for (int i = 0; i < ROW; i++) {
        double *coef = dual->par + 1 + i;
        coef[B_F * ROW] = b[i] * M_1_PI / 2;
        coef[A_F * ROW] = a[i] * M_1_PI / 2;
        coef[B_D * ROW] = n * n * older_b[i] * M_1_PI / 2;
        coef[A_D * ROW] = n * n * older_a[i] * M_1_PI / 2;
    }
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self, (void)dual;
    s[0] = ntk_inverse_root(q);
    s[1] = sqrt(q);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct rectified *p = self;
    const double n = (double)p->degree, half = q >= DBL_MIN ? 0.5 : 0.25; /* at q = 0 rho counts as 0 */
    double previous = 1;

    (void)dual;
    for (int i = 2; i <= p->degree; i++)
        previous *= (2 * i - 3) * q;
    *ff = half * (n > 0 ? (2 * n - 1) * q * previous : 1);
    *dd = half * n * n * previous;
}

static const struct ntk_activation rectified_monomial = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "RectifiedMonomial",
             .summary = "max(x, 0)^degree",
             .formula = "E[f f] = (q q')^(n/2) J_n(t)/(2 pi), cos t = k/sqrt(q q'), "
                        "J_n = (-1)^n sin(t)^(2n+1) (1/sin(t) d/dt)^n ((pi-t)/sin(t));  "
                        "E[f' f'] = its derivative by k",
             .source = "Cho and Saul 2009, eq. 3, 4",
             .params = params,
             .size = sizeof(struct rectified)},
    .f = f,
    .df = df,
    .degree = degree,
    .kinks = kinks,
    .dual = NTK_DUAL_rectified_monomial,
    .setup = setup,
    .side = side,
    .moments = moments,
};

const struct ntk_activation *const ntk_activations_rectified_monomial[] = {&rectified_monomial,
                                                                           NULL};

#endif
