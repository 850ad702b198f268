"""A semaphore that a call waits for no longer than until its deadline or its cancellation."""

from __future__ import annotations

import threading

from maze.backends.base import Cancellation, Deadline


class Semaphore:
    """Lets `count` callers in at once. Safe for use from many threads."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._changed = threading.Condition(threading.Lock())

    def acquire(self, deadline: Deadline, cancellation: Cancellation) -> bool:
        """Take a place; False if the call was over before there was one."""
        forget = cancellation.on_cancel(self._wake)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._free or cancellation.cancelled, deadline.remaining_secs())
                if not self._free or cancellation.cancelled:
                    return False
                self._free -= 1
                return True
        finally:
            forget()

    def release(self) -> None:
        """Give the place back."""
        with self._changed:
            self._free += 1
            self._changed.notify()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
