/* SPDX-License-Identifier: MIT
 *
 * cmd_lab.c - ntk lab: the theory's experiments.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

static const struct experiment experiments[] = {
#define EXPERIMENT(name, threads, summary, explanation) \
    {#name, threads, summary, explanation, lab_##name},
#include "experiments.def"
#undef EXPERIMENT
};
static const size_t n_experiments = sizeof experiments / sizeof *experiments;

/* Equal but for '-' that stands for '_' in the identifier. */
static bool same_name(const char *identifier, const char *word)
{
    for (; *identifier && *word; identifier++, word++)
        if (*identifier != *word && !(*identifier == '_' && *word == '-'))
            return false;
    return *identifier == *word;
}

const struct experiment *lab_experiment(const char *name)
{
    for (size_t i = 0; i < n_experiments; i++)
        if (same_name(experiments[i].name, name))
            return &experiments[i];
    return NULL;
}

static bool exists(const char *dir, const char *name, const char *ending)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s.%s", dir, name, ending);
    return access(path, R_OK) == 0;
}

static int run(ntk_ctx *ctx, const struct args *a, const struct experiment *e, const char *dir)
{
    TRY(ctx, ntk_ctx_set_threads(ctx, a->threads ? (int)a->threads : e->threads));
    return e->run(ctx, a, dir);
}

/* Every experiment that needs no files, but those that are done; then the page. */
static int run_all(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const char *names[64];
    size_t n = 0;

    for (size_t i = 0; i < n_experiments; i++) {
        const char *name = experiments[i].name;

        if (strcmp(name, "cifar10") == 0 && !exists(dir, name, "part"))
            continue;
        names[n++] = name;
        if (exists(dir, name, "part")) {
            note("%s is done: %s/%s.json; remove %s.part to run it again", name, dir, name, name);
            continue;
        }
        note("%s: %s", name, experiments[i].summary);
        STEP(run(ctx, a, &experiments[i], dir));
    }
    return lab_page(dir, n, names);
}

int cmd_lab(ntk_ctx *ctx, const struct args *a);
int cmd_lab(ntk_ctx *ctx, const struct args *a)
{
    const char *dir = a->out ? a->out : "ntk-lab";
    const struct experiment *e;

    for (size_t i = 0; i < n_experiments && a->n_words == 0; i++)
        printf("%-17s %s\n", experiments[i].name, experiments[i].summary);
    if (a->n_words == 0) {
        printf("%-17s every experiment but cifar10, and a page with all plots\n", "all");
        return EXIT_OK;
    }
    STEP(check_folder(dir));
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return usage("--out: %s cannot be made: %s", dir, strerror(errno));
    if (strcmp(a->words[0], "all") == 0)
        return run_all(ctx, a, dir);
    e = lab_experiment(a->words[0]);
    if (e)
        return run(ctx, a, e, dir);
    return usage("there is no experiment '%s'; 'ntk lab' lists those there are", a->words[0]);
}
