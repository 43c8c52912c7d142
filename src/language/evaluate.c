/* SPDX-License-Identifier: MIT
 *
 * evaluate.c - values of expressions: constants, arithmetic, names; messages with a place.
 */
#include <math.h>
#include <string.h>

#include "language/build.h"

static void place_text(const struct ntk_where *at, char *buf, size_t size)
{
    if (at->line > 0)
        snprintf(buf, size, "line %d, column %d: %s: ", at->line, at->column, at->name);
    else
        snprintf(buf, size, "%s: ", at->name);
}

ntk_status ntk_fail_at(const struct ntk_where *at, ntk_status status, const char *fmt, ...)
{
    char place[128], text[800];
    va_list ap;

    va_start(ap, fmt);
    ntk_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    place_text(at, place, sizeof place);
    return ntk_fail(at->ctx, status, "%s%s", place, text);
}

void ntk_note_at(const struct ntk_where *at, const char *fmt, ...)
{
    char place[128], text[800];
    va_list ap;

    va_start(ap, fmt);
    ntk_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    place_text(at, place, sizeof place);
    ntk_log(at->ctx, 0, "%s%s", place, text);
}

ntk_status ntk_build_no_memory(const struct ntk_builder *b)
{
    return ntk_fail(b->ctx, NTK_ENOMEM, "no memory for the architecture");
}

struct ntk_where ntk_place(const struct ntk_builder *b, const struct ntk_expr *e)
{
    return (struct ntk_where){
        .ctx = b->ctx,
        .name = e->kind == NTK_EXPR_CALL || e->kind == NTK_EXPR_NAME ? e->text : "value",
        .line = e->line,
        .column = e->column};
}

void ntk_value_text(const struct ntk_value *v, struct ntk_text *t)
{
    switch (v->kind) {
    case NTK_VALUE_NUMBER:
        ntk_text_add(t, "%.12g", v->number);
        break;
    case NTK_VALUE_STRING:
        ntk_text_add(t, "'%s'", v->text);
        break;
    case NTK_VALUE_BOOL:
        ntk_text_add(t, v->number != 0 ? "True" : "False");
        break;
    case NTK_VALUE_NONE:
        ntk_text_add(t, "None");
        break;
    case NTK_VALUE_TUPLE:
        ntk_text_add(t, "(");
        for (int i = 0; i < v->n; i++) {
            ntk_value_text(&v->items[i], t);
            ntk_text_add(t, i + 1 < v->n ? ", " : v->n == 1 ? "," : "");
        }
        ntk_text_add(t, ")");
        break;
    case NTK_VALUE_NET:
        ntk_text_add(t, "a layer");
        break;
    }
}

const char *ntk_value_show(const struct ntk_value *v, char *buf, size_t size)
{
    struct ntk_text t = {0};

    ntk_value_text(v, &t);
    snprintf(buf, size, "%s", t.failed ? "?" : t.s);
    ntk_text_free(t.s);
    return buf;
}

static bool is_number(const struct ntk_value *v)
{
    return v->kind == NTK_VALUE_NUMBER || v->kind == NTK_VALUE_BOOL;
}

static bool truth(const struct ntk_value *v)
{
    switch (v->kind) {
    case NTK_VALUE_NUMBER:
    case NTK_VALUE_BOOL:
        return v->number != 0;
    case NTK_VALUE_STRING:
        return v->text[0] != '\0';
    case NTK_VALUE_TUPLE:
        return v->n > 0;
    default:
        return v->kind == NTK_VALUE_NET;
    }
}

static bool equal(const struct ntk_value *a, const struct ntk_value *b)
{
    if (is_number(a) && is_number(b))
        return a->number == b->number;
    if (a->kind != b->kind)
        return false;
    if (a->kind == NTK_VALUE_STRING)
        return strcmp(a->text, b->text) == 0;
    if (a->kind != NTK_VALUE_TUPLE)
        return a->kind == NTK_VALUE_NONE;
    for (int i = 0; i < a->n && i < b->n; i++)
        if (!equal(&a->items[i], &b->items[i]))
            return false;
    return a->n == b->n;
}

/* x % y with the sign of the divisor, as in Python. */
static double modulo(double x, double y)
{
    const double r = fmod(x, y);

    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static double arithmetic(const char *op, double x, double y)
{
    if (strcmp(op, "**") == 0)
        return pow(x, y);
    switch (op[0]) {
    case '+':
        return x + y;
    case '-':
        return x - y;
    case '*':
        return x * y;
    case '/':
        return x / y;
    default:
        return modulo(x, y);
    }
}

static bool compare(const char *op, double x, double y)
{
    if (op[0] == '<')
        return op[1] ? x <= y : x < y;
    return op[1] ? x >= y : x > y;
}

static ntk_status binary(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    struct ntk_value x, y;
    char shown[2][100];

    NTK_TRY(ntk_evaluate(b, e->items[0], &x));
    if (strcmp(e->op, "and") == 0 || strcmp(e->op, "or") == 0) {
        const bool first = truth(&x) == (e->op[0] == 'o');

        if (first)
            *v = x;
        return first ? NTK_OK : ntk_evaluate(b, e->items[1], v);
    }
    NTK_TRY(ntk_evaluate(b, e->items[1], &y));
    if (strcmp(e->op, "==") == 0 || strcmp(e->op, "!=") == 0) {
        v->kind = NTK_VALUE_BOOL;
        v->number = equal(&x, &y) == (e->op[0] == '=');
        return NTK_OK;
    }
    if (!is_number(&x) || !is_number(&y))
        return ntk_fail_at(&v->at, NTK_EPARSE, "'%s' needs two numbers, got %s and %s", e->op,
                           ntk_value_show(&x, shown[0], sizeof shown[0]),
                           ntk_value_show(&y, shown[1], sizeof shown[1]));
    if (e->op[0] == '<' || e->op[0] == '>') {
        v->kind = NTK_VALUE_BOOL;
        v->number = compare(e->op, x.number, y.number);
        return NTK_OK;
    }
    v->kind = NTK_VALUE_NUMBER;
    v->number = arithmetic(e->op, x.number, y.number);
    if (!isfinite(v->number))
        return ntk_fail_at(&v->at, NTK_EPARSE, "%s %s %s is not a finite number",
                           ntk_value_show(&x, shown[0], sizeof shown[0]), e->op,
                           ntk_value_show(&y, shown[1], sizeof shown[1]));
    return NTK_OK;
}

static ntk_status unary(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v)
{
    struct ntk_value x;
    char shown[100];

    NTK_TRY(ntk_evaluate(b, e->items[0], &x));
    if (e->op[0] == 'n') {
        v->kind = NTK_VALUE_BOOL;
        v->number = !truth(&x);
        return NTK_OK;
    }
    if (!is_number(&x))
        return ntk_fail_at(&v->at, NTK_EPARSE, "'%s' needs a number, got %s", e->op,
                           ntk_value_show(&x, shown, sizeof shown));
    v->kind = NTK_VALUE_NUMBER;
    v->number = e->op[0] == '-' ? -x.number : x.number;
    return NTK_OK;
}

ntk_status ntk_evaluate_operator(struct ntk_builder *b, const struct ntk_expr *e,
                                 struct ntk_value *v)
{
    struct ntk_value condition;

    switch (e->kind) {
    case NTK_EXPR_BINARY:
        return binary(b, e, v);
    case NTK_EXPR_UNARY:
        return unary(b, e, v);
    default: /* NTK_EXPR_IF */
        NTK_TRY(ntk_evaluate(b, e->items[1], &condition));
        return ntk_evaluate(b, e->items[truth(&condition) ? 0 : 2], v);
    }
}
