/* SPDX-License-Identifier: MIT
 *
 * solver.h - (K + R)^-1 and what comes with it, for a symmetric matrix K of an operator and a diagonal R >= 0, the ridge.
 *
 * A solver is one file with one const struct ntk_solver_class, and one line of solvers.def. It goes through these states:
 * ntk_solver_new; ntk_solver_read (ntk_solver_taker and ntk_solver_taken, where several are filled by one reading); then
 * ntk_solver_factor, for one ridge after another.
 */
#ifndef NTK_SOLVER_H
#define NTK_SOLVER_H

#include "store/operator.h"

struct ntk_solver;
struct ntk_solver_part;
struct ntk_eigen;

/* Faces that are NULL, as all but open, solve, extremes, bytes, peak, factor and close may be, are
 * errors that name the solver and what it lacks. Vectors are columns: x is [m][n]. */
struct ntk_solver_class {
    const char *name;
    size_t (*bytes)(int64_t n); /* what it holds */
    size_t (*peak)(int64_t n);  /* what it holds while it factors, workspace included */
    ntk_status (*open)(ntk_ctx *ctx, int64_t n, struct ntk_solver **s); /* with room for the matrix */
    /* A block of the matrix, from several threads. NULL: it needs no entries, it applies the operator. */
    void (*put)(void *s, const ntk_block *block, ntk_dtype dtype);
    void (*read_diagonal)(struct ntk_solver *s, double *diagonal); /* of K, once all of it was put */
    /* K + R to what solves, R in s->ridge. *how: "", or why there is no such thing: K + R is not positive definite. */
    ntk_status (*factor)(struct ntk_solver *s, char *how, size_t size);
    ntk_status (*solve)(struct ntk_solver *s, int64_t m, double *x);     /* x = (K + R)^-1 x */
    /* x = A x with A' A = (K + R)^-1: norms are those of K + R's inverse */
    ntk_status (*half)(struct ntk_solver *s, int64_t m, double *x);
    ntk_status (*log_determinant)(struct ntk_solver *s, double *value);  /* of K + R */
    ntk_status (*inverse_diagonal)(struct ntk_solver *s, double *d);     /* of (K + R)^-1, [n] */
    ntk_status (*extremes)(struct ntk_solver *s, double *least, double *largest); /* eigenvalues of K + R, to 1e-3 */
    /* Eigenvectors and eigenvalues of K, for functions of it; no factor is needed. */
    ntk_status (*eigen)(struct ntk_solver *s, const struct ntk_eigen **eigen);
    /* For files: array number `part` of those that a factor consists of; false: there are no more. */
    bool (*part)(struct ntk_solver *s, size_t part, struct ntk_solver_part *p);
    ntk_status (*restored)(struct ntk_solver *s); /* parts and s->ridge were filled in */
    void (*close)(struct ntk_solver *s); /* frees s */
};

struct ntk_solver_part {
    const char *name;
    int64_t rows, columns;
    double *x;
};

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

/* The first member of each solver's own struct. */
struct ntk_solver {
    const struct ntk_solver_class *class;
    ntk_ctx *ctx;
    struct ntk_operator *k; /* NULL: K cannot be had again */
    size_t which;           /* of its matrices */
    int64_t n;
    ntk_dtype precision;    /* in which K's entries were computed */
    bool there;             /* K is in it, not overwritten by a factor; or needs not be */
    bool factored;
    bool measured;          /* diagonal is there */
    double *diagonal;       /* [n] of K */
    double *ridge;          /* [n], R */
    bool constant;          /* all of R is one number */
    struct {
        bool known;
        double ridge, least, largest;
    } ends; /* the spectrum's, of K + ridge; a larger ridge moves it */
};

extern const struct ntk_solver_class *const ntk_solvers[];
extern const size_t ntk_n_solvers;
/* NTK_EINVAL, with all names, if there is none. */
ntk_status ntk_solver_find(ntk_ctx *ctx, const char *name, const struct ntk_solver_class **class);

/* For matrix `which` of an operator, which outlives it. */
ntk_status ntk_solver_new(ntk_ctx *ctx, const struct ntk_solver_class *class, struct ntk_operator *k, size_t which,
                          struct ntk_solver **s);
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

/* A new solver whose parts were filled in, from a file, for R = diag(ridge): it has a factor, and not K. */
ntk_status ntk_solver_restored(struct ntk_solver *s, const double *ridge);

/* The faces. NTK_ENOTSUP if the solver has none. */
ntk_status ntk_solver_solve(struct ntk_solver *s, int64_t m, double *x);
ntk_status ntk_solver_half(struct ntk_solver *s, int64_t m, double *x);
ntk_status ntk_solver_log_determinant(struct ntk_solver *s, double *value);
ntk_status ntk_solver_inverse_diagonal(struct ntk_solver *s, double *d);
ntk_status ntk_solver_extremes(struct ntk_solver *s, double *least, double *largest);
ntk_status ntk_solver_eigen(struct ntk_solver *s, const struct ntk_eigen **eigen);

#endif
