/* Calls where and when nobody should make them. */
#include "check.h"

#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const letters = "^[a-z]+$";

static void use_engine_that_is_not_there(void)
{
    setenv("MODAL_ENDPOINT", "http://127.0.0.1:1", 1);
    setenv("MAZE_DIALECT", "maze", 1);
}

static void run_threads(size_t len, void *(*run)(void *))
{
    pthread_t threads[64];
    for (size_t i = 0; i < len; i++)
        CHECK(pthread_create(&threads[i], NULL, run, (void *)i) == 0);
    for (size_t i = 0; i < len; i++)
        pthread_join(threads[i], NULL);
}

/* Bytes after which reading crashes. */
static void *at_page_end(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    return pages + page - len;
}

static void a_struct_is_read_no_further_than_its_size(void)
{
    static const size_t wrong[] = {0, 8, sizeof(MazeOptionsFFI) - 1, 4097, SIZE_MAX};
    MazeOptionsFFI *options = at_page_end(sizeof *options);
    *options = (MazeOptionsFFI)MAZE_OPTIONS_INIT;
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, options));
    size_t *struct_size = at_page_end(sizeof *struct_size);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        *struct_size = wrong[i];
        CHECK_FAILS(maze_compile_constraints(NULL, 0, NULL, (const MazeOptionsFFI *)(void *)struct_size),
                    MAZE_INVALID_ARGUMENT, "struct_size");
        maze_shutdown();
        CHECK_FAILS(maze_init((const MazeConfigFFI *)(void *)struct_size), MAZE_INVALID_ARGUMENT, "struct_size");
        CHECK(maze_cache_stats((MazeCacheStatsFFI *)(void *)struct_size) == MAZE_INVALID_ARGUMENT);
    }
}

enum { SHARED = 500 };
static GenerationResultFFI *shared[SHARED];

static void *look_at_and_free_all(void *number)
{
    for (size_t i = 0; i < SHARED; i++) {
        maze_result_status(shared[i]);
        maze_result_json(shared[i]);
        maze_free_result(shared[(i * 7 + (size_t)number) % SHARED]);
    }
    return NULL;
}

static void sixty_four_threads_free_the_same_results(void)
{
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < SHARED; i++)
            shared[i] = maze_compile_constraints(NULL, 0, NULL, NULL);
        run_threads(64, look_at_and_free_all);
        for (size_t i = 0; i < SHARED; i++)
            CHECK(maze_result_status(shared[i]) == MAZE_INVALID_ARGUMENT);
    }
}

static void a_deadline_holds_while_constraints_are_compiled(void)
{
    enum { PATTERNS = 100, TIMEOUT_MS = 500 };
    static char texts[PATTERNS][64];
    const char *patterns[PATTERNS];
    for (size_t i = 0; i < PATTERNS; i++) {
        snprintf(texts[i], sizeof texts[i], "(a?b?c?){30}x%zu\\b(d?e?f?){30}\\b", i);
        patterns[i] = texts[i];
    }
    ConstraintIRFFI slow = {
        .magic = MAZE_CONSTRAINT_MAGIC, .regex_patterns = patterns, .regex_patterns_len = PATTERNS};
    const IntentFFI intent = {.raw_input = "x"};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.timeout_ms = TIMEOUT_MS;
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL)); /* Python has started */
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    GenerationResultFFI *result = maze_generate_with(&intent, &slow, 1, &options);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    CHECK_FAILS(result, MAZE_TIMED_OUT, "compiling the constraints was not finished within 500 ms; it was at constraints");
    int64_t ms = (ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_nsec - begun.tv_nsec) / 1000000;
    CHECK(ms >= TIMEOUT_MS && ms < TIMEOUT_MS + 500);
}

static void check_no_defect(GenerationResultFFI *result)
{
    CHECK(result != NULL && result->success == (result->error == NULL));
    CHECK(maze_result_status(result) != MAZE_INTERNAL_ERROR);
    maze_free_result(result);
}

static void *do_anything(void *number)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    IntentFFI intents[2] = {{.raw_input = "x"}, {.raw_input = "y"}};
    GenerationResultFFI *results[2];
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.timeout_ms = 50;
    for (size_t i = 0; i < 20; i++) {
        switch (((size_t)number * 5 + i) % 8) {
        case 0:
            check_no_defect(maze_init(NULL));
            break;
        case 1:
            maze_shutdown();
            break;
        case 2:
            check_no_defect(maze_generate_with(intents, NULL, 0, &options));
            break;
        case 3:
            maze_generate_batch(intents, 2, &constraint, 1, &options, results);
            check_no_defect(results[0]);
            check_no_defect(results[1]);
            break;
        case 4:
            check_no_defect(maze_compile_constraints(&constraint, 1, NULL, NULL));
            break;
        case 5:
            check_no_defect(maze_health_check());
            break;
        case 6:
            check_no_defect(maze_validate("abc", 3, &constraint, 1, NULL, NULL));
            break;
        case 7:
            check_no_defect(maze_list_models());
            break;
        }
    }
    return NULL;
}

static void starts_shutdowns_and_generations_may_storm(void)
{
    use_engine_that_is_not_there();
    run_threads(32, do_anything);
}

static _Atomic(bool) stop;

static void *change_the_process(void *unused)
{
    while (!atomic_load(&stop)) {
        setlocale(LC_ALL, "C.UTF-8");
        CHECK(chdir("/") == 0);
        setlocale(LC_ALL, "C");
        CHECK(chdir("/tmp") == 0);
    }
    return unused;
}

static void locale_and_folder_may_change_meanwhile(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, change_the_process, NULL) == 0);
    for (int i = 0; i < 2000; i++) {
        ConstraintIRFFI constraint = one_regex(&letters);
        CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
        if (i % 500 == 0)
            maze_shutdown();
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

static void fork_child(MazeLogLevel level, const char *target, const char *message, void *forks)
{
    (void)level, (void)target, (void)message;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(20); /* a deadlock must end the test */
        MazeStatus status = maze_result_status(maze_compile_constraints(NULL, 0, NULL, NULL));
        maze_set_log_callback(NULL, NULL);
        maze_shutdown();
        _exit(status == MAZE_FORKED ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    ++*(int *)forks;
}

static void a_log_callback_may_fork(void)
{
    int forks = 0;
    setenv("MAZE_LOG", "error", 1);
    maze_set_log_callback(fork_child, &forks);
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    for (int i = 0; i < 20; i++)
        maze_free_result((GenerationResultFFI *)(void *)&forks); /* logs */
    CHECK(forks == 20);
}

static void shut_down_and_start(MazeLogLevel level, const char *target, const char *message, void *lines)
{
    (void)level, (void)target, (void)message;
    maze_shutdown();
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    ++*(int *)lines;
}

static void a_log_callback_may_shut_down_the_call_that_logs(void)
{
    int lines = 0;
    use_engine_that_is_not_there();
    setenv("MAZE_LOG", "trace", 1);
    maze_set_log_callback(shut_down_and_start, &lines);
    IntentFFI intent = {.raw_input = "x"};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.timeout_ms = 500;
    for (int i = 0; i < 5; i++) {
        GenerationResultFFI *result = maze_generate_with(&intent, NULL, 0, &options);
        CHECK(!result->success);
        check_no_defect(result);
    }
    CHECK(lines >= 5);
}

static void results_may_overlap_the_intents(void)
{
    union {
        IntentFFI intents[2];
        GenerationResultFFI *results[2];
    } both = {.intents = {{.raw_input = "x"}, {.raw_input = "y"}}};
    use_engine_that_is_not_there();
    /* The results are NULL before anything is read, and with them the first intent. */
    CHECK(maze_generate_batch(both.intents, 2, NULL, 0, NULL, both.results) == MAZE_INVALID_ARGUMENT);
    CHECK_FAILS(both.results[0], MAZE_INVALID_ARGUMENT, "intents[0].raw_input is NULL");
    CHECK_FAILS(both.results[1], MAZE_ENGINE_UNAVAILABLE, "connection refused");
}

static void call_and_shut_down(void)
{
    check_no_defect(maze_compile_constraints(NULL, 0, NULL, NULL));
    maze_shutdown();
}

static void exit_handlers_may_call(void)
{
    atexit(call_and_shut_down);
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    atexit(call_and_shut_down);
}

static pthread_key_t at_thread_end;

static void call_at_thread_end(void *unused)
{
    (void)unused;
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
}

static void *call_and_end(void *unused)
{
    CHECK(pthread_setspecific(at_thread_end, &at_thread_end) == 0);
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    return unused;
}

static void destructors_of_threads_may_call(void)
{
    CHECK(pthread_key_create(&at_thread_end, call_at_thread_end) == 0);
    run_threads(50, call_and_end);
}

/* ------------------------------------------------------------------- the log line of a model that is loaded */

static const IntentFFI story = {.raw_input = "Tell a story."};

static void generate_a_little(void)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 4;
    options.timeout_ms = 60000;
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
}

static void exit_at_once(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message, (void)user_data;
    exit(0);
}

static void a_log_callback_may_exit_when_the_model_is_loaded(void)
{
    setenv("MAZE_LOG", "info", 1);
    maze_set_log_callback(exit_at_once, NULL);
    maze_free_result(maze_generate(&story, NULL, 0));
    pause(); /* another thread exits */
}

static void generate_once(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message;
    if (!atomic_flag_test_and_set((atomic_flag *)user_data))
        generate_a_little();
}

static void a_log_callback_may_use_the_model_that_is_loaded(void)
{
    atomic_flag called = ATOMIC_FLAG_INIT;
    setenv("MAZE_LOG", "info", 1);
    maze_set_log_callback(generate_once, &called);
    generate_a_little();
    CHECK(atomic_flag_test_and_set(&called));
    maze_set_log_callback(NULL, NULL);
}

/* --------------------------------------------------------------- a thread that stands in for one with a small stack */

static pthread_mutex_t lock_of_host = PTHREAD_MUTEX_INITIALIZER;

static void log_under_a_lock(MazeLogLevel level, const char *target, const char *message, void *lines)
{
    (void)level, (void)target, (void)message;
    CHECK(pthread_mutex_trylock(&lock_of_host) == 0);
    maze_free_result((GenerationResultFFI *)lines); /* is no result, and makes a line */
    ++*(int *)lines;
    pthread_mutex_unlock(&lock_of_host);
}

static void *make_a_line(void *lines)
{
    maze_free_result((GenerationResultFFI *)lines);
    return NULL;
}

static void a_log_callback_is_not_entered_again_by_a_thread_that_stands_in(void)
{
    int lines = 0;
    pthread_t thread;
    pthread_attr_t attributes;
    setenv("MAZE_LOG", "error", 1);
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    maze_set_log_callback(log_under_a_lock, &lines);
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 128 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, make_a_line, &lines) == 0);
    pthread_join(thread, NULL);
    CHECK(lines == 1);
}

SCENARIOS(SCENARIO(a_struct_is_read_no_further_than_its_size), SCENARIO(sixty_four_threads_free_the_same_results),
          SCENARIO(starts_shutdowns_and_generations_may_storm), SCENARIO(locale_and_folder_may_change_meanwhile),
          SCENARIO(a_log_callback_may_fork), SCENARIO(a_log_callback_may_shut_down_the_call_that_logs),
          SCENARIO(results_may_overlap_the_intents), SCENARIO(exit_handlers_may_call),
          SCENARIO(a_deadline_holds_while_constraints_are_compiled),
          SCENARIO(destructors_of_threads_may_call), SCENARIO(a_log_callback_may_exit_when_the_model_is_loaded),
          SCENARIO(a_log_callback_may_use_the_model_that_is_loaded),
          SCENARIO(a_log_callback_is_not_entered_again_by_a_thread_that_stands_in))
