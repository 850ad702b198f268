/* Shared libraries of a process of Linux or macOS. */
#define _GNU_SOURCE /* for dladdr(), dl_iterate_phdr() and RTLD_DEFAULT */
#include "loading.h"

#include "paths.h"

#include <dlfcn.h>
#include <string.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#else
#include <link.h>
#endif

void *loading_open(const char *path, LoadingScope scope)
{
    return dlopen(path, scope == LOADED_FOR_ALL ? RTLD_LAZY | RTLD_GLOBAL : RTLD_NOW | RTLD_LOCAL);
}

void *loading_find(void *library, const char *symbol)
{
    return dlsym(library, symbol);
}

const char *loading_problem(void)
{
    return dlerror();
}

/* Keep the path of a library, in PATH_MAX bytes, if it is a libpython. */
static bool keep_if_python(const char *library, char *path)
{
    const char *slash = strrchr(library, '/');
    int minor;
    if (slash == NULL || strlen(library) >= PATH_MAX || sscanf(slash, "/libpython3.%d", &minor) != 1)
        return false;
    strcpy(path, library);
    return true;
}

#if defined(__APPLE__)
static void find_loaded_python(char *path)
{
    for (uint32_t i = 0; i < _dyld_image_count(); i++) {
        const char *library = _dyld_get_image_name(i);
        if (library != NULL && keep_if_python(library, path))
            return;
    }
}
#else
static int keep_library_if_python(struct dl_phdr_info *library, size_t size, void *path)
{
    (void)size;
    return keep_if_python(library->dlpi_name, path);
}

static void find_loaded_python(char *path)
{
    dl_iterate_phdr(keep_library_if_python, path);
}
#endif

void *loading_find_in_python(const char *symbol)
{
    char path[PATH_MAX] = "";
    Dl_info python;
    void *found = dlsym(RTLD_DEFAULT, symbol);
    if (found != NULL && dladdr(found, &python) != 0 && python.dli_fname != NULL &&
        strlen(python.dli_fname) < sizeof path)
        strcpy(path, python.dli_fname);
    else if (found == NULL)
        find_loaded_python(path);
    void *library = path[0] != '\0' ? dlopen(path, RTLD_LAZY | RTLD_GLOBAL | RTLD_NOLOAD) : NULL;
    return found == NULL && library != NULL ? dlsym(library, symbol) : found;
}

bool loading_path(const void *address, char *path)
{
    Dl_info found;
    return dladdr(address, &found) != 0 && found.dli_fname != NULL && paths_resolve(found.dli_fname, path);
}
