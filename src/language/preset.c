/* SPDX-License-Identifier: MIT
 *
 * preset.c - nets with a name: files nets/NAME.ntk, called like functions.
 */
#include <string.h>

#include "language/build.h"
#include "language/parser.h"

#define PARAMETERS_MAX 32

static const struct ntk_preset *find(const char *name)
{
    for (size_t i = 0; i < ntk_n_presets; i++)
        if (strcmp(ntk_presets[i].name, name) == 0)
            return &ntk_presets[i];
    return NULL;
}

const char *ntk_preset_text(const char *name)
{
    const struct ntk_preset *p = find(name);

    return p ? p->text : NULL;
}

/* An argument, where the preset is called. */
static ntk_status evaluate(struct ntk_builder *b, const struct ntk_expr *e, const struct ntk_definition *def, int k,
                           struct ntk_value *v)
{
    return def->defaults[k]->kind == NTK_EXPR_STRING ? ntk_evaluate_word(b, e, def->parameters[k], v)
                                                     : ntk_evaluate(b, e, v);
}

/* The body is evaluated with its parameters alone. What is wrong there may be an argument, and the user did not write the
 * lines. */
static ntk_status call(struct ntk_builder *b, const struct ntk_expr *e,
                       const struct ntk_definition *def, struct ntk_value *v)
{
    struct ntk_value values[PARAMETERS_MAX];
    const struct ntk_expr *arg[PARAMETERS_MAX];
    const struct ntk_scope scope = {.n = def->n, .names = def->parameters, .values = values};
    struct ntk_builder inside = {
        .ctx = b->ctx, .arena = b->arena, .scope = &scope, .depth = b->depth};
    struct ntk_builder nowhere = {.ctx = b->ctx, .arena = b->arena, .depth = b->depth};
    ntk_status status;

    NTK_TRY(ntk_match_arguments(b, e, def->n, def->parameters, arg));
    for (int k = 0; k < def->n; k++)
        if (arg[k])
            NTK_TRY(evaluate(b, arg[k], def, k, &values[k]));
        else
            NTK_TRY(ntk_evaluate(&nowhere, def->defaults[k], &values[k]));
    v->kind = NTK_VALUE_NET;
    status = ntk_build_net(&inside, def->body, &v->tree);
    if (status != NTK_OK && strncmp(ntk_errmsg(b->ctx), "line", 4) == 0)
        ntk_fail_in(b->ctx, status, "line %d, column %d: in %s()", e->line, e->column, e->text);
    return status;
}

ntk_status ntk_build_preset(struct ntk_builder *b, const struct ntk_expr *e, struct ntk_value *v,
                            bool *known)
{
    const struct ntk_preset *p = find(e->text);
    struct ntk_definition def;

    *known = p != NULL;
    if (!p)
        return NTK_OK;
    NTK_TRY(ntk_parse_definition(b->ctx, b->arena, p->text, &def));
    if (def.n > PARAMETERS_MAX)
        return ntk_fail_at(&v->at, NTK_EPARSE, "a preset has at most %d parameters", PARAMETERS_MAX);
    return call(b, e, &def, v);
}
