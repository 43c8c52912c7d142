/* SPDX-License-Identifier: MIT
 *
 * graph.c - building the recursion's graph; equal nodes become one.
 */
#include <stdlib.h>
#include <string.h>

#include "activations/activation.h"
#include "graph/graph.h"

void ntk_graph_init(struct ntk_graph *g, ntk_ctx *ctx) { *g = (struct ntk_graph){.ctx = ctx}; }

void ntk_graph_free(struct ntk_graph *g)
{
    ntk_arena_free(&g->arena);
    free(g->nodes);
    free(g->frames);
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
    h = h * 31 + ntk_hash(&v->window, sizeof v->window) + (uint64_t)v->axes;
    if (v->op == NTK_OP_CARRY)
        h = h * 31 + (uint64_t)v->frame;
    return h;
}

static bool bytes_equal(const void *a, const void *b, size_t n) { return n == 0 || !memcmp(a, b, n); }

static bool node_equal(const struct ntk_node *a, const struct ntk_node *b)
{
    const size_t n = (size_t)a->n_in;

    return a->op == b->op && a->n_in == b->n_in && a->act == b->act &&
           bytes_equal(&a->constant, &b->constant, sizeof a->constant) && a->axes == b->axes &&
           bytes_equal(&a->window, &b->window, sizeof a->window) &&
           (a->op != NTK_OP_CARRY || a->frame == b->frame) &&
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

/* ---- positions and frames */

/* The frame of that level and size, made if there is none; -1: no memory. */
static int frame_of(struct ntk_graph *g, int level, int h, int w)
{
    for (int f = 0; f < g->n_frames; f++)
        if (g->frames[f].level == level && g->frames[f].h == h && g->frames[f].w == w)
            return f;
    if (g->n_frames == g->frames_capacity) {
        const int capacity = g->frames_capacity ? 2 * g->frames_capacity : 8;
        struct ntk_graph_frame *frames = realloc(g->frames, (size_t)capacity * sizeof *frames);

        if (!frames)
            return -1;
        g->frames = frames;
        g->frames_capacity = capacity;
    }
    g->frames[g->n_frames] = (struct ntk_graph_frame){level, h, w};
    return g->n_frames++;
}

/* True if the windows of a convolution keep offsets apart. */
static bool keeps_frame(const struct ntk_graph *g, const struct ntk_node *v)
{
    const struct ntk_node *in = &g->nodes[v->in[0]];
    const struct ntk_window *w = &v->window;

    if (!g->cyclic)
        return !w->wrap;
    return w->stride[0] == 1 && w->stride[1] == 1 && w->out[0] == in->h && w->out[1] == in->w;
}

/* Positions of a node that is not a CARRY. */
static void set_positions(struct ntk_graph *g, struct ntk_node *v)
{
    const struct ntk_node *in = v->n_in ? &g->nodes[v->in[0]] : NULL;

    v->h = v->w = v->stride[0] = v->stride[1] = 1;
    if (v->op == NTK_OP_INPUT && g->planes) {
        v->plane = true;
        v->h = g->h;
        v->w = g->w;
        v->frame = frame_of(g, 0, v->h, v->w);
        return;
    }
    if (!in || !in->plane || v->op == NTK_OP_TRACE || v->op == NTK_OP_TOTAL)
        return;
    v->plane = true;
    v->h = v->window.size[0] ? v->window.out[0] : in->h;
    v->w = v->window.size[0] ? v->window.out[1] : in->w;
    v->frame = in->frame;
    if (v->op == NTK_OP_POOL || (v->op == NTK_OP_CONV && !keeps_frame(g, v))) {
        v->frame = frame_of(g, g->frames[in->frame].level + 1, v->h, v->w);
    } else {
        for (int k = 0; k < 2; k++)
            v->stride[k] = in->stride[k] * (v->op == NTK_OP_CONV ? v->window.stride[k] : 1);
    }
}

/* Brings the operands into one frame: that of the one which came last, or a new one. */
static void unify_frames(struct ntk_graph *g, struct ntk_node *v)
{
    const struct ntk_node *first = &g->nodes[v->in[0]];
    int level = 0, target = -1;
    bool same = true;

    for (int k = 0; k < v->n_in; k++) {
        const struct ntk_node *in = &g->nodes[v->in[k]];
        const struct ntk_graph_frame *f = &g->frames[in->frame];

        same = same && in->frame == first->frame && in->stride[0] == first->stride[0] &&
               in->stride[1] == first->stride[1];
        if (in->stride[0] == 1 && in->stride[1] == 1 && f->level > level)
            target = in->frame;
        level = f->level > level ? f->level : level;
    }
    if (same)
        return;
    if (target < 0 || g->frames[target].level < level)
        target = frame_of(g, level + 1, first->h, first->w);
    for (int k = 0; target >= 0 && k < v->n_in; k++)
        v->in[k] = ntk_graph_carry(g, v->in[k], target);
}

static int intern(struct ntk_graph *g, struct ntk_node v)
{
    uint64_t at;

    if (g->status != NTK_OK)
        return NTK_ZERO;
    if (v.n_in > 1 && g->nodes[v.in[0]].plane)
        unify_frames(g, &v);
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
    if (v.op != NTK_OP_CARRY)
        set_positions(g, &v);
    if (v.frame < 0)
        return fail(g);
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

        /* with positions a term of coefficient 0 stays: it says how many there are */
        if (in[i] == NTK_ZERO || (coef[i] == 0 && !g->nodes[in[i]].plane))
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

int ntk_graph_normalise(struct ntk_graph *g, int in, int sigma, int axes, double eps)
{
    int both[] = {in, sigma};
    struct ntk_node v = {
        .op = NTK_OP_NORMALISE, .n_in = 2, .in = both, .constant = eps, .axes = axes};

    both[1] = ntk_graph_materialise(g, sigma);
    return in == NTK_ZERO ? NTK_ZERO : intern(g, v);
}

int ntk_graph_self(struct ntk_graph *g, int in, double factor)
{
    struct ntk_node v = {
        .op = NTK_OP_SELF, .n_in = 1, .in = &in, .constant = factor, .noisy = true};

    return in == NTK_ZERO || factor == 1 ? in : intern(g, v);
}

static int unary(struct ntk_graph *g, enum ntk_op op, int in, const struct ntk_window *w,
                 double constant)
{
    struct ntk_node v = {.op = op, .n_in = 1, .in = &in, .constant = constant};

    if (w)
        v.window = *w;
    return in == NTK_ZERO ? NTK_ZERO : intern(g, v);
}

int ntk_graph_conv(struct ntk_graph *g, int in, const struct ntk_window *w)
{
    return unary(g, NTK_OP_CONV, in, w, 1.0 / ((double)w->size[0] * w->size[1]));
}

int ntk_graph_pool(struct ntk_graph *g, int in, const struct ntk_window *w, double scale)
{
    return unary(g, NTK_OP_POOL, in, w, scale);
}

int ntk_graph_trace(struct ntk_graph *g, int in, double scale)
{
    return unary(g, NTK_OP_TRACE, in, NULL, scale);
}

int ntk_graph_total(struct ntk_graph *g, int in, double scale)
{
    return unary(g, NTK_OP_TOTAL, in, NULL, scale);
}

int ntk_graph_carry(struct ntk_graph *g, int in, int frame)
{
    const struct ntk_node *from = &g->nodes[in];
    struct ntk_node v = {.op = NTK_OP_CARRY,
                         .n_in = 1,
                         .in = &in,
                         .h = from->h,
                         .w = from->w,
                         .plane = true,
                         .frame = frame,
                         .stride = {1, 1}};

    return from->frame == frame ? in : intern(g, v);
}
