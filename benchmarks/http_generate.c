/*
 * Calls maze_generate from many threads: http_generate <threads> <calls> [<schema file> <patterns file>]
 *
 * Prints median and 99th percentile of a call in microseconds, and calls per second. A call that fails ends it.
 */
#include "calls.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static IntentFFI intent;
static ConstraintIRFFI constraints[2];
static size_t constraints_len;
static int calls_each;

static void call(void)
{
    GenerationResultFFI *result = maze_generate(&intent, constraints, constraints_len);
    if (!result->success) {
        fprintf(stderr, "%s\n", result->error);
        exit(1);
    }
    maze_free_result(result);
}

static void *work(void *times)
{
    for (int i = 0; i < calls_each; i++) {
        const double before = now_us();
        call();
        ((double *)times)[i] = now_us() - before;
    }
    return NULL;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        exit(1);
    char *text = calloc(1 << 20, 1);
    if (fread(text, 1, (1 << 20) - 1, file) == 0)
        exit(1);
    fclose(file);
    return text;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(int argc, char **argv)
{
    const int threads = atoi(argv[1]);
    calls_each = atoi(argv[2]) / threads;
    intent.raw_input = "Plan a function that parses a date.";
    intent.language = "python";
    if (argc > 4) {
        static const char *patterns[64];
        size_t patterns_len = 0;
        for (char *line = strtok(read_file(argv[4]), "\n"); line != NULL && patterns_len < 64; line = strtok(NULL, "\n"))
            patterns[patterns_len++] = line;
        constraints[0].magic = constraints[1].magic = MAZE_CONSTRAINT_MAGIC;
        constraints[0].json_schema = read_file(argv[3]);
        constraints[0].priority = 1;
        constraints[1].regex_patterns = patterns;
        constraints[1].regex_patterns_len = patterns_len;
        constraints_len = 2;
    }

    for (int i = 0; i < 50; i++)
        call();

    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    double *times = calloc((size_t)(threads * calls_each), sizeof *times);
    const double before = now_us();
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, work, times + (size_t)i * (size_t)calls_each);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    const double took = now_us() - before;

    const int count = threads * calls_each;
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("%.1f %.1f %.1f\n", times[count / 2], times[count * 99 / 100], count / took * 1e6);
    return 0;
}
