/* SPDX-License-Identifier: MIT
 *
 * shifted.c - new samples: images that are moved by some pixels, with the targets of those that they were.
 */
#include "data/parts.h"
#include "data/symmetry.h"

enum { MOST = 16, WAYS = (2 * MOST + 1) * (2 * MOST + 1) };

/* Copies of an image: ways 0 ... n - 1 are all shifts but that by nothing. */
struct shifts {
    int64_t most, copies, n;
    bool down; /* images, not sequences */
    uint64_t seed;
};

/* Which of the ways the copies after the first of sample i go: all, or some that are drawn. */
static void draw(const struct shifts *s, int64_t i, int16_t way[WAYS])
{
    for (int64_t k = 0; k < s->n; k++)
        way[k] = (int16_t)k;
    for (int64_t k = 0; s->copies - 1 < s->n && k < s->copies - 1; k++) {
        const uint64_t bits = ntk_mix64(ntk_mix64(s->seed ^ 0x9e3779b97f4a7c15u) + (uint64_t)i * WAYS + (uint64_t)k);
        const int64_t other = k + (int64_t)(bits % (uint64_t)(s->n - k));
        const int16_t chosen = way[other];

        way[other] = way[k];
        way[k] = chosen;
    }
}

/* to[i][j] = from[i - di][j - dj], pixels of so many bytes. */
static void shift(ntk_shape s, size_t pixel, int64_t di, int64_t dj, const char *from, char *to)
{
    const int64_t first = dj > 0 ? dj : 0, end = dj < 0 ? s.w + dj : s.w;

    for (int64_t i = 0; i < s.h; i++) {
        char *row = to + (size_t)(i * s.w) * pixel;

        memset(row, 0, (size_t)s.w * pixel);
        if (i - di >= 0 && i - di < s.h && end > first)
            memcpy(row + (size_t)first * pixel, from + (size_t)((i - di) * s.w + first - dj) * pixel,
                   (size_t)(end - first) * pixel);
    }
}

static void shift_all(const ntk_data *data, const struct shifts *s, ntk_data *to)
{
    const ntk_shape image = ntk_data_image(data);
    const size_t pixel = (size_t)image.c * data->dtype, sample = (size_t)ntk_positions(image) * pixel;
    const int64_t width = 2 * s->most + 1;

#pragma omp parallel for schedule(static) num_threads(ntk_threads_for(data->ctx, data->n / 64))
    for (int64_t i = 0; i < data->n; i++) {
        const char *from = (const char *)data->x + (size_t)i * sample;
        int16_t way[WAYS];

        draw(s, i, way);
        memcpy((char *)to->owned_x + (size_t)i * sample, from, sample);
        for (int64_t c = 1; c < s->copies; c++) {
            const int64_t k = way[c - 1] + (way[c - 1] >= s->n / 2); /* the middle one is by nothing */

            shift(image, pixel, s->down ? k / width - s->most : 0, k % width - s->most, from,
                  (char *)to->owned_x + (size_t)(c * data->n + i) * sample);
        }
    }
}

/* Numbers of n samples once for each copy; NULL of NULL. */
static ntk_status repeat(ntk_data *to, const double *from, int64_t n, int64_t copies, double **out)
{
    if (!from)
        return NTK_OK;
    *out = ntk_part_room(to, n * copies, sizeof **out);
    if (!*out)
        return NTK_ENOMEM;
    for (int64_t c = 0; c < copies; c++)
        memcpy(*out + c * n, from, (size_t)n * sizeof **out);
    return NTK_OK;
}

static ntk_status check(const ntk_data *data, int64_t most, int64_t copies, struct shifts *s)
{
    const ntk_shape image = ntk_data_image(data);

    if (image.spatial == 0)
        return ntk_fail(data->ctx, NTK_ESHAPE,
                        "samples of %lld numbers cannot be shifted: say which images they are (ntk_data_set_image)",
                        (long long)ntk_features_of(image));
    if (data->mask || data->edges)
        return ntk_fail(data->ctx, NTK_EINVAL, "samples with a mask or edges are not shifted");
    if (most < 1 || most > MOST || most >= image.w || (image.spatial == 2 && most >= image.h))
        return ntk_fail(data->ctx, NTK_EINVAL, "shifts must be by 1 to %d pixels, and by less than the image has, got %lld",
                        MOST, (long long)most);
    s->n = (2 * most + 1) * (image.spatial == 2 ? 2 * most + 1 : 1) - 1;
    if (copies < 0 || copies > s->n + 1)
        return ntk_fail(data->ctx, NTK_EINVAL, "shifts by up to %lld pixels make 1 to %lld copies of a sample, got %lld",
                        (long long)most, (long long)s->n + 1, (long long)copies);
    s->most = most;
    s->copies = copies ? copies : s->n + 1;
    s->down = image.spatial == 2;
    return NTK_OK;
}

ntk_status ntk_data_shifted(const ntk_data *data, int64_t most, int64_t copies, uint64_t seed, ntk_data **shifted)
{
    struct shifts s = {.seed = seed};
    ntk_status status = NTK_OK;
    ntk_data *d;

    NTK_TRY(check(data, most, copies, &s));
    NTK_TRY(ntk_data_alloc(data->ctx, data->dtype, data->n * s.copies, data->shape, &d));
    d->owned_y = d->owned_parts = true;
    d->outputs = data->outputs;
    d->positions = data->positions;
    d->image = data->image;
    d->symmetry = ntk_symmetry_hold(data->symmetry);
    d->classes = data->classes;
    d->schema = ntk_schema_hold(data->schema);
    d->copied = s.copies > 1 || data->copied;
    status = repeat(d, data->y, data->n * data->outputs, s.copies, &d->y);
    if (status == NTK_OK)
        status = repeat(d, data->weights, data->n, s.copies, &d->weights);
    if (status == NTK_OK)
        status = repeat(d, data->noise, data->n, s.copies, &d->noise);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    shift_all(data, &s, d);
    *shifted = d;
    return NTK_OK;
}
