/* SPDX-License-Identifier: MIT
 *
 * monte_carlo.c - kernels averaged over random networks.
 */
#include <math.h>
#include <stdlib.h>

#include "finite/finite.h"

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

static ntk_status all_networks(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1,
                               const ntk_data *x2, ntk_dtype dtype, int64_t n_nets, uint64_t seed,
                               int64_t n, void *k, double *k64, double *mean, double *error)
{
    struct networks progress = {ctx->progress, ctx->progress_user, 0, (double)n_nets};
    ntk_status status = NTK_OK;

    ntk_ctx_set_progress(ctx, part_of_networks, &progress);
    for (int64_t r = 0; r < n_nets && status == NTK_OK; r++) {
        progress.done = (double)r;
        status = one_network(ctx, net, which, x1, x2, dtype, seed + (uint64_t)r, n, k, k64);
        if (status == NTK_OK)
            accumulate(n, r, k64, mean, error);
        if (status == NTK_OK)
            status = ntk_progress(ctx, "networks", 1, 1);
    }
    ntk_ctx_set_progress(ctx, progress.report, progress.user);
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
    if (status == NTK_OK)
        status = all_networks(ctx, net, which, x1, x2, dtype, n_nets, seed, n, k, k64, mean, error);
    for (int64_t i = 0; i < n && error && status == NTK_OK; i++)
        error[i] = sqrt(error[i] / (double)(n_nets - 1) / (double)n_nets);
    free(k);
    free(k64);
    return status;
}
