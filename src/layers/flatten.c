/* SPDX-License-Identifier: MIT
 *
 * Flatten: all positions and channels of a sample become one vector; the kernel is the mean over
 * equal positions. Of an input that is just the input read as a vector.
 */
#include "layers/layer.h"

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
    (void)self, (void)g, (void)n_in;
    if (ntk_positions(in->shape) > 1 && !ntk_field_is_input(in))
        return ntk_fail_at(at, NTK_ENOTSUP,
                           "this version flattens inputs only, not layers with positions");
    out->gaussian = false;
    return NTK_OK;
}

const struct ntk_layer ntk_layer_flatten = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "Flatten",
             .summary = "Makes one vector of a sample's positions and channels",
             .formula = "S' = mean over positions p of S[p, p];  T' likewise",
             .source = "Arora et al. 2019, section 4"},
    .positions = true,
    .shape = shape,
    .infinite = infinite,
};
