/* SPDX-License-Identifier: MIT
 *
 * flow.c - ntk dynamics where there is no closed form: kernels into memory, then the integrator.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dynamics.h"

bool flow_wanted(const struct args *a)
{
    return (a->loss && strcmp(a->loss, "xent") == 0) || a->momentum > 0;
}

int flow_check(const struct args *a, const struct trajectory *t)
{
    const bool xent = a->loss && strcmp(a->loss, "xent") == 0;
    double before = 0;

    if (a->std || a->diag_reg > 0)
        return usage("--%s belongs to the squared loss without momentum",
                     a->std ? "std" : "diag-reg");
    if (xent && a->targets && strcmp(a->targets, "onehot") != 0)
        return usage("--loss xent needs --targets onehot (its default), got '%s'", a->targets);
    for (size_t k = 0; k < t->n_times; k++) {
        if (isinf(t->times[k]) || t->times[k] < before)
            return usage("--times must be finite and ascending where the flow is integrated");
        before = t->times[k];
    }
    return EXIT_OK;
}

struct matrices {
    double *train, *test;
};

static int kernels(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const struct samples *s,
                   struct matrices *k)
{
    const size_t n = (size_t)ntk_data_n(s->train), m = s->test ? (size_t)ntk_data_n(s->test) : 0;
    const ntk_net *nets[] = {net};
    ntk_kernel *kernel;
    unsigned get;
    ntk_status status;

    STEP(parse_get(a->get, &get));
    if (get == (NTK_NNGP | NTK_NTK))
        return usage("--get both is for 'ntk kernel'; here it is ntk or nngp");
    TRY(ctx, ntk_ctx_check_memory(ctx, (n + m) * n * sizeof(double), "the kernels"));
    k->train = malloc(n * n * sizeof *k->train);
    k->test = m ? malloc(m * n * sizeof *k->test) : NULL;
    if (!k->train || (m && !k->test))
        return usage("no memory for the kernels");
    TRY(ctx, ntk_kernel_new(ctx, nets, 1, get, NTK_F64, ntk_data_shape(s->train), &kernel));
    status = ntk_kernel_compute(kernel, s->train, NULL, (void *[]){k->train});
    if (status == NTK_OK && m)
        status = ntk_kernel_compute(kernel, s->test, s->train, (void *[]){k->test});
    ntk_kernel_free(kernel);
    TRY(ctx, status);
    return EXIT_OK;
}

static int integrate(ntk_ctx *ctx, const struct args *a, const struct samples *s,
                     const struct matrices *k, struct trajectory *t)
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
    t->train = malloc(t->n_times * n * c * sizeof *t->train);
    t->test = m ? malloc(t->n_times * m * c * sizeof *t->test) : NULL;
    if (!t->train || (m && !t->test))
        return usage("no memory for the trajectory");
    TRY(ctx, ntk_flow(ctx, &o, (int64_t)n, (int64_t)m, s->outputs, k->train, k->test, s->y, NULL,
                      NULL, t->times, t->n_times, t->train, t->test));
    return EXIT_OK;
}

int flow_compute(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const struct samples *s,
                 struct trajectory *t)
{
    struct matrices k = {NULL, NULL};
    int code = kernels(ctx, a, net, s, &k);

    if (code == EXIT_OK)
        code = integrate(ctx, a, s, &k, t);
    free(k.train);
    free(k.test);
    return code;
}
