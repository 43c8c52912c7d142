/* SPDX-License-Identifier: MIT
 *
 * The first covariance: x . x' / c at every pair of positions, c the channels (Novak et al. 2019,
 * arXiv 1810.05148, eq. 8). It is node 0 of every graph.
 */
#include "ops/op.h"

static void positions(struct ntk_graph *g, struct ntk_node *v)
{
    v->place = NTK_SAMPLES;
    v->plane = g->planes;
    v->h = g->planes ? g->h : 1;
    v->w = g->planes ? g->w : 1;
    v->frame = g->planes ? ntk_graph_frame(g, 0, v->h, v->w) : 0;
}

static unsigned flags(const struct ntk_node *v, unsigned in)
{
    (void)v;
    return in | NTK_SIGNED;
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    (void)v;
    out->id = NTK_DO_FIRST;
}

static int degree(const struct ntk_node *v, const int *in, bool limit)
{
    (void)v;
    (void)in;
    (void)limit;
    return 1;
}

const struct ntk_op ntk_op_input = {.name = "input",
                                    .results = 1,
                                    .positions = positions,
                                    .flags = flags,
                                    .instruct = instruct,
                                    .degree = degree};

int ntk_graph_input(struct ntk_graph *g) { return ntk_graph_add(g, &ntk_op_input, 0, NULL, NULL, 0, NULL); }
