/* SPDX-License-Identifier: MIT
 *
 * The contract of every layer and activation in the registries. Around each a small net is built,
 * whose kernels must be symmetric, positive semidefinite, agree with their diagonal and between
 * element types, and agree with finite networks: finite.h draws random wide ones from the same text
 * and measures. Bad parameters are refused by name, as each class's own table says.
 */
#include "finite.h"
#include "context.h"
#include "golden.h"

#define D 5  /* numbers of a vector */
#define X 24 /* numbers of an image or sequence */
#define N 12

/* ------------------------------------------------------------------ nets around a word */

/* Some legal value of a parameter that must be given; integers without a bound are widths. */
static void required(const struct ntk_param *p, char *text, size_t size)
{
    const double middle = fmin(fmax(0.7, p->min), p->max);

    switch (p->type) {
    case NTK_TYPE_INTEGER:
        snprintf(text, size, "%.0f", fmin(fmax(p->max > 1000 ? 200 : 2, p->min), p->max));
        return;
    case NTK_TYPE_NUMBERS:
        snprintf(text, size, "(0.3, 1, %g)", middle);
        return;
    case NTK_TYPE_INTEGERS: /* a window */
        snprintf(text, size, "(2, 3)");
        return;
    case NTK_TYPE_NUMBER:
        snprintf(text, size, "%g", middle);
        return;
    default:
        fail_msg("parameter %s: no legal value known for its type", p->name);
    }
}

/* "Name(required arguments" without the closing bracket. */
static void open_call(const struct ntk_class *c, char *text, size_t size)
{
    const char *separator = "";

    snprintf(text, size, "%s(", c->name);
    for (const struct ntk_param *p = c->params; p && p->name; p++)
        if (!p->value) {
            char value[100];
            const size_t n = strlen(text);

            required(p, value, sizeof value);
            snprintf(text + n, size - n, "%s%s=%s", separator, p->name, value);
            separator = ", ";
        }
}

static const struct ntk_class *class_of(size_t i)
{
    return i < ntk_n_layers ? &ntk_layers[i]->base : &ntk_activation_get(i - ntk_n_layers)->base;
}

static size_t n_classes(void)
{
    return ntk_n_layers + ntk_n_activations();
}

/* The variance that comes into `word` is moderate, and 1 where an activation asks for it. */
static void net_around(const struct ntk_class *c, char *net, size_t size)
{
    const struct ntk_layer *layer = (const struct ntk_layer *)c;
    const struct ntk_activation *act = (const struct ntk_activation *)c;
    char word[300];

    open_call(c, word, sizeof word);
    if (c->kind == NTK_CLASS_ACTIVATION)
        snprintf(net, size, "serial(Dense(512, 0.9, 0.2)%s, %s), Dense(1, 1.1, 0.1))",
                 act->unit_variance ? ", LayerNorm()" : "", word);
    else if (layer->many)
        snprintf(net, size,
                 "serial(FanOut(2), parallel(Dense(512, 0.9, 0.2), Dense(512, 0.6)), "
                 "%s), Dense(1, 1.1, 0.1))",
                 word);
    else if (layer->positions)
        snprintf(net, size,
                 "serial(Conv(128, (3, 3), padding='SAME', W_std=0.9, b_std=0.2), Relu(), %s)%s, "
                 "Dense(1, 1.1, 0.1))",
                 word, strcmp(c->name, "Flatten") && strncmp(c->name, "Global", 6) ? ", Flatten()" : "");
    else
        snprintf(net, size, "serial(Dense(512, 0.9, 0.2), %s), Dense(1, 1.1, 0.1))", word);
}

/* ------------------------------------------------------------------ kernels */

/* Nets with positions get images of as many numbers as the others' vectors; those that say `sequence`
 * in a comment, sequences. */
static ntk_shape shape_for(const char *text)
{
    const ntk_shape vector = {0, 1, 1, D}, image = {2, 4, 3, 2}, sequence = {1, 1, 8, 3};
    ntk_net *net;
    int positions;

    if (ntk_net_parse(ctx, text, &net) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    positions = ntk_net_uses_positions(net);
    ntk_net_free(net);
    return !positions ? vector : strstr(text, "sequence") ? sequence : image;
}

static int features_for(const char *text)
{
    const ntk_shape s = shape_for(text);

    return (int)(s.h * s.w * s.c);
}

static ntk_kernel *compile(const char *text, ntk_dtype dtype)
{
    const ntk_shape shape = shape_for(text);
    ntk_net *net;
    const ntk_net *nets[1];
    ntk_kernel *k;

    if (ntk_net_parse(ctx, text, &net) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    nets[0] = net;
    if (ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, dtype, shape, &k) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    ntk_net_free(net);
    return k;
}

/* K[0]: NNGP, K[1]: NTK, [n][n], of x with itself. */
static void kernels(const char *text, ntk_dtype dtype, const double *x, int n, double *const K[2])
{
    const ntk_shape shape = shape_for(text);
    const size_t entries = (size_t)n * (size_t)n;
    ntk_kernel *k = compile(text, dtype);
    float *narrow = malloc(2 * entries * sizeof *narrow);
    void *wide_out[] = {K[0], K[1]}, *narrow_out[] = {narrow, narrow + entries};
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, n, shape, &data));
    if (ntk_kernel_compute(k, data, NULL, dtype == NTK_F32 ? narrow_out : wide_out) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    for (size_t i = 0; dtype == NTK_F32 && i < 2 * entries; i++)
        K[i / entries][i % entries] = (double)narrow[i];
    ntk_data_free(data);
    ntk_kernel_free(k);
    free(narrow);
}

/* n samples of up to X numbers */
static void samples(uint64_t seed, int n, double *x)
{
    for (int i = 0; i < n * X; i++)
        x[i] = test_normal(&seed);
}

static double trace_mean(const double *K, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += K[i * n + i];
    return sum / n;
}

static void check_symmetric(const char *net, const double *K, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (K[i * n + j] != K[j * n + i])
                fail_msg("%s: entries %d, %d and %d, %d differ: %.17g, %.17g", net, i, j, j, i,
                         K[i * n + j], K[j * n + i]);
}

/* By a Cholesky factorisation of K plus 1e-9 of its mean diagonal. */
static void check_positive(const char *net, const double *K, int n)
{
    const double jitter = 1e-9 * trace_mean(K, n);
    double L[N * N] = {0};

    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = K[i * n + j] + (i == j ? jitter : 0);

            for (int k = 0; k < j; k++)
                sum -= L[i * n + k] * L[j * n + k];
            if (i == j && !(sum >= 0))
                fail_msg("%s: not positive semidefinite: pivot %d is %g", net, i, sum);
            L[i * n + j] = i == j ? sqrt(sum) : L[j * n + j] > 0 ? sum / L[j * n + j] : 0;
        }
}

static void check_diagonal(const char *net, const double *x, double *const K[2], int n)
{
    const ntk_shape shape = shape_for(net);
    const double tolerance = shape.spatial ? 1e-13 : 0; /* sums over positions have another order */
    ntk_kernel *k = compile(net, NTK_F64);
    double variance[2][N], *out[] = {variance[0], variance[1]};
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, n, shape, &data));
    assert_ok(ctx, ntk_kernel_diagonal(k, data, out));
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < n; i++)
            if (!(fabs(K[m][i * n + i] - variance[m][i]) <= tolerance * fabs(variance[m][i])))
                fail_msg("%s: output %d, entry %d: %.17g, but variance %.17g", net, m, i,
                         K[m][i * n + i], variance[m][i]);
    ntk_data_free(data);
    ntk_kernel_free(k);
}

/* Float32 has 1.2e-7; activations by series aim at 1e-6. */
static void check_close(const char *net, const double *narrow, const double *wide, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const double scale = sqrt(wide[i * n + i] * wide[j * n + j]);
            const double error = fabs(narrow[i * n + j] - wide[i * n + j]);

            if (!(error <= 2e-5 * scale))
                fail_msg("%s: entry %d, %d in float32 %.9g, in float64 %.9g", net, i, j,
                         narrow[i * n + j], wide[i * n + j]);
        }
}

/* ------------------------------------------------------------------ the contract */

static void kernels_of_every_class_are_kernels(void **state)
{
    double x[N * X], wide[2][N * N], narrow[2][N * N];

    (void)state;
    samples(1, N, x);
    for (size_t c = 0; c < n_classes(); c++) {
        double *const w[] = {wide[0], wide[1]}, *const f[] = {narrow[0], narrow[1]};
        char net[600];

        net_around(class_of(c), net, sizeof net);
        kernels(net, NTK_F64, x, N, w);
        kernels(net, NTK_F32, x, N, f);
        for (int m = 0; m < 2; m++) {
            assert_true(trace_mean(wide[m], N) > 0);
            check_symmetric(net, wide[m], N);
            check_symmetric(net, narrow[m], N);
            check_positive(net, wide[m], N);
            check_close(net, narrow[m], wide[m], N);
        }
        check_diagonal(net, x, w, N);
    }
}

/* A sample of zeros has variance 0 where there are no biases before it. */
static void zero_samples_are_finite(void **state)
{
    double wide[2][9], narrow[2][9];

    (void)state;
    for (size_t c = 0; c < n_classes(); c++) {
        const struct ntk_class *cls = class_of(c);
        double *const w[] = {wide[0], wide[1]}, *const f[] = {narrow[0], narrow[1]};
        char net[600], *bias;
        double x[3 * X];

        net_around(cls, net, sizeof net);
        while ((bias = strstr(net, ", 0.2"))) /* no biases before it */
            memmove(bias, bias + 5, strlen(bias + 5) + 1);
        while ((bias = strstr(net, ", b_std=0.2")))
            memmove(bias, bias + 11, strlen(bias + 11) + 1);
        for (int i = 0; i < 3 * X; i++) /* rows 0 and 2 are zero */
            x[i] = i / features_for(net) == 1 ? i % 7 - 3 : 0;
        kernels(net, NTK_F64, x, 3, w);
        kernels(net, NTK_F32, x, 3, f);
        for (int m = 0; m < 2; m++)
            for (int e = 0; e < 9; e++)
                if (!isfinite(wide[m][e]) || !isfinite(narrow[m][e]) ||
                    fabs(wide[m][e] - narrow[m][e]) > 2e-5 * (1 + trace_mean(wide[m], 3)))
                    fail_msg("%s: output %d, entry %d: %g in float64, %g in float32", net, m, e,
                             wide[m][e], narrow[m][e]);
    }
}

/* Whether a net of that file has the word, or another of the same function: Gelu for Gelu_tanh. */
static bool is_golden(const cJSON *file, const struct ntk_class *c)
{
    const cJSON *net;
    bool found = false;

    for (size_t i = 0; i < n_classes(); i++) {
        const struct ntk_class *other = class_of(i);

        if (other != c && (c->kind == NTK_CLASS_LAYER || other->kind == NTK_CLASS_LAYER ||
                           ((const struct ntk_activation *)c)->f != ((const struct ntk_activation *)other)->f))
            continue;
        cJSON_ArrayForEach(net, cJSON_GetObjectItem(file, "nets")) found =
            found || test_calls(golden_text(net, "net"), other->name);
    }
    return found;
}

static void every_class_is_in_golden_nets(void **state)
{
    static const char *const names[] = {"nets.json", "conv.json", "near.json"};

    (void)state;
    for (int k = 0; k < 3; k++) {
        cJSON *file = golden_read(names[k]);

        for (size_t i = 0; i < n_classes(); i++) {
            const struct ntk_class *c = class_of(i);
            const bool layer = c->kind == NTK_CLASS_LAYER;
            const bool positions = layer && ((const struct ntk_layer *)c)->positions;

            if ((k == 0 && positions) || (k == 1 && !positions) || (k == 2 && layer))
                continue;
            if (!is_golden(file, c))
                fail_msg("no net of tests/golden/%s has %s", names[k], c->name);
        }
        cJSON_Delete(file);
    }
}

/* ------------------------------------------------------------------ finite networks */

/* Both kernels of three samples against the means over random networks: within 4 standard errors,
 * which must be small for the comparison to say anything. Each text has a seed of its own (FNV-1a), so that
 * errors are independent, and a new class changes those of no other. */
static void check_finite(const char *text, int n_nets)
{
    uint64_t seed = 0xcbf29ce484222325u;
    double x[WITNESSES * X], exact[2][WITNESSES * WITNESSES];
    double *const out[] = {exact[0], exact[1]};
    struct finite_mean mean;
    ntk_net *net;

    for (const char *c = text; *c; c++)
        seed = (seed ^ (unsigned char)*c) * 0x100000001b3u;
    samples(7, WITNESSES, x);
    kernels(text, NTK_F64, x, WITNESSES, out);
    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    finite_measure(net, x, shape_for(text), n_nets, seed, &mean);
    ntk_net_free(net);
    for (int m = 0; m < 2; m++)
        for (int e = 0; e < WITNESSES * WITNESSES; e++) {
            const double error = mean.value[m][e] - exact[m][e];
            const double scale = trace_mean(exact[m], WITNESSES);

            if (!(fabs(error) <= 4 * mean.deviation[m][e] + 1e-12 * scale))
                fail_msg("%s: %s entry %d is %.6g, %d finite networks give %.6g +- %.2g (%.1f "
                         "standard errors)",
                         text, m ? "NTK" : "NNGP", e, exact[m][e], n_nets, mean.value[m][e],
                         mean.deviation[m][e], error / mean.deviation[m][e]);
            if (!(mean.deviation[m][e] <= 0.05 * scale))
                fail_msg("%s: %d networks are too few: %.2g +- %.2g", text, n_nets,
                         mean.value[m][e], mean.deviation[m][e]);
        }
}

static void finite_networks_agree_for_every_class(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_classes(); c++) {
        char net[600];

        net_around(class_of(c), net, sizeof net);
        check_finite(net, 100);
    }
}

/* Finite networks of the library: tangents are differences, cotangents their transpose. */
static void check_derivatives(const ntk_params *params, const ntk_data *data, ntk_params *moved)
{
    const int64_t count = ntk_params_count(params);
    const double *theta = ntk_params_theta((ntk_params *)(uintptr_t)params), step = 1e-5;
    double *v = malloc((size_t)count * sizeof *v), *g = malloc((size_t)count * sizeof *g);
    double df[WITNESSES], f[2][WITNESSES], u[WITNESSES] = {1, -2, 0.5}, dot[2] = {0, 0};
    uint64_t seed = 3;

    assert_true(v && g);
    for (int64_t i = 0; i < count; i++)
        v[i] = test_normal(&seed);
    assert_ok(ctx, ntk_params_jvp(params, data, v, NULL, df));
    assert_ok(ctx, ntk_params_vjp(params, data, u, g));
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < count; i++)
            ((double *)ntk_params_theta(moved))[i] = theta[i] + (side ? -step : step) * v[i];
        assert_ok(ctx, ntk_params_apply(moved, data, f[side]));
    }
    for (int i = 0; i < WITNESSES; i++) {
        assert_near((f[0][i] - f[1][i]) / (2 * step), df[i], 1e-5, 10);
        dot[0] += u[i] * df[i];
    }
    for (int64_t i = 0; i < count; i++)
        dot[1] += g[i] * v[i];
    assert_near(dot[1], dot[0], 1e-11, 10);
    free(v);
    free(g);
}

static void derivatives_of_every_class(void **state)
{
    double x[WITNESSES * X];

    (void)state;
    samples(7, WITNESSES, x);
    for (size_t c = 0; c < n_classes(); c++) {
        ntk_params *params, *moved;
        ntk_data *data;
        ntk_net *net;
        char text[600];
        ntk_status status;

        net_around(class_of(c), text, sizeof text);
        assert_ok(ctx, ntk_net_parse(ctx, text, &net));
        assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, WITNESSES, shape_for(text), &data));
        status = ntk_params_new(ctx, net, shape_for(text), NTK_F64, 1, &params);
        ntk_net_free(net);
        if (status == NTK_OK) {
            assert_ok(ctx, ntk_params_copy(params, &moved));
            check_derivatives(params, data, moved);
            ntk_params_free(params);
            ntk_params_free(moved);
        } else if (status != NTK_ENOTSUP || strcmp(class_of(c)->name, "Dropout") != 0) {
            fail_msg("%s: %s", text, ntk_errmsg(ctx));
        }
        ntk_data_free(data);
    }
}

static void finite_networks_agree_with_nets(void **state)
{
    static const char *const nets[] = {
        "Dense(1, 1.3, 0.4)",
        "serial(Dense(256, 1.3, 0.2), Dense(1, 0.8, 0.3))",
        "serial(Dense(256, 1.3, 0.2, trainable=False), Relu(), Dense(1, 0.8))",
        "serial(Dense(256, 1.3, 0.2), Relu(), Dense(1, 0.8, trainable=False))",
        "serial(Dense(256, 1.4, 0.1), Relu(), Dense(256, 1.4, 0.1), Relu(), Dense(1))",
        "serial(Dense(256, 1.4, 0.1), Erf(), Dense(256, 1.4), Tanh(), Dense(1, 1, 0.1))",
        "serial(Dense(128, 1.2, 0.3, parameterization='standard', s=(1, 2)), Relu(), "
        "Dense(1, 0.9, 0.4, parameterization='standard', s=(2, 1)))",
        "serial(Dense(256, 1.2, parameterization='standard'), Tanh(), "
        "Dense(1, 0.9, parameterization='standard'))",
        "serial(Dense(256, 1.2, 0.1), residual(Relu(), Dense(256, 1.1)), Dense(1))",
        "serial(Dense(256, 1.2, 0.1), residual(Relu(), Dense(256, 1.1)), Tanh(), Dense(1))",
        "serial(Dense(256), FanOut(2), parallel(Identity(), serial(Relu(), Dense(256, 1.4))), "
        "FanInProd(), Dense(1))",
        "serial(FanOut(3), parallel(Dense(256), serial(Dense(256, 0.9, 0.1), Erf()), "
        "serial(Dense(256), Sigmoid())), FanInProd(), Dense(1))",
        "serial(Dense(256), FanOut(3), parallel(Relu(), Erf(), Identity()), FanInConcat(), "
        "Dense(1))",
        "serial(FanOut(2), parallel(serial(Dense(64, 1.5), Relu()), serial(Dense(256), Tanh())), "
        "FanInConcat(), Dense(1))",
        "serial(Dense(512, 1.3, 0.1), LayerNorm(eps=0.5), Relu(), Dense(1))",
        "serial(Dense(256, 1.4, 0.1), Relu(), Dense(512, 0.7, 0.2), LayerNorm(), Tanh(), Dense(1))",
        "serial(Dense(512, 1.4, 0.1), Relu(), Dropout(0.7), Dense(1))",
        "serial(Dense(256, 1.4, 0.1), Erf(), Dropout(0.6), Dense(256, 1.2), Relu(), Dense(1))",
        "serial(Dense(512, 1.4), Tanh(), Dropout(0.5, mode='test'), Dense(1))",
        "serial(Dense(256, 1.1), repeat(residual(Relu(), Dense(256, 0.5)), 2), Dense(1))",
        "serial(Conv(96, (3, 3), padding='SAME', b_std=0.2), Relu(), Flatten(), Dense(1, b_std=0.1))",
        "serial(Conv(96, (3, 2), (2, 1), 'SAME'), Erf(), Conv(64, (2, 2)), Relu(), GlobalAvgPool(), "
        "Dense(1))",
        "serial(Conv(64, (3, 3), padding='CIRCULAR', b_std=0.1), Relu(), Conv(64, (3, 3), (2, 2), "
        "'CIRCULAR'), Tanh(), Flatten(), Dense(1))",
        "serial(Conv(96, (3, 3), padding='SAME', W_std=1.4), Relu(), AvgPool((2, 2), (2, 2), 'SAME', "
        "normalize_edges=True), Conv(64, (2, 2), padding='SAME', W_std=1.4), Relu(), Flatten(), "
        "Dense(1))",
        "serial(Conv(96, (3, 3), padding='SAME', W_std=1.4), AvgPool((2, 2)), Relu(), GlobalSumPool(), "
        "Dense(1))",
        "serial(Conv(96, (2, 2), W_std=1.4, b_std=0.1), Relu(), SumPool((2, 2), padding='CIRCULAR'), "
        "Conv(64, (2, 2), W_std=0.5), Relu(), GlobalAvgPool(), Dense(1, trainable=False))",
        "serial(Conv(96, (3, 3), padding='SAME'), residual(Relu(), Conv(96, (3, 3), padding='SAME')), "
        "Relu(), GlobalAvgPool(), Dense(1))",
        "serial(Conv(64, (3, 3), padding='SAME'), FanOut(2), parallel(serial(Relu(), Conv(64, (3, 3), "
        "(2, 2), 'SAME')), Conv(64, (3, 3), (2, 2), 'SAME')), FanInSum(), Relu(), Flatten(), Dense(1))",
        "serial(Conv(192, (3, 3), padding='SAME', b_std=0.3), LayerNorm(axis=(1, 2, 3)), Relu(), "
        "Flatten(), Dense(1))",
        "serial(Conv(192, (3, 3), padding='SAME', b_std=0.3), LayerNorm(), Gelu(), GlobalAvgPool(), "
        "Dense(1))",
        "serial(Conv(96, (2, 2), trainable=False), Relu(), Conv(96, (2, 2), parameterization='standard', "
        "s=(2, 1)), Relu(), Flatten(), Dense(1, parameterization='standard'))",
        "serial(Conv(96, (3, 3), padding='SAME'), Relu(), Dropout(0.7), Conv(96, (2, 2)), Relu(), "
        "Flatten(), Dense(1))",
        "serial(Dense(96, 1.3, 0.2), Erf(), Conv(64, (1, 3), padding='SAME'), Relu(), Flatten(), "
        "Dense(64, 1.4), Relu(), Dense(1))",
        "serial(  # sequence\n Conv(96, (3,), padding='SAME', b_std=0.1), Relu(), AvgPool((2,), (2,)), "
        "Conv(64, (2,)), Relu(), GlobalAvgPool(), Dense(1))",
    };

    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        check_finite(nets[i], 100);
}

/* The witness itself: of a linear layer the kernels are known. */
static void the_witness_measures_right(void **state)
{
    const double x[WITNESSES * D] = {1, 2, 0, 0, 0, 0, 1, 3, 0, 0, 2, 0, 0, 0, 1};
    struct finite_mean mean;
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "Dense(1, 2, 3)", &net));
    finite_measure(net, x, (ntk_shape){0, 1, 1, D}, 3, 1, &mean);
    ntk_net_free(net);
    for (int m = 0; m < 2; m++) {
        assert_near(mean.value[m][0], 4 * 5.0 / 5 + 9, 1e-14, 1);
        assert_near(mean.value[m][1], 4 * 2.0 / 5 + 9, 1e-14, 1);
        assert_true(mean.deviation[m][1] < 1e-14);
    }
}

/* Why branches of the same random field are refused: f + f has 4 times the kernel of f, and adding the
 * branches' kernels, as FanInSum does, gives 2 times. */
static void correlated_branches_would_be_wrong(void **state)
{
    static const char twice[] = "serial(Conv(96, (3, 3), padding='SAME'), FanOut(2), "
                                "parallel(Identity(), Identity()), FanInSum(), Flatten(), Dense(1))";
    double x[WITNESSES * X], exact[2][WITNESSES * WITNESSES];
    double *const out[] = {exact[0], exact[1]};
    const ntk_shape shape = shape_for(twice);
    struct finite_mean mean;
    const ntk_net *one[1];
    ntk_kernel *k;
    ntk_net *net;

    (void)state;
    samples(7, WITNESSES, x);
    kernels("serial(Conv(96, (3, 3), padding='SAME'), Flatten(), Dense(1))", NTK_F64, x, WITNESSES, out);
    assert_ok(ctx, ntk_net_parse(ctx, twice, &net));
    one[0] = net;
    assert_fails(ctx, NTK_ETHEORY, "parallel branches 1 and 2 carry the same random field",
                 ntk_kernel_new(ctx, one, 1, NTK_NTK, NTK_F64, shape, &k));
    finite_measure(net, x, shape, 100, 5, &mean);
    ntk_net_free(net);
    for (int s = 0; s < WITNESSES; s++) {
        const int e = s * WITNESSES + s;

        assert_true(fabs(mean.value[0][e] - 4 * exact[0][e]) < 4 * mean.deviation[0][e]);
        assert_true(fabs(mean.value[0][e] - 2 * exact[0][e]) > 20 * mean.deviation[0][e]);
    }
}

/* ------------------------------------------------------------------ bad parameters */

static void check_refused(const struct ntk_class *c, const struct ntk_param *p, const char *value)
{
    char call[300], text[500], prefix[200];
    const struct ntk_param *q = c->params;
    ntk_net *net = NULL;
    size_t n;

    snprintf(call, sizeof call, "%s(", c->name);
    for (; q->name; q++) { /* the other required ones are right */
        char legal[100];

        if (q == p || q->value)
            continue;
        n = strlen(call);
        required(q, legal, sizeof legal);
        snprintf(call + n, sizeof call - n, "%s=%s, ", q->name, legal);
    }
    snprintf(text, sizeof text, "%s%s=%s)", call, p->name, value);
    snprintf(prefix, sizeof prefix, "line 1, column 1: %s: %s must be ", c->name, p->name);
    if (ntk_net_parse(ctx, text, &net) != NTK_EPARSE)
        fail_msg("%s was not refused", text);
    if (strncmp(ntk_errmsg(ctx), prefix, strlen(prefix)) != 0)
        fail_msg("%s: said '%s', wanted '%s...'", text, ntk_errmsg(ctx), prefix);
    assert_null(net);
}

static void check_range(const struct ntk_class *c, const struct ntk_param *p)
{
    const bool integer = p->type == NTK_TYPE_INTEGER || p->type == NTK_TYPE_INTEGERS;
    char value[100];

    snprintf(value, sizeof value, "%.17g",
             integer ? p->min - 1 : p->min - 1e-3 * fabs(p->min) - 1e-9);
    check_refused(c, p, value);
    snprintf(value, sizeof value, "%.17g", integer ? p->max + 1 : p->max * 1.001);
    check_refused(c, p, value);
    if (integer)
        check_refused(c, p, "1.5");
}

static void bad_parameters_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_classes(); i++) {
        const struct ntk_class *c = class_of(i);

        for (const struct ntk_param *p = c->params; p && p->name; p++) {
            check_refused(c, p, p->type == NTK_TYPE_CHOICE ? "'no such choice'" : "'text'");
            check_refused(c, p, "serial(Relu())");
            if (!p->none)
                check_refused(c, p, "None");
            if (p->type == NTK_TYPE_CHOICE || p->type == NTK_TYPE_BOOL) {
                check_refused(c, p, "7");
                continue;
            }
            check_refused(c, p, "True");
            check_range(c, p);
            check_refused(c, p,
                          p->type == NTK_TYPE_NUMBERS || p->type == NTK_TYPE_INTEGERS ? "('a',)"
                                                                                      : "(1, 2)");
        }
    }
}

static void missing_and_unknown_parameters_are_named(void **state)
{
    ntk_net *net = NULL;

    (void)state;
    for (size_t i = 0; i < n_classes(); i++) {
        const struct ntk_class *c = class_of(i);
        const struct ntk_param *p = c->params;
        char text[400], want[300];
        bool first = true;

        open_call(c, text, sizeof text);
        if (strlen(text) > strlen(c->name) + 1)
            strcat(text, ", ");
        strcat(text, "qqqqqqqq=1)");
        snprintf(want, sizeof want, "line 1, column 1: %s: unknown argument 'qqqqqqqq'", c->name);
        assert_fails(ctx, NTK_EPARSE, want, ntk_net_parse(ctx, text, &net));
        for (; p && p->name; p++) { /* with no argument at all, the first required one */
            if (p->value || !first)
                continue;
            first = false;
            snprintf(text, sizeof text, "%s()", c->name);
            snprintf(want, sizeof want, "line 1, column 1: %s: argument '%s' is missing", c->name,
                     p->name);
            assert_fails(ctx, NTK_EPARSE, want, ntk_net_parse(ctx, text, &net));
        }
    }
}

/* ------------------------------------------------------------------ tables */

static char *canonical(const char *text)
{
    ntk_net *net;
    char *printed;

    if (ntk_net_parse(ctx, text, &net) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    assert_ok(ctx, ntk_net_print(net, &printed));
    ntk_net_free(net);
    return printed;
}

/* Required parameters come first (they are printed by place); a default is legal and not printed.
 */
static void tables_are_consistent(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_classes(); i++) {
        const struct ntk_class *c = class_of(i);
        char call[300], text[700], *bare, *full, *again;
        bool optional = false;

        open_call(c, call, sizeof call);
        snprintf(text, sizeof text, "%s)", call);
        bare = canonical(text);
        again = canonical(bare);
        assert_string_equal(again, bare);
        snprintf(text, sizeof text, "%s", call);
        for (const struct ntk_param *p = c->params; p && p->name; p++) {
            const size_t n = strlen(text);

            if (!p->value && optional)
                fail_msg("%s: %s is required and stands after optional ones", c->name, p->name);
            optional = optional || p->value;
            if (p->value)
                snprintf(text + n, sizeof text - n, "%s%s=%s", text[n - 1] == '(' ? "" : ", ",
                         p->name, p->value);
            assert_true(p->offset < c->size && p->min <= p->max);
        }
        strcat(text, ")");
        full = canonical(text);
        assert_string_equal(full, bare);
        ntk_text_free(bare);
        ntk_text_free(full);
        ntk_text_free(again);
    }
}

/* Offsets count modulo the image where any window wraps around: a layer with such a padding says so. */
static void windows_that_wrap_say_so(void **state)
{
    static const char *const paddings[] = {"VALID", "SAME", "CIRCULAR"};

    (void)state;
    for (size_t i = 0; i < ntk_n_layers; i++) {
        const struct ntk_param *p = ntk_layers[i]->base.params;

        while (p && p->name && strcmp(p->name, "padding") != 0)
            p++;
        for (int k = 0; p && p->name && k < 3; k++) {
            char call[300], text[400];
            ntk_net *net;

            open_call(&ntk_layers[i]->base, call, sizeof call);
            snprintf(text, sizeof text, "repeat(serial(Identity(), %s, padding='%s')), 2)", call,
                     paddings[k]);
            assert_ok(ctx, ntk_net_parse(ctx, text, &net));
            assert_int_equal(ntk_net_wraps(net), k == 2);
            ntk_net_free(net);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_consistent),
        cmocka_unit_test(windows_that_wrap_say_so),
        cmocka_unit_test(bad_parameters_are_refused_by_name),
        cmocka_unit_test(missing_and_unknown_parameters_are_named),
        cmocka_unit_test(kernels_of_every_class_are_kernels),
        cmocka_unit_test(zero_samples_are_finite),
        cmocka_unit_test(every_class_is_in_golden_nets),
        cmocka_unit_test(the_witness_measures_right),
        cmocka_unit_test(finite_networks_agree_for_every_class),
        cmocka_unit_test(derivatives_of_every_class),
        cmocka_unit_test(finite_networks_agree_with_nets),
        cmocka_unit_test(correlated_branches_would_be_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
