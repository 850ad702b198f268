/* Calls to the service named by MODAL_ENDPOINT, which begins each answer with "a" and then falls silent. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static const IntentFFI intent = {.raw_input = "stall"};

static atomic_int streaming;

static bool count(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    atomic_fetch_add(&streaming, 1);
    return true;
}

static bool refuse(const char *text, size_t text_len, void *user_data)
{
    (void)text, (void)text_len, (void)user_data;
    return false;
}

static double now_secs(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check_stalled_and_cancelled(GenerationResultFFI *result)
{
    CHECK(strcmp(result->code, "a") == 0);
    CHECK_FAILS(result, MAZE_CANCELLED, "shut down");
}

static void *generate(void *unused)
{
    check_stalled_and_cancelled(maze_generate(&intent, NULL, 0));
    return unused;
}

static void *generate_stream(void *unused)
{
    check_stalled_and_cancelled(maze_generate_stream(&intent, NULL, 0, NULL, count, NULL));
    return unused;
}

static void *generate_batch(void *unused)
{
    enum { INTENTS = 40 }; /* more than a batch has under way at once */
    IntentFFI intents[INTENTS];
    GenerationResultFFI *results[INTENTS];
    for (size_t i = 0; i < INTENTS; i++)
        intents[i] = intent;
    CHECK(maze_generate_batch(intents, INTENTS, NULL, 0, NULL, results) == MAZE_CANCELLED);
    for (size_t i = 0; i < INTENTS; i++)
        CHECK_FAILS(results[i], MAZE_CANCELLED, "cancelled");
    return unused;
}

/* Prints the seconds a shutdown took that found `calls` of each kind under way. */
static void shut_down(size_t threads_len, void *(*const *runs)(void *))
{
    pthread_t threads[8];
    CHECK(threads_len <= 8);
    for (size_t i = 0; i < threads_len; i++)
        CHECK(pthread_create(&threads[i], NULL, runs[i], NULL) == 0);
    getchar(); /* the service tells when it has all requests */
    const double before = now_secs();
    maze_shutdown();
    const double shutdown_secs = now_secs() - before;
    for (size_t i = 0; i < threads_len; i++)
        pthread_join(threads[i], NULL);
    CHECK(shutdown_secs < 1.0 && now_secs() - before < 1.0);
}

static void shutdown_ends_stalled_calls_and_the_next_starts_anew(void)
{
    static void *(*const runs[])(void *) = {generate, generate_stream, generate_batch};
    for (int round = 0; round < 2; round++)
        shut_down(3, runs);
    CHECK_FAILS(maze_generate_stream(&intent, NULL, 0, NULL, refuse, NULL), MAZE_CANCELLED, "the caller ended");
}

static void *ask_for_health(void *unused)
{
    CHECK_FAILS(maze_health_check(), MAZE_CANCELLED, "shut down");
    return unused;
}

static void *ask_for_models(void *unused)
{
    CHECK_FAILS(maze_list_models(), MAZE_CANCELLED, "shut down");
    return unused;
}

static void shutdown_ends_questions_to_a_silent_service(void)
{
    static void *(*const runs[])(void *) = {ask_for_health, ask_for_models};
    shut_down(2, runs);
}

static void a_cancelled_stream_frees_its_slot_at_once(void)
{
    GenerationResultFFI *result = maze_generate_stream(&intent, NULL, 0, NULL, refuse, NULL);
    CHECK(strcmp(result->code, "a") == 0);
    CHECK_FAILS(result, MAZE_CANCELLED, "the caller ended");
    getchar(); /* the service tells when it has noticed */
}

/* The service answers "good" to what is good, and 400 to what is bad. */
static void a_failure_in_a_batch_touches_no_other(void)
{
    enum { INTENTS = 60 };
    IntentFFI intents[INTENTS] = {{NULL, NULL, NULL, NULL}};
    GenerationResultFFI *results[INTENTS];
    for (size_t i = 0; i < INTENTS; i++)
        intents[i].raw_input = i % 5 == 3 ? "bad" : "good";
    CHECK(maze_generate_batch(intents, INTENTS, NULL, 0, NULL, results) == MAZE_REQUEST_REJECTED);
    for (size_t i = 0; i < INTENTS; i++) {
        if (i % 5 == 3) {
            CHECK_FAILS(results[i], MAZE_REQUEST_REJECTED, "this one is bad");
        } else {
            CHECK(strcmp(results[i]->code, "good") == 0);
            CHECK_SUCCEEDS(results[i]);
        }
    }
}

SCENARIOS(SCENARIO(shutdown_ends_stalled_calls_and_the_next_starts_anew),
          SCENARIO(shutdown_ends_questions_to_a_silent_service), SCENARIO(a_cancelled_stream_frees_its_slot_at_once),
          SCENARIO(a_failure_in_a_batch_touches_no_other))
