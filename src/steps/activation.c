/* SPDX-License-Identifier: MIT
 *
 * Activations: y = f(x), elementwise. Those that are linear on either side of 0 have a loop of
 * their own; others call the activation's f and f' in float64.
 */
#include "activations/activation.h"
#include "steps/step.h"

struct activation {
    const struct ntk_activation *act;
    const void *self; /* its parameters; they are the net's */
};

#ifdef NTK_REAL
#include "steps/typed.h"

/* Slope on x's side of 0; their mean at 0, as activations/abrelu.c has it. */
static inline real slope_at(real x, real mean, real half)
{
    return mean + half * (real)((x > 0) - (x < 0));
}

static void values(const struct ntk_tape_step *s, int64_t n, const real *x, real *y)
{
    const struct activation *a = s->self;
    double below, above;

    if (a->act->slopes) {
        a->act->slopes(a->self, &below, &above);
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * (x[i] > 0 ? (real)above : (real)below);
    } else {
        for (int64_t i = 0; i < n; i++)
            y[i] = (real)a->act->f(a->self, (double)x[i]);
    }
}

static void derivatives(const struct ntk_tape_step *s, int64_t n, const real *x, real *slope)
{
    const struct activation *a = s->self;
    double below, above;

    if (a->act->slopes) {
        a->act->slopes(a->self, &below, &above);
        for (int64_t i = 0; i < n; i++)
            slope[i] = slope_at(x[i], (real)(below + above) / 2, (real)(above - below) / 2);
    } else {
        for (int64_t i = 0; i < n; i++)
            slope[i] = (real)a->act->df(a->self, (double)x[i]);
    }
}

static void multiply(int64_t n, const real *slope, const real *in, bool add, real *out)
{
    if (add)
        for (int64_t i = 0; i < n; i++)
            out[i] += slope[i] * in[i];
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = slope[i] * in[i];
}

#define PIECE 2048

/* out = f'(x) in for all copies of one sample; f' is computed once. */
static void derive(const struct ntk_tape_step *s, int64_t size, int64_t copies, const real *x,
                   const real *in, bool add, real *out)
{
    real slope[PIECE];

    for (int64_t i = 0; i < size; i += PIECE) {
        const int64_t n = least(PIECE, size - i);

        derivatives(s, n, x + i, slope);
        for (int64_t c = 0; c < copies; c++)
            multiply(n, slope, in + c * size + i, add, out + c * size + i);
    }
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    const int64_t n = r->n * ntk_features_of(r->step->out_shape);

#pragma omp parallel for num_threads(r->threads) if (n > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < n; i += PIECE)
        values(r->step, least(PIECE, n - i), (const real *)x[0] + i, (real *)y + i);
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    const int64_t size = ntk_features_of(r->step->out_shape);

    (void)y, (void)dtheta;
#pragma omp parallel for num_threads(r->threads) if (r->n * size > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < r->n; i++)
        derive(r->step, size, 1, (const real *)x[0] + i * size, (const real *)dx[0] + i * size,
               false, (real *)dy + i * size);
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const int64_t size = ntk_features_of(r->step->out_shape), c = r->copies;

    (void)y, (void)dtheta;
    if (!dx[0])
        return;
#pragma omp parallel for num_threads(r->threads) if (r->n * c * size > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < r->n; i++)
        derive(r->step, size, c, (const real *)x[0] + i * size, (const real *)dy + i * c * size,
               add[0], (real *)dx[0] + i * c * size);
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_activation) = {
    .forward = forward, .jvp = jvp, .vjp = vjp};

#else

NTK_STEP_LOOPS(activation)
const struct ntk_step_class ntk_step_activation = {.name = "activation",
                                                   .size = sizeof(struct activation),
                                                   .elementwise = true,
                                                   NTK_STEP_TABLES(activation)};

void ntk_tape_activation(struct ntk_tape *t, const struct ntk_activation *act, const void *self,
                         const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s = ntk_tape_append(t, &ntk_step_activation, 1, in, out);

    if (s)
        *(struct activation *)s->self = (struct activation){.act = act, .self = self};
}

#endif
