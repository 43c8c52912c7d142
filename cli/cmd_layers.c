/* SPDX-License-Identifier: MIT
 *
 * ntk layers: the words of the architecture language.
 */
#include <string.h>

#include "cli.h"

static void print_json(struct json *j, const ntk_layer_info *w)
{
    json_open(j, NULL, '{');
    json_text(j, "name", w->name);
    json_text(j, "kind", w->kind);
    json_text(j, "summary", w->summary);
    json_text(j, "formula", w->formula);
    json_text(j, "source", w->source);
    json_text(j, "cost", w->cost);
    json_open(j, "parameters", '[');
    for (size_t k = 0; k < w->n_params; k++) {
        json_open(j, NULL, '{');
        json_text(j, "name", w->params[k].name);
        json_text(j, "type", w->params[k].type);
        json_text(j, "default", w->params[k].value);
        json_text(j, "doc", w->params[k].doc);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void print_all(void)
{
    static const char *const kinds[][2] = {{"layer", "layers"},
                                           {"activation", "activations"},
                                           {"combinator", "combinators"},
                                           {"preset", "presets"}};

    for (size_t k = 0; k < 4; k++) {
        printf("%s%s\n", k ? "\n" : "", kinds[k][1]);
        for (size_t i = 0; i < ntk_layer_count(); i++) {
            const ntk_layer_info *w = ntk_layer_get(i);

            if (strcmp(w->kind, kinds[k][0]) == 0)
                printf("    %-18s %s\n", w->name, w->summary);
        }
    }
    printf("\n'ntk layers NAME' has the arguments and the formula of one.\n");
}

static void print_one(const ntk_layer_info *w)
{
    printf("%s(", w->name);
    for (size_t k = 0; k < w->n_params; k++)
        printf("%s%s%s%s", k ? ", " : "", w->params[k].name, *w->params[k].value ? "=" : "",
               w->params[k].value);
    printf(")\n    %s.\n", w->summary);
    for (size_t k = 0; k < w->n_params; k++)
        printf("%s    %-17s %s\n", k ? "" : "\n", w->params[k].name, w->params[k].doc);
    printf("\n    infinite width    %s\n", w->formula);
    if (*w->source)
        printf("    source            %s\n", w->source);
    if (*w->cost)
        printf("    cost              %s\n", w->cost);
}

static const char *layer_name(size_t i) { return ntk_layer_get(i)->name; }

static int unknown_layer(const char *name)
{
    const char *near = nearest(name, ntk_layer_count(), layer_name);

    if (near)
        return usage("there is no layer '%s'; did you mean '%s'?", name, near);
    return usage("there is no layer '%s'; 'ntk layers' lists those there are", name);
}

int cmd_layers(ntk_ctx *ctx, const struct args *a);
int cmd_layers(ntk_ctx *ctx, const struct args *a)
{
    const char *name = a->n_words ? a->words[0] : NULL;
    struct json j = {.f = stdout};
    bool found = false;

    (void)ctx;
    if (!name && !a->json) {
        print_all();
        return EXIT_OK;
    }
    if (!name)
        json_open(&j, NULL, '[');
    for (size_t i = 0; i < ntk_layer_count(); i++) {
        const ntk_layer_info *w = ntk_layer_get(i);

        if (name && strcmp(w->name, name) != 0)
            continue;
        found = true;
        if (a->json)
            print_json(&j, w);
        else
            print_one(w);
    }
    if (!name)
        json_close(&j, ']');
    if (a->json)
        putchar('\n');
    return found ? EXIT_OK : unknown_layer(name);
}
