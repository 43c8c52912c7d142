/* SPDX-License-Identifier: MIT
 *
 * finite.h - a witness for the infinite-width rules: random finite networks of an architecture's
 * own tree, and their kernels. Nothing here knows those rules: layers act on vectors, gradients go
 * back along a tape, and a kernel entry is the sum over all weights of products of gradients.
 *
 * Fully connected nets only, which end with a Dense of one output. Its own weights are averaged
 * over exactly: the NNGP of one network is W_std^2 a.a' / n + b_std^2, a its last hidden vectors.
 */
#ifndef NTK_TEST_FINITE_H
#define NTK_TEST_FINITE_H

#include "activations/activation.h"
#include "arch/arch.h"
#include "test.h"

#define WITNESSES 3 /* samples */

/* Means over networks, [WITNESSES][WITNESSES], of NNGP and NTK, and their standard errors. */
struct finite_mean {
    double value[2][WITNESSES * WITNESSES];
    double deviation[2][WITNESSES * WITNESSES];
};

/* A vector for each sample, and the output's gradient with respect to it. */
struct finite_vector {
    int n;
    double *v[WITNESSES], *g[WITNESSES];
};

struct finite_step {
    const struct ntk_tree *leaf;
    int n_in;
    struct finite_vector **in, *out;
    double *W; /* Dense: [out][in], scaled. Dropout: [WITNESSES][n] factors */
    struct finite_step *before;
};

struct finite_net {
    struct ntk_arena arena;
    uint64_t seed;
    struct finite_step *last;
};

/* What flows through the tree: one vector, or branches. */
struct finite_bundle {
    int n; /* 0: one vector */
    struct finite_vector *vector;
    struct finite_bundle *branches;
};

static inline void *finite_alloc(struct finite_net *f, size_t n, size_t size)
{
    void *p = ntk_arena_alloc(&f->arena, n, size);

    assert_non_null(p);
    return p;
}

static inline struct finite_vector *finite_vector_new(struct finite_net *f, int n)
{
    struct finite_vector *x = finite_alloc(f, 1, sizeof *x);

    x->n = n;
    for (int s = 0; s < WITNESSES; s++) {
        x->v[s] = finite_alloc(f, (size_t)n, sizeof(double));
        x->g[s] = finite_alloc(f, (size_t)n, sizeof(double));
    }
    return x;
}

/* A parameter of a leaf's private struct, by its name. */
static inline const void *finite_param(const struct ntk_tree *leaf, const char *name)
{
    for (const struct ntk_param *p = leaf->cls->params; p && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return (const char *)leaf->self + p->offset;
    fail_msg("%s has no parameter %s", leaf->cls->name, name);
    return NULL;
}

static inline double finite_number(const struct ntk_tree *leaf, const char *name)
{
    return *(const double *)finite_param(leaf, name);
}

static inline bool finite_is(const struct ntk_tree *leaf, const char *name)
{
    return strcmp(leaf->cls->name, name) == 0;
}

static inline double finite_dot(const double *a, const double *b, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- Dense */

struct finite_dense {
    int64_t width, s0;
    double W_std, b_std; /* b_std 0 without biases */
    bool biased, standard, trainable;
};

static inline struct finite_dense finite_dense_of(const struct ntk_tree *leaf)
{
    const struct ntk_integers *s = finite_param(leaf, "s");
    const double b_std = finite_number(leaf, "b_std");
    const bool standard = *(const int *)finite_param(leaf, "parameterization") == 1;

    return (struct finite_dense){.width = *(const int64_t *)finite_param(leaf, "out_dim") *
                                          (standard ? s->v[1] : 1),
                                 .s0 = s->v[0],
                                 .W_std = finite_number(leaf, "W_std"),
                                 .b_std = isnan(b_std) ? 0 : b_std,
                                 .biased = !isnan(b_std),
                                 .standard = standard,
                                 .trainable = *(const bool *)finite_param(leaf, "trainable")};
}

/* In both parameterizations the product of scale and weight has deviation W_std / sqrt(n_in). */
static inline void finite_dense_forward(struct finite_net *f, struct finite_step *step)
{
    const struct finite_dense d = finite_dense_of(step->leaf);
    const struct finite_vector *in = step->in[0];
    const double scale = d.W_std / sqrt((double)in->n);

    step->out = finite_vector_new(f, (int)d.width);
    step->W = finite_alloc(f, (size_t)d.width * (size_t)in->n, sizeof *step->W);
    for (int o = 0; o < step->out->n; o++) {
        double *row = step->W + (size_t)o * (size_t)in->n;
        const double bias = d.b_std * test_normal(&f->seed);

        for (int i = 0; i < in->n; i++)
            row[i] = scale * test_normal(&f->seed);
        for (int s = 0; s < WITNESSES; s++)
            step->out->v[s][o] = finite_dot(row, in->v[s], in->n) + bias;
    }
}

/* Goes back through the layer, and adds its weights' part of the tangent kernel. */
static inline void finite_dense_backward(const struct finite_step *step, double *ntk)
{
    const struct finite_dense d = finite_dense_of(step->leaf);
    const struct finite_vector *in = step->in[0], *out = step->out;
    const double of_weights = d.standard ? 1 / (double)d.s0 : d.W_std * d.W_std / in->n;
    const double of_biases = d.standard ? d.biased : d.b_std * d.b_std;

    for (int s = 0; s < WITNESSES; s++)
        for (int o = 0; o < out->n; o++)
            for (int i = 0; i < in->n; i++)
                in->g[s][i] += out->g[s][o] * step->W[(size_t)o * (size_t)in->n + (size_t)i];
    for (int s = 0; s < WITNESSES && d.trainable; s++)
        for (int t = 0; t < WITNESSES; t++)
            ntk[s * WITNESSES + t] +=
                finite_dot(out->g[s], out->g[t], out->n) *
                (of_weights * finite_dot(in->v[s], in->v[t], in->n) + of_biases);
}

/* ---- LayerNorm: y = (x - mean) / sqrt(variance + eps) */

static inline void finite_moments(const double *x, int n, double *mean, double *variance)
{
    *mean = 0;
    *variance = 0;
    for (int i = 0; i < n; i++)
        *mean += x[i] / n;
    for (int i = 0; i < n; i++)
        *variance += (x[i] - *mean) * (x[i] - *mean) / n;
}

static inline void finite_norm(const struct finite_step *step, bool backward)
{
    const struct finite_vector *in = step->in[0], *out = step->out;
    const double eps = finite_number(step->leaf, "eps");

    for (int s = 0; s < WITNESSES; s++) {
        double mean, variance, scale, g_mean = 0, g_y = 0;

        finite_moments(in->v[s], in->n, &mean, &variance);
        scale = 1 / sqrt(variance + eps);
        for (int i = 0; i < in->n; i++) {
            if (!backward)
                out->v[s][i] = (in->v[s][i] - mean) * scale;
            g_mean += out->g[s][i] / in->n;
            g_y += out->g[s][i] * out->v[s][i] / in->n;
        }
        for (int i = 0; i < in->n && backward; i++)
            in->g[s][i] += scale * (out->g[s][i] - g_mean - out->v[s][i] * g_y);
    }
}

/* ---- Dropout: factors 1 / rate with probability rate, else 0, of their own for each sample */

static inline void finite_draw_dropout(struct finite_net *f, struct finite_step *step)
{
    const double rate = finite_number(step->leaf, "rate");
    const bool test = *(const int *)finite_param(step->leaf, "mode") == 1;
    const int n = step->in[0]->n;

    step->W = finite_alloc(f, (size_t)n * WITNESSES, sizeof *step->W);
    for (int i = 0; i < n * WITNESSES; i++) {
        const double uniform = erfc(-test_normal(&f->seed) / sqrt(2.0)) / 2;

        step->W[i] = test ? 1 : uniform < rate ? 1 / rate : 0;
    }
}

/* ---- elementwise: out[i] is a function of all in[k][i] */

/* The product of all inputs but number k (k < 0: of all) at i. */
static inline double finite_product(const struct finite_step *step, int k, int s, int i)
{
    double product = 1;

    for (int j = 0; j < step->n_in; j++)
        product *= j == k ? 1 : step->in[j]->v[s][i];
    return product;
}

/* Value (k < 0), or derivative with respect to input k, of a layer at i of sample s. */
static inline double finite_point(const struct finite_step *step, int k, int s, int i)
{
    const struct ntk_tree *leaf = step->leaf;
    const double x = step->in[0]->v[s][i];
    double sum = 0;

    if (leaf->cls->kind == NTK_CLASS_ACTIVATION) {
        const struct ntk_activation *act = (const struct ntk_activation *)leaf->cls;
        return k < 0 ? act->f(leaf->self, x) : act->df(leaf->self, x);
    }
    if (finite_is(leaf, "FanInProd"))
        return finite_product(step, k, s, i);
    if (finite_is(leaf, "Dropout"))
        return step->W[s * step->in[0]->n + i] * (k < 0 ? x : 1);
    if (!finite_is(leaf, "FanInSum") && !finite_is(leaf, "Identity") && !finite_is(leaf, "Flatten"))
        fail_msg("finite networks do not know %s yet: add it to finite.h", leaf->cls->name);
    for (int j = 0; j < step->n_in; j++)
        sum += step->in[j]->v[s][i];
    return k < 0 ? sum : 1;
}

static inline void finite_elementwise(const struct finite_step *step, bool backward)
{
    for (int s = 0; s < WITNESSES; s++)
        for (int i = 0; i < step->out->n; i++) {
            if (!backward)
                step->out->v[s][i] = finite_point(step, -1, s, i);
            for (int k = 0; k < step->n_in && backward; k++)
                step->in[k]->g[s][i] += step->out->g[s][i] * finite_point(step, k, s, i);
        }
}

static inline void finite_concat(const struct finite_step *step, bool backward)
{
    for (int s = 0; s < WITNESSES; s++)
        for (int k = 0, at = 0; k < step->n_in; at += step->in[k++]->n)
            for (int i = 0; i < step->in[k]->n; i++)
                if (backward)
                    step->in[k]->g[s][i] += step->out->g[s][at + i];
                else
                    step->out->v[s][at + i] = step->in[k]->v[s][i];
}

/* ---- one network */

static inline void finite_forward(struct finite_net *f, struct finite_step *step)
{
    int width = step->in[0]->n;

    if (finite_is(step->leaf, "Dense")) {
        finite_dense_forward(f, step);
        return;
    }
    if (finite_is(step->leaf, "Dropout"))
        finite_draw_dropout(f, step);
    for (int k = 1; k < step->n_in && finite_is(step->leaf, "FanInConcat"); k++)
        width += step->in[k]->n;
    step->out = finite_vector_new(f, width);
    if (finite_is(step->leaf, "FanInConcat"))
        finite_concat(step, false);
    else if (finite_is(step->leaf, "LayerNorm"))
        finite_norm(step, false);
    else
        finite_elementwise(step, false);
}

static inline void finite_backward(const struct finite_step *step, double *ntk)
{
    if (finite_is(step->leaf, "Dense"))
        finite_dense_backward(step, ntk);
    else if (finite_is(step->leaf, "FanInConcat"))
        finite_concat(step, true);
    else if (finite_is(step->leaf, "LayerNorm"))
        finite_norm(step, true);
    else
        finite_elementwise(step, true);
}

static inline struct finite_bundle finite_leaf(struct finite_net *f, const struct ntk_tree *t,
                                               struct finite_bundle in)
{
    struct finite_step *step = finite_alloc(f, 1, sizeof *step);

    step->leaf = t;
    step->n_in = in.n ? in.n : 1;
    step->in = finite_alloc(f, (size_t)step->n_in, sizeof(struct finite_vector *));
    step->in[0] = in.vector;
    for (int k = 0; k < in.n; k++)
        step->in[k] = in.branches[k].vector;
    step->before = f->last;
    f->last = step;
    finite_forward(f, step);
    return (struct finite_bundle){.vector = step->out};
}

static inline struct finite_bundle finite_walk(struct finite_net *f, const struct ntk_tree *t,
                                               struct finite_bundle in)
{
    struct finite_bundle out = {.n = t->n};

    switch (t->kind) {
    case NTK_TREE_LEAF:
        return finite_leaf(f, t, in);
    case NTK_TREE_SERIAL:
    case NTK_TREE_REPEAT:
        for (int k = 0; k < t->n; k++)
            in = finite_walk(f, t->kids[t->kind == NTK_TREE_SERIAL ? k : 0], in);
        return in;
    default: /* NTK_TREE_FANOUT, NTK_TREE_PARALLEL */
        out.branches = finite_alloc(f, (size_t)t->n, sizeof *out.branches);
        for (int k = 0; k < t->n; k++)
            out.branches[k] =
                t->kind == NTK_TREE_FANOUT ? in : finite_walk(f, t->kids[k], in.branches[k]);
        return out;
    }
}

/* Both kernels of one network; x [WITNESSES][d]. */
static inline void finite_sample(const ntk_net *net, const double *x, int d, uint64_t seed,
                                 double K[2][WITNESSES * WITNESSES])
{
    struct finite_net f = {.seed = seed};
    struct finite_bundle in = {.vector = finite_vector_new(&f, d)}, out;
    const struct finite_vector *hidden;
    struct finite_dense last;

    for (int i = 0; i < WITNESSES * d; i++)
        in.vector->v[i / d][i % d] = x[i];
    out = finite_walk(&f, net->tree, in);
    assert_true(finite_is(f.last->leaf, "Dense") && out.n == 0 && out.vector->n == 1);
    last = finite_dense_of(f.last->leaf);
    hidden = f.last->in[0];
    memset(K, 0, 2 * sizeof *K);
    for (int s = 0; s < WITNESSES; s++) {
        out.vector->g[s][0] = 1;
        for (int t = 0; t < WITNESSES; t++)
            K[0][s * WITNESSES + t] = last.W_std * last.W_std / hidden->n *
                                          finite_dot(hidden->v[s], hidden->v[t], hidden->n) +
                                      last.b_std * last.b_std;
    }
    for (const struct finite_step *step = f.last; step; step = step->before)
        finite_backward(step, K[1]);
    ntk_arena_free(&f.arena);
}

static inline void finite_measure(const ntk_net *net, const double *x, int d, int n_nets,
                                  uint64_t seed, struct finite_mean *mean)
{
    double K[2][WITNESSES * WITNESSES];

    memset(mean, 0, sizeof *mean);
    for (int r = 0; r < n_nets; r++) { /* mean and sum of squared deviations, Welford 1962 */
        finite_sample(net, x, d, seed * 1000003 + (uint64_t)r * 7919, K);
        for (int m = 0; m < 2; m++)
            for (int e = 0; e < WITNESSES * WITNESSES; e++) {
                const double step = K[m][e] - mean->value[m][e];

                mean->value[m][e] += step / (r + 1);
                mean->deviation[m][e] += step * (K[m][e] - mean->value[m][e]);
            }
    }
    for (int m = 0; m < 2; m++)
        for (int e = 0; e < WITNESSES * WITNESSES; e++)
            mean->deviation[m][e] = sqrt(mean->deviation[m][e] / (n_nets - 1) / n_nets);
}

#endif
