/* SPDX-License-Identifier: MIT
 *
 * demo_plots.c - the demo's plots: data as .tsv, a gnuplot script each, and SVG where gnuplot is.
 */
#include <math.h>
#include <stdlib.h>

#include "demo.h"

#define NET "serial(repeat(serial(Dense(512, W_std=2**0.5, b_std=0.1), Relu()), 3), Dense(1))"

/* Colours that colour-blind readers tell apart (Okabe and Ito 2008). */
#define BLUE   "#0072b2"
#define ORANGE "#d55e00"
#define GREY   "#666666"

#define STYLE                                                                      \
    "set terminal svg size 720,440 font 'sans-serif,14' background '#ffffff'\n"    \
    "set border 3 lc rgb '" GREY "'\nset tics nomirror\nset grid lc rgb '#dddddd'\n"

/* Writes NAME.gp and NAME.svg. */
static int plot(const struct demo *d, const char *name, const char *script)
{
    char file[64], picture[64], text[8000];
    bool drawn;

    snprintf(file, sizeof file, "%s.gp", name);
    snprintf(picture, sizeof picture, "%s.svg", name);
    snprintf(text, sizeof text, STYLE "%s", script);
    STEP(draw_plot(d->dir, file, picture, text, &drawn));
    if (!drawn)
        note("no gnuplot: %s/%s.tsv has the data of %s.svg", d->dir, name, name);
    return EXIT_OK;
}

static int fit(ntk_ctx *ctx, const struct demo *d, ntk_posterior posterior, ntk_model **model)
{
    ntk_fit_opts o;
    ntk_net *net;
    ntk_status status;

    ntk_fit_opts_init(&o);
    o.posterior = posterior;
    o.finite_time = 1;
    TRY(ctx, ntk_net_parse(ctx, NET, &net));
    status = ntk_model_fit(ctx, net, d->train, d->y, DIGITS, &o, model);
    ntk_net_free(net);
    TRY(ctx, status);
    return EXIT_OK;
}

/* ---- eigenvalues of both kernel matrices */

static int write_spectrum(const struct demo *d, const double *nngp, const double *ntk)
{
    struct ntk_outfile out;

    STEP(demo_open(d, "spectrum.tsv", &out));
    fprintf(out.f, "# number\tNNGP\tNTK\n");
    for (int64_t i = 0; i < d->n; i++)
        fprintf(out.f, "%lld\t%.6g\t%.6g\n", (long long)(i + 1), nngp[d->n - 1 - i], ntk[d->n - 1 - i]);
    STEP(demo_close(d, "spectrum.tsv", &out, EXIT_OK));
    return plot(d, "spectrum",
                "set title 'Eigenvalues of the kernel matrices, Relu, 3 hidden layers'\n"
                "set xlabel 'number of the eigenvalue, largest first'\nset ylabel 'eigenvalue'\n"
                "set logscale xy\nset xrange [1:2000]\nset format y '10^{%L}'\n"
                "plot 'spectrum.tsv' using 1:3 with lines lw 2.5 lc rgb '" ORANGE "' title 'NTK', \\\n"
                "     '' using 1:2 with lines lw 2.5 lc rgb '" BLUE "' title 'NNGP'\n");
}

/* ---- test error over training time */

#define TIMES 61

static double test_error(const struct demo *d, const double *f)
{
    return 100 * (1 - accuracy(d->test, f, d->m, DIGITS));
}

static int write_errors(const struct demo *d, const double *times, const double *nngp,
                        const double *ntk)
{
    const size_t each = (size_t)d->m * DIGITS;
    struct ntk_outfile out;

    STEP(demo_open(d, "test_error.tsv", &out));
    fprintf(out.f, "# t\tNNGP test error %%\tNTK test error %%\n");
    for (size_t k = 0; k < TIMES; k++)
        fprintf(out.f, "%.6g\t%.3f\t%.3f\n", times[k], test_error(d, nngp + k * each),
                test_error(d, ntk + k * each));
    STEP(demo_close(d, "test_error.tsv", &out, EXIT_OK));
    return plot(d, "test_error",
                "set title 'Test error while an infinitely wide network trains on the digits'\n"
                "set xlabel 'training time t (gradient flow on the summed squared loss)'\n"
                "set ylabel 'test error, %'\nset logscale xy\nset format x '10^{%L}'\n"
                "plot 'test_error.tsv' using 1:3 with lines lw 2.5 lc rgb '" ORANGE
                "' title 'all layers train (NTK)', \\\n"
                "     '' using 1:2 with lines lw 2.5 lc rgb '" BLUE
                "' title 'the last layer trains (NNGP)'\n");
}

/* Both plots of the digits need the same two decompositions. */
static int digits_plots(ntk_ctx *ctx, const struct demo *d)
{
    const size_t each = (size_t)d->m * DIGITS;
    double times[TIMES], *test = malloc(2 * TIMES * each * sizeof *test);
    double *values = malloc(2 * (size_t)d->n * sizeof *values);
    int code = test && values ? EXIT_OK : usage("no memory");

    for (int k = 0; k < TIMES; k++)
        times[k] = pow(10, -4 + 8.0 * k / (TIMES - 1));
    for (int kind = 0; kind < 2 && code == EXIT_OK; kind++) {
        ntk_model *model;
        ntk_status status;

        code = fit(ctx, d, kind ? NTK_POSTERIOR_NTK : NTK_POSTERIOR_NNGP, &model);
        if (code != EXIT_OK)
            break;
        status = ntk_model_eigenvalues(model, values + kind * d->n);
        if (status == NTK_OK)
            status = ntk_model_dynamics(model, times, TIMES, NULL, d->test, NULL, NULL,
                                        test + (size_t)kind * TIMES * each, NULL);
        ntk_model_free(model);
        if (status != NTK_OK)
            code = fail(ctx, status);
    }
    if (code == EXIT_OK)
        code = write_spectrum(d, values, values + d->n);
    if (code == EXIT_OK)
        code = write_errors(d, times, test, test + TIMES * each);
    free(test);
    free(values);
    return code;
}

/* ---- a function of one variable with uncertainty bands */

#define POINTS 8
#define GRID   201

static const double toy_x[POINTS] = {-0.9, -0.72, -0.55, -0.3, -0.16, 0.2, 0.36, 0.5};

static double truth(double x) { return sin(4 * x) + x; }

/* [x, 1]: the kernel sees differences of position as well as directions. */
static ntk_status lift(ntk_ctx *ctx, const double *x, int64_t n, double *lifted, ntk_data **data)
{
    const ntk_shape shape = {0, 1, 1, 2};

    for (int64_t i = 0; i < n; i++) {
        lifted[2 * i] = 4 * x[i];
        lifted[2 * i + 1] = 1;
    }
    return ntk_data_view(ctx, lifted, NTK_F64, n, shape, data);
}

static ntk_status toy_posterior(ntk_ctx *ctx, ntk_posterior posterior, const ntk_data *train,
                                const ntk_data *grid, double *mean, double *var)
{
    double y[POINTS];
    ntk_fit_opts o;
    ntk_net *net;
    ntk_model *model;
    ntk_status status;

    for (int i = 0; i < POINTS; i++)
        y[i] = truth(toy_x[i]);
    ntk_fit_opts_init(&o);
    o.posterior = posterior;
    o.covariance = 1;
    o.diag_reg = 1e-4;
    status = ntk_net_parse(
        ctx, "serial(repeat(serial(Dense(512, W_std=1.5, b_std=0.5), Erf()), 2), Dense(1, W_std=1.5))",
        &net);
    if (status != NTK_OK)
        return status;
    status = ntk_model_fit(ctx, net, train, y, 1, &o, &model);
    ntk_net_free(net);
    if (status != NTK_OK)
        return status;
    status = ntk_model_predict(model, grid, mean, var);
    ntk_model_free(model);
    return status;
}

static int write_uncertainty(const struct demo *d, const double *x, double mean[2][GRID],
                             double var[2][GRID])
{
    struct ntk_outfile out;

    STEP(demo_open(d, "uncertainty.tsv", &out));
    fprintf(out.f, "# x\ttruth\tNNGP mean\tstd\tNTK mean\tstd\n");
    for (int i = 0; i < GRID; i++)
        fprintf(out.f, "%.4f\t%.5f\t%.5f\t%.5f\t%.5f\t%.5f\n", x[i], truth(x[i]), mean[0][i],
                sqrt(fmax(var[0][i], 0)), mean[1][i], sqrt(fmax(var[1][i], 0)));
    fprintf(out.f, "\n\n# the data\n");
    for (int i = 0; i < POINTS; i++)
        fprintf(out.f, "%.4f\t%.5f\n", toy_x[i], truth(toy_x[i]));
    STEP(demo_close(d, "uncertainty.tsv", &out, EXIT_OK));
    return plot(d, "uncertainty",
                "set terminal svg size 960,440\nset multiplot layout 1,2 title "
                "'Predictions from 8 points, with bands of two standard deviations'\n"
                "set xlabel 'x'\nset ylabel 'f(x)'\nset yrange [-3:3]\nset key bottom right\n"
                "band(m, s) = m + 2 * s\n"
                "set title 'Bayesian network (NNGP posterior)'\n"
                "plot 'uncertainty.tsv' index 0 using 1:(band($3, $4)):(band($3, -$4)) with "
                "filledcurves lc rgb '" BLUE "' fs transparent solid 0.2 notitle, \\\n"
                "     '' index 0 using 1:2 with lines dt 2 lw 1.5 lc rgb '" GREY "' title 'truth', \\\n"
                "     '' index 0 using 1:3 with lines lw 2.5 lc rgb '" BLUE "' title 'mean', \\\n"
                "     '' index 1 using 1:2 with points pt 7 ps 0.7 lc rgb 'black' title 'data'\n"
                "set title 'Ensemble of trained networks (NTK)'\n"
                "plot 'uncertainty.tsv' index 0 using 1:(band($5, $6)):(band($5, -$6)) with "
                "filledcurves lc rgb '" ORANGE "' fs transparent solid 0.2 notitle, \\\n"
                "     '' index 0 using 1:2 with lines dt 2 lw 1.5 lc rgb '" GREY "' title 'truth', \\\n"
                "     '' index 0 using 1:5 with lines lw 2.5 lc rgb '" ORANGE "' title 'mean', \\\n"
                "     '' index 1 using 1:2 with points pt 7 ps 0.7 lc rgb 'black' title 'data'\n"
                "unset multiplot\n");
}

static int uncertainty_plot(ntk_ctx *ctx, const struct demo *d)
{
    double x[GRID], lifted[2 * GRID], lifted_train[2 * POINTS], mean[2][GRID], var[2][GRID];
    ntk_data *train = NULL, *grid = NULL;
    ntk_status status;

    for (int i = 0; i < GRID; i++)
        x[i] = -1 + 2.0 * i / (GRID - 1);
    status = lift(ctx, toy_x, POINTS, lifted_train, &train);
    if (status == NTK_OK)
        status = lift(ctx, x, GRID, lifted, &grid);
    if (status == NTK_OK)
        status = toy_posterior(ctx, NTK_POSTERIOR_NNGP, train, grid, mean[0], var[0]);
    if (status == NTK_OK)
        status = toy_posterior(ctx, NTK_POSTERIOR_NTK, train, grid, mean[1], var[1]);
    ntk_data_free(train);
    ntk_data_free(grid);
    TRY(ctx, status);
    return write_uncertainty(d, x, mean, var);
}

int demo_plots(ntk_ctx *ctx, const struct demo *d)
{
    STEP(digits_plots(ctx, d));
    return uncertainty_plot(ctx, d);
}
