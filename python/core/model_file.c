/* SPDX-License-Identifier: MIT
 *
 * model_file.c - ntk._core.Model in files, and what is kept with it there: names, the encoding of targets, the
 * standardisation.
 */
#include <string.h>

#include "core.h"

PyObject *model_load(PyObject *self, PyObject *args)
{
    const char *path;
    struct model *m;
    struct call call;
    bool ok;

    (void)self;
    if (!PyArg_ParseTuple(args, "s", &path) || !(m = model_new()))
        return NULL;
    ntk_fit_opts_init(&m->opts);
    call_begin(&call, m->owner.ctx);
    ok = call_end(&call, ntk_model_load(m->owner.ctx, path, &m->model));
    if (ok) {
        const ntk_status status = ntk_model_opts(m->model, &m->opts);

        ok = status == NTK_OK;
        if (!ok)
            raise_status(m->owner.ctx, status);
    }
    if (!ok)
        Py_CLEAR(m);
    return (PyObject *)m;
}

PyObject *model_save(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    const char *path;
    int with_factor;
    struct call call;
    bool ok;

    if (!PyArg_ParseTuple(args, "sp", &path, &with_factor) || !owner_lock(&m->owner))
        return NULL;
    call_begin(&call, m->owner.ctx);
    ok = call_end(&call, ntk_model_save(m->model, path, with_factor));
    owner_unlock(&m->owner);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* ---- bytes of what the library has; None for nothing */

static PyObject *bytes_of(const void *x, int64_t bytes)
{
    return x ? PyByteArray_FromStringAndSize(x, (Py_ssize_t)bytes) : Py_NewRef(Py_None);
}

static PyObject *doubles_of(const double *x, int64_t n) { return bytes_of(x, n * (int64_t)sizeof *x); }

/* ---- names */

/* The UTF-8 of a tuple of texts, which the texts own; the array is for the caller to free. */
static const char **texts_get(PyObject *names)
{
    const Py_ssize_t n = PyTuple_Size(names);
    const char **texts = n < 0 ? NULL : PyMem_Malloc((size_t)(n + 1) * sizeof *texts);

    for (Py_ssize_t k = 0; texts && k < n; k++) {
        Py_ssize_t size;

        texts[k] = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(names, k), &size);
        if (texts[k] && strlen(texts[k]) == (size_t)size)
            continue;
        if (texts[k])
            PyErr_Format(PyExc_ValueError, "the name %R has a character 0", PyTuple_GetItem(names, k));
        PyMem_Free(texts);
        return NULL;
    }
    return texts;
}

/* name(names, n_features, n_targets, n_classes, labels or None): names as ntk_schema_of_names has them */
PyObject *model_name(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    PyObject *on, *ol;
    Py_ssize_t features, targets, classes;
    struct array labels = {.held = false};
    const char **names = NULL;
    ntk_schema *schema = NULL;
    ntk_status status = NTK_OK;

    if (!PyArg_ParseTuple(args, "O!nnnO", &PyTuple_Type, &on, &features, &targets, &classes, &ol) ||
        !owner_lock(&m->owner))
        return NULL;
    if (array_numbers(ol, "labels", false, true, classes, &labels) && (names = texts_get(on))) {
        status = ntk_schema_of_names(m->owner.ctx, names, (size_t)features, (size_t)targets, (size_t)classes,
                                     labels.b.buf, &schema);
        if (status == NTK_OK)
            ntk_model_set_schema(m->model, schema);
        else
            raise_status(m->owner.ctx, status);
        ntk_schema_free(schema);
    }
    PyMem_Free(names);
    array_release(&labels);
    owner_unlock(&m->owner);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *tuple_of(const char *const *texts, size_t n)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);

    for (size_t k = 0; tuple && k < n; k++) {
        PyObject *text = PyUnicode_DecodeUTF8(texts[k], (Py_ssize_t)strlen(texts[k]), "replace");

        if (!text || PyTuple_SetItem(tuple, (Py_ssize_t)k, text) != 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* (features, targets, classes, labels): tuples of names, empty without; labels None: classes are words */
PyObject *model_names(PyObject *self, PyObject *unused)
{
    const ntk_schema *schema = ntk_model_schema(((struct model *)self)->model);
    const char *const *features = NULL, *const *targets = NULL, *const *classes = NULL;
    const double *labels = NULL;
    size_t n_features = 0, n_targets = 0, n_classes = 0;

    (void)unused;
    if (schema) {
        features = ntk_schema_features(schema, &n_features);
        targets = ntk_schema_targets(schema, &n_targets);
        classes = ntk_schema_classes(schema, &n_classes, &labels);
    }
    return Py_BuildValue("(NNNN)", tuple_of(features, n_features), tuple_of(targets, n_targets),
                         tuple_of(classes, n_classes), doubles_of(labels, (int64_t)n_classes));
}

/* ---- encoding */

/* (kind, shape, mean, deviation), or None, as a scaler. */
static bool scaler_get(ntk_ctx *ctx, PyObject *object, ntk_scaler **scaler)
{
    PyObject *os, *om, *od;
    struct array mean = {.held = false}, deviation = {.held = false};
    ntk_shape shape;
    ntk_status status;
    int kind;
    bool ok = true;

    if (object == Py_None)
        return true;
    if (!PyArg_ParseTuple(object, "iOOO", &kind, &os, &om, &od) || !shape_get(os, &shape))
        return false;
    if (array_numbers(om, "mean", false, false, PyObject_Size(om), &mean) &&
        array_numbers(od, "deviation", false, false, PyObject_Size(om), &deviation)) {
        status = ntk_scaler_of_numbers(ctx, (ntk_standardize)kind, shape, mean.b.buf, deviation.b.buf, scaler);
        if (status != NTK_OK)
            raise_status(ctx, status);
    }
    ok = *scaler != NULL;
    array_release(&mean);
    array_release(&deviation);
    return ok;
}

/* encode(targets, shift or None, scale or None, scaler or None) */
PyObject *model_encode(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    const int64_t c = ntk_model_outputs(m->model);
    PyObject *oa, *ob, *os;
    struct array shift = {.held = false}, scale = {.held = false};
    ntk_scaler *scaler = NULL;
    int targets;

    if (!PyArg_ParseTuple(args, "iOOO", &targets, &oa, &ob, &os) || !owner_lock(&m->owner))
        return NULL;
    if (array_numbers(oa, "shift", false, true, c, &shift) && array_numbers(ob, "scale", false, true, c, &scale) &&
        scaler_get(m->owner.ctx, os, &scaler)) {
        ntk_status status = ntk_model_set_encoding(m->model, scaler, (ntk_targets)targets);

        if (status == NTK_OK)
            status = ntk_model_set_units(m->model, shift.b.buf, scale.b.buf);
        if (status != NTK_OK)
            raise_status(m->owner.ctx, status);
    }
    ntk_scaler_free(scaler);
    array_release(&shift);
    array_release(&scale);
    owner_unlock(&m->owner);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* (targets, shift, scale, (kind, shape, mean, deviation)), None for what there is not */
PyObject *model_encoding(PyObject *self, PyObject *unused)
{
    const ntk_model *model = ((struct model *)self)->model;
    const int64_t c = ntk_model_outputs(model);
    const ntk_scaler *scaler;
    const double *shift, *scale, *mean, *deviation;
    PyObject *standardised = Py_NewRef(Py_None);
    ntk_targets targets;

    (void)unused;
    ntk_model_encoding(model, &scaler, &targets);
    ntk_model_units(model, &shift, &scale);
    if (scaler && ntk_scaler_kind(scaler) != NTK_STD_NONE) {
        const int64_t n = ntk_scaler_numbers(scaler, &mean, &deviation);

        Py_DECREF(standardised);
        standardised = Py_BuildValue("(iNNN)", (int)ntk_scaler_kind(scaler), shape_tuple(ntk_scaler_shape(scaler)),
                                     doubles_of(mean, n), doubles_of(deviation, n));
    }
    return standardised ? Py_BuildValue("(iNNN)", (int)targets, doubles_of(shift, c), doubles_of(scale, c), standardised)
                        : NULL;
}

/* ---- what it was fitted to */

/* (text, posterior, dtype, diag_reg, absolute, finite_time, covariance, weights, noise) */
PyObject *model_options(PyObject *self, PyObject *unused)
{
    const struct model *m = (struct model *)self;
    const int64_t n = ntk_data_n(ntk_model_x(m->model));
    PyObject *result;
    char *text;
    ntk_status status = ntk_net_print(ntk_model_net(m->model), &text);

    (void)unused;
    if (status != NTK_OK) {
        raise_status(m->owner.ctx, status);
        return NULL;
    }
    result = Py_BuildValue("(siCdNNNNNL)", text, (int)m->opts.posterior, m->opts.dtype == NTK_F32 ? 'f' : 'd',
                           m->opts.diag_reg, PyBool_FromLong(m->opts.diag_reg_absolute),
                           PyBool_FromLong(m->opts.finite_time), PyBool_FromLong(m->opts.covariance),
                           doubles_of(m->opts.weights, n), doubles_of(m->opts.noise, n),
                           (long long)m->opts.landmarks);
    ntk_text_free(text);
    return result;
}

/* (x, dtype, n, shape, y): x and y, [n][outputs], as bytes */
PyObject *model_samples(PyObject *self, PyObject *unused)
{
    const ntk_model *model = ((struct model *)self)->model;
    const ntk_data *x = ntk_model_x(model);
    const ntk_shape shape = ntk_data_shape(x);
    const int64_t n = ntk_data_n(x), numbers = n * shape.h * shape.w * shape.c;
    PyObject *y = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(n * ntk_model_outputs(model) * NTK_F64));

    (void)unused;
    if (!y)
        return NULL;
    ntk_model_y(model, (double *)(void *)PyByteArray_AsString(y));
    return Py_BuildValue("(NCLNN)", bytes_of(ntk_data_x(x), numbers * (int64_t)ntk_data_dtype(x)),
                         ntk_data_dtype(x) == NTK_F32 ? 'f' : 'd', (long long)n, shape_tuple(shape), y);
}

/* symmetry(): (symmetry, image) of its samples, as fit takes them. */
PyObject *model_symmetry(PyObject *self, PyObject *unused)
{
    const ntk_data *x = ntk_model_x(((struct model *)self)->model);

    (void)unused;
    if (!x)
        return Py_BuildValue("(iO)", 0, Py_None);
    return Py_BuildValue("(iN)", (int)ntk_data_symmetry(x, NULL), shape_tuple(ntk_data_image(x)));
}
