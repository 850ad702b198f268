"""The Maze service contract as bytes: reading a request, writing an answer, and the one shape of an error."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from maze.config import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    DEFAULT_TOP_K,
    DEFAULT_TOP_P,
)
from maze.errors import MazeError, Status
from maze.ranges import MAX_STOP_TEXT_BYTES, MAX_STOP_TEXTS, SEED, TEMPERATURE, TOP_K
from maze.types import ConstraintIR, TokenMaskRules

MAX_REQUEST_ID_LENGTH = 128
MAX_TOKEN_ID = 2**32 - 1

_FIELDS = (
    "prompt",
    "constraints",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stop_sequences",
    "model",
    "context",
    "request_id",
)
_CONSTRAINTS = ("grammar", "json_schema", "regex_patterns", "token_mask")


class Refusal(Exception):  # noqa: N818 - it is an answer, not only an error
    """A request that gets an error for an answer: everything the one error shape needs."""

    def __init__(
        self,
        http_status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retryable: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.param = param
        self.retryable = retryable
        self.headers = dict(headers or {})

    def shape(self) -> dict[str, Any]:
        """The object that stands under "error"."""
        return {
            "code": self.code,
            "message": self.message,
            "type": _error_type(self.http_status),
            "param": self.param,
            "retryable": self.retryable,
        }


def _error_type(http_status: int) -> str:
    match http_status:
        case 401:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
        case 502 | 503 | 504:
            return "engine_error"
        case _ if http_status >= 500:
            return "server_error"
        case _:
            return "invalid_request_error"


CLIENT_CLOSED_REQUEST = 499
"""nginx's number for a client that left before its answer; nobody receives it, logs and metrics show it."""

HTTP_STATUS: Mapping[Status, int] = {
    Status.OK: 200,
    Status.INVALID_ARGUMENT: 400,
    Status.INVALID_CONSTRAINT: 400,
    Status.UNSUPPORTED_CONSTRAINT: 400,
    Status.CONTRADICTION: 400,
    Status.CONSTRAINT_VIOLATED: 502,
    Status.TRUNCATED: 400,
    Status.CONFIGURATION: 500,
    Status.STARTUP_FAILED: 500,
    Status.ENGINE_UNAVAILABLE: 503,
    # The engine refused the key of this service: nothing that the client could send would help, nor would a retry.
    Status.UNAUTHORIZED: 500,
    Status.RATE_LIMITED: 429,
    Status.REQUEST_REJECTED: 400,
    Status.BAD_RESPONSE: 502,
    Status.TIMED_OUT: 504,
    Status.CANCELLED: 503,
    Status.LIMIT_EXCEEDED: 400,
    Status.OUT_OF_MEMORY: 503,
    Status.FORKED: 500,
    Status.INTERNAL_ERROR: 500,
}
"""What a MazeError behind the service becomes for its client."""

RETRYABLE = frozenset({408, 429, 502, 503, 504})
"""HTTP statuses after which the same request may succeed."""


def refusal_of(error: MazeError, param: str | None = None) -> Refusal:
    """What the client is told about an error of compiling, generating or checking."""
    http_status = HTTP_STATUS[error.status]
    # The service makes one ConstraintIR of the request's constraints; the client knows them without an index.
    message = str(error).replace("constraints[0]", "constraints")
    headers = {"Retry-After": "1"} if http_status in (429, 503) else {}
    return Refusal(
        http_status,
        error.status.name.lower(),
        message,
        param=param,
        retryable=http_status in RETRYABLE,
        headers=headers,
    )


def invalid(message: str, param: str | None = None) -> Refusal:
    """The answer to a request that is wrong in itself."""
    return Refusal(400, "invalid_argument", message, param=param)


def over_limit(message: str, param: str | None = None, http_status: int = 400) -> Refusal:
    """The answer to a request that asks for more than the service gives."""
    return Refusal(http_status, "limit_exceeded", message, param=param)


# ------------------------------------------------------------------------------------------------ requests


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to generate, read and checked."""

    prompt: str
    constraints: ConstraintIR | None
    constraints_key: bytes
    """The constraints as JSON, as key for the cache of compiled ones."""
    language: str | None
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: tuple[str, ...]
    model: str | None
    request_id: str


def new_request_id() -> str:
    """An id for a request that came without one."""
    return uuid.uuid4().hex


def checked_request_id(text: object, param: str) -> str:
    """A request id that can stand in a header and a log line.

    Raises Refusal if it is not text of 1 to 128 visible ASCII characters.
    """
    if not isinstance(text, str) or not 0 < len(text) <= MAX_REQUEST_ID_LENGTH or not _is_visible_ascii(text):
        raise invalid(f"{param} must be a text of 1 to {MAX_REQUEST_ID_LENGTH} visible ASCII characters", param)
    return text


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def read_request(body: bytes, request_id: str, *, max_tokens: int, max_prompt_bytes: int) -> Ask:
    """Read the body of a request to generate.

    `request_id` is used where the body has none, `max_tokens` and `max_prompt_bytes` are the service's limits.
    Raises Refusal naming the field. Unknown fields are refused: a field that is ignored may have been a constraint.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise invalid("the body must be a JSON object")
    for name in fields:
        if name not in _FIELDS:
            raise invalid(f"unknown field {name[:100]!r}; this service knows {', '.join(_FIELDS)}", name[:100])

    prompt = fields.get("prompt")
    if not isinstance(prompt, str):
        raise invalid("prompt must be a text", "prompt")
    if len(prompt.encode()) > max_prompt_bytes:
        raise over_limit(f"prompt is longer than {max_prompt_bytes} bytes", "prompt")

    constraints = fields.get("constraints")
    context = fields.get("context")
    if context is not None and not isinstance(context, dict):
        raise invalid("context must be an object", "context")
    language = (context or {}).get("language")
    if language is not None and not isinstance(language, str):
        raise invalid("context.language must be a text", "context.language")
    model = fields.get("model")
    if model is not None and (not isinstance(model, str) or not model):
        raise invalid("model must be the name of a model, or absent for the default", "model")
    given_id = fields.get("request_id")

    return Ask(
        prompt=prompt,
        constraints=None if constraints is None else _read_constraints(constraints),
        constraints_key=orjson.dumps([constraints, language]),
        language=language,
        max_tokens=_integer(fields, "max_tokens", min(DEFAULT_MAX_TOKENS, max_tokens), 1, max_tokens),
        temperature=_number(fields, "temperature", DEFAULT_TEMPERATURE, 0, TEMPERATURE.highest),
        top_p=_top_p(fields),
        top_k=_integer(fields, "top_k", DEFAULT_TOP_K, 0, int(TOP_K.highest)),
        seed=_integer(fields, "seed", secrets.randbelow(2**32), 0, int(SEED.highest)),
        stop=_stop_texts(fields.get("stop_sequences")),
        model=model,
        request_id=request_id if given_id is None else checked_request_id(given_id, "request_id"),
    )


def _integer(fields: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(f"{name} must be a whole number", name)
    if not least <= value <= most:
        problem = f"{name} is {value}; it must lie between {least} and {most}"
        raise over_limit(problem, name) if name == "max_tokens" and value > most else invalid(problem, name)
    return value


def _number(fields: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise invalid(f"{name} must be a number", name)
    if not least <= value <= most:
        raise invalid(f"{name} is {value}; it must lie between {least:g} and {most:g}", name)
    return float(value)


def _top_p(fields: Mapping[str, Any]) -> float:
    value = _number(fields, "top_p", DEFAULT_TOP_P, 0, 1)
    if value == 0:
        raise invalid("top_p is 0; it must be over 0 and at most 1", "top_p")
    return value


def _texts(value: object, param: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise invalid(f"{param} must be an array of texts", param)
    return tuple(value)


def _stop_texts(value: object) -> tuple[str, ...]:
    texts = _texts(value, "stop_sequences")
    if len(texts) > MAX_STOP_TEXTS:
        raise over_limit(
            f"stop_sequences has {len(texts)} texts; at most {MAX_STOP_TEXTS} are possible", "stop_sequences"
        )
    if any(not 0 < len(text.encode()) <= MAX_STOP_TEXT_BYTES for text in texts):
        raise invalid(f"each of stop_sequences must have 1 to {MAX_STOP_TEXT_BYTES} bytes", "stop_sequences")
    return texts


def _read_constraints(value: object) -> ConstraintIR:
    if not isinstance(value, dict):
        raise invalid("constraints must be an object", "constraints")
    for name in value:
        if name not in _CONSTRAINTS:
            raise invalid(
                f"unknown constraint {name[:100]!r}; this service knows {', '.join(_CONSTRAINTS)}",
                f"constraints.{name[:100]}",
            )
    grammar = value.get("grammar")
    if grammar is not None and not isinstance(grammar, str):
        raise invalid("constraints.grammar must be a text", "constraints.grammar")
    schema = value.get("json_schema")
    if schema is not None and not isinstance(schema, (dict, bool)):
        raise invalid("constraints.json_schema must be an object", "constraints.json_schema")
    return ConstraintIR(
        json_schema=None if schema is None else orjson.dumps(schema).decode(),
        grammar=grammar,
        regex_patterns=_texts(value.get("regex_patterns"), "constraints.regex_patterns"),
        token_masks=_read_token_mask(value.get("token_mask")),
    )


def _read_token_mask(value: object) -> TokenMaskRules | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("constraints.token_mask must be an object", "constraints.token_mask")
    for name in value:
        if name not in ("allowed", "forbidden"):
            param = f"constraints.token_mask.{name[:100]}"
            raise invalid(f"unknown part {name[:100]!r} of token_mask; it knows allowed and forbidden", param)
    allowed = value.get("allowed")
    if allowed is not None and not allowed:
        # TokenMaskRules reads an empty list as "no such rule", which is Braid's meaning and not that of this contract.
        raise invalid("token_mask.allowed is empty, so no text is possible", "constraints.token_mask.allowed")
    return TokenMaskRules(
        allowed=None if allowed is None else _token_ids(allowed, "constraints.token_mask.allowed"),
        forbidden=_token_ids(value.get("forbidden") or [], "constraints.token_mask.forbidden"),
    )


def _token_ids(value: object, param: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(
        isinstance(token, int) and not isinstance(token, bool) and 0 <= token <= MAX_TOKEN_ID for token in value
    ):
        raise invalid(f"{param} must be an array of token ids", param)
    return tuple(value)


# ------------------------------------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished generation, as it is told to the client."""

    text: str
    request_id: str
    model: str | None
    finish_reason: str
    constraint_satisfied: bool
    total_ms: float
    queue_ms: float
    compile_ms: float
    validation_ms: float | None = None
    """None here and below: not known."""
    tokens_generated: int | None = None
    prompt_tokens: int | None = None
    first_token_ms: float | None = None

    def shape(self) -> dict[str, Any]:
        """The object of the contract, with the names of both of Ananke's older services.

        `constraint_checks` and `avg_constraint_check_us` are null: engines do not tell how often they computed a mask.
        """
        per_token_us = round(self.total_ms * 1000 / self.tokens_generated) if self.tokens_generated else None
        return {
            "generated_text": self.text,
            "tokens_generated": self.tokens_generated,
            "prompt_tokens": self.prompt_tokens,
            "model": self.model,
            "model_name": self.model,
            "finish_reason": self.finish_reason,
            "constraint_satisfied": self.constraint_satisfied,
            "request_id": self.request_id,
            "generation_time_ms": round(self.total_ms),
            "stats": {
                "total_time_ms": round(self.total_ms),
                "time_per_token_us": per_token_us,
                "constraint_checks": None,
                "avg_constraint_check_us": None,
                "queue_time_ms": round(self.queue_ms, 3),
                "compile_time_ms": round(self.compile_ms, 3),
                "first_token_ms": _rounded(self.first_token_ms),
                "validation_time_ms": _rounded(self.validation_ms),
            },
        }


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 3)
