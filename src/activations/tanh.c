/* SPDX-License-Identifier: MIT
 *
 * Tanh.
 */
#include <math.h>

#include "activations/series.h"

static double f(const void *self, double x)
{
    (void)self;
    return tanh(x);
}

static double df(const void *self, double x)
{
    (void)self;
    const double t = tanh(x);
    return (1 - t) * (1 + t);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    return ntk_series_setup(f, df, self, at, range, dual);
}

static const struct ntk_activation tanh_ = {
    .base = {.kind = NTK_CLASS_ACTIVATION,
             .name = "Tanh",
             .summary = "tanh(x)",
             .formula = NTK_SERIES_FORMULA,
             .source = NTK_SERIES_SOURCE,
             .cost = NTK_SERIES_COST},
    .f = f,
    .df = df,
    .setup = setup,
    NTK_SERIES_MEMBERS,
};

const struct ntk_activation *const ntk_activations_tanh[] = {&tanh_, NULL};
