/* SPDX-License-Identifier: MIT
 *
 * model_io.c - models in HDF5 files.
 *
 *     attributes  format, net, posterior, dtype, diag_reg, diag_reg_absolute, finite_time,
 *                 mean_loss, covariance, targets, shape [4], scaler_kind, scaler_shape [4]
 *     x [n][features]    y, alpha [outputs][n]    scaler_mean, scaler_deviation
 *     with the factor: ridge (attribute) and factor or vectors and values, nngp
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

#include <hdf5.h>

#define FORMAT "libntk model 1"

/* All calls go through this: the first failure is remembered, the rest does nothing. */
struct file {
    ntk_ctx *ctx;
    hid_t id;
    const char *what; /* the first item that failed; NULL: none */
};

static bool broken(struct file *f, const char *what, bool ok)
{
    if (!ok && !f->what)
        f->what = what;
    return f->what != NULL;
}

/* ---- attributes of the root */

static void attribute(struct file *f, const char *name, hid_t type, hsize_t n, void *value,
                      bool write)
{
    hid_t space, id;
    herr_t done;

    if (f->what)
        return;
    if (write) {
        space = H5Screate_simple(1, &n, NULL);
        id = H5Acreate2(f->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    } else {
        id = H5Aopen(f->id, name, H5P_DEFAULT);
        space = id < 0 ? id : H5Aget_space(id);
    }
    if (broken(f, name, id >= 0 && space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)n))
        return;
    done = write ? H5Awrite(id, type, value) : H5Aread(id, type, value);
    broken(f, name, done >= 0);
    H5Sclose(space);
    H5Aclose(id);
}

static void attribute_int(struct file *f, const char *name, int *value, bool write)
{
    attribute(f, name, H5T_NATIVE_INT, 1, value, write);
}

static void attribute_shape(struct file *f, const char *name, ntk_shape *s, bool write)
{
    int64_t v[4] = {s->spatial, s->h, s->w, s->c};

    attribute(f, name, H5T_NATIVE_INT64, 4, v, write);
    *s = (ntk_shape){.spatial = (int)v[0], .h = v[1], .w = v[2], .c = v[3]};
}

/* A text is an array of characters, so that it may have any length. */
static void write_text(struct file *f, const char *name, const char *text)
{
    char *copy = ntk_strdup(f->ctx, text);

    if (!broken(f, name, copy != NULL))
        attribute(f, name, H5T_NATIVE_CHAR, strlen(text) + 1, copy, true);
    free(copy);
}

static char *read_text(struct file *f, const char *name)
{
    hid_t id = f->what ? -1 : H5Aopen(f->id, name, H5P_DEFAULT), space;
    hssize_t n = 0;
    char *text = NULL;

    if (broken(f, name, id >= 0))
        return NULL;
    space = H5Aget_space(id);
    n = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    H5Aclose(id);
    if (!broken(f, name, n > 0 && n < 100000000))
        text = ntk_alloc(f->ctx, (size_t)n, 1);
    if (broken(f, name, text != NULL))
        return NULL;
    attribute(f, name, H5T_NATIVE_CHAR, (hsize_t)n, text, false);
    text[n - 1] = '\0';
    return text;
}

/* ---- data sets [rows][columns] */

static void data_set(struct file *f, const char *name, hid_t type, int64_t rows, int64_t columns,
                     void *x, bool write)
{
    const hsize_t dims[] = {(hsize_t)rows, (hsize_t)columns};
    hid_t space, id;
    herr_t done;

    if (f->what)
        return;
    if (write) {
        space = H5Screate_simple(2, dims, NULL);
        id = H5Dcreate2(f->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    } else {
        id = H5Dopen2(f->id, name, H5P_DEFAULT);
        space = id < 0 ? id : H5Dget_space(id);
    }
    if (broken(f, name,
               id >= 0 && space >= 0 &&
                   H5Sget_simple_extent_npoints(space) == (hssize_t)(rows * columns)))
        return;
    done = write ? H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x)
                 : H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
    broken(f, name, done >= 0);
    H5Sclose(space);
    H5Dclose(id);
}

static bool has(const struct file *f, const char *name)
{
    return !f->what && H5Lexists(f->id, name, H5P_DEFAULT) > 0;
}

static int64_t rows_of(struct file *f, const char *name)
{
    hsize_t dims[2] = {0, 0};
    hid_t id = has(f, name) ? H5Dopen2(f->id, name, H5P_DEFAULT) : -1, space;

    if (broken(f, name, id >= 0))
        return 0;
    space = H5Dget_space(id);
    broken(f, name, H5Sget_simple_extent_ndims(space) == 2 &&
                        H5Sget_simple_extent_dims(space, dims, NULL) == 2 && dims[0] > 0);
    H5Sclose(space);
    H5Dclose(id);
    return (int64_t)dims[0];
}

/* ---- the parts of a model, written or read by the same lines */

static void options(struct file *f, ntk_model *m, bool write)
{
    int posterior = (int)m->opts.posterior, dtype = (int)m->opts.dtype, targets = (int)m->targets;

    attribute_int(f, "posterior", &posterior, write);
    attribute_int(f, "dtype", &dtype, write);
    attribute_int(f, "targets", &targets, write);
    attribute_int(f, "diag_reg_absolute", &m->opts.diag_reg_absolute, write);
    attribute_int(f, "finite_time", &m->opts.finite_time, write);
    attribute_int(f, "mean_loss", &m->opts.mean_loss, write);
    attribute_int(f, "covariance", &m->opts.covariance, write);
    attribute(f, "diag_reg", H5T_NATIVE_DOUBLE, 1, &m->opts.diag_reg, write);
    m->opts.posterior = (ntk_posterior)posterior;
    m->opts.dtype = (ntk_dtype)dtype;
    m->targets = (ntk_targets)targets;
    broken(f, "options", (dtype == NTK_F32 || dtype == NTK_F64) && posterior >= 0 &&
                             posterior <= NTK_POSTERIOR_NTKGP && targets >= 0 &&
                             targets <= NTK_CENTERED);
}

static void solution(struct file *f, ntk_model *m, bool write)
{
    struct ntk_solution *s = m->solution;
    const int64_t n = m->n, packed = (int64_t)ntk_rfp_size(n);

    attribute(f, "ridge", H5T_NATIVE_DOUBLE, 1, &s->ridge, write);
    if (m->opts.finite_time) {
        data_set(f, "vectors", H5T_NATIVE_DOUBLE, n, n, s->vectors, write);
        data_set(f, "values", H5T_NATIVE_DOUBLE, n, 1, s->values, write);
    } else {
        data_set(f, "factor", H5T_NATIVE_DOUBLE, packed, 1, s->factor.a, write);
    }
    if (m->both)
        data_set(f, "nngp", H5T_NATIVE_DOUBLE, packed, 1, s->nngp.a, write);
}

static void scaler(struct file *f, ntk_model *m, bool write)
{
    ntk_scaler *s = m->scaler;
    int kind = s ? (int)s->kind : -1;
    ntk_shape shape = s ? s->shape : (ntk_shape){.h = 1, .w = 1, .c = 1};

    attribute_int(f, "scaler_kind", &kind, write);
    attribute_shape(f, "scaler_shape", &shape, write);
    if (f->what || kind < 0)
        return;
    if (!write) {
        if (broken(f, "scaler", kind <= NTK_STD_CHANNEL &&
                                    ntk_scaler_new(f->ctx, (ntk_standardize)kind, shape,
                                                   &m->scaler) == NTK_OK))
            return;
        s = m->scaler;
    }
    if (s->n > 0) {
        data_set(f, "scaler_mean", H5T_NATIVE_DOUBLE, s->n, 1, s->mean, write);
        data_set(f, "scaler_deviation", H5T_NATIVE_DOUBLE, s->n, 1, s->deviation, write);
    }
}

/* ---- saving */

static void write_model(struct file *f, ntk_model *m, int with_factor)
{
    const hid_t real = m->x->dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    const int64_t features = ntk_features_of(m->x->shape);
    void *samples;
    char *net;

    memcpy(&samples, &m->x->x, sizeof samples); /* only read, but HDF5's reader shares the call */
    if (broken(f, "net", ntk_net_print(m->net, &net) == NTK_OK))
        return;
    write_text(f, "format", FORMAT);
    write_text(f, "net", net);
    ntk_text_free(net);
    options(f, m, true);
    {
        ntk_shape shape = m->x->shape;
        int dtype = (int)m->x->dtype;

        attribute_shape(f, "shape", &shape, true);
        attribute_int(f, "x_dtype", &dtype, true);
    }
    data_set(f, "x", real, m->n, features, samples, true);
    data_set(f, "y", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->y, true);
    data_set(f, "alpha", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->alpha, true);
    scaler(f, m, true);
    if (with_factor)
        solution(f, m, true);
}

ntk_status ntk_model_save(const ntk_model *model, const char *path, int with_factor)
{
    ntk_model copy = *model; /* reading and writing share code that takes a model to fill in */
    struct file f = {.ctx = model->ctx};
    struct ntk_outfile out;
    bool closed;

    if (with_factor)
        NTK_TRY(ntk_model_solve(model));
    if (strcmp(path, "-") == 0)
        return ntk_fail(model->ctx, NTK_EIO, "a model cannot be written to standard output");
    NTK_TRY(ntk_outfile_open(model->ctx, path, &out)); /* reserves the temporary name */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    f.id = H5Fcreate(out.tmp, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (!broken(&f, "file", f.id >= 0))
        write_model(&f, &copy, with_factor);
    closed = f.id < 0 || H5Fclose(f.id) >= 0;
    if (broken(&f, "file", closed)) {
        ntk_outfile_abort(&out);
        return ntk_fail(model->ctx, NTK_EIO, "cannot write %s: its part '%s' failed", path, f.what);
    }
    return ntk_outfile_commit(model->ctx, &out);
}

/* ---- loading */

static void read_samples(struct file *f, ntk_model *m)
{
    ntk_shape shape = {0};
    int dtype = 0;

    attribute_shape(f, "shape", &shape, false);
    attribute_int(f, "x_dtype", &dtype, false);
    m->n = rows_of(f, "x");
    m->outputs = rows_of(f, "y");
    if (broken(f, "shape",
               shape.h > 0 && shape.w > 0 && shape.c > 0 && shape.h < 1 << 20 &&
                   shape.w < 1 << 20 && shape.c < 1 << 30 && m->outputs < 1 << 20 &&
                   (dtype == NTK_F32 || dtype == NTK_F64)) ||
        broken(f, "x", ntk_data_alloc(f->ctx, (ntk_dtype)dtype, m->n, shape, &m->owned_x) ==
                           NTK_OK))
        return;
    m->x = m->owned_x;
    data_set(f, "x", dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE, m->n,
             ntk_features_of(shape), m->owned_x->owned_x, false);
    m->y = ntk_alloc(f->ctx, (size_t)(m->n * m->outputs), sizeof *m->y);
    m->alpha = ntk_alloc(f->ctx, (size_t)(m->n * m->outputs), sizeof *m->alpha);
    m->solution = ntk_alloc_zero(f->ctx, 1, sizeof *m->solution);
    if (broken(f, "memory", m->y && m->alpha && m->solution))
        return;
    data_set(f, "y", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->y, false);
    data_set(f, "alpha", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->alpha, false);
}

static void read_solution(struct file *f, ntk_model *m)
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
    if (!broken(f, "memory", memory))
        solution(f, m, false);
    s->ready = !f->what;
}

static ntk_status read_model(struct file *f, ntk_model *m)
{
    char *format = read_text(f, "format"), *net = NULL;
    const bool ours = format && strcmp(format, FORMAT) == 0;
    ntk_status status = NTK_OK;

    free(format);
    if (broken(f, "format", ours))
        return NTK_EIO;
    options(f, m, false);
    read_samples(f, m);
    scaler(f, m, false);
    net = read_text(f, "net");
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
    struct file f = {.ctx = ctx};
    ntk_model *m;
    ntk_status status;

    if (access(path, R_OK) != 0)
        return ntk_fail(ctx, NTK_EIO, "cannot read the model %s", path);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    f.id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f.id < 0)
        return ntk_fail(ctx, NTK_EIO, "%s is not an HDF5 file", path);
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
