/* SPDX-License-Identifier: MIT
 *
 * What a convolution does to a node; to Sigma and Theta together: layers/conv.c.
 *
 * A convolution: the mean over the places a of a window of in[0][p + a, p' + a] (Arora et al. 2019,
 * arXiv 1904.11955, section 4).
 */
#include <limits.h>
#include <math.h>

#include "ops/windows.h"

static const struct ntk_window *args(const struct ntk_node *v) { return v->args; }

static double scale(const struct ntk_node *v)
{
    return 1.0 / ((double)args(v)->size[0] * args(v)->size[1]);
}

/* Windows keep offsets apart, unless the stride is more than 1 on an axis that wraps around. */
static void positions(struct ntk_graph *g, struct ntk_node *v)
{
    const struct ntk_window *w = args(v);
    const bool whole = w->stride[0] == 1 && w->stride[1] == 1 && w->out[0] == v->h && w->out[1] == v->w;

    v->h = w->out[0];
    v->w = w->out[1];
    if (g->cyclic ? whole : !w->wrap) {
        v->stride[0] *= w->stride[0];
        v->stride[1] *= w->stride[1];
    } else {
        v->place = NTK_LINKS;
        v->frame = -1;
    }
}

static struct ntk_link_axis axis(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    struct ntk_link_axis x = ntk_window_axis(args(v), ntk_node_in(g, v, 0), k);

    x.together = true;
    return x;
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = v->place == NTK_LINKS ? NTK_DO_LINK : NTK_DO_BOX;
    out->scale = scale(v);
    out->window = args(v);
}

static void variance(const struct ntk_variances *x)
{
    const struct ntk_node *in = ntk_node_in(x->g, x->v, 0);
    const struct ntk_window *w = args(x->v);
    const struct ntk_box_args box = {.in_rows = in->h,
                                     .in_columns = in->w,
                                     .in_pitch = (size_t)in->w,
                                     .out_rows = x->v->h,
                                     .out_columns = x->v->w,
                                     .out_pitch = (size_t)x->v->w,
                                     .size = {w->size[0], w->size[1]},
                                     .stride = {w->stride[0], w->stride[1]},
                                     .low = {w->low[0], w->low[1]},
                                     .wrap = w->wrap,
                                     .scale = scale(x->v),
                                     .in = x->in[0],
                                     .out = x->out[0],
                                     .lines = x->lines};

    x->simd->box(&box);
}

/* The least part of a window that is inside. */
static double least_inside(const struct ntk_window *w, const struct ntk_node *in)
{
    double part = 1;

    for (int k = 0; k < 2; k++) {
        const struct ntk_window_axis x = ntk_window_along(w, k, k ? in->w : in->h);
        double least = 1;

        for (int q = 0; q < w->out[k]; q++) {
            int first, last;

            ntk_window_inside(&x, q, &first, &last);
            least = fmin(least, (double)(last - first) / x.size);
        }
        part *= least;
    }
    return part;
}

/* Averages over windows. Where some of a window is 0 at least one position is not; where none is, what is
 * inside is left, and each convolution fills the gap by half of its window. */
static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *ranges, const struct ntk_dual *dual)
{
    const struct ntk_window *w = args(v);
    const struct ntk_node *in = ntk_node_in(g, v, 0);
    const struct ntk_range x = ranges[v->in[0]];
    const double n = (double)w->size[0] * w->size[1], inside = least_inside(w, in);
    const int high = in->h > 1 ? (w->size[0] - 1) / 2 : INT_MAX;
    const int wide = in->w > 1 ? (w->size[1] - 1) / 2 : INT_MAX, reach = high < wide ? high : wide;
    const bool whole = w->stride[0] == 1 && w->stride[1] == 1;
    struct ntk_range r = {x.lo * inside, x.hi, x.tiny / n, x.gap};

    (void)dual;
    if (x.gap == 0)
        r.tiny = x.tiny * inside;
    else
        r.gap = !whole || x.gap == NTK_ANY_GAP ? NTK_ANY_GAP : x.gap > reach ? x.gap - reach : 0;
    r.tiny = fmax(r.tiny, r.lo);
    return r;
}

static void print(const struct ntk_node *v, struct ntk_text *text) { ntk_window_print(args(v), text); }

const struct ntk_op ntk_op_conv = {.name = "conv",
                                   .results = 1,
                                   .positions = positions,
                                   .axis = axis,
                                   .instruct = instruct,
                                   .variance = variance,
                                   .range = range,
                                   .degree = ntk_degree_of_input,
                                   .print = print};

int ntk_graph_conv(struct ntk_graph *g, int in, const struct ntk_window *w)
{
    return in == NTK_ZERO ? NTK_ZERO : ntk_graph_add(g, &ntk_op_conv, 1, &in, w, sizeof *w, NULL);
}
