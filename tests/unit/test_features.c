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

static void the_error_falls_like_the_root_of_the_number(void **state)
{
    double *x = samples(100, C, 3);
    ntk_data *data = view(x, NTK_F64, 100, C);

    (void)state;
    for (int k = 0; k < NETS; k++)
        for (unsigned which = NTK_NNGP; which <= NTK_NTK; which++) {
            double few = 0, many = 0;

            for (uint64_t seed = 0; seed < 4; seed++) {
                few += error_of(nets[k], which, data, 500, seed) / 4;
                many += error_of(nets[k], which, data, 8000, seed) / 4;
            }
            printf("net %d which %u: %.2e %.2e ratio %.2f\n", k, which, few, many, few / many);
        }
    ntk_data_free(data);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_expansion_is_the_kernel),
        cmocka_unit_test(the_error_falls_like_the_root_of_the_number),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
