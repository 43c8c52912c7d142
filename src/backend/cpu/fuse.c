/* SPDX-License-Identifier: MIT
 *
 * fuse.c - steps that do in one pass what the program has as several: sweeps and tails.
 */
#include "backend/cpu/cpu.h"

static const struct ntk_step *maker(const struct ntk_cpu_builder *b, int v) { return b->maker[v]; }

/* ---- sweeps: a dual and the convolutions of what is made of it, in one pass */

bool ntk_cpu_is_box3(const struct ntk_cpu_builder *b, int v)
{
    const struct ntk_step *x = maker(b, v);
    const struct ntk_window *w = x->run.window;
    const struct ntk_node *out = &b->g->nodes[v], *in = &b->g->nodes[x->in[0]];

    return x->run.id == NTK_DO_BOX && !w->wrap && w->size[0] == 3 && w->size[1] == 3 && w->stride[0] == 1 &&
           w->stride[1] == 1 && w->low[0] == 1 && w->low[1] == 1 && out->h == in->h && out->w == in->w;
}

static struct ntk_cpu_step *new_sweep(struct ntk_cpu_builder *b, const struct ntk_cpu_step *dual)
{
    struct ntk_cpu_step *s = ntk_cpu_new_step(b, NTK_CPU_SWEEP, &dual->s, 1 + NTK_SWEEP_THETAS,
                                              1 + NTK_SWEEP_THETAS);

    if (s)
        s->s.n_in = 1;
    return s;
}

/* One more output a box(mix f + d theta) + b; begins a sweep if the last is full. */
static bool sweep_theta(struct ntk_cpu_builder *b, const struct ntk_cpu_step *dual,
                        struct ntk_cpu_step **s, int theta, int conv, double mix, double factor)
{
    struct ntk_sweep_out *out;
    int end;

    if (!*s || (*s)->s.n_in == 1 + NTK_SWEEP_THETAS)
        *s = new_sweep(b, dual);
    if (!*s)
        return false;
    out = &(*s)->sweep[(*s)->s.n_in];
    end = ntk_cpu_box_end(b, conv, factor, out);
    out->mix = mix;
    (*s)->s.in[(*s)->s.n_in] = theta;
    (*s)->s.out[(*s)->s.n_in++] = end;
    b->producer[end] = (int)(*s - b->steps);
    return true;
}

/* All that becomes of d theta. */
static bool sweep_product(struct ntk_cpu_builder *b, const struct ntk_cpu_step *dual,
                          struct ntk_cpu_step **s, int product)
{
    const struct ntk_step *g = maker(b, product);
    const int theta = g->in[g->in[0] == dual->s.out[1] ? 1 : 0];

    for (int k = b->first[product]; k < b->first[product + 1]; k++) {
        const int r = b->reader[k];
        const struct ntk_step *m = maker(b, r);
        const int at = m->n_in == 2 && m->in[0] == product ? 0 : 1;

        if (ntk_cpu_is_box3(b, r)) {
            if (!sweep_theta(b, dual, s, theta, r, 0, 1))
                return false;
        } else if (m->run.id == NTK_DO_MIX && m->n_in == 2 && m->run.constant == 0 &&
                   m->in[1 - at] == dual->s.out[0] && m->run.coef[at] != 0) {
            for (int j = b->first[r]; j < b->first[r + 1]; j++)
                if (ntk_cpu_is_box3(b, b->reader[j]) &&
                    !sweep_theta(b, dual, s, theta, b->reader[j], m->run.coef[1 - at] / m->run.coef[at],
                                 m->run.coef[at]))
                    return false;
        }
    }
    return true;
}

bool ntk_cpu_sweeps(struct ntk_cpu_builder *b, int at)
{
    const struct ntk_cpu_step dual = b->steps[at];
    const int f = dual.s.out[0], d = dual.s.out[1];
    struct ntk_cpu_step *s = NULL;

    for (int k = f >= 0 ? b->first[f] : 0; f >= 0 && k < b->first[f + 1]; k++)
        if (ntk_cpu_is_box3(b, b->reader[k])) {
            int end;

            s = new_sweep(b, &dual);
            if (!s)
                return false;
            end = ntk_cpu_box_end(b, b->reader[k], 1, &s->sweep[0]);
            s->s.out[0] = end;
            b->producer[end] = (int)(s - b->steps);
            break;
        }
    for (int k = d >= 0 ? b->first[d] : 0; d >= 0 && k < b->first[d + 1]; k++) {
        const struct ntk_step *r = maker(b, b->reader[k]);

        if (r->run.id == NTK_DO_PRODUCT && r->n_in == 2 && r->in[0] != r->in[1] &&
            !sweep_product(b, &dual, &s, b->reader[k]))
            return false;
    }
    return true;
}

/* ---- tails: a dual and the sums of what is made of it, in one pass */

/* True if nothing but sums and sweeps reads v: then its plane need not be made. */
static bool is_passed_on(const struct ntk_cpu_builder *b, int v)
{
    for (int k = b->first[v]; k < b->first[v + 1]; k++) {
        const int r = b->reader[k];
        const struct ntk_step *x = maker(b, r);

        if ((x->link >= 0 && b->p->links[x->link].sum) || ntk_cpu_is_box3(b, r))
            continue;
        if (x->run.id != NTK_DO_MIX || b->first[r] == b->first[r + 1])
            return false;
        for (int j = b->first[r]; j < b->first[r + 1]; j++)
            if (!ntk_cpu_is_box3(b, b->reader[j]))
                return false;
    }
    return true;
}

/* The tail of a dual's step, made if there is none; NULL: no memory. */
static struct ntk_cpu_step *tail_of(struct ntk_cpu_builder *b, int dual, int from)
{
    const struct ntk_cpu_step d = b->steps[dual];
    struct ntk_cpu_step *s;

    for (int k = from; k < b->n_steps; k++)
        if (b->steps[k].kind == NTK_CPU_TAIL && b->steps[k].s.node == d.s.node)
            return &b->steps[k];
    s = ntk_cpu_new_step(b, NTK_CPU_TAIL, &d.s, 1 + NTK_SWEEP_THETAS, 0);
    if (s)
        s->s.n_in = 1;
    return s;
}

/* Which of a tail's sums is that of v: 0, f; the number of its theta; -1: no room. */
static int tail_place(const struct ntk_cpu_builder *b, const struct ntk_step *dual, struct ntk_step *s, int v)
{
    const struct ntk_step *x = maker(b, v);
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

/* The moment that a sum is of: E[f f] itself, or E[f' f'] in a product with something else; -1: neither. */
static int moment_of(const struct ntk_cpu_builder *b, int v)
{
    const struct ntk_step *x = maker(b, v);

    if (x->run.id == NTK_DO_DUAL)
        return x->out[0] == v ? v : -1;
    if (x->run.id != NTK_DO_PRODUCT || x->n_in != 2 || x->in[0] == x->in[1])
        return -1;
    for (int k = 0; k < 2; k++) {
        const struct ntk_step *d = maker(b, x->in[k]);

        if (d->run.id == NTK_DO_DUAL && d->out[1] == x->in[k])
            return x->in[k];
    }
    return -1;
}

bool ntk_cpu_tail(struct ntk_cpu_builder *b, int at, int from)
{
    const int link = b->steps[at].s.link, v = b->p->links[link].from, moment = moment_of(b, v);
    struct ntk_cpu_step *s;
    int place;

    if (!b->p->links[link].plain || moment < 0 || !is_passed_on(b, v) ||
        !ntk_dual_sweeps(maker(b, moment)->run.act, maker(b, moment)->run.self))
        return true;
    s = tail_of(b, b->producer[moment], from);
    if (!s)
        return false;
    place = tail_place(b, &b->steps[b->producer[moment]].s, &s->s, v);
    if (place < 0 || s->tail[place].n == NTK_TAIL_LINKS)
        return true;
    s->tail[place].links[s->tail[place].n++] = link;
    b->steps[at].kind = NTK_CPU_NONE;
    return true;
}
