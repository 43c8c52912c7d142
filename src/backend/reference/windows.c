/* SPDX-License-Identifier: MIT
 *
 * windows.c - instructions that add up places of windows, by going through all of them. What a window covers is said
 * once more here, by steps around the edge: that of base/window.h is among what is judged.
 */
#include "backend/reference/reference.h"

/* The position that place a of window q covers; -1: none. */
static int covered(const struct ntk_link_axis *x, int q, int a)
{
    const struct ntk_window_axis *w = &x->window;
    int p = q * w->stride - w->low + a;

    while (w->wrap && p < 0)
        p += w->n;
    while (w->wrap && p >= w->n)
        p -= w->n;
    return p >= 0 && p < w->n ? p : -1;
}

static long double weight(const struct ntk_link_axis *x, int q)
{
    int inside = 0;

    for (int a = 0; a < x->window.size; a++)
        inside += covered(x, q, a) >= 0;
    return x->true_count ? 1.0L / inside : 1;
}

/* The number of the position that places a of windows q, by rows and columns, cover; -1: none. */
static int position(const struct ntk_link_axis x[2], const int q[2], const int a[2])
{
    const int i = covered(&x[0], q[0], a[0]), j = covered(&x[1], q[1], a[1]);

    return i < 0 || j < 0 ? -1 : i * x[1].window.n + j;
}

/* Sum over places a of windows q and b of windows q2, one and the same place on axes where they go together. */
static long double places(const struct ntk_link_axis x[2], const int q[2], const int q2[2], const long double *in)
{
    long double sum = 0;
    int a[2], b[2];

    for (a[0] = 0; a[0] < x[0].window.size; a[0]++)
        for (a[1] = 0; a[1] < x[1].window.size; a[1]++)
            for (b[0] = 0; b[0] < x[0].window.size; b[0]++)
                for (b[1] = 0; b[1] < x[1].window.size; b[1]++) {
                    const int p = position(x, q, a), p2 = position(x, q2, b);
                    const bool apart = (x[0].together && a[0] != b[0]) || (x[1].together && a[1] != b[1]);

                    if (p >= 0 && p2 >= 0 && !apart)
                        sum += in[p * x[0].window.n * x[1].window.n + p2];
                }
    return sum * weight(&x[0], q[0]) * weight(&x[1], q[1]) * weight(&x[0], q2[0]) * weight(&x[1], q2[1]);
}

/* sum: all windows' sums are one number. */
static void all_windows(const struct ntk_link_axis x[2], long double scale, bool sum, const long double *in,
                        long double *out)
{
    const int n = x[0].n_out * x[1].n_out;

    for (int e = 0; e < n * n; e++) {
        const int q[] = {e / n / x[1].n_out, e / n % x[1].n_out}, q2[] = {e % n / x[1].n_out, e % n % x[1].n_out};

        if (e == 0 || !sum)
            out[e] = 0;
        if ((q[0] == q2[0] || !x[0].only_trace) && (q[1] == q2[1] || !x[1].only_trace))
            out[sum ? 0 : e] += scale * places(x, q, q2, in);
    }
}

void ntk_reference_LINK(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    const struct ntk_graph *g = x->c->p->graph;
    const struct ntk_link_axis axes[] = {n->v->op->axis(g, n->v, 0), n->v->op->axis(g, n->v, 1)};

    all_windows(axes, n->run.scale, n->v->place == NTK_SUMS, ntk_reference_table(x, n->v->in[0]),
                ntk_reference_table(x, n->node));
}

void ntk_reference_BOX(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    const struct ntk_node *from = ntk_node_in(x->c->p->graph, n->v, 0);
    const struct ntk_window *w = n->run.window;
    struct ntk_link_axis axes[2];

    for (int k = 0; k < 2; k++)
        axes[k] = (struct ntk_link_axis){
            .window = ntk_window_along(w, k, k ? from->w : from->h), .n_out = w->out[k], .together = true};
    all_windows(axes, n->run.scale, false, ntk_reference_table(x, n->v->in[0]), ntk_reference_table(x, n->node));
}
