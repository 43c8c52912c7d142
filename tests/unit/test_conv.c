/* SPDX-License-Identifier: MIT
 *
 * test_conv.c - kernels of nets with positions.
 */
#include "language/net.h"
#include "context.h"
#include "golden.h"

#define SAMPLES 4

struct conv_case {
    const char *net;
    ntk_shape shape;
    double *x;       /* [SAMPLES][h][w][c] */
    double *want[2]; /* NNGP, NTK: [SAMPLES][SAMPLES] */
    int n;           /* numbers in x */
};

static struct conv_case read_case(const cJSON *item)
{
    struct conv_case c = {.net = golden_text(item, "net")};
    int n;
    double *shape = golden_numbers(cJSON_GetObjectItem(item, "x_shape"), &n);

    c.shape = n == 4 ? (ntk_shape){2, (int64_t)shape[1], (int64_t)shape[2], (int64_t)shape[3]}
                     : (ntk_shape){1, 1, (int64_t)shape[1], (int64_t)shape[2]};
    free(shape);
    c.x = golden_numbers(cJSON_GetObjectItem(item, "x"), &c.n);
    c.want[0] = golden_numbers(cJSON_GetObjectItem(item, "nngp"), &n);
    assert_int_equal(n, SAMPLES * SAMPLES);
    c.want[1] = golden_numbers(cJSON_GetObjectItem(item, "ntk"), &n);
    assert_int_equal(n, SAMPLES * SAMPLES);
    return c;
}

static void free_case(struct conv_case *c)
{
    free(c->x);
    free(c->want[0]);
    free(c->want[1]);
}

/* Samples 0 and 2 are equal, 3 is almost the same: there correlations near 1 lose up to half of the
 * digits in activations with a kink, whatever computes them from covariances. */
static bool nearly_equal(int i, int j) { return i != j && (i == 3 || j == 3) && i != 1 && j != 1; }

/* Largest errors relative to the largest entry: of ordinary entries, and of nearly equal samples. */
static void compare(const double *got, const double *want, double worst[2])
{
    double scale = 0;

    for (int i = 0; i < SAMPLES * SAMPLES; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int i = 0; i < SAMPLES * SAMPLES; i++) {
        double *w = &worst[nearly_equal(i / SAMPLES, i % SAMPLES)];

        *w = fmax(*w, fabs(got[i] - want[i]) / (scale > 0 ? scale : 1));
    }
}

/* Of both kernels. two: as the kernel between two sets. */
static void error_of(const struct conv_case *c, ntk_dtype dtype, bool two, double worst[2])
{
    double got[2][SAMPLES * SAMPLES];
    float single[2][SAMPLES * SAMPLES];
    void *out[] = {dtype == NTK_F64 ? (void *)got[0] : (void *)single[0],
                   dtype == NTK_F64 ? (void *)got[1] : (void *)single[1]};
    double *copy = malloc((size_t)c->n * sizeof *copy);
    const ntk_net *nets[1];
    ntk_data *x, *y;
    ntk_kernel *k;
    ntk_net *net;

    assert_non_null(copy);
    memcpy(copy, c->x, (size_t)c->n * sizeof *copy);
    assert_ok(ctx, ntk_net_parse(ctx, c->net, &net));
    nets[0] = net;
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, dtype, c->shape, &k));
    assert_ok(ctx, ntk_data_view(ctx, c->x, NTK_F64, SAMPLES, c->shape, &x));
    assert_ok(ctx, ntk_data_view(ctx, copy, NTK_F64, SAMPLES, c->shape, &y));
    assert_ok(ctx, ntk_kernel_compute(k, x, two ? y : NULL, out));
    for (int m = 0; m < 2; m++) {
        for (int i = 0; dtype == NTK_F32 && i < SAMPLES * SAMPLES; i++)
            got[m][i] = (double)single[m][i];
        compare(got[m], c->want[m], worst);
    }
    ntk_data_free(x);
    ntk_data_free(y);
    ntk_kernel_free(k);
    ntk_net_free(net);
    free(copy);
}

/* Brute force (tests/golden/conv.py); between two sets Dropout sees no sample with itself. Of almost equal samples
 * float32 loses as many digits as rounding happens to take, at most what docs/images.md says; the mean says
 * more: 2e-6. */
static void golden(void **state)
{
    double near = 0;
    int cases = 0;
    cJSON *json = golden_read("conv.json");
    const cJSON *item;
    int bad = 0;

    (void)state;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "nets"))
    {
        struct conv_case c = read_case(item);

        for (int two = 0; two < 2; two++) {
            double e64[2] = {0}, e32[2] = {0};

            if (two && strstr(c.net, "Dropout"))
                continue;
            error_of(&c, NTK_F64, two, e64);
            error_of(&c, NTK_F32, two, e32);
            if (!(e64[0] < 2e-14) || !(e64[1] < 2e-9) || !(e32[0] < 1e-6) || !(e32[1] < 3e-4)) {
                print_message("%.1e %.1e, %.1e %.1e %s %s\n", e64[0], e64[1], e32[0], e32[1],
                              two ? "(two sets)" : "", c.net);
                bad++;
            }
            near += log(fmax(e32[1], 1e-17));
            cases++;
        }
        free_case(&c);
    }
    cJSON_Delete(json);
    assert_int_equal(bad, 0);
    assert_true(exp(near / cases) < 3e-6);
}

/* ------------------------------------------------------------------ properties */

static const ntk_shape image = {2, 9, 7, 3};
#define IMAGE (9 * 7 * 3)

static void random_images(float *x, int n, uint64_t seed)
{
    for (int i = 0; i < n * IMAGE; i++)
        x[i] = (float)test_normal(&seed);
}

/* NNGP and NTK of n images in float32 or float64, [2][n][n] of float64. */
static double *kernel_of(const char *text, ntk_dtype dtype, const float *x, int n)
{
    const size_t entries = (size_t)n * (size_t)n;
    double *wide = malloc(2 * entries * sizeof *wide);
    float *narrow = malloc(2 * entries * sizeof *narrow);
    void *out[] = {dtype == NTK_F64 ? (void *)wide : narrow,
                   dtype == NTK_F64 ? (void *)(wide + entries) : narrow + entries};
    const ntk_net *nets[1];
    ntk_kernel *k;
    ntk_data *data;
    ntk_net *net;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    nets[0] = net;
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, dtype, image, &k));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F32, n, image, &data));
    assert_ok(ctx, ntk_kernel_compute(k, data, NULL, out));
    for (size_t i = 0; dtype == NTK_F32 && i < 2 * entries; i++)
        wide[i] = (double)narrow[i];
    ntk_data_free(data);
    ntk_kernel_free(k);
    ntk_net_free(net);
    free(narrow);
    return wide;
}

#define C3 "Conv(1, (3, 3), padding='SAME', W_std=2**0.5, b_std=0.1)"
static const char *const nets[] = {
    "cntk(depth=4)",
    "cntk(depth=4, pool='gap')",
    "serial(" C3 ", Relu(), AvgPool((2, 2), strides=(2, 2)), " C3 ", Relu(), GlobalAvgPool(), Dense(1))",
    "serial(" C3 ", Gelu(), AvgPool((2, 2)), " C3 ", LeakyRelu(0.2), Flatten(), Dense(1))",
    "serial(Conv(1, (3, 3), padding='CIRCULAR'), Relu(), " C3 ", Relu(), GlobalAvgPool(), Dense(1))",
    "wide_resnet_group(2, 1, 2)",
};
#define NETS (sizeof nets / sizeof *nets)

/* A preset without a read-out gets one. */
static const char *whole_net(size_t i, char *text, size_t size)
{
    if (strncmp(nets[i], "wide", 4) == 0)
        snprintf(text, size, "serial(" C3 ", %s, GlobalAvgPool(), Dense(1))", nets[i]);
    else
        snprintf(text, size, "%s", nets[i]);
    return text;
}

static void threads_do_not_matter(void **state)
{
    enum { n = 21 };
    float x[n * IMAGE];
    char text[400];

    (void)state;
    random_images(x, n, 3);
    for (size_t i = 0; i < NETS; i++) {
        double *k[3];

        for (int t = 0; t < 3; t++) {
            assert_ok(ctx, ntk_ctx_set_threads(ctx, 1 << t));
            k[t] = kernel_of(whole_net(i, text, sizeof text), NTK_F32, x, n);
        }
        assert_memory_equal(k[0], k[1], 2 * n * n * sizeof(double));
        assert_memory_equal(k[0], k[2], 2 * n * n * sizeof(double));
        for (int t = 0; t < 3; t++)
            free(k[t]);
    }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
}

/* Every instruction set against float64 of the plainest. */
static void instruction_sets_agree(void **state)
{
    enum { n = 11 };
    float x[n * IMAGE];
    char text[400], names[100], *name, *rest = NULL;

    (void)state;
    random_images(x, n, 4);
    for (size_t i = 0; i < NETS; i++) {
        double *want;

        whole_net(i, text, sizeof text);
        assert_ok(ctx, ntk_ctx_set_isa(ctx, "baseline"));
        want = kernel_of(text, NTK_F64, x, n);
        snprintf(names, sizeof names, "%s", ntk_isa_available());
        for (name = strtok_r(names, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
            assert_ok(ctx, ntk_ctx_set_isa(ctx, name));
            for (int type = 0; type < 2; type++) {
                double *got = kernel_of(text, type ? NTK_F64 : NTK_F32, x, n);

                for (int e = 0; e < 2 * n * n; e++)
                    assert_near(got[e], want[e], type ? 1e-13 : 1e-6, want[e / (n * n) * n * n]);
                free(got);
            }
        }
        free(want);
    }
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
}

/* K(x, x) in float32 at depth 21, for a sample with itself and with its copies, against float64. */
static void equal_samples_are_exact(void **state)
{
    enum { n = 5 };
    static const char *const deep[] = {"cntk(depth=21)", "cntk(depth=21, pool='gap')"};
    float x[n * IMAGE];

    (void)state;
    random_images(x, n, 5);
    memcpy(x + 3 * IMAGE, x, IMAGE * sizeof *x); /* 3 is 0 */
    for (size_t i = 0; i < 2; i++) {
        double *narrow = kernel_of(deep[i], NTK_F32, x, n), *wide = kernel_of(deep[i], NTK_F64, x, n);

        for (int m = 0; m < 2; m++) {
            const double *a = narrow + m * n * n, *b = wide + m * n * n;

            for (int k = 0; k < n; k++)
                assert_near(a[k * n + k], b[k * n + k], 2e-6, 0.0);
            assert_near(a[3], a[0], i == 0 ? 0 : 1e-6, 0.0);
            assert_near(b[3], b[0], 1e-13, 0.0);
        }
        free(narrow);
        free(wide);
    }
}

/* All depths of both columns of the published table in one kernel are what each is alone. */
static void nets_share_their_work(void **state)
{
    enum { n = 6, many = 4 };
    static const char *const texts[many] = {"cntk(depth=3)", "cntk(depth=5, pool='gap')",
                                            "cntk(depth=5, pool='gap', frozen_ends=False)",
                                            "cntk(depth=4, pool='gap')"};
    float x[n * IMAGE], got[many][n * n];
    void *out[many];
    ntk_net *parsed[many];
    ntk_data *data;
    ntk_kernel *k;

    (void)state;
    random_images(x, n, 6);
    for (int i = 0; i < many; i++) {
        assert_ok(ctx, ntk_net_parse(ctx, texts[i], &parsed[i]));
        out[i] = got[i];
    }
    assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *const *)parsed, many, NTK_NTK, NTK_F32, image,
                                  &k));
    assert_true(ntk_kernel_positions(k) < 1.8 * 4 * 63 * 63); /* depth 5 alone has 4 layers of 63^2 */
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F32, n, image, &data));
    assert_ok(ctx, ntk_kernel_compute(k, data, NULL, out));
    for (int i = 0; i < many; i++) {
        double *alone = kernel_of(texts[i], NTK_F32, x, n) ;

        for (int e = 0; e < n * n; e++)
            assert_near((double)got[i][e], alone[n * n + e], 3e-7, 0.0);
        free(alone);
        ntk_net_free(parsed[i]);
    }
    ntk_data_free(data);
    ntk_kernel_free(k);
}

/* Fitted and asked together, models are what each is alone. */
static void models_share_their_work(void **state)
{
    enum { n = 12, m = 5, many = 3 };
    static const char *const texts[many] = {"cntk(depth=3)", "cntk(depth=4)",
                                            "cntk(depth=3, pool='gap')"};
    float x[(n + m) * IMAGE];
    double y[n], got[many][m], *mean[many], alone[m];
    ntk_model *models[many], *one;
    ntk_data *train, *test;
    ntk_net *parsed[many], *large;
    ntk_fit_opts o;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Conv(1, (99, 99)), Flatten(), Dense(1))", &large));
    random_images(x, n + m, 8);
    ntk_fit_opts_init(&o);
    for (int i = 0; i < n; i++)
        y[i] = i % 3 - 1;
    for (int i = 0; i < many; i++) {
        assert_ok(ctx, ntk_net_parse(ctx, texts[i], &parsed[i]));
        mean[i] = got[i];
    }
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F32, n, image, &train));
    assert_ok(ctx, ntk_data_view(ctx, x + n * IMAGE, NTK_F32, m, image, &test));
    assert_ok(ctx, ntk_models_fit(ctx, (const ntk_net *const *)parsed, many, train, y, 1, &o, models));
    assert_ok(ctx, ntk_models_predict(models, many, test, mean));
    {
        ntk_model *untouched[2] = {models[1], models[0]};
        const ntk_net *const second_fails[] = {parsed[0], large};

        assert_fails(ctx, NTK_ESHAPE, "", ntk_models_fit(ctx, second_fails, 2, train, y, 1, &o, untouched));
        assert_true(untouched[0] == models[1] && untouched[1] == models[0]);
        ntk_net_free(large);
    }
    for (int i = 0; i < many; i++) {
        assert_ok(ctx, ntk_model_fit(ctx, parsed[i], train, y, 1, &o, &one));
        assert_ok(ctx, ntk_model_predict(one, test, alone, NULL));
        for (int k = 0; k < m; k++)
            assert_near(got[i][k], alone[k], 1e-12, 1.0);
        ntk_model_free(one);
        ntk_model_free(models[i]);
        ntk_net_free(parsed[i]);
    }
    ntk_data_free(train);
    ntk_data_free(test);
}

static int identity_rows(int64_t i0, int64_t ni, void *k, void *user)
{
    const int64_t n = *(const int64_t *)user;

    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = i0; j < n; j++)
            ((float *)k)[i * (n - i0) + j - i0] = i0 + i == j ? 2 : j == i0 + i + 1 ? 1 : 0;
    return 0;
}

/* A tridiagonal matrix, whose solution is known, in blocks that do not divide it, and in one that is larger. A block
 * counts as memory. */
static void a_given_matrix_is_solved(void **state)
{
    const int64_t blocks[] = {5, INT64_MAX};
    int64_t n = 23;
    double y[23], alpha[23];

    (void)state;
    for (int i = 0; i < n; i++) /* K (1, 1, ..., 1) */
        y[i] = i == 0 || i == n - 1 ? 3 : 4;
    for (int k = 0; k < 2; k++) {
        memset(alpha, 0, sizeof alpha);
        assert_ok(ctx, ntk_kernel_solve(ctx, n, NTK_F32, blocks[k], identity_rows, &n, y, 1, 0, alpha));
        for (int i = 0; i < n; i++)
            assert_near(alpha[i], 1, 1e-13, 0.0);
    }
    ntk_ctx_set_memory(ctx, 3000);
    assert_ok(ctx, ntk_kernel_solve(ctx, n, NTK_F32, 1, identity_rows, &n, y, 1, 0, alpha));
    assert_fails(ctx, NTK_ENOMEM, "samples needs",
                 ntk_kernel_solve(ctx, n, NTK_F32, n, identity_rows, &n, y, 1, 0, alpha));
    ntk_ctx_set_memory(ctx, 0);
}

/* ------------------------------------------------------------------ bad input */

static void refused(const char *text, ntk_shape shape, ntk_status status, const char *part)
{
    const ntk_net *one[1];
    ntk_kernel *k = NULL;
    ntk_net *net;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    one[0] = net;
    assert_fails(ctx, status, part, ntk_kernel_new(ctx, one, 1, NTK_NTK, NTK_F64, shape, &k));
    ntk_net_free(net);
}

static void what_does_not_fit_is_said(void **state)
{
    const ntk_shape vector = {0, 1, 1, 5}, sequence = {1, 1, 9, 2};
    ntk_net *net;

    (void)state;
    refused("serial(Conv(1, (3, 3)), Flatten())", vector, NTK_ESHAPE,
            "Conv: needs samples with positions, [w][c] or [h][w][c], its input is a vector of 5");
    refused("serial(Conv(1, (3, 3)), Flatten())", sequence, NTK_ESHAPE,
            "Conv: filter_shape has 2 numbers, the input (9 x 2) has 1 spatial axis");
    refused("serial(Conv(1, (10, 3)), Flatten())", image, NTK_ESHAPE,
            "Conv: filter_shape of 10 does not fit the input's 9 rows");
    refused("serial(AvgPool((2, 2), (2,)), Flatten())", image, NTK_ESHAPE,
            "AvgPool: strides has 1 number");
    refused("serial(Conv(1, (3, 3)), Relu())", image, NTK_ETHEORY, "end with Flatten()");
    refused("serial(Conv(1, (3, 3)), Relu(), AvgPool((2, 2)), Relu(), Flatten())", image, NTK_ETHEORY,
            "an activation needs an affine layer (Dense, Conv) before it");
    refused("serial(Conv(1, (3, 3)), residual(AvgPool((3, 3), padding='SAME')), Flatten())", image,
            NTK_ETHEORY, "parallel branches 1 and 2 carry the same random field");
    refused("serial(FanOut(2), parallel(Conv(1, (3, 3)), Conv(1, (2, 2))), FanInSum(), Flatten())",
            image, NTK_ESHAPE, "branches 1 and 2 have different shapes: 7 x 5 x 1 and 8 x 6 x 1");
    refused("serial(Conv(1, (3, 3)), LayerNorm(axis=1), Flatten())", image, NTK_ETHEORY,
            "axis must have the channels");
    refused("serial(GlobalAvgPool(), GlobalAvgPool())", image, NTK_ESHAPE, "needs samples with positions");
    assert_fails(ctx, NTK_EPARSE, "padding must be one of 'VALID', 'SAME', 'CIRCULAR', got 'FULL'",
                 ntk_net_parse(ctx, "Conv(1, (3, 3), padding='FULL')", &net));
    assert_fails(ctx, NTK_EPARSE, "argument 'filter_shape' is missing",
                 ntk_net_parse(ctx, "Conv(1)", &net));
    assert_fails(ctx, NTK_ETHEORY, "MaxPool: has no infinite-width kernel",
                 ntk_net_parse(ctx, "MaxPool((2, 2))", &net));
}

/* What reads the samples' own positions in two ways at once: as a vector, and as sums of other kinds. */
static void images_are_read_in_several_ways(void **state)
{
    static const char *const pairs[][2] = {
        {"Flatten()", "GlobalAvgPool()"},
        {"serial(Flatten(), Dense(1))", "serial(GlobalAvgPool(), Dense(1))"},
        {"serial(Flatten(), Dense(1))", "serial(AvgPool((2, 2)), Flatten(), Dense(1))"},
        {"serial(FanOut(2), parallel(serial(Flatten(), Dense(1)), serial(GlobalAvgPool(), Dense(1))), FanInSum(), "
         "Relu(), Dense(1))", "Flatten()"},
    };
    const ntk_shape shape = {2, 4, 4, 3};
    double x[5 * 48], both[2][25], one[25];
    uint64_t seed = 5;
    ntk_data *data;

    (void)state;
    for (int i = 0; i < 5 * 48; i++)
        x[i] = test_normal(&seed);
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 5, shape, &data));
    for (size_t t = 0; t < sizeof pairs / sizeof *pairs; t++) {
        ntk_net *two[2];
        ntk_kernel *k;

        for (int m = 0; m < 2; m++)
            assert_ok(ctx, ntk_net_parse(ctx, pairs[t][m], &two[m]));
        assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *const *)two, 2, NTK_NNGP, NTK_F64, shape, &k));
        assert_ok(ctx, ntk_kernel_compute(k, data, NULL, (void *[]){both[0], both[1]}));
        ntk_kernel_free(k);
        for (int m = 0; m < 2; m++) {
            assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *const *)&two[m], 1, NTK_NNGP, NTK_F64, shape, &k));
            assert_ok(ctx, ntk_kernel_compute(k, data, NULL, (void *[]){one}));
            ntk_kernel_free(k);
            for (int i = 0; i < 25; i++)
                assert_near(both[m][i], one[i], 1e-14, 1);
            ntk_net_free(two[m]);
        }
    }
    ntk_data_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(equal_samples_are_exact),
        cmocka_unit_test(nets_share_their_work),
        cmocka_unit_test(models_share_their_work),
        cmocka_unit_test(a_given_matrix_is_solved),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(images_are_read_in_several_ways),
    };

    return cmocka_run_group_tests_name("conv", tests, setup, teardown);
}
