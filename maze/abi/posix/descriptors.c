/* The descriptors of a process that is not ours: which we never take, and whether there are any left. */
#define _GNU_SOURCE /* for O_PATH */
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__APPLE__)
#define O_PATH O_EVTONLY
#endif

/* It opens up to 2 at once; some more, because other threads open files as well. */
enum { NEEDED_BY_START = 5 };

/* A descriptor on which read() and write() fail with EBADF, as on one that is closed. */
static int open_nothing(void)
{
    int descriptor = open("/dev/null", O_PATH | O_CLOEXEC);
    if (descriptor < 0 && errno != EMFILE && errno != ENFILE) /* a changed root has no /dev/null, but is a folder */
        descriptor = open("/", O_PATH | O_CLOEXEC);
    return descriptor;
}

void descriptors_hold_standard(void)
{
    bool all_open = true;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        all_open = all_open && fcntl(i, F_GETFD) >= 0;
    if (all_open)
        return;
    /* Each is the lowest that is free, whatever other threads open and close meanwhile. */
    int held;
    do
        held = open_nothing();
    while (held >= 0 && held <= STDERR_FILENO);
    if (held >= 0)
        close(held);
}

bool descriptors_suffice(EmbedProblem *problem)
{
    int held[NEEDED_BY_START];
    int len = 0, reason = 0;
    while (len < NEEDED_BY_START && reason == 0) {
        held[len] = open_nothing();
        if (held[len] >= 0)
            len++;
        else
            reason = errno;
    }
    for (int i = 0; i < len; i++)
        close(held[i]);
    if (reason == EMFILE) {
        struct rlimit limit = {0};
        getrlimit(RLIMIT_NOFILE, &limit);
        return embed_fail(problem, MAZE_OUT_OF_MEMORY,
                          "too many open files: the start needs %d more, and this process may have %llu in all "
                          "(RLIMIT_NOFILE); raise the limit (ulimit -n) or close some, and call again",
                          NEEDED_BY_START, (unsigned long long)limit.rlim_cur);
    }
    if (reason == ENFILE || reason == ENOMEM)
        return embed_fail(problem, MAZE_OUT_OF_MEMORY,
                          "the start needs %d open files, and the system refuses them: %s; close some, and call again",
                          NEEDED_BY_START, strerror(reason));
    return true; /* another reason is none that more descriptors would cure, and whoever opens a file will tell it */
}
