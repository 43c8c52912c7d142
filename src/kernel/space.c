/* SPDX-License-Identifier: MIT
 *
 * space.c - links of a space and the order of its rows; space_steps.c makes the steps between.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/space_build.h"

static struct ntk_link_axis axis_of(const struct ntk_node *node, const struct ntk_node *in, int k)
{
    const int n = k ? in->w : in->h;
    const bool window = node->op == NTK_OP_POOL || node->op == NTK_OP_CONV;

    if (!window)
        return (struct ntk_link_axis){.n = n, .n_out = n, .size = 1, .stride = 1};
    return (struct ntk_link_axis){.n = n,
                                  .n_out = node->window.out[k],
                                  .size = node->window.size[k],
                                  .stride = node->window.stride[k],
                                  .low = node->window.low[k],
                                  .wrap = node->window.wrap,
                                  .true_count = node->window.true_count,
                                  .together = node->op == NTK_OP_CONV};
}

static bool all_ones(const struct ntk_space *s, const struct ntk_link *l, const struct ntk_node *in)
{
    for (int k = 0; k < 2; k++) {
        const int n = k ? in->w : in->h;

        for (int o = 0; o < ntk_offsets(s, n); o++)
            for (int p = 0;
                 l->dim[k].weights[o] && p < ntk_plane_size(s, n, ntk_offset_at(s, n, o)); p++)
                if (l->dim[k].weights[o][p] != 1)
                    return false;
    }
    return true;
}

int ntk_space_exit(struct ntk_space *s, int node)
{
    int k = 0;

    while (k < s->n_exits && s->exits[k] != node)
        k++;
    s->exits[k] = node;
    s->n_exits += k == s->n_exits;
    return k;
}

int ntk_space_link_add(struct ntk_space *s, int node, int sum)
{
    const struct ntk_node *v = &s->graph->nodes[node], *window = v,
                          *in = &s->graph->nodes[v->in[0]];
    struct ntk_link *l = &s->links[s->n_links];

    *l = (struct ntk_link){.from = v->in[0], .frame = v->frame, .scale = v->constant};
    if (v->op == NTK_OP_CARRY)
        l->scale = 1;
    if (sum >= 0) { /* the sum of a pool's windows is a weighted sum of what the pool reads */
        l->frame = -1;
        l->entry = sum;
        window = in->op == NTK_OP_POOL ? in : v;
        if (in->op == NTK_OP_POOL) {
            l->from = in->in[0];
            l->scale *= in->constant;
            in = &s->graph->nodes[l->from];
        }
    }
    for (int k = 0; k < 2; k++) {
        struct ntk_link_axis x = axis_of(window, in, k);

        x.sum = sum >= 0;
        x.only_trace = x.sum && v->op == NTK_OP_TRACE;
        if (!ntk_link_dim_make(s, &x, &l->dim[k]))
            return -1;
    }
    l->plain = sum >= 0 && all_ones(s, l, in);
    l->exit = ntk_space_exit(s, l->from);
    return s->n_links++;
}

/* ---- the order of rows */

struct schedule {
    struct ntk_space *s;
    int **pending; /* [frames][rows]: contributions still to come */
    bool **done;   /* [frames][rows] */
    bool **used;   /* [frames][rows]: slots in use */
};

static bool row_needed(const struct ntk_space *s, const struct ntk_frame *f, int row)
{
    const int columns = ntk_offsets(s, f->w);

    for (int j = 0; f->needed && j < columns; j++)
        if (f->needed[row * columns + j])
            return true;
    return false;
}

/* Row of offsets of a node for a row of its frame; -1: none. */
static int node_row(const struct ntk_space *s, int node, int frame_row)
{
    const struct ntk_node *v = &s->graph->nodes[node];
    const int d = ntk_offset_at(s, s->frames[v->frame].h, frame_row);

    return d % v->stride[0] ? -1 : ntk_offset_index(s, v->h, d / v->stride[0]);
}

/* Calls visit for every row of another frame that row `row` of `frame` adds to. */
static void each_target(struct schedule *x, int frame, int row,
                        void (*visit)(struct schedule *x, int frame, int row))
{
    const struct ntk_space *s = x->s;

    for (int k = 0; k < s->n_links; k++) {
        const struct ntk_link *l = &s->links[k];
        int at;

        if (l->frame < 0 || s->graph->nodes[l->from].frame != frame)
            continue;
        at = node_row(s, l->from, row);
        for (int g = 0; at >= 0 && g < l->dim[0].n_groups[at]; g++)
            if (row_needed(s, &s->frames[l->frame], l->dim[0].groups[at][g].offset))
                visit(x, l->frame, l->dim[0].groups[at][g].offset);
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

static void event(struct ntk_space *s, bool clear, int frame, int row)
{
    s->events[s->n_events++] = (struct ntk_event){clear, frame, row};
}

static void open_row(struct schedule *x, int frame, int row)
{
    struct ntk_frame *f = &x->s->frames[frame];
    int slot = 0;

    if (f->row_slot[row] >= 0)
        return;
    while (x->used[frame][slot])
        slot++;
    x->used[frame][slot] = true;
    f->row_slot[row] = slot;
    f->live_rows = slot + 1 > f->live_rows ? slot + 1 : f->live_rows;
    event(x->s, true, frame, row);
}

static void run_row(struct schedule *x, int frame, int row)
{
    struct ntk_frame *f = &x->s->frames[frame];

    if (f->n_entries)
        open_row(x, frame, row);
    each_target(x, frame, row, open_row);
    event(x->s, false, frame, row);
    each_target(x, frame, row, fewer);
    x->done[frame][row] = true;
    if (f->n_entries)
        x->used[frame][f->row_slot[row]] = false;
}

/* One row that can be computed: of the highest level, so that little waits in memory. */
static bool run_next(struct schedule *x)
{
    const struct ntk_graph_frame *frames = x->s->graph->frames;
    int frame = -1, row = -1;

    for (int f = 0; f < x->s->n_frames; f++) {
        const int rows = ntk_offsets(x->s, x->s->frames[f].h);
        int r = 0;

        if (frame >= 0 && frames[f].level <= frames[frame].level)
            continue;
        while (r < rows &&
               (x->done[f][r] || x->pending[f][r] || !row_needed(x->s, &x->s->frames[f], r)))
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

ntk_status ntk_space_schedule(struct ntk_space *s)
{
    const size_t n = (size_t)s->n_frames;
    struct ntk_arena *a = &s->arena;
    struct schedule x = {.s = s,
                         .pending = ntk_arena_alloc(a, n, sizeof *x.pending),
                         .done = ntk_arena_alloc(a, n, sizeof *x.done),
                         .used = ntk_arena_alloc(a, n, sizeof *x.used)};
    size_t rows = 0;

    if (!x.pending || !x.done || !x.used)
        return NTK_ENOMEM;
    for (size_t f = 0; f < n; f++) {
        const size_t m = (size_t)ntk_offsets(s, s->frames[f].h);

        rows += m;
        x.pending[f] = ntk_arena_alloc(a, m, sizeof **x.pending);
        x.done[f] = ntk_arena_alloc(a, m, sizeof **x.done);
        x.used[f] = ntk_arena_alloc(a, m, sizeof **x.used);
        s->frames[f].row_slot = ntk_arena_alloc(a, m, sizeof(int));
        if (!x.pending[f] || !x.done[f] || !x.used[f] || !s->frames[f].row_slot)
            return NTK_ENOMEM;
        for (size_t r = 0; r < m; r++)
            s->frames[f].row_slot[r] = -1;
    }
    s->events = ntk_arena_alloc(a, 2 * rows, sizeof *s->events);
    if (!s->events)
        return NTK_ENOMEM;
    for (int f = 0; f < s->n_frames; f++)
        for (int r = 0; r < ntk_offsets(s, s->frames[f].h); r++)
            if (row_needed(s, &s->frames[f], r))
                each_target(&x, f, r, more);
    while (run_next(&x))
        ;
    return NTK_OK;
}

/* ---- */

/* Entries of the planes of a node that are needed. */
static double entries_of(const struct ntk_space *s, int v)
{
    const struct ntk_node *x = &s->graph->nodes[v];
    const int rows = ntk_offsets(s, x->h), columns = ntk_offsets(s, x->w);
    double sum = 0;

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            if (s->places[v].needed[i * columns + j])
                sum += (double)ntk_plane_size(s, x->h, ntk_offset_at(s, x->h, i)) *
                       ntk_plane_size(s, x->w, ntk_offset_at(s, x->w, j));
    return sum;
}

static void measure(struct ntk_space *s)
{
    int offsets = 0;

    for (int k = 0; k < s->n_frames; k++) {
        const struct ntk_frame *f = &s->frames[k];
        const int n = ntk_offsets(s, f->h) * ntk_offsets(s, f->w);

        for (int i = 0; f->needed && i < n; i++)
            offsets += f->needed[i];
        for (int i = 0; i < f->n_steps; i++)
            if (f->steps[i].op == NTK_SPACE_DUAL || f->steps[i].op == NTK_SPACE_SWEEP ||
                f->steps[i].op == NTK_SPACE_TAIL)
                s->entries += entries_of(s, f->steps[i].in[0]);
    }
    s->single = offsets == 1;
}

/* The one or two parts of an axis: start in the plane, length, positions in both images. */
static int parts(const struct ntk_space *s, int n, int d, int part[2][4])
{
    if (!s->cyclic) {
        const int p = d < 0 ? -d : 0;

        memcpy(part[0], (int[]){0, n - (d < 0 ? -d : d), p, p + d}, sizeof part[0]);
        return 1;
    }
    memcpy(part[0], (int[]){0, n - d, 0, d}, sizeof part[0]);
    memcpy(part[1], (int[]){n - d, d, n - d, 0}, sizeof part[1]);
    return d > 0 ? 2 : 1;
}

int ntk_plane_rects(const struct ntk_space *s, int h, int w, int di, int dj,
                    struct ntk_rect rects[4])
{
    int row[2][4], column[2][4], k = 0;
    const int rows = parts(s, h, di, row), columns = parts(s, w, dj, column);

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            rects[k++] = (struct ntk_rect){.row = row[i][0],
                                           .column = column[j][0],
                                           .rows = row[i][1],
                                           .columns = column[j][1],
                                           .p1 = {row[i][2], column[j][2]},
                                           .p2 = {row[i][3], column[j][3]}};
    return k;
}

/* Which offsets of which nodes are needed takes a byte each. */
static ntk_status check_size(const struct ntk_graph *g)
{
    double bytes = 0;

    for (int v = 0; v < g->n; v++)
        if (g->nodes[v].plane)
            bytes += 4.0 * g->nodes[v].h * g->nodes[v].w;
    return ntk_ctx_check_memory(g->ctx, bytes < 1e18 ? (size_t)bytes : SIZE_MAX,
                                "planning a kernel of images of this size");
}

ntk_status ntk_space_make(const struct ntk_graph *g, int n_sums, const int *sums, int n_seeds,
                          const int *seeds, struct ntk_space **space)
{
    const size_t n = (size_t)g->n;
    ntk_status status = NTK_ENOMEM;
    struct ntk_space *s;

    NTK_TRY(check_size(g));
    s = ntk_alloc_zero(g->ctx, 1, sizeof *s);
    if (!s)
        return NTK_ENOMEM;
    s->graph = g;
    s->cyclic = g->cyclic;
    s->n_frames = g->n_frames;
    s->n_sums = n_sums;
    s->places = ntk_arena_alloc(&s->arena, n, sizeof *s->places);
    s->frames = ntk_arena_alloc(&s->arena, (size_t)g->n_frames, sizeof *s->frames);
    s->sums = ntk_arena_alloc(&s->arena, (size_t)n_sums, sizeof *s->sums);
    s->exits = ntk_arena_alloc(&s->arena, n, sizeof *s->exits);
    s->links = ntk_arena_alloc(&s->arena, n + (size_t)n_sums, sizeof *s->links);
    s->tables = ntk_arena_alloc(&s->arena, n, sizeof *s->tables);
    if (s->places && s->frames && s->sums && s->exits && s->links && s->tables) {
        for (int k = 0; k < n_sums; k++)
            s->sums[k] = sums[k];
        for (int f = 0; f < g->n_frames; f++)
            s->frames[f] = (struct ntk_frame){.h = g->frames[f].h, .w = g->frames[f].w};
        status = ntk_space_steps(s, n_seeds, seeds);
    }
    if (status == NTK_OK)
        status = ntk_space_schedule(s);
    if (status != NTK_OK) {
        ntk_space_free(s);
        return ntk_fail(g->ctx, status, "no memory for a plan of %zu nodes with positions", n);
    }
    measure(s);
    *space = s;
    return NTK_OK;
}

void ntk_space_free(struct ntk_space *s)
{
    if (!s)
        return;
    ntk_arena_free(&s->arena);
    free(s);
}
