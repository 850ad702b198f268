/* Threads of the host on which our native code can run, and a thread of ours for those on which it cannot. */
#define _GNU_SOURCE /* for pthread_getattr_np() */
#include "thread.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------------------------------------- stacks */

/* Less than this left of a stack, and another thread stands in. Deep grammars run on threads of their own anyway. */
#define NEEDED_STACK ((size_t)1024 * 1024)
#define STAND_IN_STACK ((size_t)16 * 1024 * 1024)

/* The stack of this thread, if that can be told. */
static void find_stack(uintptr_t *bottom, uintptr_t *top)
{
#if defined(__APPLE__)
    *top = (uintptr_t)pthread_get_stackaddr_np(pthread_self());
    *bottom = *top - pthread_get_stacksize_np(pthread_self());
#else
    pthread_attr_t attributes;
    void *lowest;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &lowest, &size) == 0) {
        *bottom = (uintptr_t)lowest;
        *top = *bottom + size;
    }
    pthread_attr_destroy(&attributes);
#endif
}

static bool stack_is_deep(void)
{
    static _Thread_local uintptr_t bottom, top;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (top == 0)
        find_stack(&bottom, &top);
    /* A host that switches stacks itself is outside of both bounds. */
    return here <= top && here > bottom && here - bottom >= NEEDED_STACK;
}

/* ------------------------------------------------------------------------------------------ thread-locals */

/*
 * Rust destroys its thread-locals when a thread ends or calls exit(), and panics where they are used after that: by a
 * call from an exit handler, or from a destructor of the host. A sentinel among the destructors tells. They run from
 * the last that was registered to the first: the sentinel that was registered before a call runs after those that were
 * registered in it, for calls from exit handlers; the one after it before them, for calls from the host's destructors.
 */
#if defined(__APPLE__)
void _tlv_atexit(void (*destructor)(void *), void *object);
#else
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *library); /* that of C++ and Rust */
extern void *__dso_handle __attribute__((visibility("hidden")));
#endif

static _Thread_local bool ending;
static _Thread_local uint64_t uses;

/* So often the sentinel is renewed each time, and then at each doubling: it takes memory until the thread ends. */
enum { RENEWED_EACH_TIME = 64 };

static void begin_to_end(void *is_ending)
{
    *(bool *)is_ending = true;
}

void thread_is_used(void)
{
    uses++;
    if (uses <= RENEWED_EACH_TIME || (uses & (uses - 1)) == 0)
#if defined(__APPLE__)
        _tlv_atexit(begin_to_end, &ending);
#else
        __cxa_thread_atexit_impl(begin_to_end, &ending, &__dso_handle);
#endif
}

bool thread_is_fit(void)
{
    return !ending && stack_is_deep();
}

/* ---------------------------------------------------------------------------------------------- stand-ins */

int thread_stand_in(void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, former;
    /* The host's handlers belong on the host's threads. Faults cannot be put off, and find their handler anywhere. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STAND_IN_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int failure = pthread_create(&thread, &attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    pthread_attr_destroy(&attributes);
    if (failure == 0)
        pthread_join(thread, NULL);
    return failure;
}
