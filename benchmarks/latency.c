/*
 * Times a quick call, the compilation of cached constraints, while other threads compile big ones without end.
 * Arguments: number of other threads, calls, file of a big schema. Prints the median, the 99th percentile and the
 * longest of the calls, in microseconds, and the number of compilations meanwhile.
 */
#include "calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 64, PAUSE_US = 1000 };

static char *big_schema;
static _Atomic(bool) stop;
static _Atomic(unsigned) compiled;

/* Each compilation has a pattern of its own, so that none is found in the cache. */
static void *compile_big(void *unused)
{
    char pattern[64];
    const char *patterns = pattern;
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC,
                                  .json_schema = big_schema,
                                  .regex_patterns = &patterns,
                                  .regex_patterns_len = 1};
    while (!atomic_load(&stop)) {
        snprintf(pattern, sizeof pattern, "number %u", atomic_fetch_add(&compiled, 1));
        succeed(maze_compile_constraints(&constraint, 1, NULL, NULL));
    }
    return unused;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    size_t others = strtoul(argv[1], NULL, 10), calls = strtoul(argv[2], NULL, 10);
    FILE *file = fopen(argv[3], "rb");
    double *took = calloc(calls, sizeof *took);
    big_schema = calloc(1 << 20, 1);
    if (file == NULL || took == NULL || big_schema == NULL || others > MOST_THREADS || calls == 0 ||
        fread(big_schema, 1, (1 << 20) - 1, file) == 0)
        return 2;
    fclose(file);

    static const char small_schema[] = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}";
    ConstraintIRFFI small = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = small_schema};
    succeed(maze_compile_constraints(&small, 1, NULL, NULL));
    pthread_t threads[MOST_THREADS];
    for (size_t i = 0; i < others; i++)
        if (pthread_create(&threads[i], NULL, compile_big, NULL) != 0)
            return 1;
    while (atomic_load(&compiled) < 2 * others)
        usleep(PAUSE_US);
    unsigned before = atomic_load(&compiled);
    for (size_t i = 0; i < calls; i++) {
        usleep(PAUSE_US); /* a call right behind another would find the interpreter in its hands */
        double start = now_us();
        succeed(maze_compile_constraints(&small, 1, NULL, NULL));
        took[i] = now_us() - start;
    }
    unsigned meanwhile = atomic_load(&compiled) - before;
    atomic_store(&stop, true);
    for (size_t i = 0; i < others; i++)
        pthread_join(threads[i], NULL);
    qsort(took, calls, sizeof *took, compare);
    printf("%f %f %f %u\n", took[calls / 2], took[calls * 99 / 100], took[calls - 1], meanwhile);
    return 0;
}
