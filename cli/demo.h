/* SPDX-License-Identifier: MIT
 *
 * demo.h - what the parts of `ntk demo` share.
 */
#ifndef NTK_CLI_DEMO_H
#define NTK_CLI_DEMO_H

#include "cli.h"

struct demo {
    ntk_ctx *ctx;
    const char *dir; /* where everything goes */
    ntk_data *train, *test;
    int64_t classes;
    double *y; /* [n_train][classes], centered */
};

/* DIR/NAME for writing, in f; an exit code. */
int demo_open(const struct demo *d, const char *name, FILE **f);
/* Data and scripts of the plots, and the plots themselves if gnuplot is there. */
int demo_plots(const struct demo *d);

#endif
