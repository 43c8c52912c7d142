/* SPDX-License-Identifier: MIT
 *
 * backend.h - who computes tiles: one folder src/backend/NAME, which defines `const struct ntk_backend
 * ntk_backend_NAME`, and one line BACKEND(NAME) in src/backend/backends.def.
 *
 * A backend runs programs (program.h): it knows instructions (ops/op.h), not operations. What it
 * does with a program is its own: fusions, slots, the order of planes, tile size, threads. Results must
 * not depend on the number of threads, nor, up to the rounding of a matrix product, on the batch.
 *
 * Samples that are equal (ntk_pair_is_equal) have their variance exactly, at nodes that are NTK_NOISY only a sample with
 * itself (symmetric, i = j):
 *   1. entries of points, before the steps of points;
 *   2. at equal positions (offset 0), what a link reads, from the panel's exits, before it adds up; and the operand of a
 *      COPY, which is another node;
 *   3. results of every step of points.
 * Almost parallel pairs (ntk_dual.near) of vectors may be computed more exactly than by the instructions.
 * Exponents of samples are the engine's business.
 */
#ifndef NTK_BACKEND_H
#define NTK_BACKEND_H

#include "engine/samples.h"

/* A finished tile: rows i0 ... i0 + ni - 1 by columns j0 ..., counted in the whole sets. */
struct ntk_tile {
    int64_t i0, ni, j0, nj;
    void *const *k; /* [n_outputs] -> [ni][ld] of the samples' dtype; the receiver may write into it */
    size_t ld;
    bool upper;  /* i0 = j0, ni = nj, and entries below the diagonal are not set */
    bool finite; /* all entries that are set are known to be finite */
};
/* Called from several threads at a time; a result other than NTK_OK, which it has said, ends the batch with it. */
typedef ntk_status ntk_tile_fn(const struct ntk_tile *tile, void *user);

/* Called with the context's lock held: so many of the units are done of a batch. */
typedef ntk_status ntk_batch_progress_fn(double done, void *user);

/* All pairs of a panel of first samples and one of second samples. Both sets have one reference. */
struct ntk_batch {
    const struct ntk_samples *rows, *columns;
    const struct ntk_panel *row_panel, *column_panel; /* without positions: spans of samples, no values */
    bool symmetric;  /* columns are rows */
    bool diagonal;   /* symmetric, and the panels are the same: only pairs i <= j are wanted */
    const int64_t *match; /* [rows->n] ntk_samples_match, of the row panel's */
    ntk_tile_fn *done;
    ntk_batch_progress_fn *progress;
    void *user; /* of both */
};

/* Whether samples i and j, of the whole sets, are equal. */
static inline bool ntk_pair_is_equal(const struct ntk_batch *b, int64_t i, int64_t j)
{
    return b->match[i] >= 0 && b->match[i] == b->columns->twin[j];
}

struct ntk_backend {
    const char *name;    /* "cpu" */
    const char *summary; /* one sentence */
    /* Whether this machine has it; else a sentence for people in *why. */
    bool (*probe)(ntk_ctx *ctx, const char **why);
    /* Makes of a program, and of those of its frames, what it runs; freed by close. NTK_ENOTSUP names an instruction
     * that it has not. */
    ntk_status (*compile)(const struct ntk_program *program, void **compiled);
    /* Every tile of the batch goes to batch->done, in any order, from any thread. Polls (ntk_go_on). */
    ntk_status (*run)(void *compiled, const struct ntk_batch *batch);
    /* The program of a frame: each sample of the panel with itself, entry number e at equal positions into out[e],
     * [panel->n][positions] of its dtype; of points (the whole program) [panel->n] doubles. NULL: it reads nothing
     * of samples but their numbers, and nothing else is prepared. */
    ntk_status (*own)(void *compiled, int frame, const struct ntk_panel *panel, void *const *out);
    /* Bytes that a batch of so many samples holds beside samples and panels, tiles included. */
    size_t (*bytes)(const void *compiled, const struct ntk_samples *s, int64_t rows, int64_t columns);
    /* The most of n samples that a panel has. NULL: it reads no panels, and takes all at once. */
    int64_t (*panel)(const void *compiled, const struct ntk_samples *s, int64_t n);
    /* Units in which progress counts, and how many all pairs are; n2 = 0: of n1 with themselves. */
    double (*units)(const void *compiled, int64_t n1, int64_t n2, const char **what);
    /* Seconds that so many pairs take, about. NULL: not remarkable. */
    double (*seconds)(const void *compiled, double pairs);
    void (*close)(void *compiled);
};

/* A program made ready to run. */
struct ntk_machine {
    const struct ntk_program *program;
    const struct ntk_backend *backend;
    void *compiled;
};

#endif
