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

#endif
