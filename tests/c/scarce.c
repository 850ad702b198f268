/* A process that may have little of what the library needs. */
#include "check.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const IntentFFI story = {.raw_input = "Tell a story."};

static void limit(int what, rlim_t most)
{
    const struct rlimit limits = {most, most};
    CHECK(setrlimit(what, &limits) == 0);
}

static rlim_t address_space_in_use(void)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void too_little_address_space_for_the_engine_is_told(void)
{
    limit(RLIMIT_AS, (rlim_t)400 << 20);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "MiB of address space");
    CHECK_FAILS(maze_health_check(), MAZE_ENGINE_UNAVAILABLE, "MiB of address space");
}

static void threads_that_cannot_be_had_are_told(void)
{
    setenv("MODAL_ENDPOINT", "http://127.0.0.1:1", 1);
    setenv("MAZE_DIALECT", "maze", 1);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "connection refused");
    IntentFFI intents[2] = {story, story};
    GenerationResultFFI *results[2];
    limit(RLIMIT_AS, address_space_in_use() + ((rlim_t)4 << 20)); /* a stack takes 8 MiB */
    CHECK(maze_generate_batch(intents, 2, NULL, 0, NULL, results) == MAZE_OUT_OF_MEMORY);
    CHECK_FAILS(results[0], MAZE_OUT_OF_MEMORY, "out of memory, threads or open files");
    CHECK_FAILS(results[1], MAZE_OUT_OF_MEMORY, "out of memory, threads or open files");
}

static void open_files_that_cannot_be_had_are_told(void)
{
    CHECK_SUCCEEDS(maze_list_models());
    limit(RLIMIT_NOFILE, 3);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "Too many open files");
    CHECK_FAILS(maze_list_models(), MAZE_ENGINE_UNAVAILABLE, "Too many open files");
}

static void a_long_path_for_temporary_files_serves(void)
{
    char folder[256] = "/tmp/maze-a-name-that-leaves-no-room-for-the-address-of-a-socket-which-has-108-bytes-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    setenv("TMPDIR", folder, 1);
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 4;
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
    CHECK(rmdir(folder) == 0);
}

SCENARIOS(SCENARIO(too_little_address_space_for_the_engine_is_told), SCENARIO(threads_that_cannot_be_had_are_told),
          SCENARIO(open_files_that_cannot_be_had_are_told), SCENARIO(a_long_path_for_temporary_files_serves))
