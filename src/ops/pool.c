/* SPDX-License-Identifier: MIT
 *
 * A pool: scale times the sum over places a, b of a window of in[0][p + a, p' + b]. How windows' overlaps become
 * weights: engine/link.c.
 */
#include "ops/windows.h"

struct pool {
    double scale;
    struct ntk_window window;
};

static const struct pool *args(const struct ntk_node *v) { return v->args; }

static void positions(struct ntk_graph *g, struct ntk_node *v)
{
    (void)g;
    v->place = NTK_LINKS;
    v->h = args(v)->window.out[0];
    v->w = args(v)->window.out[1];
    v->frame = -1;
}

static struct ntk_link_axis axis(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    return ntk_window_axis(&args(v)->window, ntk_node_in(g, v, 0), k);
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = NTK_DO_LINK;
    out->scale = args(v)->scale;
}

static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual)
{
    const struct ntk_range x = in[v->in[0]];
    const struct ntk_window *w = &args(v)->window;
    const double n = (double)w->size[0] * w->size[1];

    (void)g;
    (void)dual;
    return (struct ntk_range){0, x.hi * (w->true_count ? 1 : n * n * args(v)->scale), x.tiny / (n * n),
                              x.gap == 0 ? 0 : NTK_ANY_GAP};
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_window_print(&args(v)->window, text);
    ntk_text_add(text, ", times %.6g", args(v)->scale);
}

const struct ntk_op ntk_op_pool = {.name = "pool",
                                   .results = 1,
                                   .positions = positions,
                                   .axis = axis,
                                   .instruct = instruct,
                                   .range = range,
                                   .degree = ntk_degree_of_input,
                                   .print = print};

int ntk_graph_pool(struct ntk_graph *g, int in, const struct ntk_window *w, double scale)
{
    const struct pool p = {.scale = scale, .window = *w};

    return in == NTK_ZERO ? NTK_ZERO : ntk_graph_add(g, &ntk_op_pool, 1, &in, &p, sizeof p, NULL);
}
