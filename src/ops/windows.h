/* SPDX-License-Identifier: MIT
 *
 * windows.h - what operations on windows of positions have in common.
 */
#ifndef NTK_WINDOWS_H
#define NTK_WINDOWS_H

#include "ops/op.h"

/* The windows along axis k of a node. */
struct ntk_link_axis ntk_window_axis(const struct ntk_window *w, const struct ntk_node *in, int k);
/* All positions along axis k, one by one. */
struct ntk_link_axis ntk_every_axis(const struct ntk_node *in, int k);
/* "3 x 3, stride 2 x 2" */
void ntk_window_print(const struct ntk_window *w, struct ntk_text *text);

#endif
