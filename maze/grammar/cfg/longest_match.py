"""Grammars over characters, made safe for a lexer that always takes the longest match and never goes back.

With the terminals "a" and "ab" such a lexer reads `abc` as "ab" `c` and never as "a" `bc`. So a terminal is split where
another one ends inside it; then no terminal can be continued to another, and the longest match is the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import or_

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.analysis import FirstFollow
from maze.grammar.cfg.model import Cfg, Literal, Production, Symbol, Terminal, one_of
from maze.grammar.pattern.automaton import Alphabet, Positions, bits
from maze.grammar.pattern.tree import Alt, Node, literal

_MAX_TERMINALS = 150
_MAX_STEPS = 1_000_000
"""Terminals and steps of comparing them in the search for those that can go on where another ends."""
_MAX_POSITIONS = 10_000
"""Most characters and classes of all terminals together, repetitions written out."""
_MANY = 100
"""Texts that one rule offers from which on they are made one terminal."""
_MAX_ROUNDS = 16
"""Rounds of splitting before all is split into characters, which ends it."""


def split_literals(cfg: Cfg, budget: Budget) -> Cfg:
    """The same language, in which the longest match is always the right one.

    `cfg` has only Literal terminals, and classes of characters that occur in none of them.

    Where a rule offers many texts they become one terminal, if that can be told to be safe; engines cannot bear
    thousands of alternatives. Of the other terminals none is the beginning of another.
    """
    cfg = _with_choices(cfg, budget)
    texts = _texts(cfg)
    spelled = {text: tuple(map(Literal, pieces)) for text, pieces in prefix_free(texts, budget).items()}

    def respelled(production: Production) -> Production:
        symbols: list[Symbol] = []
        for symbol in production:
            if isinstance(symbol, Literal):
                symbols += spelled[symbol.text]
            else:
                symbols.append(symbol)
        return tuple(symbols)

    return Cfg(cfg.start, {name: tuple(map(respelled, productions)) for name, productions in cfg.rules.items()})


def _texts(cfg: Cfg) -> set[str]:
    return {symbol.text for symbol in cfg.terminals() if isinstance(symbol, Literal)}


def _with_choices(cfg: Cfg, budget: Budget) -> Cfg:
    """The grammar with one terminal for each rule's many texts, where nothing that follows could go on with them."""
    many = {
        name: choice
        for name, productions in cfg.rules.items()
        if len(choice := [rhs[0].text for rhs in productions if len(rhs) == 1 and isinstance(rhs[0], Literal)]) >= _MANY
    }
    if not many:
        return cfg
    chosen = {name: one_of(choice) for name, choice in many.items()}
    candidate = {
        name: ((chosen[name],), *(rhs for rhs in productions if len(rhs) != 1 or not isinstance(rhs[0], Literal)))
        if name in chosen
        else productions
        for name, productions in cfg.rules.items()
    }
    first_bits: dict[str, int] = {}
    # Other terminals are classes of characters that no text has.
    masks: dict[Terminal, int] = {
        terminal: 1 << first_bits.setdefault(terminal.text[0], len(first_bits)) if isinstance(terminal, Literal) else 0
        for terminal in cfg.terminals()
    }
    for name, choice in many.items():
        masks[chosen[name]] = reduce(or_, (masks[Literal(text)] for text in choice))
    after = FirstFollow(Cfg(cfg.start, candidate), masks, budget).after_terminals()

    # A text that begins another, or is in two choices, makes both choices doubtful.
    owners: dict[str, set[str | None]] = {text: {None} for text in _texts(Cfg(cfg.start, candidate))}
    for name, choice in many.items():
        for text in choice:
            owners.setdefault(text, set()).add(name)
    doubtful: set[str | None] = {name for found in owners.values() if len(found) > 1 for name in found}
    shortest, group = None, set[str | None]()
    for text in sorted(owners):
        if shortest is None or not text.startswith(shortest):
            shortest, group = text, set(owners[text])
        elif not owners[text] <= group or len(group) > 1:
            group |= owners[text]
            doubtful |= group
    for name, choice in many.items():
        inner = set().union(*(text[1:] for text in choice))
        inside = reduce(or_, (1 << bit for character, bit in first_bits.items() if character in inner), 0)
        if inside & after.get(chosen[name], 0):
            doubtful.add(name)
    return Cfg(
        cfg.start,
        {name: cfg.rules[name] if name in doubtful else productions for name, productions in candidate.items()},
    )


def prefix_free(texts: set[str], budget: Budget) -> dict[str, list[str]]:
    """Each text as pieces, so that of all pieces of all texts none is the beginning of another."""
    splits: dict[str, list[str]] = {}
    pieces = set(texts)
    for _ in range(_MAX_ROUNDS):
        # In sorted order a text comes before all that begin with it.
        shortest = None
        unsplit = set()
        rests = set()
        budget.spend(sum(1 + len(piece) // 8 for piece in pieces))
        for piece in sorted(pieces):
            if shortest is None or not piece.startswith(shortest):
                shortest = piece
                unsplit.add(piece)
                continue
            end = 0
            while piece.startswith(shortest, end):
                end += len(shortest)
            rest = piece[end:]
            splits[piece] = [shortest] * (end // len(shortest)) + ([rest] if rest else [])
            if rest:
                rests.add(rest)
        if unsplit == pieces:
            return {text: _expanded(text, splits) for text in texts}
        pieces = unsplit | rests
    return {text: list(text) for text in texts}


def _expanded(text: str, splits: dict[str, list[str]]) -> list[str]:
    found = []
    todo = [text]
    while todo:
        piece = todo.pop()
        if piece in splits:
            todo += reversed(splits[piece])
        else:
            found.append(piece)
    return found


def terminals_that_go_on(cfg: Cfg, budget: Budget, *, by_place: bool) -> set[Terminal] | None:
    """The terminals that a lexer can go on with where a text of the grammar ends one; None if it takes long to tell.

    `by_place` says whether to find out which terminals a lexer looks for at the same place; if not, it may be any.
    """
    terminals = cfg.terminals()
    trees = {each: literal(each.text) if isinstance(each, Literal) else each.language for each in terminals}
    try:
        construction = budget.construction(_MAX_STEPS)
        alphabet = Alphabet(trees.values(), construction)
        automata = {terminal: Positions(tree, alphabet, construction) for terminal, tree in trees.items()}
        beginnings = {terminal: _beginnings(positions) for terminal, positions in automata.items()}
        after = FirstFollow(cfg, beginnings, construction).after_terminals()
        if len(terminals) > _MAX_TERMINALS:
            # Of as many, which one goes on is not looked for.
            read = _read_together(cfg, automata, beginnings, construction)
            return None if _any_goes_on(trees, automata, after, read, alphabet, construction) else set()
        found: set[Terminal] = set()
        together: dict[Terminal, int] = {}
        for number, (going_on, right) in enumerate(automata.items()):
            for ending, left in automata.items() if any(right.follow) else ():
                if not beginnings[ending] & beginnings[going_on]:
                    continue
                if after[ending] and _goes_on(left, right, after[ending], construction):
                    if by_place:
                        together = together or _read_together(cfg, automata, beginnings, construction)
                    if not by_place or together[ending] >> number & 1:
                        found.add(going_on)
                        break
    except OverBudgetError:
        return None
    return found


def _read_together(
    cfg: Cfg, automata: Mapping[Terminal, Positions], beginnings: Mapping[Terminal, int], budget: Construction
) -> dict[Terminal, int]:
    """For each terminal those, as bits, that a lexer may look for at the same place in a text, or more of them.

    At the beginning that is what a text begins with; after terminals that have a text in common, what follows them.
    """
    terminals = list(automata)
    sets = FirstFollow(cfg, {each: 1 << number for number, each in enumerate(terminals)}, budget)
    following = sets.after_terminals()
    found = dict.fromkeys(terminals, 0)
    todo: list[tuple[int, int]] = []
    met: set[tuple[int, int]] = set()

    def add(some: int, others: int) -> None:
        """Those of `some` are looked for where those of `others` are."""
        for number in bits(some):
            terminal = terminals[number]
            new = others & ~found[terminal]
            if new:
                budget.spend(new.bit_count())
                found[terminal] |= new
                todo.extend((number, other) for other in bits(new) if other <= number)

    add(sets.beginning, sets.beginning)
    while todo:
        pair = todo.pop()
        left, right = terminals[pair[0]], terminals[pair[1]]
        if pair in met or not (left == right or _have_a_text_in_common(left, right, automata, beginnings, budget)):
            continue
        met.add(pair)
        add(following[left], following[right])
        add(following[right], following[left])
    return found


def _have_a_text_in_common(
    left: Terminal,
    right: Terminal,
    automata: Mapping[Terminal, Positions],
    beginnings: Mapping[Terminal, int],
    budget: Construction,
) -> bool:
    if not beginnings[left] & beginnings[right] or (isinstance(left, Literal) and isinstance(right, Literal)):
        return False
    return any(
        automata[left].last >> i & 1 and automata[right].last >> j & 1
        for i, j in _places_together(automata[left], automata[right], budget)
    )


def _any_goes_on(
    trees: Mapping[Terminal, Node],
    automata: Mapping[Terminal, Positions],
    after: Mapping[Terminal, int],
    together: Mapping[Terminal, int],
    alphabet: Alphabet,
    budget: Construction,
) -> bool:
    """Whether a lexer can go on with any terminal where a text of the grammar ends one."""
    every = list(trees.values())
    merged: dict[int, Positions] = {}
    for ending, left in automata.items():
        others = together[ending]
        if others and others not in merged:
            among = Alt(tuple(every[number] for number in bits(others)))
            merged[others] = Positions(among, alphabet, budget, _MAX_POSITIONS)
        if others and _goes_on(left, merged[others], after[ending], budget):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Edges:
    """What decides whether two terminals may stand side by side, as groups of characters of an alphabet, as bits."""

    first: int
    """With these its texts begin."""
    going_on: int
    """With these a text of some terminal goes on where one of its own ends."""


def edges_of(trees: Sequence[Node], among: Sequence[Node], alphabet: Alphabet, budget: Construction) -> list[Edges]:
    """The edges of some terminals among others. Raises OverBudgetError."""
    together = Positions(Alt(tuple(among)), alphabet, budget, _MAX_POSITIONS)
    automata = [Positions(tree, alphabet, budget) for tree in trees]
    return [Edges(_beginnings(each), _continuations(each, together, budget)) for each in automata]


def _beginnings(positions: Positions) -> int:
    return reduce(or_, (positions.groups[first] for first in bits(positions.first)), 0)


def _goes_on(left: Positions, right: Positions, after: int, budget: Construction) -> bool:
    """Whether some text of `left` begins a text of `right` that goes on with a character of `after`."""
    return any(
        left.last >> i & 1 and any(right.groups[k] & after for k in bits(right.follow[j]))
        for i, j in _places_together(left, right, budget)
    )


def _continuations(left: Positions, right: Positions, budget: Construction) -> int:
    """The characters with which a text of `right` goes on where a text of `left` ends."""
    found = 0
    for i, j in _places_together(left, right, budget):
        if left.last >> i & 1:
            found |= reduce(or_, (right.groups[k] for k in bits(right.follow[j])), 0)
    return found


def _places_together(left: Positions, right: Positions, budget: Construction) -> Iterator[tuple[int, int]]:
    """The places in two expressions at which the last character of the same text can stand."""
    todo = [(i, j) for i, j in product(bits(left.first), bits(right.first)) if left.groups[i] & right.groups[j]]
    seen = set(todo)
    while todo:
        i, j = todo.pop()
        yield i, j
        onward = list(bits(right.follow[j]))
        budget.spend(1 + len(onward) * left.follow[i].bit_count())
        for pair in product(bits(left.follow[i]), onward):
            if pair not in seen and left.groups[pair[0]] & right.groups[pair[1]]:
                seen.add(pair)
                todo.append(pair)
