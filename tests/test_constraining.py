"""maze.constraining: constraints from types, schemas, patterns and choices, and values of those types."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from inspect import signature
from typing import Annotated, Literal, NamedTuple, cast

import pytest
from pydantic import BaseModel, Field, field_validator
from scripted_backend import ScriptedBackend
from typing_extensions import TypedDict

from maze import (
    ConstraintIR,
    ConstraintViolatedError,
    InvalidArgumentError,
    MazeConfig,
    Orchestrator,
    TruncatedError,
    choice,
    constrain,
    generate,
    generate_as,
    validate,
)


@dataclass
class Point:
    x: int
    y: int = 0


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Named(TypedDict):
    name: str


class Pair(NamedTuple):
    left: int
    right: str


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Open(BaseModel, extra="allow"):
    known: int


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _check(cls, number: int) -> int:
        if number % 2:
            raise ValueError("it is odd")
        return number


@pytest.fixture(scope="module")
def maze() -> Orchestrator:
    return Orchestrator(MazeConfig(), backend=ScriptedBackend(["?"]))


@pytest.mark.parametrize(
    ("wanted", "accepted", "refused"),
    [
        (int, ["12"], ["1.5", '"a"', "12 apples"]),
        (list[int], ["[]", "[1, 2]"], ['["a"]', "1"]),
        (Literal["a", "b"], ['"a"'], ['"c"', "a"]),
        (int | None, ["1", "null"], ["true"]),
        (Annotated[int, Field(ge=1, le=3)], ["3"], ["0", "4"]),
        (Colour, ['"red"'], ['"green"']),
        (Point, ['{"x": 1}', '{"x": 1, "y": 2}'], ['{"y": 2}', '{"x": 1, "z": 2}']),
        (Named, ['{"name": ""}'], ["{}", '{"name": "", "more": 1}']),
        (Pair, ['[1, "a"]'], ["[1]", '["a", 1]']),
        (Tree, ['{"value": 1, "children": [{"value": 2}]}'], ['{"value": 1, "children": [{"v": 2}]}']),
        (Open, ['{"known": 1}', '{"known": 1, "more": true}'], ['{"more": 1}']),
        (list[Point], ['[{"x": 1}]'], ['[{"x": 1, "z": 1}]']),
        ({"enum": [1, "é"]}, ["1", '"é"'], ["2"]),
        (re.compile("^a+$"), ["aa"], ["ab", "aa\n"]),
        (re.compile("b", re.IGNORECASE), ["aBc"], ["a"]),
        (re.compile("(?i)b"), ["aBc"], ["a"]),
        (re.compile("^a .b # comment", re.VERBOSE | re.DOTALL), ["a\nb"], ["ab", "aa"]),
        (re.compile(r"^\w\b", re.ASCII), ["a-"], ["é", "ab"]),
        (re.compile(r"^\\b$"), ["\\b"], ["b"]),
        (choice(["yes", "no"]), ["yes"], ["ye", '"yes"', "yesno"]),
        (choice(["a\nb", 'a"\\', "", "é"]), ["a\nb", 'a"\\', "", "é"], ["a", "b"]),
        (ConstraintIR(grammar='start: "x"'), ["x"], ["y"]),
    ],
    ids=str,
)
def test_what_people_have_at_hand_is_a_constraint(
    wanted: object, accepted: list[str], refused: list[str], maze: Orchestrator
) -> None:
    assert {text: bool(maze.validate(text, wanted)) for text in accepted + refused} == {
        **dict.fromkeys(accepted, True),
        **dict.fromkeys(refused, False),
    }


def test_several_are_taken_in_their_order_and_named_by_their_place(maze: Orchestrator) -> None:
    compiled = maze.compile([re.compile("a"), list[str], constrain({"maxItems": 1}, name="short", priority=3)])
    assert [(part.path, part.name, part.priority) for part in compiled.parts] == [
        ("constraints[0].regex_patterns[0]", "", 0),
        ("constraints[1].json_schema", "", 0),
        ("constraints[2].json_schema", "short", 3),
    ]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("^a+$", r"^constraints is text, which could be many things: write ConstraintIR\(json_schema"),
        (["a", "b"], r"^constraints\[0\] is text, which could be many things"),
        ([["a", "b"]], r"^constraints\[0\] is a list; give each thing of it, or choice"),
        (5, "^constraints is of type int; give a type, a JSON Schema"),
        (len, "^constraints is a function; give the type that it returns"),  # whose id has no address in it
        (Callable[[], int], "of which Pydantic makes no JSON Schema"),
        (Point(1), "of which Pydantic makes no JSON Schema"),
        ({"enum": {1}}, "is a dict that is no JSON"),
        ({"maximum": float("nan")}, "is a dict that is no JSON"),
        (re.compile(b"a"), "is a pattern of bytes; give one of text"),
        (re.compile("^a$", re.MULTILINE), "has re.MULTILINE"),
        (re.compile(r"a\b"), r"has '\\\\b', which knows ASCII alone here; compile it with re.ASCII"),
        (re.compile(r"[^\w]"), "compile it with re.ASCII"),
        (re.compile(r"(?!\d)"), "compile it with re.ASCII"),
    ],
    ids=str,
)
def test_what_is_no_constraint_is_told_with_what_to_write_instead(
    wanted: object, problem: str, maze: Orchestrator
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        maze.compile(wanted)


@pytest.mark.parametrize("texts", ["ab", [], [1], ["\ud800"], None])
def test_choices_are_texts(texts: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^texts"):
        choice(cast("list[str]", texts))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "12", 12),
        (Point, '{"x": 1}', Point(1)),
        (Colour, '"red"', Colour.RED),
        (list[Tree], '[{"value": 1}]', [Tree(value=1)]),
        (Pair, '[1, "a"]', Pair(1, "a")),
        (Literal["a"], '"a"', "a"),
    ],
    ids=str,
)
def test_a_value_of_the_type_comes_back(kind: object, text: str, value: object) -> None:
    with Orchestrator(MazeConfig(), backend=ScriptedBackend([text])) as maze:
        assert maze.generate_as(kind, "something") == value


def test_no_value_is_an_error_with_the_result_inside() -> None:
    with Orchestrator(MazeConfig(max_attempts=1), backend=ScriptedBackend(['{"number": 1}'])) as maze:
        with pytest.raises(
            ConstraintViolatedError, match="whose validators refuse it: 1 validation error"
        ) as of_validator:
            maze.generate_as(Even, "a number")
        assert of_validator.value.result.code == of_validator.value.partial_text == '{"number": 1}'
        with pytest.raises((ConstraintViolatedError, TruncatedError)) as violated:
            maze.generate_as(int, "a number")
        assert violated.value.result.code == '{"number": 1}'


def test_constraints_beside_the_type_hold_too() -> None:
    with Orchestrator(MazeConfig(max_attempts=1), backend=ScriptedBackend(["12"])) as maze:
        assert maze.generate_as(int, "a number", re.compile("^1")) == 12
        with pytest.raises(ConstraintViolatedError, match=r"constraints\[1\]"):
            maze.generate_as(int, "a number", re.compile("^2"))


def test_without_pydantic_the_error_names_the_package_and_the_rest_works() -> None:
    program = """
import sys
sys.modules["pydantic"] = None
import maze
print(maze.constrain({"type": "integer"}).json_schema, maze.choice(["a"]).grammar)
try:
    maze.constrain(int)
except maze.ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        '{"type": "integer"} start: "a"',
        "a type as a constraint needs a package: install libmaze[pydantic]",
    ]


def test_a_model_that_is_embedded_gives_values() -> None:
    program = """
import maze
print(maze.generate("Name a colour.", maze.choice(["red", "blue"])).raise_for_status().code in ("red", "blue"))
print(type(maze.generate_as(bool, "Is water wet?")))
print(bool(maze.validate("3", int)), bool(maze.validate("x", int)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "<class 'bool'>", "True False"]


def test_a_function_that_shares_an_orchestrator_is_known_by_its_name_and_signature() -> None:
    for function in (generate, generate_as, validate):
        assert pickle.loads(pickle.dumps(function)) is function
        assert [*signature(getattr(Orchestrator, function.__name__)).parameters] == [
            "self",
            *signature(function).parameters,
        ]


@pytest.mark.parametrize(
    "made", ["maze.validate('x', maze.choice(['x']))", "maze.Orchestrator().compile(maze.choice(['x']))", "unpickled"]
)
def test_what_a_process_has_alone_shows_itself(made: str) -> None:
    if made == "unpickled":
        made = f"pickle.loads({pickle.dumps(validate('x', choice(['x'])))!r})"
    program = f"import maze, pickle; print({made}.to_dict()['status'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "MAZE_OK\n"


def test_a_result_shows_itself_as_values_as_json_and_in_a_notebook(maze: Orchestrator) -> None:
    wanted = constrain(int, name="<b>")
    result = maze.generate("a number", wanted)
    report = result.to_dict()
    assert (report["status"], report["code"]) == ("MAZE_CONSTRAINT_VIOLATED", "?")
    assert json.loads(result.to_json()) == report
    for shown in (result, maze.validate("&", wanted), maze.compile(wanted)):
        page = shown._repr_html_()
        assert shown.to_dict()["status"] in page
        assert "<td>&lt;b&gt;</td>" in page
        assert "<b>&" not in page.replace("&lt;", "")


def test_a_result_tells_its_report_to_a_program_that_imports_nothing_else() -> None:
    program = "import maze; print(maze.validate('red', maze.choice(['blue'])).to_dict()['status'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("MAZE_CONSTRAINT_VIOLATED", "")
