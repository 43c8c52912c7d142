/* SPDX-License-Identifier: MIT
 *
 * scaler.c - standardisation: mean and deviation (1/n) of each feature, or of each channel over all
 * samples and positions; by the samples' weights, so that one of 2 is what two equal samples are.
 */
#include <math.h>
#include <stdlib.h>

#include "data/parts.h"

static int64_t stats_of(ntk_standardize kind, ntk_shape shape)
{
    return kind == NTK_STD_FEATURE ? ntk_features_of(shape) : kind == NTK_STD_CHANNEL ? shape.c : 0;
}

void ntk_scaler_free(ntk_scaler *scaler)
{
    if (!scaler)
        return;
    free(scaler->mean);
    free(scaler->deviation);
    free(scaler);
}

ntk_status ntk_scaler_new(ntk_ctx *ctx, ntk_standardize kind, ntk_shape shape, ntk_scaler **scaler)
{
    ntk_scaler *s = ntk_alloc(ctx, 1, sizeof *s);

    if (!s)
        return NTK_ENOMEM;
    *s = (ntk_scaler){.ctx = ctx, .kind = kind, .shape = shape, .n = stats_of(kind, shape)};
    s->mean = ntk_alloc_zero(ctx, (size_t)s->n, sizeof *s->mean);
    s->deviation = ntk_alloc(ctx, (size_t)s->n, sizeof *s->deviation);
    if (!s->mean || !s->deviation) {
        ntk_scaler_free(s);
        return NTK_ENOMEM;
    }
    for (int64_t k = 0; k < s->n; k++)
        s->deviation[k] = 1;
    *scaler = s;
    return NTK_OK;
}

ntk_status ntk_scaler_copy(const ntk_scaler *scaler, ntk_scaler **copy)
{
    ntk_scaler *c;

    NTK_TRY(ntk_scaler_new(scaler->ctx, scaler->kind, scaler->shape, &c));
    memcpy(c->mean, scaler->mean, (size_t)scaler->n * sizeof *c->mean);
    memcpy(c->deviation, scaler->deviation, (size_t)scaler->n * sizeof *c->deviation);
    *copy = c;
    return NTK_OK;
}

ntk_standardize ntk_scaler_kind(const ntk_scaler *scaler)
{
    return scaler->kind;
}

ntk_shape ntk_scaler_shape(const ntk_scaler *scaler)
{
    return scaler->shape;
}

int64_t ntk_scaler_numbers(const ntk_scaler *scaler, const double **mean, const double **deviation)
{
    *mean = scaler->mean;
    *deviation = scaler->deviation;
    return scaler->n;
}

/* Values are [rows][n]: a channel's statistics take each position as a row. */
static int64_t rows_of(const ntk_scaler *s, const ntk_data *data)
{
    return data->n * ntk_features_of(data->shape) / s->n;
}

/* Rows of values, and what each counts. */
struct rows {
    const ntk_data *data;
    int64_t n, each;       /* rows; of a sample */
    const double *weights; /* [samples]; NULL: all 1 */
    double largest, all;   /* weight; sum of them, in units of the largest */
};

/* In units of the largest weight, so that sums are finite. */
static double weight_of(const struct rows *r, int64_t i)
{
    return r->weights ? r->weights[i / r->each] / r->largest : 1;
}

static ntk_status weigh(struct rows *r)
{
    NTK_TRY(ntk_check_weights(r->data->ctx, r->weights, r->data->n, &r->largest));
    for (int64_t i = 0; i < r->n; i++)
        r->all += weight_of(r, i);
    return NTK_OK;
}

static void find_means(const struct rows *r, ntk_scaler *s)
{
    for (int64_t i = 0; i < r->n; i++) {
        const double w = weight_of(r, i);

        for (int64_t k = 0; k < s->n; k++)
            s->mean[k] += w * ntk_data_get(r->data, (size_t)(i * s->n + k));
    }
    for (int64_t k = 0; k < s->n; k++)
        s->mean[k] /= r->all;
}

static void find_deviations(const struct rows *r, ntk_scaler *s)
{
    for (int64_t k = 0; k < s->n; k++)
        s->deviation[k] = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const double w = weight_of(r, i);

        for (int64_t k = 0; k < s->n; k++) {
            const double d = ntk_data_get(r->data, (size_t)(i * s->n + k)) - s->mean[k];

            s->deviation[k] += w * (d * d);
        }
    }
    for (int64_t k = 0; k < s->n; k++)
        s->deviation[k] = sqrt(s->deviation[k] / r->all);
}

/* The next row from i on that counts; r->n: none. */
static int64_t counting(const struct rows *r, int64_t i)
{
    while (i < r->n && weight_of(r, i) == 0)
        i++;
    return i;
}

/* A constant's mean is rounded, and its deviation then not 0: equal values are what tells. */
static void find_constants(const struct rows *r, ntk_scaler *s)
{
    const int64_t start = counting(r, 0);

    for (int64_t k = 0; k < s->n; k++) {
        const double first = ntk_data_get(r->data, (size_t)(start * s->n + k));
        int64_t i = counting(r, start + 1);

        while (i < r->n && ntk_data_get(r->data, (size_t)(i * s->n + k)) == first)
            i = counting(r, i + 1);
        if (i == r->n) {
            s->mean[k] = first;
            s->deviation[k] = 1;
        }
    }
}

static ntk_status check_range(const ntk_scaler *s)
{
    for (int64_t k = 0; k < s->n; k++)
        if (!isfinite(s->mean[k]) || !isfinite(s->deviation[k]) || s->deviation[k] == 0)
            return ntk_fail(s->ctx, NTK_ENUMERIC,
                            "%s %lld cannot be standardised: its mean is %g, its deviation %g",
                            s->kind == NTK_STD_CHANNEL ? "channel" : "feature", (long long)k,
                            s->mean[k], s->deviation[k]);
    return NTK_OK;
}

static ntk_status find(const ntk_data *data, const double *weights, ntk_scaler *s)
{
    struct rows r = {.data = data, .n = rows_of(s, data), .weights = weights};

    r.each = r.n / data->n;
    NTK_TRY(weigh(&r));
    find_means(&r, s);
    find_deviations(&r, s);
    find_constants(&r, s);
    return check_range(s);
}

ntk_status ntk_scaler_fit(ntk_standardize kind, const ntk_data *data, const double *weights, ntk_scaler **scaler)
{
    ntk_status status = NTK_OK;
    ntk_scaler *s;

    if (kind != NTK_STD_NONE && kind != NTK_STD_FEATURE && kind != NTK_STD_CHANNEL)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "kind must be NTK_STD_NONE, NTK_STD_FEATURE or NTK_STD_CHANNEL, got %d",
                        (int)kind);
    NTK_TRY(ntk_scaler_new(data->ctx, kind, data->shape, &s));
    if (kind != NTK_STD_NONE)
        status = find(data, weights, s);
    if (status != NTK_OK) {
        ntk_scaler_free(s);
        return status;
    }
    *scaler = s;
    return NTK_OK;
}

ntk_status ntk_scaler_of_numbers(ntk_ctx *ctx, ntk_standardize kind, ntk_shape shape, const double *mean,
                                 const double *deviation, ntk_scaler **scaler)
{
    ntk_scaler *s;

    if (kind != NTK_STD_FEATURE && kind != NTK_STD_CHANNEL)
        return ntk_fail(ctx, NTK_EINVAL, "kind must be NTK_STD_FEATURE or NTK_STD_CHANNEL, got %d", (int)kind);
    if (!ntk_shape_valid(shape))
        return ntk_fail(ctx, NTK_EINVAL, "there is no such shape of samples");
    for (int64_t k = 0; k < stats_of(kind, shape); k++)
        if (!isfinite(mean[k]) || !isfinite(deviation[k]) || !(deviation[k] > 0))
            return ntk_fail(ctx, NTK_EINVAL,
                            "means must be finite, deviations finite and > 0: number %lld are %g and %g", (long long)k,
                            mean[k], deviation[k]);
    NTK_TRY(ntk_scaler_new(ctx, kind, shape, &s));
    memcpy(s->mean, mean, (size_t)s->n * sizeof *mean);
    memcpy(s->deviation, deviation, (size_t)s->n * sizeof *deviation);
    *scaler = s;
    return NTK_OK;
}

static bool same_shape(ntk_shape a, ntk_shape b)
{
    return a.spatial == b.spatial && a.h == b.h && a.w == b.w && a.c == b.c;
}

static void standardise(const ntk_scaler *s, const ntk_data *data, ntk_data *out)
{
    const int64_t rows = rows_of(s, data);

    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < s->n; k++) {
            const size_t at = (size_t)(i * s->n + k);
            const double value = (ntk_data_get(data, at) - s->mean[k]) / s->deviation[k];

            ntk_store(out->owned_x, out->dtype, at, value);
        }
}

ntk_status ntk_scaler_apply(const ntk_scaler *scaler, const ntk_data *data, ntk_data **scaled)
{
    ntk_ctx *ctx = data->ctx;
    ntk_status status = NTK_OK;
    char have[64], want[64];
    ntk_data *d;

    if (scaler->n && !same_shape(scaler->shape, data->shape))
        return ntk_fail(ctx, NTK_ESHAPE, "samples are %s, the standardisation was learned on %s",
                        ntk_shape_text(data->shape, have), ntk_shape_text(scaler->shape, want));
    NTK_TRY(ntk_data_alloc(ctx, data->dtype, data->n, data->shape, &d));
    if (data->y)
        status = ntk_data_add_targets(d, data->outputs);
    if (status == NTK_OK && data->y)
        memcpy(d->y, data->y, (size_t)(d->n * d->outputs) * sizeof *d->y);
    if (status == NTK_OK)
        status = ntk_parts_copy(data, d);
    d->classes = data->classes;
    d->schema = ntk_schema_hold(data->schema);
    if (scaler->n)
        standardise(scaler, data, d);
    else
        memcpy(d->owned_x, data->x, (size_t)(d->n * ntk_features_of(d->shape)) * d->dtype);
    if (status == NTK_OK)
        status = ntk_data_check_finite(d);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *scaled = d;
    return NTK_OK;
}
