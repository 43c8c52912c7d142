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

/* Intervals over subsets, in one row. */
static void tabulate(FILE *f, const struct bench *b, ntk_posterior kind, int64_t n, int subsets,
                     const struct score (*s)[2])
{
    double columns[4][SUBSETS];

    for (int k = 0; k < subsets; k++) {
        columns[0][k] = s[k][1].accuracy;
        columns[1][k] = s[k][0].mse;
        columns[2][k] = s[k][1].mse;
        columns[3][k] = s[k][1].mse / s[k][0].mse;
    }
    fprintf(f, "%s,%s,%lld,%d", b->name, kind == NTK_POSTERIOR_NTK ? "NTK" : "NNGP", (long long)n,
            subsets);
    for (int c = 0; c < 4; c++) {
        const struct interval i = lab_mean(subsets, columns[c]);

        fprintf(f, ",%.6g,%.6g,%.6g", i.mean, i.low, i.high);
    }
    fprintf(f, "\n");
}

static int compare(ntk_ctx *ctx, const struct bench *b, ntk_posterior kind, int64_t n, FILE *f,
                   struct gains *g)
{
    const int64_t all = ntk_data_n(b->train);
    const int subsets = (int)(all / n < SUBSETS ? all / n : SUBSETS);
    struct score scores[SUBSETS][2]; /* one-hot, centred */
    ntk_net *net;

    TRY(ctx, ntk_net_parse(ctx, "fc(depth=3)", &net));
    for (int k = 0; k < subsets; k++) {
        ntk_data *x;
        int code;

        TRY(ctx, ntk_data_slice(b->train, k * n, n, &x));
        code = score_of(ctx, b, net, kind, x, NTK_ONEHOT, &scores[k][0]);
        if (code == EXIT_OK)
            code = score_of(ctx, b, net, kind, x, NTK_CENTERED, &scores[k][1]);
        ntk_data_free(x);
        STEP(code);
        g->accuracy[g->n] = scores[k][1].accuracy - scores[k][0].accuracy;
        g->mse[g->n++] = scores[k][1].mse / scores[k][0].mse;
    }
    ntk_net_free(net);
    tabulate(f, b, kind, n, subsets, (const struct score(*)[2])scores);
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
    found[1] = (struct finding){.bound = true,
                                .theory = 1,
                                .measured = r.mean,
                                .low = r.low,
                                .high = r.high,
                                .agrees = r.mean < 1};
    snprintf(found[0].quantity, sizeof found[0].quantity,
             "centred minus one-hot accuracy, %%, %s, %s", b->name, name);
    snprintf(found[0].says, sizeof found[0].says,
             "%s, %s: theory: the classes predicted do not depend on centring; measured over %d "
             "subsets: "
             "%+.2f %% (%+.2f to %+.2f) of test samples",
             b->name, name, g.n, i.mean, i.low, i.high);
    snprintf(found[1].quantity, sizeof found[1].quantity, "test error, centred / one-hot, %s, %s",
             b->name, name);
    snprintf(
        found[1].says, sizeof found[1].says,
        "%s, %s: centred targets should not make the squared test error larger; measured: %.4f "
        "times (%.4f to %.4f)",
        b->name, name, r.mean, r.low, r.high);
    note("%s", found[0].says);
    note("%s", found[1].says);
    return EXIT_OK;
}

/* The digits as they are, values 0 to 1, as in MNIST. */
static int digits(ntk_ctx *ctx, struct bench *b)
{
    TRY(ctx, ntk_data_load(ctx, "digits/train", NULL, &b->train));
    TRY(ctx, ntk_data_load(ctx, "digits/test", NULL, &b->test));
    ntk_data_flatten(b->train);
    ntk_data_flatten(b->test);
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
    "set multiplot layout 1,2\nset logscale x\nset xtics (50, 100, 200, 500, 1000, 2000, "
    "5000)\nset xlabel 'training samples'\nset ylabel 'squared "
    "test error, NTK'\n"
    "set key maxrows 3 font ',12'\nset logscale y\nset format y '%g'\nset ytics (0.005, 0.01, "
    "0.02, 0.03, 0.05)\ndata = 'digits MNIST'\n"
    "kernels = 'NTK NNGP'\nstats 'targets.csv' using (strcol(1) eq 'MNIST' ? 1 : 0) nooutput\n"
    "n = STATS_max > 0 ? 2 : 1\n"
    "plot for [d=1:n] for [e=0:1] 'targets.csv' using (strcol(1) eq word(data, d) && strcol(2) eq "
    "'NTK' ? $3 : NaN):"
    "(column(8+3*e)):(column(9+3*e)):(column(10+3*e)) with yerrorlines dt e+1 lw 2 pt (e?6:7) ps "
    "(e?1:0.5) "
    "lc rgb word(colours, d) title word(data, d).(e ? ', centred' : ', one-hot')\n"
    "unset logscale y\nset ylabel 'squared test error, centred / one-hot'\nset format y "
    "'%.4f'\nset ytics auto\n"
    "plot for [d=1:n] for [k=1:2] '' using (strcol(1) eq word(data, d) && strcol(2) eq "
    "word(kernels, k) ? "
    "$3*(1+0.04*k) : NaN):14:15:16 with yerrorlines dt k lw 2 pt (k==1?7:6) ps 0.6 lc rgb "
    "word(colours, d) title "
    "word(data, d).', '.word(kernels, k), 1 dt 3 lw 2 lc rgb '#666666' title 'equal'\nunset "
    "multiplot\n";

int lab_targets(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct bench benches[2] = {{"digits", NULL, NULL, {50, 100, 400, 1297}},
                               {"MNIST", NULL, NULL, {200, 1000, 2500, 5000}}};
    const int n = a->data ? 2 : 1;
    struct finding findings[8];
    struct ntk_outfile table;
    int code;

    STEP(digits(ctx, &benches[0]));
    if (n == 2)
        STEP(mnist(ctx, a, &benches[1]));
    else
        note("only digits; --data DIR with MNIST's files adds MNIST");
    code = lab_table(
        dir, "targets",
        "data,kernel,n,subsets,accuracy,low,high,onehot_mse,low,high,centred_mse,low,high,"
        "ratio,low,high",
        &table);
    for (int k = 0; k < 2 * n && code == EXIT_OK; k++)
        code = run(ctx, &benches[k / 2], k % 2 ? NTK_POSTERIOR_NNGP : NTK_POSTERIOR_NTK,
                   a->quick ? 2 : SIZES, table.f, &findings[2 * k]);
    for (int k = 0; k < n; k++) {
        ntk_data_free(benches[k].train);
        ntk_data_free(benches[k].test);
    }
    STEP(lab_table_close(dir, "targets", &table, code));
    STEP(lab_plot_pair(dir, "targets", script));
    return lab_report(a, dir, "targets", findings, (size_t)(4 * n));
}
