/* SPDX-License-Identifier: MIT
 *
 * communicator.h - a context's communicator, for the files of this folder.
 */
#ifndef NTK_COMMUNICATOR_H
#define NTK_COMMUNICATOR_H

#include <mpi.h>

#include "base/ranks.h"

struct ntk_mpi {
    struct ntk_ranks base;
    MPI_Comm comm;
};

/* Of the last context that joined: what memory is planned with. */
extern int ntk_mpi_ranks;

/* Of a context that has joined. */
MPI_Comm ntk_mpi_comm(const ntk_ctx *ctx);
/* A context that has joined nobody becomes rank 0 of 1. */
ntk_status ntk_mpi_alone(ntk_ctx *ctx);
/* Bytes that a library sends are counted where it is called. */
void ntk_mpi_count(const ntk_ctx *ctx, double bytes);

#endif
