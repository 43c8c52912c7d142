/* SPDX-License-Identifier: MIT
 *
 * about.c - ntk info --model or --params: what a file keeps of the samples that it was trained on, and of the fit.
 */
#include <string.h>

#include "cli.h"

struct about {
    ntk_shape shape; /* of a sample */
    int64_t outputs;
    const char *standardised;
    const ntk_scaler *scaler; /* NULL: none, or not known */
    const ntk_schema *schema; /* NULL: none */
    const ntk_model *model;   /* NULL: of parameters */
};

/* What a model was fitted with. */
struct fitted {
    ntk_fit_opts o;
    char *net;
    const char *kernel, *dtype, *ridge;
};

typedef const char *const *names_fn(const ntk_schema *schema, size_t *n);

static const char *const *classes(const ntk_schema *schema, size_t *n)
{
    return ntk_schema_classes(schema, n, NULL);
}

static const struct {
    const char *what;
    names_fn *names;
} lists[] = {{"features", ntk_schema_features}, {"target", ntk_schema_targets}, {"classes", classes}};
#define N_LISTS (sizeof lists / sizeof *lists)

static int find_fitted(ntk_ctx *ctx, const ntk_model *model, struct fitted *f)
{
    static const char *const kernels[] = {"nngp", "ntk", "ntk as a Gaussian process"};

    ntk_fit_opts_init(&f->o);
    TRY(ctx, ntk_model_opts(model, &f->o));
    TRY(ctx, ntk_net_print(ntk_model_net(model), &f->net));
    f->kernel = kernels[f->o.posterior];
    f->dtype = f->o.dtype == NTK_F32 ? "float32" : "float64";
    f->ridge = f->o.diag_reg_absolute ? "as it is" : "times the mean of the kernel's diagonal";
    return EXIT_OK;
}

static void print_fitted(const ntk_model *model, const struct fitted *f)
{
    printf("net              %s\n", f->net);
    printf("samples          %lld%s%s\n", (long long)ntk_model_n(model), f->o.weights ? ", with weights" : "",
           f->o.noise ? ", with noise" : "");
    printf("kernel           %s, %s\n", f->kernel, f->dtype);
    printf("ridge            %g, %s\n", f->o.diag_reg, f->ridge);
}

static void json_fitted(struct json *j, const ntk_model *model, const struct fitted *f)
{
    json_text(j, "net", f->net);
    json_integer(j, "samples", ntk_model_n(model));
    json_bool(j, "weights", f->o.weights);
    json_bool(j, "noise", f->o.noise);
    json_text(j, "kernel", f->kernel);
    json_text(j, "dtype", f->dtype);
    json_number(j, "diag_reg", f->o.diag_reg);
    json_bool(j, "absolute", f->o.diag_reg_absolute);
}

static void print(const struct about *f, const struct fitted *with)
{
    if (f->model)
        print_fitted(f->model, with);
    print_shape("sample           ", f->shape);
    printf("outputs          %lld\n", (long long)f->outputs);
    printf("standardisation  %s\n", f->standardised);
    for (size_t k = 0; k < N_LISTS && f->schema; k++) {
        size_t n;
        const char *const *names = lists[k].names(f->schema, &n);

        for (size_t i = 0; i < n; i++) {
            const char *quote = strchr(names[i], ',') ? "\"" : "";

            printf("%-*s%s%s%s%s", i ? 0 : 17, i ? "" : lists[k].what, quote, names[i], quote,
                   i + 1 < n ? ", " : "\n");
        }
    }
}

static void json_numbers(struct json *j, const char *key, const double *x, int64_t n)
{
    json_open(j, key, '[');
    for (int64_t k = 0; k < n; k++)
        json_number(j, NULL, x[k]);
    json_close(j, ']');
}

static void print_json(const struct about *f, const struct fitted *with)
{
    struct json j = {.f = stdout};
    const double *mean, *deviation;

    json_open(&j, NULL, '{');
    if (f->model)
        json_fitted(&j, f->model, with);
    json_shape(&j, "sample", f->shape);
    json_integer(&j, "outputs", f->outputs);
    json_text(&j, "standardisation", f->standardised);
    if (f->scaler && ntk_scaler_numbers(f->scaler, &mean, &deviation)) {
        const int64_t n = ntk_scaler_numbers(f->scaler, &mean, &deviation);

        json_numbers(&j, "mean", mean, n);
        json_numbers(&j, "deviation", deviation, n);
    }
    for (size_t k = 0; k < N_LISTS && f->schema; k++) {
        size_t n;
        const char *const *names = lists[k].names(f->schema, &n);

        if (n)
            json_texts(&j, lists[k].what, names, n);
    }
    json_close(&j, '}');
    putchar('\n');
}

static int report(ntk_ctx *ctx, const struct args *a, struct about *f, const char *without)
{
    struct fitted with = {.net = NULL};

    if (f->model)
        STEP(find_fitted(ctx, f->model, &with));
    f->standardised = f->scaler ? standardisations[ntk_scaler_kind(f->scaler)] : without;
    if (a->json)
        print_json(f, &with);
    else
        print(f, &with);
    ntk_text_free(with.net);
    return EXIT_OK;
}

static int about_model(ntk_ctx *ctx, const struct args *a)
{
    struct about f = {.outputs = 0};
    ntk_targets targets;
    ntk_model *m;
    int code;

    TRY(ctx, ntk_model_load(ctx, a->model, &m));
    f.shape = ntk_model_shape(m);
    f.outputs = ntk_model_outputs(m);
    ntk_model_encoding(m, &f.scaler, &targets);
    f.schema = ntk_model_schema(m);
    f.model = m;
    code = report(ctx, a, &f, "none");
    ntk_model_free(m);
    return code;
}

static int about_params(ntk_ctx *ctx, const struct args *a)
{
    struct about f = {.outputs = 0};
    ntk_params *p;
    int code;

    TRY(ctx, ntk_params_load(ctx, a->params, &p));
    f.shape = ntk_params_shape(p);
    f.outputs = ntk_params_outputs(p);
    f.scaler = ntk_params_scaler(p);
    f.schema = ntk_params_schema(p);
    code = report(ctx, a, &f, "not known");
    ntk_params_free(p);
    return code;
}

int about_file(ntk_ctx *ctx, const struct args *a)
{
    if (a->model && a->params)
        return usage("--model and --params: one file at a time");
    return a->model ? about_model(ctx, a) : about_params(ctx, a);
}
