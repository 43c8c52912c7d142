/* SPDX-License-Identifier: MIT
 *
 * link.c - the tables of links, one dimension at a time: which entries (p, p') go to which
 * (q, q'), and with what weight.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/compile.h"

struct triple {
    int source, target; /* offsets' indices */
    int from, to;       /* positions in planes */
    double weight;
};

struct triples {
    size_t n, capacity;
    struct triple *v;
    bool failed;
};

static void add(struct triples *t, const struct triple *x)
{
    if (t->n == t->capacity) {
        const size_t capacity = t->capacity ? 2 * t->capacity : 1024;
        struct triple *v = realloc(t->v, capacity * sizeof *v);

        if (!v) {
            t->failed = true;
            return;
        }
        t->v = v;
        t->capacity = capacity;
    }
    t->v[t->n++] = *x;
}

static int in_plane(const struct ntk_graph *g, int p, int d)
{
    return g->cyclic || d >= 0 ? p : p + d;
}

static void entry(const struct ntk_graph *g, const struct ntk_link_axis *x, int p, int p2, int q,
                  int q2, double weight, struct triples *t)
{
    const int d = p2 - p, e = q2 - q;
    const struct triple v = {.source = ntk_offset_index(g, x->window.n, d),
                             .target = ntk_offset_index(g, x->n_out, e),
                             .from = in_plane(g, p, d),
                             .to = in_plane(g, q, e),
                             .weight = weight};

    add(t, &v);
}

static double window_weight(const struct ntk_link_axis *x, int q)
{
    int first, last;

    ntk_window_inside(&x->window, q, &first, &last);
    return x->true_count ? 1.0 / (last - first) : 1;
}

/* All that windows q and q2 have in common. */
static void window_triples(const struct ntk_graph *g, const struct ntk_link_axis *x, int q, int q2,
                           struct triples *t)
{
    const double weight = window_weight(x, q) * window_weight(x, q2);
    int a0, a1, b0, b1;

    ntk_window_inside(&x->window, q, &a0, &a1);
    ntk_window_inside(&x->window, q2, &b0, &b1);
    for (int a = a0; a < a1; a++)
        for (int b = x->together ? a : b0; b < (x->together ? a + 1 : b1); b++) {
            const int p = ntk_window_position(&x->window, q, a), p2 = ntk_window_position(&x->window, q2, b);

            if (p >= 0 && p2 >= 0)
                entry(g, x, p, p2, q, q2, weight, t);
        }
}

static void make_triples(const struct ntk_graph *g, const struct ntk_link_axis *x,
                         struct triples *t)
{
    for (int q = 0; q < x->n_out; q++)
        for (int q2 = 0; q2 < x->n_out; q2++)
            if (!x->only_trace || q == q2)
                window_triples(g, x, q, q2, t);
}

static int compare(const void *a, const void *b)
{
    const struct triple *x = a, *y = b;

    if (x->source != y->source)
        return x->source - y->source;
    if (x->target != y->target)
        return x->target - y->target;
    if (x->to != y->to)
        return x->to - y->to;
    return x->from - y->from;
}

static void merge_equal(struct triples *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        if (n > 0 && compare(&t->v[n - 1], &t->v[i]) == 0)
            t->v[n - 1].weight += t->v[i].weight;
        else
            t->v[n++] = t->v[i];
    t->n = n;
}

/* Triples of one source offset become groups. */
static bool group(struct ntk_arena *arena, const struct triple *v, int n, struct ntk_link_dim *dim)
{
    struct ntk_link_group *groups = ntk_arena_alloc(arena, (size_t)n, sizeof *groups);
    struct ntk_link_term *terms = ntk_arena_alloc(arena, (size_t)n, sizeof *terms);
    int k = -1;

    if (!groups || !terms)
        return false;
    for (int i = 0; i < n; i++) {
        if (i == 0 || v[i].target != v[i - 1].target)
            groups[++k] = (struct ntk_link_group){.offset = v[i].target, .terms = &terms[i]};
        terms[i] = (struct ntk_link_term){v[i].from, v[i].to, v[i].weight};
        groups[k].n++;
    }
    dim->n_groups[v->source] = k + 1;
    dim->groups[v->source] = groups;
    return true;
}

/* For a sum, targets do not matter. */
static bool weigh(struct ntk_arena *arena, const struct triple *v, int n, int positions,
                  struct ntk_link_dim *dim)
{
    double *weights = ntk_arena_alloc(arena, (size_t)positions, sizeof *weights);

    if (!weights)
        return false;
    for (int i = 0; i < n; i++)
        weights[v[i].from] += v[i].weight;
    dim->weights[v->source] = weights;
    return true;
}

/* Sums without windows: every position, or those of offset 0, counts once. */
static bool count_once(const struct ntk_graph *g, struct ntk_arena *arena, const struct ntk_link_axis *x,
                       struct ntk_link_dim *dim)
{
    double *ones = ntk_arena_alloc(arena, (size_t)x->window.n, sizeof *ones);

    for (int p = 0; ones && p < x->window.n; p++)
        ones[p] = 1;
    for (int o = 0; o < ntk_offsets(g, x->window.n); o++)
        if (!x->only_trace || o == ntk_offset_index(g, x->window.n, 0))
            dim->weights[o] = ones;
    return ones;
}

bool ntk_link_dim_make(const struct ntk_graph *g, struct ntk_arena *arena, const struct ntk_link_axis *x, bool sum,
                       struct ntk_link_dim *dim)
{
    const size_t offsets = (size_t)ntk_offsets(g, x->window.n);
    struct triples t = {0};
    bool ok;

    dim->n_groups = ntk_arena_alloc(arena, offsets, sizeof *dim->n_groups);
    dim->groups = ntk_arena_alloc(arena, offsets, sizeof *dim->groups);
    dim->weights = ntk_arena_alloc(arena, offsets, sizeof *dim->weights);
    if (!dim->n_groups || !dim->groups || !dim->weights)
        return false;
    if (sum && x->window.size == 1 && x->window.stride == 1)
        return count_once(g, arena, x, dim);
    make_triples(g, x, &t);
    ok = !t.failed;
    if (ok && t.n) {
        qsort(t.v, t.n, sizeof *t.v, compare);
        merge_equal(&t);
    }
    for (size_t i = 0, n; ok && i < t.n; i += n) {
        for (n = 1; i + n < t.n && t.v[i + n].source == t.v[i].source;)
            n++;
        ok = sum ? weigh(arena, t.v + i, (int)n, x->window.n, dim) : group(arena, t.v + i, (int)n, dim);
    }
    free(t.v);
    return ok;
}
