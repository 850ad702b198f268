"""Spans of OpenTelemetry for calls, compilations, requests to engines and validations.

They are made where the process has configured a tracer provider: then it has imported `opentelemetry.trace`, which this
never does. Requests follow the semantic conventions for generative AI; prompts and code are told only where their
switch, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, says so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from maze._version import __version__
from maze.backends.base import Backend, Completion, OnText, Request
from maze.config import tells_traces_of_content
from maze.errors import MazeError, Status
from maze.types import GenerationResult, PromptForm

_SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"

_P = ParamSpec("_P")
_R = TypeVar("_R")

Attributes = Mapping[str, object]
"""Attributes of a span; those that are None are not known, and left out."""


class Span:
    """A span that is under way, or nothing where nobody traces."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:  # noqa: ANN401 - of a package that need not be there
        self._span = span

    @property
    def recording(self) -> bool:
        """Whether what is told to it is kept; if not, there is no need to work it out."""
        return self._span is not None and self._span.is_recording()

    def tell(self, attributes: Attributes) -> None:
        if self.recording:
            self._span.set_attributes({name: value for name, value in attributes.items() if value is not None})

    def fail(self, status: Status) -> None:
        """Mark it as failed. Not with the error's text, which may quote the code."""
        if self.recording:
            self.tell({"error.type": status.name.lower()})
            self._span.set_status(sys.modules["opentelemetry.trace"].StatusCode.ERROR)

    def end_generation(self, result: GenerationResult) -> None:
        """Tell what became of a call."""
        self.tell(
            {
                "maze.status": f"MAZE_{result.status.name}",
                "maze.attempts": len(result.metadata.attempts),
                "maze.cache_hit": result.metadata.cache_hit,
                "maze.request_id": result.provenance and result.provenance.parameters["request_id"],
            }
        )
        if not result.success:
            self.fail(result.status)


@contextmanager
def span(name: str, attributes: Attributes | None = None, *, client: bool = False) -> Iterator[Span]:
    """A span around what is done within; a MazeError that leaves it, fails it. `client`: for a request to a service."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if not hasattr(trace, "get_tracer"):  # not imported, or not yet as a whole
        yield Span()
        return
    tracer = trace.get_tracer("libmaze", __version__, schema_url=_SCHEMA_URL)
    kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
    with tracer.start_as_current_span(name, kind=kind, record_exception=False, set_status_on_exception=False) as made:
        begun = Span(made)
        begun.tell(attributes or {})
        try:
            yield begun
        except MazeError as error:
            begun.fail(error.status)
            raise


def traced(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Make a function run in a span; what it tells of a call is told to the span."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def run(*arguments: _P.args, **named: _P.kwargs) -> _R:
            with span(name) as made:
                given = function(*arguments, **named)
                if isinstance(given, GenerationResult):
                    made.end_generation(given)
                return given

        return run

    return decorate


class TracedBackend:
    """An engine with a span around each request to it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.health, self.models, self.close = backend.health, backend.models, backend.close

    @property
    def name(self) -> str | None:
        return self._backend.name

    def can_go_on(self, request: Request) -> bool:
        return self._backend.can_go_on(request)

    def generate(self, request: Request, on_text: OnText) -> Completion:
        operation = "chat" if request.prompt.form is PromptForm.CHAT else "text_completion"
        with span(f"{operation} {request.model or self.name or ''}".rstrip(), client=True) as made:
            if not made.recording:
                return self._backend.generate(request, on_text)
            made.tell(_of_request(operation, self.name, request))
            try:
                completion = self._backend.generate(request, on_text)
                made.tell(_of_completion(completion) | {"gen_ai.response.finish_reasons": (completion.finish_reason,)})
            except MazeError as error:
                made.tell(_of_completion(error))
                raise
            finally:
                made.tell({"gen_ai.provider.name": self.name})  # which the first answer may have told
            return completion


def _of_request(operation: str, provider: str | None, request: Request) -> Attributes:
    attributes: dict[str, object] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": request.model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.top_k": request.top_k or None,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.stop_sequences": request.stop or None,
        "gen_ai.output.type": "json" if request.json_schemas else "text",
        "maze.request_id": request.request_id,
    }
    if tells_traces_of_content():
        prompt = request.prompt
        said = [_message(message.role, message.text) for message in prompt.messages]
        attributes["gen_ai.input.messages"] = json.dumps([*said, _message("user", prompt.turn())])
        if prompt.system is not None:
            attributes["gen_ai.system_instructions"] = json.dumps([_text_part(prompt.system)])
    return attributes


def _of_completion(answered: Completion | MazeError) -> dict[str, object]:
    """What is known of an answer, also of one that failed."""
    attributes: dict[str, object] = {
        "gen_ai.response.model": answered.model,
        "gen_ai.usage.input_tokens": answered.prompt_tokens,
        "gen_ai.usage.output_tokens": answered.tokens_generated,
    }
    if isinstance(endpoint := answered.engine.get("endpoint"), str):
        url = urlsplit(endpoint)
        attributes |= {"server.address": url.hostname, "server.port": url.port}
    if tells_traces_of_content():
        if isinstance(answered, MazeError):
            answer = _message("assistant", answered.partial_text) | {"finish_reason": "error"}
        else:
            answer = _message("assistant", answered.text) | {"finish_reason": answered.finish_reason}
        attributes["gen_ai.output.messages"] = json.dumps([answer])
    return attributes


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [_text_part(text)]}


def _text_part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
