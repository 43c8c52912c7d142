/* SPDX-License-Identifier: MIT
 *
 * learning-rate: gradient descent on the squared loss of a wide network is stable below 2 /
 * lambda_max of the tangent kernel and divergent above (Lee et al. 2019; for their eta_critical = 2
 * / (lambda_min + lambda_max) convergence is proved). Found by bisection and set beside the
 * formula. The targets are near the outputs at the start, so that the kernel stays what it is: far
 * from them networks escape divergence by lowering their lambda_max, or meet it earlier where
 * lambda_max grows (Lewkowycz et al. 2020).
 */
#include <math.h>
#include <stdio.h>

#include "lab.h"

#define TRAIN      30
#define WIDTHS     4 /* 2^7 ... 2^10 */
#define SEEDS      6
#define STEPS      150
#define BISECTIONS 14   /* of a factor of 4: to 0.01 % */
#define NEAR       1e-6 /* what diverges is seen before it has left the neighbourhood */

/* Whether the loss is below the first after STEPS steps; *ratio is the last loss / the first. */
static ntk_status stable(const ntk_params *start, const ntk_data *x, const double *y, double eta,
                         double *ratio)
{
    ntk_params *p;
    ntk_train_opts o;
    ntk_train *train = NULL;
    double first = 1, last = 1;
    ntk_status status = ntk_params_copy(start, &p);

    if (status != NTK_OK)
        return status;
    ntk_train_opts_init(&o);
    o.learning_rate = eta;
    status = ntk_train_new(p, x, y, &o, &train);
    if (status == NTK_OK)
        status = ntk_train_run(train, 1, &first);
    if (status == NTK_OK)
        status = ntk_train_run(train, STEPS, NULL);
    if (status == NTK_OK)
        status = ntk_train_run(train, 1, &last);
    *ratio = status == NTK_ENUMERIC ? 1e6 : last / first;
    ntk_train_free(train);
    ntk_params_free(p);
    return status == NTK_ENUMERIC ? NTK_OK : status; /* diverged: an answer */
}

static ntk_status bisect(const ntk_params *p, const ntk_data *x, const double *y, double formula,
                         double *eta)
{
    double low = formula / 2, high = formula * 2, ratio;

    for (int k = 0; k < BISECTIONS; k++) {
        const double middle = sqrt(low * high);
        const ntk_status status = stable(p, x, y, middle, &ratio);

        if (status != NTK_OK)
            return status;
        if (ratio < 1)
            low = middle;
        else
            high = middle;
    }
    *eta = sqrt(low * high);
    return NTK_OK;
}

/* Loss after STEPS steps against eta, for one network. */
static ntk_status curve(const ntk_params *p, const ntk_data *x, const double *y, double formula,
                        int width, FILE *f)
{
    for (int k = 0; k <= 20; k++) {
        const double factor = 0.5 + 0.05 * k;
        double ratio;
        const ntk_status status = stable(p, x, y, factor * formula, &ratio);

        if (status != NTK_OK)
            return status;
        fprintf(f, "%d,%.6g,%.6g\n", width, factor, ratio);
    }
    return NTK_OK;
}

/* Smallest eigenvalue of k [TRAIN][TRAIN], by power iteration on lambda_max - k. */
static double smallest(const double *k, double lambda_max)
{
    double v[TRAIN], w[TRAIN], norm = 1;

    for (int i = 0; i < TRAIN; i++)
        v[i] = 1 + 0.1 * i;
    for (int step = 0; step < 10000; step++) {
        for (int i = 0; i < TRAIN; i++) {
            w[i] = lambda_max * v[i];
            for (int j = 0; j < TRAIN; j++)
                w[i] -= k[i * TRAIN + j] * v[j];
        }
        norm = lab_distance(TRAIN, w, NULL);
        for (int i = 0; i < TRAIN; i++)
            v[i] = w[i] / norm;
    }
    return lambda_max - norm;
}

/* The largest stable rate and Lee's eta_critical, both over 2 / lambda_max. */
struct rates {
    double stable, lee;
};

static ntk_status search(ntk_params *p, int width, const ntk_data *x, const double *y, FILE *f,
                         struct rates *r)
{
    double lambda, eta, near[TRAIN], k[TRAIN * TRAIN];
    ntk_status status = ntk_params_apply(p, x, near);

    for (int i = 0; i < TRAIN; i++)
        near[i] += NEAR * y[i];
    if (status == NTK_OK)
        status = ntk_params_lambda_max(p, x, &lambda);
    if (status == NTK_OK)
        status = ntk_params_kernel(p, NTK_NTK, NTK_TRACE, x, NULL, k);
    if (status == NTK_OK)
        status = bisect(p, x, near, 2 / lambda, &eta);
    if (status == NTK_OK && f)
        status = curve(p, x, near, 2 / lambda, width, f);
    if (status == NTK_OK)
        *r = (struct rates){eta * lambda / 2, lambda / (lambda + smallest(k, lambda))};
    return status;
}

static int measure(ntk_ctx *ctx, int width, uint64_t seed, const ntk_data *x, const double *y,
                   FILE *f, struct rates *r)
{
    ntk_net *net;
    ntk_params *p = NULL;
    ntk_status status;

    STEP(lab_mlp(ctx, 2, width, "Tanh", 1, "ntk", &net));
    status = ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = search(p, width, x, y, f, r);
    ntk_params_free(p);
    ntk_net_free(net);
    TRY(ctx, status);
    return EXIT_OK;
}

static void conclude(int width, int seeds, const struct rates *r, FILE *f, struct finding *found)
{
    double stable[SEEDS], lee = 0;
    struct interval i;

    for (int k = 0; k < seeds; k++) {
        stable[k] = r[k].stable;
        lee += r[k].lee / seeds;
    }
    i = lab_mean(seeds, stable);
    fprintf(f, "%d,%.6g,%.6g,%.6g,%.6g\n", width, i.mean, i.low, i.high, lee);
    *found = (struct finding){.theory = 1, .measured = i.mean, .low = i.low, .high = i.high};
    found->agrees = fabs(i.mean - 1) < 0.05;
    snprintf(found->quantity, sizeof found->quantity,
             "largest stable learning rate / (2 / lambda_max), width %d", width);
    snprintf(found->says, sizeof found->says,
             "width %d: theory stable up to 2 / lambda_max, and proved to converge below 2 / "
             "(lambda_min + "
             "lambda_max), %.3f times that; measured up to %.3f times (%.3f to %.3f)",
             width, lee, i.mean, i.low, i.high);
    note("%s", found->says);
}

static const char script[] =
    "set multiplot layout 1,2\nset logscale y\nset format y '10^{%T}'\n"
    "set xlabel 'learning rate / (2 / λ_{max})'\nset key maxrows 1\n"
    "set ylabel 'loss after 150 steps / loss before'\nset arrow from 1, graph 0 to 1, graph 1 "
    "nohead dt 2 lw 2 "
    "lc rgb '#666666'\nset label '2 / λ_{max}' at 0.98, graph 0.9 right tc rgb '#666666'\n"
    "set label 'diverged: stopped' at 1.5, graph 0.92 right tc rgb '#666666'\n"
    "stats 'learning_rate_found.csv' using 1 nooutput\n"
    "plot for [k=0:STATS_records-1] 'learning_rate.csv' using ($1==128*2**k?$2:NaN):3 with "
    "linespoints lw "
    "2 pt 7 ps 0.5 lc rgb word(colours, k+1) title sprintf('width %d', 128*2**k)\n"
    "unset arrow\nunset label\nunset logscale y\nset logscale x 2\nset format y '%g'\nset xlabel "
    "'width'\n"
    "set ylabel 'largest stable learning rate / (2 / λ_{max})'\nset yrange [0.9:1.1]\n"
    "plot 'learning_rate_found.csv' using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.5 lc rgb "
    "word(colours, 1) "
    "title 'measured', 1 dt 2 lw 2 lc rgb '#666666' title '2 / λ_{max}', "
    "'' using 1:5 with lines dt 3 lw 3 lc rgb word(colours, 2) title '2 / (λ_{min} + λ_{max})'\n"
    "unset multiplot\n";

int lab_learning_rate(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 1 : WIDTHS, seeds = a->quick ? 3 : SEEDS;
    struct finding findings[WIDTHS];
    struct rates r[SEEDS];
    double y[TRAIN];
    struct ntk_outfile table, found = {.fd = -1, .folder = -1};
    ntk_data *x;
    int code;

    STEP(lab_digits(ctx, 0, TRAIN, &x, NULL));
    lab_high_digits(x, y);
    code = lab_table(dir, "learning_rate", "width,factor,loss", &table);
    if (code == EXIT_OK)
        code = lab_table(dir, "learning_rate_found", "width,stable,low,high,lee", &found);
    for (int w = 0; w < widths && code == EXIT_OK; w++) {
        for (int k = 0; k < seeds && code == EXIT_OK; k++)
            code = measure(ctx, 128 << w, (uint64_t)k, x, y, k == 0 ? table.f : NULL, &r[k]);
        if (code == EXIT_OK)
            conclude(128 << w, seeds, r, found.f, &findings[w]);
    }
    ntk_data_free(x);
    code = lab_table_close(dir, "learning_rate", &table, code);
    STEP(lab_table_close(dir, "learning_rate_found", &found, code));
    STEP(lab_plot_pair(dir, "learning_rate", script));
    return lab_report(a, dir, "learning_rate", findings, (size_t)widths);
}
