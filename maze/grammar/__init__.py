"""ConstraintIR to one llguidance grammar. Pure: no I/O, no engine, no HTTP."""

from maze.grammar.compose import compile_constraints

__all__ = ["compile_constraints"]
