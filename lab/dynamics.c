/* SPDX-License-Identifier: MIT
 *
 * dynamics: outputs of a wide network over time beside theory. Squared loss: its linearisation
 * f_lin, trained by the same steps (Lee et al. 2019, Theorem 2.1), and the closed form of the
 * infinitely wide network from the same f_0, f_0 - Theta(x, X) Theta^-1 (1 - exp(-Theta t)) (f_0 -
 * y). Cross-entropy: the flow df/dt = -Theta_0 (softmax(f) - y), integrated. One step of gradient
 * descent is the time eta.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define TRAIN 20
#define TEST  4
#define ALL   (TRAIN + TEST)
#define C     10
#define TIMES 24
#define SEEDS 4
#define STEPS 2000

struct course {
    double times[TIMES]; /* of the records */
    int64_t steps[TIMES];
    double network[TIMES][ALL * C];
    double theory[TIMES][ALL * C]; /* f_lin, or the flow of the cross-entropy */
    double closed[TIMES][ALL * C]; /* squared loss: infinite width */
    double eta;
};

/* The network's outputs, at steps that grow geometrically. */
static ntk_status follow(ntk_params *p, const ntk_data *x, const ntk_data *all, const double *y,
                         ntk_loss loss, struct course *c)
{
    ntk_train_opts o;
    ntk_train *train;
    ntk_status status;

    ntk_train_opts_init(&o);
    o.loss = loss;
    o.fraction = 0.05; /* steps that are small against all time scales */
    status = ntk_train_new(p, x, y, &o, &train);
    if (status != NTK_OK)
        return status;
    c->eta = ntk_train_learning_rate(train);
    for (int k = 0; k < TIMES && status == NTK_OK; k++) {
        c->steps[k] = (int64_t)pow(STEPS, (k + 1.0) / TIMES);
        c->times[k] = (double)c->steps[k] * c->eta;
        status = ntk_train_run(train, c->steps[k] - ntk_train_step(train), NULL);
        if (status == NTK_OK)
            status = ntk_params_apply(p, all, c->network[k]);
    }
    ntk_train_free(train);
    return status;
}

/* Rows and columns of a kernel [ALL][ALL][C][C]: those of the first TRAIN, or of the others by
 * them. */
static void split(const double *k, double *train, double *test)
{
    for (int i = 0; i < ALL; i++)
        memcpy(i < TRAIN ? train + (size_t)i * TRAIN * C * C
                         : test + (size_t)(i - TRAIN) * TRAIN * C * C,
               k + (size_t)i * ALL * C * C, (size_t)TRAIN * C * C * sizeof *k);
}

/* Flow of the cross-entropy by the network's own kernel at the start. */
static ntk_status flow(ntk_ctx *ctx, const double *k, const double *f0, const double *y,
                       struct course *c)
{
    static double k_train[TRAIN * TRAIN * C * C], k_test[TEST * TRAIN * C * C];
    static double train[TIMES * TRAIN * C], test[TIMES * TEST * C];
    ntk_flow_opts o;
    ntk_status status;

    split(k, k_train, k_test);
    ntk_flow_opts_init(&o);
    o.loss = NTK_LOSS_XENT;
    o.blocks = 1;
    status = ntk_flow(ctx, &o, TRAIN, TEST, C, k_train, k_test, y, f0, f0 + TRAIN * C, c->times,
                      TIMES, train, test);
    for (int t = 0; t < TIMES && status == NTK_OK; t++) {
        memcpy(c->theory[t], train + (size_t)t * TRAIN * C, TRAIN * C * sizeof *train);
        memcpy(c->theory[t] + TRAIN * C, test + (size_t)t * TEST * C, TEST * C * sizeof *test);
    }
    return status;
}

/* f_lin on the squared loss: f <- f - eta Theta_0 (f - y), in function space. */
static void linear(const double *k, const double *f0, const double *y, struct course *c)
{
    double f[ALL * C], rest[TRAIN * C];
    int64_t step = 0;

    memcpy(f, f0, sizeof f);
    for (int t = 0; t < TIMES; t++) {
        for (; step < c->steps[t]; step++) {
            for (int j = 0; j < TRAIN * C; j++)
                rest[j] = f[j] - y[j];
            for (int i = 0; i < ALL * C; i++) /* k is [ALL][ALL][C][C] */
                for (int j = 0; j < TRAIN; j++)
                    for (int b = 0; b < C; b++)
                        f[i] -=
                            c->eta * k[((i / C * ALL + j) * C + i % C) * C + b] * rest[j * C + b];
        }
        memcpy(c->theory[t], f, sizeof f);
    }
}

/* Closed form of the infinite network. */
static ntk_status closed_form(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x,
                              const ntk_data *all, const double *f0, const double *y,
                              struct course *c)
{
    static double values[TIMES * ALL * C];
    ntk_fit_opts o;
    ntk_model *model;
    ntk_status status;

    ntk_fit_opts_init(&o);
    o.finite_time = 1;
    status = ntk_model_fit(ctx, net, x, y, C, &o, &model);
    if (status != NTK_OK)
        return status;
    status = ntk_model_dynamics(model, c->times, TIMES, f0, all, f0, NULL, values, NULL);
    ntk_model_free(model);
    if (status == NTK_OK)
        memcpy(c->closed, values, sizeof values);
    return status;
}

static ntk_status predict(ntk_ctx *ctx, const ntk_net *net, const ntk_params *p, const ntk_data *x,
                          const ntk_data *all, const double *y, ntk_loss loss, struct course *c)
{
    static double k[ALL * ALL * C * C];
    double f0[ALL * C];
    ntk_status status = ntk_params_kernel(p, NTK_NTK, NTK_FULL, all, NULL, k);

    if (status == NTK_OK)
        status = ntk_params_apply(p, all, f0);
    if (status != NTK_OK)
        return status;
    if (loss == NTK_LOSS_XENT)
        return flow(ctx, k, f0, y, c);
    linear(k, f0, y, c);
    return closed_form(ctx, net, x, all, f0, y, c);
}

static int run(ntk_ctx *ctx, int width, uint64_t seed, ntk_loss loss, struct course *c)
{
    double y[TRAIN * C];
    ntk_data *x, *all;
    ntk_net *net;
    ntk_params *p = NULL, *start = NULL;
    ntk_status status;

    STEP(lab_digits(ctx, 0, TRAIN, &x, NULL));
    STEP(lab_digits(ctx, 0, ALL, &all, NULL));
    STEP(lab_mlp(ctx, 2, width, "Tanh", C, "ntk", &net));
    status = ntk_data_targets(x, loss == NTK_LOSS_XENT ? NTK_ONEHOT : NTK_CENTERED, C, y);
    if (status == NTK_OK)
        status = ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = ntk_params_copy(p, &start);
    if (status == NTK_OK)
        status = follow(p, x, all, y, loss, c);
    if (status == NTK_OK)
        status = predict(ctx, net, start, x, all, y, loss, c);
    ntk_params_free(p);
    ntk_params_free(start);
    ntk_net_free(net);
    ntk_data_free(x);
    ntk_data_free(all);
    TRY(ctx, status);
    return EXIT_OK;
}

/* Largest distance over the times, relative to how far the outputs have come. */
static double deviation(double (*network)[ALL * C], double (*theory)[ALL * C])
{
    double worst = 0;

    for (int t = 0; t < TIMES; t++)
        worst = fmax(worst, lab_distance(ALL * C, network[t], theory[t]));
    return worst / lab_distance(ALL * C, theory[TIMES - 1], theory[0]);
}

/* Outputs of a training and a test sample. */
static void tabulate(FILE *f, ntk_loss loss, const struct course *c)
{
    static const int shown[] = {3 * C + 3, 3 * C + 5, TRAIN * C, TRAIN * C + 1};

    for (int t = 0; t < TIMES; t++) {
        fprintf(f, "%d,%.6g", (int)loss, c->times[t]);
        for (int k = 0; k < 4; k++) {
            fprintf(f, ",%.6g,%.6g,", c->network[t][shown[k]], c->theory[t][shown[k]]);
            if (loss == NTK_LOSS_MSE)
                fprintf(f, "%.6g", c->closed[t][shown[k]]);
        }
        fprintf(f, "\n");
    }
}

/* Distances from f_lin and the closed form, or from the flow, [seeds][widths]. */
static int distances(ntk_ctx *ctx, ntk_loss loss, int widths, int seeds, FILE *f, double *theory,
                     double *closed)
{
    static struct course c;

    for (int w = 0; w < widths; w++)
        for (int k = 0; k < seeds; k++) {
            STEP(run(ctx, 64 << (2 * w), (uint64_t)k, loss, &c));
            theory[k * widths + w] = deviation(c.network, c.theory);
            if (loss == NTK_LOSS_MSE)
                closed[k * widths + w] = deviation(c.network, c.closed);
            if (w == widths - 1 && k == 0)
                tabulate(f, loss, &c);
        }
    return EXIT_OK;
}

#define WIDTHS 3 /* 64, 256, 1024 */

static void conclude(const char *what, double bound, int widths, int seeds, const double *values,
                     struct finding *f)
{
    const double x[WIDTHS] = {64, 256, 1024};
    const struct interval last = lab_column(seeds, widths, widths - 1, values);
    size_t at;

    lab_found_bound(f, what, bound, lab_slope(widths, x, seeds, values));
    at = strlen(f->says);
    snprintf(f->says + at, sizeof f->says - at, "; at width %g %.2g %% (%.2g to %.2g) of the way",
             x[widths - 1], 100 * last.mean, 100 * last.low, 100 * last.high);
    note("%s", f->says);
}

static const char script[] =
    "set logscale x\nset format x '10^{%T}'\nset xlabel 'time (steps times learning rate)'\n"
    "set multiplot layout 1,2\nset key maxrows 4 font ',12'\n"
    "names = '\"training sample, its class\" \"training sample, another class\" \"test sample, its "
    "class\" "
    "\"test sample, another class\"'\n"
    "do for [loss=0:1] {\nset ylabel (loss ? 'logits, cross-entropy' : 'outputs, squared loss')\n"
    "plot for [k=1:4] 'dynamics.csv' using ($1==loss?$2:NaN):(column(3*k+1)) with lines lw 2 "
    "lc rgb word(colours, k) title (loss ? '' : word(names, k)), "
    "for [k=1:4] '' using ($1==loss?$2:NaN):(column(3*k)) with points pt 7 ps 0.5 lc rgb "
    "word(colours, k) notitle, for [k=1:(loss?0:4)] '' using ($1==0?$2:NaN):(column(3*k+2)) with "
    "lines dt 3 lw 2 "
    "lc rgb word(colours, k) notitle, NaN with points pt 7 ps (loss?0.5:0) lc rgb '#666666' title "
    "(loss ? 'network' : ''), "
    "NaN lw 2 lc rgb '#666666' title (loss ? 'f_{lin}; here: integrated flow of Θ_0' : ''), "
    "NaN dt 3 lw 2 lc rgb '#666666' title (loss ? 'left: closed form, Θ_∞' : '')\n"
    "}\nunset multiplot\n";

int lab_dynamics(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    const int widths = a->quick ? 2 : WIDTHS, seeds = a->quick ? 2 : SEEDS;
    double mse[SEEDS * WIDTHS], closed[SEEDS * WIDTHS], xent[SEEDS * WIDTHS];
    struct finding findings[3];
    struct ntk_outfile table;
    int code;

    if (!strstr(ntk_features(), "sundials"))
        return usage("this experiment needs a build with SUNDIALS (libsundials-dev)");
    STEP(lab_table(
        dir, "dynamics",
        "loss,time,net1,theory1,closed1,net2,theory2,closed2,net3,theory3,closed3,net4,theory4,"
        "closed4",
        &table));
    code = distances(ctx, NTK_LOSS_MSE, widths, seeds, table.f, mse, closed);
    if (code == EXIT_OK)
        code = distances(ctx, NTK_LOSS_XENT, widths, seeds, table.f, xent, NULL);
    STEP(lab_table_close(dir, "dynamics", &table, code));
    conclude("the distance from f_lin, squared loss", -0.5, widths, seeds, mse, &findings[0]);
    conclude("the distance from the closed form, squared loss", -0.25, widths, seeds, closed,
             &findings[1]);
    conclude("the distance from the flow, cross-entropy", -0.5, widths, seeds, xent, &findings[2]);
    STEP(lab_plot_pair(dir, "dynamics", script));
    return lab_report(a, dir, "dynamics", findings, 3);
}
