/* SPDX-License-Identifier: MIT
 *
 * Monomial: f(x) = x^n. With p = q q' and c_l = n!^2 / (((n - l) / 2)!^2 2^(n - l) l!), where
 * l = n, n - 2, ..., 1 or 0 (Hermite expansion of x^n):
 *     F = sum_l   c_l p^((n - l) / 2) k^l
 *     D = sum_l l c_l p^((n - l) / 2) k^(l - 1)
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "activations/dual.h"

/* side: q; par: number of terms, lowest power of k (0 or 1), then c_l from the highest l down */
NTK_INLINE void point(V k, const V *a, const V *b, const real *par, V *f, V *d)
{
    const V k2 = k * k, p = a[0] * b[0];
    const int terms = (int)par[0];
    real l = 2 * par[0] - 2 + par[1];
    V power = splat(1), even = splat(0), odd = splat(0);

    for (int j = 0; j < terms - 1; j++, l -= 2) {
        even = (even * k2) + par[2 + j] * power;
        odd = (odd * k2) + l * par[2 + j] * power;
        power = power * p;
    }
    /* the last term has k^0 in F and none in D, or k^1 in F and k^0 in D */
    const V last = par[1 + terms] * power;
    even = even * k2 + last;
    *f = par[1] > 0 ? even * k : even;
    *d = par[1] > 0 ? odd * k2 + last : odd * k;
}
NTK_DUAL(monomial, 1, point)

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* F = (s s')^n sum_l c_l rho^l, D its derivative by k; with g = 1 - |rho|, 1 - |rho|^l is a sum of
 * g |rho|^i. For odd n F is odd. */
NTK_INLINE void near_point(const struct near *x, const real *par, struct near *y, V *dot)
{
    const struct near_angle t = near_angle(x);
    const int terms = (int)par[0], odd = par[1] > 0, n = 2 * terms - 2 + odd;
    const V gap = vmin(t.minus, t.plus), rho = 1 - gap, p = x->s1 * x->s2;
    const V sign = vsign(splat(1), t.plus - t.minus);
    V less = splat(0), f = splat(0), slope = splat(0), rest = splat(0), power = splat(1);
    V size = splat(1); /* p^(n - 1) */

    for (int l = 0; l <= n; l++) { /* power = rho^l, rest = 1 - rho^l */
        if (l % 2 == odd) {
            const real c = par[2 + (n - l) / 2];
            less += c * rest;
            f += c * power;
        } else if (l < n) {
            slope += (l + 1) * par[2 + (n - l - 1) / 2] * power;
        }
        rest += power * gap;
        power *= rho;
    }
    for (int i = 1; i < n; i++)
        size *= p;
    const V whole = n > 0 ? size * p : size, other = y->s1 * y->s2 + whole * f;
    const M mirrored = odd ? sign < 0 : (M)splat(0);
    V sum = splat(0), power1 = splat(1);
    real one = 0; /* F for rho = s = s' = 1 */

    for (int i = 0; i < n; i++) { /* s1^n - s2^n = d (s1^(n - 1) + s1^(n - 2) s2 + ...) */
        sum = sum * x->s2 + power1;
        power1 *= x->s1;
    }
    for (int j = 0; j < terms; j++)
        one += par[2 + j];
    y->minus = pick(mirrored, other, whole * less);
    y->plus = pick(mirrored, whole * less, other);
    y->d = x->d * sum * __builtin_sqrt(one);
    *dot = size * (odd ? slope : sign * slope);
}
NTK_NEAR(monomial, near_point)

#endif

#else

#include <math.h>

struct monomial {
    int64_t degree;
};

static const struct ntk_param params[] = {
    {"degree", NTK_TYPE_INTEGER, offsetof(struct monomial, degree), NULL, 0, 12, false, NULL,
     "the power, 0 to 12"},
    {0},
};

static double f(const void *self, double x)
{
    const struct monomial *p = self;
    return pow(x, (double)p->degree);
}

static double df(const void *self, double x)
{
    const struct monomial *p = self;
    return p->degree ? (double)p->degree * pow(x, (double)p->degree - 1) : 0;
}

static int degree(const void *self)
{
    return (int)((const struct monomial *)self)->degree;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct monomial *p = self;
    const int n = (int)p->degree;
    double c = 1;

    (void)at;
    ntk_near_all(dual, range, n / 2.0);
    for (int i = 2; i <= n; i++)
        c *= i; /* c_n = n! */
    dual->sides = 1;
    dual->par[0] = n / 2 + 1;
    dual->par[1] = n % 2;
    for (int j = 0; j <= n / 2; j++) {
        const double l = n - 2 * j;
        dual->par[2 + j] = c;
        c *= l * (l - 1) / (4.0 * (j + 1) * (j + 1));
    }
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    (void)self, (void)dual;
    s[0] = q;
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct monomial *p = self;
    const double n = (double)p->degree;
    double previous = 1; /* (2n - 3)!! q^(n - 1) */

    (void)dual;
    for (int i = 2; i <= p->degree; i++)
        previous *= (2 * i - 3) * q;
    *ff = n > 0 ? (2 * n - 1) * q * previous : 1;
    *dd = n * n * previous;
}

static const struct ntk_activation monomial = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Monomial",
             .summary = "x^degree",
             .formula = "E[f f] = sum_l c_l (q q')^((n-l)/2) k^l, "
                        "c_l = n!^2/(((n-l)/2)!^2 2^(n-l) l!), l = n, n-2, ...;  "
                        "E[f' f'] = its derivative by k",
             .source = "Hermite expansion of x^n",
             .params = params,
             .size = sizeof(struct monomial)},
    .f = f,
    .df = df,
    .degree = degree,
    .dual = NTK_DUAL_monomial,
    .setup = setup,
    .side = side,
    .moments = moments,
};

const struct ntk_activation *const ntk_activations_monomial[] = {&monomial, NULL};

#endif
