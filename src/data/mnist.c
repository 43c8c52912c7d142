/* SPDX-License-Identifier: MIT
 *
 * mnist.c - the official files of MNIST (idx.c) in a folder.
 */
#include <stdlib.h>

#include "data/data.h"

#define PREFIX  "mnist:"
#define CLASSES 10

static bool is_source(const char *source)
{
    return strncmp(source, PREFIX, strlen(PREFIX)) == 0;
}

static ntk_status read_source(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data)
{
    struct ntk_text name = {0};
    ntk_data *d = NULL;
    char *dir, *images;
    bool test;
    ntk_status status;

    NTK_TRY(ntk_split_part(ctx, source + strlen(PREFIX), &dir, &test));
    ntk_text_add(&name, "%s/%s-images-idx3-ubyte", dir, test ? "t10k" : "train");
    images = name.failed ? NULL : ntk_strdup(ctx, name.s);
    status = images ? ntk_find_packing(ctx, &images) : NTK_ENOMEM;
    if (status == NTK_OK && !images)
        status = ntk_fail(ctx, NTK_EIO, "there is no %s, nor %s.gz", name.s, name.s);
    if (status == NTK_OK) {
        status = ntk_read_file(ctx, images, opts, &d);
        if (status != NTK_OK)
            ntk_fail_in(ctx, status, "%s", images);
    }
    if (status == NTK_OK && !d->y)
        status = ntk_fail(ctx, NTK_EIO, "there are no labels beside %s", images);
    if (status == NTK_OK && d->schema->labels[d->schema->n_classes - 1] < CLASSES)
        status = ntk_data_declare(d, NULL, CLASSES);
    free(images);
    free(name.s);
    free(dir);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *data = d;
    return NTK_OK;
}

const struct ntk_reader ntk_reader_mnist = {
    .sources = "mnist:DIR/train|test",
    .is_source = is_source,
    .read_source = read_source,
};
