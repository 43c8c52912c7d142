/* SPDX-License-Identifier: MIT
 *
 * Samples that stand for their copies: sums over copies against kernels and fits of the copies themselves, which are made
 * here, one by one; shifted copies against loops over pixels.
 */
#include <float.h>
#include <stdio.h>
#include <unistd.h>

#include "context.h"

enum { N = 9, M = 3, SIDE = 6, CHANNELS = 2, D = SIDE * SIDE * CHANNELS, C = 2, MOST = 8 };
#define DENSE "serial(Flatten(), Dense(8, W_std=1.5, b_std=0.3), Relu(), Dense(8, W_std=1.2), Erf(), Dense(1))"
#define CONV                                                                                                          \
    "serial(Conv(8, (3, 3), padding='SAME', W_std=1.4, b_std=0.2), Relu(), AvgPool((2, 2), strides=(2, 2)), Conv(8, " \
    "(3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))"

static double x[N * D], y[N * C], z[M * D];

static int start(void **state)
{
    uint64_t seed = 11;

    if (setup(state) != 0)
        return -1;
    for (int i = 0; i < N * D; i++)
        x[i] = test_normal(&seed);
    for (int i = 0; i < N * C; i++)
        y[i] = test_normal(&seed);
    for (int i = 0; i < M * D; i++)
        z[i] = test_normal(&seed);
    return 0;
}

static ntk_data *images(const double *from, int64_t n)
{
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, from, NTK_F64, n, (ntk_shape){2, SIDE, SIDE, CHANNELS}, &data));
    return data;
}

static ntk_net *parse(const char *text)
{
    ntk_net *net;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    return net;
}

/* ---- copies, by hand */

/* An image after `turns` quarter turns, then perhaps upside down, then perhaps mirrored. */
static void copy_image(const double *from, int turns, bool down, bool flip, double *to)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int k = 0; k < CHANNELS; k++) {
                int a = down ? SIDE - 1 - i : i, b = flip ? SIDE - 1 - j : j;

                for (int t = 0; t < turns; t++) {
                    const int before = a;

                    a = b;
                    b = SIDE - 1 - before;
                }
                to[(i * SIDE + j) * CHANNELS + k] = from[(a * SIDE + b) * CHANNELS + k];
            }
}

/* All copies of n images, copy after copy; how many of each. */
static int copies_of(unsigned kinds, const double *from, int n, double *to)
{
    int copies = 0;

    for (int turns = 0; turns < (kinds & NTK_ROTATE ? 4 : 1); turns++)
        for (int down = 0; down < (kinds & NTK_FLIP_ROWS && !(kinds & NTK_ROTATE) ? 2 : 1); down++)
            for (int flip = 0; flip < (kinds & NTK_FLIP ? 2 : 1); flip++, copies++)
                for (int i = 0; i < n; i++)
                    copy_image(from + i * D, turns, down, flip, to + (copies * n + i) * D);
    return copies;
}

static const unsigned groups[] = {NTK_FLIP, NTK_FLIP_ROWS, NTK_FLIP | NTK_FLIP_ROWS, NTK_ROTATE, NTK_FLIP | NTK_ROTATE};
enum { GROUPS = sizeof groups / sizeof *groups };

/* Images as a data set that stands for its copies, and the copies themselves. */
struct both {
    int copies;
    ntk_data *symmetric, *all, *test;
    double *numbers, *y; /* of all */
};

static struct both both_of(unsigned kinds, bool flat)
{
    struct both b = {.symmetric = images(x, N), .test = images(z, M)};
    int copies;

    b.numbers = malloc(MOST * N * D * sizeof *b.numbers);
    b.y = malloc(MOST * N * C * sizeof *b.y);
    b.copies = copies_of(kinds, x, N, b.numbers);
    for (int c = 0; c < b.copies; c++)
        memcpy(b.y + c * N * C, y, sizeof y);
    b.all = images(b.numbers, b.copies * N);
    if (flat) {
        ntk_data_flatten(b.symmetric);
        ntk_data_flatten(b.all);
        ntk_data_flatten(b.test);
    }
    assert_ok(ctx, ntk_data_set_symmetry(b.symmetric, kinds));
    assert_int_equal(ntk_data_symmetry(b.symmetric, &copies), kinds);
    assert_int_equal(copies, b.copies);
    return b;
}

static void forget(struct both *b)
{
    ntk_data_free(b->symmetric);
    ntk_data_free(b->all);
    ntk_data_free(b->test);
    free(b->numbers);
    free(b->y);
}

/* ---- kernels */

static void compute(const ntk_net *net, unsigned want, ntk_dtype dtype, const ntk_data *a, const ntk_data *b, void *out)
{
    ntk_kernel *kernel;

    assert_ok(ctx, ntk_kernel_new(ctx, &net, 1, want, dtype, ntk_data_shape(a), &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, a, b, (void *[]){out}));
    ntk_kernel_free(kernel);
}

/* Rows of n columns; the sum over copies of those of c n columns. */
static void check_sums(int rows, int n, int copies, const double *sum, const double *all)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < n; j++) {
            double want = 0;

            for (int c = 0; c < copies; c++)
                want += all[i * copies * n + c * n + j];
            assert_near(sum[i * n + j], want, 1e-13, 1);
        }
}

static void kernels_are_sums_over_copies(void **state)
{
    const char *const nets[] = {DENSE, CONV};
    double *all = malloc(MOST * MOST * N * N * sizeof *all), sum[N * N], diagonal[N];

    (void)state;
    for (int g = 0; g < GROUPS; g++)
        for (int k = 0; k < 2; k++) {
            struct both b = both_of(groups[g], false);
            ntk_net *net = parse(nets[k]);
            const ntk_net *one = net;
            ntk_kernel *kernel;

            compute(net, NTK_NTK, NTK_F64, b.symmetric, NULL, sum);
            compute(net, NTK_NTK, NTK_F64, b.all, NULL, all);
            check_sums(N, N, b.copies, sum, all);
            compute(net, NTK_NNGP, NTK_F64, b.test, b.symmetric, sum);
            compute(net, NTK_NNGP, NTK_F64, b.test, b.all, all);
            check_sums(M, N, b.copies, sum, all);
            compute(net, NTK_NTK, NTK_F64, b.symmetric, NULL, sum);
            assert_ok(ctx, ntk_kernel_new(ctx, &one, 1, NTK_NTK, NTK_F64, ntk_data_shape(b.symmetric), &kernel));
            assert_ok(ctx, ntk_kernel_diagonal(kernel, b.symmetric, (double *[]){diagonal}));
            for (int i = 0; i < N; i++)
                assert_near(diagonal[i], sum[i * N + i], 1e-13, 1);
            ntk_kernel_free(kernel);
            ntk_net_free(net);
            forget(&b);
        }
    free(all);
}

/* More samples than a tile, in both types; rows and columns cut the tiles anywhere. */
static void tiles_are_put_together(void **state)
{
    enum { MANY = 1300, PIXELS = 4 };
    double *few = malloc(2 * MANY * PIXELS * sizeof *few), *sum = malloc(MANY * MANY * sizeof *sum);
    double *ones = malloc(MANY * MANY * sizeof *ones), *mirrored = malloc(MANY * MANY * sizeof *mirrored);
    float *narrow = malloc(MANY * MANY * sizeof *narrow);
    ntk_net *net = parse("serial(Dense(8, W_std=1.5, b_std=0.3), Relu(), Dense(1))");
    ntk_data *a, *b;
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < MANY; i++)
        for (int j = 0; j < PIXELS; j++) {
            few[i * PIXELS + j] = test_normal(&seed);
            few[(MANY + i) * PIXELS + PIXELS - 1 - j] = few[i * PIXELS + j];
        }
    assert_ok(ctx, ntk_data_view(ctx, few, NTK_F64, MANY, (ntk_shape){0, 1, 1, PIXELS}, &a));
    assert_ok(ctx, ntk_data_view(ctx, few + MANY * PIXELS, NTK_F64, MANY, (ntk_shape){0, 1, 1, PIXELS}, &b));
    compute(net, NTK_NTK, NTK_F64, a, NULL, ones);
    compute(net, NTK_NTK, NTK_F64, a, b, mirrored);
    assert_fails(ctx, NTK_ESHAPE, "ntk_data_set_image", ntk_data_set_symmetry(a, NTK_FLIP));
    assert_ok(ctx, ntk_data_set_image(a, (ntk_shape){1, 1, PIXELS, 1}));
    assert_ok(ctx, ntk_data_set_symmetry(a, NTK_FLIP));
    compute(net, NTK_NTK, NTK_F64, a, NULL, sum);
    compute(net, NTK_NTK, NTK_F32, a, NULL, narrow);
    for (int i = 0; i < MANY; i++)
        for (int j = 0; j < MANY; j++) {
            assert_near(sum[i * MANY + j], ones[i * MANY + j] + mirrored[i * MANY + j], 1e-13, 1);
            assert_near((double)narrow[i * MANY + j], sum[i * MANY + j], 1e-5, 1);
            assert_true(sum[i * MANY + j] == sum[j * MANY + i]);
        }
    ntk_data_free(a);
    ntk_data_free(b);
    ntk_net_free(net);
    free(few);
    free(sum);
    free(ones);
    free(mirrored);
    free(narrow);
}

/* ---- fits */

static ntk_model *fit(const ntk_net *net, const ntk_data *data, const double *targets, const ntk_fit_opts *o)
{
    ntk_model *model;

    assert_ok(ctx, ntk_model_fit(ctx, net, data, targets, C, o, &model));
    return model;
}

static ntk_fit_opts options(double diag_reg)
{
    ntk_fit_opts o;

    ntk_fit_opts_init(&o);
    o.diag_reg = diag_reg;
    return o;
}

static double largest(const double *v, int n)
{
    double most = 0;

    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(v[i]));
    return most;
}

static void check_near(const double *got, const double *want, int n, double tolerance)
{
    near_all("numbers", n, got, want, tolerance);
}

/* The same diag_reg, relative and absolute, in samples with images and without; to rounding times the condition number, at most
 * 1 + trace / ridge. */
static void fits_are_those_of_all_copies(void **state)
{
    const char *const nets[] = {DENSE, CONV};

    (void)state;
    for (int g = 0; g < GROUPS; g++)
        for (int k = 0; k < 4; k++) {
            struct both b = both_of(groups[g], k == 2);
            ntk_fit_opts o = options(0.3);
            ntk_net *net = parse(nets[k == 1]);
            ntk_model *model, *brute;
            double mean[M * C], want[M * C];

            o.diag_reg_absolute = k == 3;
            model = fit(net, b.symmetric, y, &o);
            brute = fit(net, b.all, b.y, &o);
            assert_ok(ctx, ntk_model_predict(model, b.test, mean, NULL));
            assert_ok(ctx, ntk_model_predict(brute, b.test, want, NULL));
            check_near(mean, want, M * C, DBL_EPSILON * (1 + N * MOST / o.diag_reg));
            ntk_model_free(model);
            ntk_model_free(brute);
            ntk_net_free(net);
            forget(&b);
        }
}

static void all_solvers_fit_them(void **state)
{
    const char *const solvers[] = {"cholesky", "mixed", "cg", "eigen", "lanczos"};
    struct both b = both_of(NTK_FLIP, false);
    ntk_net *net = parse(DENSE);
    double mean[M * C], want[M * C];

    (void)state;
    for (int k = 0; k < 10; k++) {
        ntk_fit_opts o = options(0.3);
        ntk_model *brute = fit(net, b.all, b.y, &o), *model;

        o.dtype = k < 5 ? NTK_F64 : NTK_F32;
        o.solver = solvers[k % 5];
        o.tolerance = 1e-12;
        model = fit(net, b.symmetric, y, &o);
        assert_ok(ctx, ntk_model_predict(model, b.test, mean, NULL));
        assert_ok(ctx, ntk_model_predict(brute, b.test, want, NULL));
        check_near(mean, want, M * C, k < 5 ? 1e-11 : 2e-6);
        ntk_model_free(model);
        ntk_model_free(brute);
    }
    ntk_net_free(net);
    forget(&b);
}

/* All samples are landmarks: the answer of all others. */
static void landmarks_fit_them(void **state)
{
    struct both b = both_of(NTK_FLIP, false);
    ntk_net *net = parse(DENSE);
    ntk_fit_opts o = options(0.3);
    double mean[M * C], want[M * C], var[M], variance[M], loo[N * C], left[N * C], spread[N], wide[N];
    ntk_model *model, *exact;

    (void)state;
    o.posterior = NTK_POSTERIOR_NTKGP;
    o.covariance = 1;
    exact = fit(net, b.symmetric, y, &o);
    o.solver = "landmarks";
    o.landmarks = N;
    model = fit(net, b.symmetric, y, &o);
    assert_ok(ctx, ntk_model_predict(model, b.test, mean, var));
    assert_ok(ctx, ntk_model_predict(exact, b.test, want, variance));
    check_near(mean, want, M * C, 1e-5);
    check_near(var, variance, M, 1e-5);
    assert_ok(ctx, ntk_model_leave_one_out(model, loo, spread));
    assert_ok(ctx, ntk_model_leave_one_out(exact, left, wide));
    check_near(loo, left, N * C, 1e-4);
    check_near(spread, wide, N, 0.5); /* a left-out landmark stays one: of the same size only */
    ntk_model_free(model);
    ntk_model_free(exact);
    ntk_net_free(net);
    forget(&b);
}

static void features_refuse_them(void **state)
{
    struct both b = both_of(NTK_FLIP, true);
    ntk_net *net = parse("fc(depth=1, b_std=0)");
    float phi[M * 20];
    ntk_feature_map *map;

    (void)state;
    assert_ok(ctx, ntk_feature_map_new(ctx, net, NTK_NTK, b.test, 20, 1, &map));
    assert_ok(ctx, ntk_feature_map_apply(map, b.test, phi));
    assert_fails(ctx, NTK_ENOTSUP, "stand for their copies", ntk_feature_map_apply(map, b.symmetric, phi));
    ntk_feature_map_free(map);
    ntk_net_free(net);
    forget(&b);
}

/* Predictions at copies are equal, and variances are those of their mean: that of all entries of the copies' covariance. */
static void variances_are_of_means_over_copies(void **state)
{
    const ntk_posterior posteriors[] = {NTK_POSTERIOR_NNGP, NTK_POSTERIOR_NTK, NTK_POSTERIOR_NTKGP};
    struct both b = both_of(NTK_FLIP | NTK_ROTATE, false);
    const int tests = M * b.copies;
    double *copies = malloc(MOST * M * D * sizeof *copies), *cov = malloc((size_t)(tests * tests) * sizeof *cov);
    double mean[M * C], var[M], full[M * M], all[MOST * M * C];
    ntk_net *net = parse(DENSE);
    ntk_data *turned;

    (void)state;
    copies_of(NTK_FLIP | NTK_ROTATE, z, M, copies);
    turned = images(copies, tests);
    for (int k = 0; k < 3; k++) {
        ntk_fit_opts o = options(0.1);
        ntk_model *model, *brute;

        o.posterior = posteriors[k];
        o.covariance = 1;
        model = fit(net, b.symmetric, y, &o);
        brute = fit(net, b.all, b.y, &o);
        assert_ok(ctx, ntk_model_covariance(brute, turned, all, cov));
        assert_ok(ctx, ntk_model_predict(model, b.test, mean, var));
        assert_ok(ctx, ntk_model_covariance(model, b.test, mean, full));
        for (int i = 0; i < M; i++)
            for (int j = 0; j < M; j++) {
                double sum = 0;

                for (int c = 0; c < b.copies; c++)
                    for (int d = 0; d < b.copies; d++)
                        sum += cov[(c * M + i) * tests + d * M + j] / (b.copies * b.copies);
                assert_near(full[i * M + j], sum, 1e-12, largest(cov, tests * tests));
            }
        for (int i = 0; i < M; i++)
            assert_near(var[i], full[i * M + i], 1e-12, largest(full, M * M));
        for (int c = 0; c < b.copies; c++)
            check_near(all + c * M * C, mean, M * C, 1e-12);
        assert_ok(ctx, ntk_model_predict(model, turned, all, NULL));
        for (int c = 0; c < b.copies; c++)
            check_near(all + c * M * C, mean, M * C, 1e-13);
        ntk_model_free(model);
        ntk_model_free(brute);
    }
    ntk_data_free(turned);
    ntk_net_free(net);
    free(copies);
    free(cov);
    forget(&b);
}

/* Both copies of a sample are left out, by fits without them. */
static void leave_one_out_leaves_copies_out(void **state)
{
    struct both b = both_of(NTK_FLIP, false);
    ntk_fit_opts o = options(0.2);
    ntk_net *net = parse(DENSE);
    ntk_model *model;
    double mean[N * C], var[N], want[C], variance, *numbers = malloc(2 * N * D * sizeof *numbers), *targets = malloc(2 * N * C * sizeof *targets);

    (void)state;
    o.diag_reg_absolute = 1;
    o.posterior = NTK_POSTERIOR_NTKGP;
    model = fit(net, b.symmetric, y, &o);
    assert_ok(ctx, ntk_model_leave_one_out(model, mean, var));
    for (int i = 0; i < N; i++) {
        double pair[2 * D], f[2 * C], cov[4];
        ntk_data *rest, *left;
        ntk_model *brute;
        int n = 0;

        for (int k = 0; k < 2 * N; k++)
            if (k % N != i) {
                memcpy(numbers + n * D, b.numbers + k * D, D * sizeof *numbers);
                memcpy(targets + n++ * C, b.y + k * C, C * sizeof *targets);
            }
        memcpy(pair, b.numbers + i * D, D * sizeof *pair);
        memcpy(pair + D, b.numbers + (N + i) * D, D * sizeof *pair);
        rest = images(numbers, n);
        left = images(pair, 2);
        brute = fit(net, rest, targets, &o);
        assert_ok(ctx, ntk_model_covariance(brute, left, f, cov));
        memcpy(want, f, sizeof want);
        check_near(mean + i * C, want, C, 1e-12);
        variance = (cov[0] + cov[1] + cov[2] + cov[3]) / 4 + 0.2 / 2; /* with the noise of the mean of two targets */
        assert_near(var[i], variance, 1e-12, 1);
        ntk_model_free(brute);
        ntk_data_free(rest);
        ntk_data_free(left);
    }
    ntk_model_free(model);
    ntk_net_free(net);
    free(numbers);
    free(targets);
    forget(&b);
}

/* The likelihood of means over copies: a process with their covariance, of a matrix that is given. */
static void likelihood_is_of_means(void **state)
{
    struct both b = both_of(NTK_FLIP, false);
    ntk_fit_opts o = options(0.2);
    ntk_net *net = parse(DENSE);
    ntk_model *model, *given;
    ntk_spectrum spectrum, want;
    double k[N * N], got, evidence, loo[2], likelihood[2], error[2];

    (void)state;
    ntk_spectrum_init(&spectrum);
    ntk_spectrum_init(&want);
    compute(net, NTK_NTK, NTK_F64, b.symmetric, NULL, k);
    model = fit(net, b.symmetric, y, &o);
    assert_ok(ctx, ntk_model_evidence(model, &got));
    assert_ok(ctx, ntk_model_spectrum(model, &spectrum));
    assert_ok(ctx, ntk_model_ridges(model, 2, (double[]){0.2, 0.5}, loo, likelihood));
    assert_near(likelihood[0], got, 1e-12, 1);
    for (int i = 0; i < N * N; i++)
        k[i] /= 2;
    {
        double one[N * N], mean = 0;

        for (int r = 0; r < 2; r++) {
            ntk_data *alone = images(x, N);

            compute(net, NTK_NTK, NTK_F64, alone, NULL, one);
            ntk_data_free(alone);
            mean = 0;
            for (int i = 0; i < N; i++)
                mean += one[i * N + i] / N;
            o.diag_reg_absolute = 1;
            o.diag_reg = (r ? 0.5 : 0.2) * mean / 2;
            assert_ok(ctx, ntk_model_fit_matrix(ctx, N, k, NULL, y, C, &o, &given));
            assert_ok(ctx, ntk_model_evidence(given, &evidence));
            assert_ok(ctx, ntk_model_spectrum(given, &want));
            assert_ok(ctx, ntk_model_ridges(given, 1, &o.diag_reg, error, NULL));
            assert_near(likelihood[r], evidence, 1e-12, 1);
            assert_near(loo[r], error[0], 1e-11, 1);
            if (r == 0)
                assert_near(spectrum.lambda_max, 2 * want.lambda_max, 1e-3, 1);
            ntk_model_free(given);
        }
    }
    ntk_model_free(model);
    ntk_net_free(net);
    forget(&b);
}

/* Of the summed loss and of that which is a mean over all copies; means, and of the ensemble variances, from matrices. */
static void dynamics_are_those_of_all_copies(void **state)
{
    const double times[] = {0.05, 0.7, (double)INFINITY};
    enum { TIMES = 3, ALL = 2 * N, TESTS = 2 * M };
    struct both b = both_of(NTK_FLIP, true);
    double nngp[ALL * ALL], ntk[ALL * ALL], cross[TESTS * ALL], cross_nngp[TESTS * ALL], prior[TESTS * TESTS];
    double copies[TESTS * D], cov[TIMES * TESTS * TESTS], want[TIMES * TESTS * C];
    double train[TIMES * N * C], at[TIMES * ALL * C], test[TIMES * M * C], var[TIMES * M];
    ntk_net *net = parse(DENSE);
    ntk_data *turned;

    (void)state;
    copies_of(NTK_FLIP, z, M, copies);
    turned = images(copies, TESTS);
    ntk_data_flatten(turned);
    compute(net, NTK_NNGP, NTK_F64, b.all, NULL, nngp);
    compute(net, NTK_NTK, NTK_F64, b.all, NULL, ntk);
    compute(net, NTK_NTK, NTK_F64, turned, b.all, cross);
    compute(net, NTK_NNGP, NTK_F64, turned, b.all, cross_nngp);
    compute(net, NTK_NNGP, NTK_F64, turned, NULL, prior);
    for (int mean = 0; mean < 2; mean++) {
        ntk_test_matrices t;
        ntk_fit_opts o = options(0.01);
        ntk_model *model, *brute;

        o.finite_time = o.covariance = 1;
        o.mean_loss = mean;
        model = fit(net, b.symmetric, y, &o);
        assert_ok(ctx, ntk_model_dynamics(model, times, TIMES, NULL, b.test, NULL, train, test, var));
        ntk_test_matrices_init(&t);
        t.m = TESTS;
        t.k = cross;
        t.nngp = cross_nngp;
        t.prior = prior;
        assert_ok(ctx, ntk_model_fit_matrix(ctx, ALL, ntk, nngp, b.y, C, &o, &brute));
        assert_ok(ctx, ntk_model_predict_matrix(brute, &t, times, TIMES, NULL, NULL, want, cov));
        for (int k = 0; k < TIMES; k++) {
            check_near(test + k * M * C, want + k * TESTS * C, M * C, 1e-11);
            for (int i = 0; i < M; i++) {
                const double *v = cov + k * TESTS * TESTS;
                const double sum = v[i * TESTS + i] + v[i * TESTS + M + i] + v[(M + i) * TESTS + i] + v[(M + i) * TESTS + M + i];

                assert_near(var[k * M + i], sum / 4, 1e-11, 1);
            }
        }
        ntk_model_free(brute);
        brute = fit(net, b.all, b.y, &o);
        assert_ok(ctx, ntk_model_dynamics(brute, times, TIMES, NULL, NULL, NULL, at, NULL, NULL));
        for (int k = 0; k < TIMES; k++)
            check_near(train + k * N * C, at + k * ALL * C, N * C, 1e-11);
        {
            ntk_spectrum of_sum, of_all;

            ntk_spectrum_init(&of_sum);
            ntk_spectrum_init(&of_all);
            assert_ok(ctx, ntk_model_spectrum(model, &of_sum));
            assert_ok(ctx, ntk_model_spectrum(brute, &of_all));
            assert_near(of_sum.max_learning_rate, of_all.max_learning_rate, 1e-10, 0);
        }
        ntk_model_free(brute);
        ntk_model_free(model);
    }
    ntk_data_free(turned);
    ntk_net_free(net);
    forget(&b);
}

/* Another ridge, other targets, weights of which one is 0, several nets, and a ridge that is chosen. */
static void refits_weights_and_several_nets(void **state)
{
    double weights[2 * N], other[N * C], twice[2 * N * C], mean[M * C], want[M * C], second[M * C];
    struct both b = both_of(NTK_FLIP, false);
    ntk_net *nets[2] = {parse(DENSE), parse(CONV)};
    ntk_model *models[2], *brute;
    ntk_fit_opts o = options(0.3);

    (void)state;
    for (int i = 0; i < N; i++)
        weights[i] = weights[N + i] = i == 2 ? 0 : 1 + i % 3;
    for (int i = 0; i < N * C; i++)
        other[i] = twice[i] = twice[N * C + i] = y[i] * y[i];
    assert_ok(ctx, ntk_models_fit(ctx, (const ntk_net *const *)nets, 2, b.symmetric, y, C, &o, models));
    assert_ok(ctx, ntk_models_predict(models, 2, b.test, (double *[]){mean, second}));
    for (int k = 0; k < 2; k++) {
        brute = fit(nets[k], b.all, b.y, &o);
        assert_ok(ctx, ntk_model_predict(brute, b.test, want, NULL));
        check_near(k ? second : mean, want, M * C, 1e-13);
        ntk_model_free(brute);
    }
    o.diag_reg = 0.05;
    assert_ok(ctx, ntk_model_refit(models[0], other, C, &o));
    assert_ok(ctx, ntk_model_predict(models[0], b.test, mean, NULL));
    brute = fit(nets[0], b.all, twice, &o);
    assert_ok(ctx, ntk_model_predict(brute, b.test, want, NULL));
    check_near(mean, want, M * C, 1e-12);
    ntk_model_free(brute);
    ntk_model_free(models[0]);
    ntk_model_free(models[1]);
    o.weights = weights;
    models[0] = fit(nets[0], b.symmetric, y, &o);
    brute = fit(nets[0], b.all, b.y, &o);
    assert_ok(ctx, ntk_model_predict(models[0], b.test, mean, NULL));
    assert_ok(ctx, ntk_model_predict(brute, b.test, want, NULL));
    check_near(mean, want, M * C, 1e-12);
    ntk_model_free(models[0]);
    ntk_model_free(brute);
    ntk_net_free(nets[0]);
    ntk_net_free(nets[1]);
    forget(&b);
}

static void a_ridge_that_would_help_is_in_the_same_scale(void **state)
{
    ntk_fit_opts o = options(0);
    ntk_net *net = parse(DENSE);
    double twice[2 * D], targets[2 * C] = {0, 1, 1, 0}, hinted;
    ntk_data *equal;
    ntk_model *model;
    const char *at;

    (void)state;
    memcpy(twice, x, D * sizeof *x);
    copy_image(x, 0, false, true, twice + D); /* a mirror image of the first: their rows are equal */
    equal = images(twice, 2);
    assert_ok(ctx, ntk_data_set_symmetry(equal, NTK_FLIP));
    assert_fails(ctx, NTK_ENUMERIC, "times the mean of the diagonal", ntk_model_fit(ctx, net, equal, targets, C, &o, &model));
    at = strstr(ntk_errmsg(ctx), "diag_reg = ");
    assert_non_null(at);
    hinted = atof(at + strlen("diag_reg = "));
    assert_true(hinted > 0 && hinted < 1e-6);
    o.diag_reg = hinted;
    ntk_model_free(fit(net, equal, targets, &o));
    ntk_data_free(equal);
    ntk_net_free(net);
}

/* ---- files */

#ifdef NTK_HDF5
static void models_and_stores_keep_it(void **state)
{
    struct both b = both_of(NTK_FLIP, true);
    char model_file[] = "/tmp/ntk-symmetry-XXXXXX", store[] = "/tmp/ntk-symmetry-store-XXXXXX";
    double mean[M * C], var[M], want[M * C], variance[M];
    ntk_net *net = parse(DENSE);
    ntk_fit_opts o = options(0.1);
    ntk_model *model, *loaded;
    ntk_data *alone = images(x, N);
    ntk_kernel_store *s;

    (void)state;
    close(mkstemp(model_file));
    close(mkstemp(store));
    unlink(store);
    o.covariance = 1;
    model = fit(net, b.symmetric, y, &o);
    assert_ok(ctx, ntk_model_predict(model, b.test, want, variance));
    for (int factor = 0; factor < 2; factor++) {
        int copies;

        assert_ok(ctx, ntk_model_save(model, model_file, factor));
        assert_ok(ctx, ntk_model_load(ctx, model_file, &loaded));
        assert_int_equal(ntk_data_symmetry(ntk_model_x(loaded), &copies), NTK_FLIP);
        assert_int_equal(copies, 2);
        assert_ok(ctx, ntk_model_predict(loaded, b.test, mean, var));
        check_near(mean, want, M * C, 1e-14);
        check_near(var, variance, M, 1e-12);
        ntk_model_free(loaded);
    }
    ntk_model_free(model);
    o.store = store;
    model = fit(net, b.symmetric, y, &o);
    assert_ok(ctx, ntk_model_predict(model, b.test, mean, var));
    check_near(mean, want, M * C, 1e-13);
    check_near(var, variance, M, 1e-12);
    ntk_model_free(model);
    assert_ok(ctx, ntk_store_read(ctx, store, &s));
    assert_non_null(strstr(ntk_store_text(s), "each with its copies as an image of 6 x 6 x 2 (mirror images)"));
    ntk_store_free(s);
    ntk_data_flatten(alone);
    assert_fails(ctx, NTK_EINVAL, "is a store of other kernels", ntk_model_fit(ctx, net, alone, y, C, &o, &model));
    ntk_data_free(alone);
    ntk_net_free(net);
    unlink(model_file);
    unlink(store);
    forget(&b);
}
#endif

/* ---- shifted copies */

/* Pixel k of position i, j of an image that is moved by di, dj. */
static double moved(const double *image, int di, int dj, int i, int j, int k)
{
    const int a = i - di, b = j - dj;

    return a < 0 || b < 0 || a >= SIDE || b >= SIDE ? 0 : image[(a * SIDE + b) * CHANNELS + k];
}

static bool is_moved(const double *copy, const double *image, int di, int dj)
{
    bool is = true;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int k = 0; k < CHANNELS; k++)
                is = is && copy[(i * SIDE + j) * CHANNELS + k] == moved(image, di, dj, i, j, k);
    return is;
}

/* Which of the 25 shifts by up to two pixels a copy is; -1: none. */
static int shift_of(const double *copy, const double *image)
{
    for (int di = -2; di <= 2; di++)
        for (int dj = -2; dj <= 2; dj++)
            if (is_moved(copy, image, di, dj))
                return 5 * (di + 2) + dj + 2;
    return -1;
}

static void shifted_copies(void **state)
{
    const int64_t counts[] = {0, 25, 7, 2, 1};
    ntk_data *data = images(x, N), *shifted[2], *third;

    (void)state;
    ntk_data_flatten(data); /* the image is known all the same */
    assert_ok(ctx, ntk_data_set_symmetry(data, NTK_FLIP));
    for (int k = 0; k < 5; k++) {
        const int copies = counts[k] ? (int)counts[k] : 25;
        const double *v;
        bool same = true;

        for (int run = 0; run < 2; run++) /* of any number of threads */
            assert_ok(ctx, ntk_data_shifted(data, 2, counts[k], 5, &shifted[run]));
        assert_ok(ctx, ntk_data_shifted(data, 2, counts[k], 6, &third));
        assert_int_equal(ntk_data_n(shifted[0]), copies * N);
        assert_int_equal(ntk_data_symmetry(shifted[0], NULL), NTK_FLIP);
        v = ntk_data_x(shifted[0]);
        assert_memory_equal(v, x, sizeof x); /* the originals first */
        assert_memory_equal(v, ntk_data_x(shifted[1]), (size_t)(copies * N * D) * sizeof *v);
        for (int i = 0; i < N; i++) {
            bool seen[25] = {false};

            for (int c = 0; c < copies; c++) {
                const int shift = shift_of(v + (c * N + i) * D, x + i * D);

                assert_true(shift >= 0 && !seen[shift]);
                seen[shift] = true;
            }
        }
        same = memcmp(v, ntk_data_x(third), (size_t)(copies * N * D) * sizeof *v) == 0;
        assert_true(same == (copies == 25 || copies == 1)); /* else other seeds draw others */
        ntk_data_free(shifted[0]);
        ntk_data_free(shifted[1]);
        ntk_data_free(third);
    }
    ntk_data_free(data);
}

/* Every shift is drawn about as often. */
static void shifts_are_drawn_evenly(void **state)
{
    enum { MANY = 4000 };
    int drawn[9] = {0};
    double *ones = malloc(MANY * 9 * sizeof *ones);
    ntk_data *data, *shifted;
    const double *v;

    (void)state;
    for (int i = 0; i < MANY * 9; i++)
        ones[i] = i % 9 == 4; /* 3 x 3 pixels with one in the middle */
    assert_ok(ctx, ntk_data_view(ctx, ones, NTK_F64, MANY, (ntk_shape){2, 3, 3, 1}, &data));
    assert_ok(ctx, ntk_data_shifted(data, 1, 3, 0, &shifted));
    v = ntk_data_x(shifted);
    for (int i = MANY; i < 3 * MANY; i++)
        for (int k = 0; k < 9; k++)
            drawn[k] += v[i * 9 + k] > 0;
    assert_int_equal(drawn[4], 0);
    for (int k = 0; k < 9; k++)
        assert_true(k == 4 || fabs(drawn[k] - MANY / 4.0) < 5 * sqrt(MANY / 4.0));
    ntk_data_free(data);
    ntk_data_free(shifted);
    free(ones);
}

static void shifts_repeat_targets_and_are_checked(void **state)
{
    ntk_data *data, *shifted, *vectors = images(x, N), *strip;
    ntk_fit_opts o = options(NTK_DIAG_REG_AUTO);
    ntk_net *net = parse("fc(depth=1)");
    ntk_model *model;
    int64_t outputs;
    double f[5 * N], b;
    const double *labels;

    (void)state;
    assert_ok(ctx, ntk_data_load(ctx, "digits/train", &LOAD_OPTS(.dtype = NTK_F32, .limit = N), &data));
    assert_int_equal(ntk_data_dtype(data), NTK_F32);
    assert_ok(ctx, ntk_data_shifted(data, 1, 5, 0, &shifted));
    assert_int_equal(ntk_data_dtype(shifted), NTK_F32);
    labels = ntk_data_y(shifted, &outputs);
    assert_int_equal(outputs, 1);
    for (int i = 0; i < 5 * N; i++)
        f[i] = labels[i] == ntk_data_y(data, NULL)[i % N] ? labels[i] : -1;
    for (int i = 0; i < 5 * N; i++)
        assert_true(f[i] >= 0);
    ntk_data_flatten(shifted);
    assert_fails(ctx, NTK_ENOTSUP, "shifted copies", ntk_model_fit(ctx, net, shifted, f, 1, &o, &model));
    o.diag_reg = 0.1;
    assert_ok(ctx, ntk_model_fit(ctx, net, shifted, f, 1, &o, &model));
    assert_fails(ctx, NTK_ENOTSUP, "shifted copies", ntk_model_leave_one_out(model, f, NULL));
    assert_fails(ctx, NTK_ENOTSUP, "shifted copies", ntk_model_ridges(model, 1, (double[]){0.1}, f, NULL));
    assert_ok(ctx, ntk_model_ridges(model, 1, (double[]){0.1}, NULL, &b));
    ntk_model_free(model);
    ntk_data_free(shifted);

    assert_fails(ctx, NTK_EINVAL, "shifts must be by 1 to 16 pixels", ntk_data_shifted(data, 0, 0, 0, &shifted));
    assert_fails(ctx, NTK_EINVAL, "less than the image has, got 8", ntk_data_shifted(data, 8, 0, 0, &shifted));
    assert_fails(ctx, NTK_EINVAL, "make 1 to 9 copies of a sample, got 10", ntk_data_shifted(data, 1, 10, 0, &shifted));
    ntk_data_free(vectors);
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &vectors));
    assert_fails(ctx, NTK_ESHAPE, "cannot be shifted", ntk_data_shifted(vectors, 1, 0, 0, &shifted));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){1, 1, D, 1}, &strip));
    assert_ok(ctx, ntk_data_shifted(strip, 2, 0, 0, &shifted));
    assert_int_equal(ntk_data_n(shifted), 5 * N);
    ntk_data_free(shifted);
    ntk_ctx_set_memory(ctx, 1 << 14);
    assert_fails(ctx, NTK_ENOMEM, "the data", ntk_data_shifted(strip, 2, 0, 0, &shifted));
    ntk_ctx_set_memory(ctx, 0);
    ntk_data_free(strip);
    ntk_data_free(vectors);
    ntk_data_free(data);
    ntk_net_free(net);
}

/* ---- what is refused */

static void nets_without_the_symmetry_are_refused(void **state)
{
    ntk_net *strided = parse("serial(Conv(8, (3, 3), strides=(2, 2)), Relu(), Flatten(), Dense(1))"), *dense = parse(DENSE);
    ntk_fit_opts o = options(0.1);
    ntk_data *data = images(x, N), *vectors = images(x, N), *strip;
    ntk_kernel *kernel;
    ntk_samples *prepared;
    ntk_params *params;
    ntk_model *model;
    const ntk_net *one = dense;
    double f[N * 64];

    (void)state;
    assert_fails(ctx, NTK_EINVAL, "NTK_FLIP, NTK_FLIP_ROWS and NTK_ROTATE only", ntk_data_set_symmetry(data, 8));
    assert_ok(ctx, ntk_data_set_symmetry(data, NTK_FLIP));
    assert_fails(ctx, NTK_EINVAL, "the net has no such symmetry (mirror images): between copies of samples",
                 ntk_model_fit(ctx, strided, data, y, C, &o, &model));
    assert_ok(ctx, ntk_kernel_new(ctx, &one, 1, NTK_NTK, NTK_F64, ntk_data_shape(data), &kernel));
    assert_ok(ctx, ntk_samples_new(kernel, data, NULL, &prepared));
    assert_fails(ctx, NTK_ENOTSUP, "take the data", ntk_samples_compute(kernel, prepared, NULL, (void *[]){f}));
    ntk_samples_free(prepared);
    ntk_kernel_free(kernel);
    assert_ok(ctx, ntk_params_new(ctx, dense, ntk_data_shape(data), NTK_F64, 1, &params));
    assert_fails(ctx, NTK_ENOTSUP, "give it the copies", ntk_params_apply(params, data, f));
    ntk_params_free(params);
    assert_ok(ctx, ntk_data_set_symmetry(data, 0));
    assert_int_equal(ntk_data_symmetry(data, NULL), 0);

    ntk_data_flatten(vectors);
    assert_int_equal(ntk_data_image(vectors).h, SIDE);
    assert_fails(ctx, NTK_ESHAPE, "are no images of 5 x 5 x 2", ntk_data_set_image(vectors, (ntk_shape){2, 5, 5, 2}));
    {
        ntk_shape same;

        memset(&same, 0xff, sizeof same); /* what is between its members does not count */
        same.spatial = 2;
        same.h = same.w = SIDE;
        same.c = CHANNELS;
        assert_ok(ctx, ntk_data_set_image(data, same));
    }
    assert_fails(ctx, NTK_ESHAPE, "have positions", ntk_data_set_image(data, (ntk_shape){2, 9, 4, 2}));
    assert_ok(ctx, ntk_data_set_image(vectors, (ntk_shape){2, 9, 4, 2}));
    assert_fails(ctx, NTK_EINVAL, "not square", ntk_data_set_symmetry(vectors, NTK_ROTATE));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){1, 1, SIDE, 1}, &strip));
    assert_fails(ctx, NTK_EINVAL, "which have no rows", ntk_data_set_symmetry(strip, NTK_FLIP_ROWS));
    ntk_data_free(strip);
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){2, SIDE, 1, 1}, &strip));
    assert_fails(ctx, NTK_EINVAL, "their own mirror images", ntk_data_set_symmetry(strip, NTK_FLIP));
    ntk_data_free(strip);
    ntk_data_free(vectors);
    ntk_data_free(data);
    ntk_net_free(strided);
    ntk_net_free(dense);
}

/* A kernel that has one symmetry is looked at again for another. */
static void each_symmetry_is_looked_at(void **state)
{
    ntk_net *net = parse("serial(Conv(8, (1, 3), padding='SAME'), Relu(), Flatten(), Dense(1))");
    const ntk_net *one = net;
    ntk_data *data = images(x, N);
    ntk_plan_opts o;
    ntk_kernel *kernel;
    ntk_plan *plan;
    double f[N * N];

    (void)state;
    assert_ok(ctx, ntk_kernel_new(ctx, &one, 1, NTK_NTK, NTK_F64, ntk_data_shape(data), &kernel));
    assert_ok(ctx, ntk_data_set_symmetry(data, NTK_FLIP));
    assert_ok(ctx, ntk_kernel_compute(kernel, data, NULL, (void *[]){f}));
    assert_ok(ctx, ntk_data_set_symmetry(data, NTK_ROTATE));
    assert_fails(ctx, NTK_EINVAL, "the net has no such symmetry (quarter turns)",
                 ntk_kernel_compute(kernel, data, NULL, (void *[]){f}));
    ntk_plan_opts_init(&o);
    o.x = data;
    assert_fails(ctx, NTK_ENOTSUP, "stand for their copies", ntk_plan_new(ctx, net, ntk_data_shape(data), NULL, &o, &plan));
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    ntk_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_sums_over_copies),
        cmocka_unit_test(tiles_are_put_together),
        cmocka_unit_test(fits_are_those_of_all_copies),
        cmocka_unit_test(all_solvers_fit_them),
        cmocka_unit_test(landmarks_fit_them),
        cmocka_unit_test(features_refuse_them),
        cmocka_unit_test(variances_are_of_means_over_copies),
        cmocka_unit_test(leave_one_out_leaves_copies_out),
        cmocka_unit_test(likelihood_is_of_means),
        cmocka_unit_test(dynamics_are_those_of_all_copies),
        cmocka_unit_test(refits_weights_and_several_nets),
        cmocka_unit_test(a_ridge_that_would_help_is_in_the_same_scale),
#ifdef NTK_HDF5
        cmocka_unit_test(models_and_stores_keep_it),
#endif
        cmocka_unit_test(shifted_copies),
        cmocka_unit_test(shifts_are_drawn_evenly),
        cmocka_unit_test(shifts_repeat_targets_and_are_checked),
        cmocka_unit_test(nets_without_the_symmetry_are_refused),
        cmocka_unit_test(each_symmetry_is_looked_at),
    };

    return cmocka_run_group_tests(tests, start, teardown);
}
