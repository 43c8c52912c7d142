/* SPDX-License-Identifier: MIT
 *
 * planes.c - the loops over planes that are not sweeps; see simd.h.
 */
#include <string.h>

#include "base/window.h"
#include "simd/planes.h"
#include "simd/vmath.h"

NTK_INLINE void first_loops(const struct ntk_rect_args *r, size_t channels, const real *x1, const real *x2,
                            real scale, bool open, real *out, bool per_lane)
{
    for (size_t i = 0; i < r->rows; i++, x1 += r->row1, x2 += r->row2, out += r->pitch * LANES) {
        const real *a = x1, *b = x2;
        V last = {0}, pair = {0};

        for (size_t j = 0; j < r->columns; j++) {
            V sum = {0};

            for (size_t c = 0; c < channels; c++, a += r->step1, b += LANES)
                sum += (per_lane ? load(a) : splat(*a)) * load(b);
            sum *= scale;
            if (!open)
                store(out + j * LANES, sum);
            else if (j > 0)
                store(out + (j - 1) * LANES, pair + sum);
            pair = last + sum;
            last = sum;
        }
        if (open)
            store(out + (r->columns - 1) * LANES, pair);
    }
}

/* Grey and coloured images have copies of their own, without a loop over channels. */
NTK_INLINE void first_cases(const struct ntk_rect_args *r, size_t channels, const real *x1, const real *x2,
                            real scale, bool open, real *out, bool per_lane)
{
    if (channels == 1)
        first_loops(r, 1, x1, x2, scale, open, out, per_lane);
    else if (channels == 3)
        first_loops(r, 3, x1, x2, scale, open, out, per_lane);
    else
        first_loops(r, channels, x1, x2, scale, open, out, per_lane);
}

void NTK_PLANES(first)(const struct ntk_rect_args *rect, size_t channels, const void *x1, const void *x2,
                       double scale, bool open, void *out)
{
    if (rect->step1 == 1)
        first_cases(rect, channels, x1, x2, (real)scale, open, out, false);
    else
        first_cases(rect, channels, x1, x2, (real)scale, open, out, true);
}

/* One row of windows: the sum over their columns, added to out. */
static void box_row(const struct ntk_window_axis *x, int windows, const real *in, real *out)
{
    for (int q = 0; q < windows; q++) {
        V sum = load(out + (size_t)q * LANES);
        int first, last;

        ntk_window_inside(x, q, &first, &last);
        for (int a = first; a < last; a++)
            sum += load(in + (size_t)ntk_window_position(x, q, a) * LANES);
        store(out + (size_t)q * LANES, sum);
    }
}

void NTK_PLANES(open)(size_t rows, size_t columns, size_t pitch, double scale, const void *in, void *out)
{
    const real a = (real)scale;

    for (size_t i = 0; i < rows; i++) {
        const real *from = (const real *)in + i * pitch * LANES;
        real *to = (real *)out + i * pitch * LANES;
        V last = {0}, now = load(from) * a;

        for (size_t j = 0; j + 1 < columns; j++) {
            const V next = load(from + (j + 1) * LANES) * a;

            store(to + j * LANES, (last + now) + next);
            last = now;
            now = next;
        }
        store(to + (columns - 1) * LANES, last + now);
    }
}

void NTK_PLANES(close)(size_t rows, size_t columns, size_t pitch, double constant, void *x, void *lines)
{
    const V b = splat((real)constant);
    real *before = lines; /* the row above as it was */

    memset(before, 0, columns * sizeof(V));
    for (size_t i = 0; i < rows; i++) {
        real *row = (real *)x + i * pitch * LANES;

        for (size_t j = 0; j < columns; j++) {
            const V now = load(row + j * LANES), above = load(before + j * LANES);
            const V below = i + 1 < rows ? load(row + (pitch + j) * LANES) : splat(0);

            store(before + j * LANES, now);
            store(row + j * LANES, ((now + below) + above) + b);
        }
    }
}

static bool is_box3(const struct ntk_box_args *x)
{
    return !x->wrap && x->size[0] == 3 && x->size[1] == 3 && x->stride[0] == 1 &&
           x->stride[1] == 1 && x->low[0] == 1 && x->low[1] == 1 && x->out_rows == x->in_rows &&
           x->out_columns == x->in_columns && x->out_pitch == x->in_pitch;
}

static struct ntk_window_axis axis(const struct ntk_box_args *x, int k, int n)
{
    return (struct ntk_window_axis){
        .n = n, .size = x->size[k], .stride = x->stride[k], .low = x->low[k], .wrap = x->wrap};
}

void NTK_PLANES(box)(const struct ntk_box_args *x)
{
    const struct ntk_window_axis rows = axis(x, 0, x->in_rows), columns = axis(x, 1, x->in_columns);

    if (is_box3(x)) {
        NTK_PLANES(open)((size_t)x->in_rows, (size_t)x->in_columns, x->in_pitch, x->scale, x->in, x->out);
        NTK_PLANES(close)((size_t)x->in_rows, (size_t)x->in_columns, x->in_pitch, x->constant, x->out, x->lines);
        return;
    }
    for (int q = 0; q < x->out_rows; q++) {
        real *out = (real *)x->out + (size_t)q * x->out_pitch * LANES;
        int first, last;

        ntk_window_inside(&rows, q, &first, &last);
        memset(out, 0, (size_t)x->out_columns * sizeof(V));
        for (int a = first; a < last; a++) {
            const size_t p = (size_t)ntk_window_position(&rows, q, a);

            box_row(&columns, x->out_columns, (const real *)x->in + p * x->in_pitch * LANES, out);
        }
        for (int j = 0; j < x->out_columns; j++)
            store(out + (size_t)j * LANES,
                  load(out + (size_t)j * LANES) * (real)x->scale + (real)x->constant);
    }
}

void NTK_PLANES(spread)(const struct ntk_link_group *rows, const struct ntk_link_group *columns,
                        double scale, const void *in, size_t in_pitch, void *out, size_t out_pitch)
{
    for (int i = 0; i < rows->n; i++) {
        const real *from = (const real *)in + (size_t)rows->terms[i].from * in_pitch * LANES;
        real *to = (real *)out + (size_t)rows->terms[i].to * out_pitch * LANES;
        const double weight = scale * rows->terms[i].weight;

        for (int j = 0; j < columns->n; j++) {
            const struct ntk_link_term *t = &columns->terms[j];
            real *at = to + (size_t)t->to * LANES;

            store(at, load(at) + load(from + (size_t)t->from * LANES) * (real)(weight * t->weight));
        }
    }
}

void NTK_PLANES(sum)(size_t rows, size_t columns, size_t pitch, const void *in,
                     const double *weight1, const double *weight2, double *sum)
{
    for (size_t i = 0; i < rows; i++) {
        const real *x = (const real *)in + i * pitch * LANES;
        const double weight = weight1 ? weight1[i] : 1;
        V a = {0}, b = {0};
        size_t j = 0;

        if (weight2)
            for (; j < columns; j++)
                a += load(x + j * LANES) * (real)weight2[j];
        for (; j + 1 < columns; j += 2) {
            a += load(x + j * LANES);
            b += load(x + (j + 1) * LANES);
        }
        if (j < columns)
            a += load(x + j * LANES);
        a += b;
        for (size_t l = 0; l < LANES; l++)
            sum[l] += weight * (double)a[l];
    }
}
