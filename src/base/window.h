/* SPDX-License-Identifier: MIT
 *
 * window.h - windows that slide over positions: convolutions' filters and pools.
 *
 * Window q covers the positions stride q - low ... stride q - low + size - 1 of its input; those
 * outside the input are zero, or wrap around. Index 0 is rows, 1 is columns; a sequence has one
 * row.
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

#endif
