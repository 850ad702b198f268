/* The growth rule of struct_size: hosts that were compiled with an older (smaller) or a later (larger) header. */
#include "check.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGEST = 4096 };

/* Memory of which valgrind and the sanitizers know where it ends. */
static void *exactly(size_t size)
{
    void *memory = malloc(size);
    CHECK(memory != NULL);
    memset(memory, 0xff, size);
    return memory;
}

/* Memory at the end of a page, which needs neither to crash beyond it. */
static void *at_edge(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped = (size + page - 1) / page * page;
    char *pages = mmap(NULL, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK(mprotect(pages + mapped, page, PROT_NONE) == 0);
    return memset(pages + mapped - size, 0xff, size);
}

/* Make `memory` the struct of a header in which it had `size` bytes: cut off, or with a tail of zeros. */
static void *with_size(void *memory, size_t size, const void *init, size_t known)
{
    memset(memory, 0, size);
    memcpy(memory, init, size < known ? size : known);
    memcpy(memory, &size, sizeof size);
    return memory;
}

static const MazeOptionsFFI init_options = MAZE_OPTIONS_INIT;
static const MazeConfigFFI init_config = MAZE_CONFIG_INIT;

static MazeOptionsFFI *options_of_size(void *memory, size_t size)
{
    return with_size(memory, size, &init_options, sizeof init_options);
}

static MazeConfigFFI *config_of_size(void *memory, size_t size)
{
    return with_size(memory, size, &init_config, sizeof init_config);
}

static GenerationResultFFI *compile_with(const MazeOptionsFFI *options)
{
    return maze_compile_constraints(NULL, 0, NULL, options);
}

static void a_size_that_no_header_has_is_named(void)
{
    static const size_t wrong[] = {0, 1, 4, 8, 12, 20, sizeof(MazeOptionsFFI) - 1, sizeof(MazeOptionsFFI) + 4,
                                   LARGEST + 1, LARGEST + 8, SIZE_MAX - 7, SIZE_MAX};
    IntentFFI intent = {.raw_input = "x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char part[100];
        MazeOptionsFFI options = MAZE_OPTIONS_INIT;
        options.struct_size = wrong[i];
        snprintf(part, sizeof part, "options.struct_size is %zu; begin with MAZE_OPTIONS_INIT", wrong[i]);
        CHECK_FAILS(compile_with(&options), MAZE_INVALID_ARGUMENT, part);
        CHECK_FAILS(maze_validate("x", 1, NULL, 0, NULL, &options), MAZE_INVALID_ARGUMENT, part);
        CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT, part);
        GenerationResultFFI *results[2];
        IntentFFI intents[2] = {intent, intent};
        CHECK(maze_generate_batch(intents, 2, NULL, 0, &options, results) == MAZE_INVALID_ARGUMENT);
        CHECK_FAILS(results[0], MAZE_INVALID_ARGUMENT, part);
        CHECK_FAILS(results[1], MAZE_INVALID_ARGUMENT, part);
        MazeConfigFFI config = MAZE_CONFIG_INIT;
        config.struct_size = wrong[i];
        snprintf(part, sizeof part, "config.struct_size is %zu; begin with MAZE_CONFIG_INIT", wrong[i]);
        CHECK_FAILS(maze_init(&config), MAZE_INVALID_ARGUMENT, part);
        MazeCacheStatsFFI stats = {.struct_size = wrong[i], .hits = 7};
        CHECK(maze_cache_stats(&stats) == MAZE_INVALID_ARGUMENT);
        CHECK(stats.struct_size == wrong[i] && stats.hits == 7);
    }
}

static void a_struct_of_any_header_is_taken_and_not_touched_beyond_its_size(void)
{
    for (size_t size = 16; size <= LARGEST; size += size < 128 ? 8 : 1984) {
        MazeOptionsFFI *options = options_of_size(exactly(size), size);
        CHECK_SUCCEEDS(compile_with(options));
        free(options);
        CHECK_SUCCEEDS(compile_with(options_of_size(at_edge(size), size)));
        maze_shutdown();
        MazeConfigFFI *config = config_of_size(exactly(size), size);
        CHECK_SUCCEEDS(maze_init(config));
        free(config);
        maze_shutdown();
        CHECK_SUCCEEDS(maze_init(config_of_size(at_edge(size), size)));
    }
}

static void fields_that_an_older_header_lacks_have_their_defaults(void)
{
    /* What lies behind the older struct would be wrong in every field. */
    for (size_t size = 16; size < sizeof(MazeOptionsFFI); size += 8) {
        MazeOptionsFFI options;
        memset(&options, 0xff, sizeof options);
        with_size(&options, size, &init_options, sizeof init_options);
        CHECK_SUCCEEDS(compile_with(&options));
        IntentFFI no_intent = {.raw_input = NULL};
        CHECK_FAILS(maze_generate_with(&no_intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT, "intent.raw_input");
    }
    for (size_t size = 16; size < sizeof(MazeConfigFFI); size += 8) {
        MazeConfigFFI config;
        memset(&config, 0xff, sizeof config);
        config_of_size(&config, size);
        maze_shutdown();
        CHECK_SUCCEEDS(maze_init(&config));
    }
}

static void fields_that_an_older_header_has_count(void)
{
    IntentFFI intent = {.raw_input = "x"};
    MazeOptionsFFI *options = options_of_size(exactly(32), 32);
    options->top_p = 1.5;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, options), MAZE_INVALID_ARGUMENT, "options.top_p is 1.5");
    free(options);
    MazeConfigFFI *config = config_of_size(exactly(16), 16);
    config->endpoint = "nowhere";
    maze_shutdown();
    CHECK_FAILS(maze_init(config), MAZE_CONFIGURATION, "config.endpoint");
    free(config);
}

/* Not under valgrind, which takes too long for the engine. */
static void a_generation_with_older_options_uses_defaults(void)
{
    IntentFFI intent = {.raw_input = "Tell a long story."};
    MazeOptionsFFI *options = options_of_size(at_edge(16), 16);
    options->max_tokens = 3;
    GenerationResultFFI *result = maze_generate_with(&intent, NULL, 0, options);
    CHECK(result->tokens_generated <= 3);
    CHECK(strstr(maze_result_json(result), "\"max_tokens\":3,") != NULL);
    CHECK(strstr(maze_result_json(result), "\"temperature\":0.7,") != NULL);
    CHECK(strstr(maze_result_json(result), "\"top_p\":1.0,") != NULL);
    CHECK(strstr(maze_result_json(result), "\"stop\":[]") != NULL);
    maze_free_result(result);
}

static void a_field_that_only_a_later_header_has_must_be_0(void)
{
    for (size_t size = sizeof(MazeOptionsFFI) + 8; size <= LARGEST; size += LARGEST - sizeof(MazeOptionsFFI) - 8) {
        MazeOptionsFFI *options = options_of_size(exactly(size), size);
        ((char *)options)[size - 1] = 1;
        CHECK_FAILS(compile_with(options), MAZE_INVALID_ARGUMENT,
                    "options sets a field that this version of libmaze does not have");
        free(options);
        MazeConfigFFI *config = config_of_size(exactly(size), size);
        ((char *)config)[sizeof *config] = 1;
        CHECK_FAILS(maze_init(config), MAZE_INVALID_ARGUMENT,
                    "config sets a field that this version of libmaze does not have");
        free(config);
    }
}

static void counters_are_written_as_far_as_the_struct_goes(void)
{
    const char *pattern = "^[a-z]+$";
    ConstraintIRFFI constraint = one_regex(&pattern);
    CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
    CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
    MazeCacheStatsFFI whole = {.struct_size = sizeof whole};
    CHECK(maze_cache_stats(&whole) == MAZE_OK);
    CHECK(whole.hits == 1 && whole.misses == 1 && whole.entries == 1 && whole.bytes > 0);
    for (size_t size = 16; size <= LARGEST; size += size < 128 ? 8 : 1984) {
        for (int edge = 0; edge < 2; edge++) {
            unsigned char *stats = edge ? at_edge(size) : exactly(size);
            memcpy(stats, &size, sizeof size);
            CHECK(maze_cache_stats((MazeCacheStatsFFI *)(void *)stats) == MAZE_OK);
            CHECK(memcmp(stats, &size, sizeof size) == 0);
            CHECK(memcmp(stats + 8, (char *)&whole + 8, (size < sizeof whole ? size : sizeof whole) - 8) == 0);
            for (size_t i = sizeof whole; i < size; i++)
                CHECK(stats[i] == 0);
            if (!edge)
                free(stats);
        }
    }
}

static void zeroed_options_are_told_what_to_begin_with(void)
{
    IntentFFI intent = {.raw_input = "x"};
    MazeOptionsFFI options;
    memset(&options, 0, sizeof options);
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT, "begin with MAZE_OPTIONS_INIT");
    options.struct_size = sizeof options;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT,
                "nothing but zeros, which are not its defaults; begin with MAZE_OPTIONS_INIT");
    options.max_tokens = 1;
    CHECK_FAILS(maze_generate_with(&intent, NULL, 0, &options), MAZE_INVALID_ARGUMENT, "options.top_p is 0");
}

static void the_init_functions_do_what_the_initialisers_do(void)
{
    MazeOptionsFFI options;
    MazeConfigFFI config;
    memset(&options, 0xff, sizeof options);
    memset(&config, 0xff, sizeof config);
    maze_options_init(&options);
    maze_config_init(&config);
    CHECK(memcmp(&options, &init_options, sizeof options) == 0);
    CHECK(memcmp(&config, &init_config, sizeof config) == 0);
    maze_options_init(NULL);
    maze_config_init(NULL);
    CHECK_SUCCEEDS(compile_with(&options));
    maze_shutdown();
    CHECK_SUCCEEDS(maze_init(&config));
}

/* What a program that was linked before the structs grew calls. */
__asm__(".symver first_options_init, maze_options_init@MAZE_1");
__asm__(".symver second_options_init, maze_options_init@MAZE_1.1");
__asm__(".symver first_config_init, maze_config_init@MAZE_1");
void first_options_init(MazeOptionsFFI *options);
void second_options_init(MazeOptionsFFI *options);
void first_config_init(MazeConfigFFI *config);

static void the_init_functions_of_earlier_headers_write_their_structs_and_nothing_behind_them(void)
{
    enum { OPTIONS_SIZE = offsetof(MazeOptionsFFI, system), CONFIG_SIZE = offsetof(MazeConfigFFI, prompt_form) };
    MazeOptionsFFI *options = at_edge(OPTIONS_SIZE), *expected = options_of_size(exactly(OPTIONS_SIZE), OPTIONS_SIZE);
    first_options_init(options);
    CHECK(memcmp(options, expected, OPTIONS_SIZE) == 0);
    CHECK_SUCCEEDS(compile_with(options));
    free(expected);

    enum { SECOND_SIZE = offsetof(MazeOptionsFFI, on_conflict) };
    options = at_edge(SECOND_SIZE);
    expected = options_of_size(exactly(SECOND_SIZE), SECOND_SIZE);
    second_options_init(options);
    CHECK(memcmp(options, expected, SECOND_SIZE) == 0);
    CHECK_SUCCEEDS(compile_with(options));
    free(expected);

    MazeConfigFFI *config = at_edge(CONFIG_SIZE), *expected_config = config_of_size(exactly(CONFIG_SIZE), CONFIG_SIZE);
    first_config_init(config);
    CHECK(memcmp(config, expected_config, CONFIG_SIZE) == 0);
    maze_shutdown();
    CHECK_SUCCEEDS(maze_init(config));
    free(expected_config);
    first_options_init(NULL);
    second_options_init(NULL);
    first_config_init(NULL);
}

static void a_forked_child_is_told_so_whatever_its_structs_are(void)
{
    CHECK_SUCCEEDS(compile_with(NULL));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        MazeOptionsFFI options = {.struct_size = 3};
        MazeConfigFFI config = {.struct_size = 3};
        MazeCacheStatsFFI stats = {.struct_size = 3};
        CHECK_FAILS(compile_with(&options), MAZE_FORKED, "forked");
        CHECK_FAILS(maze_init(&config), MAZE_FORKED, "forked");
        CHECK(maze_cache_stats(&stats) == MAZE_FORKED);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

SCENARIOS(SCENARIO(a_size_that_no_header_has_is_named),
          SCENARIO(a_struct_of_any_header_is_taken_and_not_touched_beyond_its_size),
          SCENARIO(fields_that_an_older_header_lacks_have_their_defaults),
          SCENARIO(fields_that_an_older_header_has_count), SCENARIO(a_generation_with_older_options_uses_defaults),
          SCENARIO(a_field_that_only_a_later_header_has_must_be_0),
          SCENARIO(counters_are_written_as_far_as_the_struct_goes),
          SCENARIO(zeroed_options_are_told_what_to_begin_with),
          SCENARIO(a_forked_child_is_told_so_whatever_its_structs_are),
          SCENARIO(the_init_functions_do_what_the_initialisers_do),
          SCENARIO(the_init_functions_of_earlier_headers_write_their_structs_and_nothing_behind_them))
