/* SPDX-License-Identifier: MIT
 *
 * fan_in.h - what the layers that join branches have in common.
 */
#ifndef NTK_FAN_IN_H
#define NTK_FAN_IN_H

#include "layers/layer.h"

/* Shape rule of elementwise joins: all branches alike. */
ntk_status ntk_fan_in_same_shape(const void *self, const struct ntk_where *at, int n_in,
                                 const ntk_shape *in, ntk_shape *out);
/* NTK_ETHEORY, naming the branches, if two of them depend on the same random weights. */
ntk_status ntk_fan_in_uncorrelated(const struct ntk_where *at, int n_in, const struct ntk_field *in);

#endif
