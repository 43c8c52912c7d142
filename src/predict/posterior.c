/* SPDX-License-Identifier: MIT
 *
 * posterior.c - means and covariances at t = infinity, panel by panel of test samples.
 */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "predict/model.h"
#include "base/pieces.h"

/* From the end. */
void ntk_model_widen(double *k, size_t n)
{
    const float *narrow = (const float *)(const void *)k;

    for (size_t i = n; i-- > 0;) {
        const float value = narrow[i];

        k[i] = (double)value;
    }
}

static ntk_status training_samples(const ntk_model *m, bool both, ntk_samples **samples)
{
    ntk_samples **s = both ? &m->prepared->both : &m->prepared->mean;

    if (!*s)
        NTK_TRY(ntk_samples_new(both ? m->both : m->mean, m->x, NULL, s));
    *samples = *s;
    return NTK_OK;
}

ntk_status ntk_model_panel(const ntk_model *m, const ntk_data *test, int64_t first, int64_t rows,
                           int panels, double *k, double *nngp)
{
    void *out[2] = {nngp ? nngp : k, k};
    ntk_samples *training;
    ntk_data *slice;
    ntk_status status;

    NTK_TRY(ntk_kernel_check_shape(m->mean, "x1", test));
    NTK_TRY(training_samples(m, nngp, &training));
    NTK_TRY(ntk_data_slice(test, first, rows, &slice));
    status = ntk_kernel_compute_with(
        nngp ? m->both : m->mean, slice, training,
        ntk_bytes((double)panels * (double)rows * (double)m->n * sizeof *k), "predicting", out);
    ntk_data_free(slice);
    if (status == NTK_OK && m->opts.dtype == NTK_F32) {
        ntk_model_widen(k, (size_t)(rows * m->n));
        if (nngp)
            ntk_model_widen(nngp, (size_t)(rows * m->n));
    }
    return status;
}

ntk_status ntk_model_prior(const ntk_model *m, const ntk_data *test, double *variance)
{
    double *out[2] = {variance, NULL};
    ntk_status status;

    if (!m->both)
        return ntk_kernel_diagonal(m->mean, test, out);
    out[1] = ntk_alloc(m->ctx, (size_t)test->n, sizeof *out[1]);
    if (!out[1])
        return NTK_ENOMEM;
    status = ntk_kernel_diagonal(m->both, test, out);
    free(out[1]);
    return status;
}

ntk_status ntk_model_check_covariance(const ntk_model *m)
{
    if (m->opts.posterior == NTK_POSTERIOR_NTK && !m->both)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "this model was fitted without covariances: fit it with covariance = 1");
    return NTK_OK;
}

static double dot(int64_t n, const double *a, const double *b)
{
    return cblas_ddot((int)n, a, 1, b, 1);
}

void ntk_model_panel_mean(const ntk_model *m, int64_t rows, const double *k, double *mean)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)m->outputs, (int)m->n, 1, k,
                (int)m->n, m->alpha, (int)m->n, 0, mean, (int)m->outputs);
}

/* var -= what the data explain. NNGP, NTKGP: |L^-1 k|^2. NTK ensemble, with a = (T + r)^-1 t:
 * 2 a . s - a . S a, whose negative is added. k and nngp are overwritten; work is a panel. */
static ntk_status panel_variance(const ntk_model *m, int64_t rows, double *k, double *nngp, double *work,
                                 double *var)
{
    const struct ntk_solution *s = m->solution;

    if (!nngp) {
        NTK_TRY(ntk_rfp_solve_half(m->ctx, &s->factor, rows, k));
        for (int64_t i = 0; i < rows; i++)
            var[i] -= dot(m->n, k + i * m->n, k + i * m->n);
        return NTK_OK;
    }
    NTK_TRY(ntk_rfp_solve(m->ctx, &s->factor, rows, k));
    NTK_TRY(ntk_rfp_multiply(m->ctx, &s->nngp, rows, k, work));
    for (int64_t i = 0; i < rows; i++)
        var[i] += dot(m->n, k + i * m->n, work + i * m->n) -
                  2 * dot(m->n, k + i * m->n, nngp + i * m->n);
    return NTK_OK;
}

/* k, nngp and work: panels; the last two only if var is wanted from an ensemble. */
static ntk_status predict_panels(const ntk_model *m, const ntk_data *x, double *mean, double *var,
                                 double *k, double *nngp, double *work)
{
    const int64_t most = ntk_model_panel_rows(m->n);

    for (int64_t first = 0; first < x->n; first += most) {
        const int64_t rows = x->n - first < most ? x->n - first : most;

        NTK_TRY(ntk_model_panel(m, x, first, rows, work ? 3 : 1, k, nngp));
        ntk_model_panel_mean(m, rows, k, mean + first * m->outputs);
        NTK_TRY(ntk_check_finite(m->ctx, "the predictions", mean + first * m->outputs, rows,
                                 m->outputs));
        if (var) {
            NTK_TRY(panel_variance(m, rows, k, nngp, work, var + first));
            NTK_TRY(ntk_check_finite(m->ctx, "the variances", var + first, rows, 1));
            for (int64_t i = first; i < first + rows; i++)
                if (var[i] < 0) /* by rounding */
                    var[i] = 0;
        }
        NTK_TRY(ntk_progress(m->ctx, "predictions", (double)(first + rows), (double)x->n));
    }
    return NTK_OK;
}

/* With finite_time there is no Cholesky factor; ntk_model_dynamics does it. */
static ntk_status predict_by_eigenvectors(const ntk_model *m, const ntk_data *x, double *mean,
                                          double *var)
{
    const double forever = __builtin_inf();

    return ntk_model_dynamics(m, &forever, 1, NULL, x, NULL, NULL, mean, var);
}

ntk_status ntk_model_predict(const ntk_model *m, const ntk_data *x, double *mean, double *var)
{
    const size_t panel = (size_t)ntk_model_panel_rows(m->n) * (size_t)m->n;
    const bool ensemble = var && m->opts.posterior == NTK_POSTERIOR_NTK;
    double *k, *nngp = NULL, *work = NULL;
    ntk_status status = NTK_ENOMEM;
    struct ntk_blas blas;

    if (var) {
        NTK_TRY(ntk_model_check_covariance(m));
        NTK_TRY(ntk_model_solve(m));
        if (m->opts.finite_time)
            return predict_by_eigenvectors(m, x, mean, var);
        NTK_TRY(ntk_model_prior(m, x, var));
    }
    blas = ntk_blas_begin(m->ctx->threads);
    k = ntk_alloc(m->ctx, panel, sizeof *k);
    if (ensemble) {
        nngp = ntk_alloc(m->ctx, panel, sizeof *nngp);
        work = ntk_alloc(m->ctx, panel, sizeof *work);
    }
    if (k && (!ensemble || (nngp && work)))
        status = predict_panels(m, x, mean, var, k, nngp, work);
    free(k);
    free(nngp);
    free(work);
    ntk_blas_end(blas);
    return status;
}

/* ---- full covariance: the panel is all of the test samples */

/* The prior covariance of test samples into cov, [n][n]. */
static ntk_status prior_covariance(const ntk_model *m, const ntk_data *x, double *cov)
{
    const ntk_net *net = m->net;
    const unsigned want = m->opts.posterior == NTK_POSTERIOR_NTKGP ? NTK_NTK : NTK_NNGP;
    void *out[] = {cov};
    ntk_kernel *prior;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, want, m->opts.dtype, x->shape, &prior));
    status = ntk_kernel_compute(prior, x, NULL, out);
    ntk_kernel_free(prior);
    if (status == NTK_OK && m->opts.dtype == NTK_F32)
        ntk_model_widen(cov, (size_t)x->n * (size_t)x->n);
    return status;
}

static ntk_status covariance_of(const ntk_model *m, const ntk_data *x, double *mean, double *cov,
                                double *k, double *nngp, double *work)
{
    const struct ntk_solution *s = m->solution;
    const int t = (int)x->n, n = (int)m->n;
    struct ntk_pieces p = ntk_pieces_of(m->ctx, NULL, 0);

    NTK_TRY(ntk_model_panel(m, x, 0, x->n, work ? 3 : 1, k, nngp));
    NTK_TRY(prior_covariance(m, x, cov));
    ntk_model_panel_mean(m, x->n, k, mean);
    if (!nngp) {
        NTK_TRY(ntk_rfp_solve_half(m->ctx, &s->factor, x->n, k));
        ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, t, t, n, -1, k, n, k, n, cov, t);
        return p.status;
    }
    NTK_TRY(ntk_rfp_solve(m->ctx, &s->factor, x->n, k));
    NTK_TRY(ntk_rfp_multiply(m->ctx, &s->nngp, x->n, k, work));
    for (int i = 0; i < t; i++)
        cblas_daxpy(n, -1, nngp + (size_t)i * (size_t)n, 1, work + (size_t)i * (size_t)n, 1);
    /* A S A' - A S_dt - S_td A' = A (S A' - S_dt) - S_td A' */
    ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, t, t, n, 1, k, n, work, n, cov, t);
    ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, t, t, n, -1, nngp, n, k, n, cov, t);
    return p.status;
}

/* A covariance, up to here with rounding errors, is symmetric and has no variance below 0. */
static void symmetrise(int64_t n, double *a)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i] = (a[i * n + j] + a[j * n + i]) / 2;
        if (a[i * n + i] < 0)
            a[i * n + i] = 0;
    }
}

ntk_status ntk_model_covariance(const ntk_model *m, const ntk_data *x, double *mean, double *cov)
{
    const size_t panel = (size_t)x->n * (size_t)m->n;
    const bool ensemble = m->opts.posterior == NTK_POSTERIOR_NTK;
    double *k = NULL, *nngp = NULL, *work = NULL;
    ntk_status status = NTK_ENOMEM;
    struct ntk_blas blas;

    NTK_TRY(ntk_model_check_covariance(m));
    if (m->opts.finite_time)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "the full covariance needs a model fitted with finite_time = 0");
    NTK_TRY(ntk_ctx_check_memory(m->ctx, panel * (ensemble ? 3 : 1) * sizeof *k,
                             "the covariance of this many samples"));
    NTK_TRY(ntk_model_solve(m));
    blas = ntk_blas_begin(m->ctx->threads);
    k = ntk_alloc(m->ctx, panel, sizeof *k);
    if (ensemble) {
        nngp = ntk_alloc(m->ctx, panel, sizeof *nngp);
        work = ntk_alloc(m->ctx, panel, sizeof *work);
    }
    if (k && (!ensemble || (nngp && work)))
        status = covariance_of(m, x, mean, cov, k, nngp, work);
    if (status == NTK_OK) {
        symmetrise(x->n, cov);
        status = ntk_check_finite(m->ctx, "the predictions", mean, x->n, m->outputs);
    }
    if (status == NTK_OK)
        status = ntk_check_finite(m->ctx, "the covariance", cov, x->n, x->n);
    free(k);
    free(nngp);
    free(work);
    ntk_blas_end(blas);
    return status;
}
