/* SPDX-License-Identifier: MIT
 *
 * quadrature.c - dual moments from f and f' alone, by nested Gauss-Legendre quadrature.
 *
 * With (u, v) = (s1 z, s2 (rho z + r w)), z and w independent standard normal, s1 and s2 the roots of the variances and
 * r = sqrt(1 - rho^2), a moment is the integral over z of the density times g(s1 z) h(z), h(z) that over w. Both are
 * cut into panels that end at kinks: of g(u) at z = kink / s1, of g(v) at w = (kink / s2 - rho z) / r. As a kink of
 * g(v) crosses the density of w, h changes over a length r / |rho| around z = kink / (s2 rho): short panels there.
 * How wide panels may be and how far they reach, the integrals of f^2 and f'^2 say.
 */
#include <math.h>

#include "backend/reference/reference.h"

#define REACH_LEAST 8
#define REACH_MOST  36 /* beyond that the density is no number of float64 */
#define TAIL        1e-17L /* of the largest value, where panels end */
#define WIDTH       3.6L   /* of panels, at most */
#define NARROWER    0.75L /* from one width that is tried to the next */
#define TRIALS      24
#define AGREE       4e-15L /* of two widths */
#define BREAKS_MOST 64

void ntk_rule_make(struct ntk_rule *rule)
{
    const int n = NTK_RULE;

    for (int i = 0; i < n; i++) {
        long double x = cosl(3.14159265358979323846L * (i + 0.75L) / (n + 0.5L)), slope = 1;

        for (int turn = 0; turn < 20; turn++) {
            long double older = 1, p = x;

            for (int m = 2; m <= n; m++) {
                const long double next = ((2 * m - 1) * x * p - (m - 1) * older) / m;

                older = p;
                p = next;
            }
            slope = n * (older - x * p) / (1 - x * x);
            x -= p / slope;
        }
        rule->x[i] = (1 - x) / 2;
        rule->w[i] = 1 / ((1 - x * x) * slope * slope);
    }
}

/* An activation at a pair of variances. */
struct integral {
    const struct ntk_rule *rule;
    const struct ntk_activation *act;
    const void *self;
    int n_kinks;
    double kinks[4];
    long double s1, s2, rho, r;
    long double reach, width;
};

/* f and f' at x. */
static void both(const struct integral *g, long double x, long double y[2])
{
    y[0] = g->act->f(g->self, (double)x);
    y[1] = g->act->df(g->self, (double)x);
}

/* Where panels begin and end, ascending. */
struct breaks {
    int n;
    long double at[BREAKS_MOST];
};

static struct breaks breaks_between(long double lo, long double hi) { return (struct breaks){2, {lo, hi}}; }

static void split(struct breaks *b, long double at)
{
    int k = b->n - 1;

    if (!(at > b->at[0] && at < b->at[k]))
        return;
    for (; b->at[k] >= at; k--)
        b->at[k + 1] = b->at[k];
    b->at[k + 1] = at;
    b->n++;
}

typedef void integrand(const struct integral *g, long double z, long double y[2]);

/* Of the standard normal density times f and f' of the integrand, over all panels. */
static void integrate(const struct integral *g, integrand *f, const struct breaks *b, long double *sum)
{
    const long double root = 0.398942280401432677939946L; /* 1 / sqrt(2 pi) */

    sum[0] = sum[1] = 0;
    for (int k = 0; k + 1 < b->n; k++) {
        const int panels = (int)ceill((b->at[k + 1] - b->at[k]) / g->width);
        const long double step = (b->at[k + 1] - b->at[k]) / panels;

        for (int i = 0; i < panels * NTK_RULE; i++) {
            const long double z = b->at[k] + (i / NTK_RULE + g->rule->x[i % NTK_RULE]) * step;
            const long double weight = root * g->rule->w[i % NTK_RULE] * step * exp((double)(-z * z / 2));
            long double y[2];

            f(g, z, y);
            sum[0] += weight * y[0];
            sum[1] += weight * y[1];
        }
    }
}

/* ---- one dimension */

static void alone(const struct integral *g, long double z, long double y[2]) { both(g, g->s1 * z, y); }

static void product(const struct integral *g, long double z, long double y[2])
{
    long double other[2];

    both(g, g->s1 * z, y);
    both(g, g->s2 * z, other);
    y[0] *= other[0];
    y[1] *= other[1];
}

static void line(const struct integral *g, integrand *f, long double *sum)
{
    struct breaks b = breaks_between(-g->reach, g->reach);

    for (int k = 0; k < g->n_kinks; k++) {
        split(&b, g->kinks[k] / g->s1);
        split(&b, g->kinks[k] / g->s2);
    }
    integrate(g, f, &b, sum);
}

/* ---- panels */

/* The density times f^2 and f'^2 at z and -z, those that are larger. */
static void squares(const struct integral *g, long double z, long double y[2])
{
    const long double density = expl(-z * z / 2);
    long double other[2];

    both(g, g->s1 * z, y);
    both(g, -g->s1 * z, other);
    for (int k = 0; k < 2; k++)
        y[k] = fmaxl(y[k] * y[k], other[k] * other[k]) * density;
}

static bool find_reach(struct integral *g)
{
    long double most[2] = {0}, y[2];

    for (long double z = 0; z < REACH_LEAST; z += 0.125L) {
        squares(g, z, y);
        most[0] = fmaxl(most[0], y[0]);
        most[1] = fmaxl(most[1], y[1]);
    }
    for (g->reach = REACH_LEAST; g->reach <= REACH_MOST; g->reach++) {
        squares(g, g->reach, y);
        if (y[0] <= TAIL * most[0] && y[1] <= TAIL * most[1])
            return true;
        most[0] = fmaxl(most[0], y[0]);
        most[1] = fmaxl(most[1], y[1]);
    }
    return false;
}

static bool agree(const long double *a, const long double *b)
{
    return fabsl(a[0] - b[0]) <= AGREE * fabsl(b[0]) && fabsl(a[1] - b[1]) <= AGREE * fabsl(b[1]);
}

/* Of the larger of both variances: the widest panels that agree with the next narrower ones. */
static bool find_panels(struct integral *x)
{
    struct integral g = *x;
    long double wide[2], narrow[2];

    g.s1 = g.s2 = fmaxl(x->s1, x->s2);
    g.width = WIDTH;
    if (!find_reach(&g))
        return false;
    line(&g, product, narrow);
    for (int k = 0; k < TRIALS; k++) {
        wide[0] = narrow[0];
        wide[1] = narrow[1];
        x->reach = g.reach;
        x->width = g.width;
        g.width *= NARROWER;
        line(&g, product, narrow);
        if (agree(wide, narrow))
            return true;
    }
    return false;
}

/* ---- two dimensions */

struct inner {
    struct integral g;
    long double mean; /* rho z */
};

static void second(const struct integral *g, long double w, long double y[2])
{
    const struct inner *x = (const struct inner *)g; /* its first member */

    both(g, g->s2 * (x->mean + g->r * w), y);
}

static void first(const struct integral *g, long double z, long double y[2])
{
    struct inner x = {.g = *g, .mean = g->rho * z};
    const long double reach = sqrtl(g->reach * g->reach - z * z);
    struct breaks b = breaks_between(-reach, reach);
    long double h[2];

    both(g, g->s1 * z, y);
    if (y[0] == 0 && y[1] == 0)
        return;
    for (int k = 0; k < g->n_kinks; k++)
        split(&b, (g->kinks[k] / g->s2 - x.mean) / g->r);
    integrate(&x.g, second, &b, h);
    y[0] *= h[0];
    y[1] *= h[1];
}

static void plane(const struct integral *g, long double *sum)
{
    static const long double steps[] = {0, 1.5L, 3, 6, 9};
    struct breaks b = breaks_between(-g->reach, g->reach);

    for (int k = 0; k < g->n_kinks; k++) {
        split(&b, g->kinks[k] / g->s1);
        for (size_t j = 0; g->rho != 0 && j < sizeof steps / sizeof *steps; j++) {
            split(&b, g->kinks[k] / (g->s2 * g->rho) + steps[j] * g->r / fabsl(g->rho));
            split(&b, g->kinks[k] / (g->s2 * g->rho) - steps[j] * g->r / fabsl(g->rho));
        }
    }
    integrate(g, first, &b, sum);
}

/* ---- variance 0 */

/* f or f' at 0; where it jumps, the mean of both sides. */
static long double value_at_0(double (*f)(const void *, double), const void *self)
{
    const double below = f(self, -0x1p-1000), above = f(self, 0x1p-1000);

    return fabs(above - below) < 0x1p-900 ? (long double)f(self, 0) : (below + (long double)above) / 2;
}

/* E[g(0) g(v)], v of variance s^2. */
static bool one_is_0(struct integral *g, long double s, long double *sum)
{
    const long double at_0[] = {value_at_0(g->act->f, g->self), value_at_0(g->act->df, g->self)};

    g->s1 = g->s2 = s;
    if (s > 0 && !find_panels(g))
        return false;
    if (s > 0)
        line(g, alone, sum);
    for (int k = 0; k < 2; k++)
        sum[k] = at_0[k] * (s > 0 ? sum[k] : at_0[k]);
    return true;
}

/* ---- */

/* u and v change places if they are not in order, so that both orders give the same bits: equal samples then have, at
 * equal positions, covariances that are their variances. */
static bool integral(struct integral *g, long double q1, long double q2, long double k, long double *sum)
{
    if (q1 == 0 || q2 == 0)
        return one_is_0(g, sqrtl(fmaxl(q1, q2)), sum);
    g->s1 = sqrtl(fmaxl(q1, q2));
    g->s2 = sqrtl(fminl(q1, q2));
    g->rho = fmaxl(-1, fminl(1, k / sqrtl(q1 * q2))); /* exactly 1 for k = q1 = q2 */
    g->r = sqrtl((1 - g->rho) * (1 + g->rho));
    if (!find_panels(g))
        return false;
    if (g->r == 0) {
        g->s2 *= g->rho;
        line(g, product, sum);
    } else {
        plane(g, sum);
    }
    return true;
}

/* An activation whose rule is that for variances 1 (Hermite): its moments at that correlation, times the variances' power
 * that its degree says. */
static bool unit(struct integral *g, long double q1, long double q2, long double k, long double *sum)
{
    const long double s = sqrtl(q1) * sqrtl(q2);
    const int n = g->act->degree(g->self);

    if (!integral(g, 1, 1, s > 0 ? k / s : 0, sum))
        return false;
    sum[0] *= powl(s, n);
    sum[1] *= n > 0 ? powl(s, n - 1) : 0;
    return true;
}

bool ntk_reference_dual(const struct ntk_rule *rule, const struct ntk_activation *act, const void *self, long double q1,
                        long double q2, long double k, long double *ff, long double *dd)
{
    struct integral g = {.rule = rule, .act = act, .self = self};
    long double sum[2];
    bool done;

    if (act->kinks)
        g.n_kinks = act->kinks(self, g.kinks);
    done = act->unit_variance ? unit(&g, q1, q2, k, sum) : integral(&g, q1, q2, k, sum);
    *ff = done ? sum[0] : 0;
    *dd = done ? sum[1] : 0;
    return done;
}
