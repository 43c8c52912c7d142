/* SPDX-License-Identifier: MIT
 *
 * finite.h - a witness for the infinite-width rules: random finite networks of an architecture's
 * own tree, and their kernels. Nothing here knows those rules: layers act on images (a vector is one of
 * one position), gradients go back along a tape, and a kernel entry is the sum over all weights of
 * products of gradients.
 *
 * Nets end with a Dense of one output. Its own weights are averaged
 * over exactly: the NNGP of one network is W_std^2 a.a' / n + b_std^2, a its last hidden vectors.
 */
#ifndef NTK_TEST_FINITE_H
#define NTK_TEST_FINITE_H

#include "activations/activation.h"
#include "language/net.h"
#include "test.h"

#define WITNESSES 3 /* samples */

/* Means over networks, [WITNESSES][WITNESSES], of NNGP and NTK, and their standard errors. */
struct finite_mean {
    double value[2][WITNESSES * WITNESSES];
    double deviation[2][WITNESSES * WITNESSES];
};

/* An image [h][w][c] for each sample, n numbers, and the output's gradient with respect to it. */
struct finite_vector {
    int h, w, c, n;
    double *v[WITNESSES], *g[WITNESSES];
};

struct finite_step {
    const struct ntk_tree *leaf;
    int n_in;
    struct finite_vector **in, *out;
    double *W; /* Dense, Conv: [out][places of the window][in], scaled. Dropout: [WITNESSES][n] factors */
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

static inline struct finite_vector *finite_vector_new(struct finite_net *f, int h, int w, int c)
{
    struct finite_vector *x = finite_alloc(f, 1, sizeof *x);
    const int n = h * w * c;

    *x = (struct finite_vector){.h = h, .w = w, .c = c, .n = n};
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

/* ---- windows: which position place `a` of window q covers, as neural-tangents has it */

struct finite_window {
    int size[2], stride[2], low[2], n[2], out[2];
    bool wrap;
};

static inline struct finite_window finite_window_of(const struct ntk_tree *leaf, const char *size_name,
                                                    const struct finite_vector *in)
{
    const struct ntk_integers *size = finite_param(leaf, size_name);
    const struct ntk_integers *stride = finite_param(leaf, "strides");
    const int padding = *(const int *)finite_param(leaf, "padding"); /* VALID, SAME, CIRCULAR */
    struct finite_window w = {
        .size = {1, 1}, .stride = {1, 1}, .n = {in->h, in->w}, .out = {in->h, in->w}};

    w.wrap = padding == 2;
    for (int k = 0; k < size->n; k++) {
        const int axis = k + 2 - size->n;
        const int n = w.n[axis], reach = (int)size->v[k], step = stride->n ? (int)stride->v[k] : 1;
        const int out = padding == 0 ? (n - reach) / step + 1 : (n + step - 1) / step;
        const int pad = padding == 0 ? 0 : (out - 1) * step + reach - n;

        w.size[axis] = reach;
        w.stride[axis] = step;
        w.out[axis] = out;
        w.low[axis] = pad > 0 ? pad / 2 : 0;
    }
    return w;
}

/* Dense: the window that is one position. */
static inline struct finite_window finite_window_one(const struct finite_vector *in)
{
    return (struct finite_window){
        .size = {1, 1}, .stride = {1, 1}, .n = {in->h, in->w}, .out = {in->h, in->w}};
}

/* Position number, or -1 outside. q counts windows, a places, both row by row. */
static inline int finite_position(const struct finite_window *w, int q, int a)
{
    int p[2] = {w->stride[0] * (q / w->out[1]) - w->low[0] + a / w->size[1],
                w->stride[1] * (q % w->out[1]) - w->low[1] + a % w->size[1]};

    for (int k = 0; k < 2; k++) {
        if (w->wrap)
            p[k] = (p[k] % w->n[k] + w->n[k]) % w->n[k];
        else if (p[k] < 0 || p[k] >= w->n[k])
            return -1;
    }
    return p[0] * w->n[1] + p[1];
}

/* ---- Dense and Conv */

struct finite_dense {
    struct finite_window window;
    int64_t width, s0;
    int places, n_in;
    double W_std, b_std; /* b_std 0 without biases */
    bool biased, standard, trainable;
};

static inline struct finite_dense finite_dense_of(const struct finite_step *step)
{
    const struct ntk_tree *leaf = step->leaf;
    const struct ntk_integers *s = finite_param(leaf, "s");
    const bool conv = finite_is(leaf, "Conv");
    const double b_std = finite_number(leaf, "b_std");
    const bool standard = *(const int *)finite_param(leaf, "parameterization") == 1;
    struct finite_dense d = {.window = conv ? finite_window_of(leaf, "filter_shape", step->in[0])
                                            : finite_window_one(step->in[0]),
                             .width = *(const int64_t *)finite_param(leaf, conv ? "out_chan"
                                                                                : "out_dim") *
                                      (standard ? s->v[1] : 1),
                             .s0 = s->v[0],
                             .W_std = finite_number(leaf, "W_std"),
                             .b_std = isnan(b_std) ? 0 : b_std,
                             .biased = !isnan(b_std),
                             .standard = standard,
                             .trainable = *(const bool *)finite_param(leaf, "trainable")};

    d.places = d.window.size[0] * d.window.size[1];
    d.n_in = d.places * step->in[0]->c;
    return d;
}

/* In both parameterizations the product of scale and weight has deviation W_std / sqrt(n_in). */
static inline void finite_dense_forward(struct finite_net *f, struct finite_step *step)
{
    const struct finite_dense d = finite_dense_of(step);
    const struct finite_vector *in = step->in[0];
    const int width = (int)d.width, windows = d.window.out[0] * d.window.out[1];
    const double scale = d.W_std / sqrt((double)d.n_in);
    double *bias = finite_alloc(f, (size_t)width, sizeof *bias);

    step->out = finite_vector_new(f, d.window.out[0], d.window.out[1], width);
    step->W = finite_alloc(f, (size_t)width * (size_t)d.n_in, sizeof *step->W);
    for (int o = 0; o < width; o++) {
        bias[o] = d.b_std * test_normal(&f->seed);
        for (int i = 0; i < d.n_in; i++)
            step->W[o * d.n_in + i] = scale * test_normal(&f->seed);
    }
    for (int s = 0; s < WITNESSES; s++)
        for (int q = 0; q < windows; q++)
            for (int o = 0; o < width; o++) {
                double sum = bias[o];

                for (int a = 0; a < d.places; a++) {
                    const int p = finite_position(&d.window, q, a);

                    if (p >= 0)
                        sum += finite_dot(step->W + o * d.n_in + a * in->c, in->v[s] + p * in->c, in->c);
                }
                step->out->v[s][q * width + o] = sum;
            }
}

/* Gradients of the output with respect to the weights [out][places][in] and biases [out] of one
 * sample; goes back through the layer on the way. */
static inline void finite_dense_gradients(const struct finite_step *step, const struct finite_dense *d,
                                          int s, double *of_W, double *of_b)
{
    const struct finite_vector *in = step->in[0], *out = step->out;

    for (int q = 0; q < out->h * out->w; q++)
        for (int o = 0; o < out->c; o++) {
            const double g = out->g[s][q * out->c + o];

            of_b[o] += g;
            for (int a = 0; a < d->places; a++) {
                const int p = finite_position(&d->window, q, a);
                const int at = o * d->n_in + a * in->c;

                for (int i = 0; p >= 0 && i < in->c; i++) {
                    in->g[s][p * in->c + i] += g * step->W[at + i];
                    of_W[at + i] += g * in->v[s][p * in->c + i];
                }
            }
        }
}

/* Adds the weights' part of the tangent kernel. */
static inline void finite_dense_backward(struct finite_net *f, const struct finite_step *step,
                                         double *ntk)
{
    const struct finite_dense d = finite_dense_of(step);
    const int n = step->out->c * d.n_in, width = step->out->c;
    const double of_weights = d.standard ? 1 / (double)d.s0 : d.W_std * d.W_std / d.n_in;
    const double of_biases = d.standard ? d.biased : d.b_std * d.b_std;
    double *W[WITNESSES], *b[WITNESSES];

    for (int s = 0; s < WITNESSES; s++) {
        W[s] = finite_alloc(f, (size_t)n, sizeof **W);
        b[s] = finite_alloc(f, (size_t)width, sizeof **b);
        finite_dense_gradients(step, &d, s, W[s], b[s]);
    }
    for (int s = 0; s < WITNESSES && d.trainable; s++)
        for (int t = 0; t < WITNESSES; t++)
            ntk[s * WITNESSES + t] += of_weights * finite_dot(W[s], W[t], n) +
                                      of_biases * finite_dot(b[s], b[t], width);
}

/* ---- pools: window sums, or means */

static inline void finite_pool(struct finite_net *f, struct finite_step *step, bool backward)
{
    const struct ntk_tree *leaf = step->leaf;
    const struct finite_vector *in = step->in[0];
    const struct finite_window w = finite_window_of(leaf, "window_shape", in);
    const bool mean = finite_is(leaf, "AvgPool");
    const bool edges = mean && *(const bool *)finite_param(leaf, "normalize_edges") && !w.wrap;
    const int places = w.size[0] * w.size[1], c = in->c;

    if (!backward)
        step->out = finite_vector_new(f, w.out[0], w.out[1], c);
    for (int q = 0; q < w.out[0] * w.out[1]; q++) {
        double factor = mean ? 1.0 / places : 1;
        int inside = 0;

        for (int a = 0; a < places; a++)
            inside += finite_position(&w, q, a) >= 0;
        factor = edges ? 1.0 / inside : factor;
        for (int s = 0; s < WITNESSES; s++)
            for (int a = 0; a < places; a++) {
                const int p = finite_position(&w, q, a);

                for (int i = 0; p >= 0 && i < c; i++)
                    if (backward)
                        in->g[s][p * c + i] += factor * step->out->g[s][q * c + i];
                    else
                        step->out->v[s][q * c + i] += factor * in->v[s][p * c + i];
            }
    }
}

static inline void finite_global_pool(struct finite_net *f, struct finite_step *step, bool backward)
{
    const struct finite_vector *in = step->in[0];
    const double factor = finite_is(step->leaf, "GlobalAvgPool") ? 1.0 / (in->h * in->w) : 1;

    if (!backward)
        step->out = finite_vector_new(f, 1, 1, in->c);
    for (int s = 0; s < WITNESSES; s++)
        for (int i = 0; i < in->n; i++)
            if (backward)
                in->g[s][i] += factor * step->out->g[s][i % in->c];
            else
                step->out->v[s][i % in->c] += factor * in->v[s][i];
}

/* ---- LayerNorm: y = (x - mean) / sqrt(variance + eps) over channels and the named axes */

/* Numbers of the elements that are normalised together, for group `group`; returns how many. */
static inline int finite_group(const struct finite_step *step, int group, int *elements)
{
    const struct ntk_integers *axis = finite_param(step->leaf, "axis");
    const struct finite_vector *in = step->in[0];
    const int ndim = in->h > 1 || axis->v[0] > 2 ? 4 : 3; /* images, or sequences */
    bool rows = false, columns = false;
    int n = 0;

    for (int k = 0; k < axis->n; k++) {
        const int64_t a = axis->v[k] < 0 ? axis->v[k] + ndim : axis->v[k];

        rows = rows || (ndim == 4 && a == 1);
        columns = columns || a == ndim - 2;
    }
    for (int i = 0; i < in->n; i++) {
        const int r = i / (in->w * in->c), column = i / in->c % in->w;

        if ((rows ? 0 : r) * in->w + (columns ? 0 : column) == group)
            elements[n++] = i;
    }
    return n;
}

static inline void finite_norm_group(const struct finite_step *step, const int *at, int n, int s,
                                     bool backward)
{
    const struct finite_vector *in = step->in[0], *out = step->out;
    double mean = 0, variance = 0, scale, g_mean = 0, g_y = 0;

    for (int i = 0; i < n; i++)
        mean += in->v[s][at[i]] / n;
    for (int i = 0; i < n; i++)
        variance += (in->v[s][at[i]] - mean) * (in->v[s][at[i]] - mean) / n;
    scale = 1 / sqrt(variance + finite_number(step->leaf, "eps"));
    for (int i = 0; i < n; i++) {
        if (!backward)
            out->v[s][at[i]] = (in->v[s][at[i]] - mean) * scale;
        g_mean += out->g[s][at[i]] / n;
        g_y += out->g[s][at[i]] * out->v[s][at[i]] / n;
    }
    for (int i = 0; i < n && backward; i++)
        in->g[s][at[i]] += scale * (out->g[s][at[i]] - g_mean - out->v[s][at[i]] * g_y);
}

static inline void finite_norm(struct finite_net *f, const struct finite_step *step, bool backward)
{
    const struct finite_vector *in = step->in[0];
    int *at = finite_alloc(f, (size_t)in->n, sizeof *at);

    for (int group = 0; group < in->h * in->w; group++) {
        const int n = finite_group(step, group, at);

        for (int s = 0; s < WITNESSES && n > 0; s++)
            finite_norm_group(step, at, n, s, backward);
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

/* Side by side at every position. */
static inline void finite_concat(const struct finite_step *step, bool backward)
{
    const int c = step->out->c;

    for (int s = 0; s < WITNESSES; s++)
        for (int k = 0, first = 0; k < step->n_in; first += step->in[k++]->c) {
            const struct finite_vector *in = step->in[k];

            for (int i = 0; i < in->n; i++) {
                const int at = i / in->c * c + first + i % in->c;

                if (backward)
                    in->g[s][i] += step->out->g[s][at];
                else
                    step->out->v[s][at] = in->v[s][i];
            }
        }
}

/* ---- one network */

static inline bool finite_is_affine(const struct finite_step *step)
{
    return finite_is(step->leaf, "Dense") || finite_is(step->leaf, "Conv");
}

static inline bool finite_is_pool(const struct finite_step *step)
{
    return finite_is(step->leaf, "AvgPool") || finite_is(step->leaf, "SumPool");
}

static inline bool finite_is_global(const struct finite_step *step)
{
    return finite_is(step->leaf, "GlobalAvgPool") || finite_is(step->leaf, "GlobalSumPool");
}

/* Layers that make something of as many positions as their input has; Flatten makes one of them. */
static inline void finite_forward_alike(struct finite_net *f, struct finite_step *step)
{
    const struct finite_vector *in = step->in[0];
    const bool concat = finite_is(step->leaf, "FanInConcat");
    int c = in->c;

    for (int k = 1; k < step->n_in && concat; k++)
        c += step->in[k]->c;
    step->out = finite_is(step->leaf, "Flatten") ? finite_vector_new(f, 1, 1, in->n)
                                                 : finite_vector_new(f, in->h, in->w, c);
    if (concat)
        finite_concat(step, false);
    else if (finite_is(step->leaf, "LayerNorm"))
        finite_norm(f, step, false);
    else
        finite_elementwise(step, false);
}

static inline void finite_forward(struct finite_net *f, struct finite_step *step)
{
    if (finite_is(step->leaf, "Dropout"))
        finite_draw_dropout(f, step);
    if (finite_is_affine(step))
        finite_dense_forward(f, step);
    else if (finite_is_pool(step))
        finite_pool(f, step, false);
    else if (finite_is_global(step))
        finite_global_pool(f, step, false);
    else
        finite_forward_alike(f, step);
}

static inline void finite_backward(struct finite_net *f, struct finite_step *step, double *ntk)
{
    if (finite_is_affine(step))
        finite_dense_backward(f, step, ntk);
    else if (finite_is_pool(step))
        finite_pool(f, step, true);
    else if (finite_is_global(step))
        finite_global_pool(f, step, true);
    else if (finite_is(step->leaf, "FanInConcat"))
        finite_concat(step, true);
    else if (finite_is(step->leaf, "LayerNorm"))
        finite_norm(f, step, true);
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

/* Both kernels of one network; x [WITNESSES][h][w][c]. */
static inline void finite_sample(const ntk_net *net, const double *x, ntk_shape shape, uint64_t seed,
                                 double K[2][WITNESSES * WITNESSES])
{
    struct finite_net f = {.seed = seed};
    struct finite_bundle in = {
        .vector = finite_vector_new(&f, (int)shape.h, (int)shape.w, (int)shape.c)};
    const struct finite_vector *hidden;
    struct finite_bundle out;
    struct finite_dense last;
    const int d = in.vector->n;

    for (int i = 0; i < WITNESSES * d; i++)
        in.vector->v[i / d][i % d] = x[i];
    out = finite_walk(&f, net->tree, in);
    assert_true(finite_is(f.last->leaf, "Dense") && out.n == 0 && out.vector->n == 1);
    last = finite_dense_of(f.last);
    hidden = f.last->in[0];
    memset(K, 0, 2 * sizeof *K);
    for (int s = 0; s < WITNESSES; s++) {
        out.vector->g[s][0] = 1;
        for (int t = 0; t < WITNESSES; t++)
            K[0][s * WITNESSES + t] = last.W_std * last.W_std / hidden->n *
                                          finite_dot(hidden->v[s], hidden->v[t], hidden->n) +
                                      last.b_std * last.b_std;
    }
    for (struct finite_step *step = f.last; step; step = step->before)
        finite_backward(&f, step, K[1]);
    ntk_arena_free(&f.arena);
}

static inline void finite_measure(const ntk_net *net, const double *x, ntk_shape shape, int n_nets,
                                  uint64_t seed, struct finite_mean *mean)
{
    double K[2][WITNESSES * WITNESSES];

    memset(mean, 0, sizeof *mean);
    for (int r = 0; r < n_nets; r++) { /* mean and sum of squared deviations, Welford 1962 */
        finite_sample(net, x, shape, seed * 1000003 + (uint64_t)r * 7919, K);
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
