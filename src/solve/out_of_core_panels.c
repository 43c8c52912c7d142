/* SPDX-License-Identifier: MIT
 *
 * out_of_core_panels.c - the factorisation of the solver 'out-of-core', panel by panel; see out_of_core.c.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "solve/out_of_core.h"
#include "solve/solver.h"
#include "store/factor.h"

int64_t ntk_out_of_core_most;

size_t ntk_out_of_core_room(const struct ntk_solver *s)
{
    const size_t bound = ntk_ctx_memory(s->ctx), held = ntk_solver_uncounted(s) + (s->ctx->memory ? s->ctx->held : 0);

    return held < bound ? (bound - held) / 4 * 3 : 0;
}

/* ---- a panel: columns [first, end) of tiles, from row `first` on */

struct panel {
    struct ntk_solver *s;
    struct ntk_factor *f;
    int64_t first, end, tall;
    int64_t numbers; /* of a tile */
    int side;
    double *a;       /* [column][row] tiles */
    double *rows;    /* [column] tiles: of the column before that contributes, in the panel's rows */
    double done;     /* tiles' contributions, all of this matrix, of: */
    double total;
};

static double *tile_at(const struct panel *p, int64_t i, int64_t j)
{
    return p->a + ((j - p->first) * p->tall + i - p->first) * p->numbers;
}

static ntk_status say_progress(struct panel *p, double contributions)
{
    p->done += contributions;
    return ntk_progress(p->s->ctx, "factorisations", fmin(p->done / p->total, 0.999), 1);
}

/* Row i of the matrix is column i of its lower triangle: from the diagonal on. */
static int put(const ntk_block *b, void *user)
{
    const struct panel *p = user;
    const int64_t side = p->side;

    if (b->output != p->s->which)
        return 0;
    for (int64_t r = 0; r < b->ni; r++) {
        const int64_t i = b->i0 + r;

        for (int64_t j = ntk_most(i, b->j0), end; j < b->j0 + b->nj; j = end) {
            double *to = tile_at(p, j / side, i / side) + i % side * side + j % side;
            const size_t from = (size_t)(r * b->ld + j - b->j0);

            end = ntk_least((j / side + 1) * side, b->j0 + b->nj);
            for (int64_t k = 0; k < end - j; k++)
                to[k] = ntk_number(b->k, p->s->k->dtype, from + (size_t)k);
        }
    }
    return 0;
}

static ntk_status read_panel(struct panel *p, size_t held)
{
    struct ntk_solver *s = p->s;
    const int64_t first = p->first * p->side, end = ntk_least(p->end * p->side, s->n);
    const struct ntk_reading r = {.i0 = first,
                                  .ni = end - first,
                                  .held = held,
                                  .what = "a kernel matrix of this many samples",
                                  .sink = put,
                                  .user = p};

    memset(p->a, 0, (size_t)((p->end - p->first) * p->tall * p->numbers) * sizeof *p->a);
    NTK_TRY(s->k->class->stream(s->k, &r));
    for (int64_t i = first; i < end; i++)
        tile_at(p, i / p->side, i / p->side)[i % p->side * (p->side + 1)] += s->ridge[i];
    return NTK_OK;
}

/* c -= a b' */
static void take_off(int side, const double *a, const double *b, double *c)
{
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, side, side, side, -1, a, side, b, side, 1, c, side);
}

/* What column j, before the panel, contributes. */
static ntk_status take_off_column(struct panel *p, int64_t j)
{
    ntk_ctx *ctx = p->s->ctx;
    const int64_t width = p->end - p->first;
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, width)) schedule(dynamic, 1)
    for (int64_t c = 0; c < width; c++)
        if (ntk_go_on(ctx, &status, NTK_OK)) {
            const ntk_status read = ntk_factor_read(p->f, p->first + c, j, p->rows + c * p->numbers);

            (void)ntk_go_on(ctx, &status, read);
        }
    NTK_TRY(ntk_factor_fail(p->f, status));
#pragma omp parallel num_threads(ntk_threads_for(ctx, p->tall))
    {
        double *tile = ntk_alloc(NULL, (size_t)p->numbers, sizeof *tile);

#pragma omp for schedule(dynamic, 1)
        for (int64_t i = p->first + p->tall - 1; i >= p->first; i--) {
            const double *from = i < p->end ? p->rows + (i - p->first) * p->numbers : tile;
            ntk_status read = tile ? NTK_OK : NTK_ENOMEM;

            if (read == NTK_OK && i >= p->end && ntk_go_on(ctx, &status, NTK_OK))
                read = ntk_factor_read(p->f, i, j, tile);
            for (int64_t c = p->first; c < p->end && c <= i && ntk_go_on(ctx, &status, read); c++)
                take_off(p->side, from, p->rows + (c - p->first) * p->numbers, tile_at(p, i, c));
        }
        free(tile);
    }
    return ntk_factor_fail(p->f, status);
}

/* The tile on the diagonal, with zeros above it. 0, or the order of the first leading minor that is not positive. */
static int factor_diagonal(const struct panel *p, int64_t j)
{
    const int n = ntk_out_of_core_extent(p->s->n, j);
    double *a = tile_at(p, j, j);
    int info = 0;

    dpotrf_("L", &n, a, &p->side, &info, 1);
    for (int i = 0; i < n && info == 0; i++) /* what is not finite anywhere in a row makes its pivot so */
        if (!isfinite(a[(size_t)i * (size_t)(p->side + 1)]))
            info = i + 1;
    for (int i = 1; i < p->side; i++)
        memset(a + (size_t)i * (size_t)p->side, 0, (size_t)i * sizeof *a);
    return info ? info + (int)(j * p->side) : 0;
}

/* Column j of the factor, and what it contributes to those after it in the panel. */
static ntk_status finish_column(struct panel *p, int64_t j)
{
    ntk_ctx *ctx = p->s->ctx;
    const int64_t below = p->first + p->tall - 1 - j;
    ntk_status status = NTK_OK;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, below)) schedule(dynamic, 1)
    for (int64_t i = j + 1; i <= j + below; i++)
        if (ntk_go_on(ctx, &status, NTK_OK))
            cblas_dtrsm(CblasColMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, p->side, p->side, 1,
                        tile_at(p, j, j), p->side, tile_at(p, i, j), p->side);
#pragma omp parallel for num_threads(ntk_threads_for(ctx, below)) schedule(dynamic, 1)
    for (int64_t i = j + below; i > j; i--)
        for (int64_t c = j + 1; c < p->end && c <= i && ntk_go_on(ctx, &status, NTK_OK); c++)
            take_off(p->side, tile_at(p, i, j), tile_at(p, c, j), tile_at(p, i, c));
    return status;
}

static ntk_status write_panel(struct panel *p)
{
    ntk_ctx *ctx = p->s->ctx;
    ntk_status status = NTK_OK;

    for (int64_t j = p->first; j < p->end; j++) {
        const int64_t end = p->first + p->tall;

#pragma omp parallel for num_threads(ntk_threads_for(ctx, end - j)) schedule(dynamic, 1)
        for (int64_t i = j; i < end; i++)
            if (ntk_go_on(ctx, &status, NTK_OK)) {
                const ntk_status written = ntk_factor_write(p->f, i, j, tile_at(p, i, j));

                (void)ntk_go_on(ctx, &status, written);
            }
        NTK_TRY(ntk_factor_fail(p->f, status));
    }
    return NTK_OK;
}

/* Contributions to columns [first, end) from column j on, as triples j <= c <= i. */
static double triples(const struct panel *p, int64_t j)
{
    double sum = 0;

    for (int64_t c = ntk_most(p->first, j); c < p->end; c++)
        sum += (double)(p->first + p->tall - c);
    return sum;
}

static ntk_status factor_panel(struct panel *p, size_t held, int *minor)
{
    NTK_TRY(read_panel(p, held));
    for (int64_t j = 0; j < p->first; j++) {
        NTK_TRY(take_off_column(p, j));
        NTK_TRY(say_progress(p, triples(p, j)));
    }
    for (int64_t j = p->first; j < p->end; j++) {
        *minor = factor_diagonal(p, j);
        if (*minor)
            return NTK_OK;
        NTK_TRY(finish_column(p, j));
        NTK_TRY(say_progress(p, triples(p, j)));
    }
    return write_panel(p);
}

/* ---- all panels */

/* Columns of a panel that begins with column `first`, for which there is room beside the tiles of threads and what reading
 * the operator takes; at least one. *held: bytes of all but the latter. */
static ntk_status plan_panel(const struct ntk_solver *s, size_t scratch, struct panel *p, size_t *held)
{
    const int64_t n = s->n, across = ntk_out_of_core_across(n), left = across - p->first, each = left + 1;
    const size_t fixed = ntk_out_of_core_bytes(n, ntk_threads_for(s->ctx, left)), free_bytes = ntk_out_of_core_room(s);
    const size_t column = ntk_out_of_core_bytes(n, each), rest = free_bytes > fixed + scratch ? free_bytes - fixed - scratch : 0;
    int64_t width = (int64_t)(rest / column);

    if (ntk_out_of_core_most > 0)
        width = ntk_least(width, ntk_out_of_core_most);
    width = s->k->class->whole ? left : ntk_most(1, ntk_least(width, left));
    p->end = p->first + width;
    p->tall = left;
    *held = ntk_solver_uncounted(s) + fixed + ntk_out_of_core_bytes(n, width * each);
    return ntk_ctx_check_memory(s->ctx, *held + scratch, width == 1 ? "the narrowest panel of a factor of this many samples"
                                                                    : "a factor of this many samples that is read whole");
}

static ntk_status next_panel(struct panel *p, size_t scratch, int *minor)
{
    const struct ntk_solver *s = p->s;
    size_t held, numbers;
    ntk_status status;

    NTK_TRY(plan_panel(s, scratch, p, &held));
    numbers = (size_t)((p->end - p->first) * (p->tall + 1) * p->numbers);
    p->a = ntk_large_new(s->ctx, numbers, sizeof *p->a);
    if (!p->a)
        return NTK_ENOMEM;
    p->rows = p->a + (p->end - p->first) * p->tall * p->numbers;
    status = factor_panel(p, held, minor);
    ntk_large_free(p->a, numbers, sizeof *p->a);
    return status;
}

static void say_what(const struct ntk_factor *f, int64_t columns)
{
    const double size = (double)ntk_factor_size((int64_t)f->head.n, (int64_t)f->head.side) / 0x1p20;

    if (columns == f->across)
        ntk_log(f->ctx, 0, "out-of-core: %s has the factor", f->path);
    else if (columns > 0)
        ntk_log(f->ctx, 0, "out-of-core: %s has %.0f %% of the factor's columns: it goes on from there", f->path,
                100 * (double)columns / (double)f->across);
    else
        ntk_log(f->ctx, 0, "out-of-core: the factor takes %.2f MiB of disk, %s %s", size, f->named ? "and stays, in" : "in",
                f->path);
}

ntk_status ntk_out_of_core_factor(struct ntk_solver *s, struct ntk_factor *f, int *minor)
{
    const int64_t done = ntk_factor_columns(f);
    const double across = (double)f->across;
    struct panel p = {
        .s = s, .f = f, .side = (int)ntk_out_of_core_side(s->n), .total = across * (across + 1) * (across + 2) / 6};
    size_t scratch, held;

    if (done == f->across) {
        say_what(f, done);
        return NTK_OK;
    }
    for (int64_t c = 0; c < done; c++)
        p.done += (double)(f->across - c) * (double)(c + 1);
    p.numbers = (int64_t)p.side * p.side;
    p.first = done;
    NTK_TRY(ntk_operator_scratch(s->k, &scratch));
    NTK_TRY(plan_panel(s, scratch, &p, &held)); /* before it is said what comes */
    say_what(f, done);
    for (; p.first < f->across && *minor == 0; p.first = p.end)
        NTK_TRY(next_panel(&p, scratch, minor));
    return *minor ? NTK_OK : ntk_factor_finish(f);
}
