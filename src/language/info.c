/* SPDX-License-Identifier: MIT
 *
 * info.c - every word of the language with its documentation: layers, activations, combinators,
 * presets.
 */
#include <pthread.h>
#include <string.h>

#include "activations/activation.h"
#include "language/net.h"

#define WORDS_MAX  256
#define PARAMS_MAX 1024

/* Made once from the classes' own tables, never changed again. */
static ntk_layer_info words[WORDS_MAX];
static ntk_param_info params[PARAMS_MAX];
static size_t n_words, n_params;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *or_empty(const char *s) { return s ? s : ""; }

static const char *type_name(enum ntk_type type)
{
    static const char *const names[] = {
        [NTK_TYPE_NUMBER] = "number",   [NTK_TYPE_INTEGER] = "integer",
        [NTK_TYPE_BOOL] = "bool",       [NTK_TYPE_CHOICE] = "choice",
        [NTK_TYPE_NUMBERS] = "numbers", [NTK_TYPE_INTEGERS] = "integers",
    };
    return names[type];
}

static void add_class(const struct ntk_class *c)
{
    ntk_layer_info *w = &words[n_words];

    *w = (ntk_layer_info){.name = c->name,
                          .kind = c->kind == NTK_CLASS_LAYER ? "layer" : "activation",
                          .summary = or_empty(c->summary),
                          .formula = or_empty(c->formula),
                          .source = or_empty(c->source),
                          .cost = or_empty(c->cost),
                          .params = &params[n_params]};
    for (const struct ntk_param *p = c->params; p && p->name && n_params < PARAMS_MAX; p++) {
        params[n_params++] = (ntk_param_info){
            .name = p->name, .type = type_name(p->type), .value = or_empty(p->value), .doc = p->doc};
        w->n_params++;
    }
    n_words++;
}

static void make(void)
{
    for (size_t i = 0; i < ntk_n_layers && n_words < WORDS_MAX; i++)
        add_class(&ntk_layers[i]->base);
    for (size_t i = 0; i < ntk_n_activations() && n_words < WORDS_MAX; i++)
        add_class(&ntk_activation_get(i)->base);
    for (size_t i = 0; i < ntk_n_combinators && n_words < WORDS_MAX; i++)
        words[n_words++] = ntk_combinators[i];
    for (size_t i = 0; i < ntk_n_presets && n_words < WORDS_MAX; i++)
        words[n_words++] = (ntk_layer_info){.name = ntk_presets[i].name,
                                            .kind = "preset",
                                            .summary = ntk_presets[i].summary,
                                            .formula = "the rules of its layers",
                                            .source = "",
                                            .cost = "",
                                            .params = ntk_presets[i].params,
                                            .n_params = ntk_presets[i].n_params};
}

size_t ntk_layer_count(void)
{
    pthread_once(&once, make);
    return n_words;
}

const ntk_layer_info *ntk_layer_get(size_t i) { return i < ntk_layer_count() ? &words[i] : NULL; }
