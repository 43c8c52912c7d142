/* SPDX-License-Identifier: MIT
 *
 * call.c - calls into the library: the interpreter's lock is released, Ctrl-C ends the work, failures
 * become exceptions.
 */
#define _GNU_SOURCE /* gettid */
#include <string.h>
#include <unistd.h>

#include "core.h"

static struct {
    int threads;
    size_t memory;
    char isa[32];       /* "": the default */
    char backend[32];   /* likewise */
    bool force;
    PyObject *progress; /* called with (what, done, total), or NULL */
} settings;

static ntk_ctx *joined;    /* whose ranks fits are work of; NULL: this process works alone */
static bool shares_memory; /* its host has more of them */

static volatile sig_atomic_t interrupted;

/* Work inside a progress function would wait for the critical section that it is called in. */
static _Thread_local bool in_progress;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* A name into a buffer of 32 bytes, None as ""; too long a name is no name either. */
static bool set_name(PyObject *name, const char *what, char *to)
{
    PyObject *bytes;
    char *text = NULL;
    bool ok;

    if (name != Py_None && !PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "%s must be a name or None, got %R", what, name);
        return false;
    }
    bytes = name == Py_None ? NULL : PyUnicode_AsUTF8String(name);
    ok = name == Py_None || (bytes && PyBytes_AsStringAndSize(bytes, &text, NULL) == 0);
    if (ok)
        PyOS_snprintf(to, 32, "%s", text ? text : "");
    Py_XDECREF(bytes);
    return ok;
}

bool settings_set(PyObject *threads, PyObject *memory, PyObject *isa, PyObject *backend, bool force, PyObject *progress)
{
    int overflow;
    const long count = PyLong_AsLongAndOverflow(threads, &overflow);
    const size_t bytes = PyErr_Occurred() ? 0 : PyLong_AsSize_t(memory);
    char new_isa[sizeof settings.isa], new_backend[sizeof settings.backend];
    PyObject *old;

    if (PyErr_Occurred())
        return false;
    if (overflow || count < 0 || count > 1024) {
        PyErr_Format(PyExc_ValueError, "threads must be 0 (all) to 1024, got %S", threads);
        return false;
    }
    if (!set_name(isa, "isa", new_isa) || !set_name(backend, "backend", new_backend))
        return false;
    memcpy(settings.isa, new_isa, sizeof new_isa);
    memcpy(settings.backend, new_backend, sizeof new_backend);
    settings.force = force;
    settings.threads = (int)count;
    settings.memory = bytes;
    old = settings.progress;
    settings.progress = progress == Py_None ? NULL : Py_NewRef(progress);
    Py_XDECREF(old); /* last: this may run Python code */
    return true;
}

void settings_clear(void) { Py_CLEAR(settings.progress); }

/* A warning of the library; the interpreter's lock may or may not be held. */
static void on_log(int level, const char *text, void *user)
{
    PyGILState_STATE state;

    (void)user;
    if (level < 1)
        return;
    state = PyGILState_Ensure();
    if (PyErr_WarnEx(PyExc_RuntimeWarning, text, 1) != 0)
        PyErr_WriteUnraisable(NULL); /* a warning that was made an error: the work goes on */
    PyGILState_Release(state);
}

/* They were checked when they were set, and cannot fail. Where nothing is asked for, a rank has its part of its host. */
static void settings_apply(ntk_ctx *ctx)
{
    const int threads = settings.threads || !joined ? settings.threads : ntk_ctx_threads(joined);
    const ntk_status status = ntk_ctx_set_threads(ctx, threads);

    (void)status;
    ntk_ctx_set_memory(ctx, settings.memory || !shares_memory ? settings.memory : ntk_ctx_memory(joined));
}

bool may_work(void)
{
    if (in_progress)
        PyErr_SetString(PyExc_RuntimeError, "a progress function cannot use ntk itself");
    return !in_progress;
}

ntk_ctx *context_new(void)
{
    ntk_ctx *ctx;
    ntk_status status;

    if (!may_work())
        return NULL;
    status = ntk_ctx_new(&ctx);
    if (status != NTK_OK) {
        PyErr_NoMemory();
        return NULL;
    }
    settings_apply(ctx);
    ntk_ctx_set_log(ctx, on_log, NULL);
    if (settings.isa[0])
        status = ntk_ctx_set_isa(ctx, settings.isa);
    if (status == NTK_OK && settings.backend[0])
        status = ntk_ctx_set_backend(ctx, settings.backend, settings.force);
    if (status != NTK_OK) {
        raise_status(ctx, status);
        ntk_ctx_free(ctx);
        return NULL;
    }
    return ctx;
}

static int on_progress(const char *what, double done, double total, void *user)
{
    struct call *c = user;
    PyGILState_STATE state;
    PyObject *function, *result;

    if ((interrupted && c->catches) || c->type)
        return 1;
    if (!settings.progress)
        return 0;
    state = PyGILState_Ensure();
    in_progress = true;
    function = Py_XNewRef(settings.progress); /* it may set another, and be freed */
    result = function ? PyObject_CallFunction(function, "sdd", what, done, total) : Py_NewRef(Py_None);
    Py_XDECREF(function);
    in_progress = false;
    if (!result)
        PyErr_Fetch(&c->type, &c->value, &c->trace);
    Py_XDECREF(result);
    PyGILState_Release(state);
    return result ? 0 : 1;
}

void call_begin(struct call *c, ntk_ctx *ctx)
{
    *c = (struct call){.ctx = ctx};
    settings_apply(ctx); /* an owner's context may be older than they are */
    ntk_ctx_set_progress(ctx, on_progress, c);
    /* Python's own handler only notes the signal; whoever set another, or none, keeps it. */
    if (gettid() == getpid() && sigaction(SIGINT, NULL, &c->old) == 0 &&
        !(c->old.sa_flags & SA_SIGINFO) && c->old.sa_handler != SIG_DFL &&
        c->old.sa_handler != SIG_IGN && c->old.sa_handler != on_interrupt) {
        struct sigaction catch = {.sa_handler = on_interrupt};

        interrupted = 0;
        sigemptyset(&catch.sa_mask);
        c->catches = sigaction(SIGINT, &catch, NULL) == 0;
    }
    c->thread = PyEval_SaveThread();
}

/* ndarray errors are numpy's. */
static PyObject *linear_algebra_error(void)
{
    PyObject *module = PyImport_ImportModule("numpy.linalg");
    PyObject *error = module ? PyObject_GetAttrString(module, "LinAlgError") : NULL;

    Py_XDECREF(module);
    if (!error)
        PyErr_Clear();
    return error ? error : Py_NewRef(PyExc_ArithmeticError);
}

void raise_status(ntk_ctx *ctx, ntk_status status)
{
    const char *text = ntk_errmsg(ctx);
    PyObject *error, *message;

    switch (status) {
    case NTK_ENOMEM:
        error = Py_NewRef(PyExc_MemoryError);
        break;
    case NTK_ENUMERIC:
        error = linear_algebra_error();
        break;
    case NTK_ECANCEL: /* by a signal whose own handler did not raise */
        error = Py_NewRef(PyExc_KeyboardInterrupt);
        break;
    case NTK_EIO:
        error = Py_NewRef(PyExc_OSError);
        break;
    case NTK_ENOTSUP:
        error = Py_NewRef(PyExc_NotImplementedError);
        break;
    default:
        error = Py_NewRef(PyExc_ValueError);
    }
    text = *text ? text : ntk_strstatus(status);
    message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"); /* it may quote a damaged file */
    if (message)
        PyErr_SetObject(error, message);
    Py_XDECREF(message);
    Py_DECREF(error);
}

bool call_end(struct call *c, ntk_status status)
{
    PyEval_RestoreThread(c->thread);
    ntk_ctx_set_progress(c->ctx, NULL, NULL);
    if (c->catches) {
        sigaction(SIGINT, &c->old, NULL);
        if (interrupted) {
            interrupted = 0;
            raise(SIGINT); /* now Python's handler has it */
            if (PyErr_CheckSignals() != 0) {
                Py_CLEAR(c->type);
                Py_CLEAR(c->value);
                Py_CLEAR(c->trace);
                return false;
            }
        }
    }
    if (c->type) {
        PyErr_Restore(c->type, c->value, c->trace);
        return false;
    }
    if (status != NTK_OK)
        raise_status(c->ctx, status);
    return status == NTK_OK;
}

/* ---- ranks */

bool ranks_join(void *communicator, bool shared_host)
{
    ntk_ctx *ctx;
    ntk_status status;

    if (!may_work())
        return false;
    if (ntk_ctx_new(&ctx) != NTK_OK) {
        PyErr_NoMemory();
        return false;
    }
    ntk_ctx_set_log(ctx, on_log, NULL);
    Py_BEGIN_ALLOW_THREADS
    status = ntk_ctx_join(ctx, communicator);
    Py_END_ALLOW_THREADS
    if (status != NTK_OK) {
        raise_status(ctx, status);
        ntk_ctx_free(ctx);
        return false;
    }
    ranks_leave();
    joined = ctx;
    shares_memory = shared_host;
    return true;
}

void ranks_leave(void)
{
    ntk_ctx_free(joined);
    joined = NULL;
    shares_memory = false;
}

bool ranks_share(ntk_ctx *ctx)
{
    const ntk_status status = joined ? ntk_ctx_join_as(ctx, joined) : NTK_OK;

    if (status != NTK_OK)
        raise_status(ctx, status);
    return status == NTK_OK;
}

int ranks_rank(void) { return joined ? ntk_ctx_rank(joined) : 0; }
int ranks_count(void) { return joined ? ntk_ctx_ranks(joined) : 1; }

/* ---- objects that own a context */

bool owner_init(struct owner *o)
{
    o->ctx = context_new();
    if (!o->ctx)
        return false;
    o->lock = PyThread_allocate_lock();
    if (!o->lock)
        PyErr_NoMemory();
    return o->lock != NULL;
}

void owner_free(struct owner *o)
{
    ntk_ctx_free(o->ctx);
    if (o->lock)
        PyThread_free_lock(o->lock);
}

bool owner_lock(struct owner *o)
{
    if (!may_work())
        return false;
    if (PyThread_acquire_lock(o->lock, NOWAIT_LOCK))
        return true;
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(o->lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS
    return true;
}

void owner_unlock(struct owner *o) { PyThread_release_lock(o->lock); }
