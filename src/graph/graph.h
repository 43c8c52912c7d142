/* SPDX-License-Identifier: MIT
 *
 * graph.h - the recursion of the kernels as a graph.
 *
 * A node is a quantity that every pair of samples has at every pair of positions: a covariance
 * Sigma (NNGP), a tangent kernel Theta, or something between them. Layers build it (layer.h), the
 * plan (kernel/plan.h) compiles it. Equal nodes are the same node (hash-consing), so that what
 * several nets, or Sigma and Theta, have in common is computed once.
 *
 * Every node also has a value for one sample with itself ("variance"), computed by the same rules.
 */
#ifndef NTK_GRAPH_H
#define NTK_GRAPH_H

#include "base/window.h"

struct ntk_activation;

#define NTK_ZERO (-1) /* the node that is 0 everywhere: Theta before the first trained layer */

enum ntk_op {
    NTK_OP_INPUT,     /* x . x' / c, the first covariance, at every pair of positions */
    NTK_OP_MIX,       /* sum coef[i] in[i] + constant */
    NTK_OP_PRODUCT,   /* in[0] in[1] ... */
    NTK_OP_DUAL,      /* E[f(u) f(v)], (u, v) Gaussian with covariance in[0] and its variances */
    NTK_OP_DUAL_DOT,  /* E[f'(u) f'(v)], likewise */
    NTK_OP_NORMALISE, /* in[0] / sqrt((q1 + constant) (q2 + constant)), q variances of in[1],
                       * averaged over `axes` */
    NTK_OP_SELF,      /* in[0], times constant for a sample with itself (same index, same array) at
                       * the same position */
    /* Between positions; p and p' count in windows of in[0], a and b in the window. */
    NTK_OP_CONV,      /* mean over a of in[0][p + a, p' + a] */
    NTK_OP_POOL,      /* constant * sum over a, b of in[0][p + a, p' + b] */
    NTK_OP_CARRY,     /* in[0] in another frame */
    NTK_OP_TRACE,     /* constant * sum over p of in[0][p, p]: one number */
    NTK_OP_TOTAL,     /* constant * sum over p, p' of in[0][p, p']: one number */
};

enum { NTK_AXIS_H = 1, NTK_AXIS_W = 2 };

struct ntk_node {
    enum ntk_op op;
    int n_in;
    int *in;
    double *coef;                      /* [n_in], MIX only */
    double constant;
    const struct ntk_activation *act;  /* DUAL, DUAL_DOT */
    const void *self;                  /* the activation's parameters */
    struct ntk_window window;          /* CONV, POOL */
    int axes;                          /* NORMALISE: positions averaged over, NTK_AXIS_ bits */
    int h, w;                          /* positions; 1, 1 for one number a pair */
    bool plane;                        /* has positions, even if just one */
    int frame, stride[2];              /* plane: see struct ntk_graph_frame */
    bool noisy; /* a SELF is among its ancestors: two equal samples differ from one with itself */
};

/* Nodes with positions are of one frame as long as an entry at (p, p') comes from entries of one
 * offset p' - p (kernel/space.h): offset d of a node is offset stride * d of its frame. Pools, and
 * whatever else mixes offsets, lead to a frame of a higher level. */
struct ntk_graph_frame {
    int level, h, w;
};

struct ntk_graph {
    ntk_ctx *ctx;
    struct ntk_node *nodes; /* in topological order: inputs come first */
    int n, capacity;
    int *table;             /* hash table of node numbers */
    int table_size;
    int n_roots;            /* random fields made so far (layer.h) */
    bool planes;            /* samples have positions that some net uses */
    bool cyclic;            /* some convolution wraps around: offsets count modulo h, w */
    int h, w;               /* positions of a sample */
    int n_frames, frames_capacity;
    struct ntk_graph_frame *frames; /* 0 is the samples' */
    struct ntk_arena arena;
    ntk_status status;      /* first failure: the builders then return NTK_ZERO; checked at the end */
};

void ntk_graph_init(struct ntk_graph *g, ntk_ctx *ctx);
void ntk_graph_free(struct ntk_graph *g);

/* Builders: each returns the number of the node. Inputs may be NTK_ZERO; what is then zero or
 * trivial becomes NTK_ZERO or the input itself. */
int ntk_graph_input(struct ntk_graph *g);
int ntk_graph_mix(struct ntk_graph *g, int n, const int *in, const double *coef, double constant);
int ntk_graph_affine(struct ntk_graph *g, int in, double a, double b); /* a in + b */
int ntk_graph_product(struct ntk_graph *g, int n, const int *in);
int ntk_graph_dual(struct ntk_graph *g, const struct ntk_activation *act, const void *self, int sigma);
int ntk_graph_dual_dot(struct ntk_graph *g, const struct ntk_activation *act, const void *self,
                       int sigma);
int ntk_graph_normalise(struct ntk_graph *g, int in, int sigma, int axes, double eps);
int ntk_graph_conv(struct ntk_graph *g, int in, const struct ntk_window *w);
int ntk_graph_pool(struct ntk_graph *g, int in, const struct ntk_window *w, double scale);
int ntk_graph_carry(struct ntk_graph *g, int in, int frame);
int ntk_graph_trace(struct ntk_graph *g, int in, double scale);
int ntk_graph_total(struct ntk_graph *g, int in, double scale);
int ntk_graph_self(struct ntk_graph *g, int in, double factor);
/* A node that is stored: for NTK_ZERO one that is 0 everywhere, else in itself. */
int ntk_graph_materialise(struct ntk_graph *g, int in);

#endif
