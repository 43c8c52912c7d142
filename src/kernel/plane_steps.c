/* SPDX-License-Identifier: MIT
 *
 * plane_steps.c - what steps do to one plane: operands and results found, loops of src/simd called.
 */
#include <string.h>

#include "activations/activation.h"
#include "kernel/plane.h"

/* ---- where things are */

/* Offset of a node for that plane; false: it has none there, or nobody needs it. */
static bool offset_of(const struct ntk_space *s, const struct ntk_plane *x, int v, int d[2])
{
    const struct ntk_node *node = &s->graph->nodes[v];
    const struct ntk_place *place = &s->places[v];
    const int n[] = {node->h, node->w};
    int index[2];

    if (!place->needed)
        return false;
    for (int k = 0; k < 2; k++) {
        d[k] = x->d[k];
        if (node->stride[k] > 1) {
            if (x->d[k] % node->stride[k])
                return false;
            d[k] = x->d[k] / node->stride[k];
        }
        if (!s->cyclic && (d[k] >= n[k] || -d[k] >= n[k]))
            return false;
        index[k] = ntk_offset_index(s, n[k], d[k]);
    }
    return place->needed[index[0] * ntk_offsets(s, n[1]) + index[1]];
}

unsigned char *ntk_plane_entry(const struct ntk_planes *p, int frame, int entry, int row_slot,
                               int column)
{
    const struct ntk_frame *f = &p->f->space->frames[frame];
    const size_t columns = (size_t)ntk_offsets(p->f->space, f->w);
    const size_t at =
        ((size_t)row_slot * (size_t)f->n_entries + (size_t)entry) * columns + (size_t)column;

    return p->entries[frame] + at * (size_t)f->h * (size_t)f->w * ntk_vector_bytes(p);
}

static unsigned char *plane_of(const struct ntk_planes *p, const struct ntk_plane *x, int frame,
                               int slot)
{
    const struct ntk_space *s = p->f->space;

    if (slot < 0)
        return ntk_plane_entry(p, frame, ~slot, s->frames[frame].row_slot[x->row],
                               ntk_offset_index(s, s->frames[frame].w, x->d[1]));
    return p->slots + ((size_t)x->index * (size_t)s->n_slots + (size_t)slot) * p->plane_bytes;
}

static void area_set(const struct ntk_planes *p, int v, const int d[2], struct ntk_area *a)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_node *node = &s->graph->nodes[v];

    if (a->node && a->node->h == node->h && a->node->w == node->w && a->d[0] == d[0] &&
        a->d[1] == d[1])
        return; /* as for the step before */
    a->node = node;
    a->d[0] = d[0];
    a->d[1] = d[1];
    a->n = ntk_plane_rects(s, node->h, node->w, d[0], d[1], a->rect);
    a->pitch = (size_t)ntk_plane_size(s, node->w, d[1]);
    a->size = a->pitch * (size_t)ntk_plane_size(s, node->h, d[0]) * p->lanes;
}

static size_t rect_offset(const struct ntk_planes *p, const struct ntk_area *a,
                          const struct ntk_rect *r)
{
    return ((size_t)r->row * a->pitch + (size_t)r->column) * ntk_vector_bytes(p);
}

static size_t position(const struct ntk_node *v, const int at[2])
{
    return (size_t)at[0] * (size_t)v->w + (size_t)at[1];
}

/* Values of the first and second samples at a rectangle's first position. */
struct sides {
    const unsigned char *side1, *side2;
    size_t stride1, stride2, step1;
};

static struct sides sides_of(const struct ntk_planes *p, const struct ntk_plane *x, int table,
                             const struct ntk_node *v, const struct ntk_rect *r)
{
    const size_t n = (size_t)v->h * (size_t)v->w, p1 = position(v, r->p1), p2 = position(v, r->p2);
    const size_t size = p->f->dtype;
    struct sides s = {.side2 = p->side2[table] + p2 * p->lanes * size, .stride2 = n * p->lanes};

    if (x->sample < 0) {
        s.side1 = p->side1[table] + p1 * p->lanes * size;
        s.stride1 = n * p->lanes;
        s.step1 = p->lanes;
    } else {
        s.side1 =
            (const unsigned char *)p->rows->sides[table] + ((size_t)x->sample * n + p1) * size;
        s.stride1 = (size_t)p->rows->n * n;
        s.step1 = 1;
    }
    return s;
}

/* ---- steps */

static void run_input(const struct ntk_planes *p, const struct ntk_plane *x,
                      const struct ntk_area *a, unsigned char *out)
{
    const struct ntk_samples *set = &p->f->set[p->rows->set];
    const size_t c = (size_t)p->f->channels, w = (size_t)a->node->w, size = p->f->dtype;
    const unsigned char *x1 = p->x1;
    const size_t step1 = x->sample < 0 ? p->lanes : 1;

    if (x->sample >= 0)
        x1 = (const unsigned char *)set->x +
             (size_t)(p->rows->first + x->sample) * set->features * size;
    for (int k = 0; k < a->n; k++) {
        const struct ntk_rect *r = &a->rect[k];
        const struct ntk_rect_args args = {.rows = (size_t)r->rows,
                                           .columns = (size_t)r->columns,
                                           .pitch = a->pitch,
                                           .step1 = step1,
                                           .row1 = w * c * step1,
                                           .row2 = w * c * p->lanes};

        p->f->simd->first(&args, c, x1 + position(a->node, r->p1) * c * step1 * size,
                          p->x2 + position(a->node, r->p2) * c * p->lanes * size, 1 / (double)c,
                          out + rect_offset(p, a, r));
    }
}

static const void *par_of(const struct ntk_fields *f, int table)
{
    return (const unsigned char *)f->par + (size_t)table * NTK_DUAL_PARS * f->dtype;
}

static const struct ntk_activation *activation_of(const struct ntk_fields *f, int table)
{
    return f->space->graph->nodes[f->space->tables[table].node].act;
}

static void run_dual(const struct ntk_planes *p, const struct ntk_plane *x, int table,
                     const struct ntk_area *a, const unsigned char *k, unsigned char *f,
                     unsigned char *d)
{
    const size_t row = a->pitch * ntk_vector_bytes(p), w = (size_t)a->node->w, size = p->f->dtype;
    ntk_dual_fn *fn = ntk_dual_loops_of(p->f->ctx->isa, p->f->dtype)->dual[activation_of(p->f, table)->dual];

    for (int i = 0; i < a->n; i++) {
        const struct ntk_rect *r = &a->rect[i];
        const struct sides s = sides_of(p, x, table, a->node, r);
        const size_t at = rect_offset(p, a, r);

        for (size_t q = 0; q < (size_t)r->rows; q++) {
            const struct ntk_dual_args args = {.n = (size_t)r->columns * p->lanes,
                                               .k = k + at + q * row,
                                               .side1 = s.side1 + q * w * s.step1 * size,
                                               .stride1 = s.stride1,
                                               .step1 = s.step1,
                                               .side2 = s.side2 + q * w * ntk_vector_bytes(p),
                                               .stride2 = s.stride2,
                                               .par = par_of(p->f, table),
                                               .sides = p->f->dual[table].sides,
                                               .f = f ? f + at + q * row : NULL,
                                               .d = d ? d + at + q * row : NULL};

            fn(&args);
        }
    }
}

static void run_normalise(const struct ntk_planes *p, const struct ntk_plane *x, int table,
                          const struct ntk_area *a, const unsigned char *in, unsigned char *out)
{
    const size_t row = a->pitch * ntk_vector_bytes(p), w = (size_t)a->node->w, size = p->f->dtype;

    for (int i = 0; i < a->n; i++) {
        const struct ntk_rect *r = &a->rect[i];
        const struct sides s = sides_of(p, x, table, a->node, r);
        const size_t at = rect_offset(p, a, r);

        for (size_t q = 0; q < (size_t)r->rows; q++)
            p->f->simd->scale((size_t)r->columns * p->lanes, in + at + q * row,
                              s.side1 + q * w * s.step1 * size, s.step1,
                              s.side2 + q * w * ntk_vector_bytes(p), out + at + q * row);
    }
}

static void run_sweep(const struct ntk_planes *p, const struct ntk_plane *x,
                      const struct ntk_space_step *step, const struct ntk_area *a,
                      const bool *wanted)
{
    const unsigned char *k = plane_of(p, x, step->frame, step->in_slot[0]);
    const size_t w = (size_t)a->node->w;

    for (int i = 0; i < a->n; i++) {
        const struct ntk_rect *r = &a->rect[i];
        const struct sides s = sides_of(p, x, step->table, a->node, r);
        const size_t at = rect_offset(p, a, r);
        struct ntk_sweep_args args = {.rect = {.rows = (size_t)r->rows,
                                               .columns = (size_t)r->columns,
                                               .pitch = a->pitch,
                                               .step1 = s.step1,
                                               .row1 = w * s.step1,
                                               .row2 = w * p->lanes},
                                      .k = k + at,
                                      .side1 = s.side1,
                                      .side2 = s.side2,
                                      .stride1 = s.stride1,
                                      .stride2 = s.stride2,
                                      .par = par_of(p->f, step->table),
                                      .lines = p->lines};
        int n = 1; /* wanted thetas are made first, second, ... */

        for (int o = 0; o < step->n_out; o++) {
            const int to = o == 0 ? 0 : n;

            if (!wanted[o])
                continue;
            n += o > 0;
            args.out[to] = plane_of(p, x, step->frame, step->out_slot[o]) + at;
            args.a[to] = step->sweep[o].a;
            args.b[to] = step->sweep[o].b;
            args.mix[to] = step->sweep[o].mix;
            if (o > 0)
                args.theta[to] = plane_of(p, x, step->frame, step->in_slot[o]) + at;
        }
        ntk_dual_loops_of(p->f->ctx->isa, p->f->dtype)->sweep[activation_of(p->f, step->table)->dual](&args);
    }
}

static void run_conv(const struct ntk_planes *p, const struct ntk_plane *x,
                     const struct ntk_space_step *step, const struct ntk_area *a,
                     const unsigned char *in, unsigned char *out)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_window *w = &s->graph->nodes[step->node].window;
    const struct ntk_node *from = &s->graph->nodes[step->in[0]];
    const int d[] = {x->d[0] / from->stride[0], x->d[1] / from->stride[1]};
    struct ntk_box_args args = {.in_rows = ntk_plane_size(s, from->h, d[0]),
                                .in_columns = ntk_plane_size(s, from->w, d[1]),
                                .in_pitch = (size_t)ntk_plane_size(s, from->w, d[1]),
                                .out_rows = a->rect[0].rows,
                                .out_columns = a->rect[0].columns,
                                .out_pitch = a->pitch,
                                .size = {w->size[0], w->size[1]},
                                .stride = {w->stride[0], w->stride[1]},
                                .low = {w->low[0], w->low[1]},
                                .wrap = w->wrap,
                                .scale = step->sweep[0].a,
                                .constant = step->sweep[0].b,
                                .in = in,
                                .out = out,
                                .lines = p->lines};

    if (!s->cyclic || w->wrap) {
        args.out_rows = (int)(a->size / p->lanes / a->pitch);
        args.out_columns = (int)a->pitch;
        p->f->simd->box(&args);
        return;
    }
    for (int k = 0; k < a->n; k++) { /* the seam is an edge */
        const size_t at = rect_offset(p, a, &a->rect[k]);

        args.in_rows = args.out_rows = a->rect[k].rows;
        args.in_columns = args.out_columns = a->rect[k].columns;
        args.in = in + at;
        args.out = out + at;
        p->f->simd->box(&args);
    }
}

/* Equal samples at equal positions have the variance, exactly. */
static void patch(const struct ntk_planes *p, const struct ntk_plane *x, int node, int exit,
                  unsigned char *plane)
{
    const struct ntk_node *v = &p->f->space->graph->nodes[node];
    const size_t n = (size_t)v->h * (size_t)v->w;

    for (size_t lane = 0; lane < p->lanes; lane++) {
        const int64_t i = x->equal[lane];

        if (i < 0 || (v->noisy && !x->same[lane]))
            continue;
        for (size_t q = 0; q < n; q++)
            if (p->f->dtype == NTK_F32)
                ((float *)(void *)plane)[q * p->lanes + lane] =
                    ((const float *)p->rows->exits[exit])[(size_t)i * n + q];
            else
                ((double *)(void *)plane)[q * p->lanes + lane] =
                    ((const double *)p->rows->exits[exit])[(size_t)i * n + q];
    }
}

static void run_spread(const struct ntk_planes *p, const struct ntk_link *l,
                       const struct ntk_area *a, int row, int column, const unsigned char *from)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_frame *to = &s->frames[l->frame];
    const unsigned char *needed = s->places[to->entries[l->entry]].needed;

    for (int i = 0; i < l->dim[0].n_groups[row]; i++)
        for (int j = 0; j < l->dim[1].n_groups[column]; j++) {
            const struct ntk_link_group *gi = &l->dim[0].groups[row][i];
            const struct ntk_link_group *gj = &l->dim[1].groups[column][j];

            if (needed[gi->offset * ntk_offsets(s, to->w) + gj->offset])
                p->f->simd->spread(
                    gi, gj, l->scale, from, a->pitch,
                    ntk_plane_entry(p, l->frame, l->entry, to->row_slot[gi->offset], gj->offset),
                    (size_t)ntk_plane_size(s, to->w, ntk_offset_at(s, to->w, gj->offset)));
        }
}

static void run_link(const struct ntk_planes *p, struct ntk_plane *x,
                     const struct ntk_space_step *step)
{
    const struct ntk_space *s = p->f->space;
    const struct ntk_link *l = &s->links[step->link];
    unsigned char *from = plane_of(p, x, step->frame, step->in_slot[0]);
    const struct ntk_area *a = &x->area;
    int d[2], row, column;

    if (!offset_of(s, x, l->from, d))
        return;
    area_set(p, l->from, d, &x->area);
    row = ntk_offset_index(s, a->node->h, d[0]);
    column = ntk_offset_index(s, a->node->w, d[1]);
    if (d[0] == 0 && d[1] == 0)
        patch(p, x, l->from, l->exit, from);
    if (l->frame >= 0) {
        run_spread(p, l, a, row, column, from);
    } else if (l->dim[0].weights[row] && l->dim[1].weights[column]) {
        p->f->simd->sum(a->size / p->lanes / a->pitch, a->pitch, a->pitch, from,
                        l->plain ? NULL : l->dim[0].weights[row],
                        l->plain ? NULL : l->dim[1].weights[column],
                        x->sums + (size_t)l->entry * p->lanes);
    }
}

/* Copies a node to what differs from it only for a sample with itself. */
static void run_copy(const struct ntk_planes *p, const struct ntk_plane *x,
                     const struct ntk_space_step *step, size_t n, unsigned char *out)
{
    unsigned char *in = plane_of(p, x, step->frame, step->in_slot[0]);

    if (x->d[0] == 0 && x->d[1] == 0)
        patch(p, x, step->in[0], step->exit, in);
    if (in != out)
        memcpy(out, in, n * p->f->dtype);
}

/* Sums of equal samples at equal positions: of their variances. */
static void patch_tail(const struct ntk_planes *p, const struct ntk_plane *x,
                       const struct ntk_link *l, double *sum)
{
    const struct ntk_node *v = &p->f->space->graph->nodes[l->from];
    const size_t n = (size_t)v->h * (size_t)v->w;

    for (size_t lane = 0; lane < p->lanes; lane++) {
        const int64_t i = x->equal[lane];

        if (i < 0 || (v->noisy && !x->same[lane]))
            continue;
        sum[lane] = 0;
        for (size_t q = 0; q < n; q++)
            sum[lane] += p->f->dtype == NTK_F32
                             ? (double)((const float *)p->rows->exits[l->exit])[(size_t)i * n + q]
                             : ((const double *)p->rows->exits[l->exit])[(size_t)i * n + q];
    }
}

static bool link_reads(const struct ntk_link *l, int row, int column)
{
    return l->dim[0].weights[row] && l->dim[1].weights[column];
}

static void run_tail(const struct ntk_planes *p, struct ntk_plane *x,
                     const struct ntk_space_step *step)
{
    const struct ntk_space *s = p->f->space;
    double sums[1 + NTK_SWEEP_THETAS][NTK_LANES_MAX] = {{0}};
    bool wanted[1 + NTK_SWEEP_THETAS] = {false};
    const struct ntk_area *a = &x->area;
    int d[2], row, column;

    if (!offset_of(s, x, step->in[0], d))
        return;
    area_set(p, step->in[0], d, &x->area);
    row = ntk_offset_index(s, a->node->h, d[0]);
    column = ntk_offset_index(s, a->node->w, d[1]);
    for (int i = 0; i < step->n_in; i++)
        for (int j = 0; j < step->tail[i].n; j++)
            wanted[i] = wanted[i] || link_reads(&s->links[step->tail[i].links[j]], row, column);
    if (!wanted[0] && !wanted[1] && !wanted[2])
        return;
    for (int k = 0; k < a->n; k++) {
        const struct ntk_rect *r = &a->rect[k];
        const struct sides sd = sides_of(p, x, step->table, a->node, r);
        const size_t w = (size_t)a->node->w, at = rect_offset(p, a, r);
        struct ntk_tail_args args = {.rect = {.rows = (size_t)r->rows,
                                              .columns = (size_t)r->columns,
                                              .pitch = a->pitch,
                                              .step1 = sd.step1,
                                              .row1 = w * sd.step1,
                                              .row2 = w * p->lanes},
                                     .k = plane_of(p, x, step->frame, step->in_slot[0]) + at,
                                     .side1 = sd.side1,
                                     .side2 = sd.side2,
                                     .stride1 = sd.stride1,
                                     .stride2 = sd.stride2,
                                     .par = par_of(p->f, step->table),
                                     .sum = {sums[0]}};
        int n = 0;

        for (int i = 1; i < step->n_in; i++)
            if (wanted[i]) {
                args.theta[n++] = plane_of(p, x, step->frame, step->in_slot[i]) + at;
                args.sum[n] = sums[i];
            }
        ntk_dual_loops_of(p->f->ctx->isa, p->f->dtype)->tail[activation_of(p->f, step->table)->dual](&args);
    }
    for (int i = 0; i < step->n_in; i++)
        for (int j = 0; j < step->tail[i].n; j++) {
            const struct ntk_link *l = &s->links[step->tail[i].links[j]];

            if (!link_reads(l, row, column))
                continue;
            if (j == 0 && d[0] == 0 && d[1] == 0)
                patch_tail(p, x, l, sums[i]);
            for (size_t lane = 0; lane < p->lanes; lane++)
                x->sums[(size_t)l->entry * p->lanes + lane] += sums[i][lane];
        }
}

static void run_elementwise(const struct ntk_planes *p, const struct ntk_plane *x,
                            const struct ntk_space_step *step, size_t n, unsigned char *out)
{
    const struct ntk_node *v = &p->f->space->graph->nodes[step->node];
    const struct ntk_simd *simd = p->f->simd;

    for (int k = 0; k < step->n_in; k++)
        p->in[k] = plane_of(p, x, step->frame, step->in_slot[k]);
    if (step->op == NTK_SPACE_MIX)
        simd->mix(n, step->n_in, p->in, v->coef, v->constant, out);
    else if (step->op == NTK_SPACE_PRODUCT)
        simd->product(n, step->n_in, p->in, out);
    else
        run_copy(p, x, step, n, out);
}

void ntk_plane_step(const struct ntk_planes *p, struct ntk_plane *x,
                    const struct ntk_space_step *step)
{
    bool wanted[1 + NTK_SWEEP_THETAS] = {false}, any = false;
    unsigned char *out[2] = {NULL, NULL};
    const struct ntk_area *a = &x->area;
    int d[2];

    if (step->op == NTK_SPACE_LINK) {
        run_link(p, x, step);
        return;
    }
    if (step->op == NTK_SPACE_TAIL) {
        run_tail(p, x, step);
        return;
    }
    for (int o = 0; o < step->n_out; o++) {
        wanted[o] = step->out[o] >= 0 && offset_of(p->f->space, x, step->out[o], d);
        if (!wanted[o])
            continue;
        if (!any)
            area_set(p, step->out[o], d, &x->area);
        any = true;
        if (o < 2)
            out[o] = plane_of(p, x, step->frame, step->out_slot[o]);
    }
    if (!any)
        return;
    switch (step->op) {
    case NTK_SPACE_INPUT:
        run_input(p, x, a, out[0]);
        return;
    case NTK_SPACE_DUAL:
        run_dual(p, x, step->table, a, plane_of(p, x, step->frame, step->in_slot[0]), out[0],
                 out[1]);
        return;
    case NTK_SPACE_SWEEP:
        run_sweep(p, x, step, a, wanted);
        return;
    case NTK_SPACE_CONV:
        run_conv(p, x, step, a, plane_of(p, x, step->frame, step->in_slot[0]), out[0]);
        return;
    case NTK_SPACE_NORMALISE:
        run_normalise(p, x, step->table, a, plane_of(p, x, step->frame, step->in_slot[0]), out[0]);
        return;
    default:
        run_elementwise(p, x, step, a->size, out[0]);
    }
}
