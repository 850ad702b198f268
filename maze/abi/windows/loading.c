/* Shared libraries of a process of Windows. */
#include "loading.h"

#include "paths.h"

#include <windows.h>
/* After it. */
#include <psapi.h>

enum { MOST_MODULES = 1024 };

void *loading_open(const char *path, LoadingScope scope)
{
    (void)scope; /* libraries name the ones that they take symbols from */
    return LoadLibraryA(path);
}

void *loading_find(void *library, const char *symbol)
{
    void *found = NULL;
    *(FARPROC *)(void *)&found = GetProcAddress(library, symbol);
    return found;
}

const char *loading_problem(void)
{
    static _Thread_local char text[64];
    snprintf(text, sizeof text, "error %lu of Windows", GetLastError());
    return text;
}

void *loading_find_in_python(const char *symbol)
{
    HMODULE modules[MOST_MODULES];
    DWORD bytes = 0;
    if (!EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes))
        return NULL;
    for (size_t i = 0; i < bytes / sizeof modules[0] && i < MOST_MODULES; i++) {
        void *found = loading_find(modules[i], symbol);
        if (found != NULL)
            return found;
    }
    return NULL;
}

bool loading_path(const void *address, char *path)
{
    HMODULE module;
    char name[PATH_MAX];
    const DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExA(how, address, &module))
        return false;
    DWORD len = GetModuleFileNameA(module, name, sizeof name);
    return len > 0 && len < sizeof name && paths_resolve(name, path);
}
