/* SPDX-License-Identifier: MIT
 *
 * plan.c - from a graph to steps and slots.
 */
#include <string.h>

#include "kernel/near.h"

static bool is_input(const struct ntk_node *v)
{
    return v->op == NTK_OP_INPUT || v->op == NTK_OP_TRACE || v->op == NTK_OP_TOTAL;
}

static void mark_needed(struct ntk_plan *p)
{
    for (int m = 0; m < p->n_outputs; m++)
        p->needed[p->outputs[m]] = true;
    for (int v = p->graph.n - 1; v >= 0; v--)
        for (int i = 0; p->needed[v] && i < p->graph.nodes[v].n_in; i++)
            p->needed[p->graph.nodes[v].in[i]] = true;
}

/* DUAL and DUAL_DOT of the same activation and operand are one step. */
static bool same_dual(const struct ntk_node *a, const struct ntk_node *b)
{
    return a->act == b->act && a->in[0] == b->in[0] && a->op != b->op &&
           (a->act->base.size == 0 || memcmp(a->self, b->self, a->act->base.size) == 0);
}

static bool is_dual(enum ntk_op op) { return op == NTK_OP_DUAL || op == NTK_OP_DUAL_DOT; }

static int add_table(struct ntk_plan *p, const struct ntk_node *node, int v)
{
    struct ntk_side_table t = {.op = is_dual(node->op) ? NTK_OP_DUAL : node->op,
                               .sigma = node->in[node->n_in - 1],
                               .dual_node = v,
                               .eps = node->constant};

    for (int i = 0; i < p->n_tables; i++)
        if (t.op == NTK_OP_NORMALISE && p->tables[i].op == t.op && p->tables[i].sigma == t.sigma &&
            memcmp(&p->tables[i].eps, &t.eps, sizeof t.eps) == 0)
            return i;
    p->tables[p->n_tables] = t;
    return p->n_tables++;
}

static struct ntk_step *find_dual(struct ntk_plan *p, const struct ntk_node *node)
{
    for (int s = 0; s < p->n_steps; s++) {
        struct ntk_step *step = &p->steps[s];

        if (step->op == NTK_OP_DUAL &&
            same_dual(node, &p->graph.nodes[step->node >= 0 ? step->node : step->dot]))
            return step;
    }
    return NULL;
}

/* Steps in topological order; operands are still node numbers. */
static bool make_steps(struct ntk_plan *p)
{
    for (int v = 0; v < p->graph.n; v++) {
        const struct ntk_node *node = &p->graph.nodes[v];
        struct ntk_step *twin, s = {.op = node->op, .node = v, .dot = -1, .sides = -1};

        if (!p->needed[v] || node->plane)
            continue;
        if (is_input(node)) {
            p->inputs[p->n_inputs++] = v;
            continue;
        }
        p->needs_variances = p->needs_variances || is_dual(node->op) ||
                             node->op == NTK_OP_NORMALISE || node->op == NTK_OP_SELF;
        twin = is_dual(node->op) ? find_dual(p, node) : NULL;
        if (twin) {
            *(node->op == NTK_OP_DUAL ? &twin->node : &twin->dot) = v;
            continue;
        }
        if (node->op == NTK_OP_DUAL_DOT) {
            s.op = NTK_OP_DUAL;
            s.dot = v;
            s.node = -1;
        }
        if (s.op == NTK_OP_DUAL || s.op == NTK_OP_NORMALISE)
            s.sides = add_table(p, node, v);
        s.n_in = s.op == NTK_OP_NORMALISE ? 1 : node->n_in;
        s.in = ntk_arena_alloc(&p->arena, (size_t)s.n_in, sizeof *s.in);
        if (!s.in)
            return false;
        if (s.n_in)
            memcpy(s.in, node->in, (size_t)s.n_in * sizeof *s.in);
        p->most_in = s.n_in > p->most_in ? s.n_in : p->most_in;
        p->steps[p->n_steps++] = s;
    }
    return true;
}

/* last[v]: the last step that reads node v; outputs are never free. */
static void find_last_uses(const struct ntk_plan *p, int *last)
{
    for (int v = 0; v < p->graph.n; v++)
        last[v] = -1;
    for (int s = 0; s < p->n_steps; s++)
        for (int i = 0; i < p->steps[s].n_in; i++)
            last[p->steps[s].in[i]] = s;
}

/* The output slot of a node that is an output (its first, if several nets share it), else -1. */
static int output_slot(const struct ntk_plan *p, int v)
{
    for (int m = 0; m < p->n_outputs; m++)
        if (p->outputs[m] == v)
            return p->first_output + m;
    return -1;
}

static int take_slot(const struct ntk_plan *p, bool *used)
{
    int s = p->n_inputs;

    while (used[s])
        s++;
    used[s] = true;
    return s;
}

/* Scratch slots are numbered first; output slots follow when their number is known, and stand as
 * -2 - m until then. */
static void assign_slots(struct ntk_plan *p, int *slot_of, const int *last, bool *used)
{
    int most = p->n_inputs - 1;

    p->first_output = -2 - p->n_outputs;
    for (int k = 0; k < p->n_inputs; k++)
        slot_of[p->inputs[k]] = k;
    for (int s = 0; s < p->n_steps; s++) {
        struct ntk_step *step = &p->steps[s];
        int *made[] = {&step->slot, &step->dot_slot};
        const int nodes[] = {step->node, step->dot};

        for (int k = 0; k < 2; k++) {
            if (nodes[k] < 0) {
                *made[k] = -1;
                continue;
            }
            *made[k] = output_slot(p, nodes[k]);
            if (*made[k] == -1)
                *made[k] = take_slot(p, used);
            slot_of[nodes[k]] = *made[k];
            most = *made[k] > most ? *made[k] : most;
        }
        for (int i = 0; i < step->n_in; i++) {
            const int v = step->in[i];

            step->in[i] = slot_of[v];
            if (last[v] == s && slot_of[v] >= p->n_inputs)
                used[slot_of[v]] = false;
        }
    }
    for (int s = 0; s < p->n_steps; s++) {
        struct ntk_step *step = &p->steps[s];
        const int shift = most + 1 - p->first_output;

        step->slot += step->slot < -1 ? shift : 0;
        step->dot_slot += step->dot_slot < -1 ? shift : 0;
        for (int i = 0; i < step->n_in; i++)
            step->in[i] += step->in[i] < -1 ? shift : 0;
    }
    for (int m = 0; m < p->n_outputs; m++) {
        const int slot = slot_of[p->outputs[m]];

        p->output_from[m] = slot < -1 ? slot + most + 1 - p->first_output : slot;
    }
    p->first_output = most + 1;
    p->n_slots = p->first_output + p->n_outputs;
}

/* The vector that a sample is when all its positions are read as one. */
static bool is_flat_input(const struct ntk_graph *g, int v)
{
    const struct ntk_node *x = &g->nodes[v];

    return x->op == NTK_OP_INPUT ||
           (x->op == NTK_OP_TRACE && g->nodes[x->in[0]].op == NTK_OP_INPUT);
}

/* Variances of a graph without positions cost little; they make equal samples exact. */
static ntk_status make_space(struct ntk_plan *p)
{
    if (p->n_inputs == 0)
        return NTK_OK;
    if (p->n_inputs == 1 && is_flat_input(&p->graph, p->inputs[0])) {
        p->needs_variances = true;
        if (!ntk_near_plan(p))
            return ntk_fail(p->graph.ctx, NTK_ENOMEM, "no memory for a plan of %d nodes", p->graph.n);
        return NTK_OK;
    }
    return ntk_space_make(&p->graph, p->n_inputs, p->inputs, 0, NULL, &p->space);
}

ntk_status ntk_plan_make(struct ntk_graph *graph, int n_outputs, const int *outputs,
                         struct ntk_plan *plan)
{
    const size_t n = (size_t)graph->n, n_out = (size_t)n_outputs;
    int *last, *slot_of;
    ntk_status status;
    bool *used;

    *plan = (struct ntk_plan){.graph = *graph, .n_outputs = n_outputs};
    *graph = (struct ntk_graph){0};
    plan->outputs = ntk_arena_alloc(&plan->arena, n_out, sizeof *plan->outputs);
    plan->output_from = ntk_arena_alloc(&plan->arena, n_out, sizeof *plan->output_from);
    plan->inputs = ntk_arena_alloc(&plan->arena, n, sizeof *plan->inputs);
    plan->needed = ntk_arena_alloc(&plan->arena, n, sizeof *plan->needed);
    plan->steps = ntk_arena_alloc(&plan->arena, n, sizeof *plan->steps);
    plan->tables = ntk_arena_alloc(&plan->arena, n, sizeof *plan->tables);
    last = ntk_arena_alloc(&plan->arena, n, sizeof *last);
    slot_of = ntk_arena_alloc(&plan->arena, n, sizeof *slot_of);
    used = ntk_arena_alloc(&plan->arena, n + 2, sizeof *used);
    if (!plan->outputs || !plan->output_from || !plan->inputs || !plan->needed || !plan->steps ||
        !plan->tables || !last || !slot_of || !used)
        goto no_memory;
    memcpy(plan->outputs, outputs, n_out * sizeof *outputs);
    mark_needed(plan);
    if (!make_steps(plan))
        goto no_memory;
    find_last_uses(plan, last);
    assign_slots(plan, slot_of, last, used);
    status = make_space(plan);
    if (status != NTK_OK)
        ntk_plan_free(plan);
    return status;

no_memory:
    ntk_fail(plan->graph.ctx, NTK_ENOMEM, "no memory for a plan of %zu nodes", n);
    ntk_plan_free(plan);
    return NTK_ENOMEM;
}

void ntk_plan_free(struct ntk_plan *plan)
{
    ntk_space_free(plan->space);
    ntk_graph_free(&plan->graph);
    ntk_arena_free(&plan->arena);
    *plan = (struct ntk_plan){0};
}
