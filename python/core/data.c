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

/* shifted(x, image or None, most, copies, seed): the numbers of all copies, as bytes; and how many copies there are */
static PyObject *shifted(PyObject *self, PyObject *args)
{
    PyObject *ox, *image, *result = NULL;
    long long most, copies;
    unsigned long long seed;
    struct samples x = {.data = NULL};
    ntk_data *all = NULL;
    ntk_shape shape;
    ntk_ctx *ctx;

    (void)self;
    if (!PyArg_ParseTuple(args, "OOLLK", &ox, &image, &most, &copies, &seed) || !(ctx = context_new()))
        return NULL;
    if ((image == Py_None || shape_get(image, &shape)) && samples_get(ctx, ox, "x", false, &x)) {
        ntk_status status = image == Py_None ? NTK_OK : ntk_data_set_image(x.data, shape);
        struct call call;

        call_begin(&call, ctx);
        if (status == NTK_OK)
            status = ntk_data_shifted(x.data, most, copies, seed, &all);
        if (call_end(&call, status)) {
            const ntk_shape s = ntk_data_shape(all);
            const int64_t n = ntk_data_n(all), bytes = n * s.h * s.w * s.c * (int64_t)ntk_data_dtype(all);

            result = Py_BuildValue("(NL)", PyByteArray_FromStringAndSize(ntk_data_x(all), bytes), (long long)(n / x.n));
        }
    }
    ntk_data_free(all);
    samples_release(&x);
    ntk_ctx_free(ctx);
    return result;
}

PyMethodDef data_methods[] = {
    {"shifted", shifted, METH_VARARGS, "shifted(x, image or None, most, copies, seed): (x, copies)"},
    {"load", load, METH_VARARGS, "load(source, dtype, limit, target, header, drop, features): (x, n, shape, y, outputs, words)"},
    {NULL, NULL, 0, NULL},
};
