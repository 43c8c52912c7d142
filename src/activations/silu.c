/* SPDX-License-Identifier: MIT
 *
 * Silu: f(x) = x / (1 + exp(-x)), also known as Swish.
 */
#include <math.h>

#include "activations/series.h"

static double f(const void *self, double x)
{
    (void)self;
    return x * (0.5 + 0.5 * tanh(0.5 * x));
}

static double df(const void *self, double x)
{
    const double t = tanh(0.5 * x);

    (void)self;
    return 0.5 + 0.5 * t + 0.25 * x * (1 - t) * (1 + t);
}

static ntk_status setup(const void *self, const struct ntk_where *at,
                        const struct ntk_dual_range *range, struct ntk_dual *dual)
{
    return ntk_series_setup(f, df, self, at, range, dual);
}

#define SILU(name_, summary_)                                 \
    {                                                         \
        .base = {.kind = NTK_CLASS_ACTIVATION,                \
                 .name = name_,                               \
                 .summary = summary_,                         \
                 .formula = NTK_SERIES_FORMULA,               \
                 .source = NTK_SERIES_SOURCE,                 \
                 .cost = NTK_SERIES_COST},                    \
        .f = f, .df = df, .setup = setup, NTK_SERIES_MEMBERS, \
    }

static const struct ntk_activation silu = SILU("Silu", "x / (1 + exp(-x))");
static const struct ntk_activation swish = SILU("Swish", "x / (1 + exp(-x)), another name of Silu");

const struct ntk_activation *const ntk_activations_silu[] = {&silu, &swish, NULL};
