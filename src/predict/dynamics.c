/* SPDX-License-Identifier: MIT
 *
 * dynamics.c - gradient flow on the squared loss in closed form (Lee et al. 2019, eqs. 8-11, 14-15).
 *
 * With K = V diag(l) V', w = l + ridge, g(t) = (1 - e^{-w t}) / w and r = V' (f_0(X) - y):
 *     f_t(z) = f_0(z) - K(z, X) V g(t) r,        f_t(X) = f_0(X) - V l g(t) r
 */
#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/model.h"

struct flow {
    const ntk_model *m;
    const double *times;
    size_t n_times;
    double unit;      /* time of the summed loss = time of the model's loss * unit */
    double *residual; /* [outputs][n], V' (f_0(X) - y) */
    double *scaled;   /* [outputs][n], work */
};

/* (1 - e^{-w t}) / w. Eigenvalues that are rounding error count as 0: g is then t, and at t =
 * infinity 0, because the flow never leaves the span of the others. */
static double gain(const ntk_model *m, double w, double t)
{
    const double zero = (double)m->n * DBL_EPSILON * fabs(m->solution->values[m->n - 1]);

    if (w > zero)
        return -expm1(-w * t) / w;
    return isinf(t) ? 0 : t;
}

static ntk_status check_times(const ntk_model *m, const double *times, size_t n_times)
{
    bool all_infinite = true;

    for (size_t k = 0; k < n_times; k++) {
        if (!(times[k] >= 0))
            return ntk_fail(m->ctx, NTK_EINVAL, "times must be >= 0, number %zu is %g", k + 1,
                            times[k]);
        all_infinite = all_infinite && isinf(times[k]);
    }
    if (!m->opts.finite_time)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "this model was fitted for t = infinity: fit it with finite_time = 1");
    return NTK_OK;
}

static void project_residual(const struct flow *f, const double *f0)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n, c = (int)m->outputs;

    for (int64_t k = 0; k < m->outputs; k++)
        for (int64_t i = 0; i < m->n; i++)
            f->scaled[k * m->n + i] = (f0 ? f0[i * m->outputs + k] : 0) - m->y[k * m->n + i];
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, n, c, n, 1, m->solution->vectors, n,
                f->scaled, n, 0, f->residual, n);
}

/* scaled = g(t) r, or l g(t) r. */
static void scale_residual(const struct flow *f, double t, bool times_l)
{
    const ntk_model *m = f->m;

    for (int64_t i = 0; i < m->n; i++) {
        const double w = m->solution->values[i];
        const double g = gain(m, w, t * f->unit) * (times_l ? w - m->solution->ridge : 1);

        for (int64_t k = 0; k < m->outputs; k++)
            f->scaled[k * m->n + i] = g * f->residual[k * m->n + i];
    }
}

static void start_at(int64_t count, const double *f0, double *out)
{
    if (f0)
        memcpy(out, f0, (size_t)count * sizeof *out);
    else
        memset(out, 0, (size_t)count * sizeof *out);
}

static void train_points(const struct flow *f, const double *f0, double *train)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n, c = (int)m->outputs;

    for (size_t k = 0; k < f->n_times; k++) {
        double *out = train + k * (size_t)(m->n * m->outputs);

        start_at(m->n * m->outputs, f0, out);
        scale_residual(f, f->times[k], true);
        /* out [n][c] -= V scaled; vectors' rows are the eigenvectors */
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasTrans, n, c, n, -1, m->solution->vectors, n,
                    f->scaled, n, 1, out, c);
    }
}

/* ---- variances at time t of a panel. p [rows][n] = K(z, X) V; work, sk: panels. */

static double dot(int64_t n, const double *a, const double *b)
{
    return cblas_ddot((int)n, a, 1, b, 1);
}

/* NNGP: the last layer trained alone leaves S_tt - sum p^2 (1 - e^{-2 w t}) / w. */
static void nngp_variance(const struct flow *f, double t, int64_t rows, const double *p, double *var)
{
    const ntk_model *m = f->m;

    for (int64_t k = 0; k < m->n; k++) {
        const double g = gain(m, m->solution->values[k], 2 * t * f->unit);

        for (int64_t i = 0; i < rows; i++)
            var[i] -= p[i * m->n + k] * p[i * m->n + k] * g;
    }
}

/* Ensemble, with A = T(z, X) V g V': S_tt + A S A' - 2 A S_dt. */
static void ensemble_variance(const struct flow *f, double t, int64_t rows, const double *p,
                              const double *nngp, double *work, double *a, double *var)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n, b = (int)rows;

    for (int64_t k = 0; k < m->n; k++) {
        const double g = gain(m, m->solution->values[k], t * f->unit);

        for (int64_t i = 0; i < rows; i++)
            work[i * m->n + k] = g * p[i * m->n + k];
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, b, n, n, 1, work, n,
                m->solution->vectors, n, 0, a, n);
    ntk_rfp_multiply(&m->solution->nngp, rows, a, work);
    for (int64_t i = 0; i < rows; i++)
        var[i] += dot(m->n, a + i * m->n, work + i * m->n) -
                  2 * dot(m->n, a + i * m->n, nngp + i * m->n);
}

struct panels {
    double *k, *p, *nngp, *work;
};

static ntk_status test_points(const struct flow *f, const ntk_data *x, const double *f0,
                              struct panels *s, double *test, double *var)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n, c = (int)m->outputs;
    const int64_t most = ntk_model_panel_rows(m->n);

    for (int64_t first = 0; first < x->n; first += most) {
        const int64_t rows = x->n - first < most ? x->n - first : most;

        NTK_TRY(ntk_model_panel(m, x, first, rows, s->k, s->nngp));
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, n, n, 1, s->k, n,
                    m->solution->vectors, n, 0, s->p, n);
        for (size_t k = 0; k < f->n_times; k++) {
            if (test) {
                double *out = test + (size_t)c * (k * (size_t)x->n + (size_t)first);

                start_at(rows * c, f0 ? f0 + first * c : NULL, out);
                scale_residual(f, f->times[k], false);
                cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, c, n, -1, s->p, n,
                            f->scaled, n, 1, out, c);
            }
            if (var && s->nngp)
                ensemble_variance(f, f->times[k], rows, s->p, s->nngp, s->work, s->k,
                                  var + k * (size_t)x->n + (size_t)first);
            else if (var)
                nngp_variance(f, f->times[k], rows, s->p, var + k * (size_t)x->n + (size_t)first);
        }
        NTK_TRY(ntk_progress(m->ctx, "predictions", (double)(first + rows), (double)x->n));
    }
    return NTK_OK;
}

static ntk_status prepare_variances(const struct flow *f, const ntk_data *x, double *var)
{
    const ntk_model *m = f->m;

    NTK_TRY(ntk_model_check_covariance(m));
    if (m->opts.posterior == NTK_POSTERIOR_NTKGP)
        for (size_t k = 0; k < f->n_times; k++)
            if (!isinf(f->times[k]))
                return ntk_fail(m->ctx, NTK_EINVAL,
                                "the NTK as a Gaussian process has a variance at t = infinity "
                                "only, asked for t = %g",
                                f->times[k]);
    NTK_TRY(ntk_model_prior(m, x, var));
    for (size_t k = 1; k < f->n_times; k++)
        memcpy(var + k * (size_t)x->n, var, (size_t)x->n * sizeof *var);
    return NTK_OK;
}

static ntk_status run_test(const struct flow *f, const ntk_data *x, const double *f0, double *test,
                           double *var)
{
    const ntk_model *m = f->m;
    const size_t panel = (size_t)ntk_model_panel_rows(m->n) * (size_t)m->n;
    struct panels s = {0};
    ntk_status status = NTK_ENOMEM;

    if (var)
        NTK_TRY(prepare_variances(f, x, var));
    s.k = ntk_alloc(m->ctx, panel, sizeof *s.k);
    s.p = ntk_alloc(m->ctx, panel, sizeof *s.p);
    if (var && m->both) {
        s.nngp = ntk_alloc(m->ctx, panel, sizeof *s.nngp);
        s.work = ntk_alloc(m->ctx, panel, sizeof *s.work);
    }
    if (s.k && s.p && (!var || !m->both || (s.nngp && s.work)))
        status = test_points(f, x, f0, &s, test, var);
    free(s.k);
    free(s.p);
    free(s.nngp);
    free(s.work);
    return status;
}

ntk_status ntk_model_dynamics(const ntk_model *m, const double *times, size_t n_times,
                              const double *f0_train, const ntk_data *x, const double *f0_test,
                              double *train, double *test, double *var)
{
    const size_t columns = (size_t)(m->n * m->outputs);
    struct flow f = {.m = m, .times = times, .n_times = n_times};
    ntk_status status = NTK_ENOMEM;
    int threads;

    NTK_TRY(check_times(m, times, n_times));
    if ((test || var) && !x)
        return ntk_fail(m->ctx, NTK_EINVAL, "test predictions need test samples");
    NTK_TRY(ntk_model_solve(m));
    threads = ntk_blas_set_threads(m->ctx->threads);
    f.unit = m->opts.mean_loss ? 1 / (double)columns : 1;
    f.residual = ntk_alloc(m->ctx, columns, sizeof *f.residual);
    f.scaled = ntk_alloc(m->ctx, columns, sizeof *f.scaled);
    if (f.residual && f.scaled) {
        status = NTK_OK;
        project_residual(&f, f0_train);
        if (train)
            train_points(&f, f0_train, train);
        if (test || var)
            status = run_test(&f, x, f0_test, test, var);
    }
    free(f.residual);
    free(f.scaled);
    ntk_blas_set_threads(threads);
    return status;
}
