/* SPDX-License-Identifier: MIT
 *
 * blas_choice.h - the code that OpenBLAS should run on this processor. It knows processors by their numbers: one that is
 * newer than its release may run code for SSE3, three to five times slower than the processor can.
 * What it reads when it is loaded, OPENBLAS_CORETYPE, must be set before: so this needs nothing of the library.
 */
#ifndef NTK_BASE_BLAS_CHOICE_H
#define NTK_BASE_BLAS_CHOICE_H

#include <stddef.h>

#include "cpu.h" /* beside this: launchers have no include folder */

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* Of AMD's families, OpenBLAS 0.3.21 knows those before Zen 5. */
#define NTK_AMD_ZEN5 0x1A

static inline int ntk_cpu_family(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) ? (int)((a >> 8 & 0xF) + (a >> 20 & 0xFF)) : 0;
}

/* A value for OPENBLAS_CORETYPE, or NULL: OpenBLAS chooses as well. Intel's are always told: float32 and float64 products are
 * one code for all of them with AVX-512, and one for all with AVX2, also where OpenBLAS has several names. */
static inline const char *ntk_blas_choice(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_is("intel") && !(__builtin_cpu_is("amd") && ntk_cpu_family() >= NTK_AMD_ZEN5))
        return NULL;
    return ntk_cpu_has_avx512() ? "SkylakeX" : ntk_cpu_has_avx2() ? "Haswell" : NULL;
}
#else
static inline const char *ntk_blas_choice(void) { return NULL; }
#endif

#endif
