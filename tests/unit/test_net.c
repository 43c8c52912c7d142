/* SPDX-License-Identifier: MIT
 *
 * What architectures mean: printing, equal nets, shapes, and what branches and the theory require.
 */
#include "language/net.h"
#include "context.h"

static const ntk_shape vector = {0, 1, 1, 7}, image = {2, 4, 6, 3};

static ntk_net *parse(const char *text)
{
    ntk_net *net = NULL;

    if (ntk_net_parse(ctx, text, &net) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    return net;
}

/* Reads text and prints it. */
static char *canonical(const char *text)
{
    ntk_net *net = parse(text);
    char *printed;

    assert_ok(ctx, ntk_net_print(net, &printed));
    ntk_net_free(net);
    return printed;
}

struct pair {
    const char *text, *want;
};
#define CHECK_ALL(pairs, check)                                  \
    for (size_t i = 0; i < sizeof(pairs) / sizeof *(pairs); i++) \
    check

static void kernel_entry(const char *text, ntk_shape shape, double out[2])
{
    ntk_net *net = parse(text);
    const ntk_net *nets[] = {net};
    double x[2 * 72];
    uint64_t seed = 11;
    ntk_kernel *k;
    ntk_data *data;
    double nngp[4], ntk[4];
    void *to[] = {nngp, ntk};

    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = test_normal(&seed);
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, NTK_F64, shape, &k));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 2, shape, &data));
    assert_ok(ctx, ntk_kernel_compute(k, data, NULL, to));
    out[0] = nngp[1];
    out[1] = ntk[1];
    ntk_data_free(data);
    ntk_kernel_free(k);
    ntk_net_free(net);
}

static const char *const round_trips[] = {
    "Dense(3, W_std=2**0.5, b_std=1/3)",
    "serial(Dense(3, W_std=1.1, b_std=0.1), Relu(), Dense(1, 0.123456789012345678))",
    "serial(Dense(4, parameterization='standard', s=(2, 3), b_std=0.2), Gelu(approximate=True), "
    "Dense(1, trainable=False))",
    "serial(Dense(4), residual(LeakyRelu(0.1), Dense(4, 1.5)), Erf(), Dense(2))",
    "serial(Dense(4), repeat(residual(Dense(4), Tanh(), Dense(4)), 3), LayerNorm(eps=0.1), "
    "Dense(1))",
    "serial(Dense(4), FanOut(3), parallel(Relu(), Sin(a=0.5, c=0.1), serial(Sign(), "
    "Dropout(0.8))), "
    "FanInConcat(), Dense(1))",
    "serial(FanOut(2), parallel(Dense(2), Dense(2)), FanInProd(), Dense(1, b_std=1e-7))",
    "serial(Dense(2), Polynomial((0.5, -1, 1e-3)), Dense(1))",
    "fc(depth=2, width=8, activation='silu')",
};

static void printing_and_reading_again_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof round_trips / sizeof *round_trips; i++) {
        char *once = canonical(round_trips[i]), *twice = canonical(once);
        double first[2], second[2];

        assert_string_equal(twice, once);
        kernel_entry(round_trips[i], vector, first);
        kernel_entry(once, vector, second);
        assert_memory_equal(first, second, sizeof first);
        ntk_text_free(once);
        ntk_text_free(twice);
    }
}

/* residual(...) prints as three levels of layers: what is accepted must still read back. */
static void deep_nets_read_back(void **state)
{
    int accepted = 0;

    (void)state;
    for (int depth = 10; depth < 200; depth += 3) {
        char text[4000] = "", *printed;
        ntk_net *net = NULL, *again;

        for (int k = 0; k < depth; k++)
            strcat(text, "residual(");
        strcat(text, "Dense(1, W_std=-(-2))");
        for (int k = 0; k < depth; k++)
            strcat(text, ")");
        if (ntk_net_parse(ctx, text, &net) != NTK_OK)
            continue;
        accepted++;
        assert_ok(ctx, ntk_net_print(net, &printed));
        assert_ok(ctx, ntk_net_parse(ctx, printed, &again));
        ntk_text_free(printed);
        ntk_net_free(net);
        ntk_net_free(again);
    }
    assert_true(accepted > 10);
}

/* Different ways to write one net. */
static void equal_nets_have_equal_kernels(void **state)
{
    static const char *const pairs[][2] = {
        {"serial(Dense(4), residual(Relu(), Dense(4)), Dense(1))",
         "serial(Dense(4), FanOut(2), parallel(Identity(), serial(Relu(), Dense(4))), FanInSum(), "
         "Dense(1))"},
        {"serial(repeat(serial(Dense(4, 1.2), Tanh()), 2), Dense(1))",
         "serial(Dense(4, 1.2), Tanh(), Dense(4, 1.2), Tanh(), Dense(1))"},
        {"serial(Dense(4), Elementwise('gelu'), Identity(), Dense(1))",
         "serial(Dense(4), serial(Gelu(), Dense(1)))"},
        {"fc(2, 16, 1.3, 0.2, 'erf')",
         "serial(Dense(5, 1.3, 0.2), Erf(), Dense(6, 1.3, 0.2), Erf(), Dense(7, 1.3, 0.2))"},
        {"serial(Dense(4), Dropout(0.5, mode='test'), Dense(1))", "serial(Dense(4), Dense(1))"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        double a[2], b[2];

        kernel_entry(pairs[i][0], vector, a);
        kernel_entry(pairs[i][1], vector, b);
        assert_memory_equal(a, b, sizeof a);
    }
}

static void check_not_lowered(const char *text, ntk_shape shape, ntk_status status,
                              const char *message)
{
    ntk_net *net = parse(text);
    const ntk_net *nets[] = {net};
    ntk_kernel *k = NULL;
    const ntk_status got = ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, shape, &k);

    if (got != status || strcmp(ntk_errmsg(ctx), message) != 0)
        fail_msg("%s: said '%s'\n  %s\nwanted\n  %s", text, ntk_strstatus(got), ntk_errmsg(ctx),
                 message);
    assert_null(k);
    ntk_net_free(net);
}

static void what_the_theory_requires_is_checked(void **state)
{
    static const struct pair nets[] = {
        {"serial(Dense(7), residual(Identity()))",
         "line 1, column 18: FanInSum: parallel branches 1 and 2 carry the same random field: "
         "their "
         "cross-covariance is not zero; put a Dense or Conv into one"},
        {"serial(Dense(7),\n FanOut(3), parallel(Dense(7), Relu(), Erf()),\n FanInProd(), "
         "Dense(1))",
         "line 3, column 2: FanInProd: parallel branches 2 and 3 carry the same random field: "
         "their "
         "cross-covariance is not zero; put a Dense or Conv into one"},
        {"serial(Dense(7), FanOut(2), parallel(Identity(), residual(Relu(), Dense(7))), "
         "FanInSum())",
         "line 1, column 79: FanInSum: parallel branches 1 and 2 carry the same random field: "
         "their "
         "cross-covariance is not zero; put a Dense or Conv into one"},
        {"serial(Dense(7), FanOut(2), parallel(Dense(7), serial(Dense(7), Relu())), FanInSum())",
         "line 1, column 75: FanInSum: branch 2 is not Gaussian: end it with an affine layer "
         "(Dense, "
         "Conv)"},
        {"residual(Dense(7))", "line 1, column 1: FanInSum: branch 1 is not Gaussian: end it with "
                               "an affine layer (Dense, "
                               "Conv)"},
        {"serial(Dense(7), Relu(), LayerNorm(), Dense(1))",
         "line 1, column 26: LayerNorm: needs a Gaussian input: put an affine layer (Dense, Conv) "
         "before it"},
        {"serial(Relu(), Dense(1))", "line 1, column 8: Relu: an activation needs an affine layer "
                                     "(Dense, Conv) before it"},
        {"serial(Dense(7), Relu(), Elementwise('tanh'), Dense(1))",
         "line 1, column 26: Tanh: an activation needs an affine layer (Dense, Conv) before it"},
        {"serial(Dense(7), FanOut(2), parallel(Dense(7), Dense(7)), FanInConcat(), Relu(), "
         "Dense(1))",
         "line 1, column 74: Relu: an activation needs an affine layer (Dense, Conv) before it"},
        {"serial(Dense(7), FanOut(2), parallel(Dense(7), Dense(7)), FanInProd(), Relu(), Dense(1))",
         "line 1, column 72: Relu: an activation needs an affine layer (Dense, Conv) before it"},
        {"serial(Identity(), Dropout(0.5), Dense(1))",
         "line 1, column 20: Dropout: cannot be the first layer: put it after an activation"},
    };

    (void)state;
    CHECK_ALL(nets, check_not_lowered(nets[i].text, vector, NTK_ETHEORY, nets[i].want));
}

static void branches_must_fit(void **state)
{
    static const struct pair nets[] = {
        {"serial(Dense(7), FanOut(2))",
         "line 1, column 1: serial: the net ends with 2 branches: join them with FanInSum()"},
        {"serial(FanOut(2), parallel(Dense(1), Dense(1), Dense(1)), FanInSum())",
         "line 1, column 19: parallel: has 3 branches, its input has 2: put FanOut(3) before it"},
        {"serial(parallel(Dense(1), Dense(1)), FanInSum())",
         "line 1, column 8: parallel: has 2 branches, its input has 1: put FanOut(2) before it"},
        {"serial(Dense(7), FanInSum())",
         "line 1, column 18: FanInSum: joins the branches of a parallel(...), got one input: put "
         "FanOut(n) and parallel(...) before it"},
        {"serial(FanOut(2), Dense(1))", "line 1, column 19: Dense: takes one input, got 2 "
                                        "branches: put it into a parallel(...) or "
                                        "join them with FanInSum()"},
        {"serial(Dense(2), FanOut(2), Relu())",
         "line 1, column 29: Relu: takes one input, got 2 branches: put it into a parallel(...) or "
         "join them with FanInSum()"},
        {"serial(FanOut(2), parallel(Dense(1), FanOut(2)), FanInSum())",
         "line 1, column 50: FanInSum: branch 2 is itself made of 2 branches: join those first"},
        {"serial(FanOut(2), parallel(Dense(1), Dense(2)), FanInSum())",
         "line 1, column 49: FanInSum: branches 1 and 2 have different shapes: 1 and 2"},
    };

    (void)state;
    CHECK_ALL(nets, check_not_lowered(nets[i].text, vector, NTK_ESHAPE, nets[i].want));
    check_not_lowered(
        "serial(FanOut(2), parallel(Identity(), Flatten()), FanInConcat(), Flatten())", image,
        NTK_ESHAPE,
        "line 1, column 52: FanInConcat: branches 1 and 2 have different positions: 4 "
        "x 6 x 3 and 72");
    check_not_lowered("serial(Dense(3), Relu())", image, NTK_ETHEORY,
                      "the net's output still has positions (4 x 6 x 3): end with Flatten() or "
                      "GlobalAvgPool()");
}

/* A layer of weights 0 has no random field to look at. */
static void zero_weights_are_a_net_too(void **state)
{
    double entry[2];

    (void)state;
    kernel_entry("serial(Dense(7, W_std=0), Dropout(0.5), Dense(1))", vector, entry);
    assert_true(entry[0] == 0 && entry[1] == 0);
    kernel_entry("serial(Dense(7, W_std=0), Relu(), Dense(1, b_std=0.5))", vector, entry);
    assert_true(entry[0] == 0.25 && entry[1] == 0.25);
    kernel_entry("serial(Dense(7, W_std=0), LayerNorm(), Dense(1))", vector, entry);
    assert_true(entry[0] == 0 && entry[1] == 0);
    kernel_entry("serial(Dense(7, W_std=0), Flatten(), Dense(1))", image, entry);
    assert_true(entry[0] == 0 && entry[1] == 0);
    kernel_entry("serial(Conv(7, (3, 3), W_std=0), Relu(), GlobalAvgPool(), Dense(1, b_std=0.5))",
                 image, entry);
    assert_true(entry[0] == 0.25 && entry[1] == 0.25);
}

/* W_std = 1 without biases leaves the covariance as it is, but the layer is there. */
static void dropout_after_a_plain_dense(void **state)
{
    double with[2], without[2];

    (void)state;
    kernel_entry("serial(Dense(7), Dropout(0.5), Dense(1))", vector, with);
    kernel_entry("serial(Dense(7), Dense(1))", vector, without);
    assert_memory_equal(with, without, sizeof with); /* two different samples do not feel it */
}

static void check_shape(const char *text, ntk_shape in, ntk_shape want, int positions)
{
    ntk_net *net = parse(text);
    ntk_shape out;

    if (ntk_net_shape(net, in, &out) != NTK_OK)
        fail_msg("%s: %s", text, ntk_errmsg(ctx));
    if (out.spatial != want.spatial || out.h != want.h || out.w != want.w || out.c != want.c)
        fail_msg("%s: shape %d %lld %lld %lld", text, out.spatial, (long long)out.h,
                 (long long)out.w, (long long)out.c);
    assert_int_equal(ntk_net_uses_positions(net), positions);
    ntk_net_free(net);
}

static void shapes_and_positions(void **state)
{
    const ntk_shape sequence = {1, 1, 5, 2},
                    bad[] = {{3, 1, 1, 1}, {-1, 1, 1, 1}, {0, 2, 1, 1}, {0, 1, 2, 1},
                             {1, 2, 2, 1}, {2, 0, 1, 1},  {2, 1, 1, 0}, {2, 1 << 30, 1 << 30, 1}};
    ntk_net *net = parse("Dense(3)");
    ntk_shape out = vector;

    (void)state;
    check_shape("Identity()", vector, vector, 0);
    check_shape("Dense(3)", vector, (ntk_shape){0, 1, 1, 3}, 0);
    check_shape("Dense(3)", sequence, (ntk_shape){1, 1, 5, 3}, 0);
    check_shape("serial(Dense(3), Relu())", image, (ntk_shape){2, 4, 6, 3}, 0);
    check_shape("Flatten()", image, (ntk_shape){0, 1, 1, 72}, 1);
    check_shape("serial(Flatten(), Dense(3))", sequence, (ntk_shape){0, 1, 1, 3}, 1);
    check_shape("Dense(3, s=(1, 4))", vector, (ntk_shape){0, 1, 1, 3}, 0);
    check_shape("Dense(3, s=(1, 4), parameterization='standard')", vector, (ntk_shape){0, 1, 1, 12},
                0);
    check_shape("serial(FanOut(2), parallel(Dense(3), Dense(4)), FanInConcat())", vector,
                (ntk_shape){0, 1, 1, 7}, 0);
    check_shape("serial(FanOut(2), parallel(Dense(3), repeat(Flatten(), 2)), FanInConcat())",
                vector, (ntk_shape){0, 1, 1, 10}, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ntk_net_shape(net, bad[i], &out), NTK_ESHAPE);
        assert_int_equal(out.c, vector.c);
    }
    ntk_net_free(net);
}

/* A net keeps nothing of the text it was read from. */
static void the_text_may_be_freed(void **state)
{
    char text[] = "serial(Dense(3, parameterization='standard'), Relu())", *printed;
    ntk_net *net = parse(text);

    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_ok(ctx, ntk_net_print(net, &printed));
    assert_string_equal(printed, "serial(Dense(3, parameterization='standard'), Relu())");
    ntk_text_free(printed);
    ntk_net_free(net);
    ntk_net_free(NULL);
}

/* What a short text can ask for is bounded, too. */
static void huge_nets_are_refused(void **state)
{
    static const char *const texts[] = {
        "repeat(repeat(repeat(Identity(), 10000), 10000), 10000)",
        "repeat(repeat(repeat(FanOut(1), 10000), 10000), 10000)",
        "repeat(repeat(repeat(serial(FanOut(64), parallel(Identity())), 10000), 10000), 10000)",
    };
    static const char wide[] =
        "repeat(serial(FanOut(4), parallel(Identity(), Identity(), Identity(), Identity()), "
        "FanInConcat()), 40)";
    ntk_net *net = parse(texts[0]);
    ntk_shape out;

    (void)state;
    assert_fails(ctx, NTK_EPARSE, "the net has more than 50000 layers",
                 ntk_net_shape(net, vector, &out));
    ntk_net_free(net);
    net = parse(texts[1]);
    assert_fails(ctx, NTK_EPARSE, "the net has more than 50000 layers",
                 ntk_net_shape(net, vector, &out));
    ntk_net_free(net);
    net = parse(texts[2]);
    assert_fails(ctx, NTK_ESHAPE, "has 1 branches, its input has 64",
                 ntk_net_shape(net, vector, &out));
    ntk_net_free(net);
    net = parse(wide);
    assert_fails(ctx, NTK_ESHAPE, "has more than 1e+15 numbers", ntk_net_shape(net, vector, &out));
    ntk_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printing_and_reading_again_changes_nothing),
        cmocka_unit_test(deep_nets_read_back),
        cmocka_unit_test(equal_nets_have_equal_kernels),
        cmocka_unit_test(what_the_theory_requires_is_checked),
        cmocka_unit_test(branches_must_fit),
        cmocka_unit_test(zero_weights_are_a_net_too),
        cmocka_unit_test(dropout_after_a_plain_dense),
        cmocka_unit_test(shapes_and_positions),
        cmocka_unit_test(the_text_may_be_freed),
        cmocka_unit_test(huge_nets_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
