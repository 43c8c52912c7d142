/* SPDX-License-Identifier: MIT
 *
 * combine.c - the words that combine layers: serial, parallel, FanOut, repeat, residual.
 */
#include <math.h>
#include <string.h>

#include "language/build.h"

#define REPEAT_MAX 10000

#define TEXT_OF_(number) #number
#define TEXT_OF(number)  TEXT_OF_(number)

static const ntk_param_info layers_param[] = {
    {"*layers", "layers", "", "layers, in order"},
};
static const ntk_param_info fanout_params[] = {
    {"num", "integer", "", "number of copies, 1 to " TEXT_OF(NTK_BRANCHES_MAX)},
};
static const ntk_param_info repeat_params[] = {
    {"layer", "layer", "", "what is repeated"},
    {"n", "integer", "", "how often, 1 to " TEXT_OF(REPEAT_MAX)},
};
static const ntk_param_info elementwise_params[] = {
    {"fn", "text", "", "name of an activation in quotes, in any case, with or without underscores"},
    {"*arguments", "numbers", "", "arguments of that activation"},
};
static const ntk_param_info numerical_params[] = {
    {"fn", "text", "", "name of an activation in quotes, in any case, with or without underscores"},
    {"deg", "integer", "", "accepted for neural-tangents' sake and ignored; may be left out"},
    {"*arguments", "numbers", "", "arguments of that activation"},
};

#define WORD(word, kind, text, rule, p) {word, kind, text, rule, "", "", p, sizeof(p) / sizeof *(p)}
#define INFO(word, text, rule, p)       WORD(word, "combinator", text, rule, p)

const ntk_layer_info ntk_combinators[] = {
    INFO("serial", "Layers one after the other", "the rules of the layers in order", layers_param),
    INFO("parallel", "Layer i takes branch i of what FanOut made; a FanIn layer joins them again",
         "each branch by its own rules", layers_param),
    INFO("FanOut", "Copies its input into branches for parallel(...)", "S_i = S;  T_i = T",
         fanout_params),
    INFO("repeat", "The same layer n times, each time with weights of its own",
         "the layer's rule n times", repeat_params),
    INFO("residual", "x + f(x): FanOut(2), parallel(Identity(), serial(*layers)), FanInSum()",
         "S' = S + S_f;  T' = T + T_f", layers_param),
    WORD("Elementwise", "activation", "The activation of a name: Elementwise('tanh') is Tanh()",
         "that of the activation", elementwise_params),
    WORD("ElementwiseNumerical", "activation", "The same as Elementwise", "that of the activation",
         numerical_params),
};
const size_t ntk_n_combinators = sizeof ntk_combinators / sizeof *ntk_combinators;

/* A tree of the layers that are e's arguments; a tuple or list among them counts as its items. */
static ntk_status kids(struct ntk_builder *b, const struct ntk_expr *e, enum ntk_tree_kind kind,
                       struct ntk_tree **tree)
{
    const struct ntk_where at = ntk_place(b, e);
    const bool list = e->n == 1 && e->items[0]->kind == NTK_EXPR_TUPLE;
    const struct ntk_expr *from = list ? e->items[0] : e;

    if (from->n == 0)
        return ntk_fail_at(&at, NTK_EPARSE, "needs at least one layer");
    *tree = ntk_tree_new(b, kind, at, from->n);
    if (!*tree)
        return ntk_build_no_memory(b);
    for (int i = 0; i < e->n; i++)
        if (e->keys[i])
            return ntk_fail_at(&at, NTK_EPARSE, "takes layers, not the argument '%s'", e->keys[i]);
    for (int i = 0; i < from->n; i++)
        NTK_TRY(ntk_build_net(b, from->items[i], &(*tree)->kids[i]));
    if (kind == NTK_TREE_PARALLEL && from->n > NTK_BRANCHES_MAX)
        return ntk_fail_at(&at, NTK_EPARSE, "has %d branches, at most %d are allowed", from->n,
                           NTK_BRANCHES_MAX);
    return NTK_OK;
}

static ntk_status count(struct ntk_builder *b, const struct ntk_expr *e, const struct ntk_expr *arg,
                        const char *parameter, int most, int *n)
{
    const struct ntk_where at = ntk_place(b, e);
    struct ntk_value v;
    char shown[100];

    if (!arg)
        return ntk_fail_at(&at, NTK_EPARSE, "argument '%s' is missing", parameter);
    NTK_TRY(ntk_evaluate(b, arg, &v));
    if (v.kind != NTK_VALUE_NUMBER || v.number != floor(v.number) || v.number < 1 ||
        v.number > most)
        return ntk_fail_at(&at, NTK_EPARSE, "%s must be an integer from 1 to %d, got %s", parameter,
                           most, ntk_value_show(&v, shown, sizeof shown));
    *n = (int)v.number;
    return NTK_OK;
}

static ntk_status fan_out(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_tree **tree)
{
    static const char *const names[] = {"num"};
    const struct ntk_expr *arg[1];

    NTK_TRY(ntk_match_arguments(b, e, 1, names, arg));
    *tree = ntk_tree_new(b, NTK_TREE_FANOUT, ntk_place(b, e), 0);
    if (!*tree)
        return ntk_build_no_memory(b);
    return count(b, e, arg[0], "num", NTK_BRANCHES_MAX, &(*tree)->n);
}

static ntk_status repeat(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_tree **tree)
{
    static const char *const names[] = {"layer", "n"};
    const struct ntk_where at = ntk_place(b, e);
    const struct ntk_expr *arg[2];

    NTK_TRY(ntk_match_arguments(b, e, 2, names, arg));
    if (!arg[0])
        return ntk_fail_at(&at, NTK_EPARSE, "argument 'layer' is missing");
    *tree = ntk_tree_new(b, NTK_TREE_REPEAT, at, 1);
    if (!*tree)
        return ntk_build_no_memory(b);
    NTK_TRY(ntk_build_net(b, arg[0], &(*tree)->kids[0]));
    return count(b, e, arg[1], "n", REPEAT_MAX, &(*tree)->n);
}

static struct ntk_tree *plain_leaf(struct ntk_builder *b, struct ntk_where at, const char *name)
{
    struct ntk_tree *t;

    at.name = name;
    t = ntk_tree_new(b, NTK_TREE_LEAF, at, 0);
    if (t)
        t->cls = ntk_class_find(name);
    return t;
}

/* serial(FanOut(2), parallel(Identity(), serial(...)), FanInSum()) */
static ntk_status residual(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_tree **tree)
{
    const struct ntk_where at = ntk_place(b, e);
    struct ntk_tree *body, *split, *branches, *join;

    NTK_TRY(kids(b, e, NTK_TREE_SERIAL, &body));
    *tree = ntk_tree_new(b, NTK_TREE_SERIAL, at, 3);
    split = ntk_tree_new(b, NTK_TREE_FANOUT, at, 0);
    branches = ntk_tree_new(b, NTK_TREE_PARALLEL, at, 2);
    join = plain_leaf(b, at, "FanInSum");
    if (!*tree || !split || !branches || !join)
        return ntk_build_no_memory(b);
    split->n = 2;
    branches->kids[0] = plain_leaf(b, at, "Identity");
    branches->kids[1] = body->n == 1 ? body->kids[0] : body;
    (*tree)->kids[0] = split;
    (*tree)->kids[1] = branches;
    (*tree)->kids[2] = join;
    return branches->kids[0] ? NTK_OK : ntk_build_no_memory(b);
}

ntk_status ntk_build_combinator(struct ntk_builder *b, const struct ntk_expr *e,
                                struct ntk_tree **tree, bool *known)
{
    *known = true;
    if (strcmp(e->text, "serial") == 0)
        return kids(b, e, NTK_TREE_SERIAL, tree);
    if (strcmp(e->text, "parallel") == 0)
        return kids(b, e, NTK_TREE_PARALLEL, tree);
    if (strcmp(e->text, "FanOut") == 0)
        return fan_out(b, e, tree);
    if (strcmp(e->text, "repeat") == 0)
        return repeat(b, e, tree);
    if (strcmp(e->text, "residual") == 0)
        return residual(b, e, tree);
    *known = false;
    return NTK_OK;
}
