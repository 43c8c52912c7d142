/* SPDX-License-Identifier: MIT
 *
 * space_steps.c - the steps of a space: which node is computed how, in what order, for which
 * offsets, and in which memory.
 */
#include <stdlib.h>
#include <string.h>

#include "activations/activation.h"
#include "kernel/space_build.h"

static const struct ntk_node *node(const struct ntk_space_builder *b, int v)
{
    return &b->g->nodes[v];
}

/* What a step of this node reads: a sum of a pool reads what the pool reads. */
static int source(const struct ntk_space_builder *b, int v, int k)
{
    const int in = node(b, v)->in[k];
    const bool sum = node(b, v)->op == NTK_OP_TRACE || node(b, v)->op == NTK_OP_TOTAL;

    return sum && node(b, in)->op == NTK_OP_POOL ? node(b, in)->in[0] : in;
}

static bool find_readers(struct ntk_space_builder *b, int n_seeds, const int *seeds)
{
    const size_t n = (size_t)b->g->n;
    size_t edges = 0;
    int *at;

    b->used = ntk_arena_alloc(&b->s->arena, n, sizeof *b->used);
    b->first = ntk_arena_alloc(&b->s->arena, n + 2, sizeof *b->first);
    if (!b->used || !b->first)
        return false;
    for (int k = 0; k < b->s->n_sums; k++)
        b->used[b->s->sums[k]] = true;
    for (int k = 0; k < n_seeds; k++)
        b->used[seeds[k]] = true;
    for (int v = b->g->n - 1; v >= 0; v--)
        for (int k = 0; b->used[v] && k < node(b, v)->n_in; k++) {
            b->used[source(b, v, k)] = true;
            b->first[source(b, v, k) + 2]++;
            edges++;
        }
    b->reader = ntk_arena_alloc(&b->s->arena, edges, sizeof *b->reader);
    if (!b->reader)
        return false;
    for (size_t v = 0; v < n; v++)
        b->first[v + 2] += b->first[v + 1];
    at = b->first + 1; /* filled in place: first[v + 1] ends as the end of v */
    for (int v = 0; v < b->g->n; v++)
        for (int k = 0; b->used[v] && k < node(b, v)->n_in; k++)
            b->reader[at[source(b, v, k)]++] = v;
    return true;
}

struct ntk_space_step *ntk_space_new_step(struct ntk_space_builder *b, enum ntk_space_op op, int v,
                                          int n_in, int n_out)
{
    struct ntk_arena *a = &b->s->arena;
    struct ntk_space_step *s = &b->steps[b->n_steps];

    *s = (struct ntk_space_step){.op = op,
                                 .node = v,
                                 .n_in = n_in,
                                 .n_out = n_out,
                                 .table = -1,
                                 .link = -1,
                                 .frame = node(b, v)->frame};
    s->in = ntk_arena_alloc(a, (size_t)n_in, sizeof *s->in);
    s->in_slot = ntk_arena_alloc(a, (size_t)n_in, sizeof *s->in_slot);
    s->out = ntk_arena_alloc(a, (size_t)n_out, sizeof *s->out);
    s->out_slot = ntk_arena_alloc(a, (size_t)n_out, sizeof *s->out_slot);
    if (!s->in || !s->in_slot || !s->out || !s->out_slot)
        return NULL;
    for (int k = 0; k < n_out; k++)
        s->out[k] = -1;
    b->n_steps++;
    return s;
}

static bool same_activation(const struct ntk_node *a, const struct ntk_node *b)
{
    return a->act == b->act &&
           (a->act->base.size == 0 || memcmp(a->self, b->self, a->act->base.size) == 0);
}

static int table_of(struct ntk_space_builder *b, int v)
{
    const struct ntk_node *x = node(b, v);
    const enum ntk_op op = x->op == NTK_OP_NORMALISE ? NTK_OP_NORMALISE : NTK_OP_DUAL;
    const int sigma = x->in[x->n_in - 1];
    int t = 0;

    for (; t < b->s->n_tables; t++) {
        const struct ntk_space_table *have = &b->s->tables[t];
        const struct ntk_node *y = node(b, have->node);

        if (have->op != op || have->sigma != sigma)
            continue;
        if (op == NTK_OP_DUAL
                ? same_activation(x, y)
                : x->axes == y->axes && !memcmp(&x->constant, &y->constant, sizeof(double)))
            return t;
    }
    b->s->tables[b->s->n_tables++] = (struct ntk_space_table){op, sigma, v};
    return t;
}

int ntk_space_box_end(const struct ntk_space_builder *b, int conv, double factor,
                      struct ntk_sweep_out *out)
{
    const int first = b->first[conv], last = b->first[conv + 1];
    const struct ntk_node *x = last - first == 1 ? node(b, b->reader[first]) : NULL;
    const double scale = factor * node(b, conv)->constant;

    out->a = scale;
    out->b = 0;
    if (!x || x->op != NTK_OP_MIX || x->n_in != 1)
        return conv;
    out->a = scale * x->coef[0];
    out->b = x->constant;
    return b->reader[first];
}

static bool make_step(struct ntk_space_builder *b, int v)
{
    static const enum ntk_space_op ops[] = {
        [NTK_OP_INPUT] = NTK_SPACE_INPUT,     [NTK_OP_MIX] = NTK_SPACE_MIX,
        [NTK_OP_PRODUCT] = NTK_SPACE_PRODUCT, [NTK_OP_NORMALISE] = NTK_SPACE_NORMALISE,
        [NTK_OP_SELF] = NTK_SPACE_COPY,       [NTK_OP_CONV] = NTK_SPACE_CONV,
    };
    const struct ntk_node *x = node(b, v);
    struct ntk_space_step *s = ntk_space_new_step(b, ops[x->op], v, x->n_in, 1);

    if (!s)
        return false;
    for (int k = 0; k < x->n_in; k++)
        s->in[k] = x->in[k];
    s->out[0] = v;
    if (x->op == NTK_OP_NORMALISE)
        s->table = table_of(b, v);
    if (x->op == NTK_OP_SELF)
        s->exit = ntk_space_exit(b->s, x->in[0]);
    if (x->op == NTK_OP_CONV)
        s->out[0] = v = ntk_space_box_end(b, v, 1, &s->sweep[0]);
    b->producer[v] = b->n_steps - 1;
    return true;
}

/* E[f f] and E[f' f'] of the same activation and operand are one step. */
static bool make_dual(struct ntk_space_builder *b, int v)
{
    const int sigma = node(b, v)->in[0];
    struct ntk_space_step *s;
    int which = node(b, v)->op == NTK_OP_DUAL_DOT;

    for (int k = b->first[sigma]; k < b->first[sigma + 1]; k++) {
        const int r = b->reader[k];
        const enum ntk_op op = node(b, r)->op;

        if ((op == NTK_OP_DUAL || op == NTK_OP_DUAL_DOT) && b->producer[r] >= 0 &&
            same_activation(node(b, r), node(b, v))) {
            b->producer[v] = b->producer[r];
            b->steps[b->producer[v]].out[which] = v;
            return true;
        }
    }
    s = ntk_space_new_step(b, NTK_SPACE_DUAL, v, 1, 2);
    if (!s)
        return false;
    s->in[0] = sigma;
    s->out[which] = v;
    s->table = table_of(b, v);
    b->producer[v] = b->n_steps - 1;
    return true;
}

static bool make_link(struct ntk_space_builder *b, int v, int sum)
{
    struct ntk_space_step *s = ntk_space_new_step(b, NTK_SPACE_LINK, v, 1, sum < 0);

    if (!s)
        return false;
    s->link = ntk_space_link_add(b->s, v, sum);
    if (s->link < 0)
        return false;
    s->in[0] = b->s->links[s->link].from;
    s->frame = node(b, s->in[0])->frame;
    if (sum < 0) {
        s->out[0] = v;
        b->producer[v] = b->n_steps - 1;
    }
    return true;
}

bool ntk_space_is_link(const struct ntk_space_builder *b, int v)
{
    const struct ntk_node *x = node(b, v);

    return x->op == NTK_OP_POOL || x->op == NTK_OP_CARRY ||
           (x->op == NTK_OP_CONV && x->frame != node(b, x->in[0])->frame);
}

static bool make_steps(struct ntk_space_builder *b, bool sweeps)
{
    const size_t n = (size_t)b->g->n;
    int n_duals, sums, tails;

    /* a step a node, at most a sweep for each box, and links and tails of sums */
    b->steps = ntk_arena_alloc(&b->s->arena, 2 * n + 2 * (size_t)b->s->n_sums, sizeof *b->steps);
    b->producer = ntk_arena_alloc(&b->s->arena, n, sizeof *b->producer);
    if (!b->steps || !b->producer)
        return false;
    b->n_steps = 0;
    for (size_t v = 0; v < n; v++)
        b->producer[v] = -1;
    for (int v = 0; v < b->g->n; v++) {
        const enum ntk_op op = node(b, v)->op;
        bool ok = true;

        if (!b->used[v] || !node(b, v)->plane || b->producer[v] >= 0)
            continue; /* the end of a convolution is made with it */
        if (ntk_space_is_link(b, v))
            ok = make_link(b, v, -1);
        else if (op == NTK_OP_DUAL || op == NTK_OP_DUAL_DOT)
            ok = make_dual(b, v);
        else
            ok = make_step(b, v);
        if (!ok)
            return false;
    }
    n_duals = b->n_steps;
    for (int k = 0; sweeps && k < n_duals; k++)
        if (b->steps[k].op == NTK_SPACE_DUAL &&
            ntk_dual_sweeps(node(b, b->steps[k].node)->act->dual) && !ntk_space_sweeps(b, k))
            return false;
    sums = b->n_steps;
    for (int k = 0; k < b->s->n_sums; k++)
        if (!make_link(b, b->s->sums[k], k))
            return false;
    tails = b->n_steps;
    for (int k = sums; sweeps && k < tails; k++)
        if (!ntk_space_tail(b, k, tails))
            return false;
    return true;
}

/* ---- order: depth first from what is wanted */

struct visit {
    int step, next; /* operand to look at */
};

/* False in *ok: a step waits for itself (only a sweep can). */
static bool visit(struct ntk_space_builder *b, int root, unsigned char *state, struct visit *stack,
                  bool *ok)
{
    int n = 0;

    if (state[root])
        return true;
    stack[n++] = (struct visit){root, 0};
    state[root] = 1;
    while (n > 0) {
        struct visit *top = &stack[n - 1];
        const struct ntk_space_step *s = &b->steps[top->step];
        int next;

        if (top->next == s->n_in) {
            state[top->step] = 2;
            b->order[b->n_order++] = top->step;
            n--;
            continue;
        }
        next = b->producer[s->in[top->next++]];
        if (state[next] == 1)
            *ok = false;
        if (state[next] == 0) {
            state[next] = 1;
            stack[n++] = (struct visit){next, 0};
        }
    }
    return *ok;
}

static bool is_root(const struct ntk_space_step *x)
{
    return x->op == NTK_SPACE_TAIL || (x->op == NTK_SPACE_LINK && x->n_out == 0);
}

static bool make_order(struct ntk_space_builder *b, int n_seeds, const int *seeds, bool *ok)
{
    const size_t n = (size_t)b->n_steps;
    unsigned char *state = ntk_arena_alloc(&b->s->arena, n, 1);
    struct visit *stack = ntk_arena_alloc(&b->s->arena, n, sizeof *stack);

    b->order = ntk_arena_alloc(&b->s->arena, n, sizeof *b->order);
    b->n_order = 0;
    *ok = true;
    if (!state || !stack || !b->order)
        return false;
    for (int k = 0; k < n_seeds; k++)
        visit(b, b->producer[seeds[k]], state, stack, ok);
    for (int k = 0; k < b->n_steps; k++)
        if (is_root(&b->steps[k]))
            visit(b, k, state, stack, ok);
    return true;
}

/* ---- needs: which offsets of which nodes, backwards from what is wanted */

static size_t grid(const struct ntk_space *s, int h, int w)
{
    return (size_t)ntk_offsets(s, h) * (size_t)ntk_offsets(s, w);
}

static unsigned char *needed(struct ntk_space_builder *b, int v)
{
    struct ntk_place *p = &b->s->places[v];

    if (!p->needed)
        p->needed = ntk_arena_alloc(&b->s->arena, grid(b->s, node(b, v)->h, node(b, v)->w), 1);
    return p->needed;
}

/* What a link reads: offsets that lead to a wanted one. */
static void need_of_link(const struct ntk_space *s, const struct ntk_link *l,
                         const struct ntk_node *in, const unsigned char *target, int target_columns,
                         unsigned char *from)
{
    const int rows = ntk_offsets(s, in->h), columns = ntk_offsets(s, in->w);

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            bool wanted = l->frame < 0 && l->dim[0].weights[i] && l->dim[1].weights[j];

            for (int a = 0; !wanted && l->frame >= 0 && a < l->dim[0].n_groups[i]; a++)
                for (int c = 0; !wanted && c < l->dim[1].n_groups[j]; c++)
                    wanted = target[l->dim[0].groups[i][a].offset * target_columns +
                                    l->dim[1].groups[j][c].offset];
            if (wanted)
                from[i * columns + j] = 1;
        }
}

/* Offsets `to` of a node are needed: those of an operand with `stride` times its offsets are. */
static void need_of_operand(const struct ntk_space *s, const struct ntk_node *to,
                            const unsigned char *need, const struct ntk_node *in,
                            unsigned char *from)
{
    const int rows = ntk_offsets(s, to->h), columns = ntk_offsets(s, to->w);
    const int stride[] = {to->stride[0] / in->stride[0], to->stride[1] / in->stride[1]};
    const int in_columns = ntk_offsets(s, in->w);

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            if (need[i * columns + j])
                from[ntk_offset_index(s, in->h, stride[0] * ntk_offset_at(s, to->h, i)) *
                         in_columns +
                     ntk_offset_index(s, in->w, stride[1] * ntk_offset_at(s, to->w, j))] = 1;
}

static void need_of_tail(const struct ntk_space_builder *b, const struct ntk_space_step *x, int k,
                         unsigned char *from)
{
    for (int i = 0; i < x->n_in; i++)
        for (int j = 0; (k == 0 || k == i) && j < x->tail[i].n; j++)
            need_of_link(b->s, &b->s->links[x->tail[i].links[j]], node(b, x->in[0]), NULL, 0, from);
}

static bool step_needs(struct ntk_space_builder *b, const struct ntk_space_step *x)
{
    for (int k = 0; k < x->n_in; k++) {
        unsigned char *from = needed(b, x->in[k]);

        if (!from)
            return false;
        if (x->op == NTK_SPACE_TAIL) {
            need_of_tail(b, x, k, from);
            continue;
        }
        if (x->op == NTK_SPACE_LINK) {
            const struct ntk_link *l = &b->s->links[x->link];
            const struct ntk_node *to = x->n_out ? node(b, x->out[0]) : NULL;

            need_of_link(b->s, l, node(b, x->in[k]), to ? needed(b, x->out[0]) : NULL,
                         to ? ntk_offsets(b->s, to->w) : 0, from);
            continue;
        }
        for (int o = 0; o < x->n_out; o++)
            /* a sweep's theta serves its own output only */
            if (x->out[o] >= 0 && b->s->places[x->out[o]].needed &&
                (x->op != NTK_SPACE_SWEEP || k == 0 || k == o))
                need_of_operand(b->s, node(b, x->out[o]), b->s->places[x->out[o]].needed,
                                node(b, x->in[k]), from);
    }
    return true;
}

static bool make_needs(struct ntk_space_builder *b, int n_seeds, const int *seeds)
{
    for (int k = 0; k < n_seeds; k++) {
        const struct ntk_node *v = node(b, seeds[k]);
        unsigned char *need = needed(b, seeds[k]);

        if (!need)
            return false;
        need[ntk_offset_index(b->s, v->h, 0) * ntk_offsets(b->s, v->w) +
             ntk_offset_index(b->s, v->w, 0)] = 1;
    }
    for (int k = b->n_order - 1; k >= 0; k--)
        if (!step_needs(b, &b->steps[b->order[k]]))
            return false;
    return true;
}

/* ---- frames */

static void frame_needs(struct ntk_space_builder *b, int v)
{
    const struct ntk_node *x = node(b, v);
    struct ntk_frame *f = &b->s->frames[x->frame];
    const int rows = ntk_offsets(b->s, x->h), columns = ntk_offsets(b->s, x->w);
    const int frame_columns = ntk_offsets(b->s, f->w);
    const unsigned char *need = b->s->places[v].needed;

    for (int i = 0; need && i < rows; i++)
        for (int j = 0; j < columns; j++)
            if (need[i * columns + j])
                f->needed[ntk_offset_index(b->s, f->h,
                                           x->stride[0] * ntk_offset_at(b->s, x->h, i)) *
                              frame_columns +
                          ntk_offset_index(b->s, f->w,
                                           x->stride[1] * ntk_offset_at(b->s, x->w, j))] = 1;
}

static bool make_frames(struct ntk_space_builder *b)
{
    for (int f = 0; f < b->s->n_frames; f++) {
        struct ntk_frame *x = &b->s->frames[f];

        x->steps = ntk_arena_alloc(&b->s->arena, (size_t)b->n_order, sizeof *x->steps);
        x->entries = ntk_arena_alloc(&b->s->arena, (size_t)b->n_order, sizeof *x->entries);
        x->needed = ntk_arena_alloc(&b->s->arena, grid(b->s, x->h, x->w), 1);
        if (!x->steps || !x->entries || !x->needed)
            return false;
    }
    for (int k = 0; k < b->n_order; k++) {
        const struct ntk_space_step *x = &b->steps[b->order[k]];
        struct ntk_frame *f = &b->s->frames[x->frame];

        f->steps[f->n_steps++] = *x;
        for (int o = 0; o < x->n_out; o++)
            if (x->out[o] >= 0)
                frame_needs(b, x->out[o]);
        if (x->op == NTK_SPACE_LINK && x->n_out) {
            struct ntk_frame *to = &b->s->frames[node(b, x->out[0])->frame];

            b->s->places[x->out[0]].entry = b->s->links[x->link].entry = to->n_entries;
            to->entries[to->n_entries++] = x->out[0];
        }
    }
    return true;
}

/* ---- slots */

static bool in_place(enum ntk_space_op op)
{
    return op != NTK_SPACE_CONV;
}

static int take(bool *used, int *most)
{
    int k = 0;

    while (used[k])
        k++;
    used[k] = true;
    *most = k + 1 > *most ? k + 1 : *most;
    return k;
}

static void release(const struct ntk_space_step *x, int step, const int *last, int *slot,
                    bool *used)
{
    for (int k = 0; k < x->n_in; k++)
        if (last[x->in[k]] == step && slot[x->in[k]] >= 0)
            used[slot[x->in[k]]] = false;
}

/* Every step's operands and results get a scratch plane, or are the frame's entries. What no step
 * reads any more makes room. */
static bool make_slots(struct ntk_space_builder *b, struct ntk_frame *f)
{
    const size_t n = (size_t)b->g->n;
    int *slot = ntk_arena_alloc(&b->s->arena, n, sizeof *slot);
    int *last = ntk_arena_alloc(&b->s->arena, n, sizeof *last);
    bool *used = ntk_arena_alloc(&b->s->arena, n + 1, sizeof *used);

    if (!slot || !last || !used)
        return false;
    for (int e = 0; e < f->n_entries; e++)
        slot[f->entries[e]] = ~e;
    for (int k = 0; k < f->n_steps; k++)
        for (int i = 0; i < f->steps[k].n_in; i++)
            last[f->steps[k].in[i]] = k;
    for (int k = 0; k < f->n_steps; k++) {
        struct ntk_space_step *x = &f->steps[k];

        for (int i = 0; i < x->n_in; i++)
            x->in_slot[i] = slot[x->in[i]];
        if (in_place(x->op))
            release(x, k, last, slot, used);
        for (int o = 0; x->op != NTK_SPACE_LINK && o < x->n_out; o++)
            if (x->out[o] >= 0)
                x->out_slot[o] = slot[x->out[o]] = take(used, &b->s->n_slots);
        if (!in_place(x->op))
            release(x, k, last, slot, used);
        for (int o = 0; x->op != NTK_SPACE_LINK && o < x->n_out; o++)
            if (x->out[o] >= 0 && last[x->out[o]] <= k)
                used[x->out_slot[o]] = false; /* a moment that nobody reads */
    }
    return true;
}

/* Outputs that nothing reads are not computed. */
static void drop_outputs(struct ntk_space_builder *b)
{
    for (int k = 0; k < b->n_order; k++) {
        struct ntk_space_step *x = &b->steps[b->order[k]];

        for (int o = 0; o < x->n_out; o++)
            if (x->out[o] >= 0 && !b->s->places[x->out[o]].needed)
                x->out[o] = -1;
    }
}

static bool build(struct ntk_space_builder *b, int n_seeds, const int *seeds, bool sweeps, bool *ok)
{
    b->s->n_tables = b->s->n_links = b->s->n_exits = 0;
    return make_steps(b, sweeps) && make_order(b, n_seeds, seeds, ok);
}

ntk_status ntk_space_steps(struct ntk_space *s, int n_seeds, const int *seeds)
{
    struct ntk_space_builder b = {.s = s, .g = s->graph};
    bool ok;

    if (!find_readers(&b, n_seeds, seeds) || !build(&b, n_seeds, seeds, true, &ok))
        return NTK_ENOMEM;
    if (!ok && !build(&b, n_seeds, seeds, false, &ok))
        return NTK_ENOMEM;
    if (!make_needs(&b, n_seeds, seeds))
        return NTK_ENOMEM;
    drop_outputs(&b);
    if (!make_frames(&b))
        return NTK_ENOMEM;
    for (int f = 0; f < s->n_frames; f++)
        if (!make_slots(&b, &s->frames[f]))
            return NTK_ENOMEM;
    return NTK_OK;
}
