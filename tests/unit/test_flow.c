/* SPDX-License-Identifier: MIT
 *
 * test_flow.c - dynamics of losses in function space.
 */
#include "context.h"
#include "golden.h"

struct flow_case {
    ntk_flow_opts opts;
    int n, m, c, n_times;
    double *times, *k_train, *k_test, *y;
    double *f0, *f, *q0, *q; /* [n + m][c] and [n_times][n + m][c]; q: NULL without momentum */
};

static double *numbers(const cJSON *item, const char *key)
{
    int n;

    return cJSON_HasObjectItem(item, key) ? golden_numbers(cJSON_GetObjectItem(item, key), &n)
                                          : NULL;
}

static int integer(const cJSON *item, const char *key)
{
    return cJSON_GetObjectItem(item, key)->valueint;
}

static struct flow_case read_case(const cJSON *all, const cJSON *item)
{
    struct flow_case c = {.n = integer(all, "n"), .m = integer(all, "m"), .c = integer(all, "c")};
    const cJSON *momentum = cJSON_GetObjectItem(item, "momentum");

    ntk_flow_opts_init(&c.opts);
    c.opts.loss = strcmp(golden_text(item, "loss"), "mse") == 0 ? NTK_LOSS_MSE : NTK_LOSS_XENT;
    c.opts.blocks = integer(item, "blocks");
    c.opts.mean_loss = integer(item, "mean");
    c.opts.learning_rate = cJSON_GetObjectItem(all, "learning_rate")->valuedouble;
    if (cJSON_IsNumber(momentum))
        c.opts.momentum = momentum->valuedouble;
    c.times = golden_numbers(cJSON_GetObjectItem(all, "times"), &c.n_times);
    c.k_train = numbers(item, "k_train");
    c.k_test = numbers(item, "k_test");
    c.y = numbers(item, "y");
    c.f0 = numbers(item, "f0");
    c.f = numbers(item, "f");
    c.q0 = numbers(item, "q0");
    c.q = numbers(item, "q");
    c.opts.q0_train = c.q0;
    c.opts.q0_test = c.q0 ? c.q0 + c.n * c.c : NULL;
    return c;
}

static void free_case(struct flow_case *c)
{
    free(c->times);
    free(c->k_train);
    free(c->k_test);
    free(c->y);
    free(c->f0);
    free(c->f);
    free(c->q0);
    free(c->q);
}

static ntk_status run(const struct flow_case *c, double *train, double *test)
{
    return ntk_flow(ctx, &c->opts, c->n, c->m, c->c, c->k_train, c->k_test, c->y, c->f0,
                    c->f0 + c->n * c->c, c->times, (size_t)c->n_times, train, test);
}

/* Largest difference of [n_times][n][c] and [n_times][m][c] from [n_times][n + m][c]. */
static double difference(const struct flow_case *c, const double *train, const double *test,
                         const double *want)
{
    const int n = c->n * c->c, m = c->m * c->c;
    double worst = 0;

    for (int k = 0; k < c->n_times; k++)
        for (int i = 0; i < n + m; i++)
            worst = fmax(worst, fabs((i < n ? train[k * n + i] : test[k * m + i - n]) -
                                     want[k * (n + m) + i]));
    return worst;
}

/* Largest difference from the golden trajectory, of outputs and velocities. */
static double error_of(const struct flow_case *c)
{
    double f[2][5 * 6 * 3], q[2][5 * 6 * 3];
    struct flow_case with = *c;

    assert_true(c->n_times * c->n * c->c <= 5 * 6 * 3);
    if (c->q) {
        with.opts.q_train = q[0];
        with.opts.q_test = q[1];
    }
    assert_ok(ctx, run(&with, f[0], f[1]));
    return fmax(difference(c, f[0], f[1], c->f), c->q ? difference(c, q[0], q[1], c->q) : 0);
}

static void golden_trajectories(void **state)
{
    cJSON *all = golden_read("flow.json");
    const cJSON *item;
    int k = 0;

    (void)state;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(all, "cases"))
    {
        struct flow_case c = read_case(all, item);
        double loose, tight;

        loose = error_of(&c);
        c.opts.rtol = 1e-10;
        c.opts.atol = 1e-11;
        tight = error_of(&c);
        if (loose > 1e-4 || tight > 1e-8) /* tolerances are of a step: errors add up over steps */
            fail_msg("case %d: errors %.2e and %.2e", k, loose, tight);
        free_case(&c);
        k++;
    }
    assert_true(k >= 9);
    cJSON_Delete(all);
}

static void squared_loss_is_the_closed_form(void **state)
{
    const double times[] = {0.01, 0.3, 4, 50};
    double train[2][4 * 30 * 10], test[2][4 * 12 * 10], K[30 * 30], Kt[12 * 30], y[300];
    ntk_data *all, *x, *xt;
    ntk_net *net;
    ntk_kernel *kernel;
    ntk_model *model;
    ntk_fit_opts fit;
    ntk_flow_opts flow;

    (void)state;
    assert_ok(ctx, ntk_data_load(ctx, "digits", NULL, &all));
    ntk_data_flatten(all);
    assert_ok(ctx, ntk_data_slice(all, 0, 30, &x));
    assert_ok(ctx, ntk_data_slice(all, 100, 12, &xt));
    assert_ok(ctx, ntk_data_targets(x, NTK_CENTERED, 10, y));
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=2)", &net));
    assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *[]){net}, 1, NTK_NTK, NTK_F64,
                                  ntk_data_shape(x), &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, x, NULL, (void *[]){K}));
    assert_ok(ctx, ntk_kernel_compute(kernel, xt, x, (void *[]){Kt}));
    ntk_fit_opts_init(&fit);
    fit.finite_time = 1;
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, 10, &fit, &model));
    assert_ok(ctx, ntk_model_dynamics(model, times, 4, NULL, xt, NULL, train[0], test[0], NULL));
    ntk_flow_opts_init(&flow);
    flow.rtol = flow.atol = 1e-9;
    assert_ok(ctx,
              ntk_flow(ctx, &flow, 30, 12, 10, K, Kt, y, NULL, NULL, times, 4, train[1], test[1]));
    for (int i = 0; i < 4 * 30 * 10; i++)
        assert_near(train[1][i], train[0][i], 1e-6, 1);
    for (int i = 0; i < 4 * 12 * 10; i++)
        assert_near(test[1][i], test[0][i], 1e-6, 1);
    ntk_model_free(model);
    ntk_kernel_free(kernel);
    ntk_net_free(net);
    ntk_data_free(x);
    ntk_data_free(xt);
    ntk_data_free(all);
}

/* The golden squared-loss cases without momentum, times in any order, and t = infinity. */
static void closed_form_is_exact(void **state)
{
    cJSON *all = golden_read("flow.json");

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct flow_case c =
            read_case(all, cJSON_GetArrayItem(cJSON_GetObjectItem(all, "cases"), k));
        const double end[] = {(double)INFINITY, 0};
        double f[2][2 * 6 * 3];

        c.opts.closed_form = 1;
        if (error_of(&c) > 1e-9)
            fail_msg("case %d: error %.2e", k, error_of(&c));
        assert_ok(ctx, ntk_flow(ctx, &c.opts, c.n, c.m, c.c, c.k_train, c.k_test, c.y, c.f0,
                                c.f0 + c.n * c.c, end, 2, f[0], f[1]));
        for (int i = 0; i < c.n * c.c; i++) {
            assert_near(f[0][i], c.y[i], 1e-9, 1);
            assert_near(f[0][c.n * c.c + i], c.f0[i], 1e-15, 1);
        }
        assert_true(isfinite(f[1][0]));
        assert_fails(ctx, NTK_EINVAL, "times must be >= 0, number 2 is -1",
                     ntk_flow(ctx, &c.opts, c.n, c.m, c.c, c.k_train, c.k_test, c.y, c.f0, c.f0 + c.n * c.c,
                              (const double[]){1, -1}, 2, f[0], f[1]));
        c.opts.momentum = 0.5;
        assert_fails(ctx, NTK_EINVAL, "closed_form is for the squared loss without momentum",
                     run(&c, NULL, NULL));
        free_case(&c);
    }
    cJSON_Delete(all);
}

/* What lies along a null direction stays, however long the time. */
static void closed_form_of_a_singular_kernel(void **state)
{
    const double K[] = {1, 1, 0, 1, 1, 0, 0, 0, 2}, Kt[] = {1, 1, 0}, y[] = {1, 3, 5};
    const double f0[] = {0, 0, 0}, times[] = {(double)INFINITY, 1e12, 0.5};
    double train[9], test[3];
    ntk_flow_opts o;

    (void)state;
    ntk_flow_opts_init(&o);
    o.closed_form = 1;
    assert_ok(ctx, ntk_flow(ctx, &o, 3, 1, 1, K, Kt, y, f0, NULL, times, 3, train, test));
    for (int k = 0; k < 2; k++) {
        assert_near(train[3 * k], 2, 1e-12, 1);
        assert_near(train[3 * k + 1], 2, 1e-12, 1);
        assert_near(train[3 * k + 2], 5, 1e-12, 1);
        assert_near(test[k], 2, 1e-12, 1);
    }
    assert_near(train[6], 2 * (1 - exp(-1)), 1e-12, 1);
    assert_near(test[2], 2 * (1 - exp(-1)), 1e-12, 1);
}

/* What fails leaves numbers as they were. */
static void failing_counts_nothing(void **state)
{
    const double K[] = {1, 1, 1, 1}, large[] = {1e308, 1e308}, y[] = {100, 100}, t = 1;
    int64_t nulls = -7;
    double test[1];
    ntk_flow_opts o;

    (void)state;
    ntk_flow_opts_init(&o);
    o.closed_form = 1;
    o.null_directions = &nulls;
    assert_fails(ctx, NTK_ENUMERIC, "of the test outputs at t = 1",
                 ntk_flow(ctx, &o, 2, 1, 1, K, large, y, NULL, NULL, &t, 1, NULL, test));
    assert_int_equal(nulls, -7);
    assert_ok(ctx, ntk_flow(ctx, &o, 2, 0, 1, K, NULL, y, NULL, NULL, &t, 1, NULL, NULL));
    assert_int_equal(nulls, 1);
}

static void note_warning(int level, const char *text, void *user)
{
    if (level > 0)
        snprintf(user, 300, "%s", text);
}

/* A kernel in float64 whose numbers are float32's is hinted at, if that makes a difference. */
static void float32_in_float64_is_hinted_at(void **state)
{
    const double values[] = {(double)0.9999999f, 0.9999999, 0.5}, y[] = {1, 2}, t = 1;

    (void)state;
    for (int k = 0; k < 3; k++) {
        const double K[] = {1, values[k], values[k], 1};
        char warning[300] = "";
        ntk_flow_opts o;

        ntk_flow_opts_init(&o);
        o.closed_form = 1;
        ntk_ctx_set_log(ctx, note_warning, warning);
        assert_ok(ctx, ntk_flow(ctx, &o, 2, 0, 1, K, NULL, y, NULL, NULL, &t, 1, NULL, NULL));
        ntk_ctx_set_log(ctx, NULL, NULL);
        assert_int_equal(strstr(warning, "dtype is to be NTK_F32") != NULL, k == 0);
    }
}

/* ---- kernels whose eigenvalues are rounding error */

#define PROP_N 14
#define PROP_TIMES 13

/* V diag(values) V' with a random orthogonal V; entries rounded to float32 if dtype says so. */
static void random_kernel(uint64_t *seed, const double *values, ntk_dtype dtype, double *k)
{
    double v[PROP_N][PROP_N];

    for (int i = 0; i < PROP_N; i++) {
        double norm = 0;

        for (int j = 0; j < PROP_N; j++)
            v[i][j] = test_normal(seed);
        for (int p = 0; p < 2 * i; p++) { /* twice */
            double dot = 0;

            for (int j = 0; j < PROP_N; j++)
                dot += v[i][j] * v[p % i][j];
            for (int j = 0; j < PROP_N; j++)
                v[i][j] -= dot * v[p % i][j];
        }
        for (int j = 0; j < PROP_N; j++)
            norm += v[i][j] * v[i][j];
        for (int j = 0; j < PROP_N; j++)
            v[i][j] /= sqrt(norm);
    }
    for (int i = 0; i < PROP_N; i++)
        for (int j = 0; j < PROP_N; j++) {
            double sum = 0;

            for (int p = 0; p < PROP_N; p++)
                sum += v[p][i < j ? i : j] * values[p] * v[p][i < j ? j : i];
            k[i * PROP_N + j] = dtype == NTK_F32 ? (double)(float)sum : sum;
        }
}

/* Loss never rises, and the training samples as test samples say the same, for spectra of all widths. */
static void loss_never_rises(void **state)
{
    const double times[PROP_TIMES] = {0,   1e-3, 1,    10,   1e2,  1e4, 1e6,
                                      1e8, 1e10, 1e12, 1e14, 1e16, (double)INFINITY};
    double values[PROP_N], k[PROP_N * PROP_N], y[PROP_N];
    double f[PROP_TIMES * PROP_N], test[PROP_TIMES * PROP_N];
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < 120; i++) {
        const double decades = i % 30, before = i % 7 == 0;
        ntk_flow_opts o;
        int64_t nulls;
        double last = (double)INFINITY;

        ntk_flow_opts_init(&o);
        o.closed_form = 1;
        o.dtype = i % 2 ? NTK_F32 : NTK_F64;
        o.null_directions = &nulls;
        for (int p = 0; p < PROP_N; p++) {
            values[p] = p < before ? 0 : pow(10, -decades * p / PROP_N + i % 5 - 2);
            y[p] = test_normal(&seed);
        }
        random_kernel(&seed, values, o.dtype, k);
        assert_ok(ctx, ntk_flow(ctx, &o, PROP_N, PROP_N, 1, k, k, y, NULL, NULL, times, PROP_TIMES,
                                f, test));
        for (int t = 0; t < PROP_TIMES; t++) {
            double loss = 0;

            for (int p = 0; p < PROP_N; p++) {
                const double r = f[t * PROP_N + p] - y[p];

                loss += r * r;
                /* A weight at float64's floor lets through as much of its rounding. */
                assert_near(test[t * PROP_N + p], f[t * PROP_N + p],
                            o.dtype == NTK_F32 || decades < 9 ? 1e-6 : 0.3, 1);
            }
            if (!(loss <= last * (1 + 1e-12) + 1e-25))
                fail_msg("kernel %d: loss %.17g, then %.17g at t = %g", i, last, loss, times[t]);
            last = loss;
        }
        /* What is left is what lies along null directions. */
        assert_true(nulls > 0 ? last > 0 : last < 1e-20);
    }
}

/* Two equal samples and what float64 makes of them: both C forms, at any time, the mean of their targets. */
static void null_directions_stay(void **state)
{
    const double times[] = {1e8, 1e16, 1e300, (double)INFINITY};
    double x[] = {0.3, 0.4, 0.3, 0.4, -1, 0.2}, y[] = {1, 2, -1}, K[9];
    double closed[2][12], model_says[2][12];
    const ntk_shape shape = {0, 1, 1, 2};
    ntk_data *data;
    ntk_net *net;
    ntk_kernel *kernel;
    ntk_model *model;
    ntk_spectrum spectrum;
    ntk_fit_opts fit;
    ntk_flow_opts o;
    int64_t nulls = -1;

    (void)state;
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 3, shape, &data));
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=3)", &net));
    assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *[]){net}, 1, NTK_NTK, NTK_F64, shape, &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, data, NULL, (void *[]){K}));
    ntk_flow_opts_init(&o);
    o.closed_form = 1;
    o.null_directions = &nulls;
    assert_ok(ctx, ntk_flow(ctx, &o, 3, 3, 1, K, K, y, NULL, NULL, times, 4, closed[0], closed[1]));
    assert_int_equal(nulls, 1);
    ntk_fit_opts_init(&fit);
    fit.finite_time = 1;
    assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &fit, &model));
    assert_ok(ctx, ntk_model_dynamics(model, times, 4, NULL, data, NULL, model_says[0], model_says[1],
                                      NULL));
    for (int i = 0; i < 12; i++)
        for (int side = 0; side < 2; side++) {
            assert_near(closed[side][i], i % 3 < 2 ? 1.5 : -1, 1e-12, 1);
            assert_near(model_says[side][i], i % 3 < 2 ? 1.5 : -1, 1e-12, 1);
        }
    ntk_spectrum_init(&spectrum);
    assert_ok(ctx, ntk_model_spectrum(model, &spectrum));
    assert_int_equal(spectrum.null_directions, 1);
    assert_true(isinf(spectrum.condition));
    assert_fails(ctx, NTK_ENUMERIC, "the likelihood needs a positive definite matrix: 1 of the 3",
                 ntk_model_evidence(model, K));
    assert_fails(ctx, NTK_ENUMERIC, "try diag_reg = 1e-08 (times the mean of the diagonal)",
                 ntk_model_leave_one_out(model, K, NULL));
    ntk_model_free(model);
    ntk_kernel_free(kernel);
    ntk_net_free(net);
    ntk_data_free(data);
}

static void indefinite_matrices_are_refused(void **state)
{
    const double times[] = {1, (double)INFINITY}, y[] = {1, 1};
    double k[] = {1, 0, 0, -1e-3}, zero[] = {0, 0, 0, 0}, weights[2], f[4];
    int64_t nulls;
    ntk_flow_opts o;

    (void)state;
    ntk_flow_opts_init(&o);
    o.closed_form = 1;
    for (int t = 0; t < 2; t++)
        assert_fails(ctx, NTK_ENUMERIC, "not positive semidefinite: its eigenvalues are -0.001 to 1",
                     ntk_flow(ctx, &o, 2, 0, 1, k, NULL, y, NULL, NULL, times + t, 1, f, NULL));
    k[3] = -3e-6; /* rounding of float32, but not of float64 */
    assert_fails(ctx, NTK_ENUMERIC, "not positive semidefinite",
                 ntk_flow(ctx, &o, 2, 0, 1, k, NULL, y, NULL, NULL, times, 2, f, NULL));
    o.dtype = NTK_F32;
    assert_ok(ctx, ntk_flow(ctx, &o, 2, 0, 1, k, NULL, y, NULL, NULL, times, 2, f, NULL));
    assert_near(f[2], 1, 1e-15, 1);
    assert_near(f[3], 0, 1e-15, 1);
    assert_ok(ctx, ntk_spectral_decompose(ctx, 2, NTK_F32, 1e-5, k, weights, &nulls));
    assert_int_equal(nulls, 0);
    assert_near(weights[0], 1e-5, 1e-12, 0); /* not 7e-6 */
    assert_near(weights[1], 1 + 1e-5, 1e-12, 0);
    assert_ok(ctx, ntk_spectral_decompose(ctx, 2, NTK_F64, 0, zero, weights, &nulls));
    assert_int_equal(nulls, 2);
    assert_fails(ctx, NTK_EINVAL, "ridge >= 0, got 2 and -1",
                 ntk_spectral_decompose(ctx, 2, NTK_F64, -1, zero, weights, &nulls));
    assert_true(ntk_spectral(NTK_LEFT, 0, (double)INFINITY) == 1);
    assert_true(ntk_spectral(NTK_GAIN, 0, 1e300) == 0);
    assert_near(ntk_spectral(NTK_GAIN, 2, (double)INFINITY), 0.5, 1e-15, 0);
    assert_near(ntk_spectral(NTK_GAIN, 1e-20, 1e3), 1e3, 1e-15, 0);
    assert_fails(ctx, NTK_EINVAL, "number 3 of k is nan",
                 ntk_spectral_decompose(ctx, 2, NTK_F64, 0, (double[]){1, 0, 0, (double)NAN}, weights,
                                        &nulls));
}

/* ---- the integrator's edges */

static void integrated_at_any_time(void **state)
{
    const double K[] = {1, 0.5, 0.5, 1}, y[] = {1, 0, 0, 1};
    const double times[] = {1e-320, 1e-308, 1e-160, 1e-99, 1e-9, 1};
    double f[6 * 4], alone[4];
    ntk_flow_opts o;

    (void)state;
    for (int loss = 0; loss < 2; loss++) {
        const double rate = loss ? 0.25 : 1; /* of the first output of both samples' own part */

        ntk_flow_opts_init(&o);
        o.loss = loss ? NTK_LOSS_XENT : NTK_LOSS_MSE;
        assert_ok(ctx, ntk_flow(ctx, &o, 2, 0, 2, K, NULL, y, NULL, NULL, times, 6, f, NULL));
        for (int k = 0; k < 5; k++)
            assert_near(f[4 * k], rate * times[k], 1e-3, 1e-322);
        assert_ok(ctx, ntk_flow(ctx, &o, 2, 0, 2, K, NULL, y, NULL, NULL, times + 5, 1, alone, NULL));
        for (int i = 0; i < 4; i++)
            assert_near(f[20 + i], alone[i], 1e-5, 1);
        o.momentum = 0.5;
        assert_ok(ctx, ntk_flow(ctx, &o, 2, 0, 2, K, NULL, y, NULL, NULL, times, 6, f, NULL));
        for (int i = 0; i < 24; i++)
            assert_true(isfinite(f[i]));
    }
}

/* Numbers that the integrator cannot follow are an error, never the outputs at the start. */
static void a_kernel_that_is_too_large_is_an_error(void **state)
{
    const double large[] = {1e200, 1e300}, y[] = {1, 0, 0, 1}, t = 1e-3;

    (void)state;
    for (int i = 0; i < 5; i++) { /* both losses, of the larger with momentum too */
        const double k = large[i > 0], K[] = {k, k / 2, k / 2, k};
        ntk_flow_opts o;
        double f[4];

        ntk_flow_opts_init(&o);
        o.loss = i % 2 ? NTK_LOSS_XENT : NTK_LOSS_MSE;
        o.momentum = i > 2 ? 0.9 : (double)NAN;
        assert_fails(ctx, NTK_ENUMERIC, "the integrator failed on the way to t = 0.001",
                     ntk_flow(ctx, &o, 2, 0, 2, K, NULL, y, NULL, NULL, &t, 1, f, NULL));
    }
}

static void a_rising_loss_is_said(void **state)
{
    const double K[] = {1, 0, 0, -1e-3}, y[] = {1, 0, 0, 1}, times[] = {1, 1e5};
    double f[8];
    ntk_flow_opts o;

    (void)state;
    ntk_flow_opts_init(&o);
    o.loss = NTK_LOSS_XENT;
    assert_fails(ctx, NTK_ENUMERIC, "the kernel is not positive semidefinite",
                 ntk_flow(ctx, &o, 2, 0, 2, K, NULL, y, NULL, NULL, times, 2, f, NULL));
    o.momentum = 0;
    assert_fails(ctx, NTK_ENUMERIC, "the loss rises from 1.38",
                 ntk_flow(ctx, &o, 2, 0, 2, K, NULL, y, NULL, NULL, times, 2, f, NULL));
}

/* From the state at the third time on, the rest is the same. */
static void a_flow_goes_on_from_a_state(void **state)
{
    cJSON *all = golden_read("flow.json");
    struct flow_case c = read_case(all, cJSON_GetArrayItem(cJSON_GetObjectItem(all, "cases"), 8));
    const int n = c.n * c.c, at = 2 * (n + c.m * c.c), last = 2 * at;
    const double left = c.times[4] - c.times[2];
    double f[2][6 * 3], q[2][6 * 3];

    (void)state;
    c.opts.rtol = c.opts.atol = 1e-10;
    c.opts.q0_train = c.q + at;
    c.opts.q0_test = c.q + at + n;
    c.opts.q_train = q[0];
    c.opts.q_test = q[1];
    assert_ok(ctx, ntk_flow(ctx, &c.opts, c.n, c.m, c.c, c.k_train, c.k_test, c.y, c.f + at,
                            c.f + at + n, &left, 1, f[0], f[1]));
    for (int i = 0; i < n; i++) {
        assert_near(f[0][i], c.f[last + i], 1e-7, 1);
        assert_near(q[0][i], c.q[last + i], 1e-7, 1);
    }
    for (int i = 0; i < c.m * c.c; i++) {
        assert_near(f[1][i], c.f[last + n + i], 1e-7, 1);
        assert_near(q[1][i], c.q[last + n + i], 1e-7, 1);
    }
    c.opts.momentum = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "velocities (q0_train, ...) need a momentum",
                 run(&c, NULL, NULL));
    free_case(&c);
    cJSON_Delete(all);
}

static int cancel(const char *what, double done, double total, void *user)
{
    (void)what, (void)total, (void)user;
    return done > 1.5;
}

static void it_can_be_cancelled(void **state)
{
    cJSON *all = golden_read("flow.json");
    struct flow_case c = read_case(all, cJSON_GetArrayItem(cJSON_GetObjectItem(all, "cases"), 3));
    double train[5 * 6 * 3];

    (void)state;
    ntk_ctx_set_progress(ctx, cancel, NULL);
    assert_int_equal(run(&c, train, NULL), NTK_ECANCEL);
    ntk_ctx_set_progress(ctx, NULL, NULL);
    free_case(&c);
    cJSON_Delete(all);
}

static void bad_input_is_refused(void **state)
{
    cJSON *all = golden_read("flow.json");
    struct flow_case c = read_case(all, cJSON_GetArrayItem(cJSON_GetObjectItem(all, "cases"), 3));
    const ntk_flow_opts good = c.opts;

    (void)state;
    c.opts.rtol = 1;
    assert_fails(ctx, NTK_EINVAL, "rtol must be from 1e-13 to 0.1, got 1", run(&c, NULL, NULL));
    c.opts = good;
    c.opts.atol = 0;
    assert_fails(ctx, NTK_EINVAL, "atol must be positive, got 0", run(&c, NULL, NULL));
    c.opts = good;
    c.opts.learning_rate = -2;
    assert_fails(ctx, NTK_EINVAL, "learning_rate must be positive, got -2", run(&c, NULL, NULL));
    c.opts = good;
    c.opts.momentum = 1;
    assert_fails(ctx, NTK_EINVAL, "momentum must be from 0 to below 1", run(&c, NULL, NULL));
    c.opts = good;
    assert_fails(ctx, NTK_EINVAL, "n = 0, m = 0, outputs = 2",
                 ntk_flow(ctx, &good, 0, 0, 2, c.k_train, NULL, c.y, NULL, NULL, c.times, 1, NULL, NULL));
    assert_fails(ctx, NTK_EINVAL, "no k_test for test",
                 ntk_flow(ctx, &good, c.n, 0, c.c, c.k_train, NULL, c.y, NULL, NULL, c.times, 1, NULL, c.f));
    c.times[2] = 0.01;
    assert_fails(ctx, NTK_EINVAL, "times must be finite, >= 0 and ascending; number 3",
                 run(&c, NULL, NULL));
    c.times[2] = 0.7;
    c.y[3] = -0.5;
    assert_fails(ctx, NTK_EINVAL, "those of sample 1 sum to", run(&c, NULL, NULL));
    c.y[3] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "target 0 of sample 1 is not finite", run(&c, NULL, NULL));
    c.y[3] = c.y[4] = 0.5;
    c.y[5] = 0;
    c.k_train[4] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "number 4 of k_train is nan", run(&c, NULL, NULL));
    free_case(&c);
    cJSON_Delete(all);
}

static void needs_sundials(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_trajectories),
        cmocka_unit_test(squared_loss_is_the_closed_form),
        cmocka_unit_test(closed_form_is_exact),
        cmocka_unit_test(closed_form_of_a_singular_kernel),
        cmocka_unit_test(failing_counts_nothing),
        cmocka_unit_test(float32_in_float64_is_hinted_at),
        cmocka_unit_test(loss_never_rises),
        cmocka_unit_test(null_directions_stay),
        cmocka_unit_test(indefinite_matrices_are_refused),
        cmocka_unit_test(integrated_at_any_time),
        cmocka_unit_test(a_kernel_that_is_too_large_is_an_error),
        cmocka_unit_test(a_rising_loss_is_said),
        cmocka_unit_test(a_flow_goes_on_from_a_state),
        cmocka_unit_test(it_can_be_cancelled),
        cmocka_unit_test(bad_input_is_refused),
    };

    const struct CMUnitTest none[] = {
        cmocka_unit_test(needs_sundials),
        cmocka_unit_test(closed_form_is_exact),
        cmocka_unit_test(closed_form_of_a_singular_kernel),
        cmocka_unit_test(failing_counts_nothing),
        cmocka_unit_test(float32_in_float64_is_hinted_at),
        cmocka_unit_test(loss_never_rises),
        cmocka_unit_test(null_directions_stay),
        cmocka_unit_test(indefinite_matrices_are_refused),
    };

    if (!strstr(ntk_features(), "sundials"))
        return cmocka_run_group_tests_name("flow", none, setup, teardown);
    return cmocka_run_group_tests_name("flow", tests, setup, teardown);
}
