/* Calls from threads of all sizes and numbers, callbacks, and ends of the process in the middle of it. */
#include "check.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>
#include <unistd.h>

static const char *const letters = "^[a-z]+$";

static void start_thread(pthread_t *thread, size_t stack, void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack != 0)
        CHECK(pthread_attr_setstacksize(&attributes, stack) == 0);
    CHECK(pthread_create(thread, &attributes, run, argument) == 0);
    pthread_attr_destroy(&attributes);
}

static void *compile_and_validate(void *unused)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
    CHECK_SUCCEEDS(maze_validate("abc", 3, &constraint, 1, NULL, NULL));
    CHECK_FAILS(maze_generate(NULL, NULL, 0), MAZE_INVALID_ARGUMENT, "intent");
    return unused;
}

static void the_first_call_may_come_from_a_small_stack(void)
{
    pthread_t thread;
    start_thread(&thread, (size_t)PTHREAD_STACK_MIN + 16384, compile_and_validate, NULL);
    pthread_join(thread, NULL);
    compile_and_validate(NULL);
}

static void stacks_of_all_sizes_work(void)
{
    static const size_t sizes[] = {32 << 10, 64 << 10, 128 << 10, 512 << 10, 1 << 20, 2 << 20, 8 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        pthread_t thread;
        start_thread(&thread, sizes[i], compile_and_validate, NULL);
        pthread_join(thread, NULL);
    }
}

/* A schema nested as deep as possible, on the smallest stack. */
static void *compile_deep_schema(void *depth_wanted)
{
    size_t depth = *(size_t *)depth_wanted;
    static const char open[] = "{\"type\":\"array\",\"items\":";
    char *schema = malloc(depth * sizeof open + 64);
    char *end = schema;
    for (size_t i = 0; i < depth; i++)
        end = (char *)memcpy(end, open, sizeof open - 1) + sizeof open - 1;
    end = (char *)memcpy(end, "{}", 2) + 2;
    memset(end, '}', depth);
    end[depth] = '\0';
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
    GenerationResultFFI *result = maze_compile_constraints(&constraint, 1, NULL, NULL);
    CHECK(result->success || result->error != NULL);
    maze_free_result(result);
    free(schema);
    return NULL;
}

static void deep_schemas_do_not_overflow_small_stacks(void)
{
    static size_t depths[] = {60, 500, 10000};
    for (size_t i = 0; i < 3; i++) {
        pthread_t thread;
        start_thread(&thread, 64 << 10, compile_deep_schema, &depths[i]);
        pthread_join(thread, NULL);
    }
}

static void eight_threads_may_start_it_at_once(void)
{
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        start_thread(&threads[i], i % 2 ? 0 : 64 << 10, compile_and_validate, NULL);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

static void *use_everything(void *number)
{
    size_t seed = (size_t)number;
    char pattern[32];
    snprintf(pattern, sizeof pattern, "^[a-z]{1,%zu}$", seed % 7 + 1);
    const char *text = pattern;
    for (size_t i = 0; i < 50; i++) {
        ConstraintIRFFI constraint = one_regex(&text);
        MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
        switch ((seed + i) % 6) {
        case 0:
            CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
            break;
        case 1:
            CHECK_SUCCEEDS(maze_validate("a", 1, &constraint, 1, NULL, NULL));
            break;
        case 2:
            CHECK(maze_cache_stats(&stats) == MAZE_OK);
            break;
        case 3:
            CHECK(maze_clear_cache() == MAZE_OK);
            break;
        case 4:
            maze_set_log_callback(NULL, NULL);
            break;
        case 5:
            CHECK_FAILS(maze_validate("A", 1, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "byte 0");
            break;
        }
    }
    return NULL;
}

static void sixty_four_threads_use_all_functions(void)
{
    pthread_t threads[64];
    for (size_t i = 0; i < 64; i++)
        start_thread(&threads[i], i % 4 == 0 ? 128 << 10 : 0, use_everything, (void *)i);
    for (size_t i = 0; i < 64; i++)
        pthread_join(threads[i], NULL);
}

static void *shut_down_often(void *unused)
{
    for (int i = 0; i < 50; i++)
        maze_shutdown();
    return unused;
}

static void *compile_until_shut_down(void *unused)
{
    for (int i = 0; i < 50; i++) {
        ConstraintIRFFI constraint = one_regex(&letters);
        GenerationResultFFI *result = maze_compile_constraints(&constraint, 1, NULL, NULL);
        CHECK(result->success || maze_result_status(result) == MAZE_CANCELLED);
        maze_free_result(result);
    }
    return unused;
}

static void shutdown_while_others_call_is_safe(void)
{
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        start_thread(&threads[i], 0, i == 0 ? shut_down_often : compile_until_shut_down, NULL);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    compile_and_validate(NULL);
}

/* Resident memory in KiB. */
static long resident(void)
{
    long pages = 0, total = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &total, &pages) == 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/*
 * Growth that is no leak: the pages that the heaps of malloc and Python happen to touch. It is under 1 MiB. The smallest
 * leak there can be, one block of malloc (32 bytes) for each of 100,000 calls, is 3.1 MiB; what Python keeps for a
 * thread (360 bytes) for each of 10,000 is 3.4 MiB.
 */
enum { MAX_GROWTH_KIB = 2048, WARM_UP_THREADS = 500, THREADS = 10000, WARM_UP_CALLS = 3000, CALLS = 100000 };

static void short_lived_threads_leave_nothing_behind(void)
{
    long before = 0;
    for (int i = 0; i < WARM_UP_THREADS + THREADS; i++) {
        if (i == WARM_UP_THREADS)
            before = resident();
        pthread_t thread;
        start_thread(&thread, i % 2 ? 0 : 128 << 10, compile_and_validate, NULL);
        pthread_join(thread, NULL);
    }
    long growth = resident() - before;
    if (growth >= MAX_GROWTH_KIB)
        fprintf(stderr, "grew by %ld KiB\n", growth);
    CHECK(growth < MAX_GROWTH_KIB);
}

static void many_calls_leave_nothing_behind(void)
{
    long before = 0;
    for (int i = 0; i < WARM_UP_CALLS + CALLS; i++) {
        if (i == WARM_UP_CALLS)
            before = resident();
        compile_and_validate(NULL);
    }
    long growth = resident() - before;
    if (growth >= MAX_GROWTH_KIB)
        fprintf(stderr, "grew by %ld KiB\n", growth);
    CHECK(growth < MAX_GROWTH_KIB);
}

static void *call_until_cancelled(void *unused)
{
    for (;;) {
        compile_and_validate(NULL);
        pthread_testcancel();
    }
    return unused;
}

static void cancelled_threads_leave_no_lock_behind(void)
{
    for (int i = 0; i < 100; i++) {
        pthread_t threads[3];
        for (size_t j = 0; j < 3; j++)
            start_thread(&threads[j], j == 0 ? 64 << 10 : 0, call_until_cancelled, NULL);
        usleep((useconds_t)(i * 50));
        for (size_t j = 0; j < 3; j++)
            CHECK(pthread_cancel(threads[j]) == 0);
        for (size_t j = 0; j < 3; j++)
            pthread_join(threads[j], NULL);
    }
    compile_and_validate(NULL);
}

/* ------------------------------------------------------------------------------------------ signals */

static _Atomic(pthread_t) handled_by;

static void on_alarm(int number)
{
    (void)number;
    atomic_store(&handled_by, pthread_self());
}

static void handlers_run_on_threads_of_the_host(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    compile_and_validate(NULL);
    for (int i = 0; i < 20; i++) {
        atomic_store(&handled_by, (pthread_t)0);
        kill(getpid(), SIGALRM);
        compile_and_validate(NULL);
        CHECK(pthread_equal(atomic_load(&handled_by), pthread_self()));
    }
}

/* -------------------------------------------------------------------------------------------- log */

static _Atomic(int) lines;
static _Atomic(bool) inside;

static void reenter(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message, (void)user_data;
    atomic_fetch_add(&lines, 1);
    maze_free_result((GenerationResultFFI *)(void *)&lines); /* logs: dropped, not recursive */
    compile_and_validate(NULL);
    maze_set_log_callback(NULL, NULL); /* from within: returns at once */
}

static void a_log_callback_may_call_libmaze(void)
{
    setenv("MAZE_LOG", "debug", 1);
    compile_and_validate(NULL);
    maze_set_log_callback(reenter, NULL);
    maze_free_result((GenerationResultFFI *)(void *)&lines);
    CHECK(atomic_load(&lines) == 1);
    fclose(stderr); /* without a callback, the line goes there */
    maze_free_result((GenerationResultFFI *)(void *)&lines);
    CHECK(atomic_load(&lines) == 1);
}

static pthread_barrier_t barrier;

static void take_long(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message, (void)user_data;
    atomic_store(&inside, true);
    pthread_barrier_wait(&barrier);
    usleep(300000);
    atomic_store(&inside, false);
}

static void *log_something(void *unused)
{
    maze_free_result((GenerationResultFFI *)(void *)&lines);
    return unused;
}

static void a_slow_log_callback_holds_back_nobody_and_is_waited_for(void)
{
    setenv("MAZE_LOG", "error", 1);
    compile_and_validate(NULL);
    pthread_barrier_init(&barrier, NULL, 2);
    maze_set_log_callback(take_long, NULL);
    pthread_t thread;
    start_thread(&thread, 0, log_something, NULL);
    pthread_barrier_wait(&barrier);
    compile_and_validate(NULL);
    CHECK(atomic_load(&inside));
    maze_set_log_callback(NULL, NULL);
    CHECK(!atomic_load(&inside));
    pthread_join(thread, NULL);
}

static void *look_for_ever(void *result)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;)
        maze_result_status(result);
    return NULL;
}

static void threads_that_are_cancelled_at_any_instruction_leave_no_lock_behind(void)
{
    GenerationResultFFI *result = maze_compile_constraints(NULL, 0, NULL, NULL);
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        start_thread(&thread, 0, look_for_ever, result);
        usleep(200);
        CHECK(pthread_cancel(thread) == 0);
        pthread_join(thread, NULL);
        CHECK(maze_result_status(result) == MAZE_OK);
    }
    CHECK_SUCCEEDS(result);
}

/* -------------------------------------------------------------------------------------------- exit */

static void exit_from_callback(MazeLogLevel level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message, (void)user_data;
    exit(0);
}

static void exit_from_a_log_callback_is_clean(void)
{
    setenv("MAZE_LOG", "error", 1);
    maze_set_log_callback(exit_from_callback, NULL);
    compile_and_validate(NULL);
    maze_free_result((GenerationResultFFI *)(void *)&lines);
    CHECK(false);
}

static void *compile_for_ever(void *unused)
{
    for (;;)
        compile_and_validate(NULL);
    return unused;
}

static void exit_while_threads_call_is_clean(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        start_thread(&threads[i], i % 2 ? 0 : 128 << 10, compile_for_ever, NULL);
    compile_and_validate(NULL);
    usleep(50000);
}

static void exit_during_the_start_is_clean(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        start_thread(&threads[i], i % 2 ? 0 : 128 << 10, compile_for_ever, NULL);
    usleep(30000);
}

/* -------------------------------------------------------------------------------- stacks of the host */

static ucontext_t host_context, other_context;

static void on_other_stack(void)
{
    compile_and_validate(NULL);
}

static void a_host_that_switches_stacks_works(void)
{
    enum { SIZE = 64 << 10 };
    static char stack[SIZE];
    /* volatile: in the frame that getcontext() comes back to */
    for (volatile int started = 0; started < 2; started++) {
        CHECK(getcontext(&other_context) == 0);
        other_context.uc_stack.ss_sp = stack;
        other_context.uc_stack.ss_size = SIZE;
        other_context.uc_link = &host_context;
        makecontext(&other_context, on_other_stack, 0);
        CHECK(swapcontext(&host_context, &other_context) == 0);
    }
}

SCENARIOS(SCENARIO(the_first_call_may_come_from_a_small_stack), SCENARIO(stacks_of_all_sizes_work),
          SCENARIO(deep_schemas_do_not_overflow_small_stacks), SCENARIO(a_host_that_switches_stacks_works),
          SCENARIO(eight_threads_may_start_it_at_once), SCENARIO(sixty_four_threads_use_all_functions),
          SCENARIO(shutdown_while_others_call_is_safe), SCENARIO(cancelled_threads_leave_no_lock_behind),
          SCENARIO(short_lived_threads_leave_nothing_behind),
          SCENARIO(many_calls_leave_nothing_behind), SCENARIO(handlers_run_on_threads_of_the_host),
          SCENARIO(a_log_callback_may_call_libmaze),
          SCENARIO(a_slow_log_callback_holds_back_nobody_and_is_waited_for),
          SCENARIO(exit_from_a_log_callback_is_clean), SCENARIO(exit_while_threads_call_is_clean),
          SCENARIO(exit_during_the_start_is_clean),
          SCENARIO(threads_that_are_cancelled_at_any_instruction_leave_no_lock_behind))
