/* SPDX-License-Identifier: MIT
 *
 * FanInConcat: the channels of all x[k] side by side, at every position.
 */
#include "steps/step.h"

#ifdef NTK_REAL
#include "steps/typed.h"

static void side_by_side(const struct ntk_run *r, const void *const *x, real *y)
{
    const int64_t c = r->step->out_shape.c, rows = r->n * ntk_positions(r->step->out_shape);

    for (int64_t k = 0, first = 0; k < r->step->n_in; first += r->step->in_shape[k++].c) {
        const int64_t width = r->step->in_shape[k].c;
        const real *from = x[k];

        for (int64_t i = 0; i < rows; i++) {
            if (from)
                memcpy(y + i * c + first, from + i * width, (size_t)width * sizeof *y);
            else
                memset(y + i * c + first, 0, (size_t)width * sizeof *y);
        }
    }
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    side_by_side(r, x, y);
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    (void)x, (void)y, (void)dtheta;
    side_by_side(r, dx, dy);
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const int64_t c = r->step->out_shape.c;
    const int64_t rows = r->n * r->copies * ntk_positions(r->step->out_shape);

    (void)x, (void)y, (void)dtheta;
    for (int64_t k = 0, first = 0; k < r->step->n_in; first += r->step->in_shape[k++].c) {
        const int64_t width = r->step->in_shape[k].c;
        const real *from = (const real *)dy + first;
        real *to = dx[k];

        for (int64_t i = 0; i < (to ? rows : 0); i++)
            for (int64_t j = 0; j < width; j++)
                to[i * width + j] = from[i * c + j] + (add[k] ? to[i * width + j] : 0);
    }
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_concat) = {
    .forward = forward, .jvp = jvp, .vjp = vjp};

#else

NTK_STEP_LOOPS(concat)
const struct ntk_step_class ntk_step_concat = {
    .name = "concat", .linear = true, NTK_STEP_TABLES(concat)};

void ntk_tape_concat(struct ntk_tape *t, int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    ntk_tape_append(t, &ntk_step_concat, n_in, in, out);
}

#endif
