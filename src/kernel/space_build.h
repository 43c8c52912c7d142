/* SPDX-License-Identifier: MIT
 *
 * space_build.h - what the files that make a space share.
 */
#ifndef NTK_SPACE_BUILD_H
#define NTK_SPACE_BUILD_H

#include "kernel/space.h"

/* One dimension of a link: windows over n positions (window.h), or all of them one by one. */
struct ntk_link_axis {
    int n, n_out;
    int size, stride, low;
    bool wrap, true_count;
    bool together;   /* p and p' at the same place of their windows: convolutions */
    bool sum;        /* the target is one number: */
    bool only_trace; /* of equal windows only */
};
/* False: no memory. */
bool ntk_link_dim_make(struct ntk_space *s, const struct ntk_link_axis *axis,
                       struct ntk_link_dim *dim);

/* Adds the link that makes a node (POOL, CONV, CARRY), or for sum >= 0 the sum of that number;
 * returns its number, -1: no memory. */
int ntk_space_link_add(struct ntk_space *s, int node, int sum);
/* The number of a node among the exits, made one if it is not. */
int ntk_space_exit(struct ntk_space *s, int node);
/* Steps of all frames, in order, with what they need; then slots. */
ntk_status ntk_space_steps(struct ntk_space *s, int n_seeds, const int *seeds);
/* The order in which rows of offsets are computed. */
ntk_status ntk_space_schedule(struct ntk_space *s);

#endif
