"""JSON texts read strictly: what is refused and where, exact numbers, and the source of each value."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maze.json_text import (
    Child,
    DuplicateNameError,
    JsonTextError,
    JsonValue,
    TooDeepError,
    children,
    decode,
    dump,
    offsets_of,
    parse,
    readings,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "problem", "byte", "column"),
    [
        ("", "there is no value", 0, 1),
        ("{", "the text ends where something is still open", 1, 2),
        ('{"ä":1 ,}', "a comma stands before the closing }", 8, 8),
        ("[1,\n]", "a comma stands before the closing ]", 2, 3),
        ('["é", NaN]', "NaN is not JSON", 7, 7),
        ('["é","\\ud800"]', "half of a surrogate pair", 6, 6),
        ("\ufeff{}", "a byte order mark", 0, 1),
        ("[01]", "a number with a 0 in front", 2, 3),
        ("{'a':1}", "a single quote", 1, 2),
        ("{a:1}", "a is no value of JSON", 1, 2),
        ("[None]", "None is no value of JSON", 1, 2),
        ("[1 2]", "here should be a comma or the closing bracket", 3, 4),
        ('{"a" 1}', "here should be a colon", 5, 6),
        ("[1] // one", "a comment", 4, 5),
        ("[1] 2", "the value has ended before", 4, 5),
        ('["a', "a string is not closed", 1, 2),
        ('["a\nb"]', "a line break or another control character", 3, 4),
        ('["\\q"]', "no escape that JSON has", 2, 3),
        ("[+1]", "here should be a value", 1, 2),
    ],
)
def test_what_is_not_json_is_told_with_its_byte(text: str, problem: str, byte: int, column: int) -> None:
    with pytest.raises(
        JsonTextError, match=rf"{re.escape(problem)}.* at byte {byte} \(line 1, column {column}\)"
    ) as raised:
        parse(text)
    assert (raised.value.byte, raised.value.column) == (byte, column)


def test_what_is_not_utf_8_is_told_with_its_byte() -> None:
    assert decode('"é"'.encode()) == '"é"'
    with pytest.raises(JsonTextError, match=r"not UTF-8 at byte 5 \(line 2, column 3\)"):
        decode('[\n"é'.encode() + b"\xff]")


@pytest.mark.parametrize(
    ("text", "name", "byte"),
    [
        ('{"é":1,"é":2}', "é", 8),
        ('[{"a":{"b":[]}},{"c":0,"b":1, "\\u0062":2}]', "b", 30),
        ('{"a":1,"a":{"b":1,"b":2}}', "a", 7),
    ],
)
def test_a_name_that_stands_twice_is_told_with_its_byte(text: str, name: str, byte: int) -> None:
    with pytest.raises(DuplicateNameError) as raised:
        parse(text)
    assert (raised.value.name, raised.value.byte) == (name, byte)


def test_a_name_that_stands_twice_has_two_readings() -> None:
    assert readings('{"a":1,"a":2}') == [{"a": 2}, {"a": 1}]
    assert readings('{"a":1}') == [{"a": 1}]


def test_numbers_stay_exact() -> None:
    assert parse("[18446744073709551617,0.1,1e2]") == [18446744073709551617, Decimal("0.1"), Decimal(100)]
    assert parse("9" * 5000) == Decimal("9" * 5000)


@pytest.mark.parametrize(
    "text",
    [
        '{"é":[1,-0.5,"\u2028"]}',
        "0.1000000000000000000001",
        "[18446744073709551617,1e400]",
        "1e-5000",
        '{"a":{"b":1E+2}}',
    ],
)
def test_what_is_written_has_the_value_that_was_read(text: str) -> None:
    assert parse(dump(parse(text))) == parse(text)
    assert dump(parse(text)).isascii()


def test_depth_has_a_limit_of_its_own() -> None:
    assert parse("[[{}]]", 3) == [[{}]]
    assert parse('["[[[[", {}]', 2) == ["[[[[", {}]
    with pytest.raises(TooDeepError, match="nested 3 deep"):
        parse("[[{}]]", 2)
    with pytest.raises(TooDeepError, match="nested over 900 deep"):
        parse("[" * 100_000)


def test_each_value_is_found_in_the_text_as_it_was_written() -> None:
    text = ' {"n" : 1.50 ,"é\\n":[ {"s":"a\\u0062"} , 18446744073709551617,[] ]} '
    assert [text[child.start : child.end] for child in children(text)] == [
        "1.50",
        '[ {"s":"a\\u0062"} , 18446744073709551617,[] ]',
    ]
    inner = list(children(text, offsets_of(text, [["é\n"]])[0]))
    assert [child.name for child in inner] == [0, 1, 2]
    assert text[inner[1].start : inner[1].end] == "18446744073709551617"
    assert list(children(text, inner[1].start)) == list(children(text, inner[2].start)) == []
    assert list(children('[""]')) == [Child(0, 1, 3)]


def test_a_path_that_leads_nowhere_ends_at_the_deepest_value_on_its_way() -> None:
    text = '{"a":[1,{"b":2}],"a":[3]}'
    found = offsets_of(text, [[], ["a", 0], ["a", 7, "x"], ["a"]])
    assert found == [0, text.index("3"), text.index("[3]"), text.index("[3]")]


@given(values, st.sampled_from([None, 2]), st.booleans())
def test_the_sources_of_children_hold_their_values(value: JsonValue, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = {child.name: parse(text[child.start : child.end]) for child in children(text)}
    assert found == (value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {})
    assert parse(text) == value
