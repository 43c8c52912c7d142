/* SPDX-License-Identifier: MIT
 *
 * derivatives.c - a step's share of the tangent kernel from explicit derivatives: those of each
 * output with respect to the step's parameters, and their products.
 */
#include "steps/derivatives.h"

#define TILE  256  /* derivatives along a side of a tile */
#define SLICE 4096 /* numbers of a derivative */

/* ---- derivatives */

static void by_vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *g,
                   int64_t per_sample, int64_t per_copy, void *out)
{
    const struct ntk_tape_step *s = r->step;
    const struct ntk_step_loops *l = ntk_step_loops(s, sizeof(real));
    const int64_t size = ntk_features_of(s->out_shape);
    void *none[NTK_BRANCHES_MAX] = {NULL};
    const bool add[NTK_BRANCHES_MAX] = {false};
    const void *in[NTK_BRANCHES_MAX];
    struct ntk_run one = *r;

    one.n = one.copies = 1;
    for (int64_t i = 0; i < r->n; i++) {
        for (int k = 0; k < s->n_in; k++)
            in[k] = (const real *)x[k] + i * ntk_features_of(s->in_shape[k]);
        for (int64_t c = 0; c < r->copies; c++) {
            real *to = (real *)out + i * per_sample + c * per_copy;

            memset(to, 0, (size_t)s->n_theta * sizeof *to);
            l->vjp(&one, in, (const real *)y + i * size,
                   (const real *)g + (i * r->copies + c) * size, none, add, to);
        }
    }
}

void NTK_TYPED(ntk_differentiate)(const struct ntk_run *r, const void *const *x, const void *y,
                                  const void *g, int64_t per_sample, int64_t per_copy, void *out)
{
    const struct ntk_step_loops *l = ntk_step_loops(r->step, sizeof(real));

    (l->differentiate ? l->differentiate : by_vjp)(r, x, y, g, per_sample, per_copy, out);
}

/* ---- their products */

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
                share_entry(s, i0 + i, j0 + j)[k] +=
                    (real)s->factor *
                    product[(i * each + k / each) * m * each + j * each + k % each];
}

/* Slices of a tile are added in their order, so that the sum does not depend on the threads. */
void NTK_TYPED(ntk_contract)(const struct ntk_share *s, int64_t size, const real *a, const real *b,
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

size_t NTK_TYPED(ntk_contract_scratch)(const struct ntk_share *s)
{
    const struct tiling of = tiling_of(s, 0);

    return (size_t)(s->threads * of.t * of.each * of.t * of.each) * sizeof(real);
}
