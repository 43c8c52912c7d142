/* SPDX-License-Identifier: MIT
 *
 * memory.c - aligned allocation, arenas, the bound on memory.
 */
#define _GNU_SOURCE /* madvise */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base.h"

#define NO_MEMORY "no memory for %zu items of %zu bytes"

void *ntk_alloc(ntk_ctx *ctx, size_t count, size_t size)
{
    size_t bytes;
    void *p = NULL;

    if (!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX - NTK_ALIGN)
        p = aligned_alloc(NTK_ALIGN, ntk_round_up(bytes ? bytes : 1, NTK_ALIGN));
    if (!p)
        ntk_fail(ctx, NTK_ENOMEM, NO_MEMORY, count, size);
    return p;
}

void *ntk_alloc_zero(ntk_ctx *ctx, size_t count, size_t size)
{
    void *p = ntk_alloc(ctx, count, size);

    if (p)
        memset(p, 0, count * size);
    return p;
}

/* ---- large pages */

#define PAGE       ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)64 << 10) /* or less */
#define PAGES_FROM (2 * PAGE)
#ifdef __SANITIZE_ADDRESS__
#define FOR_MALLOC true /* which sanitizers watch */
#else
#define FOR_MALLOC false
#endif

/* Memory of its own, from a multiple of PAGE on: malloc's would begin anywhere and share pages. */
static void *map_pages(size_t bytes)
{
    const size_t more = bytes + PAGE;
    unsigned char *p = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;

    if (p == MAP_FAILED)
        return NULL;
    before = ntk_round_up((uintptr_t)p, PAGE) - (uintptr_t)p;
    if (before)
        munmap(p, before);
    munmap(p + before + bytes, PAGE - before);
    madvise(p + before, bytes / PAGE * PAGE, MADV_HUGEPAGE); /* a wish */
    return p + before;
}

/* 0: for malloc. */
static size_t pages_for(size_t count, size_t size)
{
    size_t bytes;

    if (FOR_MALLOC || __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2 || bytes < PAGES_FROM)
        return 0;
    return ntk_round_up(bytes, SMALL_PAGE);
}

void *ntk_large_new(ntk_ctx *ctx, size_t count, size_t size)
{
    const size_t bytes = pages_for(count, size);
    void *p = bytes ? map_pages(bytes) : NULL;

    if (!bytes)
        return ntk_alloc(ctx, count, size);
    if (!p)
        ntk_fail(ctx, NTK_ENOMEM, NO_MEMORY, count, size);
    return p;
}

void ntk_large_free(void *x, size_t count, size_t size)
{
    const size_t bytes = pages_for(count, size);

    if (!bytes)
        free(x);
    else if (x)
        munmap(x, bytes);
}

/* ---- scratch */

/* Before each piece of scratch. */
struct kept {
    struct kept *next;
    size_t bytes; /* of the piece */
};

#define KEPT_LEAST ((size_t)16 << 10) /* less does not go back to the system when it is freed */
#ifdef __SANITIZE_ADDRESS__
#define KEPT_MOST 0 /* that what is freed is not read */
#else
#define KEPT_MOST ((size_t)64 << 20) /* where more is new, there is work enough to wait for */
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* not a context's, which is held while its progress is told */
static struct kept *kept;
static size_t kept_bytes;

static size_t kept_size(size_t bytes)
{
    const size_t unit = bytes < 16 * KEPT_LEAST ? NTK_ALIGN : KEPT_LEAST; /* sizes that are nearly the same share pieces */

    return ntk_round_up(bytes, unit);
}

/* The smallest that is large enough, if it is not much larger. */
static struct kept *take_kept(size_t bytes)
{
    struct kept **best = NULL, *found = NULL;

    pthread_mutex_lock(&lock);
    for (struct kept **k = &kept; *k; k = &(*k)->next)
        if ((*k)->bytes >= bytes && (*k)->bytes <= bytes + bytes / 4 && (!best || (*k)->bytes < (*best)->bytes))
            best = k;
    if (best) {
        found = *best;
        *best = found->next;
        kept_bytes -= found->bytes;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

size_t ntk_scratch_kept(void)
{
    size_t bytes;

    pthread_mutex_lock(&lock);
    bytes = kept_bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}

void *ntk_scratch_new(ntk_ctx *say, size_t count, size_t size)
{
    struct kept *k = NULL;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        ntk_fail(say, NTK_ENOMEM, NO_MEMORY, count, size);
        return NULL;
    }
    bytes = kept_size(bytes ? bytes : 1);
    if (bytes >= KEPT_LEAST)
        k = take_kept(bytes);
    if (!k) {
        k = ntk_alloc(say, 1, bytes + NTK_ALIGN);
        if (!k)
            return NULL;
        k->bytes = bytes;
    }
    return (unsigned char *)k + NTK_ALIGN;
}

void ntk_scratch_free(ntk_ctx *ctx, void *scratch)
{
    struct kept *k = scratch ? (void *)((unsigned char *)scratch - NTK_ALIGN) : NULL;

    if (!k)
        return;
    pthread_mutex_lock(&lock);
    if (!ctx->memory && k->bytes >= KEPT_LEAST && k->bytes <= KEPT_MOST - kept_bytes) {
        k->next = kept;
        kept = k;
        kept_bytes += k->bytes;
        k = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(k);
}

void ntk_scratch_drop(void)
{
    struct kept *k;

    pthread_mutex_lock(&lock);
    k = kept;
    kept = NULL;
    kept_bytes = 0;
    pthread_mutex_unlock(&lock);
    while (k) {
        struct kept *next = k->next;

        free(k);
        k = next;
    }
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

const char *ntk_bytes_text(size_t bytes, char buf[32])
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
    return ntk_fail(ctx, NTK_ENOMEM, "%s needs %s, %s are %s", what, ntk_bytes_text(bytes, need),
                    ntk_bytes_text(bound, have), ctx->memory ? "allowed" : "available");
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
