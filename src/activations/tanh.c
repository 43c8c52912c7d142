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

NTK_SERIES_ACTIVATION(tanh, "Tanh", "tanh(x)");
