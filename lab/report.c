/* SPDX-License-Identifier: MIT
 *
 * report.c - what experiments found: NAME.json, and a page with all plots.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

/* ---- the page: NAME.part is an experiment's section, with its pictures inside */

static const char *const endings[] = {"svg", "gif"};
static const char *const types[] = {"image/svg+xml", "image/gif"};

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
    char path[1024];
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

static int write_section(const struct args *a, const char *dir, const char *name,
                         const struct finding *f, size_t n)
{
    char path[1024];
    FILE *to;

    snprintf(path, sizeof path, "%s/%s.part", dir, name);
    to = fopen(path, "w");
    if (!to)
        return usage("%s cannot be written: %s", path, strerror(errno));
    fprintf(to, "<h2>%s%s</h2>\n<p>%s.</p>\n", name, a->quick ? " (quick)" : "", lab_summary(name));
    for (int k = 0; k < 2; k++)
        picture(dir, name, k, to);
    fprintf(to, "<ul>\n");
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "<li class=\"%s\">",
                f[i].agrees > 0    ? "yes"
                : f[i].agrees == 0 ? "no"
                                   : "none");
        escaped(f[i].says[0] ? f[i].says : f[i].quantity, to);
        fprintf(to, "%s</li>\n",
                f[i].agrees > 0    ? " <b>agrees</b>"
                : f[i].agrees == 0 ? " <b>differs</b>"
                                   : "");
    }
    fprintf(to, "</ul>\n");
    if (fclose(to) != 0)
        return usage("%s cannot be written: %s", path, strerror(errno));
    return EXIT_OK;
}

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ntk "
    "lab</title>\n<style>\n"
    "body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: "
    "#222 }\n"
    "img { max-width: 100% }\nh2 { border-top: 1px solid #ccc; padding-top: 1em }\n"
    "li b { font-weight: normal; padding: 0 .4em; border-radius: .3em; color: #fff; background: "
    "#009e73 }\n"
    "li.no b { background: #d55e00 }\n</style></head>\n<body>\n"
    "<h1>Theory and measurement</h1>\n<p>Experiments with networks of finite width beside the "
    "theory of the "
    "infinite ones. Intervals are 95 % over random seeds.</p>\n";

int lab_page(const char *dir, size_t n, const char *const *names)
{
    char path[1024], temporary[1040];
    FILE *to;

    snprintf(path, sizeof path, "%s/report.html", dir);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    to = fopen(temporary, "w");
    if (!to)
        return usage("%s cannot be written: %s", temporary, strerror(errno));
    fputs(head, to);
    for (size_t k = 0; k < n; k++) {
        char part[1024];
        FILE *from;

        snprintf(part, sizeof part, "%s/%s.part", dir, names[k]);
        from = fopen(part, "rb");
        for (int c = from ? fgetc(from) : EOF; c != EOF; c = fgetc(from))
            fputc(c, to);
        if (from)
            fclose(from);
    }
    fputs("</body></html>\n", to);
    if (fclose(to) != 0 || rename(temporary, path) != 0)
        return usage("%s cannot be written: %s", path, strerror(errno));
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
    char path[1024], temporary[1040];
    struct json j = {0};

    snprintf(path, sizeof path, "%s/%s.json", dir, name);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    j.f = fopen(temporary, "w");
    if (!j.f)
        return usage("%s cannot be written: %s", temporary, strerror(errno));
    print_findings(&j, a, name, f, n);
    fputc('\n', j.f);
    if (fclose(j.f) != 0 || rename(temporary, path) != 0)
        return usage("%s cannot be written: %s", path, strerror(errno));
    if (a->json) {
        struct json out = {.f = stdout};

        print_findings(&out, a, name, f, n);
        putchar('\n');
    }
    return write_section(a, dir, name, f, n);
}
