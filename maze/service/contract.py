"""The Maze service contract as JSON: reading a request, writing an answer."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from maze.backends.base import FINISHED
from maze.errors import InvalidArgumentError, Status
from maze.json_text import TooDeepError, children, decode, dump, parse
from maze.messages import messages_of
from maze.options import BraidGrammar, GenerationOptions, Message, OnConflict, PromptForm, WhenCutOff
from maze.prompt import build_prompt
from maze.report import name_of, report_metadata
from maze.result import GenerationResult
from maze.service.ananke import Form, Translated, translated
from maze.service.refusal import in_words_of_the_contract, invalid, over_limit, refusal_of_failure, refuse_unknown
from maze.types import ConstraintIR, Intent, TokenMaskRules

_log = logging.getLogger(__name__)

Answer: TypeAlias = dict[str, Any]
"""The object that the contract calls an answer."""

MAX_REQUEST_ID_LENGTH = 128
MAX_TOKEN_ID = 2**32 - 1
MAX_MASK_TOKENS = 300_000
"""Most ids in a list of a token mask: more than any vocabulary has, and 30 ms of work in which nobody is answered."""
MAX_BODY_DEPTH = 100
"""Deepest nesting of objects and arrays in a request; a schema in it may be nested 64 deep."""

_OPTIONS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "stop_sequences": "stop",
    "model": "model",
    "system": "system",
    "messages": "messages",
    "continue_from": "continue_from",
    "prompt_form": "prompt_form",
    "describe_constraints": "describe_constraints",
    "reasoning_tokens": "reasoning_tokens",
    "max_attempts": "max_attempts",
    "when_cut_off": "when_cut_off",
    "top_logprobs": "top_logprobs",
    "on_conflict": "on_conflict",
    "ignore": "ignore",
    "braid_grammar": "braid_grammar",
}
"""The field of GenerationOptions for each field of a request."""
_CHOICES: Mapping[str, type[StrEnum]] = {
    "prompt_form": PromptForm,
    "when_cut_off": WhenCutOff,
    "on_conflict": OnConflict,
    "braid_grammar": BraidGrammar,
}
_FIELDS = ("prompt", "constraints", *_OPTIONS, "context", "request_id")
_METADATA = ("cut", "completed_from", "steered_from", "attempts", "reasoning", "reasoning_tokens", "logprobs")
"""What an answer tells of GenerationMetadata as it stands there."""
_Choice = TypeVar("_Choice", bound=StrEnum)
_CONSTRAINTS = ("grammar", "json_schema", "regex_patterns", "token_mask")


# ------------------------------------------------------------------------------------------------ requests


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request to generate, read and checked."""

    intent: Intent
    constraints: str
    """JSON, as the client wrote them, or an array of such; empty where there are none. See constraints_of()."""
    options: GenerationOptions
    request_id: str
    translated: Translated | None = None
    """What it was, where it was not in the words of the contract."""


def new_request_id() -> str:
    """An id for a request that came without one."""
    return uuid.uuid4().hex


def checked_request_id(text: object, param: str) -> str:
    """A request id that can stand in a header and a log line.

    Raises Refusal if it is not text of 1 to 128 visible ASCII characters.
    """
    if not isinstance(text, str) or not re.fullmatch(rf"[!-~]{{1,{MAX_REQUEST_ID_LENGTH}}}", text):
        raise invalid(f"{param} must be a text of 1 to {MAX_REQUEST_ID_LENGTH} visible ASCII characters", param)
    return text


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a request may ask for, and what it asks for where it does not say."""

    max_prompt_bytes: int
    max_tokens: int
    default_max_tokens: int


def read_request(body: bytes, request_id: str, limits: RequestLimits, form: Form = Form.MAZE) -> GenerateRequest:
    """Read the body of a request to generate. `request_id` is used where it has none.

    Raises Refusal naming the field. Unknown fields are refused: a field that is ignored may have been a constraint.
    """
    try:
        text = decode(body)
        fields = parse(text, MAX_BODY_DEPTH)
    except TooDeepError as error:
        raise over_limit(f"the body is {error}; it may be nested {MAX_BODY_DEPTH} deep") from None
    except ValueError as error:
        raise invalid(f"the body cannot be read: {error}") from None
    if not isinstance(fields, dict):
        raise invalid("the body must be a JSON object")
    foreign = translated(form, fields)
    constraints, given = "", fields.get("constraints")
    context: Any = fields.get("context")
    if foreign is not None:
        fields = foreign.fields
        context = {"language": foreign.language, "current_file": foreign.current_file}
        given = list(foreign.constraints) or None
    refuse_unknown("field", fields, _FIELDS)

    prompt = fields.get("prompt")
    if not isinstance(prompt, str):
        raise invalid("prompt must be a text", "prompt")
    if context is not None and not isinstance(context, dict):
        raise invalid("context must be an object", "context")
    language, current_file = (_of_context(context or {}, name) for name in ("language", "current_file"))
    given_id = fields.get("request_id")

    if given is not None:
        if foreign is None and not isinstance(given, dict):
            raise invalid("constraints must be an object", "constraints")
        constraints = _sources(text)["constraints"] if foreign is None else dump(given)
        constraints_of(constraints)
    intent = Intent(prompt, language=language, current_file=current_file)
    build_prompt(intent)  # now and not when its turn has come: it refuses what is empty
    options = _read_options(fields, limits)
    _refuse_long(prompt, options, limits.max_prompt_bytes)
    return GenerateRequest(
        intent=intent,
        constraints=constraints,
        options=options,
        request_id=request_id if given_id is None else checked_request_id(given_id, "request_id"),
        translated=foreign,
    )


def _of_context(context: Mapping[str, Any], name: str) -> str | None:
    value = context.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"context.{name} must be a text", f"context.{name}")
    return value


def _sources(text: str) -> dict[str | int, str]:
    """The values directly in an object, each as the client wrote it: re-written, numbers could become others."""
    return {child.name: text[child.start : child.end] for child in children(text)}


def _read_options(fields: Mapping[str, Any], limits: RequestLimits) -> GenerationOptions:
    given: dict[str, Any] = {"max_tokens": min(limits.default_max_tokens, limits.max_tokens)}
    for field, option in _OPTIONS.items():
        value = fields.get(field)
        if value is not None:
            given[option] = float(value) if isinstance(value, Decimal) else value
    given["stop"] = _texts(fields.get("stop_sequences"), "stop_sequences")
    given["messages"] = _read_messages(fields.get("messages"))
    given["ignore"] = tuple(map(_as_ignored, _texts(fields.get("ignore"), "ignore")))
    for field, choices in _CHOICES.items():
        if field in given:
            given[field] = _chosen(choices, given[field], field)
    try:
        options = GenerationOptions(**given)
    except InvalidArgumentError as error:
        option, bracket, index = error.field.partition("[")
        field = next(field for field, name in _OPTIONS.items() if name == option)
        raise invalid(in_words_of_the_contract(str(error.naming(field + bracket + index))), field) from None
    if options.max_tokens is not None and options.max_tokens > limits.max_tokens:
        problem = f"max_tokens is {options.max_tokens}; it must lie between 1 and {limits.max_tokens}"
        raise over_limit(problem, "max_tokens")
    if options.reasoning_tokens is not None and options.reasoning_tokens > limits.max_tokens:
        problem = f"reasoning_tokens is {options.reasoning_tokens}; it must lie between 0 and {limits.max_tokens}"
        raise over_limit(problem, "reasoning_tokens")
    return options


def _as_ignored(name: str) -> str:
    """The part that GenerationOptions.ignore calls so: a request has one constraint, and its mask another name."""
    return re.sub("^constraints(?=\\.|$)", "constraints[0]", re.sub("(?<![A-Za-z])token_mask$", "token_masks", name))


def _refuse_long(prompt: str, options: GenerationOptions, max_bytes: int) -> None:
    """Refuse what is too much for the model to read."""
    if len(prompt.encode()) > max_bytes:
        raise over_limit(f"prompt is longer than {max_bytes} bytes", "prompt")
    said = (prompt, options.system or "", options.continue_from, *(message.text for message in options.messages))
    if sum(len(text.encode(errors="surrogatepass")) for text in said) > max_bytes:
        raise over_limit(f"prompt, system, messages and continue_from together are longer than {max_bytes} bytes")


def _read_messages(value: object) -> tuple[Message, ...]:
    if value is None:
        return ()
    try:
        return messages_of(value)
    except InvalidArgumentError as error:
        raise invalid(str(error), error.field) from None


def _chosen(choices: type[_Choice], value: object, param: str) -> _Choice:
    if not isinstance(value, str) or value not in tuple(choices):
        raise invalid(f"{param} must be one of {', '.join(choices)}", param)
    return choices(value)


def _texts(value: object, param: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise invalid(f"{param} must be an array of texts", param)
    return tuple(value)


def constraints_of(source: str) -> tuple[ConstraintIR, ...]:
    """The constraints of a request that has any, from GenerateRequest.constraints."""
    value = parse(source)
    if isinstance(value, list):
        return tuple(_read_constraints(each, dump(each)) for each in value)
    return (_read_constraints(value, source),)


def _read_constraints(value: object, source: str) -> ConstraintIR:
    if not isinstance(value, dict):
        raise invalid("constraints must be an object", "constraints")
    refuse_unknown("constraint", value, _CONSTRAINTS, "constraints.")
    grammar = value.get("grammar")
    if grammar is not None and not isinstance(grammar, str):
        raise invalid("constraints.grammar must be a text", "constraints.grammar")
    schema = value.get("json_schema")
    if schema is not None and not isinstance(schema, (dict, bool)):
        raise invalid("constraints.json_schema must be an object", "constraints.json_schema")
    return ConstraintIR(
        json_schema=None if schema is None else _sources(source)["json_schema"],
        grammar=grammar,
        regex_patterns=_texts(value.get("regex_patterns"), "constraints.regex_patterns"),
        token_masks=_read_token_mask(value.get("token_mask")),
    )


def _read_token_mask(value: object) -> TokenMaskRules | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("constraints.token_mask must be an object", "constraints.token_mask")
    refuse_unknown("part of token_mask", value, ("allowed", "forbidden"), "constraints.token_mask.")
    allowed = value.get("allowed")
    if allowed is not None and not allowed:
        # TokenMaskRules reads an empty list as "no such rule", which is Braid's meaning and not that of this contract.
        raise invalid("token_mask.allowed is empty, so no text is possible", "constraints.token_mask.allowed")
    return TokenMaskRules(
        allowed=None if allowed is None else _token_ids(allowed, "constraints.token_mask.allowed"),
        forbidden=_token_ids(value.get("forbidden") or [], "constraints.token_mask.forbidden"),
    )


def _token_ids(value: object, param: str) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) > MAX_MASK_TOKENS:
        raise over_limit(f"{param} has {len(value)} token ids; at most {MAX_MASK_TOKENS} are taken", param)
    if not isinstance(value, list) or not all(
        isinstance(token, int) and not isinstance(token, bool) and 0 <= token <= MAX_TOKEN_ID for token in value
    ):
        raise invalid(f"{param} must be an array of token ids", param)
    return tuple(value)


# ------------------------------------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Waits:
    """What a request took before its generation began."""

    compile_ms: float
    """Work of compiling; 0 where that had been done before."""
    queue_ms: float
    """Waiting for a slot."""
    total_ms: float


def answer_of(result: GenerationResult, request: GenerateRequest, waits: Waits) -> Answer:
    """The answer that tells of `result`: of every finished text, whatever was found wrong with it.

    Raises Refusal if there is no finished text. The fields have the names of both of Ananke's older services. Null is
    what is not known: `constraint_satisfied` of a text that could not be checked (`constraint_error` tells why, as it
    tells what is wrong with one that does not satisfy them), `constraint_checks` and
    `avg_constraint_check_us` always, as engines do not tell how often they computed a mask.
    """
    metadata, provenance, validation = result.metadata, result.provenance, result.validation
    if metadata.finish_reason not in FINISHED:
        raise refusal_of_failure(result.status, result.error or "")
    satisfied: bool | None
    if validation is not None:
        satisfied = validation.all_satisfied
    elif result.status in (Status.TRUNCATED, Status.CONSTRAINT_VIOLATED):  # as a Maze service upstream has judged
        satisfied = False
    else:
        _log.warning("request %s: its text could not be checked: %s", request.request_id, result.error)
        satisfied = None
    told = report_metadata(metadata)
    model = provenance.model if provenance else request.options.model
    tokens = metadata.tokens_generated
    total_ms = waits.total_ms + metadata.total_time_ms
    return {
        "status": name_of(result.status),
        "generated_text": result.code,
        "tokens_generated": tokens,
        "prompt_tokens": metadata.prompt_tokens,
        "model": model,
        "model_name": model,
        "finish_reason": metadata.finish_reason,
        "constraint_satisfied": satisfied,
        "constraint_warnings": [in_words_of_the_contract(each) for each in validation.warnings]
        if validation is not None
        else [],
        "constraint_error": None if satisfied else in_words_of_the_contract(result.error or ""),
        "request_id": request.request_id,
        **{name: told[name] for name in _METADATA},
        "generation_time_ms": round(total_ms),
        "stats": {
            "total_time_ms": round(total_ms),
            "time_per_token_us": round(total_ms * 1000 / tokens) if tokens else None,
            "constraint_checks": None,
            "avg_constraint_check_us": None,
            "queue_time_ms": round(waits.queue_ms, 3),
            "compile_time_ms": round(waits.compile_ms, 3),
            "first_token_ms": _rounded(metadata.first_token_ms),
            "validation_time_ms": _rounded(metadata.validation_time_ms),
        },
    }


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 3)
