/* SPDX-License-Identifier: MIT
 *
 * store.c - stores of kernels, read.
 */
#include <string.h>

#include "core.h"

/* The file of args' path; NULL with an exception. */
static ntk_kernel_store *opened(ntk_ctx *ctx, const char *path)
{
    ntk_kernel_store *s = NULL;
    struct call call;

    call_begin(&call, ctx);
    call_end(&call, ntk_store_read(ctx, path, &s));
    return s;
}

/* What a damaged file has instead of UTF-8 is replaced. */
static PyObject *text_of(const char *s) { return PyUnicode_DecodeUTF8(s, (Py_ssize_t)strlen(s), "replace"); }

/* store_about(path): (text, made_by, n1, n2, m, symmetric, dtype, tiles, done) */
static PyObject *about(PyObject *self, PyObject *args)
{
    PyObject *result = NULL;
    ntk_kernel_store *s;
    ntk_store_info i;
    const char *path;
    ntk_ctx *ctx;

    (void)self;
    if (!PyArg_ParseTuple(args, "s", &path) || !(ctx = context_new()))
        return NULL;
    s = opened(ctx, path);
    ntk_store_info_init(&i);
    if (s && ntk_store_about(s, &i) == NTK_OK)
        result = Py_BuildValue("NNLLLOsLL", text_of(ntk_store_text(s)), text_of(ntk_store_made_by(s)), (long long)i.n1, (long long)i.n2,
                               (long long)i.m, i.symmetric ? Py_True : Py_False, i.dtype == NTK_F32 ? "f" : "d",
                               (long long)i.tiles, (long long)i.done);
    ntk_store_free(s);
    ntk_ctx_free(ctx);
    return result;
}

/* store_check(path, m, test): an exception unless that matrix is finished. */
static PyObject *check(PyObject *self, PyObject *args)
{
    ntk_kernel_store *s;
    const char *path;
    Py_ssize_t m;
    ntk_ctx *ctx;
    bool ok = false;
    int test;

    (void)self;
    if (!PyArg_ParseTuple(args, "snp", &path, &m, &test) || !(ctx = context_new()))
        return NULL;
    s = opened(ctx, path);
    if (s) {
        const ntk_status status = ntk_store_check(s, (size_t)m, test);

        ok = status == NTK_OK;
        if (!ok)
            raise_status(ctx, status);
    }
    ntk_store_free(s);
    ntk_ctx_free(ctx);
    return ok ? Py_NewRef(Py_None) : NULL;
}

/* The file is opened for each reading, and may be another by now; false with an exception. */
static bool is_as_it_was(const ntk_kernel_store *s, bool test, Py_ssize_t columns, ntk_dtype dtype)
{
    ntk_store_info i;

    ntk_store_info_init(&i);
    if (ntk_store_about(s, &i) == NTK_OK && i.dtype == (int64_t)dtype && (test ? i.n1 : i.n2) == columns)
        return true;
    PyErr_SetString(PyExc_OSError, "the file has changed since it was opened: open it again");
    return false;
}

/* store_rows(path, m, test, first, count, columns, dtype, out) */
static PyObject *rows(PyObject *self, PyObject *args)
{
    struct array out = {.held = false};
    ntk_kernel_store *s = NULL;
    PyObject *object;
    Py_ssize_t m, first, count, columns;
    ntk_dtype dtype;
    const char *path;
    ntk_ctx *ctx;
    int test, character;
    bool ok = false;

    (void)self;
    if (!PyArg_ParseTuple(args, "snpnnnCO", &path, &m, &test, &first, &count, &columns, &character, &object) ||
        !dtype_get(character, &dtype) || !array_typed(object, "out", true, dtype, count * columns, &out))
        return NULL;
    ctx = context_new();
    if (ctx)
        s = opened(ctx, path);
    if (s && is_as_it_was(s, test, columns, dtype)) {
        struct call call;

        call_begin(&call, ctx);
        ok = call_end(&call, ntk_store_rows(s, (size_t)m, test, first, count, out.b.buf));
    }
    ntk_store_free(s);
    if (ctx)
        ntk_ctx_free(ctx);
    array_release(&out);
    return ok ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef store_methods[] = {
    {"store_about", about, METH_VARARGS, "store_about(path)"},
    {"store_check", check, METH_VARARGS, "store_check(path, m, test)"},
    {"store_rows", rows, METH_VARARGS, "store_rows(path, m, test, first, count, columns, dtype, out)"},
    {NULL, NULL, 0, NULL},
};
