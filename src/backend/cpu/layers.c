/* SPDX-License-Identifier: MIT
 *
 * layers.c - what most nets do with a dual of points: Sigma' = a f + b and Theta' = c f + e d Theta + g, in four steps that
 * follow each other. They become one loop, where nobody else needs f, d and their products.
 */
#include "backend/cpu/cpu.h"

struct builder {
    const struct ntk_program *p;
    const struct ntk_frame *f;
    int *readers; /* [graph.n]; outputs are read, too */
};

static bool count_readers(struct builder *b, struct ntk_arena *scratch)
{
    b->readers = ntk_arena_alloc(scratch, (size_t)b->p->graph->n, sizeof *b->readers);
    if (!b->readers)
        return false;
    for (int k = 0; k < b->f->n_steps; k++)
        for (int i = 0; i < b->f->steps[k].n_in; i++)
            b->readers[b->f->steps[k].in[i]]++;
    for (int m = 0; m < b->p->n_outputs; m++)
        b->readers[b->p->outputs[m]]++;
    return true;
}

static bool is_sigma(const struct ntk_step *s, int f) { return s->run.id == NTK_DO_MIX && s->n_in == 1 && s->in[0] == f; }

/* Of d and something else: which operand that is. */
static bool is_product(const struct ntk_step *s, int d, int *theta)
{
    *theta = s->in[0] == d;
    return s->run.id == NTK_DO_PRODUCT && s->n_in == 2 && s->in[0] != s->in[1] && s->in[1 - *theta] == d;
}

/* Of f and the product: which operand f is. */
static bool is_theta(const struct ntk_step *s, int f, int product, int *at)
{
    *at = s->in[0] != f;
    return s->run.id == NTK_DO_MIX && s->n_in == 2 && s->in[*at] == f && s->in[1 - *at] == product;
}

/* The steps from number k on that are one layer: how many; 0: they are none. */
static int find_layer(const struct builder *b, int k, struct ntk_layer *layer)
{
    const struct ntk_step *dual = &b->f->steps[k], *s = dual + 1, *end = b->f->steps + b->f->n_steps;
    const struct ntk_step *product;
    int f, d, at;

    if (dual->run.id != NTK_DO_DUAL || dual->out[0] < 0 || dual->out[1] < 0 || end - s < 2)
        return 0;
    f = dual->out[0];
    d = dual->out[1];
    *layer = (struct ntk_layer){.node = {-1, -1}, .slot = {dual->out_slot[0]}};
    if (!is_product(s, d, &at) || b->readers[d] != 1 || b->readers[s->out[0]] != 1)
        return 0;
    product = s++;
    layer->theta = product->in_slot[at];
    if (is_sigma(s, f)) {
        layer->node[0] = s->out[0];
        layer->slot[0] = s->out_slot[0];
        layer->coef[0] = s->run.coef[0];
        layer->coef[1] = s->run.constant;
        s++;
    }
    if (s == end || !is_theta(s, f, product->out[0], &at) || b->readers[f] != (layer->node[0] >= 0) + 1)
        return 0;
    layer->node[1] = s->out[0];
    layer->slot[1] = s->out_slot[0];
    layer->coef[2] = s->run.coef[at];
    layer->coef[3] = s->run.coef[1 - at];
    layer->coef[4] = s->run.constant;
    return (int)(s + 1 - dual);
}

static bool make_rows(struct builder *b, struct ntk_cpu *c)
{
    for (int k = 0, n = 1; k < b->f->n_steps; k += n) {
        struct ntk_row_step *s = &c->rows[c->n_rows++];
        struct ntk_layer layer;

        s->step = &b->f->steps[k];
        n = find_layer(b, k, &layer);
        if (n == 0) {
            n = 1;
            continue;
        }
        s->layer = ntk_arena_alloc(&c->arena, 1, sizeof *s->layer);
        if (!s->layer)
            return false;
        *s->layer = layer;
    }
    return true;
}

bool ntk_cpu_rows(struct ntk_cpu *c)
{
    struct builder b = {.p = c->p, .f = &c->p->frames[c->p->points]};
    struct ntk_arena scratch = {0};
    bool made;

    c->rows = ntk_arena_alloc(&c->arena, (size_t)b.f->n_steps, sizeof *c->rows);
    made = c->rows && count_readers(&b, &scratch) && make_rows(&b, c);
    ntk_arena_free(&scratch);
    return made;
}
