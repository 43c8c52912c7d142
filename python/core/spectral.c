/* SPDX-License-Identifier: MIT
 *
 * spectral.c - gradient flow on the squared loss along the eigenvectors of a given matrix.
 */
#include "core.h"

/* decompose(k, dtype, ridge, weights): k [n][n] becomes eigenvectors in rows; the number of null directions. */
static PyObject *decompose(PyObject *self, PyObject *args)
{
    PyObject *ok, *ow;
    struct array k = {.held = false}, weights = {.held = false};
    struct call call;
    ntk_dtype dtype;
    ntk_ctx *ctx;
    double ridge;
    int64_t nulls = 0;
    int character;
    bool done = false;

    (void)self;
    if (!PyArg_ParseTuple(args, "OCdO", &ok, &character, &ridge, &ow) ||
        !dtype_get(character, &dtype) || !(ctx = context_new()))
        return NULL;
    if (array_get(ow, "weights", true, &weights)) {
        const Py_ssize_t n = weights.b.len / (Py_ssize_t)weights.dtype;

        if (weights.dtype != NTK_F64)
            PyErr_SetString(PyExc_ValueError, "weights must be float64");
        else if (array_numbers(ok, "k", true, false, n * n, &k)) {
            call_begin(&call, ctx);
            done = call_end(&call, ntk_spectral_decompose(ctx, n, dtype, ridge, k.b.buf,
                                                          weights.b.buf, &nulls));
        }
    }
    array_release(&k);
    array_release(&weights);
    ntk_ctx_free(ctx);
    return done ? PyLong_FromLongLong(nulls) : NULL;
}

/* spectral(form, weights [n], times, out [times][n]) */
static PyObject *spectral(PyObject *self, PyObject *args)
{
    PyObject *ow, *ot, *oo;
    struct array weights = {.held = false}, times = {.held = false}, out = {.held = false};
    Py_ssize_t n, count;
    int form;
    bool ok;

    (void)self;
    if (!PyArg_ParseTuple(args, "iOOO", &form, &ow, &ot, &oo))
        return NULL;
    ok = array_times(ow, &weights, &n) && array_times(ot, &times, &count) &&
         array_numbers(oo, "out", true, false, n * count, &out);
    for (Py_ssize_t i = 0; ok && i < n * count; i++) {
        const double *w = weights.b.buf, *t = times.b.buf;

        ((double *)out.b.buf)[i] = ntk_spectral((ntk_spectral_form)form, w[i % n], t[i / n]);
    }
    array_release(&weights);
    array_release(&times);
    array_release(&out);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* ridge_for(n, dtype, lambda_min, lambda_max, mean_diagonal, absolute) */
static PyObject *ridge_for(PyObject *self, PyObject *args)
{
    double least, largest, mean;
    ntk_dtype dtype;
    long long n;
    int character, absolute;

    (void)self;
    if (!PyArg_ParseTuple(args, "LCdddp", &n, &character, &least, &largest, &mean, &absolute) ||
        !dtype_get(character, &dtype))
        return NULL;
    return PyFloat_FromDouble(ntk_ridge_for(n, dtype, least, largest, mean, absolute));
}

PyMethodDef spectral_methods[] = {
    {"decompose", decompose, METH_VARARGS, "decompose(k, dtype, ridge, weights)"},
    {"spectral", spectral, METH_VARARGS, "spectral(form, weights, times, out)"},
    {"ridge_for", ridge_for, METH_VARARGS, "ridge_for(n, dtype, lambda_min, lambda_max, mean_diagonal, absolute)"},
    {NULL, NULL, 0, NULL},
};
