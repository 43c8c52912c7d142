/* SPDX-License-Identifier: MIT
 *
 * Models after what went wrong, and after options and targets that are of another kind than before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "context.h"
#include "solve/solver.h"

enum { N = 20, M = 5, D = 3, C = 2 };
#define NET   "serial(Dense(8, W_std=1.5, b_std=0.2), Relu(), Dense(1))"
#define OTHER "serial(Dense(8, W_std=1.2, b_std=0.1), Erf(), Dense(1))"

static double x[N * D], y[N * C], z[M * D], other[N * C];
static ntk_data *train, *test;
static ntk_net *nets[2];

static ntk_data *vectors(const double *from, int64_t n)
{
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, from, NTK_F64, n, (ntk_shape){0, 1, 1, D}, &data));
    return data;
}

static void draw(uint64_t *seed, int n, double *to)
{
    for (int i = 0; i < n; i++)
        to[i] = test_normal(seed);
}

static int start(void **state)
{
    uint64_t seed = 11;

    if (setup(state) != 0)
        return -1;
    draw(&seed, N * D, x);
    draw(&seed, N * C, y);
    draw(&seed, N * C, other);
    draw(&seed, M * D, z);
    train = vectors(x, N);
    test = vectors(z, M);
    assert_ok(ctx, ntk_net_parse(ctx, NET, &nets[0]));
    assert_ok(ctx, ntk_net_parse(ctx, OTHER, &nets[1]));
    return 0;
}

static int end(void **state)
{
    ntk_net_free(nets[0]);
    ntk_net_free(nets[1]);
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

static ntk_model *fit_to(const double *targets, int64_t outputs, const ntk_fit_opts *o)
{
    ntk_model *model;

    assert_ok(ctx, ntk_model_fit(ctx, nets[0], train, targets, outputs, o, &model));
    return model;
}

static int refuse(const char *what, double done, double total, void *user)
{
    (void)what, (void)done, (void)total, (void)user;
    return 1;
}

/* Predictions, by one of what computes alpha if it is not there. */
static void predict_by(int way, ntk_model *model, const ntk_model *beside, double *mean)
{
    ntk_model *const both[] = {model, (ntk_model *)(uintptr_t)beside};
    double alpha[N * C], same[M * C];
    const double *const columns[] = {alpha};

    if (way == 1)
        assert_ok(ctx, ntk_model_alpha(model, alpha));
    if (way == 1)
        assert_ok(ctx, ntk_models_apply(both, 1, test, C, columns, (double *const[]){mean}));
    else if (way == 2)
        assert_ok(ctx, ntk_models_predict(both, 2, test, (double *const[]){mean, same}));
    else
        assert_ok(ctx, ntk_model_predict(model, test, mean, NULL));
}

/* New targets whose solution is cancelled: predictions are those of the new targets, or an error. */
static void what_was_cancelled_is_done_when_asked_for(void **state)
{
    double got[M * C], want[M * C];
    int cancelled = 0;

    (void)state;
    for (size_t i = 0; i < 3 * ntk_n_solvers; i++) {
        const size_t k = i % ntk_n_solvers;
        const int way = (int)(i / ntk_n_solvers);
        ntk_fit_opts o = options(0.1);
        ntk_model *model, *fresh;
        ntk_status status;

        o.solver = ntk_solvers[k]->name;
        o.tolerance = 1e-14; /* of those that iterate */
        model = fit_to(y, C, &o);
        fresh = fit_to(other, C, &o);
        ntk_ctx_set_progress(ctx, refuse, NULL);
        status = ntk_model_refit(model, other, C, NULL);
        ntk_ctx_set_progress(ctx, NULL, NULL);
        assert_true(status == NTK_OK || status == NTK_ECANCEL);
        cancelled |= status == NTK_ECANCEL ? 1 << way : 0;
        assert_ok(ctx, ntk_model_predict(fresh, test, want, NULL));
        predict_by(way, model, fresh, got);
        near_all(o.solver, M * C, got, want, 1e-12);
        ntk_model_free(model);
        ntk_model_free(fresh);
    }
    assert_int_equal(cancelled, 7); /* each way met it */
}

/* Targets that are refused leave those that were there. */
static void wrong_targets_leave_the_model(void **state)
{
    ntk_fit_opts o = options(0.1), p = options(0.3);
    double before[M * C], after[M * C], bad[N * C];
    ntk_model *model = fit_to(y, C, &o);

    (void)state;
    memcpy(bad, y, sizeof bad);
    bad[3] = (double)NAN;
    assert_ok(ctx, ntk_model_predict(model, test, before, NULL));
    assert_fails(ctx, NTK_EINVAL, "target of sample 1, output 1", ntk_model_refit(model, bad, C, NULL));
    assert_fails(ctx, NTK_EINVAL, "target of sample 1, output 1", ntk_model_refit(model, bad, C, &p));
    assert_fails(ctx, NTK_EINVAL, "outputs must be at least 1", ntk_model_refit(model, y, 0, &p));
    assert_near(ntk_model_diag_reg(model), 0.1, 0, 0); /* nor options */
    assert_ok(ctx, ntk_model_predict(model, test, after, NULL));
    assert_memory_equal(before, after, sizeof before);
    ntk_model_free(model);
}

/* Two models of the same samples, of which one has more outputs. */
static void models_of_different_outputs_predict(void **state)
{
    ntk_fit_opts o = options(0.1);
    double one[M], two[M * C], want_one[M], want_two[M * C];
    double *const mean[] = {two, one};
    ntk_model *models[] = {fit_to(y, C, &o), fit_to(other, 1, &o)};

    (void)state;
    assert_ok(ctx, ntk_model_predict(models[0], test, want_two, NULL));
    assert_ok(ctx, ntk_model_predict(models[1], test, want_one, NULL));
    assert_ok(ctx, ntk_models_predict(models, 2, test, mean));
    near_all("two outputs", M * C, two, want_two, 1e-12);
    near_all("one output", M, one, want_one, 1e-12);
    ntk_model_free(models[0]);
    ntk_model_free(models[1]);
}

/* Several models that are fitted one by one share a store of the samples that weights leave. */
static void a_store_is_of_the_samples_that_are_left(void **state)
{
    char folder[] = "/tmp/ntk-test-XXXXXX", command[60], store[60];
    double weights[N], got[M * C], want[M * C];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "rm -r %s", folder);
    snprintf(store, sizeof store, "%s/K.h5", folder);
    for (int i = 0; i < N; i++)
        weights[i] = i % 4;
    for (int covariance = 1; covariance >= 0; covariance--) {
        ntk_fit_opts o = options(0.1);
        ntk_model *models[2], *fresh;

        o.weights = weights;
        o.covariance = covariance;
        o.posterior = NTK_POSTERIOR_NNGP;
        fresh = fit_to(y, C, &o);
        o.store = store;
        assert_ok(ctx, ntk_models_fit(ctx, (const ntk_net *const *)nets, 2, train, y, C, &o, models));
        assert_ok(ctx, ntk_model_predict(models[0], test, got, NULL));
        assert_ok(ctx, ntk_model_predict(fresh, test, want, NULL));
        near_all("predictions", M * C, got, want, 1e-12);
        ntk_model_free(models[0]);
        ntk_model_free(models[1]);
        ntk_model_free(fresh);
    }
    assert_int_equal(system(command), 0);
}

/* Noise that is the same for all samples makes a singular matrix regular, by eigenvectors too. */
static void constant_noise_counts_in_eigenvalues(void **state)
{
    double noise[N], last[D], values[N], got[N * C], want[N * C], logs[2];
    char path[] = "/tmp/ntk-test-XXXXXX";

    (void)state;
    memcpy(last, x + (N - 1) * D, sizeof last);
    memcpy(x + (N - 1) * D, x, sizeof last);
    close(mkstemp(path));
    for (int i = 0; i < N; i++)
        noise[i] = 0.2;
    for (int weighted = 0; weighted < 2; weighted++) {
        ntk_fit_opts o = options(0);
        ntk_model *cholesky, *eigen;
        double twice[N];

        for (int i = 0; i < N; i++)
            twice[i] = 2;
        o.noise = noise;
        o.weights = weighted ? twice : NULL;
        cholesky = fit_to(y, C, &o);
        o.solver = "eigen";
        eigen = fit_to(y, C, &o);
        assert_ok(ctx, ntk_model_leave_one_out(cholesky, want, NULL));
        assert_ok(ctx, ntk_model_evidence(cholesky, &logs[0]));
        for (int saved = 0; saved < 2; saved++) {
            assert_ok(ctx, ntk_model_leave_one_out(eigen, got, NULL));
            near_all("leave-one-out", N * C, got, want, 1e-9);
            assert_ok(ctx, ntk_model_evidence(eigen, &logs[1]));
            assert_near(logs[1], logs[0], 1e-10, 1);
            assert_ok(ctx, ntk_model_eigenvalues(eigen, values));
            assert_near(values[0], weighted ? 0.1 : 0.2, 1e-9, 0);
            if (saved || !strstr(ntk_features(), "hdf5"))
                break;
            assert_ok(ctx, ntk_model_save(eigen, path, 1));
            ntk_model_free(eigen);
            assert_ok(ctx, ntk_model_load(ctx, path, &eigen));
        }
        ntk_model_free(cholesky);
        ntk_model_free(eigen);
    }
    unlink(path);
    memcpy(x + (N - 1) * D, last, sizeof last);
}

/* How often a kernel of vectors is computed. */
static int count_kernels(const char *what, double done, double total, void *user)
{
    *(int *)user += strcmp(what, "tiles") == 0 && done >= total;
    return 0;
}

/* By any solver the kernel is computed once. */
static void a_ridge_is_chosen_from_one_kernel(void **state)
{
    ntk_fit_opts o = options(NTK_DIAG_REG_AUTO);
    ntk_model *one, *two;
    int kernels = 0;

    (void)state;
    one = fit_to(y, C, &o);
    o.solver = "cholesky";
    ntk_ctx_set_progress(ctx, count_kernels, &kernels);
    two = fit_to(y, C, &o);
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_int_equal(kernels, 1);
    assert_near(ntk_model_diag_reg(two), ntk_model_diag_reg(one), 0, 0);
    ntk_model_free(one);
    ntk_model_free(two);
}

/* Of one sample all ridges predict 0, but for rounding errors. */
static void ridges_that_differ_by_rounding_are_equal(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int k = 0; k < 40; k++) {
        ntk_fit_opts o = options(NTK_DIAG_REG_AUTO);
        const double target = test_normal(&seed), sample[D] = {test_normal(&seed), test_normal(&seed), 1};
        ntk_data *single = vectors(sample, 1);
        ntk_model *model;

        o.solver = k % 2 ? "eigen" : "cholesky";
        assert_ok(ctx, ntk_model_fit(ctx, nets[0], single, &target, 1, &o, &model));
        assert_near(ntk_model_diag_reg(model), 10, 1e-12, 0);
        ntk_model_free(model);
        ntk_data_free(single);
    }
}

/* The ridge that a message names is divided by weights, as any. */
static void the_hint_works_with_weights(void **state)
{
    static const double given[] = {0, 1e-3}, weight[] = {1e9, 1e16}; /* 1e-3 is more than is enough without weights */
    double weights[N], last[D];

    (void)state;
    memcpy(last, x + (N - 1) * D, sizeof last);
    memcpy(x + (N - 1) * D, x, sizeof last);
    for (int k = 0; k < 2; k++) {
        ntk_fit_opts o = options(given[k]);
        ntk_model *model;
        const char *at;

        for (int i = 0; i < N; i++)
            weights[i] = weight[k];
        o.weights = weights;
        assert_fails(ctx, NTK_ENUMERIC, "try diag_reg = ", ntk_model_fit(ctx, nets[0], train, y, C, &o, &model));
        at = strstr(ntk_errmsg(ctx), "try diag_reg = ");
        o.diag_reg = strtod(at + strlen("try diag_reg = "), NULL);
        assert_true(o.diag_reg > given[k]);
        model = fit_to(y, C, &o);
        ntk_model_free(model);
    }
    memcpy(x + (N - 1) * D, last, sizeof last);
}

/* What a model counts is what its matrices and targets are, after each fit; nothing once it is freed. */
static void what_is_held_is_counted(void **state)
{
    ntk_fit_opts o = options(0.1);
    double *many = calloc(N * 500, sizeof *many);
    ntk_model *one, *two;
    size_t bound;

    (void)state;
    assert_non_null(many);
    one = fit_to(y, 1, &o);
    assert_ok(ctx, ntk_model_refit(one, many, 500, NULL));
    two = fit_to(many, 500, &o);
    ntk_model_free(two);
    bound = 200000; /* bytes, of which the targets and coefficients of `one` are 160,000 */
    ntk_ctx_set_memory(ctx, bound);
    assert_fails(ctx, NTK_ENOMEM, "", ntk_ctx_hold(ctx, 100000, "more"));
    ntk_ctx_set_memory(ctx, 0);
    ntk_model_free(one);
    free(many);
}

/* The last name that a model's schema has: of a class, of a target or of a feature; NULL: it has no schema. */
static const char *last_name(const ntk_model *model)
{
    const ntk_schema *schema = ntk_model_schema(model);
    const char *const *names;
    size_t n;

    if (!schema)
        return NULL;
    names = ntk_schema_classes(schema, &n, NULL);
    if (!n)
        names = ntk_schema_targets(schema, &n);
    if (!n)
        names = ntk_schema_features(schema, &n);
    return names[n - 1];
}

static void check_name(const ntk_model *model, const char *want)
{
    const char *got = last_name(model);

    if (got && want)
        assert_string_equal(got, want);
    else
        assert_ptr_equal(got, want);
}

/* The model as its file has it. */
static ntk_model *through_file(ntk_model *model, const char *path)
{
    ntk_model *loaded;

    assert_ok(ctx, ntk_model_save(model, path, 0));
    ntk_model_free(model);
    assert_ok(ctx, ntk_model_load(ctx, path, &loaded));
    return loaded;
}

static const struct {
    const char *names[D + C];
    size_t features, targets, classes;
    const char *same, *fewer; /* the last name with as many outputs, and with fewer */
} named[] = {
    {{"a", "b", "c"}, D, 0, 0, "c", "c"},
    {{"a", "b", "c", "u", "v"}, D, C, 0, "v", NULL},
    {{"a", "b", "c", "blue", "red"}, D, 0, C, "red", NULL},
    {{"blue", "red"}, 0, 0, C, "red", NULL},
};

/* Names of features are those of any targets; those of targets and of classes go once there are more or fewer. */
static void names_go_with_targets(void **state)
{
    const ntk_fit_opts o = options(0.1);
    double k[N * N] = {0}, bad[N] = {(double)NAN};
    char path[] = "/tmp/ntk-test-XXXXXX";

    (void)state;
    close(mkstemp(path));
    for (int i = 0; i < N; i++)
        k[i * N + i] = 1 + i;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        for (int given = 0; given < 2; given++) {
            const bool file = !given && strstr(ntk_features(), "hdf5");
            ntk_schema *schema;
            ntk_model *model;

            if (given)
                assert_ok(ctx, ntk_model_fit_matrix(ctx, N, k, NULL, y, C, &o, &model));
            else
                model = fit_to(y, C, &o);
            assert_ok(ctx, ntk_schema_of_names(ctx, named[i].names, named[i].features, named[i].targets,
                                               named[i].classes, NULL, &schema));
            ntk_model_set_schema(model, schema);
            ntk_schema_free(schema);
            assert_fails(ctx, NTK_EINVAL, "not finite", ntk_model_refit(model, bad, 1, NULL));
            check_name(model, named[i].same);
            assert_ok(ctx, ntk_model_refit(model, other, C, &o));
            model = file ? through_file(model, path) : model;
            check_name(model, named[i].same);
            assert_ok(ctx, ntk_model_refit(model, y, 1, NULL));
            model = file ? through_file(model, path) : model;
            check_name(model, named[i].fewer);
            assert_int_equal(ntk_model_outputs(model), 1);
            assert_ok(ctx, ntk_model_refit(model, y, C, NULL)); /* what is gone does not come back */
            check_name(model, named[i].fewer);
            ntk_model_free(model);
        }
    unlink(path);
}

/* A schema or a scaler of something else is refused before there is a file that cannot be read, whatever it is of. */
static void what_would_not_load_is_not_saved(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    static const double mean[D] = {0}, deviation[D] = {1, 1, 1};
    static const size_t counts[][2] = {{D - 1, 0}, {D, C - 1}, {0, 0}};
    const ntk_fit_opts o = options(0.1);
    char path[] = "/tmp/ntk-test-XXXXXX";
    ntk_model *model = fit_to(y, C, &o);
    ntk_params *params;
    ntk_scaler *scaler;
    ntk_net *net;

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    close(mkstemp(path));
    unlink(path);
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(8), Relu(), Dense(2))", &net));
    assert_ok(ctx, ntk_params_new(ctx, net, (ntk_shape){0, 1, 1, D}, NTK_F64, 1, &params));
    for (int i = 0; i < 3; i++) {
        ntk_schema *schema;

        assert_ok(ctx, ntk_schema_of_names(ctx, names, counts[i][0], counts[i][1], i == 2 ? C + 1 : 0, NULL, &schema));
        ntk_model_set_schema(model, schema);
        ntk_params_set_schema(params, schema);
        assert_fails(ctx, NTK_EINVAL, "not one of 3 features and 2 outputs", ntk_model_save(model, path, 0));
        assert_fails(ctx, NTK_EINVAL, "not one of 3 features and 2 outputs", ntk_params_save(params, path));
        ntk_schema_free(schema);
    }
    ntk_model_set_schema(model, NULL);
    ntk_params_set_schema(params, NULL);
    assert_ok(ctx, ntk_scaler_of_numbers(ctx, NTK_STD_FEATURE, (ntk_shape){0, 1, 1, D - 1}, mean, deviation, &scaler));
    assert_ok(ctx, ntk_model_set_encoding(model, scaler, NTK_RAW));
    assert_ok(ctx, ntk_params_set_scaler(params, scaler));
    assert_fails(ctx, NTK_EINVAL, "of 2 features, the samples have 3", ntk_model_save(model, path, 0));
    assert_fails(ctx, NTK_EINVAL, "of 2 features, the samples have 3", ntk_params_save(params, path));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(ctx, ntk_model_set_encoding(model, NULL, NTK_RAW));
    ntk_model_free(through_file(model, path));
    ntk_scaler_free(scaler);
    ntk_params_free(params);
    ntk_net_free(net);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_cancelled_is_done_when_asked_for),
        cmocka_unit_test(wrong_targets_leave_the_model),
        cmocka_unit_test(models_of_different_outputs_predict),
        cmocka_unit_test(a_store_is_of_the_samples_that_are_left),
        cmocka_unit_test(constant_noise_counts_in_eigenvalues),
        cmocka_unit_test(a_ridge_is_chosen_from_one_kernel),
        cmocka_unit_test(ridges_that_differ_by_rounding_are_equal),
        cmocka_unit_test(the_hint_works_with_weights),
        cmocka_unit_test(what_is_held_is_counted),
        cmocka_unit_test(names_go_with_targets),
        cmocka_unit_test(what_would_not_load_is_not_saved),
    };

    return cmocka_run_group_tests(tests, start, end);
}
