/* SPDX-License-Identifier: MIT
 *
 * Structs of ntk.h that may grow: what programs give that were compiled with another version's header.
 */
#include "base/sized.h"
#include "test.h"

#define N 3

struct fixture {
    ntk_ctx *ctx;
    ntk_net *net;
    ntk_data *x;
    ntk_model *model;
    ntk_params *params;
};

static const double numbers[2 * N] = {1, 2, 3, -1, 0.5, 2}, targets[N] = {1, -1, 0.5};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_int_equal(ntk_ctx_new(&f->ctx), NTK_OK);
    assert_ok(f->ctx, ntk_net_parse(f->ctx, "serial(Dense(4), Relu(), Dense(1))", &f->net));
    assert_ok(f->ctx, ntk_data_view(f->ctx, numbers, NTK_F64, N, (ntk_shape){0, 1, 1, 2}, &f->x));
    assert_ok(f->ctx, ntk_model_fit(f->ctx, f->net, f->x, targets, 1, NULL, &f->model));
    assert_ok(f->ctx, ntk_params_new(f->ctx, f->net, (ntk_shape){0, 1, 1, 2}, NTK_F64, 1, &f->params));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ntk_params_free(f->params);
    ntk_model_free(f->model);
    ntk_data_free(f->x);
    ntk_net_free(f->net);
    ntk_ctx_free(f->ctx);
    free(f);
    return 0;
}

/* ---- every function that takes such a struct */

static ntk_status data_load(const struct fixture *f, void *opts)
{
    ntk_data *data = NULL;
    const ntk_status status = ntk_data_load(f->ctx, "digits/test", opts, &data);

    ntk_data_free(data);
    return status;
}

static ntk_status model_bytes(const struct fixture *f, void *opts)
{
    size_t bytes;

    return ntk_model_bytes(f->ctx, f->net, f->x, 1, opts, &bytes);
}

static ntk_status model_fit(const struct fixture *f, void *opts)
{
    ntk_model *model = NULL;
    const ntk_status status = ntk_model_fit(f->ctx, f->net, f->x, targets, 1, opts, &model);

    ntk_model_free(model);
    return status;
}

static ntk_status models_fit(const struct fixture *f, void *opts)
{
    const ntk_net *nets[] = {f->net, f->net};
    ntk_model *models[2] = {NULL, NULL};
    const ntk_status status = ntk_models_fit(f->ctx, nets, 2, f->x, targets, 1, opts, models);

    ntk_model_free(models[0]);
    ntk_model_free(models[1]);
    return status;
}

/* A build without an integrator has read the options before it says so. */
static ntk_status flow(const struct fixture *f, void *opts)
{
    const double k[] = {1};
    const ntk_status status =
        ntk_flow(f->ctx, opts, 1, 0, 1, k, NULL, targets, NULL, NULL, NULL, 0, NULL, NULL);

    return status == NTK_ENOTSUP ? NTK_OK : status;
}

static ntk_status train_new(const struct fixture *f, void *opts)
{
    ntk_train *train = NULL;
    const ntk_status status = ntk_train_new(f->params, f->x, targets, opts, &train);

    ntk_train_free(train);
    return status;
}

static ntk_status model_spectrum(const struct fixture *f, void *spectrum)
{
    return ntk_model_spectrum(f->model, spectrum);
}

static ntk_status plan_new(const struct fixture *f, void *opts)
{
    ntk_plan_opts given;
    ntk_plan *plan = NULL;
    ntk_status status;

    ntk_plan_opts_init(&given);
    given.n = N; /* 0 is for those that come with samples */
    given.rates = 0;
    if (opts)
        memcpy((char *)opts + sizeof given.size, (char *)&given + sizeof given.size, sizeof given - sizeof given.size);
    else
        opts = &given;
    status = ntk_plan_new(f->ctx, f->net, (ntk_shape){0, 1, 1, 2}, NULL, opts, &plan);
    ntk_plan_free(plan);
    return status;
}

static ntk_status plan_result(const struct fixture *f, ntk_plan_info *info, ntk_plan_row *row)
{
    ntk_plan_opts opts;
    ntk_plan *plan;
    ntk_status status;

    ntk_plan_opts_init(&opts);
    opts.n = N;
    opts.rates = 0;
    status = ntk_plan_new(f->ctx, f->net, (ntk_shape){0, 1, 1, 2}, NULL, &opts, &plan);
    if (status != NTK_OK)
        return status;
    status = info ? ntk_plan_about(plan, info) : ntk_plan_get(plan, 0, row);
    ntk_plan_free(plan);
    return status;
}

static ntk_status plan_about(const struct fixture *f, void *info) { return plan_result(f, info, NULL); }
static ntk_status plan_get(const struct fixture *f, void *row) { return plan_result(f, NULL, row); }

#define INIT(type)                                 \
    static void type##_of(void *to, size_t size) \
    {                                              \
        type##_init_sized(to, size);               \
    }
INIT(ntk_load_opts)
INIT(ntk_fit_opts)
INIT(ntk_flow_opts)
INIT(ntk_train_opts)
INIT(ntk_spectrum)
INIT(ntk_plan_opts)
INIT(ntk_plan_info)
INIT(ntk_plan_row)

/* first: bytes of the struct in version 0.1, which every later library takes. */
static const struct use {
    const char *type;
    size_t first, size;
    void (*init)(void *to, size_t size);
    ntk_status (*call)(const struct fixture *f, void *given);
    bool result; /* the struct is filled in by the call */
} uses[] = {
    {"ntk_load_opts", 72, sizeof(ntk_load_opts), ntk_load_opts_of, data_load, false},
    {"ntk_fit_opts", 48, sizeof(ntk_fit_opts), ntk_fit_opts_of, model_bytes, false},
    {"ntk_fit_opts", 48, sizeof(ntk_fit_opts), ntk_fit_opts_of, model_fit, false},
    {"ntk_fit_opts", 48, sizeof(ntk_fit_opts), ntk_fit_opts_of, models_fit, false},
    {"ntk_flow_opts", 104, sizeof(ntk_flow_opts), ntk_flow_opts_of, flow, false},
    {"ntk_train_opts", 56, sizeof(ntk_train_opts), ntk_train_opts_of, train_new, false},
    {"ntk_spectrum", 48, sizeof(ntk_spectrum), ntk_spectrum_of, model_spectrum, true},
    {"ntk_plan_opts", 72, sizeof(ntk_plan_opts), ntk_plan_opts_of, plan_new, false},
    {"ntk_plan_info", 120, sizeof(ntk_plan_info), ntk_plan_info_of, plan_about, true},
    {"ntk_plan_row", 144, sizeof(ntk_plan_row), ntk_plan_row_of, plan_get, true},
};
#define USES (sizeof uses / sizeof *uses)

#define BEYOND 16 /* bytes that a newer version might add, or that must stay as they are */

/* A struct that the program has of `size` bytes, with BEYOND bytes of 0xa5 after it. */
static unsigned char *filled(const struct use *u, size_t size)
{
    unsigned char *given = malloc(size + BEYOND);

    memset(given, 0xa5, size + BEYOND);
    u->init(given, size);
    return given;
}

static void assert_beyond(const unsigned char *given, size_t size)
{
    for (size_t k = size; k < size + BEYOND; k++)
        assert_int_equal(given[k], 0xa5);
}

static void older_programs_are_served(void **state)
{
    const struct fixture *f = *state;

    for (const struct use *u = uses; u < uses + USES; u++)
        for (size_t size = u->first; size <= u->size; size += sizeof(size_t)) {
            unsigned char *given = filled(u, size);

            assert_ok(f->ctx, u->call(f, given));
            assert_beyond(given, size);
            free(given);
        }
}

static void newer_programs_are_served_unless_they_ask_for_more(void **state)
{
    const struct fixture *f = *state;

    for (const struct use *u = uses; u < uses + USES; u++) {
        const size_t size = u->size + BEYOND;
        unsigned char *given = filled(u, size);
        char at[80];

        for (size_t k = u->size; k < size; k++)
            assert_int_equal(given[k], 0);
        assert_ok(f->ctx, u->call(f, given));
        given[size - 1] = 1;
        snprintf(at, sizeof at, "a field that it does not know is set, at byte %zu", size - 1);
        if (u->result)
            assert_ok(f->ctx, u->call(f, given));
        else
            assert_fails(f->ctx, NTK_EINVAL, at, u->call(f, given));
        assert_int_equal(given[size - 1], !u->result);
        assert_beyond(given, size);
        free(given);
    }
}

static void sizes_of_no_version_are_refused(void **state)
{
    const struct fixture *f = *state;

    for (const struct use *u = uses; u < uses + USES; u++) {
        const size_t wrong[] = {0, 1, u->first - 1, u->first / 2, 0xa5a5a5a5, SIZE_MAX};
        unsigned char *given = filled(u, u->size);

        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            char part[120];

            memcpy(given, &wrong[k], sizeof wrong[k]);
            snprintf(part, sizeof part, "%s.size is %zu, which no version has: %s_init fills the struct in", u->type,
                     wrong[k], u->type);
            assert_fails(f->ctx, NTK_EINVAL, part, u->call(f, given));
        }
        free(given);
    }
}

static void no_options_are_the_defaults(void **state)
{
    const struct fixture *f = *state;

    for (const struct use *u = uses; u < uses + USES; u++)
        if (!u->result)
            assert_ok(f->ctx, u->call(f, NULL));
}

/* A struct in two versions of a library. */
struct one {
    size_t size;
    double a;
};
struct two {
    size_t size;
    double a;
    int b, c;
};
static const struct one default_one = {.size = sizeof default_one, .a = 3};
static const struct two default_two = {.size = sizeof default_two, .a = 4, .b = 7, .c = -1};
static const struct ntk_sized kind_one = NTK_SIZED(struct one, a, &default_one);
static const struct ntk_sized kind_two = NTK_SIZED(struct two, a, &default_two);

static void fields_that_a_program_does_not_know_are_the_defaults(void **state)
{
    const struct fixture *f = *state;
    struct one given;
    struct two own;

    ntk_sized_init(&kind_two, &given, sizeof given);
    assert_int_equal(given.size, sizeof given);
    assert_true(given.a == 4);
    given.a = 5;
    assert_ok(f->ctx, ntk_sized_read(f->ctx, &kind_two, &given, &own));
    assert_int_equal(own.size, sizeof own);
    assert_true(own.a == 5 && own.b == 7 && own.c == -1);
    own.a = 6;
    ntk_sized_write(&kind_two, &own, &given);
    assert_int_equal(given.size, sizeof given);
    assert_true(given.a == 6);
}

static void fields_that_the_library_does_not_know_are_zero(void **state)
{
    const struct fixture *f = *state;
    struct two given = {.b = 1, .c = 1};
    struct one own;

    ntk_sized_init(&kind_one, &given, sizeof given);
    assert_true(given.size == sizeof given && given.a == 3 && given.b == 0 && given.c == 0);
    assert_ok(f->ctx, ntk_sized_read(f->ctx, &kind_one, &given, &own));
    assert_true(own.size == sizeof own && own.a == 3);
    given.b = 1;
    assert_fails(f->ctx, NTK_EINVAL,
                 "struct one.size is 24, of a newer version than this library's, " NTK_VERSION
                 " (16), and a field that it does not know is set, at byte 16",
                 ntk_sized_read(f->ctx, &kind_one, &given, &own));
    ntk_sized_write(&kind_one, &own, &given);
    assert_true(given.size == sizeof given && given.a == 3 && given.b == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_programs_are_served),
        cmocka_unit_test(newer_programs_are_served_unless_they_ask_for_more),
        cmocka_unit_test(sizes_of_no_version_are_refused),
        cmocka_unit_test(no_options_are_the_defaults),
        cmocka_unit_test(fields_that_a_program_does_not_know_are_the_defaults),
        cmocka_unit_test(fields_that_the_library_does_not_know_are_zero),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
