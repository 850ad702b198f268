/* Which Python to run in a process that has none yet. Internal to libmaze. */
#ifndef MAZE_INTERPRETER_H
#define MAZE_INTERPRETER_H

#include "start.h"

#include <limits.h>

/* The Python of an environment, as files tell: nothing is run to find it. */
typedef struct Interpreter {
    char executable[PATH_MAX];
    char environment[PATH_MAX]; /* the folder that bin/ lies in, and the packages */
    char home[PATH_MAX];        /* the same of the Python that the environment was made with */
    int minor;                  /* of Python 3.<minor> */
} Interpreter;

/* That of MAZE_PYTHON, else of the environment that libmaze itself lies in. */
bool interpreter_find(Interpreter *found, EmbedProblem *problem);

/* Its shared library, in PATH_MAX bytes. */
bool interpreter_library(const Interpreter *found, char *library, EmbedProblem *problem);

/* Where libmaze itself lies, links resolved, in PATH_MAX bytes. */
bool interpreter_own_path(char *library, EmbedProblem *problem);

#endif /* MAZE_INTERPRETER_H */
