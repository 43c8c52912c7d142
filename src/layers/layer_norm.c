/* SPDX-License-Identifier: MIT
 *
 * LayerNorm: z = (x - mean) / sqrt(variance + eps) over the channels, without learned scale or
 * shift. In the limit the mean is 0 and the variance is the field's.
 *
 *   S' = S / sqrt((q1 + eps) (q2 + eps)),  T' = T / sqrt((q1 + eps) (q2 + eps))
 */
#include "layers/layer.h"

struct layer_norm {
    struct ntk_integers axis;
    double eps;
    int64_t batch_axis, channel_axis;
};

static const struct ntk_param params[] = {
    {"axis", NTK_TYPE_INTEGERS, offsetof(struct layer_norm, axis), "-1", -1, -1, false, NULL,
     "axes that are normalised together; -1, the channels"},
    {"eps", NTK_TYPE_NUMBER, offsetof(struct layer_norm, eps), "1e-12", 0, 1e6, false, NULL,
     "added to the variance, >= 0"},
    {"batch_axis", NTK_TYPE_INTEGER, offsetof(struct layer_norm, batch_axis), "0", 0, 0, false,
     NULL, "axis of the samples; 0"},
    {"channel_axis", NTK_TYPE_INTEGER, offsetof(struct layer_norm, channel_axis), "-1", -1, -1,
     false, NULL, "axis of the channels; -1, the last"},
    {0},
};

static ntk_status check(void *self, const struct ntk_where *at)
{
    const struct layer_norm *l = self;

    if (l->axis.n != 1)
        return ntk_fail_at(at, NTK_EPARSE, "axis must be -1, got %d axes", l->axis.n);
    return NTK_OK;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct layer_norm *l = self;

    (void)n_in;
    if (!in->gaussian)
        return ntk_fail_at(at, NTK_ETHEORY,
                           "needs a Gaussian input: put an affine layer (Dense, Conv) before it");
    out->sigma = ntk_graph_normalise(g, in->sigma, in->sigma, l->eps);
    out->theta = ntk_graph_normalise(g, in->theta, in->sigma, l->eps);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_layer_norm = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "LayerNorm",
             .summary = "Normalises the channels of each sample to mean 0 and variance 1",
             .formula = "S' = S / sqrt((q1 + eps) (q2 + eps));  T' = T / sqrt((q1 + eps) (q2 + eps))",
             .source = "Novak et al. 2020, section 3",
             .params = params,
             .size = sizeof(struct layer_norm),
             .check = check},
    .infinite = infinite,
};
