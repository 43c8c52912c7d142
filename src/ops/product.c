/* SPDX-License-Identifier: MIT
 *
 * A product of nodes: the chain rule's factor D Theta, products of branches.
 */
#include "ops/op.h"

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    (void)v;
    out->id = NTK_DO_PRODUCT;
}

static void variance(const struct ntk_variances *x)
{
    x->simd->product(ntk_node_positions(x->v) * x->lanes, x->v->n_in, x->in, x->out[0]);
}

static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual)
{
    struct ntk_range r = in[v->in[0]];

    (void)g;
    (void)dual;
    for (int k = 1; k < v->n_in; k++) {
        r.lo *= in[v->in[k]].lo;
        r.hi *= in[v->in[k]].hi;
        r.tiny *= in[v->in[k]].tiny;
        r.gap = r.gap == 0 && in[v->in[k]].gap == 0 ? 0 : NTK_ANY_GAP;
    }
    return r;
}

static int degree(const struct ntk_node *v, const int *in, bool limit)
{
    int d = 0;

    (void)limit;
    for (int k = 0; k < v->n_in; k++)
        d = d == NTK_ANY_DEGREE || in[v->in[k]] == NTK_ANY_DEGREE ? NTK_ANY_DEGREE : d + in[v->in[k]];
    return d;
}

static bool vanishes(const struct ntk_node *v, const double *in)
{
    for (int k = 0; k < v->n_in; k++)
        if (in[k] == 0)
            return true;
    return false;
}

const struct ntk_op ntk_op_product = {.name = "product",
                                      .results = 1,
                                      .instruct = instruct,
                                      .variance = variance,
                                      .range = range,
                                      .degree = degree,
                                      .vanishes = vanishes};

int ntk_graph_product(struct ntk_graph *g, int n, const int *in)
{
    for (int i = 0; i < n; i++)
        if (in[i] == NTK_ZERO)
            return NTK_ZERO;
    return n == 1 ? in[0] : ntk_graph_add(g, &ntk_op_product, n, in, NULL, 0, NULL);
}
