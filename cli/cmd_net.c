/* SPDX-License-Identifier: MIT
 *
 * ntk net: nets in canonical form, what they put out, and the graph that computes their kernels.
 */
#include "cli.h"

struct job {
    ntk_net *nets[NETS_MAX];
    ntk_shape shape, out[NETS_MAX];
    char *text[NETS_MAX], *graph;
};

static int format_of(const char *text, ntk_graph_format *format)
{
    static const char *const words[] = {"text", "dot"};
    int i;

    STEP(parse_word("graph", *text ? text : NULL, 2, words, &i));
    *format = i ? NTK_GRAPH_DOT : NTK_GRAPH_TEXT;
    return EXIT_OK;
}

/* Samples are flattened if no net uses positions, as those of a file are. */
static int read_shape(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    bool positions = false;

    STEP(parse_shape(a->input_shape, &j->shape));
    TRY(ctx, ntk_net_shape(j->nets[0], j->shape, &j->out[0])); /* a shape that can be flattened */
    for (size_t i = 0; i < a->n_nets; i++)
        positions = positions || ntk_net_uses_positions(j->nets[i]);
    if (!positions)
        j->shape = (ntk_shape){0, 1, 1, j->shape.h * j->shape.w * j->shape.c};
    return EXIT_OK;
}

static int make_graph(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const ntk_net *nets[NETS_MAX];
    unsigned want = NTK_NNGP | NTK_NTK;
    ntk_graph_format format;

    if (!a->input_shape)
        return usage("--graph: --input-shape is missing, e.g. --input-shape 784 or 32,32,3");
    STEP(format_of(a->graph, &format));
    if (a->get)
        STEP(parse_get(a->get, &want));
    for (size_t i = 0; i < a->n_nets; i++)
        nets[i] = j->nets[i];
    TRY(ctx, ntk_nets_graph(ctx, nets, a->n_nets, want, j->shape, format, &j->graph));
    return EXIT_OK;
}

static void print_json(const struct args *a, const struct job *j)
{
    struct json json = {.f = stdout};

    json_open(&json, NULL, '{');
    json_open(&json, "nets", '[');
    for (size_t i = 0; i < a->n_nets; i++) {
        json_open(&json, NULL, '{');
        json_text(&json, "net", j->text[i]);
        if (a->input_shape)
            json_shape(&json, "output", j->out[i]);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    if (j->graph)
        json_text(&json, "graph", j->graph);
    json_close(&json, '}');
    putchar('\n');
}

static void print(const struct args *a, const struct job *j)
{
    for (size_t i = 0; i < a->n_nets; i++) {
        printf("%s\n", j->text[i]);
        if (a->input_shape)
            print_shape("output ", j->out[i]);
    }
}

static int run(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    if (a->get && !a->graph)
        return usage("--get says which kernels --graph shows");
    for (size_t i = 0; i < a->n_nets || i == 0; i++) {
        STEP(parse_net(ctx, a, i, &j->nets[i]));
        TRY(ctx, ntk_net_print(j->nets[i], &j->text[i]));
    }
    if (a->input_shape)
        STEP(read_shape(ctx, a, j));
    for (size_t i = 0; i < a->n_nets && a->input_shape; i++)
        TRY(ctx, ntk_net_shape(j->nets[i], j->shape, &j->out[i]));
    if (a->graph)
        STEP(make_graph(ctx, a, j));
    if (a->json)
        print_json(a, j);
    else if (j->graph)
        fputs(j->graph, stdout);
    else
        print(a, j);
    return EXIT_OK;
}

int cmd_net(ntk_ctx *ctx, const struct args *a);
int cmd_net(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {.graph = NULL};
    const int code = run(ctx, a, &j);

    for (size_t i = 0; i < NETS_MAX; i++) {
        ntk_net_free(j.nets[i]);
        ntk_text_free(j.text[i]);
    }
    ntk_text_free(j.graph);
    return code;
}
