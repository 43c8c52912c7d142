/* SPDX-License-Identifier: MIT
 *
 * windows.c - see windows.h.
 */
#include "ops/windows.h"

struct ntk_link_axis ntk_window_axis(const struct ntk_window *w, const struct ntk_node *in, int k)
{
    return (struct ntk_link_axis){.window = ntk_window_along(w, k, k ? in->w : in->h),
                                  .n_out = w->out[k],
                                  .true_count = w->true_count};
}

struct ntk_link_axis ntk_every_axis(const struct ntk_node *in, int k)
{
    const int n = k ? in->w : in->h;

    return (struct ntk_link_axis){.window = {.n = n, .size = 1, .stride = 1}, .n_out = n};
}

void ntk_window_print(const struct ntk_window *w, struct ntk_text *text)
{
    ntk_text_add(text, "%d x %d", w->size[0], w->size[1]);
    if (w->stride[0] != 1 || w->stride[1] != 1)
        ntk_text_add(text, ", stride %d x %d", w->stride[0], w->stride[1]);
    if (w->wrap)
        ntk_text_add(text, ", around");
}
