/* SPDX-License-Identifier: MIT
 *
 * plane.h - one plane on its way through a frame's steps, for planes.c (which planes) and
 * plane_steps.c (what happens to one).
 */
#ifndef NTK_PLANE_H
#define NTK_PLANE_H

#include "kernel/planes.h"

/* Rectangles of a node's plane at offset d. */
struct ntk_area {
    int n;
    struct ntk_rect rect[4];
    size_t pitch;                /* vectors */
    size_t size;                 /* elements */
    const struct ntk_node *node; /* or another with as many positions */
    int d[2];
};

/* One plane on its way through a frame's steps. */
struct ntk_plane {
    int index;      /* in the batch */
    int d[2];       /* offset in the frame */
    int row;        /* of offsets */
    int64_t sample; /* the one first sample of all lanes, -1: x1 and side1 have one for each */
    const int64_t *equal;
    const bool *same;
    double *sums;
    struct ntk_area area; /* of the last step */
};

/* Bytes of one entry of a plane: a number for each lane. */
static inline size_t ntk_vector_bytes(const struct ntk_planes *p)
{
    return p->lanes * p->f->dtype;
}

/* Where an entry of a frame is at a column of offsets, in the row that has this slot. */
unsigned char *ntk_plane_entry(const struct ntk_planes *p, int frame, int entry, int row_slot,
                               int column);
/* One step, if the plane needs it. */
void ntk_plane_step(const struct ntk_planes *p, struct ntk_plane *x,
                    const struct ntk_space_step *step);

#endif
