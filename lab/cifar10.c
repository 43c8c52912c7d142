/* SPDX-License-Identifier: MIT
 *
 * ntk lab cifar10: the kernel columns of Table 1 of Arora et al. 2019 (arXiv 1904.11955).
 *
 * Their protocol: pixels / 255, mean and deviation of each channel over the training file removed;
 * targets one-hot - 1/10; no ridge; kernel entries in float32, solved in float64; the largest
 * output is the answer. GAP is with the first and the last layer not trained.
 *
 * All networks go through one kernel, tile by tile, into a store, which has the kernels of the test images, too: a restart
 * computes only the tiles that are missing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define CLASSES   10
#define CASES     16

/* Percent; training images: all 50,000, and the first 2,000. */
static const struct {
    int depth;
    double all[2], first[2]; /* vanilla, GAP */
} published[] = {
    {3, {64.47, 70.47}, {40.94, 49.71}},  {4, {65.52, 75.93}, {42.54, 51.06}},
    {6, {66.03, 76.73}, {43.43, 51.73}},  {11, {65.90, 77.43}, {43.42, 51.92}},
    {21, {64.09, 77.08}, {42.53, 52.22}},
};

struct work {
    ntk_ctx *ctx;
    const struct args *a;
    const char *dir;
    int n_cases;
    struct {
        int depth, gap;
    } cases[CASES];
    ntk_net *nets[CASES];
    struct samples s;
    char store[2 * PATH_ROOM];
    int64_t n, m;
};

/* ---- options */

static int parse_cases(struct work *w)
{
    const char *columns = w->a->columns ? w->a->columns : "v";
    const char *depths = w->a->depths ? w->a->depths : w->a->quick ? "3,4" : "3,4,6,11,21";
    const bool both = strcmp(columns, "v,gap") == 0 || strcmp(columns, "gap,v") == 0;

    if (!both && strcmp(columns, "v") != 0 && strcmp(columns, "gap") != 0)
        return usage("--columns must be v, gap or v,gap, got '%s'", columns);
    for (const char *p = depths; *p;) {
        char *end;
        const long depth = strtol(p, &end, 10);

        if (end == p || (*end && *end != ',') || depth < 2 || depth > 100)
            return usage("--depths must be numbers from 2 to 100 with commas between, got '%s'",
                         depths);
        for (int gap = 0; gap < 2; gap++)
            if (both || gap == (columns[0] == 'g')) {
                if (w->n_cases == CASES)
                    return usage("--depths and --columns ask for more than %d networks", CASES);
                w->cases[w->n_cases].depth = (int)depth;
                w->cases[w->n_cases++].gap = gap;
            }
        p = *end ? end + 1 : end;
    }
    return w->n_cases ? EXIT_OK : usage("--depths is empty");
}

static int load(struct work *w)
{
    char train[PATH_ROOM], test[PATH_ROOM];
    struct args a = *w->a;

    if (!w->a->data)
        return usage("--data is missing: the directory of CIFAR-10's binary batches");
    snprintf(train, sizeof train, "cifar10:%s/train", w->a->data);
    snprintf(test, sizeof test, "cifar10:%s/test", w->a->data);
    a.train = train;
    a.test = test;
    a.train_limit = a.train_limit ? a.train_limit : a.quick ? 200 : 2000;
    a.test_limit = a.test_limit ? a.test_limit : a.quick ? 100 : 10000;
    STEP(samples_load(w->ctx, &a, NULL, NULL, true, &w->s));
    w->n = ntk_data_n(w->s.train);
    w->m = ntk_data_n(w->s.test);
    return EXIT_OK;
}

/* ---- the kernels */

/* DIR/v3-v4.h5 or the like: a file has one list of networks. */
static void name_store(struct work *w)
{
    int n = snprintf(w->store, sizeof w->store, "%s/", w->dir);

    for (int k = 0; k < w->n_cases; k++)
        n += snprintf(w->store + n, sizeof w->store - (size_t)n, "%s%s%d", k ? "-" : "", w->cases[k].gap ? "gap" : "v",
                      w->cases[k].depth);
    snprintf(w->store + n, sizeof w->store - (size_t)n, ".h5");
}

static ntk_status parse_nets(struct work *w)
{
    ntk_status status = NTK_OK;

    for (int k = 0; k < w->n_cases && status == NTK_OK; k++) {
        char text[64];

        snprintf(text, sizeof text, "cntk(depth=%d, pool='%s')", w->cases[k].depth,
                 w->cases[k].gap ? "gap" : "none");
        status = ntk_net_parse(w->ctx, text, &w->nets[k]);
    }
    return status;
}

/* All networks in one kernel. */
static int compute(struct work *w)
{
    ntk_kernel_store *store;
    ntk_status status;

    name_store(w);
    TRY(w->ctx, parse_nets(w));
    TRY(w->ctx, ntk_store_open(w->ctx, w->store, (const ntk_net *const *)w->nets, (size_t)w->n_cases, NTK_NTK, NTK_F32,
                               w->s.train, NULL, w->s.test, &store));
    status = ntk_store_fill(store);
    ntk_store_free(store);
    TRY(w->ctx, status);
    return EXIT_OK;
}

/* ---- solutions */

/* Outputs at the test images. Both kernels are read. */
static ntk_status fit_and_predict(const struct work *w, int k, double *f)
{
    ntk_fit_opts o;
    ntk_model *model;
    ntk_status status;

    ntk_fit_opts_init(&o);
    o.dtype = NTK_F32;
    o.store = w->store;
    status = ntk_model_fit(w->ctx, w->nets[k], w->s.train, w->s.y, CLASSES, &o, &model);
    if (status != NTK_OK)
        return status;
    status = ntk_model_predict(model, w->s.test, f, NULL);
    ntk_model_free(model);
    return status;
}

static double published_for(const struct work *w, int k)
{
    for (size_t r = 0; r < sizeof published / sizeof *published; r++)
        if (published[r].depth == w->cases[k].depth)
            return w->n == 50000  ? published[r].all[w->cases[k].gap]
                   : w->n == 2000 ? published[r].first[w->cases[k].gap]
                                  : (double)NAN;
    return (double)NAN;
}

static void print_row(const struct work *w, int k, const struct finding *f, double elapsed)
{
    if (w->a->json)
        return;
    if (k == 0)
        printf("depth  column    train    test  accuracy %%  95 %% interval   published  seconds "
               "to solve\n");
    printf("%5d  %-7s %7lld %7lld  %10.2f  %5.2f to %5.2f  ", w->cases[k].depth,
           w->cases[k].gap ? "GAP" : "vanilla", (long long)w->n, (long long)w->m, f->measured,
           f->low, f->high);
    if (isnan(f->theory))
        printf("%9s  %.1f\n", "", elapsed);
    else
        printf("%9.2f  %.1f\n", f->theory, elapsed);
}

static int solve_case(const struct work *w, int k, double *f, struct finding *found)
{
    const double start = ntk_seconds();
    double p, half;

    TRY(w->ctx, fit_and_predict(w, k, f));
    p = accuracy(w->s.test, f, w->m, CLASSES);
    half = 1.96 * sqrt(p * (1 - p) / (double)w->m);
    *found = (struct finding){.theory = published_for(w, k),
                              .measured = 100 * p,
                              .low = 100 * (p - half),
                              .high = 100 * (p + half)};
    snprintf(found->quantity, sizeof found->quantity,
             "accuracy %% of CNTK-%s, depth %d, %lld images", w->cases[k].gap ? "GAP" : "V",
             w->cases[k].depth, (long long)w->n);
    found->agrees =
        isnan(found->theory) ? -1 : found->theory >= found->low && found->theory <= found->high;
    print_row(w, k, found, ntk_seconds() - start);
    return EXIT_OK;
}

static int solve(const struct work *w)
{
    double *f = malloc((size_t)(w->m * CLASSES) * sizeof *f);
    struct finding found[CASES];
    int code = f ? EXIT_OK : usage("no memory for the predictions");

    for (int k = 0; k < w->n_cases && code == EXIT_OK; k++)
        code = solve_case(w, k, f, &found[k]);
    free(f);
    STEP(code);
    return lab_report(w->a, w->dir, "cifar10", found, (size_t)w->n_cases);
}

int lab_cifar10(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct work w = {.ctx = ctx, .a = a, .dir = dir};
    int code = parse_cases(&w);

    if (code == EXIT_OK)
        code = load(&w);
    if (code == EXIT_OK)
        code = compute(&w);
    if (code == EXIT_OK)
        code = solve(&w);
    for (int k = 0; k < w.n_cases; k++)
        ntk_net_free(w.nets[k]);
    samples_free(&w.s);
    return code;
}
