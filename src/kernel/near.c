/* SPDX-License-Identifier: MIT
 *
 * near.c - see near.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/tile.h"

#define TILE   NTK_TILE
#define ARRAYS 5 /* of a struct ntk_near_run */

bool ntk_near_plan(struct ntk_plan *plan)
{
    const struct ntk_graph *g = &plan->graph;

    plan->carried = ntk_arena_alloc(&plan->arena, (size_t)g->n, sizeof *plan->carried);
    if (!plan->carried)
        return false;
    for (int k = 0; k < plan->n_tables; k++)
        plan->carried[plan->tables[k].sigma] = true;
    for (int v = g->n - 1; v >= 0; v--)
        for (int i = 0; plan->carried[v] && i < g->nodes[v].n_in; i++)
            plan->carried[g->nodes[v].in[i]] = true;
    for (int k = 0; k < plan->n_tables; k++)
        plan->near = plan->near || plan->tables[k].op == NTK_OP_DUAL;
    for (int v = 0; v < g->n; v++)
        plan->noisy = plan->noisy || (plan->needed[v] && g->nodes[v].noisy);
    return true;
}

size_t ntk_near_bytes(const struct ntk_plan *plan)
{
    const size_t slots = (size_t)plan->n_slots + 1, in = (size_t)plan->most_in;

    return slots * (ARRAYS * TILE * sizeof(double) + sizeof(struct ntk_near_run)) +
           2 * in * sizeof(void *) + TILE * (sizeof(int64_t) + 1);
}

bool ntk_near_new(struct ntk_near *s, const struct ntk_tiling *t, struct ntk_near_sides *shared)
{
    const size_t slots = (size_t)t->plan->n_slots + 1, in = (size_t)t->plan->most_in;
    int sides = 0;

    for (int k = 0; k < t->plan->n_tables; k++)
        sides = t->duals->dual[k].near_sides > sides ? t->duals->dual[k].near_sides : sides;
    *s = (struct ntk_near){.t = t, .shared = shared};
    s->flags = ntk_alloc_zero(NULL, TILE, 1);
    s->block = ntk_alloc_zero(NULL, slots * ARRAYS * TILE, sizeof *s->block);
    s->slot = ntk_alloc_zero(NULL, slots, sizeof *s->slot);
    s->in = ntk_alloc_zero(NULL, in, sizeof *s->in);
    s->values = ntk_alloc_zero(NULL, in, sizeof *s->values);
    s->sides = ntk_alloc_zero(NULL, (size_t)sides * NTK_LANES_MAX, sizeof *s->sides);
    s->ready = ntk_alloc_zero(NULL, (size_t)t->plan->n_tables, sizeof *s->ready);
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
    double was;

    if (dtype == NTK_F32) {
        was = (double)((float *)k)[at];
        ((float *)k)[at] = (float)value;
    } else {
        was = ((double *)k)[at];
        ((double *)k)[at] = value;
    }
    return was;
}

/* The roots of samples' variances stand after the sides. */
static const unsigned char *side_roots(const struct ntk_samples *x, int table, int sides, int64_t i)
{
    return (const unsigned char *)x->sides[table] + ((size_t)sides * x->stride + (size_t)i) * x->dtype;
}

void ntk_near_mark(struct ntk_near *s, int table, void *k, size_t n, int64_t i, int64_t j0)
{
    const struct ntk_tiling *t = s->t;
    const struct ntk_dual *dual = &t->duals->dual[table];
    const struct ntk_samples *a = t->rows, *b = t->columns;
    const void *s1 = side_roots(a, table, dual->sides, i);
    const double root = a->dtype == NTK_F32 ? (double)*(const float *)s1 : *(const double *)s1;
    /* A sample with itself is left out: every row of a tile on the diagonal would have a pair. */
    const bool own = a == b && i >= j0 && i < j0 + (int64_t)n;
    double kept = 0;

    if (dual->near == 0)
        return;
    if (own)
        kept = exchange(k, a->dtype, i - j0, 0);
    s->any |= t->simd->mark(n, k, (1 - dual->near) * root, side_roots(b, table, dual->sides, j0),
                            (1 - dual->near) * dual->near_from, s->flags);
    if (own)
        exchange(k, a->dtype, i - j0, kept);
}

/* ---- per-sample values */

static double *make_sides(const struct ntk_tiling *t, const struct ntk_samples *x, int table)
{
    const struct ntk_dual *dual = &t->duals->dual[table];
    const struct ntk_side_table *of = &t->plan->tables[table];
    const struct ntk_node *v = &t->plan->graph.nodes[of->dual_node];
    const double *q = x->variance + (size_t)of->sigma * (size_t)x->n;
    const size_t sides = (size_t)dual->near_sides;
    double *out = ntk_alloc(NULL, (size_t)x->n * sides, sizeof *out);

    for (int64_t i = 0; out && i < x->n; i++)
        v->act->near_side(v->self, dual, q[i], out + (size_t)i * sides);
    return out;
}

/* Once for all threads; whichever comes first makes the same. */
static bool have_sides(const struct ntk_near *s, int table)
{
    struct ntk_near_sides *shared = s->shared;
    bool have;

    if (s->ready[table])
        return true;
    ntk_lock(s->t->ctx);
    if (!shared->second[table])
        shared->second[table] = make_sides(s->t, s->t->columns, table);
    if (!shared->first[table])
        shared->first[table] = make_sides(s->t, s->t->rows, table);
    have = shared->first[table] && shared->second[table];
    ntk_unlock(s->t->ctx);
    s->ready[table] = have;
    return have;
}

struct ntk_near_sides ntk_near_sides_new(const struct ntk_plan *plan, bool symmetric)
{
    struct ntk_near_sides s;

    s.second = ntk_alloc_zero(NULL, (size_t)plan->n_tables, sizeof *s.second);
    s.first = symmetric ? s.second : ntk_alloc_zero(NULL, (size_t)plan->n_tables, sizeof *s.first);
    return s;
}

void ntk_near_sides_free(struct ntk_near_sides *s, const struct ntk_plan *plan)
{
    for (int k = 0; k < plan->n_tables; k++) {
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
    const struct ntk_samples *a = s->t->rows, *b = s->t->columns;
    const double *q2 = b->variance + (size_t)node * (size_t)b->n;

    r->s1 = __builtin_sqrt(a->variance[(size_t)node * (size_t)a->n + (size_t)i]);
    for (int64_t c = 0; c < s->n; c++)
        r->s2[c] = __builtin_sqrt(q2[s->columns[c]]);
}

/* ---- steps */

static const unsigned char *sample(const struct ntk_samples *x, int64_t i)
{
    return (const unsigned char *)x->x + (size_t)i * x->features * x->dtype;
}

static double at(const void *values, ntk_dtype dtype, int64_t i)
{
    return dtype == NTK_F32 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

/* 1 - |cos t| = sin^2 t / (1 + |cos t|), and sin t is what is left of the shorter sample without its part
 * along the longer one. */
static void input(const struct ntk_near *s, int64_t i, int64_t j0, const void *k,
                  struct ntk_near_run *r)
{
    const struct ntk_tiling *t = s->t;
    const size_t n = t->rows->features;
    const double features = (double)n;

    roots(s, t->plan->inputs[0], i, r);
    for (int64_t c = 0; c < s->n; c++) {
        const unsigned char *x = sample(t->rows, i), *y = sample(t->columns, s->columns[c]);
        const double s2 = r->s2[c], p = r->s1 * s2;
        const double d = t->simd->square_difference(n, x, y) / (features * (r->s1 + s2));
        const bool swap = d > 0; /* x is the longer one */
        const double longer = swap ? r->s1 : s2, shorter = swap ? s2 : r->s1;
        const double sign = at(k, t->dtype, s->columns[c] - j0) < 0 ? -1 : 1;
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
    const struct ntk_tiling *t = s->t;
    const struct ntk_side_table *table = &t->plan->tables[step->sides];
    const struct ntk_dual *dual = &t->duals->dual[step->sides];
    const size_t sides = (size_t)dual->near_sides, most = sides ? NTK_LANES_MAX : TILE;
    struct ntk_near_run *none = &s->slot[t->plan->n_slots];
    struct ntk_near_run *out = step->node >= 0 ? &s->slot[step->slot] : none;
    double *dot = step->dot >= 0 ? s->slot[step->dot_slot].value : none->value;

    if (sides && !have_sides(s, step->sides)) {
        s->failed = true;
        return;
    }
    if (step->node >= 0)
        roots(s, step->node, i, out);
    const double *side1 = sides ? s->shared->first[step->sides] + (size_t)i * sides : NULL;
    for (size_t at = 0; at < n; at += most) {
        const struct ntk_near_run k = from(&s->slot[step->in[0]], (int64_t)at);
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
                    s->shared->second[step->sides][(size_t)s->columns[c] * sides + m];
        ntk_dual_loops_of(t->ctx->isa, NTK_F64)->near[t->plan->graph.nodes[table->dual_node].act->dual](&args);
    }
}

/* in / sqrt((q1 + eps) (q2 + eps)), q the variances of `sigma`: a tangent kernel */
static void normalise_value(const struct ntk_near *s, int sigma, double eps, int64_t i,
                            const double *in, double *out)
{
    const struct ntk_samples *a = s->t->rows, *b = s->t->columns;
    const double q1 = a->variance[(size_t)sigma * (size_t)a->n + (size_t)i] + eps;

    for (int64_t c = 0; c < s->n; c++) {
        const double q2 = b->variance[(size_t)sigma * (size_t)b->n + (size_t)s->columns[c]] + eps;

        out[c] = q1 > 0 && q2 > 0 ? in[c] / (__builtin_sqrt(q1) * __builtin_sqrt(q2)) : 0;
    }
}

/* Covariances that activations read are carried as differences; other numbers are just computed. */
static void run_step(struct ntk_near *s, const struct ntk_step *step, int64_t i, size_t n)
{
    const struct ntk_simd *simd = s->t->ctx->isa->f64;
    const struct ntk_node *v = &s->t->plan->graph.nodes[step->node];
    const bool carried = s->t->plan->carried[step->node];
    struct ntk_near_run *out = &s->slot[step->slot];

    for (int k = 0; k < step->n_in; k++) {
        s->in[k] = &s->slot[step->in[k]];
        s->values[k] = s->in[k]->value;
    }
    if (carried)
        roots(s, step->node, i, out);
    if (step->op == NTK_OP_MIX && carried)
        simd->near_mix(n, step->n_in, s->in, v->coef, v->constant, out);
    else if (step->op == NTK_OP_MIX)
        simd->mix(n, step->n_in, s->values, v->coef, v->constant, out->value);
    else if (step->op == NTK_OP_PRODUCT && carried)
        simd->near_product(n, step->n_in, s->in, out);
    else if (step->op == NTK_OP_PRODUCT)
        simd->product(n, step->n_in, s->values, out->value);
    else if (step->op == NTK_OP_NORMALISE && carried)
        simd->near_normalise(n, s->in[0], v->constant, out);
    else if (step->op == NTK_OP_NORMALISE)
        normalise_value(s, v->in[1], v->constant, i, s->in[0]->value, out->value);
    else if (carried)
        simd->near_self(n, s->in[0], v->constant, out);
    else
        memcpy(out->value, s->in[0]->value, n * sizeof *out->value);
}

/* Equal samples have their variances already, unless they differ by a Dropout. */
static void list_pairs(struct ntk_near *s, int64_t i, int64_t j0, int64_t n)
{
    const struct ntk_tiling *t = s->t;

    s->n = 0;
    for (int64_t c = 0; c < n; c++) {
        const int64_t j = j0 + c;

        if (!s->flags[c])
            continue;
        if (t->plan->noisy || t->rows->group[i] != t->columns->group[j])
            s->columns[s->n++] = j;
    }
    memset(s->flags, 0, TILE);
    s->any = false;
}

void ntk_near_row(struct ntk_near *s, int64_t i, int64_t j0, int64_t n, const void *k,
                  unsigned char *const *out)
{
    const struct ntk_plan *p = s->t->plan;

    list_pairs(s, i, j0, n);
    if (s->n == 0)
        return;
    const size_t padded = ntk_round_up((size_t)s->n, s->t->ctx->isa->f64->lanes);

    input(s, i, j0, k, &s->slot[0]);
    for (int m = 0; m < p->n_steps && !s->failed; m++)
        if (p->steps[m].op == NTK_OP_DUAL)
            dual(s, &p->steps[m], i, padded);
        else
            run_step(s, &p->steps[m], i, padded);
    for (int m = 0; m < p->n_outputs; m++)
        for (int64_t c = 0; c < s->n; c++) {
            const double value = s->slot[p->output_from[m]].value[c];

            if (s->t->dtype == NTK_F32)
                ((float *)out[m])[s->columns[c] - j0] = (float)value;
            else
                ((double *)out[m])[s->columns[c] - j0] = value;
        }
}
