/* SPDX-License-Identifier: MIT
 *
 * model_io.c - models in HDF5 files.
 *
 *     attributes  format ("libntk model 2"; 1 is the same, 3 has weights, noise or units, 4 landmarks, symmetry or copied), net,
 *                 posterior, dtype, diag_reg, diag_reg_absolute, finite_time, mean_loss, covariance, targets, shape [4]; if
 *                 samples stand for their copies, too: symmetry, image [4]; if some are shifted copies of others: copied
 *     x [n][features]    y, alpha [outputs][n]
 *     net is a data set if it is longer than an attribute can be
 *     the standardisation: data/scaler_io.c
 *     the columns and classes of the training data, if they have names: data/schema_io.c
 *     weights, noise [n], units [2][outputs] of the targets, shifts and scales, if it has such
 *     with landmarks (attribute landmarks, their number) x, y are they and their targets, alpha theirs, and there are no
 *     weights and noise; with the factor: ridge, and the lower triangles of two factors, row by row: whitening, of their
 *     kernel matrix, and inner, of the whitened normal equations with the ridge
 *     with the factor: ridge (attribute) and the solver's parts (cholesky: factor; eigen: vectors, and values with the
 *     ridge), nngp. Other solvers' factors are not saved.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "predict/landmarks.h"
#include "predict/model.h"

#ifdef NTK_HDF5

#include "base/h5.h"

#define KIND   "model"
#define PLAIN   2 /* the format that is written without weights, noise and units: earlier versions read it */
#define WEIGHED 3 /* with one of them */
#define FORMAT  4 /* the newest: with landmarks, which earlier versions would take for all samples, or samples with copies */

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
    if (!write && H5Aexists(f->id, "landmarks") > 0)
        m->opts.solver = "landmarks";
    else if (!write) /* a ridge that was chosen has eigenvectors, too */
        m->opts.solver = H5Lexists(f->id, "vectors", H5P_DEFAULT) > 0 ? "eigen" : ntk_model_solver_name(&m->opts);
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

/* A factor that has parts. The file's values are those of K + ridge. */
static void solution(struct ntk_h5 *f, ntk_model *m, bool write)
{
    struct ntk_solution *s = m->solution;
    struct ntk_solver_part p;

    ntk_h5_attribute(f, "ridge", H5T_NATIVE_DOUBLE, 1, &s->ridge, write);
    for (size_t k = 0; s->solver->class->part(s->solver, k, &p); k++)
        ntk_h5_matrix(f, p.name, H5T_NATIVE_DOUBLE, p.rows, p.columns,
                      strcmp(p.name, "values") == 0 ? s->values : p.x, write);
    if (s->nngp)
        ntk_h5_matrix(f, "nngp", H5T_NATIVE_DOUBLE, (int64_t)ntk_rfp_size(m->n), 1, s->nngp->a, write);
}

/* ---- landmarks */

/* A lower triangle, column-major in memory. */
static void triangle(struct ntk_h5 *f, const char *name, int64_t m, double **square, bool write)
{
    const int64_t numbers = m * (m + 1) / 2;
    double *packed = NULL;

    if (f->what || (!write && !has_matrix(f, name, numbers, 1)))
        return;
    packed = ntk_alloc(f->ctx, (size_t)numbers, sizeof *packed);
    if (!write)
        *square = ntk_alloc_zero(f->ctx, (size_t)m * (size_t)m, sizeof **square);
    if (!ntk_h5_failed(f, name, packed && *square ? NTK_OK : NTK_ENOMEM)) {
        for (int64_t i = 0, k = 0; write && i < m; i++)
            for (int64_t j = 0; j <= i; j++)
                packed[k++] = (*square)[j * m + i];
        ntk_h5_matrix(f, name, H5T_NATIVE_DOUBLE, numbers, 1, packed, write);
        if (!write)
            need_finite(f, name, packed, (size_t)numbers);
        for (int64_t i = 0, k = 0; !write && !f->what && i < m; i++) {
            for (int64_t j = 0; j <= i; j++)
                (*square)[j * m + i] = packed[k++];
            ntk_h5_wrong(f, name, (*square)[i * (m + 1)] > 0, "has a number on its diagonal that is not positive");
        }
    }
    free(packed);
}

static void landmark_factors(struct ntk_h5 *f, ntk_model *m, bool write)
{
    double ridge = write ? ntk_landmarks_ridge(m) : 0;

    if (f->what || (!write && H5Aexists(f->id, "ridge") <= 0))
        return;
    ntk_h5_attribute(f, "ridge", H5T_NATIVE_DOUBLE, 1, &ridge, write);
    ntk_h5_wrong(f, "ridge", ridge >= 0 && isfinite(ridge), "is not a number from 0 on");
    triangle(f, "whitening", m->land->m, &m->land->c, write);
    triangle(f, "inner", m->land->m, &m->land->inner, write);
    m->solution->ridge = ridge;
}

/* Landmarks are samples and their targets of the model in the file. */
static ntk_status write_landmarks(struct ntk_h5 *f, ntk_model *m)
{
    struct ntk_landmarks *l = m->land;
    double *y = NULL;
    int count = (int)l->m;

    if (l->rows) {
        y = ntk_alloc(f->ctx, (size_t)(m->outputs * l->m), sizeof *y);
        if (!y)
            return NTK_ENOMEM;
        for (int64_t c = 0; c < m->outputs; c++)
            for (int64_t j = 0; j < l->m; j++)
                y[c * l->m + j] = m->y[c * m->n + l->rows[j]];
    }
    ntk_h5_int(f, "landmarks", &count, true);
    ntk_h5_matrix(f, "y", H5T_NATIVE_DOUBLE, m->outputs, l->m, y ? y : m->y, true);
    free(y);
    return NTK_OK;
}

/* The samples that were read are landmarks. */
static ntk_status read_landmarks(struct ntk_h5 *f, ntk_model *m)
{
    int count = 0;

    if (H5Aexists(f->id, "landmarks") <= 0)
        return NTK_OK;
    m->land = ntk_alloc_zero(f->ctx, 1, sizeof *m->land);
    if (!m->land)
        return NTK_ENOMEM;
    ntk_h5_int(f, "landmarks", &count, false);
    ntk_h5_wrong(f, "landmarks", count == m->n, "is not the number of samples in the file");
    m->land->m = m->n;
    m->opts.landmarks = m->n;
    return NTK_OK;
}

/* ---- saving */

static void write_model(struct ntk_h5 *f, ntk_model *m, int with_factor)
{
    const hid_t real = m->x->dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
    const int64_t features = ntk_features_of(m->x->shape), n = ntk_model_centers(m);
    const bool weighed = m->weights || m->noise;
    void *samples;
    char *net;

    memcpy(&samples, &ntk_model_centers_x(m)->x, sizeof samples); /* only read, but HDF5's reader shares the call */
    if (ntk_h5_failed(f, "net", ntk_net_print(m->net, &net)))
        return;
    ntk_h5_write_format(f, KIND, m->land || m->x->symmetry || m->x->copied ? FORMAT : weighed || m->units ? WEIGHED : PLAIN);
    ntk_h5_write_text(f, "net", net);
    ntk_text_free(net);
    options(f, m, true);
    {
        ntk_shape shape = m->x->shape;
        int dtype = (int)m->x->dtype;

        ntk_h5_shape(f, "shape", &shape, true);
        ntk_h5_int(f, "x_dtype", &dtype, true);
    }
    if (m->x->copied) {
        int copied = 1;

        ntk_h5_int(f, "copied", &copied, true);
    }
    if (m->x->symmetry) {
        ntk_shape image = m->x->symmetry->image;
        int kinds = (int)m->x->symmetry->kinds;

        ntk_h5_shape(f, "image", &image, true);
        ntk_h5_int(f, "symmetry", &kinds, true);
    }
    ntk_h5_matrix(f, "x", real, n, features, samples, true);
    if (m->land)
        ntk_h5_failed(f, "y", write_landmarks(f, m));
    else
        ntk_h5_matrix(f, "y", H5T_NATIVE_DOUBLE, m->outputs, m->n, m->y, true);
    ntk_h5_matrix(f, "alpha", H5T_NATIVE_DOUBLE, m->outputs, n, m->alpha, true);
    ntk_scaler_io(f, m->x->shape, &m->scaler, true);
    ntk_schema_write(f, m->schema);
    if (m->weights && !m->land)
        ntk_h5_matrix(f, "weights", H5T_NATIVE_DOUBLE, m->n, 1, m->weights, true);
    if (m->noise && !m->land)
        ntk_h5_matrix(f, "noise", H5T_NATIVE_DOUBLE, m->n, 1, m->noise, true);
    if (m->units)
        ntk_h5_matrix(f, "units", H5T_NATIVE_DOUBLE, 2, m->outputs, m->units, true);
    if (with_factor && m->land)
        landmark_factors(f, m, true);
    else if (with_factor)
        solution(f, m, true);
}

static ntk_status factors_of_landmarks(const ntk_model *m)
{
    const struct ntk_blas blas = ntk_blas_begin(1);
    const ntk_status status = ntk_landmarks_inner(m);

    ntk_blas_end(blas);
    return status;
}

ntk_status ntk_model_save(const ntk_model *model, const char *path, int with_factor)
{
    ntk_model copy = *model; /* reading and writing share code that takes a model to fill in */
    struct ntk_h5 f = {.ctx = model->ctx};

    NTK_TRY(ntk_model_check_samples(model));
    NTK_TRY(ntk_check_saved(model->ctx, model->schema, model->scaler, ntk_features_of(model->x->shape), model->outputs));
    if (with_factor || !model->solution->solved)
        NTK_TRY(ntk_model_solve(model));
    if (with_factor && model->land)
        NTK_TRY(factors_of_landmarks(model));
    else if (with_factor && !model->solution->solver->class->part)
        return ntk_fail(model->ctx, NTK_ENOTSUP, "the solver '%s' has no factor to save: save the model without",
                        model->solution->solver->class->name);
    copy.opts.diag_reg = model->solution->diag_reg;
    copy.opts.diag_reg_absolute = model->solution->absolute;
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
    m->n = m->n_all = x[0];
    m->outputs = y[0];
}

/* Of what will be read. A file without "ridge" has no solution. */
static ntk_status check_memory(const struct ntk_h5 *f, const ntk_model *m, size_t x_bytes)
{
    const bool whole = H5Aexists(f->id, "landmarks") <= 0;
    const size_t squares = ntk_bytes(3.0 * (double)m->n * (double)m->n * sizeof(double));
    const size_t bytes = H5Aexists(f->id, "ridge") > 0
                             ? !whole ? squares : ntk_model_matrices(&m->opts, m->n, m->outputs)
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
    m->x = m->all = m->owned_x;
    m->y = ntk_alloc(f->ctx, numbers, sizeof *m->y);
    m->alpha = ntk_alloc(f->ctx, numbers, sizeof *m->alpha);
    if (ntk_h5_failed(f, "y", m->y && m->alpha ? NTK_OK : NTK_ENOMEM))
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

/* What samples stand for, and whether some are copies of others. */
static void read_symmetry(struct ntk_h5 *f, ntk_model *m)
{
    ntk_shape image = {0};
    int kinds = 0;

    if (f->what)
        return;
    m->owned_x->copied = H5Aexists(f->id, "copied") > 0;
    if (H5Aexists(f->id, "symmetry") <= 0)
        return;
    ntk_h5_shape(f, "image", &image, false);
    ntk_h5_int(f, "symmetry", &kinds, false);
    if (!f->what && !ntk_h5_failed(f, "image", ntk_data_set_image(m->owned_x, image)))
        ntk_h5_failed(f, "symmetry", ntk_data_set_symmetry(m->owned_x, (unsigned)kinds));
}

/* Weights or noise, [n], >= 0. */
static void read_diagonal(struct ntk_h5 *f, const char *name, int64_t n, double **x)
{
    if (f->what || H5Lexists(f->id, name, H5P_DEFAULT) <= 0 || !has_matrix(f, name, n, 1))
        return;
    *x = ntk_alloc(f->ctx, (size_t)n, sizeof **x);
    if (ntk_h5_failed(f, name, *x ? NTK_OK : NTK_ENOMEM))
        return;
    ntk_h5_matrix(f, name, H5T_NATIVE_DOUBLE, n, 1, *x, false);
    need_finite(f, name, *x, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        ntk_h5_wrong(f, name, f->what || (*x)[i] >= 0, "has a number below 0");
}

static void read_weights(struct ntk_h5 *f, ntk_model *m)
{
    read_diagonal(f, "weights", m->n, &m->weights);
    read_diagonal(f, "noise", m->n, &m->noise);
    for (int64_t i = 0; m->weights && !f->what && i < m->n; i++)
        ntk_h5_wrong(f, "weights", m->weights[i] > 0, "has a 0");
}

static void read_units(struct ntk_h5 *f, ntk_model *m)
{
    const size_t n = (size_t)m->outputs;

    if (f->what || H5Lexists(f->id, "units", H5P_DEFAULT) <= 0 || !has_matrix(f, "units", 2, m->outputs))
        return;
    m->units = ntk_alloc(f->ctx, 2 * n, sizeof *m->units);
    if (ntk_h5_failed(f, "units", m->units ? NTK_OK : NTK_ENOMEM))
        return;
    ntk_h5_matrix(f, "units", H5T_NATIVE_DOUBLE, 2, m->outputs, m->units, false);
    need_finite(f, "units", m->units, 2 * n);
    for (size_t k = n; k < 2 * n; k++)
        ntk_h5_wrong(f, "units", f->what || m->units[k] > 0, "has a scale that is not above 0");
}

/* What a factorisation leaves: a positive diagonal, ascending eigenvalues. */
static void check_solution(struct ntk_h5 *f, const ntk_model *m)
{
    const struct ntk_solution *s = m->solution;
    struct ntk_solver_part p;

    ntk_h5_wrong(f, "ridge", s->ridge >= 0 && isfinite(s->ridge), "is not a number from 0 on");
    if (f->what)
        return;
    if (s->nngp)
        need_finite(f, "nngp", s->nngp->a, ntk_rfp_size(m->n));
    for (size_t k = 0; s->solver->class->part(s->solver, k, &p); k++)
        if (strcmp(p.name, "values") != 0)
            need_finite(f, p.name, p.x, (size_t)p.rows * (size_t)p.columns);
    if (s->values) {
        need_finite(f, "values", s->values, (size_t)m->n);
        for (int64_t k = 1; k < m->n; k++)
            ntk_h5_wrong(f, "values", s->values[k - 1] <= s->values[k], "is not ascending");
        return;
    }
    if (s->solver->class->part(s->solver, 0, &p)) {
        const struct ntk_rfp factor = {.n = m->n, .a = p.x};

        for (int64_t k = 0; k < m->n; k++)
            ntk_h5_wrong(f, "factor", *ntk_rfp_at(&factor, k, k) > 0,
                         "has a number on its diagonal that is not positive");
    }
}

/* Room for a factor, if all of it is in the file. */
static ntk_status make_room(struct ntk_h5 *f, ntk_model *m)
{
    struct ntk_solution *s = m->solution;
    struct ntk_solver_part p;

    if (ntk_model_ensemble(&m->opts) && !has_matrix(f, "nngp", (int64_t)ntk_rfp_size(m->n), 1))
        return NTK_OK;
    NTK_TRY(ntk_model_open(m, NULL, 0, 0));
    NTK_TRY(ntk_model_solver(m));
    for (size_t k = 0; s->solver->class->part(s->solver, k, &p); k++)
        if (!has_matrix(f, p.name, p.rows, p.columns))
            return NTK_OK;
    if (s->solver->class->eigen && !(s->values = ntk_alloc(f->ctx, (size_t)m->n, sizeof *s->values)))
        return NTK_ENOMEM;
    return ntk_model_ensemble(&m->opts) ? ntk_model_nngp(m) : NTK_OK;
}

static ntk_status restore(const ntk_model *m)
{
    const struct ntk_solution *s = m->solution;
    double *diagonal = ntk_alloc(m->ctx, (size_t)m->n, sizeof *diagonal);
    struct ntk_solver_part p;
    ntk_status status;

    if (!diagonal)
        return NTK_ENOMEM;
    for (size_t k = 0; s->solver->class->part(s->solver, k, &p); k++)
        for (int64_t i = 0; strcmp(p.name, "values") == 0 && i < m->n; i++)
            p.x[i] = s->values[i] - ntk_model_added(m);
    ntk_model_diagonal(m, s->ridge, diagonal);
    status = ntk_solver_restored(s->solver, diagonal);
    free(diagonal);
    return status;
}

static void read_solution(struct ntk_h5 *f, ntk_model *m)
{
    if (f->what || H5Aexists(f->id, "ridge") <= 0)
        return;
    if (ntk_h5_failed(f, "factor", make_room(f, m)) || f->what)
        return;
    solution(f, m, false);
    check_solution(f, m);
    if (!f->what && !ntk_h5_failed(f, "factor", restore(m)))
        ntk_model_ready(m);
}

static ntk_status read_model(struct ntk_h5 *f, ntk_model *m)
{
    char *net;
    ntk_status status;

    ntk_h5_read_format(f, KIND, FORMAT);
    options(f, m, false);
    read_samples(f, m);
    read_symmetry(f, m);
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
    if (!f->what)
        read_weights(f, m);
    read_units(f, m);
    if (status == NTK_OK && !f->what)
        status = read_landmarks(f, m);
    if (status == NTK_OK && !f->what) {
        m->opts.size = sizeof m->opts;
        status = ntk_model_start(m);
    }
    if (status == NTK_OK && !f->what) {
        m->solution->solved = true;
        if (m->land)
            landmark_factors(f, m, false);
        else
            read_solution(f, m);
    }
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
