/* SPDX-License-Identifier: MIT
 *
 * near.c - see near.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/near.h"

#define TILE   NTK_TILE
#define ARRAYS 5 /* of a struct ntk_near_run */

/* Those of points, and one for what nothing reads. */
static size_t slots_of(const struct ntk_program *p) { return (size_t)ntk_points_slots(p) + 1; }

size_t ntk_near_bytes(const struct ntk_program *p)
{
    const size_t slots = slots_of(p), in = (size_t)p->most_in;

    return slots * (ARRAYS * TILE * sizeof(double) + sizeof(struct ntk_near_run)) +
           2 * in * sizeof(void *) + TILE * (sizeof(int64_t) + 1);
}

bool ntk_near_new(struct ntk_near *s, const struct ntk_points *t, struct ntk_near_sides *shared)
{
    const struct ntk_program *p = t->c->p;
    const size_t slots = slots_of(p), in = (size_t)p->most_in;
    const struct ntk_dual *dual = t->rows->reference->dual;
    int sides = 0;

    for (int k = 0; k < p->n_side_sets; k++)
        sides = dual[k].near_sides > sides ? dual[k].near_sides : sides;
    *s = (struct ntk_near){.t = t, .shared = shared};
    s->flags = ntk_alloc_zero(NULL, TILE, 1);
    s->block = ntk_alloc_zero(NULL, slots * ARRAYS * TILE, sizeof *s->block);
    s->slot = ntk_alloc_zero(NULL, slots, sizeof *s->slot);
    s->in = ntk_alloc_zero(NULL, in, sizeof *s->in);
    s->values = ntk_alloc_zero(NULL, in, sizeof *s->values);
    s->sides = ntk_alloc_zero(NULL, (size_t)sides * NTK_LANES_MAX, sizeof *s->sides);
    s->ready = ntk_alloc_zero(NULL, (size_t)p->n_side_sets, sizeof *s->ready);
    s->columns = ntk_alloc_zero(NULL, TILE, sizeof *s->columns);
    if (!s->flags || !s->block || !s->slot || !s->in || !s->values || !s->sides || !s->ready ||
        !s->columns)
        return false;
    for (size_t k = 0; k < slots; k++) {
        double *at = s->block + k * ARRAYS * TILE;

        s->slot[k] = (struct ntk_near_run){.s2 = at,
                                           .d = at + TILE,
                                           .minus = at + 2 * TILE,
                                           .plus = at + 3 * TILE,
                                           .value = at + 4 * TILE};
    }
    return true;
}

void ntk_near_free(struct ntk_near *s)
{
    free(s->flags);
    free(s->block);
    free(s->slot);
    free(s->in);
    free(s->values);
    free(s->sides);
    free(s->ready);
    free(s->columns);
}

/* *at becomes value; what it was. */
static double exchange(void *k, ntk_dtype dtype, int64_t at, double value)
{
    const double was = ntk_number(k, dtype, (size_t)at);

    ntk_store(k, dtype, (size_t)at, value);
    return was;
}

/* The roots of samples' variances stand after the sides. */
static const unsigned char *side_roots(const struct ntk_samples *x, int side_set, int sides, int64_t i)
{
    return (const unsigned char *)x->sides[side_set] + ((size_t)sides * x->stride + (size_t)i) * x->dtype;
}

void ntk_near_mark(struct ntk_near *s, int side_set, void *k, size_t n, int64_t i, int64_t j0)
{
    const struct ntk_points *t = s->t;
    const struct ntk_dual *dual = &t->rows->reference->dual[side_set];
    const struct ntk_samples *a = t->rows, *b = t->columns;
    const void *s1 = side_roots(a, side_set, dual->sides, i);
    const double root = ntk_number(s1, a->dtype, 0);
    /* A sample with itself is left out: every row of a tile on the diagonal would have a pair. */
    const bool own = t->b->symmetric && i >= j0 && i < j0 + (int64_t)n;
    double kept = 0;

    if (dual->near == 0)
        return;
    if (own)
        kept = exchange(k, a->dtype, i - j0, 0);
    s->any |= t->simd->mark(n, k, (1 - dual->near) * root, side_roots(b, side_set, dual->sides, j0),
                            (1 - dual->near) * dual->near_from, s->flags);
    if (own)
        exchange(k, a->dtype, i - j0, kept);
}

/* ---- per-sample values */

static double *make_sides(const struct ntk_points *t, const struct ntk_samples *x, int side_set)
{
    const struct ntk_program *p = t->c->p;
    const struct ntk_dual *dual = &x->reference->dual[side_set];
    const struct ntk_node *v = &p->graph->nodes[p->side_sets[side_set].node];
    const double *q = ntk_variances_of(x, p->side_sets[side_set].sigma);
    const size_t sides = (size_t)dual->near_sides;
    double *out = ntk_alloc(NULL, (size_t)x->n * sides, sizeof *out);
    struct ntk_instruction run = {0};

    v->op->instruct(v, &run);
    for (int64_t i = 0; out && i < x->n; i++)
        run.act->near_side(run.self, dual, q[i], out + (size_t)i * sides);
    return out;
}

/* Once for all threads; whichever comes first makes the same. */
static bool have_sides(const struct ntk_near *s, int side_set)
{
    struct ntk_near_sides *shared = s->shared;
    ntk_ctx *ctx = s->t->rows->ctx;
    bool have;

    if (s->ready[side_set])
        return true;
    ntk_lock(ctx);
    if (!shared->second[side_set])
        shared->second[side_set] = make_sides(s->t, s->t->columns, side_set);
    if (!shared->first[side_set])
        shared->first[side_set] = make_sides(s->t, s->t->rows, side_set);
    have = shared->first[side_set] && shared->second[side_set];
    ntk_unlock(ctx);
    s->ready[side_set] = have;
    return have;
}

struct ntk_near_sides ntk_near_sides_new(const struct ntk_points *t)
{
    const size_t n = (size_t)t->c->p->n_side_sets;
    struct ntk_near_sides s;

    s.second = ntk_alloc_zero(NULL, n, sizeof *s.second);
    s.first = t->rows == t->columns ? s.second : ntk_alloc_zero(NULL, n, sizeof *s.first);
    return s;
}

void ntk_near_sides_free(struct ntk_near_sides *s, const struct ntk_points *t)
{
    for (int k = 0; k < t->c->p->n_side_sets; k++) {
        if (s->first && s->first != s->second)
            free(s->first[k]);
        if (s->second)
            free(s->second[k]);
    }
    if (s->first != s->second)
        free(s->first);
    free(s->second);
}

static void roots(const struct ntk_near *s, int node, int64_t i, struct ntk_near_run *r)
{
    const double *q2 = ntk_variances_of(s->t->columns, node);

    r->s1 = __builtin_sqrt(ntk_variances_of(s->t->rows, node)[i]);
    for (int64_t c = 0; c < s->n; c++)
        r->s2[c] = __builtin_sqrt(q2[s->columns[c]]);
}

/* ---- steps */

static const unsigned char *sample(const struct ntk_samples *x, int64_t i)
{
    return (const unsigned char *)x->x + (size_t)i * x->features * x->dtype;
}

/* 1 - |cos t| = sin^2 t / (1 + |cos t|), and sin t is what is left of the shorter sample without its part
 * along the longer one. */
static void input(const struct ntk_near *s, int64_t i, int64_t j0, const void *k,
                  struct ntk_near_run *r)
{
    const struct ntk_points *t = s->t;
    const size_t n = t->rows->features;
    const double features = (double)n;

    roots(s, t->c->p->frames[t->c->p->points].entries[0], i, r);
    for (int64_t c = 0; c < s->n; c++) {
        const unsigned char *x = sample(t->rows, i), *y = sample(t->columns, s->columns[c]);
        const double s2 = r->s2[c], p = r->s1 * s2;
        const double d = t->simd->square_difference(n, x, y) / (features * (r->s1 + s2));
        const bool swap = d > 0; /* x is the longer one */
        const double longer = swap ? r->s1 : s2, shorter = swap ? s2 : r->s1;
        const double sign = ntk_number(k, t->dtype, (size_t)(s->columns[c] - j0)) < 0 ? -1 : 1;
        double gap = 0;

        if (p > 0) {
            const double sine2 =
                t->simd->rejection(n, swap ? y : x, swap ? x : y, sign * shorter / longer,
                                   features * longer * longer) / features / shorter / shorter;

            gap = p * (sine2 / (1 + __builtin_sqrt(fmax(1 - sine2, 0))));
        }
        r->d[c] = r->s1 + s2 > 0 ? d : 0;
        r->minus[c] = sign > 0 ? gap : 2 * p - gap;
        r->plus[c] = sign > 0 ? 2 * p - gap : gap;
        r->value[c] = (r->plus[c] - r->minus[c]) / 2;
    }
}

/* Runs of the pairs from `at` on. */
static struct ntk_near_run from(const struct ntk_near_run *r, int64_t at)
{
    return (struct ntk_near_run){r->s1,         r->s2 + at,   r->d + at,
                                 r->minus + at, r->plus + at, r->value + at};
}

static void dual(struct ntk_near *s, const struct ntk_step *step, int64_t i, size_t n)
{
    const struct ntk_points *t = s->t;
    const struct ntk_dual *dual = &t->rows->reference->dual[step->side_set];
    const size_t sides = (size_t)dual->near_sides, most = sides ? NTK_LANES_MAX : TILE;
    struct ntk_near_run *none = &s->slot[slots_of(t->c->p) - 1];
    struct ntk_near_run *out = step->out[0] >= 0 ? &s->slot[step->out_slot[0]] : none;
    double *dot = step->out[1] >= 0 ? s->slot[step->out_slot[1]].value : none->value;

    if (sides && !have_sides(s, step->side_set)) {
        s->failed = true;
        return;
    }
    if (step->out[0] >= 0)
        roots(s, step->out[0], i, out);
    const double *side1 = sides ? s->shared->first[step->side_set] + (size_t)i * sides : NULL;
    for (size_t at = 0; at < n; at += most) {
        const struct ntk_near_run k = from(&s->slot[step->in_slot[0]], (int64_t)at);
        struct ntk_near_run f = from(out, (int64_t)at);
        const struct ntk_near_args args = {.n = n - at < most ? n - at : most,
                                           .k = &k,
                                           .par = dual->par,
                                           .sides = dual->near_sides,
                                           .side1 = side1,
                                           .stride1 = 1,
                                           .side2 = s->sides,
                                           .stride2 = NTK_LANES_MAX,
                                           .f = &f,
                                           .dot = dot + at};

        for (size_t c = at; sides && c < at + args.n && c < (size_t)s->n; c++)
            for (size_t m = 0; m < sides; m++)
                s->sides[m * NTK_LANES_MAX + c - at] =
                    s->shared->second[step->side_set][(size_t)s->columns[c] * sides + m];
        ntk_dual_loops_of(t->rows->ctx->isa, NTK_F64)->near[step->run.act->dual](&args);
    }
}

/* in / sqrt((q1 + eps) (q2 + eps)), q the variances of `sigma`: a tangent kernel */
static void normalise_value(const struct ntk_near *s, int sigma, double eps, int64_t i,
                            const double *in, double *out)
{
    const double q1 = ntk_variances_of(s->t->rows, sigma)[i] + eps, *q2s = ntk_variances_of(s->t->columns, sigma);

    for (int64_t c = 0; c < s->n; c++) {
        const double q2 = q2s[s->columns[c]] + eps;

        out[c] = q1 > 0 && q2 > 0 ? in[c] / (__builtin_sqrt(q1) * __builtin_sqrt(q2)) : 0;
    }
}

/* Covariances that activations read are carried as differences. */
static void run_carried(struct ntk_near *s, const struct ntk_step *step, int64_t i, size_t n)
{
    const struct ntk_simd *simd = s->t->rows->ctx->isa->f64;
    const struct ntk_instruction *run = &step->run;
    struct ntk_near_run *out = &s->slot[step->out_slot[0]];

    roots(s, step->out[0], i, out);
    if (run->id == NTK_DO_MIX)
        simd->near_mix(n, step->n_in, s->in, run->coef, run->constant, out);
    else if (run->id == NTK_DO_PRODUCT)
        simd->near_product(n, step->n_in, s->in, out);
    else if (run->id == NTK_DO_SCALE)
        simd->near_normalise(n, s->in[0], run->constant, out);
    else
        simd->near_self(n, s->in[0], run->constant, out);
}

/* Other numbers are just computed. */
static void run_value(struct ntk_near *s, const struct ntk_step *step, int64_t i, size_t n)
{
    const struct ntk_simd *simd = s->t->rows->ctx->isa->f64;
    const struct ntk_instruction *run = &step->run;
    double *out = s->slot[step->out_slot[0]].value;

    if (run->id == NTK_DO_MIX)
        simd->mix(n, step->n_in, s->values, run->coef, run->constant, out);
    else if (run->id == NTK_DO_PRODUCT)
        simd->product(n, step->n_in, s->values, out);
    else if (run->id == NTK_DO_SCALE)
        normalise_value(s, step->in[1], run->constant, i, s->in[0]->value, out);
    else
        memcpy(out, s->in[0]->value, n * sizeof *out);
}

static void run_step(struct ntk_near *s, const struct ntk_step *step, int64_t i, size_t n)
{
    if (step->run.id == NTK_DO_DUAL) {
        dual(s, step, i, n);
        return;
    }
    for (int k = 0; k < step->n_in; k++) {
        s->in[k] = &s->slot[step->in_slot[k]];
        s->values[k] = s->in[k]->value;
    }
    if (s->t->c->carried[step->out[0]])
        run_carried(s, step, i, n);
    else
        run_value(s, step, i, n);
}

/* Equal samples have their variances already, unless they differ by a Dropout. */
static void list_pairs(struct ntk_near *s, int64_t i, int64_t j0, int64_t n)
{
    const struct ntk_points *t = s->t;

    s->n = 0;
    for (int64_t c = 0; c < n; c++) {
        const int64_t j = j0 + c;

        if (s->flags[c] && (t->c->p->noisy || !ntk_pair_is_equal(t->b, i, j)))
            s->columns[s->n++] = j;
    }
    memset(s->flags, 0, TILE);
    s->any = false;
}

void ntk_near_row(struct ntk_near *s, int64_t i, int64_t j0, int64_t n, const void *k,
                  unsigned char *const *out)
{
    const struct ntk_program *p = s->t->c->p;
    const struct ntk_frame *f = &p->frames[p->points];

    list_pairs(s, i, j0, n);
    if (s->n == 0)
        return;
    const size_t padded = ntk_round_up((size_t)s->n, s->t->rows->ctx->isa->f64->lanes);

    input(s, i, j0, k, &s->slot[0]);
    for (int m = 0; m < f->n_steps && !s->failed; m++)
        run_step(s, &f->steps[m], i, padded);
    for (int m = 0; m < p->n_outputs; m++)
        for (int64_t c = 0; c < s->n; c++)
            ntk_store(out[m], s->t->dtype, (size_t)(s->columns[c] - j0), s->slot[p->output_from[m]].value[c]);
}
