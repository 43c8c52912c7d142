/* SPDX-License-Identifier: MIT
 *
 * series.c - duals by Hermite expansion (series.h).
 */
#include "activations/series.h"

#define PAR_CUT 1 /* par: 1 if the near sides end with what the series leaves out */

#ifdef NTK_REAL

#include "activations/dual.h"

/* Vectors [i, i + count LANES) of the pairs: several at once, as each Horner step waits for the
 * step before. */
NTK_INLINE void block(const struct ntk_dual_args *p, const struct dual_out *out, size_t i, size_t count, bool per_lane,
                      enum dual_want want)
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
    for (size_t b = 0; b < count; b++)
        dual_store(out, i + b * LANES, want, A(1, b) * B(1, b) + load(k + b * LANES) * f[b], d[b]);
#undef A
#undef B
}

NTK_INLINE void run(const struct ntk_dual_args *p, bool per_lane, enum dual_want want)
{
    const struct dual_out out = dual_out(p, want);
    size_t i = 0;

    for (; i + 4 * LANES <= p->n; i += 4 * LANES)
        block(p, &out, i, 4, per_lane, want);
    for (; i < p->n; i += LANES)
        block(p, &out, i, 1, per_lane, want);
}

ntk_dual_fn NTK_DUAL_SYMBOL(series);
void NTK_DUAL_SYMBOL(series)(const struct ntk_dual_args *p)
{
    NTK_DUAL_CASES(run, p)
}

#ifdef NTK_IS_F64

#include "activations/near_dual.h"

/* Sums over the Hermite coefficients c_j = s e_(j - 1) of f(s z), c_0 = a: of (c / s' - c' /
 * s'')^2, and for even or odd j of c c', of c c' (1 - |rho|^j), and of its derivative by k. */
struct sums {
    V all, less, slope;
};

/* What all terms need: the factors of e in c / s', rho^(j - 1) and 1 - rho^j, 1 - rho, for |rho|.
 */
struct near_state {
    V size1, size2, product, rho, gap, power, less, apart;
};

NTK_INLINE void near_next(struct near_state *n)
{
    n->power *= n->rho;
    n->less += n->power * n->gap;
}

/* The k-th side, of c_j. */
NTK_INLINE void near_term(const struct ntk_near_args *p, size_t i, int k, int j,
                          struct near_state *n, struct sums *s)
{
    const V e1 = splat(p->side1[(size_t)k * p->stride1]);
    const V e2 = load(p->side2 + (size_t)k * p->stride2 + i), both = e1 * e2,
            cc = both * n->product;
    const V e = e1 * n->size1 - e2 * n->size2;

    n->apart += e * e;
    s->all += cc;
    s->less += cc * n->less;
    s->slope += (real)j * both * n->power;
    near_next(n);
}

/* The last two sides, where the series is cut while the rest still matters: its root mean squares
 * in F and D. It counts as one more term, which is exact for equal samples and near rho = 1. */
NTK_INLINE void near_tail(const struct ntk_near_args *p, size_t i, struct near_state *n,
                          struct sums *s)
{
    const int last = p->sides - 1;
    const V power = n->power, d1 = splat(p->side1[(size_t)last * p->stride1]);
    const V d2 = load(p->side2 + (size_t)last * p->stride2 + i);

    near_term(p, i, last - 1, 0, n, s);
    s->slope += d1 * d2 * power;
}

/* F = s1' s2' (1 - apart / 2) - sum c c' (1 - rho^j), and 1 - |rho|^j is a sum of g |rho|^i, g = 1
 * - |rho|. With more terms than the series of other pairs has: near rho = 1 the tail is not damped.
 */
NTK_INLINE void near_block(const struct ntk_near_args *p, size_t i)
{
    const struct near x = near_load(p->k, i);
    const struct near_angle t = near_angle(&x);
    struct near y = {.s1 = splat(p->f->s1), .s2 = load(p->f->s2 + i)};
    const V gap = vmin(t.minus, t.plus), one = splat(1);
    const V i1 = splat(p->f->s1 > 0 ? 1 / p->f->s1 : 0), i2 = vratio(one, y.s2);
    const V a1 = splat(p->side1[0]), a2 = load(p->side2 + i), first = a1 * i1 - a2 * i2;
    const bool cut = p->par[PAR_CUT] > 0;
    const int stride = p->par[0] > 1 ? 2 : 1, terms = p->sides - (cut ? 3 : 1);
    struct sums even = {.all = a1 * a2}, odd = {.all = splat(0)};
    struct near_state n = {.size1 = x.s1 * i1,
                           .size2 = x.s2 * i2,
                           .product = x.s1 * x.s2,
                           .rho = 1 - gap,
                           .gap = gap,
                           .power = one,
                           .less = gap,
                           .apart = first * first};

    for (int k = 1, j = 1; k <= terms; k++, j++) {
        near_term(p, i, k, j, &n, &odd);
        if (stride == 1 && k < terms)
            near_term(p, i, ++k, ++j, &n, &even);
        else
            near_next(&n), j++;
    }
    if (cut)
        near_tail(p, i, &n, &odd);
    const V base = (real)0.5 * y.s1 * y.s2 * n.apart, sign = t.plus - t.minus;
    const V rest = 2 * odd.all - odd.less;
    const V minus = base + even.less + vwhere(sign, odd.less, rest);
    const V plus = base + (2 * even.all - even.less) + vwhere(sign, rest, odd.less);
    /* the larger one has the rounding and the tails of all sums, s1' and s2' have not */
    const V twice = 2 * y.s1 * y.s2;
    y.minus = pick(minus < plus, minus, twice - plus);
    y.plus = pick(minus < plus, twice - minus, plus);
    y.d = y.s1 - y.s2;
    near_store(p->f, i, &y);
    store(p->dot + i, odd.slope + vsign(one, sign) * even.slope);
}

ntk_near_fn NTK_NEAR_SYMBOL(series);
void NTK_NEAR_SYMBOL(series)(const struct ntk_near_args *p)
{
    for (size_t i = 0; i < p->n; i += LANES)
        near_block(p, i);
}

#endif

#else

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Trapezoidal rule on [-13, 13]: beyond it exp(-z^2 / 2) h_m(z) is below 1e-18 for every m used.
 * It converges like exp(-2 pi d / STEP), d the distance of f(s z)'s nearest pole from the line. */
#define STEP           (1.0 / 32)
#define NODES          833
#define INTERPOLATED   1e-6 /* least q / q_max that the interpolation covers */
#define COLUMNS_MAX    96
#define DEGREE_MAX     1500  /* most terms that are integrated */
#define TAIL_MAX       1e-4  /* most that may be left out, with a warning */
#define CUT_TOLERANCE  1e-13 /* relative: below it a tail is rounding */
#define TAILS          2     /* rows after those of near_terms: their tails in V and D */
#define NEAR_TOLERANCE 2e-14 /* of near_terms' tail in float64 */

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
    int terms;              /* number of e_m that are kept: m = 0, stride, 2 stride, ... */
    int near_terms;         /* for almost parallel samples; at least as many */
    double tail, steepness; /* what terms leave out of D (at rho = 1), relative; D' / D there */
    bool cut;               /* near_terms leave out more than rounding */
    int stride;             /* 2 if f' is even (tanh, sigmoid): its odd coefficients are 0 */
    int columns;            /* order of the Chebyshev interpolation */
    double lo, hi;          /* its interval of log q */
    double *coef;           /* [columns][ROW_E + near_terms + TAILS] */
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
    for (int j = 1; s->stride > 1 && j < s->near_terms; j++)
        memcpy(rows + (size_t)(ROW_E + j) * n, rows + (size_t)(ROW_E + j * s->stride) * n,
               n * sizeof *rows);
}

/* Chebyshev coefficients of every row from its values at the extrema of T_columns-1. */
static void interpolate(struct series *s, const double *rows)
{
    const int n = s->columns, height = ROW_E + s->near_terms + TAILS;

    for (int j = 0; j < n; j++) {
        const double scale = (j == 0 || j == n - 1 ? 1.0 : 2.0) / (n - 1);
        double weight[COLUMNS_MAX];

        for (int i = 0; i < n; i++)
            weight[i] = (i == 0 || i == n - 1 ? 0.5 : 1) * scale *
                        cos(M_PI * ((i * j) % (2 * n - 2)) / (n - 1));
        for (int r = 0; r < height; r++) {
            double sum = 0;

            for (int i = 0; i < n; i++)
                sum += weight[i] * rows[(size_t)(r * n + i)];
            s->coef[j * height + r] = sum;
        }
    }
}

/* The functions of log q are analytic in a strip of half-width pi: the order that takes the error
 * of the interpolation on [lo, hi] below 1e-14. */
static int columns_for(double lo, double hi)
{
    const double order = 32 / asinh(2 * M_PI / (hi - lo)) + 4;
    return order < COLUMNS_MAX ? (int)order : COLUMNS_MAX;
}

/* Sets tail and steepness, the largest of all columns, and the rows after the last: what near_terms leave
 * out of V and D, which interpolated is smooth where differences of other rows would be rounding. */
static void measure(struct series *s, size_t n, double *rows)
{
    s->tail = s->steepness = 0;
    for (size_t c = 0; c < n; c++) {
        const double d = rows[ROW_D * n + c];
        double left = d, slope = 0, *tail = rows + (size_t)(ROW_E + s->near_terms) * n + c;

        tail[0] = rows[ROW_V * n + c];
        tail[n] = d;
        for (int j = 0; j < s->near_terms; j++) {
            const double e = rows[(size_t)(ROW_E + j) * n + c], m = (double)j * s->stride;

            left -= j < s->terms ? (m + 1) * e * e : 0;
            slope += m * (m + 1) * e * e;
            tail[0] -= e * e;
            tail[n] -= (m + 1) * e * e;
        }
        s->tail = fmax(s->tail, d > 0 ? left / d : 0);
        s->steepness = fmax(s->steepness, d > 0 ? slope / d : 0);
    }
}

/* 1 - |rho| from which rho^terms brings the tail below what almost parallel pairs are good for. */
static double near_below(const struct series *s, const struct ntk_dual_range *range)
{
    const double target = range->dtype == NTK_F32 ? 3e-7 : 2e-14;
    const double tail = log(fmax(s->tail / target, 1)) / (s->terms * s->stride);
    const bool steep = s->steepness >= ntk_near_steep(range);

    return fmin(fmax(tail, steep ? ntk_near_width(range) : 0), 0.5);
}

/* The function's part of the work: q in n columns, their rows up to the degree that is needed, at
 * most `most`. */
static ntk_status expand(struct series *s, size_t n, const double *q, int most,
                         const struct ntk_where *at, double tol, double *rows)
{
    double *work = ntk_alloc(at->ctx, (2 + n) * NODES, sizeof *work), tail, tail_near;
    size_t worst = 0, worst_near = 0;
    int degree;

    if (!work)
        return NTK_ENOMEM;
    integrate(s, n, q, most, rows, work);
    free(work);
    degree = find_degree(n, q, rows, most, tol, &worst, &tail);
    s->stride = find_stride(n, rows, degree);
    s->terms = (degree + s->stride - 1) / s->stride;
    degree =
        find_degree(n, q, rows, most, tol > 1e-8 ? 1e-8 : NEAR_TOLERANCE, &worst_near, &tail_near);
    s->near_terms = (degree + s->stride - 1) / s->stride;
    s->cut = tail_near > CUT_TOLERANCE;
    keep_nonzero(s, n, rows);
    measure(s, n, rows);
    if (tail <= tol || most < DEGREE_MAX)
        return NTK_OK;
    if (tail > TAIL_MAX)
        return ntk_fail_at(at, NTK_ENUMERIC,
                           "the Hermite series needs more than %d terms at variance %g: what is "
                           "left out is %.1e of its value. Smaller W_std, b_std or a LayerNorm "
                           "keep variances small",
                           most, q[worst], tail);
    ntk_log(
        at->ctx, 1,
        "%s: at variance %g the Hermite series leaves out %.1e of its value for nearly parallel "
        "samples (%.0e is aimed at)",
        at->name, q[worst], tail, tol);
    return NTK_OK;
}

/* Few terms are tried first: the integrals of many take a second. */
static ntk_status expand_enough(struct series *s, size_t n, const double *q,
                                const struct ntk_where *at, double tol, double **rows)
{
    static const int tries[] = {200, 500, DEGREE_MAX};
    ntk_status status = NTK_OK;

    *rows = NULL;
    for (size_t k = 0; k < sizeof tries / sizeof *tries && status == NTK_OK; k++) {
        free(*rows);
        *rows = ntk_alloc(at->ctx, (size_t)(ROW_E + tries[k] + TAILS) * n, sizeof **rows);
        status = *rows ? expand(s, n, q, tries[k], at, tol, *rows) : NTK_ENOMEM;
        if (status == NTK_OK && s->terms * s->stride < tries[k] &&
            (k > 0 || s->near_terms * s->stride < tries[k]))
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
        s->coef = ntk_alloc(at->ctx, n * (size_t)(ROW_E + s->near_terms + TAILS), sizeof *s->coef);
        status = s->coef ? NTK_OK : NTK_ENOMEM;
    }
    if (status == NTK_OK) {
        interpolate(s, rows);
        dual->takes = top;
        dual->sides = s->terms + 2;
        dual->par[0] = s->stride;
        dual->near = near_below(s, range);
        dual->par[PAR_CUT] = s->cut;
        dual->near_sides = s->near_terms + (s->cut ? 3 : 1);
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
    const int height = ROW_E + s->near_terms + TAILS;
    const double x = (2 * log(q) - s->lo - s->hi) / (s->hi - s->lo);

    if (x < -1) { /* tiny beside q_max: rare enough to integrate */
        double rows[ROW_E + DEGREE_MAX + TAILS], work[3 * NODES];
        integrate(s, 1, &q, (s->near_terms - 1) * s->stride + 1, rows, work);
        keep_nonzero(s, 1, rows);
        rows[ROW_E + s->near_terms] = rows[ROW_E + s->near_terms + 1] = 0; /* tails */
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

/* Roots of what near_terms leave out of V and D; where that is rounding, far less than its root. */
static void tails(const struct series *s, const double *row, double *out)
{
    const double v = row[ROW_E + s->near_terms], d = row[ROW_E + s->near_terms + 1];

    out[0] = v > 0 ? v / sqrt(v + NEAR_TOLERANCE * row[ROW_V]) : 0;
    out[1] = d > 0 ? d / sqrt(d + NEAR_TOLERANCE * row[ROW_D]) : 0;
}

void ntk_series_near_side(const void *self, const struct ntk_dual *dual, double q, double *side)
{
    const struct series *s = dual->state;

    if (q > 0 && s->cut) {
        double row[ROW_E + DEGREE_MAX + TAILS];

        row_at(s, q, 0, ROW_E + s->near_terms + TAILS, row);
        memcpy(side, row + ROW_A, (size_t)(1 + s->near_terms) * sizeof *side);
        tails(s, row, side + 1 + s->near_terms);
        return;
    }
    if (q > 0) {
        row_at(s, q, ROW_A, ROW_E + s->near_terms, side);
        return;
    }
    memset(side, 0, (size_t)dual->near_sides * sizeof *side);
    side[0] = s->f(self, 0);
    side[1] = s->df(self, 0);
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
