/* SPDX-License-Identifier: MIT
 *
 * Fitted models: golden values of every quantity, the lecture's linear case, files, refusals.
 */
#include <stdio.h>
#include <unistd.h>

#include "golden.h"
#include "context.h"
#include "solve/spectral.h"

/* ---- golden values: tests/golden/predict.json */

struct fixture {
    cJSON *json;
    double *x_train, *x_test, *y, *f0_train, *f0_test;
    int n, m, d, c;
    ntk_data *train, *test;
};

static double *numbers(const cJSON *object, const char *key, int *n)
{
    const cJSON *list = cJSON_GetObjectItem(object, key);

    if (!list)
        fail_msg("no '%s'", key);
    return golden_numbers(list, n);
}

static ntk_data *vectors(const double *x, int64_t n, int64_t d)
{
    const ntk_shape shape = {0, 1, 1, d};
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, n, shape, &data));
    return data;
}

static void fixture_read(struct fixture *f)
{
    const cJSON *data;
    int k;

    f->json = golden_read("predict.json");
    data = cJSON_GetObjectItem(f->json, "data");
    f->n = cJSON_GetArraySize(cJSON_GetObjectItem(data, "x_train"));
    f->m = cJSON_GetArraySize(cJSON_GetObjectItem(data, "x_test"));
    f->x_train = numbers(data, "x_train", &k);
    f->d = k / f->n;
    f->x_test = numbers(data, "x_test", &k);
    f->y = numbers(data, "y", &k);
    f->c = k / f->n;
    f->f0_train = numbers(data, "f0_train", &k);
    f->f0_test = numbers(data, "f0_test", &k);
    f->train = vectors(f->x_train, f->n, f->d);
    f->test = vectors(f->x_test, f->m, f->d);
}

static void fixture_free(struct fixture *f)
{
    cJSON_Delete(f->json);
    free(f->x_train);
    free(f->x_test);
    free(f->y);
    free(f->f0_train);
    free(f->f0_test);
    ntk_data_free(f->train);
    ntk_data_free(f->test);
}

static void check(const char *what, const double *got, const cJSON *object, const char *key,
                  double tolerance)
{
    int n;
    double *want = numbers(object, key, &n), scale = 0;

    for (int i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * scale))
            fail_msg("%s: %s[%d] = %.17g, wanted %.17g", what, key, i, got[i], want[i]);
    free(want);
}

static ntk_fit_opts options(const cJSON *item)
{
    const char *posterior = golden_text(item, "posterior");
    ntk_fit_opts o;

    ntk_fit_opts_init(&o);
    o.posterior = strcmp(posterior, "nngp") == 0  ? NTK_POSTERIOR_NNGP
                  : strcmp(posterior, "ntk") == 0 ? NTK_POSTERIOR_NTK
                                                  : NTK_POSTERIOR_NTKGP;
    o.diag_reg = cJSON_GetObjectItem(item, "diag_reg")->valuedouble;
    o.diag_reg_absolute = cJSON_IsTrue(cJSON_GetObjectItem(item, "absolute"));
    o.covariance = 1;
    return o;
}

static ntk_model *fit(const struct fixture *f, const char *text, const ntk_fit_opts *o)
{
    ntk_net *net;
    ntk_model *model;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    assert_ok(ctx, ntk_model_fit(ctx, net, f->train, f->y, f->c, o, &model));
    ntk_net_free(net);
    return model;
}

#define TOLERANCE 1e-11 /* condition numbers of some 1e3 times rounding */

static void check_infinite(const struct fixture *f, const cJSON *item, const char *what,
                           const ntk_model *model)
{
    double mean[64], var[64], cov[64], loo[64], loo_var[64], evidence;
    int k;
    double *want = numbers(item, "covariance", &k);

    assert_ok(ctx, ntk_model_predict(model, f->test, mean, var));
    check(what, mean, item, "mean", TOLERANCE);
    for (int i = 0; i < f->m; i++)
        assert_near(var[i], want[i * f->m + i], TOLERANCE, 1);
    free(want);
    memset(mean, 0, sizeof mean);
    if (ntk_model_covariance(model, f->test, mean, cov) == NTK_OK) {
        check(what, mean, item, "mean", TOLERANCE);
        check(what, cov, item, "covariance", TOLERANCE);
    } else {
        assert_non_null(strstr(ntk_errmsg(ctx), "finite_time = 0"));
    }
    assert_ok(ctx, ntk_model_leave_one_out(model, loo, loo_var));
    check(what, loo, item, "loo_mean", TOLERANCE);
    check(what, loo_var, item, "loo_variance", TOLERANCE);
    assert_ok(ctx, ntk_model_evidence(model, &evidence));
    assert_near(evidence, cJSON_GetObjectItem(item, "log_likelihood")->valuedouble, TOLERANCE, 1);
}

static void check_spectrum(const struct fixture *f, const cJSON *item, const ntk_model *model,
                           const char *loss, double tolerance)
{
    ntk_spectrum s;
    int n;
    double *values = numbers(item, "eigenvalues", &n);
    const cJSON *rates = cJSON_GetObjectItem(item, "max_learning_rate");

    assert_int_equal(n, f->n);
    ntk_spectrum_init(&s);
    assert_ok(ctx, ntk_model_spectrum(model, &s));
    assert_near(s.condition, cJSON_GetObjectItem(item, "condition")->valuedouble, tolerance, 0);
    assert_near(s.condition, s.lambda_max / s.lambda_min, 1e-15, 0);
    assert_near(s.max_learning_rate, cJSON_GetObjectItem(rates, loss)->valuedouble, tolerance, 0);
    free(values);
}

static void golden_by_cholesky(void **state)
{
    struct fixture f;
    const cJSON *item;
    int cases = 0;

    (void)state;
    fixture_read(&f);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(f.json, "cases"))
    {
        ntk_fit_opts o = options(item);
        ntk_model *model = fit(&f, golden_text(item, "net"), &o);

        check_infinite(&f, item, golden_text(item, "posterior"), model);
        check_spectrum(&f, item, model, "sum", 1e-9);
        ntk_model_free(model);
        cases++;
    }
    assert_int_equal(cases, 18);
    fixture_free(&f);
}

static double time_of(const cJSON *entry)
{
    const cJSON *t = cJSON_GetObjectItem(entry, "time");

    return cJSON_IsString(t) ? (double)INFINITY : t->valuedouble;
}

static void check_dynamics(const struct fixture *f, const cJSON *entry, const ntk_model *model)
{
    const double t = time_of(entry);
    double train[64], test[64], var[64];
    char what[40];

    snprintf(what, sizeof what, "t = %g", t);
    assert_ok(ctx, ntk_model_dynamics(model, &t, 1, NULL, f->test, NULL, train, test, var));
    check(what, train, cJSON_GetObjectItem(entry, "zero"), "train", TOLERANCE);
    check(what, test, cJSON_GetObjectItem(entry, "zero"), "test", TOLERANCE);
    check(what, var, entry, "variance", TOLERANCE);
    assert_ok(ctx, ntk_model_dynamics(model, &t, 1, f->f0_train, f->test, f->f0_test, train, test,
                                      NULL));
    check(what, train, cJSON_GetObjectItem(entry, "given"), "train", TOLERANCE);
    check(what, test, cJSON_GetObjectItem(entry, "given"), "test", TOLERANCE);
}

static void golden_by_eigenvectors(void **state)
{
    struct fixture f;
    const cJSON *item, *entry;
    int cases = 0;

    (void)state;
    fixture_read(&f);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(f.json, "cases")) for (int mean = 0; mean < 2; mean++)
    {
        const char *loss = mean ? "mean" : "sum";
        ntk_fit_opts o = options(item);
        ntk_model *model;
        double values[64];

        o.finite_time = 1;
        o.mean_loss = mean;
        model = fit(&f, golden_text(item, "net"), &o);
        check_infinite(&f, item, golden_text(item, "posterior"), model);
        check_spectrum(&f, item, model, loss, TOLERANCE);
        assert_ok(ctx, ntk_model_eigenvalues(model, values));
        check(loss, values, item, "eigenvalues", TOLERANCE);
        cJSON_ArrayForEach(entry, cJSON_GetObjectItem(item, "dynamics")) if (strcmp(
            golden_text(entry, "loss"), loss) == 0)
        {
            check_dynamics(&f, entry, model);
            cases++;
        }
        ntk_model_free(model);
    }
    assert_int_equal(cases, 120);
    fixture_free(&f);
}

/* Several times at once, with variances, give what each gives alone, without: other routes. */
static void times_are_independent(void **state)
{
    const double times[] = {0.5, (double)INFINITY, 0, 3};
    double together[4 * 64], alone[64], train[4 * 64], train_alone[64], var[4 * 64], var_alone[64];
    struct fixture f;
    ntk_fit_opts o;
    ntk_model *model;

    (void)state;
    fixture_read(&f);
    ntk_fit_opts_init(&o);
    o.finite_time = 1;
    o.covariance = 1;
    model = fit(&f, "serial(Dense(8, b_std=0.1), Relu(), Dense(1))", &o);
    assert_ok(ctx, ntk_model_dynamics(model, times, 4, f.f0_train, f.test, f.f0_test, train,
                                      together, var));
    for (int k = 0; k < 4; k++) {
        assert_ok(ctx, ntk_model_dynamics(model, times + k, 1, f.f0_train, f.test, f.f0_test,
                                          train_alone, alone, NULL));
        for (int i = 0; i < f.m * f.c; i++)
            assert_near(together[k * f.m * f.c + i], alone[i], 1e-12, 1);
        for (int i = 0; i < f.n * f.c; i++)
            assert_near(train[k * f.n * f.c + i], train_alone[i], 1e-14, 1);
        assert_ok(ctx, ntk_model_dynamics(model, times + k, 1, NULL, f.test, NULL, NULL, NULL,
                                          var_alone));
        for (int i = 0; i < f.m; i++)
            assert_near(var[k * f.m + i], var_alone[i], 1e-14, 1);
    }
    assert_ok(ctx, ntk_model_dynamics(model, times, 0, NULL, f.test, NULL, train, together, NULL));
    ntk_model_free(model);
    fixture_free(&f);
}

/* ---- the lecture's linear regression: Theta = X X' / d, the limit is least squares */

#define LN 12
#define LD 3

/* Weights w of the gradient flow dw/dt = -X' (X w - y) / d from 0, by small Runge-Kutta steps. */
static void flow(const double *x, const double *y, double t, double *w)
{
    const int steps = 4000;
    const double h = t / steps;

    memset(w, 0, LD * sizeof *w);
    for (int s = 0; s < steps; s++) {
        double k[4][LD];

        for (int stage = 0; stage < 4; stage++) {
            const double ahead = stage == 0 ? 0 : stage == 3 ? h : h / 2;

            memset(k[stage], 0, sizeof k[stage]);
            for (int i = 0; i < LN; i++) {
                double r = -y[i];

                for (int j = 0; j < LD; j++)
                    r += x[i * LD + j] * (w[j] + (stage ? ahead * k[stage - 1][j] : 0));
                for (int j = 0; j < LD; j++)
                    k[stage][j] -= x[i * LD + j] * r / LD;
            }
        }
        for (int j = 0; j < LD; j++)
            w[j] += h / 6 * (k[0][j] + 2 * k[1][j] + 2 * k[2][j] + k[3][j]);
    }
}

static void linear_net_is_least_squares(void **state)
{
    const double times[] = {0.1, 1, 1e6};
    double x[LN * LD], y[LN], test[3 * LN], w[LD];
    uint64_t seed = 5;
    ntk_fit_opts o;
    ntk_net *net;
    ntk_data *data;
    ntk_model *model;

    (void)state;
    for (int i = 0; i < LN * LD; i++)
        x[i] = test_normal(&seed);
    for (int i = 0; i < LN; i++)
        y[i] = x[i * LD] - 2 * x[i * LD + 1] + 0.3 * test_normal(&seed);
    data = vectors(x, LN, LD);
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(1))", &net));
    ntk_fit_opts_init(&o);
    /* 12 samples of 3 features: the matrix has rank 3, which Cholesky must refuse. */
    assert_fails(ctx, NTK_ENUMERIC, "not positive definite",
                 ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    o.finite_time = 1;
    assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    assert_ok(ctx, ntk_model_dynamics(model, times, 3, NULL, data, NULL, NULL, test, NULL));
    for (int k = 0; k < 3; k++) {
        flow(x, y, k < 2 ? times[k] : 200, w);
        for (int i = 0; i < LN; i++) {
            double f = 0;

            for (int j = 0; j < LD; j++)
                f += x[i * LD + j] * w[j];
            assert_near(test[k * LN + i], f, 1e-9, 1);
        }
    }
    ntk_model_free(model);
    ntk_net_free(net);
    ntk_data_free(data);
}

/* ---- eigenvalues that are rounding error */

static double uniform(uint64_t *seed, double low, double high)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(*seed >> 11) / 9007199254740992.0;
}

/* Latitudes and longitudes: almost parallel rows, whose float32 kernel is far from positive definite. */
static ntk_data *places(float *x, double *y, int64_t n)
{
    uint64_t seed = 1;
    ntk_data *data;

    for (int64_t i = 0; i < n; i++) {
        x[2 * i] = (float)uniform(&seed, 10, 20);
        x[2 * i + 1] = (float)uniform(&seed, 45, 55);
        y[i] = sin((double)x[2 * i]) + 0.1 * (double)x[2 * i + 1] - 5;
    }
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F32, n, (ntk_shape){0, 1, 1, 2}, &data));
    return data;
}

static int warnings;

static void count_warnings(int level, const char *text, void *user)
{
    (void)user;
    if (level == 1 && strstr(text, "eigenvalues of the kernel matrix are not above rounding error"))
        warnings++;
}

#define PLACES 150

static void training_error_never_rises(void **state)
{
    const double times[] = {0, 1, 100, 1e4, 1e8, 1e16, (double)INFINITY};
    static float x[2 * PLACES];
    static double y[PLACES], f[7 * PLACES], test[7 * PLACES];
    ntk_data *data = places(x, y, PLACES);
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=3)", &net));
    for (int dtype = NTK_F32; dtype <= NTK_F64; dtype += NTK_F32) {
        ntk_fit_opts o;
        ntk_model *model;
        ntk_spectrum spectrum;
        double last = (double)INFINITY;

        ntk_fit_opts_init(&o);
        o.dtype = (ntk_dtype)dtype;
        o.finite_time = 1;
        warnings = 0;
        ntk_ctx_set_log(ctx, count_warnings, NULL);
        assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
        ntk_ctx_set_log(ctx, NULL, NULL);
        ntk_spectrum_init(&spectrum);
        assert_ok(ctx, ntk_model_spectrum(model, &spectrum));
        assert_int_equal(warnings, spectrum.null_directions > 0);
        assert_true(dtype == NTK_F32 ? spectrum.null_directions > 0 : spectrum.null_directions == 0);
        assert_ok(ctx, ntk_model_dynamics(model, times, 7, NULL, data, NULL, f, test, NULL));
        for (int t = 0; t < 7; t++) {
            double loss = 0, worst = 0;

            for (int i = 0; i < PLACES; i++) {
                loss += (f[t * PLACES + i] - y[i]) * (f[t * PLACES + i] - y[i]) / PLACES;
                worst = fmax(worst, fabs(test[t * PLACES + i] - y[i]));
            }
            assert_true(loss <= last * (1 + 1e-10) + 1e-20 && worst < 2);
            last = loss;
        }
        assert_true(last < (dtype == NTK_F32 ? 0.2 : 1e-15));
        ntk_model_free(model);
    }
    ntk_net_free(net);
    ntk_data_free(data);
}

/* float32's rounding error is of its entries, not n times that: digits have no null direction. By Cholesky,
 * which is 20 times as fast. */
static void no_digit_is_lost_in_float32(void **state)
{
    static double y[1400];
    ntk_data *all, *x;
    ntk_net *net;
    ntk_model *model;
    ntk_spectrum spectrum;
    ntk_fit_opts o;

    (void)state;
    assert_ok(ctx, ntk_data_load(ctx, "digits", NULL, &all));
    ntk_data_flatten(all);
    assert_ok(ctx, ntk_data_slice(all, 0, 1400, &x));
    assert_ok(ctx, ntk_data_targets(x, NTK_RAW, 1, y));
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=3)", &net));
    ntk_fit_opts_init(&o);
    o.dtype = NTK_F32;
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, 1, &o, &model));
    ntk_spectrum_init(&spectrum);
    assert_ok(ctx, ntk_model_spectrum(model, &spectrum));
    assert_true(spectrum.lambda_min > 2 * ntk_spectral_rounding(1400, NTK_F32, spectrum.lambda_max));
    assert_true(spectrum.lambda_min < 1400 * 1.1920929e-7 * spectrum.lambda_max);
    ntk_model_free(model);
    ntk_net_free(net);
    ntk_data_free(x);
    ntk_data_free(all);
}

/* ---- the ridge */

/* 12 samples of 3 features, of which a linear network's kernel has rank 3. */
static ntk_data *of_rank_three(double *x, double *y)
{
    uint64_t seed = 9;

    for (int i = 0; i < LN * LD; i++)
        x[i] = test_normal(&seed);
    for (int i = 0; i < LN; i++)
        y[i] = test_normal(&seed);
    return vectors(x, LN, LD);
}

static void with_a_ridge_the_limit_is_choleskys(void **state)
{
    const double forever = (double)INFINITY;
    double x[LN * LD], y[LN], want[LN], want_var[LN], f[LN], var[LN];
    ntk_data *data = of_rank_three(x, y);
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(1))", &net));
    for (int ridge = -1; ridge >= -9; ridge -= 2) {
        ntk_fit_opts o;
        ntk_model *model;

        ntk_fit_opts_init(&o);
        o.posterior = NTK_POSTERIOR_NNGP;
        o.diag_reg = pow(10, ridge);
        assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
        assert_ok(ctx, ntk_model_predict(model, data, want, want_var));
        ntk_model_free(model);
        o.finite_time = 1;
        assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
        assert_ok(ctx, ntk_model_dynamics(model, &forever, 1, NULL, data, NULL, NULL, f, var));
        for (int i = 0; i < LN; i++) {
            assert_near(f[i], want[i], 1e-13 / o.diag_reg, 1);
            assert_near(var[i], want_var[i], 1e-13 / o.diag_reg, 1);
        }
        ntk_model_free(model);
    }
    ntk_net_free(net);
    ntk_data_free(data);
}

/* The number after `spelling` in the last message. */
static double hinted(const char *spelling, const char *scale)
{
    const char *hint = strstr(ntk_errmsg(ctx), spelling);

    if (!hint || !strstr(hint, scale))
        fail_msg("no '%s ... %s' in '%s'", spelling, scale, ntk_errmsg(ctx));
    return strtod(hint + strlen(spelling), NULL);
}

/* Fits with diag_reg, which must fail, then with what the message says. */
static void follow_hint(const char *text, const ntk_data *data, const double *y, ntk_fit_opts o)
{
    const double given = o.diag_reg;
    ntk_net *net;
    ntk_model *model;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    o.diag_reg_spelling = "--diag-reg ";
    assert_fails(ctx, NTK_ENUMERIC, "not positive definite",
                 ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    o.diag_reg = hinted("try --diag-reg ", o.diag_reg_absolute ? "(absolute)" : "(times the mean");
    assert_true(o.diag_reg > given);
    assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    ntk_model_free(model);
    ntk_net_free(net);
}

static void hints_of_a_ridge_work(void **state)
{
    static float px[2 * PLACES];
    static double py[PLACES];
    double x[LN * LD], y[LN];
    ntk_data *data = of_rank_three(x, y), *ill = places(px, py, PLACES);

    (void)state;
    for (int absolute = 0; absolute < 2; absolute++) {
        ntk_fit_opts o;

        ntk_fit_opts_init(&o);
        o.diag_reg_absolute = absolute;
        follow_hint("serial(Dense(1))", data, y, o);
        follow_hint("serial(Dense(1, W_std=1e4))", data, y, o);
        follow_hint("serial(Dense(1, W_std=1e-4))", data, y, o);
        o.diag_reg = absolute ? 1e-17 : 1e-16;
        follow_hint("serial(Dense(1))", data, y, o);
        o.dtype = NTK_F32;
        o.diag_reg = 0;
        follow_hint("fc(depth=1, activation='erf')", ill, py, o);
        o.diag_reg = 1e-9;
        follow_hint("fc(depth=1, activation='erf')", ill, py, o);
    }
    ntk_data_free(data);
    ntk_data_free(ill);
}

/* Eigenvalues 2 and, once, -0.3. */
static int indefinite_rows(int64_t i0, int64_t ni, void *k, void *user)
{
    double *out = k;

    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = i0; j < 6; j++)
            *out++ = i == j ? (i == 4 ? -0.3 : 2) : 0;
    return *(int *)user;
}

static int rows_with_nan(int64_t i0, int64_t ni, void *k, void *user)
{
    double *out = k;

    (void)user;
    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = i0; j < 6; j++)
            *out++ = i == 2 && j == 5 ? (double)NAN : i == j;
    return 0;
}

static void solving_a_given_matrix(void **state)
{
    double y[] = {1, 2, 3, 4, 5, 6}, alpha[6];
    int cancel = 0;
    double r;

    (void)state;
    assert_fails(ctx, NTK_ENUMERIC, "not positive definite",
                 ntk_kernel_solve(ctx, 6, NTK_F64, 4, indefinite_rows, &cancel, y, 1, 0.1, alpha));
    r = hinted("try diag_reg = ", "(times the mean of the diagonal)");
    assert_ok(ctx, ntk_kernel_solve(ctx, 6, NTK_F64, 4, indefinite_rows, &cancel, y, 1, r, alpha));
    assert_near(alpha[0], 1 / (2 + r * 9.7 / 6), 1e-14, 0);
    assert_fails(ctx, NTK_EINVAL, "entry [2][5] is nan",
                 ntk_kernel_solve(ctx, 6, NTK_F64, 4, rows_with_nan, NULL, y, 1, 0, alpha));
    assert_fails(ctx, NTK_EINVAL, "diag_reg >= 0",
                 ntk_kernel_solve(ctx, 6, NTK_F64, 4, indefinite_rows, &cancel, y, 1,
                                  (double)INFINITY, alpha));
    assert_fails(ctx, NTK_EINVAL, "samples, got 1073741824",
                 ntk_kernel_solve(ctx, (int64_t)1 << 30, NTK_F64, 4, indefinite_rows, &cancel, y, 1, 1, alpha));
    y[3] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "number 3 of y is nan",
                 ntk_kernel_solve(ctx, 6, NTK_F64, 4, indefinite_rows, &cancel, y, 1, 1, alpha));
}

static void note_warning(int level, const char *text, void *user)
{
    if (level > 0)
        snprintf(user, 300, "%s", text);
}

struct pair {
    double k; /* of two samples */
    ntk_dtype dtype;
};

static int pair_rows(int64_t i0, int64_t ni, void *k, void *user)
{
    const struct pair *p = user;

    for (int64_t i = 0; i < 2 - i0; i++) { /* one row */
        const double value = i == 0 ? 1 : p->k;

        if (p->dtype == NTK_F32)
            ((float *)k)[i] = (float)value;
        else
            ((double *)k)[i] = value;
    }
    (void)ni;
    return 0;
}

/* Cholesky works, but what it solves is what float32 rounded. */
static void rounding_errors_of_float32_are_warned_of(void **state)
{
    const double y[] = {1, 2}, near = (double)0.9999999f;
    const struct {
        struct pair pair;
        double diag_reg;
        bool warned;
    } cases[] = {{{near, NTK_F32}, 0, true},          {{near, NTK_F64}, 0, true}, {{near, NTK_F32}, 1e-5, false},
                 {{0.9999999, NTK_F64}, 0, false}, {{0.5, NTK_F32}, 0, false}};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char warning[300] = "";
        struct pair p = cases[k].pair;
        double alpha[2];

        ntk_ctx_set_log(ctx, note_warning, warning);
        assert_ok(ctx, ntk_kernel_solve(ctx, 2, p.dtype, 1, pair_rows, &p, y, 1, cases[k].diag_reg, alpha));
        ntk_ctx_set_log(ctx, NULL, NULL);
        assert_int_equal(strstr(warning, "to rounding errors of float32 sample 1") != NULL, cases[k].warned);
    }
}

/* At the training samples nothing is left but rounding error, of either sign. */
static void variances_are_not_negative(void **state)
{
    const double times[] = {1e3, (double)INFINITY};
    double mean[64], var[2 * 64], cov[64 * 64];
    struct fixture f;

    (void)state;
    fixture_read(&f);
    for (int k = 0; k < 6; k++) {
        ntk_fit_opts o;
        ntk_model *model;

        ntk_fit_opts_init(&o);
        o.covariance = 1;
        o.posterior = (ntk_posterior)(k / 2);
        o.finite_time = k % 2;
        model = fit(&f, "serial(Dense(8, W_std=3), Erf(), Dense(1, W_std=4))", &o);
        assert_ok(ctx, ntk_model_predict(model, f.train, mean, var));
        for (int i = 0; i < f.n; i++)
            assert_true(var[i] >= 0 && var[i] < 1e-10);
        if (o.finite_time && o.posterior != NTK_POSTERIOR_NTKGP) {
            assert_ok(ctx, ntk_model_dynamics(model, times, 2, NULL, f.train, NULL, NULL, NULL, var));
            for (int i = 0; i < 2 * f.n; i++)
                assert_true(var[i] >= 0);
        }
        if (!o.finite_time)
            assert_ok(ctx, ntk_model_covariance(model, f.train, mean, cov));
        for (int i = 0; i < f.n && !o.finite_time; i++)
            for (int j = 0; j < f.n; j++)
                assert_true(cov[i * f.n + j] == cov[j * f.n + i] && cov[i * f.n + i] >= 0);
        ntk_model_free(model);
    }
    fixture_free(&f);
}

/* ---- files */

static void same_predictions(const struct fixture *f, const ntk_model *a, const ntk_model *b)
{
    double mean[2][64], var[2][64];

    assert_ok(ctx, ntk_model_predict(a, f->test, mean[0], var[0]));
    assert_ok(ctx, ntk_model_predict(b, f->test, mean[1], var[1]));
    for (int i = 0; i < f->m * f->c; i++)
        assert_near(mean[1][i], mean[0][i], 1e-13, 1);
    for (int i = 0; i < f->m; i++)
        assert_near(var[1][i], var[0][i], 1e-13, 1);
}

static void models_are_saved(void **state)
{
    char path[] = "/tmp/ntk-test-XXXXXX";
    struct fixture f;
    ntk_scaler *scaler;

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    close(mkstemp(path));
    fixture_read(&f);
    assert_ok(ctx, ntk_scaler_fit(NTK_STD_FEATURE, f.train, NULL, &scaler));
    for (int k = 0; k < 8; k++) {
        ntk_fit_opts o;
        ntk_model *saved, *loaded;
        const ntk_scaler *kept;
        ntk_targets targets;

        ntk_fit_opts_init(&o);
        o.covariance = 1;
        o.diag_reg = 1e-3;
        o.finite_time = k & 1;
        o.posterior = k & 2 ? NTK_POSTERIOR_NTK : NTK_POSTERIOR_NNGP;
        saved = fit(&f, "serial(Dense(8, b_std=0.1), Relu(), Dense(1))", &o);
        assert_ok(ctx, ntk_model_set_encoding(saved, scaler, NTK_CENTERED));
        assert_ok(ctx, ntk_model_save(saved, path, k >= 4));
        assert_ok(ctx, ntk_model_load(ctx, path, &loaded));
        assert_int_equal(ntk_model_n(loaded), f.n);
        assert_int_equal(ntk_model_outputs(loaded), f.c);
        ntk_model_encoding(loaded, &kept, &targets);
        assert_non_null(kept);
        assert_int_equal(targets, NTK_CENTERED);
        same_predictions(&f, saved, loaded);
        ntk_model_free(saved);
        ntk_model_free(loaded);
    }
    ntk_scaler_free(scaler);
    fixture_free(&f);
    unlink(path);
}

/* Mean cross-entropy of softmax(b f), one label in n + 1 random. */
static double cross_entropy(const double *f, const double *y, int n, int c, double b)
{
    double sum = 0;

    for (int i = 0; i < n; i++) {
        double total = 0;

        for (int k = 0; k < c; k++)
            total += exp(b * f[i * c + k]);
        for (int k = 0; k < c; k++) {
            const double p = y[i * c + k] * n / (n + 1) + 1.0 / (n + 1) / c;

            sum -= p * (b * f[i * c + k] - log(total)) / n;
        }
    }
    return sum;
}

/* The sharpness makes the leave-one-out outputs most likely: any other is worse. */
static void sharpness_is_the_most_likely(void **state)
{
    enum { N = 80, C = 10 };
    double y[N * C], f[N * C], b, best;
    ntk_fit_opts o;
    ntk_data *x;
    ntk_model *model;
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_data_load(ctx, "digits", &LOAD_OPTS(.dtype = NTK_F64, .limit = N), &x));
    ntk_data_flatten(x);
    assert_ok(ctx, ntk_data_targets(x, NTK_ONEHOT, C, y));
    ntk_fit_opts_init(&o);
    o.diag_reg = 0.1;
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=1)", &net));
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, C, &o, &model));
    assert_ok(ctx, ntk_model_leave_one_out(model, f, NULL));
    assert_ok(ctx, ntk_model_sharpness(model, &b));
    assert_true(b > 0);
    best = cross_entropy(f, y, N, C, b);
    for (double factor = 0.01; factor < 200; factor *= 1.5)
        assert_true(cross_entropy(f, y, N, C, factor * b) >= best);
    assert_true(cross_entropy(f, y, N, C, 1.01 * b) > best);
    assert_true(cross_entropy(f, y, N, C, 0.99 * b) > best);
    ntk_model_free(model);
    assert_ok(ctx, ntk_data_targets(x, NTK_CENTERED, C, y));
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, C, &o, &model));
    assert_ok(ctx, ntk_model_sharpness(model, &b));
    ntk_model_free(model);
    /* no class, two classes, and regression */
    for (int wrong = 0; wrong < 3; wrong++) {
        assert_ok(ctx, ntk_data_targets(x, NTK_ONEHOT, C, y));
        for (int k = 0; k < C; k++)
            y[3 * C + k] = wrong == 0 ? 0 : wrong == 1 ? k < 2 : 0.1 * k;
        assert_ok(ctx, ntk_model_fit(ctx, net, x, y, C, &o, &model));
        b = -1;
        assert_fails(ctx, NTK_EINVAL, "those of sample 3", ntk_model_sharpness(model, &b));
        assert_true(b == -1);
        ntk_model_free(model);
    }
    assert_ok(ctx, ntk_data_targets(x, NTK_RAW, 0, y));
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, 1, &o, &model));
    assert_fails(ctx, NTK_EINVAL, "targets of classes", ntk_model_sharpness(model, &b));
    ntk_model_free(model);
    ntk_net_free(net);
    ntk_data_free(x);
}

/* Names of columns and classes go with a model into its file. */
static void schemas_are_saved(void **state)
{
    char path[] = "/tmp/ntk-schema-XXXXXX.csv", file[] = "/tmp/ntk-schema-XXXXXX.h5";
    const int fd = mkstemps(path, 4), fd2 = mkstemps(file, 3);
    const char text[] = "\"a,b\",kind,c\n1,red,2\n2,blue,1\n3,red,5\n";
    const double *labels = (const double *)text;
    double y[6];
    ntk_fit_opts o;
    ntk_data *x;
    ntk_schema *schema;
    const ntk_schema *kept;
    ntk_model *model;
    ntk_net *net;
    size_t n = 0;

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    assert_ok(ctx, ntk_data_load(ctx, path, &LOAD_OPTS(.dtype = NTK_F64, .target = "kind"), &x));
    assert_ok(ctx, ntk_schema_new(x, NTK_ONEHOT, &schema));
    assert_ok(ctx, ntk_data_targets(x, NTK_ONEHOT, 2, y));
    ntk_fit_opts_init(&o);
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=1)", &net));
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, 2, &o, &model));
    ntk_model_set_schema(model, schema);
    ntk_schema_free(schema);
    assert_ok(ctx, ntk_model_save(model, file, 0));
    ntk_model_free(model);
    assert_ok(ctx, ntk_model_load(ctx, file, &model));
    kept = ntk_model_schema(model);
    assert_string_equal(ntk_schema_features(kept, &n)[0], "a,b");
    assert_string_equal(ntk_schema_features(kept, &n)[1], "c");
    assert_int_equal(n, 2);
    assert_string_equal(ntk_schema_targets(kept, &n)[0], "kind");
    assert_string_equal(ntk_schema_classes(kept, &n, &labels)[1], "red");
    assert_int_equal(n, 2);
    assert_null(labels);
    assert_null(ntk_schema_table(kept));
    ntk_model_free(model);
    ntk_net_free(net);
    ntk_data_free(x);
    close(fd), close(fd2);
    unlink(path), unlink(file);
}

/* Names, standardisation and units that a program gives, and what a model was fitted to, also from its file. */
static void models_say_what_they_have(void **state)
{
    static const char *const names[] = {"a", "b", "first", "second", "no", "yes"};
    static const double x[] = {1, 0, 0, 1, 1, 1, 2, 1}, y[] = {1, 2, 3, 4, 5, 6, 7, 8}, weights[] = {1, 0, 2, 3};
    static const double shift[] = {5, -1}, scale[] = {2, 1e-3}, mean[] = {0.5, -1}, deviation[] = {2, 3};
    static const double labels[] = {-1, 2.5}, descending[] = {2, 1}, zero[] = {1, 0};
    const ntk_shape shape = {0, 1, 1, 2};
    char path[] = "/tmp/ntk-units-XXXXXX.h5";
    const double *found[2], *numbers_[2], *kept;
    double targets[6];
    const ntk_scaler *scaled;
    ntk_targets kind;
    ntk_fit_opts o;
    ntk_scaler *scaler;
    ntk_schema *schema;
    ntk_model *model;
    ntk_data *data;
    ntk_net *net;
    char *text;
    size_t n;

    (void)state;
    assert_fails(ctx, NTK_EINVAL, "needs names of features or classes",
                 ntk_schema_of_names(ctx, names, 0, 0, 0, NULL, &schema));
    assert_fails(ctx, NTK_EINVAL, "needs names of features", ntk_schema_of_names(ctx, names, 0, 2, 2, NULL, &schema));
    assert_fails(ctx, NTK_EINVAL, "'a' comes after 'yes'",
                 ntk_schema_of_names(ctx, (const char *const[]){"yes", "a"}, 0, 0, 2, NULL, &schema));
    assert_fails(ctx, NTK_EINVAL, "ascending, number 1 is 1",
                 ntk_schema_of_names(ctx, names, 0, 0, 2, descending, &schema));
    assert_ok(ctx, ntk_schema_of_names(ctx, names, 0, 0, 2, labels, &schema));
    assert_string_equal(ntk_schema_classes(schema, &n, &kept)[1], "2.5");
    assert_true(n == 2 && kept[0] == -1);
    ntk_schema_free(schema);
    assert_fails(ctx, NTK_EINVAL, "kind must be",
                 ntk_scaler_of_numbers(ctx, NTK_STD_NONE, shape, mean, deviation, &scaler));
    assert_fails(ctx, NTK_EINVAL, "number 1 are -1 and 0",
                 ntk_scaler_of_numbers(ctx, NTK_STD_FEATURE, shape, mean, zero, &scaler));
    assert_ok(ctx, ntk_scaler_of_numbers(ctx, NTK_STD_FEATURE, shape, mean, deviation, &scaler));
    assert_ok(ctx, ntk_schema_of_names(ctx, names, 2, 2, 0, NULL, &schema));

    data = vectors(x, 4, 2);
    ntk_fit_opts_init(&o);
    o.diag_reg = 0.1;
    o.weights = weights;
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=1)", &net));
    assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 2, &o, &model));
    assert_ok(ctx, ntk_model_set_encoding(model, scaler, NTK_RAW));
    ntk_model_set_schema(model, schema);
    ntk_model_units(model, &found[0], &found[1]);
    assert_true(!found[0] && !found[1]);
    assert_fails(ctx, NTK_EINVAL, "one is missing", ntk_model_set_units(model, shift, NULL));
    assert_fails(ctx, NTK_EINVAL, "output 1 are -1 and 0", ntk_model_set_units(model, shift, zero));
    assert_ok(ctx, ntk_model_set_units(model, shift, scale));
    for (int loaded = 0; loaded < 2; loaded++) {
        assert_ok(ctx, ntk_net_print(ntk_model_net(model), &text));
        assert_non_null(strstr(text, "Relu"));
        ntk_text_free(text);
        assert_int_equal(ntk_data_n(ntk_model_x(model)), 3);
        assert_true(((const double *)ntk_data_x(ntk_model_x(model)))[5] == 1);
        ntk_model_y(model, targets);
        assert_memory_equal(targets + 2, y + 4, 4 * sizeof *y);
        ntk_fit_opts_init(&o);
        assert_ok(ctx, ntk_model_opts(model, &o));
        assert_true(o.diag_reg == 0.1 && o.weights[2] == 3 && !o.noise && !o.store);
        ntk_model_units(model, &found[0], &found[1]);
        assert_memory_equal(found[0], shift, sizeof shift);
        assert_memory_equal(found[1], scale, sizeof scale);
        ntk_model_encoding(model, &scaled, &kind);
        assert_int_equal(ntk_scaler_numbers(scaled, &numbers_[0], &numbers_[1]), 2);
        assert_memory_equal(numbers_[1], deviation, sizeof deviation);
        assert_string_equal(ntk_schema_targets(ntk_model_schema(model), &n)[1], "second");
        if (loaded || !strstr(ntk_features(), "hdf5"))
            break;
        close(mkstemps(path, 3));
        assert_ok(ctx, ntk_model_save(model, path, 0));
        ntk_model_free(model);
        assert_ok(ctx, ntk_model_load(ctx, path, &model));
        unlink(path);
    }
    assert_ok(ctx, ntk_model_refit(model, y, 1, NULL)); /* units were those of other targets */
    ntk_model_units(model, &found[0], &found[1]);
    assert_null(found[0]);
    ntk_model_free(model);
    ntk_net_free(net);
    ntk_data_free(data);
    ntk_schema_free(schema);
    ntk_scaler_free(scaler);
}

/* Each sample twice is weights of 2: a sample's copy does not say how sure predictions of others are. */
static void equal_samples_are_left_out_together(void **state)
{
    enum { N = 40, C = 10, D = 64 };
    double y[2 * N * C], x[2 * N * D], weights[N], b[2];
    ntk_fit_opts o;
    ntk_data *digits, *twice;
    ntk_model *model;
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_data_load(ctx, "digits", &LOAD_OPTS(.dtype = NTK_F64, .limit = N), &digits));
    ntk_data_flatten(digits);
    assert_ok(ctx, ntk_data_targets(digits, NTK_CENTERED, C, y));
    memcpy(y + N * C, y, sizeof y / 2);
    memcpy(x, ntk_data_x(digits), sizeof x / 2);
    memcpy(x + N * D, x, sizeof x / 2);
    twice = vectors(x, 2 * N, D);
    for (int i = 0; i < N; i++)
        weights[i] = 2;
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=1)", &net));
    for (int k = 0; k < 2; k++) {
        ntk_fit_opts_init(&o);
        o.diag_reg = 1e-3;
        o.diag_reg_absolute = 1;
        o.weights = k ? NULL : weights;
        assert_ok(ctx, ntk_model_fit(ctx, net, k ? twice : digits, y, C, &o, &model));
        assert_ok(ctx, ntk_model_sharpness(model, &b[k]));
        ntk_model_free(model);
    }
    assert_near(b[1], b[0], 1e-9, 1);
    ntk_net_free(net);
    ntk_data_free(twice);
    ntk_data_free(digits);
}

static void broken_files_are_refused(void **state)
{
    char path[] = "/tmp/ntk-test-XXXXXX";
    ntk_model *model;
    FILE *file;

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    close(mkstemp(path));
    assert_fails(ctx, NTK_EIO, "not an HDF5 file", ntk_model_load(ctx, path, &model));
    file = fopen(path, "wb");
    fputs("x,y\n1,2\n", file);
    fclose(file);
    assert_fails(ctx, NTK_EIO, "not an HDF5 file", ntk_model_load(ctx, path, &model));
    unlink(path);
    assert_fails(ctx, NTK_EIO, "cannot read", ntk_model_load(ctx, path, &model));
}

/* ---- refusals */

static void refuses_what_cannot_be_solved(void **state)
{
    struct fixture f;
    ntk_fit_opts o;
    ntk_net *net;
    ntk_model *model;
    double t = 1, out[64];

    (void)state;
    fixture_read(&f);
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(8), Relu(), Dense(1))", &net));
    ntk_fit_opts_init(&o);
    o.diag_reg = -1;
    assert_fails(ctx, NTK_EINVAL, "diag_reg",
                 ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
    o.diag_reg = 0;
    f.y[5] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "sample 2, output 1",
                 ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
    f.y[5] = 0;
    memcpy(f.x_train + 7 * f.d, f.x_train + 2 * f.d, (size_t)f.d * sizeof(double));
    assert_fails(ctx, NTK_ENUMERIC, "samples 2 and 7 are equal",
                 ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
    ntk_ctx_set_memory(ctx, 500);
    assert_fails(ctx, NTK_ENOMEM, "MiB", ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
    ntk_ctx_set_memory(ctx, 0);
    o.diag_reg = 1e-8;
    assert_ok(ctx, ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
    assert_fails(ctx, NTK_EINVAL, "finite_time = 1",
                 ntk_model_dynamics(model, &t, 1, NULL, f.test, NULL, NULL, out, NULL));
    t = (double)INFINITY; /* which any solver has */
    assert_ok(ctx, ntk_model_dynamics(model, &t, 1, NULL, f.test, NULL, NULL, out, NULL));
    assert_fails(ctx, NTK_EINVAL, "covariance = 1", ntk_model_predict(model, f.test, out, out));
    ntk_model_free(model);
    o.finite_time = 1;
    assert_ok(ctx, ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
    t = -1;
    assert_fails(ctx, NTK_EINVAL, "times must be >= 0",
                 ntk_model_dynamics(model, &t, 1, NULL, f.test, NULL, NULL, out, NULL));
    t = 1;
    assert_fails(ctx, NTK_EINVAL, "need test samples",
                 ntk_model_dynamics(model, &t, 1, NULL, NULL, NULL, NULL, out, NULL));
    f.f0_train[3] = (double)INFINITY;
    assert_fails(ctx, NTK_EINVAL, "number 3 of f0_train is inf",
                 ntk_model_dynamics(model, &t, 1, f.f0_train, NULL, NULL, out, NULL, NULL));
    f.f0_test[1] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "number 1 of f0_test is nan",
                 ntk_model_dynamics(model, &t, 1, NULL, f.test, f.f0_test, NULL, out, NULL));
    ntk_model_free(model);
    ntk_net_free(net);
    fixture_free(&f);
}

/* Arrays stay as they were where arguments are refused. */
static void refusing_writes_nothing(void **state)
{
    struct fixture f;
    ntk_fit_opts o;
    ntk_model *models[2];
    ntk_data *wrong;
    double t = 1, one[64], two[64];
    double *const means[] = {one, two};

    (void)state;
    fixture_read(&f);
    wrong = vectors(f.x_test, 2, f.d - 1);
    for (int k = 0; k < 64; k++)
        one[k] = two[k] = -7;
    ntk_fit_opts_init(&o);
    o.finite_time = 1;
    o.diag_reg = 0.1;
    models[0] = fit(&f, "serial(Dense(8), Relu(), Dense(1))", &o);
    assert_fails(ctx, NTK_EINVAL, "covariance = 1",
                 ntk_model_dynamics(models[0], &t, 1, NULL, f.test, NULL, one, NULL, two));
    assert_fails(ctx, NTK_ESHAPE, "samples of x have shape",
                 ntk_model_dynamics(models[0], &t, 1, NULL, wrong, NULL, one, two, NULL));
    o.posterior = NTK_POSTERIOR_NTKGP;
    models[1] = fit(&f, "serial(Dense(8), Relu(), Dense(1))", &o);
    assert_fails(ctx, NTK_EINVAL, "at t = infinity only",
                 ntk_model_dynamics(models[1], &t, 1, NULL, f.test, NULL, one, NULL, two));
    ntk_model_free(models[1]);
    ntk_data_free(wrong);
    wrong = f.train;
    f.train = vectors(f.x_train, f.n, f.d - 1);
    models[1] = fit(&f, "serial(Dense(8), Relu(), Dense(1))", &o);
    assert_fails(ctx, NTK_ESHAPE, "samples of x have shape",
                 ntk_models_predict(models, 2, f.test, means));
    for (int k = 0; k < 64; k++)
        assert_true(one[k] == -7 && two[k] == -7);
    for (int k = 0; k < 2; k++)
        ntk_model_free(models[k]);
    ntk_data_free(wrong);
    fixture_free(&f);
}

/* Every stage names itself: targets that are too large for the solution, for predictions, for what
 * is said of them. */
static void stages_hand_on_finite_numbers(void **state)
{
    static const double large[] = {1e300, 1.7e308};
    struct fixture f;
    ntk_fit_opts o;
    ntk_net *net;
    double *test, *var, *train, evidence;

    (void)state;
    fixture_read(&f);
    test = malloc((size_t)(f.m * f.c) * sizeof *test);
    train = malloc((size_t)(f.n * f.c) * sizeof *train);
    var = malloc((size_t)f.m * sizeof *var);
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(8), Relu(), Dense(1))", &net));
    ntk_fit_opts_init(&o);
    o.diag_reg = 1e-2;
    o.posterior = NTK_POSTERIOR_NNGP;
    for (o.finite_time = 0; o.finite_time < 2; o.finite_time++)
        for (int k = 0; k < 2; k++) {
            ntk_model *model;

            for (int64_t i = 0; i < f.n * f.c; i++)
                f.y[i] = i % 2 ? large[k] : -large[k];
            if (k == 1) {
                assert_fails(ctx, NTK_ENUMERIC, "the solution",
                             ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
                continue;
            }
            assert_ok(ctx, ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
            assert_ok(ctx, ntk_model_predict(model, f.test, test, var));
            for (int64_t i = 0; i < f.m * f.c; i++)
                assert_true(isfinite(test[i]));
            assert_ok(ctx, ntk_model_leave_one_out(model, train, NULL));
            assert_fails(ctx, NTK_ENUMERIC, "the log likelihood",
                         ntk_model_evidence(model, &evidence));
            ntk_model_free(model);
        }
    /* a solution that is finite, and predictions that are not */
    o.finite_time = 0;
    for (int64_t i = 0; i < f.n * f.c; i++)
        f.y[i] = 1e305;
    for (int64_t i = 0; i < f.m * f.d; i++)
        f.x_test[i] *= 1e8;
    {
        ntk_model *model;

        assert_ok(ctx, ntk_model_fit(ctx, net, f.train, f.y, f.c, &o, &model));
        assert_fails(ctx, NTK_ENUMERIC, "the predictions",
                     ntk_model_predict(model, f.test, test, NULL));
        assert_fails(ctx, NTK_ENUMERIC, "the predictions",
                     ntk_models_predict(&model, 1, f.test, (double *const[]){test}));
        ntk_model_free(model);
    }
    assert_ok(ctx, ntk_models_predict(NULL, 0, f.test, NULL));
    ntk_net_free(net);
    free(test);
    free(train);
    free(var);
    fixture_free(&f);
}

/* A matrix that someone gives, with an entry that is none. */
static int bad_rows(int64_t i0, int64_t ni, void *k, void *user)
{
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = i0; j < 8; j++)
            ((double *)k)[i * (8 - i0) + j - i0] = i0 + i == j ? 1 : 0;
    if (i0 == 0)
        ((double *)k)[5] = *(const double *)user;
    return 0;
}

static void a_given_matrix_must_be_finite(void **state)
{
    double bad = (double)NAN, y[8] = {1, 1, 1, 1, 1, 1, 1, 1}, alpha[8];

    (void)state;
    assert_fails(ctx, NTK_EINVAL, "is nan",
                 ntk_kernel_solve(ctx, 8, NTK_F64, 3, bad_rows, &bad, y, 1, 0, alpha));
    bad = 0;
    for (int i = 0; i < 8; i++)
        y[i] = 1e308;
    assert_ok(ctx, ntk_kernel_solve(ctx, 8, NTK_F64, 3, bad_rows, &bad, y, 1, 0, alpha));
    bad = -0.99;
    assert_fails(ctx, NTK_ENUMERIC, "the solution",
                 ntk_kernel_solve(ctx, 8, NTK_F64, 3, bad_rows, &bad, y, 1, 0, alpha));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_by_cholesky),
        cmocka_unit_test(golden_by_eigenvectors),
        cmocka_unit_test(times_are_independent),
        cmocka_unit_test(linear_net_is_least_squares),
        cmocka_unit_test(training_error_never_rises),
        cmocka_unit_test(no_digit_is_lost_in_float32),
        cmocka_unit_test(with_a_ridge_the_limit_is_choleskys),
        cmocka_unit_test(hints_of_a_ridge_work),
        cmocka_unit_test(solving_a_given_matrix),
        cmocka_unit_test(rounding_errors_of_float32_are_warned_of),
        cmocka_unit_test(variances_are_not_negative),
        cmocka_unit_test(models_are_saved),
        cmocka_unit_test(schemas_are_saved),
        cmocka_unit_test(models_say_what_they_have),
        cmocka_unit_test(sharpness_is_the_most_likely),
        cmocka_unit_test(equal_samples_are_left_out_together),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(refuses_what_cannot_be_solved),
        cmocka_unit_test(refusing_writes_nothing),
        cmocka_unit_test(stages_hand_on_finite_numbers),
        cmocka_unit_test(a_given_matrix_must_be_finite),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
