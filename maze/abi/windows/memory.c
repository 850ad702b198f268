/* Windows has no limit of address space that a process could ask what is left of. */
#include "memory.h"

bool memory_is_left(MemoryNeed need, EmbedProblem *problem)
{
    (void)need, (void)problem;
    return true;
}

bool host_memory_is_limited(void)
{
    return false;
}

const char *host_set_memory_aside(size_t bytes)
{
    (void)bytes;
    return NULL;
}

void host_give_memory_back(size_t bytes)
{
    (void)bytes;
}
