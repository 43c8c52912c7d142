/* SPDX-License-Identifier: MIT
 *
 * table.c - data of a CSV's records: whether there is a header, the columns' numbers, labels that are
 * words, and what looks wrong.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "data/columns.h"
#include "data/csv.h"

#define INDEX_ROWS 3 /* so many rows 0, 1, 2, ... look like an index */
#define NOTES_MAX  8

/* Words that stand for classes: sorted, each with the number it got when it came. */
struct words {
    struct word {
        char *text;
        int64_t code;
    } *word;
    int64_t n, capacity;
};

struct table {
    struct ntk_columns c;
    void *x;         /* [capacity][features] of dtype */
    double *y;       /* [capacity][targets] */
    double *own[NTK_N_OWN]; /* [capacity]; NULL: no column has them */
    int64_t n, capacity;
    bool in_words;   /* the target is */
    struct words words;
};

/* ---- header or not */

static bool is_number(const char *cell)
{
    double value;

    return ntk_csv_number(cell, &value);
}

/* What a column or a class is called: neither a number, though written in another way, nor a mark for a
 * missing one. */
static bool is_word(const char *cell)
{
    return !ntk_csv_missing(cell) && !is_number(cell) && cell[strspn(cell, "0123456789+-., ")] != '\0';
}

/* Whether it is the number k, written as pandas and R number columns. */
static bool is_integer(const char *cell, int64_t k)
{
    char *end;

    return isdigit((unsigned char)*cell) && strtoll(cell, &end, 10) == k && !*end;
}

/* The rule is in ntk.h, at ntk_header. */
static bool looks_like_header(const char *first, int64_t cells, const struct reader *second)
{
    const char *below = second->cells == cells ? second->text : NULL;
    int64_t words = 0, empty = 0, numbers = 0, in_order = 0, over_number = 0;

    for (int64_t k = 0; k < cells; k++, first = ntk_csv_next_cell(first)) {
        const bool word = is_word(first), number = is_number(first);

        words += word;
        empty += !*first;
        in_order += number && is_integer(first, numbers);
        numbers += number;
        over_number += word && below && is_number(below);
        below = below ? ntk_csv_next_cell(below) : NULL;
    }
    if (numbers >= 2 && in_order == numbers && numbers + words + empty == cells)
        return true;
    return words > 0 && (numbers == 0 || over_number > 0);
}

/* ---- labels in words */

static ntk_status add_word(ntk_ctx *ctx, struct words *w, int64_t at, const char *text)
{
    if (w->n == w->capacity) {
        const int64_t capacity = w->capacity ? 2 * w->capacity : 16;
        struct word *word;

        NTK_TRY(ntk_ctx_check_memory(ctx, (size_t)capacity * sizeof *word, "a table of classes"));
        word = realloc(w->word, (size_t)capacity * sizeof *word);
        if (!word)
            return ntk_fail(ctx, NTK_ENOMEM, "no memory for the classes");
        w->word = word;
        w->capacity = capacity;
    }
    memmove(w->word + at + 1, w->word + at, (size_t)(w->n - at) * sizeof *w->word);
    w->word[at] = (struct word){.text = ntk_strdup(ctx, text), .code = w->n};
    w->n++;
    return w->word[at].text ? NTK_OK : NTK_ENOMEM;
}

static ntk_status code_of(ntk_ctx *ctx, struct words *w, const char *text, double *code)
{
    int64_t low = 0, high = w->n;

    while (low < high) {
        const int64_t middle = (low + high) / 2;

        if (strcmp(w->word[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == w->n || strcmp(w->word[low].text, text) != 0)
        NTK_TRY(add_word(ctx, w, low, text));
    *code = (double)w->word[low].code;
    return NTK_OK;
}

/* Codes become places in the sorted list. */
static ntk_status sort_codes(ntk_ctx *ctx, const struct table *t)
{
    int64_t *place = ntk_alloc(ctx, (size_t)t->words.n, sizeof *place);

    if (!place)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < t->words.n; k++)
        place[t->words.word[k].code] = k;
    for (int64_t i = 0; i < t->n; i++)
        t->y[i] = (double)place[(int64_t)t->y[i]];
    free(place);
    return NTK_OK;
}

static void free_words(struct words *w)
{
    for (int64_t k = 0; k < w->n; k++)
        free(w->word[k].text);
    free(w->word);
}

/* ---- rows */

/* Bytes of a row's features, targets, weight and noise. */
static size_t row_bytes(const struct table *t, ntk_dtype dtype)
{
    size_t bytes = (size_t)t->c.n_features * dtype + (size_t)t->c.n_targets * sizeof *t->y;

    for (int k = 0; k < NTK_N_OWN; k++)
        bytes += t->c.own[k] >= 0 ? sizeof **t->own : 0;
    return bytes;
}

/* The first t->n rows of *array move to a larger one. */
static bool grow_array(ntk_ctx *ctx, const struct table *t, int64_t capacity, size_t row, void **array)
{
    void *larger = ntk_alloc(ctx, (size_t)capacity, row);

    if (!larger)
        return false;
    if (t->n)
        memcpy(larger, *array, (size_t)t->n * row);
    free(*array);
    *array = larger;
    return true;
}

static ntk_status grow(struct reader *r, struct table *t, ntk_dtype dtype)
{
    const int64_t capacity = t->capacity ? t->capacity + t->capacity / 2 : 64;
    void *y = t->y;
    bool grown;

    /* Old and new are there at once. */
    NTK_TRY(ntk_ctx_check_memory(r->ctx, (size_t)(capacity + t->n) * row_bytes(t, dtype), "the table"));
    grown = grow_array(r->ctx, t, capacity, (size_t)t->c.n_features * dtype, &t->x) &&
            grow_array(r->ctx, t, capacity, (size_t)t->c.n_targets * sizeof *t->y, &y);
    t->y = y;
    for (int k = 0; k < NTK_N_OWN && grown; k++)
        if (t->c.own[k] >= 0) {
            void *own = t->own[k];

            grown = grow_array(r->ctx, t, capacity, sizeof **t->own, &own);
            t->own[k] = own;
        }
    if (!grown)
        return NTK_ENOMEM;
    t->capacity = capacity;
    return NTK_OK;
}

static ntk_status bad_cell(const struct reader *r, const struct table *t, int64_t column,
                           const char *cell)
{
    const char *name = t->c.header ? t->c.names[column] : NULL;
    const bool label = t->c.place[column] >= t->c.n_features, negative = *cell == '-' && is_number(cell);
    const char *reason = negative && t->c.place[column] <= NTK_OWN ? "is less than 0: weights and noise must be >= 0"
                         : !is_word(cell) ? ntk_csv_fault(cell)
                         : label        ? "is not a number, as the labels before it are"
                                        : "is not a number: encode words as numbers, or drop their column";

    return ntk_fail(r->ctx, NTK_EINVAL, "line %lld, column %lld%s%.80s%s: '%.80s' %s",
                    (long long)r->line, (long long)column, name ? " (" : "", name ? name : "",
                    name ? ")" : "", cell, reason);
}

static ntk_status add_cell(const struct reader *r, struct table *t, ntk_dtype dtype, int64_t column,
                           const char *cell)
{
    const int64_t place = t->c.place[column], target = place - t->c.n_features;
    double value;

    if (target == 0 && t->c.n_targets == 1) {
        if (t->n == 0)
            t->in_words = is_word(cell);
        if (t->in_words && !ntk_csv_missing(cell))
            return code_of(r->ctx, &t->words, cell, &t->y[t->n]);
    }
    if (!ntk_csv_number(cell, &value) || !isfinite(value))
        return bad_cell(r, t, column, cell);
    if (place <= NTK_OWN && value < 0)
        return bad_cell(r, t, column, cell);
    if (place <= NTK_OWN)
        t->own[NTK_OWN - place][t->n] = value;
    else if (target >= 0)
        t->y[t->n * t->c.n_targets + target] = value;
    else
        ntk_store(t->x, dtype, (size_t)(t->n * t->c.n_features + place), value);
    return NTK_OK;
}

static ntk_status add_row(struct reader *r, struct table *t, ntk_dtype dtype)
{
    const char *cell = r->text;

    if (r->cells != t->c.n)
        return ntk_fail(r->ctx, NTK_EINVAL, "line %lld has %lld cells, the first line has %lld%s",
                        (long long)r->line, (long long)r->cells, (long long)t->c.n,
                        t->c.header && t->n == 0 && r->cells == t->c.n + 1
                            ? " (names; one for the column of row names is missing)"
                            : "");
    if (t->n == t->capacity)
        NTK_TRY(grow(r, t, dtype));
    for (int64_t k = 0; k < t->c.n; k++, cell = ntk_csv_next_cell(cell))
        if (t->c.place[k] != NTK_DROPPED)
            NTK_TRY(add_cell(r, t, dtype, k, cell));
    t->n++;
    return NTK_OK;
}

/* The second record is read to see what the first is, which is given back. */
static ntk_status begin(struct reader *r, struct table *t, const ntk_load_opts *opts)
{
    struct reader first;
    ntk_status status;
    bool header;

    NTK_TRY(ntk_csv_next(r));
    if (r->commented && opts->header == NTK_HEADER_NO)
        NTK_TRY(ntk_csv_next(r));
    if (!r->cells)
        return ntk_fail(r->ctx, NTK_EINVAL, "is empty");
    first = *r;
    r->text = NULL;
    r->capacity = 0;
    status = ntk_csv_next(r);
    if (status == NTK_OK) {
        header = opts->header == NTK_HEADER_AUTO ? looks_like_header(first.text, first.cells, r)
                                                 : opts->header == NTK_HEADER_YES;
        status = ntk_columns_new(r->ctx, header ? first.text : NULL, first.cells, opts, &t->c);
        if (status == NTK_OK && !header)
            status = add_row(&first, t, opts->dtype);
    }
    free(first.text);
    return status;
}

static ntk_status read_table(struct reader *r, struct table *t, const ntk_load_opts *opts)
{
    NTK_TRY(begin(r, t, opts));
    while (r->cells && (!opts->limit || t->n < opts->limit)) {
        NTK_TRY(add_row(r, t, opts->dtype));
        NTK_TRY(ntk_csv_next(r));
    }
    if (!t->n)
        return ntk_fail(r->ctx, NTK_EINVAL, "has a header, but no rows");
    return t->in_words ? sort_codes(r->ctx, t) : NTK_OK;
}

/* ---- what looks wrong */

static bool counts_rows(const ntk_data *data, int64_t feature, double from)
{
    const int64_t features = data->shape.c;

    for (int64_t i = 0; i < data->n; i++)
        if (ntk_data_get(data, (size_t)(i * features + feature)) != from + (double)i)
            return false;
    return data->n >= INDEX_ROWS;
}

static bool is_constant(const ntk_data *data, int64_t target)
{
    for (int64_t i = 1; i < data->n; i++)
        if (data->y[i * data->outputs + target] != data->y[target])
            return false;
    return data->n > 1;
}

static bool is_index(const struct table *t, const ntk_data *data)
{
    const int64_t feature = t->c.place[0];

    return feature >= 0 && feature < t->c.n_features &&
           (strncmp(t->c.names[0], "Unnamed: 0", 10) == 0 || counts_rows(data, feature, 0) ||
            counts_rows(data, feature, 1));
}

struct notes {
    char text[NOTES_MAX][256];
    size_t n;
};

/* If there is room. */
NTK_PRINTF(2, 3)
static void note(struct notes *notes, const char *fmt, ...)
{
    va_list ap;

    if (notes->n == NOTES_MAX)
        return;
    va_start(ap, fmt);
    ntk_vformat(notes->text[notes->n++], sizeof *notes->text, fmt, ap);
    va_end(ap);
}

/* Of columns that are used: other tables, this one too, could not be matched with these. */
static void find_twins(const struct ntk_columns *c, struct notes *notes)
{
    for (int64_t k = 1; c->header && k < c->n; k++) {
        const int64_t one = c->sorted[k - 1] - c->names, two = c->sorted[k] - c->names;
        const bool used = c->place[one] != NTK_DROPPED || c->place[two] != NTK_DROPPED;

        if (used && strcmp(c->names[one], c->names[two]) == 0) {
            note(notes, "columns %lld and %lld are both called '%.60s': other tables are matched by name, which must differ",
                 (long long)one, (long long)two, c->names[one]);
            return;
        }
    }
}

static void find_notes(const struct table *t, const ntk_data *data, struct notes *notes)
{
    if (!t->c.matched)
        find_twins(&t->c, notes);
    if (!t->c.matched && is_index(t, data))
        note(notes, "column '%.60s' looks like an index of the rows, and is a feature: drop it",
             t->c.names[0]);
    for (int64_t k = 0; k < t->c.n_targets; k++) {
        const int64_t column = t->c.at[t->c.n_features + k];

        if (t->c.unnamed[column])
            note(notes, "the target column has no name in the header: it is '%.60s'",
                 t->c.names[column]);
        if (!t->c.matched && is_constant(data, k))
            note(notes, "the target '%.60s' has one value in all rows", t->c.names[column]);
    }
}

static ntk_status keep_notes(const struct table *t, ntk_data *data)
{
    struct notes notes = {.n = 0};
    const char *texts[NOTES_MAX];
    ntk_schema *s = data->schema;

    find_notes(t, data, &notes);
    for (size_t k = 0; k < notes.n; k++)
        texts[k] = notes.text[k];
    s->notes = ntk_texts(s->ctx, texts, notes.n);
    s->table.n_notes = notes.n;
    return s->notes ? NTK_OK : NTK_ENOMEM;
}

/* ---- from a table to data */

/* The names of columns in c->at, or of those left out. */
static char **names_at(ntk_ctx *ctx, const struct ntk_columns *c, bool dropped, size_t *n)
{
    const char **names = ntk_alloc(ctx, (size_t)c->n, sizeof *names);
    char **copy;

    *n = 0;
    if (!names)
        return NULL;
    for (int64_t k = 0; !dropped && k < c->n_features + c->n_targets; k++)
        names[(*n)++] = c->names[c->at[k]];
    for (int64_t k = 0; dropped && k < c->n; k++)
        if (c->place[k] == NTK_DROPPED)
            names[(*n)++] = c->names[k];
    copy = ntk_texts(ctx, names, *n);
    free(names);
    return copy;
}

/* Those of weights and noise, "" for none. */
static char **own_names(ntk_ctx *ctx, const struct ntk_columns *c)
{
    const char *names[NTK_N_OWN];

    for (int k = 0; k < NTK_N_OWN; k++)
        names[k] = c->own[k] >= 0 ? c->names[c->own[k]] : "";
    return ntk_texts(ctx, names, NTK_N_OWN);
}

static ntk_status describe_words(const struct words *w, ntk_data *data)
{
    const char **names = ntk_alloc(data->ctx, (size_t)w->n, sizeof *names);

    if (!names)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < w->n; k++)
        names[k] = w->word[k].text;
    data->schema->classes = ntk_texts(data->ctx, names, (size_t)w->n);
    data->schema->n_classes = data->classes = w->n;
    free(names);
    return data->schema->classes ? NTK_OK : NTK_ENOMEM;
}

static ntk_status describe(const struct table *t, const ntk_load_opts *opts, ntk_data *data)
{
    ntk_schema *s = data->schema = ntk_schema_alloc(data->ctx);
    size_t n;

    if (!s)
        return NTK_ENOMEM;
    s->names = names_at(s->ctx, &t->c, false, &n);
    s->at = ntk_alloc(s->ctx, n, sizeof *s->at);
    s->dropped = names_at(s->ctx, &t->c, true, &s->table.n_dropped);
    s->own = own_names(s->ctx, &t->c);
    if (!s->names || !s->at || !s->dropped || !s->own)
        return NTK_ENOMEM;
    memcpy(s->at, t->c.at, n * sizeof *s->at);
    s->columns = t->c.n;
    s->n_features = t->c.n_features;
    s->n_targets = t->c.n_targets;
    s->header = t->c.header;
    if (t->in_words)
        NTK_TRY(describe_words(&t->words, data));
    NTK_TRY(keep_notes(t, data));
    s->from_table = true;
    s->table = (ntk_table){.header = t->c.header,
                           .header_guessed = opts->header == NTK_HEADER_AUTO,
                           .target_guessed = t->c.guessed,
                           .matched = t->c.matched,
                           .dropped = (const char *const *)s->dropped,
                           .notes = (const char *const *)s->notes,
                           .n_dropped = s->table.n_dropped,
                           .n_notes = s->table.n_notes,
                           .weights = t->c.own[NTK_OWN_WEIGHT] >= 0 ? s->own[NTK_OWN_WEIGHT] : NULL,
                           .noise = t->c.own[NTK_OWN_NOISE] >= 0 ? s->own[NTK_OWN_NOISE] : NULL};
    return NTK_OK;
}

static ntk_status make_data(ntk_ctx *ctx, struct table *t, const ntk_load_opts *opts, ntk_data **data)
{
    ntk_data *d = ntk_alloc(ctx, 1, sizeof *d);
    ntk_status status;

    if (!d)
        return NTK_ENOMEM;
    *d = (ntk_data){.ctx = ctx,
                    .x = t->x,
                    .owned_x = t->x,
                    .dtype = opts->dtype,
                    .n = t->n,
                    .shape = {.spatial = 0, .h = 1, .w = 1, .c = t->c.n_features}};
    t->x = NULL;
    if (t->c.n_targets) {
        d->y = t->y;
        d->owned_y = true;
        d->outputs = t->c.n_targets;
        t->y = NULL;
    }
    d->weights = t->own[NTK_OWN_WEIGHT];
    d->noise = t->own[NTK_OWN_NOISE];
    d->owned_parts = true;
    t->own[NTK_OWN_WEIGHT] = t->own[NTK_OWN_NOISE] = NULL;
    ntk_ctx_keep(ctx, (size_t)t->n * row_bytes(t, opts->dtype), &d->held);
    status = describe(t, opts, d);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *data = d;
    return NTK_OK;
}

static ntk_status read_stream(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    struct reader r;
    struct table t = {0};
    locale_t before;
    ntk_status status;

    (void)path;
    ntk_csv_begin(&r, s);
    before = ntk_plain_begin();
    status = read_table(&r, &t, opts);
    ntk_plain_end(before);
    if (status == NTK_OK)
        status = make_data(s->ctx, &t, opts, data);
    ntk_csv_end(&r);
    free_words(&t.words);
    ntk_columns_free(&t.c);
    free(t.x);
    free(t.y);
    for (int k = 0; k < NTK_N_OWN; k++)
        free(t.own[k]);
    return status;
}

const struct ntk_reader ntk_reader_table = {
    .files = "a table as text (CSV)",
    .read = read_stream,
};
