/* SPDX-License-Identifier: MIT
 *
 * space.h - the part of a plan that has positions: what it computes for a pair of samples at every
 * pair of positions (p, p'), up to the sums over positions that the rest of the plan starts from.
 *
 * Offsets. Activations, sums and convolutions take the entry at (p, p') from entries with the same
 * offset d = p' - p (a convolution of stride s: from offset s d). So for one offset the values are
 * a plane of (h - |di|) x (w - |dj|) entries, and a whole chain of layers runs on it while it is in
 * cache. In a cyclic space (some layer wraps around) offsets count modulo (h, w), and a plane is a
 * whole h x w image that joins the offsets d, d - h, ...
 *
 * Frames. What mixes offsets, a pool for example, ends a frame: a link adds the planes of one frame
 * into planes of another. Frames run row of offsets by row of offsets, in an order fixed here, so
 * that of a frame's first planes only a few rows are in memory.
 *
 * Lanes. The innermost index of a plane is the pair of samples.
 */
#ifndef NTK_SPACE_H
#define NTK_SPACE_H

#include "graph/graph.h"
#include "simd/simd.h"

/* One dimension of a link: how source offsets and positions map to those of the target. Links are
 * products of two of these. Positions are indices into planes (struct ntk_link_term). */
struct ntk_link_dim {
    int *n_groups;                  /* [source offsets] */
    struct ntk_link_group **groups; /* [source offsets][n_groups] */
    double **weights; /* sums: [source offsets] -> [positions], NULL where all are 0 */
};

struct ntk_link {
    int from;  /* node */
    int exit;  /* number of that node among all links' sources */
    int frame; /* target, -1: a sum (one number a pair) */
    int entry; /* number of the target among the frame's entries, or of the sum */
    double scale;
    bool plain; /* a sum in which all weights are 1 */
    struct ntk_link_dim dim[2];
};

enum ntk_space_op {
    NTK_SPACE_INPUT, /* out[0] = first covariance */
    NTK_SPACE_DUAL,  /* out[0] = E[f f], out[1] = E[f' f'] of in[0] */
    NTK_SPACE_SWEEP, /* a dual and the 3 x 3 convolution after it, see struct ntk_sweep */
    NTK_SPACE_TAIL,  /* a dual and sums over all of its positions, see struct ntk_tail */
    NTK_SPACE_MIX,
    NTK_SPACE_PRODUCT,
    NTK_SPACE_NORMALISE,
    NTK_SPACE_COPY, /* SELF */
    NTK_SPACE_CONV, /* with the factor and constant that follow it: sweep[0] */
    NTK_SPACE_LINK,
    NTK_SPACE_NOTHING, /* was moved into a tail */
};

#define NTK_SWEEP_THETAS 2

/* With f, d the moments of in[0], box the sum over 3 x 3 neighbours with zeros around:
 *     out[0] = a box(f) + b,     out[1 + k] = a_k box(mix_k f + d in[1 + k]) + b_k */
struct ntk_sweep_out {
    double a, b, mix;
};

/* Links, sums of weight 1, that read f (0) or d in[1], d in[2] (1, 2). */
#define NTK_TAIL_LINKS 4
struct ntk_tail {
    int n;
    int links[NTK_TAIL_LINKS];
};

struct ntk_space_step {
    enum ntk_space_op op;
    int frame;
    int node; /* graph node with the operation's constants */
    int n_in, n_out;
    int *in;                 /* [n_in] nodes */
    int *out;                /* [n_out] nodes, -1: not needed */
    int *in_slot, *out_slot; /* >= 0: scratch plane; < 0: ~ (number of the frame's entry) */
    int table;               /* DUAL, SWEEP, NORMALISE: side table */
    int link;                /* LINK */
    int exit;                /* COPY: number of its operand among the exits */
    struct ntk_sweep_out sweep[1 + NTK_SWEEP_THETAS];
    struct ntk_tail tail[1 + NTK_SWEEP_THETAS];
};

/* What is known of a node with positions. */
struct ntk_place {
    unsigned char *needed; /* [row offsets][column offsets] of the node; NULL: not in use */
    int step;              /* the step that computes it, -1: links add it up */
    int entry;             /* then its number among its frame's entries */
};

struct ntk_frame {
    int h, w;
    int n_entries, *entries; /* nodes that links add up */
    int n_steps;
    struct ntk_space_step *steps;
    unsigned char *needed; /* [row offsets][column offsets]: some node needs this plane */
    int live_rows;         /* most rows of offsets whose entries are in memory at once */
    int *row_slot;         /* [row offsets]: where they are */
};

/* One thing after the other. */
struct ntk_event {
    bool clear; /* the entries of this row become zero; else the row is computed */
    int frame, row;
};

/* Values that steps read for every sample and position, see samples.h. */
struct ntk_space_table {
    enum ntk_op op; /* DUAL or NORMALISE */
    int sigma;      /* node whose variances they are made of */
    int node;       /* with the activation, or axes and eps */
};

struct ntk_space {
    const struct ntk_graph *graph;
    struct ntk_arena arena;
    bool cyclic;
    bool single;              /* only equal positions matter: one frame, offset 0 */
    struct ntk_place *places; /* [graph.n] */
    int n_frames;
    struct ntk_frame *frames;
    int n_links;
    struct ntk_link *links;
    int n_exits, *exits; /* nodes whose variances are wanted: links and COPYs read them */
    int n_sums, *sums;   /* nodes: TRACE, TOTAL; what the rest of the plan starts from */
    int n_tables;
    struct ntk_space_table *tables;
    int n_slots; /* scratch planes at once */
    int n_events;
    struct ntk_event *events;
    double entries; /* entries that go through activations for a pair: a measure of cost */
};

/* The space that computes the nodes sums[0 ... n_sums - 1] (TRACE or TOTAL), and the planes of
 * offset 0 of the nodes seeds[0 ... n_seeds - 1], which must be entries of frames. The graph must
 * outlive it. */
ntk_status ntk_space_make(const struct ntk_graph *g, int n_sums, const int *sums, int n_seeds,
                          const int *seeds, struct ntk_space **space);
void ntk_space_free(struct ntk_space *space);

/* Numbers of offsets along an axis of n positions; index of offset d; offset of index k. */
static inline int ntk_offsets(const struct ntk_space *s, int n)
{
    return s->cyclic ? n : 2 * n - 1;
}
static inline int ntk_offset_index(const struct ntk_space *s, int n, int d)
{
    return s->cyclic ? (d + n) % n : d + n - 1;
}
static inline int ntk_offset_at(const struct ntk_space *s, int n, int k)
{
    return s->cyclic ? k : k - (n - 1);
}
/* A plane's rectangle in which p' - p is one offset: where it lies in the plane, and the positions
 * of its first entry in the first and second image. */
struct ntk_rect {
    int row, column, rows, columns;
    int p1[2], p2[2];
};
/* The plane of offset (di, dj) of a node: returns the number of its rectangles, at most 4. */
int ntk_plane_rects(const struct ntk_space *s, int h, int w, int di, int dj,
                    struct ntk_rect rects[4]);

/* Positions of a plane along an axis. */
static inline int ntk_plane_size(const struct ntk_space *s, int n, int d)
{
    return s->cyclic ? n : n - (d < 0 ? -d : d);
}

#endif
