/**
 * \file maze.h
 * \brief libmaze: ask a language model for code that provably obeys constraints.
 *
 * This header is the contract, and the one source of the layouts, defaults,
 * versions and status codes of libmaze: the library, the Zig package and the
 * Python package are checked against it.
 *
 * Lifecycle.  No call is required before maze_generate(): the first call
 *   starts an embedded Python interpreter (tens of milliseconds) and reads the
 *   configuration from the environment.  maze_init() sets it from the program
 *   instead.  maze_shutdown() ends every generation under way and drops the
 *   engine; a call after it starts anew.  Nothing has to be called before
 *   exit().
 *
 * Ownership.  The caller owns everything it passes in and may free it as soon
 *   as the call returns.  The library owns every GenerationResultFFI and all
 *   that hangs from it; give each back once with maze_free_result().  The
 *   address of a result is never that of another in the life of the process:
 *   a pointer to a freed one is known as such however late it comes back.  A
 *   freed result costs no memory, a live one 48 bytes and its texts, or the
 *   page it lies on if it is the last there.
 *
 * Memory.  Where the process has a limit (RLIMIT_AS, RLIMIT_DATA), a call asks
 *   first what is left under it, for itself and for those under way, and is
 *   MAZE_OUT_OF_MEMORY if that may not do: the error names the limit, what is
 *   left and what is needed.  The first call needs 224 MiB, any other 32 MiB
 *   (160 MiB the first of each thread) and a multiple of its input; what has
 *   to be compiled or checked, 256 MiB, and the first such call 640 MiB more.
 *
 * Threads.  Every function may be called from any thread at any time, with any
 *   stack size the system allows.  A call waits without holding back others.
 *   pthread_cancel() takes effect after the call.  Exit handlers, and
 *   destructors of threads and of the program, may call as well.  (Threads of
 *   the library live on: where main() ends with pthread_exit(), somebody must
 *   call exit() at last.)
 *
 * Processes.  The embedded engine runs in a process of its own, which the host
 *   never notices: it is no child of the host for wait() or SIGCHLD, is in a
 *   session of its own, has none of the host's files, and is gone within a
 *   second after maze_shutdown() or the end of the host, however that came.
 *   (A host that is process 1 or a subreaper inherits it, as it does all
 *   orphans, and finds it with wait() once it has ended.)
 *
 * Descriptors.  All are close-on-exec.  None is ever one of the standard
 *   descriptors: where 0, 1 or 2 is closed, a call puts something there that
 *   can be neither read nor written, as if it were closed still, so that the
 *   host's output cannot end up on a connection.  The host's next open() does
 *   not return that number then; dup2() onto it is the way, and is left alone.
 *   (One that is closed while a call is under way may be the resolver's for as
 *   long as that looks up a name: close them before, or between calls.)
 *
 * Fork.  After the first call, a descendant made by fork() without exec() gets
 *   a MAZE_FORKED error from every function, also if it has got the same pid.
 *   A fork before the first call, and fork followed by exec, are fine.  A child
 *   of vfork(), which has the memory of its parent, gets it at any time, and
 *   its parent is none the worse for that.
 *
 * Signals, locale, environment, stdout.  libmaze never changes or uses them.
 *   A call, its callbacks included, has the default floating-point
 *   environment; that of the host is back when it returns.
 *
 * Strings.  All are NUL-terminated UTF-8.  Invalid UTF-8 is an error that
 *   names the field and the byte offset, except in ConstraintIRFFI.name, which
 *   is a label, and ends before the first byte that is not UTF-8.  A text of the
 *   engine that holds U+0000, which no C string can, is MAZE_BAD_RESPONSE with
 *   what came before it.
 *
 * ABI.  The structs are frozen for one MAZE_ABI_VERSION, which is also the
 *   SONAME.  Structs that may grow, at their end, begin with struct_size: the
 *   sizeof of the struct in the header that the program was compiled with.
 *   In a smaller struct than the library's, the fields that are missing have
 *   their defaults; counters that are missing are not written.  A larger one
 *   is taken as long as what the library does not know is 0; counters that it
 *   does not know are set to 0.  Nothing beyond struct_size is touched.  A size
 *   is a multiple of 8 from 16 to 4096; others are MAZE_INVALID_ARGUMENT.
 */
#ifndef MAZE_H
#define MAZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MAZE_API __attribute__((visibility("default")))
#else
#define MAZE_API
#endif

/** Version of the library as text; maze_version() returns it. */
#define MAZE_VERSION "0.1.0"

/* build_ffi.py declares everything from here to "cdef end" to cffi. */
/* cdef begin */

/** Incompatible changes of this header raise it; maze_abi_version() returns it. */
#define MAZE_ABI_VERSION 1

/** ConstraintIRFFI.magic of a live constraint: "ANKE_FFI" in ASCII. */
#define MAZE_CONSTRAINT_MAGIC 0x414E4B455F464649

/** ConstraintIRFFI.magic after Braid freed the constraint. */
#define MAZE_CONSTRAINT_FREED_MAGIC 0xDEADDEADDEADDEAD

/** Longest array of constraints, intents or strings a call takes; more is MAZE_LIMIT_EXCEEDED. */
#define MAZE_MAX_ARRAY_LENGTH 1000000

/** Longest text a call takes in one field, in bytes; more is MAZE_LIMIT_EXCEEDED. */
#define MAZE_MAX_TEXT_BYTES 67108864

/* ------------------------------------------------------------- Status -- */

/** What became of a call: one value for each thing a caller can act on. Python and Zig repeat these sentences. */
typedef enum MazeStatus {
    /** Done; the code satisfies every constraint. */
    MAZE_OK = 0,
    /** An argument is wrong (null, magic, length, UTF-8, option): fix the call. */
    MAZE_INVALID_ARGUMENT = 1,
    /** A constraint cannot be read (broken JSON, bad regex, undefined symbol): fix it. */
    MAZE_INVALID_CONSTRAINT = 2,
    /** A constraint can be neither enforced nor checked: drop it, or set on_unenforceable. */
    MAZE_UNSUPPORTED_CONSTRAINT = 3,
    /** No text can satisfy the constraints together: the error names them. */
    MAZE_CONTRADICTION = 4,
    /** The text does not satisfy a constraint: the validation says which, and where. */
    MAZE_CONSTRAINT_VIOLATED = 5,
    /** The text was cut off before it was complete: raise max_tokens. The text is kept. */
    MAZE_TRUNCATED = 6,
    /** The configuration is wrong: the error names the variable or field. */
    MAZE_CONFIGURATION = 7,
    /** Python or a package could not be started: the error says what is missing. */
    MAZE_STARTUP_FAILED = 8,
    /** The engine cannot be reached, is loading, or failed after all retries: try later. */
    MAZE_ENGINE_UNAVAILABLE = 9,
    /** The engine refused the key: check MODAL_API_KEY. */
    MAZE_UNAUTHORIZED = 10,
    /** The engine asks for fewer requests: wait. */
    MAZE_RATE_LIMITED = 11,
    /** The engine refused the request itself: the error carries its reason. */
    MAZE_REQUEST_REJECTED = 12,
    /** The engine answered something that is not its protocol. */
    MAZE_BAD_RESPONSE = 13,
    /** The deadline passed. Text that had arrived is kept. */
    MAZE_TIMED_OUT = 14,
    /** The caller or a shutdown ended the call. Text that had arrived is kept. */
    MAZE_CANCELLED = 15,
    /** An input or the work it asks for is over a documented limit. */
    MAZE_LIMIT_EXCEEDED = 16,
    /** Memory ran out, or what a process may have of threads or open files. */
    MAZE_OUT_OF_MEMORY = 17,
    /** The process forked after libmaze had started; exec first. */
    MAZE_FORKED = 18,
    /** A defect in libmaze: please report it. */
    MAZE_INTERNAL_ERROR = 19
} MazeStatus;

/* ------------------------------------------------ Structs shared with Braid -- */

/** Token ids of the engine's vocabulary that the output may or must not contain. */
typedef struct TokenMaskRulesFFI {
    /** Only these ids may appear; NULL for no such rule. Borrowed during the call. */
    const uint32_t *allowed_tokens;
    /** Number of ids in allowed_tokens. */
    size_t allowed_tokens_len;
    /** These ids never appear; NULL for no such rule. Borrowed during the call. */
    const uint32_t *forbidden_tokens;
    /** Number of ids in forbidden_tokens. */
    size_t forbidden_tokens_len;
} TokenMaskRulesFFI;

/**
 * One compiled constraint set, as Braid makes it. Every pointer may be NULL;
 * a NULL pointer with a length over 0 is an error. All of it is borrowed
 * during the call. By hand:
 *
 *     ConstraintIRFFI colour = {.magic = MAZE_CONSTRAINT_MAGIC,
 *                               .json_schema = "{\"enum\": [\"red\", \"blue\"]}"};
 */
typedef struct ConstraintIRFFI {
    /** MAZE_CONSTRAINT_MAGIC; anything else is MAZE_INVALID_ARGUMENT. */
    uint64_t magic;
    /** JSON Schema, plain or in Braid's shape ("schema_type"), as JSON text. */
    const char *json_schema;
    /** Grammar: Braid's JSON ("start_symbol"), Lark ("start:") or GBNF ("root ::="). */
    const char *grammar;
    /** Regular expressions; `^...$` describes the whole output, others something it contains. */
    const char *const *regex_patterns;
    /** Number of patterns in regex_patterns. */
    size_t regex_patterns_len;
    /** Token masks. */
    const TokenMaskRulesFFI *token_masks;
    /** Of constraints that cannot be enforced together, the highest is enforced, the others checked. */
    uint32_t priority;
    /** A label for error messages. */
    const char *name;
} ConstraintIRFFI;

/** What is wanted. All strings are borrowed during the call. */
typedef struct IntentFFI {
    /** What the user said. Never NULL. */
    const char *raw_input;
    /** The prompt made from it; NULL for raw_input itself. */
    const char *prompt;
    /** Path of the file the code is for, told to the model and never opened; may be NULL. */
    const char *current_file;
    /**
     * Programming language of the code: typescript, javascript, python, rust,
     * go, java, c, cpp, csharp, kotlin, zig, php, ruby or swift; may be NULL
     * unless a grammar in Braid's shape needs it.
     */
    const char *language;
} IntentFFI;

/**
 * The answer of a call. Owned by the library until maze_free_result(); the
 * strings live exactly as long as the result.
 */
typedef struct GenerationResultFFI {
    /** The generated code; on failure empty, or the text that had arrived. Never NULL. */
    const char *code;
    /** True if the call did what it was asked to and every constraint is satisfied. */
    bool success;
    /** NULL on success, else a readable text that begins with "libmaze: ". */
    const char *error;
    /** Number of tokens the engine generated; on failure as many as it had told by then, 0 if none. */
    size_t tokens_generated;
    /**
     * Time from the call to its result, in milliseconds; of a batch, that of
     * the whole. maze_result_json() has what a generation itself took.
     */
    uint64_t generation_time_ms;
} GenerationResultFFI;

/* ----------------------------------------------------- Options and configuration -- */

/** What to do with a constraint that can be neither enforced nor checked. */
typedef enum MazeUnenforceable {
    /** Fail with MAZE_UNSUPPORTED_CONSTRAINT before any request. */
    MAZE_UNENFORCEABLE_ERROR = 0,
    /** Go on without it. A text is still made, and given in `code`, but is no
     *  success: MAZE_UNSUPPORTED_CONSTRAINT, with the reason in the warnings. */
    MAZE_UNENFORCEABLE_REPORT = 1
} MazeUnenforceable;

/** What to do with constraints that no text satisfies together. */
typedef enum MazeConflict {
    /** Fail with MAZE_CONTRADICTION before any request. */
    MAZE_CONFLICT_ERROR = 0,
    /** Go on with those of the highest priority; of equals, with the schema
     *  rather than the grammar, and that rather than a pattern. A text is
     *  still made, and given in `code`, but is no success: MAZE_CONTRADICTION,
     *  with the reason in the warnings. */
    MAZE_CONFLICT_REPORT = 1
} MazeConflict;

/** How a grammar of Braid's token classes is taken, which lists what Braid has seen in a source. */
typedef enum MazeBraidGrammar {
    /** As the configuration says: MAZE_BRAID_GRAMMAR, else as it is written. */
    MAZE_BRAID_GRAMMAR_CONFIGURED = 0,
    /** As it is written: the code is one of its texts. */
    MAZE_BRAID_GRAMMAR_AS_GRAMMAR = 1,
    /** As a hint: the grammar of the language itself (`%language`) is enforced
     *  in its place, where there is one, with patterns for names beside it on
     *  what the code declares. What it asks for is told to the model and
     *  reported. A language without a grammar: as MAZE_BRAID_GRAMMAR_AS_GRAMMAR,
     *  with a warning. */
    MAZE_BRAID_GRAMMAR_AS_LANGUAGE = 2,
    /** The same, and the code must have what it asks for. */
    MAZE_BRAID_GRAMMAR_AS_LANGUAGE_CHECKED = 3
} MazeBraidGrammar;

/** How the model is spoken to. */
typedef enum MazePromptForm {
    /** As the configuration says. */
    MAZE_PROMPT_FORM_CONFIGURED = 0,
    /** As it was trained: through its chat template where the engine has one, else raw. */
    MAZE_PROMPT_FORM_CHAT = 1,
    /** The prompt is completed as it stands, without a template and without descriptions of constraints. */
    MAZE_PROMPT_FORM_RAW = 2
} MazePromptForm;

/** Who says a message of a conversation. */
typedef enum MazeRole { MAZE_ROLE_USER = 0, MAZE_ROLE_ASSISTANT = 1 } MazeRole;

/** An earlier turn of a conversation. The text is borrowed during the call. */
typedef struct MazeMessageFFI {
    /** One of MazeRole. */
    uint32_t role;
    /** What was said. Never NULL. */
    const char *text;
} MazeMessageFFI;

/** What becomes of a constrained text that max_tokens or the context cut off where it could have gone on. */
typedef enum MazeWhenCutOff {
    /** It is MAZE_TRUNCATED, satisfied or not. */
    MAZE_WHEN_CUT_OFF_ERROR = 0,
    /** It is a success if it satisfies its constraints as it stands. */
    MAZE_WHEN_CUT_OFF_ACCEPT = 1,
    /** The shortest legal ending is appended; a stream gets it as well. Not under token masks. */
    MAZE_WHEN_CUT_OFF_COMPLETE = 2
} MazeWhenCutOff;

/**
 * Options of one call. Begin with MAZE_OPTIONS_INIT or maze_options_init(),
 * which leave everything to the configuration, and set what you need: zeros
 * are not the defaults.
 */
typedef struct MazeOptionsFFI {
    /** sizeof(MazeOptionsFFI). */
    size_t struct_size;
    /** Most tokens to generate; 0 for the configured value. */
    uint32_t max_tokens;
    /** Time for the whole call, compiling and retries included, in milliseconds; 0 for the configured. In a
     *  batch, for each intent from when its turn comes. */
    uint32_t timeout_ms;
    /** Sampling temperature from 0 (always the likeliest token) to 2; below 0 for the configured value. */
    double temperature;
    /** Nucleus sampling: share of the probability mass to sample from, over 0 to 1; below 0 for 1. */
    double top_p;
    /** Sample from the top_k likeliest tokens; 0 for all. */
    uint32_t top_k;
    /** One of MazeUnenforceable. */
    uint32_t on_unenforceable;
    /** Seed of the sampler from 0 to 4294967295; below 0 for a random one. */
    int64_t seed;
    /** Model to use; NULL for the configured one. */
    const char *model;
    /** Texts that end the generation and are not part of the code; at most 4, each of 1 to 1024 bytes. */
    const char *const *stop;
    /** Number of texts in stop. */
    size_t stop_len;
    /** System prompt; NULL for none. */
    const char *system;
    /** Earlier turns, oldest first; the intent is the user's turn after them. May be NULL when messages_len is 0. */
    const MazeMessageFFI *messages;
    /** Number of messages. */
    size_t messages_len;
    /**
     * The code begins with this text, which counts for the constraints, and the
     * model goes on from it: the way to go on from a text that was cut off.
     * NULL or "" for a text from its beginning.
     */
    const char *continue_from;
    /** One of MazePromptForm. */
    uint32_t prompt_form;
    /** Tell the model what the constraints are: 1 yes, 0 no, below 0 for the default. */
    int32_t describe_constraints;
    /**
     * Most tokens that the model may think before it answers, beside
     * max_tokens; 0 or below for no thinking. Thoughts are outside the
     * constraints, no part of `code`, and handed to no callback:
     * maze_result_json() has them in metadata.reasoning. They count in
     * tokens_generated.
     */
    int32_t reasoning_tokens;
    /**
     * Most generations for one result, 1 to 100: a text that breaks what is
     * only checked is followed by another, with the next seed and in the same
     * time; in a chat the model is told what was wrong. `tokens_generated` is
     * that of all, metadata.attempts of maze_result_json() lists them. Once a
     * callback got text there is no other. 0 for the configured value.
     */
    uint32_t max_attempts;
    /** One of MazeWhenCutOff. */
    uint32_t when_cut_off;
    /**
     * Log-probability of each token, and of so many of the likeliest in its
     * place, 0 to 20, in metadata.logprobs of maze_result_json(): null there
     * where the engine gives none. Below 0 for no log-probabilities.
     */
    int32_t top_logprobs;
    /** One of MazeConflict. */
    uint32_t on_conflict;
    /** One of MazeBraidGrammar. */
    uint32_t braid_grammar;
    /**
     * Parts of the constraints that are left out: paths, such as
     * "constraints[0].grammar", "constraints[1].regex_patterns[2]" or
     * "constraints[3]", or kinds: "json_schema", "grammar", "regex_patterns",
     * "token_masks". maze_result_json() lists them as "ignored", and in the
     * warnings; `success` is about the others. May be NULL when ignore_len is 0.
     */
    const char *const *ignore;
    /** Number of texts in ignore. */
    size_t ignore_len;
} MazeOptionsFFI;

/**
 * Configuration of the process. Begin with MAZE_CONFIG_INIT or
 * maze_config_init(), which leave everything to the environment, and set what
 * you need: zeros are not the defaults.
 */
typedef struct MazeConfigFFI {
    /** sizeof(MazeConfigFFI). */
    size_t struct_size;
    /**
     * URL of the inference service, with or without /v1 at its end, or several
     * with commas between; NULL for MODAL_ENDPOINT, and where that is not set
     * for Ananke's own settings (README); "" for the embedded engine.
     */
    const char *endpoint;
    /** Key of the service; NULL for MODAL_API_KEY. Appears in no log, error or result. */
    const char *api_key;
    /** Model name at the service; NULL for MODAL_MODEL. */
    const char *model;
    /** Path of a GGUF file for the embedded engine; NULL for MAZE_LOCAL_MODEL. */
    const char *local_model;
    /** What the service speaks: maze, vllm, sglang, llama.cpp, openai, anthropic, ananke-sglang, ananke-chat,
     *  ananke-modal or ananke-eval; NULL for MAZE_DIALECT; "" to ask it. */
    const char *dialect;
    /** Log filter such as "maze=debug"; NULL for MAZE_LOG; "" for none. */
    const char *log_filter;
    /** Most tokens to generate where a call does not say; 0 for 2048. */
    uint32_t max_tokens;
    /** Time for a whole call where it does not say, in seconds; 0 for 300. Ananke's settings can say otherwise. */
    uint32_t timeout_secs;
    /** Sampling temperature where a call does not say; below 0 for 0.7. */
    double temperature;
    /** Keep compiled constraints: 1 yes, 0 no, below 0 for yes. */
    int32_t enable_cache;
    /** Compiled constraints kept; 0 for 1000. */
    uint32_t cache_size_limit;
    /** One of MazePromptForm; 0 for MAZE_PROMPT, which is "chat" or "raw". */
    uint32_t prompt_form;
    /** Most generations for one result where a call does not say, 1 to 100; 0 for 3 where a part is only checked,
     *  else for 1. */
    uint32_t max_attempts;
} MazeConfigFFI;

/** Counters of the cache of compiled constraints since the start or maze_init(). */
typedef struct MazeCacheStatsFFI {
    /** sizeof(MazeCacheStatsFFI), set by the caller. */
    size_t struct_size;
    /** Calls that found their constraints compiled. */
    uint64_t hits;
    /** Calls that had to compile them. */
    uint64_t misses;
    /** Entries dropped to make room. */
    uint64_t evictions;
    /** Entries held now. */
    uint64_t entries;
    /** Memory they hold, in bytes (estimated from the sizes of their texts and matchers). */
    uint64_t bytes;
} MazeCacheStatsFFI;

/* ---------------------------------------------------------- Callbacks -- */
/* A callback must return: a C++ exception or pthread_exit() that leaves it
 * ends the process with abort(), and longjmp() out of it is undefined. It may
 * take its time, and may call every function of this header, and exit(). A
 * log callback is not called for what its own thread does within it; lines of
 * other threads reach it meanwhile, those that a call in it starts as well
 * (maze_generate_batch()), so it must not wait for them under a lock it takes. */

/** Severity of a log line. */
typedef enum MazeLogLevel {
    MAZE_LOG_ERROR = 1,
    MAZE_LOG_WARN = 2,
    MAZE_LOG_INFO = 3,
    MAZE_LOG_DEBUG = 4,
    /** The only level that shows prompts and generated text. */
    MAZE_LOG_TRACE = 5
} MazeLogLevel;

/**
 * Receives log lines, from any thread and possibly from several at once.
 * `target` (such as "maze.backends.http.backend") and `message` are valid during the
 * callback. Log lines caused by calls made from within it are dropped.
 */
typedef void (*MazeLogCallback)(MazeLogLevel level, const char *target, const char *message, void *user_data);

/**
 * Receives generated text as it arrives: `text_len` bytes of whole UTF-8
 * characters, NUL-terminated, valid during the callback, on the thread that
 * called maze_generate_stream() or, if that thread's stack is small, one that
 * stands in for it. Return false to cancel the generation.
 */
typedef bool (*MazeTextCallback)(const char *text, size_t text_len, void *user_data);

/* ---------------------------------------------------------- Functions -- */
/* cdef end */

/** MAZE_VERSION of the library that is loaded. Static; never NULL; starts nothing. */
MAZE_API const char *maze_version(void);

/** MAZE_ABI_VERSION of the library that is loaded. Starts nothing. */
MAZE_API uint32_t maze_abi_version(void);

/**
 * Generate code for an intent under constraints that all hold, with the
 * configured defaults.
 *
 * \param intent           What is wanted. Borrowed during the call.
 * \param constraints      Array of structs (not of pointers). May be NULL when
 *                         constraints_len is 0: an unconstrained request.
 * \param constraints_len  Number of constraints.
 * \return A result, never NULL; free it with maze_free_result(). Look at
 *         `success` first. maze_result_status() tells what a failure means.
 */
MAZE_API GenerationResultFFI *maze_generate(const IntentFFI *intent, const ConstraintIRFFI *constraints,
                                            size_t constraints_len);

/** maze_generate() with options; NULL options are MAZE_OPTIONS_INIT. */
MAZE_API GenerationResultFFI *maze_generate_with(const IntentFFI *intent, const ConstraintIRFFI *constraints,
                                                 size_t constraints_len, const MazeOptionsFFI *options);

/**
 * maze_generate_with() that hands the text to `callback` as it arrives. The
 * result is the same as without streaming; its `code` is `continue_from` of the
 * options, if any, and the pieces together. Text is handed out before it is
 * complete, so before it can be checked in full: trust it when the result says
 * success.
 */
MAZE_API GenerationResultFFI *maze_generate_stream(const IntentFFI *intent, const ConstraintIRFFI *constraints,
                                                   size_t constraints_len, const MazeOptionsFFI *options,
                                                   MazeTextCallback callback, void *user_data);

/**
 * Generate for several intents at once under the same constraints. Up to 32
 * are under way at a time; the others wait for their turn.
 *
 * \param results  Array of intents_len pointers that receives one result for
 *                 each intent, in order, none NULL; free each with
 *                 maze_free_result(). One failure does not touch the others.
 * \return MAZE_OK if every result succeeded, else the status of the first that
 *         did not. With nothing written: MAZE_INVALID_ARGUMENT if `results` is
 *         NULL, MAZE_LIMIT_EXCEEDED if intents_len is over MAZE_MAX_ARRAY_LENGTH.
 */
MAZE_API MazeStatus maze_generate_batch(const IntentFFI *intents, size_t intents_len,
                                        const ConstraintIRFFI *constraints, size_t constraints_len,
                                        const MazeOptionsFFI *options, GenerationResultFFI **results);

/**
 * Compile constraints without generating; needs no engine.
 *
 * \param language  As IntentFFI.language; may be NULL.
 * \param options   Only on_unenforceable, on_conflict, ignore and
 *                  braid_grammar count; may be NULL.
 * \return A result with `success` true if they can be kept, whose `code` is the
 *         grammar text that an engine would get (empty if nothing is to be
 *         enforced) and whose maze_result_json() lists what is enforced, checked
 *         and vacuous, and the warnings.
 */
MAZE_API GenerationResultFFI *maze_compile_constraints(const ConstraintIRFFI *constraints, size_t constraints_len,
                                                       const char *language, const MazeOptionsFFI *options);

/**
 * Check a text against constraints without generating; needs no engine.
 *
 * \param text      The text; may hold NUL bytes. Borrowed during the call.
 * \param text_len  Its length in bytes.
 * \param language  As IntentFFI.language; may be NULL.
 * \param options   Only on_unenforceable, on_conflict, ignore and
 *                  braid_grammar count; may be NULL.
 * \return A result with `success` true if every constraint is satisfied; else
 *         the status is MAZE_CONSTRAINT_VIOLATED (or what kept it from being
 *         checked). `code` is empty; maze_result_json() holds the validation
 *         with offset, line and what was expected for each constraint.
 */
MAZE_API GenerationResultFFI *maze_validate(const char *text, size_t text_len, const ConstraintIRFFI *constraints,
                                            size_t constraints_len, const char *language,
                                            const MazeOptionsFFI *options);

/**
 * What became of the call that made `result`. MAZE_INVALID_ARGUMENT for NULL,
 * a freed result or a foreign pointer.
 */
MAZE_API MazeStatus maze_result_status(const GenerationResultFFI *result);

/**
 * How the text of a generation ended: "stop" (by itself, or at a stop text),
 * "length" (max_tokens or the context cut it off), "completed" (it was cut
 * off, and libmaze has seen to its end: see MAZE_WHEN_CUT_OFF_COMPLETE),
 * "cancelled", "timed_out", "error", and others may come. Owned by the result;
 * never NULL; "" where it is not known or nothing was generated, and for NULL,
 * a freed result or a foreign pointer.
 */
MAZE_API const char *maze_result_finish_reason(const GenerationResultFFI *result);

/**
 * The report of the call that made the result, as one JSON object: status,
 * success and error, and what the call decides of provenance, validation,
 * metadata and others (docs/report.md, docs/report.schema.json). A generation
 * that failed has them as far as they are known; what is not known is null.
 * Owned by the result; never NULL; "{}" for NULL, a freed result or a foreign
 * pointer.
 */
MAZE_API const char *maze_result_json(const GenerationResultFFI *result);

/**
 * Give a result back. A no-op on NULL. A result freed before, however long
 * ago, and a pointer that is no result are left alone and logged. Any thread,
 * also after maze_shutdown(). The struct says "libmaze: this result was freed"
 * until 20,000 more were freed; to read it later is a fault, as its memory is
 * given back. Its texts are gone at once.
 */
MAZE_API void maze_free_result(GenerationResultFFI *result);

/**
 * maze_free_result() by the name that it had in Ananke's Rust crate, for hosts
 * that were written for that: the same in everything.
 */
MAZE_API void free_generation_result_ffi(GenerationResultFFI *result);

/**
 * For hosts that were written for Ananke's Rust crate, which made constraints
 * itself and freed them with this. libmaze makes none: every ConstraintIRFFI,
 * and all that hangs from it, belongs to whoever made it, and is freed by that
 * one's function (Braid's: ananke_free_constraint_ir()) or by the host. So this
 * neither frees, reads nor changes anything, on whatever pointer; one that is
 * not NULL is logged, as its memory is still to be freed. In a host that links
 * a library with a function of this name of its own, that one is called if it
 * comes first in the order of linking.
 */
MAZE_API void free_constraint_ir_ffi(ConstraintIRFFI *constraint);

/** Name of a status, such as "MAZE_TIMED_OUT"; static; "MAZE_UNKNOWN" for other numbers. Starts nothing. */
MAZE_API const char *maze_status_name(MazeStatus status);

/**
 * Configure the process; optional. Fails if libmaze is configured already: by
 * an earlier maze_init(), or by a call that read the environment. Then call
 * maze_shutdown() first.
 *
 * \param config  NULL for the environment.
 * \return A result with `success` true, or an error that names the field.
 */
MAZE_API GenerationResultFFI *maze_init(const MazeConfigFFI *config);

/**
 * End every generation under way with MAZE_CANCELLED, drop the engine, the
 * cache and the configuration. Constraints being compiled and texts being
 * checked are finished. Results stay valid. The next call starts anew. A no-op
 * if nothing was started.
 */
MAZE_API void maze_shutdown(void);

/** Fill `stats`, as far as its struct_size goes. MAZE_INVALID_ARGUMENT for NULL or a struct_size that is none. */
MAZE_API MazeStatus maze_cache_stats(MazeCacheStatsFFI *stats);

/** Drop all compiled constraints. The counters go on. */
MAZE_API MazeStatus maze_clear_cache(void);

/**
 * Ask the engine whether it is ready; starts the embedded engine.
 * \return `success` true if it is; maze_result_json() holds its report, by endpoint.
 */
MAZE_API GenerationResultFFI *maze_health_check(void);

/**
 * \return A result whose maze_result_json() has "models": ["...", ...], and "models_cut": whether the engine has more.
 */
MAZE_API GenerationResultFFI *maze_list_models(void);

/**
 * Send log lines to `callback` in place of stderr; NULL for stderr again. Which
 * lines there are, MAZE_LOG or MazeConfigFFI.log_filter says. When it returns, the former
 * callback is not running and will not be called again (except when called
 * from within that callback itself).
 */
MAZE_API void maze_set_log_callback(MazeLogCallback callback, void *user_data);

/**
 * Make a MazeOptionsFFI what MAZE_OPTIONS_INIT makes it, for languages that
 * cannot read a brace initialiser. A no-op on NULL. Starts nothing.
 */
MAZE_API void maze_options_init(MazeOptionsFFI *options);

/** maze_options_init() for a MazeConfigFFI and MAZE_CONFIG_INIT. */
MAZE_API void maze_config_init(MazeConfigFFI *config);

/** Initial value of a MazeOptionsFFI: all defaults. */
#define MAZE_OPTIONS_INIT                                                                                              \
    {sizeof(MazeOptionsFFI), 0, 0, -1.0, -1.0, 0, MAZE_UNENFORCEABLE_ERROR, -1, NULL, NULL, 0, NULL, NULL, 0, NULL,    \
     MAZE_PROMPT_FORM_CONFIGURED, -1, -1, 0, MAZE_WHEN_CUT_OFF_ERROR, -1, MAZE_CONFLICT_ERROR,                      \
     MAZE_BRAID_GRAMMAR_CONFIGURED, NULL, 0}

/** Initial value of a MazeConfigFFI: all from the environment. */
#define MAZE_CONFIG_INIT {sizeof(MazeConfigFFI), NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, -1.0, -1, 0, 0, 0}

#ifdef __cplusplus
}
#endif

#endif /* MAZE_H */
