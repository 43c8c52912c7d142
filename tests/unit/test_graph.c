/* SPDX-License-Identifier: MIT
 *
 * The graph of operations: which parameters its numbers come from, what nets share, and its text.
 */
#include <math.h>

#include "activations/activation.h"
#include "context.h"
#include "kernel/nets.h"
#include "language/net.h"

static const ntk_shape vector = {0, 1, 1, 7}, image = {2, 4, 6, 3};

/* The graph of some nets' NNGP and NTK. */
static void lower(struct ntk_graph *g, bool derivatives, ntk_shape shape, int n_nets, const char *const *texts,
                  int outputs[4])
{
    ntk_net *nets[2];
    int n;

    ntk_graph_init(g, ctx);
    g->derivatives = derivatives;
    for (int k = 0; k < n_nets; k++)
        assert_ok(ctx, ntk_net_parse(ctx, texts[k], &nets[k]));
    if (ntk_nets_lower((const ntk_net *const *)nets, (size_t)n_nets, NTK_NNGP | NTK_NTK, shape, g, outputs, &n) !=
        NTK_OK)
        fail_msg("%s: %s", texts[0], ntk_errmsg(ctx));
    assert_int_equal(n, 2 * n_nets);
    for (int k = 0; k < n_nets; k++)
        ntk_net_free(nets[k]); /* a graph outlives them */
}

static int count_nodes(const char *const *texts, int n_nets, bool derivatives)
{
    struct ntk_graph g;
    int outputs[4], n;

    lower(&g, derivatives, vector, n_nets, texts, outputs);
    n = g.n;
    ntk_graph_free(&g);
    return n;
}

static int count_origins(const struct ntk_node *v)
{
    int n = 0;

    for (const struct ntk_origin *o = v->origins; o; o = o->next)
        n++;
    return n;
}

/* An origin in that layer of that parameter (and number of a list); NULL: there is none. */
static const struct ntk_origin *find(const struct ntk_graph *g, int layer, const char *parameter, int index)
{
    for (int v = 0; v < g->n; v++)
        for (const struct ntk_origin *o = g->nodes[v].origins; o; o = o->next)
            if (o->layer.number == layer && strcmp(o->from.parameter, parameter) == 0 &&
                o->index == index)
                return o;
    return NULL;
}

/* ---- every word with numbers */

/* Numbers differ: 0.5, 0.25, ... */
static double number_of(int k) { return ldexp(1, -1 - k); }

/* A call with all its numbers given, and what else must be. */
static void add_call(struct ntk_text *t, const struct ntk_class *cls)
{
    int k = 0;

    ntk_text_add(t, "%s(", cls->name);
    for (const struct ntk_param *p = cls->params; p && p->name; p++) {
        if (p->type == NTK_TYPE_NUMBER)
            ntk_text_add(t, "%s=%.17g, ", p->name, number_of(k++));
        else if (p->type == NTK_TYPE_NUMBERS)
            ntk_text_add(t, "%s=(0.375, 0.1875), ", p->name);
        else if (!p->value)
            ntk_text_add(t, "%s=%s, ", p->name, p->type == NTK_TYPE_INTEGERS ? "(2, 2)" : "2");
    }
    ntk_text_add(t, ")");
}

static void check_origins(const struct ntk_graph *g, const struct ntk_class *cls)
{
    int k = 0;

    for (const struct ntk_param *p = cls->params; p && p->name; p++) {
        const bool list = p->type == NTK_TYPE_NUMBERS;

        if (p->type != NTK_TYPE_NUMBER && !list)
            continue;
        for (int i = 0; i < (list ? 2 : 1); i++) {
            const struct ntk_origin *o = find(g, 2, p->name, list ? i : -1);
            const double value = list ? (i ? 0.1875 : 0.375) : number_of(k++);

            if (!o)
                fail_msg("no number of the graph comes from %s of %s", p->name, cls->name);
            assert_true(o->from.value == value);
            assert_true(o->from.x == pow(value, o->from.power));
            assert_int_equal(o->layer.net, 1);
            assert_string_equal(o->layer.name, cls->name);
        }
    }
}

static void check_class(const struct ntk_class *cls, bool positions, bool derivatives)
{
    struct ntk_text t = {0};
    struct ntk_graph g;
    int outputs[4];

    ntk_text_add(&t, "serial(Dense(8), ");
    add_call(&t, cls);
    ntk_text_add(&t, positions ? ", Flatten(), Dense(1))" : ", Dense(1))");
    lower(&g, derivatives, positions ? image : vector, 1, (const char *const[]){t.s}, outputs);
    check_origins(&g, cls);
    ntk_graph_free(&g);
    free(t.s);
}

static void test_every_word(void **state)
{
    (void)state;
    for (int derivatives = 0; derivatives < 2; derivatives++) {
        for (size_t i = 0; i < ntk_n_layers; i++)
            if (!ntk_layers[i]->many && strcmp(ntk_layers[i]->base.name, "Flatten") != 0)
                check_class(&ntk_layers[i]->base, ntk_layers[i]->positions, derivatives);
        for (size_t i = 0; i < ntk_n_activations(); i++)
            check_class(&ntk_activation_get(i)->base, false, derivatives);
    }
}

/* ---- powers and factors */

static void check_origin(const char *text, ntk_shape shape, const char *layer, const char *parameter, int power,
                         double x)
{
    struct ntk_graph g;
    int outputs[4];
    bool found = false;

    lower(&g, false, shape, 1, &text, outputs);
    for (int v = 0; v < g.n; v++)
        for (const struct ntk_origin *o = g.nodes[v].origins; o; o = o->next)
            found = found || (strcmp(o->layer.name, layer) == 0 && strcmp(o->from.parameter, parameter) == 0 &&
                              o->from.power == power && fabs(o->from.x / x - 1) < 1e-15);
    if (!found)
        fail_msg("%s: no %g that is %s^%d of %s", text, x, parameter, power, layer);
    ntk_graph_free(&g);
}

static void test_powers(void **state)
{
    static const char standard[] =
        "serial(Conv(4, (3, 3), W_std=0.5, b_std=2, parameterization='standard'), Flatten(), Dense(1, 3))";

    (void)state;
    check_origin("Dense(1, 3, 2)", vector, "Dense", "W_std", 2, 9);
    check_origin("Dense(1, 3, 2)", vector, "Dense", "b_std", 2, 4);
    check_origin("serial(Dense(1, 3), Dense(1, 2))", vector, "Dense", "W_std", 2, 8); /* 4 S + 4 S */
    check_origin("serial(Dense(1), Relu(), Dropout(0.25), Dense(1))", vector, "Dropout", "rate", -1, 4);
    check_origin("serial(Dense(1), LayerNorm(eps=0.125), Relu(), Dense(1))", vector, "LayerNorm", "eps", 1, 0.125);
    check_origin(standard, image, "Conv", "W_std", 2, 0.25);
    check_origin(standard, image, "Conv", "W_std", -2, 27 / 0.25);
    check_origin(standard, image, "Conv", "b_std", 2, 4);
}

/* ---- what is shared */

static void check_layers(const struct ntk_node *v, int n, const int (*layers)[2])
{
    const struct ntk_origin *o = v->origins;

    assert_int_equal(count_origins(v), n);
    for (int k = 0; k < n; k++, o = o->next) {
        assert_int_equal(o->layer.net, layers[n - 1 - k][0]);
        assert_int_equal(o->layer.number, layers[n - 1 - k][1]);
    }
}

static void test_unite(void **state)
{
    static const char *const texts[] = {"serial(Dense(8, 3), Relu(), Dense(1, 3))",
                                        "serial(Identity(), Dense(4, 3), LeakyRelu(0.5), Dense(1))"};
    static const char branches[] =
        "serial(FanOut(3), parallel(Dense(8, 3), Dense(8, 2), serial(Dense(8, 3), Relu(), Dense(8))), FanInSum())";
    struct ntk_graph g;
    int outputs[4];

    (void)state;
    lower(&g, false, vector, 2, texts, outputs);
    check_layers(&g.nodes[1], 2, (const int[][2]){{1, 1}, {2, 2}}); /* 9 x . x' / c */
    check_layers(&g.nodes[outputs[0]], 1, (const int[][2]){{1, 3}});
    assert_true(find(&g, 3, "alpha", -1)->from.x == 0.5);
    ntk_graph_free(&g);
    lower(&g, false, vector, 1, (const char *const[]){branches}, outputs);
    check_layers(&g.nodes[1], 2, (const int[][2]){{1, 1}, {1, 3}});
    ntk_graph_free(&g);
    /* a net twice: nothing is new, and a layer is there once for each */
    lower(&g, false, vector, 2, (const char *const[]){texts[0], texts[0]}, outputs);
    assert_int_equal(outputs[0], outputs[2]);
    assert_int_equal(outputs[1], outputs[3]);
    check_layers(&g.nodes[outputs[0]], 2, (const int[][2]){{1, 3}, {2, 3}});
    ntk_graph_free(&g);
}

static void test_repeat(void **state)
{
    static const char text[] = "serial(repeat(serial(Dense(8, 3), Relu()), 40), Dense(1))";
    struct ntk_graph g;
    int outputs[4], last = 0;

    (void)state;
    lower(&g, false, vector, 1, (const char *const[]){text}, outputs);
    for (int v = 0; v < g.n; v++)
        for (const struct ntk_origin *o = g.nodes[v].origins; o; o = o->next)
            last = o->layer.number > last ? o->layer.number : last;
    assert_int_equal(last, 81);
    ntk_graph_free(&g);
}

/* Numbers of other parameters are other numbers; those of one are not. */
static void test_derivatives(void **state)
{
    static const char net[] = "serial(Dense(8, 3), Relu(), Dense(1))", ones[] = "Dense(1, W_std=1, b_std=0)";
    static const char twice[] = "serial(Dense(1, 3), Dense(1, 3, parameterization='standard', s=(1, 1)))";
    struct ntk_graph g;
    int outputs[4];

    (void)state;
    lower(&g, true, vector, 2, (const char *const[]){net, net}, outputs);
    assert_int_not_equal(outputs[0], outputs[2]);
    assert_int_not_equal(outputs[1], outputs[3]);
    for (int v = 0; v < g.n; v++)
        for (const struct ntk_origin *a = g.nodes[v].origins; a; a = a->next)
            for (const struct ntk_origin *b = a->next; b; b = b->next)
                assert_true(a->number != b->number); /* one parameter each */
    ntk_graph_free(&g);
    assert_int_equal(count_nodes((const char *const[]){net, net}, 2, true),
                     2 * count_nodes((const char *const[]){net}, 1, true) - 1); /* all but the input */
    /* Sigma and Theta of the first layer are one node, and nothing is simplified away */
    lower(&g, true, vector, 1, (const char *const[]){ones}, outputs);
    assert_int_equal(outputs[0], outputs[1]);
    assert_int_equal(g.n, 2);
    assert_int_equal(count_origins(&g.nodes[1]), 2);
    ntk_graph_free(&g);
    assert_int_equal(count_nodes((const char *const[]){ones}, 1, false), 1);
    /* 1 S + 9 T with S = T: two terms */
    lower(&g, true, vector, 1, (const char *const[]){twice}, outputs);
    assert_int_equal(g.nodes[outputs[1]].n_in, 2);
    ntk_graph_free(&g);
    lower(&g, false, vector, 1, (const char *const[]){twice}, outputs);
    assert_int_equal(g.nodes[outputs[1]].n_in, 1);
    assert_int_equal(count_origins(&g.nodes[outputs[1]]), 1);
    ntk_graph_free(&g);
}

/* ---- the text */

static void test_refused(void **state)
{
    ntk_net *net;
    char *text = NULL;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx, "Dense(1)", &net));
    assert_fails(ctx, NTK_EINVAL, "1 to 64 nets",
                 ntk_nets_graph(ctx, (const ntk_net *const *)&net, 0, NTK_NTK, vector, NTK_GRAPH_TEXT, &text));
    assert_fails(ctx, NTK_EINVAL, "want must be",
                 ntk_nets_graph(ctx, (const ntk_net *const *)&net, 1, 4, vector, NTK_GRAPH_TEXT, &text));
    assert_fails(ctx, NTK_EINVAL, "format must be",
                 ntk_nets_graph(ctx, (const ntk_net *const *)&net, 1, NTK_NTK, vector, (ntk_graph_format)7, &text));
    assert_fails(ctx, NTK_ETHEORY, "still has positions",
                 ntk_nets_graph(ctx, (const ntk_net *const *)&net, 1, NTK_NTK, image, NTK_GRAPH_TEXT, &text));
    assert_null(text);
    ntk_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word), cmocka_unit_test(test_powers),      cmocka_unit_test(test_unite),
        cmocka_unit_test(test_repeat),     cmocka_unit_test(test_derivatives), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
