/* SPDX-License-Identifier: MIT
 *
 * model_io.c - models in HDF5 files.
 *
 *     attributes  format ("libntk model 2"; 1 is the same), net, posterior, dtype, diag_reg, diag_reg_absolute, finite_time,
 *                 mean_loss, covariance, targets, shape [4]
 *     x [n][features]    y, alpha [outputs][n]
 *     net is a data set if it is longer than an attribute can be
 *     the standardisation: data/scaler_io.c
 *     the columns and classes of the training data, if they have names: data/schema_io.c
 *     with the factor: ridge (attribute) and factor or vectors and values, nngp
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/model.h"

#ifdef NTK_HDF5

#include "base/h5.h"

#define KIND   "model"
#define FORMAT 2 /* the newest, which is written */

static bool all_finite(const double *x, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (!isfinite(x[k]))
            return false;
    return true;
}

static void need_finite(struct ntk_h5 *f, const char *name, const double *x, size_t n)
{
    ntk_h5_wrong(f, name, f->what || all_finite(x, n), "has a number that is not finite");
}

/* Whether the file has all of a matrix that is `rows` x `columns`. */
static bool has_matrix(struct ntk_h5 *f, const char *name, int64_t rows, int64_t columns)
{
    return ntk_h5_has(f, name, 2, (const int64_t[]){rows, columns});
}

/* ---- the parts of a model, written or read by the same lines */

static void options(struct ntk_h5 *f, ntk_model *m, bool write)
{
    int posterior = (int)m->opts.posterior, dtype = (int)m->opts.dtype, targets = (int)m->targets;

    ntk_h5_int(f, "posterior", &posterior, write);
    ntk_h5_int(f, "dtype", &dtype, write);
    ntk_h5_int(f, "targets", &targets, write);
    ntk_h5_int(f, "diag_reg_absolute", &m->opts.diag_reg_absolute, write);
    ntk_h5_int(f, "finite_time", &m->opts.finite_time, write);
    ntk_h5_int(f, "mean_loss", &m->opts.mean_loss, write);
    ntk_h5_int(f, "covariance", &m->opts.covariance, write);
    ntk_h5_attribute(f, "diag_reg", H5T_NATIVE_DOUBLE, 1, &m->opts.diag_reg, write);
    m->opts.posterior = (ntk_posterior)posterior;
    m->opts.dtype = (ntk_dtype)dtype;
    m->targets = (ntk_targets)targets;
    ntk_h5_wrong(f, "dtype", dtype == NTK_F32 || dtype == NTK_F64, "is neither 4 nor 8");
    ntk_h5_wrong(f, "posterior", posterior >= 0 && posterior <= NTK_POSTERIOR_NTKGP,
                 "is none that there is");
    ntk_h5_wrong(f, "targets", targets >= 0 && targets <= NTK_CENTERED, "is none that there is");
    ntk_h5_wrong(f, "diag_reg", m->opts.diag_reg >= 0 && isfinite(m->opts.diag_reg),
                 "is not a number from 0 on");
}

static void solution(struct ntk_h5 *f, ntk_model *m, bool write)
{
    struct ntk_solution *s = m->solution;
    const int64_t n = m->n, packed = (int64_t)ntk_rfp_size(n);

    ntk_h5_attribute(f, "ridge", H5T_NATIVE_DOUBLE, 1, &s->ridge, write);
    if (m->opts.finite_time) {
        ntk_h5_matrix(f, "vectors", H5T_NATIVE_DOUBLE, n, n, s->vectors, write);
        ntk_h5_matrix(f, "values", H5T_NATIVE_DOUBLE, n, 1, s->values, write);
    } else {
        ntk_h5_matrix(f, "factor", H5T_NATIVE_DOUBLE, packed, 1, s->factor.a, write);
    }
    if (m->both)
        ntk_h5_matrix(f, "nngp", H5T_NATIVE_DOUBLE, packed, 1, s->nngp.a, write);
}

/* ---- saving */

static void write_model(struct ntk_h5 *f, ntk_model *m, int with_factor)
{
    const hid_t real = m->x->dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    const int64_t features = ntk_features_of(m->x->shape);
    void *samples;
    char *net;

    memcpy(&samples, &m->x->x, sizeof samples); /* only read, but HDF5's reader shares the call */
    if (ntk_h5_failed(f, "net", ntk_net_print(m->net, &net)))
        return;
    ntk_h5_write_format(f, KIND, FORMAT);
    ntk_h5_write_text(f, "net", net);
    ntk_text_free(net);
    options(f, m, true);
    {
        ntk_shape shape = m->x->shape;
        int dtype = (int)m->x->dtype;

        ntk_h5_shape(f, "shape", &shape, true);
        ntk_h5_int(f, "x_dtype", &dtype, true);
    }
    ntk_h5_matrix(f, "x", real, m->n, features, samples, true);
    ntk_h5_matrix(f, "y", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->y, true);
    ntk_h5_matrix(f, "alpha", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->alpha, true);
    ntk_scaler_io(f, m->x->shape, &m->scaler, true);
    ntk_schema_write(f, m->schema);
    if (with_factor)
        solution(f, m, true);
}

ntk_status ntk_model_save(const ntk_model *model, const char *path, int with_factor)
{
    ntk_model copy = *model; /* reading and writing share code that takes a model to fill in */
    struct ntk_h5 f = {.ctx = model->ctx};

    if (with_factor)
        NTK_TRY(ntk_model_solve(model));
    NTK_TRY(ntk_h5_create(&f, path));
    write_model(&f, &copy, with_factor);
    return ntk_h5_commit(&f, path);
}

/* ---- loading */

/* Sizes that agree with each other and are those of arrays in the file. */
static void read_sizes(struct ntk_h5 *f, ntk_model *m, ntk_shape *shape, ntk_dtype *dtype)
{
    int64_t x[2] = {0}, y[2] = {0};
    int type = 0;

    ntk_h5_shape(f, "shape", shape, false);
    ntk_h5_int(f, "x_dtype", &type, false);
    *dtype = (ntk_dtype)type;
    ntk_h5_wrong(f, "x_dtype", type == NTK_F32 || type == NTK_F64, "is neither 4 nor 8");
    if (!ntk_h5_dims(f, "x", 2, x) || !ntk_h5_dims(f, "y", 2, y) ||
        ntk_h5_broken(f, "x", x[1] == ntk_features_of(*shape) && x[0] <= NTK_SAMPLES_MAX) ||
        ntk_h5_broken(f, "y", y[1] == x[0] && y[0] <= INT32_MAX) ||
        !has_matrix(f, "alpha", y[0], y[1]))
        return;
    m->n = x[0];
    m->outputs = y[0];
}

/* Of what will be read. A file without "ridge" has no solution. */
static ntk_status check_memory(const struct ntk_h5 *f, const ntk_model *m, size_t x_bytes)
{
    const size_t bytes = H5Aexists(f->id, "ridge") > 0
                             ? ntk_model_matrices(&m->opts, m->n, m->outputs)
                             : 2 * (size_t)m->n * (size_t)m->outputs * sizeof(double);

    return ntk_ctx_check_memory(f->ctx, x_bytes + bytes, "the model");
}

static void read_samples(struct ntk_h5 *f, ntk_model *m)
{
    ntk_shape shape = {0};
    ntk_dtype dtype = NTK_F64;
    size_t numbers;

    read_sizes(f, m, &shape, &dtype);
    numbers = (size_t)m->n * (size_t)m->outputs;
    if (!f->what)
        ntk_h5_failed(f, "x", check_memory(f, m, (size_t)(m->n * ntk_features_of(shape)) * dtype));
    if (f->what || ntk_h5_failed(f, "x", ntk_data_alloc(f->ctx, dtype, m->n, shape, &m->owned_x)))
        return;
    m->x = m->owned_x;
    m->y = ntk_alloc(f->ctx, numbers, sizeof *m->y);
    m->alpha = ntk_alloc(f->ctx, numbers, sizeof *m->alpha);
    m->solution = ntk_alloc_zero(f->ctx, 1, sizeof *m->solution);
    if (ntk_h5_failed(f, "y", m->y && m->alpha && m->solution ? NTK_OK : NTK_ENOMEM))
        return;
    ntk_h5_matrix(f, "x", dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, m->n,
                  ntk_features_of(shape), m->owned_x->owned_x, false);
    ntk_h5_matrix(f, "y", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->y, false);
    ntk_h5_matrix(f, "alpha", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->alpha, false);
    if (!f->what)
        ntk_h5_failed(f, "x", ntk_data_check_finite(m->x));
    need_finite(f, "y", m->y, numbers);
    need_finite(f, "alpha", m->alpha, numbers);
}

static bool has_solution(struct ntk_h5 *f, const ntk_model *m)
{
    const int64_t n = m->n, packed = (int64_t)ntk_rfp_size(n);

    return (m->opts.finite_time ? has_matrix(f, "vectors", n, n) && has_matrix(f, "values", n, 1)
                                : has_matrix(f, "factor", packed, 1)) &&
           (!m->both || has_matrix(f, "nngp", packed, 1));
}

/* What a factorisation leaves: a positive diagonal, ascending eigenvalues. */
static void check_solution(struct ntk_h5 *f, const ntk_model *m)
{
    const struct ntk_solution *s = m->solution;
    const size_t n = (size_t)m->n, packed = ntk_rfp_size(m->n);

    ntk_h5_wrong(f, "ridge", s->ridge >= 0 && isfinite(s->ridge), "is not a number from 0 on");
    if (f->what)
        return;
    if (m->both)
        need_finite(f, "nngp", s->nngp.a, packed);
    if (m->opts.finite_time) {
        need_finite(f, "vectors", s->vectors, n * n);
        need_finite(f, "values", s->values, n);
        for (size_t k = 1; k < n; k++)
            ntk_h5_wrong(f, "values", s->values[k - 1] <= s->values[k], "is not ascending");
        return;
    }
    need_finite(f, "factor", s->factor.a, packed);
    for (int64_t k = 0; k < m->n; k++)
        ntk_h5_wrong(f, "factor", *ntk_rfp_at(&s->factor, k, k) > 0,
                     "has a number on its diagonal that is not positive");
}

static void read_solution(struct ntk_h5 *f, ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    const size_t n = (size_t)m->n;
    bool memory;

    if (f->what || H5Aexists(f->id, "ridge") <= 0 || !has_solution(f, m))
        return;
    if (m->opts.finite_time) {
        s->vectors = ntk_alloc(f->ctx, n * n, sizeof *s->vectors);
        s->values = ntk_alloc(f->ctx, n, sizeof *s->values);
        memory = s->vectors && s->values;
    } else {
        memory = ntk_rfp_new(f->ctx, m->n, &s->factor) == NTK_OK;
    }
    if (m->both)
        memory = ntk_rfp_new(f->ctx, m->n, &s->nngp) == NTK_OK && memory;
    if (ntk_h5_failed(f, "factor", memory ? NTK_OK : NTK_ENOMEM))
        return;
    solution(f, m, false);
    check_solution(f, m);
    if (!f->what)
        ntk_model_ready(m);
}

static ntk_status read_model(struct ntk_h5 *f, ntk_model *m)
{
    char *net;
    ntk_status status;

    ntk_h5_read_format(f, KIND, FORMAT);
    options(f, m, false);
    read_samples(f, m);
    if (!f->what)
        ntk_scaler_io(f, m->x->shape, &m->scaler, false);
    ntk_schema_read(f, &m->schema);
    if (!f->what)
        ntk_h5_wrong(f, "schema",
                     ntk_schema_fits(m->schema, ntk_features_of(m->x->shape), m->outputs),
                     "is not that of the samples and targets");
    net = ntk_h5_read_text(f, "net");
    if (!net)
        return NTK_EIO;
    status = ntk_net_parse(f->ctx, net, &m->net);
    free(net);
    if (status == NTK_OK)
        status = ntk_model_start(m);
    if (status == NTK_OK)
        read_solution(f, m);
    return status;
}

ntk_status ntk_model_load(ntk_ctx *ctx, const char *path, ntk_model **model)
{
    struct ntk_h5 f = {.ctx = ctx};
    ntk_model *m = ntk_alloc_zero(ctx, 1, sizeof *m);
    ntk_status status = m ? ntk_h5_open(&f, path, "the model") : NTK_ENOMEM;

    if (status == NTK_OK) {
        m->ctx = ctx;
        status = ntk_h5_end(&f, path, "model file", read_model(&f, m));
    }
    if (status == NTK_OK)
        *model = m;
    else
        ntk_model_free(m);
    return status;
}

#else

ntk_status ntk_model_save(const ntk_model *model, const char *path, int with_factor)
{
    (void)with_factor;
    return ntk_fail(model->ctx, NTK_ENOTSUP, "cannot write %s: this build has no HDF5", path);
}

ntk_status ntk_model_load(ntk_ctx *ctx, const char *path, ntk_model **model)
{
    (void)model;
    return ntk_fail(ctx, NTK_ENOTSUP, "cannot read %s: this build has no HDF5", path);
}

#endif
