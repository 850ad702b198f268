/* The interpreter lock of a thread of the host, and its KeyboardInterrupt. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "python_part.h"

bool python_is_initialized(void)
{
    return Py_IsInitialized() != 0;
}

void *python_release_interpreter(void)
{
    if (!Py_IsInitialized())
        return NULL;
    /* PyGILState_Check() always says yes once there were subinterpreters. */
#if PY_VERSION_HEX >= 0x030D0000
    PyThreadState *current = PyThreadState_GetUnchecked();
#else
    PyThreadState *current = _PyThreadState_UncheckedGet();
#endif
    if (current == NULL || current != PyGILState_GetThisThreadState())
        return NULL;
    return PyEval_SaveThread();
}

void python_take_back_interpreter(void *released)
{
    PyEval_RestoreThread(released);
}

void python_interrupt(void)
{
    PyErr_SetInterrupt();
}
