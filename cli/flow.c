/* SPDX-License-Identifier: MIT
 *
 * flow.c - ntk dynamics of cross-entropy, with momentum, or of a finite network: kernels into
 * memory, then ntk_flow.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dynamics.h"

static bool integrated(const struct args *a)
{
    return (a->loss && strcmp(a->loss, "xent") == 0) || a->momentum > 0;
}

bool flow_wanted(const struct args *a)
{
    return integrated(a) || a->params;
}

int flow_check(const struct args *a, const struct trajectory *t)
{
    const bool xent = a->loss && strcmp(a->loss, "xent") == 0;
    double before = 0;

    if (a->std || a->weights || a->noise || t->diag_reg != 0)
        return usage("--%s belongs to the squared loss without momentum, of an infinite network",
                     a->std ? "std" : a->weights ? "weights" : a->noise ? "noise" : "diag-reg");
    if (a->params && a->kernel)
        return usage("--kernel has kernels of infinite networks, not of --params");
    if (a->params && a->get && strcmp(a->get, "ntk") != 0)
        return usage("--params: the flow of a finite network is that of its ntk, got --get %s",
                     a->get);
    if (xent && a->targets && strcmp(a->targets, "onehot") != 0)
        return usage("--loss xent needs --targets onehot (its default), got '%s'", a->targets);
    for (size_t k = 0; k < t->n_times && integrated(a); k++) {
        if (isinf(t->times[k]) || t->times[k] < before)
            return usage("--times must be finite and ascending where the flow is integrated");
        before = t->times[k];
    }
    return EXIT_OK;
}

/* What the flow starts from: kernels and, of a finite network, outputs. */
struct beginning {
    double *k_train, *k_test, *f0_train, *f0_test;
};

/* Of n x n numbers, float32 ones from the last on become float64 ones where they are. */
static void widen(double *k, int64_t n)
{
    for (int64_t i = n * n - 1; i >= 0; i--)
        to_double(NTK_F32, 1, (const float *)(const void *)k + i, k + i);
}

static ntk_status train_kernel(ntk_ctx *ctx, const struct args *a, const ntk_net *net, unsigned get,
                               const ntk_kernel *kernel, const ntk_data *x, double *k)
{
    const bool single = a->dtype && strcmp(a->dtype, "float32") == 0;
    ntk_kernel_store *store;
    ntk_status status;

    if (!a->kernel)
        return ntk_kernel_compute(kernel, x, NULL, (void *[]){k});
    status = ntk_store_open(ctx, a->kernel, &net, 1, get, single ? NTK_F32 : NTK_F64, x, NULL, NULL, &store);
    if (status != NTK_OK)
        return status;
    status = ntk_store_compute(store, (void *[]){k});
    if (status == NTK_OK && single)
        widen(k, ntk_data_n(x));
    ntk_store_free(store);
    return status;
}

/* The loss is a mean over all copies that samples stand for, of which ntk_flow knows the samples. */
static void take_means(const struct args *a, const struct samples *s, const struct beginning *b)
{
    const int64_t n = ntk_data_n(s->train), m = s->test ? ntk_data_n(s->test) : 0;
    int copies;

    ntk_data_symmetry(s->train, &copies);
    if (!a->mean || copies == 1)
        return;
    for (int64_t k = 0; k < n * n; k++)
        b->k_train[k] /= copies;
    for (int64_t k = 0; k < m * n; k++)
        b->k_test[k] /= copies;
}

static int of_infinite(ntk_ctx *ctx, const struct args *a, const ntk_net *net,
                       const struct samples *s, struct beginning *b)
{
    const ntk_net *nets[] = {net};
    ntk_kernel *kernel;
    unsigned get;
    ntk_status status;

    STEP(parse_get(a->get, &get));
    if (get == (NTK_NNGP | NTK_NTK))
        return usage("--get both is for 'ntk kernel'; here it is ntk or nngp");
    TRY(ctx, ntk_kernel_new(ctx, nets, 1, get, NTK_F64, ntk_data_shape(s->train), &kernel));
    status = train_kernel(ctx, a, net, get, kernel, s->train, b->k_train);
    if (status == NTK_OK && s->test)
        status = ntk_kernel_compute(kernel, s->test, s->train, (void *[]){b->k_test});
    ntk_kernel_free(kernel);
    TRY(ctx, status);
    take_means(a, s, b);
    return EXIT_OK;
}

static int of_finite(ntk_ctx *ctx, const struct args *a, const ntk_params *params,
                     const struct samples *s, struct beginning *b)
{
    const ntk_form form = a->trace ? NTK_TRACE : NTK_FULL;

    b->f0_train = malloc((size_t)(ntk_data_n(s->train) * s->outputs) * sizeof *b->f0_train);
    b->f0_test =
        s->test ? malloc((size_t)(ntk_data_n(s->test) * s->outputs) * sizeof *b->f0_test) : NULL;
    if (!b->f0_train || (s->test && !b->f0_test))
        return usage("no memory for the outputs");
    TRY(ctx, network_outputs(params, s->train, b->f0_train));
    TRY(ctx, network_kernel(params, form, s->train, NULL, b->k_train));
    if (!s->test)
        return EXIT_OK;
    TRY(ctx, network_outputs(params, s->test, b->f0_test));
    TRY(ctx, network_kernel(params, form, s->test, s->train, b->k_test));
    return EXIT_OK;
}

static int begin(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const ntk_params *params,
                 const struct samples *s, struct beginning *b)
{
    const size_t n = (size_t)ntk_data_n(s->train), m = s->test ? (size_t)ntk_data_n(s->test) : 0;
    const size_t c = params && !a->trace ? (size_t)s->outputs : 1;
    const size_t bytes =
        ntk_bytes((double)(n + m) * (double)n * (double)c * (double)c * sizeof(double));

    say_memory("the kernels", bytes);
    TRY(ctx, ntk_ctx_hold(ctx, bytes, "the kernel between all samples"));
    b->k_train = malloc(n * n * c * c * sizeof *b->k_train);
    b->k_test = m ? malloc(m * n * c * c * sizeof *b->k_test) : NULL;
    if (!b->k_train || (m && !b->k_test))
        return usage("no memory for the kernels");
    return params ? of_finite(ctx, a, params, s, b) : of_infinite(ctx, a, net, s, b);
}

static int follow(ntk_ctx *ctx, const struct args *a, const ntk_params *params,
                  const struct samples *s, const struct beginning *b, struct trajectory *t)
{
    const size_t n = (size_t)ntk_data_n(s->train), m = s->test ? (size_t)ntk_data_n(s->test) : 0;
    const size_t c = (size_t)s->outputs;
    ntk_flow_opts o;

    ntk_flow_opts_init(&o);
    o.loss = t->xent ? NTK_LOSS_XENT : NTK_LOSS_MSE;
    o.mean_loss = a->mean;
    o.momentum = a->momentum > 0 ? a->momentum : (double)NAN;
    o.rtol = a->rtol > 0 ? a->rtol : o.rtol;
    o.atol = a->atol > 0 ? a->atol : o.atol;
    o.blocks = params && !a->trace;
    o.closed_form = !integrated(a);
    o.dtype = params ? ntk_params_dtype(params) : NTK_F64;
    t->null_directions = -1;
    o.null_directions = &t->null_directions;
    TRY(ctx, ntk_ctx_hold(ctx, ntk_bytes((double)t->n_times * (double)(n + m) * (double)s->outputs * sizeof *t->train),
                          "the trajectory"));
    t->train = malloc(t->n_times * n * c * sizeof *t->train);
    t->test = m ? malloc(t->n_times * m * c * sizeof *t->test) : NULL;
    if (!t->train || (m && !t->test))
        return usage("no memory for the trajectory");
    TRY(ctx, ntk_flow(ctx, &o, (int64_t)n, (int64_t)m, s->outputs, b->k_train, b->k_test, s->y,
                      b->f0_train, b->f0_test, t->times, t->n_times, t->train, t->test));
    return EXIT_OK;
}

int flow_compute(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const ntk_params *params,
                 const struct samples *s, struct trajectory *t)
{
    struct beginning b = {NULL, NULL, NULL, NULL};
    int code = begin(ctx, a, net, params, s, &b);

    if (code == EXIT_OK)
        code = follow(ctx, a, params, s, &b, t);
    free(b.k_train);
    free(b.k_test);
    free(b.f0_train);
    free(b.f0_test);
    return code;
}
