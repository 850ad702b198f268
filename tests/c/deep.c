/*
 * Calls the library with the inputs of a file, and prints status and duration in ms of each call.
 * A record is a line with kind and length, and the input: a schema (s), a grammar (g), a pattern (r), or a text to
 * check (t) against the last of those.
 */
#include <maze.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void report(const char *what, GenerationResultFFI *result, double began)
{
    printf("%s %s %.0f %s\n", what, maze_status_name(maze_result_status(result)), now_ms() - began,
           result->error ? "with an error" : "");
    maze_free_result(result);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL)
        return 2;
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC};
    char *constrains = NULL;
    char kind;
    size_t size;
    while (fscanf(file, "%c %zu\n", &kind, &size) == 2) {
        char *input = malloc(size + 1);
        if (input == NULL || fread(input, 1, size, file) != size)
            return 2;
        input[size] = '\0';
        fgetc(file); /* the end of the line */
        double began = now_ms();
        if (kind == 't') {
            report("validate", maze_validate(input, size, &constraint, 1, NULL, NULL), began);
            free(input);
            continue;
        }
        free(constrains);
        constrains = input;
        constraint.json_schema = kind == 's' ? input : NULL;
        constraint.grammar = kind == 'g' ? input : NULL;
        constraint.regex_patterns = (const char *const *)&constrains;
        constraint.regex_patterns_len = kind == 'r';
        report("compile", maze_compile_constraints(&constraint, 1, "python", NULL), began);
        fflush(stdout);
    }
    fclose(file);
    free(constrains);
    return 0;
}
