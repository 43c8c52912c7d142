/* SPDX-License-Identifier: MIT
 *
 * select.c - some of the samples, as data of their own.
 */
#include <stdlib.h>

#include "data/parts.h"
#include "data/symmetry.h"

/* Row rows[i] of `from`, each of so many bytes, becomes row i of a new array of data's; NULL of NULL. */
static void *rows_of(ntk_data *data, const void *from, size_t bytes, const int64_t *rows, int64_t n, ntk_status *status)
{
    char *to = from && *status == NTK_OK ? ntk_part_room(data, n, bytes) : NULL;

    if (from && !to)
        *status = NTK_ENOMEM;
    for (int64_t i = 0; to && i < n; i++)
        memcpy(to + (size_t)i * bytes, (const char *)from + (size_t)rows[i] * bytes, bytes);
    return to;
}

static ntk_status select_edges(const ntk_data *data, const int64_t *rows, int64_t n, ntk_data *to)
{
    const int64_t *from = data->edge_offsets;

    if (!from)
        return NTK_OK;
    to->edge_offsets = ntk_part_room(to, n + 1, sizeof *to->edge_offsets);
    if (!to->edge_offsets)
        return NTK_ENOMEM;
    to->edge_offsets[0] = 0;
    for (int64_t i = 0; i < n; i++)
        to->edge_offsets[i + 1] = to->edge_offsets[i] + from[rows[i] + 1] - from[rows[i]];
    to->edges = ntk_part_room(to, 2 * to->edge_offsets[n], sizeof *to->edges);
    if (!to->edges)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < n; i++)
        memcpy(to->edges + 2 * to->edge_offsets[i], data->edges + 2 * from[rows[i]],
               2 * (size_t)(from[rows[i] + 1] - from[rows[i]]) * sizeof *to->edges);
    return NTK_OK;
}

ntk_status ntk_data_select(const ntk_data *data, const int64_t *rows, int64_t n, ntk_data **selected)
{
    const size_t outputs = (size_t)data->outputs * sizeof *data->y;
    const size_t features = (size_t)ntk_features_of(data->shape) * data->dtype;
    ntk_data *d;
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_data_alloc(data->ctx, data->dtype, n, data->shape, &d));
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)d->owned_x + (size_t)i * features, (const char *)data->x + (size_t)rows[i] * features, features);
    d->owned_y = d->owned_parts = true;
    d->outputs = data->outputs;
    d->positions = data->positions;
    d->image = data->image;
    d->copied = data->copied;
    d->symmetry = ntk_symmetry_hold(data->symmetry);
    d->classes = data->classes;
    d->schema = ntk_schema_hold(data->schema);
    d->y = rows_of(d, data->y, outputs, rows, n, &status);
    d->weights = rows_of(d, data->weights, sizeof *d->weights, rows, n, &status);
    d->noise = rows_of(d, data->noise, sizeof *d->noise, rows, n, &status);
    d->mask = rows_of(d, data->mask, (size_t)data->positions, rows, n, &status);
    if (status == NTK_OK)
        status = select_edges(data, rows, n, d);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *selected = d;
    return NTK_OK;
}
