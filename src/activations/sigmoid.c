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

NTK_SERIES_ACTIVATION(sigmoid, "Sigmoid", "1 / (1 + exp(-x)), the logistic function");
