/* SPDX-License-Identifier: MIT
 *
 * fit.c - kernel matrix, ridge, factorisation, solution.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sized.h"
#include "kernel/kernel.h"
#include "base/lapack.h"
#include "predict/model.h"

static const ntk_fit_opts defaults = {
    .size = sizeof defaults, .posterior = NTK_POSTERIOR_NTK, .dtype = NTK_F64};
static const struct ntk_sized sized = NTK_SIZED(ntk_fit_opts, diag_reg_spelling, &defaults);

void ntk_fit_opts_init_sized(ntk_fit_opts *opts, size_t size)
{
    ntk_sized_init(&sized, opts, size);
}

ntk_status ntk_fit_opts_read(ntk_ctx *ctx, const ntk_fit_opts *given, ntk_fit_opts *own)
{
    return ntk_sized_read(ctx, &sized, given, own);
}

int64_t ntk_model_panel_rows(int64_t n)
{
    const int64_t rows = n / 40;

    return rows < 256 ? 256 : rows > 512 ? 512 : rows;
}

size_t ntk_model_matrices(const ntk_fit_opts *opts, int64_t n, int64_t outputs)
{
    const double size = sizeof(double), square = (double)n * (double)n * size;
    const double packed = (double)n * ((double)n + 1) / 2 * size;
    const double vectors = 2 * (double)outputs * (double)n * size;
    const bool ensemble = opts->posterior == NTK_POSTERIOR_NTK && opts->covariance;

    return ntk_bytes((opts->finite_time ? square : packed) + (ensemble ? packed : 0) + vectors);
}

size_t ntk_model_eigen_bytes(int64_t n, int64_t outputs)
{
    const double size = sizeof(double);

    return ntk_bytes((3 * (double)n * (double)n + 3 * (double)outputs * (double)n) * size);
}

ntk_status ntk_model_bytes(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, int64_t outputs,
                           const ntk_fit_opts *opts, size_t *bytes)
{
    ntk_fit_opts o;
    bool ensemble;
    unsigned want;
    size_t eigen;
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &o));
    ensemble = o.posterior == NTK_POSTERIOR_NTK && o.covariance;
    want = o.posterior == NTK_POSTERIOR_NNGP ? NTK_NNGP : ensemble ? NTK_NNGP | NTK_NTK : NTK_NTK;
    eigen = o.finite_time ? ntk_model_eigen_bytes(x->n, outputs) : 0;
    NTK_TRY(ntk_kernel_new(ctx, &net, 1, want, o.dtype, x->shape, &kernel));
    status = ntk_kernel_scratch(kernel, x, NULL, bytes);
    ntk_kernel_free(kernel);
    NTK_TRY(status);
    *bytes += ntk_model_matrices(&o, x->n, outputs);
    if (*bytes < eigen)
        *bytes = eigen;
    return NTK_OK;
}

/* ---- kernel matrices */

/* Where the blocks of one output of a kernel go. */
struct target {
    struct ntk_rfp *packed; /* one of the two */
    double *full;
    int64_t n;
};
struct store {
    struct target target[2];
    ntk_dtype dtype;
};

static void store_full(const struct target *t, const ntk_block *b, ntk_dtype dtype)
{
    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++) {
            const int64_t at = i * b->ld + j;
            const double value = dtype == NTK_F32 ? (double)((const float *)b->k)[at]
                                                  : ((const double *)b->k)[at];

            t->full[(b->i0 + i) * t->n + b->j0 + j] = value;
            t->full[(b->j0 + j) * t->n + b->i0 + i] = value;
        }
}

static int store_block(const ntk_block *b, void *user)
{
    const struct store *s = user;
    const struct target *t = &s->target[b->output];

    if (t->packed)
        ntk_rfp_store(t->packed, b, s->dtype);
    else
        store_full(t, b, s->dtype);
    return 0;
}

/* ---- the matrix that cannot be solved */

/* Two equal samples, or -1. */
static void find_equal(const ntk_data *x, int64_t *first, int64_t *second)
{
    const size_t bytes = (size_t)ntk_features_of(x->shape) * x->dtype;
    const unsigned char *rows = x->x;
    const size_t size = (size_t)1 << 22;
    int64_t *table = malloc(size * sizeof *table);

    *first = *second = -1;
    for (size_t k = 0; table && k < size; k++)
        table[k] = -1;
    for (int64_t i = 0; table && i < x->n && (size_t)i < size / 2 && *first < 0; i++) {
        size_t at = ntk_hash(rows + (size_t)i * bytes, bytes) & (size - 1);

        for (; table[at] >= 0 && *first < 0; at = (at + 1) & (size - 1))
            if (memcmp(rows + (size_t)table[at] * bytes, rows + (size_t)i * bytes, bytes) == 0) {
                *first = table[at];
                *second = i;
            }
        table[at] = i;
    }
    free(table);
}

struct ntk_ridge ntk_model_ridge(const ntk_model *m)
{
    return (struct ntk_ridge){.given = m->opts.diag_reg,
                              .absolute = m->opts.diag_reg_absolute,
                              .spelling = m->opts.diag_reg_spelling ? m->opts.diag_reg_spelling
                                                                    : "diag_reg = "};
}

static ntk_status fill_again(struct ntk_rfp *k, void *user)
{
    const ntk_model *m = user;
    struct store store = {.dtype = m->opts.dtype, .target = {{.packed = k}}};

    return ntk_kernel_stream(m->mean, m->x, NULL, store_block, &store);
}

/* The kernel is computed again for the hint: Cholesky has overwritten it. */
static ntk_status not_positive(const ntk_model *m, const char *how)
{
    const struct ntk_ridge ridge = ntk_model_ridge(m);
    int64_t first, second;
    char equal[160] = "", hint[160];
    void *user;

    memcpy(&user, &m, sizeof m); /* only read */
    find_equal(m->x, &first, &second);
    if (first >= 0)
        snprintf(equal, sizeof equal, "; samples %lld and %lld are equal (counted from 0)",
                 (long long)first, (long long)second);
    NTK_TRY(ntk_ridge_hint(m->ctx, &ridge, m->opts.dtype, &m->solution->factor, fill_again, user,
                           hint, sizeof hint));
    return ntk_fail(m->ctx, NTK_ENUMERIC,
                    "the %lld x %lld kernel matrix is not positive definite: %s%s%s",
                    (long long)m->n, (long long)m->n, how, equal, hint);
}

/* ---- solving */

/* Numbers are [output][sample]. */
static ntk_status check_solution(const ntk_model *m)
{
    return ntk_check_finite(m->ctx, "the solution", m->alpha, m->outputs, m->n);
}

static ntk_status solve_cholesky(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    struct store store = {.dtype = m->opts.dtype};
    const int output_of_k = m->both ? 1 : 0;

    NTK_TRY(ntk_rfp_new(m->ctx, m->n, &s->factor));
    store.target[output_of_k] = (struct target){.packed = &s->factor};
    if (m->both) {
        NTK_TRY(ntk_rfp_new(m->ctx, m->n, &s->nngp));
        store.target[0] = (struct target){.packed = &s->nngp};
    }
    NTK_TRY(ntk_kernel_stream_for(m->both ? m->both : m->mean, m->x, NULL,
                                  ntk_model_matrices(&m->opts, m->n, m->outputs),
                                  "a kernel matrix of this many samples", store_block, &store));
    return ntk_model_factor(m);
}

ntk_status ntk_model_factor(const ntk_model *m)
{
    const struct ntk_ridge ridge = ntk_model_ridge(m);
    struct ntk_solution *s = m->solution;
    char how[160];

    s->ridge = ntk_ridge_value(&ridge, &s->factor);
    NTK_TRY(ntk_check_finite(m->ctx, "the ridge", &s->ridge, 1, 1));
    NTK_TRY(ntk_progress(m->ctx, "factorisations", 0, 1));
    NTK_TRY(ntk_ridge_factor(m->ctx, &s->factor, m->opts.dtype, s->ridge, how, sizeof how));
    if (*how)
        return not_positive(m, how);
    NTK_TRY(ntk_progress(m->ctx, "factorisations", 1, 1));
    memcpy(m->alpha, m->y, (size_t)(m->outputs * m->n) * sizeof *m->y);
    NTK_TRY(ntk_rfp_solve(m->ctx, &s->factor, m->outputs, m->alpha));
    return check_solution(m);
}

/* alpha = V g(infinity) V' y */
static ntk_status solve_by_eigenvectors(const ntk_model *m)
{
    const struct ntk_solution *s = m->solution;
    const int n = (int)m->n, c = (int)m->outputs;
    const struct ntk_spectral_scale scale = ntk_model_scale(m);
    double *p = ntk_alloc(m->ctx, (size_t)n * (size_t)c, sizeof *p);

    if (!p)
        return NTK_ENOMEM;
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, n, c, n, 1, s->vectors, n, m->y, n, 0, p, n);
    for (int k = 0; k < c; k++)
        for (int i = 0; i < n; i++)
            p[(size_t)k * (size_t)n + (size_t)i] *=
                ntk_spectral(NTK_GAIN, ntk_spectral_weight(&scale, s->values[i]), (double)INFINITY);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, c, n, 1, s->vectors, n, p, n, 0,
                m->alpha, n);
    free(p);
    return check_solution(m);
}

static ntk_status solve_eigen(const ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    struct store store = {.dtype = m->opts.dtype};
    double trace = 0;

    NTK_TRY(ntk_ctx_check_memory(m->ctx, ntk_model_eigen_bytes(m->n, m->outputs),
                                 "an eigen-decomposition of this many samples"));
    s->vectors = ntk_alloc(m->ctx, (size_t)m->n * (size_t)m->n, sizeof *s->vectors);
    s->values = ntk_alloc(m->ctx, (size_t)m->n, sizeof *s->values);
    if (!s->vectors || !s->values)
        return NTK_ENOMEM;
    store.target[0] = (struct target){.full = s->vectors, .n = m->n};
    NTK_TRY(ntk_kernel_stream_for(m->mean, m->x, NULL, ntk_model_matrices(&m->opts, m->n, m->outputs),
                                  "an eigen-decomposition of this many samples", store_block, &store));
    for (int64_t i = 0; i < m->n; i++)
        trace += s->vectors[i * m->n + i];
    s->ridge = m->opts.diag_reg * (m->opts.diag_reg_absolute ? 1 : trace / (double)m->n);
    NTK_TRY(ntk_check_finite(m->ctx, "the ridge", &s->ridge, 1, 1));
    NTK_TRY(ntk_spectral_solve(m->ctx, m->n, m->opts.dtype, s->ridge, s->vectors, s->values));
    NTK_TRY(solve_by_eigenvectors(m));
    if (!m->both)
        return NTK_OK;
    /* The NNGP matrix comes after the decomposition, when its workspace is free again. */
    NTK_TRY(ntk_rfp_new(m->ctx, m->n, &s->nngp));
    {
        ntk_kernel *nngp;
        const ntk_net *net = m->net;
        struct store packed = {.dtype = m->opts.dtype, .target = {{.packed = &s->nngp}}};
        ntk_status status;

        NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, NTK_NNGP, m->opts.dtype, m->x->shape, &nngp));
        status = ntk_kernel_stream_for(nngp, m->x, NULL, ntk_model_matrices(&m->opts, m->n, m->outputs),
                                       "covariances of this many samples", store_block, &packed);
        ntk_kernel_free(nngp);
        return status;
    }
}

static void forget(struct ntk_solution *s)
{
    ntk_rfp_free(&s->factor);
    ntk_rfp_free(&s->nngp);
    free(s->vectors);
    free(s->values);
    *s = (struct ntk_solution){0};
}

void ntk_model_ready(const ntk_model *m)
{
    m->solution->ready = true;
    ntk_ctx_keep(m->ctx, ntk_model_matrices(&m->opts, m->n, m->outputs), &m->solution->held);
}

ntk_status ntk_model_solve(const ntk_model *m)
{
    const struct ntk_blas blas = ntk_blas_begin(m->ctx->threads);
    ntk_status status = NTK_OK;

    if (!m->solution->ready) {
        status = m->opts.finite_time ? solve_eigen(m) : solve_cholesky(m);
        if (status == NTK_OK)
            ntk_model_ready(m);
        else
            forget(m->solution);
    }
    ntk_blas_end(blas);
    return status;
}

/* ---- the object */

ntk_status ntk_model_start(ntk_model *m)
{
    const bool nngp = m->opts.posterior == NTK_POSTERIOR_NNGP;
    const ntk_net *net = m->net;

    m->prepared = ntk_alloc_zero(m->ctx, 1, sizeof *m->prepared);
    if (!m->prepared)
        return NTK_ENOMEM;
    NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, nngp ? NTK_NNGP : NTK_NTK, m->opts.dtype, m->x->shape,
                           &m->mean));
    if (m->opts.posterior == NTK_POSTERIOR_NTK && m->opts.covariance)
        NTK_TRY(ntk_kernel_new(m->ctx, &net, 1, NTK_NNGP | NTK_NTK, m->opts.dtype, m->x->shape,
                               &m->both));
    return NTK_OK;
}

static ntk_status check_fit(ntk_ctx *ctx, const ntk_data *x, const double *y, int64_t outputs,
                            const ntk_fit_opts *opts)
{
    if (outputs < 1)
        return ntk_fail(ctx, NTK_EINVAL, "outputs must be at least 1, got %lld", (long long)outputs);
    if (!(opts->diag_reg >= 0) || isinf(opts->diag_reg))
        return ntk_fail(ctx, NTK_EINVAL, "diag_reg must be >= 0, got %g", opts->diag_reg);
    if (x->n > NTK_SAMPLES_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "at most %d samples, got %lld", NTK_SAMPLES_MAX,
                        (long long)x->n);
    for (int64_t i = 0; i < x->n * outputs; i++)
        if (!isfinite(y[i]))
            return ntk_fail(ctx, NTK_EINVAL, "target of sample %lld, output %lld is %g, not finite",
                            (long long)(i / outputs), (long long)(i % outputs), y[i]);
    return NTK_OK;
}

static ntk_status fill(ntk_model *m, const ntk_net *net, const double *y)
{
    char *text;
    ntk_status status;

    NTK_TRY(ntk_net_print(net, &text));
    status = ntk_net_parse(m->ctx, text, &m->net);
    ntk_text_free(text);
    NTK_TRY(status);
    m->y = ntk_alloc(m->ctx, (size_t)(m->n * m->outputs), sizeof *m->y);
    m->alpha = ntk_alloc(m->ctx, (size_t)(m->n * m->outputs), sizeof *m->alpha);
    m->solution = ntk_alloc_zero(m->ctx, 1, sizeof *m->solution);
    if (!m->y || !m->alpha || !m->solution)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t k = 0; k < m->outputs; k++)
            m->y[k * m->n + i] = y[i * m->outputs + k];
    return ntk_model_start(m);
}

ntk_status ntk_model_new(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, const double *y,
                         int64_t outputs, const ntk_fit_opts *opts, ntk_model **model)
{
    ntk_model *m;
    ntk_status status;

    NTK_TRY(check_fit(ctx, x, y, outputs, opts));
    m = ntk_alloc_zero(ctx, 1, sizeof *m);
    if (!m)
        return NTK_ENOMEM;
    m->ctx = ctx;
    m->opts = *opts;
    m->x = x;
    m->n = x->n;
    m->outputs = outputs;
    m->targets = NTK_RAW;
    status = fill(m, net, y);
    if (status != NTK_OK) {
        ntk_model_free(m);
        return status;
    }
    *model = m;
    return NTK_OK;
}

ntk_status ntk_model_fit(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, const double *y,
                         int64_t outputs, const ntk_fit_opts *opts, ntk_model **model)
{
    ntk_fit_opts o;
    ntk_model *m;
    ntk_status status;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &o));
    NTK_TRY(ntk_model_new(ctx, net, x, y, outputs, &o, &m));
    status = ntk_model_solve(m);
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
    ntk_net_free(m->net);
    if (m->prepared) {
        ntk_samples_free(m->prepared->mean);
        ntk_samples_free(m->prepared->both);
    }
    free(m->prepared);
    ntk_kernel_free(m->mean);
    ntk_kernel_free(m->both);
    ntk_data_free(m->owned_x);
    ntk_scaler_free(m->scaler);
    ntk_schema_free(m->schema);
    free(m->y);
    free(m->alpha);
    if (m->solution) {
        ntk_ctx_release(m->ctx, m->solution->held);
        forget(m->solution);
    }
    free(m->solution);
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

void ntk_model_set_schema(ntk_model *model, ntk_schema *schema)
{
    ntk_schema_hold(schema);
    ntk_schema_free(model->schema);
    model->schema = schema;
}

const ntk_schema *ntk_model_schema(const ntk_model *model) { return model->schema; }
int64_t ntk_model_outputs(const ntk_model *model) { return model->outputs; }
int64_t ntk_model_n(const ntk_model *model) { return model->n; }
ntk_shape ntk_model_shape(const ntk_model *model) { return model->x->shape; }
