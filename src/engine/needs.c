/* SPDX-License-Identifier: MIT
 *
 * needs.c - which offsets of which nodes are needed, backwards from what is wanted.
 */
#include <string.h>

#include "engine/compile.h"

static const struct ntk_node *node(const struct ntk_program *p, int v) { return &p->graph->nodes[v]; }

static size_t grid(const struct ntk_graph *g, int h, int w)
{
    return (size_t)ntk_offsets(g, h) * (size_t)ntk_offsets(g, w);
}

static unsigned char *needed(struct ntk_program *p, int v)
{
    if (!p->needed[v])
        p->needed[v] = ntk_arena_alloc(&p->arena, grid(p->graph, node(p, v)->h, node(p, v)->w), 1);
    return p->needed[v];
}

static unsigned char *at_offset(const struct ntk_graph *g, unsigned char *need, int h, int w, int di, int dj)
{
    return &need[ntk_offset_index(g, h, di) * ntk_offsets(g, w) + ntk_offset_index(g, w, dj)];
}

/* What a link reads: offsets that lead to a wanted one. */
static bool need_of_link(struct ntk_program *p, const struct ntk_link *l, unsigned char *from)
{
    const struct ntk_graph *g = p->graph;
    const struct ntk_node *in = node(p, l->from), *to = node(p, l->to);
    const int rows = ntk_offsets(g, in->h), columns = ntk_offsets(g, in->w), to_columns = ntk_offsets(g, to->w);
    const unsigned char *target = l->sum ? NULL : needed(p, l->to);

    if (!l->sum && !target)
        return false;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            bool wanted = l->sum && l->dim[0].weights[i] && l->dim[1].weights[j];

            for (int a = 0; !wanted && !l->sum && a < l->dim[0].n_groups[i]; a++)
                for (int c = 0; !wanted && c < l->dim[1].n_groups[j]; c++)
                    wanted = target[l->dim[0].groups[i][a].offset * to_columns + l->dim[1].groups[j][c].offset];
            if (wanted)
                from[i * columns + j] = 1;
        }
    return true;
}

/* Offsets `need` on a grid of h x w positions are needed: those of another with `stride` times them are. */
static void carry_over(const struct ntk_graph *g, int h, int w, const unsigned char *need, const int stride[2],
                       int to_h, int to_w, unsigned char *to)
{
    const int rows = ntk_offsets(g, h), columns = ntk_offsets(g, w);

    if (stride[0] == 1 && stride[1] == 1 && h == to_h && w == to_w) {
        for (int i = 0; i < rows * columns; i++)
            to[i] |= need[i];
        return;
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            if (need[i * columns + j])
                *at_offset(g, to, to_h, to_w, stride[0] * ntk_offset_at(g, h, i),
                           stride[1] * ntk_offset_at(g, w, j)) = 1;
}

static void need_of_operand(const struct ntk_graph *g, const struct ntk_node *to, const unsigned char *need,
                            const struct ntk_node *in, unsigned char *from)
{
    const int stride[] = {to->stride[0] / in->stride[0], to->stride[1] / in->stride[1]};

    carry_over(g, to->h, to->w, need, stride, in->h, in->w, from);
}

static bool step_needs(struct ntk_program *p, const struct ntk_step *s)
{
    for (int k = 0; k < s->n_in; k++) {
        unsigned char *from = needed(p, s->in[k]);

        if (!from || (s->link >= 0 && !need_of_link(p, &p->links[s->link], from)))
            return false;
        for (int o = 0; o < s->n_out; o++)
            if (s->out[o] >= 0 && p->needed[s->out[o]])
                need_of_operand(p->graph, node(p, s->out[o]), p->needed[s->out[o]], node(p, s->in[k]), from);
    }
    return true;
}

/* Planes of a frame that nodes need. */
static void frame_needs(struct ntk_program *p, int v)
{
    const struct ntk_node *x = node(p, v);
    const struct ntk_frame *f = &p->frames[x->frame];

    carry_over(p->graph, x->h, x->w, p->needed[v], x->stride, f->h, f->w, f->needed);
}

/* Entries of the planes of a node that are needed. */
static double entries_of(const struct ntk_program *p, int v)
{
    const struct ntk_node *x = node(p, v);
    const int rows = ntk_offsets(p->graph, x->h), columns = ntk_offsets(p->graph, x->w);
    double sum = 0;

    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            if (p->needed[v][i * columns + j])
                sum += (double)ntk_plane_size(p->graph, x->h, ntk_offset_at(p->graph, x->h, i)) *
                       ntk_plane_size(p->graph, x->w, ntk_offset_at(p->graph, x->w, j));
    return sum;
}

static void measure(struct ntk_program *p)
{
    int offsets = 0;

    for (int k = 0; k < p->points; k++) {
        const struct ntk_frame *f = &p->frames[k];

        for (size_t i = 0; i < grid(p->graph, f->h, f->w); i++)
            offsets += f->needed[i];
        for (int i = 0; i < f->n_steps; i++)
            if (f->steps[i].op->setup)
                p->entries += entries_of(p, f->steps[i].in[0]);
    }
    p->single = offsets == 1;
}

bool ntk_node_offset(const struct ntk_program *p, int v, const int d[2], int offset[2])
{
    const struct ntk_node *x = node(p, v);
    const int n[] = {x->h, x->w};

    if (!p->needed[v])
        return false;
    for (int k = 0; k < 2; k++) {
        offset[k] = d[k];
        if (x->stride[k] > 1) { /* divisions are slow, and this is asked for every step of a plane */
            if (d[k] % x->stride[k])
                return false;
            offset[k] /= x->stride[k];
        }
        if (!p->graph->cyclic && (offset[k] >= n[k] || -offset[k] >= n[k]))
            return false;
    }
    return *at_offset(p->graph, p->needed[v], x->h, x->w, offset[0], offset[1]);
}

/* Most nodes of a frame are needed at the same offsets. One table of them all stays in the cache, where every step of every
 * plane looks. */
static void share_tables(const struct ntk_program *p)
{
    for (int v = 1; v < p->graph->n; v++) {
        const struct ntk_node *x = node(p, v);

        for (int u = 0; p->needed[v] && u < v; u++)
            if (p->needed[u] && node(p, u)->h == x->h && node(p, u)->w == x->w &&
                memcmp(p->needed[u], p->needed[v], grid(p->graph, x->h, x->w)) == 0) {
                p->needed[v] = p->needed[u];
                break;
            }
    }
}

/* Frames from the last level to the first: links lead upwards, and the steps of a frame are in order. */
bool ntk_program_needs(struct ntk_program *p)
{
    int most = 0;

    for (int e = 0; p->wanted >= 0 && e < p->frames[p->wanted].n_entries; e++) {
        const int v = p->frames[p->wanted].entries[e];

        if (!needed(p, v))
            return false;
        *at_offset(p->graph, p->needed[v], node(p, v)->h, node(p, v)->w, 0, 0) = 1;
    }
    for (int k = 0; k < p->points; k++) {
        p->frames[k].needed = ntk_arena_alloc(&p->arena, grid(p->graph, p->frames[k].h, p->frames[k].w), 1);
        if (!p->frames[k].needed)
            return false;
        most = p->frames[k].level > most ? p->frames[k].level : most;
    }
    for (int level = most; level >= 0; level--)
        for (int k = 0; k < p->points; k++)
            for (int i = p->frames[k].n_steps - 1; p->frames[k].level == level && i >= 0; i--)
                if (!step_needs(p, &p->frames[k].steps[i]))
                    return false;
    for (int v = 0; v < p->graph->n; v++)
        if (p->needed[v])
            frame_needs(p, v);
    measure(p);
    share_tables(p);
    return true;
}
