"""Starts a program that is no child of this process: its host's wait(-1), SIGCHLD and process group never see it.

A process in between is made by clone() without an exit signal, which hides it from wait(-1) and sends no SIGCHLD. As
exec() would give that signal back, it does not exec: it calls posix_spawn() itself and ends, and what it spawned is
left to init. It shares this process's memory, as after vfork(), and no code of Python may run in it; so clone() enters
a context of makecontext() that calls posix_spawn(), and after it one that calls _exit(). The thread that calls clone()
stands still meanwhile (2 ms), others go on. No handler of pthread_atfork() runs, and nothing is copied.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maze.threads import signals_left_to_the_host

_CLONE_VM = 0x100
_CLONE_VFORK = 0x4000
_WAIT_FOR_CLONES = 0x40000000
"""__WALL of waitpid(): also children without an exit signal."""
_SPAWN_FLAGS = 0x04 | 0x08 | 0x80
"""POSIX_SPAWN_SETSIGDEF, POSIX_SPAWN_SETSIGMASK, POSIX_SPAWN_SETSID."""

_CONTEXT_BYTES = 16384
"""More than a `ucontext_t` has on x86-64 (968) and aarch64 (4,560)."""
_STACK_BYTES = 65536
_ACTIONS_BYTES, _ATTRIBUTES_BYTES, _SIGNALS_BYTES = 256, 1024, 128
"""No less than posix_spawn_file_actions_t (80), posix_spawnattr_t (336) and sigset_t (128) of glibc."""


STACK_BYTES = 8 * 1024 * 1024
"""Least limit of the program's stacks, if it may be raised so far: the host may live with 16 KB, others do not."""
_LIMITS = struct.Struct("QQ")
"""A `struct rlimit`."""


def spawn(program: str, arguments: Sequence[str], environment: Mapping[str, str], files: Sequence[int]) -> None:
    """Start `program` in a session of its own, with default signals and, if it may have them, stacks of STACK_BYTES.

    It gets /dev/null as 0 to 2, `files` as 3 and up, and no other descriptor of this process, but for those not
    close-on-exec where glibc is older than 2.34. It must watch for the end of this process itself. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    kept: list[Any] = []

    def kept_array(texts: Sequence[str]) -> int:
        array = (ctypes.c_char_p * (len(texts) + 1))(*map(os.fsencode, texts), None)
        kept.append(array)
        return ctypes.addressof(array)

    def buffer(size: int, fill: bytes = b"\0") -> Any:  # noqa: ANN401 - ctypes
        made = ctypes.create_string_buffer(fill * size, size)
        kept.append(made)
        return made

    def context(function: Callable[..., Any], *arguments: int, then: int | None) -> int:
        """A context that calls `function` and goes on with the context at `then`."""
        made, stack = buffer(_CONTEXT_BYTES), buffer(_STACK_BYTES)
        _checked(libc.getcontext(made), ctypes.get_errno)
        # Both architectures begin with flags, link, and base, flags and size of the stack, a word each.
        words = ctypes.cast(made, ctypes.POINTER(ctypes.c_void_p))
        words[1], words[2], words[4] = then, ctypes.addressof(stack), _STACK_BYTES
        libc.makecontext(made, _address(function), len(arguments), *map(ctypes.c_void_p, arguments))
        return ctypes.addressof(made)

    actions, attributes = buffer(_ACTIONS_BYTES), buffer(_ATTRIBUTES_BYTES)
    _checked(libc.posix_spawn_file_actions_init(actions))
    _checked(libc.posix_spawnattr_init(attributes))
    # The numbers that are given to files must not be those of files that are still to be given.
    above = [_duplicate_above(descriptor, 3 + len(files)) for descriptor in files]
    try:
        for number in range(3):
            _checked(libc.posix_spawn_file_actions_addopen(actions, number, b"/dev/null", os.O_RDWR, 0))
        for number, descriptor in enumerate(above, 3):
            _checked(libc.posix_spawn_file_actions_adddup2(actions, descriptor, number))
        if hasattr(libc, "posix_spawn_file_actions_addclosefrom_np"):  # glibc 2.34; else the program closes them
            _checked(libc.posix_spawn_file_actions_addclosefrom_np(actions, 3 + len(files)))
        _checked(libc.posix_spawnattr_setsigdefault(attributes, buffer(_SIGNALS_BYTES, b"\xff")))
        _checked(libc.posix_spawnattr_setsigmask(attributes, buffer(_SIGNALS_BYTES)))
        _checked(libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SPAWN_FLAGS)))
        pid = ctypes.c_int(0)
        path = ctypes.create_string_buffer(os.fsencode(program))
        argv = kept_array([program, *arguments])
        envp = kept_array([f"{name}={value}" for name, value in environment.items()])
        # With all signals blocked, so that no handler of the host runs in the process in between.
        with signals_left_to_the_host():
            end = context(libc._exit, 0, then=None)
            program_start = context(
                libc.posix_spawn,
                *map(ctypes.addressof, (pid, path, actions, attributes)),
                argv,
                envp,
                then=end,
            )
            limits = buffer(_LIMITS.size)
            _LIMITS.pack_into(limits, 0, *stack_limits())
            start = context(libc.setrlimit, resource.RLIMIT_STACK, ctypes.addressof(limits), then=program_start)
            top = ctypes.addressof(buffer(_STACK_BYTES)) + _STACK_BYTES & ~15
            ctypes.set_errno(0)
            between = libc.clone(
                _address(libc.setcontext), ctypes.c_void_p(top), _CLONE_VM | _CLONE_VFORK, ctypes.c_void_p(start)
            )
            failure = ctypes.get_errno()
            if between > 0:
                with contextlib.suppress(ChildProcessError):  # the host waited for any clone at this moment
                    os.waitpid(between, _WAIT_FOR_CLONES)
        if between < 0 or pid.value == 0:
            raise OSError(failure, os.strerror(failure), program)
    finally:
        for descriptor in above:
            os.close(descriptor)
        libc.posix_spawn_file_actions_destroy(actions)
        libc.posix_spawnattr_destroy(attributes)


def stack_limits() -> tuple[int, int]:
    """RLIMIT_STACK of a program that is started, as C writes it: no limit is the largest number."""
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with contextlib.suppress(OSError):  # a sandbox, in which setrlimit() will do nothing either
        limits = resource.getrlimit(resource.RLIMIT_STACK)
    now, most = _LIMITS.unpack(struct.pack("qq", *limits))
    return min(max(now, STACK_BYTES), most), most


def _address(function: Callable[..., Any]) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)  # type: ignore[arg-type] # a function of ctypes


def _checked(error: int, number: Callable[[], int] | None = None) -> None:
    """Raise for what is not 0: an errno itself, as posix_spawn's functions return it, or the sign to look at errno."""
    if error:
        code = number() if number else error
        raise OSError(code, os.strerror(code))


def _duplicate_above(descriptor: int, least: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
