/* SPDX-License-Identifier: MIT
 *
 * Contexts that work at the same time, with different numbers of threads.
 */
#include <pthread.h>

#include "test.h"

enum { N = 600, D = 20, M = 5, ROUNDS = 3, WORKERS = 4 };

static double x[N * D], y[N];

/* Predictions of a fit, with variances: kernels in one BLAS thread, a factorisation in several. */
static ntk_status fit(int threads, double *mean, double *var)
{
    ntk_ctx *ctx;
    ntk_net *net = NULL;
    ntk_data *train = NULL, *test = NULL;
    ntk_model *model = NULL;
    ntk_fit_opts opts;
    ntk_status status = ntk_ctx_new(&ctx);

    if (status != NTK_OK)
        return status;
    ntk_fit_opts_init(&opts);
    opts.covariance = 1;
    opts.diag_reg = 1e-3;
    status = ntk_ctx_set_threads(ctx, threads);
    if (status == NTK_OK)
        status = ntk_net_parse(ctx, "serial(Dense(8), Relu(), Dense(1))", &net);
    if (status == NTK_OK)
        status = ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &train);
    if (status == NTK_OK)
        status = ntk_data_view(ctx, x, NTK_F64, M, (ntk_shape){0, 1, 1, D}, &test);
    if (status == NTK_OK)
        status = ntk_model_fit(ctx, net, train, y, 1, &opts, &model);
    if (status == NTK_OK)
        status = ntk_model_predict(model, test, mean, var);
    ntk_model_free(model);
    ntk_data_free(train);
    ntk_data_free(test);
    ntk_net_free(net);
    ntk_ctx_free(ctx);
    return status;
}

struct worker {
    pthread_t thread;
    int threads, wrong;
    double mean[M], var[M]; /* computed alone */
};

static void *work(void *user)
{
    struct worker *w = user;

    for (int k = 0; k < ROUNDS; k++) {
        double mean[M], var[M];

        if (fit(w->threads, mean, var) != NTK_OK) {
            w->wrong++;
            continue;
        }
        for (int i = 0; i < M; i++)
            w->wrong += fabs(mean[i] - w->mean[i]) > 1e-9 || fabs(var[i] - w->var[i]) > 1e-9;
    }
    return NULL;
}

static void contexts_work_at_the_same_time(void **state)
{
    struct worker workers[WORKERS];
    uint64_t seed = 5;

    (void)state;
    for (int i = 0; i < N * D; i++)
        x[i] = test_normal(&seed);
    for (int i = 0; i < N; i++)
        y[i] = test_normal(&seed);
    for (int k = 0; k < WORKERS; k++) {
        workers[k] = (struct worker){.threads = 1 + k};
        assert_int_equal(fit(workers[k].threads, workers[k].mean, workers[k].var), NTK_OK);
    }
    for (int k = 0; k < WORKERS; k++)
        assert_int_equal(pthread_create(&workers[k].thread, NULL, work, &workers[k]), 0);
    for (int k = 0; k < WORKERS; k++) {
        pthread_join(workers[k].thread, NULL);
        assert_int_equal(workers[k].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_work_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
