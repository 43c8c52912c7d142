/* SPDX-License-Identifier: MIT
 *
 * base.h - what every other file uses: the context, errors, memory, text, files, threads.
 *
 * The pattern of a function that can fail:
 *
 *     if (n < 1)
 *         return ntk_fail(ctx, NTK_EINVAL, "n must be at least 1, got %lld", (long long)n);
 *     NTK_TRY(other(ctx, ...));            returns at once if other failed; it said why
 *
 * Functions that own something between the two use one `goto done`.
 */
#ifndef NTK_BASE_H
#define NTK_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "ntk.h"

#define NTK_ALIGN 64 /* bytes; a cache line and the widest vector */

#define NTK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define NTK_TRY(call)                         \
    do {                                      \
        const ntk_status try_status_ = (call); \
        if (try_status_ != NTK_OK)            \
            return try_status_;               \
    } while (0)

struct ntk_isa; /* simd/simd.h */

struct ntk_ctx {
    int threads;               /* > 0 */
    const struct ntk_isa *isa; /* NULL until first use */
    size_t memory;             /* bound in bytes, 0: what the machine has available */
    ntk_log_fn *log;
    void *log_user;
    ntk_progress_fn *progress;
    void *progress_user;
    bool said_axes; /* that samples may have their channels first: once is enough */
    char message[1024];
};

/* ---- errors: ctx may be NULL (then only the code is returned). Call outside parallel regions. */
ntk_status ntk_fail(ntk_ctx *ctx, ntk_status status, const char *fmt, ...) NTK_PRINTF(3, 4);
/* Puts "<text>: " before the message that is there; returns status. */
ntk_status ntk_fail_in(ntk_ctx *ctx, ntk_status status, const char *fmt, ...) NTK_PRINTF(3, 4);
void ntk_log(ntk_ctx *ctx, int level, const char *fmt, ...) NTK_PRINTF(3, 4);
/* NTK_ECANCEL (said) if the user's callback asks for it. */
ntk_status ntk_progress(ntk_ctx *ctx, const char *what, double done, double total);

/* ---- memory: aligned to NTK_ALIGN, freed with free(). */
/* count * size bytes, at least one; NULL and a message if there is no memory. */
void *ntk_alloc(ntk_ctx *ctx, size_t count, size_t size);
void *ntk_alloc_zero(ntk_ctx *ctx, size_t count, size_t size);
char *ntk_strdup(ntk_ctx *ctx, const char *s);
/* Next multiple of m (a power of two). */
static inline size_t ntk_round_up(size_t n, size_t m) { return (n + m - 1) & ~(m - 1); }

/* An arena hands out memory that is freed all at once; NULL when there is no more memory. */
struct ntk_arena {
    struct ntk_arena_chunk *chunks;
};
void *ntk_arena_alloc(struct ntk_arena *arena, size_t count, size_t size);
char *ntk_arena_strdup(struct ntk_arena *arena, const char *s, size_t n);
void ntk_arena_free(struct ntk_arena *arena);

/* ---- growing text. Appending never fails visibly: `failed` is checked once at the end. */
struct ntk_text {
    char *s; /* NUL-terminated once anything was added; free() it */
    size_t n, capacity;
    bool failed;
};
void ntk_text_add(struct ntk_text *t, const char *fmt, ...) NTK_PRINTF(2, 3);

/* ---- files that appear whole or not at all: written as PATH.tmp-PID, then renamed. */
struct ntk_outfile {
    FILE *f;
    char *path, *tmp; /* NULL for standard output */
};
ntk_status ntk_outfile_open(ntk_ctx *ctx, const char *path, struct ntk_outfile *out); /* "-": stdout */
/* Flushes, checks, renames; on failure removes the temporary file. out is closed either way. */
ntk_status ntk_outfile_commit(ntk_ctx *ctx, struct ntk_outfile *out);
void ntk_outfile_abort(struct ntk_outfile *out);

/* ---- the nearest of n names to `name` (Damerau-Levenshtein, at most a third of its length), or NULL. */
const char *ntk_nearest(const char *name, const char *const *names, size_t n);

/* ---- BLAS threads are a setting of the calling thread (with OpenBLAS on pthreads: of the process): set
 * before work, restored after. Returns the old. */
int ntk_blas_set_threads(int threads);

/* 64-bit FNV-1a hash. */
uint64_t ntk_hash(const void *bytes, size_t n);

static inline int64_t ntk_positions(ntk_shape s) { return s.h * s.w; }
static inline int64_t ntk_features_of(ntk_shape s) { return s.h * s.w * s.c; }
/* "784", "100 x 4" or "32 x 32 x 3" into a buffer of at least 64 bytes; returns it. */
const char *ntk_shape_text(ntk_shape s, char *buf);

#endif
