/* SPDX-License-Identifier: MIT
 *
 * Contexts that work at the same time, with different numbers of threads.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

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

/* ---- a progress function that takes its time */

static sem_t other_is_done;

/* In its first call from a thread at work the other context does all of its own. */
static int wait_for_other(const char *what, double done, double total, void *user)
{
    bool *waited = user;
    struct timespec end;

    (void)what, (void)total;
    if (*waited || done == 0)
        return 0;
    *waited = true;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 20;
    return sem_timedwait(&other_is_done, &end) != 0;
}

static int go_on(const char *what, double done, double total, void *user)
{
    (void)what, (void)done, (void)total, (void)user;
    return 0;
}

/* A kernel of a context of its own; its threads ask the progress function, tile by tile. */
static ntk_status kernel(ntk_progress_fn *progress, void *user)
{
    ntk_ctx *ctx;
    ntk_net *net = NULL;
    const ntk_net *nets[1];
    ntk_data *samples = NULL;
    ntk_kernel *k = NULL;
    double *out = malloc(sizeof *out * N * N);
    ntk_status status = ntk_ctx_new(&ctx);

    if (status != NTK_OK)
        return status;
    ntk_ctx_set_progress(ctx, progress, user);
    status = ntk_net_parse(ctx, "serial(Dense(8), Relu(), Dense(1))", &net);
    nets[0] = net;
    if (status == NTK_OK)
        status = ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &samples);
    if (status == NTK_OK)
        status = ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, (ntk_shape){0, 1, 1, D}, &k);
    if (status == NTK_OK)
        status = ntk_kernel_compute(k, samples, NULL, (void *[]){out});
    ntk_kernel_free(k);
    ntk_data_free(samples);
    ntk_net_free(net);
    ntk_ctx_free(ctx);
    free(out);
    return status;
}

static void *be_the_other(void *user)
{
    *(ntk_status *)user = kernel(go_on, NULL);
    sem_post(&other_is_done);
    return NULL;
}

static void *be_the_one(void *user)
{
    bool waited = false;

    *(ntk_status *)user = kernel(wait_for_other, &waited);
    return NULL;
}

static void progress_of_one_context_holds_no_other(void **state)
{
    pthread_t threads[2];
    ntk_status status[2];

    (void)state;
    assert_int_equal(sem_init(&other_is_done, 0, 0), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, be_the_one, &status[0]), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, be_the_other, &status[1]), 0);
    for (int k = 0; k < 2; k++) {
        pthread_join(threads[k], NULL);
        assert_int_equal(status[k], NTK_OK);
    }
    sem_destroy(&other_is_done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_of_one_context_holds_no_other),
        cmocka_unit_test(contexts_work_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
