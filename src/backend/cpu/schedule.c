/* SPDX-License-Identifier: MIT
 *
 * schedule.c - the order in which rows of offsets are computed, so that few entries of frames are in memory at once.
 */
#include "backend/cpu/cpu.h"

/* ---- the order of rows */

struct schedule {
    struct ntk_cpu *c;
    int **pending; /* [frames][rows]: contributions still to come */
    bool **done;   /* [frames][rows] */
    bool **used;   /* [frames][rows]: slots in use */
};

static int rows_of(const struct ntk_cpu *c, int frame) { return ntk_offsets(c->p->graph, c->p->frames[frame].h); }

static bool row_needed(const struct ntk_cpu *c, int frame, int row)
{
    const struct ntk_frame *f = &c->p->frames[frame];
    const int columns = ntk_offsets(c->p->graph, f->w);

    for (int j = 0; j < columns; j++)
        if (f->needed[row * columns + j])
            return true;
    return false;
}

/* Row of offsets of a node for a row of its frame; -1: none. */
static int node_row(const struct ntk_program *p, int node, int frame_row)
{
    const struct ntk_node *v = &p->graph->nodes[node];
    const int d = ntk_offset_at(p->graph, p->frames[v->frame].h, frame_row);

    return d % v->stride[0] ? -1 : ntk_offset_index(p->graph, v->h, d / v->stride[0]);
}

/* Calls visit for every row of another frame that row `row` of `frame` adds to. */
static void each_target(struct schedule *x, int frame, int row,
                        void (*visit)(struct schedule *x, int frame, int row))
{
    const struct ntk_program *p = x->c->p;

    for (int k = 0; k < p->n_links; k++) {
        const struct ntk_link *l = &p->links[k];
        const int to = p->graph->nodes[l->to].frame;
        int at;

        if (l->sum || p->graph->nodes[l->from].frame != frame)
            continue;
        at = node_row(p, l->from, row);
        for (int g = 0; at >= 0 && g < l->dim[0].n_groups[at]; g++)
            if (row_needed(x->c, to, l->dim[0].groups[at][g].offset))
                visit(x, to, l->dim[0].groups[at][g].offset);
    }
}

static void more(struct schedule *x, int frame, int row)
{
    x->pending[frame][row]++;
}
static void fewer(struct schedule *x, int frame, int row)
{
    x->pending[frame][row]--;
}

static void event(struct ntk_cpu *c, bool clear, int frame, int row)
{
    c->events[c->n_events++] = (struct ntk_event){clear, frame, row};
}

static void open_row(struct schedule *x, int frame, int row)
{
    struct ntk_cpu_frame *f = &x->c->frames[frame];
    int slot = 0;

    if (f->row_slot[row] >= 0)
        return;
    while (x->used[frame][slot])
        slot++;
    x->used[frame][slot] = true;
    f->row_slot[row] = slot;
    f->live_rows = slot + 1 > f->live_rows ? slot + 1 : f->live_rows;
    event(x->c, true, frame, row);
}

static void run_row(struct schedule *x, int frame, int row)
{
    const bool entries = x->c->p->frames[frame].n_entries > 0;

    if (entries)
        open_row(x, frame, row);
    each_target(x, frame, row, open_row);
    event(x->c, false, frame, row);
    each_target(x, frame, row, fewer);
    x->done[frame][row] = true;
    if (entries)
        x->used[frame][x->c->frames[frame].row_slot[row]] = false;
}

/* One row that can be computed: of the highest level, so that little waits in memory. */
static bool run_next(struct schedule *x)
{
    const struct ntk_program *p = x->c->p;
    int frame = -1, row = -1;

    for (int f = 0; f < p->points; f++) {
        const int rows = rows_of(x->c, f);
        int r = 0;

        if (frame >= 0 && p->frames[f].level <= p->frames[frame].level)
            continue;
        while (r < rows && (x->done[f][r] || x->pending[f][r] || !row_needed(x->c, f, r)))
            r++;
        if (r < rows) {
            frame = f;
            row = r;
        }
    }
    if (frame >= 0)
        run_row(x, frame, row);
    return frame >= 0;
}

bool ntk_cpu_schedule(struct ntk_cpu *c)
{
    const size_t n = (size_t)c->p->points;
    struct ntk_arena *a = &c->arena;
    struct schedule x = {.c = c,
                         .pending = ntk_arena_alloc(a, n, sizeof(int *)),
                         .done = ntk_arena_alloc(a, n, sizeof(bool *)),
                         .used = ntk_arena_alloc(a, n, sizeof(bool *))};
    size_t rows = 0;

    if (!x.pending || !x.done || !x.used)
        return false;
    for (size_t f = 0; f < n; f++) {
        const size_t m = (size_t)rows_of(c, (int)f);

        rows += m;
        x.pending[f] = ntk_arena_alloc(a, m, sizeof **x.pending);
        x.done[f] = ntk_arena_alloc(a, m, sizeof **x.done);
        x.used[f] = ntk_arena_alloc(a, m, sizeof **x.used);
        c->frames[f].row_slot = ntk_arena_alloc(a, m, sizeof(int));
        if (!x.pending[f] || !x.done[f] || !x.used[f] || !c->frames[f].row_slot)
            return false;
        for (size_t r = 0; r < m; r++)
            c->frames[f].row_slot[r] = -1;
    }
    c->events = ntk_arena_alloc(a, 2 * rows, sizeof *c->events);
    if (!c->events)
        return false;
    for (int f = 0; f < c->p->points; f++)
        for (int r = 0; r < rows_of(c, f); r++)
            if (row_needed(c, f, r))
                each_target(&x, f, r, more);
    while (run_next(&x))
        ;
    return true;
}
