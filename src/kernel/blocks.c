/* SPDX-License-Identifier: MIT
 *
 * blocks.c - see blocks.h.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/blocks.h"

#define PANEL_BYTES ((size_t)512 << 20) /* both panels */
#define SUMS_BYTES  ((size_t)256 << 20) /* all sums of a block */
#define PANEL_MOST  2048
#define ROW_CHUNK   128 /* rows of a block that one job takes, at most, where only equal positions \
                         */
#define ROW_CHUNK_LEAST 32 /* matter; and at least */

struct block {
    const struct ntk_tiling *t;
    const struct ntk_fields *f;
    const struct ntk_panel *rows, *columns;
    bool diagonal;       /* of a symmetric kernel: only pairs i <= j */
    int64_t width;       /* elements from one row of sums to the next */
    unsigned char *sums; /* [n_sums][width][width] of dtype */
    double *scale;       /* [n_sums] */
    int parts;           /* jobs that share the offsets of a vector of pairs */
    double *partial;     /* their sums, [vectors][parts][n_sums][lanes]; NULL if parts is 1 */
};

/* Samples in a panel; what is computed does not depend on it. */
static int64_t panel_size(const struct ntk_fields *f, int64_t n)
{
    const size_t sample = 2 * ntk_panel_bytes(f) + 1;
    int64_t k = 16;

    while (k < n && k < PANEL_MOST && (size_t)k * 2 * sample <= PANEL_BYTES &&
           (size_t)f->space->n_sums * (size_t)k * (size_t)k * 4 * f->dtype <= SUMS_BYTES)
        k *= 2;
    return k < n ? k : n;
}

static void put_sums(const struct block *b, const double *sums, size_t lane, int64_t i, int64_t j)
{
    const size_t lanes = b->f->simd->lanes, plane = (size_t)b->width * (size_t)b->width;

    for (int k = 0; k < b->f->space->n_sums; k++) {
        const size_t at = (size_t)k * plane + (size_t)i * (size_t)b->width + (size_t)j;
        const double x = b->scale[k] * sums[(size_t)k * lanes + lane];

        if (b->f->dtype == NTK_F32)
            ((float *)(void *)b->sums)[at] = (float)x;
        else
            ((double *)(void *)b->sums)[at] = x;
    }
}

/* Sample of the row panel that both samples of a pair equal, or -1. */
static int64_t equal_of(const struct block *b, int64_t i, int64_t j, bool *same)
{
    const struct ntk_samples *rows = b->t->rows, *columns = b->t->columns;

    *same = rows == columns && b->rows->first + i == b->columns->first + j;
    return rows->group[b->rows->first + i] == columns->group[b->columns->first + j] ? i : -1;
}

/* ---- jobs: a vector of any pairs */

static int64_t pairs_in(const struct block *b)
{
    return b->diagonal ? b->rows->n * (b->rows->n + 1) / 2 : b->rows->n * b->columns->n;
}

/* The k-th pair, row by row. */
static void pair_at(const struct block *b, int64_t k, int64_t *i, int64_t *j)
{
    int64_t row = 0, n = b->columns->n;

    if (!b->diagonal) {
        *i = k / n;
        *j = k % n;
        return;
    }
    for (; k >= n - row; row++)
        k -= n - row;
    *i = row;
    *j = row + k;
}

static int64_t vectors_in(const struct block *b)
{
    const int64_t lanes = (int64_t)b->f->simd->lanes;

    return (pairs_in(b) + lanes - 1) / lanes;
}

/* Pairs of a vector; the last repeats its last. Returns their number. */
static int64_t pairs_of(const struct block *b, int64_t vector, int64_t *row, int64_t *column)
{
    const int64_t lanes = (int64_t)b->f->simd->lanes, left = pairs_in(b) - vector * lanes;

    for (int64_t l = 0; l < lanes; l++)
        pair_at(b, vector * lanes + (l < left ? l : left - 1), &row[l], &column[l]);
    return left < lanes ? left : lanes;
}

static size_t sums_size(const struct block *b)
{
    return (size_t)b->f->space->n_sums * b->f->simd->lanes;
}

static void run_pairs(const struct block *b, struct ntk_planes *p, int64_t job)
{
    int64_t row[NTK_LANES_MAX], column[NTK_LANES_MAX];
    const int64_t n = pairs_of(b, job / b->parts, row, column);

    for (size_t l = 0; l < p->lanes; l++)
        p->equal[l] = equal_of(b, row[l], column[l], &p->same[l]);
    ntk_planes_columns(p, column);
    ntk_planes_rows(p, row);
    ntk_planes_part(p, (int)(job % b->parts), b->parts);
    if (b->partial)
        memcpy(b->partial + (size_t)job * sums_size(b), p->sums, sums_size(b) * sizeof *p->sums);
    for (int64_t l = 0; !b->partial && l < n; l++)
        put_sums(b, p->sums, (size_t)l, row[l], column[l]);
}

/* Few vectors: jobs share the offsets of each. Not a function of the number of threads, so that
 * sums have one order. */
#define PARTS       4
#define VECTORS_FEW 64

static ntk_status split(struct block *b)
{
    b->parts = 1;
    if (b->f->space->single || vectors_in(b) > VECTORS_FEW || !ntk_planes_splits(b->f->space))
        return NTK_OK;
    b->parts = PARTS;
    b->partial =
        ntk_alloc(b->f->ctx, (size_t)vectors_in(b) * PARTS * sums_size(b), sizeof *b->partial);
    return b->partial ? NTK_OK : NTK_ENOMEM;
}

static void join(struct block *b, bool complete)
{
    for (int64_t v = 0; complete && b->partial && v < vectors_in(b); v++) {
        double *sums = b->partial + (size_t)v * PARTS * sums_size(b);
        int64_t row[NTK_LANES_MAX], column[NTK_LANES_MAX];
        const int64_t n = pairs_of(b, v, row, column);

        for (size_t k = sums_size(b); k < PARTS * sums_size(b); k++)
            sums[k % sums_size(b)] += sums[k];
        for (int64_t l = 0; l < n; l++)
            put_sums(b, sums, (size_t)l, row[l], column[l]);
    }
    free(b->partial);
    b->partial = NULL;
}

/* ---- jobs: some rows by one vector of columns */

/* Small enough that threads share a small block evenly, large enough to gather columns seldom. */
static int64_t chunk_size(const struct block *b)
{
    const int64_t eighth = (b->rows->n + 7) / 8;

    return eighth > ROW_CHUNK ? ROW_CHUNK : eighth < ROW_CHUNK_LEAST ? ROW_CHUNK_LEAST : eighth;
}

static int64_t chunks(const struct block *b)
{
    return (b->rows->n + chunk_size(b) - 1) / chunk_size(b);
}

static int64_t groups(const struct block *b)
{
    const int64_t lanes = (int64_t)b->f->simd->lanes;

    return (b->columns->n + lanes - 1) / lanes;
}

static void run_rows(const struct block *b, struct ntk_planes *p, int64_t job)
{
    const int64_t lanes = (int64_t)p->lanes, j0 = job % groups(b) * lanes;
    const int64_t i0 = job / groups(b) * chunk_size(b);
    int64_t i1 = i0 + chunk_size(b) < b->rows->n ? i0 + chunk_size(b) : b->rows->n;
    int64_t column[NTK_LANES_MAX], equal[ROW_CHUNK * NTK_LANES_MAX];
    bool same[ROW_CHUNK * NTK_LANES_MAX];

    if (b->diagonal && i1 > j0 + lanes)
        i1 = j0 + lanes;
    if (i0 >= i1)
        return;
    for (int64_t l = 0; l < lanes; l++)
        column[l] = j0 + l < b->columns->n ? j0 + l : b->columns->n - 1;
    ntk_planes_columns(p, column);
    for (int64_t i = i0; i < i1; i += p->batch) {
        const int64_t n = i1 - i < p->batch ? i1 - i : p->batch;

        for (int64_t k = 0; k < n; k++)
            for (int64_t l = 0; l < lanes; l++)
                equal[k * lanes + l] = equal_of(b, i + k, column[l], &same[k * lanes + l]);
        ntk_planes_block(p, i, (int)n, equal, same);
        for (int64_t k = 0; k < n; k++)
            for (int64_t l = 0; l < lanes && j0 + l < b->columns->n; l++)
                put_sums(b, p->sums + (size_t)(k * b->f->space->n_sums * lanes), (size_t)l, i + k,
                         j0 + l);
    }
}

static int64_t jobs_in(const struct block *b)
{
    return b->f->space->single ? groups(b) * chunks(b) : vectors_in(b) * b->parts;
}

/* ---- a block */

/* done: pairs of blocks before this one, all: of the whole kernel. */
static ntk_status run_jobs(const struct block *b, double done, double all)
{
    const int64_t n = jobs_in(b);
    const double each = (double)pairs_in(b) / (double)n;
    ntk_ctx *ctx = b->f->ctx;
    ntk_status status = NTK_OK;
    int64_t count = 0;

#pragma omp parallel num_threads(ctx->threads)
    {
        struct ntk_planes p;
        const bool ready = ntk_planes_new(b->f, &p);

        p.rows = b->rows;
        p.columns = b->columns;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k++) {
            if (!ntk_go_on(ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            if (b->f->space->single)
                run_rows(b, &p, k);
            else
                run_pairs(b, &p, k);
            ntk_lock(ctx);
            count++;
            if (status == NTK_OK)
                status = ntk_progress(ctx, "pairs", done + (double)count * each, all);
            ntk_unlock(ctx);
        }
        ntk_planes_free(&p);
    }
    if (status == NTK_ENOMEM)
        return ntk_fail(ctx, status, "no memory for the planes of %d threads", ctx->threads);
    return status;
}

/* The sums of one tile of the block, as the tile's inputs. */
static void tile_inputs(const struct block *b, const struct ntk_tile *tile, int64_t i, int64_t ni,
                        int64_t j, int64_t nj)
{
    const size_t size = b->f->dtype, plane = (size_t)b->width * (size_t)b->width;

    for (int k = 0; k < b->f->space->n_sums; k++)
        for (int64_t r = 0; r < ni; r++)
            memcpy(tile->inputs + ((size_t)k * NTK_TILE + (size_t)r) * NTK_TILE * size,
                   b->sums +
                       ((size_t)k * plane + (size_t)(i + r) * (size_t)b->width + (size_t)j) * size,
                   (size_t)nj * size);
}

static ntk_status run_tiles(const struct block *b, ntk_sink_fn *sink, void *user)
{
    const int64_t rows = (b->rows->n + NTK_TILE - 1) / NTK_TILE;
    const int64_t columns = (b->columns->n + NTK_TILE - 1) / NTK_TILE;
    ntk_status status = NTK_OK;

#pragma omp parallel num_threads(b->f->ctx->threads)
    {
        struct ntk_tile tile;
        const bool ready = ntk_tile_new(&tile, b->t);

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < rows * columns; k++) {
            const int64_t i = k / columns * NTK_TILE, j = k % columns * NTK_TILE;
            const int64_t ni = b->rows->n - i < NTK_TILE ? b->rows->n - i : NTK_TILE;
            const int64_t nj = b->columns->n - j < NTK_TILE ? b->columns->n - j : NTK_TILE;

            if ((b->diagonal && i > j) || !ntk_go_on(b->f->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            tile_inputs(b, &tile, i, ni, j, nj);
            ntk_tile_end(&tile,
                         ntk_tile_finish(&tile, b->rows->first + i, ni, b->columns->first + j, nj, sink,
                                         user),
                         &status);
        }
        ntk_tile_free(&tile);
    }
    if (status == NTK_ENOMEM)
        return ntk_fail(b->f->ctx, status, "no memory for the scratch of %d threads",
                        b->f->ctx->threads);
    return status;
}

static void find_scales(const struct block *b)
{
    const struct ntk_space *s = b->f->space;

    for (int k = 0; k < s->n_links; k++)
        if (s->links[k].frame < 0)
            b->scale[s->links[k].entry] = s->links[k].scale;
}

/* All blocks of one row of blocks. */
static ntk_status run_row(struct block *b, struct ntk_panel *rows, struct ntk_panel *columns,
                          double *done, double all, ntk_sink_fn *sink, void *user)
{
    const struct ntk_tiling *t = b->t;
    const bool symmetric = t->rows == t->columns;

    for (int64_t j = symmetric ? rows->first : 0; j < t->columns->n; j += b->width) {
        const int64_t nj = t->columns->n - j < b->width ? t->columns->n - j : b->width;
        ntk_status status;

        b->diagonal = symmetric && j == rows->first;
        b->columns = rows;
        if (!b->diagonal) {
            NTK_TRY(ntk_panel_fill(b->f, symmetric ? 0 : 1, j, nj, columns));
            b->columns = columns;
        }
        memset(b->sums, 0,
               (size_t)b->f->space->n_sums * (size_t)b->width * (size_t)b->width * b->f->dtype);
        NTK_TRY(split(b));
        status = run_jobs(b, *done, all);
        join(b, status == NTK_OK);
        NTK_TRY(status);
        *done += (double)pairs_in(b);
        NTK_TRY(run_tiles(b, sink, user));
    }
    return NTK_OK;
}

ntk_status ntk_blocks_run(const struct ntk_tiling *t, const struct ntk_fields *f, ntk_sink_fn *sink,
                          void *user)
{
    const bool symmetric = t->rows == t->columns;
    const int64_t most = t->rows->n > t->columns->n ? t->rows->n : t->columns->n;
    const double n = (double)t->rows->n,
                 all = symmetric ? n * (n + 1) / 2 : n * (double)t->columns->n;
    struct block b = {.t = t, .f = f, .width = panel_size(f, most)};
    struct ntk_panel rows, columns = {0};
    ntk_status status = ntk_panel_new(f, b.width, &rows);
    double done = 0;

    b.rows = &rows;
    if (status == NTK_OK && (!symmetric || b.width < t->rows->n))
        status = ntk_panel_new(f, b.width, &columns);
    b.sums =
        ntk_alloc(f->ctx, (size_t)f->space->n_sums * (size_t)b.width * (size_t)b.width, f->dtype);
    b.scale = ntk_alloc_zero(f->ctx, (size_t)f->space->n_sums, sizeof *b.scale);
    if (!b.sums || !b.scale)
        status = NTK_ENOMEM;
    if (status == NTK_OK)
        find_scales(&b);
    for (int64_t i = 0; i < t->rows->n && status == NTK_OK; i += b.width) {
        status =
            ntk_panel_fill(f, 0, i, t->rows->n - i < b.width ? t->rows->n - i : b.width, &rows);
        if (status == NTK_OK)
            status = run_row(&b, &rows, &columns, &done, all, sink, user);
    }
    ntk_panel_free(f, &rows);
    ntk_panel_free(f, &columns);
    free(b.sums);
    free(b.scale);
    return status;
}

/* ---- samples with themselves */

/* Where only equal positions matter: weighted sums of the variances. */
static void own_sums(const struct ntk_fields *f, const struct ntk_panel *p, double *const *out)
{
    const struct ntk_space *s = f->space;

    for (int k = 0; k < s->n_links; k++) {
        const struct ntk_link *l = &s->links[k];
        const struct ntk_node *v = &s->graph->nodes[l->from];
        const double *wi = l->dim[0].weights[ntk_offset_index(s, v->h, 0)];
        const double *wj = l->dim[1].weights[ntk_offset_index(s, v->w, 0)];

        for (int64_t i = 0; i < p->n; i++) {
            double sum = 0;

            for (int q = 0; q < v->h * v->w; q++) {
                const size_t at = (size_t)i * (size_t)(v->h * v->w) + (size_t)q;

                sum += wi[q / v->w] * wj[q % v->w] *
                       (f->dtype == NTK_F32 ? (double)((const float *)p->exits[l->exit])[at]
                                            : ((const double *)p->exits[l->exit])[at]);
            }
            out[l->entry][p->first + i] = l->scale * sum;
        }
    }
}

static void pair_sums(const struct ntk_fields *f, struct ntk_planes *p, int64_t first,
                      double *const *out)
{
    const struct ntk_space *s = f->space;
    const int64_t lanes = (int64_t)p->lanes, n = p->rows->n;

    for (int64_t l = 0; l < lanes; l++) {
        p->equal[l] = first + l < n ? first + l : n - 1;
        p->same[l] = true;
    }
    ntk_planes_columns(p, p->equal);
    ntk_planes_rows(p, p->equal);
    ntk_planes_pairs(p);
    for (int k = 0; k < s->n_links; k++)
        for (int64_t l = 0; s->links[k].frame < 0 && l < lanes && first + l < n; l++)
            out[s->links[k].entry][p->rows->first + first + l] =
                s->links[k].scale * p->sums[s->links[k].entry * lanes + l];
}

static ntk_status diagonal_panel(const struct ntk_fields *f, const struct ntk_panel *panel,
                                 double *const *out)
{
    const int64_t lanes = (int64_t)f->simd->lanes;
    ntk_status status = NTK_OK;

    if (f->space->single) {
        own_sums(f, panel, out);
        return NTK_OK;
    }
#pragma omp parallel num_threads(f->ctx->threads)
    {
        struct ntk_planes p;
        const bool ready = ntk_planes_new(f, &p);

        p.rows = p.columns = panel;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < panel->n; k += lanes)
            if (ntk_go_on(f->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                pair_sums(f, &p, k, out);
        ntk_planes_free(&p);
    }
    return status == NTK_ENOMEM ? ntk_fail(f->ctx, status, "no memory for pairs of positions") : status;
}

ntk_status ntk_blocks_diagonal(const struct ntk_fields *f, int set, double *const *out)
{
    const int64_t n = f->set[set].n, width = panel_size(f, n);
    struct ntk_panel panel;
    ntk_status status = ntk_panel_new(f, width, &panel);

    for (int64_t i = 0; i < n && status == NTK_OK; i += width) {
        status = ntk_panel_fill(f, set, i, n - i < width ? n - i : width, &panel);
        if (status == NTK_OK)
            status = diagonal_panel(f, &panel, out);
    }
    ntk_panel_free(f, &panel);
    return status;
}

size_t ntk_blocks_bytes(const struct ntk_fields *f, int64_t n1, int64_t n2)
{
    const struct ntk_space *s = f->space;
    const size_t width = (size_t)panel_size(f, n1 > n2 ? n1 : n2);
    const size_t panels = n2 > 0 || (int64_t)width < n1 ? 2 : 1;
    size_t own = 0;

    for (int k = 0; k < s->n_frames; k++)
        own += (size_t)s->frames[k].n_entries * (size_t)s->frames[k].h * (size_t)s->frames[k].w;
    return panels * width * ntk_panel_bytes(f) + (size_t)s->n_sums * width * width * f->dtype +
           (size_t)f->ctx->threads * ntk_planes_bytes(f) + (size_t)(n1 + n2) * own * f->dtype;
}
