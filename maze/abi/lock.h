/* Locks that are taken in calls of the host. */
#ifndef MAZE_LOCK_H
#define MAZE_LOCK_H

#include <errno.h>
#include <pthread.h>

/* What the host's thread had before: its errno, and whether it may be cancelled. */
typedef struct LockHost {
    int error;
    int cancel_state;
} LockHost;

/* Take a lock. Until lock_host_back() the thread is not cancelled: asynchronously, that would keep the lock. */
static inline LockHost lock_take(pthread_mutex_t *lock)
{
    LockHost host = {.error = errno};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &host.cancel_state);
    pthread_mutex_lock(lock);
    return host;
}

static inline void lock_host_back(LockHost host)
{
    pthread_setcancelstate(host.cancel_state, NULL);
    errno = host.error;
}

static inline void lock_give_back(pthread_mutex_t *lock, LockHost host)
{
    pthread_mutex_unlock(lock);
    lock_host_back(host);
}

#endif /* MAZE_LOCK_H */
