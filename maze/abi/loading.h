/* Shared libraries of this process. Internal to libmaze. */
#ifndef MAZE_LOADING_H
#define MAZE_LOADING_H

#include <stdbool.h>

typedef enum LoadingScope {
    LOADED_FOR_US,
    LOADED_FOR_ALL, /* whatever is loaded later finds its symbols */
} LoadingScope;

/* Load a library by its path, or find it if it is there already. NULL if it cannot be loaded: see loading_problem(). */
void *loading_open(const char *path, LoadingScope scope);

/* The address of a symbol; NULL if the library has none of that name. */
void *loading_find(void *library, const char *symbol);

/* Why loading_open() or loading_find() has just failed in this thread. */
const char *loading_problem(void);

/*
 * The address of a symbol of the Python that this process has, running or not; NULL if there is none. Extension modules
 * look for its symbols in the global scope: where a host hides them, they are made known to all.
 */
void *loading_find_in_python(const char *symbol);

/* Where the library lies that an address is in, links resolved, in PATH_MAX bytes. False if that cannot be told. */
bool loading_path(const void *address, char *path);

#endif /* MAZE_LOADING_H */
