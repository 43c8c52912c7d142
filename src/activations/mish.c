/* SPDX-License-Identifier: MIT
 *
 * Mish: f(x) = x tanh(softplus(x)) (Misra 2019).
 */
#include <math.h>

#include "activations/series.h"

static double f(const void *self, double x)
{
    (void)self;
    if (x > 40)
        return x;
    const double n = exp(x) * (exp(x) + 2); /* tanh(log(1 + e^x)) = n / (n + 2) */
    return x * n / (n + 2);
}

static double df(const void *self, double x)
{
    (void)self;
    if (x > 40)
        return 1;
    const double n = exp(x) * (exp(x) + 2), t = n / (n + 2);
    return t + x * 4 * (n + 1) / ((n + 2) * (n + 2)) / (1 + exp(-x));
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    return ntk_series_setup(f, df, self, at, range, dual);
}

static const struct ntk_activation mish = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Mish",
             .summary = "x tanh(log(1 + exp(x)))",
             .formula = NTK_SERIES_FORMULA,
             .source = NTK_SERIES_SOURCE,
             .cost = NTK_SERIES_COST},
    .f = f,
    .df = df,
    .setup = setup,
    NTK_SERIES_MEMBERS,
};

const struct ntk_activation *const ntk_activations_mish[] = {&mish, NULL};
