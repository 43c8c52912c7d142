/* SPDX-License-Identifier: MIT
 *
 * Monomial: f(x) = x^n. With p = q q' and c_l = n!^2 / (((n - l) / 2)!^2 2^(n - l) l!), where
 * l = n, n - 2, ..., 1 or 0 (Hermite expansion of x^n):
 *     F = sum_l   c_l p^((n - l) / 2) k^l
 *     D = sum_l l c_l p^((n - l) / 2) k^(l - 1)
 */
#include "activations/activation.h"

#ifdef NTK_REAL

#include "simd/dual.h"

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

    (void)at, (void)range;
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
