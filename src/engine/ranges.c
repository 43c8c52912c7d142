/* SPDX-License-Identifier: MIT
 *
 * ranges.c - bounds of variances at all positions, which need no look at every sample and position of every
 * layer: from them activations choose their accuracy, and types are chosen.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "engine/prepare.h"

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

static bool is_zero(const struct ntk_samples *s, size_t first, size_t n)
{
    for (size_t k = first; k < first + n; k++)
        if (ntk_sample_number(s, k) != 0)
            return false;
    return true;
}

/* The gap of all samples; d has a number for each position. */
static int input_gap(const struct ntk_samples *s, const struct ntk_node *v, int *d)
{
    const int n = v->h * v->w;
    int gap = 0;

    for (int64_t i = 0; i < s->n; i++) {
        for (int p = 0; p < n; p++)
            d[p] = is_zero(s, (size_t)i * s->features + (size_t)p * s->channels, s->channels) ? n : 0;
        spread(d, v->h, v->w, 1);
        spread(d, v->h, v->w, -1);
        for (int p = 0; p < n; p++)
            gap = d[p] < n && d[p] > gap ? d[p] : gap;
    }
    return gap;
}

/* Squares of samples in float64, which are 0 only where the samples are: *lost if not. */
static struct ntk_range input_range(const struct ntk_samples *s, const struct ntk_node *v, int *distance, bool *lost)
{
    const size_t c = s->channels, n = (size_t)s->n * s->features;
    double lo = HUGE_VAL, hi = 0, tiny = HUGE_VAL;
    bool gone = false;

#pragma omp parallel for reduction(min : lo, tiny) reduction(max : hi) reduction(|| : gone)           \
    num_threads(s->ctx->threads)
    for (size_t at = 0; at < n; at += c) {
        double sum = 0;

        for (size_t k = at; k < at + c; k++)
            sum += ntk_sample_number(s, k) * ntk_sample_number(s, k);
        for (size_t k = at; sum == 0 && s->dtype == NTK_F64 && k < at + c; k++)
            gone = gone || ntk_sample_number(s, k) != 0;
        lo = sum / (double)c < lo ? sum / (double)c : lo;
        hi = sum / (double)c > hi ? sum / (double)c : hi;
        tiny = ntk_least_positive(sum / (double)c, tiny);
    }
    *lost = *lost || gone;
    return (struct ntk_range){lo, hi, tiny, lo == 0 && s->dtype == NTK_F32 ? input_gap(s, v, distance) : 0};
}

/* Of all sets. */
static ntk_status first_range(const struct ntk_preparation *x, const struct ntk_node *v, struct ntk_range *r, bool *lost)
{
    int *distance = ntk_alloc(x->ctx, ntk_node_positions(v), sizeof *distance);

    if (!distance)
        return NTK_ENOMEM;
    *r = (struct ntk_range){HUGE_VAL, 0, HUGE_VAL, 0};
    for (int t = 0; t < x->sets; t++) {
        const struct ntk_range one = input_range(x->s[t], v, distance, lost);

        r->lo = fmin(r->lo, one.lo);
        r->hi = fmax(r->hi, one.hi);
        r->tiny = fmin(r->tiny, one.tiny);
        r->gap = one.gap > r->gap ? one.gap : r->gap;
    }
    free(distance);
    return NTK_OK;
}

/* A node whose largest value is 0 only because float64 ends there. */
static bool is_lost(const struct ntk_node *v, struct ntk_range r, const struct ntk_range *all)
{
    const double in = v->n_in ? all[v->in[0]].hi : 0;

    return r.hi <= 0 && v->op->setup && !v->op->vanishes(v, &in);
}

static bool constants_fit(const struct ntk_node *v)
{
    int n = 0;
    const double *c = v->op->constants ? v->op->constants(v, &n) : NULL;

    for (int k = 0; k < n; k++)
        if (!ntk_fits_f32(c[k]))
            return false;
    return true;
}

/* What the type takes, all that may occur: in float64 squares of samples that have their digits, and normal numbers
 * after them. */
static bool fits(ntk_dtype dtype, const struct ntk_node *v, struct ntk_range r, const struct ntk_range *all)
{
    if (dtype == NTK_F64 && v->place == NTK_SAMPLES)
        return ntk_fits_f64(r.hi) && (r.tiny > r.hi || ntk_fits_f64(r.tiny));
    if (dtype == NTK_F64)
        return !(r.tiny < DBL_MIN) && !is_lost(v, r, all);
    return ntk_fits_f32(r.hi) && (r.tiny > r.hi || ntk_fits_f32(r.tiny)) && r.tiny > 0 && constants_fit(v);
}

/* Nodes with positions, in order: those that have a setup are set up for the bounds of what they read. */
ntk_status ntk_prepare_ranges(struct ntk_preparation *x)
{
    const struct ntk_program *p = x->program;
    struct ntk_range *all = ntk_alloc_zero(x->ctx, (size_t)p->graph->n, sizeof *all);
    ntk_status status = all ? NTK_OK : NTK_ENOMEM;
    bool lost = false;

    for (int v = 0; v < p->graph->n && status == NTK_OK; v++) {
        const struct ntk_node *node = &p->graph->nodes[v];
        const struct ntk_dual *dual;
        int side_set;

        if (!p->used[v] || !node->plane)
            continue;
        side_set = node->op->setup ? ntk_program_side_set(p, v) : -1;
        dual = side_set < 0 ? NULL : &x->reference->dual[side_set];
        if (node->place == NTK_SAMPLES) {
            status = first_range(x, node, &all[v], &lost);
        } else {
            if (side_set >= 0)
                status = ntk_prepare_setup(x, side_set, all[node->in[0]].lo, all[node->in[0]].hi);
            if (status == NTK_OK && !x->beyond)
                all[v] = node->op->range(p->graph, node, all, dual);
        }
        if (status != NTK_OK || x->beyond)
            break;
        if (!x->reference->precision.last && (lost || !fits(x->reference->precision.dtype, node, all[v], all)))
            x->beyond = true;
    }
    free(all);
    return status;
}
