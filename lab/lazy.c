/* SPDX-License-Identifier: MIT
 *
 * lazy: a wide network trained by gradient descent stays near its linearisation (Lee et al. 2019,
 * Theorem 2.1): sup |f_t - f_lin_t|, sup |theta_t - theta_0| / sqrt(width) and sup |Theta_t -
 * Theta_0|_F are all O(width^-1/2), an upper bound. Each hidden unit, also the one that moves most,
 * moves less as width grows, all of them together move enough to learn.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define TRAIN   10
#define TEST    10
#define ALL     (TRAIN + TEST)
#define WIDTHS  5 /* 2^7 ... 2^11 */
#define SEEDS   10
#define HIDDEN  3 /* number of the value that is the last hidden layer's activations */
#define RECORDS 12
#define STEPS   300 /* the slowest mode falls by e^-20 */

enum {
    LINEAR,
    WEIGHTS,
    KERNEL,
    UNIT,
    TOGETHER,
    MEASURES
};

static const struct measure {
    const char *name;
    double theory; /* NAN: of the largest of width numbers, see conclude */
    bool bound;    /* an upper bound, else the value */
} measures[MEASURES] = {{"sup |f - f_lin|", -0.5, true},
                        {"sup |theta - theta_0| / sqrt(width)", -0.5, true},
                        {"sup |Theta - Theta_0|", -0.5, true},
                        {"largest movement of a hidden unit", (double)NAN, false},
                        {"movement of all hidden units", 0, false}};

/* One network on its way, beside its linearisation. */
struct race {
    ntk_ctx *ctx;
    ntk_params *p;
    ntk_train *train;
    const ntk_data *x, *all;
    int width;
    double y[TRAIN], eta;
    double theta0[ALL * ALL], linear[ALL], f[ALL];
    double *start, *hidden0, *hidden; /* [count], [ALL][width] */
};

static ntk_status hidden_values(const struct race *r, double *hidden)
{
    void *values[8] = {NULL};
    int64_t sizes[8];
    size_t n;
    ntk_status status = ntk_params_values(r->p, r->all, &n, sizes, NULL);

    for (size_t k = 0; k < n && status == NTK_OK; k++) {
        values[k] = malloc((size_t)(ALL * sizes[k]) * sizeof(double));
        status = values[k] ? NTK_OK : NTK_ENOMEM;
    }
    if (status == NTK_OK)
        status = ntk_params_values(r->p, r->all, &n, sizes, values);
    if (status == NTK_OK)
        memcpy(hidden, values[HIDDEN], (size_t)(ALL * r->width) * sizeof *hidden);
    for (size_t k = 0; k < n; k++)
        free(values[k]);
    return status;
}

/* One step of the linearised network. */
static void linear_step(struct race *r)
{
    double rest[TRAIN];

    for (int j = 0; j < TRAIN; j++)
        rest[j] = r->linear[j] - r->y[j];
    for (int i = 0; i < ALL; i++)
        for (int j = 0; j < TRAIN; j++)
            r->linear[i] -= r->eta * r->theta0[i * ALL + j] * rest[j];
}

/* Of the last hidden layer: rms over samples of the unit that moved most. */
static double most_moved(const struct race *r)
{
    double most = 0;

    for (int j = 0; j < r->width; j++) {
        double sum = 0;

        for (int i = 0; i < ALL; i++) {
            const double d = r->hidden[i * r->width + j] - r->hidden0[i * r->width + j];

            sum += d * d;
        }
        most = fmax(most, sum);
    }
    return sqrt(most / ALL);
}

static ntk_status look(struct race *r, double sup[MEASURES])
{
    double k[TRAIN * TRAIN], first[TRAIN * TRAIN], now[MEASURES];
    ntk_status status = ntk_params_apply(r->p, r->all, r->f);

    if (status == NTK_OK)
        status = ntk_params_kernel(r->p, NTK_NTK, NTK_TRACE, r->x, NULL, k);
    if (status == NTK_OK)
        status = hidden_values(r, r->hidden);
    if (status != NTK_OK)
        return status;
    for (int i = 0; i < TRAIN * TRAIN; i++)
        first[i] = r->theta0[i / TRAIN * ALL + i % TRAIN];
    now[LINEAR] = lab_distance(ALL, r->f, r->linear) / sqrt(ALL);
    now[WEIGHTS] =
        lab_distance(ntk_params_count(r->p), ntk_params_theta(r->p), r->start) / sqrt(r->width);
    now[KERNEL] = lab_distance(TRAIN * TRAIN, k, first);
    now[TOGETHER] = lab_distance((int64_t)ALL * r->width, r->hidden, r->hidden0) / sqrt(ALL);
    now[UNIT] = most_moved(r);
    for (int m = 0; m < MEASURES; m++)
        sup[m] = fmax(sup[m], now[m]);
    return NTK_OK;
}

static ntk_status start(struct race *r)
{
    const int64_t count = ntk_params_count(r->p);
    ntk_train_opts o;
    double lambda;
    ntk_status status;

    r->start = malloc((size_t)count * sizeof *r->start);
    r->hidden0 = malloc((size_t)(ALL * r->width) * sizeof *r->hidden0);
    r->hidden = malloc((size_t)(ALL * r->width) * sizeof *r->hidden);
    if (!r->start || !r->hidden0 || !r->hidden)
        return NTK_ENOMEM;
    memcpy(r->start, ntk_params_theta(r->p), (size_t)count * sizeof *r->start);
    status = ntk_params_kernel(r->p, NTK_NTK, NTK_FULL, r->all, NULL, r->theta0);
    if (status == NTK_OK)
        status = ntk_params_apply(r->p, r->all, r->linear);
    if (status == NTK_OK)
        status = hidden_values(r, r->hidden0);
    if (status == NTK_OK)
        status = ntk_params_lambda_max(r->p, r->x, &lambda);
    if (status != NTK_OK)
        return status;
    ntk_train_opts_init(&o);
    o.learning_rate = r->eta = 0.5 / lambda;
    return ntk_train_new(r->p, r->x, r->y, &o, &r->train);
}

/* Records at steps that grow geometrically. */
static ntk_status follow(struct race *r, double sup[MEASURES])
{
    ntk_status status = start(r);

    for (int k = 0; k < RECORDS && status == NTK_OK; k++) {
        const int64_t goal = (int64_t)pow(STEPS, (k + 1.0) / RECORDS);
        const int64_t more = goal - ntk_train_step(r->train);

        for (int64_t i = 0; i < more; i++)
            linear_step(r);
        status = ntk_train_run(r->train, more, NULL);
        if (status == NTK_OK)
            status = look(r, sup);
    }
    ntk_train_free(r->train);
    free(r->start);
    free(r->hidden0);
    free(r->hidden);
    return status;
}

static int measure(ntk_ctx *ctx, const char *activation, int width, uint64_t seed,
                   double sup[MEASURES])
{
    struct race *r = calloc(1, sizeof *r);
    ntk_data *x, *all;
    ntk_net *net;
    ntk_status status;

    if (!r)
        return usage("no memory for the experiment");
    *r = (struct race){.ctx = ctx, .width = width};
    STEP(lab_digits(ctx, 0, TRAIN, &x, NULL));
    STEP(lab_digits(ctx, 0, ALL, &all, NULL));
    STEP(lab_mlp(ctx, 2, width, activation, 1, "ntk", &net));
    r->x = x;
    r->all = all;
    lab_high_digits(x, r->y);
    memset(sup, 0, MEASURES * sizeof *sup);
    status = ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &r->p);
    if (status == NTK_OK)
        status = follow(r, sup);
    ntk_params_free(r->p);
    ntk_net_free(net);
    ntk_data_free(x);
    ntk_data_free(all);
    free(r);
    TRY(ctx, status);
    return EXIT_OK;
}

static int width_of(const struct args *a, int w)
{
    return (a->quick ? 64 : 128) << w;
}

static void conclude(const struct args *a, const char *activation, int m, int widths, int seeds,
                     const double *values, struct finding *f)
{
    const struct measure *is = &measures[m];
    double x[WIDTHS], largest[WIDTHS], theory;
    char what[80];
    struct interval slope;

    for (int w = 0; w < widths; w++) {
        x[w] = width_of(a, w);
        largest[w] = sqrt(log(x[w]) / x[w]); /* of width numbers of order width^-1/2 */
    }
    theory = isnan(is->theory) ? lab_slope(widths, x, 1, largest).mean : is->theory;
    slope = lab_slope(widths, x, seeds, values);
    snprintf(what, sizeof what, "%s, %s", is->name, activation);
    if (is->bound)
        lab_found_bound(f, what, theory, slope);
    else
        lab_found_exponent(f, what, theory, 0.15, slope);
    note("%s", f->says);
}

static const char script[] =
    "set logscale xy\nset logscale x 2\nset format y '%g'\nset xlabel 'width'\nset multiplot "
    "layout 1,2\n"
    "set key maxrows 3 font ',12'\n"
    "names = '\"|f - f_{lin}|\" \"|θ - θ_0| / √width\" \"|Θ - Θ_0|\" "
    "\"the unit that moves most\" \"all units together\"'\n"
    "do for [side=0:1] {\nset ylabel (side ? 'movement of last hidden activations' : 'largest "
    "distance over training')\n"
    "plot for [k=(side?3:0):(side?4:2)] for [s=0:1] 'lazy.csv' using "
    "($1==s&&$3==k?$4*(1+0.04*s):NaN):5:6:7 with "
    "yerrorlines lw 2 pt (s?6:7) ps 0.5 dt s+1 lc rgb word(colours, k+1) title (s ? '' : "
    "word(names, k+1)), "
    "(side?0.4:0.5)*(x/128)**-0.5 dt 3 lw 2 lc rgb '#666666' title 'width^{-1/2}', "
    "NaN lw 2 lc rgb '#666666' title 'Tanh', NaN dt 2 lw 2 lc rgb '#666666' title 'Relu'\n}\nunset "
    "multiplot\n";

static int run(ntk_ctx *ctx, FILE *f, int setting, const char *activation, const struct args *a,
               struct finding *findings)
{
    const int widths = a->quick ? 4 : WIDTHS, seeds = a->quick ? 4 : SEEDS;
    static double values[MEASURES][SEEDS * WIDTHS];

    for (int w = 0; w < widths; w++)
        for (int k = 0; k < seeds; k++) {
            double sup[MEASURES];

            STEP(measure(ctx, activation, width_of(a, w), (uint64_t)k, sup));
            for (int m = 0; m < MEASURES; m++)
                values[m][k * widths + w] = sup[m];
        }
    for (int m = 0; m < MEASURES; m++) {
        for (int w = 0; w < widths; w++) {
            const struct interval i = lab_column(seeds, widths, w, values[m]);

            fprintf(f, "%d,%s,%d,%d,%.6g,%.6g,%.6g\n", setting, activation, m, width_of(a, w),
                    i.mean, i.low, i.high);
        }
        conclude(a, activation, m, widths, seeds, values[m], &findings[m]);
    }
    return EXIT_OK;
}

int lab_lazy(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct finding findings[2 * MEASURES];
    struct ntk_outfile table;
    int code;

    STEP(lab_table(dir, "lazy", "setting,activation,measure,width,mean,low,high", &table));
    code = run(ctx, table.f, 0, "Tanh", a, findings);
    if (code == EXIT_OK)
        code = run(ctx, table.f, 1, "Relu", a, findings + MEASURES);
    STEP(lab_table_close(dir, "lazy", &table, code));
    STEP(lab_plot_pair(dir, "lazy", script));
    return lab_report(a, dir, "lazy", findings, 2 * MEASURES);
}
