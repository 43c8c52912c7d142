/* SPDX-License-Identifier: MIT
 *
 * parts.c - see parts.h.
 */
#include "data/parts.h"
#include "data/symmetry.h"

#include <math.h>
#include <stdlib.h>

const struct ntk_part_kind ntk_part_kinds[NTK_N_PARTS] = {
    [NTK_PART_X] = {"x", "X", "the samples", false},
    [NTK_PART_Y] = {"y", "Y", "the targets", false},
    [NTK_PART_WEIGHTS] = {"weights", NULL, "the weight of each sample, [n]", false},
    [NTK_PART_MASK] = {"mask", NULL, "the positions that each sample has, [n][h][w] or [n][w]", true},
    [NTK_PART_EDGE_OFFSETS] = {"edge_offsets", NULL, "where each sample's edges begin and the last one's end, [n + 1]",
                               true},
    [NTK_PART_EDGES] = {"edges", NULL, "the positions that edges go from and to, [edges of all samples][2]", true},
    [NTK_PART_NOISE] = {"noise", NULL, "the variance of each target's noise, [n]", false},
};

void *ntk_part_room(ntk_data *data, int64_t count, size_t size)
{
    const size_t bytes = (size_t)count * size;
    void *p;

    if (ntk_ctx_check_memory(data->ctx, bytes, "the data with all its parts") != NTK_OK)
        return NULL;
    p = ntk_alloc(data->ctx, bytes, 1);
    if (p)
        ntk_ctx_keep(data->ctx, bytes, &data->held);
    return p;
}

/* ---- from arrays */

/* The sizes that the array must have beside x. */
static int sizes_of(const struct ntk_filling *f, ntk_part part, int64_t dims[3])
{
    const ntk_shape s = f->data->shape;

    dims[0] = part == NTK_PART_EDGE_OFFSETS ? f->n + 1 : part == NTK_PART_EDGES ? f->n_edges : f->n;
    if (part == NTK_PART_EDGES)
        dims[1] = 2;
    if (part == NTK_PART_MASK) {
        dims[1] = s.spatial == 2 ? s.h : s.w;
        dims[2] = s.w;
    }
    return part == NTK_PART_EDGES ? 2 : part == NTK_PART_MASK ? 1 + s.spatial : 1;
}

#define ELSE "call the array otherwise if it is another"

static ntk_status check_sizes(const struct ntk_filling *f, ntk_part part, int ndim, const int64_t *dims)
{
    const struct ntk_part_kind *kind = &ntk_part_kinds[part];
    char have[128], text[128];
    int64_t want[3];
    int n;
    bool same;

    if (kind->of_positions && f->data->shape.spatial == 0)
        return ntk_fail(f->ctx, NTK_ESHAPE,
                        "%s is %s, but samples of the shape [n][d] have no positions: " ELSE, kind->name,
                        kind->what);
    if (part == NTK_PART_EDGES && !f->data->edge_offsets)
        return ntk_fail(f->ctx, NTK_EINVAL, "there are edges, but no edge_offsets, %s: add them, or " ELSE,
                        ntk_part_kinds[NTK_PART_EDGE_OFFSETS].what);
    n = sizes_of(f, part, want);
    same = n == ndim;
    for (int k = 0; same && k < n; k++)
        same = dims[k] == want[k];
    if (same)
        return NTK_OK;
    return ntk_fail(f->ctx, NTK_ESHAPE, "%s must have the shape %s beside these samples, got %s: it is %s; " ELSE,
                    kind->name, ntk_dims_text(n, want, text), ntk_dims_text(ndim, dims, have), kind->what);
}

/* No number, or none of 0, 1, ..., most. */
static bool is_no_place(double value, double most)
{
    return !(value >= 0 && value <= most && value == floor(value));
}

/* Weights or noise, one number a sample. */
static ntk_status check_numbers(const ntk_data *data, ntk_part part, const double *x)
{
    for (int64_t i = 0; i < data->n; i++)
        if (!isfinite(x[i]) || x[i] < 0)
            return ntk_fail(data->ctx, NTK_EINVAL, "%s of sample %lld is %g: it must be finite and >= 0",
                            part == NTK_PART_WEIGHTS ? "the weight" : "the noise", (long long)i, x[i]);
    return NTK_OK;
}

static ntk_status fill_numbers(const struct ntk_filling *f, ntk_part part, ntk_part_rows_fn *read, void *array)
{
    ntk_data *d = f->data;
    double *x = ntk_part_room(d, d->n, sizeof *x);

    if (!x)
        return NTK_ENOMEM;
    if (part == NTK_PART_WEIGHTS)
        d->weights = x;
    else
        d->noise = x;
    NTK_TRY(read(array, d->n, x, NTK_F64));
    return check_numbers(d, part, x);
}

static ntk_status put_mask(const struct ntk_filling *f, const double *values)
{
    ntk_data *d = f->data;

    d->mask = ntk_part_room(d, d->n * d->positions, sizeof *d->mask);
    if (!d->mask)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < d->n * d->positions; k++) {
        if (is_no_place(values[k], 1))
            return ntk_fail(f->ctx, NTK_EINVAL, "position %lld of sample %lld has the mask %g: expected 0 or 1",
                            (long long)(k % d->positions), (long long)(k / d->positions), values[k]);
        d->mask[k] = values[k] > 0;
    }
    return NTK_OK;
}

/* All that the file has: the last says how many edges there are. */
static ntk_status put_edge_offsets(struct ntk_filling *f, const double *values)
{
    ntk_data *d = f->data;

    d->edge_offsets = ntk_part_room(d, d->n + 1, sizeof *d->edge_offsets);
    if (!d->edge_offsets)
        return NTK_ENOMEM;
    for (int64_t i = 0; i <= f->n; i++) {
        if (i == 0 && values[0] != 0)
            return ntk_fail(f->ctx, NTK_EINVAL, "edge offset 0 is %g: offsets must begin at 0", values[0]);
        if (is_no_place(values[i], 0x1p53) || (i && values[i] < values[i - 1]))
            return ntk_fail(f->ctx, NTK_EINVAL,
                            "edge offset %lld is %g: offsets must be integers from 0 to 2^53, none less than "
                            "the one before it",
                            (long long)i, values[i]);
        if (i <= d->n)
            d->edge_offsets[i] = (int64_t)values[i];
    }
    f->n_edges = (int64_t)values[f->n];
    return NTK_OK;
}

static ntk_status put_edges(const struct ntk_filling *f, const double *values)
{
    ntk_data *d = f->data;
    const int64_t n = 2 * d->edge_offsets[d->n];

    d->edges = ntk_part_room(d, n, sizeof *d->edges);
    if (!d->edges)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < n; k++) {
        if (is_no_place(values[k], (double)(d->positions - 1)))
            return ntk_fail(f->ctx, NTK_EINVAL, "edge %lld goes %s position %g: samples have positions 0 to %lld",
                            (long long)(k / 2), k % 2 ? "to" : "from", values[k], (long long)d->positions - 1);
        d->edges[k] = (int32_t)values[k];
    }
    return NTK_OK;
}

static ntk_status put(struct ntk_filling *f, ntk_part part, const double *values)
{
    return part == NTK_PART_MASK           ? put_mask(f, values)
           : part == NTK_PART_EDGE_OFFSETS ? put_edge_offsets(f, values)
                                           : put_edges(f, values);
}

/* Parts that are integers are checked as float64, which all element types become, and converted. */
static ntk_status fill_integers(struct ntk_filling *f, ntk_part part, int ndim, const int64_t *dims,
                                ntk_part_rows_fn *read, void *array)
{
    const ntk_data *d = f->data;
    const int64_t rows = part == NTK_PART_MASK ? d->n : part == NTK_PART_EDGES ? d->edge_offsets[d->n] : dims[0];
    size_t row = 1;
    double *values;
    ntk_status status;

    for (int k = 1; k < ndim; k++)
        row *= (size_t)dims[k];
    NTK_TRY(ntk_ctx_check_memory(f->ctx, (size_t)rows * row * sizeof *values, "a part of the data in float64"));
    values = ntk_alloc(f->ctx, (size_t)rows * row, sizeof *values);
    if (!values)
        return NTK_ENOMEM;
    status = rows ? read(array, rows, values, NTK_F64) : NTK_OK;
    if (status == NTK_OK)
        status = put(f, part, values);
    free(values);
    return status;
}

static ntk_status fill_x(struct ntk_filling *f, int ndim, const int64_t *dims, ntk_part_rows_fn *read, void *array)
{
    const ntk_load_opts *opts = f->opts;
    ntk_shape shape;

    NTK_TRY(ntk_dims_to_samples(f->ctx, ndim, dims, &f->n, &shape));
    NTK_TRY(ntk_data_alloc(f->ctx, opts->dtype, ntk_limited(opts, f->n), shape, &f->data));
    return read(array, f->data->n, f->data->owned_x, opts->dtype);
}

static ntk_status fill_y(struct ntk_filling *f, int ndim, const int64_t *dims, ntk_part_rows_fn *read, void *array)
{
    int64_t outputs = 0;

    NTK_TRY(ntk_dims_to_targets(f->ctx, ndim, dims, f->n, &outputs));
    NTK_TRY(ntk_data_add_targets(f->data, outputs));
    return read(array, f->data->n, f->data->y, NTK_F64);
}

ntk_status ntk_part_fill(struct ntk_filling *f, ntk_part part, int ndim, const int64_t *dims,
                         ntk_part_rows_fn *read, void *array)
{
    ntk_data *d = f->data;

    if (part == NTK_PART_X)
        return fill_x(f, ndim, dims, read, array);
    if (part == NTK_PART_Y)
        return fill_y(f, ndim, dims, read, array);
    d->owned_parts = true;
    NTK_TRY(check_sizes(f, part, ndim, dims));
    return part == NTK_PART_WEIGHTS || part == NTK_PART_NOISE ? fill_numbers(f, part, read, array)
                                                              : fill_integers(f, part, ndim, dims, read, array);
}

ntk_status ntk_parts_end(const struct ntk_filling *f)
{
    if (f->data->edge_offsets && !f->data->edges)
        return ntk_fail(f->ctx, NTK_EINVAL, "there are edge_offsets, but no edges, %s: add them, or " ELSE,
                        ntk_part_kinds[NTK_PART_EDGES].what);
    return NTK_OK;
}

/* ---- in memory */

const void *ntk_data_part(const ntk_data *data, ntk_part part)
{
    switch (part) {
    case NTK_PART_X:
        return data->x;
    case NTK_PART_Y:
        return data->y;
    case NTK_PART_WEIGHTS:
        return data->weights;
    case NTK_PART_MASK:
        return data->mask;
    case NTK_PART_EDGE_OFFSETS:
        return data->edge_offsets;
    case NTK_PART_EDGES:
        return data->edges;
    case NTK_PART_NOISE:
        return data->noise;
    }
    return NULL;
}

/* *to = a copy of what is there. */
static ntk_status copy(ntk_data *data, const void *from, int64_t count, size_t size, void **to)
{
    if (!from)
        return NTK_OK;
    *to = ntk_part_room(data, count, size);
    if (!*to)
        return NTK_ENOMEM;
    memcpy(*to, from, (size_t)count * size);
    return NTK_OK;
}

ntk_status ntk_parts_copy(const ntk_data *from, ntk_data *to)
{
    const int64_t n = from->n, *offsets = from->edge_offsets;
    void *copies[5] = {NULL};
    ntk_status status;

    to->owned_parts = true;
    to->positions = from->positions;
    to->image = from->image;
    to->copied = from->copied;
    to->symmetry = ntk_symmetry_hold(from->symmetry);
    status = copy(to, from->weights, n, sizeof *from->weights, &copies[0]);
    if (status == NTK_OK)
        status = copy(to, from->noise, n, sizeof *from->noise, &copies[4]);
    if (status == NTK_OK)
        status = copy(to, from->mask, n * from->positions, sizeof *from->mask, &copies[1]);
    if (status == NTK_OK)
        status = copy(to, offsets, n + 1, sizeof *offsets, &copies[2]);
    if (status == NTK_OK && offsets)
        status = copy(to, from->edges + 2 * offsets[0], 2 * (offsets[n] - offsets[0]), sizeof *from->edges, &copies[3]);
    to->weights = copies[0];
    to->noise = copies[4];
    to->mask = copies[1];
    to->edge_offsets = copies[2];
    to->edges = copies[3];
    for (int64_t i = n; to->edges && i >= 0; i--)
        to->edge_offsets[i] -= to->edge_offsets[0];
    return status;
}

void ntk_parts_free(ntk_data *data)
{
    if (!data->owned_parts)
        return;
    free(data->weights);
    free(data->noise);
    free(data->mask);
    free(data->edge_offsets);
    free(data->edges);
}

void ntk_parts_skip(ntk_data *data, int64_t first)
{
    data->owned_parts = false;
    data->weights = data->weights ? data->weights + first : NULL;
    data->noise = data->noise ? data->noise + first : NULL;
    data->mask = data->mask ? data->mask + first * data->positions : NULL;
    data->edge_offsets = data->edge_offsets ? data->edge_offsets + first : NULL;
}
