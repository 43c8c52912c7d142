/* SPDX-License-Identifier: MIT
 *
 * scale: the open challenge, cost in the number of samples. Throughput of three kernels and of the
 * solve on this machine, extrapolated to 100, 10,000 and 1,000,000 samples: entries n^2 / 2,
 * Cholesky n^3 / 3 multiply-adds, memory 4 n^2 bytes (float64, half of a symmetric matrix).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define NETS  3
#define SIZES 3

static const struct candidate {
    const char *name, *net;
    ntk_shape shape;
    int64_t n; /* samples that its speed is measured on */
} candidates[NETS] = {{"fully connected", "fc(depth=3)", {0, 1, 1, 784}, 1500},
                      {"CNN", "cntk(depth=4)", {2, 32, 32, 3}, 128},
                      {"CNN with pooling", "cntk(depth=4, pool='gap')", {2, 32, 32, 3}, 12}};
static const double sizes[SIZES] = {100, 10000, 1000000};

/* The same numbers everywhere: a linear congruential generator is enough for speed. */
static void fill(double *x, int64_t n)
{
    uint64_t state = 1;

    for (int64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (double)(state >> 11) / 9007199254740992.0 - 0.5;
    }
}

/* Entries a second. */
static int kernel_speed(ntk_ctx *ctx, const struct candidate *c, int64_t n, double *rate)
{
    const int64_t numbers = n * c->shape.h * c->shape.w * c->shape.c;
    double *x = malloc((size_t)numbers * sizeof *x), began;
    float *k = malloc((size_t)(n * n) * sizeof *k);
    ntk_net *net = NULL;
    ntk_data *data = NULL;
    ntk_kernel *kernel = NULL;
    ntk_status status = x && k ? ntk_net_parse(ctx, c->net, &net) : NTK_ENOMEM;

    if (status == NTK_OK) {
        fill(x, numbers);
        status = ntk_data_view(ctx, x, NTK_F64, n, c->shape, &data);
    }
    if (status == NTK_OK)
        status =
            ntk_kernel_new(ctx, (const ntk_net *[]){net}, 1, NTK_NTK, NTK_F32, c->shape, &kernel);
    began = seconds();
    if (status == NTK_OK)
        status = ntk_kernel_compute(kernel, data, NULL, (void *[]){k});
    *rate = (double)n * (double)(n + 1) / 2 / (seconds() - began);
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    ntk_net_free(net);
    free(x);
    free(k);
    TRY(ctx, status);
    return EXIT_OK;
}

static int rows(int64_t i0, int64_t ni, void *k, void *user)
{
    const int64_t n = *(const int64_t *)user;
    double *to = k;

    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = i0; j < n; j++)
            *to++ = i == j ? 2 : exp(-fabs((double)(i - j)));
    return 0;
}

/* Multiply-adds a second of the Cholesky factorisation. */
static int solve_speed(ntk_ctx *ctx, int64_t n, double *rate)
{
    double *y = calloc((size_t)n, sizeof *y), *alpha = malloc((size_t)n * sizeof *alpha),
           began = seconds();
    ntk_status status = NTK_ENOMEM;

    if (y && alpha)
        status = ntk_kernel_solve(ctx, n, NTK_F64, 256, rows, &n, y, 1, 0, alpha);
    *rate = (double)n * (double)n * (double)n / 6 / (seconds() - began);
    free(y);
    free(alpha);
    TRY(ctx, status);
    return EXIT_OK;
}

#define WEEK (7 * 24.0)

static void extrapolate(ntk_ctx *ctx, FILE *f, int number, double pairs, double solve,
                        struct finding *found)
{
    const struct candidate *c = &candidates[number];
    char *says = found->says;
    const size_t room = sizeof found->says;
    size_t at;

    *found = (struct finding){
        .theory = (double)NAN, .measured = pairs, .low = pairs, .high = pairs, .agrees = -1};
    at = (size_t)snprintf(says, room, "%s: %.3g entries/s", c->name, pairs);

    for (int k = 0; k < SIZES; k++) {
        const double n = sizes[k], bytes = 4 * n * n;
        const double hours = (n * n / 2 / pairs + n * n * n / 6 / solve) / 3600;
        const bool feasible = hours < WEEK && bytes < (double)ntk_ctx_memory(ctx);

        fprintf(f, "%d,%s,%.0f,%.4g,%.4g,%.4g,%s\n", number, c->name, n, n * n / 2 / pairs / 3600,
                n * n * n / 6 / solve / 3600, bytes, feasible ? "yes" : "no");
        at += (size_t)snprintf(says + at, at < room ? room - at : 0,
                               "; %.0f samples: %.2g h, %.2g GB, %s", n, hours, bytes / 1e9,
                               feasible ? "feasible" : "not feasible");
    }
}

static const char script[] =
    "set logscale xy\nset format xy '10^{%T}'\nset xlabel 'samples'\nset ylabel 'hours, kernel and "
    "solve'\n"
    "names = '\"fully connected\" \"CNN\" \"CNN with pooling\"'\nset xrange [50:2e6]\n"
    "set label 'a week' at 60, 700 tc rgb '#666666'\n"
    "plot for [k=0:2] 'scale.csv' using ($1==k?$3:NaN):($4+$5) with linespoints lw 2 pt 7 ps 0.7 "
    "lc rgb word(colours, k+1) title word(names, k+1), 168 dt 2 lc rgb '#666666' notitle\n";

int lab_scale(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct finding findings[NETS];
    FILE *f = lab_table(dir, "scale", "number,net,n,kernel_hours,solve_hours,bytes,feasible");
    double solve, pairs;
    int code;

    if (!f)
        return EXIT_USAGE;
    code = solve_speed(ctx, a->quick ? 1500 : 6000, &solve);
    for (int k = 0; k < NETS && code == EXIT_OK; k++) {
        const struct candidate *c = &candidates[k];

        code = kernel_speed(ctx, c, a->quick ? c->n : 2 * c->n, &pairs);
        if (code != EXIT_OK)
            break;
        extrapolate(ctx, f, k, pairs, solve, &findings[k]);
        snprintf(findings[k].quantity, sizeof findings[k].quantity, "entries/s of the kernel: %s",
                 c->name);
        note("%s", findings[k].says);
    }
    STEP(lab_table_close(dir, "scale", f));
    STEP(code);
    STEP(lab_plot(dir, "scale", script));
    return lab_report(a, dir, "scale", findings, NETS);
}
