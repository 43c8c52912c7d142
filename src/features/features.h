/* SPDX-License-Identifier: MIT
 *
 * features.h - random features of the kernels of fully connected nets: Phi(x) . Phi(z) is K(x, z), on average.
 *
 * Such a kernel is a function of the samples' mean squares q = x . x / c and of their correlation rho = x . z / (|x| |z|),
 * and all of its Taylor coefficients in rho are positive semidefinite in q (Daniely et al. 2016):
 *     K(x, z) = sum_j A_j(q_x, q_z) rho^j = sum_r sum_j B_jr(q_x) B_jr(q_z) rho^j          (expand.c, map.c)
 * With h_j the normalised Hermite polynomials and w ~ N(0, I), E[h_i(w . x/|x|) h_j(w . z/|z|)] is rho^j if i = j, else 0.
 * So K is the mean over w of products of
 *     phi_r(x) = sum_j s_j B_jr(q_x) h_j(w . x/|x|),   s_j = 1 or -1:
 * the NTK of any depth is the NNGP of a net of one hidden layer with another activation (Simon et al. 2021, arXiv
 * 2106.03186). Signs s_j = 1, 1, -1, -1, ... make phi grow least (of the Gaussian kernel it is then a cosine and a sine:
 * Rahimi and Recht 2007; of ReLU's ReLU itself, Cho and Saul 2009). What makes the variance small: even and odd j are
 * features of their own, as cosine and sine are; the directions w are orthogonal in blocks (Yu et al. 2016); degrees 0, 1
 * and 2 are written out where they have few monomials. bench/features.py compares this with sketches of the recursion.
 */
#ifndef NTK_FEATURES_H
#define NTK_FEATURES_H

#include "ops/op.h"

/* ---- the Gaussian measure (quadrature.c) */
#define NTK_HERMITE_MOST 256 /* even: the highest degree of an activation's series */

/* Nodes are in symmetric order: z[n - 1 - i] = -z[i]. */
struct ntk_gaussian_rule {
    int n;
    double *z, *w;
    double *h; /* [NTK_HERMITE_MOST + 1][n]: w h_m(z) */
};
/* To be freed whether it fails or not. */
ntk_status ntk_gaussian_rule_new(ntk_ctx *ctx, struct ntk_gaussian_rule *rule);
void ntk_gaussian_rule_free(struct ntk_gaussian_rule *rule);
/* The next normalised Hermite polynomial, h_(m + 1)(z), of h_m and h_(m - 1). */
static inline double ntk_hermite_next(int m, double z, double h, double before)
{
    return (z * h - __builtin_sqrt(m) * before) / __builtin_sqrt(m + 1);
}

/* ---- Taylor coefficients of a kernel (expand.c) */
/* NTK_ENOTSUP, naming the layer, if the node of the graph is no function of q and rho with such coefficients. */
ntk_status ntk_expand_check(const struct ntk_graph *g, int output);
/* a[j][i][k] = A_j(q[i], q[k]) for j <= degree, [degree + 1][n][n]; what is left at rho = 1 and -1 is in the last two. */
ntk_status ntk_expand(const struct ntk_graph *g, int output, int degree, int n, const double *q, double *a);

/* ---- directions (directions.c) */
/* w [c][m] of float32, in columns: each N(0, I), those of a block orthogonal. */
ntk_status ntk_directions(ntk_ctx *ctx, uint64_t seed, uint32_t stream, int64_t c, int64_t m, float *w);

/* ---- maps (map.c makes them, apply.c is what they do) */
#define NTK_FEATURE_DEGREE 128 /* of a map's polynomials; what is beyond counts as the last two */
#define NTK_FEATURE_ROWS   128 /* of a block: always whole, so that BLAS rounds a sample alike wherever it stands */
#define NTK_FEATURE_STEP   64  /* points of tables in a unit of w . x / |x| */
#define NTK_FEATURE_END    9   /* last argument; farther is 1e-19 of all */
#define NTK_FEATURE_GRID   (NTK_FEATURE_STEP * NTK_FEATURE_END + 4) /* from -1, for cubic interpolation */

/* Term r of the kernel: features of even degrees, then of odd ones. */
struct ntk_feature_group {
    int64_t columns[2];
    int64_t m;  /* directions */
    float *w;   /* [c][m] */
    double *b;  /* [n][NTK_FEATURE_DEGREE + 1]: B_jr at the map's mean squares */
    int from;   /* lowest degree that is random */
    float *table; /* [2][NTK_FEATURE_GRID] of a homogeneous net; else NULL */
};

#define NTK_FEATURE_GROUPS 8
struct ntk_feature_map {
    ntk_ctx *ctx;
    ntk_net *net; /* own copy */
    unsigned which;
    uint64_t seed;
    ntk_shape shape;
    int64_t count;
    int degree;          /* K(t x, z) = t^degree K(x, z); NTK_NO_DEGREE: not homogeneous */
    int n;               /* mean squares at which coefficients are known: 1, homogeneous, else the last is 0 */
    double *q, *weight;  /* [n]; of barycentric interpolation in log q */
    double least, largest;
    int exact;           /* highest degree that is written out, or -1; those above 0 of group 0 alone */
    bool constant;       /* some degree 0 is not 0 */
    int n_groups;
    struct ntk_feature_group group[NTK_FEATURE_GROUPS];
    float *hermite[2];   /* of even and odd degrees: [NTK_FEATURE_DEGREE / 2 + 1][NTK_FEATURE_GRID] */
    size_t held;
};

/* Numbers of the monomials of x that are features. */
int64_t ntk_feature_monomials(const struct ntk_feature_map *map);
/* Of one thread, for a block. */
struct ntk_feature_work {
    float *x, *z, *coef, *tables; /* [rows][c], [rows][m], [2][rows][degrees], [2][rows][grid] */
    double *q, *b;                /* [rows]; [rows][groups][degree + 1] */
};
/* Bytes of such work for so many threads. */
size_t ntk_feature_work_bytes(const struct ntk_feature_map *map, int threads);
struct ntk_feature_work *ntk_feature_work_new(const struct ntk_feature_map *map, int threads);
void ntk_feature_work_free(struct ntk_feature_work *work, int threads);
/* NTK_ESHAPE or NTK_EINVAL, naming the sample, if the map does not take x. */
ntk_status ntk_feature_map_takes(const struct ntk_feature_map *map, const ntk_data *x);
/* Samples first ... first + rows - 1, at most NTK_FEATURE_ROWS of a data that it takes: phi [rows][count]. */
void ntk_feature_block(const struct ntk_feature_map *map, struct ntk_feature_work *work, const ntk_data *x, int64_t first,
                       int64_t rows, float *phi);

#endif
