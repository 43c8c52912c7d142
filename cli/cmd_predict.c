/* SPDX-License-Identifier: MIT
 *
 * ntk predict: predictions of a saved model.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Predictions at m samples. */
struct job {
    ntk_model *model;
    ntk_data *x;
    ntk_data *averaged;        /* copies of its samples, or NULL; how many of each */
    int64_t copies;
    const ntk_scaler *scaler;  /* the model's, as the next two */
    const ntk_schema *schema;
    ntk_targets targets;
    const double *shift, *scale; /* [outputs], units of the targets; NULL: none */
    int64_t m, outputs;
    int64_t spreads; /* deviations of a sample: one for all outputs, or with units one for each */
    double *mean;    /* [m][outputs]; probabilities with --proba */
    double *var;     /* [m]; then deviations, [m][spreads] */
    double *chosen;        /* [m] the class with the largest output */
    char (*numbers)[32];   /* names of outputs that have none */
    const char **names;    /* [outputs] of classes or targets */
    char *text;            /* with what stands before them in a CSV */
    ntk_column *columns;
};

static int load(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    STEP(load_source(ctx, a, a->x, a->test_limit, j->schema, &j->x));
    say_source(a->x, j->x, NULL);
    if (ntk_data_schema(j->x) && ntk_schema_table(ntk_data_schema(j->x)) && !columns_of(j->schema))
        note("%s has no names of columns: they are taken in the order of %s", a->model, a->x);
    STEP(standardise(ctx, j->scaler, &j->x));
    if (j->targets != NTK_RAW && j->schema)
        STEP(number_labels(ctx, a->x, j->schema, j->x));
    if (ntk_model_shape(j->model).spatial == 0)
        ntk_data_flatten(j->x);
    j->m = ntk_data_n(j->x);
    return average_copies(ctx, a, a->x, j->x, &j->averaged, &j->copies);
}

/* Outputs become softmax(b f). */
static void to_probabilities(struct job *j, double b)
{
    for (int64_t i = 0; i < j->m; i++) {
        double *f = j->mean + i * j->outputs, most = f[0], total = 0;

        for (int64_t k = 1; k < j->outputs; k++)
            most = fmax(most, f[k]);
        for (int64_t k = 0; k < j->outputs; k++)
            total += f[k] = exp(b * (f[k] - most));
        for (int64_t k = 0; k < j->outputs; k++)
            f[k] /= total;
    }
}

static void to_units(struct job *j)
{
    for (int64_t i = 0; i < j->m && j->shift; i++)
        for (int64_t k = 0; k < j->outputs; k++)
            j->mean[i * j->outputs + k] = j->shift[k] + j->scale[k] * j->mean[i * j->outputs + k];
}

/* Variances become deviations, in the targets' units: from the end, as these may be more. */
static void to_deviations(struct job *j)
{
    for (int64_t i = j->m; i-- > 0;) {
        const double deviation = sqrt(fmax(j->var[i], 0));

        for (int64_t k = 0; k < j->spreads; k++)
            j->var[i * j->spreads + k] = deviation * (j->scale ? j->scale[k] : 1);
    }
}

static int compute(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    double b;

    j->spreads = j->scale ? j->outputs : 1;
    TRY(ctx, ntk_ctx_hold(ctx, (size_t)j->m * (size_t)(j->copies * j->outputs + j->spreads + 1) * sizeof *j->mean,
                          "a table of predictions"));
    j->mean = malloc((size_t)(j->copies * j->m * j->outputs) * sizeof *j->mean);
    j->var = malloc((size_t)(j->m * j->spreads) * sizeof *j->var);
    j->chosen = malloc((size_t)j->m * sizeof *j->chosen);
    if (!j->mean || !j->var || !j->chosen)
        return usage("no memory for the predictions");
    TRY(ctx, ntk_model_predict(j->model, j->averaged ? j->averaged : j->x, j->mean, a->std ? j->var : NULL));
    average(j->mean, j->m, j->outputs, j->copies);
    to_units(j);
    if (a->std)
        to_deviations(j);
    for (int64_t i = 0; i < j->m; i++) {
        const double *f = j->mean + i * j->outputs;
        int64_t best = 0;

        for (int64_t k = 1; k < j->outputs; k++)
            best = f[k] > f[best] ? k : best;
        j->chosen[i] = (double)best;
    }
    if (!a->proba)
        return EXIT_OK;
    TRY(ctx, ntk_model_sharpness(j->model, &b));
    to_probabilities(j, b);
    return EXIT_OK;
}

/* ---- names of the outputs: of classes or of target columns, else numbers */

static int name_outputs(struct job *j)
{
    const char *const *known = NULL;
    size_t n = 0;

    j->names = malloc((size_t)j->outputs * sizeof *j->names);
    j->numbers = malloc((size_t)j->outputs * sizeof *j->numbers);
    if (!j->names || !j->numbers)
        return usage("no memory for the names");
    if (j->schema)
        known = j->targets == NTK_RAW ? ntk_schema_targets(j->schema, &n)
                                      : ntk_schema_classes(j->schema, &n, NULL);
    for (int64_t k = 0; k < j->outputs; k++) {
        snprintf(j->numbers[k], sizeof *j->numbers, "%lld", (long long)k);
        j->names[k] = known && n == (size_t)j->outputs ? known[k] : j->numbers[k];
    }
    return EXIT_OK;
}

/* class, output_NAME for each of them, std; or TARGET, std; std_NAME for each of several targets in units of their own. */
static int write_csv(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const bool classes = j->targets != NTK_RAW;
    const char *before = a->proba ? "proba_" : "output_";
    size_t size = 1, n = 0;
    char *at;

    for (int64_t k = 0; k < j->outputs; k++)
        size += strlen(before) + 2 * strlen(j->names[k]) + sizeof "std_" + 1;
    at = j->text = malloc(size);
    j->columns = malloc((size_t)(j->outputs + j->spreads + 1) * sizeof *j->columns);
    if (!j->text || !j->columns)
        return usage("no memory for the names");
    if (classes)
        j->columns[n++] = (ntk_column){.name = "class", .x = j->chosen, .stride = 1, .words = j->names};
    for (int64_t k = 0; k < j->outputs; k++) {
        const bool named = !classes && has_words(j->names[k]);
        const int length = sprintf(at, "%s%s", named ? "" : before, j->names[k]);

        j->columns[n++] = (ntk_column){.name = at, .x = j->mean + k, .stride = j->outputs};
        at += length + 1;
    }
    for (int64_t k = 0; a->std && k < j->spreads; k++) {
        const int length = sprintf(at, "std%s%s", j->spreads > 1 ? "_" : "", j->spreads > 1 ? j->names[k] : "");

        j->columns[n++] = (ntk_column){.name = at, .x = j->var + k, .stride = j->spreads};
        at += length + 1;
    }
    TRY(ctx, ntk_csv_write(ctx, a->out, j->columns, n, j->m));
    return EXIT_OK;
}

/* One array to .npy; to others what the outputs are, too. */
static int write_arrays(ntk_ctx *ctx, const struct args *a, const struct job *j)
{
    ntk_array arrays[3];
    size_t n = 0;

    arrays[n++] = (ntk_array){.name = a->proba ? "proba" : "mean",
                              .x = j->mean,
                              .dtype = NTK_F64,
                              .ndim = 2,
                              .shape = {j->m, j->outputs}};
    if (a->std)
        arrays[n++] = (ntk_array){.name = "std",
                                  .x = j->var,
                                  .dtype = NTK_F64,
                                  .ndim = j->spreads > 1 ? 2 : 1,
                                  .shape = {j->m, j->spreads}};
    if (holds_several(a->out))
        n += outputs_array(j->schema, j->outputs, &arrays[n]);
    TRY(ctx, ntk_array_write(ctx, a->out, arrays, n));
    return EXIT_OK;
}

/* ---- report */

/* Root of the mean squared error; NAN without targets. */
static double rmse(const struct job *j)
{
    int64_t columns;
    double *y, error = (double)NAN;

    if (j->targets != NTK_RAW || !ntk_data_y(j->x, &columns) || columns != j->outputs)
        return error;
    y = malloc((size_t)(j->m * columns) * sizeof *y);
    if (y && ntk_data_targets(j->x, NTK_RAW, 0, y) == NTK_OK)
        error = sqrt(mean_squared_error(j->mean, y, j->m * columns));
    free(y);
    return error;
}

static void report(const struct args *a, const struct job *j)
{
    const double share = j->targets == NTK_RAW ? (double)NAN : accuracy(j->x, j->mean, j->m, j->outputs);
    const double error = rmse(j);

    if (a->json) {
        struct json json = {.f = stdout};

        json_open(&json, NULL, '{');
        json_integer(&json, "n", j->m);
        json_integer(&json, "outputs", j->outputs);
        if (!isnan(share))
            json_number(&json, "accuracy", share);
        if (!isnan(error))
            json_number(&json, "rmse", error);
        json_source(&json, "x", a->x, j->x, NULL);
        json_text(&json, "out", a->out);
        json_close(&json, '}');
        putchar('\n');
    } else if (!isnan(share)) {
        note("accuracy %.2f %% of %lld labelled samples", 100 * share, (long long)j->m);
    } else if (!isnan(error)) {
        note("RMSE %.6g of %lld samples with targets", error, (long long)j->m);
    }
}

static int run(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    TRY(ctx, ntk_model_load(ctx, a->model, &j->model));
    ntk_model_encoding(j->model, &j->scaler, &j->targets);
    ntk_model_units(j->model, &j->shift, &j->scale);
    j->schema = ntk_model_schema(j->model);
    j->outputs = ntk_model_outputs(j->model);
    STEP(check_scaled(a, j->scaler ? ntk_scaler_kind(j->scaler) : NTK_STD_NONE));
    if (a->proba && j->targets == NTK_RAW)
        return usage("--proba is of classes; %s was fitted to numbers (--targets raw)", a->model);
    STEP(load(ctx, a, j));
    STEP(compute(ctx, a, j));
    STEP(name_outputs(j));
    STEP(ends_with(a->out, ".csv") ? write_csv(ctx, a, j) : write_arrays(ctx, a, j));
    report(a, j);
    return EXIT_OK;
}

int cmd_predict(ntk_ctx *ctx, const struct args *a);
int cmd_predict(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {.model = NULL};
    int code;

    if (!a->model || !a->x)
        return usage("--%s is missing", a->model ? "x" : "model");
    if (a->average && a->std)
        return usage("--std is of a prediction, not of a mean of several: leave --std or --average out");
    if (a->input_shape && !a->average)
        return usage("--input-shape is for --average");
    STEP(check_array_output(a->out, a->std ? 2 : 1, true));
    code = run(ctx, a, &j);
    ntk_model_free(j.model);
    ntk_data_free(j.x);
    ntk_data_free(j.averaged);
    free(j.mean);
    free(j.var);
    free(j.chosen);
    free(j.numbers);
    free(j.names);
    free(j.text);
    free(j.columns);
    return code;
}
