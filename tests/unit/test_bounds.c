/* SPDX-License-Identifier: MIT
 *
 * What is said about memory against what is used. Each job runs in processes of its own, first with no memory
 * allowed, then with what the refusal asked for, until it is done: what it was allowed then is what is said,
 * an upper bound and within 1.5 times what the process took (but of iterations, which may end sooner).
 */
#include <cblas.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "test.h"

#define MIB (1024.0 * 1024.0)
#define OWN 1.0 /* MiB of the program itself that come in as it runs: code and stacks */

struct job {
    const char *name, *net;
    ntk_status (*run)(ntk_ctx *ctx, const struct job *job); /* holds the samples before it is measured */
    ntk_shape shape;
    int64_t n1, n2; /* 0: symmetric, or no test samples */
    ntk_dtype data, dtype;
    int outputs;
    int covariance, finite_time;
};

/* Shared with the processes. */
static struct report {
    ntk_status status;
    double used, held; /* MiB; what objects made before the job hold */
    char message[300];
} *report;

/* ---- measuring */

static double now, peak_before; /* MiB */

static double status_of(const char *key)
{
    char line[256];
    double kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key), NULL);
    if (f)
        fclose(f);
    return kib / 1024;
}

/* The peak so far is forgotten. */
static void begin(const ntk_ctx *ctx)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    ntk_scratch_drop(); /* it would be counted before the job, and serve it */
    if (f) {
        fputs("5", f);
        fclose(f);
    }
    report->held = (double)ctx->held / MIB;
    now = status_of("VmRSS:");
    peak_before = status_of("VmHWM:");
}

static void end(ntk_ctx *ctx, ntk_status status)
{
    const double peak = status_of("VmHWM:");

    report->status = status;
    report->used = peak > peak_before ? peak - now : 0;
    snprintf(report->message, sizeof report->message, "%s", ntk_errmsg(ctx));
}

/* ---- jobs, in processes of their own, which a failed assertion would not end */

static void must(ntk_ctx *ctx, ntk_status status)
{
    report->status = status;
    if (status == NTK_ENOTSUP)
        _exit(0);
    if (status == NTK_OK)
        return;
    fprintf(stderr, "%s\n", ntk_errmsg(ctx));
    _exit(1);
}


static ntk_data *samples(ntk_ctx *ctx, const struct job *job, int64_t n, uint64_t seed)
{
    const size_t features = (size_t)(job->shape.h * job->shape.w * job->shape.c);
    double *x = malloc((size_t)n * features * sizeof *x);
    ntk_data *data;

    for (size_t i = 0; i < (size_t)n * features; i++)
        x[i] = test_normal(&seed);
    for (size_t i = 0; job->data == NTK_F32 && i < (size_t)n * features; i++)
        ((float *)(void *)x)[i] = (float)x[i];
    must(ctx, ntk_data_view(ctx, x, job->data, n, job->shape, &data));
    return data;
}

static ntk_net *net_of(ntk_ctx *ctx, const struct job *job)
{
    ntk_net *net;

    must(ctx, ntk_net_parse(ctx, job->net, &net));
    return net;
}

static ntk_status kernel(ntk_ctx *ctx, const struct job *job)
{
    ntk_data *x1 = samples(ctx, job, job->n1, 1), *x2 = job->n2 ? samples(ctx, job, job->n2, 2) : NULL;
    const size_t columns = (size_t)(job->n2 ? job->n2 : job->n1);
    const ntk_net *net = net_of(ctx, job);
    ntk_kernel *k;
    ntk_status status;
    void *out;

    must(ctx, ntk_kernel_new(ctx, &net, 1, NTK_NTK, job->dtype, job->shape, &k));
    begin(ctx);
    out = malloc((size_t)job->n1 * columns * job->dtype);
    status = ntk_kernel_compute(k, x1, x2, &out);
    end(ctx, status);
    return status;
}

static ntk_model *fitted_by(ntk_ctx *ctx, const struct job *job, const char *solver, ntk_status *status)
{
    ntk_data *x = samples(ctx, job, job->n1, 1);
    double *y = malloc((size_t)(job->n1 * job->outputs) * sizeof *y);
    uint64_t seed = 3;
    ntk_fit_opts opts;
    ntk_model *model = NULL;

    for (int64_t i = 0; i < job->n1 * job->outputs; i++)
        y[i] = test_normal(&seed);
    ntk_fit_opts_init(&opts);
    opts.dtype = job->dtype;
    opts.covariance = job->covariance;
    opts.finite_time = job->finite_time;
    opts.solver = solver;
    opts.diag_reg = 0.1;
    begin(ctx);
    *status = ntk_model_fit(ctx, net_of(ctx, job), x, y, job->outputs, &opts, &model);
    return model;
}

static ntk_model *fitted(ntk_ctx *ctx, const struct job *job, ntk_status *status)
{
    return fitted_by(ctx, job, NULL, status);
}

static ntk_status fit(ntk_ctx *ctx, const struct job *job)
{
    ntk_status status;

    fitted(ctx, job, &status);
    end(ctx, status);
    return status;
}

static ntk_status fit_out_of_core(ntk_ctx *ctx, const struct job *job)
{
    ntk_status status;

    fitted_by(ctx, job, "out-of-core", &status);
    end(ctx, status);
    return status;
}

/* The fit is not bounded: its process may have all. */
static ntk_status predict(ntk_ctx *ctx, const struct job *job)
{
    const size_t bound = ntk_ctx_memory(ctx);
    ntk_data *x = samples(ctx, job, job->n2, 2);
    double *mean, *var;
    ntk_status status;
    ntk_model *model;

    ntk_ctx_set_memory(ctx, 0);
    model = fitted(ctx, job, &status);
    must(ctx, status);
    ntk_ctx_set_memory(ctx, bound);
    mean = calloc((size_t)(job->n2 * job->outputs), sizeof *mean);
    var = calloc((size_t)job->n2, sizeof *var);
    begin(ctx);
    if (job->finite_time)
        status = ntk_model_dynamics(model, (double[]){1.0}, 1, NULL, x, NULL, NULL, mean,
                                    job->covariance ? var : NULL);
    else
        status = ntk_model_predict(model, x, mean, job->covariance ? var : NULL);
    end(ctx, status);
    return status;
}

/* ---- what a model is asked, and its file */

static ntk_status ask_leave_one_out(const ntk_model *m, const struct job *job, double *out)
{
    return ntk_model_leave_one_out(m, out, out + job->n1 * job->outputs);
}

static ntk_status ask_spectrum(const ntk_model *m, const struct job *job, double *out)
{
    ntk_spectrum spectrum;
    ntk_status status;

    (void)job;
    ntk_spectrum_init(&spectrum);
    status = ntk_model_spectrum(m, &spectrum);
    *out = spectrum.lambda_max;
    return status;
}

static ntk_status asked(ntk_ctx *ctx, const struct job *job,
                        ntk_status (*ask)(const ntk_model *m, const struct job *job, double *out))
{
    const size_t bound = ntk_ctx_memory(ctx), bytes = (size_t)(job->n1 * (job->outputs + 1)) * sizeof(double);
    double *out = malloc(bytes);
    ntk_status status;
    ntk_model *model;

    memset(out, 1, bytes);
    ntk_ctx_set_memory(ctx, 0);
    model = fitted(ctx, job, &status);
    must(ctx, status);
    ntk_ctx_set_memory(ctx, bound);
    begin(ctx);
    status = ask(model, job, out);
    end(ctx, status);
    return status;
}

static ntk_status leave_one_out(ntk_ctx *ctx, const struct job *job)
{
    return asked(ctx, job, ask_leave_one_out);
}

static ntk_status spectrum(ntk_ctx *ctx, const struct job *job) { return asked(ctx, job, ask_spectrum); }

static ntk_status load_model(ntk_ctx *ctx, const struct job *job)
{
    const size_t bound = ntk_ctx_memory(ctx);
    char path[] = "/tmp/ntk-bounds-XXXXXX";
    ntk_status status;
    ntk_model *model;

    if (close(mkstemp(path)) != 0)
        _exit(1);
    ntk_ctx_set_memory(ctx, 0);
    model = fitted(ctx, job, &status);
    must(ctx, status);
    must(ctx, ntk_model_save(model, path, 1));
    ntk_model_free(model);
    ntk_ctx_set_memory(ctx, bound);
    begin(ctx);
    status = ntk_model_load(ctx, path, &model);
    end(ctx, status);
    unlink(path);
    return status;
}

/* ---- given matrices */

static double *matrix(int64_t n, int64_t m)
{
    double *k = malloc((size_t)(n * m) * sizeof *k);

    for (int64_t i = 0; i < n * m; i++)
        k[i] = exp(-fabs((double)(i / m - i % m)));
    return k;
}

static ntk_status decompose(ntk_ctx *ctx, const struct job *job)
{
    double *k = matrix(job->n1, job->n1), *weights = calloc((size_t)job->n1, sizeof *weights);
    int64_t nulls;
    ntk_status status;

    begin(ctx);
    status = ntk_spectral_decompose(ctx, job->n1, job->dtype, 0, k, weights, &nulls);
    end(ctx, status);
    return status;
}

static int rows_of(int64_t i0, int64_t ni, void *k, void *user)
{
    const int64_t n = *(const int64_t *)user;

    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = 0; j < n - i0; j++)
            ((double *)k)[i * (n - i0) + j] = exp(-fabs((double)(i - j)));
    return 0;
}

static ntk_status solve(ntk_ctx *ctx, const struct job *job)
{
    int64_t n = job->n1;
    double *y = matrix(n, job->outputs), *alpha = matrix(n, job->outputs);
    ntk_status status;

    begin(ctx);
    status = ntk_kernel_solve(ctx, n, job->dtype, 16, rows_of, &n, y, job->outputs, 0.1, alpha);
    end(ctx, status);
    return status;
}

/* finite_time: in closed form. */
static ntk_status flow(ntk_ctx *ctx, const struct job *job)
{
    const int64_t n = job->n1, m = job->n2, c = job->outputs;
    double *k = matrix(n, n), *k_test = matrix(m, n), *y = matrix(n, c);
    double *train = matrix(n, c), *test = matrix(m, c);
    ntk_flow_opts opts;
    ntk_status status;

    ntk_flow_opts_init(&opts);
    opts.closed_form = job->finite_time;
    begin(ctx);
    status = ntk_flow(ctx, &opts, n, m, c, k, k_test, y, NULL, NULL, (double[]){1}, 1, train, test);
    end(ctx, status);
    return status;
}

/* ---- data: `net` is the ending of the file's name */

static void write_text(const struct job *job, const char *path)
{
    FILE *f = fopen(path, "w");

    for (int64_t i = 0; f && i < job->n1; i++)
        for (int64_t k = 0; k <= job->shape.c; k++)
            fprintf(f, "%.17g%c", sin((double)(i * job->shape.c + k)), k < job->shape.c ? ',' : '\n');
    if (!f || fclose(f) != 0)
        _exit(1);
}

static ntk_status load(ntk_ctx *ctx, const struct job *job)
{
    const size_t bound = ntk_ctx_memory(ctx);
    const int64_t d = job->shape.c;
    char path[64];
    ntk_load_opts opts;
    ntk_status status;
    ntk_data *data;

    snprintf(path, sizeof path, "/tmp/ntk-bounds-%d%s", (int)getpid(), job->net);
    if (strcmp(job->net, ".csv") == 0) {
        write_text(job, path);
    } else {
        double *x = matrix(job->n1, d);
        const ntk_array x_array = {.name = "x", .x = x, .dtype = NTK_F64, .ndim = 2, .shape = {job->n1, d}};

        ntk_ctx_set_memory(ctx, 0);
        must(ctx, ntk_array_write(ctx, path, &x_array, 1));
        ntk_ctx_set_memory(ctx, bound);
        free(x);
    }
    ntk_load_opts_init(&opts);
    opts.dtype = job->dtype;
    begin(ctx);
    status = ntk_data_load(ctx, path, &opts, &data);
    end(ctx, status);
    unlink(path);
    return status;
}

/* ---- finite networks */

static ntk_status network(ntk_ctx *ctx, const struct job *job)
{
    ntk_params *params;
    ntk_status status;

    begin(ctx);
    status = ntk_params_new(ctx, net_of(ctx, job), job->shape, job->dtype, 5, &params);
    end(ctx, status);
    return status;
}

static ntk_params *network_for(ntk_ctx *ctx, const struct job *job)
{
    const size_t bound = ntk_ctx_memory(ctx);
    ntk_params *params;

    ntk_ctx_set_memory(ctx, 0);
    must(ctx, ntk_params_new(ctx, net_of(ctx, job), job->shape, job->dtype, 5, &params));
    ntk_ctx_set_memory(ctx, bound);
    return params;
}

static ntk_status apply(ntk_ctx *ctx, const struct job *job)
{
    const ntk_params *params = network_for(ctx, job);
    ntk_data *x = samples(ctx, job, job->n1, 1);
    void *f = calloc((size_t)job->n1, (size_t)ntk_params_outputs(params) * job->dtype);
    ntk_status status;

    memset(f, 1, (size_t)(job->n1 * ntk_params_outputs(params)) * job->dtype);
    begin(ctx);
    status = ntk_params_apply(params, x, f);
    end(ctx, status);
    return status;
}

/* covariance: all pairs of outputs. */
static ntk_status empirical(ntk_ctx *ctx, const struct job *job)
{
    const ntk_params *params = network_for(ctx, job);
    ntk_data *x = samples(ctx, job, job->n1, 1);
    const size_t c = job->covariance ? (size_t)ntk_params_outputs(params) : 1;
    const size_t bytes = (size_t)job->n1 * (size_t)job->n1 * c * c * job->dtype;
    void *k = malloc(bytes);
    ntk_status status;

    memset(k, 1, bytes);
    begin(ctx);
    status = ntk_params_kernel(params, NTK_NTK, job->covariance ? NTK_FULL : NTK_TRACE, x, NULL, k);
    end(ctx, status);
    return status;
}

static ntk_status train(ntk_ctx *ctx, const struct job *job)
{
    ntk_params *params = network_for(ctx, job);
    ntk_data *x = samples(ctx, job, job->n1, 1);
    double *y = calloc((size_t)(job->n1 * ntk_params_outputs(params)), sizeof *y);
    ntk_train_opts opts;
    ntk_train *run;
    ntk_status status;

    ntk_train_opts_init(&opts);
    opts.learning_rate = 1e-9;
    begin(ctx);
    status = ntk_train_new(params, x, y, &opts, &run);
    if (status == NTK_OK)
        status = ntk_train_run(run, 1, NULL);
    end(ctx, status);
    return status;
}

/* Theta v, the largest eigenvalue, or the Monte-Carlo mean. */
static ntk_status product(ntk_ctx *ctx, const struct job *job)
{
    const ntk_params *params = network_for(ctx, job);
    ntk_data *x = samples(ctx, job, job->n1, 1);
    double *v = matrix(job->n1, ntk_params_outputs(params)), *out = matrix(job->n1, ntk_params_outputs(params));
    ntk_status status;

    begin(ctx);
    status = ntk_params_ntk_product(params, x, NULL, v, out);
    end(ctx, status);
    return status;
}

static ntk_status lambda_max(ntk_ctx *ctx, const struct job *job)
{
    const ntk_params *params = network_for(ctx, job);
    ntk_data *x = samples(ctx, job, job->n1, 1);
    ntk_status status;
    double lambda;

    begin(ctx);
    status = ntk_params_lambda_max(params, x, &lambda);
    end(ctx, status);
    return status;
}

static ntk_status monte_carlo(ntk_ctx *ctx, const struct job *job)
{
    ntk_data *x = samples(ctx, job, job->n1, 1);
    double *mean = matrix(job->n1, job->n1), *error = matrix(job->n1, job->n1);
    ntk_status status;

    begin(ctx);
    status = ntk_monte_carlo(ctx, net_of(ctx, job), NTK_NTK, x, NULL, job->dtype, 0, 2, 1, mean, error);
    end(ctx, status);
    return status;
}

/* ---- the table */

#define D(features)   {0, 1, 1, features}
#define IMAGE(side)   {2, side, side, 3}
#define CONV "serial(Conv(2, (3, 3), padding='SAME'), Relu(), Conv(2, (3, 3), padding='SAME'), Relu(), "

static const struct job jobs[] = {
    {"kernel of few features", "fc(depth=2)", kernel, D(8), 3000, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"kernel in float32", "fc(depth=2)", kernel, D(8), 4000, 3000, NTK_F32, NTK_F32, 0, 0, 0},
    {"kernel of converted samples", "fc(depth=2)", kernel, D(4000), 1000, 2000, NTK_F64, NTK_F32, 0, 0, 0},
    {"kernel of a series", "serial(Dense(1), Tanh(), Dense(1), Tanh(), Dense(1))", kernel, D(8), 3000, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"kernel of a series, sides", "serial(Dense(1, W_std=3.0), Tanh(), Dense(1, W_std=3.0), Tanh(), Dense(1))",
     kernel, D(8), 6000, 500, NTK_F64, NTK_F64, 0, 0, 0},
    {"kernel of Gelu", "serial(Dense(1), Gelu(), Dense(1), Gelu(), Dense(1))", kernel, D(8), 3000, 0, NTK_F64, NTK_F32, 0, 0, 0},
    {"kernel of images", CONV "Flatten(), Dense(1))", kernel, IMAGE(8), 1500, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"kernel of averaged images", CONV "GlobalAvgPool(), Dense(1))", kernel, IMAGE(4), 1000, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"kernel of images through a series",
     "serial(Conv(2, (3, 3), padding='SAME'), Tanh(), Conv(2, (3, 3), padding='SAME'), Tanh(), Flatten(), "
     "Dense(1))", kernel, IMAGE(8), 500, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"kernel of averaged images through a series",
     "serial(Conv(2, (3, 3), padding='SAME'), Tanh(), GlobalAvgPool(), Dense(1), Tanh(), Dense(1))", kernel,
     IMAGE(4), 250, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"fit", "fc(depth=2)", fit, D(8), 3500, 0, NTK_F64, NTK_F64, 2, 0, 0},
    {"fit for covariances", "fc(depth=2)", fit, D(8), 2500, 0, NTK_F64, NTK_F32, 2, 1, 0},
    {"fit of a series", "serial(Dense(1, W_std=3.0), Tanh(), Dense(1, W_std=3.0), Tanh(), Dense(1))", fit, D(8),
     2500, 0, NTK_F64, NTK_F64, 2, 0, 0},
    {"fit for finite times", "fc(depth=2)", fit, D(8), 1200, 0, NTK_F64, NTK_F64, 2, 0, 1},
    {"fit for covariances at finite times", "fc(depth=2)", fit, D(8), 1200, 0, NTK_F64, NTK_F64, 2, 1, 1},
    {"fit out of core", "fc(depth=2)", fit_out_of_core, D(8), 5000, 0, NTK_F64, NTK_F64, 2, 0, 0},
    {"predict", "fc(depth=2)", predict, D(2000), 2500, 600, NTK_F64, NTK_F32, 2, 0, 0},
    {"predict with deviations", "fc(depth=2)", predict, D(1000), 2500, 600, NTK_F64, NTK_F32, 2, 1, 0},
    {"dynamics", "fc(depth=2)", predict, D(100), 1200, 600, NTK_F64, NTK_F32, 2, 1, 1},
    {"leave one out", "fc(depth=2)", leave_one_out, D(8), 2000, 0, NTK_F64, NTK_F64, 2, 0, 0},
    {"leave one out by eigenvalues", "fc(depth=2)", leave_one_out, D(8), 1200, 0, NTK_F64, NTK_F64, 2, 0, 1},
    {"spectrum", "fc(depth=2)", spectrum, D(8), 2000, 0, NTK_F64, NTK_F64, 2, 0, 0},
    {"load a model", "fc(depth=2)", load_model, D(1000), 2000, 0, NTK_F64, NTK_F64, 2, 1, 0},
    {"decompose", NULL, decompose, D(1), 1500, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"solve", NULL, solve, D(1), 3000, 0, NTK_F64, NTK_F64, 100, 0, 0},
    {"flow", NULL, flow, D(1), 1000, 1000, NTK_F64, NTK_F64, 100, 0, 0},
    {"flow in closed form", NULL, flow, D(1), 1200, 1000, NTK_F64, NTK_F64, 100, 0, 1},
    {"load CSV", ".csv", load, D(100), 5000, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"load CSV as float32", ".csv", load, D(100), 5000, 0, NTK_F64, NTK_F32, 0, 0, 0},
    {"load npy", ".npy", load, D(1000), 4000, 0, NTK_F64, NTK_F64, 0, 0, 0},
    {"load npz", ".npz", load, D(1000), 4000, 0, NTK_F64, NTK_F32, 0, 0, 0},
    {"load HDF5", ".h5", load, D(1000), 4000, 0, NTK_F64, NTK_F32, 0, 0, 0},
    {"network", "serial(Dense(4000), Relu(), Dense(1))", network, D(1000), 1, 0, NTK_F64, NTK_F64, 1, 0, 0},
    {"apply", "serial(Dense(2000), Relu(), Dense(2000), Relu(), Dense(1))", apply, D(20), 4000, 0, NTK_F64,
     NTK_F64, 1, 0, 0},
    {"empirical", "serial(Dense(1000), Relu(), Dense(1000), Relu(), Dense(3))", empirical, D(20), 2000, 0,
     NTK_F64, NTK_F64, 1, 0, 0},
    {"empirical of all outputs", "serial(Dense(1000), Relu(), Dense(1000), Relu(), Dense(3))", empirical, D(20),
     600, 0, NTK_F64, NTK_F64, 1, 1, 0},
    {"product", "serial(Dense(1000), Relu(), Dense(1000), Relu(), Dense(3))", product, D(20), 3000, 0, NTK_F64,
     NTK_F64, 1, 0, 0},
    {"lambda max", "serial(Dense(1000), Relu(), Dense(1000), Relu(), Dense(3))", lambda_max, D(20), 400, 0,
     NTK_F64, NTK_F64, 1, 0, 0},
    {"Monte-Carlo", "serial(Dense(1000), Relu(), Dense(1000), Relu(), Dense(3))", monte_carlo, D(20), 1000, 0,
     NTK_F64, NTK_F64, 1, 0, 0},
    {"train", "serial(Dense(2000), Relu(), Dense(2000), Relu(), Dense(1))", train, D(20), 1000, 0, NTK_F64,
     NTK_F64, 1, 0, 0},
};
#define N_JOBS (sizeof jobs / sizeof *jobs)

/* OpenBLAS's buffers come in as they are used, how far depends on the processor: here, by a product as wide as any job's. */
static void fill_blas_buffers(void)
{
    enum { M = 512, N = 4096 };
    double *a = calloc((size_t)M * N, sizeof *a), *c = calloc((size_t)M * N, sizeof *c);

    if (!a || !c)
        _exit(1);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, M, N, M, 1, c, M, a, M, 0, c, M);
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, M, N, M, 1, (float *)c, M, (float *)a, M, 0, (float *)c, M);
    free(a);
    free(c);
}

/* First with few samples, so that the program's pages are there; what is freed goes back to the system at once. */
static void run_here(const struct job *job, size_t allowed)
{
    struct job few = *job;
    ntk_ctx *ctx;

    if (ntk_ctx_new(&ctx) != NTK_OK || ntk_ctx_set_threads(ctx, 1) != NTK_OK ||
        mallopt(M_MMAP_THRESHOLD, 64 * 1024) != 1)
        _exit(1);
    fill_blas_buffers();
    few.n1 = job->shape.spatial ? 16 : 300;
    few.n2 = job->n2 ? few.n1 : 0;
    few.run(ctx, &few);
    ntk_ctx_set_memory(ctx, allowed);
    job->run(ctx, job);
    _exit(0);
}

static void run(const struct job *job, size_t allowed)
{
    const pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        run_here(job, allowed);
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (status != 0)
        fail_msg("%s: ended with %x", job->name, (unsigned)status);
}

/* "... needs 12.30 MiB, ..." */
static double needed(void)
{
    const char *at = strstr(report->message, "needs ");

    return at ? strtod(at + strlen("needs "), NULL) * (strstr(at, "GiB,") ? 1024 : 1) : 0;
}

/* How far an iteration goes is not known before. */
static bool iterates(const struct job *job)
{
    return job->run == spectrum || job->run == lambda_max || (job->run == flow && !job->finite_time);
}

static void said_is_used(void **state)
{
    const struct job *job = *state;
    double said = 1;

    if (SANITIZED)
        skip(); /* its own memory is more than a job's */
    for (int tries = 0; tries < 16; tries++) {
        run(job, (size_t)(said * MIB));
        if (report->status == NTK_ENOTSUP)
            skip();
        if (report->status != NTK_ENOMEM)
            break;
        if (needed() + 0.02 <= said)
            fail_msg("allowed %.2f MiB: %s", said, report->message);
        said = needed() + 0.02; /* as it is rounded to 0.01 */
    }
    if (report->status != NTK_OK)
        fail_msg("allowed %.2f MiB: %s", said, report->message);
    if (getenv("NTK_SHOW"))
        printf("%-32s held %6.2f said %7.2f used %7.2f: %.2f\n", job->name, report->held, said, report->used,
               (said - report->held) / report->used);
    said = said > report->held ? said - report->held : 0;
    if (report->used - OWN > said || (said - OWN > 1.5 * report->used && !iterates(job)))
        fail_msg("said %.2f MiB more, used %.2f", said, report->used);
}

int main(void)
{
    struct CMUnitTest tests[N_JOBS] = {{0}};

    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return 1;
    for (size_t k = 0; k < N_JOBS; k++)
        tests[k] = (struct CMUnitTest){
            .name = jobs[k].name, .test_func = said_is_used, .initial_state = (void *)(uintptr_t)&jobs[k]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
