/* SPDX-License-Identifier: MIT
 *
 * build.h - evaluating expressions to values: numbers, texts, tuples and nets.
 */
#ifndef NTK_BUILD_H
#define NTK_BUILD_H

#include "language/net.h"

enum ntk_value_kind {
    NTK_VALUE_NUMBER,
    NTK_VALUE_STRING,
    NTK_VALUE_BOOL,
    NTK_VALUE_NONE,
    NTK_VALUE_TUPLE,
    NTK_VALUE_NET,
};
struct ntk_value {
    enum ntk_value_kind kind;
    struct ntk_where at;
    double number; /* BOOL: 0 or 1 */
    const char *text;
    int n;
    struct ntk_value *items; /* TUPLE */
    struct ntk_tree *tree;
};

/* Names with values inside a preset. */
struct ntk_scope {
    int n;
    const char *const *names;
    const struct ntk_value *values;
};

struct ntk_builder {
    ntk_ctx *ctx;
    struct ntk_arena *arena;
    const struct ntk_scope *scope; /* NULL outside presets */
    int depth;                     /* of expressions being evaluated: bounds the stack */
};

#define NTK_BUILD_DEPTH 400

ntk_status ntk_evaluate(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v);
/* Of a parameter that takes a word: a name without quotes is refused for their lack, and not as a layer. */
ntk_status ntk_evaluate_word(struct ntk_builder *b, const struct ntk_expr *e, const char *parameter, struct ntk_value *v);
/* Arithmetic and comparisons. */
ntk_status ntk_evaluate_operator(struct ntk_builder *b, const struct ntk_expr *e,
                                 struct ntk_value *v);
struct ntk_where ntk_place(const struct ntk_builder *b, const struct ntk_expr *e);
/* "(3, 3)", "'SAME'", "a layer": how a message shows a value; returns buf. */
void ntk_value_text(const struct ntk_value *v, struct ntk_text *t);
const char *ntk_value_show(const struct ntk_value *v, char *buf, size_t size);

/* Which argument of call e goes to which of n parameters: arg[i] is an item or NULL. Refuses unknown
 * keywords (with the nearest), too many and twice given ones. */
ntk_status ntk_match_arguments(struct ntk_builder *b, const struct ntk_expr *e, int n,
                               const char *const *parameters, const struct ntk_expr **arg);
/* Fills in a layer's private struct from call e, skipping its first `skip` items. */
ntk_status ntk_bind(struct ntk_builder *b, const struct ntk_expr *e, int skip,
                    const struct ntk_class *cls, void **self);

/* Calls of combinators (combine.c) and presets (preset.c): *known is false if e is not one. */
ntk_status ntk_build_combinator(struct ntk_builder *b, const struct ntk_expr *e,
                                struct ntk_tree **tree, bool *known);
ntk_status ntk_build_preset(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v,
                            bool *known);
/* Evaluates e, which must be a net. */
ntk_status ntk_build_net(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_tree **tree);
struct ntk_tree *ntk_tree_new(struct ntk_builder *b, enum ntk_tree_kind kind, struct ntk_where at,
                              int n_kids);
ntk_status ntk_build_no_memory(const struct ntk_builder *b);

#endif
