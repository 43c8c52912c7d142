/* SPDX-License-Identifier: MIT
 *
 * gain.c - y[p, c] = exp(m a[c]) x[p, c] with parameters a and their multiplier m: a step that is
 * trained and is not affine, in the form of those of src/steps.
 */
#include "gain.h"

#ifdef NTK_REAL

#include <math.h>

#include "steps/derivatives.h"

static double multiplier(const struct ntk_tape_step *s)
{
    return s->arrays[0].multiplier;
}

static real factor(const struct ntk_tape_step *s, const real *a, int64_t i)
{
    return (real)exp(multiplier(s) * (double)a[i % s->out_shape.c]);
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    const int64_t n = r->n * ntk_features_of(r->step->out_shape);

    for (int64_t i = 0; i < n; i++)
        ((real *)y)[i] = factor(r->step, r->theta, i) * ((const real *)x[0])[i];
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    const int64_t n = r->n * ntk_features_of(r->step->out_shape), c = r->step->out_shape.c;

    (void)x;
    for (int64_t i = 0; i < n; i++) {
        const real da = dtheta ? (real)multiplier(r->step) * ((const real *)dtheta)[i % c] : 0;
        const real in = dx[0] ? ((const real *)dx[0])[i] : 0;

        ((real *)dy)[i] = factor(r->step, r->theta, i) * in + da * ((const real *)y)[i];
    }
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const int64_t n = r->n * r->copies * ntk_features_of(r->step->out_shape), c = r->step->out_shape.c;
    const real *g = dy;
    real *to = dx[0];

    (void)x;
    for (int64_t i = 0; i < n && to; i++)
        to[i] = factor(r->step, r->theta, i) * g[i] + (add[0] ? to[i] : 0);
    for (int64_t i = 0; i < n && dtheta; i++)
        ((real *)dtheta)[i % c] += (real)multiplier(r->step) * ((const real *)y)[i] * g[i];
}

/* The derivative of one cotangent of one sample: m exp(m a) times the sum over positions of x g. */
static void derivative(const struct ntk_tape_step *s, const real *a, const real *x, const real *g,
                       real *out)
{
    const int64_t size = ntk_features_of(s->out_shape), c = s->out_shape.c;

    memset(out, 0, (size_t)c * sizeof *out);
    for (int64_t i = 0; i < size; i++)
        out[i % c] += (real)multiplier(s) * factor(s, a, i) * x[i] * g[i];
}

static void differentiate(const struct ntk_run *r, const void *const *x, const void *y,
                          const void *g, int64_t per_sample, int64_t per_copy, void *out)
{
    const int64_t size = ntk_features_of(r->step->out_shape);

    (void)y;
    for (int64_t i = 0; i < r->n * r->copies; i++)
        derivative(r->step, r->theta, (const real *)x[0] + i / r->copies * size,
                   (const real *)g + i * size,
                   (real *)out + i / r->copies * per_sample + i % r->copies * per_copy);
}

static size_t share_scratch(const struct ntk_share *s)
{
    return 2 * (size_t)s->step->out_shape.c * sizeof(real);
}

/* Of copy k[0] of sample i[0] and copy k[1] of sample i[1]. */
static double product(const struct ntk_share *s, const int64_t *i, const int64_t *k)
{
    const int64_t size = ntk_features_of(s->step->out_shape), c = s->step->out_shape.c;
    const real *d = s->scratch;
    double sum = 0;

    for (int side = 0; side < 2; side++)
        derivative(s->step, s->theta, (const real *)s->side[side].x[0] + i[side] * size,
                   (const real *)s->side[side].g + (i[side] * s->copies + k[side]) * size,
                   (real *)s->scratch + side * c);
    for (int64_t j = 0; j < c; j++)
        sum += (double)d[j] * (double)d[c + j];
    return s->factor * sum;
}

static void share(const struct ntk_share *s)
{
    const int64_t c = s->copies;

    for (int64_t i = 0; i < s->side[0].n; i++)
        for (int64_t j = s->symmetric ? i : 0; j < s->side[1].n; j++)
            for (int64_t k = 0; k < c * c; k++)
                if (s->blocks)
                    share_entry(s, i, j)[k] +=
                        (real)product(s, (int64_t[]){i, j}, (int64_t[]){k / c, k % c});
                else if (k / c == k % c)
                    *share_entry(s, i, j) +=
                        (real)product(s, (int64_t[]){i, j}, (int64_t[]){k / c, k % c});
}

static bool derivatives_are_cheaper(const struct ntk_share *s)
{
    return ntk_positions(s->step->out_shape) > 1;
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_gain) = {
    .forward = forward,
    .jvp = jvp,
    .vjp = vjp,
    .differentiate = differentiate,
    .share = share,
    .share_scratch = share_scratch,
    .derivatives_are_cheaper = derivatives_are_cheaper,
};

#else

NTK_STEP_LOOPS(gain)
const struct ntk_step_class ntk_step_gain = {.name = "gain",
                                             .linear = true,
                                             .elementwise = true,
                                             .by_channel = true,
                                             NTK_STEP_TABLES(gain)};

void ntk_tape_gain(struct ntk_tape *t, const char *layer, bool trainable, const struct ntk_wire *in,
                   struct ntk_wire *out)
{
    const struct ntk_step_array a = {
        .name = "a", .ndim = 1, .shape = {out->shape.c}, .deviation = 0.6, .multiplier = 0.5};

    if (ntk_tape_append(t, &ntk_step_gain, 1, in, out))
        ntk_tape_params(t, layer, trainable, 1, &a);
}

#endif
