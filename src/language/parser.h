/* SPDX-License-Identifier: MIT
 *
 * parser.h - presets: definitions in the architecture language. (Expressions: net.h.)
 */
#ifndef NTK_PARSER_H
#define NTK_PARSER_H

#include "language/net.h"

/* def NAME(parameter=default, ...): [return] body */
struct ntk_definition {
    const char *name;
    int n;
    const char **parameters;    /* [n] */
    struct ntk_expr **defaults; /* [n] */
    struct ntk_expr *body;
};
ntk_status ntk_parse_definition(ntk_ctx *ctx, struct ntk_arena *arena, const char *text,
                                struct ntk_definition *def);

#endif
