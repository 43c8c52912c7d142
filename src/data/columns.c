/* SPDX-License-Identifier: MIT
 *
 * columns.c - see columns.h.
 */
#include "data/columns.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "data/csv.h"

/* ---- names */

static int by_name(const void *a, const void *b)
{
    char **const x = *(char **const *)a, **const y = *(char **const *)b;
    const int order = strcmp(*x, *y);

    return order ? order : (x > y) - (x < y);
}

static ntk_status name_columns(ntk_ctx *ctx, const char *header, struct ntk_columns *c)
{
    const char **names = ntk_alloc(ctx, (size_t)c->n, sizeof *names);
    char(*texts)[40] = ntk_alloc(ctx, (size_t)c->n, sizeof *texts);

    c->unnamed = ntk_alloc_zero(ctx, (size_t)c->n, sizeof *c->unnamed);
    if (names && texts && c->unnamed) {
        for (int64_t k = 0; k < c->n; k++) {
            c->unnamed[k] = header && !*header;
            snprintf(texts[k], sizeof *texts, header ? "Unnamed: %lld" : "%lld", (long long)k);
            names[k] = header && *header ? header : texts[k];
            header = header ? ntk_csv_next_cell(header) : NULL;
        }
        c->names = ntk_texts(ctx, names, (size_t)c->n);
    }
    free(names);
    free(texts);
    c->sorted = c->names ? ntk_alloc(ctx, (size_t)c->n, sizeof *c->sorted) : NULL;
    if (!c->sorted)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < c->n; k++)
        c->sorted[k] = c->names + k;
    qsort(c->sorted, (size_t)c->n, sizeof *c->sorted, by_name);
    return NTK_OK;
}

/* The first of the sorted names that is not below this one. */
static int64_t place_of(const struct ntk_columns *c, const char *name)
{
    int64_t low = 0, high = c->n;

    while (low < high) {
        const int64_t middle = (low + high) / 2;

        if (strcmp(*c->sorted[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The column of that name, at a place of the sorted ones; -1: there it is not. */
static int64_t column_at(const struct ntk_columns *c, int64_t place, const char *name)
{
    return c->header && place < c->n && strcmp(*c->sorted[place], name) == 0 ? c->sorted[place] - c->names : -1;
}

/* The first column of that name; -1: none. */
static int64_t column_named(const struct ntk_columns *c, const char *name)
{
    return column_at(c, place_of(c, name), name);
}

/* The one column of that name; -1: none. */
static ntk_status find_only(ntk_ctx *ctx, const struct ntk_columns *c, const char *name, const char *hint,
                            int64_t *column)
{
    const int64_t place = place_of(c, name), twin = column_at(c, place + 1, name);

    *column = column_at(c, place, name);
    if (*column < 0 || twin < 0)
        return NTK_OK;
    return ntk_fail(ctx, NTK_EINVAL, "columns %lld and %lld are both called '%.80s': %s", (long long)*column,
                    (long long)twin, name, hint);
}

#define GIVE_NUMBERS "say by its number which is meant"

/* "a, b, c", cut where it gets long; to be freed. */
static char *list_of(char *const *names, int64_t n)
{
    struct ntk_text list = {0};
    int64_t k = 0;

    for (; k < n && list.n < 300; k++)
        ntk_text_add(&list, strchr(names[k], ',') ? "%s\"%.80s\"" : "%s%.80s", k ? ", " : "", names[k]);
    if (k < n)
        ntk_text_add(&list, ", ...");
    return list.s;
}

static ntk_status no_such_column(ntk_ctx *ctx, const struct ntk_columns *c, const char *name,
                                 const char *purpose)
{
    char *names = c->header ? list_of(c->names, c->n) : NULL;

    ntk_fail(ctx, NTK_EINVAL, "no column '%s' for the %s: give %snumber 0 to %lld%s%s%s", name,
             purpose, c->header ? "a name, a " : "a ", (long long)c->n - 1,
             strcmp(purpose, "target") == 0 ? ", or 'none'" : "", names ? "; the names are " : "",
             names ? names : "");
    free(names);
    return NTK_EINVAL;
}

/* A name goes before a number. */
static ntk_status find_column(ntk_ctx *ctx, const struct ntk_columns *c, const char *name,
                              const char *purpose, int64_t *column)
{
    char *end;

    NTK_TRY(find_only(ctx, c, name, GIVE_NUMBERS, column));
    if (*column >= 0)
        return NTK_OK;
    *column = isdigit((unsigned char)*name) ? strtoll(name, &end, 10) : c->n;
    if (*column >= c->n || *end)
        return no_such_column(ctx, c, name, purpose);
    return NTK_OK;
}

/* ---- choosing */

static ntk_status use(ntk_ctx *ctx, struct ntk_columns *c, int64_t column, const char *purpose,
                      int64_t *count)
{
    if (c->place[column] != NTK_DROPPED)
        return ntk_fail(ctx, NTK_EINVAL, "column '%.80s' is named twice (the second time as %s)",
                        c->names[column], purpose);
    c->at[(*count)++] = column;
    c->place[column] = 0;
    return NTK_OK;
}

/* The first name of a list, which is written over it: up to a comma or, as in a CSV, in quotes. */
static ntk_status take_name(ntk_ctx *ctx, char **list, const char **name)
{
    char *from = *list, *to = from;

    *name = from;
    if (*from != '"') {
        to = from += strcspn(from, ",");
    } else {
        for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
            from += *from == '"';
            *to++ = *from;
        }
        if (*from != '"' || (from[1] && from[1] != ','))
            return ntk_fail(ctx, NTK_EINVAL,
                            "a list of columns has a quote that is not closed before a comma: a name with "
                            "commas is written \"a,b\", one that begins with a quote \"\"\"a\"");
        from++;
    }
    *list = *from ? from + 1 : NULL;
    *to = '\0';
    return NTK_OK;
}

/* A list's columns, behind those that are there. A list that is a name is one, too. */
static ntk_status use_list(ntk_ctx *ctx, struct ntk_columns *c, const char *list, const char *purpose,
                           int64_t *count)
{
    int64_t column = -1;
    char *copy, *rest;
    ntk_status status = NTK_OK;

    if (*list != '"')
        NTK_TRY(find_only(ctx, c, list, GIVE_NUMBERS, &column));
    if (column >= 0)
        return use(ctx, c, column, purpose, count);
    copy = rest = ntk_strdup(ctx, list);
    if (!copy)
        return NTK_ENOMEM;
    while (rest && status == NTK_OK) {
        const char *name;

        status = take_name(ctx, &rest, &name);
        if (status == NTK_OK)
            status = find_column(ctx, c, name, purpose, &column);
        if (status == NTK_OK)
            status = use(ctx, c, column, purpose, count);
    }
    free(copy);
    return status;
}

static int64_t usual_target(const struct ntk_columns *c, const bool *drop)
{
    static const char *const usual[] = {"target", "label", "class", "y"};
    int64_t last = c->n - 1;

    for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
        for (int64_t column = 0; c->header && column < c->n; column++)
            if (!drop[column] && strcasecmp(c->names[column], usual[k]) == 0)
                return column;
    while (last >= 0 && drop[last])
        last--;
    return last;
}

/* Marks the columns of a list. */
static ntk_status mark(ntk_ctx *ctx, struct ntk_columns *c, const char *list, bool *marks)
{
    int64_t count = 0;
    ntk_status status = NTK_OK;

    if (list)
        status = use_list(ctx, c, list, "columns to drop", &count);
    for (int64_t k = 0; k < count; k++) {
        marks[c->at[k]] = true;
        c->place[c->at[k]] = NTK_DROPPED;
    }
    return status;
}

/* Targets are chosen first and stand behind the features in the end. */
static ntk_status choose(ntk_ctx *ctx, struct ntk_columns *c, const ntk_load_opts *opts,
                         const bool *drop)
{
    int64_t *targets = c->at + c->n;
    int64_t last;

    if (!opts->target) {
        int64_t only;

        last = usual_target(c, drop);
        c->guessed = true;
        if (last >= 0)
            NTK_TRY(find_only(ctx, c, c->names[last], GIVE_NUMBERS, &only));
        if (last >= 0)
            NTK_TRY(use(ctx, c, last, "the target", &c->n_targets));
    } else if (strcmp(opts->target, "none") != 0 || column_named(c, "none") >= 0) {
        NTK_TRY(use_list(ctx, c, opts->target, "target", &c->n_targets));
    }
    for (int64_t k = 0; k < c->n_targets; k++) {
        targets[k] = c->at[k];
        if (drop[targets[k]] && targets[k] != c->own[NTK_OWN_WEIGHT] && targets[k] != c->own[NTK_OWN_NOISE])
            return ntk_fail(ctx, NTK_EINVAL, "column '%.80s' is a target, and to be dropped",
                            c->names[targets[k]]);
    }
    if (opts->features)
        NTK_TRY(use_list(ctx, c, opts->features, "features", &c->n_features));
    for (int64_t k = 0; k < c->n && !opts->features; k++)
        if (!drop[k] && c->place[k] == NTK_DROPPED)
            NTK_TRY(use(ctx, c, k, "a feature", &c->n_features));
    memmove(c->at + c->n_features, targets, (size_t)c->n_targets * sizeof *targets);
    return NTK_OK;
}

/* ---- as a schema says */

static ntk_status missing_columns(ntk_ctx *ctx, const struct ntk_columns *c, const ntk_schema *s)
{
    struct ntk_text missing = {0};
    char *names = list_of(c->names, c->n);
    int n = 0;

    for (int64_t k = 0; k < s->n_features; k++)
        if (column_named(c, s->names[k]) < 0 && missing.n < 500)
            ntk_text_add(&missing, n++ ? ", '%.80s'" : "'%.80s'", s->names[k]);
    ntk_fail(ctx, NTK_EINVAL, "column%s %.500s of the training data %s missing; the names are %s",
             n > 1 ? "s" : "", missing.s ? missing.s : "", n > 1 ? "are" : "is", names ? names : "");
    free(missing.s);
    free(names);
    return NTK_EINVAL;
}

#define MUST_DIFFER "columns are matched by name, which must differ"

/* Where the names of a schema are; its targets, if they are wanted, only if all are there. */
static ntk_status match_names(ntk_ctx *ctx, struct ntk_columns *c, const ntk_schema *s, bool targets)
{
    int64_t column, end;

    for (int64_t k = 0; k < s->n_features; k++) {
        NTK_TRY(find_only(ctx, c, s->names[k], MUST_DIFFER, &column));
        if (column < 0)
            return missing_columns(ctx, c, s);
        NTK_TRY(use(ctx, c, column, "a feature", &c->n_features));
    }
    end = c->n_features;
    for (int64_t k = 0; targets && k < s->n_targets; k++) {
        NTK_TRY(find_only(ctx, c, s->names[s->n_features + k], MUST_DIFFER, &column));
        if (column < 0)
            return NTK_OK;
        NTK_TRY(use(ctx, c, column, "the target", &end));
    }
    c->n_targets = end - c->n_features;
    return NTK_OK;
}

/* The same columns as in the training data, or its features alone. */
static ntk_status match_numbers(ntk_ctx *ctx, struct ntk_columns *c, const ntk_schema *s)
{
    const bool all = c->n == s->columns;
    const int64_t count = s->n_features + (all ? s->n_targets : 0);
    int64_t end = 0;

    if (!all && c->n != s->n_features)
        return ntk_fail(ctx, NTK_EINVAL,
                        "has %lld columns%s; the training data had %lld, of which %lld are features: "
                        "without names give the same columns, or the features alone",
                        (long long)c->n, c->header ? "" : " and no header", (long long)s->columns,
                        (long long)s->n_features);
    for (int64_t k = 0; k < count; k++)
        NTK_TRY(use(ctx, c, all ? s->at[k] : k, "a column of the training data", &end));
    c->n_features = s->n_features;
    c->n_targets = end - s->n_features;
    return NTK_OK;
}

/* Targets that are named otherwise than in the training data; features stay. */
static ntk_status other_targets(ntk_ctx *ctx, struct ntk_columns *c, const char *list)
{
    int64_t end = c->n_features;

    c->n_targets = 0;
    if (strcmp(list, "none") == 0 && column_named(c, "none") < 0)
        return NTK_OK;
    for (int64_t k = 0; k < c->n; k++)
        c->place[k] = NTK_DROPPED;
    for (int64_t k = 0; k < c->n_features; k++)
        c->place[c->at[k]] = k;
    NTK_TRY(use_list(ctx, c, list, "target", &end));
    c->n_targets = end - c->n_features;
    return NTK_OK;
}

static ntk_status match(ntk_ctx *ctx, struct ntk_columns *c, const ntk_load_opts *opts)
{
    const ntk_schema *s = opts->schema;

    if (opts->drop || opts->features)
        return ntk_fail(ctx, NTK_EINVAL, "columns are those of the training data: drop and features "
                                         "must not be given");
    c->matched = c->header && s->header ? 1 : 2;
    NTK_TRY(c->matched == 1 ? match_names(ctx, c, s, !opts->target) : match_numbers(ctx, c, s));
    return opts->target ? other_targets(ctx, c, opts->target) : NTK_OK;
}

/* ---- all of it */

static const char *const own_names[NTK_N_OWN] = {"weights", "noise"};

/* The columns of weights and noise, which are not to be guessed as a target, nor be features because they are left. */
static ntk_status find_own(ntk_ctx *ctx, struct ntk_columns *c, const ntk_load_opts *opts, bool *drop)
{
    const char *const names[NTK_N_OWN] = {opts->weights, opts->noise};

    for (int k = 0; k < NTK_N_OWN; k++) {
        c->own[k] = -1;
        if (!names[k])
            continue;
        NTK_TRY(find_column(ctx, c, names[k], own_names[k], &c->own[k]));
        if (k > 0 && c->own[k] == c->own[0])
            return ntk_fail(ctx, NTK_EINVAL, "column '%.80s' has the weights: it cannot have the noise too",
                            c->names[c->own[k]]);
        if (drop[c->own[k]])
            return ntk_fail(ctx, NTK_EINVAL, "column '%.80s' has the %s, and is to be dropped", c->names[c->own[k]],
                            own_names[k]);
        drop[c->own[k]] = true;
    }
    return NTK_OK;
}

static ntk_status place_columns(ntk_ctx *ctx, struct ntk_columns *c)
{
    for (int64_t k = 0; k < c->n; k++)
        c->place[k] = NTK_DROPPED;
    for (int k = 0; k < NTK_N_OWN; k++)
        if (c->own[k] >= 0)
            c->place[c->own[k]] = NTK_OWN - k;
    for (int64_t k = 0; k < c->n_features + c->n_targets; k++) {
        const int64_t place = c->place[c->at[k]];

        if (place <= NTK_OWN)
            return ntk_fail(ctx, NTK_EINVAL, "column '%.80s' has the %s: it cannot be a %s too", c->names[c->at[k]],
                            own_names[NTK_OWN - place], k < c->n_features ? "feature" : "target");
        c->place[c->at[k]] = k;
    }
    return NTK_OK;
}

static ntk_status arrange(ntk_ctx *ctx, struct ntk_columns *c, const ntk_load_opts *opts)
{
    const bool like = opts->schema && opts->schema->columns;
    bool *drop = ntk_alloc_zero(ctx, (size_t)c->n, sizeof *drop);
    ntk_status status = drop ? NTK_OK : NTK_ENOMEM;

    for (int64_t k = 0; k < c->n; k++)
        c->place[k] = NTK_DROPPED;
    if (status == NTK_OK && !like)
        status = mark(ctx, c, opts->drop, drop);
    if (status == NTK_OK)
        status = find_own(ctx, c, opts, drop);
    if (status == NTK_OK)
        status = like ? match(ctx, c, opts) : choose(ctx, c, opts, drop);
    free(drop);
    if (status == NTK_OK)
        status = place_columns(ctx, c);
    if (status == NTK_OK && c->n_features == 0)
        return ntk_fail(ctx, NTK_EINVAL,
                        c->n_targets
                            ? "the only column would be the target: give a second one, or target 'none'"
                            : "no column is left for a feature");
    return status;
}

ntk_status ntk_columns_new(ntk_ctx *ctx, const char *header, int64_t n, const ntk_load_opts *opts,
                           struct ntk_columns *c)
{
    ntk_status status;

    *c = (struct ntk_columns){.n = n, .header = header};
    c->at = ntk_alloc(ctx, 2 * (size_t)n, sizeof *c->at);
    c->place = ntk_alloc(ctx, (size_t)n, sizeof *c->place);
    status = c->at && c->place ? name_columns(ctx, header, c) : NTK_ENOMEM;
    if (status == NTK_OK)
        status = arrange(ctx, c, opts);
    if (status != NTK_OK)
        ntk_columns_free(c);
    return status;
}

void ntk_columns_free(struct ntk_columns *c)
{
    free(c->names);
    free(c->sorted);
    free(c->unnamed);
    free(c->at);
    free(c->place);
    *c = (struct ntk_columns){0};
}
