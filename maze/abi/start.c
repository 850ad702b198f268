/* Starting Python: once, by one thread at a time. What starts is the Python part; this decides whether and when. */
#include "descriptors.h"
#include "interpreter.h"
#include "lock.h"
#include "memory.h"
#include "python_part.h"

#include <pthread.h>
#include <stdatomic.h>

typedef enum State {
    NOT_STARTED, /* or failed in a way that may be tried again */
    RUNNING,
    BROKEN, /* for good: see broken_problem */
} State;

static _Atomic(State) state = NOT_STARTED;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static EmbedProblem broken_problem; /* written once, before `state` becomes BROKEN */

void host_python_ends(void)
{
    embed_fail(&broken_problem, MAZE_STARTUP_FAILED,
               "the Python interpreter of this process has ended, and libmaze with it; make calls before Py_Finalize()");
    atomic_store(&state, BROKEN);
}

static const HostPart host_part_of_libmaze = {
    .embed_fail = embed_fail,
    .host_new_result = host_new_result,
    .host_has_log_callback = host_has_log_callback,
    .host_emit_log = host_emit_log,
    .host_interrupt_after_call = host_interrupt_after_call,
    .host_python_ends = host_python_ends,
    .host_memory_is_limited = host_memory_is_limited,
    .host_set_memory_aside = host_set_memory_aside,
    .host_give_memory_back = host_give_memory_back,
    .host_text_bytes = host_text_bytes,
    .host_environment = host_environment,
};

/* The environment to start Python with, which may be another than when the Python part was loaded. */
static bool find_environment(Interpreter *found, int minor, EmbedProblem *problem)
{
    if (!interpreter_find(found, problem))
        return false;
    if (found->minor == minor)
        return true;
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "this process has Python 3.%d in it, and %.1024s is Python 3.%d; use an environment of Python 3.%d",
                      minor, found->executable, found->minor, minor);
}

/* Called under start_lock, without the interpreter lock. */
static bool start(EmbedProblem *problem)
{
    const PythonPart *python = python_part();
    Interpreter found = {0};
    /* Asked before it begins: what fails in its midst is for good, or leaves modules behind that made do without. */
    if (!descriptors_suffice(problem))
        return false;
    if (!python->python_is_initialized() && !find_environment(&found, python->minor, problem))
        return false;
    PythonStart became = python->python_start(&host_part_of_libmaze, found.executable, problem);
    if (became == PYTHON_BROKEN) {
        broken_problem = *problem;
        atomic_store(&state, BROKEN);
    }
    if (became == PYTHON_STARTED)
        atomic_store(&state, RUNNING);
    return became == PYTHON_STARTED;
}

bool start_is_done(void)
{
    return atomic_load(&state) == RUNNING;
}

bool start_python(EmbedProblem *problem)
{
    if (start_is_done())
        return true;
    pthread_mutex_lock(&start_lock);
    State now = atomic_load(&state);
    bool ready = now == RUNNING || (now == NOT_STARTED && start(problem));
    if (now == BROKEN)
        *problem = broken_problem;
    pthread_mutex_unlock(&start_lock);
    return ready;
}

/* Asked under start_lock: what a thread maps when it first allocates would be missing in the midst of a start. */
bool start_has_memory(EmbedProblem *problem)
{
    void *released = embed_release_interpreter();
    LockHost host = lock_take(&start_lock);
    bool left = memory_is_left(start_is_done() ? MEMORY_TO_CALL : MEMORY_TO_START, problem);
    lock_give_back(&start_lock, host);
    embed_take_back_interpreter(released);
    return left;
}
