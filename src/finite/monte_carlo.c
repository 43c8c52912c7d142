/* SPDX-License-Identifier: MIT
 *
 * monte_carlo.c - kernels averaged over random networks.
 */
#include <math.h>
#include <stdlib.h>

#include "finite/finite.h"

/* An estimate on its way: nothing of the caller's is written before it is finished. */
struct estimate {
    ntk_ctx *ctx;
    const ntk_net *net;
    unsigned which;
    const ntk_data *x1, *x2;
    ntk_dtype dtype;
    int64_t n;                    /* entries of a kernel */
    void *k;                      /* one network's, of dtype */
    double *k64, *mean, *squares; /* the same in float64; mean; sum of squared deviations */
};

static ntk_status estimate_new(struct estimate *e)
{
    const size_t n = (size_t)e->n;

    e->k = ntk_alloc(e->ctx, n, e->dtype);
    e->k64 = ntk_alloc(e->ctx, n, sizeof *e->k64);
    e->mean = ntk_alloc_zero(e->ctx, n, sizeof *e->mean);
    e->squares = ntk_alloc_zero(e->ctx, n, sizeof *e->squares);
    return e->k && e->k64 && e->mean && e->squares ? NTK_OK : NTK_ENOMEM;
}

static void estimate_free(struct estimate *e)
{
    free(e->k);
    free(e->k64);
    free(e->mean);
    free(e->squares);
}

/* With the r-th network (Welford 1962). */
static void accumulate(struct estimate *e, int64_t r)
{
    for (int64_t i = 0; i < e->n; i++) {
        const double step = e->k64[i] - e->mean[i];

        e->mean[i] += step / (double)(r + 1);
        e->squares[i] += step * (e->k64[i] - e->mean[i]);
    }
}

static ntk_status one_network(struct estimate *e, uint64_t seed)
{
    const struct ntk_data values = {.x = e->k, .dtype = e->dtype};
    ntk_params *p;
    ntk_status status;

    NTK_TRY(ntk_params_new(e->ctx, e->net, ntk_data_shape(e->x1), e->dtype, seed, &p));
    status = ntk_params_kernel(p, e->which, NTK_TRACE, e->x1, e->x2, e->k);
    ntk_params_free(p);
    for (int64_t i = 0; i < e->n && status == NTK_OK; i++)
        e->k64[i] = ntk_data_get(&values, (size_t)i);
    return status;
}

/* Where the caller's progress is: each network's entries are a part of one network. */
struct networks {
    ntk_progress_fn *report;
    void *user;
    double done, total;
};

static int part_of_networks(const char *what, double done, double total, void *user)
{
    const struct networks *n = user;

    (void)what;
    return n->report ? n->report("networks", n->done + done / total, n->total, n->user) : 0;
}

static ntk_status all_networks(struct estimate *e, int64_t first, int64_t n_nets, uint64_t seed)
{
    struct networks progress = {e->ctx->progress, e->ctx->progress_user, 0, (double)n_nets};
    ntk_status status = NTK_OK;

    ntk_ctx_set_progress(e->ctx, part_of_networks, &progress);
    for (int64_t r = 0; r < n_nets && status == NTK_OK; r++) {
        progress.done = (double)r;
        status = one_network(e, ntk_network_seed(seed, (uint64_t)(first + r)));
        if (status == NTK_OK)
            accumulate(e, r);
        if (status == NTK_OK)
            status = ntk_progress(e->ctx, "networks", 1, 1);
    }
    ntk_ctx_set_progress(e->ctx, progress.report, progress.user);
    return status;
}

ntk_status ntk_monte_carlo(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1,
                           const ntk_data *x2, ntk_dtype dtype, int64_t first, int64_t n_nets,
                           uint64_t seed, double *mean, double *error)
{
    struct estimate e = {.ctx = ctx,
                         .net = net,
                         .which = which,
                         .x1 = x1,
                         .x2 = x2,
                         .dtype = dtype,
                         .n = ntk_data_n(x1) * ntk_data_n(x2 ? x2 : x1)};
    const size_t bytes = ntk_bytes((double)e.n * (double)(3 * sizeof(double) + (size_t)dtype));
    ntk_status status;

    if (n_nets < (error ? 2 : 1))
        return ntk_fail(ctx, NTK_EINVAL, "n_nets must be at least %d%s, got %lld", error ? 2 : 1,
                        error ? " for standard errors" : "", (long long)n_nets);
    if (first < 0)
        return ntk_fail(ctx, NTK_EINVAL, "first must be at least 0, got %lld", (long long)first);
    NTK_TRY(ntk_ctx_hold(ctx, bytes, "the mean of the networks' kernels"));
    status = estimate_new(&e);
    if (status == NTK_OK)
        status = all_networks(&e, first, n_nets, seed);
    for (int64_t i = 0; i < e.n && status == NTK_OK; i++) {
        mean[i] = e.mean[i];
        if (error)
            error[i] = sqrt(e.squares[i] / (double)(n_nets - 1) / (double)n_nets);
    }
    ntk_ctx_release(ctx, bytes);
    estimate_free(&e);
    return status;
}
