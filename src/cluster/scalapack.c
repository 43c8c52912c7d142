/* SPDX-License-Identifier: MIT
 *
 * scalapack.c - solver: K + R = L L' by ScaLAPACK (Blackford et al. 1997), over all ranks. The lower half is cut into squares,
 * dealt to a P x Q grid of ranks (block-cyclic), of which each computes its own, from its own samples: no entry is sent, and no
 * rank has the matrix. Right-hand sides and solutions are on all ranks. A context that has joined nobody is a grid of one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/communicator.h"
#include "kernel/compiled.h"
#include "data/data.h"
#include "solve/ridge.h"
#include "solve/ritz.h"
#include "solve/solver.h"
#include "store/of_ranks.h"

extern int Csys2blacs_handle(MPI_Comm comm);
extern void Cblacs_gridinit(int *context, const char *order, int rows, int columns);
extern void Cblacs_gridinfo(int context, int *rows, int *columns, int *row, int *column);
extern void Cblacs_gridexit(int context);
extern int numroc_(const int *n, const int *block, const int *process, const int *first, const int *processes);
extern void descinit_(int *desc, const int *m, const int *n, const int *mb, const int *nb, const int *first_row,
                      const int *first_column, const int *context, const int *ld, int *info);
extern void pdpotrf_(const char *half, const int *n, double *a, const int *ia, const int *ja, const int *desc, int *info);
extern void pdpotrs_(const char *half, const int *n, const int *m, const double *a, const int *ia, const int *ja, const int *desc,
                     double *b, const int *ib, const int *jb, const int *desc_b, int *info);
extern void pdtrsm_(const char *side, const char *half, const char *transposed, const char *unit, const int *m, const int *n,
                    const double *alpha, const double *a, const int *ia, const int *ja, const int *desc, double *b,
                    const int *ib, const int *jb, const int *desc_b);
extern void pdtrmm_(const char *side, const char *half, const char *transposed, const char *unit, const int *m, const int *n,
                    const double *alpha, const double *a, const int *ia, const int *ja, const int *desc, double *b,
                    const int *ib, const int *jb, const int *desc_b);

enum { DESC = 9 };
static const int zero = 0, one = 1;

/* Rows or columns that are dealt to so many processes, block by block; of them, those of one. */
struct dealt {
    int n, block, processes, mine, local;
};

static int64_t place(const struct dealt *d, int64_t local)
{
    return (local / d->block * d->processes + d->mine) * d->block + local % d->block;
}

static bool has(const struct dealt *d, int64_t i) { return i / d->block % d->processes == d->mine; }

static int64_t local_of(const struct dealt *d, int64_t i) { return i / d->block / d->processes * d->block + i % d->block; }

/* How many of this one's come before i. */
static int64_t before(const struct dealt *d, int64_t i)
{
    const int64_t block = i / d->block, whole = (block - d->mine + d->processes - 1) / d->processes * d->block;
    const int64_t some = whole + (block % d->processes == d->mine ? i % d->block : 0);

    return some < d->local ? some : d->local;
}

static struct dealt deal(int n, int block, int processes, int mine)
{
    return (struct dealt){n, block, processes, mine, numroc_(&n, &block, &mine, &zero, &processes)};
}

struct scalapack {
    struct ntk_solver base;
    struct dealt rows, columns;
    int context, desc[DESC];
    double *a; /* [columns.local][rows.local], column-major: L, once it has been made */
    bool made;
    size_t bytes;
};

static struct scalapack *own(struct ntk_solver *s) { return (struct scalapack *)s; }

/* ---- the grid: as square as the number of ranks allows */

static int grid_rows(int ranks)
{
    int p = (int)sqrt((double)ranks);

    while (ranks % p != 0)
        p--;
    return p;
}

/* Squares: small enough that each rank has several in a row, or as large as BLAS likes. */
static int block_of(int64_t n, int across)
{
    const int64_t side = n / (8 * across) / 32 * 32;

    return side < 32 ? 32 : side > 256 ? 256 : (int)side;
}

static size_t bytes(int64_t n) { return ntk_bytes((double)n * ((double)n + 1024) * sizeof(double) / ntk_mpi_ranks); }

/* Both halves are held. A solution passes over the factor twice. */
static void cost(const struct ntk_cost_task *t, struct ntk_cost *c)
{
    const double n = (double)t->n;

    *c = (struct ntk_cost){.f64 = n * n * n / 3,
                           .streamed = 2 * 4 * n * n,
                           .passes = 1,
                           .shared = t->ranks,
                           .each = n * n * sizeof(double) / (double)t->ranks};
}

static void close(struct ntk_solver *s)
{
    int over;

    ntk_large_free(own(s)->a, own(s)->bytes, 1);
    MPI_Finalized(&over);
    if (!over)
        Cblacs_gridexit(own(s)->context);
    free(s);
}

static void lay_out(ntk_ctx *ctx, struct scalapack *c, int64_t n)
{
    const int ranks = ntk_n_ranks(ctx), down = grid_rows(ranks), across = ranks / down, block = block_of(n, across);
    int row, column, p, q, info, ld;

    c->context = Csys2blacs_handle(ntk_mpi_comm(ctx));
    Cblacs_gridinit(&c->context, "Row", down, across);
    Cblacs_gridinfo(c->context, &p, &q, &row, &column);
    c->rows = deal((int)n, block, down, row);
    c->columns = deal((int)n, block, across, column);
    ld = c->rows.local > 1 ? c->rows.local : 1;
    descinit_(c->desc, &c->rows.n, &c->rows.n, &block, &block, &zero, &zero, &c->context, &ld, &info);
}

static ntk_status open(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s)
{
    struct scalapack *c;
    ntk_status status;

    if (!ctx->ranks)
        NTK_TRY(ntk_mpi_alone(ctx));
    c = ntk_alloc_zero(ctx, 1, sizeof *c);
    if (!c)
        return ntk_ranks_agree(ctx, NTK_ENOMEM);
    lay_out(ctx, c, k->n);
    c->bytes = (size_t)c->rows.local * (size_t)c->columns.local * sizeof *c->a;
    status = ntk_ctx_check_memory(ctx, beside + c->bytes, "a part of the kernel matrix");
    if (status == NTK_OK) {
        c->a = ntk_large_new(ctx, c->bytes, 1);
        status = c->a ? NTK_OK : NTK_ENOMEM;
    }
    status = ntk_ranks_agree(ctx, status);
    if (status != NTK_OK) {
        close(&c->base);
        return status;
    }
    *s = &c->base;
    return NTK_OK;
}

/* ---- the matrix, from its kernel: the samples of this rank's rows, with those of its columns, a block of them at a time */

struct filling {
    struct scalapack *c;
    ntk_dtype dtype;
    size_t which;
    int64_t i0, j0; /* local places of a block's first column and row */
};

static double *entry(const struct scalapack *c, int64_t row, int64_t column)
{
    return c->a + column * c->desc[8] + row;
}

static int put_own(const ntk_block *b, void *user)
{
    const struct filling *f = user;

    for (int64_t i = 0; b->output == f->which && i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++)
            *entry(f->c, b->j0 + j, b->i0 + i) = ntk_number(b->k, f->dtype, (size_t)(i * b->ld + j));
    return 0;
}

static ntk_status select_own(const ntk_data *x, const struct dealt *d, ntk_data **selected)
{
    int64_t *which = ntk_alloc(NULL, (size_t)d->local, sizeof *which);
    ntk_status status;

    if (!which)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < d->local; k++)
        which[k] = place(d, k);
    status = ntk_data_select(x, which, d->local, selected);
    free(which);
    return status;
}

static ntk_status compute_columns(struct filling *f, struct ntk_job job)
{
    const struct scalapack *c = f->c;
    ntk_status status = NTK_OK;

    for (int64_t k = 0; k < c->columns.local && status == NTK_OK; k += c->columns.block) {
        const int64_t first = before(&c->rows, place(&c->columns, k));

        job.i0 = k;
        job.ni = ntk_least(c->columns.block, c->columns.local - k);
        job.j0 = first;
        job.nj = c->rows.local - first;
        if (job.nj > 0)
            status = ntk_run(&job, put_own, f);
    }
    return status;
}

static ntk_status compute(struct scalapack *c, const ntk_kernel *kernel, const ntk_data *x)
{
    struct filling f = {.c = c, .dtype = kernel->dtype, .which = c->base.which};
    ntk_data *rows = NULL, *columns = NULL;
    struct ntk_job job;
    ntk_status status = NTK_OK;

    if (c->rows.local > 0 && c->columns.local > 0) {
        status = select_own(x, &c->rows, &rows);
        if (status == NTK_OK)
            status = select_own(x, &c->columns, &columns);
        if (status == NTK_OK)
            status = ntk_kernel_begin(kernel, columns, rows, c->base.beside + c->bytes, "a part of the kernel matrix", &job);
        if (status == NTK_OK) {
            status = compute_columns(&f, job);
            ntk_kernel_end(&job);
        }
    }
    ntk_data_free(rows);
    ntk_data_free(columns);
    return status;
}

/* From an operator that has entries, which every rank reads: of entries (i, j), j >= i, those of its own (j, i). */
static void put_of_all(void *to, const ntk_block *b, ntk_dtype dtype)
{
    const struct scalapack *c = to;

    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = 0; j < b->nj && has(&c->columns, b->i0 + i); j++)
            if (has(&c->rows, b->j0 + j) && b->j0 + j >= b->i0 + i)
                *entry(c, local_of(&c->rows, b->j0 + j), local_of(&c->columns, b->i0 + i)) =
                    ntk_number(b->k, dtype, (size_t)(i * b->ld + j));
}

#define PANEL 64

/* From one that has none, by products with unit vectors. */
static ntk_status multiply(struct scalapack *c)
{
    const int64_t n = c->rows.n, most = n < PANEL ? n : PANEL;
    double *x = ntk_alloc(c->base.ctx, (size_t)(2 * most * n), sizeof *x), *columns = x + most * n;
    ntk_status status = ntk_ranks_agree(c->base.ctx, x ? NTK_OK : NTK_ENOMEM);

    for (int64_t first = 0; first < n && status == NTK_OK; first += most) {
        const int64_t m = ntk_least(most, n - first);

        memset(x, 0, (size_t)(m * n) * sizeof *x);
        for (int64_t k = 0; k < m; k++)
            x[k * n + first + k] = 1;
        status = ntk_solver_multiply(&c->base, m, x, columns);
        for (int64_t k = 0; k < m && status == NTK_OK; k++)
            for (int64_t i = 0; i < c->rows.local && has(&c->columns, first + k); i++)
                *entry(c, i, local_of(&c->columns, first + k)) = columns[k * n + place(&c->rows, i)];
    }
    free(x);
    return status;
}

static ntk_status read(struct scalapack *c)
{
    const char *what = "a kernel matrix of this many samples";
    const ntk_kernel *kernel;
    const ntk_data *x;
    ntk_status status;

    memset(c->a, 0, c->bytes);
    if (ntk_operator_is_shared(c->base.k, &kernel, &x))
        status = compute(c, kernel, x);
    else if (!c->base.k->class->stream)
        status = multiply(c);
    else
        status = ntk_operator_read_one(c->base.k, c->base.which, (struct ntk_taker){put_of_all, c}, c->bytes, what);
    return ntk_ranks_agree(c->base.ctx, status);
}

/* ---- the factor */

/* Own diagonal entries: ridge added, or (NULL) copied to d, 0 elsewhere. */
static void diagonal(const struct scalapack *c, const double *ridge, double *d)
{
    for (int64_t k = 0; k < c->columns.local; k++) {
        const int64_t i = place(&c->columns, k);

        if (has(&c->rows, i) && ridge)
            *entry(c, local_of(&c->rows, i), k) += ridge[i];
        if (has(&c->rows, i) && d)
            d[i] = *entry(c, local_of(&c->rows, i), k);
    }
}

static void diagonal_of_all(const struct scalapack *c, double *d)
{
    memset(d, 0, (size_t)c->rows.n * sizeof *d);
    diagonal(c, NULL, d);
    ntk_ranks_sum(c->base.ctx, (size_t)c->rows.n, d);
}

/* What pdpotrf sends, to leading order: each column of L to the ranks of its row and of its column of the grid. */
static void count_factor(const struct scalapack *c)
{
    const double n = c->rows.n, copies = c->rows.processes + c->columns.processes - 2;

    ntk_mpi_count(c->base.ctx, n * n / 2 * sizeof(double) * copies / ntk_n_ranks(c->base.ctx));
}

/* A pivot that is rounding error means what cholesky.c's does. */
static ntk_status check_pivots(struct scalapack *c, double largest, char *how, size_t size)
{
    double *d = ntk_alloc(c->base.ctx, (size_t)c->rows.n, sizeof *d);

    NTK_TRY(ntk_ranks_agree(c->base.ctx, d ? NTK_OK : NTK_ENOMEM));
    diagonal_of_all(c, d);
    ntk_ridge_pivots(c->base.ctx, c->rows.n, d, c->base.precision, largest, how, size);
    free(d);
    return NTK_OK;
}

static ntk_status factor(struct ntk_solver *s, char *how, size_t size)
{
    struct scalapack *c = own(s);
    double largest = 0, least = (double)INFINITY, *d = ntk_alloc(s->ctx, (size_t)s->n, sizeof *d);
    int info = 0;
    ntk_status status = ntk_ranks_agree(s->ctx, d ? NTK_OK : NTK_ENOMEM);

    c->made = false;
    if (status == NTK_OK)
        status = read(c);
    if (status != NTK_OK) {
        free(d);
        return status;
    }
    diagonal_of_all(c, d);
    for (int64_t i = 0; i < s->n; i++) {
        largest = fmax(largest, d[i]);
        least = fmin(least, s->ridge[i]);
    }
    free(d);
    diagonal(c, s->ridge, NULL);
    NTK_TRY(ntk_progress(s->ctx, "factorisations", 0, 1));
    pdpotrf_("L", &c->rows.n, c->a, &one, &one, c->desc, &info);
    count_factor(c);
    if (info > 0) {
        snprintf(how, size, "its leading minor of order %d is not positive", info);
        return NTK_OK;
    }
    NTK_TRY(check_pivots(c, largest + least, how, size));
    c->made = !*how;
    return *how ? NTK_OK : ntk_progress(s->ctx, "factorisations", 1, 1);
}

/* What came back from a file came without. */
static ntk_status need_factor(struct ntk_solver *s)
{
    char how[200] = "";

    if (own(s)->made)
        return NTK_OK;
    NTK_TRY(factor(s, how, sizeof how));
    return *how ? ntk_fail(s->ctx, NTK_ENUMERIC, "the kernel matrix is not positive definite: %s", how) : NTK_OK;
}

/* ---- right-hand sides: dealt, worked on, gathered */

typedef void work_fn(const struct scalapack *c, int m, double *b, const int *desc);

static void with_both(const struct scalapack *c, int m, double *b, const int *desc)
{
    int info;

    pdpotrs_("L", &c->rows.n, &m, c->a, &one, &one, c->desc, b, &one, &one, desc, &info);
}

static void with_half(const struct scalapack *c, int m, double *b, const int *desc)
{
    const double unit = 1;

    pdtrsm_("L", "L", "N", "N", &c->rows.n, &m, &unit, c->a, &one, &one, c->desc, b, &one, &one, desc);
}

static void times_both(const struct scalapack *c, int m, double *b, const int *desc)
{
    const double unit = 1;

    pdtrmm_("L", "L", "T", "N", &c->rows.n, &m, &unit, c->a, &one, &one, c->desc, b, &one, &one, desc);
    pdtrmm_("L", "L", "N", "N", &c->rows.n, &m, &unit, c->a, &one, &one, c->desc, b, &one, &one, desc);
}

static ntk_status apply(struct ntk_solver *s, work_fn *work, int64_t m, double *x)
{
    struct scalapack *c = own(s);
    const int width = m < c->columns.block ? (int)m : c->columns.block;
    const struct dealt columns = deal((int)m, width, c->columns.processes, c->columns.mine);
    const size_t numbers = (size_t)columns.local * (size_t)c->rows.local;
    double *b;
    int desc[DESC], info;

    NTK_TRY(need_factor(s));
    b = ntk_alloc(s->ctx, numbers, sizeof *b);
    NTK_TRY(ntk_ranks_agree(s->ctx, b ? NTK_OK : NTK_ENOMEM));
    descinit_(desc, &c->rows.n, &columns.n, &c->rows.block, &width, &zero, &zero, &c->context, &c->desc[8], &info);
    for (int64_t k = 0; k < columns.local; k++)
        for (int64_t i = 0; i < c->rows.local; i++)
            b[k * c->rows.local + i] = x[place(&columns, k) * s->n + place(&c->rows, i)];
    work(c, (int)m, b, desc);
    memset(x, 0, (size_t)(m * s->n) * sizeof *x);
    for (int64_t k = 0; k < columns.local; k++)
        for (int64_t i = 0; i < c->rows.local; i++)
            x[place(&columns, k) * s->n + place(&c->rows, i)] = b[k * c->rows.local + i];
    free(b);
    ntk_ranks_sum(s->ctx, (size_t)(m * s->n), x);
    ntk_mpi_count(s->ctx, 2 * (double)(m * s->n) * sizeof *x * (c->rows.processes + c->columns.processes - 2) / ntk_n_ranks(s->ctx));
    return ntk_poll(s->ctx);
}

static ntk_status solve(struct ntk_solver *s, int64_t m, double *x) { return apply(s, with_both, m, x); }
static ntk_status half(struct ntk_solver *s, int64_t m, double *x) { return apply(s, with_half, m, x); }

static ntk_status log_determinant(struct ntk_solver *s, double *value)
{
    double *d;

    NTK_TRY(need_factor(s));
    d = ntk_alloc(s->ctx, (size_t)s->n, sizeof *d);
    NTK_TRY(ntk_ranks_agree(s->ctx, d ? NTK_OK : NTK_ENOMEM));
    diagonal_of_all(own(s), d);
    *value = 0;
    for (int64_t i = 0; i < s->n; i++)
        *value += 2 * log(d[i]);
    free(d);
    return NTK_OK;
}

/* ---- eigenvalues, by Lanczos on L L' and its inverse */

static ntk_status apply_matrix(double *x, void *s) { return apply(s, times_both, 1, x); }
static ntk_status apply_inverse(double *x, void *s) { return apply(s, with_both, 1, x); }

static ntk_status extremes(struct ntk_solver *s, double *least, double *largest)
{
    double inverse = 0;

    NTK_TRY(ntk_lanczos_largest(s->ctx, s->n, apply_matrix, s, largest));
    NTK_TRY(ntk_lanczos_largest(s->ctx, s->n, apply_inverse, s, &inverse));
    *least = 1 / inverse;
    return NTK_OK;
}

const struct ntk_solver_class ntk_solver_class_scalapack = {
    .name = "scalapack",
    .bytes = bytes,
    .peak = bytes,
    .cost = cost,
    .open = open,
    .factor = factor,
    .solve = solve,
    .half = half,
    .log_determinant = log_determinant,
    .extremes = extremes,
    .close = close,
};
