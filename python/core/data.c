/* SPDX-License-Identifier: MIT
 *
 * data.c - data sets that the library reads.
 */
#include "core.h"

/* load(source, dtype, limit, target or None): (x, n, shape, y or None, outputs), x and y as bytes */
static PyObject *load(PyObject *self, PyObject *args)
{
    const char *source;
    int character;
    long long limit;
    ntk_load_opts o;
    ntk_data *data = NULL;
    ntk_ctx *ctx;
    struct call call;
    PyObject *result = NULL;

    (void)self;
    ntk_load_opts_init(&o);
    if (!PyArg_ParseTuple(args, "sCLz", &source, &character, &limit, &o.target) ||
        !dtype_get(character, &o.dtype) || !(ctx = context_new()))
        return NULL;
    o.limit = limit;
    call_begin(&call, ctx);
    if (call_end(&call, ntk_data_load(ctx, source, &o, &data))) {
        const ntk_shape shape = ntk_data_shape(data);
        const int64_t n = ntk_data_n(data), numbers = n * shape.h * shape.w * shape.c;
        int64_t outputs = 0;
        const double *y = ntk_data_y(data, &outputs);
        PyObject *labels = y ? PyByteArray_FromStringAndSize((const char *)y,
                                                             n * outputs * (int64_t)sizeof *y)
                             : Py_NewRef(Py_None);

        result = Py_BuildValue("(NLNNL)",
                               PyByteArray_FromStringAndSize(ntk_data_x(data),
                                                             numbers * (int64_t)ntk_data_dtype(data)),
                               (long long)n, shape_tuple(shape), labels, (long long)outputs);
    }
    ntk_data_free(data);
    ntk_ctx_free(ctx);
    return result;
}

PyMethodDef data_methods[] = {
    {"load", load, METH_VARARGS, "load(source, dtype, limit, target): (x, n, shape, y, outputs)"},
    {NULL, NULL, 0, NULL},
};
