"""Makes what the host gets: of a Python result, or of what was raised, a GenerationResultFFI; of counters, a struct."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, fields

from maze.abi.library import Ffi, Lib, Pointer
from maze.cache import CacheStats
from maze.errors import MazeError, Status
from maze.native_json import dumps
from maze.scarcity import shortage
from maze.types import GenerationResult

_log = logging.getLogger(__name__)

_STATUS_JSON = {status: dumps({"status": f"MAZE_{status.name}"}) for status in Status}


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
        """Make the one result of a call. The only place that decides what a C string can hold."""
        try:
            raw_code = code.encode()
            unfit = "U+0000" if b"\0" in raw_code else None
        except UnicodeEncodeError as failure:
            raw_code, unfit = code[: failure.start].encode(), f"a lone surrogate, U+{ord(code[failure.start]):04X}"
        if unfit is not None:
            raw_code = raw_code.partition(b"\0")[0]
            if status is Status.OK:
                status, report = Status.BAD_RESPONSE, None
                error = f"the text holds {unfit} at byte {len(raw_code)}, which C cannot be given; it is cut off there"
        raw_error = self._null if error is None else c_text(f"libmaze: {error}")
        raw_report = _STATUS_JSON[status] if report is None else report
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
        report = {
            "status": f"MAZE_{result.status.name}",
            "provenance": result.provenance,
            "validation": result.validation,
            "metadata": result.metadata,
        }
        return self.result(
            result.status,
            code=result.code,
            error=result.error,
            report=encode(report),
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


def encode(value: object) -> bytes:
    """Encode as JSON; texts with lone surrogates, which UTF-8 cannot hold, with escapes."""
    try:
        return dumps(value)
    except TypeError:
        return json.dumps(value, default=asdict).encode()


def c_text(text: str) -> bytes:
    """Encode a text of ours so that a C string can hold it."""
    return text.encode(errors="backslashreplace").replace(b"\0", b"\\x00")
