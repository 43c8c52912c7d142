/* SPDX-License-Identifier: MIT
 *
 * lexer.c - see lexer.h. White space, newlines and # comments separate words and mean nothing else.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "language/lexer.h"

ntk_status ntk_lexer_fail(const struct ntk_lexer *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    ntk_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    return ntk_fail(l->ctx, NTK_EPARSE, "line %d, column %d: %s", l->token.line, l->token.column,
                    text);
}

const char *ntk_lexer_show(const struct ntk_lexer *l, char buf[64])
{
    if (l->token.kind == NTK_TOKEN_END)
        return "the end of the text";
    if (l->token.kind == NTK_TOKEN_NUMBER)
        ntk_format(buf, 64, "%g", l->token.number);
    else
        snprintf(buf, 64, "'%.50s'", l->token.text);
    return buf;
}

bool ntk_lexer_is(const struct ntk_lexer *l, const char *text)
{
    return (l->token.kind == NTK_TOKEN_SYMBOL || l->token.kind == NTK_TOKEN_NAME) &&
           strcmp(l->token.text, text) == 0;
}

static void advance(struct ntk_lexer *l, size_t n)
{
    for (; n > 0; n--, l->at++) {
        if (*l->at == '\n') {
            l->line++;
            l->column = 1;
        } else if (((unsigned char)*l->at & 0xc0) != 0x80) { /* not inside a UTF-8 character */
            l->column++;
        }
    }
}

static void skip_space(struct ntk_lexer *l)
{
    for (;;) {
        if (*l->at == '#')
            advance(l, strcspn(l->at, "\n"));
        else if (isspace((unsigned char)*l->at))
            advance(l, 1);
        else if (l->at[0] == '\\' && l->at[1] == '\n')
            advance(l, 2);
        else
            return;
    }
}

static ntk_status keep(struct ntk_lexer *l, enum ntk_token_kind kind, const char *start, size_t n)
{
    l->token.kind = kind;
    l->token.text = ntk_arena_strdup(l->arena, start, n);
    return l->token.text ? NTK_OK : ntk_fail(l->ctx, NTK_ENOMEM, "no memory for a word");
}

static bool is_digit(char c) { return isdigit((unsigned char)c) != 0; }

static ntk_status number(struct ntk_lexer *l)
{
    const char *start = l->at;
    size_t n = strspn(start, "0123456789_."), k = 0;
    char *digits, *end;

    if (start[n] == 'e' || start[n] == 'E') {
        n += start[n + 1] == '+' || start[n + 1] == '-' ? 2 : 1;
        n += strspn(start + n, "0123456789");
    }
    NTK_TRY(keep(l, NTK_TOKEN_NUMBER, start, n));
    digits = ntk_arena_alloc(l->arena, n + 1, 1);
    if (!digits)
        return ntk_fail(l->ctx, NTK_ENOMEM, "no memory for a number");
    for (size_t i = 0; i < n; i++)
        if (start[i] != '_')
            digits[k++] = start[i];
        else if (!is_digit(start[i - 1]) || !is_digit(start[i + 1])) /* the first is no '_' */
            return ntk_lexer_fail(l, "'%.20s' is not a number", l->token.text);
    digits[k] = '\0';
    l->token.number = strtod(digits, &end);
    if (*end || isalpha((unsigned char)start[n]) || start[n] == '_')
        return ntk_lexer_fail(l, "'%.20s' is not a number", l->token.text);
    if (!isfinite(l->token.number))
        return ntk_lexer_fail(l, "'%.40s' is too large a number", l->token.text);
    advance(l, n);
    return NTK_OK;
}

static ntk_status string(struct ntk_lexer *l)
{
    const char quote = *l->at, *end = strpbrk(l->at + 1, quote == '\'' ? "'\n\\" : "\"\n\\");

    if (!end || *end != quote)
        return ntk_lexer_fail(l, "this string does not end (one line, no backslashes)");
    NTK_TRY(keep(l, NTK_TOKEN_STRING, l->at + 1, (size_t)(end - l->at - 1)));
    advance(l, (size_t)(end + 1 - l->at));
    return NTK_OK;
}

ntk_status ntk_lexer_next(struct ntk_lexer *l)
{
    static const char *const pairs[] = {"**", "==", "!=", "<=", ">="};
    unsigned char c;

    skip_space(l);
    c = (unsigned char)*l->at;
    l->token = (struct ntk_token){.line = l->line, .column = l->column};
    if (c == '\0')
        return NTK_OK;
    if (isdigit(c) || (c == '.' && isdigit((unsigned char)l->at[1])))
        return number(l);
    if (c == '\'' || c == '"')
        return string(l);
    if (isalpha(c) || c == '_') {
        size_t n = 1;

        while (isalnum((unsigned char)l->at[n]) || l->at[n] == '_')
            n++;
        NTK_TRY(keep(l, NTK_TOKEN_NAME, l->at, n));
        advance(l, n);
        return NTK_OK;
    }
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        if (strncmp(l->at, pairs[k], 2) == 0) {
            NTK_TRY(keep(l, NTK_TOKEN_SYMBOL, l->at, 2));
            advance(l, 2);
            return NTK_OK;
        }
    if (!strchr("()[],=:.+-*/%<>", c))
        return ntk_lexer_fail(l, c < 0x80 && isprint(c) ? "unexpected character '%c'"
                                                        : "unexpected byte 0x%02x",
                              c);
    NTK_TRY(keep(l, NTK_TOKEN_SYMBOL, l->at, 1));
    advance(l, 1);
    return NTK_OK;
}

ntk_status ntk_lexer_start(struct ntk_lexer *l, ntk_ctx *ctx, struct ntk_arena *arena,
                           const char *text)
{
    *l = (struct ntk_lexer){.ctx = ctx, .arena = arena, .at = text, .line = 1, .column = 1};
    return ntk_lexer_next(l);
}
