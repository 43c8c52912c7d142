/* SPDX-License-Identifier: MIT
 *
 * network.c - finite networks of the commands init, apply, empirical, train and dynamics.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int parse_shape(const char *text, ntk_shape *shape)
{
    int64_t v[3];
    int n = 0;
    const char *at = text;

    for (; n < 3; n++) {
        char *end;

        v[n] = strtoll(at, &end, 10);
        if (end == at || v[n] < 1 || (*end && *end != ','))
            break;
        at = *end ? end + 1 : end;
        if (!*end) {
            n++;
            *shape = n == 1   ? (ntk_shape){0, 1, 1, v[0]}
                     : n == 2 ? (ntk_shape){1, 1, v[0], v[1]}
                              : (ntk_shape){2, v[0], v[1], v[2]};
            return EXIT_OK;
        }
    }
    return usage("--input-shape must be 784, 100,4 or 32,32,3 or the like, got '%s'", text);
}

static int draw(ntk_ctx *ctx, const struct args *a, const ntk_data *x, ntk_params **params)
{
    ntk_shape shape;
    ntk_dtype dtype;
    ntk_net *net;
    ntk_status status;

    STEP(parse_dtype(a->dtype, &dtype));
    if (x)
        shape = ntk_data_shape(x);
    else
        STEP(parse_shape(a->input_shape ? a->input_shape : "", &shape));
    STEP(parse_net(ctx, a, 0, &net));
    status = ntk_params_new(ctx, net, shape, dtype, (uint64_t)a->seed, params);
    ntk_net_free(net);
    TRY(ctx, status);
    return EXIT_OK;
}

static int read_params(ntk_ctx *ctx, const struct args *a, ntk_params **params)
{
    TRY(ctx, ntk_params_load(ctx, a->params, params));
    if (columns_of(ntk_params_schema(*params)) && (a->drop || a->features)) {
        ntk_params_free(*params);
        *params = NULL;
        return usage("--%s and --params: columns are those that the network was trained on",
                     a->drop ? "drop" : "features");
    }
    return EXIT_OK;
}

int network_load(ntk_ctx *ctx, const struct args *a, const ntk_data *x, ntk_params **params)
{
    if (a->params && a->n_nets)
        return usage("--net and --params: the parameters' file has its own net; leave one out");
    if (a->params && a->dtype)
        return usage("--dtype and --params: the parameters' file has its own type; leave one out");
    if (a->params)
        STEP(read_params(ctx, a, params));
    else
        STEP(draw(ctx, a, x, params));
    if (!isnan(a->multiplier)) {
        const ntk_status status = ntk_params_set_multiplier(*params, a->multiplier);

        if (status != NTK_OK) {
            ntk_params_free(*params);
            *params = NULL;
        }
        TRY(ctx, status);
    }
    return EXIT_OK;
}

/* Columns of a table that are not known by name, and perhaps were standardised, are only hoped to be right. */
static void check_known(const struct args *a, const ntk_params *params, const char *source, const ntk_data *x)
{
    const ntk_schema *own = ntk_data_schema(x);

    if (own && ntk_schema_table(own) && !columns_of(ntk_params_schema(params)))
        note("%s has no names of columns: they are taken in the order of %s, %s", a->params, source,
             ntk_params_scaler(params) ? "standardised as in training" : "as they are");
}

int network_x(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
              const ntk_schema *like, ntk_params **params, ntk_data **x)
{
    ntk_net *net = NULL;
    int code;

    if (a->params && params && !*params)
        STEP(network_load(ctx, a, NULL, params));
    if (!a->params)
        STEP(parse_net(ctx, a, 0, &net));
    if (params && *params && columns_of(ntk_params_schema(*params)))
        like = ntk_params_schema(*params);
    code = load_x(ctx, a, source, limit, net, like, x);
    ntk_net_free(net);
    STEP(code);
    if (a->params && params) {
        check_known(a, *params, source, *x);
        STEP(standardise(ctx, ntk_params_scaler(*params), x));
        if (ntk_params_shape(*params).spatial == 0)
            ntk_data_flatten(*x);
    }
    return params && !*params ? network_load(ctx, a, *x, params) : EXIT_OK;
}

int network_samples(ntk_ctx *ctx, const struct args *a, struct samples *s, ntk_params **params)
{
    ntk_net *net = NULL;
    int code;

    if (a->params)
        STEP(network_load(ctx, a, NULL, params));
    else
        STEP(parse_net(ctx, a, 0, &net));
    code = samples_load(ctx, a, net, *params, false, s);
    ntk_net_free(net);
    STEP(code);
    if (!*params)
        STEP(network_load(ctx, a, s->train, params));
    if (ntk_params_shape(*params).spatial == 0) {
        ntk_data_flatten(s->train);
        if (s->test)
            ntk_data_flatten(s->test);
    }
    if (ntk_params_outputs(*params) != s->outputs)
        return usage(
            "the network has %lld outputs, the targets have %lld: its last layer must have as many",
            (long long)ntk_params_outputs(*params), (long long)s->outputs);
    return EXIT_OK;
}

ntk_status network_outputs(const ntk_params *params, const ntk_data *x, double *f)
{
    const int64_t n = ntk_data_n(x) * ntk_params_outputs(params);
    void *raw = malloc((size_t)n * ntk_params_dtype(params));
    const ntk_status status = raw ? ntk_params_apply(params, x, raw) : NTK_ENOMEM;

    if (status == NTK_OK)
        to_double(ntk_params_dtype(params), n, raw, f);
    free(raw);
    return status;
}

ntk_status network_kernel(const ntk_params *params, ntk_form form, const ntk_data *x1,
                          const ntk_data *x2, double *k)
{
    const size_t c = (size_t)ntk_params_outputs(params);
    const size_t n =
        (size_t)ntk_data_n(x1) * (size_t)ntk_data_n(x2 ? x2 : x1) * (form == NTK_FULL ? c * c : 1);
    const bool same = ntk_params_dtype(params) == NTK_F64;
    void *raw = same ? k : malloc(n * sizeof(float));
    const ntk_status status =
        raw ? ntk_params_kernel(params, NTK_NTK, form, x1, x2, raw) : NTK_ENOMEM;

    if (status == NTK_OK && !same)
        to_double(NTK_F32, (int64_t)n, raw, k);
    if (!same)
        free(raw);
    return status;
}

void to_double(ntk_dtype dtype, int64_t n, const void *x, double *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = dtype == NTK_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
