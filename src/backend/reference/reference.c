/* SPDX-License-Identifier: MIT
 *
 * reference.c - see reference.h: the program's nodes, and the loop over pairs.
 */
#include "backend/reference/reference.h"

#include <stdlib.h>
#include <string.h>

#define DUAL_SECONDS  1e-3 /* of both moments of an entry */
#define PLACE_SECONDS 5e-9 /* of one pair of places of windows */

/* ---- compile */

static void close(void *compiled)
{
    struct ntk_reference_program *c = compiled;

    if (!c)
        return;
    free(c->nodes);
    free(c->of);
    free(c);
}

/* What outputs depend on: of[v] is 0 for those nodes, else -1. */
static void find_nodes(struct ntk_reference_program *c)
{
    const struct ntk_graph *g = c->p->graph;

    for (int v = 0; v < g->n; v++)
        c->of[v] = -1;
    for (int m = 0; m < c->p->n_outputs; m++)
        c->of[c->p->outputs[m]] = 0;
    for (int v = g->n - 1; v >= 0; v--)
        for (int k = 0; c->of[v] == 0 && k < g->nodes[v].n_in; k++)
            c->of[g->nodes[v].in[k]] = 0;
}

static int other_moment(const struct ntk_reference_program *c, const struct ntk_reference_node *n)
{
    for (int k = 0; k < c->n; k++) {
        const struct ntk_reference_node *m = &c->nodes[k];

        if (m != n && m->run.id == n->run.id && m->run.act == n->run.act && m->v->in[0] == n->v->in[0] &&
            m->v->bytes == n->v->bytes && !memcmp(m->v->args, n->v->args, n->v->bytes))
            return m->node;
    }
    return -1;
}

static double seconds_of(const struct ntk_reference_program *c, const struct ntk_reference_node *n)
{
    const double m = (double)ntk_node_positions(n->v);
    double places = n->run.id == NTK_DO_LINK || n->run.id == NTK_DO_BOX ? m * m : 0;

    if (n->run.id == NTK_DO_DUAL)
        return n->other >= 0 && n->other < n->node ? 0 : m * m * DUAL_SECONDS;
    for (int k = 0; k < 2 && places > 0; k++) {
        const struct ntk_link_axis x = n->v->op->axis(c->p->graph, n->v, k);

        places *= (double)x.window.size * x.window.size * (n->v->place == NTK_SUMS ? (double)x.n_out * x.n_out : 1);
    }
    return places * PLACE_SECONDS;
}

static void add(struct ntk_reference_program *c, int v)
{
    struct ntk_reference_node *n = &c->nodes[c->n];
    const size_t m = ntk_node_positions(&c->p->graph->nodes[v]);

    *n = (struct ntk_reference_node){
        .v = &c->p->graph->nodes[v], .node = v, .other = -1, .at = c->own, .at_pair = c->table};
    n->v->op->instruct(n->v, &n->run);
    c->of[v] = c->n++;
    c->own += m;
    c->table += m * m;
}

static ntk_status compile(const struct ntk_program *program, void **compiled)
{
    const size_t n = (size_t)program->graph->n;
    struct ntk_reference_program *c = ntk_alloc_zero(program->ctx, 1, sizeof *c);

    *compiled = c;
    if (!c)
        return NTK_ENOMEM;
    c->p = program;
    c->nodes = ntk_alloc_zero(program->ctx, n, sizeof *c->nodes);
    c->of = ntk_alloc_zero(program->ctx, n, sizeof *c->of);
    if (!c->nodes || !c->of)
        return NTK_ENOMEM;
    ntk_rule_make(&c->rule);
    find_nodes(c);
    for (int v = 0; v < program->graph->n; v++)
        if (c->of[v] >= 0)
            add(c, v);
    for (int k = 0; k < c->n; k++) {
        if (c->nodes[k].run.id == NTK_DO_DUAL)
            c->nodes[k].other = other_moment(c, &c->nodes[k]);
        c->seconds += seconds_of(c, &c->nodes[k]);
    }
    return NTK_OK;
}

/* ---- run */

/* What the threads of a run share. */
struct loop {
    const struct ntk_reference_program *c;
    const struct ntk_batch *b;
    long double *own[2]; /* [samples][own] of rows and columns; one and the same if symmetric */
    int64_t done;
};

static ntk_status fail(const struct loop *x, const struct ntk_reference_pair *pair)
{
    ntk_ctx *ctx = x->b->rows->ctx;

    ntk_lock(ctx);
    ntk_fail(ctx, NTK_ENUMERIC, "the integral of %s over samples %lld and %lld cannot be computed: their variances are too large",
             pair->failed->base.name, (long long)pair->i[0], (long long)pair->i[1]);
    ntk_unlock(ctx);
    return NTK_ENUMERIC;
}

/* Sample i of set `which` with itself. */
static ntk_status run_own(const struct loop *x, int which, int64_t i, long double *table)
{
    const struct ntk_samples *s = which ? x->b->columns : x->b->rows;
    long double *own = x->own[which] + (size_t)i * x->c->own;
    struct ntk_reference_pair pair = {
        .c = x->c, .s = {s, s}, .i = {i, i}, .same = true, .own = {own, own}, .table = table};

    ntk_reference_compute(&pair, own);
    return pair.failed ? fail(x, &pair) : NTK_OK;
}

static ntk_status run_pair(struct loop *x, int64_t i, int64_t j, long double *table, void **tiles)
{
    const struct ntk_batch *b = x->b;
    struct ntk_reference_pair pair = {.c = x->c,
                                      .s = {b->rows, b->columns},
                                      .i = {i, j},
                                      .same = b->symmetric && i == j,
                                      .own = {x->own[0] + (size_t)i * x->c->own, x->own[1] + (size_t)j * x->c->own},
                                      .table = table};
    const struct ntk_tile tile = {.i0 = i, .ni = 1, .j0 = j, .nj = 1, .k = tiles, .ld = 1, .upper = pair.same};

    if (!pair.same)
        ntk_reference_compute(&pair, NULL);
    if (pair.failed)
        return fail(x, &pair);
    for (int m = 0; m < x->c->p->n_outputs; m++) {
        const struct ntk_reference_node *n = &x->c->nodes[x->c->of[x->c->p->outputs[m]]];
        const long double value = pair.same ? pair.own[0][n->at] : table[n->at_pair];

        ntk_store(tiles[m], b->rows->dtype, 0, (double)value);
    }
    return b->done(&tile, b->user);
}

/* A thread's tables, and one entry of every output. */
struct work {
    long double *table;
    double *entries;
    void **tiles;
};

static bool work_new(struct work *w, const struct ntk_reference_program *c)
{
    const size_t n = (size_t)c->p->n_outputs;

    w->table = ntk_alloc(NULL, c->table, sizeof *w->table);
    w->entries = ntk_alloc(NULL, n, sizeof *w->entries);
    w->tiles = ntk_alloc(NULL, n, sizeof *w->tiles);
    for (size_t m = 0; w->entries && w->tiles && m < n; m++)
        w->tiles[m] = &w->entries[m];
    return w->table && w->entries && w->tiles;
}

static void work_free(struct work *w)
{
    free(w->table);
    free(w->entries);
    free(w->tiles);
}

/* Job k: first every sample with itself, then the pairs. */
static ntk_status run_job(struct loop *x, int64_t k, bool pairs, struct work *w)
{
    const struct ntk_batch *b = x->b;
    const int64_t i = b->row_panel->first + k / b->column_panel->n, j = b->column_panel->first + k % b->column_panel->n;
    ntk_status status;

    if (!pairs)
        return k < b->rows->n ? run_own(x, 0, k, w->table) : run_own(x, 1, k - b->rows->n, w->table);
    if (b->symmetric && j < i)
        return NTK_OK;
    NTK_TRY(run_pair(x, i, j, w->table, w->tiles));
    ntk_lock(b->rows->ctx);
    status = b->progress((double)++x->done, b->user);
    ntk_unlock(b->rows->ctx);
    return status;
}

static ntk_status run_all(struct loop *x, bool pairs)
{
    const struct ntk_batch *b = x->b;
    const int64_t n = pairs ? b->row_panel->n * b->column_panel->n : b->rows->n + (b->symmetric ? 0 : b->columns->n);
    ntk_ctx *ctx = b->rows->ctx;
    ntk_status status = NTK_OK;

#pragma omp parallel num_threads(ctx->threads)
    {
        struct work w;
        const bool ready = work_new(&w, x->c);

#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < n; k++)
            if (ntk_go_on(ctx, &status, ready ? NTK_OK : NTK_ENOMEM))
                ntk_go_on(ctx, &status, run_job(x, k, pairs, &w));
        work_free(&w);
    }
    return status == NTK_ENOMEM ? ntk_fail(ctx, status, "no memory for all pairs of positions") : status;
}

static ntk_status run(void *compiled, const struct ntk_batch *batch)
{
    struct loop x = {.c = compiled, .b = batch};
    ntk_ctx *ctx = batch->rows->ctx;
    ntk_status status = NTK_ENOMEM;

    x.own[0] = ntk_alloc(ctx, (size_t)batch->rows->n * x.c->own, sizeof(long double));
    x.own[1] = batch->symmetric ? x.own[0] : ntk_alloc(ctx, (size_t)batch->columns->n * x.c->own, sizeof(long double));
    if (x.own[0] && x.own[1])
        status = run_all(&x, false);
    if (status == NTK_OK)
        status = run_all(&x, true);
    if (!batch->symmetric)
        free(x.own[1]);
    free(x.own[0]);
    return status;
}

/* ---- what it takes */

static size_t bytes(const void *compiled, const struct ntk_samples *s, int64_t rows, int64_t columns)
{
    const struct ntk_reference_program *c = compiled;

    return sizeof(long double) *
           (((size_t)rows + (size_t)columns) * c->own + (size_t)s->ctx->threads * c->table);
}

static double units(const void *compiled, int64_t n1, int64_t n2, const char **what)
{
    (void)compiled;
    *what = "pairs";
    return n2 ? (double)n1 * (double)n2 : (double)n1 * ((double)n1 + 1) / 2;
}

static double seconds(const void *compiled, double pairs)
{
    const struct ntk_reference_program *c = compiled;

    return pairs * c->seconds / c->p->ctx->threads;
}

const struct ntk_backend ntk_backend_reference = {.name = "reference",
                                                  .summary = "slow and plain, the witness of the others",
                                                  .compile = compile,
                                                  .run = run,
                                                  .bytes = bytes,
                                                  .units = units,
                                                  .seconds = seconds,
                                                  .close = close};
