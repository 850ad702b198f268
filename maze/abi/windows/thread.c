/* Threads of Windows. */
#include "thread.h"

#include <pthread.h>
#include <windows.h>

/* As in posix/thread.c. */
#define NEEDED_STACK ((size_t)1024 * 1024)
#define STAND_IN_STACK ((size_t)16 * 1024 * 1024)

bool thread_is_fit(void)
{
    ULONG_PTR bottom, top, here = (ULONG_PTR)__builtin_frame_address(0);
    GetCurrentThreadStackLimits(&bottom, &top);
    return here <= top && here > bottom && here - bottom >= NEEDED_STACK;
}

/* Whether thread-locals of Rust are still there in a thread that ends, nothing tells. */
void thread_is_used(void) {}

int thread_stand_in(void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STAND_IN_STACK);
    int failure = pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    if (failure == 0)
        pthread_join(thread, NULL);
    return failure;
}
