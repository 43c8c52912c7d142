/* SPDX-License-Identifier: MIT
 *
 * schema.c - names of columns and classes, and labels as numbers of classes.
 */
#include <math.h>
#include <stdlib.h>

#include "data/data.h"

ntk_schema *ntk_schema_alloc(ntk_ctx *ctx)
{
    ntk_schema *s = ntk_alloc_zero(ctx, 1, sizeof *s);

    if (s) {
        s->ctx = ctx;
        s->refs = 1;
    }
    return s;
}

ntk_schema *ntk_schema_hold(ntk_schema *schema)
{
    if (schema)
        schema->refs++;
    return schema;
}

void ntk_schema_free(ntk_schema *schema)
{
    if (!schema || --schema->refs > 0)
        return;
    free(schema->names);
    free(schema->at);
    free(schema->classes);
    free(schema->labels);
    free(schema->dropped);
    free(schema->notes);
    free(schema->own);
    free(schema);
}

char **ntk_texts(ntk_ctx *ctx, const char *const *texts, size_t n)
{
    size_t bytes = n * sizeof *texts;
    char **copy, *at;

    for (size_t k = 0; k < n; k++)
        bytes += strlen(texts[k]) + 1;
    copy = ntk_alloc(ctx, bytes, 1);
    if (!copy)
        return NULL;
    at = (char *)(copy + n);
    for (size_t k = 0; k < n; k++) {
        copy[k] = at;
        strcpy(at, texts[k]);
        at += strlen(texts[k]) + 1;
    }
    return copy;
}

/* ---- asking */

const ntk_schema *ntk_data_schema(const ntk_data *data)
{
    return data->schema;
}

const ntk_table *ntk_schema_table(const ntk_schema *schema)
{
    return schema->from_table ? &schema->table : NULL;
}

const char *const *ntk_schema_features(const ntk_schema *schema, size_t *n)
{
    *n = (size_t)schema->n_features;
    return *n ? (const char *const *)schema->names : NULL;
}

const char *const *ntk_schema_targets(const ntk_schema *schema, size_t *n)
{
    *n = (size_t)schema->n_targets;
    return *n ? (const char *const *)schema->names + schema->n_features : NULL;
}

const char *const *ntk_schema_classes(const ntk_schema *schema, size_t *n, const double **labels)
{
    *n = (size_t)schema->n_classes;
    if (labels)
        *labels = schema->labels;
    return (const char *const *)schema->classes;
}

bool ntk_schema_fits(const ntk_schema *schema, int64_t features, int64_t outputs)
{
    return !schema || ((!features || !schema->n_features || schema->n_features == features) &&
                       (schema->n_classes ? schema->n_classes == outputs
                                          : !schema->n_targets || schema->n_targets == outputs));
}

ntk_status ntk_check_saved(ntk_ctx *ctx, const ntk_schema *schema, const ntk_scaler *scaler, int64_t features,
                           int64_t outputs)
{
    if (!ntk_schema_fits(schema, features, outputs))
        return ntk_fail(ctx, NTK_EINVAL, "the schema is not one of %lld features and %lld outputs: nothing is saved",
                        (long long)features, (long long)outputs);
    if (scaler && ntk_features_of(scaler->shape) != features)
        return ntk_fail(ctx, NTK_EINVAL, "the scaler is of %lld features, the samples have %lld: nothing is saved",
                        (long long)ntk_features_of(scaler->shape), (long long)features);
    return NTK_OK;
}

/* ---- classes */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The distinct values of y [n], ascending; the caller frees them. */
static ntk_status find_distinct(ntk_ctx *ctx, const double *y, int64_t n, double **distinct,
                                int64_t *count)
{
    double *sorted;

    NTK_TRY(ntk_ctx_check_memory(ctx, (size_t)n * sizeof *sorted, "a table of labels"));
    sorted = ntk_alloc(ctx, (size_t)n, sizeof *sorted);
    if (!sorted)
        return NTK_ENOMEM;
    memcpy(sorted, y, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    if (sorted[0] <= -0x1p53 || sorted[n - 1] >= 0x1p53) {
        const double label = sorted[n - 1] >= 0x1p53 ? sorted[n - 1] : sorted[0];

        free(sorted);
        return ntk_fail(ctx, NTK_EINVAL,
                        "a label is %.17g: whole numbers from 2^53 on have been rounded, so that classes may have "
                        "become one; number the classes from 0",
                        label);
    }
    *count = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || sorted[i] != sorted[*count - 1])
            sorted[(*count)++] = sorted[i];
    *distinct = sorted;
    return NTK_OK;
}

/* Takes labels, [n], and names them. */
static ntk_status name_classes(ntk_schema *s, double *labels, int64_t n)
{
    const char **names = ntk_alloc(s->ctx, (size_t)n, sizeof *names);
    char(*texts)[32] = ntk_alloc(s->ctx, (size_t)n, sizeof *texts);

    s->labels = labels;
    if (names && texts) {
        for (int64_t k = 0; k < n; k++)
            names[k] = ntk_number_text(labels[k] + 0.0, 15, texts[k]); /* 0, not -0 */
        s->classes = ntk_texts(s->ctx, names, (size_t)n);
    }
    free(names);
    free(texts);
    s->n_classes = s->classes ? n : 0;
    return s->classes ? NTK_OK : NTK_ENOMEM;
}

ntk_status ntk_data_declare(ntk_data *data, const bool *seen, int64_t n)
{
    double *labels = ntk_alloc(data->ctx, (size_t)n, sizeof *labels);
    ntk_schema *s = labels ? ntk_schema_alloc(data->ctx) : NULL;
    int64_t classes = 0;

    if (!s) {
        free(labels);
        return NTK_ENOMEM;
    }
    for (int64_t k = 0; k < n; k++)
        if (!seen || seen[k])
            labels[classes++] = (double)k;
    ntk_schema_free(data->schema);
    data->schema = s;
    return name_classes(s, labels, classes);
}

static ntk_status check_labels(const ntk_data *data)
{
    if (!data->y)
        return ntk_fail(data->ctx, NTK_EINVAL, "the data have no labels");
    if (data->outputs != 1)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "labels are one number per sample, the targets have %lld",
                        (long long)data->outputs);
    return NTK_OK;
}

static ntk_status copy_table(const ntk_schema *from, ntk_schema *to)
{
    if (!from->from_table)
        return NTK_OK;
    to->dropped = ntk_texts(to->ctx, from->table.dropped, from->table.n_dropped);
    to->notes = ntk_texts(to->ctx, from->table.notes, from->table.n_notes);
    to->own = ntk_texts(to->ctx, (const char *const *)from->own, 2);
    if (!to->dropped || !to->notes || !to->own)
        return NTK_ENOMEM;
    to->from_table = true;
    to->table = from->table;
    to->table.dropped = (const char *const *)to->dropped;
    to->table.notes = (const char *const *)to->notes;
    to->table.weights = from->table.weights ? to->own[0] : NULL;
    to->table.noise = from->table.noise ? to->own[1] : NULL;
    return NTK_OK;
}

/* The columns of data's schema, if it has one, without classes. */
static ntk_status copy_columns(const ntk_data *data, ntk_schema **copy)
{
    const ntk_schema *from = data->schema;
    const size_t n = from ? (size_t)(from->n_features + from->n_targets) : 0;
    ntk_schema *s = ntk_schema_alloc(data->ctx);

    if (!s)
        return NTK_ENOMEM;
    if (!n) {
        *copy = s;
        return NTK_OK;
    }
    s->columns = from->columns;
    s->n_features = from->n_features;
    s->n_targets = from->n_targets;
    s->header = from->header;
    s->names = ntk_texts(s->ctx, (const char *const *)from->names, n);
    s->at = ntk_alloc(s->ctx, n, sizeof *s->at);
    if (!s->names || !s->at || copy_table(from, s) != NTK_OK) {
        ntk_schema_free(s);
        return NTK_ENOMEM;
    }
    memcpy(s->at, from->at, n * sizeof *s->at);
    *copy = s;
    return NTK_OK;
}

static ntk_status copy_classes(const ntk_schema *from, ntk_schema *to)
{
    const size_t n = (size_t)from->n_classes;

    to->classes = ntk_texts(to->ctx, (const char *const *)from->classes, n);
    to->labels = from->labels ? ntk_alloc(to->ctx, n, sizeof *to->labels) : NULL;
    if (!to->classes || (from->labels && !to->labels))
        return NTK_ENOMEM;
    if (from->labels)
        memcpy(to->labels, from->labels, n * sizeof *to->labels);
    to->n_classes = from->n_classes;
    return NTK_OK;
}

static ntk_status find_classes(const ntk_data *data, ntk_schema *s)
{
    double *labels;
    int64_t n;

    if (data->schema && data->schema->n_classes)
        return copy_classes(data->schema, s);
    NTK_TRY(find_distinct(data->ctx, data->y, data->n, &labels, &n));
    return name_classes(s, labels, n);
}

static ntk_status check_numbers(const ntk_data *data)
{
    const ntk_schema *s = data->schema;

    if (!data->y)
        return ntk_fail(data->ctx, NTK_EINVAL, "the data have no targets");
    if (s && s->n_classes && !s->labels)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "the targets are words, such as '%.80s': they are classes, not numbers",
                        s->classes[0]);
    return NTK_OK;
}

ntk_status ntk_schema_new(const ntk_data *data, ntk_targets kind, ntk_schema **schema)
{
    ntk_schema *s = NULL;
    ntk_status status;

    NTK_TRY(kind == NTK_RAW ? check_numbers(data) : check_labels(data));
    NTK_TRY(copy_columns(data, &s));
    status = kind == NTK_RAW ? NTK_OK : find_classes(data, s);
    if (status != NTK_OK) {
        ntk_schema_free(s);
        return status;
    }
    *schema = s;
    return NTK_OK;
}

/* ---- of names alone */

static ntk_status check_names(ntk_ctx *ctx, const char *const *names, size_t n_features, size_t n_targets,
                              size_t n_classes, const double *labels)
{
    const char *const *classes = names + n_features + n_targets;

    if (n_features + n_classes == 0 || (n_targets && !n_features))
        return ntk_fail(ctx, NTK_EINVAL, "a schema needs names of features or classes, and with names of targets those of "
                                         "features");
    for (size_t k = 0; k < n_classes; k++) {
        if (labels && (!isfinite(labels[k]) || (k && labels[k] <= labels[k - 1])))
            return ntk_fail(ctx, NTK_EINVAL, "labels must be finite and ascending, number %zu is %g", k, labels[k]);
        if (!labels && k && strcmp(classes[k - 1], classes[k]) >= 0)
            return ntk_fail(ctx, NTK_EINVAL, "names of classes must ascend, '%.80s' comes after '%.80s'", classes[k],
                            classes[k - 1]);
    }
    return NTK_OK;
}

static ntk_status set_columns(ntk_schema *s, const char *const *names, int64_t n_features, int64_t n_targets)
{
    const int64_t n = n_features + n_targets;

    s->names = ntk_texts(s->ctx, names, (size_t)n);
    s->at = ntk_alloc(s->ctx, (size_t)n, sizeof *s->at);
    if (!s->names || !s->at)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < n; k++)
        s->at[k] = k;
    s->columns = n;
    s->n_features = n_features;
    s->n_targets = n_targets;
    s->header = true;
    return NTK_OK;
}

static ntk_status set_classes(ntk_schema *s, const char *const *names, const double *labels, int64_t n)
{
    double *own;

    if (!labels) {
        s->classes = ntk_texts(s->ctx, names, (size_t)n);
        s->n_classes = s->classes ? n : 0;
        return s->classes ? NTK_OK : NTK_ENOMEM;
    }
    own = ntk_alloc(s->ctx, (size_t)n, sizeof *own);
    if (!own)
        return NTK_ENOMEM;
    memcpy(own, labels, (size_t)n * sizeof *own);
    return name_classes(s, own, n);
}

ntk_status ntk_schema_of_names(ntk_ctx *ctx, const char *const *names, size_t n_features, size_t n_targets,
                               size_t n_classes, const double *labels, ntk_schema **schema)
{
    ntk_schema *s;
    ntk_status status = NTK_OK;

    NTK_TRY(check_names(ctx, names, n_features, n_targets, n_classes, labels));
    s = ntk_schema_alloc(ctx);
    if (!s)
        return NTK_ENOMEM;
    if (n_features)
        status = set_columns(s, names, (int64_t)n_features, (int64_t)n_targets);
    if (n_classes && status == NTK_OK)
        status = set_classes(s, names + n_features + n_targets, labels, (int64_t)n_classes);
    if (status != NTK_OK) {
        ntk_schema_free(s);
        return status;
    }
    *schema = s;
    return NTK_OK;
}

/* ---- labels of other data */

static int64_t class_of_number(const ntk_schema *s, double label)
{
    const double *found =
        s->labels ? bsearch(&label, s->labels, (size_t)s->n_classes, sizeof label, ascending) : NULL;

    return found ? found - s->labels : -1;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* By its text, or as a number if it is one. Words are in the order of their texts, which numbers need not be. */
static int64_t class_of_name(const ntk_schema *s, const char *name)
{
    char *end, *const *found = bsearch(&name, s->classes, (size_t)s->n_classes, sizeof name, by_text);
    const double x = strtod(name, &end);

    if (found)
        return found - s->classes;
    for (int64_t k = 0; k < s->n_classes; k++)
        if (strcmp(s->classes[k], name) == 0)
            return k;
    return end != name && !*end ? class_of_number(s, x) : -1;
}

/* The class that each of data's own classes is. */
static void match_classes(const ntk_schema *s, const ntk_schema *own, int64_t *class_of)
{
    const locale_t before = ntk_plain_begin();

    for (int64_t j = 0; j < own->n_classes; j++)
        class_of[j] = s->labels && own->labels ? class_of_number(s, own->labels[j])
                                               : class_of_name(s, own->classes[j]);
    ntk_plain_end(before);
}

/* The schema of data's own labels; each label is then a place in it. */
static ntk_status own_classes(const ntk_data *data, ntk_schema **own)
{
    if (data->schema && data->schema->n_classes) {
        *own = ntk_schema_hold(data->schema);
        return NTK_OK;
    }
    return ntk_schema_new(data, NTK_ONEHOT, own);
}

static int64_t place_of(const ntk_data *data, const ntk_schema *own, double label)
{
    return data->classes ? (int64_t)label : class_of_number(own, label);
}

static int64_t number(const ntk_data *data, const ntk_schema *own, const int64_t *class_of, double *y)
{
    int64_t unseen = 0;

    for (int64_t i = 0; i < data->n; i++) {
        const int64_t place = place_of(data, own, data->y[i]);
        const int64_t k = place < 0 ? -1 : class_of[place];

        y[i] = (double)k;
        unseen += k < 0;
    }
    return unseen;
}

ntk_status ntk_schema_number(const ntk_schema *schema, ntk_data *data, int64_t *unseen)
{
    ntk_schema *own, *numbered;
    int64_t *class_of = NULL, none;
    double *y = NULL;
    ntk_status status;

    if (!schema->n_classes || !data->y) {
        if (unseen)
            *unseen = 0;
        return NTK_OK;
    }
    NTK_TRY(check_labels(data));
    NTK_TRY(own_classes(data, &own));
    status = copy_columns(data, &numbered);
    if (status == NTK_OK) {
        class_of = ntk_alloc(data->ctx, (size_t)own->n_classes, sizeof *class_of);
        y = ntk_alloc(data->ctx, (size_t)data->n, sizeof *y);
        status = class_of && y ? copy_classes(schema, numbered) : NTK_ENOMEM;
        if (status != NTK_OK)
            ntk_schema_free(numbered);
    }
    if (status == NTK_OK) {
        match_classes(schema, own, class_of);
        none = number(data, own, class_of, y);
        if (unseen)
            *unseen = none;
        if (data->owned_y)
            free(data->y);
        data->y = y;
        data->owned_y = true;
        data->classes = schema->n_classes;
        ntk_schema_free(data->schema);
        data->schema = numbered;
    } else {
        free(y);
    }
    free(class_of);
    ntk_schema_free(own);
    return status;
}

/* ---- targets of data's own classes */

ntk_status ntk_data_classes(const ntk_data *data, int64_t *classes)
{
    double *labels;
    int64_t n;

    NTK_TRY(check_labels(data));
    if (data->schema && data->schema->n_classes) {
        *classes = data->schema->n_classes;
        return NTK_OK;
    }
    NTK_TRY(find_distinct(data->ctx, data->y, data->n, &labels, &n));
    free(labels);
    *classes = n;
    return NTK_OK;
}

static ntk_status indicate(const ntk_data *data, const ntk_schema *own, ntk_targets kind,
                           int64_t classes, double *y)
{
    const double off = kind == NTK_CENTERED ? -1.0 / (double)classes : 0;

    if (own->n_classes > classes)
        return ntk_fail(data->ctx, NTK_EINVAL, "there are %lld classes of labels, targets for %lld",
                        (long long)own->n_classes, (long long)classes);
    for (int64_t i = 0; i < data->n; i++) {
        const int64_t k = place_of(data, own, data->y[i]);
        double *row = y + i * classes;

        for (int64_t j = 0; j < classes; j++)
            row[j] = off;
        if (k >= 0)
            row[k] += 1;
    }
    return NTK_OK;
}

ntk_status ntk_data_targets(const ntk_data *data, ntk_targets kind, int64_t classes, double *y)
{
    ntk_schema *own;
    ntk_status status;

    if (kind != NTK_RAW && kind != NTK_ONEHOT && kind != NTK_CENTERED)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "kind of targets must be NTK_RAW, NTK_ONEHOT or NTK_CENTERED, got %d",
                        (int)kind);
    if (kind == NTK_RAW) {
        NTK_TRY(check_numbers(data));
        memcpy(y, data->y, (size_t)(data->n * data->outputs) * sizeof *y);
        return NTK_OK;
    }
    NTK_TRY(check_labels(data));
    NTK_TRY(own_classes(data, &own));
    status = indicate(data, own, kind, classes, y);
    ntk_schema_free(own);
    return status;
}
