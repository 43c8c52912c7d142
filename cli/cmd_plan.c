/* SPDX-License-Identifier: MIT
 *
 * ntk plan: pairs, memory, disk and time of a fit, by each solver, before anything runs; without --train a table over the
 * number of samples.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define MIB 0x1p20

/* What is planned. */
struct job {
    const struct args *a;
    ntk_net *net;
    const char *text;  /* of the net, as it was given */
    ntk_shape shape;
    struct samples s;  /* of files, or empty */
    ntk_fit_opts fit;
    ntk_plan_opts o;
    ntk_plan *plan;
};

/* ---- arguments */

/* Digits alone are a number of samples, anything else is data. */
static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static int parse_number(const char *option, const char *text, int64_t *n)
{
    *n = strtoll(text, NULL, 10);
    return *n >= 1 && *n <= INT32_MAX / 2
               ? EXIT_OK
               : usage("--%s: a number of samples is 1 to %d, got '%s'", option, INT32_MAX / 2, text);
}

/* Samples are flattened if the net uses no positions, as those of a file are. */
static int read_shape(ntk_ctx *ctx, struct job *j, const char *text)
{
    ntk_shape out;

    if (!text)
        return usage("--input-shape is missing, e.g. --input-shape 784 or 32,32,3");
    STEP(parse_shape(text, &j->shape));
    TRY(ctx, ntk_net_shape(j->net, j->shape, &out));
    if (!ntk_net_uses_positions(j->net))
        j->shape = (ntk_shape){0, 1, 1, j->shape.h * j->shape.w * j->shape.c};
    return EXIT_OK;
}

static int read_files(ntk_ctx *ctx, struct job *j, const struct args *a)
{
    if (a->input_shape)
        return usage("--input-shape is for numbers of samples; %s has its own", a->train);
    if (a->outputs)
        STEP(samples_load_x(ctx, a, j->net, &j->s));
    else
        STEP(samples_load(ctx, a, j->net, NULL, false, &j->s));
    j->shape = ntk_data_shape(j->s.train);
    j->o.x = j->s.train;
    j->o.n = ntk_data_n(j->s.train);
    j->o.outputs = a->outputs ? a->outputs : j->s.outputs;
    if (j->s.test)
        j->o.m = ntk_data_n(j->s.test);
    return EXIT_OK;
}

/* --train and --test, each a number or data. */
static int read_sizes(ntk_ctx *ctx, struct job *j)
{
    struct args with = *j->a;

    if (with.test && is_number(with.test)) {
        STEP(parse_number("test", with.test, &j->o.m));
        with.test = NULL;
    }
    if (!is_number(with.train))
        return read_files(ctx, j, &with);
    if (with.test)
        return usage("--test %s: with a number for --train it is one, too", with.test);
    if (with.train_limit || with.test_limit)
        return usage("--%s-limit is for data: --train is a number", with.train_limit ? "train" : "test");
    STEP(parse_number("train", with.train, &j->o.n));
    return read_shape(ctx, j, with.input_shape);
}

static int read_options(struct job *j)
{
    const struct args *a = j->a;

    STEP(fit_options(a, &j->s, &j->fit));
    j->fit.finite_time = !isinf(a->time);
    j->fit.covariance = a->std;
    j->o.outputs = a->outputs ? a->outputs : j->o.outputs;
    j->o.ranks = a->ranks ? a->ranks : 1;
    return EXIT_OK;
}

/* ---- numbers for people */

static const char *duration(double seconds, char buf[32])
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{365.25 * 86400, "years"}, {86400, "days"}, {3600, "h"}, {60, "min"}, {1, "s"}, {1e-3, "ms"}, {1e-6, "us"}};
    const size_t last = sizeof units / sizeof *units - 1;
    size_t k = 0;

    while (k < last && seconds < (units[k].unit > 1 ? 2 : 1) * units[k].unit)
        k++;
    snprintf(buf, 32, seconds / units[k].unit < 99.5 ? "%.2g %s" : "%.0f %s", seconds / units[k].unit, units[k].name);
    return buf;
}

static const char *size_text(double bytes, char buf[32])
{
    const double mib = bytes / MIB;

    snprintf(buf, 32, mib < 1024 ? "%.1f MiB" : mib < 0x1p20 ? "%.1f GiB" : "%.1f TiB",
             mib < 1024 ? mib : mib < 0x1p20 ? mib / 1024 : mib / 0x1p20);
    return buf;
}

/* ---- one plan */

static int about(ntk_ctx *ctx, const struct job *j, ntk_plan_info *info)
{
    ntk_plan_info_init(info);
    TRY(ctx, ntk_plan_about(j->plan, info));
    return EXIT_OK;
}

static int row_of(ntk_ctx *ctx, const struct job *j, size_t k, ntk_plan_row *row)
{
    ntk_plan_row_init(row);
    TRY(ctx, ntk_plan_get(j->plan, k, row));
    return EXIT_OK;
}

static void json_row(struct json *json, const ntk_plan_row *r)
{
    json_open(json, NULL, '{');
    json_text(json, "solver", r->solver);
    json_bool(json, "fits", r->fits);
    json_number(json, "bytes", (double)r->bytes);
    json_number(json, "kept_bytes", (double)r->kept);
    json_integer(json, "steps", r->steps);
    json_text(json, "assumed", r->assumed);
    json_number(json, "passes", r->passes);
    json_number(json, "float32_operations", r->f32);
    json_number(json, "float64_operations", r->f64);
    json_number(json, "product_bytes", r->products);
    json_number(json, "vector_bytes", r->vector);
    json_number(json, "file_bytes", r->files);
    json_number(json, "written_bytes", r->written);
    json_open(json, "seconds", '{');
    json_number(json, "kernel", r->kernel_seconds);
    json_number(json, "solve", r->solve_seconds);
    json_number(json, "predict", r->predict_seconds);
    json_number(json, "all", r->seconds);
    json_close(json, '}');
    json_close(json, '}');
}

static int print_json(ntk_ctx *ctx, struct json *json, const struct job *j)
{
    ntk_plan_info i;
    ntk_plan_row r;

    STEP(about(ctx, j, &i));
    STEP(row_of(ctx, j, (size_t)i.chosen, &r));
    json_open(json, NULL, '{');
    json_text(json, "net", j->text);
    json_shape(json, "input_shape", j->shape);
    json_integer(json, "n_train", j->o.n);
    json_integer(json, "n_test", j->o.m);
    json_integer(json, "outputs", j->o.outputs);
    json_integer(json, "ranks", j->o.ranks);
    json_number(json, "pairs_train", i.pairs);
    json_number(json, "pairs_test", i.pairs_test);
    json_number(json, "features", i.features);
    json_number(json, "positions", i.positions);
    json_open(json, "rates", '{');
    json_number(json, "pair_seconds", i.pair_seconds);
    json_number(json, "float32", i.rate_f32);
    json_number(json, "float64", i.rate_f64);
    json_number(json, "products", i.rate_products);
    json_number(json, "vector", i.rate_vector);
    json_number(json, "disk", j->o.disk);
    json_close(json, '}');
    json_number(json, "memory_bytes", (double)i.memory);
    json_number(json, "samples_bytes", i.samples_bytes);
    json_number(json, "store_bytes", i.store_bytes);
    json_text(json, "solver", r.solver);
    json_text(json, "reason", i.reason);
    json_open(json, "solvers", '[');
    for (size_t k = 0; k < ntk_plan_rows(j->plan); k++) {
        STEP(row_of(ctx, j, k, &r));
        json_row(json, &r);
    }
    json_close(json, ']');
    json_close(json, '}');
    return EXIT_OK;
}

static void print_head(const struct job *j, const ntk_plan_info *i)
{
    char a[32], b[32], c[32];

    printf("net                %s\n", j->text);
    printf("samples            %lld to train, %lld to test; %s in memory\n", (long long)j->o.n, (long long)j->o.m,
           size_text(i->samples_bytes, a));
    printf("pairs              %.4g of training samples, %.4g with test samples\n", i->pairs, i->pairs_test);
    if (i->positions > 0)
        printf("a pair             %s, %.3g pairs of positions through activations\n", duration(i->pair_seconds, a),
               i->positions);
    else
        printf("a pair             %s, a product of %.0f numbers and the layers\n", duration(i->pair_seconds, a), i->features);
    printf("rates              %.3g GF/s in float32, %.3g in float64; products pass over %.3g GB/s\n", i->rate_f32 / 1e9,
           i->rate_f64 / 1e9, i->rate_products / 1e9);
    printf("memory             %s are left\n", size_text((double)i->memory, b));
    printf("a store of these   %s, %s at %.0f MB/s\n", size_text(i->store_bytes, a), duration(i->store_bytes / j->o.disk, c),
           j->o.disk / 1e6);
    if (j->o.ranks > 1)
        printf("ranks              %lld share the pairs, each on a machine like this\n", (long long)j->o.ranks);
}

static void print_row(const ntk_plan_row *r)
{
    char memory[32], kept[32], kernel[32], solve[32], predict[32], all[32];

    printf("%-12s  %10s  %10s  %10s  %10s  %10s  %10s  %s%s%s\n", r->solver, size_text((double)r->bytes, memory),
           r->kept ? size_text((double)r->kept, kept) : "", duration(r->kernel_seconds, kernel),
           duration(r->solve_seconds, solve), duration(r->predict_seconds, predict), duration(r->seconds, all),
           r->fits ? "" : "does not fit", r->fits || !*r->assumed ? "" : "; ", r->assumed);
}

static int print(ntk_ctx *ctx, const struct job *j)
{
    ntk_plan_info i;
    ntk_plan_row r;

    STEP(about(ctx, j, &i));
    print_head(j, &i);
    printf("\n%-12s  %10s  %10s  %10s  %10s  %10s  %10s\n", "solver", "needs", "and keeps", "kernel", "solve", "predict",
           "in all");
    for (size_t k = 0; k < ntk_plan_rows(j->plan); k++) {
        STEP(row_of(ctx, j, k, &r));
        print_row(&r);
    }
    STEP(row_of(ctx, j, (size_t)i.chosen, &r));
    printf("\nchosen             %s: %s\n", r.solver, i.reason);
    return EXIT_OK;
}

/* ---- the table: what the number of samples does */

static const int64_t sizes[] = {100, 10000, 1000000};
#define N_SIZES (sizeof sizes / sizeof *sizes)
static const char *const usual[] = {"fc(depth=3)", "cntk(depth=3)", "cntk(depth=3, pool='gap')"};
#define N_USUAL (sizeof usual / sizeof *usual)

static int print_size(ntk_ctx *ctx, const struct job *j)
{
    char pair[32], memory[32], kernel[32], all[32];
    ntk_plan_info i;
    ntk_plan_row r;

    STEP(about(ctx, j, &i));
    STEP(row_of(ctx, j, (size_t)i.chosen, &r));
    printf("%-28s  %9lld  %9.3g  %9s  %10s  %-10s  %10s  %10s%s\n", j->text, (long long)j->o.n, i.pairs + i.pairs_test,
           duration(i.pair_seconds, pair), duration(r.kernel_seconds / r.passes, kernel), r.solver,
           size_text((double)(r.bytes + r.kept) + i.samples_bytes, memory), duration(r.seconds, all),
           r.fits ? "" : "  does not fit");
    return EXIT_OK;
}

/* One net: rates are measured for the first size. */
static int add_sizes(ntk_ctx *ctx, struct job *j, struct json *json)
{
    ntk_plan *first = NULL;
    int code = EXIT_OK;

    for (size_t k = 0; k < N_SIZES && code == EXIT_OK; k++) {
        j->o.n = sizes[k];
        j->o.like = first;
        TRY(ctx, ntk_plan_new(ctx, j->net, j->shape, &j->fit, &j->o, &j->plan));
        code = json->f ? print_json(ctx, json, j) : print_size(ctx, j);
        if (k == 0)
            first = j->plan;
        else
            ntk_plan_free(j->plan);
        j->plan = NULL;
    }
    ntk_plan_free(first);
    return code;
}

static int add_net(ntk_ctx *ctx, const struct args *a, const char *text, struct json *json)
{
    struct args with = *a;
    struct job j = {.a = &with, .text = text};
    int code;

    with.nets[0] = text;
    with.n_nets = 1;
    ntk_plan_opts_init(&j.o);
    if (a->test)
        STEP(is_number(a->test) ? parse_number("test", a->test, &j.o.m) : usage("--test %s: --train is missing", a->test));
    STEP(parse_net(ctx, &with, 0, &j.net));
    code = read_options(&j);
    if (code == EXIT_OK)
        code = read_shape(ctx, &j, a->input_shape ? a->input_shape : a->n_nets ? NULL : "32,32,3");
    if (code == EXIT_OK)
        code = add_sizes(ctx, &j, json);
    ntk_net_free(j.net);
    return code;
}

static int table(ntk_ctx *ctx, const struct args *a)
{
    struct json json = {.f = a->json ? stdout : NULL};

    if (a->json)
        json_open(&json, NULL, '[');
    else
        printf("%-28s  %9s  %9s  %9s  %10s  %-10s  %10s  %10s\n", "net", "samples", "pairs", "a pair", "kernel", "solver",
               "memory", "in all");
    for (size_t i = 0; i < (a->n_nets ? a->n_nets : N_USUAL); i++)
        STEP(add_net(ctx, a, a->n_nets ? a->nets[i] : usual[i], &json));
    if (a->json)
        puts("]");
    return EXIT_OK;
}

/* ---- the command */

static int plan_one(ntk_ctx *ctx, struct job *j)
{
    struct json json = {.f = stdout};

    STEP(parse_net(ctx, j->a, 0, &j->net));
    STEP(read_sizes(ctx, j));
    STEP(read_options(j));
    TRY(ctx, ntk_plan_new(ctx, j->net, j->shape, &j->fit, &j->o, &j->plan));
    if (!j->a->json)
        return print(ctx, j);
    STEP(print_json(ctx, &json, j));
    putchar('\n');
    return EXIT_OK;
}

int cmd_plan(ntk_ctx *ctx, const struct args *a);
int cmd_plan(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {.a = a, .text = a->n_nets ? a->nets[0] : NULL};
    int code;

    if (!a->train)
        return table(ctx, a);
    if (a->n_nets > 1)
        return usage("--train: one --net; without it the table takes several");
    ntk_plan_opts_init(&j.o);
    code = plan_one(ctx, &j);
    ntk_plan_free(j.plan);
    samples_free(&j.s);
    ntk_net_free(j.net);
    return code;
}
