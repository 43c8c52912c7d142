/* SPDX-License-Identifier: MIT
 *
 * Conv: weights over a window of positions, A(S)[p, p'] = mean over the window's places a of
 * S[p + a, p' + a]. With n_in = channels * window size:
 *        z = (W_std / sqrt(n_in)) sum_a W_a x[p + a] + b_std b   (parameterization 'ntk'), or
 *        z = sum_a W_a x[p + a] / sqrt(s0) + b with W ~ N(0, W_std^2 s0 / n_in), b ~ N(0, b_std^2)
 *        ('standard'; the layer then has s1 out_chan channels).
 *
 *   Sigma' = W_std^2 A(Sigma) + b_std^2
 *   Theta' = Sigma' + W_std^2 A(Theta)                                'ntk'
 *   Theta' = (n_in / s0) A(Sigma) + W_std^2 A(Theta) (+ 1 if biased)  'standard'
 *   Theta' = W_std^2 A(Theta)                                         not trainable
 */
#include <math.h>

#include "layers/layer.h"

struct conv {
    int64_t out_chan;
    struct ntk_integers filter_shape, strides;
    int padding;
    double W_std, b_std; /* b_std is NAN for None */
    struct ntk_integers dimension_numbers;
    int parameterization; /* 0 'ntk', 1 'standard' */
    struct ntk_integers s;
    bool trainable;
};

static const struct ntk_param params[] = {
    {"out_chan", NTK_TYPE_INTEGER, offsetof(struct conv, out_chan), NULL, 1, 1e9, false, NULL,
     "number of channels, at least 1"},
    {"filter_shape", NTK_TYPE_INTEGERS, offsetof(struct conv, filter_shape), NULL, 1, 1e6, false,
     NULL, "size of the filter, (rows, columns), or (size,) for sequences"},
    {"strides", NTK_TYPE_INTEGERS, offsetof(struct conv, strides), "None", 1, 1e6, true, NULL,
     "step from one place of the filter to the next along each axis; None: 1"},
    {"padding", NTK_TYPE_CHOICE, offsetof(struct conv, padding), "'VALID'", 0, 0, false,
     NTK_PADDING_CHOICES,
     "'VALID': only places inside the image; 'SAME': zeros around it; 'CIRCULAR': it wraps around"},
    {"W_std", NTK_TYPE_NUMBER, offsetof(struct conv, W_std), "1.0", 0, 1e6, false, NULL,
     "standard deviation of the weights, >= 0"},
    {"b_std", NTK_TYPE_NUMBER, offsetof(struct conv, b_std), "None", 0, 1e6, true, NULL,
     "standard deviation of the biases, >= 0; None: no biases"},
    {"dimension_numbers", NTK_TYPE_INTEGERS, offsetof(struct conv, dimension_numbers), "None", 0, 0,
     true, NULL, "None: arrays are samples, rows, columns, channels"},
    {"parameterization", NTK_TYPE_CHOICE, offsetof(struct conv, parameterization), "'ntk'", 0, 0,
     false, "ntk|standard", "'ntk' or 'standard' (improved standard, Sohl-Dickstein et al. 2020)"},
    {"s", NTK_TYPE_INTEGERS, offsetof(struct conv, s), "(1, 1)", 1, 1e9, false, NULL,
     "integer width multipliers before and after the layer, for 'standard'"},
    {"trainable", NTK_TYPE_BOOL, offsetof(struct conv, trainable), "True", 0, 0, false, NULL,
     "False: the weights stay as initialised and add nothing to the tangent kernel"},
    {0},
};

static ntk_status check(void *self, const struct ntk_where *at)
{
    const struct conv *c = self;

    if (c->s.n != 2)
        return ntk_fail_at(at, NTK_EPARSE, "s must be two integers, got %d", c->s.n);
    return NTK_OK;
}

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    const struct conv *c = self;
    const int64_t channels = c->out_chan * (c->parameterization == 0 ? 1 : c->s.v[1]);
    struct ntk_window w;

    (void)n_in;
    NTK_TRY(
        ntk_window_make(at, "filter_shape", &c->filter_shape, &c->strides, c->padding, in[0], &w));
    *out = ntk_window_shape(&w, in[0], channels);
    return NTK_OK;
}

static bool wraps(const void *self)
{
    return ((const struct conv *)self)->padding == NTK_CIRCULAR;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct conv *c = self;
    const bool biased = !isnan(c->b_std);
    const double w2 = c->W_std * c->W_std, b2 = biased ? c->b_std * c->b_std : 0;
    double from_sigma = w2, constant = b2;
    struct ntk_window w;
    int sum;

    (void)n_in;
    NTK_TRY(ntk_window_make(at, "filter_shape", &c->filter_shape, &c->strides, c->padding,
                            in->shape, &w));
    if (c->parameterization == 1) {
        from_sigma = (double)in->shape.c * w.size[0] * w.size[1] / (double)c->s.v[0];
        constant = biased ? 1 : 0;
    }
    if (!c->trainable)
        from_sigma = constant = 0;
    ntk_field_new_root(g, out);
    out->sigma = ntk_graph_affine(g, ntk_graph_conv(g, in->sigma, &w), w2, b2);
    /* Linear in both: one sum over the window for the two of them. */
    if (w2 > 0) {
        const double ratio = from_sigma / w2;

        sum = c->trainable
                  ? ntk_graph_mix(g, 2, (int[]){in->sigma, in->theta}, (double[]){ratio, 1}, 0)
                  : in->theta;
        out->theta = ntk_graph_affine(g, ntk_graph_conv(g, sum, &w), w2, constant);
    } else {
        sum = ntk_graph_conv(g, in->sigma, &w);
        out->theta = c->trainable ? ntk_graph_affine(g, sum, from_sigma, constant) : NTK_ZERO;
    }
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    const struct conv *c = self;
    const double s0 = (double)c->s.v[0];
    const bool ntk = c->parameterization == 0;
    struct ntk_affine affine = {
        .b_scale = ntk ? c->b_std : 1,
        .b_std = ntk && !isnan(c->b_std) ? 1 : c->b_std,
        .trainable = c->trainable,
    };
    struct ntk_window w;
    double n;

    (void)n_in;
    NTK_TRY(ntk_window_make(at, "filter_shape", &c->filter_shape, &c->strides, c->padding,
                            in->shape, &w));
    n = (double)in->shape.c * w.size[0] * w.size[1];
    affine.window = &w;
    affine.W_scale = ntk ? c->W_std / sqrt(n) : 1 / sqrt(s0);
    affine.W_std = ntk ? 1 : c->W_std * sqrt(s0 / n);
    ntk_tape_affine(t, at->name, &affine, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_conv = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "Conv",
             .summary = "Convolution over the positions of images or sequences",
             .formula =
                 "A(S)[p,p'] = mean over filter places a of S[p+a,p'+a];  S' = W^2 A(S) + b^2;  "
                 "ntk: T' = S' + W^2 A(T);  standard: T' = (n_in/s0) A(S) + W^2 A(T) (+ 1 "
                 "with biases);  not trainable: T' = W^2 A(T)",
             .source = "Arora et al. 2019, section 4; Novak et al. 2019, eq. 7",
             .cost = "one entry for each pair of equal positions if Flatten ends the net, for each "
                     "pair of positions if a pool does",
             .params = params,
             .size = sizeof(struct conv),
             .check = check},
    .positions = true,
    .wraps = wraps,
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
