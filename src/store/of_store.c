/* SPDX-License-Identifier: MIT
 *
 * of_store.c - a store's square part as an operator: tile by tile, each read whole and checked.
 */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "base/views.h"
#include "kernel/compiled.h"
#include "store/store.h"

struct of_store {
    struct ntk_operator base;
    ntk_kernel_store *store;
    bool owned;
};

static ntk_kernel_store *store_of(const struct ntk_operator *o) { return ((const struct of_store *)o)->store; }
static const struct ntk_store_part *part_of(const struct ntk_operator *o) { return &store_of(o)->part[NTK_STORE_MAIN]; }

/* ---- entries. Columns [first, end) of a tile are rows of the matrix above the diagonal. */

#define STRIP 64 /* of them, that a sink gets at once, from several threads */

struct handing {
    const struct ntk_operator *o;
    const struct ntk_reading *to;
    size_t m;
    const struct ntk_store_tile *t;
    int64_t pitch;
    const unsigned char *tile;
};

/* As they stand, the matrix being symmetric: a square on the diagonal, then what is beside it. */
static int hand_diagonal(const struct handing *h, int64_t first, int64_t n)
{
    const struct ntk_store_tile *t = h->t;
    const size_t size = h->o->dtype;
    ntk_block b = {.output = h->m, .i0 = first, .ni = n, .j0 = first, .nj = n, .ld = h->pitch};
    int stop;

    b.k = h->tile + (size_t)((first - t->i0) * h->pitch + first - t->j0) * size;
    stop = h->to->sink(&b, h->to->user);
    b.j0 += n;
    b.nj = t->j0 + t->nj - b.j0;
    b.k = (const unsigned char *)b.k + (size_t)n * size;
    return stop || (b.nj > 0 && h->to->sink(&b, h->to->user));
}

static int hand_turned(const struct handing *h, int64_t first, int64_t n, void *turned)
{
    const struct ntk_store_tile *t = h->t;
    const struct ntk_view tile = {(void *)(uintptr_t)h->tile, h->o->dtype, h->pitch};
    const struct ntk_view to = {turned, h->o->dtype, t->ni};
    const ntk_block b = {
        .output = h->m, .i0 = first, .ni = n, .j0 = t->i0, .nj = t->ni, .k = turned, .ld = t->ni};

    ntk_transpose(t->ni, n, ntk_view_at(tile, 0, first - t->j0), to);
    return h->to->sink(&b, h->to->user);
}

static ntk_status hand_on(const struct handing *h)
{
    const int64_t first = ntk_most(h->to->i0, h->t->j0), end = ntk_least(h->to->i0 + h->to->ni, h->t->j0 + h->t->nj);
    const int64_t strips = (end - first + STRIP - 1) / STRIP;
    ntk_ctx *ctx = h->o->ctx;
    int stop = 0, lack = 0;

#pragma omp parallel num_threads(ntk_threads_for(ctx, strips)) reduction(| : stop, lack)
    {
        void *turned = h->t->i0 == h->t->j0 ? NULL : ntk_alloc(NULL, (size_t)(STRIP * h->t->ni), h->o->dtype);

        lack = h->t->i0 != h->t->j0 && !turned;
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < strips; k++) {
            const int64_t i = first + k * STRIP, n = ntk_least(STRIP, end - i);

            if (!stop && !lack)
                stop |= h->t->i0 == h->t->j0 ? hand_diagonal(h, i, n) : hand_turned(h, i, n, turned);
        }
        free(turned);
    }
    if (lack)
        return ntk_fail(ctx, NTK_ENOMEM, "no memory for the rows of a tile");
    return stop ? ntk_fail(ctx, NTK_ECANCEL, "cancelled by the receiver of the kernel's blocks") : NTK_OK;
}

static ntk_status stream_matrices(struct ntk_operator *o, const struct ntk_reading *r, unsigned char *tile)
{
    const struct ntk_store *s = store_of(o);
    const struct ntk_store_part *p = part_of(o);
    const int64_t rows = ntk_store_down(p);
    int64_t done = 0;

    for (int64_t column = r->i0 / p->b1; column <= (r->i0 + r->ni - 1) / p->b1; column++)
        for (int64_t row = column; row < rows; row++, done++) {
            const struct ntk_store_tile t = ntk_store_tile_at(p, ntk_store_tile_number(p, row, column));

            for (size_t m = 0; m < o->count; m++) {
                const struct handing h = {o, r, m, &t, p->b2, tile};

                NTK_TRY(ntk_store_tile_read(s, p, s->which[m], t.t, tile));
                NTK_TRY(hand_on(&h));
            }
            NTK_TRY(r->ni == o->n ? ntk_progress(o->ctx, "tiles of the store", (double)(done + 1), (double)p->tiles)
                                  : ntk_poll(o->ctx));
        }
    return NTK_OK;
}

static ntk_status room_for_tile(const struct ntk_operator *o, size_t held, const char *what, size_t size, void **tile)
{
    const struct ntk_store_part *p = part_of(o);
    const size_t bytes = (size_t)(p->b1 * p->b2) * size;

    NTK_TRY(ntk_ctx_check_memory(o->ctx, held + bytes, what));
    *tile = ntk_alloc(o->ctx, bytes, 1);
    return *tile ? NTK_OK : NTK_ENOMEM;
}

/* What is not there is computed first. */
static ntk_status prepare(struct ntk_operator *o, size_t held, const char *what)
{
    NTK_TRY(ntk_store_fill_for(store_of(o), held, what));
    for (size_t m = 0; m < o->count; m++)
        NTK_TRY(ntk_store_check(store_of(o), m, 0));
    return NTK_OK;
}

static ntk_status stream(struct ntk_operator *o, const struct ntk_reading *r)
{
    ntk_status status;
    void *tile;

    NTK_TRY(prepare(o, r->held, r->what));
    NTK_TRY(room_for_tile(o, r->held, r->what, o->dtype, &tile));
    status = stream_matrices(o, r, tile);
    free(tile);
    return status;
}

/* What computing takes that is still to be done; beside it, of what is there, a tile and its rows, turned. */
static ntk_status scratch(const struct ntk_operator *o, size_t *bytes)
{
    const struct ntk_store *s = store_of(o);
    const struct ntk_store_part *p = part_of(o), *test = &s->part[NTK_STORE_TEST];
    const size_t tile = ntk_store_tile_bytes(s, p), of_test = test->there && s->test ? ntk_store_tile_bytes(s, test) : 0;
    const size_t read = tile + (size_t)(ntk_ctx_threads(o->ctx) * STRIP * p->b1) * o->dtype;
    bool whole = true;

    for (int64_t t = 0; t < p->tiles; t++)
        whole = whole && ntk_store_has(s, p, t);
    *bytes = 0;
    if (!whole && s->kernel) {
        NTK_TRY(ntk_kernel_scratch(s->kernel, s->x1, NULL, bytes));
        *bytes += o->count * (tile > of_test ? tile : of_test);
    }
    *bytes = *bytes > read ? *bytes : read;
    return NTK_OK;
}

/* ---- products. Of a tile, threads have rows of the one product and columns of the other: nobody shares a sum. */

#define PIECE 128

struct product {
    const struct ntk_operator *o;
    const struct ntk_store_tile *t;
    int64_t pitch, m;
    double *tile;
    const double *x;
    double *out;
};

static void multiply_tile(const struct product *p)
{
    const struct ntk_store_tile *t = p->t;
    const int64_t rows = (t->ni + PIECE - 1) / PIECE, columns = t->i0 == t->j0 ? 0 : (t->nj + PIECE - 1) / PIECE;
    const int n = (int)p->o->n, m = (int)p->m, pitch = (int)p->pitch;

#pragma omp parallel for num_threads(ntk_threads_for(p->o->ctx, rows + columns)) schedule(dynamic, 1)
    for (int64_t k = 0; k < rows + columns; k++) {
        const int64_t first = (k < rows ? k : k - rows) * PIECE;
        const int size = (int)ntk_least(PIECE, (k < rows ? t->ni : t->nj) - first);

        if (k < rows)
            cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, size, m, (int)t->nj, 1, p->tile + first * p->pitch, pitch,
                        p->x + t->j0, n, 1, p->out + t->i0 + first, n);
        else
            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, size, m, (int)t->ni, 1, p->tile + first, pitch,
                        p->x + t->i0, n, 1, p->out + t->j0 + first, n);
    }
}

/* float32 numbers at the beginning of each row become float64 ones, from the end. */
static void widen(const struct ntk_operator *o, const struct ntk_store_tile *t, int64_t pitch, const float *from, double *to)
{
#pragma omp parallel for num_threads(ntk_threads_for(o->ctx, t->ni / PIECE)) schedule(static)
    for (int64_t i = 0; i < t->ni; i++)
        for (int64_t j = 0; j < t->nj; j++)
            to[i * pitch + j] = (double)from[i * pitch + j];
}

static ntk_status multiply(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out, void *read, void *wide)
{
    const struct ntk_store *s = store_of(o);
    const struct ntk_store_part *part = part_of(o);

    for (int64_t number = 0; number < part->tiles; number++) {
        const struct ntk_store_tile t = ntk_store_tile_at(part, number);
        const struct product p = {o, &t, part->b2, m, o->dtype == NTK_F32 ? wide : read, x, out};

        NTK_TRY(ntk_store_tile_read(s, part, s->which[k], number, read));
        if (o->dtype == NTK_F32)
            widen(o, &t, part->b2, read, wide);
        multiply_tile(&p);
        NTK_TRY(ntk_poll(o->ctx));
    }
    return NTK_OK;
}

static ntk_status apply(struct ntk_operator *o, size_t k, int64_t m, const double *x, double *out)
{
    const char *what = "products with a stored matrix";
    const struct ntk_store_part *p = part_of(o);
    const size_t wide_bytes = o->dtype == NTK_F32 ? (size_t)(p->b1 * p->b2) * sizeof(double) : 0;
    struct ntk_blas blas;
    void *read, *wide = NULL;
    ntk_status status = NTK_OK;

    NTK_TRY(prepare(o, 0, what));
    memset(out, 0, (size_t)(m * o->n) * sizeof *out);
    NTK_TRY(room_for_tile(o, wide_bytes, what, o->dtype, &read));
    if (wide_bytes) {
        wide = ntk_alloc(o->ctx, wide_bytes, 1);
        status = wide ? NTK_OK : NTK_ENOMEM;
    }
    blas = ntk_blas_begin(1);
    if (status == NTK_OK)
        status = multiply(o, k, m, x, out, read, wide);
    ntk_blas_end(blas);
    free(wide);
    free(read);
    return status;
}

/* ---- the diagonal */

static ntk_status diagonal(struct ntk_operator *o, size_t k, double *d)
{
    const struct ntk_store *s = store_of(o);
    const struct ntk_store_part *p = part_of(o);
    const int64_t rows = ntk_store_down(p);
    ntk_status status = NTK_OK;
    void *tile;

    NTK_TRY(prepare(o, 0, "the diagonal of a kernel matrix"));
    NTK_TRY(room_for_tile(o, 0, "the diagonal of a kernel matrix", o->dtype, &tile));
    for (int64_t row = 0; row < rows && status == NTK_OK; row++) {
        const struct ntk_store_tile t = ntk_store_tile_at(p, ntk_store_tile_number(p, row, row));

        status = ntk_store_tile_read(s, p, s->which[k], t.t, tile);
        for (int64_t i = 0; i < t.ni && status == NTK_OK; i++)
            d[t.i0 + i] = ntk_number(tile, o->dtype, (size_t)(i * (p->b2 + 1)));
    }
    free(tile);
    return status;
}

/* Its checksums are all that its entries are. */
static ntk_status lasting(struct ntk_operator *o, size_t k, size_t held, struct ntk_lasting *l)
{
    const struct ntk_store *s = store_of(o);
    const struct ntk_store_part *p = part_of(o);
    int length;
    const char *name = ntk_store_name(s, s->which[k], &length);

    NTK_TRY(prepare(o, held, "a kernel matrix of this many samples"));
    l->path = s->path;
    snprintf(l->name, sizeof l->name, "%.*s", s->stored > 1 ? length : 0, name);
    l->hash = ntk_hash(ntk_store_mark(p, s->which[k], 0), (size_t)p->tiles * sizeof *p->marks) ^
              ntk_mix64((uint64_t)p->b1 * 16 + s->dtype);
    return NTK_OK;
}

static void close(struct ntk_operator *o)
{
    if (((struct of_store *)o)->owned)
        ntk_store_free(store_of(o));
    free(o);
}

static const struct ntk_operator_class class = {
    .name = "a store", .stream = stream, .scratch = scratch, .apply = apply, .diagonal = diagonal, .lasting = lasting,
    .close = close};

ntk_status ntk_operator_of_stored(ntk_kernel_store *s, struct ntk_operator **o)
{
    struct of_store *own;

    if (!s->part[NTK_STORE_MAIN].square)
        return ntk_fail(s->ctx, NTK_EINVAL, "%s has a matrix of rows by columns, not of samples with themselves", s->path);
    own = ntk_alloc_zero(s->ctx, 1, sizeof *own);
    if (!own)
        return NTK_ENOMEM;
    own->base = (struct ntk_operator){.class = &class,
                                      .ctx = s->ctx,
                                      .n = s->part[NTK_STORE_MAIN].n1,
                                      .count = s->count,
                                      .dtype = s->dtype,
                                      .precision = s->dtype};
    own->store = s;
    *o = &own->base;
    return NTK_OK;
}

ntk_status ntk_operator_of_store(ntk_ctx *ctx, const char *path, const ntk_net *const *nets, size_t n_nets, unsigned want,
                                 ntk_dtype dtype, const ntk_data *x, struct ntk_operator **o)
{
    ntk_kernel_store *s;
    ntk_status status;

    NTK_TRY(ntk_store_open(ctx, path, nets, n_nets, want, dtype, x, NULL, NULL, &s));
    status = ntk_operator_of_stored(s, o);
    if (status == NTK_OK)
        ((struct of_store *)*o)->owned = true;
    else
        ntk_store_free(s);
    return status;
}
