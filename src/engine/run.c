/* SPDX-License-Identifier: MIT
 *
 * run.c - see run.h.
 */
#include "engine/run.h"
#include "base/views.h"
#include "engine/prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One run, for the threads that finish tiles. */
struct loop {
    const struct ntk_job *r;
    const struct ntk_simd *simd; /* of the sink's type */
    int64_t *match;
    struct ntk_panel rows, columns;
    ntk_sink_fn *sink;
    void *user;
    const char *units;
    double done, all; /* of batches before this one; of all */
    ntk_status failed; /* the first failure, which is said; NTK_OK: none */
};

/* ---- a tile */

/* Only one thread says why. */
static ntk_status fail(struct loop *x, ntk_status status, const struct ntk_tile *t, int64_t i, int64_t j, double value)
{
    ntk_ctx *ctx = x->r->rows->ctx;

    ntk_lock(ctx);
    if (x->failed)
        status = x->failed;
    else if (status == NTK_ENUMERIC)
        ntk_fail(ctx, status,
                 "the kernel of samples %lld and %lld is %g, not finite in float%d; scale the "
                 "samples, or the weights' deviations",
                 (long long)(t->i0 + i), (long long)(t->j0 + j), fabs(value), 8 * (int)x->r->out_dtype);
    else
        ntk_fail(ctx, status, "cancelled by the receiver of the kernel's blocks");
    x->failed = status;
    ntk_unlock(ctx);
    return status;
}

/* A row of float64, from column j on, is finished and becomes one of the sink's type that begins at `to`, not
 * after it. */
static void convert_row(const struct loop *x, const struct ntk_tile *t, int output, int64_t row, int64_t j,
                        const unsigned char *from, unsigned char *to)
{
    const struct ntk_job *r = x->r;
    const struct ntk_precision *precision = &r->rows->reference->precision;
    const int of_row = ntk_sample_exponent(r->rows, t->i0 + row), node = r->machine->program->outputs[output];

    for (; j < t->nj; j++) {
        double value;
        float narrow;

        memcpy(&value, from + (size_t)j * sizeof value, sizeof value);
        value = ntk_precision_finish(precision, node, of_row + ntk_sample_exponent(r->columns, t->j0 + j), value);
        narrow = (float)value;
        if (r->out_dtype == NTK_F32)
            memcpy(to + (size_t)j * sizeof narrow, &narrow, sizeof narrow);
        else
            memcpy(to + (size_t)j * sizeof value, &value, sizeof value);
    }
}

static ntk_status finish_rows(struct loop *x, const struct ntk_tile *t, int output)
{
    const struct ntk_samples *s = x->r->rows;
    const bool converted = s->dtype != x->r->out_dtype || s->exponent || x->r->columns->exponent;
    unsigned char *k = t->k[output];

    for (int64_t i = 0; i < t->ni && (converted || !t->finite); i++) {
        const int64_t from = t->upper ? i : 0;
        unsigned char *row = k + (size_t)i * t->ld * x->r->out_dtype;

        if (converted)
            convert_row(x, t, output, i, from, k + (size_t)i * t->ld * s->dtype, row);
        if (x->simd->all_finite((size_t)(t->nj - from), row + (size_t)from * x->r->out_dtype))
            continue;
        for (int64_t j = from; j < t->nj; j++)
            if (!isfinite(ntk_number(row, x->r->out_dtype, (size_t)j)))
                return fail(x, NTK_ENUMERIC, t, i, j, ntk_number(row, x->r->out_dtype, (size_t)j));
    }
    return NTK_OK;
}

#define PATCH 16 /* rows of a tile that are mirrored at once */

/* What is above the diagonal of n rows, below it. */
static void mirror(struct ntk_view k, int64_t n)
{
    for (int64_t p = 0; p < n; p += PATCH) {
        const int64_t rows = n - p < PATCH ? n - p : PATCH;

        ntk_transpose(p, rows, ntk_view_at(k, 0, p), ntk_view_at(k, p, 0));
        for (int64_t j = p; j < p + rows; j++)
            for (int64_t i = p; i < j; i++)
                memcpy(ntk_view_at(k, j, i).at, ntk_view_at(k, i, j).at, k.dtype);
    }
}

static ntk_status tile_done(const struct ntk_tile *t, void *user)
{
    struct loop *x = user;

    for (int m = 0; m < x->r->machine->program->n_outputs; m++) {
        const ntk_block block = {.output = (size_t)m,
                                 .i0 = t->i0,
                                 .ni = t->ni,
                                 .j0 = t->j0,
                                 .nj = t->nj,
                                 .k = t->k[m],
                                 .ld = (int64_t)t->ld};

        NTK_TRY(finish_rows(x, t, m));
        if (t->upper)
            mirror((struct ntk_view){t->k[m], x->r->out_dtype, (int64_t)t->ld}, t->ni);
        if (x->sink(&block, x->user))
            return fail(x, NTK_ECANCEL, t, 0, 0, 0);
    }
    return NTK_OK;
}

static ntk_status progress(double done, void *user)
{
    const struct loop *x = user;

    return ntk_progress(x->r->rows->ctx, x->units, x->done + done, x->all);
}

/* ---- batches */

/* Where the job's rows and columns end. */
static int64_t rows_end(const struct ntk_job *r) { return r->ni ? r->i0 + r->ni : r->rows->n; }
static int64_t columns_end(const struct ntk_job *r) { return r->ni ? r->j0 + r->nj : r->columns->n; }
/* A symmetric job with pairs of the diagonal. */
static bool is_diagonal(const struct ntk_job *r) { return r->symmetric && r->i0 == r->j0; }

/* Backends that take all samples at once read no panels. */
static bool has_panels(const struct ntk_job *r) { return r->machine->backend->panel && !r->machine->program->vectors; }

/* Samples of one side in a batch; what is computed does not depend on it. */
static int64_t width_of(const struct ntk_job *r, const struct ntk_samples *s)
{
    return has_panels(r) ? r->machine->backend->panel(r->machine->compiled, s, s->n) : s->n;
}

static int64_t rows_width(const struct ntk_job *r) { return ntk_least(width_of(r, r->rows), rows_end(r) - r->i0); }
static int64_t columns_width(const struct ntk_job *r) { return ntk_least(width_of(r, r->columns), columns_end(r) - r->j0); }

/* Panels are kept of all samples, from the first on. */
static bool is_kept(const struct ntk_job *r, const struct ntk_samples *s)
{
    return s->kept && s->kept_width == width_of(r, s) && !r->ni;
}

/* Panels of that side are made for the run; the one of the rows serves a symmetric kernel in one batch. */
static bool makes_rows(const struct ntk_job *r) { return has_panels(r) && !is_kept(r, r->rows); }

static bool makes_columns(const struct ntk_job *r)
{
    return has_panels(r) && !is_kept(r, r->columns) && !(is_diagonal(r) && rows_width(r) >= rows_end(r) - r->i0);
}

/* Of a job without copies. */
static size_t bytes_of(const struct ntk_job *r)
{
    const struct ntk_machine *m = r->machine;
    const int64_t rows = rows_width(r), columns = columns_width(r);
    const int64_t panels = (makes_rows(r) ? rows : 0) + (makes_columns(r) ? columns : 0);

    return m->backend->bytes(m->compiled, r->rows, rows, columns) +
           (panels ? (size_t)panels * ntk_panel_bytes(r->rows) : 0) + (size_t)r->rows->n * sizeof(int64_t);
}

size_t ntk_job_bytes(const struct ntk_job *r) { return r->copies > 0 ? ntk_summed_bytes(r) : bytes_of(r); }

/* n samples from `first` on as one side of a batch: a panel that is kept, or `own`, filled. */
static ntk_status fill(const struct ntk_job *r, const struct ntk_samples *s, int64_t first, int64_t n, struct ntk_panel *own,
                       const struct ntk_panel **panel)
{
    *panel = own;
    if (is_kept(r, s)) {
        *panel = &s->kept[first / s->kept_width];
        return NTK_OK;
    }
    if (has_panels(r))
        return ntk_panel_fill(s, first, n, INT_MAX, own);
    *own = (struct ntk_panel){.samples = s, .first = first, .n = n};
    return NTK_OK;
}

static ntk_status run_batch(struct loop *x, const struct ntk_panel *rows, const struct ntk_panel *columns)
{
    const struct ntk_job *r = x->r;
    const bool diagonal = r->symmetric && rows->first == columns->first;
    const struct ntk_batch batch = {.rows = r->rows,
                                    .columns = r->columns,
                                    .row_panel = rows,
                                    .column_panel = columns,
                                    .symmetric = r->symmetric,
                                    .diagonal = diagonal,
                                    .match = x->match,
                                    .done = tile_done,
                                    .progress = progress,
                                    .user = x};
    const char *what;

    NTK_TRY(r->machine->backend->run(r->machine->compiled, &batch));
    x->done += r->machine->backend->units(r->machine->compiled, rows->n, diagonal ? 0 : columns->n, &what);
    return NTK_OK;
}

static ntk_status run_row(struct loop *x, int64_t i)
{
    const struct ntk_job *r = x->r;
    const int64_t width = columns_width(r), end = columns_end(r);
    const struct ntk_panel *rows, *columns;

    NTK_TRY(fill(r, r->rows, i, ntk_least(rows_width(r), rows_end(r) - i), &x->rows, &rows));
    for (int64_t j = is_diagonal(r) ? i : r->j0; j < end; j += width) {
        columns = rows;
        if (!r->symmetric || j != i)
            NTK_TRY(fill(r, r->columns, j, ntk_least(width, end - j), &x->columns, &columns));
        NTK_TRY(run_batch(x, rows, columns));
    }
    return NTK_OK;
}

ntk_status ntk_run(const struct ntk_job *r, ntk_sink_fn *sink, void *user)
{
    const int64_t n1 = rows_end(r) - r->i0, n2 = columns_end(r) - r->j0;
    struct loop x = {.r = r, .sink = sink, .user = user};
    ntk_ctx *ctx = r->rows->ctx;
    ntk_status status = NTK_OK;

    if (r->copies > 0)
        return ntk_run_summed(r, sink, user);
    x.simd = ntk_simd_of(ctx->isa, r->out_dtype);
    x.all = r->machine->backend->units(r->machine->compiled, n1, is_diagonal(r) ? 0 : n2, &x.units);
    x.all = r->all > 0 ? r->all : x.all;
    x.done = r->done;
    x.match = ntk_alloc(ctx, (size_t)r->rows->n, sizeof *x.match);
    if (!x.match)
        return NTK_ENOMEM;
    ntk_samples_match(r->rows, r->columns, r->i0, n1, x.match);
    if (makes_rows(r))
        status = ntk_panel_new(r->rows, rows_width(r), &x.rows);
    if (status == NTK_OK && makes_columns(r))
        status = ntk_panel_new(r->columns, columns_width(r), &x.columns);
    for (int64_t i = r->i0; i < rows_end(r) && status == NTK_OK; i += rows_width(r))
        status = run_row(&x, i);
    ntk_panel_free(&x.rows);
    ntk_panel_free(&x.columns);
    free(x.match);
    return status;
}
