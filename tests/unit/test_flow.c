/* SPDX-License-Identifier: MIT
 *
 * test_flow.c - dynamics of losses in function space.
 */
#include "context.h"
#include "golden.h"

struct flow_case {
    ntk_flow_opts opts;
    int n, m, c, n_times;
    double *times, *k_train, *k_test, *y, *f0, *f; /* f [n_times][n + m][c] */
};

static double *numbers(const cJSON *item, const char *key)
{
    int n;

    return golden_numbers(cJSON_GetObjectItem(item, key), &n);
}

static int integer(const cJSON *item, const char *key)
{
    return cJSON_GetObjectItem(item, key)->valueint;
}

static struct flow_case read_case(const cJSON *all, const cJSON *item)
{
    struct flow_case c = {.n = integer(all, "n"), .m = integer(all, "m"), .c = integer(all, "c")};
    const cJSON *momentum = cJSON_GetObjectItem(item, "momentum");

    ntk_flow_opts_init(&c.opts);
    c.opts.loss = strcmp(golden_text(item, "loss"), "mse") == 0 ? NTK_LOSS_MSE : NTK_LOSS_XENT;
    c.opts.blocks = integer(item, "blocks");
    c.opts.mean_loss = integer(item, "mean");
    c.opts.learning_rate = cJSON_GetObjectItem(all, "learning_rate")->valuedouble;
    if (cJSON_IsNumber(momentum))
        c.opts.momentum = momentum->valuedouble;
    c.times = golden_numbers(cJSON_GetObjectItem(all, "times"), &c.n_times);
    c.k_train = numbers(item, "k_train");
    c.k_test = numbers(item, "k_test");
    c.y = numbers(item, "y");
    c.f0 = numbers(item, "f0");
    c.f = numbers(item, "f");
    return c;
}

static void free_case(struct flow_case *c)
{
    free(c->times);
    free(c->k_train);
    free(c->k_test);
    free(c->y);
    free(c->f0);
    free(c->f);
}

static ntk_status run(const struct flow_case *c, double *train, double *test)
{
    return ntk_flow(ctx, &c->opts, c->n, c->m, c->c, c->k_train, c->k_test, c->y, c->f0,
                    c->f0 + c->n * c->c, c->times, (size_t)c->n_times, train, test);
}

/* Largest difference from the golden trajectory. */
static double error_of(const struct flow_case *c)
{
    const int n = c->n * c->c, m = c->m * c->c;
    double *train = malloc((size_t)(c->n_times * n) * sizeof *train);
    double *test = malloc((size_t)(c->n_times * m) * sizeof *test), worst = 0;

    assert_ok(ctx, run(c, train, test));
    for (int k = 0; k < c->n_times; k++)
        for (int i = 0; i < n + m; i++)
            worst = fmax(worst, fabs((i < n ? train[k * n + i] : test[k * m + i - n]) -
                                     c->f[k * (n + m) + i]));
    free(train);
    free(test);
    return worst;
}

static void golden_trajectories(void **state)
{
    cJSON *all = golden_read("flow.json");
    const cJSON *item;
    int k = 0;

    (void)state;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(all, "cases"))
    {
        struct flow_case c = read_case(all, item);
        double loose, tight;

        loose = error_of(&c);
        c.opts.rtol = 1e-10;
        c.opts.atol = 1e-11;
        tight = error_of(&c);
        if (loose > 1e-4 || tight > 1e-8) /* tolerances are of a step: errors add up over steps */
            fail_msg("case %d: errors %.2e and %.2e", k, loose, tight);
        free_case(&c);
        k++;
    }
    assert_true(k >= 7);
    cJSON_Delete(all);
}

static void squared_loss_is_the_closed_form(void **state)
{
    const double times[] = {0.01, 0.3, 4, 50};
    double train[2][4 * 30 * 10], test[2][4 * 12 * 10], K[30 * 30], Kt[12 * 30], y[300];
    ntk_data *all, *x, *xt;
    ntk_net *net;
    ntk_kernel *kernel;
    ntk_model *model;
    ntk_fit_opts fit;
    ntk_flow_opts flow;

    (void)state;
    assert_ok(ctx, ntk_data_load(ctx, "digits", NULL, &all));
    ntk_data_flatten(all);
    assert_ok(ctx, ntk_data_slice(all, 0, 30, &x));
    assert_ok(ctx, ntk_data_slice(all, 100, 12, &xt));
    assert_ok(ctx, ntk_data_targets(x, NTK_CENTERED, 10, y));
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=2)", &net));
    assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *[]){net}, 1, NTK_NTK, NTK_F64,
                                  ntk_data_shape(x), &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, x, NULL, (void *[]){K}));
    assert_ok(ctx, ntk_kernel_compute(kernel, xt, x, (void *[]){Kt}));
    ntk_fit_opts_init(&fit);
    fit.finite_time = 1;
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, 10, &fit, &model));
    assert_ok(ctx, ntk_model_dynamics(model, times, 4, NULL, xt, NULL, train[0], test[0], NULL));
    ntk_flow_opts_init(&flow);
    flow.rtol = flow.atol = 1e-9;
    assert_ok(ctx,
              ntk_flow(ctx, &flow, 30, 12, 10, K, Kt, y, NULL, NULL, times, 4, train[1], test[1]));
    for (int i = 0; i < 4 * 30 * 10; i++)
        assert_near(train[1][i], train[0][i], 1e-6, 1);
    for (int i = 0; i < 4 * 12 * 10; i++)
        assert_near(test[1][i], test[0][i], 1e-6, 1);
    ntk_model_free(model);
    ntk_kernel_free(kernel);
    ntk_net_free(net);
    ntk_data_free(x);
    ntk_data_free(xt);
    ntk_data_free(all);
}

static int cancel(const char *what, double done, double total, void *user)
{
    (void)what, (void)total, (void)user;
    return done > 1.5;
}

static void it_can_be_cancelled(void **state)
{
    cJSON *all = golden_read("flow.json");
    struct flow_case c = read_case(all, cJSON_GetArrayItem(cJSON_GetObjectItem(all, "cases"), 3));
    double train[5 * 6 * 3];

    (void)state;
    ntk_ctx_set_progress(ctx, cancel, NULL);
    assert_int_equal(run(&c, train, NULL), NTK_ECANCEL);
    ntk_ctx_set_progress(ctx, NULL, NULL);
    free_case(&c);
    cJSON_Delete(all);
}

static void bad_input_is_refused(void **state)
{
    cJSON *all = golden_read("flow.json");
    struct flow_case c = read_case(all, cJSON_GetArrayItem(cJSON_GetObjectItem(all, "cases"), 3));
    const ntk_flow_opts good = c.opts;

    (void)state;
    c.opts.rtol = 1;
    assert_fails(ctx, NTK_EINVAL, "rtol must be from 1e-13 to 0.1, got 1", run(&c, NULL, NULL));
    c.opts = good;
    c.opts.momentum = 1;
    assert_fails(ctx, NTK_EINVAL, "momentum must be from 0 to below 1", run(&c, NULL, NULL));
    c.opts = good;
    c.times[2] = 0.01;
    assert_fails(ctx, NTK_EINVAL, "times must be finite, >= 0 and ascending; number 3",
                 run(&c, NULL, NULL));
    c.times[2] = 0.7;
    c.y[3] = -0.5;
    assert_fails(ctx, NTK_EINVAL, "those of sample 1 sum to", run(&c, NULL, NULL));
    c.y[3] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "target 0 of sample 1 is not finite", run(&c, NULL, NULL));
    free_case(&c);
    cJSON_Delete(all);
}

static void needs_sundials(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_trajectories),
        cmocka_unit_test(squared_loss_is_the_closed_form),
        cmocka_unit_test(it_can_be_cancelled),
        cmocka_unit_test(bad_input_is_refused),
    };

    const struct CMUnitTest none[] = {cmocka_unit_test(needs_sundials)};

    if (!strstr(ntk_features(), "sundials"))
        return cmocka_run_group_tests_name("flow", none, setup, teardown);
    return cmocka_run_group_tests_name("flow", tests, setup, teardown);
}
