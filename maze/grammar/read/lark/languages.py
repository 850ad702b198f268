"""What `%import language.NAME.START` and `%language NAME START` find, and what `%forbid` and `%allow` leave of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget, OverBudgetError
from maze.grammar.cfg.analysis import reachable
from maze.grammar.cfg.known_rules import KnownRules, NarrowedRules, Narrowing, patterns_of
from maze.grammar.cfg.model import Pattern
from maze.grammar.languages.syntax import STARTS, find_syntax, syntax_names
from maze.grammar.pattern.automaton import beginnings
from maze.grammar.pattern.derivative import Derivatives
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import ANYTHING, NOTHING, Node, alt, both, cat, literal, negation, repeat, text_of
from maze.grammar.read.lark.definitions import Definitions
from maze.grammar.read.lark.language_names import (
    KINDS,
    PREFIX,
    SIGNED_PARAMETER,
    full_name,
    is_name_of_language,
    is_restricted_by,
    is_text_with_names,
    may_go_on,
    own_name,
)
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import (
    Definition,
    Expression,
    Import,
    OfLanguage,
    QuotedText,
    Regex,
    Restriction,
)
from maze.grammar.read.lark.terminals import Terminals, is_without_texts
from maze.grammar.read.lark.whole_languages import whole_language

_WITHOUT_CASE = ("sql",)
"""The languages in which names in capitals are the same names."""
_BLANK = repeat(literal(" "), 0, 1)
"""Belongs to a name behind another."""
_OPENING, _CLOSING = parse_whole("@?\"|['`\\[]"), parse_whole("[\"'`\\]]")
"""What languages quote names by."""
_BEHIND = parse_whole("( (.|\\n)*)?")
"""What a name may stand before."""
_AROUND = parse_whole(r"([^\"'<>]*\.)?")
"""What a module is within, and dots from which its name counts."""
_A_WORD = re.compile(r"\w+", re.ASCII)
_IN_QUOTES = re.compile(r"(\"|'|<)(?P<text>.+)(\"|'|>)")
_WITHIN = parse_whole(r"(\.[^\"'<>]*)?")
"""What is within a module that is imported by its name."""
_PATH_OPENING = parse_whole("[\"'<](node:)?")
"""`node:` before what JavaScript imports names the same."""
_PATH_WITHIN = parse_whole(r"(/[^\"'<>/.%\\\x00-\x20][^\"'<>/%\\\x00-\x20]*)*[\"'>]")
"""What is within a path, which is not what leads out of it again: `a/../b`, or spelled as URLs may be `a/%2e%2e/b`, and
with a tab between the dots, which they leave out."""
_PATH_ALL = parse_whole(r"([/?#](.|\n)*)?[\"'>]")
"""What begins like a path."""
_DETOUR = parse_whole(
    r"[\"'<]((.|\n)*([%\\\x00-\x1f]|/\./|[^:]//)(.|\n)*"
    r"|([^\n]*/)?(\.|[^/.\n][^/\n]*|\.[^/.\n][^/\n]*|\.\.[^/\n]+)/\.\./(.|\n)*)"
)
"""A path that can be written shorter, or without escapes, and so another spelling of any other."""
_URL = parse_whole(r"[\"'<]https?:(.|\n)*")
_USUAL_URL = parse_whole(r"[\"'<]https?://[a-z0-9\-]+(\.[a-z0-9\-]+)*(:[0-9]{4,5})?([/?#](.|\n)*)?[\"'>]")
_OTHER_SPELLING = alt(
    parse_whole(
        r"[\"'<]( (.|\n)*|(.|\n)* [\"'>]|//(.|\n)*|([dD][aA][tT][aA]|[bB][lL][oO][bB]|[fF][iI][lL][eE]):(.|\n)*"
        r"|[a-z0-9+.\-]*[A-Z][A-Za-z0-9+.\-]*:(.|\n)*|([^\n]*/)?node_modules/(.|\n)*)"
    ),
    both(_URL, negation(_USUAL_URL)),
)
"""URLs that hold a program themselves or that can be written otherwise, and paths to the files of a package."""
_FROM_HERE = parse_whole(r"((\./)*|(\.{1,2}/)*(\.\./|/)([^\"'<>\n]*/)?)")
"""What is before a path where there are several places to look, from which it may lead to the same."""
_COMPUTED = literal("import")
"""Called as a function it imports what no grammar knows."""
_DOTTED = ("python",)
"""The languages that import by dotted names, not by paths."""
_SEARCHED = ("c", "zig")
"""The languages in which a path that begins with dots or a slash may name the same as one without."""
_SIGN = repeat(parse_whole("[:@$]"), 0, 1)
_WITHOUT_NAME = parse_whole(r"\?[0-9]*")
"""What parameters of SQL are without a name."""
_PRAGMA_BY_NAME = parse_whole(r"(.|\n)*_Pragma(.|\n)*")
"""What may import as a line `#pragma` would."""
_A_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = parse_whole(_A_NAME.pattern)
_BEFORE_WORD = parse_whole(r"(#[ \t]*define(.|\n)*[^A-Za-z0-9_]|[^#](.|\n)*[^A-Za-z0-9_])?")
"""What stands before a word in the text of a macro or a pragma, without the `define`."""
_BEHIND_WORD = parse_whole(r"([^A-Za-z0-9_](.|\n)*)?")
_JOINED = parse_whole(r"(.|\n)*(#(\\\n)*#|%(\\\n)*:(\\\n)*%(\\\n)*:|[A-Za-z0-9_](\\\n)+[A-Za-z0-9_])(.|\n)*")
"""Text in which words are joined to another: `ev##al`, and lines within a word."""


def is_of_language(statement: Import) -> bool:
    """Whether what is imported is of a whole language."""
    return statement.grammar.startswith(PREFIX)


def import_from_language(statement: Import, found: Definitions) -> None:
    """Define what a statement asks for."""
    wanted = statement.grammar.removeprefix(PREFIX)
    language = find_syntax(wanted)
    if language is None:
        found.source.fail(
            statement.place, f"there is no grammar of a language {wanted!r}; there are {', '.join(syntax_names())}"
        )
    known = whole_language(language)
    names = (each.name for each in known.patterns if is_name_of_language(each.name))
    starts = (name for name in STARTS if full_name(name, language) in known.rules)
    offered = [*starts, *(own_name(name) for name in names)]
    used = found.languages.setdefault(language, set())
    for name, alias in statement.names.items():
        if name not in offered:
            found.source.fail(statement.place, f"{language} has no {name!r}; it has {', '.join(filter(None, offered))}")
        if alias in found.by_name:
            begins = ", and write one rule 'start' of them" if alias == "start" else ""
            found.source.fail(
                statement.place,
                f"there is a rule or terminal {alias!r} already; import this one under another name, "
                f"%import {PREFIX}{language}.{name} -> a_name{begins}",
            )
        there = full_name(name, language)
        used.add(there)
        found.define(Definition(alias, statement.place, (), {}, OfLanguage(there, statement.place)))


def narrowed_rules(definitions: Definitions, budget: Budget) -> list[NarrowedRules]:
    """The rules of all languages as the restrictions leave them, and what they leave of terminals in `definitions`."""
    reading = Terminals(definitions, budget)
    derivatives = Derivatives(budget.construction())
    known = {language: whole_language(language) for language in definitions.languages}
    about = {language: _terminals_of(known[language], used) for language, used in definitions.languages.items()}
    for restriction in definitions.restrictions:
        _refuse_meaningless(restriction, definitions, [each.name for some in about.values() for each in some])
        _refuse_without_effect(restriction, definitions.source, about, reading, derivatives)

    def left_by(restriction: Restriction, terminal: Pattern, language: str) -> Node:
        try:
            return _left_by(restriction, terminal.name, language, reading)
        except OverBudgetError:
            definitions.source.fail(
                restriction.place,
                "a pattern of what is not imported is too large; write the names themselves, or a simpler pattern",
                LimitExceededError,
            )

    found = []
    for language, terminals in about.items():
        name_alone = next((each.language for each in terminals if own_name(each.name) == "NAME"), NOTHING)
        narrowing: dict[str, Narrowing | None] = {}
        for terminal in terminals:
            texts = terminal.language
            about_it = [each for each in definitions.restrictions if is_restricted_by(terminal.name, each.kind)]
            left = tuple(left_by(each, terminal, language) for each in about_it)
            is_text = is_text_with_names(terminal.name)
            if is_restricted_by(terminal.name, "imports"):
                for each in definitions.restrictions:
                    if each.kind == "names" and not each.is_allowed:
                        refused = both(_WORD, negation(left_by(each, terminal, language)))
                        left += (negation(cat(_AROUND, refused, _WITHIN)),)
            left = tuple(_with_names_of(each, name_alone) for each in left) if is_text else left
            if is_text and any(each.kind == "imports" for each in definitions.restrictions):
                left += (negation(_PRAGMA_BY_NAME),)
            if left:
                texts = both(texts, *left)
                # Text with words of the language, which are no names, is always left, and long to look for.
                is_possible = is_text or not is_without_texts(texts, derivatives)
                narrowing[terminal.name] = left if is_possible else None
                texts = texts if is_possible else NOTHING
            definitions.texts_in_languages[terminal.name] = texts
        found.append(NarrowedRules(known[language], narrowing))
    return found


def _terminals_of(known: KnownRules, used: Iterable[str]) -> list[Pattern]:
    """The terminals of a language that what is used of it needs, and those that are used themselves."""
    needing = {name for start in used if start in known.rules for name in reachable(start, known.references)}
    if len(needing) == len(known.rules):
        return known.patterns
    needed = patterns_of({name: rules for name, rules in known.rules.items() if name in needing})
    alone = [each for each in known.patterns if each.name in used]
    return list(dict.fromkeys((*needed, *alone)))


def _refuse_meaningless(restriction: Restriction, definitions: Definitions, terminals: list[str]) -> None:
    """Refuse a restriction that is about nothing."""
    kind, place, source = restriction.kind, restriction.place, definitions.source
    if kind not in KINDS:
        source.fail(place, f"{kind!r} is nothing that is restricted; these are {', '.join(KINDS)}")
    if not restriction.texts:
        source.fail(place, f"no {kind} are given")
    if not any(is_restricted_by(name, kind) for name in terminals):
        of = ", ".join(definitions.languages) or "a text without %language or %import language.NAME.START"
        source.fail(place, f"the grammar of {of} knows no {kind.replace('_', ' ')}")


def _refuse_without_effect(
    restriction: Restriction,
    source: LarkSource,
    about: Mapping[str, Sequence[Pattern]],
    reading: Terminals,
    derivatives: Derivatives,
) -> None:
    """Refuse what can be no name of any kind, such as `os.system`: who writes it would believe it to be forbidden."""
    for text in restriction.texts:
        match text:
            case QuotedText(shown, _, place) if not _A_WORD.fullmatch(shown):
                pass
            case Regex(shown, _, place) if not restriction.is_allowed:
                pass
            case _:
                continue
        alone = replace(restriction, is_allowed=True, texts=(text,))
        if all(
            is_without_texts(both(each.language, _left_by(alone, each.name, language, reading)), derivatives)
            for language, terminals in about.items()
            for each in terminals
            if is_restricted_by(each.name, restriction.kind) and not is_text_with_names(each.name)
        ):
            thing = "import" if restriction.kind == "imports" else restriction.kind.replace("_", " ").removesuffix("s")
            source.fail(place, f"no {thing} of {', '.join(about)} is ever {shown!r}")


def _left_by(restriction: Restriction, terminal: str, language: str, reading: Terminals) -> Node:
    """What a restriction leaves of the texts of a terminal."""
    written = restriction.texts
    if language in _WITHOUT_CASE:
        # A rule for names may be about their case; the same names are the same in any.
        written = tuple(
            _in_any_case(each) if isinstance(each, QuotedText) or not restriction.is_allowed else each
            for each in written
        )
    if restriction.kind == "imports":
        return _imports_left(restriction, written, terminal, language, reading)
    texts = alt(*(reading.language(each, restriction.place) for each in written))
    if terminal == SIGNED_PARAMETER:
        texts = cat(_SIGN, texts)
        return alt(texts, _WITHOUT_NAME) if restriction.is_allowed else negation(texts)
    texts = cat(_BLANK, alt(texts, cat(_OPENING, texts, _CLOSING)))
    if restriction.kind == "names" or may_go_on(terminal):
        texts = cat(texts, _BEHIND)
    return texts if restriction.is_allowed else negation(texts)


def _imports_left(
    restriction: Restriction, written: tuple[Expression, ...], terminal: str, language: str, reading: Terminals
) -> Node:
    """What a restriction of imports leaves of a terminal for them."""
    if restriction.is_allowed:
        texts = alt(*(reading.language(each, restriction.place) for each in written))
        return alt(cat(texts, _WITHIN), cat(_PATH_OPENING, texts, _PATH_WITHIN))
    bare = [_without_quotes(each) if isinstance(each, QuotedText) else each for each in written]
    some = [reading.language(each, restriction.place) for each in bare]
    some.append(_behind_node(alt(*some)))
    texts = alt(*some)
    if language in _DOTTED:
        refused = [cat(texts, _WITHIN)]
        if own_name(terminal) == "IMPORT_FROM":
            refused.append(alt(*map(_modules_around, some)))
    else:
        opening = cat(_PATH_OPENING, _FROM_HERE) if language in _SEARCHED else _PATH_OPENING
        refused = [alt(texts, cat(opening, texts, _PATH_ALL)), _DETOUR, _OTHER_SPELLING, _COMPUTED]
    return both(*map(negation, refused))


def _behind_node(texts: Node) -> Node:
    """What is called so with `node:` before it, which is the same."""
    derivatives = Derivatives(Budget().construction())
    for character in "node:":
        texts = derivatives.of(texts, character)
    return texts


def _modules_around(texts: Node) -> Node:
    """The modules in which a forbidden one is, as `from a import b` imports `a.b`. Raises OverBudgetError."""
    if (name := text_of(texts)) is not None:
        around, dot, last = name.rpartition(".")
        return alt(literal(around), literal(around + dot)) if dot and _A_NAME.fullmatch(last) else NOTHING
    budget = Budget().construction()
    return alt(
        beginnings(texts, cat(literal("."), _WORD), budget),
        both(beginnings(texts, _WORD, budget), cat(ANYTHING, literal("."))),
    )


def _without_quotes(text: QuotedText) -> QuotedText:
    """What is imported by a text in quotes or angle brackets, as there are other quotes."""
    found = _IN_QUOTES.fullmatch(text.text)
    return text if found is None else replace(text, text=found["text"])


def _with_names_of(left: Node, name: Node) -> Node:
    """The texts, of macros and pragmas, all of whose words are names that are left, or no names."""
    refused = both(name, _WORD, negation(left))
    return negation(alt(cat(_BEFORE_WORD, refused, _BEHIND_WORD), _JOINED))


def _in_any_case(text: Expression) -> Expression:
    match text:
        case QuotedText():
            return replace(text, ignores_case=True)
        case Regex(flags=flags):
            return replace(text, flags=flags | {"i"})
    return text
