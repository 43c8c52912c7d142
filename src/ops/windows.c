/* SPDX-License-Identifier: MIT
 *
 * windows.c - see windows.h.
 */
#include "ops/windows.h"

struct ntk_link_axis ntk_window_axis(const struct ntk_window *w, const struct ntk_node *in, int k)
{
    return (struct ntk_link_axis){.n = k ? in->w : in->h,
                                  .n_out = w->out[k],
                                  .size = w->size[k],
                                  .stride = w->stride[k],
                                  .low = w->low[k],
                                  .wrap = w->wrap,
                                  .true_count = w->true_count};
}

struct ntk_link_axis ntk_every_axis(const struct ntk_node *in, int k)
{
    const int n = k ? in->w : in->h;

    return (struct ntk_link_axis){.n = n, .n_out = n, .size = 1, .stride = 1};
}

void ntk_window_print(const struct ntk_window *w, struct ntk_text *text)
{
    ntk_text_add(text, "%d x %d", w->size[0], w->size[1]);
    if (w->stride[0] != 1 || w->stride[1] != 1)
        ntk_text_add(text, ", stride %d x %d", w->stride[0], w->stride[1]);
    if (w->wrap)
        ntk_text_add(text, ", around");
}
