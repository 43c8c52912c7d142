/* SPDX-License-Identifier: MIT
 *
 * cpu.h - programs on this machine's processors, by the loops of src/simd and one matrix product a tile.
 *
 * Positions: lanes of vectors are pairs of samples. A plane (program.h) has a vector a position; planes go
 * through a frame's steps one batch after the other, rows of offsets in an order that keeps few in memory
 * (schedule.c, steps.c). Points: a tile of 256 x 256 pairs goes through the steps row by row, 256 lanes and one
 * position (points.c); its entries are a matrix product, or the sums of the planes.
 */
#ifndef NTK_CPU_H
#define NTK_CPU_H

#include "activations/loops.h"
#include "engine/prepare.h"

#define NTK_TILE 256 /* rows and columns; 256 x 256 doubles fill half a second-level cache */

/* What a step of the program becomes, and steps that do several at once (fuse.c): */
enum ntk_cpu_kind {
    NTK_CPU_STEP,  /* the program's; BOX with the factor and constant that follow it: sweep[0] */
    NTK_CPU_SWEEP, /* a dual and the 3 x 3 convolutions after it, see struct ntk_sweep_out */
    NTK_CPU_TAIL,  /* a dual and sums over all of its positions, see struct ntk_tail */
    NTK_CPU_FIRST, /* the first covariance, and a box of 3 x 3 that is left open: sweep[0].a */
    NTK_CPU_NONE,  /* was moved into a tail or FIRST */
};

#define NTK_SWEEP_THETAS 2

/* With f, d the moments of in[0], box the sum over 3 x 3 neighbours with zeros around:
 *     out[0] = a box(f) + b,     out[1 + k] = a_k box(mix_k f + d in[1 + k]) + b_k
 * A node whose sums over rows are left to those that read it, which are sweeps and tails, is open (struct
 * ntk_plane_in). */
struct ntk_sweep_out {
    double a, b, mix;
};

/* Links, sums of weight 1, that read f (0) or d in[1], d in[2] (1, 2). */
#define NTK_TAIL_LINKS 4
struct ntk_tail {
    int n;
    int links[NTK_TAIL_LINKS];
};

struct ntk_cpu_step {
    struct ntk_step s; /* operands, results, slots */
    enum ntk_cpu_kind kind;
    struct ntk_sweep_out sweep[1 + NTK_SWEEP_THETAS];
    struct ntk_tail tail[1 + NTK_SWEEP_THETAS];
    bool open_out[1 + NTK_SWEEP_THETAS]; /* of sweeps, and boxes of 3 x 3 */
    bool open_in[1 + NTK_SWEEP_THETAS];  /* of sweeps and tails */
    double add[1 + NTK_SWEEP_THETAS];    /* b of an operand that is open */
};

struct ntk_cpu_frame {
    int n_steps;
    const struct ntk_cpu_step **steps;
    int live_rows; /* most rows of offsets whose entries are in memory at once */
    int *row_slot; /* [row offsets]: where they are */
};

/* A dual of points with what follows it: Sigma' = coef[0] f + coef[1], Theta' = coef[2] f + coef[3] d Theta + coef[4]. */
struct ntk_layer {
    int theta;            /* slot */
    int node[2], slot[2]; /* of Sigma' and Theta'; Sigma' node -1: not needed */
    double coef[NTK_DUAL_LAYER];
};
struct ntk_row_step {
    const struct ntk_step *step;
    struct ntk_layer *layer; /* NULL: the step alone */
};

/* One thing after the other. */
struct ntk_event {
    bool clear; /* the entries of this row become zero; else the row is computed */
    int frame, row;
};

/* A program compiled. */
struct ntk_cpu {
    const struct ntk_program *p;
    struct ntk_arena arena;
    struct ntk_cpu_frame *frames;
    struct ntk_fold *fold[2]; /* float32, float64: [n_side_sets]; factor 0: there is none */
    int n_slots; /* of planes */
    int n_events;
    struct ntk_event *events;
    int n_rows; /* steps of points */
    struct ntk_row_step *rows;
    bool near;     /* almost parallel pairs are looked for (near.h) */
    bool *carried; /* near: [graph.n]: covariances that activations depend on */
    struct ntk_cpu **own; /* [n_frames]: of the frames' programs; NULL: none */
};

/* ---- compile.c, fuse.c, layers.c, schedule.c */

struct ntk_cpu_builder {
    struct ntk_arena scratch; /* what is not kept */
    struct ntk_cpu *c;
    const struct ntk_program *p;
    const struct ntk_graph *g;
    int *first, *reader;        /* readers of v: reader[first[v]] ... reader[first[v + 1] - 1] */
    const struct ntk_step **maker; /* [g->n] the program's step that makes a node; NULL: of points */
    struct ntk_cpu_step *steps;    /* all that might be used */
    int n_steps;
    int *producer;              /* [g->n] step that computes a node, -1 */
    int *order, n_order;        /* those that are used, operands first */
};

struct ntk_cpu_step *ntk_cpu_new_step(struct ntk_cpu_builder *b, enum ntk_cpu_kind kind,
                                      const struct ntk_step *like, int n_in, int n_out);
/* The node that ends "convolution, then a factor and a constant", and those. */
int ntk_cpu_box_end(const struct ntk_cpu_builder *b, int conv, double factor, struct ntk_sweep_out *out);
bool ntk_cpu_is_box3(const struct ntk_cpu_builder *b, int v);
/* Sweeps for dual number `at` of the steps; false: no memory. */
bool ntk_cpu_sweeps(struct ntk_cpu_builder *b, int at);
/* Moves sum number `at` of the steps into a tail, one of those from number `from` on, where that is
 * possible; false: no memory. */
bool ntk_cpu_tail(struct ntk_cpu_builder *b, int at, int from);
/* The steps of points; false: no memory. */
bool ntk_cpu_rows(struct ntk_cpu *c);
/* The order in which rows of offsets are computed; false: no memory. */
bool ntk_cpu_schedule(struct ntk_cpu *c);

ntk_status ntk_cpu_compile(const struct ntk_program *program, void **compiled);
void ntk_cpu_close(void *compiled);

static inline const struct ntk_fold *ntk_cpu_fold(const struct ntk_cpu *c, ntk_dtype dtype, int side_set)
{
    const struct ntk_fold *fold = &c->fold[dtype == NTK_F64][side_set];

    return fold->factor != 0 ? fold : NULL;
}
static inline const struct ntk_simd *ntk_cpu_simd(const struct ntk_samples *s)
{
    return ntk_simd_of(s->ctx->isa, s->dtype);
}
static inline const struct ntk_dual_loops *ntk_cpu_duals(const struct ntk_samples *s)
{
    return ntk_dual_loops_of(s->ctx->isa, s->dtype);
}

/* ---- planes.c, steps.c */

#define NTK_BATCH_MAX 16 /* planes that go through a step before the next */

/* One thread's memory for planes. */
struct ntk_planes {
    const struct ntk_cpu *c;
    const struct ntk_samples *s; /* rows' or columns': type, reference */
    const struct ntk_simd *simd;
    const struct ntk_dual_loops *duals;
    const struct ntk_panel *rows, *columns;
    size_t lanes;
    int batch;                      /* how many of the largest planes */
    unsigned char *block;           /* all of the memory below */
    unsigned char *x1, *x2;         /* [positions][channels][lanes] */
    unsigned char **side1, **side2; /* [n_side_sets] -> [sides][positions][lanes] */
    unsigned char *slots;           /* of all planes of a batch */
    unsigned char **entries; /* [n_frames] -> [live rows][entries][column offsets][h w][lanes] */
    unsigned char *folds;    /* [n_side_sets][NTK_FOLD_PARS] */
    unsigned char *zeros;    /* a row */
    unsigned char *lines;    /* scratch: a row */
    double *sums;                 /* [batch][entries of points][lanes] */
    int64_t sample;               /* the first of all lanes; -1: each has its own */
    int64_t equal[NTK_LANES_MAX]; /* sample of the row panel that both of a pair equal, else -1 */
    bool same[NTK_LANES_MAX];     /* they are one sample */
    int capture;                  /* frame whose entries of offset 0 go to own, -1: none */
    void *const *own;             /* [entries] -> [n][positions] of the panel's samples */
    const void **in;              /* operands of the current step */
};

/* isa: the context's, or its half. False: no memory. */
bool ntk_planes_new(const struct ntk_cpu *c, const struct ntk_samples *s, const struct ntk_isa *isa, struct ntk_planes *p);
void ntk_planes_free(struct ntk_planes *p);
size_t ntk_planes_bytes(const struct ntk_cpu *c, const struct ntk_samples *s);
/* Second samples of the lanes: column[l] counts in the panel. */
void ntk_planes_columns(struct ntk_planes *p, const int64_t *column);
/* First samples of the lanes, likewise; or else p->sample, of all. */
void ntk_planes_rows(struct ntk_planes *p, const int64_t *row);
/* Sums of the pairs (row[l], column[l]), without scales: p->sums[n_sums][lanes], over every parts-th row of
 * offsets from number `part` on; parts > 1 only for a program in one frame (ntk_planes_splits). */
void ntk_planes_part(struct ntk_planes *p, int part, int parts);
bool ntk_planes_splits(const struct ntk_cpu *c);
/* For a single program: of the pairs (row + k, column[l]), k < n <= batch: p->sums[k][n_sums][lanes].
 * equal and same are [n][lanes]. */
void ntk_planes_block(struct ntk_planes *p, int64_t row, int n, const int64_t *equal, const bool *same);

/* One plane on its way through a frame's steps. */
struct ntk_area {
    int n;
    struct ntk_rect {
        int row, column, rows, columns;
        int p1[2], p2[2]; /* positions of its first entry in the first and second image */
    } rect[4];                   /* in each p' - p is one offset */
    size_t pitch;                /* vectors */
    size_t size;                 /* elements */
    const struct ntk_node *node; /* or another with as many positions */
    int d[2];
};
struct ntk_plane {
    unsigned char *slots; /* [n_slots], each of `bytes` */
    size_t bytes;
    int d[2];       /* offset in the frame */
    int row;        /* of offsets */
    int64_t sample; /* the one first sample of all lanes, -1: x1 and side1 have one for each */
    const int64_t *equal;
    const bool *same;
    double *sums;
    struct ntk_area area; /* of the last step */
};
unsigned char *ntk_plane_entry(const struct ntk_planes *p, int frame, int entry, int row_slot, int column);
/* One step, if the plane needs it. */
void ntk_plane_step(const struct ntk_planes *p, struct ntk_plane *x, const struct ntk_cpu_step *step);

/* ---- points.c */

struct ntk_near;

/* All that the threads of a batch share. */
struct ntk_points {
    const struct ntk_cpu *c;
    const struct ntk_batch *b;
    const struct ntk_samples *rows, *columns;
    const struct ntk_simd *simd;
    ntk_dtype dtype;
};

/* What one thread works in. */
struct ntk_points_work {
    const struct ntk_points *t;
    unsigned char *block;   /* all of the memory below */
    unsigned char *inputs;  /* [entries][NTK_TILE][NTK_TILE] */
    unsigned char *outputs; /* [n_outputs][NTK_TILE][NTK_TILE] */
    void **tiles;           /* [n_outputs]: outputs */
    const void **in;        /* [most_in] operands of the current step */
    unsigned char **slot;   /* [slots of points] run buffers; entries' and outputs' change from row to row */
    struct ntk_near *near;  /* NULL: almost parallel pairs are not looked for */
};

/* False: no memory. */
bool ntk_points_new(struct ntk_points_work *w, const struct ntk_points *t);
void ntk_points_free(struct ntk_points_work *w);
size_t ntk_points_bytes(const struct ntk_program *p, ntk_dtype dtype);
/* From w->inputs to the batch's receiver; samples are numbered in the whole sets. A tile on the diagonal of a
 * symmetric kernel needs inputs on and above it. */
ntk_status ntk_points_tile(struct ntk_points_work *w, int64_t i0, int64_t ni, int64_t j0, int64_t nj);
/* All pairs of samples that are vectors, or of no positions at all. */
ntk_status ntk_points_run(const struct ntk_cpu *c, const struct ntk_batch *b);

/* ---- batch.c */

ntk_status ntk_cpu_run(void *compiled, const struct ntk_batch *b);
ntk_status ntk_cpu_own(void *compiled, int frame, const struct ntk_panel *panel, void *const *out);
size_t ntk_cpu_bytes(const void *compiled, const struct ntk_samples *s, int64_t rows, int64_t columns);
int64_t ntk_cpu_panel(const void *compiled, const struct ntk_samples *s, int64_t n);
double ntk_cpu_units(const void *compiled, int64_t n1, int64_t n2, const char **what);

#endif
