/* SPDX-License-Identifier: MIT
 *
 * Almost parallel samples: golden values, and that an entry depends on its pair alone.
 */
#include "context.h"
#include "golden.h"

/* [kernel][n1][n2] in float64, whatever the kernel's type, of x1 with x2 (NULL: itself). */
static double *kernels(const char *text, ntk_dtype dtype, const double *x1, int64_t n1,
                       const double *x2, int64_t n2, int64_t d)
{
    const ntk_shape shape = {0, 1, 1, d};
    const size_t n = (size_t)n1 * (size_t)(x2 ? n2 : n1);
    double *wide = malloc(2 * n * sizeof *wide);
    float *narrow = malloc(2 * n * sizeof *narrow);
    void *out[] = {wide, wide + n}, *out32[] = {narrow, narrow + n};
    ntk_data *a, *b = NULL;
    ntk_kernel *k;
    ntk_net *net;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    const ntk_net *const nets[] = {net};
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, dtype, shape, &k));
    assert_ok(ctx, ntk_data_view(ctx, x1, NTK_F64, n1, shape, &a));
    if (x2)
        assert_ok(ctx, ntk_data_view(ctx, x2, NTK_F64, n2, shape, &b));
    assert_ok(ctx, ntk_kernel_compute(k, a, b, dtype == NTK_F32 ? out32 : out));
    for (size_t i = 0; dtype == NTK_F32 && i < 2 * n; i++)
        wide[i] = (double)narrow[i];
    free(narrow);
    ntk_data_free(a);
    ntk_data_free(b);
    ntk_kernel_free(k);
    ntk_net_free(net);
    return wide;
}

static bool all_float32(const double *x, int n)
{
    for (int i = 0; i < n; i++)
        if ((double)(float)x[i] != x[i])
            return false;
    return true;
}

/* The largest error of an entry relative to sqrt(K_ii K_jj); upper: entries (i, j), i <= j. */
static double worst_error(const double *got, const double *upper, int n)
{
    double diagonal[16], worst = 0;
    const double *at = upper;

    assert_true(n <= 16);
    for (int i = 0; i < n; i++)
        for (int j = i; j < n; j++, at++)
            if (i == j)
                diagonal[i] = *at;
    at = upper;
    for (int i = 0; i < n; i++)
        for (int j = i; j < n; j++, at++) {
            const double error = fabs(got[i * n + j] - *at);

            worst = fmax(worst, error > 0 ? error / sqrt(diagonal[i]) / sqrt(diagonal[j]) : 0);
            if (isnan(got[i * n + j]))
                return (double)INFINITY;
        }
    return worst;
}

static void check_golden(ntk_dtype dtype, double tolerance)
{
    static const char *const kernel[] = {"nngp", "ntk"};
    cJSON *json = golden_read("near.json");
    const cJSON *net;
    int bad = 0, checked = 0;
    double worst = 0;

    cJSON_ArrayForEach(net, cJSON_GetObjectItem(json, "nets"))
    {
        const cJSON *samples =
            cJSON_GetObjectItem(cJSON_GetObjectItem(json, "samples"), golden_text(net, "samples"));
        const int n = cJSON_GetArraySize(samples);
        int total;
        double *x = golden_numbers(samples, &total), *got;

        if (dtype == NTK_F32 && !all_float32(x, total)) {
            free(x);
            continue;
        }
        got = kernels(golden_text(net, "net"), dtype, x, n, NULL, 0, total / n);
        for (int m = 0; m < 2; m++) {
            int entries;
            double *want = golden_numbers(cJSON_GetObjectItem(net, kernel[m]), &entries);
            const double error = worst_error(got + m * n * n, want, n);

            if (!(error <= tolerance)) {
                print_message("%s, %s, %s: error %.1e\n", golden_text(net, "net"),
                              golden_text(net, "samples"), kernel[m], error);
                bad++;
            }
            worst = fmax(worst, error);
            checked++;
            free(want);
        }
        free(got);
        free(x);
    }
    cJSON_Delete(json);
    print_message("float%d: worst error %.1e of %d matrices\n", 8 * (int)dtype, worst, checked);
    assert_true(checked > 80);
    assert_int_equal(bad, 0);
}

static void on_every_instruction_set(void (*check)(void))
{
    char names[64], *at = names;

    snprintf(names, sizeof names, "%s", ntk_isa_available());
    for (char *name; (name = strsep(&at, ", "));)
        if (*name) {
            print_message("%s\n", name);
            assert_ok(ctx, ntk_ctx_set_isa(ctx, name));
            check();
        }
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
}

static void golden_float64(void)
{
    check_golden(NTK_F64, 1e-13);
}
static void golden_float32(void)
{
    check_golden(NTK_F32, 2e-6);
}

static void golden_in_float64(void **state)
{
    (void)state;
    on_every_instruction_set(golden_float64);
}

static void golden_in_float32(void **state)
{
    (void)state;
    on_every_instruction_set(golden_float32);
}

#define N 300 /* more than one tile, not a multiple of any vector length */

/* Half of the pairs are close to parallel or opposite; 7 and 290 are equal. */
static double *mixed_samples(int64_t d)
{
    double *x = malloc((size_t)(N * d) * sizeof *x);
    uint64_t seed = 3;

    assert_non_null(x);
    for (int64_t i = 0; i < N; i++) {
        const double size = exp(2 * test_normal(&seed)), turn = exp(4 * test_normal(&seed) - 6);

        for (int64_t k = 0; k < d; k++)
            x[i * d + k] = (i % 3 ? size : -size) * (k == 0 ? 1 : turn * test_normal(&seed));
    }
    memcpy(x + 290 * d, x + 7 * d, (size_t)d * sizeof *x);
    return x;
}

static const char *const kinds[] = {
    "serial(Dense(8, W_std=1.5, b_std=0.05), Relu(), Dense(8, W_std=1.5, b_std=0.05), Relu(), "
    "Dense(1))",
    "serial(Dense(8, W_std=1.5, b_std=0.1), Erf(), Dense(8, W_std=1.5, b_std=0.05), Tanh(), "
    "Dense(1))",
    "serial(Dense(8, W_std=1.5), LayerNorm(), Relu(), Dropout(0.9999), Dense(8), Selu(), Dense(1))",
};

/* An entry is that of its pair in a call of its own; for any number of threads. */
static void entries_do_not_depend_on_neighbours(void **state)
{
    const int64_t d = 3;
    double *x = mixed_samples(d);

    (void)state;
    for (size_t net = 0; net < sizeof kinds / sizeof *kinds; net++)
        for (int type = NTK_F32; type <= NTK_F64; type += NTK_F64 - NTK_F32) {
            const double tolerance = type == NTK_F32 ? 4e-6 : 2e-13;
            const bool noisy = strstr(kinds[net], "Dropout");
            double *one, *square, *rectangle;

            assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
            one = kernels(kinds[net], (ntk_dtype)type, x, N, NULL, 0, d);
            assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
            square = kernels(kinds[net], (ntk_dtype)type, x, N, NULL, 0, d);
            rectangle = kernels(kinds[net], (ntk_dtype)type, x, N, x, N, d);
            assert_memory_equal(one, square, 2 * N * N * sizeof *one);
            for (int i = 7; i < N; i += 41)
                for (int j = 4; j < N; j += 13) {
                    double *pair =
                        kernels(kinds[net], (ntk_dtype)type, x + i * d, 1, x + j * d, 1, d);

                    for (int m = 0; m < 2; m++) {
                        const double *k = square + m * N * N, *r = rectangle + m * N * N;
                        const double scale = sqrt(k[i * N + i] * k[j * N + j]);

                        assert_near(r[i * N + j], pair[m], tolerance, scale);
                        if (i != j || !noisy)
                            assert_near(k[i * N + j], pair[m], tolerance, scale);
                    }
                    free(pair);
                }
            free(one);
            free(square);
            free(rectangle);
        }
    free(x);
}

/* Another sample of extreme size, which changes what is steep and where powers are numbers, changes nothing:
 * bit by bit, where the dual is a closed form. */
static void entries_do_not_depend_on_extreme_samples(void **state)
{
    static const char *const nets[] = {
        "serial(Dense(8), Erf(), Dense(8), Relu(), Dense(1))",
        "serial(Dense(8), Gelu(), Dense(8), Erf(), Dense(1))",
        "serial(Dense(8), Gaussian(), Dense(8), Abs(), Dense(1))",
        "serial(Dense(8), Sin(), Dense(8), Gelu(), Dense(1))",
        "serial(Dense(8), Polynomial((0.1, 1, 0.5, 0.1)), Dense(8, W_std=1e-60), Erf(), Dense(1))",
    };
    static const double sizes[] = {1e-140, 1e-60, 1e3, 1e40, 1e140};
    const int64_t n = 40, d = 3;
    double *x = mixed_samples(d);

    (void)state;
    for (size_t net = 0; net < sizeof nets / sizeof *nets; net++) {
        double *plain = kernels(nets[net], NTK_F64, x, n, NULL, 0, d), last[3];

        memcpy(last, x + (n - 1) * d, sizeof last);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            double *k;

            if (strstr(nets[net], "Polynomial") && sizes[s] > 1e20)
                continue;
            for (int64_t i = 0; i < d; i++)
                x[(n - 1) * d + i] = last[i] * sizes[s];
            k = kernels(nets[net], NTK_F64, x, n, NULL, 0, d);
            for (int64_t m = 0; m < 2; m++)
                for (int64_t i = 0; i < n - 1; i++) {
                    const int64_t at = m * n * n + i * n;

                    if (memcmp(k + at, plain + at, (size_t)(n - 1) * sizeof *k) != 0)
                        fail_msg("%s: row %d of output %d changes with a sample of %g", nets[net],
                                 (int)i, (int)m, sizes[s]);
                }
            free(k);
        }
        memcpy(x + (n - 1) * d, last, sizeof last);
        free(plain);
    }
    free(x);
}

/* Where f(x) is f'(0) x to all digits, samples of different lengths stay parallel. */
static void small_samples_stay_parallel(void **state)
{
    static const char *const smooth[] = {"Erf()", "Sin()", "Tanh()", "Silu()", "Mish()", "Gelu()", "Elu()"};
    const int n = 6;
    double x[12], *want, *got;

    (void)state;
    for (int i = 0; i < n; i++) {
        x[2 * i] = (i % 2 ? -1e-20 : 1e-20) * (1 + i);
        x[2 * i + 1] = -0.7 * x[2 * i] * (1 + 1e-6 * i);
    }
    want = kernels("serial(Dense(8), Dense(8), Relu(), Dense(1))", NTK_F64, x, n, NULL, 0, 2);
    for (size_t k = 0; k < sizeof smooth / sizeof *smooth; k++) {
        char net[100];

        snprintf(net, sizeof net, "serial(Dense(8), %s, Dense(8), Relu(), Dense(1))", smooth[k]);
        got = kernels(net, NTK_F64, x, n, NULL, 0, 2);
        for (int m = 0; m < 2; m++)
            for (int i = 0; i < n * n; i++) {
                const double *a = want + m * n * n, *b = got + m * n * n;
                const int d1 = i / n * (n + 1), d2 = i % n * (n + 1);
                const double scale = sqrt(b[d1] / a[d1]) * sqrt(b[d2] / a[d2]);

                assert_near(b[i], a[i] * scale, strcmp(smooth[k], "Elu()") == 0 ? 3e-8 : 1e-13,
                            sqrt(b[d1]) * sqrt(b[d2]));
            }
        free(got);
    }
    free(want);
}

static void equal_samples_are_exact(void **state)
{
    double *x = mixed_samples(1);

    (void)state;
    for (int type = NTK_F32; type <= NTK_F64; type += NTK_F64 - NTK_F32) {
        double *k = kernels(kinds[0], (ntk_dtype)type, x, N, NULL, 0, 1);

        for (int m = 0; m < 2; m++)
            assert_true(k[m * N * N + 7 * N + 290] == k[m * N * N + 7 * N + 7]);
        free(k);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_in_float64),
        cmocka_unit_test(golden_in_float32),
        cmocka_unit_test(entries_do_not_depend_on_neighbours),
        cmocka_unit_test(entries_do_not_depend_on_extreme_samples),
        cmocka_unit_test(small_samples_stay_parallel),
        cmocka_unit_test(equal_samples_are_exact),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
