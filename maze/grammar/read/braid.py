"""Braid's grammars: `{"start_symbol", "rules": [{"lhs", "rhs": [...]}]}` with token classes as terminals.

Callers may also say `"layout": "free"`, and write `{"literal": "BEGIN"}` for a text that would be taken for a token
class or a rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from maze.errors import InvalidConstraintError, LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import NAMES_IN_A_WARNING, unreachable_warnings, without_dead_rules
from maze.grammar.cfg.longest_match import split_literals
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol
from maze.grammar.cfg.recursion import with_repetition
from maze.grammar.languages import NAMES, find_language
from maze.grammar.languages.language import TOKEN_CLASSES, Language
from maze.grammar.languages.spacing import GAP_RULES, Layout, with_gaps
from maze.grammar.read.braid_constructs import asked_for, losses
from maze.json_text import DuplicateNameError, JsonTextError, TooDeepError, parse

MAX_RULES = 100_000
"""Most rules of one grammar."""
MAX_RIGHT_HAND_SIDE = 10_000
"""Most symbols on the right-hand side of one rule; engines take minutes over 100,000."""
MAX_SYMBOLS = 1_000_000
"""Most symbols on all right-hand sides together."""
MAX_SYMBOL_CHARACTERS = 10_000
"""Longest name of a symbol, or literal text."""

_PROGRAM = "program"
"""The start symbol of the grammars that Braid builds."""
_CLASS_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_LOOKS_LIKE_A_RULE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


def lower_braid(text: str, language: str | None, path: str, budget: Budget) -> LoweredGrammar:
    """Lower Braid's JSON to a grammar over characters.

    A grammar with token classes is about the tokens of `language`, and white space may stand between all its tokens; a
    grammar of literal texts alone is taken to the letter.
    """
    start, rules, layout = _read(text, path)
    budget.spend(6 * sum(1 + len(rhs) for productions in rules.values() for rhs in productions))
    warnings: list[str] = []
    rules = _read_statement_as_alternatives(start, rules, path, warnings)
    classes = _token_classes(rules, path)
    tokens: Language | None = None
    if classes:
        tokens = find_language(language)
        if tokens is None:
            known = ", ".join(NAMES)
            problem = "no language is given" if language is None else f"the language {language!r} is not known"
            raise InvalidConstraintError(
                f"{path} uses the token class {classes[0]}, whose tokens depend on the language, and {problem}; give "
                f"one of {known}"
            )
    cfg = _meaning(start, rules, tokens, path, warnings)
    because = ""
    if tokens is not None and (lacking := [name for name in classes if tokens.tokens[name] is None]):
        because = f" ({tokens.name} has no token for {', '.join(lacking)})"
        warnings.append(f"{path}: productions are left out that need what the language does not have{because}")
    cfg, found = without_dead_rules(cfg, path, rules, because)
    references = {
        lhs: (name for rhs in productions for name in rhs if isinstance(name, str) and name in rules)
        for lhs, productions in rules.items()
    }
    warnings += [*found, *unreachable_warnings(start, references, path)]
    if tokens is None:
        return LoweredGrammar(split_literals(cfg, budget), warnings=tuple(warnings), is_of_braid=True)
    used = cfg.terminals()
    for name, note in tokens.notes.items():
        if tokens.tokens[name] in used:
            warnings.append(f"{path}: {tokens.name}: {note}")
    spaced = with_gaps(with_repetition(cfg), tokens, layout, path, budget)
    if (start == _PROGRAM or "FUNCTION" in classes) and (lost := losses(classes, used, tokens)):
        lost = (f"{lost[0]} under this grammar", *lost[1:])
        warnings.append(f"{path}: {tokens.name} loses what it has: {'; '.join(lost)}")
    identifiers = frozenset((tokens.identifier,)) if tokens.identifier in used else frozenset()
    return LoweredGrammar(
        spaced,
        warnings=tuple(warnings),
        identifier_terminals=identifiers,
        is_of_braid=True,
        asks_for=asked_for(start, rules, tokens),
    )


_EXPECTED = 'Braid\'s JSON grammar is {"start_symbol": "...", "rules": [{"lhs": "...", "rhs": ["...", ...]}, ...]}'

_MEMBERS_OF_A_RULE = {"lhs", "rhs"}
_Rules = dict[str, list[list[str | Literal]]]
"""Right-hand sides of names, which may be of token classes or texts, and of what the caller marked as a text."""


# ------------------------------------------------------------------------------------------------ reading


def _read(text: str, path: str) -> tuple[str, _Rules, Layout]:
    try:
        document = parse(text)
    except DuplicateNameError as error:
        raise InvalidConstraintError(f"{path} was taken for Braid's JSON grammar, but {error}; drop one") from None
    except JsonTextError as error:
        raise InvalidConstraintError(
            f"{path} begins with '{{' and was taken for Braid's JSON grammar, but is not JSON: {error}"
        ) from None
    except TooDeepError as error:
        raise InvalidConstraintError(f"{path} is {error}, and was taken for {_EXPECTED}") from None
    if not isinstance(document, dict):
        raise InvalidConstraintError(f"{path} was taken for {_EXPECTED}")
    unknown = sorted(set(document) - {"start_symbol", "rules", "layout"})
    if unknown:
        raise InvalidConstraintError(f"{path} has the unknown member {unknown[0]!r}; {_EXPECTED}")
    start = _checked_symbol(document.get("start_symbol"), f"{path}.start_symbol")
    layout = _layout(document, path)
    items = document.get("rules")
    if not isinstance(items, list):
        raise InvalidConstraintError(f"{path}.rules is missing or no list; {_EXPECTED}")
    _limit(len(items), MAX_RULES, path, "rules")

    rules: _Rules = {}
    total = 0
    for index, item in enumerate(items):
        where = f"{path}.rules[{index}]"
        if not isinstance(item, dict) or item.keys() != _MEMBERS_OF_A_RULE:
            raise InvalidConstraintError(f"{where} is not an object with just the members lhs and rhs; {_EXPECTED}")
        lhs, rhs = item["lhs"], item["rhs"]
        # What is right is told apart here: it can be a million symbols.
        if not isinstance(lhs, str) or not 0 < len(lhs) <= MAX_SYMBOL_CHARACTERS:
            _checked_symbol(lhs, f"{where}.lhs")
        if not isinstance(rhs, list):
            raise InvalidConstraintError(f"{where}.rhs (rule {lhs!r}) is no list; {_EXPECTED}")
        if len(rhs) > MAX_RIGHT_HAND_SIDE:
            _limit(len(rhs), MAX_RIGHT_HAND_SIDE, where, f"symbols on the right-hand side of {lhs!r}")
        total += len(rhs)
        for place, symbol in enumerate(rhs):
            if isinstance(symbol, dict) and symbol.keys() == {"literal"}:
                rhs[place] = Literal(_checked_symbol(symbol["literal"], f"{where}.rhs[{place}].literal"))
            elif not isinstance(symbol, str) or len(symbol) > MAX_SYMBOL_CHARACTERS:
                _checked_symbol(symbol, f"{where}.rhs[{place}]")
        rules.setdefault(lhs, []).append(rhs)
    _limit(total, MAX_SYMBOLS, path, "symbols on all right-hand sides together")
    if start not in rules:
        raise InvalidConstraintError(f"{path}: no rule has the start symbol {start!r} as its lhs")
    return start, rules, layout


def _layout(document: Mapping[str, object], path: str) -> Layout:
    given = document.get("layout", Layout.CANONICAL.value)
    known = {layout.value: layout for layout in Layout}
    if not isinstance(given, str) or given not in known:
        raise InvalidConstraintError(f"{path}.layout is {given!r}; it can be {' or '.join(map(repr, known))}")
    return known[given]


def _checked_symbol(symbol: object, where: str) -> str:
    if not isinstance(symbol, str) or not symbol:
        raise InvalidConstraintError(f"{where} is missing, empty or no string; {_EXPECTED}")
    _limit(len(symbol), MAX_SYMBOL_CHARACTERS, where, "characters")
    return symbol


def _limit(number: int, limit: int, where: str, what: str) -> None:
    if number > limit:
        raise LimitExceededError(f"{where} has {number:,} {what}; the limit is {limit:,}. Give a smaller grammar")


# ------------------------------------------------------------------------------------------------ meaning


def _read_statement_as_alternatives(start: str, rules: _Rules, path: str, warnings: list[str]) -> _Rules:
    """The one place where a grammar is not read literally.

    Braid's builder writes the alternatives of its rule `statement` as one production. Read literally, every statement
    would be all of them in a row.
    """
    productions = rules.get("statement", [])
    if start != _PROGRAM or len(productions) != 1:
        return rules
    (alternatives,) = productions
    if len(alternatives) < 2 or not all(symbol in rules for symbol in alternatives):
        return rules
    warnings.append(
        f"{path}: the one production of 'statement' is read as {len(alternatives)} alternatives, not as a sequence, as "
        "Braid means it"
    )
    return {**rules, "statement": [[symbol] for symbol in dict.fromkeys(alternatives)]}


def _token_classes(rules: _Rules, path: str) -> list[str]:
    """The token classes that the grammar uses, in its order; a name that could only be one is checked."""
    found: dict[str, None] = {}
    for lhs, productions in rules.items():
        for rhs in productions:
            for symbol in rhs:
                if isinstance(symbol, Literal) or symbol in found or symbol in rules:
                    continue
                if not _CLASS_NAME.fullmatch(symbol):
                    continue
                if symbol not in TOKEN_CLASSES:
                    raise InvalidConstraintError(
                        f"{path}: the symbol {symbol!r} in rule {lhs!r} is neither the lhs of a rule nor a token class;"
                        f' write {{"literal": "{symbol}"}} for the text {symbol}; the token classes are '
                        f"{', '.join(TOKEN_CLASSES)}"
                    )
                found[symbol] = None
    return list(found)


def _meaning(start: str, rules: _Rules, tokens: Language | None, path: str, warnings: list[str]) -> Cfg:
    """Names to symbols. A token class that the language lacks has no texts, so its productions describe none."""
    suspicious: dict[str, str] = {}
    names = {name: name if name not in GAP_RULES else f"{name} [of the grammar]" for name in rules}
    symbols: dict[str | Literal, Symbol | None] = {}

    def symbol_of(name: str, lhs: str) -> Symbol | None:
        if name in names:
            return Nonterminal(names[name])
        if tokens is not None and name in tokens.tokens:
            return tokens.tokens[name]
        if _LOOKS_LIKE_A_RULE.fullmatch(name):
            suspicious.setdefault(name, lhs)
        return Literal(name)

    made: dict[str, tuple[Production, ...]] = {}
    for lhs, productions in rules.items():
        meant: dict[Production, None] = {}
        for rhs in productions:
            for name in rhs:
                if name and name not in symbols:
                    symbols[name] = name if isinstance(name, Literal) else symbol_of(name, lhs)
            production = [symbols[name] for name in rhs if name]
            present = tuple(symbol for symbol in production if symbol is not None)
            if len(present) == len(production):
                meant[present] = None
        made[names[lhs]] = tuple(meant)
    for name, lhs in list(suspicious.items())[:NAMES_IN_A_WARNING]:
        warnings.append(f"{path}: {name!r} in rule {lhs!r} is the lhs of no rule, so it is taken for literal text")
    return Cfg(names[start], made)
