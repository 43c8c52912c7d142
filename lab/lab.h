/* SPDX-License-Identifier: MIT
 *
 * lab.h - experiments of `ntk lab`: one file each, one line in experiments.def.
 */
#ifndef NTK_LAB_H
#define NTK_LAB_H

#include "../cli/cli.h"

/* Runs with the command's options; writes into the directory a->out; an exit code. */
typedef int lab_fn(ntk_ctx *ctx, const struct args *a, const char *dir);

#define EXPERIMENT(name, threads, summary, explanation) lab_fn lab_##name;
#include "experiments.def"
#undef EXPERIMENT

struct experiment {
    const char *name;
    int threads; /* if --threads is not given; 0: all */
    const char *summary, *explanation;
    lab_fn *run;
};

/* What an experiment found, for its report and NAME.json. */
struct finding {
    char quantity[120];
    char says[300]; /* one sentence: what the theory says and what was measured; "": none */
    bool bound;     /* theory is an upper bound of what is measured, else its value */
    double theory;  /* published or derived; NAN: nothing to compare with */
    double measured;
    double low, high; /* 95 % interval of the measured value */
    int agrees;       /* 1, 0, -1: nothing to compare with */
};
/* Writes {"name", "quick", "results": [...]} to DIR/NAME.json and, with --json, to standard output.
 */
int lab_report(const struct args *a, const char *dir, const char *name, const struct finding *f,
               size_t n);
/* DIR/report.html: the sections of those experiments that have been run, with their plots inside.
 */
int lab_page(const char *dir, size_t n, const char *const *names);
/* Its line in experiments.def; NULL: there is none. */
const struct experiment *lab_experiment(const char *name);

/* ---- tables and plots (lab_tools.c) */

/* DIR/NAME.csv with a line of column names; it is written if its rows have ended with the code EXIT_OK. */
int lab_table(const char *dir, const char *name, const char *columns, struct ntk_outfile *out);
int lab_table_close(const char *dir, const char *name, struct ntk_outfile *out, int code);
/* DIR/NAME.svg, drawn by gnuplot from the script (whose working directory is DIR; `set datafile
 * separator
 * ','` is in force; the style and the output are set before it). Without gnuplot the script stays,
 * with a note. */
int lab_plot(const char *dir, const char *name, const char *script);
/* The same, wide enough for two plots side by side. */
int lab_plot_pair(const char *dir, const char *name, const char *script);
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
/* Geometric mean over seeds of a column of y [seeds][n], for numbers on a logarithmic scale. */
struct interval lab_column(int seeds, int n, int column, const double *y);
/* Slope of log y against log x (least squares): y [seeds][n]; one slope for each seed, mean over
 * seeds. */
struct interval lab_slope(int n, const double *x, int seeds, const double *y);

/* A quantity's exponent in width as a finding. Theory's is an upper bound, which is violated if all
 * of the interval lies above it, or a value, which is met within `tolerance` or the interval. */
void lab_found_bound(struct finding *f, const char *quantity, double bound, struct interval slope);
void lab_found_exponent(struct finding *f, const char *quantity, double theory, double tolerance,
                        struct interval slope);

/* ---- networks and samples */

/* serial(Dense(width, W_std, b_std), ACT(), ... depth hidden layers ..., Dense(outputs)) into a
 * net. Its parameterization is 'ntk' or 'standard'. */
int lab_mlp(ntk_ctx *ctx, int depth, int width, const char *activation, int outputs,
            const char *parameterization, ntk_net **net);
/* n digits from number `first` on of the embedded ones (0 ... 1796), flattened, of float64, each
 * pixel standardised over all of them; and centred one-hot targets y [n][10] (NULL: not wanted).
 * Raw digits are nearly parallel: their kernel's lambda_min is so small that only very wide
 * networks are lazy. */
int lab_digits(ntk_ctx *ctx, int64_t first, int64_t n, ntk_data **x, double *y);
/* Infinite kernel of a net between x1 and x2 (NULL: x1), and the empirical one (mean over outputs)
 * of its network of a seed, [n1][n2] each. */
int lab_infinite(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *x1,
                 const ntk_data *x2, double *k);
int lab_empirical(ntk_ctx *ctx, const ntk_net *net, uint64_t seed, const ntk_data *x, double *k);
/* y [n]: 1 for digits above 4, else -1. */
void lab_high_digits(const ntk_data *x, double *y);
/* Euclidean |a - b|, or |a| if b is NULL, of n numbers. */
double lab_distance(int64_t n, const double *a, const double *b);
#endif
