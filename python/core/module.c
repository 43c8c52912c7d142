/* SPDX-License-Identifier: MIT
 *
 * module.c - the module ntk._core.
 */
#include "core.h"

static PyObject *configure(PyObject *self, PyObject *args)
{
    PyObject *threads, *memory, *isa, *backend, *progress;
    int force;

    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOpO", &threads, &memory, &isa, &backend, &force, &progress) ||
        !settings_set(threads, memory, isa, backend, force, progress))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *check_may_work(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return may_work() ? Py_NewRef(Py_None) : NULL;
}

/* join(address of an MPI_Comm, whether this host has more of its processes) */
static PyObject *join(PyObject *self, PyObject *args)
{
    unsigned long long address;
    int shared_host;

    (void)self;
    if (!PyArg_ParseTuple(args, "Kp", &address, &shared_host) || !ranks_join((void *)(uintptr_t)address, shared_host))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *leave(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    ranks_leave();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"configure", configure, METH_VARARGS, "configure(threads, memory, isa, backend, force, progress)"},
    {"check_may_work", check_may_work, METH_NOARGS, "RuntimeError in a progress function"},
    {"join", join, METH_VARARGS, "join(address of an MPI_Comm, shared_host)"},
    {"leave", leave, METH_NOARGS, "leave()"},
    {NULL, NULL, 0, NULL},
};

static void module_free(void *module)
{
    (void)module;
    settings_clear();
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ntk._core",
    .m_doc = "libntk's functions on buffers; the package ntk is what to use.",
    .m_size = -1,
    .m_methods = methods,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module && (PyModule_AddFunctions(module, net_methods) != 0 ||
                   PyModule_AddFunctions(module, kernel_methods) != 0 ||
                   PyModule_AddFunctions(module, finite_methods) != 0 ||
                   PyModule_AddFunctions(module, data_methods) != 0 ||
                   PyModule_AddFunctions(module, store_methods) != 0 ||
                   PyModule_AddFunctions(module, plan_methods) != 0 || !model_register(module) || !params_register(module) ||
                   !train_register(module) || !features_register(module)))
        Py_CLEAR(module);
    return module;
}
