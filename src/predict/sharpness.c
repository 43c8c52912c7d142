/* SPDX-License-Identifier: MIT
 *
 * sharpness.c - class probabilities: how sharp a softmax of the outputs is to be.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static double deviation(int64_t n, int64_t outputs, const double *f, const double *weights, double total_weight)
{
    double mean = 0, sum = 0;

    for (int64_t i = 0; i < n * outputs; i++)
        mean += (weights ? weights[i / outputs] : 1) * f[i];
    mean /= total_weight * (double)outputs;
    for (int64_t i = 0; i < n * outputs; i++)
        sum += (weights ? weights[i / outputs] : 1) * (f[i] - mean) * (f[i] - mean);
    return sqrt(sum / (total_weight * (double)outputs));
}

/* Where the slope is 0, by halving in the logarithm of b. */
static double flat(int64_t n, int64_t outputs, const double *f, const double *y, const double *weights)
{
    double total = 0, scale, low, high;

    for (int64_t i = 0; i < n; i++)
        total += weights ? weights[i] : 1;
    scale = deviation(n, outputs, f, weights, total);
    scale = scale > 0 ? scale : 1;
    low = log(LOWEST / scale);
    high = log(HIGHEST / scale);
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

/* ---- equal samples of one class, which would know each other: one stands for them, with their weights */

struct row {
    const unsigned char *x;
    size_t bytes;
    int64_t label, i;
};

static int by_values(const void *a, const void *b)
{
    const struct row *r = a, *s = b;
    const int values = memcmp(r->x, s->x, r->bytes);

    return values ? values : r->label != s->label ? (r->label > s->label) - (r->label < s->label)
                                                  : (r->i > s->i) - (r->i < s->i);
}

static bool equal(const struct row *r, const struct row *s)
{
    return memcmp(r->x, s->x, r->bytes) == 0 && r->label == s->label;
}

/* All rows with equal ones side by side; how many differ. */
static int64_t sort_rows(const ntk_model *m, struct row *rows)
{
    const size_t bytes = (size_t)ntk_features_of(m->x->shape) * m->x->dtype;
    int64_t different = 1;

    for (int64_t i = 0; i < m->n; i++) {
        rows[i] = (struct row){(const unsigned char *)m->x->x + (size_t)i * bytes, bytes, 0, i};
        for (int64_t k = 1; k < m->outputs; k++)
            if (m->y[k * m->n + i] > m->y[rows[i].label * m->n + i])
                rows[i].label = k;
    }
    qsort(rows, (size_t)m->n, sizeof *rows, by_values);
    for (int64_t i = 1; i < m->n; i++)
        different += !equal(&rows[i - 1], &rows[i]);
    return different;
}

/* Of those that differ: their numbers, targets [n][outputs], weights, and what is added to the diagonal. */
struct distinct {
    int64_t n, *rows;
    double *y, *weights, *ridge;
};

static void unite(const ntk_model *m, const struct row *rows, const double *ridge, struct distinct *d)
{
    int64_t k = -1;

    for (int64_t j = 0; j < m->n; j++) {
        const int64_t i = rows[j].i;

        if (j == 0 || !equal(&rows[j - 1], &rows[j])) {
            d->rows[++k] = i;
            d->weights[k] = d->ridge[k] = 0;
            for (int64_t c = 0; c < m->outputs; c++)
                d->y[k * m->outputs + c] = m->y[c * m->n + i];
        }
        d->weights[k] += m->weights ? m->weights[i] : 1;
        d->ridge[k] += 1 / ridge[i]; /* noise's precisions add up */
    }
    for (k = 0; k < d->n; k++)
        d->ridge[k] = 1 / d->ridge[k];
}

static ntk_status sharpness(const ntk_model *m, const double *weights, double *b)
{
    const size_t bytes = (size_t)(m->n * m->outputs) * sizeof(double);
    double *f;
    ntk_status status;

    NTK_TRY(ntk_ctx_hold(m->ctx, bytes, "a table of leave-one-out outputs"));
    f = ntk_alloc(m->ctx, bytes, 1);
    status = f ? ntk_model_own_leave_one_out(m, f, NULL) : NTK_ENOMEM;
    ntk_ctx_release(m->ctx, bytes);
    if (status == NTK_OK)
        *b = flat(m->n, m->outputs, f, m->y, weights);
    free(f);
    return status;
}

/* By a model of those that differ, without time and covariance. */
static ntk_status sharpness_of(const ntk_model *m, const struct distinct *d, double *b)
{
    ntk_fit_opts o = m->opts;
    ntk_data *x;
    ntk_model *model = NULL;
    ntk_status status;

    o.diag_reg = 0;
    o.noise = d->ridge;
    o.finite_time = o.covariance = o.keep = 0;
    o.solver = NULL;
    NTK_TRY(ntk_data_select(m->x, d->rows, d->n, &x));
    status = ntk_model_fit(m->ctx, m->net, x, d->y, m->outputs, &o, &model);
    if (status == NTK_OK)
        status = sharpness(model, d->weights, b);
    ntk_model_free(model);
    ntk_data_free(x);
    return status;
}

static ntk_status sharpness_of_distinct(const ntk_model *m, const struct row *rows, int64_t n, double *b)
{
    struct distinct d = {.n = n, .rows = ntk_alloc(m->ctx, (size_t)n, sizeof *d.rows)};
    double *numbers = ntk_alloc(m->ctx, (size_t)(n * (m->outputs + 2) + m->n), sizeof *numbers);
    ntk_status status = d.rows && numbers ? NTK_OK : NTK_ENOMEM;

    if (status == NTK_OK) {
        double *ridge = numbers + n * (m->outputs + 2);

        d.y = numbers;
        d.weights = d.y + n * m->outputs;
        d.ridge = d.weights + n;
        ntk_model_diagonal(m, m->solution->ridge, ridge);
        unite(m, rows, ridge, &d);
        status = sharpness_of(m, &d, b);
    }
    free(d.rows);
    free(numbers);
    return status;
}

ntk_status ntk_model_sharpness(const ntk_model *m, double *b)
{
    int64_t different = m->n;
    struct row *rows = NULL;
    ntk_status status;

    NTK_TRY(check_classes(m));
    NTK_TRY(ntk_model_solve(m));
    if (m->x && !m->land) { /* of which leaving out equal samples would need other solutions */
        rows = ntk_alloc(m->ctx, (size_t)m->n, sizeof *rows);
        if (!rows)
            return NTK_ENOMEM;
        different = sort_rows(m, rows);
    }
    status = different < m->n ? sharpness_of_distinct(m, rows, different, b) : sharpness(m, m->weights, b);
    free(rows);
    return status;
}
