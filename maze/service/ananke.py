"""Requests of Ananke's programs, put into the fields of the Maze contract.

What is to hold becomes a constraint, what is only known is told to the model, and what is neither is refused: a field
that is ignored may have been a constraint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from maze.json_text import dump, parse
from maze.service.constraint_spec import SpecReader, facts_of, whole_pattern
from maze.service.refusal import invalid, refuse_unknown

Fields = dict[str, Any]
"""An object as it was read: of texts, numbers, arrays and objects."""


class Form(Enum):
    """Whose request it is, by which its answer is shaped."""

    MAZE = "maze"
    RUST = "rust"
    """Ananke's Rust client, at /generate and /generate/stream."""
    FUNCTION = "function"
    """Ananke's command line with its backend `modal`, at / and /generate_api."""
    EVAL = "eval"
    """Ananke's evaluations, at /generate/constrained and /generate/unconstrained."""
    CHAT = "chat"
    """OpenAI's chat with `constraint_spec`, at /v1/chat/completions and /."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in the words of the contract."""

    form: Form
    fields: Fields
    """Without `constraints` and `context`."""
    constraints: tuple[Fields, ...] = ()
    """Each as `constraints` of the contract."""
    language: str | None = None
    current_file: str | None = None
    streams: bool = False
    """Whether a chat is to be answered piece by piece."""
    around: tuple[str, str] = ("", "")
    """What stands before and behind the hole that is to be filled, as far as the text has it."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What was made of a `constraint_spec`, for the answer."""


def translated(form: Form, fields: Fields) -> Translated | None:
    """A request of `form` in the words of the contract; None if it is in them already. Raises Refusal."""
    if form in (Form.CHAT, Form.FUNCTION) and "messages" in fields and "prompt" not in fields:
        return _chat(fields)
    if form is Form.CHAT:
        raise invalid("messages must be an array of messages", "messages")
    if form is Form.EVAL:
        return _evaluation(fields)
    constraints = fields.get("constraints")
    is_of_rust = isinstance(constraints, dict) and ("constraints" in constraints or "type" in constraints)
    if form is Form.MAZE and not is_of_rust and "constraint_ir" not in fields:
        return None
    return _completion(Form.RUST if is_of_rust else form, fields, is_of_rust=is_of_rust)


# ------------------------------------------------------------------------------------------------ prompts


def _completion(form: Form, fields: Fields, *, is_of_rust: bool) -> Translated:
    """A prompt with `constraints` of the Rust client, `constraint_ir` of the command line, or neither."""
    fields = _sampled(dict(fields))
    given, ir, context = fields.pop("constraints", None), fields.pop("constraint_ir", None), fields.pop("context", None)
    read: list[Fields] = []
    if given is not None:
        read += _of_rust(given) if is_of_rust else [_object(given, "constraints")]
    facts: list[str] = []
    for each, place in _each(ir, "constraint_ir"):
        one = dict(_object(each, place))
        facts += facts_of(_object_or_none(one, "rich_context", f"{place}."))
        one.pop("rich_context", None)
        read.append(_of_ir(one, place))
    language, current_file = None, None
    if isinstance(context, dict):
        language, current_file = (_text(context, name, "context.") for name in ("language", "current_file"))
    elif context is not None:
        if not isinstance(context, str):
            raise invalid("context must be a text or an object", "context")
        facts.append(context)
    _tell(fields, facts)
    kept = tuple(each for each in read if each)
    return Translated(form, fields, kept, language=language, current_file=current_file)


def _tell(fields: Fields, facts: Sequence[str]) -> None:
    """Put facts before the prompt; an empty prompt stays one, to be refused."""
    prompt = fields.get("prompt")
    if facts and isinstance(prompt, str) and prompt.strip():
        fields["prompt"] = "\n\n".join([*facts, prompt])


def _of_rust(value: object) -> list[Fields]:
    """Of `{"type", "properties", "constraints"}`: a schema of a name each, and what else was demanded by it."""
    given = _object(value, "constraints")
    refuse_unknown("constraint", given, ("type", "properties", "constraints"), "constraints.")
    if given.get("type", "object") != "object":
        raise invalid("constraints.type must be 'object'", "constraints.type")
    schemas = _object_or_none(given, "properties", "constraints.")
    read = [{"json_schema": _schema(each, f"constraints.properties.{name[:100]}")} for name, each in schemas.items()]
    listed = _array(given, "constraints", "constraints.")
    for number, each in enumerate(listed):
        place = f"constraints.constraints[{number}]"
        one = _object(each, place)
        match one.get("type"):
            case "grammar":
                refuse_unknown("field", one, ("type", "name", "rules", "start"), f"{place}.")
                grammar = {"start_symbol": one.get("start"), "rules": one.get("rules")}
                read.append({"grammar": _grammar(grammar, place)})
            case "regex":
                refuse_unknown("field", one, ("type", "name", "pattern", "flags"), f"{place}.")
                read.append({"regex_patterns": [_pattern(one, place)]})
            case "token_mask":
                refuse_unknown("field", one, ("type", "name", "allowed", "forbidden"), f"{place}.")
                read.append({"token_mask": {name: one[name] for name in ("allowed", "forbidden") if name in one}})
            case _:
                raise invalid(f"{place}.type must be one of grammar, regex, token_mask", f"{place}.type")
    return read


_OF_IR = ("json_schema", "grammar", "regex_patterns", "patterns", "regex", "token_masks")
_LABELS_OF_IR = ("name", "type", "version", "priority", "feasibility_score", "is_feasible")
"""What says nothing of the text."""


def _of_ir(given: Fields, place: str) -> Fields:
    """Of a ConstraintIR as Ananke writes it, for itself (`ananke compile`) or for llguidance."""
    refuse_unknown("field", given, (*_OF_IR, *_LABELS_OF_IR), f"{place}.")
    read: Fields = {}
    schema, grammar = given.get("json_schema"), given.get("grammar")
    if schema is not None:
        # Of a schema Ananke writes the type alone, which for Braid's usual one says nothing.
        vacuous = {"schema_type": "object", "additional_properties": True}
        read["json_schema"] = vacuous if schema == {"type": "object"} else _schema(schema, f"{place}.json_schema")
    if grammar is not None:
        read["grammar"] = _grammar(grammar, f"{place}.grammar")
    patterns = []
    for name in ("regex_patterns", "patterns"):
        listed = _array(given, name, f"{place}.")
        patterns += [_pattern(each, f"{place}.{name}[{number}]") for number, each in enumerate(listed)]
    whole = _text(given, "regex", f"{place}.")
    if whole is not None:
        patterns.append(whole_pattern(whole, f"{place}.regex"))
    if patterns:
        read["regex_patterns"] = patterns
    if masks := _object_or_none(given, "token_masks", f"{place}."):
        known = ("allowed", "forbidden", "allowed_tokens", "forbidden_tokens")
        refuse_unknown("part of token_masks", masks, known, f"{place}.token_masks.")
        read["token_mask"] = {name.removesuffix("_tokens"): ids for name, ids in masks.items() if ids is not None}
    return read


# ------------------------------------------------------------------------------------------------ evaluations

_OF_EVALUATION = ("prompt", "constraints", "few_shot_examples", "model", "max_tokens")
_TOLD_IN_EVALUATIONS = (
    *("type_constraints", "naming_constraints", "structural_constraints", "complexity_constraints"),
    *("behavior_constraints", "length_constraints"),
)
"""What Ananke's evaluations describe in prose, and judge afterwards themselves."""


def _evaluation(fields: Fields) -> Translated:
    refuse_unknown("field", fields, _OF_EVALUATION)
    read, facts = [], []
    given = _object_or_none(fields, "constraints", "")
    place = "constraints"
    if isinstance(given.get("constraints"), dict):
        refuse_unknown("constraint", given, ("constraints", *_LABELS_OF_TASK), f"{place}.")
        given, place = given["constraints"], "constraints.constraints"
    known = ("llguidance", "grammar", "regex_pattern", "regex_patterns", "constraint_type", "constraint_count")
    refuse_unknown("constraint", given, (*known, *_TOLD_IN_EVALUATIONS), f"{place}.")
    compiled = given.get("llguidance")
    if isinstance(compiled, str):
        compiled = _read_json(compiled, f"{place}.llguidance")
    if compiled is not None:
        read.append(_of_ir(_object(compiled, f"{place}.llguidance"), f"{place}.llguidance"))
    grammar = given.get("grammar")
    if isinstance(grammar, str) and _is_signature(grammar):
        head = grammar.strip().splitlines()[0].rstrip().removesuffix("{")
        read.append({"regex_patterns": [_loosely(head)]})
        facts.append(f"Use exactly this signature:\n{grammar.strip()}")
    elif isinstance(grammar, str) and not grammar.lstrip().startswith("{"):
        read.append({"grammar": grammar})
    elif grammar is not None:
        schema = _read_json(grammar, f"{place}.grammar") if isinstance(grammar, str) else grammar
        is_braids = isinstance(schema, dict) and "start_symbol" in schema
        read.append({"grammar": dump(schema)} if is_braids else {"json_schema": _schema(schema, f"{place}.grammar")})
    listed = _array(given, "regex_patterns", f"{place}.")
    pattern = given.get("regex_pattern")
    patterns = [_pattern(each, f"{place}.regex_pattern") for each in (*listed, *([] if pattern is None else [pattern]))]
    if patterns:
        read.append({"regex_patterns": patterns})
    facts += [f"{name.replace('_', ' ')}: {dump(given[name])}" for name in _TOLD_IN_EVALUATIONS if given.get(name)]
    facts += _examples(fields)
    asked: Fields = {name: fields[name] for name in ("prompt", "model", "max_tokens") if name in fields}
    _tell(asked, facts)
    return Translated(Form.EVAL, asked, tuple(each for each in read if each))


_LABELS_OF_TASK = ("task_id", "extracted_from", "extraction_method", "verified", "chain")
_GRAMMAR = re.compile(r"\A\s*\{|^\s*([?!]*start\s*:|root\s*::=|%(llguidance|language|import)\b)", re.MULTILINE)


def _is_signature(text: str) -> bool:
    """Whether what an evaluation calls its grammar is the head of a function or class, as most are."""
    return bool(text.strip()) and _GRAMMAR.search(text) is None


def _loosely(text: str) -> str:
    """A pattern for a text that holds these words, whatever the blanks between them."""
    return r"\s+".join(re.escape(word) for word in text.split())


def _examples(fields: Fields) -> list[str]:
    shown = []
    for number, each in enumerate(_array(fields, "few_shot_examples", "")):
        place = f"few_shot_examples[{number}]"
        example = _object(each, place)
        prompt, code = _text(example, "prompt", f"{place}."), _text(example, "code", f"{place}.")
        shown.append(f"Example {number + 1}:\nTask: {prompt or ''}\n\n{code or ''}")
    return shown


# ------------------------------------------------------------------------------------------------ chats

_OPTIONS_OF_CHAT = {
    "model": "model",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
}
"""The field of the contract for each of a chat."""
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "chat_template_kwargs": ({}, {"enable_thinking": False}),
    "add_generation_prompt": (True, False),
}
"""What may only be asked for as it is anyway."""
_OF_CHAT = (
    *("messages", *_OPTIONS_OF_CHAT, *_NEUTRAL, "stop", "stream", "stream_options", "user", "constraint_spec"),
    "continue_final_message",
)
DEFAULT_MODEL = "default"
"""What Ananke calls the model of a service that has but one."""


def _chat(fields: Fields) -> Translated:
    refuse_unknown("field", fields, _OF_CHAT)
    for name, neutral in _NEUTRAL.items():
        if fields.get(name) is not None and fields[name] not in neutral:
            raise invalid(f"{name} must be {dump(neutral[0])}", name)
    streams = fields.get("stream")
    if streams not in (None, False, True):
        raise invalid("stream must be true or false", "stream")
    asked: Fields = {}
    for name, option in _OPTIONS_OF_CHAT.items():
        if fields.get(name) is not None:
            asked[option] = fields[name]
    if asked.get("model") == DEFAULT_MODEL:
        del asked["model"]
    stop = fields.get("stop")
    if stop is not None:
        asked["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    asked = _sampled(asked) | _turns(fields.get("messages"), goes_on=fields.get("continue_final_message") is True)
    given = fields.get("constraint_spec")
    begun = asked.get("continue_from", "")
    if given is None:
        return Translated(Form.CHAT, asked, streams=bool(streams), around=(begun, ""))
    if begun:
        # Elsewhere a grammar is then one of what follows; here it is one of the whole text.
        problem = "continue_final_message cannot be had with a constraint_spec; use its field fim"
        raise invalid(problem, "continue_final_message")
    spec = SpecReader(_object(given, "constraint_spec"))
    _tell(asked, spec.facts)
    if spec.around[0]:
        asked["continue_from"] = spec.around[0]
    return Translated(
        Form.CHAT,
        asked,
        (spec.constraint,) if spec.constraint else (),
        language=spec.language,
        streams=bool(streams),
        around=spec.around,
        told={"enforced": spec.enforced, "told": spec.told},
    )


def _sampled(fields: Fields) -> Fields:
    """With the word of the contract for all tokens, for which engines say -1."""
    return fields | {"top_k": 0} if fields.get("top_k") == -1 else fields


def _turns(value: object, *, goes_on: bool) -> Fields:
    """`system`, `messages`, `prompt` and `continue_from` of the contract, of an array of messages."""
    if not isinstance(value, list) or not value:
        raise invalid("messages must be an array of at least one message", "messages")
    system, turns = [], []
    for number, each in enumerate(value):
        place = f"messages[{number}]"
        message = _object(each, place)
        role, content = message.get("role"), message.get("content")
        if not isinstance(content, str):
            raise invalid(f"{place}.content must be a text", f"{place}.content")
        if role in ("system", "developer"):
            system.append(content)
        elif role in ("user", "assistant"):
            turns.append({"role": role, "text": content})
        else:
            raise invalid(f"{place}.role must be one of system, user, assistant", f"{place}.role")
    said: Fields = {}
    if goes_on and turns and turns[-1]["role"] == "assistant":
        said["continue_from"] = turns.pop()["text"]
    if not turns or turns[-1]["role"] != "user":
        raise invalid("the last message must be one of the user", "messages")
    said["prompt"] = turns[-1]["text"]
    if system:
        said["system"] = "\n\n".join(system)
    if turns[:-1]:
        said["messages"] = turns[:-1]
    return said


# ------------------------------------------------------------------------------------------------ values


def _object(value: object, place: str) -> Fields:
    if not isinstance(value, dict):
        raise invalid(f"{place} must be an object", place)
    return value


def _object_or_none(given: Fields, name: str, path: str) -> Fields:
    """A field that may be missing, or null."""
    value = given.get(name)
    return {} if value is None else _object(value, f"{path}{name}")


def _array(given: Fields, name: str, path: str) -> list[Any]:
    """A field that may be missing, or null."""
    value = given.get(name)
    if value is not None and not isinstance(value, list):
        raise invalid(f"{path}{name} must be an array", f"{path}{name}")
    return value or []


def _each(value: object, place: str) -> list[tuple[object, str]]:
    """One or several, each with its place."""
    if isinstance(value, list):
        return [(each, f"{place}[{number}]") for number, each in enumerate(value)]
    return [] if value is None else [(value, place)]


def _text(given: Fields, name: str, path: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{path}{name} must be a text", f"{path}{name}")
    return value


def _read_json(text: str, place: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return parse(text)
    except ValueError as error:
        raise invalid(f"{place} is not JSON: {error}", place) from None


def _schema(value: object, place: str) -> Any:  # noqa: ANN401 - any JSON
    """A schema, which may be given as its text."""
    schema = _read_json(value, place) if isinstance(value, str) else value
    if not isinstance(schema, (dict, bool)):
        raise invalid(f"{place} must be a JSON Schema", place)
    return schema


def _grammar(value: object, place: str) -> str:
    """A grammar as text; Braid's is an object."""
    if isinstance(value, str):
        return value
    return dump(_object(value, place))


_FLAGS = {"i": "i", "m": "m", "s": "s", "u": "", "g": ""}
"""Flags of JavaScript's patterns, and what stands for them at the beginning of one."""


def _pattern(value: object, place: str) -> str:
    """A pattern, alone or with its flags."""
    if isinstance(value, str):
        return value
    given = _object(value, place)
    pattern, flags = _text(given, "pattern", f"{place}."), _text(given, "flags", f"{place}.") or ""
    if pattern is None:
        raise invalid(f"{place}.pattern must be a text", f"{place}.pattern")
    unknown = [flag for flag in flags if flag not in _FLAGS]
    if unknown:
        raise invalid(f"{place}.flags has {unknown[0]!r}; known are {', '.join(_FLAGS)}", f"{place}.flags")
    inline = "".join(dict.fromkeys(_FLAGS[flag] for flag in flags))
    return f"(?{inline}){pattern}" if inline else pattern
