/* SPDX-License-Identifier: MIT
 *
 * load.c - which reader a source belongs to.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "data/data.h"

void ntk_load_opts_init(ntk_load_opts *opts)
{
    *opts = (ntk_load_opts){.dtype = NTK_F64};
}

bool ntk_ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);

    return n >= k && strcmp(s + n - k, end) == 0;
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

typedef ntk_status path_reader(ntk_ctx *, const char *, const ntk_load_opts *, ntk_data **);
typedef ntk_status file_reader(ntk_ctx *, FILE *, const ntk_load_opts *, ntk_data **);

/* What a source begins or ends with, and who reads it: the rest of the text, or the open file. */
static const struct format {
    const char *prefix, *suffix;
    path_reader *path;
    file_reader *file;
} formats[] = {
    {"mnist:", NULL, ntk_read_mnist, NULL}, {"cifar10:", NULL, ntk_read_cifar10, NULL},
    {NULL, ".csv", NULL, ntk_read_csv},     {NULL, ".tsv", NULL, ntk_read_csv},
    {NULL, ".npy", NULL, ntk_read_npy},     {NULL, ".npz", NULL, ntk_read_npz},
    {NULL, ".h5", ntk_read_hdf5, NULL},     {NULL, ".hdf5", ntk_read_hdf5, NULL},
};

static const char expected[] =
    "expected digits[/train|/test], mnist:DIR/train|test, cifar10:DIR/train|test, or a file "
    "*.csv, *.tsv, *.npy, *.npz, *.h5, *-idxN-ubyte or *-idxN-ubyte.gz, or - for CSV or npy from "
    "standard input";

static bool is_digits(const char *source)
{
    return strcmp(source, "digits") == 0 || strcmp(source, "digits/train") == 0 ||
           strcmp(source, "digits/test") == 0;
}

static const struct format *find_format(const char *source)
{
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const struct format *t = &formats[k];

        if (t->prefix ? strncmp(source, t->prefix, strlen(t->prefix)) == 0
                      : ntk_ends_with(source, t->suffix))
            return t;
    }
    return NULL;
}

/* The first byte of a .npy is no text. */
static ntk_status read_stdin(ntk_ctx *ctx, const ntk_load_opts *opts, ntk_data **data)
{
    const int c = getc(stdin);

    ungetc(c, stdin);
    return c == 0x93 ? ntk_read_npy(ctx, stdin, opts, data) : ntk_read_csv(ctx, stdin, opts, data);
}

static ntk_status load(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data)
{
    const struct format *t = find_format(source);
    ntk_status status;
    FILE *f;

    if (is_digits(source))
        return ntk_read_digits(ctx, source, opts, data);
    if (strcmp(source, "-") == 0)
        return read_stdin(ctx, opts, data);
    if (!t && ntk_is_idx(source))
        return ntk_read_idx(ctx, source, opts, data);
    if (!t)
        return ntk_fail(ctx, NTK_EINVAL, "unknown kind of data: %s", expected);
    if (t->path)
        return t->path(ctx, source + (t->prefix ? strlen(t->prefix) : 0), opts, data);
    NTK_TRY(ntk_open(ctx, source, &f));
    status = t->file(ctx, f, opts, data);
    fclose(f);
    return status;
}

static void say_notes(const ntk_data *data, const char *name)
{
    const ntk_table *t = data->schema ? ntk_schema_table(data->schema) : NULL;

    for (size_t k = 0; t && k < t->n_notes; k++)
        ntk_log(data->ctx, 1, "%s: %s", name, t->notes[k]);
}

ntk_status ntk_data_load(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts,
                         ntk_data **data)
{
    const char *name = source && strcmp(source, "-") == 0 ? "standard input" : source;
    ntk_load_opts defaults;
    ntk_data *d = NULL;
    ntk_status status;

    ntk_load_opts_init(&defaults);
    if (!opts)
        opts = &defaults;
    if (!source)
        return ntk_fail(ctx, NTK_EINVAL, "source is NULL: %s", expected);
    if (opts->dtype != NTK_F32 && opts->dtype != NTK_F64)
        return ntk_fail(ctx, NTK_EINVAL, "dtype must be NTK_F32 or NTK_F64, got %d",
                        (int)opts->dtype);
    if (opts->limit < 0)
        return ntk_fail(ctx, NTK_EINVAL, "limit must be >= 0, got %lld", (long long)opts->limit);
    if (opts->header != NTK_HEADER_AUTO && opts->header != NTK_HEADER_YES &&
        opts->header != NTK_HEADER_NO)
        return ntk_fail(ctx, NTK_EINVAL,
                        "header must be NTK_HEADER_AUTO, NTK_HEADER_YES or NTK_HEADER_NO, got %d",
                        (int)opts->header);
    status = load(ctx, source, opts, &d);
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
