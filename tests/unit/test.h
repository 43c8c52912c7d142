/* SPDX-License-Identifier: MIT
 *
 * test.h - cmocka and what all unit tests use.
 */
#ifndef NTK_TEST_H
#define NTK_TEST_H

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ntk.h"

/* 1 in a build with a sanitizer: it is many times as slow, and its memory is more than a job's. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

/* Fails with the library's own sentence. */
#define assert_ok(ctx, call)                                                     \
    do {                                                                         \
        const ntk_status test_status_ = (call);                                  \
        if (test_status_ != NTK_OK)                                              \
            fail_msg("%s: %s: %s", #call, ntk_strstatus(test_status_), ntk_errmsg(ctx)); \
    } while (0)

/* Fails unless the call fails with `status` and its sentence contains `part`. */
#define assert_fails(ctx, status, part, call)                                              \
    do {                                                                                   \
        const ntk_status test_status_ = (call);                                            \
        if (test_status_ != (status))                                                      \
            fail_msg("%s: got '%s', wanted '%s'", #call, ntk_strstatus(test_status_),      \
                     ntk_strstatus(status));                                               \
        if (!strstr(ntk_errmsg(ctx), part))                                                \
            fail_msg("%s: message '%s' lacks '%s'", #call, ntk_errmsg(ctx), part);         \
    } while (0)

/* |got - want| <= tolerance * max(scale, |want|) */
#define assert_near(got, want, tolerance, scale)                                           \
    do {                                                                                   \
        const double test_got_ = (got), test_want_ = (want);                               \
        const double test_scale_ = fmax(fabs(test_want_), (scale));                        \
        if (!(fabs(test_got_ - test_want_) <= (tolerance) * test_scale_))                  \
            fail_msg("%s = %.17g, wanted %.17g, error %.2e of %.3g", #got, test_got_,      \
                     test_want_, fabs(test_got_ - test_want_) / test_scale_, test_scale_); \
    } while (0)

/* ntk_load_opts with these fields, dtype among them; the others are 0, their default. */
#define LOAD_OPTS(...) ((ntk_load_opts){.size = sizeof(ntk_load_opts), __VA_ARGS__})

/* Whether the text of a net calls the word. */
static inline bool test_calls(const char *net, const char *word)
{
    const size_t n = strlen(word);

    for (const char *at = net; (at = strstr(at, word)); at += n)
        if (at[n] == '(' && (at == net || !isalpha((unsigned char)at[-1])))
            return true;
    return false;
}

/* Standard normal numbers that are the same everywhere (splitmix64, Box-Muller). */
static inline double test_normal(uint64_t *state)
{
    double u[2];

    for (int i = 0; i < 2; i++) {
        uint64_t z = *state += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        u[i] = ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
    }
    return sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]);
}

/* n numbers, to a tolerance of the largest. */
static inline void near_all(const char *what, int n, const double *got, const double *want, double tolerance)
{
    double scale = 0;

    for (int i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * scale))
            fail_msg("%s: number %d is %.17g, wanted %.17g", what, i, got[i], want[i]);
}

#endif
