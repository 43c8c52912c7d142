/* SPDX-License-Identifier: MIT
 *
 * none.c - a build without MPI: every context works alone.
 */
#include "base/base.h"

ntk_status ntk_ctx_join(ntk_ctx *ctx, void *communicator)
{
    (void)communicator;
    return ntk_fail(ctx, NTK_ENOTSUP, "this build has no MPI (Meson option -Dmpi=enabled)");
}

void ntk_ctx_leave(ntk_ctx *ctx, int code) { (void)ctx, (void)code; }
