/* SPDX-License-Identifier: MIT
 *
 * fit.c - kernel matrix, ridge, factorisation, solution.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "kernel/kernel.h"
#include "predict/landmarks.h"
#include "predict/model.h"
#include "store/store.h"

/* ---- the matrix that cannot be solved */

/* Two equal samples, or -1. */
static void find_equal(const ntk_data *x, int64_t *first, int64_t *second)
{
    const size_t bytes = (size_t)ntk_features_of(x->shape) * x->dtype;
    const unsigned char *rows = x->x;
    const size_t size = (size_t)1 << 22;
    int64_t *table = malloc(size * sizeof *table);

    *first = *second = -1;
    for (size_t k = 0; table && k < size; k++)
        table[k] = -1;
    for (int64_t i = 0; table && i < x->n && (size_t)i < size / 2 && *first < 0; i++) {
        size_t at = ntk_hash(rows + (size_t)i * bytes, bytes) & (size - 1);

        for (; table[at] >= 0 && *first < 0; at = (at + 1) & (size - 1))
            if (memcmp(rows + (size_t)table[at] * bytes, rows + (size_t)i * bytes, bytes) == 0) {
                *first = table[at];
                *second = i;
            }
        table[at] = i;
    }
    free(table);
}

struct ntk_ridge ntk_model_ridge(const ntk_model *m)
{
    return (struct ntk_ridge){.given = m->solution->diag_reg,
                              .absolute = m->solution->absolute,
                              .weights = m->weights,
                              .noise = m->noise,
                              .unit = m->solution->unit,
                              .spelling = m->opts.diag_reg_spelling ? m->opts.diag_reg_spelling
                                                                    : "diag_reg = "};
}

static int64_t number_of(const ntk_model *m, int64_t i) { return m->rows ? m->rows[i] : i; }

/* The matrix is read again for the hint: its factor has overwritten it. */
static ntk_status not_positive(const ntk_model *m, const char *how)
{
    const struct ntk_ridge ridge = ntk_model_ridge(m);
    struct ntk_solution *s = m->solution;
    int64_t first = -1, second = -1;
    char equal[160] = "", hint[160];

    if (m->x)
        find_equal(m->x, &first, &second);
    if (first >= 0)
        snprintf(equal, sizeof equal, "; samples %lld and %lld are equal (counted from 0)",
                 (long long)number_of(m, first), (long long)number_of(m, second));
    ntk_solver_free(s->solver);
    s->solver = NULL;
    NTK_TRY(ntk_ridge_hint(m->ctx, &ridge, s->k, s->which, hint, sizeof hint));
    return ntk_fail(m->ctx, NTK_ENUMERIC,
                    "the %lld x %lld kernel matrix is not positive definite: %s%s%s",
                    (long long)m->n, (long long)m->n, how, equal, hint);
}

/* ---- the operator */

/* The NNGP, of which only variances are made, need not be in a store. */
ntk_status ntk_model_stored(const ntk_model *m, unsigned *want)
{
    unsigned there;

    *want = ntk_model_want(&m->opts);
    NTK_TRY(ntk_store_kernels(m->ctx, m->store, m->net, &there));
    if (m->both && there == NTK_NTK)
        *want = NTK_NTK;
    return NTK_OK;
}

static ntk_status of_kernel(const ntk_model *m, const ntk_net *const *nets, size_t n_nets, size_t own,
                                     struct ntk_solution *s)
{
    const ntk_net *net = m->net;
    unsigned want;

    s->which = m->both ? 1 : 0;
    if (!m->store)
        return ntk_operator_of_kernel(m->both ? m->both : m->mean, m->x, &s->k);
    NTK_TRY(ntk_model_stored(m, &want));
    s->which = want == (NTK_NNGP | NTK_NTK) ? 2 * own + 1 : own;
    return ntk_operator_of_store(m->ctx, m->store, n_nets ? nets : &net, n_nets ? n_nets : 1, want, m->opts.dtype, m->x,
                                 &s->k);
}

/* Whether the operator has the NNGP matrix of an ensemble, before its own. */
static bool has_nngp(const ntk_model *m) { return ntk_model_ensemble(&m->opts) && m->solution->which > 0; }

static ntk_status of_given(const ntk_model *m, struct ntk_solution *s)
{
    static const char *const one[] = {"k"}, *const two[] = {"nngp", "k"};

    s->which = m->k[1] ? 1 : 0;
    return ntk_operator_of_arrays(m->ctx, m->n, m->k[1] ? 2 : 1, m->k, m->k[1] ? two : one, m->opts.dtype, &s->k);
}

ntk_status ntk_model_open(const ntk_model *m, const ntk_net *const *nets, size_t n_nets, size_t own)
{
    return m->net ? of_kernel(m, nets, n_nets, own, m->solution) : of_given(m, m->solution);
}

/* ---- reading */

ntk_status ntk_model_nngp(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;

    NTK_TRY(ntk_operator_of_packed(m->ctx, m->n, 1, m->opts.dtype, &s->own_nngp));
    s->nngp = ntk_packed_matrix(s->own_nngp, 0);
    return NTK_OK;
}

ntk_status ntk_model_solver(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;

    const struct ntk_solver_class *class = ntk_model_solver_class(&m->opts);

    if (!s->solver)
        NTK_TRY(ntk_solver_new(m->ctx, class, s->k, s->which,
                               ntk_bytes(ntk_model_beside(&m->opts, m->n, m->outputs)), &s->solver));
    s->solver->tolerance = m->opts.tolerance > 0 ? m->opts.tolerance : class->tolerance;
    s->solver->rank = m->opts.rank;
    s->solver->scratch = m->scratch;
    s->solver->triangle = m->opts.triangle;
    return NTK_OK;
}

void ntk_model_ready(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;

    s->ready = true;
    s->solver->counted = true;
    ntk_ctx_release(m->ctx, s->held);
    s->held = 0;
    ntk_ctx_keep(m->ctx, ntk_model_matrices(&m->opts, m->n, m->outputs), &s->held);
}

/* Room for what the operator's matrices are read into: the solver or, with keep, a packed operator. */
ntk_status ntk_model_take(const ntk_model *m, struct ntk_taker *k, struct ntk_taker *nngp)
{
    struct ntk_solution *s = m->solution;
    const bool ensemble = ntk_model_ensemble(&m->opts);

    *k = *nngp = (struct ntk_taker){NULL, NULL};
    if (m->opts.keep) {
        NTK_TRY(ntk_operator_of_packed(m->ctx, m->n, ensemble ? 2 : 1, m->opts.dtype, &s->packed));
        *k = ntk_packed_taker(s->packed, ensemble ? 1 : 0);
        if (ensemble)
            *nngp = ntk_packed_taker(s->packed, 0);
        return NTK_OK;
    }
    NTK_TRY(ntk_model_solver(m));
    *k = ntk_solver_taker(s->solver);
    if (has_nngp(m) && !s->nngp && !s->solver->class->eigen) { /* whose workspace is larger: it comes after */
        NTK_TRY(ntk_model_nngp(m));
        *nngp = ntk_packed_taker(s->own_nngp, 0);
    }
    return NTK_OK;
}

/* After it: the packed operator is the model's. */
static void adopt(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    const bool ensemble = ntk_model_ensemble(&m->opts);

    if (s->k)
        s->packed->precision = s->k->precision; /* known once all has been read */
    ntk_solver_free(s->solver); /* of the other operator */
    s->solver = NULL;
    ntk_operator_free(s->k);
    ntk_operator_free(s->own_nngp); /* it is packed, too */
    s->own_nngp = NULL;
    s->k = s->packed;
    s->packed = NULL;
    s->which = ensemble ? 1 : 0;
    s->kept = true;
    s->nngp = ensemble ? ntk_packed_matrix(s->k, 0) : NULL;
}

ntk_status ntk_model_taken(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;

    if (!m->opts.keep)
        return ntk_solver_taken(s->solver);
    adopt(m);
    return NTK_OK;
}

/* From the model's operator. */
static ntk_status read_into(const ntk_model *m, struct ntk_taker taker, struct ntk_taker nngp)
{
    const struct ntk_solution *s = m->solution;
    struct ntk_taker *takers;
    ntk_status status;

    if (!taker.put && !nngp.put)
        return NTK_OK;
    takers = ntk_alloc_zero(m->ctx, s->k->count, sizeof *takers);
    if (!takers)
        return NTK_ENOMEM;
    takers[s->which] = taker;
    if (nngp.put)
        takers[s->which - 1] = nngp;
    status = ntk_operator_read(s->k, takers, ntk_model_matrices(&m->opts, m->n, m->outputs),
                               m->opts.finite_time ? "an eigen-decomposition of this many samples"
                                                   : "a kernel matrix of this many samples");
    free(takers);
    return status;
}

static ntk_status read_matrices(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    struct ntk_taker k, nngp;

    if (!s->k)
        NTK_TRY(ntk_model_open(m, NULL, 0, 0));
    if (!s->kept && !(s->solver && s->solver->there)) {
        NTK_TRY(ntk_model_take(m, &k, &nngp));
        NTK_TRY(read_into(m, k, nngp));
        NTK_TRY(ntk_model_taken(m));
    }
    return NTK_OK;
}

static ntk_status read_nngp(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    const ntk_net *net = m->net;
    struct ntk_operator *o;
    struct ntk_taker taker;
    ntk_kernel *kernel = NULL;
    ntk_status status;

    NTK_TRY(ntk_model_nngp(m));
    taker = ntk_packed_taker(s->own_nngp, 0);
    if (!net || (m->store && has_nngp(m))) /* the operator has its numbers */
        return read_into(m, (struct ntk_taker){NULL, NULL}, taker);
    if (m->store)
        ntk_log(m->ctx, 0, "%s has no nngp matrix, which variances need: it is computed", m->store);
    NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, NTK_NNGP, m->opts.dtype, m->x->shape, &kernel));
    status = ntk_operator_of_kernel(kernel, m->x, &o);
    if (status == NTK_OK) {
        status = ntk_operator_read(o, &taker, ntk_model_matrices(&m->opts, m->n, m->outputs),
                                   "covariances of this many samples");
        ntk_operator_free(o);
    }
    ntk_kernel_free(kernel);
    return status;
}

/* ---- solving */

#define SLICE 8192 /* samples that are prepared at once */

/* Adds the kernel of samples first ... with themselves. */
static ntk_status add_own(const ntk_model *m, const ntk_data *x, int64_t first, int64_t n, double *d, double *sum)
{
    ntk_data *slice;
    ntk_status status;

    NTK_TRY(ntk_data_slice(x, first, n, &slice));
    status = ntk_kernel_diagonal(m->mean, slice, (double *[]){d});
    for (int64_t i = 0; i < n && status == NTK_OK; i++)
        *sum += d[i];
    ntk_data_free(slice);
    return status == NTK_OK ? ntk_poll(m->ctx) : status;
}

ntk_status ntk_model_mean_of_samples(const ntk_model *m, double *mean)
{
    double *d = ntk_alloc(m->ctx, (size_t)ntk_least(SLICE, m->n), sizeof *d), sum = 0;
    ntk_data *alone = NULL;
    ntk_status status = d ? ntk_data_with(m->x, NULL, &alone) : NTK_ENOMEM;

    for (int64_t first = 0; first < m->n && status == NTK_OK; first += SLICE)
        status = add_own(m, alone, first, ntk_least(SLICE, m->n - first), d, &sum);
    ntk_data_free(alone);
    free(d);
    sum /= (double)m->n;
    if (status == NTK_OK)
        status = ntk_check_finite(m->ctx, "the diagonal's mean", &sum, 1, 1);
    if (status == NTK_OK)
        *mean = sum;
    return status;
}

ntk_status ntk_model_mean_diagonal(const ntk_model *m, struct ntk_solver *solver, double *mean)
{
    struct ntk_solution *s = m->solution;

    if (ntk_model_copies(m) == 1)
        return ntk_solver_mean_diagonal(solver, mean);
    if (!(s->unit > 0))
        NTK_TRY(ntk_model_mean_of_samples(m, &s->unit));
    *mean = s->unit;
    return NTK_OK;
}

static ntk_status set_ridge(const ntk_model *m, char *how, size_t size)
{
    const struct ntk_ridge given = ntk_model_ridge(m);
    struct ntk_solution *s = m->solution;
    double *ridge, mean;
    ntk_status status;

    NTK_TRY(ntk_model_mean_diagonal(m, s->solver, &mean));
    s->ridge = given.given * (given.absolute ? 1 : mean);
    NTK_TRY(ntk_check_finite(m->ctx, "the ridge", &s->ridge, 1, 1));
    ridge = ntk_alloc(m->ctx, (size_t)m->n, sizeof *ridge);
    if (!ridge)
        return NTK_ENOMEM;
    ntk_model_diagonal(m, s->ridge, ridge);
    status = ntk_solver_factor(s->solver, ridge, how, size);
    free(ridge);
    return status;
}

double ntk_model_added(const ntk_model *m)
{
    const struct ntk_ridge r = ntk_model_ridge(m);
    double added;

    ntk_ridge_diagonal(&r, 1, m->solution->ridge, &added);
    return added;
}

/* Eigenvalues with what is added to them, which spectral.h takes. */
static ntk_status set_values(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    const struct ntk_eigen *e;

    if (!s->solver->class->eigen) {
        free(s->values); /* of another solver, before */
        s->values = NULL;
        return NTK_OK;
    }
    NTK_TRY(ntk_solver_eigen(s->solver, &e));
    if (!s->values)
        s->values = ntk_alloc(m->ctx, (size_t)m->n, sizeof *s->values);
    if (!s->values)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < m->n; i++)
        s->values[i] = e->values[i] + ntk_model_added(m);
    return NTK_OK;
}

static ntk_status name_checkpoint(const ntk_model *m, const char *name, char **path, char **about)
{
    const ntk_net *net = m->net;
    struct ntk_text t = {0};

    NTK_TRY(ntk_store_describe(m->ctx, &net, 1, ntk_model_want(&m->opts), m->opts.dtype, m->x, NULL, NULL, about));
    ntk_text_add(&t, "%s", name);
    if (!m->checkpoint) /* a store has several matrices */
        ntk_text_add(&t, ".%08x.cg", (unsigned)ntk_hash(*about, strlen(*about)));
    *path = t.s;
    return t.failed ? ntk_fail(m->ctx, NTK_ENOMEM, "no memory for a file's name") : NTK_OK;
}

/* Where a solver that keeps solutions on the way has them: to be freed. */
static ntk_status checkpoint_of(const ntk_model *m, char **path, char **about)
{
    const char *name = m->checkpoint ? m->checkpoint : m->store;

    *path = *about = NULL;
    if (!name || !m->net || !m->solution->solver->class->checkpoints)
        return NTK_OK;
    return ntk_ranks_agree(m->ctx, name_checkpoint(m, name, path, about));
}

/* alpha of the targets, by the factor. */
static ntk_status solve_targets(const ntk_model *m)
{
    struct ntk_solver *s = m->solution->solver;
    char *path, *about;
    ntk_status status = checkpoint_of(m, &path, &about);

    m->solution->solved = false;
    memcpy(m->alpha, m->y, (size_t)(m->outputs * m->n) * sizeof *m->y);
    s->checkpoint = (struct ntk_checkpoint){path, about, m->checkpoint};
    s->again = true;
    if (status == NTK_OK)
        status = ntk_solver_solve(s, m->outputs, m->alpha);
    s->again = false;
    s->checkpoint = (struct ntk_checkpoint){0};
    free(path);
    free(about);
    NTK_TRY(status);
    NTK_TRY(ntk_check_finite(m->ctx, "the solution", m->alpha, m->outputs, m->n));
    m->solution->solved = true;
    return NTK_OK;
}

ntk_status ntk_model_factor(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    char how[200];

    if (s->diag_reg == NTK_DIAG_REG_AUTO) {
        s->absolute = false;
        NTK_TRY(ntk_model_choose(m, &s->diag_reg));
    }
    NTK_TRY(set_ridge(m, how, sizeof how));
    if (*how)
        return not_positive(m, how);
    NTK_TRY(set_values(m));
    return solve_targets(m);
}

/* From the matrices, which have been read, to the solution. */
ntk_status ntk_model_finish(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;

    NTK_TRY(ntk_model_solver(m));
    NTK_TRY(ntk_model_factor(m));
    if (ntk_model_ensemble(&m->opts) && !s->nngp)
        NTK_TRY(read_nngp(m));
    ntk_model_ready(m);
    return NTK_OK;
}

static ntk_status solve(const ntk_model *m)
{
    const struct ntk_solver_class *class = ntk_model_solver_class(&m->opts);

    NTK_TRY(ntk_model_same(m));
    if (class->eigen || !class->half)
        NTK_TRY(ntk_ctx_check_memory(m->ctx, ntk_model_peak(&m->opts, m->n, m->outputs),
                                     class->eigen ? "an eigen-decomposition of this many samples" : "a fit of this many samples"));
    NTK_TRY(read_matrices(m));
    return ntk_model_finish(m);
}

/* All but what the matrix is read from. */
void ntk_model_forget(struct ntk_solution *s)
{
    ntk_solver_free(s->solver);
    ntk_operator_free(s->own_nngp);
    ntk_operator_free(s->packed);
    free(s->values);
    s->solver = NULL;
    s->own_nngp = s->packed = NULL;
    s->nngp = s->kept && s->which > 0 ? ntk_packed_matrix(s->k, s->which - 1) : NULL;
    s->values = NULL;
    s->ready = s->solved = false;
}

ntk_status ntk_model_solve(const ntk_model *m)
{
    struct ntk_blas blas;
    ntk_status status = NTK_OK;

    if (m->land)
        return ntk_landmarks_solve(m);
    blas = ntk_blas_begin(m->ctx->threads);
    if (!m->solution->ready) {
        status = solve(m);
        if (status != NTK_OK)
            ntk_model_forget(m->solution);
    } else if (!m->solution->solved) {
        status = solve_targets(m);
    }
    ntk_blas_end(blas);
    return status;
}

ntk_status ntk_model_fit(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, const double *y,
                         int64_t outputs, const ntk_fit_opts *opts, ntk_model **model)
{
    const struct ntk_task task = {.net = net, .x = x, .n = x->n, .outputs = outputs};
    ntk_fit_opts o;
    ntk_model *m = NULL;
    ntk_status status = ntk_fit_opts_read(ctx, opts, &task, true, &o);

    if (status == NTK_OK)
        status = ntk_model_new(ctx, net, x, NULL, x->n, y, outputs, &o, &m);
    status = ntk_ranks_agree(ctx, status);
    if (status == NTK_OK)
        status = ntk_model_solve(m);
    if (status != NTK_OK) {
        ntk_model_free(m);
        return status;
    }
    *model = m;
    return NTK_OK;
}
