/* SPDX-License-Identifier: MIT
 *
 * Pools: y[q] = weight[q] sum over places a of x[p(q, a)], channel by channel. Linear: a tangent
 * goes forward as a value does.
 */
#include "steps/step.h"

struct pool {
    struct ntk_places places;
    double *weight; /* [windows] what the sum is multiplied with */
};

#ifdef NTK_REAL
#include "steps/typed.h"

static void one(const struct ntk_tape_step *s, const real *x, real *y)
{
    const struct pool *pool = s->self;
    const int64_t windows = ntk_positions(s->out_shape), c = s->out_shape.c;

    memset(y, 0, (size_t)(windows * c) * sizeof *y);
    for (int64_t q = 0; q < windows; q++, y += c) {
        for (int a = 0; a < pool->places.n; a++) {
            const int32_t p = pool->places.position[q * pool->places.n + a];

            for (int64_t k = 0; p >= 0 && k < c; k++)
                y[k] += x[p * c + k];
        }
        for (int64_t k = 0; k < c; k++)
            y[k] *= (real)pool->weight[q];
    }
}

static void back(const struct ntk_tape_step *s, const real *dy, bool add, real *dx)
{
    const struct pool *pool = s->self;
    const int64_t windows = ntk_positions(s->out_shape), c = s->out_shape.c;

    if (!add)
        memset(dx, 0, (size_t)ntk_features_of(*s->in_shape) * sizeof *dx);
    for (int64_t q = 0; q < windows; q++, dy += c)
        for (int a = 0; a < pool->places.n; a++) {
            const int32_t p = pool->places.position[q * pool->places.n + a];

            for (int64_t k = 0; p >= 0 && k < c; k++)
                dx[p * c + k] += (real)pool->weight[q] * dy[k];
        }
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    const int64_t in = ntk_features_of(*r->step->in_shape),
                  out = ntk_features_of(r->step->out_shape);

#pragma omp parallel for num_threads(r->threads) if (r->n * in > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < r->n; i++)
        one(r->step, (const real *)x[0] + i * in, (real *)y + i * out);
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    (void)x, (void)y, (void)dtheta;
    forward(r, dx, dy);
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    const int64_t in = ntk_features_of(*r->step->in_shape),
                  out = ntk_features_of(r->step->out_shape);
    const int64_t n = r->n * r->copies;

    (void)x, (void)y, (void)dtheta;
    if (!dx[0])
        return;
#pragma omp parallel for num_threads(r->threads) if (n * in > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < n; i++)
        back(r->step, (const real *)dy + i * out, add[0], (real *)dx[0] + i * in);
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_pool) = {
    .forward = forward, .jvp = jvp, .vjp = vjp};

#else

NTK_STEP_LOOPS(pool)
const struct ntk_step_class ntk_step_pool = {
    .name = "pool", .size = sizeof(struct pool), .linear = true, NTK_STEP_TABLES(pool)};

void ntk_tape_pool(struct ntk_tape *t, const struct ntk_window *w, double scale,
                   const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s = ntk_tape_append(t, &ntk_step_pool, 1, in, out);
    const int64_t windows = ntk_positions(out->shape);
    struct pool *pool;

    if (!s)
        return;
    pool = s->self;
    if (!ntk_tape_places(t, w, in->shape, &pool->places))
        return;
    pool->weight = ntk_tape_alloc(t, (size_t)windows, sizeof *pool->weight);
    for (int64_t q = 0; q < windows && pool->weight; q++) {
        int inside = 0;

        for (int a = 0; a < pool->places.n; a++)
            inside += pool->places.position[q * pool->places.n + a] >= 0;
        pool->weight[q] = scale / (w->true_count ? inside : 1);
    }
}

#endif
