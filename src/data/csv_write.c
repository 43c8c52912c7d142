/* SPDX-License-Identifier: MIT
 *
 * csv_write.c - columns of numbers and words as CSV (RFC 4180, but with lines that end in \n).
 */
#include "base/outfile.h"
#include "data/data.h"

/* Quoted where it must be. */
static void put_text(FILE *f, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n;\t")] && *text && *text != ' ') {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

static void put_value(FILE *f, const ntk_column *c, int64_t row)
{
    const double x = c->x[row * c->stride];
    char number[32];

    if (c->words)
        put_text(f, c->words[(int64_t)x]);
    else
        fputs(ntk_number_text(x, 15, number), f);
}

ntk_status ntk_csv_write(ntk_ctx *ctx, const char *path, const ntk_column *columns, size_t n,
                         int64_t rows)
{
    struct ntk_outfile out;
    int error;

    if (!path || n < 1)
        return ntk_fail(ctx, NTK_EINVAL, path ? "there is no column to write" : "path is NULL");
    error = ntk_outfile_open(path, &out);
    if (error)
        return ntk_fail_write(ctx, path, error);
    for (size_t k = 0; k < n; k++) {
        fputs(k ? "," : "", out.f);
        put_text(out.f, columns[k].name);
    }
    fputc('\n', out.f);
    for (int64_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < n; k++) {
            fputs(k ? "," : "", out.f);
            put_value(out.f, &columns[k], i);
        }
        fputc('\n', out.f);
    }
    error = ntk_outfile_commit(&out);
    return error ? ntk_fail_write(ctx, path, error) : NTK_OK;
}
