/* SPDX-License-Identifier: MIT
 *
 * program.h - a graph compiled for execution: which steps in which order compute its outputs, at which
 * offsets of positions, and which values of samples they read. Compiled once, when a kernel is made.
 *
 *     graph (ops/graph.h) --ntk_program_make--> program --backend.compile--> what runs
 *
 * A plane is all entries of a node at one offset (di, dj): p' = p + (di, dj). Steps of one frame turn
 * planes of one offset into planes of that offset; links add planes up in frames of a higher level;
 * sums are entries of the frame of points, the last one, which has one position and one offset. Samples
 * without positions have that frame only: a vector is a sample with one position.
 */
#ifndef NTK_PROGRAM_H
#define NTK_PROGRAM_H

#include <limits.h>

#include "ops/op.h"

/* One operation with all its results that are wanted. Slots: >= 0, a buffer that is reused as soon as nothing
 * needs what is in it; ~e, entry e of the frame. Those of points are all numbered from 0: entries, buffers, and one of
 * its own for each output (ntk_points_slots). */
struct ntk_step {
    const struct ntk_op *op;
    struct ntk_instruction run;
    int node;      /* with the operation's arguments, and the size of its results */
    int frame;     /* of its operands */
    int n_in, *in; /* nodes */
    int n_out, *out; /* nodes by result, -1: not needed; of links none */
    int *in_slot, *out_slot;
    bool apart;    /* results may not lie where operands do */
    int side_set;  /* whose values it reads; -1: none */
    int link;      /* LINK: its axis tables; -1 */
    int exit;      /* COPY: number of its operand among the exits, if it has positions; -1 */
};

/* Values of each sample that a step reads. Steps with equal arguments and variances share them. */
struct ntk_side_set {
    const struct ntk_op *op;
    int node;  /* with the arguments */
    int sigma; /* whose variances they are made of */
    int before; /* another of the same sigma; -1: none */
};

/* One axis of a link: how source offsets and positions map to those of the target. Positions are indices
 * into planes. Group and term types: simd/simd.h. */
struct ntk_link_dim {
    int *n_groups;                  /* [source offsets] */
    struct ntk_link_group **groups; /* [source offsets][n_groups] */
    double **weights; /* SUMS: [source offsets] -> [positions], NULL where all are 0 */
};
struct ntk_link {
    int from, to; /* nodes */
    int entry;    /* number of `to` among its frame's entries */
    int exit;     /* number of `from` among the exits */
    double scale;
    bool sum;     /* to one number a pair of samples */
    bool plain;   /* sum: all weights are 1 */
    struct ntk_link_dim dim[2];
};

struct ntk_frame {
    int level, h, w;
    int n_steps;
    struct ntk_step *steps;  /* operands first */
    int n_entries, *entries; /* nodes that links add up, or the first covariance of vectors */
    int n_slots;             /* buffers in use at once */
    unsigned char *needed;   /* [row offsets][column offsets]: some node needs this plane */
    struct ntk_program *own; /* computes the entries of each sample with itself at equal positions, from samples
                              * that are prepared up to the level below. Its side sets and exits have the
                              * numbers of the whole program's. NULL: no entries, or points */
};

struct ntk_program {
    ntk_ctx *ctx;
    const struct ntk_graph *graph;
    struct ntk_graph owned; /* *graph, but in the programs of frames */
    struct ntk_arena arena;
    int n_outputs, *outputs; /* nodes of points, in the order of the kernel's matrices */
    int *output_from;        /* the slot of points that has output m: its own, or another's if two outputs are
                              * the same node or one is an entry itself */
    int wanted;             /* the program of a frame: that frame, whose entries at offset 0 are wanted; else -1 */
    bool variances;         /* steps of points read them, or take them for equal samples */
    bool vectors;           /* entry 0 of points is the first covariance of samples as vectors */
    int n_frames, points;   /* points: the last frame */
    struct ntk_frame *frames;
    int n_side_sets;
    struct ntk_side_set *side_sets;
    int *last_set;          /* [graph.n]: the last side set of that sigma; -1 */
    int *set_step;          /* [n_side_sets]: the step in its frame that reads it; -1: none */
    bool *reads;            /* [n_side_sets]: some step at positions reads it */
    int n_links;
    struct ntk_link *links;
    int n_exits, *exits;    /* nodes with positions whose variances pairs read: of links and COPYs */
    int most_in;            /* most operands of a step */
    bool *used;             /* [graph.n] */
    unsigned char **needed; /* [graph.n] -> [row offsets][column offsets] of nodes with positions; NULL: not used */
    bool single;            /* of positions only equal ones matter: one offset in all frames */
    bool noisy;             /* some node that is used is NTK_NOISY */
    double entries;         /* entries that go through duals for a pair: a measure of cost */
};

/* Takes over the graph (also on failure); outputs are copied. NTK_EINVAL for an operation that lacks a face. */
ntk_status ntk_program_make(struct ntk_graph *graph, int n_outputs, const int *outputs,
                            struct ntk_program **program);
void ntk_program_free(struct ntk_program *program);

static inline int ntk_points_slots(const struct ntk_program *p)
{
    return p->frames[p->points].n_entries + p->frames[p->points].n_slots + p->n_outputs;
}

/* Gives a frame's steps their slots, results that are outputs NTK_OUTPUT_SLOT(m): in_place: results may lie where operands that nobody else needs do, but
 * those of steps that are `apart`. False: no memory. */
bool ntk_slots_assign(const struct ntk_program *p, int frame, struct ntk_step *const *steps, int n_steps,
                      bool in_place, int *n_slots);
#define NTK_OUTPUT_SLOT(m) (INT_MAX - (m))

/* The side set that a node's step reads; -1: none. */
int ntk_program_side_set(const struct ntk_program *p, int node);
/* The offset of a node in a plane at offset d of its frame; false: it has none there, or nobody needs it. */
bool ntk_node_offset(const struct ntk_program *p, int v, const int d[2], int offset[2]);
/* Numbers of offsets along an axis of n positions; index of offset d; offset of index k; positions of a plane. */
static inline int ntk_offsets(const struct ntk_graph *g, int n) { return g->cyclic ? n : 2 * n - 1; }
static inline int ntk_offset_index(const struct ntk_graph *g, int n, int d)
{
    return g->cyclic ? (d + n) % n : d + n - 1;
}
static inline int ntk_offset_at(const struct ntk_graph *g, int n, int k)
{
    return g->cyclic ? k : k - (n - 1);
}
static inline int ntk_plane_size(const struct ntk_graph *g, int n, int d)
{
    return g->cyclic ? n : n - (d < 0 ? -d : d);
}

#endif
