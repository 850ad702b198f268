/* Memory by whole pages of the system. Internal to libmaze. */
#ifndef MAZE_PAGES_H
#define MAZE_PAGES_H

#include <stddef.h>

/* Of a page, in bytes. */
size_t pages_size(void);

/* Map memory, of zeros, at `wanted`, or anywhere if that is NULL. NULL if it cannot be had there. */
void *pages_map(void *wanted, size_t bytes);

/* The same, where so much behind it is free as well: for a stack to grow down to it. */
void *pages_map_with_room(void *wanted, size_t bytes, size_t room);

/* Give the memory of some pages back, but not their addresses: each byte is 0 from then on, or as it was. */
void pages_give_back(void *start, size_t bytes);

/* Give all of a mapping back. */
void pages_unmap(void *start, size_t bytes);

#endif /* MAZE_PAGES_H */
