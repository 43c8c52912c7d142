/* SPDX-License-Identifier: MIT
 *
 * samples.h - samples prepared for a program: made once, used by any number of calls (ntk.h: ntk_samples).
 *
 *     data + program --ntk_samples_make--> samples --ntk_run (run.h)--> tiles
 *
 * What depends on one sample alone is computed here, in float64: variances of every node, the side values that
 * steps read, and past links the values at equal positions (by the program of each frame, level after
 * level). What depends on all samples, the ways of activations (struct ntk_reference), is made from the
 * first set and shared by those that refer to it.
 */
#ifndef NTK_SAMPLES_H
#define NTK_SAMPLES_H

#include "data/data.h"
#include "engine/program.h"
#include "engine/precision.h"

struct ntk_machine; /* backend.h */

/* What a set of samples decides for all that meet it: in what numbers the kernel is computed, and how
 * activations are. Of one program; counted. */
struct ntk_reference {
    _Atomic int users;
    const struct ntk_program *program;
    struct ntk_precision precision;
    struct ntk_dual *dual; /* [n_side_sets] */
    bool *ready;           /* [n_side_sets]: dual is set up */
    int layers;            /* of activations, whose errors add up: ntk_dual_range */
    void *par;             /* [n_side_sets][NTK_DUAL_PARS] of precision.dtype */
};

struct ntk_samples {
    ntk_ctx *ctx;
    const struct ntk_program *program;
    struct ntk_reference *reference;
    const ntk_data *data; /* what it was made of, which outlives it */
    size_t held;          /* bytes: ntk_ctx_keep */
    int64_t n;
    size_t stride;   /* n, padded so that a run of whole vectors may start anywhere below n */
    ntk_dtype dtype; /* of reference->precision */
    size_t features, channels; /* x is [n][features], with positions [n][positions][channels] */
    const void *x;   /* of dtype */
    void *owned_x;   /* x if it had to be converted */
    bool bare;       /* nothing below but equal samples is made: the backend reads nothing else */
    int *exponent;   /* [n]: samples were multiplied by 2^exponent, which the engine takes back; NULL: by 1 */

    /* Equal samples: `order` has all by their numbers, those that are equal side by side and ascending; those equal
     * to the first of them, t, are order[first[t]] ... order[last[t] - 1]. */
    int64_t *order, *twin, *first, *last; /* [n] each; twin[i]: the first that is equal to i */

    /* Points. */
    double *variance; /* [graph.n][stride]; rows of nodes that points do not have are not written; 0, and the input,
                       * are all if none were wanted */
    void **sides;     /* [n_side_sets] -> [sides + 1][stride] of dtype, the last the roots of variances; NULL: not
                       * of points, or not made yet */
    /* Positions. */
    void **own;       /* [graph.n] -> [n][positions] of dtype: variances of frames' entries */
    struct ntk_panel *kept; /* [ceil(n / kept_width)]: all of its panels; NULL: made when they are needed */
    int64_t kept_width;
};

/* Side values and exits of samples first ... first + n - 1 at all positions. */
struct ntk_panel {
    const struct ntk_samples *samples;
    int64_t first, n;
    void **sides; /* [n_side_sets] -> [sides][n][positions] of dtype; NULL of points */
    void **exits; /* [n_exits] -> [n][positions] of dtype */
};

/* Prepares one or two sets of samples. like NULL: for a reference of their own, which they share; dtype is the one
 * that is wanted, and where it does not take what is met on the way it is another. Else one set, for that of `like`;
 * *beyond, and no samples, if it does not take them: then both are to be prepared together. variances: of points
 * are wanted even if no step reads them. */
ntk_status ntk_samples_make(const struct ntk_machine *machine, ntk_dtype dtype, int sets, const ntk_data *const *x,
                            bool variances, const struct ntk_samples *like, bool *beyond,
                            struct ntk_samples **samples);
/* Side values of points take most of the memory of vectors: they are made before the first run, after its memory was
 * checked. */
ntk_status ntk_samples_sides(struct ntk_samples *s);
/* Side values at positions, if they take no more than `most` bytes: otherwise every run makes them again. */
ntk_status ntk_samples_keep(const struct ntk_machine *machine, struct ntk_samples *s, size_t most);
void ntk_samples_release(struct ntk_samples *s);
/* NTK_ENUMERIC if an output that was computed in another way is too large for the kernel's type. */
ntk_status ntk_samples_check_outputs(const struct ntk_samples *s, ntk_dtype dtype);
/* K(x, x) of every output m and sample; out[m] is [n]. */
void ntk_samples_diagonal(const struct ntk_samples *s, double *const *out);
/* For samples [i0, i0 + ni) of rows the twin of columns that is equal to it, -1: none; match is [rows->n]. */
void ntk_samples_match(const struct ntk_samples *rows, const struct ntk_samples *columns, int64_t i0, int64_t ni,
                       int64_t *match);
/* Whether the number of side values is known only with the variances, or positions prepared. */
bool ntk_samples_wait(const struct ntk_program *program);
/* Peak bytes that samples of n, or of data that are not prepared yet (s NULL), take; sides included, and values for
 * almost parallel samples. Not prepared: without side values whose number is not known. */
size_t ntk_samples_bytes(const struct ntk_program *program, const struct ntk_samples *s, const ntk_data *x,
                         ntk_dtype dtype);

/* Memory for n samples; freed by ntk_panel_free, also on failure. */
ntk_status ntk_panel_new(const struct ntk_samples *s, int64_t n, struct ntk_panel *p);
/* Values of n samples from number `first` on, of frames below that level (INT_MAX: all). */
ntk_status ntk_panel_fill(const struct ntk_samples *s, int64_t first, int64_t n, int level, struct ntk_panel *p);
void ntk_panel_free(struct ntk_panel *p);
/* Bytes for each sample. */
size_t ntk_panel_bytes(const struct ntk_samples *s);

/* Values that steps read of a sample and position. */
static inline size_t ntk_side_count(const struct ntk_reference *r, int side_set)
{
    const struct ntk_side_set *t = &r->program->side_sets[side_set];

    return (size_t)t->op->sides(&r->program->graph->nodes[t->node], &r->dual[side_set]);
}

#endif
