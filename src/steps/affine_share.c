/* SPDX-License-Identifier: MIT
 *
 * affine_share.c - an affine step's share of the tangent kernel (Novak et al. 2022, "structured
 * derivatives"): with cols the gathered inputs [windows][K] and g the cotangents [windows][width]
 * of a sample, df/dW = scale cols' g,
 *     Theta[i, j] = scale^2 <cols_i' g_i, cols_j' g_j>
 *                 = scale^2 sum over p, q of (cols_i cols_j')[p, q] (g_i g_j')[p, q].
 * Products of positions (the second form) are cheaper where windows are few, always if there is one;
 * otherwise the derivatives themselves are, which are made here for some of W's rows at a time.
 */
#include "steps/affine.h"

#ifdef NTK_REAL
#include "steps/derivatives.h"

#define TILE       256 /* windows or cotangents along a side of a tile */
/* Of derivatives that are made here: bounds the rows at a time. */
#define MADE_BYTES ((int64_t)64 << 20)

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

    return (struct areas){.cols = affine_windowed(s->step) ? t * D * affine_inputs(s->step) : 0,
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

    if (affine_windowed(step))
        NTK_TYPED(ntk_affine_gather)(step, from->x[0], i0 * D, n * D, cols);
    else
        p.cols = (const real *)from->x[0] + i0 * D * affine_inputs(step);
    if (D > 1)
        by_copy(s, from, i0, n, g);
    else
        p.g = (const real *)from->g + i0 * s->copies * size;
    return p;
}

/* k += weight cols cols' * g g' + bias g g', summed over windows. ld_g: of the product of
 * cotangents. */
static void gather_entry(const struct ntk_share *s, const real *cc, int64_t ld, const real *gg,
                         int64_t ld_g, real *k)
{
    const int64_t D = affine_windows(s->step);
    const double scale = affine_scale(s->step), weight = scale * scale;
    const double of_bias = affine_biased(s->step) ? affine_bias_scale(s->step) : 0,
                 bias = of_bias * of_bias;
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
                         columns, share_entry(s, a->i0 + i, b->i0 + j));
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
                             share_entry(s, a->i0 + i, b->i0 + j) + k);
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
    return affine_windowed(step) ? least(affine_windows(step), AFFINE_ROWS) * affine_inputs(step)
                                 : 0;
}

static void bias_derivative(const struct ntk_tape_step *step, const real *g, real *out)
{
    const int64_t width = step->out_shape.c;

    memset(out, 0, (size_t)width * sizeof *out);
    for (int64_t p = 0; p < affine_windows(step); p++)
        for (int64_t j = 0; j < width; j++)
            out[j] += (real)affine_bias_scale(step) * g[p * width + j];
}

/* Rows of the derivatives: those of W, and the bias. */
static int64_t derivative_rows(const struct ntk_tape_step *step)
{
    return affine_inputs(step) + affine_biased(step);
}

/* Rows k0 ... of df/d(W, b) of every cotangent of sample i, [k][width]. The gathered inputs serve
 * all cotangents. */
static void differentiate_sample(const struct ntk_run *r, const real *x, const real *g,
                                 const struct derivatives *d, int64_t i, real *gathered)
{
    const struct ntk_tape_step *step = r->step;
    const int64_t D = affine_windows(step), K = affine_inputs(step), width = step->out_shape.c;
    const int64_t weights = least(d->k, K - d->k0);
    real *out = d->out + i * d->per_sample;

    g += i * r->copies * D * width;
    for (int64_t p = 0; p < D; p += AFFINE_ROWS) {
        const int64_t n = least(AFFINE_ROWS, D - p);
        const real *cols = affine_windowed(step) ? gathered : x + (i * D + p) * K;

        if (affine_windowed(step))
            NTK_TYPED(ntk_affine_gather)(step, x, i * D + p, n, gathered);
        for (int64_t c = 0; c < r->copies; c++)
            gemm(true, false, weights, width, n, (real)affine_scale(step), cols + d->k0, K,
                 g + (c * D + p) * width, width, p > 0 ? 1 : 0, out + c * d->per_copy, width);
    }
    for (int64_t c = 0; c < r->copies && weights < d->k; c++)
        bias_derivative(step, g + c * D * width, out + c * d->per_copy + weights * width);
}

static void differentiate(const struct ntk_run *r, const real *x, const real *g,
                          const struct derivatives *d)
{
#pragma omp parallel for schedule(dynamic) num_threads(r->threads)
    for (int64_t i = 0; i < r->n; i++)
        differentiate_sample(
            r, x, g, d, i, (real *)r->scratch + omp_get_thread_num() * gathered_elements(r->step));
}

void NTK_TYPED(ntk_affine_differentiate)(const struct ntk_run *r, const void *const *x,
                                         const void *y, const void *g, int64_t per_sample,
                                         int64_t per_copy, void *out)
{
    const struct derivatives d = {
        .k = derivative_rows(r->step), .per_sample = per_sample, .per_copy = per_copy, .out = out};

    (void)y;
    differentiate(r, x[0], g, &d);
}

/* Of scratch: gathered inputs and a product for each thread. */
static size_t fixed_bytes(const struct ntk_share *s)
{
    return (size_t)(s->threads * gathered_elements(s->step)) * sizeof(real) +
           NTK_TYPED(ntk_contract_scratch)(s);
}

static int64_t row_elements(const struct ntk_share *s)
{
    return (s->side[0].n + (s->symmetric ? 0 : s->side[1].n)) * s->copies * s->step->out_shape.c;
}

/* Rows whose derivatives are made at a time, which sums depend on: not on the threads. */
static int64_t rows_at_a_time(const struct ntk_share *s)
{
    const int64_t room = MADE_BYTES / (int64_t)sizeof(real) / row_elements(s);

    return room < 1 ? 1 : least(derivative_rows(s->step), room);
}

static void share_derivatives(const struct ntk_share *s)
{
    const int64_t rows = derivative_rows(s->step), step = rows_at_a_time(s);
    real *products = (real *)s->scratch + s->threads * gathered_elements(s->step);
    real *a = (real *)((char *)s->scratch + fixed_bytes(s));

    for (int64_t k0 = 0; k0 < rows; k0 += step) {
        const int64_t k = least(step, rows - k0), size = k * s->step->out_shape.c;
        struct derivatives d = {
            .k0 = k0, .k = k, .per_sample = s->copies * size, .per_copy = size, .out = a};

        for (int side = 0; side < (s->symmetric ? 1 : 2); side++) {
            const struct ntk_run r = {.step = s->step,
                                      .threads = s->threads,
                                      .n = s->side[side].n,
                                      .copies = s->copies,
                                      .scratch = s->scratch};

            d.out = a + side * s->side[0].n * d.per_sample;
            differentiate(&r, s->side[side].x[0], s->side[side].g, &d);
        }
        NTK_TYPED(ntk_contract)(s, size, a, d.out, products);
    }
}

/* ---- either */

bool NTK_TYPED(ntk_affine_derivatives_are_cheaper)(const struct ntk_share *s)
{
    return affine_windows(s->step) > 1 && cost_derivatives(s) <= cost_positions(s);
}

size_t NTK_TYPED(ntk_affine_share_scratch)(const struct ntk_share *s)
{
    const struct areas of = areas_of(s);

    if (NTK_TYPED(ntk_affine_derivatives_are_cheaper)(s))
        return fixed_bytes(s) + (size_t)(rows_at_a_time(s) * row_elements(s)) * sizeof(real);
    return (size_t)(s->threads * areas_sum(&of)) * sizeof(real);
}

void NTK_TYPED(ntk_affine_share)(const struct ntk_share *s)
{
    if (NTK_TYPED(ntk_affine_derivatives_are_cheaper)(s))
        share_derivatives(s);
    else
        share_positions(s);
}

#endif
