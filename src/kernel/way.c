/* SPDX-License-Identifier: MIT
 *
 * way.c - see way.h.
 */
#include "kernel/way.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "activations/activation.h"

#define NONE INT_MAX /* not homogeneous */
#define ANY  INT_MIN /* 0 everywhere, which is of any degree */
#define TOP  200     /* samples' largest numbers become 2^TOP, so that small ones have most room; less in
                      * nets of higher degree */

/* Of a dual whose operand has degree d. */
static int dual_degree(const struct ntk_node *v, int d)
{
    const int n = v->act->degree ? v->act->degree(v->self) : NONE;

    if (n == 0 && v->op == NTK_OP_DUAL_DOT)
        return ANY;
    if (d == 0 || d == ANY)
        return 0;
    return n == NONE ? NONE : (v->op == NTK_OP_DUAL ? n : n - 1) * d;
}

/* All terms have one degree, which a constant makes 0. */
static int mix_degree(const struct ntk_node *v, const int *degree)
{
    int d = v->constant != 0 ? 0 : ANY;

    for (int k = 0; k < v->n_in; k++) {
        if (v->coef[k] == 0 || degree[v->in[k]] == ANY)
            continue;
        if (d != ANY && degree[v->in[k]] != d)
            return NONE;
        d = degree[v->in[k]];
    }
    return d;
}

/* Of a quotient; q is that of the variances. */
static int normal_degree(const struct ntk_node *v, int d, int q)
{
    if (d == ANY || q == ANY)
        return d;
    return v->constant == 0 ? d - q : q == 0 ? d : NONE;
}

static int node_degree(const struct ntk_node *v, const int *degree)
{
    int d = v->n_in ? degree[v->in[0]] : 1;

    for (int k = 0; k < v->n_in; k++)
        if (degree[v->in[k]] == NONE)
            return NONE;
    switch (v->op) {
    case NTK_OP_MIX:
        return mix_degree(v, degree);
    case NTK_OP_PRODUCT:
        for (int k = 1; k < v->n_in; k++)
            d = d == ANY || degree[v->in[k]] == ANY ? ANY : d + degree[v->in[k]];
        return d;
    case NTK_OP_DUAL:
    case NTK_OP_DUAL_DOT:
        return dual_degree(v, d);
    case NTK_OP_NORMALISE:
        return normal_degree(v, d, degree[v->in[1]]);
    default:
        return d;
    }
}

/* The largest degree of a node that is needed, at least 1; 0: the net is not homogeneous. */
static int find_degrees(const struct ntk_plan *plan, int *degree)
{
    int most = 1;

    for (int v = 0; v < plan->graph.n; v++) {
        degree[v] = node_degree(&plan->graph.nodes[v], degree);
        if (plan->needed[v] && degree[v] == NONE)
            return 0;
        if (degree[v] == ANY)
            continue;
        most = plan->needed[v] && abs(degree[v]) > most ? abs(degree[v]) : most;
    }
    return most;
}

static double largest(const ntk_data *x)
{
    const size_t n = x ? (size_t)x->n * (size_t)ntk_features_of(x->shape) : 0;
    double most = 0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(ntk_data_get(x, i)));
    return most;
}

ntk_status ntk_way_next(ntk_ctx *ctx, const struct ntk_plan *plan, const ntk_data *x1,
                        const ntk_data *x2, struct ntk_way *way)
{
    int most;

    if (way->dtype == NTK_F32) {
        ntk_log(ctx, 0, "variances leave the range of float32: computed in float64, then rounded");
        way->dtype = NTK_F64;
        return NTK_OK;
    }
    way->last = true;
    way->degree = ntk_alloc(ctx, (size_t)plan->graph.n, sizeof *way->degree);
    if (!way->degree)
        return NTK_ENOMEM;
    most = find_degrees(plan, way->degree);
    if (most)
        way->exponent = TOP / most - ilogb(fmax(largest(x1), largest(x2)));
    ntk_log(ctx, 0, most ? "squares of samples leave the range of float64: computed for 2^%d times the "
                           "samples"
                         : "squares of some samples leave the range of float64",
            way->exponent);
    return NTK_OK;
}

double ntk_way_finish(const struct ntk_way *way, int node, double value)
{
    if (!way->exponent || way->degree[node] == ANY)
        return value;
    return ldexp(value, -2 * way->exponent * way->degree[node]);
}
