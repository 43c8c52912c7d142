/* SPDX-License-Identifier: MIT
 *
 * lab.h - experiments of `ntk lab`: one file each, one line in experiments.def.
 */
#ifndef NTK_LAB_H
#define NTK_LAB_H

#include "../cli/cli.h"

/* Runs with the command's options; writes into the directory a->out; an exit code. */
typedef int lab_fn(ntk_ctx *ctx, const struct args *a, const char *dir);

struct experiment {
    const char *name, *summary;
    lab_fn *run;
};

/* What an experiment found, for its report and NAME.json. */
struct finding {
    char quantity[80];
    double theory; /* published or derived; NAN: nothing to compare with */
    double measured;
    double low, high; /* 95 % interval of the measured value */
    int agrees;       /* 1, 0, -1: nothing to compare with */
};
/* Writes {"name", "quick", "results": [...]} to DIR/NAME.json and, with --json, to standard output.
 */
int lab_report(const struct args *a, const char *dir, const char *name, const struct finding *f,
               size_t n);

#endif
