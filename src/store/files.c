/* SPDX-License-Identifier: MIT
 *
 * files.c - the store "files": opening, all entries, rows, and the operator.
 */
#include "store/files.h"

#include <stdlib.h>
#include <string.h>

#include "engine/run.h"
#include "kernel/kernel.h"

#define ROWS_MOST 256 /* that are read at once, for blocks on the diagonal are whole */
#define COLUMNS   512 /* of a block that a sink gets, from several threads */
#define BYTES     ((int64_t)64 << 20)

void ntk_files_free(ntk_files *s)
{
    if (!s)
        return;
    ntk_kernel_free(s->kernel);
    free(s->names);
    free(s->folder);
    free(s);
}

static ntk_status open(struct ntk_files *s, const ntk_net *const *nets, size_t n_nets, unsigned want)
{
    NTK_TRY(ntk_kernel_new(s->ctx, nets, n_nets, want, s->dtype, ntk_data_shape(s->x1), &s->kernel));
    if (s->x2)
        NTK_TRY(ntk_kernel_check_shape(s->kernel, "x2", s->x2));
    s->count = ntk_kernel_outputs(s->kernel);
    s->names = ntk_alloc_zero(s->ctx, s->count, sizeof *s->names);
    return s->names ? ntk_files_settle(s, nets, n_nets, want) : NTK_ENOMEM;
}

ntk_status ntk_files_open(ntk_ctx *ctx, const char *folder, const ntk_net *const *nets, size_t n_nets, unsigned want,
                          ntk_dtype dtype, const ntk_data *x1, const ntk_data *x2, ntk_files **store)
{
    ntk_files *s;
    ntk_status status;

    if (!*folder || strlen(folder) > NTK_FILES_FOLDER)
        return ntk_fail(ctx, NTK_EINVAL, "a store is a folder whose path has 1 to %d bytes, got %zu", NTK_FILES_FOLDER,
                        strlen(folder));
    s = ntk_alloc(ctx, 1, sizeof *s);
    if (!s)
        return NTK_ENOMEM;
    *s = (struct ntk_files){.ctx = ctx,
                            .folder = ntk_strdup(ctx, folder),
                            .x1 = x1,
                            .x2 = x2,
                            .n1 = ntk_data_n(x1),
                            .n2 = ntk_data_n(x2 ? x2 : x1),
                            .dtype = dtype};
    status = s->folder ? open(s, nets, n_nets, want) : NTK_ENOMEM;
    if (status == NTK_OK)
        *store = s;
    else
        ntk_files_free(s);
    return status;
}

/* ---- all blocks to a sink */

/* Rows that are in memory, of a matrix: those of a symmetric one are handed on from their own columns on, the first block
 * square. */
struct rows {
    size_t m;
    int64_t i, ni, column, width; /* k is [ni][width], from that column on */
    const char *k;
};

/* In blocks of columns, from several threads. */
static int hand_on(const struct ntk_files *s, const struct rows *r, const struct ntk_reading *to)
{
    const int64_t begin = s->x2 ? 0 : r->i, head = !s->x2 ? r->ni : s->n2 < COLUMNS ? s->n2 : COLUMNS;
    const int64_t blocks = 1 + (s->n2 - begin - head + COLUMNS - 1) / COLUMNS;
    int failed = 0;

#pragma omp parallel for num_threads(ntk_threads_for(s->ctx, blocks)) schedule(dynamic) reduction(| : failed)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t j0 = b ? begin + head + (b - 1) * COLUMNS : begin, rest = s->n2 - j0;
        const ntk_block block = {.output = r->m,
                                 .i0 = r->i,
                                 .ni = r->ni,
                                 .j0 = j0,
                                 .nj = !b ? head : rest < COLUMNS ? rest : COLUMNS,
                                 .k = r->k + (j0 - r->column) * (int64_t)s->dtype,
                                 .ld = r->width};

        failed |= to->sink(&block, to->user);
    }
    return failed;
}

/* Rows of all matrices that are in one file of each, one matrix after the other. */
static ntk_status read_rows(const struct ntk_files *s, int64_t i, int64_t ni, void *k, const struct ntk_reading *to)
{
    const int64_t first = i / s->block * s->block, width = ntk_files_width(s, first);

    for (size_t m = 0; m < s->count; m++) {
        const struct rows rows = {
            .m = m, .i = i, .ni = ni, .column = ntk_files_column(s, first), .width = width, .k = k};

        NTK_TRY(ntk_files_read(s, m, first, (i - first) * width, ni * width, k));
        if (hand_on(s, &rows, to))
            return ntk_fail(s->ctx, NTK_ECANCEL, "cancelled by the receiver of the kernel's blocks");
    }
    return NTK_OK;
}

static ntk_status stream(struct ntk_files *s, const struct ntk_reading *to)
{
    const int64_t end = to->i0 + to->ni, fit = BYTES / (s->n2 * (int64_t)s->dtype);
    const int64_t least = s->block < ROWS_MOST ? s->block : ROWS_MOST, most = fit < 1 ? 1 : fit < least ? fit : least;
    const size_t bytes = (size_t)(most * s->n2) * s->dtype;
    ntk_status status;
    void *k;

    NTK_TRY(ntk_files_fill(s, to->held, to->what));
    NTK_TRY(ntk_ctx_check_memory(s->ctx, to->held + bytes, to->what));
    k = ntk_alloc(s->ctx, bytes, 1);
    status = k ? NTK_OK : NTK_ENOMEM;
    for (int64_t i = to->i0, ni; i < end && status == NTK_OK; i += ni) {
        const int64_t of_file = s->block - i % s->block;

        ni = of_file < most ? of_file : most;
        ni = end - i < ni ? end - i : ni;
        status = read_rows(s, i, ni, k, to);
        if (status == NTK_OK)
            status = to->ni == s->n1 ? ntk_progress(s->ctx, "rows", (double)(i + ni), (double)s->n1) : ntk_poll(s->ctx);
    }
    free(k);
    return status;
}

ntk_status ntk_files_compute(ntk_files *s, void *const *out)
{
    struct ntk_memory_sink sink = {.out = out, .n2 = s->n2, .dtype = s->dtype, .symmetric = !s->x2};
    const struct ntk_reading reading = {
        .i0 = 0,
        .ni = s->n1,
        .held = out ? ntk_bytes((double)s->count * (double)s->n1 * (double)s->n2 * (double)s->dtype) : 0,
        .what = "the kernel",
        .sink = ntk_memory_sink_write,
        .user = &sink};

    return out ? stream(s, &reading) : ntk_files_fill(s, 0, reading.what);
}

/* ---- rows of one matrix */

ntk_status ntk_files_rows(ntk_files *s, size_t m, int64_t i0, int64_t ni, void *rows)
{
    const int64_t column = ntk_files_column(s, i0), columns = s->n2 - column;
    char *to = rows;

    if (m >= s->count || i0 < 0 || ni < 1 || ni > s->n1 - i0)
        return ntk_fail(s->ctx, NTK_EINVAL, "rows %lld to %lld of matrix %zu: there are %lld rows of %zu", (long long)i0,
                        (long long)(i0 + ni - 1), m, (long long)s->n1, s->count);
    NTK_TRY(ntk_files_fill(s, (size_t)(ni * columns) * s->dtype, "rows of a kernel matrix"));
    for (int64_t i = i0; i < i0 + ni; i++) {
        const int64_t first = i / s->block * s->block, from = ntk_files_column(s, first);
        const int64_t skip = column > from ? column - from : 0; /* of the file's row */
        const int64_t lack = from > column ? from - column : 0; /* below the diagonal, in rows before */
        char *row = to + (i - i0) * columns * (int64_t)s->dtype;

        for (int64_t j = 0; j < lack; j++)
            memcpy(row + j * (int64_t)s->dtype, to + (j * columns + i - i0) * (int64_t)s->dtype, s->dtype);
        NTK_TRY(ntk_files_read(s, m, first, (i - first) * ntk_files_width(s, first) + skip, columns - lack,
                               row + lack * (int64_t)s->dtype));
        NTK_TRY(ntk_poll(s->ctx));
    }
    return NTK_OK;
}

/* ---- the operator */

struct of_files {
    struct ntk_operator base;
    ntk_files *store;
};

static ntk_status stream_operator(struct ntk_operator *o, const struct ntk_reading *r)
{
    return stream(((struct of_files *)o)->store, r);
}

static ntk_status diagonal(struct ntk_operator *o, size_t k, double *d)
{
    ntk_files *s = ((struct of_files *)o)->store;

    NTK_TRY(ntk_files_fill(s, 0, "the diagonal of a kernel matrix"));
    for (int64_t i = 0; i < o->n; i++) {
        const int64_t first = i / s->block * s->block;
        double x; /* room for either type */

        NTK_TRY(ntk_files_read(s, k, first, (i - first) * (ntk_files_width(s, first) + 1), 1, &x));
        d[i] = ntk_number(&x, s->dtype, 0);
    }
    return NTK_OK;
}

static void close(struct ntk_operator *o)
{
    ntk_files_free(((struct of_files *)o)->store);
    free(o);
}

static const struct ntk_operator_class class = {
    .name = "a store of files", .stream = stream_operator, .diagonal = diagonal, .close = close};

ntk_status ntk_operator_of_files(ntk_ctx *ctx, const char *folder, const ntk_net *const *nets, size_t n_nets,
                                 unsigned want, ntk_dtype dtype, const ntk_data *x, struct ntk_operator **o)
{
    struct of_files *own = ntk_alloc_zero(ctx, 1, sizeof *own);
    ntk_status status = own ? ntk_files_open(ctx, folder, nets, n_nets, want, dtype, x, NULL, &own->store) : NTK_ENOMEM;

    if (status != NTK_OK) {
        free(own);
        return status;
    }
    own->base = (struct ntk_operator){.class = &class,
                                      .ctx = ctx,
                                      .n = own->store->n1,
                                      .count = own->store->count,
                                      .dtype = dtype,
                                      .precision = dtype};
    *o = &own->base;
    return NTK_OK;
}
