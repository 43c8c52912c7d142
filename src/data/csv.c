/* SPDX-License-Identifier: MIT
 *
 * csv.c - tables of numbers as text (RFC 4180): comma, semicolon or tab between cells, whichever
 * the first line has; quoted cells. table.c makes data of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "data/csv.h"

static ntk_status append(struct reader *r, char c)
{
    if (r->n == r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 4096;
        char *text;

        NTK_TRY(ntk_ctx_check_memory(r->ctx, capacity, "a line"));
        text = realloc(r->text, capacity);
        if (!text)
            return ntk_fail(r->ctx, NTK_ENOMEM, "line %lld: no memory for %zu bytes",
                            (long long)r->line, capacity);
        r->text = text;
        r->capacity = capacity;
    }
    r->text[r->n++] = c;
    return NTK_OK;
}

/* One line, or several if a quoted cell goes on; *end at the end of the file. */
static ntk_status read_line(struct reader *r, bool *end)
{
    bool quoted = false;
    int c;

    r->n = 0;
    r->line = r->lines + 1;
    while ((c = getc_unlocked(r->f)) != EOF && (c != '\n' || quoted)) {
        if (c == '\0')
            return ntk_fail(r->ctx, NTK_EINVAL, "line %lld has a NUL byte: this is no text",
                            (long long)r->lines + 1);
        quoted ^= c == '"';
        r->lines += c == '\n';
        NTK_TRY(append(r, (char)c));
    }
    if (ferror(r->f))
        return ntk_fail(r->ctx, NTK_EIO, "cannot read: %s", strerror(errno));
    if (quoted)
        return ntk_fail(r->ctx, NTK_EINVAL, "line %lld: a quote is not closed", (long long)r->line);
    r->lines++;
    *end = c == EOF && r->n == 0;
    if (r->n && r->text[r->n - 1] == '\r')
        r->n--;
    return append(r, '\0');
}

static char find_separator(const char *line)
{
    bool quoted = false, semicolon = false, tab = false;

    for (; *line; line++) {
        quoted ^= *line == '"';
        tab |= !quoted && *line == '\t';
        semicolon |= !quoted && *line == ';';
    }
    return tab ? '\t' : semicolon ? ';' : ',';
}

static const char *skip_blanks(const char *p, char separator)
{
    while (*p != separator && (*p == ' ' || *p == '\t'))
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
        p = skip_blanks(p + 1, separator);
    } else {
        while (*p && *p != separator)
            *q++ = *p++;
        while (q > *out && (q[-1] == ' ' || q[-1] == '\t'))
            q--;
    }
    *in = p;
    *out = q;
    return *p == '\0' || *p == separator;
}

static ntk_status split(struct reader *r)
{
    const char *in = r->text;
    char *out = r->text;

    for (r->cells = 1;; r->cells++) {
        bool last;

        if (!copy_cell(&in, &out, r->separator))
            return ntk_fail(r->ctx, NTK_EINVAL,
                            "line %lld, column %lld: text after a closing quote",
                            (long long)r->line, (long long)r->cells - 1);
        last = *in == '\0';
        *out++ = '\0';
        if (last)
            return NTK_OK;
        in++;
    }
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == '\0';
}

ntk_status ntk_csv_next(struct reader *r)
{
    bool end;

    do {
        NTK_TRY(read_line(r, &end));
        if (r->line == 1 && strncmp(r->text, "\xef\xbb\xbf", 3) == 0)
            memmove(r->text, r->text + 3, r->n - 3); /* UTF-8 byte order mark */
    } while (!end && is_blank(r->text));
    r->cells = 0;
    if (end)
        return NTK_OK;
    if (!r->separator)
        r->separator = find_separator(r->text);
    return split(r);
}
