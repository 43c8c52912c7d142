/* SPDX-License-Identifier: MIT
 *
 * load.c - which reader a source belongs to.
 */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sized.h"
#include "data/data.h"
#include "data/stream.h"

static const ntk_load_opts defaults = {.size = sizeof defaults, .dtype = NTK_F64};
static const struct ntk_sized sized = NTK_SIZED(ntk_load_opts, weights, &defaults);

void ntk_load_opts_init_sized(ntk_load_opts *opts, size_t size)
{
    ntk_sized_init(&sized, opts, size);
}

bool ntk_ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);

    return n >= k && strcasecmp(s + n - k, end) == 0;
}

ntk_status ntk_open(ntk_ctx *ctx, const char *path, FILE **f)
{
    struct stat info;
    FILE *opened = fopen(path, "rb");

    if (!opened)
        return ntk_fail(ctx, NTK_EIO, "cannot open: %s", strerror(errno));
    if (fstat(fileno(opened), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(opened);
        return ntk_fail(ctx, NTK_EIO, "cannot open: %s", strerror(EISDIR));
    }
    *f = opened;
    return NTK_OK;
}

uint64_t ntk_file_size(FILE *f)
{
    struct stat info;

    if (fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode))
        return UINT64_MAX;
    return (uint64_t)info.st_size;
}

ntk_status ntk_split_part(ntk_ctx *ctx, const char *part, char **dir, bool *test)
{
    const char *slash = strrchr(part, '/');
    char *copy;

    if (!slash || (strcmp(slash, "/train") != 0 && strcmp(slash, "/test") != 0))
        return ntk_fail(ctx, NTK_EINVAL, "must end with /train or /test, got '%s'", part);
    copy = ntk_strdup(ctx, part);
    if (!copy)
        return NTK_ENOMEM;
    copy[slash - part] = '\0';
    *dir = copy;
    *test = strcmp(slash, "/test") == 0;
    return NTK_OK;
}

/* ---- readers */

#define READER(name) extern const struct ntk_reader ntk_reader_##name;
#include "data/readers.def"
#undef READER

static const struct ntk_reader *const readers[] = {
#define READER(name) &ntk_reader_##name,
#include "data/readers.def"
#undef READER
};
#define N_READERS (sizeof readers / sizeof *readers)

/* What files begin with that are not read, and what those are called. */
static const struct start {
    const char *bytes;
    size_t n;
    const char *name;
} others[] = {
    {"BZh", 3, "compressed by bzip2"},
    {"\xfd""7zXZ", 5, "compressed by xz"},
    {"\x28\xb5\x2f\xfd", 4, "compressed by zstd"},
    {"PAR1", 4, "a Parquet file"},
    {"ARROW1", 6, "an Arrow file"},
    {"MATLAB", 6, "a MATLAB file"},
    {"\xd0\xcf\x11\xe0", 4, "a spreadsheet"},
    {"\x80\2", 2, "a Python pickle"},
    {"\x80\3", 2, "a Python pickle"},
    {"\x80\4", 2, "a Python pickle"},
    {"\x80\5", 2, "a Python pickle"},
};

bool ntk_is_called(const char *path, const char *end)
{
    const size_t n = strlen(path), k = strlen(end);

    return ntk_ends_with(path, end) ||
           (ntk_ends_with(path, ".gz") && n >= k + 3 && strncasecmp(path + n - 3 - k, end, k) == 0);
}

/* What a file is, its first bytes say, else its name; a table if that says nothing. Text is not taken for text under
 * the name of another kind. */
static const struct ntk_reader *reader_of(const unsigned char *head, size_t n, const char *path)
{
    for (size_t k = 0; k < N_READERS; k++)
        if (readers[k]->begins && readers[k]->begins(head, n))
            return readers[k];
    for (size_t k = 0; k < N_READERS; k++)
        if (readers[k]->called && readers[k]->called(path))
            return readers[k];
    return &ntk_reader_table;
}

static ntk_status find_reader(struct ntk_stream *s, const char *path, const struct ntk_reader **reader)
{
    const unsigned char *head;
    const char *plain;
    size_t n;

    NTK_TRY(ntk_stream_look(s, &head, &n));
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (ntk_begins(others[k].bytes, others[k].n, head, n))
            return ntk_fail(s->ctx, NTK_ENOTSUP,
                            "is %s, which is not read: save it as CSV, .npy, .npz or HDF5", others[k].name);
    *reader = reader_of(head, n, path);
    plain = (*reader)->plain;
    if (plain && s->packing == NTK_GZIPPED)
        return ntk_fail(s->ctx, NTK_ENOTSUP, "is %s that is compressed: unpack it with gunzip", plain);
    if (plain && ntk_file_size(s->f) == UINT64_MAX)
        return ntk_fail(s->ctx, NTK_ENOTSUP, "is no regular file, which %s must be", plain);
    return NTK_OK;
}

static ntk_status read_open(ntk_ctx *ctx, FILE *f, const char *path, const ntk_load_opts *opts,
                            ntk_data **data)
{
    struct ntk_stream s;
    const struct ntk_reader *reader = NULL;
    ntk_status status = ntk_stream_file(ctx, f, &s);

    if (status == NTK_OK)
        status = find_reader(&s, path, &reader);
    if (status == NTK_OK)
        status = reader->read(&s, path, opts, data);
    ntk_stream_end(&s);
    return status;
}

ntk_status ntk_read_file(ntk_ctx *ctx, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    ntk_status status;
    FILE *f;

    NTK_TRY(ntk_open(ctx, path, &f));
    status = read_open(ctx, f, path, opts, data);
    fclose(f);
    return status;
}

/* ---- sources */

/* Says what sources there are. */
static ntk_status fail_expected(ntk_ctx *ctx, ntk_status status, const char *what)
{
    struct ntk_text list = {0};
    size_t files = 0, n = 0;

    for (size_t k = 0; k < N_READERS; k++) {
        if (readers[k]->sources)
            ntk_text_add(&list, "%s, ", readers[k]->sources);
        files += readers[k]->files != NULL;
    }
    for (size_t k = 0; k < N_READERS; k++)
        if (readers[k]->files)
            ntk_text_add(&list, "%s%s", n == 0 ? "or a file: " : n + 1 == files ? " or " : ", ", readers[k]->files), n++;
    ntk_fail(ctx, status, "%s: expected %s, or - for standard input", what, list.s ? list.s : "a file");
    free(list.s);
    return status;
}

static ntk_status load(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data)
{
    for (size_t k = 0; k < N_READERS; k++)
        if (readers[k]->is_source && readers[k]->is_source(source))
            return readers[k]->read_source(ctx, source, opts, data);
    if (strcmp(source, "-") == 0)
        return read_open(ctx, stdin, source, opts, data);
    if (!strchr(source, '.') && access(source, F_OK) != 0)
        return fail_expected(ctx, NTK_EIO, "No such file");
    return ntk_read_file(ctx, source, opts, data);
}

static void say_notes(const ntk_data *data, const char *name)
{
    const ntk_table *t = data->schema ? ntk_schema_table(data->schema) : NULL;

    for (size_t k = 0; t && k < t->n_notes; k++)
        ntk_log(data->ctx, 1, "%s: %s", name, t->notes[k]);
}

static ntk_status check_options(ntk_ctx *ctx, const ntk_load_opts *o)
{
    if (o->dtype != NTK_F32 && o->dtype != NTK_F64)
        return ntk_fail(ctx, NTK_EINVAL, "dtype must be NTK_F32 or NTK_F64, got %d", (int)o->dtype);
    if (o->limit < 0)
        return ntk_fail(ctx, NTK_EINVAL, "limit must be >= 0, got %lld", (long long)o->limit);
    if (o->header != NTK_HEADER_AUTO && o->header != NTK_HEADER_YES && o->header != NTK_HEADER_NO)
        return ntk_fail(ctx, NTK_EINVAL,
                        "header must be NTK_HEADER_AUTO, NTK_HEADER_YES or NTK_HEADER_NO, got %d",
                        (int)o->header);
    return NTK_OK;
}

ntk_status ntk_data_load(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts,
                         ntk_data **data)
{
    const char *name = source && strcmp(source, "-") == 0 ? "standard input" : source;
    ntk_load_opts o;
    ntk_data *d = NULL;
    ntk_status status;

    NTK_TRY(ntk_sized_read(ctx, &sized, opts, &o));
    if (!source)
        return fail_expected(ctx, NTK_EINVAL, "source is NULL");
    NTK_TRY(check_options(ctx, &o));
    status = load(ctx, source, &o, &d);
    if (status == NTK_OK)
        status = ntk_data_check_finite(d);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return ntk_fail_in(ctx, status, "%s", name);
    }
    say_notes(d, name);
    *data = d;
    return NTK_OK;
}
