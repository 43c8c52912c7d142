/* SPDX-License-Identifier: MIT
 *
 * near.c - finding almost parallel pairs, and the layers that are not activations for them
 * (near.h).
 */
#include <string.h>

#include "simd/near.h"

typedef signed char bytes __attribute__((vector_size(LANES)));
typedef double W __attribute__((vector_size(LANES * sizeof(double))));

NTK_INLINE W wide(const real *x)
{
    return __builtin_convertvector(load(x), W);
}

NTK_INLINE double sum_of(W x)
{
    double sum = 0;

    for (size_t i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
}

bool NTK_NEAR_OP(mark)(size_t n, const void *k, double s1, const void *s2, double from,
                       unsigned char *flags)
{
    const real *pk = k, *ps = s2;
    const V s = splat((real)s1);
    V most[CHAINS] = {{0}};
    size_t i = 0;

    for (; i + CHAINS * LANES <= n; i += CHAINS * LANES) {
        NTK_UNROLL
        for (size_t c = 0; c < CHAINS; c++)
            most[c] = vmax(most[c], vabs(load(pk + i + c * LANES)) - s * load(ps + i + c * LANES));
    }
    for (; i < n; i += LANES)
        most[0] = vmax(most[0], vabs(load(pk + i)) - s * load(ps + i));
    if (!vany(vmax(vmax(most[0], most[1]), vmax(most[2], most[3])) > 0))
        return false;
    for (i = 0; i < n; i += LANES) {
        const V p = s * load(ps + i);
        const M these = (vabs(load(pk + i)) - p > 0) & (p >= (real)from);
        const bytes set = __builtin_convertvector(these, bytes) & 1;

        for (size_t j = 0; j < LANES; j++)
            flags[i + j] |= (unsigned char)set[j];
    }
    return true;
}

double NTK_NEAR_OP(square_difference)(size_t features, const void *x1, const void *x2)
{
    const real *a = x1, *b = x2;
    W sum = {0};
    double rest = 0;
    size_t i = 0;

    for (; i + LANES <= features; i += LANES)
        sum += (wide(a + i) - wide(b + i)) * (wide(a + i) + wide(b + i));
    for (; i < features; i++)
        rest += ((double)a[i] - (double)b[i]) * ((double)a[i] + (double)b[i]);
    return sum_of(sum) + rest;
}

/* x - r y, rounded once */
NTK_INLINE W wide_rest(W x, double r, W y)
{
#if defined __FMA__ || defined __aarch64__
    return x - r * y; /* -ffp-contract=fast */
#else
    W e;

    for (size_t i = 0; i < LANES; i++)
        e[i] = __builtin_fma(-r, y[i], x[i]);
    return e;
#endif
}

/* e = x1 - r x2, of which once more what is parallel to x2 is taken. Where only rounding of that is left the
 * samples are parallel. */
double NTK_NEAR_OP(rejection)(size_t features, const void *x1, const void *x2, double r,
                              double square)
{
    const real *u = x1, *v = x2;
    const size_t whole = features / LANES * LANES;
    W inner = {0}, first = {0}, second = {0};
    double along, before, after = 0;

    for (size_t i = 0; i < whole; i += LANES) {
        const W y = wide(v + i), e = wide_rest(wide(u + i), r, y);

        inner += e * y;
        first += e * e;
    }
    along = sum_of(inner);
    before = sum_of(first);
    for (size_t i = whole; i < features; i++) {
        const double y = (double)v[i], e = __builtin_fma(-r, y, (double)u[i]);

        along += e * y;
        before += e * e;
    }
    along /= square;
    for (size_t i = 0; i < whole; i += LANES) {
        const W y = wide(v + i), e = wide_rest(wide(u + i), r, y) - along * y;

        second += e * e;
    }
    for (size_t i = whole; i < features; i++) {
        const double y = (double)v[i], e = __builtin_fma(-r, y, (double)u[i]) - along * y;

        after += e * e;
    }
    after += sum_of(second);
    return after > before * 0x1p-100 ? after : 0;
}

#ifdef NTK_IS_F64

/* The sum of coef[k] in[k], and a constant that all pairs share: in fields' terms one more part. */
void NTK_NEAR_OP(mix)(size_t n, int m, const struct ntk_near_run *const *in, const double *coef,
                      double constant, struct ntk_near_run *out)
{
    for (size_t i = 0; i < n; i += LANES) {
        struct near y = {
            .s1 = splat(out->s1), .s2 = load(out->s2 + i), .plus = splat(2 * constant)};
        V inner = splat(constant), squares = splat(0), shared = splat(0), difference = splat(0);

        for (int k = 0; k < m; k++) {
            const struct near x = near_load(in[k], i);

            inner += coef[k] * x.s1 * x.s2;
        }
        const V both = y.s1 * y.s2 + inner, root = vratio(splat(1), vsqrt(vmax(both, splat(0))));
        for (int k = 0; k < m; k++) {
            const struct near x = near_load(in[k], i);

            y.minus += coef[k] * x.minus;
            y.plus += coef[k] * x.plus;
            difference += coef[k] * x.d * (x.s1 + x.s2);
            shared += constant * coef[k] * x.d * x.d;
            for (int l = 0; l < k; l++) {
                const struct near z = near_load(in[l], i);
                /* divided before it is squared, or it leaves the range */
                const V cross = near_cross(x.s1, x.s2, x.d, z.s1, z.s2, z.d, root);

                squares += coef[k] * coef[l] * cross * cross;
            }
        }
        const V more = squares + vratio(shared, both);
        y.minus += more;
        y.plus += more;
        y.d = vratio(difference, y.s1 + y.s2);
        near_store(out, i, &y);
    }
}

void NTK_NEAR_OP(product)(size_t n, int m, const struct ntk_near_run *const *in,
                          struct ntk_near_run *out)
{
    for (size_t i = 0; i < n; i += LANES) {
        struct near y = near_load(in[0], i);

        for (int k = 1; k < m; k++) {
            const struct near x = near_load(in[k], i);
            const V minus = y.minus;

            y.minus = 0.5 * (minus * x.plus + y.plus * x.minus);
            y.plus = 0.5 * (minus * x.minus + y.plus * x.plus);
            y.d = 0.5 * (y.d * (x.s1 + x.s2) + x.d * (y.s1 + y.s2));
            y.s1 *= x.s1;
            y.s2 *= x.s2;
        }
        near_store(out, i, &y);
    }
}

void NTK_NEAR_OP(normalise)(size_t n, const struct ntk_near_run *in, double eps,
                            struct ntk_near_run *out)
{
    for (size_t i = 0; i < n; i += LANES) {
        const struct near x = near_load(in, i);
        const V r1 = vratio(splat(1), x.s1 * x.s1 + eps), r2 = vratio(splat(1), x.s2 * x.s2 + eps);
        const V scale = vsqrt(r1) * vsqrt(r2);
        struct near y = {.s1 = splat(out->s1), .s2 = load(out->s2 + i)};

        y.minus = x.minus * scale;
        y.plus = x.plus * scale;
        y.d = vratio(eps * x.d * (x.s1 + x.s2) * r1 * r2, y.s1 + y.s2);
        near_store(out, i, &y);
    }
}

void NTK_NEAR_OP(self)(size_t n, const struct ntk_near_run *in, double factor,
                       struct ntk_near_run *out)
{
    for (size_t i = 0; i < n; i += LANES) {
        const struct near x = near_load(in, i);
        const V more = x.s1 * x.s2 * (factor - 1);
        const struct near y = {
            .d = x.d * __builtin_sqrt(factor), .minus = x.minus + more, .plus = x.plus + more};

        near_store(out, i, &y);
    }
}

#endif
