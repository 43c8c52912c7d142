/* SPDX-License-Identifier: MIT
 *
 * Kernels of whole nets: golden values, symmetry, threads, instruction sets, shared work, refusals.
 */
#include <unistd.h>

#include "activations/series.h"
#include "golden.h"
#include "context.h"

static ntk_net *parse(const char *text)
{
    ntk_net *net;

    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    return net;
}

static ntk_data *vectors(const void *x, ntk_dtype dtype, int64_t n, int64_t d)
{
    const ntk_shape shape = {0, 1, 1, d};
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, dtype, n, shape, &data));
    return data;
}

static ntk_kernel *compile(const char *text, unsigned want, ntk_dtype dtype, int64_t d)
{
    const ntk_shape shape = {0, 1, 1, d};
    ntk_net *net = parse(text);
    const ntk_net *nets[] = {net};
    ntk_kernel *k;

    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, want, dtype, shape, &k));
    ntk_net_free(net);
    return k;
}

/* Both kernels of x1 with x2 (NULL: itself), in float64 whatever the kernel's type. */
static void compute(const char *text, ntk_dtype dtype, const double *x1, int64_t n1,
                    const double *x2, int64_t n2, int64_t d, double *nngp, double *ntk)
{
    ntk_kernel *k = compile(text, NTK_NNGP | NTK_NTK, dtype, d);
    ntk_data *a = vectors(x1, NTK_F64, n1, d), *b = x2 ? vectors(x2, NTK_F64, n2, d) : NULL;
    const size_t n = (size_t)n1 * (size_t)(x2 ? n2 : n1);
    float *narrow = malloc(2 * n * sizeof *narrow);
    void *wide[] = {nngp, ntk}, *out[] = {narrow, narrow + n};

    assert_ok(ctx, ntk_kernel_compute(k, a, b, dtype == NTK_F32 ? out : wide));
    for (size_t i = 0; dtype == NTK_F32 && i < n; i++) {
        nngp[i] = (double)narrow[i];
        ntk[i] = (double)narrow[n + i];
    }
    free(narrow);
    ntk_data_free(a);
    ntk_data_free(b);
    ntk_kernel_free(k);
}

/* Their entries are computed otherwise (simd/near.h). Equal samples are exact. */
static bool nearly_parallel(const double *x, int d, int i, int j)
{
    double ii = 0, jj = 0, ij = 0;

    for (int k = 0; k < d; k++) {
        ii += x[i * d + k] * x[i * d + k];
        jj += x[j * d + k] * x[j * d + k];
        ij += x[i * d + k] * x[j * d + k];
    }
    return memcmp(x + i * d, x + j * d, (size_t)d * sizeof *x) != 0 &&
           fabs(ij) > (1 - 1e-3) * sqrt(ii * jj);
}

struct golden {
    const char *net;
    const double *x;
    int n, d;
    double tolerance, tolerance_near; /* of all pairs, of nearly parallel ones */
    double worst, worst_near;
};

/* Errors are relative to sqrt(K(x,x) K(x',x')), the size of the entries of near samples. */
static void check_entries(struct golden *g, const char *kernel, const double *got,
                          const double *want)
{
    const int n = g->n;

    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const bool near = nearly_parallel(g->x, g->d, i, j);
            const double scale = sqrt(fabs(want[i * n + i] * want[j * n + j]));
            const double difference = fabs(got[i * n + j] - want[i * n + j]);
            const double error = difference == 0 ? 0 : difference / scale;
            double *worst = near ? &g->worst_near : &g->worst;

            if (!(error <= (near ? g->tolerance_near : g->tolerance)))
                fail_msg("%s: %s[%d][%d] = %.17g, wanted %.17g (error %.1e)", g->net, kernel, i, j,
                         got[i * n + j], want[i * n + j], error);
            *worst = fmax(*worst, error);
        }
}

/* Activations by Hermite series aim at 1e-9. */
static bool uses_series(const char *net)
{
    for (size_t i = 0; i < ntk_n_activations(); i++) {
        const struct ntk_activation *act = ntk_activation_get(i);

        if (act->side == ntk_series_side && test_calls(net, act->base.name))
            return true;
    }
    return strstr(net, "Elementwise('tanh')");
}

static void check_golden(const char *file, ntk_dtype dtype, double tolerance,
                         double tolerance_near)
{
    struct golden g = {.worst = 0};
    cJSON *json = golden_read(file);
    const cJSON *item;
    int nets = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "nets"))
    {
        int total, entries;
        double *x = golden_numbers(cJSON_GetObjectItem(item, "x"), &total);
        double *nngp = golden_numbers(cJSON_GetObjectItem(item, "nngp"), &entries);
        double *ntk = golden_numbers(cJSON_GetObjectItem(item, "ntk"), &entries);
        double *k = malloc((size_t)entries * sizeof *k), *t = malloc((size_t)entries * sizeof *t);

        g.net = golden_text(item, "net");
        g.tolerance = uses_series(g.net) ? fmax(tolerance, 1e-9) : tolerance;
        g.tolerance_near = tolerance_near;
        g.x = x;
        g.n = cJSON_GetArraySize(cJSON_GetObjectItem(item, "x"));
        g.d = total / g.n;
        compute(g.net, dtype, x, g.n, NULL, 0, g.d, k, t);
        check_entries(&g, "nngp", k, nngp);
        check_entries(&g, "ntk", t, ntk);
        nets++;
        free(x);
        free(nngp);
        free(ntk);
        free(k);
        free(t);
    }
    cJSON_Delete(json);
    assert_true(nets > 40);
    print_message("%s, %s: worst error %.1e, of nearly parallel samples %.1e, of %d nets\n", file,
                  dtype == NTK_F32 ? "float32" : "float64", g.worst, g.worst_near, nets);
}

static void golden_in_float64(void **state)
{
    (void)state;
    check_golden("nets.json", NTK_F64, 2e-14, 1e-13);
}

static void golden_in_float32(void **state)
{
    (void)state;
    check_golden("nets.json", NTK_F32, 1e-5, 2e-6);
}

#define N 300 /* more than one tile, not a multiple of any vector length */
#define D 7

static double *random_samples(uint64_t seed, int64_t n)
{
    double *x = malloc((size_t)n * D * sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n * D; i++)
        x[i] = test_normal(&seed);
    return x;
}

static const char deep[] = "serial(Dense(512, W_std=2**0.5, b_std=0.1), Relu(), Dense(512), Gelu(), "
                           "Dense(512), LayerNorm(), Tanh(), Dense(1))";

static void symmetric_and_rectangular_agree(void **state)
{
    double *x = random_samples(1, N), *square[2], *rectangle[2];
    double diagonal[2][N], *out[] = {diagonal[0], diagonal[1]};
    ntk_kernel *k = compile(deep, NTK_NNGP | NTK_NTK, NTK_F64, D);
    ntk_data *data = vectors(x, NTK_F64, N, D);

    (void)state;
    memcpy(x + 290 * D, x + 3 * D, D * sizeof *x); /* two equal samples in different tiles */
    for (int m = 0; m < 2; m++) {
        square[m] = malloc(N * N * sizeof(double));
        rectangle[m] = malloc(N * N * sizeof(double));
    }
    compute(deep, NTK_F64, x, N, NULL, 0, D, square[0], square[1]);
    compute(deep, NTK_F64, x, N, x, N, D, rectangle[0], rectangle[1]);
    assert_ok(ctx, ntk_kernel_diagonal(k, data, out));
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < N; i++) {
            assert_true(square[m][i * N + i] == diagonal[m][i]);
            for (int j = 0; j < N; j++) {
                assert_true(square[m][i * N + j] == square[m][j * N + i]);
                assert_near(rectangle[m][i * N + j], square[m][i * N + j], 1e-14, 1);
            }
        }
        assert_true(square[m][290 * N + 3] == diagonal[m][3]);
        assert_true(rectangle[m][290 * N + 3] == diagonal[m][3]);
        free(square[m]);
        free(rectangle[m]);
    }
    ntk_data_free(data);
    ntk_kernel_free(k);
    free(x);
}

static void bitwise_equal_for_any_threads(void **state)
{
    double *x = random_samples(2, N), *k[3], *t[3];

    (void)state;
    for (int run = 0; run < 3; run++) {
        k[run] = malloc(N * N * sizeof(double));
        t[run] = malloc(N * N * sizeof(double));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 1 << run));
        compute(deep, NTK_F64, x, N, NULL, 0, D, k[run], t[run]);
        assert_memory_equal(k[run], k[0], N * N * sizeof(double));
        assert_memory_equal(t[run], t[0], N * N * sizeof(double));
    }
    for (int run = 0; run < 3; run++) {
        free(k[run]);
        free(t[run]);
    }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    free(x);
}

static void instruction_sets_agree(void **state)
{
    static const char *const names[] = {"baseline", "avx2", "avx512", "neon"};
    double *x = random_samples(3, N), *k[2], *t[2];

    (void)state;
    for (int run = 0; run < 2; run++) {
        k[run] = malloc(N * N * sizeof(double));
        t[run] = malloc(N * N * sizeof(double));
    }
    assert_ok(ctx, ntk_ctx_set_isa(ctx, "baseline"));
    compute(deep, NTK_F64, x, N, NULL, 0, D, k[0], t[0]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strstr(ntk_isa_available(), names[i]))
            continue;
        assert_ok(ctx, ntk_ctx_set_isa(ctx, names[i]));
        compute(deep, NTK_F64, x, N, NULL, 0, D, k[1], t[1]);
        for (int e = 0; e < N * N; e++) {
            assert_near(k[1][e], k[0][e], 1e-14, 1);
            assert_near(t[1][e], t[0][e], 1e-14, 1);
        }
        compute(deep, NTK_F32, x, N, NULL, 0, D, k[1], t[1]);
        for (int e = 0; e < N * N; e++) {
            assert_near(k[1][e], k[0][e], 3e-6, 1);
            assert_near(t[1][e], t[0][e], 3e-6, 1);
        }
    }
    for (int run = 0; run < 2; run++) {
        free(k[run]);
        free(t[run]);
    }
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
    free(x);
}

/* Several nets at once give what each gives alone, equal nets included. */
static void nets_share_work(void **state)
{
    static const char *const texts[] = {
        "serial(Dense(8, b_std=0.1), Relu(), Dense(1))",
        "serial(Dense(8, b_std=0.1), Relu(), Dense(8), Relu(), Dense(1))",
        "serial(Dense(8, b_std=0.1), Relu(), Dense(1))",
        "Identity()",
    };
    const ntk_shape shape = {0, 1, 1, D};
    const ntk_net *nets[4];
    ntk_net *own[4];
    double *x = random_samples(4, 20), together[8][400], alone[2][400];
    void *out[8];
    ntk_data *data = vectors(x, NTK_F64, 20, D);
    ntk_kernel *k;

    (void)state;
    for (int i = 0; i < 4; i++)
        nets[i] = own[i] = parse(texts[i]);
    for (int m = 0; m < 8; m++)
        out[m] = together[m];
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 4, NTK_NNGP | NTK_NTK, NTK_F64, shape, &k));
    assert_int_equal(ntk_kernel_outputs(k), 8);
    assert_ok(ctx, ntk_kernel_compute(k, data, NULL, out));
    for (int i = 0; i < 4; i++) {
        compute(texts[i], NTK_F64, x, 20, NULL, 0, D, alone[0], alone[1]);
        assert_memory_equal(together[2 * i], alone[0], sizeof alone[0]);
        assert_memory_equal(together[2 * i + 1], alone[1], sizeof alone[1]);
        ntk_net_free(own[i]);
    }
    ntk_kernel_free(k);
    ntk_data_free(data);
    free(x);
}

static int stop_at_once(const ntk_block *block, void *user)
{
    (void)block, (void)user;
    return 1;
}

static int cancel(const char *what, double done, double total, void *user)
{
    (void)what, (void)done, (void)total, (void)user;
    return 1;
}

static void work_can_be_cancelled(void **state)
{
    double *x = random_samples(5, N);
    ntk_data *data = vectors(x, NTK_F64, N, D);
    ntk_kernel *k = compile(deep, NTK_NTK, NTK_F64, D);
    double *out = malloc(N * N * sizeof *out);
    void *outs[] = {out};

    (void)state;
    assert_fails(ctx, NTK_ECANCEL, "cancelled",
                 ntk_kernel_stream(k, data, NULL, stop_at_once, NULL));
    ntk_ctx_set_progress(ctx, cancel, NULL);
    assert_fails(ctx, NTK_ECANCEL, "cancelled after", ntk_kernel_compute(k, data, NULL, outs));
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_ok(ctx, ntk_kernel_compute(k, data, NULL, outs));
    free(out);
    ntk_kernel_free(k);
    ntk_data_free(data);
    free(x);
}

struct first_call {
    bool called, stop; /* stop: once something is done */
    double done;
};

static int note_first(const char *what, double done, double total, void *user)
{
    struct first_call *first = user;

    (void)what, (void)total;
    if (!first->called) {
        first->called = true;
        first->done = done;
    }
    return first->stop && done > 0;
}

/* What is said first is not what earlier work had come to, long enough ago to be said again. */
static void progress_starts_anew(void **state)
{
    double *x = random_samples(5, N);
    ntk_data *data = vectors(x, NTK_F64, N, D);
    ntk_kernel *k = compile(deep, NTK_NTK, NTK_F64, D);
    double *out = malloc(N * N * sizeof *out), *diagonal[] = {out};
    void *outs[] = {out};

    (void)state;
    for (int stop = 0; stop < 2; stop++) {
        struct first_call first = {.called = false, .stop = stop};

        ntk_ctx_set_progress(ctx, note_first, &first);
        assert_int_equal(ntk_kernel_compute(k, data, NULL, outs), stop ? NTK_ECANCEL : NTK_OK);
        usleep(100000);
        first = (struct first_call){.called = false};
        assert_ok(ctx, ntk_kernel_diagonal(k, data, diagonal));
        assert_true(first.called && first.done == 0);
        ntk_ctx_set_progress(ctx, NULL, NULL);
    }
    free(out);
    ntk_kernel_free(k);
    ntk_data_free(data);
    free(x);
}

static void refuses_what_does_not_fit(void **state)
{
    const ntk_shape image = {2, 4, 4, 1}, vector = {0, 1, 1, D};
    ntk_net *net = parse("serial(Dense(8), Relu(), Dense(1))");
    const ntk_net *nets[] = {net};
    double *x = random_samples(6, 2);
    ntk_data *short_rows = vectors(x, NTK_F64, 2, 3);
    ntk_kernel *k = compile(deep, NTK_NTK, NTK_F64, D);
    void *out[] = {x};

    (void)state;
    assert_fails(ctx, NTK_ETHEORY, "Flatten()",
                 ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, image, &k));
    assert_fails(ctx, NTK_EINVAL, "want", ntk_kernel_new(ctx, nets, 1, 0, NTK_F64, vector, &k));
    assert_fails(ctx, NTK_ESHAPE, "made for 7", ntk_kernel_compute(k, short_rows, NULL, out));
    ntk_kernel_free(k);
    ntk_data_free(short_rows);
    ntk_net_free(net);
    free(x);
}

static void refuses_what_overflows(void **state)
{
    double *x = random_samples(7, 2), out[4];
    ntk_data *data = vectors(x, NTK_F64, 2, D);
    ntk_kernel *narrow = compile(deep, NTK_NTK, NTK_F32, D), *wide = compile(deep, NTK_NTK, NTK_F64, D);
    ntk_kernel *linear = compile("Dense(1)", NTK_NTK, NTK_F32, D);
    ntk_kernel *high = compile("serial(repeat(serial(Dense(1, 1e6), Relu()), 30), Dense(1))", NTK_NTK,
                               NTK_F64, D);
    void *outs[] = {out};

    (void)state;
    assert_fails(ctx, NTK_ENUMERIC, "sample 0: its variance", ntk_kernel_compute(high, data, NULL, outs));
    x[D] = 1e25;
    assert_ok(ctx, ntk_kernel_compute(wide, data, NULL, outs));
    assert_ok(ctx, ntk_kernel_compute(narrow, data, NULL, outs)); /* LayerNorm makes it a number again */
    assert_fails(ctx, NTK_ENUMERIC, "sample 1: its variance",
                 ntk_kernel_compute(linear, data, NULL, outs));
    x[D] = 1e200;
    assert_fails(ctx, NTK_ENUMERIC, "float64", ntk_kernel_compute(wide, data, NULL, outs));
    ntk_kernel_free(high);
    ntk_kernel_free(linear);
    ntk_kernel_free(narrow);
    ntk_kernel_free(wide);
    ntk_data_free(data);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_in_float64),
        cmocka_unit_test(golden_in_float32),
        cmocka_unit_test(symmetric_and_rectangular_agree),
        cmocka_unit_test(bitwise_equal_for_any_threads),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(nets_share_work),
        cmocka_unit_test(work_can_be_cancelled),
        cmocka_unit_test(progress_starts_anew),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(refuses_what_overflows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
