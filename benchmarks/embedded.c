/*
 * Times a quick call, the compilation of cached constraints, while another thread makes the embedded engine load its
 * model. Prints the time of each call in microseconds, a line each.
 */
#include "calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CALLS = 100000, PAUSE_US = 1000 };

static _Atomic(bool) loaded;

static void *load(void *unused)
{
    IntentFFI intent = {.raw_input = "Hello"};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 1;
    succeed(maze_generate_with(&intent, NULL, 0, &options));
    atomic_store(&loaded, true);
    return unused;
}

int main(void)
{
    static double took[MOST_CALLS];
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}";
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
    succeed(maze_compile_constraints(&constraint, 1, NULL, NULL));
    pthread_t thread;
    pthread_create(&thread, NULL, load, NULL);
    size_t calls = 0;
    while (!atomic_load(&loaded) && calls < MOST_CALLS) {
        usleep(PAUSE_US);
        double began = now_us();
        succeed(maze_compile_constraints(&constraint, 1, NULL, NULL));
        took[calls++] = now_us() - began;
    }
    pthread_join(thread, NULL);
    for (size_t i = 0; i < calls; i++)
        printf("%.1f\n", took[i]);
    return 0;
}
