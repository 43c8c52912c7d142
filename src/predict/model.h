/* SPDX-License-Identifier: MIT
 *
 * model.h - what a fitted model is, for the files of this folder.
 *
 * Vectors over samples are columns: y and alpha are [outputs][n], a panel of test samples is
 * [test][n], row-major in C and therefore column-major n x test for LAPACK.
 */
#ifndef NTK_MODEL_H
#define NTK_MODEL_H

#include "data/data.h"
#include "solve/ridge.h"
#include "solve/spectral.h"

#define NTK_SAMPLES_MAX (INT32_MAX / 2) /* LAPACK counts in int */

/* What is computed from samples and targets; a loaded model may not have it yet. */
struct ntk_solution {
    bool ready;
    size_t held;           /* bytes of its matrices, once it is: ntk_ctx_keep */
    double ridge;          /* what was added to the diagonal */
    struct ntk_rfp factor; /* Cholesky: L of K + ridge */
    struct ntk_rfp nngp;   /* NTK_POSTERIOR_NTK with covariance: the NNGP matrix */
    double *vectors;       /* finite_time: eigenvectors of K, [n][n], row k the k-th */
    double *values;        /* finite_time: eigenvalues of K + ridge, ascending */
};

/* Training samples prepared for the model's kernels, when they are first asked for. */
struct ntk_prepared {
    ntk_samples *mean, *both;
};

struct ntk_model {
    ntk_ctx *ctx;
    ntk_net *net;       /* our copy */
    ntk_kernel *mean;   /* the kernel K that means need */
    ntk_kernel *both;   /* NTK_POSTERIOR_NTK with covariance: NNGP and NTK; else NULL */
    ntk_fit_opts opts;
    const ntk_data *x;  /* training samples */
    ntk_data *owned_x;  /* x if it is ours (loaded models) */
    int64_t n, outputs;
    double *y;          /* [outputs][n] */
    double *alpha;      /* [outputs][n] = (K + ridge)^-1 y; finite_time: too */
    struct ntk_solution *solution;
    struct ntk_prepared *prepared;
    ntk_scaler *scaler; /* NULL: none */
    ntk_targets targets;
    ntk_schema *schema; /* NULL: none; held */
};

/* Bytes of what a solution keeps, targets included, and of dsyevd with its workspace of two more matrices. */
size_t ntk_model_matrices(const ntk_fit_opts *opts, int64_t n, int64_t outputs);
size_t ntk_model_eigen_bytes(int64_t n, int64_t outputs);
/* Options as a program gives them, NULL for the defaults, as this version's. */
ntk_status ntk_fit_opts_read(ntk_ctx *ctx, const ntk_fit_opts *given, ntk_fit_opts *own);
/* A model that is not solved yet; opts are this version's. */
ntk_status ntk_model_new(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, const double *y,
                         int64_t outputs, const ntk_fit_opts *opts, ntk_model **model);
/* finite_time: which directions of the solution are null. */
struct ntk_spectral_scale ntk_model_scale(const ntk_model *model);
/* The ridge as it was given. */
struct ntk_ridge ntk_model_ridge(const ntk_model *model);
/* From the kernel matrix in solution->factor to its factor and alpha. */
ntk_status ntk_model_factor(const ntk_model *model);
/* Makes the model's kernels; the rest is filled in by the caller. x and y are set before. */
ntk_status ntk_model_start(ntk_model *model);
/* Computes the solution (and alpha) if it is not there. */
ntk_status ntk_model_solve(const ntk_model *model);
/* Its solution is there. */
void ntk_model_ready(const ntk_model *model);

/* Rows of test samples that are worked on at once: a panel is n times this many doubles. */
int64_t ntk_model_panel_rows(int64_t n);
/* Kernel of test samples [first, first + rows) with all training samples, in float64: mean's kernel
 * into k, [rows][n]; with nngp not NULL (needs model->both) the NNGP kernel into nngp as well. panels: how
 * many such the caller holds. */
ntk_status ntk_model_panel(const ntk_model *model, const ntk_data *test, int64_t first, int64_t rows,
                           int panels, double *k, double *nngp);
/* Prior variance of test samples, [test->n]: of the NNGP or, for NTK_POSTERIOR_NTKGP, the NTK. */
ntk_status ntk_model_prior(const ntk_model *model, const ntk_data *test, double *variance);
/* mean [rows][outputs] of a panel k [rows][n]. */
void ntk_model_panel_mean(const ntk_model *model, int64_t rows, const double *k, double *mean);
/* float32 numbers at k become float64 in place. */
void ntk_model_widen(double *k, size_t n);
/* NTK_EINVAL if variances cannot be had from this model. */
ntk_status ntk_model_check_covariance(const ntk_model *model);

#endif
