/* SPDX-License-Identifier: MIT
 *
 * graph.c - building the recursion's graph; equal nodes become one.
 */
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"

void ntk_graph_init(struct ntk_graph *g, ntk_ctx *ctx) { *g = (struct ntk_graph){.ctx = ctx}; }

void ntk_graph_free(struct ntk_graph *g)
{
    ntk_arena_free(&g->arena);
    free(g->nodes);
    free(g->frames);
    free(g->table);
    *g = (struct ntk_graph){0};
}

int ntk_graph_no_memory(struct ntk_graph *g)
{
    if (g->status == NTK_OK)
        g->status = ntk_fail(g->ctx, NTK_ENOMEM, "no memory for the graph of %d nodes", g->n);
    return NTK_ZERO;
}

/* ---- origins */

bool ntk_same_origin(const struct ntk_number *a, const struct ntk_number *b)
{
    if (!a->parameter || !b->parameter)
        return a->parameter == b->parameter;
    return a->power == b->power && strcmp(a->parameter, b->parameter) == 0;
}

static bool same_layer(const struct ntk_origin *a, const struct ntk_origin *b)
{
    return a->layer.net == b->layer.net && a->layer.number == b->layer.number;
}

static bool origin_equal(const struct ntk_origin *a, const struct ntk_origin *b)
{
    return a->number == b->number && a->index == b->index && same_layer(a, b) &&
           ntk_same_origin(&a->from, &b->from);
}

static const struct ntk_origin *origin_add(struct ntk_graph *g, const struct ntk_origin *origins,
                                           struct ntk_origin o)
{
    struct ntk_origin *added = ntk_arena_alloc(&g->arena, 1, sizeof *added);

    if (!added) {
        ntk_graph_no_memory(g);
        return origins;
    }
    *added = o;
    added->next = origins;
    return added;
}

const struct ntk_origin *ntk_graph_origin(struct ntk_graph *g, const struct ntk_origin *origins, int k,
                                          int index, struct ntk_number from)
{
    struct ntk_origin o = {.number = k, .index = index, .from = from, .layer = g->layer};

    return from.parameter ? origin_add(g, origins, o) : origins;
}

/* Layers come one after the other: what the one at work has said of a node is first in its list. */
static void unite(struct ntk_graph *g, int node, const struct ntk_origin *more)
{
    for (; g->nodes[node].origins != more && more; more = more->next) {
        const struct ntk_origin *o = g->nodes[node].origins;

        while (o && same_layer(o, more) && !origin_equal(o, more))
            o = o->next;
        if (!o || !same_layer(o, more))
            g->nodes[node].origins = origin_add(g, g->nodes[node].origins, *more);
    }
}

static bool same_origins(const struct ntk_origin *a, const struct ntk_origin *b)
{
    for (; a && b && origin_equal(a, b); b = b->next)
        a = a->next;
    return !a && !b;
}

/* ---- equal nodes */

static uint64_t node_hash(const struct ntk_graph *g, const struct ntk_node *v)
{
    uint64_t h = (uint64_t)(uintptr_t)v->op + (uint64_t)v->result;

    h = h * 0x9e3779b97f4a7c15u + ntk_hash(v->in, (size_t)v->n_in * sizeof *v->in);
    h = h * 31 + ntk_hash(v->args, v->bytes);
    if (g->derivatives && v->origins) /* the parameters of one layer are few */
        h = h * 31 + ntk_hash(&v->origins->layer.number, sizeof v->origins->layer.number);
    return h;
}

static bool bytes_equal(const void *a, const void *b, size_t n) { return n == 0 || !memcmp(a, b, n); }

static bool node_equal(const struct ntk_graph *g, const struct ntk_node *a, const struct ntk_node *b)
{
    return a->op == b->op && a->result == b->result && a->n_in == b->n_in && a->bytes == b->bytes &&
           bytes_equal(a->in, b->in, (size_t)a->n_in * sizeof *a->in) &&
           bytes_equal(a->args, b->args, a->bytes) &&
           (!g->derivatives || same_origins(a->origins, b->origins));
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
        uint64_t at = node_hash(g, &g->nodes[v]) & (uint64_t)(size - 1);

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
    int *in = ntk_arena_alloc(&g->arena, (size_t)v->n_in, sizeof *in);
    void *args = ntk_arena_alloc(&g->arena, v->bytes, 1);

    if (!in || !args)
        return false;
    if (v->n_in)
        memcpy(in, v->in, (size_t)v->n_in * sizeof *in);
    if (v->bytes)
        memcpy(args, v->args, v->bytes);
    v->in = in;
    v->args = args;
    return true;
}

/* ---- positions and frames */

int ntk_graph_frame(struct ntk_graph *g, int level, int h, int w)
{
    for (int f = 0; f < g->n_frames; f++)
        if (g->frames[f].level == level && g->frames[f].h == h && g->frames[f].w == w)
            return f;
    if (g->n_frames == g->frames_capacity) {
        const int capacity = g->frames_capacity ? 2 * g->frames_capacity : 8;
        struct ntk_graph_frame *frames = realloc(g->frames, (size_t)capacity * sizeof *frames);

        if (!frames) {
            ntk_graph_no_memory(g);
            return -1;
        }
        g->frames = frames;
        g->frames_capacity = capacity;
    }
    g->frames[g->n_frames] = (struct ntk_graph_frame){level, h, w};
    return g->n_frames++;
}

static void set_positions(struct ntk_graph *g, struct ntk_node *v)
{
    const struct ntk_node *in = v->n_in ? &g->nodes[v->in[0]] : NULL;

    v->place = NTK_KEEPS;
    v->h = v->w = v->stride[0] = v->stride[1] = 1;
    if (in && in->plane) {
        v->plane = true;
        v->h = in->h;
        v->w = in->w;
        v->frame = in->frame;
        v->stride[0] = in->stride[0];
        v->stride[1] = in->stride[1];
    }
    if (v->op->positions)
        v->op->positions(g, v);
    if (v->place == NTK_LINKS) {
        v->stride[0] = v->stride[1] = 1;
        if (v->frame < 0)
            v->frame = ntk_graph_frame(g, g->frames[in->frame].level + 1, v->h, v->w);
    }
}

static void set_flags(const struct ntk_graph *g, struct ntk_node *v)
{
    for (int i = 0; i < v->n_in; i++)
        v->flags |= g->nodes[v->in[i]].flags;
    if (v->op->flags)
        v->flags = v->op->flags(v, v->flags);
}

/* Brings the operands into one frame: that of the one which came last, or a new one. Links lead to a higher level. */
static void unify_frames(struct ntk_graph *g, const struct ntk_node *v)
{
    const struct ntk_node *first = &g->nodes[v->in[0]];
    int level = 0, target = -1;
    bool same = true;

    for (int k = 0; k < v->n_in; k++) {
        const struct ntk_node *in = &g->nodes[v->in[k]];

        same = same && in->frame == first->frame && in->stride[0] == first->stride[0] &&
               in->stride[1] == first->stride[1];
        if (in->stride[0] == 1 && in->stride[1] == 1 && g->frames[in->frame].level > level)
            target = in->frame;
        level = g->frames[in->frame].level > level ? g->frames[in->frame].level : level;
    }
    if (same)
        return;
    for (int k = 0; target >= 0 && k < v->n_in; k++)
        if (g->nodes[v->in[k]].frame != target &&
            g->frames[g->nodes[v->in[k]].frame].level >= g->frames[target].level)
            target = -1;
    if (target < 0)
        target = ntk_graph_frame(g, level + 1, first->h, first->w);
    for (int k = 0; target >= 0 && k < v->n_in; k++)
        v->in[k] = ntk_graph_carry(g, v->in[k], target);
}

static int intern(struct ntk_graph *g, struct ntk_node v)
{
    uint64_t at;

    if (2 * (g->n + 1) > g->table_size && !table_grow(g))
        return ntk_graph_no_memory(g);
    at = node_hash(g, &v) & (uint64_t)(g->table_size - 1);
    for (; g->table[at] >= 0; at = (at + 1) & (uint64_t)(g->table_size - 1))
        if (node_equal(g, &g->nodes[g->table[at]], &v))
            return g->table[at];
    if ((g->n == g->capacity && !nodes_grow(g)) || !node_own(g, &v))
        return ntk_graph_no_memory(g);
    set_positions(g, &v);
    set_flags(g, &v);
    if (g->status != NTK_OK)
        return NTK_ZERO;
    g->nodes[g->n] = v;
    g->table[at] = g->n;
    return g->n++;
}

int ntk_graph_add(struct ntk_graph *g, const struct ntk_op *op, int n_in, const int *in,
                  const void *args, size_t bytes, const struct ntk_origin *origins)
{
    int *operands = ntk_arena_alloc(&g->arena, (size_t)n_in, sizeof *operands);
    const struct ntk_node v = {
        .op = op, .n_in = n_in, .in = operands, .args = args, .bytes = bytes, .origins = origins};
    int node;

    if (g->status != NTK_OK)
        return NTK_ZERO;
    if (!operands)
        return ntk_graph_no_memory(g);
    for (int i = 0; i < n_in; i++)
        operands[i] = in[i];
    if (n_in > 1 && g->nodes[in[0]].plane)
        unify_frames(g, &v);
    if (g->status != NTK_OK)
        return NTK_ZERO;
    node = intern(g, v);
    if (node != NTK_ZERO)
        unite(g, node, origins);
    return node;
}

int ntk_graph_result(struct ntk_graph *g, int node, int result)
{
    struct ntk_node v;
    int other;

    if (g->status != NTK_OK)
        return NTK_ZERO;
    v = (struct ntk_node){.op = g->nodes[node].op,
                          .result = result,
                          .n_in = g->nodes[node].n_in,
                          .in = g->nodes[node].in,
                          .args = g->nodes[node].args,
                          .bytes = g->nodes[node].bytes,
                          .origins = g->nodes[node].origins};
    other = intern(g, v);
    if (other != NTK_ZERO)
        g->nodes[other].origins = g->nodes[node].origins;
    return other;
}
