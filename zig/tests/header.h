/* What `zig build test` compares with src/c.zig: the header, and its initialisers as values that Zig can read. */
#include "maze.h"

static const MazeOptionsFFI header_options_init = MAZE_OPTIONS_INIT;
static const MazeConfigFFI header_config_init = MAZE_CONFIG_INIT;
