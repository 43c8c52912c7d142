/* SPDX-License-Identifier: MIT
 *
 * empirical.c - kernels of a finite network.
 *
 * Samples go through the network and back in chunks that fit the caches, each on one thread. At
 * every trained step they leave factors: inputs and cotangents, or derivatives. Two blocks of
 * samples side by side then get each step's share of their entries from its factors (steps/step.h). Of
 * traces and diagonals some outputs go back at a time.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "finite/mask.h"

#define CHUNK_BYTES ((size_t)4 << 20)
#define CHUNKS      16 /* at least, if there are so many samples: work for threads */
#define ROUND_BYTES ((size_t)32 << 20)  /* factors of a block: bounds the outputs at a time */
#define BLOCK_BYTES ((size_t)256 << 20) /* the same: bounds its samples */

/* What the blocks of both sides left at a trained step. */
struct factor {
    int step;
    bool masked;             /* one cotangent a sample stands for all outputs: mask.h */
    bool derivative;         /* g are derivatives, there is no x */
    size_t x_bytes, g_bytes; /* of a sample's inputs; of one of its cotangents */
    void **x[2], *g[2];      /* [n_in] inputs [block]; [block][copies], of diagonals [copies][block] */
};

/* A thread's. */
struct worker {
    struct ntk_pass *pass;
    void *mask, *work; /* [chunk][size]: mask.h */
};

struct job {
    const ntk_params *p;
    const ntk_data *x[2];
    bool symmetric;
    ntk_form form;
    int64_t n[2], outputs, block, chunk;
    int64_t o, copies; /* outputs o ... o + copies - 1 are under way */
    char *k;
    int64_t ld, stride; /* of entries, in numbers */
    struct factor *factors;
    int n_factors;
    int64_t held[2]; /* samples that left the factors */
    struct worker *workers;
    int n_workers;
    void *cotangent; /* [chunk][copies][outputs] */
    int mask_step;   /* see mask.h; -1: none */
    void *M;         /* [size] */
    void *scratch;
    size_t scratch_bytes;
    double done, total;
};

/* ---- factors of a block */

/* Rows of the identity: the outputs under way, of every sample. */
static void set_cotangent(struct job *j)
{
    const int64_t c = j->outputs;

    memset(j->cotangent, 0, (size_t)(j->chunk * j->copies * c) * j->p->dtype);
    for (int64_t i = 0; i < j->chunk * j->copies; i++)
        ntk_store(j->cotangent, j->p->dtype, (size_t)(i * c + j->o + i % j->copies), 1);
}

static const struct ntk_tape_step *step_of(const struct job *j, const struct factor *f)
{
    return &j->p->tape.steps[f->step];
}

static size_t input_bytes(const struct job *j, const struct factor *f, int input)
{
    return (size_t)ntk_features_of(step_of(j, f)->in_shape[input]) * j->p->dtype;
}

static int64_t copies_of(const struct job *j, const struct factor *f)
{
    return f->masked ? 1 : j->copies;
}

/* What a worker's samples leave, from number `at` of the block on. */
static void keep(const struct job *j, const struct worker *w, const struct factor *f, int side,
                 int64_t at)
{
    const struct ntk_pass *pass = w->pass;
    const struct ntk_tape_step *step = step_of(j, f);
    const bool apart = j->form == NTK_DIAGONAL;
    const int64_t copies = copies_of(j, f), size = step->n_theta;
    const int64_t per_sample = apart ? 1 : copies, per_copy = apart ? j->block : 1;
    const struct ntk_run r = ntk_pass_run(pass, f->step, copies);
    const char *g = f->masked ? w->mask : ntk_pass_cotangent(pass, f->step);
    char *to = (char *)f->g[side] + (size_t)(at * per_sample) * f->g_bytes;
    const void *x[NTK_BRANCHES_MAX];

    ntk_step_inputs(step, pass->value, x);
    if (f->derivative) {
        j->p->loops->differentiate(&r, x, pass->value[step->out], g, per_sample * size,
                                   per_copy * size, to);
        return;
    }
    for (int k = 0; k < step->n_in; k++) {
        const size_t bytes = input_bytes(j, f, k);

        memcpy((char *)f->x[side][k] + (size_t)at * bytes, x[k], (size_t)pass->n * bytes);
    }
    for (int64_t i = 0; i < pass->n * copies; i++)
        memcpy(to + (size_t)(i / copies * per_sample + i % copies * per_copy) * f->g_bytes,
               g + (size_t)i * f->g_bytes, f->g_bytes);
}

/* The masked step's are the same for all outputs: they come with the first. */
static bool is_due(const struct job *j, const struct factor *f)
{
    return !f->masked || j->o == 0;
}

static void chunk_back(const struct job *j, const struct worker *w, int side, int64_t at)
{
    const struct factor *f = j->factors + j->n_factors - 1;

    w->pass->copies = j->copies;
    ntk_pass_back_start(w->pass, j->cotangent);
    for (int step = j->p->tape.n - 1; step >= 0; step--) {
        if (f >= j->factors && f->step == step) {
            if (f->masked && is_due(j, f))
                ntk_mask_cotangent(w->pass, j->mask_step, j->M, w->work, w->mask);
            if (is_due(j, f))
                keep(j, w, f, side, at);
            f--;
        }
        ntk_pass_back_step(w->pass, step, NULL);
    }
}

static ntk_status collect(struct job *j, int side, int64_t first)
{
    const int64_t n = j->n[side] - first < j->block ? j->n[side] - first : j->block;
    ntk_status status = NTK_OK;

    j->held[side] = n;
#pragma omp parallel for schedule(dynamic) num_threads(j->n_workers)
    for (int64_t at = 0; at < n; at += j->chunk) {
        const struct worker *w = &j->workers[omp_get_thread_num()];
        bool go;

        ntk_lock(j->p->ctx);
        if (status == NTK_OK) /* no entry is done here, but the caller may cancel */
            status = ntk_progress(j->p->ctx, "entries", j->done, j->total);
        go = status == NTK_OK;
        ntk_unlock(j->p->ctx);
        if (!go)
            continue;
        ntk_pass_forward(w->pass, j->x[side], first + at, n - at < j->chunk ? n - at : j->chunk);
        chunk_back(j, w, side, at);
    }
    return status;
}

/* ---- a pair of blocks */

static struct ntk_share share_of(const struct job *j, const struct factor *f, bool alone)
{
    const bool apart = j->form == NTK_DIAGONAL;
    const struct ntk_tape_step *step = step_of(j, f);
    struct ntk_share s = {.step = step,
                          .theta = (const char *)j->p->theta + ntk_params_before(j->p, step),
                          .threads = j->p->ctx->threads,
                          .symmetric = alone,
                          .copies = apart ? 1 : copies_of(j, f),
                          .blocks = j->form == NTK_FULL,
                          .ld = j->ld,
                          .stride = j->stride,
                          .factor = j->form == NTK_TRACE ? 1.0 / (double)j->outputs : 1};

    for (int k = 0; k < 2; k++) {
        const int from = alone ? 0 : k;

        s.side[k] = (struct ntk_side){
            .n = j->held[from], .x = (const void *const *)f->x[from], .g = f->g[from]};
    }
    return s;
}

static void add_share(struct job *j, const struct factor *f, bool alone, char *k)
{
    const int64_t apart = j->form == NTK_DIAGONAL ? j->copies : 1;
    struct ntk_share s = share_of(j, f, alone);

    s.simd = j->workers[0].pass->simd;
    s.scratch = j->scratch;
    for (int64_t c = 0; c < apart; c++) {
        s.k = k + (size_t)c * j->p->dtype;
        (f->derivative ? j->p->loops->contract : ntk_step_loops(s.step, j->p->dtype)->share)(&s);
        for (int side = 0; side < 2; side++)
            s.side[side].g = (const char *)s.side[side].g + (size_t)j->block * f->g_bytes;
    }
}

/* The blocks whose first entry is (i0, j0); alone: both are side 0's. */
static ntk_status block_pair(struct job *j, int64_t i0, int64_t j0, bool alone)
{
    const int64_t at = (i0 * j->ld + j0) * j->stride + (j->form == NTK_DIAGONAL ? j->o : 0);
    const double start = j->done, entries = (double)(j->held[0] * j->held[alone ? 0 : 1] * j->copies);

    for (int k = 0; k < j->n_factors; k++) {
        if (is_due(j, &j->factors[k]))
            add_share(j, &j->factors[k], alone, j->k + (size_t)at * (size_t)j->p->dtype);
        j->done = start + entries * (alone ? 0.5 : 1) * (k + 1) / j->n_factors;
        NTK_TRY(ntk_progress(j->p->ctx, "entries", j->done, j->total));
    }
    return NTK_OK;
}

/* ---- all pairs */

static ntk_status all_pairs(struct job *j)
{
    for (int64_t i0 = 0; i0 < j->n[0]; i0 += j->block) {
        NTK_TRY(collect(j, 0, i0));
        for (int64_t j0 = j->symmetric ? i0 : 0; j0 < j->n[1]; j0 += j->block) {
            const bool alone = j->symmetric && j0 == i0;

            if (!alone)
                NTK_TRY(collect(j, 1, j0));
            NTK_TRY(block_pair(j, i0, j0, alone));
        }
    }
    return NTK_OK;
}

static ntk_status all_outputs(struct job *j)
{
    const int64_t most = j->copies;

    for (j->o = 0; j->o < j->outputs; j->o += most) {
        j->copies = j->outputs - j->o < most ? j->outputs - j->o : most;
        set_cotangent(j);
        NTK_TRY(all_pairs(j));
    }
    return NTK_OK;
}

/* Entries below the diagonal from those above it. */
static void mirror(const struct job *j)
{
    const size_t size = j->p->dtype;
    const int64_t c = j->form == NTK_FULL ? j->outputs : 1;

    for (int64_t a = 0; a < j->n[0]; a++)
        for (int64_t b = 0; b < a; b++) {
            char *to = j->k + (size_t)((a * j->ld + b) * j->stride) * size;
            const char *from = j->k + (size_t)((b * j->ld + a) * j->stride) * size;

            if (j->form != NTK_FULL)
                memcpy(to, from, (size_t)j->stride * size);
            for (int64_t o = 0; o < c * c && j->form == NTK_FULL; o++)
                memcpy(to + (size_t)o * size, from + (size_t)(o % c * c + o / c) * size, size);
        }
}

/* ---- what is kept, and how much at a time */

/* Derivatives if they are cheaper to multiply, unless inputs and cotangents are much smaller: the
 * step's share is then from those; derivatives, too, of a step that has no other. */
static struct factor factor_of(const struct job *j, int step)
{
    const struct ntk_tape_step *s = &j->p->tape.steps[step];
    const struct ntk_step_loops *l = ntk_step_loops(s, j->p->dtype);
    const bool masked = step == j->mask_step - 1;
    const int64_t copies = masked ? 1 : j->outputs, g = ntk_features_of(s->out_shape);
    int64_t x = 0;
    const struct ntk_share share = {.step = s,
                                    .symmetric = j->symmetric,
                                    .copies = copies,
                                    .blocks = j->form == NTK_FULL,
                                    .side = {{.n = j->n[0]}, {.n = j->n[1]}}};

    for (int k = 0; k < s->n_in; k++)
        x += ntk_features_of(s->in_shape[k]);
    if (!l->share || (l->derivatives_are_cheaper(&share) && copies * s->n_theta < 2 * (x + copies * g)))
        return (struct factor){.step = step,
                               .masked = masked,
                               .derivative = true,
                               .g_bytes = (size_t)s->n_theta * j->p->dtype};
    return (struct factor){.step = step,
                           .masked = masked,
                           .x_bytes = (size_t)x * j->p->dtype,
                           .g_bytes = (size_t)g * j->p->dtype};
}

static ntk_status list_factors(struct job *j)
{
    const struct ntk_tape *t = &j->p->tape;

    j->factors = ntk_alloc_zero(j->p->ctx, (size_t)t->n, sizeof *j->factors);
    if (!j->factors)
        return NTK_ENOMEM;
    for (int k = 0; k < t->n; k++)
        if (t->steps[k].trainable && j->p->slot[t->steps[k].out] >= 0)
            j->factors[j->n_factors++] = factor_of(j, k);
    return NTK_OK;
}

/* Bytes of a sample's factors: what does not depend on the outputs, and each of them. */
static void factor_bytes(const struct job *j, size_t *fixed, size_t *each)
{
    *fixed = *each = 0;
    for (int k = 0; k < j->n_factors; k++) {
        const struct factor *f = &j->factors[k];

        *fixed += f->x_bytes + (f->masked ? f->g_bytes : 0);
        *each += f->masked ? 0 : f->g_bytes;
    }
}

static int64_t within(double x, int64_t most)
{
    return x < 1 ? 1 : x < (double)most ? (int64_t)x : most;
}

/* Copies, block, chunk and workers. Outputs come in rounds of about equal numbers. */
static void choose_sizes(struct job *j)
{
    const int64_t larger = j->n[0] > j->n[1] ? j->n[0] : j->n[1];
    const double typical = (double)(larger < 1024 ? larger : 1024);
    size_t fixed, each;

    factor_bytes(j, &fixed, &each);
    j->copies = j->outputs;
    if (j->form != NTK_FULL && each > 0) {
        const double room = (double)ROUND_BYTES / typical - (double)fixed;
        const int64_t most = within(room / (double)each, j->outputs);
        const int64_t rounds = (j->outputs + most - 1) / most;

        j->copies = (j->outputs + rounds - 1) / rounds;
    }
    j->block = within((double)BLOCK_BYTES / (double)(fixed + (size_t)j->copies * each + 1), larger);
    j->chunk = ntk_pass_block(j->p, CHUNK_BYTES, within((double)j->block / CHUNKS, j->block),
                              j->copies, false);
    j->n_workers = (int)within((double)j->block / (double)j->chunk + 1, j->p->ctx->threads);
}

/* What the last of the pieces of n has, or each of the others. */
static int64_t piece(int64_t n, int64_t most, bool last)
{
    return n < most ? n : last ? (n - 1) % most + 1 : most;
}

/* What the shares of a step want at most, for whole and last blocks of samples and rounds of outputs. */
static size_t scratch_for(const struct job *j, const struct factor *f)
{
    size_t most = 0;

    for (int k = 0; k < 16; k++) {
        struct job at = *j;
        struct ntk_share s;
        size_t bytes;

        at.held[0] = piece(j->n[0], j->block, k & 1);
        at.held[1] = piece(j->n[1], j->block, k & 2);
        at.copies = piece(j->outputs, j->copies, k & 4);
        s = share_of(&at, f, k & 8);
        bytes = (f->derivative ? j->p->loops->contract_scratch
                               : ntk_step_loops(s.step, j->p->dtype)->share_scratch)(&s);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* [chunk][size] of the step whose cotangents are masked, and of its weights. */
static size_t mask_bytes(const struct job *j)
{
    return j->mask_step < 0
               ? 0
               : (size_t)ntk_features_of(j->p->tape.steps[j->mask_step].out_shape) * j->p->dtype;
}

/* One where the only block is paired with itself. */
static int sides_held(const struct job *j) { return j->symmetric && j->block >= j->n[0] ? 1 : 2; }

static ntk_status allocate_scratch(struct job *j)
{
    const int sides = sides_held(j);
    size_t fixed, each;

    factor_bytes(j, &fixed, &each);
    for (int k = 0; k < j->n_factors; k++) {
        const size_t bytes = scratch_for(j, &j->factors[k]);

        j->scratch_bytes = bytes > j->scratch_bytes ? bytes : j->scratch_bytes;
    }
    NTK_TRY(ntk_ctx_check_memory(
        j->p->ctx,
        ntk_bytes((double)sides * (double)j->block * ((double)fixed + (double)j->copies * (double)each)) +
            (size_t)j->n_workers * (ntk_pass_bytes(j->p, 1, j->chunk, j->copies, false) +
                                    2 * (size_t)j->chunk * mask_bytes(j)) +
            (size_t)(j->chunk * j->copies * j->outputs) * j->p->dtype + j->scratch_bytes,
        "a tangent kernel, with its factors,"));
    j->scratch = ntk_alloc(j->p->ctx, j->scratch_bytes, 1);
    return j->scratch ? NTK_OK : NTK_ENOMEM;
}

static ntk_status allocate_factor(const struct job *j, struct factor *f, int side)
{
    const int inputs = f->derivative ? 0 : step_of(j, f)->n_in;

    f->g[side] = ntk_alloc(j->p->ctx, (size_t)(j->block * copies_of(j, f)), f->g_bytes);
    f->x[side] = ntk_alloc_zero(j->p->ctx, (size_t)inputs, sizeof *f->x[side]);
    if (!f->g[side] || !f->x[side])
        return NTK_ENOMEM;
    for (int k = 0; k < inputs; k++) {
        f->x[side][k] = ntk_alloc(j->p->ctx, (size_t)j->block, input_bytes(j, f, k));
        if (!f->x[side][k])
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

static ntk_status allocate_factors(struct job *j)
{
    const int sides = sides_held(j);

    for (int k = 0; k < j->n_factors; k++)
        for (int side = 0; side < sides; side++)
            NTK_TRY(allocate_factor(j, &j->factors[k], side));
    return NTK_OK;
}

static void free_factor(const struct job *j, struct factor *f, int side)
{
    for (int k = 0; f->x[side] && !f->derivative && k < step_of(j, f)->n_in; k++)
        free(f->x[side][k]);
    free(f->x[side]);
    free(f->g[side]);
}

static void free_factors(struct job *j)
{
    for (int k = 0; k < j->n_factors; k++)
        for (int side = 0; side < 2; side++)
            free_factor(j, &j->factors[k], side);
    free(j->factors);
}

/* mask_step and M. */
static ntk_status find_mask(struct job *j)
{
    bool same = false;

    j->mask_step = j->form == NTK_TRACE && j->outputs > 1 ? ntk_mask_step(j->p) : -1;
    if (j->mask_step < 0)
        return NTK_OK;
    j->M = ntk_alloc(j->p->ctx, (size_t)ntk_features_of(j->p->tape.steps[j->mask_step].out_shape),
                     j->p->dtype);
    if (!j->M)
        return NTK_ENOMEM;
    NTK_TRY(ntk_mask_weights(j->p, j->mask_step, j->x[0], j->M, &same));
    if (!same)
        j->mask_step = -1;
    return NTK_OK;
}

static ntk_status new_worker(const struct job *j, struct worker *w)
{
    NTK_TRY(ntk_pass_new(j->p, 1, j->chunk, j->copies, false, &w->pass));
    if (j->mask_step >= 0) {
        w->mask = ntk_alloc(j->p->ctx, (size_t)j->chunk, mask_bytes(j));
        w->work = ntk_alloc(j->p->ctx, (size_t)j->chunk, mask_bytes(j));
        if (!w->mask || !w->work)
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

static ntk_status new_workers(struct job *j)
{
    j->workers = ntk_alloc_zero(j->p->ctx, (size_t)j->n_workers, sizeof *j->workers);
    if (!j->workers)
        return NTK_ENOMEM;
    for (int k = 0; k < j->n_workers; k++)
        NTK_TRY(new_worker(j, &j->workers[k]));
    return NTK_OK;
}

static void free_workers(struct job *j)
{
    for (int k = 0; k < j->n_workers && j->workers; k++) {
        ntk_pass_free(j->workers[k].pass);
        free(j->workers[k].mask);
        free(j->workers[k].work);
    }
    free(j->workers);
}

static ntk_status allocate(struct job *j)
{
    NTK_TRY(allocate_scratch(j));
    NTK_TRY(allocate_factors(j));
    NTK_TRY(new_workers(j));
    j->cotangent = ntk_alloc(j->p->ctx, (size_t)(j->chunk * j->copies * j->outputs), j->p->dtype);
    return j->cotangent ? NTK_OK : NTK_ENOMEM;
}

static ntk_status tangent_kernel(struct job *j)
{
    const struct ntk_blas blas = ntk_blas_begin(1);
    ntk_status status;

    j->total = (double)j->n[0] * (double)j->n[1] * (double)j->outputs * (j->symmetric ? 0.5 : 1);
    memset(j->k, 0, (size_t)(j->n[0] * j->n[1] * j->stride) * j->p->dtype);
    status = find_mask(j);
    if (status == NTK_OK)
        status = list_factors(j);
    if (status == NTK_OK) {
        choose_sizes(j);
        status = allocate(j);
    }
    if (status == NTK_OK)
        status = all_outputs(j);
    if (status == NTK_OK && j->symmetric)
        mirror(j);
    free_factors(j);
    free_workers(j);
    free(j->cotangent);
    free(j->scratch);
    free(j->M);
    ntk_blas_end(blas);
    return status;
}

/* ---- f(x1) f(x2)' */

static void nngp_entries(const struct job *j, const void *f1, const void *f2)
{
    const int64_t c = j->outputs, n1 = j->n[0], n2 = j->n[1];
    const size_t size = j->p->dtype;

    if (j->form == NTK_TRACE) {
        j->p->loops->inner(j->p->ctx->threads, n1, n2, c, 1.0 / (double)c, f1, f2, j->k);
        return;
    }
    for (int64_t a = 0; a < n1; a++)
        for (int64_t b = 0; b < n2; b++)
            for (int64_t o = 0; o < j->stride; o++) {
                const int64_t left = j->form == NTK_FULL ? o / c : o;
                const int64_t right = j->form == NTK_FULL ? o % c : o;
                const struct ntk_data d1 = {.x = f1, .dtype = (ntk_dtype)size};
                const struct ntk_data d2 = {.x = f2, .dtype = (ntk_dtype)size};

                ntk_store(j->k, (ntk_dtype)size, (size_t)((a * n2 + b) * j->stride + o),
                          ntk_data_get(&d1, (size_t)(a * c + left)) *
                              ntk_data_get(&d2, (size_t)(b * c + right)));
            }
}

static ntk_status output_kernel(struct job *j)
{
    const double samples = (double)j->n[0] + (j->symmetric ? 0 : (double)j->n[1]);
    const size_t bytes = ntk_bytes(samples * (double)j->outputs * (int)j->p->dtype);
    void *f[2] = {NULL, NULL};
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_ctx_hold(j->p->ctx, bytes, "a table of outputs"));
    for (int side = 0; side < (j->symmetric ? 1 : 2) && status == NTK_OK; side++) {
        f[side] = ntk_alloc(j->p->ctx, (size_t)(j->n[side] * j->outputs), j->p->dtype);
        status = f[side] ? ntk_params_apply(j->p, j->x[side], f[side]) : NTK_ENOMEM;
    }
    if (status == NTK_OK)
        nngp_entries(j, f[0], j->symmetric ? f[0] : f[1]);
    ntk_ctx_release(j->p->ctx, bytes);
    free(f[0]);
    free(f[1]);
    return status;
}

static ntk_status check_finite(const struct job *j)
{
    const struct ntk_data k = {.x = j->k, .dtype = j->p->dtype};

    for (int64_t i = 0; i < j->n[0] * j->n[1] * j->stride; i++)
        if (!isfinite(ntk_data_get(&k, (size_t)i)))
            return ntk_fail(j->p->ctx, NTK_ENUMERIC,
                            "the kernel of samples %lld and %lld is %g in float%d: the network's "
                            "numbers are too large",
                            (long long)(i / j->stride / j->n[1]), (long long)(i / j->stride % j->n[1]),
                            ntk_data_get(&k, (size_t)i), 8 * (int)j->p->dtype);
    return NTK_OK;
}

ntk_status ntk_params_kernel(const ntk_params *params, unsigned which, ntk_form form,
                             const ntk_data *x1, const ntk_data *x2, void *k)
{
    struct job j = {.p = params,
                    .x = {x1, x2 ? x2 : x1},
                    .symmetric = !x2,
                    .form = form,
                    .outputs = ntk_params_outputs(params),
                    .k = k};

    NTK_TRY(ntk_params_check(params, x1));
    NTK_TRY(ntk_params_check(params, j.x[1]));
    if (which != NTK_NTK && which != NTK_NNGP)
        return ntk_fail(params->ctx, NTK_EINVAL, "which must be NTK_NNGP or NTK_NTK, got %u",
                        which);
    if (form != NTK_TRACE && form != NTK_DIAGONAL && form != NTK_FULL)
        return ntk_fail(params->ctx, NTK_EINVAL,
                        "form must be NTK_TRACE, NTK_DIAGONAL or NTK_FULL, got %d", (int)form);
    j.n[0] = ntk_data_n(x1);
    j.n[1] = j.ld = ntk_data_n(j.x[1]);
    j.stride = form == NTK_FULL ? j.outputs * j.outputs : form == NTK_DIAGONAL ? j.outputs : 1;
    NTK_TRY(which == NTK_NTK ? tangent_kernel(&j) : output_kernel(&j));
    return check_finite(&j);
}
