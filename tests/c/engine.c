/* Generations with the embedded engine, and what may happen in the middle of them. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static const IntentFFI story = {.raw_input = "Tell a long story."};
static const char *const letters = "^[a-z ]{400,}$";
static const char *const many_letters = "^[a-z ]{2000,}$"; /* without it, a model may fall silent at once */

typedef struct Collected {
    char text[65536];
    size_t len;
    size_t pieces;
    size_t cancel_after; /* pieces; 0 for never */
    pthread_t thread;
} Collected;

static bool collect(const char *text, size_t text_len, void *user_data)
{
    Collected *collected = user_data;
    CHECK(strlen(text) == text_len);
    CHECK(collected->len + text_len < sizeof collected->text);
    memcpy(collected->text + collected->len, text, text_len + 1);
    collected->len += text_len;
    collected->pieces++;
    collected->thread = pthread_self();
    return collected->pieces != collected->cancel_after;
}

static MazeOptionsFFI short_options(void)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 24;
    options.temperature = 0;
    return options;
}

static void streamed_pieces_together_are_the_code(void)
{
    static Collected collected;
    MazeOptionsFFI options = short_options();
    GenerationResultFFI *result = maze_generate_stream(&story, NULL, 0, &options, collect, &collected);
    CHECK(strcmp(result->code, collected.text) == 0);
    CHECK(collected.pieces > 1 && pthread_equal(collected.thread, pthread_self()));
    CHECK(result->tokens_generated == 24);
    CHECK_SUCCEEDS(result);
}

static void a_callback_that_returns_false_cancels(void)
{
    static Collected collected;
    collected.cancel_after = 3;
    MazeOptionsFFI options = short_options();
    options.max_tokens = 2000;
    GenerationResultFFI *result = maze_generate_stream(&story, NULL, 0, &options, collect, &collected);
    CHECK(collected.pieces == 3);
    CHECK(strcmp(result->code, collected.text) == 0);
    CHECK_FAILS(result, MAZE_CANCELLED, "the caller ended");
}

static void a_text_that_was_cut_off_is_kept(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    MazeOptionsFFI options = short_options();
    GenerationResultFFI *result = maze_generate_with(&story, &constraint, 1, &options);
    CHECK(strlen(result->code) > 10 && strlen(result->code) < 400);
    CHECK_FAILS(result, MAZE_TRUNCATED, "raise max_tokens");
}

static void a_result_tells_how_its_text_ended(void)
{
    static const char *const colours = "^(red|green|blue)$";
    ConstraintIRFFI constraint = one_regex(&colours);
    MazeOptionsFFI options = short_options();
    GenerationResultFFI *result = maze_generate_with(&story, &constraint, 1, &options);
    CHECK(strcmp(maze_result_finish_reason(result), "stop") == 0);
    CHECK_SUCCEEDS(result);
    constraint = one_regex(&letters);
    result = maze_generate_with(&story, &constraint, 1, &options);
    CHECK(strcmp(maze_result_finish_reason(result), "length") == 0);
    CHECK_FAILS(result, MAZE_TRUNCATED, "raise max_tokens");
}

static void a_batch_answers_each_intent(void)
{
    static const char *const colours = "^(red|green|blue)$";
    ConstraintIRFFI constraint = one_regex(&colours);
    IntentFFI intents[3] = {{.raw_input = "a colour"}, {.raw_input = ""}, {.raw_input = "another colour"}};
    GenerationResultFFI *results[3];
    CHECK(maze_generate_batch(intents, 3, &constraint, 1, NULL, results) == MAZE_INVALID_ARGUMENT);
    CHECK_SUCCEEDS(results[0]);
    CHECK_FAILS(results[1], MAZE_INVALID_ARGUMENT, "empty");
    CHECK_SUCCEEDS(results[2]);
    intents[1].raw_input = NULL;
    intents[2].language = "\xff";
    CHECK(maze_generate_batch(intents, 3, &constraint, 1, NULL, results) == MAZE_INVALID_ARGUMENT);
    CHECK_SUCCEEDS(results[0]);
    CHECK_FAILS(results[1], MAZE_INVALID_ARGUMENT, "intents[1].raw_input is NULL");
    CHECK_FAILS(results[2], MAZE_INVALID_ARGUMENT, "intents[2].language: invalid UTF-8");
}

static void a_constraint_that_is_only_reported_is_no_success(void)
{
    static const char *const twice = "^([a-z]*)\\1$";
    ConstraintIRFFI constraint = one_regex(&twice);
    MazeOptionsFFI options = short_options();
    options.on_unenforceable = MAZE_UNENFORCEABLE_REPORT;
    GenerationResultFFI *result = maze_generate_with(&story, &constraint, 1, &options);
    CHECK(result->code[0] != '\0');
    CHECK(strstr(maze_result_json(result), "it is neither enforced nor checked") != NULL);
    CHECK_FAILS(result, MAZE_UNSUPPORTED_CONSTRAINT, "was neither enforced nor checked");
}

static void token_ids_that_are_hashes_are_reported_and_a_text_is_made(void)
{
    static const uint32_t hashes[] = {816915147u, 3090929330u};
    static const TokenMaskRulesFFI masks = {.forbidden_tokens = hashes, .forbidden_tokens_len = 2};
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .token_masks = &masks};
    CHECK_FAILS(maze_compile_constraints(&constraint, 1, NULL, NULL), MAZE_UNSUPPORTED_CONSTRAINT, "hashes of words");
    MazeOptionsFFI options = short_options();
    options.on_unenforceable = MAZE_UNENFORCEABLE_REPORT;
    GenerationResultFFI *result = maze_generate_with(&story, &constraint, 1, &options);
    CHECK(result->code[0] != '\0');
    CHECK_FAILS(result, MAZE_UNSUPPORTED_CONSTRAINT, "was neither enforced nor checked");
}

static void in_a_conflict_what_has_the_higher_priority_goes_on_and_ignored_parts_are_no_part_of_it(void)
{
    static const char *const digits = "^[0-9]{1,3}$";
    ConstraintIRFFI constraints[] = {one_regex(&letters), one_regex(&digits)};
    constraints[1].priority = 1;
    MazeOptionsFFI options = short_options();
    CHECK_FAILS(maze_generate_with(&story, constraints, 2, &options), MAZE_CONTRADICTION, "contradict each other");
    options.on_conflict = MAZE_CONFLICT_REPORT;
    GenerationResultFFI *result = maze_generate_with(&story, constraints, 2, &options);
    CHECK(result->code[0] >= '0' && result->code[0] <= '9');
    CHECK(strstr(maze_result_json(result), "\"conflicting\"") != NULL);
    CHECK_FAILS(result, MAZE_CONTRADICTION, "constraints[0].regex_patterns[0] was left out");

    static const char *const ignored[] = {"constraints[0]"};
    options.on_conflict = MAZE_CONFLICT_ERROR;
    options.ignore = ignored;
    options.ignore_len = 1;
    result = maze_generate_with(&story, constraints, 2, &options);
    CHECK(strstr(maze_result_json(result), "\"ignored\"") != NULL);
    CHECK_SUCCEEDS(result);
    CHECK_SUCCEEDS(maze_compile_constraints(constraints, 2, NULL, &options));
    CHECK_SUCCEEDS(maze_validate("12", 2, constraints, 2, NULL, &options));
}

static void health_and_models_are_told(void)
{
    GenerationResultFFI *result = maze_health_check();
    CHECK(strstr(maze_result_json(result), "\"ready\":true") != NULL);
    CHECK_SUCCEEDS(result);
    result = maze_list_models();
    CHECK(strstr(maze_result_json(result), "\"models\":[\"") != NULL);
    CHECK_SUCCEEDS(result);
}

static bool call_libmaze(const char *text, size_t text_len, void *user_data)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
    MazeOptionsFFI options = short_options();
    options.max_tokens = 2;
    if (!*(bool *)user_data) {
        *(bool *)user_data = true;
        CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
    }
    return text_len == strlen(text);
}

static void a_callback_may_call_libmaze(void)
{
    bool called = false;
    MazeOptionsFFI options = short_options();
    CHECK_SUCCEEDS(maze_generate_stream(&story, NULL, 0, &options, call_libmaze, &called));
    CHECK(called);
}

static bool shut_down(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    maze_shutdown();
    return true;
}

static void a_callback_may_shut_down(void)
{
    MazeOptionsFFI options = short_options();
    CHECK_FAILS(maze_generate_stream(&story, NULL, 0, &options, shut_down, NULL), MAZE_CANCELLED, "shut down");
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
}

static _Atomic(int) streaming;

static bool count(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    atomic_fetch_add(&streaming, 1);
    return true;
}

static void *generate_long(void *wanted)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 2000;
    ConstraintIRFFI constraint = one_regex(&many_letters);
    GenerationResultFFI *result = maze_generate_stream(&story, &constraint, 1, &options, count, NULL);
    if (wanted != NULL)
        CHECK_FAILS(result, *(MazeStatus *)wanted, "");
    else
        maze_free_result(result);
    return NULL;
}

static void wait_for_text(void)
{
    while (atomic_load(&streaming) < 3)
        usleep(1000);
}

static void shutdown_ends_a_generation_of_another_thread(void)
{
    MazeStatus wanted = MAZE_CANCELLED;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, generate_long, &wanted) == 0);
    wait_for_text();
    maze_shutdown();
    pthread_join(thread, NULL);
}

static void exit_during_a_generation_is_clean(void)
{
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, generate_long, NULL) == 0);
    wait_for_text();
}

static void exit_while_the_model_loads_is_clean(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, generate_long, NULL) == 0);
    usleep(300000);
}

static bool exit_now(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    exit(0);
}

static void exit_from_a_text_callback_is_clean(void)
{
    MazeOptionsFFI options = short_options();
    maze_generate_stream(&story, NULL, 0, &options, exit_now, NULL);
    CHECK(false);
}

static void exit_after_a_generation_is_clean(void)
{
    MazeOptionsFFI options = short_options();
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
}

static void ctrl_c_ends_a_waiting_host(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        for (;;) /* a story may end before we do */
            generate_long(NULL);
    }
    sleep(4); /* the model is loaded and the host waits; any moment would do */
    CHECK(kill(pid, SIGINT) == 0);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void *generate_short(void *unused)
{
    MazeOptionsFFI options = short_options();
    static Collected collected;
    GenerationResultFFI *result = maze_generate_stream(&story, NULL, 0, &options, collect, &collected);
    CHECK(strcmp(result->code, collected.text) == 0);
    CHECK_SUCCEEDS(result);
    return unused;
}

static void a_generation_works_on_a_small_stack(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, generate_short, NULL) == 0);
    pthread_join(thread, NULL);
}

SCENARIOS(SCENARIO(streamed_pieces_together_are_the_code), SCENARIO(a_callback_that_returns_false_cancels),
          SCENARIO(a_text_that_was_cut_off_is_kept), SCENARIO(a_result_tells_how_its_text_ended),
          SCENARIO(a_batch_answers_each_intent),
          SCENARIO(a_constraint_that_is_only_reported_is_no_success),
          SCENARIO(token_ids_that_are_hashes_are_reported_and_a_text_is_made),
          SCENARIO(in_a_conflict_what_has_the_higher_priority_goes_on_and_ignored_parts_are_no_part_of_it),
          SCENARIO(health_and_models_are_told), SCENARIO(a_callback_may_call_libmaze),
          SCENARIO(a_callback_may_shut_down), SCENARIO(shutdown_ends_a_generation_of_another_thread),
          SCENARIO(exit_during_a_generation_is_clean), SCENARIO(exit_while_the_model_loads_is_clean),
          SCENARIO(exit_from_a_text_callback_is_clean), SCENARIO(exit_after_a_generation_is_clean),
          SCENARIO(ctrl_c_ends_a_waiting_host), SCENARIO(a_generation_works_on_a_small_stack))
