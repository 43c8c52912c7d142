/* SPDX-License-Identifier: MIT
 *
 * out_of_core.h - what tests set of the solver 'out-of-core'.
 */
#ifndef NTK_OUT_OF_CORE_H
#define NTK_OUT_OF_CORE_H

#include <stdint.h>

/* Columns of tiles that a panel has at most; 0 (the default): as many as memory holds. */
extern int64_t ntk_out_of_core_most;

#endif
