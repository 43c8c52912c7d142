/* SPDX-License-Identifier: MIT
 *
 * product.c - the tangent kernel of a finite network without the matrix.
 */
#include <stdlib.h>

#include "finite/finite.h"
#include "solve/ritz.h"

ntk_status ntk_params_ntk_product(const ntk_params *params, const ntk_data *x1, const ntk_data *x2,
                                  const void *v, void *out)
{
    const size_t bytes = (size_t)params->tape.n_params * params->dtype;
    void *gradient;
    ntk_status status;

    NTK_TRY(ntk_ctx_hold(params->ctx, bytes, "a gradient"));
    gradient = ntk_alloc(params->ctx, bytes, 1);
    status = gradient ? NTK_OK : NTK_ENOMEM;

    if (status == NTK_OK)
        status = ntk_params_vjp(params, x2 ? x2 : x1, v, gradient);
    if (status == NTK_OK)
        status = ntk_params_jvp(params, x1, gradient, NULL, out);
    ntk_ctx_release(params->ctx, bytes);
    free(gradient);
    return status;
}

struct product {
    const ntk_params *p;
    const ntk_data *x;
    int64_t n;
    void *v, *out; /* of the network's type */
};

static ntk_status apply_product(double *x, void *user)
{
    const struct product *o = user;
    const struct ntk_data out = {.x = o->out, .dtype = o->p->dtype};

    for (int64_t i = 0; i < o->n; i++)
        ntk_store(o->v, o->p->dtype, (size_t)i, x[i]);
    NTK_TRY(ntk_params_ntk_product(o->p, o->x, NULL, o->v, o->out));
    for (int64_t i = 0; i < o->n; i++)
        x[i] = ntk_data_get(&out, (size_t)i);
    return NTK_OK;
}

ntk_status ntk_params_lambda_max(const ntk_params *params, const ntk_data *x, double *lambda)
{
    struct product o = {.p = params, .x = x, .n = ntk_data_n(x) * ntk_params_outputs(params)};
    double largest = 0;
    ntk_status status = NTK_ENOMEM;

    NTK_TRY(ntk_params_check(params, x));
    o.v = ntk_alloc(params->ctx, (size_t)o.n, params->dtype);
    o.out = ntk_alloc(params->ctx, (size_t)o.n, params->dtype);
    if (o.v && o.out) {
        const struct ntk_blas blas = ntk_blas_begin(params->ctx->threads);

        status = ntk_lanczos_largest(params->ctx, o.n, apply_product, &o, &largest);
        ntk_blas_end(blas);
    }
    free(o.v);
    free(o.out);
    NTK_TRY(status);
    *lambda = largest;
    return NTK_OK;
}
