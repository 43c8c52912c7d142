/* SPDX-License-Identifier: MIT
 *
 * fit.c - kernel matrix, ridge, factorisation, solution.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "base/sized.h"
#include "kernel/kernel.h"
#include "predict/landmarks.h"
#include "predict/model.h"
#include "store/store.h"

static const ntk_fit_opts defaults = {
    .size = sizeof defaults, .posterior = NTK_POSTERIOR_NTK, .dtype = NTK_F64};
static const struct ntk_sized sized = NTK_SIZED(ntk_fit_opts, diag_reg_spelling, &defaults);

void ntk_fit_opts_init_sized(ntk_fit_opts *opts, size_t size)
{
    ntk_sized_init(&sized, opts, size);
}

const struct ntk_solver_class *ntk_model_solver_class(const ntk_fit_opts *o)
{
    const struct ntk_solver_class *class = NULL;

    (void)!ntk_solver_find(NULL, o->solver, &class); /* it was checked */
    return class;
}

bool ntk_model_by_landmarks(const ntk_fit_opts *o) { return strcmp(ntk_model_solver_name(o), "landmarks") == 0; }

const char *ntk_fit_opts_foreign(const ntk_fit_opts *o, const struct ntk_solver_class *class, const char **whose)
{
    *whose = "the solver 'cg'";
    if (o->triangle && !(class && class->triangles))
        return "triangle";
    *whose = "the solvers 'cg' and 'landmarks'";
    if (o->checkpoint && class && !class->checkpoints)
        return "checkpoint";
    *whose = "the solver 'out-of-core'";
    return o->scratch && !(class && class->reads) ? "scratch" : NULL;
}

/* What the solver that was asked for does not have. */
static ntk_status check_asked(ntk_ctx *ctx, const ntk_fit_opts *o, const struct ntk_solver_class *class)
{
    const char *whose, *what = ntk_fit_opts_foreign(o, class, &whose);

    if (what)
        return ntk_fail(ctx, NTK_EINVAL, "%s is of %s, not of '%s'", what, whose, class->name);
    if (o->finite_time && !class->eigen)
        return ntk_fail(ctx, NTK_EINVAL, "finite times need the solver 'eigen', got '%s'", class->name);
    if (o->diag_reg == NTK_DIAG_REG_AUTO && !class->inverse_diagonal)
        return ntk_fail(ctx, NTK_EINVAL,
                        "the solver '%s' has no leave-one-out errors, by which a ridge is chosen: give one, or take 'eigen', "
                        "'cholesky' or 'out-of-core'", class->name);
    return NTK_OK;
}

/* A kernel's entries are on all ranks, which have no matrix of it; a store's, and a given matrix's, each can have. */
static ntk_status check_ranks(ntk_ctx *ctx, const ntk_fit_opts *o, const struct ntk_task *task,
                              const struct ntk_solver_class *class)
{
    const bool shared = ntk_n_ranks(ctx) > 1 && task->net && !o->store;

    if (shared && ntk_model_ensemble(o))
        return ntk_fail(ctx, NTK_ENOTSUP,
                        "covariances of the NTK's ensemble are one process's, as they need the NNGP matrix: run it without "
                        "mpirun, or take the posterior NNGP or NTKGP");
    if (!(shared && class->put) && !(class->reads && ntk_n_ranks(ctx) > 1))
        return NTK_OK;
    return ntk_fail(ctx, NTK_ENOTSUP, "the solver '%s'%s is one process's: run it without mpirun, or take 'scalapack' or 'cg'",
                    class->name, class->eigen ? ", which finite times and the choice of a ridge need," : "");
}

ntk_status ntk_fit_opts_choose(ntk_ctx *ctx, const ntk_fit_opts *given, const struct ntk_task *task, ntk_fit_opts *own,
                               struct ntk_choice *choice)
{
    const struct ntk_solver_class *class = NULL;
    bool asked;

    NTK_TRY(ntk_sized_read(ctx, &sized, given, own));
    if (own->solver && ntk_model_by_landmarks(own)) {
        *choice = (struct ntk_choice){.asked = true, .scratch = task->scratch};
        ntk_model_find_left(ctx, task, choice);
        return ntk_landmarks_check(ctx, own, task);
    }
    if (own->landmarks)
        return ntk_fail(ctx, NTK_EINVAL, "landmarks are of the solver 'landmarks', got '%s'", ntk_model_solver_name(own));
    asked = own->solver != NULL;
    if (asked) {
        NTK_TRY(ntk_solver_find(ctx, own->solver, &class));
        NTK_TRY(check_asked(ctx, own, class));
    }
    own->solver = ntk_model_solver_name(own);
    if (!asked && task->net && ntk_n_ranks(ctx) > 1 && strcmp(own->solver, "cholesky") == 0)
        own->solver = "scalapack";
    class = ntk_model_solver_class(own);
    NTK_TRY(check_ranks(ctx, own, task, class));
    /* The choice of a ridge by one factorisation after another needs the matrix each time. */
    own->keep = own->keep || (own->diag_reg == NTK_DIAG_REG_AUTO && !class->eigen && !class->reads);
    return ntk_model_choose_solver(ctx, task, asked, own, choice);
}

/* Options of solvers that were not taken do nothing. */
static void leave_out(ntk_ctx *ctx, bool say, ntk_fit_opts *own)
{
    const struct ntk_solver_class *class = ntk_model_solver_class(own);
    const char *whose, *what = ntk_fit_opts_foreign(own, class, &whose);

    if (say && what)
        ntk_log(ctx, 0, "%s is of %s, and does nothing: the solver is '%s'", what, whose, own->solver);
    own->triangle = class->triangles ? own->triangle : NULL;
    own->checkpoint = class->checkpoints ? own->checkpoint : NULL;
    own->scratch = class->reads ? own->scratch : NULL;
}

ntk_status ntk_fit_opts_read(ntk_ctx *ctx, const ntk_fit_opts *given, const struct ntk_task *task, bool say,
                             ntk_fit_opts *own)
{
    struct ntk_choice choice;

    NTK_TRY(ntk_fit_opts_choose(ctx, given, task, own, &choice));
    if (say && !ntk_model_by_landmarks(own)) /* whose plan checks for itself */
        NTK_TRY(ntk_model_check_choice(ctx, own, task, &choice));
    if (say && choice.instead)
        ntk_log(ctx, 0, "the solver is '%s': %s", own->solver, choice.reason);
    if (!choice.asked)
        leave_out(ctx, say, own);
    if (say && !ntk_model_by_landmarks(own) && ntk_model_solver_class(own)->reads && own->diag_reg == NTK_DIAG_REG_AUTO && !own->store)
        ntk_log(ctx, 0, "for each of %d ridges the kernel is computed again: a store would keep it", NTK_RIDGES);
    return NTK_OK;
}

ntk_status ntk_model_opts(const ntk_model *m, ntk_fit_opts *opts)
{
    ntk_fit_opts o = m->opts;

    NTK_TRY(ntk_sized_check(m->ctx, &sized, opts));
    o.diag_reg = m->solution->diag_reg;
    o.diag_reg_absolute = m->solution->absolute;
    o.weights = m->weights;
    o.noise = m->noise;
    o.store = m->store;
    o.scratch = m->scratch;
    o.checkpoint = m->checkpoint;
    ntk_sized_write(&sized, &o, opts);
    return NTK_OK;
}

const char *ntk_model_solver_name(const ntk_fit_opts *o)
{
    const bool decomposed = o->finite_time || (o->diag_reg == NTK_DIAG_REG_AUTO && !o->weights && !o->noise);

    return o->solver ? o->solver : decomposed ? "eigen" : "cholesky";
}

unsigned ntk_model_want(const ntk_fit_opts *o)
{
    return o->posterior == NTK_POSTERIOR_NNGP ? NTK_NNGP : ntk_model_ensemble(o) ? NTK_NNGP | NTK_NTK : NTK_NTK;
}

bool ntk_model_ensemble(const ntk_fit_opts *o) { return o->posterior == NTK_POSTERIOR_NTK && o->covariance; }

/* ---- memory */

/* Beside the solver: targets, alpha, matrices that are kept. */
static double beside(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    const double packed = (double)n * ((double)n + 1) / 2 * sizeof(double);
    const int matrices = (o->keep ? 1 : 0) + (ntk_model_ensemble(o) ? 1 : 0);

    return matrices * packed + 2 * (double)outputs * (double)n * sizeof(double);
}

size_t ntk_model_matrices(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    return ntk_bytes(beside(o, n, outputs)) + ntk_model_solver_class(o)->bytes(n);
}

size_t ntk_model_peak(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    const struct ntk_solver_class *class = ntk_model_solver_class(o);
    ntk_fit_opts while_factoring = *o; /* the NNGP matrix comes after it, unless it is kept */

    if (class->put && class->eigen && !o->keep)
        while_factoring.covariance = 0;
    {
        const size_t peak = ntk_bytes(beside(&while_factoring, n, outputs)) + class->peak(n);
        const size_t after = ntk_model_matrices(o, n, outputs);

        return peak > after ? peak : after;
    }
}

size_t ntk_model_total(const ntk_fit_opts *o, int64_t n, int64_t outputs, size_t scratch)
{
    const size_t peak = ntk_model_peak(o, n, outputs), reading = ntk_model_matrices(o, n, outputs) + scratch;

    return peak > reading ? peak : reading;
}

static ntk_status bytes_by_landmarks(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, int64_t outputs,
                                     const ntk_fit_opts *o, size_t *bytes)
{
    struct ntk_landmark_plan plan;
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(ctx, &net, 1, ntk_model_want(o), o->dtype, x->shape, &kernel));
    status = ntk_landmark_plan(kernel, x, o, outputs, false, &plan);
    ntk_kernel_free(kernel);
    NTK_TRY(status);
    *bytes = plan.peak + ntk_landmark_targets(x->n, outputs);
    return NTK_OK;
}

ntk_status ntk_model_bytes(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, int64_t outputs,
                           const ntk_fit_opts *opts, size_t *bytes)
{
    ntk_fit_opts o;
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &(struct ntk_task){.net = net, .x = x, .n = x->n, .outputs = outputs}, false, &o));
    if (ntk_model_by_landmarks(&o))
        return bytes_by_landmarks(ctx, net, x, outputs, &o, bytes);
    NTK_TRY(ntk_kernel_new(ctx, &net, 1, ntk_model_want(&o), o.dtype, x->shape, &kernel));
    status = ntk_kernel_scratch(kernel, x, NULL, bytes);
    if (status == NTK_OK && o.store)
        *bytes += ntk_store_bytes(kernel, o.dtype, x->n, x->n);
    ntk_kernel_free(kernel);
    NTK_TRY(status);
    *bytes = ntk_model_total(&o, x->n, outputs, *bytes);
    return NTK_OK;
}

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
                               ntk_bytes(beside(&m->opts, m->n, m->outputs)), &s->solver));
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
