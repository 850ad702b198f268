"""Tasks for workers that honest clients do not give them; in a file of their own, as the workers import them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep


@dataclass(frozen=True)
class Burn:
    """A task that takes so much processor time."""

    secs: float

    def run(self) -> float:
        ends_at = monotonic() + self.secs
        while monotonic() < ends_at:
            pass
        return self.secs


@dataclass(frozen=True)
class Grow:
    """A task that takes all the memory it can get."""

    def run(self) -> int:
        kept = []
        while True:
            kept.append(bytearray(16 << 20))


@dataclass(frozen=True)
class EndBy:
    """A task that ends its process by a signal."""

    number: int

    def run(self) -> None:
        os.kill(os.getpid(), self.number)
        sleep(30)


@dataclass(frozen=True)
class Tell:
    """A task that tells about its process."""

    def run(self) -> tuple[int, int, list[str], str, dict[str, str]]:
        files = [os.readlink(f"/proc/self/fd/{number}") for number in range(100) if _is_open(number)]  # noqa: PTH115
        return os.getpid(), os.getsid(0), files, Path("/proc/self/oom_score_adj").read_text(), dict(os.environ)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Break:
    """A task with a defect."""

    def run(self) -> None:
        raise ZeroDivisionError("inside")
