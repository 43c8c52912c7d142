/* SPDX-License-Identifier: MIT
 *
 * Plans: numbers that follow from sizes, memory as ntk_model_bytes has it and as fits are refused by, the solver that fits then
 * take; that the least memory that is said does.
 */
#include <stdio.h>
#include <unistd.h>

#include "test.h"
#include "solve/solver.h"

enum { N = 700, M = 90, D = 12, C = 3 };

static const char *const nets[] = {"fc(depth=2)", "serial(Dense(1), Tanh(), Dense(1))",
                                   "serial(Conv(1, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))"};

struct fixture {
    ntk_ctx *ctx;
    ntk_net *net;
    ntk_data *x;
    double numbers[N * D], y[N * C];
    char said[400];
};

static void hear(int level, const char *text, void *user)
{
    struct fixture *f = user;

    (void)level;
    if (strstr(text, "the solver is"))
        snprintf(f->said, sizeof f->said, "%s", text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uint64_t seed = 3;

    for (size_t k = 0; k < N * D; k++)
        f->numbers[k] = test_normal(&seed);
    for (size_t k = 0; k < N * C; k++)
        f->y[k] = test_normal(&seed);
    assert_int_equal(ntk_ctx_new(&f->ctx), NTK_OK);
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 2));
    ntk_ctx_set_log(f->ctx, hear, f);
    assert_ok(f->ctx, ntk_net_parse(f->ctx, nets[0], &f->net));
    assert_ok(f->ctx, ntk_data_view(f->ctx, f->numbers, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &f->x));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ntk_data_free(f->x);
    ntk_net_free(f->net);
    ntk_ctx_free(f->ctx);
    free(f);
    return 0;
}

static ntk_plan_opts sizes(int64_t n, int64_t m)
{
    ntk_plan_opts o;

    ntk_plan_opts_init(&o);
    o.n = n;
    o.m = m;
    o.outputs = C;
    o.rates = 0;
    return o;
}

static ntk_plan *plan_of(struct fixture *f, const ntk_fit_opts *fit, const ntk_plan_opts *o)
{
    ntk_plan *plan;

    assert_ok(f->ctx, ntk_plan_new(f->ctx, f->net, (ntk_shape){0, 1, 1, D}, fit, o, &plan));
    return plan;
}

static ntk_plan_info about(const ntk_plan *plan)
{
    ntk_plan_info i;

    ntk_plan_info_init(&i);
    assert_int_equal(ntk_plan_about(plan, &i), NTK_OK);
    return i;
}

static ntk_plan_row row_of(const ntk_plan *plan, size_t k)
{
    ntk_plan_row r;

    ntk_plan_row_init(&r);
    assert_int_equal(ntk_plan_get(plan, k, &r), NTK_OK);
    return r;
}

static ntk_plan_row row_called(const ntk_plan *plan, const char *name)
{
    for (size_t k = 0; k < ntk_plan_rows(plan); k++)
        if (strcmp(row_of(plan, k).solver, name) == 0)
            return row_of(plan, k);
    fail_msg("no row %s", name);
    return row_of(plan, 0);
}

/* ---- numbers that follow from sizes */

static void sizes_are_counted(void **state)
{
    struct fixture *f = *state;
    const ntk_plan_opts o = sizes(1000000, 10000);
    ntk_fit_opts fit;
    ntk_plan *plan;
    ntk_plan_info i;

    ntk_fit_opts_init(&fit);
    fit.dtype = NTK_F32;
    plan = plan_of(f, &fit, &o);
    i = about(plan);
    assert_true(i.pairs == 1e6 * (1e6 + 1) / 2);
    assert_true(i.pairs_test == 1e10);
    assert_true(i.positions == 0 && i.features == D);
    assert_true(i.samples_bytes == 1010000.0 * D * 4);
    assert_true(i.store_bytes == 4 * (i.pairs + i.pairs_test));
    assert_true(isnan(i.pair_seconds) && isnan(row_of(plan, 0).seconds)); /* nothing was measured */
    assert_true(ntk_plan_rows(plan) == ntk_n_solvers + 1); /* and landmarks */
    ntk_plan_free(plan);
}

static void operations_are_those_of_textbooks(void **state)
{
    struct fixture *f = *state;
    const ntk_plan_opts o = sizes(30000, 0);
    ntk_plan *plan = plan_of(f, NULL, &o);
    const double n = 30000;

    assert_near(row_called(plan, "cholesky").f64, n * n * n / 3, 1e-12, 0);
    assert_near(row_called(plan, "mixed").f32, n * n * n / 3, 1e-12, 0);
    assert_near(row_called(plan, "eigen").f64, 4 * n * n * n, 1e-12, 0);
    assert_true(row_called(plan, "cholesky").passes == 1);
    assert_true(row_called(plan, "cg").steps == 30);          /* of a tolerance of 1e-3 */
    assert_true(row_called(plan, "lanczos").passes == C * 101); /* nothing is kept */
    ntk_plan_free(plan);
}

/* Of a million samples with 2,000 landmarks, chosen among 20,000: 4 bytes an entry where memory holds them, else sums. */
static void landmarks_take_some_columns(void **state)
{
    struct fixture *f = *state;
    const double n = 1e6, m = 2000, pairs = n * m + m * m / 2 + 20000 * m;

    for (int kept = 0; kept < 2; kept++) {
        const ntk_plan_opts o = sizes(1000000, 10000);
        ntk_fit_opts fit;
        ntk_plan *plan;
        ntk_plan_row r;

        ntk_ctx_set_memory(f->ctx, (size_t)(kept ? 20 : 2) << 30);
        ntk_fit_opts_init(&fit);
        fit.dtype = NTK_F32;
        fit.solver = "landmarks";
        fit.landmarks = 2000;
        plan = plan_of(f, &fit, &o);
        r = row_of(plan, (size_t)about(plan).chosen);
        assert_string_equal(r.solver, "landmarks");
        assert_string_equal(about(plan).reason, "it was asked for");
        assert_true(r.fits);
        assert_near(r.passes * about(plan).pairs, pairs, 1e-12, 0);
        assert_near(r.f64, kept ? 5 * m * m * m / 3 : 2 * n * m * m + 2 * m * m * m / 3, 1e-12, 0);
        assert_near(r.products, kept ? 50 * 4 * n * m : 0, 1e-12, 0);
        assert_true((double)r.bytes > (kept ? 4 * n * m : 0) && r.bytes < (size_t)(kept ? 20 : 2) << 30);
        ntk_plan_free(plan);
    }
    ntk_ctx_set_memory(f->ctx, 0);
}

/* ---- memory */

static void memory_is_that_of_the_fit(void **state)
{
    struct fixture *f = *state;

    for (size_t n = 0; n < 2; n++)
        for (int given = 0; given < 2; given++) {
            ntk_plan_opts o = sizes(N, 0);
            ntk_plan *plan;

            ntk_net_free(f->net);
            assert_ok(f->ctx, ntk_net_parse(f->ctx, nets[n], &f->net));
            o.x = given || n == 1 ? f->x : NULL; /* what a series takes follows from the samples */
            plan = plan_of(f, NULL, &o);
            for (size_t k = 0; k < ntk_plan_rows(plan); k++) {
                const ntk_plan_row r = row_of(plan, k);
                ntk_fit_opts fit;
                size_t bytes;

                ntk_fit_opts_init(&fit);
                fit.solver = r.solver;
                assert_ok(f->ctx, ntk_model_bytes(f->ctx, f->net, f->x, C, &fit, &bytes));
                assert_true(r.bytes == bytes);
            }
            ntk_plan_free(plan);
        }
}

/* Of samples like those that there are: what a few say of many. */
static void few_samples_speak_for_many(void **state)
{
    struct fixture *f = *state;

    for (size_t k = 1; k < sizeof nets / sizeof *nets; k++) {
        const ntk_shape shape = k == 2 ? (ntk_shape){2, 2, 2, 3} : (ntk_shape){0, 1, 1, D};
        ntk_plan_opts o = sizes(N, 0);
        ntk_data *all, *some;
        ntk_plan *plan;
        size_t bytes;

        ntk_net_free(f->net);
        assert_ok(f->ctx, ntk_net_parse(f->ctx, nets[k], &f->net));
        assert_ok(f->ctx, ntk_data_view(f->ctx, f->numbers, NTK_F64, N, shape, &all));
        assert_ok(f->ctx, ntk_data_slice(all, 0, N / 2, &some));
        assert_ok(f->ctx, ntk_model_bytes(f->ctx, f->net, all, C, NULL, &bytes));
        o.x = some;
        assert_ok(f->ctx, ntk_plan_new(f->ctx, f->net, shape, NULL, &o, &plan));
        assert_near((double)row_called(plan, "cholesky").bytes, (double)bytes, 0.05, 0);
        ntk_plan_free(plan);
        ntk_data_free(some);
        ntk_data_free(all);
    }
}

/* ---- the choice: what a fit then takes, in each kind of memory */

static void the_chosen_solver_is_taken(void **state)
{
    static const size_t memory[] = {0, 100, 16, 8, 5, 4, 3};
    struct fixture *f = *state;

    for (int dtype = 4; dtype <= 8; dtype += 4)
        for (size_t k = 0; k < sizeof memory / sizeof *memory; k++) {
            ntk_plan_opts o = sizes(0, 0);
            ntk_fit_opts fit, own;
            ntk_model *model;
            ntk_plan *plan;
            ntk_plan_row r;
            ntk_status status;

            ntk_fit_opts_init(&fit);
            fit.dtype = (ntk_dtype)dtype;
            fit.diag_reg = 0.1;
            ntk_ctx_set_memory(f->ctx, memory[k] << 20);
            o.x = f->x;
            plan = plan_of(f, &fit, &o);
            r = row_of(plan, (size_t)about(plan).chosen);
            *f->said = '\0';
            status = ntk_model_fit(f->ctx, f->net, f->x, f->y, C, &fit, &model);
            assert_true(status == NTK_OK || status == NTK_ENOMEM);
            assert_true(r.fits || status == NTK_ENOMEM);
            if (status != NTK_OK) /* "at least" is a fifth too little at most */
                assert_true(!r.fits || 1.2 * (double)r.bytes > (double)about(plan).memory);
            if (status == NTK_OK) {
                ntk_fit_opts_init(&own);
                assert_ok(f->ctx, ntk_model_opts(model, &own));
                assert_string_equal(own.solver, r.solver);
                if (strcmp(r.solver, "cholesky") != 0)
                    assert_non_null(strstr(f->said, about(plan).reason));
                ntk_model_free(model);
            } else if (!r.fits) {
                assert_string_equal(about(plan).reason, ntk_errmsg(f->ctx));
            }
            ntk_plan_free(plan);
        }
    ntk_ctx_set_memory(f->ctx, 0);
}

/* The least that is said, and its solver, do; a tenth less does not. */
static void the_least_does(void **state)
{
    static const char *const asked[] = {"cholesky", "eigen", "mixed", NULL};
    struct fixture *f = *state;

    for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
        ntk_fit_opts fit;
        ntk_model *model;
        double mib;
        char least[20];
        const char *at;

        ntk_fit_opts_init(&fit);
        fit.diag_reg = 0.1;
        fit.solver = asked[k];
        ntk_ctx_set_memory(f->ctx, (size_t)1 << 20);
        assert_fails(f->ctx, NTK_ENOMEM, "the least that would do is ",
                     ntk_model_fit(f->ctx, f->net, f->x, f->y, C, &fit, &model));
        at = strstr(ntk_errmsg(f->ctx), "do is ");
        at = strpbrk(at, "0123456789");
        assert_int_equal(sscanf(at, "%lf MiB, by the solver '%19[a-z-]", &mib, least), 2);
        fit.solver = least;
        ntk_ctx_set_memory(f->ctx, (size_t)(0.8 * mib * 0x1p20));
        assert_int_equal(ntk_model_fit(f->ctx, f->net, f->x, f->y, C, &fit, &model), NTK_ENOMEM);
        ntk_ctx_set_memory(f->ctx, (size_t)((mib + 0.01) * 0x1p20));
        assert_ok(f->ctx, ntk_model_fit(f->ctx, f->net, f->x, f->y, C, &fit, &model));
        ntk_model_free(model);
    }
    ntk_ctx_set_memory(f->ctx, 0);
}

/* A store's tile counts: one of 700 x 700 is more than a cg takes, and than this memory. */
static void a_tile_counts(void **state)
{
    struct fixture *f = *state;
    const ntk_net *net = f->net;
    char path[] = "/tmp/ntk_plan_XXXXXX";
    ntk_kernel_store *s;
    ntk_fit_opts fit;
    ntk_model *model;
    const int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    if (ntk_store_open(f->ctx, path, &net, 1, NTK_NTK, NTK_F64, f->x, NULL, NULL, &s) == NTK_ENOTSUP)
        skip();
    assert_ok(f->ctx, ntk_store_fill(s));
    ntk_store_free(s);
    ntk_fit_opts_init(&fit);
    fit.diag_reg = 0.1;
    fit.store = path;
    ntk_ctx_set_memory(f->ctx, (size_t)3 << 20); /* the tile has 3.7 MiB */
    assert_fails(f->ctx, NTK_ENOMEM, "the least that would do is ", ntk_model_fit(f->ctx, f->net, f->x, f->y, C, &fit, &model));
    ntk_ctx_set_memory(f->ctx, (size_t)12 << 20);
    assert_ok(f->ctx, ntk_model_fit(f->ctx, f->net, f->x, f->y, C, &fit, &model));
    ntk_model_free(model);
    ntk_ctx_set_memory(f->ctx, 0);
    unlink(path);
}

/* ---- time */

static void time_follows_from_rates(void **state)
{
    struct fixture *f = *state;
    ntk_plan_opts o = sizes(N, M);
    ntk_plan *plan, *other;
    ntk_plan_info i;

    o.rates = 1;
    plan = plan_of(f, NULL, &o);
    i = about(plan);
    assert_true(i.pair_seconds > 0 && i.rate_f32 > 0 && i.rate_f64 > 0 && i.rate_products > 0 && i.rate_vector > 0);
    for (size_t k = 0; k < ntk_plan_rows(plan); k++) {
        const ntk_plan_row r = row_of(plan, k);

        assert_near(r.kernel_seconds, r.passes * i.pairs * i.pair_seconds, 1e-12, 0);
        assert_near(r.solve_seconds,
                    r.f32 / i.rate_f32 + r.f64 / i.rate_f64 + r.products / i.rate_products + r.vector / i.rate_vector +
                        r.written / o.disk,
                    1e-12, 0);
        assert_near(r.predict_seconds, i.pairs_test * (i.pair_seconds + 8 / i.rate_vector), 1e-12, 0);
        assert_near(r.seconds, r.kernel_seconds + r.solve_seconds + r.predict_seconds, 1e-12, 0);
    }
    o.n = 10 * N;
    o.like = plan;
    o.ranks = 4;
    other = plan_of(f, NULL, &o);
    assert_true(about(other).pair_seconds == i.pair_seconds);
    assert_near(row_called(other, "cholesky").kernel_seconds, about(other).pairs * i.pair_seconds / 4, 1e-12, 0);
    ntk_plan_free(other);
    ntk_plan_free(plan);
}

/* Written once, and read by each pass. */
static void a_store_is_written_and_read(void **state)
{
    struct fixture *f = *state;
    ntk_plan_opts o = sizes(N, M);
    ntk_fit_opts fit;
    ntk_plan *plan;
    ntk_plan_row r;
    size_t bytes;

    o.x = f->x;
    ntk_fit_opts_init(&fit);
    fit.store = "not there.h5";
    plan = plan_of(f, &fit, &o);
    r = row_called(plan, "lanczos");
    assert_true(r.files == about(plan).store_bytes);
    assert_true(r.written == (1 + r.passes) * r.files);
    r = row_called(plan, "cholesky");
    assert_true(r.written == 2 * r.files);
    assert_ok(f->ctx, ntk_model_bytes(f->ctx, f->net, f->x, C, &fit, &bytes));
    assert_true(r.bytes == bytes);
    ntk_plan_free(plan);
}

/* ---- options */

static void rows_are_of_solvers_that_can(void **state)
{
    struct fixture *f = *state;
    ntk_plan_opts o = sizes(N, 0);
    ntk_fit_opts fit;
    ntk_plan *plan;

    ntk_fit_opts_init(&fit);
    fit.finite_time = 1;
    plan = plan_of(f, &fit, &o);
    assert_true(ntk_plan_rows(plan) == 1);
    assert_string_equal(row_of(plan, 0).solver, "eigen");
    ntk_plan_free(plan);
    fit.finite_time = 0;
    fit.diag_reg = NTK_DIAG_REG_AUTO;
    plan = plan_of(f, &fit, &o);
    assert_true(ntk_plan_rows(plan) == 4); /* cholesky, eigen, out-of-core, landmarks */
    assert_string_equal(row_of(plan, (size_t)about(plan).chosen).solver, "eigen");
    assert_true(row_called(plan, "cholesky").f64 > NTK_RIDGES * (double)N * N * N / 3);
    ntk_plan_free(plan);
}

static void wrong_numbers_are_refused(void **state)
{
    struct fixture *f = *state;
    const ntk_shape shape = {0, 1, 1, D};
    ntk_plan_opts o = sizes(0, 0);
    ntk_plan_row r;
    ntk_plan *plan;

    assert_fails(f->ctx, NTK_EINVAL, "1 to", ntk_plan_new(f->ctx, f->net, shape, NULL, &o, &plan));
    o = sizes(N, -1);
    assert_fails(f->ctx, NTK_EINVAL, "m must be", ntk_plan_new(f->ctx, f->net, shape, NULL, &o, &plan));
    o = sizes(N, 0);
    o.outputs = 0;
    assert_fails(f->ctx, NTK_EINVAL, "outputs", ntk_plan_new(f->ctx, f->net, shape, NULL, &o, &plan));
    o = sizes(N, 0);
    assert_fails(f->ctx, NTK_EINVAL, "shape", ntk_plan_new(f->ctx, f->net, (ntk_shape){0, 1, 1, 0}, NULL, &o, &plan));
    o.x = f->x;
    assert_fails(f->ctx, NTK_ESHAPE, "x have shape 12", ntk_plan_new(f->ctx, f->net, (ntk_shape){0, 1, 1, 5}, NULL, &o, &plan));
    plan = plan_of(f, NULL, &o);
    ntk_plan_row_init(&r);
    assert_fails(f->ctx, NTK_EINVAL, "rows, numbered from 0; got 99", ntk_plan_get(plan, 99, &r));
    ntk_plan_free(plan);
    ntk_plan_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(sizes_are_counted),
        TEST(operations_are_those_of_textbooks),
        TEST(landmarks_take_some_columns),
        TEST(memory_is_that_of_the_fit),
        TEST(few_samples_speak_for_many),
        TEST(the_chosen_solver_is_taken),
        TEST(the_least_does),
        TEST(a_tile_counts),
        TEST(time_follows_from_rates),
        TEST(a_store_is_written_and_read),
        TEST(rows_are_of_solvers_that_can),
        TEST(wrong_numbers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
