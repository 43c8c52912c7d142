/* SPDX-License-Identifier: MIT
 *
 * parser.c - expressions of the architecture language, by recursive descent. From loose to tight:
 *
 *     a if c else b | or | and | not | == != < <= > >= | + - | * / % | unary - + | ** | primary
 */
#include <string.h>

#include "language/lexer.h"
#include "language/parser.h"

struct parser {
    struct ntk_lexer lex;
    int depth;
};

static ntk_status expression(struct parser *p, struct ntk_expr **e);

static struct ntk_expr *node(struct parser *p, enum ntk_expr_kind kind, int n)
{
    struct ntk_expr *e = ntk_arena_alloc(p->lex.arena, 1, sizeof *e);

    if (!e)
        return NULL;
    e->kind = kind;
    e->line = p->lex.token.line;
    e->column = p->lex.token.column;
    e->n = n;
    e->items = ntk_arena_alloc(p->lex.arena, (size_t)(n ? n : 1), sizeof *e->items);
    return e->items ? e : NULL;
}

static ntk_status no_memory(struct parser *p)
{
    return ntk_fail(p->lex.ctx, NTK_ENOMEM, "no memory for the architecture");
}

static ntk_status expect(struct parser *p, const char *symbol)
{
    char buf[64];

    if (!ntk_lexer_is(&p->lex, symbol))
        return ntk_lexer_fail(&p->lex, "expected '%s', got %s", symbol,
                              ntk_lexer_show(&p->lex, buf));
    return ntk_lexer_next(&p->lex);
}

/* Appends an item (and its keyword) to a list that doubles as it grows. */
static ntk_status append(struct parser *p, struct ntk_expr *e, struct ntk_expr *item,
                         const char *key)
{
    const int n = e->n;

    if ((n & (n - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        const size_t capacity = n ? 2 * (size_t)n : 1;
        struct ntk_expr **items = ntk_arena_alloc(p->lex.arena, capacity, sizeof *items);
        const char **keys = ntk_arena_alloc(p->lex.arena, capacity, sizeof *keys);

        if (!items || !keys)
            return no_memory(p);
        if (n) {
            memcpy(items, e->items, (size_t)n * sizeof *items);
            memcpy(keys, e->keys, (size_t)n * sizeof *keys);
        }
        e->items = items;
        e->keys = keys;
    }
    e->items[n] = item;
    e->keys[n] = key;
    e->n++;
    return NTK_OK;
}

/* The items of a call, tuple or list up to the closing bracket, which is consumed. */
static ntk_status items(struct parser *p, struct ntk_expr *e, const char *close, bool keywords,
                        bool *comma)
{
    const char *last_key = NULL;

    *comma = false;
    while (!ntk_lexer_is(&p->lex, close)) {
        struct ntk_expr *item;
        const char *key = NULL;

        NTK_TRY(expression(p, &item));
        if (keywords && ntk_lexer_is(&p->lex, "=")) {
            if (item->kind != NTK_EXPR_NAME)
                return ntk_lexer_fail(&p->lex, "a keyword must stand before '='");
            key = last_key = item->text;
            NTK_TRY(ntk_lexer_next(&p->lex));
            NTK_TRY(expression(p, &item));
        } else if (last_key) {
            return ntk_lexer_fail(&p->lex, "an argument without keyword after '%s='", last_key);
        }
        NTK_TRY(append(p, e, item, key));
        if (!ntk_lexer_is(&p->lex, ","))
            break;
        *comma = true;
        NTK_TRY(ntk_lexer_next(&p->lex));
    }
    return expect(p, close);
}

static ntk_status name_or_call(struct parser *p, struct ntk_expr **out)
{
    static const char *const prefixes[] = {"stax", "nt", "ntk", "neural_tangents"};
    struct ntk_expr *e = node(p, NTK_EXPR_NAME, 0);
    bool comma;
    char buf[64];

    if (!e)
        return no_memory(p);
    e->text = p->lex.token.text;
    NTK_TRY(ntk_lexer_next(&p->lex));
    while (ntk_lexer_is(&p->lex, ".")) {
        bool known = false;

        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++)
            known = known || strcmp(e->text, prefixes[k]) == 0;
        if (!known)
            return ntk_lexer_fail(&p->lex, "unknown prefix '%s.': only stax. and ntk. are", e->text);
        NTK_TRY(ntk_lexer_next(&p->lex));
        if (p->lex.token.kind != NTK_TOKEN_NAME)
            return ntk_lexer_fail(&p->lex, "expected a name after '.', got %s",
                                  ntk_lexer_show(&p->lex, buf));
        e->text = p->lex.token.text;
        e->line = p->lex.token.line;
        e->column = p->lex.token.column;
        NTK_TRY(ntk_lexer_next(&p->lex));
    }
    if (ntk_lexer_is(&p->lex, "(")) {
        e->kind = NTK_EXPR_CALL;
        NTK_TRY(ntk_lexer_next(&p->lex));
        NTK_TRY(items(p, e, ")", true, &comma));
    } else if (strcmp(e->text, "True") == 0 || strcmp(e->text, "False") == 0) {
        e->kind = NTK_EXPR_BOOL;
        e->number = e->text[0] == 'T';
    } else if (strcmp(e->text, "None") == 0) {
        e->kind = NTK_EXPR_NONE;
    }
    *out = e;
    return NTK_OK;
}

static ntk_status bracket(struct parser *p, struct ntk_expr **out)
{
    const bool round = ntk_lexer_is(&p->lex, "(");
    struct ntk_expr *e = node(p, NTK_EXPR_TUPLE, 0);
    bool comma;

    if (!e)
        return no_memory(p);
    NTK_TRY(ntk_lexer_next(&p->lex));
    NTK_TRY(items(p, e, round ? ")" : "]", false, &comma));
    *out = round && e->n == 1 && !comma ? e->items[0] : e;
    return NTK_OK;
}

static ntk_status primary(struct parser *p, struct ntk_expr **out)
{
    const struct ntk_token *t = &p->lex.token;
    struct ntk_expr *e;
    char buf[64];

    if (t->kind == NTK_TOKEN_NAME)
        return name_or_call(p, out);
    if (ntk_lexer_is(&p->lex, "(") || ntk_lexer_is(&p->lex, "["))
        return bracket(p, out);
    if (t->kind != NTK_TOKEN_NUMBER && t->kind != NTK_TOKEN_STRING)
        return ntk_lexer_fail(&p->lex, "expected a layer or a value, got %s",
                              ntk_lexer_show(&p->lex, buf));
    e = node(p, t->kind == NTK_TOKEN_NUMBER ? NTK_EXPR_NUMBER : NTK_EXPR_STRING, 0);
    if (!e)
        return no_memory(p);
    e->number = t->number;
    e->text = t->text;
    *out = e;
    return ntk_lexer_next(&p->lex);
}

static ntk_status deeper(struct parser *p)
{
    if (++p->depth > NTK_PARSE_DEPTH)
        return ntk_lexer_fail(&p->lex, "nested more than %d deep", NTK_PARSE_DEPTH);
    return NTK_OK;
}

static ntk_status unary(struct parser *p, struct ntk_expr **out);

/* Right-associative and tighter than a minus on its left, as in Python: -2**2 = -4. */
static ntk_status power(struct parser *p, struct ntk_expr **out)
{
    struct ntk_expr *base, *e;

    NTK_TRY(primary(p, &base));
    *out = base;
    if (!ntk_lexer_is(&p->lex, "**"))
        return NTK_OK;
    e = node(p, NTK_EXPR_BINARY, 2);
    if (!e)
        return no_memory(p);
    strcpy(e->op, "**");
    e->items[0] = base;
    NTK_TRY(ntk_lexer_next(&p->lex));
    NTK_TRY(deeper(p));
    NTK_TRY(unary(p, &e->items[1]));
    p->depth--;
    *out = e;
    return NTK_OK;
}

static ntk_status unary(struct parser *p, struct ntk_expr **out)
{
    struct ntk_expr *e;
    ntk_status status;

    if (!ntk_lexer_is(&p->lex, "-") && !ntk_lexer_is(&p->lex, "+"))
        return power(p, out);
    e = node(p, NTK_EXPR_UNARY, 1);
    if (!e)
        return no_memory(p);
    strcpy(e->op, p->lex.token.text);
    NTK_TRY(ntk_lexer_next(&p->lex));
    NTK_TRY(deeper(p));
    status = unary(p, &e->items[0]);
    p->depth--;
    *out = e;
    return status;
}

/* Left-associative operators, by level from loose to tight. */
static const char *const operators[][7] = {
    {"or"}, {"and"}, {"==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"*", "/", "%"},
};
#define LEVELS      (sizeof operators / sizeof *operators)
#define COMPARISONS 2

static const char *operator_here(const struct parser *p, size_t level)
{
    for (int k = 0; operators[level][k]; k++)
        if (ntk_lexer_is(&p->lex, operators[level][k]))
            return operators[level][k];
    return NULL;
}

static ntk_status binary(struct parser *p, size_t level, struct ntk_expr **out)
{
    const char *op;

    if (level == LEVELS)
        return unary(p, out);
    if (level == COMPARISONS && ntk_lexer_is(&p->lex, "not")) {
        struct ntk_expr *e = node(p, NTK_EXPR_UNARY, 1);
        ntk_status status;

        if (!e)
            return no_memory(p);
        strcpy(e->op, "not");
        NTK_TRY(ntk_lexer_next(&p->lex));
        NTK_TRY(deeper(p));
        status = binary(p, level, &e->items[0]);
        p->depth--;
        *out = e;
        return status;
    }
    NTK_TRY(binary(p, level + 1, out));
    while ((op = operator_here(p, level))) {
        struct ntk_expr *e = node(p, NTK_EXPR_BINARY, 2);

        if (!e)
            return no_memory(p);
        strcpy(e->op, op);
        e->items[0] = *out;
        NTK_TRY(ntk_lexer_next(&p->lex));
        NTK_TRY(binary(p, level + 1, &e->items[1]));
        *out = e;
        if (level == COMPARISONS && operator_here(p, level))
            return ntk_lexer_fail(&p->lex, "comparisons cannot be chained: write 'a < b and b < c'");
    }
    return NTK_OK;
}

static ntk_status expression(struct parser *p, struct ntk_expr **out)
{
    struct ntk_expr *e;

    NTK_TRY(deeper(p));
    NTK_TRY(binary(p, 0, out));
    if (ntk_lexer_is(&p->lex, "if")) {
        e = node(p, NTK_EXPR_IF, 3);
        if (!e)
            return no_memory(p);
        e->items[0] = *out;
        NTK_TRY(ntk_lexer_next(&p->lex));
        NTK_TRY(binary(p, 0, &e->items[1]));
        NTK_TRY(expect(p, "else"));
        NTK_TRY(expression(p, &e->items[2]));
        *out = e;
    }
    p->depth--;
    return NTK_OK;
}

static ntk_status expect_end(struct parser *p)
{
    char buf[64];

    if (p->lex.token.kind == NTK_TOKEN_END)
        return NTK_OK;
    return ntk_lexer_fail(&p->lex, "expected the end of the text, got %s",
                          ntk_lexer_show(&p->lex, buf));
}

ntk_status ntk_parse(ntk_ctx *ctx, struct ntk_arena *arena, const char *text, struct ntk_expr **expr)
{
    struct parser p = {.depth = 0};

    NTK_TRY(ntk_lexer_start(&p.lex, ctx, arena, text));
    NTK_TRY(expression(&p, expr));
    return expect_end(&p);
}

ntk_status ntk_parse_definition(ntk_ctx *ctx, struct ntk_arena *arena, const char *text,
                                struct ntk_definition *def)
{
    struct parser p = {.depth = 0};
    struct ntk_expr *head;

    NTK_TRY(ntk_lexer_start(&p.lex, ctx, arena, text));
    NTK_TRY(expect(&p, "def"));
    NTK_TRY(name_or_call(&p, &head));
    if (head->kind != NTK_EXPR_CALL)
        return ntk_lexer_fail(&p.lex, "expected '(' after the preset's name");
    NTK_TRY(expect(&p, ":"));
    if (ntk_lexer_is(&p.lex, "return"))
        NTK_TRY(ntk_lexer_next(&p.lex));
    *def = (struct ntk_definition){.name = head->text,
                                   .n = head->n,
                                   .parameters = head->keys,
                                   .defaults = head->items};
    for (int k = 0; k < head->n; k++)
        if (!head->keys[k])
            return ntk_lexer_fail(&p.lex, "a preset's parameters need defaults");
    NTK_TRY(expression(&p, &def->body));
    return expect_end(&p);
}
