/* The functions of libmaze.so.1 by their names, of which this part has but a table. Internal to libmaze. */
#ifndef MAZE_HOST_H
#define MAZE_HOST_H

#include "python_part.h"

extern const HostPart *host_part; /* set before Python is started */

#define embed_fail host_part->embed_fail
#define host_new_result host_part->host_new_result
#define host_has_log_callback host_part->host_has_log_callback
#define host_emit_log host_part->host_emit_log
#define host_interrupt_after_call host_part->host_interrupt_after_call
#define host_python_ends host_part->host_python_ends
#define host_memory_is_limited host_part->host_memory_is_limited
#define host_set_memory_aside host_part->host_set_memory_aside
#define host_give_memory_back host_part->host_give_memory_back
#define host_text_bytes host_part->host_text_bytes
#define host_environment host_part->host_environment

/* bridge.h: let cffi attach to the running Python. False if it could not. */
bool bridge_start_cffi(void);

#endif /* MAZE_HOST_H */
