"""What finished texts are held to where a schema names a format: the languages that are offered while decoding.

jsonschema_rs would assert some formats in newer drafts only, take `,611-06-30` for a date and a tab in a mailbox. What
a format's languages leave open is decided here. `regex`, `idn-email` and `hostname` are left to jsonschema_rs, which
knows the exact rules of each draft.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import idna

from maze.grammar.budget import Budget
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.schema.format_languages import language_of_format
from maze.grammar.schema.validator import make_validator
from maze.json_text import dump

_LATEST_DRAFT = 2020
_LEAP_SECOND = re.compile(r"(\d\d):(\d\d):60(?:\.\d+)?([+-])(\d\d):(\d\d)\Z", re.ASCII)


def _ends_day(text: str) -> bool:
    """Whether a time with a leap second is the end of a day in UTC."""
    match = _LEAP_SECOND.search(text)
    if match is None:
        return False
    hour, minute, offset_hour, offset_minute = map(int, match.group(1, 2, 4, 5))
    offset = offset_hour * 60 + offset_minute
    minute_in_utc = hour * 60 + minute + (offset if match[3] == "-" else -offset)
    return minute_in_utc % (24 * 60) == 24 * 60 - 1


@cache
def _assertion_of_latest_draft(name: str) -> Callable[[object], bool]:
    return make_validator(dump({"format": name})).is_valid


_LEFT_OPEN: dict[str, Callable[[str], bool]] = {
    "time": _ends_day,
    "date-time": _ends_day,
    "email": lambda text: _assertion_of_latest_draft("email")(text),
}
"""Decides about texts that are neither offered nor outside of a format."""


def _is_of_idna(text: str) -> bool:
    """Whether all labels are of IDNA 2008, of which jsonschema_rs knows the rules that need context only."""
    try:
        idna.encode(text)
    except idna.IDNAError:
        return False
    return True


@cache
def _recognisers(name: str) -> tuple[Recogniser, Recogniser | None]:
    language = language_of_format(name, _LATEST_DRAFT)
    if language is None:
        raise AssertionError(name)
    budget = Budget().construction()
    return Recogniser(language.offered, budget), Recogniser(language.outside, budget) if language.missing else None


def _assertion(name: str) -> Callable[[str], bool]:
    def asserts(text: str) -> bool:
        offered, outside = _recognisers(name)
        if offered.accepts(text):
            return True
        return outside is not None and not outside.accepts(text) and _LEFT_OPEN[name](text)

    return asserts


_REGULAR_FORMATS = (
    "date", "date-time", "duration", "email", "ipv4", "ipv6", "iri", "iri-reference", "json-pointer",
    "relative-json-pointer", "time", "uri", "uri-reference", "uri-template", "uuid",
)  # fmt: skip

ASSERTED_FORMATS: dict[str, Callable[[str], bool]] = {
    **{name: _assertion(name) for name in _REGULAR_FORMATS},
    "idn-hostname": lambda text: _assertion_of_latest_draft("idn-hostname")(text) and _is_of_idna(text),
}
"""By name: whether a text is of the format. jsonschema_rs asserts the others in every draft."""
