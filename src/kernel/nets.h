/* SPDX-License-Identifier: MIT
 *
 * nets.h - from nets to the graph of the kernels that are wanted of them.
 */
#ifndef NTK_KERNEL_NETS_H
#define NTK_KERNEL_NETS_H

#include "ops/graph.h"

#define NTK_NETS_MAX 64

/* Adds all nets to one graph, so that they share what is equal. outputs, of at least 2 NTK_NETS_MAX: nodes in the
 * order of the kernel's matrices, *n of them. NTK_EINVAL for a number of nets, or a `want`, that ntk_kernel_new does
 * not take. */
ntk_status ntk_nets_lower(const ntk_net *const *nets, size_t n_nets, unsigned want, ntk_shape shape,
                          struct ntk_graph *g, int *outputs, int *n);

#endif
