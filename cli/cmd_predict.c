/* SPDX-License-Identifier: MIT
 *
 * ntk predict: predictions of a saved model.
 */
#include <math.h>
#include <stdlib.h>

#include "cli.h"

static int load(ntk_ctx *ctx, const struct args *a, const ntk_model *model, ntk_data **x)
{
    const ntk_scaler *scaler;
    ntk_targets targets;
    ntk_load_opts opts;
    ntk_data *scaled;

    ntk_load_opts_init(&opts);
    opts.target = a->target;
    opts.limit = a->test_limit;
    TRY(ctx, ntk_data_load(ctx, a->x, &opts, x));
    ntk_model_encoding(model, &scaler, &targets);
    if (scaler) {
        TRY(ctx, ntk_scaler_apply(scaler, *x, &scaled));
        ntk_data_free(*x);
        *x = scaled;
    }
    if (ntk_model_shape(model).spatial == 0)
        ntk_data_flatten(*x);
    return EXIT_OK;
}

static int write(ntk_ctx *ctx, const struct args *a, const ntk_model *model, int64_t m,
                 const double *mean, double *var)
{
    const ntk_array arrays[] = {
        {.name = "mean", .x = mean, .dtype = NTK_F64, .ndim = 2,
         .shape = {m, ntk_model_outputs(model)}},
        {.name = "std", .x = var, .dtype = NTK_F64, .ndim = 1, .shape = {m}},
    };

    for (int64_t i = 0; a->std && i < m; i++)
        var[i] = sqrt(fmax(var[i], 0));
    TRY(ctx, ntk_array_write(ctx, a->out, arrays, a->std ? 2 : 1));
    return EXIT_OK;
}

static void report(const struct args *a, const ntk_model *model, const ntk_data *x,
                   const double *mean)
{
    const ntk_scaler *scaler;
    ntk_targets targets;
    const int64_t m = ntk_data_n(x);
    double share;

    ntk_model_encoding(model, &scaler, &targets);
    share = targets == NTK_RAW ? (double)NAN : accuracy(x, mean, m, ntk_model_outputs(model));
    if (a->json) {
        struct json j = {.f = stdout};

        json_open(&j, NULL, '{');
        json_integer(&j, "n", m);
        json_integer(&j, "outputs", ntk_model_outputs(model));
        if (!isnan(share))
            json_number(&j, "accuracy", share);
        json_text(&j, "out", a->out);
        json_close(&j, '}');
        putchar('\n');
    } else if (!isnan(share)) {
        note("accuracy %.2f %% of %lld labelled samples", 100 * share, (long long)m);
    }
}

static int run(ntk_ctx *ctx, const struct args *a, ntk_model **model, ntk_data **x)
{
    double *mean, *var = NULL;
    int64_t m;
    int code;

    TRY(ctx, ntk_model_load(ctx, a->model, model));
    STEP(load(ctx, a, *model, x));
    m = ntk_data_n(*x);
    mean = malloc((size_t)(m * ntk_model_outputs(*model)) * sizeof *mean);
    var = malloc((size_t)m * sizeof *var);
    if (!mean || !var)
        code = usage("no memory for the predictions");
    else if (ntk_model_predict(*model, *x, mean, a->std ? var : NULL) != NTK_OK)
        code = fail(ctx, NTK_EINVAL);
    else
        code = write(ctx, a, *model, m, mean, var);
    if (code == EXIT_OK)
        report(a, *model, *x, mean);
    free(mean);
    free(var);
    return code;
}

int cmd_predict(ntk_ctx *ctx, const struct args *a);
int cmd_predict(ntk_ctx *ctx, const struct args *a)
{
    ntk_model *model = NULL;
    ntk_data *x = NULL;
    int code;

    if (!a->model || !a->x)
        return usage("--%s is missing", a->model ? "x" : "model");
    STEP(check_array_output(a->out, a->std ? 2 : 1));
    code = run(ctx, a, &model, &x);
    ntk_model_free(model);
    ntk_data_free(x);
    return code;
}
