/* SPDX-License-Identifier: MIT
 *
 * blas.c - the module ntk._blas: CORE, what OpenBLAS should be told of this processor, or None. It loads no library, because it
 * is asked before OpenBLAS is loaded.
 */
#include <Python.h>

#include "../../src/base/blas_choice.h"

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ntk._blas",
    .m_doc = "CORE: a value for OPENBLAS_CORETYPE, or None.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__blas(void);
PyMODINIT_FUNC PyInit__blas(void)
{
    PyObject *module = PyModule_Create(&definition);
    const char *core = ntk_blas_choice();
    PyObject *value = core ? PyUnicode_FromString(core) : Py_NewRef(Py_None);

    if (module && PyModule_AddObjectRef(module, "CORE", value) != 0)
        Py_CLEAR(module);
    Py_XDECREF(value);
    return module;
}
