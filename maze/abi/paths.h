/* What files are, and where a Python has its own: '/' lies between the parts of a path everywhere. Internal to libmaze. */
#ifndef MAZE_PATHS_H
#define MAZE_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

/* The Python of a virtual environment. */
extern const char *const paths_python_of_environment;

/* Whether a Python lies in a folder of its own below its prefix (bin/), as the libraries do. */
extern const bool paths_python_has_folder;

/* Formats of the places of its shared library below its prefix, that take the minor version; NULL at the end. */
extern const char *const paths_of_library[];

/* As opening and starting it will decide. */
bool paths_is_readable(const char *path);
bool paths_is_executable_file(const char *path);

/* The path without links, in PATH_MAX bytes. */
bool paths_resolve(const char *path, char *resolved);

/* Open a file to be read, which no child inherits. */
FILE *paths_open(const char *path);

#endif /* MAZE_PATHS_H */
