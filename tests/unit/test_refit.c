/* SPDX-License-Identifier: MIT
 *
 * Models of one matrix: other ridges, targets and times without another kernel; weights and noise; given matrices.
 */
#include <stdio.h>
#include <unistd.h>

#include "context.h"
#include "solve/solver.h"

enum { N = 24, M = 7, D = 3, C = 2, TIMES = 3 };
#define NET "serial(Dense(8, W_std=1.5, b_std=0.2), Relu(), Dense(1))"

static double x[N * D], y[N * C], z[M * D], other[N * C];
static ntk_data *train, *test;
static ntk_net *net;

static ntk_data *vectors(const double *from, int64_t n)
{
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, from, NTK_F64, n, (ntk_shape){0, 1, 1, D}, &data));
    return data;
}

static int start(void **state)
{
    uint64_t seed = 5;

    if (setup(state) != 0)
        return -1;
    for (int i = 0; i < N * D; i++)
        x[i] = test_normal(&seed);
    for (int i = 0; i < N * C; i++) {
        y[i] = test_normal(&seed);
        other[i] = test_normal(&seed);
    }
    for (int i = 0; i < M * D; i++)
        z[i] = test_normal(&seed);
    train = vectors(x, N);
    test = vectors(z, M);
    assert_ok(ctx, ntk_net_parse(ctx, NET, &net));
    return 0;
}

static int end(void **state)
{
    ntk_net_free(net);
    ntk_data_free(train);
    ntk_data_free(test);
    return teardown(state);
}

static ntk_fit_opts options(double diag_reg)
{
    ntk_fit_opts o;

    ntk_fit_opts_init(&o);
    o.diag_reg = diag_reg;
    return o;
}

static ntk_model *fit_to(const double *targets, const ntk_fit_opts *o)
{
    ntk_model *model;

    assert_ok(ctx, ntk_model_fit(ctx, net, train, targets, C, o, &model));
    return model;
}

/* Whatever a model says. */
struct said {
    double mean[M * C], var[M], loo[N * C], loo_var[N], evidence, least, largest;
};

static void ask(const ntk_model *model, bool var, struct said *s)
{
    ntk_spectrum spectrum;

    memset(s, 0, sizeof *s);
    ntk_spectrum_init(&spectrum);
    assert_ok(ctx, ntk_model_predict(model, test, s->mean, var ? s->var : NULL));
    assert_ok(ctx, ntk_model_leave_one_out(model, s->loo, s->loo_var));
    assert_ok(ctx, ntk_model_evidence(model, &s->evidence));
    assert_ok(ctx, ntk_model_spectrum(model, &spectrum));
    s->least = spectrum.lambda_min;
    s->largest = spectrum.lambda_max;
}

static void same(const char *what, const ntk_model *got, const ntk_model *want, bool var, double tolerance)
{
    struct said a, b;

    ask(got, var, &a);
    ask(want, var, &b);
    near_all(what, M * C, a.mean, b.mean, tolerance);
    near_all(what, M, a.var, b.var, tolerance);
    near_all(what, N * C, a.loo, b.loo, tolerance);
    near_all(what, N, a.loo_var, b.loo_var, tolerance);
    assert_near(a.evidence, b.evidence, tolerance, 1);
    assert_near(a.least, b.least, 1e-3, 0); /* by Lanczos */
    assert_near(a.largest, b.largest, 1e-3, 0);
}

/* ---- refitting */

/* What is told while kernels of vectors are computed. */
static int count_tiles(const char *what, double done, double total, void *user)
{
    (void)done, (void)total;
    *(int *)user += strcmp(what, "tiles") == 0;
    return 0;
}

static void a_new_ridge_is_what_a_new_fit_is(void **state)
{
    static const ntk_posterior posteriors[] = {NTK_POSTERIOR_NNGP, NTK_POSTERIOR_NTK, NTK_POSTERIOR_NTKGP};

    (void)state;
    for (int k = 0; k < 3 * 8; k++) {
        ntk_fit_opts o = options(1e-3), p = options(0.3);
        ntk_model *one, *two;
        char what[80];
        int tiles = 0;

        o.posterior = p.posterior = posteriors[k / 8];
        o.covariance = p.covariance = k & 1;
        o.keep = p.keep = !(k & 2); /* without it the kernel is computed again */
        o.finite_time = p.finite_time = !!(k & 4);
        snprintf(what, sizeof what, "posterior %d, covariance %d, keep %d, finite_time %d", (int)o.posterior,
                 o.covariance, o.keep, o.finite_time);
        one = fit_to(y, &o);
        ntk_ctx_set_progress(ctx, count_tiles, &tiles);
        assert_ok(ctx, ntk_model_refit(one, NULL, 0, &p));
        ntk_ctx_set_progress(ctx, NULL, NULL);
        assert_true(tiles == 0 || (!o.keep && !o.finite_time));
        assert_true(tiles > 0 || o.keep || o.finite_time);
        two = fit_to(y, &p);
        same(what, one, two, o.covariance || o.posterior != NTK_POSTERIOR_NTK, 1e-13);
        assert_true(ntk_model_diag_reg(one) == 0.3);
        ntk_model_free(one);
        ntk_model_free(two);
    }
}

static void new_targets_are_solved_by_the_factor(void **state)
{
    (void)state;
    for (int finite_time = 0; finite_time < 2; finite_time++) {
        ntk_fit_opts o = options(1e-2);
        ntk_model *one, *two;
        double mean[M], want[M * C], column[N];
        int tiles = 0;

        o.finite_time = finite_time;
        one = fit_to(y, &o);
        ntk_ctx_set_progress(ctx, count_tiles, &tiles);
        assert_ok(ctx, ntk_model_refit(one, other, C, NULL));
        assert_int_equal(tiles, 0);
        ntk_ctx_set_progress(ctx, NULL, NULL);
        two = fit_to(other, &o);
        same("new targets", one, two, false, 1e-14);
        for (int i = 0; i < N; i++) /* fewer of them */
            column[i] = other[i * C + 1];
        assert_ok(ctx, ntk_model_refit(one, column, 1, NULL));
        assert_int_equal(ntk_model_outputs(one), 1);
        assert_ok(ctx, ntk_model_predict(one, test, mean, NULL));
        assert_ok(ctx, ntk_model_predict(two, test, want, NULL));
        for (int i = 0; i < M; i++)
            assert_near(mean[i], want[i * C + 1], 1e-13, 1);
        column[3] = (double)NAN;
        assert_fails(ctx, NTK_EINVAL, "target of sample 3", ntk_model_refit(one, column, 1, NULL));
        ntk_model_free(one);
        ntk_model_free(two);
    }
}

static void another_time_needs_no_kernel(void **state)
{
    const double t = 0.7;
    ntk_fit_opts o = options(1e-3), p;
    double got[M * C], want[M * C];
    ntk_model *one, *two;
    int tiles = 0;

    (void)state;
    o.keep = 1;
    p = o;
    p.finite_time = 1;
    one = fit_to(y, &o);
    assert_fails(ctx, NTK_EINVAL, "finite_time = 1", ntk_model_dynamics(one, &t, 1, NULL, test, NULL, NULL, got, NULL));
    ntk_ctx_set_progress(ctx, count_tiles, &tiles);
    assert_ok(ctx, ntk_model_refit(one, NULL, 0, &p));
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_int_equal(tiles, 0);
    two = fit_to(y, &p);
    assert_ok(ctx, ntk_model_dynamics(one, &t, 1, NULL, test, NULL, NULL, got, NULL));
    assert_ok(ctx, ntk_model_dynamics(two, &t, 1, NULL, test, NULL, NULL, want, NULL));
    near_all("another time", M * C, got, want, 1e-13);
    ntk_model_free(one);
    ntk_model_free(two);
}

/* Kept from the second fit on: the third needs no kernel; no longer asked for, it stays. */
static void keeping_begins_when_it_is_asked_for(void **state)
{
    ntk_fit_opts o = options(1e-2);
    ntk_model *one = fit_to(y, &o), *two;
    int tiles = 0;

    (void)state;
    o.keep = 1;
    o.diag_reg = 0.1;
    assert_ok(ctx, ntk_model_refit(one, NULL, 0, &o));
    o.keep = 0;
    o.diag_reg = 0.2;
    ntk_ctx_set_progress(ctx, count_tiles, &tiles);
    assert_ok(ctx, ntk_model_refit(one, NULL, 0, &o));
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_int_equal(tiles, 0);
    two = fit_to(y, &o);
    same("kept later", one, two, false, 1e-13);
    ntk_model_free(one);
    ntk_model_free(two);
}

/* Nothing of one solver is left when another takes over. */
static void solvers_follow_each_other(void **state)
{
    static const char *const names[] = {"eigen", "cholesky", "lanczos", "eigen", NULL};
    ntk_fit_opts o = options(3);
    double mean[M * C], want[M * C];
    ntk_model *one, *two;

    (void)state;
    o.diag_reg_absolute = 1;
    o.finite_time = 1;
    one = fit_to(y, &o);
    o.finite_time = 0;
    for (int k = 0; k < 5; k++) {
        o.solver = names[k];
        o.diag_reg *= 2; /* above all eigenvalues in the end: no direction may look null */
        assert_ok(ctx, ntk_model_refit(one, NULL, 0, &o));
        two = fit_to(y, &o);
        assert_ok(ctx, ntk_model_predict(one, test, mean, NULL));
        assert_ok(ctx, ntk_model_predict(two, test, want, NULL));
        near_all("means", M * C, mean, want, 1e-12);
        if (k != 2)
            same("solvers", one, two, false, 1e-12);
        ntk_model_free(two);
    }
    o.finite_time = 1;
    o.solver = "cholesky";
    assert_fails(ctx, NTK_EINVAL, "finite times need the solver 'eigen'", ntk_model_refit(one, NULL, 0, &o));
    ntk_model_free(one);
}

static void what_needs_another_model_is_refused(void **state)
{
    ntk_fit_opts o = options(1e-2), p;
    double mean[M * C];
    ntk_model *model = fit_to(y, &o), *none;

    (void)state;
    p = o;
    p.posterior = NTK_POSTERIOR_NNGP;
    assert_fails(ctx, NTK_EINVAL, "another posterior", ntk_model_refit(model, NULL, 0, &p));
    p = o;
    p.dtype = NTK_F32;
    assert_fails(ctx, NTK_EINVAL, "another dtype", ntk_model_refit(model, NULL, 0, &p));
    p = o;
    p.covariance = 1;
    assert_fails(ctx, NTK_EINVAL, "another covariance", ntk_model_refit(model, NULL, 0, &p));
    p = o;
    p.store = "nowhere";
    assert_fails(ctx, NTK_EINVAL, "another store", ntk_model_refit(model, NULL, 0, &p));
    p = o;
    p.solver = "magic";
    assert_fails(ctx, NTK_EINVAL, "there is no solver 'magic'; there are: cholesky, eigen, lanczos",
                 ntk_model_refit(model, NULL, 0, &p));
    p = o;
    p.solver = "cholesky";
    p.triangle = "int16";
    assert_fails(ctx, NTK_EINVAL, "triangle is of the solver 'cg', not of 'cholesky'", ntk_model_fit(ctx, net, train, y, C, &p, &none));
    p.triangle = NULL;
    p.checkpoint = "c.h5";
    assert_fails(ctx, NTK_EINVAL, "checkpoint is of the solvers 'cg' and 'landmarks', not of 'cholesky'",
                 ntk_model_fit(ctx, net, train, y, C, &p, &none));
    p.checkpoint = NULL;
    p.scratch = "/tmp";
    assert_fails(ctx, NTK_EINVAL, "scratch is of the solver 'out-of-core', not of", ntk_model_fit(ctx, net, train, y, C, &p, &none));
    p = o;
    p.diag_reg = -1;
    assert_fails(ctx, NTK_EINVAL, "diag_reg must be >= 0", ntk_model_refit(model, NULL, 0, &p));
    assert_ok(ctx, ntk_model_predict(model, test, mean, NULL)); /* it is what it was */
    ntk_model_free(model);
}

static void count_left_out(int level, const char *text, void *user)
{
    (void)level;
    *(int *)user += strstr(text, "and does nothing: the solver is 'cholesky'") != NULL;
}

/* Of a solver that was not asked for options of another are left out, each said; those that a model gives back fit it again. */
static void options_of_others_are_left_out(void **state)
{
    ntk_fit_opts o = options(1e-2), given;
    int said = 0;
    ntk_model *model;

    (void)state;
    ntk_ctx_set_log(ctx, count_left_out, &said);
    o.solver = NULL;
    o.checkpoint = "c.h5";
    o.triangle = "int16";
    o.scratch = "/tmp";
    model = fit_to(y, &o);
    ntk_fit_opts_init(&given);
    assert_int_equal(said, 3);
    assert_ok(ctx, ntk_model_opts(model, &given));
    assert_null(given.checkpoint);
    assert_null(given.triangle);
    assert_null(given.scratch);
    given.diag_reg = 1e-3;
    assert_ok(ctx, ntk_model_refit(model, NULL, 0, &given));
    assert_int_equal(said, 3);
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_model_free(model);
}

/* Two equal samples without a ridge: an error, after which the model can be fitted again. */
static void a_model_survives_what_cannot_be_solved(void **state)
{
    ntk_fit_opts o = options(1e-2), none = options(0);
    double before[M * C], after[M * C], last[D];
    ntk_model *model;

    (void)state;
    memcpy(last, x + (N - 1) * D, sizeof last);
    memcpy(x + (N - 1) * D, x, sizeof last);
    o.keep = none.keep = 1;
    model = fit_to(y, &o);
    assert_ok(ctx, ntk_model_predict(model, test, before, NULL));
    assert_fails(ctx, NTK_ENUMERIC, "samples 0 and 23 are equal", ntk_model_refit(model, NULL, 0, &none));
    assert_fails(ctx, NTK_ENUMERIC, "not positive definite", ntk_model_predict(model, test, after, NULL));
    assert_ok(ctx, ntk_model_refit(model, NULL, 0, &o));
    assert_ok(ctx, ntk_model_predict(model, test, after, NULL));
    assert_memory_equal(before, after, sizeof before);
    ntk_model_free(model);
    memcpy(x + (N - 1) * D, last, sizeof last);
}

static void coefficients_are_applied(void **state)
{
    ntk_fit_opts o = options(1e-2);
    ntk_model *models[2];
    double alpha[2][N * C], got[2][M * C], want[M * C];
    const double *const c[] = {alpha[0], alpha[1]};
    double *const out[] = {got[0], got[1]};
    ntk_net *second;
    const ntk_net *nets[2] = {net};

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(8), Erf(), Dense(1))", &second));
    nets[1] = second;
    o.keep = 1;
    assert_ok(ctx, ntk_models_fit(ctx, nets, 2, train, y, C, &o, models));
    o.diag_reg = 0.5;
    for (int k = 0; k < 2; k++) {
        assert_ok(ctx, ntk_model_refit(models[k], NULL, 0, &o));
        assert_ok(ctx, ntk_model_alpha(models[k], alpha[k]));
    }
    assert_ok(ctx, ntk_models_apply(models, 2, test, C, c, out));
    for (int k = 0; k < 2; k++) {
        assert_ok(ctx, ntk_model_predict(models[k], test, want, NULL));
        near_all("K alpha", M * C, got[k], want, 1e-14);
        ntk_model_free(models[k]);
    }
    ntk_net_free(second);
}

/* ---- ridges compared */

static void ridges_are_what_refits_say(void **state)
{
    const double ridges[] = {1e-4, 1e-2, 1};

    (void)state;
    for (int k = 0; k < 3; k++) {
        ntk_fit_opts o = options(0.1);
        double loo[3], evidence[3], noise[N];
        ntk_model *model;

        for (int i = 0; i < N; i++)
            noise[i] = 0.01 * (1 + i % 3);
        o.finite_time = k == 1;
        o.noise = k == 2 ? noise : NULL;
        o.keep = 1;
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_ridges(model, 3, ridges, loo, evidence));
        assert_true(ntk_model_diag_reg(model) == 0.1);
        for (int r = 0; r < 3; r++) {
            double f[N * C], error = 0, likelihood;

            o.diag_reg = ridges[r];
            assert_ok(ctx, ntk_model_refit(model, NULL, 0, &o));
            assert_ok(ctx, ntk_model_leave_one_out(model, f, NULL));
            assert_ok(ctx, ntk_model_evidence(model, &likelihood));
            for (int i = 0; i < N * C; i++)
                error += (f[i] - y[i]) * (f[i] - y[i]) / (N * C);
            assert_near(loo[r], error, 1e-10, 0);
            assert_near(evidence[r], likelihood, 1e-10, 1);
        }
        assert_fails(ctx, NTK_EINVAL, "number 2 is -1", ntk_model_ridges(model, 2, (double[]){1, -1}, loo, NULL));
        ntk_model_free(model);
    }
}

/* Other ridges are looked at with a solver of their own where the model's would have to give up its factor. */
static void a_comparison_leaves_the_model(void **state)
{
    double constant[N], before[N * C], after[N * C], loo[2];
    ntk_fit_opts o = options(0.1);
    ntk_model *model;

    (void)state;
    for (int i = 0; i < N; i++)
        constant[i] = 0.2;
    o.noise = constant; /* which eigenvectors take, as it is the same for all */
    o.solver = "eigen";
    model = fit_to(y, &o);
    assert_ok(ctx, ntk_model_leave_one_out(model, before, NULL));
    assert_ok(ctx, ntk_model_ridges(model, 2, (double[]){1e-3, 10}, loo, NULL));
    assert_ok(ctx, ntk_model_leave_one_out(model, after, NULL));
    assert_memory_equal(before, after, sizeof before);
    ntk_model_free(model);
}

static void the_best_ridge_is_chosen(void **state)
{
    double grid[NTK_RIDGES], loo[NTK_RIDGES], weights[N], least = (double)INFINITY, best = 0;

    (void)state;
    ntk_ridge_grid(grid);
    assert_near(grid[0], 1e-9, 1e-12, 0);
    assert_near(grid[NTK_RIDGES - 1], 10, 1e-12, 0);
    for (int i = 0; i < N; i++)
        weights[i] = 1 + i % 2;
    for (int k = 0; k < 2; k++) {
        ntk_fit_opts o = options(NTK_DIAG_REG_AUTO);
        ntk_model *model;

        o.weights = k ? weights : NULL;
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_ridges(model, NTK_RIDGES, grid, loo, NULL));
        least = (double)INFINITY;
        for (int r = 0; r < NTK_RIDGES; r++)
            if (loo[r] <= least) {
                least = loo[r];
                best = grid[r];
            }
        assert_true(ntk_model_diag_reg(model) == best);
        ntk_model_free(model);
    }
}

/* With K = I all are equally good. */
static void of_equal_ridges_the_largest_is_chosen(void **state)
{
    const double k[4] = {1, 0, 0, 1}, targets[2] = {1, -1};
    ntk_fit_opts o = options(NTK_DIAG_REG_AUTO);
    ntk_model *model;

    (void)state;
    assert_ok(ctx, ntk_model_fit_matrix(ctx, 2, k, NULL, targets, 1, &o, &model));
    assert_near(ntk_model_diag_reg(model), 10, 1e-12, 0);
    ntk_model_free(model);
}

/* ---- weights and noise */

/* Samples 0 ... N - 1, as often as copies says. */
static int64_t repeat(const int *copies, double *rows, double *targets)
{
    int64_t n = 0;

    for (int i = 0; i < N; i++)
        for (int k = 0; k < copies[i]; k++, n++) {
            memcpy(rows + n * D, x + i * D, D * sizeof *rows);
            memcpy(targets + n * C, y + i * C, C * sizeof *targets);
        }
    return n;
}

static void a_weight_is_so_many_samples(void **state)
{
    int copies[N];
    double rows[3 * N * D], targets[3 * N * C], weights[N], mean[M * C], var[M], want[M * C], want_var[M];
    double loo[N * C], loo_var[N], alone[C];
    ntk_fit_opts o = options(0.05), p;
    ntk_model *weighted, *repeated;
    ntk_data *all, *one;

    (void)state;
    for (int i = 0; i < N; i++)
        weights[i] = copies[i] = i % 4 == 3 ? 0 : i % 4 + 1;
    all = vectors(rows, repeat(copies, rows, targets));
    o.diag_reg_absolute = 1;
    o.covariance = 1;
    p = o;
    p.weights = weights;
    weighted = fit_to(y, &p);
    assert_ok(ctx, ntk_model_fit(ctx, net, all, targets, C, &o, &repeated));
    assert_ok(ctx, ntk_model_predict(weighted, test, mean, var));
    assert_ok(ctx, ntk_model_predict(repeated, test, want, want_var));
    near_all("means", M * C, mean, want, 1e-11);
    near_all("variances", M, var, want_var, 1e-10);
    assert_ok(ctx, ntk_model_leave_one_out(weighted, loo, loo_var));
    for (int i = 3; i < N; i += 4) { /* those that were left out are predicted by the others */
        one = vectors(x + i * D, 1);
        assert_ok(ctx, ntk_model_predict(repeated, one, alone, NULL));
        near_all("left out", C, loo + i * C, alone, 1e-10);
        assert_true(isinf(loo_var[i]));
        ntk_data_free(one);
    }
    assert_int_equal(ntk_model_n(weighted), N);
    ntk_model_free(weighted);
    ntk_model_free(repeated);
    ntk_data_free(all);
}

/* Leave-one-out by leaving out, with weights and noise. */
static void leave_one_out_leaves_one_out(void **state)
{
    double weights[N], noise[N], loo[N * C], f[C];
    ntk_fit_opts o = options(0.02);
    ntk_model *model;

    (void)state;
    o.diag_reg_absolute = 1;
    for (int i = 0; i < N; i++) {
        weights[i] = 0.5 + i % 3;
        noise[i] = 0.1 * (i % 2);
    }
    o.weights = weights;
    o.noise = noise;
    model = fit_to(y, &o);
    assert_ok(ctx, ntk_model_leave_one_out(model, loo, NULL));
    ntk_model_free(model);
    for (int i = 0; i < N; i += 5) {
        const double weight = weights[i];
        ntk_data *one = vectors(x + i * D, 1);

        weights[i] = 0;
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_predict(model, one, f, NULL));
        near_all("without it", C, loo + i * C, f, 1e-11);
        weights[i] = weight;
        ntk_model_free(model);
        ntk_data_free(one);
    }
}

static void noise_is_a_ridge_of_each_sample(void **state)
{
    double constant[N], noise[N], k[N * N], with[N * N], got[N * C], want[N * C];
    ntk_fit_opts o = options(0.1), p = options(0);
    ntk_model *one, *two;
    ntk_kernel *kernel;
    const ntk_net *nets[] = {net};

    (void)state;
    for (int i = 0; i < N; i++) {
        constant[i] = 0.1;
        noise[i] = 0.05 + 0.01 * i;
    }
    o.diag_reg_absolute = 1;
    one = fit_to(y, &o);
    p.noise = constant;
    two = fit_to(y, &p);
    same("constant noise", two, one, false, 1e-13);
    p.noise = noise;
    assert_ok(ctx, ntk_model_refit(two, NULL, 0, &p));
    assert_ok(ctx, ntk_model_alpha(two, got));
    ntk_model_free(one);
    ntk_model_free(two);
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, (ntk_shape){0, 1, 1, D}, &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, train, NULL, (void *[]){k}));
    ntk_kernel_free(kernel);
    memcpy(with, k, sizeof k);
    for (int i = 0; i < N; i++)
        with[i * N + i] += noise[i];
    p = options(0);
    assert_ok(ctx, ntk_model_fit_matrix(ctx, N, with, NULL, y, C, &p, &one));
    assert_ok(ctx, ntk_model_alpha(one, want));
    near_all("noise", N * C, got, want, 1e-11);
    ntk_model_free(one);
}

static void wrong_weights_are_refused(void **state)
{
    double numbers[N] = {0};
    ntk_fit_opts o = options(0.1), finite;
    ntk_model *model;

    (void)state;
    o.weights = numbers;
    assert_fails(ctx, NTK_EINVAL, "must not all be 0", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    numbers[2] = -1;
    assert_fails(ctx, NTK_EINVAL, "that of sample 2 is -1", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    numbers[2] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "that of sample 2 is nan", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    numbers[2] = 1;
    finite = o;
    finite.finite_time = 1;
    assert_fails(ctx, NTK_EINVAL, "t = infinity", ntk_model_fit(ctx, net, train, y, C, &finite, &model));
    o.solver = "eigen";
    numbers[3] = 2;
    assert_fails(ctx, NTK_EINVAL, "one ridge for all samples", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o.solver = NULL;
    model = fit_to(y, &o);
    numbers[0] = 1;
    assert_fails(ctx, NTK_EINVAL, "sample 0 was left out", ntk_model_refit(model, NULL, 0, &o));
    numbers[0] = numbers[3] = 0;
    assert_fails(ctx, NTK_EINVAL, "sample 3 was not left out", ntk_model_refit(model, NULL, 0, &o));
    ntk_model_free(model);
}

static void weights_are_saved(void **state)
{
    char path[] = "/tmp/ntk-test-XXXXXX";
    double weights[N], noise[N], before[M * C], after[M * C], var[M], var_after[M], loo[2], loo_after[2];

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    close(mkstemp(path));
    for (int i = 0; i < N; i++) {
        weights[i] = i % 5 ? i : 0;
        noise[i] = 0.1 * i;
    }
    for (int factor = 0; factor < 2; factor++) {
        ntk_fit_opts o = options(0.1);
        ntk_model *model;

        o.weights = weights;
        o.noise = noise;
        o.covariance = 1;
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_predict(model, test, before, var));
        assert_ok(ctx, ntk_model_ridges(model, 2, (double[]){1e-3, 1}, loo, NULL));
        assert_ok(ctx, ntk_model_save(model, path, factor));
        ntk_model_free(model);
        assert_ok(ctx, ntk_model_load(ctx, path, &model));
        assert_ok(ctx, ntk_model_ridges(model, 2, (double[]){1e-3, 1}, loo_after, NULL));
        near_all("ridges", 2, loo_after, loo, 1e-12);
        assert_ok(ctx, ntk_model_predict(model, test, after, var_after));
        near_all("means", M * C, after, before, 1e-14);
        near_all("variances", M, var_after, var, 1e-12);
        ntk_model_free(model);
    }
    unlink(path);
}

static void a_chosen_ridge_is_saved(void **state)
{
    char path[] = "/tmp/ntk-test-XXXXXX";
    double before[M * C], after[M * C], loo[N * C], want[N * C];

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    close(mkstemp(path));
    for (int factor = 0; factor < 2; factor++) {
        ntk_fit_opts o = options(NTK_DIAG_REG_AUTO);
        ntk_model *model = fit_to(y, &o);
        const double chosen = ntk_model_diag_reg(model);

        assert_ok(ctx, ntk_model_predict(model, test, before, NULL));
        assert_ok(ctx, ntk_model_leave_one_out(model, want, NULL));
        assert_ok(ctx, ntk_model_save(model, path, factor));
        ntk_model_free(model);
        assert_ok(ctx, ntk_model_load(ctx, path, &model));
        assert_true(ntk_model_diag_reg(model) == chosen);
        assert_ok(ctx, ntk_model_predict(model, test, after, NULL));
        near_all("means", M * C, after, before, 1e-14);
        assert_ok(ctx, ntk_model_leave_one_out(model, loo, NULL));
        near_all("leave-one-out", N * C, loo, want, 1e-11);
        o.diag_reg = 0.7; /* from the file's eigenvalues, or the kernel */
        assert_ok(ctx, ntk_model_refit(model, NULL, 0, &o));
        assert_ok(ctx, ntk_model_predict(model, test, after, NULL));
        ntk_model_free(model);
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_predict(model, test, before, NULL));
        near_all("another ridge", M * C, after, before, 1e-12);
        ntk_model_free(model);
    }
    unlink(path);
}

/* ---- given matrices */

struct given {
    double k[2][N * N], test[2][M * N], prior[2][M * M]; /* NNGP, NTK */
};

static void compute(struct given *g)
{
    const ntk_net *nets[] = {net};
    ntk_kernel *kernel;

    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, NTK_F64, (ntk_shape){0, 1, 1, D}, &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, train, NULL, (void *[]){g->k[0], g->k[1]}));
    assert_ok(ctx, ntk_kernel_compute(kernel, test, train, (void *[]){g->test[0], g->test[1]}));
    assert_ok(ctx, ntk_kernel_compute(kernel, test, NULL, (void *[]){g->prior[0], g->prior[1]}));
    ntk_kernel_free(kernel);
}

static void given_matrices_are_what_samples_are(void **state)
{
    static const ntk_posterior posteriors[] = {NTK_POSTERIOR_NNGP, NTK_POSTERIOR_NTK, NTK_POSTERIOR_NTKGP};
    const double times[TIMES] = {0.1, 3, (double)INFINITY}, forever[2] = {(double)INFINITY, (double)INFINITY};
    struct given *g = malloc(sizeof *g);

    (void)state;
    compute(g);
    for (int k = 0; k < 6; k++) {
        const ntk_posterior posterior = posteriors[k % 3];
        const int which = posterior == NTK_POSTERIOR_NNGP ? 0 : 1;
        const bool ensemble = posterior == NTK_POSTERIOR_NTK, finite = k >= 3;
        ntk_fit_opts o = options(1e-2);
        double mean[M * C], cov[M * M], got[TIMES * M * C], got_cov[TIMES * M * M], var[TIMES * M];
        struct said a, b;
        ntk_test_matrices t;
        ntk_model *model, *given;

        o.posterior = posterior;
        o.covariance = 1;
        o.finite_time = finite;
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_fit_matrix(ctx, N, g->k[which], ensemble ? g->k[0] : NULL, y, C, &o, &given));
        ntk_test_matrices_init(&t);
        t.m = M;
        t.k = g->test[which];
        t.nngp = ensemble ? g->test[0] : NULL;
        t.prior = g->prior[posterior == NTK_POSTERIOR_NTKGP];
        assert_ok(ctx, ntk_model_covariance(model, test, mean, cov));
        assert_ok(ctx, ntk_model_predict_matrix(given, &t, forever, 2, NULL, NULL, got, got_cov));
        for (int i = 0; i < 2; i++) {
            near_all("means", M * C, got + i * M * C, mean, 1e-12);
            near_all("covariances", M * M, got_cov + i * M * M, cov, 1e-11);
        }
        ask(model, false, &a);
        assert_ok(ctx, ntk_model_leave_one_out(given, b.loo, b.loo_var));
        assert_ok(ctx, ntk_model_evidence(given, &b.evidence));
        near_all("leave-one-out", N * C, b.loo, a.loo, 1e-11);
        assert_near(b.evidence, a.evidence, 1e-11, 1);
        if (finite) {
            const size_t n_times = posterior == NTK_POSTERIOR_NTKGP ? 0 : TIMES;

            assert_ok(ctx, ntk_model_predict_matrix(given, &t, times, TIMES, other, z, got, NULL));
            {
                double want[TIMES * M * C];

                assert_ok(ctx, ntk_model_dynamics(model, times, TIMES, other, test, z, NULL, want, NULL));
                near_all("means in time", TIMES * M * C, got, want, 1e-12);
            }
            assert_ok(ctx, ntk_model_dynamics(model, times, n_times, NULL, test, NULL, NULL, NULL, var));
            assert_ok(ctx, ntk_model_predict_matrix(given, &t, times, n_times, NULL, NULL, NULL, got_cov));
            for (size_t i = 0; i < n_times * M; i++)
                assert_near(got_cov[i / M * M * M + i % M * M + i % M], var[i], 1e-11, 1);
        }
        ntk_model_free(model);
        ntk_model_free(given);
    }
    free(g);
}

static void a_covariance_in_float32_is_that_in_float64(void **state)
{
    static const ntk_posterior posteriors[] = {NTK_POSTERIOR_NNGP, NTK_POSTERIOR_NTK, NTK_POSTERIOR_NTKGP};

    (void)state;
    for (int k = 0; k < 3; k++) {
        double mean[2][M * C], cov[2][M * M];

        for (int single = 0; single < 2; single++) {
            ntk_fit_opts o = options(0.1);
            ntk_model *model;

            o.posterior = posteriors[k];
            o.covariance = 1;
            o.dtype = single ? NTK_F32 : NTK_F64;
            model = fit_to(y, &o);
            assert_ok(ctx, ntk_model_covariance(model, test, mean[single], cov[single]));
            ntk_model_free(model);
        }
        near_all("means", M * C, mean[1], mean[0], 1e-5);
        near_all("covariances", M * M, cov[1], cov[0], 1e-5);
    }
}

/* out = a b, all [N][N]. */
static void product(const double *a, const double *b, double *out)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            out[i * N + j] = 0;
            for (int k = 0; k < N; k++)
                out[i * N + j] += a[i * N + k] * b[k * N + j];
        }
}

/* e^{-t k} by its series at t / 2^SQUARES, which is squared so often: [N][N]. */
static void decay(const double *k, double t, double *out)
{
    enum { TERMS = 20, SQUARES = 12 };
    double step[N * N], term[N * N], next[N * N];

    for (int i = 0; i < N * N; i++) {
        step[i] = -t / (1 << SQUARES) * k[i];
        out[i] = term[i] = i % (N + 1) == 0;
    }
    for (int power = 1; power < TERMS; power++) {
        product(term, step, next);
        for (int i = 0; i < N * N; i++)
            out[i] += term[i] = next[i] / power;
    }
    for (int s = 0; s < SQUARES; s++) {
        product(out, out, next);
        memcpy(out, next, sizeof next);
    }
}

/* Outputs that begin with covariance S have E S E with E = e^{-(K + r) t}: S is K + r, as r is noise of the samples' own,
 * or an ensemble's NNGP. */
static void training_samples_have_the_covariance_of_the_flow(void **state)
{
    const double times[2] = {0.7, (double)INFINITY};
    struct given *g = malloc(sizeof *g);

    (void)state;
    compute(g);
    for (int ensemble = 0; ensemble < 2; ensemble++) {
        double cov[2 * N * N], k[N * N], e[N * N], half[N * N], want[N * N], ridge = 0;
        ntk_fit_opts o = options(1e-2);
        ntk_model *model;

        o.finite_time = 1;
        o.covariance = 1;
        o.posterior = ensemble ? NTK_POSTERIOR_NTK : NTK_POSTERIOR_NNGP;
        memcpy(k, g->k[ensemble], sizeof k);
        for (int i = 0; i < N; i++)
            ridge += 1e-2 * k[i * N + i] / N;
        for (int i = 0; i < N; i++)
            k[i * N + i] += ridge;
        decay(k, times[0], e);
        product(e, ensemble ? g->k[0] : k, half);
        product(half, e, want);
        assert_ok(ctx, ntk_model_fit_matrix(ctx, N, g->k[ensemble], ensemble ? g->k[0] : NULL, y, C, &o, &model));
        assert_ok(ctx, ntk_model_predict_matrix(model, NULL, times, 2, NULL, NULL, NULL, cov));
        near_all("covariances of training samples", N * N, cov, want, 1e-10);
        for (int i = 0; i < N * N; i++)
            assert_near(cov[N * N + i], 0, 1e-12, 1);
        ntk_model_free(model);
    }
    free(g);
}

/* f_t = y + e^{-(K + r) t} (f_0 - y) by small steps of its differential equation; at t = infinity y, without variance. */
static void training_samples_follow_the_flow(void **state)
{
    const double times[2] = {0.4, (double)INFINITY};
    struct given *g = malloc(sizeof *g);
    double f[N * C], next[N * C], got[2 * N * C], cov[2 * N * N], ridge;
    ntk_fit_opts o = options(1e-2);
    ntk_model *model;
    enum { STEPS = 20000 };

    (void)state;
    compute(g);
    o.finite_time = 1;
    o.posterior = NTK_POSTERIOR_NNGP;
    assert_ok(ctx, ntk_model_fit_matrix(ctx, N, g->k[0], NULL, y, C, &o, &model));
    assert_ok(ctx, ntk_model_predict_matrix(model, NULL, times, 2, other, NULL, got, cov));
    ridge = 0;
    for (int i = 0; i < N; i++)
        ridge += 1e-2 * g->k[0][i * N + i] / N;
    memcpy(f, other, sizeof f);
    for (int s = 0; s < STEPS; s++) { /* Heun's method */
        double slope[2][N * C];

        for (int half = 0; half < 2; half++)
            for (int i = 0; i < N; i++)
                for (int c = 0; c < C; c++) {
                    double sum = ridge * ((half ? next : f)[i * C + c] - y[i * C + c]);

                    for (int j = 0; j < N; j++)
                        sum += g->k[0][i * N + j] * ((half ? next : f)[j * C + c] - y[j * C + c]);
                    slope[half][i * C + c] = -sum;
                    if (i == N - 1 && c == C - 1 && !half)
                        for (int e = 0; e < N * C; e++)
                            next[e] = f[e] + times[0] / STEPS * slope[0][e];
                }
        for (int e = 0; e < N * C; e++)
            f[e] += times[0] / STEPS * (slope[0][e] + slope[1][e]) / 2;
    }
    near_all("training samples", N * C, got, f, 1e-6);
    near_all("at the end", N * C, got + N * C, y, 1e-12);
    for (int i = 0; i < N; i++) {
        assert_true(cov[i * N + i] > 0 && cov[i * N + i] < g->k[0][i * N + i] + ridge);
        assert_near(cov[N * N + i * N + i], 0, 1e-12, 1);
    }
    ntk_model_free(model);
    free(g);
}

static void wrong_matrices_are_refused(void **state)
{
    double k[4] = {2, 1, 1, 2}, targets[2] = {1, -1}, out[4];
    const double now = 1, forever = (double)INFINITY;
    ntk_fit_opts o = options(0);
    ntk_test_matrices t;
    ntk_model *model;

    (void)state;
    assert_fails(ctx, NTK_EINVAL, "k is missing", ntk_model_fit_matrix(ctx, 2, NULL, NULL, targets, 1, &o, &model));
    k[2] = 1 + 1e-11;
    assert_fails(ctx, NTK_EINVAL, "symmetric", ntk_model_fit_matrix(ctx, 2, k, NULL, targets, 1, &o, &model));
    k[2] = (double)INFINITY;
    assert_fails(ctx, NTK_EINVAL, "inf", ntk_model_fit_matrix(ctx, 2, k, NULL, targets, 1, &o, &model));
    k[2] = 1;
    assert_fails(ctx, NTK_EINVAL, "1 to ", ntk_model_fit_matrix(ctx, 0, k, NULL, targets, 1, &o, &model));
    assert_fails(ctx, NTK_EINVAL, "nngp is for", ntk_model_fit_matrix(ctx, 2, k, k, targets, 1, &o, &model));
    o.covariance = 1;
    assert_fails(ctx, NTK_EINVAL, "needs nngp", ntk_model_fit_matrix(ctx, 2, k, NULL, targets, 1, &o, &model));
    o.store = "folder";
    assert_fails(ctx, NTK_EINVAL, "no store", ntk_model_fit_matrix(ctx, 2, k, k, targets, 1, &o, &model));
    o.store = NULL;
    o.weights = (const double[]){1, 0};
    assert_fails(ctx, NTK_EINVAL, "leave the rows out", ntk_model_fit_matrix(ctx, 2, k, k, targets, 1, &o, &model));
    o.weights = NULL;
    assert_ok(ctx, ntk_model_fit_matrix(ctx, 2, k, k, targets, 1, &o, &model));
    ntk_test_matrices_init(&t);
    assert_fails(ctx, NTK_EINVAL, "need k", ntk_model_predict_matrix(model, &t, &forever, 1, NULL, NULL, out, NULL));
    t.m = 1;
    t.k = k;
    assert_fails(ctx, NTK_EINVAL, "finite_time = 1", ntk_model_predict_matrix(model, &t, &now, 1, NULL, NULL, out, NULL));
    assert_fails(ctx, NTK_EINVAL, "prior", ntk_model_predict_matrix(model, &t, &forever, 1, NULL, NULL, out, out));
    t.prior = k;
    assert_fails(ctx, NTK_EINVAL, "nngp", ntk_model_predict_matrix(model, &t, &forever, 1, NULL, NULL, out, out));
    assert_ok(ctx, ntk_model_predict_matrix(model, &t, &forever, 1, NULL, NULL, out, NULL));
    assert_near(out[0], 1, 1e-14, 1); /* k is the first training sample's row */
    assert_fails(ctx, NTK_EINVAL, "without samples", ntk_model_predict(model, train, out, NULL));
    assert_fails(ctx, NTK_EINVAL, "without samples", ntk_model_covariance(model, train, out, out));
    assert_fails(ctx, NTK_EINVAL, "without samples", ntk_model_dynamics(model, &now, 1, NULL, train, NULL, NULL, out, NULL));
    if (strstr(ntk_features(), "hdf5"))
        assert_fails(ctx, NTK_EINVAL, "without samples", ntk_model_save(model, "/tmp/no.h5", 0));
    ntk_model_free(model);
}

/* Each solver by its name; what it does not have is said. */
static void solvers_are_chosen_by_name(void **state)
{
    double mean[M * C], first[M * C], loo[N * C], now = 1, later[M * C], values[N];
    double var[M], first_var[M], cov[M * M], first_cov[M * M];

    (void)state;
    for (size_t k = 0; k < ntk_n_solvers; k++) {
        const struct ntk_solver_class *c = ntk_solvers[k];
        ntk_fit_opts o = options(1e-2);
        ntk_model *model;

        o.solver = c->name;
        o.tolerance = 1e-14; /* of those that iterate; to rounding error */
        o.posterior = NTK_POSTERIOR_NTKGP;
        o.covariance = 1;
        model = fit_to(y, &o);
        assert_ok(ctx, ntk_model_predict(model, test, k ? mean : first, k ? var : first_var));
        assert_ok(ctx, ntk_model_covariance(model, test, mean, k ? cov : first_cov));
        if (k) {
            near_all(c->name, M * C, mean, first, 1e-11);
            near_all(c->name, M, var, first_var, 1e-11);
            near_all(c->name, M * M, cov, first_cov, 1e-11);
        }
        if (c->inverse_diagonal)
            assert_ok(ctx, ntk_model_leave_one_out(model, loo, NULL));
        else
            assert_fails(ctx, NTK_ENOTSUP, c->name, ntk_model_leave_one_out(model, loo, NULL));
        if (c->eigen)
            assert_ok(ctx, ntk_model_dynamics(model, &now, 1, NULL, test, NULL, NULL, later, NULL));
        else
            assert_fails(ctx, NTK_EINVAL, "t = infinity",
                         ntk_model_dynamics(model, &now, 1, NULL, test, NULL, NULL, later, NULL));
        if (c->eigen)
            assert_ok(ctx, ntk_model_eigenvalues(model, values));
        else
            assert_fails(ctx, NTK_EINVAL, "finite_time = 1", ntk_model_eigenvalues(model, values));
        if (strcmp(c->name, "lanczos") == 0 && strstr(ntk_features(), "hdf5"))
            assert_fails(ctx, NTK_ENOTSUP, "'lanczos' has no factor to save", ntk_model_save(model, "/tmp/no.h5", 1));
        ntk_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_ridge_is_what_a_new_fit_is),
        cmocka_unit_test(new_targets_are_solved_by_the_factor),
        cmocka_unit_test(another_time_needs_no_kernel),
        cmocka_unit_test(keeping_begins_when_it_is_asked_for),
        cmocka_unit_test(solvers_follow_each_other),
        cmocka_unit_test(what_needs_another_model_is_refused),
        cmocka_unit_test(options_of_others_are_left_out),
        cmocka_unit_test(a_model_survives_what_cannot_be_solved),
        cmocka_unit_test(coefficients_are_applied),
        cmocka_unit_test(ridges_are_what_refits_say),
        cmocka_unit_test(a_comparison_leaves_the_model),
        cmocka_unit_test(the_best_ridge_is_chosen),
        cmocka_unit_test(of_equal_ridges_the_largest_is_chosen),
        cmocka_unit_test(a_weight_is_so_many_samples),
        cmocka_unit_test(leave_one_out_leaves_one_out),
        cmocka_unit_test(noise_is_a_ridge_of_each_sample),
        cmocka_unit_test(wrong_weights_are_refused),
        cmocka_unit_test(weights_are_saved),
        cmocka_unit_test(a_chosen_ridge_is_saved),
        cmocka_unit_test(given_matrices_are_what_samples_are),
        cmocka_unit_test(a_covariance_in_float32_is_that_in_float64),
        cmocka_unit_test(training_samples_have_the_covariance_of_the_flow),
        cmocka_unit_test(training_samples_follow_the_flow),
        cmocka_unit_test(wrong_matrices_are_refused),
        cmocka_unit_test(solvers_are_chosen_by_name),
    };

    return cmocka_run_group_tests(tests, start, end);
}
