/* SPDX-License-Identifier: MIT
 *
 * compile.c - the steps of a program's frames as this backend runs them: fused (fuse.c), in an order, with
 * slots. Points are run as they are in the program.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

/* ---- who reads what */

static int results_of(const struct ntk_cpu_builder *b, const struct ntk_step *s, int result[2])
{
    int n = 0;

    if (s->link >= 0)
        result[n++] = b->p->links[s->link].to;
    for (int o = 0; o < s->n_out; o++)
        if (s->out[o] >= 0)
            result[n++] = s->out[o];
    return n;
}

/* Calls visit for every operand of every step with positions and every node that is made of it. */
static void each_edge(struct ntk_cpu_builder *b, void (*visit)(struct ntk_cpu_builder *b, int from, int to))
{
    for (int f = 0; f < b->p->points; f++)
        for (int k = 0; k < b->p->frames[f].n_steps; k++) {
            const struct ntk_step *s = &b->p->frames[f].steps[k];
            int result[2];
            const int n = results_of(b, s, result);

            for (int i = 0; i < s->n_in; i++)
                for (int o = 0; o < n; o++)
                    visit(b, s->in[i], result[o]);
        }
}

static void count_edge(struct ntk_cpu_builder *b, int from, int to)
{
    (void)to;
    b->first[from + 2]++;
}

static void add_edge(struct ntk_cpu_builder *b, int from, int to) { b->reader[b->first[from + 1]++] = to; }

static bool find_readers(struct ntk_cpu_builder *b)
{
    const size_t n = (size_t)b->g->n;

    b->first = ntk_arena_alloc(&b->scratch, n + 2, sizeof *b->first);
    if (!b->first)
        return false;
    each_edge(b, count_edge);
    for (size_t v = 0; v < n; v++)
        b->first[v + 2] += b->first[v + 1];
    b->reader = ntk_arena_alloc(&b->scratch, (size_t)b->first[n + 1], sizeof *b->reader);
    if (!b->reader)
        return false;
    each_edge(b, add_edge); /* in place: first[v + 1] ends as the end of v */
    return true;
}

/* ---- steps */

struct ntk_cpu_step *ntk_cpu_new_step(struct ntk_cpu_builder *b, enum ntk_cpu_kind kind, const struct ntk_step *like,
                                      int n_in, int n_out)
{
    struct ntk_arena *a = &b->c->arena;
    struct ntk_cpu_step *s = &b->steps[b->n_steps];

    *s = (struct ntk_cpu_step){.s = *like, .kind = kind};
    s->s.n_in = n_in;
    s->s.n_out = n_out;
    s->s.in = ntk_arena_alloc(a, (size_t)n_in, sizeof *s->s.in);
    s->s.in_slot = ntk_arena_alloc(a, (size_t)n_in, sizeof *s->s.in_slot);
    s->s.out = ntk_arena_alloc(a, (size_t)n_out, sizeof *s->s.out);
    s->s.out_slot = ntk_arena_alloc(a, (size_t)n_out, sizeof *s->s.out_slot);
    if (!s->s.in || !s->s.in_slot || !s->s.out || !s->s.out_slot)
        return NULL;
    for (int k = 0; k < n_in && k < like->n_in; k++)
        s->s.in[k] = like->in[k];
    for (int k = 0; k < n_out; k++)
        s->s.out[k] = -1;
    b->n_steps++;
    return s;
}

int ntk_cpu_box_end(const struct ntk_cpu_builder *b, int conv, double factor, struct ntk_sweep_out *out)
{
    const int first = b->first[conv], last = b->first[conv + 1];
    const struct ntk_step *x = last - first == 1 ? b->maker[b->reader[first]] : NULL;
    const double scale = factor * b->maker[conv]->run.scale;

    out->a = scale;
    out->b = 0;
    if (!x || x->run.id != NTK_DO_MIX || x->n_in != 1)
        return conv;
    out->a = scale * x->run.coef[0];
    out->b = x->run.constant;
    return b->reader[first];
}

static bool make_step(struct ntk_cpu_builder *b, const struct ntk_step *like)
{
    struct ntk_cpu_step *s;

    for (int o = 0; o < like->n_out; o++)
        if (like->out[o] >= 0 && b->producer[like->out[o]] >= 0)
            return true; /* the end of a convolution is made with it */
    s = ntk_cpu_new_step(b, NTK_CPU_STEP, like, like->n_in, like->n_out);
    if (!s)
        return false;
    for (int o = 0; o < like->n_out; o++)
        s->s.out[o] = like->out[o];
    if (like->run.id == NTK_DO_BOX)
        s->s.out[0] = ntk_cpu_box_end(b, like->out[0], 1, &s->sweep[0]);
    for (int o = 0; o < like->n_out; o++)
        if (s->s.out[o] >= 0)
            b->producer[s->s.out[o]] = b->n_steps - 1;
    return true;
}

static bool is_sum(const struct ntk_cpu_builder *b, const struct ntk_step *s)
{
    return s->link >= 0 && b->p->links[s->link].sum;
}

/* All steps but sums, sweeps, sums, tails. */
static bool make_steps(struct ntk_cpu_builder *b, bool fused)
{
    int n_duals, sums, tails;

    b->n_steps = 0;
    for (int v = 0; v < b->g->n; v++)
        b->producer[v] = -1;
    for (int f = 0; f < b->p->points; f++)
        for (int k = 0; k < b->p->frames[f].n_steps; k++)
            if (!is_sum(b, &b->p->frames[f].steps[k]) && !make_step(b, &b->p->frames[f].steps[k]))
                return false;
    for (int k = 0; k < b->n_steps; k++)
        if (b->steps[k].s.link >= 0)
            b->producer[b->p->links[b->steps[k].s.link].to] = k;
    n_duals = b->n_steps;
    for (int k = 0; fused && k < n_duals; k++)
        if (b->steps[k].s.run.id == NTK_DO_DUAL && ntk_dual_sweeps(b->steps[k].s.run.act->dual) &&
            !ntk_cpu_sweeps(b, k))
            return false;
    sums = b->n_steps;
    for (int f = 0; f < b->p->points; f++)
        for (int k = 0; k < b->p->frames[f].n_steps; k++)
            if (is_sum(b, &b->p->frames[f].steps[k]) && !make_step(b, &b->p->frames[f].steps[k]))
                return false;
    tails = b->n_steps;
    for (int k = sums; fused && k < tails; k++)
        if (!ntk_cpu_tail(b, k, tails))
            return false;
    return true;
}

/* ---- order: depth first from what is wanted */

struct visit {
    int step, next; /* operand to look at */
};

/* False in *ok: a step waits for itself (only a sweep can). */
static void visit(struct ntk_cpu_builder *b, int root, unsigned char *state, struct visit *stack, bool *ok)
{
    int n = 0;

    if (state[root])
        return;
    stack[n++] = (struct visit){root, 0};
    state[root] = 1;
    while (n > 0) {
        struct visit *top = &stack[n - 1];
        const struct ntk_step *s = &b->steps[top->step].s;
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
}

static bool make_order(struct ntk_cpu_builder *b, bool *ok)
{
    const size_t n = (size_t)b->n_steps;
    const struct ntk_frame *wanted = b->p->wanted < 0 ? NULL : &b->p->frames[b->p->wanted];
    unsigned char *state = ntk_arena_alloc(&b->scratch, n, 1);
    struct visit *stack = ntk_arena_alloc(&b->scratch, n, sizeof *stack);

    b->order = ntk_arena_alloc(&b->scratch, n, sizeof *b->order);
    b->n_order = 0;
    *ok = true;
    if (!state || !stack || !b->order)
        return false;
    for (int e = 0; wanted && e < wanted->n_entries; e++)
        visit(b, b->producer[wanted->entries[e]], state, stack, ok);
    for (int k = 0; k < b->n_steps; k++)
        if (b->steps[k].kind == NTK_CPU_TAIL || (b->steps[k].kind == NTK_CPU_STEP && is_sum(b, &b->steps[k].s)))
            visit(b, k, state, stack, ok);
    return true;
}

static bool build(struct ntk_cpu_builder *b, bool fused, bool *ok)
{
    return make_steps(b, fused) && make_order(b, ok);
}

/* Results that no step reads are not computed. */
static bool drop_results(struct ntk_cpu_builder *b)
{
    bool *read = ntk_arena_alloc(&b->scratch, (size_t)b->g->n, sizeof *read);

    if (!read)
        return false;
    for (int k = 0; k < b->n_order; k++)
        for (int i = 0; i < b->steps[b->order[k]].s.n_in; i++)
            read[b->steps[b->order[k]].s.in[i]] = true;
    for (int k = 0; k < b->n_order; k++) {
        struct ntk_step *s = &b->steps[b->order[k]].s;

        for (int o = 0; o < s->n_out; o++)
            if (s->out[o] >= 0 && !read[s->out[o]])
                s->out[o] = -1;
    }
    return true;
}

/* ---- planes that are left open, and the folds of sweeps */

static bool is_fused(const struct ntk_cpu_step *s) { return s->kind == NTK_CPU_SWEEP || s->kind == NTK_CPU_TAIL; }

/* Whether result o is that of a box of 3 x 3, and the constant after it. */
static bool ends_box(const struct ntk_cpu_builder *b, const struct ntk_cpu_step *s, int o, double *add)
{
    *add = s->sweep[o].b;
    return s->kind == NTK_CPU_SWEEP ||
           (s->kind == NTK_CPU_STEP && s->s.run.id == NTK_DO_BOX && ntk_cpu_is_box3(b, s->s.node));
}

/* A box that is left open, of the first covariance, which nobody else reads. */
static void join_first(struct ntk_cpu_builder *b, struct ntk_cpu_step *box)
{
    const int in = box->s.in[0];
    struct ntk_cpu_step *first = &b->steps[b->producer[in]];

    if (box->kind != NTK_CPU_STEP || first->s.run.id != NTK_DO_FIRST || b->first[in + 1] - b->first[in] != 1)
        return;
    first->kind = NTK_CPU_NONE;
    box->kind = NTK_CPU_FIRST;
    box->s.n_in = 0;
}

static bool leave_open(struct ntk_cpu_builder *b)
{
    bool *closed = ntk_arena_alloc(&b->scratch, (size_t)b->g->n, sizeof *closed);
    bool *open = ntk_arena_alloc(&b->scratch, (size_t)b->g->n, sizeof *open);
    double *add = ntk_arena_alloc(&b->scratch, (size_t)b->g->n, sizeof *add);

    if (!closed || !open || !add)
        return false;
    for (int k = 0; k < b->n_order; k++) {
        const struct ntk_cpu_step *s = &b->steps[b->order[k]];

        for (int i = 0; i < s->s.n_in; i++)
            closed[s->s.in[i]] = closed[s->s.in[i]] || !is_fused(s);
    }
    for (int k = 0; k < b->n_order; k++) {
        struct ntk_cpu_step *s = &b->steps[b->order[k]];

        for (int i = 0; is_fused(s) && i < s->s.n_in; i++) {
            s->open_in[i] = open[s->s.in[i]];
            s->add[i] = add[s->s.in[i]];
        }
        for (int o = 0; o < s->s.n_out; o++) {
            const int v = s->s.out[o];
            double constant;

            if (v < 0 || closed[v] || !ends_box(b, s, o, &constant))
                continue;
            open[v] = s->open_out[o] = true;
            add[v] = constant;
            join_first(b, s);
        }
        s->s.apart = s->kind == NTK_CPU_SWEEP || (s->s.run.id == NTK_DO_BOX && !s->open_out[0]);
    }
    return true;
}

/* Who reads a side set: sweeps and tails only, or not; the factor that their first result takes. */
struct fold_use {
    const struct ntk_instruction *run; /* NULL: nobody */
    bool other;
    double factor;
};

static void find_uses(const struct ntk_cpu_builder *b, struct fold_use *use)
{
    for (int k = 0; k < b->n_order; k++) {
        const struct ntk_cpu_step *s = &b->steps[b->order[k]];
        struct fold_use *u = s->s.side_set < 0 ? NULL : &use[s->s.side_set];

        if (!u)
            continue;
        u->run = &s->s.run;
        u->other = u->other || !is_fused(s);
        for (int o = 0; o < s->s.n_out; o++)
            if (s->s.out[o] >= 0 && u->factor == 0)
                u->factor = s->sweep[o].a;
    }
}

static bool same_activation(const struct ntk_instruction *x, const struct ntk_instruction *y)
{
    return x->act == y->act && memcmp(x->self, y->self, x->act->base.size) == 0;
}

/* That of a side set, or what a set before it with the same activation and factor has: most layers are alike. */
static void make_fold(struct ntk_cpu_builder *b, int t, struct fold_use *use)
{
    const ntk_dtype dtypes[] = {NTK_F32, NTK_F64};
    int like = 0;

    if (!use[t].run || use[t].other || !use[t].run->act->fold)
        return;
    use[t].factor = use[t].factor == 0 ? 1 : use[t].factor; /* of tails */
    while (like < t && !(b->c->fold[0][like].factor == use[t].factor && same_activation(use[like].run, use[t].run)))
        like++;
    for (int k = 0; k < 2; k++) {
        struct ntk_fold fold;

        if (like < t)
            b->c->fold[k][t] = b->c->fold[k][like];
        else if (use[t].run->act->fold(use[t].run->self, dtypes[k], use[t].factor, &fold))
            b->c->fold[k][t] = fold;
    }
}

static bool make_folds(struct ntk_cpu_builder *b)
{
    const size_t n = (size_t)b->p->n_side_sets;
    struct fold_use *use = ntk_arena_alloc(&b->scratch, n, sizeof *use);

    for (int k = 0; k < 2; k++)
        b->c->fold[k] = ntk_arena_alloc(&b->c->arena, n, sizeof *b->c->fold[k]);
    if (!use || !b->c->fold[0] || !b->c->fold[1])
        return false;
    find_uses(b, use);
    for (int t = 0; t < b->p->n_side_sets; t++)
        make_fold(b, t, use);
    return true;
}

static bool make_frame(struct ntk_cpu_builder *b, int frame)
{
    struct ntk_cpu_frame *f = &b->c->frames[frame];
    struct ntk_step **list = ntk_arena_alloc(&b->scratch, (size_t)b->n_order, sizeof(struct ntk_step *));

    f->steps = ntk_arena_alloc(&b->c->arena, (size_t)b->n_order, sizeof(struct ntk_cpu_step *));
    if (!f->steps || !list)
        return false;
    for (int k = 0; k < b->n_order; k++)
        if (b->steps[b->order[k]].s.frame == frame && b->steps[b->order[k]].kind != NTK_CPU_NONE) {
            f->steps[f->n_steps] = &b->steps[b->order[k]];
            list[f->n_steps++] = &b->steps[b->order[k]].s;
        }
    return ntk_slots_assign(b->p, frame, list, f->n_steps, true, &b->c->n_slots);
}

static bool make_frames(struct ntk_cpu_builder *b)
{
    b->c->frames = ntk_arena_alloc(&b->c->arena, (size_t)b->p->n_frames, sizeof *b->c->frames);
    for (int f = 0; b->c->frames && f < b->p->points; f++)
        if (!make_frame(b, f))
            return false;
    return b->c->frames;
}

static bool allocate(struct ntk_cpu_builder *b)
{
    size_t steps = 0;

    for (int f = 0; f < b->p->points; f++)
        steps += (size_t)b->p->frames[f].n_steps;
    /* at most a sweep for each box, and a tail for each sum */
    b->steps = ntk_arena_alloc(&b->c->arena, 2 * steps, sizeof *b->steps);
    b->producer = ntk_arena_alloc(&b->scratch, (size_t)b->g->n, sizeof *b->producer);
    b->maker = ntk_arena_alloc(&b->scratch, (size_t)b->g->n, sizeof(struct ntk_step *));
    if (!b->steps || !b->producer || !b->maker)
        return false;
    for (int f = 0; f < b->p->points; f++)
        for (int k = 0; k < b->p->frames[f].n_steps; k++) {
            int result[2];

            for (int o = results_of(b, &b->p->frames[f].steps[k], result) - 1; o >= 0; o--)
                b->maker[result[o]] = &b->p->frames[f].steps[k];
        }
    return true;
}

/* Covariances that near pairs carry; which activations have such pairs is known with the samples. */
static bool find_carried(struct ntk_cpu *c)
{
    const struct ntk_program *p = c->p;

    c->carried = ntk_arena_alloc(&c->arena, (size_t)p->graph->n, sizeof *c->carried);
    if (!c->carried)
        return false;
    for (int t = 0; t < p->n_side_sets; t++)
        c->carried[p->side_sets[t].sigma] = true;
    for (int v = p->graph->n - 1; v >= 0; v--)
        for (int i = 0; c->carried[v] && i < p->graph->nodes[v].n_in; i++)
            c->carried[p->graph->nodes[v].in[i]] = true;
    for (int t = 0; t < p->n_side_sets; t++)
        c->near = c->near || (p->vectors && p->side_sets[t].op->setup);
    return true;
}

static bool make(struct ntk_cpu_builder *b)
{
    bool ok;

    if (!find_readers(b) || !allocate(b) || !build(b, true, &ok))
        return false;
    if (!ok && !build(b, false, &ok))
        return false;
    return drop_results(b) && leave_open(b) && make_folds(b) && make_frames(b) && ntk_cpu_schedule(b->c) &&
           find_carried(b->c) && ntk_cpu_rows(b->c);
}

static bool compile(struct ntk_cpu *c)
{
    struct ntk_cpu_builder b = {.c = c, .p = c->p, .g = c->p->graph};
    const bool made = make(&b);

    ntk_arena_free(&b.scratch);
    return made;
}

static bool is_known(enum ntk_instruction_id id, bool points)
{
    switch (id) {
    case NTK_DO_MIX:
    case NTK_DO_PRODUCT:
    case NTK_DO_DUAL:
    case NTK_DO_SCALE:
    case NTK_DO_COPY:
        return true;
    case NTK_DO_FIRST:
    case NTK_DO_BOX:
    case NTK_DO_LINK:
        return !points;
    default:
        return false;
    }
}

static ntk_status check_instructions(const struct ntk_program *p)
{
    for (int f = 0; f < p->n_frames; f++)
        for (int k = 0; k < p->frames[f].n_steps; k++) {
            const struct ntk_step *s = &p->frames[f].steps[k];

            if (!is_known(s->run.id, f == p->points))
                return ntk_fail(p->ctx, NTK_ENOTSUP, "the backend cpu has no instruction '%s'%s, which %s needs",
                                ntk_instruction_name(s->run.id), f == p->points ? " without positions" : "",
                                s->op->name);
        }
    return NTK_OK;
}

ntk_status ntk_cpu_compile(const struct ntk_program *p, void **compiled)
{
    ntk_status status = check_instructions(p);
    struct ntk_cpu *c = status == NTK_OK ? ntk_alloc_zero(p->ctx, 1, sizeof *c) : NULL;

    if (!c)
        return status == NTK_OK ? NTK_ENOMEM : status;
    c->p = p;
    c->own = ntk_alloc_zero(p->ctx, (size_t)p->n_frames, sizeof(struct ntk_cpu *));
    if (!c->own || !compile(c))
        status = ntk_fail(p->ctx, NTK_ENOMEM, "no memory for a program of %d nodes", p->graph->n);
    for (int f = 0; f < p->n_frames && status == NTK_OK; f++) {
        void *own = NULL;

        if (p->frames[f].own)
            status = ntk_cpu_compile(p->frames[f].own, &own);
        c->own[f] = own;
    }
    if (status != NTK_OK) {
        ntk_cpu_close(c);
        return status;
    }
    *compiled = c;
    return NTK_OK;
}

void ntk_cpu_close(void *compiled)
{
    struct ntk_cpu *c = compiled;

    if (!c)
        return;
    for (int f = 0; c->own && f < c->p->n_frames; f++)
        ntk_cpu_close(c->own[f]);
    free(c->own);
    ntk_arena_free(&c->arena);
    free(c);
}
