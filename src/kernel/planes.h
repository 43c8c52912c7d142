/* SPDX-License-Identifier: MIT
 *
 * planes.h - runs the steps of a space for a vector of pairs of samples.
 */
#ifndef NTK_PLANES_RUN_H
#define NTK_PLANES_RUN_H

#include "kernel/fields.h"

/* One thread's memory. */
struct ntk_planes {
    const struct ntk_fields *f;
    const struct ntk_panel *rows, *columns;
    size_t lanes;
    size_t plane_bytes;             /* of a scratch plane */
    int batch;                      /* planes that go through a step before the next */
    unsigned char *block;           /* all of the memory below */
    unsigned char *x1, *x2;         /* [positions][channels][lanes] */
    unsigned char **side1, **side2; /* [n_tables] -> [sides][positions][lanes] */
    unsigned char *slots;           /* [batch][n_slots][largest plane][lanes] */
    unsigned char **entries; /* [n_frames] -> [live rows][entries][column offsets][h w][lanes] */
    unsigned char *lines;
    double *sums;                 /* [batch][n_sums][lanes] */
    int64_t equal[NTK_LANES_MAX]; /* sample of the row panel that both of a pair equal, else -1 */
    bool same[NTK_LANES_MAX];     /* they are one sample */
    int capture;                  /* frame whose entries of offset 0 go to own, -1: none */
    void **own;                   /* then [graph.n] -> [n][positions] */
    const void **in;              /* operands of the current step */
};

/* False: no memory. */
bool ntk_planes_new(const struct ntk_fields *f, struct ntk_planes *p);
void ntk_planes_free(struct ntk_planes *p);
size_t ntk_planes_bytes(const struct ntk_fields *f);

/* Second samples of the lanes: column[l] counts in the panel. */
void ntk_planes_columns(struct ntk_planes *p, const int64_t *column);
/* First samples of the lanes, likewise. */
void ntk_planes_rows(struct ntk_planes *p, const int64_t *row);
/* All sums of the pairs (row[l], column[l]): p->sums[n_sums][lanes]. */
void ntk_planes_pairs(struct ntk_planes *p);
/* The same over every parts-th row of offsets from number `part` on; parts > 1 only for a space in
 * one frame (ntk_planes_splits). */
void ntk_planes_part(struct ntk_planes *p, int part, int parts);
bool ntk_planes_splits(const struct ntk_space *s);
/* For a single space: of the pairs (row + k, column[l]), k < n <= batch: p->sums[k][n_sums][lanes].
 * equal and same are [n][lanes]. */
void ntk_planes_block(struct ntk_planes *p, int64_t row, int n, const int64_t *equal,
                      const bool *same);

#endif
