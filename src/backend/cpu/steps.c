/* SPDX-License-Identifier: MIT
 *
 * steps.c - what steps do to one plane: operands and results found, loops of src/simd called.
 */
#include <string.h>

#include "backend/cpu/cpu.h"

/* ---- where things are */

static size_t vector_bytes(const struct ntk_planes *p) { return p->lanes * p->s->dtype; }

unsigned char *ntk_plane_entry(const struct ntk_planes *p, int frame, int entry, int row_slot, int column)
{
    const struct ntk_frame *f = &p->c->p->frames[frame];
    const size_t columns = (size_t)ntk_offsets(p->c->p->graph, f->w);
    const size_t at = ((size_t)row_slot * (size_t)f->n_entries + (size_t)entry) * columns + (size_t)column;

    return p->entries[frame] + at * (size_t)f->h * (size_t)f->w * vector_bytes(p);
}

static unsigned char *plane_of(const struct ntk_planes *p, const struct ntk_plane *x, int frame, int slot)
{
    if (slot < 0)
        return ntk_plane_entry(p, frame, ~slot, p->c->frames[frame].row_slot[x->row],
                               ntk_offset_index(p->c->p->graph, p->c->p->frames[frame].w, x->d[1]));
    return x->slots + (size_t)slot * x->bytes;
}

/* The one or two parts of an axis: start in the plane, length, positions in both images. */
static int parts(const struct ntk_graph *g, int n, int d, int part[2][4])
{
    if (!g->cyclic) {
        const int p = d < 0 ? -d : 0;

        memcpy(part[0], (int[]){0, n - (d < 0 ? -d : d), p, p + d}, sizeof part[0]);
        return 1;
    }
    memcpy(part[0], (int[]){0, n - d, 0, d}, sizeof part[0]);
    memcpy(part[1], (int[]){n - d, d, n - d, 0}, sizeof part[1]);
    return d > 0 ? 2 : 1;
}

/* The plane of offset (di, dj) of a node: returns the number of its rectangles, at most 4. */
static int rects_of(const struct ntk_graph *g, const struct ntk_node *v, const int d[2], struct ntk_rect rects[4])
{
    int row[2][4], column[2][4], k = 0;
    const int rows = parts(g, v->h, d[0], row), columns = parts(g, v->w, d[1], column);

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

static void area_set(const struct ntk_planes *p, int v, const int d[2], struct ntk_area *a)
{
    const struct ntk_graph *g = p->c->p->graph;
    const struct ntk_node *node = &g->nodes[v];

    if (a->node && a->node->h == node->h && a->node->w == node->w && a->d[0] == d[0] &&
        a->d[1] == d[1])
        return; /* as for the step before */
    a->node = node;
    a->d[0] = d[0];
    a->d[1] = d[1];
    a->n = rects_of(g, node, d, a->rect);
    a->pitch = (size_t)ntk_plane_size(g, node->w, d[1]);
    a->size = a->pitch * (size_t)ntk_plane_size(g, node->h, d[0]) * p->lanes;
}

static size_t rect_offset(const struct ntk_planes *p, const struct ntk_area *a,
                          const struct ntk_rect *r)
{
    return ((size_t)r->row * a->pitch + (size_t)r->column) * vector_bytes(p);
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
    const size_t size = p->s->dtype;
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

/* Times factor; open: struct ntk_plane_in. */
static void run_input(const struct ntk_planes *p, const struct ntk_plane *x, const struct ntk_area *a, double factor,
                      bool open, unsigned char *out)
{
    const struct ntk_samples *set = p->rows->samples;
    const size_t c = p->s->channels, w = (size_t)a->node->w, size = p->s->dtype;
    const unsigned char *x1 = p->x1;
    const size_t step1 = x->sample < 0 ? p->lanes : 1;

    if (x->sample >= 0)
        x1 = (const unsigned char *)set->x + (size_t)(p->rows->first + x->sample) * set->features * size;
    for (int k = 0; k < a->n; k++) {
        const struct ntk_rect *r = &a->rect[k];
        const struct ntk_rect_args args = {.rows = (size_t)r->rows,
                                           .columns = (size_t)r->columns,
                                           .pitch = a->pitch,
                                           .step1 = step1,
                                           .row1 = w * c * step1,
                                           .row2 = w * c * p->lanes};

        p->simd->first(&args, c, x1 + position(a->node, r->p1) * c * step1 * size,
                       p->x2 + position(a->node, r->p2) * c * p->lanes * size, factor / (double)c, open,
                       out + rect_offset(p, a, r));
    }
}

static const void *par_of(const struct ntk_planes *p, int side_set)
{
    return (const unsigned char *)p->s->reference->par + (size_t)side_set * NTK_DUAL_PARS * p->s->dtype;
}

static void run_dual(const struct ntk_planes *p, const struct ntk_plane *x, const struct ntk_step *step,
                     const struct ntk_area *a, const unsigned char *k, unsigned char *f,
                     unsigned char *d)
{
    const size_t row = a->pitch * vector_bytes(p), w = (size_t)a->node->w, size = p->s->dtype;
    ntk_dual_fn *fn = p->duals->dual[step->run.act->dual];

    for (int i = 0; i < a->n; i++) {
        const struct ntk_rect *r = &a->rect[i];
        const struct sides s = sides_of(p, x, step->side_set, a->node, r);
        const size_t at = rect_offset(p, a, r);

        for (size_t q = 0; q < (size_t)r->rows; q++) {
            const struct ntk_dual_args args = {.n = (size_t)r->columns * p->lanes,
                                               .k = k + at + q * row,
                                               .side1 = s.side1 + q * w * s.step1 * size,
                                               .stride1 = s.stride1,
                                               .step1 = s.step1,
                                               .side2 = s.side2 + q * w * vector_bytes(p),
                                               .stride2 = s.stride2,
                                               .par = par_of(p, step->side_set),
                                               .sides = p->s->reference->dual[step->side_set].sides,
                                               .f = f ? f + at + q * row : NULL,
                                               .d = d ? d + at + q * row : NULL};

            fn(&args);
        }
    }
}

static void run_normalise(const struct ntk_planes *p, const struct ntk_plane *x, int table,
                          const struct ntk_area *a, const unsigned char *in, unsigned char *out)
{
    const size_t row = a->pitch * vector_bytes(p), w = (size_t)a->node->w, size = p->s->dtype;

    for (int i = 0; i < a->n; i++) {
        const struct ntk_rect *r = &a->rect[i];
        const struct sides s = sides_of(p, x, table, a->node, r);
        const size_t at = rect_offset(p, a, r);

        for (size_t q = 0; q < (size_t)r->rows; q++)
            p->simd->scale((size_t)r->columns * p->lanes, in + at + q * row,
                              s.side1 + q * w * s.step1 * size, s.step1,
                              s.side2 + q * w * vector_bytes(p), out + at + q * row);
    }
}

/* Operand i of a sweep or tail, from byte `at` on. */
static struct ntk_plane_in plane_in(const struct ntk_planes *p, const struct ntk_plane *x,
                                    const struct ntk_cpu_step *step, int i, size_t at)
{
    return (struct ntk_plane_in){.at = plane_of(p, x, step->s.frame, step->s.in_slot[i]) + at,
                                 .open = step->open_in[i],
                                 .add = step->add[i]};
}

static const void *fold_of(const struct ntk_planes *p, int side_set, double *factor)
{
    const struct ntk_fold *fold = ntk_cpu_fold(p->c, p->s->dtype, side_set);

    *factor = fold ? fold->factor : 1;
    return fold ? p->folds + (size_t)side_set * NTK_FOLD_PARS * p->s->dtype : NULL;
}

/* All but the thetas. Member by member: to clear so much first takes as long as a row of a small plane. */
static void swept(const struct ntk_planes *p, const struct ntk_plane *x, const struct ntk_cpu_step *step,
                  const struct ntk_area *a, const struct ntk_rect *r, struct ntk_swept *in)
{
    const struct sides s = sides_of(p, x, step->s.side_set, a->node, r);
    const size_t w = (size_t)a->node->w;

    in->rect.rows = (size_t)r->rows;
    in->rect.columns = (size_t)r->columns;
    in->rect.pitch = a->pitch;
    in->rect.step1 = s.step1;
    in->rect.row1 = w * s.step1;
    in->rect.row2 = w * p->lanes;
    in->k = plane_in(p, x, step, 0, rect_offset(p, a, r));
    in->side1 = s.side1;
    in->side2 = s.side2;
    in->stride1 = s.stride1;
    in->stride2 = s.stride2;
    in->par = par_of(p, step->s.side_set);
    in->fold = fold_of(p, step->s.side_set, &in->fold_factor);
    in->any_sign = p->c->p->graph->nodes[step->s.in[0]].flags & NTK_SIGNED;
    in->zeros = p->zeros;
}

static void run_sweep(const struct ntk_planes *p, const struct ntk_plane *x, const struct ntk_cpu_step *step,
                      const struct ntk_area *a, const bool *wanted)
{
    for (int i = 0; i < a->n; i++) {
        const struct ntk_rect *r = &a->rect[i];
        const size_t at = rect_offset(p, a, r);
        struct ntk_sweep_args args;
        int n = 1; /* wanted thetas are made first, second, ... */

        swept(p, x, step, a, r, &args.in);
        args.out[0] = args.out[1] = args.out[2] = NULL;
        args.factor[0] = 1;
        args.mix[0] = 0;
        args.spare = p->lines;
        for (int o = 0; o < step->s.n_out; o++) {
            const int to = o == 0 ? 0 : n;

            if (!wanted[o])
                continue;
            n += o > 0;
            args.out[to] = plane_of(p, x, step->s.frame, step->s.out_slot[o]) + at;
            args.factor[to] = step->sweep[o].a;
            args.mix[to] = step->sweep[o].mix;
            if (o > 0)
                args.in.theta[to - 1] = plane_in(p, x, step, o, at);
        }
        p->duals->sweep[step->s.run.act->dual](&args);
        for (int o = 0; o < step->s.n_out; o++)
            if (wanted[o] && !step->open_out[o])
                p->simd->close((size_t)r->rows, (size_t)r->columns, a->pitch, step->sweep[o].b,
                               plane_of(p, x, step->s.frame, step->s.out_slot[o]) + at, p->lines);
    }
}

static void run_open(const struct ntk_planes *p, const struct ntk_cpu_step *step, const struct ntk_area *a,
                     const unsigned char *in, unsigned char *out)
{
    for (int k = 0; k < a->n; k++) {
        const size_t at = rect_offset(p, a, &a->rect[k]);

        p->simd->open((size_t)a->rect[k].rows, (size_t)a->rect[k].columns, a->pitch, step->sweep[0].a, in + at,
                      out + at);
    }
}

static void run_conv(const struct ntk_planes *p, const struct ntk_plane *x,
                     const struct ntk_cpu_step *step, const struct ntk_area *a,
                     const unsigned char *in, unsigned char *out)
{
    const struct ntk_graph *s = p->c->p->graph;
    const struct ntk_window *w = step->s.run.window;
    const struct ntk_node *from = &s->nodes[step->s.in[0]];
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
        p->simd->box(&args);
        return;
    }
    for (int k = 0; k < a->n; k++) { /* the seam is an edge */
        const size_t at = rect_offset(p, a, &a->rect[k]);

        args.in_rows = args.out_rows = a->rect[k].rows;
        args.in_columns = args.out_columns = a->rect[k].columns;
        args.in = in + at;
        args.out = out + at;
        p->simd->box(&args);
    }
}

/* Equal samples at equal positions have the variance, exactly. */
static void patch(const struct ntk_planes *p, const struct ntk_plane *x, int node, int exit,
                  unsigned char *plane)
{
    const struct ntk_node *v = &p->c->p->graph->nodes[node];
    const size_t n = (size_t)v->h * (size_t)v->w;

    for (size_t lane = 0; lane < p->lanes; lane++) {
        const int64_t i = x->equal[lane];

        if (i < 0 || ((v->flags & NTK_NOISY) && !x->same[lane]))
            continue;
        for (size_t q = 0; q < n; q++)
            ntk_store(plane, p->s->dtype, q * p->lanes + lane,
                      ntk_number(p->rows->exits[exit], p->s->dtype, (size_t)i * n + q));
    }
}

static void run_spread(const struct ntk_planes *p, const struct ntk_link *l,
                       const struct ntk_area *a, int row, int column, const unsigned char *from)
{
    const struct ntk_graph *g = p->c->p->graph;
    const int frame = g->nodes[l->to].frame, w = p->c->p->frames[frame].w;
    const unsigned char *needed = p->c->p->needed[l->to];

    for (int i = 0; i < l->dim[0].n_groups[row]; i++)
        for (int j = 0; j < l->dim[1].n_groups[column]; j++) {
            const struct ntk_link_group *gi = &l->dim[0].groups[row][i];
            const struct ntk_link_group *gj = &l->dim[1].groups[column][j];

            if (needed[gi->offset * ntk_offsets(g, w) + gj->offset])
                p->simd->spread(gi, gj, l->scale, from, a->pitch,
                                ntk_plane_entry(p, frame, l->entry, p->c->frames[frame].row_slot[gi->offset],
                                                gj->offset),
                                (size_t)ntk_plane_size(g, w, ntk_offset_at(g, w, gj->offset)));
        }
}

static void run_link(const struct ntk_planes *p, struct ntk_plane *x,
                     const struct ntk_cpu_step *step)
{
    const struct ntk_graph *s = p->c->p->graph;
    const struct ntk_link *l = &p->c->p->links[step->s.link];
    unsigned char *from = plane_of(p, x, step->s.frame, step->s.in_slot[0]);
    const struct ntk_area *a = &x->area;
    int d[2], row, column;

    if (!ntk_node_offset(p->c->p, l->from, x->d, d))
        return;
    area_set(p, l->from, d, &x->area);
    row = ntk_offset_index(s, a->node->h, d[0]);
    column = ntk_offset_index(s, a->node->w, d[1]);
    if (d[0] == 0 && d[1] == 0)
        patch(p, x, l->from, l->exit, from);
    if (!l->sum) {
        run_spread(p, l, a, row, column, from);
    } else if (l->dim[0].weights[row] && l->dim[1].weights[column]) {
        p->simd->sum(a->size / p->lanes / a->pitch, a->pitch, a->pitch, from,
                        l->plain ? NULL : l->dim[0].weights[row],
                        l->plain ? NULL : l->dim[1].weights[column],
                        x->sums + (size_t)l->entry * p->lanes);
    }
}

/* Copies a node to what differs from it only for a sample with itself. */
static void run_copy(const struct ntk_planes *p, const struct ntk_plane *x,
                     const struct ntk_cpu_step *step, size_t n, unsigned char *out)
{
    unsigned char *in = plane_of(p, x, step->s.frame, step->s.in_slot[0]);

    if (x->d[0] == 0 && x->d[1] == 0)
        patch(p, x, step->s.in[0], step->s.exit, in);
    if (in != out)
        memcpy(out, in, n * p->s->dtype);
}

/* Sums of equal samples at equal positions: of their variances. */
static void patch_tail(const struct ntk_planes *p, const struct ntk_plane *x,
                       const struct ntk_link *l, double *sum)
{
    const struct ntk_node *v = &p->c->p->graph->nodes[l->from];
    const size_t n = (size_t)v->h * (size_t)v->w;

    for (size_t lane = 0; lane < p->lanes; lane++) {
        const int64_t i = x->equal[lane];

        if (i < 0 || ((v->flags & NTK_NOISY) && !x->same[lane]))
            continue;
        sum[lane] = 0;
        for (size_t q = 0; q < n; q++)
            sum[lane] += ntk_number(p->rows->exits[l->exit], p->s->dtype, (size_t)i * n + q);
    }
}

static bool link_reads(const struct ntk_link *l, int row, int column)
{
    return l->dim[0].weights[row] && l->dim[1].weights[column];
}

static void run_tail(const struct ntk_planes *p, struct ntk_plane *x,
                     const struct ntk_cpu_step *step)
{
    const struct ntk_program *prog = p->c->p;
    double sums[1 + NTK_SWEEP_THETAS][NTK_LANES_MAX] = {{0}};
    bool wanted[1 + NTK_SWEEP_THETAS] = {false};
    const struct ntk_area *a = &x->area;
    int d[2], row, column;

    if (!ntk_node_offset(prog, step->s.in[0], x->d, d))
        return;
    area_set(p, step->s.in[0], d, &x->area);
    row = ntk_offset_index(prog->graph, a->node->h, d[0]);
    column = ntk_offset_index(prog->graph, a->node->w, d[1]);
    for (int i = 0; i < step->s.n_in; i++)
        for (int j = 0; j < step->tail[i].n; j++)
            wanted[i] = wanted[i] || link_reads(&prog->links[step->tail[i].links[j]], row, column);
    if (!wanted[0] && !wanted[1] && !wanted[2])
        return;
    for (int k = 0; k < a->n; k++) {
        const struct ntk_rect *r = &a->rect[k];
        struct ntk_tail_args args;
        int n = 0;

        swept(p, x, step, a, r, &args.in);
        args.sum[0] = sums[0];
        args.sum[1] = args.sum[2] = NULL;
        for (int i = 1; i < step->s.n_in; i++)
            if (wanted[i]) {
                args.in.theta[n++] = plane_in(p, x, step, i, rect_offset(p, a, r));
                args.sum[n] = sums[i];
            }
        p->duals->tail[step->s.run.act->dual](&args);
    }
    for (int i = 0; i < step->s.n_in; i++)
        for (int j = 0; j < step->tail[i].n; j++) {
            const struct ntk_link *l = &prog->links[step->tail[i].links[j]];

            if (!link_reads(l, row, column))
                continue;
            if (j == 0 && d[0] == 0 && d[1] == 0)
                patch_tail(p, x, l, sums[i]);
            for (size_t lane = 0; lane < p->lanes; lane++)
                x->sums[(size_t)l->entry * p->lanes + lane] += sums[i][lane];
        }
}

static void run_elementwise(const struct ntk_planes *p, const struct ntk_plane *x,
                            const struct ntk_cpu_step *step, size_t n, unsigned char *out)
{
    const struct ntk_simd *simd = p->simd;

    for (int k = 0; k < step->s.n_in; k++)
        p->in[k] = plane_of(p, x, step->s.frame, step->s.in_slot[k]);
    if (step->s.run.id == NTK_DO_MIX)
        simd->mix(n, step->s.n_in, p->in, step->s.run.coef, step->s.run.constant, out);
    else if (step->s.run.id == NTK_DO_PRODUCT)
        simd->product(n, step->s.n_in, p->in, out);
    else
        run_copy(p, x, step, n, out);
}

void ntk_plane_step(const struct ntk_planes *p, struct ntk_plane *x,
                    const struct ntk_cpu_step *step)
{
    bool wanted[1 + NTK_SWEEP_THETAS] = {false}, any = false;
    unsigned char *out[2] = {NULL, NULL};
    const struct ntk_area *a = &x->area;
    int d[2];

    if (step->s.link >= 0) {
        run_link(p, x, step);
        return;
    }
    if (step->kind == NTK_CPU_TAIL) {
        run_tail(p, x, step);
        return;
    }
    for (int o = 0; o < step->s.n_out; o++) {
        wanted[o] = step->s.out[o] >= 0 && ntk_node_offset(p->c->p, step->s.out[o], x->d, d);
        if (!wanted[o])
            continue;
        if (!any)
            area_set(p, step->s.out[o], d, &x->area);
        any = true;
        if (o < 2)
            out[o] = plane_of(p, x, step->s.frame, step->s.out_slot[o]);
    }
    if (!any)
        return;
    if (step->kind == NTK_CPU_SWEEP) {
        run_sweep(p, x, step, a, wanted);
        return;
    }
    if (step->kind == NTK_CPU_FIRST) {
        run_input(p, x, a, step->sweep[0].a, true, out[0]);
        return;
    }
    switch (step->s.run.id) {
    case NTK_DO_FIRST:
        run_input(p, x, a, 1, false, out[0]);
        return;
    case NTK_DO_DUAL:
        run_dual(p, x, &step->s, a, plane_of(p, x, step->s.frame, step->s.in_slot[0]), out[0], out[1]);
        return;
    case NTK_DO_BOX:
        if (step->open_out[0])
            run_open(p, step, a, plane_of(p, x, step->s.frame, step->s.in_slot[0]), out[0]);
        else
            run_conv(p, x, step, a, plane_of(p, x, step->s.frame, step->s.in_slot[0]), out[0]);
        return;
    case NTK_DO_SCALE:
        run_normalise(p, x, step->s.side_set, a, plane_of(p, x, step->s.frame, step->s.in_slot[0]), out[0]);
        return;
    default:
        run_elementwise(p, x, step, a->size, out[0]);
    }
}
