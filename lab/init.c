/* SPDX-License-Identifier: MIT
 *
 * init: the tangent kernel of a random network tends to the infinite one as width grows (Jacot et
 * al. 2018, Theorem 1); Arora et al. 2019, Theorem 3.1 guarantee an error of at most width^(-1/4),
 * and one expects the width^(-1/2) of a mean over units.
 */
#include <math.h>
#include <stdio.h>

#include "lab.h"

#define SAMPLES 10
#define WIDTHS  9 /* 2^4 ... 2^12 */
#define SEEDS   10

static const struct setting {
    int depth;
    const char *activation;
} settings[] = {{1, "Relu"}, {2, "Relu"}, {3, "Relu"}, {2, "Erf"}, {2, "Tanh"}};
#define SETTINGS ((int)(sizeof settings / sizeof *settings))

/* Relative errors, [seeds][widths]. */
static int measure(ntk_ctx *ctx, const struct setting *s, const ntk_data *x, int widths, int seeds,
                   double *errors)
{
    double want[SAMPLES * SAMPLES], got[SAMPLES * SAMPLES];

    for (int w = 0; w < widths; w++) {
        ntk_net *net;
        int code;

        STEP(lab_mlp(ctx, s->depth, 16 << w, s->activation, 1, "ntk", &net));
        code = lab_infinite(ctx, net, NTK_NTK, x, NULL, want);
        for (int k = 0; k < seeds && code == EXIT_OK; k++) {
            code = lab_empirical(ctx, net, (uint64_t)k, x, got);
            errors[k * widths + w] = lab_distance(SAMPLES * SAMPLES, got, want) /
                                     lab_distance(SAMPLES * SAMPLES, want, NULL);
        }
        ntk_net_free(net);
        STEP(code);
    }
    return EXIT_OK;
}

static void tabulate(FILE *f, int number, int widths, int seeds, const double *errors)
{
    const struct setting *s = &settings[number];

    for (int w = 0; w < widths; w++) {
        double at[SEEDS];
        struct interval i;

        for (int k = 0; k < seeds; k++)
            at[k] = errors[k * widths + w];
        i = lab_mean(seeds, at);
        fprintf(f, "%d,%d,%s,%d,%.6g,%.6g,%.6g\n", number, s->depth, s->activation, 16 << w, i.mean,
                i.low, i.high);
    }
}

static struct finding conclude(const struct setting *s, int widths, int seeds, const double *errors)
{
    double x[WIDTHS];
    struct interval slope;
    struct finding f = {.theory = -0.5};

    for (int w = 0; w < widths; w++)
        x[w] = 16 << w;
    slope = lab_slope(widths, x, seeds, errors);
    f.measured = slope.mean;
    f.low = slope.low;
    f.high = slope.high;
    f.agrees = slope.low <= -0.25;
    snprintf(f.quantity, sizeof f.quantity, "slope of the kernel's error in width, %d x %s",
             s->depth, s->activation);
    snprintf(f.says, sizeof f.says,
             "theory: |Theta_0 - Theta_inf| falls at least as width^-0.25, expected width^-0.5; "
             "measured with %d "
             "hidden layers of %s: width^%.2f (%.2f to %.2f)",
             s->depth, s->activation, slope.mean, slope.low, slope.high);
    return f;
}

static const char script[] =
    "set logscale xy 2\nset format y '%g'\nset xlabel 'width'\n"
    "set ylabel '|Theta_0 - Theta_inf| / |Theta_inf|' noenhanced\n"
    "names = '\"1 x Relu\" \"2 x Relu\" \"3 x Relu\" \"2 x Erf\" \"2 x Tanh\"'\n"
    "plot for [k=0:4] 'init.csv' using ($1==k?$4:NaN):5:6:7 with yerrorlines lw 2 pt 7 ps 0.5 "
    "lc rgb word(colours, k+1) title word(names, k+1), "
    "2*x**-0.5 dt 2 lc rgb '#666666' title 'width^{-1/2}', "
    "2*x**-0.25 dt 3 lc rgb '#666666' title 'width^{-1/4}'\n";

int lab_init(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 6 : WIDTHS, seeds = a->quick ? 5 : SEEDS;
    double errors[SEEDS * WIDTHS];
    struct finding findings[SETTINGS];
    FILE *f = lab_table(dir, "init", "setting,depth,activation,width,error,low,high");
    ntk_data *x;
    int code = EXIT_OK;

    if (!f)
        return EXIT_USAGE;
    STEP(lab_digits(ctx, 0, SAMPLES, &x, NULL));
    for (int k = 0; k < SETTINGS && code == EXIT_OK; k++) {
        code = measure(ctx, &settings[k], x, widths, seeds, errors);
        tabulate(f, k, widths, seeds, errors);
        findings[k] = conclude(&settings[k], widths, seeds, errors);
        note("%s", findings[k].says);
    }
    ntk_data_free(x);
    STEP(lab_table_close(dir, "init", f));
    STEP(code);
    STEP(lab_plot(dir, "init", script));
    return lab_report(a, dir, "init", findings, SETTINGS);
}
