/* SPDX-License-Identifier: MIT
 *
 * registry.h - all backends, in the order of backends.def.
 */
#ifndef NTK_BACKENDS_H
#define NTK_BACKENDS_H

#include "engine/backend.h"

extern const struct ntk_backend *const ntk_backends[];
extern const size_t ntk_n_backends;
/* NTK_EINVAL with a list of those that there are; NULL is the first. NTK_ENOTSUP, and why, if this machine has it not. */
ntk_status ntk_backend_find(ntk_ctx *ctx, const char *name, const struct ntk_backend **backend);

#endif
