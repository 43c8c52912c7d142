/* SPDX-License-Identifier: MIT
 *
 * augment.c - training images that stand for their mirror images, shifted copies of them, and predictions that are means over
 * a test image's shifted copies.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *word;
    unsigned kind;
} symmetries[] = {{"flip", NTK_FLIP}, {"flip-rows", NTK_FLIP_ROWS}, {"rotate", NTK_ROTATE}};

/* "flip,shift=1". */
static int parse(const char *text, unsigned *kinds, int64_t *shift)
{
    *kinds = 0;
    *shift = 0;
    for (const char *at = text;; at++) {
        const size_t n = strcspn(at, ",");
        bool known = false;
        char *end;

        for (size_t k = 0; k < sizeof symmetries / sizeof *symmetries; k++)
            if (n == strlen(symmetries[k].word) && strncmp(at, symmetries[k].word, n) == 0) {
                *kinds |= symmetries[k].kind;
                known = true;
            }
        if (!known && strncmp(at, "shift=", 6) == 0) {
            *shift = strtoll(at + 6, &end, 10);
            known = end == at + n && *shift > 0;
        }
        if (!known)
            return usage("--augment must be of flip, flip-rows, rotate and shift=P, P pixels, with commas between, got '%s'",
                         text);
        at += n;
        if (!*at)
            return EXIT_OK;
    }
}

/* Vectors become known as the images that --input-shape says. */
static int find_image(ntk_ctx *ctx, const struct args *a, const char *option, const char *source, ntk_data *data)
{
    ntk_shape image;

    if (a->input_shape) {
        STEP(parse_shape(a->input_shape, &image));
        TRY(ctx, ntk_data_set_image(data, image));
    }
    if (ntk_data_image(data).spatial == 0)
        return usage("--%s: the samples of %s are vectors of %lld numbers; say which images they are, as --input-shape 28,28,1",
                     option, source, (long long)ntk_data_image(data).c);
    return EXIT_OK;
}

int check_scaled(const struct args *a, ntk_standardize kind)
{
    if (kind == NTK_STD_FEATURE && (a->augment || a->average))
        return usage("--%s moves pixels, which --standardize feature scales each by itself: take none or channel",
                     a->augment ? "augment" : "average");
    return EXIT_OK;
}

int augment_train(ntk_ctx *ctx, const struct args *a, ntk_data **train)
{
    unsigned kinds;
    int64_t shift;
    int copies;

    if (!a->augment && (a->copies || (a->input_shape && !a->average)))
        return usage("--%s is for --augment", a->copies ? "copies" : "input-shape");
    if (!a->augment)
        return EXIT_OK;
    STEP(parse(a->augment, &kinds, &shift));
    if (a->copies && !shift)
        return usage("--copies is for --augment shift=P");
    if (shift && (a->leave_one_out || ridge_is_chosen(a)))
        return usage("%s: leave-one-out would keep the other shifted copies of a sample, and say too little; choose without "
                     "shift, or by test samples",
                     a->leave_one_out ? "--loo" : "--diag-reg auto");
    STEP(find_image(ctx, a, "augment", a->train, *train));
    if (shift) {
        const int64_t n = ntk_data_n(*train);
        ntk_data *shifted;

        TRY(ctx, ntk_data_shifted(*train, shift, a->copies, (uint64_t)a->seed, &shifted));
        ntk_data_free(*train);
        *train = shifted;
        note("%s: %lld samples become %lld, by shifts", a->train, (long long)n, (long long)ntk_data_n(shifted));
    }
    TRY(ctx, ntk_data_set_symmetry(*train, kinds));
    ntk_data_symmetry(*train, &copies);
    if (copies > 1)
        note("%s: each sample stands for %d copies, of which the fit is one of %lld samples", a->train, copies,
             (long long)(copies * ntk_data_n(*train)));
    return EXIT_OK;
}

int average_copies(ntk_ctx *ctx, const struct args *a, const char *source, ntk_data *test, ntk_data **copies, int64_t *count)
{
    unsigned kinds;
    int64_t shift;

    *copies = NULL;
    *count = 1;
    if (!a->average)
        return EXIT_OK;
    STEP(parse(a->average, &kinds, &shift));
    if (kinds || !shift)
        return usage("--average is shift=P: over mirror images predictions are the same, with --augment flip, or those of "
                     "another model; got '%s'",
                     a->average);
    STEP(find_image(ctx, a, "average", source, test));
    TRY(ctx, ntk_data_shifted(test, shift, 0, 0, copies));
    *count = ntk_data_n(*copies) / ntk_data_n(test);
    note("%s: predictions are means over %lld shifted copies of a sample", source, (long long)*count);
    return EXIT_OK;
}

void average(double *f, int64_t n, int64_t columns, int64_t count)
{
    for (int64_t k = 0; k < n * columns && count > 1; k++) {
        for (int64_t c = 1; c < count; c++)
            f[k] += f[c * n * columns + k];
        f[k] /= (double)count;
    }
}
