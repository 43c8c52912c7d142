/* SPDX-License-Identifier: MIT
 *
 * FanInProd: the elementwise product of the branches of a parallel(...), which must be uncorrelated.
 */
#include "layers/fan_in.h"

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    double ones[NTK_BRANCHES_MAX];
    int sigma[NTK_BRANCHES_MAX], terms[NTK_BRANCHES_MAX];

    (void)self;
    NTK_TRY(ntk_fan_in_uncorrelated(at, n_in, in));
    for (int i = 0; i < n_in; i++)
        sigma[i] = in[i].sigma;
    for (int i = 0; i < n_in; i++) {
        ones[i] = 1;
        sigma[i] = in[i].theta;
        terms[i] = ntk_graph_product(g, n_in, sigma);
        sigma[i] = in[i].sigma;
    }
    out->sigma = ntk_graph_product(g, n_in, sigma);
    out->theta = ntk_graph_mix(g, n_in, terms, ones, 0);
    out->gaussian = out->gaussian && n_in == 1;
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    (void)self, (void)at;
    ntk_tape_product(t, n_in, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_fan_in_prod = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "FanInProd",
             .summary = "Multiplies the branches of a parallel(...), which must be uncorrelated",
             .formula = "S' = product of S_i;  T' = sum over i of T_i times the other S_j"},
    .many = true,
    .shape = ntk_fan_in_same_shape,
    .infinite = infinite,
    .finite = finite_form,
};
