/* SPDX-License-Identifier: MIT
 *
 * dynamics.c - gradient flow on the squared loss in closed form (Lee et al. 2019, eqs. 8-11, 14-15).
 *
 * With K = V diag(l) V', weights w = l + ridge and gains g(t) of spectral.h, and r = V' (f_0(X) - y):
 *     f_t(z) = f_0(z) - K(z, X) V g(t) r,        f_t(X) = f_0(X) - V l g(t) r
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "predict/flow.h"
#include "predict/model.h"

struct flow {
    const ntk_model *m;
    const struct ntk_eigen *e; /* NULL: times are infinite, K + r is solved */
    const double *times;
    size_t n_times;
    double unit;      /* time of the summed loss = time of the model's loss * unit */
    struct ntk_spectral_scale scale;
    size_t most_times; /* that are worked on together */
    double *residual;  /* [outputs][n], V' (f_0(X) - y); without e: (K + r)^-1 (f_0(X) - y) */
    double *scaled;    /* [most_times][outputs][n], work */
    double *wide;      /* [panel rows][most_times][outputs], work */
};

static double weight(const struct flow *f, int64_t k)
{
    return ntk_spectral_weight(&f->scale, f->m->solution->values[k]);
}

static double gain(const struct flow *f, int64_t k, double t)
{
    return ntk_spectral(NTK_GAIN, weight(f, k), t * f->unit);
}

static ntk_status check_times(const ntk_model *m, const double *times, size_t n_times)
{
    for (size_t k = 0; k < n_times; k++)
        if (!(times[k] >= 0))
            return ntk_fail(m->ctx, NTK_EINVAL, "times must be >= 0, number %zu is %g", k + 1,
                            times[k]);
    return NTK_OK;
}

static bool decomposed(const ntk_model *m) { return !m->land && ntk_model_solver_class(&m->opts)->eigen; }

static ntk_status project_residual(const struct flow *f, const double *f0)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n, c = (int)m->outputs;

    for (int64_t k = 0; k < m->outputs; k++)
        for (int64_t i = 0; i < m->n; i++)
            f->scaled[k * m->n + i] = (f0 ? f0[i * m->outputs + k] : 0) - m->y[k * m->n + i];
    if (f->e) {
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, n, c, n, 1, f->e->vectors, n,
                    f->scaled, n, 0, f->residual, n);
        return NTK_OK;
    }
    for (int64_t i = 0; i < m->n * m->outputs; i++)
        f->residual[i] = f0 ? f->scaled[i] : -m->alpha[i];
    return f0 ? ntk_solver_solve(m->solution->solver, m->outputs, f->residual) : NTK_OK;
}

/* Means are matrix products of few rows; those of many times are done as one. */

/* scaled [count][outputs][n] = g(t) r, or l g(t) r, of times first, first + 1, ... */
static void scale_residual(const struct flow *f, size_t first, size_t count, bool times_l)
{
    const ntk_model *m = f->m;

    for (size_t k = 0; k < count; k++)
        for (int64_t i = 0; i < m->n; i++) {
            const double g = gain(f, i, f->times[first + k]) *
                             (times_l ? weight(f, i) - f->scale.ridge : 1);

            for (int64_t c = 0; c < m->outputs; c++) {
                const int64_t column = (int64_t)k * m->outputs + c;

                f->scaled[column * m->n + i] = g * f->residual[c * m->n + i];
            }
        }
}

/* Rows [row, row + rows) of an array [n_times][total][outputs]. */
struct rows {
    int64_t row, rows, total;
};

/* f_0 - a c at those rows, for `count` times from `first`: a [rows][n] (transposed: [n][n], from
 * column row on), c [count][outputs][n]. */
static void subtract_product(const struct flow *f, struct rows r, bool transposed, const double *a,
                             const double *c, size_t first, size_t count, const double *f0,
                             double *out)
{
    const int64_t n = f->m->n, outputs = f->m->outputs, columns = (int64_t)count * outputs;

    cblas_dgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasTrans, (int)r.rows,
                (int)columns, (int)n, -1, a, (int)n, c, (int)n, 0, f->wide, (int)columns);
    for (size_t k = 0; k < count; k++)
        for (int64_t i = 0; i < r.rows; i++) {
            const double *change = f->wide + i * columns + (int64_t)k * outputs;
            const int64_t to = (int64_t)(first + k) * r.total + r.row + i;

            for (int64_t j = 0; j < outputs; j++)
                out[to * outputs + j] = (f0 ? f0[(r.row + i) * outputs + j] : 0) + change[j];
        }
}

static size_t block(const struct flow *f, size_t first)
{
    return f->n_times - first < f->most_times ? f->n_times - first : f->most_times;
}

/* At the end, by a = (K + R)^-1 (f_0(X) - y): f_0(X) - K a = y + R a. */
static ntk_status train_ends(const struct flow *f, double *train)
{
    const ntk_model *m = f->m;
    double *ridge = ntk_alloc(m->ctx, (size_t)m->n, sizeof *ridge);

    if (!ridge)
        return NTK_ENOMEM;
    ntk_model_diagonal(m, m->solution->ridge, ridge);
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t c = 0; c < m->outputs; c++)
            train[i * m->outputs + c] = m->y[c * m->n + i] + ridge[i] * f->residual[c * m->n + i];
    for (size_t k = 1; k < f->n_times; k++)
        memcpy(train + k * (size_t)(m->n * m->outputs), train, (size_t)(m->n * m->outputs) * sizeof *train);
    free(ridge);
    return NTK_OK;
}

static void train_points(const struct flow *f, const double *f0, double *train)
{
    const ntk_model *m = f->m;
    const int64_t most = ntk_panel_rows(m->n);

    for (size_t first = 0; first < f->n_times; first += block(f, first)) {
        scale_residual(f, first, block(f, first), true);
        for (int64_t row = 0; row < m->n; row += most) {
            const struct rows r = {row, m->n - row < most ? m->n - row : most, m->n};

            subtract_product(f, r, true, f->e->vectors + row, f->scaled, first,
                             block(f, first), f0, train);
        }
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
        const double g = gain(f, k, 2 * t);

        for (int64_t i = 0; i < rows; i++)
            var[i] -= p[i * m->n + k] * p[i * m->n + k] * g;
    }
}

/* Ensemble, with A = T(z, X) V g V': S_tt + A S A' - 2 A S_dt. */
static ntk_status ensemble_variance(const struct flow *f, double t, int64_t rows, const double *p,
                                    const double *nngp, double *work, double *a, double *var)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n, b = (int)rows;

    for (int64_t k = 0; k < m->n; k++) {
        const double g = gain(f, k, t);

        for (int64_t i = 0; i < rows; i++)
            work[i * m->n + k] = g * p[i * m->n + k];
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, b, n, n, 1, work, n,
                f->e->vectors, n, 0, a, n);
    NTK_TRY(ntk_rfp_multiply(m->ctx, m->solution->nngp, rows, a, work));
    for (int64_t i = 0; i < rows; i++)
        var[i] += dot(m->n, a + i * m->n, work + i * m->n) -
                  2 * dot(m->n, a + i * m->n, nngp + i * m->n);
    return NTK_OK;
}

struct panels {
    double *k, *p, *nngp, *work;
    double *alpha; /* [n_times][outputs][n], V g(t) r: K(z, X) alpha saves K(z, X) V; NULL: do not */
};

static void panel_means(const struct flow *f, struct rows r, const struct panels *s,
                        const double *f0, double *test)
{
    if (s->alpha) {
        subtract_product(f, r, false, s->k, s->alpha, 0, f->n_times, f0, test);
        return;
    }
    for (size_t first = 0; first < f->n_times; first += block(f, first)) {
        scale_residual(f, first, block(f, first), false);
        subtract_product(f, r, false, s->p, f->scaled, first, block(f, first), f0, test);
    }
}

static ntk_status panel_variances(const struct flow *f, struct rows r, const struct panels *s,
                                  double *var)
{
    for (size_t k = 0; k < f->n_times; k++) {
        double *out = var + k * (size_t)r.total + (size_t)r.row;

        if (s->nngp)
            NTK_TRY(ensemble_variance(f, f->times[k], r.rows, s->p, s->nngp, s->work, s->k, out));
        else
            nngp_variance(f, f->times[k], r.rows, s->p, out);
    }
    return NTK_OK;
}

static ntk_status test_points(const struct flow *f, const struct ntk_test *x, const double *f0,
                              const struct panels *s, double *test, double *var)
{
    const ntk_model *m = f->m;
    const int n = (int)m->n;
    const int64_t most = ntk_panel_rows(m->n);

    for (int64_t row = 0; row < x->m; row += most) {
        const struct rows r = {row, x->m - row < most ? x->m - row : most, x->m};

        NTK_TRY(ntk_model_panel(m, x, row, r.rows, s->work ? 4 : 2, s->k, s->nngp));
        if (!s->alpha)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)r.rows, n, n, 1, s->k, n,
                        f->e->vectors, n, 0, s->p, n);
        if (test)
            panel_means(f, r, s, f0, test);
        if (var)
            NTK_TRY(panel_variances(f, r, s, var));
        NTK_TRY(ntk_progress(m->ctx, "predictions", (double)(row + r.rows), (double)x->m));
    }
    for (size_t i = 0; var && i < f->n_times * (size_t)x->m; i++)
        if (var[i] < 0) /* by rounding */
            var[i] = 0;
    ntk_model_of_means(m, (int64_t)f->n_times * x->m, var);
    return NTK_OK;
}

static ntk_status check_variances(const ntk_model *m, const double *times, size_t n_times)
{
    NTK_TRY(ntk_model_check_covariance(m));
    if (m->opts.posterior == NTK_POSTERIOR_NTKGP)
        for (size_t k = 0; k < n_times; k++)
            if (!isinf(times[k]))
                return ntk_fail(m->ctx, NTK_EINVAL,
                                "the NTK as a Gaussian process has a variance at t = infinity "
                                "only, asked for t = %g",
                                times[k]);
    return NTK_OK;
}

ntk_status ntk_model_check_times(const ntk_model *m, const double *times, size_t n_times, bool spread)
{
    NTK_TRY(check_times(m, times, n_times));
    for (size_t k = 0; k < n_times; k++)
        if (!isinf(times[k]) && !decomposed(m))
            return ntk_fail(m->ctx, NTK_EINVAL,
                            "this model was fitted for t = infinity: fit it with finite_time = 1");
    return spread ? check_variances(m, times, n_times) : NTK_OK;
}

static ntk_status prior_variances(const struct flow *f, const struct ntk_test *x, double *var)
{
    NTK_TRY(ntk_model_prior(f->m, x->x, var));
    for (size_t k = 1; k < f->n_times; k++)
        memcpy(var + k * (size_t)x->m, var, (size_t)x->m * sizeof *var);
    return NTK_OK;
}

static ntk_status make_alpha(const struct flow *f, double *alpha)
{
    const int n = (int)f->m->n, columns = (int)(f->n_times * (size_t)f->m->outputs);
    const size_t one = (size_t)(f->m->n * f->m->outputs);

    if (f->e) {
        scale_residual(f, 0, f->n_times, false);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, columns, n, n, 1, f->scaled, n,
                    f->e->vectors, n, 0, alpha, n);
        return NTK_OK;
    }
    memcpy(alpha, f->residual, one * sizeof *alpha);
    for (size_t k = 1; k < f->n_times; k++)
        memcpy(alpha + k * one, alpha, one * sizeof *alpha);
    return NTK_OK;
}

static ntk_status run_test(const struct flow *f, const struct ntk_test *x, const double *f0, double *test,
                           double *var)
{
    const ntk_model *m = f->m;
    const size_t panel = (size_t)ntk_panel_rows(m->n) * (size_t)m->n;
    const bool direct = !f->e || (!var && f->n_times <= f->most_times), both = var && m->solution->nngp;
    struct panels s = {0};
    ntk_status status = NTK_ENOMEM;

    if (var)
        NTK_TRY(prior_variances(f, x, var));
    s.k = ntk_alloc(m->ctx, panel, sizeof *s.k);
    if (direct)
        s.alpha = ntk_alloc(m->ctx, f->n_times * (size_t)(m->outputs * m->n), sizeof *s.alpha);
    else
        s.p = ntk_alloc(m->ctx, panel, sizeof *s.p);
    if (both) {
        s.nngp = ntk_alloc(m->ctx, panel, sizeof *s.nngp);
        s.work = ntk_alloc(m->ctx, panel, sizeof *s.work);
    }
    if (s.k && (direct ? s.alpha : s.p) && (!both || (s.nngp && s.work))) {
        status = direct ? make_alpha(f, s.alpha) : NTK_OK;
        if (status == NTK_OK)
            status = test_points(f, x, f0, &s, test, var);
    }
    free(s.alpha);
    free(s.k);
    free(s.p);
    free(s.nngp);
    free(s.work);
    return status;
}

/* A quarter of a matrix of eigenvectors at most, so that memory stays theirs. */
static size_t most_times(const ntk_model *m, size_t n_times)
{
    const size_t most = (size_t)(m->n / (4 * m->outputs));

    return most < 1 ? 1 : most < n_times ? most : n_times;
}

static ntk_status check_outputs(const struct flow *f, int64_t rows, const double *train,
                                const double *test, const double *var)
{
    const ntk_model *m = f->m;

    NTK_TRY(ntk_flow_check(m->ctx, "training", f->times, f->n_times, m->n * m->outputs, train));
    NTK_TRY(ntk_flow_check(m->ctx, "test", f->times, f->n_times, rows * m->outputs, test));
    return ntk_flow_check(m->ctx, "test variances'", f->times, f->n_times, rows, var);
}

double ntk_model_unit(const ntk_model *m)
{
    return m->opts.mean_loss ? 1 / (double)(ntk_model_copies(m) * m->n * m->outputs) : 1;
}

ntk_status ntk_model_follow(const ntk_model *m, const double *times, size_t n_times, const double *f0_train,
                            const struct ntk_test *x, const double *f0_test, double *train, double *test, double *var)
{
    const size_t columns = (size_t)(m->n * m->outputs);
    struct flow f = {.m = m, .times = times, .n_times = n_times, .unit = ntk_model_unit(m)};
    ntk_status status = NTK_ENOMEM;
    struct ntk_blas blas;

    if (n_times == 0)
        return NTK_OK;
    NTK_TRY(ntk_model_solve(m));
    if (decomposed(m)) {
        NTK_TRY(ntk_solver_eigen(m->solution->solver, &f.e));
        f.scale = ntk_model_scale(m);
    }
    blas = ntk_blas_begin(m->ctx->threads);
    f.residual = ntk_alloc(m->ctx, columns, sizeof *f.residual);
    f.most_times = f.e ? most_times(m, n_times) : n_times;
    f.scaled = ntk_alloc(m->ctx, f.most_times * columns, sizeof *f.scaled);
    f.wide = ntk_alloc(m->ctx,
                       f.most_times * (size_t)(ntk_panel_rows(m->n) * m->outputs),
                       sizeof *f.wide);
    if (f.residual && f.scaled && f.wide) {
        status = project_residual(&f, f0_train);
        if (train && f.e && status == NTK_OK)
            train_points(&f, f0_train, train);
        if (train && !f.e && status == NTK_OK)
            status = train_ends(&f, train);
        if ((test || var) && status == NTK_OK)
            status = run_test(&f, x, f0_test, test, var);
        if (status == NTK_OK)
            status = check_outputs(&f, x->m, train, test, var);
    }
    free(f.residual);
    free(f.scaled);
    free(f.wide);
    ntk_blas_end(blas);
    return status;
}

/* V g(t) V' y: [outputs][n]. */
static ntk_status alpha_at(const ntk_model *m, double t, double *alpha)
{
    const size_t columns = (size_t)(m->n * m->outputs);
    struct flow f = {.m = m, .times = &t, .n_times = 1, .most_times = 1, .unit = ntk_model_unit(m)};
    ntk_status status = NTK_ENOMEM;

    NTK_TRY(ntk_solver_eigen(m->solution->solver, &f.e));
    f.scale = ntk_model_scale(m);
    f.residual = ntk_alloc(m->ctx, columns, sizeof *f.residual);
    f.scaled = ntk_alloc(m->ctx, columns, sizeof *f.scaled);
    if (f.residual && f.scaled) {
        status = project_residual(&f, NULL);
        if (status == NTK_OK)
            status = make_alpha(&f, alpha);
        for (size_t i = 0; i < columns; i++)
            alpha[i] = -alpha[i];
    }
    free(f.residual);
    free(f.scaled);
    return status;
}

ntk_status ntk_model_alpha_at(const ntk_model *m, double t, double *alpha)
{
    double *columns;
    struct ntk_blas blas;
    ntk_status status;

    NTK_TRY(ntk_model_check_times(m, &t, 1, false));
    if (isinf(t))
        return ntk_model_alpha(m, alpha);
    NTK_TRY(ntk_model_solve(m));
    columns = ntk_alloc(m->ctx, (size_t)(m->n * m->outputs), sizeof *columns);
    if (!columns)
        return NTK_ENOMEM;
    blas = ntk_blas_begin(m->ctx->threads);
    status = alpha_at(m, t, columns);
    ntk_blas_end(blas);
    for (int64_t i = 0; i < m->n && status == NTK_OK; i++) /* no sample is left out at finite times */
        for (int64_t k = 0; k < m->outputs; k++)
            alpha[i * m->outputs + k] = columns[k * m->n + i];
    free(columns);
    return status;
}

static ntk_status end_variances(const ntk_model *m, size_t n_times, const ntk_data *x, double *var)
{
    double *mean = ntk_alloc(m->ctx, (size_t)(x->n * m->outputs), sizeof *mean);
    const ntk_status status = mean ? ntk_model_predict(m, x, mean, var) : NTK_ENOMEM;

    for (size_t k = 1; k < n_times && status == NTK_OK; k++)
        memcpy(var + k * (size_t)x->n, var, (size_t)x->n * sizeof *var);
    free(mean);
    return status;
}

ntk_status ntk_model_dynamics(const ntk_model *m, const double *times, size_t n_times,
                              const double *f0_train, const ntk_data *x, const double *f0_test,
                              double *train, double *test, double *var)
{
    struct ntk_test at;
    ntk_status status;

    NTK_TRY(ntk_model_check_samples(m));
    NTK_TRY(ntk_model_check_whole(m, "gradient flow"));
    NTK_TRY(ntk_model_check_times(m, times, n_times, false));
    if (m->rows)
        return ntk_fail(m->ctx, NTK_EINVAL, "gradient flow is of all samples, and some have weight 0: leave those out");
    NTK_TRY(ntk_check_given(m->ctx, "f0_train", f0_train, m->n * m->outputs));
    NTK_TRY(ntk_check_given(m->ctx, "f0_test", f0_test, (x ? x->n : 0) * m->outputs));
    if ((test || var) && !x)
        return ntk_fail(m->ctx, NTK_EINVAL, "test predictions need test samples");
    if (test || var)
        NTK_TRY(ntk_kernel_check_shape(m->mean, "x", x));
    if (var)
        NTK_TRY(check_variances(m, times, n_times));
    if (var && n_times > 0 && !decomposed(m)) { /* at infinity they are the posterior's */
        NTK_TRY(end_variances(m, n_times, x, var));
        var = NULL;
    }
    NTK_TRY(ntk_test_begin(m, test || var ? x : NULL, var && ntk_model_ensemble(&m->opts), &at));
    status = ntk_model_follow(m, times, n_times, f0_train, &at, f0_test, train, test, var);
    ntk_test_end(&at);
    return status;
}
