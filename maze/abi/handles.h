/* The structs that hosts see, apart from their texts: the address of one is its handle, and stands for no other ever. */
#ifndef MAZE_HANDLES_H
#define MAZE_HANDLES_H

#include "maze.h"

/* What a result is made of besides the struct that the host sees; see results.c. */
typedef struct Contents Contents;

typedef struct Handle {
    GenerationResultFFI shown; /* first: the host's pointer is ours */
    Contents *contents;        /* NULL: there is no result here (yet, or any more) */
} Handle;

/* Nothing here locks: results.c calls one at a time. Nothing reads an address that is not known to be a handle's. */

/* A handle that was never given out before, with everything 0; NULL without memory. Give it contents at once. */
Handle *handle_new(void);

/* The live handle at `address`, or NULL if there is none. */
Handle *handle_at(const void *address);

/* Let a live handle be none from now on. `shown` is what a host sees that reads it too late, as long as it can. */
void handle_end(Handle *handle, GenerationResultFFI shown);

#endif /* MAZE_HANDLES_H */
