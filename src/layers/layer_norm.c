/* SPDX-License-Identifier: MIT
 *
 * LayerNorm: z = (x - mean) / sqrt(variance + eps) over the channels, and the positions along the
 * other axes named, without learned scale or shift. In the limit the mean is 0 and the variance is
 * the field's, averaged over those positions.
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
    {"axis", NTK_TYPE_INTEGERS, offsetof(struct layer_norm, axis), "-1", -3, 3, false, NULL,
     "axes that are normalised together: -1, the channels, and perhaps those of positions, e.g. "
     "(1, 2, 3) for images"},
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

    if (l->axis.n == 0)
        return ntk_fail_at(at, NTK_EPARSE, "axis must name at least the channels (-1), got ()");
    for (int k = 1; k < l->axis.n; k++)
        for (int j = 0; j < k; j++)
            if (l->axis.v[j] == l->axis.v[k])
                return ntk_fail_at(at, NTK_EPARSE, "axis has %lld twice", (long long)l->axis.v[k]);
    return NTK_OK;
}

/* The axes of positions among those named; axis 0 is the samples', 1 + spatial the channels'. */
static ntk_status positions(const struct layer_norm *l, const struct ntk_where *at, ntk_shape in,
                            int *axes)
{
    const int n = in.spatial + 2;
    bool channels = false;

    *axes = 0;
    for (int k = 0; k < l->axis.n; k++) {
        const int64_t axis = l->axis.v[k] < 0 ? l->axis.v[k] + n : l->axis.v[k];

        if (axis < 1 || axis >= n)
            return ntk_fail_at(at, NTK_ESHAPE,
                               "axis %lld is not one of the channels or positions: 1 to %d, or -1 "
                               "to %d",
                               (long long)l->axis.v[k], n - 1, 1 - n);
        if (axis == n - 1)
            channels = true;
        else
            *axes |= in.spatial == 2 && axis == 1 ? NTK_AXIS_H : NTK_AXIS_W;
    }
    if (!channels)
        return ntk_fail_at(at, NTK_ETHEORY,
                           "axis must have the channels (-1) among it: statistics of positions alone "
                           "stay random in the limit");
    return NTK_OK;
}

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    int axes;

    (void)n_in;
    *out = in[0];
    return positions(self, at, in[0], &axes);
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct layer_norm *l = self;
    const struct ntk_number eps = ntk_power("eps", l->eps, 1);
    int axes;

    (void)n_in;
    NTK_TRY(positions(l, at, in->shape, &axes));
    if (!in->gaussian)
        return ntk_fail_at(at, NTK_ETHEORY,
                           "needs a Gaussian input: put an affine layer (Dense, Conv) before it");
    out->sigma = ntk_graph_normalise(g, in->sigma, in->sigma, axes, eps);
    out->theta = ntk_graph_normalise(g, in->theta, in->sigma, axes, eps);
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    const struct layer_norm *l = self;
    int axes;

    (void)n_in;
    NTK_TRY(positions(l, at, in->shape, &axes));
    ntk_tape_norm(t, axes, l->eps, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_layer_norm = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "LayerNorm",
             .summary =
                 "Normalises channels (and positions) of each sample to mean 0 and variance 1",
             .formula =
                 "S' = S / sqrt((q1 + eps) (q2 + eps));  T' = T / sqrt((q1 + eps) (q2 + eps))",
             .source = "Novak et al. 2020, section 3",
             .params = params,
             .size = sizeof(struct layer_norm),
             .check = check},
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
