/* SPDX-License-Identifier: MIT
 *
 * FanInSum: the sum of the branches of a parallel(...). The rule adds covariances, so branches must
 * be Gaussian and uncorrelated.
 */
#include "layers/fan_in.h"

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    double ones[NTK_BRANCHES_MAX];
    int sigma[NTK_BRANCHES_MAX], theta[NTK_BRANCHES_MAX];

    (void)self;
    NTK_TRY(ntk_fan_in_uncorrelated(at, n_in, in));
    for (int i = 0; i < n_in; i++) {
        if (n_in > 1 && !in[i].gaussian)
            return ntk_fail_at(at, NTK_ETHEORY,
                               "branch %d is not Gaussian: end it with an affine layer (Dense, Conv)",
                               i + 1);
        ones[i] = 1;
        sigma[i] = in[i].sigma;
        theta[i] = in[i].theta;
    }
    out->sigma = ntk_graph_mix(g, n_in, sigma, ones, 0);
    out->theta = ntk_graph_mix(g, n_in, theta, ones, 0);
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    (void)self, (void)at;
    ntk_tape_sum(t, n_in, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_fan_in_sum = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "FanInSum",
             .summary =
                 "Adds the branches of a parallel(...), which must be Gaussian and uncorrelated",
             .formula = "S' = sum of S_i;  T' = sum of T_i"},
    .many = true,
    .shape = ntk_fan_in_same_shape,
    .infinite = infinite,
    .finite = finite_form,
};
