/* SPDX-License-Identifier: MIT
 *
 * The two dual moments of an activation (activations/activation.h): result 0 is E[f(u) f(v)], result 1
 * E[f'(u) f'(v)], (u, v) Gaussian with covariance in[0] and its variances. Its numbers are those of the activation's
 * parameters, in the order of their table.
 */
#include <math.h>
#include <string.h>

#include "ops/op.h"

struct dual {
    const struct ntk_activation *act;
    double self[]; /* the activation's parameters, act->base.size bytes */
};

static const struct dual *args(const struct ntk_node *v) { return v->args; }
static const struct ntk_activation *activation(const struct ntk_node *v) { return args(v)->act; }

static unsigned flags(const struct ntk_node *v, unsigned in)
{
    const struct ntk_activation *act = activation(v);
    const bool positive = act->positive && act->positive(args(v)->self, v->result, in & NTK_SIGNED);

    return positive ? in & ~(unsigned)NTK_SIGNED : in | NTK_SIGNED;
}

static void instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    out->id = NTK_DO_DUAL;
    out->act = activation(v);
    out->self = args(v)->self;
}

static ntk_status setup(const struct ntk_node *v, ntk_ctx *ctx, const struct ntk_dual_range *range,
                        struct ntk_dual *dual)
{
    const struct ntk_where at = {.ctx = ctx, .name = activation(v)->base.name};

    return activation(v)->setup(args(v)->self, &at, range, dual);
}

static void finish(const struct ntk_node *v, struct ntk_dual *dual)
{
    if (activation(v)->finish)
        activation(v)->finish(dual);
}

static int sides(const struct ntk_node *v, const struct ntk_dual *dual)
{
    (void)v;
    return dual->sides;
}

/* Sides one by one; where moments are wanted, too, they may come together. */
static void variance(const struct ntk_variances *x)
{
    const struct ntk_activation *act = activation(x->v);
    const void *self = args(x->v)->self;
    const double *variances = x->in[0];
    const size_t n = ntk_node_positions(x->v) * x->lanes, sides = (size_t)x->dual->sides;

    if (x->duals->many[act->dual] && x->side && x->out[0] && x->out[1]) {
        x->duals->many[act->dual](n, x->dual->par, variances, x->side, x->out[0], x->out[1]);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        const double q = variances[k];
        double ff, dd;

        if (x->side) {
            act->side(self, x->dual, q, x->one);
            for (size_t i = 0; i < sides; i++)
                x->side[i * n + k] = x->one[i];
        }
        if (!x->out[0] && !x->out[1])
            continue;
        act->moments(self, x->dual, q, &ff, &dd);
        if (x->out[0])
            x->out[0][k] = ff;
        if (x->out[1])
            x->out[1][k] = dd;
    }
}

static double moment(const struct ntk_node *v, const struct ntk_dual *dual, double q)
{
    double both[2];

    activation(v)->moments(args(v)->self, dual, q, &both[0], &both[1]);
    return both[v->result];
}

/* Over a range of variances, by samples of it. */
static struct ntk_range range(const struct ntk_graph *g, const struct ntk_node *v,
                              const struct ntk_range *in, const struct ntk_dual *dual)
{
    const int n = 33;
    const struct ntk_range q = in[v->in[0]];
    struct ntk_range r = {HUGE_VAL, 0, HUGE_VAL, q.gap};

    (void)g;
    for (int k = 0; k < n; k++) {
        const double x = moment(v, dual, q.lo + (q.hi - q.lo) * k / (n - 1));

        r.lo = x < r.lo ? x : r.lo;
        r.hi = x > r.hi ? x : r.hi;
        r.tiny = ntk_least_positive(x, r.tiny);
    }
    if (q.tiny < q.hi && r.hi > 0) /* 0: too small even for float64 */
        r.tiny = fmin(r.tiny, moment(v, dual, q.tiny));
    return r;
}

typedef double function(const void *self, double x);

static function *function_of(const struct ntk_node *v)
{
    return v->result ? activation(v)->df : activation(v)->f;
}

/* The power of x that a function is near 0. */
static int order_at_0(function *f, const void *self)
{
    const double h = 0x1p-60, y = f(self, h);

    if (f(self, 0) != 0)
        return 0;
    return y != 0 ? (int)lrint(log2(fabs(f(self, 2 * h) / y))) : NTK_ANY_DEGREE;
}

static int degree(const struct ntk_node *v, const int *in, bool limit)
{
    const struct ntk_activation *act = activation(v);
    const int d = in[v->in[0]];
    int n;

    if (act->degree)
        n = act->degree(args(v)->self) - v->result;
    else if (limit && !act->unit_variance && d >= 0)
        n = order_at_0(function_of(v), args(v)->self);
    else
        n = NTK_NO_DEGREE;
    if (n < 0)
        return NTK_ANY_DEGREE;
    if (d == 0 || d == NTK_ANY_DEGREE)
        return 0;
    return n == NTK_NO_DEGREE ? n : n * d;
}

static bool vanishes(const struct ntk_node *v, const double *in)
{
    const void *self = args(v)->self;
    const double u = sqrt(in[0]);

    return in[0] == 0 || (function_of(v)(self, u) == 0 && function_of(v)(self, -u) == 0);
}

/* Whether f is its power n of x near 0, to all digits, for numbers of that size. */
static bool is_power(function *f, const void *self, int n, double x)
{
    const double y = f(self, x), twice = f(self, 2 * x);

    return n == NTK_ANY_DEGREE ? y == 0 && twice == 0
                               : fabs(twice - ldexp(y, n)) <= NTK_LIMIT_SMALL * fabs(ldexp(y, n));
}

/* Of a normal variable's numbers. The function, as the dual's variance has only the square of what is left out. */
static bool holds(const struct ntk_limit *x, const struct ntk_node *v)
{
    const void *self = args(v)->self;
    const double most = 8 * sqrt(x->value[(size_t)v->in[0] * x->stride]);
    const int n = order_at_0(function_of(v), self);

    return activation(v)->degree || x->degree[v->in[0]] <= 0 ||
           (is_power(function_of(v), self, n, most) && is_power(function_of(v), self, n, -most));
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_text_add(text, "%s", activation(v)->base.name);
}

const struct ntk_op ntk_op_dual = {.name = "dual",
                                   .results = 2,
                                   .flags = flags,
                                   .instruct = instruct,
                                   .variance = variance,
                                   .sides = sides,
                                   .setup = setup,
                                   .finish = finish,
                                   .range = range,
                                   .degree = degree,
                                   .vanishes = vanishes,
                                   .holds = holds,
                                   .print = print};

static const struct ntk_origin *origins(struct ntk_graph *g, const struct ntk_class *cls, const char *self)
{
    const struct ntk_origin *list = NULL;
    int k = 0;

    for (const struct ntk_param *p = cls->params; p && p->name; p++) {
        const struct ntk_numbers *many = (const void *)(self + p->offset);

        if (p->type == NTK_TYPE_NUMBER)
            list = ntk_graph_origin(g, list, k++, -1,
                                    ntk_power(p->name, *(const double *)(const void *)(self + p->offset), 1));
        for (int i = 0; p->type == NTK_TYPE_NUMBERS && i < many->n; i++)
            list = ntk_graph_origin(g, list, k++, i, ntk_power(p->name, many->v[i], 1));
    }
    return list;
}

int ntk_graph_dual(struct ntk_graph *g, const struct ntk_activation *act, const void *self, int sigma)
{
    const size_t bytes = sizeof(struct dual) + act->base.size;
    struct dual *d = ntk_arena_alloc(&g->arena, bytes, 1);

    if (!d)
        return ntk_graph_no_memory(g);
    d->act = act;
    if (act->base.size)
        memcpy(d->self, self, act->base.size);
    sigma = ntk_graph_materialise(g, sigma);
    return ntk_graph_add(g, &ntk_op_dual, 1, &sigma, d, bytes, origins(g, &act->base, self));
}

int ntk_graph_dual_dot(struct ntk_graph *g, const struct ntk_activation *act, const void *self, int sigma)
{
    return ntk_graph_result(g, ntk_graph_dual(g, act, self, sigma), 1);
}
