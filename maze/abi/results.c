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

/* A failure whose error and report need no memory. */
#define FAILURE(name, text)                                                                                            \
    {                                                                                                                  \
        .shown = {.code = "", .error = "libmaze: " text},                                                              \
        .contents = &(Contents){.status = name,                                                                        \
                                .json = "{\"status\":\"" #name "\",\"success\":false,\"error\":\"" text "\"}",           \
                                .finish_reason = ""},                                                                  \
    }

static Handle out_of_memory = FAILURE(MAZE_OUT_OF_MEMORY, "out of memory; free results with maze_free_result()");
static Handle forked = FAILURE(MAZE_FORKED, "this process was forked after libmaze had started, or shares the memory "
                                            "of its parent (vfork), and cannot use it; call exec() first, or fork "
                                            "before the first call");

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

static char *put_bytes(char *place, const char *text)
{
    size_t len = strlen(text);
    return (char *)memcpy(place, text, len) + len;
}

/* The text as it stands in a JSON string: up to 6 bytes for each of its own. */
static char *put_json_text(char *place, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20) {
            place = put_bytes(place, "\\u00");
            *place++ = digits[byte >> 4];
            *place++ = digits[byte & 0x0f];
            continue;
        }
        if (byte == '"' || byte == '\\')
            *place++ = '\\';
        *place++ = *text;
    }
    return place;
}

GenerationResultFFI *result_of_problem(const EmbedProblem *problem)
{
    if (problem->status == MAZE_FORKED)
        return result_forked();
    static const char prefix[] = "libmaze: ", before[] = "{\"status\":\"", between[] = "\",\"success\":false,\"error\":\"";
    const char *text = problem->text, *name = maze_status_name(problem->status);
    /* Not on the stack, which may be small. */
    char *json = malloc(sizeof before + strlen(name) + sizeof between + 6 * strlen(text) + sizeof "\"}");
    if (json == NULL)
        return &out_of_memory.shown;
    if (strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    char *end = put_bytes(put_bytes(put_bytes(json, before), name), between);
    end = put_bytes(put_json_text(end, text), "\"}");
    GenerationResultFFI *result = host_new_result((int)problem->status, "", 0, problem->text, strlen(problem->text),
                                                  json, (size_t)(end - json), "", 0);
    free(json);
    return result;
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

/* A line in the log, where there is one already. */
static void tell_of_misuse(const char *message)
{
    EmbedProblem unused;
    if (embed_is_running() && memory_is_left(MEMORY_TO_GIVE_BACK, &unused))
        embed_call(log_misuse, (void *)(uintptr_t)message, &unused);
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

    if (contents == NULL)
        tell_of_misuse("maze_free_result() got a pointer that is no live result; nothing was freed");
}

void free_generation_result_ffi(GenerationResultFFI *result)
{
    maze_free_result(result);
}

void free_constraint_ir_ffi(ConstraintIRFFI *constraint)
{
    if (constraint != NULL && !embed_is_forked_child())
        tell_of_misuse("free_constraint_ir_ffi() got a constraint, and libmaze has made none; nothing was freed: it is "
                       "for whoever made it to free, as Braid does with ananke_free_constraint_ir()");
}
