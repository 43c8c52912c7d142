/* SPDX-License-Identifier: MIT
 *
 * graph.c - building the recursion's graph; equal nodes become one.
 */
#include <stdlib.h>
#include <string.h>

#include "activations/activation.h"
#include "arch/graph.h"

void ntk_graph_init(struct ntk_graph *g, ntk_ctx *ctx) { *g = (struct ntk_graph){.ctx = ctx}; }

void ntk_graph_free(struct ntk_graph *g)
{
    ntk_arena_free(&g->arena);
    free(g->nodes);
    free(g->table);
    *g = (struct ntk_graph){0};
}

static int fail(struct ntk_graph *g)
{
    if (g->status == NTK_OK)
        g->status = ntk_fail(g->ctx, NTK_ENOMEM, "no memory for the graph of %d nodes", g->n);
    return NTK_ZERO;
}

static uint64_t node_hash(const struct ntk_node *v)
{
    uint64_t h = (uint64_t)v->op * 0x9e3779b97f4a7c15u + ntk_hash(&v->constant, sizeof v->constant);

    h = h * 31 + ntk_hash(v->in, (size_t)v->n_in * sizeof *v->in);
    if (v->coef)
        h = h * 31 + ntk_hash(v->coef, (size_t)v->n_in * sizeof *v->coef);
    if (v->act)
        h = h * 31 + (uint64_t)(uintptr_t)v->act + ntk_hash(v->self, v->act->base.size);
    return h;
}

static bool bytes_equal(const void *a, const void *b, size_t n) { return n == 0 || !memcmp(a, b, n); }

static bool node_equal(const struct ntk_node *a, const struct ntk_node *b)
{
    const size_t n = (size_t)a->n_in;

    return a->op == b->op && a->n_in == b->n_in && a->act == b->act &&
           bytes_equal(&a->constant, &b->constant, sizeof a->constant) &&
           bytes_equal(a->in, b->in, n * sizeof *a->in) &&
           (!a->coef || bytes_equal(a->coef, b->coef, n * sizeof *a->coef)) &&
           (!a->act || bytes_equal(a->self, b->self, a->act->base.size));
}

static bool table_grow(struct ntk_graph *g)
{
    const int size = g->table_size ? 2 * g->table_size : 64;
    int *table = malloc((size_t)size * sizeof *table);

    if (!table)
        return false;
    for (int i = 0; i < size; i++)
        table[i] = -1;
    for (int v = 0; v < g->n; v++) {
        uint64_t at = node_hash(&g->nodes[v]) & (uint64_t)(size - 1);

        while (table[at] >= 0)
            at = (at + 1) & (uint64_t)(size - 1);
        table[at] = v;
    }
    free(g->table);
    g->table = table;
    g->table_size = size;
    return true;
}

static bool nodes_grow(struct ntk_graph *g)
{
    const int capacity = g->capacity ? 2 * g->capacity : 64;
    struct ntk_node *nodes = realloc(g->nodes, (size_t)capacity * sizeof *nodes);

    if (!nodes)
        return false;
    g->nodes = nodes;
    g->capacity = capacity;
    return true;
}

/* The copies outlive the caller's arrays and the net. */
static bool node_own(struct ntk_graph *g, struct ntk_node *v)
{
    const size_t n = (size_t)v->n_in;
    int *in = ntk_arena_alloc(&g->arena, n, sizeof *in);
    double *coef = v->coef ? ntk_arena_alloc(&g->arena, n, sizeof *coef) : NULL;
    void *self = v->act ? ntk_arena_alloc(&g->arena, v->act->base.size, 1) : NULL;

    if (!in || (v->coef && !coef) || (v->act && !self))
        return false;
    if (n)
        memcpy(in, v->in, n * sizeof *in);
    if (n && coef)
        memcpy(coef, v->coef, n * sizeof *coef);
    if (self && v->act->base.size)
        memcpy(self, v->self, v->act->base.size);
    v->in = in;
    v->coef = coef;
    v->self = self;
    return true;
}

static int intern(struct ntk_graph *g, struct ntk_node v)
{
    uint64_t at;

    if (g->status != NTK_OK)
        return NTK_ZERO;
    if (2 * (g->n + 1) > g->table_size && !table_grow(g))
        return fail(g);
    at = node_hash(&v) & (uint64_t)(g->table_size - 1);
    for (; g->table[at] >= 0; at = (at + 1) & (uint64_t)(g->table_size - 1))
        if (node_equal(&g->nodes[g->table[at]], &v))
            return g->table[at];
    if ((g->n == g->capacity && !nodes_grow(g)) || !node_own(g, &v))
        return fail(g);
    for (int i = 0; i < v.n_in; i++)
        v.noisy = v.noisy || g->nodes[v.in[i]].noisy;
    g->nodes[g->n] = v;
    g->table[at] = g->n;
    return g->n++;
}

int ntk_graph_input(struct ntk_graph *g) { return intern(g, (struct ntk_node){.op = NTK_OP_INPUT}); }

int ntk_graph_mix(struct ntk_graph *g, int n, const int *in, const double *coef, double constant)
{
    struct ntk_node v = {.op = NTK_OP_MIX, .constant = constant};

    v.in = ntk_arena_alloc(&g->arena, (size_t)n, sizeof *v.in);
    v.coef = ntk_arena_alloc(&g->arena, (size_t)n, sizeof *v.coef);
    if (!v.in || !v.coef)
        return fail(g);
    for (int i = 0; i < n; i++) {
        int j = 0;

        if (in[i] == NTK_ZERO || coef[i] == 0)
            continue;
        while (j < v.n_in && v.in[j] != in[i])
            j++;
        v.in[j] = in[i];
        v.coef[j] += coef[i];
        v.n_in += j == v.n_in;
    }
    if (v.n_in == 0 && constant == 0)
        return NTK_ZERO;
    if (v.n_in == 1 && v.coef[0] == 1 && constant == 0)
        return v.in[0];
    return intern(g, v);
}

int ntk_graph_affine(struct ntk_graph *g, int in, double a, double b)
{
    return ntk_graph_mix(g, 1, &in, &a, b);
}

int ntk_graph_product(struct ntk_graph *g, int n, const int *in)
{
    int *copy = ntk_arena_alloc(&g->arena, (size_t)n, sizeof *copy);

    if (!copy)
        return fail(g);
    for (int i = 0; i < n; i++) {
        if (in[i] == NTK_ZERO)
            return NTK_ZERO;
        copy[i] = in[i];
    }
    if (n == 1)
        return in[0];
    return intern(g, (struct ntk_node){.op = NTK_OP_PRODUCT, .n_in = n, .in = copy});
}

int ntk_graph_materialise(struct ntk_graph *g, int in)
{
    return in == NTK_ZERO ? intern(g, (struct ntk_node){.op = NTK_OP_MIX}) : in;
}

static int dual(struct ntk_graph *g, enum ntk_op op, const struct ntk_activation *act,
                const void *self, int sigma)
{
    struct ntk_node v = {.op = op, .n_in = 1, .in = &sigma, .act = act, .self = self};

    sigma = ntk_graph_materialise(g, sigma);
    return intern(g, v);
}

int ntk_graph_dual(struct ntk_graph *g, const struct ntk_activation *act, const void *self,
                   int sigma)
{
    return dual(g, NTK_OP_DUAL, act, self, sigma);
}

int ntk_graph_dual_dot(struct ntk_graph *g, const struct ntk_activation *act, const void *self,
                       int sigma)
{
    return dual(g, NTK_OP_DUAL_DOT, act, self, sigma);
}

int ntk_graph_normalise(struct ntk_graph *g, int in, int sigma, double eps)
{
    int both[] = {in, sigma};
    struct ntk_node v = {.op = NTK_OP_NORMALISE, .n_in = 2, .in = both, .constant = eps};

    both[1] = ntk_graph_materialise(g, sigma);
    return in == NTK_ZERO ? NTK_ZERO : intern(g, v);
}

int ntk_graph_self(struct ntk_graph *g, int in, double factor)
{
    struct ntk_node v = {
        .op = NTK_OP_SELF, .n_in = 1, .in = &in, .constant = factor, .noisy = true};

    return in == NTK_ZERO || factor == 1 ? in : intern(g, v);
}
