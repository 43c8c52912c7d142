/* SPDX-License-Identifier: MIT
 *
 * GlobalAvgPool: the mean over all positions.
 *
 *   Sigma' = mean over positions p, p' of Sigma[p, p'];  Theta' likewise
 */
#include "layers/layer.h"

struct global_avg_pool {
    int64_t batch_axis, channel_axis;
};

static const struct ntk_param params[] = {
    {"batch_axis", NTK_TYPE_INTEGER, offsetof(struct global_avg_pool, batch_axis), "0", 0, 0, false,
     NULL, "axis of the samples; 0"},
    {"channel_axis", NTK_TYPE_INTEGER, offsetof(struct global_avg_pool, channel_axis), "-1", -1, -1,
     false, NULL, "axis of the channels; -1, the last"},
    {0},
};

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    (void)self, (void)n_in;
    if (in[0].spatial == 0)
        return ntk_fail_at(
            at, NTK_ESHAPE,
            "needs samples with positions, [w][c] or [h][w][c], its input is a vector "
            "of %lld",
            (long long)in[0].c);
    *out = (ntk_shape){.spatial = 0, .h = 1, .w = 1, .c = in[0].c};
    return NTK_OK;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const double n = (double)ntk_positions(in->shape);

    (void)self, (void)at, (void)n_in;
    out->sigma = ntk_graph_total(g, in->sigma, 1 / (n * n));
    out->theta = ntk_graph_total(g, in->theta, 1 / (n * n));
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    const struct ntk_window w = {
        .size = {(int)in->shape.h, (int)in->shape.w}, .stride = {1, 1}, .out = {1, 1}};

    (void)self, (void)at, (void)n_in;
    ntk_tape_pool(t, &w, 1.0 / (double)ntk_positions(in->shape), in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_global_avg_pool = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "GlobalAvgPool",
             .summary = "The mean over all positions",
             .formula = "S' = mean over positions p, p' of S[p,p'];  T' likewise",
             .source = "Arora et al. 2019, section 4",
             .cost = "a kernel of all pairs of positions",
             .params = params,
             .size = sizeof(struct global_avg_pool)},
    .positions = true,
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
