/* SPDX-License-Identifier: MIT
 *
 * dynamics.h - what the two ways to a trajectory share.
 */
#ifndef NTK_CLI_DYNAMICS_H
#define NTK_CLI_DYNAMICS_H

#include "cli.h"

struct trajectory {
    double *times;
    size_t n_times;
    double diag_reg; /* or, until it is chosen, NTK_DIAG_REG_AUTO */
    double *train, *test, *var; /* [n_times][...]; test and var NULL without test samples */
    bool xent;                  /* of the cross-entropy: outputs are logits */
    int64_t null_directions;    /* that do not move; -1: the flow is integrated */
};

/* Cross-entropy, momentum or a finite network: from kernels in memory (flow.c). */
bool flow_wanted(const struct args *a);
/* Refuses options that have no meaning there. */
int flow_check(const struct args *a, const struct trajectory *t);
/* Of the infinite network, or of params (not NULL) linearised where it is. */
int flow_compute(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const ntk_params *params,
                 const struct samples *s, struct trajectory *t);

#endif
