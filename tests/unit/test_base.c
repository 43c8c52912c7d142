/* SPDX-License-Identifier: MIT */
#include "base/base.h"
#include "base/views.h"
#include "predict/model.h"
#include "test.h"

#include <sys/stat.h>
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

/* A vector has twice as many numbers in float32, in every instruction set. */
static void vectors_are_counted(void **state)
{
    ntk_ctx *ctx = *state;
    static const struct {
        const char *isa;
        int lanes;
    } known[] = {{"avx2", 4}, {"avx512", 8}};
    double rate[2];
    int lanes[2];

    assert_ok(ctx, ntk_ctx_set_isa(ctx, "baseline"));
    assert_ok(ctx, ntk_ctx_peak(ctx, NTK_F64, &rate[0], &lanes[0]));
    assert_ok(ctx, ntk_ctx_peak(ctx, NTK_F32, &rate[1], &lanes[1]));
    assert_true(lanes[0] >= 1 && lanes[1] == 2 * lanes[0]);
    for (int k = 0; k < 2; k++)
        assert_true(rate[k] > 0 && isfinite(rate[k]));
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (ntk_ctx_set_isa(ctx, known[k].isa) != NTK_OK)
            continue; /* not this machine's */
        assert_ok(ctx, ntk_ctx_peak(ctx, NTK_F64, &rate[0], &lanes[0]));
        assert_int_equal(lanes[0], known[k].lanes);
    }
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

static void sizes_do_not_overflow(void **state)
{
    ntk_ctx *ctx = *state;

    assert_int_equal(ntk_bytes(3.0 * 8), 24);
    assert_fails(ctx, NTK_ENOMEM, "a test needs", ntk_ctx_check_memory(ctx, ntk_bytes(1e300), "a test"));
    /* 3 x 2^64 x 8 bytes, which are 0 modulo 2^64 */
    assert_fails(ctx, NTK_ENOMEM, "a test needs",
                 ntk_ctx_check_memory(ctx, ntk_model_peak(&(ntk_fit_opts){.solver = "eigen"}, (int64_t)1 << 32, 1), "a test"));
    assert_true(ntk_shape_valid((ntk_shape){2, 46340, 46340, 1}));
    assert_false(ntk_shape_valid((ntk_shape){2, 46341, 46341, 1}));
    assert_false(ntk_shape_valid((ntk_shape){2, 3037000500, 3037000500, 1}));
    assert_false(ntk_shape_valid((ntk_shape){2, INT64_MAX, INT64_MAX, INT64_MAX}));
    assert_false(ntk_shape_valid((ntk_shape){1, 2, 2, 2}));
    assert_false(ntk_shape_valid((ntk_shape){0, 1, 1, 0}));
}

static void put_file(const char *root, const char *name, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *s = path + 1; *s; s++)
        if (*s == '/') {
            *s = '\0';
            (void)mkdir(path, 0700);
            *s = '/';
        }
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Groups within groups; files in the page cache can be dropped; "max" is no limit. */
static void limits_of_groups_are_read(void **state)
{
    char root[] = "/tmp/ntk-test-XXXXXX", command[64];

    (void)state;
    assert_non_null(mkdtemp(root));
    put_file(root, "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:       5000 kB\n");
    assert_int_equal(ntk_machine_memory(root), 5000 * 1024);
    put_file(root, "proc/self/cgroup", "3:cpu,memory:/job\n0::/slice/box\n");
    assert_int_equal(ntk_machine_memory(root), 5000 * 1024);
    put_file(root, "sys/fs/cgroup/slice/box/memory.max", "max\n");
    put_file(root, "sys/fs/cgroup/slice/box/memory.current", "1000000\n");
    assert_int_equal(ntk_machine_memory(root), 5000 * 1024);
    put_file(root, "sys/fs/cgroup/slice/memory.max", "4000000\n");
    put_file(root, "sys/fs/cgroup/slice/memory.current", "3000000\n");
    assert_int_equal(ntk_machine_memory(root), 1000000);
    put_file(root, "sys/fs/cgroup/slice/memory.stat", "anon 1\ninactive_file 200000\nactive_file 300000\n");
    assert_int_equal(ntk_machine_memory(root), 1500000);
    put_file(root, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "700000\n");
    put_file(root, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", "800000\n");
    put_file(root, "sys/fs/cgroup/memory/job/memory.stat", "total_inactive_file 250000\n");
    assert_int_equal(ntk_machine_memory(root), 150000);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
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

static struct ntk_view view_of(void *at, ntk_dtype dtype, int64_t pitch) { return (struct ntk_view){at, dtype, pitch}; }

/* Of r rows and c columns, copied and transposed into larger arrays, of which nothing else changes. */
static void check_views(ntk_dtype from, ntk_dtype to, int r, int c)
{
    enum { N = 41 };
    double in[N * N], straight[N * N], across[N * N];

    for (int i = 0; i < N * N; i++) {
        ntk_store(in, from, (size_t)i, i + 0.5);
        ntk_store(straight, to, (size_t)i, -1);
        ntk_store(across, to, (size_t)i, -1);
    }
    ntk_copy(r, c, view_of(in, from, N), ntk_view_at(view_of(straight, to, N), 1, 2));
    ntk_transpose(r, c, view_of(in, from, N), ntk_view_at(view_of(across, to, N), 2, 1));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const bool inside = i >= 1 && i <= r && j >= 2 && j < c + 2;
            const double want = inside ? (i - 1) * N + j - 2 + 0.5 : -1;

            assert_true(ntk_number(straight, to, (size_t)(i * N + j)) == want);
            assert_true(ntk_number(across, to, (size_t)(j * N + i)) == want);
        }
}

static void views_of_all_sizes(void **state)
{
    static const ntk_dtype types[][2] = {{NTK_F32, NTK_F32}, {NTK_F64, NTK_F64}, {NTK_F32, NTK_F64}};

    (void)state;
    for (int t = 0; t < 3; t++)
        for (int r = 0; r < 39; r++)
            for (int c = 0; c < 39; c++)
                check_views(types[t][0], types[t][1], r, c);
}

/* Not with a bound on memory, in which it would have to be counted, and not under sanitizers. */
static void scratch_is_kept(void **state)
{
    enum { BYTES = 1 << 20 };
    ntk_ctx *ctx = *state;
    unsigned char *a = ntk_scratch_new(ctx, BYTES, 1), *b = ntk_scratch_new(ctx, 2 * BYTES, 1), *c;

    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % NTK_ALIGN, 0);
    memset(a, 1, BYTES);
    memset(b, 2, 2 * BYTES);
    ntk_scratch_free(ctx, a);
    ntk_scratch_free(ctx, b);
    c = ntk_scratch_new(ctx, BYTES - 1000, 1);
    if (!SANITIZED)
        assert_ptr_equal(c, a);
    ntk_scratch_free(ctx, c);
    ntk_ctx_set_memory(ctx, 100 * BYTES);
    assert_int_equal(ntk_scratch_kept(), 0);
    ntk_scratch_free(ctx, ntk_scratch_new(ctx, BYTES, 1));
    assert_int_equal(ntk_scratch_kept(), 0);
    ntk_scratch_free(ctx, NULL);
}

static void large_arrays_are_new(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, (4 << 20) - 1, 4 << 20, (5 << 20) + 1, 9 << 20};

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned char *x = ntk_large_new(*state, sizes[k], 1);

        assert_non_null(x);
        assert_int_equal((uintptr_t)x % NTK_ALIGN, 0);
        memset(x, 1, sizes[k]);
        ntk_large_free(x, sizes[k], 1);
    }
    assert_fails(*state, NTK_ENOMEM, "no memory for", ntk_large_new(*state, SIZE_MAX / 4, 8) ? NTK_OK : NTK_ENOMEM);
    if (!SANITIZED) /* which end the process */
        assert_fails(*state, NTK_ENOMEM, "no memory for", ntk_large_new(*state, (size_t)1 << 60, 1) ? NTK_OK : NTK_ENOMEM);
    ntk_large_free(NULL, 8 << 20, 1);
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
        TEST(vectors_are_counted),
        TEST(memory_is_bounded),
        TEST(limits_of_groups_are_read),
        TEST(arenas_hand_out_zeroed_memory),
        TEST(sizes_do_not_overflow),
        TEST(names_are_suggested),
        TEST(views_of_all_sizes),
        TEST(scratch_is_kept),
        TEST(large_arrays_are_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
