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

NTK_SERIES_ACTIVATION(mish, "Mish", "x tanh(log(1 + exp(x)))");
