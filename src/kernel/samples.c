/* SPDX-License-Identifier: MIT
 *
 * samples.c - conversion, equal samples, variances and sides.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/blocks.h"

static size_t stride_of(int64_t n) { return ntk_round_up((size_t)n, NTK_LANES_MAX) + NTK_LANES_MAX; }

/* *lost: float32 makes 0 of some number that is not. */
static ntk_status convert(ntk_ctx *ctx, const struct ntk_way *way, int set, const ntk_data *data,
                          struct ntk_samples *s, bool *lost)
{
    const int *exponent = way->exponent[set];
    const size_t total = (size_t)data->n * s->features;
    int gone = 0;

    if (data->dtype == way->dtype && !exponent) {
        s->x = data->x;
        return NTK_OK;
    }
    s->x = s->owned_x = ntk_alloc(ctx, total, way->dtype);
    if (!s->owned_x)
        return NTK_ENOMEM;
    if (exponent)
        for (size_t i = 0; i < total; i++)
            ((double *)s->owned_x)[i] = ldexp(ntk_data_get(data, i), exponent[i / s->features]);
    else if (way->dtype == NTK_F32)
        for (size_t i = 0; i < total; i++) {
            const double x = ((const double *)data->x)[i];

            ((float *)s->owned_x)[i] = (float)x;
            gone |= (x != 0) & ((float)x == 0);
        }
    else
        for (size_t i = 0; i < total; i++)
            ((double *)s->owned_x)[i] = (double)((const float *)data->x)[i];
    *lost = *lost || gone;
    return NTK_OK;
}

/* x . x / features, in float64 whatever the type. */
static double mean_square(const struct ntk_samples *s, int64_t i)
{
    double sum = 0;

    if (s->dtype == NTK_F32) {
        const float *x = (const float *)s->x + (size_t)i * s->features;
        for (size_t k = 0; k < s->features; k++)
            sum += (double)x[k] * (double)x[k];
    } else {
        const double *x = (const double *)s->x + (size_t)i * s->features;
        for (size_t k = 0; k < s->features; k++)
            sum += x[k] * x[k];
    }
    return sum / (double)s->features;
}

/* ---- equal samples stand side by side when sorted. Most are told apart by their mean squares. */

struct key {
    double q;
    const unsigned char *row;
    size_t bytes; /* of a row */
    int64_t *group;
    int64_t order;
};

static int compare_rows(const struct key *p, const struct key *q)
{
    if (p->q != q->q)
        return p->q < q->q ? -1 : 1;
    return memcmp(p->row, q->row, p->bytes);
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *p = a, *q = b;
    const int rows = compare_rows(p, q);

    return rows ? rows : (p->order > q->order) - (p->order < q->order);
}

static void group_equal(struct key *keys, int64_t n)
{
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int64_t i = 0; i < n; i++)
        *keys[i].group =
            i > 0 && compare_rows(&keys[i - 1], &keys[i]) == 0 ? *keys[i - 1].group : keys[i].order;
}

/* Group numbers are below the number of samples; columns are those of the last set. */
static ntk_status find_groups(ntk_ctx *ctx, struct ntk_samples *s, int sets, const double *q[2],
                              struct ntk_groups *groups)
{
    const int64_t n = s[0].n + (sets > 1 ? s[1].n : 0);
    const struct ntk_samples *columns = &s[sets - 1];
    struct key *keys = ntk_alloc(ctx, (size_t)n, sizeof *keys);
    int64_t k = 0;

    groups->n = n;
    groups->start = ntk_alloc_zero(ctx, (size_t)n + 2, sizeof *groups->start);
    groups->columns = ntk_alloc(ctx, (size_t)columns->n, sizeof *groups->columns);
    if (!keys || !groups->start || !groups->columns) {
        free(keys);
        return NTK_ENOMEM;
    }
    for (int t = 0; t < sets; t++)
        for (int64_t i = 0; i < s[t].n; i++, k++)
            keys[k] = (struct key){.q = q[t][i],
                                   .row = (const unsigned char *)s[t].x +
                                          (size_t)i * s[t].features * s[t].dtype,
                                   .bytes = s[t].features * s[t].dtype,
                                   .group = &s[t].group[i],
                                   .order = k};
    group_equal(keys, n);
    free(keys);
    for (int64_t j = 0; j < columns->n; j++)
        groups->start[columns->group[j] + 2]++;
    for (int64_t g = 0; g < n; g++)
        groups->start[g + 2] += groups->start[g + 1];
    for (int64_t j = 0; j < columns->n; j++)
        groups->columns[groups->start[columns->group[j] + 1]++] = j;
    return NTK_OK;
}

/* ---- variances */

static double *row(const struct ntk_samples *s, int node)
{
    return s->variance + (size_t)node * (size_t)s->n;
}

static void variance_mix(const struct ntk_node *v, const struct ntk_samples *s, double *out)
{
    for (int64_t i = 0; i < s->n; i++) {
        double sum = v->constant;

        for (int k = 0; k < v->n_in; k++)
            sum += v->coef[k] * row(s, v->in[k])[i];
        out[i] = sum;
    }
}

static void variance_product(const struct ntk_node *v, const struct ntk_samples *s, double *out)
{
    for (int64_t i = 0; i < s->n; i++) {
        out[i] = 1;
        for (int k = 0; k < v->n_in; k++)
            out[i] *= row(s, v->in[k])[i];
    }
}

static double inverse_or_zero(double x) { return x > 0 ? 1 / x : 0; }

static ntk_status setup_dual(ntk_ctx *ctx, struct ntk_samples *s, int sets, const struct ntk_node *v,
                             int table, struct ntk_duals *duals)
{
    const struct ntk_where at = {.ctx = ctx, .name = v->act->base.name, .line = 0};
    struct ntk_dual_range range = {
        .q_min = 1e300, .q_max = 0, .dtype = s[0].dtype, .layers = duals->plan->n_tables};

    for (int t = 0; t < sets; t++)
        for (int64_t i = 0; i < s[t].n; i++) {
            const double q = row(&s[t], v->in[0])[i];

            range.q_min = q < range.q_min ? q : range.q_min;
            range.q_max = q > range.q_max ? q : range.q_max;
        }
    return v->act->setup(v->self, &at, &range, &duals->dual[table]);
}

#define ASKED_EVERY 64 /* samples: asking costs as much as a closed form's values of one */

/* Both moments of every sample, where steps need them. */
static ntk_status run_dual(ntk_ctx *ctx, struct ntk_samples *s, const struct ntk_node *v, double *ff,
                           double *dd, const struct ntk_dual *dual)
{
    const double *q = row(s, v->in[0]);
    ntk_status status = NTK_OK;

#pragma omp parallel num_threads(ctx->threads)
    {
        bool go = true;

#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->n; i++) {
            double f, d;

            if (i % ASKED_EVERY == 0)
                go = ntk_go_on(ctx, &status, NTK_OK);
            if (!go)
                continue;
            v->act->moments(v->self, dual, q[i], &f, &d);
            if (ff)
                ff[i] = f;
            if (dd)
                dd[i] = d;
        }
    }
    return status;
}

/* Side values of every sample, and the roots of variances. */
static ntk_status make_sides(ntk_ctx *ctx, struct ntk_samples *s, const struct ntk_node *v,
                             const struct ntk_dual *dual, void **table)
{
    const size_t sides = (size_t)dual->sides;
    const double *q = row(s, v->in[0]);
    ntk_status status = NTK_OK;

    *table = ntk_alloc_zero(ctx, (sides + 1) * s->stride, s->dtype);
    if (!*table)
        return NTK_ENOMEM;
#pragma omp parallel num_threads(ctx->threads)
    {
        double *side = malloc((sides + 1) * sizeof *side);
        bool go = ntk_go_on(ctx, &status, side ? NTK_OK : NTK_ENOMEM);

#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->n; i++) {
            if (go && i % ASKED_EVERY == 0)
                go = ntk_go_on(ctx, &status, NTK_OK);
            if (!go)
                continue;
            v->act->side(v->self, dual, q[i], side);
            side[sides] = __builtin_sqrt(q[i]);
            for (size_t k = 0; k <= sides; k++)
                if (s->dtype == NTK_F32)
                    ((float *)*table)[k * s->stride + (size_t)i] = (float)side[k];
                else
                    ((double *)*table)[k * s->stride + (size_t)i] = side[k];
        }
        free(side);
    }
    return status == NTK_ENOMEM ? ntk_fail(ctx, status, "no memory for %zu side values", sides) : status;
}

ntk_status ntk_samples_sides(ntk_ctx *ctx, const struct ntk_duals *duals, int sets,
                             struct ntk_samples s[2])
{
    for (int k = 0; k < duals->n_ready; k++) {
        const struct ntk_side_table *table = &duals->plan->tables[k];

        for (int t = 0; t < sets && table->op == NTK_OP_DUAL; t++)
            NTK_TRY(make_sides(ctx, &s[t], &duals->plan->graph.nodes[table->dual_node],
                               &duals->dual[k], &s[t].sides[k]));
    }
    return NTK_OK;
}

static ntk_status run_normalise(ntk_ctx *ctx, struct ntk_samples *s, const struct ntk_node *v,
                                double *out, void **table)
{
    const double *x = row(s, v->in[0]), *q = row(s, v->in[1]);
    const bool fresh = !*table;

    if (fresh)
        *table = ntk_alloc_zero(ctx, s->stride, s->dtype);
    if (!*table)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < s->n; i++) {
        const double r = inverse_or_zero(__builtin_sqrt(q[i] + v->constant));

        out[i] = x[i] * r * r;
        if (fresh && s->dtype == NTK_F32)
            ((float *)*table)[i] = (float)r;
        else if (fresh)
            ((double *)*table)[i] = r;
    }
    return NTK_OK;
}

static ntk_status too_large(ntk_ctx *ctx, int64_t i, double variance, ntk_dtype dtype)
{
    return ntk_fail(ctx, NTK_ENUMERIC,
                    "sample %lld: its variance, %g, is too large for float%d; scale the samples, or "
                    "the weights' deviations",
                    (long long)i, variance, 8 * (int)dtype);
}

/* The set's values at a node must be numbers of the kernel's type, also times `factor`. */
static ntk_status check_range(ntk_ctx *ctx, const struct ntk_samples *s, int node, double factor,
                              bool *beyond)
{
    for (int64_t i = 0; i < s->n; i++) {
        const double q = row(s, node)[i];

        if (s->dtype == NTK_F32)
            *beyond = *beyond || !ntk_fits_f32(q) || q * factor > (double)FLT_MAX;
        else if (!(q <= DBL_MAX / factor))
            return too_large(ctx, i, q, NTK_F64);
    }
    return NTK_OK;
}

/* Whether some value of a node, `out`, is 0 or has lost digits only because float64 ends there. */
static bool is_lost(const struct ntk_node *v, const struct ntk_samples *s, const double *out)
{
    double (*const f)(const void *, double) =
        v->op == NTK_OP_DUAL ? v->act->f : v->op == NTK_OP_DUAL_DOT ? v->act->df : NULL;

    const int n_in = v->op == NTK_OP_NORMALISE ? 0 : v->n_in; /* a quotient is not lost */

    for (int64_t i = 0; i < s->n; i++) {
        bool any = false, all = n_in > 0;

        if (out[i] >= DBL_MIN)
            continue;
        if (out[i] != 0)
            return true;
        for (int k = 0; k < n_in; k++) {
            const double x = row(s, v->in[k])[i], u = sqrt(x);
            const bool is_zero = x == 0 || (v->op == NTK_OP_MIX && v->coef[k] == 0) ||
                                 (f && f(v->self, u) == 0 && f(v->self, -u) == 0);

            any = any || !is_zero;
            all = all && !is_zero;
        }
        if (v->op == NTK_OP_PRODUCT ? all : any)
            return true;
    }
    return false;
}

ntk_status ntk_samples_check_outputs(ntk_ctx *ctx, const struct ntk_plan *plan,
                                     const struct ntk_way *way, ntk_dtype dtype,
                                     const struct ntk_samples *s, int set)
{
    for (int m = 0; m < plan->n_outputs; m++)
        for (int64_t i = 0; i < s->n; i++) {
            const double q = ntk_way_finish(way, plan->outputs[m], 2 * ntk_way_exponent(way, set, i),
                                            row(s, plan->outputs[m])[i]);

            if (q > (dtype == NTK_F32 ? (double)FLT_MAX : DBL_MAX))
                return too_large(ctx, i, q, dtype);
        }
    return NTK_OK;
}

/* Samples that were made less small are small for every node, too. */
static ntk_status check_small(ntk_ctx *ctx, const struct ntk_plan *plan, const struct ntk_way *way,
                              const struct ntk_samples *s, int sets, int node)
{
    double largest = 0;

    for (int t = 0; t < sets; t++)
        for (int64_t i = 0; i < s[t].n; i++)
            largest = fmax(largest, ntk_way_rest(way, &plan->graph, node, s[t].variance + i, (size_t)s[t].n));
    for (int t = 0; t < sets; t++)
        for (int64_t i = 0; i < s[t].n; i++)
            if (ntk_way_exponent(way, t, i) && !ntk_way_holds(way, &plan->graph, node, largest,
                                                              s[t].variance + i, (size_t)s[t].n))
                return ntk_fail(ctx, NTK_ENUMERIC,
                                "sample %lld is too small for this network in float64, as a constant of it "
                                "or another sample is not of a normal size; scale the samples, or the "
                                "weights' deviations",
                                (long long)i);
    return NTK_OK;
}

/* A step's constants as numbers of float32. */
static bool constants_fit(const struct ntk_node *v)
{
    bool fit = v->op != NTK_OP_MIX || ntk_fits_f32(v->constant);

    for (int k = 0; v->op == NTK_OP_MIX && k < v->n_in; k++)
        fit = fit && ntk_fits_f32(v->coef[k]);
    return fit;
}

static ntk_status run_step(ntk_ctx *ctx, const struct ntk_plan *plan, const struct ntk_way *way,
                           const struct ntk_step *step, struct ntk_samples *s, int sets,
                           struct ntk_duals *duals)
{
    const struct ntk_node *v = &plan->graph.nodes[step->node >= 0 ? step->node : step->dot];

    if (step->op == NTK_OP_DUAL) {
        NTK_TRY(setup_dual(ctx, s, sets, v, step->sides, duals));
        duals->n_ready = step->sides + 1;
        duals->beyond = duals->beyond || (s->dtype == NTK_F32 && duals->dual[step->sides].beyond);
    }
    duals->beyond = duals->beyond || (s->dtype == NTK_F32 && !constants_fit(v));
    for (int t = 0; t < sets; t++) {
        double *out = step->node >= 0 ? row(&s[t], step->node) : NULL;
        void **table = step->sides >= 0 ? &s[t].sides[step->sides] : NULL;

        if (step->op == NTK_OP_MIX)
            variance_mix(v, &s[t], out);
        else if (step->op == NTK_OP_PRODUCT)
            variance_product(v, &s[t], out);
        else if (step->op == NTK_OP_NORMALISE)
            NTK_TRY(run_normalise(ctx, &s[t], v, out, table));
        else if (step->op == NTK_OP_DUAL)
            NTK_TRY(run_dual(ctx, &s[t], v, out, step->dot >= 0 ? row(&s[t], step->dot) : NULL,
                             &duals->dual[step->sides]));
        else if (step->op == NTK_OP_SELF)
            for (int64_t i = 0; i < s[t].n; i++)
                out[i] = v->constant * row(&s[t], v->in[0])[i];
        for (int k = 0; k < 2; k++) {
            const int node = k ? step->dot : step->node;

            if (node < 0)
                continue;
            NTK_TRY(check_range(ctx, &s[t], node, 1, &duals->beyond));
            duals->beyond = duals->beyond || (!way->last && is_lost(&plan->graph.nodes[node], &s[t],
                                                                    row(&s[t], node)));
        }
    }
    if (way->limit && step->node >= 0)
        NTK_TRY(check_small(ctx, plan, way, s, sets, step->node));
    if (way->limit && step->dot >= 0)
        NTK_TRY(check_small(ctx, plan, way, s, sets, step->dot));
    return NTK_OK;
}

static void store_pars(const struct ntk_plan *plan, ntk_dtype dtype, struct ntk_duals *duals)
{
    for (int t = 0; t < plan->n_tables; t++)
        for (int k = 0; k < NTK_DUAL_PARS; k++)
            if (dtype == NTK_F32) {
                ((float *)duals->par)[t * NTK_DUAL_PARS + k] = (float)duals->dual[t].par[k];
                duals->beyond = duals->beyond || !ntk_fits_f32(duals->dual[t].par[k]);
            } else
                ((double *)duals->par)[t * NTK_DUAL_PARS + k] = duals->dual[t].par[k];
}

/* In float64 the squares of samples, which are 0 only if the sample is. */
static bool squares_fit(const struct ntk_samples *s, const ntk_data *data)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (!ntk_fits_f64(row(s, 0)[i]))
            return false;
        for (size_t k = 0; row(s, 0)[i] == 0 && k < s->features; k++)
            if (ntk_data_get(data, (size_t)i * s->features + k) != 0)
                return false;
    }
    return true;
}

static ntk_status start(ntk_ctx *ctx, const struct ntk_plan *plan, const struct ntk_way *way, int set,
                        const ntk_data *data, struct ntk_samples *s, bool *beyond)
{
    const int input = 0; /* the first node of every graph is the input */

    *s = (struct ntk_samples){.n = data->n,
                              .stride = stride_of(data->n),
                              .dtype = way->dtype,
                              .features = (size_t)ntk_features_of(data->shape)};
    s->variance = ntk_alloc(ctx, (size_t)plan->graph.n * (size_t)data->n, sizeof *s->variance);
    s->sides = ntk_alloc_zero(ctx, (size_t)plan->n_tables, sizeof *s->sides);
    s->group = ntk_alloc(ctx, (size_t)data->n, sizeof *s->group);
    if (!s->variance || !s->sides || !s->group)
        return NTK_ENOMEM;
    NTK_TRY(convert(ctx, way, set, data, s, beyond));
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t i = 0; i < s->n; i++)
        row(s, input)[i] = mean_square(s, i);
    *beyond = *beyond || (way->dtype == NTK_F64 && !way->last && !squares_fit(s, data));
    return *beyond ? NTK_OK : check_range(ctx, s, input, (double)s->features, beyond);
}

static ntk_status input_variances(const struct ntk_plan *plan, struct ntk_samples *s, int set,
                                  const struct ntk_fields *f)
{
    if (plan->space) {
        double **out = ntk_alloc(f->ctx, (size_t)plan->n_inputs, sizeof *out);
        ntk_status status;

        if (!out)
            return NTK_ENOMEM;
        for (int k = 0; k < plan->n_inputs; k++)
            out[k] = row(s, plan->inputs[k]);
        status = ntk_blocks_diagonal(f, set, out);
        free(out);
        return status;
    }
    if (plan->n_inputs && plan->inputs[0] != 0)
        memcpy(row(s, plan->inputs[0]), row(s, 0), (size_t)s->n * sizeof(double));
    return NTK_OK;
}

ntk_status ntk_samples_prepare(ntk_ctx *ctx, const struct ntk_plan *plan,
                               const struct ntk_way *way, const ntk_data *x1, const ntk_data *x2, struct ntk_samples s[2],
                               bool variances, struct ntk_fields *f, struct ntk_duals *duals,
                               struct ntk_groups *groups)
{
    const ntk_data *data[] = {x1, x2};
    const int sets = x2 ? 2 : 1;
    const double *q[2] = {NULL, NULL};

    *duals = (struct ntk_duals){.plan = plan};
    duals->dual = ntk_alloc_zero(ctx, (size_t)plan->n_tables, sizeof *duals->dual);
    duals->par = ntk_alloc_zero(ctx, (size_t)plan->n_tables * NTK_DUAL_PARS, way->dtype);
    if (!duals->dual || !duals->par)
        return NTK_ENOMEM;
    for (int t = 0; t < sets; t++) {
        NTK_TRY(start(ctx, plan, way, t, data[t], &s[t], &duals->beyond));
        q[t] = row(&s[t], 0);
    }
    if (duals->beyond)
        return NTK_OK;
    NTK_TRY(find_groups(ctx, s, sets, q, groups));
    if (plan->space) {
        NTK_TRY(ntk_fields_make(ctx, plan->space, way, sets, s, (int)x1->shape.c, f));
        duals->beyond = f->beyond;
    }
    if ((!variances && !way->limit) || duals->beyond)
        return NTK_OK;
    for (int t = 0; t < sets; t++) {
        NTK_TRY(input_variances(plan, &s[t], t, f));
        for (int k = 0; k < plan->n_inputs; k++)
            NTK_TRY(check_range(ctx, &s[t], plan->inputs[k], 1, &duals->beyond));
    }
    for (int k = 0; k < plan->n_steps && !duals->beyond; k++)
        NTK_TRY(run_step(ctx, plan, way, &plan->steps[k], s, sets, duals));
    store_pars(plan, way->dtype, duals);
    return NTK_OK;
}

void ntk_samples_free(struct ntk_samples s[2], const struct ntk_plan *plan, struct ntk_duals *duals,
                      struct ntk_groups *groups)
{
    for (int t = 0; t < 2; t++) {
        for (int k = 0; s[t].sides && k < plan->n_tables; k++)
            free(s[t].sides[k]);
        free(s[t].sides);
        free(s[t].variance);
        free(s[t].group);
        free(s[t].owned_x);
    }
    for (int k = 0; k < duals->n_ready; k++) {
        const struct ntk_side_table *t = &plan->tables[k];

        if (t->op == NTK_OP_DUAL && plan->graph.nodes[t->dual_node].act->finish)
            plan->graph.nodes[t->dual_node].act->finish(&duals->dual[k]);
    }
    free(duals->dual);
    free(duals->par);
    free(groups->start);
    free(groups->columns);
}

#define SIDES_MOST 4 /* of activations whose sides do not depend on variances */

bool ntk_samples_wait(const struct ntk_plan *plan)
{
    bool wait = plan->space;

    for (int k = 0; k < plan->n_tables; k++)
        wait = wait || (plan->tables[k].op == NTK_OP_DUAL &&
                        plan->graph.nodes[plan->tables[k].dual_node].act->near_side);
    return wait;
}

size_t ntk_samples_bytes(const struct ntk_plan *plan, const struct ntk_way *way, const ntk_data *x,
                         const struct ntk_duals *duals)
{
    const bool same = x->dtype == way->dtype && !way->exponent[0];
    size_t each = (size_t)plan->graph.n * sizeof(double) + sizeof(struct key) + 3 * sizeof(int64_t);

    each += same ? 0 : (size_t)ntk_features_of(x->shape) * way->dtype;
    each += way->exponent[0] ? sizeof **way->exponent : 0;
    for (int k = 0; k < plan->n_tables; k++) {
        const struct ntk_dual *dual = duals ? &duals->dual[k] : NULL;

        each += ((size_t)(dual ? dual->sides : SIDES_MOST) + 1) * way->dtype;
        each += dual && plan->near ? (size_t)dual->near_sides * sizeof(double) : 0;
    }
    return (size_t)x->n * each;
}
