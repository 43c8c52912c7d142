/* SPDX-License-Identifier: MIT
 *
 * matrix.c - models of given kernel matrices: predictions from kernels that a program computes itself.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pieces.h"
#include "base/sized.h"
#include "predict/flow.h"
#include "predict/model.h"

static const ntk_test_matrices defaults = {.size = sizeof defaults};
static const struct ntk_sized sized = NTK_SIZED(ntk_test_matrices, prior, &defaults);

void ntk_test_matrices_init_sized(ntk_test_matrices *test, size_t size)
{
    ntk_sized_init(&sized, test, size);
}

ntk_status ntk_model_fit_matrix(ntk_ctx *ctx, int64_t n, const double *k, const double *nngp, const double *y,
                                int64_t outputs, const ntk_fit_opts *opts, ntk_model **model)
{
    const double *matrices[2] = {nngp ? nngp : k, nngp ? k : NULL};
    ntk_fit_opts o;
    ntk_model *m;
    ntk_status status;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &(struct ntk_task){.n = n, .outputs = outputs}, true, &o));
    if (!k)
        return ntk_fail(ctx, NTK_EINVAL, "k is missing");
    if (o.store)
        return ntk_fail(ctx, NTK_EINVAL, "a given matrix goes into no store");
    if (ntk_model_ensemble(&o) != (nngp != NULL))
        return ntk_fail(ctx, NTK_EINVAL, nngp ? "nngp is for NTK_POSTERIOR_NTK with covariance"
                                              : "NTK_POSTERIOR_NTK with covariance needs nngp");
    NTK_TRY(ntk_model_new(ctx, NULL, NULL, matrices, n, y, outputs, &o, &m));
    status = ntk_model_solve(m);
    if (status != NTK_OK) {
        ntk_model_free(m);
        return status;
    }
    *model = m;
    return NTK_OK;
}

/* ---- at the training samples: f_t = y + e^{-w t} (f_0 - y) along each eigenvector */

struct training {
    const ntk_model *m;
    const struct ntk_eigen *e; /* NULL: times are infinite */
    struct ntk_spectral_scale scale;
};

static double form(const struct training *r, ntk_spectral_form form, int64_t k, double t)
{
    return ntk_spectral(form, ntk_spectral_weight(&r->scale, r->m->solution->values[k]), t * ntk_model_unit(r->m));
}

/* out [n][outputs]; columns, moved: [outputs][n]. */
static void train_mean(const struct training *r, double t, const double *f0, double *columns, double *moved, double *out)
{
    const int64_t n = r->m->n, outputs = r->m->outputs;

    for (int64_t j = 0; j < outputs; j++)
        for (int64_t i = 0; i < n; i++)
            columns[j * n + i] = (f0 ? f0[i * outputs + j] : 0) - r->m->y[j * n + i];
    if (r->e) {
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)n, (int)outputs, (int)n, 1, r->e->vectors, (int)n,
                    columns, (int)n, 0, moved, (int)n);
        for (int64_t k = 0; k < n; k++) {
            const double learned = form(r, NTK_LEARNED, k, t);

            for (int64_t j = 0; j < outputs; j++)
                moved[j * n + k] *= learned;
        }
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)outputs, (int)n, 1, r->e->vectors, (int)n,
                    moved, (int)n, 0, columns, (int)n);
    }
    for (int64_t j = 0; j < outputs; j++)
        for (int64_t i = 0; i < n; i++)
            out[i * outputs + j] = (f0 ? f0[i * outputs + j] : 0) - columns[j * n + i];
}

/* V w e^{-2 w t} V', or L S L' of an ensemble with L = V e^{-w t} V'. left, work: [n][n]. */
static ntk_status train_covariance(const struct training *r, double t, double *left, double *work, double *cov)
{
    const ntk_model *m = r->m;
    const int n = (int)m->n;
    struct ntk_pieces p = ntk_pieces_of(m->ctx, NULL, 0);
    const struct ntk_rfp *nngp = m->solution->nngp;

    memset(cov, 0, (size_t)n * (size_t)n * sizeof *cov);
    if (!r->e)
        return NTK_OK;
    for (int k = 0; k < n; k++) {
        const double weight = ntk_spectral_weight(&r->scale, m->solution->values[k]);
        const double s = nngp ? form(r, NTK_LEFT, k, t) : weight * form(r, NTK_LEFT, k, 2 * t);

        for (int i = 0; i < n; i++)
            left[(size_t)k * (size_t)n + (size_t)i] = s * r->e->vectors[(size_t)k * (size_t)n + (size_t)i];
    }
    if (!nngp) {
        ntk_pieces_gemm(&p, CblasNoTrans, CblasTrans, n, n, n, 1, left, n, r->e->vectors, n, cov, n);
        return p.status;
    }
    memset(work, 0, (size_t)n * (size_t)n * sizeof *work);
    ntk_pieces_gemm(&p, CblasNoTrans, CblasTrans, n, n, n, 1, left, n, r->e->vectors, n, work, n);
    if (p.status == NTK_OK)
        p.status = ntk_rfp_multiply(m->ctx, nngp, n, work, left);
    if (p.status == NTK_OK)
        ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, n, n, n, 1, work, n, left, n, cov, n);
    return p.status;
}

static ntk_status at_training(const ntk_model *m, const double *times, size_t n_times, const double *f0, double *mean,
                              double *cov)
{
    const size_t columns = (size_t)(m->n * m->outputs), square = (size_t)m->n * (size_t)m->n;
    struct training r = {.m = m};
    const bool squares = cov && m->solution->solver->class->eigen;
    double *work = ntk_alloc(m->ctx, 2 * columns + (squares ? 2 * square : 0), sizeof *work);
    ntk_status status = work ? NTK_OK : NTK_ENOMEM;

    if (status == NTK_OK && m->solution->solver->class->eigen) {
        status = ntk_solver_eigen(m->solution->solver, &r.e);
        r.scale = ntk_model_scale(m);
    }
    for (size_t k = 0; k < n_times && status == NTK_OK; k++) {
        status = ntk_poll(m->ctx);
        if (mean && status == NTK_OK)
            train_mean(&r, times[k], f0, work, work + columns, mean + k * columns);
        if (cov && status == NTK_OK) {
            double *squares_at = work + 2 * columns;

            status = train_covariance(&r, times[k], squares_at, squares ? squares_at + square : NULL, cov + k * square);
            ntk_symmetrise(m->n, cov + k * square, (double)INFINITY);
        }
    }
    free(work);
    return status;
}

/* ---- covariances of test samples at any time */

#define BELONG 1e-6 /* variances that are further below 0, of the prior's, are no rounding: kernels do not belong together */

/* k [m][n] to (K + r)^-1 (1 - e^{-(K + r) t}) k, or, of a Gaussian process, to A k with A' A this at time 2 t. */
static ntk_status influence(const struct training *r, double t, int64_t tests, bool ensemble, double *k, double *work)
{
    const ntk_model *m = r->m;
    const int n = (int)m->n, rows = (int)tests;

    if (!r->e)
        return ensemble ? ntk_solver_solve(m->solution->solver, tests, k) : ntk_solver_half(m->solution->solver, tests, k);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, n, rows, n, 1, r->e->vectors, n, k, n, 0, work, n);
    for (int64_t j = 0; j < n; j++) {
        const double g = ensemble ? form(r, NTK_GAIN, j, t) : sqrt(form(r, NTK_GAIN, j, 2 * t));

        for (int64_t i = 0; i < tests; i++)
            work[i * n + j] *= g;
    }
    if (ensemble)
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, rows, n, 1, r->e->vectors, n, work, n, 0, k, n);
    else
        memcpy(k, work, (size_t)tests * (size_t)n * sizeof *k);
    return NTK_OK;
}

static ntk_status covariance(const struct training *r, double t, const struct ntk_test *test, double *k, double *work,
                             double *cov)
{
    const ntk_model *m = r->m;
    const int n = (int)m->n, rows = (int)test->m;
    const bool ensemble = m->solution->nngp;
    struct ntk_pieces p = ntk_pieces_of(m->ctx, NULL, 0);
    double largest = 0;

    for (int64_t i = 0; i < test->m; i++)
        largest = fmax(largest, fabs(test->given->prior[i * test->m + i]));
    memcpy(k, test->given->k, (size_t)rows * (size_t)n * sizeof *k);
    NTK_TRY(ntk_model_prior_covariance(m, test, cov));
    NTK_TRY(influence(r, t, test->m, ensemble, k, work));
    if (ensemble)
        p.status = ntk_model_spread(m, test->m, k, test->given->nngp, work, cov);
    else
        ntk_pieces_gemm(&p, CblasTrans, CblasNoTrans, rows, rows, n, -1, k, n, k, n, cov, rows);
    ntk_symmetrise(test->m, cov, BELONG * largest);
    return p.status;
}

static ntk_status covariances(const ntk_model *m, const double *times, size_t n_times, const struct ntk_test *test,
                              double *cov)
{
    const size_t panel = (size_t)test->m * (size_t)m->n, square = (size_t)test->m * (size_t)test->m;
    struct training r = {.m = m};
    double *work;
    ntk_status status;

    NTK_TRY(ntk_ctx_check_memory(m->ctx, 2 * panel * sizeof *work, "the covariance of this many samples"));
    work = ntk_alloc(m->ctx, 2 * panel, sizeof *work);
    status = work ? NTK_OK : NTK_ENOMEM;
    if (status == NTK_OK && m->solution->solver->class->eigen) {
        status = ntk_solver_eigen(m->solution->solver, &r.e);
        r.scale = ntk_model_scale(m);
    }
    for (size_t k = 0; k < n_times && status == NTK_OK; k++)
        status = covariance(&r, times[k], test, work, work + panel, cov + k * square);
    free(work);
    return status;
}

/* ---- what is asked for */

static ntk_status check(const ntk_model *m, const ntk_test_matrices *test, const double *f0_train,
                        const double *f0_test, bool cov)
{
    const bool ensemble = cov && m->solution->nngp;

    NTK_TRY(ntk_check_given(m->ctx, "f0_train", f0_train, m->n * m->outputs));
    if (!test)
        return NTK_OK;
    if (test->m < 1 || !test->k)
        return ntk_fail(m->ctx, NTK_EINVAL, "test matrices need k and at least one sample");
    NTK_TRY(ntk_check_given(m->ctx, "k of the test samples", test->k, test->m * m->n));
    NTK_TRY(ntk_check_given(m->ctx, "f0_test", f0_test, test->m * m->outputs));
    if (cov && !test->prior)
        return ntk_fail(m->ctx, NTK_EINVAL, "covariances need the test samples' prior");
    if (ensemble && !test->nngp)
        return ntk_fail(m->ctx, NTK_EINVAL, "covariances of NTK_POSTERIOR_NTK need the test samples' nngp");
    if (ensemble)
        NTK_TRY(ntk_check_given(m->ctx, "nngp of the test samples", test->nngp, test->m * m->n));
    return cov ? ntk_check_given(m->ctx, "prior of the test samples", test->prior, test->m * test->m) : NTK_OK;
}

static ntk_status predict(const ntk_model *m, const ntk_test_matrices *given, const double *times, size_t n_times,
                          const double *f0_train, const double *f0_test, double *mean, double *cov)
{
    const struct ntk_test test = {.m = given ? given->m : 0, .given = given};

    if (!given)
        return at_training(m, times, n_times, f0_train, mean, cov);
    if (mean)
        NTK_TRY(ntk_model_follow(m, times, n_times, f0_train, &test, f0_test, NULL, mean, NULL));
    return cov ? covariances(m, times, n_times, &test, cov) : NTK_OK;
}

ntk_status ntk_model_predict_matrix(const ntk_model *m, const ntk_test_matrices *test, const double *times,
                                    size_t n_times, const double *f0_train, const double *f0_test, double *mean,
                                    double *cov)
{
    ntk_test_matrices own;
    struct ntk_blas blas;
    ntk_status status;
    const int64_t rows = test ? test->m : m->n;

    NTK_TRY(ntk_model_check_whole(m, "a prediction from given kernels"));
    if (test)
        NTK_TRY(ntk_sized_read(m->ctx, &sized, test, &own));
    NTK_TRY(ntk_model_check_times(m, times, n_times, cov));
    NTK_TRY(ntk_model_solve(m));
    NTK_TRY(check(m, test ? &own : NULL, f0_train, f0_test, cov));
    blas = ntk_blas_begin(m->ctx->threads);
    status = predict(m, test ? &own : NULL, times, n_times, f0_train, f0_test, mean, cov);
    ntk_blas_end(blas);
    NTK_TRY(status);
    NTK_TRY(ntk_flow_check(m->ctx, "predicted", times, n_times, rows * m->outputs, mean));
    return ntk_flow_check(m->ctx, "covariances'", times, n_times, rows * rows, cov);
}
