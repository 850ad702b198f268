/* Whether this process is the one that libmaze is in use in. */
#define _GNU_SOURCE /* for MADV_WIPEONFORK */
#include "start.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

typedef _Atomic(pid_t) Process;

static Process without_page; /* where memory is refused; before Linux 4.14, and on macOS, a page is no better */
static Process *process = &without_page; /* whose memory this is, also before the first call */
static atomic_bool in_use;               /* by that process, or by one that it was forked from */

static void remember_forked_process(void)
{
    if (!atomic_load(&in_use))
        atomic_store(process, getpid());
}

/*
 * In a page that the kernel clears in a child, however that was made (pthread_atfork() would miss clone()): a pid alone
 * comes around, and is 1 in every namespace. It is the pid all the same, for a child that shares our memory (vfork()):
 * were it remembered only at the first call, a first call of such a child would make its parent a stranger.
 */
__attribute__((constructor)) static void remember_process(void)
{
    void *page = mmap(NULL, sizeof *process, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) {
#if defined(MADV_WIPEONFORK)
        madvise(page, sizeof *process, MADV_WIPEONFORK);
#endif
        process = page;
    }
    atomic_store(process, getpid());
    pthread_atfork(NULL, NULL, remember_forked_process);
}

bool embed_is_forked_child(void)
{
    pid_t pid = getpid(), nobody = 0;
    if (!atomic_load(&in_use)) {
        atomic_compare_exchange_strong(process, &nobody, pid); /* in a child of clone() */
        if (atomic_load(process) != pid)
            return true;
        atomic_store(&in_use, true);
    }
    return atomic_load(process) != pid;
}
