/* SPDX-License-Identifier: MIT
 *
 * idx.c - the files of MNIST and its kin (http://yann.lecun.com/exdb/mnist/): two zero bytes, the
 * type of the values (8: bytes), the number of sizes, the sizes as 32-bit numbers, most significant
 * byte first, the values. All may be gzipped.
 */
#include <stdlib.h>
#include <unistd.h>

#include "data/data.h"
#include "data/stream.h"

#define DIMS_MAX 4

struct idx {
    ntk_ctx *ctx;
    struct ntk_stream *s;
    int ndim;
    int64_t dims[DIMS_MAX];
};

static bool begins(const unsigned char *head, size_t n)
{
    return ntk_begins("\0\0\x08", 3, head, n);
}

/* ...idxN-ubyte or ...idxN-ubyte.gz */
static bool called(const char *path)
{
    const size_t tail = strlen("idx3-ubyte"), gz = ntk_ends_with(path, ".gz") ? 3 : 0;
    const size_t n = strlen(path) - gz;
    const char *p = path + n - tail;

    return n > tail && strncmp(p, "idx", 3) == 0 && p[3] >= '1' && p[3] <= '9' &&
           strncmp(p + 4, "-ubyte", 6) == 0;
}

static ntk_status read_header(struct idx *idx)
{
    unsigned char b[4];

    NTK_TRY(ntk_stream_read(idx->s, b, 4));
    if (b[0] || b[1])
        return ntk_fail(idx->ctx, NTK_EINVAL,
                        "is not an idx file: it begins with %02x %02x, not 00 00", b[0], b[1]);
    if (b[2] != 8)
        return ntk_fail(idx->ctx, NTK_ENOTSUP,
                        "has values of type 0x%02x; known is 0x08, unsigned bytes", b[2]);
    if (b[3] < 1 || b[3] > DIMS_MAX)
        return ntk_fail(idx->ctx, NTK_ESHAPE, "has %d sizes; expected 1 to %d", b[3], DIMS_MAX);
    idx->ndim = b[3];
    for (int k = 0; k < idx->ndim; k++) {
        NTK_TRY(ntk_stream_read(idx->s, b, 4));
        idx->dims[k] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    }
    return NTK_OK;
}

/* Images [n][h][w] have one channel; [n][d] and [n][h][w][c] are what they are. */
static ntk_status samples_of(const struct idx *idx, int64_t *n, ntk_shape *shape)
{
    if (idx->ndim == 1)
        return ntk_fail(idx->ctx, NTK_ESHAPE,
                        "has labels: name the file of the images, the labels are found beside it");
    if (idx->ndim == 3) {
        const int64_t dims[] = {idx->dims[0], idx->dims[1], idx->dims[2], 1};

        return ntk_dims_to_samples(idx->ctx, 4, dims, n, shape);
    }
    return ntk_dims_to_samples(idx->ctx, idx->ndim, idx->dims, n, shape);
}

static ntk_status read_images(const struct idx *idx, const ntk_load_opts *opts, ntk_data **data)
{
    unsigned char chunk[8192];
    ntk_shape shape;
    int64_t n;
    ntk_data *d;
    size_t total;

    NTK_TRY(samples_of(idx, &n, &shape));
    NTK_TRY(ntk_data_alloc(idx->ctx, opts->dtype, ntk_limited(opts, n), shape, &d));
    total = (size_t)(d->n * ntk_features_of(shape));
    for (size_t at = 0; at < total; at += sizeof chunk) {
        const size_t count = total - at < sizeof chunk ? total - at : sizeof chunk;
        const ntk_status status = ntk_stream_read(idx->s, chunk, count);

        if (status != NTK_OK) {
            ntk_data_free(d);
            return status;
        }
        ntk_data_set_bytes(d, at, chunk, count, 255);
    }
    *data = d;
    return NTK_OK;
}

static ntk_status read_labels(const struct idx *idx, int64_t n, ntk_data *data)
{
    bool seen[256] = {false};
    unsigned char label;

    if (idx->ndim != 1 || idx->dims[0] != n)
        return ntk_fail(idx->ctx, NTK_ESHAPE,
                        "must have one label for each of the %lld images; it has %d size%s, the "
                        "first %lld",
                        (long long)n, idx->ndim, idx->ndim == 1 ? "" : "s",
                        (long long)idx->dims[0]);
    NTK_TRY(ntk_data_add_targets(data, 1));
    for (int64_t i = 0; i < n; i++) {
        NTK_TRY(ntk_stream_read(idx->s, &label, 1));
        seen[label] = true;
        if (i < data->n)
            data->y[i] = label;
    }
    NTK_TRY(ntk_stream_finish(idx->s, "labels"));
    return ntk_data_declare(data, seen, 256); /* also those of samples past the limit */
}

static ntk_status load_labels(ntk_ctx *ctx, const char *path, int64_t n, ntk_data *data)
{
    struct ntk_stream s;
    struct idx idx = {.ctx = ctx, .s = &s};
    ntk_status status;
    FILE *f;

    status = ntk_open(ctx, path, &f);
    if (status == NTK_OK) {
        status = ntk_stream_file(ctx, f, &s);
        if (status == NTK_OK)
            status = read_header(&idx);
        if (status == NTK_OK)
            status = read_labels(&idx, n, data);
        ntk_stream_end(&s);
        fclose(f);
    }
    return status == NTK_OK ? NTK_OK : ntk_fail_in(ctx, status, "%s", path);
}

/* path with .gz taken away or added. */
static char *other_packing(ntk_ctx *ctx, const char *path)
{
    char *other = ntk_alloc(ctx, strlen(path) + 4, 1);

    if (!other)
        return NULL;
    strcpy(other, path);
    if (ntk_ends_with(path, ".gz"))
        other[strlen(path) - 3] = '\0';
    else
        strcat(other, ".gz");
    return other;
}

ntk_status ntk_find_packing(ntk_ctx *ctx, char **path)
{
    char *other = other_packing(ctx, *path);

    if (!other)
        return NTK_ENOMEM;
    if (access(*path, F_OK) == 0) {
        free(other);
        return NTK_OK;
    }
    free(*path);
    *path = other;
    if (access(other, F_OK) != 0) {
        free(other);
        *path = NULL;
    }
    return NTK_OK;
}

/* "...images-idx3-ubyte" -> "...labels-idx1-ubyte"; *labels is NULL if that is not its name or
 * there is no such file. */
static ntk_status find_labels(ntk_ctx *ctx, const char *images, char **labels)
{
    const size_t n = strlen(images) - (ntk_ends_with(images, ".gz") ? 3 : 0);
    const size_t tail = strlen("images-idx3-ubyte");
    char *path;

    *labels = NULL;
    if (n < tail || strncmp(images + n - tail, "images", 6) != 0 || images[n - tail + 10] != '3')
        return NTK_OK;
    path = ntk_strdup(ctx, images);
    if (!path)
        return NTK_ENOMEM;
    memcpy(path + n - tail, "labels", 6);
    path[n - tail + 10] = '1';
    *labels = path;
    return ntk_find_packing(ctx, labels);
}

static ntk_status read_stream(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    ntk_ctx *ctx = s->ctx;
    struct idx idx = {.ctx = ctx, .s = s};
    char *labels = NULL;
    ntk_data *d = NULL;
    ntk_status status;

    NTK_TRY(read_header(&idx));
    NTK_TRY(read_images(&idx, opts, &d));
    status = d->n == idx.dims[0] ? ntk_stream_finish(s, "images") : NTK_OK;
    if (status == NTK_OK)
        status = find_labels(ctx, path, &labels);
    if (status == NTK_OK && labels)
        status = load_labels(ctx, labels, idx.dims[0], d);
    free(labels);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *data = d;
    return NTK_OK;
}

const struct ntk_reader ntk_reader_idx = {
    .begins = begins,
    .called = called,
    .files = "idx",
    .read = read_stream,
};
