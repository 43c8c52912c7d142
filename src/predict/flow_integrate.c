/* SPDX-License-Identifier: MIT
 *
 * flow_integrate.c - dynamics of any smooth loss in function space, by SUNDIALS' CVODE.
 *
 * The state is [f_train; f_test], with momentum [f_train; f_test; velocities]. Spectra of kernels
 * span many decades, so the method is BDF; its linear systems are solved by GMRES, for which the
 * derivative of the right-hand side is one more product with the kernel.
 */
#include "predict/flow.h"

#ifdef NTK_SUNDIALS

#include <cblas.h>
#include <cvode/cvode.h>
#include <math.h>
#include <nvector/nvector_serial.h>
#include <stdlib.h>
#include <string.h>
#include <sunlinsol/sunlinsol_spgmr.h>

#define KRYLOV 40 /* most directions of GMRES */
/* Up to this time one explicit step is exact; the integrator divides by squares of its steps. */
#define ONE_STEP 1e-100

struct flow {
    const struct ntk_flow_problem *p;
    double *g, *h;   /* [n][c]: gradient of the loss, and of it along a direction */
    double friction; /* NAN: no momentum */
    size_t next;     /* of the times */
    double first, least; /* loss at the start, and the least so far */
    bool cancelled;
    char message[200]; /* the integrator's own words */
};

/* ---- losses */

static void softmax(int64_t c, const double *f, double *p)
{
    double most = f[0], sum = 0;

    for (int64_t k = 1; k < c; k++)
        most = fmax(most, f[k]);
    for (int64_t k = 0; k < c; k++)
        sum += p[k] = exp(f[k] - most);
    for (int64_t k = 0; k < c; k++)
        p[k] /= sum;
}

static double loss_of(const struct flow *w, const double *f)
{
    const struct ntk_flow_problem *p = w->p;
    double sum = 0;

    for (int64_t i = 0; i < p->n; i++, f += p->c) {
        const double *y = p->y + i * p->c;
        double most = f[0], total = 0;

        for (int64_t k = 1; k < p->c; k++)
            most = fmax(most, f[k]);
        for (int64_t k = 0; k < p->c; k++)
            total += exp(f[k] - most);
        for (int64_t k = 0; k < p->c; k++)
            sum += p->opts->loss == NTK_LOSS_XENT ? y[k] * (most + log(total) - f[k])
                                                  : 0.5 * (f[k] - y[k]) * (f[k] - y[k]);
    }
    return p->scale * sum;
}

static void gradient(const struct flow *w, const double *f, double *g)
{
    for (int64_t i = 0; i < w->p->n; i++, f += w->p->c, g += w->p->c) {
        const double *y = w->p->y + i * w->p->c;

        if (w->p->opts->loss == NTK_LOSS_XENT)
            softmax(w->p->c, f, g);
        for (int64_t k = 0; k < w->p->c; k++)
            g[k] = w->p->scale * ((w->p->opts->loss == NTK_LOSS_XENT ? g[k] : f[k]) - y[k]);
    }
}

/* The gradient's derivative along v: with p = softmax(f), p (v - p . v). */
static void curvature(const struct flow *w, const double *f, const double *v, double *h)
{
    for (int64_t i = 0; i < w->p->n; i++, f += w->p->c, v += w->p->c, h += w->p->c) {
        double dot = 0;

        if (w->p->opts->loss == NTK_LOSS_XENT) {
            softmax(w->p->c, f, h);
            for (int64_t k = 0; k < w->p->c; k++)
                dot += h[k] * v[k];
            for (int64_t k = 0; k < w->p->c; k++)
                h[k] *= w->p->scale * (v[k] - dot);
        } else {
            for (int64_t k = 0; k < w->p->c; k++)
                h[k] = w->p->scale * v[k];
        }
    }
}

/* ---- the right-hand side and its derivative */

/* out = -K g at all samples. */
static void push(const struct flow *w, const double *g, double *out)
{
    const int n = (int)w->p->n, c = (int)w->p->c;
    const int rows[] = {(int)w->p->n, (int)w->p->m};

    for (int side = 0; side < 2 && rows[side]; side++) {
        if (w->p->opts->blocks)
            cblas_dgemv(CblasRowMajor, CblasNoTrans, rows[side] * c, n * c, -1, w->p->k[side],
                        n * c, g, 1, 0, out, 1);
        else
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows[side], c, n, -1,
                        w->p->k[side], n, g, c, 0, out, c);
        out += rows[side] * c;
    }
}

/* With momentum: the force is in the velocities' half, the velocities go into the other. */
static void add_friction(const struct flow *w, const double *state, double *out)
{
    const int64_t half = (w->p->n + w->p->m) * w->p->c;

    if (isnan(w->friction))
        return;
    memcpy(out, state + half, (size_t)half * sizeof *out);
    for (int64_t i = 0; i < half; i++)
        out[half + i] -= w->friction * state[half + i];
}

static double *force_of(const struct flow *w, double *out)
{
    return isnan(w->friction) ? out : out + (w->p->n + w->p->m) * w->p->c;
}

static int right_side(realtype t, N_Vector state, N_Vector rate, void *user)
{
    struct flow *w = user;
    const double *f = N_VGetArrayPointer(state);
    double *out = N_VGetArrayPointer(rate);
    const double from = w->next ? w->p->times[w->next - 1] : 0, to = w->p->times[w->next];
    const double share = to > from ? fmin(fmax((t - from) / (to - from), 0), 1) : 1;

    if (ntk_progress(w->p->ctx, "times", (double)w->next + share, (double)w->p->n_times) !=
        NTK_OK) {
        w->cancelled = true;
        return -1;
    }
    gradient(w, f, w->g);
    push(w, w->g, force_of(w, out));
    add_friction(w, f, out);
    return 0;
}

static int along(N_Vector v, N_Vector out, realtype t, N_Vector state, N_Vector rate, void *user,
                 N_Vector scratch)
{
    const struct flow *w = user;
    const double *direction = N_VGetArrayPointer(v);

    (void)t, (void)rate, (void)scratch;
    curvature(w, N_VGetArrayPointer(state), direction, w->h);
    push(w, w->h, force_of(w, N_VGetArrayPointer(out)));
    add_friction(w, direction, N_VGetArrayPointer(out));
    return 0;
}

/* ---- the integrator */

static void remember(int code, const char *module, const char *function, char *text, void *user)
{
    struct flow *w = user;

    (void)code, (void)module, (void)function;
    snprintf(w->message, sizeof w->message, "%s", text);
}

struct integrator {
    SUNContext context;
    N_Vector state;
    SUNLinearSolver solver;
    void *cvode;
};

/* x [n][c] and x_test [m][c], NULL: zero, one after the other. */
static void load(const struct ntk_flow_problem *p, const double *x, const double *x_test,
                 double *state)
{
    const size_t n = (size_t)(p->n * p->c), m = (size_t)(p->m * p->c);

    if (x)
        memcpy(state, x, n * sizeof *state);
    if (x_test && m)
        memcpy(state + n, x_test, m * sizeof *state);
}

/* The state at t = 0. */
static void start(const struct flow *w, N_Vector v)
{
    const struct ntk_flow_problem *p = w->p;
    double *state = N_VGetArrayPointer(v);

    N_VConst(0, v);
    load(p, p->f0[0], p->f0[1], state);
    load(p, p->opts->q0_train, p->opts->q0_test, state + (p->n + p->m) * p->c);
}

static bool set_up(struct integrator *s, struct flow *w)
{
    const int64_t size = (w->p->n + w->p->m) * w->p->c * (isnan(w->friction) ? 1 : 2);

    if (SUNContext_Create(NULL, &s->context) != 0)
        return false;
    s->state = N_VNew_Serial((sunindextype)size, s->context);
    s->cvode = CVodeCreate(CV_BDF, s->context);
    if (!s->state || !s->cvode)
        return false;
    s->solver = SUNLinSol_SPGMR(s->state, SUN_PREC_NONE, KRYLOV, s->context);
    start(w, s->state);
    return s->solver && CVodeInit(s->cvode, right_side, 0, s->state) == CV_SUCCESS &&
           CVodeSetErrHandlerFn(s->cvode, remember, w) == CV_SUCCESS &&
           CVodeSetUserData(s->cvode, w) == CV_SUCCESS &&
           CVodeSStolerances(s->cvode, w->p->opts->rtol, w->p->opts->atol) == CV_SUCCESS &&
           CVodeSetLinearSolver(s->cvode, s->solver, NULL) == CV_SUCCESS &&
           CVodeSetJacTimes(s->cvode, NULL, along) == CV_SUCCESS &&
           CVodeSetMaxNumSteps(s->cvode, -1) == CV_SUCCESS;
}

static void tear_down(struct integrator *s)
{
    if (s->cvode)
        CVodeFree(&s->cvode);
    if (s->solver)
        SUNLinSolFree(s->solver);
    if (s->state)
        N_VDestroy(s->state);
    if (s->context)
        SUNContext_Free(&s->context);
}

/* Copies [n][c] and [m][c] of a state to place k of two results, NULL: not wanted. */
static void store(const struct ntk_flow_problem *p, const double *state, size_t k, double *train,
                  double *test)
{
    const size_t n = (size_t)(p->n * p->c), m = (size_t)(p->m * p->c);

    if (train)
        memcpy(train + k * n, state, n * sizeof *state);
    if (test)
        memcpy(test + k * m, state + n, m * sizeof *state);
}

static void store_all(const struct flow *w, N_Vector v)
{
    const struct ntk_flow_problem *p = w->p;
    const double *state = N_VGetArrayPointer(v);

    store(p, state, w->next, p->f[0], p->f[1]);
    store(p, state + (p->n + p->m) * p->c, w->next, p->opts->q_train, p->opts->q_test);
}

/* Loss cannot rise above the least so far or, with momentum from rest, that at the start; a negative
 * eigenvalue of the kernel makes it rise for ever. */
static ntk_status check_loss(struct flow *w, double t, N_Vector v)
{
    const struct ntk_flow_problem *p = w->p;
    const double loss = loss_of(w, N_VGetArrayPointer(v));
    const double slack = fmax(0.01, 10 * p->opts->rtol) * w->first +
                         (double)(p->n * p->c) * p->opts->atol * p->scale;

    if (p->opts->q0_train || p->opts->q0_test)
        return NTK_OK;
    if (!(loss <= w->least + slack))
        return ntk_fail(p->ctx, NTK_ENUMERIC,
                        "the loss rises from %g to %g by t = %g: the kernel is not positive "
                        "semidefinite, which rounding error can do to a singular one; compute it in "
                        "float64, or add a ridge to its diagonal",
                        w->least, loss, t);
    if (isnan(w->friction))
        w->least = fmin(w->least, loss);
    return NTK_OK;
}

/* f_0 + t f'_0 */
static ntk_status one_step(struct flow *w, double t, N_Vector state)
{
    N_Vector rate = N_VClone(state);

    if (!rate)
        return ntk_fail(w->p->ctx, NTK_ENOMEM, "no memory for the integrator");
    start(w, state);
    if (right_side(0, state, rate, w) == 0)
        N_VLinearSum(1, state, t, rate, state);
    N_VDestroy(rate);
    return NTK_OK;
}

/* A first step of length 0, where squares of rates overflow, is to CVODE one that ends beyond any time. */
static int go_to(const struct integrator *s, struct flow *w, double goal, double *t)
{
    const int code = CVode(s->cvode, goal, s->state, t, CV_NORMAL);
    double now = 0;

    if (code < 0 || (CVodeGetCurrentTime(s->cvode, &now) == CV_SUCCESS && now >= goal))
        return code;
    snprintf(w->message, sizeof w->message, "the outputs move so fast that its first step is 0");
    return CV_CONV_FAILURE;
}

static ntk_status advance(struct integrator *s, struct flow *w)
{
    double t = 0;

    w->first = w->least = loss_of(w, N_VGetArrayPointer(s->state));
    for (w->next = 0; w->next < w->p->n_times; w->next++) {
        const double goal = w->p->times[w->next];
        int code = CV_SUCCESS;

        if (goal > 0 && goal <= ONE_STEP)
            NTK_TRY(one_step(w, goal, s->state));
        else if (goal > t)
            code = go_to(s, w, goal, &t);
        if (w->cancelled)
            return NTK_ECANCEL;
        if (code < 0)
            return ntk_fail(
                w->p->ctx, NTK_ENUMERIC,
                "the integrator failed on the way to t = %g: %s; looser tolerances (rtol, atol) or "
                "times nearer to 0 may help",
                goal, w->message);
        NTK_TRY(check_loss(w, goal, s->state));
        store_all(w, s->state);
    }
    return NTK_OK;
}

static ntk_status run(struct flow *w)
{
    const struct ntk_blas blas = ntk_blas_begin(w->p->ctx->threads);
    struct integrator s = {0};
    ntk_status status;

    if (set_up(&s, w))
        status = advance(&s, w);
    else
        status = ntk_fail(w->p->ctx, NTK_ENUMERIC, "the integrator cannot start: %s", w->message);
    tear_down(&s);
    ntk_blas_end(blas);
    return status;
}

ntk_status ntk_flow_integrate(const struct ntk_flow_problem *p)
{
    const size_t size = (size_t)(p->n * p->c);
    struct flow w = {.p = p,
                     .g = ntk_alloc(p->ctx, size, sizeof *w.g),
                     .h = ntk_alloc(p->ctx, size, sizeof *w.h),
                     .friction = (1 - p->opts->momentum) / sqrt(p->opts->learning_rate)};
    const ntk_status status = w.g && w.h ? run(&w) : NTK_ENOMEM;

    free(w.g);
    free(w.h);
    return status;
}

#else

ntk_status ntk_flow_integrate(const struct ntk_flow_problem *p)
{
    return ntk_fail(p->ctx, NTK_ENOTSUP,
                    "dynamics of this loss need a build with SUNDIALS (libsundials-dev)");
}

#endif
