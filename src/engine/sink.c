/* SPDX-License-Identifier: MIT
 *
 * sink.c - storing blocks in a full matrix.
 */
#include "base/views.h"
#include "engine/run.h"

int ntk_memory_sink_write(const ntk_block *b, void *user)
{
    const struct ntk_memory_sink *sink = user;
    const struct ntk_view from = ntk_view_of(b, sink->dtype), to = {sink->out[b->output], sink->dtype, sink->n2};

    ntk_copy(b->ni, b->nj, from, ntk_view_at(to, b->i0, b->j0));
    if (sink->symmetric && b->i0 != b->j0)
        ntk_transpose(b->ni, b->nj, from, ntk_view_at(to, b->j0, b->i0));
    return 0;
}
