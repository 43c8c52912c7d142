/* SPDX-License-Identifier: MIT
 *
 * planes.c - see planes.h.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/plane.h"

/* ---- memory */

static size_t largest_plane(const struct ntk_space *s)
{
    size_t most = 1;

    for (int f = 0; f < s->n_frames; f++) {
        const size_t n = (size_t)s->frames[f].h * (size_t)s->frames[f].w;

        most = n > most && s->frames[f].n_steps ? n : most;
    }
    return most;
}

static size_t table_positions(const struct ntk_space *s, int t)
{
    const struct ntk_node *v = &s->graph->nodes[s->tables[t].sigma];

    return (size_t)v->h * (size_t)v->w;
}

static size_t table_sides(const struct ntk_fields *f, int t)
{
    return f->dual && f->space->tables[t].op == NTK_OP_DUAL ? (size_t)f->dual[t].sides : 1;
}

#define BATCH_BYTES (512 * 1024) /* half a second-level cache for the planes of a batch */
#define BATCH_MAX   8

static int batch_of(const struct ntk_fields *f)
{
    const size_t plane = largest_plane(f->space) * f->simd->lanes * f->dtype;
    const size_t n = BATCH_BYTES / (plane * (size_t)(f->space->n_slots ? f->space->n_slots : 1));

    return n < 1 ? 1 : n > BATCH_MAX ? BATCH_MAX : (int)n;
}

static size_t entry_bytes(const struct ntk_fields *f, const struct ntk_frame *x)
{
    return (size_t)x->live_rows * (size_t)x->n_entries * (size_t)ntk_offsets(f->space, x->w) *
           (size_t)x->h * (size_t)x->w;
}

/* Lays out the memory; with p->block NULL it only counts. Returns bytes. */
static size_t lay_out(const struct ntk_fields *f, struct ntk_planes *p)
{
    const struct ntk_space *s = f->space;
    const struct ntk_frame *first = &s->frames[0];
    const size_t vector = f->simd->lanes * f->dtype;
    size_t at = 0, widest = 1;

#define TAKE(pointer, vectors)                           \
    do {                                                 \
        if (p->block)                                    \
            (pointer) = (void *)(p->block + at);         \
        at += ntk_round_up((vectors)*vector, NTK_ALIGN); \
    } while (0)
    for (int k = 0; k < s->n_frames; k++)
        widest = (size_t)s->frames[k].w > widest ? (size_t)s->frames[k].w : widest;
    TAKE(p->x1, s->single ? 0 : (size_t)first->h * (size_t)first->w * (size_t)f->channels);
    TAKE(p->x2, (size_t)first->h * (size_t)first->w * (size_t)f->channels);
    for (int t = 0; t < s->n_tables; t++) {
        const size_t n = table_positions(s, t) * table_sides(f, t);

        TAKE(p->side1[t], s->single ? 0 : n);
        TAKE(p->side2[t], n);
    }
    TAKE(p->slots, (size_t)batch_of(f) * (size_t)s->n_slots * largest_plane(s));
    for (int k = 0; k < s->n_frames; k++)
        TAKE(p->entries[k], entry_bytes(f, &s->frames[k]));
    TAKE(p->lines, NTK_SWEEP_LINES * widest);
    at += (size_t)batch_of(f) * (size_t)s->n_sums * f->simd->lanes * sizeof(double);
#undef TAKE
    return at;
}

size_t ntk_planes_bytes(const struct ntk_fields *f)
{
    struct ntk_planes none = {0};

    return lay_out(f, &none);
}

static size_t most_operands(const struct ntk_space *s)
{
    size_t most = 1;

    for (int f = 0; f < s->n_frames; f++)
        for (int k = 0; k < s->frames[f].n_steps; k++)
            if ((size_t)s->frames[f].steps[k].n_in > most)
                most = (size_t)s->frames[f].steps[k].n_in;
    return most;
}

bool ntk_planes_new(const struct ntk_fields *f, struct ntk_planes *p)
{
    const struct ntk_space *s = f->space;

    *p = (struct ntk_planes){.f = f, .lanes = f->simd->lanes, .batch = batch_of(f), .capture = -1};
    p->plane_bytes = largest_plane(s) * p->lanes * f->dtype;
    p->side1 = ntk_alloc_zero(NULL, (size_t)s->n_tables, sizeof *p->side1);
    p->side2 = ntk_alloc_zero(NULL, (size_t)s->n_tables, sizeof *p->side2);
    p->entries = ntk_alloc_zero(NULL, (size_t)s->n_frames, sizeof *p->entries);
    p->sums =
        ntk_alloc_zero(NULL, (size_t)p->batch * (size_t)s->n_sums * p->lanes, sizeof *p->sums);
    p->in = ntk_alloc_zero(NULL, most_operands(s), sizeof *p->in);
    p->block = ntk_alloc_zero(NULL, ntk_planes_bytes(f), 1);
    if (!p->side1 || !p->side2 || !p->entries || !p->sums || !p->in || !p->block)
        return false;
    lay_out(f, p);
    return true;
}

void ntk_planes_free(struct ntk_planes *p)
{
    free(p->side1);
    free(p->side2);
    free(p->entries);
    free(p->sums);
    free(p->in);
    free(p->block);
}

/* ---- samples into lanes */

/* to[k][lane] = from[at[lane]][k], k < n; rows of `from` are n apart */
static void gather_f32(const float *from, const int64_t *at, size_t lanes, size_t n, float *to)
{
    const float *row[NTK_LANES_MAX];

    for (size_t l = 0; l < lanes; l++)
        row[l] = from + (size_t)at[l] * n;
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < lanes; l++)
            to[k * lanes + l] = row[l][k];
}

static void gather_f64(const double *from, const int64_t *at, size_t lanes, size_t n, double *to)
{
    const double *row[NTK_LANES_MAX];

    for (size_t l = 0; l < lanes; l++)
        row[l] = from + (size_t)at[l] * n;
    for (size_t k = 0; k < n; k++)
        for (size_t l = 0; l < lanes; l++)
            to[k * lanes + l] = row[l][k];
}

static void gather(const struct ntk_planes *p, const void *from, const int64_t *at, size_t n,
                   unsigned char *to)
{
    if (p->f->dtype == NTK_F32)
        gather_f32(from, at, p->lanes, n, (float *)(void *)to);
    else
        gather_f64(from, at, p->lanes, n, (double *)(void *)to);
}

static void gather_all(const struct ntk_planes *p, const struct ntk_panel *panel, const int64_t *at,
                       unsigned char *x, unsigned char *const *side)
{
    const struct ntk_fields *f = p->f;
    const struct ntk_samples *set = &f->set[panel->set];

    gather(p, (const unsigned char *)set->x + (size_t)panel->first * set->features * f->dtype, at,
           set->features, x);
    for (int t = 0; t < f->space->n_tables; t++) {
        const size_t n = table_positions(f->space, t);

        for (size_t k = 0; k < table_sides(f, t); k++)
            gather(p, (const unsigned char *)panel->sides[t] + k * (size_t)panel->n * n * f->dtype,
                   at, n, side[t] + k * n * p->lanes * f->dtype);
    }
}

void ntk_planes_columns(struct ntk_planes *p, const int64_t *column)
{
    gather_all(p, p->columns, column, p->x2, p->side2);
}

void ntk_planes_rows(struct ntk_planes *p, const int64_t *row)
{
    gather_all(p, p->rows, row, p->x1, p->side1);
}

static void run_batch(const struct ntk_planes *p, const struct ntk_frame *f, struct ntk_plane *x,
                      int n)
{
    for (int k = 0; k < f->n_steps; k++)
        for (int i = 0; i < n; i++)
            ntk_plane_step(p, &x[i], &f->steps[k]);
}
/* ---- rows of offsets */

static void clear_row(const struct ntk_planes *p, int frame, int row)
{
    const struct ntk_frame *f = &p->f->space->frames[frame];
    const size_t planes = (size_t)f->n_entries * (size_t)ntk_offsets(p->f->space, f->w);

    memset(ntk_plane_entry(p, frame, 0, f->row_slot[row], 0), 0,
           planes * (size_t)f->h * (size_t)f->w * ntk_vector_bytes(p));
}

/* Entries at offset 0 are the samples' own variances: each lane is a sample with itself. */
static void capture(const struct ntk_planes *p, int frame, int row)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_frame *f = &s->frames[frame];
    const size_t n = (size_t)f->h * (size_t)f->w;

    if (row != ntk_offset_index(s, f->h, 0))
        return;
    for (int e = 0; e < f->n_entries; e++) {
        const unsigned char *from =
            ntk_plane_entry(p, frame, e, f->row_slot[row], ntk_offset_index(s, f->w, 0));

        for (size_t l = 0; l < p->lanes; l++)
            for (size_t q = 0; q < n; q++) {
                const size_t to = (size_t)(p->rows->first + p->equal[l]) * n + q;

                if (p->f->dtype == NTK_F32)
                    ((float *)p->own[f->entries[e]])[to] =
                        ((const float *)(const void *)from)[q * p->lanes + l];
                else
                    ((double *)p->own[f->entries[e]])[to] =
                        ((const double *)(const void *)from)[q * p->lanes + l];
            }
    }
}

static void run_row(const struct ntk_planes *p, int frame, int row)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_frame *f = &s->frames[frame];
    const int columns = ntk_offsets(s, f->w);
    struct ntk_plane batch[BATCH_MAX];
    int n = 0;

    if (frame == p->capture) {
        capture(p, frame, row);
        return;
    }
    for (int j = 0; j < columns; j++) {
        if (f->needed[row * columns + j]) {
            batch[n] =
                (struct ntk_plane){.index = n,
                                   .d = {ntk_offset_at(s, f->h, row), ntk_offset_at(s, f->w, j)},
                                   .row = row,
                                   .sample = -1,
                                   .equal = p->equal,
                                   .same = p->same,
                                   .sums = p->sums};
            n++;
        }
        if (n == p->batch || j == columns - 1) {
            run_batch(p, f, batch, n);
            n = 0;
        }
    }
}

bool ntk_planes_splits(const struct ntk_space *s)
{
    for (int k = 0; k < s->n_events; k++)
        if (s->events[k].clear)
            return false;
    return true;
}

void ntk_planes_pairs(struct ntk_planes *p)
{
    ntk_planes_part(p, 0, 1);
}

void ntk_planes_part(struct ntk_planes *p, int part, int parts)
{
    const struct ntk_space *s = p->f->space;

    memset(p->sums, 0, (size_t)s->n_sums * p->lanes * sizeof *p->sums);
    for (int k = part; k < s->n_events; k += parts)
        if (s->events[k].clear)
            clear_row(p, s->events[k].frame, s->events[k].row);
        else
            run_row(p, s->events[k].frame, s->events[k].row);
}

void ntk_planes_block(struct ntk_planes *p, int64_t row, int n, const int64_t *equal,
                      const bool *same)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_event *e = &s->events[0];
    struct ntk_plane batch[BATCH_MAX];

    memset(p->sums, 0, (size_t)n * (size_t)s->n_sums * p->lanes * sizeof *p->sums);
    for (int k = 0; k < n; k++)
        batch[k] = (struct ntk_plane){.index = k,
                                      .row = e->row,
                                      .sample = row + k,
                                      .equal = equal + (size_t)k * p->lanes,
                                      .same = same + (size_t)k * p->lanes,
                                      .sums = p->sums + (size_t)k * (size_t)s->n_sums * p->lanes};
    run_batch(p, &s->frames[e->frame], batch, n);
}
