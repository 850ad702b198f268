/* Memory by whole pages, of Windows. */
#include "pages.h"

#include <windows.h>

size_t pages_size(void)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    return system.dwPageSize;
}

void *pages_map(void *wanted, size_t bytes)
{
    return VirtualAlloc(wanted, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void *pages_map_with_room(void *wanted, size_t bytes, size_t room)
{
    (void)room; /* stacks have all their addresses from the start */
    return pages_map(wanted, bytes);
}

void pages_give_back(void *start, size_t bytes)
{
    VirtualAlloc(start, bytes, MEM_RESET, PAGE_READWRITE);
}

void pages_unmap(void *start, size_t bytes)
{
    (void)bytes;
    VirtualFree(start, 0, MEM_RELEASE);
}
