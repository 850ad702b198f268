/* A process that may have little of what the library needs. */
#define _GNU_SOURCE /* for setresuid() */
#include "check.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const IntentFFI story = {.raw_input = "Tell a story."};

static void limit(int what, rlim_t most)
{
    const struct rlimit limits = {most, most};
    CHECK(setrlimit(what, &limits) == 0);
}

static rlim_t address_space_in_use(void)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void too_little_address_space_for_the_engine_is_told(void)
{
    limit(RLIMIT_AS, (rlim_t)400 << 20);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "MiB of address space");
    CHECK_FAILS(maze_health_check(), MAZE_ENGINE_UNAVAILABLE, "MiB of address space");
}

static void threads_that_cannot_be_had_are_told(void)
{
    setenv("MODAL_ENDPOINT", "http://127.0.0.1:1", 1);
    setenv("MAZE_DIALECT", "maze", 1);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "connection refused");
    IntentFFI intents[2] = {story, story};
    GenerationResultFFI *results[2];
    limit(RLIMIT_AS, address_space_in_use() + ((rlim_t)4 << 20)); /* a stack takes 8 MiB */
    CHECK(maze_generate_batch(intents, 2, NULL, 0, NULL, results) == MAZE_OUT_OF_MEMORY);
    CHECK_FAILS(results[0], MAZE_OUT_OF_MEMORY, "out of memory, threads or open files");
    CHECK_FAILS(results[1], MAZE_OUT_OF_MEMORY, "out of memory, threads or open files");
}

static void open_files_that_cannot_be_had_are_told(void)
{
    CHECK_SUCCEEDS(maze_list_models());
    limit(RLIMIT_NOFILE, 3);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "Too many open files");
    CHECK_FAILS(maze_list_models(), MAZE_ENGINE_UNAVAILABLE, "Too many open files");
}

static void a_long_path_for_temporary_files_serves(void)
{
    char folder[256] = "/tmp/maze-a-name-that-leaves-no-room-for-the-address-of-a-socket-which-has-108-bytes-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    setenv("TMPDIR", folder, 1);
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 4;
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
    CHECK(rmdir(folder) == 0);
}

/* ------------------------------------------------------------------------------------------- limits of any number */

static void limit_for_now(int what, rlim_t now)
{
    struct rlimit limits;
    CHECK(getrlimit(what, &limits) == 0);
    limits.rlim_cur = now < limits.rlim_max ? now : limits.rlim_max;
    CHECK(setrlimit(what, &limits) == 0);
}

/* A right answer (nothing listens where the service should be), or an error that names what was short. */
static void check_right_or_told(GenerationResultFFI *result, const char *short_of)
{
    MazeStatus status = maze_result_status(result);
    bool right = result->success ||
                 (status == MAZE_ENGINE_UNAVAILABLE && strstr(result->error, "connection refused") != NULL);
    bool told = short_of != NULL && (status == MAZE_OUT_OF_MEMORY || status == MAZE_ENGINE_UNAVAILABLE) &&
                strstr(result->error, short_of) != NULL;
    if (!right && !told)
        fprintf(stderr, "%s %s\n", maze_status_name(status), result->error);
    CHECK(right || told);
    maze_free_result(result);
}

static void check_status_right_or_told(MazeStatus status, const char *short_of)
{
    CHECK(status == MAZE_OK || (short_of != NULL && status == MAZE_OUT_OF_MEMORY));
}

/* `short_of` is what the errors have to name; NULL where nothing is short. */
static void check_every_function(const char *short_of)
{
    static const char *const schema = "{\"type\":\"string\",\"format\":\"email\"}";
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
    IntentFFI intents[2] = {story, story};
    GenerationResultFFI *results[2];
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.timeout_ms = 3000;
    check_right_or_told(maze_compile_constraints(&constraint, 1, NULL, NULL), short_of);
    check_right_or_told(maze_validate("\"a@b.c\"", 7, &constraint, 1, NULL, NULL), short_of);
    check_right_or_told(maze_generate_with(&story, NULL, 0, &options), short_of);
    maze_generate_batch(intents, 2, NULL, 0, &options, results);
    check_right_or_told(results[0], short_of);
    check_right_or_told(results[1], short_of);
    check_right_or_told(maze_health_check(), short_of);
    check_right_or_told(maze_list_models(), short_of);
    check_status_right_or_told(maze_cache_stats(&stats), short_of);
    check_status_right_or_told(maze_clear_cache(), short_of);
    maze_free_result((GenerationResultFFI *)(void *)&stats);
    maze_shutdown();
    check_right_or_told(maze_init(NULL), short_of);
    maze_shutdown();
}

/* In a process of its own: under the limit, at once or after the start, and when it is raised again. */
static void check_limit(int what, rlim_t now, bool started, const char *short_of)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(100);
        struct rlimit before;
        CHECK(getrlimit(what, &before) == 0);
        if (started)
            CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
        limit_for_now(what, now);
        check_every_function(short_of);
        limit_for_now(what, before.rlim_cur);
        check_every_function(NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        fprintf(stderr, "limit %d at %lu, started %d: %x\n", what, (unsigned long)now, started, (unsigned)status);
    CHECK(status == 0);
}

static void use_service_that_is_not_there(void)
{
    setenv("MODAL_ENDPOINT", "http://127.0.0.1:1", 1);
    setenv("MAZE_DIALECT", "maze", 1);
}

static void any_limit_of_open_files_at_the_first_call_will_do_or_is_told(void)
{
    use_service_that_is_not_there();
    for (rlim_t now = 0; now <= 40; now += now < 12 ? 1 : 7)
        check_limit(RLIMIT_NOFILE, now, false, "open files");
}

static void any_limit_of_open_files_later_will_do_or_is_told(void)
{
    use_service_that_is_not_there();
    for (rlim_t now = 0; now <= 40; now += now < 12 ? 1 : 7)
        check_limit(RLIMIT_NOFILE, now, true, "open files");
}

static void every_call_that_needs_a_file_more_says_so_with_the_same_status(void)
{
    use_service_that_is_not_there();
    CHECK_FAILS(maze_health_check(), MAZE_ENGINE_UNAVAILABLE, "connection refused");
    limit_for_now(RLIMIT_NOFILE, 3);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_OUT_OF_MEMORY, "open files");
    CHECK_FAILS(maze_list_models(), MAZE_OUT_OF_MEMORY, "open files");
    CHECK_FAILS(maze_health_check(), MAZE_OUT_OF_MEMORY, "open files");
}

/* Root may have any number of threads; the capability to read is kept, as the environment may be root's alone. */
static void become_somebody_who_has_limits(void)
{
    enum { SOMEBODY = 54321 };
    struct __user_cap_header_struct version = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct only_reading[2] = {{.effective = 1 << CAP_DAC_OVERRIDE,
                                                      .permitted = 1 << CAP_DAC_OVERRIDE,
                                                      .inheritable = 1 << CAP_DAC_OVERRIDE}};
    if (geteuid() != 0)
        return;
    if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setresuid(SOMEBODY, SOMEBODY, SOMEBODY) != 0 ||
        syscall(SYS_capset, &version, only_reading) != 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0) != 0)
        SKIP("root cannot become another here");
}

static void any_limit_of_threads_will_do_or_is_told(void)
{
    use_service_that_is_not_there();
    become_somebody_who_has_limits();
    for (rlim_t now = 2; now <= 8; now++) {
        check_limit(RLIMIT_NPROC, now, false, "thread");
        check_limit(RLIMIT_NPROC, now, true, "thread");
    }
}

static void any_size_of_stacks_will_do(void)
{
    use_service_that_is_not_there();
    for (rlim_t kib = 16; kib <= 4096; kib *= 4)
        for (int started = 0; started < 2; started++)
            check_limit(RLIMIT_STACK, kib << 10, started, NULL);
}

static void files_of_no_size_will_do(void)
{
    use_service_that_is_not_there();
    check_limit(RLIMIT_FSIZE, 0, false, NULL);
    check_limit(RLIMIT_FSIZE, 0, true, NULL);
}

/* ------------------------------------------------------------------------------------------ limits of the engine */

static void generate_a_little(void)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 4;
    CHECK_SUCCEEDS(maze_generate_with(&story, NULL, 0, &options));
}

static void the_engine_gets_stacks_of_a_usual_size(void)
{
    limit_for_now(RLIMIT_STACK, 16 << 10);
    generate_a_little();
}

static void stacks_that_the_engine_cannot_have_are_told(void)
{
    CHECK_SUCCEEDS(maze_list_models());
    limit(RLIMIT_STACK, 64 << 10);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "RLIMIT_STACK");
}

static void open_files_that_the_engine_cannot_have_are_told(void)
{
    limit(RLIMIT_NOFILE, 10);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_ENGINE_UNAVAILABLE, "RLIMIT_NOFILE");
}

static void threads_that_the_engine_cannot_have_are_told(void)
{
    become_somebody_who_has_limits();
    CHECK_SUCCEEDS(maze_list_models());
    struct rlimit limits;
    CHECK(getrlimit(RLIMIT_NPROC, &limits) == 0);
    for (rlim_t now = 1; now < 10; now += 2) {
        limit_for_now(RLIMIT_NPROC, now);
        GenerationResultFFI *result = maze_generate(&story, NULL, 0);
        CHECK(maze_result_status(result) == MAZE_OUT_OF_MEMORY || maze_result_status(result) == MAZE_ENGINE_UNAVAILABLE);
        CHECK(strstr(result->error, "ulimit -u") != NULL);
        maze_free_result(result);
        maze_shutdown();
    }
    limit_for_now(RLIMIT_NPROC, limits.rlim_cur);
    generate_a_little();
}

static void the_engine_needs_no_files_of_any_size(void)
{
    limit(RLIMIT_FSIZE, 0);
    generate_a_little();
}

static void a_model_with_a_name_that_no_file_can_have_is_told(void)
{
    char name[302];
    memset(name, 'x', sizeof name - 1);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    setenv("MAZE_LOCAL_MODEL", name, 1);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_CONFIGURATION, "File name too long");
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_CONFIGURATION, "File name too long");
    maze_shutdown();
    char folder[] = "/tmp/maze-gone-XXXXXX";
    CHECK(mkdtemp(folder) != NULL && chdir(folder) == 0 && rmdir(folder) == 0);
    setenv("MAZE_LOCAL_MODEL", "relative.gguf", 1);
    CHECK_FAILS(maze_generate(&story, NULL, 0), MAZE_CONFIGURATION, "relative.gguf");
    CHECK_FAILS(maze_list_models(), MAZE_CONFIGURATION, "relative.gguf");
}

static void limits_that_a_sandbox_hides_are_not_needed(void)
{
    struct sock_filter no_limits[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_prlimit64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog filter = {sizeof no_limits / sizeof no_limits[0], no_limits};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    generate_a_little();
}

SCENARIOS(SCENARIO(too_little_address_space_for_the_engine_is_told), SCENARIO(threads_that_cannot_be_had_are_told),
          SCENARIO(open_files_that_cannot_be_had_are_told), SCENARIO(a_long_path_for_temporary_files_serves),
          SCENARIO(any_limit_of_open_files_at_the_first_call_will_do_or_is_told),
          SCENARIO(any_limit_of_open_files_later_will_do_or_is_told),
          SCENARIO(every_call_that_needs_a_file_more_says_so_with_the_same_status),
          SCENARIO(any_limit_of_threads_will_do_or_is_told),
          SCENARIO(any_size_of_stacks_will_do), SCENARIO(files_of_no_size_will_do),
          SCENARIO(the_engine_gets_stacks_of_a_usual_size), SCENARIO(stacks_that_the_engine_cannot_have_are_told),
          SCENARIO(open_files_that_the_engine_cannot_have_are_told),
          SCENARIO(threads_that_the_engine_cannot_have_are_told), SCENARIO(the_engine_needs_no_files_of_any_size),
          SCENARIO(a_model_with_a_name_that_no_file_can_have_is_told),
          SCENARIO(limits_that_a_sandbox_hides_are_not_needed))
