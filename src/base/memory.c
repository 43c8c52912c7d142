/* SPDX-License-Identifier: MIT
 *
 * memory.c - aligned allocation, arenas, the bound on memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

void *ntk_alloc(ntk_ctx *ctx, size_t count, size_t size)
{
    size_t bytes;
    void *p = NULL;

    if (!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX - NTK_ALIGN)
        p = aligned_alloc(NTK_ALIGN, ntk_round_up(bytes ? bytes : 1, NTK_ALIGN));
    if (!p)
        ntk_fail(ctx, NTK_ENOMEM, "no memory for %zu items of %zu bytes", count, size);
    return p;
}

void *ntk_alloc_zero(ntk_ctx *ctx, size_t count, size_t size)
{
    void *p = ntk_alloc(ctx, count, size);

    if (p)
        memset(p, 0, count * size);
    return p;
}

char *ntk_strdup(ntk_ctx *ctx, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = ntk_alloc(ctx, n, 1);

    if (copy)
        memcpy(copy, s, n);
    return copy;
}

void ntk_text_free(char *text) { free(text); }

size_t ntk_ctx_memory(const ntk_ctx *ctx) { return ctx->memory ? ctx->memory : ntk_machine_memory(""); }

/* "12.30 GiB", or MiB below one GiB. */
static const char *bytes_text(size_t bytes, char buf[32])
{
    const double mib = (double)bytes / (1024.0 * 1024.0);

    ntk_format(buf, 32, mib < 1024 ? "%.2f MiB" : "%.2f GiB", mib < 1024 ? mib : mib / 1024);
    return buf;
}

/* Asking the machine costs as much as a small kernel; so little is left to malloc. */
#define WORTH_ASKING ((size_t)64 << 20)

ntk_status ntk_ctx_check_memory(ntk_ctx *ctx, size_t bytes, const char *what)
{
    char need[32], have[32];
    size_t bound;

    if (!ctx->memory && bytes < WORTH_ASKING)
        return NTK_OK;
    if (ctx->memory)
        bytes += ctx->held;
    bound = ntk_ctx_memory(ctx);
    if (bytes <= bound)
        return NTK_OK;
    return ntk_fail(ctx, NTK_ENOMEM, "%s needs %s, %s are %s", what, bytes_text(bytes, need),
                    bytes_text(bound, have), ctx->memory ? "allowed" : "available");
}

ntk_status ntk_ctx_hold(ntk_ctx *ctx, size_t bytes, const char *what)
{
    NTK_TRY(ntk_ctx_check_memory(ctx, bytes, what));
    ctx->held += bytes;
    return NTK_OK;
}

void ntk_ctx_keep(ntk_ctx *ctx, size_t bytes, size_t *held)
{
    ctx->held += bytes;
    *held += bytes;
}

void ntk_ctx_release(ntk_ctx *ctx, size_t bytes) { ctx->held -= bytes; }

struct ntk_arena_chunk {
    struct ntk_arena_chunk *next;
    size_t used, capacity;
    _Alignas(max_align_t) unsigned char bytes[];
};

void *ntk_arena_alloc(struct ntk_arena *arena, size_t count, size_t size)
{
    struct ntk_arena_chunk *c = arena->chunks;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = ntk_round_up(bytes ? bytes : 1, _Alignof(max_align_t));
    if (!c || c->capacity - c->used < bytes) {
        const size_t capacity = bytes > 4096 ? bytes : 4096;

        c = malloc(sizeof *c + capacity);
        if (!c)
            return NULL;
        *c = (struct ntk_arena_chunk){.next = arena->chunks, .capacity = capacity};
        arena->chunks = c;
    }
    c->used += bytes;
    return memset(c->bytes + c->used - bytes, 0, bytes);
}

char *ntk_arena_strdup(struct ntk_arena *arena, const char *s, size_t n)
{
    char *copy = ntk_arena_alloc(arena, n + 1, 1);

    if (copy)
        memcpy(copy, s, n);
    return copy;
}

void ntk_arena_free(struct ntk_arena *arena)
{
    while (arena->chunks) {
        struct ntk_arena_chunk *next = arena->chunks->next;

        free(arena->chunks);
        arena->chunks = next;
    }
}
