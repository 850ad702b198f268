/* The one symbol that libmaze.so.1 looks up in this part. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "python_part.h"

__attribute__((visibility("default"))) const PythonPart maze_python_part = {
    .version = MAZE_VERSION,
    .minor = PY_MINOR_VERSION,
    .python_is_initialized = python_is_initialized,
    .python_start = python_start,
    .python_release_interpreter = python_release_interpreter,
    .python_take_back_interpreter = python_take_back_interpreter,
    .python_interrupt = python_interrupt,
    .python_call_log_callback = python_call_log_callback,
    .entry_generate = entry_generate,
    .entry_generate_batch = entry_generate_batch,
    .entry_compile_constraints = entry_compile_constraints,
    .entry_validate = entry_validate,
    .entry_init = entry_init,
    .entry_health_check = entry_health_check,
    .entry_list_models = entry_list_models,
    .entry_cache_stats = entry_cache_stats,
    .entry_clear_cache = entry_clear_cache,
    .entry_shutdown = entry_shutdown,
    .entry_log_callback_changed = entry_log_callback_changed,
    .entry_log_misuse = entry_log_misuse,
};
