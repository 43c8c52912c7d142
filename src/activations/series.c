/* SPDX-License-Identifier: MIT
 *
 * series.c - duals by Hermite expansion (series.h).
 */
#include "activations/series.h"

#ifdef NTK_REAL

#include "simd/dual.h"

/* Vectors [i, i + count LANES) of the pairs: several at once, as each Horner step waits for the
 * step before. */
NTK_INLINE void block(const struct ntk_dual_args *p, size_t i, size_t count, bool per_lane,
                      bool want_f, bool want_d)
{
    const real *s1 = (const real *)p->side1 + i / LANES * p->step1;
    const real *s2 = (const real *)p->side2 + i, *k = (const real *)p->k + i;
    const size_t terms = (size_t)p->sides - 2;
    const real stride = ((const real *)p->par)[0]; /* 2: only even powers of rho occur */
    V rho[4], power[4], f[4], d[4];

#define A(s, b) \
    (per_lane ? load(s1 + (s)*p->stride1 + (b)*LANES) : splat(s1[(s)*p->stride1 + (b)*p->step1]))
#define B(s, b) load(s2 + (s)*p->stride2 + (b)*LANES)
    NTK_UNROLL
    for (size_t b = 0; b < count; b++) {
        rho[b] = load(k + b * LANES) * (A(0, b) * B(0, b));
        power[b] = stride > 1 ? rho[b] * rho[b] : rho[b];
        f[b] = d[b] = splat(0);
    }
    real order = (real)(terms - 1) * stride + 1;
    for (size_t m = terms + 1; m >= 2; m--, order -= stride) {
        NTK_UNROLL
        for (size_t b = 0; b < count; b++) {
            const V e = A(m, b) * B(m, b);
            f[b] = f[b] * power[b] + e;
            d[b] = d[b] * power[b] + e * order;
        }
    }
    NTK_UNROLL
    for (size_t b = 0; b < count; b++) {
        if (want_f)
            store((real *)p->f + i + b * LANES, A(1, b) * B(1, b) + load(k + b * LANES) * f[b]);
        if (want_d)
            store((real *)p->d + i + b * LANES, d[b]);
    }
#undef A
#undef B
}

NTK_INLINE void run(const struct ntk_dual_args *p, bool per_lane, bool want_f, bool want_d)
{
    size_t i = 0;

    for (; i + 4 * LANES <= p->n; i += 4 * LANES)
        block(p, i, 4, per_lane, want_f, want_d);
    for (; i < p->n; i += LANES)
        block(p, i, 1, per_lane, want_f, want_d);
}

ntk_dual_fn NTK_DUAL_SYMBOL(series);
void NTK_DUAL_SYMBOL(series)(const struct ntk_dual_args *p)
{
    NTK_DUAL_CASES(run, p)
}

#else

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Trapezoidal rule on [-13, 13]: beyond it exp(-z^2 / 2) h_m(z) is below 1e-18 for every m used.
 * It converges like exp(-2 pi d / STEP), d the distance of f(s z)'s nearest pole from the line. */
#define STEP         (1.0 / 32)
#define NODES        833
#define INTERPOLATED 1e-6 /* least q / q_max that the interpolation covers */
#define COLUMNS_MAX  96
#define DEGREE_MAX   1500 /* most terms that are integrated */
#define TAIL_MAX     1e-4 /* most that may be left out, with a warning */

/* Row of values that depend on q: E[f^2] = a^2 + q V, D, a, e_0, e_1, ... */
enum {
    ROW_V,
    ROW_D,
    ROW_A,
    ROW_E
};

struct series {
    ntk_series_fn *f, *df;
    const void *self;
    int terms;     /* number of e_m that are kept: m = 0, stride, 2 stride, ... */
    int stride;    /* 2 if f' is even (tanh, sigmoid): its odd coefficients are 0 */
    int columns;   /* order of the Chebyshev interpolation */
    double lo, hi; /* its interval of log q */
    double *coef;  /* [columns][ROW_E + terms] */
};

/* rows[r][c], r < ROW_E + terms, for n values of q > 0: row r is at rows + r * n. work: 2 NODES +
 * NODES n numbers. */
static void integrate(const struct series *s, size_t n, const double *q, int terms, double *rows,
                      double *work)
{
    double *older = work, *newer = work + NODES, *df = work + 2 * NODES;

    memset(rows, 0, (size_t)(ROW_E + terms) * n * sizeof *rows);
    for (size_t i = 0; i < NODES; i++) {
        const double z = ((double)i - (NODES - 1) / 2) * STEP;
        const double weight = STEP * exp(-0.5 * z * z) * 0.5 * M_2_SQRTPI * M_SQRT1_2;
        older[i] = 0;
        newer[i] = weight;
        for (size_t c = 0; c < n; c++) {
            const double x = sqrt(q[c]) * z;
            df[i * n + c] = s->df(s->self, x);
            rows[ROW_D * n + c] += weight * df[i * n + c] * df[i * n + c];
            rows[ROW_A * n + c] += weight * s->f(s->self, x);
        }
    }
    for (size_t i = 0; i < NODES; i++)
        for (size_t c = 0; c < n; c++) {
            const double z = ((double)i - (NODES - 1) / 2) * STEP;
            const double rest = s->f(s->self, sqrt(q[c]) * z) - rows[ROW_A * n + c];
            rows[ROW_V * n + c] += newer[i] * (rest / sqrt(q[c])) * (rest / sqrt(q[c]));
        }
    for (int m = 0; m < terms; m++) {
        double *e = rows + (size_t)(ROW_E + m) * n;
        const double scale = 1 / sqrt(m + 1.0);
        for (size_t i = 0; i < NODES; i++) {
            const double z = ((double)i - (NODES - 1) / 2) * STEP;
            const double h = newer[i];
            for (size_t c = 0; c < n; c++)
                e[c] += scale * h * df[i * n + c];
            newer[i] = scale * (z * h - sqrt((double)m) * older[i]);
            older[i] = h;
        }
    }
}

/* Degree (least number of e_m, from m = 0) that brings the tails of both sums at rho = 1 below tol,
 * relative to the sums, in every column; most if none does. *worst is the column with the largest
 * tail then, *tail its size. */
static int find_degree(size_t n, const double *q, const double *rows, int most, double tol,
                       size_t *worst, double *tail)
{
    int degree = 8; /* costs little, and small variances then get all digits */

    *tail = 0;
    for (size_t c = 0; c < n; c++) {
        const double a = rows[ROW_A * n + c], v = rows[ROW_V * n + c], d = rows[ROW_D * n + c];
        const double ff = a * a + q[c] * v;
        double left_v = v, left_d = d, left = 1;
        int m = 0;
        while (m < most && left > tol) {
            const double e = rows[(size_t)(ROW_E + m) * n + c];
            m++;
            left_v -= e * e;
            left_d -= m * e * e;
            left = fmax(ff > 0 ? q[c] * left_v / ff : 0, d > 0 ? left_d / d : 0);
        }
        degree = m > degree ? m : degree;
        if (left > *tail) {
            *tail = left;
            *worst = c;
        }
    }
    return degree;
}

/* f' is even if no odd coefficient is more than rounding, in any column. */
static int find_stride(size_t n, const double *rows, int degree)
{
    double even = 0, odd = 0;

    for (int m = 0; m < degree; m++)
        for (size_t c = 0; c < n; c++) {
            const double e = fabs(rows[(size_t)(ROW_E + m) * n + c]);

            if (m % 2)
                odd = fmax(odd, e);
            else
                even = fmax(even, e);
        }
    return odd <= 1e-14 * even ? 2 : 1;
}

/* Moves the rows of the terms that are kept together. */
static void keep_nonzero(const struct series *s, size_t n, double *rows)
{
    for (int j = 1; s->stride > 1 && j < s->terms; j++)
        memcpy(rows + (size_t)(ROW_E + j) * n, rows + (size_t)(ROW_E + j * s->stride) * n,
               n * sizeof *rows);
}

/* Chebyshev coefficients of every row from its values at the extrema of T_columns-1. */
static void interpolate(struct series *s, const double *rows)
{
    const int n = s->columns, height = ROW_E + s->terms;

    for (int j = 0; j < n; j++)
        for (int r = 0; r < height; r++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                const double half = i == 0 || i == n - 1 ? 0.5 : 1;
                sum += half * rows[(size_t)(r * n + i)] *
                       cos(M_PI * ((i * j) % (2 * n - 2)) / (n - 1));
            }
            s->coef[j * height + r] = sum * (j == 0 || j == n - 1 ? 1.0 : 2.0) / (n - 1);
        }
}

/* The functions of log q are analytic in a strip of half-width pi: the order that takes the error
 * of the interpolation on [lo, hi] below 1e-14. */
static int columns_for(double lo, double hi)
{
    const double order = 32 / asinh(2 * M_PI / (hi - lo)) + 4;
    return order < COLUMNS_MAX ? (int)order : COLUMNS_MAX;
}

/* The function's part of the work: q in n columns, their rows up to the degree that is needed, at
 * most `most`. */
static ntk_status expand(struct series *s, size_t n, const double *q, int most,
                         const struct ntk_where *at, double tol, double *rows)
{
    double *work = ntk_alloc(at->ctx, (2 + n) * NODES, sizeof *work), tail;
    size_t worst = 0;
    int degree;

    if (!work)
        return NTK_ENOMEM;
    integrate(s, n, q, most, rows, work);
    free(work);
    degree = find_degree(n, q, rows, most, tol, &worst, &tail);
    s->stride = find_stride(n, rows, degree);
    s->terms = (degree + s->stride - 1) / s->stride;
    keep_nonzero(s, n, rows);
    if (tail <= tol || most < DEGREE_MAX)
        return NTK_OK;
    if (tail > TAIL_MAX)
        return ntk_fail_at(at, NTK_ENUMERIC,
                           "the Hermite series needs more than %d terms at variance %g: what is "
                           "left out is %.1e of its value. Smaller W_std, b_std or a LayerNorm "
                           "keep variances small",
                           most, q[worst], tail);
    ntk_log(at->ctx, 1,
            "%s: at variance %g the Hermite series leaves out %.1e of its value for nearly parallel "
            "samples (%.0e is aimed at)",
            at->name, q[worst], tail, tol);
    return NTK_OK;
}

/* Few terms are tried first: the integrals of many take a second. */
static ntk_status expand_enough(struct series *s, size_t n, const double *q,
                                const struct ntk_where *at, double tol, double **rows)
{
    static const int tries[] = {200, DEGREE_MAX};
    ntk_status status = NTK_OK;

    *rows = NULL;
    for (size_t k = 0; k < sizeof tries / sizeof *tries && status == NTK_OK; k++) {
        free(*rows);
        *rows = ntk_alloc(at->ctx, (size_t)(ROW_E + tries[k]) * n, sizeof **rows);
        status = *rows ? expand(s, n, q, tries[k], at, tol, *rows) : NTK_ENOMEM;
        if (status == NTK_OK && s->terms * s->stride < tries[k])
            break;
    }
    if (status == NTK_OK && s->terms > 200)
        ntk_log(at->ctx, 0, "%s: %d terms of the Hermite series are used, which is slow", at->name,
                s->terms);
    return status;
}

ntk_status ntk_series_setup(ntk_series_fn *f, ntk_series_fn *df, const void *self,
                            const struct ntk_where *at, const struct ntk_dual_range *range,
                            struct ntk_dual *dual)
{
    const double top = range->q_max >= DBL_MIN ? range->q_max : 1;
    const double bottom = fmax(fmax(range->q_min, DBL_MIN), INTERPOLATED * top);
    const double tol = range->dtype == NTK_F32 ? 1e-6 : 1e-9;
    double q[COLUMNS_MAX] = {0}, *rows = NULL;
    ntk_status status;

    struct series *s = ntk_alloc_zero(at->ctx, 1, sizeof *s);
    if (!s)
        return NTK_ENOMEM;
    s->f = f;
    s->df = df;
    s->self = self;
    s->lo = log(bottom) - 1e-3; /* some room for rounding */
    s->hi = log(top) + 1e-3;
    s->columns = columns_for(s->lo, s->hi);
    const size_t n = (size_t)s->columns;
    for (size_t i = 0; i < n; i++)
        q[i] = exp((s->lo + s->hi + (s->hi - s->lo) * cos(M_PI * (double)i / (double)(n - 1))) / 2);

    status = expand_enough(s, n, q, at, tol, &rows);
    if (status == NTK_OK) {
        s->coef = ntk_alloc(at->ctx, n * (size_t)(ROW_E + s->terms), sizeof *s->coef);
        status = s->coef ? NTK_OK : NTK_ENOMEM;
    }
    if (status == NTK_OK) {
        interpolate(s, rows);
        dual->sides = s->terms + 2;
        dual->par[0] = s->stride;
        dual->state = s;
        s = NULL;
    }
    free(rows);
    free(s);
    return status;
}

void ntk_series_finish(struct ntk_dual *dual)
{
    struct series *s = dual->state;

    if (s)
        free(s->coef);
    free(s);
    dual->state = NULL;
}

/* out = rows [first, last) at q > 0 */
static void row_at(const struct series *s, double q, int first, int last, double *out)
{
    const int height = ROW_E + s->terms;
    const double x = fmin((2 * log(q) - s->lo - s->hi) / (s->hi - s->lo), 1);

    if (x < -1) { /* tiny beside q_max: rare enough to integrate */
        double rows[ROW_E + DEGREE_MAX], work[3 * NODES];
        integrate(s, 1, &q, (s->terms - 1) * s->stride + 1, rows, work);
        keep_nonzero(s, 1, rows);
        memcpy(out, rows + first, (size_t)(last - first) * sizeof *out);
        return;
    }
    double older = x, newer = 1; /* T_1 and T_0 */
    memset(out, 0, (size_t)(last - first) * sizeof *out);
    for (int j = 0; j < s->columns; j++) {
        const double *coef = s->coef + j * height + first, next = 2 * x * newer - older;
        for (int r = 0; r < last - first; r++)
            out[r] += newer * coef[r];
        older = newer;
        newer = next;
    }
}

void ntk_series_side(const void *self, const struct ntk_dual *dual, double q, double *side)
{
    const struct series *s = dual->state;

    (void)self;
    if (q >= DBL_MIN) {
        side[0] = 1 / sqrt(q);
        row_at(s, q, ROW_A, ROW_E + s->terms, side + 1);
        return;
    }
    memset(side, 0, (size_t)dual->sides * sizeof *side);
    side[1] = s->f(s->self, 0);
    side[2] = s->df(s->self, 0);
}

void ntk_series_moments(const void *self, const struct ntk_dual *dual, double q, double *ff,
                        double *dd)
{
    const struct series *s = dual->state;
    double row[3] = {0, s->df(s->self, 0) * s->df(s->self, 0), s->f(s->self, 0)};

    (void)self;
    if (q >= DBL_MIN)
        row_at(s, q, ROW_V, ROW_A + 1, row);
    *ff = row[ROW_A] * row[ROW_A] + q * row[ROW_V];
    *dd = row[ROW_D];
}

const struct ntk_activation *const ntk_activations_series[] = {NULL};

#endif
