/* SPDX-License-Identifier: MIT
 *
 * expand.c - the Taylor coefficients of a kernel in the correlation rho, at pairs of mean squares.
 *
 * The recursion's nodes are evaluated at complex rho on the unit circle, where all series converge, and the coefficients are
 * a Fourier transform of what comes out. An activation is its Hermite series, E[f f] = sum_m c_m(q) c_m(q') (k/sqrt(q q'))^m,
 * up to NTK_HERMITE_MOST; the rest, which is known at rho = 1 and -1, counts as two more terms.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "features/features.h"
#include "layers/layer.h"

#define MOST    NTK_HERMITE_MOST
#define POINTS_ONE  2048 /* half as many as on the whole circle, of one pair; what is beyond folds back */
#define POINTS_MANY 512  /* of each of many */

struct expansion {
    const struct ntk_graph *g;
    int output, n, points;
    struct ntk_instruction *ins; /* [g->n] of those that are used */
    bool *used;                  /* [g->n] */
    double *variance;            /* [g->n][n] */
    double **series;             /* [g->n] of duals [n][MOST + 1] */
    double **value;              /* [g->n] of duals f at the rule's nodes, [n][rule.n] */
    double *cosine;              /* [2 points] of the angles around the circle */
    struct ntk_gaussian_rule rule;
};

/* ---- which nets */

static ntk_status refuse(const struct ntk_graph *g, const struct ntk_node *v, const char *why)
{
    const char *layer = v->origins && v->origins->layer.name ? v->origins->layer.name : NULL;

    return ntk_fail(g->ctx, NTK_ENOTSUP, "%s%s: %s; random features are of fully connected nets without noise",
                    layer ? "" : "the operation ", layer ? layer : v->op->name, why);
}

static ntk_status check_node(const struct ntk_graph *g, const struct ntk_node *v)
{
    struct ntk_instruction ins = {0};

    v->op->instruct(v, &ins);
    if (v->plane || ins.id == NTK_DO_BOX || ins.id == NTK_DO_LINK)
        return refuse(g, v, "works on positions");
    if (ins.id == NTK_DO_COPY)
        return refuse(g, v, "two equal samples differ from one with itself");
    for (int k = 0; ins.id == NTK_DO_MIX && k < v->n_in; k++)
        if (ins.coef[k] < 0)
            return refuse(g, v, "has a negative coefficient");
    return NTK_OK;
}

/* Nodes that the output needs; they come before it. */
static void find_used(const struct ntk_graph *g, int output, bool *used)
{
    used[output] = true;
    for (int v = output; v >= 0; v--)
        for (int k = 0; used[v] && k < g->nodes[v].n_in; k++)
            used[g->nodes[v].in[k]] = true;
}

ntk_status ntk_expand_check(const struct ntk_graph *g, int output)
{
    bool *used = ntk_alloc_zero(g->ctx, (size_t)g->n, sizeof *used);
    ntk_status status = used ? NTK_OK : NTK_ENOMEM;

    if (used)
        find_used(g, output, used);
    for (int v = 0; v <= output && status == NTK_OK; v++)
        if (used[v])
            status = check_node(g, &g->nodes[v]);
    free(used);
    return status;
}

/* ---- what depends on one mean square */

/* f, or f' of result 1, at the nodes for variance q. */
static void activation_values(const struct expansion *e, int v, double q, double *out)
{
    const struct ntk_instruction *ins = &e->ins[v];
    const double s = ins->act->unit_variance ? 1 : sqrt(q);

    for (int i = 0; i < e->rule.n; i++)
        out[i] = (e->g->nodes[v].result ? ins->act->df : ins->act->f)(ins->self, s * e->rule.z[i]);
}

/* Hermite's rule is that of variance 1, of a power of the covariance. */
static void scale_power(const struct expansion *e, int v, double q, double *series, double *value)
{
    const int degree = e->ins[v].act->degree(e->ins[v].self) - e->g->nodes[v].result;
    const double factor = degree > 0 ? pow(q, degree / 2.0) : 1;

    for (int m = 0; m <= MOST; m++)
        series[m] *= factor;
    for (int i = 0; i < e->rule.n; i++)
        value[i] *= factor;
}

static double activation_variance(const struct expansion *e, int v, int k, double q)
{
    const int n = e->rule.n;
    double *value = e->value[v] + (size_t)k * (size_t)n, *series = e->series[v] + (size_t)k * (MOST + 1);
    double sum = 0;

    activation_values(e, v, q, value);
    for (int m = 0; m <= MOST; m++) {
        const double *h = e->rule.h + (size_t)m * (size_t)n;

        series[m] = 0;
        for (int i = 0; i < n; i++)
            series[m] += h[i] * value[i];
    }
    if (e->ins[v].act->unit_variance)
        scale_power(e, v, q, series, value);
    for (int i = 0; i < n; i++)
        sum += e->rule.w[i] * value[i] * value[i];
    return sum;
}

/* 1 / sqrt((q + eps) (q' + eps)), where the root of 0 counts as infinite. */
static double normaliser(double q, double eps) { return q + eps > 0 ? 1 / sqrt(q + eps) : 0; }

static double variance_of(const struct expansion *e, int v, int k)
{
    const struct ntk_node *x = &e->g->nodes[v];
    const struct ntk_instruction *ins = &e->ins[v];
    const double *in = e->variance + k;
    double r;

    switch (ins->id) {
    case NTK_DO_MIX:
        r = ins->constant;
        for (int i = 0; i < x->n_in; i++)
            r += ins->coef[i] * in[x->in[i] * e->n];
        return r;
    case NTK_DO_PRODUCT:
        r = 1;
        for (int i = 0; i < x->n_in; i++)
            r *= in[x->in[i] * e->n];
        return r;
    case NTK_DO_SCALE:
        r = normaliser(in[x->in[1] * e->n], ins->constant);
        return in[x->in[0] * e->n] * r * r;
    default: /* NTK_DO_DUAL; the first comes with its variance */
        return activation_variance(e, v, k, in[x->in[0] * e->n]);
    }
}

/* ---- a pair of mean squares, around the circle */

/* Values of a node: `points` + 1 real parts, as many imaginary ones; point 0 is rho = 1, the last -1. */
static double *node_values(const struct expansion *e, double *work, int v) { return work + (size_t)v * 2 * (size_t)(e->points + 1); }

static void first_values(const struct expansion *e, double size, double *out)
{
    const int n = e->points + 1;

    for (int i = 0; i < n; i++) {
        out[i] = size * cos(M_PI * i / e->points);
        out[n + i] = size * sin(M_PI * i / e->points);
    }
}

static void mix_values(const struct expansion *e, double *work, int v, double *out)
{
    const struct ntk_node *x = &e->g->nodes[v];
    const int n = e->points + 1;

    for (int i = 0; i < n; i++) {
        out[i] = e->ins[v].constant;
        out[n + i] = 0;
    }
    for (int k = 0; k < x->n_in; k++) {
        const double *in = node_values(e, work, x->in[k]);

        for (int i = 0; i < 2 * n; i++)
            out[i] += e->ins[v].coef[k] * in[i];
    }
}

static void product_values(const struct expansion *e, double *work, int v, double *out)
{
    const struct ntk_node *x = &e->g->nodes[v];
    const int n = e->points + 1;

    memcpy(out, node_values(e, work, x->in[0]), 2 * (size_t)n * sizeof *out);
    for (int k = 1; k < x->n_in; k++) {
        const double *in = node_values(e, work, x->in[k]);

        for (int i = 0; i < n; i++) {
            const double re = out[i] * in[i] - out[n + i] * in[n + i];

            out[n + i] = out[i] * in[n + i] + out[n + i] * in[i];
            out[i] = re;
        }
    }
}

/* Coefficients of a dual for variances a and b: its series, and two terms that make it right at rho = 1 and -1. */
static void dual_series(const struct expansion *e, int v, int a, int b, double *c)
{
    const int n = e->rule.n;
    const double *sa = e->series[v] + (size_t)a * (MOST + 1), *sb = e->series[v] + (size_t)b * (MOST + 1);
    const double *fa = e->value[v] + (size_t)a * (size_t)n, *fb = e->value[v] + (size_t)b * (size_t)n;
    double same = 0, opposite = 0, left[2];

    for (int i = 0; i < n; i++) {
        same += e->rule.w[i] * fa[i] * fb[i];
        opposite += e->rule.w[i] * fa[i] * fb[n - 1 - i];
    }
    left[0] = (same + opposite) / 2;
    left[1] = (same - opposite) / 2;
    for (int m = 0; m <= MOST; m++) {
        c[m] = sa[m] * sb[m];
        left[m % 2] -= c[m];
    }
    c[MOST + 1] = left[1];
    c[MOST + 2] = left[0];
}

static void dual_values(const struct expansion *e, double *work, int v, int a, int b, double *out)
{
    const int n = e->points + 1, from = e->g->nodes[v].in[0];
    const double *u = node_values(e, work, from), *variance = e->variance + from * e->n;
    const double size = sqrt(variance[a] * variance[b]), inverse = size > 0 ? 1 / size : 0;
    double c[MOST + 3];

    dual_series(e, v, a, b, c);
    memset(out, 0, 2 * (size_t)n * sizeof *out);
    for (int m = MOST + 2; m >= 0; m--)
        for (int i = 0; i < n; i++) {
            const double x = inverse * u[i], y = inverse * u[n + i];
            const double re = out[i] * x - out[n + i] * y + c[m];

            out[n + i] = out[i] * y + out[n + i] * x;
            out[i] = re;
        }
}

static void scale_values(const struct expansion *e, double *work, int v, int a, int b, double *out)
{
    const struct ntk_node *x = &e->g->nodes[v];
    const double *in = node_values(e, work, x->in[0]), *q = e->variance + x->in[1] * e->n;
    const double factor = normaliser(q[a], e->ins[v].constant) * normaliser(q[b], e->ins[v].constant);

    for (int i = 0; i < 2 * (e->points + 1); i++)
        out[i] = factor * in[i];
}

/* Coefficients up to degree, a[j stride], of the output's values. */
static void transform(const struct expansion *e, const double *f, int degree, int64_t stride, double *a)
{
    const int n = e->points;
    double left[2] = {(f[0] + f[n]) / 2, (f[0] - f[n]) / 2};

    for (int j = 0; j <= degree; j++) {
        double sum = (f[0] + (j % 2 ? -f[n] : f[n])) / 2;

        for (int i = 1; i < n; i++) {
            const int angle = i * j % (2 * n);

            sum += f[i] * e->cosine[angle] + f[n + 1 + i] * e->cosine[(angle + 3 * n / 2) % (2 * n)];
        }
        a[j * stride] = sum / n;
        left[j % 2] -= a[j * stride];
    }
    a[degree * stride] += left[degree % 2];
    a[(degree - 1) * stride] += left[1 - degree % 2];
}

static void pair(const struct expansion *e, const double *q, int a, int b, double *work)
{
    for (int v = 0; v <= e->output; v++) {
        double *out = node_values(e, work, v);

        if (!e->used[v])
            continue;
        switch (e->ins[v].id) {
        case NTK_DO_FIRST:
            first_values(e, sqrt(q[a] * q[b]), out);
            break;
        case NTK_DO_MIX:
            mix_values(e, work, v, out);
            break;
        case NTK_DO_PRODUCT:
            product_values(e, work, v, out);
            break;
        case NTK_DO_SCALE:
            scale_values(e, work, v, a, b, out);
            break;
        default: /* NTK_DO_DUAL */
            dual_values(e, work, v, a, b, out);
        }
    }
}

/* ---- the whole */

static ntk_status prepare(struct expansion *e, const double *q)
{
    const size_t n = (size_t)e->n;

    find_used(e->g, e->output, e->used);
    for (int v = 0; v <= e->output; v++) {
        if (!e->used[v])
            continue;
        e->g->nodes[v].op->instruct(&e->g->nodes[v], &e->ins[v]);
        if (e->ins[v].id == NTK_DO_DUAL) {
            e->series[v] = ntk_alloc(e->g->ctx, n * (MOST + 1), sizeof **e->series);
            e->value[v] = ntk_alloc(e->g->ctx, n * (size_t)e->rule.n, sizeof **e->value);
            if (!e->series[v] || !e->value[v])
                return NTK_ENOMEM;
        }
#pragma omp parallel for num_threads(ntk_threads_for(e->g->ctx, e->n)) schedule(dynamic)
        for (int k = 0; k < e->n; k++)
            e->variance[v * e->n + k] = e->ins[v].id == NTK_DO_FIRST ? q[k] : variance_of(e, v, k);
    }
    return NTK_OK;
}

static ntk_status all_pairs(const struct expansion *e, const double *q, int degree, double *a)
{
    const int64_t n = e->n, each = (int64_t)(e->output + 1) * 2 * (e->points + 1);
    const int threads = ntk_threads_for(e->g->ctx, n);
    double *work = ntk_alloc(e->g->ctx, (size_t)(threads * each), sizeof *work);
    ntk_status status = NTK_OK;

    if (!work)
        return NTK_ENOMEM;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t row = 0; row < n; row++) {
        const int64_t i = n - 1 - row; /* the longest first */
        double *own = work + omp_get_thread_num() * each;

        for (int64_t k = 0; k <= i && ntk_go_on(e->g->ctx, &status, NTK_OK); k++) {
            pair(e, q, (int)i, (int)k, own);
            transform(e, node_values(e, own, e->output), degree, n * n, a + i * n + k);
            for (int j = 0; j <= degree; j++)
                a[j * n * n + k * n + i] = a[j * n * n + i * n + k];
        }
    }
    free(work);
    return status;
}

static ntk_status expand(struct expansion *e, const double *q, int degree, double *a)
{
    const size_t nodes = (size_t)e->output + 1, circle = 2 * (size_t)e->points;

    e->used = ntk_alloc_zero(e->g->ctx, nodes, sizeof *e->used);
    e->ins = ntk_alloc_zero(e->g->ctx, nodes, sizeof *e->ins);
    e->variance = ntk_alloc_zero(e->g->ctx, nodes * (size_t)e->n, sizeof *e->variance);
    e->series = ntk_alloc_zero(e->g->ctx, nodes, sizeof *e->series);
    e->value = ntk_alloc_zero(e->g->ctx, nodes, sizeof *e->value);
    e->cosine = ntk_alloc(e->g->ctx, circle, sizeof *e->cosine);
    if (!e->used || !e->ins || !e->variance || !e->series || !e->value || !e->cosine)
        return NTK_ENOMEM;
    for (size_t k = 0; k < circle; k++)
        e->cosine[k] = cos(M_PI * (double)k / e->points);
    NTK_TRY(ntk_gaussian_rule_new(e->g->ctx, &e->rule));
    NTK_TRY(prepare(e, q));
    return all_pairs(e, q, degree, a);
}

ntk_status ntk_expand(const struct ntk_graph *g, int output, int degree, int n, const double *q, double *a)
{
    struct expansion e = {.g = g, .output = output, .n = n, .points = n == 1 ? POINTS_ONE : POINTS_MANY};
    const ntk_status status = expand(&e, q, degree, a);

    for (int v = 0; e.series && e.value && v <= output; v++) {
        free(e.series[v]);
        free(e.value[v]);
    }
    free(e.series);
    free(e.value);
    free(e.used);
    free(e.ins);
    free(e.variance);
    free(e.cosine);
    ntk_gaussian_rule_free(&e.rule);
    return status;
}
