/* SPDX-License-Identifier: MIT
 *
 * samples.h - samples prepared for a kernel, and the values that each has with itself: variances
 * of every node, and the side values that steps read.
 */
#ifndef NTK_SAMPLES_H
#define NTK_SAMPLES_H

#include "data/data.h"
#include "kernel/plan.h"
#include "kernel/way.h"

struct ntk_samples {
    int64_t n;
    size_t stride;   /* n, padded so that a run of whole vectors may start anywhere below n */
    ntk_dtype dtype;
    size_t features;
    const void *x;   /* [n][features] of dtype */
    void *owned_x;   /* x if it had to be converted */
    double *variance; /* [graph.n][n]: node's value for each sample with itself; rows of nodes that
                       * are not needed are not written */
    void **sides;    /* [n_tables] -> [sides][stride] of dtype; DUAL: one more, the roots of variances */
    int64_t *group;  /* [n]: samples with the same group are equal, within and across both sets */
};

/* Activations set up for the variances of one computation. */
struct ntk_duals {
    struct ntk_dual *dual; /* [n_tables] */
    void *par;             /* [n_tables][NTK_DUAL_PARS] of the kernel's dtype */
    const struct ntk_plan *plan;
    int n_ready;           /* tables that must be finished */
    bool beyond;           /* some number is not one that the way takes: what was prepared may not be
                            * complete */
};

/* Columns of each group: those of group g are columns[start[g]] ... columns[start[g + 1] - 1]. */
struct ntk_groups {
    int64_t n;
    int64_t *start, *columns;
};

struct ntk_fields; /* fields.h */

/* Prepares 1 or 2 sets (x2 NULL: one): converts, finds equal samples, prepares positions if the plan
 * has some (f; freed by ntk_fields_free, also on failure), and if variances is true, or the way has to check
 * them, runs the variance
 * recursion. duals->beyond: it is to be done in another way. Sides of activations are not made.
 * s[1] is untouched if x2 is NULL. What is made is freed by ntk_samples_free, also on failure. */
ntk_status ntk_samples_prepare(ntk_ctx *ctx, const struct ntk_plan *plan,
                               const struct ntk_way *way, const ntk_data *x1, const ntk_data *x2, struct ntk_samples s[2],
                               bool variances, struct ntk_fields *f, struct ntk_duals *duals,
                               struct ntk_groups *groups);
/* NTK_ENUMERIC if an output that was computed in another way is too large for the kernel's type. */
ntk_status ntk_samples_check_outputs(ntk_ctx *ctx, const struct ntk_plan *plan,
                                     const struct ntk_way *way, ntk_dtype dtype,
                                     const struct ntk_samples *s, int set);
void ntk_samples_free(struct ntk_samples s[2], const struct ntk_plan *plan, struct ntk_duals *duals,
                      struct ntk_groups *groups);
/* After ntk_samples_prepare: the side values, which take most of the memory. */
ntk_status ntk_samples_sides(ntk_ctx *ctx, const struct ntk_duals *duals, int sets,
                             struct ntk_samples s[2]);
/* Whether the number of side values is known only with the variances, or positions prepared. */
bool ntk_samples_wait(const struct ntk_plan *plan);
/* Peak bytes that one set takes, values for almost parallel samples included; without duals (NULL) those
 * of activations whose number of sides is known. */
size_t ntk_samples_bytes(const struct ntk_plan *plan, const struct ntk_way *way, const ntk_data *x,
                         const struct ntk_duals *duals);

#endif
