/* SPDX-License-Identifier: MIT
 *
 * files.c - see files.h.
 */
#include "store/files.h"

ntk_status ntk_operator_of_files(ntk_ctx *ctx, const char *folder, const ntk_net *const *nets, size_t n_nets,
                                 unsigned want, ntk_dtype dtype, const ntk_data *x, struct ntk_operator **o)
{
    (void)nets, (void)n_nets, (void)want, (void)dtype, (void)x, (void)o;
    return ntk_fail(ctx, NTK_ENOTSUP, "no store in %s yet", folder);
}
