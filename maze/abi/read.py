"""Reads the structs of include/maze.h, trusting nothing: null pointers, magic, lengths and UTF-8 are checked here.

Constraints are read in two steps. `Reader.constraints_key` copies their raw bytes into a tuple, which is all that a
cache hit needs; `decode_constraints` makes ConstraintIR of that tuple.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Any, TypeVar

from maze.abi.library import Ffi, Lib, Pointer
from maze.config import (
    DEFAULT_CACHE_SIZE_LIMIT,
    DEFAULT_MAX_TOKENS,
    DEFAULT_TEMPERATURE,
    MazeConfig,
    read_config,
)
from maze.errors import ConfigurationError, InvalidArgumentError, LimitExceededError, MazeError
from maze.memory import is_limited, memory_for
from maze.options import (
    BraidGrammar,
    ConstraintOptions,
    GenerationOptions,
    Message,
    OnConflict,
    OnUnenforceable,
    PromptForm,
    Role,
    WhenCutOff,
)
from maze.ranges import MAX_STOP_TEXTS
from maze.types import ConstraintIR, Intent, TokenMaskRules

ConstraintKey = tuple[int, bytes | None, bytes | None, tuple[bytes, ...], bytes, bytes, bytes]
"""priority, json_schema, grammar, regex_patterns, allowed tokens, forbidden tokens, name: as they lay in memory."""

READING_FACTOR = 6
"""Bytes taken for each byte of a text: a copy, and up to 4 for each character."""
_UINT32 = "I"
"""Type code of a token id in an array."""

_Choice = TypeVar("_Choice", bound="StrEnum | None")
_ROLES = tuple(Role)
_ON_UNENFORCEABLE = tuple(OnUnenforceable)
_WHEN_CUT_OFF = tuple(WhenCutOff)
_PROMPT_FORMS = (None, *PromptForm)
_ON_CONFLICT = tuple(OnConflict)
_BRAID_GRAMMARS = (None, *BraidGrammar)
"""The choices of an enum of include/maze.h by their number there."""


def decode_text(raw: bytes, path: str) -> str:
    """Decode a text of the caller. Raises InvalidArgumentError with the place of the first byte that is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{path}: invalid UTF-8 at byte {error.start} (0x{raw[error.start]:02x}); encode the text as UTF-8"
        ) from None


def _chosen(
    choices: tuple[_Choice, ...],
    number: int,
    path: str,
    enum: str,
    wrong: type[MazeError] = InvalidArgumentError,
) -> _Choice:
    """The choice that has the number in C."""
    if number >= len(choices):
        raise wrong(f"{path} is {number}; give one of {enum}")
    return choices[number]


def _switch(number: int, path: str, wrong: type[MazeError] = InvalidArgumentError) -> bool | None:
    """What a field says that is 1 for yes, 0 for no and below 0 where nothing is said."""
    if number > 1:
        raise wrong(f"{path} is {number}; give 1 for yes, 0 for no, or -1 for the default")
    return None if number < 0 else number == 1


def decode_constraints(key: tuple[ConstraintKey, ...]) -> tuple[ConstraintIR, ...]:
    """Make ConstraintIR of what `Reader.constraints_key` read. Raises InvalidArgumentError for invalid UTF-8."""
    return tuple(_decode_constraint(f"constraints[{index}]", *parts) for index, parts in enumerate(key))


def _decode_constraint(
    path: str,
    priority: int,
    json_schema: bytes | None,
    grammar: bytes | None,
    regex_patterns: tuple[bytes, ...],
    allowed: bytes,
    forbidden: bytes,
    name: bytes,
) -> ConstraintIR:
    return ConstraintIR(
        json_schema=None if json_schema is None else decode_text(json_schema, f"{path}.json_schema"),
        grammar=None if grammar is None else decode_text(grammar, f"{path}.grammar"),
        regex_patterns=tuple(
            decode_text(pattern, f"{path}.regex_patterns[{index}]") for index, pattern in enumerate(regex_patterns)
        ),
        token_masks=_decode_masks(allowed, forbidden),
        priority=priority,
        name=_label(name),
    )


def _label(name: bytes) -> str:
    """A name is for people: what comes behind its first byte that is no UTF-8 is memory that Braid never wrote to."""
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        return name[: error.start].decode()


def _decode_masks(allowed: bytes, forbidden: bytes) -> TokenMaskRules | None:
    if not allowed and not forbidden:
        return None
    return TokenMaskRules(
        allowed=tuple(array(_UINT32, allowed)) if allowed else None,
        forbidden=tuple(array(_UINT32, forbidden)),
    )


class Reader:
    """Reads what the host hands over."""

    def __init__(self, ffi: Ffi, lib: Lib) -> None:
        self._ffi = ffi
        self._lib = lib
        self._null = ffi.NULL
        self._string = ffi.string
        self._magic = lib.MAZE_CONSTRAINT_MAGIC
        self._freed_magic = lib.MAZE_CONSTRAINT_FREED_MAGIC
        self._max_array = lib.MAZE_MAX_ARRAY_LENGTH
        self._max_text = lib.MAZE_MAX_TEXT_BYTES

    # ------------------------------------------------------------------------------------------ texts and arrays

    def _raw(self, text: Pointer, path: str) -> bytes:
        """Copy a text that is not NULL, reading no further than its limit."""
        if not is_limited():
            return self._copy(text, path)
        with self._memory_for(text):
            return self._copy(text, path)

    def _memory_for(self, text: Pointer) -> AbstractContextManager[None]:
        return memory_for(READING_FACTOR * self._lib.host_text_bytes(text, self._max_text) if is_limited() else 0)

    def _copy(self, text: Pointer, path: str) -> bytes:
        raw = self._string(text, self._max_text + 1)
        if len(raw) > self._max_text:
            raise LimitExceededError(f"{path} is longer than {self._max_text} bytes, or not NUL-terminated")
        return raw

    def text(self, text: Pointer, path: str) -> str | None:
        """Decode a text that may be NULL."""
        if text == self._null:
            return None
        with self._memory_for(text):
            return decode_text(self._copy(text, path), path)

    def _check_array(self, pointer: Pointer, length: int, path: str) -> None:
        if length > self._max_array:
            raise LimitExceededError(f"{path}_len is {length}; at most {self._max_array} are taken")
        if pointer == self._null:
            raise InvalidArgumentError(f"{path} is NULL, but {path}_len is {length}; give the array or length 0")

    def _texts(self, pointer: Pointer, length: int, path: str) -> tuple[bytes, ...]:
        self._check_array(pointer, length, path)
        texts = []
        for index in range(length):
            if pointer[index] == self._null:
                raise InvalidArgumentError(f"{path}[{index}] is NULL; give a text")
            texts.append(self._raw(pointer[index], f"{path}[{index}]"))
        return tuple(texts)

    def _tokens(self, pointer: Pointer, length: int, path: str) -> bytes:
        self._check_array(pointer, length, path)
        with memory_for(length * 4):
            return bytes(self._ffi.buffer(pointer, length * 4))

    def validated_text(self, text: Pointer, length: int) -> bytes:
        """Copy the text of maze_validate()."""
        if length > self._max_text:
            raise LimitExceededError(f"text_len is {length}; at most {self._max_text} bytes are taken")
        if text == self._null:
            if length > 0:
                raise InvalidArgumentError(f"text is NULL, but text_len is {length}; give the text or length 0")
            return b""
        with memory_for(length):
            return bytes(self._ffi.buffer(text, length))

    # ------------------------------------------------------------------------------------------ constraints

    def constraints_key(self, constraints: Pointer, length: int) -> tuple[ConstraintKey, ...]:
        """Copy the raw bytes of an array of constraints."""
        if length == 0:
            return ()
        self._check_array(constraints, length, "constraints")
        return tuple([self._constraint_key(constraints[index], index) for index in range(length)])

    def _constraint_key(self, constraint: Pointer, index: int) -> ConstraintKey:
        null = self._null
        magic = constraint.magic
        if magic != self._magic:
            what = (
                "was freed before (its magic is 0xDEADDEADDEADDEAD); keep it until the call returns"
                if magic == self._freed_magic
                else f"is no constraint (its magic is 0x{magic:016X}, not 0x{self._magic:016X}); "
                "pass an array of ConstraintIRFFI structs, not of pointers to them"
            )
            raise InvalidArgumentError(f"constraints[{index}] {what}")
        schema, grammar, name = constraint.json_schema, constraint.grammar, constraint.name
        patterns_len, masks = constraint.regex_patterns_len, constraint.token_masks
        allowed = forbidden = b""
        if masks != null:
            if allowed_len := masks.allowed_tokens_len:
                path = f"constraints[{index}].token_masks.allowed_tokens"
                allowed = self._tokens(masks.allowed_tokens, allowed_len, path)
            if forbidden_len := masks.forbidden_tokens_len:
                path = f"constraints[{index}].token_masks.forbidden_tokens"
                forbidden = self._tokens(masks.forbidden_tokens, forbidden_len, path)
        return (
            constraint.priority,
            None if schema == null else self._raw(schema, f"constraints[{index}].json_schema"),
            None if grammar == null else self._raw(grammar, f"constraints[{index}].grammar"),
            self._texts(constraint.regex_patterns, patterns_len, f"constraints[{index}].regex_patterns")
            if patterns_len
            else (),
            allowed,
            forbidden,
            b"" if name == null else self._raw(name, f"constraints[{index}].name"),
        )

    # ------------------------------------------------------------------------------------------ intents and options

    def intent(self, intent: Pointer, path: str = "intent") -> Intent:
        """Read an intent."""
        if intent == self._null:
            raise InvalidArgumentError(f"{path} is NULL; give an IntentFFI")
        raw_input = self.text(intent.raw_input, f"{path}.raw_input")
        if raw_input is None:
            raise InvalidArgumentError(f"{path}.raw_input is NULL; give what the user said")
        return Intent(
            raw_input=raw_input,
            prompt=self.text(intent.prompt, f"{path}.prompt"),
            current_file=self.text(intent.current_file, f"{path}.current_file"),
            language=self.text(intent.language, f"{path}.language"),
        )

    def intents(self, intents: Pointer, length: int) -> list[Intent | MazeError]:
        """Read the array of a batch, with the error of each intent that cannot be read in its place."""
        if length == 0:
            return []
        self._check_array(intents, length, "intents")
        return [self._intent_or_error(intents + index, f"intents[{index}]") for index in range(length)]

    def _intent_or_error(self, intent: Pointer, path: str) -> Intent | MazeError:
        try:
            return self.intent(intent, path)
        except MazeError as error:
            return error

    def constraint_options(self, options: Pointer) -> ConstraintOptions:
        """Read the options that count for compiling and checking."""
        if options == self._null:
            return ConstraintOptions()
        with self._naming_options(options):
            return ConstraintOptions(**self._of_constraints(options))

    def _of_constraints(self, options: Pointer) -> dict[str, Any]:
        conflict, unenforceable, braid = options.on_conflict, options.on_unenforceable, options.braid_grammar
        return {
            "on_unenforceable": _chosen(
                _ON_UNENFORCEABLE, unenforceable, "options.on_unenforceable", "MazeUnenforceable"
            ),
            "on_conflict": _chosen(_ON_CONFLICT, conflict, "options.on_conflict", "MazeConflict"),
            "ignore": self._list(options.ignore, options.ignore_len, "options.ignore"),
            "braid_grammar": _chosen(_BRAID_GRAMMARS, braid, "options.braid_grammar", "MazeBraidGrammar"),
        }

    @contextmanager
    def _naming_options(self, options: Pointer) -> Iterator[None]:
        """Let an error name the field as C does, or tell of a struct that was only cleared."""
        try:
            yield
        except InvalidArgumentError as error:
            if not any(self._ffi.buffer(options)[self._ffi.sizeof("size_t") :]):
                raise InvalidArgumentError(
                    "options holds nothing but zeros, which are not its defaults; begin with MAZE_OPTIONS_INIT or "
                    "maze_options_init()"
                ) from None
            raise (error.naming(f"options.{error.field}") if error.field else error) from None

    def options(self, options: Pointer) -> GenerationOptions:
        """Read the options of a generation; NULL is MAZE_OPTIONS_INIT."""
        if options == self._null:
            return GenerationOptions()
        model = self.text(options.model, "options.model") or None
        stop = self._stop(options.stop, options.stop_len)
        prompt_form = _chosen(_PROMPT_FORMS, options.prompt_form, "options.prompt_form", "MazePromptForm")
        when_cut_off = _chosen(_WHEN_CUT_OFF, options.when_cut_off, "options.when_cut_off", "MazeWhenCutOff")
        system = self.text(options.system, "options.system")
        messages = self._messages(options.messages, options.messages_len)
        continue_from = self.text(options.continue_from, "options.continue_from") or ""
        describe = _switch(options.describe_constraints, "options.describe_constraints")
        of_constraints = self._of_constraints(options)
        with self._naming_options(options):
            # What stands for "not set" is 0 in some fields and below 0 in others: see MAZE_OPTIONS_INIT.
            return GenerationOptions(
                max_tokens=options.max_tokens or None,
                timeout_ms=options.timeout_ms or None,
                temperature=None if options.temperature < 0 else options.temperature,
                top_p=None if options.top_p < 0 else options.top_p,
                top_k=options.top_k or None,
                seed=None if options.seed < 0 else options.seed,
                model=model,
                stop=stop,
                prompt_form=prompt_form,
                system=system,
                messages=messages,
                continue_from=continue_from,
                describe_constraints=describe,
                reasoning_tokens=None if options.reasoning_tokens < 0 else options.reasoning_tokens,
                max_attempts=options.max_attempts or None,
                when_cut_off=when_cut_off,
                top_logprobs=None if options.top_logprobs < 0 else options.top_logprobs,
                **of_constraints,
            )

    def _stop(self, stop: Pointer, length: int) -> tuple[str, ...]:
        if length == 0:
            return ()
        if length > MAX_STOP_TEXTS:
            raise InvalidArgumentError(
                f"options.stop_len is {length}; engines take at most {MAX_STOP_TEXTS} stop texts"
            )
        return self._list(stop, length, "options.stop")

    def _list(self, pointer: Pointer, length: int, path: str) -> tuple[str, ...]:
        if length == 0:
            return ()
        texts = self._texts(pointer, length, path)
        return tuple(decode_text(text, f"{path}[{index}]") for index, text in enumerate(texts))

    def _messages(self, messages: Pointer, length: int) -> tuple[Message, ...]:
        if length == 0:
            return ()
        self._check_array(messages, length, "options.messages")
        return tuple([self._message(messages[index], f"options.messages[{index}]") for index in range(length)])

    def _message(self, message: Pointer, path: str) -> Message:
        text = self.text(message.text, f"{path}.text")
        if text is None:
            raise InvalidArgumentError(f"{path}.text is NULL; give what was said")
        return Message(_chosen(_ROLES, message.role, f"{path}.role", "MazeRole"), text)

    # ------------------------------------------------------------------------------------------ configuration

    def config(self, config: Pointer, environment: dict[str, str]) -> MazeConfig:
        """Read the configuration of the process; what it leaves open comes from `environment`."""
        texts = {
            field: self.text(getattr(config, field), f"config.{field}")
            for field in ("endpoint", "api_key", "model", "local_model", "dialect", "log_filter")
        }
        number, enum = config.prompt_form, "MazePromptForm"
        texts["prompt_form"] = _chosen(_PROMPT_FORMS, number, "config.prompt_form", enum, ConfigurationError)
        timeout = {"timeout_secs": config.timeout_secs} if config.timeout_secs else {}
        enable_cache = _switch(config.enable_cache, "config.enable_cache", ConfigurationError)
        return read_config(
            {field: text for field, text in texts.items() if text is not None},
            environment,
            max_tokens=config.max_tokens or DEFAULT_MAX_TOKENS,
            temperature=DEFAULT_TEMPERATURE if config.temperature < 0 else config.temperature,
            enable_cache=enable_cache is not False,
            cache_size_limit=config.cache_size_limit or DEFAULT_CACHE_SIZE_LIMIT,
            max_attempts=config.max_attempts or None,
            **timeout,
        )


__all__ = ["ConstraintKey", "Reader", "decode_constraints", "decode_text"]
