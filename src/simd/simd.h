/* SPDX-License-Identifier: MIT
 *
 * simd.h - the hot loops: written once, compiled once per instruction set and element type.
 *
 * A table is the only symbol that ops.c exports; dispatch.c, compiled without any instruction set flags, chooses one
 * when a context first computes. The loops of activations are compiled likewise (activations/loops.h). Arrays of
 * `real` are float or double by table; they are passed as void pointers and must be aligned to their element only,
 * though aligned to NTK_ALIGN they are faster.
 */
#ifndef NTK_SIMD_H
#define NTK_SIMD_H

#include "base/base.h"

/* A rectangle of positions whose rows are `pitch` vectors apart in planes. The first samples' values
 * (side1, x1) have step1 elements a value: 1, the same for all lanes, or lanes, one for each. Those
 * of the second samples have one for each lane. row1, row2: elements from one row of positions to
 * the next; stride1, stride2: from one side to the next. */
struct ntk_rect_args {
    size_t rows, columns, pitch;
    size_t step1, row1, row2;
};

/* out = scale (sum of in over windows (base/window.h)) + constant; in is a plane of in_rows x
 * in_columns, zero outside, or around the other side. */
struct ntk_box_args {
    int in_rows, in_columns, out_rows, out_columns;
    size_t in_pitch, out_pitch; /* vectors */
    int size[2], stride[2], low[2];
    bool wrap;
    double scale, constant;
    const void *in;
    void *out;
    void *lines; /* scratch, in_columns vectors */
};

/* Along one axis: entry `to` of a target plane is given weight times entry `from` of a source plane. Positions are
 * indices into planes. */
struct ntk_link_term {
    int from, to;
    double weight;
};
/* All terms from one source offset to one target offset. */
struct ntk_link_group {
    int offset; /* the target's, as an index 0 ... */
    int n;
    const struct ntk_link_term *terms;
};

/* out[k] += sum over j < m of coef[j][k] rows[list[j]], k < sums: vectors of n numbers, rows `stride`
 * apart, sums out_stride. A matrix product that reads only the rows whose factors are not zero. */
struct ntk_rows_args {
    size_t n, sums, m;
    const int32_t *list;
    const void *coef; /* [m][sums] */
    const void *rows;
    size_t stride;
    void *out;
    size_t out_stride;
};

/* Products of a matrix a, [rows][n] with ld elements from row to row, with m vectors of float64, and of its mirror:
 *     out_rows[c][i] += sum over j of a[i][j] x[c][j]      (not wanted: NULL)
 *     out[c][j]      += sum over i of a[i][j] x_rows[c][i] (the same)
 * Vectors of either side are x_stride, those of results out_stride apart. */
struct ntk_products_args {
    size_t rows, n, ld, m, x_stride, out_stride;
    const void *a;
    const double *x, *x_rows;
    double *out, *out_rows;
};

/* A covariance of n pairs, of one first sample, that may be almost parallel (simd/near.h); or, if only
 * value is not NULL, another number a pair. All arrays [n]. */
struct ntk_near_run {
    double s1, *s2;       /* roots of the two samples' variances */
    double *d;            /* s1 - s2 */
    double *minus, *plus; /* s1 s2 - k, s1 s2 + k */
    double *value;        /* k */
};

#define NTK_PEAK_CHAINS 12

#define NTK_LANES_MAX 16 /* most lanes of any table: what padding must allow for */

/* One element type's loops. n is a multiple of lanes everywhere. */
struct ntk_simd {
    size_t lanes;
    /* out = sum_i coef[i] x[i] + constant, i < m; m >= 0; out may be one of the x */
    void (*mix)(size_t n, int m, const void *const *x, const double *coef, double constant, void *out);
    /* out = x[0] x[1] ... x[m - 1], m >= 2; out may be one of the x */
    void (*product)(size_t n, int m, const void *const *x, void *out);
    /* out = x * a1 * a2, a1 and a2 as side1 and side2 above */
    void (*scale)(size_t n, const void *x, const void *a1, size_t step1, const void *a2, void *out);
    /* none of n numbers, any n, is infinite or not a number */
    bool (*all_finite)(size_t n, const void *x);
    /* rounds * NTK_PEAK_CHAINS multiply-adds of vectors, as many at once as there are chains; returns
     * some number that depends on them */
    double (*peak)(size_t rounds);

    /* to[k][lane] = factor row[lane][k], k < n, any n */
    void (*interleave)(size_t n, const void *const *row, double factor, void *to);
    /* row[lane][k] = from[k][lane] as numbers of dtype, k < n, any n, for the first `lanes` lanes */
    void (*separate)(size_t n, const void *from, ntk_dtype dtype, size_t lanes, void *const *row);

    /* Planes: one vector a position. */
    /* out = scale sum over channels of x1 x2; x1, x2 are [rows][columns][channels]. open: the sums of those over three
     * columns, zero outside */
    void (*first)(const struct ntk_rect_args *rect, size_t channels, const void *x1, const void *x2,
                  double scale, bool open, void *out);
    void (*box)(const struct ntk_box_args *args);
    /* A box of 3 x 3 with zeros around, without constant, in two halves: scale times the sums over three columns; and
     * those over three rows, plus a constant. In may be out; lines: scratch, columns vectors. */
    void (*open)(size_t rows, size_t columns, size_t pitch, double scale, const void *in, void *out);
    void (*close)(size_t rows, size_t columns, size_t pitch, double constant, void *x, void *lines);
    /* out[to] += scale * weight of row and column * in[from] for all terms of both */
    void (*spread)(const struct ntk_link_group *rows, const struct ntk_link_group *columns,
                   double scale, const void *in, size_t in_pitch, void *out, size_t out_pitch);
    /* sum[lane] += sum of in, or of weight1[row] weight2[column] in where these are not NULL; rows in
     * the plane's type, their sum in float64 */
    void (*sum)(size_t rows, size_t columns, size_t pitch, const void *in, const double *weight1,
                const double *weight2, double *sum);
    void (*add_rows)(const struct ntk_rows_args *args);
    void (*products)(const struct ntk_products_args *args);

    /* Almost parallel pairs (simd/near.h). */
    /* flags[i] = 1 where |k[i]| > s1 s2[i] >= from, i < n; false: there is none. Others are left alone. */
    bool (*mark)(size_t n, const void *k, double s1, const void *s2, double from,
                 unsigned char *flags);
    /* |x1|^2 - |x2|^2 */
    double (*square_difference)(size_t features, const void *x1, const void *x2);
    /* |x1|^2 sin^2 of the angle between x1 and x2, given square = |x2|^2 and some r near
     * x1 . x2 / |x2|^2, as a sum of squares: it keeps its digits however small it is. 0 below 2^-100 */
    double (*rejection)(size_t features, const void *x1, const void *x2, double r, double square);
    /* the rest in float64 only */
    void (*near_mix)(size_t n, int m, const struct ntk_near_run *const *in, const double *coef,
                     double constant, struct ntk_near_run *out);
    void (*near_product)(size_t n, int m, const struct ntk_near_run *const *in,
                         struct ntk_near_run *out);
    /* in / sqrt((q1 + eps) (q2 + eps)), q its variances */
    void (*near_normalise)(size_t n, const struct ntk_near_run *in, double eps,
                           struct ntk_near_run *out);
    /* in, whose variances take a factor, not its covariance */
    void (*near_self)(size_t n, const struct ntk_near_run *in, double factor,
                      struct ntk_near_run *out);
    /* of int16_t entries */
    void (*products_fixed)(const struct ntk_products_args *args);
};

struct ntk_isa {
    const char *name; /* "baseline", "avx2", "avx512", "neon" */
    const struct ntk_simd *f32, *f64;
    int place; /* in the list of those that are built in (isas.def) */
    const struct ntk_isa *half; /* vectors of half as many lanes take half the time with it; NULL: there is none */
};
static inline const struct ntk_simd *ntk_simd_of(const struct ntk_isa *isa, ntk_dtype dtype)
{
    return dtype == NTK_F32 ? isa->f32 : isa->f64;
}

/* Sets ctx->isa on first use; see ntk_ctx_set_isa. */
ntk_status ntk_isa_resolve(ntk_ctx *ctx);

#endif
