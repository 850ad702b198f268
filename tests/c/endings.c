/* Calls while a thread or the process ends: from exit handlers and destructors, where thread-locals may be gone. */
#define _GNU_SOURCE /* for on_exit() */
#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What C++ registers the destructor of a thread_local with. */
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

/* ------------------------------------------------------------------------------------------------ what is called */

static const char *const letters = "^[a-z]+$";

static void use_patterns(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
    CHECK_SUCCEEDS(maze_validate("abc", 3, &constraint, 1, NULL, NULL));
    CHECK_FAILS(maze_validate("ABC", 3, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "constraints[0]");
}

static void use_schemas(void)
{
    static const char *const schemas[] = {"{\"type\":\"integer\"}", "{\"type\":\"string\",\"format\":\"email\"}",
                                          "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"boolean\"}}}"};
    static const char *const texts[] = {"1", "\"a@example.com\"", "{\"a\":true}"};
    for (size_t i = 0; i < 3; i++) {
        ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schemas[i]};
        CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
        CHECK_SUCCEEDS(maze_validate(texts[i], strlen(texts[i]), &constraint, 1, NULL, NULL));
        CHECK_FAILS(maze_validate("[]", 2, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "constraints[0]");
    }
}

static void use_grammars(void)
{
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .grammar = "root ::= [0-9]+"};
    CHECK_SUCCEEDS(maze_validate("12", 2, &constraint, 1, "rust", NULL));
    CHECK_FAILS(maze_validate("x", 1, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "constraints[0]");
}

static bool count_pieces(const char *text, size_t text_len, void *pieces)
{
    (void)text, (void)text_len;
    ++*(int *)pieces;
    return true;
}

static void use_engine(void)
{
    static const char *const schema = "{\"enum\":[\"red\",\"green\"]}";
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
    IntentFFI intents[2] = {{.raw_input = "a colour"}, {.raw_input = "another colour"}};
    GenerationResultFFI *results[2];
    int pieces = 0;
    CHECK_SUCCEEDS(maze_health_check());
    CHECK_SUCCEEDS(maze_list_models());
    CHECK_SUCCEEDS(maze_generate(intents, &constraint, 1));
    CHECK_SUCCEEDS(maze_generate_stream(intents, &constraint, 1, NULL, count_pieces, &pieces));
    CHECK(pieces > 0);
    CHECK(maze_generate_batch(intents, 2, &constraint, 1, NULL, results) == MAZE_OK);
    CHECK_SUCCEEDS(results[0]);
    CHECK_SUCCEEDS(results[1]);
}

static void use_the_rest(void)
{
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    CHECK(maze_cache_stats(&stats) == MAZE_OK);
    CHECK(maze_clear_cache() == MAZE_OK);
    maze_set_log_callback(NULL, NULL);
    maze_free_result((GenerationResultFFI *)(void *)&stats);
    maze_shutdown();
    CHECK_SUCCEEDS(maze_init(NULL));
}

static void use_all_but_engine(void)
{
    use_patterns();
    use_schemas();
    use_grammars();
    use_the_rest();
}

/* ------------------------------------------------------------------------------------------ where it is called */

static int answers[2]; /* a byte for each place that has called everything */

static void tell(void)
{
    CHECK(write(answers[1], "x", 1) == 1);
}

static bool with_engine; /* which takes seconds to start */

static void call(void)
{
    use_all_but_engine();
    if (with_engine)
        use_engine();
    tell();
}

static void call_with(void *unused)
{
    (void)unused;
    call();
}

static void call_on_exit(int status, void *unused)
{
    (void)status, (void)unused;
    call();
}

static bool in_destructor_of_program;

__attribute__((destructor)) static void at_end_of_program(void)
{
    if (in_destructor_of_program)
        call();
}

static void at_exit(void)
{
    CHECK(atexit(call) == 0);
}

static void on_exit_(void)
{
    CHECK(on_exit(call_on_exit, NULL) == 0);
}

static void at_quick_exit_(void)
{
    CHECK(at_quick_exit(call) == 0);
}

static void in_program_destructor(void)
{
    in_destructor_of_program = true;
}

static void in_thread_local_destructor(void)
{
    CHECK(__cxa_thread_atexit_impl(call_with, NULL, &__dso_handle) == 0);
}

static void in_key_destructor(void)
{
    pthread_key_t key;
    CHECK(pthread_key_create(&key, call_with) == 0);
    CHECK(pthread_setspecific(key, &answers) == 0);
}

/* ------------------------------------------------------------------------------------------- what went before */

typedef struct Ending {
    void (*place)(void);
    void (*before[3])(void); /* calls before the place is registered */
    void (*after[3])(void);  /* and after */
    bool with_engine;
    bool on_thread;
    bool by_pthread_exit;
    bool by_quick_exit;
} Ending;

static void *live_and_end(void *argument)
{
    const Ending *ending = argument;
    for (size_t i = 0; i < 3 && ending->before[i] != NULL; i++)
        ending->before[i]();
    ending->place();
    for (size_t i = 0; i < 3 && ending->after[i] != NULL; i++)
        ending->after[i]();
    if (ending->by_pthread_exit)
        pthread_exit(NULL);
    return NULL;
}

static void *exit_after(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    exit(0);
}

/* In a process of its own, in which nothing of libmaze was used before. */
static void check_ending(const Ending *ending, int line)
{
    CHECK(pipe(answers) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(200);
        close(answers[0]);
        with_engine = ending->with_engine;
        pthread_t thread;
        if (ending->on_thread) {
            CHECK(pthread_create(&thread, NULL, live_and_end, (void *)(size_t)ending) == 0);
            pthread_join(thread, NULL);
        } else {
            static pthread_t main_thread;
            main_thread = pthread_self();
            if (ending->by_pthread_exit) /* threads of ours would keep the process alive for ever */
                CHECK(pthread_create(&thread, NULL, exit_after, &main_thread) == 0);
            live_and_end((void *)(size_t)ending);
        }
        if (ending->by_quick_exit)
            quick_exit(0);
        exit(0);
    }
    close(answers[1]);
    char told[4];
    ssize_t len = read(answers[0], told, sizeof told);
    close(answers[0]);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0 || len != 1)
        fprintf(stderr, "line %d: ended with %x after %zd answers\n", line, (unsigned)status, len);
    CHECK(status == 0 && len == 1);
}
#define CHECK_ENDING(...) check_ending(&(const Ending){__VA_ARGS__}, __LINE__)

static void exit_handlers_get_right_answers(void)
{
    CHECK_ENDING(.place = at_exit, .with_engine = true);
    CHECK_ENDING(.place = at_exit, .after = {use_all_but_engine, use_engine}, .with_engine = true);
    CHECK_ENDING(.place = at_exit, .before = {use_patterns}, .after = {use_schemas});
    CHECK_ENDING(.place = at_exit, .before = {use_all_but_engine}, .on_thread = true);
    CHECK_ENDING(.place = on_exit_);
    CHECK_ENDING(.place = on_exit_, .after = {use_all_but_engine});
}

static void quick_exit_handlers_get_right_answers(void)
{
    CHECK_ENDING(.place = at_quick_exit_, .by_quick_exit = true);
    CHECK_ENDING(.place = at_quick_exit_, .after = {use_all_but_engine}, .by_quick_exit = true, .with_engine = true);
}

static void destructors_of_the_program_get_right_answers(void)
{
    CHECK_ENDING(.place = in_program_destructor);
    CHECK_ENDING(.place = in_program_destructor, .after = {use_all_but_engine}, .with_engine = true);
}

static void destructors_of_thread_locals_get_right_answers(void)
{
    for (int on_thread = 0; on_thread < 2; on_thread++) {
        CHECK_ENDING(.place = in_thread_local_destructor, .on_thread = on_thread);
        CHECK_ENDING(.place = in_thread_local_destructor, .after = {use_all_but_engine}, .on_thread = on_thread,
                     .with_engine = true);
        CHECK_ENDING(.place = in_thread_local_destructor, .before = {use_all_but_engine}, .on_thread = on_thread);
        CHECK_ENDING(.place = in_thread_local_destructor, .before = {use_patterns}, .after = {use_schemas},
                     .on_thread = on_thread);
        CHECK_ENDING(.place = in_thread_local_destructor, .before = {use_schemas}, .after = {use_patterns},
                     .on_thread = on_thread);
    }
}

static void destructors_of_keys_get_right_answers(void)
{
    CHECK_ENDING(.place = in_key_destructor, .on_thread = true);
    CHECK_ENDING(.place = in_key_destructor, .after = {use_all_but_engine}, .on_thread = true, .with_engine = true);
    CHECK_ENDING(.place = in_key_destructor, .before = {use_patterns}, .after = {use_schemas}, .on_thread = true,
                 .by_pthread_exit = true);
    CHECK_ENDING(.place = in_key_destructor, .before = {use_schemas}, .by_pthread_exit = true);
}

static bool exit_now(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    exit(0);
}

static void exit_in_a_callback(void)
{
    IntentFFI intent = {.raw_input = "a colour"};
    maze_generate_stream(&intent, NULL, 0, NULL, exit_now, NULL);
}

static void exit_handlers_get_right_answers_when_a_callback_exits(void)
{
    CHECK_ENDING(.place = at_exit, .after = {exit_in_a_callback}, .with_engine = true);
    CHECK_ENDING(.place = at_exit, .after = {exit_in_a_callback}, .on_thread = true);
    CHECK_ENDING(.place = in_thread_local_destructor, .before = {use_patterns}, .after = {exit_in_a_callback});
}

SCENARIOS(SCENARIO(exit_handlers_get_right_answers), SCENARIO(quick_exit_handlers_get_right_answers),
          SCENARIO(destructors_of_the_program_get_right_answers),
          SCENARIO(destructors_of_thread_locals_get_right_answers), SCENARIO(destructors_of_keys_get_right_answers),
          SCENARIO(exit_handlers_get_right_answers_when_a_callback_exits))
