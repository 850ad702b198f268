/* What a caller can do wrong with results, and what it may do. */
#include "check.h"

#include <pthread.h>
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

static void foreign_pointers_are_left_alone(void)
{
    log_errors();
    GenerationResultFFI *result = some_result();
    GenerationResultFFI on_the_stack = *result;
    maze_free_result(&on_the_stack);
    maze_free_result((GenerationResultFFI *)(void *)0x10);
    maze_free_result((GenerationResultFFI *)(void *)((char *)result + 8));
    CHECK(errors_logged == 3);
    CHECK(maze_result_status(result) == MAZE_OK);
    maze_free_result(result);
    CHECK(errors_logged == 3);
}

static void accessors_answer_for_what_is_no_result(void)
{
    CHECK(maze_result_status(NULL) == MAZE_INVALID_ARGUMENT);
    CHECK(strcmp(maze_result_json(NULL), "{}") == 0);
    GenerationResultFFI *result = some_result();
    maze_free_result(result);
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
    CHECK(strstr(maze_result_json(result), key) == NULL && strstr(maze_result_json(result), prompt) == NULL);
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
        check_holds_no_key(maze_generate_with(&intent, NULL, 0, &options));
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
          SCENARIO(foreign_pointers_are_left_alone), SCENARIO(accessors_answer_for_what_is_no_result),
          SCENARIO(accessors_work_before_anything_started), SCENARIO(every_status_has_its_name),
          SCENARIO(another_thread_may_free), SCENARIO(results_outlive_shutdown),
          SCENARIO(many_results_can_live_at_once), SCENARIO(every_result_tells_the_time_from_its_call),
          SCENARIO(no_secret_is_in_a_result_or_a_log_line))
