/* SPDX-License-Identifier: MIT
 *
 * several.c - models of several nets on the same samples, whose kernels are computed together.
 */
#include <stdlib.h>
#include <string.h>

#include "language/net.h"
#include "kernel/kernel.h"
#include "predict/model.h"

/* Together only what is one Cholesky factor each, if all fit into memory. */
static bool share(ntk_ctx *ctx, size_t n_nets, int64_t n, int64_t outputs, const ntk_fit_opts *opts)
{
    return n_nets > 1 && !opts->finite_time && !opts->covariance &&
           ntk_model_matrices(opts, n, outputs) * n_nets <= ntk_ctx_memory(ctx);
}

static ntk_status joint_kernel(ntk_model *const *models, size_t n, ntk_kernel **kernel)
{
    const ntk_model *m = models[0];
    const unsigned want = m->opts.posterior == NTK_POSTERIOR_NNGP ? NTK_NNGP : NTK_NTK;
    const ntk_net **nets = ntk_alloc(m->ctx, n, sizeof *nets);
    ntk_status status;

    if (!nets)
        return NTK_ENOMEM;
    for (size_t k = 0; k < n; k++)
        nets[k] = models[k]->net;
    status = ntk_kernel_new(m->ctx, nets, n, want, m->opts.dtype, m->x->shape, kernel);
    free(nets);
    return status;
}

struct store {
    ntk_model *const *models;
};

static int store_block(const ntk_block *b, void *user)
{
    const struct store *s = user;
    const ntk_model *m = s->models[b->output];

    ntk_rfp_store(&m->solution->factor, b, m->opts.dtype);
    return 0;
}

static ntk_status solve(ntk_model *const *models, size_t n)
{
    struct store store = {models};
    ntk_kernel *kernel;
    ntk_status status;

    for (size_t k = 0; k < n; k++)
        NTK_TRY(ntk_rfp_new(models[k]->ctx, models[k]->n, &models[k]->solution->factor));
    NTK_TRY(joint_kernel(models, n, &kernel));
    status = ntk_kernel_stream_for(
        kernel, models[0]->x, NULL,
        n * ntk_model_matrices(&models[0]->opts, models[0]->n, models[0]->outputs),
        "kernel matrices of this many samples", store_block, &store);
    ntk_kernel_free(kernel);
    for (size_t k = 0; k < n && status == NTK_OK; k++) {
        status = ntk_model_factor(models[k]);
        if (status == NTK_OK)
            ntk_model_ready(models[k]);
    }
    return status;
}

ntk_status ntk_models_fit(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets,
                          const ntk_data *x, const double *y, int64_t outputs,
                          const ntk_fit_opts *opts, ntk_model **models)
{
    ntk_fit_opts o;
    bool together;
    ntk_model **fitted;
    ntk_status status;
    size_t made = 0;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &o));
    together = share(ctx, n_nets, x->n, outputs, &o);
    fitted = ntk_alloc(ctx, n_nets, sizeof *fitted);
    status = fitted ? NTK_OK : NTK_ENOMEM;
    while (made < n_nets && status == NTK_OK) {
        status = together ? ntk_model_new(ctx, nets[made], x, y, outputs, &o, &fitted[made])
                          : ntk_model_fit(ctx, nets[made], x, y, outputs, &o, &fitted[made]);
        made += status == NTK_OK;
    }
    if (status == NTK_OK && together) {
        const struct ntk_blas blas = ntk_blas_begin(ctx->threads);

        status = solve(fitted, n_nets);
        ntk_blas_end(blas);
    }
    while (status != NTK_OK && made > 0)
        ntk_model_free(fitted[--made]);
    if (status == NTK_OK)
        memcpy(models, fitted, n_nets * sizeof *models);
    free(fitted);
    return status;
}

static ntk_status predict(ntk_model *const *models, size_t n, const ntk_kernel *kernel,
                          const ntk_data *x, ntk_samples *training, double *const *mean, double **panel)
{
    const ntk_model *m = models[0];
    const int64_t most = ntk_model_panel_rows(m->n);

    for (int64_t first = 0; first < x->n; first += most) {
        const int64_t rows = x->n - first < most ? x->n - first : most;
        ntk_data *slice;
        ntk_status status;

        NTK_TRY(ntk_data_slice(x, first, rows, &slice));
        status = ntk_kernel_compute_with(kernel, slice, training,
                                         n * (size_t)rows * (size_t)m->n * sizeof(double), "predicting",
                                        (void *const *)panel);
        ntk_data_free(slice);
        NTK_TRY(status);
        for (size_t k = 0; k < n; k++) {
            if (m->opts.dtype == NTK_F32)
                ntk_model_widen(panel[k], (size_t)(rows * m->n));
            ntk_model_panel_mean(models[k], rows, panel[k], mean[k] + first * m->outputs);
            NTK_TRY(ntk_check_finite(m->ctx, "the predictions", mean[k] + first * m->outputs, rows,
                                     m->outputs));
        }
        NTK_TRY(ntk_progress(m->ctx, "predictions", (double)(first + rows), (double)x->n));
    }
    return NTK_OK;
}

/* Fitted together, or so that they might have been. */
static bool alike(ntk_model *const *models, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (models[k]->x != models[0]->x || models[k]->opts.finite_time ||
            models[k]->opts.dtype != models[0]->opts.dtype ||
            models[k]->opts.posterior != models[0]->opts.posterior)
            return false;
    return n > 1;
}

ntk_status ntk_models_predict(ntk_model *const *models, size_t n_models, const ntk_data *x,
                              double *const *mean)
{
    const bool together = alike(models, n_models);
    const ntk_model *m = together ? models[0] : NULL;
    ntk_kernel *kernel = NULL;
    ntk_samples *training = NULL;
    size_t entries;
    double **panel;
    ntk_status status;
    struct ntk_blas blas;

    for (size_t k = 0; k < n_models; k++)
        NTK_TRY(ntk_kernel_check_shape(models[k]->mean, "x", x));
    for (size_t k = 0; k < n_models && !together; k++)
        NTK_TRY(ntk_model_predict(models[k], x, mean[k], NULL));
    if (!together)
        return NTK_OK;
    entries = (size_t)ntk_model_panel_rows(m->n) * (size_t)m->n;
    blas = ntk_blas_begin(m->ctx->threads);
    panel = ntk_alloc_zero(m->ctx, n_models, sizeof *panel);
    status = panel ? joint_kernel(models, n_models, &kernel) : NTK_ENOMEM;
    for (size_t k = 0; k < n_models && status == NTK_OK; k++) {
        panel[k] = ntk_alloc(m->ctx, entries, sizeof **panel);
        status = panel[k] ? NTK_OK : NTK_ENOMEM;
    }
    if (status == NTK_OK)
        status = ntk_samples_new(kernel, m->x, NULL, &training);
    if (status == NTK_OK)
        status = predict(models, n_models, kernel, x, training, mean, panel);
    ntk_samples_free(training);
    for (size_t k = 0; panel && k < n_models; k++)
        free(panel[k]);
    free(panel);
    ntk_kernel_free(kernel);
    ntk_blas_end(blas);
    return status;
}
