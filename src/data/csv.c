/* SPDX-License-Identifier: MIT
 *
 * csv.c - tables that are text: cells, quoted or not (RFC 4180), with a tab, a semicolon, a bar, a comma
 * or blanks between them; lines that begin with # are comments. table.c makes data of them.
 */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "data/csv.h"

/* ---- cells of a line */

static bool ends_cell(char c, char separator)
{
    return c == '\0' || c == separator || (separator == ' ' && c == '\t');
}

static const char *skip_blanks(const char *p, char separator)
{
    while (!ends_cell(*p, separator) && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* Copies the cell at *in to *out, which is never past it: unquoted, without blanks around it. */
static bool copy_cell(const char **in, char **out, char separator)
{
    const char *p = skip_blanks(*in, separator);
    char *q = *out;

    if (*p == '"') {
        for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
            p += *p == '"';
            *q++ = *p;
        }
        p = skip_blanks(p + (*p == '"'), separator);
    } else {
        while (!ends_cell(*p, separator))
            *q++ = *p++;
        while (q > *out && (q[-1] == ' ' || q[-1] == '\t'))
            q--;
    }
    *in = p;
    *out = q;
    return ends_cell(*p, separator);
}

/* Puts a line's cells, *n bytes, where the line was; returns how many there are, or -k if there is text
 * after the closing quote of cell k, from 1. Several blanks are one separator, and none at the ends. */
static int64_t split(char *text, char separator, size_t *n)
{
    const bool blanks = separator == ' ';
    const char *in = blanks ? ntk_skip_blanks(text) : text;
    char *out = text;

    for (int64_t cells = 1;; cells++) {
        bool last;

        if (!copy_cell(&in, &out, separator))
            return -cells;
        if (blanks)
            in = ntk_skip_blanks(in);
        last = *in == '\0';
        *out++ = '\0';
        *n = (size_t)(out - text);
        if (last)
            return cells;
        in += !blanks;
    }
}

/* ---- what a file is like, by its first two records */

/* As split, with a copy in scratch. */
static int64_t count_cells(const char *text, char separator, char *scratch)
{
    size_t n;

    strcpy(scratch, text);
    return split(scratch, separator, &n);
}

/* The first that parts both records alike; else the first that parts the first one. b is NULL if there
 * is only one. Blanks that part only the first record belong to a name. */
static char find_separator(const char *a, const char *b, char *scratch)
{
    char found = ',';

    for (size_t k = strlen(NTK_SEPARATORS); k-- > 0;) {
        const char c = NTK_SEPARATORS[k];

        if (count_cells(a, c, scratch) > 1 && (c != ' ' || !b || count_cells(b, c, scratch) > 1))
            found = c;
    }
    for (const char *c = NTK_SEPARATORS; b && *c; c++) {
        const int64_t cells = count_cells(a, *c, scratch);

        if (cells > 1 && count_cells(b, *c, scratch) == cells)
            return *c;
    }
    return found;
}

/* Whether the last cell is empty, and not the only one. */
static bool ends_with_separator(const char *line, char separator)
{
    const char *end = line + strlen(line);

    while (end > line && end[-1] != separator && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return separator != ' ' && end > line && end[-1] == separator;
}

/* "sep=;", as spreadsheets write it; 0: it is not. */
static char named_separator(const char *line)
{
    return strncasecmp(line, "sep=", 4) == 0 && line[4] && !line[5] &&
                   strchr(NTK_SEPARATORS, line[4])
               ? line[4]
               : '\0';
}

/* How many cells are numbers, and how many begin as words do. */
static void count_kinds(const char *cell, int64_t cells, int64_t *numbers, int64_t *words)
{
    double value;

    *numbers = *words = 0;
    for (; cells > 0; cells--, cell = ntk_csv_next_cell(cell)) {
        *numbers += ntk_csv_number(cell, &value);
        *words += isalpha((unsigned char)*cell) || *cell == '_' || (*cell & 0x80);
    }
}

/* Whether the comment, its # and blanks taken away, has names for the columns of the record, which has
 * numbers: so NumPy and others write headers. */
static bool is_header(struct ntk_line *comment, const char *record, char separator, char *scratch)
{
    const char *names = ntk_skip_blanks(comment->text) + 1;
    int64_t cells, numbers, words;

    names += strspn(names, " ");
    comment->n = strlen(names);
    memmove(comment->text, names, comment->n + 1);
    cells = count_cells(record, separator, scratch);
    count_kinds(scratch, cells, &numbers, &words);
    if (numbers == 0 || count_cells(comment->text, separator, scratch) != cells)
        return false;
    count_kinds(scratch, cells, &numbers, &words);
    return numbers == 0 && words > 0;
}

/* The next line that is neither blank nor a comment; the comment above it is kept (NULL: not). */
static ntk_status next_line(struct reader *r, struct ntk_line *line, struct ntk_line *comment,
                            bool *end)
{
    for (;;) {
        NTK_TRY(ntk_lines_next(&r->lines, line, end));
        if (*end)
            return NTK_OK;
        if (*ntk_skip_blanks(line->text) && !ntk_is_comment(line->text))
            return ntk_line_check(r->ctx, line);
        if (comment && ntk_is_comment(line->text)) {
            const struct ntk_line kept = *line;

            *line = *comment;
            *comment = kept;
        }
    }
}

static ntk_status look(struct reader *r, struct ntk_line *comment, struct ntk_line *a,
                       const struct ntk_line *b)
{
    const size_t n = (comment->n > a->n ? comment->n : a->n) + (b ? b->n : 0) + 1;
    char *scratch = ntk_alloc(r->ctx, n, 1);

    if (!scratch)
        return NTK_ENOMEM;
    if (!r->separator)
        r->separator = find_separator(a->text, b ? b->text : NULL, scratch);
    r->lines.separator = r->separator;
    r->trailing = ends_with_separator(a->text, r->separator) &&
                  (!b || ends_with_separator(b->text, r->separator));
    r->commented = comment->n > 0 && is_header(comment, a->text, r->separator, scratch);
    free(scratch);
    return r->commented ? ntk_line_check(r->ctx, comment) : NTK_OK;
}

static ntk_status begin(struct reader *r)
{
    struct ntk_line *comment = &r->first[0], *a = &r->first[1], *b = &r->first[2];
    bool end, only;

    r->begun = true;
    r->n_first = r->next_first = 3;
    NTK_TRY(next_line(r, a, comment, &end));
    r->separator = end ? '\0' : named_separator(a->text);
    if (r->separator) {
        comment->n = 0;
        NTK_TRY(next_line(r, a, comment, &end));
    }
    if (end)
        return NTK_OK;
    NTK_TRY(next_line(r, b, NULL, &only));
    NTK_TRY(look(r, comment, a, only ? NULL : b));
    r->n_first = only ? 2 : 3;
    r->next_first = r->commented ? 0 : 1;
    return NTK_OK;
}

/* ---- records */

/* A line that was read ahead, or a new one, becomes the record's text. */
static ntk_status take_line(struct reader *r, bool *end)
{
    struct ntk_line line = {.text = r->text, .capacity = r->capacity};
    ntk_status status = NTK_OK;

    *end = false;
    if (r->next_first < r->n_first) {
        free(r->text);
        line = r->first[r->next_first];
        r->first[r->next_first++].text = NULL;
    } else {
        status = next_line(r, &line, NULL, end);
    }
    r->text = line.text;
    r->capacity = line.capacity;
    r->line = line.number;
    return status;
}

ntk_status ntk_csv_next(struct reader *r)
{
    bool end;

    r->cells = 0;
    if (!r->begun)
        NTK_TRY(begin(r));
    else
        r->commented = false;
    NTK_TRY(take_line(r, &end));
    if (end)
        return NTK_OK;
    r->cells = split(r->text, r->separator, &r->n);
    if (r->cells < 0)
        return ntk_fail(r->ctx, NTK_EINVAL, "line %lld, column %lld: text after a closing quote",
                        (long long)r->line, (long long)-r->cells - 1);
    if (r->trailing && r->cells > 1 && r->text[r->n - 2] == '\0') {
        r->cells--;
        r->n--;
    }
    return NTK_OK;
}

void ntk_csv_end(struct reader *r)
{
    for (int k = 0; k < 3; k++)
        free(r->first[k].text);
    free(r->text);
}

/* ---- numbers */

bool ntk_csv_number(const char *cell, double *value)
{
    const char *digits = cell + (*cell == '-' || *cell == '+');
    char *end;

    *value = strtod(cell, &end);
    return end != cell && *end == '\0' && !(digits[0] == '0' && (digits[1] | 0x20) == 'x');
}

bool ntk_csv_missing(const char *cell)
{
    static const char *const marks[] = {"", "NA", "N/A", "#N/A", "NaN", "null", "none", "?", "-", "."};

    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
        if (strcasecmp(cell, marks[k]) == 0)
            return true;
    return false;
}

const char *ntk_csv_fault(const char *cell)
{
    double value;

    if (!*cell)
        return "is empty, where a number should be: leave the row (or the column) out, or fill it in";
    if (ntk_csv_missing(cell))
        return "is a missing value: leave the row (or the column) out, or fill it in";
    if (ntk_csv_number(cell, &value))
        return "is not finite";
    if (strchr(cell, ','))
        return "is not a number: decimals take a point, thousands nothing between them";
    return "is not a number";
}
