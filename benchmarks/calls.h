/* What the programs that time calls share. */
#ifndef CALLS_H
#define CALLS_H

#include <maze.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Free the result of a call that must have succeeded. */
static inline void succeed(GenerationResultFFI *result)
{
    if (!result->success) {
        fprintf(stderr, "%s\n", result->error);
        exit(1);
    }
    maze_free_result(result);
}

#endif /* CALLS_H */
