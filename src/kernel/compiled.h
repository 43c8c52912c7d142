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
};

/* What takes long is said, and is not begun (NTK_EINVAL) unless it is forced. */
ntk_status ntk_kernel_check_seconds(const ntk_kernel *kernel, double pairs);

#endif
