/* SPDX-License-Identifier: MIT
 *
 * lines.h - bytes as lines of text.
 */
#ifndef NTK_LINES_H
#define NTK_LINES_H

#include "data/stream.h"

/* What may stand between cells, the likeliest to be one first; blanks are spaces and tabs. */
#define NTK_SEPARATORS "\t;|, "

struct ntk_line {
    char *text; /* NUL-terminated, without the end of the line */
    size_t n, capacity;
    int64_t number; /* where it begins, from 1 */
};

struct ntk_lines {
    struct ntk_stream *s;
    char separator; /* 0: not known yet */
    int64_t read;   /* lines so far */
    bool begun, after_cr;
    ntk_status status; /* of the last reading */
    size_t at, n;      /* of bytes */
    unsigned char bytes[16384];
};

/* The next line, which ends with LF, CR LF or CR; several if a quoted cell goes on. *end: there is none.
 * A file in UTF-16 or UTF-32 is NTK_EINVAL; a mark of UTF-8 is passed over. */
ntk_status ntk_lines_next(struct ntk_lines *l, struct ntk_line *line, bool *end);
/* NTK_EINVAL if the line is not UTF-8: names would match no others. */
ntk_status ntk_line_check(ntk_ctx *ctx, const struct ntk_line *line);

static inline const char *ntk_skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}
static inline bool ntk_is_comment(const char *line)
{
    return *ntk_skip_blanks(line) == '#';
}

#endif
