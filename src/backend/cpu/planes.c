/* SPDX-License-Identifier: MIT
 *
 * planes.c - which planes of which pairs, and their memory.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

/* ---- memory */

static size_t largest_plane(const struct ntk_cpu *c)
{
    size_t most = 1;

    for (int f = 0; f < c->p->points; f++) {
        const size_t n = (size_t)c->p->frames[f].h * (size_t)c->p->frames[f].w;

        most = n > most && c->frames[f].n_steps ? n : most;
    }
    return most;
}

/* 0: no plane reads it. */
static size_t side_positions(const struct ntk_program *p, int t)
{
    return p->reads[t] ? ntk_node_positions(&p->graph->nodes[p->side_sets[t].sigma]) : 0;
}

/* Planes of a batch share the side values that a step reads of its samples, which come from far away, and stay in half
 * of a second-level cache themselves. */
#define BATCH_BYTES (512 * 1024)

/* Of one plane of n vectors. */
static size_t slots_bytes(const struct ntk_cpu *c, const struct ntk_samples *s, size_t n)
{
    return (size_t)c->n_slots * n * ntk_cpu_simd(s)->lanes * s->dtype;
}

static int batch_of(const struct ntk_cpu *c, const struct ntk_samples *s)
{
    const size_t each = slots_bytes(c, s, largest_plane(c)), n = each ? BATCH_BYTES / each : NTK_BATCH_MAX;

    return n < 1 ? 1 : n > NTK_BATCH_MAX ? NTK_BATCH_MAX : (int)n;
}

/* As many of the largest planes as there may be, else what is left of the cache by those that fit for smaller ones. */
static size_t batch_bytes(const struct ntk_cpu *c, const struct ntk_samples *s)
{
    const size_t most = (size_t)batch_of(c, s) * slots_bytes(c, s, largest_plane(c));

    return batch_of(c, s) == NTK_BATCH_MAX || most > BATCH_BYTES ? most : BATCH_BYTES;
}

static size_t entry_vectors(const struct ntk_cpu *c, int frame)
{
    const struct ntk_frame *f = &c->p->frames[frame];

    return (size_t)c->frames[frame].live_rows * (size_t)f->n_entries * (size_t)ntk_offsets(c->p->graph, f->w) *
           (size_t)f->h * (size_t)f->w;
}

static size_t sums_in(const struct ntk_cpu *c) { return (size_t)c->p->frames[c->p->points].n_entries; }

/* Lays out the memory; with p->block NULL it only counts. Returns bytes. */
static size_t lay_out(const struct ntk_cpu *c, const struct ntk_samples *s, struct ntk_planes *p)
{
    const struct ntk_frame *first = &c->p->frames[0];
    const size_t vector = ntk_cpu_simd(s)->lanes * s->dtype, positions = (size_t)first->h * (size_t)first->w;
    size_t at = 0, widest = 1;

#define TAKE(pointer, vectors)                           \
    do {                                                 \
        if (p->block)                                    \
            (pointer) = (void *)(p->block + at);         \
        at += ntk_round_up((vectors)*vector, NTK_ALIGN); \
    } while (0)
    for (int k = 0; k < c->p->points; k++)
        widest = (size_t)c->p->frames[k].w > widest ? (size_t)c->p->frames[k].w : widest;
    TAKE(p->x1, c->p->single ? 0 : positions * s->channels);
    TAKE(p->x2, positions * s->channels);
    for (int t = 0; t < c->p->n_side_sets; t++) {
        const size_t n = side_positions(c->p, t) ? side_positions(c->p, t) * ntk_side_count(s->reference, t) : 0;

        TAKE(p->side1[t], c->p->single ? 0 : n);
        TAKE(p->side2[t], n);
    }
    if (p->block)
        p->slots = p->block + at;
    at += ntk_round_up(batch_bytes(c, s), NTK_ALIGN);
    for (int k = 0; k < c->p->points; k++)
        TAKE(p->entries[k], entry_vectors(c, k));
    TAKE(p->zeros, widest);
    TAKE(p->lines, widest);
    if (p->block)
        p->folds = p->block + at;
    at += ntk_round_up((size_t)c->p->n_side_sets * NTK_FOLD_PARS * s->dtype, NTK_ALIGN);
    at += (size_t)batch_of(c, s) * sums_in(c) * ntk_cpu_simd(s)->lanes * sizeof(double);
#undef TAKE
    return at;
}

size_t ntk_planes_bytes(const struct ntk_cpu *c, const struct ntk_samples *s)
{
    struct ntk_planes none = {0};

    return lay_out(c, s, &none);
}

static void convert_folds(const struct ntk_planes *p)
{
    for (int t = 0; t < p->c->p->n_side_sets; t++)
        for (size_t k = 0; ntk_cpu_fold(p->c, p->s->dtype, t) && k < NTK_FOLD_PARS; k++)
            ntk_store(p->folds, p->s->dtype, (size_t)t * NTK_FOLD_PARS + k,
                      ntk_cpu_fold(p->c, p->s->dtype, t)->par[k]);
}

static size_t most_operands(const struct ntk_cpu *c)
{
    size_t most = 1 + NTK_SWEEP_THETAS;

    return (size_t)c->p->most_in > most ? (size_t)c->p->most_in : most;
}

bool ntk_planes_new(const struct ntk_cpu *c, const struct ntk_samples *s, const struct ntk_isa *isa, struct ntk_planes *p)
{
    const size_t sets = (size_t)c->p->n_side_sets;

    *p = (struct ntk_planes){.c = c,
                             .s = s,
                             .simd = ntk_simd_of(isa, s->dtype),
                             .duals = ntk_dual_loops_of(isa, s->dtype),
                             .lanes = ntk_simd_of(isa, s->dtype)->lanes,
                             .batch = batch_of(c, s),
                             .sample = -1,
                             .capture = -1};
    p->side1 = ntk_alloc_zero(NULL, sets, sizeof *p->side1);
    p->side2 = ntk_alloc_zero(NULL, sets, sizeof *p->side2);
    p->entries = ntk_alloc_zero(NULL, (size_t)c->p->n_frames, sizeof *p->entries);
    p->sums = ntk_alloc_zero(NULL, (size_t)p->batch * sums_in(c) * p->lanes, sizeof *p->sums);
    p->in = ntk_alloc_zero(NULL, most_operands(c), sizeof *p->in);
    p->block = ntk_scratch_new(NULL, ntk_planes_bytes(c, s), 1);
    if (!p->side1 || !p->side2 || !p->entries || !p->sums || !p->in || !p->block)
        return false;
    memset(p->block, 0, ntk_planes_bytes(c, s));
    lay_out(c, s, p);
    convert_folds(p);
    return true;
}

void ntk_planes_free(struct ntk_planes *p)
{
    free(p->side1);
    free(p->side2);
    free(p->entries);
    free(p->sums);
    free(p->in);
    ntk_scratch_free(p->s->ctx, p->block);
}

/* ---- samples into lanes */

/* to[k][lane] = factor from[at[lane]][k], k < n; rows of `from` are n apart */
static void gather(const struct ntk_planes *p, const void *from, const int64_t *at, size_t n, double factor,
                   unsigned char *to)
{
    const void *row[NTK_LANES_MAX];

    for (size_t l = 0; l < p->lanes; l++)
        row[l] = (const unsigned char *)from + (size_t)at[l] * n * p->s->dtype;
    p->simd->interleave(n, row, factor, to);
}

/* Sides of second samples are those of the folds. */
static void gather_all(const struct ntk_planes *p, const struct ntk_panel *panel, const int64_t *at, bool second,
                       unsigned char *x, unsigned char *const *side)
{
    const struct ntk_samples *s = panel->samples;

    gather(p, (const unsigned char *)s->x + (size_t)panel->first * s->features * s->dtype, at, s->features, 1, x);
    for (int t = 0; t < p->c->p->n_side_sets; t++) {
        const size_t n = side_positions(p->c->p, t);
        const size_t sides = n ? ntk_side_count(s->reference, t) : 0;
        const struct ntk_fold *fold = second ? ntk_cpu_fold(p->c, s->dtype, t) : NULL;

        for (size_t k = 0; k < sides; k++)
            gather(p, (const unsigned char *)panel->sides[t] + k * (size_t)panel->n * n * s->dtype, at, n,
                   fold ? fold->side[k] : 1, side[t] + k * n * p->lanes * s->dtype);
    }
}

void ntk_planes_columns(struct ntk_planes *p, const int64_t *column)
{
    gather_all(p, p->columns, column, true, p->x2, p->side2);
}

void ntk_planes_rows(struct ntk_planes *p, const int64_t *row)
{
    gather_all(p, p->rows, row, false, p->x1, p->side1);
    p->sample = -1;
}

static void run_batch(const struct ntk_planes *p, int frame, struct ntk_plane *x, int n)
{
    const struct ntk_cpu_frame *f = &p->c->frames[frame];

    for (int k = 0; k < f->n_steps; k++)
        for (int i = 0; i < n; i++)
            ntk_plane_step(p, &x[i], f->steps[k]);
}

/* ---- rows of offsets */

static void clear_row(const struct ntk_planes *p, int frame, int row)
{
    const struct ntk_frame *f = &p->c->p->frames[frame];
    const size_t planes = (size_t)f->n_entries * (size_t)ntk_offsets(p->c->p->graph, f->w);

    memset(ntk_plane_entry(p, frame, 0, p->c->frames[frame].row_slot[row], 0), 0,
           planes * (size_t)f->h * (size_t)f->w * p->lanes * p->s->dtype);
}

/* Entries at offset 0 are the samples' own variances: each lane is a sample with itself. */
static void capture(const struct ntk_planes *p, int frame, int row)
{
    const struct ntk_graph *g = p->c->p->graph;
    const struct ntk_frame *f = &p->c->p->frames[frame];
    const size_t n = (size_t)f->h * (size_t)f->w;

    if (row != ntk_offset_index(g, f->h, 0))
        return;
    for (int e = 0; e < f->n_entries; e++) {
        const unsigned char *from = ntk_plane_entry(p, frame, e, p->c->frames[frame].row_slot[row],
                                                    ntk_offset_index(g, f->w, 0));

        for (size_t l = 0; l < p->lanes; l++)
            for (size_t q = 0; q < n; q++) {
                const size_t to = (size_t)p->equal[l] * n + q;

                ntk_store(p->own[e], p->s->dtype, to, ntk_number(from, p->s->dtype, q * p->lanes + l));
            }
    }
}

static void run_row(const struct ntk_planes *p, int frame, int row)
{
    const struct ntk_graph *g = p->c->p->graph;
    const struct ntk_frame *f = &p->c->p->frames[frame];
    const int columns = ntk_offsets(g, f->w);
    const size_t most = batch_bytes(p->c, p->s);
    struct ntk_plane batch[NTK_BATCH_MAX];
    size_t at = 0;
    int n = 0;

    if (frame == p->capture) {
        capture(p, frame, row);
        return;
    }
    for (int j = 0; j < columns; j++) {
        const int d[] = {ntk_offset_at(g, f->h, row), ntk_offset_at(g, f->w, j)};
        const size_t size = (size_t)ntk_plane_size(g, f->h, d[0]) * (size_t)ntk_plane_size(g, f->w, d[1]);
        const size_t bytes = slots_bytes(p->c, p->s, size);

        if (!f->needed[row * columns + j])
            continue;
        if (n == NTK_BATCH_MAX || at + bytes > most) {
            run_batch(p, frame, batch, n);
            n = 0;
            at = 0;
        }
        batch[n++] = (struct ntk_plane){.slots = p->slots + at,
                                        .bytes = size * p->lanes * p->s->dtype,
                                        .d = {d[0], d[1]},
                                        .row = row,
                                        .sample = p->sample,
                                        .equal = p->equal,
                                        .same = p->same,
                                        .sums = p->sums};
        at += bytes;
    }
    run_batch(p, frame, batch, n);
}

bool ntk_planes_splits(const struct ntk_cpu *c)
{
    for (int k = 0; k < c->n_events; k++)
        if (c->events[k].clear)
            return false;
    return true;
}

void ntk_planes_part(struct ntk_planes *p, int part, int parts)
{
    memset(p->sums, 0, sums_in(p->c) * p->lanes * sizeof *p->sums);
    for (int k = part; k < p->c->n_events; k += parts)
        if (p->c->events[k].clear)
            clear_row(p, p->c->events[k].frame, p->c->events[k].row);
        else
            run_row(p, p->c->events[k].frame, p->c->events[k].row);
}

void ntk_planes_block(struct ntk_planes *p, int64_t row, int n, const int64_t *equal, const bool *same)
{
    const struct ntk_event *e = &p->c->events[0];
    const size_t sums = sums_in(p->c) * p->lanes;
    struct ntk_plane batch[NTK_BATCH_MAX];

    memset(p->sums, 0, (size_t)n * sums * sizeof *p->sums);
    for (int k = 0; k < n; k++)
        batch[k] = (struct ntk_plane){.slots = p->slots + (size_t)k * slots_bytes(p->c, p->s, largest_plane(p->c)),
                                      .bytes = largest_plane(p->c) * p->lanes * p->s->dtype,
                                      .row = e->row,
                                      .sample = row + k,
                                      .equal = equal + (size_t)k * p->lanes,
                                      .same = same + (size_t)k * p->lanes,
                                      .sums = p->sums + (size_t)k * sums};
    run_batch(p, e->frame, batch, n);
}
