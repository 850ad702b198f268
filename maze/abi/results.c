/* The memory of results: made and freed without Python, so that freeing needs no interpreter and never waits for one. */
#include "handles.h"
#include "lock.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* In one block with code, error, json and finish reason behind it, freed at once; the handle outlives it. */
struct Contents {
    MazeStatus status;
    const char *json;
    const char *finish_reason;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all handles */

static Handle out_of_memory = {
    .shown = {.code = "", .error = "libmaze: out of memory; free results with maze_free_result()"},
    .contents = &(Contents){.status = MAZE_OUT_OF_MEMORY, .json = "{\"status\":\"MAZE_OUT_OF_MEMORY\"}", .finish_reason = ""},
};
static Handle forked = {
    .shown = {.code = "",
              .error = "libmaze: this process was forked after libmaze had started, or shares the memory of its "
                       "parent (vfork), and cannot use it; call exec() first, or fork before the first call"},
    .contents = &(Contents){.status = MAZE_FORKED, .json = "{\"status\":\"MAZE_FORKED\"}", .finish_reason = ""},
};

static bool is_static(const GenerationResultFFI *shown)
{
    return shown == &out_of_memory.shown || shown == &forked.shown;
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
                                     const char *json, size_t json_len, const char *finish_reason,
                                     size_t tokens_generated)
{
    size_t finish_reason_len = strlen(finish_reason);
    Contents *contents = malloc(sizeof *contents + code_len + error_len + json_len + finish_reason_len + 4);
    if (contents == NULL)
        return &out_of_memory.shown;
    char *place = (char *)(contents + 1);
    contents->status = (MazeStatus)status;
    GenerationResultFFI shown = {
        .code = put_text(&place, code, code_len),
        .success = status == MAZE_OK,
        .error = error == NULL ? NULL : put_text(&place, error, error_len),
        .tokens_generated = tokens_generated,
        .generation_time_ms = 0, /* see result_took() */
    };
    contents->json = put_text(&place, json, json_len);
    contents->finish_reason = put_text(&place, finish_reason, finish_reason_len);

    LockHost host = lock_take(&lock);
    Handle *handle = handle_new();
    if (handle != NULL)
        *handle = (Handle){shown, contents};
    lock_give_back(&lock, host);
    if (handle != NULL)
        return &handle->shown;
    free(contents);
    return &out_of_memory.shown;
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
                           (size_t)(place - json), "", 0);
}

void result_took(GenerationResultFFI *result, uint64_t ms)
{
    if (!is_static(result)) /* those are of every call that gets them */
        result->generation_time_ms = ms;
}

/* Status, json and finish reason of a result, where the texts stay until it is freed; false if it is none. */
static bool look_up(const GenerationResultFFI *shown, Contents *found)
{
    if (is_static(shown)) {
        *found = *((const Handle *)(const void *)shown)->contents;
        return true;
    }
    if (embed_is_forked_child())
        return false;
    LockHost host = lock_take(&lock);
    const Handle *handle = handle_at(shown);
    if (handle != NULL)
        *found = *handle->contents;
    lock_give_back(&lock, host);
    return handle != NULL;
}

MazeStatus maze_result_status(const GenerationResultFFI *result)
{
    Contents found;
    if (look_up(result, &found))
        return found.status;
    return embed_is_forked_child() ? MAZE_FORKED : MAZE_INVALID_ARGUMENT;
}

const char *maze_result_json(const GenerationResultFFI *result)
{
    Contents found;
    return look_up(result, &found) ? found.json : "{}";
}

const char *maze_result_finish_reason(const GenerationResultFFI *result)
{
    Contents found;
    return look_up(result, &found) ? found.finish_reason : "";
}

static void log_misuse(void *message)
{
    entry_log_misuse(message);
}

void maze_free_result(GenerationResultFFI *shown)
{
    if (shown == NULL || is_static(shown) || embed_is_forked_child())
        return;
    LockHost host = lock_take(&lock);
    Handle *handle = handle_at(shown);
    Contents *contents = NULL;
    if (handle != NULL) {
        contents = handle->contents;
        handle_end(handle, (GenerationResultFFI){.code = "", .error = "libmaze: this result was freed"});
    }
    pthread_mutex_unlock(&lock);
    free(contents);
    lock_host_back(host);

    EmbedProblem unused;
    if (contents == NULL && embed_is_running() && memory_is_left(MEMORY_TO_GIVE_BACK, &unused))
        embed_call(log_misuse, "maze_free_result() got a pointer that is no live result; nothing was freed", &unused);
}
