"""The embedded engine with the real model."""

from __future__ import annotations

from dataclasses import replace

from maze.backends.base import FINISHED_STOP, Cancellation, Deadline, Request
from maze.backends.llama_cpp import LlamaCppBackend

DIGITS = "%llguidance {}\nstart: /[0-9]{3}/\n"


def make_request(**changes: object) -> Request:
    """A short request; `changes` name fields of Request."""
    request = Request(
        prompt="Say hi.",
        grammar=None,
        token_mask=None,
        max_tokens=16,
        temperature=0.7,
        top_p=1.0,
        top_k=0,
        seed=1,
        stop=(),
        model=None,
        request_id="test",
        deadline=Deadline(120_000),
        cancellation=Cancellation(),
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def test_a_grammar_is_obeyed_and_the_pieces_are_the_text(embedded_backend: LlamaCppBackend) -> None:
    pieces: list[str] = []
    completion = embedded_backend.generate(make_request(grammar=DIGITS), lambda text: pieces.append(text) is None)
    assert len(completion.text) == 3
    assert completion.text.isdecimal()
    assert "".join(pieces) == completion.text
    assert completion.finish_reason == FINISHED_STOP
