/*
 * Makes many calls from many threads to a service that fails now and then: storm <threads> <calls>
 *
 * Call N asks for "<N>", and the service answers with what it was asked. Prints how many calls succeeded and how many
 * failed. Ends with 1 if a call got anything but its own answer or a clear error, or if memory or descriptors grew.
 */
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    FAULT_STATUSES = 1u << MAZE_ENGINE_UNAVAILABLE | 1u << MAZE_RATE_LIMITED | 1u << MAZE_REQUEST_REJECTED |
                     1u << MAZE_BAD_RESPONSE | 1u << MAZE_TIMED_OUT,
    TIMEOUT_MS = 30000,
    /* What the connections kept alive and the stacks of the service's threads may come to. */
    MOST_GROWTH_KIB = 4096,
};

static atomic_int next_call, succeeded, failed;
static int calls;

static bool append(const char *text, size_t text_len, void *user_data)
{
    char *collected = user_data;
    CHECK(strlen(text) == text_len && strlen(collected) + text_len < 64);
    strcat(collected, text);
    return true;
}

static void call(int number)
{
    char wanted[32], collected[64] = "";
    snprintf(wanted, sizeof wanted, "<%d>", number);
    const IntentFFI intent = {.raw_input = wanted};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.timeout_ms = TIMEOUT_MS;

    const bool streams = number % 2 == 0;
    GenerationResultFFI *result = streams
                                      ? maze_generate_stream(&intent, NULL, 0, &options, append, collected)
                                      : maze_generate_with(&intent, NULL, 0, &options);
    if (streams)
        CHECK(strcmp(result->code, collected) == 0);
    if (result->success) {
        CHECK(maze_result_status(result) == MAZE_OK && result->error == NULL);
        CHECK(strcmp(result->code, wanted) == 0);
        CHECK(strstr(maze_result_json(result), wanted) != NULL);
        atomic_fetch_add(&succeeded, 1);
    } else {
        if (!(FAULT_STATUSES >> maze_result_status(result) & 1u)) {
            fprintf(stderr, "%s: %s\n", maze_status_name(maze_result_status(result)), result->error);
            exit(1);
        }
        CHECK(strncmp(result->error, "libmaze: http://127.0.0.1:", 26) == 0 ||
              strncmp(result->error, "libmaze: the answer of http://127.0.0.1:", 40) == 0 ||
              strncmp(result->error, "libmaze: no complete answer within", 34) == 0);
        CHECK(strncmp(result->code, wanted, strlen(result->code)) == 0); /* text that had arrived is its own, too */
        atomic_fetch_add(&failed, 1);
    }
    CHECK(result->generation_time_ms <= TIMEOUT_MS + 5000);
    maze_free_result(result);
}

static void *work(void *unused)
{
    for (int number; (number = atomic_fetch_add(&next_call, 1)) < calls;)
        call(number);
    return unused;
}

static void run(int threads, int calls_wanted)
{
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    CHECK(ids != NULL);
    calls = calls_wanted;
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, work, NULL) == 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    free(ids);
}

static long resident_kib(void)
{
    long pages = 0, total = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &total, &pages) == 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    const int threads = atoi(argv[1]), calls_wanted = atoi(argv[2]);
    const int descriptors_before = descriptors();
    run(threads, calls_wanted / 4); /* reaches what it needs */
    const long resident_before = resident_kib();
    run(threads, calls_wanted);
    const long growth_kib = resident_kib() - resident_before;
    const int descriptors_open = descriptors() - descriptors_before;
    maze_shutdown();
    const int descriptors_left = descriptors() - descriptors_before;

    if (growth_kib > MOST_GROWTH_KIB || descriptors_open > threads + 8 || descriptors_left > 2) {
        fprintf(stderr, "memory grew by %ld KiB; %d descriptors open, %d after the shutdown\n", growth_kib,
                descriptors_open, descriptors_left);
        return 1;
    }
    printf("%d %d\n", atomic_load(&succeeded), atomic_load(&failed));
    return 0;
}
