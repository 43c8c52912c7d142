/* SPDX-License-Identifier: MIT
 *
 * Polynomial: f(x) = coef[0] + coef[1] x + coef[2] x^2 + ... Its Hermite series is finite, and
 *     E[x^j h_m(z)] = s^j j! / (2^r r! sqrt(m!)), x = s z, r = (j - m) / 2 an integer >= 0, else 0.
 */
#include <math.h>
#include <string.h>

#include "activations/series.h"

struct polynomial {
    struct ntk_numbers coef;
};

static const struct ntk_param params[] = {
    {"coef", NTK_TYPE_NUMBERS, offsetof(struct polynomial, coef), NULL, -1e12, 1e12, false, NULL,
     "coefficients from the constant up, 1 to 64 numbers"},
    {0},
};

static ntk_status check(void *self, const struct ntk_where *at)
{
    const struct polynomial *p = self;

    if (p->coef.n < 1)
        return ntk_fail_at(at, NTK_EPARSE, "coef must have at least one number, got none");
    return NTK_OK;
}

static double f(const void *self, double x)
{
    const struct polynomial *p = self;
    double y = 0;

    for (int j = p->coef.n - 1; j >= 0; j--)
        y = y * x + p->coef.v[j];
    return y;
}

static double df(const void *self, double x)
{
    const struct polynomial *p = self;
    double y = 0;

    for (int j = p->coef.n - 1; j >= 1; j--)
        y = y * x + j * p->coef.v[j];
    return y;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct polynomial *p = self;

    (void)at;
    dual->sides = 2 + (p->coef.n > 1 ? p->coef.n - 1 : 1);
    dual->near_sides = dual->sides - 1;
    ntk_near_all(dual, range, (double)p->coef.n - 2); /* which it has at large variances */
    dual->par[0] = 1; /* all powers of rho occur */
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    const struct polynomial *p = self;
    const double sd = sqrt(q);
    double power = 1;  /* s^m sqrt(m!) */
    double moment = 1; /* E[x^j], j even */

    s[0] = ntk_inverse_root(q);
    s[1] = 0;
    for (int j = 0; j < p->coef.n; j += 2) {
        s[1] += p->coef.v[j] * moment;
        moment *= (j + 1) * q;
    }
    for (int m = 0; m < dual->sides - 2; m++) {
        /* E[x^j h_m] (j + 1) / sqrt(m + 1), at first for j = m */
        double e = 0, term = power * sqrt((double)m + 1);
        for (int j = m; j + 1 < p->coef.n; j += 2) {
            e += p->coef.v[j + 1] * term;
            term *= (j + 3) * (j + 2) * q / (j - m + 2);
        }
        s[2 + m] = e;
        power *= sd * sqrt((double)m + 1);
    }
}

static void near_side(const void *self, const struct ntk_dual *dual, double q, double *near)
{
    double s[2 + NTK_LIST_MAX];

    side(self, dual, q, s);
    memcpy(near, s + 1, (size_t)dual->near_sides * sizeof *near);
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    double s[2 + NTK_LIST_MAX], sum = 0;

    side(self, dual, q, s);
    *dd = 0;
    for (int m = dual->sides - 3; m >= 0; m--) {
        sum += s[2 + m] * s[2 + m];
        *dd += (m + 1) * s[2 + m] * s[2 + m];
    }
    *ff = s[1] * s[1] + q * sum;
}

static const struct ntk_activation polynomial = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Polynomial",
             .summary = "coef[0] + coef[1] x + coef[2] x^2 + ...",
             .formula = "E[f f] = sum_m r_m(q) r_m(q') (k/sqrt(q q'))^m, r_m(q) = sum_i "
                        "coef[m+2i] (m+2i)!/(2^i i! sqrt(m!)) q^((m+2i)/2);  "
                        "E[f' f'] = its derivative by k",
             .source = "Daniely et al. 2016, Lemma 11",
             .params = params,
             .size = sizeof(struct polynomial),
             .check = check},
    .f = f,
    .df = df,
    .dual = NTK_DUAL_series,
    .setup = setup,
    .side = side,
    .moments = moments,
    .near_side = near_side,
};

const struct ntk_activation *const ntk_activations_polynomial[] = {&polynomial, NULL};
