/* SPDX-License-Identifier: MIT
 *
 * graph.h - the recursion of the kernels as a graph of operations.
 *
 * A node is a quantity that every pair of samples has at every pair of positions: a covariance
 * Sigma (NNGP), a tangent kernel Theta, or something between them. Layers build it (layer.h), the
 * program (engine/program.h) is compiled from it. What a node computes is its operation's business
 * (op.h). Equal nodes are the same node (hash-consing), so that what several nets, or Sigma and
 * Theta, have in common is computed once.
 *
 * Every node also has a value for one sample with itself, its variance, by the same rules.
 */
#ifndef NTK_GRAPH_H
#define NTK_GRAPH_H

#include "base/window.h"

struct ntk_activation;
struct ntk_op; /* op.h */

#define NTK_ZERO (-1) /* the node that is 0 everywhere: Theta before the first trained layer */

enum { NTK_AXIS_H = 1, NTK_AXIS_W = 2 };

/* Properties that operations pass on from their inputs (ntk_op.flags). */
enum {
    NTK_NOISY = 1,  /* two equal samples differ from one with itself: it, or an ancestor, is a SELF */
    NTK_SIGNED = 2, /* some value may be negative; without it none is, but for what rounding makes of 0. An operation
                     * that makes such of others sets it */
};

/* How entries (p, p') of a node come from those of its first input. */
enum ntk_place {
    NTK_SAMPLES, /* from the samples, at their own positions: a source */
    NTK_KEEPS,   /* from entries of the same offset p' - p, or of stride times it: a plane from a plane */
    NTK_LINKS,   /* by products of two axis tables (ntk_op.axis): added up in another frame */
    NTK_SUMS,    /* likewise, to one number a pair of samples */
};

/* Nodes with positions are of one frame as long as an entry at (p, p') comes from entries of one
 * offset p' - p: offset d of a node is offset stride * d of its frame. Operations that mix offsets
 * lead to a frame of a higher level. */
struct ntk_graph_frame {
    int level, h, w;
};

/* A number of an operation's: x, a constant times a power of a layer's parameter, or just a constant. */
struct ntk_number {
    double x;
    const char *parameter; /* "W_std"; NULL: none */
    double value;          /* of the parameter */
    int power;
};
static inline struct ntk_number ntk_constant(double x) { return (struct ntk_number){.x = x}; }
/* value^power */
static inline struct ntk_number ntk_power(const char *parameter, double value, int power)
{
    double x = 1;

    for (int k = power < 0 ? -power : power; k > 0; k--)
        x *= value;
    return (struct ntk_number){power < 0 ? 1 / x : x, parameter, value, power};
}

/* Leaves of a net count in the order in which a sample meets them, a repeat's each time. */
struct ntk_graph_layer {
    int net, number;  /* from 1; 0: none */
    const char *name; /* "Dense" */
};

/* Whose parameter a number of a node comes from. A node that several layers make has what each of them says, the
 * newest first. */
struct ntk_origin {
    const struct ntk_origin *next;
    int number; /* which of the node's: the operation's file has their order */
    int index;  /* in a parameter that is a list; -1 */
    struct ntk_number from;
    struct ntk_graph_layer layer;
};

struct ntk_node {
    const struct ntk_op *op;
    int result; /* which of the operation's results it is */
    int n_in;
    int *in;
    const void *args; /* the operation's own struct, plain data without padding, `bytes` long; nodes */
    size_t bytes;     /* with equal bytes and inputs are the same. NULL, 0: none */
    enum ntk_place place;
    int h, w;         /* positions; 1, 1 for one number a pair */
    bool plane;       /* has positions, even if just one */
    int frame, stride[2]; /* plane: see struct ntk_graph_frame */
    unsigned flags;       /* NTK_NOISY ... */
    const struct ntk_origin *origins; /* of its numbers; NULL: no parameter's */
};

struct ntk_graph {
    ntk_ctx *ctx;
    struct ntk_node *nodes; /* in topological order: inputs come first */
    int n, capacity;
    int *table;             /* hash table of node numbers */
    int table_size;
    int n_roots;            /* random fields made so far (layer.h) */
    /* Set before the first node. */
    bool planes;            /* samples have positions that some net uses */
    bool cyclic;            /* some window wraps around: offsets count modulo h, w */
    int h, w;               /* positions of a sample */
    bool derivatives;       /* numbers of different parameters stay apart: nodes and terms with equal numbers are the
                             * same only if these have the same origin, and no number with one is simplified away */
    struct ntk_graph_layer layer; /* whose rule is at work */
    int n_frames, frames_capacity;
    struct ntk_graph_frame *frames; /* 0 is the samples' */
    struct ntk_arena arena;
    ntk_status status;      /* first failure: the builders then return NTK_ZERO; checked at the end */
};

void ntk_graph_init(struct ntk_graph *g, ntk_ctx *ctx);
void ntk_graph_free(struct ntk_graph *g);

/* The node of result 0 of an operation on nodes in[0 ... n_in - 1], none of them NTK_ZERO: what the
 * builders below end with. in and args are copied. Inputs with positions are brought into one frame. */
int ntk_graph_add(struct ntk_graph *g, const struct ntk_op *op, int n_in, const int *in,
                  const void *args, size_t bytes, const struct ntk_origin *origins);
/* Origins of a node that is being made, and before them that of its number k: number `index` (-1: no list) of a
 * parameter of the layer at work. A constant has none. */
const struct ntk_origin *ntk_graph_origin(struct ntk_graph *g, const struct ntk_origin *origins, int k,
                                          int index, struct ntk_number from);
/* Whether two numbers are of the same parameter and power, or of none. */
bool ntk_same_origin(const struct ntk_number *a, const struct ntk_number *b);
/* Whether the number may not be simplified away. */
static inline bool ntk_is_kept(const struct ntk_graph *g, const struct ntk_number *number)
{
    return g->derivatives && number->parameter;
}
/* Another result of a node's operation on the same inputs. */
int ntk_graph_result(struct ntk_graph *g, int node, int result);
/* Says that there is no memory; returns NTK_ZERO. */
int ntk_graph_no_memory(struct ntk_graph *g);
/* The frame of that level and size, made if there is none; -1: no memory (status says so). */
int ntk_graph_frame(struct ntk_graph *g, int level, int h, int w);

/* Builders, each in its operation's file (src/ops): each returns the number of the node. Inputs may be
 * NTK_ZERO; what is then zero or trivial becomes NTK_ZERO or the input itself. */
/* x . x' / c, the first covariance, at every pair of positions: node 0 */
int ntk_graph_input(struct ntk_graph *g);
/* sum coef[i] in[i] + constant */
int ntk_graph_mix(struct ntk_graph *g, int n, const int *in, const struct ntk_number *coef,
                  struct ntk_number constant);
int ntk_graph_affine(struct ntk_graph *g, int in, struct ntk_number a, struct ntk_number b); /* a in + b */
/* in[0] in[1] ... */
int ntk_graph_product(struct ntk_graph *g, int n, const int *in);
/* E[f(u) f(v)], (u, v) Gaussian with covariance sigma and its variances; E[f'(u) f'(v)] */
int ntk_graph_dual(struct ntk_graph *g, const struct ntk_activation *act, const void *self, int sigma);
int ntk_graph_dual_dot(struct ntk_graph *g, const struct ntk_activation *act, const void *self,
                       int sigma);
/* in / sqrt((q1 + eps) (q2 + eps)), q the variances of sigma, averaged over axes (NTK_AXIS_) */
int ntk_graph_normalise(struct ntk_graph *g, int in, int sigma, int axes,
                        struct ntk_number eps);
/* mean over places a of the window of in[p + a, p' + a] */
int ntk_graph_conv(struct ntk_graph *g, int in, const struct ntk_window *w);
/* scale * sum over places a, b of in[p + a, p' + b] */
int ntk_graph_pool(struct ntk_graph *g, int in, const struct ntk_window *w, double scale);
/* in, in another frame */
int ntk_graph_carry(struct ntk_graph *g, int in, int frame);
/* scale * sum over p of in[p, p]; over p, p' of in[p, p']: one number a pair of samples */
int ntk_graph_trace(struct ntk_graph *g, int in, double scale);
int ntk_graph_total(struct ntk_graph *g, int in, double scale);
/* in, times factor for a sample with itself (same index, same array) at the same position */
int ntk_graph_self(struct ntk_graph *g, int in, struct ntk_number factor);
/* A node that is stored: for NTK_ZERO one that is 0 everywhere, else in itself. */
int ntk_graph_materialise(struct ntk_graph *g, int in);

#endif
