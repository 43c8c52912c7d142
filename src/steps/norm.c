/* SPDX-License-Identifier: MIT
 *
 * LayerNorm: y = (x - mean) / s, s = sqrt(variance + eps), over channels and the positions along
 * some axes. With m(.) the mean over a group:  dy = (dx - m(dx) - y m(y dx)) / s, and its transpose
 * is itself.
 */
#include "steps/step.h"

struct norm {
    int axes; /* of positions that are normalised together, NTK_AXIS_ bits */
    double eps;
};

#ifdef NTK_REAL
#include <math.h>

#include "ops/graph.h"
#include "steps/typed.h"

/* A group: `rows` by `columns` positions from `first` on, a row `w` positions long. */
struct group {
    int64_t first, rows, columns, w, c;
};

#define FOR_EACH(g, at)                                          \
    for (int64_t row_ = 0; row_ < (g)->rows; row_++)             \
        for (int64_t at = ((g)->first + row_ * (g)->w) * (g)->c, \
                     end_ = at + (g)->columns * (g)->c;          \
             at < end_; at++)

static double deviation(const struct group *g, const real *x, double eps, double *mean)
{
    const double n = (double)(g->rows * g->columns * g->c);
    double sum = 0, squares = 0;

    FOR_EACH(g, i)
    sum += (double)x[i];
    *mean = sum / n;
    FOR_EACH(g, i)
    squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    return sqrt(squares / n + eps);
}

static void normalise(const struct group *g, const real *x, double eps, real *y)
{
    double mean;
    const double s = deviation(g, x, eps, &mean);

    FOR_EACH(g, i)
    y[i] = s > 0 ? (real)(((double)x[i] - mean) / s) : 0;
}

static void differentiate(const struct group *g, const real *x, const real *y, double eps,
                          const real *in, bool add, real *out)
{
    const double n = (double)(g->rows * g->columns * g->c);
    double mean, m_in = 0, m_yin = 0;
    const double s = deviation(g, x, eps, &mean), inverse = s > 0 ? 1 / s : 0;

    FOR_EACH(g, i)
    {
        m_in += (double)in[i];
        m_yin += (double)y[i] * (double)in[i];
    }
    m_in /= n;
    m_yin /= n;
    FOR_EACH(g, i)
    {
        const double d = ((double)in[i] - m_in - (double)y[i] * m_yin) * inverse;

        out[i] = (real)(d + (add ? (double)out[i] : 0));
    }
}

/* Group number k of a sample, and how many there are. */
static struct group group_of(const struct ntk_tape_step *s, int64_t k, int64_t *groups)
{
    const int axes = ((const struct norm *)s->self)->axes;
    const bool all_rows = axes & NTK_AXIS_H, all_columns = axes & NTK_AXIS_W;
    const ntk_shape in = *s->in_shape;
    const int64_t across = all_columns ? 1 : in.w;
    struct group g = {
        .rows = all_rows ? in.h : 1, .columns = all_columns ? in.w : 1, .w = in.w, .c = in.c};

    *groups = (all_rows ? 1 : in.h) * across;
    g.first = k / across * in.w + k % across;
    return g;
}

static void forward(const struct ntk_run *r, const void *const *x, void *y)
{
    const double eps = ((const struct norm *)r->step->self)->eps;
    const int64_t size = ntk_features_of(r->step->out_shape);
    int64_t groups;

    group_of(r->step, 0, &groups);
#pragma omp parallel for num_threads(r->threads) if (r->n * size > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t k = 0; k < groups; k++) {
            int64_t n;
            const struct group g = group_of(r->step, k, &n);

            normalise(&g, (const real *)x[0] + i * size, eps, (real *)y + i * size);
        }
}

/* Both directions: `in` has copies of each sample. */
static void derive(const struct ntk_run *r, int64_t copies, const real *x, const real *y,
                   const real *in, bool add, real *out)
{
    const double eps = ((const struct norm *)r->step->self)->eps;
    const int64_t size = ntk_features_of(r->step->out_shape);
    int64_t groups;

    group_of(r->step, 0, &groups);
#pragma omp parallel for num_threads(r->threads) if (r->n * copies * size > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < r->n * copies; i++)
        for (int64_t k = 0; k < groups; k++) {
            int64_t n;
            const struct group g = group_of(r->step, k, &n);

            differentiate(&g, x + i / copies * size, y + i / copies * size, eps, in + i * size, add,
                          out + i * size);
        }
}

static void jvp(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy)
{
    (void)dtheta;
    derive(r, 1, x[0], y, dx[0], false, dy);
}

static void vjp(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta)
{
    (void)dtheta;
    if (dx[0])
        derive(r, r->copies, x[0], y, dy, add[0], dx[0]);
}

const struct ntk_step_loops NTK_TYPED(ntk_loops_norm) = {
    .forward = forward, .jvp = jvp, .vjp = vjp};

#else

NTK_STEP_LOOPS(norm)
const struct ntk_step_class ntk_step_norm = {
    .name = "norm", .size = sizeof(struct norm), NTK_STEP_TABLES(norm)};

void ntk_tape_norm(struct ntk_tape *t, int axes, double eps, const struct ntk_wire *in,
                   struct ntk_wire *out)
{
    struct ntk_tape_step *s = ntk_tape_append(t, &ntk_step_norm, 1, in, out);

    if (s)
        *(struct norm *)s->self = (struct norm){.axes = axes, .eps = eps};
}

#endif
