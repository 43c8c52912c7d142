/* SPDX-License-Identifier: MIT
 *
 * summed.c - kernels with samples that stand for their copies: tile by tile, the kernel of each copy of the rows is computed,
 * added up, and handed on as one block.
 */
#include <stdlib.h>
#include <string.h>

#include "base/views.h"
#include "engine/run.h"

#define TILE  1024 /* rows and columns of one; a multiple of NTK_JOB_STEP */
#define SLICE 64   /* rows that one thread hands on */

/* A tile of all outputs. */
struct tile {
    const struct ntk_job *r;
    int64_t i0, ni, j0, nj;
    int64_t shift; /* rows of the copy that is added come so much later than the tile's */
    bool first;    /* it is copy 0: numbers are stored, not added */
    unsigned char **k; /* [outputs] of [TILE][nj] */
};

static bool is_diagonal(const struct tile *t) { return t->r->symmetric && t->i0 == t->j0; }

static size_t outputs_of(const struct ntk_job *r) { return (size_t)r->machine->program->n_outputs; }

/* ---- adding up */

#define ADD(type)                                                                              \
    static void add_##type(int64_t ni, int64_t nj, const type *from, int64_t ld, type *to, int64_t to_ld) \
    {                                                                                          \
        for (int64_t i = 0; i < ni; i++)                                                       \
            for (int64_t j = 0; j < nj; j++)                                                   \
                to[i * to_ld + j] += from[i * ld + j];                                         \
    }
ADD(float)
ADD(double)

/* Blocks of one copy are disjoint. */
static int put(const ntk_block *b, void *user)
{
    const struct tile *t = user;
    const ntk_dtype dtype = t->r->out_dtype;
    const struct ntk_view to =
        ntk_view_at((struct ntk_view){t->k[b->output], dtype, t->nj}, b->i0 - t->shift - t->i0, b->j0 - t->j0);

    if (t->first)
        ntk_copy(b->ni, b->nj, ntk_view_of(b, dtype), to);
    else if (dtype == NTK_F32)
        add_float(b->ni, b->nj, b->k, b->ld, to.at, to.pitch);
    else
        add_double(b->ni, b->nj, b->k, b->ld, to.at, to.pitch);
    return 0;
}

/* A job of one copy of the tile's rows; the first of a symmetric kernel is that of rows with themselves. */
static struct ntk_job job_of(const struct ntk_job *r, const struct tile *t, int copy)
{
    struct ntk_job job = *r;

    job.copies = 0;
    job.symmetric = r->symmetric && copy == 0;
    job.rows = job.symmetric ? r->columns : r->moved;
    job.i0 = t->i0 + (job.symmetric ? 0 : (copy - r->first) * r->step);
    job.ni = t->ni;
    job.j0 = t->j0;
    job.nj = t->nj;
    return job;
}

static double units_of(const struct ntk_job *job)
{
    const char *what;

    return job->machine->backend->units(job->machine->compiled, job->ni, job->symmetric && job->i0 == job->j0 ? 0 : job->nj,
                                        &what);
}

/* ---- handing on */

/* What is above the diagonal, below it: of all copies but the first both were computed, and may differ in the last digits. */
static void mirror(const struct tile *t, size_t output)
{
    const struct ntk_view k = {t->k[output], t->r->out_dtype, t->nj};

    for (int64_t i = 1; i < t->ni; i++)
        ntk_transpose(i, 1, ntk_view_at(k, 0, i), ntk_view_at(k, i, 0));
}

static ntk_status check_finite(const struct tile *t, size_t output)
{
    const struct ntk_simd *simd = ntk_simd_of(t->r->rows->ctx->isa, t->r->out_dtype);
    const size_t numbers = (size_t)(t->ni * t->nj);

    if (simd->all_finite(numbers, t->k[output]))
        return NTK_OK;
    return ntk_fail(t->r->rows->ctx, NTK_ENUMERIC,
                    "the kernel of samples, summed over their copies, is too large for float%d; scale the samples",
                    8 * (int)t->r->out_dtype);
}

static ntk_status hand_on(const struct tile *t, size_t output, ntk_sink_fn *sink, void *user)
{
    const int64_t rows = is_diagonal(t) ? t->ni : SLICE, slices = (t->ni + rows - 1) / rows;
    int cancelled = 0;

#pragma omp parallel for schedule(static) reduction(| : cancelled) num_threads(ntk_threads_for(t->r->rows->ctx, slices))
    for (int64_t s = 0; s < slices; s++) {
        const ntk_block b = {.output = output,
                             .i0 = t->i0 + s * rows,
                             .ni = ntk_least(rows, t->ni - s * rows),
                             .j0 = t->j0,
                             .nj = t->nj,
                             .k = t->k[output] + (size_t)(s * rows * t->nj) * t->r->out_dtype,
                             .ld = t->nj};

        cancelled |= sink(&b, user) != 0;
    }
    return cancelled ? ntk_fail(t->r->rows->ctx, NTK_ECANCEL, "cancelled by the receiver of the kernel's blocks") : NTK_OK;
}

static ntk_status run_tile(struct tile *t, double *done, ntk_sink_fn *sink, void *user)
{
    for (int c = 0; c < t->r->copies; c++) {
        struct ntk_job job = job_of(t->r, t, c);

        job.done = *done;
        t->first = c == 0;
        t->shift = job.i0 - t->i0;
        for (size_t m = 0; is_diagonal(t) && t->first && m < outputs_of(t->r); m++)
            memset(t->k[m], 0, (size_t)(t->ni * t->nj) * t->r->out_dtype); /* what is below is not computed */
        NTK_TRY(ntk_run(&job, put, t));
        *done += units_of(&job);
    }
    for (size_t m = 0; m < outputs_of(t->r); m++) {
        if (is_diagonal(t))
            mirror(t, m);
        NTK_TRY(check_finite(t, m));
        NTK_TRY(hand_on(t, m, sink, user));
    }
    return NTK_OK;
}

/* ---- all tiles */

/* The one after it; those below the diagonal of a symmetric job are left out. Begins with ni = 0. */
static bool next(const struct ntk_job *r, struct tile *t)
{
    const int64_t rows = r->i0 + r->ni, columns = r->j0 + r->nj;

    if (t->ni == 0) {
        t->i0 = r->i0;
        t->j0 = r->j0;
    } else if (t->j0 + TILE < columns) {
        t->j0 += TILE;
    } else {
        t->i0 += TILE;
        t->j0 = r->symmetric && r->i0 == r->j0 ? t->i0 : r->j0;
    }
    if (t->i0 >= rows)
        return false;
    t->ni = ntk_least(TILE, rows - t->i0);
    t->nj = ntk_least(TILE, columns - t->j0);
    return true;
}

static double all_units(const struct ntk_job *r)
{
    struct tile t = {.r = r};
    double units = 0;

    while (next(r, &t))
        for (int c = 0; c < r->copies; c++) {
            const struct ntk_job job = job_of(r, &t, c);

            units += units_of(&job);
        }
    return units;
}

static size_t tile_bytes(const struct ntk_job *r)
{
    return (size_t)(ntk_least(TILE, r->ni) * ntk_least(TILE, r->nj)) * r->out_dtype;
}

size_t ntk_summed_bytes(const struct ntk_job *r)
{
    const struct tile t = {.r = r, .i0 = r->i0, .ni = ntk_least(TILE, r->ni), .j0 = r->j0, .nj = ntk_least(TILE, r->nj)};
    const struct ntk_job one = job_of(r, &t, r->copies - 1);

    return ntk_job_bytes(&one) + outputs_of(r) * tile_bytes(r);
}

ntk_status ntk_run_summed(const struct ntk_job *r, ntk_sink_fn *sink, void *user)
{
    struct ntk_job told = *r;
    struct tile t = {.r = &told};
    unsigned char *numbers = ntk_alloc(r->rows->ctx, outputs_of(r), tile_bytes(r));
    ntk_status status = NTK_ENOMEM;
    double done = 0;

    told.all = all_units(r);
    t.k = ntk_alloc(r->rows->ctx, outputs_of(r), sizeof *t.k);
    if (numbers && t.k) {
        for (size_t m = 0; m < outputs_of(r); m++)
            t.k[m] = numbers + m * tile_bytes(r);
        status = NTK_OK;
        while (status == NTK_OK && next(r, &t))
            status = run_tile(&t, &done, sink, user);
    }
    free(t.k);
    free(numbers);
    return status;
}
