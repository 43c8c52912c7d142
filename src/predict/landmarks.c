/* SPDX-License-Identifier: MIT
 *
 * landmarks.c - fits by landmarks: a pass over the samples' kernel with them, panel by panel, that keeps it (falkon.h) or
 * adds up the whitened normal equations; the ridge that is best for samples that are held out.
 */
#include "predict/landmarks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "kernel/kernel.h"
#include "solve/falkon.h"
#include "solve/tiled.h"

#define TOLERANCE 1e-4 /* of conjugate gradients */
#define JITTER    1e-6 /* where entries are float32, or less */

/* ---- what can be asked for */

ntk_status ntk_landmarks_check(ntk_ctx *ctx, const ntk_fit_opts *o, const struct ntk_task *t)
{
    const char *what, *whose;

    if (!t->net)
        return ntk_fail(ctx, NTK_EINVAL, "landmarks are some of the samples: a given matrix has none; take another solver");
    if (o->finite_time)
        return ntk_fail(ctx, NTK_EINVAL, "finite times need the solver 'eigen', got 'landmarks'");
    if (o->store)
        return ntk_fail(ctx, NTK_EINVAL, "a store has the kernel matrix of all samples, of which landmarks need some columns: "
                                         "take another solver, or no store");
    if (o->posterior == NTK_POSTERIOR_NTK && o->covariance)
        return ntk_fail(ctx, NTK_EINVAL,
                        "covariances of the NTK's ensemble need the NNGP matrix of all samples, which landmarks do without: "
                        "'cholesky' and 'eigen' have them, and landmarks those of the posteriors NNGP and NTKGP");
    if ((what = ntk_fit_opts_foreign(o, NULL, &whose)))
        return ntk_fail(ctx, NTK_EINVAL, "%s is of %s, not of 'landmarks'", what, whose);
    if (o->diag_reg == NTK_DIAG_REG_AUTO && o->noise)
        return ntk_fail(ctx, NTK_EINVAL, "landmarks choose a ridge for samples without noise: give diag_reg, or no noise");
    if (o->landmarks < 0 || o->landmarks > INT32_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "landmarks must be at least 1, or 0: as many as memory and time allow; got %lld",
                        (long long)o->landmarks);
    return NTK_OK;
}

/* ---- the object */

void ntk_landmarks_free(struct ntk_landmarks *l)
{
    if (!l)
        return;
    ntk_data_free(l->x);
    free(l->rows);
    free(l->c);
    free(l->normal);
    free(l->right);
    free(l->inner);
    free(l->g);
    free(l);
}

/* What depends on targets, weights and the ridge. */
static void forget_equations(struct ntk_landmarks *l)
{
    free(l->normal);
    free(l->right);
    l->normal = l->right = NULL;
}

static void forget_solution(struct ntk_landmarks *l)
{
    free(l->inner);
    free(l->g);
    l->inner = l->g = NULL;
    l->steps = 0;
    l->residual = 0;
}

static void forget_landmarks(ntk_model *m)
{
    struct ntk_landmarks *l = m->land;

    ntk_samples_free(m->prepared->mean);
    m->prepared->mean = NULL;
    ntk_data_free(l->x);
    free(l->rows);
    free(l->c);
    *l = (struct ntk_landmarks){.m = 0};
}

void ntk_landmarks_again(ntk_model *m, bool other_rows, bool other_targets)
{
    struct ntk_landmarks *l = m->land;

    ntk_ctx_release(m->ctx, m->solution->held);
    m->solution->held = 0;
    m->solution->ready = m->solution->solved = false;
    forget_solution(l);
    if (other_rows || other_targets)
        forget_equations(l);
    if (other_rows)
        forget_landmarks(m);
}

size_t ntk_landmarks_held(const ntk_model *m)
{
    const struct ntk_landmarks *l = m->land;
    const size_t square = (size_t)l->m * (size_t)l->m * sizeof(double);
    const int squares = (l->c != NULL) + (l->normal != NULL) + (l->inner != NULL);

    return (size_t)squares * square +
           (size_t)(m->outputs * (2 * m->n + 2 * l->m)) * sizeof(double);
}

static void keep(const ntk_model *m)
{
    ntk_ctx_release(m->ctx, m->solution->held);
    m->solution->held = 0;
    ntk_ctx_keep(m->ctx, ntk_landmarks_held(m), &m->solution->held);
}

double ntk_landmarks_ridge(const ntk_model *m) { return m->noise ? 1 : m->solution->ridge; }

double ntk_landmarks_weight(const ntk_model *m, int64_t i)
{
    const double w = m->weights ? m->weights[i] : 1;

    return m->noise ? w / (m->solution->ridge + m->noise[i]) : w;
}

/* ---- a pass over all samples, with the progress of all */

struct telling {
    ntk_progress_fn *progress; /* the user's */
    void *user;
    double done, now, all; /* rows before the panel that is computed, of it, of all */
    double told;           /* it never falls */
};

static int tell(const char *what, double done, double total, void *user)
{
    struct telling *t = user;

    (void)what;
    t->told = fmax(t->told, t->done + (total > 0 ? 0.99 * t->now * done / total : 0));
    return t->progress("rows", t->told, t->all, t->user);
}

static ntk_status panels(const ntk_model *m, int64_t from, struct telling *t, double *panel, ntk_landmark_pass_fn *fn,
                         void *user)
{
    const struct ntk_test test = ntk_test_of(m->x);
    const int64_t most = ntk_landmark_rows(m->n);

    for (int64_t first = from; first < m->n; first += most) {
        const int64_t rows = ntk_least(most, m->n - first);

        t->done = (double)first;
        t->now = (double)rows;
        NTK_TRY(ntk_progress(m->ctx, "rows", 0, 1));
        NTK_TRY(ntk_model_panel(m, &test, first, rows, 0, panel, NULL));
        NTK_TRY(fn(user, first, rows, panel));
        NTK_TRY(ntk_progress(m->ctx, "rows", 1, 1));
    }
    return NTK_OK;
}

ntk_status ntk_landmarks_pass(const ntk_model *m, int64_t from, ntk_landmark_pass_fn *fn, void *user)
{
    ntk_ctx *ctx = m->ctx;
    struct telling t = {.progress = ctx->progress, .user = ctx->progress_user, .all = (double)m->n};
    double *panel = ntk_alloc(ctx, (size_t)ntk_landmark_rows(m->n) * (size_t)m->land->m, sizeof *panel);
    ntk_status status;

    if (!panel)
        return NTK_ENOMEM;
    if (t.progress)
        ntk_ctx_set_progress(ctx, tell, &t);
    status = panels(m, from, &t, panel, fn, user);
    ntk_ctx_set_progress(ctx, t.progress, t.user);
    free(panel);
    return status == NTK_OK ? ntk_progress(ctx, "rows", t.all, t.all) : status;
}

/* ---- whitened normal equations */

struct adding {
    const ntk_model *m;
    struct ntk_landmark_file *file;
    struct ntk_landmark_sums *sums;
    double *part, *y; /* rows of one of the two, and their targets [outputs][rows], by the roots of weights */
};

/* Rows that are, or are not, held out move to the front of what is theirs: the panel, or part. */
static int64_t gather(const struct adding *a, int64_t first, int64_t rows, double *panel, bool out)
{
    const ntk_model *m = a->m;
    const int64_t width = m->land->m, ld = ntk_landmark_rows(m->n);
    double *to = out ? a->part : panel;
    int64_t count = 0;

    for (int64_t i = 0; i < rows; i++) {
        const double root = sqrt(ntk_landmarks_weight(m, first + i));

        if (a->sums->out.gram && ntk_held_out(first + i) != out)
            continue;
        if (to + count * width != panel + i * width)
            memcpy(to + count * width, panel + i * width, (size_t)width * sizeof *to);
        for (int64_t j = 0; root != 1 && j < width; j++)
            to[count * width + j] *= root;
        for (int64_t c = 0; c < m->outputs; c++)
            a->y[c * ld + count] = root * m->y[c * m->n + first + i];
        count++;
    }
    return count;
}

static ntk_status add_rows(const struct adding *a, int64_t first, int64_t rows, double *panel)
{
    ntk_ctx *ctx = a->m->ctx;
    ntk_normal_add_fn *const add = first < a->sums->grams ? ntk_normal_add_targets : ntk_normal_add;
    const int64_t ld = ntk_landmark_rows(a->m->n);

    if (a->sums->out.gram) {
        const int64_t out = gather(a, first, rows, panel, true);

        if (out > 0)
            NTK_TRY(add(ctx, &a->sums->out, out, a->part, a->y, ld));
    }
    return add(ctx, &a->sums->fit, gather(a, first, rows, panel, false), panel, a->y, ld);
}

/* Sums are of whole panels: who cancels waits for the rest of one, and is asked no more. */
struct waiting {
    ntk_progress_fn *progress;
    void *user;
    bool cancelled;
};

static int wait_for_panel(const char *what, double done, double total, void *user)
{
    struct waiting *w = user;

    w->cancelled = w->cancelled || w->progress(what, done, total, w->user) != 0;
    return 0;
}

static ntk_status add_panel(void *user, int64_t first, int64_t rows, double *panel)
{
    const struct adding *a = user;
    struct ntk_landmark_sums *s = a->sums;
    ntk_ctx *ctx = a->m->ctx;
    struct waiting w = {ctx->progress, ctx->progress_user, false};
    ntk_status status;

    NTK_TRY(ntk_tiled_solve(ctx, false, a->m->land->m, a->m->land->c, rows, panel));
    if (w.progress && a->file->checkpoint.path)
        ntk_ctx_set_progress(ctx, wait_for_panel, &w);
    status = add_rows(a, first, rows, panel);
    ntk_ctx_set_progress(ctx, w.progress, w.user);
    NTK_TRY(status);
    s->rows = first + rows;
    s->grams = ntk_most(s->grams, s->rows);
    if (w.cancelled)
        return ntk_fail(ctx, NTK_ECANCEL, "cancelled after %lld of %lld rows", (long long)s->rows, (long long)a->m->n);
    if (a->file->checkpoint.path && ntk_pace_due(&a->file->pace))
        ntk_landmark_file_write(a->m, a->file, s);
    return NTK_OK;
}

static ntk_status equations_new(const ntk_model *m, struct ntk_normal *e)
{
    const size_t n = (size_t)m->land->m;

    *e = (struct ntk_normal){.m = m->land->m,
                             .outputs = m->outputs,
                             .gram = ntk_alloc_zero(m->ctx, n * n, sizeof(double)),
                             .right = ntk_alloc_zero(m->ctx, (size_t)m->outputs * n, sizeof(double))};
    return e->gram && e->right ? NTK_OK : NTK_ENOMEM;
}

static void equations_free(struct ntk_normal *e)
{
    free(e->gram);
    free(e->right);
}

/* Work that was cancelled leaves its sums in the file. */
static ntk_status leave(const ntk_model *m, struct ntk_landmark_file *file, struct ntk_landmark_sums *s, ntk_status status)
{
    if (status != NTK_ECANCEL || s->rows == 0 || !file->checkpoint.path)
        return status;
    ntk_landmark_file_write(m, file, s);
    if (!file->failed)
        ntk_log(m->ctx, 0, "%s has the sums of %lld of %lld rows: the same fit goes on from there", file->checkpoint.path,
                (long long)s->rows, (long long)m->n);
    return status;
}

static ntk_status pass(struct adding *a)
{
    ntk_pace_begin(&a->file->pace, (a->part ? 2.0 : 1.0) * (double)a->m->land->m * (double)a->m->land->m * sizeof(double));
    NTK_TRY(ntk_landmark_file_sums(a->m, a->file, a->sums));
    return leave(a->m, a->file, a->sums, ntk_landmarks_pass(a->m, a->sums->rows, add_panel, a));
}

/* The sums over all rows, apart where some are held out. */
static ntk_status add_up(const ntk_model *m, struct ntk_landmark_file *file, bool held_out, struct ntk_landmark_sums *s)
{
    const size_t rows = (size_t)ntk_landmark_rows(m->n);
    struct adding a = {.m = m, .file = file, .sums = s};
    ntk_status status = equations_new(m, &s->fit);

    a.y = ntk_alloc(m->ctx, rows * (size_t)m->outputs, sizeof *a.y);
    if (status == NTK_OK && held_out) {
        status = equations_new(m, &s->out);
        a.part = ntk_alloc(m->ctx, rows * (size_t)m->land->m, sizeof *a.part);
    }
    if (status == NTK_OK && (!a.y || (held_out && !a.part)))
        status = NTK_ENOMEM;
    if (status == NTK_OK)
        status = pass(&a);
    free(a.part);
    free(a.y);
    return status;
}

static ntk_status not_positive(const ntk_model *m, int64_t minor)
{
    return ntk_fail(m->ctx, NTK_ENUMERIC,
                    "the normal equations of the %lld landmarks are not positive definite, to rounding error: their minor of "
                    "order %lld; try %s1e-08, or fewer landmarks",
                    (long long)m->land->m, (long long)minor, ntk_model_ridge(m).spelling);
}

/* inner and g of the equations, which are kept where more ridges will come. */
static ntk_status solve_equations(const ntk_model *m)
{
    struct ntk_landmarks *l = m->land;
    const struct ntk_normal e = {.m = l->m, .outputs = m->outputs, .gram = l->normal};
    const size_t n = (size_t)l->m, numbers = (size_t)m->outputs * n;
    int64_t minor;

    l->inner = m->opts.keep ? ntk_alloc(m->ctx, n * n, sizeof *l->inner) : l->normal;
    if (!l->inner)
        return NTK_ENOMEM;
    if (!m->opts.keep)
        l->normal = NULL;
    NTK_TRY(ntk_normal_factor(m->ctx, &e, ntk_landmarks_ridge(m), l->inner, &minor));
    if (minor != 0)
        return not_positive(m, minor);
    l->g = ntk_alloc(m->ctx, numbers, sizeof *l->g);
    if (!l->g)
        return NTK_ENOMEM;
    memcpy(l->g, l->right, numbers * sizeof *l->g);
    return ntk_normal_solve(m->ctx, l->m, l->inner, m->outputs, l->g);
}

/* The ridge that is best for samples held out, which then count, too. */
static ntk_status choose_ridge(const ntk_model *m, struct ntk_landmark_sums *sums)
{
    struct ntk_solution *s = m->solution;
    double grid[NTK_RIDGES], ridges[NTK_RIDGES], errors[NTK_RIDGES];

    ntk_ridge_grid(grid);
    for (int k = 0; k < NTK_RIDGES; k++)
        ridges[k] = grid[k] * m->land->mean;
    NTK_TRY(ntk_normal_hold_out(m->ctx, &sums->fit, &sums->out, NTK_RIDGES, ridges, errors));
    s->diag_reg = grid[ntk_ridge_best(NTK_RIDGES, errors)];
    s->absolute = false;
    s->ridge = s->diag_reg * m->land->mean;
    ntk_log(m->ctx, 0, "%s%.3g has the least error of samples held out, about a tenth, of %d values from %g to %g",
            ntk_model_ridge(m).spelling, s->diag_reg, NTK_RIDGES, grid[0], grid[NTK_RIDGES - 1]);
    ntk_normal_unite(&sums->fit, &sums->out);
    return NTK_OK;
}

static ntk_status by_equations(const ntk_model *m, struct ntk_landmark_file *file)
{
    struct ntk_landmarks *l = m->land;
    const bool automatic = m->solution->diag_reg == NTK_DIAG_REG_AUTO;
    struct ntk_landmark_sums sums = {.rows = 0};
    ntk_status status = NTK_OK;

    if (!l->normal || automatic) {
        forget_equations(l);
        status = add_up(m, file, automatic, &sums);
        if (status == NTK_OK && automatic)
            status = leave(m, file, &sums, choose_ridge(m, &sums));
        l->normal = sums.fit.gram;
        l->right = sums.fit.right;
        equations_free(&sums.out);
    }
    if (status == NTK_OK)
        status = solve_equations(m);
    if (status != NTK_OK || !m->opts.keep)
        forget_equations(l);
    return status;
}

/* ---- the kernel in memory */

static double samples_of(const ntk_model *m)
{
    double sum = 0;

    for (int64_t i = 0; i < m->n; i++)
        sum += ntk_landmarks_weight(m, i);
    return sum;
}

static ntk_status put_panel(void *user, int64_t first, int64_t rows, double *panel)
{
    ntk_rectangle_put(user, first, rows, panel);
    return NTK_OK;
}

#define NOTICED 0.3 /* of what the fit leaves */

static void say_rounding(const ntk_model *m, const struct ntk_falkon *f)
{
    double usual;

    ntk_log(m->ctx, f->moved > NOTICED * f->off,
            "entries in 16 bits are right to %.1e of the diagonal's mean, which moves predictions by about %.1e; the fit leaves "
            "%.1e%s",
            ntk_rectangle_error(f->k, &usual) / m->land->mean, f->moved, f->off,
            f->moved > NOTICED * f->off ? ": take a larger ridge, or fewer landmarks or more memory for float32" : "");
}

static ntk_status by_gradients(const ntk_model *m, struct ntk_rectangle *k)
{
    struct ntk_landmarks *l = m->land;
    struct ntk_falkon f = {.k = k,
                           .c = l->c,
                           .ridge = ntk_landmarks_ridge(m),
                           .tolerance = m->opts.tolerance > 0 ? m->opts.tolerance : TOLERANCE};
    double *w = ntk_alloc(m->ctx, (size_t)m->n, sizeof *w);
    ntk_status status;

    l->g = ntk_alloc(m->ctx, (size_t)(m->outputs * l->m), sizeof *l->g);
    for (int64_t i = 0; w && i < m->n; i++)
        w[i] = ntk_landmarks_weight(m, i);
    f.samples = samples_of(m);
    f.w = m->weights || m->noise ? w : NULL;
    status = w && l->g ? ntk_landmarks_pass(m, 0, put_panel, k) : NTK_ENOMEM;
    if (status == NTK_OK)
        status = ntk_falkon_solve(&f, m->outputs, m->y, l->g);
    free(w);
    NTK_TRY(status);
    l->steps = f.steps;
    l->residual = f.residual;
    ntk_log(m->ctx, 0, "%lld steps of conjugate gradients, residual %.1e", (long long)f.steps, f.residual);
    if (k->bytes == 2)
        say_rounding(m, &f);
    return NTK_OK;
}

static ntk_status in_memory(const ntk_model *m, int bytes)
{
    struct ntk_rectangle k;
    ntk_status status;

    NTK_TRY(ntk_rectangle_new(m->ctx, m->n, m->land->m, bytes, &k));
    status = by_gradients(m, &k);
    ntk_rectangle_free(&k);
    return status;
}

/* ---- all of it */

static ntk_status set_ridge(const ntk_model *m)
{
    const struct ntk_ridge given = ntk_model_ridge(m);
    struct ntk_solution *s = m->solution;

    if (s->diag_reg == NTK_DIAG_REG_AUTO) {
        for (int64_t i = 0; i < m->n; i++)
            if (ntk_held_out(i) && m->n > 1)
                return NTK_OK; /* it is chosen later */
        return ntk_fail(m->ctx, NTK_EINVAL, "landmarks choose a ridge by samples that are held out, about a tenth: %lld are too "
                                            "few; give diag_reg",
                        (long long)m->n);
    }
    s->ridge = given.given * (given.absolute ? 1 : m->land->mean);
    NTK_TRY(ntk_check_finite(m->ctx, "the ridge", &s->ridge, 1, 1));
    for (int64_t i = 0; m->noise && i < m->n; i++)
        if (!(s->ridge + m->noise[i] > 0))
            return ntk_fail(m->ctx, NTK_EINVAL,
                            "landmarks need a ridge or noise above 0 for each sample, where some have noise: sample %lld has 0",
                            (long long)(m->rows ? m->rows[i] : i));
    return NTK_OK;
}

/* a = C'^-1 g. */
static ntk_status set_alpha(const ntk_model *m)
{
    const struct ntk_landmarks *l = m->land;

    memcpy(m->alpha, l->g, (size_t)(m->outputs * l->m) * sizeof *m->alpha);
    NTK_TRY(ntk_tiled_solve(m->ctx, true, l->m, l->c, m->outputs, m->alpha));
    return ntk_check_finite(m->ctx, "the solution", m->alpha, m->outputs, l->m);
}

static void say(const ntk_model *m, const struct ntk_landmark_plan *p)
{
    if (p->why)
        ntk_log(m->ctx, 0, "%lld landmarks of %lld samples, %s", (long long)p->m, (long long)m->n, p->why);
    if (p->kept)
        ntk_log(m->ctx, 0, "the kernel of %lld samples and %lld landmarks is kept in %s, %.2f GiB%s%s", (long long)m->n,
                (long long)p->m, p->kept == 4 ? "float32" : "16 bits", (double)p->kept * (double)m->n * (double)p->m / 0x1p30,
                m->checkpoint ? ", and not in " : "", m->checkpoint ? m->checkpoint : "");
}

static ntk_status choose(const ntk_model *m, const struct ntk_landmark_plan *p, struct ntk_landmark_file *file)
{
    ntk_status status;

    NTK_TRY(ntk_ctx_hold(m->ctx, p->choosing, "choosing this many landmarks"));
    status = ntk_landmarks_choose(m, p, m->solution->diag_reg == NTK_DIAG_REG_AUTO);
    ntk_ctx_release(m->ctx, p->choosing);
    if (status == NTK_OK)
        ntk_landmark_file_write(m, file, NULL);
    return status;
}

static ntk_status fit(const ntk_model *m, const struct ntk_landmark_plan *p, struct ntk_landmark_file *file)
{
    struct ntk_landmarks *l = m->land;

    if (l->mean == 0)
        NTK_TRY(ntk_model_mean_of_samples(m, &l->mean));
    NTK_TRY(set_ridge(m));
    NTK_TRY(p->kept ? in_memory(m, p->kept) : by_equations(m, file));
    return set_alpha(m);
}

/* A fit that goes on has as many landmarks as were planned then, and the same kind of equations. */
static ntk_status plan_and_fit(const ntk_model *m, struct ntk_landmark_file *file)
{
    struct ntk_landmark_plan plan;
    ntk_fit_opts o = m->opts;
    ntk_status status;

    if (m->land->x) /* they stay */
        o.landmarks = ntk_most(file->planned, m->land->m);
    else if (file->planned)
        o.landmarks = file->planned;
    NTK_TRY(ntk_landmark_plan(m->mean, m->x, &o, m->outputs, file->grams > 0, &plan));
    file->planned = plan.m;
    if (!m->land->c)
        say(m, &plan);
    if (!m->land->x)
        NTK_TRY(choose(m, &plan, file));
    if (!m->land->c)
        NTK_TRY(ntk_landmarks_factor(m, plan.kept || m->opts.dtype == NTK_F32 ? JITTER : 0));
    NTK_TRY(ntk_ctx_hold(m->ctx, plan.fitting, "a fit by this many landmarks"));
    status = fit(m, &plan, file);
    ntk_ctx_release(m->ctx, plan.fitting);
    m->solution->ready = m->solution->solved = status == NTK_OK;
    return status;
}

static ntk_status go_on(const ntk_model *m)
{
    struct ntk_landmark_file file;
    ntk_status status = ntk_landmark_file_begin(m, &file);

    if (status == NTK_OK)
        status = plan_and_fit(m, &file);
    ntk_landmark_file_end(&file, status == NTK_OK);
    return status;
}

ntk_status ntk_landmarks_check_fit(const ntk_model *m)
{
    return m->land->m > 0 && !m->land->rows
               ? ntk_fail(m->ctx, NTK_EINVAL,
                          "a model by landmarks in a file has its landmarks and no other samples: it cannot be fitted again")
               : NTK_OK;
}

ntk_status ntk_landmarks_solve(const ntk_model *m)
{
    struct ntk_landmarks *l = m->land;
    struct ntk_blas blas;
    ntk_status status;

    if (m->solution->solved)
        return NTK_OK;
    NTK_TRY(ntk_landmarks_check_fit(m));
    blas = ntk_blas_begin(1);
    forget_solution(l);
    status = go_on(m);
    ntk_blas_end(blas);
    if (status == NTK_OK)
        keep(m);
    else
        forget_solution(l);
    if (status != NTK_OK)
        m->solution->diag_reg = m->opts.diag_reg;
    return status;
}

/* ---- T' W T + ridge, where it was not made for the fit */

ntk_status ntk_landmarks_inner(const ntk_model *m)
{
    struct ntk_landmarks *l = m->land;
    const size_t bytes = (size_t)l->m * (size_t)(l->m + ntk_landmark_rows(m->n)) * sizeof(double);
    struct ntk_landmark_file none = {.planned = 0};
    struct ntk_landmark_sums sums = {.rows = 0};
    struct ntk_normal *all = &sums.fit;
    int64_t minor = 0;
    ntk_status status;

    if (l->inner)
        return NTK_OK;
    if (!l->rows)
        return ntk_fail(m->ctx, NTK_ENOTSUP, "this file has a model by landmarks without what variances need: save it with its "
                                             "factor");
    NTK_TRY(ntk_ctx_hold(m->ctx, bytes, "variances of this many landmarks"));
    status = add_up(m, &none, false, &sums);
    if (status == NTK_OK)
        status = ntk_normal_factor(m->ctx, all, ntk_landmarks_ridge(m), all->gram, &minor);
    if (status == NTK_OK && minor != 0)
        status = not_positive(m, minor);
    ntk_ctx_release(m->ctx, bytes);
    free(all->right);
    if (status == NTK_OK) {
        l->inner = all->gram;
        keep(m);
    } else {
        free(all->gram);
    }
    return status;
}
