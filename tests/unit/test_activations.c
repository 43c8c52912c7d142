/* SPDX-License-Identifier: MIT
 *
 * The contract of every activation in the registry, and the values of tests/golden/duals.tsv, for
 * every instruction set that this machine runs and both element types.
 */
#include <float.h>

#include "activations/loops.h"
#include "engine/precision.h"
#include "test.h"

#define PAIRS 64 /* most pairs in one call; a multiple of every number of lanes */

static ntk_ctx *ctx;

/* One activation with parameters, ready for some range of variances. */
struct use {
    const struct ntk_activation *act;
    void *self;
    struct ntk_dual dual;
};

/* ------------------------------------------------------------------ parameters and set-up */

static void set_numbers(struct ntk_numbers *list, const char *text)
{
    char *end;

    for (list->n = 0; *text; text = *end ? end + 1 : end)
        list->v[list->n++] = strtod(text, &end);
}

static void set_param(void *self, const struct ntk_param *p, const char *text)
{
    void *field = (char *)self + p->offset;

    if (p->type == NTK_TYPE_NUMBER)
        *(double *)field = strtod(text, NULL);
    else if (p->type == NTK_TYPE_INTEGER)
        *(int64_t *)field = strtoll(text, NULL, 10);
    else if (p->type == NTK_TYPE_BOOL)
        *(bool *)field = strcmp(text, "True") == 0;
    else if (p->type == NTK_TYPE_NUMBERS)
        set_numbers(field, text);
    else
        fail_msg("no activation has parameters of type %d", (int)p->type);
}

/* "name=value,name=value"; the defaults, or some legal value, for those not named. */
static void *make_self(const struct ntk_activation *act, const char *text)
{
    const struct ntk_where at = {.ctx = ctx, .name = act->base.name, .line = 1, .column = 1};
    void *self = calloc(1, act->base.size + 1);

    assert_non_null(self);
    for (const struct ntk_param *p = act->base.params; p && p->name; p++) {
        const char *legal = p->type == NTK_TYPE_INTEGER   ? "3"
                            : p->type == NTK_TYPE_NUMBERS ? "0.5,-1,0.25"
                                                          : "0.5";
        const char *start = strstr(text, p->name);
        set_param(self, p, p->value ? p->value : legal);
        if (start && start[strlen(p->name)] == '=')
            set_param(self, p, start + strlen(p->name) + 1);
    }
    if (act->base.check)
        assert_int_equal(act->base.check(self, &at), NTK_OK);
    return self;
}

static struct use use_new(const struct ntk_activation *act, const char *params, double q_min,
                          double q_max, ntk_dtype dtype)
{
    const struct ntk_where at = {.ctx = ctx, .name = act->base.name, .line = 1, .column = 1};
    const struct ntk_dual_range range = {q_min, q_max, dtype, 1};
    struct use u = {.act = act, .self = make_self(act, params)};

    if (act->setup(u.self, &at, &range, &u.dual) != NTK_OK)
        fail_msg("%s", ntk_errmsg(ctx));
    return u;
}

static void use_free(struct use *u)
{
    if (u->act->finish)
        u->act->finish(&u->dual);
    free(u->self);
}

/* F and D are correlations of f(u), f(v) and of f'(u), f'(v): they are at most this. With a zero
 * variance, where that can be 0, that of the other sample. */
static void scales(const struct use *u, double q1, double q2, double *f, double *d)
{
    double f1, f2, d1, d2;

    u->act->moments(u->self, &u->dual, q1 > 0 ? q1 : q2, &f1, &d1);
    u->act->moments(u->self, &u->dual, q2 > 0 ? q2 : q1, &f2, &d2);
    *f = sqrt(f1) * sqrt(f2);
    *d = sqrt(d1) * sqrt(d2);
}

static double moment_f(const struct use *u, double q)
{
    double ff, dd;
    u->act->moments(u->self, &u->dual, q, &ff, &dd);
    return ff;
}

static double moment_d(const struct use *u, double q)
{
    double ff, dd;
    u->act->moments(u->self, &u->dual, q, &ff, &dd);
    return dd;
}

/* ------------------------------------------------------------------ the vector functions */

/* Sides of the first samples: their own in every lane, or those of q1[0] for all lanes. */
enum mode {
    PER_LANE,
    ONE_FOR_ALL,
};

static void put(ntk_dtype dtype, void *array, size_t i, double x)
{
    if (dtype == NTK_F32)
        ((float *)array)[i] = (float)x;
    else
        ((double *)array)[i] = x;
}

static double get(ntk_dtype dtype, const void *array, size_t i)
{
    return dtype == NTK_F32 ? (double)((const float *)array)[i] : ((const double *)array)[i];
}

static void put_sides(const struct use *u, ntk_dtype dtype, size_t n, const double *q, void *sides)
{
    double *side = calloc((size_t)u->dual.sides, sizeof *side);

    assert_non_null(side);
    for (size_t i = 0; i < n; i++) {
        u->act->side(u->self, &u->dual, q[i], side);
        for (size_t s = 0; s < (size_t)u->dual.sides; s++)
            put(dtype, sides, s * n + i, side[s]);
    }
    free(side);
}

/* n pairs, n <= PAIRS; f or d may be NULL */
static void pairs(const struct use *u, ntk_dtype dtype, enum mode mode, size_t n, const double *k,
                  const double *q1, const double *q2, double *f, double *d)
{
    const struct ntk_simd *simd = dtype == NTK_F32 ? ctx->isa->f32 : ctx->isa->f64;
    const size_t room = (size_t)u->dual.sides * PAIRS * sizeof(double);
    double kv[PAIRS], a[PAIRS], b[PAIRS], fv[PAIRS], dv[PAIRS], par[NTK_DUAL_PARS], kk[PAIRS];
    void *side1 = malloc(room), *side2 = malloc(room);

    for (size_t i = 0; i < PAIRS; i++) { /* the rest repeats the first pair */
        kv[i] = k[i < n ? i : 0];
        a[i] = q1[i < n ? i : 0];
        b[i] = q2[i < n ? i : 0];
        put(dtype, kk, i, kv[i]);
    }
    for (size_t i = 0; i < NTK_DUAL_PARS; i++)
        put(dtype, par, i, u->dual.par[i]);
    put_sides(u, dtype, PAIRS, a, side1);
    put_sides(u, dtype, PAIRS, b, side2);
    const struct ntk_dual_args args = {
        .n = PAIRS,
        .k = kk,
        .side1 = side1,
        .stride1 = PAIRS,
        .step1 = mode == PER_LANE ? simd->lanes : 0,
        .side2 = side2,
        .stride2 = PAIRS,
        .par = par,
        .sides = u->dual.sides,
        .f = f ? fv : NULL,
        .d = d ? dv : NULL,
    };
    ntk_dual_loops_of(ctx->isa, dtype)->dual[u->act->dual](&args);
    for (size_t i = 0; i < n; i++) {
        if (f)
            f[i] = get(dtype, fv, i);
        if (d)
            d[i] = get(dtype, dv, i);
    }
    free(side1);
    free(side2);
}

static void pair(const struct use *u, ntk_dtype dtype, double k, double q1, double q2, double *f,
                 double *d)
{
    pairs(u, dtype, PER_LANE, 1, &k, &q1, &q2, f, d);
}

/* What rounding k by a few eps does to F and D: no algorithm can do better near rho = +-1. */
static void conditioning(const struct use *u, double k, double q1, double q2, double eps, double *f,
                         double *d)
{
    double f1, f2, d1, d2;

    pair(u, NTK_F64, k * (1 + 4 * eps), q1, q2, &f1, &d1);
    pair(u, NTK_F64, k * (1 - 4 * eps), q1, q2, &f2, &d2);
    *f = fabs(f1 - f2);
    *d = fabs(d1 - d2);
}

static void use_isa(const char *name)
{
    assert_int_equal(ntk_ctx_set_isa(ctx, name), NTK_OK);
}

/* Calls test with every instruction set of this machine in use. */
static void for_each_isa(void (*test)(const char *isa))
{
    char names[64], *rest = names;

    snprintf(names, sizeof names, "%s", ntk_isa_available());
    for (char *name = strtok_r(names, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
        use_isa(name);
        test(name);
    }
    use_isa(NULL);
}

/* ------------------------------------------------------------------ documentation and names */

static void test_documented(void **state)
{
    (void)state;
    assert_true(ntk_n_activations() > 20);
    assert_null(ntk_activation_get(ntk_n_activations()));
    for (size_t i = 0; i < ntk_n_activations(); i++) {
        const struct ntk_class *c = &ntk_activation_get(i)->base;
        assert_int_equal(c->kind, NTK_CLASS_ACTIVATION);
        assert_true(c->name && c->summary && c->formula && c->source);
        assert_true(strlen(c->summary) > 2 && strlen(c->formula) > 5);
        for (const struct ntk_param *p = c->params; p && p->name; p++) {
            assert_true(p->doc && strlen(p->doc) > 5);
            assert_true(p->offset < c->size);
            if (p->type != NTK_TYPE_BOOL && !(p->min < p->max))
                fail_msg("%s: %s has no range", c->name, p->name);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ntk_n_activations(); i++)
        assert_ptr_equal(ntk_activation_find(ntk_activation_get(i)->base.name),
                         ntk_activation_get(i));
    assert_string_equal(ntk_activation_find("leaky_relu")->base.name, "LeakyRelu");
    assert_string_equal(ntk_activation_find("TANH")->base.name, "Tanh");
    assert_string_equal(ntk_activation_find("sigmoidlike")->base.name, "Sigmoid_like");
    assert_null(ntk_activation_find("relu6"));
    assert_null(ntk_activation_find(""));
}

/* ------------------------------------------------------------------ f, f' and their moments */

static void for_each_activation(void (*test)(const struct ntk_activation *act))
{
    for (size_t i = 0; i < ntk_n_activations(); i++)
        test(ntk_activation_get(i));
}

static bool has_kink(const struct ntk_activation *act, const void *self, double x)
{
    double at[4];
    const int n = act->kinks ? act->kinks(self, at) : 0;

    for (int i = 0; i < n; i++)
        if (fabs(at[i] - x) < 0.01)
            return true;
    return false;
}

static void check_derivative(const struct ntk_activation *act)
{
    void *self = make_self(act, "");

    for (double x = -4.03; x < 4.2; x += 0.13) {
        const double h = 1e-4, slope = act->df(self, x);
        const double found = (8 * (act->f(self, x + h) - act->f(self, x - h)) -
                              (act->f(self, x + 2 * h) - act->f(self, x - 2 * h))) /
                             (12 * h);
        if (!has_kink(act, self, x) && fabs(found - slope) > 1e-9 * (1 + fabs(slope)))
            fail_msg("%s: f'(%g) is %.12g, finite differences give %.12g", act->base.name, x, slope,
                     found);
    }
    free(self);
}

/* E[g(s z)], by Simpson's rule on each side of 0, where all kinks are */
static double expectation(double (*g)(const void *, double), const void *self, double q,
                          bool square)
{
    const int n = 20000;
    const double h = 16.0 / n, s = sqrt(q);
    double sum = 0;

    for (int side = -1; side <= 1; side += 2)
        for (int i = 0; i <= n; i++) {
            const double z = side * (i == 0 ? 1e-9 : i * h), y = g(self, s * z);
            const double weight = i == 0 || i == n ? 1 : i % 2 ? 4 : 2;
            sum += weight * exp(-z * z / 2) * (square ? y * y : y);
        }
    return sum * h / 3 / sqrt(2 * M_PI);
}

static void check_moments(const struct ntk_activation *act)
{
    static const double q[] = {1e-3, 0.25, 1, 2};

    struct use u = use_new(act, "", 1e-3, 2, NTK_F64);
    for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
        const double f = expectation(act->f, u.self, q[i], true);
        const double d = expectation(act->df, u.self, q[i], true);
        if (act->unit_variance && q[i] < 1)
            continue;
        if (act->unit_variance && q[i] > 1)
            break;
        if (fabs(moment_f(&u, q[i]) - f) > 1e-8 * f || fabs(moment_d(&u, q[i]) - d) > 1e-8 * d)
            fail_msg("%s: moments at %g are %.12g, %.12g; quadrature gives %.12g, %.12g",
                     act->base.name, q[i], moment_f(&u, q[i]), moment_d(&u, q[i]), f, d);
    }
    use_free(&u);
}

static void test_derivatives(void **state)
{
    (void)state;
    for_each_activation(check_derivative);
}

static void test_moments(void **state)
{
    (void)state;
    for_each_activation(check_moments);
}

/* ------------------------------------------------------------------ the duals' contract */

static const double variances[][2] = {{1, 1}, {0.5, 1.25}, {1e-3, 2}, {0.01, 0.01}};
static const double correlations[] = {-1, -0.999, -0.6, -0.1, 0, 0.3, 0.75, 0.99, 1};
#define N_RHO (sizeof correlations / sizeof *correlations)

/* Of double results, relative to their scale; q is the larger variance. */
static double tolerance(const struct use *u, double rho, double q)
{
    if (!u->dual.state)
        return 2e-15 * (1 + q);
    return fabs(rho) > 0.9 ? 1e-9 : 1e-12; /* a series leaves 1e-9 out at rho = 1 */
}

static bool jumps(const struct ntk_activation *act, const void *self)
{
    return act->kinks && fabs(act->f(self, 1e-12) - act->f(self, -1e-12)) > 1e-6;
}

static void check_pair(const struct use *u, double rho, double q1, double q2)
{
    const char *name = u->act->base.name;
    const double k = rho * sqrt(q1 * q2), tol = tolerance(u, rho, fmax(q1, q2)),
                 h = 1e-5 * sqrt(q1 * q2);
    double f_scale, d_scale, f, d, f_swapped, d_swapped, f_above, f_below, f_slack, d_slack;

    scales(u, q1, q2, &f_scale, &d_scale);
    pair(u, NTK_F64, k, q1, q2, &f, &d);
    pair(u, NTK_F64, k, q2, q1, &f_swapped, &d_swapped);
    conditioning(u, k, q1, q2, DBL_EPSILON, &f_slack, &d_slack);
    if (fabs(f - f_swapped) > tol * f_scale || fabs(d - d_swapped) > tol * d_scale + d_slack)
        fail_msg("%s: not symmetric at rho = %g, q = %g, %g", name, rho, q1, q2);
    if (fabs(f) > f_scale * (1 + tol) + f_slack || fabs(d) > d_scale * (1 + tol) + d_slack)
        fail_msg("%s: above its bound at rho = %g, q = %g, %g: %.17g > %.17g or %.17g > %.17g",
                 name, rho, q1, q2, f, f_scale, d, d_scale);
    if (rho >= 1 && q1 >= q2 &&
        (fabs(f - f_scale) > tol * f_scale + f_slack ||
         fabs(d - d_scale) > tol * d_scale + d_slack))
        fail_msg("%s: at rho = 1, q = %g the pair has %.17g, %.17g, the variance %.17g, %.17g",
                 name, q1, f, d, f_scale, d_scale);
    if (fabs(rho) > 0.9 || jumps(u->act, u->self))
        return;
    pair(u, NTK_F64, k + h, q1, q2, &f_above, NULL);
    pair(u, NTK_F64, k - h, q1, q2, &f_below, NULL);
    if (fabs((f_above - f_below) / (2 * h) - d) > 1e-7 * d_scale)
        fail_msg("%s: D is not dF/dk at rho = %g, q = %g, %g: %.12g, %.12g", name, rho, q1, q2, d,
                 (f_above - f_below) / (2 * h));
}

static void check_contract(const struct ntk_activation *act)
{
    struct use u = use_new(act, "", 1e-3, 2, NTK_F64);

    for (size_t v = 0; v < sizeof variances / sizeof *variances; v++)
        for (size_t i = 0; i < N_RHO; i++)
            if (!act->unit_variance || v == 0)
                check_pair(&u, correlations[i], variances[v][0], variances[v][1]);
    use_free(&u);
}

static void test_contract(void **state)
{
    (void)state;
    for_each_activation(check_contract);
}

/* F(0; 0, q) = f(0) E[f(v)], or half of the one-sided values where f is not continuous */
static void check_zero(const struct ntk_activation *act)
{
    static const ntk_dtype dtypes[] = {NTK_F32, NTK_F64};

    for (size_t t = 0; t < 2; t++) {
        struct use u = use_new(act, "", 0, 1.5, dtypes[t]);
        const double tol = dtypes[t] == NTK_F32 ? 1e-6 : 1e-10;
        const double f0 = (act->f(u.self, 1e-30) + act->f(u.self, -1e-30)) / 2;
        const double d0 = (act->df(u.self, 1e-30) + act->df(u.self, -1e-30)) / 2;
        double f, d;
        pair(&u, dtypes[t], 0, 0, 0, &f, &d);
        if (fabs(f - moment_f(&u, 0)) > tol || fabs(d - moment_d(&u, 0)) > tol * (1 + d) ||
            !isfinite(f + d))
            fail_msg("%s: two zero variances give %g, %g; the variance's rule %g, %g",
                     act->base.name, f, d, moment_f(&u, 0), moment_d(&u, 0));
        pair(&u, dtypes[t], 0, 0, 1.5, &f, &d);
        const double f_true = f0 * expectation(act->f, u.self, 1.5, false);
        const double d_true = d0 * expectation(act->df, u.self, 1.5, false);
        if (!act->unit_variance && (!(fabs(f - f_true) <= tol * (1 + fabs(f_true))) ||
                                    !(fabs(d - d_true) <= tol * (1 + fabs(d_true)))))
            fail_msg("%s: one zero variance gives %.10g, %.10g instead of %.10g, %.10g",
                     act->base.name, f, d, f_true, d_true);
        use_free(&u);
    }
}

static void zero_with_isa(const char *isa)
{
    (void)isa;
    for_each_activation(check_zero);
}

static void test_zero_variance(void **state)
{
    (void)state;
    for_each_isa(zero_with_isa);
}

/* One first sample for all lanes, and F or D alone, are the same numbers. */
static void check_modes(const struct ntk_activation *act)
{
    struct use u = use_new(act, "", 0.5, 1.5, NTK_F64);
    double k[PAIRS], q1[PAIRS], q2[PAIRS], f[PAIRS], d[PAIRS], f1[PAIRS], d1[PAIRS];

    for (size_t i = 0; i < PAIRS; i++) {
        q1[i] = 0.75;
        q2[i] = 0.5 + (double)i / PAIRS;
        k[i] = sqrt(q1[i] * q2[i]) * cos(0.7 + (double)i);
    }
    for (int type = 0; type < 2; type++) {
        const ntk_dtype dtype = type ? NTK_F64 : NTK_F32;
        const double tol = (type ? 4 : 2e9) * DBL_EPSILON * (moment_f(&u, 1.5) + moment_d(&u, 1.5));
        pairs(&u, dtype, PER_LANE, PAIRS, k, q1, q2, f, d);
        pairs(&u, dtype, ONE_FOR_ALL, PAIRS, k, q1, q2, f1, d1);
        for (size_t i = 0; i < PAIRS; i++)
            if (fabs(f[i] - f1[i]) > tol || fabs(d[i] - d1[i]) > tol)
                fail_msg("%s: lanes and broadcast differ", act->base.name);
        pairs(&u, dtype, ONE_FOR_ALL, PAIRS, k, q1, q2, f, NULL);
        pairs(&u, dtype, ONE_FOR_ALL, PAIRS, k, q1, q2, NULL, d);
        for (size_t i = 0; i < PAIRS; i++)
            if (fabs(f[i] - f1[i]) > tol || fabs(d[i] - d1[i]) > tol)
                fail_msg("%s: F or D alone differs from both", act->base.name);
    }
    use_free(&u);
}

static void modes_with_isa(const char *isa)
{
    (void)isa;
    for_each_activation(check_modes);
}

static void test_modes(void **state)
{
    (void)state;
    for_each_isa(modes_with_isa);
}

/* ------------------------------------------------------------------ ranges that are refused */

static void refused(const char *name, const char *params, double q_max, ntk_dtype dtype,
                    const char *word)
{
    const struct ntk_activation *act = ntk_activation_find(name);
    const struct ntk_where at = {.ctx = ctx, .name = name, .line = 1, .column = 1};
    const struct ntk_dual_range range = {0.1, q_max, dtype, 1};
    void *self = make_self(act, params);
    struct ntk_dual dual = {0};

    assert_int_equal(act->setup(self, &at, &range, &dual), NTK_ENUMERIC);
    if (!strstr(ntk_errmsg(ctx), word))
        fail_msg("'%s' does not say '%s'", ntk_errmsg(ctx), word);
    free(self);
}

static void test_refused(void **state)
{
    (void)state;
    refused("Tanh", "", 1e4, NTK_F64, "LayerNorm");
    refused("Gaussian", "b=0.5", 0.5, NTK_F64, "below 0.5");
    refused("Exp", "", 400, NTK_F32, "overflows float64");
    refused("Sin", "b=1e6", 1e290, NTK_F64, "too large");
    refused("Erf", "b=1e6", 1e290, NTK_F64, "too large");
    refused("Gaussian", "b=-1e6", 1e297, NTK_F64, "too large");
    refused("Elu", "", 2000, NTK_F64, "above 1000");
}

/* ------------------------------------------------------------------ golden values */

struct golden {
    char name[32], params[64];
    double q1, q2, k, f, d;
};

static struct golden *golden;
static size_t n_golden;

static int read_golden(void)
{
    FILE *file = fopen(NTK_SOURCE_ROOT "/tests/golden/duals.tsv", "r");
    char line[512];

    golden = calloc(1000, sizeof *golden);
    if (!file || !golden)
        return -1;
    while (n_golden < 1000 && fgets(line, sizeof line, file)) {
        struct golden *g = &golden[n_golden];
        char *at = line, *name = strsep(&at, "\t"), *params = strsep(&at, "\t");
        if (line[0] == '#')
            continue;
        snprintf(g->name, sizeof g->name, "%s", name);
        snprintf(g->params, sizeof g->params, "%s", params);
        if (sscanf(at, "%lf %lf %lf %lf %lf", &g->q1, &g->q2, &g->k, &g->f, &g->d) != 5)
            return -1;
        n_golden++;
    }
    fclose(file);
    return n_golden > 300 ? 0 : -1;
}

static struct use use_golden(const struct golden *g, ntk_dtype dtype)
{
    const struct ntk_activation *act = ntk_activation_find(g->name);

    if (!act)
        fail_msg("no activation %s", g->name);
    return use_new(act, g->params, fmin(g->q1, g->q2), fmax(g->q1, g->q2), dtype);
}

static void golden_f64(const char *isa)
{
    for (size_t i = 0; i < n_golden; i++) {
        const struct golden *g = &golden[i];
        struct use u = use_golden(g, NTK_F64);
        const double rho = g->q1 > 0 ? g->k / sqrt(g->q1 * g->q2) : 0;
        const double tol = tolerance(&u, rho, fmax(g->q1, g->q2));
        double f_scale, d_scale, f, d, f_slack, d_slack;
        scales(&u, g->q1, g->q2, &f_scale, &d_scale);
        pair(&u, NTK_F64, g->k, g->q1, g->q2, &f, &d);
        conditioning(&u, g->k, g->q1, g->q2, DBL_EPSILON, &f_slack, &d_slack);
        if (!(fabs(f - g->f) <= tol * f_scale + f_slack) ||
            !(fabs(d - g->d) <= tol * d_scale + d_slack))
            fail_msg("%s(%s), %s, k = %g, q = %g, %g: %.17g, %.17g instead of %.17g, %.17g",
                     g->name, g->params, isa, g->k, g->q1, g->q2, f, d, g->f, g->d);
        use_free(&u);
    }
}

/* k and the sides are rounded to float: the witness is the double dual of the rounded k */
static void golden_f32(const char *isa)
{
    for (size_t i = 0; i < n_golden; i++) {
        const struct golden *g = &golden[i];
        if (!ntk_fits_f32(g->q1) || !ntk_fits_f32(g->q2))
            continue;
        struct use u = use_golden(g, NTK_F32);
        const double k = (double)(float)g->k, tol = 3e-7 * (1 + sqrt(fmax(g->q1, g->q2)));
        double f_scale, d_scale, f, d, f_true, d_true, f_slack, d_slack;
        scales(&u, g->q1, g->q2, &f_scale, &d_scale);
        pair(&u, NTK_F32, k, g->q1, g->q2, &f, &d);
        pair(&u, NTK_F64, k, g->q1, g->q2, &f_true, &d_true);
        conditioning(&u, k, g->q1, g->q2, (double)FLT_EPSILON, &f_slack, &d_slack);
        if (!(fabs(f - f_true) <= tol * f_scale + f_slack + 2e-45) ||
            !(fabs(d - d_true) <= tol * d_scale + d_slack + 2e-45))
            fail_msg("%s(%s), %s, k = %g, q = %g, %g: %.9g, %.9g instead of %.9g, %.9g", g->name,
                     g->params, isa, k, g->q1, g->q2, f, d, f_true, d_true);
        use_free(&u);
    }
}

static void test_golden_f64(void **state)
{
    (void)state;
    for_each_isa(golden_f64);
}

static void test_golden_f32(void **state)
{
    (void)state;
    for_each_isa(golden_f32);
}

static void test_golden_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < ntk_n_activations(); i++) {
        const struct ntk_activation *act = ntk_activation_get(i);
        size_t found = 0;
        for (size_t j = 0; j < n_golden; j++)
            found += ntk_activation_find(golden[j].name)->f == act->f;
        if (!found)
            fail_msg("duals.tsv has no values for %s", act->base.name);
    }
}

static int setup(void **state)
{
    (void)state;
    return ntk_ctx_new(&ctx) != NTK_OK || ntk_isa_resolve(ctx) != NTK_OK || read_golden() ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    ntk_ctx_free(ctx);
    free(golden);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_derivatives),     cmocka_unit_test(test_moments),
        cmocka_unit_test(test_contract),        cmocka_unit_test(test_zero_variance),
        cmocka_unit_test(test_modes),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_golden_f64),      cmocka_unit_test(test_golden_f32),
        cmocka_unit_test(test_golden_complete),
    };
    return cmocka_run_group_tests_name("activations", tests, setup, teardown);
}
