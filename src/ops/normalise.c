/* SPDX-License-Identifier: MIT
 *
 * in[0] / sqrt((q1 + eps) (q2 + eps)), q the variances of in[1], averaged over axes of positions:
 * LayerNorm, whose mean is 0 in the limit. Number 0 is eps.
 */
#include <math.h>

#include "ops/op.h"

struct normalise {
    double eps;
    int64_t axes; /* NTK_AXIS_ bits */
};

static const struct normalise *args(const struct ntk_node *v) { return v->args; }

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = NTK_DO_SCALE;
    out->constant = args(v)->eps;
    out->axes = (int)args(v)->axes;
}

static int sides(const struct ntk_node *v, const struct ntk_dual *dual)
{
    (void)v;
    (void)dual;
    return 1;
}

/* 1 / sqrt(q + eps) at one position of one lane. */
static double inverse_root(const struct ntk_variances *x, size_t i, size_t j, size_t lane)
{
    const size_t h = (size_t)x->v->h, w = (size_t)x->v->w;
    const bool rows = args(x->v)->axes & NTK_AXIS_H, columns = args(x->v)->axes & NTK_AXIS_W;
    const size_t i0 = rows ? 0 : i, i1 = rows ? h : i + 1, j0 = columns ? 0 : j, j1 = columns ? w : j + 1;
    const double *q = x->in[1];
    double sum = 0;

    for (size_t a = i0; a < i1; a++)
        for (size_t b = j0; b < j1; b++)
            sum += q[(a * w + b) * x->lanes + lane];
    sum = sum / (double)((i1 - i0) * (j1 - j0)) + args(x->v)->eps;
    return sum > 0 ? 1 / sqrt(sum) : 0;
}

static void variance(const struct ntk_variances *x)
{
    const double *in = x->in[0];
    const size_t w = (size_t)x->v->w, n = ntk_node_positions(x->v) * x->lanes;

    for (size_t k = 0; k < n; k++)
        x->side[k] = inverse_root(x, k / x->lanes / w, k / x->lanes % w, k % x->lanes);
    for (size_t k = 0; x->out[0] && k < n; k++)
        x->out[0][k] = in[k] * x->side[k] * x->side[k];
}

static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual)
{
    const struct ntk_range x = in[v->in[0]], q = in[v->in[1]];
    const double n = (args(v)->axes & NTK_AXIS_H ? v->h : 1) *
                     (double)(args(v)->axes & NTK_AXIS_W ? v->w : 1);
    const double lo = q.lo + args(v)->eps, hi = q.hi + args(v)->eps;

    (void)g;
    (void)dual;
    return (struct ntk_range){hi > 0 ? x.lo / hi : 0, fmin(lo > 0 ? x.hi / lo : HUGE_VAL, n),
                              hi > 0 ? x.tiny / hi : HUGE_VAL, q.gap == 0 ? x.gap : NTK_ANY_GAP};
}

static int degree(const struct ntk_node *v, const int *in, bool limit)
{
    const int d = in[v->in[0]], q = in[v->in[1]];

    if (d == NTK_ANY_DEGREE || q == NTK_ANY_DEGREE)
        return d;
    return args(v)->eps == 0 ? d - q : q == 0 || (limit && q > 0) ? d : NTK_NO_DEGREE;
}

/* A quotient is not lost. */
static bool vanishes(const struct ntk_node *v, const double *in)
{
    (void)v;
    (void)in;
    return true;
}

static bool holds(const struct ntk_limit *x, const struct ntk_node *v)
{
    const int q = v->in[1];

    return args(v)->eps == 0 || x->degree[q] <= 0 ||
           x->value[(size_t)q * x->stride] <= NTK_LIMIT_SMALL * args(v)->eps;
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_text_add(text, "eps=%.6g%s%s", args(v)->eps, args(v)->axes & NTK_AXIS_H ? " over rows" : "",
                 args(v)->axes & NTK_AXIS_W ? " over columns" : "");
}

const struct ntk_op ntk_op_normalise = {.name = "normalise",
                                        .results = 1,
                                        .instruct = instruct,
                                        .variance = variance,
                                        .sides = sides,
                                        .range = range,
                                        .degree = degree,
                                        .vanishes = vanishes,
                                        .holds = holds,
                                        .print = print};

int ntk_graph_normalise(struct ntk_graph *g, int in, int sigma, int axes, struct ntk_number eps)
{
    const struct normalise n = {.eps = eps.x, .axes = axes};

    if (in == NTK_ZERO)
        return NTK_ZERO;
    return ntk_graph_add(g, &ntk_op_normalise, 2, (int[]){in, ntk_graph_materialise(g, sigma)}, &n,
                         sizeof n, ntk_graph_origin(g, NULL, 0, -1, eps));
}
