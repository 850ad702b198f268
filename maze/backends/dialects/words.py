"""How products spell what OpenAI's and Anthropic's protocols say: ends, counts, errors, contents, lists of models.

Each product leaves something out or has a word of its own. What can have one meaning only is understood; what says
nothing that can be relied on is unknown, and never a guess.
"""

from __future__ import annotations

from typing import NamedTuple

from maze.backends.base import FINISHED_LENGTH, FINISHED_STOP
from maze.backends.dialects.base import DeclinedError, Event, MalformedError, finish_reason_of

CALLS_A_TOOL = "it calls a tool, and was offered none"

_STOPPED = frozenset(
    ("stop", "stop_sequence", "stop_token", "stopped", "eos", "eos_token", "end", "end_turn", "complete", "completed",
     "finish", "finished", "done")
)  # fmt: skip
_CUT_OFF = frozenset(
    ("length", "model_length", "max_length", "max_tokens", "max_new_tokens", "max_output_tokens",
     "max_completion_tokens", "token_limit", "context_length", "context_length_exceeded",
     "model_context_window_exceeded")
)  # fmt: skip
_WITHHELD = frozenset(
    ("content_filter", "content_filtered", "safety", "sensitive", "recitation", "blocklist", "prohibited_content",
     "spii", "guardrail_intervened")
)  # fmt: skip
_TOOL = frozenset(("tool_calls", "tool_call", "tool_use", "function_call"))
_FAILED = frozenset(("error", "abort", "aborted", "cancelled", "network_error", "insufficient_system_resource"))
"""The service gave up."""
_UNSAID = frozenset(("", "null", "none"))
_THOUGHT = frozenset(("thinking", "thinking_delta", "reasoning", "reasoning.text", "reasoning.summary"))

_STATUS_OF_ERROR = {
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "engine_error": 503,
    "unavailable": 503,
    "overloaded_error": 529,
}
"""For errors that carry no number: the words of OpenAI, Anthropic, Google, vLLM and the Maze service."""


# ------------------------------------------------------------------------------------------------ ends


def end_of(reason: object) -> str | None:
    """FINISHED_STOP or FINISHED_LENGTH; None where a reason says nothing.

    Raises DeclinedError, MalformedError for those of no finished text.
    """
    word = _word_of_end(reason)
    if word is None or word in _UNSAID:
        return None
    if word in _STOPPED:
        return FINISHED_STOP
    if word in _CUT_OFF:
        return FINISHED_LENGTH
    if word in _WITHHELD:
        raise DeclinedError("a filter of the service withholds the text, or the rest of it ({})", word)
    if word == "refusal":
        raise DeclinedError("the model refuses (refusal)")
    if word in _TOOL:
        raise MalformedError(CALLS_A_TOOL)
    return finish_reason_of(reason)


def end_by_count(tokens: int | None, text_bytes: int, max_tokens: int) -> str | None:
    """How a text ended of which the service says no more than that it is over; None where that cannot be told."""
    if tokens or not text_bytes:
        return None if tokens is None else FINISHED_LENGTH if tokens >= max_tokens else FINISHED_STOP
    return FINISHED_STOP if text_bytes < max_tokens else None  # no token has less than a byte


def _word_of_end(reason: object) -> str | None:
    if type(reason) is dict:
        reason = reason.get("type", reason)
    if reason is None:
        return None
    if type(reason) is not str:
        return finish_reason_of(reason)
    return reason.lower().removeprefix("finish_reason_")


# ------------------------------------------------------------------------------------------------ errors


def error_within(event: Event) -> Event | None:
    """What an answer of status 200, or an event of it, has of an error; None if it is none."""
    if event.get("error") or "error" in (event.get("object"), event.get("type")):
        return event
    choices = event.get("choices")
    for choice in choices if type(choices) is list else ():
        if type(choice) is not dict:
            continue
        if choice.get("error"):
            return choice
        reason = choice.get("finish_reason")
        if type(reason) is str and reason.lower() in _FAILED:
            return {"error": {"message": f"it gave up, with the finish reason {reason.lower()!r}", "code": 503}}
    return None


def status_of_error(error: Event) -> int:
    """The status of HTTP that an error within an answer stands for; 500 where it does not say."""
    for told in (error.get("code"), error.get("status"), error.get("type")):
        number = _count(told)
        if number is not None and 400 <= number <= 599:
            return number
        if type(told) is str and told.lower() in _STATUS_OF_ERROR:
            return _STATUS_OF_ERROR[told.lower()]
    return 500


# ------------------------------------------------------------------------------------------------ counts


class Usage(NamedTuple):
    """What an event says of tokens; None for what it does not."""

    generated: int | None = None
    prompt: int | None = None
    thought: int | None = None


def usage_of(event: Event) -> Usage:
    """The counts in an event, wherever it has them; what is no count tells nothing."""
    choices, groq = event.get("choices"), event.get("x_groq")
    first = choices[0] if type(choices) is list and choices else None
    for place in (event, groq, first):
        usage = place.get("usage") if type(place) is dict else None
        if type(usage) is dict and usage:
            break
    else:
        return Usage()
    details = usage.get("completion_tokens_details")
    thought = details.get("reasoning_tokens") if type(details) is dict else None
    return Usage(
        _count(usage.get("completion_tokens", usage.get("output_tokens"))),
        _count(usage.get("prompt_tokens", usage.get("input_tokens"))) or None,  # no prompt has none
        _count(usage.get("reasoning_tokens")) or None if thought is None else _count(thought),
    )


def _count(value: object) -> int | None:
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


# ------------------------------------------------------------------------------------------------ contents


class Piece(NamedTuple):
    """What a choice, or a part of its content, says."""

    text: str = ""
    thought: str = ""
    refusal: str = ""
    calls_tool: bool = False

    def __add__(self, other: object) -> Piece:
        assert isinstance(other, Piece)  # noqa: S101 - nothing else is added
        tool = self.calls_tool or other.calls_tool
        return Piece(
            self.text + other.text, self.thought + other.thought, self.refusal + other.refusal, calls_tool=tool
        )


def choice_of(event: Event) -> Event | None:
    """The choice of an event that is read, as only one was asked for; None if there is none in it."""
    choices = event.get("choices")
    if type(choices) is list:
        found = next((each for each in choices if type(each) is not dict or not each.get("index")), None)
        if found is not None and type(found) is not dict:
            raise MalformedError("its field 'choices' does not hold an object")
        return found
    if choices is None and (not event or "usage" in event or event.get("type") == "ping"):
        return None
    said = next((event[name] for name in ("message", "detail", "msg") if type(event.get(name)) is str), "")
    raise MalformedError("an event has no array 'choices'" + (": {}" if said else ""), said)


def piece_of(choice: Event, *, in_deltas: bool) -> Piece:
    """What a choice says: in a stream `delta`, in a whole answer `message`.

    `in_deltas`: whether deltas brought text before; then a message repeats them, as some products do at the end.
    """
    piece = _said_in(choice, "delta")
    if piece == Piece() and not in_deltas:
        piece = _said_in(choice, "message")
    if piece == Piece():
        piece = content_of(choice.get("text"))
    return piece


def _said_in(choice: Event, field: str) -> Piece:
    said = choice.get(field)
    if said is None:
        return Piece()
    if type(said) is not dict:
        raise MalformedError(f"its field {field!r} is not an object")
    piece = content_of(said.get("content"))
    for name in ("reasoning", "reasoning_content", "reasoning_details"):  # today's, DeepSeek's, and OpenRouter's parts
        thought = content_of(said.get(name))
        if thought != Piece():
            piece += Piece(thought=thought.text + thought.thought)
            break
    refusal = content_of(said.get("refusal"))
    calls_tool = bool(said.get("tool_calls") or said.get("function_call"))
    return piece + Piece(refusal=refusal.text + refusal.refusal, calls_tool=calls_tool)


def content_of(content: object) -> Piece:
    """A text, a part of one, or an array of both."""
    match content:
        case None:
            return Piece()
        case str():
            return Piece(content)
        case list():
            return sum(map(content_of, content), Piece())
        case {"type": str(kind), **said} if kind in _THOUGHT:
            inner = content_of(said.get("thinking", said.get("text", said.get("summary"))))
            return Piece(thought=inner.text + inner.thought)
        case {"type": "refusal", "refusal": str(refusal)}:
            return Piece(refusal=refusal)
        case {"type": "reference"} | {"type": "reasoning.encrypted"}:
            return Piece()
        case {"text": str(text)}:
            return Piece(text)
        case {"type": "text" | "text_delta", **said} if said.get("text") is None:
            return Piece()
        case {"type": str(kind)}:
            raise MalformedError("its content has a part of the type {}, which is no text", kind)
    raise MalformedError("its content is neither a text nor parts of one")


# ------------------------------------------------------------------------------------------------ models


def listed_models(answer: object) -> tuple[str, ...]:
    """The models that a list names: `data` or `models`, or the array itself; by `id` or `name`, or as texts."""
    entries = answer
    if type(answer) is dict:
        entries = answer.get("data") if type(answer.get("data")) is list else answer.get("models")
    if type(entries) is not list:
        raise MalformedError("its list of models has no array 'data'")
    return tuple(dict.fromkeys(map(_name_of_model, entries)))


def lists_more(answer: object) -> bool:
    """Whether a list of models is only a page of it."""
    if type(answer) is not dict:
        return False
    return answer.get("has_more") is True or any(answer.get(name) for name in ("next", "next_page", "nextPageToken"))


def next_page(answer: object, parameter: str) -> str | dict[str, str]:
    """Where the next page of a list of models is: a link, or what is added to the query of the first.

    `parameter` takes the last model of the page before, where the service gives neither a link nor a token.
    """
    said = answer if type(answer) is dict else {}
    for name in ("next", "next_page"):
        if type(link := said.get(name)) is str and link.startswith(("/", "?", "http:", "https:")):
            return link
    if type(token := said.get("nextPageToken")) is str and token:
        return {"pageToken": token}
    last = said.get("last_id")
    if said.get("has_more") is True and type(last) is not str:
        last = next(reversed(listed_models(answer)), None)
    if type(last) is not str or not last:
        raise MalformedError("its list of models has more pages, and does not say where")
    return {parameter: last}


def _name_of_model(entry: object) -> str:
    if type(entry) is dict:
        entry = next((entry[key] for key in ("id", "name", "model") if entry.get(key)), None)
    if type(entry) is not str:
        raise MalformedError("its list of models has an entry without an 'id'")
    return entry
