/* SPDX-License-Identifier: MIT
 *
 * FanInSum: y = sum of x[k].
 */
#include "steps/step.h"

#ifdef NTK_REAL
#include "steps/typed.h"

static void add_up(const struct ntk_run *r, const void *const *x, real *y)
{
    const int64_t n = r->n * ntk_features_of(r->step->out_shape);

    memset(y, 0, (size_t)n * sizeof *y);
    for (int k = 0; k < r->step->n_in; k++) {
        const real *from = x[k];

#pragma omp parallel for simd num_threads(r->threads) if (n > NTK_WORTH_THREADS)
        for (int64_t i = 0; i < (from ? n : 0); i++)
            y[i] += from[i];
    }
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    add_up(r, x, y);
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    (void)x, (void)y, (void)dtheta;
    add_up(r, dx, dy);
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const int64_t n = r->n * r->copies * ntk_features_of(r->step->out_shape);
    const real *from = dy;

    (void)x, (void)y, (void)dtheta;
    for (int k = 0; k < r->step->n_in; k++) {
        real *to = dx[k];
        const bool sum = add[k];

#pragma omp parallel for simd num_threads(r->threads) if (n > NTK_WORTH_THREADS)
        for (int64_t i = 0; i < (to ? n : 0); i++)
            to[i] = from[i] + (sum ? to[i] : 0);
    }
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_sum) = {.forward = forward, .jvp = jvp, .vjp = vjp};

#else

NTK_STEP_LOOPS(sum)
const struct ntk_step_class ntk_step_sum = {.name = "sum", .linear = true, NTK_STEP_TABLES(sum)};

void ntk_tape_sum(struct ntk_tape *t, int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    ntk_tape_append(t, &ntk_step_sum, n_in, in, out);
}

#endif
