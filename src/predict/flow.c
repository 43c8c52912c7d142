/* SPDX-License-Identifier: MIT
 *
 * flow.c - dynamics of any smooth loss in function space, by SUNDIALS' CVODE.
 *
 * The state is [f_train; f_test], with momentum [f_train; f_test; velocities]. Spectra of kernels
 * span many decades, so the method is BDF; its linear systems are solved by GMRES, for which the
 * derivative of the right-hand side is one more product with the kernel.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

void ntk_flow_opts_init(ntk_flow_opts *opts)
{
    *opts = (struct ntk_flow_opts){.loss = NTK_LOSS_MSE,
                                   .momentum = (double)NAN,
                                   .learning_rate = 1,
                                   .rtol = 1e-6,
                                   .atol = 1e-8};
}

#ifdef NTK_SUNDIALS

#include <cblas.h>
#include <cvode/cvode.h>
#include <nvector/nvector_serial.h>
#include <sunlinsol/sunlinsol_spgmr.h>

#define KRYLOV 40 /* most directions of GMRES */

struct flow {
    ntk_ctx *ctx;
    const ntk_flow_opts *opts;
    int64_t n, m, c;
    const double *k[2]; /* train, test; with blocks [n c][n c], [m c][n c] */
    double *own[2];     /* those that were permuted */
    const double *y;
    double *g, *h;       /* [n][c]: gradient of the loss, and of it along a direction */
    double scale;        /* of the loss */
    double friction;     /* NAN: no momentum */
    const double *times; /* for progress */
    size_t n_times, next;
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

static void gradient(const struct flow *w, const double *f, double *g)
{
    for (int64_t i = 0; i < w->n; i++, f += w->c, g += w->c) {
        const double *y = w->y + i * w->c;

        if (w->opts->loss == NTK_LOSS_XENT)
            softmax(w->c, f, g);
        for (int64_t k = 0; k < w->c; k++)
            g[k] = w->scale * ((w->opts->loss == NTK_LOSS_XENT ? g[k] : f[k]) - y[k]);
    }
}

/* The gradient's derivative along v: with p = softmax(f), p (v - p . v). */
static void curvature(const struct flow *w, const double *f, const double *v, double *h)
{
    for (int64_t i = 0; i < w->n; i++, f += w->c, v += w->c, h += w->c) {
        double dot = 0;

        if (w->opts->loss == NTK_LOSS_XENT) {
            softmax(w->c, f, h);
            for (int64_t k = 0; k < w->c; k++)
                dot += h[k] * v[k];
            for (int64_t k = 0; k < w->c; k++)
                h[k] *= w->scale * (v[k] - dot);
        } else {
            for (int64_t k = 0; k < w->c; k++)
                h[k] = w->scale * v[k];
        }
    }
}

/* ---- the right-hand side and its derivative */

/* out = -K g at all samples. */
static void push(const struct flow *w, const double *g, double *out)
{
    const int n = (int)w->n, c = (int)w->c;
    const int rows[] = {(int)w->n, (int)w->m};

    for (int side = 0; side < 2 && rows[side]; side++) {
        if (w->opts->blocks)
            cblas_dgemv(CblasRowMajor, CblasNoTrans, rows[side] * c, n * c, -1, w->k[side], n * c,
                        g, 1, 0, out, 1);
        else
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows[side], c, n, -1, w->k[side],
                        n, g, c, 0, out, c);
        out += rows[side] * c;
    }
}

/* With momentum: the force is in the velocities' half, the velocities go into the other. */
static void add_friction(const struct flow *w, const double *state, double *out)
{
    const int64_t half = (w->n + w->m) * w->c;

    if (isnan(w->friction))
        return;
    memcpy(out, state + half, (size_t)half * sizeof *out);
    for (int64_t i = 0; i < half; i++)
        out[half + i] -= w->friction * state[half + i];
}

static double *force_of(const struct flow *w, double *out)
{
    return isnan(w->friction) ? out : out + (w->n + w->m) * w->c;
}

static int right_side(realtype t, N_Vector state, N_Vector rate, void *user)
{
    struct flow *w = user;
    const double *f = N_VGetArrayPointer(state);
    double *out = N_VGetArrayPointer(rate);
    const double from = w->next ? w->times[w->next - 1] : 0, to = w->times[w->next];
    const double share = to > from ? fmin(fmax((t - from) / (to - from), 0), 1) : 1;

    if (ntk_progress(w->ctx, "times", (double)w->next + share, (double)w->n_times) != NTK_OK) {
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

/* The state at t = 0. */
static void start(const struct flow *w, const double *f0_train, const double *f0_test, N_Vector v)
{
    double *state = N_VGetArrayPointer(v);

    N_VConst(0, v);
    if (f0_train)
        memcpy(state, f0_train, (size_t)(w->n * w->c) * sizeof *state);
    if (f0_test && w->m)
        memcpy(state + w->n * w->c, f0_test, (size_t)(w->m * w->c) * sizeof *state);
}

static bool set_up(struct integrator *s, struct flow *w, const double *f0_train,
                   const double *f0_test)
{
    const int64_t size = (w->n + w->m) * w->c * (isnan(w->friction) ? 1 : 2);

    if (SUNContext_Create(NULL, &s->context) != 0)
        return false;
    s->state = N_VNew_Serial((sunindextype)size, s->context);
    s->cvode = CVodeCreate(CV_BDF, s->context);
    if (!s->state || !s->cvode)
        return false;
    s->solver = SUNLinSol_SPGMR(s->state, SUN_PREC_NONE, KRYLOV, s->context);
    start(w, f0_train, f0_test, s->state);
    return s->solver && CVodeInit(s->cvode, right_side, 0, s->state) == CV_SUCCESS &&
           CVodeSetErrHandlerFn(s->cvode, remember, w) == CV_SUCCESS &&
           CVodeSetUserData(s->cvode, w) == CV_SUCCESS &&
           CVodeSStolerances(s->cvode, w->opts->rtol, w->opts->atol) == CV_SUCCESS &&
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

struct results {
    double *train, *test; /* NULL: not wanted */
};

static void store(const struct flow *w, const double *f, size_t k, const struct results *r)
{
    const size_t n = (size_t)(w->n * w->c), m = (size_t)(w->m * w->c);

    if (r->train)
        memcpy(r->train + k * n, f, n * sizeof *f);
    if (r->test)
        memcpy(r->test + k * m, f + n, m * sizeof *f);
}

static ntk_status advance(struct integrator *s, struct flow *w, const struct results *r)
{
    double t = 0;

    for (w->next = 0; w->next < w->n_times; w->next++) {
        const double goal = w->times[w->next];
        int code = CV_SUCCESS;

        if (goal > t)
            code = CVode(s->cvode, goal, s->state, &t, CV_NORMAL);
        if (w->cancelled)
            return NTK_ECANCEL;
        if (code < 0)
            return ntk_fail(
                w->ctx, NTK_ENUMERIC,
                "the integrator failed on the way to t = %g: %s; looser tolerances (rtol, atol) or "
                "times nearer to 0 may help",
                goal, w->message);
        store(w, N_VGetArrayPointer(s->state), w->next, r);
    }
    return NTK_OK;
}

/* ---- what goes in */

/* [rows][n][c][c] to [rows c][n c]. */
static double *permute(const struct flow *w, const double *k, int64_t rows)
{
    const int64_t n = w->n, c = w->c;
    double *out = ntk_alloc(w->ctx, (size_t)(rows * c) * (size_t)(n * c), sizeof *out);

    for (int64_t i = 0; out && i < rows; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t o = 0; o < c * c; o++)
                out[(i * c + o / c) * n * c + j * c + o % c] = k[(i * n + j) * c * c + o];
    return out;
}

static ntk_status prepare(struct flow *w)
{
    const int64_t rows[] = {w->n, w->m};

    w->g = ntk_alloc(w->ctx, (size_t)(w->n * w->c), sizeof *w->g);
    w->h = ntk_alloc(w->ctx, (size_t)(w->n * w->c), sizeof *w->h);
    if (!w->g || !w->h)
        return NTK_ENOMEM;
    for (int side = 0; side < 2 && w->opts->blocks; side++) {
        if (!rows[side])
            continue;
        w->k[side] = w->own[side] = permute(w, w->k[side], rows[side]);
        if (!w->own[side])
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

static ntk_status check_options(ntk_ctx *ctx, const ntk_flow_opts *o)
{
    if (!(o->rtol >= 1e-13 && o->rtol <= 0.1))
        return ntk_fail(ctx, NTK_EINVAL, "rtol must be from 1e-13 to 0.1, got %g", o->rtol);
    if (!(o->atol > 0) || isinf(o->atol))
        return ntk_fail(ctx, NTK_EINVAL, "atol must be positive, got %g", o->atol);
    if (o->momentum < 0 || o->momentum >= 1)
        return ntk_fail(ctx, NTK_EINVAL,
                        "momentum must be from 0 to below 1, or NAN for none, got %g", o->momentum);
    if (!(o->learning_rate > 0) || isinf(o->learning_rate))
        return ntk_fail(ctx, NTK_EINVAL, "learning_rate must be positive, got %g",
                        o->learning_rate);
    return NTK_OK;
}

static ntk_status check_times(ntk_ctx *ctx, const double *times, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (!(times[k] >= (k ? times[k - 1] : 0)) || isinf(times[k]))
            return ntk_fail(ctx, NTK_EINVAL,
                            "times must be finite, >= 0 and ascending; number %zu is %g", k + 1,
                            times[k]);
    return NTK_OK;
}

/* Rows of cross-entropy's targets are distributions. */
static ntk_status check_targets(ntk_ctx *ctx, ntk_loss loss, int64_t n, int64_t c, const double *y)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, least = 0;

        for (int64_t k = 0; k < c; k++) {
            if (!isfinite(y[i * c + k]))
                return ntk_fail(ctx, NTK_EINVAL, "target %lld of sample %lld is not finite",
                                (long long)k, (long long)i);
            sum += y[i * c + k];
            least = fmin(least, y[i * c + k]);
        }
        if (loss == NTK_LOSS_XENT && (least < 0 || fabs(sum - 1) > 1e-6))
            return ntk_fail(ctx, NTK_EINVAL,
                            "cross-entropy's targets must be distributions (one-hot): those of "
                            "sample %lld sum to "
                            "%g, the least is %g",
                            (long long)i, sum, least);
    }
    return NTK_OK;
}

static ntk_status integrate(struct flow *w, const double *f0_train, const double *f0_test,
                            const struct results *r)
{
    const int blas = ntk_blas_set_threads(w->ctx->threads);
    struct integrator s = {0};
    ntk_status status;

    if (set_up(&s, w, f0_train, f0_test))
        status = advance(&s, w, r);
    else
        status = ntk_fail(w->ctx, NTK_ENUMERIC, "the integrator cannot start: %s", w->message);
    tear_down(&s);
    ntk_blas_set_threads(blas);
    return status;
}

ntk_status ntk_flow(ntk_ctx *ctx, const ntk_flow_opts *opts, int64_t n, int64_t m, int64_t outputs,
                    const double *k_train, const double *k_test, const double *y,
                    const double *f0_train, const double *f0_test, const double *times,
                    size_t n_times, double *train, double *test)
{
    const double per = opts->loss == NTK_LOSS_MSE ? (double)outputs : 1;
    const struct results r = {.train = train, .test = test};
    struct flow w = {.ctx = ctx,
                     .opts = opts,
                     .n = n,
                     .m = k_test ? m : 0,
                     .c = outputs,
                     .k = {k_train, k_test},
                     .y = y,
                     .scale = opts->mean_loss ? 1 / ((double)n * per) : 1,
                     .friction = (1 - opts->momentum) / sqrt(opts->learning_rate),
                     .times = times,
                     .n_times = n_times};
    const double states = 60 * (double)(n + m) * (double)outputs; /* GMRES's and BDF's vectors */
    const double blocks =
        opts->blocks ? (double)(n + m) * (double)n * (double)(outputs * outputs) : 0;
    ntk_status status;

    NTK_TRY(check_options(ctx, opts));
    if (n < 1 || outputs < 1 || m < 0 || (test && !k_test))
        return ntk_fail(ctx, NTK_EINVAL, "n = %lld, m = %lld, outputs = %lld%s", (long long)n,
                        (long long)m, (long long)outputs,
                        test && !k_test ? " and no k_test for test" : "");
    NTK_TRY(check_times(ctx, times, n_times));
    NTK_TRY(check_targets(ctx, opts->loss, n, outputs, y));
    NTK_TRY(
        ntk_ctx_check_memory(ctx, (size_t)((states + blocks) * sizeof(double)), "the integration"));
    status = prepare(&w);
    if (status == NTK_OK)
        status = integrate(&w, f0_train, f0_test, &r);
    free(w.g);
    free(w.h);
    free(w.own[0]);
    free(w.own[1]);
    return status;
}

#else

ntk_status ntk_flow(ntk_ctx *ctx, const ntk_flow_opts *opts, int64_t n, int64_t m, int64_t outputs,
                    const double *k_train, const double *k_test, const double *y,
                    const double *f0_train, const double *f0_test, const double *times,
                    size_t n_times, double *train, double *test)
{
    (void)opts, (void)n, (void)m, (void)outputs, (void)k_train, (void)k_test, (void)y,
        (void)f0_train;
    (void)f0_test, (void)times, (void)n_times, (void)train, (void)test;
    return ntk_fail(ctx, NTK_ENOTSUP,
                    "dynamics of this loss need a build with SUNDIALS (libsundials-dev)");
}

#endif
