/* SPDX-License-Identifier: MIT
 *
 * model_io.c - models in HDF5 files.
 *
 *     attributes  format, net, posterior, dtype, diag_reg, diag_reg_absolute, finite_time,
 *                 mean_loss, covariance, targets, shape [4], scaler_kind, scaler_shape [4]
 *     x [n][features]    y, alpha [outputs][n]    scaler_mean, scaler_deviation
 *     the columns and classes of the training data, if they have names: data/schema_io.c
 *     with the factor: ridge (attribute) and factor or vectors and values, nngp
 */
#include <stdlib.h>
#include <string.h>

#include "predict/model.h"

ntk_status ntk_scaler_copy(const ntk_scaler *scaler, ntk_scaler **copy)
{
    ntk_scaler *c;

    NTK_TRY(ntk_scaler_new(scaler->ctx, scaler->kind, scaler->shape, &c));
    memcpy(c->mean, scaler->mean, (size_t)scaler->n * sizeof *c->mean);
    memcpy(c->deviation, scaler->deviation, (size_t)scaler->n * sizeof *c->deviation);
    *copy = c;
    return NTK_OK;
}

#ifdef NTK_HDF5

#include "base/h5.h"

#define FORMAT "libntk model 1"

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
    ntk_h5_broken(f, "options",
                  (dtype == NTK_F32 || dtype == NTK_F64) && posterior >= 0 &&
                      posterior <= NTK_POSTERIOR_NTKGP && targets >= 0 && targets <= NTK_CENTERED);
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

static void scaler(struct ntk_h5 *f, ntk_model *m, bool write)
{
    ntk_scaler *s = m->scaler;
    int kind = s ? (int)s->kind : -1;
    ntk_shape shape = s ? s->shape : (ntk_shape){.h = 1, .w = 1, .c = 1};

    ntk_h5_int(f, "scaler_kind", &kind, write);
    ntk_h5_shape(f, "scaler_shape", &shape, write);
    if (f->what || kind < 0)
        return;
    if (!write) {
        if (ntk_h5_broken(f, "scaler",
                          kind <= NTK_STD_CHANNEL && ntk_scaler_new(f->ctx, (ntk_standardize)kind,
                                                                    shape, &m->scaler) == NTK_OK))
            return;
        s = m->scaler;
    }
    if (s->n > 0) {
        ntk_h5_matrix(f, "scaler_mean", H5T_NATIVE_DOUBLE, s->n, 1, s->mean, write);
        ntk_h5_matrix(f, "scaler_deviation", H5T_NATIVE_DOUBLE, s->n, 1, s->deviation, write);
    }
}

/* ---- saving */

static void write_model(struct ntk_h5 *f, ntk_model *m, int with_factor)
{
    const hid_t real = m->x->dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    const int64_t features = ntk_features_of(m->x->shape);
    void *samples;
    char *net;

    memcpy(&samples, &m->x->x, sizeof samples); /* only read, but HDF5's reader shares the call */
    if (ntk_h5_broken(f, "net", ntk_net_print(m->net, &net) == NTK_OK))
        return;
    ntk_h5_write_text(f, "format", FORMAT);
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
    scaler(f, m, true);
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

static void read_samples(struct ntk_h5 *f, ntk_model *m)
{
    ntk_shape shape = {0};
    int dtype = 0;

    ntk_h5_shape(f, "shape", &shape, false);
    ntk_h5_int(f, "x_dtype", &dtype, false);
    m->n = ntk_h5_rows(f, "x");
    m->outputs = ntk_h5_rows(f, "y");
    if (ntk_h5_broken(f, "shape",
                      shape.h > 0 && shape.w > 0 && shape.c > 0 && shape.h < 1 << 20 &&
                          shape.w < 1 << 20 && shape.c < 1 << 30 && m->outputs < 1 << 20 &&
                          (dtype == NTK_F32 || dtype == NTK_F64)) ||
        ntk_h5_broken(f, "x",
                      ntk_data_alloc(f->ctx, (ntk_dtype)dtype, m->n, shape, &m->owned_x) == NTK_OK))
        return;
    m->x = m->owned_x;
    ntk_h5_matrix(f, "x", dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, m->n,
                  ntk_features_of(shape), m->owned_x->owned_x, false);
    m->y = ntk_alloc(f->ctx, (size_t)(m->n * m->outputs), sizeof *m->y);
    m->alpha = ntk_alloc(f->ctx, (size_t)(m->n * m->outputs), sizeof *m->alpha);
    m->solution = ntk_alloc_zero(f->ctx, 1, sizeof *m->solution);
    if (ntk_h5_broken(f, "memory", m->y && m->alpha && m->solution))
        return;
    ntk_h5_matrix(f, "y", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->y, false);
    ntk_h5_matrix(f, "alpha", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->alpha, false);
}

static void read_solution(struct ntk_h5 *f, ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    const size_t n = (size_t)m->n;
    bool memory = true;

    if (f->what || H5Aexists(f->id, "ridge") <= 0)
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
    if (!ntk_h5_broken(f, "memory", memory))
        solution(f, m, false);
    s->ready = !f->what;
}

static ntk_status read_model(struct ntk_h5 *f, ntk_model *m)
{
    char *format = ntk_h5_read_text(f, "format"), *net = NULL;
    const bool ours = format && strcmp(format, FORMAT) == 0;
    ntk_status status = NTK_OK;

    free(format);
    if (ntk_h5_broken(f, "format", ours))
        return NTK_EIO;
    options(f, m, false);
    read_samples(f, m);
    scaler(f, m, false);
    ntk_schema_read(f, &m->schema);
    ntk_h5_broken(f, "schema", ntk_schema_fits(m->schema, ntk_features_of(m->x->shape), m->outputs));
    net = ntk_h5_read_text(f, "net");
    if (!f->what)
        status = ntk_net_parse(f->ctx, net, &m->net);
    free(net);
    if (!f->what && status == NTK_OK)
        status = ntk_model_start(m);
    if (!f->what && status == NTK_OK)
        read_solution(f, m);
    return f->what ? NTK_EIO : status;
}

ntk_status ntk_model_load(ntk_ctx *ctx, const char *path, ntk_model **model)
{
    struct ntk_h5 f = {.ctx = ctx};
    ntk_model *m;
    ntk_status status;

    NTK_TRY(ntk_h5_open(&f, path, "the model"));
    m = ntk_alloc_zero(ctx, 1, sizeof *m);
    status = m ? NTK_OK : NTK_ENOMEM;
    if (m) {
        m->ctx = ctx;
        status = read_model(&f, m);
    }
    H5Fclose(f.id);
    if (status != NTK_OK) {
        ntk_model_free(m);
        if (f.what)
            return ntk_fail(ctx, NTK_EIO, "%s is not a complete model file: its part '%s' is "
                                          "missing or does not fit",
                            path, f.what);
        return status;
    }
    *model = m;
    return NTK_OK;
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
