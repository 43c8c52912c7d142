/* SPDX-License-Identifier: MIT
 *
 * cifar.c - CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of a
 * label byte and three planes of 32 x 32 bytes, red, green, blue.
 */
#include <errno.h>
#include <stdlib.h>

#include "data/data.h"

#define PREFIX   "cifar10:"
#define SIDE     32
#define CHANNELS 3
#define CLASSES  10
#define PLANE    ((size_t)SIDE * SIDE)
#define IMAGE    (PLANE * CHANNELS)
#define RECORD   (1 + IMAGE)

static const char *const train_files[] = {"data_batch_1.bin", "data_batch_2.bin",
                                          "data_batch_3.bin", "data_batch_4.bin",
                                          "data_batch_5.bin"};
static const char *const test_files[] = {"test_batch.bin"};

#define FILES_MAX (sizeof train_files / sizeof *train_files)

struct batches {
    ntk_ctx *ctx;
    size_t n;
    char *path[FILES_MAX];
    int64_t records[FILES_MAX];
};

static ntk_status count_records(ntk_ctx *ctx, const char *path, int64_t *records)
{
    uint64_t size;
    FILE *f;

    NTK_TRY(ntk_open(ctx, path, &f));
    size = ntk_file_size(f);
    fclose(f);
    if (size == 0 || size % RECORD != 0)
        return ntk_fail(ctx, NTK_EINVAL,
                        "has %llu bytes, which is no number of records of %zu bytes",
                        (unsigned long long)size, RECORD);
    *records = (int64_t)(size / RECORD);
    return NTK_OK;
}

/* Counts what the files have, up to the first that makes the limit. */
static ntk_status find_batches(struct batches *b, const char *dir, bool test, int64_t limit,
                               int64_t *n)
{
    const char *const *names = test ? test_files : train_files;
    const size_t count = test ? 1 : FILES_MAX;

    *n = 0;
    for (b->n = 0; b->n < count && (!limit || *n < limit); b->n++) {
        struct ntk_text path = {0};
        ntk_status status;

        ntk_text_add(&path, "%s/%s", dir, names[b->n]);
        b->path[b->n] = path.s;
        if (path.failed)
            return ntk_fail(b->ctx, NTK_ENOMEM, "no memory for a file's name");
        status = count_records(b->ctx, path.s, &b->records[b->n]);
        if (status != NTK_OK)
            return ntk_fail_in(b->ctx, status, "%s", path.s);
        *n += b->records[b->n];
    }
    return NTK_OK;
}

/* Planes [c][h][w] to pixels [h][w][c]. */
static void set_image(ntk_data *data, int64_t i, const unsigned char *planes)
{
    unsigned char pixels[IMAGE];

    for (size_t p = 0; p < PLANE; p++)
        for (size_t c = 0; c < CHANNELS; c++)
            pixels[p * CHANNELS + c] = planes[c * PLANE + p];
    ntk_data_set_bytes(data, (size_t)i * IMAGE, pixels, IMAGE, 255);
}

/* Reads records into samples first, first + 1, ... until the file or data ends. */
static ntk_status read_records(FILE *f, int64_t records, int64_t first, ntk_data *data)
{
    unsigned char record[RECORD];

    for (int64_t i = 0; i < records && first + i < data->n; i++) {
        if (fread(record, 1, RECORD, f) != RECORD)
            return ntk_fail(data->ctx, NTK_EIO, "cannot read record %lld: %s", (long long)i,
                            ferror(f) ? strerror(errno) : "the file ends");
        if (record[0] >= CLASSES)
            return ntk_fail(data->ctx, NTK_EINVAL, "record %lld has label %d; expected 0 to %d",
                            (long long)i, record[0], CLASSES - 1);
        data->y[first + i] = record[0];
        set_image(data, first + i, record + 1);
    }
    return NTK_OK;
}

static ntk_status read_batches(const struct batches *b, ntk_data *data)
{
    int64_t first = 0;

    NTK_TRY(ntk_data_add_targets(data, 1));
    NTK_TRY(ntk_data_declare(data, NULL, CLASSES));
    for (size_t k = 0; k < b->n; k++) {
        FILE *f;
        ntk_status status = ntk_open(b->ctx, b->path[k], &f);

        if (status == NTK_OK) {
            status = read_records(f, b->records[k], first, data);
            fclose(f);
        }
        if (status != NTK_OK)
            return ntk_fail_in(b->ctx, status, "%s", b->path[k]);
        first += b->records[k];
    }
    return NTK_OK;
}

static bool is_source(const char *source)
{
    return strncmp(source, PREFIX, strlen(PREFIX)) == 0;
}

static ntk_status read_source(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data)
{
    const ntk_shape shape = {.spatial = 2, .h = SIDE, .w = SIDE, .c = CHANNELS};
    struct batches b = {.ctx = ctx};
    ntk_data *d = NULL;
    char *dir;
    int64_t n;
    bool test;
    ntk_status status;

    NTK_TRY(ntk_split_part(ctx, source + strlen(PREFIX), &dir, &test));
    status = find_batches(&b, dir, test, opts->limit, &n);
    if (status == NTK_OK)
        status = ntk_data_alloc(ctx, opts->dtype, ntk_limited(opts, n), shape, &d);
    if (status == NTK_OK)
        status = read_batches(&b, d);
    for (size_t k = 0; k < FILES_MAX; k++)
        free(b.path[k]);
    free(dir);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *data = d;
    return NTK_OK;
}

const struct ntk_reader ntk_reader_cifar = {
    .sources = "cifar10:DIR/train|test",
    .is_source = is_source,
    .read_source = read_source,
};
