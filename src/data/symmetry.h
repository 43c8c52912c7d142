/* SPDX-License-Identifier: MIT
 *
 * symmetry.h - samples that stand for their copies, too (ntk.h: ntk_data_set_symmetry): a group of permutations of an
 * image's positions.
 */
#ifndef NTK_SYMMETRY_H
#define NTK_SYMMETRY_H

#include "data/data.h"

/* Shared by the data that have it, and never changed once it is. */
struct ntk_symmetry {
    int refs;
    unsigned kinds;
    ntk_shape image;
    int copies;    /* elements of the group, the identity, number 0, among them */
    int32_t *from; /* [copies][positions]: the position that each position of a copy is taken from */
};

struct ntk_symmetry *ntk_symmetry_hold(struct ntk_symmetry *s); /* NULL: nothing */
void ntk_symmetry_free(struct ntk_symmetry *s);
/* "mirror images", of messages and descriptions. */
#define NTK_SYMMETRY_TEXT 80
const char *ntk_symmetry_text(unsigned kinds, char text[NTK_SYMMETRY_TEXT]);

static inline int ntk_data_copies(const ntk_data *x) { return x->symmetry ? x->symmetry->copies : 1; }
/* A view of the same samples that stand for such copies; NULL: for themselves. */
ntk_status ntk_data_with(const ntk_data *x, struct ntk_symmetry *s, ntk_data **view);
/* Copies first, first + 1, ... of all samples, as data of their own without parts: `step` rows a copy, of which those after
 * the last sample repeat it. */
ntk_status ntk_data_moved(const ntk_data *x, const struct ntk_symmetry *s, int first, int64_t step, ntk_data **moved);

#endif
