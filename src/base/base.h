/* SPDX-License-Identifier: MIT
 *
 * base.h - what every other file uses: the context, errors, memory, text, threads. outfile.h: files.
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

#include <locale.h>
#include <pthread.h>
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

struct ntk_isa;     /* simd/simd.h */
struct ntk_backend; /* engine/backend.h */

struct ntk_ctx {
    int threads;               /* > 0 */
    const struct ntk_isa *isa; /* NULL until first use */
    const struct ntk_backend *backend; /* NULL: the first */
    bool force;                /* it may take long */
    size_t memory;             /* bound in bytes, 0: what the machine has available */
    _Atomic size_t held;       /* bytes that objects and operations under way hold: ntk_ctx_hold, _keep */
    ntk_log_fn *log;
    void *log_user;
    ntk_progress_fn *progress;
    void *progress_user;
    struct {
        const char *what; /* a text that stays; NULL: nothing of the work that goes on */
        double done, total;
        double at; /* seconds of a clock */
    } told; /* what the progress function was told last */
    bool said_axes; /* that samples may have their channels first: once is enough */
    pthread_mutex_t lock; /* ntk_lock */
    char message[1024];
};

/* ---- errors: ctx may be NULL (then only the code is returned). Call outside parallel regions. */
ntk_status ntk_fail(ntk_ctx *ctx, ntk_status status, const char *fmt, ...) NTK_PRINTF(3, 4);
/* Puts "<text>: " before the message that is there; returns status. */
ntk_status ntk_fail_in(ntk_ctx *ctx, ntk_status status, const char *fmt, ...) NTK_PRINTF(3, 4);
/* "cannot write PATH: REASON" from what a function of outfile.h has returned; NTK_EIO or NTK_ENOMEM. */
ntk_status ntk_fail_write(ntk_ctx *ctx, const char *path, int error);
/* NTK_EINVAL ("number 4 of k_train is nan") if one of n numbers is not finite; x may be NULL. */
ntk_status ntk_check_given(ntk_ctx *ctx, const char *name, const double *x, int64_t n);
/* Noise of n samples: NTK_EINVAL if one is negative or not finite; x may be NULL. Weights: also if all are 0; *largest, 0 if
 * there are none. */
ntk_status ntk_check_noise(ntk_ctx *ctx, const double *x, int64_t n);
ntk_status ntk_check_weights(ntk_ctx *ctx, const double *x, int64_t n, double *largest);
void ntk_log(ntk_ctx *ctx, int level, const char *fmt, ...) NTK_PRINTF(3, 4);
/* NTK_ECANCEL (said) if the user's callback asks for it. */
ntk_status ntk_progress(ntk_ctx *ctx, const char *what, double done, double total);
/* The same for work that is a part of what was told last, or comes before anything was; at most 20 times a second. */
ntk_status ntk_poll(ntk_ctx *ctx);
/* For what the threads that work for a context share, its progress function above all: contexts do not wait for
 * each other. */
void ntk_lock(ntk_ctx *ctx);
void ntk_unlock(ntk_ctx *ctx);
/* In the body of a parallel loop whose result is *status, after (or before) a part that ended with `this`:
 * whether to go on. It polls. */
bool ntk_go_on(ntk_ctx *ctx, ntk_status *status, ntk_status this);

/* Threads for so many jobs: starting more costs time, above all on a busy machine. */
static inline int ntk_threads_for(const ntk_ctx *c, int64_t jobs)
{
    return jobs < c->threads ? jobs < 1 ? 1 : (int)jobs : c->threads;
}

/* ---- what a stage of the work hands on. Index of the first of n numbers that is not finite, or -1. */
int64_t ntk_not_finite(const double *x, int64_t n);
/* Whether n numbers all are float32 numbers, as those of a matrix that was computed so are. */
bool ntk_all_single(const double *x, int64_t n);
/* NTK_ENUMERIC, naming the stage and the number, if one of x [rows][columns] is not finite. */
ntk_status ntk_check_finite(ntk_ctx *ctx, const char *stage, const double *x, int64_t rows,
                            int64_t columns);

/* ---- memory: aligned to NTK_ALIGN, freed with free(). */
/* count * size bytes, at least one; NULL and a message if there is no memory. */
void *ntk_alloc(ntk_ctx *ctx, size_t count, size_t size);
void *ntk_alloc_zero(ntk_ctx *ctx, size_t count, size_t size);
/* The same for matrices, on large pages where the system has them: filling a new one then waits a sixth of the time. */
void *ntk_large_new(ntk_ctx *ctx, size_t count, size_t size);
void ntk_large_free(void *x, size_t count, size_t size);
char *ntk_strdup(ntk_ctx *ctx, const char *s);
/* The same for what a computation works in. The process keeps some of it for the next one, which else would wait for its
 * pages, but not of contexts with a bound on memory. From any thread; say is as ntk_alloc's context, NULL in parallel
 * regions. NULL may be freed. */
void *ntk_scratch_new(ntk_ctx *say, size_t count, size_t size);
void ntk_scratch_free(ntk_ctx *ctx, void *scratch);
void ntk_scratch_drop(void);   /* all that is kept */
size_t ntk_scratch_kept(void); /* bytes of it */
/* Bytes, from a product of sizes in floating point, which cannot overflow: what is beyond any memory comes out as such,
 * so that ntk_ctx_check_memory refuses it before sizes are multiplied as integers. Some of them can be added. */
static inline size_t ntk_bytes(double bytes) { return (size_t)(bytes < 0x1p60 ? bytes : 0x1p60); }
/* "12.30 GiB", or MiB below one GiB; returns buf. */
const char *ntk_bytes_text(size_t bytes, char buf[32]);
/* ntk_ctx_hold of an object's bytes, which were checked before; *held, what it releases when it is freed, grows by them. */
void ntk_ctx_keep(ntk_ctx *ctx, size_t bytes, size_t *held);
static inline int64_t ntk_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ntk_most(int64_t a, int64_t b) { return a > b ? a : b; }
/* The finalizer of splitmix64 (Steele et al. 2014): every bit of x changes half of the result's. */
static inline uint64_t ntk_mix64(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
/* Next multiple of m (a power of two). */
static inline size_t ntk_round_up(size_t n, size_t m) { return (n + m - 1) & ~(m - 1); }

/* Bytes this process can still have: the least of the machine's available memory, of what the limits of its
 * control groups (versions 1 and 2) leave, and of its address space. root: "", or where /proc and /sys are. */
size_t ntk_machine_memory(const char *root);
/* Of address space, under a limit (ulimit -v); SIZE_MAX: there is none. */
size_t ntk_address_space(void);

/* An arena hands out memory that is freed all at once; NULL when there is no more memory. */
struct ntk_arena {
    struct ntk_arena_chunk *chunks;
};
void *ntk_arena_alloc(struct ntk_arena *arena, size_t count, size_t size);
char *ntk_arena_strdup(struct ntk_arena *arena, const char *s, size_t n);
void ntk_arena_free(struct ntk_arena *arena);

/* ---- number k of an array of either type */
static inline double ntk_number(const void *from, ntk_dtype dtype, size_t k)
{
    return dtype == NTK_F32 ? (double)((const float *)from)[k] : ((const double *)from)[k];
}
static inline void ntk_store(void *to, ntk_dtype dtype, size_t k, double value)
{
    if (dtype == NTK_F32)
        ((float *)to)[k] = (float)value;
    else
        ((double *)to)[k] = value;
}

/* ---- numbers as text: with a decimal point, whatever the program's locale. No other call turns fractions into
 * text, or text into them, unless it is between the first two. */
/* Between the two calls the thread's numbers are the C locale's; the other's result is what end takes. */
locale_t ntk_plain_begin(void);
void ntk_plain_end(locale_t before);
/* As vsnprintf and snprintf. */
int ntk_vformat(char *buf, size_t size, const char *fmt, va_list ap) NTK_PRINTF(3, 0);
int ntk_format(char *buf, size_t size, const char *fmt, ...) NTK_PRINTF(3, 4);
/* x with as many digits, from `least` on, as make it read back the same, into a buffer of 32 bytes; returns it. */
const char *ntk_number_text(double x, int least, char *buf);

/* ---- growing text. Appending never fails visibly: `failed` is checked once at the end. */
struct ntk_text {
    char *s; /* NUL-terminated once anything was added; free() it */
    size_t n, capacity;
    bool failed;
};
void ntk_text_add(struct ntk_text *t, const char *fmt, ...) NTK_PRINTF(2, 3);

/* ---- the nearest of n names to `name` (Damerau-Levenshtein, at most a third of its length), or NULL. */
const char *ntk_nearest(const char *name, const char *const *names, size_t n);

/* ---- BLAS in that many threads, from begin to the end with its result. Between them another thread of
 * the process that wants another number waits, as OpenBLAS has one set of buffers. They nest: work in
 * several threads within work in several is ended first, and begun again after. */
struct ntk_blas {
    int setting, held; /* what was before */
};
struct ntk_blas ntk_blas_begin(int threads);
void ntk_blas_end(struct ntk_blas before);

/* 64-bit FNV-1a hash. */
uint64_t ntk_hash(const void *bytes, size_t n);

/* Whether it is a shape as ntk.h has it, of at most 2^31 - 1 numbers, which BLAS can count. What takes a shape from
 * outside asks this first. */
bool ntk_shape_valid(ntk_shape s);
static inline int64_t ntk_positions(ntk_shape s) { return s.h * s.w; }
static inline int64_t ntk_features_of(ntk_shape s) { return s.h * s.w * s.c; }
/* "784", "100 x 4" or "32 x 32 x 3" into a buffer of at least 64 bytes; returns it. */
const char *ntk_shape_text(ntk_shape s, char *buf);

#endif
