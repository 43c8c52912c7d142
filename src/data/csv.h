/* SPDX-License-Identifier: MIT
 *
 * csv.h - records of a CSV, one after the other.
 */
#ifndef NTK_CSV_H
#define NTK_CSV_H

#include "data/data.h"

/* One record at a time. Its cells lie in text one after the other, each NUL-terminated. */
struct reader {
    ntk_ctx *ctx;
    FILE *f;
    char separator; /* 0: not known yet */
    int64_t line;   /* where the record begins, from 1 */
    int64_t lines;  /* read so far */
    char *text;
    size_t n, capacity;
    int64_t cells; /* 0: the end of the file */
};

/* The next record that is not blank. */
ntk_status ntk_csv_next(struct reader *r);

static inline const char *ntk_csv_next_cell(const char *cell)
{
    return cell + strlen(cell) + 1;
}

#endif
