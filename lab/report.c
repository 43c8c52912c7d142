/* SPDX-License-Identifier: MIT
 *
 * report.c - what experiments found: NAME.json, and a page with all plots.
 */
#include <math.h>

#include "lab.h"

/* ---- the page: NAME.part is an experiment's line in the page's list, and its
 * section, with its pictures inside */

static const char *const endings[] = {"gif", "svg"};
static const char *const types[] = {"image/gif", "image/svg+xml"};

static void base64(FILE *from, FILE *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char b[3];

    for (size_t n = fread(b, 1, 3, from); n > 0; n = fread(b, 1, 3, from)) {
        const unsigned v =
            (unsigned)b[0] << 16 | (n > 1 ? (unsigned)b[1] << 8 : 0) | (n > 2 ? b[2] : 0);

        fputc(digits[v >> 18], to);
        fputc(digits[v >> 12 & 63], to);
        fputc(n > 1 ? digits[v >> 6 & 63] : '=', to);
        fputc(n > 2 ? digits[v & 63] : '=', to);
    }
}

static void picture(const char *dir, const char *name, int k, FILE *to)
{
    char path[PATH_ROOM];
    FILE *from;

    snprintf(path, sizeof path, "%s/%s.%s", dir, name, endings[k]);
    from = fopen(path, "rb");
    if (!from)
        return;
    fprintf(to, "<p><img alt=\"plot of %s\" src=\"data:%s;base64,", name, types[k]);
    base64(from, to);
    fprintf(to, "\"></p>\n");
    fclose(from);
}

static void escaped(const char *text, FILE *to)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", to);
        else if (*text == '&')
            fputs("&amp;", to);
        else
            fputc(*text, to);
    }
}

static void table(const struct finding *f, size_t n, FILE *to)
{
    static const char *const marks[] = {"", "<td class=\"no\">differs</td>",
                                        "<td class=\"yes\">agrees</td>"};

    fputs("<table><tr><th></th><th>theory</th><th>measured</th><th>95 % "
          "interval</th><th></th></tr>\n",
          to);
    for (size_t i = 0; i < n; i++) {
        fputs("<tr><td>", to);
        escaped(f[i].quantity, to);
        if (isnan(f[i].theory))
            fputs("</td><td></td>", to);
        else
            fprintf(to, "</td><td>%s%.4g</td>", f[i].bound ? "≤ " : "", f[i].theory);
        fprintf(to, "<td>%.4g</td>", f[i].measured);
        if (f[i].low == f[i].high)
            fputs("<td></td>", to);
        else
            fprintf(to, "<td>%.4g to %.4g</td>", f[i].low, f[i].high);
        fprintf(to, "%s</tr>\n", marks[f[i].agrees + 1]);
    }
    fputs("</table>\n", to);
}

/* Its line of the page's list. */
static void item(const struct experiment *e, const struct finding *f, size_t n, FILE *to)
{
    int agree = 0, compared = 0;

    for (size_t i = 0; i < n; i++) {
        agree += f[i].agrees > 0;
        compared += f[i].agrees >= 0;
    }
    fprintf(to, "<li><a href=\"#%s\">%s</a>: %s", e->name, e->name, e->summary);
    if (compared)
        fprintf(to, " <span class=\"%s\">%d of %d agree</span>", agree == compared ? "yes" : "no",
                agree, compared);
    fputs("</li>\n", to);
}

static int write_section(const struct args *a, const char *dir, const char *name,
                         const struct finding *f, size_t n)
{
    const struct experiment *e = lab_experiment(name);
    char path[PATH_ROOM];
    struct ntk_outfile out;
    FILE *to;

    snprintf(path, sizeof path, "%s/%s.part", dir, name);
    STEP(file_open(path, &out));
    to = out.f;
    item(e, f, n, to);
    fprintf(to, "<h2 id=\"%s\">%s</h2>\n<p>", name, e->summary);
    escaped(e->explanation, to);
    fputs("</p>\n", to);
    for (int k = 0; k < 2; k++)
        picture(dir, name, k, to);
    table(f, n, to);
    fprintf(
        to,
        "<p class=\"how\"><code>ntk lab %s%s%s --out DIR</code> · numbers: %s.csv, %s.json</p>\n",
        name, a->quick ? " --quick" : "", a->data ? " --data DATA" : "", name, name);
    return file_close(path, &out, EXIT_OK);
}

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ntk "
    "lab</title>\n<style>\n"
    "body { font: 16px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: "
    "#222 }\n"
    "img { max-width: 100%; display: block; margin: auto }\n"
    "h2 { border-top: 1px solid #ccc; padding-top: 1em; margin-top: 2em }\nh2::first-letter { "
    "text-transform: uppercase }\n"
    "table { border-collapse: collapse; font-size: 14px; margin: auto }\n"
    "td, th { padding: .15em .8em; border-bottom: 1px solid #eee; text-align: left }\n"
    ".yes { color: #006b4e } .no { color: #b34700; font-weight: bold } .how { font-size: 14px; "
    "color: #555 }\n"
    "</style></head>\n<body>\n<h1>Theory and measurement</h1>\n"
    "<p>Networks of finite width beside the theory of infinite ones. Intervals are 95 % over "
    "random seeds. "
    "\"Agrees\": an upper bound is not violated by the whole interval; a value lies in the "
    "interval or within the "
    "tolerance that its source file gives.</p>\n";

/* Of NAME.part the first line, or what is after it. */
static void copy_part(const char *dir, const char *name, bool first, FILE *to)
{
    char path[PATH_ROOM];
    FILE *from;
    bool in_first = true;

    snprintf(path, sizeof path, "%s/%s.part", dir, name);
    from = fopen(path, "rb");
    if (!from)
        return;
    for (int c = fgetc(from); c != EOF && (in_first || !first); c = fgetc(from)) {
        if (in_first == first)
            fputc(c, to);
        in_first = in_first && c != '\n';
    }
    fclose(from);
}

int lab_page(const char *dir, size_t n, const char *const *names)
{
    char path[PATH_ROOM];
    struct ntk_outfile out;
    FILE *to;

    snprintf(path, sizeof path, "%s/report.html", dir);
    STEP(file_open(path, &out));
    to = out.f;
    fprintf(to, "%s<ul>\n", head);
    for (size_t k = 0; k < n; k++)
        copy_part(dir, names[k], true, to);
    fputs("</ul>\n", to);
    for (size_t k = 0; k < n; k++)
        copy_part(dir, names[k], false, to);
    fputs("</body></html>\n", to);
    STEP(file_close(path, &out, EXIT_OK));
    note("%s shows all plots", path);
    return EXIT_OK;
}

/* ---- NAME.json */

static void print_findings(struct json *j, const struct args *a, const char *name,
                           const struct finding *f, size_t n)
{
    json_open(j, NULL, '{');
    json_text(j, "name", name);
    json_bool(j, "quick", a->quick);
    json_open(j, "results", '[');
    for (size_t i = 0; i < n; i++) {
        json_open(j, NULL, '{');
        json_text(j, "quantity", f[i].quantity);
        if (f[i].says[0])
            json_text(j, "says", f[i].says);
        json_bool(j, "bound", f[i].bound);
        json_number(j, "theory", f[i].theory);
        json_number(j, "measured", f[i].measured);
        json_number(j, "low", f[i].low);
        json_number(j, "high", f[i].high);
        if (f[i].agrees < 0)
            json_number(j, "agrees", (double)NAN);
        else
            json_bool(j, "agrees", f[i].agrees);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

int lab_report(const struct args *a, const char *dir, const char *name, const struct finding *f,
               size_t n)
{
    char path[PATH_ROOM];
    struct ntk_outfile out;
    struct json j = {0};

    snprintf(path, sizeof path, "%s/%s.json", dir, name);
    STEP(file_open(path, &out));
    j.f = out.f;
    print_findings(&j, a, name, f, n);
    fputc('\n', j.f);
    STEP(file_close(path, &out, EXIT_OK));
    if (a->json) {
        struct json line = {.f = stdout};

        print_findings(&line, a, name, f, n);
        putchar('\n');
    }
    return write_section(a, dir, name, f, n);
}
