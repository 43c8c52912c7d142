/* SPDX-License-Identifier: MIT
 *
 * weights: the lecture's picture. The same 10 x 10 corner of a hidden weight matrix during
 * training, for widths 10, 100 and 1000: it moves by |W - W_0| = O(1) of |W_0| = width, so that
 * each weight of a wide network hardly moves, and yet all of them together learn.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define TRAIN  30
#define CORNER 10
#define FILMS  3
#define WIDTHS 5
#define FRAMES 30
#define SEEDS  5

static const int filmed[FILMS] = {10, 100, 1000};
static const int widths[WIDTHS] = {10, 32, 100, 316, 1000};

/* One run's corners, [FRAMES][CORNER][CORNER], losses, and |W - W_0| / |W_0| of the whole matrix at
 * the end. */
struct film {
    double corner[FRAMES][CORNER * CORNER], loss[FRAMES];
    int64_t step[FRAMES];
    double moved;
};

static const ntk_param_array *hidden(const ntk_params *p)
{
    const ntk_param_array *arrays;
    const size_t n = ntk_params_arrays(p, &arrays);

    for (size_t k = 0; k < n; k++)
        if (strcmp(arrays[k].name, "01_Dense/W") == 0)
            return &arrays[k];
    return arrays;
}

static void take(const double *W, int width, double *corner)
{
    for (int i = 0; i < CORNER * CORNER; i++)
        corner[i] = W[i / CORNER * width + i % CORNER];
}

static ntk_status shoot(ntk_params *p, int width, const ntk_data *x, const double *y, int64_t steps,
                        struct film *film)
{
    const ntk_param_array *a = hidden(p);
    const double *W = (const double *)ntk_params_theta(p) + a->offset;
    double *start = malloc((size_t)a->size * sizeof *start);
    ntk_train_opts o;
    ntk_train *train = NULL;
    ntk_status status;

    if (!start)
        return NTK_ENOMEM;
    memcpy(start, W, (size_t)a->size * sizeof *start);
    ntk_train_opts_init(&o);
    status = ntk_train_new(p, x, y, &o, &train);
    for (int k = 0; k < FRAMES && status == NTK_OK; k++) {
        const int64_t now = ntk_train_step(train),
                      next = (int64_t)pow((double)steps, (k + 1.0) / FRAMES);

        take(W, width, film->corner[k]);
        film->step[k] = now;
        status = ntk_train_run(train, 1, &film->loss[k]); /* its loss is that before the step */
        if (status == NTK_OK && next > now + 1)
            status = ntk_train_run(train, next - now - 1, NULL);
    }
    film->moved = lab_distance(a->size, W, start) / lab_distance(a->size, start, NULL);
    ntk_train_free(train);
    free(start);
    return status;
}

static int run(ntk_ctx *ctx, int width, uint64_t seed, int64_t steps, struct film *film)
{
    double y[TRAIN * 10];
    ntk_data *x;
    ntk_net *net;
    ntk_params *p = NULL;
    ntk_status status;

    STEP(lab_digits(ctx, 0, TRAIN, &x, y));
    STEP(lab_mlp(ctx, 2, width, "Tanh", 10, "ntk", &net));
    status = ntk_params_new(ctx, net, ntk_data_shape(x), NTK_F64, seed, &p);
    if (status == NTK_OK)
        status = shoot(p, width, x, y, steps, film);
    ntk_params_free(p);
    ntk_net_free(net);
    ntk_data_free(x);
    TRY(ctx, status);
    return EXIT_OK;
}

/* weights.csv: blocks of 10 x 10 numbers, W and then W - W_0, of all widths, frame after frame. */
static void tabulate(FILE *f, const struct film *films)
{
    for (int k = 0; k < FRAMES; k++)
        for (int w = 0; w < FILMS; w++)
            for (int what = 0; what < 2; what++) {
                for (int i = 0; i < CORNER * CORNER; i++)
                    fprintf(f, "%.4g%s", films[w].corner[k][i] - (what ? films[w].corner[0][i] : 0),
                            i % CORNER == CORNER - 1 ? "\n" : ",");
                fprintf(f, "\n\n");
            }
}

static void write_script(const struct film *films, char *script, size_t size)
{
    size_t n = (size_t)snprintf(
        script, size,
        "unset key\nunset xtics\nunset ytics\nunset grid\nset offsets 0,0,0,0\nset size ratio 1\n"
        "set palette defined (0 '#d55e00', 1 '#ffffff', 2 '#0072b2') maxcolors 63\nset cbtics "
        "scale 0.4\nset border 15\n"
        "set datafile nocolumnheaders\nwidths = '10 100 1000'\nsteps = '");

    for (int k = 0; k < FRAMES; k++)
        n += (size_t)snprintf(script + n, size - n, "%lld ", (long long)films[0].step[k]);
    for (int w = 0; w < FILMS; w++) {
        n += (size_t)snprintf(script + n, size - n, "'\nloss%d = '", w);
        for (int k = 0; k < FRAMES; k++)
            n += (size_t)snprintf(script + n, size - n, films[w].loss[k] < 0.01 ? "%.0e " : "%.2g ",
                                  films[w].loss[k]);
    }
    snprintf(
        script + n, size - n,
        "'\nloss(w, k) = w==0 ? word(loss0, k+1) : w==1 ? word(loss1, k+1) : word(loss2, k+1)\n"
        "do for [k=0:%d] {\nset multiplot layout 2,3 margins 0.02,0.92,0.03,0.84 spacing 0.03,0.1 "
        "title 'hidden weights W, step '.word(steps, "
        "k+1).' of gradient descent'\n"
        "do for [what=0:1] {\ndo for [w=0:2] {\nr = what ? 1 : 2.5\nset cbrange [-r:r]\nset cbtics "
        "r\n"
        "if (w==2) {set colorbox} else {unset colorbox}\nset title (what ? 'W - W_0' : 'width "
        "'.word(widths, w+1).', loss '.loss(w, k))\n"
        "plot 'weights.csv' index 6*k+2*w+what matrix with image pixels\n}\n}\nunset "
        "multiplot\n}\n",
        FRAMES - 1);
}

static int conclude(ntk_ctx *ctx, int seeds, int64_t steps, FILE *t, struct finding *f)
{
    static struct film film;
    double moved[SEEDS * WIDTHS], x[WIDTHS];

    for (int w = 0; w < WIDTHS; w++) {
        struct interval i;

        x[w] = widths[w];
        for (int k = 0; k < seeds; k++) {
            STEP(run(ctx, widths[w], (uint64_t)k, steps, &film));
            moved[k * WIDTHS + w] = film.moved;
        }
        i = lab_column(seeds, WIDTHS, w, moved);
        fprintf(t, "%d,%.6g,%.6g,%.6g\n", widths[w], i.mean, i.low, i.high);
    }
    lab_found_bound(f, "|W - W_0| / |W_0|, hidden weights", -1, lab_slope(WIDTHS, x, seeds, moved));
    note("%s", f->says);
    return EXIT_OK;
}

static const char moved_script[] =
    "set logscale xy\nset xlabel 'width'\nset ylabel '|W - W_0| / |W_0| at the end'\nset format y "
    "'%g'\n"
    "plot 'weights_moved.csv' using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.5 lc rgb word(colours, "
    "1) title "
    "'measured', 10/x dt 2 lw 2 lc rgb '#666666' title 'width^{-1}'\n";

int lab_weights(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    static struct film films[FILMS];
    static char script[4000];
    const int64_t steps = a->quick ? 100 : 1000;
    struct finding finding;
    struct ntk_outfile table;

    for (int w = 0; w < FILMS; w++)
        STEP(run(ctx, filmed[w], 1, steps, &films[w]));
    STEP(lab_table(dir, "weights",
                   "# 10 x 10 blocks: W, W - W_0 of widths 10, 100, 1000; frame by frame", &table));
    tabulate(table.f, films);
    STEP(lab_table_close(dir, "weights", &table, EXIT_OK));
    write_script(films, script, sizeof script);
    STEP(lab_table(dir, "weights_moved", "width,moved,low,high", &table));
    STEP(lab_table_close(dir, "weights_moved", &table,
                         conclude(ctx, a->quick ? 2 : SEEDS, steps, table.f, &finding)));
    STEP(lab_plot(dir, "weights", moved_script));
    STEP(
        lab_plot_as(dir, "weights", "gif animate delay 15 size 520,370 font ',11'", "gif", script));
    return lab_report(a, dir, "weights", &finding, 1);
}
