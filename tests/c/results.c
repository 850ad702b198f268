/* What a caller can do wrong with results, and what it may do. */
#include "check.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static int errors_logged;

static void count_errors(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    CHECK(strcmp(target, "maze.abi.entry") == 0);
    CHECK(strstr(message, "maze_free_result()") != NULL);
    CHECK(user_data == &errors_logged);
    errors_logged += level == MAZE_LOG_ERROR;
}

static GenerationResultFFI *some_result(void)
{
    GenerationResultFFI *result = maze_compile_constraints(NULL, 0, NULL, NULL);
    CHECK(result->success);
    return result;
}

static void log_errors(void)
{
    setenv("MAZE_LOG", "error", 1);
    maze_set_log_callback(count_errors, &errors_logged);
}

static void freeing_null_does_nothing(void)
{
    log_errors();
    maze_free_result(NULL);
    maze_free_result(some_result());
    CHECK(errors_logged == 0);
}

static void freeing_twice_is_logged_and_does_nothing(void)
{
    log_errors();
    GenerationResultFFI *result = some_result();
    maze_free_result(result);
    maze_free_result(result);
    CHECK(errors_logged == 1);
}

static void freeing_twice_later_does_not_free_the_result_of_another(void)
{
    enum { LATER = 200 };
    GenerationResultFFI *stale = some_result();
    maze_free_result(stale);
    GenerationResultFFI *live[LATER];
    for (size_t i = 0; i < LATER; i++) {
        live[i] = some_result();
        CHECK(live[i] != stale);
    }
    maze_free_result(stale);
    for (size_t i = 0; i < LATER; i++) {
        CHECK(maze_result_status(live[i]) == MAZE_OK);
        maze_free_result(live[i]);
    }
}

/* Results that need no Python: a hundred thousand of them take a moment. The error names the number. */
static GenerationResultFFI *numbered_result(size_t number)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.struct_size = 4097 + number; /* no header has such a size */
    return maze_generate_with(NULL, NULL, 0, &options);
}

static bool is_numbered(const GenerationResultFFI *result, size_t number)
{
    char size[32];
    snprintf(size, sizeof size, "%zu", 4097 + number);
    return maze_result_status(result) == MAZE_INVALID_ARGUMENT && strcmp(maze_result_json(result), "{}") != 0 &&
           strstr(result->error, size) != NULL;
}

static void a_second_free_however_late_frees_nobodys_result(void)
{
    static const size_t others[] = {256, 1000, 100000};
    enum { LIVE = 300 };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        GenerationResultFFI *stale = numbered_result(0), *live[LIVE];
        maze_free_result(stale);
        for (size_t j = 0; j < others[i]; j++)
            maze_free_result(numbered_result(j));
        for (size_t j = 0; j < LIVE; j++) {
            live[j] = numbered_result(j);
            maze_free_result(stale);
        }
        CHECK(maze_result_status(stale) == MAZE_INVALID_ARGUMENT);
        CHECK(strcmp(maze_result_json(stale), "{}") == 0);
        for (size_t j = 0; j < LIVE; j++) {
            CHECK(is_numbered(live[j], j));
            maze_free_result(live[j]);
        }
    }
}

static int by_address(const void *one, const void *other)
{
    const uintptr_t left = *(const uintptr_t *)one, right = *(const uintptr_t *)other;
    return (left > right) - (left < right);
}

static void no_address_is_a_result_twice(void)
{
    enum { MANY = 200000 };
    static uintptr_t addresses[MANY];
    for (size_t i = 0; i < MANY; i++) {
        GenerationResultFFI *result = numbered_result(i);
        addresses[i] = (uintptr_t)result;
        maze_free_result(result);
    }
    qsort(addresses, MANY, sizeof addresses[0], by_address);
    for (size_t i = 1; i < MANY; i++)
        CHECK(addresses[i] != addresses[i - 1]);
}

static void a_freed_result_says_so_for_a_while(void)
{
    enum { WHILE = 20000 };
    GenerationResultFFI *stale = numbered_result(0);
    maze_free_result(stale);
    for (size_t i = 0; i < WHILE; i++)
        maze_free_result(numbered_result(i));
    CHECK(!stale->success && stale->code[0] == '\0');
    CHECK(strcmp(stale->error, "libmaze: this result was freed") == 0);
}

/* Resident memory and address space, in KiB. */
static void measure_memory(long *resident, long *address_space)
{
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", address_space, resident) == 2);
    fclose(file);
    *resident *= sysconf(_SC_PAGESIZE) / 1024;
    *address_space *= sysconf(_SC_PAGESIZE) / 1024;
}

static void freed_results_cost_no_memory_beside_some_that_stay(void)
{
    enum { MANY = 1000000, STAY = 10 };
    GenerationResultFFI *stay[STAY];
    long resident_before, space_before, resident, space;
    for (size_t i = 0; i < 100000; i++)
        maze_free_result(numbered_result(i));
    measure_memory(&resident_before, &space_before);
    for (size_t i = 0; i < MANY; i++) {
        GenerationResultFFI *result = numbered_result(i);
        if (i % (MANY / STAY) == 0)
            stay[i / (MANY / STAY)] = result;
        else
            maze_free_result(result);
    }
    measure_memory(&resident, &space);
    CHECK(resident - resident_before < 2048);
    CHECK(space - space_before < 16384); /* a chunk of 1 MiB for each that stays, and some to spare */
    for (size_t i = 0; i < STAY; i++) {
        CHECK(is_numbered(stay[i], i * (MANY / STAY)));
        maze_free_result(stay[i]);
    }
}

static void *make_and_free_numbered(void *first)
{
    enum { ROUNDS = 20000, HELD = 64 };
    GenerationResultFFI *held[HELD] = {0}, *stale = NULL;
    size_t numbers[HELD], number = (size_t)(uintptr_t)first;
    unsigned chance = (unsigned)number;
    for (size_t i = 0; i < ROUNDS; i++, number++) {
        size_t place = (size_t)rand_r(&chance) % HELD;
        if (held[place] != NULL) {
            CHECK(is_numbered(held[place], numbers[place]));
            maze_free_result(held[place]);
            if (rand_r(&chance) % 100 == 0)
                stale = held[place];
        }
        maze_free_result(stale);
        held[place] = numbered_result(number);
        numbers[place] = number;
    }
    for (size_t place = 0; place < HELD; place++) {
        CHECK(held[place] == NULL || is_numbered(held[place], numbers[place]));
        maze_free_result(held[place]);
    }
    return NULL;
}

static void threads_that_free_twice_touch_no_results_of_others(void)
{
    enum { THREADS = 64 };
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, make_and_free_numbered, (void *)(i * 1000000)) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void foreign_pointers_are_left_alone(void)
{
    log_errors();
    GenerationResultFFI *result = some_result();
    GenerationResultFFI on_the_stack = *result;
    maze_free_result(&on_the_stack);
    maze_free_result((GenerationResultFFI *)(void *)0x10);
    maze_free_result((GenerationResultFFI *)(void *)((char *)result + 8));
    CHECK(errors_logged == 3);
    for (size_t i = 1; i < 8192; i++) /* within it, behind it, and beyond where results may lie */
        CHECK(maze_result_status((GenerationResultFFI *)(void *)((char *)result + i)) == MAZE_INVALID_ARGUMENT);
    maze_free_result(result + 1);
    maze_free_result((GenerationResultFFI *)UINTPTR_MAX);
    CHECK(errors_logged == 5);
    CHECK(maze_result_status(result) == MAZE_OK);
    maze_free_result(result);
    CHECK(errors_logged == 5);
}

static void results_can_be_freed_by_the_name_of_anankes_rust_crate(void)
{
    log_errors();
    free_generation_result_ffi(NULL);
    GenerationResultFFI *result = some_result(), *other = some_result();
    free_generation_result_ffi(result);
    CHECK(maze_result_status(result) == MAZE_INVALID_ARGUMENT);
    CHECK(errors_logged == 0);
    free_generation_result_ffi(result);
    CHECK(errors_logged == 1);
    CHECK(maze_result_status(other) == MAZE_OK);
    maze_free_result(other);
}

static void count_constraints(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    CHECK(strcmp(target, "maze.abi.entry") == 0);
    CHECK(strstr(message, "free_constraint_ir_ffi()") != NULL && strstr(message, "ananke_free_constraint_ir()") != NULL);
    *(int *)user_data += level == MAZE_LOG_ERROR;
}

static void constraints_are_left_to_whoever_made_them(void)
{
    setenv("MAZE_LOG", "error", 1);
    int logged = 0;
    maze_set_log_callback(count_constraints, &logged);
    char *schema = malloc(32);
    strcpy(schema, "{\"enum\":[1]}");
    ConstraintIRFFI *ir = calloc(1, sizeof *ir), copy;
    *ir = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
    copy = *ir;
    free_constraint_ir_ffi(ir); /* before anything was started: there is no log yet */
    CHECK(logged == 0);
    maze_free_result(some_result());
    free_constraint_ir_ffi(NULL);
    CHECK(logged == 0);
    free_constraint_ir_ffi(ir);
    free_constraint_ir_ffi((ConstraintIRFFI *)(uintptr_t)8); /* it is not even looked at */
    CHECK(logged == 2);
    CHECK(memcmp(ir, &copy, sizeof copy) == 0);
    GenerationResultFFI *result = maze_validate("1", 1, ir, 1, NULL, NULL);
    CHECK(result->success);
    maze_free_result(result);
    free(schema);
    free(ir);
}

static void accessors_answer_for_what_is_no_result(void)
{
    CHECK(maze_result_status(NULL) == MAZE_INVALID_ARGUMENT);
    CHECK(strcmp(maze_result_json(NULL), "{}") == 0);
    CHECK(strcmp(maze_result_finish_reason(NULL), "") == 0);
    GenerationResultFFI *result = some_result();
    CHECK(strcmp(maze_result_finish_reason(result), "") == 0); /* nothing was generated */
    maze_free_result(result);
    CHECK(strcmp(maze_result_finish_reason(result), "") == 0);
    CHECK(maze_result_status(result) == MAZE_INVALID_ARGUMENT);
    CHECK(strcmp(maze_result_json(result), "{}") == 0);
    CHECK(maze_result_status((GenerationResultFFI *)(void *)0x10) == MAZE_INVALID_ARGUMENT);
    CHECK(strcmp(maze_result_json((GenerationResultFFI *)(void *)0x10), "{}") == 0);
}

static void accessors_work_before_anything_started(void)
{
    int foreign = 0;
    CHECK(maze_result_status((GenerationResultFFI *)(void *)&foreign) == MAZE_INVALID_ARGUMENT);
    maze_free_result((GenerationResultFFI *)(void *)&foreign);
    CHECK(strcmp(maze_version(), MAZE_VERSION) == 0);
    CHECK(maze_abi_version() == MAZE_ABI_VERSION);
    maze_shutdown();
}

static void every_status_has_its_name(void)
{
    CHECK(strcmp(maze_status_name(MAZE_OK), "MAZE_OK") == 0);
    for (int status = MAZE_OK; status <= MAZE_INTERNAL_ERROR; status++)
        CHECK(strncmp(maze_status_name((MazeStatus)status), "MAZE_", 5) == 0 &&
              strcmp(maze_status_name((MazeStatus)status), "MAZE_UNKNOWN") != 0);
    CHECK(strcmp(maze_status_name((MazeStatus)(MAZE_INTERNAL_ERROR + 1)), "MAZE_UNKNOWN") == 0);
    CHECK(strcmp(maze_status_name((MazeStatus)-1), "MAZE_UNKNOWN") == 0);
}

static void *free_it(void *result)
{
    maze_free_result(result);
    return NULL;
}

static void another_thread_may_free(void)
{
    log_errors();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_it, some_result()) == 0);
    pthread_join(thread, NULL);
    CHECK(errors_logged == 0);
}

static void results_outlive_shutdown(void)
{
    GenerationResultFFI *result = some_result();
    maze_shutdown();
    CHECK(maze_result_status(result) == MAZE_OK);
    CHECK(strstr(maze_result_json(result), "\"digest\"") != NULL);
    maze_free_result(result);
    maze_shutdown();
    CHECK_SUCCEEDS(some_result());
}

static void many_results_can_live_at_once(void)
{
    enum { MANY = 5000 };
    static GenerationResultFFI *results[MANY];
    for (size_t i = 0; i < MANY; i++)
        results[i] = some_result();
    for (size_t i = 0; i < MANY; i += 2)
        maze_free_result(results[i]);
    for (size_t i = 1; i < MANY; i += 2)
        CHECK(maze_result_status(results[i]) == MAZE_OK);
    for (size_t i = 1; i < MANY; i += 2)
        maze_free_result(results[i]);
}

/* ------------------------------------------------------------------------------------------ time */

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Every call of these takes so long on any machine; what else it takes, only the clock around it says. */
enum { AT_LEAST_MS = 1, SLOW_LOG_MS = 30 };

static void check_time(GenerationResultFFI *result, uint64_t started_us, uint64_t at_least_ms, int line)
{
    uint64_t elapsed_ms = (now_us() - started_us) / 1000;
    if (result->generation_time_ms < at_least_ms || result->generation_time_ms > elapsed_ms) {
        fprintf(stderr, "line %d: %lu ms, not between %lu and %lu\n", line, (unsigned long)result->generation_time_ms,
                (unsigned long)at_least_ms, (unsigned long)elapsed_ms);
        exit(1);
    }
    maze_free_result(result);
}
#define CHECK_TIME(call, at_least_ms)                                                                                  \
    do {                                                                                                               \
        uint64_t started_us = now_us();                                                                                \
        check_time(call, started_us, at_least_ms, __LINE__);                                                           \
    } while (0)

static void log_slowly(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message, (void)user_data;
    usleep(SLOW_LOG_MS * 1000);
}

static void every_result_tells_the_time_from_its_call(void)
{
    enum { MANY = 1000, TEXT_LEN = 32 << 20 };
    static ConstraintIRFFI constraints[MANY];
    for (size_t i = 0; i < MANY; i++)
        constraints[i] = (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .priority = (uint32_t)i};
    char *text = malloc(TEXT_LEN);
    CHECK(text != NULL);
    memset(text, 'a', TEXT_LEN);
    setenv("MODAL_ENDPOINT", "http://127.0.0.1:1", 1); /* nothing listens there */
    setenv("MAZE_LOG", "debug", 1);

    CHECK_TIME(maze_init(NULL), AT_LEAST_MS); /* starts Python */
    CHECK_TIME(maze_compile_constraints(constraints, MANY, NULL, NULL), AT_LEAST_MS);
    CHECK_TIME(maze_validate(text, TEXT_LEN, NULL, 0, NULL, NULL), AT_LEAST_MS);
    free(text);

    maze_set_log_callback(log_slowly, NULL); /* these fail, and log it */
    IntentFFI intents[2] = {{.raw_input = "x"}, {.raw_input = "y"}};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.timeout_ms = 100;
    CHECK_TIME(maze_generate_with(intents, NULL, 0, &options), SLOW_LOG_MS);
    CHECK_TIME(maze_health_check(), 0); /* a refused connection takes no time */
    CHECK_TIME(maze_list_models(), SLOW_LOG_MS);
    GenerationResultFFI *results[2];
    uint64_t started_us = now_us();
    maze_generate_batch(intents, 2, NULL, 0, &options, results);
    check_time(results[0], started_us, SLOW_LOG_MS, __LINE__);
    check_time(results[1], started_us, SLOW_LOG_MS, __LINE__);
}

/* --------------------------------------------------------------------------------------- secrets */

static const char key[] = "wk-SECRETKEY0123456789", prompt[] = "PROMPTPROMPT0123456789";

typedef struct Seen {
    size_t lines, prompts;
    MazeLogLevel prompt_level; /* the most severe that showed one */
} Seen;

static void look_for_secrets(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    Seen *seen = user_data;
    CHECK(strstr(message, key) == NULL && strstr(target, key) == NULL);
    seen->lines++;
    if (strstr(message, prompt) != NULL) {
        seen->prompts++;
        if (level < seen->prompt_level)
            seen->prompt_level = level;
    }
}

static void check_holds_no_key(GenerationResultFFI *result)
{
    CHECK(!result->success);
    CHECK(strstr(result->code, key) == NULL && strstr(result->error, key) == NULL);
    CHECK(strstr(maze_result_json(result), key) == NULL);
    maze_free_result(result);
}

static void no_secret_is_in_a_result_or_a_log_line(void)
{
    static const char *const filters[] = {"trace", "debug", "maze=trace", "maze=debug"};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        Seen seen = {.prompt_level = MAZE_LOG_TRACE};
        maze_set_log_callback(look_for_secrets, &seen);
        MazeConfigFFI config = MAZE_CONFIG_INIT;
        config.endpoint = "http://127.0.0.1:1"; /* nothing listens there */
        config.api_key = key;
        config.dialect = "maze";
        config.log_filter = filters[i];
        CHECK_SUCCEEDS(maze_init(&config));
        IntentFFI intent = {.raw_input = prompt};
        MazeOptionsFFI options = MAZE_OPTIONS_INIT;
        options.timeout_ms = 300;
        check_holds_no_key(maze_generate_with(&intent, NULL, 0, &options)); /* with the prompt in its provenance */
        check_holds_no_key(maze_health_check());
        check_holds_no_key(maze_init(&config)); /* a second time */
        maze_shutdown();
        config.api_key = "wk-SECRETKEY0123456789\nx"; /* no header can hold it: refused, without showing it */
        check_holds_no_key(maze_init(&config));
        CHECK(seen.lines > 0);
        CHECK(seen.prompts == 0 || strstr(filters[i], "trace") != NULL);
        CHECK(seen.prompts > 0 || strstr(filters[i], "trace") == NULL);
        CHECK(seen.prompt_level == MAZE_LOG_TRACE);
        maze_set_log_callback(NULL, NULL);
    }
}

SCENARIOS(SCENARIO(freeing_null_does_nothing), SCENARIO(freeing_twice_is_logged_and_does_nothing),
          SCENARIO(freeing_twice_later_does_not_free_the_result_of_another),
          SCENARIO(a_second_free_however_late_frees_nobodys_result), SCENARIO(no_address_is_a_result_twice),
          SCENARIO(a_freed_result_says_so_for_a_while), SCENARIO(freed_results_cost_no_memory_beside_some_that_stay),
          SCENARIO(threads_that_free_twice_touch_no_results_of_others),
          SCENARIO(results_can_be_freed_by_the_name_of_anankes_rust_crate),
          SCENARIO(constraints_are_left_to_whoever_made_them),
          SCENARIO(foreign_pointers_are_left_alone), SCENARIO(accessors_answer_for_what_is_no_result),
          SCENARIO(accessors_work_before_anything_started), SCENARIO(every_status_has_its_name),
          SCENARIO(another_thread_may_free), SCENARIO(results_outlive_shutdown),
          SCENARIO(many_results_can_live_at_once), SCENARIO(every_result_tells_the_time_from_its_call),
          SCENARIO(no_secret_is_in_a_result_or_a_log_line))
