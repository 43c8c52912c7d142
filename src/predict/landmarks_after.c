/* SPDX-License-Identifier: MIT
 *
 * landmarks_after.c - leave-one-out predictions and variances of models by landmarks.
 */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "kernel/kernel.h"
#include "predict/landmarks.h"
#include "solve/tiled.h"

/* Without sample i the landmarks' least squares leave (y_i - f_i) / (1 - h_i), h_i = w_i t_i' (T' W T + ridge)^-1 t_i the
 * diagonal of the hat matrix; and the variance of y_i is what is added for it, divided by 1 - h_i, and what t_i does not
 * have of the kernel. */
struct leaving {
    const ntk_model *m;
    double *mean, *var, *squares; /* squares [rows]: |t|^2 */
};

static ntk_status priors(const struct leaving *l, int64_t first, int64_t rows)
{
    double *out[] = {l->var + first};
    ntk_data *slice;
    ntk_status status;

    NTK_TRY(ntk_data_slice(l->m->x, first, rows, &slice));
    status = ntk_kernel_diagonal(l->m->mean, slice, out);
    ntk_data_free(slice);
    return status;
}

static ntk_status leave(void *user, int64_t first, int64_t rows, double *panel)
{
    const struct leaving *l = user;
    const ntk_model *m = l->m;
    const struct ntk_landmarks *land = m->land;
    const double ridge = ntk_landmarks_ridge(m);

    NTK_TRY(ntk_tiled_solve(m->ctx, false, land->m, land->c, rows, panel));
    for (int64_t i = 0; i < rows; i++) {
        l->squares[i] = ntk_sums_dot(land->m, panel + i * land->m, panel + i * land->m);
        for (int64_t c = 0; c < m->outputs; c++)
            l->mean[(first + i) * m->outputs + c] = ntk_sums_dot(land->m, panel + i * land->m, land->g + c * land->m);
    }
    if (l->var)
        NTK_TRY(priors(l, first, rows));
    NTK_TRY(ntk_tiled_solve(m->ctx, false, land->m, land->inner, rows, panel));
    for (int64_t i = 0; i < rows; i++) {
        const double w = ntk_landmarks_weight(m, first + i);
        const double left = 1 - w * ntk_sums_dot(land->m, panel + i * land->m, panel + i * land->m);

        for (int64_t c = 0; c < m->outputs; c++) {
            double *f = &l->mean[(first + i) * m->outputs + c];
            const double y = m->y[c * m->n + first + i];

            *f = y - (y - *f) / left;
        }
        if (l->var)
            l->var[first + i] = ridge / w / left + (l->var[first + i] > l->squares[i] ? l->var[first + i] - l->squares[i] : 0);
    }
    return NTK_OK;
}

ntk_status ntk_landmarks_leave_one_out(const ntk_model *m, double *mean, double *var)
{
    struct leaving l = {.m = m, .mean = mean, .var = var};
    struct ntk_blas blas;
    ntk_status status;

    NTK_TRY(ntk_landmarks_solve(m));
    if (!m->land->rows)
        return ntk_fail(m->ctx, NTK_ENOTSUP, "a model by landmarks in a file has its landmarks and no other samples: it has no "
                                             "leave-one-out predictions");
    l.squares = ntk_alloc(m->ctx, (size_t)ntk_landmark_rows(m->n), sizeof *l.squares);
    if (!l.squares)
        return NTK_ENOMEM;
    blas = ntk_blas_begin(1);
    status = ntk_landmarks_inner(m);
    if (status == NTK_OK)
        status = ntk_landmarks_pass(m, 0, leave, &l);
    ntk_blas_end(blas);
    free(l.squares);
    if (status == NTK_OK)
        status = ntk_check_finite(m->ctx, "the leave-one-out predictions", mean, m->n, m->outputs);
    return status == NTK_OK && var ? ntk_check_finite(m->ctx, "the leave-one-out variances", var, m->n, 1) : status;
}

/* ---- of test samples */

/* cov [rows][rows] += factor X X' for X [rows][m]. */
static void spread(int64_t rows, int64_t m, double factor, const double *x, double *cov)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)rows, (int)m, factor, x, (int)m, x, (int)m, 1, cov,
                (int)rows);
}

ntk_status ntk_landmarks_variance(const ntk_model *m, int64_t rows, double *panel, double *work, double *var, double *cov)
{
    const struct ntk_landmarks *l = m->land;
    const double ridge = ntk_landmarks_ridge(m);
    const struct ntk_blas blas = ntk_blas_begin(1);
    ntk_status status = ntk_tiled_solve(m->ctx, false, l->m, l->c, rows, panel);

    memcpy(work, panel, (size_t)(rows * l->m) * sizeof *work);
    if (status == NTK_OK)
        status = ntk_tiled_solve(m->ctx, false, l->m, l->inner, rows, work);
    for (int64_t i = 0; var && status == NTK_OK && i < rows; i++)
        var[i] += ridge * ntk_sums_dot(l->m, work + i * l->m, work + i * l->m) -
                  ntk_sums_dot(l->m, panel + i * l->m, panel + i * l->m);
    if (status == NTK_OK && cov) {
        spread(rows, l->m, -1, panel, cov);
        spread(rows, l->m, ridge, work, cov);
    }
    ntk_blas_end(blas);
    return status;
}
