/*
 * A host whose memory is limited: whatever is left, a call does its work or says that there is too little.
 *
 * Each scenario begins with almost nothing and gives the process a little more for each round, so that every part of
 * the work meets its first moment of just enough and just too little. MODAL_ENDPOINT names a service that answers.
 */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { CALLERS = 4, SMALL_STEP_MIB = 3, SMALL_MIB = 90, MOST_MIB = 4000 };

static int limited_resource = RLIMIT_AS;
static atomic_size_t worked; /* calls of this round */

static size_t in_use(void)
{
    size_t address_space, data;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%zu %*u %*u %*u %*u %zu", &address_space, &data) == 2);
    fclose(file);
    return (limited_resource == RLIMIT_AS ? address_space : data) * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_to(rlim_t most)
{
    struct rlimit limits;
    CHECK(getrlimit(limited_resource, &limits) == 0);
    limits.rlim_cur = most;
    CHECK(setrlimit(limited_resource, &limits) == 0);
}

/* True if the call did its work; it may only fail for want of memory, and say so. */
static bool succeeded(GenerationResultFFI *result)
{
    CHECK(result != NULL);
    const MazeStatus status = maze_result_status(result);
    const bool worked = status == MAZE_OK && result->success;
    if (!worked && status != MAZE_OUT_OF_MEMORY) {
        fprintf(stderr, "%s: %s\n", maze_status_name(status), result->error == NULL ? "" : result->error);
        exit(1);
    }
    CHECK(worked || strncmp(result->error, "libmaze: ", 9) == 0);
    maze_free_result(result);
    return worked;
}

/* ------------------------------------------------------------------------------------------- kinds of work */

static char *text_of(size_t len)
{
    char *text = malloc(len + 1);
    CHECK(text != NULL);
    memset(text, 'a', len);
    text[len] = '\0';
    return text;
}

static char *repeated(const char *start, const char *item, const char *end, size_t len)
{
    const size_t item_len = strlen(item);
    char *text = malloc(strlen(start) + len + item_len + strlen(end) + 1);
    CHECK(text != NULL);
    char *place = stpcpy(text, start);
    for (size_t made = 0; made < len; made += item_len)
        place = stpcpy(place, item);
    strcpy(place - 1, end); /* in place of the last comma */
    return text;
}

typedef struct Work {
    bool (*run)(const struct Work *work);
    const char *text;
    const ConstraintIRFFI *constraint;
} Work;

static bool run_validation(const Work *work)
{
    return succeeded(maze_validate(work->text, strlen(work->text), work->constraint, 1, NULL, NULL));
}

static bool run_compilation(const Work *work)
{
    const bool worked = succeeded(maze_compile_constraints(work->constraint, 1, NULL, NULL));
    maze_clear_cache();
    return worked;
}

static bool run_generation(const Work *work)
{
    const IntentFFI intent = {.raw_input = work->text};
    return succeeded(maze_generate(&intent, work->constraint, work->constraint != NULL));
}

static bool run_batch(const Work *work)
{
    enum { INTENTS = 6 };
    IntentFFI intents[INTENTS];
    GenerationResultFFI *results[INTENTS];
    for (size_t i = 0; i < INTENTS; i++)
        intents[i] = (IntentFFI){.raw_input = work->text};
    maze_generate_batch(intents, INTENTS, work->constraint, work->constraint != NULL, NULL, results);
    bool worked = true;
    for (size_t i = 0; i < INTENTS; i++)
        worked = succeeded(results[i]) && worked;
    return worked;
}

/* ------------------------------------------------------------------------------------------------ rounds */

static void *call_once(void *argument)
{
    const Work *work = argument;
    if (work->run(work))
        worked++;
    return NULL;
}

static size_t next_step(size_t left)
{
    const char *step = getenv("PRESSURE_STEP_MIB"); /* a closer look than there is time for in every run */
    if (step != NULL)
        return left + (size_t)atol(step) * MIB;
    return left < SMALL_MIB * MIB ? left + SMALL_STEP_MIB * MIB : left + left / 6;
}

/* Give the process more and more memory until all callers have done their work at once. */
static void raise_limit(const Work *work, size_t callers)
{
    for (size_t left = MIB; left < MOST_MIB * MIB; left = next_step(left)) {
        pthread_t threads[CALLERS];
        worked = 0;
        limit_to(in_use() + left + (callers > 1 ? callers * 9 * MIB : 0)); /* their stacks */
        if (callers == 1)
            call_once((void *)(uintptr_t)work);
        for (size_t i = 0; callers > 1 && i < callers; i++)
            CHECK(pthread_create(&threads[i], NULL, call_once, (void *)(uintptr_t)work) == 0);
        for (size_t i = 0; callers > 1 && i < callers; i++)
            pthread_join(threads[i], NULL);
        limit_to(RLIM_INFINITY);
        if (getenv("PRESSURE_TOLD") != NULL)
            fprintf(stderr, "%zu MiB: %zu of %zu\n", left / MIB, worked, callers);
        if (worked == callers)
            return;
    }
    CHECK(worked == callers);
}

static void with_one_and_with_four_callers(Work work)
{
    raise_limit(&work, 1);
    raise_limit(&work, CALLERS);
    raise_limit(&work, 1);
}

/* ---------------------------------------------------------------------------------------------- scenarios */

static const char *const letters = "^a*$";

static ConstraintIRFFI one_schema(const char *schema)
{
    return (ConstraintIRFFI){.magic = MAZE_CONSTRAINT_MAGIC, .json_schema = schema};
}

static void a_start_with_too_little_memory_can_be_made_again(void)
{
    const ConstraintIRFFI constraint = one_regex(&letters);
    raise_limit(&(Work){run_compilation, NULL, &constraint}, 1);
}

static void a_first_generation_with_too_little_memory_can_be_made_again(void)
{
    const ConstraintIRFFI constraint = one_regex(&letters);
    raise_limit(&(Work){run_generation, "aaa", &constraint}, CALLERS);
}

static void texts_are_validated_or_refused(void)
{
    const ConstraintIRFFI pattern = one_regex(&letters), anything = one_schema("{\"items\": {\"type\": \"object\"}}");
    with_one_and_with_four_callers((Work){run_validation, text_of(65536), &pattern});
    with_one_and_with_four_callers((Work){run_validation, text_of(1 << 18), &pattern});
    with_one_and_with_four_callers((Work){run_validation, repeated("[", "{},", "]", 65536), &anything});
    with_one_and_with_four_callers((Work){run_validation, repeated("[", "{},", "]", 1 << 20), &anything});
}

static void prompts_are_sent_or_refused(void)
{
    const ConstraintIRFFI pattern = one_regex(&letters);
    with_one_and_with_four_callers((Work){run_generation, "aaa", &pattern});
    with_one_and_with_four_callers((Work){run_generation, text_of(65536), NULL});
    with_one_and_with_four_callers((Work){run_generation, text_of(16 << 20), NULL});
}

static void batches_are_generated_or_refused(void)
{
    raise_limit(&(Work){run_batch, "aaa", NULL}, 1);
    raise_limit(&(Work){run_batch, text_of(1 << 20), NULL}, 1);
}

static void constraints_are_compiled_or_refused(void)
{
    ConstraintIRFFI schema = one_schema(repeated("{\"anyOf\": [", "{\"pattern\": \"^a+b\"},", "]}", 10000));
    ConstraintIRFFI grammar = {.magic = MAZE_CONSTRAINT_MAGIC,
                               .grammar = repeated("start: ", "\"aaaaaaaaaaaaaaaaaaaa\" ", "", 4000)};
    with_one_and_with_four_callers((Work){run_compilation, NULL, &schema});
    with_one_and_with_four_callers((Work){run_compilation, NULL, &grammar});
}

static void a_limit_of_data_is_heeded_too(void)
{
    limited_resource = RLIMIT_DATA;
    const ConstraintIRFFI pattern = one_regex(&letters);
    raise_limit(&(Work){run_generation, "aaa", &pattern}, 1);
    raise_limit(&(Work){run_generation, text_of(16 << 20), NULL}, 1);
    raise_limit(&(Work){run_validation, text_of(1 << 18), &pattern}, 1);
}

static void an_error_names_the_limit_and_what_is_left(void)
{
    CHECK_SUCCEEDS(maze_compile_constraints(NULL, 0, NULL, NULL));
    limit_to(in_use() + 20 * MIB);
    CHECK_FAILS(maze_compile_constraints(NULL, 0, NULL, NULL), MAZE_OUT_OF_MEMORY, "32 MiB are needed");
    CHECK_FAILS(maze_compile_constraints(NULL, 0, NULL, NULL), MAZE_OUT_OF_MEMORY, "20 MiB are left");
    CHECK_FAILS(maze_compile_constraints(NULL, 0, NULL, NULL), MAZE_OUT_OF_MEMORY, "(RLIMIT_AS)");
    MazeCacheStatsFFI stats = {.struct_size = sizeof stats};
    CHECK(maze_cache_stats(&stats) == MAZE_OUT_OF_MEMORY);
    CHECK(maze_clear_cache() == MAZE_OK);
    maze_shutdown();
}

SCENARIOS(SCENARIO(a_start_with_too_little_memory_can_be_made_again),
          SCENARIO(a_first_generation_with_too_little_memory_can_be_made_again),
          SCENARIO(texts_are_validated_or_refused), SCENARIO(prompts_are_sent_or_refused),
          SCENARIO(batches_are_generated_or_refused), SCENARIO(constraints_are_compiled_or_refused),
          SCENARIO(a_limit_of_data_is_heeded_too), SCENARIO(an_error_names_the_limit_and_what_is_left))
