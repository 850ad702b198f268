/*
 * Times maze_compile_constraints() through the C ABI. Arguments build the constraints: -s FILE a schema, -g FILE a
 * grammar, -r PATTERN a regular expression, each in a constraint of its own but for patterns, which go into the last;
 * -l LANGUAGE; -n CALLS. Prints, in microseconds: the first call, then percentiles 10, 50 and 99 of the others; and the
 * bytes of the cache for the entry.
 */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 64 };

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long size = ftell(file);
    char *text = calloc((size_t)size + 1, 1);
    rewind(file);
    if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size)
        exit(1);
    fclose(file);
    return text;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The time of one call with its maze_free_result(). */
static double time_call(const ConstraintIRFFI *constraints, size_t len, const char *language)
{
    double start = now_us();
    GenerationResultFFI *result = maze_compile_constraints(constraints, len, language, NULL);
    bool success = result->success;
    if (!success)
        fprintf(stderr, "%s\n", result->error);
    maze_free_result(result);
    double elapsed = now_us() - start;
    if (!success)
        exit(1);
    return elapsed;
}

int main(int argc, char **argv)
{
    ConstraintIRFFI constraints[MOST] = {{.magic = MAZE_CONSTRAINT_MAGIC}};
    const char *patterns[MOST];
    size_t len = 0, patterns_len = 0, calls = 20000;
    const char *language = NULL;
    for (int i = 1; i + 1 < argc && len + 1 < MOST && patterns_len < MOST; i += 2) {
        ConstraintIRFFI next = {.magic = MAZE_CONSTRAINT_MAGIC, .name = "benchmark", .priority = (uint32_t)i};
        switch (argv[i][1]) {
        case 's':
            next.json_schema = read_file(argv[i + 1]);
            constraints[len++] = next;
            break;
        case 'g':
            next.grammar = read_file(argv[i + 1]);
            constraints[len++] = next;
            break;
        case 'r':
            patterns[patterns_len++] = argv[i + 1];
            break;
        case 'l':
            language = argv[i + 1];
            break;
        case 'n':
            calls = strtoul(argv[i + 1], NULL, 10);
            break;
        }
    }
    if (patterns_len > 0)
        constraints[len++] = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC,
                                               .name = "benchmark",
                                               .regex_patterns = patterns,
                                               .regex_patterns_len = patterns_len};

    maze_free_result(maze_compile_constraints(NULL, 0, NULL, NULL)); /* starts Python */
    maze_clear_cache();
    double miss = time_call(constraints, len, language);
    double *hits = calloc(calls, sizeof *hits);
    if (hits == NULL)
        return 1;
    for (size_t i = 0; i < calls; i++)
        hits[i] = time_call(constraints, len, language);
    qsort(hits, calls, sizeof *hits, compare);
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    maze_cache_stats(&stats);
    printf("%f %f %f %f %llu\n", miss, hits[calls / 10], hits[calls / 2], hits[calls * 99 / 100],
           (unsigned long long)stats.bytes);
    free(hits);
    return 0;
}
