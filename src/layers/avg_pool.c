/* SPDX-License-Identifier: MIT
 *
 * AvgPool: the mean over a window of positions.
 *
 *   Sigma'[p, p'] = mean over places a, b of the window of Sigma[p + a, p' + b];  Theta' likewise
 */
#include "layers/layer.h"

struct avg_pool {
    struct ntk_integers window_shape, strides;
    int padding;
    bool normalize_edges;
    int64_t batch_axis, channel_axis;
};

static const struct ntk_param params[] = {
    {"window_shape", NTK_TYPE_INTEGERS, offsetof(struct avg_pool, window_shape), NULL, 1, 1e6,
     false, NULL, "size of the window, (rows, columns), or (size,) for sequences"},
    {"strides", NTK_TYPE_INTEGERS, offsetof(struct avg_pool, strides), "None", 1, 1e6, true, NULL,
     "step from one window to the next along each axis; None: 1"},
    {"padding", NTK_TYPE_CHOICE, offsetof(struct avg_pool, padding), "'VALID'", 0, 0, false,
     NTK_PADDING_CHOICES,
     "'VALID': only whole windows, rows and columns that fill none are dropped; 'SAME': zeros "
     "around "
     "the image; 'CIRCULAR': it wraps around"},
    {"normalize_edges", NTK_TYPE_BOOL, offsetof(struct avg_pool, normalize_edges), "False", 0, 0,
     false, NULL,
     "with 'SAME': divide by the number of positions inside the image, not by the window's size"},
    {"batch_axis", NTK_TYPE_INTEGER, offsetof(struct avg_pool, batch_axis), "0", 0, 0, false, NULL,
     "axis of the samples; 0"},
    {"channel_axis", NTK_TYPE_INTEGER, offsetof(struct avg_pool, channel_axis), "-1", -1, -1, false,
     NULL, "axis of the channels; -1, the last"},
    {0},
};

static ntk_status window(const struct avg_pool *l, const struct ntk_where *at, ntk_shape in,
                         struct ntk_window *w)
{
    NTK_TRY(ntk_window_make(at, "window_shape", &l->window_shape, &l->strides, l->padding, in, w));
    w->true_count = l->normalize_edges && l->padding == NTK_SAME;
    return NTK_OK;
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
    return ((const struct avg_pool *)self)->padding == NTK_CIRCULAR;
}

static ntk_status infinite(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    const struct avg_pool *l = self;
    struct ntk_window w;
    double n;

    (void)n_in;
    NTK_TRY(window(l, at, in->shape, &w));
    n = w.true_count ? 1 : (double)w.size[0] * w.size[1];
    out->sigma = ntk_graph_pool(g, in->sigma, &w, 1 / (n * n));
    out->theta = ntk_graph_pool(g, in->theta, &w, 1 / (n * n));
    return NTK_OK;
}

static ntk_status finite_form(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    const struct avg_pool *l = self;
    struct ntk_window w;

    (void)n_in;
    NTK_TRY(window(l, at, in->shape, &w));
    ntk_tape_pool(t, &w, w.true_count ? 1 : 1.0 / w.size[0] / w.size[1], in, out);
    return NTK_OK;
}

const struct ntk_layer ntk_layer_avg_pool = {
    .base = {.kind = NTK_CLASS_LAYER,
             .name = "AvgPool",
             .summary = "The mean over windows of positions",
             .formula =
                 "S'[p,p'] = mean over places a, b of the window of S[p+a,p'+b];  T' likewise",
             .source = "Arora et al. 2019, section 4; Shankar et al. 2020",
             .cost = "a kernel of all pairs of positions up to the window's width apart, or of all "
                     "pairs if another pool follows",
             .params = params,
             .size = sizeof(struct avg_pool)},
    .positions = true,
    .wraps = wraps,
    .shape = shape,
    .infinite = infinite,
    .finite = finite_form,
};
