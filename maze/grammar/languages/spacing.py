"""White space and comments between the tokens of a grammar, as a language allows them, and always bounded.

Left to itself a small model wanders in white space until its tokens are used up; so a gap is at most one blank or line
break, or where the layout is free of a greatest length, and is part of the rules. A gap depends on the token before it
and the token after it: `return x` needs one, `f(` does not. That is a finite automaton over tokens, and the grammar
becomes its product with this automaton. Tokens that need not be told apart in the grammar share a state, so that most
grammars keep about their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from maze.errors import LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import FirstFollow, pruned
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal
from maze.grammar.languages.language import Comments, Language, Newlines, printable
from maze.grammar.pattern.automaton import bits
from maze.grammar.pattern.parser import parse_whole
from maze.grammar.pattern.tree import Node, alt, cat, literal, repeat


class Layout(Enum):
    """How much may stand between two tokens; the values are what callers write."""

    CANONICAL = "canonical"
    """One blank or line break at most, and no comments."""
    FREE = "free"
    """White space and comments as people write them."""


MAX_SPACING_STEPS = 500_000
"""Most steps of the product of one grammar with the automaton of its gaps."""


class Gap(Enum):
    """What stands between two tokens; the values name the rules."""

    NONE = ""
    SPACE_OR_NOTHING = "space or nothing"
    SPACE = "space"
    ANY_OR_NOTHING = "white space or nothing"
    ANY = "white space"
    LINE = "line break"
    LINES_OR_NOTHING = "line breaks or nothing"
    """Whole lines, without indentation of the next."""
    SPACE_OR_LINES_OR_NOTHING = "space or line breaks or nothing"


class _Edge(Enum):
    """The kind of character with which a token begins or ends."""

    WORD = "word"
    NUMBER = "number"
    QUOTE = "quote"
    OPERATOR = "operator"
    DOT = "dot"
    SPACE = "space"
    OTHER = "other"


class _Role(Enum):
    """What a token is to the rules of line breaks and spacing."""

    NAME = "name"
    RESTRICTED = "keyword that a line break would end"
    JOINS_BLOCK = "else or catch"
    ARROW = "=>"
    STEP = "++ or --"
    BINARY = "operator with two sides"
    OPENS = "( [ { or ,"
    COMMA = ","
    ENDS = ";"
    CLOSES_BLOCK = "}"
    PAREN = "("
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Shape:
    """Everything about a token that a gap beside it can depend on."""

    first: _Edge
    last: _Edge
    role: _Role


_OPERATOR_CHARACTERS = frozenset("+-*/=<>&|!%^~?:@#\\$")
_RESTRICTED_WORDS = frozenset(("return", "async", "break", "continue", "throw", "yield"))
_JOINING_WORDS = frozenset(("else", "catch", "finally", "elif", "except", "rescue"))
_BINARY_TEXTS = frozenset(
    ("=", "+", "-", "*", "/", "%", "<", ">", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=")
)


def _edge(character: str) -> _Edge:
    if character.isspace():
        return _Edge.SPACE
    if character.isalnum() or character == "_" or not character.isascii():
        return _Edge.WORD
    if character in "\"'`":
        return _Edge.QUOTE
    if character in _OPERATOR_CHARACTERS:
        return _Edge.OPERATOR
    return _Edge.DOT if character == "." else _Edge.OTHER


def _shape(token: Terminal) -> _Shape:
    if isinstance(token, Pattern):
        if token.name == "STRING":
            return _Shape(_Edge.QUOTE, _Edge.QUOTE, _Role.OTHER)
        if token.name == "NUMBER":
            return _Shape(_Edge.NUMBER, _Edge.NUMBER, _Role.OTHER)
        return _Shape(_Edge.WORD, _Edge.WORD, _Role.NAME if token.name == "IDENTIFIER" else _Role.OTHER)
    text = token.text
    role = _Role.OTHER
    if text in _RESTRICTED_WORDS:
        role = _Role.RESTRICTED
    elif text in _JOINING_WORDS:
        role = _Role.JOINS_BLOCK
    elif text == "=>":
        role = _Role.ARROW
    elif text in ("++", "--"):
        role = _Role.STEP
    elif text in _BINARY_TEXTS:
        role = _Role.BINARY
    elif text == "(":
        role = _Role.PAREN
    elif text in ("[", "{"):
        role = _Role.OPENS
    elif text == ",":
        role = _Role.COMMA
    elif text == ";":
        role = _Role.ENDS
    elif text == "}":
        role = _Role.CLOSES_BLOCK
    last = _edge(text[-1])
    return _Shape(_edge(text[0]), _Edge.NUMBER if text[0].isdigit() and last is _Edge.WORD else last, role)


_WORDS = (_Edge.WORD, _Edge.NUMBER)
_OPERATORS = (_Edge.OPERATOR, _Edge.DOT)


def _would_join(before: _Shape, after: _Shape) -> bool:
    """Whether two tokens without a gap would be read as other tokens."""
    if before.last in _WORDS:
        return after.first in (*_WORDS, _Edge.QUOTE) or (before.last is _Edge.NUMBER and after.first is _Edge.DOT)
    if before.last is _Edge.QUOTE:
        return after.first in (*_WORDS, _Edge.QUOTE)
    if before.last is _Edge.DOT and after.first is _Edge.NUMBER:
        return True
    return before.last in _OPERATORS and after.first in _OPERATORS


def _gap(language: Language, before: _Shape | None, after: _Shape | None) -> Gap:
    """The gap between two tokens; None is the beginning or the end of the text."""
    if (before is not None and before.last is _Edge.SPACE) or (after is not None and after.first is _Edge.SPACE):
        return Gap.NONE  # the grammar says itself which white space there is
    required = before is not None and after is not None and _would_join(before, after)
    breaks = _line_break(language, before, after)
    if before is not None and after is not None:
        if language.tight_calls and before.role is _Role.NAME and after.role is _Role.PAREN:
            return Gap.NONE
        required = required or (language.spaced_operators and _Role.BINARY in (before.role, after.role))
    if breaks is None:
        return Gap.SPACE if required else Gap.SPACE_OR_NOTHING
    if breaks is Gap.ANY:
        return Gap.ANY if required else Gap.ANY_OR_NOTHING
    return breaks


def _line_break(language: Language, before: _Shape | None, after: _Shape | None) -> Gap | None:
    """Gap.ANY where line breaks are white space, None where there may be none, or the gap that must be there."""
    newlines = language.newlines
    if newlines is Newlines.FREE:
        return Gap.ANY
    if newlines is Newlines.RESTRICTED:
        if before is not None and before.role is _Role.RESTRICTED and after is not None:
            return None
        return None if after is not None and after.role in (_Role.ARROW, _Role.STEP) else Gap.ANY
    if newlines is Newlines.INDENTING:
        if before is None:
            return Gap.LINES_OR_NOTHING
        if after is None or before.role is _Role.ENDS or before.role is _Role.CLOSES_BLOCK:
            return Gap.SPACE_OR_LINES_OR_NOTHING
        return Gap.ANY if before.role in (_Role.OPENS, _Role.PAREN) else None
    if before is None or after is None:
        return Gap.ANY
    if before.role is _Role.CLOSES_BLOCK:
        if after.first in (*_WORDS, _Edge.QUOTE) and after.role is not _Role.JOINS_BLOCK:
            return Gap.LINE
        return Gap.ANY if after.role is _Role.CLOSES_BLOCK else None
    continues = (_Role.OPENS, _Role.PAREN, _Role.COMMA, _Role.ENDS, _Role.BINARY)
    return Gap.ANY if before.role in continues else None


# ------------------------------------------------------------------------------------------------ the rules of the gaps

_BLANKS = Pattern("space", parse_whole(r"[ \t]{1,40}"))
_BREAKS = Pattern("line break", parse_whole(r"[ \t]{0,40}(\r?\n[ \t]{0,40}){1,3}"))
_BLANKS_OR_BREAKS = Pattern("white space", alt(_BLANKS.language, _BREAKS.language))
_BLOCK_COMMENT = Pattern("comment", cat(literal("/*"), repeat(printable("*/"), 0, 120), literal("*/")))


def _line_comment(sign: str) -> Node:
    """Begins with a space, so that it is no comment with a meaning such as `//!` in Rust; `?>` would end PHP."""
    text = cat(literal(" "), repeat(printable("?\\"), 0, 120))
    return cat(literal(sign), repeat(text, 0, 1))


_LINE_END = parse_whole(r"\r?\n")
_LINE_COMMENTS = {
    comments: Pattern("line comment", cat(_line_comment("#" if comments is Comments.HASH else "//"), _LINE_END))
    for comments in Comments
}
_LINES = Pattern(
    "line break",
    repeat(cat(parse_whole(r"[ \t]{0,40}"), repeat(_line_comment("#"), 0, 1), _LINE_END), 1, 4),
)

_COMMENTS_RULE = "comments"


def _canonical_gaps() -> dict[str, tuple[Production, ...]]:
    """Rules that the gaps refer to by their names, with one blank or line break."""
    blank, line_break = Literal(" "), Literal("\n")
    return {
        Gap.SPACE.value: ((blank,),),
        Gap.SPACE_OR_NOTHING.value: ((), (blank,)),
        Gap.ANY.value: ((blank,), (line_break,)),
        Gap.ANY_OR_NOTHING.value: ((), (blank,), (line_break,)),
        Gap.LINE.value: ((line_break,),),
        Gap.LINES_OR_NOTHING.value: ((), (line_break,)),
        Gap.SPACE_OR_LINES_OR_NOTHING.value: ((), (blank,), (line_break,)),
    }


def _free_gaps(language: Language) -> dict[str, tuple[Production, ...]]:
    """The same, with comments. One always follows white space, so that `/` stays a token."""
    line = _LINE_COMMENTS[language.comments]
    blocks: tuple[Production, ...] = ((_BLOCK_COMMENT,),) if language.comments is Comments.SLASHES else ()
    after_blanks = Nonterminal("comment and space")
    comments = Nonterminal(_COMMENTS_RULE)
    one = Nonterminal("comment and white space")
    return {
        after_blanks.name: ((), *blocks, *((*block, _BLANKS) for block in blocks)),
        one.name: tuple(
            production for comment in ((line,), *blocks) for production in (comment, (*comment, _BLANKS_OR_BREAKS))
        ),
        _COMMENTS_RULE: ((), (one,), (one, one)),
        Gap.SPACE.value: ((_BLANKS, after_blanks),),
        Gap.SPACE_OR_NOTHING.value: ((), (Nonterminal(Gap.SPACE.value),)),
        Gap.ANY.value: ((_BLANKS_OR_BREAKS, comments),),
        Gap.ANY_OR_NOTHING.value: ((), (Nonterminal(Gap.ANY.value),)),
        Gap.LINE.value: ((_BREAKS, comments), (_BLANKS, line), (_BLANKS, line, _BLANKS_OR_BREAKS)),
        Gap.LINES_OR_NOTHING.value: ((), (_LINES,)),
        Gap.SPACE_OR_LINES_OR_NOTHING.value: ((), (_BLANKS,), (_LINES,)),
    }


GAP_RULES = frozenset(gap.value for gap in Gap) | {_COMMENTS_RULE, "comment and space", "comment and white space"}
"""Names of the rules that this module adds; the caller's rules of the same name are renamed before."""


# ------------------------------------------------------------------------------------------------ the automaton


@dataclass(frozen=True, slots=True)
class _Automaton:
    """States are numbers, 0 that of the beginning; the gap before a token depends on the state before it."""

    state_after: Mapping[Terminal, int]
    gap_before: Mapping[tuple[int, Terminal], Gap]
    gap_at_end: Mapping[int, Gap]


def _automaton(cfg: Cfg, language: Language, budget: Budget) -> _Automaton:
    tokens = cfg.terminals()
    shapes = list(dict.fromkeys(_shape(token) for token in tokens))
    number = {shape: index for index, shape in enumerate(shapes)}
    bit = {token: number[_shape(token)] for token in tokens}
    neighbours, begin = _neighbours(cfg, bit, len(shapes), budget)

    # Shapes share a state unless a token that can really follow both would need different gaps.
    end = len(shapes)
    first_row = {
        following: _gap(language, None, shapes[following] if following != end else None) for following in begin
    }
    rows = [first_row]
    state_of: list[int] = []
    for index, shape in enumerate(shapes):
        row = {
            following: _gap(language, shape, shapes[following] if following != end else None)
            for following in bits(neighbours[index])
        }
        for state, known in enumerate(rows):
            if all(known.get(following, gap) is gap for following, gap in row.items()):
                known.update(row)
                state_of.append(state)
                break
        else:
            state_of.append(len(rows))
            rows.append(row)
    return _Automaton(
        {token: state_of[bit[token]] for token in tokens},
        {(state, token): row[bit[token]] for state, row in enumerate(rows) for token in tokens if bit[token] in row},
        {state: row[end] for state, row in enumerate(rows) if end in row},
    )


def _neighbours(cfg: Cfg, bit: Mapping[Terminal, int], end: int, budget: Budget) -> tuple[list[int], list[int]]:
    """For each kind of token the kinds (as bits; bit `end` is the end of the text) that can follow it somewhere.

    Also the kinds with which the text can begin.
    """
    sets = FirstFollow(cfg, {token: 1 << index for token, index in bit.items()}, budget, end=1 << end)
    following = [0] * end
    for token, mask in sets.after_terminals().items():
        following[bit[token]] |= mask
    return following, list(bits(sets.beginning))


# ------------------------------------------------------------------------------------------------ the product


def with_gaps(cfg: Cfg, language: Language, layout: Layout, path: str, budget: Budget) -> Cfg:
    """The grammar over characters that a grammar over tokens describes in a language.

    `cfg` must have no unproductive rules. Raises LimitExceededError if the product would take more than
    MAX_SPACING_STEPS steps.
    """
    automaton = _automaton(cfg, language, budget)
    exits = _exits(cfg, automaton, path, budget)

    copies: dict[str, int] = {}
    for name, _ in exits:
        copies[name] = copies.get(name, 0) + len(exits[name, _])

    def copy_name(name: str, before: int, after: int) -> str:
        return name if copies[name] == 1 else f"{name} [{before} to {after}]"

    rules: dict[str, tuple[Production, ...]] = {}

    def gap_symbols(gap: Gap) -> list[Symbol]:
        return [] if gap is Gap.NONE else [Nonterminal(gap.value)]

    rests: dict[tuple[str, int, int, int, int], str] = {}
    todo: list[tuple[str, int, int, int, int]] = []

    def spell(name: str, index: int, dot: int, state: int, after: int) -> list[Production]:
        """What the symbols of a production from `dot` on become on the way from `state` to `after`."""
        production = cfg.rules[name][index]
        budget.spend(1 + len(production) - dot)
        symbols: list[Symbol] = []
        while dot < len(production):
            symbol = production[dot]
            dot += 1
            if not isinstance(symbol, Nonterminal):
                symbols += gap_symbols(automaton.gap_before[state, symbol])
                symbols.append(symbol)
                state = automaton.state_after[symbol]
                continue
            ways = exits.get((symbol.name, state), ())
            if dot == len(production):
                ways = [way for way in ways if way == after]
            if len(ways) != 1:
                return [
                    (*symbols, Nonterminal(copy_name(symbol.name, state, way)), *rest(name, index, dot, way, after))
                    for way in ways
                ]
            (way,) = ways
            symbols.append(Nonterminal(copy_name(symbol.name, state, way)))
            state = way
        return [tuple(symbols)] if state == after else []

    def rest(name: str, index: int, dot: int, state: int, after: int) -> Production:
        if dot == len(cfg.rules[name][index]):
            return ()
        key = (name, index, dot, state, after)
        if key not in rests:
            rests[key] = f"{name} [{state} to {after}, part {index + 1}.{dot + 1}]"
            todo.append(key)
        return (Nonterminal(rests[key]),)

    for (name, before), afters in exits.items():
        for after in afters:
            rules[copy_name(name, before, after)] = tuple(
                production
                for index in range(len(cfg.rules[name]))
                for production in spell(name, index, 0, before, after)
            )
    while todo:
        key = todo.pop()
        rules[rests[key]] = tuple(spell(*key))

    start = f"{cfg.start} [whole text]"
    opening = _opening(language)
    rules[start] = tuple(
        (*opening, Nonterminal(copy_name(cfg.start, 0, after)), *gap_symbols(automaton.gap_at_end[after]))
        for after in exits.get((cfg.start, 0), ())
    )
    if language.opening:
        rules[_OPENING_RULE] = ((), (Pattern("opening", cat(literal(language.opening), parse_whole(r"[ \n]"))),))
    gaps = _canonical_gaps() if layout is Layout.CANONICAL else _free_gaps(language)
    return pruned(Cfg(start, {**rules, **gaps}))


_OPENING_RULE = "opening [optional]"


def _opening(language: Language) -> Production:
    return (Nonterminal(_OPENING_RULE),) if language.opening else ()


def _exits(cfg: Cfg, automaton: _Automaton, path: str, budget: Budget) -> dict[tuple[str, int], list[int]]:
    """For each rule and state before it that can occur: the states in which its texts can end."""
    exits: dict[tuple[str, int], list[int]] = {(cfg.start, 0): []}
    waiting: dict[tuple[str, int], list[tuple[str, int, int, int]]] = {}
    seen: set[tuple[str, int, int, int, int]] = set()
    todo = [(cfg.start, index, 0, 0, 0) for index in range(len(cfg.rules[cfg.start]))]
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        budget.spend(2)
        if len(seen) > MAX_SPACING_STEPS:
            raise LimitExceededError(
                f"{path} needs more than {MAX_SPACING_STEPS:,} steps, which is the limit, to place white space between "
                "its tokens; give a smaller grammar"
            )
        name, index, dot, before, state = item
        production = cfg.rules[name][index]
        while dot < len(production):
            symbol = production[dot]
            if isinstance(symbol, Nonterminal):
                break
            state = automaton.state_after[symbol]
            dot += 1
        if dot == len(production):
            known = exits[name, before]
            if state not in known:
                known.append(state)
                for user, user_index, user_dot, user_before in waiting.get((name, before), ()):
                    todo.append((user, user_index, user_dot, user_before, state))
            continue
        symbol = production[dot]
        if not isinstance(symbol, Nonterminal):
            continue
        entry = (symbol.name, state)
        waiting.setdefault(entry, []).append((name, index, dot + 1, before))
        if entry not in exits:
            exits[entry] = []
            todo += [(symbol.name, other, 0, state, state) for other in range(len(cfg.rules[symbol.name]))]
        todo += [(name, index, dot + 1, before, ending) for ending in exits[entry]]
    return exits
