"""The version of libmaze, equal to MAZE_VERSION in include/maze.h (tests hold the two together)."""

__version__ = "0.1.0"
