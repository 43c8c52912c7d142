/* SPDX-License-Identifier: MIT
 *
 * test_contract.c - what every backend must agree with: the one called reference, which goes through all pairs of
 * positions in long double and integrates activations numerically. Nets for every operation, instruction, layer, padding
 * and stride, and every activation with two settings, on every instruction set and type, of one set and between two, with
 * equal samples and one that is zero. The reference itself is held against values of 25 digits.
 */
#include "activations/activation.h"
#include "backend/reference/reference.h"
#include "backend/registry.h"
#include "context.h"
#include "language/net.h"

#define N       4 /* samples: 0, 1 normal, 2 is zero, 3 equals 0 */
#define APART   3 /* of them are different */
#define N2      3 /* of the second set: equal to 3 (and 0), 1 and 2 of the first */
#define NUMBERS 48
#define BEST64  2e-13 /* a layer of activations */
#define BEST32  2e-6

static const ntk_shape vector = {0, 1, 1, 5}, image = {2, 3, 4, 2}, square = {2, 3, 3, 2}, wide = {2, 4, 6, 2}, sequence = {1, 1, 6, 2};

struct net {
    const char *text;
    const ntk_shape *shape;
};

#define D     "Dense(1, W_std=1.3, b_std=0.3)"
#define C     "Conv(1, (3, 3), padding='SAME', W_std=1.4)"
#define B     "Conv(1, (2, 2), padding='SAME', W_std=1.3, b_std=0.2)"
#define READ  "Dense(1)"
#define POOL  "GlobalAvgPool(), " READ
#define FLAT  "Flatten(), " READ

static const struct net nets[] = {
    /* operations, layers, presets */
    {"serial(Dense(1, W_std=1.3), Relu(), " D ", Relu(), " D ", Erf(), Dense(1, b_std=0.5))", &vector},
    {"serial(" D ", FanOut(2), parallel(Identity(), serial(Relu(), " D ")), FanInSum(), Relu(), " READ ")", &vector},
    {"serial(FanOut(2), parallel(serial(" D ", Erf()), serial(" D ", Gelu())), FanInProd(), " D ", Relu(), " READ ")", &vector},
    {"serial(FanOut(2), parallel(serial(Dense(3), Relu()), serial(Dense(5), Abs())), FanInConcat(), " D ", Erf(), " READ ")",
     &vector},
    {"serial(" D ", LayerNorm(eps=0.01), Relu(), Dropout(0.7), " D ", Relu(), Dropout(0.5), " READ ")", &vector},
    {"serial(Dense(7, W_std=1.2, b_std=0.1, parameterization='standard', s=(2, 3)), Relu(), "
     "Dense(1, b_std=0.1, parameterization='standard', trainable=False))",
     &vector},
    {"fc(depth=3)", &vector},
    {"cntk(depth=3)", &image},
    {"cntk(depth=3, pool='gap')", &image},
    {"serial(" C ", wide_resnet_group(1, 1, 2), " POOL ")", &image},
    {"serial(" C ", Relu(), FanOut(2), parallel(serial(AvgPool((2, 2), padding='SAME'), Conv(1, (1, 1))), " B "), FanInSum(), Relu(), " FLAT ")", &image},
    {"serial(FanOut(2), parallel(serial(" C ", Relu()), serial(" B ", Erf())), FanInProd(), " C ", Relu(), " POOL ")", &image},
    {"serial(" C ", Relu(), FanOut(2), parallel(" B ", Conv(3, (1, 1))), FanInConcat(), " B ", Relu(), GlobalSumPool())", &image},
    {"serial(" B ", LayerNorm(), Relu(), Dropout(0.8), " C ", Relu(), " FLAT ")", &image},
    {"serial(" B ", LayerNorm(axis=(1, 2, 3), eps=0.1), Erf(), AvgPool((2, 2)), Dropout(0.6), " B ", Relu(), " POOL ")", &image},
    {"serial(" B ", LayerNorm(axis=(2, 3)), Relu(), GlobalSumPool(), " D ", LayerNorm(), Relu(), " READ ")", &image},
    {"serial(" B ", LayerNorm(axis=(1, 3), eps=1e-3), Relu(), Dropout(0.9, mode='test'), " FLAT ")", &image},
    {"serial(Flatten(), " D ", Relu(), " READ ")", &image},
    {"serial(GlobalAvgPool(), " D ", Relu(), " READ ")", &image},
    {"serial(Conv(1, (3, 2), padding='SAME', parameterization='standard', s=(1, 2), b_std=0.1), Relu(), " POOL ")", &image},
    /* paddings and strides */
    {"serial(Conv(1, (2, 3), padding='VALID', b_std=0.1), Relu(), Conv(1, (1, 2)), Relu(), " POOL ")", &image},
    {"serial(Conv(1, (3, 3), padding='SAME', strides=(2, 1)), Relu(), " B ", Relu(), " POOL ")", &image},
    {"serial(" C ", Relu(), Conv(1, (2, 3), padding='SAME', strides=(2, 2)), Relu(), Conv(1, (1, 2)), Relu(), " FLAT ")", &image},
    {"serial(Conv(1, (2, 2), padding='VALID', strides=(1, 2)), Relu(), " B ", Relu(), " POOL ")", &image},
    {"serial(Conv(1, (3, 3), padding='CIRCULAR', W_std=1.4), Relu(), Conv(1, (2, 3), padding='CIRCULAR', b_std=0.2), Erf(), " POOL ")",
     &wide},
    {"serial(Conv(1, (3, 3), padding='CIRCULAR'), Relu(), Conv(1, (2, 2), strides=(2, 2), padding='CIRCULAR'), Relu(), " FLAT ")",
     &wide},
    {"serial(" B ", Relu(), AvgPool((2, 2), strides=(1, 2)), " B ", Relu(), " FLAT ")", &image},
    {"serial(" B ", Relu(), AvgPool((2, 3), padding='SAME', normalize_edges=True), " B ", Relu(), " POOL ")", &image},
    {"serial(" B ", Relu(), AvgPool((2, 2), strides=(2, 3), padding='CIRCULAR'), " B ", Erf(), " POOL ")", &wide},
    {"serial(" B ", Relu(), SumPool((2, 2), strides=(2, 2), padding='SAME'), Conv(1, (1, 2), W_std=0.3), Erf(), " FLAT ")", &image},
    {"serial(" B ", Erf(), SumPool((3, 2)), Conv(1, (1, 2), W_std=0.3), Relu(), AvgPool((1, 2)), " POOL ")", &image},
    {"serial(" B ", Relu(), AvgPool((2, 2)), Conv(1, (2, 2), strides=(1, 2), padding='SAME'), Relu(), " POOL ")", &image},
    /* sequences */
    {"serial(Conv(1, (3,), padding='SAME', W_std=1.4), Relu(), Conv(1, (2,), strides=(2,), b_std=0.1), Relu(), " FLAT ")", &sequence},
    {"serial(Conv(1, (3,), padding='CIRCULAR', W_std=1.4), Relu(), AvgPool((2,), strides=(2,)), Conv(1, (2,)), Relu(), " POOL ")",
     &sequence},
};
#define NETS (sizeof nets / sizeof *nets)

/* ------------------------------------------------------------------ samples and kernels */

/* Numbers of float32, so that both types have the same samples. Where zero positions would all be equal, by biases, every
 * other one is not zero: kinks lose digits of positions that are almost equal (docs/images.md). */
static void samples(const struct net *net, double *x, double *y)
{
    const ntk_shape *s = net->shape;
    const size_t d = (size_t)(s->h * s->w * s->c);
    const bool half = s->spatial && strstr(net->text, "b_std");
    uint64_t seed = 5;

    assert_true(d <= NUMBERS);
    for (size_t k = 0; k < 2 * d; k++)
        x[k] = (double)(float)test_normal(&seed);
    for (size_t k = 0; k < d; k++)
        x[2 * d + k] = half && k / (size_t)s->c % 2 ? (double)(float)test_normal(&seed) : 0;
    memcpy(x + 3 * d, x, d * sizeof *x);
    memcpy(y, x, d * sizeof *y);
    memcpy(y + d, x + d, d * sizeof *y);
    memcpy(y + 2 * d, x + 2 * d, d * sizeof *y);
}

/* NNGP and NTK of a net for the first n samples into out, [2][n][n]; two: for those and the second set, [2][n][N2]. */
static void compute(const char *backend, const struct net *net, ntk_dtype dtype, int n, bool two, double *out)
{
    double x[N * NUMBERS], y[N2 * NUMBERS];
    const size_t entries = (size_t)(n * (two ? N2 : n));
    float narrow[2 * N * N];
    void *both[] = {dtype == NTK_F64 ? (void *)out : (void *)narrow,
                    dtype == NTK_F64 ? (void *)(out + entries) : (void *)(narrow + entries)};
    const ntk_net *list[1];
    ntk_data *first, *second;
    ntk_kernel *k;
    ntk_net *parsed;

    samples(net, x, y);
    assert_ok(ctx, ntk_ctx_set_backend(ctx, backend, 0));
    assert_ok(ctx, ntk_net_parse(ctx, net->text, &parsed));
    list[0] = parsed;
    if (ntk_kernel_new(ctx, list, 1, NTK_NNGP | NTK_NTK, dtype, *net->shape, &k) != NTK_OK)
        fail_msg("%s: %s", net->text, ntk_errmsg(ctx));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, n, *net->shape, &first));
    assert_ok(ctx, ntk_data_view(ctx, y, NTK_F64, N2, *net->shape, &second));
    if (ntk_kernel_compute(k, first, two ? second : NULL, both) != NTK_OK)
        fail_msg("%s: %s: %s", backend, net->text, ntk_errmsg(ctx));
    for (size_t e = 0; dtype == NTK_F32 && e < 2 * entries; e++)
        out[e] = (double)narrow[e];
    ntk_data_free(first);
    ntk_data_free(second);
    ntk_kernel_free(k);
    ntk_net_free(parsed);
}

/* ------------------------------------------------------------------ what nets use */

static void lower(const struct net *net, struct ntk_graph *g)
{
    struct ntk_field out;
    ntk_net *n;

    assert_ok(ctx, ntk_net_parse(ctx, net->text, &n));
    ntk_graph_init(g, ctx);
    g->planes = net->shape->spatial > 0 && ntk_net_uses_positions(n);
    g->cyclic = ntk_net_wraps(n);
    g->h = (int)net->shape->h;
    g->w = (int)net->shape->w;
    ntk_graph_input(g);
    if (ntk_net_lower(n, *net->shape, g, &out) != NTK_OK)
        fail_msg("%s: %s", net->text, ntk_errmsg(ctx));
    ntk_net_free(n);
}

/* Layers of activations, at least 1. */
static int layers_of(const struct net *net)
{
    struct ntk_graph g;
    int n = 0;

    lower(net, &g);
    for (int v = 0; v < g.n; v++)
        n += g.nodes[v].op->setup && g.nodes[v].result == 0;
    ntk_graph_free(&g);
    return n > 1 ? n : 1;
}

static void every_operation_is_used(void **state)
{
    bool instruction[NTK_N_INSTRUCTIONS] = {false}, *op = calloc(ntk_n_ops, sizeof *op);

    (void)state;
    assert_non_null(op);
    for (size_t i = 0; i < NETS; i++) {
        struct ntk_graph g;

        lower(&nets[i], &g);
        for (int v = 0; v < g.n; v++) {
            struct ntk_instruction run = {0};

            g.nodes[v].op->instruct(&g.nodes[v], &run);
            instruction[run.id] = true;
            for (size_t k = 0; k < ntk_n_ops; k++)
                op[k] = op[k] || ntk_ops[k] == g.nodes[v].op;
        }
        ntk_graph_free(&g);
    }
    for (size_t k = 0; k < ntk_n_ops; k++)
        if (!op[k])
            fail_msg("no net of tests/unit/test_contract.c uses the operation %s", ntk_ops[k]->name);
    for (int k = 0; k < NTK_N_INSTRUCTIONS; k++)
        if (!instruction[k])
            fail_msg("no net of tests/unit/test_contract.c uses the instruction %s",
                     ntk_instruction_name((enum ntk_instruction_id)k));
    free(op);
}

static void every_layer_is_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < ntk_layer_count(); i++) {
        const ntk_layer_info *layer = ntk_layer_get(i);
        bool used = strcmp(layer->kind, "layer") != 0;

        for (size_t k = 0; k < NETS && !used; k++)
            used = test_calls(nets[k].text, layer->name);
        if (!used)
            fail_msg("no net of tests/unit/test_contract.c uses the layer %s", layer->name);
    }
}

/* ------------------------------------------------------------------ the comparison */

static double bound_of(const struct net *net, ntk_dtype dtype)
{
    return dtype == NTK_F64 ? BEST64 * layers_of(net) : BEST32;
}

static const int same[] = {3, 1, 2}; /* samples of the second set among those of the first */

/* Largest error relative to the root of the product of both samples' own entries; own: the symmetric kernel's. */
static double error_of(const double *got, const double *want, int n2, const double *own)
{
    double worst = 0;

    for (int e = 0; e < 2 * N * n2; e++) {
        const int m = e / (N * n2), i = e / n2 % N, j = n2 == N ? e % n2 : same[e % n2];
        const double scale = sqrt(own[(m * N + i) * N + i] * own[(m * N + j) * N + j]);
        const double error = fabs(got[e] - want[e]);

        if (!(error <= worst * scale))
            worst = scale > 0 ? error / scale : (double)INFINITY;
    }
    return worst;
}

static int bad; /* nets that do not agree */

/* What the reference makes of one set and between two. Equal samples have equal entries, so that of images, which take
 * time, those of different ones say all; but for nets that know whether two samples are one. */
static void witness(const struct net *net, double *one, double *two)
{
    static const int apart[] = {0, 1, 2, 0};
    double found[2 * APART * APART];

    if (strstr(net->text, "Dropout") || !net->shape->spatial) {
        compute("reference", net, NTK_F64, N, false, one);
        compute("reference", net, NTK_F64, N, true, two);
        return;
    }
    compute("reference", net, NTK_F64, APART, false, found);
    for (int e = 0; e < 2 * N; e++) {
        const double *row = found + (e / N * APART + apart[e % N]) * APART;

        for (int j = 0; j < N; j++)
            one[e * N + j] = row[apart[j]];
        for (int j = 0; j < N2; j++)
            two[e * N2 + j] = row[apart[same[j]]];
    }
}

/* In both types, of one set and between two. */
static void compare_backend(const char *backend, const char *isa, const struct net *net, double want[2][2 * N * N])
{
    double got[2 * N * N];

    for (int k = 0; k < 4; k++) {
        const ntk_dtype dtype = k % 2 ? NTK_F32 : NTK_F64;
        const bool two = k / 2;
        double error;

        compute(backend, net, dtype, N, two, got);
        error = error_of(got, want[two], two ? N2 : N, want[0]);
        if (!(error <= bound_of(net, dtype))) {
            print_message("%.1e %s %s float%d%s %s\n", error, backend, isa, 8 * (int)dtype, two ? " two sets" : "",
                          net->text);
            bad++;
        }
    }
}

/* All backends and instruction sets against the reference's float64. */
static void compare(const struct net *net)
{
    double want[2][2 * N * N];
    char names[128], *rest = names;

    witness(net, want[0], want[1]);
    snprintf(names, sizeof names, "%s", ntk_isa_available());
    for (char *isa; (isa = strsep(&rest, ", ")) != NULL;) {
        const char *why;

        if (!*isa)
            continue;
        assert_ok(ctx, ntk_ctx_set_isa(ctx, isa));
        for (size_t b = 0; b < ntk_n_backends; b++)
            if (strcmp(ntk_backends[b]->name, "reference") != 0 &&
                (!ntk_backends[b]->probe || ntk_backends[b]->probe(ctx, &why)))
                compare_backend(ntk_backends[b]->name, isa, net, want);
    }
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
}

static void nets_agree(void **state)
{
    (void)state;
    bad = 0;
    for (size_t i = 0; i < NETS; i += SANITIZED ? 4 : 1)
        compare(&nets[i]);
    assert_int_equal(bad, 0);
}

/* ------------------------------------------------------------------ activations */

/* One more setting of each that has parameters, besides its defaults; those that must be given come twice. */
static const struct {
    const char *name, *first, *second;
} settings[] = {
    {"LeakyRelu", "0.2", "-0.4"},
    {"ABRelu", "-0.5, 2", "0.3, 1"},
    {"Erf", "", "2, 0.5, -0.75"},
    {"Gelu", "", "approximate=True"},
    {"Sin", "", "0.5, 1.5, 0.75"},
    {"Cos", "", "1.2, 0.8, 0.4"},
    {"Rbf", "", "0.5"},
    {"Gaussian", "", "2, 0.03125"},
    {"Exp", "", "-0.5, 0.75"},
    {"Elu", "", "0.25"},
    {"Monomial", "3", "4"},
    {"RectifiedMonomial", "0", "2"},
    {"Polynomial", "(0.5, -1, 0.25)", "(0, 0.3, 0, 0.125)"},
    {"Hermite", "2", "5"},
};

static const char *setting_of(const struct ntk_activation *act, int which)
{
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++)
        if (strcmp(settings[k].name, act->base.name) == 0)
            return which ? settings[k].second : settings[k].first;
    if (act->base.params && act->base.params->name && strcmp(act->base.params->name, "do_stabilize") != 0)
        fail_msg("tests/unit/test_contract.c has no settings of %s", act->base.name);
    return "";
}

/* Variances that are 0, too, and of pairs of positions; Hermite's are 1. */
static void activations_agree(void **state)
{
    (void)state;
    bad = 0;
    for (size_t i = 0; i < ntk_n_activations(); i += SANITIZED ? 6 : 1)
        for (int which = 0; which < 2; which++) {
            const struct ntk_activation *act = ntk_activation_get(i);
            const char *norm = act->unit_variance ? "LayerNorm(), " : "", *name = act->base.name;
            const char *setting = setting_of(act, which);
            char text[400];

            snprintf(text, sizeof text, "serial(Dense(1, W_std=1.1, b_std=%s), %s%s(%s), Dense(1, W_std=0.7, b_std=0.3), %s%s(%s), Dense(1))",
                     which ? "0.2" : "0", norm, name, setting, norm, name, setting);
            compare(&(struct net){text, &vector});
            snprintf(text, sizeof text, "serial(Conv(1, (2, 2), padding='SAME', b_std=0.1), %s%s(%s), %s", norm, name, setting,
                     which ? FLAT ")" : POOL ")");
            compare(&(struct net){text, &square});
        }
    assert_int_equal(bad, 0);
}

/* ------------------------------------------------------------------ the witness's witness */

static const struct ntk_activation *activation_of(const char *text, ntk_net **net, const void **self)
{
    assert_ok(ctx, ntk_net_parse(ctx, text, net));
    *self = (*net)->tree->self;
    return (const struct ntk_activation *)(const void *)(*net)->tree->cls;
}

/* "coef=0.5;-1;0.25" -> "coef=(0.5,-1,0.25)" */
static void as_language(const char *name, char *params, char *text, size_t size)
{
    const bool list = strchr(params, ';');

    for (char *at = params; *at; at++)
        *at = *at == ';' ? ',' : *at;
    if (list)
        snprintf(text, size, "%s(coef=(%s))", name, params + strlen("coef="));
    else
        snprintf(text, size, "%s(%s)", name, params);
}

/* E[f f] and E[f' f'] of tests/golden/duals.tsv, relative to the roots of both samples' own. */
static void quadrature_is_exact(void **state)
{
    FILE *file = fopen(NTK_SOURCE_ROOT "/tests/golden/duals.tsv", "r");
    struct ntk_rule rule;
    char line[512];
    int n = 0;

    (void)state;
    assert_non_null(file);
    ntk_rule_make(&rule);
    bad = 0;
    while (fgets(line, sizeof line, file)) {
        char *at = line, *name = strsep(&at, "\t"), *params = strsep(&at, "\t"), text[200];
        double q1, q2, k, want[2];
        long double got[2], a[2], b[2];
        const struct ntk_activation *act;
        const void *self;
        ntk_net *net;

        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(at, "%lf %lf %lf %lf %lf", &q1, &q2, &k, &want[0], &want[1]), 5);
        as_language(name, params, text, sizeof text);
        act = activation_of(text, &net, &self);
        assert_true(ntk_reference_dual(&rule, act, self, q1, q2, k, &got[0], &got[1]));
        assert_true(ntk_reference_dual(&rule, act, self, q1 > 0 ? q1 : q2, q1 > 0 ? q1 : q2, q1 > 0 ? q1 : q2, &a[0], &a[1]));
        assert_true(ntk_reference_dual(&rule, act, self, q2, q2, q2, &b[0], &b[1]));
        for (int m = 0; m < 2; m++) {
            const double scale = (double)(sqrtl(a[m]) * sqrtl(b[m])), error = fabs((double)got[m] - want[m]);

            if (!(error <= 1e-13 * scale)) {
                print_message("%s %g %g %g: %d: %.17g, wanted %.17g: %.1e\n", text, q1, q2, k, m, (double)got[m], want[m], error / scale);
                bad++;
            }
        }
        ntk_net_free(net);
        n++;
    }
    fclose(file);
    assert_true(n > 300);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quadrature_is_exact),
        cmocka_unit_test(every_operation_is_used),
        cmocka_unit_test(every_layer_is_used),
        cmocka_unit_test(nets_agree),
        cmocka_unit_test(activations_agree),
    };

    return cmocka_run_group_tests_name("contract", tests, setup, teardown);
}
