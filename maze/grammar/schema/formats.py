"""The languages of the formats that JSON Schema names, as their standards define them.

They are asserted in every draft, also where a draft calls a format an annotation: who writes one means it.
"""

from __future__ import annotations

from functools import cache

from maze.grammar.pattern.code_points import ANY
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import ANYTHING, Chars, Node, both, repeat

CHECKED_FORMATS = frozenset(("regex", "idn-email", "idn-hostname"))
"""Formats that are asserted and whose texts are no regular language, or one too large."""

_DIGITS_OF_DAY = r"(0[1-9]|1\d|2[0-8])"
_DATE = (
    rf"(\d{{4}}-((0[1-9]|1[0-2])-{_DIGITS_OF_DAY}|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
)
_OFFSET = r"([Zz]|[+\-]([01]\d|2[0-3]):[0-5]\d)"
_TIME = rf"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?{_OFFSET}|23:59:60(\.\d+)?([Zz]|[+\-]00:00))"
"""Leap seconds in UTC; by other clocks they are not offered."""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_PLAIN_LABEL = (
    r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]?[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]([A-Za-z0-9][A-Za-z0-9\-]|-[A-Za-z0-9])"
    r"([A-Za-z0-9\-]{0,58}[A-Za-z0-9])?|[A-Za-z0-9][A-Za-z0-9\-][A-Za-z0-9][A-Za-z0-9])"
)
_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_IPV4 = r"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_H16 = r"[0-9A-Fa-f]{1,4}"
_LS32 = rf"({_H16}:{_H16}|{_IPV4})"
_IPV6 = (
    "("
    + "|".join(
        (
            rf"({_H16}:){{6}}{_LS32}",
            rf"::({_H16}:){{5}}{_LS32}",
            rf"({_H16})?::({_H16}:){{4}}{_LS32}",
            rf"(({_H16}:){{0,1}}{_H16})?::({_H16}:){{3}}{_LS32}",
            rf"(({_H16}:){{0,2}}{_H16})?::({_H16}:){{2}}{_LS32}",
            rf"(({_H16}:){{0,3}}{_H16})?::{_H16}:{_LS32}",
            rf"(({_H16}:){{0,4}}{_H16})?::{_LS32}",
            rf"(({_H16}:){{0,5}}{_H16})?::{_H16}",
            rf"(({_H16}:){{0,6}}{_H16})?::",
        )
    )
    + ")"
)


def _uri(unreserved: str, private: str) -> tuple[str, str]:
    """RFC 3986, and RFC 3987 with more characters: what is absolute, and what may be relative too."""
    percent = r"%[0-9A-Fa-f]{2}"
    marks = r"!$&'()*+,;="
    pchar = rf"([{unreserved}{marks}:@]|{percent})"
    segment_nc = rf"([{unreserved}{marks}@]|{percent})"
    userinfo = rf"([{unreserved}{marks}:]|{percent})*@"
    name = rf"([{unreserved}{marks}]|{percent})*"
    literal = rf"\[({_IPV6}|[vV][0-9A-Fa-f]+\.[{unreserved}{marks}:]+)\]"
    authority = rf"//({userinfo})?({literal}|{name})(:\d*)?"
    segments = rf"(/{pchar}*)*"
    after = rf"(\?([{unreserved}{marks}:@/?{private}]|{percent})*)?(#([{unreserved}{marks}:@/?]|{percent})*)?"
    rooted = rf"{authority}{segments}|/({pchar}+{segments})?"
    absolute = rf"[A-Za-z][A-Za-z0-9+.\-]*:({rooted}|{pchar}+{segments})?{after}"
    relative = rf"({rooted}|{segment_nc}+{segments})?{after}"
    return absolute, rf"({absolute}|{relative})"


_ASCII = r"A-Za-z0-9\-._~"
_UCS = (
    (
        r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"
        + "".join(rf"\U000{plane:x}0000-\U000{plane:x}fffd" for plane in range(1, 0xE))
        + r"\U000e1000-\U000efffd"
    )
    .encode("ascii")
    .decode("unicode_escape", "surrogatepass")
    .replace("\ud7ff", "\ud7ff")
)
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_URI, _URI_REFERENCE = _uri(_ASCII, "")
_IRI, _IRI_REFERENCE = _uri(_ASCII + _UCS, _PRIVATE)

_TEMPLATE_NAME = r"([A-Za-z0-9_]|%[0-9A-Fa-f]{2})(\.?([A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*"
_TEMPLATE_VARIABLE = rf"{_TEMPLATE_NAME}(:[1-9]\d{{0,3}}|\*)?"
_TEMPLATE_LITERAL = rf"([!#$&(-;=?-\[\]_a-z~{_UCS}{_PRIVATE}]|%[0-9A-Fa-f]{{2}})"

_LANGUAGES = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}[Tt]{_TIME}",
    "duration": (
        r"P(\d+W|(\d+D|\d+M(\d+D)?|\d+Y(\d+M(\d+D)?)?)(T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))?"
        r"|T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))"
    ),
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uuid": r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "uri": _URI,
    "uri-reference": _URI_REFERENCE,
    "iri": _IRI,
    "iri-reference": _IRI_REFERENCE,
    "uri-template": rf"({_TEMPLATE_LITERAL}|\{{[+#./;?&=,!@|]?{_TEMPLATE_VARIABLE}(,{_TEMPLATE_VARIABLE})*\}})*",
    "json-pointer": r"(/((?s:[^~/])|~[01])*)*",
    "relative-json-pointer": r"(0|[1-9]\d*)(#|(/((?s:[^~/])|~[01])*)*)",
}


def is_known(name: str) -> bool:
    """Whether a format is one of JSON Schema's; others say nothing."""
    return name in _LANGUAGES or name in CHECKED_FORMATS or name in ("email", "hostname")


@cache
def language_of_format(name: str, draft: int) -> Node | None:
    """The texts of a format; ANYTHING where it says nothing, None where only the check can tell."""
    del draft
    if name in CHECKED_FORMATS:
        return None
    if name == "hostname":
        return both(parse_whole(rf"{_PLAIN_LABEL}(\.{_PLAIN_LABEL})*"), repeat(Chars(ANY), 1, 253))
    if name == "email":
        local = both(parse_whole(rf"{_ATOM}(\.{_ATOM})*"), repeat(Chars(ANY), 1, 64))
        from maze.grammar.pattern.tree import cat, literal

        return cat(
            local, literal("@"), both(parse_whole(rf"{_PLAIN_LABEL}(\.{_PLAIN_LABEL})*"), repeat(Chars(ANY), 1, 253))
        )
    regex = _LANGUAGES.get(name)
    return ANYTHING if regex is None else parse_whole(regex)
