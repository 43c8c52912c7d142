/* SPDX-License-Identifier: MIT
 *
 * window.h - windows that slide over positions: convolutions' filters and pools.
 *
 * Window q covers the positions stride q - low ... stride q - low + size - 1 of its input; those
 * outside the input are zero, or wrap around: ntk_window_position says so, once for all. Index 0 is
 * rows, 1 is columns; a sequence has one row.
 */
#ifndef NTK_WINDOW_H
#define NTK_WINDOW_H

#include "base/class.h"

enum ntk_padding {
    NTK_VALID,
    NTK_SAME,
    NTK_CIRCULAR
}; /* in the order of NTK_PADDING_CHOICES */
#define NTK_PADDING_CHOICES "VALID|SAME|CIRCULAR"

struct ntk_window {
    int size[2], stride[2], low[2];
    int out[2];     /* number of windows */
    int wrap;       /* 1: CIRCULAR */
    int true_count; /* 1: sums are divided by the number of positions inside the input */
};

/* The windows of a layer on an input of shape `in`. size has one number for each spatial axis of
 * the input, strides too, or none (all 1). Low padding for SAME and CIRCULAR is half of
 * max((out - 1) stride + size - n, 0), rounded down (as XLA has it). Fails with NTK_ESHAPE if the
 * numbers do not fit; `what` names the window in the message ("filter_shape"). */
ntk_status ntk_window_make(const struct ntk_where *at, const char *what,
                           const struct ntk_integers *size, const struct ntk_integers *strides,
                           int padding, ntk_shape in, struct ntk_window *w);
/* The shape of `channels` channels at every window. */
ntk_shape ntk_window_shape(const struct ntk_window *w, ntk_shape in, int64_t channels);

/* One axis of windows: what they cover of n positions. */
struct ntk_window_axis {
    int n, size, stride, low;
    bool wrap;
};
/* Axis k of windows on n positions. */
static inline struct ntk_window_axis ntk_window_along(const struct ntk_window *w, int k, int n)
{
    return (struct ntk_window_axis){
        .n = n, .size = w->size[k], .stride = w->stride[k], .low = w->low[k], .wrap = w->wrap};
}

/* The position that place a of window q covers; -1: it is outside. */
static inline int ntk_window_position(const struct ntk_window_axis *x, int q, int a)
{
    const int p = x->stride * q - x->low + a;

    if (p >= 0 && p < x->n)
        return p;
    return x->wrap ? (p % x->n + x->n) % x->n : -1;
}

/* Places first ... last - 1 of window q cover a position, others are outside. */
static inline void ntk_window_inside(const struct ntk_window_axis *x, int q, int *first, int *last)
{
    const int start = x->stride * q - x->low, end = x->n - start;

    *first = x->wrap || start >= 0 ? 0 : -start;
    *last = x->wrap || x->size < end ? x->size : end;
}

#endif
