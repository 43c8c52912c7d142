/* SPDX-License-Identifier: MIT
 *
 * data.c - data sets that the library reads.
 */
#include <string.h>

#include "core.h"

/* Names of classes that are words, whose places labels are then; None for numbers. */
static PyObject *words_of(const ntk_data *data)
{
    const ntk_schema *schema = ntk_data_schema(data);
    const double *labels = NULL;
    size_t n = 0;
    const char *const *names = schema ? ntk_schema_classes(schema, &n, &labels) : NULL;
    PyObject *list;

    if (!n || labels)
        return Py_NewRef(Py_None);
    list = PyList_New((Py_ssize_t)n);
    for (size_t k = 0; list && k < n; k++) {
        PyObject *word = PyUnicode_DecodeUTF8(names[k], (Py_ssize_t)strlen(names[k]), "replace");

        if (!word || PyList_SetItem(list, (Py_ssize_t)k, word) != 0)
            Py_CLEAR(list);
    }
    return list;
}

/* load(source, dtype, limit, target, header, drop, features): (x, n, shape, y, outputs, words), x and y as
 * bytes; None for what is not given or not there */
static PyObject *load(PyObject *self, PyObject *args)
{
    const char *source;
    int character, header;
    long long limit;
    ntk_load_opts o;
    ntk_data *data = NULL;
    ntk_ctx *ctx;
    struct call call;
    PyObject *result = NULL;

    (void)self;
    ntk_load_opts_init(&o);
    if (!PyArg_ParseTuple(args, "sCLzizz", &source, &character, &limit, &o.target, &header, &o.drop,
                          &o.features) ||
        !dtype_get(character, &o.dtype) || !(ctx = context_new()))
        return NULL;
    o.limit = limit;
    o.header = (ntk_header)header;
    call_begin(&call, ctx);
    if (call_end(&call, ntk_data_load(ctx, source, &o, &data))) {
        const ntk_shape shape = ntk_data_shape(data);
        const int64_t n = ntk_data_n(data), numbers = n * shape.h * shape.w * shape.c;
        int64_t outputs = 0;
        const double *y = ntk_data_y(data, &outputs);
        PyObject *labels = y ? PyByteArray_FromStringAndSize((const char *)y,
                                                             n * outputs * (int64_t)sizeof *y)
                             : Py_NewRef(Py_None);

        result = Py_BuildValue("(NLNNLN)",
                               PyByteArray_FromStringAndSize(ntk_data_x(data),
                                                             numbers * (int64_t)ntk_data_dtype(data)),
                               (long long)n, shape_tuple(shape), labels, (long long)outputs,
                               words_of(data));
    }
    ntk_data_free(data);
    ntk_ctx_free(ctx);
    return result;
}

PyMethodDef data_methods[] = {
    {"load", load, METH_VARARGS, "load(source, dtype, limit, target, header, drop, features): (x, n, shape, y, outputs, words)"},
    {NULL, NULL, 0, NULL},
};
