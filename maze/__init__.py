"""Ask a language model for code that provably obeys constraints.

Everything that the C API of libmaze does, with the same names: see include/maze.h.
"""
