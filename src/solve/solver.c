/* SPDX-License-Identifier: MIT
 *
 * solver.c - see solver.h.
 */
#include "solve/solver.h"

#include <cblas.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SOLVER(file, name) extern const struct ntk_solver_class ntk_solver_class_##file;
#include "solve/solvers.def"
#undef SOLVER

const struct ntk_solver_class *const ntk_solvers[] = {
#define SOLVER(file, name) &ntk_solver_class_##file,
#include "solve/solvers.def"
#undef SOLVER
};
const size_t ntk_n_solvers = sizeof ntk_solvers / sizeof *ntk_solvers;

#define OTHER "landmarks" /* which solve another problem: predict/landmarks.h */

static const char all_names[] =
#define SOLVER(file, name) ", " name
#include "solve/solvers.def"
#undef SOLVER
    ", " OTHER;

const char *ntk_solver_names(void) { return all_names + strlen(", "); }

#define FACE(name) offsetof(struct ntk_solver_class, name)

static bool has(const struct ntk_solver_class *class, size_t face)
{
    void (*f)(void);

    memcpy(&f, (const char *)class + face, sizeof f);
    return f != NULL;
}

static bool takes_entries(const struct ntk_solver_class *class) { return class->put || class->reads; }
static bool takes_products(const struct ntk_solver_class *class, size_t face)
{
    (void)face;
    return !takes_entries(class);
}

/* The names of those of which it is true. */
static const char *names_of(bool (*is)(const struct ntk_solver_class *class, size_t face), size_t face,
                            char names[sizeof all_names])
{
    *names = '\0';
    for (size_t k = 0; k < ntk_n_solvers; k++) {
        const size_t n = strlen(names);

        if (is(ntk_solvers[k], face))
            (void)ntk_format(names + n, sizeof all_names - n, "%s%s", n ? ", " : "", ntk_solvers[k]->name);
    }
    return names;
}

int ntk_solver_has_leave_one_out(const char *name)
{
    const struct ntk_solver_class *class = NULL;

    return strcmp(name, OTHER) == 0 || (ntk_solver_find(NULL, name, &class) == NTK_OK && class->inverse_diagonal);
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
                          size_t beside, struct ntk_solver **solver)
{
    struct ntk_solver *s;

    NTK_TRY(class->open(ctx, k, beside, &s));
    *s = (struct ntk_solver){.class = class,
                             .ctx = ctx,
                             .k = k,
                             .which = which,
                             .n = k->n,
                             .beside = beside,
                             .precision = k->precision,
                             .there = !class->put,
                             .tolerance = NTK_TOLERANCE,
                             .last = {-1, (double)NAN, (double)NAN},
                             .diagonal = ntk_alloc(ctx, (size_t)k->n, sizeof *s->diagonal),
                             .ridge = ntk_alloc(ctx, (size_t)k->n, sizeof *s->ridge)};
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

bool ntk_spare(const ntk_ctx *ctx, size_t bytes)
{
    const size_t bound = ntk_ctx_memory(ctx), held = ctx->memory ? ctx->held : 0;

    return held < bound && bytes <= (bound - held) / 4 * 3;
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
    if (takes_entries(s->class) && !s->k->class->stream) {
        char names[sizeof all_names];

        return ntk_fail(s->ctx, NTK_ENOTSUP,
                        "%s has no entries, only products with vectors, and the solver '%s' takes entries; products are "
                        "enough for: %s",
                        s->k->class->name, s->class->name, names_of(takes_products, 0, names));
    }
    if (s->there)
        return NTK_OK;
    NTK_TRY(ntk_operator_read_one(s->k, s->which, ntk_solver_taker(s), held, what));
    return ntk_solver_taken(s);
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
    s->factored = s->warned = false;
    NTK_TRY(read_again(s));
    status = s->class->factor(s, how, size);
    s->factored = status == NTK_OK && !*how;
    return status;
}

size_t ntk_solver_uncounted(const struct ntk_solver *s)
{
    return s->counted ? 0 : s->beside + s->class->bytes(s->n);
}

ntk_status ntk_solver_multiply(struct ntk_solver *s, int64_t m, const double *x, double *out)
{
    size_t held = 0;
    ntk_status status;

    ntk_ctx_keep(s->ctx, ntk_solver_uncounted(s), &held);
    status = ntk_operator_apply(s->k, s->which, m, x, out);
    ntk_ctx_release(s->ctx, held);
    return status;
}

ntk_status ntk_solver_shifted(struct ntk_solver *s, const struct ntk_strips *k, int64_t m, const double *x, double *out)
{
    if (k && k->a)
        NTK_TRY(ntk_strips_multiply(s->ctx, k, m, x, out));
    else
        NTK_TRY(ntk_solver_multiply(s, m, x, out));
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < s->n; i++)
            out[c * s->n + i] += s->ridge[i] * x[c * s->n + i];
    return NTK_OK;
}

ntk_status ntk_shifted_in_place(double *x, void *user)
{
    const struct ntk_shifted *p = user;

    NTK_TRY(ntk_solver_shifted(p->s, p->k, 1, x, p->out));
    memcpy(x, p->out, (size_t)p->s->n * sizeof *x);
    return ntk_poll(p->s->ctx);
}

ntk_status ntk_solver_rows(struct ntk_solver *s, int64_t count, const int64_t *which, double *rows)
{
    size_t held = 0;
    ntk_status status;

    ntk_ctx_keep(s->ctx, ntk_solver_uncounted(s), &held);
    status = ntk_operator_rows(s->k, s->which, count, which, rows);
    ntk_ctx_release(s->ctx, held);
    return status;
}

/* Column i of L^-1 has squared norm (L L')^-1_ii. */
ntk_status ntk_inverse_by_half(struct ntk_solver *s, int64_t most, size_t beside, ntk_half_from_fn *half, double *d)
{
    const int64_t n = s->n, numbers = ntk_least(most, n) * n;
    double *x;
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_ctx_check_memory(s->ctx, beside + (size_t)numbers * sizeof *x, "the inverse's diagonal"));
    x = ntk_alloc(s->ctx, (size_t)numbers, sizeof *x);
    if (!x)
        return NTK_ENOMEM;
    for (int64_t first = 0; first < n && status == NTK_OK; first += most) {
        const int64_t m = ntk_least(most, n - first);

        memset(x, 0, (size_t)(m * n) * sizeof *x);
        for (int64_t i = 0; i < m; i++)
            x[i * n + first + i] = 1;
        status = half(s, first, m, x);
        for (int64_t i = 0; i < m && status == NTK_OK; i++)
            d[first + i] = cblas_ddot((int)(n - first), x + i * n + first, 1, x + i * n + first, 1);
        if (status == NTK_OK)
            status = ntk_progress(s->ctx, "rows", (double)(first + m), (double)n);
    }
    free(x);
    return status;
}

ntk_status ntk_solver_restored(struct ntk_solver *s, const double *ridge)
{
    set_ridge(s, ridge);
    s->factored = true;
    return s->class->restored ? s->class->restored(s) : NTK_OK;
}

void ntk_solver_solved(struct ntk_solver *s, int64_t steps, double residual)
{
    if (s->again) {
        s->last.steps = steps;
        s->last.residual = residual;
    }
    if (s->class->tolerance > 0 && residual > s->tolerance && s->tolerance != s->class->tolerance && !s->warned) {
        s->warned = true;
        ntk_log(s->ctx, 1, "%s: the residual is %.1e, not %g as the tolerance asks: rounding errors allow no less",
                s->class->name, residual, s->tolerance);
    }
}

/* ---- faces */

static ntk_status check_face(const struct ntk_solver *s, size_t face, const char *what)
{
    char names[sizeof all_names];

    if (has(s->class, face))
        return NTK_OK;
    return ntk_fail(s->ctx, NTK_ENOTSUP, "the solver '%s' has no %s, which these have: %s", s->class->name, what,
                    names_of(has, face, names));
}

/* Of every face but eigenvectors: that the solver has it, and a factor. */
static ntk_status check(const struct ntk_solver *s, size_t face, const char *what)
{
    NTK_TRY(check_face(s, face, what));
    return s->factored ? NTK_OK : ntk_fail(s->ctx, NTK_EINVAL, "the matrix has no factor yet, or none with this ridge");
}

ntk_status ntk_solver_solve(struct ntk_solver *s, int64_t m, double *x)
{
    NTK_TRY(check(s, FACE(solve), "solutions"));
    return s->class->solve(s, m, x);
}

ntk_status ntk_solver_half(struct ntk_solver *s, int64_t m, double *x)
{
    NTK_TRY(check(s, FACE(half), "roots for variances"));
    return s->class->half(s, m, x);
}

ntk_status ntk_solver_log_determinant(struct ntk_solver *s, double *value)
{
    NTK_TRY(check(s, FACE(log_determinant), "determinant for the likelihood"));
    return s->class->log_determinant(s, value);
}

ntk_status ntk_solver_inverse_diagonal(struct ntk_solver *s, double *d)
{
    NTK_TRY(check(s, FACE(inverse_diagonal), "diagonal of the inverse for leave-one-out"));
    return s->class->inverse_diagonal(s, d);
}

ntk_status ntk_solver_extremes(struct ntk_solver *s, double *least, double *largest)
{
    NTK_TRY(check(s, FACE(extremes), "extreme eigenvalues"));
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
    NTK_TRY(check_face(s, FACE(eigen), "eigenvectors for finite times"));
    NTK_TRY(read_again(s));
    return s->class->eigen(s, eigen);
}
