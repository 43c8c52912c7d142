/* SPDX-License-Identifier: MIT
 *
 * refit.c - other targets, another ridge, other weights for the same kernel matrix.
 */
#include <stdlib.h>
#include <string.h>

#include "predict/landmarks.h"
#include "predict/model.h"

static bool is_other(const char *asked, const char *own) { return asked && (!own || strcmp(asked, own) != 0); }

static ntk_status check_same(const ntk_model *m, const ntk_fit_opts *o)
{
    const bool landmarks = ntk_model_by_landmarks(o);
    const char *what = landmarks != (m->land != NULL)             ? "function, of landmarks or of all samples,"
                       : o->posterior != m->opts.posterior          ? "posterior"
                       : o->dtype != m->opts.dtype                ? "dtype"
                       : !!o->covariance != !!m->opts.covariance  ? "covariance"
                       : is_other(o->store, m->store)            ? "store"
                       : is_other(o->scratch, m->scratch)        ? "scratch folder"
                       : is_other(o->checkpoint, m->checkpoint)  ? "checkpoint"
                                                                  : NULL;

    return what ? ntk_fail(m->ctx, NTK_EINVAL, "another %s needs another model: ntk_model_fit", what) : NTK_OK;
}

/* What was fitted is no longer what is asked for. The matrix stays as far as it can. */
static void start_again(ntk_model *m, const ntk_fit_opts *o, bool other_targets)
{
    struct ntk_solution *s = m->solution;
    const bool other_rows = m->land && (o->landmarks != m->opts.landmarks ||
                                        (o->diag_reg == NTK_DIAG_REG_AUTO && !m->land->apart));
    const bool other = s->solver && strcmp(s->solver->class->name, o->solver) != 0;

    m->opts = *o;
    m->opts.weights = m->opts.noise = NULL;
    m->opts.store = m->opts.scratch = m->opts.checkpoint = NULL;
    m->opts.keep = (o->keep && !m->store) || s->kept;
    ntk_ctx_release(m->ctx, s->held);
    s->held = 0;
    if (s->solver)
        s->solver->counted = false;
    s->ready = s->solved = false;
    s->diag_reg = o->diag_reg;
    s->absolute = o->diag_reg_absolute;
    if (other) {
        ntk_solver_free(s->solver);
        s->solver = NULL;
    }
    if (m->land)
        ntk_landmarks_again(m, other_rows, other_targets || o->diag_reg == NTK_DIAG_REG_AUTO);
}

/* Landmarks add up weighted equations, which then are of the weights before; with noise, of the ridge before. */
static bool weighs_alike(const ntk_model *m, const ntk_fit_opts *o)
{
    if (m->noise || o->noise || !m->weights != !o->weights)
        return false;
    for (int64_t i = 0; o->weights && i < m->n; i++)
        if (m->weights[i] != o->weights[m->rows ? m->rows[i] : i])
            return false;
    return true;
}

ntk_status ntk_model_refit(ntk_model *m, const double *y, int64_t outputs, const ntk_fit_opts *opts)
{
    const struct ntk_task task = {.net = m->net,
                                  .x = m->x,
                                  .n = m->n_all,
                                  .outputs = y ? outputs : m->outputs,
                                  .freed = m->solution->held};
    ntk_fit_opts o;
    bool alike;

    if (y)
        NTK_TRY(ntk_model_check_targets(m->ctx, m->n_all, y, outputs));
    if (m->land)
        NTK_TRY(ntk_landmarks_check_fit(m));
    if (opts) {
        NTK_TRY(ntk_fit_opts_read(m->ctx, opts, &task, true, &o));
        NTK_TRY(check_same(m, &o));
        NTK_TRY(ntk_fit_opts_check(m->ctx, &o, m->n_all));
        if (o.diag_reg == NTK_DIAG_REG_AUTO)
            NTK_TRY(ntk_model_check_left_out(m, "a ridge by leave-one-out"));
        alike = weighs_alike(m, &o);
        NTK_TRY(ntk_model_weigh(m, &o));
        start_again(m, &o, y || !alike);
    }
    if (y) {
        NTK_TRY(ntk_model_set_targets(m, y, outputs));
        m->solution->solved = false;
        if (m->land)
            ntk_landmarks_again(m, false, true);
        if (m->solution->ready)
            ntk_model_ready(m); /* with as many targets */
    }
    return ntk_model_solve(m);
}
