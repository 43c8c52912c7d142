/* SPDX-License-Identifier: MIT
 *
 * lexer.h - the words of the architecture language.
 */
#ifndef NTK_LEXER_H
#define NTK_LEXER_H

#include "language/net.h"

enum ntk_token_kind {
    NTK_TOKEN_END,
    NTK_TOKEN_NUMBER,
    NTK_TOKEN_STRING,
    NTK_TOKEN_NAME,  /* also if, else, and, or, not, def, return, True, False, None */
    NTK_TOKEN_SYMBOL /* ( ) [ ] , = : . + - * / % and ** == != <= >= < > */
};

struct ntk_token {
    enum ntk_token_kind kind;
    const char *text; /* NAME, STRING, SYMBOL; NUL-terminated, in the arena */
    double number;
    int line, column;
};

struct ntk_lexer {
    ntk_ctx *ctx;
    struct ntk_arena *arena;
    const char *at; /* next character */
    int line, column;
    struct ntk_token token; /* the current token */
};

/* Starts at the first token of text. */
ntk_status ntk_lexer_start(struct ntk_lexer *l, ntk_ctx *ctx, struct ntk_arena *arena,
                           const char *text);
ntk_status ntk_lexer_next(struct ntk_lexer *l);
/* The current token is this symbol or word. */
bool ntk_lexer_is(const struct ntk_lexer *l, const char *text);
/* "line 2, column 14: <text>", the place of the current token. */
ntk_status ntk_lexer_fail(const struct ntk_lexer *l, const char *fmt, ...) NTK_PRINTF(2, 3);
/* The current token as a message shows it: 'Dense', end of the text. */
const char *ntk_lexer_show(const struct ntk_lexer *l, char buf[64]);

#endif
