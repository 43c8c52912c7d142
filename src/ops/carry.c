/* SPDX-License-Identifier: MIT
 *
 * in[0] in another frame, beside nodes of that frame: branches with and without pools.
 */
#include "ops/windows.h"

static void positions(struct ntk_graph *g, struct ntk_node *v)
{
    (void)g;
    v->place = NTK_LINKS;
    v->frame = *(const int *)v->args;
}

static struct ntk_link_axis axis(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    return ntk_every_axis(ntk_node_in(g, v, 0), k);
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    (void)v;
    out->id = NTK_DO_LINK;
    out->scale = 1;
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_text_add(text, "to frame %d", v->frame);
}

const struct ntk_op ntk_op_carry = {.name = "carry",
                                    .results = 1,
                                    .positions = positions,
                                    .axis = axis,
                                    .instruct = instruct,
                                    .range = ntk_range_of_input,
                                    .degree = ntk_degree_of_input,
                                    .print = print};

int ntk_graph_carry(struct ntk_graph *g, int in, int frame)
{
    return g->nodes[in].frame == frame
               ? in
               : ntk_graph_add(g, &ntk_op_carry, 1, &in, &frame, sizeof frame, NULL);
}
