/* SPDX-License-Identifier: MIT
 *
 * build.c - calls become layers: arguments are matched with parameters, checked and stored.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activations/activation.h"
#include "language/build.h"

/* Layers that people know and the theory has no kernel for. */
static const struct {
    const char *name, *reason;
} impossible[] = {
    {"MaxPool", "the maximum of correlated Gaussians has no closed recursion; use AvgPool or SumPool"},
    {"BatchNorm", "it makes samples depend on each other; use LayerNorm"},
    {"Softmax", "it couples all outputs; use a linear output with squared or cross-entropy loss"},
    {"GRU", "weights shared over time have no recursion here"},
    {"LSTM", "weights shared over time have no recursion here"},
};

/* Layers of neural-tangents that this version lacks: a guess at another word would not help. */
static const char *const missing[] = {
    "Aggregate",     "ConvLocal", "ConvTranspose", "DotGeneral",
    "ExpNormalized", "Gabor",     "Index",         "GlobalSelfAttention", "ImageResize",
};

const struct ntk_class *ntk_class_find(const char *name)
{
    for (size_t i = 0; i < ntk_n_layers; i++)
        if (strcmp(ntk_layers[i]->base.name, name) == 0)
            return &ntk_layers[i]->base;
    for (size_t i = 0; i < ntk_n_activations(); i++)
        if (strcmp(ntk_activation_get(i)->base.name, name) == 0)
            return &ntk_activation_get(i)->base;
    return NULL;
}

struct ntk_tree *ntk_tree_new(struct ntk_builder *b, enum ntk_tree_kind kind, struct ntk_where at,
                              int n_kids)
{
    struct ntk_tree *t = ntk_arena_alloc(b->arena, 1, sizeof *t);

    if (!t)
        return NULL;
    t->kind = kind;
    t->at = at;
    t->at.name = ntk_arena_strdup(b->arena, at.name, strlen(at.name));
    t->n = n_kids;
    t->kids = ntk_arena_alloc(b->arena, (size_t)(n_kids ? n_kids : 1), sizeof *t->kids);
    return t->kids && t->at.name ? t : NULL;
}

/* ---- arguments */

ntk_status ntk_match_arguments(struct ntk_builder *b, const struct ntk_expr *e, int n,
                               const char *const *parameters, const struct ntk_expr **arg)
{
    const struct ntk_where at = ntk_place(b, e);

    for (int k = 0; k < n; k++)
        arg[k] = NULL;
    for (int i = 0; i < e->n; i++) {
        int k = i;

        if (e->keys[i]) {
            const char *near;

            for (k = 0; k < n && strcmp(parameters[k], e->keys[i]) != 0;)
                k++;
            near = k == n ? ntk_nearest(e->keys[i], parameters, (size_t)n) : NULL;
            if (near)
                return ntk_fail_at(&at, NTK_EPARSE, "unknown argument '%s'; did you mean '%s'?",
                                   e->keys[i], near);
            if (k == n)
                return ntk_fail_at(&at, NTK_EPARSE, "unknown argument '%s'; try 'ntk layers %s'",
                                   e->keys[i], at.name);
        }
        if (k >= n)
            return ntk_fail_at(&at, NTK_EPARSE, "takes at most %d argument%s, got %d", n,
                               n == 1 ? "" : "s", e->n);
        if (arg[k])
            return ntk_fail_at(&at, NTK_EPARSE, "argument '%s' is given twice", parameters[k]);
        arg[k] = e->items[i];
    }
    return NTK_OK;
}

static const char *const type_text[] = {
    [NTK_TYPE_NUMBER] = "a number",
    [NTK_TYPE_INTEGER] = "an integer",
    [NTK_TYPE_BOOL] = "True or False",
    [NTK_TYPE_CHOICE] = "one of",
    [NTK_TYPE_NUMBERS] = "a tuple of numbers",
    [NTK_TYPE_INTEGERS] = "a tuple of integers",
};

static ntk_status wrong(const struct ntk_where *at, const struct ntk_param *p,
                        const struct ntk_value *v)
{
    char shown[200], choices[200];
    size_t k = 0;

    ntk_value_show(v, shown, sizeof shown);
    if (p->type != NTK_TYPE_CHOICE)
        return ntk_fail_at(at, NTK_EPARSE, "%s must be %s%s, got %s (%s)", p->name,
                           type_text[p->type], p->none ? " or None" : "", shown, p->doc);
    for (const char *c = p->choices; *c && k + 4 < sizeof choices; c++)
        if (*c == '|') {
            memcpy(choices + k, "', '", 4);
            k += 4;
        } else {
            choices[k++] = *c;
        }
    choices[k] = '\0';
    return ntk_fail_at(at, NTK_EPARSE, "%s must be one of '%s', got %s", p->name, choices, shown);
}

static ntk_status out_of_range(const struct ntk_where *at, const struct ntk_param *p, double x)
{
    return ntk_fail_at(at, NTK_EPARSE, "%s must be from %g to %g, got %.12g (%s)", p->name, p->min,
                       p->max, x, p->doc);
}

static ntk_status store_choice(const struct ntk_where *at, const struct ntk_param *p,
                               const struct ntk_value *v, int *field)
{
    const char *c = p->choices;

    for (int index = 0; v->kind == NTK_VALUE_STRING && c; index++) {
        const char *end = strchr(c, '|');
        const size_t n = end ? (size_t)(end - c) : strlen(c);

        if (strlen(v->text) == n && strncmp(v->text, c, n) == 0) {
            *field = index;
            return NTK_OK;
        }
        c = end ? end + 1 : NULL;
    }
    return wrong(at, p, v);
}

static ntk_status store_list(const struct ntk_where *at, const struct ntk_param *p,
                             const struct ntk_value *v, void *field)
{
    const bool integers = p->type == NTK_TYPE_INTEGERS;
    const int most = integers ? 8 : NTK_LIST_MAX;
    const struct ntk_value *items = v->kind == NTK_VALUE_TUPLE ? v->items : v;
    const int n = v->kind == NTK_VALUE_TUPLE ? v->n : 1;

    if (n > most)
        return ntk_fail_at(at, NTK_EPARSE, "%s has %d numbers, at most %d are allowed", p->name, n,
                           most);
    *(int *)field = n;
    for (int i = 0; i < n; i++) {
        const double x = items[i].number;

        if (items[i].kind != NTK_VALUE_NUMBER || (integers && x != floor(x)))
            return wrong(at, p, v);
        if (x < p->min || x > p->max)
            return out_of_range(at, p, x);
        if (integers)
            ((struct ntk_integers *)field)->v[i] = (int64_t)x;
        else
            ((struct ntk_numbers *)field)->v[i] = x;
    }
    return NTK_OK;
}

static ntk_status store(const struct ntk_where *at, const struct ntk_param *p,
                        const struct ntk_value *v, void *self)
{
    void *field = (char *)self + p->offset;

    if (v->kind == NTK_VALUE_NONE) {
        if (!p->none)
            return wrong(at, p, v);
        if (p->type == NTK_TYPE_NUMBER)
            *(double *)field = (double)NAN;
        return NTK_OK;
    }
    switch (p->type) {
    case NTK_TYPE_NUMBER:
    case NTK_TYPE_INTEGER:
        if (v->kind != NTK_VALUE_NUMBER ||
            (p->type == NTK_TYPE_INTEGER && v->number != floor(v->number)))
            return wrong(at, p, v);
        if (v->number < p->min || v->number > p->max)
            return out_of_range(at, p, v->number);
        if (p->type == NTK_TYPE_NUMBER)
            *(double *)field = v->number;
        else
            *(int64_t *)field = (int64_t)v->number;
        return NTK_OK;
    case NTK_TYPE_BOOL:
        if (v->kind != NTK_VALUE_BOOL)
            return wrong(at, p, v);
        *(bool *)field = v->number != 0;
        return NTK_OK;
    case NTK_TYPE_CHOICE:
        return store_choice(at, p, v, field);
    default:
        return store_list(at, p, v, field);
    }
}

#define PARAMS_MAX 32

static int param_names(const struct ntk_class *cls, const char **names)
{
    int n = 0;

    for (const struct ntk_param *p = cls->params; p && p->name; p++)
        names[n++] = p->name;
    return n;
}

ntk_status ntk_bind(struct ntk_builder *b, const struct ntk_expr *e, int skip,
                    const struct ntk_class *cls, void **self)
{
    const struct ntk_where at = {
        .ctx = b->ctx, .name = cls->name, .line = e->line, .column = e->column};
    const struct ntk_expr *arg[PARAMS_MAX];
    const char *names[PARAMS_MAX];
    struct ntk_expr rest = *e;
    const int n = param_names(cls, names);

    rest.text = cls->name; /* of Elementwise('relu'): Relu */
    if (skip) {
        rest.n -= skip;
        rest.items += skip;
        rest.keys += skip;
    }
    NTK_TRY(ntk_match_arguments(b, &rest, n, names, arg));
    *self = ntk_arena_alloc(b->arena, cls->size, 1);
    if (!*self)
        return ntk_build_no_memory(b);
    for (int k = 0; k < n; k++) {
        const struct ntk_param *p = &cls->params[k];
        struct ntk_builder outside = {.ctx = b->ctx, .arena = b->arena, .depth = b->depth};
        struct ntk_expr *value;
        struct ntk_value v;

        if (arg[k] && p->type == NTK_TYPE_CHOICE) {
            NTK_TRY(ntk_evaluate_word(b, arg[k], p->name, &v));
        } else if (arg[k]) {
            NTK_TRY(ntk_evaluate(b, arg[k], &v));
        } else if (p->value) {
            NTK_TRY(ntk_parse(b->ctx, b->arena, p->value, &value));
            NTK_TRY(ntk_evaluate(&outside, value, &v));
        } else {
            return ntk_fail_at(&at, NTK_EPARSE, "argument '%s' is missing (%s)", p->name, p->doc);
        }
        NTK_TRY(store(&at, p, &v, *self));
    }
    return cls->check ? cls->check(*self, &at) : NTK_OK;
}

/* ---- names */

static ntk_status unknown_name(const struct ntk_where *at)
{
    const char *names[512], *near;
    size_t n = 0;

    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
        if (strcmp(at->name, impossible[i].name) == 0)
            return ntk_fail_at(at, NTK_ETHEORY, "has no infinite-width kernel: %s",
                               impossible[i].reason);
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        if (strcmp(at->name, missing[i]) == 0)
            return ntk_fail_at(at, NTK_ENOTSUP,
                               "this version does not have this layer; 'ntk layers' lists those it "
                               "has");
    for (size_t i = 0; i < ntk_layer_count() && n < 512; i++)
        names[n++] = ntk_layer_get(i)->name;
    near = ntk_nearest(at->name, names, n);
    if (near)
        return ntk_fail(at->ctx, NTK_EPARSE,
                        "line %d, column %d: unknown layer '%s'; did you mean '%s'?", at->line,
                        at->column, at->name, near);
    return ntk_fail(at->ctx, NTK_EPARSE,
                    "line %d, column %d: unknown layer '%s'; 'ntk layers' lists those there are",
                    at->line, at->column, at->name);
}

static ntk_status unknown_activation(const struct ntk_where *at, const char *name)
{
    const char *names[256], *near;
    size_t n = 0;

    for (; n < ntk_n_activations() && n < sizeof names / sizeof *names; n++)
        names[n] = ntk_activation_get(n)->base.name;
    near = ntk_nearest(name, names, n);
    if (near)
        return ntk_fail_at(at, NTK_EPARSE, "unknown activation '%s'; did you mean '%s'?", name,
                           near);
    return ntk_fail_at(at, NTK_EPARSE,
                       "unknown activation '%s'; 'ntk layers' lists those there are", name);
}

static ntk_status leaf(struct ntk_builder *b, const struct ntk_expr *e, int skip,
                       const struct ntk_class *cls, struct ntk_tree **tree)
{
    struct ntk_where at = ntk_place(b, e);

    at.name = cls->name;
    *tree = ntk_tree_new(b, NTK_TREE_LEAF, at, 0);
    if (!*tree)
        return ntk_build_no_memory(b);
    (*tree)->cls = cls;
    return ntk_bind(b, e, skip, cls, &(*tree)->self);
}

/* Elementwise('tanh', ...) and ElementwiseNumerical('tanh', deg, ...). */
static ntk_status elementwise(struct ntk_builder *b, const struct ntk_expr *e,
                              struct ntk_tree **tree)
{
    const struct ntk_where at = ntk_place(b, e);
    const bool numerical = strcmp(e->text, "ElementwiseNumerical") == 0;
    const struct ntk_activation *act;
    struct ntk_value name;
    struct ntk_expr rest = *e;

    if (e->n < 1 || (e->keys[0] && strcmp(e->keys[0], "fn") != 0))
        return ntk_fail_at(&at, NTK_EPARSE, "needs an activation's name, like 'tanh', first");
    NTK_TRY(ntk_evaluate_word(b, e->items[0], "fn", &name));
    if (name.kind != NTK_VALUE_STRING)
        return ntk_fail_at(&at, NTK_EPARSE, "needs an activation's name, like 'tanh', first");
    act = ntk_activation_find(name.text);
    if (!act)
        return unknown_activation(&at, name.text);
    if (numerical && e->n > 1 && (!e->keys[1] || strcmp(e->keys[1], "deg") == 0)) {
        ntk_note_at(&at, "deg is ignored: '%s' is computed to a stated error without it", name.text);
        rest.n -= 1;
        rest.items += 1;
        rest.keys += 1;
    }
    return leaf(b, &rest, 1, &act->base, tree);
}

static ntk_status call(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    const struct ntk_class *cls = ntk_class_find(e->text);
    bool known = false;

    v->kind = NTK_VALUE_NET;
    if (cls)
        return leaf(b, e, 0, cls, &v->tree);
    if (strcmp(e->text, "Elementwise") == 0 || strcmp(e->text, "ElementwiseNumerical") == 0)
        return elementwise(b, e, &v->tree);
    NTK_TRY(ntk_build_combinator(b, e, &v->tree, &known));
    if (!known)
        NTK_TRY(ntk_build_preset(b, e, v, &known));
    return known ? NTK_OK : unknown_name(&v->at);
}

/* What a name stands for inside a preset; NULL: nothing. */
static const struct ntk_value *in_scope(const struct ntk_builder *b, const char *name)
{
    for (int k = 0; b->scope && k < b->scope->n; k++)
        if (strcmp(b->scope->names[k], name) == 0)
            return &b->scope->values[k];
    return NULL;
}

static ntk_status name(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    const struct ntk_value *given = in_scope(b, e->text);

    if (given) {
        const struct ntk_where at = v->at;

        *v = *given;
        v->at = at;
        return NTK_OK;
    }
    for (size_t i = 0; i < ntk_layer_count(); i++)
        if (strcmp(ntk_layer_get(i)->name, e->text) == 0)
            return ntk_fail_at(&v->at, NTK_EPARSE, "a layer is written with brackets: %s()",
                               e->text);
    return unknown_name(&v->at);
}

static ntk_status tuple(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    v->kind = NTK_VALUE_TUPLE;
    v->n = e->n;
    v->items = ntk_arena_alloc(b->arena, (size_t)(e->n ? e->n : 1), sizeof *v->items);
    if (!v->items)
        return ntk_build_no_memory(b);
    for (int i = 0; i < e->n; i++)
        NTK_TRY(ntk_evaluate(b, e->items[i], &v->items[i]));
    return NTK_OK;
}

static ntk_status evaluate(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    *v = (struct ntk_value){.at = ntk_place(b, e), .number = e->number, .text = e->text};
    switch (e->kind) {
    case NTK_EXPR_NUMBER:
        v->kind = NTK_VALUE_NUMBER;
        return NTK_OK;
    case NTK_EXPR_STRING:
        v->kind = NTK_VALUE_STRING;
        return NTK_OK;
    case NTK_EXPR_BOOL:
        v->kind = NTK_VALUE_BOOL;
        return NTK_OK;
    case NTK_EXPR_NONE:
        v->kind = NTK_VALUE_NONE;
        return NTK_OK;
    case NTK_EXPR_TUPLE:
        return tuple(b, e, v);
    case NTK_EXPR_NAME:
        return name(b, e, v);
    case NTK_EXPR_CALL:
        return call(b, e, v);
    default:
        return ntk_evaluate_operator(b, e, v);
    }
}

ntk_status ntk_evaluate(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    const struct ntk_where at = ntk_place(b, e);
    ntk_status status;

    if (b->depth == NTK_BUILD_DEPTH)
        return ntk_fail_at(&at, NTK_EPARSE, "nested more than %d deep", NTK_BUILD_DEPTH);
    b->depth++;
    status = evaluate(b, e, v);
    b->depth--;
    return status;
}

ntk_status ntk_evaluate_word(struct ntk_builder *b, const struct ntk_expr *e, const char *parameter, struct ntk_value *v)
{
    struct ntk_where at = ntk_place(b, e);

    at.name = parameter;
    if ((e->kind == NTK_EXPR_CALL && e->n == 0) || (e->kind == NTK_EXPR_NAME && !in_scope(b, e->text)))
        return ntk_fail_at(&at, NTK_EPARSE, "a word is written in quotes: '%s' or \"%s\"", e->text, e->text);
    return ntk_evaluate(b, e, v);
}

ntk_status ntk_build_net(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_tree **tree)
{
    struct ntk_value v;
    char shown[100];

    NTK_TRY(ntk_evaluate(b, e, &v));
    if (v.kind != NTK_VALUE_NET)
        return ntk_fail_at(&v.at, NTK_EPARSE, "expected a layer, got %s",
                           ntk_value_show(&v, shown, sizeof shown));
    *tree = v.tree;
    return NTK_OK;
}

/* Layers above one another; combinators and presets make more of them than the text has brackets. */
static int tree_depth(const struct ntk_tree *t)
{
    const int kids = t->kind == NTK_TREE_REPEAT ? 1 : t->kind == NTK_TREE_FANOUT ? 0 : t->n;
    int most = 0;

    for (int k = 0; k < kids; k++) {
        const int depth = tree_depth(t->kids[k]);

        most = depth > most ? depth : most;
    }
    return most + 1;
}

static ntk_status read_net(ntk_net *n, const char *text)
{
    struct ntk_builder b = {.ctx = n->ctx, .arena = &n->arena};
    struct ntk_expr *e;

    NTK_TRY(ntk_parse(n->ctx, &n->arena, text, &e));
    NTK_TRY(ntk_build_net(&b, e, &n->tree));
    if (tree_depth(n->tree) > NTK_TREE_DEPTH)
        return ntk_fail_at(&n->tree->at, NTK_EPARSE, "layers are nested more than %d deep",
                           NTK_TREE_DEPTH);
    return NTK_OK;
}

ntk_status ntk_net_parse(ntk_ctx *ctx, const char *text, ntk_net **net)
{
    ntk_net *n = ntk_alloc_zero(ctx, 1, sizeof *n);
    locale_t before;
    ntk_status status;

    if (!n)
        return NTK_ENOMEM;
    n->ctx = ctx;
    before = ntk_plain_begin();
    status = read_net(n, text);
    ntk_plain_end(before);
    if (status != NTK_OK) {
        ntk_net_free(n);
        return status;
    }
    *net = n;
    return NTK_OK;
}

void ntk_net_free(ntk_net *net)
{
    if (!net)
        return;
    ntk_arena_free(&net->arena);
    free(net);
}
