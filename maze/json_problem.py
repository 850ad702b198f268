"""What is wrong with a text that is not JSON, in terms of what to write instead."""

from __future__ import annotations

import json
import re

_WHITE_SPACE = " \t\n\r"
_WORD = re.compile(r"[^\W\d]\w*")


_LEAVE_OUT = "leave it out"
_IN_QUOTES = "names and strings stand in double quotes"


def problem_of(error: json.JSONDecodeError) -> tuple[str, str, int]:
    """What is wrong, what to do, and where: an offset in characters. Python's own words differ between its versions."""
    text, place = error.doc, error.pos
    before = text[:place].rstrip(_WHITE_SPACE)
    behind = text[place + 1 :].lstrip(_WHITE_SPACE)[:1]
    character = text[place : place + 1]
    if character == "," and behind in ("}", "]"):
        return f"a comma stands before the closing {behind}", _LEAVE_OUT, place
    if before.endswith(",") and character in ("}", "]"):
        return f"a comma stands before the closing {character}", _LEAVE_OUT, len(before) - 1
    return *_problem(error.msg, text, place, before), place


def _problem(message: str, text: str, place: int, before: str) -> tuple[str, str]:
    character = text[place : place + 1]
    if message.startswith("Unterminated string"):
        return "a string is not closed", 'a quote within it is written \\"'
    if message.startswith("Invalid control character"):
        return "a line break or another control character in a string", "write \\n and the like"
    if message.startswith("Invalid \\"):
        return "no escape that JSON has", "a backslash itself is written \\\\"
    if not character:
        return (
            ("the text ends where something is still open", "close it") if before else ("there is no value", "give one")
        )
    if character == "\ufeff":
        return "a byte order mark", _LEAVE_OUT
    if character == "'":
        return "a single quote", _IN_QUOTES
    if text.startswith(("//", "/*", "#"), place):
        return "a comment, which JSON does not have", _LEAVE_OUT
    if before.endswith("0") and character.isdigit():
        return "a number with a 0 in front", _LEAVE_OUT
    if message.startswith("Extra data"):
        return "the value has ended before", "leave out what stands behind it"
    word = _WORD.match(text, place)
    if word and not message.startswith("Expecting ',"):
        return f"{word[0][:40]} is no value of JSON", _IN_QUOTES
    if message.startswith("Expecting property name"):
        return "here should be a name", _IN_QUOTES
    if message.startswith("Expecting ':'"):
        return "here should be a colon", "each name has one, and a value, behind it"
    if message.startswith("Expecting ','"):
        return "here should be a comma or the closing bracket", 'a quote within a string is written \\"'
    return "here should be a value", "leave nothing out"
