/* SPDX-License-Identifier: MIT
 *
 * ntk lab: the theory's experiments.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "../lab/lab.h"

static const struct experiment experiments[] = {
#define EXPERIMENT(name, summary) {#name, summary, lab_##name},
#include "../lab/experiments.def"
#undef EXPERIMENT
};
static const size_t n_experiments = sizeof experiments / sizeof *experiments;

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
    return EXIT_OK;
}

/* Equal but for '-' that stands for '_' in the identifier. */
static bool same_name(const char *identifier, const char *word)
{
    for (; *identifier && *word; identifier++, word++)
        if (*identifier != *word && !(*identifier == '_' && *word == '-'))
            return false;
    return *identifier == *word;
}

int cmd_lab(ntk_ctx *ctx, const struct args *a);
int cmd_lab(ntk_ctx *ctx, const struct args *a)
{
    const char *dir = a->out ? a->out : "ntk-lab";

    for (size_t i = 0; i < n_experiments && a->n_words == 0; i++)
        printf("%-17s %s\n", experiments[i].name, experiments[i].summary);
    if (a->n_words == 0)
        return EXIT_OK;
    for (size_t i = 0; i < n_experiments; i++) {
        if (!same_name(experiments[i].name, a->words[0]))
            continue;
        if (mkdir(dir, 0777) != 0 && errno != EEXIST)
            return usage("--out: %s cannot be made: %s", dir, strerror(errno));
        return experiments[i].run(ctx, a, dir);
    }
    return usage("there is no experiment '%s'; 'ntk lab' lists those there are", a->words[0]);
}
