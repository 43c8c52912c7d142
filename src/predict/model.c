/* SPDX-License-Identifier: MIT
 *
 * model.c - models as objects: made, freed, asked for what they are.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sized.h"
#include "kernel/kernel.h"
#include "predict/landmarks.h"
#include "predict/model.h"

ntk_status ntk_model_start(ntk_model *m)
{
    const bool nngp = m->opts.posterior == NTK_POSTERIOR_NNGP;
    const ntk_net *net = m->net;

    m->prepared = ntk_alloc_zero(m->ctx, 1, sizeof *m->prepared);
    m->solution = ntk_alloc_zero(m->ctx, 1, sizeof *m->solution);
    if (!m->prepared || !m->solution)
        return NTK_ENOMEM;
    m->solution->diag_reg = m->opts.diag_reg;
    m->solution->absolute = m->opts.diag_reg_absolute;
    if (!net)
        return NTK_OK;
    NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, nngp ? NTK_NNGP : NTK_NTK, m->opts.dtype, m->x->shape,
                           &m->mean));
    if (ntk_model_ensemble(&m->opts))
        NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, NTK_NNGP | NTK_NTK, m->opts.dtype, m->x->shape,
                               &m->both));
    return NTK_OK;
}

ntk_status ntk_model_check_targets(ntk_ctx *ctx, int64_t n, const double *y, int64_t outputs)
{
    if (outputs < 1)
        return ntk_fail(ctx, NTK_EINVAL, "outputs must be at least 1, got %lld", (long long)outputs);
    for (int64_t i = 0; i < n * outputs; i++)
        if (!isfinite(y[i]))
            return ntk_fail(ctx, NTK_EINVAL, "target of sample %lld, output %lld is %g, not finite",
                            (long long)(i / outputs), (long long)(i % outputs), y[i]);
    return NTK_OK;
}

ntk_status ntk_model_set_targets(ntk_model *m, const double *y, int64_t outputs)
{
    double *columns, *alpha;

    columns = ntk_alloc(m->ctx, (size_t)(m->n * outputs), sizeof *columns);
    alpha = ntk_alloc(m->ctx, (size_t)(m->n * outputs), sizeof *alpha);
    if (!columns || !alpha) {
        free(columns);
        free(alpha);
        return NTK_ENOMEM;
    }
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t k = 0; k < outputs; k++)
            columns[k * m->n + i] = y[(m->rows ? m->rows[i] : i) * outputs + k];
    free(m->y);
    free(m->alpha);
    free(m->units);
    m->units = NULL;
    m->y = columns;
    m->alpha = alpha;
    m->outputs = outputs;
    if (!ntk_schema_fits(m->schema, 0, outputs)) /* features stay */
        ntk_model_set_schema(m, NULL); /* it named the targets before */
    return NTK_OK;
}

static ntk_status copy_net(ntk_model *m, const ntk_net *net)
{
    char *text;
    ntk_status status;

    NTK_TRY(ntk_net_print(net, &text));
    status = ntk_net_parse(m->ctx, text, &m->net);
    ntk_text_free(text);
    return status;
}

static ntk_status fill(ntk_model *m, const ntk_net *net, const double *y, int64_t outputs, const ntk_fit_opts *opts)
{
    if (net)
        NTK_TRY(copy_net(m, net));
    if (opts->store && !(m->store = ntk_strdup(m->ctx, opts->store)))
        return NTK_ENOMEM;
    if (opts->scratch && !(m->scratch = ntk_strdup(m->ctx, opts->scratch)))
        return NTK_ENOMEM;
    if (opts->checkpoint && !(m->checkpoint = ntk_strdup(m->ctx, opts->checkpoint)))
        return NTK_ENOMEM;
    if (m->store)
        m->opts.keep = 0; /* it is read again from there */
    NTK_TRY(ntk_model_check_targets(m->ctx, m->n_all, y, outputs));
    NTK_TRY(ntk_model_weigh(m, opts));
    NTK_TRY(ntk_model_set_targets(m, y, outputs));
    return ntk_model_start(m);
}

ntk_status ntk_model_new(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, const double *const k[2], int64_t n,
                         const double *y, int64_t outputs, const ntk_fit_opts *opts, ntk_model **model)
{
    ntk_model *m;
    ntk_status status;

    NTK_TRY(ntk_fit_opts_check(ctx, opts, n));
    m = ntk_alloc_zero(ctx, 1, sizeof *m);
    if (!m)
        return NTK_ENOMEM;
    m->ctx = ctx;
    m->opts = *opts;
    m->opts.weights = m->opts.noise = NULL;
    m->opts.store = m->opts.scratch = m->opts.checkpoint = NULL;
    m->x = m->all = x;
    m->k[0] = k ? k[0] : NULL;
    m->k[1] = k ? k[1] : NULL;
    m->n = m->n_all = n;
    m->targets = NTK_RAW;
    status = opts->diag_reg == NTK_DIAG_REG_AUTO ? ntk_model_check_left_out(m, "a ridge by leave-one-out") : NTK_OK;
    if (status == NTK_OK && ntk_model_by_landmarks(opts) && !(m->land = ntk_alloc_zero(ctx, 1, sizeof *m->land)))
        status = NTK_ENOMEM;
    if (status == NTK_OK)
        status = fill(m, net, y, outputs, opts);
    if (status != NTK_OK) {
        ntk_model_free(m);
        return status;
    }
    *model = m;
    return NTK_OK;
}

void ntk_model_free(ntk_model *m)
{
    if (!m)
        return;
    if (m->solution) {
        ntk_ctx_release(m->ctx, m->solution->held);
        ntk_model_forget(m->solution);
        ntk_operator_free(m->solution->k);
    }
    free(m->solution);
    if (m->prepared) {
        ntk_samples_free(m->prepared->mean);
        ntk_samples_free(m->prepared->both);
    }
    free(m->prepared);
    ntk_landmarks_free(m->land);
    ntk_kernel_free(m->mean);
    ntk_kernel_free(m->both);
    ntk_net_free(m->net);
    ntk_data_free(m->owned_x);
    ntk_scaler_free(m->scaler);
    ntk_schema_free(m->schema);
    free(m->rows);
    free(m->weights);
    free(m->noise);
    free(m->store);
    free(m->scratch);
    free(m->checkpoint);
    free(m->units);
    free(m->y);
    free(m->alpha);
    free(m);
}

ntk_status ntk_model_set_encoding(ntk_model *model, const ntk_scaler *scaler, ntk_targets targets)
{
    ntk_scaler *copy = NULL;

    if (scaler)
        NTK_TRY(ntk_scaler_copy(scaler, &copy));
    ntk_scaler_free(model->scaler);
    model->scaler = copy;
    model->targets = targets;
    return NTK_OK;
}

void ntk_model_encoding(const ntk_model *model, const ntk_scaler **scaler, ntk_targets *targets)
{
    *scaler = model->scaler;
    *targets = model->targets;
}

ntk_status ntk_model_set_units(ntk_model *m, const double *shift, const double *scale)
{
    const size_t n = (size_t)m->outputs;
    double *units = NULL;

    if (!shift != !scale)
        return ntk_fail(m->ctx, NTK_EINVAL, "units are shifts and scales, of which one is missing");
    for (size_t k = 0; shift && k < n; k++)
        if (!isfinite(shift[k]) || !isfinite(scale[k]) || !(scale[k] > 0))
            return ntk_fail(m->ctx, NTK_EINVAL, "shifts must be finite, scales finite and > 0: those of output %zu are %g "
                            "and %g", k, shift[k], scale[k]);
    if (shift) {
        units = ntk_alloc(m->ctx, 2 * n, sizeof *units);
        if (!units)
            return NTK_ENOMEM;
        memcpy(units, shift, n * sizeof *units);
        memcpy(units + n, scale, n * sizeof *units);
    }
    free(m->units);
    m->units = units;
    return NTK_OK;
}

void ntk_model_units(const ntk_model *m, const double **shift, const double **scale)
{
    *shift = m->units;
    *scale = m->units ? m->units + m->outputs : NULL;
}

void ntk_model_set_schema(ntk_model *model, ntk_schema *schema)
{
    ntk_schema_hold(schema);
    ntk_schema_free(model->schema);
    model->schema = schema;
}

const ntk_schema *ntk_model_schema(const ntk_model *model) { return model->schema; }
int64_t ntk_model_outputs(const ntk_model *model) { return model->outputs; }
int64_t ntk_model_n(const ntk_model *model) { return model->n_all; }
ntk_shape ntk_model_shape(const ntk_model *model) { return model->x ? model->x->shape : (ntk_shape){0}; }
const ntk_net *ntk_model_net(const ntk_model *model) { return model->net; }
const ntk_data *ntk_model_x(const ntk_model *model) { return model->x; }

void ntk_model_y(const ntk_model *m, double *y)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t k = 0; k < m->outputs; k++)
            y[i * m->outputs + k] = m->y[k * m->n + i];
}

double ntk_model_diag_reg(const ntk_model *model) { return model->solution->diag_reg; }

ntk_status ntk_model_alpha(const ntk_model *m, double *alpha)
{
    if (!m->solution->solved)
        NTK_TRY(ntk_model_solve(m));
    memset(alpha, 0, (size_t)(m->n_all * m->outputs) * sizeof *alpha);
    for (int64_t j = 0; j < ntk_model_centers(m); j++)
        for (int64_t k = 0; k < m->outputs; k++)
            alpha[ntk_model_center(m, j) * m->outputs + k] = m->alpha[k * ntk_model_centers(m) + j];
    return NTK_OK;
}

/* ---- centres */

int64_t ntk_model_centers(const ntk_model *m) { return m->land ? m->land->m : m->n; }

const ntk_data *ntk_model_centers_x(const ntk_model *m) { return m->land && m->land->x ? m->land->x : m->x; }

int64_t ntk_model_center(const ntk_model *m, int64_t j)
{
    const int64_t i = m->land && m->land->rows ? m->land->rows[j] : j;

    return m->rows ? m->rows[i] : i;
}

ntk_status ntk_model_check_whole(const ntk_model *m, const char *what)
{
    return m->land ? ntk_fail(m->ctx, NTK_ENOTSUP,
                              "%s needs the whole kernel matrix, which a fit by landmarks does without: the solvers 'cholesky' "
                              "and 'eigen' have it",
                              what)
                   : NTK_OK;
}
