/* SPDX-License-Identifier: MIT
 *
 * lab_tools.c - tables, plots, statistics and networks of the experiments.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

/* ---- tables */

int lab_table(const char *dir, const char *name, const char *columns, struct ntk_outfile *out)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s.csv", dir, name);
    STEP(file_open(path, out));
    fprintf(out->f, "%s\n", columns);
    return EXIT_OK;
}

int lab_table_close(const char *dir, const char *name, struct ntk_outfile *out, int code)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s.csv", dir, name);
    return file_close(path, out, code);
}

/* ---- plots */

#define STYLE                                                                              \
    "set datafile separator ','\nset border 3 lc rgb '#666666'\nset tics nomirror\n"       \
    "set grid lc rgb '#dddddd'\ncolours = \"" LAB_COLOURS "\"\n"                           \
    "set key tmargin center horizontal reverse Left samplen 2 width 1\n"                   \
    "set autoscale noextend\nset offsets graph 0.03, graph 0.03, graph 0.03, graph 0.03\n" \
    "set datafile columnheaders\n"

int lab_plot_as(const char *dir, const char *name, const char *terminal, const char *ending,
                const char *script)
{
    char file[80], picture[80], text[8000];
    bool drawn;

    snprintf(file, sizeof file, "%s.%s.gp", name, ending);
    snprintf(picture, sizeof picture, "%s.%s", name, ending);
    snprintf(text, sizeof text, "set terminal %s\n" STYLE "%s", terminal, script);
    STEP(draw_plot(dir, file, picture, text, &drawn));
    if (!drawn)
        note("no plot %s: gnuplot failed or is not installed; %s/%s and the tables are there",
             picture, dir, file);
    return EXIT_OK;
}

int lab_plot(const char *dir, const char *name, const char *script)
{
    return lab_plot_as(dir, name, "svg size 720,460 font 'sans-serif,14' background '#ffffff'",
                       "svg", script);
}

int lab_plot_pair(const char *dir, const char *name, const char *script)
{
    return lab_plot_as(dir, name, "svg size 1000,460 font 'sans-serif,14' background '#ffffff'",
                       "svg", script);
}

/* ---- statistics */

/* Student's t, 97.5 % quantile. */
static double student(int freedom)
{
    static const double t[] = {0,     12.706, 4.303, 3.182, 2.776, 2.571, 2.447,
                               2.365, 2.306,  2.262, 2.228, 2.201, 2.179, 2.160,
                               2.145, 2.131,  2.120, 2.110, 2.101, 2.093, 2.086};

    return freedom < 1 ? 0 : freedom <= 20 ? t[freedom] : 1.96 + 2.5 / freedom;
}

struct interval lab_mean(int n, const double *x)
{
    double mean = 0, squares = 0, half;

    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    half = n > 1 ? student(n - 1) * sqrt(squares / (n - 1) / n) : 0;
    return (struct interval){mean, mean - half, mean + half};
}

struct interval lab_column(int seeds, int n, int column, const double *y)
{
    double logs[100];
    const int count = seeds < 100 ? seeds : 100;
    struct interval i;

    for (int k = 0; k < count; k++)
        logs[k] = log(y[k * n + column]);
    i = lab_mean(count, logs);
    return (struct interval){exp(i.mean), exp(i.low), exp(i.high)};
}

static double slope_of(int n, const double *x, const double *y)
{
    double mx = 0, my = 0, xx = 0, xy = 0;

    for (int i = 0; i < n; i++) {
        mx += log(x[i]) / n;
        my += log(y[i]) / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (log(x[i]) - mx) * (log(x[i]) - mx);
        xy += (log(x[i]) - mx) * (log(y[i]) - my);
    }
    return xy / xx;
}

struct interval lab_slope(int n, const double *x, int seeds, const double *y)
{
    double slopes[100];
    const int count = seeds < 100 ? seeds : 100;

    for (int s = 0; s < count; s++)
        slopes[s] = slope_of(n, x, y + s * n);
    return lab_mean(count, slopes);
}

static void exponent(struct finding *f, const char *quantity, double theory, struct interval slope)
{
    f->theory = theory;
    f->measured = slope.mean;
    f->low = slope.low;
    f->high = slope.high;
    snprintf(f->quantity, sizeof f->quantity, "exponent in width of %s", quantity);
    snprintf(f->says, sizeof f->says, "%s: theory %swidth^%.3g; measured width^%.2f (%.2f to %.2f)",
             quantity, f->bound ? "at most " : "", theory, slope.mean, slope.low, slope.high);
}

void lab_found_bound(struct finding *f, const char *quantity, double bound, struct interval slope)
{
    *f = (struct finding){.bound = true, .agrees = slope.low <= bound};
    exponent(f, quantity, bound, slope);
}

void lab_found_exponent(struct finding *f, const char *quantity, double theory, double tolerance,
                        struct interval slope)
{
    *f = (struct finding){.agrees = fabs(slope.mean - theory) <=
                                    fmax(tolerance, slope.high - slope.mean)};
    exponent(f, quantity, theory, slope);
}

/* ---- networks and samples */

int lab_mlp(ntk_ctx *ctx, int depth, int width, const char *activation, int outputs,
            const char *parameterization, ntk_net **net)
{
    const double W_std = strcmp(activation, "Relu") == 0 ? sqrt(2.0) : 1;
    char text[600];

    snprintf(text, sizeof text,
             "serial(repeat(serial(Dense(%d, W_std=%.17g, b_std=0.1, parameterization='%s'), "
             "%s()), %d), "
             "Dense(%d, parameterization='%s'))",
             width, W_std, parameterization, activation, depth, outputs, parameterization);
    TRY(ctx, ntk_net_parse(ctx, text, net));
    return EXIT_OK;
}

static int all_digits(ntk_ctx *ctx, ntk_data **digits)
{
    ntk_data *raw;
    ntk_scaler *scaler;
    ntk_status status;

    TRY(ctx, ntk_data_load(ctx, "digits", NULL, &raw));
    ntk_data_flatten(raw);
    status = ntk_scaler_fit(NTK_STD_FEATURE, raw, NULL, &scaler);
    if (status == NTK_OK) {
        status = ntk_scaler_apply(scaler, raw, digits);
        ntk_scaler_free(scaler);
    }
    ntk_data_free(raw);
    TRY(ctx, status);
    return EXIT_OK;
}

int lab_digits(ntk_ctx *ctx, int64_t first, int64_t n, ntk_data **x, double *y)
{
    static ntk_data *digits; /* kept until the program ends: slices refer to it */

    if (!digits)
        STEP(all_digits(ctx, &digits));
    TRY(ctx, ntk_data_slice(digits, first, n, x));
    if (y)
        TRY(ctx, ntk_data_targets(*x, NTK_CENTERED, 10, y));
    return EXIT_OK;
}

int lab_infinite(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1,
                 const ntk_data *x2, double *k)
{
    ntk_kernel *kernel;
    ntk_status status;

    TRY(ctx, ntk_kernel_new(ctx, &net, 1, which, NTK_F64, ntk_data_shape(x1), &kernel));
    status = ntk_kernel_compute(kernel, x1, x2, (void *[]){k});
    ntk_kernel_free(kernel);
    TRY(ctx, status);
    return EXIT_OK;
}

int lab_empirical(ntk_ctx *ctx, const ntk_net *net, uint64_t seed, const ntk_data *x, double *k)
{
    ntk_params *p;
    ntk_status status;

    TRY(ctx, ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &p));
    status = ntk_params_kernel(p, NTK_NTK, NTK_TRACE, x, NULL, k);
    ntk_params_free(p);
    TRY(ctx, status);
    return EXIT_OK;
}

double lab_distance(int64_t n, const double *a, const double *b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - (b ? b[i] : 0)) * (a[i] - (b ? b[i] : 0));
    return sqrt(sum);
}

void lab_high_digits(const ntk_data *x, double *y)
{
    int64_t outputs;
    const double *labels = ntk_data_y(x, &outputs);

    for (int64_t i = 0; i < ntk_data_n(x); i++)
        y[i] = labels[i] > 4 ? 1 : -1;
}
