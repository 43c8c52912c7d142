/* SPDX-License-Identifier: MIT
 *
 * test_sweeps.c - the fused loops of activations for images: their constants against the closed form, signs of
 * covariances, and what float32 keeps of deep nets.
 */
#include <math.h>

#include "activations/loops.h"
#include "backend/registry.h"
#include "context.h"
#include "engine/run.h"
#include "kernel/nets.h"
#include "language/net.h"

/* ------------------------------------------------------------------ folds */

#define ROWS 4001 /* of a plane of one column: correlations */

/* A dual in long double, of two samples of variance q. */
typedef void moments_fn(const double *self, long double q, long double k, long double *f, long double *d);

static long double number(const void *x, ntk_dtype dtype, size_t k) { return (long double)ntk_number(x, dtype, k); }

#define PI acosl(-1)

/* Cho and Saul 2009; self: slopes below and above 0. */
static void abrelu(const double *self, long double q, long double k, long double *f, long double *d)
{
    const long double a = (long double)self[0], b = (long double)self[1], jump = (b - a) * (b - a);
    const long double c = fminl(fmaxl(k / q, -1), 1), t = acosl(c);

    *f = q * (jump * (sinl(t) + (PI - t) * c) / (2 * PI) + a * b * c);
    *d = jump * (PI - t) / (2 * PI) + a * b;
}

/* Williams 1997; self: a, b, c of a erf(b x) + c. */
static void erf_(const double *self, long double q, long double k, long double *f, long double *d)
{
    const long double a2 = (long double)(self[0] * self[0]), b2 = (long double)(self[1] * self[1]);
    const long double g = 2 * b2 * q, h = 2 * b2 * k, root = sqrtl((1 + g + h) * (1 + g - h));

    *f = 2 * a2 / PI * atan2l(h, root) + (long double)(self[2] * self[2]);
    *d = 4 * a2 * b2 / PI / root;
}

/* Tsuchida et al. 2021. */
static void gelu(const double *self, long double q, long double k, long double *f, long double *d)
{
    const long double r = sqrtl((1 + q + k) * (1 + q - k)), i = 1 / (1 + q), t = atan2l(k, r) / (2 * PI) + 0.25L;

    (void)self;
    *f = k * t + (k * k / r + q * q * r) * i * i / (2 * PI);
    *d = t + k / r * (1 / (r * r) + 2 * i) / (2 * PI);
}

struct folded {
    const char *name;
    moments_fn *moments;
    double q, self[4];
};

/* Largest error of factor F, and of factor (mix F + D), in `unit`s of the type and of a sample with itself, beyond what one
 * unit of the covariance and, as its sides are rounded, of the variance makes. All lanes are the same pair. */
static double fold_error(const struct folded *p, ntk_dtype dtype, double factor, bool any_sign, bool per_lane, double mix)
{
    const struct ntk_activation *act = ntk_activation_find(p->name);
    const struct ntk_simd *simd = dtype == NTK_F32 ? ctx->isa->f32 : ctx->isa->f64;
    const size_t lanes = simd->lanes, size = ROWS * lanes;
    const long double unit = dtype == NTK_F32 ? 0x1p-23L : 0x1p-52L, q = (long double)p->q;
    const struct ntk_dual_range range = {.q_min = p->q, .q_max = p->q, .dtype = dtype, .layers = 1};
    struct ntk_dual dual = {.takes = HUGE_VAL};
    void *k = malloc(size * dtype), *one = malloc(size * dtype), *side1 = malloc(2 * size * dtype);
    void *side2 = malloc(2 * size * dtype), *f = malloc(size * dtype), *g = malloc(size * dtype);
    double spare[NTK_LANES_MAX], zeros[NTK_LANES_MAX] = {0}, par[NTK_FOLD_PARS], side[2] = {0};
    struct ntk_fold fold;
    struct ntk_sweep_args x = {.in = {.rect = {.rows = ROWS, .columns = 1, .pitch = 1, .row1 = per_lane ? lanes : 1,
                                               .row2 = lanes, .step1 = per_lane ? lanes : 1},
                                      .k = {.at = k},
                                      .theta = {{.at = one}},
                                      .side1 = side1,
                                      .side2 = side2,
                                      .stride1 = size,
                                      .stride2 = size,
                                      .fold = par,
                                      .fold_factor = factor,
                                      .any_sign = any_sign,
                                      .zeros = zeros},
                               .out = {f, g},
                               .factor = {factor, factor},
                               .mix = {1, mix},
                               .spare = spare};
    long double worst = 0, most_f, most_d;

    assert_ok(ctx, act->setup(p->self, NULL, &range, &dual));
    act->side(p->self, &dual, p->q, side);
    p->moments(p->self, q, q, &most_f, &most_d);
    assert_true(act->fold(p->self, dtype, factor, &fold));
    for (size_t i = 0; i < NTK_FOLD_PARS; i++)
        ntk_store(par, dtype, i, fold.par[i]);
    for (size_t i = 0; i < size; i++) {
        const double t = (double)(i / lanes) / (ROWS - 1), rho = any_sign ? cos(3.14159265358979323846 * t) : sin(t * 1.5707963267948966);

        ntk_store(k, dtype, i, p->q * rho);
        ntk_store(one, dtype, i, 1);
        for (size_t s = 0; s < 2; s++) {
            ntk_store(side1, dtype, s * size + i, side[s]);
            ntk_store(side2, dtype, s * size + i, side[s] * fold.side[s]);
        }
    }
    ntk_dual_loops_of(ctx->isa, dtype)->sweep[act->dual](&x);
    for (size_t i = 0; i < size; i++) {
        const long double at = number(k, dtype, i);
        long double ff, dd, slack_f = 0, slack_d = 0;

        p->moments(p->self, q, at, &ff, &dd);
        for (int way = -1; way <= 1; way += 2) {
            long double other_f, other_d;

            p->moments(p->self, q, at * (1 + way * unit), &other_f, &other_d);
            slack_f = fmaxl(slack_f, fabsl(other_f - ff));
            slack_d = fmaxl(slack_d, fabsl(other_d - dd));
            p->moments(p->self, q * (1 + way * unit), at, &other_f, &other_d);
            slack_d = fmaxl(slack_d, fabsl(other_d - dd));
        }
        ff *= (long double)factor;
        dd *= (long double)factor;
        worst = fmaxl(worst, fabsl(number(f, dtype, i) - ff) / ((long double)factor * most_f));
        worst = fmaxl(worst, (fabsl(number(g, dtype, i) - ((long double)mix * ff + dd)) - slack_d * (long double)factor) /
                                 ((long double)factor * ((long double)mix * most_f + most_d)));
    }
    free(k);
    free(one);
    free(side1);
    free(side2);
    free(f);
    free(g);
    return (double)(worst / unit);
}

/* Over the whole range of correlations, every instruction set, constants and factors of many sizes. */
static void folds_are_the_closed_form(void **state)
{
    static const struct folded folded[] = {
        {"ABRelu", abrelu, 1, {0, 1}},     {"ABRelu", abrelu, 1, {0.1, 1}},  {"ABRelu", abrelu, 1, {-1, 1}},
        {"ABRelu", abrelu, 1, {-0.3, 2}},  {"ABRelu", abrelu, 1, {1, 0.5}},  {"ABRelu", abrelu, 1, {0.5, -0.5}},
        {"Erf", erf_, 1, {1, 1, 0}},       {"Erf", erf_, 1e-6, {1, 1, 0}},   {"Erf", erf_, 0.03, {0.5, 0.4, 0.5}},
        {"Erf", erf_, 20, {2, -1, 0}},     {"Gelu", gelu, 1, {0}},           {"Gelu", gelu, 1e-6, {0}},
        {"Gelu", gelu, 0.1, {0}},          {"Gelu", gelu, 20, {0}},
    };
    static const double factors[] = {2.0 / 9, 1, 0.02, 3e-9, 57, 1e5};
    static const ntk_dtype dtypes[] = {NTK_F32, NTK_F64};
    const char *isas = ntk_isa_available();
    double worst[2] = {0};

    (void)state;
    for (const char *at = isas; at; at = strchr(at, ',') ? strchr(at, ',') + 2 : NULL) {
        char isa[32];

        snprintf(isa, sizeof isa, "%.*s", (int)strcspn(at, ","), at);
        assert_ok(ctx, ntk_ctx_set_isa(ctx, isa));
        for (size_t i = 0; i < sizeof folded / sizeof *folded * 6 * 2 * 8; i++) {
            const struct folded *p = &folded[i / 96];
            const ntk_dtype dtype = dtypes[i / 8 % 2];
            const double e = fold_error(p, dtype, factors[i / 16 % 6], i & 1, i & 2, i & 4 ? 0.5 : 1);

            worst[dtype == NTK_F64] = fmax(worst[dtype == NTK_F64], e);
            assert_true(e < (dtype == NTK_F64 || p->q > 1 ? 4 : 2.5)); /* Erf is steep at large variances */
        }
    }
    print_message("folds: %.2f and %.2f units of float32 and float64\n", worst[0], worst[1]);
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
}

/* Linear functions have no fold, nor have factors that would leave the type; series have no sweeps. */
static void some_have_no_fold(void **state)
{
    const struct ntk_activation *relu = ntk_activation_find("ABRelu"), *erf = ntk_activation_find("Erf");
    const struct ntk_activation *gelu_ = ntk_activation_find("Gelu");
    struct ntk_fold fold;

    (void)state;
    assert_false(relu->fold((double[]){1, 1, 0}, NTK_F32, 1, &fold));
    assert_false(relu->fold((double[]){0, 1, 0}, NTK_F32, 1e-30, &fold));
    assert_false(relu->fold((double[]){0, 1, 0}, NTK_F64, 1e30, &fold));
    assert_false(erf->fold((double[]){1, 0, 1}, NTK_F64, 1, &fold));
    assert_false(erf->fold((double[]){0, 1, 1}, NTK_F64, 1, &fold));
    assert_false(gelu_->fold((double[]){0}, NTK_F64, 1e-30, &fold));
    assert_true(ntk_dual_sweeps(gelu_, (bool[]){false}));
    assert_false(ntk_dual_sweeps(gelu_, (bool[]){true}));
    assert_false(ntk_dual_sweeps(ntk_activation_find("Gelu_tanh"), (bool[]){true}));
}

/* ------------------------------------------------------------------ signs */

#define N 12 /* samples */

static const char *const vector_nets[] = {
    "serial(Dense(8), Relu(), Dense(8), Relu(), Dense(1))",
    "serial(Dense(8, b_std=0.3), LeakyRelu(0.2), Dense(8, b_std=0.1), LeakyRelu(-0.5), Dense(1))",
    "serial(Dense(8), Abs(), Dense(8), Abs(), Dense(8), LeakyRelu(-1.5), Dense(1))",
    "serial(Dense(8), Erf(), Dense(8), Relu(), Dense(1))",
    "serial(Dense(8), Sin(), Dense(8, b_std=0.5), LayerNorm(), Gelu(), Dense(8), Relu(), Dense(1))",
    "serial(FanOut(2), parallel(serial(Dense(8), Erf()), serial(Dense(8), Relu())), FanInProd(), Dense(1))",
    "serial(FanOut(2), parallel(serial(Dense(8), Relu(), Dense(8)), serial(Dense(8), Relu(), Dense(8))), FanInSum(), Relu(), Dense(1))",
};

static void lower(const char *text, ntk_shape shape, struct ntk_graph *g, int *outputs, int *n)
{
    ntk_net *net;

    ntk_graph_init(g, ctx);
    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    assert_ok(ctx, ntk_nets_lower((const ntk_net *const[]){net}, 1, NTK_NNGP | NTK_NTK, shape, g, outputs, n));
    ntk_net_free(net);
}

static void run(const struct ntk_backend *backend, struct ntk_graph *g, int n, const int *outputs, ntk_dtype dtype,
                const double *x, ntk_shape shape, int64_t samples, void *const *k)
{
    struct ntk_memory_sink sink = {.out = k, .n2 = samples, .dtype = dtype, .symmetric = true};
    struct ntk_machine machine = {.backend = backend};
    struct ntk_program *program;
    struct ntk_samples *s;
    struct ntk_job job;
    ntk_data *data;

    assert_ok(ctx, ntk_program_make(g, n, outputs, &program));
    machine.program = program;
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, samples, shape, &data));
    assert_ok(ctx, backend->compile(program, &machine.compiled));
    assert_ok(ctx, ntk_samples_make(&machine, dtype, 1, (const ntk_data *const[]){data}, false, NULL, NULL, &s));
    assert_ok(ctx, ntk_samples_sides(s));
    job = (struct ntk_job){.machine = &machine, .rows = s, .columns = s, .symmetric = true, .out_dtype = dtype};
    assert_ok(ctx, ntk_run(&job, ntk_memory_sink_write, &sink));
    ntk_samples_release(s);
    backend->close(machine.compiled);
    ntk_data_free(data);
    ntk_program_free(program);
}

static const struct ntk_backend *backend_named(const char *name)
{
    const struct ntk_backend *b;

    assert_ok(ctx, ntk_backend_find(ctx, name, &b));
    return b;
}

/* Every node that is said to have no negative values, by the witness. */
static void signs_are_right(void **state)
{
    const ntk_shape shape = {0, 1, 1, 3};
    double x[N * 3];
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < N * 3; i++)
        x[i] = test_normal(&seed);
    for (size_t t = 0; t < sizeof vector_nets / sizeof *vector_nets; t++) {
        int outputs[2], n, nodes[200];
        double *k[200];
        struct ntk_graph g;

        lower(vector_nets[t], shape, &g, outputs, &n);
        n = 0;
        for (int v = 0; v < g.n; v++)
            if (!(g.nodes[v].flags & NTK_SIGNED)) {
                k[n] = malloc(N * N * sizeof(double));
                nodes[n++] = v;
            }
        if (t != 3)
            assert_true(n > 0);
        if (n > 0)
            run(backend_named("reference"), &g, n, nodes, NTK_F64, x, shape, N, (void *const *)k);
        else
            ntk_graph_free(&g);
        for (int m = 0; m < n; m++) {
            for (int e = 0; e < N * N; e++)
                if (k[m][e] < -1e-15)
                    fail_msg("%s: node %d is %g", vector_nets[t], nodes[m], k[m][e]);
            free(k[m]);
        }
    }
}

/* Which of the activations' results are known. */
static void signs_are_known(void **state)
{
    static const struct {
        double a, b;
        bool f_any, f_positive, d_any, d_positive;
    } cases[] = {
        {0, 1, true, true, true, true},   {-1, 1, true, true, false, true}, {0.2, 1, false, true, true, true},
        {-0.5, 2, true, true, false, true}, {1, -1, false, true, false, true}, {-2, -1, false, true, true, true},
    };
    const struct ntk_activation *act = ntk_activation_find("ABRelu");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double p[] = {cases[i].a, cases[i].b, 0};

        assert_int_equal(act->positive(p, 0, true), cases[i].f_any);
        assert_int_equal(act->positive(p, 0, false), cases[i].f_positive);
        assert_int_equal(act->positive(p, 1, true), cases[i].d_any);
        assert_int_equal(act->positive(p, 1, false), cases[i].d_positive);
    }
}

#define SIDE 7 /* of images: an odd number, rows shorter and longer than a block */

/* Smooth and rough images, two of them equal. */
static void make_images(double *x, int64_t n, int side)
{
    uint64_t seed = 11;

    for (int64_t i = 0; i < n; i++)
        for (int q = 0; q < side * side * 3; q++)
            x[i * side * side * 3 + q] =
                0.3 * (double)(i % 3) + sin(0.2 * (double)(q / 3 % side) * (double)(1 + i)) + (i % 2 ? 0.05 : 1) * test_normal(&seed);
    memcpy(x + (n - 1) * side * side * 3, x, (size_t)(side * side * 3) * sizeof *x);
}

static const char *const image_nets[] = {
    "serial(Conv(8, (3, 3), padding='SAME', W_std=2**0.5), Relu(), Conv(8, (3, 3), padding='SAME', W_std=2**0.5), Relu(), "
    "Conv(8, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))",
    "serial(Conv(8, (3, 3), padding='SAME', W_std=1.3, b_std=0.2), LeakyRelu(0.1), Conv(8, (3, 3), padding='SAME', b_std=0.1), "
    "LeakyRelu(0.1), Conv(8, (3, 3), padding='SAME', b_std=0.1), Relu(), Flatten(), Dense(1))",
    "serial(Conv(8, (3, 3), padding='SAME'), Erf(), Conv(8, (3, 3), padding='SAME'), Relu(), Conv(8, (3, 3), padding='SAME'), Abs(), "
    "GlobalAvgPool(), Dense(1))",
    "serial(Conv(8, (3, 3), padding='SAME'), Relu(), Conv(8, (3, 3), padding='SAME'), FanOut(2), parallel(Identity(), serial(Relu(), Conv(8, (3, 3), padding='SAME'), "
    "Relu(), Conv(8, (3, 3), padding='SAME'))), FanInSum(), Relu(), Conv(8, (3, 3), padding='SAME'), LayerNorm(), Relu(), "
    "GlobalAvgPool(), Dense(1))",
    "serial(Conv(8, (3, 3), padding='CIRCULAR'), Relu(), Conv(8, (3, 3), padding='SAME'), Relu(), AvgPool((2, 2)), "
    "Conv(8, (3, 3), padding='SAME'), Relu(), Flatten(), Dense(1))",
    "serial(Conv(8, (3, 3), padding='SAME'), Gelu(), Conv(8, (3, 3), padding='SAME', b_std=0.1), Gelu_tanh(), Conv(8, (3, 3), padding='SAME'), Gelu(), "
    "Conv(8, (3, 3), padding='SAME'), Abs(), GlobalAvgPool(), Dense(1))",
    "cntk(depth=4, pool='gap')",
};

/* Where a covariance is known to be >= 0 and where it is not, the loops give the same. */
static void both_branches_agree(void **state)
{
    const ntk_shape shape = {2, SIDE, SIDE, 3};
    const struct ntk_backend *cpu = backend_named("cpu");
    double *x = malloc(N * SIDE * SIDE * 3 * sizeof *x);

    (void)state;
    assert_non_null(x);
    make_images(x, N, SIDE);
    for (size_t t = 0; t < sizeof image_nets / sizeof *image_nets; t++) {
        double k[2][2][N * N];

        for (int forced = 0; forced < 2; forced++) {
            struct ntk_graph g;
            int outputs[2], n, known = 0;

            lower(image_nets[t], shape, &g, outputs, &n);
            for (int v = 0; v < g.n; v++) {
                known += !(g.nodes[v].flags & NTK_SIGNED);
                g.nodes[v].flags |= forced ? NTK_SIGNED : 0;
            }
            assert_true(known > 0);
            run(cpu, &g, n, outputs, NTK_F64, x, shape, N, (void *[]){k[forced][0], k[forced][1]});
        }
        for (int m = 0; m < 2; m++)
            for (int e = 0; e < N * N; e++)
                assert_near(k[0][m][e], k[1][m][e], 1e-13, sqrt(k[0][m][e / N * (N + 1)] * k[0][m][e % N * (N + 1)]));
    }
    free(x);
}

/* ------------------------------------------------------------------ deep nets */

/* Errors of float32, relative to the roots of the diagonal's entries; diagonals are exact but for their own rounding. */
static void deep_nets_keep_their_digits(void **state)
{
    static const char *const nets[] = {"cntk(depth=21, pool='gap', frozen_ends=False)", "cntk(depth=21)"};
    static const double most[] = {6e-7, 2e-6};
    const ntk_shape shape = {2, 16, 16, 3};
    double *x = malloc(N * 16 * 16 * 3 * sizeof *x);

    (void)state;
    assert_non_null(x);
    make_images(x, N, 16);
    for (int t = 0; t < 2; t++) {
        double k64[2][N * N], worst = 0;
        float k32[2][N * N];

        for (int type = 0; type < 2; type++) {
            struct ntk_graph g;
            int outputs[2], n;

            lower(nets[t], shape, &g, outputs, &n);
            run(backend_named("cpu"), &g, n, outputs, type ? NTK_F32 : NTK_F64, x, shape, N,
                type ? (void *[]){k32[0], k32[1]} : (void *[]){k64[0], k64[1]});
        }
        for (int m = 0; m < 2; m++)
            for (int e = 0; e < N * N; e++)
                worst = fmax(worst, fabs((double)k32[m][e] - k64[m][e]) /
                                        sqrt(k64[m][e / N * (N + 1)] * k64[m][e % N * (N + 1)]));
        print_message("%s: %.1e\n", nets[t], worst);
        assert_true(worst < most[t]);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_are_the_closed_form), cmocka_unit_test(some_have_no_fold),
        cmocka_unit_test(signs_are_right),           cmocka_unit_test(signs_are_known),
        cmocka_unit_test(both_branches_agree),       cmocka_unit_test(deep_nets_keep_their_digits),
    };

    return cmocka_run_group_tests_name("sweeps", tests, setup, teardown);
}
