from __future__ import annotations

from random import Random

import pytest
import regex
from grammar_texts import accepts
from hypothesis import given, settings
from hypothesis import strategies as st

from maze.errors import (
    ContradictionError,
    InvalidConstraintError,
    LimitExceededError,
    MazeError,
    UnsupportedConstraintError,
)
from maze.grammar import compile_constraints
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.compose.groups import grammar_of
from maze.grammar.pattern.automaton import (
    Alphabet,
    is_empty,
    make_dfa,
    smallest,
    without_intersections,
)
from maze.grammar.pattern.code_points import (
    ANY,
    Ranges,
    characters,
    complement,
    ignoring_case,
    intersection,
    union,
)
from maze.grammar.pattern.parser import MAX_GROUP_DEPTH, MAX_PATTERN_CHARACTERS, MAX_PATTERN_SIZE, parse_pattern
from maze.grammar.pattern.questions import Questions
from maze.grammar.pattern.recogniser import Recogniser
from maze.grammar.pattern.tree import NOTHING, Chars, Machine, Node, alt, both, literal, negation
from maze.grammar.schema.strings import spelled, spelled_language
from maze.types import ConstraintIR


def matches(pattern: str, text: str) -> bool:
    """Whether llguidance takes `text` for a whole output that satisfies `pattern`."""
    return accepts(grammar_of(parse_pattern(pattern, "p", Budget()), Budget()), text)


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (r"^[a-z][a-zA-Z0-9]*$", ["ab", "aB9"], ["Ab", "ab ", "ab\n", ""]),
        (r"async\s+fn", ["async fn", "x async \n fn y"], ["asyncfn", "async f"]),
        (r"Result<.*>", ["-> Result<A, B> {"], ["Result<A", "Result<\n>"]),
        (r"///.*", ["/// doc", "a\n/// b\nc"], ["// doc"]),
        (r"^a|b$", ["ax", "xb", "a", "b"], ["xa", "bx"]),
        (r"^(?:a|b)$", ["a", "b"], ["ab", ""]),
        (r"^a", ["a", "ab\nc"], ["ba"]),
        (r"a$", ["a", "b\na"], ["ab", "a\n"]),
        (r"", ["", "anything\n"], []),
        (r"^$", [""], ["a", "\n"]),
        (r"a|", ["", "b"], []),
        (r"the documented format", ["in the documented format!"], ["the documented"]),
    ],
)
def test_a_side_without_anchor_may_be_preceded_or_followed_by_anything(
    pattern: str, accepted: list[str], refused: list[str]
) -> None:
    assert [text for text in accepted if not matches(pattern, text)] == []
    assert [text for text in refused if matches(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (r"/^[a-z]+$/i", ["AB", "ab"], ["a1"]),
        (r"/^[a-z]+$/", ["ab"], ["AB", "/ab/"]),
        (r"^[a-z]+$|FLAGS:gi", ["AB"], ["1"]),
        (r"^a.b$|FLAGS:s", ["a\nb"], ["ab"]),
        (r"^a b # c|FLAGS:x", ["ab"], ["a b"]),
        (r"^a$|FLAGS:m", ["a", "b\na\nc"], ["ba", "b\nac"]),
        (r"^x|FLAGS:y$|FLAGS:", ["x", "FLAGS:y"], ["y"]),  # split at the last occurrence
        (r"^a$|FLAGS:guy", ["a"], ["A"]),
        (r"/\*.*\*/", ["/* a */"], ["* a *"]),  # slashes that delimit nothing are text
        (r"/usr/bin", ["/usr/bin"], ["usr/bin"]),
        (r"^(?i:a)b$", ["Ab", "ab"], ["aB"]),
        (r"^(?i)a(?-i)b$", ["Ab"], ["AB"]),
        (r"^(?x) a  [ ] b $", ["a b"], ["ab"]),
        (r"^é$|FLAGS:i", ["É", "é"], ["e"]),
        (r"^k$|FLAGS:i", ["K"], ["\u212a"]),  # never between ASCII and other letters
        (r"^[^a]$|FLAGS:i", ["b"], ["a", "A"]),
    ],
)
def test_flags_come_as_a_suffix_around_slashes_or_in_groups(
    pattern: str, accepted: list[str], refused: list[str]
) -> None:
    assert [text for text in accepted if not matches(pattern, text)] == []
    assert [text for text in refused if matches(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (r"^\d\w\s$", ["1a ", "1_\n"], ["\u0661a ", "1é ", "1a\u00a0"]),
        (r"^\D\W\S$", ["a é"], ["1 a"]),
        (r"^[[:alpha:]_][[:alnum:]]$", ["a1", "_Z"], ["11", "é1"]),
        (r"^\p{Lu}\P{L}\p{^N}$", ["É1a"], ["é1a", "Éaa", "É11"]),
        (r"^\p{Letter}+$", ["añЖ"], ["1"]),
        (r"^\p{Greek}+$", ["αβγ"], ["abc", "привет"]),
        (r"^\p{Script=Cyrillic}\P{sc=Han}$", ["жa"], ["ж漢", "a漢"]),
        (r"^[\p{Alphabetic}\p{Nd}]+$", ["é1"], ["!"]),
        (r"^[\w-.]+$", ["a-b.c"], ["a b"]),
        (r"^[+--]+$", ["+,-"], ["."]),
        (r"^\x41\u0042\u{43}\x{44}\U00000045$", ["ABCDE"], ["ABCD"]),
        (r"^\ud83d\ude00$", ["\U0001f600"], ["x"]),
        (r"^a.b$", ["axb", "a\x0bb", "a\x85b"], ["a\nb", "a\rb", "a\u2028b", "a\u2029b"]),
        (r"^a$|FLAGS:m", ["b\ra", "a\u2028", "b\u2029a\nc"], ["b\x0ba"]),
        (r"^\R\R$", ["\n\n", "\r\n\r", "\u2028\x0b"], ["\r\n", "\n"]),
        (r"^\h\H\v$", ["\t\n\x0b", "\u3000a\x0b"], ["  \x0b", "\n\n\x0b"]),
        (r"^\Qa.b|(\E+[\Q]-\E]\Q\E$", ["a.b|(((]", "a.b|(-"], ["axb|(]"]),
        (r"^\0\cA\t\a$", ["\0\x01\t\x07"], ["0"]),
        (r"^[\b]$", ["\b"], ["b"]),
        (r"^\/\"\-\#\&\~ \<$", ['/"-#&~ <'], [""]),
        (r"^a{2}b{1,}c{0,1}$", ["aab", "aabbbc"], ["ab", "aabcc"]),
        (r"^x{a}{$", ["x{a}{"], ["xa"]),
        (r"^(?P<n>a)(?<m>b)(?#comment)$", ["ab"], ["a"]),
        (r"^(?P<stop>ab)$", ["ab"], ["a", ""]),
        (r"^.$", ["a", "é", "\U0001f600"], ["\n", "\r", ""]),
        (r"^a*?b+?$", ["aab", "bb"], ["a"]),
    ],
)
def test_every_element_means_what_the_module_says(pattern: str, accepted: list[str], refused: list[str]) -> None:
    assert [text for text in accepted if not matches(pattern, text)] == []
    assert [text for text in refused if matches(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (r"\bfoo\b", ["foo", "a foo.", "\nfoo\n"], ["food", "_foo", "fo"]),
        (r"\Boo", ["foo"], ["oo", " oo"]),
        (r"^(?!.*eval).*$", ["safe"], ["eval", "xevaly"]),
        (r"^(?=.*\d)(?=.*[a-z]).{4,8}$", ["abc1", "1abcdefg"], ["abcd", "1234", "a1", "abcdefgh1"]),
        (r"(?<!x)foo", ["foo", "yfoo", "xfoo foo"], ["xfoo"]),
        (r"(?<=ab|c)d", ["abd", "cd"], ["bd", "d"]),
        (r"foo(?!bar)", ["foo", "foobarfoo"], ["foobar"]),
        (r"^_(?!_)\w+$", ["_a"], ["__a", "_"]),
        (r"(?:^|\n)import\b", ["import x", "a\nimport"], ["ximport", "imports"]),
        (r"a\b\b\B", [], ["a", "a "]),
        (r"x(?=a*$)a", ["xa", "xaa"], ["xab", "x"]),
        (r"(?=a+\bb)c", [], ["c", "b"]),
        (r"^(?!.*\b(?:drop|delete)\b)", ["", "dropped", "un delete_d", "a\ndrop"], ["drop", "a delete;"]),
        (r"^(?:(?!-->).)*$", ["", "a--b", "->"], ["-->", "a-->", "--->b"]),
        (r"^(?:(?!a.{5}b).)*$", ["a12345", "a1234b", "b12345a"], ["a12345b", "xaa2345bbx"]),
        (r"^<!--(?:(?!-->)[\s\S])*-->$", ["<!---->", "<!-- a\n- -- -->"], ["<!---->-->", "<!-->"]),
        (r"^(?:\bfoo\b[ ;]?)+$", ["foo", "foo;foo", "foo foo "], ["foofoo", "foo  foo", ""]),
        (r"^([^,]+(,|$)){3,}$", ["a,b,c", "a,b,c,", "a,b,c,d"], ["a,b", "a,b,", ""]),
        (r"^(?:(?!-)[a-z-]{1,9}(?<!-)(?:\.|$))+$", ["a-b.c", "a"], ["-a.b", "a-.b", "a..b", ""]),
        (r"^(?=.{1,9}$)(?:(?!-)[a-z-]{1,4}(?<!-)\.){1,3}[a-z]+$", ["a-b.c"], ["a", "-a.c", "ab-d.efghi", "abcde.f"]),
        (r"^(?:(?=[a-z]*\d)[a-z0-9]{2,4};)*$", ["", "a1;", "ab2c;33;"], ["ab;", "a1;bc;", "1;"]),
        (r"^(?:(?=(?!aa)\w*b)\w+ )*$", ["ab ", "b ba "], ["aab ", "aa ", "ab aab "]),
        (r"^a(?=b.*)\w*(?<=bc)$", ["abc", "abxbc"], ["acbc", "abx"]),
        (r"x(?=\by)", [], ["xy"]),
        (r"x(?=(?<=x)y)", ["xy", "axyb"], ["zy"]),
        (r"(?<=(?=ab)..)c", ["abc"], ["aac", "c"]),
        (r"(?:^)*a(?:$|b)?", ["a", "ca"], ["c"]),
        (r"^(?!^ab)a", ["a", "ac"], ["ab", "abc"]),
        (r"(?:a|^)" + r"\b(?:a|^)" * 19, ["a", "a b"], ["", " a", "."]),
        (r"^(['\"])\w*\1$", ["'a'", '""'], ["'a\"", "'"]),
        (r"^(?P<q>['\"])(?:(?!(?P=q)).)*(?P=q)$", ["'a\"b'", '"\'"'], ["'a'b'", "'a\""]),
        (r"^((?<x>a|b)c?)\1\k<x>\k{x}\g{-1}$", ["acacaaa", "bbbbb"], ["acaaaa", "abaaa"]),
        (r"^(?i)(a)(?-i)\1$", ["aa", "AA"], ["aA", "Aa"]),
        (r"^(?i)(a)\1$", ["aa", "aA", "AA"], ["ab"]),
        (r"^(?:([ab])\1)*$", ["", "aabb"], ["ab", "aab"]),
        (r"^([ab])c*(?<!\1)$", ["ac"], ["a", "b"]),
        (r"^<(b|i)>[^<]*</\1>$", ["<b>x</b>"], ["<b>x</i>"]),
        (r"^a++b?+$", ["a", "aab"], ["b"]),
        (r"^[a-z]*+z$", [], ["z", "az"]),
        (r"^a{1,2}+a$", ["aaa"], ["aa", "a"]),
        (r"^(?:ab)*+abc$", [], ["abc", "ababc"]),
        (r"^(?>ab|c)(?>\d+)\.$", ["ab12.", "c0."], ["ab."]),
    ],
)
def test_assertions_are_resolved_exactly(pattern: str, accepted: list[str], refused: list[str]) -> None:
    language = parse_pattern(pattern, "p", Budget())
    if not accepted:
        assert is_empty(language, Budget())
        return
    assert [text for text in accepted if not matches(pattern, text)] == []
    assert [text for text in refused if matches(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (r"^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$", ["127.0.0.1"], ["1.2.3", "1.2.3.4.", "1.2.3.256"]),
        (
            r"^(?=.{1,12}@)[a-z]+(\.[a-z]+)*@[^-][a-z-]+(\.[a-z]{2,})$",
            ["a.b@c-d.org"],
            ["a@-cd.org", "abcdefghijklm@cd.org"],
        ),
        (r"^(?!000|666)[0-8]\d{2}-(?!00)\d{2}-(?!0000)\d{4}$", ["123-45-6789"], ["000-45-6789", "123-00-6789"]),
        (
            r"^(?:31([/.-])(?:0?[13578]|1[02])\1|30([/.-])(?:0?[13-9]|1[0-2])\2)\d{4}$",
            ["31-1-2000"],
            ["31-1/2000", "31.2.2000"],
        ),
        (r"^(?!.*([a-z0-9])\1{2})[a-z0-9]+$", ["aabb"], ["abbb", "000"]),
        (r"""^(['"`])(?:(?!\1|\\).|\\.)*\1$""", [r"'a\'\"'", '"it\'s"'], ["'a\"", "'a'b'"]),
        (r"^(?=(?:.*[A-Z]){2})(?=(?:.*\d){2})(?!.*\s).{6,9}$", ["AbC12x"], ["Abc12x", "AbC 12x"]),
        (r"^(?:(?!\bgoto\b)[\s\S])*$", ["gotos\n"], ["a\ngoto b"]),
        (r"(?<=\$)\d+(?:\.\d\d)?(?!\d)", ["now $5.00!"], ["5.00", "$"]),
        (r"(?m)^(?!\s*#).*\bimport\b", ["# import\nimport x"], ["# import x"]),
        (r"^(?:[^\W_](?:[\w-]*[^\W_])?(?:\.(?!$)|$))+$", ["a-b.c"], ["a-.b", "a.b."]),
        (r"^(?:(?!\n\n)[\s\S])*$", ["a\nb\n"], ["a\n\nb"]),
    ],
)
def test_patterns_that_people_write_with_assertions_are_taken(
    pattern: str, accepted: list[str], refused: list[str]
) -> None:
    assert [text for text in accepted if not matches(pattern, text)] == []
    assert [text for text in refused if matches(pattern, text)] == []


@pytest.mark.parametrize("text", ["%s(?:a%s)*", "(?:a%s|%s)", "(?:%s(?:a%s)|b)?"])
def test_a_pattern_may_nest_as_deep_as_groups_may(text: str) -> None:
    pattern = "b"
    for _ in range(MAX_GROUP_DEPTH // text.count("(")):
        pattern = text.replace("%s", "", 1).replace("%s", pattern, 1)
    assert matches(f"^{pattern}$", "a" * 20) == (regex.fullmatch(pattern, "a" * 20) is not None)
    assert matches(f"^{pattern}$", "aac") == (regex.fullmatch(pattern, "aac") is not None)


@given(st.lists(st.text(alphabet='ab\n"', max_size=6), min_size=1, max_size=8), st.integers(0, 10**6))
@settings(max_examples=60)
def test_automata_are_written_exactly_also_within_strings_of_json(texts: list[str], seed: int) -> None:
    random = Random(seed)
    size = random.randint(1, 5)
    edges = tuple(
        tuple((characters(letters), random.randrange(size)) for letters in ("a", 'b"', "\n") if random.random() < 0.8)
        for _ in range(size)
    )
    machine = Machine(edges, frozenset(random.sample(range(size), random.randint(1, size))))
    if is_empty(machine, Budget()):
        return
    recogniser = Recogniser(machine, Budget().construction())
    plain, spelled_out = grammar_of(machine, Budget()), grammar_of(spelled_language(machine), Budget())
    for text in texts:
        assert accepts(plain, text) == recogniser.accepts(text)
        assert accepts(spelled_out, spelled(text)) == recogniser.accepts(text)


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("a\\", InvalidConstraintError, "lone backslash ends the pattern at character 2"),
        ("[a\\", InvalidConstraintError, "lone backslash"),
        ("(?:a|ab)++", UnsupportedConstraintError, "possessive quantifier at character 10 .* use a plain one"),
        ("(?<=a++)", UnsupportedConstraintError, "possessive quantifier .* in a look-behind"),
        ("x(?>a|ab)", UnsupportedConstraintError, "atomic group at character 2 .* use "),
        ("(?>a*?)b", UnsupportedConstraintError, "atomic group"),
        ("(?R)", UnsupportedConstraintError, "recursion"),
        ("(a)(?1)", UnsupportedConstraintError, "recursion"),
        (r"(a*)\1", UnsupportedConstraintError, "a group with over 128 texts, at character 5 .* write out"),
        (r"([\w-])([a-z])(.)\3", UnsupportedConstraintError, "a group with over 128 texts, at character 18"),
        (r"(?<a>b)?\k<a>", UnsupportedConstraintError, "a group that may not have matched, .* at character 9"),
        (r"(?:(a)|b)\1", UnsupportedConstraintError, "a group that may not have matched"),
        (r"(a|b)*\1", UnsupportedConstraintError, "a group that may not have matched, or several times"),
        (r"(?=(a|b))\1", UnsupportedConstraintError, "a group that may not have matched"),
        (r"(?:\1b|(a))*", UnsupportedConstraintError, "a group that does not begin before it"),
        (r"(?<=a\R)b", UnsupportedConstraintError, "differently everywhere in a look-behind"),
        (r"(?<=(a)\1)b", UnsupportedConstraintError, "a backreference in a look-behind"),
        (r"(a\1)", UnsupportedConstraintError, "a group that may not have matched"),
        (r"(a)\2", UnsupportedConstraintError, "a group that does not begin before it, at character 4"),
        ("(?P<a>b)(?P=c)", UnsupportedConstraintError, "a group that does not begin before it"),
        (r"(a)\g<1>", UnsupportedConstraintError, "a reference to a group at character 4"),
        ("(a)?(?(1)b|c)", UnsupportedConstraintError, "conditional"),
        ("(?|a)", UnsupportedConstraintError, "branch reset"),
        ("(*FAIL)", UnsupportedConstraintError, "verb"),
        (r"a\Kb", UnsupportedConstraintError, r"\\K"),
        (r"\p{InGreek}", UnsupportedConstraintError, "Unicode property 'InGreek'"),
        (r"^[a-z&&[^aeiou]]$", UnsupportedConstraintError, "a class with an operation at character 6"),
        (r"^[\w--\d]$", UnsupportedConstraintError, "a class with an operation at character 5"),
        (r"\012", InvalidConstraintError, "octal"),
        (r"\y", InvalidConstraintError, r"unknown escape \\y"),
        (r"\x4", InvalidConstraintError, "hexadecimal"),
        (r"\ud800", InvalidConstraintError, "not a character"),
        (r"\u{110000}", InvalidConstraintError, "not a character"),
        ("a{3,2}", InvalidConstraintError, "wrong way round"),
        ("a{,3}", InvalidConstraintError, "write {0,3}"),
        ("a**", InvalidConstraintError, "quantifier follows a quantifier"),
        ("*a", InvalidConstraintError, "nothing to repeat"),
        ("^*", InvalidConstraintError, "nothing to repeat"),
        ("{2}", InvalidConstraintError, "nothing to repeat"),
        ("(a", InvalidConstraintError, "missing \\) for the group that begins at character 1"),
        ("a)", InvalidConstraintError, "unbalanced \\) at character 2"),
        ("a[b", InvalidConstraintError, "missing ] for the class that begins at character 2"),
        ("[]a]", InvalidConstraintError, "reads differently"),
        ("[z-a]", InvalidConstraintError, "wrong way round"),
        ("[[:letter:]]", InvalidConstraintError, "unknown class"),
        ("(?z)", InvalidConstraintError, "unknown flag 'z'"),
        ("a|FLAGS:gz", InvalidConstraintError, "unknown flag 'z'"),
        ("/a[/i", InvalidConstraintError, "missing ] for the class that begins at character 3"),
        ("\ud800", InvalidConstraintError, "lone surrogate"),
    ],
)
def test_what_cannot_be_said_exactly_is_refused_with_its_position(
    pattern: str, error: type[MazeError], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        parse_pattern(pattern, "constraints[0].regex_patterns[0]", Budget())
    assert str(raised.value).startswith("constraints[0].regex_patterns[0]: ")


@pytest.mark.parametrize(
    "pattern",
    [
        "a?" * 20_000,
        "(a{1000}){1000}",
        "((((a{9}){9}){9}){9}){9}",
        "a{999999999}",
        "a{99999999999999999999999}",
        "(a|b|c){100000}",
        "(" * 100_000,
        "(" * (MAX_GROUP_DEPTH + 1) + ")" * (MAX_GROUP_DEPTH + 1),
        "a" * (MAX_PATTERN_CHARACTERS + 1),
        r"^(?:(?!a.{20}b).)*$",
        "".join(f"(?=.*{letter})" for letter in "abcdefghijklm"),
    ],
)
def test_a_pattern_that_would_be_slow_is_refused_before_any_work(pattern: str) -> None:
    with pytest.raises(LimitExceededError):
        parse_pattern(pattern, "p", Budget())


def test_the_largest_pattern_that_is_taken_is_usable() -> None:
    pattern = "a?" * MAX_PATTERN_SIZE
    assert matches(pattern, "aaa")


def test_nested_groups_up_to_the_limit_are_taken() -> None:
    assert matches("^" + "(" * MAX_GROUP_DEPTH + "a" + ")" * MAX_GROUP_DEPTH + "$", "a")


@pytest.mark.parametrize("pattern", [r"[^\s\S]", r"a[^\s\S]b", r"a\Bb^", r"$a", r"a^", r"\b\B", r"(?!)", r"(?=a)b"])
def test_patterns_that_no_text_matches_are_known_to_be_empty(pattern: str) -> None:
    assert is_empty(parse_pattern(pattern, "p", Budget()), Budget())


# ------------------------------------------------------------------------------------------------ against others

_ATOMS = st.sampled_from(
    ["a", "b", "_", " ", r"\n", ".", r"\w", r"\d", r"\s", r"\W", "[ab]", "[^a]", r"[^\W]", "[a-c1]"]
)
_ASSERTIONS = st.sampled_from(
    ["^", "$", r"\b", r"\B", "(?=a)", "(?!b)", "(?<=a)", "(?<!_)", "(?=ab)", "(?!a.)", "(?<=b_)"]
)


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: "(?:" + "|".join(items) + ")"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,2}", "{2}", "*?", "{1,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    )


_PLAIN = st.recursive(_ATOMS, _combined, max_leaves=6)
_PATTERNS = st.one_of(
    _PLAIN,
    st.lists(st.one_of(_PLAIN, _ASSERTIONS), min_size=1, max_size=5).map("".join),
    st.tuples(_PLAIN, _ASSERTIONS, _PLAIN, _ASSERTIONS, _PLAIN).map(
        lambda five: f"{five[0]}(?:{five[1]}|{five[2]}){five[3]}{five[4]}"
    ),
    st.recursive(st.one_of(_ATOMS, _ASSERTIONS.map(lambda each: f"(?:{each})")), _combined, max_leaves=6),
)
_TEXTS = st.lists(st.text(alphabet="ab_1 c\né", max_size=7), min_size=1, max_size=12)


def _random_pattern(random: Random, depth: int) -> str:
    """Anything of what is taken, also where it makes little sense."""
    kind = random.random()

    def inner() -> str:
        return _random_pattern(random, depth - 1)

    if depth == 0 or kind < 0.25:
        return random.choice(
            ["a", "b", "_", " ", r"\n", ".", r"\w", r"\s", r"\W", "[ab]", "[^a]", "ab", "([ab])", "(a|bb)", r"\1"]
        )
    if kind < 0.35:
        return random.choice(["^", "$", r"\b", r"\B"])
    if kind < 0.5:
        return random.choice(["(?=", "(?!", "(?<=", "(?<!"]) + inner() + ")"
    if kind < 0.7:
        return inner() + inner()
    if kind < 0.8:
        return f"(?:{inner()}|{inner()})"
    if kind < 0.85:
        return f"(?>{inner()})"
    return f"(?:{inner()})" + random.choice(["*", "+", "?", "{0,2}", "{2}", "*?", "{1,3}", "*+", "?+", "{1,2}+"])


def _judged(pattern: str) -> regex.Pattern[str] | None:
    """The pattern for the other implementation; None if it has no such group, say."""
    exact = pattern.replace("$", r"\Z").replace(".", "[^\n\r\u2028\u2029]")
    try:
        return regex.compile(exact, regex.ASCII | regex.V0)
    except regex.error:
        return None


def test_ten_thousand_verdicts_on_random_patterns_are_those_of_the_regex_module() -> None:
    random = Random(2026)
    texts = ["", *("".join(random.choices("aab_ \n\r", k=random.randint(1, 8))) for _ in range(40))]
    verdicts = accepted = 0
    while verdicts < 10_000:
        pattern = _random_pattern(random, random.randint(2, 5))
        theirs = _judged(pattern)
        try:
            language = parse_pattern(pattern, "p", Budget())
        except UnsupportedConstraintError:
            continue
        assert theirs is not None
        expected = [theirs.search(text) is not None for text in texts]
        recogniser = Recogniser(language, Budget().construction())
        assert [recogniser.accepts(text) for text in texts] == expected, pattern
        verdicts += len(texts)
        accepted += sum(expected)
    assert accepted > verdicts // 5


@settings(max_examples=400)
@given(_PATTERNS, _TEXTS)
def test_verdicts_agree_with_the_regex_module(pattern: str, texts: list[str]) -> None:
    try:
        language = parse_pattern(pattern, "p", Budget())
    except (UnsupportedConstraintError, LimitExceededError):
        return
    theirs = _judged(pattern)
    assert theirs is not None
    expected = [theirs.search(text) is not None for text in texts]
    try:
        assert _verdicts_of_automaton(language, texts) == expected
        if is_empty(language, Budget()):
            return
    except OverBudgetError:
        pass
    grammar = grammar_of(language, Budget())
    assert [accepts(grammar, text) for text in texts] == expected


@settings(max_examples=100)
@given(_PATTERNS, _PATTERNS, _TEXTS)
def test_intersection_complement_and_the_way_back_from_an_automaton_are_exact(
    first: str, second: str, texts: list[str]
) -> None:
    try:
        left, right = parse_pattern(first, "p", Budget()), parse_pattern(second, "p", Budget())
    except (UnsupportedConstraintError, LimitExceededError):
        return
    wanted, unwanted = _judged(first), _judged(second)
    assert wanted is not None
    assert unwanted is not None
    ours = [bool(wanted.search(text)) and not unwanted.search(text) for text in texts]
    language = both(left, negation(right))
    try:
        assert _verdicts_of_automaton(language, texts) == ours
        assert _verdicts_of_automaton(without_intersections(language, Budget()), texts) == ours
    except OverBudgetError:
        return


def _verdicts_of_automaton(language: Node, texts: list[str]) -> list[bool]:
    budget = Budget().construction()
    alphabet = Alphabet([language], budget)
    verdicts = []
    dfa = smallest(make_dfa(language, alphabet, budget), budget)
    for text in texts:
        state = 0
        for character in text:
            state = dfa.next[state][alphabet.group_of(character)] if state >= 0 else state
        verdicts.append(state in dfa.accepting)
    return verdicts


_SETS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)), max_size=5).map(
    lambda pairs: union(tuple((low, low + size) for low, size in pairs))
)


@given(_SETS, _SETS)
def test_sets_of_characters_obey_the_laws_of_sets(left: Ranges, right: Ranges) -> None:
    def members(ranges: Ranges) -> set[int]:
        return {point for low, high in ranges for point in range(low, high + 1) if point < 1000}

    assert members(union(left, right)) == members(left) | members(right)
    assert members(intersection(left, right)) == members(left) & members(right)
    assert members(complement(left)) == set(range(1000)) - members(left)
    assert union(left, complement(left)) == union(ANY)
    assert complement(complement(left)) == left


def test_ignoring_case_keeps_ascii_to_itself() -> None:
    assert ignoring_case(characters("k")) == characters("kK")
    assert ignoring_case(characters("\u212a")) == characters("\u212a")
    assert ignoring_case(characters("ж1")) == characters("Жж1")


def test_the_empty_language_is_nothing() -> None:
    assert parse_pattern(r"[^\s\S]", "p", Budget()) == NOTHING


def test_an_error_shows_the_pattern_as_it_was_written() -> None:
    with pytest.raises(UnsupportedConstraintError) as raised:
        parse_pattern("^\\d'(a*)\\1$\n", "p", Budget())
    assert r"of '^\d'(a*)\1$\u000a'" in str(raised.value)


@pytest.mark.parametrize("name", ["Lu", "Greek", "Script=Han", "Alphabetic", "White_Space"])
def test_properties_hold_the_characters_that_another_implementation_puts_there(name: str) -> None:
    language = parse_pattern(f"^\\p{{{name}}}$", "p", Budget())
    assert isinstance(language, Chars)
    other = regex.compile(rf"\p{{{name}}}")
    ours = {code for low, high in language.ranges for code in range(low, high + 1)}
    theirs = {code for code in range(0x20000) if not 0xD800 <= code <= 0xDFFF and other.match(chr(code))}
    # Versions of Unicode differ in what they have assigned of late.
    assert len(theirs - ours) <= len(theirs) / 20
    assert len({code for code in ours if code < 0x20000} - theirs) <= len(theirs) / 20


def test_alternatives_that_are_each_excluded_leave_nothing_without_a_search() -> None:
    budget = Budget()
    found = parse_pattern("sdk.{40}rel", "p", Budget())
    names = alt(*map(literal, ("verbose", "debug", "quiet")))
    known = alt(names, found)
    assert Questions(budget).is_nothing(both(known, negation(names), negation(found))) is True
    assert Questions(budget).is_nothing(both(found, negation(known))) is True
    assert Questions(budget).is_nothing(both(known, negation(names))) is False
    assert budget.spent < 20_000


@pytest.mark.parametrize("pattern", ["(?!a?)", "^(?!a*)", r"(?<!a?)$", r"^(?!\w?)", "^(?!a?)b"])
def test_a_pattern_that_matches_nothing_is_a_contradiction(pattern: str) -> None:
    with pytest.raises(ContradictionError, match="no text matches the pattern"):
        compile_constraints([ConstraintIR(regex_patterns=(pattern,))])
