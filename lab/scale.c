/* SPDX-License-Identifier: MIT
 *
 * scale: the open challenge, cost in the number of samples. Throughput of three kernels and of the
 * solve on this machine, extrapolated to 100, 10,000 and 1,000,000 samples: entries n^2 / 2,
 * Cholesky n^3 / 6 multiply-adds, memory 4 n^2 bytes (float64, half of a symmetric matrix).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define NETS  3
#define SIZES 3
#define RUNS  5

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
    began = ntk_seconds();
    if (status == NTK_OK)
        status = ntk_kernel_compute(kernel, data, NULL, (void *[]){k});
    *rate = (double)n * (double)(n + 1) / 2 / (ntk_seconds() - began);
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
           began = ntk_seconds();
    ntk_status status = NTK_ENOMEM;

    if (y && alpha)
        status = ntk_kernel_solve(ctx, n, NTK_F64, 256, rows, &n, y, 1, 0, alpha);
    *rate = (double)n * (double)n * (double)n / 6 / (ntk_seconds() - began);
    free(y);
    free(alpha);
    TRY(ctx, status);
    return EXIT_OK;
}

/* RUNS measurements each. */
static int kernel_speeds(ntk_ctx *ctx, const struct candidate *c, int64_t n, int runs,
                         struct interval *rate)
{
    double rates[RUNS];

    for (int k = 0; k < runs; k++)
        STEP(kernel_speed(ctx, c, n, &rates[k]));
    *rate = lab_column(runs, 1, 0, rates);
    return EXIT_OK;
}

static int solve_speeds(ntk_ctx *ctx, int64_t n, int runs, struct interval *rate)
{
    double rates[RUNS];

    for (int k = 0; k < runs; k++)
        STEP(solve_speed(ctx, n, &rates[k]));
    *rate = lab_column(runs, 1, 0, rates);
    return EXIT_OK;
}

/* ---- the table */

#define WEEK (7 * 24.0)

static double hours_of(double n, double pairs, double solve)
{
    return (n * n / 2 / pairs + n * n * n / 6 / solve) / 3600;
}

/* As people say it. */
static void duration(double hours, char text[32])
{
    static const struct {
        double hours;
        const char *unit;
    } units[] = {{24 * 365.25, "years"}, {24, "days"},      {1, "h"},
                 {1 / 60.0, "min"},      {1 / 3600.0, "s"}, {1 / 3.6e6, "ms"}};
    size_t k = 0;

    while (k < 5 && hours < units[k].hours)
        k++;
    snprintf(text, 32, "%.3g %s", hours / units[k].hours, units[k].unit);
}

/* One cell: hours, bytes, feasible or not. */
static void cell(ntk_ctx *ctx, FILE *f, int number, double n, struct interval pairs,
                 struct interval solve, struct finding *found)
{
    const struct candidate *c = &candidates[number];
    const double bytes = 4 * n * n, hours = hours_of(n, pairs.mean, solve.mean);
    const bool feasible = hours < WEEK && bytes < (double)ntk_ctx_memory(ctx);
    char text[32];

    *found = (struct finding){.theory = (double)NAN,
                              .measured = hours,
                              .low = hours_of(n, pairs.high, solve.high),
                              .high = hours_of(n, pairs.low, solve.low),
                              .agrees = -1};
    duration(hours, text);
    snprintf(found->quantity, sizeof found->quantity, "%s, %.0f samples: hours (%s, %.2g GB: %s)",
             c->name, n, text, bytes / 1e9, feasible ? "feasible" : "not feasible");
    snprintf(found->says, sizeof found->says, "%s, %.0f samples: %s, %.2g GB: %s", c->name, n, text,
             bytes / 1e9, feasible ? "feasible" : "not feasible");
    note("%s", found->says);
    fprintf(f, "%d,%s,%.0f,%.4g,%.4g,%.4g,%.4g,%s,%s\n", number, c->name, n, hours, found->low,
            found->high, bytes, feasible ? "yes" : "no", text);
}

static void speed(const char *name, struct interval rate, struct finding *f)
{
    *f = (struct finding){.theory = (double)NAN,
                          .measured = rate.mean,
                          .low = rate.low,
                          .high = rate.high,
                          .agrees = -1};
    snprintf(f->quantity, sizeof f->quantity, "%s: %s a second", name,
             strcmp(name, "Cholesky") == 0 ? "multiply-adds" : "entries");
    snprintf(f->says, sizeof f->says, "%s: %.3g (%.3g to %.3g)", f->quantity, rate.mean, rate.low,
             rate.high);
    note("%s", f->says);
}

static const char script[] =
    "set logscale xy\nset format x '10^{%T}'\nset xlabel 'samples'\nset ylabel 'kernel and solve'\n"
    "set ytics ('1 ms' 1/3.6e6, '1 s' 1/3600., '1 min' 1/60., '1 h' 1, '1 day' 24, '1 year' 8766, "
    "'100 years' 876600)\nset key maxrows 2\n"
    "names = '\"fully connected\" \"CNN\" \"CNN with pooling\"'\n"
    "set xrange [20:2e7]\nset yrange [3e-9:1e7]\n"
    "plot for [k=0:2] 'scale.csv' using ($1==k?$3:NaN):4 with lines lw 2 lc rgb word(colours, k+1) "
    "notitle, "
    "for [k=0:2] '' using ($1==k&&strcol(8) eq 'yes'?$3:NaN):4 with points pt 7 ps 0.8 lc rgb "
    "word(colours, k+1) title word(names, k+1), "
    "for [k=0:2] '' using ($1==k&&strcol(8) eq 'no'?$3:NaN):4 with points pt 6 lw 2 ps 0.8 lc rgb "
    "word(colours, k+1) notitle, "
    "'' using ($1==0?$3:NaN):4:9 with labels left offset 0.8,-0.7 font ',12' tc rgb "
    "word(colours, 1) notitle, "
    "for [k=1:2] '' using ($1==k&&(k==2||$3<1e6)?$3:NaN):4:9 with labels right offset -0.8,0.6 "
    "font "
    "',12' tc rgb word(colours, k+1) notitle, "
    "'' using ($1==1&&$3>=1e6?$3:NaN):4:9 with labels left offset 0.8,0.4 font ',12' tc rgb "
    "word(colours, 2) notitle, "
    "NaN with points pt 6 lw 2 lc rgb '#666666' title 'not feasible', "
    "168 dt 2 lc rgb '#666666' title 'a week'\n";

int lab_scale(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct finding findings[NETS * (SIZES + 1) + 1], *next = findings;
    const int runs = a->quick ? 3 : RUNS;
    struct interval solve, pairs;
    struct ntk_outfile table;
    int code;

    STEP(lab_table(dir, "scale", "number,net,n,hours,low,high,bytes,feasible,text", &table));
    code = solve_speeds(ctx, a->quick ? 1500 : 6000, runs, &solve);
    if (code == EXIT_OK)
        speed("Cholesky", solve, next++);
    for (int k = 0; k < NETS && code == EXIT_OK; k++) {
        const struct candidate *c = &candidates[k];

        code = kernel_speeds(ctx, c, a->quick ? c->n : 2 * c->n, runs, &pairs);
        if (code != EXIT_OK)
            break;
        speed(c->name, pairs, next++);
        for (int n = 0; n < SIZES; n++)
            cell(ctx, table.f, k, sizes[n], pairs, solve, next++);
    }
    STEP(lab_table_close(dir, "scale", &table, code));
    STEP(lab_plot(dir, "scale", script));
    return lab_report(a, dir, "scale", findings, (size_t)(next - findings));
}
