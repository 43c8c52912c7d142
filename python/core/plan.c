/* SPDX-License-Identifier: MIT
 *
 * plan.c - what a fit would take, as nested dicts.
 */
#include "core.h"

static PyObject *row_dict(const ntk_plan_row *r)
{
    return Py_BuildValue(
        "{sssOsnsnsLsssdsdsdsdsdsdsds{sdsdsdsd}}", "solver", r->solver, "fits", r->fits ? Py_True : Py_False, "bytes",
        (Py_ssize_t)r->bytes, "kept_bytes", (Py_ssize_t)r->kept, "steps", (long long)r->steps, "assumed", r->assumed, "passes",
        r->passes, "float32_operations", r->f32, "float64_operations", r->f64, "product_bytes", r->products, "vector_bytes",
        r->vector, "file_bytes", r->files, "written_bytes", r->written, "seconds", "kernel", r->kernel_seconds, "solve",
        r->solve_seconds, "predict", r->predict_seconds, "all", r->seconds);
}

static PyObject *rows_list(const ntk_plan *plan)
{
    PyObject *list = PyList_New(0);

    for (size_t k = 0; list && k < ntk_plan_rows(plan); k++) {
        ntk_plan_row r;
        PyObject *dict;

        ntk_plan_row_init(&r);
        dict = ntk_plan_get(plan, k, &r) == NTK_OK ? row_dict(&r) : NULL;
        if (!dict || PyList_Append(list, dict) != 0)
            Py_CLEAR(list);
        Py_XDECREF(dict);
    }
    return list;
}

static PyObject *plan_dict(const ntk_plan *plan, double disk)
{
    ntk_plan_info i;
    ntk_plan_row chosen;
    PyObject *rows = rows_list(plan);

    ntk_plan_info_init(&i);
    ntk_plan_row_init(&chosen);
    if (!rows || ntk_plan_about(plan, &i) != NTK_OK || ntk_plan_get(plan, (size_t)i.chosen, &chosen) != NTK_OK) {
        Py_XDECREF(rows);
        return NULL;
    }
    return Py_BuildValue("{sdsdsdsds{sdsdsdsdsdsd}snsdsdsssssN}", "pairs_train", i.pairs, "pairs_test", i.pairs_test,
                         "features", i.features, "positions", i.positions, "rates", "pair_seconds", i.pair_seconds, "float32",
                         i.rate_f32, "float64", i.rate_f64, "products", i.rate_products, "vector", i.rate_vector, "disk", disk,
                         "memory_bytes", (Py_ssize_t)i.memory, "samples_bytes", i.samples_bytes, "store_bytes", i.store_bytes,
                         "solver", chosen.solver, "reason", i.reason, "solvers", rows);
}

/* plan(text, shape, n, m, outputs, posterior, dtype, solver, tolerance, rank, landmarks, finite_time, covariance, ranks, disk,
 * x): dict */
static PyObject *plan(PyObject *self, PyObject *args)
{
    const char *text;
    PyObject *shape_object, *x_object, *result = NULL;
    long long n, m, outputs, rank, landmarks, ranks;
    int posterior, character, finite_time, covariance;
    struct samples x = {.data = NULL};
    ntk_plan_opts o;
    ntk_fit_opts fit;
    ntk_plan *made = NULL;
    ntk_net *net = NULL;
    ntk_shape shape;
    ntk_ctx *ctx;
    struct call call;

    (void)self;
    ntk_plan_opts_init(&o);
    ntk_fit_opts_init(&fit);
    if (!PyArg_ParseTuple(args, "sOLLLiCzdLLppLdO", &text, &shape_object, &n, &m, &outputs, &posterior, &character, &fit.solver,
                          &fit.tolerance, &rank, &landmarks, &finite_time, &covariance, &ranks, &o.disk, &x_object) ||
        !shape_get(shape_object, &shape) || !dtype_get(character, &fit.dtype) || !(ctx = context_new()))
        return NULL;
    o.n = n, o.m = m, o.outputs = outputs, o.ranks = ranks;
    fit.posterior = (ntk_posterior)posterior;
    fit.rank = rank, fit.landmarks = landmarks, fit.finite_time = finite_time, fit.covariance = covariance;
    if (samples_get(ctx, x_object, "x", true, &x) && (net = net_parse(ctx, text))) {
        o.x = x.data;
        call_begin(&call, ctx);
        if (call_end(&call, ntk_plan_new(ctx, net, shape, &fit, &o, &made)))
            result = plan_dict(made, o.disk);
    }
    ntk_plan_free(made);
    ntk_net_free(net);
    samples_release(&x);
    ntk_ctx_free(ctx);
    return result;
}

PyMethodDef plan_methods[] = {
    {"plan", plan, METH_VARARGS,
     "plan(text, shape, n, m, outputs, posterior, dtype, solver, tolerance, rank, landmarks, finite_time, covariance, ranks, disk, "
     "x): dict"},
    {NULL, NULL, 0, NULL},
};
