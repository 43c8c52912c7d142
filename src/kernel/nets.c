/* SPDX-License-Identifier: MIT
 *
 * nets.c - see nets.h.
 */
#include "kernel/nets.h"
#include "language/net.h"

/* A node that is one number a pair: an image of one position counts as a vector. */
static int output(struct ntk_graph *g, int v)
{
    if (v != NTK_ZERO && g->status == NTK_OK && g->nodes[v].plane)
        v = ntk_graph_trace(g, v, 1);
    return ntk_graph_materialise(g, v);
}

static ntk_status check(ntk_ctx *ctx, size_t n_nets, unsigned want)
{
    if (n_nets < 1 || n_nets > NTK_NETS_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "1 to %d nets at once, got %zu", NTK_NETS_MAX, n_nets);
    if (want == 0 || want > (NTK_NNGP | NTK_NTK))
        return ntk_fail(ctx, NTK_EINVAL, "want must be NTK_NNGP, NTK_NTK or both, got %u", want);
    return NTK_OK;
}

ntk_status ntk_nets_lower(const ntk_net *const *nets, size_t n_nets, unsigned want, ntk_shape shape,
                          struct ntk_graph *g, int *outputs, int *n)
{
    NTK_TRY(check(g->ctx, n_nets, want));
    for (size_t k = 0; k < n_nets; k++) {
        g->planes = g->planes || (shape.spatial > 0 && ntk_net_uses_positions(nets[k]));
        g->cyclic = g->cyclic || ntk_net_wraps(nets[k]);
    }
    g->h = (int)shape.h;
    g->w = (int)shape.w;
    ntk_graph_input(g);
    *n = 0;
    for (size_t k = 0; k < n_nets; k++) {
        struct ntk_field out;
        char text[64];

        NTK_TRY(ntk_net_lower(nets[k], shape, g, &out));
        if (ntk_positions(out.shape) > 1)
            return ntk_fail(g->ctx, NTK_ETHEORY,
                            "the net's output still has positions (%s): end with Flatten() or "
                            "GlobalAvgPool()",
                            ntk_shape_text(out.shape, text));
        if (want & NTK_NNGP)
            outputs[(*n)++] = output(g, out.sigma);
        if (want & NTK_NTK)
            outputs[(*n)++] = output(g, out.theta);
    }
    return g->status;
}
