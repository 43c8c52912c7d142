/* SPDX-License-Identifier: MIT
 *
 * solver.h - (K + R)^-1 and what comes with it, for a symmetric matrix K of an operator and a diagonal R >= 0, the ridge.
 *
 * A solver is one file with one const struct ntk_solver_class, and one line of solvers.def. It goes through these states:
 * ntk_solver_new; ntk_solver_read (ntk_solver_taker and ntk_solver_taken, where several are filled by one reading); then
 * ntk_solver_factor, for one ridge after another, and what it makes possible.
 *
 * One that needs products only calls ntk_operator_apply(s->k, s->which, ...) where it solves; put and read_diagonal are
 * then NULL, and factor has nothing to do (lanczos.c). To build on: ritz.h (eigenvalues by products), spectral.h (what is
 * rounding error), ridge.h and store/rfp.h (factors in place), base/sums.h (sums that no number of threads changes).
 */
#ifndef NTK_SOLVER_H
#define NTK_SOLVER_H

#include "solve/checkpoint.h"
#include "solve/cost.h"
#include "store/operator.h"
#include "store/strips.h"

struct ntk_solver;
struct ntk_solver_part;
struct ntk_eigen;

/* There must be name, bytes, peak, cost, open, factor, solve, extremes and close. Any other face may be NULL: who asks for it
 * gets an error that says which solvers have it. Vectors are columns: x is [m][n], for any m.
 *
 * Work begins with ntk_progress and goes on with ntk_poll, both of which may cancel it. Whatever a face returns, the next
 * ntk_solver_factor must work. What is allocated beyond `bytes` is first asked for (ntk_ctx_hold, ntk_ctx_check_memory).
 * Threads: a solver by products gives the same to the bit (base/sums.h); where BLAS factors, rounding errors may differ. */
struct ntk_solver_class {
    const char *name;           /* as in solvers.def */
    size_t (*bytes)(int64_t n); /* that it holds between calls, the matrix if it takes it in; of any n: ntk_bytes */
    size_t (*peak)(int64_t n);  /* bytes at most, the workspace of factor (by products: of solve) included; >= bytes. The
                                 * same: it factors in place, and models of several nets are fitted together */
    bool estimates;   /* log_determinant is one, as dear as solutions, of which last has the standard error */
    bool triangles;   /* it keeps K as ntk_solver.triangle says */
    bool checkpoints; /* it keeps solutions on the way: ntk_solver.checkpoint */
    /* What a fit takes: a formula, and what it assumes of iterations. Plans and the choice of a solver ask it. */
    void (*cost)(const struct ntk_cost_task *task, struct ntk_cost *cost);
    double tolerance; /* of residuals, that fits have who ask for none: ntk_solver.tolerance. 0: it has its own */
    /* Its own struct, with room for the matrix, of k; ntk_solver_new fills in the first member. beside: as there. */
    ntk_status (*open)(ntk_ctx *ctx, struct ntk_operator *k, size_t beside, struct ntk_solver **s);
    /* A block of the matrix into s, a struct ntk_solver, as operator.h delivers them, from several threads: ntk_square_put,
     * ntk_rfp_store. NULL: it applies the operator, or reads it by itself where it can (cg.c). */
    void (*put)(void *s, const ntk_block *block, ntk_dtype dtype);
    bool reads; /* put is NULL, and it reads entries by itself: an operator that has none is refused */
    /* Of K, once all of it was put: what is of a matrix before is void. NULL: the operator is asked. */
    void (*read_diagonal)(struct ntk_solver *s, double *diagonal);
    /* K + R to what solves, R in s->ridge. K was put, again if s->there was false; what overwrites it clears s->there
     * before. *how: "", which it is, or why there is no such thing, in a sentence of size bytes at most: K + R is not
     * positive definite. R of several numbers (not s->constant) is NTK_EINVAL with eigen, and else taken. */
    ntk_status (*factor)(struct ntk_solver *s, char *how, size_t size);
    /* x = (K + R)^-1 x. From entries errors are 1e-15 times the condition; by products the residual is s->tolerance of
     * the right-hand side, or rounding errors of K allow no less (spectral.h). NTK_ENUMERIC if it is not so. K + R may be
     * singular, if factor did not say so: a right-hand side in its range is solved without null directions, any other so
     * or not at all (NTK_ENUMERIC). Indefinite: *how, or NTK_ENUMERIC here. */
    ntk_status (*solve)(struct ntk_solver *s, int64_t m, double *x);
    /* x = A x with A' A = (K + R)^-1: norms are those of K + R's inverse. For variances. */
    ntk_status (*half)(struct ntk_solver *s, int64_t m, double *x);
    ntk_status (*log_determinant)(struct ntk_solver *s, double *value);  /* of K + R, for the likelihood; or an estimate */
    ntk_status (*inverse_diagonal)(struct ntk_solver *s, double *d);     /* of (K + R)^-1, [n], for leave-one-out */
    /* Eigenvalues of K + R, to a relative 1e-3; the least of a singular one to 1e-6 of the largest. By products:
     * ntk_lanczos_extremes. */
    ntk_status (*extremes)(struct ntk_solver *s, double *least, double *largest);
    /* Eigenvectors and eigenvalues of K, for functions of it, as finite times; no factor is needed. */
    ntk_status (*eigen)(struct ntk_solver *s, const struct ntk_eigen **eigen);
    /* For files: array number `part` of those that a factor consists of; false: there are no more. predict/model_io.c reads
     * "factor" (cholesky) and "vectors" with "values" (eigen), and no solver's name: other parts are work there. NULL:
     * models are saved without. */
    bool (*part)(struct ntk_solver *s, size_t part, struct ntk_solver_part *p);
    ntk_status (*restored)(struct ntk_solver *s); /* parts and s->ridge were filled in */
    void (*close)(struct ntk_solver *s); /* frees s */
};

struct ntk_solver_part {
    const char *name;
    int64_t rows, columns;
    double *x;
};

#define NTK_TOLERANCE 1e-12

/* Right-hand sides that are worked on at once: n times so many doubles. */
static inline int64_t ntk_panel_rows(int64_t n)
{
    const int64_t rows = n / 40;

    return rows < 256 ? 256 : rows > 512 ? 512 : rows;
}

/* K = V diag(values) V'. */
struct ntk_eigen {
    double *vectors; /* [n][n], row k the k-th */
    double *values;  /* [n] of K, ascending, without a ridge */
};

/* The first member of each solver's own struct. Of these, faces change `there` alone. */
struct ntk_solver {
    const struct ntk_solver_class *class;
    ntk_ctx *ctx;
    struct ntk_operator *k;
    size_t which;           /* of its matrices */
    int64_t n;
    size_t beside;          /* bytes that its user will hold, for what it takes beyond class->bytes: ntk_spare */
    bool counted;           /* its user has told the context of these, and of class->bytes (ntk_ctx_keep) */
    ntk_dtype precision;    /* in which K's entries were computed, once they were read */
    bool there;             /* K is in it, not overwritten by a factor; true if it takes no entries */
    bool factored;
    bool measured;          /* diagonal is there */
    double *diagonal;       /* [n] of K */
    double *ridge;          /* [n], R */
    bool constant;          /* all of R is one number */
    bool again;             /* what is solved are a model's targets: its solutions before are near */
    double tolerance;       /* solve: of a residual, by its right-hand side; ntk_solver_new: NTK_TOLERANCE. Direct ones and
                             * those that refine to the last digit do not read it */
    int64_t rank;           /* of a preconditioner; 0: what the solver has by itself */
    const char *scratch;    /* the folder of its files; NULL: beside the operator's, or ntk_scratch_folder */
    const char *triangle;   /* how a solver that iterates keeps K (ntk_entries_find); NULL: as memory allows */
    struct ntk_checkpoint checkpoint; /* of solutions of a model's targets, for solvers that iterate for long */
    struct {
        int64_t steps;      /* of those that iterate: most of a right-hand side; else -1 */
        double residual;    /* the largest, by its right-hand side; else NAN */
        double log_determinant_error; /* the standard error of one that was estimated; else NAN */
    } last; /* of the solutions of a model's targets */
    bool warned;            /* that a tolerance was missed, since the factor was made */
    struct {
        bool known;
        double ridge, least, largest;
    } ends; /* the spectrum's, of K + ridge; a larger ridge moves it */
};

extern const struct ntk_solver_class *const ntk_solvers[];
extern const size_t ntk_n_solvers;
/* NTK_EINVAL, with all names, if there is none. */
ntk_status ntk_solver_find(ntk_ctx *ctx, const char *name, const struct ntk_solver_class **class);

/* For matrix `which` of an operator, which outlives it. beside: bytes that the caller will hold beside it. */
ntk_status ntk_solver_new(ntk_ctx *ctx, const struct ntk_solver_class *class, struct ntk_operator *k, size_t which,
                          size_t beside, struct ntk_solver **s);
void ntk_solver_free(struct ntk_solver *s);
/* What takes the matrix's blocks in, for ntk_operator_read; then taken. */
struct ntk_taker ntk_solver_taker(struct ntk_solver *s);
ntk_status ntk_solver_taken(struct ntk_solver *s);
/* The matrix, from its operator; nothing if it is there. */
ntk_status ntk_solver_read(struct ntk_solver *s, size_t held, const char *what);
ntk_status ntk_solver_mean_diagonal(struct ntk_solver *s, double *mean);
/* K + R, R = diag(ridge), which is copied; K is read (again) if it is not there. *how as in the class: "" or why not, and
 * then there is no factor. */
ntk_status ntk_solver_factor(struct ntk_solver *s, const double *ridge, char *how, size_t size);

/* Bytes that the solver and its user hold, unless the context was told of them. */
size_t ntk_solver_uncounted(const struct ntk_solver *s);

/* Whether there is room for so many bytes, all that a solver and its user then hold, where some only make work faster: a
 * quarter of what is left stays free for others. */
bool ntk_spare(const ntk_ctx *ctx, size_t bytes);

/* ntk_operator_apply and _rows of its matrix, whose checks of memory count what the solver and its user hold. */
ntk_status ntk_solver_multiply(struct ntk_solver *s, int64_t m, const double *x, double *out);
/* out = (K + R) x: K in memory, k, or where there is none (a or k NULL) the operator's. */
ntk_status ntk_solver_shifted(struct ntk_solver *s, const struct ntk_strips *k, int64_t m, const double *x, double *out);
/* x = (K + R) x, for ritz.h, with a struct ntk_shifted; polls. */
struct ntk_shifted {
    struct ntk_solver *s;
    const struct ntk_strips *k;
    double *out; /* [n] to work in */
};
ntk_status ntk_shifted_in_place(double *x, void *user);
ntk_status ntk_solver_rows(struct ntk_solver *s, int64_t count, const int64_t *which, double *rows);

/* inverse_diagonal of solvers that have L^-1. half: x [m][n] becomes L^-1 x, and is 0 before `first`. At most
 * `most` columns at once; beside: bytes that half needs. */
typedef ntk_status ntk_half_from_fn(struct ntk_solver *s, int64_t first, int64_t m, double *x);
ntk_status ntk_inverse_by_half(struct ntk_solver *s, int64_t most, size_t beside, ntk_half_from_fn *half, double *d);

/* A new solver whose parts were filled in, from a file, for R = diag(ridge): it has a factor, and not K. */
ntk_status ntk_solver_restored(struct ntk_solver *s, const double *ridge);

/* For solvers that iterate, once they have solved: keeps what there is to report of a model's targets, and warns if the
 * residual is larger than the tolerance. */
void ntk_solver_solved(struct ntk_solver *s, int64_t steps, double residual);

/* The faces. NTK_ENOTSUP if the solver has none. */
ntk_status ntk_solver_solve(struct ntk_solver *s, int64_t m, double *x);
ntk_status ntk_solver_half(struct ntk_solver *s, int64_t m, double *x);
ntk_status ntk_solver_log_determinant(struct ntk_solver *s, double *value);
ntk_status ntk_solver_inverse_diagonal(struct ntk_solver *s, double *d);
ntk_status ntk_solver_extremes(struct ntk_solver *s, double *least, double *largest);
ntk_status ntk_solver_eigen(struct ntk_solver *s, const struct ntk_eigen **eigen);

#endif
