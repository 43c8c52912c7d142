/* SPDX-License-Identifier: MIT
 *
 * cpu.h - the instruction sets of x86-64 that there is code for: each of all that its code needs. Needs nothing of the library.
 */
#ifndef NTK_BASE_CPU_H
#define NTK_BASE_CPU_H

#include <stdbool.h>

#if defined(__x86_64__) || defined(__i386__)
static inline bool ntk_cpu_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static inline bool ntk_cpu_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

#endif
