/* SPDX-License-Identifier: MIT
 *
 * model.c - ntk._core.Model: a kernel fitted to targets.
 */
#include "core.h"

struct model {
    struct owner owner;
    ntk_model *model;
    struct samples x; /* held as long as the model is */
};

static PyTypeObject *model_type;

static struct model *model_new(void)
{
    struct model *m = PyObject_New(struct model, model_type);

    if (!m)
        return NULL;
    m->owner.ctx = NULL;
    m->owner.lock = NULL;
    m->model = NULL;
    m->x = (struct samples){.data = NULL};
    if (!owner_init(&m->owner)) {
        Py_DECREF(m);
        return NULL;
    }
    return m;
}

static void model_dealloc(PyObject *self)
{
    struct model *m = (struct model *)self;
    PyTypeObject *type = Py_TYPE(self);

    ntk_model_free(m->model);
    samples_release(&m->x);
    owner_free(&m->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Model.fit(text, x, y, posterior, dtype, diag_reg, absolute, finite_time, mean_loss, covariance) */
static PyObject *fit(PyObject *self, PyObject *args)
{
    const char *text;
    PyObject *ox, *oy;
    struct array y = {.held = false};
    struct model *m;
    ntk_fit_opts o;
    ntk_net *net;
    int posterior, character;
    bool ok = false;

    (void)self;
    ntk_fit_opts_init(&o);
    if (!PyArg_ParseTuple(args, "sOOiCdpppp", &text, &ox, &oy, &posterior, &character, &o.diag_reg,
                          &o.diag_reg_absolute, &o.finite_time, &o.mean_loss, &o.covariance) ||
        !dtype_get(character, &o.dtype) || !(m = model_new()))
        return NULL;
    o.posterior = (ntk_posterior)posterior;
    o.diag_reg_spelling = "alpha=";
    net = net_parse(m->owner.ctx, text);
    if (net && samples_get(m->owner.ctx, ox, "x", false, &m->x) && array_get(oy, "y", false, &y) &&
        y.dtype == NTK_F64 && y.b.ndim == 2 && y.b.shape[0] == m->x.n) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_model_fit(m->owner.ctx, net, m->x.data, y.b.buf, y.b.shape[1], &o,
                                           &m->model));
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "y must be float64 [n][outputs], with as many rows as x");
    }
    array_release(&y);
    ntk_net_free(net);
    if (!ok)
        Py_CLEAR(m);
    return (PyObject *)m;
}

static PyObject *load(PyObject *self, PyObject *args)
{
    const char *path;
    struct model *m;
    struct call call;

    (void)self;
    if (!PyArg_ParseTuple(args, "s", &path) || !(m = model_new()))
        return NULL;
    call_begin(&call, m->owner.ctx);
    if (!call_end(&call, ntk_model_load(m->owner.ctx, path, &m->model)))
        Py_CLEAR(m);
    return (PyObject *)m;
}

static PyObject *save(PyObject *self, PyObject *args)
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

/* predict(x, mean, variance or None, covariance or None) */
static PyObject *predict(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    const int64_t c = ntk_model_outputs(m->model);
    PyObject *ox, *om, *ov, *oc;
    struct samples x = {.data = NULL};
    struct array mean = {.held = false}, variance = {.held = false}, covariance = {.held = false};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OOOO", &ox, &om, &ov, &oc) || !owner_lock(&m->owner))
        return NULL;
    if (samples_get(m->owner.ctx, ox, "x", false, &x) &&
        array_numbers(om, "mean", true, false, x.n * c, &mean) &&
        array_numbers(ov, "variance", true, true, x.n, &variance) &&
        array_numbers(oc, "covariance", true, true, x.n * x.n, &covariance)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, covariance.held
                                 ? ntk_model_covariance(m->model, x.data, mean.b.buf, covariance.b.buf)
                                 : ntk_model_predict(m->model, x.data, mean.b.buf, variance.b.buf));
    }
    owner_unlock(&m->owner);
    array_release(&mean);
    array_release(&variance);
    array_release(&covariance);
    samples_release(&x);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* dynamics(times, x or None, train or None, test or None, variance or None) */
static PyObject *dynamics(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    const int64_t n = ntk_model_n(m->model), c = ntk_model_outputs(m->model);
    PyObject *ot, *ox, *oa, *ob, *ov;
    struct samples x = {.data = NULL};
    struct array times = {.held = false}, train = {.held = false}, test = {.held = false},
                 variance = {.held = false};
    Py_ssize_t count;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OOOOO", &ot, &ox, &oa, &ob, &ov) || !owner_lock(&m->owner))
        return NULL;
    if (array_times(ot, &times, &count) && samples_get(m->owner.ctx, ox, "x", true, &x) &&
        array_numbers(oa, "train", true, true, count * n * c, &train) &&
        array_numbers(ob, "test", true, true, count * x.n * c, &test) &&
        array_numbers(ov, "variance", true, true, count * x.n, &variance)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call,
                      ntk_model_dynamics(m->model, times.b.buf, (size_t)count, NULL, x.data, NULL,
                                         train.b.buf, test.b.buf, variance.b.buf));
    }
    owner_unlock(&m->owner);
    array_release(&times);
    array_release(&train);
    array_release(&test);
    array_release(&variance);
    samples_release(&x);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* leave_one_out(mean, variance or None) */
static PyObject *leave_one_out(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    const int64_t n = ntk_model_n(m->model);
    PyObject *om, *ov;
    struct array mean = {.held = false}, variance = {.held = false};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OO", &om, &ov) || !owner_lock(&m->owner))
        return NULL;
    if (array_numbers(om, "mean", true, false, n * ntk_model_outputs(m->model), &mean) &&
        array_numbers(ov, "variance", true, true, n, &variance)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_model_leave_one_out(m->model, mean.b.buf, variance.b.buf));
    }
    owner_unlock(&m->owner);
    array_release(&mean);
    array_release(&variance);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* What a model has one of. */
static PyObject *number(PyObject *self, ntk_status (*of)(const ntk_model *model, double *value))
{
    struct model *m = (struct model *)self;
    struct call call;
    double value;
    bool ok;

    if (!owner_lock(&m->owner))
        return NULL;
    call_begin(&call, m->owner.ctx);
    ok = call_end(&call, of(m->model, &value));
    owner_unlock(&m->owner);
    return ok ? PyFloat_FromDouble(value) : NULL;
}

static PyObject *evidence(PyObject *self, PyObject *unused)
{
    (void)unused;
    return number(self, ntk_model_evidence);
}

static PyObject *sharpness(PyObject *self, PyObject *unused)
{
    (void)unused;
    return number(self, ntk_model_sharpness);
}

static PyObject *spectrum(PyObject *self, PyObject *unused)
{
    struct model *m = (struct model *)self;
    struct call call;
    ntk_spectrum s;
    bool ok;

    (void)unused;
    if (!owner_lock(&m->owner))
        return NULL;
    ntk_spectrum_init(&s);
    call_begin(&call, m->owner.ctx);
    ok = call_end(&call, ntk_model_spectrum(m->model, &s));
    owner_unlock(&m->owner);
    return ok ? Py_BuildValue("(dddd)", s.lambda_min, s.lambda_max, s.condition, s.max_learning_rate)
              : NULL;
}

static PyMethodDef methods[] = {
    {"fit", fit, METH_VARARGS | METH_STATIC,
     "fit(text, x, y, posterior, dtype, diag_reg, absolute, finite_time, mean_loss, covariance)"},
    {"load", load, METH_VARARGS | METH_STATIC, "load(path)"},
    {"save", save, METH_VARARGS, "save(path, with_factor)"},
    {"predict", predict, METH_VARARGS, "predict(x, mean, variance, covariance)"},
    {"dynamics", dynamics, METH_VARARGS, "dynamics(times, x, train, test, variance)"},
    {"leave_one_out", leave_one_out, METH_VARARGS, "leave_one_out(mean, variance)"},
    {"evidence", evidence, METH_NOARGS, "log p(y | X)"},
    {"sharpness", sharpness, METH_NOARGS, "b of class probabilities softmax(b f)"},
    {"spectrum", spectrum, METH_NOARGS, "(lambda_min, lambda_max, condition, max_learning_rate)"},
    {NULL, NULL, 0, NULL},
};

static PyObject *get_n(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ntk_model_n(((struct model *)self)->model));
}

static PyObject *get_outputs(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ntk_model_outputs(((struct model *)self)->model));
}

static PyGetSetDef attributes[] = {
    {"n", get_n, NULL, "Number of samples.", NULL},
    {"outputs", get_outputs, NULL, "Number of outputs.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, (void *)model_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, (void *)"A kernel fitted to targets."},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ntk._core.Model",
    .basicsize = sizeof(struct model),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

bool model_register(PyObject *module)
{
    model_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return model_type && PyModule_AddObjectRef(module, "Model", (PyObject *)model_type) == 0;
}
