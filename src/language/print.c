/* SPDX-License-Identifier: MIT
 *
 * print.c - a net as one canonical line.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "language/build.h"

static void number(struct ntk_text *t, double x)
{
    char buf[32];

    ntk_text_add(t, "%s", ntk_number_text(x, 6, buf));
}

static void choice(struct ntk_text *t, const struct ntk_param *p, int index)
{
    const char *c = p->choices;
    size_t n;

    for (; index > 0; index--)
        c = strchr(c, '|') + 1;
    n = strcspn(c, "|");
    ntk_text_add(t, "'%.*s'", (int)n, c);
}

static void list(struct ntk_text *t, const struct ntk_param *p, const void *field)
{
    const int n = *(const int *)field;

    if (n == 0) {
        ntk_text_add(t, p->none ? "None" : "()");
        return;
    }
    ntk_text_add(t, "(");
    for (int i = 0; i < n; i++) {
        if (p->type == NTK_TYPE_INTEGERS)
            ntk_text_add(t, "%lld", (long long)((const struct ntk_integers *)field)->v[i]);
        else
            number(t, ((const struct ntk_numbers *)field)->v[i]);
        ntk_text_add(t, i + 1 < n ? ", " : n == 1 ? "," : "");
    }
    ntk_text_add(t, ")");
}

static void value(struct ntk_text *t, const struct ntk_param *p, const void *self)
{
    const void *field = (const char *)self + p->offset;

    switch (p->type) {
    case NTK_TYPE_NUMBER:
        if (isnan(*(const double *)field))
            ntk_text_add(t, "None");
        else
            number(t, *(const double *)field);
        break;
    case NTK_TYPE_INTEGER:
        ntk_text_add(t, "%lld", (long long)*(const int64_t *)field);
        break;
    case NTK_TYPE_BOOL:
        ntk_text_add(t, *(const bool *)field ? "True" : "False");
        break;
    case NTK_TYPE_CHOICE:
        choice(t, p, *(const int *)field);
        break;
    default:
        list(t, p, field);
    }
}

/* Whether an argument, as value() writes it, is its default. The defaults are ours: that one cannot
 * be read is lack of memory, and a net printed without knowing would be another. */
static bool is_default(ntk_ctx *ctx, struct ntk_text *t, const struct ntk_param *p,
                       const char *shown)
{
    struct ntk_arena arena = {0};
    struct ntk_builder b = {.ctx = ctx, .arena = &arena};
    struct ntk_expr *e;
    struct ntk_value v;
    struct ntk_text text = {0};
    bool same = false;

    if (ntk_parse(ctx, &arena, p->value, &e) == NTK_OK && ntk_evaluate(&b, e, &v) == NTK_OK)
        ntk_value_text(&v, &text);
    if (text.n && !text.failed) {
        const bool single = v.kind == NTK_VALUE_NUMBER &&
                            (p->type == NTK_TYPE_NUMBERS || p->type == NTK_TYPE_INTEGERS);

        same = strcmp(text.s, shown) == 0 || (single && strncmp(shown + 1, text.s, text.n) == 0 &&
                                              strcmp(shown + 1 + text.n, ",)") == 0);
    } else {
        t->failed = true;
    }
    free(text.s);
    ntk_arena_free(&arena);
    return same;
}

static void leaf(ntk_ctx *ctx, struct ntk_text *t, const struct ntk_tree *tree)
{
    const char *separator = "";

    ntk_text_add(t, "%s(", tree->cls->name);
    for (const struct ntk_param *p = tree->cls->params; p && p->name; p++) {
        struct ntk_text shown = {0};

        value(&shown, p, tree->self);
        if (shown.failed)
            t->failed = true;
        else if (!p->value || !is_default(ctx, t, p, shown.s)) {
            ntk_text_add(t, p->value ? "%s%s=%s" : "%s%.0s%s", separator, p->name, shown.s);
            separator = ", ";
        }
        free(shown.s);
    }
    ntk_text_add(t, ")");
}

static void net(ntk_ctx *ctx, struct ntk_text *t, const struct ntk_tree *tree)
{
    if (tree->kind == NTK_TREE_LEAF) {
        leaf(ctx, t, tree);
    } else if (tree->kind == NTK_TREE_FANOUT) {
        ntk_text_add(t, "FanOut(%d)", tree->n);
    } else if (tree->kind == NTK_TREE_REPEAT) {
        ntk_text_add(t, "repeat(");
        net(ctx, t, tree->kids[0]);
        ntk_text_add(t, ", %d)", tree->n);
    } else {
        ntk_text_add(t, tree->kind == NTK_TREE_SERIAL ? "serial(" : "parallel(");
        for (int i = 0; i < tree->n; i++) {
            net(ctx, t, tree->kids[i]);
            ntk_text_add(t, i + 1 < tree->n ? ", " : "");
        }
        ntk_text_add(t, ")");
    }
}

ntk_status ntk_net_print(const ntk_net *n, char **text)
{
    struct ntk_text t = {0};
    const locale_t before = ntk_plain_begin();

    net(n->ctx, &t, n->tree);
    ntk_plain_end(before);
    if (t.failed) {
        free(t.s);
        return ntk_fail(n->ctx, NTK_ENOMEM, "no memory for the text of a net");
    }
    *text = t.s;
    return NTK_OK;
}
