/* SPDX-License-Identifier: MIT
 *
 * panel.c - the recursion of each sample with itself at equal positions: side values, and variances of
 * the nodes that links read. In float64, lanes are samples.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/prepare.h"

static const struct ntk_node *node(const struct ntk_samples *s, int v) { return &s->program->graph->nodes[v]; }

static bool has_positions(const struct ntk_samples *s, int side_set)
{
    return node(s, s->program->side_sets[side_set].node)->plane;
}

/* ---- memory */

ntk_status ntk_panel_new(const struct ntk_samples *s, int64_t n, struct ntk_panel *panel)
{
    const struct ntk_program *p = s->program;

    *panel = (struct ntk_panel){.samples = s, .n = n};
    NTK_TRY(ntk_ctx_check_memory(s->ctx, ntk_bytes((double)n * (double)ntk_panel_bytes(s)),
                                 "a table of side values"));
    panel->sides = ntk_alloc_zero(s->ctx, (size_t)p->n_side_sets, sizeof *panel->sides);
    panel->exits = ntk_alloc_zero(s->ctx, (size_t)p->n_exits, sizeof *panel->exits);
    if (!panel->sides || !panel->exits)
        return NTK_ENOMEM;
    for (int t = 0; t < p->n_side_sets; t++) {
        const size_t each = ntk_node_positions(node(s, p->side_sets[t].sigma)) * ntk_side_count(s->reference, t);

        if (!has_positions(s, t))
            continue;
        panel->sides[t] = ntk_scratch_new(s->ctx, (size_t)n * each, s->dtype);
        if (!panel->sides[t])
            return NTK_ENOMEM;
    }
    for (int e = 0; e < p->n_exits; e++) {
        panel->exits[e] = ntk_scratch_new(s->ctx, (size_t)n * ntk_node_positions(node(s, p->exits[e])), s->dtype);
        if (!panel->exits[e])
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

void ntk_panel_free(struct ntk_panel *panel)
{
    if (!panel->samples)
        return;
    for (int t = 0; panel->sides && t < panel->samples->program->n_side_sets; t++)
        ntk_scratch_free(panel->samples->ctx, panel->sides[t]);
    for (int e = 0; panel->exits && e < panel->samples->program->n_exits; e++)
        ntk_scratch_free(panel->samples->ctx, panel->exits[e]);
    free(panel->sides);
    free(panel->exits);
    *panel = (struct ntk_panel){0};
}

size_t ntk_panel_bytes(const struct ntk_samples *s)
{
    const struct ntk_program *p = s->program;
    size_t n = 0;

    for (int t = 0; t < p->n_side_sets; t++)
        if (has_positions(s, t))
            n += ntk_side_count(s->reference, t) * ntk_node_positions(node(s, p->side_sets[t].sigma));
    for (int e = 0; e < p->n_exits; e++)
        n += ntk_node_positions(node(s, p->exits[e]));
    return n * s->dtype;
}

/* ---- one thread's work */

struct work {
    const struct ntk_samples *s;
    struct ntk_panel *panel;
    size_t lanes, plane; /* doubles in a plane */
    double *block;       /* all of the memory below */
    double *slots;       /* [slots, then entries of a frame][plane] */
    double *spare[2];    /* results that nobody reads */
    double *side;        /* [most sides][plane] */
    double *one;         /* [most sides] */
    double *lines;       /* [plane], of which a row is used */
    const void **in;
    int n_slots;
    int64_t first; /* samples of the lanes: first + l of the panel, those below n */
};

static bool work_new(struct work *w, const struct ntk_samples *s, struct ntk_panel *panel)
{
    const struct ntk_program *p = s->program;
    size_t most = 1, sides = 1, entries = 0, at = 0, numbers;

    *w = (struct work){.s = s, .panel = panel, .lanes = s->ctx->isa->f64->lanes};
    for (int k = 0; k < p->points; k++) {
        const struct ntk_frame *f = &p->frames[k];
        const size_t n = (size_t)f->h * (size_t)f->w;

        most = n > most ? n : most;
        w->n_slots = f->n_slots > w->n_slots ? f->n_slots : w->n_slots;
        entries = (size_t)f->n_entries > entries ? (size_t)f->n_entries : entries;
    }
    for (int t = 0; t < p->n_side_sets; t++)
        sides = has_positions(s, t) && ntk_side_count(s->reference, t) > sides ? ntk_side_count(s->reference, t)
                                                                              : sides;
    w->plane = most * w->lanes;
    numbers = ((size_t)w->n_slots + entries + 2 + sides + 1) * w->plane + sides;
    w->block = ntk_scratch_new(NULL, numbers, sizeof *w->block);
    w->in = ntk_alloc_zero(NULL, (size_t)p->most_in, sizeof *w->in);
    if (!w->block || !w->in)
        return false;
    memset(w->block, 0, numbers * sizeof *w->block);
    w->slots = w->block;
    at = (size_t)w->n_slots + entries;
    w->spare[0] = w->block + at * w->plane;
    w->spare[1] = w->spare[0] + w->plane;
    w->lines = w->spare[1] + w->plane;
    w->side = w->lines + w->plane;
    w->one = w->side + sides * w->plane;
    return true;
}

static void work_free(struct work *w)
{
    ntk_scratch_free(w->s->ctx, w->block);
    free(w->in);
}

static double *slot(const struct work *w, int k)
{
    return w->slots + (size_t)(k >= 0 ? k : w->n_slots + ~k) * w->plane;
}

/* to[sample][q] = from[q][lane] */
static void keep(const struct work *w, const double *from, size_t n, void *to)
{
    const int64_t left = w->panel->n - w->first, lanes = left < (int64_t)w->lanes ? left : (int64_t)w->lanes;
    void *row[NTK_LANES_MAX];

    for (int64_t l = 0; l < lanes; l++)
        row[l] = (unsigned char *)to + (size_t)(w->first + l) * n * w->s->dtype;
    w->s->ctx->isa->f64->separate(n, from, w->s->dtype, (size_t)lanes, row);
}

/* Sample of lane l in its set; lanes past the end repeat the last. */
static size_t sample(const struct work *w, size_t l)
{
    const int64_t k = w->first + (int64_t)l < w->panel->n ? w->first + (int64_t)l : w->panel->n - 1;

    return (size_t)(w->panel->first + k);
}

static void mean_squares(const struct work *w, const struct ntk_node *v, double *out)
{
    const size_t c = w->s->channels, n = ntk_node_positions(v);

    for (size_t l = 0; l < w->lanes; l++)
        for (size_t q = 0; q < n; q++) {
            const size_t at = sample(w, l) * w->s->features + q * c;
            double sum = 0;

            for (size_t k = 0; k < c; k++)
                sum += ntk_sample_number(w->s, at + k) * ntk_sample_number(w->s, at + k);
            out[q * w->lanes + l] = sum / (double)c;
        }
}

static void run_variance(const struct work *w, const struct ntk_step *step)
{
    const struct ntk_samples *s = w->s;
    const struct ntk_node *v = node(s, step->node);
    const size_t n = ntk_node_positions(v);
    struct ntk_variances x = {.g = s->program->graph,
                              .v = v,
                              .simd = s->ctx->isa->f64,
                              .duals = ntk_dual_loops_of(s->ctx->isa, NTK_F64),
                              .lanes = w->lanes,
                              .in = w->in,
                              .one = w->one,
                              .lines = w->lines};

    for (int k = 0; k < step->n_in; k++)
        w->in[k] = slot(w, step->in_slot[k]);
    for (int k = 0; k < step->n_out; k++) /* those that make sides may not write where they read */
        x.out[k] = step->out[k] < 0 || step->side_set >= 0 ? w->spare[k] : slot(w, step->out_slot[k]);
    if (step->side_set >= 0) {
        x.dual = &s->reference->dual[step->side_set];
        x.side = w->side;
    }
    v->op->variance(&x);
    for (int k = 0; k < step->n_out; k++)
        if (step->out[k] >= 0 && step->side_set >= 0)
            memcpy(slot(w, step->out_slot[k]), w->spare[k], n * w->lanes * sizeof(double));
    for (size_t i = 0; step->side_set >= 0 && i < ntk_side_count(s->reference, step->side_set); i++)
        keep(w, w->side + i * n * w->lanes, n,
             (unsigned char *)w->panel->sides[step->side_set] + i * (size_t)w->panel->n * n * s->dtype);
}

static void run_step(const struct work *w, const struct ntk_step *step)
{
    const int exit = step->link >= 0 ? w->s->program->links[step->link].exit : step->exit;

    if (exit >= 0)
        keep(w, slot(w, step->in_slot[0]), ntk_node_positions(node(w->s, step->in[0])), w->panel->exits[exit]);
    if (step->run.id == NTK_DO_FIRST)
        mean_squares(w, node(w->s, step->node), slot(w, step->out_slot[0]));
    else if (step->link < 0)
        run_variance(w, step);
}

/* A frame's entries were computed before from pairs of positions. */
static void load_entries(const struct work *w, const struct ntk_frame *f)
{
    for (int e = 0; e < f->n_entries; e++) {
        const size_t n = ntk_node_positions(node(w->s, f->entries[e]));
        const void *own = w->s->own[f->entries[e]];
        double *to = slot(w, ~e);

        for (size_t l = 0; l < w->lanes; l++)
            for (size_t q = 0; q < n; q++)
                to[q * w->lanes + l] = ntk_number(own, w->s->dtype, sample(w, l) * n + q);
    }
}

static void run_frames(const struct work *w, int level)
{
    const struct ntk_program *p = w->s->program;

    for (int k = 0; k < p->points; k++) {
        const struct ntk_frame *f = &p->frames[k];

        if (f->level >= level || !f->n_steps)
            continue;
        load_entries(w, f);
        for (int i = 0; i < f->n_steps; i++)
            run_step(w, &f->steps[i]);
    }
}

ntk_status ntk_panel_fill(const struct ntk_samples *s, int64_t first, int64_t n, int level, struct ntk_panel *panel)
{
    const int64_t lanes = (int64_t)s->ctx->isa->f64->lanes;
    ntk_status status = NTK_OK;

    panel->samples = s;
    panel->first = first;
    panel->n = n;
#pragma omp parallel num_threads(ntk_threads_for(s->ctx, (n + lanes - 1) / lanes))
    {
        struct work w;
        const bool ready = work_new(&w, s, panel);

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k += lanes) {
            if (!ntk_go_on(s->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            w.first = k;
            run_frames(&w, level);
        }
        work_free(&w);
    }
    return status == NTK_ENOMEM ? ntk_fail(s->ctx, status, "no memory for the variances of samples") : status;
}

/* ---- past links: a level needs what the one before has */

#define OWN_PANEL 256 /* samples at once */

static ntk_status own_of_frame(const struct ntk_preparation *x, struct ntk_samples *s, int frame)
{
    const struct ntk_frame *f = &s->program->frames[frame];
    const int64_t width = s->n < OWN_PANEL ? s->n : OWN_PANEL;
    void **out = ntk_alloc(s->ctx, (size_t)f->n_entries, sizeof(void *));
    struct ntk_panel panel;
    ntk_status status = ntk_panel_new(s, width, &panel);

    for (int e = 0; out && e < f->n_entries; e++) {
        void **own = &s->own[f->entries[e]];

        *own = ntk_alloc(s->ctx, (size_t)s->n * ntk_node_positions(node(s, f->entries[e])), s->dtype);
        status = *own ? status : NTK_ENOMEM;
    }
    for (int64_t i = 0; out && i < s->n && status == NTK_OK; i += width) {
        status = ntk_panel_fill(s, i, s->n - i < width ? s->n - i : width, f->level, &panel);
        for (int e = 0; e < f->n_entries; e++)
            out[e] = (unsigned char *)s->own[f->entries[e]] +
                     (size_t)i * ntk_node_positions(node(s, f->entries[e])) * s->dtype;
        if (status == NTK_OK)
            status = x->machine->backend->own(x->machine->compiled, frame, &panel, out);
    }
    ntk_panel_free(&panel);
    free(out);
    return out ? status : NTK_ENOMEM;
}

ntk_status ntk_prepare_own(struct ntk_preparation *x)
{
    const struct ntk_program *p = x->program;
    int most = 0;

    for (int k = 0; k < p->points; k++)
        most = p->frames[k].level > most ? p->frames[k].level : most;
    for (int level = 1; level <= most; level++)
        for (int k = 0; k < p->points; k++)
            for (int t = 0; t < x->sets && p->frames[k].level == level && p->frames[k].own; t++)
                NTK_TRY(own_of_frame(x, x->s[t], k));
    return NTK_OK;
}

/* ---- entries of points */

/* Where only equal positions matter: weighted sums of the variances. */
static void own_sums(const struct ntk_panel *panel)
{
    const struct ntk_samples *s = panel->samples;
    const struct ntk_graph *g = s->program->graph;

    for (int k = 0; k < s->program->n_links; k++) {
        const struct ntk_link *l = &s->program->links[k];
        const struct ntk_node *v = node(s, l->from);
        const double *wi = l->dim[0].weights[ntk_offset_index(g, v->h, 0)];
        const double *wj = l->dim[1].weights[ntk_offset_index(g, v->w, 0)];

        for (int64_t i = 0; i < panel->n; i++) {
            double sum = 0;

            for (int q = 0; q < v->h * v->w; q++) {
                const size_t at = (size_t)i * (size_t)(v->h * v->w) + (size_t)q;

                sum += wi[q / v->w] * wj[q % v->w] * ntk_number(panel->exits[l->exit], s->dtype, at);
            }
            ntk_variances_of(s, l->to)[panel->first + i] = l->scale * sum;
        }
    }
}

/* Sums of pairs of positions of each sample with itself. */
static ntk_status pair_sums(const struct ntk_preparation *x, const struct ntk_panel *panel)
{
    const struct ntk_samples *s = panel->samples;
    const struct ntk_frame *points = &s->program->frames[s->program->points];
    void **out = ntk_alloc(s->ctx, (size_t)points->n_entries, sizeof(void *));
    ntk_status status;

    if (!out)
        return NTK_ENOMEM;
    for (int e = 0; e < points->n_entries; e++)
        out[e] = ntk_variances_of(s, points->entries[e]) + panel->first;
    status = x->machine->backend->own(x->machine->compiled, s->program->points, panel, out);
    free(out);
    return status;
}

ntk_status ntk_prepare_sums(struct ntk_preparation *x)
{
    for (int t = 0; t < x->sets; t++) {
        struct ntk_samples *s = x->s[t];
        const int64_t width = s->n < OWN_PANEL ? s->n : OWN_PANEL;
        struct ntk_panel panel;
        ntk_status status = ntk_panel_new(s, width, &panel);

        for (int64_t i = 0; i < s->n && status == NTK_OK; i += width) {
            status = ntk_panel_fill(s, i, s->n - i < width ? s->n - i : width, INT_MAX, &panel);
            if (status == NTK_OK && x->program->single)
                own_sums(&panel);
            else if (status == NTK_OK)
                status = pair_sums(x, &panel);
        }
        ntk_panel_free(&panel);
        NTK_TRY(status);
    }
    return NTK_OK;
}
