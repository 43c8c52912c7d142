/* SPDX-License-Identifier: MIT
 *
 * model.c - ntk._core.Model: a kernel fitted to targets. Its files are in model_file.c.
 */
#include <string.h>

#include "core.h"

static PyTypeObject *model_type;

struct model *model_new(void)
{
    struct model *m = PyObject_New(struct model, model_type);

    if (!m)
        return NULL;
    m->owner.ctx = NULL;
    m->owner.lock = NULL;
    m->model = NULL;
    m->x = (struct samples){.data = NULL};
    m->solver = m->checkpoint = NULL;
    m->k = m->nngp = m->weights = m->noise = (struct array){.held = false};
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
    array_release(&m->k);
    array_release(&m->nngp);
    array_release(&m->weights);
    array_release(&m->noise);
    Py_XDECREF(m->solver);
    Py_XDECREF(m->checkpoint);
    owner_free(&m->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* A ridge, or None: to be chosen. */
static int diag_reg_get(PyObject *object, void *diag_reg)
{
    const double value = object == Py_None ? NTK_DIAG_REG_AUTO : PyFloat_AsDouble(object);

    memcpy(diag_reg, &value, sizeof value);
    return !PyErr_Occurred();
}

/* y, [n][outputs], for n samples. */
static bool targets_get(PyObject *object, int64_t n, struct array *y)
{
    if (!array_get(object, "y", false, y))
        return false;
    if (y->dtype == NTK_F64 && y->b.ndim == 2 && y->b.shape[0] == n)
        return true;
    PyErr_SetString(PyExc_ValueError, "y must be float64 [n][outputs], with as many rows as x");
    return false;
}

/* A name, None: NULL, into the options; the text is the model's, which holds it. */
static bool name_get(PyObject *name, PyObject **held, const char **text)
{
    if (name == Py_None)
        return true;
    *held = Py_NewRef(name);
    return (*text = PyUnicode_AsUTF8AndSize(name, NULL)) != NULL;
}

/* Of n samples, into the options; the arrays are the model's. */
static bool weights_get(struct model *m, PyObject *weights, PyObject *noise, int64_t n)
{
    if (!array_numbers(weights, "weights", false, true, n, &m->weights) ||
        !array_numbers(noise, "noise", false, true, n, &m->noise))
        return false;
    m->opts.weights = m->weights.b.buf;
    m->opts.noise = m->noise.b.buf;
    return true;
}

/* The model's samples stand for their copies as images; image None: as which they are. */
static bool symmetry_get(struct model *m, int symmetry, PyObject *image)
{
    ntk_status status = NTK_OK;
    ntk_shape shape;

    if (!symmetry)
        return true;
    if (image != Py_None) {
        if (!shape_get(image, &shape))
            return false;
        status = ntk_data_set_image(m->x.data, shape);
    }
    if (status == NTK_OK)
        status = ntk_data_set_symmetry(m->x.data, (unsigned)symmetry);
    if (status != NTK_OK)
        raise_status(m->owner.ctx, status);
    return status == NTK_OK;
}

/* Model.fit(text, x, y, posterior, dtype, diag_reg or None, absolute, finite_time, mean_loss, covariance, weights=None,
 * noise=None, keep=False, solver=None, tolerance=0, landmarks=0, symmetry=0, image=None, checkpoint=None) */
static PyObject *fit(PyObject *self, PyObject *args)
{
    const char *text;
    PyObject *ox, *oy, *ow = Py_None, *on = Py_None, *os = Py_None, *image = Py_None, *checkpoint = Py_None;
    struct array y = {.held = false};
    struct model *m;
    ntk_fit_opts o;
    ntk_net *net;
    int posterior, character, symmetry = 0;
    long long landmarks = 0;
    bool ok = false;

    (void)self;
    ntk_fit_opts_init(&o);
    if (!PyArg_ParseTuple(args, "sOOiCO&pppp|OOpOdLiOO", &text, &ox, &oy, &posterior, &character, diag_reg_get, &o.diag_reg,
                          &o.diag_reg_absolute, &o.finite_time, &o.mean_loss, &o.covariance, &ow, &on, &o.keep,
                          &os, &o.tolerance, &landmarks, &symmetry, &image, &checkpoint) ||
        !dtype_get(character, &o.dtype) || !(m = model_new()))
        return NULL;
    o.posterior = (ntk_posterior)posterior;
    o.landmarks = landmarks;
    o.diag_reg_spelling = "alpha=";
    m->opts = o;
    net = ranks_share(m->owner.ctx) ? net_parse(m->owner.ctx, text) : NULL;
    if (net && name_get(os, &m->solver, &m->opts.solver) && name_get(checkpoint, &m->checkpoint, &m->opts.checkpoint) &&
        samples_get(m->owner.ctx, ox, "x", false, &m->x) &&
        symmetry_get(m, symmetry, image) && targets_get(oy, m->x.n, &y) && weights_get(m, ow, on, m->x.n)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_model_fit(m->owner.ctx, net, m->x.data, y.b.buf, y.b.shape[1], &m->opts,
                                           &m->model));
    }
    array_release(&y);
    ntk_net_free(net);
    if (!ok)
        Py_CLEAR(m);
    return (PyObject *)m;
}

/* Model.fit_matrix(k, nngp or None, y, posterior, dtype, diag_reg, absolute, finite_time, covariance) */
static PyObject *fit_matrix(PyObject *self, PyObject *args)
{
    PyObject *ok_, *on, *oy;
    struct array y = {.held = false};
    struct model *m;
    ntk_fit_opts o;
    int posterior, character;
    bool ok = false;

    (void)self;
    ntk_fit_opts_init(&o);
    if (!PyArg_ParseTuple(args, "OOOiCdppp", &ok_, &on, &oy, &posterior, &character, &o.diag_reg,
                          &o.diag_reg_absolute, &o.finite_time, &o.covariance) ||
        !dtype_get(character, &o.dtype) || !(m = model_new()))
        return NULL;
    o.posterior = (ntk_posterior)posterior;
    o.diag_reg_spelling = "diag_reg=";
    m->opts = o;
    if (array_get(ok_, "k", false, &m->k)) {
        const int64_t n = m->k.b.ndim == 2 ? m->k.b.shape[0] : 0;

        if (m->k.dtype != NTK_F64 || n == 0 || m->k.b.shape[1] != n)
            PyErr_SetString(PyExc_ValueError, "k must be float64 [n][n]");
        else if (array_numbers(on, "nngp", false, true, n * n, &m->nngp) && targets_get(oy, n, &y)) {
            struct call call;

            call_begin(&call, m->owner.ctx);
            ok = call_end(&call, ntk_model_fit_matrix(m->owner.ctx, n, m->k.b.buf, m->nngp.b.buf, y.b.buf,
                                                      y.b.shape[1], &m->opts, &m->model));
        }
    }
    array_release(&y);
    if (!ok)
        Py_CLEAR(m);
    return (PyObject *)m;
}

/* refit(y or None, diag_reg): the rest stays. */
static PyObject *refit(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    PyObject *oy;
    struct array y = {.held = false};
    ntk_fit_opts o;
    bool ok = false;

    o = m->opts;
    if (!PyArg_ParseTuple(args, "Od", &oy, &o.diag_reg) || !owner_lock(&m->owner))
        return NULL;
    if (oy == Py_None || targets_get(oy, ntk_model_n(m->model), &y)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_model_refit(m->model, y.b.buf, y.held ? y.b.shape[1] : 0, &o));
        if (ok && !m->x.data && !m->k.held) /* of a file: weights and noise are the model's own, and new */
            ok = ntk_model_opts(m->model, &m->opts) == NTK_OK;
    }
    owner_unlock(&m->owner);
    array_release(&y);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* Ranks share means; of variances and covariances each makes all, by a solver that is theirs. */
static ntk_status predict_any(const struct model *m, const ntk_data *x, double *mean, double *variance, double *covariance)
{
    if (covariance)
        return ntk_model_covariance(m->model, x, mean, covariance);
    if (variance || ntk_ctx_ranks(m->owner.ctx) == 1)
        return ntk_model_predict(m->model, x, mean, variance);
    return ntk_models_predict(&(ntk_model *){m->model}, 1, x, &mean);
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
        ok = call_end(&call, predict_any(m, x.data, mean.b.buf, variance.b.buf, covariance.b.buf));
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

/* predict_matrix(k or None, nngp or None, prior or None, times, f0_train or None, mean or None, covariance or None); k None:
 * at the training samples. */
static PyObject *predict_matrix(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    const int64_t n = ntk_model_n(m->model), c = ntk_model_outputs(m->model);
    PyObject *ok_, *on, *op, *ot, *of, *om, *oc;
    struct array k = {.held = false}, nngp = k, prior = k, times = k, f0 = k, mean = k, cov = k;
    ntk_test_matrices test;
    Py_ssize_t count;
    bool ok = false;

    ntk_test_matrices_init(&test);
    if (!PyArg_ParseTuple(args, "OOOOOOO", &ok_, &on, &op, &ot, &of, &om, &oc) || !owner_lock(&m->owner))
        return NULL;
    test.m = n;
    if (ok_ == Py_None || array_get(ok_, "k", false, &k)) {
        if (k.held)
            test.m = k.b.ndim == 2 ? k.b.shape[0] : 0;
        if (k.held && (k.dtype != NTK_F64 || test.m == 0 || k.b.shape[1] != n))
            PyErr_Format(PyExc_ValueError, "k must be float64 [m][%lld]", (long long)n);
        else if (array_times(ot, &times, &count) && array_numbers(on, "nngp", false, true, test.m * n, &nngp) &&
                 array_numbers(op, "prior", false, true, test.m * test.m, &prior) &&
                 array_numbers(of, "f0_train", false, true, n * c, &f0) &&
                 array_numbers(om, "mean", true, true, count * test.m * c, &mean) &&
                 array_numbers(oc, "covariance", true, true, count * test.m * test.m, &cov)) {
            struct call call;

            test.k = k.b.buf;
            test.nngp = nngp.b.buf;
            test.prior = prior.b.buf;
            call_begin(&call, m->owner.ctx);
            ok = call_end(&call, ntk_model_predict_matrix(m->model, k.held ? &test : NULL, times.b.buf, (size_t)count,
                                                          f0.b.buf, NULL, mean.b.buf, cov.b.buf));
        }
    }
    owner_unlock(&m->owner);
    array_release(&k);
    array_release(&nngp);
    array_release(&prior);
    array_release(&times);
    array_release(&f0);
    array_release(&mean);
    array_release(&cov);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* alpha(out) */
static PyObject *alpha(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    PyObject *oo;
    struct array out = {.held = false};
    bool ok = false;

    if (!PyArg_ParseTuple(args, "O", &oo) || !owner_lock(&m->owner))
        return NULL;
    if (array_numbers(oo, "out", true, false, ntk_model_n(m->model) * ntk_model_outputs(m->model), &out)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_model_alpha(m->model, out.b.buf));
    }
    owner_unlock(&m->owner);
    array_release(&out);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* ridges(diag_reg, loo_mse, log_likelihood) */
static PyObject *ridges(PyObject *self, PyObject *args)
{
    struct model *m = (struct model *)self;
    PyObject *od, *om, *ol;
    struct array diag_reg = {.held = false}, loo = {.held = false}, likelihood = {.held = false};
    Py_ssize_t count;
    bool ok = false;

    if (!PyArg_ParseTuple(args, "OOO", &od, &om, &ol) || !owner_lock(&m->owner))
        return NULL;
    if (array_times(od, &diag_reg, &count) && array_numbers(om, "loo_mse", true, false, count, &loo) &&
        array_numbers(ol, "log_likelihood", true, false, count, &likelihood)) {
        struct call call;

        call_begin(&call, m->owner.ctx);
        ok = call_end(&call, ntk_model_ridges(m->model, (size_t)count, diag_reg.b.buf, loo.b.buf, likelihood.b.buf));
    }
    owner_unlock(&m->owner);
    array_release(&diag_reg);
    array_release(&loo);
    array_release(&likelihood);
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
     "fit(text, x, y, posterior, dtype, diag_reg, absolute, finite_time, mean_loss, covariance, weights, noise, keep, "
     "solver, tolerance, landmarks)"},
    {"fit_matrix", fit_matrix, METH_VARARGS | METH_STATIC,
     "fit_matrix(k, nngp, y, posterior, dtype, diag_reg, absolute, finite_time, covariance)"},
    {"refit", refit, METH_VARARGS, "refit(y, diag_reg)"},
    {"load", model_load, METH_VARARGS | METH_STATIC, "load(path)"},
    {"save", model_save, METH_VARARGS, "save(path, with_factor)"},
    {"name", model_name, METH_VARARGS, "name(names, n_features, n_targets, n_classes, labels)"},
    {"names", model_names, METH_NOARGS, "(features, targets, classes, labels)"},
    {"encode", model_encode, METH_VARARGS, "encode(targets, shift, scale, scaler)"},
    {"encoding", model_encoding, METH_NOARGS, "(targets, shift, scale, scaler)"},
    {"options", model_options, METH_NOARGS,
     "(text, posterior, dtype, diag_reg, absolute, finite_time, covariance, weights, noise)"},
    {"samples", model_samples, METH_NOARGS, "(x, dtype, n, shape, y)"},
    {"symmetry", model_symmetry, METH_NOARGS, "(symmetry, image)"},
    {"predict_matrix", predict_matrix, METH_VARARGS,
     "predict_matrix(k, nngp, prior, times, f0_train, mean, covariance)"},
    {"alpha", alpha, METH_VARARGS, "alpha(out)"},
    {"ridges", ridges, METH_VARARGS, "ridges(diag_reg, loo_mse, log_likelihood)"},
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

static PyObject *get_diag_reg(PyObject *self, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(ntk_model_diag_reg(((struct model *)self)->model));
}

static PyGetSetDef attributes[] = {
    {"n", get_n, NULL, "Number of samples.", NULL},
    {"outputs", get_outputs, NULL, "Number of outputs.", NULL},
    {"diag_reg", get_diag_reg, NULL, "That was given, or chosen.", NULL},
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
