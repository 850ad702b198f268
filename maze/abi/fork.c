/* Whether this process is the one that libmaze is in use in. */
#define _GNU_SOURCE /* for MADV_WIPEONFORK */
#include "start.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

typedef struct Process {
    pid_t pid;
} Process;

static _Atomic(Process *) first; /* that libmaze is in use in; NULL before the first call */

/*
 * In a page that the kernel clears in a child, however that was made (pthread_atfork() would miss clone()): a pid alone
 * comes around, and is 1 in every namespace. It is the pid all the same, for a child that shares our memory (vfork()).
 */
static Process *remember_process(void)
{
    static Process without_page; /* where memory is refused, or (before Linux 4.14) clearing: the pid alone */
    int errno_of_host = errno;
    Process *process = mmap(NULL, sizeof *process, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (process == MAP_FAILED)
        process = &without_page;
    else
        madvise(process, sizeof *process, MADV_WIPEONFORK);
    errno = errno_of_host;
    process->pid = getpid();
    Process *earlier = NULL;
    if (atomic_compare_exchange_strong(&first, &earlier, process))
        return process;
    if (process != &without_page)
        munmap(process, sizeof *process);
    return earlier;
}

bool embed_is_forked_child(void)
{
    const Process *process = atomic_load(&first);
    if (process == NULL)
        process = remember_process();
    return process->pid != getpid();
}
