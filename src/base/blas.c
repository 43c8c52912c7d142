/* SPDX-License-Identifier: MIT
 *
 * blas.c - OpenBLAS's process-wide settings, and what this build can do.
 */
#include <cblas.h>

#include "base/base.h"

int ntk_blas_set_threads(int threads)
{
    const int old = openblas_get_num_threads();

    if (threads != old)
        openblas_set_num_threads(threads);
    return old;
}

const char *ntk_blas_core(void) { return openblas_get_corename(); }

const char *ntk_blas_threading(void)
{
    static const char *const names[] = {"sequential", "pthreads", "openmp"};
    const int kind = openblas_get_parallel();

    return kind >= 0 && kind <= 2 ? names[kind] : "unknown";
}

const char *ntk_version(void) { return NTK_VERSION; }

const char *ntk_features(void)
{
    return "openmp openblas"
#ifdef NTK_HDF5
           " hdf5"
#endif
#ifdef NTK_SUNDIALS
           " sundials"
#endif
        ;
}
