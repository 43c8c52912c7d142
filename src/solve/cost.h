/* SPDX-License-Identifier: MIT
 *
 * cost.h - what a solver takes, by a formula, before anything runs; and how fast this machine is at it.
 */
#ifndef NTK_COST_H
#define NTK_COST_H

#include "base/base.h"

/* What is to be solved. */
struct ntk_cost_task {
    int64_t n, outputs;
    ntk_dtype dtype;  /* of the operator's entries */
    double tolerance; /* of solvers that iterate, and their preconditioner's rank; 0: their own */
    int64_t rank;
    size_t room; /* bytes that the solver may hold beside the operator's scratch, as ntk_spare has it */
    int64_t ranks; /* processes that share it, where a solver can; >= 1 */
};

/* What that takes, as far as it grows with the matrix, beside memory (ntk_solver_class.peak). */
struct ntk_cost {
    double f32, f64;  /* floating-point operations of factorisations and matrix products in either type */
    double moved;     /* bytes of half a matrix in memory that products with the right-hand sides pass over; */
    double streamed;  /* the same of products with one vector */
    double passes;    /* over the operator's entries: 1 that takes them in, and one a product where they are not kept */
    double kept;      /* bytes beyond peak that it takes where there is room */
    double files;     /* bytes of files at once, and */
    double written;   /* bytes that are written or read there in all */
    int64_t steps;    /* iterations that were assumed; 0: it is direct */
    const char *assumed; /* why so many, or what else is assumed: a constant; NULL: nothing */
    int64_t shared;   /* of task.ranks, how many share operations and memory; 0: one */
    double each;      /* bytes that each of them holds, where they share */
};

/* Measured, in seconds of several threads. */
struct ntk_rates {
    double f32, f64;        /* operations a second of large factorisations, by those of products */
    double moved, streamed; /* bytes a second of products of half a float32 matrix with `columns` vectors, and with one */
};
/* In some 0.2 s, within so many bytes. */
ntk_status ntk_rates_measure(ntk_ctx *ctx, int64_t columns, size_t most, struct ntk_rates *rates);
/* Seconds of what is computed and passed over in memory. */
double ntk_cost_seconds(const struct ntk_cost *cost, const struct ntk_rates *rates);

/* Of an eigen-decomposition (dsyevd). */
void ntk_eigen_cost(int64_t n, struct ntk_cost *cost);

#endif
