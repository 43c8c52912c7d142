/* SPDX-License-Identifier: MIT
 *
 * quadrature.c - integrals over a standard normal variable of functions that may have a kink at 0: Gauss and Legendre's
 * rule on many short intervals, of which 0 is an end.
 */
#include <math.h>
#include <stdlib.h>

#include "features/features.h"

#define POINTS 16  /* of an interval */
#define PANELS 112 /* intervals on either side of 0 */
#define WIDTH  0.125

/* Nodes and weights on [-1, 1], by Newton's method on the Legendre polynomial. */
static void legendre(double *x, double *w)
{
    for (int i = 0; i < POINTS; i++) {
        double z = -cos(M_PI * (i + 0.75) / (POINTS + 0.5)), slope = 1;

        for (int step = 0; step < 10; step++) {
            double older = 1, newer = z;

            for (int m = 1; m < POINTS; m++) {
                const double next = ((2 * m + 1) * z * newer - m * older) / (m + 1);

                older = newer;
                newer = next;
            }
            slope = POINTS * (z * newer - older) / (z * z - 1);
            z -= newer / slope;
        }
        x[i] = z;
        w[i] = 2 / ((1 - z * z) * slope * slope);
    }
}

static void set_nodes(struct ntk_gaussian_rule *rule)
{
    double x[POINTS], w[POINTS];
    const int half = rule->n / 2;

    legendre(x, w);
    for (int k = 0; k < half; k++) {
        const double z = WIDTH * (k / POINTS + (x[k % POINTS] + 1) / 2);
        const double weight = WIDTH / 2 * w[k % POINTS] * exp(-z * z / 2) / sqrt(2 * M_PI);

        rule->z[half + k] = z;
        rule->z[half - 1 - k] = -z;
        rule->w[half + k] = rule->w[half - 1 - k] = weight;
    }
}

static void set_polynomials(struct ntk_gaussian_rule *rule)
{
    const int n = rule->n;

    for (int i = 0; i < n; i++) {
        double older = 0, newer = rule->w[i];

        for (int m = 0; m <= NTK_HERMITE_MOST; m++) {
            const double next = ntk_hermite_next(m, rule->z[i], newer, older);

            rule->h[(size_t)m * (size_t)n + (size_t)i] = newer;
            older = newer;
            newer = next;
        }
    }
}

ntk_status ntk_gaussian_rule_new(ntk_ctx *ctx, struct ntk_gaussian_rule *rule)
{
    const size_t n = 2 * PANELS * POINTS;

    *rule = (struct ntk_gaussian_rule){.n = (int)n,
                                       .z = ntk_alloc(ctx, n, sizeof *rule->z),
                                       .w = ntk_alloc(ctx, n, sizeof *rule->w),
                                       .h = ntk_alloc(ctx, n * (NTK_HERMITE_MOST + 1), sizeof *rule->h)};
    if (!rule->z || !rule->w || !rule->h)
        return NTK_ENOMEM;
    set_nodes(rule);
    set_polynomials(rule);
    return NTK_OK;
}

void ntk_gaussian_rule_free(struct ntk_gaussian_rule *rule)
{
    free(rule->z);
    free(rule->w);
    free(rule->h);
}
