/* Whether there is memory for what is about to be done, in a process that may have only so much. Internal to libmaze. */
#ifndef MAZE_MEMORY_H
#define MAZE_MEMORY_H

#include "start.h"

typedef enum MemoryNeed {
    MEMORY_TO_GIVE_BACK, /* of a call that frees more than it takes */
    MEMORY_TO_CALL,
    MEMORY_TO_START,
} MemoryNeed;

/* Without a limit this is two system calls. False, with `problem` filled in, if there is not enough. */
bool memory_is_left(MemoryNeed need, EmbedProblem *problem);

#endif /* MAZE_MEMORY_H */
