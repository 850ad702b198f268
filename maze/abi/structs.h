/* Structs that may grow, as hosts with older and newer headers hand them over. Internal to libmaze. */
#ifndef MAZE_STRUCTS_H
#define MAZE_STRUCTS_H

#include "start.h"

/*
 * Copy what the host gave over the defaults: `options` and `config` are whole then, whatever header the host has. Not a
 * byte beyond struct_size is read. False, with `problem` filled in, for a size that is none, or a field not known here.
 */
bool structs_read_options(const MazeOptionsFFI *given, MazeOptionsFFI *options, EmbedProblem *problem);
bool structs_read_config(const MazeConfigFFI *given, MazeConfigFFI *config, EmbedProblem *problem);

/* Whether the host's struct_size is one, and counters can be written. */
bool structs_can_write_stats(const MazeCacheStatsFFI *wanted);

/* Write the counters that the host's header has, and 0 to those that only it has. */
void structs_write_stats(const MazeCacheStatsFFI *counted, MazeCacheStatsFFI *wanted);

#endif /* MAZE_STRUCTS_H */
