/* SPDX-License-Identifier: MIT
 *
 * share.c - an affine step's share of the tangent kernel (Novak et al. 2022, "structured
 * derivatives"): with cols the gathered inputs [windows][K] and g the cotangents [windows][width]
 * of a sample, df/dW = scale cols' g,    Theta[i, j] = scale^2 <cols_i' g_i, cols_j' g_j> = scale^2
 * sum over p, q of (cols_i cols_j')[p, q] (g_i g_j')[p, q] Products of positions (the second form)
 * are cheaper where windows are few, always if there is one; otherwise the derivatives themselves
 * are made, for some of W's rows at a time.
 */
#include "finite/affine.h"

#define TILE         256 /* windows or cotangents along a side of a tile */
#define SCRATCH_BEST ((size_t)64 << 20)

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

static bool positions_are_cheaper(const struct ntk_share *s)
{
    return affine_windows(s->step) == 1 || cost_positions(s) < cost_derivatives(s);
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
                     const real *cc, real *gg)
{
    const int64_t D = affine_windows(s->step), width = s->step->out_shape.c, c = s->copies;
    const int64_t rows = a->n * D, columns = b->n * D;

    if (D == 1)
        gemm(false, true, rows, columns, c * width, 1, a->g, c * width, b->g, c * width, 0, gg,
             columns);
    for (int64_t k = 0; k < c && D > 1; k++)
        gemm(false, true, rows, columns, width, 1, a->g + k * rows * width, width,
             b->g + k * columns * width, width, k > 0 ? 1 : 0, gg, columns);
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t j = 0; j < b->n; j++)
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
    real *products = area + 2 * of.cols + 2 * of.g, *gg = products + of.products;
    const struct part a = part_of(s, 0, i0, least(t, s->side[0].n - i0), area, area + 2 * of.cols);
    const struct part b =
        part_of(s, 1, j0, least(t, s->side[1].n - j0), area + of.cols, area + 2 * of.cols + of.g);

    gemm(false, true, a.n * D, b.n * D, K, 1, a.cols, K, b.cols, K, 0, products, b.n * D);
    if (s->blocks)
        tile_blocks(s, &a, &b, products, gg);
    else
        tile_sum(s, &a, &b, products, gg);
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

struct derivatives {
    int64_t k0, k; /* rows of W; the row after the last is the bias */
    int64_t size;  /* of one derivative: k width */
};

/* Rows k0 ... of df/d(W, b) of every cotangent, [n][copies][k width]. */
static void differentiate(const struct ntk_share *s, const struct ntk_side *side,
                          const struct derivatives *d, real *gathered, real *out)
{
    const struct ntk_tape_step *step = s->step;
    const int64_t D = affine_windows(step), K = affine_inputs(step), width = step->out_shape.c;
    const int64_t weights = least(d->k, K - d->k0);

#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t i = 0; i < side->n; i++) {
        real *own = gathered + omp_get_thread_num() * D * K;
        const real *cols = step->position ? own : (const real *)side->x + i * D * K;

        if (step->position)
            NTK_TYPED(ntk_affine_gather)(step, side->x, i * D, D, own);
        for (int64_t c = 0; c < s->copies; c++) {
            const real *g = (const real *)side->g + (i * s->copies + c) * D * width;
            real *to = out + (i * s->copies + c) * d->size;

            gemm(true, false, weights, width, D, (real)step->affine.scale, cols + d->k0, K, g,
                 width, 0, to, width);
            if (weights == d->k)
                continue;
            memset(to + weights * width, 0, (size_t)width * sizeof *to);
            for (int64_t p = 0; p < D; p++)
                for (int64_t j = 0; j < width; j++)
                    to[weights * width + j] += (real)step->affine.bias_scale * g[p * width + j];
        }
    }
}

/* Adds the products of derivatives, tile by tile. */
static void contract(const struct ntk_share *s, int64_t size, const real *a, const real *b,
                     real *tiles)
{
    const int64_t each = s->blocks ? s->copies : 1, length = s->blocks ? size : s->copies * size;
    const int64_t t = each < TILE ? TILE / each : 1, down = (s->side[0].n + t - 1) / t;
    const int64_t across = (s->side[1].n + t - 1) / t;

#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
    for (int64_t tile = 0; tile < down * across; tile++) {
        const int64_t i0 = tile / across * t, j0 = tile % across * t;
        const int64_t n = least(t, s->side[0].n - i0), m = least(t, s->side[1].n - j0);
        real *product = tiles + omp_get_thread_num() * t * each * t * each;

        if (s->symmetric && j0 < i0)
            continue;
        gemm(false, true, n * each, m * each, length, 1, a + i0 * each * length, length,
             b + j0 * each * length, length, 0, product, m * each);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < m; j++)
                for (int64_t k = 0; k < each * each; k++)
                    entry(s, i0 + i, j0 + j)[k] +=
                        (real)s->factor *
                        product[(i * each + k / each) * m * each + j * each + k % each];
    }
}

static int64_t fixed_elements(const struct ntk_share *s)
{
    const int64_t each = s->blocks ? s->copies : 1, t = each < TILE ? TILE / each : 1;

    return s->threads *
           ((s->step->position ? affine_windows(s->step) * affine_inputs(s->step) : 0) +
            t * each * t * each);
}

static int64_t row_elements(const struct ntk_share *s)
{
    return (s->side[0].n + (s->symmetric ? 0 : s->side[1].n)) * s->copies * s->step->out_shape.c;
}

static void share_derivatives(const struct ntk_share *s)
{
    const int64_t rows = affine_inputs(s->step) + (s->step->b >= 0);
    const int64_t gathered =
        s->step->position ? s->threads * affine_windows(s->step) * affine_inputs(s->step) : 0;
    const int64_t room = (int64_t)(s->scratch_bytes / sizeof(real)) - fixed_elements(s);
    const int64_t step = least(rows, room / row_elements(s));
    real *a = (real *)s->scratch + fixed_elements(s);

    for (int64_t k0 = 0; k0 < rows; k0 += step) {
        const int64_t k = least(step, rows - k0);
        const struct derivatives d = {.k0 = k0, .k = k, .size = k * s->step->out_shape.c};
        real *b = s->symmetric ? a : a + s->side[0].n * s->copies * d.size;

        differentiate(s, &s->side[0], &d, s->scratch, a);
        if (!s->symmetric)
            differentiate(s, &s->side[1], &d, s->scratch, b);
        contract(s, d.size, a, b, (real *)s->scratch + gathered);
    }
}

/* ---- what others call */

void NTK_TYPED(ntk_share_scratch)(const struct ntk_share *s, size_t *least_bytes, size_t *best)
{
    if (positions_are_cheaper(s)) {
        const struct areas of = areas_of(s);

        *least_bytes = *best = (size_t)(s->threads * areas_sum(&of)) * sizeof(real);
        return;
    }
    *least_bytes = (size_t)(fixed_elements(s) + row_elements(s)) * sizeof(real);
    *best =
        (size_t)(fixed_elements(s) + row_elements(s) * (affine_inputs(s->step) + 1)) * sizeof(real);
    if (*best > SCRATCH_BEST)
        *best = *least_bytes > SCRATCH_BEST ? *least_bytes : SCRATCH_BEST;
}

void NTK_TYPED(ntk_share_add)(const struct ntk_share *s)
{
    if (positions_are_cheaper(s))
        share_positions(s);
    else
        share_derivatives(s);
}
