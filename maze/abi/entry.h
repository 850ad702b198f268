/* What C and Python of libmaze call of each other. build_ffi.py declares both parts to cffi; see calls.c and entry.py. */
#ifndef MAZE_ENTRY_H
#define MAZE_ENTRY_H

#include "maze.h"

/* Written in Python (entry.py), called from calls.c. A NULL or negative return means that Python itself failed. */
/* python begin */
GenerationResultFFI *entry_generate(const IntentFFI *intent, const ConstraintIRFFI *constraints, size_t constraints_len,
                                    const MazeOptionsFFI *options, MazeTextCallback callback, void *user_data);
int entry_generate_batch(const IntentFFI *intents, size_t intents_len, const ConstraintIRFFI *constraints,
                         size_t constraints_len, const MazeOptionsFFI *options, GenerationResultFFI **results);
GenerationResultFFI *entry_compile_constraints(const ConstraintIRFFI *constraints, size_t constraints_len,
                                               const char *language, const MazeOptionsFFI *options);
GenerationResultFFI *entry_validate(const char *text, size_t text_len, const ConstraintIRFFI *constraints,
                                    size_t constraints_len, const char *language, const MazeOptionsFFI *options);
GenerationResultFFI *entry_init(const MazeConfigFFI *config);
GenerationResultFFI *entry_health_check(void);
GenerationResultFFI *entry_list_models(void);
int entry_cache_stats(MazeCacheStatsFFI *stats);
int entry_clear_cache(void);
int entry_shutdown(void);
int entry_log_callback_changed(void);
int entry_log_misuse(const char *message);
/* python end */

/* Written in C, called from entry.py. */
/* c begin */

/* A new result with copies of the texts; `error` is NULL on success, `finish_reason` "" where there is none. Never
   NULL. */
GenerationResultFFI *host_new_result(int status, const char *code, size_t code_len, const char *error, size_t error_len,
                                     const char *json, size_t json_len, const char *finish_reason,
                                     size_t tokens_generated);

/* Whether maze_set_log_callback() has set one. */
bool host_has_log_callback(void);

/* Hand generated text to a callback of the host: what it returns. */
bool host_emit_text(MazeTextCallback callback, const char *text, size_t text_len, void *user_data);

/* Hand a line to the host's log callback, if there is one and this thread is not inside it. */
void host_emit_log(int level, const char *target, const char *message);

/* The host's Python raised KeyboardInterrupt in our code: raise it again once the call has returned. */
void host_interrupt_after_call(void);

/* The host's Python is about to be finalized: refuse all further calls. */
void host_python_ends(void);

/* Whether this process may have only so much memory, as of the last call that began. */
bool host_memory_is_limited(void);

/* Set memory aside for work of native code, which ends the process where it gets none. NULL, or why it cannot be had:
   valid until the next call of this thread. Give back what was set aside when the work is done. */
const char *host_set_memory_aside(size_t bytes);
void host_give_memory_back(size_t bytes);

/* Length of a text, of which no more than `most` bytes are looked at. */
size_t host_text_bytes(const char *text, size_t most);

/* A variable of the environment as it is now, or NULL; os.environ is that of the start. */
const char *host_environment(const char *name);
/* c end */

#endif /* MAZE_ENTRY_H */
