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

#include "solve/ridge.h"
#include "solve/ritz.h"
#include "solve/solver.h"
#include "store/factor.h"

#define THREADS 8 /* whose tiles `peak` counts; more are counted when they are known */

struct out_of_core {
    struct ntk_solver base;
    struct ntk_factor f; /* fd -1: none */
};

static struct out_of_core *own(struct ntk_solver *s) { return (struct out_of_core *)s; }

static size_t bytes(int64_t n) { return ntk_factor_bytes(n, ntk_out_of_core_side(n)); }

/* The narrowest panel: a column of tiles, the tile on the diagonal of the column before, and one for each thread. */
static size_t peak(int64_t n) { return bytes(n) + ntk_out_of_core_bytes(n, ntk_out_of_core_across(n) + 1 + THREADS); }

/* Columns of a panel are what memory holds; solutions pass over the factor twice. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n, file = 4 * n * n;
    const double fit = ((double)t->room - (double)bytes(t->n)) / (sizeof(double) * n);
    const double columns = fmin(fmax(fit, (double)ntk_out_of_core_side(t->n)), n);

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
                                   .side = (uint64_t)ntk_out_of_core_side(s->n),
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

/* The factor's diagonal, [n]. */
static ntk_status pivots_of(struct ntk_solver *s, double *pivots)
{
    const int64_t side = ntk_out_of_core_side(s->n);
    double *tile = ntk_alloc(s->ctx, (size_t)(side * side), sizeof *tile);
    ntk_status status = tile ? NTK_OK : NTK_ENOMEM;

    for (int64_t t = 0; t < ntk_out_of_core_across(s->n) && status == NTK_OK; t++) {
        status = ntk_factor_fail(&own(s)->f, ntk_factor_read(&own(s)->f, t, t, tile));
        for (int i = 0; i < ntk_out_of_core_extent(s->n, t) && status == NTK_OK; i++)
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
    status = ntk_out_of_core_factor(s, &own(s)->f, &minor);
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

static double *rows_at(const struct step *o, int64_t t) { return o->x + t * ntk_out_of_core_side(o->s->n); }

static void step_diagonal(const struct step *o, const double *tile)
{
    const int n = (int)o->s->n, side = (int)ntk_out_of_core_side(o->s->n), size = ntk_out_of_core_extent(n, o->t);
    const CBLAS_TRANSPOSE t = o->pass.transposed ? CblasTrans : CblasNoTrans;

    if (o->pass.inverse)
        cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, t, CblasNonUnit, size, (int)o->m, 1, tile, side, rows_at(o, o->t), n);
    else
        cblas_dtrmm(CblasColMajor, CblasLeft, CblasLower, t, CblasNonUnit, size, (int)o->m, 1, tile, side, rows_at(o, o->t), n);
}

/* What rows t contribute to rows i. */
static void step_beside(const struct step *o, const double *tile, int64_t i)
{
    const int n = (int)o->s->n, side = (int)ntk_out_of_core_side(o->s->n);

    cblas_dgemm(CblasColMajor, o->pass.transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, ntk_out_of_core_extent(n, i),
                (int)o->m, ntk_out_of_core_extent(n, o->t), o->pass.inverse ? -1 : 1, tile, side, rows_at(o, o->t), n, 1,
                rows_at(o, i), n);
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
    const int64_t across = ntk_out_of_core_across(s->n), steps = across - from;
    const size_t tiles = ntk_out_of_core_bytes(s->n, 1 + ntk_threads_for(s->ctx, across));
    const struct ntk_blas blas = ntk_blas_begin(1);
    double *diagonal = NULL;
    ntk_status status = ntk_ctx_check_memory(s->ctx, ntk_solver_uncounted(s) + tiles, "tiles of a factor on disk");

    if (status == NTK_OK && !(diagonal = ntk_alloc(s->ctx, ntk_out_of_core_bytes(s->n, 1), 1)))
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
    return run_pass(s, (struct pass){.inverse = true}, first / ntk_out_of_core_side(s->n), m, x);
}

/* Columns of as many tiles at once as there is room for. */
static ntk_status inverse_diagonal(struct ntk_solver *s, double *d)
{
    const int64_t n = s->n, side = ntk_out_of_core_side(n);
    const size_t tiles = ntk_out_of_core_bytes(n, 1 + ntk_threads_for(s->ctx, ntk_out_of_core_across(n)));
    const size_t left = ntk_out_of_core_room(s);
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
