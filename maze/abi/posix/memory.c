/*
 * Native code that Python calls (orjson, Rust libraries, CPython's own start) ends the process where memory is refused.
 * So it is asked first: under a limit of address space or data, what is left of it must do for all that is under way.
 */
#include "memory.h"

#include "lock.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define REASON_BYTES 256

/* What a call takes besides what grows with its input: 13 MiB were measured for the first over HTTP, with its imports. */
#define CALL_BYTES (32 * MIB)
/* 46 MiB were measured, from nothing to a Python that has imported all that calls need. */
#define START_BYTES (64 * MIB)
#define GIVE_BACK_BYTES (1 * MIB)
/* glibc maps so much, for a moment, when a thread asks for memory for the first time. */
#define NEW_THREAD_BYTES (128 * MIB)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t set_aside; /* by calls under way */
static atomic_bool is_limited;

typedef struct Room {
    const char *limit; /* its name */
    size_t left;
} Room;

/* Bytes in use. False if that cannot be found out, for want of /proc or of a descriptor: then nothing is refused. */
static bool measure_use(size_t *address_space, size_t *data)
{
    char text[256];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t len = read(file, text, sizeof text - 1);
    close(file);
    if (len <= 0)
        return false;
    text[len] = '\0';
    if (sscanf(text, "%zu %*u %*u %*u %*u %zu", address_space, data) != 2)
        return false;
    *address_space *= (size_t)sysconf(_SC_PAGESIZE);
    *data *= (size_t)sysconf(_SC_PAGESIZE);
    return true;
}

static void tighten(Room *room, const struct rlimit *limit, size_t used, const char *name)
{
    size_t left = limit->rlim_cur > used ? (size_t)limit->rlim_cur - used : 0;
    if (limit->rlim_cur != RLIM_INFINITY && left < room->left)
        *room = (Room){name, left};
}

/* What is left under the tightest limit of this process; SIZE_MAX if there is none, or it cannot be told. */
static Room find_room(void)
{
    Room room = {NULL, SIZE_MAX};
    struct rlimit address_space, data;
    size_t address_space_used, data_used;
    bool limited = getrlimit(RLIMIT_AS, &address_space) == 0 && getrlimit(RLIMIT_DATA, &data) == 0 &&
                   (address_space.rlim_cur != RLIM_INFINITY || data.rlim_cur != RLIM_INFINITY);
    atomic_store(&is_limited, limited);
    if (limited && measure_use(&address_space_used, &data_used)) {
        tighten(&room, &address_space, address_space_used, "RLIMIT_AS");
        tighten(&room, &data, data_used, "RLIMIT_DATA");
    }
    return room;
}

/* Called under the lock. True if `needed` bytes are left; else `text`, of REASON_BYTES, says so. */
static bool is_left(size_t needed, char *text)
{
    Room room = find_room();
    if (room.left >= needed)
        return true;
    snprintf(text, REASON_BYTES,
             "out of memory, threads or open files: %zu MiB are needed for this and for the calls under way, and %zu "
             "MiB are left under the limit of the process (%s); raise the limit, or free memory",
             needed / MIB, room.left / MIB, room.limit);
    return false;
}

bool memory_is_left(MemoryNeed need, EmbedProblem *problem)
{
    static _Thread_local bool has_called;
    char text[REASON_BYTES];
    LockHost host = lock_take(&lock);
    size_t needed = GIVE_BACK_BYTES;
    if (need != MEMORY_TO_GIVE_BACK)
        needed = CALL_BYTES + set_aside + (has_called ? 0 : NEW_THREAD_BYTES) +
                 (need == MEMORY_TO_START ? START_BYTES : 0);
    bool left = is_left(needed, text);
    if (!has_called && need != MEMORY_TO_GIVE_BACK) {
        /* Now, while nobody else counts on what glibc maps for it; a call that is refused allocates its result. */
        void *volatile first = malloc(1);
        free(first);
        has_called = true;
    }
    lock_give_back(&lock, host);
    return left || embed_fail(problem, MAZE_OUT_OF_MEMORY, "%s", text);
}

bool host_memory_is_limited(void)
{
    return atomic_load(&is_limited);
}

const char *host_set_memory_aside(size_t bytes)
{
    static _Thread_local char text[REASON_BYTES];
    LockHost host = lock_take(&lock);
    bool left = is_left(CALL_BYTES + set_aside + bytes, text);
    if (left)
        set_aside += bytes;
    lock_give_back(&lock, host);
    return left ? NULL : text;
}

void host_give_memory_back(size_t bytes)
{
    LockHost host = lock_take(&lock);
    set_aside -= bytes;
    lock_give_back(&lock, host);
}
