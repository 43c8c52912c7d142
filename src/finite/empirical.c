/* SPDX-License-Identifier: MIT
 *
 * empirical.c - kernels of a finite network.
 *
 * Two blocks of samples go back through the network side by side; every affine step on the way adds
 * its share (share.c) to the block's entries, so that derivatives of no more than one step are ever
 * held. Of traces and diagonals some outputs go back at a time.
 */
#include <math.h>
#include <stdlib.h>

#include "finite/mask.h"
#include "predict/lanczos.h"

#define COPIES_BYTES ((size_t)64 << 20) /* cotangents of a block: bounds the outputs at a time */

struct job {
    const ntk_params *p;
    const ntk_data *x[2];
    bool symmetric;
    ntk_form form;
    int64_t n[2], outputs, copies, block;
    char *k;
    int64_t ld, stride; /* of entries, in numbers */
    struct ntk_pass *pass[2];
    void *cotangent;      /* [block][copies][outputs] */
    int mask_step;        /* see mask.h; -1: none */
    void *M;              /* [size] */
    void *mask[2], *work; /* [block][size] */
    void *scratch;
    size_t scratch_bytes;
    double done, total;
};

/* ---- one pair of blocks */

/* Rows of the identity: outputs o ... o + copies - 1 of every sample. */
static void set_cotangent(struct job *j, int64_t o, int64_t copies)
{
    const int64_t c = j->outputs;

    memset(j->cotangent, 0, (size_t)(j->block * copies * c) * j->p->dtype);
    for (int64_t i = 0; i < j->block * copies; i++)
        ntk_store(j->cotangent, j->p->dtype, (size_t)(i * c + o + i % copies), 1);
}

static struct ntk_share share_of(const struct job *j, int step, int64_t copies)
{
    const bool alone = !j->pass[1];
    struct ntk_share s = {.step = &j->p->tape.steps[step],
                          .threads = j->p->ctx->threads,
                          .symmetric = alone,
                          .copies = copies,
                          .blocks = j->form == NTK_FULL,
                          .ld = j->ld,
                          .stride = j->stride,
                          .factor = j->form == NTK_TRACE ? 1.0 / (double)j->outputs : 1};

    for (int k = 0; k < 2; k++) {
        const struct ntk_pass *pass = j->pass[alone ? 0 : k];

        s.side[k] = (struct ntk_side){
            .n = pass->n, .x = pass->value[s.step->in[0]], .g = ntk_pass_cotangent(pass, step)};
    }
    return s;
}

static ntk_status enough_scratch(struct job *j, const struct ntk_share *s)
{
    size_t least, best;

    j->p->loops->share_scratch(s, &least, &best);
    if (best <= j->scratch_bytes)
        return NTK_OK;
    free(j->scratch);
    j->scratch_bytes = 0;
    j->scratch = ntk_alloc(j->p->ctx, best, 1);
    if (!j->scratch)
        return NTK_ENOMEM;
    j->scratch_bytes = best;
    return NTK_OK;
}

static ntk_status add_share(struct job *j, struct ntk_share *s, char *k)
{
    s->k = k;
    NTK_TRY(enough_scratch(j, s));
    s->scratch = j->scratch;
    s->scratch_bytes = j->scratch_bytes;
    j->p->loops->share(s);
    return NTK_OK;
}

/* All outputs at the affine step before the last activation, with one cotangent a sample. */
static ntk_status add_masked(struct job *j, char *k)
{
    struct ntk_share s;

    if (j->mask_step < 0)
        return NTK_OK;
    s = share_of(j, j->mask_step - 1, 1);
    for (int side = 0; side < 2; side++) {
        const int from = j->pass[1] ? side : 0;

        if (from == side)
            ntk_mask_cotangent(j->pass[side], j->mask_step, j->M, j->work, j->mask[side]);
        s.side[side].g = j->mask[from];
    }
    return add_share(j, &s, k);
}

/* Outputs o ... o + copies - 1 of the block whose first entry is k. */
static ntk_status add_outputs(struct job *j, int64_t o, int64_t copies, char *k)
{
    set_cotangent(j, o, copies);
    for (int side = 0; side < 2 && j->pass[side]; side++) {
        j->pass[side]->copies = copies;
        ntk_pass_back_start(j->pass[side], j->cotangent);
    }
    for (int step = j->p->tape.n - 1; step >= 0; step--) {
        const struct ntk_tape_step *s = &j->p->tape.steps[step];

        if (s->kind == NTK_STEP_affine && s->affine.trainable && step != j->mask_step - 1 &&
            ntk_pass_cotangent(j->pass[0], step)) {
            struct ntk_share share = share_of(j, step, copies);

            NTK_TRY(add_share(j, &share, k));
        }
        for (int side = 0; side < 2 && j->pass[side]; side++)
            ntk_pass_back_step(j->pass[side], step, NULL);
    }
    return NTK_OK;
}

static ntk_status block_pair(struct job *j, int64_t i0, int64_t j0)
{
    const int64_t step = j->form == NTK_DIAGONAL ? 1 : j->copies;

    NTK_TRY(add_masked(j, j->k + (size_t)((i0 * j->ld + j0) * j->stride) * j->p->dtype));
    for (int64_t o = 0; o < j->outputs; o += step) {
        const int64_t copies = j->outputs - o < step ? j->outputs - o : step;
        const int64_t at = (i0 * j->ld + j0) * j->stride + (j->form == NTK_DIAGONAL ? o : 0);

        NTK_TRY(add_outputs(j, o, copies, j->k + (size_t)at * j->p->dtype));
        j->done += (double)(j->pass[0]->n * (j->pass[1] ? j->pass[1]->n : j->pass[0]->n) * copies);
        NTK_TRY(ntk_progress(j->p->ctx, "entries", j->done, j->total));
    }
    return NTK_OK;
}

/* ---- all pairs */

static void next(struct job *j, int side, int64_t first)
{
    const int64_t n = j->n[side] - first < j->block ? j->n[side] - first : j->block;

    ntk_pass_forward(j->pass[side], j->x[side], first, n);
}

static ntk_status all_pairs(struct job *j)
{
    struct ntk_pass *second = j->pass[1];

    for (int64_t i0 = 0; i0 < j->n[0]; i0 += j->block) {
        next(j, 0, i0);
        for (int64_t j0 = j->symmetric ? i0 : 0; j0 < j->n[1]; j0 += j->block) {
            const bool alone = j->symmetric && j0 == i0;

            j->pass[1] = alone ? NULL : second;
            if (!alone)
                next(j, 1, j0);
            NTK_TRY(block_pair(j, i0, j0));
            j->pass[1] = second;
        }
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

/* How many outputs go back at a time. */
static int64_t choose_copies(const struct job *j)
{
    const ntk_params *p = j->p;
    size_t bytes = 0;
    int64_t copies;

    if (j->form == NTK_FULL)
        return j->outputs;
    if (j->form == NTK_DIAGONAL)
        return 1;
    for (int k = 0; k < p->n_slots; k++)
        bytes += (size_t)p->slot_size[k] * p->dtype;
    bytes *= (size_t)(j->n[0] < 1024 ? j->n[0] : 1024);
    copies = (int64_t)(COPIES_BYTES / (bytes + 1));
    return copies < 1 ? 1 : copies > j->outputs ? j->outputs : copies;
}

static ntk_status prepare_masks(struct job *j)
{
    bool same = false;
    size_t bytes;

    j->mask_step = j->form == NTK_TRACE && j->outputs > 1 ? ntk_mask_step(j->p) : -1;
    if (j->mask_step < 0)
        return NTK_OK;
    bytes = (size_t)ntk_features_of(j->p->tape.steps[j->mask_step].out_shape) * j->p->dtype;
    j->M = ntk_alloc(j->p->ctx, bytes, 1);
    j->work = ntk_alloc(j->p->ctx, (size_t)j->block, bytes);
    for (int side = 0; side < (j->pass[1] ? 2 : 1); side++)
        j->mask[side] = ntk_alloc(j->p->ctx, (size_t)j->block, bytes);
    if (!j->M || !j->work || !j->mask[0] || (j->pass[1] && !j->mask[1]))
        return NTK_ENOMEM;
    NTK_TRY(ntk_mask_weights(j->p, j->mask_step, j->x[0], j->M, &same));
    if (!same)
        j->mask_step = -1;
    return NTK_OK;
}

static ntk_status tangent_kernel(struct job *j)
{
    const int64_t larger = j->n[0] > j->n[1] ? j->n[0] : j->n[1];
    const int blas = ntk_blas_set_threads(1);
    ntk_status status;

    j->copies = choose_copies(j);
    j->block = ntk_pass_block(j->p, larger, j->copies, false);
    j->total = (double)j->n[0] * (double)j->n[1] * (double)j->outputs;
    if (j->symmetric && j->block < larger) /* pairs of blocks i <= j */
        j->total *= 0.5 * (1 + (double)j->block / (double)larger);
    j->cotangent = ntk_alloc(j->p->ctx, (size_t)(j->block * j->copies * j->outputs), j->p->dtype);
    status =
        j->cotangent ? ntk_pass_new(j->p, j->block, j->copies, false, &j->pass[0]) : NTK_ENOMEM;
    if (status == NTK_OK && (!j->symmetric || j->block < j->n[0]))
        status = ntk_pass_new(j->p, j->block, j->copies, false, &j->pass[1]);
    if (status == NTK_OK)
        status = prepare_masks(j);
    memset(j->k, 0, (size_t)(j->n[0] * j->n[1] * j->stride) * j->p->dtype);
    if (status == NTK_OK)
        status = all_pairs(j);
    if (status == NTK_OK && j->symmetric)
        mirror(j);
    ntk_pass_free(j->pass[0]);
    ntk_pass_free(j->pass[1]);
    free(j->cotangent);
    free(j->scratch);
    free(j->M);
    free(j->work);
    free(j->mask[0]);
    free(j->mask[1]);
    ntk_blas_set_threads(blas);
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
    void *f[2] = {NULL, NULL};
    ntk_status status = NTK_OK;

    for (int side = 0; side < (j->symmetric ? 1 : 2) && status == NTK_OK; side++) {
        f[side] = ntk_alloc(j->p->ctx, (size_t)(j->n[side] * j->outputs), j->p->dtype);
        status = f[side] ? ntk_params_apply(j->p, j->x[side], f[side]) : NTK_ENOMEM;
    }
    if (status == NTK_OK)
        nngp_entries(j, f[0], j->symmetric ? f[0] : f[1]);
    free(f[0]);
    free(f[1]);
    return status;
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
    j.n[0] = ntk_data_n(x1);
    j.n[1] = j.ld = ntk_data_n(j.x[1]);
    j.stride = form == NTK_FULL ? j.outputs * j.outputs : form == NTK_DIAGONAL ? j.outputs : 1;
    return which == NTK_NTK ? tangent_kernel(&j) : output_kernel(&j);
}

/* ---- without the matrix */

ntk_status ntk_params_ntk_product(const ntk_params *params, const ntk_data *x1, const ntk_data *x2,
                                  const void *v, void *out)
{
    void *gradient = ntk_alloc(params->ctx, (size_t)params->tape.n_params, params->dtype);
    ntk_status status = gradient ? NTK_OK : NTK_ENOMEM;

    if (status == NTK_OK)
        status = ntk_params_vjp(params, x2 ? x2 : x1, v, gradient);
    if (status == NTK_OK)
        status = ntk_params_jvp(params, x1, gradient, NULL, out);
    free(gradient);
    return status;
}

struct product {
    const ntk_params *p;
    const ntk_data *x;
    int64_t n;
    void *v, *out; /* of the network's type */
    ntk_status status;
};

static void apply_product(double *x, void *user)
{
    struct product *o = user;

    if (o->status != NTK_OK)
        return;
    for (int64_t i = 0; i < o->n; i++)
        ntk_store(o->v, o->p->dtype, (size_t)i, x[i]);
    o->status = ntk_params_ntk_product(o->p, o->x, NULL, o->v, o->out);
    for (int64_t i = 0; i < o->n; i++) {
        const struct ntk_data out = {.x = o->out, .dtype = o->p->dtype};

        x[i] = ntk_data_get(&out, (size_t)i);
    }
}

ntk_status ntk_params_lambda_max(const ntk_params *params, const ntk_data *x, double *lambda)
{
    struct product o = {
        .p = params, .x = x, .n = ntk_data_n(x) * ntk_params_outputs(params), .status = NTK_OK};
    ntk_status status = NTK_ENOMEM;

    NTK_TRY(ntk_params_check(params, x));
    o.v = ntk_alloc(params->ctx, (size_t)o.n, params->dtype);
    o.out = ntk_alloc(params->ctx, (size_t)o.n, params->dtype);
    if (o.v && o.out)
        status = ntk_lanczos_largest(params->ctx, o.n, apply_product, &o, lambda);
    free(o.v);
    free(o.out);
    return o.status != NTK_OK ? o.status : status;
}

/* ---- means over networks */

/* mean and sum of squared deviations (Welford 1962) after network number r. */
static void accumulate(int64_t n, int64_t r, const double *k, double *mean, double *error)
{
    for (int64_t i = 0; i < n; i++) {
        const double step = k[i] - mean[i];

        mean[i] += step / (double)(r + 1);
        if (error)
            error[i] += step * (k[i] - mean[i]);
    }
}

static ntk_status one_network(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1,
                              const ntk_data *x2, ntk_dtype dtype, uint64_t seed, int64_t n,
                              void *k, double *k64)
{
    const struct ntk_data values = {.x = k, .dtype = dtype};
    ntk_params *p;
    ntk_status status;

    NTK_TRY(ntk_params_new(ctx, net, ntk_data_shape(x1), dtype, seed, &p));
    status = ntk_params_kernel(p, which, NTK_TRACE, x1, x2, k);
    ntk_params_free(p);
    for (int64_t i = 0; i < n && status == NTK_OK; i++)
        k64[i] = ntk_data_get(&values, (size_t)i);
    return status;
}

ntk_status ntk_monte_carlo(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1,
                           const ntk_data *x2, ntk_dtype dtype, int64_t n_nets, uint64_t seed,
                           double *mean, double *error)
{
    const int64_t n = ntk_data_n(x1) * ntk_data_n(x2 ? x2 : x1);
    void *k = NULL;
    double *k64 = NULL;
    ntk_status status;

    if (n_nets < (error ? 2 : 1))
        return ntk_fail(ctx, NTK_EINVAL, "n_nets must be at least %d%s, got %lld", error ? 2 : 1,
                        error ? " for standard errors" : "", (long long)n_nets);
    k = ntk_alloc(ctx, (size_t)n, sizeof(double));
    k64 = ntk_alloc(ctx, (size_t)n, sizeof *k64);
    status = k && k64 ? NTK_OK : NTK_ENOMEM;
    for (int64_t i = 0; i < n && status == NTK_OK; i++) {
        mean[i] = 0;
        if (error)
            error[i] = 0;
    }
    for (int64_t r = 0; r < n_nets && status == NTK_OK; r++) {
        status = one_network(ctx, net, which, x1, x2, dtype, seed + (uint64_t)r, n, k, k64);
        if (status == NTK_OK)
            accumulate(n, r, k64, mean, error);
        if (status == NTK_OK)
            status = ntk_progress(ctx, "networks", (double)(r + 1), (double)n_nets);
    }
    for (int64_t i = 0; i < n && error && status == NTK_OK; i++)
        error[i] = sqrt(error[i] / (double)(n_nets - 1) / (double)n_nets);
    free(k);
    free(k64);
    return status;
}
