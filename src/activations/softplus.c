/* SPDX-License-Identifier: MIT
 *
 * Softplus: f(x) = log(1 + exp(x)).
 */
#include <math.h>

#include "activations/series.h"

static double f(const void *self, double x)
{
    (void)self;
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double df(const void *self, double x)
{
    (void)self;
    return 0.5 + 0.5 * tanh(0.5 * x);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    return ntk_series_setup(f, df, self, at, range, dual);
}

static const struct ntk_activation softplus = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Softplus",
             .summary = "log(1 + exp(x))",
             .formula = NTK_SERIES_FORMULA,
             .source = NTK_SERIES_SOURCE,
             .cost = NTK_SERIES_COST},
    .f = f,
    .df = df,
    .setup = setup,
    NTK_SERIES_MEMBERS,
};

const struct ntk_activation *const ntk_activations_softplus[] = {&softplus, NULL};
