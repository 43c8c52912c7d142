/* SPDX-License-Identifier: MIT
 *
 * checkpoint.h - solutions so far in a file, which stands for the old ones or the new ones, whole: so that a long solution goes
 * on after its process was killed. It says of which matrix, ridge and right-hand sides they are. Of another matrix they are
 * nothing; of another ridge or other right-hand sides they are where to begin.
 */
#ifndef NTK_CHECKPOINT_H
#define NTK_CHECKPOINT_H

#include "base/base.h"

struct ntk_checkpoint {
    const char *path;  /* NULL: none is wanted */
    const char *about; /* the matrix, in lines (store/store.h) */
    bool asked;        /* by name: one of another matrix is refused, else not read */
};

/* What is solved, of numbers: R [n] and right-hand sides [m][n]. */
struct ntk_problem {
    int64_t n, m;
    uint64_t ridge, targets;
};
struct ntk_problem ntk_problem_of(int64_t n, int64_t m, const double *ridge, const double *y);

/* x: [m][n]. */
ntk_status ntk_checkpoint_save(ntk_ctx *ctx, const struct ntk_checkpoint *c, const struct ntk_problem *p, const double *x);
/* *there: false, and x as it was, if there is no file that is of use, which is said if there is one. NTK_EINVAL if it is of
 * another matrix, and was asked for by name; NTK_EIO if it cannot be read. */
ntk_status ntk_checkpoint_load(ntk_ctx *ctx, const struct ntk_checkpoint *c, const struct ntk_problem *p, double *x,
                               bool *there);
/* The work is done. */
void ntk_checkpoint_drop(const struct ntk_checkpoint *c);

#endif
