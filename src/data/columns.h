/* SPDX-License-Identifier: MIT
 *
 * columns.h - which columns of a table are features, targets, or left out.
 */
#ifndef NTK_COLUMNS_H
#define NTK_COLUMNS_H

#include "data/data.h"

/* Numbers that a sample has beside its features and targets, at most one column each. */
enum { NTK_OWN_WEIGHT, NTK_OWN_NOISE, NTK_N_OWN };
/* Places of columns that are neither features nor targets; that of NTK_OWN_WEIGHT is NTK_OWN, of the next one less. */
enum { NTK_DROPPED = -1, NTK_OWN = -2 };

struct ntk_columns {
    int64_t n;
    bool header;
    char **names;    /* [n]; without a header numbers */
    char ***sorted;  /* [n] places in names, in the order of names, equal ones in that of columns */
    bool *unnamed;   /* [n] by the header */
    bool guessed;    /* the target */
    int matched;     /* as in ntk_table */
    int64_t n_features, n_targets;
    int64_t *at;     /* features, then targets: columns; [2 n] */
    int64_t own[NTK_N_OWN]; /* columns; -1: none */
    int64_t *place;  /* [n] feature k: k; target k: n_features + k; or NTK_DROPPED, NTK_OWN - k */
};

/* Names are the n cells of a header, one after the other; NULL: there is none. */
ntk_status ntk_columns_new(ntk_ctx *ctx, const char *header, int64_t n, const ntk_load_opts *opts,
                           struct ntk_columns *c);
void ntk_columns_free(struct ntk_columns *c);

#endif
