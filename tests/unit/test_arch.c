/* SPDX-License-Identifier: MIT
 *
 * The architecture language: what is read, what is refused and with which words, and the catalogue
 * of all words. (What it means: test_net.c.)
 */
#include "language/net.h"
#include "context.h"

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

static void check_canonical(const char *text, const char *want)
{
    char *got = canonical(text);

    if (strcmp(got, want) != 0)
        fail_msg("%s: read as %s, wanted %s", text, got, want);
    ntk_text_free(got);
}

/* The text is refused with exactly this sentence, and no net comes out. */
static void check_refused(const char *text, ntk_status want, const char *message)
{
    ntk_net *net = NULL;
    const ntk_status status = ntk_net_parse(ctx, text, &net);

    if (status != want)
        fail_msg("%s: got '%s', wanted '%s'", text, ntk_strstatus(status), ntk_strstatus(want));
    if (strcmp(ntk_errmsg(ctx), message) != 0)
        fail_msg("%s: said\n  %s\nwanted\n  %s", text, ntk_errmsg(ctx), message);
    assert_null(net);
}

struct pair {
    const char *text, *want;
};
#define CHECK_ALL(pairs, check)                                  \
    for (size_t i = 0; i < sizeof(pairs) / sizeof *(pairs); i++) \
    check

/* ------------------------------------------------------------------ what is read */

static void expressions_follow_python(void **state)
{
    static const struct pair values[] = {
        {"2", "2"},
        {"2**0.5", "1.4142135623730951"},
        {"2**3**2", "512"},
        {"(2**3)**2", "64"},
        {"2**-1", "0.5"},
        {"--2**2", "4"},
        {"4 - -2**2", "8"},
        {"+3", "3"},
        {"-+-3", "3"},
        {"++3", "3"},
        {"1 + 2*3", "7"},
        {"(1 + 2)*3", "9"},
        {"10 - 3 - 2", "5"},
        {"16/4/2", "2"},
        {"1/3", "0.3333333333333333"},
        {"2*3 % 4", "2"},
        {"8 % 3", "2"},
        {"-7 % 3", "2"},
        {"5 - 7 % -3", "7"},
        {"5.5 % 0.1", "0.0999999999999997"}, /* fmod's exact remainder */
        {"6 % 3", "0"},
        {"1e3", "1000"},
        {"1E-2", "0.01"},
        {"1e+2", "100"},
        {".5", "0.5"},
        {"2.", "2"},
        {"1_000", "1000"},
        {"1e5", "100000"},
        {"123456", "123456"},
        {"234567.5", "234567.5"},
        {"2 if True else 3", "2"},
        {"2 if 0 else 3 if '' else 4", "4"},
        {"2 if not 1 == 2 else 3", "2"},
        {"2 if 1 < 2 and 2 <= 2 and 3 > 2 and 2 >= 2 and 1 != 2 else 3", "2"},
        {"2 if None or False or () else 3", "3"},
        {"0 or 5", "5"},
        {"2 and 5", "5"},
        {"2 if 'a' == \"a\" else 3", "2"},
        {"2 if 1 == 'a' else 3", "3"},
        {"2 if None == None else 3", "2"},
        {"2 if (3, 3) == (3, 3) and (3, 3) != (3, 4) and (3, 3) != (3,) and (3,) != 3 else 3", "2"},
    };
    char text[200], want[200];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(text, sizeof text, "Dense(1, W_std=%s)", values[i].text);
        snprintf(want, sizeof want, "Dense(1, W_std=%s)", values[i].want);
        check_canonical(text, want);
    }
}

static void arguments_by_place_and_by_keyword(void **state)
{
    static const struct pair nets[] = {
        {"Dense(5)", "Dense(5)"},
        {"Dense(out_dim=5)", "Dense(5)"},
        {"Dense(5, 2)", "Dense(5, W_std=2)"},
        {"Dense(5, 2, 0.1)", "Dense(5, W_std=2, b_std=0.1)"},
        {"Dense(5, b_std=0.1, W_std=2)", "Dense(5, W_std=2, b_std=0.1)"},
        {"Dense(b_std=0.1, out_dim=5)", "Dense(5, b_std=0.1)"},
        {"Dense(5, 1.0, None, 0, -1, 'ntk', (1, 1), True)", "Dense(5)"},
        {"Dense(5, b_std=0)", "Dense(5, b_std=0)"},
        {"Dense(5, b_std=0.0)", "Dense(5, b_std=0)"},
        {"Dense(5,)", "Dense(5)"},
        {"Dense(5, parameterization='standard', s=[2, 3])",
         "Dense(5, parameterization='standard', s=(2, 3))"},
        {"Dense(5, s=(2, 3,))", "Dense(5, s=(2, 3))"},
        {"Dense(5, trainable=False)", "Dense(5, trainable=False)"},
        {"Dense(1e3)", "Dense(1000)"},
        {"Dense(2**10)", "Dense(1024)"},
        {"LayerNorm()", "LayerNorm()"},
        {"LayerNorm(axis=(-1,), eps=1e-12)", "LayerNorm()"},
        {"LayerNorm(axis=-1)", "LayerNorm()"},
        {"LayerNorm(eps=1e-5)", "LayerNorm(eps=1e-05)"},
        {"LayerNorm(eps=2e-12)", "LayerNorm(eps=2e-12)"},
        {"Polynomial((1, 2, 0.5))", "Polynomial((1, 2, 0.5))"},
        {"Polynomial([1])", "Polynomial((1,))"},
        {"Polynomial(coef=3)", "Polynomial((3,))"},
        {"LeakyRelu(-0.1)", "LeakyRelu(-0.1)"},
        {"ABRelu(b=1, a=-1)", "ABRelu(-1, 1)"},
    };

    (void)state;
    CHECK_ALL(nets, check_canonical(nets[i].text, nets[i].want));
}

static void spaces_comments_and_prefixes_mean_nothing(void **state)
{
    static const struct pair nets[] = {
        {" \t\r\n Relu ( ) \n", "Relu()"},
        {"# a net\nserial( # its layers\n  Dense(3), # the first\n  Relu(),\n) # the end",
         "serial(Dense(3), Relu())"},
        {"Dense(3) # the end", "Dense(3)"},
        {"Dense\\\n(3)", "Dense(3)"},
        {"stax.serial(stax.Dense(3), stax.Relu())", "serial(Dense(3), Relu())"},
        {"nt.stax.Dense(3)", "Dense(3)"},
        {"ntk.Dense(3)", "Dense(3)"},
        {"neural_tangents.stax.Dense(3)", "Dense(3)"},
        {"stax . Dense(3)", "Dense(3)"},
        {"(Dense(3))", "Dense(3)"},
        {"((serial((Dense(3)), Relu())))", "serial(Dense(3), Relu())"},
        {"Dense(3, parameterization=\"ntk\")", "Dense(3)"},
    };

    (void)state;
    CHECK_ALL(nets, check_canonical(nets[i].text, nets[i].want));
}

static void layers_are_combined(void **state)
{
    static const struct pair nets[] = {
        {"serial(Dense(3))", "serial(Dense(3))"},
        {"serial([Dense(3), Relu()])", "serial(Dense(3), Relu())"},
        {"serial((Dense(3), Relu(),))", "serial(Dense(3), Relu())"},
        {"serial(serial(Dense(3)), Relu())", "serial(serial(Dense(3)), Relu())"},
        {"serial(FanOut(2), parallel(Dense(3), Dense(3)), FanInSum())",
         "serial(FanOut(2), parallel(Dense(3), Dense(3)), FanInSum())"},
        {"serial(FanOut(num=2), parallel([Dense(3), Identity()]), FanInConcat(-1))",
         "serial(FanOut(2), parallel(Dense(3), Identity()), FanInConcat())"},
        {"residual(Relu(), Dense(3))",
         "serial(FanOut(2), parallel(Identity(), serial(Relu(), Dense(3))), FanInSum())"},
        {"residual(Dense(3))", "serial(FanOut(2), parallel(Identity(), Dense(3)), FanInSum())"},
        {"repeat(Dense(3), 4)", "repeat(Dense(3), 4)"},
        {"repeat(n=2 * 2, layer=repeat(Dense(3), 2))", "repeat(repeat(Dense(3), 2), 4)"},
        {"Dense(3) if True else Relu()", "Dense(3)"},
    };

    (void)state;
    CHECK_ALL(nets, check_canonical(nets[i].text, nets[i].want));
}

static void activations_by_name(void **state)
{
    static const struct pair nets[] = {
        {"Elementwise('tanh')", "Tanh()"},
        {"Elementwise('relu')", "Relu()"},
        {"Elementwise('ReLU')", "Relu()"},
        {"Elementwise(\"leaky_relu\", 0.1)", "LeakyRelu(0.1)"},
        {"Elementwise('LeakyRelu', alpha=0.1)", "LeakyRelu(0.1)"},
        {"Elementwise(fn='gelu_tanh')", "Gelu_tanh()"},
        {"Elementwise('polynomial', (1, 2))", "Polynomial((1, 2))"},
        {"ElementwiseNumerical('tanh', 25)", "Tanh()"},
        {"ElementwiseNumerical('tanh', deg=25)", "Tanh()"},
        {"ElementwiseNumerical(fn='leaky_relu', deg=25, alpha=0.5)", "LeakyRelu(0.5)"},
        {"ElementwiseNumerical('tanh')", "Tanh()"},
    };

    (void)state;
    CHECK_ALL(nets, check_canonical(nets[i].text, nets[i].want));
}

static void log_to_text(int level, const char *text, void *user)
{
    assert_int_equal(level, 0);
    snprintf(user, 200, "%s", text);
}

static void an_ignored_degree_is_noted(void **state)
{
    char note[200] = "";

    (void)state;
    ntk_ctx_set_log(ctx, log_to_text, note);
    ntk_text_free(canonical("Elementwise('tanh')"));
    assert_string_equal(note, "");
    ntk_text_free(canonical("serial(Dense(2),\n ElementwiseNumerical('tanh', 25))"));
    ntk_ctx_set_log(ctx, NULL, NULL);
    assert_string_equal(note, "line 2, column 2: ElementwiseNumerical: deg is ignored: 'tanh' is "
                              "computed to a stated error without it");
}

static void presets_are_called_like_functions(void **state)
{
    static const struct pair nets[] = {
        {"fc()", "serial(repeat(serial(Dense(512, W_std=1.4142135623730951, b_std=0.1), Relu()), "
                 "3), Dense(1, W_std=1.4142135623730951, b_std=0.1))"},
        {"ntk.fc(1, 8, 1, None, 'erf', outputs=10)",
         "serial(repeat(serial(Dense(8), Erf()), 1), Dense(10))"},
        {"residual(fc(depth=2, width=4, W_std=2, b_std=0))",
         "serial(FanOut(2), parallel(Identity(), serial(repeat(serial(Dense(4, W_std=2, b_std=0), "
         "Relu()), 2), Dense(1, W_std=2, b_std=0))), FanInSum())"},
    };

    (void)state;
    CHECK_ALL(nets, check_canonical(nets[i].text, nets[i].want));
    assert_non_null(strstr(ntk_preset_text("fc"), "def fc("));
    assert_null(ntk_preset_text("Dense"));
    assert_null(ntk_preset_text(""));
}

/* ------------------------------------------------------------------ what is refused */

static void syntax_errors_name_place_and_reason(void **state)
{
    static const struct pair texts[] = {
        {"", "line 1, column 1: expected a layer or a value, got the end of the text"},
        {"\n # nothing\n",
         "line 3, column 1: expected a layer or a value, got the end of the text"},
        {"serial(", "line 1, column 8: expected a layer or a value, got the end of the text"},
        {"serial(Dense(1)", "line 1, column 16: expected ')', got the end of the text"},
        {"serial(Dense(1) Relu())", "line 1, column 17: expected ')', got 'Relu'"},
        {"serial(Dense(1),\n  , Relu())", "line 2, column 3: expected a layer or a value, got ','"},
        {"Dense(1))", "line 1, column 9: expected the end of the text, got ')'"},
        {"Dense(1) 2", "line 1, column 10: expected the end of the text, got 2"},
        {"Dense(1", "line 1, column 8: expected ')', got the end of the text"},
        {"Dense([1, 2)", "line 1, column 12: expected ']', got ')'"},
        {"Dense(1, 'a)", "line 1, column 10: this string does not end (one line, no backslashes)"},
        {"Dense(1, 'a\n')",
         "line 1, column 10: this string does not end (one line, no backslashes)"},
        {"Dense(1, 'a\\n')",
         "line 1, column 10: this string does not end (one line, no backslashes)"},
        {"Dense(1.2.3)", "line 1, column 7: '1.2.3' is not a number"},
        {"Dense(0x10)", "line 1, column 7: '0' is not a number"},
        {"Dense(1e)", "line 1, column 7: '1e' is not a number"},
        {"Dense(12ab)", "line 1, column 7: '12' is not a number"},
        {"Dense(1e999)", "line 1, column 7: '1e999' is too large a number"},
        {"Dense(1; 2)", "line 1, column 8: unexpected character ';'"},
        {"Dense(1) \x01", "line 1, column 10: unexpected byte 0x01"},
        {"'\xc3\xa9\xc3\xa9' \xff", "line 1, column 6: unexpected byte 0xff"},
        {"Dense(W_std=1, 5)", "line 1, column 17: an argument without keyword after 'W_std='"},
        {"Dense(5=1)", "line 1, column 8: a keyword must stand before '='"},
        {"foo.Dense(1)", "line 1, column 4: unknown prefix 'foo.': only stax. and ntk. are"},
        {"stax.(1)", "line 1, column 6: expected a name after '.', got '('"},
        {"Dense(1 if True)", "line 1, column 16: expected 'else', got ')'"},
        {"Dense(1 if 1 < 2 < 3 else 2)",
         "line 1, column 18: comparisons cannot be chained: write 'a < b and b < c'"},
    };

    (void)state;
    CHECK_ALL(texts, check_refused(texts[i].text, NTK_EPARSE, texts[i].want));
}

static void values_are_checked(void **state)
{
    static const struct pair texts[] = {
        {"3", "line 1, column 1: value: expected a layer, got 3"},
        {"serial(Dense(1), 3.5)", "line 1, column 18: value: expected a layer, got 3.5"},
        {"(Dense(1), 'a', None)",
         "line 1, column 1: value: expected a layer, got (a layer, 'a', None)"},
        {"Dense(1/0)", "line 1, column 8: value: 1 / 0 is not a finite number"},
        {"Dense(1 % 0)", "line 1, column 9: value: 1 % 0 is not a finite number"},
        {"Dense((-8)**0.5)", "line 1, column 11: value: -8 ** 0.5 is not a finite number"},
        {"Dense(1e300*1e300)", "line 1, column 12: value: 1e+300 * 1e+300 is not a finite number"},
        {"Dense(1 + 'a')", "line 1, column 9: value: '+' needs two numbers, got 1 and 'a'"},
        {"Dense((1, 2) < 3)", "line 1, column 14: value: '<' needs two numbers, got (1, 2) and 3"},
        {"Dense(-'a')", "line 1, column 7: value: '-' needs a number, got 'a'"},
        {"Dense(+None)", "line 1, column 7: value: '+' needs a number, got None"},
        {"+Dense(1)", "line 1, column 1: value: '+' needs a number, got a layer"},
        {"Dense(x)", "line 1, column 7: unknown layer 'x'; 'ntk layers' lists those there are"},
    };

    (void)state;
    CHECK_ALL(texts, check_refused(texts[i].text, NTK_EPARSE, texts[i].want));
}

static void arguments_are_checked(void **state)
{
    static const struct pair texts[] = {
        {"Dense()",
         "line 1, column 1: Dense: argument 'out_dim' is missing (width of the layer, at "
         "least 1)"},
        {"serial(\n    Dense(1, width=3))",
         "line 2, column 5: Dense: unknown argument 'width'; try 'ntk layers Dense'"},
        {"Dense(1, w_sdt=3)",
         "line 1, column 1: Dense: unknown argument 'w_sdt'; did you mean 'W_std'?"},
        {"Dense(1, out_dim=2)", "line 1, column 1: Dense: argument 'out_dim' is given twice"},
        {"Dense(1, W_std=2, W_std=3)", "line 1, column 1: Dense: argument 'W_std' is given twice"},
        {"Dense(1, 1, 1, 0, -1, 'ntk', (1, 1), True, 9)",
         "line 1, column 1: Dense: takes at most 8 arguments, got 9"},
        {"Identity(1)", "line 1, column 1: Identity: takes at most 0 arguments, got 1"},
        {"FanOut(2, 3)", "line 1, column 1: FanOut: takes at most 1 argument, got 2"},
        {"Dense('a')", "line 1, column 1: Dense: out_dim must be an integer, got 'a' (width of the "
                       "layer, at least 1)"},
        {"Dense(1.5)", "line 1, column 1: Dense: out_dim must be an integer, got 1.5 (width of the "
                       "layer, at least 1)"},
        {"Dense(0)",
         "line 1, column 1: Dense: out_dim must be from 1 to 1e+09, got 0 (width of the "
         "layer, at least 1)"},
        {"Dense(None)", "line 1, column 1: Dense: out_dim must be an integer, got None (width of "
                        "the layer, at least 1)"},
        {"Dense(1, b_std='a')",
         "line 1, column 1: Dense: b_std must be a number or None, got 'a' (standard deviation of "
         "the biases, >= 0; None: no biases)"},
        {"Dense(1, b_std=-0.1)",
         "line 1, column 1: Dense: b_std must be from 0 to 1e+06, got -0.1 (standard deviation of "
         "the biases, >= 0; None: no biases)"},
        {"Dense(1, W_std=True)", "line 1, column 1: Dense: W_std must be a number, got True "
                                 "(standard deviation of the weights, >= 0)"},
        {"Dense(1, trainable=1)",
         "line 1, column 1: Dense: trainable must be True or False, got 1 (False: the weights stay "
         "as initialised and add nothing to the tangent kernel)"},
        {"Dense(1, parameterization='NTK')",
         "line 1, column 1: Dense: parameterization must be one of 'ntk', 'standard', got 'NTK'"},
        {"Dense(1, s=(1, 2, 3))", "line 1, column 1: Dense: s must be two integers, got 3"},
        {"Dense(1, s=(1, 'a'))",
         "line 1, column 1: Dense: s must be a tuple of integers, got (1, 'a') (integer width "
         "multipliers before and after the layer, for 'standard')"},
        {"Dense(1, s=(1, (1, 2)))",
         "line 1, column 1: Dense: s must be a tuple of integers, got (1, (1, 2)) (integer width "
         "multipliers before and after the layer, for 'standard')"},
        {"Dense(1, s=(1, 0))",
         "line 1, column 1: Dense: s must be from 1 to 1e+09, got 0 (integer width multipliers "
         "before and after the layer, for 'standard')"},
        {"Dense(1, s=(1, 2, 3, 4, 5, 6, 7, 8, 9))",
         "line 1, column 1: Dense: s has 9 numbers, at most 8 are allowed"},
        {"LayerNorm(axis=())", "line 1, column 1: LayerNorm: axis must name at least the channels (-1), "
                               "got ()"},
        {"LayerNorm(axis=(-1, -1))", "line 1, column 1: LayerNorm: axis has -1 twice"},
    };

    (void)state;
    CHECK_ALL(texts, check_refused(texts[i].text, NTK_EPARSE, texts[i].want));
}

static void combinators_check_their_arguments(void **state)
{
    static const struct pair texts[] = {
        {"serial()", "line 1, column 1: serial: needs at least one layer"},
        {"serial([])", "line 1, column 1: serial: needs at least one layer"},
        {"parallel(())", "line 1, column 1: parallel: needs at least one layer"},
        {"residual()", "line 1, column 1: residual: needs at least one layer"},
        {"serial(Dense(1), name=Relu())",
         "line 1, column 1: serial: takes layers, not the argument 'name'"},
        {"serial(layers=[Dense(1)])",
         "line 1, column 1: serial: takes layers, not the argument 'layers'"},
        {"serial([Dense(1)], [Relu()])",
         "line 1, column 8: value: expected a layer, got (a layer,)"},
        {"FanOut()", "line 1, column 1: FanOut: argument 'num' is missing"},
        {"FanOut(0)", "line 1, column 1: FanOut: num must be an integer from 1 to 64, got 0"},
        {"FanOut(65)", "line 1, column 1: FanOut: num must be an integer from 1 to 64, got 65"},
        {"FanOut('a')", "line 1, column 1: FanOut: num must be an integer from 1 to 64, got 'a'"},
        {"repeat(n=3)", "line 1, column 1: repeat: argument 'layer' is missing"},
        {"repeat(Relu())", "line 1, column 1: repeat: argument 'n' is missing"},
        {"repeat(3, Relu())", "line 1, column 8: value: expected a layer, got 3"},
        {"repeat(Relu(), 1.5)",
         "line 1, column 1: repeat: n must be an integer from 1 to 10000, got 1.5"},
        {"repeat(Relu(), 10001)",
         "line 1, column 1: repeat: n must be an integer from 1 to 10000, got 10001"},
        {"Elementwise()",
         "line 1, column 1: Elementwise: needs an activation's name, like 'tanh', first"},
        {"Elementwise(tanh='a')",
         "line 1, column 1: Elementwise: needs an activation's name, like 'tanh', first"},
        {"Elementwise(3)",
         "line 1, column 1: Elementwise: needs an activation's name, like 'tanh', first"},
        {"Elementwise('relu', 1, 2)", "line 1, column 1: Relu: takes at most 1 argument, got 2"},
    };

    (void)state;
    CHECK_ALL(texts, check_refused(texts[i].text, NTK_EPARSE, texts[i].want));
}

static void presets_check_their_arguments(void **state)
{
    ntk_net *net = NULL;

    (void)state;
    check_refused(
        "fc(dept=2)", NTK_EPARSE,
        "line 1, column 1: fc: unknown argument 'dept'; did you mean 'depth'?");
    assert_fails(ctx, NTK_EPARSE,
                 "line 1, column 8: in fc(): ", ntk_net_parse(ctx, "serial(fc(depth=0))", &net));
    assert_fails(ctx, NTK_EPARSE, "repeat: n must be an integer from 1 to 10000, got 0",
                 ntk_net_parse(ctx, "fc(depth=0)", &net));
    assert_fails(ctx, NTK_EPARSE, "unknown activation 'rleu'",
                 ntk_net_parse(ctx, "fc(activation='rleu')", &net));
    assert_fails(ctx, NTK_EPARSE, "unknown layer 'depth'", /* parameters are the preset's alone */
                 ntk_net_parse(ctx, "fc(depth=depth)", &net));
    assert_null(net);
}

/* A word without quotes is no layer. */
static void words_are_written_in_quotes(void **state)
{
    static const struct pair texts[] = {
        {"fc(depth=3, activation=gelu)", "line 1, column 24: activation: a word is written in quotes: 'gelu' or \"gelu\""},
        {"fc(activation=Gelu)", "line 1, column 15: activation: a word is written in quotes: 'Gelu' or \"Gelu\""},
        {"serial(fc(activation=Gelu()))",
         "line 1, column 22: activation: a word is written in quotes: 'Gelu' or \"Gelu\""},
        {"Elementwise(tanh)", "line 1, column 13: fn: a word is written in quotes: 'tanh' or \"tanh\""},
        {"Dense(1, parameterization=ntk)",
         "line 1, column 27: parameterization: a word is written in quotes: 'ntk' or \"ntk\""},
        {"cntk(pool=gap)", "line 1, column 11: pool: a word is written in quotes: 'gap' or \"gap\""},
    };
    ntk_net *net = NULL;

    (void)state;
    CHECK_ALL(texts, check_refused(texts[i].text, NTK_EPARSE, texts[i].want));
    assert_int_equal(ntk_net_parse(ctx, "fc(activation=\"gelu\")", &net), NTK_OK);
    ntk_net_free(net);
}

static void misspelt_names_get_a_suggestion(void **state)
{
    char text[500], want[600], name[400];

    (void)state;
    check_refused("Dens(1)", NTK_EPARSE,
                  "line 1, column 1: unknown layer 'Dens'; did you mean 'Dense'?");
    check_refused("serial(Dense(1), relu())", NTK_EPARSE,
                  "line 1, column 18: unknown layer 'relu'; did you mean 'Relu'?");
    check_refused("Sreial(Dense(1))", NTK_EPARSE,
                  "line 1, column 1: unknown layer 'Sreial'; did you mean 'serial'?");
    check_refused("stax.FanInSun()", NTK_EPARSE,
                  "line 1, column 6: unknown layer 'FanInSun'; did you mean 'FanInSum'?");
    check_refused("Xyzzy()", NTK_EPARSE,
                  "line 1, column 1: unknown layer 'Xyzzy'; 'ntk layers' lists those there are");
    check_refused("Relu", NTK_EPARSE,
                  "line 1, column 1: Relu: a layer is written with brackets: Relu()");
    check_refused("Elementwise('tahn')", NTK_EPARSE,
                  "line 1, column 1: Elementwise: unknown activation 'tahn'; did you mean 'Tanh'?");
    check_refused("Elementwise('xyzzy')", NTK_EPARSE,
                  "line 1, column 1: Elementwise: unknown activation 'xyzzy'; 'ntk layers' lists "
                  "those there are");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text, "%s()", name);
    snprintf(want, sizeof want,
             "line 1, column 1: unknown layer '%s'; 'ntk layers' lists those there are", name);
    check_refused(text, NTK_EPARSE, want);
}

static void layers_without_a_kernel_say_why(void **state)
{
    ntk_net *net = NULL;

    (void)state;
    check_refused("serial(Dense(1), Relu(), MaxPool((2, 2)))", NTK_ETHEORY,
                  "line 1, column 26: MaxPool: has no infinite-width kernel: the maximum of "
                  "correlated Gaussians has no closed recursion; use AvgPool or SumPool");
    assert_fails(ctx, NTK_ETHEORY, "use LayerNorm", ntk_net_parse(ctx, "BatchNorm()", &net));
    assert_fails(ctx, NTK_ETHEORY, "linear output", ntk_net_parse(ctx, "Softmax()", &net));
}

static char *repeated(const char *before, int n, const char *inside, const char *after)
{
    const size_t size = (strlen(before) + strlen(after)) * (size_t)n + strlen(inside) + 1;
    char *text = malloc(size), *at = text;

    assert_non_null(text);
    for (int i = 0; i < n; i++)
        at = stpcpy(at, before);
    at = stpcpy(at, inside);
    for (int i = 0; i < n; i++)
        at = stpcpy(at, after);
    return text;
}

static void deep_nesting_is_refused_not_overflown(void **state)
{
    static const struct {
        const char *before, *inside, *after;
    } texts[] = {
        {"(", "Dense(1)", ")"},
        {"[", "1", "]"},
        {"serial(", "Dense(1)", ")"},
        {"residual(", "Dense(1)", ")"},
        {"f(", "1", ")"},
        {"-", "1", ""},
        {"+", "1", ""},
        {"not ", "1", ""},
        {"2**", "2", ""},
        {"2**-", "2", ""},
        {"1 if 1 else ", "1", ""},
        {"1 + ", "1", ""},
        {"1 and ", "1", ""},
        {"repeat(", "Dense(1)", ", 1)"},
        {"Dense(W_std=", "1", ")"},
    };
    char *text;
    ntk_net *net;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        text = repeated(texts[i].before, 100000, texts[i].inside, texts[i].after);
        assert_fails(ctx, NTK_EPARSE, "deep", ntk_net_parse(ctx, text, &net));
        free(text);
    }
    text = repeated("serial(", 60, "Dense(1)", ")");
    net = parse(text);
    free(text);
    ntk_net_free(net);
}

/* ------------------------------------------------------------------ the catalogue */

static bool one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

static void every_word_is_documented(void **state)
{
    static const char *const kinds[] = {"layer", "activation", "combinator", "preset", NULL};
    static const char *const types[] = {"number",   "integer", "bool",   "choice", "numbers",
                                        "integers", "layer",   "layers", "text",   NULL};
    const size_t n = ntk_layer_count();

    (void)state;
    assert_true(n > 30);
    for (size_t i = 0; i < n; i++) {
        const ntk_layer_info *w = ntk_layer_get(i);

        assert_non_null(w);
        if (!w->name || !*w->name || !one_of(w->kind, kinds))
            fail_msg("word %zu has no name or kind", i);
        if (!w->summary || !*w->summary || !w->formula || !*w->formula || !w->source || !w->cost)
            fail_msg("%s lacks a summary or formula", w->name);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(w->name, ntk_layer_get(j)->name);
        for (size_t k = 0; k < w->n_params; k++) {
            const ntk_param_info *p = &w->params[k];

            if (!p->name || !*p->name || !p->doc || !*p->doc || !p->value || !p->type ||
                (!one_of(p->type, types) && strcmp(w->kind, "preset") != 0))
                fail_msg("%s: parameter %zu (%s) lacks its type or documentation", w->name, k,
                         p->name ? p->name : "?");
        }
    }
    assert_null(ntk_layer_get(n));
    assert_null(ntk_layer_get(SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_follow_python),
        cmocka_unit_test(arguments_by_place_and_by_keyword),
        cmocka_unit_test(spaces_comments_and_prefixes_mean_nothing),
        cmocka_unit_test(layers_are_combined),
        cmocka_unit_test(activations_by_name),
        cmocka_unit_test(an_ignored_degree_is_noted),
        cmocka_unit_test(presets_are_called_like_functions),
        cmocka_unit_test(syntax_errors_name_place_and_reason),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(combinators_check_their_arguments),
        cmocka_unit_test(presets_check_their_arguments),
        cmocka_unit_test(words_are_written_in_quotes),
        cmocka_unit_test(misspelt_names_get_a_suggestion),
        cmocka_unit_test(layers_without_a_kernel_say_why),
        cmocka_unit_test(deep_nesting_is_refused_not_overflown),
        cmocka_unit_test(every_word_is_documented),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
