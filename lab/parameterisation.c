/* SPDX-License-Identifier: MIT
 *
 * parameterisation: in the NTK parameterisation the tangent kernel converges as width grows, in the
 * naive standard one it grows like the width, and the largest stable learning rate falls like its
 * inverse (Sohl-Dickstein et al. 2020).
 */
#include <math.h>
#include <stdio.h>

#include "lab.h"

#define SAMPLES 10
#define WIDTHS  8 /* 2^4 ... 2^11 */
#define SEEDS   10

static const char *const kinds[] = {"ntk", "standard"};

static double mean_diagonal(const double *k)
{
    double sum = 0;

    for (int i = 0; i < SAMPLES; i++)
        sum += k[i * SAMPLES + i] / SAMPLES;
    return sum;
}

/* Mean diagonal entry of Theta_0, and the largest stable learning rate of the summed squared loss.
 */
static int measure(ntk_ctx *ctx, int kind, int width, uint64_t seed, const ntk_data *x,
                   double out[2])
{
    ntk_net *net;
    ntk_params *p = NULL;
    double k[SAMPLES * SAMPLES], lambda = 1;
    ntk_status status;

    STEP(lab_mlp(ctx, 2, width, "Relu", 1, kinds[kind], &net));
    status = ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = ntk_params_kernel(p, NTK_NTK, NTK_TRACE, x, NULL, k);
    if (status == NTK_OK)
        status = ntk_params_lambda_max(p, x, &lambda);
    ntk_params_free(p);
    ntk_net_free(net);
    TRY(ctx, status);
    out[0] = mean_diagonal(k);
    out[1] = 2 / lambda;
    return EXIT_OK;
}

/* Of the infinite network: that of the standard parameterisation has widths in its formula, N Sigma
 * + W_std^2 Theta (Sohl-Dickstein et al. 2020). */
static int formula(ntk_ctx *ctx, int kind, int width, const ntk_data *x, double out[2])
{
    ntk_fit_opts o;
    ntk_net *net;
    ntk_model *model;
    ntk_spectrum spectrum;
    ntk_status status;
    double k[SAMPLES * SAMPLES], y[SAMPLES] = {0};
    int code;

    STEP(lab_mlp(ctx, 2, width, "Relu", 1, kinds[kind], &net));
    ntk_fit_opts_init(&o);
    ntk_spectrum_init(&spectrum);
    code = lab_infinite(ctx, net, NTK_NTK, x, NULL, k);
    status = ntk_model_fit(ctx, net, x, y, 1, &o, &model);
    ntk_net_free(net);
    TRY(ctx, status);
    status = ntk_model_spectrum(model, &spectrum);
    ntk_model_free(model);
    TRY(ctx, status);
    STEP(code);
    out[0] = mean_diagonal(k);
    out[1] = 2 / spectrum.lambda_max;
    return EXIT_OK;
}

/* Theory's exponent is that of the formula over the same widths: in the standard parameterisation a
 * part of the kernel does not grow, and the exponent tends to 1. */
static void conclude(int kind, int quantity, int widths, int seeds, const double *values,
                     const double *theory, struct finding *f)
{
    static const char *const what[] = {"Theta_0(x, x)", "the largest stable learning rate"};
    double x[WIDTHS];
    char name[80];

    for (int w = 0; w < widths; w++)
        x[w] = 16 << w;
    snprintf(name, sizeof name, "%s, %s", what[quantity], kinds[kind]);
    lab_found_exponent(f, name, lab_slope(widths, x, 1, theory).mean, 0.1,
                       lab_slope(widths, x, seeds, values));
    note("%s", f->says);
}

static int run(ntk_ctx *ctx, int kind, const ntk_data *x, FILE *f, int widths, int seeds,
               struct finding *findings)
{
    double values[2][SEEDS * WIDTHS], theory[2][WIDTHS], out[2] = {0, 0};

    for (int w = 0; w < widths; w++) {
        STEP(formula(ctx, kind, 16 << w, x, out));
        for (int q = 0; q < 2; q++)
            theory[q][w] = out[q];
        for (int k = 0; k < seeds; k++) {
            STEP(measure(ctx, kind, 16 << w, (uint64_t)k, x, out));
            for (int q = 0; q < 2; q++)
                values[q][k * widths + w] = out[q];
        }
        fprintf(f, "%d,%s,%d", kind, kinds[kind], 16 << w);
        for (int q = 0; q < 2; q++) {
            const struct interval i = lab_column(seeds, widths, w, values[q]);

            fprintf(f, ",%.6g,%.6g,%.6g,%.6g", i.mean, i.low, i.high, theory[q][w]);
        }
        fprintf(f, "\n");
    }
    for (int q = 0; q < 2; q++)
        conclude(kind, q, widths, seeds, values[q], theory[q], &findings[q]);
    return EXIT_OK;
}

static const char script[] =
    "set logscale xy 2\nset format y '%g'\nset xlabel 'width'\nset multiplot layout 1,2\n"
    "names = '\"mean of Θ_0(x, x)\" \"largest stable learning rate\"'\n"
    "do for [q=0:1] {\nif (q) {set logscale y 10; set format y '10^{%T}'}\nset ylabel word(names, "
    "q+1)\n"
    "plot for [k=0:1] 'parameterisation.csv' using "
    "($1==k?$3:NaN):(column(4+4*q)):(column(5+4*q)):(column(6+4*q)) "
    "with yerrorlines lw 2 pt 7 ps 0.5 lc rgb word(colours, k+1) title word('NTK standard', k+1), "
    "for [k=0:1] '' using ($1==k?$3:NaN):(column(7+4*q)) with lines dt 2 lw 2 lc rgb '#666666' "
    "title (k ? '' : 'infinite kernel')\n}\nunset multiplot\n";

int lab_parameterisation(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 6 : WIDTHS, seeds = a->quick ? 5 : SEEDS;
    struct finding findings[4];
    struct ntk_outfile table;
    ntk_data *x;
    int code;

    STEP(lab_digits(ctx, 0, SAMPLES, &x, NULL));
    code = lab_table(dir, "parameterisation",
                     "setting,kind,width,theta,theta_low,theta_high,theta_inf,rate,rate_low,"
                     "rate_high,rate_inf",
                     &table);
    for (int kind = 0; kind < 2 && code == EXIT_OK; kind++)
        code = run(ctx, kind, x, table.f, widths, seeds, findings + 2 * kind);
    ntk_data_free(x);
    STEP(lab_table_close(dir, "parameterisation", &table, code));
    STEP(lab_plot_pair(dir, "parameterisation", script));
    return lab_report(a, dir, "parameterisation", findings, 4);
}
