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
static const struct ntk_sized sized = NTK_SIZED(ntk_load_opts, schema, &defaults);

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

/* ---- kinds of files */

enum kind { TEXT, NPY, NPZ, HDF5, IDX, OTHER };

/* What files begin with, and what those are called that are not read. */
static const struct start {
    const char *bytes;
    size_t n;
    enum kind kind;
    const char *name;
} starts[] = {
    {"\x93NUMPY", 6, NPY, NULL},
    {"PK\3\4", 4, NPZ, NULL},
    {"PK\5\6", 4, NPZ, NULL},
    {"\x89HDF\r\n\x1a\n", 8, HDF5, NULL},
    {"\0\0\x08", 3, IDX, NULL},
    {"BZh", 3, OTHER, "compressed by bzip2"},
    {"\xfd""7zXZ", 5, OTHER, "compressed by xz"},
    {"\x28\xb5\x2f\xfd", 4, OTHER, "compressed by zstd"},
    {"PAR1", 4, OTHER, "a Parquet file"},
    {"ARROW1", 6, OTHER, "an Arrow file"},
    {"MATLAB", 6, OTHER, "a MATLAB file"},
    {"\xd0\xcf\x11\xe0", 4, OTHER, "a spreadsheet"},
    {"\x80\2", 2, OTHER, "a Python pickle"},
    {"\x80\3", 2, OTHER, "a Python pickle"},
    {"\x80\4", 2, OTHER, "a Python pickle"},
    {"\x80\5", 2, OTHER, "a Python pickle"},
};

/* Without .gz: it may be compressed. */
static bool is_called(const char *path, const char *end)
{
    const size_t n = strlen(path), k = strlen(end);

    return ntk_ends_with(path, end) ||
           (ntk_ends_with(path, ".gz") && n >= k + 3 && strncasecmp(path + n - 3 - k, end, k) == 0);
}

/* By the name; text if that says nothing. */
static enum kind kind_of_name(const char *path)
{
    return is_called(path, ".npy")                                 ? NPY
           : is_called(path, ".npz")                               ? NPZ
           : is_called(path, ".h5") || is_called(path, ".hdf5") ? HDF5
           : ntk_is_idx(path)                                      ? IDX
                                                                   : TEXT;
}

/* What a file is, its first bytes say; text is not taken for text under the name of another kind. */
static ntk_status find_kind(struct ntk_stream *s, const char *path, enum kind *kind)
{
    const unsigned char *head;
    size_t n;

    NTK_TRY(ntk_stream_look(s, &head, &n));
    *kind = kind_of_name(path);
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++)
        if (n >= starts[k].n && memcmp(head, starts[k].bytes, starts[k].n) == 0) {
            *kind = starts[k].kind;
            if (*kind == OTHER)
                return ntk_fail(s->ctx, NTK_ENOTSUP,
                                "is %s, which is not read: save it as CSV, .npy, .npz or HDF5",
                                starts[k].name);
        }
    if (*kind != NPZ && *kind != HDF5)
        return NTK_OK;
    if (s->packing == NTK_GZIPPED)
        return ntk_fail(s->ctx, NTK_ENOTSUP, "is %s that is compressed: unpack it with gunzip",
                        *kind == NPZ ? "an npz" : "an HDF5 file");
    if (ntk_file_size(s->f) == UINT64_MAX)
        return ntk_fail(s->ctx, NTK_ENOTSUP, "is no regular file, which %s must be",
                        *kind == NPZ ? "an npz" : "an HDF5 file");
    return NTK_OK;
}

static ntk_status read_stream(ntk_ctx *ctx, struct ntk_stream *s, const char *path,
                              const ntk_load_opts *opts, ntk_data **data)
{
    enum kind kind;

    NTK_TRY(find_kind(s, path, &kind));
    switch (kind) {
    case NPY:
        return ntk_read_npy(ctx, s, opts, data);
    case NPZ:
        return ntk_read_npz(ctx, s, opts, data);
    case HDF5:
        return ntk_read_hdf5(ctx, strcmp(path, "-") == 0 ? "/dev/stdin" : path, opts, data);
    case IDX:
        return ntk_read_idx(ctx, s, path, opts, data);
    default:
        return ntk_read_csv(ctx, s, opts, data);
    }
}

static ntk_status read_open(ntk_ctx *ctx, FILE *f, const char *path, const ntk_load_opts *opts,
                            ntk_data **data)
{
    struct ntk_stream s;
    ntk_status status = ntk_stream_file(ctx, f, &s);

    if (status == NTK_OK)
        status = read_stream(ctx, &s, path, opts, data);
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

static const char expected[] =
    "expected digits[/train|/test], mnist:DIR/train|test, cifar10:DIR/train|test, or a file: a table as "
    "text (CSV), .npy (either may be gzipped), .npz, HDF5 or idx, or - for standard input";

static bool is_digits(const char *source)
{
    return strcmp(source, "digits") == 0 || strcmp(source, "digits/train") == 0 ||
           strcmp(source, "digits/test") == 0;
}

static ntk_status load(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data)
{
    if (is_digits(source))
        return ntk_read_digits(ctx, source, opts, data);
    if (strcmp(source, "-") == 0)
        return read_open(ctx, stdin, source, opts, data);
    if (strncmp(source, "mnist:", 6) == 0)
        return ntk_read_mnist(ctx, source + 6, opts, data);
    if (strncmp(source, "cifar10:", 8) == 0)
        return ntk_read_cifar10(ctx, source + 8, opts, data);
    if (!strchr(source, '.') && access(source, F_OK) != 0)
        return ntk_fail(ctx, NTK_EIO, "No such file: %s", expected);
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
        return ntk_fail(ctx, NTK_EINVAL, "source is NULL: %s", expected);
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
