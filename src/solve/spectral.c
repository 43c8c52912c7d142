/* SPDX-License-Identifier: MIT
 *
 * spectral.c - see spectral.h.
 */
#include "solve/spectral.h"

#include <float.h>
#include <math.h>

#include "solve/dsyevd.h"

#define NOT_ROUNDING 10 /* floors below 0: this is no error of rounding */

double ntk_spectral_rounding(int64_t n, ntk_dtype dtype, double lambda_max)
{
    const double entries = dtype == NTK_F32 ? (double)FLT_EPSILON : DBL_EPSILON;

    return (4 * entries + (double)n * DBL_EPSILON) * fmax(lambda_max, 0);
}

struct ntk_spectral_scale ntk_spectral_scale(int64_t n, ntk_dtype dtype, double ridge,
                                             const double *values)
{
    const double rounding = ntk_spectral_rounding(n, dtype, values[n - 1] - ridge);

    return (struct ntk_spectral_scale){ridge, fmax(rounding, ridge - values[0])};
}

double ntk_spectral_weight(const struct ntk_spectral_scale *s, double value)
{
    return value > s->floor ? fmax(value, s->ridge) : 0;
}

int64_t ntk_spectral_nulls(const struct ntk_spectral_scale *s, int64_t n, const double *values)
{
    int64_t nulls = 0;

    while (nulls < n && ntk_spectral_weight(s, values[nulls]) == 0)
        nulls++;
    return nulls;
}

double ntk_spectral(ntk_spectral_form form, double weight, double t)
{
    const double x = weight > 0 ? weight * t : 0; /* 0 times infinity: a null direction stays */

    switch (form) {
    case NTK_LEARNED:
        return -expm1(-x);
    case NTK_GAIN:
        return weight > 0 ? -expm1(-x) / weight : 0;
    case NTK_LEFT:
        break;
    }
    return exp(-x);
}

static ntk_status check_semidefinite(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, const double *values)
{
    const double rounding = ntk_spectral_rounding(n, dtype, values[n - 1]);

    if (values[0] >= -NOT_ROUNDING * rounding)
        return NTK_OK;
    return ntk_fail(ctx, NTK_ENUMERIC,
                    "the %lld x %lld kernel matrix is not positive semidefinite: its eigenvalues are "
                    "%.3g to %.3g, and rounding error of %s is about %.1e%s",
                    (long long)n, (long long)n, values[0], values[n - 1],
                    dtype == NTK_F32 ? "float32" : "float64", rounding,
                    dtype == NTK_F32 ? "; compute it in float64"
                                     : "; entries computed in float32 must be given as float32");
}

ntk_status ntk_spectral_eigen(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, double *k, double *values)
{
    NTK_TRY(ntk_progress(ctx, "eigen-decompositions", 0, 1));
    NTK_TRY(ntk_eigen(ctx, n, k, values));
    NTK_TRY(ntk_progress(ctx, "eigen-decompositions", 1, 1));
    NTK_TRY(ntk_check_finite(ctx, "the eigenvalues", values, 1, n));
    return check_semidefinite(ctx, n, dtype, values);
}

int64_t ntk_spectral_weights(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, double ridge, double *values)
{
    struct ntk_spectral_scale scale;
    int64_t nulls;

    for (int64_t i = 0; i < n; i++)
        values[i] += ridge;
    scale = ntk_spectral_scale(n, dtype, ridge, values);
    nulls = ntk_spectral_nulls(&scale, n, values);
    if (nulls > 0)
        ntk_log(ctx, 1,
                "%lld of %lld eigenvalues of the kernel matrix are not above rounding error (%.1e): "
                "targets along their eigenvectors are not learnt at any time",
                (long long)nulls, (long long)n, scale.floor);
    for (int64_t i = 0; i < n; i++)
        values[i] = ntk_spectral_weight(&scale, values[i]);
    return nulls;
}

ntk_status ntk_spectral_decompose(ntk_ctx *ctx, int64_t n, ntk_dtype dtype, double ridge, double *k,
                                  double *weights, int64_t *null_directions)
{
    const struct ntk_blas blas = ntk_blas_begin(ctx->threads);
    ntk_status status = NTK_OK;

    if (n < 1 || !(ridge >= 0) || isinf(ridge))
        status = ntk_fail(ctx, NTK_EINVAL, "n must be at least 1 and ridge >= 0, got %lld and %g",
                          (long long)n, ridge);
    if (status == NTK_OK)
        status = ntk_check_given(ctx, "k", k, n * n);
    if (status == NTK_OK)
        status = ntk_ctx_check_memory(ctx, 2 * (size_t)n * (size_t)n * sizeof *k,
                                      "an eigen-decomposition of this many samples");
    if (status == NTK_OK)
        status = ntk_spectral_eigen(ctx, n, dtype, k, weights);
    ntk_blas_end(blas);
    if (status == NTK_OK)
        *null_directions = ntk_spectral_weights(ctx, n, dtype, ridge, weights);
    return status;
}
