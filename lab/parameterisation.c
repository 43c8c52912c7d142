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
    out[0] = 0;
    for (int i = 0; i < SAMPLES; i++)
        out[0] += k[i * SAMPLES + i] / SAMPLES;
    out[1] = 2 / lambda;
    return EXIT_OK;
}

static struct finding conclude(int kind, int quantity, int widths, int seeds, const double *values)
{
    static const double theory[2][2] = {{0, 0}, {1, -1}};
    static const char *const what[] = {"Theta_0(x, x)", "largest stable learning rate"};
    double x[WIDTHS];
    struct interval s;
    struct finding f = {.theory = theory[kind][quantity]};

    for (int w = 0; w < widths; w++)
        x[w] = 16 << w;
    s = lab_slope(widths, x, seeds, values);
    f.measured = s.mean;
    f.low = s.low;
    f.high = s.high;
    f.agrees = fabs(s.mean - f.theory) <= fmax(0.1, s.high - s.low);
    snprintf(f.quantity, sizeof f.quantity, "slope of the %s in width, %s", what[quantity],
             kinds[kind]);
    snprintf(f.says, sizeof f.says,
             "theory: in '%s' parameterisation the %s goes as width^%g; measured: width^%.3f (%.3f "
             "to %.3f)",
             kinds[kind], what[quantity], f.theory, s.mean, s.low, s.high);
    return f;
}

static int run(ntk_ctx *ctx, const ntk_data *x, FILE *f, int widths, int seeds,
               struct finding *findings)
{
    double values[2][SEEDS * WIDTHS];

    for (int kind = 0; kind < 2; kind++) {
        for (int w = 0; w < widths; w++) {
            double at[2][SEEDS];
            struct interval theta;

            for (int k = 0; k < seeds; k++) {
                double out[2] = {0, 0};

                STEP(measure(ctx, kind, 16 << w, (uint64_t)k, x, out));
                for (int q = 0; q < 2; q++)
                    values[q][k * widths + w] = at[q][k] = out[q];
            }
            theta = lab_mean(seeds, at[0]);
            fprintf(f, "%d,%s,%d,%.6g,%.6g,%.6g,%.6g\n", kind, kinds[kind], 16 << w, theta.mean,
                    theta.low, theta.high, lab_mean(seeds, at[1]).mean);
        }
        for (int q = 0; q < 2; q++) {
            findings[2 * kind + q] = conclude(kind, q, widths, seeds, values[q]);
            note("%s", findings[2 * kind + q].says);
        }
    }
    return EXIT_OK;
}

static const char script[] = "set logscale xy 2\nset format y '%g'\nset xlabel 'width'\n"
                             "set ylabel 'mean of Theta_0(x, x)' noenhanced\n"
                             "plot for [k=0:1] 'parameterisation.csv' using ($1==k?$3:NaN):4:5:6 "
                             "with yerrorlines lw 2 pt 7 ps 0.5 "
                             "lc rgb word(colours, k+1) title word('NTK standard', k+1), "
                             "x dt 2 lc rgb '#666666' title 'proportional to width'\n";

int lab_parameterisation(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 6 : WIDTHS, seeds = a->quick ? 5 : SEEDS;
    struct finding findings[4];
    FILE *f = lab_table(dir, "parameterisation", "setting,kind,width,theta,low,high,learning_rate");
    ntk_data *x;
    int code;

    if (!f)
        return EXIT_USAGE;
    STEP(lab_digits(ctx, 0, SAMPLES, &x, NULL));
    code = run(ctx, x, f, widths, seeds, findings);
    ntk_data_free(x);
    STEP(lab_table_close(dir, "parameterisation", f));
    STEP(code);
    STEP(lab_plot(dir, "parameterisation", script));
    return lab_report(a, dir, "parameterisation", findings, 4);
}
