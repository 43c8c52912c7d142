/* SPDX-License-Identifier: MIT
 *
 * blocks.c - blocks of rows: which are there, computing the others, reading.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/outfile.h"
#include "kernel/compiled.h"
#include "store/files.h"

/* ---- files */

static ntk_status damaged(const struct ntk_files *s, const char *path, const char *how)
{
    return ntk_fail(s->ctx, NTK_EIO, "%s %s: remove it, and the same command computes it again", path, how);
}

static int64_t file_bytes(const struct ntk_files *s, int64_t first)
{
    return ntk_files_block_rows(s, first) * ntk_files_width(s, first) * (int64_t)s->dtype;
}

/* A file of the wrong length is no block, and nothing that this store has written. */
static ntk_status look(const struct ntk_files *s, size_t m, int64_t first, bool *there)
{
    char path[NTK_FILES_PATH];
    struct stat st;

    ntk_files_path(s, m, first, path);
    *there = stat(path, &st) == 0;
    if (*there && (int64_t)st.st_size != file_bytes(s, first))
        return damaged(s, path, "has not the length of a block");
    if (!*there && errno != ENOENT)
        return ntk_fail(s->ctx, NTK_EIO, "%s cannot be read: %s", path, strerror(errno));
    return NTK_OK;
}

ntk_status ntk_files_read(const struct ntk_files *s, size_t m, int64_t first, int64_t from, int64_t count, void *to)
{
    char path[NTK_FILES_PATH];
    bool whole = false;
    FILE *f;

    ntk_files_path(s, m, first, path);
    f = fopen(path, "rb");
    if (f) {
        whole = fseeko(f, (off_t)(from * (int64_t)s->dtype), SEEK_SET) == 0 &&
                fread(to, s->dtype, (size_t)count, f) == (size_t)count;
        fclose(f);
    }
    if (!whole)
        return damaged(s, path, "cannot be read as a whole");
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(ntk_number(to, s->dtype, (size_t)i)))
            return damaged(s, path, "has a number that is not finite");
    return NTK_OK;
}

static ntk_status write(const struct ntk_files *s, size_t m, int64_t first, const void *rows)
{
    char path[NTK_FILES_PATH];
    struct ntk_outfile out;
    int error;

    ntk_files_path(s, m, first, path);
    error = ntk_outfile_open(path, &out);
    if (error)
        return ntk_fail_write(s->ctx, path, error);
    (void)!fwrite(rows, 1, (size_t)file_bytes(s, first), out.f);
    error = ntk_outfile_commit(&out);
    return error ? ntk_fail_write(s->ctx, path, error) : NTK_OK;
}

/* ---- progress over all blocks, in pairs of samples */

struct overall {
    ntk_progress_fn *progress; /* the user's */
    void *user;
    double done, all, before, share; /* pairs; before, and in, the computation that is under way */
};

static int tell(const char *what, double done, double total, void *user)
{
    struct overall *p = user;

    if (strcmp(what, "preparations") != 0 && total > 0)
        p->done = p->before + p->share * done / total;
    return p->progress("pairs of samples", p->done, p->all, p->user);
}

/* ---- computing */

struct filling {
    struct ntk_files *s;
    size_t held; /* bytes, and what for, rows included */
    const char *what;
    void **rows; /* [count] of [block][n2] */
    struct overall told;
};

/* Where the blocks that the kernel delivers go: columns of rows. */
struct place {
    const struct filling *f;
    int64_t width, column; /* of the rows; where the part begins */
    bool symmetric;
};

static int put(const ntk_block *b, void *user)
{
    const struct place *p = user;
    const ntk_dtype dtype = p->f->s->dtype;
    char *rows = p->f->rows[b->output];

    for (int64_t i = 0; i < b->ni; i++)
        memcpy(rows + ((b->i0 + i) * p->width + p->column + b->j0) * (int64_t)dtype,
               (const char *)b->k + i * b->ld * (int64_t)dtype, (size_t)b->nj * dtype);
    for (int64_t i = 0; p->symmetric && b->j0 > b->i0 && i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++)
            ntk_store(rows, dtype, (size_t)((b->j0 + j) * p->width + b->i0 + i),
                      ntk_number(b->k, dtype, (size_t)(i * b->ld + j)));
    return 0;
}

static ntk_status stream(struct filling *f, const ntk_data *x1, const ntk_data *x2, struct place *p)
{
    const double n = (double)ntk_data_n(x1);

    f->told.before = f->told.done;
    f->told.share = x2 ? n * (double)ntk_data_n(x2) : n * (n + 1) / 2;
    NTK_TRY(ntk_kernel_stream_for(f->s->kernel, x1, x2, f->held, f->what, put, p));
    f->told.done = f->told.before + f->told.share;
    return NTK_OK;
}

/* Rows of a symmetric matrix with themselves, each pair once, then with those after them; of another with all columns. */
static ntk_status compute_rows(struct filling *f, const ntk_data *rows, int64_t first)
{
    const struct ntk_files *s = f->s;
    struct place p = {.f = f, .width = ntk_files_width(s, first), .symmetric = true};
    ntk_data *after;
    ntk_status status;

    if (s->x2) {
        p.symmetric = false;
        return stream(f, rows, s->x2, &p);
    }
    NTK_TRY(stream(f, rows, NULL, &p));
    p = (struct place){.f = f, .width = p.width, .column = ntk_data_n(rows)};
    if (p.column == p.width)
        return NTK_OK;
    NTK_TRY(ntk_data_slice(s->x1, first + p.column, p.width - p.column, &after));
    status = stream(f, rows, after, &p);
    ntk_data_free(after);
    return status;
}

static ntk_status compute_block(struct filling *f, int64_t first)
{
    const struct ntk_files *s = f->s;
    ntk_data *rows;
    ntk_status status;

    NTK_TRY(ntk_data_slice(s->x1, first, ntk_files_block_rows(s, first), &rows));
    status = compute_rows(f, rows, first);
    ntk_data_free(rows);
    for (size_t m = 0; m < s->count && status == NTK_OK; m++) {
        bool there;

        status = look(s, m, first, &there);
        if (status == NTK_OK && !there)
            status = write(s, m, first, f->rows[m]);
    }
    return status;
}

/* Whether the block is there in all matrices. */
static ntk_status is_there(const struct ntk_files *s, int64_t first, bool *there)
{
    bool all = true;

    for (size_t m = 0; m < s->count; m++) {
        NTK_TRY(look(s, m, first, there));
        all = all && *there;
    }
    *there = all;
    return NTK_OK;
}

static ntk_status compute_blocks(struct filling *f, int64_t there)
{
    const struct ntk_files *s = f->s;
    const int64_t all = (s->n1 + s->block - 1) / s->block;
    ntk_status status = NTK_OK;

    for (int64_t i = 0; i < s->n1 && status == NTK_OK; i += s->block) {
        bool skip;

        status = is_there(s, i, &skip);
        if (status == NTK_OK && !skip)
            status = compute_block(f, i);
        there += status == NTK_OK && !skip;
    }
    if (status == NTK_ECANCEL)
        return ntk_fail(s->ctx, status, "cancelled with %lld of %lld blocks in %s, where the same work %s",
                        (long long)there, (long long)all, s->folder, there ? "goes on" : "begins again");
    return status;
}

/* The context's progress function is this work's meanwhile. */
static ntk_status compute(struct filling *f, int64_t there)
{
    ntk_ctx *ctx = f->s->ctx;
    ntk_status status;

    f->told.progress = ctx->progress;
    f->told.user = ctx->progress_user;
    if (ctx->progress)
        ntk_ctx_set_progress(ctx, tell, &f->told);
    status = compute_blocks(f, there);
    ntk_ctx_set_progress(ctx, f->told.progress, f->told.user);
    return status;
}

/* What is there, and pairs of samples that are not. */
static ntk_status count(const struct ntk_files *s, int64_t *there, double *pairs)
{
    *there = 0;
    *pairs = 0;
    for (int64_t i = 0; i < s->n1; i += s->block) {
        const double n = (double)ntk_files_block_rows(s, i);
        bool is;

        NTK_TRY(is_there(s, i, &is));
        *there += is;
        if (!is)
            *pairs += s->x2 ? n * (double)s->n2 : n * ((double)ntk_files_width(s, i) - (n - 1) / 2);
    }
    return NTK_OK;
}

/* Rows of one matrix after the other in one piece of memory. */
static ntk_status compute_missing(struct ntk_files *s, size_t held, const char *what, int64_t there, double pairs)
{
    const size_t each = (size_t)s->block * (size_t)s->n2 * s->dtype;
    struct filling f = {.s = s, .held = held + s->count * each, .what = what, .told = {.all = pairs}};
    ntk_status status = ntk_kernel_check_seconds(s->kernel, pairs);
    char *rows;

    if (status == NTK_OK)
        status = ntk_ctx_check_memory(s->ctx, f.held, what);
    NTK_TRY(status);
    rows = ntk_alloc(s->ctx, s->count, each);
    f.rows = ntk_alloc(s->ctx, s->count, sizeof *f.rows);
    if (!rows || !f.rows)
        status = NTK_ENOMEM;
    for (size_t m = 0; m < s->count && status == NTK_OK; m++)
        f.rows[m] = rows + m * each;
    if (status == NTK_OK)
        status = compute(&f, there);
    free(f.rows);
    free(rows);
    return status;
}

ntk_status ntk_files_fill(struct ntk_files *s, size_t held, const char *what)
{
    const int64_t all = (s->n1 + s->block - 1) / s->block;
    int64_t there;
    double pairs;

    if (s->complete)
        return NTK_OK;
    NTK_TRY(count(s, &there, &pairs));
    ntk_log(s->ctx, 0, "%s has %lld of %lld blocks%s", s->folder, (long long)there, (long long)all,
            there == all ? ": nothing is computed" : "");
    if (there < all)
        NTK_TRY(compute_missing(s, held, what, there, pairs));
    s->complete = true;
    return NTK_OK;
}
