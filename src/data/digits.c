/* SPDX-License-Identifier: MIT
 *
 * digits.c - the embedded images of digits; data/README.md says whose they are.
 */
#include "data/digits.h"
#include "data/data.h"

#define TRAIN   1297
#define SIDE    8
#define CLASSES 10
#define LEVELS  16 /* the largest pixel */

/* '0' to '9' and 'a' to 'g'. */
static unsigned char level(char c)
{
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool is_source(const char *source)
{
    return strcmp(source, "digits") == 0 || strcmp(source, "digits/train") == 0 ||
           strcmp(source, "digits/test") == 0;
}

static ntk_status read_source(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data)
{
    const bool train = ntk_ends_with(source, "/train"), test = ntk_ends_with(source, "/test");
    const int64_t first = test ? TRAIN : 0, end = train ? TRAIN : NTK_DIGITS;
    const ntk_shape shape = {.spatial = 2, .h = SIDE, .w = SIDE, .c = 1};
    unsigned char image[SIDE * SIDE];
    ntk_data *d;
    ntk_status status;

    NTK_TRY(ntk_data_alloc(ctx, opts->dtype, ntk_limited(opts, end - first), shape, &d));
    status = ntk_data_add_targets(d, 1);
    if (status == NTK_OK)
        status = ntk_data_declare(d, NULL, CLASSES);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    for (int64_t i = 0; i < d->n; i++) {
        const char *line = ntk_digits[first + i];

        for (size_t k = 0; k < sizeof image; k++)
            image[k] = level(line[k]);
        ntk_data_set_bytes(d, (size_t)i * sizeof image, image, sizeof image, LEVELS);
        d->y[i] = line[sizeof image + 1] - '0';
    }
    *data = d;
    return NTK_OK;
}

const struct ntk_reader ntk_reader_digits = {
    .sources = "digits[/train|/test]",
    .is_source = is_source,
    .read_source = read_source,
};
