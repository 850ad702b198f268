"""How texts come to an end: completed where they were cut off, or ended by the model in time."""

from __future__ import annotations

import codecs
import json
import pickle
import random
import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from fault_server import DONE, Exchange, FaultServer, Play, answer, by_path, event, stream
from grammar_texts import JSON_GBNF, random_text
from http_calls import backend_for
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_backend import ScriptedBackend
from test_cfg import GRAMMARS, LONGEST, texts_of

from maze import ConstraintIR, GenerationOptions, Intent, MazeConfig, Orchestrator, TokenMaskRules
from maze.backends.base import FINISHED_COMPLETED, FINISHED_LENGTH, FINISHED_STOP, Completion, OnText, Request
from maze.check.cut_off import judge
from maze.check.validation import validate
from maze.compiled import CompiledConstraints, TokenMask
from maze.errors import (
    CancelledError,
    ConstraintViolatedError,
    EngineUnavailableError,
    LimitExceededError,
    RequestRejectedError,
    Status,
)
from maze.grammar import compile_constraints
from maze.grammar import continuation as continuation_module
from maze.grammar.budget import Budget
from maze.grammar.cfg.model import Cfg, Pattern
from maze.grammar.cfg.packing import packed, unpacked
from maze.grammar.cfg.quotient import left_quotient
from maze.grammar.cfg.short_endings import short_endings
from maze.grammar.cfg.shortest import ShortestTexts, shortest_text
from maze.grammar.continuation import rest_after
from maze.grammar.llguidance import Matcher
from maze.grammar.pattern.tree import Chars, Node, Repeat, alt, cat, literal
from maze.options import WhenCutOff
from maze.outcome import Handling
from maze.result import GenerationResult
from maze.threads import run_with_big_stack

DIGITS = ConstraintIR(regex_patterns=("^[0-9]+$",))
EMOJI = ConstraintIR(regex_patterns=("^[😀-😎]{3,30}$",))
"""Characters of which a token may hold a byte alone."""
YEAR = ConstraintIR(regex_patterns=("^[0-9]{4}$",))
PERSON = ConstraintIR(
    json_schema=json.dumps(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 2},
                "age": {"type": "integer", "minimum": 18},
                "kind": {"enum": ["crew", "guest"]},
                "tags": {"type": "array", "items": {"type": "string", "pattern": "^#[a-z]+$"}, "minItems": 1},
                "note": {"type": ["string", "null"]},
            },
            "required": ["name", "age", "kind", "tags"],
            "additionalProperties": False,
        }
    )
)
PROGRAM = ConstraintIR(
    grammar='root ::= st+\nst ::= id " = " e ";\\n" | "if (" e ") {\\n" st* "}\\n"\ne ::= t (" + " t)*\n'
    't ::= id | num | "(" e ")" | id "(" (e (", " e)*)? ")"\nid ::= [a-z] [a-zA-Z0-9_]{0,9}\nnum ::= [0-9]+\n'
)
LARK = ConstraintIR(
    grammar='start: item+\nitem: NAME "=" sum ";"\nsum: sum "+" sum | NUMBER | NAME | "(" sum ")" | STRING\n'
    'NAME: /[a-z]+/\nNUMBER: /[0-9]+(\\.[0-9]+)?/\nSTRING: /"([^"\\\\]|\\\\.)*"/\n%ignore /[ \\n]+/\n'
)
CHAIN = ConstraintIR(
    grammar='start: target "=" | callee ";"\ntarget: NAME | callee "." NAME\ncallee: target | "(" callee ")"\n'
    "NAME: /[a-z]+/\n"
)
"""What has been begun goes on with itself through two rules."""
WORDS = ConstraintIR(grammar='start: (A | B)* "."\nA: /a+/\nB: /ab?/\n')
"""Engines read it by whole terminals."""
JSON = ConstraintIR(grammar=JSON_GBNF)
VACUOUS = ConstraintIR(json_schema='{"schema_type":"object","additional_properties":true}')
BRAID = Path(__file__).parent / "data" / "braid"


def _braid(name: str) -> ConstraintIR:
    return ConstraintIR(grammar=json.loads((BRAID / f"{name}.json").read_text())["grammar"])


@cache
def compiled(constraint: ConstraintIR, language: str | None = None) -> CompiledConstraints:
    return compile_constraints([constraint], language)


def ending(constraints: CompiledConstraints, text: str) -> str:
    rest = rest_after(constraints, text, Budget())
    assert rest is not None
    return rest.shortest


# ------------------------------------------------------------------------------------------------ completing


def cut_off(
    text: str, *constraints: ConstraintIR, when: WhenCutOff = WhenCutOff.COMPLETE, pieces: list[str] | None = None
) -> GenerationResult:
    given = [] if pieces is None else pieces
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(list(text), FINISHED_LENGTH)) as maze:
        result = maze.generate(
            Intent("x"), constraints, GenerationOptions(max_tokens=5, when_cut_off=when), on_text=given.append
        )
    assert "".join(given) == result.code or result.status is Status.TRUNCATED
    return result


@pytest.mark.parametrize(
    ("text", "constraint", "wanted"),
    [
        ("2", YEAR, "2000"),
        ("20", DIGITS, "20"),
        ("", YEAR, "0000"),
        ("", PERSON, '{"name":"aa","age":18,"kind":"crew","tags":["#a"]}'),
        ('{"name":"Jo \\', PERSON, '{"name":"Jo \\b","age":18,"kind":"crew","tags":["#a"]}'),
        ('{"name":"Jo \\u00', PERSON, '{"name":"Jo \\u000b","age":18,"kind":"crew","tags":["#a"]}'),
        ('{"name":"Jo é\ufffd', PERSON, '{"name":"Jo é","age":18,"kind":"crew","tags":["#a"]}'),
        ('{"name":"Jo","age":1', PERSON, '{"name":"Jo","age":18,"kind":"crew","tags":["#a"]}'),
        ('{"name":"Jo","age":40,"kind":"g', PERSON, '{"name":"Jo","age":40,"kind":"guest","tags":["#a"]}'),
        ("a = f(b, (c", PROGRAM, "a = f(b, (c));\n"),
        ("if (a) {\nif (b) {\nc = 1", PROGRAM, "if (a) {\nif (b) {\nc = 1;\n}\n}\n"),
        ('a = "b\\', LARK, 'a = "b\\a";'),
        ("aab", WORDS, "aab."),
        ('{"a":' + "[" * 300, JSON, '{"a":' + "[" * 300 + "]" * 300 + "}"),
        ('{"a": [1, -', JSON, None),
    ],
)
def test_a_text_that_was_cut_off_gets_the_shortest_ending(
    text: str, constraint: ConstraintIR, wanted: str | None
) -> None:
    result = cut_off(text, constraint)
    assert (result.status, result.error) == (Status.OK, None)
    if wanted is not None:
        assert result.code == wanted
    begun = text.rstrip("\ufffd")
    assert result.code.startswith(begun)
    assert result.metadata.completed_from == len(begun.encode())
    assert (result.metadata.finish_reason, result.metadata.cut) == (FINISHED_COMPLETED, True)
    assert result.validation is not None
    assert result.validation.all_satisfied


def test_the_ending_is_streamed_behind_the_text_and_half_a_character_is_not() -> None:
    pieces: list[str] = []
    result = cut_off('{"name":"Jo\ufffd', PERSON, pieces=pieces)
    assert pieces[-1] == '","age":18,"kind":"crew","tags":["#a"]}'
    assert "".join(pieces) == result.code
    assert "\ufffd" not in result.code


def test_a_replacement_character_that_the_model_wrote_is_kept() -> None:
    pieces: list[str] = []
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["a\ufffd", "\ufffdb", "\ufffd"])) as maze:
        result = maze.generate(Intent("x"), (), on_text=pieces.append)
    assert "".join(pieces) == result.code == "a\ufffd\ufffdb\ufffd"


def test_a_caller_can_cancel_when_it_gets_the_ending() -> None:
    with Orchestrator(MazeConfig(), backend=ScriptedBackend(["2"], FINISHED_LENGTH)) as maze:
        options = GenerationOptions(max_tokens=5, when_cut_off=WhenCutOff.COMPLETE)
        result = maze.generate(Intent("x"), [YEAR], options, on_text=lambda piece: piece == "2")
    assert (result.status, result.code) == (Status.CANCELLED, "2")
    assert (result.metadata.finish_reason, result.metadata.attempts[0].finish_reason) == ("cancelled", "cancelled")


def test_under_token_masks_nothing_is_appended() -> None:
    mask = ConstraintIR(token_masks=TokenMaskRules(forbidden=(7,)))
    result = cut_off("2", YEAR, mask)
    assert (result.status, result.code, result.metadata.completed_from) == (Status.TRUNCATED, "2", None)
    assert "token masks" in str(result.error)


def test_where_no_grammar_is_enforced_a_text_is_complete_only_as_it_stands() -> None:
    only_checked = replace(compiled(YEAR), grammar=None, packed_grammar=b"")
    for text, status in (("2019", Status.OK), ("20", Status.TRUNCATED)):
        with Orchestrator(MazeConfig(), backend=ScriptedBackend([text], FINISHED_LENGTH)) as maze:
            options = GenerationOptions(max_tokens=5, when_cut_off=WhenCutOff.COMPLETE)
            result = maze.generate(Intent("x"), only_checked, options)
        assert (result.status, result.code) == (status, text)
        assert status is Status.OK or "nothing is enforced by a grammar" in str(result.error)


def test_a_completed_text_is_checked_for_what_is_only_checked() -> None:
    not_short = ConstraintIR(grammar='root ::= "(" root ")" | [a-z] [a-z]+')
    nested = ConstraintIR(grammar='root ::= "(" root ")" | [a-z]+', priority=9)
    assert cut_off("((ab", not_short, nested).success
    result = cut_off("((", not_short, nested)
    assert (result.status, result.code) == (Status.CONSTRAINT_VIOLATED, "((a))")
    assert "the completed text breaks its constraints: constraints[0].grammar" in str(result.error)


def test_a_text_that_the_grammar_rules_out_is_not_completed() -> None:
    result = cut_off("20x", YEAR)
    assert (result.status, result.metadata.completed_from) == (Status.CONSTRAINT_VIOLATED, None)


_COMPLETED = [
    pytest.param(constraint, language, id=name)
    for name, constraint, language in (
        ("year", YEAR, None),
        ("schema", PERSON, None),
        ("gbnf", PROGRAM, None),
        ("lark", LARK, None),
        ("read whole", WORDS, None),
        ("json", JSON, None),
        ("braid python", _braid("e01_python"), "python"),
        ("braid zig", _braid("e04_zig"), "zig"),
    )
]


@pytest.mark.parametrize(("constraint", "language"), _COMPLETED)
def test_every_beginning_of_a_text_gets_an_ending_that_satisfies(
    constraint: ConstraintIR, language: str | None
) -> None:
    constraints = compiled(constraint, language)
    assert constraints.grammar is not None
    chance = random.Random(5)
    texts = [random_text(constraints.grammar, chance, 120) for _ in range(4)]
    found = [text.decode() if isinstance(text, bytes | bytearray) else text for text in texts if text is not None]
    for text in found or [ending(constraints, "")]:
        for length in sorted({0, len(text), *(chance.randrange(len(text) + 1) for _ in range(6))}):
            begun = text[:length]
            whole = begun + ending(constraints, begun)
            assert validate(whole.encode(), constraints).all_satisfied, (begun, whole)
            assert len(whole) <= len(text), (begun, whole)


@settings(max_examples=60)
@given(GRAMMARS, st.randoms(use_true_random=False))
def test_the_shortest_ending_is_the_shortest_there_is(cfg: Cfg, chance: random.Random) -> None:
    texts = sorted(text for text in texts_of(cfg) if len(text) <= LONGEST)
    if not texts:
        return
    chosen = chance.choice(texts)
    begun = chosen[: chance.randrange(len(chosen) + 1)]
    least = min(len(text) for text in texts if text.startswith(begun))
    found = shortest_text(left_quotient(cfg, begun, Budget().construction()), Budget().construction())
    assert found is not None
    assert len(begun + found) == least
    assert begun + found in texts


# ------------------------------------------------------------------------------------------------ cut off or not


@pytest.mark.parametrize(
    ("text", "constraints", "could_go_on"),
    [
        ("2019", [YEAR], False),
        ("20", [DIGITS], True),
        ("a = 1;\n", [PROGRAM], True),
        ('{"name":"Jo","age":40,"kind":"crew","tags":["#a"]}', [PERSON], False),
        ("ab", [ConstraintIR(regex_patterns=("^[a-z]+$", "^.{2}$"))], False),
        ("ab", [ConstraintIR(regex_patterns=("^a", "b"))], True),
        ("12", [ConstraintIR(json_schema='{"type":"integer"}')], True),
        ("x", [ConstraintIR(token_masks=TokenMaskRules(forbidden=(7,)))], True),
    ],
)
def test_a_text_that_satisfies_its_constraints_was_cut_off_only_if_it_could_have_gone_on(
    text: str, constraints: list[ConstraintIR], could_go_on: bool
) -> None:
    assert judge(text.encode(), compile_constraints(constraints), may_be_cut_off=True).could_go_on is could_go_on
    result = cut_off(text, *constraints, when=WhenCutOff.ERROR)
    assert (result.code, result.metadata.cut) == (text, could_go_on)
    assert result.status is (Status.TRUNCATED if could_go_on else Status.OK)
    if could_go_on:
        assert "it satisfies the constraints as it stands" in str(result.error)
        assert "raise max_tokens (it was 5)" in str(result.error)


@pytest.mark.parametrize(
    ("text", "could_go_on"), [('{"a":1}', False), ("20", True), ('"a"', False), ("20 ", False), ("[1]", False)]
)
def test_a_json_text_of_a_schema_that_is_only_checked_can_go_on_if_it_is_a_number(text: str, could_go_on: bool) -> None:
    schema = replace(compiled(ConstraintIR(json_schema='{"not":{"type":"null"}}')), grammar=None, packed_grammar=b"")
    assert judge(text.encode(), schema, may_be_cut_off=True).could_go_on is could_go_on


@pytest.mark.parametrize(
    "constraints",
    [
        [],
        [VACUOUS],
        [ConstraintIR()],
        *([ConstraintIR(regex_patterns=(text,))] for text in ("", "^", ".*", "a*|(?s:.)")),
    ],
)
@pytest.mark.parametrize("when", list(WhenCutOff))
def test_without_constraints_a_text_that_was_cut_off_is_a_success_with_a_warning(
    constraints: list[ConstraintIR], when: WhenCutOff
) -> None:
    result = cut_off("Once upon", *constraints, when=when)
    assert (result.success, result.metadata.finish_reason, result.metadata.cut) == (True, FINISHED_LENGTH, True)
    assert result.validation is not None
    *others, warning = result.validation.warnings
    assert "cut off after 9 tokens" in warning
    assert all("every text satisfies it" in other for other in others)


def test_a_text_that_satisfies_as_it_stands_can_be_accepted() -> None:
    result = cut_off("20", DIGITS, when=WhenCutOff.ACCEPT)
    assert (result.success, result.code, result.metadata.cut) == (True, "20", True)
    assert (result.metadata.finish_reason, result.metadata.completed_from) == (FINISHED_LENGTH, None)
    assert result.validation is not None
    assert "cut off after 2 tokens" in result.validation.warnings[-1]
    assert cut_off("2", YEAR, when=WhenCutOff.ACCEPT).status is Status.TRUNCATED


# ------------------------------------------------------------------------------------------------ ending in time


@dataclass
class WritingBackend:
    """Writes what a grammar allows, a byte for a token, at random."""

    grammar: CompiledConstraints
    requests: list[Request] = field(default_factory=list)
    goes_on: bool = True
    name: str = "writing"
    failure: Exception | None = None
    """Of every request but the first."""

    def can_go_on(self, _: Request) -> bool:
        return self.goes_on

    def generate(self, request: Request, on_text: OnText) -> Completion:
        self.requests.append(request)
        if self.failure is not None and len(self.requests) > 1:
            raise self.failure
        assert request.grammar is not None
        matcher, chance, written = Matcher(request.grammar), random.Random(request.seed), b""
        read = codecs.getincrementaldecoder("utf-8")()
        while len(written) < request.max_tokens:
            allowed = matcher.next_bytes()
            following = [byte for byte in allowed if 0x20 <= byte < 0x7F or byte == 0x0A] or list(allowed)
            # Like a model that has much to say, it ends only where it must.
            if not following:
                return Completion(written.decode(), FINISHED_STOP, len(written) + 1, "m", 3, 0.5)
            byte = bytes([chance.choice([each for each in following if each != 0x22] or following)])
            matcher.consume(byte)
            written += byte
            if (piece := read.decode(byte)) and on_text(piece) is False:
                raise CancelledError("cancelled by the caller", partial_text=written.decode(errors="replace"))
        return Completion(written.decode(errors="replace"), FINISHED_LENGTH, len(written), "m", 3, 0.5)

    def health(self, deadline: object) -> None: ...
    def models(self, deadline: object) -> None: ...
    def close(self) -> None: ...


def written(backend: WritingBackend, pieces: list[str] | None = None, **options: object) -> GenerationResult:
    given = [] if pieces is None else pieces
    with Orchestrator(MazeConfig(), backend=backend) as maze:  # type: ignore[arg-type]
        return maze.generate(
            Intent("x"),
            backend.grammar,
            GenerationOptions(seed=4, **options),  # type: ignore[arg-type]
            on_text=given.append,
        )


@pytest.mark.parametrize(
    ("constraint", "tokens"),
    [
        (PERSON, 300),
        (PERSON, 500),
        (PROGRAM, 64),
        (PROGRAM, 300),
        (LARK, 64),
        (DIGITS, 64),
        (DIGITS, 16),
        (PROGRAM, 24),
        (EMOJI, 24),
        (EMOJI, 48),
    ],
)
def test_a_model_that_would_not_end_is_brought_to_an_end_in_time(constraint: ConstraintIR, tokens: int) -> None:
    pieces: list[str] = []
    backend = WritingBackend(compiled(constraint))
    result = written(backend, pieces, max_tokens=tokens)
    assert (result.status, result.error) == (Status.OK, None)
    assert "".join(pieces) == result.code
    first, *_, last = backend.requests
    assert first.continue_from == ""
    assert result.code.startswith(last.continue_from)
    assert result.metadata.steered_from == len(last.continue_from.encode())
    assert (result.metadata.finish_reason, result.metadata.cut) == (FINISHED_STOP, False)
    assert result.metadata.tokens_generated is not None
    dropped = result.metadata.tokens_generated - len(result.code.encode()) - 1
    assert 0 <= dropped <= 3 * (len(backend.requests) - 1)  # of characters that a request was cut off in
    assert constraint == EMOJI or dropped == 0
    assert result.metadata.tokens_generated <= tokens
    assert result.metadata.prompt_tokens == 3


@pytest.mark.parametrize(("constraint", "most"), [(PROGRAM, 300), (PROGRAM, 1_200), (PERSON, 400)])
@pytest.mark.parametrize("continue_from", ["", "begun"])
def test_a_text_ends_before_it_is_longer_than_a_pattern_that_is_only_checked_allows(
    constraint: ConstraintIR, most: int, continue_from: str
) -> None:
    begun = {PROGRAM: "abc = (", PERSON: '{"name":"abc'}[constraint] if continue_from else ""
    constraints = compile_constraints([constraint, ConstraintIR(regex_patterns=(rf"^[\s\S]{{1,{most}}}$",))])
    assert (constraints.parts[1].handling, constraints.most_characters) == (Handling.CHECKED, most)
    backend = WritingBackend(constraints)
    result = written(backend, max_tokens=4_000, continue_from=begun, max_attempts=1)
    assert (result.status, result.error) == (Status.OK, None)
    assert most / 4 < len(result.code) <= most
    assert result.metadata.steered_from == len(backend.requests[-1].continue_from)


@pytest.mark.parametrize(
    ("patterns", "most"),
    [
        (("^[a-z]{1,9}$",), None),  # the product is enforced
        (("^[^;]*;",), None),
        ((r"^[\s\S]{1,900}$", r"^[\s\S]{9,700}$", r"(?=[\s\S]*x)"), 700),
        ((r"^(?=[\s\S]*x)(?:[\s\S]{0,99}\n){1,20}$",), 2_000),
    ],
)
def test_what_patterns_that_are_only_checked_allow_at_most_is_known(
    patterns: tuple[str, ...], most: int | None
) -> None:
    grammar = ConstraintIR(grammar='root ::= x\nx ::= "(" x ")" x | [a-z;\\n] x | ""\n')
    assert compile_constraints([grammar, ConstraintIR(regex_patterns=patterns)]).most_characters == most


def test_behind_thoughts_a_model_is_brought_to_an_end_in_time_and_shown_what_it_has_thought() -> None:
    class ThinkingBackend(WritingBackend):
        def generate(self, request: Request, on_text: OnText) -> Completion:
            made = super().generate(request, on_text)
            if not request.reasoning_tokens:
                return made
            counted = (made.tokens_generated or 0) + 5
            return replace(made, reasoning="Hm.", reasoning_tokens=5, tokens_generated=counted)

    backend = ThinkingBackend(compiled(PROGRAM))
    result = written(backend, max_tokens=64, reasoning_tokens=8)
    first, *others = backend.requests
    assert (first.reasoning_tokens, first.thought, first.max_tokens) == (8, None, 32)
    assert {(request.reasoning_tokens, request.thought) for request in others} == {(0, "Hm.")}
    metadata = result.metadata
    assert (result.success, metadata.reasoning, metadata.reasoning_tokens) == (True, "Hm.", 5)
    assert metadata.tokens_generated == len(result.code) + 1 + 5
    assert metadata.steered_from is not None


def test_under_a_token_mask_a_model_is_brought_to_an_end_in_time_or_its_text_is_cut_off() -> None:
    def masked(failure: Exception | None = None) -> WritingBackend:
        backend = WritingBackend(compiled(PROGRAM), failure=failure)
        backend.grammar = replace(backend.grammar, token_mask=TokenMask(None, frozenset((7,))))
        return backend

    ended = written(masked(), max_tokens=64)
    assert (ended.success, ended.metadata.cut) == (True, False)
    assert ended.metadata.steered_from is not None
    nothing_allowed = ConstraintViolatedError("token_masks: no token satisfies both", partial_text="x")
    cut = written(masked(nothing_allowed), max_tokens=64)
    assert (cut.status, len(cut.code)) == (Status.TRUNCATED, 33)


@pytest.mark.usefixtures("backends_are_closed")
def test_a_server_is_asked_what_it_is_before_it_is_known_whether_it_can_go_on() -> None:
    listed = answer(200, {"data": [{"id": "m", "owned_by": "vllm"}]})

    def chat(text: str, reason: str, tokens: int) -> Play:
        said = event({"choices": [{"delta": {"content": text}, "finish_reason": reason}]})
        return stream(said, event({"choices": [], "usage": {"completion_tokens": tokens}}), DONE)

    def says(exchange: Exchange) -> None:
        asked = exchange.received.json()
        (chat("2", "length", asked["max_tokens"]) if len(asked["messages"]) == 1 else chat("019", "stop", 4))(exchange)

    with (
        FaultServer(by_path(v1_models=listed, version=answer(200, {}), v1_chat_completions=says)) as server,
        Orchestrator(MazeConfig(), backend=backend_for(server.url, dialect=None)) as maze,
    ):
        result = maze.generate(Intent("x"), [YEAR], GenerationOptions(max_tokens=40))
    assert (result.success, result.code, result.metadata.tokens_generated) == (True, "2019", 24)
    asked = [request.json() for request in server.requests if request.method == "POST"]
    assert [each["max_tokens"] for each in asked] == [20, 20]
    assert asked[1]["messages"][-1] == {"role": "assistant", "content": "2"}


@pytest.mark.parametrize("reason", ["few tokens", "the engine cannot"])
def test_the_model_has_all_tokens_for_itself_where_it_cannot_be_steered(reason: str) -> None:
    backend = WritingBackend(compiled(PROGRAM), goes_on=reason != "the engine cannot")
    tokens = 7 if reason == "few tokens" else 64
    result = written(backend, max_tokens=tokens)
    assert [request.max_tokens for request in backend.requests] == [tokens]
    assert (result.status, result.metadata.steered_from) == (Status.TRUNCATED, None)


@pytest.mark.parametrize("error", [RequestRejectedError("the context is full"), EngineUnavailableError("gone")])
def test_where_an_engine_does_not_go_on_the_text_is_cut_off(error: Exception) -> None:
    result = written(WritingBackend(compiled(PROGRAM), failure=error), max_tokens=64)
    assert (result.status, len(result.code)) == (Status.TRUNCATED, 32)
    completed = written(
        WritingBackend(compiled(PROGRAM), failure=error), max_tokens=64, when_cut_off=WhenCutOff.COMPLETE
    )
    assert (completed.success, completed.metadata.completed_from) == (True, 32)


def test_a_call_that_is_cancelled_while_it_is_steered_keeps_all_its_text() -> None:
    result = written(WritingBackend(compiled(PROGRAM), failure=CancelledError("cancelled")), max_tokens=64)
    assert (result.status, len(result.code)) == (Status.CANCELLED, 32)


def test_an_engine_that_breaks_when_it_is_cancelled_has_not_refused_to_go_on() -> None:
    class CancelledBackend(WritingBackend):
        def generate(self, request: Request, on_text: OnText) -> Completion:
            if self.requests:
                request.cancellation.cancel("cancelled by another thread")
            return super().generate(request, on_text)

    backend = CancelledBackend(compiled(PROGRAM), failure=EngineUnavailableError("the connection was closed"))
    result = written(backend, max_tokens=64, when_cut_off=WhenCutOff.COMPLETE)
    assert (result.status, len(result.code)) == (Status.CANCELLED, 32)


def test_a_text_that_was_to_be_continued_is_part_of_what_the_ending_ends() -> None:
    backend = WritingBackend(compiled(PROGRAM))
    result = written(backend, max_tokens=64, continue_from="if (a) {\n")
    assert result.success, result.error
    assert result.code.startswith("if (a) {\n")
    assert backend.requests[-1].continue_from.startswith("if (a) {\n")


@pytest.mark.parametrize(
    "constraint", [pytest.param(each, id=str(number)) for number, each in enumerate((PERSON, PROGRAM, LARK, JSON))]
)
@pytest.mark.parametrize("tokens", [0, 20, 200])
def test_all_short_endings_are_endings_and_none_is_longer_than_wanted(constraint: ConstraintIR, tokens: int) -> None:
    constraints = compiled(constraint)
    assert constraints.grammar is not None
    whole = Matcher(constraints.grammar)
    chance = random.Random(tokens)
    for length in (1, 7, 60):
        matcher, begun = whole.copy(), b""
        while len(begun) < length and (following := [byte for byte in matcher.next_bytes() if 0x20 <= byte < 0x7F]):
            begun += bytes([chance.choice(following)])
            matcher.consume(begun[-1:])
        rest = rest_after(constraints, begun.decode(), Budget())
        assert rest is not None
        endings = Matcher(rest.grammar_of_short_endings(tokens))
        for _ in range(4):
            walk, text = endings.copy(), b""
            while following := walk.next_bytes():
                text += bytes([chance.choice(following)])
                walk.consume(text[-1:])
            assert walk.can_end()
            assert whole.accepts(begun + text)
            assert len(text) <= max(len(rest.shortest) + 8, 2 * tokens), (begun, text)


@pytest.mark.parametrize(
    ("constraint", "begun"),
    [
        (CHAIN, "(a.b"),
        *(
            (ConstraintIR(grammar=f"%language {language}"), begun)
            for language, begun in (
                ("typescript", "x.ts.mock"),
                ("typescript", "[1, a + b"),
                ("javascript", "a.b().c"),
                ("python", "a.b().c"),
                ("c", "int f(void) {\n    a.b"),
                ("zig", "const a = b.c"),
                ("sql", "SELECT a.b"),
            )
        ),
    ],
)
def test_a_short_ending_goes_on_with_what_has_been_begun_no_second_time(constraint: ConstraintIR, begun: str) -> None:
    rest = rest_after(compiled(constraint), begun, Budget())
    assert rest is not None
    walk, text = Matcher(rest.grammar_of_short_endings(32)), b""
    while len(text) < 100 and (following := walk.next_bytes()):
        text += bytes([next((byte for byte in b".+,|" if byte in following), following[-1])])
        walk.consume(text[-1:])
    assert walk.can_end(), text
    assert len(text) <= 2 * 32


@settings(max_examples=60)
@given(GRAMMARS, st.integers(0, 10), st.randoms(use_true_random=False))
def test_short_endings_are_some_of_all_endings_and_the_shortest_is_among_them(
    cfg: Cfg, tokens: int, chance: random.Random
) -> None:
    texts = sorted(text for text in texts_of(cfg) if len(text) <= LONGEST)
    if not texts:
        return
    chosen = chance.choice(texts)
    begun = chosen[: chance.randrange(len(chosen) + 1)]
    rest = left_quotient(cfg, begun, Budget().construction())
    parts = frozenset(rest.rules.keys() - cfg.rules.keys())
    work = Budget().construction()
    short = texts_of(short_endings(rest, parts, tokens, ShortestTexts(rest, work), work))
    endings = {text for text in texts_of(rest) if len(text) <= LONGEST}
    assert {text for text in short if len(text) <= LONGEST} <= endings
    assert min(map(len, short)) == min(map(len, endings))
    assert max(map(len, short)) <= max(min(map(len, endings)), 2 * tokens)


# ------------------------------------------------------------------------------------------------ what is left

TYPESCRIPT = _braid("c01_ffi_test_two")
"""Its sums are read as `expression: expression op expression`."""
TWO_RULES = ConstraintIR(grammar='start: a\na: b "+" b | "x"\nb: a | "(" a ")"\n')
"""Reads a sum in as many ways, through rules that are no repetition."""


@pytest.mark.parametrize("language", ["typescript", "python", "go"])
def test_what_is_left_of_a_sum_is_no_larger_if_the_sum_is_longer(language: str) -> None:
    constraints = compiled(TYPESCRIPT, language)

    def left_after(length: int) -> int:
        rest = rest_after(constraints, "a" + " + a" * length, Budget())
        assert rest is not None
        return rest.grammar().rules.count("\n")

    assert left_after(100) == left_after(3)


@pytest.mark.parametrize(
    ("language", "begun"),
    [
        ("python", 'print(f"'),
        ("python", "print(f'''"),
        ("python", 'x = """'),
        ("javascript", "x = `${a}"),
        ("typescript", "type A = `${B}"),
        ("zig", 'const a = "'),
        ("c", 'int f(void) {\n    g("'),
        ("sql", "SELECT '"),
        ("json", '["'),
    ],
)
def test_what_is_left_of_a_text_in_a_program_is_no_larger_if_the_text_is_longer(language: str, begun: str) -> None:
    constraints = compiled(ConstraintIR(grammar=f"%language {language}"))

    def left_after(length: int) -> int:
        rest = rest_after(constraints, begun + "a" * length, Budget())
        assert rest is not None
        return rest.grammar().rules.count("\n")

    assert left_after(80) == left_after(3)


def test_what_an_engine_would_give_up_on_is_no_grammar_to_go_on_under() -> None:
    rest = rest_after(compiled(TWO_RULES), "x" + "+x" * 90, Budget())
    assert rest is not None
    with pytest.raises(LimitExceededError, match=r"too large a grammar for an engine; continue a shorter one"):
        rest.grammar()
    result = cut_off("x" + "+x" * 90, TWO_RULES)
    assert (result.status, result.metadata.finish_reason) == (Status.OK, FINISHED_COMPLETED)


_SPLIT = [
    *_COMPLETED,
    *(
        pytest.param(constraint, language, id=name)
        for name, constraint, language in (
            ("python", ConstraintIR(grammar="%language python function"), None),
            ("typescript", ConstraintIR(grammar="%language typescript"), None),
            ("braid typescript", TYPESCRIPT, "typescript"),
            ("sums in two rules", TWO_RULES, None),
            (
                "comments",
                ConstraintIR(grammar='start: ("/" | N)+\nN: /[a-z]/\n%ignore /#.*\\n|\\/\\*[^*]*\\*\\//\n'),
                None,
            ),
            ("shift", ConstraintIR(grammar='start: (X | Y)+\nX: ">"\nY: ">>" | ">=" | "="\n'), None),
            ("sums", ConstraintIR(grammar='root ::= e\ne ::= e "+" e | "-" e | e "!" | e e | [a-c]\n'), None),
            ("scripts", ConstraintIR(grammar='root ::= [^"]{0,9} "\\"" ("é" | "è" | "éé" | "😀" | [ж-я])*\n'), None),
            ("two patterns", ConstraintIR(regex_patterns=(r"\bcat\b|straße", "^.{3,20}$")), None),
            ("schema and pattern", ConstraintIR(json_schema='{"type":"string"}', regex_patterns=("^.{3,20}$",)), None),
        )
    ),
]


def _beginning(matcher: Matcher, chance: random.Random, length: int) -> bytes:
    """Of a text that it reads, of whole characters; words, which longest match is about, are likelier."""
    text = b""
    while len(text) < length and (following := matcher.next_bytes()):
        words = [byte for byte in following if chr(byte).isalnum() and byte < 0x80]
        text += bytes([chance.choice(words if words and chance.random() < 0.5 else following)])
        matcher.consume(text[-1:])
    return text.decode(errors="ignore").encode()


@pytest.mark.parametrize(("constraint", "language"), _SPLIT)
def test_behind_any_beginning_the_rest_allows_what_the_whole_grammar_allows(
    constraint: ConstraintIR, language: str | None
) -> None:
    constraints = compiled(constraint, language)
    assert constraints.grammar is not None
    begin = Matcher(constraints.grammar)
    run_with_big_stack(lambda: _compare_rests(constraints, begin, random.Random(3)))


def _compare_rests(constraints: CompiledConstraints, begin: Matcher, chance: random.Random) -> None:
    for length in (1, 8, 60):
        begun = _beginning(begin.copy(), chance, length)
        whole = begin.copy()
        assert whole.consume(begun) == len(begun)
        rest = rest_after(constraints, begun.decode(), Budget())
        assert rest is not None
        for grammar, is_all in ((rest.grammar(), True), (rest.grammar_of_short_endings(40), False)):
            ours, theirs = Matcher(grammar), whole.copy()
            for _ in range(20):
                following, allowed = ours.next_bytes(), theirs.next_bytes()
                assert set(following) == set(allowed) if is_all else set(following) <= set(allowed), begun
                assert ours.can_end() == theirs.can_end() or (not is_all and theirs.can_end()), begun
                if not following:
                    break
                step = bytes([chance.choice(following)])
                assert ours.consume(step) == theirs.consume(step) == 1


# ------------------------------------------------------------------------------------------------ keeping the grammar


def test_a_grammar_is_the_same_when_it_is_unpacked_however_deep_its_expressions() -> None:
    node: Node = Chars(((97, 98),))
    for number in range(3_000):
        node = Repeat(alt(cat(node, literal(f"x{number}")), literal(f"q{number}")), 0, None)
    cfg = Cfg("s", {"s": ((Pattern("DEEP", node),), ())})
    assert unpacked(packed(cfg)) == cfg


def test_a_grammar_is_the_same_in_a_process_with_other_hashes() -> None:
    constraints = compiled(PERSON)
    program = (
        "import pickle, sys\n"
        "from maze.grammar.budget import Budget\nfrom maze.grammar.continuation import rest_after\n"
        "constraints = pickle.loads(sys.stdin.buffer.read())\n"
        'print(rest_after(constraints, \'{"name":"J\', Budget()).shortest)'
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(constraints), capture_output=True, timeout=60, check=True
    )
    assert run.stdout.decode().strip() == ending(constraints, '{"name":"J')


def test_a_text_that_is_too_long_to_find_its_ending_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation_module, "MAX_CONTINUATION_STEPS", 5_000)
    result = cut_off('{"a":"' + "a" * 10_000, JSON)
    assert (result.status, result.metadata.completed_from) == (Status.TRUNCATED, None)
    assert "it was not completed, as what may come after" in str(result.error)
