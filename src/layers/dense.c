/* SPDX-License-Identifier: MIT
 *
 * Dense: z = (W_std / sqrt(n_in)) W x + b_std b, with W, b ~ N(0, 1) (parameterization 'ntk'), or
 *        z = W x / sqrt(s0) + b with W ~ N(0, W_std^2 s0 / n_in), b ~ N(0, b_std^2) ('standard'; the
 *        layer then has s1 out_dim units).
 *
 *   Sigma' = W_std^2 Sigma + b_std^2
 *   Theta' = Sigma' + W_std^2 Theta                              'ntk'
 *   Theta' = (n_in / s0) Sigma + W_std^2 Theta (+ 1 if biased)   'standard'
 *   Theta' = W_std^2 Theta                                       not trainable
 */
#include <math.h>

#include "layers/layer.h"

struct dense {
    int64_t out_dim;
    double W_std, b_std; /* b_std is NAN for None */
    int64_t batch_axis, channel_axis;
    int parameterization; /* 0 'ntk', 1 'standard' */
    struct ntk_integers s;
    bool trainable;
};

static const struct ntk_param params[] = {
    {"out_dim", NTK_TYPE_INTEGER, offsetof(struct dense, out_dim), NULL, 1, 1e9, false, NULL,
     "width of the layer, at least 1"},
    {"W_std", NTK_TYPE_NUMBER, offsetof(struct dense, W_std), "1.0", 0, 1e6, false, NULL,
     "standard deviation of the weights, >= 0"},
    {"b_std", NTK_TYPE_NUMBER, offsetof(struct dense, b_std), "None", 0, 1e6, true, NULL,
     "standard deviation of the biases, >= 0; None: no biases"},
    {"batch_axis", NTK_TYPE_INTEGER, offsetof(struct dense, batch_axis), "0", 0, 0, false, NULL,
     "axis of the samples; 0"},
    {"channel_axis", NTK_TYPE_INTEGER, offsetof(struct dense, channel_axis), "-1", -1, -1, false,
     NULL, "axis of the channels; -1, the last"},
    {"parameterization", NTK_TYPE_CHOICE, offsetof(struct dense, parameterization), "'ntk'", 0, 0,
     false, "ntk|standard", "'ntk' or 'standard' (improved standard, Sohl-Dickstein et al. 2020)"},
    {"s", NTK_TYPE_INTEGERS, offsetof(struct dense, s), "(1, 1)", 1, 1e9, false, NULL,
     "integer width multipliers before and after the layer, for 'standard'"},
    {"trainable", NTK_TYPE_BOOL, offsetof(struct dense, trainable), "True", 0, 0, false, NULL,
     "False: the weights stay as initialised and add nothing to the tangent kernel"},
    {0},
};

static ntk_status check(void *self, const struct ntk_where *at)
{
    const struct dense *d = self;

    if (d->s.n != 2)
        return ntk_fail_at(at, NTK_EPARSE, "s must be two integers, got %d", d->s.n);
    return NTK_OK;
}

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    const struct dense *d = self;

    (void)at, (void)n_in;
    *out = in[0];
    out->c = d->out_dim * (d->parameterization == 0 ? 1 : d->s.v[1]);
    return NTK_OK;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct dense *d = self;
    const bool biased = !isnan(d->b_std);
    const double w2 = d->W_std * d->W_std, b2 = biased ? d->b_std * d->b_std : 0;
    const int from[] = {in->sigma, in->theta};

    (void)at, (void)n_in;
    ntk_field_new_root(g, out);
    out->sigma = ntk_graph_affine(g, in->sigma, w2, b2);
    if (!d->trainable)
        out->theta = ntk_graph_affine(g, in->theta, w2, 0);
    else if (d->parameterization == 0)
        out->theta = ntk_graph_mix(g, 2, from, (double[]){w2, w2}, b2);
    else
        out->theta = ntk_graph_mix(g, 2, from, (double[]){(double)in->shape.c / (double)d->s.v[0], w2},
                                   biased ? 1 : 0);
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    const struct dense *d = self;
    const double n = (double)in->shape.c, s0 = (double)d->s.v[0];
    const bool ntk = d->parameterization == 0;
    const struct ntk_affine affine = {
        .W_scale = ntk ? d->W_std / sqrt(n) : 1 / sqrt(s0),
        .b_scale = ntk ? d->b_std : 1,
        .W_std = ntk ? 1 : d->W_std * sqrt(s0 / n),
        .b_std = ntk && !isnan(d->b_std) ? 1 : d->b_std,
        .trainable = d->trainable,
    };

    (void)n_in;
    ntk_tape_affine(t, at->name, &affine, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_dense = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "Dense",
             .summary = "Fully connected layer, applied at every position",
             .formula = "S' = W^2 S + b^2;  ntk: T' = S' + W^2 T;  standard: T' = (n_in/s0) S + "
                        "W^2 T (+ 1 with biases);  not trainable: T' = W^2 T",
             .source = "Jacot et al. 2018, Theorem 1; Sohl-Dickstein et al. 2020, eq. 12",
             .params = params,
             .size = sizeof(struct dense),
             .check = check},
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
