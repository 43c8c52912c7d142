/* SPDX-License-Identifier: MIT
 *
 * net.c - the words of the architecture language, and texts in it.
 */
#include "core.h"

ntk_net *net_parse(ntk_ctx *ctx, const char *text)
{
    ntk_net *net;
    const ntk_status status = ntk_net_parse(ctx, text, &net);

    if (status == NTK_OK)
        return net;
    raise_status(ctx, status);
    return NULL;
}

/* ---- the words */

static PyObject *parameters(const ntk_layer_info *layer)
{
    PyObject *list = PyTuple_New((Py_ssize_t)layer->n_params);

    for (size_t k = 0; list && k < layer->n_params; k++) {
        const ntk_param_info *p = &layer->params[k];
        PyObject *item = Py_BuildValue("(ssss)", p->name, p->type, p->value, p->doc);

        if (!item || PyTuple_SetItem(list, (Py_ssize_t)k, item) != 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *layers(PyObject *self, PyObject *unused)
{
    const size_t n = ntk_layer_count();
    PyObject *list = PyTuple_New((Py_ssize_t)n);

    (void)self;
    (void)unused;
    for (size_t i = 0; list && i < n; i++) {
        const ntk_layer_info *l = ntk_layer_get(i);
        PyObject *item = Py_BuildValue("(ssssssN)", l->name, l->kind, l->summary, l->formula, l->source,
                                       l->cost, parameters(l));

        if (!item || PyTuple_SetItem(list, (Py_ssize_t)i, item) != 0)
            Py_CLEAR(list);
    }
    return list;
}

/* ---- texts */

static PyObject *net_print(PyObject *self, PyObject *args)
{
    const char *source;
    char *text;
    ntk_ctx *ctx;
    ntk_net *net;
    PyObject *result = NULL;
    ntk_status status;

    (void)self;
    if (!PyArg_ParseTuple(args, "s", &source) || !(ctx = context_new()))
        return NULL;
    net = net_parse(ctx, source);
    if (net) {
        status = ntk_net_print(net, &text);
        if (status == NTK_OK) {
            result = PyUnicode_FromString(text);
            ntk_text_free(text);
        } else {
            raise_status(ctx, status);
        }
        ntk_net_free(net);
    }
    ntk_ctx_free(ctx);
    return result;
}

static PyObject *net_shape(PyObject *self, PyObject *args)
{
    const char *source;
    PyObject *tuple, *result = NULL;
    ntk_shape in, out;
    ntk_ctx *ctx;
    ntk_net *net;
    ntk_status status;

    (void)self;
    if (!PyArg_ParseTuple(args, "sO", &source, &tuple) || !shape_get(tuple, &in) ||
        !(ctx = context_new()))
        return NULL;
    net = net_parse(ctx, source);
    if (net) {
        status = ntk_net_shape(net, in, &out);
        if (status == NTK_OK)
            result = shape_tuple(out);
        else
            raise_status(ctx, status);
        ntk_net_free(net);
    }
    ntk_ctx_free(ctx);
    return result;
}

static PyObject *net_uses_positions(PyObject *self, PyObject *args)
{
    const char *source;
    ntk_ctx *ctx;
    ntk_net *net;
    PyObject *result = NULL;

    (void)self;
    if (!PyArg_ParseTuple(args, "s", &source) || !(ctx = context_new()))
        return NULL;
    net = net_parse(ctx, source);
    if (net)
        result = PyBool_FromLong(ntk_net_uses_positions(net));
    ntk_net_free(net);
    ntk_ctx_free(ctx);
    return result;
}

static PyObject *info(PyObject *self, PyObject *unused)
{
    ntk_ctx *ctx = context_new();
    const char *isa;
    PyObject *result = NULL;
    ntk_status status;

    (void)self;
    (void)unused;
    if (!ctx)
        return NULL;
    status = ntk_ctx_isa(ctx, &isa);
    if (status == NTK_OK)
        result = Py_BuildValue("{ss ss ss ss ss ss ss ss si sn si si}", "version", ntk_version(), "features",
                               ntk_features(), "isa", isa, "isa_available", ntk_isa_available(),
                               "backend", ntk_ctx_backend(ctx), "backends", ntk_backend_names(),
                               "blas_core", ntk_blas_core(), "blas_threading",
                               ntk_blas_threading(), "threads", ntk_ctx_threads(ctx), "memory",
                               (Py_ssize_t)ntk_ctx_memory(ctx), "rank", ranks_rank(), "ranks", ranks_count());
    else
        raise_status(ctx, status);
    ntk_ctx_free(ctx);
    return result;
}

PyMethodDef net_methods[] = {
    {"layers", layers, METH_NOARGS, "(name, kind, summary, formula, source, cost, parameters) each"},
    {"net_print", net_print, METH_VARARGS, "The canonical text of an architecture."},
    {"net_shape", net_shape, METH_VARARGS, "Shape of an output for the shape of a sample."},
    {"net_uses_positions", net_uses_positions, METH_VARARGS, "Whether some layer uses positions."},
    {"info", info, METH_NOARGS, "What this build and machine can do."},
    {NULL, NULL, 0, NULL},
};
