/* Memory by whole pages, of Linux and macOS. */
#define _GNU_SOURCE /* for madvise() */
#include "pages.h"

#include <sys/mman.h>
#include <unistd.h>

#if defined(__APPLE__)
#define MAP_FIXED_NOREPLACE 0 /* an address is a wish there */
#elif !defined(MAP_FIXED_NOREPLACE)
#define MAP_FIXED_NOREPLACE 0x100000
#endif

size_t pages_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *pages_map(void *wanted, size_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (wanted != NULL ? MAP_FIXED_NOREPLACE : 0);
    void *start = mmap(wanted, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    if (wanted != NULL && start != wanted) {
        munmap(start, bytes); /* a kernel before 4.17, or a tool that knows better */
        return NULL;
    }
#if defined(MADV_NOHUGEPAGE)
    madvise(start, bytes, MADV_NOHUGEPAGE); /* a huge page cannot be given back in part */
#endif
    return start;
}

void *pages_map_with_room(void *wanted, size_t bytes, size_t room)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    char *start = mmap(wanted, bytes + room, PROT_NONE, flags, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    munmap(start + bytes, room);
    if (start == wanted && mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0) {
#if defined(MADV_NOHUGEPAGE)
        madvise(start, bytes, MADV_NOHUGEPAGE);
#endif
        return start;
    }
    munmap(start, bytes);
    return NULL;
}

void pages_give_back(void *start, size_t bytes)
{
    madvise(start, bytes, MADV_DONTNEED);
}

void pages_unmap(void *start, size_t bytes)
{
    munmap(start, bytes);
}
