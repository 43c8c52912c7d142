/* SPDX-License-Identifier: MIT
 *
 * compiled.h - what a kernel is, for the files of this folder.
 */
#ifndef NTK_COMPILED_H
#define NTK_COMPILED_H

#include "engine/run.h"
#include "kernel/kernel.h"

struct ntk_kernel {
    ntk_ctx *ctx;
    ntk_dtype dtype;
    ntk_shape shape;
    struct ntk_program *program;
    struct ntk_machine machine;
    unsigned symmetric; /* kinds that it was looked at for, by ntk_kernel_check_symmetry */
};

/* Samples prepared, sides included, for runs of parts of their pairs (ntk_job.i0 ...): x1 with x2, or NULL: with itself, as
 * ntk_kernel_compute has them. held, what: as ntk_kernel_stream_for. Samples outlive the job, which ntk_kernel_end frees. */
ntk_status ntk_kernel_begin(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2, size_t held, const char *what,
                            struct ntk_job *job);
void ntk_kernel_end(struct ntk_job *job);

/* Between samples x, into out[m], [n][n] of float64 whatever the kernel's type. */
ntk_status ntk_kernel_block(const ntk_kernel *kernel, const ntk_data *x, void *const *out);
/* NTK_EINVAL unless some samples x, which stand for their copies, have the kernel that copies of them have. */
ntk_status ntk_kernel_check_symmetry(const ntk_kernel *kernel, const ntk_data *x);

/* What takes long is said, and is not begun (NTK_EINVAL) unless it is forced. */
ntk_status ntk_kernel_check_seconds(const ntk_kernel *kernel, double pairs);

#endif
