/* SPDX-License-Identifier: MIT
 *
 * operator.c - the tangent kernel of a finite network as an operator: products, by a pass backwards and one forwards.
 */
#include <stdlib.h>

#include "finite/finite.h"

struct of_network {
    struct ntk_operator base;
    const ntk_params *params;
    const ntk_data *x;
    void *v, *product; /* [n] of the network's type */
};

static ntk_status apply(struct ntk_operator *base, size_t k, int64_t m, const double *x, double *out)
{
    const struct of_network *o = (const struct of_network *)base;
    const size_t n = (size_t)base->n;

    (void)k; /* there is one */
    for (size_t c = 0; c < (size_t)m; c++) {
        for (size_t i = 0; i < n; i++)
            ntk_store(o->v, base->dtype, i, x[c * n + i]);
        NTK_TRY(ntk_params_ntk_product(o->params, o->x, NULL, o->v, o->product));
        for (size_t i = 0; i < n; i++)
            out[c * n + i] = ntk_number(o->product, base->dtype, i);
    }
    return NTK_OK;
}

static void close(struct ntk_operator *base)
{
    struct of_network *o = (struct of_network *)base;

    free(o->v);
    free(o->product);
    free(o);
}

static const struct ntk_operator_class class = {
    .name = "a finite network's tangent kernel", .apply = apply, .close = close};

ntk_status ntk_operator_of_params(const ntk_params *params, const ntk_data *x, struct ntk_operator **o)
{
    const int64_t n = ntk_data_n(x) * ntk_params_outputs(params);
    struct of_network *own;

    NTK_TRY(ntk_params_check(params, x));
    own = ntk_alloc_zero(params->ctx, 1, sizeof *own);
    if (!own)
        return NTK_ENOMEM;
    own->base = (struct ntk_operator){.class = &class,
                                      .ctx = params->ctx,
                                      .n = n,
                                      .count = 1,
                                      .dtype = params->dtype,
                                      .precision = params->dtype};
    own->params = params;
    own->x = x;
    own->v = ntk_alloc(params->ctx, (size_t)n, params->dtype);
    own->product = ntk_alloc(params->ctx, (size_t)n, params->dtype);
    if (!own->v || !own->product) {
        close(&own->base);
        return NTK_ENOMEM;
    }
    *o = &own->base;
    return NTK_OK;
}
