"""The program of the processes that compile and check for strangers: a nursery, and the workers that it forks.

The nursery has everything imported and no thread, so a worker is there within milliseconds. Its stdin is a socket of
whole messages: with `fork` comes the socket of a new worker, `kill <pid>` ends one, and it says `ended <pid> <code>`,
the code being negative for a signal. It ends with the service, and the workers with it, whatever they are doing.

A worker says its pid, then answers one task after the other; each message on its socket is preceded by its length.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from maze.cache import size_of
from maze.check.cut_off import Judgement, judge
from maze.check.unenforced import only_checked
from maze.compiled import CompiledConstraints, EngineGrammar
from maze.errors import LimitExceededError, MazeError
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget
from maze.grammar.llguidance import is_bearable
from maze.options import ConstraintOptions
from maze.outcome import is_decisive
from maze.service.ananke import Form
from maze.service.contract import GenerateRequest, RequestLimits, constraints_of, read_request
from maze.service.refusal import Refusal
from maze.threads import STACK_BYTES

LENGTH = struct.Struct(">Q")
"""What precedes a message of a worker, and of the service to it."""
MESSAGE_BYTES = 256
"""Longest message of the nursery, and of the service to it."""
MAX_MEMORY_BYTES = 1024**3
"""What one worker may take beyond what it begins with."""
MAX_TOLD_OUTCOMES = 1000
"""Most decisive parts that are told; unpickling one takes the service about 10 us."""
MAX_TOLD_WARNINGS = 100
"""Most warnings of a compilation that an answer has."""
_PR_SET_PDEATHSIG = 1
_DEFAULT_OPTIONS = ConstraintOptions()


class Task(Protocol):
    """What a worker can be asked to do."""

    def run(self) -> object:
        """Do it, and return what can be pickled. Raises MazeError."""


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Read the body of a request."""

    body: bytes
    request_id: str
    limits: RequestLimits
    form: Form

    def run(self) -> GenerateRequest | Refusal:
        try:
            return read_request(self.body, self.request_id, self.limits, self.form)
        except Refusal as refusal:
            return refusal


@dataclass(frozen=True, slots=True)
class CompileTask:
    """Compile the constraints of a request."""

    constraints: str
    language: str | None
    options: ConstraintOptions = _DEFAULT_OPTIONS

    def run(self) -> Compiled:
        compiled = compile_constraints(constraints_of(self.constraints), self.language, self.options)
        # Unpickling many parts takes the service a while, in which it answers nobody.
        telling = next((part for part in compiled.parts if part.says_something), None)
        parts = tuple(
            replace(part, check_grammar=None)
            for part in compiled.parts
            if part.check_schema is not None or part is telling
        )
        for_engine = replace(compiled, parts=parts, joint_check=None, warnings=(), report_json=b"{}")
        whole = pickle.dumps(compiled, pickle.HIGHEST_PROTOCOL)
        return Compiled(for_engine, whole, size_of(for_engine) + len(whole))


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compiling gave."""

    for_engine: CompiledConstraints
    """What a generation needs of them: of the parts, the schemas that an engine without grammars can be asked for,
    and one that says something, so that it is known that they do."""
    whole: bytes
    """All of them, for the worker that checks the text."""
    size: int
    """Bytes in memory."""


@dataclass(frozen=True, slots=True)
class CheckTask:
    """Check a text against constraints that a worker compiled; see judge()."""

    text: bytes
    compiled: bytes
    ends_at: float
    may_be_cut_off: bool
    is_enforced: bool = True
    """Whether the engine is known to enforce what it was handed."""

    def run(self) -> Judgement:
        compiled = pickle.loads(self.compiled)  # noqa: S301 - made by a worker of ours
        if not self.is_enforced:
            compiled = only_checked(compiled, "the engine of the service is not known to enforce it")
        judgement = judge(self.text, compiled, self.ends_at, may_be_cut_off=self.may_be_cut_off)
        decisive = tuple(filter(is_decisive, judgement.validation.outcomes))[:MAX_TOLD_OUTCOMES]
        warnings = judgement.validation.warnings[:MAX_TOLD_WARNINGS]
        return replace(judgement, validation=replace(judgement.validation, outcomes=decisive, warnings=warnings))


@dataclass(frozen=True, slots=True)
class Success:
    """The answer to a task that was done."""

    value: object


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer to a task that ended with a MazeError."""

    kind: type[MazeError]
    message: str


@dataclass(frozen=True, slots=True)
class Defect:
    """The answer to a task that ended with anything else."""

    trace: str


def answer_to(task: Task) -> Success | Failure | Defect:
    """Do a task."""
    try:
        return Success(task.run())
    except MazeError as error:
        return Failure(type(error), str(error))
    except MemoryError:
        limit = f"{MAX_MEMORY_BYTES >> 20} MiB"
        return Failure(LimitExceededError, f"the constraints take over {limit} of memory; simplify them")
    except BaseException:  # noqa: BLE001 - panics of Rust code are no Exception
        return Defect(traceback.format_exc())


# ------------------------------------------------------------------------------------------------ the nursery


def main() -> None:
    """Fork a worker for each socket that comes, until the service ends."""
    # Signals to the terminal or to all processes of a unit are for the service, which ends this one when it is ready.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    is_bearable(EngineGrammar("start: /a/\n"), Budget())  # makes what every worker would need 0.1 s for
    control = socket.socket(fileno=0)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    living: dict[int, int] = {}  # pids, and under them the pidfds
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == control.fileno():
                message, sockets, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 1)
                if not message:
                    return
                command, _, argument = message.partition(b" ")
                if command == b"kill" and int(argument) in living:
                    os.kill(int(argument), signal.SIGKILL)
                for worker_socket in sockets:
                    pid = _fork_worker(worker_socket, list(living.values()))
                    living[pid] = os.pidfd_open(pid)
                    poll.register(living[pid], select.POLLIN)
                    os.close(worker_socket)
                continue
            pid = next(pid for pid, pidfd in living.items() if pidfd == descriptor)
            poll.unregister(descriptor)
            os.close(living.pop(pid))
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(OSError):  # the service has just ended
                control.send(b"ended %d %d" % (pid, os.waitstatus_to_exitcode(status)), socket.MSG_NOSIGNAL)


def _fork_worker(worker_socket: int, others: list[int]) -> int:
    nursery = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == nursery:
                for descriptor in others:
                    os.close(descriptor)
                _limit_process()
                _work(socket.socket(fileno=worker_socket))
        finally:
            os._exit(0)
    return pid


def _limit_process() -> None:
    """Bound what this process may take of the machine, and let it be the first to go where memory is short."""
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):  # the first is the socket of the nursery; and Rust code writes to stderr when it aborts
        os.dup2(silent, descriptor)
    os.close(silent)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + STACK_BYTES + MAX_MEMORY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# ------------------------------------------------------------------------------------------------ a worker


def _work(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as incoming:
        _send(connection, b"%d" % os.getpid())
        while task := _receive(incoming):
            answer = answer_to(pickle.loads(task))  # noqa: S301 - from the service
            try:
                encoded = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
            except MemoryError as error:
                encoded = pickle.dumps(Failure(LimitExceededError, f"the answer does not fit into memory {error}"))
            _send(connection, encoded)


def _receive(incoming: BinaryIO) -> bytes:
    """The next message; empty at the end of the connection."""
    head = incoming.read(LENGTH.size)
    return incoming.read(*LENGTH.unpack(head)) if len(head) == LENGTH.size else b""


def _send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(LENGTH.pack(len(message)) + message, socket.MSG_NOSIGNAL)


def command_line() -> list[str]:
    """How the nursery is started: with what this process imports from, whatever the folder and the environment say."""
    program = "import sys; sys.path[:] = sys.argv[1:]; from maze.service.worker import main; main()"
    return [sys.executable, "-P", "-c", program, *(str(Path(path).absolute()) for path in sys.path)]
