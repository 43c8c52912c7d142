/* SPDX-License-Identifier: MIT
 *
 * flow_closed.c - gradient flow on the squared loss in closed form: a model of the given kernel matrix (matrix.c).
 * With blocks outputs of samples are what samples are without: n c rows of one column.
 */
#include "predict/flow.h"

#include <stdlib.h>

#include "predict/model.h"

/* Entries that were computed in float32 and are handed over in float64 make eigenvalues of rounding error, which are
 * learned. */
static void hint_dtype(const struct ntk_flow_problem *p, const ntk_model *m, int64_t nulls)
{
    const struct ntk_spectral_scale single = ntk_spectral_scale(m->n, NTK_F32, 0, m->solution->values);
    const int64_t of_single = ntk_spectral_nulls(&single, m->n, m->solution->values);

    if (p->opts->dtype == NTK_F64 && of_single > nulls && ntk_all_single(p->k[0], m->n * m->n))
        ntk_log(p->ctx, 1,
                "entries of k_train all are float32 numbers, whose rounding errors (%.1e) are above %lld more of its "
                "eigenvalues: if they were computed so, dtype is to be NTK_F32",
                single.floor, (long long)(of_single - nulls));
}

static ntk_status follow(const struct ntk_flow_problem *p, const ntk_model *m, double *times)
{
    const int64_t per = p->opts->blocks ? p->c : 1;
    ntk_test_matrices test;

    for (size_t k = 0; k < p->n_times; k++)
        times[k] = p->times[k] * p->scale;
    if (p->f[0])
        NTK_TRY(ntk_model_predict_matrix(m, NULL, times, p->n_times, p->f0[0], NULL, p->f[0], NULL));
    if (!p->f[1] || !p->m)
        return NTK_OK;
    ntk_test_matrices_init(&test);
    test.m = p->m * per;
    test.k = p->k[1];
    return ntk_model_predict_matrix(m, &test, times, p->n_times, p->f0[0], p->f0[1], p->f[1], NULL);
}

ntk_status ntk_flow_closed(const struct ntk_flow_problem *p, int64_t *null_directions)
{
    const int64_t per = p->opts->blocks ? p->c : 1;
    double *times = ntk_alloc(p->ctx, p->n_times, sizeof *times);
    ntk_fit_opts o;
    ntk_model *m;
    ntk_status status;

    if (!times)
        return NTK_ENOMEM;
    ntk_fit_opts_init(&o);
    o.finite_time = 1;
    o.dtype = p->opts->dtype;
    status = ntk_model_fit_matrix(p->ctx, p->n * per, p->k[0], NULL, p->y, p->c / per, &o, &m);
    if (status == NTK_OK) {
        *null_directions = ntk_model_nulls(m);
        hint_dtype(p, m, *null_directions);
        status = follow(p, m, times);
        ntk_model_free(m);
    }
    free(times);
    return status;
}
