/* SPDX-License-Identifier: MIT
 *
 * slots.c - in which buffer each result of a frame's steps lives, so that few are in use at once.
 */
#include "engine/program.h"

static int take(bool *used, int *most)
{
    int k = 0;

    while (used[k])
        k++;
    used[k] = true;
    *most = k + 1 > *most ? k + 1 : *most;
    return k;
}

static bool is_buffer(int slot, int n_outputs) { return slot >= 0 && slot < NTK_OUTPUT_SLOT(n_outputs); }

/* Operands that nothing reads later make room. */
static void release(const struct ntk_program *p, const struct ntk_step *s, int number, const int *last,
                    const int *slot, bool *used)
{
    for (int k = 0; k < s->n_in; k++)
        if (last[s->in[k]] == number && is_buffer(slot[s->in[k]], p->n_outputs))
            used[slot[s->in[k]]] = false;
}

/* The slot of a node that is an output (its first, if several nets share it); -1. */
static int output_slot(const struct ntk_program *p, int v)
{
    for (int m = 0; m < p->n_outputs; m++)
        if (p->outputs[m] == v)
            return NTK_OUTPUT_SLOT(m);
    return -1;
}

static void place_results(const struct ntk_program *p, struct ntk_step *s, int *slot, bool *used, int *most)
{
    for (int o = 0; o < s->n_out; o++) {
        if (s->out[o] < 0)
            continue;
        s->out_slot[o] = output_slot(p, s->out[o]);
        if (s->out_slot[o] < 0)
            s->out_slot[o] = take(used, most);
        slot[s->out[o]] = s->out_slot[o];
    }
}

bool ntk_slots_assign(const struct ntk_program *p, int frame, struct ntk_step *const *steps, int n_steps,
                      bool in_place, int *n_slots)
{
    const struct ntk_frame *f = &p->frames[frame];
    const size_t n = (size_t)p->graph->n;
    struct ntk_arena scratch = {0};
    int *slot = ntk_arena_alloc(&scratch, n, sizeof *slot), *last = ntk_arena_alloc(&scratch, n, sizeof *last);
    bool *used = ntk_arena_alloc(&scratch, n + 1, sizeof *used);

    if (!slot || !last || !used) {
        ntk_arena_free(&scratch);
        return false;
    }
    for (size_t v = 0; v < n; v++)
        last[v] = -1;
    for (int e = 0; e < f->n_entries; e++)
        slot[f->entries[e]] = ~e;
    for (int k = 0; k < n_steps; k++)
        for (int i = 0; i < steps[k]->n_in; i++)
            last[steps[k]->in[i]] = k;
    for (int k = 0; k < n_steps; k++) {
        struct ntk_step *s = steps[k];
        const bool early = in_place && !s->apart;

        for (int i = 0; i < s->n_in; i++)
            s->in_slot[i] = slot[s->in[i]];
        if (early)
            release(p, s, k, last, slot, used);
        place_results(p, s, slot, used, n_slots);
        if (!early)
            release(p, s, k, last, slot, used);
        for (int o = 0; o < s->n_out; o++)
            if (s->out[o] >= 0 && last[s->out[o]] <= k && is_buffer(s->out_slot[o], p->n_outputs))
                used[s->out_slot[o]] = false; /* nobody reads it */
    }
    ntk_arena_free(&scratch);
    return true;
}
