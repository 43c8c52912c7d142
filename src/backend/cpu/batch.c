/* SPDX-License-Identifier: MIT
 *
 * batch.c - a batch: vectors go to points.c as they are; of samples with positions threads share pairs, a vector of
 * them at a time, and their sums then go through points as tiles.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/near.h"

#define PANEL_BYTES ((size_t)512 << 20) /* both panels */
#define SUMS_BYTES  ((size_t)256 << 20) /* all sums of a block */
#define PANEL_MOST  2048
#define ROW_CHUNK_LEAST 32
#define JOBS_A_THREAD   4

struct block {
    const struct ntk_cpu *c;
    const struct ntk_batch *b;
    const struct ntk_samples *s; /* rows' */
    const struct ntk_isa *isa;   /* of planes */
    const struct ntk_panel *rows, *columns;
    int64_t width;       /* elements from one row of sums to the next */
    size_t n_sums;
    unsigned char *sums; /* [n_sums][rows][width] of dtype */
    double *scale;       /* [n_sums] */
    int64_t vectors, whole; /* of pairs; those with one first sample */
    int parts;           /* jobs that share the offsets of a vector of pairs */
    double *partial;     /* their sums, [vectors][parts][n_sums][lanes]; NULL if parts is 1 */
};

static size_t sums_of(const struct ntk_cpu *c) { return (size_t)c->p->frames[c->p->points].n_entries; }

/* Samples in a panel; what is computed does not depend on it. */
int64_t ntk_cpu_panel(const void *compiled, const struct ntk_samples *s, int64_t n)
{
    const struct ntk_cpu *c = compiled;
    const size_t sample = 2 * ntk_panel_bytes(s) + 1;
    int64_t k = 16;

    if (c->p->vectors || !sums_of(c))
        return n;
    while (k < n && k < PANEL_MOST && (size_t)k * 2 * sample <= PANEL_BYTES &&
           sums_of(c) * (size_t)k * (size_t)k * 4 * s->dtype <= SUMS_BYTES)
        k *= 2;
    return k < n ? k : n;
}

static int64_t lanes_in(const struct block *b) { return (int64_t)ntk_simd_of(b->isa, b->s->dtype)->lanes; }

static void put_sums(const struct block *b, const double *sums, size_t lane, int64_t i, int64_t j)
{
    const size_t lanes = (size_t)lanes_in(b), plane = (size_t)b->rows->n * (size_t)b->width;

    for (size_t k = 0; k < b->n_sums; k++) {
        const size_t at = k * plane + (size_t)i * (size_t)b->width + (size_t)j;

        ntk_store(b->sums, b->s->dtype, at, b->scale[k] * sums[k * lanes + lane]);
    }
}

/* Sample of the row panel that both samples of a pair equal, or -1. */
static int64_t equal_of(const struct block *b, int64_t i, int64_t j, bool *same)
{
    const int64_t first = b->rows->first + i, second = b->columns->first + j;

    *same = b->b->symmetric && first == second;
    return ntk_pair_is_equal(b->b, first, second) ? i : -1;
}

/* ---- jobs: a vector of any pairs. As many as there are have one first sample, whose values all lanes then share; what
 * is left of the rows goes together. */

static int64_t pairs_in(const struct block *b)
{
    return b->b->diagonal ? b->rows->n * (b->rows->n + 1) / 2 : b->rows->n * b->columns->n;
}

static int64_t row_start(const struct block *b, int64_t row) { return b->b->diagonal ? row : 0; }
static int64_t row_pairs(const struct block *b, int64_t row) { return b->columns->n - row_start(b, row); }

static void count_vectors(struct block *b)
{
    int64_t rest = 0;

    b->whole = 0;
    for (int64_t i = 0; i < b->rows->n; i++) {
        b->whole += row_pairs(b, i) / lanes_in(b);
        rest += row_pairs(b, i) % lanes_in(b);
    }
    b->vectors = b->whole + (rest + lanes_in(b) - 1) / lanes_in(b);
}

/* Pairs of a vector; the last repeats its last. Returns their number. */
static int64_t pairs_of(const struct block *b, int64_t vector, int64_t *row, int64_t *column)
{
    const int64_t lanes = lanes_in(b);
    int64_t i = 0, skip = vector < b->whole ? vector : (vector - b->whole) * lanes, n = 0;

    if (vector < b->whole) {
        for (; skip >= row_pairs(b, i) / lanes; i++)
            skip -= row_pairs(b, i) / lanes;
        for (; n < lanes; n++) {
            row[n] = i;
            column[n] = row_start(b, i) + skip * lanes + n;
        }
        return n;
    }
    for (; i < b->rows->n && n < lanes; i++) {
        const int64_t rest = row_pairs(b, i) % lanes;

        for (int64_t k = skip; k < rest && n < lanes; k++, n++) {
            row[n] = i;
            column[n] = b->columns->n - rest + k;
        }
        skip = skip > rest ? skip - rest : 0;
    }
    for (int64_t l = n; l < lanes; l++) {
        row[l] = row[n - 1];
        column[l] = column[n - 1];
    }
    return n;
}

static size_t sums_size(const struct block *b)
{
    return b->n_sums * (size_t)lanes_in(b);
}

static void run_pairs(const struct block *b, struct ntk_planes *p, int64_t job)
{
    int64_t row[NTK_LANES_MAX], column[NTK_LANES_MAX];
    const int64_t n = pairs_of(b, job / b->parts, row, column);

    for (size_t l = 0; l < p->lanes; l++)
        p->equal[l] = equal_of(b, row[l], column[l], &p->same[l]);
    ntk_planes_columns(p, column);
    if (job / b->parts < b->whole)
        p->sample = row[0];
    else
        ntk_planes_rows(p, row);
    ntk_planes_part(p, (int)(job % b->parts), b->parts);
    if (b->partial)
        memcpy(b->partial + (size_t)job * sums_size(b), p->sums, sums_size(b) * sizeof *p->sums);
    for (int64_t l = 0; !b->partial && l < n; l++)
        put_sums(b, p->sums, (size_t)l, row[l], column[l]);
}

/* Few vectors in all: jobs share the offsets of each. Not a function of the number of threads, nor of the batch, so that
 * sums have one order. */
#define PARTS       4
#define VECTORS_FEW 64

static bool has_few(const struct block *b)
{
    const double n1 = (double)b->b->rows->n, n2 = (double)b->b->columns->n;
    const double lanes = (double)ntk_cpu_simd(b->s)->lanes; /* whole, also where a batch takes half of them */

    return (b->b->symmetric ? n1 * (n1 + 1) / 2 : n1 * n2) <= VECTORS_FEW * lanes;
}

static ntk_status split(struct block *b)
{
    b->parts = 1;
    if (b->c->p->single || !has_few(b) || !ntk_planes_splits(b->c))
        return NTK_OK;
    b->parts = PARTS;
    b->partial =
        ntk_alloc(b->s->ctx, (size_t)b->vectors * PARTS * sums_size(b), sizeof *b->partial);
    return b->partial ? NTK_OK : NTK_ENOMEM;
}

static void join(struct block *b, bool complete)
{
    for (int64_t v = 0; complete && b->partial && v < b->vectors; v++) {
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

/* ---- jobs: some rows by one vector of columns, whose values are gathered for each job. Where only equal positions matter. */

static int64_t groups(const struct block *b) { return (b->columns->n + lanes_in(b) - 1) / lanes_in(b); }

/* Rows of a job: as many as leave some jobs for each thread. What is computed does not depend on it. */
static int64_t chunk_size(const struct block *b)
{
    const int64_t parts = (JOBS_A_THREAD * b->s->ctx->threads + groups(b) - 1) / groups(b);
    const int64_t rows = (b->rows->n + parts - 1) / parts;

    return rows < ROW_CHUNK_LEAST ? ROW_CHUNK_LEAST : rows;
}

static int64_t chunks(const struct block *b)
{
    return (b->rows->n + chunk_size(b) - 1) / chunk_size(b);
}

/* Rows i ... i + n - 1 by the columns of the lanes. */
static void run_some(const struct block *b, struct ntk_planes *p, int64_t i, int64_t n, int64_t j0, const int64_t *column)
{
    const int64_t lanes = (int64_t)p->lanes;
    int64_t equal[NTK_BATCH_MAX * NTK_LANES_MAX];
    bool same[NTK_BATCH_MAX * NTK_LANES_MAX];

    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < lanes; l++)
            equal[k * lanes + l] = equal_of(b, i + k, column[l], &same[k * lanes + l]);
    ntk_planes_block(p, i, (int)n, equal, same);
    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < lanes && j0 + l < b->columns->n; l++)
            put_sums(b, p->sums + (size_t)k * sums_size(b), (size_t)l, i + k, j0 + l);
}

/* The last groups come first: on a diagonal they have most rows, and threads should not end with those. */
static void run_rows(const struct block *b, struct ntk_planes *p, int64_t job)
{
    const int64_t lanes = (int64_t)p->lanes, j0 = (groups(b) - 1 - job / chunks(b)) * lanes;
    const int64_t i0 = job % chunks(b) * chunk_size(b);
    int64_t i1 = i0 + chunk_size(b) < b->rows->n ? i0 + chunk_size(b) : b->rows->n;
    int64_t column[NTK_LANES_MAX];

    if (b->b->diagonal && i1 > j0 + lanes)
        i1 = j0 + lanes;
    if (i0 >= i1)
        return;
    for (int64_t l = 0; l < lanes; l++)
        column[l] = j0 + l < b->columns->n ? j0 + l : b->columns->n - 1;
    ntk_planes_columns(p, column);
    for (int64_t i = i0; i < i1; i += p->batch)
        run_some(b, p, i, i1 - i < p->batch ? i1 - i : p->batch, j0, column);
}

static int64_t jobs_in(const struct block *b)
{
    return b->c->p->single ? groups(b) * chunks(b) : b->vectors * b->parts;
}

/* ---- a batch of pairs of positions, then of tiles */

static ntk_status run_jobs(const struct block *b)
{
    const int64_t n = jobs_in(b);
    const double each = (double)pairs_in(b) / (double)n;
    ntk_ctx *ctx = b->s->ctx;
    ntk_status status = NTK_OK;
    int64_t count = 0;

#pragma omp parallel num_threads(ntk_threads_for(ctx, n))
    {
        struct ntk_planes p;
        const bool ready = ntk_planes_new(b->c, b->s, b->isa, &p);

        p.rows = b->rows;
        p.columns = b->columns;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k++) {
            if (!ntk_go_on(ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            if (b->c->p->single)
                run_rows(b, &p, k);
            else
                run_pairs(b, &p, k);
            ntk_lock(ctx);
            count++;
            if (status == NTK_OK)
                status = b->b->progress((double)count * each, b->b->user);
            ntk_unlock(ctx);
        }
        ntk_planes_free(&p);
    }
    if (status == NTK_ENOMEM)
        return ntk_fail(ctx, status, "no memory for the planes of %d threads", ctx->threads);
    return status;
}

/* The sums of one tile of the batch, as the tile's inputs. */
static void tile_inputs(const struct block *b, const struct ntk_points_work *w, int64_t i, int64_t ni,
                        int64_t j, int64_t nj)
{
    const size_t size = b->s->dtype, plane = (size_t)b->rows->n * (size_t)b->width;

    for (size_t k = 0; k < b->n_sums; k++)
        for (int64_t r = 0; r < ni; r++)
            memcpy(w->inputs + (k * NTK_TILE + (size_t)r) * NTK_TILE * size,
                   b->sums + (k * plane + (size_t)(i + r) * (size_t)b->width + (size_t)j) * size,
                   (size_t)nj * size);
}

static ntk_status run_tiles(const struct block *b)
{
    const int64_t rows = (b->rows->n + NTK_TILE - 1) / NTK_TILE;
    const int64_t columns = (b->columns->n + NTK_TILE - 1) / NTK_TILE;
    const struct ntk_points t = {b->c, b->b, b->b->rows, b->b->columns, ntk_cpu_simd(b->s), b->s->dtype};
    ntk_ctx *ctx = b->s->ctx;
    ntk_status status = NTK_OK;

#pragma omp parallel num_threads(ntk_threads_for(ctx, rows * columns))
    {
        struct ntk_points_work w;
        const bool ready = ntk_points_new(&w, &t);

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < rows * columns; k++) {
            const int64_t i = k / columns * NTK_TILE, j = k % columns * NTK_TILE;
            const int64_t ni = b->rows->n - i < NTK_TILE ? b->rows->n - i : NTK_TILE;
            const int64_t nj = b->columns->n - j < NTK_TILE ? b->columns->n - j : NTK_TILE;

            if ((b->b->diagonal && i > j) || !ntk_go_on(ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                continue;
            tile_inputs(b, &w, i, ni, j, nj);
            ntk_go_on(ctx, &status, ntk_points_tile(&w, b->rows->first + i, ni, b->columns->first + j, nj));
        }
        ntk_points_free(&w);
    }
    if (status == NTK_ENOMEM)
        return ntk_fail(ctx, status, "no memory for the scratch of %d threads", ctx->threads);
    return status;
}

static void find_scales(const struct ntk_program *p, double *scale)
{
    for (int k = 0; k < p->n_links; k++)
        if (p->links[k].sum)
            scale[p->links[k].entry] = p->links[k].scale;
}

ntk_status ntk_cpu_run(void *compiled, const struct ntk_batch *batch)
{
    const struct ntk_cpu *c = compiled;
    struct block b = {.c = c,
                      .b = batch,
                      .s = batch->rows,
                      .isa = batch->rows->ctx->isa,
                      .rows = batch->row_panel,
                      .columns = batch->column_panel,
                      .width = batch->column_panel->n,
                      .n_sums = sums_of(c)};
    ntk_status status = NTK_ENOMEM;

    if (c->p->vectors || !b.n_sums)
        return ntk_points_run(c, batch);
    if (b.isa->half && 2 * pairs_in(&b) <= lanes_in(&b))
        b.isa = b.isa->half; /* what a few pairs leave empty takes time, too */
    b.sums = ntk_scratch_new(b.s->ctx, b.n_sums * (size_t)b.rows->n * (size_t)b.width, b.s->dtype);
    b.scale = ntk_alloc_zero(b.s->ctx, b.n_sums, sizeof *b.scale);
    if (b.sums && b.scale) {
        memset(b.sums, 0, b.n_sums * (size_t)b.rows->n * (size_t)b.width * b.s->dtype);
        find_scales(c->p, b.scale);
        count_vectors(&b);
        status = split(&b);
    }
    if (status == NTK_OK)
        status = run_jobs(&b);
    join(&b, status == NTK_OK);
    if (status == NTK_OK)
        status = run_tiles(&b);
    ntk_scratch_free(b.s->ctx, b.sums);
    free(b.scale);
    return status;
}

/* ---- samples with themselves */

static void run_self(struct ntk_planes *p, int64_t first, double *const *sums)
{
    const struct ntk_program *prog = p->c->p;
    const int64_t lanes = (int64_t)p->lanes, n = p->rows->n;

    for (int64_t l = 0; l < lanes; l++) {
        p->equal[l] = first + l < n ? first + l : n - 1;
        p->same[l] = true;
    }
    ntk_planes_columns(p, p->equal);
    ntk_planes_rows(p, p->equal);
    ntk_planes_part(p, 0, 1);
    for (int k = 0; sums && k < prog->n_links; k++)
        for (int64_t l = 0; prog->links[k].sum && l < lanes && first + l < n; l++)
            sums[prog->links[k].entry][first + l] =
                prog->links[k].scale * p->sums[prog->links[k].entry * lanes + l];
}

ntk_status ntk_cpu_own(void *compiled, int frame, const struct ntk_panel *panel, void *const *out)
{
    const struct ntk_cpu *whole = compiled;
    const bool points = frame == whole->p->points;
    const struct ntk_cpu *c = points ? whole : whole->own[frame];
    const struct ntk_samples *s = panel->samples;
    double **sums = ntk_alloc(s->ctx, sums_of(whole), sizeof(double *));
    ntk_status status = sums ? NTK_OK : NTK_ENOMEM;

    for (size_t k = 0; sums && points && k < sums_of(whole); k++)
        sums[k] = out[k];
#pragma omp parallel num_threads(ntk_threads_for(s->ctx, panel->n / (int64_t)ntk_cpu_simd(s)->lanes + 1))
    {
        struct ntk_planes p;
        const bool ready = ntk_planes_new(c, s, s->ctx->isa, &p);

        p.rows = p.columns = panel;
        p.capture = points ? -1 : frame;
        p.own = out;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < panel->n; k += (int64_t)p.lanes)
            if (ntk_go_on(s->ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                run_self(&p, k, points ? sums : NULL);
        ntk_planes_free(&p);
    }
    free(sums);
    return status == NTK_ENOMEM ? ntk_fail(s->ctx, status, "no memory for pairs of positions") : status;
}

size_t ntk_cpu_bytes(const void *compiled, const struct ntk_samples *s, int64_t rows, int64_t columns)
{
    const struct ntk_cpu *c = compiled;
    const size_t points = ntk_points_bytes(c->p, s->dtype) + (c->near ? ntk_near_bytes(c->p) : 0);
    size_t bytes = (size_t)s->ctx->threads * points;

    if (!c->p->vectors && sums_of(c))
        bytes += sums_of(c) * (size_t)rows * (size_t)columns * s->dtype + (size_t)s->ctx->threads * ntk_planes_bytes(c, s);
    return bytes;
}

/* Pairs of samples with positions, else tiles. */
double ntk_cpu_units(const void *compiled, int64_t n1, int64_t n2, const char **what)
{
    const struct ntk_cpu *c = compiled;
    const bool pairs = !c->p->vectors && sums_of(c);
    const int64_t size = pairs ? 1 : NTK_TILE;
    const double rows = (double)((n1 + size - 1) / size), columns = (double)((n2 + size - 1) / size);

    *what = pairs ? "pairs" : "tiles";
    return n2 ? rows * columns : rows * (rows + 1) / 2;
}
