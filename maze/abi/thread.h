/* Threads of the host on which our native code can run, and a thread of ours for those on which it cannot. */
#ifndef MAZE_THREAD_H
#define MAZE_THREAD_H

#include <stdbool.h>

/* Whether native code can run on this thread: its stack is deep enough, and its thread-locals are still there. */
bool thread_is_fit(void);

/* To be called before and after native code runs on this thread, which may make thread-locals in it. */
void thread_is_used(void);

/* Call `run(argument)` on a thread of ours and wait for its end. 0, or an errno if there can be no such thread. */
int thread_stand_in(void *(*run)(void *), void *argument);

#endif /* MAZE_THREAD_H */
