"""The library as Python sees it: what is used of cffi's two objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Pointer = Any
"""A pointer of cffi, whose types exist only at run time."""


class Ffi(Protocol):
    """What is used of cffi's `ffi` object of the library."""

    NULL: Pointer
    typeof: Callable[[Pointer], Any]
    sizeof: Callable[[Any], int]
    cast: Callable[[str, Pointer], Pointer]
    string: Callable[..., bytes]
    buffer: Callable[..., Any]
    def_extern: Callable[..., Callable[[Callable[..., Any]], object]]


class Lib(Protocol):
    """The constants of include/maze.h, and the C functions of maze/abi/entry.h."""

    MAZE_CONSTRAINT_MAGIC: int
    MAZE_CONSTRAINT_FREED_MAGIC: int
    MAZE_MAX_ARRAY_LENGTH: int
    MAZE_MAX_TEXT_BYTES: int
    host_new_result: Callable[..., Pointer]
    host_has_log_callback: Callable[[], bool]
    host_emit_text: Callable[[Pointer, bytes, int, Pointer], bool]
    host_emit_log: Callable[[int, bytes, bytes], None]
    host_interrupt_after_call: Callable[[], None]
    host_python_ends: Callable[[], None]
    host_environment: Callable[[bytes], Pointer]
    host_memory_is_limited: Callable[[], bool]
    host_text_bytes: Callable[[Pointer, int], int]
    host_set_memory_aside: Callable[[int], Pointer]
    host_give_memory_back: Callable[[int], None]
