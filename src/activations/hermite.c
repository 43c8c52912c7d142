/* SPDX-License-Identifier: MIT
 *
 * Hermite: f = h_n, the normalised (probabilists') Hermite polynomial. As in neural-tangents its
 * rule is that for unit variance, F = k^n, D = n k^(n - 1); Polynomial has that for any variance.
 */
#include <math.h>
#include <string.h>

#include "activations/series.h"

struct hermite {
    int64_t degree;
};

static const struct ntk_param params[] = {
    {"degree", NTK_TYPE_INTEGER, offsetof(struct hermite, degree), NULL, 0, 100, false, NULL,
     "degree of the polynomial, 0 to 100"},
    {0},
};

/* h_n(x), by the three-term recurrence */
static double value(int64_t n, double x)
{
    double older = 0, newer = 1;

    for (int64_t m = 0; m < n; m++) {
        const double next = (x * newer - sqrt((double)m) * older) / sqrt((double)m + 1);
        older = newer;
        newer = next;
    }
    return newer;
}

static double f(const void *self, double x)
{
    const struct hermite *p = self;
    return value(p->degree, x);
}

static double df(const void *self, double x)
{
    const struct hermite *p = self;
    return p->degree > 0 ? sqrt((double)p->degree) * value(p->degree - 1, x) : 0;
}

static int degree(const void *self)
{
    return (int)((const struct hermite *)self)->degree;
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    const struct hermite *p = self;

    if (range->q_max > 1 + 1e-3 || range->q_min < 1 - 1e-3)
        ntk_note_at(at,
                    "Hermite's rule is that for variance 1, but variances are %g to %g; Polynomial "
                    "has no such condition",
                    range->q_min, range->q_max);
    dual->sides = 2 + (p->degree > 0 ? (int)p->degree : 1);
    dual->near_sides = dual->sides - 1;
    ntk_near_all(dual, range, (double)p->degree - 1);
    dual->par[0] = 1; /* all powers of rho occur */
    return NTK_OK;
}

static void side(const void *self, const struct ntk_dual *dual, double q, double *s)
{
    const struct hermite *p = self;

    memset(s, 0, (size_t)dual->sides * sizeof *s);
    s[0] = ntk_inverse_root(q);
    if (p->degree > 0)
        s[1 + p->degree] = pow(q, 0.5 * (double)(p->degree - 1));
    else
        s[1] = 1;
}

/* side without its first value */
static void near_side(const void *self, const struct ntk_dual *dual, double q, double *near)
{
    const struct hermite *p = self;

    memset(near, 0, (size_t)dual->near_sides * sizeof *near);
    near[p->degree] = p->degree > 0 ? pow(q, 0.5 * (double)(p->degree - 1)) : 1;
}

static void moments(const void *self, const struct ntk_dual *dual, double q, double *ff, double *dd)
{
    const struct hermite *p = self;
    const double n = (double)p->degree;

    (void)dual;
    *ff = pow(q, n);
    *dd = n > 0 ? n * pow(q, n - 1) : 0;
}

static const struct ntk_activation hermite = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Hermite",
             .summary = "Normalised Hermite polynomial, for inputs of variance 1",
             .formula = "E[f f] = k^degree;  E[f' f'] = degree k^(degree-1)  (variances 1)",
             .source = "Daniely et al. 2016, Lemma 11",
             .params = params,
             .size = sizeof(struct hermite)},
    .f = f,
    .df = df,
    .degree = degree,
    .unit_variance = true,
    .dual = NTK_DUAL_series,
    .setup = setup,
    .side = side,
    .moments = moments,
    .near_side = near_side,
};

const struct ntk_activation *const ntk_activations_hermite[] = {&hermite, NULL};
