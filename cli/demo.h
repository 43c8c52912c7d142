/* SPDX-License-Identifier: MIT
 *
 * demo.h - what the demo's table and plots share.
 */
#ifndef NTK_DEMO_H
#define NTK_DEMO_H

#include "cli.h"

#define DIGITS 10 /* classes */

struct demo {
    const char *dir;         /* where everything goes */
    ntk_data *train, *test;
    int64_t n, m;
    double *y;               /* [n][DIGITS] */
    double *f;               /* [n + m][DIGITS], work */
    double nearest;          /* accuracy of 1-nearest-neighbour */
};

/* A file in the demo's folder, as file_open and file_close have it. */
int demo_open(const struct demo *d, const char *name, struct ntk_outfile *out);
int demo_close(const struct demo *d, const char *name, struct ntk_outfile *out, int code);

/* spectrum.svg, test_error.svg, uncertainty.svg, with their data and gnuplot scripts. */
int demo_plots(ntk_ctx *ctx, const struct demo *d);

#endif
