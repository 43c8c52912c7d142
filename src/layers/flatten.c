/* SPDX-License-Identifier: MIT
 *
 * Flatten: all positions and channels of a sample become one vector; the kernel is the mean over
 * equal positions. Of an input that is just the input read as a vector.
 */
#include "layers/layer.h"

struct flatten {
    int64_t batch_axis, batch_axis_out;
};

static const struct ntk_param params[] = {
    {"batch_axis", NTK_TYPE_INTEGER, offsetof(struct flatten, batch_axis), "0", 0, 0, false, NULL,
     "axis of the samples; 0"},
    {"batch_axis_out", NTK_TYPE_INTEGER, offsetof(struct flatten, batch_axis_out), "0", 0, 0, false,
     NULL, "axis of the samples in the output; 0"},
    {0},
};

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    (void)self, (void)at, (void)n_in;
    *out = (ntk_shape){.spatial = 0, .h = 1, .w = 1, .c = ntk_features_of(in[0])};
    return NTK_OK;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const double n = (double)ntk_positions(in->shape);

    (void)self, (void)at, (void)n_in;
    if (in->shape.spatial > 0) {
        out->sigma = ntk_graph_trace(g, in->sigma, 1 / n);
        out->theta = ntk_graph_trace(g, in->theta, 1 / n);
    }
    out->gaussian = false;
    return NTK_OK;
}

const struct ntk_layer ntk_layer_flatten = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "Flatten",
             .summary = "Makes one vector of a sample's positions and channels",
             .formula = "S' = mean over positions p of S[p, p];  T' likewise",
             .source = "Arora et al. 2019, section 4",
             .params = params,
             .size = sizeof(struct flatten)},
    .positions = true,
    .shape = shape,
    .infinite = infinite,
    .finite = ntk_finite_reshape,
};
