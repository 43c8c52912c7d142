/* SPDX-License-Identifier: MIT
 *
 * ridges.c - what other ridges would give: leave-one-out errors and likelihoods, and the ridge that is best by the first.
 *
 * With K = V diag(l) V', w = l + r, p = V' y: alpha = V (p / w), (K + r)^-1_ii = sum_k V_ik^2 / w_k,
 * log det(K + r) = sum log w, y' alpha = sum p^2 / w.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/model.h"

void ntk_ridge_grid(double *diag_reg)
{
    for (int k = 0; k < NTK_RIDGES; k++)
        diag_reg[k] = pow(10, -9 + 10.0 * k / (NTK_RIDGES - 1));
}

/* Mean over samples, by their weights, and outputs of (alpha_i / (K^-1)_ii)^2. */
static double loo_error(const ntk_model *m, const double *alpha, const double *inverse)
{
    double sum = 0, weights = 0;

    for (int64_t i = 0; i < m->n; i++) {
        const double w = m->weights ? m->weights[i] : 1;

        for (int64_t k = 0; k < m->outputs; k++) {
            const double error = alpha[k * m->n + i] / inverse[i];

            sum += w * error * error;
        }
        weights += w;
    }
    return sum / (weights * (double)m->outputs);
}

/* ---- by eigenvectors */

struct spectrum {
    const ntk_model *m;
    const struct ntk_eigen *e;
    ntk_dtype precision;
    double *p;       /* [outputs][n], V' y */
    double *scaled;  /* [outputs][n], p / w */
    double *alpha;   /* [outputs][n] */
    double *inverse; /* [n] */
};

/* Of one ridge; false if some direction is null. */
static bool weights_of(const struct spectrum *s, double ridge, double *weight)
{
    const int64_t n = s->m->n;
    struct ntk_spectral_scale scale;

    for (int64_t k = 0; k < n; k++)
        weight[k] = s->e->values[k] + ridge;
    scale = ntk_spectral_scale(n, s->precision, ridge, weight);
    if (ntk_spectral_nulls(&scale, n, weight) > 0)
        return false;
    for (int64_t k = 0; k < n; k++)
        weight[k] = ntk_spectral_weight(&scale, weight[k]);
    return true;
}

static double loo_of(const struct spectrum *s, const double *weight)
{
    const int n = (int)s->m->n, c = (int)s->m->outputs;

    for (int j = 0; j < c; j++)
        for (int k = 0; k < n; k++)
            s->scaled[(size_t)j * (size_t)n + (size_t)k] = s->p[(size_t)j * (size_t)n + (size_t)k] / weight[k];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c, n, n, 1, s->scaled, n, s->e->vectors, n, 0, s->alpha, n);
    memset(s->inverse, 0, (size_t)n * sizeof *s->inverse);
    for (int k = 0; k < n; k++) {
        const double *v = s->e->vectors + (size_t)k * (size_t)n, w = 1 / weight[k];

        for (int i = 0; i < n; i++)
            s->inverse[i] += v[i] * v[i] * w;
    }
    return loo_error(s->m, s->alpha, s->inverse);
}

static double likelihood_of(const struct spectrum *s, const double *weight)
{
    const int64_t n = s->m->n;
    double fit = 0, log_determinant = 0;

    for (int64_t k = 0; k < n; k++) {
        for (int64_t j = 0; j < s->m->outputs; j++)
            fit += s->p[j * n + k] * s->p[j * n + k] / weight[k];
        log_determinant += log(weight[k]);
    }
    return ntk_model_likelihood(s->m, fit, log_determinant);
}

static ntk_status by_eigenvectors(const ntk_model *m, struct ntk_solver *solver, double unit, size_t count,
                                  const double *diag_reg, double *loo, double *evidence)
{
    const size_t n = (size_t)m->n, columns = n * (size_t)m->outputs;
    struct spectrum s = {.m = m, .precision = solver->precision};
    double *all = ntk_alloc(m->ctx, 3 * columns + 2 * n, sizeof *all), *weight;
    ntk_status status = all ? ntk_solver_eigen(solver, &s.e) : NTK_ENOMEM;

    if (status == NTK_OK) {
        s.p = all;
        s.scaled = s.p + columns;
        s.alpha = s.scaled + columns;
        s.inverse = s.alpha + columns;
        weight = s.inverse + n;
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)n, (int)m->outputs, (int)n, 1, s.e->vectors, (int)n,
                    m->y, (int)n, 0, s.p, (int)n);
        for (size_t k = 0; k < count && status == NTK_OK; k++) {
            const bool regular = weights_of(&s, diag_reg[k] * unit, weight);

            if (loo)
                loo[k] = regular ? loo_of(&s, weight) : (double)NAN;
            if (evidence)
                evidence[k] = regular ? likelihood_of(&s, weight) : (double)NAN;
            status = ntk_progress(m->ctx, "ridges", (double)(k + 1), (double)count);
        }
    }
    free(all);
    return status;
}

/* ---- by a factorisation each */

static ntk_status by_factor(const ntk_model *m, struct ntk_solver *solver, double ridge, double *work, double *loo,
                            double *evidence)
{
    const size_t n = (size_t)m->n, columns = n * (size_t)m->outputs;
    double *alpha = work, *inverse = alpha + columns, *diagonal = inverse + n, fit = 0, log_determinant;
    char how[200];

    *loo = *evidence = (double)NAN;
    ntk_model_diagonal(m, ridge, diagonal);
    NTK_TRY(ntk_solver_factor(solver, diagonal, how, sizeof how));
    if (*how)
        return NTK_OK;
    memcpy(alpha, m->y, columns * sizeof *alpha);
    NTK_TRY(ntk_solver_solve(solver, m->outputs, alpha));
    NTK_TRY(ntk_solver_inverse_diagonal(solver, inverse));
    NTK_TRY(ntk_solver_log_determinant(solver, &log_determinant));
    for (size_t i = 0; i < columns; i++)
        fit += m->y[i] * alpha[i];
    *loo = loo_error(m, alpha, inverse);
    *evidence = ntk_model_likelihood(m, fit, log_determinant);
    return NTK_OK;
}

static ntk_status by_factors(const ntk_model *m, struct ntk_solver *solver, double unit, size_t count,
                             const double *diag_reg, double *loo, double *evidence)
{
    const size_t n = (size_t)m->n;
    double *work = ntk_alloc(m->ctx, n * (size_t)m->outputs + 2 * n, sizeof *work);
    ntk_status status = work ? NTK_OK : NTK_ENOMEM;

    for (size_t k = 0; k < count && status == NTK_OK; k++) {
        double l, e;

        status = by_factor(m, solver, diag_reg[k] * unit, work, &l, &e);
        if (loo)
            loo[k] = l;
        if (evidence)
            evidence[k] = e;
        if (status == NTK_OK)
            status = ntk_progress(m->ctx, "ridges", (double)(k + 1), (double)count);
    }
    free(work);
    return status;
}

static ntk_status compare(const ntk_model *m, struct ntk_solver *solver, bool absolute, size_t count,
                          const double *diag_reg, double *loo, double *evidence)
{
    double unit = 1;

    if (loo)
        NTK_TRY(ntk_model_check_left_out(m, "a ridge by leave-one-out"));
    if (!absolute)
        NTK_TRY(ntk_model_mean_diagonal(m, solver, &unit));
    return solver->class->eigen && !m->weights && !m->noise
               ? by_eigenvectors(m, solver, unit, count, diag_reg, loo, evidence)
               : by_factors(m, solver, unit, count, diag_reg, loo, evidence);
}

/* ---- what is asked for */

ntk_status ntk_model_choose(const ntk_model *m, double *diag_reg)
{
    double grid[NTK_RIDGES], loo[NTK_RIDGES];

    ntk_ridge_grid(grid);
    NTK_TRY(compare(m, m->solution->solver, false, NTK_RIDGES, grid, loo, NULL));
    *diag_reg = grid[ntk_ridge_best(NTK_RIDGES, loo)];
    ntk_log(m->ctx, 0, "%s%.3g has the least leave-one-out error of %d values from %g to %g%s",
            ntk_model_ridge(m).spelling, *diag_reg, NTK_RIDGES, grid[0], grid[NTK_RIDGES - 1],
            *diag_reg == grid[0]                 ? ": the first of them, less or none may do as well"
            : *diag_reg == grid[NTK_RIDGES - 1] ? ": the last of them, these features say little about the targets"
                                                : "");
    return NTK_OK;
}

static ntk_status with_own_solver(const ntk_model *m, size_t count, const double *diag_reg, double *loo, double *evidence)
{
    const struct ntk_solver_class *class;
    struct ntk_solver *solver;
    ntk_status status;

    NTK_TRY(ntk_solver_find(m->ctx, m->weights || m->noise ? "cholesky" : "eigen", &class));
    if (!m->solution->k)
        NTK_TRY(ntk_model_open(m, NULL, 0, 0));
    NTK_TRY(ntk_ctx_check_memory(m->ctx, class->peak(m->n), "an eigen-decomposition of this many samples"));
    NTK_TRY(ntk_solver_new(m->ctx, class, m->solution->k, m->solution->which, 0, &solver));
    status = ntk_solver_read(solver, class->bytes(m->n), "a kernel matrix of this many samples");
    if (status == NTK_OK)
        status = compare(m, solver, m->solution->absolute, count, diag_reg, loo, evidence);
    ntk_solver_free(solver);
    return status;
}

ntk_status ntk_model_ridges(const ntk_model *m, size_t count, const double *diag_reg, double *loo_mse,
                            double *log_likelihood)
{
    struct ntk_blas blas;
    ntk_status status;

    NTK_TRY(ntk_model_check_whole(m, "a comparison of ridges by leave-one-out"));
    for (size_t k = 0; k < count; k++)
        if (!(diag_reg[k] >= 0) || isinf(diag_reg[k]))
            return ntk_fail(m->ctx, NTK_EINVAL, "diag_reg must be >= 0, number %zu is %g", k + 1, diag_reg[k]);
    blas = ntk_blas_begin(m->ctx->threads);
    status = m->solution->ready && m->solution->solver->class->eigen && !m->weights && !m->noise
                 ? compare(m, m->solution->solver, m->solution->absolute, count, diag_reg, loo_mse, log_likelihood)
                 : with_own_solver(m, count, diag_reg, loo_mse, log_likelihood);
    ntk_blas_end(blas);
    return status;
}
