/* SPDX-License-Identifier: MIT
 *
 * SumPool: the sum over a window of positions.
 *
 *   Sigma'[p, p'] = sum over places a, b of the window of Sigma[p + a, p' + b];  Theta' likewise
 */
#include "layers/layer.h"

struct sum_pool {
    struct ntk_integers window_shape, strides;
    int padding;
    int64_t batch_axis, channel_axis;
};

static const struct ntk_param params[] = {
    {"window_shape", NTK_TYPE_INTEGERS, offsetof(struct sum_pool, window_shape), NULL, 1, 1e6,
     false, NULL, "size of the window, (rows, columns), or (size,) for sequences"},
    {"strides", NTK_TYPE_INTEGERS, offsetof(struct sum_pool, strides), "None", 1, 1e6, true, NULL,
     "step from one window to the next along each axis; None: 1"},
    {"padding", NTK_TYPE_CHOICE, offsetof(struct sum_pool, padding), "'VALID'", 0, 0, false,
     NTK_PADDING_CHOICES,
     "'VALID': only whole windows, rows and columns that fill none are dropped; 'SAME': zeros "
     "around "
     "the image; 'CIRCULAR': it wraps around"},
    {"batch_axis", NTK_TYPE_INTEGER, offsetof(struct sum_pool, batch_axis), "0", 0, 0, false, NULL,
     "axis of the samples; 0"},
    {"channel_axis", NTK_TYPE_INTEGER, offsetof(struct sum_pool, channel_axis), "-1", -1, -1, false,
     NULL, "axis of the channels; -1, the last"},
    {0},
};

static ntk_status window(const struct sum_pool *l, const struct ntk_where *at, ntk_shape in,
                         struct ntk_window *w)
{
    return ntk_window_make(at, "window_shape", &l->window_shape, &l->strides, l->padding, in, w);
}

static ntk_status shape(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out)
{
    struct ntk_window w;

    (void)n_in;
    NTK_TRY(window(self, at, in[0], &w));
    *out = ntk_window_shape(&w, in[0], in[0].c);
    return NTK_OK;
}

static bool wraps(const void *self)
{
    return ((const struct sum_pool *)self)->padding == NTK_CIRCULAR;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct sum_pool *l = self;
    struct ntk_window w;

    (void)n_in;
    NTK_TRY(window(l, at, in->shape, &w));
    out->sigma = ntk_graph_pool(g, in->sigma, &w, 1);
    out->theta = ntk_graph_pool(g, in->theta, &w, 1);
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_window w;

    (void)n_in;
    NTK_TRY(window(self, at, in->shape, &w));
    ntk_tape_pool(t, &w, 1, in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_sum_pool = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "SumPool",
             .summary = "The sum over windows of positions",
             .formula =
                 "S'[p,p'] = sum over places a, b of the window of S[p+a,p'+b];  T' likewise",
             .source = "Arora et al. 2019, section 4; Shankar et al. 2020",
             .cost = "a kernel of all pairs of positions up to the window's width apart, or of all "
                     "pairs if another pool follows",
             .params = params,
             .size = sizeof(struct sum_pool)},
    .positions = true,
    .wraps = wraps,
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
