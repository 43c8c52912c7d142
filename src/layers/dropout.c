/* SPDX-License-Identifier: MIT
 *
 * Dropout: z = x m / rate with m = 1 with probability `rate`, else 0, drawn anew for every sample,
 * position and channel. Only a sample's covariance with itself feels it.
 *
 *   S'[i, i] = S[i, i] / rate,  T'[i, i] = T[i, i] / rate;  else S' = S, T' = T      mode 'train'
 */
#include "layers/layer.h"

struct dropout {
    double rate;
    int mode; /* 0 'train', 1 'test' */
};

static const struct ntk_param params[] = {
    {"rate", NTK_TYPE_NUMBER, offsetof(struct dropout, rate), NULL, 1e-6, 1, false, NULL,
     "probability that an activation is kept, 0 < rate <= 1"},
    {"mode", NTK_TYPE_CHOICE, offsetof(struct dropout, mode), "'train'", 0, 0, false, "train|test",
     "'train', or 'test': the layer does nothing"},
    {0},
};

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct dropout *d = self;
    const struct ntk_number factor = ntk_power("rate", d->rate, -1);

    (void)n_in;
    if (d->mode == 1)
        return NTK_OK;
    if (ntk_field_is_input(in))
        return ntk_fail_at(at, NTK_ETHEORY,
                           "cannot be the first layer: put it after an activation");
    out->sigma = ntk_graph_self(g, in->sigma, factor);
    out->theta = ntk_graph_self(g, in->theta, factor);
    out->gaussian = false;
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    const struct dropout *d = self;

    (void)t, (void)n_in;
    if (d->mode == 0)
        return ntk_fail_at(at, NTK_ENOTSUP,
                           "has no finite form in mode 'train', which draws factors anew for every "
                           "sample; use mode='test'");
    ntk_tape_reshape(in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_dropout = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "Dropout",
             .summary = "Keeps each activation with probability `rate` (neural-tangents' meaning)",
             .formula = "mode 'train': S'[i, i] = S[i, i] / rate, T'[i, i] = T[i, i] / rate; other "
                        "entries unchanged",
             .source = "Novak et al. 2020, section 3",
             .params = params,
             .size = sizeof(struct dropout)},
    .infinite = infinite,
    .finite = finite_form,
};
