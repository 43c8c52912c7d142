/* SPDX-License-Identifier: MIT
 *
 * test_scale.c - kernels of samples of every size: right where their entries are normal numbers, else an
 * error, never something that is not a number.
 */
#include <float.h>

#include "activations/activation.h"
#include "context.h"

#define N 4
#define D 5

/* Status of both kernels, NNGP and NTK, of n samples with themselves; k [2][n][n] of float64. */
static ntk_status try_kernel(const char *text, ntk_dtype dtype, ntk_shape shape, const void *x,
                             ntk_dtype x_dtype, int n, double *k)
{
    const size_t entries = (size_t)(n * n);
    float *narrow = malloc(2 * entries * sizeof *narrow);
    void *out[] = {dtype == NTK_F32 ? (void *)narrow : k,
                   dtype == NTK_F32 ? (void *)(narrow + entries) : k + entries};
    const ntk_net *nets[1];
    ntk_kernel *kernel;
    ntk_status status;
    ntk_data *data;
    ntk_net *net;

    assert_non_null(narrow);
    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    nets[0] = net;
    assert_ok(ctx, ntk_data_view(ctx, x, x_dtype, n, shape, &data));
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, dtype, shape, &kernel));
    status = ntk_kernel_compute(kernel, data, NULL, out);
    for (size_t i = 0; status == NTK_OK && i < 2 * entries; i++) {
        if (dtype == NTK_F32)
            k[i] = (double)narrow[i];
        if (!isfinite(k[i]))
            fail_msg("%s, float%d: entry %zu is %g", text, 8 * (int)dtype, i, k[i]);
    }
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    ntk_net_free(net);
    free(narrow);
    return status;
}

static void kernel_of(const char *text, ntk_dtype dtype, const double *x, double *k)
{
    assert_ok(ctx, try_kernel(text, dtype, (ntk_shape){0, 1, 1, D}, x, NTK_F64, N, k));
}

static void samples(double *x, int n)
{
    uint64_t seed = 11;

    for (int i = 0; i < n; i++)
        x[i] = (double)(float)test_normal(&seed);
}

/* K(c x) = c^(2 degree) K(x) */
struct homogeneous {
    const char *net;
    int degree[2]; /* of NNGP and NTK */
};
static const struct homogeneous homogeneous[] = {
    {"serial(Dense(8), Relu(), Dense(8, W_std=1.5), LeakyRelu(0.1), Dense(1))", {1, 1}},
    {"serial(Dense(8), Abs(), Dense(8), residual(ABRelu(-0.5, 2), Dense(8)), Dense(1))", {1, 1}},
    {"serial(Dense(8), RectifiedMonomial(2), Dense(1))", {2, 2}},
    {"serial(Dense(8), Monomial(3), Dense(1))", {3, 3}},
    {"serial(Dense(8), Relu(), Dense(8), Sign(), Dense(1))", {0, 0}},
    {"serial(Dense(8), Relu(), Dense(8), LayerNorm(eps=0), Tanh(), Dense(1, b_std=1))", {0, 0}},
    {"serial(Dense(8), Relu(), Dense(1))", {1, 1}},
};
#define N_HOMOGENEOUS (sizeof homogeneous / sizeof *homogeneous)

/* got of samples scaled by 2^e[i], against those of samples as they are. */
static void check_scaled(const struct homogeneous *h, ntk_dtype dtype, const int *e,
                         const double *plain, const double *got)
{
    const double least = dtype == NTK_F32 ? (double)FLT_MIN : DBL_MIN;
    const double eps = dtype == NTK_F32 ? 3e-6 : 1e-13;

    for (int m = 0; m < 2; m++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                const double *k = plain + m * N * N, x = got[m * N * N + i * N + j];
                const int shift = (e[i] + e[j]) * h->degree[m];
                const double scale = ldexp(sqrt(k[i * N + i]) * sqrt(k[j * N + j]), shift);
                const double want = ldexp(k[i * N + j], shift);

                if (!(fabs(x - want) <= eps * scale + least * (dtype == NTK_F32 ? 2e-7 : 1e-15)))
                    fail_msg("%s, float%d, samples times 2^%d and 2^%d: %s is %.9g instead of %.9g",
                             h->net, 8 * (int)dtype, e[i], e[j], m ? "NTK" : "NNGP", x, want);
            }
}

static void scale_samples(const struct homogeneous *h, ntk_dtype dtype, const int *e, bool refused)
{
    double x[N * D], scaled[N * D], plain[2 * N * N], got[2 * N * N];

    samples(x, N * D);
    for (int i = 0; i < N * D; i++)
        scaled[i] = ldexp(x[i], e[i / D]);
    kernel_of(h->net, NTK_F64, x, plain);
    if (refused) {
        assert_fails(ctx, NTK_ENUMERIC, "too large",
                     try_kernel(h->net, dtype, (ntk_shape){0, 1, 1, D}, scaled, NTK_F64, N, got));
        return;
    }
    kernel_of(h->net, dtype, scaled, got);
    check_scaled(h, dtype, e, plain, got);
}

static void scaled_samples_have_scaled_kernels(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_HOMOGENEOUS; k++)
        for (int e = -1000; e <= 1000; e += 40) {
            const struct homogeneous *h = &homogeneous[k];
            const int all[] = {e, e, e, e}, size = 2 * e * h->degree[1];

            if (size < 100 || size > 130) /* the end of float32 */
                scale_samples(h, NTK_F32, all, size > 120);
            if (size < 980 || size > 1030) /* of float64 */
                scale_samples(h, NTK_F64, all, size > 1000);
        }
}

static void one_sample_may_be_small(void **state)
{
    static const int pairs[][2] = {{-70, 0}, {-60, 50}, {-140, 10}, {0, 30}, {-400, 0}};
    static const int wide[][2] = {{-520, 0}, {-700, 0}, {-560, 100}, {-400, 300}, {-900, -500},
                                  {-1000, 0}};

    (void)state;
    for (size_t k = 0; k < N_HOMOGENEOUS; k++)
        for (int p = 0; p < 6; p++) {
            const struct homogeneous *h = &homogeneous[k];
            const int *a = pairs[p % 5], *b = wide[p];

            if (2 * a[1] * h->degree[1] < 110)
                scale_samples(h, NTK_F32, (int[]){a[0], a[1], a[1], a[0]}, false);
            if (h->degree[1] <= 1)
                scale_samples(h, NTK_F64, (int[]){b[0], b[1], b[1], b[0]}, false);
        }
}

/* ------------------------------------------------------------------ all activations */

/* As a layer, with arguments where it needs some. */
static void layer_of(const struct ntk_activation *act, char text[64])
{
    static const char *const arguments[][2] = {
        {"LeakyRelu", "0.125"},        {"ABRelu", "-0.5, 2"}, {"RectifiedMonomial", "2"},
        {"Monomial", "3"},             {"Hermite", "3"},      {"Polynomial", "(0, 1, -0.5, 0.25)"},
        {"Rbf", "0.5"},
    };
    const char *name = act->base.name, *args = "";

    for (size_t k = 0; k < sizeof arguments / sizeof *arguments; k++)
        if (strcmp(name, arguments[k][0]) == 0)
            args = arguments[k][1];
    snprintf(text, 64, "%s(%s)", name, args);
}

/* float32 against float64: for samples times s, or 1 and s in turn. Whatever float64 refuses, and what is
 * no number of float32, float32 must refuse. */
static void check_float32(const char *layer, double s, bool mixed)
{
    double x[N * D], wide[2 * N * N], narrow[2 * N * N], most = 0;
    const ntk_shape shape = {0, 1, 1, D};
    ntk_status status;
    char net[160];

    snprintf(net, sizeof net, "serial(Dense(8, W_std=1.25), %s, Dense(1))", layer);
    samples(x, N * D);
    for (int i = 0; i < N * D; i++)
        x[i] = (double)(float)(x[i] * (mixed && i / D % 2 ? 1 : s));
    status = try_kernel(net, NTK_F64, shape, x, NTK_F64, N, wide);
    for (int i = 0; status == NTK_OK && i < 2 * N * N; i++)
        most = fmax(most, fabs(wide[i]));
    if (status != NTK_OK || most > (double)FLT_MAX) {
        assert_int_equal(try_kernel(net, NTK_F32, shape, x, NTK_F64, N, narrow), NTK_ENUMERIC);
        return;
    }
    assert_ok(ctx, try_kernel(net, NTK_F32, shape, x, NTK_F64, N, narrow));
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < N * N; i++) {
            const double *k = wide + m * N * N;
            const double scale = sqrt(k[i / N * N + i / N]) * sqrt(k[i % N * N + i % N]);

            if (!(fabs(narrow[m * N * N + i] - k[i]) <= 5e-6 * scale + 2e-45))
                fail_msg("%s, %ssamples times %g: %s[%d][%d] is %.9g instead of %.9g", net,
                         mixed ? "half of the " : "", s, m ? "NTK" : "NNGP", i / N, i % N,
                         narrow[m * N * N + i], k[i]);
        }
}

static void float32_is_right_at_every_scale(void **state)
{
    static const double scales[] = {1e-40, 1e-25, 1e-20, 1e-19, 1e-18, 1e-12,
                                    1e-6,  1e6,   1e12,  1e17,  1e18,  1e25};

    (void)state;
    for (size_t k = 0; k < ntk_n_activations(); k++)
        for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
            const struct ntk_activation *act = ntk_activation_get(k);
            char layer[64];

            if (act->finish && (i % 4 != 1 || scales[i] > 1))
                continue; /* a series takes long to set up, and to refuse */
            layer_of(act, layer);
            check_float32(layer, scales[i], false);
            check_float32(layer, scales[i], true);
        }
}

/* Samples whose squares are hardly numbers; test_activations.c has the values near there. */
static void tiny_samples_have_a_kernel(void **state)
{
    static const double scales[] = {1e-150, 1e-154, 1e-160, 1e-300};
    double x[N * D], k[2 * N * N];

    (void)state;
    for (size_t a = 0; a < ntk_n_activations(); a++)
        for (size_t i = 0; i < 4; i++)
            for (int mixed = 0; mixed < 2; mixed++) {
                char layer[64], net[160];

                if (ntk_activation_get(a)->finish && i != 1)
                    continue;

                layer_of(ntk_activation_get(a), layer);
                snprintf(net, sizeof net, "serial(Dense(8), %s, Dense(1))", layer);
                samples(x, N * D);
                for (int j = 0; j < N * D; j++)
                    x[j] *= mixed && j / D % 2 ? 1 : scales[i];
                kernel_of(net, NTK_F64, x, k);
            }
}

/* What does not see the size of samples has the values of larger ones, for all of them or half of them small:
 * towards 0 every activation is a power, to all digits. */
static void tiny_samples_are_not_zero(void **state)
{
    static const double scales[] = {1e-150, 1e-156, 1e-160, 1e-300};
    double x[N * D], y[N * D], want[2 * N * N], got[2 * N * N];

    (void)state;
    samples(x, N * D);
    for (int i = 0; i < D; i++) /* almost parallel, too */
        x[2 * D + i] = -x[i] * (1 + 1e-9 * i);
    for (size_t a = 0; a < ntk_n_activations(); a++)
        for (int mixed = 0; mixed < 2; mixed++) {
            const struct ntk_activation *act = ntk_activation_get(a);
            char layer[64], net[200];

            if (act->unit_variance)
                continue;
            layer_of(act, layer);
            snprintf(net, sizeof net,
                     "serial(Dense(8), %s, Dense(8), LayerNorm(eps=0), Relu(), Dense(8), Sign(), Dense(1))",
                     layer);
            for (int i = 0; i < N * D; i++)
                y[i] = x[i] * (mixed && i / D % 2 ? 1 : 1e-20);
            kernel_of(net, NTK_F64, y, want);
            for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
                if (act->finish && k % 2)
                    continue;
                for (int i = 0; i < N * D; i++)
                    y[i] = x[i] * (mixed && i / D % 2 ? 1 : scales[k]);
                kernel_of(net, NTK_F64, y, got);
                for (int i = 0; i < 2 * N * N; i++)
                    if (!(fabs(got[i] - want[i]) <= 1e-13))
                        fail_msg("%s, %ssamples times %g: entry %d is %.17g instead of %.17g", net,
                                 mixed ? "half of the " : "", scales[k], i, got[i], want[i]);
            }
        }
}

/* Where the limit of small samples is not that of their pairs, with a large sample or with one as small as the net's
 * constants: nothing else would be seen of it in any sample's own entry. */
static void pairs_beyond_the_limit_are_refused(void **state)
{
    static const struct {
        const char *net;
        double scale[2];
    } cases[] = {
        {"serial(Dense(8), Erf(), Dense(8, b_std=1e-130), Sign(), Dense(1))", {1e-160, 1e-160}},
        {"Dense(1, b_std=1)", {1e-150, 1e150}},
        {"Dense(1, b_std=1e-150)", {1e-156, 1e-156}},
        {"Dense(1, b_std=4e-114)", {1e-160, 1e-114}},
        {"serial(Dense(8), Relu(), Dense(1, b_std=1e-5))", {1e-160, 1e130}},
        {"serial(repeat(Dense(8, W_std=1e6), 18), Dense(8, W_std=100), Gelu(), Dense(1))", {1e-160, 1}},
    };
    double x[N * D], y[N * D], k[2 * N * N];

    (void)state;
    samples(x, N * D);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int i = 0; i < N * D; i++)
            y[i] = x[i] * cases[c].scale[i / D % 2];
        assert_fails(ctx, NTK_ENUMERIC, "sample 0 is too small",
                     try_kernel(cases[c].net, NTK_F64, (ntk_shape){0, 1, 1, D}, y, NTK_F64, N, k));
    }
    for (int i = 0; i < N * D; i++)
        y[i] = x[i] * (i / D % 2 ? 1e100 : 1e-160);
    kernel_of("Dense(1, b_std=1)", NTK_F64, y, k);
    for (int i = 0; i < N * N; i++)
        if (i / N % 2 == 0 || i % N % 2 == 0)
            assert_true(k[i] == 1);
}

static void check_close(const char *net, double s, const double *got, const double *want, double eps)
{
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < N * N; i++) {
            const double *k = want + m * N * N;
            const double scale = sqrt(k[i / N * N + i / N]) * sqrt(k[i % N * N + i % N]);

            if (!(fabs(got[m * N * N + i] - k[i]) <= eps * scale))
                fail_msg("%s, numbers times %g: %s[%d][%d] is %.17g instead of %.17g", net, s,
                         m ? "NTK" : "NNGP", i / N, i % N, got[m * N * N + i], k[i]);
        }
}

/* Variances that leave float64 after the first layer, of samples whose squares do not: what does not see sizes has
 * the values of samples where they do not. */
static void variances_on_the_way_may_be_tiny(void **state)
{
    static const struct {
        const char *net;
        double scale, normal; /* of the samples; where nothing leaves it */
    } cases[] = {
        {"serial(Dense(8), Monomial(2), Dense(8), LayerNorm(eps=0), Relu(), Dense(1))", 1e-79, 1},
        {"serial(Dense(8), Monomial(2), Dense(8), LayerNorm(eps=0), Relu(), Dense(1))", 1e-120, 1},
        {"serial(Dense(8), RectifiedMonomial(4), Dense(8), Sign(), Dense(1))", 1e-60, 1},
        {"serial(Dense(8, W_std=1e-100), Relu(), Dense(8, W_std=1e-100), Sign(), Dense(1))", 1, 1e100},
        {"serial(Dense(8, W_std=1e-160), Relu(), Dense(8), LayerNorm(eps=0), Tanh(), Dense(1))", 1e-20,
         1e100},
    };
    double x[N * D], want[2 * N * N], got[2 * N * N];

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int normal = 0; normal < 2; normal++) {
            samples(x, N * D);
            for (int i = 0; i < N * D; i++)
                x[i] *= normal ? cases[c].normal : cases[c].scale;
            kernel_of(cases[c].net, NTK_F64, x, normal ? want : got);
        }
        check_close(cases[c].net, cases[c].scale, got, want, 1e-13);
    }
}

/* ------------------------------------------------------------------ positions */

static const ntk_shape image = {2, 6, 5, 2};
#define IMAGE (6 * 5 * 2)

/* The lower half of every second image times s. */
static void half_images(double *x, double s)
{
    samples(x, N * IMAGE);
    for (int i = 0; i < N * IMAGE; i++)
        if (i / IMAGE % 2 == 0 && i % IMAGE >= IMAGE / 2)
            x[i] = (double)(float)(x[i] * s);
}

static void half_of_an_image_may_be_small(void **state)
{
    static const char *const nets[] = {
        "serial(Conv(4, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))",
        "serial(Conv(4, (3, 3), padding='SAME'), Relu(), Conv(4, (3, 3), padding='SAME'), Abs(), "
        "Flatten(), Dense(1))",
        "serial(Conv(4, (2, 2)), LeakyRelu(0.1), AvgPool((2, 2), (2, 2)), Conv(4, (2, 1)), Relu(), "
        "GlobalAvgPool(), Dense(1))",
        "serial(Conv(4, (3, 3), padding='CIRCULAR'), Relu(), Conv(4, (3, 3), (2, 1), padding='SAME'), "
        "LayerNorm(), Relu(), Dense(4), GlobalSumPool(), Dense(1))",
        "serial(Conv(4, (2, 2)), Tanh(), Conv(4, (2, 2)), Silu(), GlobalAvgPool(), Dense(1))",
        "serial(Conv(4, (1, 1)), Polynomial((0, 1, 0.5)), Dense(4), GlobalAvgPool(), Dense(1))",
        "serial(Dense(4), Sign(), Dense(4), LayerNorm(), Relu(), Dense(4), GlobalAvgPool(), Dense(1))",
        "serial(Dense(4), LayerNorm(eps=0), Elu(), Conv(4, (3, 3)), Relu(), Flatten(), Dense(1))",
    };
    static const double small[] = {1e-19, 1e-22, 1e-30};
    double x[N * IMAGE], want[2 * N * N], got[2 * N * N];

    (void)state;
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        for (size_t i = 0; i < 3; i++) {
            half_images(x, small[i]);
            assert_ok(ctx, try_kernel(nets[k], NTK_F64, image, x, NTK_F64, N, want));
            assert_ok(ctx, try_kernel(nets[k], NTK_F32, image, x, NTK_F64, N, got));
            check_close(nets[k], small[i], got, want, 3e-6);
        }
        for (int i = 0; i < N * IMAGE; i++) /* below float64's squares; nothing changes from 1e-30 on */
            x[i] = fabs(x[i]) < 1e-20 ? x[i] * 1e-135 : x[i];
        assert_ok(ctx, try_kernel(nets[k], NTK_F64, image, x, NTK_F64, N, got));
        check_close(nets[k], 1e-165, got, want, 1e-12);
    }
}

/* Sign does not see the size of anything: here every position has one of its own. */
static void positions_have_scales_of_their_own(void **state)
{
    static const char net[] = "serial(Dense(4), Sign(), Dense(4), GlobalAvgPool(), Dense(1))";
    double x[N * IMAGE], want[2 * N * N], got[2 * N * N];

    (void)state;
    samples(x, N * IMAGE);
    assert_ok(ctx, try_kernel(net, NTK_F64, image, x, NTK_F64, N, want));
    for (int wide = 0; wide < 2; wide++)
        for (int most = 40; most <= (wide ? 640 : 120); most *= 2) {
            double scaled[N * IMAGE];

            for (int i = 0; i < N * IMAGE; i++) {
                const int p = i / 2; /* 2 channels */

                scaled[i] = ldexp(x[i], (p * 37 % 41 - 40) * most / 40);
            }
            assert_ok(ctx, try_kernel(net, wide ? NTK_F64 : NTK_F32, image, scaled, NTK_F64, N, got));
            check_close(net, ldexp(1, -most), got, want, wide ? 1e-13 : 5e-5);
        }
}

static void count_float64(int level, const char *text, void *user)
{
    (void)level;
    *(int *)user += strstr(text, "computed in float64") != NULL;
}

/* Zeros beside pixels, which deep networks fill: float32 is enough if no pixel is far. */
static void zeros_in_deep_images_are_taken(void **state)
{
    static const ntk_shape shape = {2, 9, 8, 1};
    static const char net[] = "serial(repeat(serial(Conv(1, (3, 3), padding='SAME', W_std=2**0.5), Relu()), "
                              "45), Flatten(), Dense(1))";
    double x[N * 72], want[2 * N * N], got[2 * N * N];
    int said = 0;

    (void)state;
    samples(x, N * 72);
    for (int i = 0; i < N * 72; i++)
        if (i % 8 < 3 || i % 8 > 5 || i / 8 % 9 < 2)
            x[i] = 0;
    assert_ok(ctx, try_kernel(net, NTK_F64, shape, x, NTK_F64, N, want));
    ntk_ctx_set_log(ctx, count_float64, &said);
    assert_ok(ctx, try_kernel(net, NTK_F32, shape, x, NTK_F64, N, got));
    assert_int_equal(said, 0);
    check_close(net, 0, got, want, 1e-5);
    samples(x, N * 72);
    for (int i = 0; i < N * 72; i++) /* one pixel too small for what zeros make of it */
        x[i] = i % 72 == 71 ? 1e-15 : 0;
    assert_ok(ctx, try_kernel(net, NTK_F64, shape, x, NTK_F64, N, want));
    assert_ok(ctx, try_kernel(net, NTK_F32, shape, x, NTK_F64, N, got));
    assert_int_equal(said, 1);
    check_close(net, 0, got, want, 1e-5);
    ntk_ctx_set_log(ctx, NULL, NULL);
}

/* Of images, too, after whose first layer float64 ends. */
static void images_on_the_way_may_be_tiny(void **state)
{
    static const char *const nets[] = {
        "serial(Conv(4, (3, 3), padding='SAME'), Monomial(2), GlobalAvgPool(), Dense(8), LayerNorm(eps=0), Relu(), "
        "Dense(1))",
        "serial(Conv(4, (3, 3)), Relu(), Conv(4, (3, 3)), Monomial(3), Conv(4, (2, 1)), LayerNorm(eps=0), Relu(), "
        "Flatten(), Dense(1))",
    };
    static const double scales[] = {1e-54, 1e-79, 1e-120};
    const int n = (int)(image.h * image.w * image.c);
    double x[N * 60], want[2 * N * N], got[2 * N * N];

    (void)state;
    for (size_t k = 0; k < 2; k++)
        for (size_t s = 0; s < 3; s++) {
            samples(x, N * n);
            assert_ok(ctx, try_kernel(nets[k], NTK_F64, image, x, NTK_F64, N, want));
            for (int i = 0; i < N * n; i++)
                x[i] *= scales[s];
            assert_ok(ctx, try_kernel(nets[k], NTK_F64, image, x, NTK_F64, N, got));
            check_close(nets[k], scales[s], got, want, 1e-13);
        }
}

static void large_images_are_refused_or_right(void **state)
{
    static const char *const nets[] = {
        "serial(Conv(4, (3, 3)), Relu(), GlobalAvgPool(), Dense(1))",
        "serial(Conv(4, (3, 3)), GlobalAvgPool(), Dense(1))",
        "serial(Conv(4, (3, 3), b_std=1), Relu(), Conv(4, (2, 2)), Abs(), Flatten(), Dense(1))",
    };
    static const char normal[] = "serial(Conv(4, (3, 3)), Relu(), Dense(4), LayerNorm(eps=0), Relu(), "
                                 "Dense(4), GlobalAvgPool(), Dense(1))";
    double x[N * IMAGE], large[N * IMAGE], want[2 * N * N], got[2 * N * N];

    (void)state;
    samples(x, N * IMAGE);
    assert_ok(ctx, try_kernel(normal, NTK_F64, image, x, NTK_F64, N, want));
    for (int wide = 0; wide < 2; wide++) {
        const ntk_dtype dtype = wide ? NTK_F64 : NTK_F32;

        for (int i = 0; i < N * IMAGE; i++)
            large[i] = ldexp(x[i], wide ? 600 : 80);
        for (size_t k = 0; k < sizeof nets / sizeof *nets; k++)
            assert_fails(ctx, NTK_ENUMERIC, wide ? "float64" : "float32",
                         try_kernel(nets[k], dtype, image, large, NTK_F64, N, got));
        assert_ok(ctx, try_kernel(normal, dtype, image, large, NTK_F64, N, got));
        check_close(normal, 1, got, want, wide ? 1e-13 : 3e-6);
    }
}

/* ------------------------------------------------------------------ depth */

/* Variances that float32 does not take on the way, where the end is a number of it again. */
static void deep_nets_pass_through_any_size(void **state)
{
    static const char *const nets[] = {
        "serial(repeat(serial(Dense(8, W_std=0.1), Relu()), 17), Dense(1))",
        "serial(repeat(serial(Dense(8, W_std=0.001), Relu()), 8), repeat(Dense(8, W_std=1000), 8), Dense(1))",
        "serial(repeat(serial(Dense(8, W_std=1000), Relu()), 8), Dense(8, W_std=1e-24), Tanh(), Dense(1))",
        "serial(repeat(serial(Dense(8, W_std=0.001), Relu()), 12), Dense(8), LayerNorm(eps=0), Relu(), "
        "Dense(1))",
        "serial(Dense(8, W_std=1e-25), Dense(8, W_std=1e6), Dense(8, W_std=1e6), Dense(8, W_std=1e6), "
        "Dense(8, W_std=1e6), Erf(), Dense(1))",
        "serial(Dense(8, W_std=1e-20, b_std=1e-21), Relu(), Dense(8, parameterization='standard'), Relu(), "
        "Dense(1, b_std=1, parameterization='standard'))",
        "serial(Dense(8), ABRelu(1e-25, 1e-25), repeat(Dense(8, W_std=1e6), 4), Gelu(), Dense(1))",
    };
    double x[N * D], want[2 * N * N], got[2 * N * N];

    (void)state;
    samples(x, N * D);
    for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
        kernel_of(nets[k], NTK_F64, x, want);
        kernel_of(nets[k], NTK_F32, x, got);
        for (int i = 0; i < 2 * N * N; i++)
            if (!(fabs(got[i] - want[i]) <= 1e-5 * fabs(want[i]) + 2e-45))
                fail_msg("%s: entry %d is %.9g instead of %.9g", nets[k], i, got[i], want[i]);
    }
}

/* One thread: the kernels are small and many. */
static int setup_alone(void **state)
{
    return setup(state) || ntk_ctx_set_threads(ctx, 1) != NTK_OK ? -1 : 0;
}

/* Almost parallel pairs, whose recursion multiplies variances: where that leaves the range they are as others,
 * which costs digits, but is not wrong. */
static void almost_parallel_samples_have_any_size(void **state)
{
    static const char *const nets[] = {
        ("serial(Dense(1), FanOut(2), parallel(serial(Relu(), Dense(1, W_std=1.3)), Dense(1, W_std=0.7)), "
         "FanInSum(), Relu(), Dense(1))"),
        "serial(Dense(1), Abs(), Dense(1), Relu(), Dense(1))",
        "serial(Dense(1), Relu(), Dense(1), LayerNorm(eps=0), Erf(), Dense(1), Relu(), Dense(1))",
        "serial(Dense(1), Erf(), Dense(1), Relu(), Dense(1))",
        "serial(Dense(1), Gelu(), Dense(1), Relu(), Dense(1))",
    };

    (void)state;
    for (size_t m = 0; m < sizeof nets / sizeof *nets; m++) {
        double last = 0;

        for (int e = -120; e <= 120; e += 10) {
            const double c = pow(10, e), x[] = {c, 2 * c, 3 * c, 6.0000001 * c};
            double k[8], now;

            if (try_kernel(nets[m], NTK_F64, (ntk_shape){0, 1, 1, 2}, x, NTK_F64, 2, k) != NTK_OK)
                fail_msg("%s: samples of 1e%d: %s", nets[m], e, ntk_errmsg(ctx));
            now = k[1] / sqrt(k[0]) / sqrt(k[3]);
            /* towards 0 and infinity these networks become homogeneous */
            if (now > 1 + 1e-15 || (e != -120 && abs(e - 5) > 15 && fabs(now - last) > 1e-6))
                fail_msg("%s: samples of 1e%d: correlation %.9g, of 1e%d %.9g", nets[m], e, now, e - 10,
                         last);
            last = now;
        }
    }
}

/* Squares that leave float64 are an error before the first pair, whatever comes after them. */
static void squares_of_images_are_looked_at(void **state)
{
    static const char *const nets[] = {
        "serial(Conv(4, (3, 3), padding='SAME', b_std=0.1), LayerNorm(), Dense(3), Sign(), Flatten(), Dense(1))",
        "serial(Conv(4, (3, 3), padding='SAME', b_std=0.1), Gelu(), GlobalAvgPool(), Dense(1))",
    };
    const ntk_shape shape = {2, 4, 4, 1};
    double x[2 * 16], y[2 * 16], out[4];
    ntk_data *a, *b;

    (void)state;
    for (int i = 0; i < 2 * 16; i++) {
        y[i] = cos(3.0 * i + 1);
        x[i] = 1e160 * y[i];
    }
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 2, shape, &a));
    assert_ok(ctx, ntk_data_view(ctx, y, NTK_F64, 2, shape, &b));
    for (size_t t = 0; t < sizeof nets / sizeof *nets; t++) {
        ntk_net *net;
        ntk_kernel *k;

        assert_ok(ctx, ntk_net_parse(ctx, nets[t], &net));
        assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *const *)&net, 1, NTK_NNGP, NTK_F64, shape, &k));
        assert_fails(ctx, NTK_ENUMERIC, "sample 0: its variance", ntk_kernel_compute(k, a, b, (void *[]){out}));
        ntk_kernel_free(k);
        ntk_net_free(net);
    }
    ntk_data_free(a);
    ntk_data_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(almost_parallel_samples_have_any_size),
        cmocka_unit_test(scaled_samples_have_scaled_kernels),
        cmocka_unit_test(one_sample_may_be_small),
        cmocka_unit_test(float32_is_right_at_every_scale),
        cmocka_unit_test(tiny_samples_have_a_kernel),
        cmocka_unit_test(tiny_samples_are_not_zero),
        cmocka_unit_test(variances_on_the_way_may_be_tiny),
        cmocka_unit_test(pairs_beyond_the_limit_are_refused),
        cmocka_unit_test(half_of_an_image_may_be_small),
        cmocka_unit_test(positions_have_scales_of_their_own),
        cmocka_unit_test(zeros_in_deep_images_are_taken),
        cmocka_unit_test(images_on_the_way_may_be_tiny),
        cmocka_unit_test(large_images_are_refused_or_right),
        cmocka_unit_test(deep_nets_pass_through_any_size),
        cmocka_unit_test(squares_of_images_are_looked_at),
    };
    return cmocka_run_group_tests(tests, setup_alone, teardown);
}
