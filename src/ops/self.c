/* SPDX-License-Identifier: MIT
 *
 * in[0], times a factor for a sample with itself at the same position: Dropout, whose noise two samples
 * do not share even if they are equal. Number 0 is the factor.
 */
#include "ops/op.h"

static double factor(const struct ntk_node *v) { return *(const double *)v->args; }

static unsigned flags(const struct ntk_node *v, unsigned in)
{
    (void)v;
    return in | NTK_NOISY;
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = NTK_DO_COPY;
    out->constant = factor(v);
}

static void variance(const struct ntk_variances *x)
{
    const double f = factor(x->v);

    x->simd->mix(ntk_node_positions(x->v) * x->lanes, 1, x->in, &f, 0, x->out[0]);
}

static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual)
{
    struct ntk_range r = in[v->in[0]];

    (void)g;
    (void)dual;
    r.lo *= factor(v);
    r.hi *= factor(v);
    return r;
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_text_add(text, "times %.6g", factor(v));
}

const struct ntk_op ntk_op_self = {.name = "self",
                                   .results = 1,
                                   .flags = flags,
                                   .instruct = instruct,
                                   .variance = variance,
                                   .range = range,
                                   .degree = ntk_degree_of_input,
                                   .print = print};

int ntk_graph_self(struct ntk_graph *g, int in, struct ntk_number f)
{
    if (in == NTK_ZERO || (f.x == 1 && !ntk_is_kept(g, &f)))
        return in;
    return ntk_graph_add(g, &ntk_op_self, 1, &in, &f.x, sizeof f.x, ntk_graph_origin(g, NULL, 0, -1, f));
}
