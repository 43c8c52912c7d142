/* SPDX-License-Identifier: MIT
 *
 * sources.c - data of one source: how it is read, and what was guessed about it.
 */
#include <string.h>

#include "cli.h"

#define NAMES_SHOWN 8

const ntk_schema *columns_of(const ntk_schema *schema)
{
    size_t n;

    return schema && ntk_schema_features(schema, &n) ? schema : NULL;
}

bool has_words(const char *name)
{
    return name[strspn(name, "0123456789")] != '\0';
}

size_t outputs_array(const ntk_schema *schema, int64_t outputs, ntk_array *array)
{
    const double *labels = NULL;
    size_t n = 0, named = 0;
    const char *const *names = schema ? ntk_schema_classes(schema, &n, &labels) : NULL;
    const bool classes = n > 0;

    if (schema && !classes)
        names = ntk_schema_targets(schema, &n);
    for (size_t k = 0; k < n; k++)
        named += classes || has_words(names[k]);
    if (!named || n != (size_t)outputs)
        return 0;
    *array = (ntk_array){.name = classes ? "classes" : "targets", .ndim = 1, .shape = {outputs}};
    array->x = labels;
    array->dtype = NTK_F64;
    array->words = labels ? NULL : names;
    return 1;
}

int load_source(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
                const ntk_schema *like, ntk_data **data)
{
    static const char *const words[] = {"auto", "yes", "no"};
    static const ntk_header kinds[] = {NTK_HEADER_AUTO, NTK_HEADER_YES, NTK_HEADER_NO};
    ntk_load_opts opts;
    int i;

    ntk_load_opts_init(&opts);
    STEP(parse_dtype(a->dtype, &opts.dtype));
    STEP(parse_word("header", a->header, 3, words, &i));
    opts.header = kinds[i];
    opts.limit = limit;
    opts.schema = columns_of(like);
    opts.target = a->target;
    opts.drop = opts.schema ? NULL : a->drop;
    opts.features = opts.schema ? NULL : a->features;
    opts.weights = a->weights;
    opts.noise = a->noise;
    TRY(ctx, ntk_data_load(ctx, source, &opts, data));
    return EXIT_OK;
}

/* ---- what was guessed, on one line */

/* "a, b, c", of long lists the beginning. */
static void add_names(char *line, size_t size, const char *const *names, size_t n)
{
    size_t at = strlen(line);

    for (size_t k = 0; k < n && k < NAMES_SHOWN && at < size; k++)
        at += (size_t)snprintf(line + at, size - at, strchr(names[k], ',') ? "%s\"%.40s\"" : "%s%.40s",
                               k ? ", " : "", names[k]);
    if (n > NAMES_SHOWN && at < size)
        snprintf(line + at, size - at, ", ... (%zu)", n);
}

static void add(char *line, size_t size, const char *text)
{
    const size_t at = strlen(line);

    snprintf(line + at, size - at, "%s", text);
}

/* An integer header could be a row. */
static bool in_numbers(const char *const *names, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (names[k][strspn(names[k], "0123456789")] != '\0')
            return false;
    return true;
}

static void add_table(char *line, size_t size, const ntk_schema *s)
{
    const ntk_table *t = ntk_schema_table(s);
    size_t n_features, n_targets;
    const char *const *features = ntk_schema_features(s, &n_features);
    const char *const *targets = ntk_schema_targets(s, &n_targets);

    add(line, size, t->header ? "header" : "no header");
    if (t->header && t->header_guessed && in_numbers(features, n_features))
        add(line, size, " (integers; if it is a row: --header no)");
    add(line, size, n_targets ? "; target " : "; no target");
    add_names(line, size, targets, n_targets);
    if (t->target_guessed && n_targets)
        add(line, size, " (guessed)");
    add(line, size, t->matched == 1   ? "; features by name "
                    : t->matched == 2 ? "; features by number "
                                      : "; features ");
    add_names(line, size, features, n_features);
    if (t->weights) {
        add(line, size, "; weights ");
        add_names(line, size, &t->weights, 1);
    }
    if (t->noise) {
        add(line, size, "; noise ");
        add_names(line, size, &t->noise, 1);
    }
    if (t->n_dropped) {
        add(line, size, "; dropped ");
        add_names(line, size, t->dropped, t->n_dropped);
    }
}

/* Of classes and of tables; arrays and images have nothing to be guessed. */
void say_source(const char *source, const ntk_data *data, const ntk_schema *schema)
{
    const ntk_schema *own = ntk_data_schema(data);
    const bool table = own && ntk_schema_table(own);
    char line[1600] = "";
    size_t n = 0;
    const char *const *classes = schema ? ntk_schema_classes(schema, &n, NULL) : NULL;

    if (table)
        add_table(line, sizeof line, own);
    if (schema && (table || !own)) {
        add(line, sizeof line, table ? "; " : "");
        if (n) {
            snprintf(line + strlen(line), sizeof line - strlen(line), "%zu class%s: ", n,
                     n == 1 ? "" : "es");
            add_names(line, sizeof line, classes, n);
        } else {
            add(line, sizeof line, "regression");
        }
    }
    if (*line)
        note("%s: %s", source, line);
}

/* ---- the same in JSON */

static void json_table(struct json *j, const ntk_schema *s)
{
    const ntk_table *t = ntk_schema_table(s);
    size_t n;
    const char *const *names;

    json_bool(j, "header", t->header);
    json_bool(j, "header_guessed", t->header_guessed);
    names = ntk_schema_targets(s, &n);
    json_texts(j, "target", names, n);
    json_bool(j, "target_guessed", t->target_guessed);
    names = ntk_schema_features(s, &n);
    json_texts(j, "features", names, n);
    if (t->matched)
        json_text(j, "matched", t->matched == 1 ? "name" : "number");
    if (t->weights)
        json_text(j, "weights", t->weights);
    if (t->noise)
        json_text(j, "noise", t->noise);
    json_texts(j, "dropped", t->dropped, t->n_dropped);
    json_texts(j, "notes", t->notes, t->n_notes);
}

void json_source(struct json *j, const char *key, const char *source, const ntk_data *data,
                 const ntk_schema *schema)
{
    const ntk_schema *own = ntk_data_schema(data);
    size_t n = 0;
    const char *const *classes = schema ? ntk_schema_classes(schema, &n, NULL) : NULL;

    json_open(j, key, '{');
    json_text(j, "source", source);
    json_integer(j, "rows", ntk_data_n(data));
    if (own && ntk_schema_table(own))
        json_table(j, own);
    if (n)
        json_texts(j, "classes", classes, n);
    else if (schema)
        json_bool(j, "regression", true);
    json_close(j, '}');
}
