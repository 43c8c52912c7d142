/* SPDX-License-Identifier: MIT
 *
 * registry.c - see registry.h.
 */
#include "backend/registry.h"

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

const char *ntk_backend_names(void)
{
    static const char names[] =
#define BACKEND(name) ", " #name
#include "backend/backends.def"
#undef BACKEND
        ;

    return names + strlen(", ");
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
    return ntk_fail(ctx, NTK_EINVAL, "there is no backend '%s'; there are: %s", name, ntk_backend_names());
}

ntk_status ntk_ctx_set_backend(ntk_ctx *ctx, const char *backend, int force)
{
    NTK_TRY(ntk_backend_find(ctx, backend, &ctx->backend));
    ctx->force = force != 0;
    return NTK_OK;
}

const char *ntk_ctx_backend(const ntk_ctx *ctx)
{
    return ctx->backend ? ctx->backend->name : ntk_backends[0]->name;
}
