/* SPDX-License-Identifier: MIT
 *
 * net.h - from architecture text to a net, and from a net to the graph of its kernels.
 *
 *     text --lexer.c, parser.c--> expressions --build.c--> net (a tree) --lower.c--> graph
 *
 * Expressions know nothing of layers; build.c binds calls to classes (class.h), to the combinators
 * (combine.c: serial, parallel, FanOut, repeat, residual) and to presets (preset.c, nets/).
 */
#ifndef NTK_NET_H
#define NTK_NET_H

#include "ops/graph.h"
#include "layers/layer.h"

/* ---- expressions, in the net's arena */
enum ntk_expr_kind {
    NTK_EXPR_NUMBER,
    NTK_EXPR_STRING,
    NTK_EXPR_BOOL,
    NTK_EXPR_NONE,
    NTK_EXPR_NAME,
    NTK_EXPR_TUPLE,  /* items: also lists */
    NTK_EXPR_CALL,   /* name(items...), keyword arguments after the positional ones */
    NTK_EXPR_BINARY, /* items[0] op items[1]; op: + - * / % **, comparisons, and, or */
    NTK_EXPR_UNARY,  /* op items[0]; op: "-", "+" or "not" */
    NTK_EXPR_IF,     /* items[0] if items[1] else items[2], for presets */
};
struct ntk_expr {
    enum ntk_expr_kind kind;
    int line, column;
    double number; /* BOOL: 0 or 1 */
    char op[4];
    const char *text;  /* STRING, NAME, CALL: the word, without `stax.` or `ntk.` */
    int n;
    struct ntk_expr **items;
    const char **keys; /* CALL: keyword of items[i], NULL if positional */
};

/* ---- the net as a tree */
enum ntk_tree_kind {
    NTK_TREE_LEAF,     /* a layer or an activation with its parameters */
    NTK_TREE_SERIAL,   /* kids one after the other */
    NTK_TREE_PARALLEL, /* kid i takes branch i */
    NTK_TREE_FANOUT,   /* n copies of the input */
    NTK_TREE_REPEAT,   /* kids[0], n times, each with its own weights */
};
struct ntk_tree {
    enum ntk_tree_kind kind;
    struct ntk_where at;         /* its place in the text */
    const struct ntk_class *cls; /* LEAF */
    void *self;                  /* LEAF: the private struct, cls->size bytes */
    int n;                       /* number of kids; FANOUT, REPEAT: the number */
    struct ntk_tree **kids;
};

#define NTK_PARSE_DEPTH 200 /* most nested brackets and operators of a text: bounds the stack */
#define NTK_TREE_DEPTH  190 /* most nested layers: printed, with their arguments, they parse again */

struct ntk_net {
    ntk_ctx *ctx;
    struct ntk_arena arena; /* of everything below */
    struct ntk_tree *tree;
};

/* Parses one expression (a comment or white space may surround it). NTK_EPARSE with place. */
ntk_status ntk_parse(ntk_ctx *ctx, struct ntk_arena *arena, const char *text, struct ntk_expr **expr);

/* The language's combinators and Elementwise, for the registry that `ntk layers` shows. */
extern const ntk_layer_info ntk_combinators[];
extern const size_t ntk_n_combinators;

/* Class by its name in the language ("Dense", "Relu"); NULL if there is none. */
const struct ntk_class *ntk_class_find(const char *name);

/* A preset's text: nets/NAME.ntk is `def NAME(arg=default, ...): expression`. */
struct ntk_preset {
    const char *name, *text, *summary;
    const ntk_param_info *params;
    size_t n_params;
};
extern const struct ntk_preset ntk_presets[]; /* generated from nets/ by the build */
extern const size_t ntk_n_presets;

/* Name of the first layer that uses positions; NULL: none does. */
const char *ntk_net_positional(const ntk_net *net);
/* True if some window wraps around: offsets then count modulo the image (graph.h). */
bool ntk_net_wraps(const ntk_net *net);
/* A warning, once in a context, for images that seem to have their channels first, if the net uses positions. */
void ntk_net_check_axes(ntk_ctx *ctx, const ntk_net *net, ntk_shape s);
/* Adds the net's recursion to the graph for samples of shape `in`: out is what leaves the net. */
ntk_status ntk_net_lower(const ntk_net *net, ntk_shape in, struct ntk_graph *g,
                         struct ntk_field *out);
/* The steps of the finite network for samples of shape `in`, into t, which is all zeros but its context. The
 * net must outlive it. */
ntk_status ntk_net_unroll(const ntk_net *net, ntk_shape in, struct ntk_tape *t);

#endif
