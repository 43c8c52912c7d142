/* SPDX-License-Identifier: MIT
 *
 * dynamics: outputs of a wide network over time beside theory. Squared loss: the closed form of its
 * linearisation, f_0 - (1 - exp(-Theta_0 t)) (f_0 - y) (Lee et al. 2019, eq. 8-9). Cross-entropy:
 * the flow df/dt = -Theta_0 (softmax(f) - y), integrated. One step of gradient descent is the time
 * eta.
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
#define STEPS 4000

struct course {
    double times[TIMES]; /* of the records */
    int64_t steps[TIMES];
    double network[TIMES][ALL * C];
    double theory[TIMES][ALL * C];
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
    for (int k = 0; k < TIMES && status == NTK_OK; k++) {
        c->steps[k] = (int64_t)pow(STEPS, (k + 1.0) / TIMES);
        c->times[k] = (double)c->steps[k] * ntk_train_learning_rate(train);
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

/* Flow of the network's own kernel at the start. */
static ntk_status predict(ntk_ctx *ctx, const ntk_params *p, const ntk_data *all, const double *y,
                          ntk_loss loss, struct course *c)
{
    static double k[ALL * ALL * C * C], k_train[TRAIN * TRAIN * C * C],
        k_test[TEST * TRAIN * C * C];
    static double train[TIMES * TRAIN * C], test[TIMES * TEST * C];
    double f0[ALL * C];
    ntk_flow_opts o;
    ntk_status status = ntk_params_kernel(p, NTK_NTK, NTK_FULL, all, NULL, k);

    if (status == NTK_OK)
        status = ntk_params_apply(p, all, f0);
    split(k, k_train, k_test);
    ntk_flow_opts_init(&o);
    o.loss = loss;
    o.blocks = 1;
    if (status == NTK_OK)
        status = ntk_flow(ctx, &o, TRAIN, TEST, C, k_train, k_test, y, f0, f0 + TRAIN * C, c->times,
                          TIMES, train, test);
    for (int t = 0; t < TIMES && status == NTK_OK; t++) {
        memcpy(c->theory[t], train + (size_t)t * TRAIN * C, TRAIN * C * sizeof *train);
        memcpy(c->theory[t] + TRAIN * C, test + (size_t)t * TEST * C, TEST * C * sizeof *test);
    }
    return status;
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
        status = predict(ctx, start, all, y, loss, c);
    ntk_params_free(p);
    ntk_params_free(start);
    ntk_net_free(net);
    ntk_data_free(x);
    ntk_data_free(all);
    TRY(ctx, status);
    return EXIT_OK;
}

/* Largest rms distance over the times, relative to how far the outputs have come. */
static double deviation(const struct course *c)
{
    double worst = 0;

    for (int t = 0; t < TIMES; t++)
        worst = fmax(worst, lab_distance(ALL * C, c->network[t], c->theory[t]));
    return worst / lab_distance(ALL * C, c->theory[TIMES - 1], c->theory[0]);
}

/* Outputs of a training and a test sample. */
static void tabulate(FILE *f, ntk_loss loss, const struct course *c)
{
    static const int shown[] = {3 * C + 3, 3 * C + 5, TRAIN * C, TRAIN * C + 1};

    for (int t = 0; t < TIMES; t++) {
        fprintf(f, "%d,%.6g", (int)loss, c->times[t]);
        for (int k = 0; k < 4; k++)
            fprintf(f, ",%.6g,%.6g", c->network[t][shown[k]], c->theory[t][shown[k]]);
        fprintf(f, "\n");
    }
}

static int both_losses(ntk_ctx *ctx, int widths, int seeds, FILE *f, struct finding *findings)
{
    static const char *const names[] = {"squared loss", "cross-entropy"};
    static struct course c;

    for (int loss = 0; loss < 2; loss++) {
        double values[SEEDS * 4], at[SEEDS], x[4];
        struct interval slope, last;
        struct finding *found = &findings[loss];

        for (int w = 0; w < widths; w++)
            for (int k = 0; k < seeds; k++) {
                x[w] = 64 << (2 * w);
                STEP(run(ctx, 64 << (2 * w), (uint64_t)k, (ntk_loss)loss, &c));
                values[k * widths + w] = at[k] = deviation(&c);
                if (w == widths - 1 && k == 0)
                    tabulate(f, (ntk_loss)loss, &c);
            }
        slope = lab_slope(widths, x, seeds, values);
        last = lab_mean(seeds, at);
        *found = (struct finding){.theory = -0.5,
                                  .measured = slope.mean,
                                  .low = slope.low,
                                  .high = slope.high,
                                  .agrees = slope.low <= -0.5};
        snprintf(found->quantity, sizeof found->quantity,
                 "slope of the distance from theory in width, %s", names[loss]);
        snprintf(found->says, sizeof found->says,
                 "theory (%s): the trained network follows the flow of Theta_0 within width^-0.5; "
                 "measured: "
                 "width^%.2f (%.2f to %.2f), %.1f %% of the way at width %g",
                 names[loss], slope.mean, slope.low, slope.high, 100 * last.mean, x[widths - 1]);
        note("%s", found->says);
    }
    return EXIT_OK;
}

static const char script[] =
    "set logscale x\nset format x '10^{%T}'\nset xlabel 'time'\nset multiplot layout 1,2\n"
    "set key top left inside reverse Left samplen 1.5 spacing 1\n"
    "names = '\"training sample, its class\" \"another class\" \"test sample, its class\" "
    "\"another class\"'\n"
    "do for [loss=0:1] {\nset title (loss ? 'cross-entropy' : 'squared loss')\n"
    "set ylabel (loss ? 'logits' : 'outputs')\nset yrange [(loss ? -4 : -0.5):(loss ? 8 : 1.6)]\n"
    "plot for [k=1:4] 'dynamics.csv' using ($1==loss?$2:NaN):(column(2*k+2)) with lines lw 2 "
    "lc rgb word(colours, k) title (loss ? '' : word(names, k)), "
    "for [k=1:4] '' using ($1==loss?$2:NaN):(column(2*k+1)) with points pt 7 ps 0.5 lc rgb "
    "word(colours, k) notitle\n"
    "}\nunset multiplot\n";

int lab_dynamics(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct finding findings[2];
    FILE *f;
    int code;

    if (!strstr(ntk_features(), "sundials"))
        return usage("this experiment needs a build with SUNDIALS (libsundials-dev)");
    f = lab_table(dir, "dynamics", "loss,time,net1,theory1,net2,theory2,net3,theory3,net4,theory4");
    if (!f)
        return EXIT_USAGE;
    code = both_losses(ctx, a->quick ? 2 : 3, a->quick ? 2 : SEEDS, f, findings);
    STEP(lab_table_close(dir, "dynamics", f));
    STEP(code);
    STEP(lab_plot_as(dir, "dynamics", "svg size 1000,440 font 'sans-serif,14' background '#ffffff'",
                     "svg", script));
    return lab_report(a, dir, "dynamics", findings, 2);
}
