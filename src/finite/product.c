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

ntk_status ntk_params_lambda_max(const ntk_params *params, const ntk_data *x, double *lambda)
{
    struct ntk_operator *kernel;
    struct ntk_blas blas;
    double largest;
    ntk_status status;

    NTK_TRY(ntk_operator_of_params(params, x, &kernel));
    blas = ntk_blas_begin(params->ctx->threads);
    status = ntk_operator_largest(kernel, 0, &largest);
    ntk_blas_end(blas);
    ntk_operator_free(kernel);
    NTK_TRY(status);
    *lambda = largest;
    return NTK_OK;
}
