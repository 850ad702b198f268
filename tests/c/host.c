/* What libmaze must leave as it was in the process that it lives in. */
#define _GNU_SOURCE /* for feenableexcept(), CLONE_NEWPID */
#include "check.h"

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const letters = "^[a-z]+$";

/* Use every function that needs no engine, well and badly. */
static void use_libmaze(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    maze_shutdown();
    CHECK_SUCCEEDS(maze_init(NULL));
    CHECK_SUCCEEDS(maze_compile_constraints(&constraint, 1, NULL, NULL));
    CHECK_SUCCEEDS(maze_validate("abc", 3, &constraint, 1, NULL, NULL));
    CHECK_FAILS(maze_validate("ABC", 3, &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "constraints[0]");
    CHECK_FAILS(maze_generate(NULL, NULL, 0), MAZE_INVALID_ARGUMENT, "intent");
    CHECK(maze_cache_stats(&stats) == MAZE_OK);
    CHECK(maze_clear_cache() == MAZE_OK);
    maze_shutdown();
}

static void the_locale_stays(void)
{
    static const char *const locales[] = {"C", "C.UTF-8"};
    for (size_t i = 0; i < 2; i++) {
        CHECK(setlocale(LC_ALL, locales[i]) != NULL);
        use_libmaze();
        CHECK(strcmp(setlocale(LC_ALL, NULL), locales[i]) == 0);
    }
}

static void on_signal(int number)
{
    (void)number;
}

static void signal_handlers_and_masks_stay(void)
{
    enum { FIRST = 1, LAST = 64, RESTORER = 0x04000000 /* the C library sets it whenever it sets a handler */ };
    struct sigaction before[LAST + 1], after;
    sigset_t mask_before, mask_after;
    struct sigaction own = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &own, NULL) == 0);
    sigemptyset(&mask_before);
    sigaddset(&mask_before, SIGUSR2);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask_before, NULL) == 0);
    for (int i = FIRST; i <= LAST; i++)
        if (sigaction(i, NULL, &before[i]) != 0)
            before[i].sa_handler = NULL;
    use_libmaze();
    for (int i = FIRST; i <= LAST; i++)
        if (sigaction(i, NULL, &after) == 0)
            CHECK(after.sa_handler == before[i].sa_handler &&
                  (after.sa_flags & ~RESTORER) == (before[i].sa_flags & ~RESTORER));
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_after) == 0);
    for (int i = FIRST; i <= LAST; i++)
        CHECK(sigismember(&mask_after, i) == (i == SIGUSR2));
}

static void the_environment_stays(void)
{
    char *before[4096];
    size_t len = 0;
    for (; environ[len] != NULL; len++)
        CHECK(len < 4095 && (before[len] = strdup(environ[len])) != NULL);
    char **where = environ;
    use_libmaze();
    CHECK(environ == where);
    for (size_t i = 0; i < len; i++) {
        CHECK(strcmp(environ[i], before[i]) == 0);
        free(before[i]);
    }
    CHECK(environ[len] == NULL);
}

static void folder_and_umask_stay(void)
{
    char before[4096], after[4096];
    CHECK(getcwd(before, sizeof before) != NULL);
    umask(0123);
    use_libmaze();
    CHECK(getcwd(after, sizeof after) != NULL);
    CHECK(strcmp(before, after) == 0);
    CHECK(umask(0) == 0123);
}

static void errno_stays(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    errno = 1234; /* the first call starts Python */
    GenerationResultFFI *result = maze_compile_constraints(&constraint, 1, NULL, NULL);
    CHECK(errno == 1234);
    CHECK_SUCCEEDS(result);
    errno = 1234;
    result = maze_generate(NULL, NULL, 0);
    CHECK(errno == 1234);
    maze_free_result(result);
    CHECK(errno == 1234);
}

static void it_works_without_standard_streams(void)
{
    close(0);
    close(1);
    close(2);
    ConstraintIRFFI constraint = one_regex(&letters);
    GenerationResultFFI *result = maze_compile_constraints(&constraint, 1, NULL, NULL);
    if (!result->success)
        exit(1);
    maze_free_result(result);
}

static void nothing_is_written_to_a_protocol_on_stdout(void)
{
    /* Buffered by the host before, to be flushed by it after: nothing may come between. */
    int ends[2];
    CHECK(pipe(ends) == 0);
    int stdout_before = dup(1);
    CHECK(dup2(ends[1], 1) == 1);
    printf("host ");
    use_libmaze();
    printf("protocol");
    fflush(stdout);
    CHECK(dup2(stdout_before, 1) == 1);
    close(ends[1]);
    char text[64] = "";
    CHECK(read(ends[0], text, sizeof text - 1) == (ssize_t)strlen("host protocol"));
    CHECK(strcmp(text, "host protocol") == 0);
}

/* ---------------------------------------------------------------------------------------- fork */

static int status_in_child(void (*child)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(20); /* a deadlock must end the test */
        child();
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static GenerationResultFFI *result_of_parent;

static void every_call_fails(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    IntentFFI intent = {.raw_input = "x"};
    GenerationResultFFI *results[1];
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    CHECK_FAILS(maze_compile_constraints(&constraint, 1, NULL, NULL), MAZE_FORKED, "forked");
    CHECK_FAILS(maze_generate(&intent, NULL, 0), MAZE_FORKED, "forked");
    CHECK_FAILS(maze_generate_stream(&intent, NULL, 0, NULL, NULL, NULL), MAZE_FORKED, "forked");
    CHECK_FAILS(maze_validate("x", 1, NULL, 0, NULL, NULL), MAZE_FORKED, "forked");
    CHECK_FAILS(maze_init(NULL), MAZE_FORKED, "forked");
    CHECK_FAILS(maze_health_check(), MAZE_FORKED, "forked");
    CHECK_FAILS(maze_list_models(), MAZE_FORKED, "forked");
    CHECK(maze_generate_batch(&intent, 1, NULL, 0, NULL, results) == MAZE_FORKED);
    CHECK_FAILS(results[0], MAZE_FORKED, "forked");
    CHECK(maze_cache_stats(&stats) == MAZE_FORKED);
    CHECK(maze_clear_cache() == MAZE_FORKED);
    CHECK(maze_result_status(result_of_parent) == MAZE_FORKED);
    CHECK(result_of_parent->success);
    maze_free_result(result_of_parent);
    maze_set_log_callback(NULL, NULL);
    maze_shutdown();
}

static void a_child_after_the_start_gets_clear_errors(void)
{
    result_of_parent = maze_compile_constraints(NULL, 0, NULL, NULL);
    CHECK(status_in_child(every_call_fails) == 0);
    CHECK_SUCCEEDS(result_of_parent);
    use_libmaze();
}

/* A child that shares the memory, as that of vfork() does; glibc's vfork() cannot be called by a sanitizer. */
static int call_in_a_child_that_shares_memory(void *unused)
{
    (void)unused;
    CHECK_FAILS(maze_compile_constraints(NULL, 0, NULL, NULL), MAZE_FORKED, "vfork");
    maze_shutdown();
    return 0;
}

static void share_memory_with_a_child(void)
{
    static char stack[1 << 20] __attribute__((aligned(64)));
    int status;
    pid_t pid = clone(call_in_a_child_that_shares_memory, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_child_that_shares_the_memory_of_its_parent_leaves_it_alone(void)
{
    share_memory_with_a_child(); /* with the first call of all */
    CHECK(status_in_child(share_memory_with_a_child) == 0);
    use_libmaze();
    share_memory_with_a_child();
    use_libmaze();
}

static void *keep_compiling(void *stop)
{
    while (!*(_Atomic(bool) *)stop) {
        ConstraintIRFFI constraint = one_regex(&letters);
        maze_free_result(maze_compile_constraints(&constraint, 1, NULL, NULL));
    }
    return NULL;
}

static void children_do_not_hang_while_other_threads_call(void)
{
    _Atomic(bool) stop = false;
    pthread_t threads[3];
    result_of_parent = maze_compile_constraints(NULL, 0, NULL, NULL);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, keep_compiling, (void *)(size_t)&stop) == 0);
    for (int i = 0; i < 40; i++)
        CHECK(status_in_child(every_call_fails) == 0);
    stop = true;
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* In a new namespace every first process has the pid 1; elsewhere, pids come around. */
static pid_t fork_with_pid_1(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0 && errno == EPERM)
        SKIP("namespaces of processes are not permitted here");
    CHECK(pid >= 0);
    return pid;
}

static void fork_one_with_the_same_pid(void)
{
    result_of_parent = maze_compile_constraints(NULL, 0, NULL, NULL);
    pid_t pid = fork_with_pid_1();
    if (pid == 0) {
        alarm(20);
        CHECK(getpid() == 1);
        every_call_fails();
        pid_t grandchild = fork_with_pid_1();
        if (grandchild == 0) {
            CHECK(getpid() == 1);
            every_call_fails();
            exit(0);
        }
        int status;
        CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_SUCCEEDS(result_of_parent);
    use_libmaze();
    exit(0);
}

static void a_descendant_that_has_the_pid_of_the_first_gets_clear_errors(void)
{
    pid_t pid = fork_with_pid_1();
    if (pid == 0)
        fork_one_with_the_same_pid();
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_child_before_the_start_works(void)
{
    CHECK(status_in_child(use_libmaze) == 0);
    use_libmaze();
}

static void exec_itself(void)
{
    execl("/proc/self/exe", "host", "errno_stays", (char *)NULL);
    _exit(9);
}

static void a_child_that_execs_works(void)
{
    use_libmaze();
    CHECK(status_in_child(exec_itself) == 0);
}

static void the_floating_point_environment_stays_and_changes_nothing(void)
{
    static const IntentFFI intent = {.raw_input = "Tell a story."};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 4;
    CHECK(feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW) == 0);
    CHECK(fesetround(FE_UPWARD) == 0);
    use_libmaze();
    CHECK_SUCCEEDS(maze_generate_with(&intent, NULL, 0, &options));
    CHECK(fegetexcept() == (FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW));
    CHECK(fegetround() == FE_UPWARD);
}

SCENARIOS(SCENARIO(the_locale_stays), SCENARIO(signal_handlers_and_masks_stay), SCENARIO(the_environment_stays),
          SCENARIO(folder_and_umask_stay), SCENARIO(errno_stays), SCENARIO(it_works_without_standard_streams),
          SCENARIO(nothing_is_written_to_a_protocol_on_stdout),
          SCENARIO(a_child_after_the_start_gets_clear_errors),
          SCENARIO(a_child_that_shares_the_memory_of_its_parent_leaves_it_alone),
          SCENARIO(children_do_not_hang_while_other_threads_call),
          SCENARIO(a_descendant_that_has_the_pid_of_the_first_gets_clear_errors), SCENARIO(a_child_before_the_start_works),
          SCENARIO(a_child_that_execs_works), SCENARIO(the_floating_point_environment_stays_and_changes_nothing))
