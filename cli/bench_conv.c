/* SPDX-License-Identifier: MIT
 *
 * ntk bench conv: kernels of images beside the processor's rate of multiply-adds.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define IMAGE    32 /* rows and columns */
#define CHANNELS 3
#define CONV_NET "cntk(depth=21, pool='gap', frozen_ends=False)"

struct images {
    struct bench b;
    int64_t side;
    unsigned want;
    ntk_kernel *kernel;
    ntk_data *x;
    void *out[2];
};

static ntk_status run_kernel(void *user)
{
    struct images *w = user;

    return ntk_kernel_compute(w->kernel, w->x, NULL, w->out);
}

static ntk_status measure(struct images *w, struct times *times, double *positions)
{
    const ntk_shape shape = {2, w->side, w->side, CHANNELS};
    ntk_net *net;
    ntk_status status = ntk_net_parse(w->b.ctx, w->b.net, &net);
    const ntk_net *nets[] = {net};

    if (status != NTK_OK)
        return status;
    status = ntk_kernel_new(w->b.ctx, nets, 1, w->want, w->b.dtype, shape, &w->kernel);
    ntk_net_free(net);
    if (status == NTK_OK)
        status = ntk_data_view(w->b.ctx, w->b.dtype == NTK_F32 ? (const void *)w->b.x32 : w->b.x, w->b.dtype, w->b.n,
                               shape, &w->x);
    for (int k = 0; k < 2; k++)
        w->out[k] = malloc((size_t)(w->b.n * w->b.n) * w->b.dtype);
    if (status == NTK_OK && w->out[0] && w->out[1]) {
        *positions = ntk_kernel_positions(w->kernel);
        status = bench_measure(&w->b, run_kernel, w, times);
    }
    ntk_data_free(w->x);
    ntk_kernel_free(w->kernel);
    free(w->out[0]);
    free(w->out[1]);
    return status;
}

/* A slot is the time of one multiply-add of a vector on every processor in use. */
struct result {
    struct times t;
    double pairs, positions, rate, peak, slots;
    int lanes;
    const char *isa;
};

static int bench(struct images *w, struct result *r)
{
    w->b.d = w->side * w->side * CHANNELS;
    if (!bench_samples(&w->b))
        return usage("no memory for the samples");
    TRY(w->b.ctx, ntk_ctx_isa(w->b.ctx, &r->isa));
    TRY(w->b.ctx, ntk_ctx_peak(w->b.ctx, w->b.dtype, &r->peak, &r->lanes));
    TRY(w->b.ctx, measure(w, &r->t, &r->positions));
    free(w->b.x);
    free(w->b.x32);
    r->pairs = (double)w->b.n * (double)(w->b.n + 1) / 2;
    r->rate = r->pairs * r->positions / r->t.median / ntk_ctx_threads(w->b.ctx);
    r->slots = r->rate > 0 ? r->peak * r->lanes / r->rate : 0;
    return EXIT_OK;
}

static void print_json(struct json *j, const char *name, const struct images *w, const struct result *r)
{
    json_open(j, NULL, '{');
    if (name)
        json_text(j, "case", name);
    json_text(j, "net", w->b.net);
    json_integer(j, "n", w->b.n);
    json_integer(j, "side", w->side);
    json_text(j, "dtype", bench_dtype(&w->b));
    json_text(j, "isa", r->isa);
    json_integer(j, "threads", ntk_ctx_threads(w->b.ctx));
    json_number(j, "seconds", r->t.median);
    json_number(j, "min", r->t.least);
    json_number(j, "pairs", r->pairs);
    json_number(j, "positions", r->positions);
    json_number(j, "positions_per_second", r->rate);
    json_number(j, "multiply_adds_per_second", r->peak);
    json_integer(j, "lanes", r->lanes);
    json_number(j, "slots", r->slots);
    json_close(j, '}');
}

static int bench_one(struct images *w, bool as_json)
{
    struct json j = {.f = stdout};
    struct result r = {0};
    int threads;

    STEP(bench(w, &r));
    threads = ntk_ctx_threads(w->b.ctx);
    if (as_json) {
        print_json(&j, NULL, w, &r);
        putchar('\n');
        return EXIT_OK;
    }
    printf("kernel of %lld images of %lld x %lld x %d, %s, %s, %d threads\n    %s\n", (long long)w->b.n,
           (long long)w->side, (long long)w->side, CHANNELS, bench_dtype(&w->b), r.isa, threads, w->b.net);
    printf("    %.4f s (least %.4f), %.4g ms a pair and thread; %.4g positions through an "
           "activation a pair,\n    %.4g of them a second and thread: %.1f multiply-adds of %d "
           "(%.3g/s) each\n",
           r.t.median, r.t.least, 1e3 * r.t.median * threads / r.pairs, r.positions, r.rate, r.slots, r.lanes, r.peak);
    return EXIT_OK;
}

/* ---- all cases */

#define CONV(act)        "Conv(1, (3, 3), padding='SAME', W_std=2**0.5), " act
#define NET(n, act, end) "serial(repeat(serial(" CONV(act) "), " #n "), " end ", Dense(1))"
#define GAP              "GlobalAvgPool()"
#define VANILLA          "Flatten()"

static const struct {
    const char *name, *net;
    int64_t n, side;
    unsigned want;
    ntk_dtype dtype;
    const char *isa; /* NULL: the best one */
} cases[] = {
    {"GAP, 20 convolutions", NET(20, "Relu()", GAP), 32, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"GAP, 3 convolutions", NET(3, "Relu()", GAP), 32, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"GAP, 10 convolutions, 16 x 16", NET(10, "Relu()", GAP), 64, 16, NTK_NTK, NTK_F32, NULL},
    {"GAP, 10 convolutions, 8 x 8", NET(10, "Relu()", GAP), 128, 8, NTK_NTK, NTK_F32, NULL},
    {"vanilla, 11 convolutions", NET(11, "Relu()", VANILLA), 256, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"vanilla, 11 convolutions", NET(11, "Relu()", VANILLA), 64, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"vanilla, 3 convolutions", NET(3, "Relu()", VANILLA), 256, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"vanilla, 3 convolutions", NET(3, "Relu()", VANILLA), 64, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"GAP, 20 convolutions, NNGP", NET(20, "Relu()", GAP), 32, IMAGE, NTK_NNGP, NTK_F32, NULL},
    {"GAP, 20 convolutions, AVX2", NET(20, "Relu()", GAP), 16, IMAGE, NTK_NTK, NTK_F32, "avx2"},
    {"GAP, 20 convolutions, float64", NET(20, "Relu()", GAP), 16, IMAGE, NTK_NTK, NTK_F64, NULL},
    {"GAP, 10 convolutions, LeakyRelu", NET(10, "LeakyRelu(0.1)", GAP), 16, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"GAP, 10 convolutions, Erf", NET(10, "Erf()", GAP), 16, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"GAP, 10 convolutions, Gelu", NET(10, "Gelu()", GAP), 16, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"myrtle10", "myrtle10()", 16, IMAGE, NTK_NTK, NTK_F32, NULL},
    {"wide_resnet, 4 blocks", "wide_resnet(blocks=4)", 16, IMAGE, NTK_NTK, NTK_F32, NULL},
};

static int bench_all(ntk_ctx *ctx, int64_t repeat, bool as_json)
{
    struct json j = {.f = stdout};

    if (as_json)
        json_open(&j, NULL, '[');
    else
        printf("%-32s %6s %5s %7s %9s %10s %15s %6s\n", "NTK, float32, but as named", "images", "side", "isa", "seconds",
               "ms a pair", "multiply-adds/s", "slots");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct images w = {.b = {.ctx = ctx, .n = cases[k].n, .repeat = repeat, .dtype = cases[k].dtype, .net = cases[k].net},
                           .side = cases[k].side,
                           .want = cases[k].want};
        struct result r = {0};

        if (cases[k].isa && !strstr(ntk_isa_available(), cases[k].isa))
            continue;
        TRY(ctx, ntk_ctx_set_isa(ctx, cases[k].isa));
        STEP(bench(&w, &r));
        if (as_json) {
            print_json(&j, cases[k].name, &w, &r);
            continue;
        }
        printf("%-32s %6lld %5lld %7.7s %9.4f %10.4g %9.3g of %2d %6.1f\n", cases[k].name, (long long)w.b.n,
               (long long)w.side, r.isa, r.t.median, 1e3 * r.t.median * ntk_ctx_threads(ctx) / r.pairs, r.peak, r.lanes,
               r.slots);
        fflush(stdout);
    }
    if (as_json) {
        json_close(&j, ']');
        putchar('\n');
    }
    return EXIT_OK;
}

int bench_conv(ntk_ctx *ctx, const struct args *a)
{
    struct images w = {.b = {.ctx = ctx,
                             .n = a->n ? a->n : 16,
                             .repeat = a->repeat ? a->repeat : 3,
                             .net = a->n_nets ? a->nets[0] : CONV_NET},
                       .side = a->d ? a->d : IMAGE};

    if (!a->n_nets && !a->n && !a->d && !a->get && !a->dtype)
        return bench_all(ctx, w.b.repeat, a->json);
    STEP(parse_dtype(a->dtype ? a->dtype : "float32", &w.b.dtype));
    STEP(parse_get(a->get, &w.want));
    return bench_one(&w, a->json);
}
