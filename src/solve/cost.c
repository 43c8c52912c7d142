/* SPDX-License-Identifier: MIT
 *
 * cost.c - see cost.h.
 */
#include "solve/cost.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "solve/single.h"
#include "store/rfp.h"

/* Orders grow up to where rates are those of large matrices, or nearly: BLAS's blocks are full, half a matrix is more than
 * the caches hold. A machine that is busy, or slow, takes the rate of a smaller one. */
#define LEAST    192
#define FACTORED 1536
#define MOVED    6144
#define ENOUGH   0.05 /* seconds of one rate */
#define COLUMNS  12   /* that a product takes in one pass */

/* Seconds of one piece of work of order n, and what it did. */
typedef ntk_status work_fn(ntk_ctx *ctx, int64_t columns, int64_t n, double *seconds, double *done);

/* The best of growing orders, the largest again as long as there is time; each: bytes that an entry of the square needs. */
static ntk_status rate_of(ntk_ctx *ctx, work_fn *work, int64_t columns, int64_t largest, double each, size_t most, double *rate)
{
    double spent = 0;

    *rate = 0;
    for (int64_t n = LEAST; spent < ENOUGH;) {
        const int64_t next = 2 * n;
        double seconds, done;

        NTK_TRY(work(ctx, columns, n, &seconds, &done));
        *rate = fmax(*rate, done / seconds);
        spent += seconds;
        if (next <= largest && (double)next * (double)next * each <= (double)most)
            n = next;
    }
    return NTK_OK;
}

/* Positive definite, and cheap to make. */
static void fill_strips(struct ntk_strips *s)
{
    const size_t numbers = ntk_strips_bytes(s->n, NTK_F32) / sizeof(float);
    float *a = s->a;

    for (size_t k = 0; k < numbers; k++)
        a[k] = 1;
    for (int64_t i = 0; i < s->n; i++)
        ((float *)ntk_strip_at(s, i / NTK_STRIP))[i % NTK_STRIP * (s->n - i / NTK_STRIP * NTK_STRIP + 1)] = (float)s->n;
}

static double operations(int64_t n) { return (double)n * (double)n * (double)n / 3; }

static ntk_status factor_single(ntk_ctx *ctx, int64_t columns, int64_t n, double *seconds, double *done)
{
    struct ntk_strips a;
    double began;
    int minor;
    ntk_status status;

    (void)columns;
    NTK_TRY(ntk_strips_new(ctx, n, NTK_F32, &a));
    fill_strips(&a);
    began = ntk_seconds();
    status = ntk_single_factor(ctx, &a, &minor);
    *seconds = ntk_seconds() - began;
    *done = operations(n);
    ntk_strips_free(&a);
    return status;
}

static ntk_status factor_double(ntk_ctx *ctx, int64_t columns, int64_t n, double *seconds, double *done)
{
    struct ntk_rfp a;
    double began;
    int minor;
    ntk_status status;

    (void)columns;
    NTK_TRY(ntk_rfp_new(ctx, n, &a));
    for (size_t k = 0; k < ntk_rfp_size(n); k++)
        a.a[k] = 1;
    for (int64_t i = 0; i < n; i++)
        *ntk_rfp_at(&a, i, i) = (double)n;
    began = ntk_seconds();
    status = ntk_rfp_factor(ctx, &a, &minor);
    *seconds = ntk_seconds() - began;
    *done = operations(n);
    ntk_rfp_free(&a);
    return status;
}

static ntk_status multiply(ntk_ctx *ctx, int64_t columns, int64_t n, double *seconds, double *done)
{
    const int64_t m = ntk_least(columns, COLUMNS);
    double *x = ntk_alloc_zero(ctx, (size_t)(2 * m * n), sizeof *x);
    struct ntk_strips a = {.a = NULL};
    ntk_status status = x ? ntk_strips_new(ctx, n, NTK_F32, &a) : NTK_ENOMEM;

    if (status == NTK_OK) {
        double began;

        fill_strips(&a);
        began = ntk_seconds();
        status = ntk_strips_multiply(ctx, &a, m, x, x + m * n);
        *seconds = ntk_seconds() - began;
        *done = (double)ntk_strips_bytes(n, NTK_F32);
    }
    ntk_strips_free(&a);
    free(x);
    return status;
}

ntk_status ntk_rates_measure(ntk_ctx *ctx, int64_t columns, size_t most, struct ntk_rates *rates)
{
    const struct ntk_blas blas = ntk_blas_begin(ctx->threads);
    ntk_progress_fn *const progress = ctx->progress;
    ntk_status status;

    ctx->progress = NULL; /* it is not the work that is told of */
    status = rate_of(ctx, factor_single, 0, FACTORED, 2.5, most, &rates->f32);
    if (status == NTK_OK)
        status = rate_of(ctx, factor_double, 0, FACTORED, 4.5, most, &rates->f64);
    if (status == NTK_OK)
        status = rate_of(ctx, multiply, columns, MOVED, 2.5, most, &rates->moved);
    if (status == NTK_OK)
        status = rate_of(ctx, multiply, 1, MOVED, 2.5, most, &rates->streamed);
    ctx->progress = progress;
    ntk_blas_end(blas);
    return status;
}

double ntk_cost_seconds(const struct ntk_cost *c, const struct ntk_rates *r)
{
    return c->f32 / r->f32 + c->f64 / r->f64 + c->moved / r->moved + c->streamed / r->streamed;
}

/* To a tridiagonal matrix 4/3 n^3 operations, of which half are products with a vector that pass over what is left of half
 * the matrix (dsymv); divide and conquer at most 4/3 n^3 and back 2 n^3, in products of matrices. */
void ntk_eigen_cost(int64_t n, struct ntk_cost *cost)
{
    const double cube = (double)n * (double)n * (double)n;

    *cost = (struct ntk_cost){.f64 = (2.0 / 3 + 4.0 / 3 + 2) * cube, .streamed = 8.0 / 6 * cube};
}
