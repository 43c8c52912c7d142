/* SPDX-License-Identifier: MIT
 *
 * panel.c - the recursion of each sample with itself at equal positions: sides, and variances of
 * the nodes that links read. In float64, lanes are samples.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activations/activation.h"
#include "kernel/fields.h"

static size_t positions(const struct ntk_node *v)
{
    return (size_t)v->h * (size_t)v->w;
}

static const struct ntk_node *node(const struct ntk_fields *f, int v)
{
    return &f->space->graph->nodes[v];
}

static size_t table_sides(const struct ntk_fields *f, int t)
{
    return f->space->tables[t].op == NTK_OP_DUAL ? (size_t)f->dual[t].sides : 1;
}

/* ---- memory */

ntk_status ntk_panel_new(const struct ntk_fields *f, int64_t n, struct ntk_panel *p)
{
    const struct ntk_space *s = f->space;

    *p = (struct ntk_panel){.n = n};
    NTK_TRY(ntk_ctx_check_memory(f->ctx, ntk_bytes((double)n * (double)ntk_panel_bytes(f)),
                                 "a table of side values"));
    p->sides = ntk_alloc_zero(f->ctx, (size_t)s->n_tables, sizeof *p->sides);
    p->exits = ntk_alloc_zero(f->ctx, (size_t)s->n_exits, sizeof *p->exits);
    if (!p->sides || !p->exits)
        return NTK_ENOMEM;
    for (int t = 0; t < s->n_tables; t++) {
        const size_t each = positions(node(f, s->tables[t].sigma)) * table_sides(f, t);

        p->sides[t] = ntk_alloc(f->ctx, (size_t)n * each, f->dtype);
        if (!p->sides[t])
            return NTK_ENOMEM;
    }
    for (int e = 0; e < s->n_exits; e++) {
        p->exits[e] = ntk_alloc(f->ctx, (size_t)n * positions(node(f, s->exits[e])), f->dtype);
        if (!p->exits[e])
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

void ntk_panel_free(const struct ntk_fields *f, struct ntk_panel *p)
{
    for (int t = 0; p->sides && t < f->space->n_tables; t++)
        free(p->sides[t]);
    for (int e = 0; p->exits && e < f->space->n_exits; e++)
        free(p->exits[e]);
    free(p->sides);
    free(p->exits);
    *p = (struct ntk_panel){0};
}

size_t ntk_panel_bytes(const struct ntk_fields *f)
{
    const struct ntk_space *s = f->space;
    size_t n = 0;

    for (int t = 0; t < s->n_tables; t++)
        n += table_sides(f, t) * positions(node(f, s->tables[t].sigma));
    for (int e = 0; e < s->n_exits; e++)
        n += positions(node(f, s->exits[e]));
    return n * f->dtype;
}

/* ---- one thread's work */

enum {
    TEMP_F,
    TEMP_D,
    TEMP_1,
    TEMP_2,
    TEMPS
};

struct work {
    const struct ntk_fields *f;
    const struct ntk_simd *simd; /* of float64 */
    struct ntk_panel *p;
    size_t lanes, plane;  /* doubles in a plane */
    double *block, *temp; /* [n_slots][plane], [TEMPS][plane] */
    double *side;         /* [most sides][plane], then those of one variance */
    double *lines;        /* [3][plane], of which a row is used */
    const void **in;
    int64_t first; /* samples of the lanes: first + l of the panel, those below n */
};

static bool work_new(struct work *w, const struct ntk_fields *f, struct ntk_panel *p)
{
    const struct ntk_space *s = f->space;
    size_t most = 1, slots = (size_t)s->n_slots, sides = 1, operands = 1;

    for (int k = 0; k < s->n_frames; k++) {
        const size_t n = (size_t)s->frames[k].h * (size_t)s->frames[k].w;

        most = n > most ? n : most;
        for (int i = 0; i < s->frames[k].n_steps; i++)
            operands = (size_t)s->frames[k].steps[i].n_in > operands
                           ? (size_t)s->frames[k].steps[i].n_in
                           : operands;
    }
    for (int k = 0; k < s->n_frames; k++) /* entries follow the slots */
        slots = (size_t)(s->n_slots + s->frames[k].n_entries) > slots
                    ? (size_t)(s->n_slots + s->frames[k].n_entries)
                    : slots;
    for (int t = 0; t < s->n_tables; t++)
        sides = table_sides(f, t) > sides ? table_sides(f, t) : sides;
    *w = (struct work){.f = f, .p = p, .simd = f->ctx->isa->f64};
    w->lanes = w->simd->lanes;
    w->plane = most * w->lanes;
    w->block =
        ntk_alloc_zero(NULL, (slots + TEMPS + sides + 3) * w->plane + sides, sizeof *w->block);
    w->temp = w->block ? w->block + slots * w->plane : NULL;
    w->lines = w->block ? w->temp + TEMPS * w->plane : NULL;
    w->side = w->block ? w->lines + 3 * w->plane : NULL;
    w->in = ntk_alloc_zero(NULL, operands, sizeof *w->in);
    return w->block && w->in;
}

static void work_free(struct work *w)
{
    free(w->block);
    free(w->in);
}

static double *slot(const struct work *w, int k)
{
    return w->block + (size_t)(k >= 0 ? k : w->f->space->n_slots + ~k) * w->plane;
}

static double *temp(const struct work *w, int k)
{
    return w->temp + (size_t)k * w->plane;
}

/* to[sample][q] = from[q][lane] */
static void keep(const struct work *w, const double *from, size_t n, void *to)
{
    for (size_t l = 0; l < w->lanes && w->first + (int64_t)l < w->p->n; l++) {
        const size_t at = (size_t)(w->first + (int64_t)l) * n;

        if (w->f->dtype == NTK_F32)
            for (size_t q = 0; q < n; q++)
                ((float *)to)[at + q] = (float)from[q * w->lanes + l];
        else
            for (size_t q = 0; q < n; q++)
                ((double *)to)[at + q] = from[q * w->lanes + l];
    }
}

static void *side_of(const struct work *w, int table, size_t side, size_t n)
{
    return (unsigned char *)w->p->sides[table] + side * (size_t)w->p->n * n * w->f->dtype;
}

/* Sample of lane l in its set; lanes past the end repeat the last. */
static size_t sample(const struct work *w, size_t l)
{
    const int64_t k = w->first + (int64_t)l < w->p->n ? w->first + (int64_t)l : w->p->n - 1;

    return (size_t)(w->p->first + k);
}

static void mean_squares(const struct work *w, const struct ntk_node *v, double *out)
{
    const struct ntk_samples *set = &w->f->set[w->p->set];
    const size_t c = (size_t)w->f->channels;

    for (size_t l = 0; l < w->lanes; l++)
        for (size_t q = 0; q < positions(v); q++) {
            const size_t at = sample(w, l) * set->features + q * c;
            double sum = 0;

            for (size_t k = 0; k < c; k++) {
                const double x = w->f->dtype == NTK_F32 ? (double)((const float *)set->x)[at + k]
                                                        : ((const double *)set->x)[at + k];

                sum += x * x;
            }
            out[q * w->lanes + l] = sum / (double)c;
        }
}

/* Sides into the panel, moments into ff and dd. */
static void moments(const struct work *w, int table, const double *q, double *ff, double *dd)
{
    const struct ntk_space_table *t = &w->f->space->tables[table];
    const struct ntk_node *v = node(w->f, t->node);
    const struct ntk_dual *dual = &w->f->dual[table];
    const size_t n = positions(node(w->f, t->sigma)), all = n * w->lanes;
    const size_t sides = (size_t)dual->sides;

    if (v->act->many) {
        v->act->many(v->self, dual, all, q, w->side, ff, dd);
    } else {
        for (size_t k = 0; k < all; k++) {
            double *one = w->side + sides * all;

            v->act->side(v->self, dual, q[k], one);
            for (size_t i = 0; i < sides; i++)
                w->side[i * all + k] = one[i];
            v->act->moments(v->self, dual, q[k], &ff[k], &dd[k]);
        }
    }
    for (size_t i = 0; i < sides; i++)
        keep(w, w->side + i * all, n, side_of(w, table, i, n));
}

static void box(const struct work *w, const struct ntk_node *conv, const struct ntk_node *in,
                const struct ntk_sweep_out *end, const double *from, double *to)
{
    const struct ntk_window *x = &conv->window;
    const struct ntk_box_args args = {.in_rows = in->h,
                                      .in_columns = in->w,
                                      .in_pitch = (size_t)in->w,
                                      .out_rows = conv->h,
                                      .out_columns = conv->w,
                                      .out_pitch = (size_t)conv->w,
                                      .size = {x->size[0], x->size[1]},
                                      .stride = {x->stride[0], x->stride[1]},
                                      .low = {x->low[0], x->low[1]},
                                      .wrap = x->wrap,
                                      .scale = end->a,
                                      .constant = end->b,
                                      .in = from,
                                      .out = to,
                                      .lines = w->lines};

    w->simd->box(&args);
}

static void mix2(const struct work *w, size_t n, const double *x, double a, const double *y,
                 double b, double *out)
{
    const void *const in[] = {x, y};

    w->simd->mix(n, 2, in, (double[]){a, b}, 0, out);
}

/* The parts of a sweep one after the other; its outputs may lie where its operands do. */
static void run_sweep(const struct work *w, const struct ntk_space_step *step)
{
    static const struct ntk_window window = {.size = {3, 3}, .stride = {1, 1}, .low = {1, 1}};
    const struct ntk_node *v = node(w->f, step->in[0]);
    const struct ntk_node conv = {.window = window, .h = v->h, .w = v->w};
    const size_t n = positions(v) * w->lanes;
    double *f = temp(w, TEMP_F), *d = temp(w, TEMP_D);

    moments(w, step->table, slot(w, step->in_slot[0]), f, d);
    for (int o = 1; o < step->n_in; o++) {
        double *g = temp(w, TEMP_1 + o - 1);
        const void *const in[] = {d, slot(w, step->in_slot[o])};

        w->simd->product(n, 2, in, g);
        mix2(w, n, f, step->sweep[o].mix, g, 1, g);
    }
    for (int o = 0; o < step->n_out; o++) {
        if (step->out[o] < 0)
            continue;
        box(w, &conv, v, &step->sweep[o], o == 0 ? f : temp(w, TEMP_1 + o - 1),
            slot(w, step->out_slot[o]));
    }
}

static void run_tail(const struct work *w, const struct ntk_space_step *step)
{
    const size_t n = positions(node(w->f, step->in[0]));
    double *f = temp(w, TEMP_F), *d = temp(w, TEMP_D);

    moments(w, step->table, slot(w, step->in_slot[0]), f, d);
    for (int i = 0; i < step->n_in; i++) {
        const void *const in[] = {d, i ? slot(w, step->in_slot[i]) : NULL};

        if (i)
            w->simd->product(n * w->lanes, 2, in, temp(w, TEMP_1));
        for (int j = 0; j < step->tail[i].n; j++)
            keep(w, i ? temp(w, TEMP_1) : f, n,
                 w->p->exits[w->f->space->links[step->tail[i].links[j]].exit]);
    }
}

/* out = in / (q + eps), q averaged over axes; its root is the side. */
static void run_normalise(const struct work *w, const struct ntk_space_step *step)
{
    const struct ntk_node *v = node(w->f, step->node);
    const double *x = slot(w, step->in_slot[0]), *q = slot(w, step->in_slot[1]);
    double *out = slot(w, step->out_slot[0]), *side = w->side;
    const size_t h = (size_t)v->h, wide = (size_t)v->w, n = w->lanes;

    for (size_t l = 0; l < n; l++)
        for (size_t i = 0; i < h; i++)
            for (size_t j = 0; j < wide; j++) {
                const size_t i0 = v->axes & NTK_AXIS_H ? 0 : i,
                             i1 = v->axes & NTK_AXIS_H ? h : i + 1;
                const size_t j0 = v->axes & NTK_AXIS_W ? 0 : j;
                const size_t j1 = v->axes & NTK_AXIS_W ? wide : j + 1;
                double sum = 0;

                for (size_t a = i0; a < i1; a++)
                    for (size_t b = j0; b < j1; b++)
                        sum += q[(a * wide + b) * n + l];
                sum = sum / (double)((i1 - i0) * (j1 - j0)) + v->constant;
                side[(i * wide + j) * n + l] = sum > 0 ? 1 / sqrt(sum) : 0;
            }
    keep(w, side, h * wide, side_of(w, step->table, 0, h * wide));
    for (size_t k = 0; k < h * wide * n; k++)
        out[k] = x[k] * side[k] * side[k];
}

static void run_elementwise(const struct work *w, const struct ntk_space_step *step)
{
    const struct ntk_node *v = node(w->f, step->node);
    const size_t n = positions(v) * w->lanes;
    double *out = slot(w, step->out_slot[0]);

    for (int k = 0; k < step->n_in; k++)
        w->in[k] = slot(w, step->in_slot[k]);
    if (step->op == NTK_SPACE_MIX)
        w->simd->mix(n, step->n_in, w->in, v->coef, v->constant, out);
    else if (step->op == NTK_SPACE_PRODUCT)
        w->simd->product(n, step->n_in, w->in, out);
    else { /* COPY */
        keep(w, slot(w, step->in_slot[0]), positions(v), w->p->exits[step->exit]);
        w->simd->mix(n, 1, w->in, &v->constant, 0, out);
    }
}

static void run_step(const struct work *w, const struct ntk_space_step *step)
{
    const struct ntk_node *v = node(w->f, step->node);

    switch (step->op) {
    case NTK_SPACE_INPUT:
        mean_squares(w, v, slot(w, step->out_slot[0]));
        return;
    case NTK_SPACE_DUAL:
        moments(w, step->table, slot(w, step->in_slot[0]), temp(w, TEMP_F), temp(w, TEMP_D));
        for (int o = 0; o < 2; o++)
            if (step->out[o] >= 0)
                memcpy(slot(w, step->out_slot[o]), temp(w, o ? TEMP_D : TEMP_F),
                       positions(v) * w->lanes * sizeof(double));
        return;
    case NTK_SPACE_SWEEP:
        run_sweep(w, step);
        return;
    case NTK_SPACE_TAIL:
        run_tail(w, step);
        return;
    case NTK_SPACE_CONV:
        box(w, v, node(w->f, step->in[0]), &step->sweep[0], slot(w, step->in_slot[0]),
            slot(w, step->out_slot[0]));
        return;
    case NTK_SPACE_NORMALISE:
        run_normalise(w, step);
        return;
    case NTK_SPACE_LINK: {
        const struct ntk_link *l = &w->f->space->links[step->link];

        keep(w, slot(w, step->in_slot[0]), positions(node(w->f, l->from)), w->p->exits[l->exit]);
        return;
    }
    default:
        run_elementwise(w, step);
    }
}

/* A frame's entries were computed before from pairs of positions. */
static void load_entries(const struct work *w, const struct ntk_frame *x)
{
    for (int e = 0; e < x->n_entries; e++) {
        const size_t n = positions(node(w->f, x->entries[e]));
        const void *own = w->f->own[w->p->set][x->entries[e]];
        double *to = slot(w, ~e);

        for (size_t l = 0; l < w->lanes; l++)
            for (size_t q = 0; q < n; q++)
                to[q * w->lanes + l] = w->f->dtype == NTK_F32
                                           ? (double)((const float *)own)[sample(w, l) * n + q]
                                           : ((const double *)own)[sample(w, l) * n + q];
    }
}

ntk_status ntk_panel_fill(const struct ntk_fields *f, int set, int64_t first, int64_t n,
                          struct ntk_panel *p)
{
    const struct ntk_space *s = f->space;
    const int64_t lanes = (int64_t)f->ctx->isa->f64->lanes;
    ntk_status status = NTK_OK;

    p->set = set;
    p->first = first;
    p->n = n;
#pragma omp parallel num_threads(f->ctx->threads)
    {
        struct work w;
        const bool ready = work_new(&w, f, p);

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k += lanes) {
            if (!ntk_go_on(f->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            w.first = k;
            for (int i = 0; i < s->n_frames; i++) {
                if (s->frames[i].n_steps)
                    load_entries(&w, &s->frames[i]);
                for (int j = 0; j < s->frames[i].n_steps; j++)
                    run_step(&w, &s->frames[i].steps[j]);
            }
        }
        work_free(&w);
    }
    return status == NTK_ENOMEM ? ntk_fail(f->ctx, status, "no memory for the variances of samples")
                                : status;
}
