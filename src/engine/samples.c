/* SPDX-License-Identifier: MIT
 *
 * samples.c - conversion, equal samples, and what of a reference is common.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/prepare.h"

/* Whole chunks (variances.c), and a run of whole vectors from anywhere below n. */
static size_t stride_of(int64_t n) { return ntk_round_up((size_t)n, 64) + NTK_LANES_MAX; }

/* *lost: float32 makes 0 of some number that is not. */
static ntk_status convert(struct ntk_samples *s, const ntk_data *data, bool *lost)
{
    const struct ntk_precision *precision = &s->reference->precision;
    const size_t total = (size_t)data->n * s->features;
    int gone = 0;

    if (data->dtype == precision->dtype && !precision->degree) {
        s->x = data->x;
        return NTK_OK;
    }
    s->x = s->owned_x = ntk_scratch_new(s->ctx, total, precision->dtype);
    if (!s->owned_x)
        return NTK_ENOMEM;
    if (precision->degree) {
        s->exponent = ntk_alloc(s->ctx, (size_t)s->n, sizeof *s->exponent);
        if (!s->exponent)
            return NTK_ENOMEM;
        ntk_precision_exponents(precision, data, s->exponent);
        for (size_t i = 0; i < total; i++)
            ((double *)s->owned_x)[i] = ldexp(ntk_data_get(data, i), s->exponent[i / s->features]);
    } else if (precision->dtype == NTK_F32)
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

/* x . x / features, in float64 whatever the type: row 0 of the variances. Several sums at once, as each addition waits
 * for the one before. */
#define SUMS 8
static double mean_square(const struct ntk_samples *s, int64_t i)
{
    const size_t at = (size_t)i * s->features, whole = s->features / SUMS * SUMS;
    double sum[SUMS] = {0}, all = 0;

    for (size_t k = 0; k < whole; k += SUMS)
        for (size_t j = 0; j < SUMS; j++)
            sum[j] += ntk_sample_number(s, at + k + j) * ntk_sample_number(s, at + k + j);
    for (size_t k = whole; k < s->features; k++)
        all += ntk_sample_number(s, at + k) * ntk_sample_number(s, at + k);
    for (size_t j = 0; j < SUMS; j++)
        all += sum[j];
    return all / (double)s->features;
}

/* In float64 the squares of samples, which are 0 only if the sample is. */
static bool squares_fit(const struct ntk_samples *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        const double q = ntk_variances_of(s, 0)[i];

        if (!ntk_fits_f64(q))
            return false;
        for (size_t k = 0; q == 0 && k < s->features; k++)
            if (ntk_sample_number(s, (size_t)i * s->features + k) != 0)
                return false;
    }
    return true;
}

/* ---- equal samples stand side by side when sorted. Most are told apart by their mean squares. */

struct key {
    double q;
    int64_t number;
};

static struct key key_of(const struct ntk_samples *s, int64_t i) { return (struct key){ntk_variances_of(s, 0)[i], i}; }

static const unsigned char *row_of(const struct ntk_samples *s, struct key k)
{
    return (const unsigned char *)s->x + (size_t)k.number * s->features * s->dtype;
}

/* Of samples of one set or two. */
static int compare(const struct ntk_samples *s, struct key a, const struct ntk_samples *t, struct key b)
{
    if (a.q != b.q)
        return a.q < b.q ? -1 : 1;
    return memcmp(row_of(s, a), row_of(t, b), s->features * s->dtype);
}

/* Keys [0, n) in order, equal ones as they stood; by merging runs, which takes a third of qsort's time: all threads wait for
 * it. The result is in one of both arrays. */
static struct key *sort(const struct ntk_samples *s, int64_t n, struct key *keys, struct key *spare)
{
    for (int64_t run = 1; run < n; run *= 2) {
        struct key *from = keys;

        for (int64_t first = 0; first < n; first += 2 * run) {
            const int64_t middle = first + run < n ? first + run : n, end = middle + run < n ? middle + run : n;
            int64_t i = first, j = middle;

            for (int64_t k = first; k < end; k++)
                spare[k] = j == end || (i < middle && compare(s, from[i], s, from[j]) <= 0) ? from[i++] : from[j++];
        }
        keys = spare;
        spare = from;
    }
    return keys;
}

static ntk_status find_twins(struct ntk_samples *s)
{
    struct key *block = ntk_scratch_new(s->ctx, 2 * (size_t)s->n, sizeof *block), *keys;
    int64_t twin = 0;

    if (!block)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < s->n; i++)
        block[i] = key_of(s, i);
    keys = sort(s, s->n, block, block + s->n);
    for (int64_t k = 0; k < s->n; k++) {
        if (k == 0 || compare(s, keys[k - 1], s, keys[k])) {
            twin = keys[k].number;
            s->first[twin] = k;
        }
        s->order[k] = keys[k].number;
        s->twin[keys[k].number] = twin;
        s->last[twin] = k + 1;
    }
    ntk_scratch_free(s->ctx, block);
    return NTK_OK;
}

void ntk_samples_match(const struct ntk_samples *rows, const struct ntk_samples *columns, int64_t i0, int64_t ni,
                       int64_t *match)
{
    for (int64_t i = i0; i < i0 + ni; i++) {
        const struct key key = key_of(rows, i);
        int64_t from = 0, to = columns->n;

        if (rows == columns) {
            match[i] = rows->twin[i];
            continue;
        }
        while (from < to) { /* the first that is not less */
            const int64_t half = from + (to - from) / 2;

            if (compare(columns, key_of(columns, columns->order[half]), rows, key) < 0)
                from = half + 1;
            else
                to = half;
        }
        match[i] = -1;
        if (from < columns->n && compare(columns, key_of(columns, columns->order[from]), rows, key) == 0)
            match[i] = columns->order[from];
    }
}

/* ---- references */

static void reference_release(struct ntk_reference *r)
{
    if (!r || --r->users > 0)
        return;
    for (int t = 0; r->ready && t < r->program->n_side_sets; t++) {
        const struct ntk_node *v = &r->program->graph->nodes[r->program->side_sets[t].node];

        if (r->ready[t] && v->op->finish)
            v->op->finish(v, &r->dual[t]);
    }
    free(r->dual);
    free(r->ready);
    free(r->par);
    free(r->precision.degree);
    free(r);
}

/* Takes over the way's array. */
static ntk_status reference_new(const struct ntk_program *p, struct ntk_precision *precision, struct ntk_reference **reference)
{
    const size_t n = (size_t)p->n_side_sets;
    struct ntk_reference *r = ntk_alloc_zero(p->ctx, 1, sizeof *r);

    *reference = r;
    if (!r)
        return NTK_ENOMEM;
    r->users = 1;
    r->program = p;
    r->precision = *precision;
    r->layers = p->vectors ? p->n_side_sets : 0;
    precision->degree = NULL;
    r->dual = ntk_alloc_zero(p->ctx, n, sizeof *r->dual);
    r->ready = ntk_alloc_zero(p->ctx, n, sizeof *r->ready);
    r->par = ntk_alloc_zero(p->ctx, n * NTK_DUAL_PARS, precision->dtype);
    return r->dual && r->ready && r->par ? NTK_OK : NTK_ENOMEM;
}

static void store_par(struct ntk_preparation *x, int side_set)
{
    struct ntk_reference *r = x->reference;

    for (int k = 0; k < NTK_DUAL_PARS; k++) {
        const double par = r->dual[side_set].par[k];

        ntk_store(r->par, r->precision.dtype, (size_t)(side_set * NTK_DUAL_PARS + k), par);
        x->beyond = x->beyond || (r->precision.dtype == NTK_F32 && !ntk_fits_f32(par));
    }
}

ntk_status ntk_prepare_setup(struct ntk_preparation *x, int side_set, double q_min, double q_max)
{
    struct ntk_reference *r = x->reference;
    struct ntk_dual *dual = &r->dual[side_set];
    const struct ntk_dual_range range = {
        .q_min = q_min, .q_max = q_max, .dtype = r->precision.dtype, .layers = r->layers};
    const struct ntk_node *v = &r->program->graph->nodes[r->program->side_sets[side_set].node];

    if (r->ready[side_set]) {
        x->beyond = x->beyond || (x->fixed && q_max > dual->takes);
        return NTK_OK;
    }
    dual->takes = DBL_MAX;
    NTK_TRY(v->op->setup(v, x->ctx, &range, dual));
    r->ready[side_set] = true;
    x->beyond = x->beyond || (r->precision.dtype == NTK_F32 && dual->beyond);
    store_par(x, side_set);
    return NTK_OK;
}

/* ---- a set */

#define NUMBERS_A_THREAD 16384 /* some microseconds: what starting one costs */

void ntk_samples_release(struct ntk_samples *s)
{
    if (!s)
        return;
    for (int t = 0; s->sides && t < s->program->n_side_sets; t++)
        free(s->sides[t]);
    for (int64_t k = 0; s->kept && k * s->kept_width < s->n; k++)
        ntk_panel_free(&s->kept[k]);
    free(s->kept);
    for (int v = 0; s->own && v < s->program->graph->n; v++)
        free(s->own[v]);
    free(s->sides);
    free(s->own);
    ntk_scratch_free(s->ctx, s->variance);
    ntk_scratch_free(s->ctx, s->order);
    ntk_scratch_free(s->ctx, s->owned_x);
    free(s->exponent);
    ntk_ctx_release(s->ctx, s->held);
    reference_release(s->reference);
    free(s);
}

/* Vectors of samples end in some that are none; what is made of them is not looked at. */
static void pad(const struct ntk_samples *s, int node)
{
    memset(ntk_variances_of(s, node) + s->n, 0, (s->stride - (size_t)s->n) * sizeof(double));
}

static ntk_status start(struct ntk_preparation *x, const ntk_data *data, struct ntk_samples **samples)
{
    const struct ntk_program *p = x->program;
    struct ntk_samples *s = ntk_alloc_zero(x->ctx, 1, sizeof *s);

    *samples = s;
    if (!s)
        return NTK_ENOMEM;
    x->reference->users++;
    s->ctx = x->ctx;
    s->program = p;
    s->reference = x->reference;
    s->data = data;
    s->bare = !x->machine->backend->own;
    s->n = data->n;
    s->stride = stride_of(data->n);
    s->dtype = x->reference->precision.dtype;
    s->features = (size_t)ntk_features_of(data->shape);
    s->channels = (size_t)data->shape.c;
    s->variance = ntk_scratch_new(x->ctx, (size_t)p->graph->n * s->stride, sizeof *s->variance);
    s->sides = ntk_alloc_zero(x->ctx, (size_t)p->n_side_sets, sizeof *s->sides);
    s->own = ntk_alloc_zero(x->ctx, (size_t)p->graph->n, sizeof *s->own);
    s->order = ntk_scratch_new(x->ctx, 4 * (size_t)s->n, sizeof *s->order);
    if (!s->variance || !s->sides || !s->own || !s->order)
        return NTK_ENOMEM;
    pad(s, 0);
    for (int e = 0; e < p->frames[p->points].n_entries; e++)
        pad(s, p->frames[p->points].entries[e]);
    s->twin = s->order + s->n;
    s->first = s->twin + s->n;
    s->last = s->first + s->n;
    NTK_TRY(convert(s, data, &x->beyond));
#pragma omp parallel for schedule(static) num_threads(ntk_threads_for(s->ctx, s->n * (int64_t)s->features / NUMBERS_A_THREAD))
    for (int64_t i = 0; i < s->n; i++)
        ntk_variances_of(s, 0)[i] = mean_square(s, i);
    if (s->dtype == NTK_F64 && !x->reference->precision.last && !s->bare && !squares_fit(s))
        x->beyond = true;
    if (!x->beyond && !s->bare)
        NTK_TRY(ntk_prepare_check(s, 0, (double)s->features, &x->beyond));
    if (x->beyond)
        return NTK_OK;
    if (p->vectors)
        memcpy(ntk_variances_of(s, p->frames[p->points].entries[0]), ntk_variances_of(s, 0),
               s->stride * sizeof(double));
    return find_twins(s);
}

/* In the way of the reference. */
static ntk_status prepare(struct ntk_preparation *x, const ntk_data *const *data)
{
    const struct ntk_frame *points = &x->program->frames[x->program->points];

    for (int t = 0; t < x->sets; t++)
        NTK_TRY(start(x, data[t], &x->s[t]));
    if (x->s[0]->bare)
        return NTK_OK;
    if (!x->beyond)
        NTK_TRY(ntk_prepare_ranges(x));
    if (!x->beyond)
        NTK_TRY(ntk_prepare_own(x));
    if (x->beyond || !(x->variances || x->reference->precision.limit))
        return NTK_OK;
    if (!x->program->vectors && points->n_entries)
        NTK_TRY(ntk_prepare_sums(x));
    return ntk_prepare_points(x);
}

static void forget(struct ntk_preparation *x)
{
    for (int t = 0; t < x->sets; t++) {
        ntk_samples_release(x->s[t]);
        x->s[t] = NULL;
    }
}

/* In the kernel's type, or where that does not take what is met on the way in another way. */
static ntk_status prepare_new(struct ntk_preparation *x, ntk_dtype dtype, const ntk_data *const *data)
{
    struct ntk_precision precision = {.dtype = dtype};
    ntk_status status;

    for (bool another = false;; another = true) {
        x->beyond = false;
        status = reference_new(x->program, &precision, &x->reference);
        if (status == NTK_OK)
            status = prepare(x, data);
        for (int t = 0; another && x->variances && t < x->sets && status == NTK_OK && !x->beyond; t++)
            status = ntk_samples_check_outputs(x->s[t], dtype);
        if (status == NTK_OK && x->beyond) {
            precision = (struct ntk_precision){.dtype = x->reference->precision.dtype, .last = x->reference->precision.last};
            forget(x);
            reference_release(x->reference);
            NTK_TRY(ntk_precision_next(x->program, &precision));
            continue;
        }
        reference_release(x->reference);
        ntk_precision_free(&precision);
        return status;
    }
}

ntk_status ntk_samples_make(const struct ntk_machine *machine, ntk_dtype dtype, int sets, const ntk_data *const *data,
                            bool variances, const struct ntk_samples *like, bool *beyond,
                            struct ntk_samples **samples)
{
    struct ntk_preparation x = {.ctx = machine->program->ctx,
                                .program = machine->program,
                                .machine = machine,
                                .sets = sets,
                                .variances = variances || machine->program->variances,
                                .fixed = like != NULL};
    ntk_status status;

    if (like) {
        x.reference = like->reference;
        x.beyond = like->reference->precision.limit; /* what is small beside which samples: all must be there */
        status = x.beyond ? NTK_OK : prepare(&x, data);
        *beyond = status == NTK_OK && x.beyond;
    } else {
        status = prepare_new(&x, dtype, data);
    }
    if (status != NTK_OK || x.beyond) {
        forget(&x);
        return status;
    }
    for (int t = 0; t < sets; t++)
        samples[t] = x.s[t];
    return NTK_OK;
}

ntk_status ntk_samples_keep(const struct ntk_machine *machine, struct ntk_samples *s, size_t most)
{
    const struct ntk_backend *b = machine->backend;
    const int64_t width = b->panel && !s->program->vectors ? b->panel(machine->compiled, s, s->n) : 0;
    const int64_t n = width ? (s->n + width - 1) / width : 0;

    if (n == 0 || ntk_bytes((double)s->n * (double)ntk_panel_bytes(s)) > most)
        return NTK_OK;
    s->kept_width = width;
    s->kept = ntk_alloc_zero(s->ctx, (size_t)n, sizeof *s->kept);
    if (!s->kept)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < n; k++) {
        const int64_t first = k * width, m = s->n - first < width ? s->n - first : width;

        NTK_TRY(ntk_panel_new(s, m, &s->kept[k]));
        NTK_TRY(ntk_panel_fill(s, first, m, INT_MAX, &s->kept[k]));
    }
    return NTK_OK;
}

/* ---- bytes */

#define SIDES_MOST 4 /* of activations whose sides do not depend on variances */

bool ntk_samples_wait(const struct ntk_program *p)
{
    bool wait = !p->vectors && p->frames[p->points].n_entries;

    for (int t = 0; t < p->n_side_sets; t++) {
        struct ntk_instruction run = {0};
        const struct ntk_node *v = &p->graph->nodes[p->side_sets[t].node];

        v->op->instruct(v, &run);
        wait = wait || (run.act && run.act->near_side);
    }
    return wait;
}

size_t ntk_samples_bytes(const struct ntk_program *p, const struct ntk_samples *s, const ntk_data *x, ntk_dtype dtype)
{
    const int64_t n = s ? s->n : x->n;
    const size_t stride = stride_of(n);
    const bool converted = s ? s->owned_x != NULL : x->dtype != dtype;
    size_t bytes = (size_t)p->graph->n * stride * sizeof(double) + (size_t)n * (2 * sizeof(struct key) + 4 * sizeof(int64_t));

    if (converted)
        bytes += (size_t)n * (size_t)ntk_features_of(x->shape) * dtype;
    if (s && s->exponent)
        bytes += (size_t)n * sizeof *s->exponent;
    for (int t = 0; t < p->n_side_sets; t++) {
        const size_t sides = s ? ntk_side_count(s->reference, t) : SIDES_MOST;

        if (p->graph->nodes[p->side_sets[t].node].plane)
            continue;
        bytes += stride * (sides + 1) * dtype;
        if (s && p->vectors)
            bytes += (size_t)n * (size_t)s->reference->dual[t].near_sides * sizeof(double);
    }
    if (s && s->kept)
        bytes += (size_t)n * ntk_panel_bytes(s);
    for (int k = 0; k < p->points; k++)
        for (int e = 0; e < p->frames[k].n_entries; e++)
            bytes += (size_t)n * ntk_node_positions(&p->graph->nodes[p->frames[k].entries[e]]) * dtype;
    return bytes;
}
