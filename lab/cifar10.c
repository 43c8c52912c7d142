/* SPDX-License-Identifier: MIT
 *
 * ntk lab cifar10: the kernel columns of Table 1 of Arora et al. 2019 (arXiv 1904.11955).
 *
 * Their protocol: pixels / 255, mean and deviation of each channel over the training file removed;
 * targets one-hot - 1/10; no ridge; kernel entries in float32, solved in float64; the largest
 * output is the answer. GAP is with the first and the last layer not trained.
 *
 * All networks go through one kernel, block of rows by block of rows, into stores of files: a restart computes only the
 * blocks that are missing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define CLASSES   10
#define CASES     16
#define BLOCK     100 /* rows that are read at once */

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
    struct samples s;
    ntk_files *train, *test; /* training images with themselves, test images with them */
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

/* ---- stores */

/* DIR/train-v3-v4 or the like: a folder has one list of networks. */
static int open_store(const struct work *w, ntk_net *const *nets, const char *part, const ntk_data *x1,
                      const ntk_data *x2, ntk_files **files)
{
    char folder[PATH_ROOM];
    int n = snprintf(folder, sizeof folder, "%s/%s", w->dir, part);

    for (int k = 0; k < w->n_cases; k++)
        n += snprintf(folder + n, sizeof folder - (size_t)n, "-%s%d", w->cases[k].gap ? "gap" : "v", w->cases[k].depth);
    TRY(w->ctx, ntk_files_open(w->ctx, folder, (const ntk_net *const *)nets, (size_t)w->n_cases, NTK_NTK, NTK_F32, x1, x2,
                               files));
    return EXIT_OK;
}

/* All networks in one kernel. */
static int compute(struct work *w)
{
    ntk_net *nets[CASES] = {NULL};
    ntk_status status = NTK_OK;
    int code;

    for (int k = 0; k < w->n_cases && status == NTK_OK; k++) {
        char text[64];

        snprintf(text, sizeof text, "cntk(depth=%d, pool='%s')", w->cases[k].depth,
                 w->cases[k].gap ? "gap" : "none");
        status = ntk_net_parse(w->ctx, text, &nets[k]);
    }
    code = status == NTK_OK ? open_store(w, nets, "train", w->s.train, NULL, &w->train) : fail(w->ctx, status);
    if (code == EXIT_OK)
        code = open_store(w, nets, "test", w->s.test, w->s.train, &w->test);
    for (int k = 0; k < w->n_cases; k++)
        ntk_net_free(nets[k]);
    STEP(code);
    TRY(w->ctx, ntk_files_compute(w->train, NULL));
    TRY(w->ctx, ntk_files_compute(w->test, NULL));
    return EXIT_OK;
}

/* ---- solutions */

struct source {
    const struct work *w;
    size_t k;
    int code; /* not EXIT_OK: rows could not be read, which has been said */
};

static int train_rows(int64_t i0, int64_t ni, void *rows, void *user)
{
    struct source *s = user;
    const ntk_status status = ntk_files_rows(s->w->train, s->k, i0, ni, rows);

    if (status != NTK_OK)
        s->code = fail(s->w->ctx, status);
    return s->code != EXIT_OK;
}

static void predict_row(int64_t n, const float *row, const double *alpha, double *f)
{
    for (int c = 0; c < CLASSES; c++) {
        f[c] = 0;
        for (int64_t j = 0; j < n; j++)
            f[c] += (double)row[j] * alpha[j * CLASSES + c];
    }
}

static int predict(const struct work *w, int k, const double *alpha, double *f)
{
    float *row = malloc((size_t)w->n * sizeof *row);
    ntk_status status = NTK_OK;

    if (!row)
        return usage("no memory for a row of a kernel");
    for (int64_t i = 0; i < w->m && status == NTK_OK; i++) {
        status = ntk_files_rows(w->test, (size_t)k, i, 1, row);
        if (status == NTK_OK)
            predict_row(w->n, row, alpha, f + i * CLASSES);
    }
    free(row);
    TRY(w->ctx, status);
    return EXIT_OK;
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

static int solve_case(const struct work *w, int k, double *alpha, double *f, struct finding *found)
{
    struct source source = {.w = w, .k = (size_t)k};
    const double start = ntk_seconds();
    double p, half;
    ntk_status status;

    status = ntk_kernel_solve(w->ctx, w->n, NTK_F32, BLOCK, train_rows, &source, w->s.y, CLASSES, 0, alpha);
    STEP(source.code);
    TRY(w->ctx, status);
    STEP(predict(w, k, alpha, f));
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
    double *alpha = malloc((size_t)(w->n * CLASSES) * sizeof *alpha);
    double *f = malloc((size_t)(w->m * CLASSES) * sizeof *f);
    struct finding found[CASES];
    int code = alpha && f ? EXIT_OK : usage("no memory for the predictions");

    for (int k = 0; k < w->n_cases && code == EXIT_OK; k++)
        code = solve_case(w, k, alpha, f, &found[k]);
    free(alpha);
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
    ntk_files_free(w.train);
    ntk_files_free(w.test);
    samples_free(&w.s);
    return code;
}
