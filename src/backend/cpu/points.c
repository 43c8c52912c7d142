/* SPDX-License-Identifier: MIT
 *
 * points.c - tiles of pairs without positions: row by row, all steps in the first-level cache. What is computed for
 * a pair does not depend on the tile that it is in, and each tile is computed whole by one thread, so results are
 * bitwise the same for any number of threads.
 */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/near.h"

#define TILE NTK_TILE

/* A row of pairs. */
struct run {
    int64_t i;            /* row */
    int64_t j0;           /* column of the first pair */
    size_t n;             /* pairs, padded to whole vectors */
    int64_t n_valid;      /* pairs that exist */
    const int64_t *equal; /* columns among them of samples equal to the row's, ascending */
    int64_t n_equal;
};

static const struct ntk_frame *points_of(const struct ntk_program *p) { return &p->frames[p->points]; }

size_t ntk_points_bytes(const struct ntk_program *p, ntk_dtype dtype)
{
    const struct ntk_frame *f = points_of(p);
    const size_t tiles = (size_t)(f->n_entries + p->n_outputs) * TILE * TILE;

    return (tiles + (size_t)f->n_slots * TILE) * dtype;
}

bool ntk_points_new(struct ntk_points_work *w, const struct ntk_points *t)
{
    const struct ntk_program *p = t->c->p;
    const struct ntk_frame *f = points_of(p);
    const size_t tile_bytes = (size_t)TILE * TILE * t->dtype, n_out = (size_t)p->n_outputs;

    *w = (struct ntk_points_work){.t = t};
    w->block = ntk_scratch_new(NULL, ntk_points_bytes(p, t->dtype), 1);
    w->slot = ntk_alloc_zero(NULL, (size_t)ntk_points_slots(p), sizeof *w->slot);
    w->tiles = ntk_alloc_zero(NULL, n_out, sizeof *w->tiles);
    w->in = ntk_alloc_zero(NULL, (size_t)p->most_in, sizeof *w->in);
    if (!w->block || !w->slot || !w->tiles || !w->in)
        return false;
    w->inputs = w->block;
    w->outputs = w->inputs + (size_t)f->n_entries * tile_bytes;
    for (size_t m = 0; m < n_out; m++)
        w->tiles[m] = w->outputs + m * tile_bytes;
    for (int k = 0; k < f->n_slots; k++)
        w->slot[f->n_entries + k] = w->outputs + n_out * tile_bytes + (size_t)k * TILE * t->dtype;
    return true;
}

void ntk_points_free(struct ntk_points_work *w)
{
    ntk_scratch_free(w->t->rows->ctx, w->block);
    free(w->slot);
    free(w->tiles);
    free(w->in);
}

/* A block of input = X1 X2' / features. */
static void product_block(const struct ntk_points_work *w, int64_t i0, int64_t ni, int64_t j0, int64_t nj)
{
    const struct ntk_samples *a = w->t->rows, *b = w->t->columns;
    const int m = (int)ni, n = (int)nj, k = (int)a->features;

    if (w->t->dtype == NTK_F32)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1 / (float)k,
                    (const float *)a->x + (size_t)i0 * a->features, k,
                    (const float *)b->x + (size_t)j0 * b->features, k, 0, (float *)w->inputs, TILE);
    else
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1 / (double)k,
                    (const double *)a->x + (size_t)i0 * a->features, k,
                    (const double *)b->x + (size_t)j0 * b->features, k, 0, (double *)w->inputs, TILE);
}

/* What stands before the diagonal in a vector with it is computed, too, and must be some number. */
static void clear_before(const struct ntk_points_work *w, int64_t n)
{
    const int64_t lanes = (int64_t)w->t->simd->lanes;

    for (int64_t i = 0; i < n; i++)
        memset(w->inputs + (size_t)(i * TILE + i / lanes * lanes) * w->t->dtype, 0,
               (size_t)(i % lanes) * w->t->dtype);
}

/* The same on the diagonal, on and above it. */
static void symmetric_block(const struct ntk_points_work *w, int64_t i0, int64_t ni)
{
    const struct ntk_samples *a = w->t->rows;
    const int n = (int)ni, k = (int)a->features;

    if (w->t->dtype == NTK_F32)
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasNoTrans, n, k, 1 / (float)k,
                    (const float *)a->x + (size_t)i0 * a->features, k, 0, (float *)w->inputs, TILE);
    else
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, n, k, 1 / (double)k,
                    (const double *)a->x + (size_t)i0 * a->features, k, 0, (double *)w->inputs, TILE);
}

/* ---- a row */

/* Pairs of equal samples get the node's variance exactly. After a noisy node, only a sample with itself is such a
 * pair. */
static void patch(const struct ntk_points *t, const struct run *r, int node, void *slot)
{
    const double *variance = ntk_variances_of(t->rows, node) + r->i;

    if (!t->c->p->variances)
        return;
    if (t->c->p->graph->nodes[node].flags & NTK_NOISY) {
        if (t->b->symmetric && r->i >= r->j0 && r->i < r->j0 + r->n_valid)
            ntk_store(slot, t->dtype, (size_t)(r->i - r->j0), *variance);
        return;
    }
    for (int64_t k = 0; k < r->n_equal; k++)
        ntk_store(slot, t->dtype, (size_t)(r->equal[k] - r->j0), *variance);
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
static void find_equal(const struct ntk_points *t, struct run *r)
{
    const int64_t twin = t->b->match[r->i];
    const int64_t *first, *end;

    r->n_equal = 0;
    if (twin < 0)
        return;
    first = t->columns->order + t->columns->first[twin];
    end = t->columns->order + t->columns->last[twin];
    r->equal = column_from(first, end, r->j0);
    r->n_equal = column_from(r->equal, end, r->j0 + r->n_valid) - r->equal;
}

static const unsigned char *side(const struct ntk_samples *s, int side_set, int64_t i)
{
    return (const unsigned char *)s->sides[side_set] + (size_t)i * s->dtype;
}

static void run_dual(const struct ntk_points_work *w, const struct ntk_step *step, const struct ntk_layer *layer,
                     const struct run *r)
{
    const struct ntk_points *t = w->t;
    const struct ntk_reference *reference = t->rows->reference;
    struct ntk_dual_args args = {
        .n = r->n,
        .k = w->slot[step->in_slot[0]],
        .side1 = side(t->rows, step->side_set, r->i),
        .stride1 = t->rows->stride,
        .step1 = 0,
        .side2 = side(t->columns, step->side_set, r->j0),
        .stride2 = t->columns->stride,
        .par = (const unsigned char *)reference->par + (size_t)step->side_set * NTK_DUAL_PARS * t->dtype,
        .sides = reference->dual[step->side_set].sides,
        .f = step->out[0] >= 0 ? w->slot[step->out_slot[0]] : NULL,
        .d = step->out[1] >= 0 ? w->slot[step->out_slot[1]] : NULL,
    };

    if (w->near)
        ntk_near_mark(w->near, step->side_set, w->slot[step->in_slot[0]], r->n, r->i, r->j0);
    if (layer) {
        args.f = w->slot[layer->slot[0]];
        args.d = w->slot[layer->slot[1]];
        args.theta = w->slot[layer->theta];
        args.layer = layer->coef;
    }
    ntk_cpu_duals(t->rows)->dual[step->run.act->dual](&args);
}

static void run_layer(const struct ntk_points_work *w, const struct ntk_row_step *s, const struct run *r)
{
    run_dual(w, s->step, s->layer, r);
    for (int o = 0; o < 2; o++)
        if (s->layer->node[o] >= 0)
            patch(w->t, r, s->layer->node[o], w->slot[s->layer->slot[o]]);
}

static void run_step(const struct ntk_points_work *w, const struct ntk_step *step, const struct run *r)
{
    const struct ntk_points *t = w->t;

    switch (step->run.id) {
    case NTK_DO_DUAL:
        run_dual(w, step, NULL, r);
        break;
    case NTK_DO_SCALE:
        t->simd->scale(r->n, w->slot[step->in_slot[0]], side(t->rows, step->side_set, r->i), 0,
                       side(t->columns, step->side_set, r->j0), w->slot[step->out_slot[0]]);
        break;
    case NTK_DO_COPY:
        memcpy(w->slot[step->out_slot[0]], w->slot[step->in_slot[0]], r->n * t->dtype);
        break;
    default:
        for (int k = 0; k < step->n_in; k++)
            w->in[k] = w->slot[step->in_slot[k]];
        if (step->run.id == NTK_DO_PRODUCT)
            t->simd->product(r->n, step->n_in, w->in, w->slot[step->out_slot[0]]);
        else
            t->simd->mix(r->n, step->n_in, w->in, step->run.coef, step->run.constant,
                         w->slot[step->out_slot[0]]);
    }
    for (int o = 0; o < step->n_out; o++)
        if (step->out[o] >= 0)
            patch(t, r, step->out[o], w->slot[step->out_slot[o]]);
}

/* Almost parallel pairs of a finished row. */
static void run_near(const struct ntk_points_work *w, const struct run *r, unsigned char *const *outputs)
{
    const struct ntk_program *p = w->t->c->p;

    ntk_near_row(w->near, r->i, r->j0, r->n_valid, w->slot[0], outputs);
    for (int m = 0; m < p->n_outputs; m++)
        patch(w->t, r, p->outputs[m], outputs[m]);
}

/* Row `row` of the tile from column `from` (a multiple of the vector length) on; false: some entry is not finite. */
static bool run_row(struct ntk_points_work *w, int64_t i0, int64_t j0, int64_t nj, int64_t row, int64_t from)
{
    const struct ntk_points *t = w->t;
    const struct ntk_program *p = t->c->p;
    const struct ntk_frame *f = points_of(p);
    const size_t size = t->dtype, at = ((size_t)row * TILE + (size_t)from) * size;
    unsigned char **outputs = w->slot + f->n_entries + f->n_slots;
    struct run r = {.i = i0 + row,
                    .j0 = j0 + from,
                    .n = ntk_round_up((size_t)(nj - from), t->simd->lanes),
                    .n_valid = nj - from};
    bool finite = true;

    find_equal(t, &r);
    for (int k = 0; k < f->n_entries; k++) {
        w->slot[k] = w->inputs + (size_t)k * TILE * TILE * size + at;
        /* No pair: nothing is found among what stands there. */
        memset(w->slot[k] + (size_t)r.n_valid * size, 0, (r.n - (size_t)r.n_valid) * size);
    }
    for (int m = 0; m < p->n_outputs; m++)
        outputs[m] = w->outputs + (size_t)m * TILE * TILE * size + at;
    for (int k = 0; k < f->n_entries; k++)
        patch(t, &r, f->entries[k], w->slot[k]);
    for (int k = 0; k < t->c->n_rows; k++)
        if (t->c->rows[k].layer)
            run_layer(w, &t->c->rows[k], &r);
        else
            run_step(w, t->c->rows[k].step, &r);
    for (int m = 0; m < p->n_outputs; m++)
        if (w->slot[p->output_from[m]] != outputs[m])
            memcpy(outputs[m], w->slot[p->output_from[m]], r.n * size);
    if (w->near && w->near->any)
        run_near(w, &r, outputs);
    for (int m = 0; m < p->n_outputs; m++)
        finite = finite && t->simd->all_finite((size_t)r.n_valid, outputs[m]);
    return finite;
}

ntk_status ntk_points_tile(struct ntk_points_work *w, int64_t i0, int64_t ni, int64_t j0, int64_t nj)
{
    const struct ntk_points *t = w->t;
    const bool diagonal = t->b->symmetric && i0 == j0;
    const int64_t lanes = (int64_t)t->simd->lanes;
    struct ntk_tile tile = {
        .i0 = i0, .ni = ni, .j0 = j0, .nj = nj, .k = w->tiles, .ld = TILE, .upper = diagonal, .finite = true};

    for (int64_t row = 0; row < ni; row++)
        tile.finite = run_row(w, i0, j0, nj, row, diagonal ? row / lanes * lanes : 0) && tile.finite;
    if (w->near && w->near->failed)
        return NTK_ENOMEM;
    return t->b->done(&tile, t->b->user);
}

/* ---- all tiles of vectors */

static int64_t tile_size(const struct ntk_panel *p, int64_t first)
{
    const int64_t n = p->first + p->n - first;

    return n < TILE ? n : TILE;
}

static ntk_status run_tile(struct ntk_points_work *w, int64_t i0, int64_t j0)
{
    const struct ntk_points *t = w->t;
    const int64_t ni = tile_size(t->b->row_panel, i0), nj = tile_size(t->b->column_panel, j0);

    if (points_of(t->c->p)->n_entries && t->b->symmetric && i0 == j0) {
        symmetric_block(w, i0, ni);
        clear_before(w, ni);
    } else if (points_of(t->c->p)->n_entries) {
        product_block(w, i0, ni, j0, nj);
    }
    return ntk_points_tile(w, i0, ni, j0, nj);
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

ntk_status ntk_points_run(const struct ntk_cpu *c, const struct ntk_batch *b)
{
    const struct ntk_panel *first = b->row_panel, *second = b->column_panel;
    const int64_t rows = (first->n + TILE - 1) / TILE, columns = (second->n + TILE - 1) / TILE;
    const int64_t n = b->diagonal ? rows * (rows + 1) / 2 : rows * columns;
    const struct ntk_points t = {c, b, b->rows, b->columns, ntk_cpu_simd(b->rows), b->rows->dtype};
    const struct ntk_blas blas = ntk_blas_begin(1);
    struct ntk_near_sides shared = {0};
    ntk_ctx *ctx = b->rows->ctx;
    ntk_status status = NTK_OK;
    int64_t done = 0;

    if (c->near)
        shared = ntk_near_sides_new(&t);

#pragma omp parallel num_threads(ntk_threads_for(ctx, n))
    {
        struct ntk_points_work w;
        struct ntk_near near = {0};
        bool ready = ntk_points_new(&w, &t);

        if (c->near) {
            ready = ready && shared.first && shared.second && ntk_near_new(&near, &t, &shared);
            w.near = &near;
        }

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k++) {
            int64_t row, column;

            if (!ntk_go_on(ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            tile_at(k, columns, b->diagonal, &row, &column);
            if (!ntk_go_on(ctx, &status, run_tile(&w, first->first + row * TILE, second->first + column * TILE)))
                continue;
            ntk_lock(ctx);
            done++;
            if (status == NTK_OK)
                status = b->progress((double)done, b->user);
            ntk_unlock(ctx);
        }
        ntk_points_free(&w);
        ntk_near_free(&near);
    }
    ntk_near_sides_free(&shared, &t);
    ntk_blas_end(blas);
    if (status == NTK_ENOMEM)
        return ntk_fail(ctx, status, "no memory for the scratch of %d threads", ctx->threads);
    return status;
}
