/* Python inside somebody else's process, and the memory of results. Internal to libmaze. */
#ifndef MAZE_START_H
#define MAZE_START_H

#include "entry.h"

/* Why a call could not be made; `text` begins with "libmaze: ". */
typedef struct EmbedProblem {
    MazeStatus status;
    char text[4096];
} EmbedProblem;

/*
 * Run `run(arguments)` where Python may be called: Python is started if it has to be, the process is not a forked
 * child, and the stack is deep enough (else another thread stands in while this one waits). errno is kept. False, with
 * `problem` filled in and `run` not called, if that cannot be had.
 */
bool embed_call(void (*run)(void *), void *arguments, EmbedProblem *problem);

/* Fill in `problem`, with "libmaze: " before the text. Always false. */
__attribute__((format(printf, 3, 4))) bool embed_fail(EmbedProblem *problem, MazeStatus status, const char *format, ...);

/* Whether this thread runs the host's log callback, or stands in for one that does: it is not called once more then. */
extern _Thread_local bool embed_inside_log_callback;

/* Load the part of libmaze for the Python of this process, which embed_call() takes for granted. May be tried again. */
bool embed_load(EmbedProblem *problem);

/* Whether Python is up and embed_call() would not have to start it. False in a forked child. */
bool embed_is_running(void);

/* fork.c: whether libmaze was in use in the process that this one was forked from. No lock of ours can be trusted then. */
bool embed_is_forked_child(void);

/* Give up the interpreter lock if this thread holds it (a Python host without ctypes' release); for embed_take_back. */
void *embed_release_interpreter(void);
void embed_take_back_interpreter(void *released);

/*
 * start.c: start Python unless it is running. embed_load() has been called, and the caller does not hold the interpreter
 * lock: the starting thread needs it.
 */
bool start_python(EmbedProblem *problem);
bool start_is_done(void);

/* start.c: whether there is memory to start Python, or to call it once another thread has done so. */
bool start_has_memory(EmbedProblem *problem);

/* results.c: static results that are never freed. */
GenerationResultFFI *result_forked(void);
GenerationResultFFI *result_of_problem(const EmbedProblem *problem);

/* results.c: set the time that the call of a result took, before the host gets to see the result. */
void result_took(GenerationResultFFI *result, uint64_t ms);

#endif /* MAZE_START_H */
