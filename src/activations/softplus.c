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

NTK_SERIES_ACTIVATION(softplus, "Softplus", "log(1 + exp(x))");
