/* SPDX-License-Identifier: MIT
 *
 * ntk empirical: kernels of a finite network, or their mean over several.
 */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "cli.h"

struct job {
    ntk_data *x1, *x2;
    ntk_params *p;
    ntk_form form;
    unsigned get;
    void *k;
    double *mean, *error;
};

static int load(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    if (!a->x1)
        return usage("--x1 is missing, e.g. --x1 digits/test");
    if (a->full + a->trace + a->diagonal > 1)
        return usage("--full, --trace and --diagonal: give one of them");
    if (a->networks && (a->params || a->full || a->diagonal || !isnan(a->multiplier)))
        return usage(
            "--networks draws networks of --net, without --multiplier, and means are of the "
            "trace");
    STEP(parse_get(a->get, &j->get));
    if (j->get == (NTK_NNGP | NTK_NTK))
        return usage("--get both is for 'ntk kernel'; here it is ntk or nngp");
    j->form = a->full ? NTK_FULL : a->diagonal ? NTK_DIAGONAL : NTK_TRACE;
    STEP(check_array_output(a->out, a->networks ? 2 : 1, false));
    STEP(network_x(ctx, a, a->x1, a->train_limit, NULL, a->networks ? NULL : &j->p, &j->x1));
    return a->x2 ? network_x(ctx, a, a->x2, a->test_limit, ntk_data_schema(j->x1),
                             a->networks ? NULL : &j->p, &j->x2)
                 : EXIT_OK;
}

static int one(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;
    ntk_array arrays[2] = {{.name = "k", .shape = {n1, n2}, .ndim = 2}};
    ntk_array *const array = arrays;
    double size = 1;
    size_t bytes, named = 0;
    int64_t c;

    c = ntk_params_outputs(j->p);
    array->dtype = ntk_params_dtype(j->p);
    while (array->ndim < (j->form == NTK_FULL ? 4 : j->form == NTK_DIAGONAL ? 3 : 2))
        array->shape[array->ndim++] = c;
    for (int k = 0; k < array->ndim; k++)
        size *= (double)array->shape[k];
    bytes = ntk_bytes(size * (int)array->dtype);
    say_memory("the kernel", bytes);
    TRY(ctx, ntk_ctx_hold(ctx, bytes, "the kernel"));
    array->x = j->k = malloc(bytes);
    if (!j->k)
        return usage("no memory for the kernel");
    TRY(ctx, ntk_params_kernel(j->p, j->get, j->form, j->x1, j->x2, j->k));
    if (holds_several(a->out) && j->form != NTK_TRACE)
        named = outputs_array(ntk_params_schema(j->p), c, &arrays[1]);
    TRY(ctx, ntk_array_write(ctx, a->out, arrays, 1 + named));
    return EXIT_OK;
}

static int several(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;
    ntk_array arrays[] = {{.name = "mean", .dtype = NTK_F64, .ndim = 2, .shape = {n1, n2}},
                          {.name = "error", .dtype = NTK_F64, .ndim = 2, .shape = {n1, n2}}};
    ntk_net *net;
    ntk_dtype dtype;
    ntk_status status;

    TRY(ctx, ntk_ctx_hold(ctx, ntk_bytes((double)n1 * (double)n2 * 2 * sizeof *j->mean),
                          "the kernel's mean, with its error,"));
    arrays[0].x = j->mean = malloc((size_t)(n1 * n2) * sizeof *j->mean);
    arrays[1].x = j->error = malloc((size_t)(n1 * n2) * sizeof *j->error);
    if (!j->mean || !j->error)
        return usage("no memory for the kernel");
    STEP(parse_dtype(a->dtype, &dtype));
    STEP(parse_net(ctx, a, 0, &net));
    status = ntk_monte_carlo(ctx, net, j->get, j->x1, j->x2, dtype, 0, a->networks,
                             (uint64_t)a->seed, j->mean, j->error);
    ntk_net_free(net);
    TRY(ctx, status);
    TRY(ctx, ntk_array_write(ctx, a->out, arrays, 2));
    return EXIT_OK;
}

static void report(const struct args *a, const struct job *job)
{
    struct json j = {.f = stdout};

    json_open(&j, NULL, '{');
    json_integer(&j, "n1", ntk_data_n(job->x1));
    json_integer(&j, "n2", ntk_data_n(job->x2 ? job->x2 : job->x1));
    json_source(&j, "x1", a->x1, job->x1, NULL);
    if (job->x2)
        json_source(&j, "x2", a->x2, job->x2, NULL);
    json_text(&j, "out", a->out);
    json_close(&j, '}');
    putchar('\n');
}

int cmd_empirical(ntk_ctx *ctx, const struct args *a);
int cmd_empirical(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {0};
    int code = load(ctx, a, &j);

    if (code == EXIT_OK)
        code = a->networks ? several(ctx, a, &j) : one(ctx, a, &j);
    if (code == EXIT_OK && a->json)
        report(a, &j);
    ntk_data_free(j.x1);
    ntk_data_free(j.x2);
    ntk_params_free(j.p);
    free(j.k);
    free(j.mean);
    free(j.error);
    return code;
}
