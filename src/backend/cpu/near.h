/* SPDX-License-Identifier: MIT
 *
 * near.h - almost parallel pairs of samples without positions.
 *
 * Where |rho| is close to 1 at some activation, and that activation's dual is steep there or has a
 * kink (ntk_dual.near), rounding of the covariance is magnified. Such pairs go through the steps
 * once more, in float64, from the samples themselves, as simd/near.h explains. A pair is chosen by
 * its own covariances, and computed apart from its neighbours.
 */
#ifndef NTK_NEAR_POINTS_H
#define NTK_NEAR_POINTS_H

#include "backend/cpu/cpu.h"

/* What the threads share: values of each sample that some near duals read, made when first needed.
 * [n_side_sets] -> [n][near_sides], NULL where there are none. */
struct ntk_near_sides {
    double **first, **second; /* the same if both sets are */
};

/* What one thread works in. */
struct ntk_near {
    const struct ntk_points *t;
    struct ntk_near_sides *shared;
    unsigned char *flags; /* [NTK_TILE]: pairs of the row that are chosen; 0 between rows */
    bool any;             /* some flag may be set */
    bool failed;          /* no memory */
    bool *ready;          /* [n_side_sets]: shared has that side set's values */
    double *block;
    struct ntk_near_run *slot; /* [slots of points + 1]; the last is for what nothing reads */
    const struct ntk_near_run **in;
    const void **values; /* [most_in] both */
    double *sides;       /* [most near_sides][NTK_LANES_MAX] */
    int64_t n, *columns; /* the chosen pairs' second samples */
};

/* False: no memory. */
bool ntk_near_new(struct ntk_near *s, const struct ntk_points *t, struct ntk_near_sides *shared);
void ntk_near_free(struct ntk_near *s);
/* Members are NULL if there is no memory. */
struct ntk_near_sides ntk_near_sides_new(const struct ntk_points *t);
void ntk_near_sides_free(struct ntk_near_sides *s, const struct ntk_points *t);
/* Flags pairs of sample i with samples from j0 on whose covariances k (n, padded) are near for the
 * activation of a side set; k is as before when it returns. */
void ntk_near_mark(struct ntk_near *s, int side_set, void *k, size_t n, int64_t i, int64_t j0);
/* Computes the flagged pairs among (i, j0) ... (i, j0 + n - 1), whose first covariances are k:
 * values of output m to out[m][0 ... n - 1]. Clears flags. */
void ntk_near_row(struct ntk_near *s, int64_t i, int64_t j0, int64_t n, const void *k,
                  unsigned char *const *out);
/* Bytes that one thread holds. */
size_t ntk_near_bytes(const struct ntk_program *p);

#endif
