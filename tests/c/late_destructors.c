/*
 * Loaded before all else (LD_PRELOAD), it ends the process when llama.cpp registers the destructor of a static object
 * after its library was opened: exit() would run that destructor before the handler of libmaze, while the engine works.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool lies_in(void *address, const char *library)
{
    Dl_info found;
    return dladdr(address, &found) != 0 && found.dli_fname != NULL && strstr(found.dli_fname, library) != NULL;
}

int __cxa_atexit(void (*destroy)(void *), void *object, void *library);

int __cxa_atexit(void (*destroy)(void *), void *object, void *library)
{
    int (*register_destructor)(void (*)(void *), void *, void *);
    *(void **)&register_destructor = dlsym(RTLD_NEXT, "__cxa_atexit");
    if (lies_in(__builtin_return_address(0), "xllamacpp")) {
        void *callers[64];
        int callers_len = backtrace(callers, 64);
        bool being_opened = false; /* then the dynamic loader is the one who calls */
        for (int i = 0; i < callers_len; i++)
            being_opened = being_opened || lies_in(callers[i], "/ld-linux");
        if (!being_opened) {
            fputs("llama.cpp has registered a destructor after it was opened\n", stderr);
            abort();
        }
    }
    return register_destructor(destroy, object, library);
}
