"""Answers for Ananke's programs, each in the shape that it reads.

Most read the text alone. So to them a text that does not satisfy its constraints is no answer but an error, unless the
shape says that it was cut off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from maze.backends.base import FINISHED_LENGTH
from maze.errors import Status
from maze.service.ananke import Form, Translated
from maze.service.refusal import refusal_of_failure

_MAZE = "MAZE_"


def shaped(answer: dict[str, Any], asked: Translated | None) -> dict[str, Any]:
    """An answer of the contract in the shape that was asked for. Raises Refusal."""
    match asked.form if asked is not None else Form.MAZE:
        case Form.RUST:
            _refuse_broken(answer)
            return answer | {"stats": _counted(answer)}
        case Form.FUNCTION:
            told = ("prompt_tokens", "request_id", "constraint_error")
            return answer | {"metadata": {name: answer[name] for name in told}}
        case Form.EVAL:
            _refuse_broken(answer)
            return _evaluated(answer, asked)
        case Form.CHAT:
            _refuse_broken(answer, may_be_cut_off=True)
            return _chat(answer, asked)
        case _:
            return answer


def _refuse_broken(answer: dict[str, Any], *, may_be_cut_off: bool = False) -> None:
    if answer["constraint_satisfied"] is True or (may_be_cut_off and answer["finish_reason"] == FINISHED_LENGTH):
        return
    status = Status[answer["status"].removeprefix(_MAZE)]
    if status is Status.OK:
        status = Status.CONSTRAINT_VIOLATED
    raise refusal_of_failure(status, answer["constraint_error"] or "the text could not be checked")


def _counted(answer: dict[str, Any]) -> dict[str, Any]:
    """The numbers of `stats` as the Rust client reads them, which takes no null.

    There the check of the whole text is what is counted, as engines do not tell how often they computed a mask.
    """
    stats: dict[str, Any] = answer["stats"]
    checks_us = round((stats["validation_time_ms"] or 0) * 1000)
    counted: dict[str, Any] = {"constraint_checks": 1, "avg_constraint_check_us": checks_us}
    return stats | counted | {"time_per_token_us": stats["time_per_token_us"] or 0}


def _evaluated(answer: dict[str, Any], asked: Translated | None) -> dict[str, Any]:
    told = ("tokens_generated", "generation_time_ms", "model", "finish_reason", "request_id")
    constrained = asked is not None and bool(asked.constraints)
    return {
        "code": answer["generated_text"],
        "metadata": {**{name: answer[name] for name in told}, "constrained": constrained},
    }


def _chat(answer: dict[str, Any], asked: Translated | None) -> dict[str, Any]:
    text, finish_reason = _content(answer, asked), _finish_reason(answer)
    said = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{answer['request_id']}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer["model"],
        "choices": [{"index": 0, "message": said, "finish_reason": finish_reason}],
        "usage": _usage(answer),
        **({"constraint_spec": dict(asked.told)} if asked is not None and asked.told else {}),
        "constraint_satisfied": answer["constraint_satisfied"],
        "generation_time_ms": answer["generation_time_ms"],
    }


def _content(answer: dict[str, Any], asked: Translated | None) -> str:
    """The text without what stands around the hole; of one that was cut off, all behind what stands before it."""
    text: str = answer["generated_text"]
    before, behind = asked.around if asked is not None else ("", "")
    text = text.removeprefix(before)
    return text.removesuffix(behind) if answer["constraint_satisfied"] else text


def _finish_reason(answer: dict[str, Any]) -> str:
    return "length" if answer["finish_reason"] == FINISHED_LENGTH else "stop"


def _usage(answer: dict[str, Any]) -> dict[str, Any]:
    """What is not known is null."""
    prompt, generated = answer["prompt_tokens"], answer["tokens_generated"]
    total = None if prompt is None or generated is None else prompt + generated
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": total}


class ChatChunks:
    """The events of a chat that is answered piece by piece."""

    def __init__(self, request_id: str, model: str | None) -> None:
        self._common = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._has_text = False

    def piece(self, text: str) -> dict[str, Any]:
        """The event of a piece of the text."""
        self._has_text = True
        return self._chunk({"role": "assistant", "content": text}, None)

    def ending(self, answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events at the end, of an answer as shaped() makes it."""
        choice = answer["choices"][0]
        if not self._has_text and choice["message"]["content"]:
            yield self.piece(choice["message"]["content"])
        yield self._chunk({}, choice["finish_reason"])
        rest: dict[str, Any] = {
            name: answer[name] for name in ("usage", "constraint_spec", "constraint_satisfied") if name in answer
        }
        yield {**self._common, "model": answer["model"], "choices": [], **rest}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        return {**self._common, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


class MazeEvents:
    """The events of the Maze contract."""

    def piece(self, text: str) -> dict[str, Any]:
        """The event of a piece of the text."""
        return {"token": text, "done": False}

    def ending(self, answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The event at the end."""
        yield {"token": "", "done": True, **answer}
