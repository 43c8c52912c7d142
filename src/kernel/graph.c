/* SPDX-License-Identifier: MIT
 *
 * graph.c - the graph of nets for people: as text, and for Graphviz.
 */
#include <math.h>
#include <stdlib.h>

#include "kernel/nets.h"
#include "language/net.h"
#include "ops/op.h"

/* Columns of the text; a net alone has none of nets, vectors have none of positions. */
enum { COLUMN_POSITIONS = 50, COLUMN_NETS = 60, COLUMN_OUTPUTS = 72 };

struct picture {
    struct ntk_graph g;
    const ntk_net *const *nets;
    int n_nets;
    unsigned want;
    bool rows; /* samples are images */
    int n_outputs, outputs[2 * NTK_NETS_MAX];
    uint64_t *used; /* [g.n]: bit k: net k needs the node */
    int *number;    /* [g.n]: among those that are needed */
    struct ntk_text text;
};

/* ---- what is said of a node */

static void add_operation(struct picture *p, int v)
{
    const struct ntk_node *x = &p->g.nodes[v];

    ntk_text_add(&p->text, "%d  %s", p->number[v], x->op->name);
    if (x->op->results > 1)
        ntk_text_add(&p->text, "[%d]", x->result);
    for (int k = 0; k < x->n_in; k++)
        ntk_text_add(&p->text, "%s%d%s", k ? ", " : "(", p->number[x->in[k]], k + 1 < x->n_in ? "" : ")");
    if (x->op->print) {
        ntk_text_add(&p->text, ": ");
        x->op->print(x, &p->text);
    }
}

static void add_positions(struct picture *p, int v)
{
    const struct ntk_node *x = &p->g.nodes[v];

    if (p->rows)
        ntk_text_add(&p->text, "%d x ", x->h);
    ntk_text_add(&p->text, "%d", x->w);
}

static bool shared(uint64_t nets) { return (nets & (nets - 1)) != 0; }

static void add_nets(struct picture *p, uint64_t nets)
{
    const char *before = shared(nets) ? "nets " : "net ";

    if (nets == UINT64_MAX >> (64 - p->n_nets)) {
        ntk_text_add(&p->text, "all nets");
        return;
    }
    for (int k = 0; k < p->n_nets; k++)
        if (nets >> k & 1) {
            ntk_text_add(&p->text, "%s%d", before, k + 1);
            before = ", ";
        }
}

static void add_output(struct picture *p, int m)
{
    const int each = p->n_outputs / p->n_nets;
    const bool nngp = each == 2 ? m % 2 == 0 : p->want == NTK_NNGP;

    if (p->n_nets > 1)
        ntk_text_add(&p->text, "net %d ", m / each + 1);
    ntk_text_add(&p->text, nngp ? "NNGP" : "NTK");
}

/* "2 = W_std^2", "18 = 2 W_std^2", "0.5 = coef[1]" */
static void add_formula(struct picture *p, const struct ntk_origin *o)
{
    const double factor = o->from.x / pow(o->from.value, o->from.power);

    ntk_text_add(&p->text, "%.6g = ", o->from.x);
    if (fabs(factor - 1) > 1e-12) /* not 0 / 0 */
        ntk_text_add(&p->text, "%.6g ", factor);
    ntk_text_add(&p->text, "%s", o->from.parameter);
    if (o->index >= 0)
        ntk_text_add(&p->text, "[%d]", o->index);
    if (o->from.power != 1)
        ntk_text_add(&p->text, "^%d", o->from.power);
}

static void add_place(struct picture *p, const struct ntk_graph_layer *l)
{
    if (p->n_nets > 1)
        ntk_text_add(&p->text, "net %d ", l->net);
    ntk_text_add(&p->text, "layer %d %s", l->number, l->name);
}

static bool same_layer(const struct ntk_graph_layer *a, const struct ntk_graph_layer *b)
{
    return a->net == b->net && a->number == b->number;
}

static bool same_formula(const struct ntk_origin *a, const struct ntk_origin *b)
{
    return a->index == b->index && a->from.x == b->from.x &&
           a->from.value == b->from.value && ntk_same_origin(&a->from, &b->from);
}

/* The formula of list[first], if it is its first, with all layers that have it, be it for several numbers. */
static void add_origin(struct picture *p, const struct ntk_origin **list, int n, int first, const char *before,
                       const char *after)
{
    const struct ntk_graph_layer *last = NULL;

    for (int k = 0; k < first; k++)
        if (same_formula(list[k], list[first]))
            return;
    ntk_text_add(&p->text, "%s", before);
    add_formula(p, list[first]);
    for (int k = first; k < n; k++)
        if (same_formula(list[k], list[first]) && !(last && same_layer(last, &list[k]->layer))) {
            ntk_text_add(&p->text, last ? ", " : " of ");
            last = &list[k]->layer;
            add_place(p, last);
        }
    ntk_text_add(&p->text, "%s", after);
}

/* A line for each formula, the oldest layer first. */
static void add_origins(struct picture *p, int v, const char *before, const char *after)
{
    const struct ntk_origin **list;
    int n = 0, k = 0;

    for (const struct ntk_origin *o = p->g.nodes[v].origins; o; o = o->next)
        n++;
    list = malloc((size_t)n * sizeof(struct ntk_origin *) + 1);
    if (!list) {
        p->text.failed = true;
        return;
    }
    for (const struct ntk_origin *o = p->g.nodes[v].origins; o; o = o->next)
        list[n - ++k] = o;
    for (k = 0; k < n; k++)
        add_origin(p, list, n, k, before, after);
    free(list);
}

static ntk_status add_specs(struct picture *p, const char *before)
{
    for (int k = 0; k < p->n_nets; k++) {
        char *spec;

        NTK_TRY(ntk_net_print(p->nets[k], &spec));
        ntk_text_add(&p->text, "%snet %d: %s\n", before, k + 1, spec);
        free(spec);
    }
    return NTK_OK;
}

/* ---- text */

/* Blanks, at least two, up to a column of the line that began at `start`. */
static void pad(struct picture *p, size_t start, size_t column)
{
    const size_t at = p->text.n - start;

    ntk_text_add(&p->text, "%*s", at + 2 < column ? (int)(column - at) : 2, "");
}

static void text_node(struct picture *p, int v)
{
    const size_t start = p->text.n;
    const char *before = "-> ";

    ntk_text_add(&p->text, "%*s", p->number[v] < 10 ? 2 : p->number[v] < 100 ? 1 : 0, "");
    add_operation(p, v);
    if (p->g.nodes[v].plane) {
        pad(p, start, COLUMN_POSITIONS);
        add_positions(p, v);
    }
    if (p->n_nets > 1) {
        pad(p, start, p->g.planes ? COLUMN_NETS : COLUMN_POSITIONS);
        add_nets(p, p->used[v]);
    }
    for (int m = 0; m < p->n_outputs; m++)
        if (p->outputs[m] == v) {
            if (*before == '-')
                pad(p, start, p->n_nets > 1 ? COLUMN_OUTPUTS : p->g.planes ? COLUMN_NETS : COLUMN_POSITIONS);
            ntk_text_add(&p->text, "%s", before);
            add_output(p, m);
            before = ", ";
        }
    ntk_text_add(&p->text, "\n");
    add_origins(p, v, "         ", "\n");
}

static ntk_status write_text(struct picture *p)
{
    NTK_TRY(add_specs(p, ""));
    for (int v = 0; v < p->g.n; v++)
        if (p->used[v])
            text_node(p, v);
    return NTK_OK;
}

/* ---- Graphviz: no name or number has a quote or a backslash */

static void dot_node(struct picture *p, int v)
{
    const struct ntk_node *x = &p->g.nodes[v];

    ntk_text_add(&p->text, "    n%d [label=\"", p->number[v]);
    add_operation(p, v);
    ntk_text_add(&p->text, "\\l");
    if (x->plane) {
        ntk_text_add(&p->text, "at ");
        add_positions(p, v);
        ntk_text_add(&p->text, "\\l");
    }
    if (p->n_nets > 1) {
        add_nets(p, p->used[v]);
        ntk_text_add(&p->text, "\\l");
    }
    add_origins(p, v, "", "\\l");
    ntk_text_add(&p->text, "\"%s];\n", shared(p->used[v]) ? ", fillcolor=khaki" : "");
    for (int k = 0; k < x->n_in; k++)
        ntk_text_add(&p->text, "    n%d -> n%d;\n", p->number[x->in[k]], p->number[v]);
}

static ntk_status write_dot(struct picture *p)
{
    ntk_text_add(&p->text, "digraph ntk {\n");
    NTK_TRY(add_specs(p, "    // "));
    ntk_text_add(&p->text, "    // khaki: of several nets\n"
                           "    node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"];\n");
    for (int v = 0; v < p->g.n; v++)
        if (p->used[v])
            dot_node(p, v);
    for (int m = 0; m < p->n_outputs; m++) {
        ntk_text_add(&p->text, "    k%d [label=\"", m);
        add_output(p, m);
        ntk_text_add(&p->text, "\", shape=ellipse, fillcolor=lightblue];\n    n%d -> k%d;\n",
                     p->number[p->outputs[m]], m);
    }
    ntk_text_add(&p->text, "}\n");
    return NTK_OK;
}

/* ---- the whole */

static ntk_status find_used(struct picture *p)
{
    const int each = p->n_outputs / p->n_nets;
    int n = 0;

    p->used = ntk_alloc_zero(p->g.ctx, (size_t)p->g.n, sizeof *p->used);
    p->number = ntk_alloc_zero(p->g.ctx, (size_t)p->g.n, sizeof *p->number);
    if (!p->used || !p->number)
        return NTK_ENOMEM;
    for (int m = 0; m < p->n_outputs; m++)
        p->used[p->outputs[m]] |= (uint64_t)1 << (m / each);
    for (int v = p->g.n - 1; v >= 0; v--)
        for (int k = 0; k < p->g.nodes[v].n_in; k++)
            p->used[p->g.nodes[v].in[k]] |= p->used[v];
    for (int v = 0; v < p->g.n; v++)
        p->number[v] = p->used[v] ? n++ : -1;
    return NTK_OK;
}

static ntk_status draw(struct picture *p, ntk_shape shape, ntk_graph_format format)
{
    NTK_TRY(ntk_nets_lower(p->nets, (size_t)p->n_nets, p->want, shape, &p->g, p->outputs, &p->n_outputs));
    NTK_TRY(find_used(p));
    NTK_TRY(format == NTK_GRAPH_DOT ? write_dot(p) : write_text(p));
    return p->text.failed ? ntk_fail(p->g.ctx, NTK_ENOMEM, "no memory for the text of a graph") : NTK_OK;
}

ntk_status ntk_nets_graph(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets, unsigned want,
                          ntk_shape shape, ntk_graph_format format, char **text)
{
    struct picture p = {.nets = nets,
                        .n_nets = n_nets > NTK_NETS_MAX ? NTK_NETS_MAX + 1 : (int)n_nets,
                        .want = want,
                        .rows = shape.spatial == 2};
    ntk_status status;

    if (format != NTK_GRAPH_TEXT && format != NTK_GRAPH_DOT)
        return ntk_fail(ctx, NTK_EINVAL, "format must be NTK_GRAPH_TEXT or NTK_GRAPH_DOT, got %d", (int)format);
    ntk_graph_init(&p.g, ctx);
    status = draw(&p, shape, format);
    if (status == NTK_OK)
        *text = p.text.s;
    else
        free(p.text.s);
    ntk_graph_free(&p.g);
    free(p.used);
    free(p.number);
    return status;
}
