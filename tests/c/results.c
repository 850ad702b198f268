/* What a caller can do wrong with results, and what it may do. */
#include "check.h"

#include <pthread.h>

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

SCENARIOS(SCENARIO(freeing_null_does_nothing), SCENARIO(freeing_twice_is_logged_and_does_nothing),
          SCENARIO(freeing_twice_later_does_not_free_the_result_of_another),
          SCENARIO(foreign_pointers_are_left_alone), SCENARIO(accessors_answer_for_what_is_no_result),
          SCENARIO(accessors_work_before_anything_started), SCENARIO(every_status_has_its_name),
          SCENARIO(another_thread_may_free), SCENARIO(results_outlive_shutdown),
          SCENARIO(many_results_can_live_at_once))
