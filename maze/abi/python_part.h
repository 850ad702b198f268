/*
 * The part of libmaze that is compiled for one version of Python, in a file of its own (_libmaze_311.so), and the rest,
 * libmaze.so.1, which links no Python and loads that part at the first call. Internal to libmaze.
 *
 * Each calls the other through a table and never by name: by name, a function of the one might find its like in the other.
 */
#ifndef MAZE_PYTHON_PART_H
#define MAZE_PYTHON_PART_H

#include "start.h"

#define MAZE_FUNCTION(name) __typeof__(name) *name

/* What the Python part calls of libmaze.so.1. */
typedef struct HostPart {
    MAZE_FUNCTION(embed_fail);
    MAZE_FUNCTION(host_new_result);
    MAZE_FUNCTION(host_has_log_callback);
    MAZE_FUNCTION(host_emit_log);
    MAZE_FUNCTION(host_interrupt_after_call);
    MAZE_FUNCTION(host_python_ends);
    MAZE_FUNCTION(host_memory_is_limited);
    MAZE_FUNCTION(host_set_memory_aside);
    MAZE_FUNCTION(host_give_memory_back);
    MAZE_FUNCTION(host_text_bytes);
    MAZE_FUNCTION(host_environment);
} HostPart;

typedef enum PythonStart {
    PYTHON_STARTED,
    PYTHON_NOT_STARTED,
    PYTHON_BROKEN, /* not started, and never will be in this process */
} PythonStart;

/* Whether the interpreter runs already, as in a host that is a Python program. */
bool python_is_initialized(void);

/*
 * Start Python with the environment of `executable`, unless it runs already, and attach the package maze to it. Called by
 * one thread at a time, without the interpreter lock. `problem` is filled in unless it has started.
 */
PythonStart python_start(const HostPart *host, const char *executable, EmbedProblem *problem);

/* Give up the interpreter lock if this thread holds it: NULL if not. */
void *python_release_interpreter(void);
void python_take_back_interpreter(void *released);

/* Have Python raise KeyboardInterrupt in its main thread. */
void python_interrupt(void);

/* Call a log callback of the host. */
void python_call_log_callback(MazeLogCallback callback, int level, const char *target, const char *message,
                              void *user_data);

/* What libmaze.so.1 calls of the Python part. */
typedef struct PythonPart {
    const char *version; /* MAZE_VERSION that it was built from; what follows may differ between versions */
    int minor;           /* of Python 3.<minor>, which it was built for */
    MAZE_FUNCTION(python_is_initialized);
    MAZE_FUNCTION(python_start);
    MAZE_FUNCTION(python_release_interpreter);
    MAZE_FUNCTION(python_take_back_interpreter);
    MAZE_FUNCTION(python_interrupt);
    MAZE_FUNCTION(python_call_log_callback);
    MAZE_FUNCTION(entry_generate);
    MAZE_FUNCTION(entry_generate_batch);
    MAZE_FUNCTION(entry_compile_constraints);
    MAZE_FUNCTION(entry_validate);
    MAZE_FUNCTION(entry_init);
    MAZE_FUNCTION(entry_health_check);
    MAZE_FUNCTION(entry_list_models);
    MAZE_FUNCTION(entry_cache_stats);
    MAZE_FUNCTION(entry_clear_cache);
    MAZE_FUNCTION(entry_shutdown);
    MAZE_FUNCTION(entry_log_callback_changed);
    MAZE_FUNCTION(entry_log_misuse);
} PythonPart;

/* The one symbol of the Python part. */
extern const PythonPart maze_python_part;

/* load.c: the Python part, NULL before it was loaded. It stays. */
const PythonPart *python_part(void);

/* load.c: load it, for the Python of this process or the one that interpreter.h finds. May be tried again. */
bool python_part_load(EmbedProblem *problem);

#endif /* MAZE_PYTHON_PART_H */
