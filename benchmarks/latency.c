/*
 * Times a quick call, the compilation of cached constraints, while other threads compile big ones without end.
 * Arguments: number of other threads, calls, file of a big schema. Prints the median, the 99th percentile and the
 * longest of the calls, in microseconds with the wait to enter, and the number of compilations meanwhile; then the
 * seconds that as many big compilations as there are other threads take in a row, and at once.
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
static void *compile_one_big(void *unused)
{
    char pattern[64];
    const char *patterns = pattern;
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC,
                                  .json_schema = big_schema,
                                  .regex_patterns = &patterns,
                                  .regex_patterns_len = 1};
    snprintf(pattern, sizeof pattern, "number %u", atomic_fetch_add(&compiled, 1));
    succeed(maze_compile_constraints(&constraint, 1, NULL, NULL));
    return unused;
}

static void *compile_big_ones(void *unused)
{
    while (!atomic_load(&stop))
        compile_one_big(NULL);
    return unused;
}

static void start(pthread_t *threads, size_t number, void *(*work)(void *))
{
    for (size_t i = 0; i < number; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            exit(1);
}

static void join(const pthread_t *threads, size_t number)
{
    for (size_t i = 0; i < number; i++)
        pthread_join(threads[i], NULL);
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
    start(threads, others, compile_big_ones);
    while (atomic_load(&compiled) < 2 * others)
        usleep(PAUSE_US);
    unsigned before = atomic_load(&compiled);
    for (size_t i = 0; i < calls; i++) {
        usleep(PAUSE_US); /* a call right behind another would find the interpreter in its hands */
        double begun = now_us();
        succeed(maze_compile_constraints(&small, 1, NULL, NULL));
        took[i] = now_us() - begun;
    }
    unsigned meanwhile = atomic_load(&compiled) - before;
    atomic_store(&stop, true);
    join(threads, others);
    qsort(took, calls, sizeof *took, compare);

    double begun = now_us();
    for (size_t i = 0; i < others; i++)
        compile_one_big(NULL);
    double in_a_row = now_us() - begun;
    begun = now_us();
    start(threads, others, compile_one_big);
    join(threads, others);
    double at_once = now_us() - begun;
    printf("%f %f %f %u %f %f\n", took[calls / 2], took[calls * 99 / 100], took[calls - 1], meanwhile, in_a_row / 1e6,
           at_once / 1e6);
    return 0;
}
