/* SPDX-License-Identifier: MIT
 *
 * packed.h - the matrices of an operator in memory, half of each (rfp.h).
 */
#ifndef NTK_PACKED_H
#define NTK_PACKED_H

#include "store/operator.h"
#include "store/rfp.h"

/* Room for `count` matrices of order n, for their takers to fill. */
ntk_status ntk_operator_of_packed(ntk_ctx *ctx, int64_t n, size_t count, ntk_dtype precision,
                                  struct ntk_operator **o);
struct ntk_rfp *ntk_packed_matrix(struct ntk_operator *packed, size_t k);
struct ntk_taker ntk_packed_taker(struct ntk_operator *packed, size_t k);

#endif
