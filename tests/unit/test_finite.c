/* SPDX-License-Identifier: MIT
 *
 * test_finite.c - finite networks: derivatives against differences and each other, empirical
 * kernels against explicit derivatives, means over networks against the infinite kernels, training.
 */
#include <unistd.h>

#include "language/net.h"
#include "context.h"

#define SAMPLES 3

struct net_case {
    const char *net;
    ntk_shape shape;
};

#define VECTOR     \
    {              \
        0, 1, 1, 5 \
    }
#define SEQUENCE   \
    {              \
        1, 1, 6, 3 \
    }
#define IMAGE      \
    {              \
        2, 5, 4, 2 \
    }

/* Every layer with a finite form is in some of these. */
static const struct net_case cases[] = {
    {"serial(Dense(7, W_std=1.3, b_std=0.4), Tanh(), Dense(3))", VECTOR},
    {"serial(Dense(7, 1.3, 0.4), LeakyRelu(0.2), Dense(6, trainable=False), Erf(), Dense(2, "
     "b_std=1))",
     VECTOR},
    {"serial(Dense(4, 1.3, 0.4, trainable=False), Relu(), Dense(2))", VECTOR},
    {"serial(Dense(5, 1.2, 0.3, parameterization='standard', s=(1, 2)), Gelu(), "
     "Dense(2, 1.1, parameterization='standard', s=(2, 1)))",
     VECTOR},
    {"serial(Dense(6), LayerNorm(), Silu(), Dropout(0.5, mode='test'), Dense(2))", VECTOR},
    {"serial(Dense(6), residual(Tanh(), Dense(6, b_std=0.2)), FanOut(2), parallel(Dense(4), "
     "serial(Sigmoid(), Dense(4))), FanInProd(), Dense(2))",
     VECTOR},
    {"serial(FanOut(3), parallel(Dense(3), Identity(), serial(Dense(2), Softplus())), "
     "FanInConcat(), Dense(2))",
     VECTOR},
    {"serial(Conv(3, (3,), padding='SAME', b_std=0.2), Tanh(), Conv(4, (2,), strides=(2,)), "
     "Gelu(), "
     "Flatten(), Dense(2))",
     SEQUENCE},
    {"serial(Conv(3, (3, 3), padding='SAME', W_std=1.4, b_std=0.2), Tanh(), AvgPool((2, 2)), "
     "Conv(4, (2, 2), (2, 1), 'CIRCULAR'), Sin(), GlobalAvgPool(), Dense(2))",
     IMAGE},
    {"serial(Conv(3, (3, 2), (2, 2), 'SAME', parameterization='standard', b_std=0.1), Tanh(), "
     "SumPool((2, 1), padding='CIRCULAR'), Conv(5, (1, 2)), LayerNorm((1, 2, 3)), Rbf(), "
     "GlobalSumPool(), "
     "Dense(2))",
     IMAGE},
    {"serial(Conv(2, (3, 3), padding='SAME'), Erf(), AvgPool((3, 3), (2, 2), 'SAME', True), "
     "LayerNorm((-1, 1)), "
     "Dense(3), Tanh(), Flatten(), Dense(2))",
     IMAGE},
    {"serial(Conv(40, (5, 4)), Tanh(), Conv(30, (1, 1)), Tanh(), Flatten(), Dense(2, b_std=1))",
     IMAGE},
    {"serial(Conv(40, (4, 3)), Tanh(), Conv(40, (2, 2), padding='SAME', b_std=0.3), Tanh(), "
     "Flatten(), "
     "Dense(2, b_std=1))",
     IMAGE},
    {"serial(Conv(19, (3, 3), padding='SAME', b_std=0.2), Relu(), Conv(21, (3, 3), (2, 2), 'SAME', "
     "b_std=0.1), Relu(), Conv(17, (2, 2), padding='SAME'), Relu(), GlobalAvgPool(), Dense(3))",
     IMAGE},
};
static const int n_cases = sizeof cases / sizeof *cases;

static double *random_numbers(int64_t n, uint64_t seed)
{
    double *x = malloc((size_t)n * sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = test_normal(&seed);
    return x;
}

/* A network of one case with samples. */
struct fixture {
    ntk_net *net;
    ntk_params *p;
    ntk_data *x;
    double *numbers;
    int64_t count, outputs, all; /* all = SAMPLES * outputs */
};

static struct fixture start(const struct net_case *c, ntk_dtype dtype)
{
    struct fixture f = {0};

    f.numbers = random_numbers(SAMPLES * c->shape.h * c->shape.w * c->shape.c, 7);
    assert_ok(ctx, ntk_net_parse(ctx, c->net, &f.net));
    assert_ok(ctx, ntk_data_view(ctx, f.numbers, NTK_F64, SAMPLES, c->shape, &f.x));
    assert_ok(ctx, ntk_params_new(ctx, f.net, c->shape, dtype, 11, &f.p));
    f.count = ntk_params_count(f.p);
    f.outputs = ntk_params_outputs(f.p);
    f.all = SAMPLES * f.outputs;
    return f;
}

static void stop(struct fixture *f)
{
    ntk_params_free(f->p);
    ntk_data_free(f->x);
    ntk_net_free(f->net);
    free(f->numbers);
}

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void tangents_are_differences(void **state)
{

    (void)state;
    for (int k = 0; k < n_cases; k++) {
        struct fixture f = start(&cases[k], NTK_F64);
        const double step = 1e-5;
        double *v = random_numbers(f.count, 3), *theta = ntk_params_theta(f.p);
        double out[3][SAMPLES * 8];
        const ntk_param_array *arrays;
        const size_t n = ntk_params_arrays(f.p, &arrays);

        for (size_t a = 0; a < n; a++)
            for (int64_t i = 0; i < arrays[a].size && !arrays[a].trainable; i++)
                v[arrays[a].offset + i] = 0;
        assert_ok(ctx, ntk_params_jvp(f.p, f.x, v, NULL, out[0]));
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < f.count; i++)
                theta[i] += (side ? -2 : 1) * step * v[i];
            assert_ok(ctx, ntk_params_apply(f.p, f.x, out[1 + side]));
        }
        for (int64_t i = 0; i < f.all; i++)
            assert_near((out[1][i] - out[2][i]) / (2 * step), out[0][i], 1e-6, 1);
        free(v);
        stop(&f);
    }
}

static void cotangents_are_transposed_tangents(void **state)
{

    (void)state;
    for (int k = 0; k < n_cases; k++) {
        struct fixture f = start(&cases[k], NTK_F64);
        double *v = random_numbers(f.count, 3), *u = random_numbers(f.all, 4);
        double *g = malloc((size_t)f.count * sizeof *g), df[SAMPLES * 8], value[SAMPLES * 8];

        assert_ok(ctx, ntk_params_set_multiplier(f.p, 0.7));
        assert_ok(ctx, ntk_params_jvp(f.p, f.x, v, value, df));
        assert_ok(ctx, ntk_params_vjp(f.p, f.x, u, g));
        assert_near(dot(f.count, g, v), dot(f.all, u, df), 1e-12, 1);
        free(v);
        free(u);
        free(g);
        stop(&f);
    }
}

/* J [all][count] of double: rows from single cotangents. */
static double *jacobian(const struct fixture *f)
{
    double *J = malloc((size_t)(f->all * f->count) * sizeof *J);
    double *u = calloc((size_t)f->all, sizeof *u);

    assert_true(J && u);
    for (int64_t i = 0; i < f->all; i++) {
        u[i] = 1;
        assert_ok(ctx, ntk_params_vjp(f->p, f->x, u, J + i * f->count));
        u[i] = 0;
    }
    free(u);
    return J;
}

static void compare_kernels(const struct fixture *f, const double *J, const ntk_data *x2,
                            int64_t n2)
{
    const int64_t c = f->outputs;
    double full[SAMPLES * SAMPLES * 64], diagonal[SAMPLES * SAMPLES * 8], trace[SAMPLES * SAMPLES];
    double scale = 0;

    assert_ok(ctx, ntk_params_kernel(f->p, NTK_NTK, NTK_FULL, f->x, x2, full));
    assert_ok(ctx, ntk_params_kernel(f->p, NTK_NTK, NTK_DIAGONAL, f->x, x2, diagonal));
    assert_ok(ctx, ntk_params_kernel(f->p, NTK_NTK, NTK_TRACE, f->x, x2, trace));
    for (int64_t i = 0; i < f->all; i++)
        scale = fmax(scale, dot(f->count, J + i * f->count, J + i * f->count));
    for (int64_t i = 0; i < SAMPLES; i++)
        for (int64_t j = 0; j < n2; j++) {
            double mean = 0;

            for (int64_t o = 0; o < c * c; o++) {
                const double want =
                    dot(f->count, J + (i * c + o / c) * f->count, J + (j * c + o % c) * f->count);

                assert_near(full[(i * n2 + j) * c * c + o], want, 1e-12, scale);
                if (o / c == o % c)
                    assert_near(diagonal[(i * n2 + j) * c + o / c], want, 1e-12, scale);
                mean += o / c == o % c ? want / (double)c : 0;
            }
            assert_near(trace[i * n2 + j], mean, 1e-12, scale);
        }
}

static void kernels_are_products_of_derivatives(void **state)
{

    (void)state;
    for (int k = 0; k < n_cases; k++) {
        struct fixture f = start(&cases[k], NTK_F64);
        double *J = jacobian(&f);
        ntk_data *two;

        assert_ok(ctx, ntk_data_slice(f.x, 0, 2, &two));
        compare_kernels(&f, J, NULL, SAMPLES);
        compare_kernels(&f, J, two, 2);
        ntk_data_free(two);
        free(J);
        stop(&f);
    }
}

static void product_and_largest_eigenvalue(void **state)
{
    struct fixture f = start(&cases[0], NTK_F64);
    const int64_t c = f.outputs;
    double full[SAMPLES * SAMPLES * 64], *v = random_numbers(f.all, 5), out[SAMPLES * 8],
                                         w[SAMPLES * 8];
    double lambda, norm = 0;

    (void)state;
    assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_FULL, f.x, NULL, full));
    assert_ok(ctx, ntk_params_ntk_product(f.p, f.x, NULL, v, out));
    for (int64_t i = 0; i < f.all; i++) {
        double want = 0;

        for (int64_t j = 0; j < f.all; j++)
            want += full[((i / c * SAMPLES + j / c) * c + i % c) * c + j % c] * v[j];
        assert_near(out[i], want, 1e-12, 1);
    }
    assert_ok(ctx, ntk_params_lambda_max(f.p, f.x, &lambda));
    for (int step = 0; step < 3000; step++) { /* power iteration */
        assert_ok(ctx, ntk_params_ntk_product(f.p, f.x, NULL, v, w));
        norm = sqrt(dot(f.all, w, w));
        for (int64_t i = 0; i < f.all; i++)
            v[i] = w[i] / norm;
    }
    assert_near(lambda, norm, 1e-6, 1);
    free(v);
    stop(&f);
}

static void float32_is_float64_rounded(void **state)
{

    (void)state;
    for (int k = 0; k < n_cases; k++) {
        struct fixture a = start(&cases[k], NTK_F32), b = start(&cases[k], NTK_F64);
        float f32[SAMPLES * 8], k32[SAMPLES * SAMPLES];
        double f64[SAMPLES * 8], k64[SAMPLES * SAMPLES];

        assert_ok(ctx, ntk_params_apply(a.p, a.x, f32));
        assert_ok(ctx, ntk_params_apply(b.p, b.x, f64));
        for (int64_t i = 0; i < a.all; i++)
            assert_near((double)f32[i], f64[i], 1e-5, 1);
        assert_ok(ctx, ntk_params_kernel(a.p, NTK_NTK, NTK_TRACE, a.x, NULL, k32));
        assert_ok(ctx, ntk_params_kernel(b.p, NTK_NTK, NTK_TRACE, b.x, NULL, k64));
        for (int i = 0; i < SAMPLES * SAMPLES; i++)
            assert_near((double)k32[i], k64[i], 1e-5, k64[0]);
        stop(&a);
        stop(&b);
    }
}

static void threads_do_not_change_bits(void **state)
{

    (void)state;
    for (int k = 0; k < n_cases; k++) {
        struct fixture f = start(&cases[k], NTK_F32);
        float *g[2], kernel[2][SAMPLES * SAMPLES], u[SAMPLES * 8];

        for (int64_t i = 0; i < f.all; i++)
            u[i] = (float)i - 1;
        for (int t = 0; t < 2; t++) {
            g[t] = malloc((size_t)f.count * sizeof **g);
            assert_ok(ctx, ntk_ctx_set_threads(ctx, t ? 3 : 1));
            assert_ok(ctx, ntk_params_vjp(f.p, f.x, u, g[t]));
            assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_TRACE, f.x, NULL, kernel[t]));
        }
        assert_memory_equal(g[0], g[1], (size_t)f.count * sizeof **g);
        assert_memory_equal(kernel[0], kernel[1], sizeof *kernel);
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 2));
        free(g[0]);
        free(g[1]);
        stop(&f);
    }
}

/* Derivatives that are made some rows of the weights at a time, as they do not fit at once. */
static void rows_at_a_time_do_not_depend_on_threads(void **state)
{
    static const struct net_case net = {
        "serial(Conv(32, (3, 3), padding='SAME'), Relu(), Conv(32, (3, 3), padding='SAME', b_std=0.1), "
        "Flatten(), Dense(8))",
        {2, 8, 8, 1}};
    enum { ROWS = 120, COLUMNS = 2 };
    struct fixture f = start(&net, NTK_F64);
    const int64_t entries = ROWS * COLUMNS * f.outputs * f.outputs;
    double *x = random_numbers((ROWS + COLUMNS) * 64, 9), *k[2];
    ntk_data *x1, *x2;

    (void)state;
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, ROWS, net.shape, &x1));
    assert_ok(ctx, ntk_data_view(ctx, x + ROWS * 64, NTK_F64, COLUMNS, net.shape, &x2));
    for (int t = 0; t < 2; t++) {
        k[t] = random_numbers(entries, 1);
        assert_ok(ctx, ntk_ctx_set_threads(ctx, t ? 3 : 1));
        assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_FULL, x1, x2, k[t]));
    }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 2));
    assert_memory_equal(k[0], k[1], (size_t)entries * sizeof **k);
    for (int t = 0; t < 2; t++)
        free(k[t]);
    ntk_data_free(x1);
    ntk_data_free(x2);
    free(x);
    stop(&f);
}

static void every_layer_has_a_finite_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ntk_n_layers; i++) {
        bool used = false;

        if (!ntk_layers[i]->finite)
            fail_msg("%s has no finite form", ntk_layers[i]->base.name);
        for (int k = 0; k < n_cases; k++)
            used = used || test_calls(cases[k].net, ntk_layers[i]->base.name) ||
                   (strstr(cases[k].net, "residual") &&
                    strcmp(ntk_layers[i]->base.name, "FanInSum") == 0);
        if (!used)
            fail_msg("no net of test_finite.c has %s", ntk_layers[i]->base.name);
    }
}

static void dropout_says_so(void **state)
{
    ntk_params *p;
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(3), Relu(), Dropout(0.5), Dense(1))", &net));
    assert_fails(ctx, NTK_ENOTSUP, "Dropout: has no finite form in mode 'train'",
                 ntk_params_new(ctx, net, (ntk_shape)VECTOR, NTK_F64, 1, &p));
    ntk_net_free(net);
}

/* Means over networks are the infinite kernels: all of NTK parameterization for wide nets. */
static void means_are_infinite_kernels(void **state)
{
    static const struct net_case wide[] = {
        {"serial(Dense(512, 1.3, 0.4), Relu(), Dense(512, 1.3, 0.2), Erf(), Dense(1, 1, 0.5))",
         VECTOR},
        {"serial(Dense(512, 1.3, 0.4, parameterization='standard', s=(1, 512)), Relu(), "
         "Dense(1, 1.2, 0.1, parameterization='standard', s=(512, 1)))",
         VECTOR},
        {"serial(Conv(128, (3, 3), padding='SAME', W_std=1.4, b_std=0.1), Relu(), AvgPool((2, 2)), "
         "Conv(128, (2, 2)), Relu(), GlobalAvgPool(), Dense(1))",
         IMAGE},
        {"serial(Dense(512), Relu(), Dense(512), LayerNorm(), Gelu(), Dense(512, trainable=False), "
         "Relu(), "
         "Dense(1))",
         VECTOR},
    };

    (void)state;
    for (size_t k = 0; k < sizeof wide / sizeof *wide; k++) {
        struct fixture f = start(&wide[k], NTK_F32);
        double want[SAMPLES * SAMPLES], mean[SAMPLES * SAMPLES], error[SAMPLES * SAMPLES];
        const ntk_net *nets[] = {f.net};
        void *out[] = {want};
        ntk_kernel *kernel;

        assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, wide[k].shape, &kernel));
        assert_ok(ctx, ntk_kernel_compute(kernel, f.x, NULL, out));
        assert_ok(ctx,
                  ntk_monte_carlo(ctx, f.net, NTK_NTK, f.x, NULL, NTK_F32, 0, 100, 1, mean, error));
        for (int i = 0; i < SAMPLES * SAMPLES; i++) /* finite widths bias by O(1 / width) */
            if (fabs(mean[i] - want[i]) > 4 * error[i] + 4 * want[0] / 512)
                fail_msg("net %zu, entry %d: %g +- %g, wanted %g", k, i, mean[i], error[i],
                         want[i]);
        ntk_kernel_free(kernel);
        stop(&f);
    }
}

/* Estimates of neighbouring seeds scatter by their standard error: no two have a network in common. */
static void estimates_of_seeds_are_independent(void **state)
{
    enum { SEEDS = 20, NETWORKS = 50, ENTRIES = SAMPLES * SAMPLES };
    struct fixture f = start(&(struct net_case){"serial(Dense(32), Relu(), Dense(1))", VECTOR}, NTK_F64);
    double mean[SEEDS][ENTRIES], error[ENTRIES], said = 0, found = 0, half[2][ENTRIES];

    (void)state;
    for (int s = 0; s < SEEDS; s++) {
        assert_ok(ctx, ntk_monte_carlo(ctx, f.net, NTK_NTK, f.x, NULL, NTK_F64, 0, NETWORKS,
                                       (uint64_t)s, mean[s], error));
        for (int i = 0; i < ENTRIES; i++)
            said += error[i] * error[i] / SEEDS;
    }
    for (int i = 0; i < ENTRIES; i++) {
        double centre = 0;

        for (int s = 0; s < SEEDS; s++)
            centre += mean[s][i] / SEEDS;
        for (int s = 0; s < SEEDS; s++)
            found += pow(mean[s][i] - centre, 2) / (SEEDS - 1);
    }
    if (found < 0.5 * said || found > 2 * said) /* chi squared of at least 19 degrees, over 19: 0.47 to 1.73 */
        fail_msg("estimates scatter by %g, standard errors say %g", sqrt(found), sqrt(said));

    for (int k = 0; k < 2; k++)
        assert_ok(ctx, ntk_monte_carlo(ctx, f.net, NTK_NTK, f.x, NULL, NTK_F64, 25 * k, 25, 7, half[k],
                                       NULL));
    for (int i = 0; i < ENTRIES; i++)
        assert_true(fabs((half[0][i] + half[1][i]) / 2 - mean[7][i]) < 1e-13);
    stop(&f);
}

/* Passes of several blocks (the first net needs 2 MiB a sample), of several tiles, on threads that
 * share the work: the same as sample by sample, and bit by bit the same on one thread. */
static void blocks_and_threads(void **state)
{
    static const struct net_case large[] = {
        {"serial(Dense(60000), Relu(), Dense(1, b_std=1))", VECTOR},
        {"serial(Conv(24, (3, 3), padding='SAME', b_std=0.2), Relu(), AvgPool((2, 2)), Conv(16, "
         "(2, "
         "2)), Tanh(), Flatten(), Dense(3))",
         IMAGE},
        {"serial(Dense(300, b_std=0.3), Erf(), Dense(280), LayerNorm(), Relu(), Dense(2))", VECTOR},
    };
    const int n[] = {300, 280, 600};

    (void)state;
    for (int k = 0; k < 3; k++) {
        const ntk_shape s = large[k].shape;
        const int64_t size = s.h * s.w * s.c;
        struct fixture f = start(&large[k], NTK_F64);
        double *x = random_numbers(n[k] * size, 9);
        double *out[2], *g[2], *K[2], *u = random_numbers(n[k] * f.outputs, 5);
        ntk_data *all, *one;

        assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, n[k], s, &all));
        for (int t = 0; t < 2; t++) {
            out[t] = random_numbers(n[k] * f.outputs, 1);
            g[t] = random_numbers(f.count, 1);
            K[t] = random_numbers(n[k] * n[k], 1);
            assert_ok(ctx, ntk_ctx_set_threads(ctx, t ? 3 : 1));
            assert_ok(ctx, ntk_params_apply(f.p, all, out[t]));
            assert_ok(ctx, ntk_params_vjp(f.p, all, u, g[t]));
            assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_TRACE, all, NULL, K[t]));
        }
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 2));
        assert_memory_equal(out[0], out[1], (size_t)(n[k] * f.outputs) * sizeof **out);
        assert_memory_equal(g[0], g[1], (size_t)f.count * sizeof **g);
        assert_memory_equal(K[0], K[1], (size_t)(n[k] * n[k]) * sizeof **K);
        for (int i = 0; i < n[k]; i += 37) { /* sample i alone, and its row of the kernel */
            double value[8], row[600];

            assert_ok(ctx, ntk_data_slice(all, i, 1, &one));
            assert_ok(ctx, ntk_params_apply(f.p, one, value));
            assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_TRACE, one, all, row));
            for (int64_t o = 0; o < f.outputs; o++)
                assert_near(out[0][i * f.outputs + o], value[o], 1e-12, 1);
            for (int j = 0; j < n[k]; j++)
                assert_near(K[0][i * n[k] + j], row[j], 1e-12, row[i]);
            ntk_data_free(one);
        }
        for (int t = 0; t < 2; t++) {
            free(out[t]);
            free(g[t]);
            free(K[t]);
        }
        ntk_data_free(all);
        free(x);
        free(u);
        stop(&f);
    }
}

static void nngp_is_products_of_outputs(void **state)
{
    struct fixture f = start(&cases[1], NTK_F64);
    const int64_t c = f.outputs;
    double out[SAMPLES * 8], full[SAMPLES * SAMPLES * 64], diagonal[SAMPLES * SAMPLES * 8];
    double trace[SAMPLES * SAMPLES];

    (void)state;
    assert_ok(ctx, ntk_params_apply(f.p, f.x, out));
    assert_ok(ctx, ntk_params_kernel(f.p, NTK_NNGP, NTK_FULL, f.x, NULL, full));
    assert_ok(ctx, ntk_params_kernel(f.p, NTK_NNGP, NTK_DIAGONAL, f.x, f.x, diagonal));
    assert_ok(ctx, ntk_params_kernel(f.p, NTK_NNGP, NTK_TRACE, f.x, NULL, trace));
    for (int64_t e = 0; e < SAMPLES * SAMPLES; e++) {
        const double *a = out + e / SAMPLES * c, *b = out + e % SAMPLES * c;

        for (int64_t o = 0; o < c * c; o++)
            assert_near(full[e * c * c + o], a[o / c] * b[o % c], 1e-14, 1);
        for (int64_t o = 0; o < c; o++)
            assert_near(diagonal[e * c + o], a[o] * b[o], 1e-14, 1);
        assert_near(trace[e], dot(c, a, b) / (double)c, 1e-14, 1);
    }
    stop(&f);
}

static void values_end_with_the_output(void **state)
{
    struct fixture f = start(&cases[0], NTK_F64);
    double hidden[2][SAMPLES * 7], out[SAMPLES * 3], want[SAMPLES * 3];
    void *const to[] = {hidden[0], hidden[1], out};
    int64_t sizes[3];
    size_t n;

    (void)state;
    assert_ok(ctx, ntk_params_values(f.p, f.x, &n, sizes, NULL));
    assert_int_equal(n, 3);
    assert_true(sizes[0] == 7 && sizes[1] == 7 && sizes[2] == 3);
    assert_ok(ctx, ntk_params_values(f.p, f.x, &n, NULL, to));
    assert_ok(ctx, ntk_params_apply(f.p, f.x, want));
    assert_memory_equal(out, want, sizeof out);
    for (int i = 0; i < SAMPLES * 7; i++)
        assert_near(hidden[1][i], tanh(hidden[0][i]), 1e-14, 1);
    stop(&f);
}

static void bad_arguments_are_refused(void **state)
{
    struct fixture f = start(&cases[0], NTK_F64);
    double big[5] = {1e308, 1e308, 1e308, 1e308, 1e308}, out[SAMPLES * SAMPLES];
    double *theta = ntk_params_theta(f.p);
    ntk_data *other, *huge;
    void *const values[] = {out, out, out};
    size_t n_values = 77;

    (void)state;
    assert_ok(ctx, ntk_data_view(ctx, f.numbers, NTK_F64, 1, (ntk_shape){0, 1, 1, 4}, &other));
    assert_fails(ctx, NTK_ESHAPE, "got 4", ntk_params_values(f.p, other, &n_values, NULL, values));
    assert_int_equal(n_values, 77); /* untouched */
    assert_fails(ctx, NTK_ESHAPE, "takes samples of 5, got 4", ntk_params_apply(f.p, other, out));
    assert_fails(ctx, NTK_EINVAL, "multiplier must be positive, got 0",
                 ntk_params_set_multiplier(f.p, 0));
    assert_fails(ctx, NTK_EINVAL, "which must be",
                 ntk_params_kernel(f.p, NTK_NTK | NTK_NNGP, NTK_TRACE, f.x, NULL, out));
    assert_fails(
        ctx, NTK_EINVAL, "at least 2 for standard errors, got 1",
        ntk_monte_carlo(ctx, f.net, NTK_NTK, f.x, NULL, NTK_F64, 0, 1, 1, out, out + SAMPLES));
    assert_ok(ctx, ntk_data_view(ctx, big, NTK_F64, 1, (ntk_shape)VECTOR, &huge));
    for (int i = 0; i < 35; i++)
        theta[i] = 1e10;
    theta[f.count - 1] = (double)INFINITY;
    assert_fails(ctx, NTK_ENUMERIC, "outputs of samples 0 to 0 are not finite",
                 ntk_params_apply(f.p, huge, out));
    ntk_data_free(other);
    ntk_data_free(huge);
    stop(&f);
}

/* Whatever goes out: with the multiplier, and what is linear in something that is given. */
static void numbers_that_go_out_are_finite(void **state)
{
    struct fixture f = start(&cases[0], NTK_F64);
    const int64_t n = f.all;
    double *given = malloc((size_t)(f.count + n) * sizeof *given), *out = malloc((size_t)n * sizeof *out);
    double *df = malloc((size_t)n * sizeof *df);

    (void)state;
    for (int64_t i = 0; i < f.count + n; i++)
        given[i] = 1.7e308;
    assert_fails(ctx, NTK_ENUMERIC, "derivatives of samples", ntk_params_jvp(f.p, f.x, given, NULL, df));
    assert_fails(ctx, NTK_ENUMERIC, "the gradient is not finite",
                 ntk_params_vjp(f.p, f.x, given, given + n));
    for (int64_t i = 0; i < f.count + n; i++)
        given[i] = 1.7e308;
    assert_fails(ctx, NTK_ENUMERIC, "not finite", ntk_params_linearized(f.p, f.x, given, out));
    assert_fails(ctx, NTK_ENUMERIC, "not finite", ntk_params_ntk_product(f.p, f.x, NULL, given, out));
    assert_ok(ctx, ntk_params_set_multiplier(f.p, 1.7e308));
    for (int64_t i = 0; i < f.count; i++)
        ((double *)ntk_params_theta(f.p))[i] = 3;
    assert_fails(ctx, NTK_ENUMERIC, "outputs of samples", ntk_params_apply(f.p, f.x, out));
    free(given);
    free(out);
    free(df);
    stop(&f);
}

/* ---- training */

static void small_steps_are_gradient_flow(void **state)
{
    const struct net_case linear = {"serial(Dense(2, b_std=0.5))", VECTOR}; /* Theta is constant */
    struct fixture f = start(&linear, NTK_F64);
    const double y[SAMPLES * 2] = {1, 0, 0, 1, 1, 1};
    double f0[SAMPLES * 2], f1[SAMPLES * 2], k[SAMPLES * SAMPLES], g[SAMPLES * 2];
    ntk_train_opts opts;
    ntk_train *train;

    (void)state;
    ntk_train_opts_init(&opts);
    opts.learning_rate = 1e-5;
    assert_ok(ctx, ntk_params_apply(f.p, f.x, f0));
    assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_TRACE, f.x, NULL, k));
    assert_ok(ctx, ntk_train_new(f.p, f.x, y, &opts, &train));
    assert_ok(ctx, ntk_train_run(train, 20000, NULL));
    assert_ok(ctx, ntk_params_apply(f.p, f.x, f1));
    for (int step = 0; step < 200000; step++) /* df/dt = - Theta (f - y) by Euler's method */
        for (int i = 0; i < SAMPLES * 2; i++) {
            if (i == 0)
                for (int j = 0; j < SAMPLES * 2; j++)
                    g[j] = f0[j] - y[j];
            for (int j = 0; j < SAMPLES; j++)
                f0[i] -= 1e-6 * k[i / 2 * SAMPLES + j] * g[j * 2 + i % 2];
        }
    for (int i = 0; i < SAMPLES * 2; i++)
        assert_near(f1[i], f0[i], 1e-4, 1);
    ntk_train_free(train);
    stop(&f);
}

static void run_with_checkpoint(int64_t at, const char *path, ntk_loss loss, float *theta)
{
    struct fixture f = start(&cases[0], NTK_F32);
    const double y[SAMPLES * 3] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    ntk_train_opts opts;
    ntk_train *train;

    ntk_train_opts_init(&opts);
    opts.loss = loss;
    opts.momentum = 0.5;
    opts.batch = 2;
    opts.seed = 3;
    assert_ok(ctx, ntk_train_new(f.p, f.x, y, &opts, &train));
    assert_ok(ctx, ntk_train_run(train, at, NULL));
    if (at < 20) {
        assert_ok(ctx, ntk_train_save(train, path));
        ntk_train_free(train);
        stop(&f);
        f = start(&cases[0], NTK_F32);
        assert_ok(ctx, ntk_train_new(f.p, f.x, y, &opts, &train));
        assert_ok(ctx, ntk_train_load(train, path));
        assert_int_equal(ntk_train_step(train), at);
        assert_ok(ctx, ntk_train_run(train, 20 - at, NULL));
    }
    memcpy(theta, ntk_params_theta(f.p), (size_t)f.count * sizeof *theta);
    ntk_train_free(train);
    stop(&f);
}

static void checkpoints_resume_bitwise(void **state)
{
    const char *path = "test_finite_checkpoint.h5";

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    for (int loss = 0; loss < 2; loss++) {
        float whole[200], resumed[200];

        memset(whole, 0, sizeof whole);
        memset(resumed, 0, sizeof resumed);
        run_with_checkpoint(20, path, (ntk_loss)loss, whole);
        run_with_checkpoint(7, path, (ntk_loss)loss, resumed);
        assert_memory_equal(whole, resumed, sizeof whole);
    }
    unlink(path);
}

static void divergence_is_named_and_not_saved(void **state)
{
    struct fixture f = start(&cases[0], NTK_F64);
    const double y[SAMPLES * 3] = {1};
    double *theta = ntk_params_theta(f.p), loss = -7;
    ntk_train_opts opts;
    ntk_train *train;

    (void)state;
    ntk_train_opts_init(&opts);
    opts.learning_rate = 50;
    assert_ok(ctx, ntk_train_new(f.p, f.x, y, &opts, &train));
    assert_fails(ctx, NTK_ENUMERIC, "training diverged: the loss is",
                 ntk_train_run(train, 1000, &loss));
    assert_true(loss == -7); /* untouched */
    theta[3] = (double)NAN;
    if (strstr(ntk_features(), "hdf5")) {
        assert_fails(ctx, NTK_ENUMERIC, "not finite", ntk_train_save(train, "test_finite_nan.h5"));
        assert_int_not_equal(access("test_finite_nan.h5", F_OK), 0);
    }
    ntk_train_free(train);
    opts.learning_rate = -1;
    assert_fails(ctx, NTK_EINVAL, "learning_rate must be positive",
                 ntk_train_new(f.p, f.x, y, &opts, &train));
    stop(&f);
}

static void files_bring_parameters_back(void **state)
{
    const char *path = "test_finite_params.h5";

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    for (int k = 0; k < n_cases; k++) {
        struct fixture f = start(&cases[k], k % 2 ? NTK_F32 : NTK_F64);
        ntk_params *back;

        assert_ok(ctx, ntk_params_set_multiplier(f.p, 0.25));
        assert_ok(ctx, ntk_params_save(f.p, path));
        assert_ok(ctx, ntk_params_load(ctx, path, &back));
        assert_int_equal(ntk_params_count(back), f.count);
        assert_true(ntk_params_multiplier(back) == 0.25);
        assert_memory_equal(ntk_params_theta(back), ntk_params_theta(f.p),
                            (size_t)f.count * ntk_params_dtype(f.p));
        ntk_params_free(back);
        stop(&f);
    }
    unlink(path);
}

static void linearized_is_first_order(void **state)
{
    struct fixture f = start(&cases[0], NTK_F64);
    double *theta = random_numbers(f.count, 8), lin[SAMPLES * 3], value[SAMPLES * 3], *own;
    ntk_params *moved;

    (void)state;
    own = ntk_params_theta(f.p);
    for (int64_t i = 0; i < f.count; i++)
        theta[i] = own[i] + 1e-5 * theta[i];
    assert_ok(ctx, ntk_params_linearized(f.p, f.x, theta, lin));
    assert_ok(ctx, ntk_params_copy(f.p, &moved));
    memcpy(ntk_params_theta(moved), theta, (size_t)f.count * sizeof *theta);
    assert_ok(ctx, ntk_params_apply(moved, f.x, value));
    for (int64_t i = 0; i < f.all; i++)
        assert_near(lin[i], value[i], 1e-8, 1);
    ntk_params_free(moved);
    free(theta);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tangents_are_differences),
        cmocka_unit_test(cotangents_are_transposed_tangents),
        cmocka_unit_test(kernels_are_products_of_derivatives),
        cmocka_unit_test(product_and_largest_eigenvalue),
        cmocka_unit_test(float32_is_float64_rounded),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(rows_at_a_time_do_not_depend_on_threads),
        cmocka_unit_test(every_layer_has_a_finite_form),
        cmocka_unit_test(dropout_says_so),
        cmocka_unit_test(means_are_infinite_kernels),
        cmocka_unit_test(estimates_of_seeds_are_independent),
        cmocka_unit_test(blocks_and_threads),
        cmocka_unit_test(nngp_is_products_of_outputs),
        cmocka_unit_test(values_end_with_the_output),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(numbers_that_go_out_are_finite),
        cmocka_unit_test(small_steps_are_gradient_flow),
        cmocka_unit_test(checkpoints_resume_bitwise),
        cmocka_unit_test(divergence_is_named_and_not_saved),
        cmocka_unit_test(files_bring_parameters_back),
        cmocka_unit_test(linearized_is_first_order),
    };

    return cmocka_run_group_tests_name("finite", tests, setup, teardown);
}
