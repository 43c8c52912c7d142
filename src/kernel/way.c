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

/* Samples' largest numbers become 2^TOP, so that small ones have most room, or 2^BOTTOM where the limit of small
 * samples is to hold; nearer to 1 in nets of higher degree. */
#define TOP    200
#define BOTTOM (-400)
#define SMALL  0x1p-45 /* what the limit leaves out, relative */

/* The power of x that a function is near 0. */
static int order_at_0(double (*f)(const void *, double), const void *self)
{
    const double h = 0x1p-60, y = f(self, h);

    if (f(self, 0) != 0)
        return 0;
    return y != 0 ? (int)lrint(log2(fabs(f(self, 2 * h) / y))) : ANY;
}

/* Of a dual whose operand has degree d. */
static int dual_degree(const struct ntk_node *v, int d, bool limit)
{
    const bool dot = v->op == NTK_OP_DUAL_DOT;
    int n;

    if (v->act->degree)
        n = v->act->degree(v->self) - dot;
    else if (limit && !v->act->unit_variance && d >= 0)
        n = order_at_0(dot ? v->act->df : v->act->f, v->self);
    else
        n = NONE;
    if (n < 0)
        return ANY;
    if (d == 0 || d == ANY)
        return 0;
    return n == NONE ? NONE : n * d;
}

/* All terms have one degree, which a constant makes 0; in the limit the least one is left. */
static int mix_degree(const struct ntk_node *v, const int *degree, bool limit)
{
    int d = v->constant != 0 ? 0 : ANY;

    for (int k = 0; k < v->n_in; k++) {
        const int term = degree[v->in[k]];

        if (v->coef[k] == 0 || term == ANY)
            continue;
        if (d != ANY && term != d && !limit)
            return NONE;
        d = d == ANY || term < d ? term : d;
    }
    return d;
}

/* Of a quotient; q is that of the variances. */
static int normal_degree(const struct ntk_node *v, int d, int q, bool limit)
{
    if (d == ANY || q == ANY)
        return d;
    return v->constant == 0 ? d - q : q == 0 || (limit && q > 0) ? d : NONE;
}

static int node_degree(const struct ntk_node *v, const int *degree, bool limit)
{
    int d = v->n_in ? degree[v->in[0]] : 1;

    for (int k = 0; k < v->n_in; k++)
        if (degree[v->in[k]] == NONE)
            return NONE;
    switch (v->op) {
    case NTK_OP_MIX:
        return mix_degree(v, degree, limit);
    case NTK_OP_PRODUCT:
        for (int k = 1; k < v->n_in; k++)
            d = d == ANY || degree[v->in[k]] == ANY ? ANY : d + degree[v->in[k]];
        return d;
    case NTK_OP_DUAL:
    case NTK_OP_DUAL_DOT:
        return dual_degree(v, d, limit);
    case NTK_OP_NORMALISE:
        return normal_degree(v, d, degree[v->in[1]], limit);
    default:
        return d;
    }
}

/* The largest degree of a node that is needed, at least 1; 0: the net is not homogeneous. */
static int find_degrees(const struct ntk_plan *plan, int *degree, bool limit)
{
    int most = 1;

    for (int v = 0; v < plan->graph.n; v++) {
        degree[v] = node_degree(&plan->graph.nodes[v], degree, limit);
        if (plan->needed[v] && degree[v] == NONE)
            return 0;
        if (degree[v] == ANY)
            continue;
        most = plan->needed[v] && abs(degree[v]) > most ? abs(degree[v]) : most;
    }
    return most;
}

static double largest(const ntk_data *x, int64_t i)
{
    const size_t n = (size_t)ntk_features_of(x->shape);
    double most = 0;

    for (size_t k = 0; k < n; k++)
        most = fmax(most, fabs(ntk_data_get(x, (size_t)i * n + k)));
    return most;
}

/* Exponents after which samples have the size 2^top; limit: only those that are too small. */
static void find_exponents(const ntk_data *x, int top, bool limit, int *exponent)
{
    for (int64_t i = 0; i < x->n; i++) {
        const double most = largest(x, i);

        exponent[i] = most > 0 && (!limit || most < 0x1p-450) ? top - ilogb(most) : 0;
    }
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
    most = find_degrees(plan, way->degree, false);
    if (!most && !plan->space) {
        most = find_degrees(plan, way->degree, true);
        way->limit = most > 0;
    }
    ntk_log(ctx, 0, "variances of some samples leave the range of float64%s",
            most ? ": these samples are multiplied by powers of two" : "");
    if (!most)
        return NTK_OK;
    way->exponent[0] = ntk_alloc(ctx, (size_t)(x1->n + (x2 ? x2->n : 0)), sizeof **way->exponent);
    if (!way->exponent[0])
        return NTK_ENOMEM;
    way->exponent[1] = way->exponent[0] + (x2 ? x1->n : 0);
    find_exponents(x1, (way->limit ? BOTTOM : TOP) / most, way->limit, way->exponent[0]);
    if (x2)
        find_exponents(x2, (way->limit ? BOTTOM : TOP) / most, way->limit, way->exponent[1]);
    return NTK_OK;
}

void ntk_way_free(struct ntk_way *way)
{
    free(way->exponent[0]);
    free(way->degree);
    *way = (struct ntk_way){.dtype = way->dtype};
}

double ntk_way_finish(const struct ntk_way *way, int node, int exponents, double value)
{
    if (!exponents || way->degree[node] == ANY)
        return value;
    return ldexp(value, -exponents * way->degree[node]);
}

/* Whether f is its power n of x near 0, to all digits, for numbers of that size. */
static bool is_power(double (*f)(const void *, double), const void *self, int n, double x)
{
    const double y = f(self, x), twice = f(self, 2 * x);

    return n == ANY ? y == 0 && twice == 0 : fabs(twice - ldexp(y, n)) <= SMALL * fabs(ldexp(y, n));
}

/* Of a normal variable's numbers. The function, as the dual's variance has only the square of what is left out. */
static bool dual_holds(const struct ntk_node *v, double q)
{
    double (*const f)(const void *, double) = v->op == NTK_OP_DUAL_DOT ? v->act->df : v->act->f;
    const double most = 8 * sqrt(q);
    const int n = order_at_0(f, v->self);

    return is_power(f, v->self, n, most) && is_power(f, v->self, n, -most);
}

double ntk_way_rest(const struct ntk_way *way, const struct ntk_graph *g, int node, const double *value,
                    size_t stride)
{
    const struct ntk_node *v = &g->nodes[node];
    const int *degree = way->degree;
    double rest = degree[node] < 0 && v->op == NTK_OP_MIX ? v->constant : 0;

    for (int k = 0; v->op == NTK_OP_MIX && k < v->n_in; k++)
        if (degree[v->in[k]] != degree[node] && degree[v->in[k]] != ANY)
            rest += v->coef[k] * value[(size_t)v->in[k] * stride];
    return rest;
}

/* A pair's rest is at most the root of the product of both samples', and what is left of the pair is of the size of
 * the root of theirs, unless it does not depend on their sizes: a constant above all. */
bool ntk_way_holds(const struct ntk_way *way, const struct ntk_graph *g, int node, double largest,
                   const double *value, size_t stride)
{
    const struct ntk_node *v = &g->nodes[node];
    const int *degree = way->degree;
    const double y = value[(size_t)node * stride], rest = ntk_way_rest(way, g, node, value, stride);

    if (v->op == NTK_OP_DUAL || v->op == NTK_OP_DUAL_DOT)
        return v->act->degree || degree[v->in[0]] <= 0 ||
               dual_holds(v, value[(size_t)v->in[0] * stride]);
    if (v->op == NTK_OP_NORMALISE && v->constant != 0)
        return degree[v->in[1]] <= 0 || value[(size_t)v->in[1] * stride] <= SMALL * v->constant;
    return rest <= SMALL * SMALL * y && (degree[node] != 0 || sqrt(rest) * sqrt(largest) <= SMALL * y);
}
