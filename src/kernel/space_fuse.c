/* SPDX-License-Identifier: MIT
 *
 * space_fuse.c - steps that do in one pass what the graph has as several nodes: sweeps and tails.
 */
#include <string.h>

#include "activations/activation.h"
#include "kernel/space_build.h"

static const struct ntk_node *node(const struct ntk_space_builder *b, int v)
{
    return &b->g->nodes[v];
}

/* ---- sweeps: a dual and the convolutions of what is made of it, in one pass */

static bool is_box(const struct ntk_space_builder *b, int v)
{
    const struct ntk_node *x = node(b, v);
    const struct ntk_window *w = &x->window;

    return x->op == NTK_OP_CONV && !w->wrap && !ntk_space_is_link(b, v) && w->size[0] == 3 &&
           w->size[1] == 3 && w->stride[0] == 1 && w->stride[1] == 1 && w->low[0] == 1 &&
           w->low[1] == 1 && x->h == node(b, x->in[0])->h && x->w == node(b, x->in[0])->w;
}

static struct ntk_space_step *new_sweep(struct ntk_space_builder *b,
                                        const struct ntk_space_step *dual)
{
    struct ntk_space_step *s = ntk_space_new_step(b, NTK_SPACE_SWEEP, dual->node,
                                                  1 + NTK_SWEEP_THETAS, 1 + NTK_SWEEP_THETAS);

    if (!s)
        return NULL;
    s->in[0] = dual->in[0];
    s->n_in = 1;
    s->table = dual->table;
    return s;
}

/* One more output a box(mix f + d theta) + b; begins a sweep if the last is full. */
static bool sweep_theta(struct ntk_space_builder *b, const struct ntk_space_step *dual,
                        struct ntk_space_step **s, int theta, int conv, double mix, double factor)
{
    struct ntk_sweep_out *out;
    int end;

    if (!*s || (*s)->n_in == 1 + NTK_SWEEP_THETAS)
        *s = new_sweep(b, dual);
    if (!*s)
        return false;
    out = &(*s)->sweep[(*s)->n_in];
    end = ntk_space_box_end(b, conv, factor, out);
    out->mix = mix;
    (*s)->in[(*s)->n_in] = theta;
    (*s)->out[(*s)->n_in++] = end;
    b->producer[end] = (int)(*s - b->steps);
    return true;
}

/* All that becomes of d theta. */
static bool sweep_product(struct ntk_space_builder *b, const struct ntk_space_step *dual,
                          struct ntk_space_step **s, int product)
{
    const struct ntk_node *g = node(b, product);
    const int theta = g->in[g->in[0] == dual->out[1] ? 1 : 0];

    for (int k = b->first[product]; k < b->first[product + 1]; k++) {
        const int r = b->reader[k];
        const struct ntk_node *m = node(b, r);
        const int at = m->n_in == 2 && m->in[0] == product ? 0 : 1;

        if (is_box(b, r)) {
            if (!sweep_theta(b, dual, s, theta, r, 0, 1))
                return false;
        } else if (m->op == NTK_OP_MIX && m->n_in == 2 && m->constant == 0 &&
                   m->in[1 - at] == dual->out[0] && m->coef[at] != 0) {
            for (int j = b->first[r]; j < b->first[r + 1]; j++)
                if (is_box(b, b->reader[j]) &&
                    !sweep_theta(b, dual, s, theta, b->reader[j], m->coef[1 - at] / m->coef[at],
                                 m->coef[at]))
                    return false;
        }
    }
    return true;
}

bool ntk_space_sweeps(struct ntk_space_builder *b, int at)
{
    const struct ntk_space_step dual = b->steps[at];
    const int f = dual.out[0], d = dual.out[1];
    struct ntk_space_step *s = NULL;

    for (int k = f >= 0 ? b->first[f] : 0; f >= 0 && k < b->first[f + 1]; k++)
        if (is_box(b, b->reader[k])) {
            int end;

            s = new_sweep(b, &dual);
            if (!s)
                return false;
            end = ntk_space_box_end(b, b->reader[k], 1, &s->sweep[0]);
            s->out[0] = end;
            b->producer[end] = (int)(s - b->steps);
            break;
        }
    for (int k = d >= 0 ? b->first[d] : 0; d >= 0 && k < b->first[d + 1]; k++) {
        const struct ntk_node *r = node(b, b->reader[k]);

        if (r->op == NTK_OP_PRODUCT && r->n_in == 2 && r->in[0] != r->in[1] &&
            !sweep_product(b, &dual, &s, b->reader[k]))
            return false;
    }
    return true;
}

/* ---- tails: a dual and the sums of what is made of it, in one pass */

static bool is_sum(const struct ntk_space_builder *b, int v)
{
    return node(b, v)->op == NTK_OP_TRACE || node(b, v)->op == NTK_OP_TOTAL;
}

/* True if nothing but sums and sweeps reads v: then its plane need not be made. */
static bool is_passed_on(const struct ntk_space_builder *b, int v)
{
    for (int k = b->first[v]; k < b->first[v + 1]; k++) {
        const int r = b->reader[k];

        if (is_sum(b, r) || is_box(b, r))
            continue;
        if (node(b, r)->op != NTK_OP_MIX || b->first[r] == b->first[r + 1])
            return false;
        for (int j = b->first[r]; j < b->first[r + 1]; j++)
            if (!is_box(b, b->reader[j]))
                return false;
    }
    return true;
}

/* The tail of a dual's step, made if there is none; NULL: no memory. */
static struct ntk_space_step *tail_of(struct ntk_space_builder *b, int dual, int from)
{
    const struct ntk_space_step d = b->steps[dual];
    struct ntk_space_step *s;

    for (int k = from; k < b->n_steps; k++)
        if (b->steps[k].op == NTK_SPACE_TAIL && b->steps[k].node == d.node)
            return &b->steps[k];
    s = ntk_space_new_step(b, NTK_SPACE_TAIL, d.node, 1 + NTK_SWEEP_THETAS, 0);
    if (!s)
        return NULL;
    s->n_in = 1;
    s->in[0] = d.in[0];
    s->table = d.table;
    return s;
}

/* Which of a tail's sums is that of v: 0, f; the number of its theta; -1: no room. */
static int tail_place(const struct ntk_space_builder *b, const struct ntk_space_step *dual,
                      struct ntk_space_step *s, int v)
{
    const struct ntk_node *x = node(b, v);
    int theta, k = 1;

    if (v == dual->out[0])
        return 0;
    theta = x->in[x->in[0] == dual->out[1] ? 1 : 0];
    while (k < s->n_in && s->in[k] != theta)
        k++;
    if (k > NTK_SWEEP_THETAS)
        return -1;
    s->in[k] = theta;
    s->n_in = k == s->n_in ? k + 1 : s->n_in;
    return k;
}

bool ntk_space_tail(struct ntk_space_builder *b, int at, int from)
{
    const struct ntk_link *l = &b->s->links[b->steps[at].link];
    const struct ntk_node *x = node(b, l->from);
    const int v = x->op == NTK_OP_PRODUCT && x->n_in == 2 && x->in[0] != x->in[1]
                      ? x->in[node(b, x->in[0])->op == NTK_OP_DUAL_DOT ? 0 : 1]
                      : l->from;
    struct ntk_space_step *s;
    int place;

    if (!l->plain || (node(b, v)->op != NTK_OP_DUAL && node(b, v)->op != NTK_OP_DUAL_DOT) ||
        (v == l->from && node(b, v)->op == NTK_OP_DUAL_DOT) || !is_passed_on(b, l->from) ||
        (v != l->from && node(b, v)->op == NTK_OP_DUAL) || !ntk_dual_sweeps(node(b, v)->act->dual))
        return true;
    s = tail_of(b, b->producer[v], from);
    if (!s)
        return false;
    place = tail_place(b, &b->steps[b->producer[v]], s, l->from);
    if (place < 0 || s->tail[place].n == NTK_TAIL_LINKS)
        return true;
    s->tail[place].links[s->tail[place].n++] = b->steps[at].link;
    b->steps[at].op = NTK_SPACE_NOTHING;
    return true;
}
