/* SPDX-License-Identifier: MIT
 *
 * variances.c - the recursion of each sample with itself at points, step by step, and its side values.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "engine/prepare.h"

#define CHUNK 64 /* samples: asking whether to go on costs as much as a closed form's values of one */

static const struct ntk_node *node(const struct ntk_samples *s, int v) { return &s->program->graph->nodes[v]; }

/* One step for all samples of a set, or its side values into `side`, [sides + 1][stride] of the set's type. */
struct sweep {
    const struct ntk_samples *s;
    const struct ntk_step *step;
    void *side;
    size_t sides;
};

static void store_sides(const struct sweep *w, const double *side, size_t lanes, size_t first, size_t n)
{
    const double *q = ntk_variances_of(w->s, w->s->program->side_sets[w->step->side_set].sigma) + first;

    for (size_t k = 0; k <= w->sides; k++)
        for (size_t i = 0; i < n; i++)
            ntk_store(w->side, w->s->dtype, k * w->s->stride + first + i,
                      k < w->sides ? side[k * lanes + i] : sqrt(q[i]));
}

/* Samples first ... first + CHUNK - 1 or the last. scratch: room for their sides, and for one's. */
static void run_chunk(const struct sweep *w, size_t first, const void **in, double *scratch)
{
    const struct ntk_samples *s = w->s;
    const size_t n = (size_t)s->n - first < CHUNK ? (size_t)s->n - first : CHUNK;
    struct ntk_variances x = {.g = s->program->graph,
                              .v = node(s, w->step->node),
                              .simd = s->ctx->isa->f64,
                              .duals = ntk_dual_loops_of(s->ctx->isa, NTK_F64),
                              .lanes = ntk_round_up(n, NTK_LANES_MAX),
                              .in = in,
                              .one = scratch + (w->sides + 1) * CHUNK};

    if (w->step->side_set >= 0)
        x.dual = &s->reference->dual[w->step->side_set];
    for (int k = 0; k < w->step->n_in; k++)
        in[k] = ntk_variances_of(s, w->step->in[k]) + first;
    for (int k = 0; k < w->step->n_out && !w->side; k++)
        x.out[k] = w->step->out[k] < 0 ? NULL : ntk_variances_of(s, w->step->out[k]) + first;
    if (w->side || !x.v->op->setup)
        x.side = scratch;
    x.v->op->variance(&x);
    if (w->side)
        store_sides(w, scratch, x.lanes, first, n);
}

static ntk_status run_all(const struct sweep *w)
{
    const struct ntk_samples *s = w->s;
    const size_t n = (w->sides + 1) * CHUNK + w->sides + 1;
    ntk_status status = NTK_OK;

#pragma omp parallel num_threads(ntk_threads_for(s->ctx, (s->n + CHUNK - 1) / CHUNK))
    {
        double *scratch = ntk_alloc(NULL, n, sizeof *scratch);
        const void **in = ntk_alloc(NULL, (size_t)w->step->n_in, sizeof *in);
        const bool ready = ntk_go_on(s->ctx, &status, scratch && in ? NTK_OK : NTK_ENOMEM);

#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->n; i += CHUNK)
            if (ready && ntk_go_on(s->ctx, &status, NTK_OK))
                run_chunk(w, (size_t)i, in, scratch);
        free(scratch);
        free(in);
    }
    return status == NTK_ENOMEM ? ntk_fail(s->ctx, status, "no memory for %zu side values", w->sides) : status;
}

static ntk_status too_large(ntk_ctx *ctx, int64_t i, double variance, ntk_dtype dtype)
{
    return ntk_fail(ctx, NTK_ENUMERIC,
                    "sample %lld: its variance, %g, is too large for float%d; scale the samples, or "
                    "the weights' deviations",
                    (long long)i, variance, 8 * (int)dtype);
}

ntk_status ntk_prepare_check(const struct ntk_samples *s, int v, double factor, bool *beyond)
{
    for (int64_t i = 0; i < s->n; i++) {
        const double q = ntk_variances_of(s, v)[i];

        if (s->dtype == NTK_F32)
            *beyond = *beyond || !ntk_fits_f32(q) || q * factor > (double)FLT_MAX;
        else if (!(q <= DBL_MAX / factor))
            return too_large(s->ctx, i, q, NTK_F64);
    }
    return NTK_OK;
}

/* K(x, x) of sample i at output m, in the numbers of its kind. */
static double own_value(const struct ntk_samples *s, int m, int64_t i)
{
    const int node_of = s->program->outputs[m];

    return ntk_precision_finish(&s->reference->precision, node_of, 2 * ntk_sample_exponent(s, i),
                                ntk_variances_of(s, node_of)[i]);
}

ntk_status ntk_samples_check_outputs(const struct ntk_samples *s, ntk_dtype dtype)
{
    const struct ntk_program *p = s->program;

    for (int m = 0; m < p->n_outputs; m++)
        for (int64_t i = 0; i < s->n; i++) {
            const double q = own_value(s, m, i);

            if (q > (dtype == NTK_F32 ? (double)FLT_MAX : DBL_MAX))
                return too_large(s->ctx, i, q, dtype);
        }
    return NTK_OK;
}

void ntk_samples_diagonal(const struct ntk_samples *s, double *const *out)
{
    const struct ntk_program *p = s->program;

    for (int m = 0; m < p->n_outputs; m++)
        for (int64_t i = 0; i < s->n; i++)
            out[m][i] = own_value(s, m, i);
}

/* Whether some value of a node is 0 or has lost digits only because float64 ends there. in: room for operands. */
static bool is_lost(const struct ntk_samples *s, int v, double *in)
{
    const struct ntk_node *x = node(s, v);
    bool lost = false;

    for (int64_t i = 0; i < s->n && !lost; i++) {
        const double q = ntk_variances_of(s, v)[i];

        if (q >= DBL_MIN)
            continue;
        for (int k = 0; k < x->n_in; k++)
            in[k] = ntk_variances_of(s, x->in[k])[i];
        lost = q != 0 || !(x->op->vanishes ? x->op->vanishes(x, in) : x->n_in == 0 || in[0] == 0);
    }
    return lost;
}

/* Samples that were made less small are small for every node, too. */
static ntk_status check_small(const struct ntk_preparation *x, int v)
{
    const struct ntk_precision *precision = &x->reference->precision;
    const struct ntk_graph *g = x->program->graph;
    double largest = 0;

    for (int t = 0; t < x->sets; t++)
        for (int64_t i = 0; i < x->s[t]->n; i++)
            largest = fmax(largest, ntk_precision_rest(precision, g, v, x->s[t]->variance + i, x->s[t]->stride));
    for (int t = 0; t < x->sets; t++)
        for (int64_t i = 0; i < x->s[t]->n; i++)
            if (x->s[t]->exponent[i] &&
                !ntk_precision_holds(precision, g, v, largest, x->s[t]->variance + i, x->s[t]->stride))
                return ntk_fail(x->ctx, NTK_ENUMERIC,
                                "sample %lld is too small for this network in float64, as a constant of it "
                                "or another sample is not of a normal size; scale the samples, or the "
                                "weights' deviations",
                                (long long)i);
    return NTK_OK;
}

static ntk_status setup(struct ntk_preparation *x, const struct ntk_step *step)
{
    double q_min = 1e300, q_max = 0;

    for (int t = 0; t < x->sets; t++)
        for (int64_t i = 0; i < x->s[t]->n; i++) {
            const double q = ntk_variances_of(x->s[t], step->in[0])[i];

            q_min = q < q_min ? q : q_min;
            q_max = q > q_max ? q : q_max;
        }
    return ntk_prepare_setup(x, step->side_set, q_min, q_max);
}

static void check_constants(struct ntk_preparation *x, const struct ntk_step *step)
{
    const struct ntk_node *v = &x->program->graph->nodes[step->node];
    int n = 0;
    const double *c = v->op->constants ? v->op->constants(v, &n) : NULL;

    for (int k = 0; k < n && x->reference->precision.dtype == NTK_F32; k++)
        x->beyond = x->beyond || !ntk_fits_f32(c[k]);
}

static ntk_status run_step(struct ntk_preparation *x, const struct ntk_step *step, double *in)
{
    if (step->op->setup)
        NTK_TRY(setup(x, step));
    check_constants(x, step);
    for (int t = 0; t < x->sets && !x->beyond; t++) {
        const struct sweep w = {
            .s = x->s[t],
            .step = step,
            .sides = step->side_set < 0 ? 0 : ntk_side_count(x->reference, step->side_set)};

        NTK_TRY(run_all(&w));
        for (int o = 0; o < step->n_out; o++) {
            if (step->out[o] < 0)
                continue;
            NTK_TRY(ntk_prepare_check(x->s[t], step->out[o], 1, &x->beyond));
            if (!x->reference->precision.last)
                x->beyond = x->beyond || is_lost(x->s[t], step->out[o], in);
        }
    }
    for (int o = 0; o < step->n_out && x->reference->precision.limit && !x->beyond; o++)
        if (step->out[o] >= 0)
            NTK_TRY(check_small(x, step->out[o]));
    return NTK_OK;
}

ntk_status ntk_prepare_points(struct ntk_preparation *x)
{
    const struct ntk_frame *f = &x->program->frames[x->program->points];
    ntk_status status = NTK_OK;
    double *in;

    for (int t = 0; t < x->sets; t++)
        for (int e = 0; e < f->n_entries; e++)
            NTK_TRY(ntk_prepare_check(x->s[t], f->entries[e], 1, &x->beyond));
    in = ntk_alloc(x->ctx, (size_t)x->program->most_in, sizeof *in);
    if (!in)
        return NTK_ENOMEM;
    for (int k = 0; k < f->n_steps && !x->beyond && status == NTK_OK; k++)
        status = run_step(x, &f->steps[k], in);
    free(in);
    return status;
}

ntk_status ntk_samples_sides(struct ntk_samples *s)
{
    const struct ntk_frame *f = &s->program->frames[s->program->points];

    for (int k = 0; k < f->n_steps && !s->bare; k++) {
        const int t = f->steps[k].side_set;
        struct sweep w = {.s = s, .step = &f->steps[k]};

        if (t < 0 || s->sides[t])
            continue;
        w.sides = ntk_side_count(s->reference, t);
        w.side = ntk_alloc_zero(s->ctx, (w.sides + 1) * s->stride, s->dtype);
        if (!w.side)
            return NTK_ENOMEM;
        s->sides[t] = w.side;
        NTK_TRY(run_all(&w));
    }
    return NTK_OK;
}
