/*
 * A mixed load from THREADS threads for a while, every result of which is judged: the right text for its prompt, the
 * right status for its fault, and none later than its deadline and TOLERANCE_MS. Arguments: seconds, what is planted.
 *
 * Rounds of about 10 s, at least two: most of each at the service that MODAL_ENDPOINT names (soak.py, which meets each
 * prompt as the prompt says), with a shutdown in the middle of calls, and the rest with the embedded engine.
 */
#define _GNU_SOURCE /* a lock that prefers who writes */
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 16, TOLERANCE_MS = 2000 };
/*
 * What may be more at the end: connections and threads that are kept, than at the start; and memory, than in the middle,
 * when the caches are full (a third of the constraints are new ones).
 */
enum { MORE_DESCRIPTORS = 64, MORE_THREADS = 16, MORE_KIB = 32 << 10 };

/* A call reads it; to change the engine is to write it, before calls that come later. */
static pthread_rwlock_t engine = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static bool is_embedded;
static _Atomic(bool) over;
static _Atomic(unsigned) shutdowns, calls, faults, wrong, late, lines;
static bool leaks;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ------------------------------------------------------------------------------------------------ judging */

typedef struct Call {
    double began;
    unsigned shutdowns;
    uint32_t timeout_ms;
} Call;

static Call begin(uint32_t timeout_ms)
{
    return (Call){now_ms(), atomic_load(&shutdowns), timeout_ms};
}

static bool has_begun_again(const Call *call)
{
    return atomic_load(&shutdowns) != call->shutdowns || call->shutdowns % 2 == 1;
}

static void judge_time(const Call *call, const char *what)
{
    double took = now_ms() - call->began;
    atomic_fetch_add(&calls, 1);
    if (took > call->timeout_ms + TOLERANCE_MS) {
        atomic_fetch_add(&late, 1);
        printf("late: %s took %.0f ms of %u\n", what, took, call->timeout_ms);
    }
}

static void judge(const Call *call, const char *what, GenerationResultFFI *result, MazeStatus status, const char *code)
{
    judge_time(call, what);
    MazeStatus got = maze_result_status(result);
    bool was_cancelled = got == MAZE_CANCELLED && has_begun_again(call);
    if (!was_cancelled && (got != status || (code != NULL && strcmp(result->code, code) != 0))) {
        atomic_fetch_add(&wrong, 1);
        printf("wrong: %s: %s '%.60s' %s, not %s '%.60s'\n", what, maze_status_name(got), result->code,
               result->error ? result->error : "", maze_status_name(status), code ? code : "");
    }
    maze_free_result(result);
}

/* ------------------------------------------------------------------------------------------------ at the service */

typedef struct Fault {
    const char *name; /* what the prompt asks soak.py for */
    MazeStatus status;
    uint32_t timeout_ms;
} Fault;

static const Fault kinds[] = {
    {"reset", MAZE_ENGINE_UNAVAILABLE, 30000}, {"close", MAZE_ENGINE_UNAVAILABLE, 30000},
    {"cut", MAZE_ENGINE_UNAVAILABLE, 30000},   {"500", MAZE_ENGINE_UNAVAILABLE, 30000},
    {"429", MAZE_RATE_LIMITED, 30000},         {"400", MAZE_REQUEST_REJECTED, 30000},
    {"html", MAZE_BAD_RESPONSE, 30000},        {"stall", MAZE_TIMED_OUT, 200},
};

static MazeOptionsFFI options_for(uint32_t timeout_ms)
{
    MazeOptionsFFI options = MAZE_OPTIONS_INIT;
    options.max_tokens = 200;
    options.timeout_ms = timeout_ms;
    return options;
}

static void ask(const char *prompt)
{
    IntentFFI intent = {.raw_input = prompt};
    MazeOptionsFFI options = options_for(30000);
    Call call = begin(options.timeout_ms);
    judge(&call, prompt, maze_generate_with(&intent, NULL, 0, &options), MAZE_OK, prompt);
}

static void meet_a_fault(const char *prompt, const Fault *fault)
{
    IntentFFI intent = {.raw_input = prompt};
    MazeOptionsFFI options = options_for(fault->timeout_ms);
    Call call = begin(fault->timeout_ms);
    atomic_fetch_add(&faults, 1);
    judge(&call, prompt, maze_generate_with(&intent, NULL, 0, &options), fault->status,
          strcmp(fault->name, "cut") == 0 ? "par" : "");
}

static bool take(const char *text, size_t text_len, void *user_data)
{
    strncat(user_data, text, text_len);
    return true;
}

static bool refuse(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    return false;
}

static void read_a_stream(const char *prompt)
{
    char taken[100] = "";
    IntentFFI intent = {.raw_input = prompt};
    MazeOptionsFFI options = options_for(30000);
    Call call = begin(options.timeout_ms);
    GenerationResultFFI *result = maze_generate_stream(&intent, NULL, 0, &options, take, taken);
    if (strcmp(taken, result->code) != 0) {
        atomic_fetch_add(&wrong, 1);
        printf("wrong: the pieces of %s are '%s'\n", prompt, taken);
    }
    judge(&call, prompt, result, MAZE_OK, prompt);
}

static void cancel(const char *prompt)
{
    IntentFFI intent = {.raw_input = prompt};
    MazeOptionsFFI options = options_for(30000);
    Call call = begin(options.timeout_ms);
    judge(&call, prompt, maze_generate_stream(&intent, NULL, 0, &options, refuse, NULL), MAZE_CANCELLED, NULL);
}

static void ask_in_a_batch(const char *prompt)
{
    char prompts[3][100];
    IntentFFI intents[3] = {{0}};
    for (size_t i = 0; i < 3; i++) {
        snprintf(prompts[i], sizeof prompts[i], "%s, %zu", prompt, i);
        intents[i].raw_input = prompts[i];
    }
    GenerationResultFFI *results[3] = {NULL};
    MazeOptionsFFI options = options_for(30000);
    Call call = begin(options.timeout_ms);
    maze_generate_batch(intents, 3, NULL, 0, &options, results);
    for (size_t i = 0; i < 3; i++)
        judge(&call, prompts[i], results[i], MAZE_OK, prompts[i]);
}

static void ask_about_the_service(void)
{
    Call call = begin(30000);
    judge(&call, "health", maze_health_check(), MAZE_OK, NULL);
    call = begin(30000);
    judge(&call, "models", maze_list_models(), MAZE_OK, NULL);
}

/* ------------------------------------------------------------------------------------------------ with no engine */

static void compile_and_validate(unsigned number)
{
    char pattern[40], schema[200], grammar[100], text[40];
    const char *patterns = pattern;
    unsigned kept = number % 3 ? number % 50 : number; /* most are in the cache */
    snprintf(pattern, sizeof pattern, "^[a-f]{1,9}%u$", kept);
    snprintf(schema, sizeof schema,
             "{\"type\":\"object\",\"properties\":{\"a%u\":{\"type\":\"integer\"}},\"required\":[\"a%u\"]}", kept, kept);
    snprintf(grammar, sizeof grammar, "root ::= \"<\" inner \">\"\ninner ::= root | \"a%u\"\n", kept);
    ConstraintIRFFI constraint = {.magic = MAZE_CONSTRAINT_MAGIC};
    switch (number % 4) {
    case 0:
        constraint = one_regex(&patterns);
        snprintf(text, sizeof text, "abc%u", kept);
        break;
    case 1:
        constraint.json_schema = schema;
        snprintf(text, sizeof text, "{\"a%u\":%u}", kept, number);
        break;
    case 2:
        constraint.grammar = grammar;
        snprintf(text, sizeof text, "<<a%u>>", kept);
        break;
    default:
        constraint.regex_patterns = &patterns;
        constraint.regex_patterns_len = 1;
        snprintf(pattern, sizeof pattern, "(%u", kept);
        Call broken = begin(30000);
        judge(&broken, pattern, maze_compile_constraints(&constraint, 1, NULL, NULL), MAZE_INVALID_CONSTRAINT, "");
        return;
    }
    Call call = begin(30000);
    judge(&call, text, maze_compile_constraints(&constraint, 1, NULL, NULL), MAZE_OK, NULL);
    call = begin(30000);
    judge(&call, text, maze_validate(text, strlen(text), &constraint, 1, NULL, NULL), MAZE_OK, "");
    text[0] = '!';
    call = begin(30000);
    judge(&call, text, maze_validate(text, strlen(text), &constraint, 1, NULL, NULL), MAZE_CONSTRAINT_VIOLATED, "");
}

/* ------------------------------------------------------------------------------------------------ embedded */

static void ask_the_embedded_engine(bool briefly)
{
    static const char *const answer = "^yes$";
    static const IntentFFI intent = {.raw_input = "Answer yes."};
    ConstraintIRFFI constraint = one_regex(&answer);
    MazeOptionsFFI options = options_for(briefly ? 8 : 60000);
    Call call = begin(options.timeout_ms);
    GenerationResultFFI *result = maze_generate_with(&intent, &constraint, 1, &options);
    bool in_time = maze_result_status(result) == MAZE_OK;
    judge(&call, "embedded", result, briefly && !in_time ? MAZE_TIMED_OUT : MAZE_OK, in_time ? "yes" : NULL);
}

/* ------------------------------------------------------------------------------------------------ the load */

static void log_line(uint32_t level, const char *target, const char *message, void *user_data)
{
    (void)level, (void)target, (void)message, (void)user_data;
    atomic_fetch_add(&lines, 1);
}

static void *work(void *number)
{
    unsigned seed = (unsigned)(size_t)number, turn = 0;
    while (!atomic_load(&over)) {
        char prompt[60];
        unsigned dice = (unsigned)rand_r(&seed) % 100;
        snprintf(prompt, sizeof prompt, "%zu-%u", (size_t)number, turn++);
        pthread_rwlock_rdlock(&engine);
        if (dice < 15)
            compile_and_validate((unsigned)rand_r(&seed));
        else if (is_embedded)
            ask_the_embedded_engine(dice < 40);
        else if (dice < 20) {
            const Fault *fault = &kinds[(unsigned)rand_r(&seed) % (sizeof kinds / sizeof kinds[0])];
            snprintf(prompt, sizeof prompt, "%zu-%u fault=%s", (size_t)number, turn, fault->name);
            meet_a_fault(prompt, fault);
        } else if (dice < 30)
            read_a_stream(prompt);
        else if (dice < 35)
            cancel(prompt);
        else if (dice < 40)
            ask_in_a_batch(prompt);
        else if (dice < 41)
            ask_about_the_service();
        else
            ask(prompt);
        pthread_rwlock_unlock(&engine);
        if (leaks && dup(0) < 0)
            exit(2);
    }
    return NULL;
}

static void shut_down(void)
{
    atomic_fetch_add(&shutdowns, 1);
    maze_shutdown();
    atomic_fetch_add(&shutdowns, 1);
}

static void use(bool embedded)
{
    pthread_rwlock_wrlock(&engine);
    shut_down();
    MazeConfigFFI config = MAZE_CONFIG_INIT;
    if (embedded) {
        config.endpoint = "";
        config.dialect = "";
    }
    check_succeeds_(maze_init(&config), __LINE__);
    is_embedded = embedded;
    pthread_rwlock_unlock(&engine);
}

typedef struct Used {
    long kib, descriptors, threads;
} Used;

static long entries(const char *path)
{
    long count = -2; /* . and .. */
    DIR *folder = opendir(path);
    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static Used tell(const char *when)
{
    pthread_rwlock_wrlock(&engine);
    Used used = {0, entries("/proc/self/fd"), entries("/proc/self/task")};
    pthread_rwlock_unlock(&engine);
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%*d %ld", &used.kib) == 1);
    fclose(file);
    used.kib *= sysconf(_SC_PAGESIZE) / 1024;
    printf("%-6s %8u calls %6u faults %7ld KiB %4ld descriptors %3ld threads %u wrong %u late %u log lines\n", when,
           atomic_load(&calls), atomic_load(&faults), used.kib, used.descriptors, used.threads, atomic_load(&wrong),
           atomic_load(&late), atomic_load(&lines));
    fflush(stdout);
    return used;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    double secs = atof(argv[1]), began = now_ms();
    leaks = argc > 2 && strcmp(argv[2], "descriptors") == 0;
    maze_set_log_callback(log_line, NULL);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    Used start = {0, 0, 0}, middle = {0, 0, 0}, end;
    bool has_told_middle = false;
    for (unsigned round = 1;; round++) {
        sleep(3);
        shut_down();
        sleep(3);
        use(true);
        sleep(3);
        use(false);
        sleep(1);
        double share = (now_ms() - began) / (secs * 1000);
        if (round == 1) {
            middle = start = tell("start"); /* everything has been loaded once */
        } else if (share >= 1) {
            end = tell("end");
            break;
        } else if (share > 0.5 && !has_told_middle) {
            has_told_middle = true;
            middle = tell("middle");
        }
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    maze_shutdown();
    bool grew = end.descriptors > start.descriptors + MORE_DESCRIPTORS || end.threads > start.threads + MORE_THREADS ||
                end.kib > middle.kib + MORE_KIB;
    if (grew)
        puts("it grew");
    return grew || atomic_load(&wrong) != 0 || atomic_load(&late) != 0;
}
