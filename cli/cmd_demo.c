/* SPDX-License-Identifier: MIT
 *
 * ntk demo: what infinitely wide networks make of the digits, beside two simple methods, as a table
 * and as plots.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "demo.h"

#define DIAG_REG 1e-4

struct row {
    char method[32];
    const char *kernel;                    /* "NNGP", "NTK" or "" */
    double accuracy, leave_one_out, seconds; /* shares; leave_one_out NAN: none */
};

static const struct {
    const char *name, *net;
} nets[] = {
    {"ReLU, 1 hidden layer", "fc(depth=1)"},
    {"ReLU, 3 hidden layers", "fc(depth=3)"},
    {"ReLU, 5 hidden layers", "fc(depth=5)"},
    {"erf, 3 hidden layers", "fc(depth=3, activation='erf')"},
    {"GELU, 3 hidden layers", "fc(depth=3, activation='gelu')"},
    {"tanh, 2 hidden layers", "fc(depth=2, activation='tanh')"},
};
#define N_NETS (sizeof nets / sizeof *nets)
#define N_ROWS (2 + 2 * N_NETS)

int demo_open(const struct demo *d, const char *name, FILE **f)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    *f = fopen(path, "w");
    return *f ? EXIT_OK : usage("cannot write %s: %s", path, strerror(errno));
}

/* ---- the methods */

static int measure_model(const struct demo *d, const ntk_model *model, double *f, struct row *row)
{
    const int64_t n = ntk_data_n(d->train), m = ntk_data_n(d->test);

    TRY(d->ctx, ntk_model_predict(model, d->test, f, NULL));
    row->accuracy = accuracy(d->test, f, m, d->classes);
    TRY(d->ctx, ntk_model_leave_one_out(model, f, NULL));
    row->leave_one_out = accuracy(d->train, f, n, d->classes);
    return EXIT_OK;
}

static int measure_net(const struct demo *d, const char *text, ntk_posterior posterior,
                       double diag_reg, struct row *row)
{
    const int64_t n = ntk_data_n(d->train), m = ntk_data_n(d->test);
    const double start = seconds();
    ntk_fit_opts o;
    ntk_model *model;
    ntk_net *net;
    ntk_status status;
    double *f;
    int code;

    ntk_fit_opts_init(&o);
    o.posterior = posterior;
    o.diag_reg = diag_reg;
    TRY(d->ctx, ntk_net_parse(d->ctx, text, &net));
    status = ntk_model_fit(d->ctx, net, d->train, d->y, d->classes, &o, &model);
    ntk_net_free(net);
    TRY(d->ctx, status);
    f = malloc((size_t)((n > m ? n : m) * d->classes) * sizeof *f);
    code = f ? measure_model(d, model, f, row) : usage("no memory for the predictions");
    row->seconds = seconds() - start;
    free(f);
    ntk_model_free(model);
    return code;
}

static double distance(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Label of the training sample nearest to x, other than sample `skip`. */
static double nearest(const struct demo *d, const double *x, int64_t skip)
{
    const int64_t c = ntk_data_shape(d->train).c;
    const double *all = ntk_data_x(d->train), *labels = ntk_data_y(d->train, &(int64_t){0});
    double least = (double)INFINITY, label = -1;

    for (int64_t i = 0; i < ntk_data_n(d->train); i++) {
        const double r = i == skip ? (double)INFINITY : distance(x, all + i * c, c);

        if (r < least) {
            least = r;
            label = labels[i];
        }
    }
    return label;
}

static double nearest_accuracy(const struct demo *d, const ntk_data *data, bool leave_out)
{
    const int64_t c = ntk_data_shape(data).c, n = ntk_data_n(data);
    const double *x = ntk_data_x(data), *labels = ntk_data_y(data, &(int64_t){0});
    int64_t right = 0;

    for (int64_t i = 0; i < n; i++)
        right += nearest(d, x + i * c, leave_out ? i : -1) == labels[i];
    return (double)right / (double)n;
}

static void nearest_neighbour(const struct demo *d, struct row *row)
{
    const double start = seconds();

    *row = (struct row){.method = "1 nearest neighbour", .kernel = ""};
    row->accuracy = nearest_accuracy(d, d->test, false);
    row->leave_one_out = nearest_accuracy(d, d->train, true);
    row->seconds = seconds() - start;
}

/* A linear net's kernel is that of ridge regression; the ridge is chosen by leaving one out. */
static int ridge_regression(const struct demo *d, struct row *best)
{
    static const double ridges[] = {1e-4, 1e-3, 1e-2, 1e-1, 1};
    const double start = seconds();

    best->leave_one_out = -1;
    for (size_t i = 0; i < sizeof ridges / sizeof *ridges; i++) {
        struct row row = {.method = "ridge regression", .kernel = ""};

        STEP(measure_net(d, "Dense(1, b_std=0.1)", NTK_POSTERIOR_NNGP, ridges[i], &row));
        if (row.leave_one_out > best->leave_one_out)
            *best = row;
    }
    best->seconds = seconds() - start;
    return EXIT_OK;
}

static int fill_table(const struct demo *d, struct row *rows)
{
    STEP(ridge_regression(d, &rows[0]));
    nearest_neighbour(d, &rows[1]);
    for (size_t i = 0; i < 2 * N_NETS; i++) {
        struct row *row = &rows[2 + i];

        snprintf(row->method, sizeof row->method, "%s", nets[i / 2].name);
        row->kernel = i % 2 ? "NTK" : "NNGP";
        STEP(measure_net(d, nets[i / 2].net, i % 2 ? NTK_POSTERIOR_NTK : NTK_POSTERIOR_NNGP,
                         DIAG_REG, row));
    }
    return EXIT_OK;
}

/* ---- reports */

static void print_table(FILE *f, const struct demo *d, const struct row *rows)
{
    fprintf(f, "Digits: %lld training and %lld test images of 8 x 8, ridge %g x mean diagonal\n\n",
            (long long)ntk_data_n(d->train), (long long)ntk_data_n(d->test), DIAG_REG);
    fprintf(f, "| method                | kernel | test accuracy | leave-one-out | seconds |\n");
    fprintf(f, "|-----------------------|--------|--------------:|--------------:|--------:|\n");
    for (size_t i = 0; i < N_ROWS; i++)
        fprintf(f, "| %-21s | %-6s | %11.1f %% | %11.1f %% | %7.2f |\n", rows[i].method,
                rows[i].kernel, 100 * rows[i].accuracy, 100 * rows[i].leave_one_out,
                rows[i].seconds);
}

static void print_json(FILE *f, const struct demo *d, const struct row *rows)
{
    struct json j = {.f = f};

    json_open(&j, NULL, '{');
    json_text(&j, "data", "digits");
    json_integer(&j, "n_train", ntk_data_n(d->train));
    json_integer(&j, "n_test", ntk_data_n(d->test));
    json_number(&j, "diag_reg", DIAG_REG);
    json_open(&j, "results", '[');
    for (size_t i = 0; i < N_ROWS; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "method", rows[i].method);
        json_text(&j, "kernel", rows[i].kernel);
        if (i >= 2)
            json_text(&j, "net", nets[(i - 2) / 2].net);
        json_number(&j, "accuracy", rows[i].accuracy);
        json_number(&j, "loo_accuracy", rows[i].leave_one_out);
        json_number(&j, "seconds", rows[i].seconds);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', f);
}

static int report(const struct demo *d, const struct row *rows, bool as_json)
{
    FILE *table, *json;

    STEP(demo_open(d, "table.md", &table));
    print_table(table, d, rows);
    fclose(table);
    STEP(demo_open(d, "demo.json", &json));
    print_json(json, d, rows);
    fclose(json);
    if (as_json)
        print_json(stdout, d, rows);
    else
        print_table(stdout, d, rows);
    fflush(stdout);
    return EXIT_OK;
}

static int run(struct demo *d, bool as_json)
{
    struct row rows[N_ROWS] = {{.kernel = ""}};

    TRY(d->ctx, ntk_data_load(d->ctx, "digits/train", NULL, &d->train));
    TRY(d->ctx, ntk_data_load(d->ctx, "digits/test", NULL, &d->test));
    ntk_data_flatten(d->train);
    ntk_data_flatten(d->test);
    TRY(d->ctx, ntk_data_classes(d->train, &d->classes));
    d->y = malloc((size_t)(ntk_data_n(d->train) * d->classes) * sizeof *d->y);
    if (!d->y)
        return usage("no memory for the targets");
    TRY(d->ctx, ntk_data_targets(d->train, NTK_CENTERED, d->classes, d->y));
    STEP(fill_table(d, rows));
    STEP(report(d, rows, as_json));
    return demo_plots(d);
}

int cmd_demo(ntk_ctx *ctx, const struct args *a);
int cmd_demo(ntk_ctx *ctx, const struct args *a)
{
    struct demo d = {.ctx = ctx, .dir = a->out ? a->out : "ntk-demo"};
    int code;

    if (mkdir(d.dir, 0777) != 0 && errno != EEXIST)
        return usage("cannot make the directory %s: %s", d.dir, strerror(errno));
    code = run(&d, a->json);
    ntk_data_free(d.train);
    ntk_data_free(d.test);
    free(d.y);
    return code;
}
