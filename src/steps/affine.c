/* SPDX-License-Identifier: MIT
 *
 * Dense and Conv: z[q] = scale sum over places a of W_a x[p(q, a)] + bias_scale b. Every window's
 * input is gathered into a row, so that all are matrix products. Work is cut into pieces that
 * depend on sizes alone: the same numbers come out for any number of threads.
 */
#include "steps/affine.h"

#ifdef NTK_REAL
#define ROWS         AFFINE_ROWS /* of a piece */
#define COLUMNS      256
#define SLICES       16      /* most partial sums of a gradient; each is a matrix of W's size */
#define WORTH        1000000 /* multiply-adds: below, starting threads costs more than it saves */
#define SLICES_BYTES ((size_t)64 << 20)

#define SPARSE_BYTES  ((size_t)256 << 10)
#define SPARSE_WIDTH  512
#define SPARSE_INPUTS 8
#define SPARSE_COPIES 10

void NTK_TYPED(ntk_affine_gather)(const struct ntk_tape_step *s, const real *x, int64_t row,
                                  int64_t n, real *out)
{
    const int64_t D = affine_windows(s), c = s->in_shape->c, size = ntk_features_of(*s->in_shape);
    const struct ntk_places *windows = affine_places(s);

    for (int64_t i = row; i < row + n; i++) {
        const real *from = x + i / D * size;
        const int32_t *position = windows->position + i % D * windows->n;

        for (int a = 0; a < windows->n; a++, out += c) {
            if (position[a] < 0)
                memset(out, 0, (size_t)c * sizeof *out);
            else
                memcpy(out, from + position[a] * c, (size_t)c * sizeof *out);
        }
    }
}

static int64_t slices(const struct ntk_tape_step *s)
{
    const size_t bytes = (size_t)(affine_inputs(s) * s->out_shape.c) * sizeof(real);
    const size_t most = SLICES_BYTES / bytes;

    return most > SLICES ? SLICES : most < 1 ? 1 : (int64_t)most;
}

static int64_t gathered(const struct ntk_tape_step *s)
{
    return ROWS * affine_inputs(s);
}

static size_t scratch(const struct ntk_tape_step *s, int threads)
{
    if (!affine_windowed(s))
        return 0;
    return (size_t)(threads * gathered(s) + slices(s) * affine_inputs(s) * s->out_shape.c) *
           sizeof(real);
}

static real *own_scratch(const struct ntk_run *r)
{
    return (real *)r->scratch + omp_get_thread_num() * gathered(r->step);
}

/* y = scale x W + bias_scale b (+ y if add) */
static void product(const struct ntk_run *r, const real *x, const real *W, const real *b, bool add,
                    real *y)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t rows = r->n * affine_windows(s), K = affine_inputs(s), width = s->out_shape.c;
    const int64_t columns = affine_windowed(s) ? width : COLUMNS;
    const int64_t across = (width + columns - 1) / columns,
                  pieces = (rows + ROWS - 1) / ROWS * across;

#pragma omp parallel for schedule(dynamic) num_threads(r->threads) if (rows * K * width > WORTH)
    for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t i0 = piece / across * ROWS, n = least(ROWS, rows - i0);
        const int64_t j0 = piece % across * columns, m = least(columns, width - j0);
        const real *from = x + i0 * K;
        real *to = y + i0 * width + j0;

        if (affine_windowed(s)) {
            from = own_scratch(r);
            NTK_TYPED(ntk_affine_gather)(s, x, i0, n, own_scratch(r));
        }
        for (int64_t i = 0; i < n && b; i++)
            for (int64_t j = 0; j < m; j++)
                to[i * width + j] =
                    (add ? to[i * width + j] : 0) + (real)affine_bias_scale(s) * b[j0 + j];
        gemm(false, false, n, m, K, (real)affine_scale(s), from, K, W + j0, width, add || b ? 1 : 0,
             to, width);
    }
}

static const real *biases(const struct ntk_tape_step *s, const void *theta)
{
    return affine_biased(s) ? (const real *)theta + s->arrays[AFFINE_B].at : NULL;
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    product(r, x[0], r->theta, biases(r->step, r->theta), false, y);
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    const struct ntk_tape_step *s = r->step;

    (void)y;
    if (dtheta)
        product(r, x[0], dtheta, biases(s, dtheta), false, dy);
    else if (!dx[0])
        memset(dy, 0, (size_t)(r->n * ntk_features_of(s->out_shape)) * sizeof(real));
    if (dx[0])
        product(r, dx[0], r->theta, NULL, dtheta != NULL, dy);
}

/* ---- cotangents of the input */

static void scatter(const struct ntk_tape_step *s, const real *rows, int64_t row, int64_t n,
                    real *x)
{
    const int64_t D = affine_windows(s), c = s->in_shape->c, size = ntk_features_of(*s->in_shape);
    const struct ntk_places *windows = affine_places(s);

    for (int64_t i = row; i < row + n; i++) {
        real *to = x + i / D * size;
        const int32_t *position = windows->position + i % D * windows->n;

        for (int a = 0; a < windows->n; a++, rows += c)
            for (int64_t k = 0; position[a] >= 0 && k < c; k++)
                to[position[a] * c + k] += rows[k];
    }
}

/* Samples are grouped so that a piece has about ROWS rows, and none is in two pieces. */
static void back_windows(const struct ntk_run *r, const real *dy, bool add, real *dx)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t D = affine_windows(s), K = affine_inputs(s), width = s->out_shape.c;
    const int64_t samples = r->n * r->copies, size = ntk_features_of(*s->in_shape);
    const int64_t group = D < ROWS ? ROWS / D : 1;
    const real *W = r->theta;

#pragma omp parallel for schedule(dynamic) \
    num_threads(r->threads) if (samples * D * K * width > WORTH)
    for (int64_t first = 0; first < samples; first += group) {
        const int64_t n = least(group, samples - first), end = (first + n) * D;
        real *rows = own_scratch(r);

        if (!add)
            memset(dx + first * size, 0, (size_t)(n * size) * sizeof *dx);
        for (int64_t i = first * D; i < end; i += ROWS) {
            const int64_t m = least(ROWS, end - i);

            gemm(false, true, m, K, width, (real)affine_scale(s), dy + i * width, width, W, width,
                 0, rows, K);
            scatter(s, rows, i, m, dx);
        }
    }
}

/* W' scaled, [width][K], where partial sums of gradients are at other times. */
static const real *transposed(const struct ntk_run *r)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t K = affine_inputs(s), width = s->out_shape.c;
    const real *W = r->theta;
    real *out = (real *)r->scratch + r->threads * gathered(s);

    for (int64_t j = 0; j < width; j++)
        for (int64_t k = 0; k < K; k++)
            out[j * K + k] = (real)affine_scale(s) * W[k * width + j];
    return out;
}

/* Numbers of the channels where one of a window's cotangents is not zero, and these [m][copies]. */
static int64_t active(const real *g, int64_t size, int64_t copies, int64_t width, int32_t *list,
                      real *coef)
{
    int64_t m = 0;

    for (int64_t j = 0; j < width; j++) {
        bool any = false;

        for (int64_t k = 0; k < copies; k++) {
            coef[m * copies + k] = g[k * size + j];
            any = any || g[k * size + j] != 0;
        }
        list[m] = (int32_t)j;
        m += any;
    }
    return m;
}

/* Up to SPARSE_COPIES cotangents of a sample, `size` apart, into dx. */
static void back_sample(const struct ntk_run *r, const real *Wt, int64_t copies, const real *dy,
                        real *dx)
{
    const struct ntk_tape_step *s = r->step;
    const struct ntk_places *windows = affine_places(s);
    const int64_t c = s->in_shape->c, width = s->out_shape.c;
    int32_t list[SPARSE_WIDTH];
    real coef[SPARSE_WIDTH * SPARSE_COPIES];
    struct ntk_rows_args a = {.n = (size_t)c,
                              .sums = (size_t)copies,
                              .list = list,
                              .coef = coef,
                              .stride = (size_t)affine_inputs(s),
                              .out_stride = (size_t)ntk_features_of(*s->in_shape)};

    for (int64_t q = 0; q < affine_windows(s); q++) {
        const int32_t *position = windows->position + q * windows->n;

        a.m = (size_t)active(dy + q * width, ntk_features_of(s->out_shape), copies, width, list,
                             coef);
        for (int p = 0; p < windows->n; p++) {
            if (position[p] < 0)
                continue;
            a.rows = Wt + p * c;
            a.out = dx + position[p] * c;
            r->simd->add_rows(&a);
        }
    }
}

/* Activations like ReLU leave about half of the cotangents zero, the same for all copies of a
 * sample: a product that skips these needs W in the cache, as it reads it for every window. */
static bool skipping_pays(const struct ntk_tape_step *s)
{
    return (size_t)(affine_inputs(s) * s->out_shape.c) * sizeof(real) <= SPARSE_BYTES &&
           s->out_shape.c <= SPARSE_WIDTH && s->in_shape->c >= SPARSE_INPUTS;
}

static void back_nonzero(const struct ntk_run *r, const real *dy, bool add, real *dx)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t in = ntk_features_of(*s->in_shape), out = ntk_features_of(s->out_shape);
    const int64_t across = (r->copies + SPARSE_COPIES - 1) / SPARSE_COPIES;
    const real *Wt = transposed(r);

#pragma omp parallel for schedule(dynamic) num_threads(r->threads)
    for (int64_t item = 0; item < r->n * across; item++) {
        const int64_t c0 = item % across * SPARSE_COPIES;
        const int64_t first = item / across * r->copies + c0,
                      n = least(SPARSE_COPIES, r->copies - c0);

        if (!add)
            memset(dx + first * in, 0, (size_t)(n * in) * sizeof *dx);
        back_sample(r, Wt, n, dy + first * out, dx + first * in);
    }
}

static void back_inputs(const struct ntk_run *r, const real *dy, bool add, real *dx)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t K = affine_inputs(s), width = s->out_shape.c;
    const int64_t rows = r->n * r->copies * affine_windows(s);
    const int64_t across = (K + COLUMNS - 1) / COLUMNS, pieces = (rows + ROWS - 1) / ROWS * across;
    const real *W = r->theta;

    if (affine_windowed(s)) {
        (skipping_pays(s) ? back_nonzero : back_windows)(r, dy, add, dx);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(r->threads) if (rows * K * width > WORTH)
    for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t i0 = piece / across * ROWS, j0 = piece % across * COLUMNS;

        gemm(false, true, least(ROWS, rows - i0), least(COLUMNS, K - j0), width,
             (real)affine_scale(s), dy + i0 * width, width, W + j0 * width, width, add ? 1 : 0,
             dx + i0 * K + j0, K);
    }
}

/* ---- gradients of the parameters */

static void back_weights_windows(const struct ntk_run *r, const real *x, const real *dy, real *dW)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t K = affine_inputs(s), width = s->out_shape.c, rows = r->n * affine_windows(s);
    const int64_t pieces = (rows + ROWS - 1) / ROWS, parts = least(slices(s), pieces);
    real *partial = (real *)r->scratch + r->threads * gathered(s);

#pragma omp parallel for schedule(static) num_threads(r->threads) if (rows * K * width > WORTH)
    for (int64_t part = 0; part < parts; part++) {
        real *sum = partial + part * K * width;

        for (int64_t piece = part; piece < pieces; piece += parts) {
            const int64_t i0 = piece * ROWS, n = least(ROWS, rows - i0);
            real *from = own_scratch(r);

            NTK_TYPED(ntk_affine_gather)(s, x, i0, n, from);
            gemm(true, false, K, width, n, (real)affine_scale(s), from, K, dy + i0 * width, width,
                 piece == part ? 0 : 1, sum, width);
        }
    }
    for (int64_t part = 0; part < parts; part++)
        for (int64_t i = 0; i < K * width; i++)
            dW[i] += partial[part * K * width + i];
}

static void back_weights(const struct ntk_run *r, const real *x, const real *dy, real *dW)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t K = affine_inputs(s), width = s->out_shape.c, rows = r->n * affine_windows(s);
    const int64_t across = (width + COLUMNS - 1) / COLUMNS, pieces = (K + ROWS - 1) / ROWS * across;

    if (affine_windowed(s)) {
        back_weights_windows(r, x, dy, dW);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(r->threads) if (rows * K * width > WORTH)
    for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t i0 = piece / across * ROWS, j0 = piece % across * COLUMNS;

        gemm(true, false, least(ROWS, K - i0), least(COLUMNS, width - j0), rows,
             (real)affine_scale(s), x + i0, K, dy + j0, width, 1, dW + i0 * width + j0, width);
    }
}

static void back_biases(const struct ntk_run *r, const real *dy, real *db)
{
    const struct ntk_tape_step *s = r->step;
    const int64_t width = s->out_shape.c, rows = r->n * affine_windows(s);

    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < width; j++)
            db[j] += (real)affine_bias_scale(s) * dy[i * width + j];
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const struct ntk_tape_step *s = r->step;

    (void)y;
    if (dtheta) {
        back_weights(r, x[0], dy, dtheta);
        if (affine_biased(s))
            back_biases(r, dy, (real *)dtheta + s->arrays[AFFINE_B].at);
    }
    if (dx[0])
        back_inputs(r, dy, add[0], dx[0]);
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_affine) = {
    .forward = forward,
    .jvp = jvp,
    .vjp = vjp,
    .scratch = scratch,
    .differentiate = NTK_TYPED(ntk_affine_differentiate),
    .share = NTK_TYPED(ntk_affine_share),
    .share_scratch = NTK_TYPED(ntk_affine_share_scratch),
    .derivatives_are_cheaper = NTK_TYPED(ntk_affine_derivatives_are_cheaper),
};

#else

#include <math.h>

NTK_STEP_LOOPS(affine)
const struct ntk_step_class ntk_step_affine = {.name = "affine",
                                               .size = sizeof(struct ntk_places),
                                               .linear = true,
                                               .by_channel = true,
                                               NTK_STEP_TABLES(affine)};

void ntk_tape_affine(struct ntk_tape *t, const char *layer, const struct ntk_affine *a,
                     const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s = ntk_tape_append(t, &ntk_step_affine, 1, in, out);
    struct ntk_step_array arrays[] = {
        [AFFINE_W] = {.name = "W", .deviation = a->W_std, .multiplier = a->W_scale},
        [AFFINE_B] = {.name = "b",
                      .absent = isnan(a->b_std),
                      .ndim = 1,
                      .shape = {out->shape.c},
                      .deviation = a->b_std,
                      .multiplier = a->b_scale},
    };
    struct ntk_step_array *W = &arrays[AFFINE_W];
    struct ntk_places *places;

    if (!s)
        return;
    places = s->self;
    places->n = 1;
    if (a->window && !ntk_tape_places(t, a->window, in->shape, places))
        return;
    if (a->window && in->shape.spatial == 2)
        W->shape[W->ndim++] = a->window->size[0];
    if (a->window)
        W->shape[W->ndim++] = a->window->size[1];
    W->shape[W->ndim++] = in->shape.c;
    W->shape[W->ndim++] = out->shape.c;
    ntk_tape_params(t, layer, a->trainable, 2, arrays);
}

#endif
