/* Compiled into the module that cffi generates, whose way to start is static: opens it to start.c. */
#ifndef MAZE_BRIDGE_H
#define MAZE_BRIDGE_H

#include "host.h"

static int cffi_start_python(void);

bool bridge_start_cffi(void)
{
    return cffi_start_python() == 0;
}

#endif /* MAZE_BRIDGE_H */
