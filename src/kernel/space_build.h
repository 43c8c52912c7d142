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

/* ---- steps in the making: space_steps.c, and space_fuse.c for those that do several things at
 * once */

struct ntk_space_builder {
    struct ntk_space *s;
    const struct ntk_graph *g;
    bool *used;                   /* [g->n] reached from the sums and seeds */
    int *first, *reader;          /* readers of v: reader[first[v]] ... reader[first[v + 1] - 1] */
    struct ntk_space_step *steps; /* all that might be used */
    int n_steps, capacity;
    int *producer;       /* [g->n] step that computes a node, -1 */
    int *order, n_order; /* those that are used, operands first */
};

struct ntk_space_step *ntk_space_new_step(struct ntk_space_builder *b, enum ntk_space_op op, int v,
                                          int n_in, int n_out);
/* True if a link makes that node. */
bool ntk_space_is_link(const struct ntk_space_builder *b, int v);
/* The node that ends "convolution, then a factor and a constant", and those. */
int ntk_space_box_end(const struct ntk_space_builder *b, int conv, double factor,
                      struct ntk_sweep_out *out);
/* Sweeps for dual number `at` of the steps; false: no memory. */
bool ntk_space_sweeps(struct ntk_space_builder *b, int at);
/* Moves sum number `at` of the steps into a tail, one of those from number `from` on, where that is
 * possible; false: no memory. */
bool ntk_space_tail(struct ntk_space_builder *b, int at, int from);

#endif
