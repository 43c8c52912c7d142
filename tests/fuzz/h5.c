/* SPDX-License-Identifier: MIT
 *
 * Fuzz target of what is read from HDF5: an input is a file, which is loaded as a model, as
 * parameters, as a checkpoint and as samples. What is accepted must work: finite results, or an
 * error that says why.
 *
 * With libFuzzer: scripts/fuzz.sh h5 SECONDS; with the mutations of short.c: scripts/sanitize.sh.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "data/data.h"

#define MEMORY ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static char path[64];

/* HDF5 opens files by name, and follows links: a file in memory has one here. Each is new, since
 * HDF5 knows files that were not closed by their number. */
static void write_file(const uint8_t *bytes, size_t n)
{
    int fd;

    snprintf(path, sizeof path, "/dev/shm/ntk-fuzz-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd) != 0)
        abort();
}

/* A failure says why. */
static bool worked(ntk_ctx *ctx, ntk_status status)
{
    if (status != NTK_OK && !*ntk_errmsg(ctx))
        abort();
    return status == NTK_OK;
}

static void check_finite(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            abort();
}

/* One sample of a shape, of at most 4096 numbers. */
static ntk_data *one_sample(ntk_ctx *ctx, ntk_shape shape)
{
    static double x[4096];
    ntk_data *data = NULL;

    for (int k = 0; k < 4096; k++)
        x[k] = 0.1 * (k % 7);
    if (ntk_features_of(shape) > 4096 ||
        !worked(ctx, ntk_data_view(ctx, x, NTK_F64, 1, shape, &data)))
        return NULL;
    return data;
}

/* The same for a network, standardised if that can be done. */
static ntk_data *standardised(ntk_ctx *ctx, const ntk_scaler *scaler, ntk_shape shape)
{
    ntk_data *data = one_sample(ctx, scaler ? ntk_scaler_shape(scaler) : shape), *scaled;

    if (!data || !scaler)
        return data;
    if (worked(ctx, ntk_scaler_apply(scaler, data, &scaled))) {
        ntk_data_free(data);
        data = scaled;
    }
    if (shape.spatial == 0)
        ntk_data_flatten(data);
    return data;
}

static void model(ntk_ctx *ctx)
{
    const ntk_scaler *scaler;
    ntk_targets targets;
    ntk_model *m;
    ntk_data *x;

    if (!worked(ctx, ntk_model_load(ctx, path, &m)))
        return;
    ntk_model_encoding(m, &scaler, &targets);
    x = standardised(ctx, scaler, ntk_model_shape(m));
    if (x) {
        const int64_t c = ntk_model_outputs(m);
        double *mean = malloc((size_t)c * sizeof *mean);

        if (worked(ctx, ntk_model_predict(m, x, mean, NULL)))
            check_finite(mean, c);
        free(mean);
    }
    ntk_data_free(x);
    ntk_model_free(m);
}

static void parameters(ntk_ctx *ctx)
{
    ntk_params *p;
    ntk_data *x;

    if (!worked(ctx, ntk_params_load(ctx, path, &p)))
        return;
    x = standardised(ctx, ntk_params_scaler(p), ntk_params_shape(p));
    if (x && ntk_params_outputs(p) <= 4096) {
        double f[4096];

        worked(ctx, ntk_params_apply(p, x, f));
    }
    ntk_data_free(x);
    ntk_params_free(p);
}

/* The run of tests/golden/formats.sh. */
static void checkpoint(ntk_ctx *ctx)
{
    static const double x[] = {0.5, 1, -1, 0.25, 2, -0.75, 0.125, -2, 1.5, 1.25};
    static const double y[] = {0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5, 0.5, -0.5, 0.5};
    const ntk_shape shape = {0, 1, 1, 2};
    ntk_train_opts opts;
    ntk_net *net = NULL;
    ntk_data *data = NULL;
    ntk_params *p = NULL;
    ntk_train *t = NULL;

    ntk_train_opts_init(&opts);
    opts.learning_rate = 0.1;
    opts.momentum = 0.5;
    opts.batch = 3;
    opts.seed = 7;
    if (worked(ctx, ntk_net_parse(ctx, "serial(Dense(3, b_std=0.1), Erf(), Dense(2))", &net)) &&
        worked(ctx, ntk_params_new(ctx, net, shape, NTK_F64, 7, &p)) &&
        worked(ctx, ntk_data_view(ctx, x, NTK_F64, 5, shape, &data)) &&
        worked(ctx, ntk_train_new(p, data, y, &opts, &t)) && worked(ctx, ntk_train_load(t, path)))
        worked(ctx, ntk_train_run(t, 1, NULL));
    ntk_train_free(t);
    ntk_params_free(p);
    ntk_data_free(data);
    ntk_net_free(net);
}

static void samples(ntk_ctx *ctx)
{
    ntk_load_opts opts;
    ntk_data *data = NULL;

    ntk_load_opts_init(&opts);
    if (worked(ctx, ntk_read_file(ctx, path, &opts, &data)))
        worked(ctx, ntk_data_check_finite(data));
    ntk_data_free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    ntk_ctx *ctx;

    if (ntk_ctx_new(&ctx) != NTK_OK || !worked(ctx, ntk_ctx_set_threads(ctx, 1)))
        abort();
    ntk_ctx_set_memory(ctx, MEMORY);
    write_file(bytes, n);
    model(ctx);
    parameters(ctx);
    checkpoint(ctx);
    samples(ctx);
    unlink(path);
    ntk_ctx_free(ctx);
    return 0;
}
