/* SPDX-License-Identifier: MIT
 *
 * out_of_core.c - solver: Cholesky's factor in float64 on disk (store/factor.h), in memory as much of it as there is room
 * for. Left-looking, by panels of columns of tiles: a panel of K + R is read from the operator, what the columns before it
 * contribute is taken off tile by tile, as they come from the file, then it is factored and written, once. With panels of b
 * columns the file is read n / 2b times, n^3 / 6b numbers for n^3 / 3 multiplications and additions (Toledo and Gustavson
 * 1996, "The design and implementation of SOLAR, a portable library for scalable out-of-core linear algebra computations").
 *
 * Every tile gets its contributions one by one in the order of columns, each by one thread: neither the number of threads
 * nor the panels change a bit, and whoever goes on with what another has begun, with more memory or less, ends with its
 * bytes. A thread that waits for the disk is one of several, so that the others compute.
 *
 * The factor of a matrix that is in a store is a file beside it, which stays: the next fit with this ridge finds it. Others
 * have no name, and end with the solver.
 */
#include "solve/out_of_core.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "solve/ridge.h"
#include "solve/ritz.h"
#include "solve/solver.h"
#include "store/factor.h"

#define SIDE    480 /* of a tile, at most: BLAS is as fast as with larger ones; no power of two, whose rows share cache lines */
#define LEAST   16  /* tiles in a row, of few samples */
#define THREADS 8   /* whose tiles `peak` counts; more are counted when they are known */

int64_t ntk_out_of_core_most;

struct out_of_core {
    struct ntk_solver base;
    struct ntk_factor f; /* fd -1: none */
};

static struct out_of_core *own(struct ntk_solver *s) { return (struct out_of_core *)s; }

static int64_t side_of(int64_t n)
{
    const int64_t side = (n / LEAST + 3) / 4 * 4;

    return side < 4 ? 4 : side > SIDE ? SIDE : side;
}

/* Of `tiles` tiles. */
static size_t bytes_of(int64_t n, int64_t tiles)
{
    const double side = (double)side_of(n);

    return ntk_bytes((double)tiles * side * side * sizeof(double));
}

static int64_t across_of(int64_t n) { return (n + side_of(n) - 1) / side_of(n); }

static size_t bytes(int64_t n) { return ntk_factor_bytes(n, side_of(n)); }

/* The narrowest panel: a column of tiles, the tile on the diagonal of the column before, and one for each thread. */
static size_t peak(int64_t n) { return bytes(n) + bytes_of(n, across_of(n) + 1 + THREADS); }

/* Columns of a panel are what memory holds; solutions pass over the factor twice. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n, file = 4 * n * n;
    const double fit = ((double)t->room - (double)bytes(t->n)) / (sizeof(double) * n);
    const double columns = fmin(fmax(fit, (double)side_of(t->n)), n);

    *c = (struct ntk_cost){.f64 = n * n * n / 3,
                           .passes = 1,
                           .files = file,
                           .written = file * (1 + n / (3 * columns) + 2)};
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    struct out_of_core *o = ntk_alloc_zero(ctx, 1, sizeof *o);

    (void)k, (void)beside;
    if (!o)
        return NTK_ENOMEM;
    o->f.fd = -1;
    *s = &o->base;
    return NTK_OK;
}

static void close(struct ntk_solver *s)
{
    ntk_factor_close(&own(s)->f);
    free(s);
}

/* Rows or columns that tile number t of a row of them has. */
static int extent(const struct ntk_solver *s, int64_t t)
{
    const int64_t side = side_of(s->n);

    return (int)ntk_least(side, s->n - t * side);
}

/* Bytes that are left for tiles, of which a quarter stays free for others. */
static size_t room(const struct ntk_solver *s)
{
    const size_t bound = ntk_ctx_memory(s->ctx), held = ntk_solver_uncounted(s) + (s->ctx->memory ? s->ctx->held : 0);

    return held < bound ? (bound - held) / 4 * 3 : 0;
}

/* ---- the file */

#define FOLDER "/var/tmp" /* where files may be large, as they may not in /tmp */

static const char *scratch_folder(const struct ntk_solver *s)
{
    const char *given = getenv("TMPDIR");

    return s->scratch ? s->scratch : given && *given ? given : FOLDER;
}

/* "K.h5.factor", or of several matrices "K.h5.0.ntk.factor"; in the folder of scratch files or beside the store. */
static ntk_status path_of(const struct ntk_solver *s, const struct ntk_lasting *l, char **path)
{
    const char *slash = strrchr(l->path, '/'), *name = s->scratch && slash ? slash + 1 : l->path;
    struct ntk_text t = {0};

    if (s->scratch)
        ntk_text_add(&t, "%s/", s->scratch);
    ntk_text_add(&t, "%s%s%s.factor", name, *l->name ? "." : "", l->name);
    *path = t.s;
    if (!t.failed)
        return NTK_OK;
    free(t.s);
    return ntk_fail(s->ctx, NTK_ENOMEM, "no memory for a file's name");
}

static ntk_status open_factor(struct ntk_solver *s)
{
    struct ntk_factor_head head = {.n = (uint64_t)s->n,
                                   .side = (uint64_t)side_of(s->n),
                                   .ridge = ntk_hash(s->ridge, (size_t)s->n * sizeof *s->ridge)};
    struct ntk_lasting l = {0};
    char *path = NULL;
    ntk_status status;

    ntk_factor_close(&own(s)->f);
    if (s->k->class->lasting) {
        NTK_TRY(s->k->class->lasting(s->k, s->which, ntk_solver_uncounted(s), &l));
        NTK_TRY(path_of(s, &l, &path));
        head.matrix = l.hash;
    }
    status = ntk_factor_open(s->ctx, path, scratch_folder(s), head, &own(s)->f);
    free(path);
    return status;
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
    const int n = extent(p->s, j);
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
    const int64_t n = s->n, across = across_of(n), left = across - p->first, each = left + 1;
    const size_t fixed = bytes_of(n, ntk_threads_for(s->ctx, left)), free_bytes = room(s);
    int64_t width = free_bytes > fixed + scratch ? (int64_t)((free_bytes - fixed - scratch) / bytes_of(n, each)) : 0;

    if (ntk_out_of_core_most > 0)
        width = ntk_least(width, ntk_out_of_core_most);
    width = s->k->class->whole ? left : ntk_most(1, ntk_least(width, left));
    p->end = p->first + width;
    p->tall = left;
    *held = ntk_solver_uncounted(s) + fixed + bytes_of(n, width * each);
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

static ntk_status factor_panels(struct ntk_solver *s, int *minor)
{
    struct ntk_factor *f = &own(s)->f;
    const int64_t done = ntk_factor_columns(f);
    const double across = (double)f->across;
    struct panel p = {.s = s, .f = f, .side = (int)side_of(s->n), .total = across * (across + 1) * (across + 2) / 6};
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

/* The factor's diagonal, [n]. */
static ntk_status pivots_of(struct ntk_solver *s, double *pivots)
{
    const int64_t side = side_of(s->n);
    double *tile = ntk_alloc(s->ctx, (size_t)(side * side), sizeof *tile);
    ntk_status status = tile ? NTK_OK : NTK_ENOMEM;

    for (int64_t t = 0; t < across_of(s->n) && status == NTK_OK; t++) {
        status = ntk_factor_fail(&own(s)->f, ntk_factor_read(&own(s)->f, t, t, tile));
        for (int i = 0; i < extent(s, t) && status == NTK_OK; i++)
            pivots[t * side + i] = tile[i * (side + 1)];
    }
    free(tile);
    return status;
}

static ntk_status check_pivots(struct ntk_solver *s, char *how, size_t size)
{
    double *pivots = ntk_alloc(s->ctx, (size_t)s->n, sizeof *pivots), mean, largest = 0, least = (double)INFINITY;
    ntk_status status = pivots ? ntk_solver_mean_diagonal(s, &mean) : NTK_ENOMEM;

    for (int64_t i = 0; i < s->n; i++) {
        largest = fmax(largest, s->diagonal[i]);
        least = fmin(least, s->ridge[i]);
    }
    if (status == NTK_OK)
        status = pivots_of(s, pivots);
    if (status == NTK_OK)
        ntk_ridge_pivots(s->ctx, s->n, pivots, s->k->precision, largest + least, how, size);
    free(pivots);
    return status;
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    struct ntk_blas blas;
    int minor = 0;
    ntk_status status;

    NTK_TRY(ntk_progress(s->ctx, "factorisations", 0, 1));
    NTK_TRY(open_factor(s));
    blas = ntk_blas_begin(1);
    status = factor_panels(s, &minor);
    ntk_blas_end(blas);
    if (status != NTK_OK && ntk_factor_columns(&own(s)->f) == 0)
        ntk_factor_drop(&own(s)->f); /* of which nothing is worth the disk */
    NTK_TRY(status);
    if (minor)
        ntk_format(how, size, "its leading minor of order %d is not positive", minor);
    else
        NTK_TRY(check_pivots(s, how, size));
    if (*how) {
        ntk_factor_drop(&own(s)->f);
        return NTK_OK;
    }
    return ntk_progress(s->ctx, "factorisations", 1, 1);
}

/* ---- passes over the factor. One pass does to x, [m][n], what is triangular, in place: row t of tiles by row, or column by
 * column, the tile on the diagonal and then those beside it, or the other way round. */

struct pass {
    bool transposed; /* L', else L */
    bool inverse;
};

struct step {
    struct ntk_solver *s;
    struct pass pass;
    int64_t t, m;
    double *x;
};

static double *rows_at(const struct step *o, int64_t t) { return o->x + t * side_of(o->s->n); }

static void step_diagonal(const struct step *o, const double *tile)
{
    const int n = (int)o->s->n, side = (int)side_of(o->s->n), size = extent(o->s, o->t);
    const CBLAS_TRANSPOSE t = o->pass.transposed ? CblasTrans : CblasNoTrans;

    if (o->pass.inverse)
        cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, t, CblasNonUnit, size, (int)o->m, 1, tile, side, rows_at(o, o->t), n);
    else
        cblas_dtrmm(CblasColMajor, CblasLeft, CblasLower, t, CblasNonUnit, size, (int)o->m, 1, tile, side, rows_at(o, o->t), n);
}

/* What rows t contribute to rows i. */
static void step_beside(const struct step *o, const double *tile, int64_t i)
{
    const int n = (int)o->s->n, side = (int)side_of(o->s->n);

    cblas_dgemm(CblasColMajor, o->pass.transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, extent(o->s, i), (int)o->m,
                extent(o->s, o->t), o->pass.inverse ? -1 : 1, tile, side, rows_at(o, o->t), n, 1, rows_at(o, i), n);
}

/* Tiles [first, end) beside the diagonal. */
static ntk_status step_all_beside(const struct step *o, int64_t first, int64_t end)
{
    struct ntk_factor *f = &own(o->s)->f;
    ntk_ctx *ctx = o->s->ctx;
    ntk_status status = NTK_OK;

#pragma omp parallel num_threads(ntk_threads_for(ctx, end - first))
    {
        double *tile = ntk_alloc(NULL, (size_t)(f->head.side * f->head.side), sizeof *tile);

#pragma omp for schedule(dynamic, 1)
        for (int64_t i = first; i < end; i++)
            if (ntk_go_on(ctx, &status, tile ? NTK_OK : NTK_ENOMEM)) {
                const ntk_status read = ntk_factor_read(f, ntk_most(i, o->t), ntk_least(i, o->t), tile);

                if (read == NTK_OK)
                    step_beside(o, tile, i);
                (void)ntk_go_on(ctx, &status, read);
            }
        free(tile);
    }
    return ntk_factor_fail(f, status);
}

static ntk_status step(const struct step *o, double *diagonal)
{
    struct ntk_factor *f = &own(o->s)->f;
    const int64_t first = o->pass.transposed ? 0 : o->t + 1, end = o->pass.transposed ? o->t : f->across;

    NTK_TRY(ntk_factor_fail(f, ntk_factor_read(f, o->t, o->t, diagonal)));
    if (o->pass.inverse)
        step_diagonal(o, diagonal);
    if (end > first)
        NTK_TRY(step_all_beside(o, first, end));
    if (!o->pass.inverse)
        step_diagonal(o, diagonal);
    return NTK_OK;
}

/* from: of L^-1, the first row of tiles of x that is not 0. */
static ntk_status run_pass(struct ntk_solver *s, struct pass pass, int64_t from, int64_t m, double *x)
{
    const int64_t across = across_of(s->n), steps = across - from;
    const size_t tiles = bytes_of(s->n, 1 + ntk_threads_for(s->ctx, across));
    const struct ntk_blas blas = ntk_blas_begin(1);
    double *diagonal = NULL;
    ntk_status status = ntk_ctx_check_memory(s->ctx, ntk_solver_uncounted(s) + tiles, "tiles of a factor on disk");

    if (status == NTK_OK && !(diagonal = ntk_alloc(s->ctx, bytes_of(s->n, 1), 1)))
        status = NTK_ENOMEM;
    for (int64_t k = 0; k < steps && status == NTK_OK; k++) {
        const bool upwards = pass.transposed == pass.inverse; /* from the last row to the first */
        const struct step o = {s, pass, upwards ? across - 1 - k : from + k, m, x};

        status = step(&o, diagonal);
    }
    free(diagonal);
    ntk_blas_end(blas);
    return status;
}

/* It came back without. */
static ntk_status make_ready(struct ntk_solver *s)
{
    char how[200] = "";

    if (own(s)->f.fd >= 0)
        return NTK_OK;
    NTK_TRY(factor(s, how, sizeof how));
    return *how ? ntk_fail(s->ctx, NTK_ENUMERIC, "the matrix is not positive definite: %s", how) : NTK_OK;
}

static ntk_status half(struct ntk_solver *s, int64_t m, double *x)
{
    NTK_TRY(make_ready(s));
    return run_pass(s, (struct pass){.inverse = true}, 0, m, x);
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x)
{
    NTK_TRY(half(s, m, x));
    return run_pass(s, (struct pass){.transposed = true, .inverse = true}, 0, m, x);
}

static ntk_status log_determinant(struct ntk_solver *s, double *value)
{
    double *pivots;
    ntk_status status;

    NTK_TRY(make_ready(s));
    pivots = ntk_alloc(s->ctx, (size_t)s->n, sizeof *pivots);
    status = pivots ? pivots_of(s, pivots) : NTK_ENOMEM;
    *value = 0;
    for (int64_t i = 0; i < s->n && status == NTK_OK; i++)
        *value += 2 * log(pivots[i]);
    free(pivots);
    return status;
}

static ntk_status half_from(struct ntk_solver *s, int64_t first, int64_t m, double *x)
{
    return run_pass(s, (struct pass){.inverse = true}, first / side_of(s->n), m, x);
}

/* Columns of as many tiles at once as there is room for. */
static ntk_status inverse_diagonal(struct ntk_solver *s, double *d)
{
    const int64_t n = s->n, side = side_of(n);
    const size_t tiles = bytes_of(n, 1 + ntk_threads_for(s->ctx, across_of(n))), left = room(s);
    const int64_t fit = left > tiles ? (int64_t)((left - tiles) / ((size_t)(side * n) * sizeof *d)) : 0;
    const int64_t most = ntk_most(1, ntk_out_of_core_most ? ntk_least(fit, ntk_out_of_core_most) : fit) * side;

    NTK_TRY(make_ready(s));
    return ntk_inverse_by_half(s, most, ntk_solver_uncounted(s) + tiles, half_from, d);
}

/* ---- eigenvalues, by Lanczos on L L', or K + R where a file has K, and on the inverse: each step is two passes */

static ntk_status apply_matrix(double *x, void *user)
{
    struct ntk_solver *s = user;

    NTK_TRY(run_pass(s, (struct pass){.transposed = true}, 0, 1, x));
    return run_pass(s, (struct pass){0}, 0, 1, x);
}

static ntk_status apply_inverse(double *x, void *user) { return solve(user, 1, x); }

static ntk_status find_largest(struct ntk_solver *s, double *largest)
{
    struct ntk_shifted p = {s, NULL, ntk_alloc(s->ctx, (size_t)s->n, sizeof *p.out)};
    ntk_status status = p.out ? NTK_OK : NTK_ENOMEM;

    if (status == NTK_OK)
        status = s->k->class->lasting ? ntk_lanczos_largest(s->ctx, s->n, ntk_shifted_in_place, &p, largest)
                                      : ntk_lanczos_largest(s->ctx, s->n, apply_matrix, s, largest);
    free(p.out);
    return status;
}

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    double inverse;

    NTK_TRY(make_ready(s));
    NTK_TRY(find_largest(s, largest));
    NTK_TRY(ntk_lanczos_largest(s->ctx, s->n, apply_inverse, s, &inverse));
    *least = 1 / inverse;
    return NTK_OK;
}

const struct ntk_solver_class ntk_solver_class_out_of_core = {
    .name = "out-of-core",
    .bytes = bytes,
    .peak = peak,
    .cost = cost,
    .open = open,
    .reads = true,
    .factor = factor,
    .solve = solve,
    .half = half,
    .log_determinant = log_determinant,
    .inverse_diagonal = inverse_diagonal,
    .extremes = extremes,
    .close = close,
};
