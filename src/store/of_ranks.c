/* SPDX-License-Identifier: MIT
 *
 * of_ranks.c - see of_ranks.h. The lower half is cut into squares, as a store's tiles, which are dealt to ranks in turn. Each
 * rank keeps its own, in the kernel's type or, where that has no room on one of them, in float32; or computes them for each
 * product. A product is what each has from its squares, summed over ranks.
 */
#include "store/of_ranks.h"

#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "data/data.h"
#include "kernel/compiled.h"
#include "simd/simd.h"
#include "store/store.h"

#define SIDE  1024
#define LEAST 256
#define EACH  8 /* squares that each rank has, at the least, if there are so many samples */
#define PIECE 128

enum keeping { UNKNOWN = -1, NOTHING, SINGLE, ALL };

struct of_ranks {
    struct ntk_operator base, *alone;
    ntk_kernel *kernel;
    const ntk_data *x;
    struct ntk_store_part squares; /* sizes alone */
    enum keeping keeping;          /* the same on all ranks */
    int64_t kept;                  /* the matrix whose squares are in `tiles`; -1: none */
    int64_t count;                 /* own squares */
    size_t held;
    unsigned char *tiles;          /* [count][b][b] */
};

static struct of_ranks *own(struct ntk_operator *o) { return (struct of_ranks *)o; }

static ntk_dtype kept_dtype(const struct of_ranks *o) { return o->keeping == SINGLE ? NTK_F32 : o->base.dtype; }

static size_t square(const struct of_ranks *o) { return (size_t)(o->squares.b1 * o->squares.b1); }

static double bytes_of(const struct of_ranks *o, ntk_dtype dtype) { return (double)o->count * (double)square(o) * (double)dtype; }

/* ---- squares, computed */

struct computing {
    struct of_ranks *o;
    size_t k;
    struct ntk_store_tile t;
    void *to; /* [b][b] */
    ntk_progress_fn *progress;
    void *user;
    int64_t done;
};

static int put(const ntk_block *b, void *user)
{
    const struct computing *c = user;

    if (b->output == c->k)
        ntk_store_tile_put(&c->o->squares, &c->t, b, c->o->base.dtype, c->to);
    return 0;
}

static ntk_status compute_square(struct computing *c, struct ntk_job job, int64_t number, void *to)
{
    c->t = ntk_store_tile_at(&c->o->squares, number);
    c->to = to;
    ntk_store_tile_job(&c->o->squares, &c->t, &job);
    return ntk_run(&job, put, c);
}

/* Of float64 numbers, float32 ones. */
static void narrow(const struct ntk_store_tile *t, int64_t b, const double *from, float *to)
{
    for (int64_t i = 0; i < t->ni; i++)
        for (int64_t j = 0; j < t->nj; j++)
            to[i * b + j] = (float)from[i * b + j];
}

/* Progress is that of this rank's squares. */
static int tell(const char *what, double done, double total, void *user)
{
    const struct computing *c = user;
    const double part = strcmp(what, "preparations") != 0 && total > 0 ? done / total : 0;

    return c->progress("squares of the kernel", (double)c->done + part, (double)c->o->count, c->user);
}

/* ---- products with a square and its mirror. Threads have its rows in pieces, whose sums for columns are added in order. */

struct product {
    struct of_ranks *o;
    int64_t m;
    const double *x;
    double *out, *sums; /* [pieces][m][b + PIECE] */
};

static void multiply_piece(const struct product *p, const struct ntk_store_tile *t, ntk_dtype dtype, const void *tile, int64_t piece)
{
    const int64_t b = p->o->squares.b1, first = piece * PIECE, width = b + PIECE;
    double *sums = p->sums + piece * p->m * width;
    const struct ntk_products_args args = {.rows = (size_t)ntk_least(PIECE, t->ni - first),
                                           .n = (size_t)t->nj,
                                           .ld = (size_t)b,
                                           .m = (size_t)p->m,
                                           .x_stride = (size_t)p->o->base.n,
                                           .out_stride = (size_t)width,
                                           .a = (const char *)tile + first * b * (int64_t)dtype,
                                           .x = p->x + t->j0,
                                           .x_rows = p->x + t->i0 + first,
                                           .out = t->i0 == t->j0 ? NULL : sums + PIECE,
                                           .out_rows = sums};

    memset(sums, 0, (size_t)(p->m * width) * sizeof *sums);
    ntk_simd_of(p->o->base.ctx->isa, dtype)->products(&args);
}

static void multiply_square(const struct product *p, const struct ntk_store_tile *t, ntk_dtype dtype, const void *tile)
{
    const int64_t pieces = (t->ni + PIECE - 1) / PIECE, width = p->o->squares.b1 + PIECE, n = p->o->base.n;

#pragma omp parallel num_threads(ntk_threads_for(p->o->base.ctx, pieces))
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < pieces; k++)
            multiply_piece(p, t, dtype, tile, k);
#pragma omp for schedule(static)
        for (int64_t c = 0; c < p->m; c++)
            for (int64_t k = 0; k < pieces; k++) {
                const double *sums = p->sums + (k * p->m + c) * width;

                for (int64_t i = 0; i < PIECE && k * PIECE + i < t->ni; i++)
                    p->out[c * n + t->i0 + k * PIECE + i] += sums[i];
                for (int64_t j = 0; t->i0 != t->j0 && j < t->nj; j++)
                    p->out[c * n + t->j0 + j] += sums[PIECE + j];
            }
    }
}

/* ---- own squares, from where they are */

static ntk_status go_through(struct of_ranks *o, size_t k, const struct product *p, void *work)
{
    ntk_ctx *ctx = o->base.ctx;
    struct computing c = {.o = o, .k = k, .progress = ctx->progress, .user = ctx->progress_user};
    const ntk_dtype dtype = kept_dtype(o);
    const bool there = o->kept == (int64_t)k;
    struct ntk_job job;
    ntk_status status = NTK_OK;

    if (!there)
        NTK_TRY(ntk_kernel_begin(o->kernel, o->x, NULL, o->held, "a part of the kernel matrix", &job));
    if (!there)
        o->kept = -1; /* until all of it is there */
    if (!there && c.progress)
        ntk_ctx_set_progress(ctx, tell, &c);
    for (int64_t t = ntk_rank(ctx); t < o->squares.tiles && status == NTK_OK; t += ntk_n_ranks(ctx), c.done++) {
        void *tile = o->tiles ? o->tiles + (size_t)c.done * square(o) * dtype : work;
        const struct ntk_store_tile at = ntk_store_tile_at(&o->squares, t);

        if (!there)
            status = compute_square(&c, job, t, dtype == o->base.dtype ? tile : work);
        if (status == NTK_OK && !there && dtype != o->base.dtype)
            narrow(&at, o->squares.b1, work, tile);
        if (status == NTK_OK)
            multiply_square(p, &at, dtype, tile);
        if (status == NTK_OK)
            status = ntk_poll(ctx);
    }
    if (!there)
        ntk_ctx_set_progress(ctx, c.progress, c.user);
    if (!there)
        ntk_kernel_end(&job);
    if (status == NTK_OK && o->tiles)
        o->kept = (int64_t)k;
    return status;
}

/* What this one has room for: three quarters of what is left beside the computation. */
static enum keeping room_for(const struct of_ranks *o, size_t computing)
{
    const size_t memory = ntk_ctx_memory(o->base.ctx), held = computing + (o->base.ctx->memory ? o->base.ctx->held : 0);
    const double left = memory > held ? (double)(memory - held) / 4 * 3 : 0;

    return bytes_of(o, o->base.dtype) <= left ? ALL : bytes_of(o, NTK_F32) <= left ? SINGLE : NOTHING;
}

static ntk_status keep(struct of_ranks *o)
{
    ntk_ctx *ctx = o->base.ctx;
    enum keeping mine;
    double enough[2];
    size_t computing = 0;
    ntk_status status = ntk_ranks_agree(ctx, ntk_operator_scratch(o->alone, &computing));

    NTK_TRY(status);
    mine = room_for(o, computing);
    enough[0] = mine >= SINGLE;
    enough[1] = mine == ALL;
    ntk_ranks_sum(ctx, 2, enough);
    o->keeping = enough[1] == ntk_n_ranks(ctx) ? ALL : enough[0] == ntk_n_ranks(ctx) ? SINGLE : NOTHING;
    if (o->keeping == NOTHING)
        ntk_log(ctx, 0, "memory does not hold the ranks' parts of the kernel matrix: they are computed for each product");
    if (o->keeping == SINGLE && o->base.dtype == NTK_F64)
        ntk_log(ctx, 0, "memory holds the ranks' parts of the kernel matrix in float32: its entries have 7 digits");
    if (o->keeping != NOTHING) {
        o->tiles = ntk_alloc(ctx, (size_t)o->count * square(o), kept_dtype(o));
        status = o->tiles ? NTK_OK : NTK_ENOMEM;
        if (o->tiles)
            ntk_ctx_keep(ctx, (size_t)bytes_of(o, kept_dtype(o)), &o->held);
    }
    return ntk_ranks_agree(ctx, status);
}

static ntk_status apply(struct ntk_operator *base, size_t k, int64_t m, const double *x, double *out)
{
    struct of_ranks *o = own(base);
    const int64_t pieces = (o->squares.b1 + PIECE - 1) / PIECE;
    struct product p = {o, m, x, out, NULL};
    void *work = NULL;
    ntk_status status = NTK_OK;

    if (o->keeping == UNKNOWN)
        NTK_TRY(keep(o));
    NTK_TRY(ntk_isa_resolve(base->ctx));
    p.sums = ntk_alloc(base->ctx, (size_t)(pieces * m * (o->squares.b1 + PIECE)), sizeof *p.sums);
    work = ntk_alloc(base->ctx, square(o), base->dtype);
    if (!p.sums || !work)
        status = NTK_ENOMEM;
    memset(out, 0, (size_t)(m * base->n) * sizeof *out);
    if (status == NTK_OK)
        status = go_through(o, k, &p, work);
    free(work);
    free(p.sums);
    NTK_TRY(ntk_ranks_agree(base->ctx, status));
    ntk_ranks_sum(base->ctx, (size_t)(m * base->n), out);
    return NTK_OK;
}

/* ---- rows: each rank has their entries in a span of columns */

struct some_rows {
    size_t k;
    ntk_dtype dtype;
    int64_t n, first;
    double *rows;
};

static int put_rows(const ntk_block *b, void *user)
{
    const struct some_rows *s = user;

    for (int64_t i = 0; b->output == s->k && i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++)
            s->rows[(b->i0 + i) * s->n + s->first + b->j0 + j] = ntk_number(b->k, s->dtype, (size_t)(i * b->ld + j));
    return 0;
}

static ntk_status own_rows(struct of_ranks *o, size_t k, int64_t count, const int64_t *which, double *rows)
{
    const int64_t n = o->base.n, ranks = ntk_n_ranks(o->base.ctx), rank = ntk_rank(o->base.ctx);
    const int64_t first = n * rank / ranks, end = n * (rank + 1) / ranks;
    struct some_rows s = {k, o->base.dtype, n, first, rows};
    ntk_data *selected = NULL, *columns = NULL;
    ntk_status status = NTK_OK;

    if (end > first) {
        status = ntk_data_select(o->x, which, count, &selected);
        if (status == NTK_OK)
            status = ntk_data_slice(o->x, first, end - first, &columns);
        if (status == NTK_OK)
            status = ntk_kernel_stream_for(o->kernel, selected, columns, o->held + (size_t)(count * n) * sizeof *rows,
                                           "a part of a kernel matrix", put_rows, &s);
    }
    ntk_data_free(columns);
    ntk_data_free(selected);
    return status;
}

static ntk_status rows(struct ntk_operator *base, size_t k, int64_t count, const int64_t *which, double *to)
{
    memset(to, 0, (size_t)(count * base->n) * sizeof *to);
    NTK_TRY(ntk_ranks_agree(base->ctx, own_rows(own(base), k, count, which, to)));
    ntk_ranks_sum(base->ctx, (size_t)(count * base->n), to);
    return NTK_OK;
}

static ntk_status diagonal(struct ntk_operator *base, size_t k, double *d)
{
    return ntk_operator_diagonal(own(base)->alone, k, d);
}

static ntk_status scratch(const struct ntk_operator *base, size_t *bytes)
{
    return ntk_operator_scratch(((const struct of_ranks *)base)->alone, bytes);
}

static void close(struct ntk_operator *base)
{
    struct of_ranks *o = own(base);

    ntk_operator_free(o->alone);
    ntk_ctx_release(base->ctx, o->held);
    free(o->tiles);
    free(o);
}

static const struct ntk_operator_class class = {
    .name = "a kernel on several ranks", .apply = apply, .rows = rows, .diagonal = diagonal, .scratch = scratch, .close = close};

bool ntk_operator_is_shared(const struct ntk_operator *o, const ntk_kernel **kernel, const ntk_data **x)
{
    const struct of_ranks *own = (const struct of_ranks *)o;

    if (o->class != &class)
        return false;
    *kernel = own->kernel;
    *x = own->x;
    return true;
}

static int64_t side_of(int64_t n, int64_t ranks)
{
    int64_t b = SIDE;

    while (b > LEAST && (n + b - 1) / b * ((n + b - 1) / b + 1) / 2 < EACH * ranks)
        b /= 2;
    return b < n ? b : n;
}

ntk_status ntk_operator_of_ranks(ntk_kernel *kernel, const ntk_data *x, struct ntk_operator *alone, struct ntk_operator **o)
{
    struct of_ranks *own = ntk_alloc_zero(kernel->ctx, 1, sizeof *own);
    const int64_t n = ntk_data_n(x), ranks = ntk_n_ranks(kernel->ctx), b = side_of(n, ranks);

    if (!own)
        return NTK_ENOMEM;
    own->base = *alone;
    own->base.class = &class;
    own->alone = alone;
    own->kernel = kernel;
    own->x = x;
    own->squares = (struct ntk_store_part){.there = true, .square = true, .n1 = n, .n2 = n, .b1 = b, .b2 = b};
    own->squares.tiles = ntk_store_count(&own->squares);
    own->count = (own->squares.tiles - ntk_rank(kernel->ctx) + ranks - 1) / ranks;
    own->keeping = UNKNOWN;
    own->kept = -1;
    *o = &own->base;
    return NTK_OK;
}
