/* SPDX-License-Identifier: MIT
 *
 * model.h - what a fitted model is, for the files of this folder: an operator (the kernel matrix K), a solver (of K + R,
 * R the ridge) and targets.
 *
 * Vectors over samples are columns: y and alpha are [outputs][n], a panel of test samples is
 * [test][n], row-major in C and therefore column-major n x test for LAPACK.
 */
#ifndef NTK_MODEL_H
#define NTK_MODEL_H

#include "data/symmetry.h"
#include "solve/ridge.h"
#include "solve/solver.h"
#include "solve/spectral.h"
#include "store/packed.h"
#include "store/store.h"

#define NTK_SAMPLES_MAX (INT32_MAX / 2) /* LAPACK counts in int */

/* What is computed from samples and targets; a loaded model may not have it yet. */
struct ntk_solution {
    bool ready;                /* the solver has a factor */
    bool solved;               /* alpha belongs to the options and targets */
    size_t held;               /* bytes of its matrices, once it is: ntk_ctx_keep */
    struct ntk_operator *k;    /* the model's kernel is its matrix `which`; NULL: not made yet */
    size_t which;
    struct ntk_solver *solver; /* NULL: not made yet */
    double diag_reg;           /* that was given or, of NTK_DIAG_REG_AUTO, chosen; */
    bool absolute;             /* as it is, or times the mean of the diagonal: */
    double unit;               /* what relative ones are times, of samples that stand for their copies; 0: not known yet */
    double ridge;              /* what it adds to the diagonal of a sample of weight 1 */
    bool kept;                 /* k is packed: what the model was made of is not read again */
    struct ntk_operator *packed; /* while it is filled */
    const struct ntk_rfp *nngp; /* NTK_POSTERIOR_NTK with covariance: the NNGP matrix, which is one of k's, or: */
    struct ntk_operator *own_nngp;
    double *values;            /* [n] eigenvalues of K + R, ascending; NULL: the solver has none */
};

/* Training samples prepared for the model's kernels, when they are first asked for. */
struct ntk_prepared {
    ntk_samples *mean, *both;
};

struct ntk_model {
    ntk_ctx *ctx;
    ntk_net *net;       /* our copy; NULL: of given matrices, as the kernels and samples */
    ntk_kernel *mean;   /* the kernel K that means need */
    ntk_kernel *both;   /* NTK_POSTERIOR_NTK with covariance: NNGP and NTK; else NULL */
    ntk_fit_opts opts;  /* weights, noise, store, scratch and checkpoint are what follows */
    const ntk_data *x;  /* training samples */
    ntk_data *owned_x;  /* x if it is ours (loaded models, samples left out) */
    const ntk_data *all; /* those that were given */
    int64_t n_all;
    int64_t n, outputs;
    int64_t *rows;      /* [n] numbers of the samples among all; NULL: all */
    double *weights;    /* [n], > 0; NULL: 1 */
    double *noise;      /* [n]; NULL: 0 */
    char *store;        /* NULL: none */
    char *scratch;      /* folder of the solver's files; NULL: the solver's choice */
    char *checkpoint;   /* NULL: none that was named */
    const double *k[2]; /* given matrices: K, or the NNGP and K */
    struct ntk_landmarks *land; /* landmarks.h; NULL: predictions are sums over all samples */
    double *y;          /* [outputs][n] */
    double *alpha;      /* [outputs][n] = (K + ridge)^-1 y, or of landmarks [outputs][their number] */
    struct ntk_solution *solution;
    struct ntk_prepared *prepared;
    ntk_scaler *scaler; /* NULL: none */
    ntk_targets targets;
    double *units;      /* [2][outputs]: shifts and scales of the targets; NULL: none */
    ntk_schema *schema; /* NULL: none; held */
};

/* ---- options, weights (options.c, weights.c) */

/* Bytes beside the solver: targets, alpha, matrices that are kept. */
double ntk_model_beside(const ntk_fit_opts *opts, int64_t n, int64_t outputs);
/* Bytes of what a solution keeps, targets included; while it is made. */
size_t ntk_model_matrices(const ntk_fit_opts *opts, int64_t n, int64_t outputs);
size_t ntk_model_peak(const ntk_fit_opts *opts, int64_t n, int64_t outputs);
/* What is surely needed: at that peak, or while the kernel, which needs `scratch`, is computed. */
size_t ntk_model_total(const ntk_fit_opts *opts, int64_t n, int64_t outputs, size_t scratch);
/* The solver that options ask for; of options that were read. */
const char *ntk_model_solver_name(const ntk_fit_opts *opts);
const struct ntk_solver_class *ntk_model_solver_class(const ntk_fit_opts *opts);
/* The kernels that they need, as for ntk_kernel_new. */
unsigned ntk_model_want(const ntk_fit_opts *opts);
/* NTK_POSTERIOR_NTK with covariance: the NNGP matrix is needed, too. */
bool ntk_model_ensemble(const ntk_fit_opts *opts);
bool ntk_model_by_landmarks(const ntk_fit_opts *opts);
/* What options are for: a net and samples x, or a given matrix; `freed` bytes of a model's own will be released. */
struct ntk_task {
    const ntk_net *net;
    const ntk_data *x; /* NULL, as the net: a matrix, or samples that are only planned, */
    int64_t n, outputs;
    size_t freed;
    size_t scratch;    /* whose kernel needs so many bytes beside its entries, */
    size_t coming;     /* and which themselves will be so many */
};
/* Options as a program gives them, NULL for the defaults, as this version's. Where memory does not hold what the usual
 * solver needs for the task, another is taken, which is said if `say`. */
ntk_status ntk_fit_opts_read(ntk_ctx *ctx, const ntk_fit_opts *given, const struct ntk_task *task, bool say,
                             ntk_fit_opts *own);
/* ---- which solver (choose.c) */

struct ntk_choice {
    bool asked;        /* it was */
    size_t bound;      /* bytes that there may be, */
    size_t left, held; /* that are left, and that count already */
    size_t scratch;    /* of the kernel, or its store, while entries are read; 0 where it cannot matter */
    size_t widened;    /* more, while a store multiplies */
    bool instead;      /* of the usual solver another is taken */
    char reason[200];  /* why */
};
/* An option that is of another solver than this (NULL: of landmarks), and *whose it is, "the solver 'cg'"; or NULL. */
const char *ntk_fit_opts_foreign(const ntk_fit_opts *opts, const struct ntk_solver_class *class, const char **whose);
/* Options as ntk_fit_opts_read has them, nothing said, and the choice. */
ntk_status ntk_fit_opts_choose(ntk_ctx *ctx, const ntk_fit_opts *given, const struct ntk_task *task, ntk_fit_opts *own,
                               struct ntk_choice *choice);
/* choice->left, held and bound. */
void ntk_model_find_left(const ntk_ctx *ctx, const struct ntk_task *task, struct ntk_choice *choice);
/* own->solver, and keep, where none was asked for and memory does not hold what the usual one needs. */
ntk_status ntk_model_choose_solver(ntk_ctx *ctx, const struct ntk_task *task, bool asked, ntk_fit_opts *own,
                                   struct ntk_choice *choice);
/* NTK_ENOMEM, with the least that would do and for which solver, if there is not enough memory for own->solver. */
ntk_status ntk_model_check_choice(ntk_ctx *ctx, const ntk_fit_opts *own, const struct ntk_task *task,
                                  const struct ntk_choice *choice);

/* NTK_EINVAL if opts' numbers are not such, for n samples. */
ntk_status ntk_fit_opts_check(ntk_ctx *ctx, const ntk_fit_opts *opts, int64_t n);
/* weights and noise from opts. */
ntk_status ntk_model_weigh(ntk_model *model, const ntk_fit_opts *opts);

/* ---- the object (model.c) */

/* The centres, of which predictions are sums: the n samples, or landmarks. How many; they; number j among all samples. */
int64_t ntk_model_centers(const ntk_model *model);
const ntk_data *ntk_model_centers_x(const ntk_model *model);
int64_t ntk_model_center(const ntk_model *model, int64_t j);
/* NTK_ENOTSUP if it has landmarks, and so not the whole kernel matrix, which `what` needs: "a likelihood". */
ntk_status ntk_model_check_whole(const ntk_model *model, const char *what);

/* A model that is not solved yet; opts are this version's. net and x, or k[0], are given. y is [n][outputs]. */
ntk_status ntk_model_new(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, const double *const k[2], int64_t n,
                         const double *y, int64_t outputs, const ntk_fit_opts *opts, ntk_model **model);
/* Makes the model's kernels; the rest is filled in by the caller. x and y are set before. */
ntk_status ntk_model_start(ntk_model *model);
/* NTK_EINVAL unless y, [n][outputs], can be targets; they become the model's. Units, and names of another number of targets,
 * go with those before. */
ntk_status ntk_model_check_targets(ntk_ctx *ctx, int64_t n, const double *y, int64_t outputs);
ntk_status ntk_model_set_targets(ntk_model *model, const double *y, int64_t outputs);

/* ---- solving (fit.c) */

/* Its operator. nets: those of a store that it shares with other models, of which it is number `own`; n_nets 0: its own. */
ntk_status ntk_model_open(const ntk_model *model, const ntk_net *const *nets, size_t n_nets, size_t own);
/* The kernels that it reads from its store. */
ntk_status ntk_model_stored(const ntk_model *model, unsigned *want);
/* Its solver, and room for an ensemble's NNGP matrix, empty. */
ntk_status ntk_model_solver(const ntk_model *model);
ntk_status ntk_model_nngp(const ntk_model *model);
/* Its solution is there, and its memory counts. */
void ntk_model_ready(const ntk_model *model);
/* Where matrices go that are read: K and, for an ensemble, the NNGP (put NULL: not now); then taken; then finish. */
ntk_status ntk_model_take(const ntk_model *model, struct ntk_taker *k, struct ntk_taker *nngp);
ntk_status ntk_model_taken(const ntk_model *model);
ntk_status ntk_model_finish(const ntk_model *model);
/* From the kernel matrix in the solver to its factor and alpha. */
ntk_status ntk_model_factor(const ntk_model *model);
/* Computes the solution, and alpha, if they are not there. */
ntk_status ntk_model_solve(const ntk_model *model);
/* That ranks (base/ranks.h) which fit it, or predict for test samples, have the same; NTK_EINVAL says what is not (same.c). */
ntk_status ntk_model_same(const ntk_model *model);
ntk_status ntk_test_same(const ntk_model *model, const ntk_data *x);
/* All but what the matrix is read from. */
void ntk_model_forget(struct ntk_solution *s);
/* The ridge as it was given. */
struct ntk_ridge ntk_model_ridge(const ntk_model *model);
/* What a relative diag_reg is times: the mean of the solver's diagonal or, of samples that stand for their copies, of theirs
 * and the copies' kernels with themselves. */
ntk_status ntk_model_mean_diagonal(const ntk_model *model, struct ntk_solver *solver, double *mean);
/* The mean of the kernel of each sample with itself, without copies. */
ntk_status ntk_model_mean_of_samples(const ntk_model *model, double *mean);
/* Copies that each sample stands for, itself among them. */
static inline int ntk_model_copies(const ntk_model *m) { return m->x ? ntk_data_copies(m->x) : 1; }
/* var [n] of a sum over copies becomes that of their mean; NULL: nothing. */
void ntk_model_of_means(const ntk_model *model, int64_t n, double *var);
/* From y' (K + r)^-1 y, over all outputs, and log det(K + r). */
double ntk_model_likelihood(const ntk_model *model, double fit, double log_determinant);
/* R for what diag_reg adds: [n]. */
void ntk_model_diagonal(const ntk_model *model, double ridge, double *diagonal);
/* The value of NTK_DIAG_REG_AUTO, once the solver has the matrix (ridges.c). */
ntk_status ntk_model_choose(const ntk_model *model, double *diag_reg);
/* What eigenvalues in solution->values have more than those of K: R, the same for all samples. */
double ntk_model_added(const ntk_model *model);
/* Which directions of a solution by eigenvectors are null, and how many. */
struct ntk_spectral_scale ntk_model_scale(const ntk_model *model);
int64_t ntk_model_nulls(const ntk_model *model);

/* ---- kernels of test samples (posterior.c) */

/* Test samples: data, or given matrices. */
struct ntk_test {
    int64_t m;
    const ntk_data *x;                /* or NULL */
    const ntk_test_matrices *given;
    ntk_kernel_store *store;                 /* has their kernels; NULL: they are computed */
};
static inline struct ntk_test ntk_test_of(const ntk_data *x) { return (struct ntk_test){.m = x ? x->n : 0, .x = x}; }
/* The same, and the model's store if its test part is of x; x may be NULL. ntk_test_end frees what it opened. */
ntk_status ntk_test_begin(const ntk_model *model, const ntk_data *x, bool nngp, struct ntk_test *test);
void ntk_test_end(const struct ntk_test *test);

/* A panel is ntk_panel_rows(n) test samples, n here the number of centres. Kernel of test samples [first, first + rows) with
 * all centres, in float64: mean's kernel into k, [rows][n]; with nngp not NULL (an ensemble's, of data) the NNGP kernel into nngp as well.
 * panels: how many such the caller holds. */
ntk_status ntk_model_panel(const ntk_model *model, const struct ntk_test *test, int64_t first, int64_t rows,
                           int panels, double *k, double *nngp);
/* Prior variance of test samples, [m], or covariance, [m][m]: of the NNGP or, for NTK_POSTERIOR_NTKGP, the NTK. */
ntk_status ntk_model_prior(const ntk_model *model, const ntk_data *x, double *variance);
ntk_status ntk_model_prior_covariance(const ntk_model *model, const struct ntk_test *test, double *cov);
/* out [rows][columns] = k [rows][n] c' for c [columns][n]. */
void ntk_model_panel_times(const ntk_model *model, int64_t rows, const double *k, int64_t columns, const double *c,
                           double *out);
/* float32 numbers at k become float64 in place. */
void ntk_model_widen(double *k, size_t n);
/* NTK_EINVAL if variances cannot be had from this model; if it has no samples. */
ntk_status ntk_model_check_covariance(const ntk_model *model);
ntk_status ntk_model_check_samples(const ntk_model *model);
/* A covariance, up to here with rounding errors, becomes symmetric, and variances from -rounding to 0 become 0. */
void ntk_symmetrise(int64_t n, double *a, double rounding);
/* cov [m][m] += A S A' - A S_dt - S_td A' for A in a, S_td in nngp, [m][n]; work [m][n]. */
ntk_status ntk_model_spread(const ntk_model *model, int64_t m, const double *a, const double *nngp, double *work,
                            double *cov);
/* ntk_model_dynamics for either kind of test samples; with a solver without eigenvectors for infinite times. */
ntk_status ntk_model_follow(const ntk_model *model, const double *times, size_t n_times, const double *f0_train,
                            const struct ntk_test *test, const double *f0_test, double *train, double *mean,
                            double *var);
/* NTK_EINVAL if it cannot predict at such times, with spread: variances. */
ntk_status ntk_model_check_times(const ntk_model *model, const double *times, size_t n_times, bool spread);
/* Time of the summed loss, for one unit of that of the model's loss. */
double ntk_model_unit(const ntk_model *model);

/* NTK_ENOTSUP if samples have shifted copies among the others, which would predict them. */
ntk_status ntk_model_check_left_out(const ntk_model *model, const char *what);

/* ---- leave-one-out of the n samples themselves (diagnose.c): mean [n][outputs], var [n] or NULL */
ntk_status ntk_model_own_leave_one_out(const ntk_model *model, double *mean, double *var);

#endif
