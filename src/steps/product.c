/* SPDX-License-Identifier: MIT
 *
 * FanInProd: y = product of x[k].
 */
#include "steps/step.h"

#ifdef NTK_REAL
#include "steps/typed.h"

/* Product of all inputs but number k (k < 0: of all) at i. */
static real others(const struct ntk_tape_step *s, const void *const *x, int k, int64_t i)
{
    real product = 1;

    for (int j = 0; j < s->n_in; j++)
        product *= j == k ? 1 : ((const real *)x[j])[i];
    return product;
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    const int64_t n = r->n * ntk_features_of(r->step->out_shape);

#pragma omp parallel for num_threads(r->threads) if (n > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < n; i++)
        ((real *)y)[i] = others(r->step, x, -1, i);
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    const int64_t n = r->n * ntk_features_of(r->step->out_shape);

    (void)y, (void)dtheta;
#pragma omp parallel for num_threads(r->threads) if (n > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < n; i++) {
        real sum = 0;

        for (int k = 0; k < r->step->n_in; k++)
            if (dx[k])
                sum += others(r->step, x, k, i) * ((const real *)dx[k])[i];
        ((real *)dy)[i] = sum;
    }
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const int64_t size = ntk_features_of(r->step->out_shape), n = r->n * r->copies;

    (void)y, (void)dtheta;
    for (int k = 0; k < r->step->n_in; k++) {
        real *to = dx[k];

#pragma omp parallel for num_threads(r->threads) if (n * size > NTK_WORTH_THREADS)
        for (int64_t i = 0; i < (to ? n : 0); i++)
            for (int64_t j = 0; j < size; j++) {
                const real g = others(r->step, x, k, i / r->copies * size + j) *
                               ((const real *)dy)[i * size + j];

                to[i * size + j] = g + (add[k] ? to[i * size + j] : 0);
            }
    }
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_product) = {
    .forward = forward, .jvp = jvp, .vjp = vjp};

#else

NTK_STEP_LOOPS(product)
const struct ntk_step_class ntk_step_product = {.name = "product", NTK_STEP_TABLES(product)};

void ntk_tape_product(struct ntk_tape *t, int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    ntk_tape_append(t, &ntk_step_product, n_in, in, out);
}

#endif
