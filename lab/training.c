/* SPDX-License-Identifier: MIT
 *
 * training: a wide network s f, trained to the end, predicts what regression with the infinite
 * kernel does (Arora et al. 2019, Theorem 3.2). Its distance has two parts: f_0 is not zero (grows
 * with s) and training leaves the lazy regime (at most 1 / (s sqrt(width))): A s + B / (s
 * sqrt(width)) is U-shaped in s, least at s = sqrt(B / A) width^(-1/4), where it is 2 sqrt(A B)
 * width^(-1/4). How fast training ends depends on the kernel's smallest eigenvalue.
 */
#include <math.h>
#include <stdio.h>

#include "lab.h"

#define TRAIN  10
#define TEST   30
#define WIDTHS 5 /* 2^6 ... 2^10 */
#define SEEDS  6
#define SCALES 9
#define SETS   4 /* sizes of training sets for the pace */
#define LARGE  40

static const double scales[SCALES] = {10, 3, 1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03};
static const int sizes[SETS] = {5, 10, 20, LARGE};

struct set {
    ntk_data *x, *test;
    double y[LARGE], want[TEST]; /* targets; predictions of the infinite network */
    ntk_spectrum spectrum;
};

/* The first n digits to train on. */
static int prepare(ntk_ctx *ctx, int n, struct set *s)
{
    ntk_fit_opts o;
    ntk_net *net;
    ntk_model *model;
    ntk_status status;

    STEP(lab_digits(ctx, 0, n, &s->x, NULL));
    STEP(lab_digits(ctx, 100, TEST, &s->test, NULL));
    STEP(lab_mlp(ctx, 2, 64, "Tanh", 1, "ntk", &net));
    lab_high_digits(s->x, s->y);
    ntk_fit_opts_init(&o);
    ntk_spectrum_init(&s->spectrum);
    status = ntk_model_fit(ctx, net, s->x, s->y, 1, &o, &model);
    ntk_net_free(net);
    TRY(ctx, status);
    status = ntk_model_predict(model, s->test, s->want, NULL);
    if (status == NTK_OK)
        status = ntk_model_spectrum(model, &s->spectrum);
    ntk_model_free(model);
    TRY(ctx, status);
    return EXIT_OK;
}

static void release(struct set *s)
{
    ntk_data_free(s->x);
    ntk_data_free(s->test);
}

/* Trains until the loss is 1e-8 of the first, at most `most` steps; rms distance on the test
 * samples. */
static ntk_status distance(ntk_params *p, const struct set *s, int64_t most, double *error)
{
    double f[TEST], first, loss = 1;
    ntk_train_opts o;
    ntk_train *train;
    ntk_status status;

    ntk_train_opts_init(&o);
    o.momentum = 0.9;
    o.fraction = 0.02; /* out of the lazy regime the kernel grows on the way, and units saturate */
    status = ntk_train_new(p, s->x, s->y, &o, &train);
    if (status != NTK_OK)
        return status;
    status = ntk_train_run(train, 1, &first);
    while (status == NTK_OK && loss > 1e-8 * first && ntk_train_step(train) < most)
        status = ntk_train_run(train, 100, &loss);
    ntk_train_free(train);
    if (status == NTK_OK)
        status = ntk_params_apply(p, s->test, f);
    *error = lab_distance(TEST, f, s->want) / sqrt(TEST);
    return status;
}

static int measure(ntk_ctx *ctx, const struct set *s, int width, double scale, uint64_t seed,
                   int64_t most, double *error)
{
    ntk_net *net;
    ntk_params *p = NULL;
    ntk_status status;

    STEP(lab_mlp(ctx, 2, width, "Tanh", 1, "ntk", &net));
    status = ntk_params_new(ctx, net, ntk_data_shape(s->x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = ntk_params_set_multiplier(p, scale);
    if (status == NTK_OK)
        status = distance(p, s, most, error);
    ntk_params_free(p);
    ntk_net_free(net);
    TRY(ctx, status);
    return EXIT_OK;
}

/* ---- the surface, and what it shows */

struct surface {
    int widths, seeds;
    double width[WIDTHS];
    double error[SCALES][SEEDS * WIDTHS];                    /* each [seeds][widths] */
    double best[SEEDS * WIDTHS], best_scale[SEEDS * WIDTHS]; /* least error over s, and where */
};

static int fill(ntk_ctx *ctx, const struct set *s, int64_t most, struct surface *u)
{
    for (int w = 0; w < u->widths; w++) {
        u->width[w] = 64 << w;
        for (int i = w; i < u->seeds * u->widths; i += u->widths)
            for (int j = 0; j < SCALES; j++) {
                double *error = &u->error[j][i];

                STEP(measure(ctx, s, 64 << w, scales[j], (uint64_t)(i / u->widths), most, error));
                if (j == 0 || *error < u->best[i]) {
                    u->best[i] = *error;
                    u->best_scale[i] = scales[j];
                }
            }
        note("width %d of %g is done", 64 << w, 64 * pow(2, u->widths - 1));
    }
    return EXIT_OK;
}

static void tabulate(const struct surface *u, FILE *f)
{
    for (int w = 0; w < u->widths; w++)
        for (int j = 0; j < SCALES; j++) {
            const struct interval i = lab_column(u->seeds, u->widths, w, u->error[j]);

            fprintf(f, "%d,%g,%g,%.6g,%.6g,%.6g\n", w, u->width[w], scales[j], i.mean, i.low,
                    i.high);
        }
}

/* How much worse the ends of the range of s are than the best between, at the largest width. */
static void u_shape(const struct surface *u, struct finding *f)
{
    double ratio[SEEDS];
    struct interval i;

    for (int k = 0; k < u->seeds; k++) {
        const int at = k * u->widths + u->widths - 1;

        ratio[k] = fmin(u->error[0][at], u->error[SCALES - 1][at]) / u->best[at];
    }
    i = lab_column(u->seeds, 1, 0, ratio);
    *f = (struct finding){.theory = (double)NAN, .measured = i.mean, .low = i.low, .high = i.high};
    f->agrees = i.low > 1;
    snprintf(f->quantity, sizeof f->quantity,
             "error at the better end of s / least error, width %g (theory: above 1)",
             u->width[u->widths - 1]);
    snprintf(f->says, sizeof f->says,
             "theory: the error is U-shaped in s; measured at width %g: at s = %g and %g at least "
             "%.2f (%.2f to %.2f) times the least",
             u->width[u->widths - 1], scales[0], scales[SCALES - 1], i.mean, i.low, i.high);
}

/* ---- the smallest eigenvalue: late in training the loss falls by (1 - eta lambda_min)^2 a step.
 * Targets are near the outputs at the start: on a long way the kernel of a finite network, and its
 * lambda_min, grow. */

/* Decay of the loss, as the lambda_min that would give it. */
static ntk_status late_decay(ntk_params *p, const struct set *s, double eta, double *lambda)
{
    const int64_t span = (int64_t)(1 / (eta * s->spectrum.lambda_min)); /* falls by e^2 in it */
    double before = 1, after = 1, near[LARGE];
    ntk_train_opts o;
    ntk_train *train = NULL;
    ntk_status status = ntk_params_apply(p, s->x, near);

    for (int64_t i = 0; i < ntk_data_n(s->x); i++)
        near[i] += 1e-3 * s->y[i];
    ntk_train_opts_init(&o);
    o.learning_rate = eta;
    if (status == NTK_OK)
        status = ntk_train_new(p, s->x, near, &o, &train);
    if (status == NTK_OK)
        status = ntk_train_run(train, 8 * span, NULL);
    if (status == NTK_OK)
        status = ntk_train_run(train, 1, &before);
    if (status == NTK_OK)
        status = ntk_train_run(train, span - 1, NULL);
    if (status == NTK_OK)
        status = ntk_train_run(train, 1, &after);
    ntk_train_free(train);
    *lambda = -expm1(-log(before / after) / (2 * (double)span)) / eta;
    return status;
}

static int pace(ntk_ctx *ctx, const struct set *s, int width, int seeds, FILE *f,
                struct finding *found)
{
    double lambda[SEEDS];
    struct interval i;

    for (int k = 0; k < seeds; k++) {
        ntk_net *net;
        ntk_params *p = NULL;
        ntk_status status;

        STEP(lab_mlp(ctx, 2, width, "Tanh", 1, "ntk", &net));
        status = ntk_params_new(ctx, net, ntk_data_shape(s->x), NTK_F64, (uint64_t)k, &p);
        if (status == NTK_OK)
            status = late_decay(p, s, 1 / s->spectrum.lambda_max, &lambda[k]);
        ntk_params_free(p);
        ntk_net_free(net);
        TRY(ctx, status);
    }
    i = lab_mean(seeds, lambda);
    fprintf(f, "%lld,%.6g,%.6g,%.6g,%.6g\n", (long long)ntk_data_n(s->x), s->spectrum.lambda_min,
            i.mean, i.low, i.high);
    *found = (struct finding){
        .theory = s->spectrum.lambda_min, .measured = i.mean, .low = i.low, .high = i.high};
    found->agrees = fabs(i.mean / found->theory - 1) < 0.2;
    snprintf(found->quantity, sizeof found->quantity,
             "late decay of the loss, as an eigenvalue, %lld samples, width %d",
             (long long)ntk_data_n(s->x), width);
    snprintf(
        found->says, sizeof found->says,
        "%lld samples: theory: late in training lambda_min = %.3g (of lambda_max = %.3g) sets the "
        "pace; measured at width %d: %.3g (%.3g to %.3g)",
        (long long)ntk_data_n(s->x), found->theory, s->spectrum.lambda_max, width, i.mean, i.low,
        i.high);
    return EXIT_OK;
}

static int paces(ntk_ctx *ctx, const struct args *a, const char *dir, struct finding *found)
{
    struct ntk_outfile table;
    int code = lab_table(dir, "training_pace", "samples,lambda_min,measured,low,high", &table);

    for (int n = 0; n < SETS && code == EXIT_OK; n++) {
        struct set s;

        code = prepare(ctx, sizes[n], &s);
        if (code != EXIT_OK)
            break;
        code = pace(ctx, &s, a->quick ? 256 : 1024, a->quick ? 3 : SEEDS, table.f, &found[n]);
        release(&s);
    }
    return lab_table_close(dir, "training_pace", &table, code);
}

static const char script[] =
    "set multiplot layout 1,2\nset logscale xy\nset format y '%g'\nset ytics (0.02, 0.05, 0.1, "
    "0.2, 0.5, 1, 2, 5)\nset xlabel 'multiplier s'\n"
    "set ylabel 'distance of the trained network from f_{NTK}'\nset key maxrows 2\n"
    "stats 'training.csv' using 1 nooutput\n"
    "plot for [k=0:int(STATS_max)] 'training.csv' using ($1==k?$3*1.02**(k-2):NaN):4:5:6 with "
    "yerrorlines lw 2 "
    "pt 7 ps 0.5 lc rgb word(colours, k+1) title sprintf('width %d', 64*2**k)\n"
    "set xlabel 'λ_{min} of Θ_∞, for 5 to 40 training samples'\n"
    "set ylabel 'late decay of the loss, as λ'\nset xtics (0.02, 0.05, 0.1, 0.2, 0.3)\n"
    "plot 'training_pace.csv' using 2:3:4:5 with yerrorbars lw 2 pt 7 ps 0.6 lc rgb word(colours, "
    "1) "
    "title 'measured', x dt 2 lw 2 lc rgb '#666666' title 'λ_{min}'\nunset multiplot\n";

int lab_training(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    static struct surface u;
    struct set s;
    struct finding findings[3 + SETS];
    struct ntk_outfile table;
    int code;

    u.widths = a->quick ? 3 : WIDTHS;
    u.seeds = a->quick ? 3 : SEEDS;
    STEP(prepare(ctx, TRAIN, &s));
    code = fill(ctx, &s, a->quick ? 1000 : 2000, &u);
    release(&s);
    STEP(code);
    STEP(lab_table(dir, "training", "setting,width,s,error,low,high", &table));
    tabulate(&u, table.f);
    STEP(lab_table_close(dir, "training", &table, EXIT_OK));
    lab_found_bound(&findings[0], "the least error over s", -0.25,
                    lab_slope(u.widths, u.width, u.seeds, u.best));
    lab_found_bound(&findings[1], "the best s", -0.25,
                    lab_slope(u.widths, u.width, u.seeds, u.best_scale));
    u_shape(&u, &findings[2]);
    STEP(paces(ctx, a, dir, findings + 3));
    for (int k = 0; k < 3 + SETS; k++)
        note("%s", findings[k].says);
    STEP(lab_plot_pair(dir, "training", script));
    return lab_report(a, dir, "training", findings, 3 + SETS);
}
