/* SPDX-License-Identifier: MIT
 *
 * libFuzzer on the readers of text, npy, npz, idx and CIFAR-10: the first byte chooses the file's name,
 * the element type and whether the file is gzipped, the rest is the file. HDF5's own reader is not ours to
 * test.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined ... tests/fuzz/data.c
 */
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "data/data.h"

#define MEMORY ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Names of the file, in a directory of its own, and the sources that it is read by: one that says
 * nothing, so that its first bytes must, and those of all readers. */
static const struct {
    const char *name, *source;
} files[] = {
    {"a", "a"},         {"a.csv", "a.csv"}, {"a.npy", "a.npy"},
    {"a.npz", "a.npz"}, {"a-images-idx3-ubyte", "a-images-idx3-ubyte"},
    {"test_batch.bin", "test"},
};
#define FILES (sizeof files / sizeof *files)

static char dir[64];
static char path[128];

static void remove_directory(void)
{
    rmdir(dir);
}

static void make_directory(void)
{
    snprintf(dir, sizeof dir, "/tmp/ntk-fuzz-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    atexit(remove_directory);
}

static void write_file(const uint8_t *bytes, size_t n, bool packed)
{
    gzFile f = gzopen(path, packed ? "wb1" : "wbT");

    if (!f || (n && gzwrite(f, bytes, (unsigned)n) != (int)n) || gzclose(f) != Z_OK)
        abort();
}

static bool is_hdf5(const uint8_t *bytes, size_t n)
{
    return n >= 4 && memcmp(bytes, "\x89HDF", 4) == 0;
}

/* Read once more by its own schema it has the same columns, and all labels are classes. */
static void match(ntk_ctx *ctx, const char *source, ntk_load_opts opts, const ntk_data *data)
{
    ntk_schema *schema;
    ntk_data *again = NULL;
    int64_t unseen = 0;

    if (ntk_schema_new(data, NTK_ONEHOT, &schema) != NTK_OK)
        return;
    opts.schema = schema;
    opts.target = opts.drop = opts.weights = NULL;
    if (ntk_data_load(ctx, source, &opts, &again) == NTK_OK) {
        if (ntk_features_of(again->shape) != ntk_features_of(data->shape) ||
            (ntk_schema_number(schema, again, &unseen) == NTK_OK && unseen))
            abort();
        ntk_data_free(again);
    }
    ntk_schema_free(schema);
}

/* What was read can be used: its values are there, and labels are checked. */
static void use(ntk_data *data)
{
    ntk_scaler *scaler = NULL;
    int64_t classes;

    for (int64_t i = 0; data->weights && i < data->n; i++)
        if (!(data->weights[i] >= 0))
            abort();
    if (ntk_data_classes(data, &classes) == NTK_OK && classes < 1)
        abort();
    if (ntk_scaler_fit(NTK_STD_CHANNEL, data, NULL, &scaler) == NTK_OK)
        ntk_scaler_free(scaler);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ntk_load_opts opts;
    ntk_data *data = NULL;
    ntk_ctx *ctx;
    char source[160];
    size_t file;

    if (n < 1 || is_hdf5(bytes + 1, n - 1) || ntk_ctx_new(&ctx) != NTK_OK)
        return 0;
    if (!*dir)
        make_directory();
    ntk_ctx_set_memory(ctx, MEMORY);
    file = (bytes[0] & 0x0f) % FILES;
    snprintf(path, sizeof path, "%s/%s", dir, files[file].name);
    snprintf(source, sizeof source, "%s%s/%s", file == FILES - 1 ? "cifar10:" : "", dir, files[file].source);
    write_file(bytes + 1, n - 1, bytes[0] & 0x10);
    ntk_load_opts_init(&opts);
    opts.dtype = bytes[0] & 0x80 ? NTK_F32 : NTK_F64;
    opts.limit = bytes[0] & 0x40 ? 2 : 0;
    opts.target = bytes[0] & 0x20 ? "1" : NULL;
    opts.header = (ntk_header)((bytes[0] & 0x0f) / FILES);
    opts.drop = n % 5 == 0 ? "0" : NULL;
    opts.weights = n % 7 == 0 ? "0" : NULL;
    if (ntk_data_load(ctx, source, &opts, &data) == NTK_OK) {
        use(data);
        match(ctx, source, opts, data);
    } else if (data || !*ntk_errmsg(ctx))
        abort(); /* a failure must leave the output alone and say why */
    unlink(path);
    ntk_data_free(data);
    ntk_ctx_free(ctx);
    return 0;
}
