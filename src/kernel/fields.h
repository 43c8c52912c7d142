/* SPDX-License-Identifier: MIT
 *
 * fields.h - samples with positions, prepared for a space: activations set up, and the values that
 * each sample has with itself at every position.
 *
 * Before the first pool these follow from the sample by a recursion of their own. Past a pool they
 * come from pairs of positions: a space made for that alone computes each sample with itself.
 */
#ifndef NTK_FIELDS_H
#define NTK_FIELDS_H

#include "activations/loops.h"
#include "kernel/samples.h"
#include "kernel/space.h"

struct ntk_fields {
    ntk_ctx *ctx;
    const struct ntk_space *space;
    const struct ntk_simd *simd; /* of the kernel's type */
    ntk_dtype dtype;
    int n_sets;
    const struct ntk_samples *set; /* [n_sets] */
    int channels;
    struct ntk_dual *dual; /* [n_tables] */
    void *par;             /* [n_tables][NTK_DUAL_PARS] of dtype */
    int n_ready;           /* tables whose dual must be finished */
    void **own[2];         /* [graph.n] -> [n][positions] of dtype: variances of frames' entries */
    bool owner;            /* of the arrays in own */
    bool beyond;           /* as in struct ntk_duals */
};

/* Sides and variances of samples first ... first + n - 1 of a set. */
struct ntk_panel {
    int set;
    int64_t first, n;
    void **sides; /* [n_tables] -> [sides][n][positions] of dtype */
    void **exits; /* [n_exits] -> [n][positions] of dtype: variances of the space's exits */
};

/* set[0 ... n_sets - 1] must live until ntk_fields_free, which is called also on failure. */
ntk_status ntk_fields_make(ntk_ctx *ctx, const struct ntk_space *space, const struct ntk_way *way,
                           int n_sets, const struct ntk_samples *set, int channels, struct ntk_fields *f);
void ntk_fields_free(struct ntk_fields *f);

/* Memory for up to n samples; freed by ntk_panel_free, also on failure. */
ntk_status ntk_panel_new(const struct ntk_fields *f, int64_t n, struct ntk_panel *p);
/* Fills it in for n samples of a set. */
ntk_status ntk_panel_fill(const struct ntk_fields *f, int set, int64_t first, int64_t n,
                          struct ntk_panel *p);
void ntk_panel_free(const struct ntk_fields *f, struct ntk_panel *p);
/* Bytes for each sample. */
size_t ntk_panel_bytes(const struct ntk_fields *f);

#endif
