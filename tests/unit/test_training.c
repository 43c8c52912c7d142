/* SPDX-License-Identifier: MIT
 *
 * test_training.c - gradient descent of finite networks beside the flow of their kernels; learning
 * rates; what a checkpoint refuses.
 */
#include <unistd.h>

#include "context.h"

#define N 6
#define C 3

struct fixture {
    ntk_net *net;
    ntk_params *p;
    ntk_data *x;
    double numbers[N * 5], y[N * C];
};

static void start(struct fixture *f, const char *text)
{
    uint64_t seed = 7;

    for (int i = 0; i < N * 5; i++)
        f->numbers[i] = test_normal(&seed);
    for (int i = 0; i < N * C; i++)
        f->y[i] = i % C == i / C * 2 % C;
    assert_ok(ctx, ntk_net_parse(ctx, text, &f->net));
    assert_ok(ctx, ntk_data_view(ctx, f->numbers, NTK_F64, N, (ntk_shape){0, 1, 1, 5}, &f->x));
    assert_ok(ctx, ntk_params_new(ctx, f->net, (ntk_shape){0, 1, 1, 5}, NTK_F64, 11, &f->p));
}

static void stop(struct fixture *f)
{
    ntk_params_free(f->p);
    ntk_data_free(f->x);
    ntk_net_free(f->net);
}

/* The kernel of a linear network does not change: small steps follow ntk_flow for every loss; with
 * momentum m, 1 / (1 - m) times as fast. */
static void small_steps_follow_the_flow(void **state)
{
    (void)state;
    if (!strstr(ntk_features(), "sundials"))
        skip();
    for (int k = 0; k < 8; k++) {
        struct fixture f;
        double f0[N * C], got[N * C], want[N * C], K[N * N * C * C], end;
        ntk_flow_opts flow;
        ntk_train_opts o;
        ntk_train *train;

        start(&f, "serial(Dense(4, b_std=0.3, trainable=False), Dense(3, b_std=0.5))");
        ntk_train_opts_init(&o);
        ntk_flow_opts_init(&flow);
        o.loss = flow.loss = k & 1 ? NTK_LOSS_XENT : NTK_LOSS_MSE;
        o.mean_loss = flow.mean_loss = k >> 1 & 1;
        o.momentum = k & 4 ? 0.5 : 0;
        o.learning_rate = 2e-4 * (flow.mean_loss ? 3 : 1) * (1 - o.momentum);
        end = 10000 * o.learning_rate / (1 - o.momentum);
        flow.blocks = 1;
        flow.rtol = flow.atol = 1e-9;
        assert_ok(ctx, ntk_params_set_multiplier(f.p, 0.8));
        assert_ok(ctx, ntk_params_apply(f.p, f.x, f0));
        assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_FULL, f.x, NULL, K));
        assert_ok(ctx, ntk_train_new(f.p, f.x, f.y, &o, &train));
        assert_ok(ctx, ntk_train_run(train, 10000, NULL));
        assert_ok(ctx, ntk_params_apply(f.p, f.x, got));
        assert_ok(ctx, ntk_flow(ctx, &flow, N, 0, C, K, NULL, f.y, f0, NULL, &end, 1, want, NULL));
        for (int i = 0; i < N * C; i++) {
            assert_near(got[i], want[i], 2e-3, 1);
            assert_true(fabs(f0[i] - want[i]) > 1e-3 || i > 0); /* it has moved */
        }
        ntk_train_free(train);
        stop(&f);
    }
}

/* In batches of one sample, with momentum, too. */
static void chosen_rates_are_stable(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) {
        struct fixture f;
        ntk_train_opts o;
        ntk_train *train;
        double first, last;

        start(&f, "serial(Dense(64, W_std=1.4), Relu(), Dense(3))");
        ntk_train_opts_init(&o);
        o.momentum = k & 1 ? 0.9 : 0;
        o.batch = k / 2 == 0 ? 1 : k / 2 == 1 ? 2 : 0;
        assert_ok(ctx, ntk_train_new(f.p, f.x, f.y, &o, &train));
        assert_ok(ctx, ntk_train_run(train, N, &first));
        assert_ok(ctx, ntk_train_run(train, 3000, NULL));
        assert_ok(ctx, ntk_train_run(train, N, &last));
        if (!(last < 1e-2 * first))
            fail_msg("batch %d, momentum %g: loss %g after %g", (int)o.batch, o.momentum, last,
                     first);
        ntk_train_free(train);
        stop(&f);
    }
}

/* A first batch that happens to be fitted is no measure of what diverges. */
static void a_small_first_loss_is_no_divergence(void **state)
{
    struct fixture f;
    ntk_train_opts o;
    ntk_train *train;

    (void)state;
    start(&f, "serial(Dense(8), Tanh(), Dense(3))");
    assert_ok(ctx, ntk_params_apply(f.p, f.x, f.y)); /* the loss is 0 ... */
    ntk_train_opts_init(&o);
    o.batch = 1;
    o.learning_rate = 1e-3;
    for (int at = 0; at < N; at++) { /* ... but for one sample, not in the first batch for most */
        f.y[at * C] += 0.3;
        assert_ok(ctx, ntk_train_new(f.p, f.x, f.y, &o, &train));
        assert_ok(ctx, ntk_train_run(train, N, NULL));
        ntk_train_free(train);
        assert_ok(ctx, ntk_params_apply(f.p, f.x, f.y));
    }
    stop(&f);
}

static void checkpoints_of_other_runs_are_refused(void **state)
{
    const char *path = "test_training_checkpoint.h5";
    struct fixture f, other;
    ntk_train_opts o;
    ntk_train *train;
    double before[50];

    (void)state;
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    start(&f, "serial(Dense(4), Tanh(), Dense(3))");
    start(&other, "serial(Dense(4), Erf(), Dense(3))");
    ntk_train_opts_init(&o);
    o.batch = 2;
    assert_ok(ctx, ntk_train_new(f.p, f.x, f.y, &o, &train));
    assert_ok(ctx, ntk_train_run(train, 3, NULL));
    assert_ok(ctx, ntk_train_save(train, path));
    ntk_train_free(train);

    assert_ok(ctx, ntk_train_new(other.p, other.x, other.y, &o, &train));
    assert_true(ntk_params_count(other.p) <= 50);
    memcpy(before, ntk_params_theta(other.p), (size_t)ntk_params_count(other.p) * sizeof *before);
    assert_fails(ctx, NTK_EINVAL, "is a checkpoint of another network: serial(Dense(4), Tanh()",
                 ntk_train_load(train, path));
    assert_memory_equal(before, ntk_params_theta(other.p),
                        (size_t)ntk_params_count(other.p) * sizeof *before);
    assert_int_equal(ntk_train_step(train), 0);
    ntk_train_free(train);

    for (int k = 0; k < 4; k++) {
        ntk_train_opts changed = o;

        changed.batch = k == 0 ? 3 : 2;
        changed.momentum = k == 1 ? 0.5 : 0;
        changed.learning_rate = k == 2 ? 0.25 : 0;
        f.y[0] += k == 3; /* other targets */
        assert_ok(ctx, ntk_train_new(f.p, f.x, f.y, &changed, &train));
        assert_fails(ctx, NTK_EINVAL, "of a run with other options or data",
                     ntk_train_load(train, path));
        ntk_train_free(train);
    }
    assert_ok(ctx, ntk_train_new(f.p, f.x, f.y, &o, &train));
    assert_ok(ctx, ntk_params_save(f.p, path)); /* parameters are no checkpoint */
    assert_fails(ctx, NTK_EIO, "its part 'run' is missing", ntk_train_load(train, path));
    ntk_train_free(train);
    unlink(path);
    stop(&f);
    stop(&other);
}

/* A run keeps the threads that its memory was made for. */
static void threads_may_change_meanwhile(void **state)
{
    const ntk_shape image = {2, 8, 8, 2};
    double x[20 * 128], y[20 * 2] = {1}, loss[2];
    uint64_t seed = 4;
    ntk_train_opts o;
    ntk_net *net;
    ntk_data *data;

    (void)state;
    for (int i = 0; i < 20 * 128; i++)
        x[i] = test_normal(&seed);
    assert_ok(ctx, ntk_net_parse(ctx,
                                 "serial(Conv(16, (3, 3), padding='SAME'), Relu(), Conv(16, (3, "
                                 "3)), Relu(), GlobalAvgPool(), Dense(2))",
                                 &net));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 20, image, &data));
    ntk_train_opts_init(&o);
    for (int k = 0; k < 2; k++) {
        ntk_params *p;
        ntk_train *train;

        assert_ok(ctx, ntk_ctx_set_threads(ctx, k ? 1 : 4));
        assert_ok(ctx, ntk_params_new(ctx, net, image, NTK_F64, 1, &p));
        assert_ok(ctx, ntk_train_new(p, data, y, &o, &train));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 4));
        assert_ok(ctx, ntk_train_run(train, 5, &loss[k]));
        ntk_train_free(train);
        ntk_params_free(p);
    }
    assert_true(loss[0] == loss[1]);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 2));
    ntk_data_free(data);
    ntk_net_free(net);
}

static void bad_options_are_refused(void **state)
{
    struct fixture f;
    ntk_train_opts good, o;
    ntk_train *train = NULL;

    (void)state;
    start(&f, "Dense(3)");
    ntk_train_opts_init(&good);
    o = good;
    o.learning_rate = -1;
    assert_fails(ctx, NTK_EINVAL, "learning_rate must be positive, or 0 for one that is chosen, got -1",
                 ntk_train_new(f.p, f.x, f.y, &o, &train));
    o = good;
    o.fraction = 0;
    assert_fails(ctx, NTK_EINVAL, "fraction must be positive, got 0",
                 ntk_train_new(f.p, f.x, f.y, &o, &train));
    o = good;
    o.momentum = 1;
    assert_fails(ctx, NTK_EINVAL, "momentum must be from 0 to below 1, got 1",
                 ntk_train_new(f.p, f.x, f.y, &o, &train));
    o = good;
    o.batch = N + 1;
    assert_fails(ctx, NTK_EINVAL, "batch must be from 1 to the 6 samples, or 0 for all, got 7",
                 ntk_train_new(f.p, f.x, f.y, &o, &train));
    f.y[4] = 2;
    o = good;
    o.loss = NTK_LOSS_XENT;
    assert_fails(ctx, NTK_EINVAL, "target 1 of sample 1 is 2; cross-entropy needs probabilities",
                 ntk_train_new(f.p, f.x, f.y, &o, &train));
    f.y[4] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "target 1 of sample 1 is nan; targets must be finite",
                 ntk_train_new(f.p, f.x, f.y, &good, &train));
    assert_null(train);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_steps_follow_the_flow),
        cmocka_unit_test(chosen_rates_are_stable),
        cmocka_unit_test(a_small_first_loss_is_no_divergence),
        cmocka_unit_test(checkpoints_of_other_runs_are_refused),
        cmocka_unit_test(threads_may_change_meanwhile),
        cmocka_unit_test(bad_options_are_refused),
    };

    return cmocka_run_group_tests_name("training", tests, setup, teardown);
}
