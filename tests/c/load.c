/*
 * Loads the library named by the first argument at run time, makes one call, and prints its status name and error.
 * Second argument: what is special.
 */
#include <maze.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A constraint that only the packages behind libmaze can compile. */
static const char *const letters = "^[a-z]+$";

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    return found;
}

static void call(void *library)
{
    GenerationResultFFI *(*compile)(const ConstraintIRFFI *, size_t, const char *, const MazeOptionsFFI *);
    MazeStatus (*status)(const GenerationResultFFI *);
    const char *(*name)(MazeStatus);
    void (*free_result)(GenerationResultFFI *);
    /* ISO C has no conversion from object to function pointers. */
    *(void **)&compile = symbol(library, "maze_compile_constraints");
    *(void **)&status = symbol(library, "maze_result_status");
    *(void **)&name = symbol(library, "maze_status_name");
    *(void **)&free_result = symbol(library, "maze_free_result");

    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .regex_patterns = &letters, .regex_patterns_len = 1};
    GenerationResultFFI *result = compile(&constraint, 1, NULL, NULL);
    printf("%s %s\n", name(status(result)), result->error ? result->error : "");
    free_result(result);
}

int main(int argc, char **argv)
{
    const char *special = argc > 2 ? argv[2] : "";
    int flags = strcmp(special, "now") == 0 ? RTLD_NOW | RTLD_GLOBAL : RTLD_LAZY | RTLD_LOCAL;
    void *library = dlopen(argv[1], flags);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    call(library);
    if (strcmp(special, "close") == 0) {
        dlclose(library);
        library = dlopen(argv[1], flags);
        call(library);
        dlclose(library);
    }
    if (strcmp(special, "repair") == 0) {
        fflush(stdout);
        getchar(); /* the test repairs the installation meanwhile */
        call(library);
    }
    return 0;
}
