/* SPDX-License-Identifier: MIT
 *
 * csv.h - records of a table that is text, one after the other.
 */
#ifndef NTK_CSV_H
#define NTK_CSV_H

#include "data/data.h"
#include "data/lines.h"

/* One record at a time. Its cells lie in text one after the other, each NUL-terminated. */
struct reader {
    ntk_ctx *ctx;
    struct ntk_lines lines;
    char separator;
    bool trailing;  /* records end with a separator */
    bool commented; /* the record stood in a comment, above the first one that did not */
    int64_t line;   /* where the record begins, from 1 */
    char *text;
    size_t n, capacity;
    int64_t cells; /* 0: the end of the file */
    bool begun;
    struct ntk_line first[3]; /* read before the separator was known: a header in a comment, two records */
    size_t n_first, next_first;
};

static inline void ntk_csv_begin(struct reader *r, struct ntk_stream *s)
{
    *r = (struct reader){.ctx = s->ctx, .lines = {.s = s}};
}
/* The next record that is neither blank nor a comment; but a comment right above the first record comes
 * before it if it looks like its header. */
ntk_status ntk_csv_next(struct reader *r);
void ntk_csv_end(struct reader *r);

static inline const char *ntk_csv_next_cell(const char *cell)
{
    return cell + strlen(cell) + 1;
}
/* Whether a cell is a number as people write it, with a decimal point (nan and inf are, hexadecimal ones
 * are not); between ntk_plain_begin and ntk_plain_end. */
bool ntk_csv_number(const char *cell, double *value);
/* A mark for a missing number. */
bool ntk_csv_missing(const char *cell);
/* What is wrong with a cell that should be a finite number. */
const char *ntk_csv_fault(const char *cell);

#endif
