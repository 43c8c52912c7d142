/* SPDX-License-Identifier: MIT
 *
 * table.c - data of a CSV's records: a header if the first line has a cell that is a word, columns,
 * targets.
 */
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "data/csv.h"

struct table {
    int64_t columns;
    int64_t target; /* column, -1: none */
    char *names;    /* of the columns, one after the other; NULL: no header */
    void *x;        /* [capacity][features] of dtype */
    double *y;      /* [capacity] */
    int64_t n, capacity;
};

static bool is_number(const char *cell)
{
    double value;

    return ntk_csv_number(cell, &value);
}

/* A word: what a column is called, not a number or a mark for a missing one. */
static bool is_name(const char *cell)
{
    static const char *const missing[] = {"NA", "N/A", "null", "none"};

    for (size_t k = 0; k < sizeof missing / sizeof *missing; k++)
        if (strcasecmp(cell, missing[k]) == 0)
            return false;
    return (isalpha((unsigned char)*cell) || *cell == '_' || (*cell & 0x80)) && !is_number(cell);
}

static bool is_header(const struct reader *r)
{
    const char *cell = r->text;

    for (int64_t k = 0; k < r->cells; k++, cell = ntk_csv_next_cell(cell))
        if (is_name(cell))
            return true;
    return false;
}

static int64_t column_named(const struct table *t, const char *name, bool any_case)
{
    const char *cell = t->names;

    for (int64_t k = 0; cell && k < t->columns; k++, cell = ntk_csv_next_cell(cell))
        if (any_case ? strcasecmp(cell, name) == 0 : strcmp(cell, name) == 0)
            return k;
    return -1;
}

static void default_target(struct table *t)
{
    static const char *const usual[] = {"target", "label", "class", "y"};

    t->target = -1;
    for (size_t k = 0; t->target < 0 && k < sizeof usual / sizeof *usual; k++)
        t->target = column_named(t, usual[k], true);
    if (t->target < 0)
        t->target = t->columns - 1;
}

static ntk_status no_such_column(ntk_ctx *ctx, const struct table *t, const char *name)
{
    struct ntk_text list = {0};
    const char *cell = t->names;

    for (int64_t k = 0; cell && k < t->columns && list.n < 300; k++, cell = ntk_csv_next_cell(cell))
        ntk_text_add(&list, "%s%s", k ? ", " : "; the names are ", cell);
    ntk_fail(ctx, NTK_EINVAL, "no column '%s' for the target: give %snumber 0 to %lld, or 'none'%s",
             name, t->names ? "a name, a " : "a ", (long long)t->columns - 1, list.s ? list.s : "");
    free(list.s);
    return NTK_EINVAL;
}

static ntk_status choose_target(ntk_ctx *ctx, struct table *t, const char *name)
{
    char *end;

    if (!name) {
        default_target(t);
    } else {
        t->target = column_named(t, name, false);
        if (t->target < 0 && strcmp(name, "none") != 0) {
            t->target = isdigit((unsigned char)*name) ? strtoll(name, &end, 10) : t->columns;
            if (t->target >= t->columns || *end)
                return no_such_column(ctx, t, name);
        }
    }
    if (t->target >= 0 && t->columns == 1)
        return ntk_fail(ctx, NTK_EINVAL,
                        "the only column would be the target: give a second one, or target 'none'");
    return NTK_OK;
}

static int64_t features_of(const struct table *t)
{
    return t->columns - (t->target >= 0);
}

static ntk_status grow(struct reader *r, struct table *t, ntk_dtype dtype)
{
    const size_t row = (size_t)features_of(t) * dtype;
    const int64_t capacity = t->capacity ? 2 * t->capacity : 64;
    void *x;
    double *y;

    /* Old and new are there at once. */
    NTK_TRY(ntk_ctx_check_memory(r->ctx, (size_t)(capacity + t->n) * (row + sizeof *y), "the table"));
    x = ntk_alloc(r->ctx, (size_t)capacity, row);
    y = ntk_alloc(r->ctx, (size_t)capacity, sizeof *y);
    if (!x || !y) {
        free(x);
        free(y);
        return NTK_ENOMEM;
    }
    if (t->n) {
        memcpy(x, t->x, (size_t)t->n * row);
        memcpy(y, t->y, (size_t)t->n * sizeof *y);
    }
    free(t->x);
    free(t->y);
    t->x = x;
    t->y = y;
    t->capacity = capacity;
    return NTK_OK;
}

static const char *name_of(const struct table *t, int64_t column)
{
    const char *cell = t->names;

    while (cell && column-- > 0)
        cell = ntk_csv_next_cell(cell);
    return cell;
}

static ntk_status bad_cell(const struct reader *r, const struct table *t, int64_t column,
                           const char *cell)
{
    const char *name = name_of(t, column);

    return ntk_fail(r->ctx, NTK_EINVAL, "line %lld, column %lld%s%.80s%s: '%.80s' %s",
                    (long long)r->line, (long long)column, name ? " (" : "", name ? name : "",
                    name ? ")" : "", cell, ntk_csv_fault(cell));
}

static ntk_status add_row(struct reader *r, struct table *t, ntk_dtype dtype)
{
    const char *cell = r->text;
    size_t at;

    if (r->cells != t->columns)
        return ntk_fail(r->ctx, NTK_EINVAL, "line %lld has %lld cells, the first line has %lld",
                        (long long)r->line, (long long)r->cells, (long long)t->columns);
    if (t->n == t->capacity)
        NTK_TRY(grow(r, t, dtype));
    at = (size_t)t->n * (size_t)features_of(t);
    for (int64_t k = 0; k < t->columns; k++, cell = ntk_csv_next_cell(cell)) {
        double value;

        if (!ntk_csv_number(cell, &value) || !isfinite(value))
            return bad_cell(r, t, k, cell);
        if (k == t->target)
            t->y[t->n] = value;
        else
            ntk_store(t->x, dtype, at++, value);
    }
    t->n++;
    return NTK_OK;
}

/* Looks at the first record; if it is a header, moves on to the second. */
static ntk_status begin(struct reader *r, struct table *t, const char *target)
{
    NTK_TRY(ntk_csv_next(r));
    if (!r->cells)
        return ntk_fail(r->ctx, NTK_EINVAL, "is empty");
    t->columns = r->cells;
    if (is_header(r)) {
        t->names = r->text;
        r->text = NULL;
        r->capacity = 0;
        NTK_TRY(choose_target(r->ctx, t, target));
        return ntk_csv_next(r);
    }
    return choose_target(r->ctx, t, target);
}

static ntk_status read_table(struct reader *r, struct table *t, const ntk_load_opts *opts)
{
    NTK_TRY(begin(r, t, opts->target));
    while (r->cells) {
        NTK_TRY(add_row(r, t, opts->dtype));
        if (t->n == opts->limit)
            break;
        NTK_TRY(ntk_csv_next(r));
    }
    return t->n ? NTK_OK : ntk_fail(r->ctx, NTK_EINVAL, "has a header, but no rows");
}

static ntk_status make_data(ntk_ctx *ctx, struct table *t, ntk_dtype dtype, ntk_data **data)
{
    ntk_data *d = ntk_alloc(ctx, 1, sizeof *d);

    if (!d)
        return NTK_ENOMEM;
    *d = (ntk_data){.ctx = ctx,
                    .x = t->x,
                    .owned_x = t->x,
                    .dtype = dtype,
                    .n = t->n,
                    .shape = {.spatial = 0, .h = 1, .w = 1, .c = features_of(t)}};
    t->x = NULL;
    if (t->target >= 0) {
        d->y = t->y;
        d->owned_y = true;
        d->outputs = 1;
        t->y = NULL;
    }
    *data = d;
    return NTK_OK;
}

ntk_status ntk_read_csv(ntk_ctx *ctx, struct ntk_stream *s, const ntk_load_opts *opts,
                        ntk_data **data)
{
    struct reader r;
    struct table t = {0};
    /* Numbers have a decimal point whatever the program's locale. */
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t users;
    ntk_status status;

    if (plain == (locale_t)0)
        return ntk_fail(ctx, NTK_ENOMEM, "no memory for a locale");
    ntk_csv_begin(&r, s);
    users = uselocale(plain);
    status = read_table(&r, &t, opts);
    uselocale(users);
    freelocale(plain);
    if (status == NTK_OK)
        status = make_data(ctx, &t, opts->dtype, data);
    ntk_csv_end(&r);
    free(t.names);
    free(t.x);
    free(t.y);
    return status;
}
