/* SPDX-License-Identifier: MIT
 *
 * op.h - what an operation of the kernels' recursion is: one file NAME.c, which defines
 * `const struct ntk_op ntk_op_NAME` and the builder of graph.h, and one line OP(NAME) in ops.def.
 *
 * An operation makes of some nodes' values (covariances or tangent kernels of all pairs of samples at
 * all pairs of positions) those of another. Its file says, as faces, all that anyone asks of it:
 *
 *     positions      how they come from those of its inputs
 *     instruct       what a backend computes for a pair of samples: an instruction, as data
 *     variance       the same of a sample with itself at equal positions, in float64
 *     sides, setup   values of each sample that the pairs read, and what they depend on of all samples
 *     range ...      magnitudes: what a type must take on the way, powers of the samples' size
 *     print          its arguments, for people
 *
 * A face that is missing though it is required is one named error, raised by ntk_op_check when a graph
 * is compiled. tests/unit/test_ops.c walks all operations and faces. No other file knows an operation by its name.
 * What existing operations can express together is a builder, not an operation.
 */
#ifndef NTK_OP_H
#define NTK_OP_H

#include "activations/loops.h"
#include "ops/graph.h"
#include "simd/simd.h"

/* One axis of a link: windows over the positions of the first input. Entry (p, p') of it adds to entry
 * (q, q') if windows q and q' have p and p' at some place, once for every such place. */
struct ntk_link_axis {
    struct ntk_window_axis window;
    int n_out;
    bool true_count; /* as in struct ntk_window */
    bool together;   /* p and p' at the same place of their windows: convolutions */
    bool only_trace; /* NTK_SUMS: of equal windows only */
};

/* What a backend runs for the pairs of a step: an id and arguments, no code. Operands are the step's. A new one is
 * a line of ops/instructions.def, the fields that it needs, and one case in every backend's compile and run; almost
 * parallel pairs of vectors need it, too (backend/cpu/near.c). */
enum ntk_instruction_id {
#define INSTRUCTION(id, name) NTK_DO_##id,
#include "ops/instructions.def"
#undef INSTRUCTION
    NTK_N_INSTRUCTIONS
};
struct ntk_instruction {
    enum ntk_instruction_id id;
    const double *coef; /* MIX: [n_in] */
    double constant;    /* MIX, COPY; SCALE, for those that make side values themselves: what is added under the root */
    double scale;       /* BOX, LINK */
    const struct ntk_activation *act; /* DUAL */
    const void *self;                 /* DUAL: the activation's parameters */
    const struct ntk_window *window;  /* BOX */
    int axes;                         /* SCALE, likewise: variances are averaged over these, NTK_AXIS_ bits */
};
const char *ntk_instruction_name(enum ntk_instruction_id id);

/* Samples with themselves: `lanes` of them side by side, each at all positions. All arrays are float64,
 * [positions][lanes]; those of results may lie where operands do. */
struct ntk_variances {
    const struct ntk_graph *g;
    const struct ntk_node *v; /* of result 0, or of the only result that is wanted */
    const struct ntk_simd *simd; /* float64 loops; lanes is a multiple of its lanes */
    const struct ntk_dual_loops *duals; /* likewise */
    size_t lanes;
    const void *const *in;       /* [n_in] arrays of double */
    double *out[2];              /* by result; NULL: not wanted */
    const struct ntk_dual *dual; /* what setup made; NULL: the operation has no setup */
    double *side;                /* [sides][positions][lanes]; NULL: not wanted */
    double *one;                 /* scratch, [sides] */
    double *lines;               /* scratch, a row of the first input's positions, [lanes] each; NULL of points */
};

/* Bounds of a node's variances over all samples and positions. */
struct ntk_range {
    double lo, hi;
    double tiny; /* no more than any value that is not 0; HUGE_VAL: there is none */
    int gap;     /* no position with 0 is farther (rows or columns, whichever are more) from one without,
                  * unless all of the sample are 0 */
};
#define NTK_ANY_GAP INT32_MAX
static inline double ntk_least_positive(double x, double tiny) { return x > 0 && x < tiny ? x : tiny; }

/* How a node's values grow with the samples: degree d: K(c x, x') = c^d K(x, x'). */
#define NTK_NO_DEGREE  INT32_MAX /* not homogeneous */
#define NTK_ANY_DEGREE INT32_MIN /* 0 everywhere */
#define NTK_LIMIT_SMALL 0x1p-45  /* what the limit of small samples leaves out, relative */
/* In the limit of small samples: degrees are of what is left, and something small is left out. */
struct ntk_limit {
    const struct ntk_graph *g;
    const int *degree;   /* [g->n] */
    const double *value; /* variances of one sample: of node v at value[v * stride] */
    size_t stride;
};

struct ntk_op {
    const char *name; /* "conv" */
    int results;      /* 1 or 2 */

    /* ---- positions */
    /* Sets v->place and what changes: v comes as KEEPS with the first input's positions, frame and stride (as one
     * number a pair if there is no input with positions). LINKS: a frame of -1 is one of the next level. NULL:
     * nothing changes. */
    void (*positions)(struct ntk_graph *g, struct ntk_node *v);
    /* Required of LINKS and SUMS: axis k (0 rows, 1 columns) of what adds up. */
    struct ntk_link_axis (*axis)(const struct ntk_graph *g, const struct ntk_node *v, int k);
    /* Flags given those of the inputs, united. NULL: they are passed on. */
    unsigned (*flags)(const struct ntk_node *v, unsigned in);

    /* ---- values */
    /* Required. The instruction of v, whose place is known; *out comes zeroed, pointers in it are into v->args, or
     * live as long. */
    void (*instruct)(const struct ntk_node *v, struct ntk_instruction *out);
    /* Required of KEEPS: variances from variances. LINKS and SUMS have none: theirs are sums over pairs of
     * positions of a sample with itself, which the engine takes from the instructions. */
    void (*variance)(const struct ntk_variances *x);
    /* Number of values that the instruction reads of each sample and position, made of variances of the last operand. NULL: 0. */
    int (*sides)(const struct ntk_node *v, const struct ntk_dual *dual);
    /* What sides and the instruction depend on of all samples: constants, lengths of series. NULL: nothing. */
    ntk_status (*setup)(const struct ntk_node *v, ntk_ctx *ctx,
                        const struct ntk_dual_range *range, struct ntk_dual *dual);
    void (*finish)(const struct ntk_node *v, struct ntk_dual *dual); /* frees what setup made; NULL: nothing */

    /* ---- magnitudes (engine/precision.h) */
    /* Required of all but NTK_SAMPLES. Bounds of the variances, given those of all nodes before: in[node]. */
    struct ntk_range (*range)(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual);
    /* Required. Degree, given those of all nodes before, in[node]; limit: of small samples. No operand is NTK_NO_DEGREE. */
    int (*degree)(const struct ntk_node *v, const int *in, bool limit);
    /* Constants that a type must take. NULL: none. */
    const double *(*constants)(const struct ntk_node *v, int *n);
    /* Whether the variance is 0 by the rule itself where the operands' are in[operand]. NULL: if the
     * first operand's is. */
    bool (*vanishes)(const struct ntk_node *v, const double *in);
    /* What the limit leaves out of a sample's variance at v. NULL: nothing. */
    double (*rest)(const struct ntk_limit *x, const struct ntk_node *v);
    /* Whether the sample is so small that v is of its degree to all digits, apart from the rest. NULL: yes. */
    bool (*holds)(const struct ntk_limit *x, const struct ntk_node *v);

    /* ---- people */
    /* Arguments, "scale=0.25", added to a text. NULL: there are none. */
    void (*print)(const struct ntk_node *v, struct ntk_text *text);
};

/* Every operation, in the order of ops.def. */
extern const struct ntk_op *const ntk_ops[];
extern const size_t ntk_n_ops;

/* NTK_EINVAL naming a node's operation and the face that it lacks. */
ntk_status ntk_op_check(ntk_ctx *ctx, const struct ntk_node *v);
/* Faces of operations that pass on what their first input is. */
int ntk_degree_of_input(const struct ntk_node *v, const int *in, bool limit);
struct ntk_range ntk_range_of_input(const struct ntk_graph *g, const struct ntk_node *v,
                                    const struct ntk_range *in, const struct ntk_dual *dual);

static inline const struct ntk_node *ntk_node_in(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    return &g->nodes[v->in[k]];
}
static inline size_t ntk_node_positions(const struct ntk_node *v)
{
    return (size_t)v->h * (size_t)v->w;
}

#endif
