/* SPDX-License-Identifier: MIT
 *
 * sharpness.c - class probabilities: how sharp a softmax of the outputs is to be.
 */
#include <math.h>
#include <stdlib.h>

#include "predict/model.h"

#define LOWEST  1e-2 /* times 1 / the outputs' deviation */
#define HIGHEST 1e4
#define HALVES  50

/* Derivative by b of the mean cross-entropy of softmax(b f) with targets that have `noise` spread over all
 * classes. It grows with b: the cross-entropy is convex. y is [outputs][n]; weights: of the samples, NULL: 1. */
static double slope(int64_t n, int64_t outputs, const double *f, const double *y, const double *weights, double total_weight,
                    double b)
{
    const double noise = 1 / (total_weight + 1);
    double sum = 0;

    for (int64_t i = 0; i < n; i++, f += outputs) {
        double most = f[0], total = 0, weighted = 0, mean = 0;
        int64_t label = 0;

        for (int64_t k = 1; k < outputs; k++) {
            most = fmax(most, f[k]);
            label = y[k * n + i] > y[label * n + i] ? k : label;
        }
        for (int64_t k = 0; k < outputs; k++) {
            const double p = exp(b * (f[k] - most));

            total += p;
            weighted += p * f[k];
            mean += f[k] / (double)outputs;
        }
        sum += (weights ? weights[i] : 1) * (weighted / total - (1 - noise) * f[label] - noise * mean);
    }
    return sum / total_weight;
}

static double deviation(const double *f, int64_t n)
{
    double mean = 0, sum = 0;

    for (int64_t i = 0; i < n; i++)
        mean += f[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        sum += (f[i] - mean) * (f[i] - mean);
    return sqrt(sum / (double)n);
}

/* Where the slope is 0, by halving in the logarithm of b. */
static double flat(int64_t n, int64_t outputs, const double *f, const double *y, const double *weights)
{
    double total = 0;
    const double scale = deviation(f, n * outputs), unit = scale > 0 ? scale : 1;
    double low = log(LOWEST / unit), high = log(HIGHEST / unit);

    for (int64_t i = 0; i < n; i++)
        total += weights ? weights[i] : 1;
    for (int k = 0; k < HALVES; k++) {
        const double middle = (low + high) / 2;

        if (slope(n, outputs, f, y, weights, total, exp(middle)) < 0)
            low = middle;
        else
            high = middle;
    }
    return exp((low + high) / 2);
}

/* Whether targets of a sample, y[k * stride], are 1 for one class and 0 for the others; or these minus 1 / outputs. */
static bool is_class(const double *y, int64_t stride, int64_t outputs)
{
    const double tiny = 1e-6, shift = 1 / (double)outputs; /* of rounding, in float32 too */
    double most = y[0], least = y[0], below = 0;

    for (int64_t k = 1; k < outputs; k++) {
        most = fmax(most, y[k * stride]);
        least = fmin(least, y[k * stride]);
    }
    for (int64_t k = 0; k < outputs; k++)
        below += most - y[k * stride];
    return (fabs(most - 1) < tiny || fabs(most - (1 - shift)) < tiny) && most - least < 1 + tiny &&
           fabs(below - (double)(outputs - 1)) < tiny * (double)outputs;
}

static ntk_status check_classes(const ntk_model *m)
{
    for (int64_t i = 0; i < m->n; i++)
        if (!is_class(m->y + i, m->n, m->outputs))
            return ntk_fail(m->ctx, NTK_EINVAL,
                            "class probabilities need targets of classes (NTK_ONEHOT or NTK_CENTERED): those of "
                            "sample %lld are of none",
                            (long long)i);
    return NTK_OK;
}

ntk_status ntk_model_sharpness(const ntk_model *model, double *b)
{
    const size_t bytes = (size_t)(model->n * model->outputs) * sizeof(double);
    double *f;
    ntk_status status;

    NTK_TRY(check_classes(model));
    NTK_TRY(ntk_ctx_hold(model->ctx, bytes, "a table of leave-one-out outputs"));
    f = ntk_alloc(model->ctx, bytes, 1);
    status = f ? ntk_model_own_leave_one_out(model, f, NULL) : NTK_ENOMEM;
    ntk_ctx_release(model->ctx, bytes);
    if (status == NTK_OK)
        *b = flat(model->n, model->outputs, f, model->y, model->weights);
    free(f);
    return status;
}
