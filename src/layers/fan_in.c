/* SPDX-License-Identifier: MIT
 *
 * fan_in.c - what the layers that join branches have in common.
 */
#include "layers/fan_in.h"

ntk_status ntk_fan_in_same_shape(const void *self, const struct ntk_where *at, int n_in,
                                 const ntk_shape *in, ntk_shape *out)
{
    char a[64], b[64];

    (void)self;
    for (int i = 1; i < n_in; i++)
        if (in[i].spatial != in[0].spatial || in[i].h != in[0].h || in[i].w != in[0].w ||
            in[i].c != in[0].c)
            return ntk_fail_at(at, NTK_ESHAPE, "branches 1 and %d have different shapes: %s and %s",
                               i + 1, ntk_shape_text(in[0], a), ntk_shape_text(in[i], b));
    *out = in[0];
    return NTK_OK;
}

ntk_status ntk_fan_in_uncorrelated(const struct ntk_where *at, int n_in, const struct ntk_field *in)
{
    for (int i = 0; i < n_in; i++)
        for (int j = i + 1; j < n_in; j++)
            if (ntk_fields_correlated(&in[i], &in[j]))
                return ntk_fail_at(at, NTK_ETHEORY,
                                   "parallel branches %d and %d carry the same random field: their "
                                   "cross-covariance is not zero; put a Dense or Conv into one",
                                   i + 1, j + 1);
    return NTK_OK;
}
