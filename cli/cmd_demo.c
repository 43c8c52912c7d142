/* SPDX-License-Identifier: MIT
 *
 * ntk demo: the main job on the digits that come with the library: a table of test accuracies, and
 * three plots (demo_plots.c).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo.h"

static const double ridges[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1};
#define N_RIDGES (sizeof ridges / sizeof *ridges)

/* One kernel with the ridge that leave-one-out likes best. */
struct score {
    double test, loo, ridge, seconds;
};
struct row {
    const char *name, *net;
    bool both; /* NNGP and NTK; else the NNGP kernel alone */
    struct score nngp, ntk;
};

#define LAYERS(n, act) \
    "serial(repeat(serial(Dense(512, W_std=2**0.5, b_std=0.1), " act "()), " #n "), Dense(1))"

static struct row rows[] = {
    {.name = "ridge regression", .net = "serial(Dense(1, b_std=1))"},
    {.name = "Relu, 1 hidden layer", .net = LAYERS(1, "Relu"), .both = true},
    {.name = "Relu, 3 hidden layers", .net = LAYERS(3, "Relu"), .both = true},
    {.name = "Relu, 5 hidden layers", .net = LAYERS(5, "Relu"), .both = true},
    {.name = "Erf, 3 hidden layers", .net = LAYERS(3, "Erf"), .both = true},
    {.name = "Gelu, 3 hidden layers", .net = LAYERS(3, "Gelu"), .both = true},
    {.name = "Tanh, 2 hidden layers", .net = LAYERS(2, "Tanh"), .both = true},
};
#define N_ROWS (sizeof rows / sizeof *rows)

static int load_digits(ntk_ctx *ctx, struct demo *d)
{
    TRY(ctx, ntk_data_load(ctx, "digits/train", NULL, &d->train));
    TRY(ctx, ntk_data_load(ctx, "digits/test", NULL, &d->test));
    ntk_data_flatten(d->train);
    ntk_data_flatten(d->test);
    d->n = ntk_data_n(d->train);
    d->m = ntk_data_n(d->test);
    d->y = malloc((size_t)d->n * DIGITS * sizeof *d->y);
    d->f = malloc((size_t)(d->n + d->m) * DIGITS * sizeof *d->f);
    if (!d->y || !d->f)
        return usage("no memory");
    TRY(ctx, ntk_data_targets(d->train, NTK_CENTERED, DIGITS, d->y));
    return EXIT_OK;
}

/* ---- the table */

/* The ridge that leave-one-out likes best, all from one kernel. */
static ntk_status choose_ridge(struct demo *d, ntk_model *model, ntk_fit_opts *o, struct score *best)
{
    double least = (double)INFINITY;

    for (size_t k = 0; k < N_RIDGES; k++) {
        double error;
        ntk_status status;

        o->diag_reg = ridges[k];
        status = k > 0 ? ntk_model_refit(model, NULL, 0, o) : NTK_OK;
        if (status == NTK_OK)
            status = ntk_model_leave_one_out(model, d->f, NULL);
        if (status != NTK_OK)
            return status;
        error = mean_squared_error(d->f, d->y, d->n * DIGITS);
        if (error < least) {
            least = error;
            best->ridge = o->diag_reg;
            best->loo = accuracy(d->train, d->f, d->n, DIGITS);
        }
    }
    o->diag_reg = best->ridge;
    return ntk_model_refit(model, NULL, 0, o);
}

static int score_kernel(ntk_ctx *ctx, struct demo *d, const char *text, ntk_posterior posterior,
                        struct score *best)
{
    ntk_fit_opts o;
    ntk_net *net;
    ntk_model *model;
    ntk_status status;

    best->seconds = ntk_seconds();
    ntk_fit_opts_init(&o);
    o.posterior = posterior;
    o.diag_reg = ridges[0];
    o.keep = 1;
    TRY(ctx, ntk_net_parse(ctx, text, &net));
    status = ntk_model_fit(ctx, net, d->train, d->y, DIGITS, &o, &model);
    ntk_net_free(net);
    TRY(ctx, status);
    status = choose_ridge(d, model, &o, best);
    if (status == NTK_OK)
        status = ntk_model_predict(model, d->test, d->f, NULL);
    best->test = accuracy(d->test, d->f, d->m, DIGITS);
    ntk_model_free(model);
    TRY(ctx, status);
    best->seconds = ntk_seconds() - best->seconds;
    return EXIT_OK;
}

/* Share of test digits whose nearest training digit has their label. */
static double nearest_neighbour(const struct demo *d)
{
    const double *x = ntk_data_x(d->train), *z = ntk_data_x(d->test);
    const int64_t c = ntk_data_shape(d->train).c;
    int64_t columns, right = 0;
    const double *labels = ntk_data_y(d->train, &columns), *truth = ntk_data_y(d->test, &columns);

    for (int64_t i = 0; i < d->m; i++) {
        double least = (double)INFINITY;
        int64_t nearest = 0;

        for (int64_t j = 0; j < d->n; j++) {
            double distance = 0;

            for (int64_t k = 0; k < c; k++)
                distance += (z[i * c + k] - x[j * c + k]) * (z[i * c + k] - x[j * c + k]);
            if (distance < least) {
                least = distance;
                nearest = j;
            }
        }
        right += labels[nearest] == truth[i];
    }
    return (double)right / (double)d->m;
}

/* A line of the table, as text in columns or as Markdown. */
static void print_cells(FILE *f, bool markdown, const char *const cells[6])
{
    fprintf(f, markdown ? "| %s |" : "%-24s", cells[0]);
    for (int k = 1; k < 6; k++)
        fprintf(f, markdown ? " %s |" : "%10s", cells[k]);
    fputc('\n', f);
}

static void print_row(FILE *f, bool markdown, const struct row *r)
{
    const struct score *best = r->both ? &r->ntk : &r->nngp;
    char text[5][16] = {"", "", "", "", ""};
    const char *const cells[6] = {r->name, text[0], text[1], text[2], text[3], text[4]};

    snprintf(text[0], sizeof text[0], "%.1f", 100 * r->nngp.test);
    if (r->both)
        snprintf(text[1], sizeof text[1], "%.1f", 100 * r->ntk.test);
    if (best->ridge > 0) {
        snprintf(text[2], sizeof text[2], "%.1f", 100 * best->loo);
        snprintf(text[3], sizeof text[3], "%.0e", best->ridge);
    }
    snprintf(text[4], sizeof text[4], "%.2f", r->nngp.seconds + r->ntk.seconds);
    print_cells(f, markdown, cells);
}

static void print_head(FILE *f, bool markdown)
{
    static const char *const one[] = {"model",           "NNGP test %", "NTK test %",
                                      "leave-one-out %", "diag_reg",    "seconds"};
    static const char *const two[2][6] = {
        {"", "NNGP", "NTK", "leave-", "diag_reg", "seconds"},
        {"accuracy, %", "test", "test", "one-out", "", ""}};

    if (markdown) {
        print_cells(f, true, one);
        fprintf(f, "|---|---|---|---|---|---|\n");
    } else {
        print_cells(f, false, two[0]);
        print_cells(f, false, two[1]);
    }
}

static int fill_table(ntk_ctx *ctx, struct demo *d, bool quiet, FILE *markdown)
{
    struct row neighbour = {.name = "1-nearest-neighbour"};

    if (!quiet) {
        printf("%lld training digits, %lld test digits; the ridge is chosen by leave-one-out\n\n",
               (long long)d->n, (long long)d->m);
        print_head(stdout, false);
    }
    print_head(markdown, true);
    neighbour.nngp.seconds = ntk_seconds();
    neighbour.nngp.test = nearest_neighbour(d);
    neighbour.nngp.seconds = ntk_seconds() - neighbour.nngp.seconds;
    for (size_t i = 0; i <= N_ROWS; i++) {
        struct row *r = i == 0 ? &neighbour : &rows[i - 1];
        int code = EXIT_OK;

        if (i > 0)
            code = score_kernel(ctx, d, r->net, NTK_POSTERIOR_NNGP, &r->nngp);
        if (code == EXIT_OK && r->both)
            code = score_kernel(ctx, d, r->net, NTK_POSTERIOR_NTK, &r->ntk);
        STEP(code);
        if (!quiet) {
            print_row(stdout, false, r);
            fflush(stdout);
        }
        print_row(markdown, true, r);
    }
    d->nearest = neighbour.nngp.test;
    return EXIT_OK;
}

static int make_table(ntk_ctx *ctx, struct demo *d, bool quiet)
{
    struct ntk_outfile out;

    STEP(demo_open(d, "table.md", &out));
    return demo_close(d, "table.md", &out, fill_table(ctx, d, quiet, out.f));
}

static void json_score(struct json *j, const char *key, const struct score *s)
{
    json_open(j, key, '{');
    json_number(j, "test_accuracy", s->test);
    json_number(j, "loo_accuracy", s->loo);
    json_number(j, "diag_reg", s->ridge);
    json_number(j, "seconds", s->seconds);
    json_close(j, '}');
}

static void write_json(FILE *f, const struct demo *d)
{
    struct json j = {.f = f};

    json_open(&j, NULL, '{');
    json_integer(&j, "n_train", d->n);
    json_integer(&j, "n_test", d->m);
    json_number(&j, "nearest_neighbour_accuracy", d->nearest);
    json_open(&j, "models", '[');
    for (size_t i = 0; i < N_ROWS; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "name", rows[i].name);
        json_text(&j, "net", rows[i].net);
        json_score(&j, "nngp", &rows[i].nngp);
        if (rows[i].both)
            json_score(&j, "ntk", &rows[i].ntk);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', f);
}

/* ---- files */

int demo_open(const struct demo *d, const char *name, struct ntk_outfile *out)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    return file_open(path, out);
}

int demo_close(const struct demo *d, const char *name, struct ntk_outfile *out, int code)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    return file_close(path, out, code);
}

static int run(ntk_ctx *ctx, const struct args *a, struct demo *d)
{
    struct ntk_outfile out;

    if (mkdir(d->dir, 0777) != 0 && errno != EEXIST)
        return usage("cannot make the folder %s: %s", d->dir, strerror(errno));
    if (access(d->dir, W_OK) != 0)
        return usage("cannot write into %s: %s", d->dir, strerror(errno));
    STEP(load_digits(ctx, d));
    STEP(make_table(ctx, d, a->json));
    STEP(demo_open(d, "demo.json", &out));
    write_json(out.f, d);
    STEP(demo_close(d, "demo.json", &out, EXIT_OK));
    if (a->json)
        write_json(stdout, d);
    else
        printf("\n");
    STEP(demo_plots(ctx, d));
    note("table.md, demo.json, the plots (.svg) and their data are in %s", d->dir);
    return EXIT_OK;
}

int cmd_demo(ntk_ctx *ctx, const struct args *a);
int cmd_demo(ntk_ctx *ctx, const struct args *a)
{
    struct demo d = {.dir = a->out ? a->out : "ntk-demo"};
    int code;

    STEP(check_folder(d.dir));
    code = run(ctx, a, &d);
    ntk_data_free(d.train);
    ntk_data_free(d.test);
    free(d.y);
    free(d.f);
    return code;
}
