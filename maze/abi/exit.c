/*
 * exit() while the embedded engine is opened, loads or generates.
 *
 * exit() runs handlers and destroys static objects in the reverse order of their registration, on the thread that calls
 * it, while all others go on: threads of the engine would use what is destroyed. Hence
 *
 * 1. a handler of ours stops the engine; registered once llama.cpp's library is open, it runs before the destructors that
 *    the library registered as it was opened;
 * 2. what llama.cpp would register later, at many points of its first load, is never destroyed: the end of the process
 *    takes it along;
 * 3. an exit() that came while the library was being opened is noticed before anything of it is used.
 *
 * What is left is the millisecond in which the library's own constructors run: nothing can come between those.
 */
#define _GNU_SOURCE /* for dlinfo() */
#include "start.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void run_stop_engines(void *status)
{
    *(int *)status = entry_stop_engines();
}

static atomic_bool exiting;

/* A forked child has no thread of the engine, and must not wait for one. */
static void stop_engines(void)
{
    int status;
    EmbedProblem unused;
    if (!atomic_exchange(&exiting, true) && embed_is_running())
        embed_call(run_stop_engines, &status, &unused);
}

bool host_stop_engine_at_exit(void)
{
    /* Long enough for an exit() that is destroying something at this moment to come to the handler, which is its next. */
    enum { NOTICED_AFTER_US = 1000 };
    atexit(stop_engines);
    usleep(NOTICED_AFTER_US);
    return !atomic_load(&exiting);
}

/* Takes the place of __cxa_atexit() for a library whose static objects are not to be destroyed. */
static int destroy_never(void (*destroy)(void *), void *object, void *library)
{
    (void)destroy, (void)object, (void)library;
    return 0;
}

/* Let an entry of a library's import table lead to destroy_never(). False if it cannot be written. */
static bool redirect(uintptr_t *entry)
{
    uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *page = (void *)((uintptr_t)entry & ~(page_size - 1));
    if (mprotect(page, page_size, PROT_READ | PROT_WRITE) != 0) /* it may be read-only since it was bound */
        return false;
    __atomic_store_n(entry, (uintptr_t)destroy_never, __ATOMIC_RELEASE);
    return true;
}

/* Find where a loaded library keeps the address of its __cxa_atexit(), by its dynamic section, and redirect it. */
static bool redirect_cxa_atexit(const struct link_map *library)
{
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    const ElfW(Rela) *relocations[2] = {NULL, NULL}; /* of functions bound at their first call, and of all else */
    size_t sizes[2] = {0, 0};
    for (const ElfW(Dyn) *entry = library->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_SYMTAB:
            symbols = (const void *)entry->d_un.d_ptr;
            break;
        case DT_STRTAB:
            names = (const void *)entry->d_un.d_ptr;
            break;
        case DT_JMPREL:
            relocations[0] = (const void *)entry->d_un.d_ptr;
            break;
        case DT_PLTRELSZ:
            sizes[0] = entry->d_un.d_val;
            break;
        case DT_RELA:
            relocations[1] = (const void *)entry->d_un.d_ptr;
            break;
        case DT_RELASZ:
            sizes[1] = entry->d_un.d_val;
            break;
        }
    }
    if (symbols == NULL || names == NULL)
        return false;
    bool found = false;
    for (size_t table = 0; table < 2; table++) {
        for (size_t i = 0; relocations[table] != NULL && i < sizes[table] / sizeof(ElfW(Rela)); i++) {
            const ElfW(Rela) *relocation = &relocations[table][i];
            const ElfW(Sym) *symbol = &symbols[ELF64_R_SYM(relocation->r_info)];
            if (symbol->st_shndx == SHN_UNDEF && strcmp(names + symbol->st_name, "__cxa_atexit") == 0)
                found = redirect((uintptr_t *)(library->l_addr + relocation->r_offset)) || found;
        }
    }
    return found;
}

bool host_destroy_never(const char *path)
{
    void *handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    struct link_map *library;
    bool found =
        handle != NULL && dlinfo(handle, RTLD_DI_LINKMAP, &library) == 0 && redirect_cxa_atexit(library);
    if (handle != NULL)
        dlclose(handle);
    return found;
}
