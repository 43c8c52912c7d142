/* SPDX-License-Identifier: MIT
 *
 * blas.c - OpenBLAS's settings, and what this build can do.
 */
#include <cblas.h>
#include <omp.h>

#include "base/base.h"

/* With OpenMP, OpenBLAS takes the number that the calling thread has of OpenMP, and sets its own by it: only
 * that one is each thread's own. One that is left at more than 1 for work that is to be in one thread mixes up
 * the buffers of calls at the same time: wrong products. */
int ntk_blas_set_threads(int threads)
{
    const bool openmp = openblas_get_parallel() == OPENBLAS_OPENMP;
    const int old = openmp ? omp_get_max_threads() : openblas_get_num_threads();

    if (threads != old && openmp)
        omp_set_num_threads(threads);
    else if (threads != old)
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
