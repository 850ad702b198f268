/* The memory of results: made and freed without Python, so that freeing needs no interpreter and never waits for one. */
#include "start.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct Result {
    GenerationResultFFI shown; /* first: the host's pointer is ours */
    MazeStatus status;
    const char *json;
    char *texts; /* code, error and json, one behind the other */
    struct Result *next;
} Result;

/*
 * The live results, as a hash set of their addresses: a pointer from the host is looked up before it is read. Freed
 * structs (not their texts) wait in a queue before their address can be given to another result, so that a host that
 * frees twice does not free somebody else's.
 */
enum { FIRST_BUCKETS = 256, QUEUE_LENGTH = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Result *first_buckets[FIRST_BUCKETS];
static Result **buckets = first_buckets;
static size_t buckets_len = FIRST_BUCKETS;
static size_t live_len;
static Result *freed[QUEUE_LENGTH];
static size_t freed_next;

static Result out_of_memory = {
    .shown = {.code = "", .error = "libmaze: out of memory; free results with maze_free_result()"},
    .status = MAZE_OUT_OF_MEMORY,
    .json = "{\"status\":\"MAZE_OUT_OF_MEMORY\"}",
};
static Result forked = {
    .shown = {.code = "",
              .error = "libmaze: this process was forked after libmaze had started, and cannot use it; "
                       "call exec() first, or fork before the first call"},
    .status = MAZE_FORKED,
    .json = "{\"status\":\"MAZE_FORKED\"}",
};

static Result **bucket_of(Result **table, size_t table_len, const void *address)
{
    /* Fibonacci hashing; malloc aligns to 16. */
    uint64_t hash = ((uint64_t)(uintptr_t)address >> 4) * 0x9E3779B97F4A7C15u;
    return &table[(hash >> 32) & (table_len - 1)];
}

/* If there is no memory for it, chains get longer. */
static void grow_table(void)
{
    size_t wanted = buckets_len * 2;
    Result **table = calloc(wanted, sizeof *table);
    if (table == NULL)
        return;
    for (size_t i = 0; i < buckets_len; i++) {
        for (Result *result = buckets[i], *next; result != NULL; result = next) {
            next = result->next;
            Result **bucket = bucket_of(table, wanted, result);
            result->next = *bucket;
            *bucket = result;
        }
    }
    if (buckets != first_buckets)
        free(buckets);
    buckets = table;
    buckets_len = wanted;
}

/* The link that leads to `address`, or NULL if it is no live result. Reads nothing at `address`. */
static Result **find_link(const void *address)
{
    for (Result **link = bucket_of(buckets, buckets_len, address); *link != NULL; link = &(*link)->next)
        if (*link == address)
            return link;
    return NULL;
}

/* A thread that is cancelled asynchronously would keep the lock. Returns what give_lock_back() takes. */
static int take_lock(void)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&lock);
    return cancel_state;
}

static void give_lock_back(int cancel_state)
{
    pthread_mutex_unlock(&lock);
    pthread_setcancelstate(cancel_state, NULL);
}

static char *put_text(char **place, const char *text, size_t len)
{
    char *start = *place;
    if (len > 0)
        memcpy(start, text, len);
    start[len] = '\0';
    *place = start + len + 1;
    return start;
}

GenerationResultFFI *host_new_result(int status, const char *code, size_t code_len, const char *error, size_t error_len,
                                     const char *json, size_t json_len, size_t tokens_generated)
{
    Result *result = malloc(sizeof *result);
    char *texts = malloc(code_len + error_len + json_len + 3);
    if (result == NULL || texts == NULL) {
        free(result);
        free(texts);
        return &out_of_memory.shown;
    }
    char *place = texts;
    result->texts = texts;
    result->status = (MazeStatus)status;
    result->shown.code = put_text(&place, code, code_len);
    result->shown.success = status == MAZE_OK;
    result->shown.error = error == NULL ? NULL : put_text(&place, error, error_len);
    result->shown.tokens_generated = tokens_generated;
    result->shown.generation_time_ms = 0; /* see result_took() */
    result->json = put_text(&place, json, json_len);

    int cancel_state = take_lock();
    if (live_len >= buckets_len)
        grow_table();
    Result **bucket = bucket_of(buckets, buckets_len, result);
    result->next = *bucket;
    *bucket = result;
    live_len++;
    give_lock_back(cancel_state);
    return &result->shown;
}

GenerationResultFFI *result_forked(void)
{
    return &forked.shown;
}

GenerationResultFFI *result_of_problem(const EmbedProblem *problem)
{
    if (problem->status == MAZE_FORKED)
        return result_forked();
    char json[64];
    const char *name = maze_status_name(problem->status);
    size_t name_len = strlen(name);
    char *place = json;
    place = (char *)memcpy(place, "{\"status\":\"", 11) + 11;
    place = (char *)memcpy(place, name, name_len) + name_len;
    place = (char *)memcpy(place, "\"}", 2) + 2;
    return host_new_result((int)problem->status, "", 0, problem->text, strlen(problem->text), json,
                           (size_t)(place - json), 0);
}

void result_took(GenerationResultFFI *result, uint64_t ms)
{
    /* Those two are of every call that gets them. */
    if (result != &out_of_memory.shown && result != &forked.shown)
        result->generation_time_ms = ms;
}

/* Status and json of a result under the lock; false if it is none. */
static bool look_up(const GenerationResultFFI *shown, MazeStatus *status, const char **json)
{
    const Result *found = NULL;
    if (shown == &out_of_memory.shown)
        found = &out_of_memory;
    else if (shown == &forked.shown)
        found = &forked;
    if (found != NULL) {
        *status = found->status;
        *json = found->json;
        return true;
    }
    if (shown == NULL || embed_is_forked_child())
        return false;
    int cancel_state = take_lock();
    Result **link = find_link(shown);
    if (link != NULL) {
        *status = (*link)->status;
        *json = (*link)->json;
    }
    give_lock_back(cancel_state);
    return link != NULL;
}

MazeStatus maze_result_status(const GenerationResultFFI *result)
{
    MazeStatus status;
    const char *json;
    if (look_up(result, &status, &json))
        return status;
    return embed_is_forked_child() ? MAZE_FORKED : MAZE_INVALID_ARGUMENT;
}

const char *maze_result_json(const GenerationResultFFI *result)
{
    MazeStatus status;
    const char *json;
    return look_up(result, &status, &json) ? json : "{}";
}

static void log_misuse(void *message)
{
    entry_log_misuse(message);
}

void maze_free_result(GenerationResultFFI *shown)
{
    if (shown == NULL || shown == &out_of_memory.shown || shown == &forked.shown || embed_is_forked_child())
        return;
    int cancel_state = take_lock();
    Result **link = find_link(shown);
    Result *result = NULL;
    Result *oldest = NULL;
    char *texts = NULL;
    if (link != NULL) {
        result = *link;
        *link = result->next;
        live_len--;
        texts = result->texts;
        result->shown = (GenerationResultFFI){.code = "", .error = "libmaze: this result was freed"};
        oldest = freed[freed_next];
        freed[freed_next] = result;
        freed_next = (freed_next + 1) % QUEUE_LENGTH;
    }
    pthread_mutex_unlock(&lock);
    free(texts);
    free(oldest);
    pthread_setcancelstate(cancel_state, NULL);

    EmbedProblem unused;
    if (result == NULL && embed_is_running())
        embed_call(log_misuse, "maze_free_result() got a pointer that is no live result; nothing was freed", &unused);
}
