/* SPDX-License-Identifier: MIT
 *
 * cost.c - see cost.h.
 */
#include "solve/cost.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/strips.h"

#define ENOUGH 0.08 /* seconds of one rate; the best of what is measured meanwhile is that of a quiet machine */

/* ---- operations: each thread multiplies matrices of its own, so that none waits for another, which may be descheduled.
 * Factorisations of large matrices come to four fifths of that (bench/RESULTS.md). */

#define FACTORED 0.8
#define ORDER 320

/* A product, of zeros, which takes as long as any. */
static void multiply_own(ntk_dtype dtype, void *x)
{
    const int n = ORDER;

    if (dtype == NTK_F32)
        cblas_sgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, n, n, 1, x, n, x, n, 0, (float *)x + n * n, n);
    else
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, n, n, 1, x, n, x, n, 0, (double *)x + n * n, n);
}

/* Of one thread: operations a second, at best. */
static double rate_of_own(ntk_dtype dtype, void *x)
{
    const double operations = 2.0 * ORDER * ORDER * ORDER, began = ntk_seconds();
    double least = (double)INFINITY;

    do {
        const double before = ntk_seconds();

        multiply_own(dtype, x);
        least = fmin(least, ntk_seconds() - before);
    } while (ntk_seconds() - began < ENOUGH);
    return operations / least;
}

static ntk_status rate_of_operations(ntk_ctx *ctx, ntk_dtype dtype, double *rate)
{
    const size_t each = 2 * (size_t)ORDER * ORDER;
    const int threads = ctx->threads;
    char *x = ntk_alloc_zero(ctx, (size_t)threads * each, dtype);
    double all = 0;

    if (!x)
        return NTK_ENOMEM;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : all)
    for (int k = 0; k < threads; k++)
        all += rate_of_own(dtype, x + (size_t)k * each * dtype);
    free(x);
    *rate = FACTORED * all;
    return NTK_OK;
}

/* ---- products with half a matrix that is larger than caches are, by all threads */

#define LARGEST 4096
#define LEAST   512 /* where memory has a bound */
#define COLUMNS 12 /* that a product takes in one pass */

static void fill_strips(struct ntk_strips *s)
{
    const size_t numbers = ntk_strips_bytes(s->n, NTK_ENTRIES_F32) / sizeof(float);
    float *a = s->a;

    for (size_t k = 0; k < numbers; k++)
        a[k] = 1;
}

static ntk_status multiply(ntk_ctx *ctx, const struct ntk_strips *a, int64_t m, double *x, double *rate)
{
    const double began = ntk_seconds();
    double least = (double)INFINITY;

    do {
        const double before = ntk_seconds();

        NTK_TRY(ntk_strips_multiply(ctx, a, m, x, x + m * a->n));
        least = fmin(least, ntk_seconds() - before);
    } while (ntk_seconds() - began < ENOUGH);
    *rate = (double)ntk_strips_bytes(a->n, NTK_ENTRIES_F32) / least;
    return NTK_OK;
}

static ntk_status rates_of_products(ntk_ctx *ctx, int64_t columns, int64_t n, struct ntk_rates *rates)
{
    const int64_t m = ntk_least(columns, COLUMNS);
    double *x = ntk_alloc_zero(ctx, (size_t)(2 * m * n), sizeof *x);
    struct ntk_strips a = {.a = NULL};
    ntk_status status = x ? ntk_strips_new(ctx, n, NTK_ENTRIES_F32, NULL, &a) : NTK_ENOMEM;

    if (status == NTK_OK) {
        fill_strips(&a);
        status = multiply(ctx, &a, m, x, &rates->moved);
    }
    if (status == NTK_OK)
        status = multiply(ctx, &a, 1, x, &rates->streamed);
    ntk_strips_free(&a);
    free(x);
    return status;
}

ntk_status ntk_rates_measure(ntk_ctx *ctx, int64_t columns, size_t most, struct ntk_rates *rates)
{
    const double n = sqrt((double)most / 3); /* bytes of half a float32 matrix, and vectors */
    const struct ntk_blas blas = ntk_blas_begin(1);
    ntk_status status;

    status = rate_of_operations(ctx, NTK_F32, &rates->f32);
    if (status == NTK_OK)
        status = rate_of_operations(ctx, NTK_F64, &rates->f64);
    if (status == NTK_OK)
        status = rates_of_products(ctx, columns, n < LEAST ? LEAST : ntk_least(LARGEST, (int64_t)n), rates);
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
