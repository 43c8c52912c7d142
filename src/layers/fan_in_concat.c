/* SPDX-License-Identifier: MIT
 *
 * FanInConcat: the branches of a parallel(...) side by side along the channels. A kernel is a mean
 * over channels, so each branch counts by its width.
 */
#include "layers/fan_in.h"

struct concat {
    int64_t axis;
};

static const struct ntk_param params[] = {
    {"axis", NTK_TYPE_INTEGER, offsetof(struct concat, axis), "-1", -1, -1, false, NULL,
     "axis of concatenation; -1, the channels"},
    {0},
};

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    ntk_shape sum = in[0];
    char a[64], b[64];

    (void)self;
    for (int i = 1; i < n_in; i++) {
        if (in[i].spatial != sum.spatial || in[i].h != sum.h || in[i].w != sum.w)
            return ntk_fail_at(at, NTK_ESHAPE, "branches 1 and %d have different positions: %s and %s",
                               i + 1, ntk_shape_text(in[0], a), ntk_shape_text(in[i], b));
        sum.c += in[i].c;
    }
    *out = sum;
    return NTK_OK;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    double share[NTK_BRANCHES_MAX];
    int sigma[NTK_BRANCHES_MAX], theta[NTK_BRANCHES_MAX];

    (void)self, (void)at;
    for (int i = 0; i < n_in; i++) {
        share[i] = (double)in[i].shape.c / (double)out->shape.c;
        sigma[i] = in[i].sigma;
        theta[i] = in[i].theta;
    }
    out->sigma = ntk_graph_mix(g, n_in, sigma, share, 0);
    out->theta = ntk_graph_mix(g, n_in, theta, share, 0);
    out->gaussian = out->gaussian && n_in == 1;
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    (void)self, (void)at;
    ntk_tape_concat(t, n_in, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_fan_in_concat = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "FanInConcat",
             .summary = "Puts the branches of a parallel(...) side by side along the channels",
             .formula = "S' = sum of c_i S_i / sum of c_i, c_i the widths;  T' likewise",
             .params = params,
             .size = sizeof(struct concat)},
    .many = true,
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
