/* SPDX-License-Identifier: MIT
 *
 * kernel.c - infinite kernels of several nets at once.
 */
#include <string.h>

#include "core.h"

#define MOST_NETS 64

/* Nets compiled for samples. */
struct compiled {
    ntk_ctx *ctx;
    ntk_kernel *kernel;
    size_t outputs;
};

static void compiled_free(struct compiled *k)
{
    ntk_kernel_free(k->kernel);
    ntk_ctx_free(k->ctx);
}

static bool compile(struct compiled *k, PyObject *texts, unsigned want, ntk_dtype dtype,
                    ntk_shape shape)
{
    ntk_net *nets[MOST_NETS];
    const Py_ssize_t n = PyTuple_Size(texts);
    Py_ssize_t parsed = 0;
    ntk_status status;

    if (n < 1 || n > MOST_NETS) {
        PyErr_Format(PyExc_ValueError, "1 to %d nets are computed at once, got %zd", MOST_NETS, n);
        return false;
    }
    for (; parsed < n; parsed++) {
        PyObject *text = PyUnicode_AsUTF8String(PyTuple_GetItem(texts, parsed));

        nets[parsed] = text ? net_parse(k->ctx, PyBytes_AsString(text)) : NULL;
        Py_XDECREF(text);
        if (!nets[parsed])
            break;
    }
    if (parsed == n) {
        status = ntk_kernel_new(k->ctx, (const ntk_net *const *)nets, (size_t)n, want, dtype, shape,
                                &k->kernel);
        if (status == NTK_OK)
            k->outputs = ntk_kernel_outputs(k->kernel);
        else
            raise_status(k->ctx, status);
    }
    while (parsed > 0)
        ntk_net_free(nets[--parsed]);
    return k->kernel != NULL;
}

/* The writable arrays of a tuple, as many as the kernel has outputs. */
static bool outputs_get(const struct compiled *k, PyObject *tuple, ntk_dtype dtype, Py_ssize_t count,
                        struct array *arrays, void **pointers)
{
    if (PyTuple_Size(tuple) != (Py_ssize_t)k->outputs) {
        PyErr_Format(PyExc_ValueError, "%zu outputs are needed", k->outputs);
        return false;
    }
    for (size_t m = 0; m < k->outputs; m++) {
        if (!array_typed(PyTuple_GetItem(tuple, (Py_ssize_t)m), "out", true, dtype, count, &arrays[m]))
            return false;
        pointers[m] = arrays[m].b.buf;
    }
    return true;
}

static PyObject *none_or_null(bool ok) { return ok ? Py_NewRef(Py_None) : NULL; }

/* kernel(texts, want, dtype, x1, x2, outs) */
static PyObject *kernel(PyObject *self, PyObject *args)
{
    PyObject *texts, *o1, *o2, *outs;
    struct compiled k = {NULL};
    struct samples x1 = {.data = NULL}, x2 = {.data = NULL};
    struct array arrays[2 * MOST_NETS];
    void *pointers[2 * MOST_NETS];
    unsigned want;
    ntk_dtype dtype;
    int character;
    bool ok = false;

    (void)self;
    memset(arrays, 0, sizeof arrays);
    if (!PyArg_ParseTuple(args, "O!ICOOO!", &PyTuple_Type, &texts, &want, &character, &o1, &o2,
                          &PyTuple_Type, &outs) ||
        !dtype_get(character, &dtype) || !(k.ctx = context_new()))
        return NULL;
    if (samples_get(k.ctx, o1, "x1", false, &x1) && samples_get(k.ctx, o2, "x2", true, &x2) &&
        compile(&k, texts, want, dtype, x1.shape) &&
        outputs_get(&k, outs, dtype, x1.n * (x2.data ? x2.n : x1.n), arrays, pointers)) {
        struct call call;

        call_begin(&call, k.ctx);
        ok = call_end(&call, ntk_kernel_compute(k.kernel, x1.data, x2.data, pointers));
    }
    for (size_t m = 0; m < 2 * MOST_NETS; m++)
        array_release(&arrays[m]);
    samples_release(&x1);
    samples_release(&x2);
    compiled_free(&k);
    return none_or_null(ok);
}

/* diagonal(texts, want, dtype, x, outs) */
static PyObject *diagonal(PyObject *self, PyObject *args)
{
    PyObject *texts, *o, *outs;
    struct compiled k = {NULL};
    struct samples x = {.data = NULL};
    struct array arrays[2 * MOST_NETS];
    void *pointers[2 * MOST_NETS];
    unsigned want;
    ntk_dtype dtype;
    int character;
    bool ok = false;

    (void)self;
    memset(arrays, 0, sizeof arrays);
    if (!PyArg_ParseTuple(args, "O!ICOO!", &PyTuple_Type, &texts, &want, &character, &o, &PyTuple_Type,
                          &outs) ||
        !dtype_get(character, &dtype) || !(k.ctx = context_new()))
        return NULL;
    if (samples_get(k.ctx, o, "x", false, &x) && compile(&k, texts, want, dtype, x.shape) &&
        outputs_get(&k, outs, NTK_F64, x.n, arrays, pointers)) {
        struct call call;

        call_begin(&call, k.ctx);
        ok = call_end(&call, ntk_kernel_diagonal(k.kernel, x.data, (double *const *)pointers));
    }
    for (size_t m = 0; m < 2 * MOST_NETS; m++)
        array_release(&arrays[m]);
    samples_release(&x);
    compiled_free(&k);
    return none_or_null(ok);
}

PyMethodDef kernel_methods[] = {
    {"kernel", kernel, METH_VARARGS, "kernel(texts, want, dtype, x1, x2, outs)"},
    {"diagonal", diagonal, METH_VARARGS, "diagonal(texts, want, dtype, x, outs)"},
    {NULL, NULL, 0, NULL},
};
