/* SPDX-License-Identifier: MIT
 *
 * One number a pair of samples: a scale times the sum over positions p of in[0][p, p] (the trace: Flatten), or
 * over all p, p' of in[0][p, p'] (the total: global pools).
 */
#include "ops/windows.h"

struct sum {
    double scale;
    int64_t trace;
};

static const struct sum *args(const struct ntk_node *v) { return v->args; }

static void positions(struct ntk_graph *g, struct ntk_node *v)
{
    (void)g;
    v->place = NTK_SUMS;
    v->plane = false;
    v->h = v->w = v->stride[0] = v->stride[1] = 1;
}

static struct ntk_link_axis axis(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    struct ntk_link_axis x = ntk_every_axis(ntk_node_in(g, v, 0), k);

    x.only_trace = args(v)->trace;
    return x;
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = NTK_DO_LINK;
    out->scale = args(v)->scale;
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_text_add(text, "of %s, times %.6g", args(v)->trace ? "equal positions" : "all positions",
                 args(v)->scale);
}

const struct ntk_op ntk_op_sum = {.name = "sum",
                                  .results = 1,
                                  .positions = positions,
                                  .axis = axis,
                                  .instruct = instruct,
                                  .range = ntk_range_of_input,
                                  .degree = ntk_degree_of_input,
                                  .print = print};

static int sum(struct ntk_graph *g, int in, double scale, bool trace)
{
    const struct sum s = {.scale = scale, .trace = trace};

    return in == NTK_ZERO ? NTK_ZERO : ntk_graph_add(g, &ntk_op_sum, 1, &in, &s, sizeof s, NULL);
}

int ntk_graph_trace(struct ntk_graph *g, int in, double scale) { return sum(g, in, scale, true); }
int ntk_graph_total(struct ntk_graph *g, int in, double scale) { return sum(g, in, scale, false); }
