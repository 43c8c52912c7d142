/* SPDX-License-Identifier: MIT
 *
 * of_ranks.h - a kernel's matrices whose entries no rank has all of (base/ranks.h): products with vectors, which are on all
 * ranks, and some rows.
 */
#ifndef NTK_OF_RANKS_H
#define NTK_OF_RANKS_H

#include "store/operator.h"

/* Collective, as all of its faces. alone: the same kernel's of one process, which it owns from then on. */
ntk_status ntk_operator_of_ranks(ntk_kernel *kernel, const ntk_data *x, struct ntk_operator *alone, struct ntk_operator **o);
/* Whether an operator is such, and of what. */
bool ntk_operator_is_shared(const struct ntk_operator *o, const ntk_kernel **kernel, const ntk_data **x);

#endif
