/* SPDX-License-Identifier: MIT
 *
 * libFuzzer on the architecture language: any text is parsed or refused with a sentence; what is
 * parsed prints as a text that parses and prints the same; shapes and kernels of it are made or
 * refused. Built and run by scripts/fuzz.sh.
 */
#include <stdlib.h>
#include <string.h>

#include "language/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const ntk_shape shapes[] = {{0, 1, 1, 3}, {1, 1, 5, 2}, {2, 4, 4, 3}};

static void check(bool right)
{
    if (!right)
        abort();
}

static ntk_net *parse(ntk_ctx *ctx, const char *text)
{
    ntk_net *net = NULL;
    const ntk_status status = ntk_net_parse(ctx, text, &net);

    check((status == NTK_OK) == (net != NULL));
    check(status == NTK_OK || ntk_errmsg(ctx)[0] != '\0');
    return net;
}

static void print_round_trip(ntk_ctx *ctx, const ntk_net *net)
{
    ntk_net *again;
    char *once, *twice;

    check(ntk_net_print(net, &once) == NTK_OK);
    again = parse(ctx, once);
    check(again != NULL);
    check(ntk_net_print(again, &twice) == NTK_OK);
    check(strcmp(once, twice) == 0);
    ntk_text_free(once);
    ntk_text_free(twice);
    ntk_net_free(again);
}

/* A graph has a text for people if the kernel can be planned. */
static void draw(ntk_ctx *ctx, const ntk_net *net, ntk_shape in, bool planned)
{
    char *text = NULL;

    check(!planned || ntk_nets_graph(ctx, &net, 1, NTK_NNGP | NTK_NTK, in, NTK_GRAPH_TEXT, &text) == NTK_OK);
    ntk_text_free(text);
}

/* A kernel is planned or refused with a sentence. */
static void plan(ntk_ctx *ctx, const ntk_net *net, ntk_shape in)
{
    ntk_kernel *kernel = NULL;
    const ntk_status status =
        ntk_kernel_new(ctx, &net, 1, NTK_NNGP | NTK_NTK, NTK_F32, in, &kernel);

    check((status == NTK_OK) == (kernel != NULL));
    check(status == NTK_OK || ntk_errmsg(ctx)[0] != '\0');
    draw(ctx, net, in, kernel != NULL);
    ntk_kernel_free(kernel);
}

/* The kernel's graph exists only for nets whose shapes fit, and then it has that shape. */
static void shape_and_lower(ntk_ctx *ctx, const ntk_net *net, ntk_shape in)
{
    ntk_shape out;
    const ntk_status shape = ntk_net_shape(net, in, &out);
    struct ntk_graph graph;
    struct ntk_field field;

    ntk_graph_init(&graph, ctx);
    if (ntk_net_lower(net, in, &graph, &field) == NTK_OK) {
        check(shape == NTK_OK);
        check(out.spatial == field.shape.spatial && out.h == field.shape.h &&
              out.w == field.shape.w && out.c == field.shape.c);
        check(field.sigma < graph.n && field.theta < graph.n);
    }
    ntk_graph_free(&graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1);
    ntk_ctx *ctx = NULL;
    ntk_net *net;

    check(text != NULL);
    check(ntk_ctx_new(&ctx) == NTK_OK);
    memcpy(text, bytes, n);
    text[n] = '\0';
    net = parse(ctx, text);
    free(text); /* a net keeps nothing of the caller's text */
    if (net) {
        print_round_trip(ctx, net);
        ntk_net_uses_positions(net);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            shape_and_lower(ctx, net, shapes[i]);
            plan(ctx, net, shapes[i]);
        }
        ntk_net_free(net);
    }
    ntk_ctx_free(ctx);
    return 0;
}
