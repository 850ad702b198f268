"""A backend that plays a script, for what happens around an engine; the real ones have tests of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from maze.backends.base import FINISHED_STOP, Completion, Deadline, Health, OnText, Request
from maze.errors import CancelledError, MazeError


class ScriptedBackend:
    """Answers each request with the pieces of its script; a callable in it runs between pieces and may raise."""

    name = "scripted"

    def __init__(self, script: Sequence[str | Callable[[Request], None]], finish_reason: str = FINISHED_STOP) -> None:
        self.script = script
        self.finish_reason = finish_reason
        self.requests: list[Request] = []
        self.closed = False

    def can_go_on(self, _: Request) -> bool:
        return False

    def generate(self, request: Request, on_text: OnText) -> Completion:
        self.requests.append(request)
        try:
            return self._play(request, on_text)
        except MazeError as error:
            error.first_token_ms = 0.01 if error.partial_text else None
            raise

    def _play(self, request: Request, on_text: OnText) -> Completion:
        text = ""
        for step in self.script:
            request.raise_if_over(text)
            if isinstance(step, str):
                text += step
                if on_text(step) is False:
                    raise CancelledError("cancelled by the caller", partial_text=text)
            else:
                step(request)
        return Completion(text, self.finish_reason, len(self.script), "a-model", 3, 0.5, {"version": "1"})

    def health(self, deadline: Deadline) -> Health:
        return Health(ready=deadline.remaining_secs() > 0, backend=self.name, endpoints=())

    def models(self, deadline: Deadline) -> tuple[str, ...]:
        return () if deadline.expired() else ("a-model",)

    def close(self) -> None:
        self.closed = True


@dataclass
class Gate:
    """A step of a script that waits until it is opened or the request is cancelled, and tells when that happens."""

    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    opened: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, request: Request) -> None:
        go_on = threading.Event()
        forget = request.cancellation.on_cancel(go_on.set)
        self.entered.release()
        while not (go_on.wait(0.01) or self.opened.is_set()):
            pass
        forget()
        if request.cancellation.cancelled:
            self.cancelled.release()
        request.raise_if_over()


def reached(semaphore: threading.Semaphore) -> bool:
    return semaphore.acquire(timeout=30)


def raising(error: Exception) -> Callable[[Request], None]:
    def step(_: Request) -> None:
        raise error

    return step


class LoadingBackend(ScriptedBackend):
    ready = False

    def health(self, deadline: Deadline) -> Health:
        return Health(ready=self.ready and not deadline.expired(), backend=self.name, endpoints=())
