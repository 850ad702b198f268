"""The languages of the formats that JSON Schema names, as their standards define them.

They are asserted in every draft, also where a draft calls a format an annotation: who writes one means it. The check of
finished texts asks the same languages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Node, both, negation


@dataclass(frozen=True, slots=True)
class FormatLanguage:
    """What regular languages say of a format."""

    offered: Node
    """Texts of the format."""
    outside: Node
    """Texts that are not of the format."""
    missing: str = ""
    """Texts of the format that are not offered, in words. They and some others are not outside either."""


_EVERY_TEXT = FormatLanguage(ANYTHING, NOTHING)

CHECKED_FORMATS = frozenset(("regex", "idn-email", "idn-hostname"))
"""Formats that are asserted and that no regular language of bearable size describes."""


def is_known(name: str) -> bool:
    """Whether a format is one of JSON Schema's; all others say nothing."""
    return name in KNOWN_FORMATS


@cache
def language_of_format(name: str, draft: int) -> FormatLanguage | None:
    """The texts of a format; None where only the check can tell. The drafts differ about `hostname` alone."""
    if name == "hostname" and draft <= 6:
        return _exactly(_host_name(_LDH_LABEL))
    if name in CHECKED_FORMATS:
        return None
    make = _LANGUAGES.get(name)
    return _EVERY_TEXT if make is None else make()


def _exactly(language: Node) -> FormatLanguage:
    return FormatLanguage(language, negation(language))


def _between(offered: Node, most: Node, missing: str) -> FormatLanguage:
    """A format that has all texts of one language, and none that are not in another."""
    return FormatLanguage(offered, negation(most), missing)


# ------------------------------------------------------------------------------------------------ RFC 3339

_DATE = (
    r"(\d{4}-((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
)
_HOUR, _MINUTE, _FRACTION = r"([01]\d|2[0-3])", r"[0-5]\d", r"(\.\d+)?"
_OFFSET = rf"([Zz]|[+\-]{_HOUR}:{_MINUTE})"
_TIME = rf"({_HOUR}:{_MINUTE}:{_MINUTE}{_FRACTION}{_OFFSET}|23:59:60{_FRACTION}([Zz]|[+\-]00:00))"
_TIME_AND_LEAP_SECONDS = rf"{_HOUR}:{_MINUTE}:([0-5]\d|60){_FRACTION}{_OFFSET}"
_OTHER_LEAP_SECONDS = "leap seconds by another clock than UTC"

_DURATION = (
    r"P(\d+W|(\d+D|\d+M(\d+D)?|\d+Y(\d+M(\d+D)?)?)(T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))?"
    r"|T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S))"
)
"""Appendix A; in capital letters, as in ISO 8601."""

# ------------------------------------------------------------------------------------------------ hosts and mailboxes

_PLAIN_LABEL = (
    r"([A-Za-z0-9]([A-Za-z0-9\-]{0,2}[A-Za-z0-9])?"
    r"|[A-Za-z0-9][A-Za-z0-9\-]([A-Za-z0-9][A-Za-z0-9\-]|-[A-Za-z0-9])[A-Za-z0-9\-]{0,58}[A-Za-z0-9])"
)
"""RFC 5890: not with hyphens as its third and fourth character."""
_LABEL = rf"({_PLAIN_LABEL}|[Xx][Nn]--[A-Za-z0-9\-]{{0,58}}[A-Za-z0-9])"
"""Or perhaps an A-label."""
_LDH_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
"""RFC 1123."""
_A_LABELS = "names with A-labels (xn--...)"


def _host_name(label: str) -> Node:
    return both(parse_whole(rf"{label}(\.{label})*"), parse_whole(r"[A-Za-z0-9.\-]{1,253}"))


def _ipv6(most_groups: int) -> str:
    """RFC 4291: eight groups, or at most so many beside a `::`; an IPv4 address stands for two of them."""
    group = "[0-9A-Fa-f]{1,4}"
    last = rf"({group}:{group}|{_IPV4})"
    forms = [rf"({group}:){{6}}{last}"]
    for after in range(most_groups + 1):
        left = most_groups - after
        before = rf"(({group}:){{0,{left - 1}}}{group})?" if left else ""
        forms.append(f"{before}::" + ("", group)[after] if after < 2 else rf"{before}::({group}:){{{after - 2}}}{last}")
    return f"({'|'.join(forms)})"


_IPV4 = r"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV6 = _ipv6(7)


def _mailbox(label: str) -> Node:
    """RFC 5321, of the address literals those of IPv4 and IPv6, the only ones there are."""
    atom = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
    local = rf'({atom}(\.{atom})*|"([ !#-\[\]-~]|\\[ -~])*")'
    address = rf"\[({_IPV4}|[Ii][Pp][Vv]6:{_ipv6(6)})\]"
    of_length = r'([!#-?A-~]{1,64}|"[ -~]{0,62}")@([A-Za-z0-9.\-]{1,253}|\[.*\])'
    return both(parse_whole(rf"{local}@({label}(\.{label})*|{address})"), parse_whole(of_length))


# ------------------------------------------------------------------------------------------------ RFC 3986, 3987, 6570

_UCS = r"\u00A0-\uD7FF\uF900-\uFDCF\uFDF0-\uFFEF" + "".join(
    rf"\U000{plane:X}{'1000' if plane == 0xE else '0000'}-\U000{plane:X}FFFD" for plane in range(0x1, 0xF)
)
_PRIVATE = r"\uE000-\uF8FF\U000F0000-\U000FFFFD\U00100000-\U0010FFFD"
_PERCENT = "%[0-9A-Fa-f]{2}"


def _uri(more: str, private: str) -> tuple[str, str]:
    """What is absolute, and what may be relative too, with more characters than those of ASCII."""
    unreserved, marks = rf"A-Za-z0-9\-._~{more}", "!$&'()*+,;="
    pchar = rf"([{unreserved}{marks}:@]|{_PERCENT})"
    address = rf"\[({_IPV6}|[Vv][0-9A-Fa-f]+\.[A-Za-z0-9\-._~{marks}:]+)\]"
    name = rf"([{unreserved}{marks}]|{_PERCENT})*"
    authority = rf"//(([{unreserved}{marks}:]|{_PERCENT})*@)?({address}|{name})(:\d*)?"
    segments = rf"(/{pchar}*)*"
    rooted = rf"{authority}{segments}|/({pchar}+{segments})?"
    end = rf"(\?([{unreserved}{marks}:@/?{private}]|{_PERCENT})*)?(#([{unreserved}{marks}:@/?]|{_PERCENT})*)?"
    absolute = rf"[A-Za-z][A-Za-z0-9+.\-]*:({rooted}|{pchar}+{segments})?{end}"
    relative = rf"({rooted}|([{unreserved}{marks}@]|{_PERCENT})+{segments})?{end}"
    return absolute, rf"{absolute}|{relative}"


_URI, _URI_REFERENCE = _uri("", "")
_IRI, _IRI_REFERENCE = _uri(_UCS, _PRIVATE)

_NAME = rf"([A-Za-z0-9_]|{_PERCENT})(\.?([A-Za-z0-9_]|{_PERCENT}))*"
_VARIABLE = rf"{_NAME}(:[1-9]\d{{0,3}}|\*)?"
_TEMPLATE = (
    rf"([!#$&-;=?-\[\]_a-z~{_UCS}{_PRIVATE}]|{_PERCENT}"
    rf"|\{{[+#./;?&=,!@|]?{_VARIABLE}(,{_VARIABLE})*\}})*"
)
"""With the apostrophe, which the standard forgot (erratum 6937)."""

# ------------------------------------------------------------------------------------------------ RFC 4648


def _base32(any_of: str, by_2: str, by_4: str, by_8: str, by_16: str) -> Node:
    """Of an alphabet, and each second, fourth, eighth and sixteenth of it, which the last may be before padding."""
    ends = f"{any_of}[{by_4}]={{6}}|{any_of}{{3}}[{by_16}]={{4}}|{any_of}{{4}}[{by_2}]={{3}}|{any_of}{{6}}[{by_8}]="
    return parse_whole(f"({any_of}{{8}})*({ends})?")


ENCODINGS = {
    "base64": parse_whole(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"),
    "base64url": parse_whole(r"([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]==|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]=)?"),
    "base32": _base32("[A-Z2-7]", "ACEGIKMOQSUWY246", "AEIMQUY4", "AIQY", "AQ"),
    "base32hex": _base32("[0-9A-V]", "02468ACEGIKMOQSU", "048CGKOS", "08GO", "0G"),
    "base16": parse_whole("([0-9A-Fa-f]{2})*"),
}
"""Values of `contentEncoding`, with padding, and without bits that say nothing."""

# ------------------------------------------------------------------------------------------------ all of them

_POINTER = "(/([^~/]|~[01])*)*"
"""RFC 6901."""


def _regular(regex: str) -> Callable[[], FormatLanguage]:
    return lambda: _exactly(parse_whole(regex))


_LANGUAGES: dict[str, Callable[[], FormatLanguage]] = {
    "date": _regular(_DATE),
    "time": lambda: _between(parse_whole(_TIME), parse_whole(_TIME_AND_LEAP_SECONDS), _OTHER_LEAP_SECONDS),
    "date-time": lambda: _between(
        parse_whole(rf"{_DATE}[Tt]{_TIME}"), parse_whole(rf"{_DATE}[Tt]{_TIME_AND_LEAP_SECONDS}"), _OTHER_LEAP_SECONDS
    ),
    "duration": _regular(_DURATION),
    "email": lambda: _between(_mailbox(_PLAIN_LABEL), _mailbox(_LABEL), _A_LABELS),
    "hostname": lambda: _between(_host_name(_PLAIN_LABEL), _host_name(_LABEL), _A_LABELS),
    "ipv4": _regular(_IPV4),
    "ipv6": _regular(_IPV6),
    "iri": _regular(_IRI),
    "iri-reference": _regular(_IRI_REFERENCE),
    "json-pointer": _regular(_POINTER),
    "relative-json-pointer": _regular(rf"(0|[1-9]\d*)(#|{_POINTER})"),
    "uri": _regular(_URI),
    "uri-reference": _regular(_URI_REFERENCE),
    "uri-template": _regular(_TEMPLATE),
    "uuid": _regular("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
}

KNOWN_FORMATS = CHECKED_FORMATS | _LANGUAGES.keys()
"""Those of JSON Schema."""
