/* SPDX-License-Identifier: MIT
 *
 * core.h - ntk._core: what of ntk.h Python needs, on buffers. Arrays are made by the Python side
 * (NumPy) and checked here; errors are Python's.
 */
#ifndef NTK_PYTHON_CORE_H
#define NTK_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <signal.h>
#include <stdbool.h>

#include "ntk.h"

/* ---- calls (call.c): contexts, the interpreter's lock, interruption, errors */

/* One call into the library. */
struct call {
    ntk_ctx *ctx;
    bool catches;          /* this call handles SIGINT */
    struct sigaction old;
    PyThreadState *thread; /* not NULL while the interpreter's lock is released */
    PyObject *type, *value, *trace; /* an exception of the progress callback */
};

/* False, with an exception, in a progress function. */
bool may_work(void);
/* A context with the module's settings; NULL with an exception. */
ntk_ctx *context_new(void);
/* Releases the interpreter's lock for work with ctx; call_end takes it again. An interrupt (in the main
 * thread) or an exception of the progress callback ends the work. False, with an exception, if status is
 * not NTK_OK. */
void call_begin(struct call *c, ntk_ctx *ctx);
bool call_end(struct call *c, ntk_status status);
/* The exception of a status whose text is in ctx. */
void raise_status(ntk_ctx *ctx, ntk_status status);

/* ---- ranks (call.c): this process and others, of an MPI communicator. What they share is models that are fitted; other work
 * each does for itself. */

/* Collective; communicator: a pointer to an MPI_Comm; shared_host: this host has more than one of its processes. False with
 * an exception. */
bool ranks_join(void *communicator, bool shared_host);
/* Contexts that share the ranks keep them. */
void ranks_leave(void);
/* Makes a new context this rank, if there are ranks. */
bool ranks_share(ntk_ctx *ctx);
int ranks_rank(void);
int ranks_count(void);

/* ---- buffers (arrays.c) */

/* A contiguous buffer of float32 or float64 numbers. */
struct array {
    Py_buffer b;
    ntk_dtype dtype;
    bool held;
};

/* Into out; `name` is for messages. Py_None is an error here. */
bool array_get(PyObject *object, const char *name, bool writable, struct array *out);
/* The same, of float64 and that many numbers; with None allowed: held is false then, the data NULL. */
bool array_numbers(PyObject *object, const char *name, bool writable, bool optional, Py_ssize_t count,
                   struct array *out);
/* Of dtype and that many numbers. */
bool array_typed(PyObject *object, const char *name, bool writable, ntk_dtype dtype, Py_ssize_t count,
                 struct array *out);
/* Float64, of any count. */
bool array_times(PyObject *object, struct array *out, Py_ssize_t *count);
void array_release(struct array *a);

/* Samples [n][c], [n][w][c] or [n][h][w][c], borrowed from an array. */
struct samples {
    struct array array;
    ntk_data *data;
    int64_t n;
    ntk_shape shape;
};

/* None gives data = NULL if optional. */
bool samples_get(ntk_ctx *ctx, PyObject *object, const char *name, bool optional, struct samples *out);
void samples_release(struct samples *s);

/* (c,), (w, c) or (h, w, c). */
bool shape_get(PyObject *object, ntk_shape *out);
PyObject *shape_tuple(ntk_shape shape);
/* 'f' or 'd' */
bool dtype_get(int character, ntk_dtype *out);

/* ---- parts of the module */

extern PyMethodDef net_methods[], kernel_methods[], finite_methods[], data_methods[], store_methods[], plan_methods[];
bool features_register(PyObject *module);
bool model_register(PyObject *module);
bool params_register(PyObject *module);
bool train_register(PyObject *module);
bool settings_set(PyObject *threads, PyObject *memory, PyObject *isa, PyObject *backend, bool force, PyObject *progress);
void settings_clear(void);

/* A net of a text; NULL with an exception. */
ntk_net *net_parse(ntk_ctx *ctx, const char *text);

/* An object that owns a context, used by one thread at a time. */
struct owner {
    PyObject_HEAD
    ntk_ctx *ctx;
    PyThread_type_lock lock;
};
/* Locks it, for call_end's sake without the interpreter's lock; unlock after call_end. False, with an
 * exception, if not may_work. */
bool owner_lock(struct owner *o);
void owner_unlock(struct owner *o);
bool owner_init(struct owner *o);
void owner_free(struct owner *o);

/* A model, and what it borrows, held as long as it is. */
struct model {
    struct owner owner;
    ntk_model *model;
    ntk_fit_opts opts;
    struct samples x;
    struct array k, nngp, weights, noise;
    PyObject *solver, *checkpoint; /* its name, that of a file; NULL: the default, none */
};
/* Without a model; NULL with an exception. */
struct model *model_new(void);
/* Methods (model_file.c). */
PyObject *model_load(PyObject *self, PyObject *args);
PyObject *model_save(PyObject *self, PyObject *args);
PyObject *model_name(PyObject *self, PyObject *args);
PyObject *model_names(PyObject *self, PyObject *unused);
PyObject *model_encode(PyObject *self, PyObject *args);
PyObject *model_encoding(PyObject *self, PyObject *unused);
PyObject *model_options(PyObject *self, PyObject *unused);
PyObject *model_samples(PyObject *self, PyObject *unused);
PyObject *model_symmetry(PyObject *self, PyObject *unused);

struct params {
    struct owner owner;
    ntk_params *p;
};
extern PyTypeObject *params_type;

#endif
