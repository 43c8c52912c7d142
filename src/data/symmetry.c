/* SPDX-License-Identifier: MIT
 *
 * symmetry.c - see symmetry.h.
 */
#include "data/symmetry.h"

#include <stdlib.h>

struct ntk_symmetry *ntk_symmetry_hold(struct ntk_symmetry *s)
{
    if (s)
        s->refs++;
    return s;
}

void ntk_symmetry_free(struct ntk_symmetry *s)
{
    if (!s || --s->refs > 0)
        return;
    free(s->from);
    free(s);
}

/* ---- the group that some generate */

static const struct {
    unsigned kind;
    const char *text;
} kinds[] = {{NTK_FLIP, "mirror images"}, {NTK_FLIP_ROWS, "upside down"}, {NTK_ROTATE, "quarter turns"}};
enum { KINDS = sizeof kinds / sizeof *kinds, COPIES_MOST = 8 };

const char *ntk_symmetry_text(unsigned of, char text[NTK_SYMMETRY_TEXT])
{
    size_t n = 0;

    *text = '\0';
    for (int k = 0; k < KINDS; k++)
        if (of & kinds[k].kind)
            n += (size_t)snprintf(text + n, NTK_SYMMETRY_TEXT - n, "%s%s", n ? ", " : "", kinds[k].text);
    return text;
}

/* The position that position i, j of a copy shows. */
static int32_t source(unsigned kind, ntk_shape s, int64_t i, int64_t j)
{
    if (kind == NTK_FLIP)
        return (int32_t)(i * s.w + s.w - 1 - j);
    if (kind == NTK_FLIP_ROWS)
        return (int32_t)((s.h - 1 - i) * s.w + j);
    return (int32_t)(j * s.w + s.w - 1 - i);
}

/* Number `copies` of the group is number `of` after the generator; it stays only if it is new. */
static void add(struct ntk_symmetry *s, int of, unsigned kind)
{
    const size_t n = (size_t)ntk_positions(s->image);
    int32_t *to = s->from + (size_t)s->copies * n;

    for (int64_t i = 0; i < s->image.h; i++)
        for (int64_t j = 0; j < s->image.w; j++)
            to[i * s->image.w + j] = s->from[(size_t)of * n + (size_t)source(kind, s->image, i, j)];
    for (int c = 0; c < s->copies; c++)
        if (memcmp(s->from + (size_t)c * n, to, n * sizeof *to) == 0)
            return;
    s->copies++;
}

static void generate(struct ntk_symmetry *s)
{
    const int64_t n = ntk_positions(s->image);

    for (int64_t p = 0; p < n; p++)
        s->from[p] = (int32_t)p;
    s->copies = 1;
    for (int c = 0; c < s->copies; c++)
        for (int k = 0; k < KINDS; k++)
            if (s->kinds & kinds[k].kind)
                add(s, c, kinds[k].kind);
}

static ntk_status check(const ntk_data *x, unsigned of)
{
    const ntk_shape s = ntk_data_image(x);
    char shape[64];
    const bool parts = x->mask || x->edges;
    const char *what = parts                                                  ? "with a mask or edges, which have no copies"
                       : s.spatial == 0                                       ? "vectors, whose images are not known"
                       : of & ~(NTK_FLIP | NTK_FLIP_ROWS | NTK_ROTATE)        ? "of NTK_FLIP, NTK_FLIP_ROWS and NTK_ROTATE only"
                       : s.spatial == 1 && of & (NTK_FLIP_ROWS | NTK_ROTATE)  ? "sequences, which have no rows"
                       : of & NTK_ROTATE && s.h != s.w                        ? "not square, and have no quarter turns"
                       : (of & NTK_FLIP && s.w < 2) || (of & NTK_FLIP_ROWS && s.h < 2) || (of & NTK_ROTATE && s.h < 2)
                           ? "1 pixel wide or high: they are their own mirror images"
                           : NULL;

    if (!what)
        return NTK_OK;
    if (s.spatial == 0 && !parts)
        return ntk_fail(x->ctx, NTK_ESHAPE,
                        "samples of %lld numbers have no mirror images: say which images they are (ntk_data_set_image)",
                        (long long)ntk_features_of(s));
    return ntk_fail(x->ctx, NTK_EINVAL, "symmetries: samples of %s are %s", ntk_shape_text(s, shape), what);
}

ntk_status ntk_data_set_symmetry(ntk_data *x, unsigned of)
{
    struct ntk_symmetry *s = NULL;

    if (of) {
        NTK_TRY(check(x, of));
        s = ntk_alloc_zero(x->ctx, 1, sizeof *s);
        if (!s)
            return NTK_ENOMEM;
        *s = (struct ntk_symmetry){.refs = 1, .kinds = of, .image = ntk_data_image(x)};
        s->from = ntk_alloc(x->ctx, (COPIES_MOST + 1) * (size_t)ntk_positions(s->image), sizeof *s->from);
        if (!s->from) {
            ntk_symmetry_free(s);
            return NTK_ENOMEM;
        }
        generate(s);
    }
    ntk_symmetry_free(x->symmetry);
    x->symmetry = s;
    return NTK_OK;
}

unsigned ntk_data_symmetry(const ntk_data *x, int *copies)
{
    if (copies)
        *copies = ntk_data_copies(x);
    return x->symmetry ? x->symmetry->kinds : 0;
}

ntk_shape ntk_data_image(const ntk_data *x) { return x->image.c ? x->image : x->shape; }

ntk_status ntk_data_set_image(ntk_data *x, ntk_shape image)
{
    char has[64], given[64];

    if (!ntk_shape_valid(image) || ntk_features_of(image) != ntk_features_of(x->shape))
        return ntk_fail(x->ctx, NTK_ESHAPE, "samples of %s are no images of %s: the numbers of values differ",
                        ntk_shape_text(x->shape, has), ntk_shape_text(image, given));
    if (x->shape.spatial > 0 && (image.spatial != x->shape.spatial || image.h != x->shape.h || image.w != x->shape.w))
        return ntk_fail(x->ctx, NTK_ESHAPE, "samples of %s have positions, and are no images of %s",
                        ntk_shape_text(x->shape, has), ntk_shape_text(image, given));
    x->image = image;
    return NTK_OK;
}

/* ---- copies */

ntk_status ntk_data_with(const ntk_data *x, struct ntk_symmetry *s, ntk_data **view)
{
    NTK_TRY(ntk_data_slice(x, 0, x->n, view));
    ntk_symmetry_hold(s);
    ntk_symmetry_free((*view)->symmetry);
    (*view)->symmetry = s;
    return NTK_OK;
}

#define NUMBERS_A_THREAD 65536 /* some microseconds */

ntk_status ntk_data_moved(const ntk_data *x, const struct ntk_symmetry *s, int first, int64_t step, ntk_data **moved)
{
    const int64_t positions = ntk_positions(s->image), rows = (s->copies - first) * step;
    const size_t each = (size_t)s->image.c * x->dtype, sample = (size_t)positions * each;
    ntk_data *d;

    NTK_TRY(ntk_data_alloc(x->ctx, x->dtype, rows, x->shape, &d));
#pragma omp parallel for schedule(static) num_threads(ntk_threads_for(x->ctx, rows * positions / NUMBERS_A_THREAD))
    for (int64_t r = 0; r < rows; r++) {
        const int64_t i = r % step < x->n ? r % step : x->n - 1;
        const int32_t *from = s->from + (first + r / step) * positions;
        const char *source = (const char *)x->x + (size_t)i * sample;
        char *to = (char *)d->owned_x + (size_t)r * sample;

        for (int64_t p = 0; p < positions; p++)
            memcpy(to + (size_t)p * each, source + (size_t)from[p] * each, each);
    }
    *moved = d;
    return NTK_OK;
}
