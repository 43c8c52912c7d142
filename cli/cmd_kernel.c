/* SPDX-License-Identifier: MIT
 *
 * ntk kernel: NNGP and NTK matrices, to a file of arrays or, tile by tile, to a store.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli.h"

struct job {
    ntk_net *nets[NETS_MAX];
    ntk_data *file1, *x2;
    struct samples s;
    const ntk_data *x1, *test; /* the one's, or of the other */
    ntk_dtype dtype;
    unsigned get;
    const char *store; /* where it is; NULL: none */
    bool arrays;       /* --out is one of arrays */
    size_t n;          /* matrices */
    void *out[2 * NETS_MAX];
};

/* ---- what is asked for */

static int check_options(const struct args *a, struct job *j)
{
    const bool h5 = a->out && ends_with(a->out, ".h5");

    if (!a->x1 && !a->train)
        return usage("--x1 is missing, e.g. --x1 digits/test");
    if (a->train && (a->x1 || a->x2))
        return usage("--train and --test are samples as 'ntk eval' takes them, --x1 and --x2 any: give the ones or the others");
    if (a->augment && !a->train)
        return usage("--augment is for --train: the samples of --x1 and --x2 are taken as they are");
    if (a->standardize && !a->train)
        return usage("--standardize is for --train: the samples of --x1 and --x2 are taken as they are");
    if (h5 && a->kernel)
        return usage("--out %s is a store itself: leave --kernel out", a->out);
    if (a->test && !a->train)
        return usage("--test needs --train");
    j->store = h5 ? a->out : a->kernel;
    j->arrays = a->out && !h5;
    if (a->test && j->arrays)
        return usage("--test is for a store: --out must end with .h5, got '%s'", a->out);
    if (j->store)
        STEP(check_hdf5_output(h5 ? "out" : "kernel", j->store));
    if (j->arrays || !j->store)
        STEP(check_array_output(a->out, j->n, false));
    return EXIT_OK;
}

static int load(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    STEP(parse_dtype(a->dtype, &j->dtype));
    STEP(parse_get(a->get, &j->get));
    j->n = a->n_nets * (j->get == (NTK_NNGP | NTK_NTK) ? 2 : 1);
    STEP(check_options(a, j));
    for (size_t i = 0; i < a->n_nets || i == 0; i++)
        STEP(parse_net(ctx, a, i, &j->nets[i]));
    if (a->train) {
        STEP(samples_load_x(ctx, a, j->nets[0], &j->s));
        j->x1 = j->s.train;
        j->test = j->s.test;
        return EXIT_OK;
    }
    STEP(load_x(ctx, a, a->x1, a->train_limit, j->nets[0], NULL, &j->file1));
    j->x1 = j->file1;
    if (a->x2)
        STEP(load_x(ctx, a, a->x2, a->test_limit, j->nets[0], ntk_data_schema(j->x1), &j->x2));
    return EXIT_OK;
}

/* ---- the work */

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

/* Tiles first, so that a result that is too large for memory is in the store all the same. */
static int fill(ntk_ctx *ctx, struct job *j, ntk_kernel_store *store)
{
    const int64_t n1 = ntk_data_n(j->x1), n2 = j->x2 ? ntk_data_n(j->x2) : n1;

    TRY(ctx, ntk_store_fill(store));
    if (!j->arrays)
        return EXIT_OK;
    TRY(ctx, ntk_ctx_check_memory(ctx, ntk_bytes((double)j->n * (double)n1 * (double)n2 * (double)j->dtype), "the kernel"));
    STEP(make_room(j));
    TRY(ctx, ntk_store_compute(store, j->out));
    return EXIT_OK;
}

static int compute_all(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    const ntk_net *nets[NETS_MAX];
    ntk_kernel *kernel = NULL;
    ntk_kernel_store *store = NULL;
    int code;

    for (size_t i = 0; i < a->n_nets; i++)
        nets[i] = j->nets[i];
    if (j->store)
        TRY(ctx, ntk_store_open(ctx, j->store, nets, a->n_nets, j->get, j->dtype, j->x1, j->x2, j->test, &store));
    else
        TRY(ctx, ntk_kernel_new(ctx, nets, a->n_nets, j->get, j->dtype, ntk_data_shape(j->x1), &kernel));
    code = store ? fill(ctx, j, store) : compute(ctx, j, kernel);
    ntk_store_free(store);
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

static void report(const struct args *a, const struct job *j, double seconds)
{
    struct json json = {.f = stdout};

    json_open(&json, NULL, '{');
    json_integer(&json, "n1", ntk_data_n(j->x1));
    json_integer(&json, "n2", ntk_data_n(j->x2 ? j->x2 : j->x1));
    if (j->test)
        json_integer(&json, "m", ntk_data_n(j->test));
    json_integer(&json, "matrices", (int64_t)j->n);
    json_number(&json, "seconds", seconds);
    json_source(&json, a->train ? "train" : "x1", a->train ? a->train : a->x1, a->train ? j->s.train_file : j->file1, NULL);
    if (j->x2 || j->test)
        json_source(&json, j->x2 ? "x2" : "test", j->x2 ? a->x2 : a->test, j->x2 ? j->x2 : j->test, NULL);
    if (a->out)
        json_text(&json, "out", a->out);
    json_close(&json, '}');
    putchar('\n');
}

static int run(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    double start;

    if ((a->info != NULL) + (a->verify != NULL) + (a->mend != NULL) > 1)
        return usage("--info, --verify and --mend are commands of their own: give one");
    if (a->info)
        return store_info(ctx, a);
    if (a->verify)
        return store_verify(ctx, a);
    if (a->mend)
        return store_mend(ctx, a);
    STEP(load(ctx, a, j));
    start = ntk_seconds();
    STEP(compute_all(ctx, a, j));
    start = ntk_seconds() - start;
    if (j->arrays)
        STEP(write(ctx, a, j));
    if (a->json)
        report(a, j, start);
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
    samples_free(&j.s);
    ntk_data_free(j.file1);
    ntk_data_free(j.x2);
    return code;
}
