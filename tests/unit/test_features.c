/* SPDX-License-Identifier: MIT
 *
 * Random features: the expansion against the exact kernel, features against it in the mean and as their number grows, and
 * ridge regression on them against that with their kernel.
 */
#include "context.h"
#include "data/data.h"
#include "features/features.h"
#include "kernel/nets.h"

enum { C = 7, DEGREE = NTK_FEATURE_DEGREE };

static ntk_net *parse(const char *text)
{
    ntk_net *net = NULL;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    return net;
}

static ntk_data *view(const void *x, ntk_dtype dtype, int64_t n, int64_t c)
{
    ntk_data *data = NULL;

    assert_ok(ctx, ntk_data_view(ctx, x, dtype, n, (ntk_shape){0, 1, 1, c}, &data));
    return data;
}

static ntk_feature_map *make(const char *text, unsigned which, const ntk_data *like, int64_t count, uint64_t seed)
{
    ntk_net *net = parse(text);
    ntk_feature_map *map = NULL;

    assert_ok(ctx, ntk_feature_map_new(ctx, net, which, like, count, seed, &map));
    ntk_net_free(net);
    return map;
}

/* n samples [n][c] of normal numbers, of different norms. */
static double *samples(int64_t n, int64_t c, uint64_t seed)
{
    double *x = malloc((size_t)(n * c) * sizeof *x);

    for (int64_t i = 0; i < n * c; i++)
        x[i] = (0.5 + (double)(i / c % 5) / 4) * test_normal(&seed);
    return x;
}

static void exact_kernel(const char *text, unsigned which, const ntk_data *x, double *k)
{
    const ntk_net *net = parse(text);
    ntk_kernel *kernel = NULL;

    assert_ok(ctx, ntk_kernel_new(ctx, &net, 1, which, NTK_F64, ntk_data_shape(x), &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, x, NULL, (void *[]){k}));
    ntk_kernel_free(kernel);
    ntk_net_free((ntk_net *)(uintptr_t)net);
}

/* ---- the expansion */

static const char *const nets[] = {
    "serial(Dense(9, W_std=2**0.5), Relu(), Dense(9, W_std=2**0.5), Relu(), Dense(1))",
    "serial(Dense(9, W_std=1.5, b_std=0.3), Relu(), Dense(9, W_std=1.5, b_std=0.3), Relu(), Dense(1, b_std=0.1))",
    "serial(Dense(9, b_std=0.5), Erf(), Dense(9), Erf(), Dense(1))",
    "serial(Dense(9, b_std=0.5), Tanh(), Dense(9), Gelu(), Dense(9), Sin(), Dense(1))",
    "serial(Dense(9, b_std=0.2), LeakyRelu(0.2), Dense(9), LayerNorm(), Elementwise('sigmoid'), Dense(1))",
    "serial(Dense(9, b_std=0.2), FanOut(2), parallel(serial(Relu(), Dense(9)), Dense(9)), FanInSum(), Relu(), Dense(1))",
    "serial(Dense(9, b_std=0.2), Elu(), Dense(9), Sign(), Dense(9), Gaussian(), Dense(1))",
    "serial(Dense(9, b_std=0.2), FanOut(2), parallel(serial(Relu(), Dense(9)), serial(Erf(), Dense(9))), FanInProd(), Dense(1))",
    "serial(Dense(9), Polynomial((0.5, 1, 0.3)), Dense(9), Silu(), Dense(1))",
};
enum { NETS = sizeof nets / sizeof *nets };

/* sum_j A_j(q, q') rho^j of two mean squares against the library's kernel of two vectors that have them. */
static void check_expansion(const char *text, unsigned which)
{
    const double q[2] = {0.4, 2.5}, rho[] = {-1, -0.9, -0.3, 0, 0.1, 0.6, 0.95, 1};
    ntk_net *net = parse(text);
    const ntk_net *one = net;
    int outputs[2 * NTK_NETS_MAX], n;
    double a[(DEGREE + 1) * 4];
    struct ntk_graph g;

    ntk_graph_init(&g, ctx);
    assert_ok(ctx, ntk_nets_lower(&one, 1, which, (ntk_shape){0, 1, 1, 2}, &g, outputs, &n));
    assert_ok(ctx, ntk_expand_check(&g, outputs[0]));
    assert_ok(ctx, ntk_expand(&g, outputs[0], DEGREE, 2, q, a));
    for (size_t r = 0; r < sizeof rho / sizeof *rho; r++) {
        const double x[4] = {sqrt(2 * q[0]), 0, sqrt(2 * q[1]) * rho[r], sqrt(2 * q[1] * (1 - rho[r] * rho[r]))};
        ntk_data *data = view(x, NTK_F64, 2, 2);
        double k[4];

        exact_kernel(text, which, data, k);
        for (int e = 0; e < 4; e++) { /* both with themselves, at rho = 1 */
            double sum = 0;

            for (int j = DEGREE; j >= 0; j--)
                sum = sum * (e == 1 || e == 2 ? rho[r] : 1) + a[4 * j + e];
            assert_near(sum, k[e], 1e-2, sqrt(k[0] * k[3]));
            if (fabs(rho[r]) < 0.7)
                assert_near(sum, k[e], 2e-5, sqrt(k[0] * k[3]));
        }
        ntk_data_free(data);
    }
    ntk_graph_free(&g);
    ntk_net_free(net);
}

static void the_expansion_is_the_kernel(void **state)
{
    (void)state;
    for (int k = 0; k < NETS; k++) {
        check_expansion(nets[k], NTK_NTK);
        check_expansion(nets[k], NTK_NNGP);
    }
}

/* ---- features */

static double error_of(const char *text, unsigned which, const ntk_data *x, int64_t count, uint64_t seed)
{
    ntk_feature_map *map = make(text, which, x, count, seed);
    double error;

    assert_int_equal(ntk_feature_map_count(map), count);
    assert_ok(ctx, ntk_feature_map_error(map, x, 100, &error, NULL));
    ntk_feature_map_free(map);
    return error;
}

/* sqrt(16) = 4, but for degrees that are written out, and kinks, whose highest degrees are not there. */
static void the_error_falls_like_the_root_of_the_number(void **state)
{
    double *x = samples(100, C, 3);
    ntk_data *data = view(x, NTK_F64, 100, C);

    (void)state;
    for (int k = 0; k < 3; k++) {
        double few = 0, many = 0;

        for (uint64_t seed = 0; seed < 2; seed++) {
            few += error_of(nets[k], NTK_NTK, data, 500, seed) / 2;
            many += error_of(nets[k], NTK_NTK, data, 8000, seed) / 2;
        }
        assert_in_range((int)(100 * few / many), 260, 520);
        assert_true(many < 0.02);
    }
    ntk_data_free(data);
    free(x);
}

static void other_nets_have_features(void **state)
{
    double *x = samples(100, C, 4);
    ntk_data *data = view(x, NTK_F64, 100, C);

    (void)state;
    for (int k = 4; k < NETS; k++)
        assert_true(error_of(nets[k], k % 2 ? NTK_NTK : NTK_NNGP, data, 2000, 1) < 0.1);
    /* a linear net's kernel is exact */
    assert_true(error_of("serial(Dense(9, W_std=2, b_std=0.5), Dense(1))", NTK_NTK, data, 100, 1) < 1e-6);
    ntk_data_free(data);
    free(x);
}

/* Over seeds, Phi Phi' is K within its standard errors. */
static void features_are_unbiased(void **state)
{
    enum { N = 6, SEEDS = 100, COUNT = 64 };
    double *x = samples(N, C, 5), k[N * N], mean[N * N] = {0}, square[N * N] = {0};
    ntk_data *data = view(x, NTK_F64, N, C);
    const char *net = "serial(Dense(9, W_std=2**0.5), Relu(), Dense(9, W_std=2**0.5), Relu(), Dense(1))";

    (void)state;
    exact_kernel(net, NTK_NTK, data, k);
    for (int seed = 0; seed < SEEDS; seed++) {
        ntk_feature_map *map = make(net, NTK_NTK, data, COUNT, (uint64_t)seed);
        float phi[N * COUNT];

        assert_ok(ctx, ntk_feature_map_apply(map, data, phi));
        for (int i = 0; i < N * N; i++) {
            double sum = 0;

            for (int l = 0; l < COUNT; l++)
                sum += (double)phi[i / N * COUNT + l] * (double)phi[i % N * COUNT + l];
            mean[i] += sum / SEEDS;
            square[i] += sum * sum / SEEDS;
        }
        ntk_feature_map_free(map);
    }
    for (int i = 0; i < N * N; i++)
        assert_true(fabs(mean[i] - k[i]) < 4.5 * sqrt((square[i] - mean[i] * mean[i]) / SEEDS) + 1e-4 * k[i]);
    ntk_data_free(data);
    free(x);
}

/* Whatever the threads, the other samples, the type, and where a sample stands. */
static void features_are_of_the_sample_alone(void **state)
{
    enum { N = 300, COUNT = 700 };
    double *x = samples(N, C, 6);
    float *narrow = malloc(N * C * sizeof *narrow);
    float *phi = malloc(N * COUNT * sizeof *phi), *other = malloc(N * COUNT * sizeof *other);
    ntk_data *wide, *data, *part;

    (void)state;
    for (int i = 0; i < N * C; i++) {
        narrow[i] = (float)x[i];
        x[i] = (double)narrow[i];
    }
    memset(x + 17 * C, 0, C * sizeof *x);
    memset(narrow + 17 * C, 0, C * sizeof *narrow);
    wide = view(x, NTK_F64, N, C);
    data = view(narrow, NTK_F32, N, C);
    part = view(narrow + 37 * C, NTK_F32, 150, C);
    for (int k = 0; k < 2; k++) {
        ntk_feature_map *map, *again;

        assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
        map = make(nets[k], NTK_NTK, wide, COUNT, 9);
        assert_ok(ctx, ntk_feature_map_apply(map, wide, phi));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
        again = make(nets[k], NTK_NTK, data, COUNT, 9);
        assert_ok(ctx, ntk_feature_map_apply(again, data, other));
        assert_memory_equal(phi, other, N * COUNT * sizeof *phi);
        assert_ok(ctx, ntk_feature_map_apply(map, part, other));
        assert_memory_equal(phi + 37 * COUNT, other, 150 * COUNT * sizeof *phi);
        ntk_feature_map_free(map);
        ntk_feature_map_free(again);
    }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    ntk_data_free(wide);
    ntk_data_free(data);
    ntk_data_free(part);
    free(x);
    free(narrow);
    free(phi);
    free(other);
}

/* Samples of 0 and of very different sizes, where the net is not homogeneous. */
static void sizes_of_samples(void **state)
{
    double x[5 * 2] = {0, 0, 0.2, 0.1, 3, -1, -0.3, 0, 40, 30}, worst;
    ntk_data *data = view(x, NTK_F64, 5, 2), *far;
    ntk_feature_map *map = make(nets[1], NTK_NTK, data, 20000, 1);
    float phi[20000];

    (void)state;
    assert_ok(ctx, ntk_feature_map_error(map, data, 10, NULL, &worst));
    assert_true(worst < 0.05);
    x[0] = 1e5;
    far = view(x, NTK_F64, 1, 2);
    assert_fails(ctx, NTK_EINVAL, "sample 0 has the mean square 5e+09", ntk_feature_map_apply(map, far, phi));
    ntk_feature_map_free(map);
    ntk_data_free(far);
    ntk_data_free(data);
}

static void refused(const char *text, ntk_shape shape, int64_t count, ntk_status status, const char *why)
{
    static const double x[64] = {1};
    ntk_net *net = parse(text);
    ntk_feature_map *map = NULL;
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 1, shape, &data));
    assert_fails(ctx, status, why, ntk_feature_map_new(ctx, net, NTK_NTK, data, count, 1, &map));
    assert_null(map);
    ntk_data_free(data);
    ntk_net_free(net);
}

static void what_has_no_features_is_refused(void **state)
{
    const ntk_shape image = {2, 4, 4, 1}, vector = {0, 1, 1, 16};

    (void)state;
    refused("serial(Conv(3, (3, 3)), Relu(), Flatten(), Dense(1))", image, 100, NTK_ENOTSUP, "Conv: works on positions");
    refused("serial(Dense(3), Relu(), Dropout(0.5), Dense(1))", vector, 100, NTK_ENOTSUP,
            "Dropout: two equal samples differ from one with itself");
    refused("fc(depth=1)", image, 100, NTK_ESHAPE, "flatten the samples");
    refused("fc(depth=1)", vector, 0, NTK_EINVAL, "the number of features must be 1 to 1000000, got 0");
    refused("Identity()", vector, 100, NTK_ETHEORY, "kernel is 0 everywhere");
}

/* ---- ridge regression */

enum { N = 900, COUNT = 120, OUTPUTS = 2 };
static double targets[N * OUTPUTS];

static ntk_feature_ridge *regression(const ntk_feature_map *map, const double *x, int hold_out, int64_t batch)
{
    ntk_feature_ridge *r = NULL;

    assert_ok(ctx, ntk_feature_ridge_new(map, OUTPUTS, hold_out, &r));
    for (int64_t i = 0; i < N; i += batch) {
        const int64_t n = N - i < batch ? N - i : batch;
        ntk_data *data = view(x + i * C, NTK_F64, n, C);

        assert_ok(ctx, ntk_feature_ridge_add(r, data, targets + i * OUTPUTS));
        ntk_data_free(data);
    }
    assert_int_equal(ntk_feature_ridge_n(r), N);
    return r;
}

/* x = A^-1 x of a positive definite A [n][n], by Gauss' elimination: [n][OUTPUTS]. */
static void eliminate(int n, double *a, double *x)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++) {
            const double factor = i == k ? 0 : a[i * n + k] / a[k * n + k];

            for (int j = k; factor != 0 && j < n; j++)
                a[i * n + j] -= factor * a[k * n + j];
            for (int c = 0; c < OUTPUTS; c++)
                x[i * OUTPUTS + c] -= factor * x[k * OUTPUTS + c];
        }
    for (int i = 0; i < n * OUTPUTS; i++)
        x[i] /= a[i / OUTPUTS * n + i / OUTPUTS];
}

/* f = Phi Phi' (Phi Phi' + ridge)^-1 y of kernel ridge regression with the same features. */
static void dual_predictions(const float *phi, double diag_reg, double *f)
{
    double *k = malloc(N * N * sizeof *k), *whole = malloc(N * N * sizeof *k), *c = malloc(sizeof targets), mean = 0;

    memcpy(c, targets, sizeof targets);
    for (int i = 0; i < N * N; i++) {
        k[i] = 0;
        for (int l = 0; l < COUNT; l++)
            k[i] += (double)phi[i / N * COUNT + l] * (double)phi[i % N * COUNT + l];
        mean += i / N == i % N ? k[i] / N : 0;
    }
    memcpy(whole, k, N * N * sizeof *k);
    for (int i = 0; i < N; i++)
        k[i * N + i] += diag_reg * mean;
    eliminate(N, k, c);
    for (int i = 0; i < N * OUTPUTS; i++) {
        f[i] = 0;
        for (int j = 0; j < N; j++)
            f[i] += whole[i / OUTPUTS * N + j] * c[j * OUTPUTS + i % OUTPUTS];
    }
    free(k);
    free(whole);
    free(c);
}

static void ridge_regression_is_that_of_the_kernel(void **state)
{
    double *x = samples(N, C, 8), *want = malloc(sizeof targets), *f = malloc(sizeof targets), coef[COUNT * OUTPUTS], used;
    float *phi = malloc(N * COUNT * sizeof *phi);
    ntk_data *data = view(x, NTK_F64, N, C);
    ntk_feature_map *map = make(nets[0], NTK_NTK, data, COUNT, 2);
    ntk_feature_ridge *r = regression(map, x, 0, N);

    (void)state;
    assert_ok(ctx, ntk_feature_map_apply(map, data, phi));
    dual_predictions(phi, 1e-3, want);
    assert_ok(ctx, ntk_feature_ridge_solve(r, 1e-3, 0, coef, &used));
    assert_true(used == 1e-3);
    assert_ok(ctx, ntk_feature_map_predict(map, data, OUTPUTS, coef, f));
    for (int i = 0; i < N * OUTPUTS; i++)
        assert_near(f[i], want[i], 1e-8, 1);
    assert_fails(ctx, NTK_EINVAL, "diag_reg must be finite and >= 0, got -1", ntk_feature_ridge_solve(r, -1, 0, coef, NULL));
    assert_fails(ctx, NTK_EINVAL, "no samples are held out", ntk_feature_ridge_solve(r, NTK_DIAG_REG_AUTO, 0, coef, NULL));
    ntk_feature_ridge_free(r);
    ntk_feature_map_free(map);
    ntk_data_free(data);
    free(x);
    free(want);
    free(f);
    free(phi);
}

static void batches_and_threads_change_nothing(void **state)
{
    double *x = samples(N, C, 8), want[COUNT * OUTPUTS], coef[COUNT * OUTPUTS];
    ntk_data *data = view(x, NTK_F64, N, C);
    ntk_feature_map *map = make(nets[0], NTK_NTK, data, COUNT, 2);

    (void)state;
    for (int64_t batch = N; batch > 0; batch = batch == N ? 512 : batch == 512 ? 77 : 0) {
        ntk_feature_ridge *r;

        assert_ok(ctx, ntk_ctx_set_threads(ctx, batch == 77 ? 3 : 1));
        r = regression(map, x, 1, batch);
        assert_ok(ctx, ntk_feature_ridge_solve(r, 1e-6, 0, coef, NULL));
        if (batch == N)
            memcpy(want, coef, sizeof want);
        assert_memory_equal(coef, want, sizeof want);
        ntk_feature_ridge_free(r);
    }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    ntk_feature_map_free(map);
    ntk_data_free(data);
    free(x);
}

static bool is_held(uint64_t i) { return i % 10 == ntk_mix64(i / 10 + 1) % 10; }

/* One of ten. The error on them, from sums, is that of predictions for them by a fit to the others. */
static void samples_are_held_out(void **state)
{
    const double ridges[] = {1e-1, 1e-3, 1e-5};
    double *x = samples(N, C, 8), mse[3], all[NTK_RIDGES], grid[NTK_RIDGES], coef[COUNT * OUTPUTS], used, sum = 0;
    double *kept = malloc(N * C * sizeof *x), *y = malloc(sizeof targets), *f = malloc(sizeof targets);
    ntk_data *data = view(x, NTK_F64, N, C), *others;
    ntk_feature_map *map = make(nets[0], NTK_NTK, data, COUNT, 2);
    ntk_feature_ridge *r = regression(map, x, 1, 100), *own;
    int64_t n = 0, held = 0;

    (void)state;
    assert_ok(ctx, ntk_feature_ridge_hold_out(r, 3, ridges, 0, mse));
    for (int64_t i = 0; i < N; i++)
        if (!is_held((uint64_t)i)) {
            memcpy(kept + n * C, x + i * C, C * sizeof *x);
            memcpy(y + n++ * OUTPUTS, targets + i * OUTPUTS, OUTPUTS * sizeof *y);
        }
    others = view(kept, NTK_F64, n, C);
    assert_ok(ctx, ntk_feature_ridge_new(map, OUTPUTS, 0, &own));
    assert_ok(ctx, ntk_feature_ridge_add(own, others, y));
    assert_ok(ctx, ntk_feature_ridge_solve(own, ridges[1], 0, coef, NULL));
    assert_ok(ctx, ntk_feature_map_predict(map, data, OUTPUTS, coef, f));
    for (int64_t i = 0; i < N; i++)
        for (int c = 0; c < OUTPUTS && is_held((uint64_t)i); c++, held++)
            sum += (f[i * OUTPUTS + c] - targets[i * OUTPUTS + c]) * (f[i * OUTPUTS + c] - targets[i * OUTPUTS + c]);
    assert_int_equal(held, 2 * N / 10);
    assert_near(mse[1], sum / (double)held, 1e-6, 1e-3);
    ntk_ridge_grid(grid);
    assert_ok(ctx, ntk_feature_ridge_hold_out(r, NTK_RIDGES, grid, 0, all));
    assert_ok(ctx, ntk_feature_ridge_solve(r, NTK_DIAG_REG_AUTO, 0, coef, &used));
    for (int k = 0; k < NTK_RIDGES; k++)
        for (int l = 0; l < NTK_RIDGES; l++)
            assert_true(grid[l] != used || all[l] <= all[k] * (1 + 1e-6));
    ntk_feature_ridge_free(own);
    ntk_feature_ridge_free(r);
    ntk_feature_map_free(map);
    ntk_data_free(others);
    ntk_data_free(data);
    free(x);
    free(kept);
    free(y);
    free(f);
}

/* An error that is no number is none that is least. */
static void errors_that_overflow_are_infinite(void **state)
{
    double *x = samples(N, C, 8), mse[NTK_RIDGES], grid[NTK_RIDGES], coef[COUNT * OUTPUTS], *y = malloc(sizeof targets);
    ntk_data *data = view(x, NTK_F64, N, C);
    ntk_feature_map *map = make(nets[0], NTK_NTK, data, COUNT, 2);
    ntk_feature_ridge *r;

    (void)state;
    for (int i = 0; i < N * OUTPUTS; i++)
        y[i] = 1e200 * targets[i];
    assert_ok(ctx, ntk_feature_ridge_new(map, OUTPUTS, 1, &r));
    assert_ok(ctx, ntk_feature_ridge_add(r, data, y));
    ntk_ridge_grid(grid);
    assert_ok(ctx, ntk_feature_ridge_hold_out(r, NTK_RIDGES, grid, 0, mse));
    for (int k = 0; k < NTK_RIDGES; k++)
        assert_true(isinf(mse[k]) && mse[k] > 0);
    assert_fails(ctx, NTK_ENUMERIC, "no ridge", ntk_feature_ridge_solve(r, NTK_DIAG_REG_AUTO, 0, coef, NULL));
    ntk_feature_ridge_free(r);
    ntk_feature_map_free(map);
    ntk_data_free(data);
    free(x);
    free(y);
}

static int setup_targets(void **state)
{
    double *x = samples(N, C, 8);
    uint64_t seed = 11;

    for (int i = 0; i < N; i++) {
        targets[i * OUTPUTS] = sin(x[i * C] + x[i * C + 1]) + 0.1 * test_normal(&seed);
        targets[i * OUTPUTS + 1] = x[i * C + 2] * x[i * C + 3] + 0.1 * test_normal(&seed);
    }
    free(x);
    return setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_expansion_is_the_kernel),
        cmocka_unit_test(the_error_falls_like_the_root_of_the_number),
        cmocka_unit_test(other_nets_have_features),
        cmocka_unit_test(features_are_unbiased),
        cmocka_unit_test(features_are_of_the_sample_alone),
        cmocka_unit_test(sizes_of_samples),
        cmocka_unit_test(what_has_no_features_is_refused),
        cmocka_unit_test(ridge_regression_is_that_of_the_kernel),
        cmocka_unit_test(batches_and_threads_change_nothing),
        cmocka_unit_test(samples_are_held_out),
        cmocka_unit_test(errors_that_overflow_are_infinite),
    };

    return cmocka_run_group_tests(tests, setup_targets, teardown);
}
