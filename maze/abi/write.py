"""Makes what the host gets: of a Python result, or of what was raised, a GenerationResultFFI; of counters, a struct."""

from __future__ import annotations

import logging
from dataclasses import fields, replace

from maze.abi.library import Ffi, Lib, Pointer
from maze.cache import CacheStats
from maze.errors import MazeError, Status
from maze.report import encode, report_call, report_generation
from maze.result import GenerationResult
from maze.scarcity import shortage

_log = logging.getLogger(__name__)


class Writer:
    """Makes results, in memory of C's that maze_free_result() gives back."""

    def __init__(self, ffi: Ffi, lib: Lib) -> None:
        self._null = ffi.NULL
        self._lib = lib

    def result(
        self,
        status: Status,
        *,
        code: str = "",
        error: str | None = None,
        report: bytes | None = None,
        finish_reason: str = "",
        tokens_generated: int = 0,
    ) -> Pointer:
        """Make the one result of a call. `report` is that of `status` and `error` alone where it is missing."""
        raw_code, problem = _as_c_string(code)
        if problem is not None and status is Status.OK:
            status, error, report = Status.BAD_RESPONSE, problem, None
        raw_error = self._null if error is None else c_text(f"libmaze: {error}")
        raw_report = encode(report_call(status, error)) if report is None else report
        return self._lib.host_new_result(
            status,
            raw_code,
            len(raw_code),
            raw_error,
            0 if error is None else len(raw_error),
            raw_report,
            len(raw_report),
            c_text(finish_reason),
            tokens_generated,
        )

    def generation(self, result: GenerationResult) -> Pointer:
        """Make the result of a generation, with its report; what C cannot be given is a failure of it."""
        _, problem = _as_c_string(result.code)
        if problem is not None and result.success:
            result = replace(result, success=False, status=Status.BAD_RESPONSE, error=problem)
        return self.result(
            result.status,
            code=result.code,
            error=result.error,
            report=encode(report_generation(result)),
            finish_reason=result.metadata.finish_reason,
            tokens_generated=result.metadata.tokens_generated or 0,
        )

    def failure(self, error: BaseException) -> Pointer:
        """Make the result of a call that ended with an exception."""
        status = self.status(error)
        if isinstance(known := shortage(error) or error, MazeError):
            return self.result(status, code=known.partial_text, error=str(known))
        if isinstance(error, KeyboardInterrupt):
            return self.result(status, error="cancelled: KeyboardInterrupt")
        if isinstance(error, ImportError):
            repair = "run `make` in libmaze's source tree, or install the package again"
            return self.result(status, error=f"{type(error).__name__}: {error}; {repair}")
        if isinstance(error, OSError):
            return self.result(status, error=f"the system refuses what libmaze needs: {error}")
        _log.error("internal error", exc_info=error)
        return self.result(status, error=f"internal error, please report it: {type(error).__name__}: {error}")

    def status(self, error: BaseException) -> Status:
        if isinstance(error, KeyboardInterrupt):
            self._lib.host_interrupt_after_call()
        return _status_of(error)

    def cache_stats(self, counted: CacheStats, stats: Pointer) -> None:
        """Fill a MazeCacheStatsFFI, whose counters have the names of CacheStats."""
        for field in fields(counted):
            setattr(stats, field.name, getattr(counted, field.name))


def _status_of(error: BaseException) -> Status:
    """The status of an exception."""
    match shortage(error) or error:
        case MazeError() as known:
            return known.status
        case KeyboardInterrupt():
            return Status.CANCELLED
        case ImportError() | OSError():
            return Status.STARTUP_FAILED
        case _:
            return Status.INTERNAL_ERROR


def _as_c_string(text: str) -> tuple[bytes, str | None]:
    """What a C string can hold of a text, and what is wrong if that is not all. The only place that decides it."""
    try:
        raw, whole = text.encode(), True
    except UnicodeEncodeError as failure:
        raw, whole = text[: failure.start].encode(), False
        unfit = f"a lone surrogate, U+{ord(text[failure.start]):04X}"
    if b"\0" in raw:
        raw, whole, unfit = raw.partition(b"\0")[0], False, "U+0000"
    if whole:
        return raw, None
    return raw, f"the text holds {unfit} at byte {len(raw)}, which C cannot be given; it is cut off there"


def c_text(text: str) -> bytes:
    """Encode a text of ours so that a C string can hold it."""
    return text.encode(errors="backslashreplace").replace(b"\0", b"\\x00")
