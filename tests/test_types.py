"""maze.types, maze.options and maze.ranges: what goes in checks itself, and says what is wrong with which field."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from maze.errors import InvalidArgumentError
from maze.options import OPTION_RANGES, GenerationOptions, Message, OnUnenforceable, Role
from maze.ranges import MAX_STOP_TEXT_BYTES
from maze.types import ConstraintIR, Intent, TokenMaskRules


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("max_tokens", 0, "max_tokens is 0; it must be a whole number between 1 and 4294967295"),
        ("max_tokens", 2**32, "max_tokens is 4294967296; it must be a whole number"),
        pytest.param("max_tokens", 10**5000, "max_tokens is about 2**16610; it must be", id="thousands of digits"),
        ("max_tokens", "9", "max_tokens is of type str; it must be a whole number"),
        ("max_tokens", 1.0, "max_tokens is of type float; it must be a whole number"),
        ("max_tokens", True, "max_tokens is of type bool; it must be a whole number"),
        ("timeout_ms", 0, "timeout_ms is 0; it must be a whole number between 1 and 4294967295"),
        ("temperature", 3, "temperature is 3; it must be a number between 0 and 2"),
        ("temperature", 2.5, "temperature is 2.5; it must be"),
        ("temperature", -0.1, "temperature is -0.1; it must be"),
        ("temperature", math.nan, "temperature is nan; it must be"),
        ("temperature", math.inf, "temperature is inf; it must be"),
        ("temperature", "hot", "temperature is of type str; it must be a number between 0 and 2"),
        ("temperature", False, "temperature is of type bool; it must be a number"),
        ("top_p", 0.0, "top_p is 0.0; it must be a number over 0 and at most 1"),
        ("top_p", 0, "top_p is 0; it must be a number over 0 and at most 1"),
        ("top_p", 1.5, "top_p is 1.5; it must be"),
        ("top_p", math.nan, "top_p is nan; it must be"),
        ("top_k", -1, "top_k is -1; it must be a whole number between 0 and 2147483647"),
        ("seed", -1, "seed is -1; it must be a whole number between 0 and 4294967295"),
        ("seed", 2**32, "seed is 4294967296; it must be"),
        ("seed", True, "seed is of type bool; it must be a whole number"),
        ("reasoning_tokens", -1, "reasoning_tokens is -1; it must be a whole number between 0 and 2147483647"),
        ("max_attempts", 0, "max_attempts is 0; it must be a whole number between 1 and 100"),
        ("top_logprobs", 21, "top_logprobs is 21; it must be a whole number between 0 and 20"),
        ("when_cut_off", "accept", "when_cut_off is of type str; give one of WhenCutOff: WhenCutOff.ERROR, "),
        ("prompt_form", "raw", "prompt_form is of type str; give one of PromptForm, or None: PromptForm."),
        ("messages", ["hello"], "messages[0] is of type str; give a Message"),
        ("continue_from", None, "continue_from is of type NoneType; give text (str)"),
        ("describe_constraints", 1, "describe_constraints is of type int; give True, False or None"),
        ("model", 1, "model is of type int; give text (str)"),
        ("model", "m\ud800", "model holds half of a surrogate pair, U+D800, at character 2; write whole characters"),
        ("system", "\udfff", "system holds half of a surrogate pair, U+DFFF, at character 1; write"),
        ("continue_from", "\ud800", "continue_from holds half of a surrogate pair"),
        ("stop", ("a", "\ud800"), "stop[1] holds half of a surrogate pair"),
        ("model", "", "model is empty; it must be the name of a model"),
        ("stop", "END", "stop is of type str; give a tuple"),
        ("stop", None, "stop is of type NoneType; give a tuple"),
        ("stop", ("a", 1), "stop[1] is of type int; give text (str)"),
        ("stop", ("a", "b", "c", "d", "e"), "stop has 5 texts; at most 4 are possible"),
        ("stop", ("a", ""), "stop[1] is an empty text, which would end every generation at once; it must have 1"),
        ("stop", ("ä" * 513,), "stop[0] has 1026 bytes; it must have 1 to 1024 bytes"),
        ("on_unenforceable", "report", "on_unenforceable is of type str; give one of OnUnenforceable"),
        ("on_unenforceable", None, "on_unenforceable is of type NoneType; give one of OnUnenforceable"),
    ],
)
def test_a_wrong_option_is_named_when_the_options_are_made(field: str, value: object, complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{re.escape(complaint)}") as caught:
        GenerationOptions(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field.partition("[")[0] == field


def test_an_option_at_the_end_of_its_range_is_taken() -> None:
    for field, allowed in OPTION_RANGES.items():
        if not allowed.without_lowest:
            GenerationOptions(**{field: allowed.lowest})  # type: ignore[arg-type]
        GenerationOptions(**{field: allowed.highest})  # type: ignore[arg-type]
    GenerationOptions(top_p=math.ulp(0), temperature=1, stop=("x" * MAX_STOP_TEXT_BYTES,) * 4)
    assert GenerationOptions(stop=["a"]).stop == ("a",)  # type: ignore[arg-type]
    assert hash(GenerationOptions(stop=["a"]))  # type: ignore[arg-type]


def test_an_error_can_name_the_field_as_the_caller_knows_it() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        GenerationOptions(temperature=3)
    error = caught.value.naming(f"--{caught.value.field}")
    assert str(error) == "--temperature is 3; it must be a number between 0 and 2"
    assert (type(error), error.field) == (InvalidArgumentError, "--temperature")


@pytest.mark.parametrize(
    ("kind", "fields", "complaint"),
    [
        (Intent, {"raw_input": None}, "raw_input is of type NoneType; give text (str)"),
        (Intent, {"raw_input": b"x"}, "raw_input is of type bytes; give text (str)"),
        (Intent, {"raw_input": "x", "prompt": 1}, "prompt is of type int; give text (str)"),
        (Intent, {"raw_input": "x", "current_file": b"f"}, "current_file is of type bytes; give text (str)"),
        (Intent, {"raw_input": "x", "language": ["c"]}, "language is of type list; give text (str)"),
        (ConstraintIR, {"json_schema": {}}, "json_schema is of type dict; give text (str)"),
        (ConstraintIR, {"grammar": b"g"}, "grammar is of type bytes; give text (str)"),
        (ConstraintIR, {"regex_patterns": "a"}, "regex_patterns is of type str; give a tuple"),
        (ConstraintIR, {"regex_patterns": ("a", None)}, "regex_patterns[1] is of type NoneType; give text (str)"),
        (ConstraintIR, {"token_masks": (1,)}, "token_masks is of type tuple; give TokenMaskRules"),
        (ConstraintIR, {"priority": "1"}, "priority is of type str; it must be a whole number between 0"),
        (ConstraintIR, {"priority": -1}, "priority is -1; it must be a whole number"),
        (ConstraintIR, {"name": 1}, "name is of type int; give text (str)"),
        (ConstraintIR, {"name": None}, "name is of type NoneType; give text (str)"),
        (
            Intent,
            {"raw_input": "x", "prompt": "\ud800"},
            "prompt holds half of a surrogate pair, U+D800, at character 1",
        ),
        (
            Message,
            {"role": Role.USER, "text": "é\udc00"},
            "text holds half of a surrogate pair, U+DC00, at character 2",
        ),
        (Message, {"role": "system", "text": "x"}, "role is of type str; give one of Role"),
        (ConstraintIR, {"name": "\ud800"}, "name holds half of a surrogate pair"),
        (TokenMaskRules, {"allowed": 1}, "allowed is of type int; give a tuple"),
        (TokenMaskRules, {"allowed": (1, 2.0)}, "allowed[1] is of type float; give a token id (int)"),
        (TokenMaskRules, {"forbidden": (True,)}, "forbidden[0] is of type bool; give a token id (int)"),
        (TokenMaskRules, {"forbidden": None}, "forbidden is of type NoneType; give a tuple"),
    ],
)
def test_a_field_of_another_type_is_named(kind: type, fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{re.escape(complaint)}"):
        kind(**fields)


def test_a_subclass_of_a_type_is_as_good_as_the_type() -> None:
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    assert Intent(Text("x")).raw_input == "x"
    assert ConstraintIR(regex_patterns=(Text("a"),)).regex_patterns == ("a",)
    assert TokenMaskRules(allowed=(Number(1),)).allowed == (1,)
    assert GenerationOptions(max_tokens=Number(3), on_unenforceable=OnUnenforceable("report")).max_tokens == 3
