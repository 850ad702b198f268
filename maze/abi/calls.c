/* The exported functions: plain C around the entry functions that entry.py defines. See include/maze.h. */
#include "memory.h"
#include "python_part.h"
#include "structs.h"

#include <string.h>
#include <time.h>

/* The layouts that Braid and the Zig package were compiled with. */
#define HOLDS_AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
_Static_assert(sizeof(TokenMaskRulesFFI) == 32, "TokenMaskRulesFFI");
HOLDS_AT(TokenMaskRulesFFI, allowed_tokens, 0);
HOLDS_AT(TokenMaskRulesFFI, allowed_tokens_len, 8);
HOLDS_AT(TokenMaskRulesFFI, forbidden_tokens, 16);
HOLDS_AT(TokenMaskRulesFFI, forbidden_tokens_len, 24);
_Static_assert(sizeof(ConstraintIRFFI) == 64, "ConstraintIRFFI");
HOLDS_AT(ConstraintIRFFI, magic, 0);
HOLDS_AT(ConstraintIRFFI, json_schema, 8);
HOLDS_AT(ConstraintIRFFI, grammar, 16);
HOLDS_AT(ConstraintIRFFI, regex_patterns, 24);
HOLDS_AT(ConstraintIRFFI, regex_patterns_len, 32);
HOLDS_AT(ConstraintIRFFI, token_masks, 40);
HOLDS_AT(ConstraintIRFFI, priority, 48);
HOLDS_AT(ConstraintIRFFI, name, 56);
_Static_assert(sizeof(IntentFFI) == 32, "IntentFFI");
HOLDS_AT(IntentFFI, raw_input, 0);
HOLDS_AT(IntentFFI, prompt, 8);
HOLDS_AT(IntentFFI, current_file, 16);
HOLDS_AT(IntentFFI, language, 24);
_Static_assert(sizeof(GenerationResultFFI) == 40, "GenerationResultFFI");
HOLDS_AT(GenerationResultFFI, code, 0);
HOLDS_AT(GenerationResultFFI, success, 8);
HOLDS_AT(GenerationResultFFI, error, 16);
HOLDS_AT(GenerationResultFFI, tokens_generated, 24);
HOLDS_AT(GenerationResultFFI, generation_time_ms, 32);
_Static_assert(sizeof(MazeMessageFFI) == 16, "MazeMessageFFI");
HOLDS_AT(MazeMessageFFI, role, 0);
HOLDS_AT(MazeMessageFFI, text, 8);
_Static_assert(sizeof(MazeOptionsFFI) == 152, "MazeOptionsFFI");
_Static_assert(sizeof(MazeConfigFFI) == 88, "MazeConfigFFI");
_Static_assert(sizeof(MazeCacheStatsFFI) == 48, "MazeCacheStatsFFI");

/* ------------------------------------------------------------------------------------------- without Python */

const char *maze_version(void)
{
    return MAZE_VERSION;
}

uint32_t maze_abi_version(void)
{
    return MAZE_ABI_VERSION;
}

const char *maze_status_name(MazeStatus status)
{
    /* No default: a status without a name is a compiler warning, and that an error. */
    switch (status) {
#define NAME(status)                                                                                                   \
    case status:                                                                                                       \
        return #status
        NAME(MAZE_OK);
        NAME(MAZE_INVALID_ARGUMENT);
        NAME(MAZE_INVALID_CONSTRAINT);
        NAME(MAZE_UNSUPPORTED_CONSTRAINT);
        NAME(MAZE_CONTRADICTION);
        NAME(MAZE_CONSTRAINT_VIOLATED);
        NAME(MAZE_TRUNCATED);
        NAME(MAZE_CONFIGURATION);
        NAME(MAZE_STARTUP_FAILED);
        NAME(MAZE_ENGINE_UNAVAILABLE);
        NAME(MAZE_UNAUTHORIZED);
        NAME(MAZE_RATE_LIMITED);
        NAME(MAZE_REQUEST_REJECTED);
        NAME(MAZE_BAD_RESPONSE);
        NAME(MAZE_TIMED_OUT);
        NAME(MAZE_CANCELLED);
        NAME(MAZE_LIMIT_EXCEEDED);
        NAME(MAZE_OUT_OF_MEMORY);
        NAME(MAZE_FORKED);
        NAME(MAZE_INTERNAL_ERROR);
#undef NAME
    }
    return "MAZE_UNKNOWN";
}

/* ----------------------------------------------------------------------------------- calls with a result */

/* The arguments of any call, and what it returned. */
typedef struct Call {
    const IntentFFI *intents;
    size_t intents_len;
    const ConstraintIRFFI *constraints;
    size_t constraints_len;
    const char *text;
    size_t text_len;
    const char *language;
    const MazeOptionsFFI *options;
    const MazeConfigFFI *config;
    MazeTextCallback callback;
    void *user_data;
    MazeCacheStatsFFI *stats;
    GenerationResultFFI **results;
    GenerationResultFFI *result;
    int status;
    bool gives_back; /* more memory than it takes */
} Call;

static const EmbedProblem python_failed = {
    .status = MAZE_INTERNAL_ERROR,
    .text = "libmaze: internal error: the Python part failed without a result; please report it",
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t ms_since(uint64_t started_us)
{
    return (now_us() - started_us) / 1000;
}

/* Whether there is memory for a call. A forked child is told something else. */
static bool memory_for(const Call *call, EmbedProblem *problem)
{
    if (embed_is_forked_child())
        return true;
    if (!embed_is_running())
        return embed_load(problem) && start_has_memory(problem);
    return memory_is_left(call->gives_back ? MEMORY_TO_GIVE_BACK : MEMORY_TO_CALL, problem);
}

/* Make a call with whole structs, whatever header the host has. As embed_call(). */
static bool call_python(void (*run)(void *), Call *call, EmbedProblem *problem)
{
    MazeOptionsFFI options;
    MazeConfigFFI config;
    if ((call->options != NULL && !structs_read_options(call->options, &options, problem)) ||
        (call->config != NULL && !structs_read_config(call->config, &config, problem))) {
        if (embed_is_forked_child())
            problem->status = MAZE_FORKED;
        return false;
    }
    if (call->options != NULL)
        call->options = &options;
    if (call->config != NULL)
        call->config = &config;
    return memory_for(call, problem) && embed_call(run, call, problem);
}

static GenerationResultFFI *call_for_result(void (*run)(void *), Call *call)
{
    uint64_t started_us = now_us();
    EmbedProblem problem;
    if (!call_python(run, call, &problem))
        call->result = result_of_problem(&problem);
    else if (call->result == NULL)
        call->result = result_of_problem(&python_failed);
    result_took(call->result, ms_since(started_us));
    return call->result;
}

static MazeStatus call_for_status(void (*run)(void *), Call *call)
{
    EmbedProblem problem;
    if (!call_python(run, call, &problem))
        return problem.status;
    return call->status >= 0 ? (MazeStatus)call->status : MAZE_INTERNAL_ERROR;
}

static void run_generate(void *arguments)
{
    Call *call = arguments;
    call->result = python_part()->entry_generate(call->intents, call->constraints, call->constraints_len, call->options,
                                                 call->callback, call->user_data);
}

GenerationResultFFI *maze_generate(const IntentFFI *intent, const ConstraintIRFFI *constraints, size_t constraints_len)
{
    return maze_generate_with(intent, constraints, constraints_len, NULL);
}

GenerationResultFFI *maze_generate_with(const IntentFFI *intent, const ConstraintIRFFI *constraints,
                                        size_t constraints_len, const MazeOptionsFFI *options)
{
    Call call = {
        .intents = intent, .constraints = constraints, .constraints_len = constraints_len, .options = options};
    return call_for_result(run_generate, &call);
}

GenerationResultFFI *maze_generate_stream(const IntentFFI *intent, const ConstraintIRFFI *constraints,
                                          size_t constraints_len, const MazeOptionsFFI *options,
                                          MazeTextCallback callback, void *user_data)
{
    static const EmbedProblem no_callback = {
        .status = MAZE_INVALID_ARGUMENT,
        .text = "libmaze: callback is NULL; give one, or call maze_generate_with()",
    };
    if (callback == NULL)
        return embed_is_forked_child() ? result_forked() : result_of_problem(&no_callback);
    Call call = {.intents = intent,
                 .constraints = constraints,
                 .constraints_len = constraints_len,
                 .options = options,
                 .callback = callback,
                 .user_data = user_data};
    return call_for_result(run_generate, &call);
}

static void run_compile_constraints(void *arguments)
{
    Call *call = arguments;
    call->result = python_part()->entry_compile_constraints(call->constraints, call->constraints_len, call->language,
                                                            call->options);
}

GenerationResultFFI *maze_compile_constraints(const ConstraintIRFFI *constraints, size_t constraints_len,
                                              const char *language, const MazeOptionsFFI *options)
{
    Call call = {
        .constraints = constraints, .constraints_len = constraints_len, .language = language, .options = options};
    return call_for_result(run_compile_constraints, &call);
}

static void run_validate(void *arguments)
{
    Call *call = arguments;
    call->result = python_part()->entry_validate(call->text, call->text_len, call->constraints, call->constraints_len,
                                                 call->language, call->options);
}

GenerationResultFFI *maze_validate(const char *text, size_t text_len, const ConstraintIRFFI *constraints,
                                   size_t constraints_len, const char *language, const MazeOptionsFFI *options)
{
    Call call = {.text = text,
                 .text_len = text_len,
                 .constraints = constraints,
                 .constraints_len = constraints_len,
                 .language = language,
                 .options = options};
    return call_for_result(run_validate, &call);
}

static void run_init(void *arguments)
{
    Call *call = arguments;
    call->result = python_part()->entry_init(call->config);
}

GenerationResultFFI *maze_init(const MazeConfigFFI *config)
{
    Call call = {.config = config};
    return call_for_result(run_init, &call);
}

static void run_health_check(void *arguments)
{
    Call *call = arguments;
    call->result = python_part()->entry_health_check();
}

GenerationResultFFI *maze_health_check(void)
{
    Call call = {0};
    return call_for_result(run_health_check, &call);
}

static void run_list_models(void *arguments)
{
    Call *call = arguments;
    call->result = python_part()->entry_list_models();
}

GenerationResultFFI *maze_list_models(void)
{
    Call call = {0};
    return call_for_result(run_list_models, &call);
}

/* ------------------------------------------------------------------------------------ calls with a status */

static void run_generate_batch(void *arguments)
{
    Call *call = arguments;
    call->status = python_part()->entry_generate_batch(call->intents, call->intents_len, call->constraints,
                                                       call->constraints_len, call->options, call->results);
}

MazeStatus maze_generate_batch(const IntentFFI *intents, size_t intents_len, const ConstraintIRFFI *constraints,
                               size_t constraints_len, const MazeOptionsFFI *options, GenerationResultFFI **results)
{
    if (results == NULL)
        return embed_is_forked_child() ? MAZE_FORKED : MAZE_INVALID_ARGUMENT;
    if (intents_len > MAZE_MAX_ARRAY_LENGTH)
        return embed_is_forked_child() ? MAZE_FORKED : MAZE_LIMIT_EXCEEDED;
    for (size_t i = 0; i < intents_len; i++)
        results[i] = NULL;

    Call call = {.intents = intents,
                 .intents_len = intents_len,
                 .constraints = constraints,
                 .constraints_len = constraints_len,
                 .options = options,
                 .results = results,
                 .status = -1};
    uint64_t started_us = now_us();
    EmbedProblem problem;
    bool called = call_python(run_generate_batch, &call, &problem);
    uint64_t took_ms = ms_since(started_us);
    MazeStatus status = MAZE_OK;
    for (size_t i = 0; i < intents_len; i++) {
        if (results[i] == NULL)
            results[i] = result_of_problem(called ? &python_failed : &problem);
        result_took(results[i], took_ms);
        if (status == MAZE_OK)
            status = maze_result_status(results[i]);
    }
    if (!called)
        return problem.status;
    if (call.status < 0)
        return MAZE_INTERNAL_ERROR;
    return intents_len == 0 ? (MazeStatus)call.status : status;
}

static void run_cache_stats(void *arguments)
{
    Call *call = arguments;
    call->status = python_part()->entry_cache_stats(call->stats);
}

MazeStatus maze_cache_stats(MazeCacheStatsFFI *stats)
{
    if (!structs_can_write_stats(stats))
        return embed_is_forked_child() ? MAZE_FORKED : MAZE_INVALID_ARGUMENT;
    MazeCacheStatsFFI counted;
    Call call = {.stats = &counted};
    MazeStatus status = call_for_status(run_cache_stats, &call);
    if (status == MAZE_OK)
        structs_write_stats(&counted, stats);
    return status;
}

static void run_clear_cache(void *arguments)
{
    Call *call = arguments;
    call->status = python_part()->entry_clear_cache();
}

MazeStatus maze_clear_cache(void)
{
    Call call = {.gives_back = true};
    return call_for_status(run_clear_cache, &call);
}

static void run_shutdown(void *arguments)
{
    Call *call = arguments;
    call->status = python_part()->entry_shutdown();
}

void maze_shutdown(void)
{
    Call call = {.gives_back = true};
    if (embed_is_running())
        call_for_status(run_shutdown, &call);
}

size_t host_text_bytes(const char *text, size_t most)
{
    return strnlen(text, most);
}
