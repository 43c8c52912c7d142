/* SPDX-License-Identifier: MIT
 *
 * reference.h - the witness: what all other backends are compared with. It is slow, plain, and shares nothing with them
 * but the graph and its instructions.
 *
 * A pair of samples has for every node a table of all entries (p, p'), in long double. Nodes are computed one after the
 * other, each by its instruction as ops/op.h says it, nothing fused and no table of a link precomputed: windows are
 * walked place by place. Duals are integrals of f and f' alone (quadrature.c): closed forms, series and side values of
 * activations are what it is there to judge. Variances of a sample are the equal positions of its table with itself. Of
 * prepared samples it reads nothing but their numbers.
 */
#ifndef NTK_REFERENCE_H
#define NTK_REFERENCE_H

#include "engine/backend.h"

/* The warning means numbers of float32 that become float64 unseen; here all become long double. */
#pragma GCC diagnostic ignored "-Wdouble-promotion"

/* ---- quadrature.c */

#define NTK_RULE 20 /* points of Gauss and Legendre's rule on a panel */
struct ntk_rule {
    long double x[NTK_RULE], w[NTK_RULE]; /* on [0, 1] */
};
void ntk_rule_make(struct ntk_rule *rule);
/* *ff = E[f(u) f(v)], *dd = E[f'(u) f'(v)] for (u, v) Gaussian with variances q1, q2 and covariance k, to 1e-13 of the
 * root of the product of both samples' own. False: it does not converge, or there is no such integral. */
bool ntk_reference_dual(const struct ntk_rule *rule, const struct ntk_activation *act, const void *self, long double q1,
                        long double q2, long double k, long double *ff, long double *dd);

/* ---- a program compiled: its graph's nodes, operands first */

struct ntk_reference_node {
    const struct ntk_node *v;
    struct ntk_instruction run;
    int node;       /* its number in the graph */
    int other;      /* DUAL: node of the other moment of the same operand; -1 */
    size_t at;      /* of its variances among those of a sample */
    size_t at_pair; /* of its table among those of a pair */
};

struct ntk_reference_program {
    const struct ntk_program *p;
    struct ntk_rule rule;
    int n;
    struct ntk_reference_node *nodes; /* those that outputs depend on */
    int *of;             /* [graph.n]: their numbers in nodes */
    size_t own, table;   /* long doubles of a sample, of a pair */
    double seconds;      /* a pair, on one processor */
};

/* ---- a pair of samples: pair.c */

struct ntk_reference_pair {
    const struct ntk_reference_program *c;
    const struct ntk_samples *s[2];
    int64_t i[2];
    bool same;                   /* one sample with itself */
    const long double *own[2];   /* their variances */
    long double *table;          /* all nodes' entries */
    const struct ntk_activation *failed; /* whose integral it could not compute; NULL */
};

/* All tables of a pair, whose samples' variances are known; own NULL: a sample with itself, whose variances it stores. */
void ntk_reference_compute(struct ntk_reference_pair *x, long double *own);

/* Entries [p][p'] of a node of the graph; variances of sample 0 or 1 of the pair. */
static inline long double *ntk_reference_table(const struct ntk_reference_pair *x, int node)
{
    return x->table + x->c->nodes[x->c->of[node]].at_pair;
}
static inline const long double *ntk_reference_own(const struct ntk_reference_pair *x, int which, int node)
{
    return x->own[which] + x->c->nodes[x->c->of[node]].at;
}

/* One function an instruction (instructions.c, windows.c): fills in the node's table. */
typedef void ntk_reference_fn(struct ntk_reference_pair *x, const struct ntk_reference_node *n);
#define INSTRUCTION(id, name) ntk_reference_fn ntk_reference_##id;
#include "ops/instructions.def"
#undef INSTRUCTION

#endif
