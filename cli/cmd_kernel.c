/* SPDX-License-Identifier: MIT
 *
 * ntk kernel: NNGP and NTK matrices to a file.
 */
#include <stdlib.h>

#include "cli.h"

struct job {
    ntk_net *nets[NETS_MAX];
    ntk_data *x1, *x2;
    ntk_kernel *kernel;
    ntk_dtype dtype;
    unsigned get;
    void *out[2 * NETS_MAX];
};

static int load(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const char *x1 = a->x1;

    if (!x1)
        return usage("--x1 is missing, e.g. --x1 digits/test");
    STEP(parse_dtype(a->dtype, &j->dtype));
    STEP(parse_get(a->get, &j->get));
    STEP(check_array_output(a->out, a->n_nets * (j->get == (NTK_NNGP | NTK_NTK) ? 2 : 1), false));
    for (size_t i = 0; i < a->n_nets || i == 0; i++)
        STEP(parse_net(ctx, a, i, &j->nets[i]));
    STEP(load_x(ctx, a, x1, a->train_limit, j->nets[0], NULL, &j->x1));
    if (a->x2)
        STEP(load_x(ctx, a, a->x2, a->test_limit, j->nets[0], ntk_data_schema(j->x1), &j->x2));
    return EXIT_OK;
}

static int compute(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const ntk_net *nets[NETS_MAX];
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;
    size_t bytes;

    for (size_t i = 0; i < a->n_nets; i++)
        nets[i] = j->nets[i];
    TRY(ctx, ntk_kernel_new(ctx, nets, a->n_nets, j->get, j->dtype, ntk_data_shape(j->x1),
                            &j->kernel));
    TRY(ctx, ntk_kernel_bytes(j->kernel, j->x1, j->x2, &bytes));
    say_memory("the kernel", bytes);
    TRY(ctx, ntk_ctx_check_memory(ctx, bytes, "the kernel"));
    for (size_t m = 0; m < ntk_kernel_outputs(j->kernel); m++) {
        j->out[m] = malloc((size_t)n1 * (size_t)n2 * j->dtype);
        if (!j->out[m])
            return usage("no memory for a %lld x %lld matrix", (long long)n1, (long long)n2);
    }
    TRY(ctx, ntk_kernel_compute(j->kernel, j->x1, j->x2, j->out));
    return EXIT_OK;
}

/* One matrix goes to .npy; several to .npz, named nngp, ntk or 0.ntk, 1.ntk, ... */
static int store(ntk_ctx *ctx, const struct args *a, const struct job *j)
{
    const size_t n = ntk_kernel_outputs(j->kernel), each = n / a->n_nets;
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;
    ntk_array arrays[2 * NETS_MAX];
    char names[2 * NETS_MAX][16];

    for (size_t m = 0; m < n; m++) {
        const bool nngp = each == 2 ? m % 2 == 0 : j->get == NTK_NNGP;

        if (a->n_nets > 1)
            snprintf(names[m], sizeof names[m], "%zu.%s", m / each, nngp ? "nngp" : "ntk");
        else
            snprintf(names[m], sizeof names[m], "%s", nngp ? "nngp" : "ntk");
        arrays[m] = (ntk_array){
            .name = names[m], .x = j->out[m], .dtype = j->dtype, .ndim = 2, .shape = {n1, n2}};
    }
    TRY(ctx, ntk_array_write(ctx, a->out, arrays, n));
    return EXIT_OK;
}

static int run(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    double start;

    STEP(load(ctx, a, j));
    start = ntk_seconds();
    STEP(compute(ctx, a, j));
    start = ntk_seconds() - start;
    STEP(store(ctx, a, j));
    if (a->json) {
        struct json json = {.f = stdout};

        json_open(&json, NULL, '{');
        json_integer(&json, "n1", ntk_data_n(j->x1));
        json_integer(&json, "n2", ntk_data_n(j->x2 ? j->x2 : j->x1));
        json_integer(&json, "matrices", (int64_t)ntk_kernel_outputs(j->kernel));
        json_number(&json, "seconds", start);
        json_source(&json, "x1", a->x1, j->x1, NULL);
        if (j->x2)
            json_source(&json, "x2", a->x2, j->x2, NULL);
        json_text(&json, "out", a->out);
        json_close(&json, '}');
        putchar('\n');
    }
    return EXIT_OK;
}

int cmd_kernel(ntk_ctx *ctx, const struct args *a);
int cmd_kernel(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {{NULL}, NULL, NULL, NULL, NTK_F64, 0, {NULL}};
    const int code = run(ctx, a, &j);

    for (size_t i = 0; i < NETS_MAX; i++)
        ntk_net_free(j.nets[i]);
    for (size_t m = 0; m < 2 * NETS_MAX; m++)
        free(j.out[m]);
    ntk_data_free(j.x1);
    ntk_data_free(j.x2);
    ntk_kernel_free(j.kernel);
    return code;
}
