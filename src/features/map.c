/* SPDX-License-Identifier: MIT
 *
 * map.c - from a net to the map of its kernel's features: coefficients, how many features each term has, directions.
 */
#include <math.h>
#include <stdlib.h>

#include "data/data.h"
#include "features/features.h"
#include "kernel/nets.h"
#include "language/net.h"

#define DEGREE   NTK_FEATURE_DEGREE
#define NODES    24    /* mean squares, but for 0, of a net that is not homogeneous */
#define MARGIN   100.0 /* of mean squares beyond those of `like` */
#define NEAR     4.0   /* where terms are to be good, likewise */
#define ROUNDING 1e-10 /* pivots below that, of the kernel, are none */
#define WRONG    1e-2  /* most that an expansion may be off, of the kernel: kinks have 1e-3 */

/* ---- mean squares */

static double mean_square(const ntk_data *x, int64_t i)
{
    const int64_t c = ntk_features_of(x->shape);
    double sum = 0;

    for (int64_t k = 0; k < c; k++) {
        const double value = ntk_data_get(x, (size_t)(i * c + k));

        sum += value * value;
    }
    return sum / (double)c;
}

/* Least, but for 0, and largest; 1 where all samples are 0. */
static void find_range(const ntk_data *x, double *least, double *largest)
{
    *least = HUGE_VAL;
    *largest = 0;
    for (int64_t i = 0; i < x->n; i++) {
        const double q = mean_square(x, i);

        *least = q > 0 ? fmin(*least, q) : *least;
        *largest = fmax(*largest, q);
    }
    if (*largest == 0)
        *least = *largest = 1;
}

/* Chebyshev's nodes in log q, and 0; weights of their barycentric formula (Berrut and Trefethen 2004). */
static void set_nodes(struct ntk_feature_map *map)
{
    const double lo = log(map->least / MARGIN), hi = log(map->largest * MARGIN);

    map->q[0] = map->weight[0] = 1;
    for (int k = 0; map->n > 1 && k < NODES; k++) {
        const double angle = M_PI * (k + 0.5) / NODES;

        map->q[k] = exp((lo + hi) / 2 + (hi - lo) / 2 * cos(angle));
        map->weight[k] = (k % 2 ? -1 : 1) * sin(angle);
    }
    if (map->n > 1)
        map->q[NODES] = map->weight[NODES] = 0;
}

/* ---- the kernel */

static ntk_status copy_net(struct ntk_feature_map *map, const ntk_net *net)
{
    ntk_status status;
    char *text;

    NTK_TRY(ntk_net_print(net, &text));
    status = ntk_net_parse(map->ctx, text, &map->net);
    free(text);
    return status;
}

static int degree_of(const struct ntk_graph *g, int output, int *degree)
{
    for (int v = 0; v <= output; v++) {
        const struct ntk_node *x = &g->nodes[v];
        bool none = false;

        for (int k = 0; k < x->n_in; k++)
            none = none || degree[x->in[k]] == NTK_NO_DEGREE;
        degree[v] = none ? NTK_NO_DEGREE : x->op->degree(x, degree, false);
    }
    return degree[output];
}

/* Its samples and its coefficients, *a [DEGREE + 1][n][n]. */
static ntk_status expand(struct ntk_feature_map *map, const struct ntk_graph *g, int output, double **a)
{
    int *degree = ntk_alloc(map->ctx, (size_t)g->n, sizeof *degree);

    if (!degree)
        return NTK_ENOMEM;
    map->degree = degree_of(g, output, degree);
    free(degree);
    if (map->degree == NTK_ANY_DEGREE)
        return ntk_fail(map->ctx, NTK_ETHEORY, "the net's kernel is 0 everywhere: there is nothing to make features of");
    map->n = map->degree == NTK_NO_DEGREE ? NODES + 1 : 1;
    map->q = ntk_alloc(map->ctx, (size_t)map->n, sizeof *map->q);
    map->weight = ntk_alloc(map->ctx, (size_t)map->n, sizeof *map->weight);
    *a = ntk_alloc(map->ctx, (size_t)(map->n * map->n) * (DEGREE + 1), sizeof **a);
    if (!map->q || !map->weight || !*a)
        return NTK_ENOMEM;
    set_nodes(map);
    return ntk_expand(g, output, DEGREE, map->n, map->q, *a);
}

static ntk_status lower_and_expand(struct ntk_feature_map *map, double **a)
{
    const ntk_net *net = map->net;
    int outputs[2 * NTK_NETS_MAX], n;
    struct ntk_graph g;
    ntk_status status;

    ntk_graph_init(&g, map->ctx);
    status = ntk_nets_lower(&net, 1, map->which, map->shape, &g, outputs, &n);
    if (status == NTK_OK)
        status = ntk_expand_check(&g, outputs[0]);
    if (status == NTK_OK)
        status = expand(map, &g, outputs[0], a);
    ntk_graph_free(&g);
    return status;
}

/* The mean square that is nearest to those of samples. */
static int first_pivot(const struct ntk_feature_map *map)
{
    const double middle = log(map->least * map->largest) / 2;
    int pivot = 0;

    for (int k = 1; k < map->n - 1; k++)
        if (fabs(log(map->q[k]) - middle) < fabs(log(map->q[pivot]) - middle))
            pivot = k;
    return pivot;
}

/* Those of samples, the nearest if there is none, and 0: their numbers in list; how many. */
static int occurring(const struct ntk_feature_map *map, int *list)
{
    const int first = first_pivot(map);
    int n = 0;

    for (int k = 0; k < map->n; k++)
        if (k == first || map->q[k] == 0 || (map->q[k] >= map->least && map->q[k] <= map->largest))
            list[n++] = k;
    return n;
}

/* The kernel of parallel samples of n mean squares against the sum of its coefficients: what quadrature, series and circles
 * make of extreme variances shows here. */
static ntk_status check_sum(const struct ntk_feature_map *map, int n, const int *list, const double *exact, const double *a)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            double sum = 0;

            for (int j = 0; j <= DEGREE; j++)
                sum += a[(j * map->n + list[i]) * map->n + list[k]];
            if (!(fabs(sum - exact[i * n + k]) <= WRONG * sqrt(exact[i * n + i] * exact[k * n + k])))
                return ntk_fail(map->ctx, NTK_ENUMERIC,
                                "samples of mean squares %g and %g: their kernel is %g where they are parallel, and its "
                                "expansion gives %g; scale the samples to a mean square of 1 or so",
                                map->q[list[i]], map->q[list[k]], exact[i * n + k], sum);
        }
    return NTK_OK;
}

/* exact [n][n] of the kernel of samples that are x times one vector. */
static ntk_status parallel_kernel(const struct ntk_feature_map *map, int n, double *x, double *exact)
{
    const ntk_net *net = map->net;
    ntk_kernel *kernel = NULL;
    ntk_data *data;
    ntk_status status;

    NTK_TRY(ntk_data_view(map->ctx, x, NTK_F64, n, map->shape, &data));
    status = ntk_kernel_new(map->ctx, &net, 1, map->which, NTK_F64, map->shape, &kernel);
    if (status == NTK_OK)
        status = ntk_kernel_compute(kernel, data, NULL, (void *const[]){exact});
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    return status;
}

static ntk_status check_expansion(const struct ntk_feature_map *map, const double *a)
{
    int list[NODES + 1];
    const int n = occurring(map, list);
    const size_t c = (size_t)map->shape.c;
    double *x = ntk_alloc_zero(map->ctx, (size_t)n * c, sizeof *x), exact[(NODES + 1) * (NODES + 1)];
    ntk_status status;

    if (!x)
        return NTK_ENOMEM;
    for (int i = 0; i < n; i++)
        x[(size_t)i * c] = sqrt(map->q[list[i]] * (double)c);
    status = parallel_kernel(map, n, x, exact);
    free(x);
    return status == NTK_OK ? check_sum(map, n, list, exact, a) : status;
}

/* ---- terms */

/* A pivoted Cholesky factorisation of all A_j, with the same pivots. */
struct factor {
    const struct ntk_feature_map *map;
    const double *a;
    double *left;   /* [DEGREE + 1][n]: diagonals of what is left */
    double *kernel; /* [n]: K(x, x) */
    bool *near;     /* [n] */
};

/* What is left at a mean square, of the kernel there. */
static double left_at(const struct factor *f, int k)
{
    double sum = 0;

    for (int j = 0; j <= DEGREE; j++)
        sum += f->left[j * f->map->n + k];
    return f->kernel[k] > 0 ? sum / f->kernel[k] : 0;
}

static int next_pivot(const struct factor *f)
{
    int pivot = -1;

    for (int k = 0; k < f->map->n; k++)
        if (f->near[k] && (pivot < 0 || left_at(f, k) > left_at(f, pivot)))
            pivot = k;
    return pivot;
}

/* The term of a pivot, which is the map's next group. */
static void add_term(struct factor *f, struct ntk_feature_map *map, int pivot)
{
    const int n = map->n, r = map->n_groups;

    for (int j = 0; j <= DEGREE; j++) {
        const double *a = f->a + (j * n + pivot) * n, p = f->left[j * n + pivot];
        const double root = p > ROUNDING * f->kernel[pivot] ? sqrt(p) : 0;

        for (int k = 0; k < n; k++) {
            double x = a[k];

            for (int s = 0; s < r; s++)
                x -= map->group[s].b[k * (DEGREE + 1) + j] * map->group[s].b[pivot * (DEGREE + 1) + j];
            x = root > 0 ? x / root : 0;
            map->group[r].b[k * (DEGREE + 1) + j] = x;
            f->left[j * n + k] = fmax(f->left[j * n + k] - x * x, 0);
        }
    }
}

/* Mean over the mean squares that matter of a term's degrees of one parity, from `from` on, of the kernel. */
static double share(const struct factor *f, const struct ntk_feature_group *g, int parity)
{
    const int n = f->map->n;
    double sum = 0;
    int many = 0;

    for (int k = 0; k < n; k++) {
        if (!f->near[k] || !(f->kernel[k] > 0))
            continue;
        many++;
        for (int j = g->from; j <= DEGREE; j++)
            if (j % 2 == parity)
                sum += g->b[k * (DEGREE + 1) + j] * g->b[k * (DEGREE + 1) + j] / f->kernel[k];
    }
    return many ? sum / many : 0;
}

int64_t ntk_feature_monomials(const struct ntk_feature_map *map)
{
    const int64_t c = map->shape.c;

    return (map->constant ? map->n_groups : 0) + (map->exact > 0 ? c : 0) + (map->exact > 1 ? c * (c + 1) / 2 : 0);
}

/* Degrees are written out as long as they take a third of all features; -1: none. */
static int exact_degree(const struct ntk_feature_map *map)
{
    const double c = (double)map->shape.c, most = (double)map->count / 3;

    return 1 + c + c * (c + 1) / 2 <= most ? 2 : 1 + c <= most ? 1 : 1 <= most ? 0 : -1;
}

static bool has_constant(const struct ntk_feature_group *g, int n)
{
    for (int k = 0; k < n; k++)
        if (g->b[k * (DEGREE + 1)] != 0)
            return true;
    return false;
}

/* Terms until one would have less than two features, all in proportion to their shares. */
static ntk_status make_terms(struct factor *f, struct ntk_feature_map *map)
{
    double shares[NTK_FEATURE_GROUPS][2], total = 0;
    int64_t left;

    map->exact = exact_degree(map);
    for (int pivot = first_pivot(map); map->n_groups < (map->n == 1 ? 1 : NTK_FEATURE_GROUPS); pivot = next_pivot(f)) {
        struct ntk_feature_group *g = &map->group[map->n_groups];

        g->b = ntk_alloc_zero(map->ctx, (size_t)map->n * (DEGREE + 1), sizeof *g->b);
        if (!g->b)
            return NTK_ENOMEM;
        g->from = map->n_groups && map->exact > 0 ? 1 : map->exact + 1;
        add_term(f, map, pivot);
        for (int parity = 0; parity < 2; parity++)
            shares[map->n_groups][parity] = share(f, g, parity);
        if (map->n_groups && (shares[map->n_groups][0] + shares[map->n_groups][1]) * (double)map->count < 2 * total)
            break;
        total += shares[map->n_groups][0] + shares[map->n_groups][1];
        map->constant = map->constant || (map->exact >= 0 && has_constant(g, map->n));
        map->n_groups++;
    }
    left = map->count - ntk_feature_monomials(map);
    for (int r = map->n_groups - 1; r >= 0; r--) { /* the first, which is the largest, has what rounding leaves */
        const double mine = shares[r][0] + shares[r][1];
        const int64_t columns = r && total > 0 ? (int64_t)((double)left * mine / total) : left;
        struct ntk_feature_group *g = &map->group[r];

        if (mine > 0 && shares[r][1] > ROUNDING * mine)
            g->columns[1] = shares[r][0] > ROUNDING * mine ? columns / 2 : columns;
        g->columns[0] = columns - g->columns[1];
        g->m = ntk_most(g->columns[0], g->columns[1]);
        total -= mine;
        left -= columns;
    }
    return NTK_OK;
}

static ntk_status set_terms(struct ntk_feature_map *map, const double *a)
{
    const int n = map->n;
    struct factor f = {.map = map,
                       .a = a,
                       .left = ntk_alloc_zero(map->ctx, (size_t)n * (DEGREE + 1), sizeof *f.left),
                       .kernel = ntk_alloc_zero(map->ctx, (size_t)n, sizeof *f.kernel),
                       .near = ntk_alloc_zero(map->ctx, (size_t)n, sizeof *f.near)};
    ntk_status status = f.left && f.kernel && f.near ? NTK_OK : NTK_ENOMEM;

    for (int k = 0; status == NTK_OK && k < n; k++) {
        f.near[k] = n == 1 || (map->q[k] >= map->least / NEAR && map->q[k] <= map->largest * NEAR);
        for (int j = 0; j <= DEGREE; j++) {
            f.left[j * n + k] = fmax(a[(j * n + k) * n + k], 0);
            f.kernel[k] += f.left[j * n + k];
        }
    }
    if (status == NTK_OK)
        status = make_terms(&f, map);
    free(f.left);
    free(f.kernel);
    free(f.near);
    return status;
}

/* ---- tables */

/* s_j h_j at the points of tables, [2][DEGREE / 2 + 1][NTK_FEATURE_GRID] by parity, in float64. */
static void set_polynomials(double *h)
{
    for (int i = 0; i < NTK_FEATURE_GRID; i++) {
        const double z = (double)(i - 1) / NTK_FEATURE_STEP;
        double older = 0, newer = 1;

        for (int j = 0; j <= DEGREE; j++) {
            const double next = ntk_hermite_next(j, z, newer, older);

            h[(j % 2 * (DEGREE / 2 + 1) + j / 2) * NTK_FEATURE_GRID + i] = j / 2 % 2 ? -newer : newer;
            older = newer;
            newer = next;
        }
    }
}

/* Of a homogeneous net, phi itself. */
static ntk_status set_table(struct ntk_feature_map *map, const double *h)
{
    struct ntk_feature_group *g = &map->group[0];

    g->table = ntk_alloc(map->ctx, 2 * NTK_FEATURE_GRID, sizeof *g->table);
    if (!g->table)
        return NTK_ENOMEM;
    for (int parity = 0; parity < 2; parity++)
        for (int i = 0; i < NTK_FEATURE_GRID; i++) {
            double sum = 0;

            for (int j = parity; j <= DEGREE; j += 2)
                if (j >= g->from)
                    sum += g->b[j] * h[(parity * (DEGREE / 2 + 1) + j / 2) * NTK_FEATURE_GRID + i];
            g->table[parity * NTK_FEATURE_GRID + i] = (float)sum;
        }
    return NTK_OK;
}

static ntk_status set_tables(struct ntk_feature_map *map)
{
    const size_t each = (DEGREE / 2 + 1) * NTK_FEATURE_GRID;
    double *h = ntk_alloc_zero(map->ctx, 2 * each, sizeof *h);
    ntk_status status = h ? NTK_OK : NTK_ENOMEM;

    if (h)
        set_polynomials(h);
    if (h && map->n == 1)
        status = set_table(map, h);
    for (int parity = 0; h && map->n > 1 && parity < 2 && status == NTK_OK; parity++) {
        float *to = ntk_alloc(map->ctx, each, sizeof *to);

        map->hermite[parity] = to;
        status = to ? NTK_OK : NTK_ENOMEM;
        for (size_t k = 0; to && k < each; k++)
            to[k] = (float)h[(size_t)parity * each + k];
    }
    free(h);
    return status;
}

static ntk_status set_directions(struct ntk_feature_map *map)
{
    for (int r = 0; r < map->n_groups; r++) {
        struct ntk_feature_group *g = &map->group[r];
        const size_t bytes = ntk_bytes((double)map->shape.c * (double)g->m * sizeof *g->w);

        if (!g->m)
            continue;
        NTK_TRY(ntk_ctx_check_memory(map->ctx, bytes, "features' directions"));
        g->w = ntk_large_new(map->ctx, (size_t)map->shape.c * (size_t)g->m, sizeof *g->w);
        if (!g->w)
            return NTK_ENOMEM;
        ntk_ctx_keep(map->ctx, bytes, &map->held);
        NTK_TRY(ntk_directions(map->ctx, map->seed, (uint32_t)r, map->shape.c, g->m, g->w));
    }
    return NTK_OK;
}

/* ---- the whole */

static ntk_status build(struct ntk_feature_map *map, const ntk_net *net)
{
    double *a = NULL;
    ntk_status status;

    NTK_TRY(copy_net(map, net));
    status = lower_and_expand(map, &a);
    if (status == NTK_OK)
        status = check_expansion(map, a);
    if (status == NTK_OK)
        status = set_terms(map, a);
    free(a);
    NTK_TRY(status);
    NTK_TRY(set_tables(map));
    return set_directions(map);
}

static ntk_status check_arguments(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *like, int64_t count)
{
    const char *layer = like->shape.spatial ? ntk_net_positional(net) : NULL;

    if (which != NTK_NNGP && which != NTK_NTK)
        return ntk_fail(ctx, NTK_EINVAL, "which must be NTK_NNGP or NTK_NTK, got %u", which);
    if (count < 1 || count > 1000000)
        return ntk_fail(ctx, NTK_EINVAL, "the number of features must be 1 to 1000000, got %lld", (long long)count);
    if (layer)
        return ntk_fail(ctx, NTK_ENOTSUP, "%s: works on positions; random features are of fully connected nets without noise",
                        layer);
    if (like->shape.spatial)
        return ntk_fail(ctx, NTK_ESHAPE, "random features are of vectors: flatten the samples, as no layer uses positions");
    return NTK_OK;
}

ntk_status ntk_feature_map_new(ntk_ctx *ctx, const ntk_net *net, unsigned which, const ntk_data *like, int64_t count,
                               uint64_t seed, ntk_feature_map **map)
{
    ntk_feature_map *m;
    ntk_status status;

    NTK_TRY(check_arguments(ctx, net, which, like, count));
    m = ntk_alloc_zero(ctx, 1, sizeof *m);
    if (!m)
        return NTK_ENOMEM;
    m->ctx = ctx;
    m->which = which;
    m->seed = seed;
    m->shape = like->shape;
    m->count = count;
    find_range(like, &m->least, &m->largest);
    status = build(m, net);
    if (status == NTK_OK)
        *map = m;
    else
        ntk_feature_map_free(m);
    return status;
}

void ntk_feature_map_free(ntk_feature_map *map)
{
    if (!map)
        return;
    for (int r = 0; r < NTK_FEATURE_GROUPS; r++) {
        ntk_large_free(map->group[r].w, (size_t)map->shape.c * (size_t)map->group[r].m, sizeof(float));
        free(map->group[r].b);
        free(map->group[r].table);
    }
    free(map->hermite[0]);
    free(map->hermite[1]);
    free(map->q);
    free(map->weight);
    ntk_net_free(map->net);
    ntk_ctx_release(map->ctx, map->held);
    free(map);
}

int64_t ntk_feature_map_count(const ntk_feature_map *map) { return map->count; }

/* Beyond the range nothing is known; a homogeneous net has none. */
ntk_status ntk_feature_map_takes(const ntk_feature_map *map, const ntk_data *x)
{
    const double least = map->least / MARGIN, largest = map->largest * MARGIN;
    char a[64], b[64];

    if (x->symmetry)
        return ntk_fail(map->ctx, NTK_ENOTSUP, "features are of samples as they are, and these stand for their copies, too");
    if (x->shape.spatial || x->shape.c != map->shape.c)
        return ntk_fail(map->ctx, NTK_ESHAPE, "samples have shape %s, the features are of %s numbers",
                        ntk_shape_text(x->shape, a), ntk_shape_text(map->shape, b));
    for (int64_t i = 0; map->n > 1 && i < x->n; i++) {
        const double q = mean_square(x, i);

        if (q != 0 && !(q >= least * (1 - 1e-9) && q <= largest * (1 + 1e-9)))
            return ntk_fail(map->ctx, NTK_EINVAL,
                            "sample %lld has the mean square %g, and the features were made for %g to %g (100 times beyond "
                            "the samples that they were made with): scale it, or make them with such samples",
                            (long long)i, q, least, largest);
    }
    return NTK_OK;
}
