/* SPDX-License-Identifier: MIT
 *
 * Identity: z = x.
 */
#include "layers/layer.h"

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    (void)self, (void)at, (void)g, (void)n_in, (void)in, (void)out;
    return NTK_OK;
}

const struct ntk_layer ntk_layer_identity = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "Identity",
             .summary = "Passes its input on, for shortcuts",
             .formula = "S' = S;  T' = T"},
    .infinite = infinite,
    .finite = ntk_finite_reshape,
};
