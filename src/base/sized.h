/* SPDX-License-Identifier: MIT
 *
 * sized.h - structs of ntk.h that may grow: what a program gives that was compiled with another version's header.
 *
 * Such a struct begins with its size as the program knows it. A version adds fields at its end, whole multiples of 8
 * bytes, so that there is no padding that an older program leaves undefined. Bytes that a library does not know are 0
 * when it has initialised the struct, and are not set for it as long as they are.
 */
#ifndef NTK_SIZED_H
#define NTK_SIZED_H

#include "base/base.h"

struct ntk_sized {
    const char *name;     /* "ntk_fit_opts" */
    const void *defaults; /* one of this version */
    size_t first, size;   /* bytes of the first version and of this one */
};

/* last: the first version's last field, which is never another. */
#define NTK_SIZED(type, last, initial)                                                              \
    {                                                                                               \
        .name = #type, .defaults = (initial), .first = offsetof(type, last) + sizeof (initial)->last, \
        .size = sizeof(type)                                                                        \
    }

/* The defaults into `to`, of a program that knows `size` bytes of it. */
void ntk_sized_init(const struct ntk_sized *kind, void *to, size_t size);
/* What a program gives, NULL for the defaults, as this version's struct: fields that the program does not know are the
 * defaults. NTK_EINVAL if the size is that of no version, or if fields are set that this version does not know. */
ntk_status ntk_sized_read(ntk_ctx *ctx, const struct ntk_sized *kind, const void *given, void *own);
/* NTK_EINVAL if the size is that of no version: what comes before a result is computed. */
ntk_status ntk_sized_check(ntk_ctx *ctx, const struct ntk_sized *kind, const void *given);
/* A result: the fields that the program knows; those that this version does not know are 0. */
void ntk_sized_write(const struct ntk_sized *kind, const void *own, void *given);

#endif
