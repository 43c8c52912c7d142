/* SPDX-License-Identifier: MIT
 *
 * features.c - ntk._core.FeatureMap and FeatureRidge: random features, and ridge regression on them.
 */
#include "core.h"

struct map {
    struct owner owner;
    ntk_feature_map *map;
};
struct ridge {
    PyObject_HEAD
    struct map *map; /* held; its context and lock are the ridge's, too */
    ntk_feature_ridge *ridge;
    Py_ssize_t outputs;
};
static PyTypeObject *map_type, *ridge_type;

/* ---- maps */

static void map_dealloc(PyObject *self)
{
    struct map *m = (struct map *)self;
    PyTypeObject *type = Py_TYPE(self);

    ntk_feature_map_free(m->map);
    owner_free(&m->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

static struct map *map_new(void)
{
    struct map *m = PyObject_New(struct map, map_type);

    if (!m)
        return NULL;
    m->owner.ctx = NULL;
    m->owner.lock = NULL;
    m->map = NULL;
    if (!owner_init(&m->owner)) {
        Py_DECREF(m);
        return NULL;
    }
    return m;
}

/* FeatureMap.make(text, which, like, count, seed) */
static PyObject *make(PyObject *self, PyObject *args)
{
    struct samples like = {.data = NULL};
    unsigned long long seed;
    PyObject *object;
    const char *text;
    long long count;
    unsigned which;
    struct map *m;
    ntk_net *net;
    bool ok = false;

    (void)self;
    if (!PyArg_ParseTuple(args, "sIOLK", &text, &which, &object, &count, &seed) || !(m = map_new()))
        return NULL;
    net = net_parse(m->owner.ctx, text);
    if (net && samples_get(m->owner.ctx, object, "like", false, &like)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_feature_map_new(m->owner.ctx, net, which, like.data, count, seed, &m->map));
    }
    samples_release(&like);
    ntk_net_free(net);
    if (!ok)
        Py_CLEAR(m);
    return (PyObject *)m;
}

/* apply(x, phi) */
static PyObject *apply(PyObject *self, PyObject *args)
{
    struct map *m = (struct map *)self;
    struct samples x = {.data = NULL};
    struct array phi = {.held = false};
    PyObject *o, *out;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OO", &o, &out) || !owner_lock(&m->owner))
        return NULL;
    if (samples_get(m->owner.ctx, o, "X", false, &x) &&
        array_typed(out, "phi", true, NTK_F32, (Py_ssize_t)(x.n * ntk_feature_map_count(m->map)), &phi)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_feature_map_apply(m->map, x.data, phi.b.buf));
    }
    owner_unlock(&m->owner);
    samples_release(&x);
    array_release(&phi);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* error(x, rows): (frobenius, largest) */
static PyObject *error(PyObject *self, PyObject *args)
{
    struct map *m = (struct map *)self;
    struct samples x = {.data = NULL};
    double frobenius, largest;
    long long rows;
    PyObject *o;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OL", &o, &rows) || !owner_lock(&m->owner))
        return NULL;
    if (samples_get(m->owner.ctx, o, "X", false, &x)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_feature_map_error(m->map, x.data, rows, &frobenius, &largest));
    }
    owner_unlock(&m->owner);
    samples_release(&x);
    return ok ? Py_BuildValue("dd", frobenius, largest) : NULL;
}

/* predict(x, outputs, coef, f) */
static PyObject *predict(PyObject *self, PyObject *args)
{
    struct map *m = (struct map *)self;
    struct samples x = {.data = NULL};
    struct array coef = {.held = false}, f = {.held = false};
    PyObject *o, *of, *out;
    Py_ssize_t outputs;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OnOO", &o, &outputs, &of, &out) || !owner_lock(&m->owner))
        return NULL;
    if (samples_get(m->owner.ctx, o, "X", false, &x) &&
        array_numbers(of, "coef", false, false, (Py_ssize_t)ntk_feature_map_count(m->map) * outputs, &coef) &&
        array_numbers(out, "f", true, false, (Py_ssize_t)x.n * outputs, &f)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_feature_map_predict(m->map, x.data, outputs, coef.b.buf, f.b.buf));
    }
    owner_unlock(&m->owner);
    samples_release(&x);
    array_release(&coef);
    array_release(&f);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef map_methods[] = {
    {"make", make, METH_VARARGS | METH_STATIC, "make(text, which, like, count, seed)"},
    {"apply", apply, METH_VARARGS, "apply(x, phi)"},
    {"error", error, METH_VARARGS, "error(x, rows): (frobenius, largest)"},
    {"predict", predict, METH_VARARGS, "predict(x, outputs, coef, f)"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot map_slots[] = {
    {Py_tp_dealloc, (void *)map_dealloc},
    {Py_tp_methods, map_methods},
    {Py_tp_doc, (void *)"Random features of a net's kernel."},
    {0, NULL},
};

static PyType_Spec map_spec = {
    .name = "ntk._core.FeatureMap",
    .basicsize = sizeof(struct map),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = map_slots,
};

/* ---- ridge regression */

static void ridge_dealloc(PyObject *self)
{
    struct ridge *r = (struct ridge *)self;
    PyTypeObject *type = Py_TYPE(self);

    ntk_feature_ridge_free(r->ridge);
    Py_XDECREF((PyObject *)r->map);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* FeatureRidge.start(map, outputs, hold_out) */
static PyObject *start(PyObject *self, PyObject *args)
{
    struct ridge *r;
    PyObject *map;
    Py_ssize_t outputs;
    ntk_status status;
    int hold_out;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!np", map_type, &map, &outputs, &hold_out) || !(r = PyObject_New(struct ridge, ridge_type)))
        return NULL;
    r->map = (struct map *)Py_NewRef(map);
    r->ridge = NULL;
    r->outputs = outputs;
    if (!owner_lock(&r->map->owner)) {
        Py_DECREF(r);
        return NULL;
    }
    status = ntk_feature_ridge_new(r->map->map, outputs, hold_out, &r->ridge);
    if (status != NTK_OK)
        raise_status(r->map->owner.ctx, status);
    owner_unlock(&r->map->owner);
    if (status != NTK_OK)
        Py_CLEAR(r);
    return (PyObject *)r;
}

/* add(x, y) */
static PyObject *add(PyObject *self, PyObject *args)
{
    struct ridge *r = (struct ridge *)self;
    struct samples x = {.data = NULL};
    struct array y = {.held = false};
    PyObject *o, *targets;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OO", &o, &targets) || !owner_lock(&r->map->owner))
        return NULL;
    if (samples_get(r->map->owner.ctx, o, "X", false, &x) &&
        array_numbers(targets, "y", false, false, (Py_ssize_t)x.n * r->outputs, &y)) {
        struct call call;

        call_begin(&call, r->map->owner.ctx);
        ok = call_end(&call, ntk_feature_ridge_add(r->ridge, x.data, y.b.buf));
    }
    owner_unlock(&r->map->owner);
    samples_release(&x);
    array_release(&y);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* solve(ridge or None, absolute, coef): the ridge */
static PyObject *solve(PyObject *self, PyObject *args)
{
    struct ridge *r = (struct ridge *)self;
    const Py_ssize_t count = (Py_ssize_t)ntk_feature_map_count(r->map->map) * r->outputs;
    struct array coef = {.held = false};
    PyObject *given, *out;
    double diag_reg, used;
    int absolute;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OpO", &given, &absolute, &out))
        return NULL;
    diag_reg = given == Py_None ? NTK_DIAG_REG_AUTO : PyFloat_AsDouble(given);
    if (PyErr_Occurred() || !array_numbers(out, "coef", true, false, count, &coef))
        return NULL;
    if (owner_lock(&r->map->owner)) {
        struct call call;

        call_begin(&call, r->map->owner.ctx);
        ok = call_end(&call, ntk_feature_ridge_solve(r->ridge, diag_reg, absolute, coef.b.buf, &used));
        owner_unlock(&r->map->owner);
    }
    array_release(&coef);
    return ok ? PyFloat_FromDouble(used) : NULL;
}

/* hold_out(ridges, absolute, mse) */
static PyObject *hold_out(PyObject *self, PyObject *args)
{
    struct ridge *r = (struct ridge *)self;
    struct array ridges = {.held = false}, mse = {.held = false};
    PyObject *given, *out;
    Py_ssize_t n;
    int absolute;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OpO", &given, &absolute, &out))
        return NULL;
    if (array_times(given, &ridges, &n) && array_numbers(out, "mse", true, false, n, &mse) && owner_lock(&r->map->owner)) {
        struct call call;

        call_begin(&call, r->map->owner.ctx);
        ok = call_end(&call, ntk_feature_ridge_hold_out(r->ridge, (size_t)n, ridges.b.buf, absolute, mse.b.buf));
        owner_unlock(&r->map->owner);
    }
    array_release(&ridges);
    array_release(&mse);
    return ok ? Py_NewRef(Py_None) : NULL;
}

static PyObject *get_n(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ntk_feature_ridge_n(((struct ridge *)self)->ridge));
}

static PyMethodDef ridge_methods[] = {
    {"start", start, METH_VARARGS | METH_STATIC, "start(map, outputs, hold_out)"},
    {"add", add, METH_VARARGS, "add(x, y)"},
    {"solve", solve, METH_VARARGS, "solve(ridge or None, absolute, coef): the ridge"},
    {"hold_out", hold_out, METH_VARARGS, "hold_out(ridges, absolute, mse)"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef ridge_attributes[] = {
    {"n", get_n, NULL, "Samples that were added.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ridge_slots[] = {
    {Py_tp_dealloc, (void *)ridge_dealloc},
    {Py_tp_methods, ridge_methods},
    {Py_tp_getset, ridge_attributes},
    {Py_tp_doc, (void *)"Ridge regression on a map's features, batch by batch."},
    {0, NULL},
};

static PyType_Spec ridge_spec = {
    .name = "ntk._core.FeatureRidge",
    .basicsize = sizeof(struct ridge),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ridge_slots,
};

bool features_register(PyObject *module)
{
    map_type = (PyTypeObject *)PyType_FromSpec(&map_spec);
    ridge_type = map_type ? (PyTypeObject *)PyType_FromSpec(&ridge_spec) : NULL;
    return ridge_type && PyModule_AddObjectRef(module, "FeatureMap", (PyObject *)map_type) == 0 &&
           PyModule_AddObjectRef(module, "FeatureRidge", (PyObject *)ridge_type) == 0;
}
