/* SPDX-License-Identifier: MIT
 *
 * Regression with an infinitely wide network: mean and standard deviation of its posterior.
 *     cc -std=c17 regression.c -lntk -lm && ./a.out
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <ntk.h>

enum { N_TRAIN = 6, N_TEST = 5 };

static void try(ntk_ctx *ctx, ntk_status status)
{
    if (status == NTK_OK)
        return;
    fprintf(stderr, "%s\n", ntk_errmsg(ctx));
    exit(1);
}

int main(void)
{
    const double x_train[N_TRAIN] = {-2, -1.2, -0.4, 0.4, 1.2, 2}, x_test[N_TEST] = {-4, -1, 0.2, 1, 4};
    const ntk_shape scalar = {0, 1, 1, 1};
    double y[N_TRAIN], mean[N_TEST], variance[N_TEST];
    ntk_ctx *ctx;
    ntk_net *net;
    ntk_data *train, *test;
    ntk_model *model;
    ntk_fit_opts opts;

    if (ntk_ctx_new(&ctx) != NTK_OK)
        return 1;
    for (int i = 0; i < N_TRAIN; i++)
        y[i] = sin(2 * x_train[i]);
    try(ctx, ntk_net_parse(ctx, "serial(Dense(512, W_std=5, b_std=3), Erf(), Dense(1))", &net));
    try(ctx, ntk_data_view(ctx, x_train, NTK_F64, N_TRAIN, scalar, &train));
    try(ctx, ntk_data_view(ctx, x_test, NTK_F64, N_TEST, scalar, &test));
    ntk_fit_opts_init(&opts);
    opts.posterior = NTK_POSTERIOR_NNGP; /* the Bayesian network */
    opts.covariance = 1;
    try(ctx, ntk_model_fit(ctx, net, train, y, 1, &opts, &model));
    try(ctx, ntk_model_predict(model, test, mean, variance));
    for (int i = 0; i < N_TEST; i++)
        printf("x = %4.1f  f(x) = %6.3f +- %.3f\n", x_test[i], mean[i], sqrt(variance[i]));
    ntk_model_free(model);
    ntk_data_free(test);
    ntk_data_free(train);
    ntk_net_free(net);
    ntk_ctx_free(ctx);
    return 0;
}
