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
        const struct interval i = lab_column(seeds, widths, w, errors);

        fprintf(f, "%d,%d,%s,%d,%.6g,%.6g,%.6g\n", number, s->depth, s->activation, 16 << w, i.mean,
                i.low, i.high);
    }
}

static void conclude(const struct setting *s, int widths, int seeds, const double *errors,
                     struct finding *f)
{
    char what[80];
    double x[WIDTHS];

    for (int w = 0; w < widths; w++)
        x[w] = 16 << w;
    snprintf(what, sizeof what, "|Theta_0 - Theta_inf|, %d x %s", s->depth, s->activation);
    lab_found_bound(f, what, -0.25, lab_slope(widths, x, seeds, errors));
}

static const char script[] =
    "set logscale xy 2\nset format y '%g'\nset xlabel 'width'\nset key maxrows 2 width 1\n"
    "set ylabel '|Θ_0 - Θ_∞| / |Θ_∞|'\n"
    "names = '\"1 x Relu\" \"2 x Relu\" \"3 x Relu\" \"2 x Erf\" \"2 x Tanh\"'\n"
    "plot for [k=0:4] 'init.csv' using ($1==k?$4*1.03**(k-2):NaN):5:6:7 with yerrorlines lw 2 pt 7 "
    "ps 0.5 "
    "lc rgb word(colours, k+1) title word(names, k+1), "
    "2.5*x**-0.5 dt 2 lw 2 lc rgb '#666666' title 'width^{-1/2}', "
    "2.5*x**-0.25 dt 3 lw 2 lc rgb '#666666' title 'width^{-1/4}'\n";

int lab_init(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 6 : WIDTHS, seeds = a->quick ? 5 : SEEDS;
    double errors[SEEDS * WIDTHS];
    struct finding findings[SETTINGS];
    struct ntk_outfile table;
    ntk_data *x;
    int code;

    STEP(lab_digits(ctx, 0, SAMPLES, &x, NULL));
    code = lab_table(dir, "init", "setting,depth,activation,width,error,low,high", &table);
    for (int k = 0; k < SETTINGS && code == EXIT_OK; k++) {
        code = measure(ctx, &settings[k], x, widths, seeds, errors);
        if (code != EXIT_OK)
            break;
        tabulate(table.f, k, widths, seeds, errors);
        conclude(&settings[k], widths, seeds, errors, &findings[k]);
        note("%s", findings[k].says);
    }
    ntk_data_free(x);
    STEP(lab_table_close(dir, "init", &table, code));
    STEP(lab_plot(dir, "init", script));
    return lab_report(a, dir, "init", findings, SETTINGS);
}
