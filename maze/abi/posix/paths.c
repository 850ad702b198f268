/* Paths of Linux and macOS. */
#include "paths.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const paths_python_of_environment = "bin/python3";
const bool paths_python_has_folder = true;
const char *const paths_of_library[] = {
#if defined(__APPLE__)
    "lib/libpython3.%d.dylib",
#else
    "lib/libpython3.%d.so.1.0",
    /* Where Debian and its like keep libraries. */
#if defined(__x86_64__)
    "lib/x86_64-linux-gnu/libpython3.%d.so.1.0",
#else
    "lib/aarch64-linux-gnu/libpython3.%d.so.1.0",
#endif
    "lib64/libpython3.%d.so.1.0",
#endif
    NULL,
};

/* access() would ask for the real user, without the capabilities. */
static bool may(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0;
}

bool paths_is_readable(const char *path)
{
    return may(path, R_OK);
}

bool paths_is_executable_file(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISREG(found.st_mode) && may(path, X_OK);
}

bool paths_resolve(const char *path, char *resolved)
{
    return realpath(path, resolved) != NULL;
}

FILE *paths_open(const char *path)
{
    return fopen(path, "re");
}
