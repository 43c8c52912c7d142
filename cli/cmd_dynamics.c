/* SPDX-License-Identifier: MIT
 *
 * ntk dynamics: f_t on training and test samples under gradient flow: in closed form for the
 * squared loss, integrated for the cross-entropy or with momentum (flow.c); of a finite network
 * (--params), linearised where it is, too.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dynamics.h"

static bool has_finite(const struct trajectory *t)
{
    bool has = false;

    for (size_t k = 0; k < t->n_times; k++)
        has = has || !isinf(t->times[k]);
    return has;
}

static int compute(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const struct samples *s,
                   struct trajectory *t)
{
    const size_t n = (size_t)ntk_data_n(s->train), m = s->test ? (size_t)ntk_data_n(s->test) : 0;
    ntk_fit_opts o;
    ntk_model *model;
    ntk_spectrum spectrum;
    ntk_status status;
    size_t bytes;

    STEP(fit_options(a, s, &o));
    ntk_spectrum_init(&spectrum);
    o.finite_time = !o.solver || has_finite(t); /* which needs eigenvectors: another solver is refused */
    o.covariance = a->std;
    TRY(ctx, ntk_model_bytes(ctx, net, s->train, s->outputs, &o, &bytes));
    say_memory(o.finite_time ? "the eigen-decomposition" : "fitting", bytes);
    TRY(ctx, ntk_ctx_hold(ctx, ntk_bytes((double)t->n_times * (double)(n + m) * (double)(s->outputs + 1) * sizeof *t->train),
                          "the trajectory"));
    t->train = malloc(t->n_times * n * (size_t)s->outputs * sizeof *t->train);
    t->test = malloc((t->n_times * m * (size_t)s->outputs + 1) * sizeof *t->test);
    t->var = malloc((t->n_times * m + 1) * sizeof *t->var);
    if (!t->train || !t->test || !t->var)
        return usage("no memory for the trajectory");
    TRY(ctx, ntk_model_fit(ctx, net, s->train, s->y, s->outputs, &o, &model));
    status = ntk_model_dynamics(model, t->times, t->n_times, NULL, s->test, NULL, t->train,
                                m ? t->test : NULL, m && a->std ? t->var : NULL);
    if (status == NTK_OK && o.finite_time)
        status = ntk_model_spectrum(model, &spectrum);
    t->diag_reg = ntk_model_diag_reg(model);
    ntk_model_free(model);
    TRY(ctx, status);
    t->null_directions = o.finite_time ? spectrum.null_directions : -1;
    return EXIT_OK;
}

static int write(ntk_ctx *ctx, const struct args *a, const struct samples *s,
                 const struct trajectory *t)
{
    const int64_t n = ntk_data_n(s->train), m = s->test ? ntk_data_n(s->test) : 0;
    const int64_t times = (int64_t)t->n_times;
    size_t count = m ? (a->std ? 4 : 3) : 2;
    ntk_array arrays[5] = {
        {.name = "t", .x = t->times, .dtype = NTK_F64, .ndim = 1, .shape = {times}},
        {.name = "f_train",
         .x = t->train,
         .dtype = NTK_F64,
         .ndim = 3,
         .shape = {times, n, s->outputs}},
        {.name = "f_test",
         .x = t->test,
         .dtype = NTK_F64,
         .ndim = 3,
         .shape = {times, m, s->outputs}},
        {.name = "std_test", .x = t->var, .dtype = NTK_F64, .ndim = 2, .shape = {times, m}},
    };

    for (int64_t i = 0; m && a->std && i < times * m; i++)
        t->var[i] = sqrt(fmax(t->var[i], 0));
    count += outputs_array(s->schema, s->outputs, &arrays[count]);
    TRY(ctx, ntk_array_write(ctx, a->out, arrays, count));
    return EXIT_OK;
}

static double loss_at(const struct samples *s, const struct trajectory *t, size_t k)
{
    const int64_t n = ntk_data_n(s->train);
    const double *train = t->train + k * (size_t)(n * s->outputs);

    return t->xent ? cross_entropy(train, s->y, n, s->outputs)
                   : mean_squared_error(train, s->y, n * s->outputs);
}

static int check_losses(const struct samples *s, const struct trajectory *t)
{
    for (size_t k = 0; k < t->n_times; k++)
        STEP(check_number("training loss", loss_at(s, t, k)));
    return EXIT_OK;
}

static void report(const struct args *a, const struct samples *s, const struct trajectory *t)
{
    const int64_t n = ntk_data_n(s->train), m = s->test ? ntk_data_n(s->test) : 0;
    const bool classes = s->targets != NTK_RAW;
    struct json j = {.f = stdout};

    if (a->json)
        json_open(&j, NULL, '[');
    if (!a->json && ridge_is_chosen(a))
        printf("diag_reg %.3g, by leave-one-out\n", t->diag_reg);
    if (!a->json)
        printf("%12s %14s%s%s\n", "t", t->xent ? "train xent" : "train mse",
               classes ? "  train acc" : "", classes && m ? "   test acc" : "");
    for (size_t k = 0; k < t->n_times; k++) {
        const double *train = t->train + k * (size_t)(n * s->outputs);
        const double *test = t->test + k * (size_t)(m * s->outputs);
        const double loss = loss_at(s, t, k);

        if (a->json) {
            json_open(&j, NULL, '{');
            if (isinf(t->times[k]))
                json_text(&j, "t", "inf");
            else
                json_number(&j, "t", t->times[k]);
            json_number(&j, t->xent ? "train_xent" : "train_mse", loss);
            if (classes)
                json_number(&j, "train_accuracy", accuracy(s->train, train, n, s->outputs));
            if (classes && m)
                json_number(&j, "test_accuracy", accuracy(s->test, test, m, s->outputs));
            if (t->null_directions >= 0)
                json_integer(&j, "null_directions", t->null_directions);
            if (!flow_wanted(a))
                json_number(&j, "diag_reg", t->diag_reg);
            if (k == 0)
                json_samples(&j, a, s);
            json_close(&j, '}');
            continue;
        }
        printf("%12g %14.6g", t->times[k], loss);
        if (classes)
            printf(" %8.2f %%", 100 * accuracy(s->train, train, n, s->outputs));
        if (classes && m)
            printf(" %8.2f %%", 100 * accuracy(s->test, test, m, s->outputs));
        putchar('\n');
    }
    if (a->json)
        puts("]");
}

static int load_infinite(ntk_ctx *ctx, const struct args *a, struct samples *s, ntk_net **net)
{
    STEP(parse_net(ctx, a, 0, net));
    return samples_load(ctx, a, *net, NULL, false, s);
}

int cmd_dynamics(ntk_ctx *ctx, const struct args *a);
int cmd_dynamics(ntk_ctx *ctx, const struct args *a)
{
    struct trajectory t = {.times = NULL};
    struct samples s = {.y = NULL};
    struct args with = *a;
    ntk_net *net = NULL;
    ntk_params *params = NULL;
    int code;

    if (a->loss && strcmp(a->loss, "mse") != 0 && strcmp(a->loss, "xent") != 0)
        return usage("--loss must be mse or xent, got '%s'", a->loss);
    if (a->n_nets > 1)
        return usage("one --net at a time, got %zu", a->n_nets);
    STEP(parse_ridge(a->diag_reg, &t.diag_reg));
    if (a->solver && (a->params || flow_wanted(a)))
        return usage("--solver is for the closed form of the squared loss");
    if (a->trace && !a->params)
        return usage("--trace is of the kernel of --params");
    if (a->out)
        STEP(check_array_output(a->out, a->test ? (a->std ? 4 : 3) : 2, false));
    STEP(parse_times(a->times, &t.times, &t.n_times));
    t.xent = a->loss && strcmp(a->loss, "xent") == 0;
    if (t.xent)
        with.targets = "onehot";
    code = flow_wanted(a) ? flow_check(a, &t) : check_no_weights(a, "times");
    if (code == EXIT_OK && a->params)
        code = network_samples(ctx, &with, &s, &params);
    else if (code == EXIT_OK)
        code = load_infinite(ctx, &with, &s, &net);
    if (code == EXIT_OK)
        code = flow_wanted(a) ? flow_compute(ctx, a, net, params, &s, &t)
                              : compute(ctx, a, net, &s, &t);
    if (code == EXIT_OK)
        code = check_losses(&s, &t);
    if (code == EXIT_OK && a->out)
        code = write(ctx, a, &s, &t);
    if (code == EXIT_OK)
        report(a, &s, &t);
    samples_free(&s);
    ntk_net_free(net);
    ntk_params_free(params);
    free(t.times);
    free(t.train);
    free(t.test);
    free(t.var);
    return code;
}
