/* SPDX-License-Identifier: MIT
 *
 * prepare.h - what the files that prepare samples share.
 */
#ifndef NTK_PREPARE_H
#define NTK_PREPARE_H

#include "engine/backend.h"

/* One or two sets on the way of one reference. */
struct ntk_preparation {
    ntk_ctx *ctx;
    const struct ntk_program *program;
    const struct ntk_machine *machine; /* makes values that come from pairs of positions */
    struct ntk_reference *reference;
    bool fixed; /* the reference is there already: sets must be within what it takes */
    bool variances; /* of points are wanted */
    int sets;
    struct ntk_samples *s[2];
    bool beyond; /* some number is not one that the way takes, or not within the reference: what was prepared
                  * may not be complete */
};

/* Sets up the duals of a side set for variances from q_min to q_max, once; after that, or in a reference that is
 * fixed, checks that they are within what it takes. */
ntk_status ntk_prepare_setup(struct ntk_preparation *x, int side_set, double q_min, double q_max);
/* The set's variances at a node must be numbers of the kernel's type, also times `factor`: variances.c. */
ntk_status ntk_prepare_check(const struct ntk_samples *s, int node, double factor, bool *beyond);
/* Of nodes with positions: ranges.c. */
ntk_status ntk_prepare_ranges(struct ntk_preparation *x);
/* Variances of frames' entries, level by level: panel.c. */
ntk_status ntk_prepare_own(struct ntk_preparation *x);
/* Variances of points' entries that are sums over positions: panel.c. */
ntk_status ntk_prepare_sums(struct ntk_preparation *x);
/* Variances of points, step by step, of all sets: variances.c. */
ntk_status ntk_prepare_points(struct ntk_preparation *x);

/* Number k of the samples' arrays, as float64. */
static inline double ntk_sample_number(const struct ntk_samples *s, size_t k)
{
    return ntk_number(s->x, s->dtype, k);
}
/* What sample i was multiplied by, as a power of two. */
static inline int ntk_sample_exponent(const struct ntk_samples *s, int64_t i)
{
    return s->exponent ? s->exponent[i] : 0;
}
/* Variances of a node of points. */
static inline double *ntk_variances_of(const struct ntk_samples *s, int node)
{
    return s->variance + (size_t)node * s->stride;
}

#endif
