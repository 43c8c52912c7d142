/* SPDX-License-Identifier: MIT
 *
 * libFuzzer on the readers of CSV, npy, npz, idx and CIFAR-10: the first byte chooses the reader
 * and the element type, the rest is the file. HDF5's own reader is not ours to test.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined ... tests/fuzz/data.c
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/data.h"

#define MEMORY ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* CIFAR-10's file has its official name in a directory of its own. */
static char dir[64];
static char path[128];
static char source[128];

static void remove_files(void)
{
    unlink(path);
    rmdir(dir);
}

static void make_directory(void)
{
    snprintf(dir, sizeof dir, "/tmp/ntk-fuzz-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    snprintf(path, sizeof path, "%s/test_batch.bin", dir);
    snprintf(source, sizeof source, "%s/test", dir);
    atexit(remove_files);
}

static void write_file(const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        abort();
}

static ntk_status read_file(ntk_ctx *ctx, int reader, const ntk_load_opts *opts, ntk_data **data)
{
    ntk_status status;
    FILE *f;

    if (reader == 0)
        return ntk_read_idx(ctx, path, opts, data);
    if (reader == 1)
        return ntk_read_cifar10(ctx, source, opts, data);
    f = fopen(path, "rb");
    if (!f)
        abort();
    status = reader == 2   ? ntk_read_csv(ctx, f, opts, data)
             : reader == 3 ? ntk_read_npy(ctx, f, opts, data)
                           : ntk_read_npz(ctx, f, opts, data);
    fclose(f);
    return status;
}

/* Read once more by its own schema it has the same columns, and all labels are classes. */
static void match(ntk_ctx *ctx, int reader, ntk_load_opts opts, const ntk_data *data)
{
    ntk_schema *schema;
    ntk_data *again = NULL;
    int64_t unseen = 0;

    if (ntk_data_check_finite(data) != NTK_OK || ntk_schema_new(data, NTK_ONEHOT, &schema) != NTK_OK)
        return;
    opts.schema = schema;
    opts.target = opts.drop = NULL;
    if (read_file(ctx, reader, &opts, &again) == NTK_OK) {
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

    if (ntk_data_check_finite(data) != NTK_OK)
        return;
    if (ntk_data_classes(data, &classes) == NTK_OK && classes < 1)
        abort();
    if (ntk_scaler_fit(NTK_STD_CHANNEL, data, &scaler) == NTK_OK)
        ntk_scaler_free(scaler);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ntk_load_opts opts;
    ntk_data *data = NULL;
    ntk_ctx *ctx;

    if (n < 1 || ntk_ctx_new(&ctx) != NTK_OK)
        return 0;
    if (!*dir)
        make_directory();
    ntk_ctx_set_memory(ctx, MEMORY);
    write_file(bytes + 1, n - 1);
    ntk_load_opts_init(&opts);
    opts.dtype = bytes[0] & 0x80 ? NTK_F32 : NTK_F64;
    opts.limit = bytes[0] & 0x40 ? 2 : 0;
    opts.target = bytes[0] & 0x20 ? "1" : NULL;
    opts.drop = n > 2 && bytes[1] == '#' ? "0" : NULL;
    opts.header = (ntk_header)(n > 2 && bytes[1] != '#' && bytes[1] < 3 ? bytes[1] : 0);
    if (read_file(ctx, (bytes[0] & 0x1f) % 5, &opts, &data) == NTK_OK) {
        use(data);
        match(ctx, (bytes[0] & 0x1f) % 5, opts, data);
    } else if (data || !*ntk_errmsg(ctx))
        abort(); /* a failure must leave the output alone and say why */
    ntk_data_free(data);
    ntk_ctx_free(ctx);
    return 0;
}
