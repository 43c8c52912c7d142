/* SPDX-License-Identifier: MIT
 *
 * landmarks.h - models whose functions are sums over M landmarks, some of the n samples, and not over all: f(x) = k(x)' a
 * with k(x) the kernel of x and the landmarks (Nystroem; the projected process of Rasmussen and Williams 2006, 8.3.4).
 * What is least is sum w_i (y_i - f(x_i))^2 + ridge |f|^2, as of all samples, where f is a sum over these.
 *
 * With K_MM = C C', t(x) = C^-1 k(x) and g = C' a: f(x) = t(x)' g and |f|^2 = |g|^2. T [n][M] has the rows t(x_i): the
 * whitened normal equations are (T' W T + ridge) g = T' W y, whose condition is that of K + R. Of K_nM' K_nM it would be the
 * square.
 */
#ifndef NTK_LANDMARKS_H
#define NTK_LANDMARKS_H

#include "predict/model.h"
#include "solve/checkpoint.h"
#include "solve/normal.h"

struct ntk_landmarks {
    int64_t m;
    int64_t *rows;   /* [m], ascending: their numbers among model->x; NULL: of a file, where there are no others */
    ntk_data *x;     /* [m]; NULL of a file: model->x */
    bool apart;      /* none is in a row that is held out */
    double mean;     /* of the diagonal of K */
    double *c;       /* [m][m]: C, lower, column-major, as the next two; NULL of a file without */
    double *normal;  /* T' W T; NULL: not kept */
    double *right;   /* [outputs][m]: T' W y of the same */
    double *inner;   /* factor of T' W T + ridge; NULL: not made */
    double *g;       /* [outputs][m] */
    int64_t steps;   /* of conjugate gradients, and the residual; 0: there were none */
    double residual;
};

/* Rows of the kernel of samples and landmarks that are worked on at once. */
#define NTK_LANDMARK_PANEL 1024
static inline int64_t ntk_landmark_rows(int64_t n) { return ntk_least(n, NTK_LANDMARK_PANEL); }

/* How it is done: of so many landmarks, and of a sample of so many rows that they are chosen from. */
struct ntk_landmark_plan {
    int64_t m, sample;
    int kept;     /* bytes of an entry of the kernel matrix, which is kept in memory; 0: streamed */
    size_t choosing, fitting; /* bytes, beside the model's targets and what computing the kernel needs */
    size_t peak;              /* the larger, with that, */
    size_t least;             /* and of another way, which would do */
    const char *why;          /* m is what it is, where it was not asked for */
};
/* Bytes of the targets that a model has. */
static inline size_t ntk_landmark_targets(int64_t n, int64_t outputs) { return (size_t)(2 * n * outputs) * sizeof(double); }
/* NTK_ENOMEM, with the least that would do, if memory does not hold it. x: samples of the kernel; streamed: it is so, whatever
 * memory there is. */
ntk_status ntk_landmark_plan(const ntk_kernel *kernel, const ntk_data *x, const ntk_fit_opts *opts, int64_t outputs,
                             bool streamed, struct ntk_landmark_plan *plan);
/* Of n samples like x's, within so many bytes; plan->least may be more. And what it takes, passes being those over all pairs. */
ntk_status ntk_landmark_plan_like(const ntk_kernel *kernel, const ntk_data *x, int64_t n, size_t left, const ntk_fit_opts *opts,
                                  int64_t outputs, bool streamed, struct ntk_landmark_plan *plan);
void ntk_landmarks_cost(const struct ntk_landmark_plan *plan, int64_t n, struct ntk_cost *cost);
/* NTK_EINVAL if options ask for what models by landmarks do not have. */
ntk_status ntk_landmarks_check(ntk_ctx *ctx, const ntk_fit_opts *opts, const struct ntk_task *task);
/* Bytes that a model has between calls. */
size_t ntk_landmarks_held(const ntk_model *model);

/* land->rows, x and c (landmarks_choose.c). */
ntk_status ntk_landmarks_choose(const ntk_model *model, const struct ntk_landmark_plan *plan, bool apart);
ntk_status ntk_landmarks_factor(const ntk_model *model, double jitter);

/* Called with rows first ... of the kernel of the model's samples and landmarks, [rows][m], which it may overwrite. */
typedef ntk_status ntk_landmark_pass_fn(void *user, int64_t first, int64_t rows, double *panel);
/* From a row on that is a multiple of NTK_LANDMARK_PANEL, or n. */
ntk_status ntk_landmarks_pass(const ntk_model *model, int64_t from, ntk_landmark_pass_fn *fn, void *user);
/* W and ridge: 1 / w_i is what is added for sample i, by ridge. */
double ntk_landmarks_ridge(const ntk_model *model);
double ntk_landmarks_weight(const ntk_model *model, int64_t i);

/* ---- what a fit has so far, in a file (landmarks_checkpoint.c) */

/* Normal equations of whitened rows. */
struct ntk_landmark_sums {
    struct ntk_normal fit, out; /* out: of rows that are held out; its gram is NULL if none are */
    int64_t grams, rows;        /* of the first so many rows: gram; right and squares, of no more */
};

/* The file of ntk_fit_opts.checkpoint. */
struct ntk_landmark_file {
    struct ntk_checkpoint checkpoint; /* path NULL: none is wanted */
    char *about;
    uint64_t weights, targets;  /* hashes of the model's */
    struct ntk_pace pace;
    bool failed;                /* it cannot be written, which was said */
    int64_t planned;            /* landmarks, of which the samples may not have as many; 0: nothing is planned */
    int64_t grams, rows;        /* sums that the file had, as far as they are the model's */
    uint64_t factor, gram_sum, right_sum; /* hashes that it had */
};
/* What there is: landmarks of the file become the model's. NTK_EINVAL if it is of another fit, NTK_EIO if it is damaged. No
 * file is wanted where the model has its sums. After a failure, too, ntk_landmark_file_end. */
ntk_status ntk_landmark_file_begin(const ntk_model *model, struct ntk_landmark_file *file);
/* Its sums, into those of the model's sizes that are 0. */
ntk_status ntk_landmark_file_sums(const ntk_model *model, const struct ntk_landmark_file *file, struct ntk_landmark_sums *sums);
/* The model's landmarks, and sums or NULL. A failure is said. */
void ntk_landmark_file_write(const ntk_model *model, struct ntk_landmark_file *file, struct ntk_landmark_sums *sums);
/* done: the file goes. */
void ntk_landmark_file_end(struct ntk_landmark_file *file, bool done);

/* NTK_EINVAL for a model from a file. */
ntk_status ntk_landmarks_check_fit(const ntk_model *model);
/* ntk_model_solve: landmarks, coefficients. */
ntk_status ntk_landmarks_solve(const ntk_model *model);
/* Before it is fitted again: what new options, weights or targets leave of it. */
void ntk_landmarks_again(ntk_model *model, bool other_rows, bool other_targets);
void ntk_landmarks_free(struct ntk_landmarks *land);
/* land->inner, by a pass over all samples if it is not there. */
ntk_status ntk_landmarks_inner(const ntk_model *model);
/* What ntk_model_own_leave_one_out says, exact where the landmarks stay. */
ntk_status ntk_landmarks_leave_one_out(const ntk_model *model, double *mean, double *var);
/* Of a panel of test samples, [rows][m], which is overwritten; work is another. var [rows], or cov [rows][rows], is the
 * prior's and becomes the posterior's: k(x, x) - t' t + ridge t' (T' W T + ridge)^-1 t (Rasmussen and Williams 2006, 8.27). */
ntk_status ntk_landmarks_variance(const ntk_model *model, int64_t rows, double *panel, double *work, double *var, double *cov);

#endif
