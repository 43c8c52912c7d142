/* SPDX-License-Identifier: MIT
 *
 * lines.h - sums over 3 x 3 neighbours, zero outside, of values that come row by row: a row's sums over
 * three neighbours are kept for three rows, and every row's completes the row above it. Results may
 * go where the values came from.
 */
#ifndef NTK_LINES_H
#define NTK_LINES_H

#include <string.h>

#include "simd/vmath.h"

/* Sums of one output. */
struct sweep_line {
    real *now, *above, *before; /* of this row and the two above it: [columns] vectors */
    real *out;                  /* the row above */
    V last, pair;               /* the value to the left; the sum of the last two */
    real a, b, mix;
};

/* lines: 3 * columns vectors; out: rows are pitch vectors apart */
NTK_INLINE void sweep_start(struct sweep_line *s, real *lines, size_t columns, real *out, size_t pitch,
                            double a, double b)
{
    *s = (struct sweep_line){.now = lines,
                             .above = lines + columns * LANES,
                             .before = lines + 2 * columns * LANES,
                             .out = out - pitch * LANES,
                             .a = (real)a,
                             .b = (real)b};
    memset(s->above, 0, columns * sizeof(V)); /* the row above the first */
}

/* The value at column j of this row; completes column j - 1 of the row above. */
NTK_INLINE void sweep_put(struct sweep_line *s, V value, size_t j, bool store_out)
{
    const V sum = s->pair + value;

    s->pair = s->last + value;
    s->last = value;
    if (j == 0)
        return;
    store(s->now + (j - 1) * LANES, sum);
    if (store_out) {
        const V box = (load(s->above + (j - 1) * LANES) + load(s->before + (j - 1) * LANES)) + sum;

        store(s->out + (j - 1) * LANES, box * s->a + s->b);
    }
}

NTK_INLINE void sweep_next_row(struct sweep_line *s, size_t pitch)
{
    real *oldest = s->before;

    s->before = s->above;
    s->above = s->now;
    s->now = oldest;
    s->out += pitch * LANES;
    s->last = s->pair = (V){0};
}

/* The last row has none below it. */
NTK_INLINE void sweep_finish(struct sweep_line *s, size_t columns)
{
    for (size_t j = 0; j < columns; j++) {
        const V box = load(s->above + j * LANES) + load(s->before + j * LANES);

        store(s->out + j * LANES, box * s->a + s->b);
    }
}

#endif
