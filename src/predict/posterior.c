/* SPDX-License-Identifier: MIT
 *
 * posterior.c - means and covariances at t = infinity, panel by panel of test samples.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "predict/landmarks.h"
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
        NTK_TRY(ntk_samples_new(both ? m->both : m->mean, ntk_model_centers_x(m), NULL, s));
    *samples = *s;
    return NTK_OK;
}

ntk_status ntk_test_begin(const ntk_model *m, const ntk_data *x, bool nngp, struct ntk_test *test)
{
    const ntk_net *net = m->net;
    unsigned want;
    ntk_kernel_store *s;
    ntk_status status;
    bool is;

    *test = ntk_test_of(x);
    if (!x || !m->store || !ntk_store_is_there(m->store))
        return NTK_OK;
    NTK_TRY(ntk_model_stored(m, &want));
    if (nngp && !(want & NTK_NNGP))
        return NTK_OK;
    NTK_TRY(ntk_store_open(m->ctx, m->store, &net, 1, want, m->opts.dtype, m->x, NULL, NULL, &s));
    status = ntk_store_is_test(s, x, &is);
    if (status == NTK_OK && is) {
        s->test = x; /* what is not finished of it is, then */
        test->store = s;
    } else {
        ntk_store_free(s);
    }
    return status;
}

void ntk_test_end(const struct ntk_test *test) { ntk_store_free(test->store); }

/* K is the store's last matrix. */
static ntk_status stored_panel(ntk_kernel_store *s, int64_t first, int64_t rows, double *k, double *nngp)
{
    if (nngp)
        NTK_TRY(ntk_store_rows(s, 0, 1, first, rows, nngp));
    return ntk_store_rows(s, s->count - 1, 1, first, rows, k);
}

ntk_status ntk_model_panel(const ntk_model *m, const struct ntk_test *test, int64_t first, int64_t rows,
                           int panels, double *k, double *nngp)
{
    const int64_t n = ntk_model_centers(m);
    void *out[2] = {nngp ? nngp : k, k};
    ntk_samples *training;
    ntk_data *slice;
    ntk_status status;

    if (test->given) { /* worked on in place; variances of given matrices are covariances: matrix.c */
        memcpy(k, test->given->k + (size_t)(first * m->n), (size_t)(rows * m->n) * sizeof *k);
        return NTK_OK;
    }
    if (test->store) {
        status = stored_panel(test->store, first, rows, k, nngp);
    } else {
        NTK_TRY(ntk_kernel_check_shape(m->mean, "x1", test->x));
        NTK_TRY(training_samples(m, nngp, &training));
        NTK_TRY(ntk_data_slice(test->x, first, rows, &slice));
        status = ntk_kernel_compute_with(
            nngp ? m->both : m->mean, slice, training,
            ntk_bytes((double)panels * (double)rows * (double)n * sizeof *k), "predicting", out);
        ntk_data_free(slice);
    }
    if (status == NTK_OK && m->opts.dtype == NTK_F32) {
        ntk_model_widen(k, (size_t)(rows * n));
        if (nngp)
            ntk_model_widen(nngp, (size_t)(rows * n));
    }
    return status;
}

void ntk_model_of_means(const ntk_model *m, int64_t n, double *var)
{
    const int copies = ntk_model_copies(m);

    for (int64_t i = 0; var && copies > 1 && i < n; i++)
        var[i] /= copies;
}

ntk_status ntk_model_prior(const ntk_model *m, const ntk_data *x, double *variance)
{
    double *out[2] = {variance, NULL};
    ntk_data *test; /* which stand for what training samples do */
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_data_with(x, m->x->symmetry, &test));
    if (m->both && !(out[1] = ntk_alloc(m->ctx, (size_t)x->n, sizeof *out[1])))
        status = NTK_ENOMEM;
    if (status == NTK_OK)
        status = ntk_kernel_diagonal(m->both ? m->both : m->mean, test, out);
    free(out[1]);
    ntk_data_free(test);
    return status;
}

ntk_status ntk_model_check_covariance(const ntk_model *m)
{
    if (m->opts.posterior == NTK_POSTERIOR_NTK && m->land)
        return ntk_model_check_whole(m, "a covariance of the NTK's ensemble");
    if (m->opts.posterior == NTK_POSTERIOR_NTK && !m->opts.covariance)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "this model was fitted without covariances: fit it with covariance = 1");
    return NTK_OK;
}

ntk_status ntk_model_check_samples(const ntk_model *m)
{
    return m->x ? NTK_OK
                : ntk_fail(m->ctx, NTK_EINVAL,
                           "this model was fitted to a given matrix, without samples: use ntk_model_predict_matrix");
}

static double dot(int64_t n, const double *a, const double *b)
{
    return cblas_ddot((int)n, a, 1, b, 1);
}

void ntk_model_panel_times(const ntk_model *m, int64_t rows, const double *k, int64_t columns, const double *c,
                           double *out)
{
    const int n = (int)ntk_model_centers(m);

    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, n, 1, k, n, c, n, 0, out, (int)columns);
}

/* Whether the solver has roots, so that variances need no other panel than k. */
static bool has_half(const ntk_model *m) { return !m->land && m->solution->solver->class->half != NULL; }

/* What variances need beside the solution. */
static ntk_status prepare_variances(const ntk_model *m)
{
    struct ntk_blas blas;
    ntk_status status;

    NTK_TRY(ntk_model_solve(m));
    if (!m->land)
        return NTK_OK;
    blas = ntk_blas_begin(1);
    status = ntk_landmarks_inner(m);
    ntk_blas_end(blas);
    return status;
}

/* var -= what the data explain. NNGP, NTKGP: |A k|^2 with A' A = (K + r)^-1, or k . (K + r)^-1 k, of which conjugate
 * gradients give no more than it is. NTK ensemble, with a = (T + r)^-1 t: 2 a . s - a . S a, whose negative is added. k and
 * nngp are overwritten; work is a panel. */
static ntk_status panel_variance(const ntk_model *m, int64_t rows, double *k, double *nngp, double *work,
                                 double *var)
{
    const struct ntk_solution *s = m->solution;

    if (m->land)
        return ntk_landmarks_variance(m, rows, k, work, var, NULL);
    if (!nngp && !has_half(m)) {
        memcpy(work, k, (size_t)(rows * m->n) * sizeof *k);
        NTK_TRY(ntk_solver_solve(s->solver, rows, k));
        for (int64_t i = 0; i < rows; i++)
            var[i] -= dot(m->n, k + i * m->n, work + i * m->n);
        return NTK_OK;
    }
    if (!nngp) {
        NTK_TRY(ntk_solver_half(s->solver, rows, k));
        for (int64_t i = 0; i < rows; i++)
            var[i] -= dot(m->n, k + i * m->n, k + i * m->n);
        return NTK_OK;
    }
    NTK_TRY(ntk_solver_solve(s->solver, rows, k));
    NTK_TRY(ntk_rfp_multiply(m->ctx, s->nngp, rows, k, work));
    for (int64_t i = 0; i < rows; i++)
        var[i] += dot(m->n, k + i * m->n, work + i * m->n) -
                  2 * dot(m->n, k + i * m->n, nngp + i * m->n);
    return NTK_OK;
}

/* k, nngp and work: panels; nngp only if var is wanted from an ensemble, work then, or if the solver has no roots. */
static ntk_status predict_panels(const ntk_model *m, const struct ntk_test *test, double *mean, double *var,
                                 double *k, double *nngp, double *work)
{
    const int64_t most = ntk_panel_rows(ntk_model_centers(m));

    for (int64_t first = 0; first < test->m; first += most) {
        const int64_t rows = test->m - first < most ? test->m - first : most;

        NTK_TRY(ntk_model_panel(m, test, first, rows, 1 + (nngp != NULL) + (work != NULL), k, nngp));
        ntk_model_panel_times(m, rows, k, m->outputs, m->alpha, mean + first * m->outputs);
        NTK_TRY(ntk_check_finite(m->ctx, "the predictions", mean + first * m->outputs, rows,
                                 m->outputs));
        if (var) {
            NTK_TRY(panel_variance(m, rows, k, nngp, work, var + first));
            NTK_TRY(ntk_check_finite(m->ctx, "the variances", var + first, rows, 1));
            for (int64_t i = first; i < first + rows; i++)
                if (var[i] < 0) /* by rounding */
                    var[i] = 0;
        }
        NTK_TRY(ntk_progress(m->ctx, "predictions", (double)(first + rows), (double)test->m));
    }
    return NTK_OK;
}

ntk_status ntk_model_predict(const ntk_model *m, const ntk_data *x, double *mean, double *var)
{
    struct ntk_test test;
    size_t panel;
    const bool ensemble = var && m->opts.posterior == NTK_POSTERIOR_NTK;
    bool wide; /* another panel to work in */
    double *k, *nngp = NULL, *work = NULL;
    ntk_status status = NTK_ENOMEM;
    struct ntk_blas blas;

    NTK_TRY(ntk_model_check_samples(m));
    if (var)
        NTK_TRY(ntk_model_check_covariance(m));
    if (var) /* solutions are all ranks' */
        NTK_TRY(ntk_test_same(m, x));
    if (!m->solution->solved)
        NTK_TRY(ntk_model_solve(m));
    if (var)
        NTK_TRY(prepare_variances(m));
    if (var)
        NTK_TRY(ntk_model_prior(m, x, var));
    panel = (size_t)ntk_panel_rows(ntk_model_centers(m)) * (size_t)ntk_model_centers(m);
    wide = ensemble || (var && !has_half(m));
    NTK_TRY(ntk_test_begin(m, x, ensemble, &test));
    blas = ntk_blas_begin(m->ctx->threads);
    k = ntk_alloc(m->ctx, panel, sizeof *k);
    if (ensemble)
        nngp = ntk_alloc(m->ctx, panel, sizeof *nngp);
    if (wide)
        work = ntk_alloc(m->ctx, panel, sizeof *work);
    if (k && (!ensemble || nngp) && (!wide || work))
        status = predict_panels(m, &test, mean, var, k, nngp, work);
    if (status == NTK_OK)
        ntk_model_of_means(m, x->n, var);
    free(k);
    free(nngp);
    free(work);
    ntk_blas_end(blas);
    ntk_test_end(&test);
    return status;
}

/* ---- full covariance: the panel is all of the test samples */

ntk_status ntk_model_prior_covariance(const ntk_model *m, const struct ntk_test *test, double *cov)
{
    const ntk_net *net = m->net;
    const unsigned want = m->opts.posterior == NTK_POSTERIOR_NTKGP ? NTK_NTK : NTK_NNGP;
    void *out[] = {cov};
    ntk_kernel *prior;
    ntk_data *x;
    ntk_status status;

    if (test->given) {
        memcpy(cov, test->given->prior, (size_t)test->m * (size_t)test->m * sizeof *cov);
        return NTK_OK;
    }
    NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, want, m->opts.dtype, test->x->shape, &prior));
    status = ntk_data_with(test->x, m->x->symmetry, &x);
    if (status == NTK_OK) {
        status = ntk_kernel_compute(prior, x, NULL, out);
        ntk_data_free(x);
    }
    ntk_kernel_free(prior);
    if (status == NTK_OK && m->opts.dtype == NTK_F32)
        ntk_model_widen(cov, (size_t)test->m * (size_t)test->m);
    return status;
}

ntk_status ntk_model_spread(const ntk_model *m, int64_t tests, const double *a, const double *nngp, double *work,
                            double *cov)
{
    const int t = (int)tests, n = (int)m->n;
    struct ntk_pieces p = ntk_pieces_of(m->ctx, NULL, 0);

    NTK_TRY(ntk_rfp_multiply(m->ctx, m->solution->nngp, tests, a, work));
    for (int i = 0; i < t; i++)
        cblas_daxpy(n, -1, nngp + (size_t)i * (size_t)n, 1, work + (size_t)i * (size_t)n, 1);
    /* A S A' - A S_dt - S_td A' = A (S A' - S_dt) - S_td A' */
    ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, t, t, n, 1, a, n, work, n, cov, t);
    ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, t, t, n, -1, nngp, n, a, n, cov, t);
    return p.status;
}

/* cov, the prior's, minus what the data explain; k is overwritten. */
static ntk_status explain(const ntk_model *m, int64_t tests, double *k, const double *nngp, double *work, double *cov)
{
    const int t = (int)tests, n = (int)m->n;
    const double *other = k; /* of A k; else k, with (K + r)^-1 k */
    struct ntk_pieces p = ntk_pieces_of(m->ctx, NULL, 0);

    if (m->land)
        return ntk_landmarks_variance(m, tests, k, work, NULL, cov);
    if (nngp) {
        NTK_TRY(ntk_solver_solve(m->solution->solver, tests, k));
        return ntk_model_spread(m, tests, k, nngp, work, cov);
    }
    if (has_half(m)) {
        NTK_TRY(ntk_solver_half(m->solution->solver, tests, k));
    } else {
        memcpy(work, k, (size_t)(tests * m->n) * sizeof *k);
        other = work;
        NTK_TRY(ntk_solver_solve(m->solution->solver, tests, k));
    }
    ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, t, t, n, -1, other, n, k, n, cov, t);
    return p.status;
}

void ntk_symmetrise(int64_t n, double *a, double rounding)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i] = (a[i * n + j] + a[j * n + i]) / 2;
        if (a[i * n + i] < 0 && a[i * n + i] > -rounding)
            a[i * n + i] = 0;
    }
}

ntk_status ntk_model_covariance(const ntk_model *m, const ntk_data *x, double *mean, double *cov)
{
    struct ntk_test test;
    size_t panel;
    const bool ensemble = m->opts.posterior == NTK_POSTERIOR_NTK;
    bool wide; /* another panel to work in */
    double *k = NULL, *nngp = NULL, *work = NULL;
    ntk_status status = NTK_ENOMEM;
    struct ntk_blas blas;

    NTK_TRY(ntk_model_check_samples(m));
    NTK_TRY(ntk_model_check_covariance(m));
    NTK_TRY(ntk_test_same(m, x));
    panel = (size_t)x->n * (size_t)ntk_model_centers(m);
    NTK_TRY(ntk_ctx_check_memory(m->ctx, panel * (ensemble ? 3 : 1) * sizeof *k,
                             "the covariance of this many samples"));
    NTK_TRY(prepare_variances(m));
    wide = ensemble || !has_half(m);
    NTK_TRY(ntk_test_begin(m, x, ensemble, &test));
    blas = ntk_blas_begin(m->ctx->threads);
    k = ntk_alloc(m->ctx, panel, sizeof *k);
    if (ensemble)
        nngp = ntk_alloc(m->ctx, panel, sizeof *nngp);
    if (wide)
        work = ntk_alloc(m->ctx, panel, sizeof *work);
    if (k && (!ensemble || nngp) && (!wide || work))
        status = ntk_model_panel(m, &test, 0, x->n, 1 + ensemble + wide, k, nngp);
    if (status == NTK_OK)
        status = ntk_model_prior_covariance(m, &test, cov);
    if (status == NTK_OK) {
        ntk_model_panel_times(m, x->n, k, m->outputs, m->alpha, mean);
        status = explain(m, x->n, k, nngp, work, cov);
    }
    if (status == NTK_OK) {
        ntk_symmetrise(x->n, cov, (double)INFINITY);
        ntk_model_of_means(m, x->n * x->n, cov);
        status = ntk_check_finite(m->ctx, "the predictions", mean, x->n, m->outputs);
    }
    if (status == NTK_OK)
        status = ntk_check_finite(m->ctx, "the covariance", cov, x->n, x->n);
    free(k);
    free(nngp);
    free(work);
    ntk_blas_end(blas);
    ntk_test_end(&test);
    return status;
}
