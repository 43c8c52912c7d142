/* SPDX-License-Identifier: MIT
 *
 * fields.c - see fields.h.
 */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activations/activation.h"
#include "kernel/planes.h"

static const struct ntk_node *node(const struct ntk_fields *f, int v)
{
    return &f->space->graph->nodes[v];
}

static size_t positions(const struct ntk_node *v)
{
    return (size_t)v->h * (size_t)v->w;
}

/* ---- ranges of variances, from which activations choose their accuracy: bounds that need no look
 * at every sample and position */

struct range {
    double lo, hi;
    double tiny; /* no more than any value that is not 0; HUGE_VAL: there is none */
    int gap;     /* no position with 0 is farther (rows or columns, whichever are more) from one without, unless
                  * all of the sample are 0 */
};
#define ANY_GAP INT_MAX

static double least_positive(double x, double tiny) { return x > 0 && x < tiny ? x : tiny; }

/* A pass of the distance transform: d[p] is at most 1 more than that of its neighbours before it, or after. */
static void spread(int *d, int h, int w, int step)
{
    for (int k = 0; k < h * w; k++) {
        const int p = step > 0 ? k : h * w - 1 - k, i = p / w, j = p % w, before = i - step;

        for (int b = j - 1; b <= j + 1 && before >= 0 && before < h; b++)
            if (b >= 0 && b < w && d[before * w + b] < d[p] - 1)
                d[p] = d[before * w + b] + 1;
        if (j - step >= 0 && j - step < w && d[p - step] < d[p] - 1)
            d[p] = d[p - step] + 1;
    }
}

static bool is_zero(const struct ntk_samples *x, size_t first, size_t n)
{
    for (size_t k = first; k < first + n; k++)
        if ((x->dtype == NTK_F32 ? (double)((const float *)x->x)[k] : ((const double *)x->x)[k]) != 0)
            return false;
    return true;
}

/* The gap of all samples; d has a number for each position. */
static int input_gap(const struct ntk_fields *f, const struct ntk_node *v, int *d)
{
    const int n = v->h * v->w;
    int gap = 0;

    for (int t = 0; t < f->n_sets; t++)
        for (int64_t s = 0; s < f->set[t].n; s++) {
            const size_t first = (size_t)s * f->set[t].features, c = (size_t)f->channels;

            for (int p = 0; p < n; p++)
                d[p] = is_zero(&f->set[t], first + (size_t)p * c, c) ? n : 0;
            spread(d, v->h, v->w, 1);
            spread(d, v->h, v->w, -1);
            for (int p = 0; p < n; p++)
                gap = d[p] < n && d[p] > gap ? d[p] : gap;
        }
    return gap;
}

/* Squares of samples in float64, which are 0 only where the samples are: *lost if not. */
static struct range input_range(const struct ntk_fields *f, const struct ntk_node *v, int *distance,
                                bool *lost)
{
    const size_t c = (size_t)f->channels;
    struct range r = {HUGE_VAL, 0, HUGE_VAL, 0};

    for (int t = 0; t < f->n_sets; t++) {
        const size_t n = (size_t)f->set[t].n * f->set[t].features;
        double lo = HUGE_VAL, hi = 0, tiny = HUGE_VAL;
        bool gone = false;

#pragma omp parallel for reduction(min : lo, tiny) reduction(max : hi) reduction(|| : gone)           \
    num_threads(f->ctx->threads)
        for (size_t at = 0; at < n; at += c) {
            double sum = 0;

            for (size_t k = at; k < at + c; k++) {
                const double x = f->dtype == NTK_F32 ? (double)((const float *)f->set[t].x)[k]
                                                     : ((const double *)f->set[t].x)[k];

                sum += x * x;
            }
            for (size_t k = at; sum == 0 && f->dtype == NTK_F64 && k < at + c; k++)
                gone = gone || ((const double *)f->set[t].x)[k] != 0;
            lo = sum / (double)c < lo ? sum / (double)c : lo;
            hi = sum / (double)c > hi ? sum / (double)c : hi;
            tiny = least_positive(sum / (double)c, tiny);
        }
        r.lo = lo < r.lo ? lo : r.lo;
        r.hi = hi > r.hi ? hi : r.hi;
        r.tiny = tiny < r.tiny ? tiny : r.tiny;
        *lost = *lost || gone;
    }
    if (r.lo == 0 && f->dtype == NTK_F32)
        r.gap = input_gap(f, v, distance);
    return r;
}

static double moment(const struct ntk_node *v, const struct ntk_dual *dual, double q)
{
    double ff, dd;

    v->act->moments(v->self, dual, q, &ff, &dd);
    return v->op == NTK_OP_DUAL ? ff : dd;
}

/* E[f f] or E[f' f'] over a range of variances, by samples of it. */
static struct range moment_range(const struct ntk_node *v, const struct ntk_dual *dual,
                                 struct range q)
{
    const int n = 33;
    struct range r = {HUGE_VAL, 0, HUGE_VAL, q.gap};

    for (int k = 0; k < n; k++) {
        const double x = moment(v, dual, q.lo + (q.hi - q.lo) * k / (n - 1));

        r.lo = x < r.lo ? x : r.lo;
        r.hi = x > r.hi ? x : r.hi;
        r.tiny = least_positive(x, r.tiny);
    }
    if (q.tiny < q.hi && r.hi > 0) /* 0: too small even for float64 */
        r.tiny = fmin(r.tiny, moment(v, dual, q.tiny));
    return r;
}

/* The least part of a window that is inside. */
static double least_inside(const struct ntk_node *v, const struct ntk_node *in)
{
    const int n[] = {in->h, in->w};
    double part = 1;

    for (int k = 0; k < 2 && !v->window.wrap; k++) {
        double least = 1;

        for (int q = 0; q < v->window.out[k]; q++) {
            const int at = v->window.stride[k] * q - v->window.low[k], end = at + v->window.size[k];
            const int inside = (end < n[k] ? end : n[k]) - (at > 0 ? at : 0);

            least = fmin(least, (double)inside / v->window.size[k]);
        }
        part *= least;
    }
    return part;
}

/* The sum is at least the largest of the terms that are nowhere 0. */
static struct range mix_range(const struct ntk_node *v, const struct range *ranges)
{
    struct range r = {v->constant, v->constant, HUGE_VAL, v->constant > 0 ? 0 : ANY_GAP};
    double whole = 0;

    for (int k = 0; k < v->n_in; k++) {
        const struct range *x = &ranges[v->in[k]];

        r.lo += v->coef[k] * x->lo;
        r.hi += v->coef[k] * x->hi;
        if (!(v->coef[k] > 0 && x->hi > 0))
            continue;
        r.tiny = fmin(r.tiny, v->coef[k] * x->tiny);
        r.gap = x->gap < r.gap ? x->gap : r.gap;
        whole = x->gap == 0 ? fmax(whole, v->coef[k] * x->tiny) : whole;
    }
    r.tiny = r.lo > 0 ? r.lo : whole > 0 ? whole : r.tiny; /* lo: of samples that are 0, too */
    return r;
}

static struct range normal_range(const struct ntk_node *v, struct range x, struct range q)
{
    const double n = (v->axes & NTK_AXIS_H ? v->h : 1) * (double)(v->axes & NTK_AXIS_W ? v->w : 1);
    const double lo = q.lo + v->constant, hi = q.hi + v->constant;

    return (struct range){hi > 0 ? x.lo / hi : 0, fmin(lo > 0 ? x.hi / lo : HUGE_VAL, n),
                          hi > 0 ? x.tiny / hi : HUGE_VAL, q.gap == 0 ? x.gap : ANY_GAP};
}

/* Averages over windows. Where some of a window is 0 at least one position is not; where none is, what is
 * inside is left, and each convolution fills the gap by half of its window. */
static struct range conv_range(const struct ntk_node *v, const struct ntk_node *in, struct range x)
{
    const struct ntk_window *win = &v->window;
    const double n = (double)win->size[0] * win->size[1], inside = least_inside(v, in);
    const int high = in->h > 1 ? (win->size[0] - 1) / 2 : INT_MAX;
    const int wide = in->w > 1 ? (win->size[1] - 1) / 2 : INT_MAX, reach = high < wide ? high : wide;
    const bool whole = win->stride[0] == 1 && win->stride[1] == 1;
    struct range r = {x.lo * inside, x.hi, x.tiny / n, x.gap};

    if (x.gap == 0)
        r.tiny = x.tiny * inside;
    else
        r.gap = !whole || x.gap == ANY_GAP ? ANY_GAP : x.gap > reach ? x.gap - reach : 0;
    r.tiny = fmax(r.tiny, r.lo);
    return r;
}

static struct range node_range(const struct ntk_fields *f, const struct ntk_node *v,
                               const struct range *ranges, const struct ntk_dual *dual,
                               int *distance, bool *lost)
{
    const struct range in = v->n_in ? ranges[v->in[0]] : (struct range){0, 0, HUGE_VAL, ANY_GAP};
    struct range r = in;

    switch (v->op) {
    case NTK_OP_INPUT:
        return input_range(f, v, distance, lost);
    case NTK_OP_MIX:
        return mix_range(v, ranges);
    case NTK_OP_PRODUCT:
        for (int k = 1; k < v->n_in; k++) {
            r.lo *= ranges[v->in[k]].lo;
            r.hi *= ranges[v->in[k]].hi;
            r.tiny *= ranges[v->in[k]].tiny;
            r.gap = r.gap == 0 && ranges[v->in[k]].gap == 0 ? 0 : ANY_GAP;
        }
        return r;
    case NTK_OP_DUAL:
    case NTK_OP_DUAL_DOT:
        return moment_range(v, dual, in);
    case NTK_OP_NORMALISE:
        return normal_range(v, in, ranges[v->in[1]]);
    case NTK_OP_SELF:
        return (struct range){in.lo * v->constant, in.hi * v->constant, in.tiny, in.gap};
    case NTK_OP_CONV:
        return conv_range(v, node(f, v->in[0]), in);
    case NTK_OP_POOL: {
        const double n = (double)v->window.size[0] * v->window.size[1];

        return (struct range){0, in.hi * (v->window.true_count ? 1 : n * n * v->constant),
                              in.tiny / (n * n), in.gap == 0 ? 0 : ANY_GAP};
    }
    default:
        return in;
    }
}

static int table_of(const struct ntk_space *s, const struct ntk_node *v)
{
    for (int t = 0; t < s->n_tables; t++) {
        const struct ntk_node *have = &s->graph->nodes[s->tables[t].node];

        if (s->tables[t].op == NTK_OP_DUAL && s->tables[t].sigma == v->in[0] &&
            have->act == v->act &&
            (v->act->base.size == 0 || memcmp(have->self, v->self, v->act->base.size) == 0))
            return t;
    }
    return -1;
}

static bool is_dual(const struct ntk_node *v)
{
    return v->op == NTK_OP_DUAL || v->op == NTK_OP_DUAL_DOT;
}

/* A dual whose largest moment is 0 only because float64 ends there. */
static bool is_lost(const struct ntk_node *v, struct range r, struct range in)
{
    double (*f)(const void *, double);

    if (r.hi > 0 || !is_dual(v))
        return false;
    f = v->op == NTK_OP_DUAL ? v->act->f : v->act->df;
    return f(v->self, sqrt(in.hi)) != 0 || f(v->self, -sqrt(in.hi)) != 0;
}

/* What the type takes, all that may occur: in float64 squares of samples that have their digits, and normal numbers
 * after them. in: of the operand. */
static bool fits(ntk_dtype dtype, const struct ntk_node *v, struct range r, struct range in)
{
    bool fit = true;

    if (dtype == NTK_F64 && v->op == NTK_OP_INPUT)
        return ntk_fits_f64(r.hi) && (r.tiny > r.hi || ntk_fits_f64(r.tiny));
    if (dtype == NTK_F64)
        return !(r.tiny < DBL_MIN) && !is_lost(v, r, in);
    fit = ntk_fits_f32(r.hi) && (r.tiny > r.hi || ntk_fits_f32(r.tiny)) && r.tiny > 0;

    for (int k = 0; v->op == NTK_OP_MIX && k < v->n_in; k++)
        fit = fit && ntk_fits_f32(v->coef[k]);
    return fit;
}

static ntk_status setup_duals(struct ntk_fields *f, bool last)
{
    const struct ntk_space *s = f->space;
    struct range *ranges = ntk_alloc_zero(f->ctx, (size_t)s->graph->n, sizeof *ranges);
    int *distance = ntk_alloc(f->ctx, positions(node(f, 0)), sizeof *distance); /* the input */
    bool lost = false, *ready = ntk_alloc_zero(f->ctx, (size_t)s->n_tables, sizeof *ready);
    ntk_status status = ranges && distance && ready ? NTK_OK : NTK_ENOMEM;

    for (int v = 0; v < s->graph->n && status == NTK_OK; v++) {
        const struct ntk_node *x = node(f, v);
        const int t = x->plane && is_dual(x) ? table_of(s, x) : -1;
        const struct ntk_where at = {.ctx = f->ctx, .name = t < 0 ? "" : x->act->base.name};

        if (!x->plane || (is_dual(x) && t < 0))
            continue;
        if (t >= 0 && !ready[t]) {
            const struct ntk_dual_range range = {
                .q_min = ranges[x->in[0]].lo, .q_max = ranges[x->in[0]].hi, .dtype = f->dtype};

            status = x->act->setup(x->self, &at, &range, &f->dual[t]);
            ready[t] = status == NTK_OK;
            f->beyond = f->beyond || (f->dtype == NTK_F32 && f->dual[t].beyond);
        }
        if (status == NTK_OK)
            ranges[v] = node_range(f, x, ranges, t >= 0 ? &f->dual[t] : NULL, distance, &lost);
        f->beyond = f->beyond || (status == NTK_OK && !last &&
                                  (lost || !fits(f->dtype, x, ranges[v], ranges[x->n_in ? x->in[0] : v])));
    }
    for (int t = 0; ready && t < s->n_tables; t++) {
        if (s->tables[t].op == NTK_OP_DUAL && !ready[t])
            f->dual[t].sides = 0;
        for (int k = 0; k < NTK_DUAL_PARS; k++)
            if (f->dtype == NTK_F32) {
                ((float *)f->par)[t * NTK_DUAL_PARS + k] = (float)f->dual[t].par[k];
                f->beyond = f->beyond || !ntk_fits_f32(f->dual[t].par[k]);
            } else
                ((double *)f->par)[t * NTK_DUAL_PARS + k] = f->dual[t].par[k];
    }
    free(ranges);
    free(distance);
    free(ready);
    return status;
}

/* ---- variances past a pool */

#define SELF_PANEL 256 /* samples at once */

/* Runs samples of a set with themselves through a space, its frame `capture` into f->own. */
static ntk_status run_own(const struct ntk_fields *f, int set, int capture)
{
    const int64_t n = f->set[set].n;
    const int64_t lanes = (int64_t)f->simd->lanes;
    struct ntk_panel panel;
    ntk_status status = ntk_panel_new(f, n < SELF_PANEL ? n : SELF_PANEL, &panel);

    for (int64_t first = 0; first < n && status == NTK_OK; first += SELF_PANEL) {
        const int64_t m = n - first < SELF_PANEL ? n - first : SELF_PANEL;

        status = ntk_panel_fill(f, set, first, m, &panel);
        if (status != NTK_OK)
            break;
#pragma omp parallel num_threads(f->ctx->threads)
        {
            struct ntk_planes p;
            const bool ready = ntk_planes_new(f, &p);

            p.rows = p.columns = &panel;
            p.capture = capture;
            p.own = f->own[set];
#pragma omp for schedule(dynamic, 1)
            for (int64_t k = 0; k < m; k += lanes) {
                if (!ntk_go_on(f->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                    continue;
                for (int64_t l = 0; l < lanes; l++) {
                    p.equal[l] = k + l < m ? k + l : m - 1;
                    p.same[l] = true;
                }
                ntk_planes_columns(&p, p.equal);
                ntk_planes_rows(&p, p.equal);
                ntk_planes_pairs(&p);
            }
            ntk_planes_free(&p);
        }
        if (status == NTK_ENOMEM)
            status = ntk_fail(f->ctx, status, "no memory for pairs of positions");
    }
    ntk_panel_free(f, &panel);
    return status;
}

/* Variances of one frame's entries: from a space that computes just those. */
static ntk_status own_of_frame(struct ntk_fields *f, int frame)
{
    const struct ntk_frame *x = &f->space->frames[frame];
    struct ntk_space *space;
    struct ntk_fields part = {.own = {f->own[0], f->own[1]}};
    const struct ntk_way way = {.dtype = f->dtype, .last = true}; /* that is known by now */
    ntk_status status;

    for (int t = 0; t < f->n_sets; t++)
        for (int e = 0; e < x->n_entries; e++) {
            void **own = &f->own[t][x->entries[e]];

            *own = ntk_alloc(f->ctx, (size_t)f->set[t].n * positions(node(f, x->entries[e])),
                             f->dtype);
            if (!*own)
                return NTK_ENOMEM;
        }
    NTK_TRY(ntk_space_make(f->space->graph, 0, NULL, x->n_entries, x->entries, &space));
    status = ntk_fields_make(f->ctx, space, &way, f->n_sets, f->set, f->channels, &part);
    for (int t = 0; t < f->n_sets && status == NTK_OK; t++)
        status = run_own(&part, t, frame);
    ntk_fields_free(&part);
    ntk_space_free(space);
    return status;
}

static ntk_status own_of_frames(struct ntk_fields *f)
{
    const struct ntk_space *s = f->space;
    int most = 0;

    for (int k = 0; k < s->n_frames; k++)
        most = s->graph->frames[k].level > most ? s->graph->frames[k].level : most;
    for (int level = 1; level <= most; level++)
        for (int k = 0; k < s->n_frames; k++)
            if (s->graph->frames[k].level == level && s->frames[k].n_steps)
                NTK_TRY(own_of_frame(f, k));
    return NTK_OK;
}

ntk_status ntk_fields_make(ntk_ctx *ctx, const struct ntk_space *space, const struct ntk_way *way,
                           int n_sets, const struct ntk_samples *set, int channels, struct ntk_fields *f)
{
    void **const own[] = {f->own[0], f->own[1]}; /* a part shares those of the whole */
    const size_t tables = (size_t)space->n_tables;
    const ntk_dtype dtype = way->dtype;

    *f = (struct ntk_fields){.ctx = ctx,
                             .space = space,
                             .simd = dtype == NTK_F32 ? ctx->isa->f32 : ctx->isa->f64,
                             .dtype = dtype,
                             .n_sets = n_sets,
                             .set = set,
                             .channels = channels,
                             .own = {own[0], own[1]},
                             .owner = !own[0]};
    f->dual = ntk_alloc_zero(ctx, tables, sizeof *f->dual);
    f->par = ntk_alloc_zero(ctx, tables * NTK_DUAL_PARS, dtype);
    if (!f->dual || !f->par)
        return NTK_ENOMEM;
    NTK_TRY(setup_duals(f, way->last));
    if (!f->owner || f->beyond)
        return NTK_OK;
    for (int t = 0; t < n_sets; t++) {
        f->own[t] = ntk_alloc_zero(ctx, (size_t)space->graph->n, sizeof *f->own[t]);
        if (!f->own[t])
            return NTK_ENOMEM;
    }
    return own_of_frames(f);
}

void ntk_fields_free(struct ntk_fields *f)
{
    for (int t = 0; f->dual && t < f->space->n_tables; t++) {
        const struct ntk_node *v = node(f, f->space->tables[t].node);

        if (f->space->tables[t].op == NTK_OP_DUAL && v->act->finish && f->dual[t].sides)
            v->act->finish(&f->dual[t]);
    }
    for (int t = 0; f->owner && t < f->n_sets; t++) {
        for (int v = 0; f->own[t] && v < f->space->graph->n; v++)
            free(f->own[t][v]);
        free(f->own[t]);
    }
    free(f->dual);
    free(f->par);
    *f = (struct ntk_fields){0};
}
