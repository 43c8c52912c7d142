/* SPDX-License-Identifier: MIT
 *
 * lab.h - experiments of `ntk lab`: one file each, one line in experiments.def.
 */
#ifndef NTK_LAB_H
#define NTK_LAB_H

#include "../cli/cli.h"

/* Runs with the command's options; writes into the directory a->out; an exit code. */
typedef int lab_fn(ntk_ctx *ctx, const struct args *a, const char *dir);

#define EXPERIMENT(name, summary) lab_fn lab_##name;
#include "experiments.def"
#undef EXPERIMENT

struct experiment {
    const char *name, *summary;
    lab_fn *run;
};

/* What an experiment found, for its report and NAME.json. */
struct finding {
    char quantity[80];
    char says[240]; /* one sentence: what the theory says and what was measured; "": none */
    double theory; /* published or derived; NAN: nothing to compare with */
    double measured;
    double low, high; /* 95 % interval of the measured value */
    int agrees;       /* 1, 0, -1: nothing to compare with */
};
/* Writes {"name", "quick", "results": [...]} to DIR/NAME.json and, with --json, to standard output.
 */
int lab_report(const struct args *a, const char *dir, const char *name, const struct finding *f,
               size_t n);
/* DIR/report.html: the sections of those experiments that have been run, with their plots inside. */
int lab_page(const char *dir, size_t n, const char *const *names);
/* The line about an experiment in experiments.def. */
const char *lab_summary(const char *name);

/* ---- tables and plots (lab_tools.c) */

/* DIR/NAME.csv with a line of column names; NULL (said) if it cannot be written. */
FILE *lab_table(const char *dir, const char *name, const char *columns);
int lab_table_close(const char *dir, const char *name, FILE *f);
/* DIR/NAME.svg, drawn by gnuplot from the script (whose working directory is DIR; `set datafile
 * separator
 * ','` is in force; the style and the output are set before it). Without gnuplot the script stays,
 * with a note. */
int lab_plot(const char *dir, const char *name, const char *script);
/* The same with a terminal of the caller's: "gif animate ...", and the file's ending. */
int lab_plot_as(const char *dir, const char *name, const char *terminal, const char *ending,
                const char *script);

/* Colours that colour-blind readers tell apart (Okabe and Ito 2008), and black. */
#define LAB_COLOURS "'#0072b2' '#d55e00' '#009e73' '#cc79a7' '#e69f00' '#56b4e9' '#000000'"

/* ---- statistics */

struct interval {
    double mean, low, high; /* 95 %, by Student's t; of one number: low = high = mean */
};
struct interval lab_mean(int n, const double *x);
/* Slope of log y against log x (least squares): y [seeds][n]; one slope for each seed, mean over
 * seeds. */
struct interval lab_slope(int n, const double *x, int seeds, const double *y);

/* ---- networks and samples */

/* serial(Dense(width, W_std, b_std), ACT(), ... depth hidden layers ..., Dense(outputs)) into a
 * net. Its parameterization is 'ntk' or 'standard'. */
int lab_mlp(ntk_ctx *ctx, int depth, int width, const char *activation, int outputs,
            const char *parameterization, ntk_net **net);
/* n digits from number `first` on of the embedded ones (0 ... 1796), flattened, of float64, values
 * / 16; and centred one-hot targets y [n][10] (NULL: not wanted). */
int lab_digits(ntk_ctx *ctx, int64_t first, int64_t n, ntk_data **x, double *y);
/* Infinite kernel of a net between x1 and x2 (NULL: x1), and the empirical one (mean over outputs) of its
 * network of a seed, [n1][n2] each. */
int lab_infinite(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1, const ntk_data *x2,
                 double *k);
int lab_empirical(ntk_ctx *ctx, const ntk_net *net, uint64_t seed, const ntk_data *x, double *k);
/* y [n]: 1 for digits above 4, else -1. */
void lab_high_digits(const ntk_data *x, double *y);
/* Euclidean |a - b|, or |a| if b is NULL, of n numbers. */
double lab_distance(int64_t n, const double *a, const double *b);
#endif
