/* SPDX-License-Identifier: MIT
 *
 * run.h - the one loop: prepared samples through a backend, batch by batch, to a sink.
 *
 * It makes panels of side values, hands the backend one batch after the other, and takes finished tiles:
 * brings them to the sink's type, checks that they are finite, mirrors those on the diagonal, reports
 * progress, cancels.
 */
#ifndef NTK_RUN_H
#define NTK_RUN_H

#include "engine/backend.h"

/* All pairs of rows and columns, or, if symmetric, of rows with themselves (columns is rows). Both have one
 * reference, and their sides (ntk_samples_sides). */
struct ntk_job {
    const struct ntk_machine *machine;
    const struct ntk_samples *rows, *columns;
    bool symmetric;
    ntk_dtype out_dtype; /* of the sink's blocks: that of the samples, or float32 */
    /* Of all pairs, those of rows [i0, i0 + ni) and columns [j0, j0 + nj); ni = 0: all. A symmetric job's lie on the diagonal
     * (equal spans) or above it. Where spans of vectors begin at multiples of NTK_JOB_STEP, and end so or with the samples,
     * entries are, bit by bit, those of the whole. */
    int64_t i0, ni, j0, nj;
    /* Of columns that stand for their copies (data/symmetry.h) entries are sums over copies 0 ... copies - 1, and spans are
     * given: copy c of row i, from copy `first` on, is number (c - first) step + i of `moved`, the others are those of rows. */
    int copies, first;
    int64_t step;
    const struct ntk_samples *moved;
    double done, all; /* progress before this job, and of all; 0: it is alone */
};
#define NTK_JOB_STEP 256
ntk_status ntk_run(const struct ntk_job *r, ntk_sink_fn *sink, void *user);
/* Bytes that it holds beside samples. */
size_t ntk_job_bytes(const struct ntk_job *r);

/* ---- summed.c: jobs with copies */
ntk_status ntk_run_summed(const struct ntk_job *r, ntk_sink_fn *sink, void *user);
size_t ntk_summed_bytes(const struct ntk_job *r);
/* What each copy of n rows takes in `moved`, so that spans of copies begin where those of rows do. */
static inline int64_t ntk_summed_step(int64_t n)
{
    return n > NTK_JOB_STEP ? (n + NTK_JOB_STEP - 1) / NTK_JOB_STEP * NTK_JOB_STEP : n;
}

/* A sink that stores every block in out[m], [n1][n2], and mirrors it if symmetric. */
struct ntk_memory_sink {
    void *const *out;
    int64_t n2;
    ntk_dtype dtype;
    bool symmetric;
};
int ntk_memory_sink_write(const ntk_block *block, void *sink);

#endif
