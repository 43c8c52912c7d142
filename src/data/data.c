/* SPDX-License-Identifier: MIT
 *
 * data.c - samples in memory: views, slices, room for what is read.
 */
#include <math.h>
#include <stdlib.h>

#include "data/parts.h"
#include "data/symmetry.h"

/* n samples of a valid shape in bytes; false if no machine can hold them. */
static bool bytes_of(int64_t n, ntk_shape s, size_t size, size_t *bytes)
{
    return !__builtin_mul_overflow((size_t)n, (size_t)ntk_features_of(s), bytes) &&
           !__builtin_mul_overflow(*bytes, size, bytes) && *bytes <= PTRDIFF_MAX;
}

static ntk_status check(ntk_ctx *ctx, ntk_dtype dtype, int64_t n, ntk_shape s, size_t *bytes)
{
    if (dtype != NTK_F32 && dtype != NTK_F64)
        return ntk_fail(ctx, NTK_EINVAL, "dtype must be NTK_F32 or NTK_F64, got %d", (int)dtype);
    if (n < 1)
        return ntk_fail(ctx, NTK_EINVAL, "there must be at least 1 sample, got %lld", (long long)n);
    if (!ntk_shape_valid(s))
        return ntk_fail(ctx, NTK_ESHAPE,
                        "a sample must be {0, 1, 1, c}, {1, 1, w, c} or {2, h, w, c} with sizes "
                        ">= 1 of at most 2^31 - 1 numbers, got {%d, %lld, %lld, %lld}",
                        s.spatial, (long long)s.h, (long long)s.w, (long long)s.c);
    if (!bytes_of(n, s, dtype, bytes))
        return ntk_fail(ctx, NTK_ENOMEM, "%lld samples of %lld x %lld x %lld exceed any memory",
                        (long long)n, (long long)s.h, (long long)s.w, (long long)s.c);
    return NTK_OK;
}

static ntk_data *new_data(ntk_ctx *ctx, ntk_data value)
{
    ntk_data *data = ntk_alloc(ctx, 1, sizeof *data);

    if (data)
        *data = value;
    return data;
}

ntk_status ntk_data_alloc(ntk_ctx *ctx, ntk_dtype dtype, int64_t n, ntk_shape shape,
                          ntk_data **data)
{
    size_t bytes = 0;
    ntk_data *d;

    NTK_TRY(check(ctx, dtype, n, shape, &bytes));
    NTK_TRY(ntk_ctx_check_memory(ctx, bytes, "the data"));
    d = new_data(ctx, (ntk_data){.ctx = ctx, .dtype = dtype, .n = n, .shape = shape, .positions = ntk_positions(shape)});
    if (!d)
        return NTK_ENOMEM;
    d->x = d->owned_x = ntk_alloc(ctx, bytes, 1);
    if (!d->owned_x) {
        ntk_data_free(d);
        return NTK_ENOMEM;
    }
    ntk_ctx_keep(ctx, bytes, &d->held);
    *data = d;
    return NTK_OK;
}

ntk_status ntk_data_add_targets(ntk_data *data, int64_t outputs)
{
    const ntk_shape shape = {.spatial = 0, .h = 1, .w = 1, .c = outputs};
    size_t bytes = 0;

    NTK_TRY(check(data->ctx, NTK_F64, data->n, shape, &bytes));
    NTK_TRY(ntk_ctx_check_memory(data->ctx, bytes, "the data with its targets"));
    data->y = ntk_alloc(data->ctx, bytes, 1);
    if (!data->y)
        return NTK_ENOMEM;
    ntk_ctx_keep(data->ctx, bytes, &data->held);
    data->owned_y = true;
    data->outputs = outputs;
    return NTK_OK;
}

void ntk_data_free(ntk_data *data)
{
    if (!data)
        return;
    ntk_ctx_release(data->ctx, data->held);
    free(data->owned_x);
    if (data->owned_y)
        free(data->y);
    ntk_parts_free(data);
    ntk_schema_free(data->schema);
    ntk_symmetry_free(data->symmetry);
    free(data);
}

static ntk_status fail_at_feature(const ntk_data *data, int64_t i, int64_t k, double value)
{
    const ntk_shape s = data->shape;
    const long long sample = (long long)i, feature = (long long)k, channel = (long long)(k % s.c),
                    column = (long long)(k / s.c % s.w), row = (long long)(k / s.c / s.w);

    if (s.spatial == 0)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "sample %lld, feature %lld is %g: values must be finite", sample, feature,
                        value);
    if (s.spatial == 1)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "sample %lld, feature [%lld][%lld] is %g: values must be finite", sample,
                        column, channel, value);
    return ntk_fail(data->ctx, NTK_EINVAL,
                    "sample %lld, feature [%lld][%lld][%lld] is %g: values must be finite", sample,
                    row, column, channel, value);
}

ntk_status ntk_data_check_finite(const ntk_data *data)
{
    const int64_t features = ntk_features_of(data->shape);
    const int64_t total = data->n * features, targets = data->y ? data->n * data->outputs : 0;

    for (int64_t k = 0; k < total; k++) {
        const double value = ntk_data_get(data, (size_t)k);

        if (!isfinite(value))
            return fail_at_feature(data, k / features, k % features, value);
    }
    for (int64_t k = 0; k < targets; k++)
        if (!isfinite(data->y[k]))
            return ntk_fail(
                data->ctx, NTK_EINVAL, "target %lld of sample %lld is %g: targets must be finite",
                (long long)(k % data->outputs), (long long)(k / data->outputs), data->y[k]);
    return NTK_OK;
}

ntk_status ntk_data_view(ntk_ctx *ctx, const void *x, ntk_dtype dtype, int64_t n, ntk_shape shape,
                         ntk_data **data)
{
    ntk_data view = {.ctx = ctx, .x = x, .dtype = dtype, .n = n, .shape = shape};
    size_t bytes = 0;
    ntk_data *d;

    if (!x)
        return ntk_fail(ctx, NTK_EINVAL, "x is NULL");
    NTK_TRY(check(ctx, dtype, n, shape, &bytes));
    view.positions = ntk_positions(shape);
    NTK_TRY(ntk_data_check_finite(&view));
    d = new_data(ctx, view);
    if (!d)
        return NTK_ENOMEM;
    *data = d;
    return NTK_OK;
}

ntk_status ntk_data_slice(const ntk_data *data, int64_t first, int64_t n, ntk_data **slice)
{
    const size_t at = (size_t)first * (size_t)ntk_features_of(data->shape) * data->dtype;
    ntk_data *d;

    if (first < 0 || n < 1 || first > data->n - n)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "a slice of %lld samples from sample %lld does not lie in 0..%lld",
                        (long long)n, (long long)first, (long long)data->n - 1);
    d = new_data(data->ctx, *data);
    if (!d)
        return NTK_ENOMEM;
    d->x = (const char *)data->x + at;
    d->owned_x = NULL;
    d->held = 0;
    d->n = n;
    d->y = data->y ? data->y + first * data->outputs : NULL;
    d->owned_y = false;
    ntk_parts_skip(d, first);
    ntk_schema_hold(d->schema);
    ntk_symmetry_hold(d->symmetry);
    *slice = d;
    return NTK_OK;
}

int64_t ntk_data_n(const ntk_data *data)
{
    return data->n;
}

ntk_shape ntk_data_shape(const ntk_data *data)
{
    return data->shape;
}

ntk_dtype ntk_data_dtype(const ntk_data *data)
{
    return data->dtype;
}

const void *ntk_data_x(const ntk_data *data)
{
    return data->x;
}

const double *ntk_data_y(const ntk_data *data, int64_t *outputs)
{
    if (outputs)
        *outputs = data->outputs;
    return data->y;
}

void ntk_data_flatten(ntk_data *data)
{
    data->image = ntk_data_image(data);
    data->shape = (ntk_shape){.spatial = 0, .h = 1, .w = 1, .c = ntk_features_of(data->shape)};
}

void ntk_data_set_bytes(ntk_data *data, size_t first, const unsigned char *b, size_t count,
                        double scale)
{
    double value[256];

    for (int k = 0; k < 256; k++)
        value[k] = k / scale;
    for (size_t k = 0; k < count; k++)
        ntk_store(data->owned_x, data->dtype, first + k, value[b[k]]);
}

const char *ntk_dims_text(int ndim, const int64_t *dims, char *buf)
{
    int n = snprintf(buf, 128, "(");

    for (int k = 0; k < ndim && n < 100; k++)
        n += snprintf(buf + n, 128 - (size_t)n, "%s%lld", k ? ", " : "", (long long)dims[k]);
    snprintf(buf + n, 128 - (size_t)n, "%s)", ndim == 1 ? "," : "");
    return buf;
}

ntk_status ntk_dims_to_samples(ntk_ctx *ctx, int ndim, const int64_t *dims, int64_t *n,
                               ntk_shape *shape)
{
    bool ok = ndim >= 2 && ndim <= 4;
    char buf[128];

    for (int k = 0; ok && k < ndim; k++)
        ok = dims[k] >= 1;
    if (!ok)
        return ntk_fail(ctx, NTK_ESHAPE,
                        "samples must be [n][d], [n][w][c] or [n][h][w][c] with sizes >= 1, got an "
                        "array of shape %s",
                        ntk_dims_text(ndim, dims, buf));
    *n = dims[0];
    *shape = (ntk_shape){.spatial = ndim - 2,
                         .h = ndim == 4 ? dims[1] : 1,
                         .w = ndim > 2 ? dims[ndim - 2] : 1,
                         .c = dims[ndim - 1]};
    return NTK_OK;
}

ntk_status ntk_dims_to_targets(ntk_ctx *ctx, int ndim, const int64_t *dims, int64_t n,
                               int64_t *outputs)
{
    char buf[128];

    if ((ndim != 1 && ndim != 2) || dims[0] != n || (ndim == 2 && dims[1] < 1))
        return ntk_fail(ctx, NTK_ESHAPE,
                        "targets y must be [n] or [n][outputs] with n = %lld as in x, got an array "
                        "of shape %s",
                        (long long)n, ntk_dims_text(ndim, dims, buf));
    *outputs = ndim == 2 ? dims[1] : 1;
    return NTK_OK;
}
