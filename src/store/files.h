/* SPDX-License-Identifier: MIT
 *
 * files.h - the matrices of an operator in a folder, in blocks of rows, each a file that appears when it is complete.
 */
#ifndef NTK_FILES_H
#define NTK_FILES_H

#include "store/operator.h"

/* Kernel matrices between samples (n_nets nets, `want` as ntk_kernel_new), which are computed where they are not there yet.
 * NTK_EINVAL if the folder has others. */
ntk_status ntk_operator_of_files(ntk_ctx *ctx, const char *folder, const ntk_net *const *nets, size_t n_nets,
                                 unsigned want, ntk_dtype dtype, const ntk_data *x, struct ntk_operator **o);

#endif
