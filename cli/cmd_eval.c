/* SPDX-License-Identifier: MIT
 *
 * ntk eval: fit on training samples, test on others.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "cli.h"

struct result {
    double accuracy, mse, r2, log_likelihood, loo_accuracy, loo_mse;
    ntk_spectrum spectrum;
    double load, fit, predict;
};

/* Share of the targets' variance, about the test samples' own means, that f explains; NAN if they have
 * none. */
static double r_squared(const double *f, const double *y, int64_t m, int64_t outputs)
{
    double total = 0;

    for (int64_t k = 0; k < outputs; k++) {
        double mean = 0;

        for (int64_t i = 0; i < m; i++)
            mean += y[i * outputs + k] / (double)m;
        for (int64_t i = 0; i < m; i++)
            total += (y[i * outputs + k] - mean) * (y[i * outputs + k] - mean);
    }
    if (total == 0)
        return (double)NAN;
    return 1 - mean_squared_error(f, y, m * outputs) * (double)(m * outputs) / total;
}

static int score(ntk_ctx *ctx, const char *test, const struct samples *s, const double *f,
                 struct result *r)
{
    const int64_t m = ntk_data_n(s->test);
    int64_t columns;
    double *y;

    if (!ntk_data_y(s->test, &columns))
        return usage("%s has no labels or targets", test);
    if (s->targets == NTK_RAW && columns != s->outputs)
        return usage("training targets have %lld columns, test targets %lld", (long long)s->outputs,
                     (long long)columns);
    y = malloc((size_t)(m * s->outputs) * sizeof *y);
    if (!y)
        return usage("no memory for the targets");
    if (ntk_data_targets(s->test, s->targets, s->outputs, y) != NTK_OK) {
        free(y);
        return fail_in(ctx, test, NTK_EINVAL);
    }
    r->mse = mean_squared_error(f, y, m * s->outputs);
    r->r2 = r_squared(f, y, m, s->outputs);
    r->accuracy = s->targets == NTK_RAW ? (double)NAN : accuracy(s->test, f, m, s->outputs);
    free(y);
    return check_number("mean squared error", r->mse);
}

/* Of all models; f[i] [test][outputs]. */
static int predict(ntk_ctx *ctx, const struct args *a, ntk_model *const *models,
                   const struct samples *s, double *const *f)
{
    if (isinf(a->time))
        TRY(ctx, ntk_models_predict(models, a->n_nets, s->test, f));
    for (size_t i = 0; i < a->n_nets && !isinf(a->time); i++)
        TRY(ctx, ntk_model_dynamics(models[i], &a->time, 1, NULL, s->test, NULL, NULL, f[i], NULL));
    return EXIT_OK;
}

static int leave_one_out(ntk_ctx *ctx, const ntk_model *model, const struct samples *s,
                         struct result *r)
{
    const int64_t n = ntk_data_n(s->train);
    double *f = malloc((size_t)(n * s->outputs) * sizeof *f);
    ntk_status status;

    if (!f)
        return usage("no memory for the leave-one-out predictions");
    status = ntk_model_leave_one_out(model, f, NULL);
    if (status == NTK_OK) {
        r->loo_mse = mean_squared_error(f, s->y, n * s->outputs);
        r->loo_accuracy = s->targets == NTK_RAW ? (double)NAN
                                                : accuracy(s->train, f, n, s->outputs);
    }
    free(f);
    TRY(ctx, status);
    return check_number("leave-one-out error", r->loo_mse);
}

static int measure(ntk_ctx *ctx, const struct args *a, const struct samples *s,
                   const ntk_model *model, const double *f, struct result *r)
{
    STEP(score(ctx, a->test, s, f, r));
    ntk_spectrum_init(&r->spectrum);
    TRY(ctx, ntk_model_spectrum(model, &r->spectrum));
    r->log_likelihood = (double)NAN; /* that of a singular matrix */
    if (r->spectrum.null_directions == 0)
        TRY(ctx, ntk_model_evidence(model, &r->log_likelihood));
    return a->leave_one_out ? leave_one_out(ctx, model, s, r) : EXIT_OK;
}

static void print_json(struct json *j, const struct args *a, const char *net,
                       const struct samples *s, const struct result *r)
{
    json_open(j, NULL, '{');
    json_text(j, "net", net);
    if (s->targets != NTK_RAW)
        json_number(j, "accuracy", r->accuracy);
    json_number(j, "mse", r->mse);
    if (s->targets == NTK_RAW) {
        json_number(j, "rmse", sqrt(r->mse));
        json_number(j, "r2", r->r2);
    }
    json_integer(j, "n_train", ntk_data_n(s->train));
    json_integer(j, "n_test", ntk_data_n(s->test));
    if (a->leave_one_out) {
        if (s->targets != NTK_RAW)
            json_number(j, "loo_accuracy", r->loo_accuracy);
        json_number(j, "loo_mse", r->loo_mse);
    }
    json_number(j, "diag_reg", a->diag_reg);
    json_number(j, "log_likelihood", r->log_likelihood);
    json_number(j, "lambda_min", r->spectrum.lambda_min);
    json_number(j, "lambda_max", r->spectrum.lambda_max);
    json_number(j, "condition", r->spectrum.condition);
    json_number(j, "max_learning_rate", r->spectrum.max_learning_rate);
    if (!isinf(a->time))
        json_integer(j, "null_directions", r->spectrum.null_directions);
    json_open(j, "seconds", '{');
    json_number(j, "load", r->load);
    json_number(j, "fit", r->fit);
    json_number(j, "predict", r->predict);
    json_close(j, '}');
    json_samples(j, a, s);
    json_close(j, '}');
}

static void print_text(const struct args *a, const char *net, const struct samples *s,
                       const struct result *r)
{
    printf("net                %s\n", net);
    printf("samples            %lld to train, %lld to test\n", (long long)ntk_data_n(s->train),
           (long long)ntk_data_n(s->test));
    if (s->targets != NTK_RAW)
        printf("accuracy           %.2f %%\n", 100 * r->accuracy);
    printf("mean squared error %.6g\n", r->mse);
    if (s->targets == NTK_RAW && isnan(r->r2))
        printf("RMSE, R^2          %.6g, none: the test targets are constant\n", sqrt(r->mse));
    else if (s->targets == NTK_RAW)
        printf("RMSE, R^2          %.6g, %.6g\n", sqrt(r->mse), r->r2);
    if (a->leave_one_out && s->targets != NTK_RAW)
        printf("leave-one-out      %.2f %%, mean squared error %.6g\n", 100 * r->loo_accuracy,
               r->loo_mse);
    else if (a->leave_one_out)
        printf("leave-one-out      mean squared error %.6g\n", r->loo_mse);
    if (isnan(r->log_likelihood))
        printf("log likelihood     none: the kernel matrix is singular\n");
    else
        printf("log likelihood     %.6g\n", r->log_likelihood);
    printf("eigenvalues        %.4g to %.4g, condition number %.3g\n", r->spectrum.lambda_min,
           r->spectrum.lambda_max, r->spectrum.condition);
    printf("largest stable learning rate %.4g\n", r->spectrum.max_learning_rate);
    printf("seconds            %.2f load, %.2f fit, %.2f predict\n", r->load, r->fit, r->predict);
}

/* One result for each net; the seconds are those of all together. */
static int evaluate(ntk_ctx *ctx, const struct args *a, const struct samples *s,
                    ntk_net *const *nets, ntk_model **models, double *const *f, struct result *r)
{
    ntk_fit_opts o;
    double start, fitted, predicted;
    size_t bytes = 0;

    STEP(fit_options(a, &o));
    o.finite_time = !isinf(a->time);
    for (size_t i = 0; i < a->n_nets; i++) {
        size_t one;

        TRY(ctx, ntk_model_bytes(ctx, nets[i], s->train, s->outputs, &o, &one));
        bytes += one;
    }
    say_memory("fitting", bytes);
    start = ntk_seconds();
    TRY(ctx, ntk_models_fit(ctx, (const ntk_net *const *)nets, a->n_nets, s->train, s->y, s->outputs,
                            &o, models));
    fitted = ntk_seconds();
    STEP(predict(ctx, a, models, s, f));
    predicted = ntk_seconds();
    for (size_t i = 0; i < a->n_nets; i++) {
        r[i].fit = fitted - start;
        r[i].predict = predicted - fitted;
        STEP(measure(ctx, a, s, models[i], f[i], &r[i]));
    }
    return EXIT_OK;
}

static void print_results(const struct args *a, const struct samples *s, const struct result *r)
{
    struct json j = {.f = stdout};

    if (a->json && a->n_nets > 1)
        json_open(&j, NULL, '[');
    for (size_t i = 0; i < a->n_nets; i++) {
        if (a->json) {
            print_json(&j, a, a->nets[i], s, &r[i]);
        } else {
            printf(i ? "\n" : "");
            print_text(a, a->nets[i], s, &r[i]);
        }
    }
    if (a->json)
        puts(a->n_nets > 1 ? "]" : "");
}

static int evaluate_all(ntk_ctx *ctx, const struct args *a, struct samples *s, ntk_net *const *nets)
{
    struct result r[NETS_MAX] = {{0}};
    ntk_model *models[NETS_MAX] = {NULL};
    double *f[NETS_MAX] = {NULL}, start = ntk_seconds();
    int code;

    STEP(samples_load(ctx, a, nets[0], NULL, true, s));
    TRY(ctx, ntk_ctx_hold(ctx,
                          ntk_bytes((double)a->n_nets * (double)ntk_data_n(s->test) * (double)s->outputs * sizeof **f),
                          "a table of predictions"));
    code = EXIT_OK;
    for (size_t i = 0; i < a->n_nets; i++) {
        r[i].load = ntk_seconds() - start;
        f[i] = malloc((size_t)(ntk_data_n(s->test) * s->outputs) * sizeof **f);
        if (!f[i])
            code = usage("no memory for the predictions");
    }
    if (code == EXIT_OK)
        code = evaluate(ctx, a, s, nets, models, f, r);
    if (code == EXIT_OK)
        print_results(a, s, r);
    for (size_t i = 0; i < a->n_nets; i++) {
        ntk_model_free(models[i]);
        free(f[i]);
    }
    return code;
}

int cmd_eval(ntk_ctx *ctx, const struct args *a);
int cmd_eval(ntk_ctx *ctx, const struct args *a)
{
    ntk_net *nets[NETS_MAX] = {NULL};
    struct samples s = {.y = NULL};
    int code = EXIT_OK;

    for (size_t i = 0; (i < a->n_nets || i == 0) && code == EXIT_OK; i++)
        code = parse_net(ctx, a, i, &nets[i]);
    if (code == EXIT_OK)
        code = evaluate_all(ctx, a, &s, nets);
    samples_free(&s);
    for (size_t i = 0; i < NETS_MAX; i++)
        ntk_net_free(nets[i]);
    return code;
}
