/* SPDX-License-Identifier: MIT
 *
 * options.c - options of a fit: their defaults, whether they go together, the solver that follows from them, and the memory
 * that it takes.
 */
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

static ntk_status one_process(ntk_ctx *ctx, const char *solver, const char *why)
{
    return ntk_fail(ctx, NTK_ENOTSUP, "the solver '%s'%s is one process's: run it without mpirun, or take 'scalapack' or 'cg'",
                    solver, why);
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
    return one_process(ctx, class->name, class->eigen ? ", which finite times and the choice of a ridge need," : "");
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
        NTK_TRY(ntk_landmarks_check(ctx, own, task));
        return ntk_n_ranks(ctx) > 1 ? one_process(ctx, own->solver, "") : NTK_OK;
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

    for (const char *whose, *what; (what = ntk_fit_opts_foreign(own, class, &whose));) {
        if (say)
            ntk_log(ctx, 0, "%s is of %s, and does nothing: the solver is '%s'", what, whose, own->solver);
        *(strcmp(what, "triangle") == 0     ? &own->triangle
          : strcmp(what, "checkpoint") == 0 ? &own->checkpoint
                                            : &own->scratch) = NULL;
    }
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

double ntk_model_beside(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    const double packed = (double)n * ((double)n + 1) / 2 * sizeof(double);
    const int matrices = (o->keep ? 1 : 0) + (ntk_model_ensemble(o) ? 1 : 0);

    return matrices * packed + 2 * (double)outputs * (double)n * sizeof(double);
}

size_t ntk_model_matrices(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    return ntk_bytes(ntk_model_beside(o, n, outputs)) + ntk_model_solver_class(o)->bytes(n);
}

size_t ntk_model_peak(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    const struct ntk_solver_class *class = ntk_model_solver_class(o);
    ntk_fit_opts while_factoring = *o; /* the NNGP matrix comes after it, unless it is kept */

    if (class->put && class->eigen && !o->keep)
        while_factoring.covariance = 0;
    {
        const size_t peak = ntk_bytes(ntk_model_beside(&while_factoring, n, outputs)) + class->peak(n);
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
