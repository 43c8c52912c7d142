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
#define BISECTIONS 12
#define NEAR       1e-3

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
    double low = formula / 4, high = formula * 4, ratio;

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
    for (double factor = 0.25; factor < 2; factor *= pow(2, 0.125)) {
        double ratio;
        const ntk_status status = stable(p, x, y, factor * formula, &ratio);

        if (status != NTK_OK)
            return status;
        fprintf(f, "%d,%.6g,%.6g\n", width, factor, ratio);
    }
    return NTK_OK;
}

static int measure(ntk_ctx *ctx, int width, uint64_t seed, const ntk_data *x, const double *y,
                   FILE *f, double *ratio)
{
    ntk_net *net;
    ntk_params *p = NULL;
    double lambda, eta, near[TRAIN];
    ntk_status status;

    STEP(lab_mlp(ctx, 2, width, "Tanh", 1, "ntk", &net));
    status = ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = ntk_params_apply(p, x, near);
    for (int i = 0; i < TRAIN; i++)
        near[i] += NEAR * y[i];
    if (status == NTK_OK)
        status = ntk_params_lambda_max(p, x, &lambda);
    if (status == NTK_OK)
        status = bisect(p, x, near, 2 / lambda, &eta);
    if (status == NTK_OK && f)
        status = curve(p, x, near, 2 / lambda, width, f);
    ntk_params_free(p);
    ntk_net_free(net);
    TRY(ctx, status);
    *ratio = eta * lambda / 2;
    return EXIT_OK;
}

static struct finding conclude(int width, int seeds, const double *ratios)
{
    const struct interval i = lab_mean(seeds, ratios);
    struct finding f = {.theory = 1, .measured = i.mean, .low = i.low, .high = i.high};

    f.agrees = fabs(i.mean - 1) < 0.05;
    snprintf(f.quantity, sizeof f.quantity,
             "largest stable learning rate * lambda_max / 2, width %d", width);
    snprintf(f.says, sizeof f.says,
             "theory: gradient descent is stable up to 2 / lambda_max; measured at width %d: up to "
             "%.3f times that "
             "(%.3f to %.3f)",
             width, i.mean, i.low, i.high);
    return f;
}

static const char script[] =
    "set logscale xy\nset format y '10^{%T}'\nset xlabel 'learning rate / (2 / λ_{max})'\n"
    "set ylabel 'loss after 150 steps / loss at the start'\nset arrow from 1, graph 0 to 1, graph "
    "1 nohead dt 2 "
    "lc rgb '#666666'\nwidths = '128 256 512 1024'\n"
    "plot for [k=1:4] 'learning_rate.csv' using ($1==word(widths, k)?$2:NaN):3 with linespoints lw "
    "2 pt 7 ps 0.5 "
    "lc rgb word(colours, k) title 'width '.word(widths, k)\n";

int lab_learning_rate(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 2 : WIDTHS, seeds = a->quick ? 3 : SEEDS;
    struct finding findings[WIDTHS];
    double ratios[SEEDS], y[TRAIN];
    FILE *f = lab_table(dir, "learning_rate", "width,factor,loss");
    ntk_data *x;
    int code = EXIT_OK;

    if (!f)
        return EXIT_USAGE;
    STEP(lab_digits(ctx, 0, TRAIN, &x, NULL));
    lab_high_digits(x, y);
    for (int w = 0; w < widths && code == EXIT_OK; w++) {
        for (int k = 0; k < seeds && code == EXIT_OK; k++)
            code = measure(ctx, 128 << w, (uint64_t)k, x, y, k == 0 ? f : NULL, &ratios[k]);
        findings[w] = conclude(128 << w, seeds, ratios);
        note("%s", findings[w].says);
    }
    ntk_data_free(x);
    STEP(lab_table_close(dir, "learning_rate", f));
    STEP(code);
    STEP(lab_plot(dir, "learning_rate", script));
    return lab_report(a, dir, "learning_rate", findings, (size_t)widths);
}
