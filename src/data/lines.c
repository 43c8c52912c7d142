/* SPDX-License-Identifier: MIT
 *
 * lines.c - see lines.h.
 */
#include "data/lines.h"

#include <stdlib.h>
#include <string.h>

static ntk_status append(ntk_ctx *ctx, struct ntk_line *line, const void *bytes, size_t n)
{
    if (line->capacity < line->n + n + 1) {
        const size_t capacity = ntk_round_up(2 * (line->n + n + 1), 4096);
        char *text;

        NTK_TRY(ntk_ctx_check_memory(ctx, capacity, "a line"));
        text = realloc(line->text, capacity);
        if (!text)
            return ntk_fail(ctx, NTK_ENOMEM, "line %lld: no memory for %zu bytes",
                            (long long)line->number, capacity);
        line->text = text;
        line->capacity = capacity;
    }
    memcpy(line->text + line->n, bytes, n);
    line->n += n;
    line->text[line->n] = '\0';
    return NTK_OK;
}

static ntk_status other_encoding(ntk_ctx *ctx, const char *name)
{
    return ntk_fail(ctx, NTK_EINVAL,
                    "is %s text: save it as UTF-8, or convert it with iconv -f %s -t UTF-8", name, name);
}

/* At the file's first bytes: a mark of UTF-8 is passed over; UTF-16 and UTF-32 have marks of their own, or
 * NUL bytes beside the first characters. */
static ntk_status check_encoding(struct ntk_lines *l)
{
    const unsigned char *b = l->bytes;
    const size_t n = l->n;

    if (n >= 4 && (memcmp(b, "\xff\xfe\0\0", 4) == 0 || memcmp(b, "\0\0\xfe\xff", 4) == 0))
        return other_encoding(l->s->ctx, "UTF-32");
    if (n >= 2 && (memcmp(b, "\xff\xfe", 2) == 0 || memcmp(b, "\xfe\xff", 2) == 0))
        return other_encoding(l->s->ctx, "UTF-16");
    if (n >= 4 && ((b[0] && !b[1] && b[2] && !b[3]) || (!b[0] && b[1] && !b[2] && b[3])))
        return other_encoding(l->s->ctx, b[0] ? "UTF-16LE" : "UTF-16BE");
    if (n >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0)
        l->at = 3;
    return NTK_OK;
}

static ntk_status refill(struct ntk_lines *l)
{
    size_t got = 1;

    l->at = l->n = 0;
    /* A pipe may give one byte at a time, and the first ones are looked at together. */
    while (got > 0 && l->n < 4) {
        NTK_TRY(ntk_stream_some(l->s, l->bytes + l->n, sizeof l->bytes - l->n, &got));
        l->n += got;
    }
    if (!l->begun)
        NTK_TRY(check_encoding(l));
    l->begun = true;
    return NTK_OK;
}

/* -1 at the end, and if the bytes cannot be read. */
static int next_byte(struct ntk_lines *l)
{
    if (l->at == l->n) {
        l->status = refill(l);
        if (l->status != NTK_OK || l->at == l->n)
            return -1;
    }
    return l->bytes[l->at++];
}

/* How many bytes of the buffer have no meaning of their own. */
static size_t plain_bytes(const struct ntk_lines *l)
{
    static const bool special[256] = {['\0'] = true, ['\n'] = true, ['\r'] = true, ['"'] = true};
    size_t k = l->at;

    while (k < l->n && !special[l->bytes[k]])
        k++;
    return k - l->at;
}

/* Whether a quote after the line's text opens a cell: only where one begins; or after one that was just
 * closed, as two quotes in a cell are one. In comments quotes mean nothing. */
static bool opens(const struct ntk_lines *l, const struct ntk_line *line, size_t closed)
{
    const char *text = line->text;
    size_t n = line->n;

    if (n == 0 || n == closed)
        return true;
    if (ntk_is_comment(text))
        return false;
    if (!l->separator)
        return strchr(NTK_SEPARATORS, text[n - 1]);
    if (l->separator == ' ')
        return strchr(" \t", text[n - 1]);
    while (n > 0 && text[n - 1] != l->separator && strchr(" \t", text[n - 1]))
        n--;
    return n == 0 || text[n - 1] == l->separator;
}

static ntk_status read_line(struct ntk_lines *l, struct ntk_line *line, bool *end)
{
    ntk_ctx *ctx = l->s->ctx;
    bool quoted = false;
    size_t closed = 0; /* length of the line up to its last closing quote */
    size_t n;
    int c;

    while ((c = next_byte(l)) >= 0) {
        const bool second = l->after_cr && c == '\n'; /* of CR LF */

        l->after_cr = c == '\r' && !quoted;
        if (second)
            continue;
        *end = false;
        if (!quoted && (c == '\n' || c == '\r'))
            break;
        if (c == '\0')
            return ntk_fail(ctx, NTK_EINVAL, "line %lld has a NUL byte: this is no text",
                            (long long)l->read + 1);
        l->read += c == '\n';
        if (c == '"') {
            const bool opened = !quoted && opens(l, line, closed);

            closed = quoted ? line->n + 1 : 0;
            quoted = opened;
        }
        n = plain_bytes(l);
        NTK_TRY(append(ctx, line, l->bytes + l->at - 1, n + 1));
        l->at += n;
    }
    if (c < 0)
        NTK_TRY(l->status);
    if (quoted)
        return ntk_fail(ctx, NTK_EINVAL, "line %lld: a quote is not closed", (long long)line->number);
    return NTK_OK;
}

ntk_status ntk_lines_next(struct ntk_lines *l, struct ntk_line *line, bool *end)
{
    line->n = 0;
    line->number = l->read + 1;
    NTK_TRY(append(l->s->ctx, line, "", 0));
    *end = true;
    NTK_TRY(read_line(l, line, end));
    l->read += !*end;
    return NTK_OK;
}

/* Bytes of the character at p (RFC 3629); 0: it is none. Of overlong forms only those of two bytes are seen. */
static size_t character(const unsigned char *p)
{
    const size_t n = p[0] < 0x80   ? 1
                     : p[0] < 0xc2 ? 0
                     : p[0] < 0xe0 ? 2
                     : p[0] < 0xf0 ? 3
                     : p[0] < 0xf5 ? 4
                                   : 0;

    for (size_t k = 1; k < n; k++)
        if ((p[k] & 0xc0) != 0x80)
            return 0;
    return n;
}

ntk_status ntk_line_check(ntk_ctx *ctx, const struct ntk_line *line)
{
    const unsigned char *p = (const unsigned char *)line->text, *end = p + line->n;
    unsigned char any = 0;

    for (size_t k = 0; k < line->n; k++)
        any |= p[k];
    for (size_t n; any >= 0x80 && p < end; p += n) {
        n = character(p);
        if (n == 0)
            return ntk_fail(ctx, NTK_EINVAL,
                            "line %lld is not UTF-8 text (it has the byte %02x): convert the file, perhaps "
                            "with iconv -f WINDOWS-1252 -t UTF-8",
                            (long long)line->number, *p);
    }
    return NTK_OK;
}
