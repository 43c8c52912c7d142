/* SPDX-License-Identifier: MIT
 *
 * ntk eval: fit on training samples, test on others.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "cli.h"

/* Of one net and one ridge. */
struct result {
    double diag_reg, accuracy, mse, r2, log_likelihood, loo_accuracy, loo_mse;
    ntk_spectrum spectrum;
    ntk_fit_report report;
    bool factored; /* else no eigenvalues are asked for, and the likelihood is an estimate, or none */
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

/* By the samples' weights [n], or NULL. */
static double weighted_error(const struct samples *s, const double *f, const double *weights, int64_t n)
{
    double sum = 0, all = 0;

    if (!weights)
        return mean_squared_error(f, s->y, n * s->outputs);
    for (int64_t i = 0; i < n; i++) {
        sum += weights[i] * mean_squared_error(f + i * s->outputs, s->y + i * s->outputs, s->outputs);
        all += weights[i];
    }
    return sum / all;
}

static int leave_one_out(ntk_ctx *ctx, const ntk_model *model, const struct samples *s, const double *weights,
                         struct result *r)
{
    const int64_t n = ntk_data_n(s->train);
    double *f = malloc((size_t)(n * s->outputs) * sizeof *f);
    ntk_status status;

    if (!f)
        return usage("no memory for the leave-one-out predictions");
    status = ntk_model_leave_one_out(model, f, NULL);
    if (status == NTK_OK) {
        r->loo_mse = weighted_error(s, f, weights, n);
        r->loo_accuracy = s->targets == NTK_RAW ? (double)NAN
                                                : weighted_accuracy(s->train, f, weights, n, s->outputs);
    }
    free(f);
    TRY(ctx, status);
    return check_number("leave-one-out error", r->loo_mse);
}

/* What a model says of its training samples. */
static int diagnose(ntk_ctx *ctx, const struct args *a, const struct samples *s, const double *weights,
                    const ntk_model *model, struct result *r)
{
    ntk_status status;

    r->diag_reg = ntk_model_diag_reg(model);
    ntk_spectrum_init(&r->spectrum);
    ntk_fit_report_init(&r->report);
    TRY(ctx, ntk_model_report(model, &r->report));
    r->log_likelihood = (double)NAN; /* that of a singular matrix, or none */
    status = r->report.estimates && !a->evidence ? NTK_ENOTSUP : ntk_model_evidence(model, &r->log_likelihood);
    if (status != NTK_ENOTSUP && status != NTK_ENUMERIC)
        TRY(ctx, status);
    r->factored = status != NTK_ENOTSUP && !r->report.estimates;
    if (r->report.estimates)
        TRY(ctx, ntk_model_report(model, &r->report)); /* with the estimate's error */
    if (r->factored)
        TRY(ctx, ntk_model_spectrum(model, &r->spectrum));
    else
        r->spectrum.lambda_min = r->spectrum.lambda_max = r->spectrum.condition = r->spectrum.max_learning_rate = (double)NAN;
    if (r->factored && r->spectrum.null_directions == 0)
        TRY(ctx, status);
    return a->leave_one_out ? leave_one_out(ctx, model, s, weights, r) : EXIT_OK;
}

/* ---- reports */

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
    json_number(j, "diag_reg", r->diag_reg);
    json_number(j, "log_likelihood", r->log_likelihood);
    if (r->report.estimates)
        json_number(j, "log_likelihood_error", r->report.log_likelihood_error);
    json_number(j, "lambda_min", r->spectrum.lambda_min);
    json_number(j, "lambda_max", r->spectrum.lambda_max);
    json_number(j, "condition", r->spectrum.condition);
    json_number(j, "max_learning_rate", r->spectrum.max_learning_rate);
    if (!isinf(a->time))
        json_integer(j, "null_directions", r->spectrum.null_directions);
    json_report(j, &r->report);
    json_open(j, "seconds", '{');
    json_number(j, "load", r->load);
    json_number(j, "fit", r->fit);
    json_number(j, "predict", r->predict);
    json_close(j, '}');
    ranks_say(j);
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
    if (ridge_is_chosen(a))
        printf("diag_reg           %.3g, by %s\n", r->diag_reg, by_landmarks(a) ? "samples held out" : "leave-one-out");
    if (r->report.estimates && !isnan(r->log_likelihood))
        printf("log likelihood     %.6g, give or take %.2g: an estimate\n", r->log_likelihood,
               r->report.log_likelihood_error);
    else if (r->report.estimates)
        printf("log likelihood     none, and no eigenvalues: the solver has no factor (--evidence: an estimate)\n");
    else if (!r->factored)
        printf("log likelihood     none, and no eigenvalues: the solver has no factor%s\n", by_landmarks(a) ? " of the whole matrix" : "");
    else if (isnan(r->log_likelihood))
        printf("log likelihood     none: the kernel matrix is singular\n");
    else
        printf("log likelihood     %.6g\n", r->log_likelihood);
    if (r->factored) {
        printf("eigenvalues        %.4g to %.4g, condition number %.3g\n", r->spectrum.lambda_min,
               r->spectrum.lambda_max, r->spectrum.condition);
        printf("largest stable learning rate %.4g\n", r->spectrum.max_learning_rate);
    }
    printf("seconds            %.2f load, %.2f fit, %.2f predict\n", r->load, r->fit, r->predict);
}

/* A row for each ridge. */
static void print_rows(const struct args *a, const char *net, const struct samples *s, size_t n, const struct result *r)
{
    const bool classes = s->targets != NTK_RAW;

    printf("net                %s\n", net);
    printf("samples            %lld to train, %lld to test\n", (long long)ntk_data_n(s->train),
           (long long)ntk_data_n(s->test));
    printf("seconds            %.2f load, %.2f fit, %.2f predict\n\n", r->load, r->fit, r->predict);
    printf("%10s  %12s  %12s", "diag_reg", classes ? "accuracy" : "RMSE", "MSE");
    if (a->leave_one_out)
        printf(classes ? "  %12s  %12s" : "  %.0s%12s", "LOO accuracy", "LOO MSE");
    printf("  %14s  %12s\n", "log likelihood", "condition");
    for (size_t k = 0; k < n; k++, r++) {
        if (classes)
            printf("%10.3g  %10.2f %%  %12.6g", r->diag_reg, 100 * r->accuracy, r->mse);
        else
            printf("%10.3g  %12.6g  %12.6g", r->diag_reg, sqrt(r->mse), r->mse);
        if (a->leave_one_out && classes)
            printf("  %10.2f %%", 100 * r->loo_accuracy);
        if (a->leave_one_out)
            printf("  %12.6g", r->loo_mse);
        if (isnan(r->log_likelihood))
            printf("  %14s", r->factored ? "singular" : "none");
        else
            printf("  %14.6g", r->log_likelihood);
        if (r->factored)
            printf("  %12.3g\n", r->spectrum.condition);
        else
            printf("  %12s\n", "none");
    }
}

static void print_results(const struct args *a, const struct samples *s, size_t n_ridges, const struct result *r)
{
    const bool list = a->n_nets > 1 || n_ridges > 1;
    struct json j = {.f = stdout};

    if (a->json && list)
        json_open(&j, NULL, '[');
    for (size_t i = 0; i < a->n_nets; i++, r += n_ridges) {
        for (size_t k = 0; a->json && k < n_ridges; k++)
            print_json(&j, a, a->nets[i], s, &r[k]);
        if (a->json)
            continue;
        printf(i ? "\n" : "");
        if (n_ridges > 1)
            print_rows(a, a->nets[i], s, n_ridges, r);
        else
            print_text(a, a->nets[i], s, r);
    }
    if (a->json)
        puts(list ? "]" : "");
}

/* ---- the work: all nets, all ridges */

struct work {
    const struct args *a;
    const struct samples *s;
    ntk_data *averaged; /* copies of test samples, or NULL; how many of each */
    int64_t copies;
    const double *ridges;
    size_t n_ridges;
    ntk_fit_opts o;
    ntk_net *const *nets;
    ntk_model **models;
    double *alpha; /* [train][outputs] of one model */
    double **c;    /* of each net [train][ridges][outputs] */
    double **f;    /* of each net [copies][test][ridges][outputs] */
    struct result *r; /* [nets][ridges] */
};

#define FACTORS_MOST 5 /* leave-one-out of more ridges is faster by one eigen-decomposition */

static int options(struct work *w)
{
    STEP(fit_options(w->a, w->s, &w->o));
    if (w->a->leave_one_out && w->o.solver && !ntk_solver_has_leave_one_out(w->o.solver))
        return usage("--loo: the solver '%s' has none; cholesky, eigen, out-of-core and landmarks have", w->o.solver);
    if (w->a->checkpoint && w->a->n_nets > 1)
        return usage("--checkpoint is of one --net, got %zu", w->a->n_nets);
    w->o.diag_reg = w->ridges[0];
    w->o.finite_time = !isinf(w->a->time);
    if (w->o.finite_time && (w->a->leave_one_out || ridge_is_chosen(w->a)))
        note("leave-one-out is that of t = infinity");
    w->o.keep = w->n_ridges > 1 && !w->a->kernel && !w->o.finite_time; /* eigenvectors need it not */
    if (w->a->leave_one_out && w->n_ridges > FACTORS_MOST && !w->o.weights && !w->o.noise && !w->o.solver) {
        w->o.solver = "eigen";
        w->o.keep = 0;
    }
    if (w->a->leave_one_out && !w->o.solver && !w->o.finite_time)
        w->o.solver = "cholesky"; /* others that memory might choose have no leave-one-out */
    return EXIT_OK;
}

/* A failure of ridge number k; of several the message says which. */
static int fail_with(const ntk_ctx *ctx, const struct work *w, size_t k, ntk_status status)
{
    char ridge[40];

    if (w->n_ridges == 1)
        return fail(ctx, status);
    snprintf(ridge, sizeof ridge, "--diag-reg %g", w->ridges[k]);
    return fail_in(ctx, ridge, status);
}

/* The models' coefficients with ridge number k. */
static int fit_ridge(ntk_ctx *ctx, struct work *w, size_t k)
{
    const int64_t outputs = w->s->outputs, n = ntk_data_n(w->s->train);

    w->o.diag_reg = w->ridges[k];
    for (size_t i = 0; i < w->a->n_nets; i++) {
        const ntk_status status = k > 0 ? ntk_model_refit(w->models[i], NULL, 0, &w->o) : NTK_OK;

        if (status != NTK_OK)
            return fail_with(ctx, w, k, status);
        TRY(ctx, ntk_model_alpha_at(w->models[i], w->a->time, w->alpha));
        for (int64_t row = 0; row < n; row++)
            for (int64_t j = 0; j < outputs; j++)
                w->c[i][(row * (int64_t)w->n_ridges + (int64_t)k) * outputs + j] = w->alpha[row * outputs + j];
    }
    return EXIT_OK;
}

static int diagnose_all(ntk_ctx *ctx, struct work *w, size_t k)
{
    for (size_t i = 0; i < w->a->n_nets; i++)
        STEP(diagnose(ctx, w->a, w->s, w->o.weights, w->models[i], &w->r[i * w->n_ridges + k]));
    return EXIT_OK;
}

/* Test predictions of all from one kernel. */
static int score_all(ntk_ctx *ctx, struct work *w)
{
    const int64_t outputs = w->s->outputs, m = ntk_data_n(w->s->test), columns = outputs * (int64_t)w->n_ridges;
    double *f = malloc((size_t)(m * outputs) * sizeof *f);
    int code = f ? EXIT_OK : usage("no memory for the predictions");

    for (size_t i = 0; i < w->a->n_nets && code == EXIT_OK; i++)
        for (size_t k = 0; k < w->n_ridges && code == EXIT_OK; k++) {
            for (int64_t row = 0; row < m; row++)
                for (int64_t j = 0; j < outputs; j++)
                    f[row * outputs + j] = w->f[i][row * columns + (int64_t)k * outputs + j];
            code = score(ctx, w->a->test, w->s, f, &w->r[i * w->n_ridges + k]);
        }
    free(f);
    return code;
}

static int evaluate(ntk_ctx *ctx, struct work *w)
{
    const size_t last = w->n_ridges - 1;
    double start, fit = 0, predict;
    size_t bytes = 0;
    ntk_status status;

    STEP(options(w));
    if (ntk_ctx_ranks(ctx) > 1) /* of which none keeps the matrix */
        w->o.keep = 0;
    for (size_t i = 0; i < w->a->n_nets; i++) {
        size_t one;

        TRY(ctx, ntk_model_bytes(ctx, w->nets[i], w->s->train, w->s->outputs, &w->o, &one));
        bytes += one;
    }
    say_memory("fitting", bytes);
    start = ntk_seconds();
    status = ntk_models_fit(ctx, (const ntk_net *const *)w->nets, w->a->n_nets, w->s->train, w->s->y, w->s->outputs,
                            &w->o, w->models);
    if (status != NTK_OK)
        return fail_with(ctx, w, 0, status);
    for (size_t k = 0;; k++) {
        STEP(fit_ridge(ctx, w, k));
        fit += ntk_seconds() - start;
        if (k == last) /* which is looked at when its predictions are known to be numbers */
            break;
        STEP(diagnose_all(ctx, w, k));
        start = ntk_seconds();
    }
    start = ntk_seconds();
    TRY(ctx, ntk_models_apply(w->models, w->a->n_nets, w->averaged ? w->averaged : w->s->test,
                              w->s->outputs * (int64_t)w->n_ridges, (const double *const *)w->c, w->f));
    for (size_t i = 0; i < w->a->n_nets; i++)
        average(w->f[i], ntk_data_n(w->s->test), w->s->outputs * (int64_t)w->n_ridges, w->copies);
    predict = ntk_seconds() - start;
    for (size_t i = 0; i < w->a->n_nets * w->n_ridges; i++) {
        w->r[i].fit = fit;
        w->r[i].predict = predict;
    }
    STEP(score_all(ctx, w));
    return diagnose_all(ctx, w, last);
}

/* Room for coefficients and predictions. */
static int make_room(ntk_ctx *ctx, struct work *w)
{
    const size_t n = (size_t)ntk_data_n(w->s->train), m = (size_t)(w->copies * ntk_data_n(w->s->test));
    const size_t columns = (size_t)w->s->outputs * w->n_ridges;

    TRY(ctx, ntk_ctx_hold(ctx,
                          ntk_bytes((double)w->a->n_nets * (double)(n + m) * (double)columns * sizeof(double)),
                          "a table of predictions"));
    w->alpha = malloc(n * (size_t)w->s->outputs * sizeof *w->alpha);
    w->r = calloc(w->a->n_nets * w->n_ridges, sizeof *w->r);
    if (!w->alpha || !w->r)
        return usage("no memory for the predictions");
    for (size_t i = 0; i < w->a->n_nets; i++) {
        w->c[i] = malloc(n * columns * sizeof **w->c);
        w->f[i] = malloc(m * columns * sizeof **w->f);
        if (!w->c[i] || !w->f[i])
            return usage("no memory for the predictions");
    }
    return EXIT_OK;
}

static int evaluate_all(ntk_ctx *ctx, const struct args *a, struct samples *s, ntk_net *const *nets,
                        const double *ridges, size_t n_ridges)
{
    ntk_model *models[NETS_MAX] = {NULL};
    double *c[NETS_MAX] = {NULL}, *f[NETS_MAX] = {NULL}, start = ntk_seconds();
    struct work w = {.a = a, .s = s, .copies = 1, .ridges = ridges, .n_ridges = n_ridges, .nets = nets, .models = models, .c = c, .f = f};
    int code;

    STEP(samples_load(ctx, a, nets[0], NULL, true, s));
    STEP(average_copies(ctx, a, a->test, s->test, &w.averaged, &w.copies));
    start = ntk_seconds() - start;
    code = make_room(ctx, &w);
    if (code == EXIT_OK)
        code = evaluate(ctx, &w);
    for (size_t i = 0; i < a->n_nets * n_ridges && code == EXIT_OK; i++)
        w.r[i].load = start;
    if (code == EXIT_OK) {
        ranks_count(ctx);
        print_results(a, s, n_ridges, w.r);
        if (!a->json)
            ranks_say(NULL);
    }
    for (size_t i = 0; i < a->n_nets; i++) {
        ntk_model_free(models[i]);
        free(c[i]);
        free(f[i]);
    }
    ntk_data_free(w.averaged);
    free(w.alpha);
    free(w.r);
    return code;
}

int cmd_eval(ntk_ctx *ctx, const struct args *a);
int cmd_eval(ntk_ctx *ctx, const struct args *a)
{
    ntk_net *nets[NETS_MAX] = {NULL};
    struct samples s = {.y = NULL};
    double *ridges = NULL;
    size_t n_ridges;
    int code = isinf(a->time) ? EXIT_OK : check_no_weights(a, "time");

    if (code == EXIT_OK)
        code = parse_ridges(a->diag_reg, &ridges, &n_ridges);
    for (size_t i = 0; (i < a->n_nets || i == 0) && code == EXIT_OK; i++)
        code = parse_net(ctx, a, i, &nets[i]);
    if (code == EXIT_OK)
        code = evaluate_all(ctx, a, &s, nets, ridges, n_ridges);
    samples_free(&s);
    free(ridges);
    for (size_t i = 0; i < NETS_MAX; i++)
        ntk_net_free(nets[i]);
    return code;
}
