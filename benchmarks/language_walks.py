"""Derivations of the grammars of languages: with a seed, 20 to 200 tokens, every alternative of every rule 20 times.

What has no derivation of that length, as the empty file, has the last one that was tried. Names often begin as words of
the language do, or are them where they may, since that is where a lexer that takes the longest match goes wrong.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from maze.grammar.budget import Budget
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Production, Symbol, Terminal
from maze.grammar.cfg.productions import tree_of
from maze.grammar.pattern.automaton import DEAD, Alphabet, make_dfa
from maze.grammar.pattern.tree import Node

LEAST_TOKENS, MOST_TOKENS = 20, 200
LEAST_USES = 20
_TRIES = 8
"""For a derivation of the right length."""

_Alternative = tuple[str, int]


class Walks:
    """Random derivations of one grammar; the rarest alternatives come first."""

    def __init__(self, cfg: Cfg, seed: int = 0, words: Sequence[str] = ()) -> None:
        """`words` are those of the language, and none if it has no names."""
        self._cfg = cfg
        self._words = words
        self._chance = random.Random(seed)
        self._texts: dict[Node, _Texts] = {}
        self.uses: Counter[_Alternative] = Counter(
            {(name, number): 0 for name, productions in cfg.rules.items() for number in range(len(productions))}
        )
        self.lengths: Counter[str] = Counter()
        """How many derivations were short, right and long."""
        self._least = _least_tokens(cfg)
        self._costs = {each: self._cost(cfg.rules[each[0]][each[1]]) for each in self.uses}
        self._parents = _ways_from_the_start(cfg)

    def texts(self, number: int) -> Iterator[str]:
        """`number` derivations, and as many more as it takes until every alternative was used often enough."""
        made = 0
        while made < number or min(self.uses.values()) < LEAST_USES:
            made += 1
            yield self.derivation()

    def derivation(self) -> str:
        """One that uses what was used least."""
        rare = min(self.uses, key=lambda each: (self.uses[each], self._chance.random()))
        for _ in range(_TRIES):
            tokens, used = self._derivation(rare)
            if LEAST_TOKENS <= len(tokens) <= MOST_TOKENS:
                break
        self.uses.update(used)
        self.lengths["short" if len(tokens) < LEAST_TOKENS else "long" if len(tokens) > MOST_TOKENS else "right"] += 1
        return "".join(tokens)

    def __str__(self) -> str:
        """What was made of which length, and how often the alternative that was used least."""
        return (
            f"{self.lengths['right']} of {LEAST_TOKENS} to {MOST_TOKENS} tokens, {self.lengths['short']} shorter, "
            f"{self.lengths['long']} longer; "
            f"each of {len(self.uses)} alternatives at least {min(self.uses.values())} times"
        )

    def _derivation(self, wanted: _Alternative) -> tuple[list[str], Counter[_Alternative]]:
        """One that uses the wanted alternative, and how often it uses each."""
        used: Counter[_Alternative] = Counter()
        way = self._way_to(wanted)
        room = self._chance.randint(LEAST_TOKENS, MOST_TOKENS)
        done: list[str] = []
        todo: list[Symbol] = [Nonterminal(self._cfg.start)]
        needed = self._least[self._cfg.start]
        sought = 0  # the position from the top of `todo` that leads on to what is wanted, as a length below it
        while todo:
            is_sought = bool(way) and len(todo) - 1 == sought
            symbol = todo.pop()
            needed -= self._cost((symbol,))
            if not isinstance(symbol, Nonterminal):
                done.append(self._text(symbol))
                continue
            if is_sought:
                number, position = way.pop()
            else:
                number, position = self._choice(symbol.name, room - len(done) - needed), -1
            used[symbol.name, number] += 1
            production = self._cfg.rules[symbol.name][number]
            sought = len(todo) + len(production) - 1 - position if position >= 0 else sought
            todo += reversed(production)
            needed += self._costs[symbol.name, number]
        return done, used

    def _choice(self, name: str, room: float) -> int:
        """An alternative that there is room for; one that was used little is likelier."""
        numbers = range(len(self._cfg.rules[name]))
        fitting = [number for number in numbers if self._costs[name, number] <= room]
        if not fitting:
            return min(numbers, key=lambda number: self._costs[name, number])
        weights = [(1 + min(self.uses[name, number], 10_000)) ** -0.5 for number in fitting]
        return self._chance.choices(fitting, weights)[0]

    def _way_to(self, wanted: _Alternative) -> list[tuple[int, int]]:
        """From the start, the last first: the alternatives to take, and the symbol in each that leads on."""
        way = [(wanted[1], -1)]
        name = wanted[0]
        while name != self._cfg.start:
            name, number, position = self._chance.choice(self._parents[name])
            way.append((number, position))
        return way

    def _cost(self, production: Production) -> float:
        return sum(self._least[each.name] if isinstance(each, Nonterminal) else 1 for each in production)

    def _text(self, terminal: Terminal) -> str:
        if isinstance(terminal, Literal):
            return terminal.text
        tree = tree_of(terminal)  # names of all roles are one language, and an automaton takes long
        if tree not in self._texts:
            self._texts[tree] = _Texts(tree)
        begin = self._chance.choice(self._words) if self._words and self._chance.random() < 0.5 else ""
        return self._texts[tree].any(self._chance, begin)


def _least_tokens(cfg: Cfg) -> dict[str, float]:
    least = dict.fromkeys(cfg.rules, float("inf"))
    changed = True
    while changed:
        changed = False
        for name, productions in cfg.rules.items():
            for production in productions:
                cost = sum(least[each.name] if isinstance(each, Nonterminal) else 1 for each in production)
                if cost < least[name]:
                    least[name], changed = cost, True
    return least


def _ways_from_the_start(cfg: Cfg) -> dict[str, list[tuple[str, int, int]]]:
    """For each rule those one step nearer to the start that use it: the rule, the alternative, the symbol in it."""
    parents: dict[str, list[tuple[str, int, int]]] = {cfg.start: []}
    level = [cfg.start]
    while level:
        found: dict[str, list[tuple[str, int, int]]] = {}
        for name in level:
            for number, production in enumerate(cfg.rules[name]):
                for position, symbol in enumerate(production):
                    if isinstance(symbol, Nonterminal) and symbol.name not in parents:
                        found.setdefault(symbol.name, []).append((name, number, position))
        parents.update(found)
        level = list(found)
    return parents


class _Texts:
    """Texts of a terminal, by a walk through its automaton that turns for the end after a while."""

    def __init__(self, tree: Node) -> None:
        budget = Budget().construction()
        self._alphabet = Alphabet([tree], budget)
        dfa = make_dfa(tree, self._alphabet, budget)
        self._accepting = dfa.accepting
        self._characters = {
            group: _usual(self._alphabet.ranges_of(1 << group, budget)) for group in range(self._alphabet.size)
        }
        self._moves = [
            [(group, to) for group, to in enumerate(row) if to != DEAD and self._characters[group]] for row in dfa.next
        ]
        self._to_end = self._distances()

    def any(self, chance: random.Random, begin: str = "") -> str:
        """A text that begins as `begin` does as far as a text may, and is often no longer."""
        state, text = 0, ""
        for character in begin:
            to = [after for group, after in self._moves[state] if character in self._characters[group]]
            if not to:
                break
            state, text = to[0], text + character
        room = len(text) + chance.choice((0, 0, 1, 2) if text else (1, 2, 4, 8, 12))
        while True:
            if state in self._accepting and (len(text) >= room or not self._moves[state] or chance.random() < 0.1):
                return text
            moves = self._moves[state]
            if len(text) >= room:
                moves = [each for each in moves if self._to_end[each[1]] < self._to_end[state]]
            group, state = chance.choice(moves)
            text += chance.choice(self._characters[group])

    def _distances(self) -> list[float]:
        far = [0 if state in self._accepting else float("inf") for state in range(len(self._moves))]
        for _ in far:
            for state, moves in enumerate(self._moves):
                far[state] = min([far[state], *(1 + far[to] for _, to in moves)])
        return far


def _usual(ranges: tuple[tuple[int, int], ...]) -> str:
    """Characters of a set: printable ones of ASCII if it has any."""
    wanted = [*range(0x20, 0x7F), 0xA, 0x9, 0xE9, 0x4E2D, 0x1F600]
    found = [chr(code) for code in wanted if any(low <= code <= high for low, high in ranges)]
    ascii_only = [each for each in found if " " <= each < "\x7f"]
    return "".join(ascii_only or found[:1] or [chr(low) for low, _ in ranges[:1]])
