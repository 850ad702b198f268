/* A host that runs a Python of its own, opened so that nobody else sees its symbols: hides <libpython> <libmaze>. */
#include <maze.h>

#include <dlfcn.h>
#include <stdio.h>

static void *look_up(void *library, const char *name)
{
    void *symbol = library != NULL ? dlsym(library, name) : NULL;
    if (symbol == NULL)
        fprintf(stderr, "%s: %s\n", name, dlerror());
    return symbol;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    void (*start)(int);
    void *(*give_up_lock)(void);
    GenerationResultFFI *(*compile)(const ConstraintIRFFI *, size_t, const char *, const MazeOptionsFFI *);
    MazeStatus (*status_of)(const GenerationResultFFI *);
    const char *(*name_of)(MazeStatus);

    void *python = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    *(void **)&start = look_up(python, "Py_InitializeEx");
    *(void **)&give_up_lock = look_up(python, "PyEval_SaveThread");
    if (start == NULL || give_up_lock == NULL)
        return 1;
    start(0);
    give_up_lock();

    void *maze = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    *(void **)&compile = look_up(maze, "maze_compile_constraints");
    *(void **)&status_of = look_up(maze, "maze_result_status");
    *(void **)&name_of = look_up(maze, "maze_status_name");
    if (compile == NULL || status_of == NULL || name_of == NULL)
        return 1;
    GenerationResultFFI *result = compile(NULL, 0, NULL, NULL);
    printf("%s\n", name_of(status_of(result)));
    return 0;
}
