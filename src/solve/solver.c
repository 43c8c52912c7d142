/* SPDX-License-Identifier: MIT
 *
 * solver.c - see solver.h.
 */
#include "solve/solver.h"

#include <stdlib.h>
#include <string.h>

#define SOLVER(name) extern const struct ntk_solver_class ntk_solver_class_##name;
#include "solve/solvers.def"
#undef SOLVER

const struct ntk_solver_class *const ntk_solvers[] = {
#define SOLVER(name) &ntk_solver_class_##name,
#include "solve/solvers.def"
#undef SOLVER
};
const size_t ntk_n_solvers = sizeof ntk_solvers / sizeof *ntk_solvers;

const char *ntk_solver_names(void)
{
    static const char names[] =
#define SOLVER(name) ", " #name
#include "solve/solvers.def"
#undef SOLVER
        ;

    return names + strlen(", ");
}

ntk_status ntk_solver_find(ntk_ctx *ctx, const char *name, const struct ntk_solver_class **class)
{
    for (size_t k = 0; k < ntk_n_solvers; k++)
        if (strcmp(ntk_solvers[k]->name, name) == 0) {
            *class = ntk_solvers[k];
            return NTK_OK;
        }
    return ntk_fail(ctx, NTK_EINVAL, "there is no solver '%s'; there are: %s", name, ntk_solver_names());
}

/* ---- the object */

ntk_status ntk_solver_new(ntk_ctx *ctx, const struct ntk_solver_class *class, struct ntk_operator *k, size_t which,
                          struct ntk_solver **solver)
{
    struct ntk_solver *s;

    NTK_TRY(class->open(ctx, k->n, &s));
    s->class = class;
    s->ctx = ctx;
    s->k = k;
    s->which = which;
    s->n = k->n;
    s->precision = k->precision;
    s->there = !class->put;
    s->diagonal = ntk_alloc(ctx, (size_t)k->n, sizeof *s->diagonal);
    s->ridge = ntk_alloc(ctx, (size_t)k->n, sizeof *s->ridge);
    if (!s->diagonal || !s->ridge) {
        ntk_solver_free(s);
        return NTK_ENOMEM;
    }
    *solver = s;
    return NTK_OK;
}

void ntk_solver_free(struct ntk_solver *s)
{
    if (!s)
        return;
    free(s->diagonal);
    free(s->ridge);
    s->class->close(s);
}

/* ---- the matrix */

struct ntk_taker ntk_solver_taker(struct ntk_solver *s) { return (struct ntk_taker){s->class->put, s}; }

ntk_status ntk_solver_taken(struct ntk_solver *s)
{
    s->there = true;
    s->factored = false;
    s->precision = s->k->precision; /* known once all has been read */
    if (s->class->read_diagonal)
        s->class->read_diagonal(s, s->diagonal);
    s->measured = s->class->read_diagonal != NULL;
    return NTK_OK;
}

ntk_status ntk_solver_read(struct ntk_solver *s, size_t held, const char *what)
{
    struct ntk_taker *takers;
    ntk_status status;

    if (s->there)
        return NTK_OK;
    takers = ntk_alloc_zero(s->ctx, s->k->count, sizeof *takers);
    if (!takers)
        return NTK_ENOMEM;
    takers[s->which] = ntk_solver_taker(s);
    status = ntk_operator_read(s->k, takers, held, what);
    free(takers);
    return status == NTK_OK ? ntk_solver_taken(s) : status;
}

ntk_status ntk_solver_mean_diagonal(struct ntk_solver *s, double *mean)
{
    double sum = 0;

    if (!s->measured)
        NTK_TRY(ntk_operator_diagonal(s->k, s->which, s->diagonal));
    s->measured = true;
    for (int64_t i = 0; i < s->n; i++)
        sum += s->diagonal[i];
    *mean = sum / (double)s->n;
    return NTK_OK;
}

static void set_ridge(struct ntk_solver *s, const double *ridge)
{
    memcpy(s->ridge, ridge, (size_t)s->n * sizeof *ridge);
    s->constant = true;
    for (int64_t i = 1; i < s->n; i++)
        s->constant = s->constant && ridge[i] == ridge[0];
}

static ntk_status read_again(struct ntk_solver *s)
{
    return ntk_solver_read(s, s->class->bytes(s->n), "a kernel matrix of this many samples");
}

ntk_status ntk_solver_factor(struct ntk_solver *s, const double *ridge, char *how, size_t size)
{
    ntk_status status;

    *how = '\0';
    set_ridge(s, ridge);
    s->factored = false;
    NTK_TRY(read_again(s));
    status = s->class->factor(s, how, size);
    s->factored = status == NTK_OK && !*how;
    return status;
}

ntk_status ntk_solver_restored(struct ntk_solver *s, const double *ridge)
{
    set_ridge(s, ridge);
    s->factored = true;
    return s->class->restored ? s->class->restored(s) : NTK_OK;
}

/* ---- faces */

/* Of every face but eigenvectors: that the solver has it, and a factor. */
static ntk_status check(const struct ntk_solver *s, bool has, const char *what)
{
    if (!has)
        return ntk_fail(s->ctx, NTK_ENOTSUP, "the solver '%s' has no %s; others have: %s", s->class->name, what,
                        ntk_solver_names());
    return s->factored ? NTK_OK : ntk_fail(s->ctx, NTK_EINVAL, "the matrix has no factor yet, or none with this ridge");
}

ntk_status ntk_solver_solve(struct ntk_solver *s, int64_t m, double *x)
{
    NTK_TRY(check(s, true, "solutions"));
    return s->class->solve(s, m, x);
}

ntk_status ntk_solver_half(struct ntk_solver *s, int64_t m, double *x)
{
    NTK_TRY(check(s, s->class->half, "roots, which variances need"));
    return s->class->half(s, m, x);
}

ntk_status ntk_solver_log_determinant(struct ntk_solver *s, double *value)
{
    NTK_TRY(check(s, s->class->log_determinant, "determinant, which the likelihood needs"));
    return s->class->log_determinant(s, value);
}

ntk_status ntk_solver_inverse_diagonal(struct ntk_solver *s, double *d)
{
    NTK_TRY(check(s, s->class->inverse_diagonal, "diagonal of the inverse, which leave-one-out needs"));
    return s->class->inverse_diagonal(s, d);
}

ntk_status ntk_solver_extremes(struct ntk_solver *s, double *least, double *largest)
{
    NTK_TRY(check(s, true, "extreme eigenvalues"));
    /* What is added makes the relative error smaller; what is taken away would make it larger. */
    if (!s->constant || !s->ends.known || s->ridge[0] < s->ends.ridge) {
        NTK_TRY(s->class->extremes(s, least, largest));
        s->ends.known = s->constant;
        s->ends.ridge = s->ridge[0];
        s->ends.least = *least;
        s->ends.largest = *largest;
        return NTK_OK;
    }
    *least = s->ends.least + (s->ridge[0] - s->ends.ridge);
    *largest = s->ends.largest + (s->ridge[0] - s->ends.ridge);
    return NTK_OK;
}

ntk_status ntk_solver_eigen(struct ntk_solver *s, const struct ntk_eigen **eigen)
{
    if (!s->class->eigen)
        return check(s, false, "eigenvectors, which finite times need");
    NTK_TRY(read_again(s));
    return s->class->eigen(s, eigen);
}
