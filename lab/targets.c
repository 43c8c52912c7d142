/* SPDX-License-Identifier: MIT
 *
 * targets: classification by squared loss, with targets 1 and 0, or centred, 1 - 1/c and -1/c.
 * Predictions are linear in the targets, so those of the two differ by K(x, X) K^-1 1 / c, the same
 * for all classes: the classes predicted are equal. What differs is the error: kernels have no mean
 * function, so that far from the training samples predictions go to 0, which is the mean of centred
 * targets. On subsets of the digits and, if
 * --data has the files, of MNIST.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define SIZES   4
#define SUBSETS 8
#define C       10

struct bench {
    const char *name;
    ntk_data *train, *test;
    int64_t sizes[SIZES];
};

/* Test accuracy in percent, and mean squared error in the targets' own encoding. */
struct score {
    double accuracy, mse;
};

static int score_of(ntk_ctx *ctx, const struct bench *b, const ntk_net *net, ntk_posterior kind,
                    const ntk_data *x, ntk_targets targets, struct score *score)
{
    const int64_t n = ntk_data_n(x), m = ntk_data_n(b->test);
    double *y = malloc((size_t)(n * C) * sizeof *y), *f = malloc((size_t)(m * C) * sizeof *f);
    double *want = malloc((size_t)(m * C) * sizeof *want);
    ntk_fit_opts o;
    ntk_model *model = NULL;
    ntk_status status = NTK_ENOMEM;

    ntk_fit_opts_init(&o);
    o.posterior = kind;
    if (y && f && want)
        status = ntk_data_targets(x, targets, C, y);
    if (status == NTK_OK)
        status = ntk_data_targets(b->test, targets, C, want);
    if (status == NTK_OK)
        status = ntk_model_fit(ctx, net, x, y, C, &o, &model);
    if (status == NTK_OK)
        status = ntk_model_predict(model, b->test, f, NULL);
    if (status == NTK_OK) {
        score->accuracy = 100 * accuracy(b->test, f, m, C);
        score->mse = mean_squared_error(f, want, m * C);
    }
    ntk_model_free(model);
    free(y);
    free(f);
    free(want);
    TRY(ctx, status);
    return EXIT_OK;
}

/* What centred targets do better than one-hot ones, subset by subset. */
struct gains {
    int n;
    double accuracy[SIZES * SUBSETS], mse[SIZES * SUBSETS]; /* difference; ratio of the errors */
};

static int compare(ntk_ctx *ctx, const struct bench *b, ntk_posterior kind, int64_t n, FILE *f,
                   struct gains *g)
{
    const int64_t all = ntk_data_n(b->train);
    const int subsets = (int)(all / n < SUBSETS ? all / n : SUBSETS);
    double mse[2][SUBSETS], share[SUBSETS];
    ntk_net *net;

    TRY(ctx, ntk_net_parse(ctx, "fc(depth=3)", &net));
    for (int k = 0; k < subsets; k++) {
        struct score one_hot, centred;
        ntk_data *x;
        int code;

        TRY(ctx, ntk_data_slice(b->train, k * n, n, &x));
        code = score_of(ctx, b, net, kind, x, NTK_ONEHOT, &one_hot);
        if (code == EXIT_OK)
            code = score_of(ctx, b, net, kind, x, NTK_CENTERED, &centred);
        ntk_data_free(x);
        STEP(code);
        g->accuracy[g->n] = centred.accuracy - one_hot.accuracy;
        g->mse[g->n++] = centred.mse / one_hot.mse;
        mse[0][k] = one_hot.mse;
        mse[1][k] = centred.mse;
        share[k] = centred.accuracy;
    }
    ntk_net_free(net);
    fprintf(f, "%s,%s,%lld,%d,%.4g,%.4g,%.4g\n", b->name,
            kind == NTK_POSTERIOR_NTK ? "ntk" : "nngp", (long long)n, subsets,
            lab_mean(subsets, share).mean, lab_mean(subsets, mse[0]).mean,
            lab_mean(subsets, mse[1]).mean);
    return EXIT_OK;
}

/* Two findings. */
static int run(ntk_ctx *ctx, const struct bench *b, ntk_posterior kind, int sizes, FILE *f,
               struct finding *found)
{
    const char *name = kind == NTK_POSTERIOR_NTK ? "NTK" : "NNGP";
    struct gains g = {0};
    struct interval i, r;

    for (int k = 0; k < sizes; k++)
        STEP(compare(ctx, b, kind, b->sizes[k], f, &g));
    i = lab_mean(g.n, g.accuracy);
    r = lab_mean(g.n, g.mse);
    found[0] = (struct finding){.theory = 0, .measured = i.mean, .low = i.low, .high = i.high};
    found[0].agrees = fabs(i.mean) < 0.05; /* ties within rounding */
    found[1] = (struct finding){
        .theory = 1, .measured = r.mean, .low = r.low, .high = r.high, .agrees = r.mean < 1};
    snprintf(found[0].quantity, sizeof found[0].quantity,
             "centred minus one-hot accuracy, %%, %s, %s", b->name, name);
    snprintf(found[0].says, sizeof found[0].says,
             "%s, %s: the classes predicted do not depend on centring; measured over %d subsets: "
             "%+.2f %% of test "
             "samples",
             b->name, name, g.n, i.mean);
    snprintf(found[1].quantity, sizeof found[1].quantity, "test error, centred / one-hot, %s, %s",
             b->name, name);
    snprintf(found[1].says, sizeof found[1].says,
             "%s, %s: centred targets should make the squared test error smaller; measured: %.3f "
             "times (%.3f to %.3f)",
             b->name, name, r.mean, r.low, r.high);
    note("%s", found[0].says);
    note("%s", found[1].says);
    return EXIT_OK;
}

static int mnist(ntk_ctx *ctx, const struct args *a, struct bench *b)
{
    char source[1100];
    ntk_load_opts o;

    ntk_load_opts_init(&o);
    o.limit = 10000;
    snprintf(source, sizeof source, "mnist:%s/train", a->data);
    TRY(ctx, ntk_data_load(ctx, source, &o, &b->train));
    o.limit = 2000;
    snprintf(source, sizeof source, "mnist:%s/test", a->data);
    TRY(ctx, ntk_data_load(ctx, source, &o, &b->test));
    ntk_data_flatten(b->train);
    ntk_data_flatten(b->test);
    return EXIT_OK;
}

static const char script[] =
    "set logscale x\nset yrange [0:*]\nset xlabel 'training samples'\nset ylabel 'squared test "
    "error'\n"
    "plot for [k=1:2] 'targets.csv' using (strcol(1) eq 'digits' && strcol(2) eq word('ntk nngp', "
    "k) ? $3 : NaN):6 "
    "with linespoints lw 2 pt 7 ps 0.6 lc rgb word(colours, k) title word('NTK NNGP', k).', "
    "one-hot', "
    "for [k=1:2] '' using (strcol(1) eq 'digits' && strcol(2) eq word('ntk nngp', k) ? $3 : NaN):7 "
    "with linespoints dt 2 lw 2 pt 6 ps 0.9 lc rgb word(colours, k) title word('NTK NNGP', k).', "
    "centred'\n";

int lab_targets(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct bench benches[2] = {{"digits", NULL, NULL, {50, 100, 400, 1297}},
                               {"MNIST", NULL, NULL, {200, 1000, 2500, 5000}}};
    const int n = a->data ? 2 : 1;
    struct finding findings[8];
    FILE *f = lab_table(dir, "targets", "data,kernel,n,subsets,accuracy,onehot_mse,centred_mse");
    int code = EXIT_OK;

    if (!f)
        return EXIT_USAGE;
    STEP(lab_digits(ctx, 0, 1297, &benches[0].train, NULL));
    STEP(lab_digits(ctx, 1297, 500, &benches[0].test, NULL));
    if (n == 2)
        STEP(mnist(ctx, a, &benches[1]));
    else
        note("only digits; --data DIR with MNIST's files adds MNIST");
    for (int k = 0; k < 2 * n && code == EXIT_OK; k++)
        code = run(ctx, &benches[k / 2], k % 2 ? NTK_POSTERIOR_NNGP : NTK_POSTERIOR_NTK,
                   a->quick ? 2 : SIZES, f, &findings[2 * k]);
    for (int k = 0; k < n; k++) {
        ntk_data_free(benches[k].train);
        ntk_data_free(benches[k].test);
    }
    STEP(lab_table_close(dir, "targets", f));
    STEP(code);
    STEP(lab_plot(dir, "targets", script));
    return lab_report(a, dir, "targets", findings, (size_t)(4 * n));
}
