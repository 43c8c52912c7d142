/* SPDX-License-Identifier: MIT
 *
 * several.c - models of several nets on the same samples, whose kernels are computed together.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "language/net.h"
#include "kernel/kernel.h"
#include "predict/model.h"

/* Together only what is one factor each, made in place, if all fit into memory. */
static bool share(ntk_ctx *ctx, size_t n_nets, int64_t n, int64_t outputs, const ntk_fit_opts *opts)
{
    const struct ntk_solver_class *class = ntk_model_solver_class(opts);

    return class && n_nets > 1 && !opts->covariance && class->put && class->peak(n) == class->bytes(n) &&
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

/* From one reading; of a store each model has an operator of its own, on the same file. */
static ntk_status read(ntk_model *const *models, size_t n, const ntk_net *const *nets, struct ntk_taker *takers)
{
    const ntk_model *m = models[0];
    struct ntk_operator *joint = NULL;
    struct ntk_taker none;
    ntk_kernel *kernel = NULL;
    ntk_status status = NTK_OK;

    for (size_t k = 0; k < n && status == NTK_OK; k++) {
        status = ntk_model_open(models[k], nets, n, k);
        if (status == NTK_OK)
            status = ntk_model_take(models[k], &takers[k], &none);
    }
    if (status == NTK_OK && !m->store)
        status = joint_kernel(models, n, &kernel);
    if (status == NTK_OK && !m->store)
        status = ntk_operator_of_kernel(kernel, m->x, &joint);
    if (status == NTK_OK)
        status = ntk_operator_read(joint ? joint : m->solution->k, takers,
                                   n * ntk_model_matrices(&m->opts, m->n, m->outputs),
                                   "kernel matrices of this many samples");
    ntk_operator_free(joint);
    ntk_kernel_free(kernel);
    return status;
}

static ntk_status solve_together(ntk_model *const *models, size_t n, const ntk_net *const *nets)
{
    const struct ntk_blas blas = ntk_blas_begin(models[0]->ctx->threads);
    struct ntk_taker *takers = ntk_alloc_zero(models[0]->ctx, n, sizeof *takers);
    ntk_status status = takers ? read(models, n, nets, takers) : NTK_ENOMEM;

    for (size_t k = 0; k < n && status == NTK_OK; k++) {
        status = ntk_model_taken(models[k]);
        if (status == NTK_OK)
            status = ntk_model_finish(models[k]);
    }
    free(takers);
    ntk_blas_end(blas);
    return status;
}

/* Makes a store that of all nets, where models are then solved one by one. */
static ntk_status fill_store(const ntk_model *m, const ntk_net *const *nets, size_t n_nets)
{
    ntk_kernel_store *store;
    unsigned want;
    ntk_status status;

    NTK_TRY(ntk_model_stored(m, &want));
    NTK_TRY(ntk_store_open(m->ctx, m->store, nets, n_nets, want, m->opts.dtype, m->x, NULL, NULL, &store));
    status = ntk_store_fill(store);
    ntk_store_free(store);
    return status;
}

static ntk_status solve_each(ntk_model *const *models, size_t n, const ntk_net *const *nets)
{
    if (models[0]->store && n > 1)
        NTK_TRY(fill_store(models[0], nets, n));
    for (size_t k = 0; k < n; k++)
        NTK_TRY(ntk_model_solve(models[k]));
    return NTK_OK;
}

ntk_status ntk_models_fit(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets,
                          const ntk_data *x, const double *y, int64_t outputs,
                          const ntk_fit_opts *opts, ntk_model **models)
{
    const struct ntk_task task = {.net = n_nets > 0 ? nets[0] : NULL, .x = x, .n = x->n, .outputs = outputs};
    ntk_fit_opts o;
    ntk_model **fitted;
    ntk_status status = NTK_OK;
    size_t made = 0;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &task, true, &o));
    if (o.checkpoint && n_nets > 1)
        return ntk_fail(ctx, NTK_EINVAL, "a checkpoint is of one net, got %zu", n_nets);
    fitted = ntk_alloc(ctx, n_nets, sizeof *fitted);
    if (!fitted)
        return NTK_ENOMEM;
    while (made < n_nets && status == NTK_OK) {
        status = ntk_model_new(ctx, nets[made], x, NULL, x->n, y, outputs, &o, &fitted[made]);
        made += status == NTK_OK;
    }
    if (status == NTK_OK && n_nets > 0)
        status = share(ctx, n_nets, x->n, outputs, &o) ? solve_together(fitted, n_nets, nets)
                                                       : solve_each(fitted, n_nets, nets);
    while (status != NTK_OK && made > 0)
        ntk_model_free(fitted[--made]);
    if (status == NTK_OK)
        memcpy(models, fitted, n_nets * sizeof *models);
    free(fitted);
    return status;
}

/* Where a panel of all models comes from: their stores, or one kernel. */
struct source {
    const struct ntk_test *stored; /* [n] */
    const ntk_kernel *kernel;      /* NULL: all stores have it */
    ntk_samples *training;
};

static ntk_status panels(ntk_model *const *models, size_t n, const struct source *from, const ntk_data *x, int64_t first,
                         int64_t rows, double **panel)
{
    const int64_t n_train = ntk_model_centers(models[0]);
    ntk_data *slice;
    ntk_status status = NTK_OK;

    for (size_t k = 0; k < n && !from->kernel && status == NTK_OK; k++)
        status = ntk_model_panel(models[k], &from->stored[k], first, rows, (int)n, panel[k], NULL);
    if (!from->kernel)
        return status;
    NTK_TRY(ntk_data_slice(x, first, rows, &slice));
    status = ntk_kernel_compute_with(from->kernel, slice, from->training,
                                     n * (size_t)rows * (size_t)n_train * sizeof(double), "predicting",
                                     (void *const *)panel);
    ntk_data_free(slice);
    for (size_t k = 0; k < n && status == NTK_OK && models[0]->opts.dtype == NTK_F32; k++)
        ntk_model_widen(panel[k], (size_t)(rows * n_train));
    return status;
}

/* K(x, X) c of all models, X the centres, c[k] [columns][n], out[k] [m][columns]; of ranks, each one's panels. */
static ntk_status apply(ntk_model *const *models, size_t n, const struct source *from, const ntk_data *x, int64_t columns,
                        double *const *c, double *const *out, double **panel)
{
    const ntk_model *m = models[0];
    const int64_t ranks = ntk_n_ranks(m->ctx), most = ntk_least(ntk_panel_rows(ntk_model_centers(m)), (x->n + ranks - 1) / ranks);

    for (int64_t first = 0; first < x->n; first += most) {
        const int64_t rows = x->n - first < most ? x->n - first : most;

        if (!ntk_rank_has(m->ctx, first / most))
            continue;
        NTK_TRY(panels(models, n, from, x, first, rows, panel));
        for (size_t k = 0; k < n; k++) {
            ntk_model_panel_times(models[k], rows, panel[k], columns, c[k], out[k] + first * columns);
            NTK_TRY(ntk_check_finite(m->ctx, "the predictions", out[k] + first * columns, rows, columns));
        }
        NTK_TRY(ntk_progress(m->ctx, "predictions", (double)(first + rows), (double)x->n));
    }
    return NTK_OK;
}

/* What each rank has, in zeros, to all. */
static ntk_status share_out(ntk_ctx *ctx, ntk_status status, size_t n, size_t numbers, double *const *out)
{
    NTK_TRY(ntk_ranks_agree(ctx, status));
    for (size_t k = 0; k < n; k++)
        ntk_ranks_sum(ctx, numbers, out[k]);
    return NTK_OK;
}

/* Fitted together, or so that they might have been. */
static bool alike(ntk_model *const *models, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (models[k]->ctx != models[0]->ctx || models[k]->all != models[0]->all || models[k]->rows || models[k]->land ||
            models[k]->opts.dtype != models[0]->opts.dtype || models[k]->opts.posterior != models[0]->opts.posterior)
            return false;
    return n > 0;
}

/* alike; c [columns][n]. */
static ntk_status apply_together(ntk_model *const *models, size_t n, const ntk_data *x, int64_t columns,
                                 double *const *c, double *const *out)
{
    const ntk_model *m = models[0];
    const size_t entries = (size_t)ntk_panel_rows(ntk_model_centers(m)) * (size_t)ntk_model_centers(m);
    const struct ntk_blas blas = ntk_blas_begin(m->ctx->threads);
    double **panel = ntk_alloc_zero(m->ctx, n, sizeof *panel);
    struct ntk_test *stored = ntk_alloc_zero(m->ctx, n, sizeof *stored);
    struct source from = {.stored = stored};
    ntk_kernel *kernel = NULL;
    ntk_status status = ntk_test_same(m, x);
    bool all = true;

    if (status == NTK_OK && (!panel || !stored))
        status = NTK_ENOMEM;
    for (size_t k = 0; k < n && status == NTK_OK; k++) {
        status = ntk_test_begin(models[k], x, false, &stored[k]);
        if (status == NTK_OK && stored[k].store) /* by all ranks: then each has panels of its own */
            status = ntk_store_fill(stored[k].store);
        all = all && stored[k].store;
        if (ntk_n_ranks(m->ctx) > 1)
            memset(out[k], 0, (size_t)(x->n * columns) * sizeof *out[k]);
    }
    if (status == NTK_OK && !all)
        status = joint_kernel(models, n, &kernel);
    for (size_t k = 0; k < n && status == NTK_OK; k++) {
        panel[k] = ntk_alloc(m->ctx, entries, sizeof **panel);
        status = panel[k] ? NTK_OK : NTK_ENOMEM;
    }
    if (status == NTK_OK && kernel)
        status = ntk_samples_new(kernel, ntk_model_centers_x(m), NULL, &from.training);
    from.kernel = kernel;
    if (status == NTK_OK)
        status = apply(models, n, &from, x, columns, c, out, panel);
    status = share_out(m->ctx, status, n, (size_t)(x->n * columns), out);
    ntk_samples_free(from.training);
    for (size_t k = 0; panel && stored && k < n; k++) {
        free(panel[k]);
        ntk_test_end(&stored[k]);
    }
    free(stored);
    free(panel);
    ntk_kernel_free(kernel);
    ntk_blas_end(blas);
    return status;
}

ntk_status ntk_models_predict(ntk_model *const *models, size_t n_models, const ntk_data *x,
                              double *const *mean)
{
    bool together = alike(models, n_models) && (n_models > 1 || ntk_n_ranks(models[0]->ctx) > 1) && models[0]->x;
    double **alpha;
    ntk_status status = NTK_OK;

    for (size_t k = 0; k < n_models; k++) {
        NTK_TRY(ntk_model_check_samples(models[k]));
        NTK_TRY(ntk_kernel_check_shape(models[k]->mean, "x", x));
        if (!models[k]->solution->solved)
            NTK_TRY(ntk_model_solve(models[k]));
        together = together && models[k]->outputs == models[0]->outputs;
    }
    for (size_t k = 0; k < n_models && !together; k++)
        NTK_TRY(ntk_model_predict(models[k], x, mean[k], NULL));
    if (!together)
        return NTK_OK;
    alpha = ntk_alloc(models[0]->ctx, n_models, sizeof *alpha);
    if (!alpha)
        return NTK_ENOMEM;
    for (size_t k = 0; k < n_models; k++)
        alpha[k] = models[k]->alpha;
    status = apply_together(models, n_models, x, models[0]->outputs, alpha, mean);
    free(alpha);
    return status;
}

/* c [n_all][columns] as [columns][centres]. */
static ntk_status turn(const ntk_model *m, int64_t columns, const double *c, double **turned)
{
    const int64_t n = ntk_model_centers(m);

    *turned = ntk_alloc(m->ctx, (size_t)(columns * n), sizeof **turned);
    if (!*turned)
        return NTK_ENOMEM;
    for (int64_t j = 0; j < n; j++)
        for (int64_t k = 0; k < columns; k++)
            (*turned)[k * n + j] = c[ntk_model_center(m, j) * columns + k];
    return NTK_OK;
}

ntk_status ntk_models_apply(ntk_model *const *models, size_t n_models, const ntk_data *x, int64_t columns,
                            const double *const *c, double *const *out)
{
    const size_t n_together = n_models > 0 && alike(models, n_models) ? n_models : 1;
    double **turned;
    ntk_status status = NTK_OK;

    for (size_t k = 0; k < n_models; k++) {
        NTK_TRY(ntk_model_check_samples(models[k]));
        NTK_TRY(ntk_kernel_check_shape(models[k]->mean, "x", x));
        NTK_TRY(ntk_check_given(models[k]->ctx, "c", c[k], models[k]->n_all * columns));
        if (models[k]->land && !models[k]->solution->solved) /* else it has no centres */
            NTK_TRY(ntk_model_solve(models[k]));
    }
    if (n_models == 0 || columns == 0)
        return NTK_OK;
    turned = ntk_alloc_zero(models[0]->ctx, n_models, sizeof *turned);
    status = turned ? NTK_OK : NTK_ENOMEM;
    for (size_t k = 0; k < n_models && status == NTK_OK; k++)
        status = turn(models[k], columns, c[k], &turned[k]);
    for (size_t k = 0; k < n_models && status == NTK_OK; k += n_together)
        status = apply_together(models + k, n_together, x, columns, turned + k, out + k);
    for (size_t k = 0; turned && k < n_models; k++)
        free(turned[k]);
    free(turned);
    return status;
}
