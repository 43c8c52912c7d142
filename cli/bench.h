/* SPDX-License-Identifier: MIT
 *
 * bench.h - the parts of `ntk bench` that have files of their own, and what they share.
 */
#ifndef NTK_CLI_BENCH_H
#define NTK_CLI_BENCH_H

#include "cli.h"

struct bench {
    ntk_ctx *ctx;
    int64_t n, m, d, outputs, times, repeat;
    ntk_dtype dtype;
    const char *net;
    double *x;  /* [n + m][d], standard normal */
    float *x32; /* the same in float32 */
};
bool bench_samples(struct bench *b); /* makes x and x32, which are to be freed; false: no memory */
static inline const char *bench_dtype(const struct bench *b) { return b->dtype == NTK_F32 ? "float32" : "float64"; }

/* A work that can be repeated: b->repeat times after once that does not count. Seconds. */
struct times {
    double median, least;
};
typedef ntk_status work_fn(void *user);
ntk_status bench_measure(const struct bench *b, work_fn *work, void *user, struct times *times);

/* Kernels of images. */
int bench_conv(ntk_ctx *ctx, const struct args *a);
/* Empirical kernels; or steps of gradient descent. */
int bench_finite(ntk_ctx *ctx, const struct args *a, bool training);

#endif
