/* SPDX-License-Identifier: MIT
 *
 * arrays.c - buffers of numbers, shapes and samples.
 */
#include <string.h>

#include "core.h"

bool array_get(PyObject *object, const char *name, bool writable, struct array *out)
{
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    const char *format;

    *out = (struct array){.held = false};
    if (PyObject_GetBuffer(object, &out->b, flags) != 0)
        return false;
    out->held = true;
    format = out->b.format ? out->b.format : "B";
    if (strcmp(format, "f") == 0 || strcmp(format, "d") == 0) {
        out->dtype = format[0] == 'f' ? NTK_F32 : NTK_F64;
        return true;
    }
    PyErr_Format(PyExc_ValueError, "%s must be of float32 or float64, got format '%s'", name, format);
    array_release(out);
    return false;
}

bool array_typed(PyObject *object, const char *name, bool writable, ntk_dtype dtype, Py_ssize_t count,
                 struct array *out)
{
    if (!array_get(object, name, writable, out))
        return false;
    if (out->dtype == dtype && out->b.len == count * (Py_ssize_t)dtype)
        return true;
    PyErr_Format(PyExc_ValueError, "%s must have %zd numbers of float%d, got %zd of float%d", name,
                 count, 8 * (int)dtype, out->b.len / (Py_ssize_t)out->dtype, 8 * (int)out->dtype);
    array_release(out);
    return false;
}

bool array_numbers(PyObject *object, const char *name, bool writable, bool optional, Py_ssize_t count,
                   struct array *out)
{
    if (optional && object == Py_None) {
        memset(out, 0, sizeof *out);
        return true;
    }
    return array_typed(object, name, writable, NTK_F64, count, out);
}

bool array_times(PyObject *object, struct array *out, Py_ssize_t *count)
{
    if (!array_get(object, "times", false, out))
        return false;
    *count = out->b.len / NTK_F64;
    if (out->dtype != NTK_F64)
        PyErr_SetString(PyExc_ValueError, "times must be float64");
    return out->dtype == NTK_F64;
}

void array_release(struct array *a)
{
    if (a->held)
        PyBuffer_Release(&a->b);
    a->held = false;
}

/* ---- shapes */

static ntk_shape shape_of(int dimensions, const Py_ssize_t *d)
{
    ntk_shape shape = {.spatial = dimensions - 1, .h = 1, .w = 1, .c = d[dimensions - 1]};

    if (dimensions > 1)
        shape.w = d[dimensions - 2];
    if (dimensions > 2)
        shape.h = d[0];
    return shape;
}

bool shape_get(PyObject *object, ntk_shape *out)
{
    const Py_ssize_t n = PyTuple_Check(object) ? PyTuple_Size(object) : -1;
    Py_ssize_t d[3];

    if (n < 1 || n > 3) {
        PyErr_SetString(PyExc_ValueError, "the shape of a sample must be (c,), (w, c) or (h, w, c)");
        return false;
    }
    for (Py_ssize_t k = 0; k < n; k++) {
        d[k] = PyLong_AsSsize_t(PyTuple_GetItem(object, k));
        if (!PyErr_Occurred())
            continue;
        if (PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_Format(PyExc_ValueError, "a sample of the shape %S is too large", object);
        return false;
    }
    *out = shape_of((int)n, d);
    return true;
}

PyObject *shape_tuple(ntk_shape shape)
{
    if (shape.spatial == 0)
        return Py_BuildValue("(L)", (long long)shape.c);
    if (shape.spatial == 1)
        return Py_BuildValue("(LL)", (long long)shape.w, (long long)shape.c);
    return Py_BuildValue("(LLL)", (long long)shape.h, (long long)shape.w, (long long)shape.c);
}

bool dtype_get(int character, ntk_dtype *out)
{
    *out = character == 'f' ? NTK_F32 : NTK_F64;
    if (character != 'f' && character != 'd')
        PyErr_Format(PyExc_ValueError, "dtype must be float32 or float64, got type code '%c'", character);
    return character == 'f' || character == 'd';
}

/* ---- samples */

bool samples_get(ntk_ctx *ctx, PyObject *object, const char *name, bool optional, struct samples *out)
{
    const Py_buffer *b = &out->array.b;
    ntk_status status;

    memset(out, 0, sizeof *out);
    if (optional && object == Py_None)
        return true;
    if (!array_get(object, name, false, &out->array))
        return false;
    if (b->ndim < 2 || b->ndim > 4) {
        PyErr_Format(PyExc_ValueError,
                     "%s must have the shape [n][c], [n][w][c] or [n][h][w][c], got %d dimensions", name,
                     b->ndim);
        array_release(&out->array);
        return false;
    }
    out->n = b->shape[0];
    out->shape = shape_of(b->ndim - 1, b->shape + 1);
    status = ntk_data_view(ctx, b->buf, out->array.dtype, out->n, out->shape, &out->data);
    if (status != NTK_OK) {
        raise_status(ctx, status);
        array_release(&out->array);
    }
    return status == NTK_OK;
}

void samples_release(struct samples *s)
{
    ntk_data_free(s->data);
    array_release(&s->array);
    s->data = NULL;
}
