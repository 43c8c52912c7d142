/* SPDX-License-Identifier: MIT
 *
 * sized.c - structs of ntk.h that may grow.
 */
#include "base/sized.h"

#include <string.h>

#define LARGEST 4096 /* bytes; what says that it is larger was never filled in */

static size_t size_of(const void *given)
{
    size_t size;

    memcpy(&size, given, sizeof size);
    return size;
}

static size_t known(const struct ntk_sized *kind, size_t size)
{
    return size < kind->size ? size : kind->size;
}

/* This version's struct into one of `size` bytes. */
static void copy(const struct ntk_sized *kind, const void *own, void *to, size_t size)
{
    memset(to, 0, size);
    memcpy(to, own, known(kind, size));
    memcpy(to, &size, sizeof size);
}

void ntk_sized_init(const struct ntk_sized *kind, void *to, size_t size)
{
    copy(kind, kind->defaults, to, size);
}

ntk_status ntk_sized_check(ntk_ctx *ctx, const struct ntk_sized *kind, const void *given)
{
    const size_t size = size_of(given);

    if (size < kind->first || size > LARGEST)
        return ntk_fail(ctx, NTK_EINVAL, "%s.size is %zu, which no version has: %s_init fills the struct in", kind->name,
                        size, kind->name);
    return NTK_OK;
}

ntk_status ntk_sized_read(ntk_ctx *ctx, const struct ntk_sized *kind, const void *given, void *own)
{
    const unsigned char *bytes = given;
    size_t size;

    memcpy(own, kind->defaults, kind->size);
    if (!given)
        return NTK_OK;
    NTK_TRY(ntk_sized_check(ctx, kind, given));
    size = size_of(given);
    for (size_t k = kind->size; k < size; k++)
        if (bytes[k])
            return ntk_fail(ctx, NTK_EINVAL,
                            "%s.size is %zu, of a newer version than this library's, " NTK_VERSION
                            " (%zu), and a field that it does not know is set, at byte %zu",
                            kind->name, size, kind->size, k);
    memcpy((unsigned char *)own + sizeof size, bytes + sizeof size, known(kind, size) - sizeof size);
    return NTK_OK;
}

void ntk_sized_write(const struct ntk_sized *kind, const void *own, void *given)
{
    copy(kind, own, given, size_of(given));
}
