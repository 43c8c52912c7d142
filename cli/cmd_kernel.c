/* SPDX-License-Identifier: MIT
 *
 * ntk kernel: NNGP and NTK matrices to a file, or to a store in which they are kept.
 */
#include <stdlib.h>

#include "base/base.h"
#include "cli.h"

struct job {
    ntk_net *nets[NETS_MAX];
    ntk_data *x1, *x2;
    ntk_dtype dtype;
    unsigned get;
    size_t n; /* matrices */
    void *out[2 * NETS_MAX];
};

static int load(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const char *x1 = a->x1;

    if (!x1)
        return usage("--x1 is missing, e.g. --x1 digits/test");
    STEP(parse_dtype(a->dtype, &j->dtype));
    STEP(parse_get(a->get, &j->get));
    j->n = a->n_nets * (j->get == (NTK_NNGP | NTK_NTK) ? 2 : 1);
    if (a->out || !a->store)
        STEP(check_array_output(a->out, j->n, false));
    for (size_t i = 0; i < a->n_nets || i == 0; i++)
        STEP(parse_net(ctx, a, i, &j->nets[i]));
    STEP(load_x(ctx, a, x1, a->train_limit, j->nets[0], NULL, &j->x1));
    if (a->x2)
        STEP(load_x(ctx, a, a->x2, a->test_limit, j->nets[0], ntk_data_schema(j->x1), &j->x2));
    return EXIT_OK;
}

static int make_room(struct job *j)
{
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;

    for (size_t m = 0; m < j->n; m++) {
        j->out[m] = malloc((size_t)n1 * (size_t)n2 * j->dtype);
        if (!j->out[m])
            return usage("no memory for a %lld x %lld matrix", (long long)n1, (long long)n2);
    }
    return EXIT_OK;
}

static int compute(ntk_ctx *ctx, struct job *j, const ntk_kernel *kernel)
{
    size_t bytes;

    TRY(ctx, ntk_kernel_bytes(kernel, j->x1, j->x2, &bytes));
    say_memory("the kernel", bytes);
    TRY(ctx, ntk_ctx_check_memory(ctx, bytes, "the kernel"));
    STEP(make_room(j));
    TRY(ctx, ntk_kernel_compute(kernel, j->x1, j->x2, j->out));
    return EXIT_OK;
}

/* Blocks first, so that a result that is too large for memory is in the store all the same. */
static int compute_blocks(ntk_ctx *ctx, const struct args *a, struct job *j, ntk_files *files)
{
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;

    TRY(ctx, ntk_files_compute(files, NULL));
    if (!a->out)
        return EXIT_OK;
    TRY(ctx, ntk_ctx_check_memory(ctx, ntk_bytes((double)j->n * (double)n1 * (double)n2 * (double)j->dtype), "the kernel"));
    STEP(make_room(j));
    TRY(ctx, ntk_files_compute(files, j->out));
    return EXIT_OK;
}

static int compute_all(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const ntk_net *nets[NETS_MAX];
    ntk_kernel *kernel = NULL;
    ntk_files *files = NULL;
    int code;

    for (size_t i = 0; i < a->n_nets; i++)
        nets[i] = j->nets[i];
    if (a->store)
        TRY(ctx, ntk_files_open(ctx, a->store, nets, a->n_nets, j->get, j->dtype, j->x1, j->x2, &files));
    else
        TRY(ctx, ntk_kernel_new(ctx, nets, a->n_nets, j->get, j->dtype, ntk_data_shape(j->x1), &kernel));
    code = files ? compute_blocks(ctx, a, j, files) : compute(ctx, j, kernel);
    ntk_files_free(files);
    ntk_kernel_free(kernel);
    return code;
}

/* One matrix goes to .npy; several to .npz, named nngp, ntk or 0.ntk, 1.ntk, ... */
static int write(ntk_ctx *ctx, const struct args *a, const struct job *j)
{
    const size_t n = j->n, each = n / a->n_nets;
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
    STEP(compute_all(ctx, a, j));
    start = ntk_seconds() - start;
    if (a->out)
        STEP(write(ctx, a, j));
    if (a->json) {
        struct json json = {.f = stdout};

        json_open(&json, NULL, '{');
        json_integer(&json, "n1", ntk_data_n(j->x1));
        json_integer(&json, "n2", ntk_data_n(j->x2 ? j->x2 : j->x1));
        json_integer(&json, "matrices", (int64_t)j->n);
        json_number(&json, "seconds", start);
        json_source(&json, "x1", a->x1, j->x1, NULL);
        if (j->x2)
            json_source(&json, "x2", a->x2, j->x2, NULL);
        if (a->out)
            json_text(&json, "out", a->out);
        json_close(&json, '}');
        putchar('\n');
    }
    return EXIT_OK;
}

int cmd_kernel(ntk_ctx *ctx, const struct args *a);
int cmd_kernel(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {.dtype = NTK_F64};
    const int code = run(ctx, a, &j);

    for (size_t i = 0; i < NETS_MAX; i++)
        ntk_net_free(j.nets[i]);
    for (size_t m = 0; m < 2 * NETS_MAX; m++)
        free(j.out[m]);
    ntk_data_free(j.x1);
    ntk_data_free(j.x2);
    return code;
}
