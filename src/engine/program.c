/* SPDX-License-Identifier: MIT
 *
 * program.c - from a graph to steps, links and side sets; needs.c has the offsets, slots.c the buffers.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/compile.h"

static const struct ntk_node *node(const struct ntk_program *p, int v) { return &p->graph->nodes[v]; }

/* What a step of this node reads: a sum of what links added up reads what they read. */
static int source(const struct ntk_program *p, int v, int k)
{
    const int in = node(p, v)->in[k];

    return node(p, v)->place == NTK_SUMS && node(p, in)->place == NTK_LINKS ? node(p, in)->in[0] : in;
}

/* The one sum of samples with positions over equal ones: their covariance as vectors. */
static bool is_flat(const struct ntk_program *p, int v)
{
    const struct ntk_node *x = node(p, v), *in = x->n_in ? ntk_node_in(p->graph, x, 0) : NULL;

    return x->place == NTK_SUMS && in->place == NTK_SAMPLES && x->op->axis(p->graph, x, 0).only_trace;
}

static void find_used(struct ntk_program *p, int n, const int *from)
{
    for (int k = 0; k < n; k++)
        p->used[from[k]] = true;
    for (int v = p->graph->n - 1; v >= 0; v--)
        for (int k = 0; p->used[v] && k < node(p, v)->n_in; k++)
            p->used[source(p, v, k)] = true;
    for (int v = 0; v < p->graph->n; v++)
        p->noisy = p->noisy || (p->used[v] && (node(p, v)->flags & NTK_NOISY));
}

/* Vectors are all of the samples if nothing else reads their positions: no other node has some, no other sum. */
static int find_flat(const struct ntk_program *p)
{
    int planes = 0, sums = 0, flat = -1;

    for (int v = 0; v < p->graph->n; v++) {
        if (!p->used[v])
            continue;
        planes += node(p, v)->plane;
        sums += node(p, v)->place == NTK_SUMS;
        if (is_flat(p, v) || (node(p, v)->place == NTK_SAMPLES && !node(p, v)->plane))
            flat = v;
    }
    return planes == sums && sums <= 1 ? flat : -1;
}

static void find_vectors(struct ntk_program *p)
{
    const int flat = find_flat(p);

    if (flat < 0)
        return;
    p->vectors = p->variances = true; /* they cost little, and make equal samples exact */
    for (int v = 0; v < p->graph->n; v++)
        p->used[v] = p->used[v] && !node(p, v)->plane;
    p->frames[p->points].entries[p->frames[p->points].n_entries++] = flat;
}

/* ---- side_sets, exits, links */

static bool same_args(const struct ntk_node *a, const struct ntk_node *b)
{
    return a->op == b->op && a->bytes == b->bytes && (!a->bytes || !memcmp(a->args, b->args, a->bytes));
}

int ntk_program_side_set(const struct ntk_program *p, int v)
{
    const struct ntk_node *x = node(p, v);
    int t = x->op->sides ? p->last_set[x->in[x->n_in - 1]] : -1;

    while (t >= 0 && !same_args(node(p, p->side_sets[t].node), x))
        t = p->side_sets[t].before;
    return t;
}

static int side_set_of(struct ntk_program *p, int v)
{
    const struct ntk_node *x = node(p, v);
    const int sigma = x->n_in ? x->in[x->n_in - 1] : -1;
    int t = ntk_program_side_set(p, v);

    if (t >= 0 || !x->op->sides)
        return t;
    t = p->n_side_sets++;
    p->side_sets[t] = (struct ntk_side_set){x->op, v, sigma, p->last_set[sigma]};
    p->last_set[sigma] = t;
    return t;
}

static int exit_of(struct ntk_program *p, int v)
{
    int k = 0;

    while (k < p->n_exits && p->exits[k] != v)
        k++;
    p->exits[k] = v;
    p->n_exits += k == p->n_exits;
    return k;
}

static bool all_ones(const struct ntk_graph *g, const struct ntk_link *l)
{
    for (int k = 0; k < 2; k++) {
        const int n = k ? g->nodes[l->from].w : g->nodes[l->from].h;

        for (int o = 0; o < ntk_offsets(g, n); o++)
            for (int q = 0; l->dim[k].weights[o] && q < ntk_plane_size(g, n, ntk_offset_at(g, n, o)); q++)
                if (l->dim[k].weights[o][q] != 1)
                    return false;
    }
    return true;
}

/* A sum of a link's target is a weighted sum of what the link reads. */
static bool make_link(struct ntk_program *p, int v, const struct ntk_instruction *run, int *number)
{
    const struct ntk_node *x = node(p, v), *windows = x;
    struct ntk_frame *to = &p->frames[x->plane ? x->frame : p->points];
    struct ntk_link *l = &p->links[p->n_links];

    *l = (struct ntk_link){.from = source(p, v, 0),
                           .to = v,
                           .entry = to->n_entries,
                           .scale = run->scale,
                           .sum = x->place == NTK_SUMS};
    to->entries[to->n_entries++] = v;
    if (l->from != x->in[0]) {
        struct ntk_instruction inner = {0};

        windows = node(p, x->in[0]);
        windows->op->instruct(windows, &inner);
        l->scale *= inner.scale;
    }
    for (int k = 0; k < 2; k++) {
        struct ntk_link_axis axis = windows->op->axis(p->graph, windows, k);

        axis.only_trace = x->op->axis(p->graph, x, k).only_trace;
        if (!ntk_link_dim_make(p->graph, &p->arena, &axis, l->sum, &l->dim[k]))
            return false;
    }
    l->plain = l->sum && all_ones(p->graph, l);
    l->exit = exit_of(p, l->from);
    *number = p->n_links++;
    return true;
}

/* ---- steps */

/* The frame in which the step of a node stands. */
static int step_frame(const struct ntk_program *p, int v)
{
    const bool links = node(p, v)->place == NTK_LINKS || node(p, v)->place == NTK_SUMS;
    const struct ntk_node *in = links ? node(p, source(p, v, 0)) : node(p, v);

    return in->plane ? in->frame : p->points;
}

/* The step that computes another result of the node's operation, which has side values; NULL: there is none. */
static struct ntk_step *twin(struct ntk_program *p, const struct ntk_frame *f, int v)
{
    const struct ntk_node *x = node(p, v);
    const int t = x->op->results > 1 ? side_set_of(p, v) : -1;
    struct ntk_step *s = t < 0 || p->set_step[t] < 0 ? NULL : &f->steps[p->set_step[t]];

    return s && s->out[x->result] < 0 ? s : NULL; /* else a node that differs in its origins */
}

static bool make_step(struct ntk_program *p, int v)
{
    const struct ntk_node *x = node(p, v);
    const bool links = x->place == NTK_LINKS || x->place == NTK_SUMS;
    struct ntk_frame *f = &p->frames[step_frame(p, v)];
    struct ntk_step *s = twin(p, f, v);

    if (s) {
        s->out[x->result] = v;
        return true;
    }
    s = &f->steps[f->n_steps];
    *s = (struct ntk_step){.op = x->op,
                           .node = v,
                           .frame = (int)(f - p->frames),
                           .n_in = links ? 1 : x->n_in,
                           .n_out = links ? 0 : x->op->results,
                           .side_set = side_set_of(p, v),
                           .link = -1,
                           .exit = -1};
    s->in = ntk_arena_alloc(&p->arena, (size_t)s->n_in, sizeof *s->in);
    s->in_slot = ntk_arena_alloc(&p->arena, (size_t)s->n_in, sizeof *s->in_slot);
    s->out = ntk_arena_alloc(&p->arena, (size_t)s->n_out, sizeof *s->out);
    s->out_slot = ntk_arena_alloc(&p->arena, (size_t)s->n_out, sizeof *s->out_slot);
    if (!s->in || !s->in_slot || !s->out || !s->out_slot)
        return false;
    for (int k = 0; k < s->n_in; k++)
        s->in[k] = source(p, v, k);
    for (int k = 0; k < s->n_out; k++)
        s->out[k] = k == x->result ? v : -1;
    x->op->instruct(x, &s->run);
    s->apart = s->run.id == NTK_DO_BOX;
    if (s->side_set >= 0) {
        p->reads[s->side_set] = x->plane;
        p->set_step[s->side_set] = f->n_steps;
    }
    p->variances = p->variances || (!x->plane && !links && (s->side_set >= 0 || s->run.id == NTK_DO_COPY));
    if (s->run.id == NTK_DO_COPY && x->plane)
        s->exit = exit_of(p, s->in[0]);
    p->most_in = s->n_in > p->most_in ? s->n_in : p->most_in;
    f->n_steps++;
    return !links || make_link(p, v, &s->run, &s->link);
}

/* The first covariance of vectors is an entry. */
static ntk_status make_steps(struct ntk_program *p)
{
    for (int v = 0; v < p->graph->n; v++) {
        if (!p->used[v] || (p->vectors && v == p->frames[p->points].entries[0]))
            continue;
        if (!make_step(p, v))
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

/* ---- frames */

/* Room for the steps and entries of every frame. */
static bool make_lists(struct ntk_program *p)
{
    for (int v = 0; v < p->graph->n; v++) {
        const struct ntk_node *x = node(p, v);

        if (!p->used[v])
            continue;
        p->frames[step_frame(p, v)].n_steps++;
        if (x->place == NTK_LINKS || x->place == NTK_SUMS)
            p->frames[x->plane ? x->frame : p->points].n_entries++;
    }
    for (int k = 0; k < p->n_frames; k++) {
        struct ntk_frame *f = &p->frames[k];

        f->steps = ntk_arena_alloc(&p->arena, (size_t)f->n_steps, sizeof *f->steps);
        f->entries = ntk_arena_alloc(&p->arena, (size_t)f->n_entries + 1, sizeof *f->entries);
        if (!f->steps || !f->entries)
            return false;
        f->n_steps = f->n_entries = 0;
    }
    return true;
}

static bool make_frames(struct ntk_program *p)
{
    p->n_frames = p->graph->n_frames + 1;
    p->points = p->n_frames - 1;
    p->frames = ntk_arena_alloc(&p->arena, (size_t)p->n_frames, sizeof *p->frames);
    if (!p->frames)
        return false;
    for (int k = 0; k < p->n_frames; k++) {
        struct ntk_frame *f = &p->frames[k];

        *f = (struct ntk_frame){.h = 1, .w = 1};
        if (k < p->points)
            *f = (struct ntk_frame){
                .level = p->graph->frames[k].level, .h = p->graph->frames[k].h, .w = p->graph->frames[k].w};
    }
    return true;
}

/* Which offsets of which nodes are needed takes a byte each. */
static ntk_status check_size(const struct ntk_graph *g)
{
    double bytes = 0;

    for (int v = 0; v < g->n; v++)
        if (g->nodes[v].plane)
            bytes += 4.0 * g->nodes[v].h * g->nodes[v].w;
    bytes *= 1 + g->n_frames; /* programs of frames */
    return ntk_ctx_check_memory(g->ctx, bytes < 1e18 ? (size_t)bytes : SIZE_MAX,
                                "planning a kernel of images of this size");
}

/* Before any face is called: of nodes that steps read through, too. */
static ntk_status check_faces(const struct ntk_graph *g)
{
    for (int v = 0; v < g->n; v++)
        NTK_TRY(ntk_op_check(g->ctx, &g->nodes[v]));
    return NTK_OK;
}

static ntk_status allocate(struct ntk_program *p, int n_outputs, const int *outputs)
{
    const size_t n = (size_t)p->graph->n;

    p->n_outputs = n_outputs;
    p->outputs = ntk_arena_alloc(&p->arena, (size_t)n_outputs, sizeof *p->outputs);
    p->output_from = ntk_arena_alloc(&p->arena, (size_t)n_outputs, sizeof *p->output_from);
    p->links = ntk_arena_alloc(&p->arena, n, sizeof *p->links);
    p->reads = ntk_arena_alloc(&p->arena, n, sizeof *p->reads);
    p->set_step = ntk_arena_alloc(&p->arena, n, sizeof *p->set_step);
    p->used = ntk_arena_alloc(&p->arena, n, sizeof *p->used);
    p->needed = ntk_arena_alloc(&p->arena, n, sizeof *p->needed);
    if (p->wanted < 0) {
        p->side_sets = ntk_arena_alloc(&p->arena, n, sizeof *p->side_sets);
        p->last_set = ntk_arena_alloc(&p->arena, n, sizeof *p->last_set);
        p->exits = ntk_arena_alloc(&p->arena, n + 1, sizeof *p->exits);
    }
    if (!p->outputs || !p->output_from || !p->side_sets || !p->links || !p->exits || !p->reads || !p->set_step ||
        !p->last_set || !p->used || !p->needed ||
        !make_frames(p))
        return NTK_ENOMEM;
    if (n_outputs)
        memcpy(p->outputs, outputs, (size_t)n_outputs * sizeof *outputs);
    for (size_t k = 0; k < n; k++) {
        p->set_step[k] = -1;
        p->last_set[k] = p->wanted < 0 ? -1 : p->last_set[k];
    }
    return NTK_OK;
}

static bool assign_slots(struct ntk_program *p)
{
    for (int k = 0; k < p->n_frames; k++) {
        struct ntk_frame *f = &p->frames[k];
        struct ntk_step **list = ntk_arena_alloc(&p->arena, (size_t)f->n_steps, sizeof(struct ntk_step *));

        for (int i = 0; list && i < f->n_steps; i++)
            list[i] = &f->steps[i];
        if (!list || !ntk_slots_assign(p, k, list, f->n_steps, k != p->points, &f->n_slots))
            return false;
    }
    return true;
}

static int points_number(const struct ntk_program *p, int slot)
{
    const struct ntk_frame *f = &p->frames[p->points];

    if (slot < 0)
        return ~slot;
    if (slot > NTK_OUTPUT_SLOT(p->n_outputs))
        return f->n_entries + f->n_slots + (INT_MAX - slot);
    return f->n_entries + slot;
}

/* Slots of points from 0 on, and where outputs are after the last step. */
static void number_points(struct ntk_program *p)
{
    const struct ntk_frame *f = &p->frames[p->points];

    for (int m = 0; m < p->n_outputs; m++)
        for (int e = 0; e < f->n_entries; e++)
            p->output_from[m] = f->entries[e] == p->outputs[m] ? e : p->output_from[m];
    for (int k = 0; k < f->n_steps; k++) {
        struct ntk_step *s = &f->steps[k];

        for (int i = 0; i < s->n_in; i++)
            s->in_slot[i] = points_number(p, s->in_slot[i]);
        for (int o = 0; o < s->n_out; o++)
            s->out_slot[o] = s->out[o] < 0 ? -1 : points_number(p, s->out_slot[o]);
        for (int m = 0; m < p->n_outputs; m++)
            for (int o = 0; o < s->n_out; o++)
                p->output_from[m] = s->out[o] == p->outputs[m] ? s->out_slot[o] : p->output_from[m];
    }
}

/* Steps of what leads to the given nodes, of a program whose graph is there. */
static ntk_status compile(struct ntk_program *p, int n_outputs, const int *outputs, int n_wanted, const int *wanted)
{
    NTK_TRY(allocate(p, n_outputs, outputs));
    find_used(p, n_wanted, wanted);
    if (!make_lists(p))
        return NTK_ENOMEM;
    find_vectors(p);
    NTK_TRY(make_steps(p));
    if (!ntk_program_needs(p) || !assign_slots(p))
        return NTK_ENOMEM;
    number_points(p);
    return NTK_OK;
}

static struct ntk_program *program_new(const struct ntk_graph *g, int wanted)
{
    struct ntk_program *p = ntk_alloc_zero(g->ctx, 1, sizeof *p);

    if (p) {
        p->ctx = g->ctx;
        p->graph = g;
        p->wanted = wanted;
    }
    return p;
}

/* Its side sets and exits are among those of the whole, and have the same numbers. */
static void share_numbers(struct ntk_program *own, const struct ntk_program *p)
{
    own->n_side_sets = p->n_side_sets;
    own->side_sets = p->side_sets;
    own->last_set = p->last_set;
    own->n_exits = p->n_exits;
    own->exits = p->exits;
}

/* Programs of frames whose entries come from pairs of positions. */
static ntk_status make_own(struct ntk_program *p)
{
    for (int k = 0; k < p->points; k++) {
        struct ntk_frame *f = &p->frames[k];

        if (!f->n_entries || !f->n_steps)
            continue;
        f->own = program_new(p->graph, k);
        if (!f->own)
            return NTK_ENOMEM;
        share_numbers(f->own, p);
        NTK_TRY(compile(f->own, 0, NULL, f->n_entries, f->entries));
    }
    return NTK_OK;
}

ntk_status ntk_program_make(struct ntk_graph *graph, int n_outputs, const int *outputs,
                            struct ntk_program **program)
{
    struct ntk_program *p = program_new(graph, -1);
    ntk_status status;

    if (!p) {
        ntk_graph_free(graph);
        return NTK_ENOMEM;
    }
    p->owned = *graph;
    p->graph = &p->owned;
    *graph = (struct ntk_graph){0};
    status = check_faces(p->graph);
    if (status == NTK_OK)
        status = check_size(p->graph);
    if (status == NTK_OK) {
        status = compile(p, n_outputs, outputs, n_outputs, outputs);
        if (status == NTK_OK)
            status = make_own(p);
        if (status == NTK_ENOMEM)
            ntk_fail(p->ctx, status, "no memory for a program of %d nodes", p->graph->n);
    }
    if (status != NTK_OK) {
        ntk_program_free(p);
        return status;
    }
    *program = p;
    return NTK_OK;
}

void ntk_program_free(struct ntk_program *p)
{
    if (!p)
        return;
    for (int k = 0; p->frames && k < p->n_frames; k++)
        ntk_program_free(p->frames[k].own);
    ntk_graph_free(&p->owned);
    ntk_arena_free(&p->arena);
    free(p);
}
