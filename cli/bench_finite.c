/* SPDX-License-Identifier: MIT
 *
 * bench_finite.c - ntk bench empirical, ntk bench train: speed of finite networks' tangent kernels
 * and of full-batch steps of gradient descent on random samples.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench.h"

#define MLP "serial(Dense(512), Relu(), Dense(512), Relu(), Dense(10))"

struct finite {
    ntk_data *x;
    ntk_params *p;
    void *numbers;
    int64_t n, repeat;
    double *seconds;
};

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const struct finite *f)
{
    qsort(f->seconds, (size_t)f->repeat, sizeof *f->seconds, by_size);
    return f->seconds[f->repeat / 2];
}

/* Samples from a linear congruential generator: enough for speed. */
static void *fill(int64_t n, ntk_dtype dtype)
{
    void *x = malloc((size_t)n * dtype);
    uint64_t state = 1;

    for (int64_t i = 0; x && i < n; i++) {
        double u;

        state = state * 6364136223846793005u + 1442695040888963407u;
        u = (double)(state >> 11) / 9007199254740992.0 - 0.5;
        if (dtype == NTK_F32)
            ((float *)x)[i] = (float)u;
        else
            ((double *)x)[i] = u;
    }
    return x;
}

static int prepare(ntk_ctx *ctx, const struct args *a, struct finite *f)
{
    ntk_shape shape = {0, 1, 1, a->d ? a->d : 784};
    ntk_dtype dtype;
    ntk_net *net;
    ntk_status status;

    STEP(parse_dtype(a->dtype ? a->dtype : "float32", &dtype));
    TRY(ctx, ntk_net_parse(ctx, a->n_nets ? a->nets[0] : MLP, &net));
    if (ntk_net_uses_positions(net))
        shape = (ntk_shape){2, a->d ? a->d : 32, a->d ? a->d : 32, 3};
    f->n = a->n ? a->n : 1000;
    f->repeat = a->repeat ? a->repeat : 5;
    f->seconds = malloc((size_t)f->repeat * sizeof *f->seconds);
    f->numbers = fill(f->n * shape.h * shape.w * shape.c, dtype);
    status = f->seconds && f->numbers ? NTK_OK : NTK_ENOMEM;
    if (status == NTK_OK)
        status = ntk_data_view(ctx, f->numbers, dtype, f->n, shape, &f->x);
    if (status == NTK_OK)
        status = ntk_params_new(ctx, net, shape, dtype, 1, &f->p);
    ntk_net_free(net);
    TRY(ctx, status);
    return EXIT_OK;
}

static int empirical(ntk_ctx *ctx, struct finite *f)
{
    void *k = malloc((size_t)(f->n * f->n) * ntk_params_dtype(f->p));
    ntk_status status = k ? ntk_params_kernel(f->p, NTK_NTK, NTK_TRACE, f->x, NULL, k) : NTK_ENOMEM;

    for (int64_t r = 0; r < f->repeat && status == NTK_OK; r++) {
        const double began = ntk_seconds();

        status = ntk_params_kernel(f->p, NTK_NTK, NTK_TRACE, f->x, NULL, k);
        f->seconds[r] = ntk_seconds() - began;
    }
    free(k);
    TRY(ctx, status);
    return EXIT_OK;
}

/* Ten steps a run; rates so small that nothing diverges. */
static int steps(ntk_ctx *ctx, struct finite *f)
{
    double *y = calloc((size_t)(f->n * ntk_params_outputs(f->p)), sizeof *y);
    ntk_train_opts o;
    ntk_train *train = NULL;
    ntk_status status = NTK_ENOMEM;

    ntk_train_opts_init(&o);
    o.learning_rate = 1e-9;
    if (y)
        status = ntk_train_new(f->p, f->x, y, &o, &train);
    if (status == NTK_OK)
        status = ntk_train_run(train, 2, NULL);
    for (int64_t r = 0; r < f->repeat && status == NTK_OK; r++) {
        const double began = ntk_seconds();

        status = ntk_train_run(train, 10, NULL);
        f->seconds[r] = (ntk_seconds() - began) / 10;
    }
    ntk_train_free(train);
    free(y);
    TRY(ctx, status);
    return EXIT_OK;
}

static void report(const struct args *a, const struct finite *f, bool training)
{
    const double s = median(f), pairs = (double)f->n * (double)f->n;
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    if (a->json) {
        struct json j = {.f = stdout};

        json_open(&j, NULL, '{');
        json_integer(&j, "n", f->n);
        json_integer(&j, "parameters", ntk_params_count(f->p));
        json_number(&j, "seconds", s);
        json_number(&j, "peak_bytes", (double)usage.ru_maxrss * 1024);
        json_close(&j, '}');
        putchar('\n');
    } else if (training) {
        printf("%lld parameters, %lld samples: %.4f s a step, peak %.0f MB\n",
               (long long)ntk_params_count(f->p), (long long)f->n, s,
               (double)usage.ru_maxrss / 1024);
    } else {
        printf("%lld parameters, %lld samples: %.4f s, %.3f us a pair, peak %.0f MB\n",
               (long long)ntk_params_count(f->p), (long long)f->n, s, s / pairs * 1e6,
               (double)usage.ru_maxrss / 1024);
    }
}

int bench_finite(ntk_ctx *ctx, const struct args *a, bool training)
{
    struct finite f = {0};
    int code = prepare(ctx, a, &f);

    if (code == EXIT_OK)
        code = training ? steps(ctx, &f) : empirical(ctx, &f);
    if (code == EXIT_OK)
        report(a, &f, training);
    ntk_params_free(f.p);
    ntk_data_free(f.x);
    free(f.numbers);
    free(f.seconds);
    return code;
}
