/* SPDX-License-Identifier: MIT
 *
 * loops.c - see loops.h.
 */
#include <math.h>

#include "steps/derivatives.h"
#include "steps/loops.h"

static void combine(int threads, int64_t n, double a, const void *x, double b, void *y)
{
    const real *from = x, p = (real)a, q = (real)b;
    real *to = y;

#pragma omp parallel for simd num_threads(threads) if (n > NTK_WORTH_THREADS)
    for (int64_t i = 0; i < n; i++)
        to[i] = p * from[i] + (b != 0 ? q * to[i] : 0);
}

static bool all_finite(int64_t n, const void *x)
{
    const real *a = x;

    for (int64_t i = 0; i < n; i++)
        if (!isfinite(a[i]))
            return false;
    return true;
}

static void convert(int64_t n, const void *x, ntk_dtype from, void *out)
{
    real *to = out;

    if (from == (ntk_dtype)sizeof(real))
        memcpy(out, x, (size_t)n * sizeof(real));
    else if (from == NTK_F32)
        for (int64_t i = 0; i < n; i++)
            to[i] = (real)((const float *)x)[i];
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = (real)((const double *)x)[i];
}

static void inner(int threads, int64_t n1, int64_t n2, int64_t c, double factor, const void *a,
                  const void *b, void *k)
{
    const int64_t tile = 256, across = (n2 + tile - 1) / tile,
                  tiles = (n1 + tile - 1) / tile * across;

#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t i = t / across * tile, j = t % across * tile;

        gemm(false, true, least(tile, n1 - i), least(tile, n2 - j), c, (real)factor,
             (const real *)a + i * c, c, (const real *)b + j * c, c, 0, (real *)k + i * n2 + j, n2);
    }
}

static void contract(const struct ntk_share *s)
{
    NTK_TYPED(ntk_contract)(s, s->step->n_theta, s->side[0].g, s->side[1].g, s->scratch);
}

const struct ntk_finite NTK_TYPED(ntk_finite) = {
    .differentiate = NTK_TYPED(ntk_differentiate),
    .contract = contract,
    .contract_scratch = NTK_TYPED(ntk_contract_scratch),
    .combine = combine,
    .all_finite = all_finite,
    .convert = convert,
    .inner = inner,
};
