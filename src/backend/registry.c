/* SPDX-License-Identifier: MIT
 *
 * registry.c - see registry.h.
 */
#include "backend/registry.h"

#include <stdlib.h>
#include <string.h>

#define BACKEND(name) extern const struct ntk_backend ntk_backend_##name;
#include "backend/backends.def"
#undef BACKEND

const struct ntk_backend *const ntk_backends[] = {
#define BACKEND(name) &ntk_backend_##name,
#include "backend/backends.def"
#undef BACKEND
};
const size_t ntk_n_backends = sizeof ntk_backends / sizeof *ntk_backends;

static ntk_status unknown(ntk_ctx *ctx, const char *name)
{
    struct ntk_text list = {0};
    ntk_status status;

    for (size_t k = 0; k < ntk_n_backends; k++)
        ntk_text_add(&list, "%s%s", k ? ", " : "", ntk_backends[k]->name);
    status = ntk_fail(ctx, NTK_EINVAL, "there is no backend '%s'; there are: %s", name, list.s ? list.s : "");
    free(list.s);
    return status;
}

ntk_status ntk_backend_find(ntk_ctx *ctx, const char *name, const struct ntk_backend **backend)
{
    const char *why = NULL;

    for (size_t k = 0; k < ntk_n_backends; k++) {
        if (name && strcmp(ntk_backends[k]->name, name) != 0)
            continue;
        if (ntk_backends[k]->probe && !ntk_backends[k]->probe(ctx, &why))
            return ntk_fail(ctx, NTK_ENOTSUP, "this machine has no backend '%s': %s", name, why);
        *backend = ntk_backends[k];
        return NTK_OK;
    }
    return unknown(ctx, name);
}
