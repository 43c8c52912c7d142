/* SPDX-License-Identifier: MIT
 *
 * A linear combination, with a constant: affine layers, sums of branches. Number 0 is the constant, number 1 + k the
 * coefficient of in[k].
 */
#include <math.h>

#include "ops/op.h"

struct mix {
    double constant;
    double coef[]; /* [n_in] */
};

static const struct mix *args(const struct ntk_node *v) { return v->args; }

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = NTK_DO_MIX;
    out->coef = args(v)->coef;
    out->constant = args(v)->constant;
}

static unsigned flags(const struct ntk_node *v, unsigned in)
{
    bool minus = args(v)->constant < 0;

    for (int k = 0; k < v->n_in; k++)
        minus = minus || args(v)->coef[k] < 0;
    return minus ? in | NTK_SIGNED : in;
}

static void variance(const struct ntk_variances *x)
{
    x->simd->mix(ntk_node_positions(x->v) * x->lanes, x->v->n_in, x->in, args(x->v)->coef,
                 args(x->v)->constant, x->out[0]);
}

/* The sum is at least the largest of the terms that are nowhere 0. */
static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual)
{
    const struct mix *m = args(v);
    struct ntk_range r = {m->constant, m->constant, HUGE_VAL, m->constant > 0 ? 0 : NTK_ANY_GAP};
    double whole = 0;

    (void)g;
    (void)dual;
    for (int k = 0; k < v->n_in; k++) {
        const struct ntk_range *x = &in[v->in[k]];

        r.lo += m->coef[k] * x->lo;
        r.hi += m->coef[k] * x->hi;
        if (!(m->coef[k] > 0 && x->hi > 0))
            continue;
        r.tiny = fmin(r.tiny, m->coef[k] * x->tiny);
        r.gap = x->gap < r.gap ? x->gap : r.gap;
        whole = x->gap == 0 ? fmax(whole, m->coef[k] * x->tiny) : whole;
    }
    r.tiny = r.lo > 0 ? r.lo : whole > 0 ? whole : r.tiny; /* lo: of samples that are 0, too */
    return r;
}

/* All terms have one degree, which a constant makes 0; in the limit the least one is left. */
static int degree(const struct ntk_node *v, const int *in, bool limit)
{
    int d = args(v)->constant != 0 ? 0 : NTK_ANY_DEGREE;

    for (int k = 0; k < v->n_in; k++) {
        const int term = in[v->in[k]];

        if (args(v)->coef[k] == 0 || term == NTK_ANY_DEGREE)
            continue;
        if (d != NTK_ANY_DEGREE && term != d && !limit)
            return NTK_NO_DEGREE;
        d = d == NTK_ANY_DEGREE || term < d ? term : d;
    }
    return d;
}

static const double *constants(const struct ntk_node *v, int *n)
{
    *n = 1 + v->n_in;
    return &args(v)->constant;
}

static bool vanishes(const struct ntk_node *v, const double *in)
{
    for (int k = 0; k < v->n_in; k++)
        if (in[k] != 0 && args(v)->coef[k] != 0)
            return false;
    return true;
}

static double rest(const struct ntk_limit *x, const struct ntk_node *v)
{
    const int own = x->degree[v - x->g->nodes];
    double sum = own < 0 ? args(v)->constant : 0;

    for (int k = 0; k < v->n_in; k++) {
        const int term = x->degree[v->in[k]];

        if (term != own && term != NTK_ANY_DEGREE)
            sum += args(v)->coef[k] * x->value[(size_t)v->in[k] * x->stride];
    }
    return sum;
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    for (int k = 0; k < v->n_in; k++)
        ntk_text_add(text, "%s%.6g", k ? " " : "", args(v)->coef[k]);
    ntk_text_add(text, "%s+ %.6g", v->n_in ? " " : "", args(v)->constant);
}

const struct ntk_op ntk_op_mix = {.name = "mix",
                                  .results = 1,
                                  .flags = flags,
                                  .instruct = instruct,
                                  .variance = variance,
                                  .range = range,
                                  .degree = degree,
                                  .constants = constants,
                                  .vanishes = vanishes,
                                  .rest = rest,
                                  .print = print};

/* What a mix is made of, before it is a node. Terms of one node are one. */
struct terms {
    int n, *in;
    struct ntk_number *coef; /* the origin of the first part */
    struct mix *m;
    const struct ntk_origin *origins;
};

static bool same_term(const struct ntk_graph *g, const struct ntk_number *a, const struct ntk_number *b)
{
    return !g->derivatives || ntk_same_origin(a, b);
}

static void add_term(struct ntk_graph *g, struct terms *t, int in, const struct ntk_number *coef)
{
    int j = 0;

    /* with positions a term of coefficient 0 stays: it says how many there are */
    if (in == NTK_ZERO || (coef->x == 0 && !ntk_is_kept(g, coef) && !g->nodes[in].plane))
        return;
    while (j < t->n && !(t->in[j] == in && same_term(g, &t->coef[j], coef)))
        j++;
    t->in[j] = in;
    t->m->coef[j] += coef->x;
    if (j < t->n && ntk_same_origin(&t->coef[j], coef)) {
        t->coef[j].x += coef->x;
        return;
    }
    if (j < t->n)
        t->origins = ntk_graph_origin(g, t->origins, 1 + j, -1, *coef);
    else
        t->coef[t->n++] = *coef;
}

int ntk_graph_mix(struct ntk_graph *g, int n, const int *in, const struct ntk_number *coef,
                  struct ntk_number constant)
{
    const size_t most = sizeof(struct mix) + (size_t)n * sizeof(double);
    struct terms t = {.in = ntk_arena_alloc(&g->arena, (size_t)n, sizeof *t.in),
                      .coef = ntk_arena_alloc(&g->arena, (size_t)n, sizeof *t.coef),
                      .m = ntk_arena_alloc(&g->arena, most, 1)};

    if (!t.in || !t.coef || !t.m)
        return ntk_graph_no_memory(g);
    t.m->constant = constant.x;
    for (int i = 0; i < n; i++)
        add_term(g, &t, in[i], &coef[i]);
    if (constant.x == 0 && !ntk_is_kept(g, &constant)) {
        if (t.n == 0)
            return NTK_ZERO;
        if (t.n == 1 && t.m->coef[0] == 1 && !ntk_is_kept(g, &t.coef[0]))
            return t.in[0];
    }
    for (int j = 0; j < t.n; j++)
        t.origins = ntk_graph_origin(g, t.origins, 1 + j, -1, t.coef[j]);
    return ntk_graph_add(g, &ntk_op_mix, t.n, t.in, t.m, sizeof(struct mix) + (size_t)t.n * sizeof(double),
                         ntk_graph_origin(g, t.origins, 0, -1, constant));
}

int ntk_graph_affine(struct ntk_graph *g, int in, struct ntk_number a, struct ntk_number b)
{
    return ntk_graph_mix(g, 1, &in, &a, b);
}

int ntk_graph_materialise(struct ntk_graph *g, int in)
{
    static const struct mix none = {0};

    return in == NTK_ZERO ? ntk_graph_add(g, &ntk_op_mix, 0, NULL, &none, sizeof none, NULL) : in;
}
