/* SPDX-License-Identifier: MIT
 *
 * finite.c - Monte-Carlo kernels, training, flows of a loss.
 */
#include "core.h"

/* ---- Monte-Carlo kernels */

/* monte_carlo(text, which, x1, x2, dtype, first, n_nets, seed, mean, error or None) */
static PyObject *monte_carlo(PyObject *self, PyObject *args)
{
    const char *text;
    PyObject *o1, *o2, *om, *oe;
    struct samples x1 = {.data = NULL}, x2 = {.data = NULL};
    struct array mean = {.held = false}, error = {.held = false};
    unsigned which;
    int character;
    ntk_dtype dtype;
    long long first, n_nets;
    unsigned long long seed;
    ntk_ctx *ctx;
    ntk_net *net;
    bool ok = false;

    (void)self;
    if (!PyArg_ParseTuple(args, "sIOOCLLKOO", &text, &which, &o1, &o2, &character, &first, &n_nets, &seed,
                          &om, &oe) ||
        !dtype_get(character, &dtype) || !(ctx = context_new()))
        return NULL;
    net = net_parse(ctx, text);
    if (net && samples_get(ctx, o1, "x1", false, &x1) && samples_get(ctx, o2, "x2", true, &x2)) {
        const int64_t pairs = x1.n * (x2.data ? x2.n : x1.n);

        if (array_numbers(om, "mean", true, false, pairs, &mean) &&
            array_numbers(oe, "error", true, true, pairs, &error)) {
            struct call call;

            call_begin(&call, ctx);
            ok = call_end(&call, ntk_monte_carlo(ctx, net, which, x1.data, x2.data, dtype, first, n_nets,
                                                 seed, mean.b.buf, error.b.buf));
        }
    }
    array_release(&mean);
    array_release(&error);
    samples_release(&x1);
    samples_release(&x2);
    ntk_net_free(net);
    ntk_ctx_free(ctx);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* ---- training */

struct train {
    PyObject_HEAD
    struct params *params;
    struct samples x;
    ntk_train *train;
};

static PyTypeObject *train_type;

static void train_dealloc(PyObject *self)
{
    struct train *t = (struct train *)self;
    PyTypeObject *type = Py_TYPE(self);

    ntk_train_free(t->train);
    samples_release(&t->x);
    Py_XDECREF((PyObject *)t->params);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Train.start(params, x, y, loss, mean_loss, learning_rate, fraction, momentum, batch, seed) */
static PyObject *train_start(PyObject *self, PyObject *args)
{
    PyObject *op, *ox, *oy;
    struct array y = {.held = false};
    struct params *p;
    struct train *t;
    ntk_train_opts o;
    int loss;
    long long batch;
    unsigned long long seed;
    bool ok = false;

    (void)self;
    ntk_train_opts_init(&o);
    if (!PyArg_ParseTuple(args, "O!OOipdddLK", params_type, &op, &ox, &oy, &loss, &o.mean_loss,
                          &o.learning_rate, &o.fraction, &o.momentum, &batch, &seed))
        return NULL;
    o.loss = (ntk_loss)loss;
    o.batch = batch;
    o.seed = seed;
    p = (struct params *)op;
    if (!owner_lock(&p->owner))
        return NULL;
    t = PyObject_New(struct train, train_type);
    if (!t) {
        owner_unlock(&p->owner);
        return NULL;
    }
    t->params = (struct params *)Py_NewRef(op);
    t->x = (struct samples){.data = NULL};
    t->train = NULL;
    if (samples_get(p->owner.ctx, ox, "x", false, &t->x) &&
        array_numbers(oy, "y", false, false, t->x.n * ntk_params_outputs(p->p), &y)) {
        struct call call;

        call_begin(&call, p->owner.ctx);
        ok = call_end(&call, ntk_train_new(p->p, t->x.data, y.b.buf, &o, &t->train));
    }
    owner_unlock(&p->owner);
    array_release(&y);
    if (!ok)
        Py_CLEAR(t);
    return (PyObject *)t;
}

static PyObject *train_run(PyObject *self, PyObject *args)
{
    struct train *t = (struct train *)self;
    struct call call;
    long long steps;
    double loss = 0;
    bool ok;

    if (!PyArg_ParseTuple(args, "L", &steps) || !owner_lock(&t->params->owner))
        return NULL;
    call_begin(&call, t->params->owner.ctx);
    ok = call_end(&call, ntk_train_run(t->train, steps, &loss));
    owner_unlock(&t->params->owner);
    return ok ? PyFloat_FromDouble(loss) : NULL;
}

static PyObject *get_step(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ntk_train_step(((struct train *)self)->train));
}

static PyObject *get_learning_rate(PyObject *self, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(ntk_train_learning_rate(((struct train *)self)->train));
}

static PyMethodDef train_methods[] = {
    {"start", train_start, METH_VARARGS | METH_STATIC,
     "start(params, x, y, loss, mean_loss, learning_rate, fraction, momentum, batch, seed)"},
    {"run", train_run, METH_VARARGS, "run(steps): mean loss"},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef train_attributes[] = {
    {"step", get_step, NULL, "Steps done.", NULL},
    {"learning_rate", get_learning_rate, NULL, "The learning rate.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot train_slots[] = {
    {Py_tp_dealloc, (void *)train_dealloc},
    {Py_tp_methods, train_methods},
    {Py_tp_getset, train_attributes},
    {Py_tp_doc, (void *)"A run of gradient descent."},
    {0, NULL},
};

static PyType_Spec train_spec = {
    .name = "ntk._core.Train",
    .basicsize = sizeof(struct train),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = train_slots,
};

bool train_register(PyObject *module)
{
    train_type = (PyTypeObject *)PyType_FromSpec(&train_spec);
    return train_type && PyModule_AddObjectRef(module, "Train", (PyObject *)train_type) == 0;
}

/* ---- flows */

enum {
    K_TRAIN, K_TEST, Y, F0_TRAIN, F0_TEST, Q0_TRAIN, Q0_TEST, TRAIN, TEST, Q_TRAIN, Q_TEST, FLOW_ARRAYS
};

/* The arrays of a flow: name, whether it is written to, whether it may be None; sizes are in numbers. */
static bool flow_arrays(PyObject *tuple, const Py_ssize_t *sizes, struct array *arrays)
{
    static const struct {
        const char *name;
        bool writable, optional;
    } kinds[FLOW_ARRAYS] = {
        [K_TRAIN] = {"k_train", false, false}, [K_TEST] = {"k_test", false, true},
        [Y] = {"y", false, false},             [F0_TRAIN] = {"f0_train", false, true},
        [F0_TEST] = {"f0_test", false, true},  [Q0_TRAIN] = {"q0_train", false, true},
        [Q0_TEST] = {"q0_test", false, true},  [TRAIN] = {"train", true, true},
        [TEST] = {"test", true, true},         [Q_TRAIN] = {"q_train", true, true},
        [Q_TEST] = {"q_test", true, true},
    };

    if (PyTuple_Size(tuple) != FLOW_ARRAYS) {
        PyErr_Format(PyExc_ValueError, "a flow has %d arrays", FLOW_ARRAYS);
        return false;
    }
    for (int i = 0; i < FLOW_ARRAYS; i++)
        if (!array_numbers(PyTuple_GetItem(tuple, i), kinds[i].name, kinds[i].writable,
                           kinds[i].optional, sizes[i], &arrays[i]))
            return false;
    return true;
}

/* flow(loss, momentum or nan, learning_rate, blocks, rtol, atol, (n, m, outputs), times, arrays): arrays
 * in the order of the enumeration above. */
static PyObject *flow(PyObject *self, PyObject *args)
{
    PyObject *ot, *tuple;
    struct array times = {.held = false}, a[FLOW_ARRAYS] = {{.held = false}};
    ntk_flow_opts o;
    ntk_ctx *ctx;
    long long n, m, c;
    Py_ssize_t count;
    int loss;
    bool ok = false;

    (void)self;
    ntk_flow_opts_init(&o);
    if (!PyArg_ParseTuple(args, "iddpdd(LLL)OO!", &loss, &o.momentum, &o.learning_rate, &o.blocks,
                          &o.rtol, &o.atol, &n, &m, &c, &ot, &PyTuple_Type, &tuple) ||
        !(ctx = context_new()))
        return NULL;
    o.loss = (ntk_loss)loss;
    if (array_times(ot, &times, &count)) {
        const Py_ssize_t each = o.blocks ? c * c : 1;
        const Py_ssize_t train = n * c, test = m * c;
        const Py_ssize_t sizes[FLOW_ARRAYS] = {
            [K_TRAIN] = n * n * each, [K_TEST] = m * n * each, [Y] = train,
            [F0_TRAIN] = train,       [F0_TEST] = test,        [Q0_TRAIN] = train,
            [Q0_TEST] = test,         [TRAIN] = count * train, [TEST] = count * test,
            [Q_TRAIN] = count * train, [Q_TEST] = count * test};

        if (flow_arrays(tuple, sizes, a)) {
            struct call call;

            o.q0_train = a[Q0_TRAIN].b.buf;
            o.q0_test = a[Q0_TEST].b.buf;
            o.q_train = a[Q_TRAIN].b.buf;
            o.q_test = a[Q_TEST].b.buf;
            call_begin(&call, ctx);
            ok = call_end(&call, ntk_flow(ctx, &o, n, m, c, a[K_TRAIN].b.buf, a[K_TEST].b.buf,
                                          a[Y].b.buf, a[F0_TRAIN].b.buf, a[F0_TEST].b.buf,
                                          times.b.buf, (size_t)count, a[TRAIN].b.buf, a[TEST].b.buf));
        }
    }
    for (int i = 0; i < FLOW_ARRAYS; i++)
        array_release(&a[i]);
    array_release(&times);
    ntk_ctx_free(ctx);
    return ok ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef finite_methods[] = {
    {"monte_carlo", monte_carlo, METH_VARARGS,
     "monte_carlo(text, which, x1, x2, dtype, first, n_nets, seed, mean, error)"},
    {"flow", flow, METH_VARARGS,
     "flow(loss, momentum, learning_rate, blocks, rtol, atol, (n, m, outputs), times, arrays)"},
    {NULL, NULL, 0, NULL},
};
