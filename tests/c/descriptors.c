/* The descriptors of the host: which are never taken, and that none of ours is inherited by its programs. */
#define _GNU_SOURCE /* for pipe2() */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const letters = "^[a-z]+$";
static const IntentFFI story = {.raw_input = "Tell a story."};

static void check_works(GenerationResultFFI *result)
{
    if (!result->success)
        exit(3); /* stderr may be closed */
    maze_free_result(result);
}

static void compile(void)
{
    ConstraintIRFFI constraint = one_regex(&letters);
    check_works(maze_compile_constraints(&constraint, 1, NULL, NULL));
}

static void generate(void)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 8;
    check_works(maze_generate_with(&story, NULL, 0, &options));
}

static void use_engine(void)
{
    check_works(maze_health_check());
    check_works(maze_list_models());
    generate();
}

/* Without stderr: the line is the exit code. */
#define CHECK_QUIETLY(condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            _exit(__LINE__ % 256);                                                                                     \
    } while (0)

/* As if it were closed, but that nothing is opened there. */
static void check_held(int descriptor)
{
    char byte = 'x';
    struct stat found;
    errno = 0;
    CHECK_QUIETLY(write(descriptor, &byte, 1) == -1 && errno == EBADF);
    errno = 0;
    CHECK_QUIETLY(read(descriptor, &byte, 1) == -1 && errno == EBADF);
    CHECK_QUIETLY(fstat(descriptor, &found) == 0 && !S_ISSOCK(found.st_mode) && !S_ISFIFO(found.st_mode));
    CHECK_QUIETLY(fcntl(descriptor, F_GETFD) == FD_CLOEXEC);
}

static void close_standard(void)
{
    for (int i = 0; i < 3; i++)
        close(i);
}

static void check_all_held(void)
{
    for (int i = 0; i < 3; i++)
        check_held(i);
}

static void nothing_is_opened_in_the_place_of_closed_ones(void)
{
    close_standard();
    setenv("MAZE_LOG", "debug", 1); /* to a stderr that is none */
    compile();
    check_all_held();
    use_engine();
    check_all_held();
    CHECK_QUIETLY(printf("host\n") > 0 && fflush(stdout) == EOF);
}

static void one_alone_may_be_closed(void)
{
    for (int i = 0; i < 3; i++) {
        int kept = dup(i);
        close(i);
        compile();
        check_held(i);
        CHECK_QUIETLY(dup2(kept, i) == i);
        compile();
        CHECK_QUIETLY(fcntl(i, F_GETFD) == 0); /* what the host put there is left alone */
        close(kept);
    }
}

static void they_may_be_closed_between_calls(void)
{
    compile();
    close_standard();
    use_engine();
    check_all_held();
    close_standard();
    maze_shutdown();
    check_all_held();
    close_standard();
    maze_set_log_callback(NULL, NULL);
    use_engine();
    check_all_held();
}

static bool close_them(const char *text, size_t text_len, void *closed)
{
    (void)text, (void)text_len;
    if (!*(bool *)closed) {
        close_standard();
        *(bool *)closed = true;
    }
    compile();
    check_all_held();
    return true;
}

static void they_may_be_closed_in_a_callback(void)
{
    bool closed = false;
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 8;
    check_works(maze_generate_stream(&story, NULL, 0, &options, close_them, &closed));
    CHECK_QUIETLY(closed);
    check_all_held();
}

static void the_host_may_put_files_of_its_own_there(void)
{
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && ends[0] > 2);
    close_standard();
    use_engine();
    CHECK_QUIETLY(dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2);
    close(ends[1]);
    use_engine();
    maze_shutdown();
    compile();
    fprintf(stderr, "to ");
    printf("the host");
    fflush(stdout);
    char text[32] = "";
    CHECK_QUIETLY(read(ends[0], text, sizeof text - 1) == 11 && strcmp(text, "to the host") == 0);
    check_held(0);
}

static atomic_bool stop;

static void *open_and_close(void *unused)
{
    while (!stop) {
        int opened = open("/", O_RDONLY | O_CLOEXEC);
        CHECK_QUIETLY(opened >= 0);
        close(opened);
    }
    return unused;
}

static void other_threads_may_open_files_meanwhile(void)
{
    compile();
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, open_and_close, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        close_standard();
        compile();
    }
    stop = true;
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    compile(); /* what they had opened there is closed */
    check_all_held();
    CHECK_QUIETLY(fcntl(20, F_GETFD) == -1); /* nothing was left behind */
}

static void a_changed_root_has_no_dev_null(void)
{
    char folder[] = "/tmp/maze-root-XXXXXX";
    compile();
    CHECK(mkdtemp(folder) != NULL && chdir(folder) == 0 && rmdir(folder) == 0);
    if (chroot(".") != 0)
        SKIP("chroot() is not permitted here");
    close_standard();
    compile();
    check_all_held();
}

/* ------------------------------------------------------------------------------------------------ close-on-exec */

static bool of_host[1024];

enum { ALL, BUT_FILES };

/*
 * Look at every descriptor but those that the host has opened. Files that CPython's start and OpenSSL read (pyvenv.cfg,
 * openssl.cnf, certificates) are open without the flag for some microseconds.
 */
static void check_close_on_exec(int which)
{
    DIR *files = opendir("/proc/self/fd");
    CHECK(files != NULL);
    for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
        int descriptor = atoi(entry->d_name);
        char path[300], target[300] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%.200s", entry->d_name);
        int flags = fcntl(descriptor, F_GETFD);
        if (entry->d_name[0] == '.' || descriptor >= 1024 || flags == -1 || flags == FD_CLOEXEC || of_host[descriptor])
            continue;
        if (readlink(path, target, sizeof target - 1) < 0 && errno == ENOENT)
            continue; /* closed meanwhile */
        if (which == BUT_FILES && target[0] == '/')
            continue;
        fprintf(stderr, "%d is inherited: %s\n", descriptor, target);
        exit(1);
    }
    closedir(files);
}

static void *look_always(void *unused)
{
    while (!stop)
        check_close_on_exec(BUT_FILES);
    return unused;
}

static bool look(const char *text, size_t text_len, void *unused)
{
    (void)text, (void)text_len, (void)unused;
    check_close_on_exec(ALL);
    return true;
}

static void none_of_ours_is_inherited_by_programs_of_the_host(void)
{
    for (int i = 0; i < 1024; i++)
        of_host[i] = fcntl(i, F_GETFD) != -1;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, look_always, NULL) == 0);
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 8;
    for (int i = 0; i < 2; i++) {
        compile();
        use_engine();
        check_close_on_exec(ALL);
        IntentFFI intents[3] = {story, story, story};
        GenerationResultFFI *results[3];
        CHECK(maze_generate_batch(intents, 3, NULL, 0, &options, results) == MAZE_OK);
        for (size_t j = 0; j < 3; j++)
            maze_free_result(results[j]);
        check_works(maze_generate_stream(&story, NULL, 0, &options, look, NULL));
        maze_shutdown();
    }
    stop = true;
    pthread_join(thread, NULL);
    close(2); /* what holds it is no other */
    compile();
    CHECK_QUIETLY(fcntl(2, F_GETFD) == FD_CLOEXEC);
}

SCENARIOS(SCENARIO(nothing_is_opened_in_the_place_of_closed_ones), SCENARIO(one_alone_may_be_closed),
          SCENARIO(they_may_be_closed_between_calls), SCENARIO(they_may_be_closed_in_a_callback),
          SCENARIO(the_host_may_put_files_of_its_own_there), SCENARIO(other_threads_may_open_files_meanwhile),
          SCENARIO(a_changed_root_has_no_dev_null), SCENARIO(none_of_ours_is_inherited_by_programs_of_the_host))
