/* SPDX-License-Identifier: MIT
 *
 * params.c - ntk._core.Params: a finite network.
 */
#include "core.h"

PyTypeObject *params_type;

static struct params *params_new(void)
{
    struct params *p = PyObject_New(struct params, params_type);

    if (!p)
        return NULL;
    p->owner.ctx = NULL;
    p->owner.lock = NULL;
    p->p = NULL;
    if (!owner_init(&p->owner)) {
        Py_DECREF(p);
        return NULL;
    }
    return p;
}

static void params_dealloc(PyObject *self)
{
    struct params *p = (struct params *)self;
    PyTypeObject *type = Py_TYPE(self);

    ntk_params_free(p->p);
    owner_free(&p->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Params.init(text, shape, dtype, seed) */
static PyObject *init(PyObject *self, PyObject *args)
{
    const char *text;
    PyObject *tuple;
    unsigned long long seed;
    ntk_dtype dtype;
    ntk_shape shape;
    struct params *p;
    ntk_net *net;
    int character;
    bool ok = false;

    (void)self;
    if (!PyArg_ParseTuple(args, "sOCK", &text, &tuple, &character, &seed) ||
        !dtype_get(character, &dtype) || !shape_get(tuple, &shape) || !(p = params_new()))
        return NULL;
    net = net_parse(p->owner.ctx, text);
    if (net) {
        struct call call;

        call_begin(&call, p->owner.ctx);
        ok = call_end(&call, ntk_params_new(p->owner.ctx, net, shape, dtype, seed, &p->p));
    }
    ntk_net_free(net);
    if (!ok)
        Py_CLEAR(p);
    return (PyObject *)p;
}

static PyObject *load(PyObject *self, PyObject *args)
{
    const char *path;
    struct params *p;
    struct call call;

    (void)self;
    if (!PyArg_ParseTuple(args, "s", &path) || !(p = params_new()))
        return NULL;
    call_begin(&call, p->owner.ctx);
    if (!call_end(&call, ntk_params_load(p->owner.ctx, path, &p->p)))
        Py_CLEAR(p);
    return (PyObject *)p;
}

static PyObject *save(PyObject *self, PyObject *args)
{
    struct params *p = (struct params *)self;
    const char *path;
    struct call call;
    bool ok;

    if (!PyArg_ParseTuple(args, "s", &path) || !owner_lock(&p->owner))
        return NULL;
    call_begin(&call, p->owner.ctx);
    ok = call_end(&call, ntk_params_save(p->p, path));
    owner_unlock(&p->owner);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* ((name, shape, offset, size, trainable), ...) */
static PyObject *arrays(PyObject *self, PyObject *unused)
{
    const ntk_param_array *a;
    const size_t n = ntk_params_arrays(((struct params *)self)->p, &a);
    PyObject *list = PyTuple_New((Py_ssize_t)n);

    (void)unused;
    for (size_t i = 0; list && i < n; i++) {
        PyObject *shape = PyTuple_New(a[i].ndim), *item;

        for (int k = 0; shape && k < a[i].ndim; k++)
            if (PyTuple_SetItem(shape, k, PyLong_FromLongLong(a[i].shape[k])) != 0)
                Py_CLEAR(shape);
        item = shape ? Py_BuildValue("(sNLLi)", a[i].name, shape, (long long)a[i].offset,
                                     (long long)a[i].size, a[i].trainable)
                     : NULL;
        if (!item || PyTuple_SetItem(list, (Py_ssize_t)i, item) != 0)
            Py_CLEAR(list);
    }
    return list;
}

/* One tuple a layer: the numbers of its arrays, None for one that it has not. */
static PyObject *layers(PyObject *self, PyObject *unused)
{
    const ntk_param_layer *l;
    const size_t n = ntk_params_layers(((struct params *)self)->p, &l);
    PyObject *list = PyTuple_New((Py_ssize_t)n);

    (void)unused;
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = PyTuple_New(l[i].n);

        for (int k = 0; item && k < l[i].n; k++)
            if (PyTuple_SetItem(item, k,
                                l[i].arrays[k] < 0 ? Py_NewRef(Py_None)
                                                   : PyLong_FromLong(l[i].arrays[k])) != 0)
                Py_CLEAR(item);
        if (!item || PyTuple_SetItem(list, (Py_ssize_t)i, item) != 0)
            Py_CLEAR(list);
    }
    return list;
}

/* What a method computes for samples: an input of theta's size, outputs, or an output of theta's size. */
struct work {
    struct samples x;
    struct array in, out, out2;
};

static void work_release(struct work *w)
{
    samples_release(&w->x);
    array_release(&w->in);
    array_release(&w->out);
    array_release(&w->out2);
}

/* apply(x, f) */
static PyObject *apply(PyObject *self, PyObject *args)
{
    struct params *p = (struct params *)self;
    const ntk_dtype dtype = ntk_params_dtype(p->p);
    PyObject *ox, *of;
    struct work w = {.x = {.data = NULL}};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OO", &ox, &of) || !owner_lock(&p->owner))
        return NULL;
    if (samples_get(p->owner.ctx, ox, "x", false, &w.x) &&
        array_typed(of, "f", true, dtype, w.x.n * ntk_params_outputs(p->p), &w.out)) {
        struct call call;

        call_begin(&call, p->owner.ctx);
        ok = call_end(&call, ntk_params_apply(p->p, w.x.data, w.out.b.buf));
    }
    owner_unlock(&p->owner);
    work_release(&w);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* jvp(x, tangent, f, df) */
static PyObject *jvp(PyObject *self, PyObject *args)
{
    struct params *p = (struct params *)self;
    const ntk_dtype dtype = ntk_params_dtype(p->p);
    const int64_t c = ntk_params_outputs(p->p);
    PyObject *ox, *ot, *of, *od;
    struct work w = {.x = {.data = NULL}};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OOOO", &ox, &ot, &of, &od) || !owner_lock(&p->owner))
        return NULL;
    if (samples_get(p->owner.ctx, ox, "x", false, &w.x) &&
        array_typed(ot, "tangent", false, dtype, ntk_params_count(p->p), &w.in) &&
        array_typed(of, "f", true, dtype, w.x.n * c, &w.out) &&
        array_typed(od, "df", true, dtype, w.x.n * c, &w.out2)) {
        struct call call;

        call_begin(&call, p->owner.ctx);
        ok = call_end(&call,
                      ntk_params_jvp(p->p, w.x.data, w.in.b.buf, w.out.b.buf, w.out2.b.buf));
    }
    owner_unlock(&p->owner);
    work_release(&w);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* vjp(x, cotangent, gradient) */
static PyObject *vjp(PyObject *self, PyObject *args)
{
    struct params *p = (struct params *)self;
    const ntk_dtype dtype = ntk_params_dtype(p->p);
    PyObject *ox, *oc, *og;
    struct work w = {.x = {.data = NULL}};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OOO", &ox, &oc, &og) || !owner_lock(&p->owner))
        return NULL;
    if (samples_get(p->owner.ctx, ox, "x", false, &w.x) &&
        array_typed(oc, "cotangent", false, dtype, w.x.n * ntk_params_outputs(p->p), &w.in) &&
        array_typed(og, "gradient", true, dtype, ntk_params_count(p->p), &w.out)) {
        struct call call;

        call_begin(&call, p->owner.ctx);
        ok = call_end(&call, ntk_params_vjp(p->p, w.x.data, w.in.b.buf, w.out.b.buf));
    }
    owner_unlock(&p->owner);
    work_release(&w);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* kernel(which, form, x1, x2, k) */
static PyObject *kernel(PyObject *self, PyObject *args)
{
    struct params *p = (struct params *)self;
    const int64_t c = ntk_params_outputs(p->p);
    PyObject *o1, *o2, *ok_;
    struct work w = {.x = {.data = NULL}};
    struct samples x2 = {.data = NULL};
    unsigned which;
    int form;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "IiOOO", &which, &form, &o1, &o2, &ok_) || !owner_lock(&p->owner))
        return NULL;
    if (samples_get(p->owner.ctx, o1, "x1", false, &w.x) &&
        samples_get(p->owner.ctx, o2, "x2", true, &x2)) {
        const int64_t each = form == NTK_FULL ? c * c : form == NTK_DIAGONAL ? c : 1;
        const int64_t pairs = w.x.n * (x2.data ? x2.n : w.x.n);

        if (array_typed(ok_, "k", true, ntk_params_dtype(p->p), pairs * each, &w.out)) {
            struct call call;

            call_begin(&call, p->owner.ctx);
            ok = call_end(&call, ntk_params_kernel(p->p, which, (ntk_form)form, w.x.data, x2.data,
                                                   w.out.b.buf));
        }
    }
    owner_unlock(&p->owner);
    samples_release(&x2);
    work_release(&w);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* ntk_product(x1, x2, v, out) */
static PyObject *ntk_product(PyObject *self, PyObject *args)
{
    struct params *p = (struct params *)self;
    const ntk_dtype dtype = ntk_params_dtype(p->p);
    const int64_t c = ntk_params_outputs(p->p);
    PyObject *o1, *o2, *ov, *oo;
    struct work w = {.x = {.data = NULL}};
    struct samples x2 = {.data = NULL};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OOOO", &o1, &o2, &ov, &oo) || !owner_lock(&p->owner))
        return NULL;
    if (samples_get(p->owner.ctx, o1, "x1", false, &w.x) &&
        samples_get(p->owner.ctx, o2, "x2", true, &x2) &&
        array_typed(ov, "v", false, dtype, (x2.data ? x2.n : w.x.n) * c, &w.in) &&
        array_typed(oo, "out", true, dtype, w.x.n * c, &w.out)) {
        struct call call;

        call_begin(&call, p->owner.ctx);
        ok = call_end(&call, ntk_params_ntk_product(p->p, w.x.data, x2.data, w.in.b.buf,
                                                    w.out.b.buf));
    }
    owner_unlock(&p->owner);
    samples_release(&x2);
    work_release(&w);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* (mean, deviation) as bytes of float64; None: samples are taken as they are */
static PyObject *scaling(PyObject *self, PyObject *unused)
{
    const ntk_scaler *scaler = ntk_params_scaler(((struct params *)self)->p);
    const double *mean, *deviation;
    const int64_t n = scaler ? ntk_scaler_numbers(scaler, &mean, &deviation) : 0;
    const Py_ssize_t bytes = (Py_ssize_t)(n * (int64_t)sizeof(double));

    (void)unused;
    if (n == 0)
        return Py_NewRef(Py_None);
    return Py_BuildValue("(NN)", PyByteArray_FromStringAndSize((const char *)mean, bytes),
                         PyByteArray_FromStringAndSize((const char *)deviation, bytes));
}

static PyMethodDef methods[] = {
    {"init", init, METH_VARARGS | METH_STATIC, "init(text, shape, dtype, seed)"},
    {"load", load, METH_VARARGS | METH_STATIC, "load(path)"},
    {"save", save, METH_VARARGS, "save(path)"},
    {"arrays", arrays, METH_NOARGS, "((name, shape, offset, size, trainable), ...)"},
    {"layers", layers, METH_NOARGS, "((number of an array or None, ...), ...)"},
    {"scaling", scaling, METH_NOARGS, "(mean, deviation) or None"},
    {"apply", apply, METH_VARARGS, "apply(x, f)"},
    {"jvp", jvp, METH_VARARGS, "jvp(x, tangent, f, df)"},
    {"vjp", vjp, METH_VARARGS, "vjp(x, cotangent, gradient)"},
    {"kernel", kernel, METH_VARARGS, "kernel(which, form, x1, x2, k)"},
    {"ntk_product", ntk_product, METH_VARARGS, "ntk_product(x1, x2, v, out)"},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_outputs(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ntk_params_outputs(((struct params *)self)->p));
}

static PyObject *get_count(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ntk_params_count(((struct params *)self)->p));
}

static PyObject *get_shape(PyObject *self, void *unused)
{
    (void)unused;
    return shape_tuple(ntk_params_shape(((struct params *)self)->p));
}

static PyObject *get_dtype(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(ntk_params_dtype(((struct params *)self)->p) == NTK_F32 ? "f" : "d");
}

static PyObject *get_multiplier(PyObject *self, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(ntk_params_multiplier(((struct params *)self)->p));
}

static PyObject *get_net(PyObject *self, void *unused)
{
    struct params *p = (struct params *)self;
    PyObject *net = NULL;
    ntk_status status;
    char *text;

    (void)unused;
    status = ntk_net_print(ntk_params_net(p->p), &text);
    if (status != NTK_OK) {
        raise_status(p->owner.ctx, status);
        return NULL;
    }
    net = PyUnicode_FromString(text);
    ntk_text_free(text);
    return net;
}

static PyGetSetDef attributes[] = {
    {"outputs", get_outputs, NULL, "Numbers of an output.", NULL},
    {"count", get_count, NULL, "Numbers in theta.", NULL},
    {"shape", get_shape, NULL, "Shape of a sample.", NULL},
    {"dtype", get_dtype, NULL, "'f' or 'd'", NULL},
    {"net", get_net, NULL, "Its text.", NULL},
    {"multiplier", get_multiplier, NULL, "Of the outputs.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* The object is a buffer: theta's bytes. */
static int buffer(PyObject *self, Py_buffer *view, int flags)
{
    struct params *p = (struct params *)self;

    return PyBuffer_FillInfo(view, self, ntk_params_theta(p->p),
                             (Py_ssize_t)(ntk_params_count(p->p) * (int64_t)ntk_params_dtype(p->p)), 0,
                             flags);
}

static PyType_Slot slots[] = {
    {Py_tp_dealloc, (void *)params_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_bf_getbuffer, (void *)buffer},
    {Py_tp_doc, (void *)"A finite network; as a buffer: the bytes of its parameters."},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ntk._core.Params",
    .basicsize = sizeof(struct params),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

bool params_register(PyObject *module)
{
    params_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return params_type && PyModule_AddObjectRef(module, "Params", (PyObject *)params_type) == 0;
}
