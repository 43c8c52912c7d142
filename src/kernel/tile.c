/* SPDX-License-Identifier: MIT
 *
 * tile.c - see tile.h.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/tile.h"

#define TILE NTK_TILE

/* A row of pairs. */
struct run {
    int64_t i;            /* row */
    int64_t j0;           /* column of the first pair */
    size_t n;             /* pairs, padded to whole vectors */
    int64_t n_valid;      /* pairs that exist */
    const int64_t *equal; /* columns among them of samples equal to the row's */
    int64_t n_equal;
};

size_t ntk_tile_bytes(const struct ntk_plan *plan, ntk_dtype dtype)
{
    const size_t tiles = (size_t)(plan->n_inputs + plan->n_outputs) * TILE * TILE;
    const size_t runs = (size_t)plan->first_output * TILE;

    return (tiles + runs) * dtype + (size_t)plan->n_slots * sizeof(void *);
}

bool ntk_tile_new(struct ntk_tile *s, const struct ntk_tiling *t)
{
    const size_t tile_bytes = (size_t)TILE * TILE * t->dtype, run_bytes = TILE * t->dtype;

    *s = (struct ntk_tile){.t = t};
    s->block = ntk_alloc_zero(NULL, ntk_tile_bytes(t->plan, t->dtype), 1);
    s->slot = ntk_alloc_zero(NULL, (size_t)t->plan->n_slots, sizeof *s->slot);
    s->in = ntk_alloc_zero(NULL, (size_t)t->plan->most_in, sizeof *s->in);
    if (!s->block || !s->slot || !s->in)
        return false;
    s->inputs = s->block;
    s->outputs = s->inputs + (size_t)t->plan->n_inputs * tile_bytes;
    for (int k = t->plan->n_inputs; k < t->plan->first_output; k++)
        s->slot[k] = s->outputs + (size_t)t->plan->n_outputs * tile_bytes + (size_t)k * run_bytes;
    return true;
}

void ntk_tile_free(struct ntk_tile *s)
{
    free(s->block);
    free(s->slot);
    free(s->in);
}

/* A block of input = X1 X2' / features. */
static void product_block(const struct ntk_tile *s, int64_t i0, int64_t ni, int64_t j0, int64_t nj)
{
    const struct ntk_samples *a = s->t->rows, *b = s->t->columns;
    const int m = (int)ni, n = (int)nj, k = (int)a->features;

    if (s->t->dtype == NTK_F32)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1 / (float)k,
                    (const float *)a->x + (size_t)i0 * a->features, k,
                    (const float *)b->x + (size_t)j0 * b->features, k, 0, (float *)s->inputs, TILE);
    else
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1 / (double)k,
                    (const double *)a->x + (size_t)i0 * a->features, k,
                    (const double *)b->x + (size_t)j0 * b->features, k, 0, (double *)s->inputs, TILE);
}

/* The same on the diagonal, on and above it. */
static void symmetric_block(const struct ntk_tile *s, int64_t i0, int64_t ni)
{
    const struct ntk_samples *a = s->t->rows;
    const int n = (int)ni, k = (int)a->features;

    if (s->t->dtype == NTK_F32)
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasNoTrans, n, k, 1 / (float)k,
                    (const float *)a->x + (size_t)i0 * a->features, k, 0, (float *)s->inputs, TILE);
    else
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, n, k, 1 / (double)k,
                    (const double *)a->x + (size_t)i0 * a->features, k, 0, (double *)s->inputs, TILE);
}

static void put(void *slot, ntk_dtype dtype, int64_t at, double value)
{
    if (dtype == NTK_F32)
        ((float *)slot)[at] = (float)value;
    else
        ((double *)slot)[at] = value;
}

/* Pairs of equal samples get the node's variance exactly. After a SELF node, only a sample with
 * itself is such a pair. */
static void patch(const struct ntk_tiling *t, const struct run *r, int node, void *slot)
{
    const double *variance = t->rows->variance + (size_t)node * (size_t)t->rows->n + (size_t)r->i;

    if (t->plan->graph.nodes[node].noisy) {
        if (t->rows == t->columns && r->i >= r->j0 && r->i < r->j0 + r->n_valid)
            put(slot, t->dtype, r->i - r->j0, *variance);
        return;
    }
    for (int64_t k = 0; k < r->n_equal; k++)
        put(slot, t->dtype, r->equal[k] - r->j0, *variance);
}

/* The first of ascending columns that is j or more; end: there is none. */
static const int64_t *column_from(const int64_t *first, const int64_t *end, int64_t j)
{
    while (first < end) {
        const int64_t *half = first + (end - first) / 2;

        if (*half < j)
            first = half + 1;
        else
            end = half;
    }
    return first;
}

/* equal and n_equal. */
static void find_equal(const struct ntk_tiling *t, struct run *r)
{
    const int64_t *start = t->groups->start + t->rows->group[r->i];
    const int64_t *first = t->groups->columns + start[0], *end = t->groups->columns + start[1];

    r->equal = column_from(first, end, r->j0);
    r->n_equal = column_from(r->equal, end, r->j0 + r->n_valid) - r->equal;
}

static const unsigned char *side(const struct ntk_samples *s, int table, int64_t i)
{
    return (const unsigned char *)s->sides[table] + (size_t)i * s->dtype;
}

static void run_dual(const struct ntk_tile *s, const struct ntk_step *step, const struct run *r)
{
    const struct ntk_tiling *t = s->t;
    const struct ntk_side_table *table = &t->plan->tables[step->sides];
    const struct ntk_activation *act = t->plan->graph.nodes[table->dual_node].act;
    const struct ntk_dual_args args = {
        .n = r->n,
        .k = s->slot[step->in[0]],
        .side1 = side(t->rows, step->sides, r->i),
        .stride1 = t->rows->stride,
        .step1 = 0,
        .side2 = side(t->columns, step->sides, r->j0),
        .stride2 = t->columns->stride,
        .par = (const unsigned char *)t->duals->par +
               (size_t)step->sides * NTK_DUAL_PARS * t->dtype,
        .sides = t->duals->dual[step->sides].sides,
        .f = step->node >= 0 ? s->slot[step->slot] : NULL,
        .d = step->dot >= 0 ? s->slot[step->dot_slot] : NULL,
    };

    if (s->near)
        ntk_near_mark(s->near, step->sides, s->slot[step->in[0]], r->n, r->i, r->j0);
    ntk_dual_loops_of(t->ctx->isa, t->dtype)->dual[act->dual](&args);
}

static void run_step(const struct ntk_tile *s, const struct ntk_step *step, const struct run *r)
{
    const struct ntk_tiling *t = s->t;
    const struct ntk_node *node = &t->plan->graph.nodes[step->node >= 0 ? step->node : step->dot];

    if (step->op == NTK_OP_DUAL) {
        run_dual(s, step, r);
    } else if (step->op == NTK_OP_NORMALISE) {
        t->simd->scale(r->n, s->slot[step->in[0]], side(t->rows, step->sides, r->i), 0,
                       side(t->columns, step->sides, r->j0), s->slot[step->slot]);
    } else {
        for (int k = 0; k < step->n_in; k++)
            s->in[k] = s->slot[step->in[k]];
        if (step->op == NTK_OP_PRODUCT)
            t->simd->product(r->n, step->n_in, s->in, s->slot[step->slot]);
        else if (step->op == NTK_OP_MIX)
            t->simd->mix(r->n, step->n_in, s->in, node->coef, node->constant, s->slot[step->slot]);
        else
            memcpy(s->slot[step->slot], s->in[0], r->n * t->dtype);
    }
    if (!t->plan->needs_variances)
        return;
    if (step->node >= 0)
        patch(t, r, step->node, s->slot[step->slot]);
    if (step->dot >= 0)
        patch(t, r, step->dot, s->slot[step->dot_slot]);
}

/* Almost parallel pairs of a finished row. */
static void run_near(const struct ntk_tile *s, const struct run *r)
{
    const struct ntk_plan *p = s->t->plan;

    ntk_near_row(s->near, r->i, r->j0, r->n_valid, s->slot[0], s->slot + p->first_output);
    for (int m = 0; m < p->n_outputs; m++)
        patch(s->t, r, p->outputs[m], s->slot[p->first_output + m]);
}

/* A row of float64, in columns from `first` on, is finished and becomes one of the sink's type that begins at
 * `to`, not after it. */
static void finish_row(const struct ntk_tiling *t, const struct run *r, int output,
                       const unsigned char *row, unsigned char *to, int64_t first)
{
    const int set = t->rows != t->columns, of_row = ntk_way_exponent(t->way, 0, r->i);

    for (int64_t j = first; j < first + r->n_valid; j++) {
        double value;
        float narrow;

        memcpy(&value, row + (size_t)j * sizeof value, sizeof value);
        value = ntk_way_finish(t->way, t->plan->outputs[output],
                               of_row + ntk_way_exponent(t->way, set, r->j0 + j - first), value);
        narrow = (float)value;
        if (t->out_dtype == NTK_F32)
            memcpy(to + (size_t)j * sizeof narrow, &narrow, sizeof narrow);
        else
            memcpy(to + (size_t)j * sizeof value, &value, sizeof value);
    }
}

static double entry(const void *row, ntk_dtype dtype, int64_t j)
{
    return dtype == NTK_F32 ? (double)((const float *)row)[j] : ((const double *)row)[j];
}

/* A finished row of each output from column `from` on: of the sink's type, and finite. copied: it is what it was
 * copied from, which is closer to the processor. */
static bool end_row(struct ntk_tile *s, const struct run *r, int64_t row, int64_t from, bool copied)
{
    const struct ntk_tiling *t = s->t;
    const struct ntk_simd *simd = t->out_dtype == NTK_F32 ? t->ctx->isa->f32 : t->ctx->isa->f64;

    for (int m = 0; m < t->plan->n_outputs; m++) {
        unsigned char *block = s->outputs + (size_t)m * TILE * TILE * t->dtype;
        unsigned char *k = block + (size_t)row * TILE * t->out_dtype;
        const size_t skip = (size_t)from * t->out_dtype;
        const bool converted = t->out_dtype != t->dtype || t->way->exponent[0];

        if (converted)
            finish_row(t, r, m, block + (size_t)row * TILE * t->dtype, k, from);
        if (simd->all_finite((size_t)r->n_valid,
                             copied && !converted ? s->slot[t->plan->output_from[m]] : k + skip))
            continue;
        for (int64_t j = 0; j < r->n_valid && isfinite(s->bad.value); j++)
            s->bad = (struct ntk_entry){r->i, r->j0 + j, entry(k + skip, t->out_dtype, j)};
        return false;
    }
    return true;
}

/* Row `row` of the tile from column `from` (a multiple of the vector length) on; false: some entry is
 * not finite. */
static bool run_row(struct ntk_tile *s, int64_t i0, int64_t j0, int64_t nj, int64_t row,
                    int64_t from)
{
    const struct ntk_plan *p = s->t->plan;
    const size_t size = s->t->dtype, at = ((size_t)row * TILE + (size_t)from) * size;
    struct run r = {.i = i0 + row,
                    .j0 = j0 + from,
                    .n = ntk_round_up((size_t)(nj - from), s->t->simd->lanes),
                    .n_valid = nj - from};

    find_equal(s->t, &r);
    for (int k = 0; k < p->n_inputs; k++)
        s->slot[k] = s->inputs + (size_t)k * TILE * TILE * size + at;
    for (int m = 0; m < p->n_outputs; m++)
        s->slot[p->first_output + m] = s->outputs + (size_t)m * TILE * TILE * size + at;
    for (int k = 0; p->needs_variances && k < p->n_inputs; k++)
        patch(s->t, &r, p->inputs[k], s->slot[k]);
    for (int k = 0; k < p->n_steps; k++)
        run_step(s, &p->steps[k], &r);
    const bool near = s->near && s->near->any;
    for (int m = 0; m < p->n_outputs; m++)
        if (p->output_from[m] != p->first_output + m)
            memcpy(s->slot[p->first_output + m], s->slot[p->output_from[m]], r.n * size);
    if (near)
        run_near(s, &r);
    return end_row(s, &r, row, from, !near);
}

static void mirror_within(const struct ntk_tile *s, int64_t n)
{
    for (int m = 0; m < s->t->plan->n_outputs; m++) {
        unsigned char *k = s->outputs + (size_t)m * TILE * TILE * s->t->dtype;

        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < i; j++)
                if (s->t->out_dtype == NTK_F32)
                    ((float *)k)[i * TILE + j] = ((float *)k)[j * TILE + i];
                else
                    ((double *)k)[i * TILE + j] = ((double *)k)[j * TILE + i];
    }
}

ntk_status ntk_tile_finish(struct ntk_tile *s, int64_t i0, int64_t ni, int64_t j0, int64_t nj,
                           ntk_sink_fn *sink, void *user)
{
    const struct ntk_tiling *t = s->t;
    const bool diagonal = t->rows == t->columns && i0 == j0;
    const int64_t lanes = (int64_t)t->simd->lanes;

    for (int64_t row = 0; row < ni; row++)
        if (!run_row(s, i0, j0, nj, row, diagonal ? row / lanes * lanes : 0))
            return NTK_ENUMERIC;
    if (s->near && s->near->failed)
        return NTK_ENOMEM;
    if (diagonal)
        mirror_within(s, ni);
    for (int m = 0; m < t->plan->n_outputs; m++) {
        const ntk_block block = {.output = (size_t)m,
                                 .i0 = i0,
                                 .ni = ni,
                                 .j0 = j0,
                                 .nj = nj,
                                 .k = s->outputs + (size_t)m * TILE * TILE * t->dtype,
                                 .ld = TILE};

        if (sink(&block, user))
            return NTK_ECANCEL;
    }
    return NTK_OK;
}

void ntk_tile_end(const struct ntk_tile *s, ntk_status this, ntk_status *status)
{
    const struct ntk_tiling *t = s->t;

    if (this == NTK_OK)
        return;
    ntk_lock(t->ctx);
    if (*status == NTK_OK && this == NTK_ENUMERIC)
        *status = ntk_fail(t->ctx, this,
                           "the kernel of samples %lld and %lld is %g, not finite in float%d; scale the "
                           "samples, or the weights' deviations",
                           (long long)s->bad.i, (long long)s->bad.j, fabs(s->bad.value),
                           8 * (int)t->out_dtype);
    else if (*status == NTK_OK && this == NTK_ENOMEM)
        *status = this; /* said at the end */
    else if (*status == NTK_OK)
        *status = ntk_fail(t->ctx, this, "cancelled by the receiver of the kernel's blocks");
    ntk_unlock(t->ctx);
}

static ntk_status run_tile(struct ntk_tile *s, int64_t i0, int64_t j0, ntk_sink_fn *sink, void *user)
{
    const struct ntk_tiling *t = s->t;
    const int64_t ni = t->rows->n - i0 < TILE ? t->rows->n - i0 : TILE;
    const int64_t nj = t->columns->n - j0 < TILE ? t->columns->n - j0 : TILE;

    if (t->plan->n_inputs == 0)
        return ntk_tile_finish(s, i0, ni, j0, nj, sink, user);
    if (t->rows == t->columns && i0 == j0)
        symmetric_block(s, i0, ni);
    else
        product_block(s, i0, ni, j0, nj);
    return ntk_tile_finish(s, i0, ni, j0, nj, sink, user);
}

/* Row and column of the k-th tile; symmetric: of those on or above the diagonal, row by row. */
static void tile_at(int64_t k, int64_t columns, bool symmetric, int64_t *row, int64_t *column)
{
    if (!symmetric) {
        *row = k / columns;
        *column = k % columns;
        return;
    }
    *row = 0;
    while (k >= columns - *row) {
        k -= columns - *row;
        ++*row;
    }
    *column = *row + k;
}

ntk_status ntk_tiles_run(const struct ntk_tiling *t, ntk_sink_fn *sink, void *user)
{
    const bool symmetric = t->rows == t->columns;
    const int64_t rows = (t->rows->n + TILE - 1) / TILE, columns = (t->columns->n + TILE - 1) / TILE;
    const int64_t n = symmetric ? rows * (rows + 1) / 2 : rows * columns;
    const struct ntk_blas blas = ntk_blas_begin(1);
    struct ntk_near_sides shared = {0};
    ntk_status status = NTK_OK;
    int64_t done = 0;

    if (t->plan->near)
        shared = ntk_near_sides_new(t->plan, symmetric);

#pragma omp parallel num_threads(t->ctx->threads)
    {
        struct ntk_tile s;
        struct ntk_near near = {0};
        bool ready = ntk_tile_new(&s, t);

        if (t->plan->near) {
            ready = ready && shared.first && shared.second && ntk_near_new(&near, t, &shared);
            s.near = &near;
        }

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k++) {
            int64_t row, column;

            if (!ntk_go_on(t->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            tile_at(k, columns, symmetric, &row, &column);
            ntk_tile_end(&s, run_tile(&s, row * TILE, column * TILE, sink, user), &status);
            ntk_lock(t->ctx);
            done++;
            if (status == NTK_OK)
                status = ntk_progress(t->ctx, "tiles", (double)done, (double)n);
            ntk_unlock(t->ctx);
        }
        ntk_tile_free(&s);
        ntk_near_free(&near);
    }
    ntk_near_sides_free(&shared, t->plan);
    ntk_blas_end(blas);
    if (status == NTK_ENOMEM)
        return ntk_fail(t->ctx, status, "no memory for the scratch of %d threads", t->ctx->threads);
    return status;
}
