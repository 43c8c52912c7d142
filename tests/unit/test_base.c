/* SPDX-License-Identifier: MIT */
#include "base/base.h"
#include "test.h"

#include <unistd.h>

static void versions_agree(void **state)
{
    char numbers[40];

    (void)state;
    snprintf(numbers, sizeof numbers, "%d.%d.%d", NTK_VERSION_MAJOR, NTK_VERSION_MINOR, NTK_VERSION_PATCH);
    assert_string_equal(numbers, NTK_VERSION);
    assert_string_equal(ntk_version(), NTK_VERSION);
    assert_string_equal(BUILD_VERSION, NTK_VERSION); /* Meson's: of packages, pkg-config and the .so */
}

static void messages_are_kept(void **state)
{
    ntk_ctx *ctx = *state;

    assert_int_equal(ntk_fail(ctx, NTK_EIO, "cannot read %s", "x.csv"), NTK_EIO);
    assert_string_equal(ntk_errmsg(ctx), "cannot read x.csv");
    ntk_fail_in(ctx, NTK_EIO, "line %d", 3);
    assert_string_equal(ntk_errmsg(ctx), "line 3: cannot read x.csv");
    assert_string_equal(ntk_strstatus(NTK_ESHAPE), "shapes do not agree");
    assert_string_equal(ntk_errmsg(NULL), "");
}

static void threads_are_checked(void **state)
{
    ntk_ctx *ctx = *state;

    assert_true(ntk_ctx_threads(ctx) >= 1);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
    assert_int_equal(ntk_ctx_threads(ctx), 3);
    assert_fails(ctx, NTK_EINVAL, "-1", ntk_ctx_set_threads(ctx, -1));
    assert_int_equal(ntk_ctx_threads(ctx), 3);
}

static void instruction_sets_are_checked(void **state)
{
    ntk_ctx *ctx = *state;
    const char *isa;

    assert_fails(ctx, NTK_ENOTSUP, "baseline", ntk_ctx_set_isa(ctx, "mmx"));
    setenv("NTK_ISA", "nonsense", 1);
    assert_fails(ctx, NTK_ENOTSUP, "NTK_ISA", ntk_ctx_isa(ctx, &isa));
    unsetenv("NTK_ISA");
    assert_ok(ctx, ntk_ctx_set_isa(ctx, "baseline"));
    assert_ok(ctx, ntk_ctx_isa(ctx, &isa));
    assert_string_equal(isa, "baseline");
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
    assert_ok(ctx, ntk_ctx_isa(ctx, &isa));
    assert_int_equal(strncmp(ntk_isa_available(), isa, strlen(isa)), 0);
}

static void memory_is_bounded(void **state)
{
    ntk_ctx *ctx = *state;
    char *p = ntk_alloc_zero(ctx, 3, 5);

    assert_non_null(p);
    assert_int_equal((uintptr_t)p % NTK_ALIGN, 0);
    assert_int_equal(p[14], 0);
    free(p);
    assert_null(ntk_alloc(ctx, SIZE_MAX / 2, 4));
    ntk_ctx_set_memory(ctx, 1 << 20);
    assert_ok(ctx, ntk_ctx_check_memory(ctx, 1 << 20, "a test"));
    assert_fails(ctx, NTK_ENOMEM, "a test needs 2.00 GiB",
                 ntk_ctx_check_memory(ctx, (size_t)2 << 30, "a test"));
}

static void arenas_hand_out_zeroed_memory(void **state)
{
    struct ntk_arena arena = {0};

    (void)state;
    for (size_t n = 1; n < 20000; n *= 3) {
        unsigned char *p = ntk_arena_alloc(&arena, n, 1);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_string_equal(ntk_arena_strdup(&arena, "Dense", 3), "Den");
    ntk_arena_free(&arena);
}

static void names_are_suggested(void **state)
{
    const char *const names[] = {"Dense", "Dropout", "Relu", "FanInSum"};

    (void)state;
    assert_string_equal(ntk_nearest("Dence", names, 4), "Dense");
    assert_string_equal(ntk_nearest("relu", names, 4), "Relu");
    assert_string_equal(ntk_nearest("FanInSmu", names, 4), "FanInSum");
    assert_null(ntk_nearest("Convolution", names, 4));
}

static void files_appear_whole(void **state)
{
    ntk_ctx *ctx = *state;
    char dir[] = "/tmp/ntk-test-XXXXXX", path[64];
    struct ntk_outfile out;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
    assert_ok(ctx, ntk_outfile_open(ctx, path, &out));
    fputs("hello", out.f);
    assert_int_equal(access(path, F_OK), -1);
    assert_ok(ctx, ntk_outfile_commit(ctx, &out));
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);

    assert_ok(ctx, ntk_outfile_open(ctx, path, &out));
    ntk_outfile_abort(&out);
    assert_int_equal(rmdir(dir), 0); /* nothing was left behind */
    assert_fails(ctx, NTK_EIO, "cannot write", ntk_outfile_open(ctx, path, &out));
}

static int setup(void **state)
{
    ntk_ctx *ctx;

    if (ntk_ctx_new(&ctx) != NTK_OK)
        return -1;
    *state = ctx;
    return 0;
}

static int teardown(void **state)
{
    ntk_ctx_free(*state);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_agree),
        TEST(messages_are_kept),
        TEST(threads_are_checked),
        TEST(instruction_sets_are_checked),
        TEST(memory_is_bounded),
        TEST(arenas_hand_out_zeroed_memory),
        TEST(names_are_suggested),
        TEST(files_appear_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
