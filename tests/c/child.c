/* The process of the embedded engine: what its host sees of it (nothing), how both end, and what replaces it. */
#define _GNU_SOURCE /* for memmem(), pipe2() */
#include "check.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const IntentFFI story = {.raw_input = "Tell a long story."};
static const char *const letters = "^[a-z ]{2000,}$";

/* ------------------------------------------------------------------------------------------ finding the engine */

static char mark[64]; /* a variable of this test's environment, which the engine inherits */

static void set_mark(void)
{
    snprintf(mark, sizeof mark, "MAZE_TEST_MARK=%d-%ld", (int)getpid(), (long)time(NULL));
    putenv(mark);
}

static bool file_holds(const char *path, const char *text)
{
    char content[65536];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t len = read(file, content, sizeof content - 1);
    close(file);
    return len > 0 && memmem(content, (size_t)len, text, strlen(text)) != NULL;
}

/* The processes with our mark; zombies have no environment any more, and are looked for by name. */
static size_t marked(pid_t *found, size_t most)
{
    size_t count = 0;
    DIR *processes = opendir("/proc");
    CHECK(processes != NULL);
    for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        if (isdigit((unsigned char)entry->d_name[0]) && file_holds(path, mark) && count < most)
            found[count++] = atoi(entry->d_name);
    }
    closedir(processes);
    return count;
}

static pid_t parent_of(pid_t pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    int parent = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "PPid: %d", &parent);
    if (status != NULL)
        fclose(status);
    return parent;
}

/* The engine is the process whose parent has the mark as well; 0 if there is none. */
static pid_t engine_pid(void)
{
    pid_t found[8];
    size_t count = marked(found, 8);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (parent_of(found[i]) == found[j])
                return found[i];
    return 0;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* "Within a second" is the promise; a test on a busy machine waits for ten. */
static void check_gone(void)
{
    pid_t found[8];
    for (int waited = 0; marked(found, 8) > 0; waited++) {
        CHECK(waited < 1000);
        pause_ms(10);
    }
}

/* ---------------------------------------------------------------------------------------------- using the engine */

static MazeOptionsFFI options_for(uint32_t max_tokens, uint32_t timeout_ms)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = max_tokens;
    options.timeout_ms = timeout_ms;
    return options;
}

static void generate(void)
{
    MazeOptionsFFI options = options_for(4, 120000);
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
}

static atomic_int pieces;

static bool count_piece(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    pieces++;
    return true;
}

static void *generate_long(void *result)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    MazeOptionsFFI options = options_for(2000, 120000);
    *(GenerationResultFFI **)result = maze_generate_stream(&story, &constraint, 1, &options, count_piece, NULL);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ what is seen */

static atomic_int children_ended;

static void count_child(int number)
{
    (void)number;
    children_ended++;
}

static void wait_and_sigchld_never_see_it(void)
{
    signal(SIGCHLD, count_child);
    pid_t own = fork();
    if (own == 0)
        _exit(7);
    int status;
    CHECK(waitpid(-1, &status, 0) == own && WEXITSTATUS(status) == 7);
    generate();
    CHECK(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
    CHECK(wait(&status) == -1 && errno == ECHILD);
    maze_shutdown();
    CHECK(wait(&status) == -1 && errno == ECHILD);
    CHECK(children_ended == 1);
}

static void it_has_none_of_the_files_of_the_host(void)
{
    set_mark();
    int inherited = open("/", O_RDONLY); /* without O_CLOEXEC */
    CHECK(inherited >= 0);
    generate();
    pid_t found[8];
    size_t count = marked(found, 8);
    CHECK(count == 2);
    for (size_t i = 0; i < count; i++) {
        char path[64], link[300], target[300];
        snprintf(path, sizeof path, "/proc/%d/fd", (int)found[i]);
        DIR *files = opendir(path);
        CHECK(files != NULL);
        for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
            snprintf(link, sizeof link, "%.60s/%.200s", path, entry->d_name);
            ssize_t len = readlink(link, target, sizeof target - 1);
            if (len > 0) {
                target[len] = '\0';
                CHECK(strcmp(target, "/") != 0);
                CHECK(atoi(entry->d_name) > 2 || strcmp(target, "/dev/null") == 0 || strncmp(target, "pipe:", 5) == 0);
            }
        }
        closedir(files);
        CHECK(getsid(found[i]) != getsid(0) && getpgid(found[i]) != getpgid(0));
        CHECK(getpriority(PRIO_PROCESS, (id_t)found[i]) == getpriority(PRIO_PROCESS, 0));
    }
}

static void ctrl_c_in_the_terminal_leaves_it_alone(void)
{
    set_mark();
    setpgid(0, 0);
    signal(SIGINT, SIG_IGN);
    generate();
    pid_t before = engine_pid();
    CHECK(kill(0, SIGINT) == 0);
    generate();
    CHECK(before != 0 && engine_pid() == before);
}

static void the_keys_of_services_are_not_in_its_environment(void)
{
    set_mark();
    setenv("MODAL_API_KEY", "sk-host-secret", 1);
    setenv("MODAL_SECRET", "ws-host-secret", 1);
    generate();
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)engine_pid());
    CHECK(file_holds(path, mark) && !file_holds(path, "host-secret"));
}

/* ------------------------------------------------------------------------------------------------ the host ends */

enum { LOADING = 1, BESIDE_A_FORKED_CHILD = 2 };

/* Run a host in a child process until it has an engine, and end it as `end` says. */
static void check_that_it_ends(void (*end)(pid_t host), int circumstances)
{
    set_mark();
    int ready[2];
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t host = fork();
    if (host == 0) {
        GenerationResultFFI *unused;
        pthread_t thread;
        if (circumstances & LOADING)
            CHECK(pthread_create(&thread, NULL, generate_long, &unused) == 0);
        else
            generate();
        while (engine_pid() == 0)
            pause_ms(1);
        if ((circumstances & BESIDE_A_FORKED_CHILD) && fork() == 0) {
            pause_ms(15000);
            _exit(0);
        }
        CHECK(write(ready[1], "x", 1) == 1);
        end(0);
        for (;;)
            pause();
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(!(circumstances & LOADING) || engine_pid() != 0);
    end(host);
    int status;
    CHECK(waitpid(host, &status, 0) == host);
    check_gone();
}

static void by_sigkill(pid_t host)
{
    if (host != 0)
        kill(host, SIGKILL);
}

static void by__exit(pid_t host)
{
    if (host == 0)
        _exit(0);
}

static void by_exit(pid_t host)
{
    if (host == 0)
        exit(0);
}

static void by_exec(pid_t host)
{
    if (host == 0) {
        unsetenv("MAZE_TEST_MARK"); /* the other program is not looked for */
        execl("/bin/sh", "sh", "-c", "exec sleep 60", (char *)NULL);
    } else {
        check_gone(); /* while the other program runs */
        kill(host, SIGKILL);
    }
}

static void it_is_gone_after_sigkill(void)
{
    check_that_it_ends(by_sigkill, 0);
}

static void it_is_gone_after_sigkill_while_it_loads(void)
{
    check_that_it_ends(by_sigkill, LOADING);
}

static void it_is_gone_after_sigkill_beside_a_forked_child(void)
{
    check_that_it_ends(by_sigkill, LOADING | BESIDE_A_FORKED_CHILD);
}

static void it_is_gone_after_exit(void)
{
    check_that_it_ends(by_exit, 0);
}

static void it_is_gone_after__exit_while_it_loads(void)
{
    check_that_it_ends(by__exit, LOADING);
}

static void it_is_gone_after_exec(void)
{
    check_that_it_ends(by_exec, 0);
}

static void shutdown_ends_it_and_the_next_call_starts_another(void)
{
    set_mark();
    generate();
    pid_t before = engine_pid();
    maze_shutdown();
    check_gone();
    generate();
    CHECK(before != 0 && engine_pid() != 0 && engine_pid() != before);
}

static void it_is_gone_when_its_supervisor_is_killed(void)
{
    set_mark();
    generate();
    CHECK(kill(parent_of(engine_pid()), SIGKILL) == 0);
    check_gone();
    pause_ms(100); /* its files are closed a moment after its memory is gone */
    generate();
}

static void it_is_gone_after_sigkill_though_its_supervisor_is_stopped(void)
{
    set_mark();
    int ready[2];
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t host = fork();
    if (host == 0) {
        generate();
        CHECK(write(ready[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
    pid_t supervisor = parent_of(engine_pid());
    CHECK(supervisor > 1 && kill(supervisor, SIGSTOP) == 0 && kill(host, SIGKILL) == 0);
    int status;
    CHECK(waitpid(host, &status, 0) == host);
    for (int waited = 0; engine_pid() != 0; waited++) {
        CHECK(waited < 1000);
        pause_ms(10);
    }
    CHECK(kill(supervisor, SIGCONT) == 0);
    check_gone();
}

/* --------------------------------------------------------------------------------------------- the engine fails */

static void one_that_is_killed_in_a_generation_is_told_and_replaced(void)
{
    set_mark();
    generate();
    GenerationResultFFI *result;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, generate_long, &result) == 0);
    while (pieces == 0) /* without a text, the call would be made once more */
        pause_ms(10);
    CHECK(kill(engine_pid(), SIGKILL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(strstr(result->error, ".gguf") != NULL && strstr(result->error, "starts a new one") != NULL);
    CHECK_FAILS(result, MAZE_ENGINE_UNAVAILABLE, "SIGKILL");
    generate();
}

static void one_that_is_killed_between_calls_is_replaced_without_a_word(void)
{
    set_mark();
    generate();
    for (int i = 0; i < 2; i++) {
        pid_t before = engine_pid();
        CHECK(before != 0 && kill(before, SIGKILL) == 0);
        generate();
        CHECK(engine_pid() != before);
    }
}

static atomic_bool waited_enough;

static void *wait_for_clones(void *unused)
{
    (void)unused;
    while (!waited_enough)
        waitpid(-1, NULL, __WALL | WNOHANG);
    return NULL;
}

static void it_starts_while_the_host_waits_for_its_clones(void)
{
    maze_free_result(maze_list_models());
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, wait_for_clones, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        generate();
        maze_shutdown();
    }
    waited_enough = true;
    for (size_t i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void the_limit_of_open_files_is_that_of_the_host(void)
{
    maze_free_result(maze_list_models());
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 4;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK_FAILS(maze_generate_with(&story, NULL, 0, NULL), MAZE_OUT_OF_MEMORY, "open files");
    limit.rlim_cur = 10;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    generate();
}

static void one_that_hangs_is_replaced(void)
{
    set_mark();
    generate();
    pid_t before = engine_pid();
    CHECK(kill(before, SIGSTOP) == 0);
    MazeOptionsFFI options = options_for(4, 1000);
    CHECK_FAILS(maze_generate_with(&story, NULL, 0, &options), MAZE_TIMED_OUT, "within 1000 ms");
    generate();
    CHECK(engine_pid() != before);
}

static _Atomic(bool) storm_is_over;

static void *storm(void *unused)
{
    for (uint32_t timeout_ms = 5; !atomic_load(&storm_is_over); timeout_ms = timeout_ms % 10 + 5) {
        MazeOptionsFFI options = options_for(200, timeout_ms);
        maze_free_result(maze_generate_with(&story, NULL, 0, &options));
    }
    return unused;
}

static void one_that_met_a_storm_of_short_deadlines_serves_at_once(void)
{
    set_mark();
    generate();
    pid_t before = engine_pid();
    pthread_t threads[16];
    for (size_t i = 0; i < 16; i++)
        CHECK(pthread_create(&threads[i], NULL, storm, NULL) == 0);
    sleep(10);
    atomic_store(&storm_is_over, true);
    for (size_t i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    MazeOptionsFFI options = options_for(4, 10000);
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
    CHECK(engine_pid() == before);
}

static void where_exec_is_forbidden_the_error_says_so(void)
{
    struct sock_filter no_exec[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_execve, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof no_exec / sizeof no_exec[0], no_exec};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    GenerationResultFFI *result = maze_generate_with(&story, NULL, 0, NULL);
    CHECK(strstr(result->error, "MODAL_ENDPOINT") != NULL);
    CHECK_FAILS(result, MAZE_ENGINE_UNAVAILABLE, "Permission denied");
}

SCENARIOS(SCENARIO(wait_and_sigchld_never_see_it), SCENARIO(it_has_none_of_the_files_of_the_host),
          SCENARIO(ctrl_c_in_the_terminal_leaves_it_alone), SCENARIO(the_keys_of_services_are_not_in_its_environment),
          SCENARIO(it_is_gone_after_sigkill), SCENARIO(it_is_gone_after_sigkill_while_it_loads),
          SCENARIO(it_is_gone_after_sigkill_beside_a_forked_child), SCENARIO(it_is_gone_after_exit),
          SCENARIO(it_is_gone_after__exit_while_it_loads), SCENARIO(it_is_gone_after_exec),
          SCENARIO(shutdown_ends_it_and_the_next_call_starts_another),
          SCENARIO(it_is_gone_when_its_supervisor_is_killed),
          SCENARIO(it_is_gone_after_sigkill_though_its_supervisor_is_stopped),
          SCENARIO(one_that_is_killed_in_a_generation_is_told_and_replaced),
          SCENARIO(one_that_is_killed_between_calls_is_replaced_without_a_word),
          SCENARIO(it_starts_while_the_host_waits_for_its_clones),
          SCENARIO(the_limit_of_open_files_is_that_of_the_host), SCENARIO(one_that_hangs_is_replaced),
          SCENARIO(one_that_met_a_storm_of_short_deadlines_serves_at_once),
          SCENARIO(where_exec_is_forbidden_the_error_says_so))
