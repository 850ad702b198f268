/* Paths of Windows. */
#include "paths.h"

#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const paths_python_of_environment = "Scripts/python.exe";
const bool paths_python_has_folder = false;
const char *const paths_of_library[] = {"python3%d.dll", NULL};

enum { READABLE = 4 }; /* for _access() */

bool paths_is_readable(const char *path)
{
    return _access(path, READABLE) == 0;
}

bool paths_is_executable_file(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISREG(found.st_mode) && paths_is_readable(path);
}

bool paths_resolve(const char *path, char *resolved)
{
    if (_fullpath(resolved, path, PATH_MAX) == NULL)
        return false;
    for (char *at = resolved; (at = strchr(at, '\\')) != NULL;)
        *at = '/';
    return true;
}

FILE *paths_open(const char *path)
{
    return fopen(path, "rN");
}
