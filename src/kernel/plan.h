/* SPDX-License-Identifier: MIT
 *
 * plan.h - a graph compiled for execution: the steps that compute its outputs for a run of pairs,
 * and where each step finds its operands.
 *
 * What has positions is computed first and apart (space.h); the plan starts from sums over positions,
 * or for samples without positions from their first covariance.
 *
 * A run is a row of pairs (i, j0), (i, j0 + 1), ... whose values lie in slots: buffers of one
 * element a pair. Slots are reused as soon as nothing needs their value, so that all steps of a run
 * work in the first-level cache.
 */
#ifndef NTK_PLAN_H
#define NTK_PLAN_H

#include "activations/loops.h"
#include "kernel/space.h"

struct ntk_step {
    enum ntk_op op;    /* MIX, PRODUCT, DUAL (both moments), NORMALISE, SELF; inputs have no step */
    int node;          /* what it computes; DUAL: E[f f], -1 if not needed */
    int dot;           /* DUAL: node of E[f' f'], -1 if not needed */
    int slot, dot_slot;
    int n_in;
    int *in;           /* operands' slots; [n_in] */
    int sides;         /* DUAL, NORMALISE: number of the side table (sides.h), else -1 */
    bool constant;     /* MIX without operands */
};

/* Which per-sample values a step needs. */
struct ntk_side_table {
    enum ntk_op op; /* DUAL or NORMALISE */
    int sigma;      /* node whose variances they are made of */
    int dual_node;  /* DUAL: a node with the activation */
    double eps;     /* NORMALISE */
};

/* Slot numbers: 0 ... n_inputs - 1 are the inputs (read only); outputs are slots of their own, number
 * first_output + m, so that results are written in place. */
struct ntk_plan {
    struct ntk_graph graph;
    struct ntk_arena arena;
    int n_inputs;
    int *inputs;      /* nodes */
    struct ntk_space *space; /* computes the inputs; NULL: the one input is a matrix product */
    bool needs_variances;    /* some step needs variances, or sets the diagonal apart */
    int n_steps;
    int most_in;      /* most operands of one step */
    struct ntk_step *steps;
    int n_tables;
    struct ntk_side_table *tables;
    int n_outputs;
    int *outputs;     /* nodes, in the order of the kernel's matrices */
    int *output_from; /* slot that holds output m after the last step: its own, or another's if two
                       * outputs are the same node or one is an input itself */
    bool *needed;     /* [graph.n]: nodes that some step or output uses */
    bool near;        /* almost parallel pairs are looked for (near.h) */
    bool noisy;       /* some node that is needed is */
    bool *carried;    /* near: [graph.n]: covariances that activations depend on */
    int first_output; /* slots n_inputs ... first_output - 1 are scratch */
    int n_slots;
};

/* Takes over the graph (also on failure). outputs are copied. */
ntk_status ntk_plan_make(struct ntk_graph *graph, int n_outputs, const int *outputs,
                         struct ntk_plan *plan);
void ntk_plan_free(struct ntk_plan *plan);

#endif
