/* SPDX-License-Identifier: MIT
 *
 * blas.c - OpenBLAS's settings, and what this build can do.
 */
#include <cblas.h>
#include <omp.h>
#include <pthread.h>

#include "base/base.h"

static bool openmp(void) { return openblas_get_parallel() == OPENBLAS_OPENMP; }

/* OpenBLAS has one set of buffers, one a thread, for the whole process; a call that runs in another number of
 * threads than the last frees and allocates them, whoever uses them. So at any time all calls in several
 * threads run in the same number: the others wait, first come, first served. (On pthreads the number is the
 * whole process's, so that one thread is a number like any other.) */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int threads, users;
    int before; /* the process's number, on pthreads */
    unsigned long tickets, served;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static _Thread_local int held; /* the number this thread runs BLAS in; 0: not through the gate */

static void leave(void)
{
    pthread_mutex_lock(&gate.lock);
    if (--gate.users == 0) {
        if (!openmp())
            openblas_set_num_threads(gate.before);
        pthread_cond_broadcast(&gate.moved);
    }
    pthread_mutex_unlock(&gate.lock);
}

static void enter(int threads)
{
    unsigned long ticket;

    pthread_mutex_lock(&gate.lock);
    ticket = gate.tickets++;
    while (ticket != gate.served || (gate.users > 0 && gate.threads != threads))
        pthread_cond_wait(&gate.moved, &gate.lock);
    gate.served++;
    gate.threads = threads;
    if (gate.users++ == 0 && !openmp()) {
        gate.before = openblas_get_num_threads();
        openblas_set_num_threads(threads);
    }
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

/* With OpenMP, OpenBLAS takes the number that the calling thread has of OpenMP. */
static void change(int setting, int hold)
{
    if (hold != held) {
        if (held)
            leave();
        if (hold)
            enter(hold);
        held = hold;
    }
    if (openmp() && setting != omp_get_max_threads())
        omp_set_num_threads(setting);
}

/* As many of the threads as there is address space for under a limit (ulimit -v): OpenBLAS asks for ever for
 * buffers that it cannot have. Those it has had since it was loaded. */
static int affordable(int threads)
{
    const size_t buffer = (size_t)160 << 20;
    const int have = openblas_get_num_threads();
    const size_t more = threads > have ? ntk_address_space() / buffer : 0;

    return threads <= have || more >= (size_t)(threads - have) ? threads : have + (int)more;
}

struct ntk_blas ntk_blas_begin(int threads)
{
    const struct ntk_blas before = {.setting = omp_get_max_threads(), .held = held};
    const int n = affordable(threads);

    change(n, n > 1 || !openmp() ? n : 0);
    return before;
}

void ntk_blas_end(struct ntk_blas before) { change(before.setting, before.held); }

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
#ifdef NTK_MPI
           " mpi"
#endif
        ;
}
