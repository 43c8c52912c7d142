/* SPDX-License-Identifier: MIT
 *
 * weights.c - samples' weights and noise: K + diag(r_i / w_i) with r_i what diag_reg adds and sample i's noise, so that a
 * weight of 2 is what two equal samples are (Rasmussen and Williams 2006, 2.3: the mean of two has half the noise).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/model.h"

#define TOLERANCE_MOST 0.1

ntk_status ntk_fit_opts_check(ntk_ctx *ctx, const ntk_fit_opts *o, int64_t n)
{
    enum ntk_entries entries;
    double largest;

    if (o->diag_reg != NTK_DIAG_REG_AUTO && (!(o->diag_reg >= 0) || isinf(o->diag_reg)))
        return ntk_fail(ctx, NTK_EINVAL, "diag_reg must be >= 0, or NTK_DIAG_REG_AUTO, got %g", o->diag_reg);
    if (n < 1 || n > NTK_SAMPLES_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "there must be 1 to %d samples, got %lld", NTK_SAMPLES_MAX, (long long)n);
    if (!(o->tolerance >= 0 && o->tolerance <= TOLERANCE_MOST))
        return ntk_fail(ctx, NTK_EINVAL, "tolerance must be above 0 to %g, or 0: the solver's own, got %g", TOLERANCE_MOST,
                        o->tolerance);
    if (o->rank < 0)
        return ntk_fail(ctx, NTK_EINVAL, "rank must be >= 0, got %lld", (long long)o->rank);
    if (o->triangle)
        NTK_TRY(ntk_entries_find(ctx, o->triangle, o->dtype, &entries));
    NTK_TRY(ntk_check_weights(ctx, o->weights, n, &largest));
    NTK_TRY(ntk_check_noise(ctx, o->noise, n));
    if (o->finite_time && (o->weights || o->noise))
        return ntk_fail(ctx, NTK_EINVAL,
                        "weights and noise belong to t = infinity: at finite times what is added to the diagonal must be "
                        "the same for all samples");
    return NTK_OK;
}

/* Of samples that are not left out. */
static ntk_status numbers(const ntk_model *m, const double *from, double **to)
{
    *to = from ? ntk_alloc(m->ctx, (size_t)m->n, sizeof **to) : NULL;
    for (int64_t i = 0; *to && i < m->n; i++)
        (*to)[i] = from[m->rows ? m->rows[i] : i];
    return from && !*to ? NTK_ENOMEM : NTK_OK;
}

static ntk_status leave_out(ntk_model *m, const double *weights, int64_t n)
{
    int64_t *rows = ntk_alloc(m->ctx, (size_t)n, sizeof *rows), k = 0;

    if (!rows)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < m->n_all; i++)
        if (weights[i] > 0)
            rows[k++] = i;
    m->rows = rows;
    m->n = n;
    if (!m->x)
        return ntk_fail(m->ctx, NTK_EINVAL, "weights of 0 need samples: leave the rows out of the given matrix");
    NTK_TRY(ntk_data_select(m->all, rows, n, &m->owned_x));
    m->x = m->owned_x;
    return NTK_OK;
}

/* The same samples of weight 0 as before. */
static ntk_status check_left_out(const ntk_model *m, const double *weights)
{
    int64_t k = 0;

    for (int64_t i = 0; i < m->n_all; i++) {
        const bool before = m->rows && (k == m->n || m->rows[k] != i), now = weights && weights[i] == 0;

        if (before != now)
            return ntk_fail(m->ctx, NTK_EINVAL,
                            "sample %lld %s left out by a weight of 0 before: fit a new model", (long long)i,
                            before ? "was" : "was not");
        k += !before;
    }
    return NTK_OK;
}

ntk_status ntk_model_weigh(ntk_model *m, const ntk_fit_opts *o)
{
    double *weights, *noise;
    int64_t n = 0;

    for (int64_t i = 0; o->weights && i < m->n_all; i++)
        n += o->weights[i] > 0;
    if (m->y)
        NTK_TRY(check_left_out(m, o->weights));
    else if (o->weights && n < m->n_all)
        NTK_TRY(leave_out(m, o->weights, n));
    NTK_TRY(numbers(m, o->weights, &weights));
    if (numbers(m, o->noise, &noise) != NTK_OK) {
        free(weights);
        return NTK_ENOMEM;
    }
    free(m->weights); /* both, or none */
    free(m->noise);
    m->weights = weights;
    m->noise = noise;
    return NTK_OK;
}

void ntk_model_diagonal(const ntk_model *m, double ridge, double *diagonal)
{
    const struct ntk_ridge r = ntk_model_ridge(m);

    ntk_ridge_diagonal(&r, m->n, ridge, diagonal);
}
