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

/* Nets of a tuple of texts, which are freed by nets_free. */
struct nets {
    ntk_net *net[MOST_NETS];
    size_t n;
};

static void nets_free(struct nets *nets)
{
    while (nets->n > 0)
        ntk_net_free(nets->net[--nets->n]);
}

static bool nets_get(ntk_ctx *ctx, PyObject *texts, struct nets *nets)
{
    const Py_ssize_t n = PyTuple_Size(texts);

    nets->n = 0;
    if (n < 1 || n > MOST_NETS) {
        PyErr_Format(PyExc_ValueError, "1 to %d nets are computed at once, got %zd", MOST_NETS, n);
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *text = PyUnicode_AsUTF8String(PyTuple_GetItem(texts, i));

        nets->net[i] = text ? net_parse(ctx, PyBytes_AsString(text)) : NULL;
        Py_XDECREF(text);
        if (!nets->net[i]) {
            nets_free(nets);
            return false;
        }
        nets->n++;
    }
    return true;
}

static bool compile(struct compiled *k, PyObject *texts, unsigned want, ntk_dtype dtype,
                    ntk_shape shape)
{
    struct nets nets;
    ntk_status status;

    if (!nets_get(k->ctx, texts, &nets))
        return false;
    status = ntk_kernel_new(k->ctx, (const ntk_net *const *)nets.net, nets.n, want, dtype, shape, &k->kernel);
    if (status == NTK_OK)
        k->outputs = ntk_kernel_outputs(k->kernel);
    else
        raise_status(k->ctx, status);
    nets_free(&nets);
    return k->kernel != NULL;
}

/* graph(texts, want, shape, dot) */
static PyObject *graph(PyObject *self, PyObject *args)
{
    PyObject *texts, *tuple, *result = NULL;
    struct nets nets;
    unsigned want;
    ntk_shape shape;
    int dot;
    ntk_ctx *ctx;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!IOp", &PyTuple_Type, &texts, &want, &tuple, &dot) ||
        !shape_get(tuple, &shape) || !(ctx = context_new()))
        return NULL;
    if (nets_get(ctx, texts, &nets)) {
        char *text;
        const ntk_status status = ntk_nets_graph(ctx, (const ntk_net *const *)nets.net, nets.n, want, shape,
                                                 dot ? NTK_GRAPH_DOT : NTK_GRAPH_TEXT, &text);

        if (status == NTK_OK) {
            result = PyUnicode_FromString(text);
            ntk_text_free(text);
        } else {
            raise_status(ctx, status);
        }
        nets_free(&nets);
    }
    ntk_ctx_free(ctx);
    return result;
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
    struct compiled k = {.ctx = NULL};
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
    struct compiled k = {.ctx = NULL};
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
    {"graph", graph, METH_VARARGS, "graph(texts, want, shape, dot): the graph of several nets as a text."},
    {"kernel", kernel, METH_VARARGS, "kernel(texts, want, dtype, x1, x2, outs)"},
    {"diagonal", diagonal, METH_VARARGS, "diagonal(texts, want, dtype, x, outs)"},
    {NULL, NULL, 0, NULL},
};
