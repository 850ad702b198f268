/* Loading the part of libmaze that was compiled for the Python of this process, and before it a Python if it has none. */
#include "descriptors.h"
#include "interpreter.h"
#include "loading.h"
#include "lock.h"
#include "memory.h"
#include "paths.h"
#include "python_part.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PART_NAME "_libmaze_3%d.so"

typedef const char *VersionFunction(void);

static _Atomic(const PythonPart *) loaded;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER; /* nobody who holds it waits for the interpreter lock */

const PythonPart *python_part(void)
{
    return atomic_load(&loaded);
}

/* ------------------------------------------------------------------------------------------ its part of libmaze */

/* The Pythons that there are parts for in a folder: "3.11, 3.12", or "". */
static void list_parts(const char *folder, char *text, size_t size)
{
    bool has[100] = {false};
    DIR *files = opendir(folder);
    for (struct dirent *file; files != NULL && (file = readdir(files)) != NULL;) {
        int minor, len = 0;
        if (sscanf(file->d_name, PART_NAME "%n", &minor, &len) == 1 && len > 0 && minor >= 0 && minor < 100)
            has[minor] = true;
    }
    if (files != NULL)
        closedir(files);
    size_t used = 0;
    text[0] = '\0';
    for (int minor = 0; minor < 100; minor++) {
        if (has[minor] && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s3.%d", used > 0 ? ", " : "", minor);
    }
}

/*
 * The part for Python 3.<minor>, into PATH_MAX bytes: in the folder that libmaze lies in, or, for a copy of libmaze
 * elsewhere, in the environment. False, without a problem filled in, if there is none.
 */
static bool find_part(int minor, const Interpreter *environment, const char *folder, char *path)
{
    char packages[64];
    snprintf(packages, sizeof packages, "/lib/python3.%d/site-packages/maze/lib", minor);
    const char *const below[] = {"", "/lib", packages};
    for (size_t i = 0; i < (environment != NULL ? 3 : 1); i++) {
        const char *above = i == 0 ? folder : environment->environment;
        int len = snprintf(path, PATH_MAX, "%s%s/" PART_NAME, above, below[i], minor);
        if (len > 0 && len < PATH_MAX && paths_is_readable(path))
            return true;
    }
    return false;
}

/* `who` is what `version` was found for. */
static bool fail_without_part(EmbedProblem *problem, const char *who, const char *version, int minor, const char *folder)
{
    char built_for[256];
    list_parts(folder, built_for, sizeof built_for);
    if (built_for[0] == '\0')
        return embed_fail(problem, MAZE_STARTUP_FAILED,
                          "%.1024s Python %.*s, whose part of libmaze (" PART_NAME ") is not in %.1024s: link to the "
                          "library instead of copying it, or install libmaze again",
                          who, (int)strcspn(version, " "), version, minor, folder);
    return embed_fail(problem, MAZE_STARTUP_FAILED,
                      "%.1024s Python %.*s, but libmaze was built for Python %s (" PART_NAME
                      " is not in %.1024s); build libmaze with that Python (make PYTHON=...), or use Python %s",
                      who, (int)strcspn(version, " "), version, built_for, minor, folder, built_for);
}

static const PythonPart *load_part(const char *path, EmbedProblem *problem)
{
    void *library = loading_open(path, LOADED_FOR_US);
    const PythonPart *part = library != NULL ? loading_find(library, "maze_python_part") : NULL;
    if (part == NULL)
        embed_fail(problem, MAZE_STARTUP_FAILED, "%.1024s cannot be loaded: %.1024s", path, loading_problem());
    else if (strcmp(part->version, MAZE_VERSION) != 0)
        embed_fail(problem, MAZE_STARTUP_FAILED,
                   "the library is version " MAZE_VERSION " but %.1024s is of version %.100s; install both from the same "
                   "source",
                   path, part->version);
    else
        return part;
    return NULL;
}

/* The part for the Python that this process has. */
static const PythonPart *load_for_process(const char *version, const char *folder, EmbedProblem *problem)
{
    int minor;
    if (sscanf(version, "3.%d", &minor) != 1)
        minor = 0;
    Interpreter environment;
    EmbedProblem unused;
    bool found = interpreter_find(&environment, &unused);
    char path[PATH_MAX];
    if (find_part(minor, found ? &environment : NULL, folder, path))
        return load_part(path, problem);
    fail_without_part(problem, "this process runs", version, minor, folder);
    return NULL;
}

/* The part for the Python of an environment, and that Python's library before it: never one that there is no part for. */
static const PythonPart *load_with_python(const char *folder, EmbedProblem *problem)
{
    Interpreter wanted;
    char part[PATH_MAX], path[PATH_MAX], version[16];
    if (!interpreter_find(&wanted, problem))
        return NULL;
    if (!find_part(wanted.minor, &wanted, folder, part)) {
        snprintf(version, sizeof version, "3.%d", wanted.minor);
        snprintf(path, sizeof path, "%.4000s is", wanted.executable);
        fail_without_part(problem, path, version, wanted.minor, folder);
        return NULL;
    }
    if (!interpreter_library(&wanted, path, problem))
        return NULL;
    if (loading_open(path, LOADED_FOR_ALL) != NULL)
        return load_part(part, problem);
    embed_fail(problem, MAZE_STARTUP_FAILED, "%.1024s cannot be loaded: %.1024s", path, loading_problem());
    return NULL;
}

/* Called under load_lock. Nobody starts Python meanwhile, for want of this part. */
static bool load(EmbedProblem *problem)
{
    char folder[PATH_MAX];
    if (!memory_is_left(MEMORY_TO_START, problem) || !descriptors_suffice(problem) ||
        !interpreter_own_path(folder, problem))
        return false;
    *strrchr(folder, '/') = '\0';
    VersionFunction *version;
    *(void **)&version = loading_find_in_python("Py_GetVersion");
    const PythonPart *part =
        version != NULL ? load_for_process(version(), folder, problem) : load_with_python(folder, problem);
    atomic_store(&loaded, part);
    return part != NULL;
}

bool python_part_load(EmbedProblem *problem)
{
    if (python_part() != NULL)
        return true;
    LockHost host = lock_take(&load_lock);
    bool done = python_part() != NULL || load(problem);
    lock_give_back(&load_lock, host);
    return done;
}
