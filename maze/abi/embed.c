/* The way of every call into Python and back, on which the state of the host's thread is kept. */
#include "descriptors.h"
#include "python_part.h"
#include "thread.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local bool interrupt_wanted;
_Thread_local bool embed_inside_log_callback;

bool embed_fail(EmbedProblem *problem, MazeStatus status, const char *format, ...)
{
    static const char prefix[] = "libmaze: ";
    va_list arguments;
    problem->status = status;
    memcpy(problem->text, prefix, sizeof prefix);
    va_start(arguments, format);
    vsnprintf(problem->text + sizeof prefix - 1, sizeof problem->text - sizeof prefix + 1, format, arguments);
    va_end(arguments);
    return false;
}

void *embed_release_interpreter(void)
{
    const PythonPart *python = python_part();
    return python != NULL ? python->python_release_interpreter() : NULL;
}

void embed_take_back_interpreter(void *released)
{
    if (released != NULL)
        python_part()->python_take_back_interpreter(released);
}

void host_interrupt_after_call(void)
{
    interrupt_wanted = true;
}

typedef struct Work {
    void (*run)(void *);
    void *arguments;
    EmbedProblem *problem;
    bool inside_log_callback;
    bool done;
    bool interrupt;
} Work;

static void *do_work(void *argument)
{
    Work *work = argument;
    embed_inside_log_callback = work->inside_log_callback;
    work->done = start_python(work->problem);
    if (work->done)
        work->run(work->arguments);
    work->interrupt = interrupt_wanted;
    interrupt_wanted = false;
    return NULL;
}

static void stand_in(void *(*run)(void *), Work *work)
{
    int failure = thread_stand_in(run, work);
    if (failure != 0)
        embed_fail(work->problem, MAZE_OUT_OF_MEMORY,
                   "this thread has a small stack or is ending, and no other can be started to stand in for it: %s; "
                   "raise what the process may have of threads (ulimit -u, pids.max of its cgroup) or of memory",
                   strerror(failure));
}

static void *do_load(void *argument)
{
    Work *work = argument;
    work->done = python_part_load(work->problem);
    return NULL;
}

bool embed_load(EmbedProblem *problem)
{
    if (python_part() != NULL)
        return true;
    int errno_of_host = errno;
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    descriptors_hold_standard();
    Work work = {.problem = problem};
    if (thread_is_fit())
        do_load(&work);
    else
        stand_in(do_load, &work);
    pthread_setcancelstate(cancel_state, NULL);
    errno = errno_of_host;
    return work.done;
}

bool embed_is_running(void)
{
    return !embed_is_forked_child() && start_is_done();
}

bool embed_call(void (*run)(void *), void *arguments, EmbedProblem *problem)
{
    if (embed_is_forked_child())
        return embed_fail(problem, MAZE_FORKED, "this process was forked after libmaze had started");
    int errno_of_host = errno;
    /* pthread_cancel() in the midst of Python would take the interpreter's locks along; it works after the call. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    /* With traps of the host the engine would end it with SIGFPE, and its rounding would decide about constraints. */
    fenv_t floating_point_of_host;
    fegetenv(&floating_point_of_host);
    fesetenv(FE_DFL_ENV);
    descriptors_hold_standard();
    Work work = {
        .run = run, .arguments = arguments, .problem = problem, .inside_log_callback = embed_inside_log_callback};
    bool fit = thread_is_fit();
    if (fit)
        thread_is_used();
    if (fit && start_is_done()) {
        do_work(&work);
    } else {
        void *released = embed_release_interpreter();
        if (fit)
            do_work(&work);
        else
            stand_in(do_work, &work);
        embed_take_back_interpreter(released);
    }
    if (fit)
        thread_is_used();
    if (work.interrupt)
        python_part()->python_interrupt();
    fesetenv(&floating_point_of_host);
    pthread_setcancelstate(cancel_state, NULL);
    errno = errno_of_host;
    return work.done;
}
