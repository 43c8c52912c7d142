/* SPDX-License-Identifier: MIT
 *
 * precision.c - see precision.h.
 */
#include "engine/precision.h"

#include <math.h>
#include <stdlib.h>

/* Samples' largest numbers become 2^TOP, so that small ones have most room, or 2^BOTTOM where the limit of small
 * samples is to hold; nearer to 1 in nets of higher degree. */
#define TOP    200
#define BOTTOM (-400)

static int node_degree(const struct ntk_node *v, const int *degree, bool limit)
{
    for (int k = 0; k < v->n_in; k++)
        if (degree[v->in[k]] == NTK_NO_DEGREE)
            return NTK_NO_DEGREE;
    return v->op->degree(v, degree, limit);
}

/* The largest degree of a node that is used, at least 1; 0: the net is not homogeneous. */
static int find_degrees(const struct ntk_program *p, int *degree, bool limit)
{
    int most = 1;

    for (int v = 0; v < p->graph->n; v++) {
        degree[v] = node_degree(&p->graph->nodes[v], degree, limit);
        if (!p->used[v] || degree[v] == NTK_ANY_DEGREE)
            continue;
        if (degree[v] == NTK_NO_DEGREE)
            return 0;
        most = abs(degree[v]) > most ? abs(degree[v]) : most;
    }
    return most;
}

ntk_status ntk_precision_next(const struct ntk_program *p, struct ntk_precision *precision)
{
    int most;

    if (precision->dtype == NTK_F32) {
        ntk_log(p->ctx, 0, "variances leave the range of float32: computed in float64, then rounded");
        precision->dtype = NTK_F64;
        return NTK_OK;
    }
    precision->last = true;
    precision->degree = ntk_alloc(p->ctx, (size_t)p->graph->n, sizeof *precision->degree);
    if (!precision->degree)
        return NTK_ENOMEM;
    most = find_degrees(p, precision->degree, false);
    if (!most && p->vectors) {
        most = find_degrees(p, precision->degree, true);
        precision->limit = most > 0;
    }
    ntk_log(p->ctx, 0, "variances of some samples leave the range of float64%s",
            most ? ": these samples are multiplied by powers of two" : "");
    if (most) {
        precision->top = (precision->limit ? BOTTOM : TOP) / most;
    } else {
        free(precision->degree);
        precision->degree = NULL;
    }
    return NTK_OK;
}

void ntk_precision_free(struct ntk_precision *precision)
{
    free(precision->degree);
    *precision = (struct ntk_precision){.dtype = precision->dtype};
}

static double largest_number(const ntk_data *x, int64_t i)
{
    const size_t n = (size_t)ntk_features_of(x->shape);
    double most = 0;

    for (size_t k = 0; k < n; k++)
        most = fmax(most, fabs(ntk_data_get(x, (size_t)i * n + k)));
    return most;
}

void ntk_precision_exponents(const struct ntk_precision *precision, const ntk_data *x, int *exponent)
{
    for (int64_t i = 0; i < x->n; i++) {
        const double most = largest_number(x, i);

        exponent[i] = most > 0 && (!precision->limit || most < 0x1p-450) ? precision->top - ilogb(most) : 0;
    }
}

double ntk_precision_finish(const struct ntk_precision *precision, int node, int exponents, double value)
{
    if (!exponents || precision->degree[node] == NTK_ANY_DEGREE)
        return value;
    return ldexp(value, -exponents * precision->degree[node]);
}

double ntk_precision_rest(const struct ntk_precision *precision, const struct ntk_graph *g, int node,
                          const double *value, size_t stride)
{
    const struct ntk_limit x = {g, precision->degree, value, stride};
    const struct ntk_node *v = &g->nodes[node];

    return v->op->rest ? v->op->rest(&x, v) : 0;
}

/* A pair's rest is at most the root of the product of both samples', and what is left of the pair is of the size of
 * the root of theirs, unless it does not depend on their sizes: a constant above all. */
bool ntk_precision_holds(const struct ntk_precision *precision, const struct ntk_graph *g, int node,
                         double largest, const double *value, size_t stride)
{
    const struct ntk_limit x = {g, precision->degree, value, stride};
    const struct ntk_node *v = &g->nodes[node];
    const double y = value[(size_t)node * stride], rest = ntk_precision_rest(precision, g, node, value, stride);

    if (v->op->holds && !v->op->holds(&x, v))
        return false;
    return rest <= NTK_LIMIT_SMALL * NTK_LIMIT_SMALL * y &&
           (precision->degree[node] != 0 || sqrt(rest) * sqrt(largest) <= NTK_LIMIT_SMALL * y);
}
