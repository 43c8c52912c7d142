/* SPDX-License-Identifier: MIT
 *
 * clock.h - the one clock. It needs no other file of the library, so that the command uses it too.
 */
#ifndef NTK_CLOCK_H
#define NTK_CLOCK_H

#include <time.h>

/* Seconds of a clock that only runs forward. */
static inline double ntk_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
