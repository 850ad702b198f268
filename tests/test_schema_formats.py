"""Formats are those of their standards, in every draft, and the same while decoding and in the check."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import jsonschema_rs
import pytest

from maze.check.format_assertion import ASSERTED_FORMATS
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.model import Cfg, Literal, Pattern, Production, Symbol
from maze.grammar.llguidance import ENGINE_LIMITS, Matcher, check_grammar, is_bearable
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Node, both
from maze.grammar.schema.format_languages import (
    CHECKED_FORMATS,
    ENCODINGS,
    FormatLanguage,
    is_known,
    language_of_format,
)
from maze.grammar.schema.lower import lower_schema
from maze.grammar.schema.necessary_languages import necessary_for_format, necessary_for_json
from maze.grammar.schema.strings import quoted_language
from maze.grammar.schema.validator import make_validator
from maze.json_text import JsonValue

CASES: dict[str, dict[str, list[str]]] = json.loads(
    (Path(__file__).parent / "data/formats/cases.json").read_text(encoding="utf-8")
)
DRAFTS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
REGULAR = sorted({name.split()[0] for name in CASES} - CHECKED_FORMATS)


@lru_cache(maxsize=256)
def recogniser(language: Node) -> Recogniser:
    return Recogniser(language, Budget().construction())


def accepts(language: Node, text: str) -> bool:
    return recogniser(language).accepts(text)


def is_nothing(language: Node) -> bool:
    return recogniser(language).shortest(Budget().construction()) is None


def language_of(name: str, draft: int = 2020) -> FormatLanguage:
    language = language_of_format(name, draft)
    assert language is not None
    return language


def check_of(name: str, draft: int = 2020) -> jsonschema_rs.Validator:
    return make_validator(json.dumps({"$schema": DRAFTS[draft], "format": name}), ASSERTED_FORMATS)


def cases(name: str, draft: int, kind: str) -> list[str]:
    era = "since draft-07" if draft >= 7 else "to draft-06"
    return [text for key in (name, f"{name} {era}") for text in CASES.get(key, {}).get(kind, ())]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("name", [*REGULAR, *sorted(CHECKED_FORMATS)])
def test_the_official_cases_come_out_right_in_every_draft(name: str, draft: int) -> None:
    check = check_of(name, draft)
    language = language_of_format(name, draft)
    for text in cases(name, draft, "valid"):
        assert check.is_valid(text), text
        if language is not None:
            assert not accepts(language.outside, text), text
            assert accepts(language.offered, text) or language.missing, text
    for text in cases(name, draft, "invalid"):
        assert not check.is_valid(text), text
        assert language is None or not accepts(language.offered, text), text


def mutated(text: str, chance: random.Random) -> str:
    characters = list(text)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        first, second = sorted(chance.choices(range(len(characters) + 1), k=2))
        match chance.randrange(4):
            case 0:
                characters.insert(
                    first, chance.choice("abzAZ019.-_~:/?#[]@!$&'()*+,;=%\"\\ \t\n{}|<>^`é\u4e2d\u0660\0")
                )
            case 1:
                characters[first:second] = []
            case 2:
                characters[first:first] = characters[first:second]
            case _ if characters and text:
                characters[first - 1] = chance.choice(text)
    return "".join(characters)


LONG = {
    "hostname": [
        "a" * 63,
        "a" * 64,
        ".".join(["a" * 63] * 3) + "." + "b" * 61,
        ".".join(["a" * 63] * 3) + "." + "b" * 62,
    ],
    "email": [
        "a" * 64 + "@b.c",
        "a" * 65 + "@b.c",
        "a@" + ".".join(["b" * 63] * 3) + "." + "b" * 61,
        "a@" + ".".join(["b" * 63] * 3) + "." + "b" * 62,
        '"' + "a" * 62 + '"@b',
        '"' + "a" * 63 + '"@b',
        "a@b.xn--bcd",
    ],
}
OTHERWISE_IN_JSONSCHEMA_RS = frozenset(("date", "time", "date-time", "email"))
"""It takes `,611-06-30` for a date and a tab in a mailbox, and refuses an escaped space there."""


@pytest.mark.parametrize("name", REGULAR)
def test_what_is_offered_is_accepted_and_what_is_outside_is_not(name: str) -> None:
    chance = random.Random(name)
    language, check = language_of(name), check_of(name)
    independent = jsonschema_rs.validator_for({"format": name}, validate_formats=True)
    pool = [*cases(name, 2020, "valid"), *cases(name, 2020, "invalid"), *LONG.get(name, ())]
    for text in [*pool, *(mutated(chance.choice(pool), chance) for _ in range(600))]:
        offered, outside, accepted = (
            accepts(language.offered, text),
            accepts(language.outside, text),
            check.is_valid(text),
        )
        assert not (offered and outside), text
        assert accepted or not offered, text
        assert not (accepted and outside), text
        assert offered or outside or language.missing, text
        if name not in OTHERWISE_IN_JSONSCHEMA_RS:
            assert independent.is_valid(text) is accepted, text


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("date", "1900-02-29", False),
        ("date", "2000-02-29", True),
        ("date", "0000-02-29", True),
        ("date", "2024-02-29", True),
        ("date", "2023-02-29", False),
        ("date", ",611-06-30", False),
        ("date-time", "2100-02-29T00:00:00Z", False),
        ("time", "23:59:60+00:00", True),
        ("time", "24:00:00Z", False),
        ("duration", "P1Y1D", False),
        ("duration", "P1W1D", False),
        ("duration", "PT1H1M1S", True),
        ("uuid", "2EB8AA08aa9811eab4aa73b441d16380", False),
        ("hostname", "ab--cd", False),
        ("hostname", "a--b", True),
        ("email", "a@b--c", True),
        ("email", "a@bc--d", False),
        ("email", '"a\tb"@c', False),
        ("email", '"a\\ b"@c', True),
        ("email", "a@[IPv6:1::3:4:5:6:7:8]", False),
        ("email", "a@[IPv6:1::4:5:6:7:8]", True),
        ("ipv6", "1::3:4:5:6:7:8", True),
        ("ipv6", "::1%eth0", False),
        ("uri", "a://[::1%25x]", False),
        ("uri", "a:", True),
        ("uri-template", "{a:10000}", False),
        ("uri-template", "a'b", True),
        ("json-pointer", "/~01", True),
        ("relative-json-pointer", "0#/a", False),
    ],
)
def test_cases_that_are_easily_mistaken(name: str, text: str, is_one: bool) -> None:
    language = language_of(name)
    assert accepts(language.offered, text) is is_one
    assert accepts(language.outside, text) is not is_one
    assert check_of(name).is_valid(text) is is_one


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("time", "22:59:60-01:00"),
        ("date-time", "2016-12-31T15:59:60-08:00"),
        ("hostname", "xn--9n2bp8q"),
        ("email", "a@xn--9n2bp8q"),
    ],
)
def test_what_is_missing_is_accepted_all_the_same(name: str, text: str) -> None:
    language = language_of(name)
    assert language.missing
    assert not accepts(language.offered, text)
    assert not accepts(language.outside, text)
    assert check_of(name).is_valid(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("time", "12:00:60Z"),
        ("time", "23:59:60-00:01"),
        ("time", "23:59:60+00:01"),
        ("hostname", "xn--X"),
        ("email", "a@xn--X"),
        ("email", "a@ab--cd"),
    ],
)
def test_what_only_looks_like_what_is_missing_is_refused(name: str, text: str) -> None:
    assert not accepts(language_of(name).offered, text)
    assert not check_of(name).is_valid(text)


def test_hostnames_of_old_drafts_know_no_reserved_labels() -> None:
    language = language_of("hostname", 6)
    assert not language.missing
    for text, is_one in (("ab--cd", True), ("xn--X", True), ("a" * 64, False), ("-a", False)):
        assert accepts(language.offered, text) is check_of("hostname", 6).is_valid(text) is is_one


def test_other_formats_say_nothing() -> None:
    assert language_of("colour") == FormatLanguage(ANYTHING, NOTHING)
    assert not is_known("colour")
    assert all(map(is_known, [*REGULAR, *CHECKED_FORMATS]))


@pytest.mark.parametrize("name", REGULAR)
def test_an_engine_bears_several_in_one_schema(name: str) -> None:
    language = language_of(name)
    for contents, times in ((language.offered, 8), (language.outside, 2)):
        assert not is_nothing(contents)
        string = Pattern("string", quoted_language(contents))
        items: list[Symbol] = [string, Literal(",")]
        production: Production = (Literal("["), *items * times, Literal("0]"))
        rules = cfg_to_lark(Cfg("start", {"start": (production,)}), Budget())
        check_grammar(rules, Budget(), ENGINE_LIMITS)
        assert is_bearable(rules, Budget())


def test_formats_can_be_combined() -> None:
    host, address = language_of("hostname"), language_of("ipv4")
    assert not is_nothing(both(host.offered, address.offered))
    assert not is_nothing(both(host.offered, address.outside))
    assert is_nothing(both(language_of("date").offered, address.offered))
    assert is_nothing(both(language_of("uri").offered, language_of("uri-reference").outside))


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("base64", base64.b64encode),
        ("base64url", base64.urlsafe_b64encode),
        ("base32", base64.b32encode),
        ("base32hex", base64.b32hexencode),
        ("base16", base64.b16encode),
    ],
)
def test_an_encoding_is_offered_as_the_check_wants_it(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    offered = Recogniser(ENCODINGS[encoding], Budget().construction())
    valid = make_validator(json.dumps({"$schema": DRAFTS[7], "contentEncoding": encoding}), ASSERTED_FORMATS)
    random_bytes = random.Random(encoding)
    for _ in range(2_000):
        text = encode(random_bytes.randbytes(random_bytes.randrange(12))).decode()
        assert offered.accepts(text), text
        at = random_bytes.randrange(len(text) + 1)
        broken = text[:at] + random_bytes.choice("AQ=4h_-+/2801ZVWaz") + text[at + random_bytes.randrange(2) :]
        assert valid.is_valid(broken) or not offered.accepts(broken), broken


def test_an_international_host_name_has_no_capitals_beyond_ascii() -> None:
    texts = ("münchen.de", "Example.COM", "München.de", "80809152AS1MULOCOANITÓBALGRAFU")
    assert [ASSERTED_FORMATS["idn-hostname"](text) for text in texts] == [True, True, False, False]


REGEXES = (
    *("", "^$", "a|*", "a**", "a++", "a*?", "a*??", "a{1,2}", "a{2,}?", "a{", "}", "]", "(|a)", "(", ")", "((((a))))"),
    *("(?:a|b)+", "(?<n>a)\\k<n>", "(?<=a)b", "(?!a)", "(?i)a", "[", "[]", "[^\\]a-z]+", "\\", "\\q", "\\d+\\.\\S"),
    *("\\p{L}", "\\u{61}", "\\u0061", "\\x41", "\\cA", "\\/", "\\-"),
)
MAILBOXES = (
    *(
        "a@b",
        "ä.b@b",
        "a@ä.例え",
        "a..b@c",
        "a@b@c",
        "a b@c",
        '"a b"@c',
        "<a>@b",
        "a",
        "a@",
        "@b",
        "a@-b",
        "a@xn--bcher-kva",
    ),
    *("a@[1.2.3.4]", "a@[IPv6:::1]", "x@例え。jp", "실례@실례.테스트", "a@€", "mock-system-mail"),
)
HOSTS = ("ä", "Ä", "AS1", "a_b", "ä。b", "a.b.", "a--b", "-ä", "l·l", "क", "€", "实例.测试", "カ・b", "xn--bcher-kva")
JSON_TEXTS = (
    *(
        "{}",
        " [ ] ",
        '{"a" : 1 , "b":[1,2,{"c":[[]]}]}',
        '"\\u12aF"',
        "-0.5e+3 ",
        "01",
        "1.",
        "[1,]",
        '{"a"}',
        "{,}",
        "tru",
    ),
    *(
        "[true,false,null]",
        '{"a":{"b":1},"c":"d"}',
        '"a',
        "[1}",
        '"\\x"',
        "",
        "[1 2]",
        "{1:2}",
        '"\t"',
        "words, no JSON",
    ),
)


def matcher_of(schema: JsonValue) -> Matcher:
    lowered = lower_schema(json.dumps(schema), "it", Budget())
    assert lowered.reasons
    assert lowered.cfg is not None
    return Matcher(cfg_to_lark(lowered.cfg, Budget()))


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("language", "is_one", "texts", "most_others"),
    [
        (necessary_for_format("regex"), lambda text: check_of("regex", 2020).is_valid(text), REGEXES, 0),
        (necessary_for_format("idn-email"), lambda text: check_of("idn-email", 2020).is_valid(text), MAILBOXES, 1),
        (necessary_for_format("idn-hostname"), ASSERTED_FORMATS["idn-hostname"], HOSTS, 1),
        (necessary_for_json(), is_json, JSON_TEXTS, 0),
    ],
    ids=["regex", "idn-email", "idn-hostname", "JSON"],
)
def test_what_only_the_check_decides_is_led_towards_its_texts_and_loses_none(
    language: Node, is_one: Callable[[str], bool], texts: tuple[str, ...], most_others: int
) -> None:
    recogniser = Recogniser(language, Budget().construction())
    right = {text for text in texts if is_one(text)}
    written = {text for text in texts if recogniser.accepts(text)}
    assert right
    assert len(right) < len(texts)
    assert not right - written
    assert len(written - right) <= most_others, written - right


def test_a_schema_offers_no_more_than_what_the_check_may_take() -> None:
    body = {"type": "string", "contentMediaType": "application/json"}
    cases: list[tuple[JsonValue, str, str]] = [
        ({"type": "string", "format": "idn-email", "maxLength": 40}, '"ä@b.de"', '"mock-system-mail"'),
        ({"type": "string", "format": "regex", "maxLength": 20}, '"(a|b)+"', '"(a|b"'),
        ({"$schema": DRAFTS[7], **body, "maxLength": 40}, '"{\\"a\\":1}"', '"a message"'),
        ({"type": "string", "pattern": r"^([a-z]{2,6})=\1$"}, '"abc=abc"', '"abc:abc"'),
    ]
    for schema, right, wrong in cases:
        matcher = matcher_of(schema)
        assert matcher.copy().accepts(right.encode()), right
        assert not matcher.copy().accepts(wrong.encode()), wrong
    # What is encoded is no JSON yet.
    assert matcher_of({"$schema": DRAFTS[7], **body, "contentEncoding": "base64"}).accepts(b'"e30="')
