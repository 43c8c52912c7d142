/* SPDX-License-Identifier: MIT
 *
 * training: a wide network s f, trained to the end, predicts what regression with the infinite
 * kernel does (Arora et al. 2019, Theorem 3.2). Its distance has two parts: f_0 is not zero (grows
 * with s) and training leaves the lazy regime (grows with 1 / (s sqrt(width))): U-shaped in s, with
 * a minimum that falls as the width grows. How fast training ends depends on the kernel's smallest
 * eigenvalue.
 */
#include <math.h>
#include <stdio.h>

#include "lab.h"

#define TRAIN  10
#define TEST   30
#define WIDTHS 5 /* 2^6 ... 2^10 */
#define SEEDS  4
#define SCALES 7

static const double scales[SCALES] = {10, 3, 1, 0.3, 0.1, 0.05, 0.03};

struct set {
    ntk_data *x, *test;
    double y[TRAIN], want[TEST]; /* targets; predictions of the infinite network */
    ntk_spectrum spectrum;
};

static int prepare(ntk_ctx *ctx, struct set *s)
{
    ntk_fit_opts o;
    ntk_net *net;
    ntk_model *model;
    ntk_status status;

    STEP(lab_digits(ctx, 0, TRAIN, &s->x, NULL));
    STEP(lab_digits(ctx, 100, TEST, &s->test, NULL));
    STEP(lab_mlp(ctx, 2, 64, "Tanh", 1, "ntk", &net));
    lab_high_digits(s->x, s->y);
    ntk_fit_opts_init(&o);
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
    double best[SEEDS * WIDTHS], best_scale[SEEDS * WIDTHS]; /* least error over s, and where */
    double mean[WIDTHS][SCALES];
};

static int fill(ntk_ctx *ctx, const struct set *s, int64_t most, struct surface *u, FILE *f)
{
    for (int w = 0; w < u->widths; w++) {
        u->width[w] = 64 << w;
        for (int j = 0; j < SCALES; j++) {
            double at[SEEDS];
            struct interval i;

            for (int k = 0; k < u->seeds; k++) {
                double *best = &u->best[k * u->widths + w];

                STEP(measure(ctx, s, 64 << w, scales[j], (uint64_t)k, most, &at[k]));
                if (j == 0 || at[k] < *best) {
                    *best = at[k];
                    u->best_scale[k * u->widths + w] = scales[j];
                }
            }
            i = lab_mean(u->seeds, at);
            u->mean[w][j] = i.mean;
            fprintf(f, "%d,%d,%g,%.6g,%.6g,%.6g\n", w, 64 << w, scales[j], i.mean, i.low, i.high);
        }
        note("width %d: errors %.3g at s = %g, %.3g at s = %g, %.3g at s = %g", 64 << w,
             u->mean[w][0], scales[0], u->mean[w][4], scales[4], u->mean[w][SCALES - 1],
             scales[SCALES - 1]);
    }
    return EXIT_OK;
}

static struct finding falls(const struct surface *u, const double *values, const char *what)
{
    const struct interval s = lab_slope(u->widths, u->width, u->seeds, values);
    struct finding f = {
        .theory = 0, .measured = s.mean, .low = s.low, .high = s.high, .agrees = s.low < 0};

    snprintf(f.quantity, sizeof f.quantity, "slope of %s in width", what);
    snprintf(f.says, sizeof f.says,
             "theory: %s falls as width grows; measured: width^%.2f (%.2f to %.2f)", what, s.mean,
             s.low, s.high);
    return f;
}

/* How much worse the ends of the range of s are than the best between, at the largest width. */
static struct finding u_shape(const struct surface *u)
{
    const double *e = u->mean[u->widths - 1];
    struct finding f = {.theory = 1};
    double least = e[0];
    int at = 0;

    for (int j = 1; j < SCALES; j++)
        if (e[j] < least) {
            least = e[j];
            at = j;
        }
    f.measured = f.low = f.high = fmin(e[0], e[SCALES - 1]) / least;
    f.agrees = f.measured > 1;
    snprintf(f.quantity, sizeof f.quantity, "error at the ends of s / least error");
    snprintf(f.says, sizeof f.says,
             "theory: the error is U-shaped in s; measured at width %g: %.3g at s = %g, %.3g at s "
             "= %g, %.3g at "
             "s = %g",
             u->width[u->widths - 1], e[0], scales[0], least, scales[at], e[SCALES - 1],
             scales[SCALES - 1]);
    return f;
}

/* ---- the smallest eigenvalue: late in training the loss falls by (1 - eta lambda_min)^2 a step.
 * Targets are near the outputs at the start: on a long way the kernel of a finite network, and its
 * lambda_min, grow. */

static int decay(ntk_ctx *ctx, const struct set *s, int width, uint64_t seed, double *ratio)
{
    const double eta = 1 / s->spectrum.lambda_max, rate = -2 * log1p(-eta * s->spectrum.lambda_min);
    const int64_t span = (int64_t)(2 / rate); /* in which it falls by e^2 */
    double before, after, near[TRAIN];
    ntk_train_opts o;
    ntk_train *train = NULL;
    ntk_net *net;
    ntk_params *p = NULL;
    ntk_status status;

    STEP(lab_mlp(ctx, 2, width, "Tanh", 1, "ntk", &net));
    ntk_train_opts_init(&o);
    o.learning_rate = eta;
    status = ntk_params_new(ctx, net, ntk_data_shape(s->x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = ntk_params_apply(p, s->x, near);
    for (int i = 0; i < TRAIN; i++)
        near[i] += 1e-3 * s->y[i];
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
    ntk_params_free(p);
    ntk_net_free(net);
    TRY(ctx, status);
    *ratio = log(before / after) / (double)span / rate;
    return EXIT_OK;
}

static int eigenvalue(ntk_ctx *ctx, const struct set *s, int width, int seeds, struct finding *f)
{
    double ratio[SEEDS];
    struct interval i;

    for (int k = 0; k < seeds; k++)
        STEP(decay(ctx, s, width, (uint64_t)k, &ratio[k]));
    i = lab_mean(seeds, ratio);
    *f = (struct finding){.theory = 1, .measured = i.mean, .low = i.low, .high = i.high};
    f->agrees = fabs(i.mean - 1) < fmax(0.2, i.high - i.mean);
    snprintf(f->quantity, sizeof f->quantity, "late decay of the loss / that of lambda_min");
    snprintf(f->says, sizeof f->says,
             "theory: late in training lambda_min = %.3g (of lambda_max = %.3g) sets the pace; "
             "measured at width "
             "%d: %.2f times it (%.2f to %.2f)",
             s->spectrum.lambda_min, s->spectrum.lambda_max, width, i.mean, i.low, i.high);
    return EXIT_OK;
}

static const char script[] =
    "set logscale xy\nset format y '%g'\nset xlabel 'multiplier s'\n"
    "set ylabel 'distance of the trained network from f_{NTK}'\n"
    "widths = '64 128 256 512 1024'\n"
    "plot for [k=0:4] 'training.csv' using ($1==k?$3:NaN):4:5:6 with yerrorlines lw 2 pt 7 ps 0.5 "
    "lc rgb word(colours, k+1) title 'width '.word(widths, k+1)\n";

int lab_training(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    static struct surface u;
    struct set s;
    struct finding findings[4];
    FILE *f = lab_table(dir, "training", "setting,width,s,error,low,high");
    int code;

    if (!f)
        return EXIT_USAGE;
    u.widths = a->quick ? 3 : WIDTHS;
    u.seeds = a->quick ? 3 : SEEDS;
    STEP(prepare(ctx, &s));
    code = fill(ctx, &s, a->quick ? 2000 : 4000, &u, f);
    STEP(lab_table_close(dir, "training", f));
    STEP(code);
    findings[0] = falls(&u, u.best, "the least error over s");
    findings[1] = falls(&u, u.best_scale, "the best s");
    findings[2] = u_shape(&u);
    STEP(eigenvalue(ctx, &s, a->quick ? 256 : 1024, u.seeds, &findings[3]));
    release(&s);
    for (int k = 0; k < 4; k++)
        note("%s", findings[k].says);
    STEP(lab_plot(dir, "training", script));
    return lab_report(a, dir, "training", findings, 4);
}
