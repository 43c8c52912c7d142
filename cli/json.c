/* SPDX-License-Identifier: MIT
 *
 * json.c - JSON on one line.
 */
#include <math.h>

#include "cli.h"

static void text(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void begin(struct json *j, const char *key)
{
    if (j->comma)
        fputs(", ", j->f);
    j->comma = true;
    if (key) {
        text(j->f, key);
        fputs(": ", j->f);
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    begin(j, key);
    fputc(bracket, j->f);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    fputc(bracket, j->f);
    j->comma = true;
}

void json_number(struct json *j, const char *key, double x)
{
    begin(j, key);
    fprintf(j->f, isfinite(x) ? "%.10g" : "null", x);
}

void json_integer(struct json *j, const char *key, int64_t x)
{
    begin(j, key);
    fprintf(j->f, "%lld", (long long)x);
}

void json_text(struct json *j, const char *key, const char *s)
{
    begin(j, key);
    text(j->f, s);
}

void json_bool(struct json *j, const char *key, bool x)
{
    begin(j, key);
    fputs(x ? "true" : "false", j->f);
}

void json_texts(struct json *j, const char *key, const char *const *texts, size_t n)
{
    json_open(j, key, '[');
    for (size_t k = 0; k < n; k++)
        json_text(j, NULL, texts[k]);
    json_close(j, ']');
}

void json_report(struct json *j, const ntk_fit_report *r)
{
    json_text(j, "solver", r->solver);
    if (r->iterations < 0)
        return;
    json_integer(j, "iterations", r->iterations);
    json_number(j, "residual", r->residual);
}
