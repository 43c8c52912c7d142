/* SPDX-License-Identifier: MIT
 *
 * share.c - an affine step's share of the tangent kernel (Novak et al. 2022, "structured
 * derivatives"): with cols the gathered inputs [windows][K] and g the cotangents [windows][width]
 * of a sample, df/dW = scale cols' g,    Theta[i, j] = scale^2 <cols_i' g_i, cols_j' g_j> = scale^2
 * sum over p, q of (cols_i cols_j')[p, q] (g_i g_j')[p, q] Products of positions (the second form)
 * are cheaper where windows are few, always if there is one; otherwise the derivatives themselves
 * are, which a side brings along, or they are made here for some of W's rows at a time.
 */
#include "steps/affine.h"

#define TILE         256  /* windows or cotangents along a side of a tile */
#define SLICE        4096 /* numbers of a derivative */
#define MADE_BYTES   ((int64_t)64 << 20) /* of derivatives that are made here: bounds the rows at a time */

/* Multiply-adds of the two forms for n1 x n2 samples. */
static double cost_positions(const struct ntk_share *s)
{
    const double D = (double)affine_windows(s->step), c = (double)s->copies;
    const double pairs = (double)s->side[0].n * (double)s->side[1].n;
    const double of_g = s->blocks ? c * c : c;

    return pairs * D * D * ((double)affine_inputs(s->step) + of_g * (double)s->step->out_shape.c);
}

static double cost_derivatives(const struct ntk_share *s)
{
    const double D = (double)affine_windows(s->step), c = (double)s->copies;
    const double n1 = (double)s->side[0].n, n2 = s->symmetric ? 0 : (double)s->side[1].n;
    const double W = (double)affine_inputs(s->step) * (double)s->step->out_shape.c;

    return W * c * ((n1 + n2) * D + n1 * (double)s->side[1].n * (s->blocks ? c : 1));
}

/* ---- products of positions */

/* Samples along a side of a tile. */
static int64_t tile_samples(const struct ntk_share *s)
{
    const int64_t rows = affine_windows(s->step) * (s->blocks ? s->copies : 1);

    return rows < TILE ? TILE / rows : 1;
}

/* Elements of scratch a thread: gathered inputs of two sides, cotangents of two sides with a
 * window's copies apart, both products. */
struct areas {
    int64_t cols, g, products, of_g;
};

static struct areas areas_of(const struct ntk_share *s)
{
    const int64_t t = tile_samples(s), D = affine_windows(s->step), c = s->blocks ? s->copies : 1;

    return (struct areas){.cols = s->step->position ? t * D * affine_inputs(s->step) : 0,
                          .g = D > 1 ? t * D * s->step->out_shape.c * s->copies : 0,
                          .products = t * D * t * D,
                          .of_g = t * D * c * t * D * c};
}

static int64_t areas_sum(const struct areas *a)
{
    return 2 * a->cols + 2 * a->g + a->products + a->of_g;
}

/* [copy][sample, window][width] of samples i0 ... i0 + n - 1. */
static void by_copy(const struct ntk_share *s, const struct ntk_side *side, int64_t i0, int64_t n,
                    real *out)
{
    const int64_t size = ntk_features_of(s->step->out_shape), c = s->copies;
    const real *g = (const real *)side->g + i0 * c * size;

    for (int64_t k = 0; k < c; k++)
        for (int64_t i = 0; i < n; i++)
            memcpy(out + (k * n + i) * size, g + (i * c + k) * size, (size_t)size * sizeof *out);
}

/* The part of one side that a tile needs. */
struct part {
    int64_t i0, n;
    const real *cols, *g;
};

static struct part part_of(const struct ntk_share *s, int side, int64_t i0, int64_t n, real *cols,
                           real *g)
{
    const struct ntk_tape_step *step = s->step;
    const struct ntk_side *from = &s->side[side];
    const int64_t D = affine_windows(step), size = ntk_features_of(step->out_shape);
    struct part p = {.i0 = i0, .n = n, .cols = cols, .g = g};

    if (step->position)
        NTK_TYPED(ntk_affine_gather)(step, from->x, i0 * D, n * D, cols);
    else
        p.cols = (const real *)from->x + i0 * D * affine_inputs(step);
    if (D > 1)
        by_copy(s, from, i0, n, g);
    else
        p.g = (const real *)from->g + i0 * s->copies * size;
    return p;
}

static real *entry(const struct ntk_share *s, int64_t i, int64_t j)
{
    return (real *)s->k + (i * s->ld + j) * s->stride;
}

/* k += weight cols cols' * g g' + bias g g', summed over windows. ld_g: of the product of
 * cotangents. */
static void gather_entry(const struct ntk_share *s, const real *cc, int64_t ld, const real *gg,
                         int64_t ld_g, real *k)
{
    const struct ntk_affine *a = &s->step->affine;
    const int64_t D = affine_windows(s->step);
    const double weight = a->scale * a->scale,
                 bias = s->step->b < 0 ? 0 : a->bias_scale * a->bias_scale;
    double sum = 0;

    for (int64_t p = 0; p < D; p++)
        for (int64_t q = 0; q < D; q++)
            sum += (weight * (double)cc[p * ld + q] + bias) * (double)gg[p * ld_g + q];
    *k += (real)(s->factor * sum);
}

/* Sum over copies: one product with the copies beside each other (one window), or one for each. */
static void tile_sum(const struct ntk_share *s, const struct part *a, const struct part *b,
                     bool same, const real *cc, real *gg)
{
    const int64_t D = affine_windows(s->step), width = s->step->out_shape.c, c = s->copies;
    const int64_t rows = a->n * D, columns = b->n * D;

    if (D == 1)
        products_of_rows(same, rows, columns, c * width, a->g, b->g, c * width, gg);
    for (int64_t k = 0; k < c && D > 1; k++)
        gemm(false, true, rows, columns, width, 1, a->g + k * rows * width, width,
             b->g + k * columns * width, width, k > 0 ? 1 : 0, gg, columns);
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t j = same ? i : 0; j < b->n; j++)
            gather_entry(s, cc + i * D * columns + j * D, columns, gg + i * D * columns + j * D,
                         columns, entry(s, a->i0 + i, b->i0 + j));
}

/* All pairs of copies; rows of the product are [sample][copy] with one window, else
 * [copy][sample][window]. */
static void tile_blocks(const struct ntk_share *s, const struct part *a, const struct part *b,
                        const real *cc, real *gg)
{
    const int64_t D = affine_windows(s->step), width = s->step->out_shape.c, c = s->copies;
    const int64_t rows = a->n * D * c, columns = b->n * D * c;

    gemm(false, true, rows, columns, width, 1, a->g, width, b->g, width, 0, gg, columns);
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t j = 0; j < b->n; j++)
            for (int64_t k = 0; k < c * c; k++) {
                const int64_t row = D > 1 ? (k / c * a->n + i) * D : i * c + k / c;
                const int64_t column = D > 1 ? (k % c * b->n + j) * D : j * c + k % c;

                gather_entry(s, cc + i * D * b->n * D + j * D, b->n * D,
                             gg + row * columns + column, columns,
                             entry(s, a->i0 + i, b->i0 + j) + k);
            }
}

static void position_tile(const struct ntk_share *s, int64_t i0, int64_t j0, int64_t t, real *area)
{
    const struct areas of = areas_of(s);
    const int64_t D = affine_windows(s->step), K = affine_inputs(s->step);
    const bool same = s->symmetric && i0 == j0 && D == 1 && !s->blocks;
    real *products = area + 2 * of.cols + 2 * of.g, *gg = products + of.products;
    const struct part a = part_of(s, 0, i0, least(t, s->side[0].n - i0), area, area + 2 * of.cols);
    const struct part b =
        part_of(s, 1, j0, least(t, s->side[1].n - j0), area + of.cols, area + 2 * of.cols + of.g);

    products_of_rows(same, a.n * D, b.n * D, K, a.cols, b.cols, K, products);
    if (s->blocks)
        tile_blocks(s, &a, &b, products, gg);
    else
        tile_sum(s, &a, &b, same, products, gg);
}

static void share_positions(const struct ntk_share *s)
{
    const int64_t t = tile_samples(s), down = (s->side[0].n + t - 1) / t;
    const int64_t across = (s->side[1].n + t - 1) / t;
    const struct areas of = areas_of(s);

#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t tile = 0; tile < down * across; tile++) {
        const int64_t i = tile / across, j = tile % across;

        if (s->symmetric && j < i)
            continue;
        position_tile(s, i * t, j * t, t,
                      (real *)s->scratch + omp_get_thread_num() * areas_sum(&of));
    }
}

/* ---- derivatives */

/* Which part of the derivatives, and where that of copy c of sample i goes. */
struct derivatives {
    int64_t k0, k; /* rows of W; the row after the last is the bias */
    int64_t per_sample, per_copy;
    real *out;
};

static int64_t gathered_elements(const struct ntk_tape_step *step)
{
    return step->position ? least(affine_windows(step), AFFINE_ROWS) * affine_inputs(step) : 0;
}

static void bias_derivative(const struct ntk_tape_step *step, const real *g, real *out)
{
    const int64_t width = step->out_shape.c;

    memset(out, 0, (size_t)width * sizeof *out);
    for (int64_t p = 0; p < affine_windows(step); p++)
        for (int64_t j = 0; j < width; j++)
            out[j] += (real)step->affine.bias_scale * g[p * width + j];
}

/* Rows k0 ... of df/d(W, b) of every cotangent of sample i, [k][width]. The gathered inputs serve
 * all cotangents. */
static void differentiate_sample(const struct ntk_share *s, const struct ntk_side *side,
                                 const struct derivatives *d, int64_t i, real *gathered)
{
    const struct ntk_tape_step *step = s->step;
    const int64_t D = affine_windows(step), K = affine_inputs(step), width = step->out_shape.c;
    const int64_t weights = least(d->k, K - d->k0);
    const real *x = side->x, *g = (const real *)side->g + i * s->copies * D * width;
    real *out = d->out + i * d->per_sample;

    for (int64_t p = 0; p < D; p += AFFINE_ROWS) {
        const int64_t n = least(AFFINE_ROWS, D - p);
        const real *cols = step->position ? gathered : x + (i * D + p) * K;

        if (step->position)
            NTK_TYPED(ntk_affine_gather)(step, x, i * D + p, n, gathered);
        for (int64_t c = 0; c < s->copies; c++)
            gemm(true, false, weights, width, n, (real)step->affine.scale, cols + d->k0, K,
                 g + (c * D + p) * width, width, p > 0 ? 1 : 0, out + c * d->per_copy, width);
    }
    for (int64_t c = 0; c < s->copies && weights < d->k; c++)
        bias_derivative(step, g + c * D * width, out + c * d->per_copy + weights * width);
}

static void differentiate(const struct ntk_share *s, const struct ntk_side *side,
                          const struct derivatives *d, real *gathered)
{
#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t i = 0; i < side->n; i++)
        differentiate_sample(s, side, d, i,
                             gathered + omp_get_thread_num() * gathered_elements(s->step));
}

/* Products of derivatives are cut into tiles of samples, and each tile into slices of the
 * derivatives. */
struct tiling {
    int64_t each, length; /* rows of a sample, and their numbers */
    int64_t t, across, slices;
};

static struct tiling tiling_of(const struct ntk_share *s, int64_t size)
{
    struct tiling of = {.each = s->blocks ? s->copies : 1,
                        .length = s->blocks ? size : s->copies * size};

    of.t = of.each < TILE ? TILE / of.each : 1;
    of.across = (s->side[1].n + of.t - 1) / of.t;
    of.slices = (of.length + SLICE - 1) / SLICE;
    return of;
}

static void add_tile(const struct ntk_share *s, int64_t i0, int64_t j0, int64_t n, int64_t m,
                     const real *product)
{
    const int64_t each = s->blocks ? s->copies : 1;
    const bool diagonal = s->symmetric && i0 == j0;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = diagonal ? i : 0; j < m; j++)
            for (int64_t k = 0; k < each * each; k++)
                entry(s, i0 + i, j0 + j)[k] +=
                    (real)s->factor *
                    product[(i * each + k / each) * m * each + j * each + k % each];
}

/* Adds the products of derivatives. Slices of a tile are added in their order, so that the sum
 * does not depend on the threads. */
static void contract(const struct ntk_share *s, int64_t size, const real *a, const real *b,
                     real *products)
{
    const struct tiling of = tiling_of(s, size);
    const int64_t down = (s->side[0].n + of.t - 1) / of.t, rows = of.t * of.each;

#pragma omp parallel for ordered schedule(dynamic) num_threads(s->threads)
    for (int64_t item = 0; item < down * of.across * of.slices; item++) {
        const int64_t tile = item / of.slices, k0 = item % of.slices * SLICE;
        const int64_t i0 = tile / of.across * of.t, j0 = tile % of.across * of.t;
        const int64_t n = least(of.t, s->side[0].n - i0), m = least(of.t, s->side[1].n - j0);
        real *product = products + omp_get_thread_num() * rows * rows;

        if (s->symmetric && j0 < i0)
            continue;
        products_of_rows(s->symmetric && i0 == j0 && !s->blocks, n * of.each, m * of.each,
                         least(SLICE, of.length - k0), a + i0 * of.each * of.length + k0,
                         b + j0 * of.each * of.length + k0, of.length, product);
#pragma omp ordered
        add_tile(s, i0, j0, n, m, product);
    }
}

/* Of scratch: a product for each thread, and gathered inputs if derivatives are still to be made.
 */
static int64_t fixed_elements(const struct ntk_share *s)
{
    const struct tiling of = tiling_of(s, 0);

    return s->threads * (of.t * of.each * of.t * of.each + gathered_elements(s->step));
}

static int64_t row_elements(const struct ntk_share *s)
{
    return (s->side[0].n + (s->symmetric ? 0 : s->side[1].n)) * s->copies * s->step->out_shape.c;
}

/* Rows of W whose derivatives are made at a time, which sums depend on: not on the threads. */
static int64_t rows_at_a_time(const struct ntk_share *s)
{
    const int64_t rows = affine_inputs(s->step) + (s->step->b >= 0);
    const int64_t room = MADE_BYTES / (int64_t)sizeof(real) / row_elements(s);

    return room < 1 ? 1 : least(rows, room);
}

static void share_derivatives(const struct ntk_share *s)
{
    const int64_t rows = affine_inputs(s->step) + (s->step->b >= 0), width = s->step->out_shape.c;
    const int64_t step = rows_at_a_time(s);
    real *gathered = s->scratch, *products = gathered + s->threads * gathered_elements(s->step);
    real *a = (real *)s->scratch + fixed_elements(s);

    for (int64_t k0 = 0; k0 < rows; k0 += step) {
        const int64_t k = least(step, rows - k0), size = k * width;
        struct derivatives d = {
            .k0 = k0, .k = k, .per_sample = s->copies * size, .per_copy = size, .out = a};

        differentiate(s, &s->side[0], &d, gathered);
        if (!s->symmetric) {
            d.out += s->side[0].n * d.per_sample;
            differentiate(s, &s->side[1], &d, gathered);
        }
        contract(s, size, a, d.out, products);
    }
}

/* ---- what others call */

bool NTK_TYPED(ntk_share_derivatives_are_cheaper)(const struct ntk_share *s)
{
    return affine_windows(s->step) > 1 && cost_derivatives(s) <= cost_positions(s);
}

void NTK_TYPED(ntk_share_differentiate)(const struct ntk_share *s, int64_t per_sample,
                                        int64_t per_copy, void *out)
{
    const struct derivatives d = {.k = affine_inputs(s->step) + (s->step->b >= 0),
                                  .per_sample = per_sample,
                                  .per_copy = per_copy,
                                  .out = out};

    differentiate(s, &s->side[0], &d, s->scratch);
}

size_t NTK_TYPED(ntk_share_scratch)(const struct ntk_share *s)
{
    int64_t elements = fixed_elements(s);

    if (s->side[0].x && NTK_TYPED(ntk_share_derivatives_are_cheaper)(s))
        elements += rows_at_a_time(s) * row_elements(s);
    else if (s->side[0].x) {
        const struct areas of = areas_of(s);

        elements = s->threads * areas_sum(&of);
    }
    return (size_t)elements * sizeof(real);
}

void NTK_TYPED(ntk_share_add)(const struct ntk_share *s)
{
    if (!s->side[0].x)
        contract(s, ntk_derivative_size(s->step), s->side[0].g, s->side[1].g, s->scratch);
    else if (NTK_TYPED(ntk_share_derivatives_are_cheaper)(s))
        share_derivatives(s);
    else
        share_positions(s);
}
