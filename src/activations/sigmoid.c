/* SPDX-License-Identifier: MIT
 *
 * Sigmoid, the logistic function.
 */
#include <math.h>

#include "activations/series.h"

static double f(const void *self, double x)
{
    (void)self;
    return 0.5 + 0.5 * tanh(0.5 * x);
}

static double df(const void *self, double x)
{
    (void)self;
    const double t = tanh(0.5 * x);
    return 0.25 * (1 - t) * (1 + t);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    return ntk_series_setup(f, df, self, at, range, dual);
}

static const struct ntk_activation sigmoid = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Sigmoid",
             .summary = "1 / (1 + exp(-x)), the logistic function",
             .formula = NTK_SERIES_FORMULA,
             .source = NTK_SERIES_SOURCE,
             .cost = NTK_SERIES_COST},
    .f = f,
    .df = df,
    .setup = setup,
    NTK_SERIES_MEMBERS,
};

const struct ntk_activation *const ntk_activations_sigmoid[] = {&sigmoid, NULL};
