/* SPDX-License-Identifier: MIT
 *
 * checkpoint.h - solutions so far in a file, which stands for the old ones or the new ones, whole: so that a long solution goes
 * on after its process was killed. It says of which matrix, ridge and right-hand sides they are. Of another matrix they are
 * nothing; of another ridge or other right-hand sides they are where to begin. What all files of this kind share, fits by
 * landmarks have, too (predict/landmarks_checkpoint.c): how often they are written, and what they say when they are of no use.
 */
#ifndef NTK_CHECKPOINT_H
#define NTK_CHECKPOINT_H

#include "base/base.h"

struct ntk_checkpoint {
    const char *path;  /* NULL: none is wanted */
    const char *about; /* the matrix, in lines (store/store.h) */
    bool asked;        /* by name: one of another matrix is refused, else not read */
};

/* When to write: from a second on, and so seldom that it takes at most 2 % of the time. */
struct ntk_pace {
    double last, cost; /* seconds: when it was written last, or work began; how long that took, or would take */
};
void ntk_pace_begin(struct ntk_pace *pace, double bytes);
bool ntk_pace_due(const struct ntk_pace *pace);
/* start: ntk_seconds before it was written. */
void ntk_pace_wrote(struct ntk_pace *pace, double start);

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

/* Of a file that is of another `what` ("kernel matrix") than c, as the first line in which they differ says: NTK_EINVAL or, if
 * it was not asked for by name, NTK_OK, and said. */
ntk_status ntk_checkpoint_refuse(ntk_ctx *ctx, const struct ntk_checkpoint *c, const char *what, const char *theirs);
/* A status of reading; of a file that is damaged the message says what to do, too. */
ntk_status ntk_checkpoint_read(ntk_ctx *ctx, ntk_status status);

#endif
